
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel's output: frames are collected, encrypted as TLS records, and sent
 * when there are enough of them, when another tunnel is written to, or at the
 * end of the event loop's iteration.  A failed tunnel is closed by its posted
 * event, which is posted here, too.
 */


#include "tunnel/ngx_trp_tunnel_output.h"
#include "tunnel/ngx_trp_frame_log.h"


#define NGX_TRP_OUT_MIN      512
#define NGX_TRP_OUT_CONTROL  256     /* after a full record */

#define NGX_TRP_COPY_SIZE    4096    /* copied, to share a record */


static size_t ngx_trp_tunnel_put(ngx_trp_tunnel_t *t, u_char *p, size_t size);
static ngx_int_t ngx_trp_tunnel_tell(ngx_trp_tunnel_t *t, ngx_uint_t type,
    size_t len, const u_char *payload);
static ngx_int_t ngx_trp_tunnel_push(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_write(ngx_trp_tunnel_t *t, u_char **p,
    u_char *last);
static void ngx_trp_tunnel_write_failed(ngx_trp_tunnel_t *t, ngx_int_t rc);
static u_char *ngx_trp_tunnel_reserve(ngx_trp_tunnel_t *t, size_t size);
static void ngx_trp_tunnel_wrote(ngx_trp_tunnel_t *t);


void
ngx_trp_tunnel_send(ngx_trp_tunnel_t *t, ngx_uint_t type)
{
    u_char  buf[TRP_HEADER_LEN];

    ngx_trp_tunnel_send_frame(t, buf, trp_empty_put(buf, type));
}


void
ngx_trp_tunnel_send_frame(ngx_trp_tunnel_t *t, u_char *start, u_char *last)
{
    u_char  *p;

    if (t->failed
        || ngx_trp_tunnel_tell(t, *start, last - start - TRP_HEADER_LEN,
                               start + TRP_HEADER_LEN)
           != NGX_OK)
    {
        return;
    }

    p = ngx_trp_tunnel_reserve(t, last - start);
    if (p == NULL) {
        return;
    }

    ngx_memcpy(p, start, last - start);
    t->out.last += last - start;

    ngx_trp_tunnel_wrote(t);
}


size_t
ngx_trp_tunnel_data(ngx_trp_tunnel_t *t, u_char *p, size_t size)
{
    size_t  n, part, done;

    if (t->output == NULL) {
        return ngx_trp_tunnel_put(t, p, size);
    }

    for (done = 0; done < size; done += n) {
        part = ngx_trp_metered_ask(t->output, size - done);

        if (part == 0) {
            break;
        }

        n = ngx_trp_tunnel_put(t, p + done, part);

        ngx_trp_metered_took(t->output, n);

        if (n < part) {
            done += n;
            break;
        }
    }

    return done;
}


static size_t
ngx_trp_tunnel_put(ngx_trp_tunnel_t *t, u_char *p, size_t size)
{
    size_t   n, room, done;
    u_char  *dst;

    if (t->failed) {
        return size;
    }

    for (done = 0; done < size; done += n) {

        n = ngx_trp_out_pending(&t->out);
        room = (n < NGX_TRP_RECORD_SIZE) ? NGX_TRP_RECORD_SIZE - n : 0;

        if (room <= TRP_HEADER_LEN) {

            if (t->blocked || ngx_trp_tunnel_push(t) != NGX_OK) {
                break;
            }

            room = NGX_TRP_RECORD_SIZE;
        }

        n = ngx_min(size - done, room - TRP_HEADER_LEN);

        if (ngx_trp_tunnel_sent(t, TRP_DATA, n) != NGX_OK) {
            return size;
        }

        dst = ngx_trp_tunnel_reserve(t, NGX_TRP_RECORD_SIZE
                                        + NGX_TRP_OUT_CONTROL
                                        - ngx_trp_out_pending(&t->out));
        if (dst == NULL) {
            return size;
        }

        dst = trp_header_put(dst, TRP_DATA, n);
        ngx_memcpy(dst, p + done, n);

        t->out.last += TRP_HEADER_LEN + n;
    }

    if (ngx_trp_tunnel_pending(t) && !t->blocked) {
        ngx_trp_tunnel_wrote(t);
    }

    return done;
}


u_char *
ngx_trp_tunnel_datagram(ngx_trp_tunnel_t *t, size_t size)
{
    size_t   used;
    u_char  *dst;

    trp_assert(size <= TRP_DATA_MAX);

    if (t->failed || (t->output && !ngx_trp_metered_try(t->output))) {
        return NULL;
    }

    used = ngx_trp_out_pending(&t->out);

    if (used + TRP_HEADER_LEN + size > NGX_TRP_RECORD_SIZE) {

        if (t->blocked || ngx_trp_tunnel_push(t) != NGX_OK) {
            return NULL;
        }

        used = 0;
    }

    if (ngx_trp_tunnel_sent(t, TRP_DATA, size) != NGX_OK) {
        return NULL;
    }

    /* many small ones share a buffer, which is not reallocated for each */

    dst = ngx_trp_tunnel_reserve(t, ngx_min(ngx_max(TRP_HEADER_LEN + size,
                                                    used),
                                            NGX_TRP_RECORD_SIZE
                                            + NGX_TRP_OUT_CONTROL - used));
    if (dst == NULL) {
        return NULL;
    }

    t->out.last += TRP_HEADER_LEN + size;

    if (t->output) {
        ngx_trp_metered_took(t->output, size);
    }

    if (!t->blocked) {

        /* senders of datagrams alternate between tunnels */
        ngx_trp_tunnel_post(t);
    }

    return trp_header_put(dst, TRP_DATA, size);
}


void
ngx_trp_tunnel_forward(ngx_trp_tunnel_t *t, u_char *p, size_t size)
{
    size_t   used;
    u_char  *dst, *last;

    if (t->failed) {
        return;
    }

    last = p + size;
    used = ngx_trp_out_pending(&t->out);

    if (!t->blocked
        && used + size > (used ? NGX_TRP_RECORD_SIZE : NGX_TRP_COPY_SIZE)
        && ngx_trp_tunnel_push(t) == NGX_OK)
    {
        (void) ngx_trp_tunnel_write(t, &p, last);
    }

    if (t->failed) {
        return;
    }

    if (p < last) {
        dst = ngx_trp_tunnel_reserve(t, last - p);
        if (dst == NULL) {
            return;
        }

        ngx_memcpy(dst, p, last - p);
        t->out.last += last - p;
    }

    if (!t->blocked) {
        ngx_trp_tunnel_wrote(t);
    }
}


ngx_int_t
ngx_trp_tunnel_sent(ngx_trp_tunnel_t *t, ngx_uint_t type, size_t len)
{
    return ngx_trp_tunnel_tell(t, type, len, NULL);
}


/* a frame is sent; the payload is for the log only */

static ngx_int_t
ngx_trp_tunnel_tell(ngx_trp_tunnel_t *t, ngx_uint_t type, size_t len,
    const u_char *payload)
{
    if (t->failed) {
        return NGX_ERROR;
    }

    ngx_trp_frame_log(t, "tx", type, len, payload);

    if (trp_tunnel_send(&t->state, type, len) != TRP_OK) {
        ngx_log_error(NGX_LOG_ALERT, t->connection->log, 0,
                      "frame of type %ui does not fit state %d, %xd/%xd",
                      type, (int) t->state.state, (int) t->state.sent,
                      (int) t->state.seen);
        ngx_trp_tunnel_lose(t, "a frame of ours did not fit");
        return NGX_ERROR;
    }

    if (type == TRP_DATA) {
        t->tunnels->traffic[t->state.opener].sent += len;

        if (t->traffic) {
            (void) ngx_atomic_fetch_add(&t->traffic[1], len);
        }

    } else if (type == TRP_OPEN) {
        t->busy = 1;

    } else if (t->busy && trp_tunnel_idle(&t->state)) {
        ngx_trp_tunnel_post(t);
    }

    return NGX_OK;
}


/* "size" bytes of space after the unsent output; NULL: no memory */

static u_char *
ngx_trp_tunnel_reserve(ngx_trp_tunnel_t *t, size_t size)
{
    size_t   need;
    u_char  *p;

    p = ngx_trp_out_space(&t->out, size);

    if (p) {
        return p;
    }

    need = ngx_max(ngx_trp_out_pending(&t->out) + size, NGX_TRP_OUT_MIN);

    if (need > NGX_TRP_RECORD_SIZE + NGX_TRP_OUT_CONTROL) {

        /* a growing buffer must not be copied for each frame */
        need = ngx_max(need, 2 * t->out.size);
    }

    if (ngx_trp_out_grow(&t->out, need, t->connection->log) != NGX_OK) {
        ngx_trp_tunnel_lose(t, "no memory");
        return NULL;
    }

    return t->out.start + t->out.last;
}


/*
 * Output is sent when another tunnel is written to, or one has been read, and
 * at the latest at the end of the event loop's iteration.  If all of it waited
 * for that, the processes along the path of the streams would work one after
 * the other, and not in parallel.
 */

static void
ngx_trp_tunnel_wrote(ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_post(t);
    ngx_trp_tunnel_flush_last(t->tunnels, t);
}


void
ngx_trp_tunnel_flush_last(ngx_trp_tunnels_t *tunnels, ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_t  *last;

    last = tunnels->last;

    if (last == t) {
        return;
    }

    tunnels->last = t;

    if (last && !last->blocked && !last->failed) {
        ngx_trp_tunnel_flush(last);
    }
}


void
ngx_trp_tunnel_flush_later(ngx_trp_tunnel_t *t)
{
    ngx_event_t  *wev;

    wev = t->connection->write;

    if (wev->posted) {
        ngx_delete_posted_event(wev);
    }

    ngx_post_event(wev, &ngx_posted_next_events);

    t->tunnels->last = NULL;
}


void
ngx_trp_tunnel_flush_after(ngx_trp_tunnel_t *t, ngx_msec_t msec)
{
    if (t->failed || t->blocked) {
        return;
    }

    t->held = 1;
    ngx_add_timer(t->connection->write, msec);

    t->tunnels->last = NULL;
}


void
ngx_trp_tunnel_post(ngx_trp_tunnel_t *t)
{
    ngx_event_t  *wev;

    wev = t->connection->write;

    if (t->held) {
        t->held = 0;
        ngx_del_timer(wev);
    }

    if (!wev->posted) {
        ngx_post_event(wev, &ngx_posted_events);
    }
}


void
ngx_trp_tunnel_flush(ngx_trp_tunnel_t *t)
{
    ngx_int_t  rc;

    if (!ngx_trp_tunnel_pending(t) || t->connection->error) {
        return;
    }

    if (ngx_trp_tunnel_push(t) != NGX_OK) {
        return;
    }

    rc = t->transport->ops->flush(t->transport);

    if (rc != NGX_OK) {
        ngx_trp_tunnel_write_failed(t, rc);
        return;
    }

    t->blocked = 0;

    if (t->stalled) {
        t->stalled = 0;
        ngx_post_event(t->connection->read, &ngx_posted_events);
    }
}


/* hands the output to the transport, which encrypts it */

static ngx_int_t
ngx_trp_tunnel_push(ngx_trp_tunnel_t *t)
{
    u_char         *p;
    ngx_int_t       rc;
    ngx_trp_out_t  *out;

    out = &t->out;

    if (!ngx_trp_out_pending(out)) {
        return NGX_OK;
    }

    p = out->start + out->pos;

    rc = ngx_trp_tunnel_write(t, &p, out->start + out->last);

    out->pos = p - out->start;

    if (rc != NGX_OK) {
        return rc;
    }

    out->pos = 0;
    out->last = 0;

    if (!t->busy || out->size > NGX_TRP_RECORD_SIZE + NGX_TRP_OUT_CONTROL) {
        ngx_trp_out_free(out);
    }

    return NGX_OK;
}


/* a record at a time: SSL_write() must be retried with the same bytes */

static ngx_int_t
ngx_trp_tunnel_write(ngx_trp_tunnel_t *t, u_char **p, u_char *last)
{
    ssize_t               n;
    ngx_trp_transport_t  *tr;

    tr = t->transport;

    while (*p < last) {

        n = tr->ops->send(tr, *p, ngx_min(last - *p, NGX_TRP_RECORD_SIZE));

        if (n == NGX_AGAIN || n == NGX_ERROR) {
            ngx_trp_tunnel_write_failed(t, n);
            return n;
        }

        *p += n;
    }

    return NGX_OK;
}


static void
ngx_trp_tunnel_write_failed(ngx_trp_tunnel_t *t, ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        t->blocked = 1;
        return;
    }

    t->connection->error = 1;
    ngx_trp_tunnel_lose(t, "writing failed");
}


void
ngx_trp_tunnel_fail(ngx_trp_tunnel_t *t)
{
    t->failed = 1;
    ngx_trp_tunnel_post(t);
}


void
ngx_trp_tunnel_lose(ngx_trp_tunnel_t *t, const char *why)
{
    ngx_trp_tunnel_why(t, why);
    ngx_trp_tunnel_fail(t);
}
