
/*
 * Copyright (C) the trp authors
 */


/*
 * Packets are written into one buffer, one behind another, as long as they are
 * of one length and go the same way: the kernel takes them at once.
 */


#include "quic/ngx_trp_quic_output.h"
#include "quic/ngx_trp_quic_streams.h"


#define NGX_TRP_QUIC_VECTORS  8
#define NGX_TRP_QUIC_ROUNDS   8     /* bursts, before others have their turn */


/* packets that are not yet sent */

typedef struct {
    ngtcp2_path_storage  path;
    size_t               len;
    size_t               segment;
    size_t               limit;            /* of "len" */
    uint32_t             ecn;
    unsigned             probed:1;         /* a blocked stream, for this time */
    unsigned             full:1;           /* no stream may send more */
    u_char               data[NGX_TRP_QUIC_BURST];
} ngx_trp_quic_burst_t;


static ngx_trp_quic_unsent_t *
ngx_trp_quic_unsent(ngx_trp_quic_t *q, const ngtcp2_path *path,
    const ngx_trp_quic_packets_t *packets)
{
    ngx_trp_quic_unsent_t  *unsent;

    unsent = ngx_alloc(sizeof(ngx_trp_quic_unsent_t) + packets->len, q->log);
    if (unsent == NULL) {
        return NULL;
    }

    ngtcp2_path_storage_init(&unsent->path, path->local.addr,
                             path->local.addrlen, path->remote.addr,
                             path->remote.addrlen, NULL);

    unsent->packets = *packets;
    unsent->packets.data = unsent->data;

    ngx_memcpy(unsent->data, packets->data, packets->len);

    return unsent;
}


static ngx_int_t
ngx_trp_quic_send(ngx_trp_quic_t *q, const ngtcp2_path *path,
    const ngx_trp_quic_packets_t *packets)
{
    ngx_int_t            rc;
    ngx_trp_quic_path_t  p;

    p.local = path->local.addr;
    p.local_len = path->local.addrlen;
    p.remote = path->remote.addr;
    p.remote_len = path->remote.addrlen;

    rc = q->handlers->send(q, &p, packets);

    if (rc != NGX_AGAIN) {
        q->bytes_sent += packets->len;
    }

    return rc;
}


