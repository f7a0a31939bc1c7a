
/*
 * Copyright (C) the trp authors
 */


/*
 * The datagrams of an association through a TURN server: a user of one of its
 * allocations for each destination.
 */


#ifndef _NGX_TRP_ASSOCIATE_TURN_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_TURN_H_INCLUDED_


#include "socks5/ngx_trp_associate.h"
#include "turnc/ngx_trp_turnc_server.h"


#pragma GCC visibility push(hidden)


/* the "data" of an association on this path is its ngx_trp_turnc_server_t */

extern const ngx_trp_associate_path_t  ngx_trp_associate_turn;


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_TURN_H_INCLUDED_ */
