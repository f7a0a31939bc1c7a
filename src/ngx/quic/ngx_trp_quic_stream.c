
/*
 * Copyright (C) the trp authors
 */


/*
 * Streams: what their owners and ngtcp2 do with them.
 *
 * The peer may send a stream 128 KiB to 1 MiB ahead of its reader, as ngtcp2
 * decides.  The window of the connection moves with what arrives, not with what
 * is read: a reader that stalls must not stop other streams.  Only when very
 * much is unread in all streams, the window waits for readers.
 */


#include "quic/ngx_trp_quic_bytes.h"
#include "quic/ngx_trp_quic_stream.h"
#include "quic/ngx_trp_quic_streams.h"


static const ngx_trp_quic_why_t  ngx_trp_quic_stream_end;


static ngx_trp_quic_stream_t *
ngx_trp_quic_stream_create(ngx_trp_quic_t *q)
{
    ngx_trp_quic_stream_t  *s;

    s = ngx_calloc(sizeof(ngx_trp_quic_stream_t), q->log);
    if (s == NULL) {
        return NULL;
    }

    s->quic = q;
    s->want_read = 1;

    ngx_queue_insert_tail(&q->streams, &s->all);
    q->nstreams++;

    return s;
}


static void
ngx_trp_quic_stream_destroy(ngx_trp_quic_stream_t *s)
{
    ngx_trp_quic_t  *q;

    q = s->quic;

    if (q) {
        ngx_queue_remove(&s->all);
        q->nstreams--;
        q->unread -= s->unread;
    }

    if (s->in_told) {
        ngx_queue_remove(&s->told);
    }

    if (s->in_output) {
        ngx_queue_remove(&s->output);
    }

    ngx_trp_quic_bytes_free(q, &s->in);
    ngx_trp_quic_bytes_free(q, &s->out);

    ngx_free(s);
}


static void
ngx_trp_quic_stream_tell(ngx_trp_quic_stream_t *s)
{
    if (!s->in_told && !s->orphan) {
        s->in_told = 1;
        ngx_queue_insert_tail(&s->quic->told, &s->told);
        ngx_trp_quic_post(s->quic);
    }
}


static void
ngx_trp_quic_stream_tell_read(ngx_trp_quic_stream_t *s)
{
    if (s->want_read) {
        s->want_read = 0;
        s->can_read = 1;
        ngx_trp_quic_stream_tell(s);
    }
}


static void
ngx_trp_quic_stream_tell_write(ngx_trp_quic_stream_t *s)
{
    if (s->want_write) {
        s->want_write = 0;
        s->can_write = 1;
        ngx_trp_quic_stream_tell(s);
    }
}


/* moves it to a queue: those with output, or those that are blocked */

static void
ngx_trp_quic_stream_queue(ngx_trp_quic_stream_t *s, ngx_queue_t *queue)
{
    if (s->in_output) {
        ngx_queue_remove(&s->output);
    }

    s->in_output = 1;
    ngx_queue_insert_tail(queue, &s->output);
}


static void
ngx_trp_quic_stream_unqueue(ngx_trp_quic_stream_t *s)
{
    if (s->in_output) {
        ngx_queue_remove(&s->output);
        s->in_output = 0;
    }
}


static void
ngx_trp_quic_stream_flush(ngx_trp_quic_stream_t *s)
{
    ngx_trp_quic_t  *q;

    q = s->quic;

    if (!s->in_output || s->sent == s->written || s->finished) {
        ngx_trp_quic_stream_queue(s, &q->output);
    }

    ngx_trp_quic_post(q);
}


ngx_trp_quic_stream_t *
ngx_trp_quic_stream_open(ngx_trp_quic_t *q,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data)
{
    ngx_trp_quic_stream_t  *s;

    if (q->closing || q->freed) {
        return NULL;
    }

    s = ngx_trp_quic_stream_create(q);
    if (s == NULL) {
        return NULL;
    }

    if (ngtcp2_conn_open_bidi_stream(q->conn, &s->id, s) != 0) {
        ngx_trp_quic_stream_destroy(s);
        return NULL;
    }

    s->handlers = handlers;
    s->data = data;

    return s;
}


