
/*
 * Copyright (C) the trp authors
 */


/*
 * When a worker is to exit, nginx closes its listening sockets, and the proxy
 * ends a session of UDP at its next event.  Before that, each session gets a
 * socket that is connected to the user, so that the kernel gives it what the
 * user sends; for the proxy, its type is that of a connection, which may last.
 */


#include "entry/ngx_trp_entry_udp.h"
#include "base/ngx_trp_event.h"
#include "base/ngx_trp_fake.h"


/* old workers are told to exit 100 ms after the new ones were started */
#define NGX_TRP_ENTRY_UDP_WAIT       300

/* connecting n sockets of one port takes n^2 time */
#define NGX_TRP_ENTRY_UDP_CONNECTED  1000


static void ngx_trp_entry_udp_wait_handler(ngx_event_t *ev);
static void ngx_trp_entry_udp_exit_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_entry_udp_connect(ngx_connection_t *c);
static void ngx_trp_entry_udp_skip(ngx_socket_t s, ngx_connection_t *c);


void
ngx_trp_entry_udp_init_sockets(ngx_cycle_t *cycle, u_char *inherited,
    ngx_trp_listener_check_pt check)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        /* nginx forgets this before a worker could ask */

        inherited[i] = (ls[i].inherited || ls[i].previous);

        if (ls[i].type == SOCK_DGRAM && ngx_trp_listener_all(&ls[i], check)) {
            ngx_trp_listener_buffers(&ls[i]);
        }
    }
}


void
ngx_trp_entry_udp_start(ngx_trp_entry_udp_t *udp, ngx_cycle_t *cycle,
    ngx_socket_t fd, const u_char *inherited, ngx_trp_listener_check_pt check)
{
    ngx_uint_t        i;
    ngx_event_t      *rev;
    ngx_listening_t  *ls;

    ngx_queue_init(&udp->sessions);
    udp->fd = fd;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (!inherited[i]
            || ls[i].type != SOCK_DGRAM
            || ls[i].connection == NULL
            || !ngx_trp_listener_all(&ls[i], check))
        {
            continue;
        }

        rev = ls[i].connection->read;

        if (rev->active
            && ngx_trp_event_del(rev) == NGX_OK
            && !udp->wait.timer_set)
        {
            udp->wait.handler = ngx_trp_entry_udp_wait_handler;
            udp->wait.data = ls[i].connection;
            udp->wait.log = cycle->log;
            udp->wait.cancelable = 1;

            ngx_add_timer(&udp->wait, NGX_TRP_ENTRY_UDP_WAIT);
        }
    }
}


/* as nginx does after accept() has failed */

static void
ngx_trp_entry_udp_wait_handler(ngx_event_t *ev)
{
    ngx_uint_t         i;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    /* after one more reload, the sockets are closed */

    if (ngx_exiting) {
        return;
    }

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        c = ls[i].connection;

        if (ls[i].type == SOCK_DGRAM && c && !c->read->active
            && c->read->handler == ngx_event_recvmsg)
        {
            (void) ngx_add_event(c->read, NGX_READ_EVENT, 0);
        }
    }
}


void
ngx_trp_entry_udp_begin(ngx_trp_entry_udp_t *udp,
    ngx_trp_entry_udp_session_t *us, ngx_connection_t *user)
{
    ngx_connection_t  *c;

    if (us->user || ngx_exiting) {
        return;
    }

    if (udp->exiting == NULL) {
        c = ngx_trp_fake_connection(udp->fd, ngx_cycle->log);

        if (c == NULL) {
            return;
        }

        /* its handler is called before this worker exits */

        c->idle = 1;
        c->data = udp;
        c->read->handler = ngx_trp_entry_udp_exit_handler;

        udp->exiting = c;
    }

    us->user = user;
    us->udp = udp;

    ngx_queue_insert_tail(&udp->sessions, &us->queue);
    udp->nsessions++;
}


void
ngx_trp_entry_udp_end(ngx_trp_entry_udp_session_t *us)
{
    if (us->user == NULL) {
        return;
    }

    /* for the log */
    us->user->type = SOCK_DGRAM;

    ngx_queue_remove(&us->queue);
    us->udp->nsessions--;

    us->user = NULL;
}


