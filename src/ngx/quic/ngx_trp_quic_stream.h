
/*
 * Copyright (C) the trp authors
 */


/*
 * Bidirectional streams of a connection.
 */


#ifndef _NGX_TRP_QUIC_STREAM_H_INCLUDED_
#define _NGX_TRP_QUIC_STREAM_H_INCLUDED_


#include "quic/ngx_trp_quic_types.h"


#pragma GCC visibility push(hidden)


/*
 * NULL: no memory, or none is left.  The peer sees a stream when something is
 * sent on it.
 */

ngx_trp_quic_stream_t *ngx_trp_quic_stream_open(ngx_trp_quic_t *q,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data);

void ngx_trp_quic_stream_set(ngx_trp_quic_stream_t *s,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data);
void *ngx_trp_quic_stream_data(ngx_trp_quic_stream_t *s);
ngx_trp_quic_t *ngx_trp_quic_stream_quic(ngx_trp_quic_stream_t *s);
uint64_t ngx_trp_quic_stream_id(ngx_trp_quic_stream_t *s);


/*
 * The number of bytes, 0 at the end.  NGX_AGAIN: readable() follows.
 * NGX_ERROR: the peer has reset the stream, or the connection is over.
 */

ssize_t ngx_trp_quic_stream_recv(ngx_trp_quic_stream_t *s, u_char *buf,
    size_t size);

/*
 * Copies bytes, all of them up to 1 MiB: their number.  NGX_AGAIN: writable()
 * follows.  NGX_ERROR: the peer does not read any more, or the connection is
 * over.
 */

ssize_t ngx_trp_quic_stream_send(ngx_trp_quic_stream_t *s, const u_char *buf,
    size_t size);

/* bytes that the peer has not acknowledged, or that were not sent yet */

size_t ngx_trp_quic_stream_unsent(ngx_trp_quic_stream_t *s);

/* nothing more is sent: FIN after what was */

void ngx_trp_quic_stream_finish(ngx_trp_quic_stream_t *s);

/*
 * Ends both directions at once: RESET_STREAM, unless FIN was acknowledged, and
 * STOP_SENDING, unless all was read.
 */

void ngx_trp_quic_stream_reset(ngx_trp_quic_stream_t *s, uint64_t code);

/* the code with which the peer has reset it, or has stopped reading; or 0 */

uint64_t ngx_trp_quic_stream_code(ngx_trp_quic_stream_t *s);

/*
 * The owner has done with it.  After ngx_trp_quic_stream_finish(), what is
 * unsent is still delivered; else the stream is reset.  What still arrives is
 * dropped.
 */

void ngx_trp_quic_stream_free(ngx_trp_quic_stream_t *s);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_STREAM_H_INCLUDED_ */