void
ngx_trp_quic_stream_set(ngx_trp_quic_stream_t *s,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data)
{
    s->handlers = handlers;
    s->data = data;
}


void *
ngx_trp_quic_stream_data(ngx_trp_quic_stream_t *s)
{
    return s->data;
}


ngx_trp_quic_t *
ngx_trp_quic_stream_quic(ngx_trp_quic_stream_t *s)
{
    return s->quic;
}


uint64_t
ngx_trp_quic_stream_id(ngx_trp_quic_stream_t *s)
{
    return s->id;
}


/* windows move by what was read */

static void
ngx_trp_quic_stream_read(ngx_trp_quic_stream_t *s, size_t n)
{
    size_t           credit;
    ngx_trp_quic_t  *q;

    q = s->quic;
    q->unread -= n;

    if (q->closing) {
        return;
    }

    if (q->debt) {
        credit = ngx_min(n, q->debt);
        q->debt -= credit;
        ngtcp2_conn_extend_max_offset(q->conn, credit);
    }

    if (!s->closed && !s->fin_read) {
        (void) ngtcp2_conn_extend_max_stream_offset(q->conn, s->id, n);
    }

    ngx_trp_quic_post(q);
}


ssize_t
ngx_trp_quic_stream_recv(ngx_trp_quic_stream_t *s, u_char *buf, size_t size)
{
    size_t  n;

    if (s->unread) {
        n = ngx_trp_quic_bytes_take(s->quic, &s->in, buf, size);
        s->unread -= n;

        if (s->quic) {
            ngx_trp_quic_stream_read(s, n);
        }

        return n;
    }

    if (s->fin_read) {
        return 0;
    }

    if (s->reset_read || s->reset || s->closed || s->quic == NULL
        || s->quic->closing)
    {
        return NGX_ERROR;
    }

    s->want_read = 1;

    return NGX_AGAIN;
}


ssize_t
ngx_trp_quic_stream_send(ngx_trp_quic_stream_t *s, const u_char *buf,
    size_t size)
{
    if (s->stopped || s->finished || s->reset || s->closed || s->quic == NULL
        || s->quic->closing)
    {
        return NGX_ERROR;
    }

    if (s->written - s->acked >= NGX_TRP_QUIC_UNACKED) {
        s->want_write = 1;

        if (s->sent == s->written) {
            ngx_trp_quic_stream_queue(s, &s->quic->blocked);
        }

        return NGX_AGAIN;
    }

    size = ngx_min(size, NGX_TRP_QUIC_UNACKED);

    if (ngx_trp_quic_bytes_add(s->quic, &s->out, buf, size) != NGX_OK) {
        ngx_trp_quic_fail(s->quic, NGTCP2_ERR_NOMEM);
        return NGX_ERROR;
    }

    if (s->next == NULL) {
        s->next = s->out.first;
        s->next_pos = s->out.pos;
    }

    ngx_trp_quic_stream_flush(s);

    s->written += size;

    return size;
}


size_t
ngx_trp_quic_stream_unsent(ngx_trp_quic_stream_t *s)
{
    return s->written - s->acked;
}


void
ngx_trp_quic_stream_finish(ngx_trp_quic_stream_t *s)
{
    if (s->finished || s->stopped || s->reset || s->closed || s->quic == NULL
        || s->quic->closing)
    {
        return;
    }

    s->finished = 1;

    ngx_trp_quic_stream_flush(s);
}


void
ngx_trp_quic_stream_reset(ngx_trp_quic_stream_t *s, uint64_t code)
{
    ngx_trp_quic_t  *q;

    q = s->quic;

    if (s->reset || s->closed || q == NULL || q->closing) {
        return;
    }

    s->reset = 1;

    ngx_trp_quic_stream_unqueue(s);

    if (ngtcp2_conn_shutdown_stream(q->conn, 0, s->id, code) != 0) {
        ngx_trp_quic_fail(q, NGTCP2_ERR_NOMEM);
    }

    ngx_trp_quic_post(q);
}


