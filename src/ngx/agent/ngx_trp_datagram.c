
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream of UDP that is written and read here, and not by a proxy: how it is
 * opened, receives datagrams, and ends.
 */


#include "agent/ngx_trp_datagram.h"
#include "agent/ngx_trp_stream_udp.h"

#include <sodium.h>


static ngx_trp_source_t *ngx_trp_datagram_relay(ngx_trp_datagram_t *dg);
static ngx_trp_source_t *ngx_trp_datagram_home(ngx_trp_datagram_t *dg);
static void ngx_trp_datagram_free(ngx_trp_datagram_t *dg);
static ngx_int_t ngx_trp_datagram_frame(ngx_trp_datagram_t *dg,
    trp_open_t *open);
static void ngx_trp_datagram_read_handler(ngx_event_t *rev);
static ngx_connection_t *ngx_trp_datagram_other(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_datagram_elsewhere(ngx_trp_stream_t *st);
static void ngx_trp_datagram_reroute(ngx_trp_stream_t *st);
static void ngx_trp_datagram_nothing(ngx_trp_stream_t *st);


static const ngx_trp_stream_handlers_t  ngx_trp_datagram_handlers = {
    ngx_trp_datagram_other,
    ngx_trp_datagram_reroute,
    ngx_trp_datagram_elsewhere,
    NULL,
    ngx_trp_datagram_nothing,
    ngx_trp_datagram_nothing
};


ngx_int_t
ngx_trp_datagram_open(ngx_trp_datagram_t *dg, ngx_socket_t fd,
    trp_open_t *open)
{
    ngx_trp_stream_t  *st;

    st = &dg->stream;

    st->entry = 1;
    st->ops = &ngx_trp_stream_udp_ops;
    st->handlers = &ngx_trp_datagram_handlers;
    st->data = dg;

    randombytes_buf(st->id, TRP_STREAM_ID_LEN);
    ngx_memcpy(open->id, st->id, TRP_STREAM_ID_LEN);

    open->proto = TRP_PROTO_UDP;

    st->source = dg->near ? ngx_trp_datagram_home(dg)
                          : ngx_trp_datagram_relay(dg);
    if (st->source == NULL) {
        return NGX_ERROR;
    }

    if (ngx_trp_datagram_frame(dg, open) != NGX_OK
        || ngx_trp_stream_create(st, fd, dg->log) != NGX_OK)
    {
        ngx_trp_datagram_free(dg);
        return NGX_ERROR;
    }

    st->connection->read->handler = ngx_trp_datagram_read_handler;

    ngx_trp_stream_open(st, dg->timeout);

    return NGX_OK;
}


static ngx_trp_source_t *
ngx_trp_datagram_relay(ngx_trp_datagram_t *dg)
{
    dg->pool = ngx_trp_relays_choose(dg->relays);

    if (dg->pool == NULL) {
        ngx_log_error(NGX_LOG_ERR, dg->log, 0, "no relay in upstream \"%V\"",
                      &dg->relays->upstream->host);
        return NULL;
    }

    return &dg->pool->source;
}


static ngx_trp_source_t *
ngx_trp_datagram_home(ngx_trp_datagram_t *dg)
{
    ngx_uint_t         code;
    ngx_trp_source_t  *source;

    dg->home = ngx_calloc(sizeof(ngx_trp_home_t), dg->log);
    if (dg->home == NULL) {
        return NULL;
    }

    dg->home->local.group = dg->group;
    dg->home->local.id = dg->stream.id;
    dg->home->local.log = dg->log;

    source = ngx_trp_home_enter(dg->home, dg->near, &code);

    if (source == NULL) {
        ngx_trp_datagram_free(dg);
    }

    return source;
}


static void
ngx_trp_datagram_free(ngx_trp_datagram_t *dg)
{
    if (dg->home) {
        ngx_trp_home_leave(dg->home);

        ngx_free(dg->home);
        dg->home = NULL;
    }

    if (dg->memory) {
        ngx_free(dg->memory);
        dg->memory = NULL;
    }
}


/* the OPEN frame, followed by the destination as text, for the log */

static ngx_int_t
ngx_trp_datagram_frame(ngx_trp_datagram_t *dg, trp_open_t *open)
{
    u_char             frame[NGX_TRP_OPEN_MAX], *p, text[TRP_ADDR_TEXT_LEN];
    size_t             len;
    trp_str_t          host;
    ngx_trp_stream_t  *st;

    st = &dg->stream;

    len = trp_open_put(frame, open) - frame;
    host = open->host;

    if (open->addr.family) {
        host.len = trp_addr_text(text, &open->addr);
        host.data = text;
    }

    p = ngx_alloc(len + host.len + sizeof("[]:65535") - 1, dg->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    dg->memory = p;

    st->early.open = p;
    st->early.open_len = len;

    p = ngx_cpymem(p, frame, len);

    st->destination.data = p;
    st->destination.len = ngx_sprintf(p, (open->addr.family == 6) ? "[%*s]:%ui"
                                                                  : "%*s:%ui",
                                      host.len, host.data,
                                      (ngx_uint_t) open->port)
                          - p;

    return NGX_OK;
}


static void
ngx_trp_datagram_read_handler(ngx_event_t *rev)
{
    u_char               buf[TRP_DATA_MAX];
    ssize_t              n;
    ngx_uint_t           code;
    ngx_connection_t    *c;
    ngx_trp_datagram_t  *dg;

    c = rev->data;
    dg = ngx_trp_stream_of(c)->data;

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            return;
        }

        if (n == NGX_ERROR) {
            break;
        }

        dg->received(dg, buf, n);
    }

    code = dg->stream.code;

    ngx_trp_datagram_close(dg);

    dg->closed(dg, code);
}


ngx_int_t
ngx_trp_datagram_send(ngx_trp_datagram_t *dg, u_char *p, size_t len)
{
    ngx_connection_t  *c;

    c = dg->stream.connection;

    return (c->send(c, p, len) == NGX_AGAIN) ? NGX_DECLINED : NGX_OK;
}


void
ngx_trp_datagram_close(ngx_trp_datagram_t *dg)
{
    ngx_trp_stream_close(&dg->stream, NULL);

    ngx_close_connection(dg->stream.connection);

    ngx_trp_datagram_free(dg);
}


static ngx_connection_t *
ngx_trp_datagram_other(ngx_trp_stream_t *st)
{
    return NULL;
}


static ngx_uint_t
ngx_trp_datagram_elsewhere(ngx_trp_stream_t *st)
{
    ngx_trp_datagram_t  *dg;

    dg = st->data;

    return !dg->home && ngx_trp_relays_other(dg->relays, dg->pool) != NULL;
}


static void
ngx_trp_datagram_reroute(ngx_trp_stream_t *st)
{
    ngx_uint_t           leave;
    ngx_trp_pool_t      *pool;
    ngx_trp_datagram_t  *dg;

    dg = st->data;

    leave = st->tries.leave;
    st->tries.leave = 0;

    if (dg->home) {
        st->source = ngx_trp_home_reroute(dg->home);
        return;
    }

    if (!leave && ngx_trp_pool_alive(dg->pool)) {
        return;
    }

    pool = ngx_trp_relays_other(dg->relays, dg->pool);

    if (pool) {
        dg->pool = pool;
        st->source = &pool->source;
    }
}


static void
ngx_trp_datagram_nothing(ngx_trp_stream_t *st)
{
}
