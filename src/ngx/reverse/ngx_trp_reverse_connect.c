
/*
 * Copyright (C) the trp authors
 */


/*
 * The proxy connects to the destination: it is given all the addresses of a
 * name, and watched, so that the relay learns how it went.
 */


#include "reverse/ngx_trp_reverse_connect.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_fake.h"
#include "stock/ngx_trp_ends.h"


static void ngx_trp_reverse_offer(ngx_trp_reverse_ctx_t *ctx);
static ngx_int_t ngx_trp_reverse_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static void ngx_trp_reverse_watch(ngx_trp_reverse_ctx_t *ctx);
static ngx_msec_t ngx_trp_reverse_addr_time(ngx_trp_reverse_ctx_t *ctx);
static void ngx_trp_reverse_connect_handler(ngx_event_t *ev);
static void ngx_trp_reverse_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_trp_reverse_connected(ngx_trp_reverse_ctx_t *ctx,
    ngx_connection_t *pc);


/*
 * The proxy looks for upstreams in nginx's list.  This one is the worker's own:
 * its name changes with each session.  It needs no initialization.
 */

ngx_int_t
ngx_trp_reverse_init_several(ngx_cycle_t *cycle,
    ngx_trp_reverse_worker_t *worker)
{
    ngx_stream_conf_ctx_t             *ctx;
    ngx_stream_upstream_srv_conf_t    *us, **p;
    ngx_stream_upstream_main_conf_t   *umcf;

    umcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_stream_upstream_module);
    ctx = (ngx_stream_conf_ctx_t *) cycle->conf_ctx[ngx_stream_module.index];

    us = ngx_pcalloc(cycle->pool, sizeof(ngx_stream_upstream_srv_conf_t));
    p = ngx_array_push(&umcf->upstreams);

    if (us == NULL || p == NULL) {
        return NGX_ERROR;
    }

    us->srv_conf = ctx->srv_conf;
    us->file_name = (u_char *) "trp_reverse";
    us->peer.init = ngx_trp_reverse_init_peer;

    worker->several = us;
    *p = us;

    return NGX_OK;
}


/*
 * The destination has answered when the proxy calls "notify", or if it is
 * already connected when the proxy's handler returns.
 */

void
ngx_trp_reverse_connect(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_uint_t                 closed;
    ngx_stream_session_t      *s;
    ngx_stream_upstream_t     *u;
    ngx_trp_reverse_worker_t  *worker;

    s = ctx->session;
    worker = ctx->worker;

    closed = 0;
    ctx->closed = &closed;

    ngx_trp_reverse_offer(ctx);
    ngx_trp_stream_keep(&ctx->stream);

    ctx->conf->handler(s);

    ngx_str_null(&worker->several->host);

    if (closed) {
        return;
    }

    ctx->closed = NULL;

    u = s->upstream;

    if (u == NULL) {
        return;
    }

    if (u->connected) {
        ngx_trp_reverse_connected(ctx, u->peer.connection);
        ngx_trp_fake_wake(s->connection->read);
        return;
    }

    ctx->notify = u->peer.notify;
    u->peer.notify = ngx_trp_reverse_notify;

    ngx_trp_reverse_watch(ctx);
}


/*
 * The proxy takes the value of "proxy_pass" for one address, unless there is an
 * upstream of this name.  So there is one, with all the addresses, while the
 * proxy looks it up.
 */

static void
ngx_trp_reverse_offer(ngx_trp_reverse_ctx_t *ctx)
{
    u_char                          *colon;
    ngx_stream_upstream_srv_conf_t  *us;

    if (ctx->addrs.nelts < 2) {
        return;
    }

    us = ctx->worker->several;
    colon = ctx->destination.data + ctx->destination.len;

    do {
        colon--;
    } while (*colon != ':');

    us->host.data = ctx->destination.data;
    us->host.len = colon - ctx->destination.data;
    us->port = ctx->port;
}


static ngx_int_t
ngx_trp_reverse_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_reverse_ctx_t           *ctx;
    ngx_stream_upstream_resolved_t  *ur;

    ctx = ngx_trp_reverse_get_ctx(s);
    ctx->several = 1;

    ur = s->upstream->resolved;

    ur->sockaddr = NULL;
    ur->addrs = ctx->addrs.elts;
    ur->naddrs = ctx->addrs.nelts;

    return ngx_stream_upstream_create_round_robin_peer(s, ur);
}


/* connect() is under way */

