
/*
 * Copyright (C) the trp authors
 */


/*
 * The types of a stream, and the tables of functions for its kind of data and
 * for its owner.
 */


#ifndef _NGX_TRP_STREAM_TYPES_H_INCLUDED_
#define _NGX_TRP_STREAM_TYPES_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "hub/ngx_trp_source.h"


#pragma GCC visibility push(hidden)


/*
 * What an entry sends before ACCEPT, and keeps to be sent again, and what a
 * reverse reads while its destination is slow.
 */

#define NGX_TRP_EARLY_SIZE      TRP_TUNNEL_SHORT
#define NGX_TRP_EARLY_DATAGRAMS 8

/* how long ACCEPT may wait for the first bytes of an answer, milliseconds */

#define NGX_TRP_ACCEPT_TIME     5

/* how long a destination may take to answer before the relay may doubt it */

#define NGX_TRP_ACCEPT_LATE     50

/* how long the end of a stream may wait for the next one, milliseconds */

#define NGX_TRP_END_TIME        5

#define NGX_TRP_STREAM_RETRIES  2

/* UDP: how long users are kept from trying again, milliseconds */

#define NGX_TRP_HOLD_TIME       1000

/* lost tunnels, after which it is taken for the stream's fault */

#define NGX_TRP_STREAM_LOSSES   64


typedef enum {
    NGX_TRP_STREAM_OPEN = 0,
    NGX_TRP_STREAM_ENDED,              /* END */
    NGX_TRP_STREAM_ABORTED             /* RESET, REFUSE, tunnel lost */
} ngx_trp_stream_end_e;


typedef struct ngx_trp_stream_s  ngx_trp_stream_t;


/* what differs between bytes and datagrams */

typedef struct {
    ngx_recv_pt           recv;
    ngx_send_pt           send;
    ngx_send_chain_pt     send_chain;

    /* reverse: reads the first bytes before there is a reader; or NULL */
    void                (*read_ahead)(ngx_trp_stream_t *st);

    /* sends what is early, as far as the tunnel takes it */
    void                (*send_early)(ngx_trp_stream_t *st);

    /* it is closed, and has a tunnel; or NULL */
    void                (*closing)(ngx_trp_stream_t *st);

    ngx_uint_t            udp;         /* datagrams */
} ngx_trp_stream_ops_t;


/* the functions of a stream's owner; only the first is for a reverse, too */

typedef struct {

    /* the proxy's other connection, NULL if there is none (yet) */
    ngx_connection_t   *(*other)(ngx_trp_stream_t *st);

    /* the stream is opened once more, and may take another source */
    void                (*reroute)(ngx_trp_stream_t *st);

    /* is there another relay with tunnels? */
    ngx_uint_t          (*elsewhere)(ngx_trp_stream_t *st);

    /* 1 if it cannot be served, and must not wait; or NULL */
    ngx_uint_t          (*hopeless)(ngx_trp_stream_t *st);

    /* ACCEPT came */
    void                (*opened)(ngx_trp_stream_t *st);

    /* ACCEPT will never come; "code" says why */
    void                (*failed)(ngx_trp_stream_t *st);

} ngx_trp_stream_handlers_t;


/* entry: what is sent before ACCEPT, and again if need be */

typedef struct {
    u_char                *open;       /* the OPEN frame */
    size_t                 open_len;

    u_char                *data;       /* bytes, or for UDP, DATA frames */
    size_t                 len;
    size_t                 sent;
    ngx_uint_t             datagrams;
} ngx_trp_stream_early_t;


/* entry: how often it was opened, and how */

typedef struct {
    ngx_uint_t             retries;    /* after a refusal, so far */
    ngx_uint_t             losses;     /* of a tunnel, before ACCEPT */

    unsigned               again:1;    /* OPEN was sent before */
    unsigned               leave:1;    /* this relay, if there is another */
} ngx_trp_stream_tries_t;


/* reverse: what was read ahead */

typedef struct {
    u_char                *data;
    size_t                 pos;
    size_t                 len;

    ngx_msec_t             since;      /* OPEN */
    unsigned               kept:1;     /* until ACCEPT, and PONG after it */
} ngx_trp_stream_ahead_t;


/* a datagram of which a part is still missing */

typedef struct {
    u_char                *data;
    size_t                 room;       /* the reader's largest buffer */
    ngx_uint_t             dropped;    /* datagrams, to either side */

    unsigned               skip:1;     /* the rest of this one */
    unsigned               truncated:1; /* and that was logged */
} ngx_trp_stream_part_t;


struct ngx_trp_stream_s {
    ngx_trp_holder_t       holder;     /* of the tunnel */
    ngx_connection_t      *connection;
    ngx_trp_source_t      *source;     /* of its tunnel */
    ngx_trp_tunnel_t      *tunnel;     /* NULL: none yet, or no more */
    ngx_trp_agent_worker_t  *agent;    /* reverse */

    const ngx_trp_stream_ops_t       *ops;
    const ngx_trp_stream_handlers_t  *handlers;
    void                  *data;       /* of the handlers' owner */

    ngx_queue_t            live;       /* reverse: in agent->streams */
    ngx_event_t            timer;      /* until ACCEPT */

    ngx_trp_stream_early_t  early;
    ngx_trp_stream_tries_t  tries;
    ngx_trp_stream_ahead_t  ahead;
    ngx_trp_stream_part_t   part;
    size_t                 taken;      /* from the tunnel so far */

    ngx_trp_stream_end_e   in;
    ngx_trp_stream_end_e   out;

    u_char                 id[TRP_STREAM_ID_LEN];
    ngx_str_t              destination; /* for the log */
    ngx_str_t              name;       /* of the other agent, if it is known */
    const char            *why;        /* it was aborted, or NULL */
    ngx_uint_t             code;       /* trp_code_e */

    unsigned               entry:1;
    unsigned               waiting:1;
    unsigned               accepted:1;
    unsigned               consumed:1; /* the end of input was handed on */
    unsigned               closed:1;
    unsigned               unreachable:1; /* had no tunnel in time */
    unsigned               logged:1;   /* why it failed */
    unsigned               held:1;     /* it failed, the proxy learns later */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_TYPES_H_INCLUDED_ */
