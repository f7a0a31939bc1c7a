
/*
 * Copyright (C) the trp authors
 */


/*
 * The types of a tunnel, for its own files, and for those that access its
 * members.
 */


#ifndef _NGX_TRP_TUNNEL_TYPES_H_INCLUDED_
#define _NGX_TRP_TUNNEL_TYPES_H_INCLUDED_


#include "base/ngx_trp_meter.h"
#include "tunnel/ngx_trp_bio.h"
#include "tunnel/ngx_trp_transport.h"
#include "tunnel/trp_tunnel.h"


#pragma GCC visibility push(hidden)


/* bounds for draining the rest of an abandoned stream: bytes, milliseconds */

#define NGX_TRP_LINGER_SIZE     (16 * 1024 * 1024)
#define NGX_TRP_LINGER_TIME     5000

/* an agent's output: one TLS record, and control frames after it */

#define NGX_TRP_RECORD_SIZE     16384


typedef struct ngx_trp_tunnel_s  ngx_trp_tunnel_t;
typedef struct ngx_trp_holder_s  ngx_trp_holder_t;


typedef struct {

    /* the connection has bytes; the owner reads until NGX_AGAIN */
    void              (*readable)(ngx_trp_tunnel_t *t);

    /* output that was blocked has been sent */
    void              (*writable)(ngx_trp_tunnel_t *t);

    /* a stream has ended on both sides, the tunnel is free for the next */
    void              (*idle)(ngx_trp_tunnel_t *t);

    /* a frame that the tunnel does not handle itself; NGX_OK or NGX_ERROR */
    ngx_int_t         (*frame)(ngx_trp_tunnel_t *t, trp_frame_t *frame);

    /* this worker begins to exit */
    void              (*drain)(ngx_trp_tunnel_t *t);

    /* about to be closed: the owner removes it from all lists */
    void              (*closed)(ngx_trp_tunnel_t *t);

    /*
     * OPEN has no answer, nor has PING.  "safe": if the tunnel is given up with
     * ngx_trp_tunnel_forsake(), nothing of the stream takes effect there.
     */
    void              (*silent)(ngx_trp_tunnel_t *t, ngx_uint_t safe);

} ngx_trp_tunnel_handlers_t;


/* payload of streams, in bytes, from a tunnel's peer and to it */

typedef struct {
    uint64_t             received;
    uint64_t             sent;
} ngx_trp_traffic_t;


/* shared by the tunnels of a configuration in a worker */

typedef struct {
    ngx_trp_bio_conf_t   bio;
    ngx_trp_tunnel_t    *last;   /* its output waits for the handler's end */
    ngx_trp_traffic_t    traffic[2];   /* by state.opener */
} ngx_trp_tunnels_t;


/*
 * What is known about a peer that has not answered OPEN yet; the flag "asked"
 * of the peer itself: PING came before its answer.  Each of the flags is one
 * fact, see ngx_trp_tunnel_doubt.c.
 */

typedef struct {
    ngx_msec_t           timeout;    /* 0: there is no doubt */
    ngx_msec_t           since;      /* OPEN, PING, or its answer */
    size_t               unsent;     /* at PING, bytes */

    unsigned             able:1;     /* it answers PING before its answer */
    unsigned             open:1;     /* OPEN was sent, and has no answer */
    unsigned             asked:1;    /* PING was sent after it */
    unsigned             heard:1;    /* PING was answered */
    unsigned             had:1;      /* all that was sent before PING */
    unsigned             unsafe:1;   /* it may have carried out the stream */
    unsigned             partial:1;  /* a frame to it is half written */
    unsigned             confirm:1;  /* PONG waits for the rest of it */
} ngx_trp_tunnel_doubt_t;


/* one of thousands, in one piece of memory: its parts are fields of it */

struct ngx_trp_tunnel_s {
    ngx_connection_t                 *connection; /* the transport's */
    ngx_trp_transport_t              *transport;
    ngx_trp_tunnels_t                *tunnels;
    const ngx_trp_tunnel_handlers_t  *handlers;
    void                             *data;       /* of the handlers' owner */
    ngx_trp_holder_t                 *holder;     /* its stream, or NULL */

    trp_tunnel_t                      state;
    trp_reader_t                      reader;

    ngx_trp_out_t                     out;        /* frames, not yet in TLS */

    ngx_trp_tunnel_doubt_t            doubt;

    ngx_trp_metered_t                *input;      /* NULL: without limit */
    ngx_trp_metered_t                *output;

    /* received and sent, counted elsewhere as well; or NULL */
    ngx_atomic_t                     *traffic;

    ngx_msec_t                        heartbeat;
    ngx_msec_t                        received;   /* time of the last input */
    const char                       *deadline;   /* what the timer waits for */
    const char                       *why;        /* it is to be closed */
    uint32_t                          dropped;
    uint32_t                          unsent;     /* at the last beat */
    uint32_t                          turn;       /* bytes read in this run */

    unsigned                          busy:1;     /* a stream is not yet over */
    unsigned                          abandoned:1; /* its near end is gone */
    unsigned                          held:1;     /* output waits for more */
    unsigned                          blocked:1;  /* the socket is full */
    unsigned                          stalled:1;  /* not read for that reason */
    unsigned                          draining:1; /* no new stream here */
    unsigned                          failed:1;
    unsigned                          missed:2;   /* beats without an answer */
    unsigned                          probing:4;  /* shorter beats to go */

#if (NGX_DEBUG)
    u_char                            stream_id[TRP_STREAM_ID_LEN];
#endif
};


/* the output that has not left this process, bytes */

#define ngx_trp_tunnel_pending(t)                                            \
    (ngx_trp_out_pending(&(t)->out)                                          \
     + ngx_trp_out_pending((t)->transport->out))


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_TYPES_H_INCLUDED_ */
