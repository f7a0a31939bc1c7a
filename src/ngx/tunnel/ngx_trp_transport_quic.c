
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on a stream of a QUIC connection, which keeps itself alive, has its
 * own acknowledgements, and sends by itself what streams have taken.
 */


#include "tunnel/ngx_trp_transport_quic.h"
#include "tunnel/trp_auth.h"
#include "tunnel/trp_wire.h"


#if (NGX_TRP_QUIC)


/* "given up", for the peer of a stream that is reset */

#define NGX_TRP_TRANSPORT_RESET  1


#define ngx_trp_transport_quic(tr)  trp_of(ngx_trp_transport_quic_t, base, tr)


static void ngx_trp_transport_quic_readable(ngx_trp_quic_stream_t *s);
static void ngx_trp_transport_quic_writable(ngx_trp_quic_stream_t *s);
static void ngx_trp_transport_quic_closed(ngx_trp_quic_stream_t *s,
    const ngx_trp_quic_why_t *why);
static void ngx_trp_transport_quic_wake(ngx_event_t *ev);

static ngx_int_t ngx_trp_transport_quic_start(ngx_trp_transport_t *tr);
static ssize_t ngx_trp_transport_quic_recv(ngx_trp_transport_t *tr,
    u_char *buf, size_t size);
static ssize_t ngx_trp_transport_quic_greeting(ngx_trp_transport_quic_t *tq);
static ssize_t ngx_trp_transport_quic_nothing(ngx_trp_transport_quic_t *tq,
    ssize_t n);
static const char *ngx_trp_transport_quic_failed(ngx_trp_transport_t *tr,
    ngx_uint_t quiet);
static ngx_uint_t ngx_trp_transport_quic_drained(ngx_trp_transport_t *tr);
static ssize_t ngx_trp_transport_quic_send(ngx_trp_transport_t *tr, u_char *p,
    size_t size);
