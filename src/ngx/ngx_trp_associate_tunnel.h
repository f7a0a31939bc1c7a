
/*
 * The datagrams of an association over the tunnel: a stream for each
 * destination.  One that is not used for some time is forgotten.
 */


#ifndef _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_


#include "ngx_trp_associate.h"
#include "ngx_trp_relays.h"


#pragma GCC visibility push(hidden)


/*
 * Sets the path of an association, before it is opened.  "open_timeout" is
 * for each stream, until it is accepted; "timeout" for a destination without
 * datagrams.  NGX_ERROR: there is no memory.
 */

ngx_int_t ngx_trp_associate_tunnel(ngx_trp_associate_t *as,
    ngx_trp_relays_t *relays, ngx_socket_t fd, ngx_msec_t open_timeout,
    ngx_msec_t timeout);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_ */
