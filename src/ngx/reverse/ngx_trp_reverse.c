
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream that the relay opens becomes a client of the server: how its session
 * is made, and what the relay is told about its end.
 */


#include "reverse/ngx_trp_reverse.h"
#include "agent/ngx_trp_stream_tcp.h"
#include "agent/ngx_trp_stream_udp.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_connect.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/trp_publish.h"


/* a session of UDP begins with its first datagram */
#define NGX_TRP_REVERSE_FIRST_TIME  30000


static void ngx_trp_reverse_abandon(ngx_trp_link_t *link,
    ngx_uint_t code, ngx_uint_t retry);
static ngx_int_t ngx_trp_reverse_find_service(ngx_trp_link_t *link,
    trp_open_t *open);
static const trp_publish_t *ngx_trp_reverse_get_service(
    const ngx_trp_reverse_conf_t *conf, trp_open_t *open);
static ngx_trp_reverse_ctx_t *ngx_trp_reverse_create_stream(
    ngx_trp_link_t *link, trp_open_t *open);
static ngx_int_t ngx_trp_reverse_set_names(ngx_trp_reverse_ctx_t *ctx,
    ngx_pool_t *pool, trp_open_t *open);
static ngx_int_t ngx_trp_reverse_init_connection(ngx_connection_t *c,
    trp_open_t *open);
static void ngx_trp_reverse_udp_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_reverse_udp_first(ngx_connection_t *c);
static void ngx_trp_reverse_cleanup(void *data);
static ngx_uint_t ngx_trp_reverse_timed_out(ngx_stream_session_t *s);
static ngx_uint_t ngx_trp_reverse_no_route(ngx_trp_reverse_ctx_t *ctx);
static ngx_connection_t *ngx_trp_reverse_destination(ngx_trp_stream_t *st);


static const ngx_trp_stream_handlers_t  ngx_trp_reverse_stream_handlers = {
    ngx_trp_reverse_destination,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL
};


/* the relay opens a stream: it becomes a client of this server */

void
ngx_trp_reverse_open(ngx_trp_link_t *link, trp_open_t *open)
{
    ngx_uint_t              udp, tcp, known, full, published;
    ngx_connection_t       *c;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = NULL;
    published = (open->proto == TRP_PROTO_PUBLISHED);

    if (published && ngx_trp_reverse_find_service(link, open) != NGX_OK) {
        return;
    }

    udp = (open->proto == TRP_PROTO_UDP);
    tcp = ((open->proto & ~TRP_PROTO_UNIX) == TRP_PROTO_TCP);

    known = (open->flags & TRP_OPEN_AGAIN)
            && ngx_trp_stream_known(link->pool->agent, open->id);

    /* streams of UDP leave half of the tunnels to those of TCP */

    full = (udp && link->pool->agent->ndatagrams
                   >= ngx_max(link->pool->agent->limit / 2, 1));

    if (full) {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "%ui streams of UDP are half of what there may be, "
                      "stream: %s", link->pool->agent->ndatagrams,
                      ngx_trp_id_text(open->id).data);

    } else if (known) {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "stream was opened before, and accepted, stream: %s",
                      ngx_trp_id_text(open->id).data);

    } else if (tcp || (udp && !ngx_exiting)) {

        /* nginx ends sessions of UDP in a worker that exits */

        ctx = ngx_trp_reverse_create_stream(link, open);
    }

    if (ctx == NULL) {
        ngx_trp_reverse_abandon(link, full ? TRP_CODE_LIMIT : TRP_CODE_FAILED,
                                (tcp || udp) && !known);
        return;
    }

    ctx->published = published;

    ngx_trp_stream_attach(&ctx->stream, link->tunnel);

    c = ctx->stream.connection;

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp stream %s: is a %s connection to \"%V\"",
                   ngx_trp_id_text(open->id).data, udp ? "UDP" : "TCP",
                   &ctx->destination);

    /* DATA may already be here, after OPEN */
    c->read->ready = 1;

    if (udp) {
        c->read->handler = ngx_trp_reverse_udp_handler;
        ngx_add_timer(c->read, NGX_TRP_REVERSE_FIRST_TIME);
        ngx_post_event(c->read, &ngx_posted_events);
        return;
    }

    ngx_trp_listener_accept(ctx->conf->listener, c);
}


