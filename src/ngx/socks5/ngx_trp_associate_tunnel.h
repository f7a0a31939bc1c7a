
/*
 * Copyright (C) the trp authors
 */


/*
 * The datagrams of an association over the tunnel: a stream for each
 * destination.  One that is not used for some time is forgotten.
 */


#ifndef _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_


#include "socks5/ngx_trp_associate.h"
#include "socks5/ngx_trp_associate_share.h"
#include "agent/ngx_trp_agent_near.h"
#include "agent/ngx_trp_relays.h"


#pragma GCC visibility push(hidden)


/* the "data" of an association on this path, and lives as long */

typedef struct {
    ngx_trp_relays_t        *relays;
    ngx_trp_near_t          *near;     /* NULL: the relays */
    ngx_str_t                group;
    ngx_str_t                name;     /* of the entry */
    ngx_socket_t             fd;       /* of the process */
    ngx_msec_t               open_timeout; /* until a stream is accepted */
    ngx_trp_share_t         *share;
    ngx_trp_share_member_t   member;   /* zeroed */
} ngx_trp_associate_tunnel_t;


extern const ngx_trp_associate_path_t  ngx_trp_associate_tunnel;


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_TUNNEL_H_INCLUDED_ */
