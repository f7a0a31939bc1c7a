
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on a bidirectional stream of a QUIC connection.
 *
 * The connection of the transport has no socket of its own; its events are
 * woken by the stream.  Nothing is told of a stream before something is sent on
 * it, and the relay speaks first; so each stream begins with a PING of the
 * agent, which the tunnels do not see.
 */


#ifndef _NGX_TRP_TRANSPORT_QUIC_H_INCLUDED_
#define _NGX_TRP_TRANSPORT_QUIC_H_INCLUDED_


#include "quic/ngx_trp_quic.h"
#include "tunnel/ngx_trp_transport.h"


#pragma GCC visibility push(hidden)


/* here for its size, which the pool of the connection has to have */

typedef struct {
    ngx_trp_transport_t      base;
    ngx_trp_quic_stream_t   *stream;
    ngx_trp_quic_end_e       end;           /* if it is over */

    unsigned                 relay:1;
    unsigned                 greeting:3;    /* bytes of PING still to come */
    unsigned                 wrong:1;       /* it was none */
    unsigned                 over:1;
    unsigned                 reset:1;
} ngx_trp_transport_quic_t;


/*
 * In the pool of the connection; NULL: no memory.  From now on the stream is
 * the transport's, which frees it when it is closed.
 */

ngx_trp_transport_t *ngx_trp_transport_quic_create(ngx_connection_t *c,
    ngx_trp_quic_stream_t *stream, ngx_uint_t relay);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TRANSPORT_QUIC_H_INCLUDED_ */