/* there is no session that could be refused */

static void
ngx_trp_reverse_abandon(ngx_trp_link_t *link, ngx_uint_t code,
    ngx_uint_t retry)
{
    trp_refuse_t        refuse;
    ngx_trp_reverse_t  *reverse;

    ngx_memzero(&refuse, sizeof(trp_refuse_t));

    refuse.code = (uint8_t) code;
    refuse.retry = (uint8_t) retry;

    ngx_trp_tunnel_abandon(link->tunnel, &refuse, 1);

    reverse = link->pool->data;

    ngx_trp_status_count(&reverse->row, NGX_TRP_STREAMS_OPENED, 1);
    ngx_trp_flow_refused(&reverse->row, code);
}


/* OPEN gets the destination that "trp_reverse_publish" has for the service */

static ngx_int_t
ngx_trp_reverse_find_service(ngx_trp_link_t *link, trp_open_t *open)
{
    ngx_trp_reverse_t    *reverse;
    const trp_publish_t  *publish;

    reverse = link->pool->data;

    publish = link->publishes ? ngx_trp_reverse_get_service(reverse->conf, open)
                              : NULL;

    if (publish) {
        open->proto = TRP_PROTO_TCP;
        open->addr = publish->addr;
        open->host = publish->host;
        open->port = publish->port;

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                  "\"%*s\" is not published here, port %d, stream: %s",
                  open->host.len, open->host.data, (int) open->port,
                  ngx_trp_id_text(open->id).data);

    ngx_trp_reverse_abandon(link, TRP_CODE_NOT_PUBLISHED, 1);

    return NGX_DECLINED;
}


static const trp_publish_t *
ngx_trp_reverse_get_service(const ngx_trp_reverse_conf_t *conf,
    trp_open_t *open)
{
    ngx_uint_t            i;
    const trp_publish_t  *publish;

    if (conf->publish == NULL) {
        return NULL;
    }

    publish = conf->publish->elts;

    for (i = 0; i < conf->publish->nelts; i++) {

        if (open->addr.family
            ? trp_service_port(publish[i].name) == open->port
            : trp_name_equal(publish[i].name, open->host))
        {
            return &publish[i];
        }
    }

    return NULL;
}


