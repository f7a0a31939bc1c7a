
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams on a stream, as nginx's proxy reads and writes them.  One that
 * comes in pieces is put together; one that cannot be sent at once is dropped.
 */


#include "agent/ngx_trp_stream_udp.h"
#include "tunnel/ngx_trp_tunnel.h"


static ssize_t ngx_trp_stream_udp_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_trp_stream_udp_read(ngx_trp_stream_t *st, u_char *buf,
    size_t size);
static ngx_int_t ngx_trp_stream_udp_take(ngx_trp_stream_t *st, u_char *buf,
    size_t size);
static ngx_int_t ngx_trp_stream_udp_keep(ngx_trp_stream_t *st, u_char *buf);
static ssize_t ngx_trp_stream_udp_over(ngx_trp_stream_t *st);
static ssize_t ngx_trp_stream_udp_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_trp_stream_udp_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static u_char *ngx_trp_stream_udp_frame(ngx_trp_stream_t *st, size_t size);
static u_char *ngx_trp_stream_udp_early(ngx_trp_stream_t *st, size_t size);
static void ngx_trp_stream_udp_sent(ngx_trp_stream_t *st, size_t size);
static void ngx_trp_stream_udp_send_early(ngx_trp_stream_t *st);
static void ngx_trp_stream_udp_end(ngx_trp_stream_t *st);


const ngx_trp_stream_ops_t  ngx_trp_stream_udp_ops = {
    ngx_trp_stream_udp_recv,
    ngx_trp_stream_udp_send,
    ngx_trp_stream_udp_send_chain,
    NULL,
    ngx_trp_stream_udp_send_early,
    ngx_trp_stream_udp_end,
    1
};


/* reading: a datagram, NGX_AGAIN, or NGX_ERROR when the stream is over */


static ssize_t
ngx_trp_stream_udp_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t            n;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_of(c);

    do {
        n = ngx_trp_stream_udp_read(st, buf, size);
    } while (n == NGX_DECLINED);

    if (n == NGX_AGAIN) {
        c->read->ready = 0;
    }

    if (n > 0) {
        st->taken += n;
    }

    return n;
}


/* NGX_DECLINED: it was dropped */

static ssize_t
ngx_trp_stream_udp_read(ngx_trp_stream_t *st, u_char *buf, size_t size)
{
    size_t             len;
    ngx_int_t          rc;
    ngx_trp_tunnel_t  *t;

    if (st->held) {
        return NGX_AGAIN;
    }

    if (st->in != NGX_TRP_STREAM_OPEN) {
        return ngx_trp_stream_udp_over(st);
    }

    if (st->tunnel == NULL || (st->entry && !st->accepted)) {
        return NGX_AGAIN;
    }

    t = st->tunnel;

    rc = ngx_trp_tunnel_input(t);

    if (rc == NGX_OK) {
        rc = ngx_trp_stream_udp_take(st, buf, size);
    }

    if (st->in != NGX_TRP_STREAM_OPEN) {
        return ngx_trp_stream_udp_over(st);
    }

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_ERROR:
        ngx_trp_stream_lost(st);
        return ngx_trp_stream_udp_over(st);

    default:
        return NGX_AGAIN;
    }

    /* all of it is here */

    trp_reader_take(&t->reader, 0);

    len = t->reader.frame.len;

    if (st->part.data) {

        if (!st->part.skip) {
            ngx_memcpy(buf, st->part.data, len);
        }

        ngx_free(st->part.data);
        st->part.data = NULL;
    }

    if (st->part.skip) {
        st->part.skip = 0;
        st->part.dropped++;
        return NGX_DECLINED;
    }

    return len;
}


/* a datagram may come in pieces: what has arrived is kept */

