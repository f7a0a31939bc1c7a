
/*
 * Copyright (C) the trp authors
 */


/*
 * Bytes on a stream, as nginx's proxy reads and writes them: those in the
 * tunnel, those that were read ahead or are sent early, and the two ends.
 */


#include "agent/ngx_trp_stream_tcp.h"
#include "stock/ngx_trp_buffer.h"
#include "stock/ngx_trp_ends.h"
#include "tunnel/ngx_trp_tunnel.h"


static ssize_t ngx_trp_stream_tcp_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_trp_stream_tcp_read_ahead(ngx_trp_stream_t *st);
static void ngx_trp_stream_tcp_read_control(ngx_trp_stream_t *st);
static ssize_t ngx_trp_stream_tcp_recv_data(ngx_trp_stream_t *st, u_char *buf,
    size_t size);
static ssize_t ngx_trp_stream_tcp_recv_end(ngx_trp_stream_t *st);
static ssize_t ngx_trp_stream_tcp_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_trp_stream_tcp_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static size_t ngx_trp_stream_tcp_write(ngx_trp_stream_t *st, u_char *p,
    size_t size);
static size_t ngx_trp_stream_tcp_write_early(ngx_trp_stream_t *st, u_char *p,
    size_t size);
static void ngx_trp_stream_tcp_send_early(ngx_trp_stream_t *st);
static void ngx_trp_stream_tcp_end(ngx_trp_stream_t *st);


const ngx_trp_stream_ops_t  ngx_trp_stream_tcp_ops = {
    ngx_trp_stream_tcp_recv,
    ngx_trp_stream_tcp_send,
    ngx_trp_stream_tcp_send_chain,
    ngx_trp_stream_tcp_read_ahead,
    ngx_trp_stream_tcp_send_early,
    NULL,
    0
};


static ssize_t
ngx_trp_stream_tcp_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t             done;
    ssize_t            n;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    if (st->ahead.kept) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    ngx_trp_buffer_grow(c, &buf, size);

    for (done = 0; done < size; done += n) {

        if (st->ahead.data) {
            n = ngx_min(size - done, st->ahead.len - st->ahead.pos);
            ngx_memcpy(buf + done, st->ahead.data + st->ahead.pos, n);

            st->ahead.pos += n;
            ngx_trp_stream_free_ahead(st);

            continue;
        }

        if (st->in != NGX_TRP_STREAM_OPEN) {
            return done ? (ssize_t) done : ngx_trp_stream_tcp_recv_end(st);
        }

        n = ngx_trp_stream_tcp_recv_data(st, buf + done, size - done);

        if (n == NGX_AGAIN) {
            c->read->ready = 0;
            return done ? (ssize_t) done : NGX_AGAIN;
        }
    }

    return done;
}


/* bytes, 0 if there may be an end to look at, or NGX_AGAIN */

static ssize_t
ngx_trp_stream_tcp_recv_data(ngx_trp_stream_t *st, u_char *buf, size_t size)
{
    ssize_t            n;
    ngx_int_t          rc;
    ngx_trp_tunnel_t  *t;

    if (st->tunnel == NULL || (st->entry && !st->accepted)) {
        return NGX_AGAIN;
    }

    t = st->tunnel;

    if (t->reader.left == 0) {
        rc = ngx_trp_tunnel_input(t);

        if (st->in != NGX_TRP_STREAM_OPEN) {

            /* the tunnel, not the proxy, reads what follows the end */

            ngx_post_event(t->connection->read, &ngx_posted_events);
            return 0;
        }

        if (rc == NGX_ERROR) {
            ngx_trp_stream_lost(st);
            return 0;
        }

        if (rc != NGX_OK) {
            return NGX_AGAIN;
        }

        if (t->reader.left == 0) {
            trp_reader_take(&t->reader, 0);
            return 0;
        }
    }

    n = ngx_trp_tunnel_recv(t, buf, ngx_min(size, t->reader.left));

    if (n == NGX_ERROR) {
        ngx_trp_stream_lost(st);
        return 0;
    }

    if (n > 0) {
        trp_reader_take(&t->reader, n);
        st->taken += n;
    }

    return n;
}


static ssize_t
ngx_trp_stream_tcp_recv_end(ngx_trp_stream_t *st)
{
    ngx_event_t       *rev;
    ngx_connection_t  *other;

    rev = st->connection->read;
    rev->ready = 0;
    rev->eof = 1;

    other = st->handlers->other(st);

    if (st->in == NGX_TRP_STREAM_ENDED) {

        if (!st->consumed) {
            st->consumed = 1;

            if (other) {
                ngx_trp_ends_disarm(other);
            }

            ngx_trp_stream_pump(st);
        }

        return 0;
    }

    rev->error = 1;

    if (other) {
        ngx_trp_ends_reset(other);
    }

    return NGX_ERROR;
}


/*
 * If what a user sends is short, it is read to its end, however slow its
 * reader is: so it does not block the next stream on the tunnel.
 *
 * While the proxy connects to the destination its buffer may be full, and a
 * RESET must be seen after the data: nothing of an aborted stream may reach
 * the destination.  An entry sends no more than this before ACCEPT, and what
 * follows then is a control frame.
 */

