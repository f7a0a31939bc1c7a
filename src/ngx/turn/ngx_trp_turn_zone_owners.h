
/*
 * Copyright (C) the trp authors
 */


/*
 * Which worker has which allocation, and how many a user or an address has.
 */


#ifndef _NGX_TRP_TURN_ZONE_OWNERS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_OWNERS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/*
 * Adds an allocation with these relayed addresses, IPv4 and IPv6: NGX_OK;
 * NGX_BUSY if one of the quotas (ngx_trp_turn_quota_e; 0: no limit) is reached;
 * NGX_DECLINED if there is no room.
 */

ngx_int_t ngx_trp_turn_zone_add_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner, const trp_addr_t *relayed,
    const ngx_uint_t *max);
void ngx_trp_turn_zone_remove_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner);

/* the slot that has this tuple, or NGX_TRP_TURN_NO_SLOT; takes no lock */

ngx_uint_t ngx_trp_turn_zone_find_owner(ngx_trp_turn_zone_t *zone,
    uint64_t hash);


/* under the zone's lock: an entry of the table */

void ngx_trp_turn_zone_free_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_OWNERS_H_INCLUDED_ */
