
/*
 * Copyright (C) the trp authors
 */


/*
 * Agents over QUIC: a connection has a session of nginx as one over TCP has,
 * and each of its streams is a tunnel.
 */


#ifndef _NGX_TRP_RELAY_QUIC_H_INCLUDED_
#define _NGX_TRP_RELAY_QUIC_H_INCLUDED_


#include "relay/ngx_trp_relay.h"
#include "relay/ngx_trp_relay_udp.h"


#if (NGX_TRP_QUIC)

#pragma GCC visibility push(hidden)


/*
 * A handler for ngx_trp_relay_udp_start(); "data" is the ngx_trp_relay_worker_t
 */

void ngx_trp_relay_quic_initial(void *data, ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *datagram);

/* 1 if the session is that of a QUIC connection */

ngx_uint_t ngx_trp_relay_quic_is(ngx_stream_session_t *s);

/* the phases are done; in place of ngx_trp_relay_serve() */

void ngx_trp_relay_quic_serve(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_guest_t *guest, ngx_ssl_t *ssl);


#pragma GCC visibility pop

#endif


#endif /* _NGX_TRP_RELAY_QUIC_H_INCLUDED_ */
