
/*
 * Copyright (C) the trp authors
 */


/*
 * Forwards resets as resets: SO_LINGER {1, 0} is armed on both connections,
 * and disarmed by a clean end of the other one.  c->recv is wrapped to detect
 * that end, resets under TLS, and urgent data.
 */


#include "stock/ngx_trp_ends.h"
#include "stock/ngx_trp_buffer.h"

#include <netinet/tcp.h>


static ssize_t ngx_trp_ends_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_trp_ends_recv_inline(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_trp_ends_recv_proxied(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_trp_ends_set_linger(ngx_connection_t *c, int on);


void
ngx_trp_ends_watch(ngx_stream_session_t *s)
{
    ngx_connection_t  *c, *pc;

    c = s->connection;
    pc = s->upstream->peer.connection;

    ngx_trp_ends_arm(c);
    ngx_trp_ends_arm(pc);

    ngx_trp_ends_inline(c);
    ngx_trp_ends_inline(pc);

    c->recv = ngx_trp_ends_recv;
    pc->recv = ngx_trp_ends_recv;
}


static ssize_t
ngx_trp_ends_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                n;
    ngx_connection_t      *other;
    ngx_stream_session_t  *s;

    ngx_trp_buffer_grow(c, &buf, size);

    n = c->ssl ? ngx_ssl_recv(c, buf, size)
               : ngx_trp_ends_recv_inline(c, buf, size);

    if (n > 0 || n == NGX_AGAIN) {
        return n;
    }

    s = c->data;
    other = (s->connection == c) ? s->upstream->peer.connection
                                 : s->connection;

    if (n == NGX_ERROR || ngx_trp_ends_was_reset(c)) {
        c->read->error = 1;
        ngx_trp_ends_reset(other);
        return NGX_ERROR;
    }

    ngx_trp_ends_disarm(other);

    return 0;
}


/* not for TLS, which reads until there is nothing left */

void
ngx_trp_ends_inline(ngx_connection_t *c)
{
    int  on;

    if (c->ssl) {
        return;
    }

    on = 1;

    if (setsockopt(c->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(int)) == -1) {
        ngx_connection_error(c, ngx_socket_errno,
                             "setsockopt(SO_OOBINLINE) failed");
    }

    c->recv = ngx_trp_ends_recv_inline;
}


/*
 * A read stops before an urgent byte.  nginx takes that for all there is, and
 * would wait for an event that has already occurred.
 */

static ssize_t
ngx_trp_ends_recv_inline(ngx_connection_t *c, u_char *buf, size_t size)
{
    int           mark;
    ssize_t       n;
    ngx_event_t  *rev;

    n = ngx_recv(c, buf, size);

    if (n <= 0 || (size_t) n == size) {
        return n;
    }

    rev = c->read;
    mark = 0;

    if (ioctl(c->fd, SIOCATMARK, &mark) == 0 && mark) {
        rev->ready = 1;
        rev->available = -1;
    }

    return n;
}


void
ngx_trp_ends_proxied(ngx_connection_t *c)
{
    ngx_trp_ends_inline(c);

    if (c->ssl == NULL) {
        c->recv = ngx_trp_ends_recv_proxied;
    }
}


static ssize_t
ngx_trp_ends_recv_proxied(ngx_connection_t *c, u_char *buf, size_t size)
{
    ngx_trp_buffer_grow(c, &buf, size);

    return ngx_trp_ends_recv_inline(c, buf, size);
}


void
ngx_trp_ends_arm(ngx_connection_t *c)
{
    ngx_trp_ends_set_linger(c, 1);
}


void
ngx_trp_ends_disarm(ngx_connection_t *c)
{
    ngx_trp_ends_set_linger(c, 0);
}


/*
 * The peer of this connection gets a reset at once, whatever the proxy does
 * with half-closed connections; "error" makes the proxy finalize the session.
 */

void
ngx_trp_ends_reset(ngx_connection_t *c)
{
    struct sockaddr  sa;

    if (c->error) {
        return;
    }

    ngx_trp_ends_arm(c);

    sa.sa_family = AF_UNSPEC;
    (void) connect(c->fd, &sa, sizeof(struct sockaddr));

    c->error = 1;
}


static void
ngx_trp_ends_set_linger(ngx_connection_t *c, int on)
{
    struct linger  linger;

    if (c->ssl) {

        /* close_notify would be a clean end */
        c->ssl->no_send_shutdown = on;
    }

    linger.l_onoff = on;
    linger.l_linger = 0;

    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
                   sizeof(struct linger))
        == -1)
    {
        ngx_connection_error(c, ngx_socket_errno,
                             "setsockopt(SO_LINGER) failed");
    }
}


ngx_uint_t
ngx_trp_ends_was_reset(ngx_connection_t *c)
{
#if (NGX_LINUX && NGX_STREAM_SSL && defined TCP_INFO)

    socklen_t        len;
    struct tcp_info  info;

    if (c->ssl == NULL
        || SSL_get_shutdown(c->ssl->connection) & SSL_RECEIVED_SHUTDOWN)
    {
        return 0;
    }

    len = sizeof(struct tcp_info);

    return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0
           && info.tcpi_state == TCP_CLOSE;

#else

    return 0;

#endif
}
