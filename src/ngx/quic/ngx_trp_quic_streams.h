
/*
 * Copyright (C) the trp authors
 */


/*
 * Streams as their connection uses them.
 */


#ifndef _NGX_TRP_QUIC_STREAMS_H_INCLUDED_
#define _NGX_TRP_QUIC_STREAMS_H_INCLUDED_


#include "quic/ngx_trp_quic_impl.h"


#pragma GCC visibility push(hidden)


/* calls the handlers of streams, until there is no more to tell */

void ngx_trp_quic_streams_tell(ngx_trp_quic_t *q);

/* the connection is over: calls closed() of each */

void ngx_trp_quic_streams_close(ngx_trp_quic_t *q);

/* it is freed: so are the streams that nobody owns, others stand alone */

void ngx_trp_quic_streams_leave(ngx_trp_quic_t *q);


/* the first stream that has something to send, or NULL */

ngx_trp_quic_stream_t *ngx_trp_quic_streams_first(ngx_trp_quic_t *q);

/* its unsent bytes; the number of vectors */

ngx_uint_t ngx_trp_quic_stream_vectors(ngx_trp_quic_stream_t *s,
    ngtcp2_vec *vec, ngx_uint_t n, size_t *len);

/* "len" of them, and with "fin" FIN, are in a packet */

void ngx_trp_quic_stream_sent(ngx_trp_quic_stream_t *s, size_t len,
    ngx_uint_t fin);

/* the peer allows no more bytes, or has asked to send none at all */

void ngx_trp_quic_stream_blocked(ngx_trp_quic_stream_t *s);
void ngx_trp_quic_stream_stopped(ngx_trp_quic_stream_t *s);


void ngx_trp_quic_streams_callbacks(ngtcp2_callbacks *callbacks);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_STREAMS_H_INCLUDED_ */