static void
ngx_trp_reverse_watch(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_msec_t              time;
    ngx_connection_t       *c;
    ngx_stream_upstream_t  *u;

    u = ctx->session->upstream;
    c = u->peer.connection;

    if (c == NULL || u->connected) {
        return;
    }

    if (!ctx->stream.ops->udp) {

        /* nor is an abort during connect() a clean end */
        ngx_trp_ends_arm(c);
        ctx->armed = c->number;
    }

    ctx->connect = c->write->handler;

    c->read->handler = ngx_trp_reverse_connect_handler;
    c->write->handler = ngx_trp_reverse_connect_handler;

    time = ngx_trp_reverse_addr_time(ctx);

    if (time) {
        ngx_add_timer(c->write, time);
    }
}


/* 0: no limit but the proxy's own */

static ngx_msec_t
ngx_trp_reverse_addr_time(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_flag_t            *next;
    ngx_msec_t             time, *timeout;
    ngx_stream_session_t  *s;

    s = ctx->session;

    if (!ctx->several || s->upstream->peer.tries < 2) {
        return 0;
    }

    next = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                               "proxy_next_upstream");
    timeout = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                                  "proxy_connect_timeout");

    if (next == NULL || !*next || timeout == NULL) {
        return 0;
    }

    time = ngx_trp_connect_patience(ctx->addrs.nelts);

    return (time < *timeout) ? time : 0;
}


/*
 * The proxy is about to learn how connect() ended.  The socket tells an error
 * only once: it is read and logged here, and to the proxy it is a timeout.
 */

static void
ngx_trp_reverse_connect_handler(ngx_event_t *ev)
{
    ngx_err_t               err;
    ngx_uint_t              closed;
    ngx_connection_t       *c;
    ngx_atomic_uint_t       number;
    ngx_event_handler_pt    handler;
    ngx_stream_upstream_t  *u;
    ngx_trp_reverse_ctx_t  *ctx;

    c = ev->data;
    ctx = ngx_trp_reverse_get_ctx(c->data);
    handler = ctx->connect;
    number = c->number;

    c->read->handler = handler;
    c->write->handler = handler;

    err = ev->timedout ? 0 : ngx_trp_connect_error(c);

    if (ev->timedout) {
        ctx->stream.code = TRP_CODE_TIMED_OUT;

    } else if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");

        ctx->stream.code = ngx_trp_reverse_error_code(err);
        ctx->silent.log_level = NGX_LOG_STDERR;

        c->log = &ctx->silent;
        ev->timedout = 1;
    }

    closed = 0;
    ctx->closed = &closed;

    handler(ev);

    if (closed) {
        return;
    }

    ctx->closed = NULL;

    u = ctx->session->upstream;

    /* the proxy may have gone on to the next address */

    if (u->peer.connection && u->peer.connection->number != number) {
        ngx_trp_reverse_watch(ctx);
    }
}


static void
ngx_trp_reverse_notify(ngx_peer_connection_t *pc, void *data, ngx_uint_t type)
{
    ngx_stream_session_t   *s;
    ngx_trp_reverse_ctx_t  *ctx;

    s = pc->connection->data;
    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx->notify) {
        ctx->notify(pc, data, type);
    }

    if (type == NGX_STREAM_UPSTREAM_NOTIFY_CONNECT) {
        ngx_trp_reverse_connected(ctx, pc->connection);
    }
}


static void
ngx_trp_reverse_connected(ngx_trp_reverse_ctx_t *ctx, ngx_connection_t *pc)
{
    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    if (st->ops->udp) {

        if (st->in != NGX_TRP_STREAM_OPEN) {
            ngx_trp_fake_wake(st->connection->read);
            return;
        }

        st->code = TRP_CODE_NONE;
        ngx_trp_stream_accept(st);
        return;
    }

    ngx_trp_stream_check(st);

    if (st->in == NGX_TRP_STREAM_ABORTED) {
        ngx_trp_ends_reset(pc);
        return;
    }

    ngx_trp_ends_proxied(pc);

    if (st->consumed) {
        ngx_trp_ends_disarm(pc);

    } else if (ctx->armed != pc->number) {
        ngx_trp_ends_arm(pc);
    }

    /* the previous address may have failed */
    st->code = TRP_CODE_NONE;

    if (ctx->several) {
        ctx->destination = *ctx->session->upstream->peer.name;
    }

    ngx_trp_stream_accept(st);
}