static ngx_trp_reverse_ctx_t *
ngx_trp_reverse_create_stream(ngx_trp_link_t *link, trp_open_t *open)
{
    ngx_log_t              *log;
    ngx_pool_t             *pool;
    ngx_connection_t       *c;
    ngx_trp_reverse_t      *reverse;
    ngx_pool_cleanup_t     *cln;
    ngx_trp_reverse_ctx_t  *ctx;

    pool = ngx_create_pool(1024, link->pool->log);
    if (pool == NULL) {
        return NULL;
    }

    ctx = ngx_pcalloc(pool, sizeof(ngx_trp_reverse_ctx_t));
    log = ngx_palloc(pool, sizeof(ngx_log_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (ctx == NULL || log == NULL || cln == NULL) {
        goto failed;
    }

    *log = *link->pool->log;

    reverse = link->pool->data;

    ctx->conf = reverse->conf;
    ctx->worker = reverse->worker;
    ctx->row = &reverse->row;

    if (ngx_trp_reverse_set_names(ctx, pool, open) != NGX_OK) {
        goto failed;
    }

    ctx->stream.ops = (open->proto == TRP_PROTO_UDP)
                      ? &ngx_trp_stream_udp_ops : &ngx_trp_stream_tcp_ops;
    ctx->stream.handlers = &ngx_trp_reverse_stream_handlers;
    ctx->stream.source = &link->pool->source;
    ctx->stream.agent = link->pool->agent;
    ctx->stream.data = ctx;

    if (ngx_trp_stream_create(&ctx->stream, ctx->worker->fd, log) != NGX_OK) {
        goto failed;
    }

    c = ctx->stream.connection;

    c->pool = pool;
    pool->log = log;
    log->connection = c->number;

    if (ngx_trp_reverse_init_connection(c, open) != NGX_OK) {
        ngx_trp_stream_close(&ctx->stream, NULL);
        ngx_close_connection(c);
        goto failed;
    }

    cln->handler = ngx_trp_reverse_cleanup;
    cln->data = ctx;

    return ctx;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* the strings of OPEN are gone with the frame, so they are copied */

static ngx_int_t
ngx_trp_reverse_set_names(ngx_trp_reverse_ctx_t *ctx, ngx_pool_t *pool,
    trp_open_t *open)
{
    u_char            *p;
    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    ctx->addr = open->addr;
    ctx->port = open->port;

    if (open->addr.family) {
        p = ngx_pnalloc(pool, TRP_ADDR_TEXT_LEN);
        ctx->host.len = p ? trp_addr_text(p, &open->addr) : 0;

    } else {
        p = ngx_pnalloc(pool, open->host.len);
        ctx->host.len = open->host.len;

        if (p) {
            ngx_memcpy(p, open->host.data, open->host.len);
        }
    }

    ctx->host.data = p;

    st->name.len = open->name.len;
    st->name.data = ngx_pnalloc(pool, open->name.len);

    if (p == NULL || st->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(st->name.data, open->name.data, open->name.len);
    ngx_memcpy(st->id, open->id, TRP_STREAM_ID_LEN);

    ctx->destination = ngx_trp_host_port(pool, &ctx->host, ctx->port);
    st->destination = ctx->destination;

    return ctx->destination.data ? NGX_OK : NGX_ERROR;
}


/* to nginx, it comes from the user, and to the address the user came to */

static ngx_int_t
ngx_trp_reverse_init_connection(ngx_connection_t *c, trp_open_t *open)
{
    ngx_sockaddr_t  *sa, *local;

    sa = ngx_palloc(c->pool, sizeof(ngx_sockaddr_t));
    local = ngx_palloc(c->pool, sizeof(ngx_sockaddr_t));
    c->addr_text.data = ngx_pnalloc(c->pool, NGX_SOCKADDR_STRLEN);

    if (sa == NULL || local == NULL || c->addr_text.data == NULL) {
        return NGX_ERROR;
    }

    c->socklen = ngx_trp_addr_to_sockaddr(sa, &open->user, open->user_port);
    c->sockaddr = &sa->sockaddr;

    c->local_socklen = ngx_trp_addr_to_sockaddr(local, &open->local,
                                                open->local_port);
    c->local_sockaddr = &local->sockaddr;

    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);

    return NGX_OK;
}


/* as in nginx, a session begins when its first datagram is there */

static void
ngx_trp_reverse_udp_handler(ngx_event_t *rev)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_connection_t       *c;
    ngx_trp_reverse_ctx_t  *ctx;

    c = rev->data;

    rc = (rev->timedout || c->close) ? NGX_ERROR
                                     : ngx_trp_reverse_udp_first(c);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_ERROR) {
        pool = c->pool;

        ngx_close_connection(c);
        ngx_destroy_pool(pool);

        return;
    }

    ngx_del_timer(rev);

    ctx = ngx_trp_stream_of(c)->data;

    /* the proxy's buffer may be smaller than the one used here */
    ctx->stream.part.room = 0;

    ngx_trp_listener_accept(ctx->conf->listener, c);
}


static ngx_int_t
ngx_trp_reverse_udp_first(ngx_connection_t *c)
{
    u_char   buf[TRP_DATA_MAX];
    ssize_t  n;

    n = c->recv(c, buf, sizeof(buf));

    if (n == NGX_AGAIN || n == NGX_ERROR) {
        return n;
    }

    c->buffer = ngx_create_temp_buf(c->pool, n);
    if (c->buffer == NULL) {
        return NGX_ERROR;
    }

    c->buffer->last = ngx_cpymem(c->buffer->last, buf, n);

    return NGX_OK;
}


static void
ngx_trp_reverse_cleanup(void *data)
{
    ngx_trp_reverse_ctx_t *ctx = data;

    trp_refuse_t  refuse;

    if (ctx->closed) {
        *ctx->closed = 1;
    }

    if (ctx->resolving) {
        ngx_trp_lookup_cancel(&ctx->lookup);
    }

    ngx_memzero(&refuse, sizeof(trp_refuse_t));

    refuse.code = (uint8_t) ngx_trp_reverse_code(ctx);

    /* another reverse may be allowed or able to connect */
    refuse.retry = 1;

    ngx_trp_stream_close(&ctx->stream, &refuse);
}


void
ngx_trp_reverse_begin(ngx_trp_reverse_ctx_t *ctx, ngx_stream_session_t *s)
{
    ctx->session = s;
    ctx->flow.rows[0] = ctx->row;

    ngx_trp_flow_begin(&ctx->worker->flows, &ctx->flow, s);
}


void
ngx_trp_reverse_end(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_trp_flow_end(&ctx->flow);

    if (!ctx->stream.accepted && !ctx->stream.why) {
        ngx_trp_flow_refused(ctx->row, ngx_trp_reverse_code(ctx));
    }
}


/* why a session ended before its destination answered */

ngx_uint_t
ngx_trp_reverse_code(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_stream_session_t  *s;

    if (ctx->stream.code) {
        return ctx->stream.code;
    }

    s = ctx->session;

    if (s == NULL || ctx->stream.accepted) {
        return TRP_CODE_FAILED;
    }

    switch (s->status) {

    case NGX_STREAM_FORBIDDEN:
        return TRP_CODE_NOT_ALLOWED;

    case NGX_STREAM_SERVICE_UNAVAILABLE:
        return TRP_CODE_LIMIT;

    case NGX_STREAM_BAD_GATEWAY:
        return ngx_trp_reverse_timed_out(s) ? TRP_CODE_TIMED_OUT
                                            : ngx_trp_reverse_no_route(ctx);
    }

    return TRP_CODE_FAILED;
}


static ngx_uint_t
ngx_trp_reverse_timed_out(ngx_stream_session_t *s)
{
    ngx_msec_t  *timeout;

    timeout = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                                  "proxy_connect_timeout");

    return timeout && s->upstream && s->upstream->state
           && s->upstream->state->response_time >= *timeout;
}