static ngx_int_t ngx_trp_transport_quic_flush(ngx_trp_transport_t *tr);
static ngx_int_t ngx_trp_transport_quic_written(ngx_trp_transport_t *tr);
static size_t ngx_trp_transport_quic_unacknowledged(ngx_trp_transport_t *tr);
static void ngx_trp_transport_quic_keepalive(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static ngx_uint_t ngx_trp_transport_quic_lost(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static void ngx_trp_transport_quic_relax(ngx_trp_transport_t *tr,
    ngx_uint_t ended);
static ngx_int_t ngx_trp_transport_quic_exporter(ngx_trp_transport_t *tr,
    u_char *out);
static ngx_uint_t ngx_trp_transport_quic_reused(ngx_trp_transport_t *tr);
static void ngx_trp_transport_quic_reset(ngx_trp_transport_t *tr);
static void ngx_trp_transport_quic_close(ngx_trp_transport_t *tr,
    ngx_uint_t blocked);


static const ngx_trp_quic_stream_handlers_t  ngx_trp_transport_quic_handlers = {
    ngx_trp_transport_quic_readable,
    ngx_trp_transport_quic_writable,
    ngx_trp_transport_quic_closed
};


static const ngx_trp_transport_ops_t  ngx_trp_transport_quic_ops = {
    ngx_trp_transport_quic_start,
    ngx_trp_transport_quic_recv,
    ngx_trp_transport_quic_failed,
    ngx_trp_transport_quic_drained,
    ngx_trp_transport_quic_send,
    ngx_trp_transport_quic_flush,
    ngx_trp_transport_quic_written,
    ngx_trp_transport_quic_unacknowledged,
    ngx_trp_transport_quic_keepalive,
    ngx_trp_transport_quic_lost,
    ngx_trp_transport_quic_relax,
    ngx_trp_transport_quic_exporter,
    ngx_trp_transport_quic_reused,
    ngx_trp_transport_quic_reset,
    ngx_trp_transport_quic_close
};


static const ngx_trp_out_t  ngx_trp_transport_quic_out;


ngx_trp_transport_t *
ngx_trp_transport_quic_create(ngx_connection_t *c,
    ngx_trp_quic_stream_t *stream, ngx_uint_t relay)
{
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_pcalloc(c->pool, sizeof(ngx_trp_transport_quic_t));
    if (tq == NULL) {
        return NULL;
    }

    tq->base.ops = &ngx_trp_transport_quic_ops;
    tq->base.connection = c;
    tq->base.out = &ngx_trp_transport_quic_out;

    tq->stream = stream;
    tq->relay = relay;

    ngx_trp_quic_stream_set(stream, &ngx_trp_transport_quic_handlers, tq);

    return &tq->base;
}


static void
ngx_trp_transport_quic_readable(ngx_trp_quic_stream_t *s)
{
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_quic_stream_data(s);

    ngx_trp_transport_quic_wake(tq->base.connection->read);
}


static void
ngx_trp_transport_quic_writable(ngx_trp_quic_stream_t *s)
{
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_quic_stream_data(s);

    ngx_trp_transport_quic_wake(tq->base.connection->write);
}


static void
ngx_trp_transport_quic_closed(ngx_trp_quic_stream_t *s,
    const ngx_trp_quic_why_t *why)
{
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_quic_stream_data(s);

    tq->over = 1;
    tq->end = why->end;

    ngx_trp_transport_quic_wake(tq->base.connection->read);
}


static void
ngx_trp_transport_quic_wake(ngx_event_t *ev)
{
    ev->ready = 1;

    if (!ev->posted) {
        ngx_post_event(ev, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_trp_transport_quic_start(ngx_trp_transport_t *tr)
{
    u_char                     ping[TRP_HEADER_LEN];
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_transport_quic(tr);

    tr->connection->read->ready = 1;
    tr->connection->write->ready = 1;

    if (tq->relay) {
        tq->greeting = TRP_HEADER_LEN;
        return NGX_OK;
    }

    (void) trp_empty_put(ping, TRP_PING);

    return (ngx_trp_quic_stream_send(tq->stream, ping, TRP_HEADER_LEN)
            == TRP_HEADER_LEN)
           ? NGX_OK : NGX_ERROR;
}


static ssize_t
ngx_trp_transport_quic_recv(ngx_trp_transport_t *tr, u_char *buf, size_t size)
{
    ssize_t                    n;
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_transport_quic(tr);

    if (tq->greeting) {
        n = ngx_trp_transport_quic_greeting(tq);

        if (n <= 0) {
            return ngx_trp_transport_quic_nothing(tq, n);
        }
    }

    n = ngx_trp_quic_stream_recv(tq->stream, buf, size);

    return (n > 0) ? n : ngx_trp_transport_quic_nothing(tq, n);
}


static ssize_t
ngx_trp_transport_quic_greeting(ngx_trp_transport_quic_t *tq)
{
    u_char   *p, ping[TRP_HEADER_LEN], buf[TRP_HEADER_LEN];
    ssize_t   n;

    (void) trp_empty_put(ping, TRP_PING);

    while (tq->greeting) {
        n = ngx_trp_quic_stream_recv(tq->stream, buf, tq->greeting);

        if (n <= 0) {
            return n;
        }

        p = ping + TRP_HEADER_LEN - tq->greeting;

        if (ngx_memcmp(p, buf, n) != 0) {
            tq->wrong = 1;
            return NGX_ERROR;
        }

        tq->greeting -= n;
    }

    return NGX_OK + 1;
}


static ssize_t
ngx_trp_transport_quic_nothing(ngx_trp_transport_quic_t *tq, ssize_t n)
{
    ngx_trp_transport_t  *tr;

    tr = &tq->base;

    if (n == NGX_AGAIN) {
        tr->connection->read->ready = 0;
        return NGX_AGAIN;
    }

    tr->err = 0;

    if (n == 0) {
        return 0;
    }

    if (tq->wrong) {
        return NGX_ERROR;
    }

    switch (tq->end) {

    case NGX_TRP_QUIC_CLOSED:

        /* or the peer has reset this stream alone */

        tr->err = ngx_trp_quic_stream_code(tq->stream) ? NGX_ECONNRESET : 0;
        return 0;

    case NGX_TRP_QUIC_PEER:
        return 0;

    case NGX_TRP_QUIC_SILENT:
        tr->err = NGX_ETIMEDOUT;
        return 0;

    case NGX_TRP_QUIC_LOST:
        tr->err = NGX_ECONNRESET;
        return 0;

    default:
        return NGX_ERROR;
    }
}


static const char *
ngx_trp_transport_quic_failed(ngx_trp_transport_t *tr, ngx_uint_t quiet)
{
    if (ngx_trp_transport_quic(tr)->wrong) {

        if (!quiet) {
            ngx_log_error(NGX_LOG_INFO, tr->connection->log, 0,
                          "stream of peer does not begin with PING");
        }

        return "peer broke the protocol";
    }

    if (!quiet) {
        ngx_log_error(NGX_LOG_INFO, tr->connection->log, 0,
                      "QUIC connection of tunnel failed");
    }

    return "QUIC failed";
}


static ngx_uint_t
ngx_trp_transport_quic_drained(ngx_trp_transport_t *tr)
{
    return !tr->connection->read->ready;
}


static ssize_t
ngx_trp_transport_quic_send(ngx_trp_transport_t *tr, u_char *p, size_t size)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_trp_transport_quic_t  *tq;

    c = tr->connection;
    tq = ngx_trp_transport_quic(tr);

    n = ngx_trp_quic_stream_send(tq->stream, p, size);

    if (n > 0) {
        c->sent += n;
        return n;
    }

    if (n == NGX_AGAIN) {
        c->write->ready = 0;
        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0, "writing to tunnel failed");

    return NGX_ERROR;
}


static ngx_int_t
ngx_trp_transport_quic_flush(ngx_trp_transport_t *tr)
{
    return NGX_OK;
}


static ngx_int_t
ngx_trp_transport_quic_written(ngx_trp_transport_t *tr)
{
    return NGX_OK;
}


static size_t
ngx_trp_transport_quic_unacknowledged(ngx_trp_transport_t *tr)
{
    return ngx_trp_quic_stream_unsent(ngx_trp_transport_quic(tr)->stream);
}


/* the idle timeout of the connection ends its streams */

static void
ngx_trp_transport_quic_keepalive(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
}


static ngx_uint_t
ngx_trp_transport_quic_lost(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
    return 0;
}


static void
ngx_trp_transport_quic_relax(ngx_trp_transport_t *tr, ngx_uint_t ended)
{
}


/* the same for all streams: there is one AUTH, on the first */

static ngx_int_t
ngx_trp_transport_quic_exporter(ngx_trp_transport_t *tr, u_char *out)
{
    ngx_trp_quic_t  *q;

    q = ngx_trp_quic_stream_quic(ngx_trp_transport_quic(tr)->stream);

    return ngx_trp_quic_exporter(q, TRP_EXPORTER_LABEL, out, TRP_EXPORTER_LEN);
}


static ngx_uint_t
ngx_trp_transport_quic_reused(ngx_trp_transport_t *tr)
{
    ngx_trp_quic_stream_t  *s;

    s = ngx_trp_transport_quic(tr)->stream;

    return ngx_trp_quic_reused(ngx_trp_quic_stream_quic(s));
}


static void
ngx_trp_transport_quic_reset(ngx_trp_transport_t *tr)
{
    ngx_trp_transport_quic_t  *tq;

    tq = ngx_trp_transport_quic(tr);

    tq->reset = 1;

    ngx_trp_quic_stream_reset(tq->stream, NGX_TRP_TRANSPORT_RESET);
}


static void
ngx_trp_transport_quic_close(ngx_trp_transport_t *tr, ngx_uint_t blocked)
{
    ngx_pool_t                *pool;
    ngx_connection_t          *c;
    ngx_trp_transport_quic_t  *tq;

    c = tr->connection;
    tq = ngx_trp_transport_quic(tr);

    if (!tq->reset && !tq->over) {

        if (blocked) {
            ngx_trp_quic_stream_reset(tq->stream, NGX_TRP_TRANSPORT_RESET);

        } else {
            ngx_trp_quic_stream_finish(tq->stream);
        }
    }

    ngx_trp_quic_stream_free(tq->stream);

    pool = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}


#endif