static void
ngx_trp_stream_tcp_read_ahead(ngx_trp_stream_t *st)
{
    ssize_t  n;

    if (st->ahead.data == NULL) {
        st->ahead.data = ngx_alloc(NGX_TRP_EARLY_SIZE, st->connection->log);
        if (st->ahead.data == NULL) {
            return;
        }
    }

    while (st->in == NGX_TRP_STREAM_OPEN && st->ahead.len < NGX_TRP_EARLY_SIZE)
    {
        n = ngx_trp_stream_tcp_recv_data(st, st->ahead.data + st->ahead.len,
                                     NGX_TRP_EARLY_SIZE - st->ahead.len);
        if (n == NGX_AGAIN) {
            break;
        }

        st->ahead.len += n;
    }

    if (st->in == NGX_TRP_STREAM_OPEN && st->ahead.len == NGX_TRP_EARLY_SIZE) {
        ngx_trp_stream_tcp_read_control(st);
    }

    ngx_trp_stream_free_ahead(st);
}


static void
ngx_trp_stream_tcp_read_control(ngx_trp_stream_t *st)
{
    ngx_trp_tunnel_t  *t;

    t = st->tunnel;

    if (t && !t->reader.data && ngx_trp_tunnel_input(t) == NGX_ERROR) {
        ngx_trp_stream_lost(st);
    }
}


static ssize_t
ngx_trp_stream_tcp_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t             n;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    if (st->in == NGX_TRP_STREAM_ABORTED || st->out != NGX_TRP_STREAM_OPEN) {
        c->write->error = 1;
        return NGX_ERROR;
    }

    n = ngx_trp_stream_tcp_write(st, buf, size);

    if (n == 0) {
        c->write->ready = 0;
        return NGX_AGAIN;
    }

    c->sent += n;

    return n;
}


static ngx_chain_t *
ngx_trp_stream_tcp_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    size_t             n, size;
    ngx_buf_t         *b;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    if (st->in == NGX_TRP_STREAM_ABORTED) {
        (void) ngx_trp_stream_tcp_recv_end(st);
        return NGX_CHAIN_ERROR;
    }

    if (st->out == NGX_TRP_STREAM_ABORTED) {
        return NGX_CHAIN_ERROR;
    }

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        size = ngx_buf_size(b);

        if (size && st->out == NGX_TRP_STREAM_OPEN) {
            n = ngx_trp_stream_tcp_write(st, b->pos, size);

            b->pos += n;
            c->sent += n;

            if (n < size) {
                c->write->ready = 0;
                return in;
            }
        }

        if (b->last_buf) {
            ngx_trp_stream_tcp_end(st);
        }
    }

    return NULL;
}


static size_t
ngx_trp_stream_tcp_write(ngx_trp_stream_t *st, u_char *p, size_t size)
{
    if (!st->entry && !st->accepted) {
        ngx_trp_stream_accept(st);
    }

    if (!st->accepted || st->early.data) {
        return ngx_trp_stream_tcp_write_early(st, p, size);
    }

    if (st->tunnel == NULL) {
        return 0;
    }

    return ngx_trp_tunnel_data(st->tunnel, p, size);
}


static size_t
ngx_trp_stream_tcp_write_early(ngx_trp_stream_t *st, u_char *p, size_t size)
{
    if (st->accepted) {

        /* not all of the early bytes are on their way yet */
        return 0;
    }

    if (st->early.data == NULL) {
        st->early.data = ngx_alloc(NGX_TRP_EARLY_SIZE, st->connection->log);
        if (st->early.data == NULL) {

            /* the proxy tries again after ACCEPT, when no memory is needed */
            return 0;
        }
    }

    size = ngx_min(size, NGX_TRP_EARLY_SIZE - st->early.len);

    ngx_memcpy(st->early.data + st->early.len, p, size);
    st->early.len += size;

    ngx_trp_stream_pump(st);

    return size;
}


/* the proxy's last buffer: the source's end, or its error */

static void
ngx_trp_stream_tcp_end(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->handlers->other(st);

    if (other && (other->read->error || ngx_trp_ends_was_reset(other))) {

        /* no end: the session is finalized, and the stream reset with it */
        ngx_trp_stream_why(st, st->entry ? "user's connection was reset"
                                      : "destination's connection was reset");
        ngx_trp_stream_abort(st, st->code);
        return;
    }

    if (st->out != NGX_TRP_STREAM_OPEN) {
        return;
    }

    if (!st->entry && !st->accepted) {
        ngx_trp_stream_accept(st);
    }

    st->out = NGX_TRP_STREAM_ENDED;

    ngx_trp_stream_pump(st);
}


static void
ngx_trp_stream_tcp_send_early(ngx_trp_stream_t *st)
{
    ngx_trp_stream_early_t  *early;

    early = &st->early;

    early->sent += ngx_trp_tunnel_data(st->tunnel,
                                       early->data + early->sent,
                                       early->len - early->sent);
}
