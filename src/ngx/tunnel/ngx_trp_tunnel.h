
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel: frames on a TLS connection, the part that agents and the relay
 * have in common.
 *
 * A tunnel lives in its connection's pool and dies with the connection, in
 * ngx_trp_tunnel_close() and nowhere else.  That is called from the tunnel's
 * own events only; everybody else calls ngx_trp_tunnel_fail(), which closes
 * it soon after.  So no function that writes to a tunnel, or reads from it,
 * can free it under its caller.
 */


#ifndef _NGX_TRP_TUNNEL_H_INCLUDED_
#define _NGX_TRP_TUNNEL_H_INCLUDED_


#include "tunnel/ngx_trp_bio.h"


#pragma GCC visibility push(hidden)


/* what a stream's leftovers may cost once nobody wants them any more */

#define NGX_TRP_LINGER_SIZE     (16 * 1024 * 1024)
#define NGX_TRP_LINGER_TIME     5000

/* an agent's output: one TLS record, and control frames behind it */

#define NGX_TRP_RECORD_SIZE     16384


typedef struct ngx_trp_tunnel_s  ngx_trp_tunnel_t;


typedef struct {

    /* the connection has bytes; the owner reads until NGX_AGAIN */
    void              (*readable)(ngx_trp_tunnel_t *t);

    /* output that was stuck is gone */
    void              (*writable)(ngx_trp_tunnel_t *t);

    /* a stream has ended on both ends, the tunnel is free for the next */
    void              (*idle)(ngx_trp_tunnel_t *t);

    /* a frame that the tunnel itself has no use for; NGX_OK, or NGX_ERROR */
    ngx_int_t         (*frame)(ngx_trp_tunnel_t *t, trp_frame_t *frame);

    /* this worker begins to exit */
    void              (*drain)(ngx_trp_tunnel_t *t);

    /* about to be closed: leave every list */
    void              (*closed)(ngx_trp_tunnel_t *t);

} ngx_trp_tunnel_handlers_t;


/* what the tunnels of a configuration have in common in a worker */

typedef struct {
    ngx_trp_bio_conf_t   bio;
    ngx_trp_tunnel_t    *last;   /* its output waits for the handler's end */
} ngx_trp_tunnels_t;


struct ngx_trp_tunnel_s {
    ngx_connection_t                 *connection;
    ngx_trp_tunnels_t                *tunnels;
    const ngx_trp_tunnel_handlers_t  *handlers;
    void                             *data;       /* of the handlers' owner */

    trp_tunnel_t                      state;
    trp_reader_t                      reader;
    ngx_trp_bio_t                     bio;

    ngx_trp_out_t                     out;        /* frames, not yet in TLS */

    ngx_event_t                       event;      /* flush, idle, fail */

    ngx_msec_t                        heartbeat;
    ngx_msec_t                        received;   /* when something last came */
    const char                       *deadline;   /* what the timer waits for */
    size_t                            dropped;
    size_t                            unsent;     /* at the last beat */
    size_t                            turn;       /* bytes read in this one */

    unsigned                          busy:1;     /* a stream is not yet over */
    unsigned                          abandoned:1; /* nobody wants it now */
    unsigned                          held:1;     /* output waits for more */
    unsigned                          blocked:1;  /* the socket takes no more */
    unsigned                          stalled:1;  /* not read for that reason */
    unsigned                          draining:1; /* no new stream here */
    unsigned                          failed:1;
    unsigned                          missed:2;   /* beats without an answer */
    unsigned                          probing:4;  /* shorter beats to go */
    unsigned                          write_on_read:1;
};


/*
 * Makes a tunnel for a connection, in its pool: c->data.  Returns NULL if
 * there is no memory.  ngx_trp_tunnel_start() takes over the connection's
 * events when the TLS handshake is done; NGX_ERROR: no memory.
 */

ngx_trp_tunnel_t *ngx_trp_tunnel_create(ngx_connection_t *c,
    ngx_trp_tunnels_t *tunnels, const ngx_trp_tunnel_handlers_t *handlers,
    void *data, ngx_uint_t relay, ngx_msec_t heartbeat);
ngx_int_t ngx_trp_tunnel_start(ngx_trp_tunnel_t *t);

void ngx_trp_tunnel_close(ngx_trp_tunnel_t *t);

/* closes the tunnel from its own event; what was written is tried once more */

void ngx_trp_tunnel_fail(ngx_trp_tunnel_t *t);


/* the same with ERROR ahead, and for a frame that the reader refused, logged */

void ngx_trp_tunnel_error(ngx_trp_tunnel_t *t, ngx_uint_t code);
void ngx_trp_tunnel_invalid(ngx_trp_tunnel_t *t);


