
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream: an ngx_connection_t without a socket, whose bytes travel in the
 * frames of a tunnel.  nginx's own stream proxy reads and writes it as it
 * does any other connection, at the entry as its upstream's, at the reverse
 * as its client's.
 *
 * A stream of UDP has datagrams in place of bytes, each of them one frame.
 * What cannot be sent at once is dropped.
 *
 * The object must live as long as the connection, until
 * ngx_trp_stream_close().  What is then still to be said on the tunnel, the
 * tunnel says alone.
 */


#ifndef _NGX_TRP_STREAM_H_INCLUDED_
#define _NGX_TRP_STREAM_H_INCLUDED_


#include "agent/ngx_trp_pool.h"
#include "base/ngx_trp_fake.h"


#pragma GCC visibility push(hidden)


/*
 * What an entry sends ahead of ACCEPT, and keeps to be sent again, and what a
 * reverse reads ahead of a slow destination.
 */

#define NGX_TRP_EARLY_SIZE      TRP_TUNNEL_SHORT
#define NGX_TRP_EARLY_DATAGRAMS 8

/* how long ACCEPT may wait for the first bytes of an answer, milliseconds */

#define NGX_TRP_ACCEPT_TIME     5

/* how long the end of a stream may wait for the next one, milliseconds */

#define NGX_TRP_END_TIME        5

#define NGX_TRP_STREAM_RETRIES  2

/* tunnels that may be lost with it, until it counts as the stream's fault */

#define NGX_TRP_STREAM_LOSSES   64


typedef enum {
    NGX_TRP_STREAM_OPEN = 0,
    NGX_TRP_STREAM_ENDED,              /* END */
    NGX_TRP_STREAM_ABORTED             /* RESET, REFUSE, tunnel lost */
} ngx_trp_stream_end_e;


struct ngx_trp_stream_s {
    ngx_connection_t      *connection;
    ngx_trp_pool_t        *pool;
    ngx_trp_link_t        *link;       /* NULL: no tunnel yet, or no more */

    ngx_queue_t            queue;      /* in pool->waiting */
    ngx_queue_t            live;       /* reverse: in conf->streams */
    ngx_event_t            timer;      /* until ACCEPT */

    u_char                *open;       /* entry: the OPEN frame */
    size_t                 open_len;
    u_char                *early;
    size_t                 early_len;
    size_t                 early_sent;
    ngx_uint_t             early_datagrams;

    u_char                *ahead;      /* reverse: what came first */
    size_t                 ahead_pos;
    size_t                 ahead_len;
    size_t                 taken;      /* from the tunnel so far */

    u_char                *part;       /* of a datagram */
    size_t                 room;       /* for one, at most, at its reader's */

    /* the proxy's other connection, NULL if there is none (yet) */
    ngx_connection_t    *(*other)(ngx_trp_stream_t *st);

    /* entry: the stream is opened once more, it may take another pool */
    void                 (*reroute)(ngx_trp_stream_t *st);

    /* entry: is there another relay with tunnels? */
    ngx_uint_t           (*elsewhere)(ngx_trp_stream_t *st);

    /* entry: nobody can serve it, and it is not to wait; or NULL */
    ngx_uint_t           (*hopeless)(ngx_trp_stream_t *st);

    /* entry: ACCEPT came */
    void                 (*opened)(ngx_trp_stream_t *st);

    /* entry: it never will, "code" says why */
    void                 (*failed)(ngx_trp_stream_t *st);

    void                  *data;       /* of the module */

    ngx_str_t              destination; /* for the log */
    ngx_str_t              name;       /* of the other agent, if it is known */
    u_char                 id[TRP_STREAM_ID_LEN];
    const char            *why;        /* it was aborted, if it was */
    ngx_uint_t             code;       /* trp_code_e */
    ngx_uint_t             retries;    /* after a refusal, so far */
    ngx_uint_t             losses;     /* of a tunnel, ahead of ACCEPT */

