
/*
 * Copyright (C) the trp authors
 */


/*
 * The connection of a tunnel between two workers.
 */


#include "tunnel/ngx_trp_near.h"
#include "tunnel/ngx_trp_transport_unix.h"


#define NGX_TRP_NEAR_POOL  1024


static ngx_int_t ngx_trp_near_connection(ngx_connection_t *c, ngx_log_t *from);


ngx_int_t
ngx_trp_near_pair(ngx_socket_t *fds, ngx_log_t *log)
{
    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0, fds)
        == -1)
    {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_socket_errno,
                      "socketpair() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_trp_tunnel_t *
ngx_trp_near_create(ngx_socket_t fd, size_t size, ngx_trp_tunnels_t *tunnels,
    const ngx_trp_tunnel_handlers_t *handlers, ngx_uint_t relay,
    ngx_msec_t heartbeat, ngx_log_t *log)
{
    void              *data;
    ngx_pool_t        *pool;
    ngx_connection_t  *c;
    ngx_trp_tunnel_t  *t;

    c = ngx_get_connection(fd, log);

    if (c == NULL) {
        (void) ngx_close_socket(fd);
        return NULL;
    }

    pool = ngx_create_pool(NGX_TRP_NEAR_POOL, log);

    if (pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    c->pool = pool;

    t = NULL;
    data = ngx_pcalloc(pool, size);

    if (data && ngx_trp_near_connection(c, log) == NGX_OK) {
        t = ngx_trp_tunnel_create(ngx_trp_transport_unix_create(c,
                                                              &tunnels->bio),
                                  tunnels, handlers, data, relay, heartbeat);
    }

    if (t == NULL || ngx_trp_tunnel_start(t) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_close_connection(c);
        ngx_destroy_pool(pool);
        return NULL;
    }

    trp_tunnel_trust(&t->state);
    ngx_trp_tunnel_watch(t);

    c->read->ready = 1;
    ngx_post_event(c->read, &ngx_posted_events);

    return t;
}


static ngx_int_t
ngx_trp_near_connection(ngx_connection_t *c, ngx_log_t *from)
{
    ngx_log_t  *log;

    log = ngx_palloc(c->pool, sizeof(ngx_log_t));
    if (log == NULL) {
        return NGX_ERROR;
    }

    c->type = SOCK_STREAM;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;
    ngx_str_set(&c->addr_text, "unix:");

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    *log = *from;
    log->connection = c->number;
    log->handler = NULL;
    log->data = NULL;
    log->action = NULL;

    c->log = log;
    c->log_error = NGX_ERROR_INFO;
    c->pool->log = log;
    c->read->log = log;
    c->write->log = log;

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;

    c->write->ready = 1;

    return NGX_OK;
}