/* bytes, NGX_AGAIN, or NGX_ERROR if the connection is over (logged) */

ssize_t ngx_trp_tunnel_recv(ngx_trp_tunnel_t *t, u_char *buf, size_t size);


/*
 * Reads frames one by one.  NGX_OK: a DATA frame begins, or is not yet all
 * taken, reader.left says how much; an empty one is taken, too.  NGX_AGAIN: no
 * more for now.  NGX_DONE: the stream's other direction has ended with this
 * frame.  NGX_ERROR: the tunnel has failed.
 */

ngx_int_t ngx_trp_tunnel_input(ngx_trp_tunnel_t *t);

/*
 * What to do with a complete control frame, whoever read it: the state moves,
 * and the frame goes to the tunnel itself or to handlers->frame().
 * NGX_OK, NGX_DONE as above, NGX_ERROR.  NGX_DECLINED: it belongs to a stream
 * that is over, and is nothing to anybody.
 */

ngx_int_t ngx_trp_tunnel_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);

/*
 * Where the next bytes of a header or a control frame belong, as
 * trp_reader_space(); NULL if there is no memory, the tunnel has failed then.
 * A payload is there until the next header begins.
 */

u_char *ngx_trp_tunnel_space(ngx_trp_tunnel_t *t, size_t *size);


/*
 * Output.  Control frames always fit.  ngx_trp_tunnel_data() frames as much
 * as the output takes and returns how much that was.  Nothing is written to
 * the connection before the posted event, except when there is much.
 */

void ngx_trp_tunnel_send(ngx_trp_tunnel_t *t, ngx_uint_t type);
void ngx_trp_tunnel_send_frame(ngx_trp_tunnel_t *t, u_char *start,
    u_char *last);
size_t ngx_trp_tunnel_data(ngx_trp_tunnel_t *t, u_char *p, size_t size);

/*
 * A datagram of "size" bytes, at most TRP_DATA_MAX, as one DATA frame: where
 * the caller puts it, at once, or NULL if the output has no room for all of it.
 */

u_char *ngx_trp_tunnel_datagram(ngx_trp_tunnel_t *t, size_t size);

/*
 * Bytes of whole or partial frames as they are.  ngx_trp_tunnel_sent() tells
 * the state of each frame among them, and the length of its payload.
 */

void ngx_trp_tunnel_forward(ngx_trp_tunnel_t *t, u_char *p, size_t size);
ngx_int_t ngx_trp_tunnel_sent(ngx_trp_tunnel_t *t, ngx_uint_t type,
    size_t len);

#define ngx_trp_tunnel_pending(t)                                            \
    (ngx_trp_out_pending(&(t)->out) + ngx_trp_bio_pending(&(t)->bio))

/*
 * What was written last waits for more that is about to follow: for one more
 * turn of the event loop, or until more is written, at most for "msec".
 */

void ngx_trp_tunnel_flush_later(ngx_trp_tunnel_t *t);
void ngx_trp_tunnel_flush_after(ngx_trp_tunnel_t *t, ngx_msec_t msec);


/*
 * A stream is over when its last frame went out or came in: handlers->idle()
 * is called then, from the posted event, or from here if that is too late.
 */

void ngx_trp_tunnel_settle(ngx_trp_tunnel_t *t);


/*
 * The near end of the stream is gone, the tunnel finishes it alone: resets it
 * (or refuses it for the reason given, if it was not accepted) unless it was
 * ended, and drops what still comes, within bounds.  "aborted" resets also what
 * was ended: nobody will read the answer.
 */

void ngx_trp_tunnel_abandon(ngx_trp_tunnel_t *t, trp_refuse_t *refuse,
    ngx_uint_t aborted);


/* closes the tunnel after "msec" unless something else is set until then */

void ngx_trp_tunnel_deadline(ngx_trp_tunnel_t *t, ngx_msec_t msec,
    const char *what);

/* back to heartbeats */

void ngx_trp_tunnel_watch(ngx_trp_tunnel_t *t);


/*
 * Somebody waits for the place of a tunnel whose peer may be dead: within some
 * seconds it is closed, or has shown that it lives.  Returns 0 if it is alive
 * as far as is known, or on its way to be closed.
 */

ngx_uint_t ngx_trp_tunnel_probe(ngx_trp_tunnel_t *t);


/* bytes that the socket has, and its peer has not acknowledged */

size_t ngx_trp_tunnel_unsent(ngx_connection_t *c);


/* the exporter value of the TLS connection; NGX_ERROR if it has none */

ngx_int_t ngx_trp_tunnel_exporter(ngx_trp_tunnel_t *t, u_char *out);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_H_INCLUDED_ */