uint64_t
ngx_trp_quic_stream_code(ngx_trp_quic_stream_t *s)
{
    return s->code;
}


void
ngx_trp_quic_stream_free(ngx_trp_quic_stream_t *s)
{
    ngx_trp_quic_t  *q;

    q = s->quic;

    if (q == NULL || q->over || s->closed) {
        ngx_trp_quic_stream_destroy(s);
        return;
    }

    /* ngtcp2 still has pointers to it and to its bytes */

    s->orphan = 1;
    s->handlers = NULL;

    if (s->in_told) {
        s->in_told = 0;
        ngx_queue_remove(&s->told);
    }

    if (q->closing) {
        return;
    }

    if (!s->finished) {
        ngx_trp_quic_stream_reset(s, 0);

    } else if (!s->fin_read && !s->reset_read
               && ngtcp2_conn_shutdown_stream_read(q->conn, 0, s->id, 0) != 0)
    {
        ngx_trp_quic_fail(q, NGTCP2_ERR_NOMEM);
    }

    if (s->unread) {
        (void) ngx_trp_quic_bytes_take(q, &s->in, NULL, s->unread);
        ngx_trp_quic_stream_read(s, s->unread);
        s->unread = 0;
    }

    ngx_trp_quic_post(q);
}


/* one call of a handler, which may free the stream */

static void
ngx_trp_quic_stream_told(ngx_trp_quic_t *q, ngx_trp_quic_stream_t *s)
{
    ngx_uint_t  read, write;

    if (s->fresh) {
        s->fresh = 0;

        if (s->can_read || s->tell_closed) {
            ngx_trp_quic_stream_tell(s);
        }

        if (q->handlers->opened) {
            q->handlers->opened(q, s);

        } else {
            ngx_trp_quic_stream_free(s);
        }

        return;
    }

    read = s->can_read;
    write = s->can_write;

    if (read + write + s->tell_closed > 1) {
        ngx_trp_quic_stream_tell(s);
    }

    if (read) {
        s->can_read = 0;

        if (s->handlers) {
            s->handlers->readable(s);
        }

    } else if (write) {
        s->can_write = 0;

        if (s->handlers) {
            s->handlers->writable(s);
        }

    } else if (s->tell_closed) {
        s->tell_closed = 0;

        if (s->handlers) {
            s->handlers->closed(s, &ngx_trp_quic_stream_end);
        }
    }
}


void
ngx_trp_quic_streams_tell(ngx_trp_quic_t *q)
{
    ngx_queue_t            *e;
    ngx_trp_quic_stream_t  *s;

    while (!q->freed && !ngx_queue_empty(&q->told)) {
        e = ngx_queue_head(&q->told);
        s = ngx_queue_data(e, ngx_trp_quic_stream_t, told);

        ngx_queue_remove(e);
        s->in_told = 0;

        ngx_trp_quic_stream_told(q, s);
    }
}


void
ngx_trp_quic_streams_close(ngx_trp_quic_t *q)
{
    ngx_queue_t             told, *e;
    ngx_trp_quic_stream_t  *s;

    ngx_queue_init(&told);

    while (!q->freed && !ngx_queue_empty(&q->streams)) {
        e = ngx_queue_head(&q->streams);
        s = ngx_queue_data(e, ngx_trp_quic_stream_t, all);

        ngx_queue_remove(e);
        ngx_queue_insert_tail(&told, e);

        if (s->orphan || s->fresh) {
            ngx_trp_quic_stream_destroy(s);

        } else if (s->handlers) {
            s->handlers->closed(s, &q->why);
        }
    }

    /* those whose owners have not freed them yet */

    if (!ngx_queue_empty(&told)) {
        ngx_queue_add(&q->streams, &told);
    }
}