static ngx_int_t
ngx_trp_stream_udp_take(ngx_trp_stream_t *st, u_char *buf, size_t size)
{
    size_t             len, left;
    u_char            *p, drop[4096];
    ssize_t            n;
    ngx_trp_tunnel_t  *t;

    t = st->tunnel;
    len = t->reader.frame.len;

    st->part.room = ngx_max(st->part.room, size);

    if (len > size) {
        st->part.skip = 1;

        /* no warning if the reader's buffer is just partly in use */

        if (len > st->part.room && !st->part.truncated) {
            st->part.truncated = 1;

            ngx_log_error(NGX_LOG_INFO, st->connection->log, 0,
                          "datagram of %uz bytes does not fit into the "
                          "buffer of %uz bytes and is dropped, stream: %s",
                          len, st->part.room, ngx_trp_id_text(st->id).data);
        }
    }

    while (t->reader.left) {

        left = t->reader.left;

        if (st->part.skip) {
            p = drop;
            left = ngx_min(left, sizeof(drop));

        } else {
            p = (st->part.data ? st->part.data : buf) + len - left;
        }

        n = ngx_trp_tunnel_recv(t, p, left);

        if (n == NGX_AGAIN) {
            return ngx_trp_stream_udp_keep(st, buf);
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        trp_reader_take(&t->reader, n);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_stream_udp_keep(ngx_trp_stream_t *st, u_char *buf)
{
    size_t         have;
    trp_reader_t  *r;

    r = &st->tunnel->reader;
    have = r->frame.len - r->left;

    if (have == 0 || st->part.data || st->part.skip) {
        return NGX_AGAIN;
    }

    st->part.data = ngx_alloc(r->frame.len, st->connection->log);

    if (st->part.data == NULL) {
        st->part.skip = 1;
        return NGX_AGAIN;
    }

    ngx_memcpy(st->part.data, buf, have);

    return NGX_AGAIN;
}


/*
 * For datagrams, the proxy knows no end of input: an error on the other
 * connection makes it finalize the session at once.
 */

static ssize_t
ngx_trp_stream_udp_over(ngx_trp_stream_t *st)
{
    ngx_event_t       *rev;
    ngx_connection_t  *other;

    rev = st->connection->read;
    rev->ready = 0;
    rev->eof = 1;

    other = st->handlers->other(st);

    if (other) {
        other->error = 1;
    }

    return NGX_ERROR;
}


/* writing */


static ssize_t
ngx_trp_stream_udp_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    u_char            *p;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_of(c);

    if (st->in != NGX_TRP_STREAM_OPEN || st->out != NGX_TRP_STREAM_OPEN) {
        c->write->error = 1;
        return NGX_ERROR;
    }

    p = ngx_trp_stream_udp_frame(st, size);

    if (p == NULL) {
        return NGX_AGAIN;
    }

    ngx_memcpy(p, buf, size);
    ngx_trp_stream_udp_sent(st, size);

    return size;
}


static ngx_chain_t *
ngx_trp_stream_udp_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    size_t             size;
    u_char            *p, *start;
    ngx_buf_t         *b;
    ngx_chain_t       *cl;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_of(c);

    while (in) {

        if (!st->held
            && (st->in != NGX_TRP_STREAM_OPEN
                || st->out != NGX_TRP_STREAM_OPEN))
        {
            (void) ngx_trp_stream_udp_over(st);
            return NGX_CHAIN_ERROR;
        }

        size = 0;

        for (cl = in; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);

            if (cl->buf->flush || cl->buf->last_buf) {
                break;
            }
        }

        if (cl == NULL) {

            /* the rest of this datagram is still to come */
            return in;
        }

        if (cl->buf->last_buf) {

            /* a source of datagrams only ends by an error: ICMP */

            ngx_trp_stream_why(st, st->entry ? "user is not reachable"
                                             : "destination is not reachable");
            st->out = NGX_TRP_STREAM_ABORTED;

            return NGX_CHAIN_ERROR;
        }

        start = ngx_trp_stream_udp_frame(st, size);
        p = start;

        for ( ;; ) {
            b = in->buf;

            if (p) {
                p = ngx_cpymem(p, b->pos, ngx_buf_size(b));
            }

            b->pos = b->last;

            if (in == cl) {
                break;
            }

            in = in->next;
        }

        if (start) {
            ngx_trp_stream_udp_sent(st, size);

        } else {
            st->part.dropped++;
        }

        in = cl->next;
    }

    return NULL;
}


/* where a datagram is put, or NULL: it is dropped */

static u_char *
ngx_trp_stream_udp_frame(ngx_trp_stream_t *st, size_t size)
{
    if (size > TRP_DATA_MAX || st->held) {
        return NULL;
    }

    if (!st->entry && !st->accepted) {
        ngx_trp_stream_accept(st);
    }

    if (!st->accepted || st->early.data) {
        return ngx_trp_stream_udp_early(st, size);
    }

    if (st->tunnel == NULL) {
        return NULL;
    }

    return ngx_trp_tunnel_datagram(st->tunnel, size);
}


/* what is sent before ACCEPT is kept as frames */

static u_char *
ngx_trp_stream_udp_early(ngx_trp_stream_t *st, size_t size)
{
    u_char  *p;

    if (st->early.datagrams == NGX_TRP_EARLY_DATAGRAMS
        || st->early.len + TRP_HEADER_LEN + size > NGX_TRP_EARLY_SIZE)
    {
        return NULL;
    }

    if (st->early.data == NULL) {
        st->early.data = ngx_alloc(NGX_TRP_EARLY_SIZE, st->connection->log);
        if (st->early.data == NULL) {
            return NULL;
        }
    }

    p = st->early.data + st->early.len;

    /* the proxy must not end the session before they are on their way */
    st->connection->buffered |= NGX_LOWLEVEL_BUFFERED;

    st->early.datagrams++;
    st->early.len += TRP_HEADER_LEN + size;

    return trp_header_put(p, TRP_DATA, size);
}


static void
ngx_trp_stream_udp_sent(ngx_trp_stream_t *st, size_t size)
{
    st->connection->sent += size;

    if (st->early.data) {
        ngx_trp_stream_pump(st);
    }
}


static void
ngx_trp_stream_udp_send_early(ngx_trp_stream_t *st)
{
    size_t   size;
    u_char  *p, *dst;

    while (st->early.sent < st->early.len) {
        p = st->early.data + st->early.sent;
        size = p[2] << 8 | p[3];

        dst = ngx_trp_tunnel_datagram(st->tunnel, size);

        if (dst == NULL) {
            return;
        }

        ngx_memcpy(dst, p + TRP_HEADER_LEN, size);
        st->early.sent += TRP_HEADER_LEN + size;
    }
}


/* a clean end: the other side forgets the stream as well */

static void
ngx_trp_stream_udp_end(ngx_trp_stream_t *st)
{
    ngx_trp_tunnel_t  *t;

    t = st->tunnel;

    if (st->accepted
        && st->in != NGX_TRP_STREAM_ABORTED
        && st->out == NGX_TRP_STREAM_OPEN
        && trp_tunnel_busy(&t->state)
        && !(t->state.sent & TRP_SEEN_END))
    {
        st->out = NGX_TRP_STREAM_ENDED;
        ngx_trp_tunnel_send(t, TRP_END);
    }
}
