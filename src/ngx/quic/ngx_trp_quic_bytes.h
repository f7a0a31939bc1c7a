
/*
 * Copyright (C) the trp authors
 */


/*
 * Bytes of streams in blocks, of which a connection keeps some for later.
 */


#ifndef _NGX_TRP_QUIC_BYTES_H_INCLUDED_
#define _NGX_TRP_QUIC_BYTES_H_INCLUDED_


#include "quic/ngx_trp_quic_impl.h"


#pragma GCC visibility push(hidden)


/* NGX_ERROR: no memory, and some of the bytes may be there */

ngx_int_t ngx_trp_quic_bytes_add(ngx_trp_quic_t *q,
    ngx_trp_quic_bytes_t *bytes, const u_char *p, size_t len);

/* takes up to "len" from the start, to "buf" unless that is NULL */

size_t ngx_trp_quic_bytes_take(ngx_trp_quic_t *q,
    ngx_trp_quic_bytes_t *bytes, u_char *buf, size_t len);

/* "q" may be NULL in both */

void ngx_trp_quic_bytes_free(ngx_trp_quic_t *q, ngx_trp_quic_bytes_t *bytes);

/* frees what is kept */

void ngx_trp_quic_bytes_trim(ngx_trp_quic_t *q);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_BYTES_H_INCLUDED_ */