void
ngx_trp_quic_streams_leave(ngx_trp_quic_t *q)
{
    ngx_queue_t            *e;
    ngx_trp_quic_stream_t  *s;

    while (!ngx_queue_empty(&q->streams)) {
        e = ngx_queue_head(&q->streams);
        s = ngx_queue_data(e, ngx_trp_quic_stream_t, all);

        if (s->orphan || s->fresh) {
            ngx_trp_quic_stream_destroy(s);
            continue;
        }

        ngx_queue_remove(e);
        ngx_trp_quic_stream_unqueue(s);
        ngx_trp_quic_bytes_free(q, &s->out);

        if (s->in_told) {
            s->in_told = 0;
            ngx_queue_remove(&s->told);
        }

        s->quic = NULL;
    }
}


ngx_trp_quic_stream_t *
ngx_trp_quic_streams_first(ngx_trp_quic_t *q)
{
    return ngx_queue_empty(&q->output)
           ? NULL : ngx_queue_data(ngx_queue_head(&q->output),
                                   ngx_trp_quic_stream_t, output);
}


ngx_uint_t
ngx_trp_quic_stream_vectors(ngx_trp_quic_stream_t *s, ngtcp2_vec *vec,
    ngx_uint_t n, size_t *len)
{
    size_t                 pos;
    ngx_uint_t             i;
    ngx_trp_quic_block_t  *block;

    *len = 0;
    i = 0;
    pos = s->next_pos;

    for (block = s->next; block && i < n; block = block->next) {

        if (block->last > pos) {
            vec[i].base = block->data + pos;
            vec[i].len = block->last - pos;
            *len += vec[i].len;
            i++;
        }

        pos = 0;
    }

    return i;
}


void
ngx_trp_quic_stream_sent(ngx_trp_quic_stream_t *s, size_t len, ngx_uint_t fin)
{
    size_t  n;

    s->sent += len;

    while (len) {
        n = s->next->last - s->next_pos;

        if (len < n || s->next->next == NULL) {
            s->next_pos += len;
            break;
        }

        len -= n;
        s->next = s->next->next;
        s->next_pos = 0;
    }

    if (fin) {
        s->fin_sent = 1;
    }

    if (s->sent < s->written || (s->finished && !s->fin_sent)) {
        return;
    }

    ngx_trp_quic_stream_unqueue(s);

    if (s->want_write) {
        ngx_trp_quic_stream_queue(s, &s->quic->blocked);
    }
}


void
ngx_trp_quic_stream_blocked(ngx_trp_quic_stream_t *s)
{
    /* until extend_max_stream_data() */

    ngx_trp_quic_stream_queue(s, &s->quic->blocked);
}


void
ngx_trp_quic_stream_stopped(ngx_trp_quic_stream_t *s)
{
    s->stopped = 1;

    ngx_trp_quic_stream_unqueue(s);
    ngx_trp_quic_stream_tell_write(s);
}


static int
ngx_trp_quic_stream_opened(ngtcp2_conn *conn, int64_t id, void *data)
{
    ngx_trp_quic_t *q = data;

    ngx_trp_quic_stream_t  *s;

    s = ngx_trp_quic_stream_create(q);
    if (s == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    s->id = id;
    s->fresh = 1;

    (void) ngtcp2_conn_set_stream_user_data(conn, id, s);

    ngx_trp_quic_stream_tell(s);

    return 0;
}


static int
ngx_trp_quic_stream_data_recv(ngtcp2_conn *conn, uint32_t flags, int64_t id,
    uint64_t offset, const uint8_t *p, size_t len, void *data,
    void *stream_data)
{
    ngx_trp_quic_t *q = data;
    ngx_trp_quic_stream_t *s = stream_data;

    if (s == NULL) {
        ngtcp2_conn_extend_max_offset(conn, len);
        return 0;
    }

    if (flags & NGTCP2_STREAM_DATA_FLAG_FIN) {
        s->fin_read = 1;
    }

    if (q->unread < NGX_TRP_QUIC_UNREAD || s->orphan) {
        ngtcp2_conn_extend_max_offset(conn, len);

    } else {
        q->debt += len;
    }

    if (s->orphan) {
        return 0;
    }

    if (len) {
        if (ngx_trp_quic_bytes_add(q, &s->in, p, len) != NGX_OK) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }

        s->unread += len;
        q->unread += len;
    }

    ngx_trp_quic_stream_tell_read(s);

    return 0;
}


