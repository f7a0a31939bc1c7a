
/*
 * Copyright (C) the trp authors
 */


/*
 * The TLS handshake of a connection: between OpenSSL, which knows no QUIC, and
 * ngtcp2, which knows no TLS.
 */


#ifndef _NGX_TRP_QUIC_TLS_H_INCLUDED_
#define _NGX_TRP_QUIC_TLS_H_INCLUDED_


#include "quic/ngx_trp_quic_impl.h"


#pragma GCC visibility push(hidden)


/* once q->conn and q->ssl are there */

ngx_int_t ngx_trp_quic_tls_init(ngx_trp_quic_t *q);

/* the SSL is its owner's alone from now on */

void ngx_trp_quic_tls_leave(ngx_trp_quic_t *q);

void ngx_trp_quic_tls_callbacks(ngtcp2_callbacks *callbacks);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_TLS_H_INCLUDED_ */