/* connect() failed at once, and the proxy does not say why */

static ngx_uint_t
ngx_trp_reverse_no_route(ngx_trp_reverse_ctx_t *ctx)
{
    socklen_t       len;
    ngx_sockaddr_t  sa;

    if (ctx->addr.family == 0) {
        return TRP_CODE_REFUSED;
    }

    len = ngx_trp_addr_to_sockaddr(&sa, &ctx->addr, ctx->port);

    return ngx_trp_reverse_error_code(ngx_trp_connect_way(&sa.sockaddr, len));
}


ngx_uint_t
ngx_trp_reverse_error_code(ngx_err_t err)
{
    switch (err) {

    case NGX_ENETUNREACH:
        return TRP_CODE_NET_UNREACHABLE;

    case NGX_EHOSTUNREACH:
        return TRP_CODE_HOST_UNREACHABLE;

    case NGX_ETIMEDOUT:
        return TRP_CODE_TIMED_OUT;

    default:
        return TRP_CODE_REFUSED;
    }
}


static ngx_connection_t *
ngx_trp_reverse_destination(ngx_trp_stream_t *st)
{
    ngx_trp_reverse_ctx_t  *ctx;
    ngx_stream_upstream_t  *u;

    ctx = st->data;

    if (ctx->session == NULL) {
        return NULL;
    }

    u = ctx->session->upstream;

    return (u && u->connected) ? u->peer.connection : NULL;
}


ngx_trp_reverse_ctx_t *
ngx_trp_reverse_get_ctx(ngx_stream_session_t *s)
{
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_of(s->connection);

    return st ? st->data : NULL;
}