static int
ngx_trp_quic_stream_acked(ngtcp2_conn *conn, int64_t id, uint64_t offset,
    uint64_t len, void *data, void *stream_data)
{
    ngx_trp_quic_t *q = data;
    ngx_trp_quic_stream_t *s = stream_data;

    if (s == NULL) {
        return 0;
    }

    (void) ngx_trp_quic_bytes_take(q, &s->out, NULL, len);

    s->acked += len;

    if (s->acked == s->sent) {
        s->next = s->out.first;
        s->next_pos = s->out.pos;
    }

    if (s->written - s->acked <= NGX_TRP_QUIC_UNACKED * 3 / 4
        && s->want_write)
    {
        if (s->sent == s->written) {
            ngx_trp_quic_stream_unqueue(s);
        }

        ngx_trp_quic_stream_tell_write(s);
    }

    return 0;
}


static int
ngx_trp_quic_stream_was_reset(ngtcp2_conn *conn, int64_t id, uint64_t size,
    uint64_t code, void *data, void *stream_data)
{
    ngx_trp_quic_stream_t *s = stream_data;

    if (s) {
        s->reset_read = 1;
        s->code = code;

        ngx_trp_quic_stream_tell_read(s);
    }

    return 0;
}


static int
ngx_trp_quic_stream_was_closed(ngtcp2_conn *conn, uint32_t flags, int64_t id,
    uint64_t code, void *data, void *stream_data)
{
    ngx_trp_quic_t *q = data;
    ngx_trp_quic_stream_t *s = stream_data;

    if (!ngtcp2_conn_is_local_stream(conn, id)) {
        ngtcp2_conn_extend_max_streams_bidi(conn, 1);
    }

    if (s == NULL) {
        return 0;
    }

    s->closed = 1;

    if (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) {
        s->code = code;
    }

    ngx_trp_quic_stream_unqueue(s);
    ngx_trp_quic_bytes_free(q, &s->out);
    s->next = NULL;

    if (s->orphan) {
        ngx_trp_quic_stream_destroy(s);
        return 0;
    }

    s->acked = s->written;
    s->tell_closed = 1;

    ngx_trp_quic_stream_tell_read(s);
    ngx_trp_quic_stream_tell_write(s);
    ngx_trp_quic_stream_tell(s);

    return 0;
}


static int
ngx_trp_quic_stream_extended(ngtcp2_conn *conn, int64_t id, uint64_t max,
    void *data, void *stream_data)
{
    ngx_trp_quic_stream_t *s = stream_data;

    if (s && s->in_output) {
        ngx_trp_quic_stream_queue(s, &s->quic->output);
    }

    return 0;
}


static int
ngx_trp_quic_streams_extended(ngtcp2_conn *conn, uint64_t max, void *data)
{
    ngx_trp_quic_t *q = data;

    q->tell_streams = 1;
    ngx_trp_quic_post(q);

    return 0;
}


void
ngx_trp_quic_streams_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->stream_open = ngx_trp_quic_stream_opened;
    callbacks->recv_stream_data = ngx_trp_quic_stream_data_recv;
    callbacks->acked_stream_data_offset = ngx_trp_quic_stream_acked;
    callbacks->stream_reset = ngx_trp_quic_stream_was_reset;
    callbacks->stream_close = ngx_trp_quic_stream_was_closed;
    callbacks->extend_max_stream_data = ngx_trp_quic_stream_extended;
    callbacks->extend_max_local_streams_bidi = ngx_trp_quic_streams_extended;
}
