
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
     * The number of bytes; 0: the connection is over, explain() says why;
     * NGX_AGAIN: c->read->handler will be called; NGX_ERROR: it has failed, and
     * explain() says why, too.
     */
    ssize_t           (*recv)(ngx_trp_transport_t *tr, u_char *buf,
                              size_t size);

    /* 1 if recv() would only find out that there is nothing */
    ngx_uint_t        (*drained)(ngx_trp_transport_t *tr);

    /*
     * Why recv() has returned 0 or NGX_ERROR, as a text for the log; an error
     * also has a line of its own there, unless "quiet".  "err" is set for 0:
     * what the system has reported, or 0 for a clean end.
     */
    const char       *(*explain)(ngx_trp_transport_t *tr, ngx_uint_t quiet,
                                 ngx_err_t *err);

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

    /* the peer of a busy tunnel must be found dead within some beats, ms */
    void              (*keepalive)(ngx_trp_transport_t *tr, ngx_msec_t beat,
                                   ngx_uint_t beats);

    /* 1 if its host has not acknowledged data for so long */
    ngx_uint_t        (*lost)(ngx_trp_transport_t *tr, ngx_msec_t beat,
                              ngx_uint_t beats);

    /* it is idle: buffers may be freed */
    void              (*relax)(ngx_trp_transport_t *tr);

    /* TRP_EXPORTER_LEN bytes; NGX_ERROR: there is no unique value */
    ngx_int_t         (*exporter)(ngx_trp_transport_t *tr, u_char *out);

    /* 1 if a TLS session was resumed */
    ngx_uint_t        (*reused)(ngx_trp_transport_t *tr);

    /* close() is to tell the peer that this is no end, and to send no more */
    void              (*reset)(ngx_trp_transport_t *tr);

    /*
     * Closes and frees the connection with its pool, and so the transport and
     * the tunnel.  "blocked": output waits that is given up.  Before start()
     * too.
     */
    void              (*close)(ngx_trp_transport_t *tr, ngx_uint_t blocked);

} ngx_trp_transport_ops_t;


/* the beginning of each transport */

struct ngx_trp_transport_s {
    const ngx_trp_transport_ops_t  *ops;
    ngx_connection_t               *connection;

    /* what send() has taken, and flush() has to pass on */
    const ngx_trp_out_t            *out;

    unsigned                        write_on_read:1;  /* recv() waits for it */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_TRANSPORT_H_INCLUDED_ */
