
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections without a socket, for nginx's proxy to read from and write to.
 */


#include "base/ngx_trp_fake.h"


static void ngx_trp_fake_init(ngx_connection_t *c, ngx_log_t *log);
static void ngx_trp_fake_empty_handler(ngx_event_t *ev);


ngx_socket_t
ngx_trp_fake_socket(ngx_log_t *log)
{
    ngx_socket_t  s;

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "trp needs \"use epoll\" or \"use kqueue\"");
        return (ngx_socket_t) -1;
    }

    s = ngx_socket(AF_UNIX, SOCK_STREAM, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      ngx_socket_n " failed");
    }

    return s;
}


ngx_connection_t *
ngx_trp_fake_connection(ngx_socket_t fd, ngx_log_t *log)
{
    ngx_err_t          err;
    ngx_uint_t         level;
    ngx_socket_t       s;
    ngx_connection_t  *c;

    /*
     * nginx needs a descriptor for its table, and shuts it down and closes
     * it; each connection has its own dup, so that closing leaves the socket
     */

    s = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (s == (ngx_socket_t) -1) {
        err = ngx_errno;
        level = (err == NGX_EMFILE || err == NGX_ENFILE) ? NGX_LOG_CRIT
                                                         : NGX_LOG_ALERT;

        ngx_log_error(level, log, err, "fcntl(F_DUPFD_CLOEXEC) failed");
        return NULL;
    }

    c = ngx_get_connection(s, log);

    if (c == NULL) {
        if (ngx_close_socket(s) == -1) {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                          ngx_close_socket_n " failed");
        }

        return NULL;
    }

    ngx_trp_fake_init(c, log);

    return c;
}


ngx_connection_t *
ngx_trp_fake_shared(ngx_socket_t fd, ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, log);

    if (c) {
        c->shared = 1;
        ngx_trp_fake_init(c, log);
    }

    return c;
}


static void
ngx_trp_fake_init(ngx_connection_t *c, ngx_log_t *log)
{
    c->type = SOCK_STREAM;

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    /* an active event is never added to epoll */
    c->read->active = 1;
    c->write->active = 1;
    c->write->ready = 1;

    c->read->handler = ngx_trp_fake_empty_handler;
    c->write->handler = ngx_trp_fake_empty_handler;

    c->read->log = log;
    c->write->log = log;

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;
}


void
ngx_trp_fake_wake(ngx_event_t *ev)
{
    ev->ready = 1;

    if (!ev->posted) {
        ngx_post_event(ev, &ngx_posted_events);
    }
}


static void
ngx_trp_fake_empty_handler(ngx_event_t *ev)
{
}