static void
ngx_trp_entry_udp_exit_handler(ngx_event_t *rev)
{
    ngx_uint_t                    n, failed;
    ngx_queue_t                  *q;
    ngx_connection_t             *c;
    ngx_trp_entry_udp_t          *udp;
    ngx_stream_session_t         *s;
    ngx_trp_entry_udp_session_t  *us;

    c = rev->data;
    udp = c->data;

    if (!c->close) {
        return;
    }

    udp->exiting = NULL;
    ngx_close_connection(c);

    n = 0;
    failed = 0;

    for (q = ngx_queue_last(&udp->sessions);
         q != ngx_queue_sentinel(&udp->sessions);
         q = ngx_queue_prev(q))
    {
        us = ngx_queue_data(q, ngx_trp_entry_udp_session_t, queue);
        s = us->user->data;

        if (s->upstream == NULL || !s->upstream->connected) {
            continue;
        }

        if (!failed && n < NGX_TRP_ENTRY_UDP_CONNECTED
            && ngx_trp_entry_udp_connect(us->user) == NGX_OK)
        {
            n++;
            continue;
        }

        failed = 1;

        /* its socket is closed, and the proxy ends it */
        ngx_post_event(us->user->read, &ngx_posted_next_events);
    }

    if (failed) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "%ui of %ui sessions of UDP go on in this process, "
                      "the others begin anew", n, udp->nsessions);
    }
}


static ngx_int_t
ngx_trp_entry_udp_connect(ngx_connection_t *c)
{
    int               value;
    ngx_socket_t      s;
    ngx_listening_t  *ls;

    ls = c->listening;

    s = ngx_socket(c->local_sockaddr->sa_family, SOCK_DGRAM, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NGX_ERROR;
    }

    value = 1;

    if (ngx_nonblocking(s) == -1
        || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(int)) == -1)
    {
        goto failed;
    }

#if (NGX_HAVE_INET6 && defined IPV6_V6ONLY)

    value = ls->ipv6only;

    if (c->local_sockaddr->sa_family == AF_INET6
        && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(int)) == -1)
    {
        goto failed;
    }

#endif

    if (ls->rcvbuf != -1) {
        (void) setsockopt(s, SOL_SOCKET, SO_RCVBUF, &ls->rcvbuf, sizeof(int));
    }

    if (ls->sndbuf != -1) {
        (void) setsockopt(s, SOL_SOCKET, SO_SNDBUF, &ls->sndbuf, sizeof(int));
    }

    /* below 1024 this takes a privilege */

    if (bind(s, c->local_sockaddr, c->local_socklen) == -1
        || connect(s, c->sockaddr, c->socklen) == -1)
    {
        goto failed;
    }

    ngx_trp_entry_udp_skip(s, c);

    ngx_delete_udp_connection(c);

    c->fd = s;
    c->shared = 0;
    c->recv = ngx_udp_recv;

    c->read->active = 0;
    c->read->ready = 0;
    c->write->active = 0;

    /* the proxy reads until there is nothing left */

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        return NGX_ERROR;
    }

    c->type = SOCK_STREAM;

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_INFO, c->log, ngx_socket_errno,
                  "no socket for a session of UDP");

    (void) ngx_close_socket(s);

    return NGX_ERROR;
}


/* between bind() and connect(), the kernel gave it what others sent */

static void
ngx_trp_entry_udp_skip(ngx_socket_t s, ngx_connection_t *c)
{
    u_char          buf[1];
    socklen_t       len;
    ngx_sockaddr_t  from;

    for ( ;; ) {
        len = sizeof(ngx_sockaddr_t);

        if (recvfrom(s, buf, 1, MSG_PEEK, &from.sockaddr, &len) == -1
            || ngx_cmp_sockaddr(&from.sockaddr, len, c->sockaddr, c->socklen,
                                1)
               == NGX_OK)
        {
            return;
        }

        (void) recv(s, buf, 1, 0);
    }
}
