
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection and its streams as the files of this room know them.
 */


#ifndef _NGX_TRP_QUIC_IMPL_H_INCLUDED_
#define _NGX_TRP_QUIC_IMPL_H_INCLUDED_


#include "quic/ngx_trp_quic_types.h"

#include <ngtcp2/ngtcp2.h>


#pragma GCC visibility push(hidden)


#define NGX_TRP_QUIC_BLOCK        16384
#define NGX_TRP_QUIC_SMALL        960    /* with its head and malloc's, 1 KiB */
#define NGX_TRP_QUIC_SPARE        64     /* blocks kept for later */

#define NGX_TRP_QUIC_UNACKED      (1024 * 1024)        /* of a stream */
#define NGX_TRP_QUIC_STREAM_MIN   (128 * 1024)         /* its first window */
#define NGX_TRP_QUIC_STREAM_MAX   (1024 * 1024)
#define NGX_TRP_QUIC_WINDOW       (8 * 1024 * 1024)    /* of a connection */
#define NGX_TRP_QUIC_UNREAD       (64 * 1024 * 1024)   /* beyond, it shrinks */
#define NGX_TRP_QUIC_DATAGRAMS    256                  /* that may wait */


typedef struct ngx_trp_quic_block_s  ngx_trp_quic_block_t;

struct ngx_trp_quic_block_s {
    ngx_trp_quic_block_t            *next;
    uint32_t                         size;
    uint32_t                         last;     /* bytes in it */
    u_char                           data[];
};


/* bytes in blocks: "pos" is in the first one */

typedef struct {
    ngx_trp_quic_block_t            *first;
    ngx_trp_quic_block_t            *last;
    size_t                           pos;
} ngx_trp_quic_bytes_t;


/* a DATAGRAM that waits */

typedef struct {
    ngx_queue_t                      queue;
    size_t                           len;
    u_char                           data[];
} ngx_trp_quic_datagram_t;


/* packets that could not be sent */

typedef struct {
    ngtcp2_path_storage              path;
    ngx_trp_quic_packets_t           packets;
    u_char                           data[];
} ngx_trp_quic_unsent_t;


/*
 * A stream is in up to three queues: of all, of those whose owners are to be
 * told something, and of those that have something to send.  The flags are
 * independent facts, many fields are counters.
 */

struct ngx_trp_quic_stream_s {
    ngx_trp_quic_t                  *quic;     /* NULL: it is gone */
    const ngx_trp_quic_stream_handlers_t  *handlers;
    void                            *data;
    int64_t                          id;

    ngx_queue_t                      all;
    ngx_queue_t                      told;
    ngx_queue_t                      output;

    ngx_trp_quic_bytes_t             in;
    size_t                           unread;

    ngx_trp_quic_bytes_t             out;
    ngx_trp_quic_block_t            *next;     /* where unsent bytes are */
    uint64_t                         acked;
    uint64_t                         sent;
    uint64_t                         written;

    uint64_t                         code;

    uint32_t                         next_pos;       /* in that block */
    unsigned                         fresh:1;        /* opened() follows */
    unsigned                         in_told:1;
    unsigned                         in_output:1;
    unsigned                         want_read:1;    /* recv() had none */
    unsigned                         want_write:1;   /* send() had no room */
    unsigned                         can_read:1;     /* to be told */
    unsigned                         can_write:1;
    unsigned                         tell_closed:1;
    unsigned                         fin_read:1;     /* FIN is behind "in" */
    unsigned                         reset_read:1;   /* the peer has reset it */
    unsigned                         stopped:1;      /* nobody reads it */
    unsigned                         finished:1;     /* FIN behind "out" */
    unsigned                         fin_sent:1;
    unsigned                         reset:1;        /* both ways, by us */
    unsigned                         closed:1;       /* QUIC has forgotten it */
    unsigned                         orphan:1;       /* the owner freed it */
};


typedef struct {
    const u_char                    *pos;
    const u_char                    *last;
    u_char                          *start;    /* of a copy, or NULL */
    u_char                          *params;   /* ours, while TLS needs them */
    ngtcp2_encryption_level          level;    /* of what TLS sends */
} ngx_trp_quic_tls_t;


/* the fields are those of three parts; flags are independent facts */

struct ngx_trp_quic_s {
    ngtcp2_conn                     *conn;
    SSL                             *ssl;      /* NULL: not ours any more */
    const ngx_trp_quic_handlers_t   *handlers;
    void                            *data;
    ngx_log_t                       *log;
    ngx_event_t                      event;
    ngx_trp_quic_conf_t              conf;
    ngx_trp_quic_tls_t               tls;

    ngx_queue_t                      streams;
    ngx_queue_t                      told;
    ngx_queue_t                      output;
    ngx_queue_t                      blocked;  /* wait for acknowledgements */
    ngx_queue_t                      datagrams;
    ngx_uint_t                       ndatagrams;
    ngx_uint_t                       nstreams;

    ngx_trp_quic_block_t            *spare;
    ngx_uint_t                       nspare;
    size_t                           unread;   /* of all streams */
    size_t                           debt;     /* window not yet given */

    ngx_trp_quic_unsent_t           *unsent;
    ngx_trp_quic_unsent_t           *last;     /* CONNECTION_CLOSE, sent */
    ngtcp2_tstamp                    again_at; /* not before that */
    ngtcp2_tstamp                    gone_at;

    ngx_trp_quic_cid_t               first;    /* a client's first id */

    uint16_t                         probes[1];       /* of the path's MTU */

    int                              error;    /* of ngtcp2 */
    ngx_trp_quic_why_t               why;
    u_char                           text[NGX_TRP_TEXT_LEN];

    ngtcp2_path_storage              failed_path;

    ngx_msec_t                       received;
    uint64_t                         bytes_sent;
    uint64_t                         bytes_received;

    unsigned                         server:1;
    unsigned                         has_first:1;
    unsigned                         ready:1;
    unsigned                         confirmed:1;    /* the peer is, too */
    unsigned                         tell_ready:1;
    unsigned                         tell_streams:1;
    unsigned                         tell_moved:1;
    unsigned                         tell_failed:1;
    unsigned                         can_send:1;     /* "unsent", again */
    unsigned                         send_last:1;
    unsigned                         closing:1;      /* by us, or an error */
    unsigned                         over:1;         /* closed() was called */
    unsigned                         freed:1;
};


/* monotonic time; the unit tests have their own */

ngtcp2_tstamp ngx_trp_quic_now(void);


static ngx_inline void
ngx_trp_quic_post(ngx_trp_quic_t *q)
{
    if (!q->event.posted) {
        ngx_post_event(&q->event, &ngx_posted_events);
    }
}


/* an error of ngtcp2: the connection is closed from the posted event */

static ngx_inline void
ngx_trp_quic_fail(ngx_trp_quic_t *q, int error)
{
    if (!q->closing) {
        q->closing = 1;
        q->error = error;
    }

    ngx_trp_quic_post(q);
}


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_IMPL_H_INCLUDED_ */
