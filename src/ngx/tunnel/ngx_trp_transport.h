
/*
 * Copyright (C) the trp authors
 */


/*
 * What a tunnel needs from what is beneath it: TLS over TCP, a Unix socket
 * between two workers, a stream of a QUIC connection.
 *
 * A transport has a connection, whose pool it lives in, and whose events are
 * the tunnel's: the transport causes c->read->handler to be called when there
 * is something to receive, or the connection is over, and c->write->handler
 * when send() or flush() may go on.  It never frees itself, nor the tunnel,
 * under a caller: only close() does, which the tunnel calls.
 */


#ifndef _NGX_TRP_TRANSPORT_H_INCLUDED_
#define _NGX_TRP_TRANSPORT_H_INCLUDED_


#include "base/ngx_trp_out.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_transport_s  ngx_trp_transport_t;


typedef struct {

    /* the handshake is done, frames begin; NGX_ERROR: no memory */
    ngx_int_t         (*start)(ngx_trp_transport_t *tr);

    /*
     * The number of bytes; 0: the connection is over, and tr->err says how;
     * NGX_AGAIN: c->read->handler will be called; NGX_ERROR: it has failed, and
     * failed() must be called.
     */
    ssize_t           (*recv)(ngx_trp_transport_t *tr, u_char *buf,
                              size_t size);

    /* writes a line to the log, unless "quiet"; the same in short, or NULL */
    const char       *(*failed)(ngx_trp_transport_t *tr, ngx_uint_t quiet);

    /* 1 if recv() would only find out that there is nothing */
    ngx_uint_t        (*drained)(ngx_trp_transport_t *tr);

    /*
     * One record, at most NGX_TRP_RECORD_SIZE.  The number of bytes taken, not
     * 0; NGX_AGAIN: it is to be repeated with the same bytes, maybe elsewhere
     * in memory, from c->write->handler on; NGX_ERROR, logged.
     */
    ssize_t           (*send)(ngx_trp_transport_t *tr, u_char *p,
                              size_t size);

    /* passes on what send() has taken; NGX_OK, NGX_AGAIN, NGX_ERROR, logged */
    ngx_int_t         (*flush)(ngx_trp_transport_t *tr);

    /* c->write->handler was called, and no output waits for it any longer */
    ngx_int_t         (*written)(ngx_trp_transport_t *tr);

    /* bytes passed on that the peer's host has not acknowledged */
    size_t            (*unacknowledged)(ngx_trp_transport_t *tr);

    /*
     * A peer's host that is gone while a stream is on the tunnel is to be
     * noticed within some beats, in ms, even if nothing is sent.  lost(): 1 if
     * it has not acknowledged data for so long.
     */
    void              (*keepalive)(ngx_trp_transport_t *tr, ngx_msec_t beat,
                                   ngx_uint_t beats);
    ngx_uint_t        (*lost)(ngx_trp_transport_t *tr, ngx_msec_t beat,
                              ngx_uint_t beats);

    /* it is idle; or "ended": a stream has ended, and the next may follow */
    void              (*relax)(ngx_trp_transport_t *tr, ngx_uint_t ended);

    /* TRP_EXPORTER_LEN bytes; NGX_ERROR: there is no unique value */
    ngx_int_t         (*exporter)(ngx_trp_transport_t *tr, u_char *out);

    /* 1 if a TLS session was resumed */
    ngx_uint_t        (*reused)(ngx_trp_transport_t *tr);

    /* nothing more is sent, and close() lets the peer see a reset */
    void              (*reset)(ngx_trp_transport_t *tr);

    /*
     * Closes the connection and frees it with its pool, and so the transport
     * and the tunnel; also before start().  "blocked": output is given up.
     */
    void              (*close)(ngx_trp_transport_t *tr, ngx_uint_t blocked);

} ngx_trp_transport_ops_t;


/* the beginning of each transport */

struct ngx_trp_transport_s {
    const ngx_trp_transport_ops_t  *ops;
    ngx_connection_t               *connection;

    /* what send() has taken, and flush() has to pass on */
    const ngx_trp_out_t            *out;

    ngx_err_t                       err;     /* of recv(); 0: a clean end */

    unsigned                        write_on_read:1;  /* recv() waits for it */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_TRANSPORT_H_INCLUDED_ */