static ngx_int_t
ngx_trp_quic_send_unsent(ngx_trp_quic_t *q)
{
    ngx_trp_quic_unsent_t  *unsent;

    unsent = q->unsent;

    if (!q->can_send) {
        return NGX_AGAIN;
    }

    q->can_send = 0;

    if (ngx_trp_quic_send(q, &unsent->path.path, &unsent->packets)
        == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    q->unsent = NULL;
    ngx_free(unsent);

    return NGX_OK;
}


/* NGX_AGAIN: they are kept */

static ngx_int_t
ngx_trp_quic_burst_send(ngx_trp_quic_t *q, ngx_trp_quic_burst_t *burst,
    size_t pos, size_t len, size_t segment)
{
    ngx_trp_quic_packets_t  packets;

    packets.data = burst->data + pos;
    packets.len = len;
    packets.segment = ngx_min(segment, len);
    packets.ecn = burst->ecn;

    if (q->unsent == NULL
        && ngx_trp_quic_send(q, &burst->path.path, &packets) != NGX_AGAIN)
    {
        return NGX_OK;
    }

    if (q->unsent == NULL) {
        q->can_send = 0;
        q->unsent = ngx_trp_quic_unsent(q, &burst->path.path, &packets);
    }

    /* else lost, as packets may be */

    return NGX_AGAIN;
}


/* adds DATAGRAM frames to a packet; NGX_AGAIN: there is room for more frames */

static ngtcp2_ssize
ngx_trp_quic_write_datagram(ngx_trp_quic_t *q, ngx_trp_quic_burst_t *burst,
    ngtcp2_path *path, ngtcp2_pkt_info *info, u_char *buf, size_t len,
    ngtcp2_tstamp now)
{
    int                       accepted;
    ngtcp2_vec                vec;
    ngx_queue_t              *e;
    ngtcp2_ssize              n;
    ngx_trp_quic_datagram_t  *datagram;

    e = ngx_queue_head(&q->datagrams);
    datagram = ngx_queue_data(e, ngx_trp_quic_datagram_t, queue);

    vec.base = datagram->data;
    vec.len = datagram->len;
    accepted = 0;

    n = ngtcp2_conn_writev_datagram(q->conn, path, info, buf, len, &accepted,
                                    NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, &vec,
                                    1, now);

    if (accepted || n == NGTCP2_ERR_INVALID_STATE
        || n == NGTCP2_ERR_INVALID_ARGUMENT)
    {
        ngx_queue_remove(e);
        q->ndatagrams--;
        ngx_free(datagram);

        if (n < 0) {
            return NGTCP2_ERR_WRITE_MORE;
        }
    }

    return n;
}


static ngtcp2_ssize
ngx_trp_quic_write_stream(ngx_trp_quic_t *q, ngx_trp_quic_burst_t *burst,
    ngtcp2_path *path, ngtcp2_pkt_info *info, u_char *buf, size_t len,
    ngtcp2_tstamp now)
{
    size_t                  size;
    uint32_t                flags;
    ngtcp2_vec              vec[NGX_TRP_QUIC_VECTORS];
    ngx_uint_t              n;
    ngtcp2_ssize            rc, done;
    ngx_trp_quic_stream_t  *s;

    s = burst->full ? NULL : ngx_trp_quic_streams_first(q);

    if (s == NULL) {
        return ngtcp2_conn_writev_stream(q->conn, path, info, buf, len, NULL,
                                         NGTCP2_WRITE_STREAM_FLAG_NONE, -1,
                                         NULL, 0, now);
    }

    n = ngx_trp_quic_stream_vectors(s, vec, NGX_TRP_QUIC_VECTORS, &size);

    flags = NGTCP2_WRITE_STREAM_FLAG_MORE;

    if (s->finished && s->sent + size == s->written) {
        flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    }

    rc = ngtcp2_conn_writev_stream(q->conn, path, info, buf, len, &done,
                                   flags, s->id, vec, n, now);

    if (done >= 0) {
        ngx_trp_quic_stream_sent(s, done,
                                 (flags & NGTCP2_WRITE_STREAM_FLAG_FIN)
                                 && (size_t) done == size);
    }

    switch (rc) {

    case NGTCP2_ERR_STREAM_DATA_BLOCKED:

        if (ngtcp2_conn_get_max_data_left(q->conn) == 0) {
            burst->full = 1;

        } else {
            ngx_trp_quic_stream_blocked(s);
        }

        return NGTCP2_ERR_WRITE_MORE;

    case NGTCP2_ERR_STREAM_SHUT_WR:
    case NGTCP2_ERR_STREAM_NOT_FOUND:
        ngx_trp_quic_stream_stopped(s);
        return NGTCP2_ERR_WRITE_MORE;
    }

    return rc;
}


/*
 * A stream whose bytes are all sent, and none acknowledged, learns only when it
 * sends that the peer reads no more: one of those is asked each time.
 */

static ngtcp2_ssize
ngx_trp_quic_write_probe(ngx_trp_quic_t *q, ngtcp2_path *path,
    ngtcp2_pkt_info *info, u_char *buf, size_t len, ngtcp2_tstamp now)
{
    ngx_queue_t            *e;
    ngtcp2_ssize            rc;
    ngx_trp_quic_stream_t  *s;

    e = ngx_queue_head(&q->blocked);
    s = ngx_queue_data(e, ngx_trp_quic_stream_t, output);

    ngx_trp_quic_stream_blocked(s);

    if (s->sent == 0) {
        return NGTCP2_ERR_WRITE_MORE;
    }

    rc = ngtcp2_conn_writev_stream(q->conn, path, info, buf, len, NULL,
                                   NGTCP2_WRITE_STREAM_FLAG_NONE, s->id, NULL,
                                   0, now);

    if (rc == NGTCP2_ERR_STREAM_SHUT_WR || rc == NGTCP2_ERR_STREAM_NOT_FOUND) {
        ngx_trp_quic_stream_stopped(s);
        return NGTCP2_ERR_WRITE_MORE;
    }

    return rc ? rc : NGTCP2_ERR_WRITE_MORE;
}


/* one packet; its length, 0: there is nothing to send now, or an error */

static ngtcp2_ssize
ngx_trp_quic_write(ngx_trp_quic_t *q, ngx_trp_quic_burst_t *burst,
    ngtcp2_path *path, ngtcp2_pkt_info *info, u_char *buf, size_t len,
    ngtcp2_tstamp now)
{
    ngtcp2_ssize  rc;

    do {
        if (!burst->probed && !ngx_queue_empty(&q->blocked)) {
            burst->probed = 1;
            rc = ngx_trp_quic_write_probe(q, path, info, buf, len, now);

        } else if (!ngx_queue_empty(&q->datagrams) && q->ready) {
            rc = ngx_trp_quic_write_datagram(q, burst, path, info, buf, len,
                                             now);
        } else {
            rc = ngx_trp_quic_write_stream(q, burst, path, info, buf, len,
                                           now);
        }

    } while (rc == NGTCP2_ERR_WRITE_MORE);

    return rc;
}


/* NGX_OK: there may be more; NGX_DONE; NGX_AGAIN; NGX_ERROR: logged */

static ngx_int_t
ngx_trp_quic_burst(ngx_trp_quic_t *q, ngx_trp_quic_burst_t *burst,
    ngtcp2_tstamp now)
{
    size_t               max, pos;
    ngtcp2_ssize         n;
    ngtcp2_pkt_info      info;
    ngtcp2_path_storage  path;

    max = ngtcp2_conn_get_max_tx_udp_payload_size(q->conn);

    burst->len = 0;
    burst->segment = 0;
    burst->limit = ngx_min(ngtcp2_conn_get_send_quantum(q->conn),
                           NGX_TRP_QUIC_BURST);

    for ( ;; ) {
        pos = burst->len;

        ngtcp2_path_storage_zero(&path);

        n = ngx_trp_quic_write(q, burst, &path.path, &info, burst->data + pos,
                               max, now);

        if (n < 0) {
            ngx_trp_quic_fail(q, n);
            return NGX_ERROR;
        }

        if (n == 0) {
            return pos ? ngx_trp_quic_burst_send(q, burst, 0, pos,
                                                 burst->segment)
                         == NGX_AGAIN ? NGX_AGAIN : NGX_DONE
                       : NGX_DONE;
        }

        if (pos && ((size_t) n > burst->segment || info.ecn != burst->ecn
                    || !ngtcp2_path_eq(&path.path, &burst->path.path)))
        {
            /* this one goes alone */

            (void) ngx_trp_quic_burst_send(q, burst, 0, pos, burst->segment);

            ngtcp2_path_copy(&burst->path.path, &path.path);
            burst->ecn = info.ecn;

            return ngx_trp_quic_burst_send(q, burst, pos, n, n);
        }

        if (pos == 0) {
            ngtcp2_path_storage_init(&burst->path, path.path.local.addr,
                                     path.path.local.addrlen,
                                     path.path.remote.addr,
                                     path.path.remote.addrlen, NULL);
            burst->segment = n;
            burst->ecn = info.ecn;
        }

        burst->len += n;

        if ((size_t) n < burst->segment
            || burst->len + max > NGX_TRP_QUIC_BURST
            || burst->len >= burst->limit)
        {
            return ngx_trp_quic_burst_send(q, burst, 0, burst->len,
                                           burst->segment);
        }
    }
}


void
ngx_trp_quic_output(ngx_trp_quic_t *q, ngtcp2_tstamp now)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_trp_quic_stream_t  *s;
    ngx_trp_quic_burst_t    burst;

    if (q->unsent && ngx_trp_quic_send_unsent(q) == NGX_AGAIN) {
        return;
    }

    burst.probed = 0;
    burst.full = 0;

    for (i = 0; i < NGX_TRP_QUIC_ROUNDS; i++) {
        rc = ngx_trp_quic_burst(q, &burst, now);

        if (rc == NGX_ERROR) {
            return;
        }

        /* the next burst begins with another stream */

        s = ngx_trp_quic_streams_first(q);

        if (s) {
            ngx_queue_remove(&s->output);
            ngx_queue_insert_tail(&q->output, &s->output);
        }

        if (rc != NGX_OK) {
            break;
        }
    }

    ngtcp2_conn_update_pkt_tx_time(q->conn, now);

    if (i == NGX_TRP_QUIC_ROUNDS) {
        ngx_post_event(&q->event, &ngx_posted_next_events);
    }
}


void
ngx_trp_quic_output_close(ngx_trp_quic_t *q, const ngtcp2_ccerr *error,
    ngtcp2_tstamp now)
{
    u_char                  buf[NGX_TRP_QUIC_INITIAL];
    ngtcp2_ssize            n;
    ngtcp2_pkt_info         info;
    ngtcp2_path_storage     path;
    ngx_trp_quic_packets_t  packets;

    ngtcp2_path_storage_zero(&path);

    n = ngtcp2_conn_write_connection_close(q->conn, &path.path, &info, buf,
                                           sizeof(buf), error, now);
    if (n <= 0) {
        return;
    }

    packets.data = buf;
    packets.len = n;
    packets.segment = n;
    packets.ecn = info.ecn;

    q->last = ngx_trp_quic_unsent(q, &path.path, &packets);

    ngx_trp_quic_output_last(q);
}


void
ngx_trp_quic_output_last(ngx_trp_quic_t *q)
{
    if (q->last) {
        (void) ngx_trp_quic_send(q, &q->last->path.path, &q->last->packets);
    }
}
