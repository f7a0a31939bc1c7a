
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on TLS over TCP.
 */


#ifndef _NGX_TRP_TRANSPORT_TLS_H_INCLUDED_
#define _NGX_TRP_TRANSPORT_TLS_H_INCLUDED_


#include "tunnel/ngx_trp_bio.h"
#include "tunnel/ngx_trp_transport.h"


#pragma GCC visibility push(hidden)


/* in the pool of the connection; NULL: no memory */

ngx_trp_transport_t *ngx_trp_transport_tls_create(ngx_connection_t *c,
    ngx_trp_bio_conf_t *conf);

/* the rest of it takes place before a tunnel starts */

/*
 * What a client offers: the protocol, and a hint to which of the relay's
 * workers this should go, or -1.  NGX_ERROR, logged.
 */

ngx_int_t ngx_trp_transport_tls_offer(ngx_connection_t *c, ngx_int_t slot);

/* the server's handshake is done: 1 if the client has offered the protocol */

ngx_uint_t ngx_trp_transport_tls_accepted(ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TRANSPORT_TLS_H_INCLUDED_ */