    ngx_trp_stream_end_e   in;
    ngx_trp_stream_end_e   out;

    unsigned               entry:1;
    unsigned               udp:1;
    unsigned               waiting:1;
    unsigned               accepted:1;
    unsigned               consumed:1; /* the end of input was handed on */
    unsigned               closed:1;
    unsigned               unreachable:1; /* had no tunnel in time */
    unsigned               again:1;    /* OPEN was sent before */
    unsigned               leave:1;    /* this relay, if there is another */
    unsigned               skip:1;     /* the rest of this datagram */
    unsigned               truncated:1; /* and that was logged */
    unsigned               logged:1;   /* why it failed */
};


/*
 * Makes the connection and ties it to "st", which is zeroed by the caller
 * but for what he has to say.  NGX_ERROR: no descriptor or no connection,
 * logged.  "fd" is a socket of the process, of which each stream has a dup.
 */

ngx_int_t ngx_trp_stream_create(ngx_trp_stream_t *st, ngx_socket_t fd,
    ngx_log_t *log);

/* the stream of a connection, or NULL if it has none */

ngx_trp_stream_t *ngx_trp_stream_of(ngx_connection_t *c);


/* entry: takes a tunnel, or waits for one, at most "timeout" until ACCEPT */

void ngx_trp_stream_open(ngx_trp_stream_t *st, ngx_msec_t timeout);
void ngx_trp_stream_attach(ngx_trp_stream_t *st, ngx_trp_link_t *link);

/* entry: the stream has no tunnel, and may look for one in another pool */

void ngx_trp_stream_reopen(ngx_trp_stream_t *st);

/* reverse: 1 if a stream with this id was accepted, and may not be again */

ngx_uint_t ngx_trp_stream_known(ngx_trp_agent_conf_t *conf, const u_char *id);

/* reverse: the destination answers */

void ngx_trp_stream_accept(ngx_trp_stream_t *st);


/*
 * The connection is about to be closed.  What it has not ended is reset; what
 * it has not accepted is refused for the reason given, if any.
 */

void ngx_trp_stream_close(ngx_trp_stream_t *st, trp_refuse_t *refuse);


/*
 * The session is over: one line, unless both directions have ended, or what
 * went wrong was logged before.
 */

void ngx_trp_stream_log_end(ngx_trp_stream_t *st, ngx_log_t *log);

/* a line with all that follows a stream across machines */

void ngx_trp_stream_log(ngx_trp_stream_t *st, ngx_uint_t level,
    ngx_log_t *log, const char *what, trp_str_t text);


/*
 * From the tunnel.  readable returns 1 if the stream reads on its own; it has
 * done so, not behind what else happens in this turn of the event loop, and
 * may be gone.
 */

ngx_uint_t ngx_trp_stream_readable(ngx_trp_stream_t *st);
void ngx_trp_stream_writable(ngx_trp_stream_t *st);
ngx_int_t ngx_trp_stream_frame(ngx_trp_stream_t *st, trp_frame_t *frame);
void ngx_trp_stream_detach(ngx_trp_stream_t *st);
void ngx_trp_stream_lost(ngx_trp_stream_t *st);
void ngx_trp_stream_drain(ngx_trp_stream_t *st);


/* what is sent early goes to the tunnel, as far as it takes it */

void ngx_trp_stream_pump(ngx_trp_stream_t *st);

/* the first reason is the one that counts */

void ngx_trp_stream_why(ngx_trp_stream_t *st, const char *why);


/* of streams of UDP: what differs */

ssize_t ngx_trp_stream_udp_recv(ngx_connection_t *c, u_char *buf, size_t size);
ssize_t ngx_trp_stream_udp_send(ngx_connection_t *c, u_char *buf, size_t size);
ngx_chain_t *ngx_trp_stream_udp_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
void ngx_trp_stream_udp_pump_early(ngx_trp_stream_t *st);
void ngx_trp_stream_udp_end(ngx_trp_stream_t *st);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_H_INCLUDED_ */
