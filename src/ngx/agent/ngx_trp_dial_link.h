
/*
 * Copyright (C) the trp authors
 */


/*
 * A link: its tunnel is made when it is dialled, and starts when what is
 * beneath it is there.
 */


#ifndef _NGX_TRP_DIAL_LINK_H_INCLUDED_
#define _NGX_TRP_DIAL_LINK_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/*
 * In the pool of the connection, whose log becomes the link's.  The tunnel's
 * deadline begins, and is for all steps until the relay is ready.  NULL: no
 * memory, the connection is closed; "tr" is NULL if there was none for it.
 */

ngx_trp_link_t *ngx_trp_dial_link_create(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, ngx_connection_t *c, ngx_trp_transport_t *tr);

/* frames begin; may close the tunnel */

void ngx_trp_dial_link_start(ngx_trp_link_t *link);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIAL_LINK_H_INCLUDED_ */
