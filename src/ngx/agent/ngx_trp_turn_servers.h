
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN servers through which an agent reaches its relay: one for each
 * address of the name that is configured.
 */


#ifndef _NGX_TRP_TURN_SERVERS_H_INCLUDED_
#define _NGX_TRP_TURN_SERVERS_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "turnc/ngx_trp_turnc_server.h"


#pragma GCC visibility push(hidden)


/* if a name is configured without an address, it is resolved from now on */

ngx_int_t ngx_trp_turn_servers_start(ngx_trp_agent_worker_t *agent);

/*
 * Behind the proxy, which resolves the name, a server is another one than
 * without.  The servers take turns, so one that fails is not asked next.  NULL
 * also if the name has no address yet, which is logged where names are
 * resolved.
 */

ngx_trp_turnc_server_t *ngx_trp_turn_servers_next(
    ngx_trp_agent_worker_t *agent, ngx_uint_t behind_proxy);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_SERVERS_H_INCLUDED_ */
