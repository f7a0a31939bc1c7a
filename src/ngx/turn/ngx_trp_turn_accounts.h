
/*
 * Copyright (C) the trp authors
 */


/*
 * The accounts that the portal grants and removes, for all workers.
 */


#ifndef _NGX_TRP_TURN_ACCOUNTS_H_INCLUDED_
#define _NGX_TRP_TURN_ACCOUNTS_H_INCLUDED_


#include "portal/ngx_trp_portal.h"
#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* in one worker: connects to the portal of a server */

ngx_int_t ngx_trp_turn_accounts_start(ngx_trp_turn_server_t *server,
    ngx_trp_portal_t *portal);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ACCOUNTS_H_INCLUDED_ */
