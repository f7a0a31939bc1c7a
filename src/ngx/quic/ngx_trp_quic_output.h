
/*
 * Copyright (C) the trp authors
 */


/*
 * Packets of a connection: written by ngtcp2, put together for GSO, and handed
 * to the owner.
 */


#ifndef _NGX_TRP_QUIC_OUTPUT_H_INCLUDED_
#define _NGX_TRP_QUIC_OUTPUT_H_INCLUDED_


#include "quic/ngx_trp_quic_impl.h"


#pragma GCC visibility push(hidden)


/* sends what may be sent now */

void ngx_trp_quic_output(ngx_trp_quic_t *q, ngtcp2_tstamp now);

/* sends CONNECTION_CLOSE, and keeps it for late packets; sends it again */

void ngx_trp_quic_output_close(ngx_trp_quic_t *q, const ngtcp2_ccerr *error,
    ngtcp2_tstamp now);
void ngx_trp_quic_output_last(ngx_trp_quic_t *q);


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_OUTPUT_H_INCLUDED_ */
