
/*
 * Copyright (C) the trp authors
 */


/*
 * Ports of allocations, and reservations, in the zone.
 */


#ifndef _NGX_TRP_TURN_ZONE_PORTS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_PORTS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/* NGX_OK, or NGX_BUSY: it is taken */

ngx_int_t ngx_trp_turn_zone_take_port(ngx_trp_turn_zone_t *zone,
    in_port_t port);
void ngx_trp_turn_zone_give_port(ngx_trp_turn_zone_t *zone, in_port_t port);

/* an allocation is bound to a port that it has taken */

void ngx_trp_turn_zone_bind_port(ngx_trp_turn_zone_t *zone, in_port_t port,
    ngx_uint_t tcp);

/*
 * 1 if an allocation of this protocol is bound to the port, with its relayed
 * address of a family; takes no lock
 */

ngx_uint_t ngx_trp_turn_zone_home(ngx_trp_turn_zone_t *zone, ngx_uint_t tcp,
    in_port_t port, ngx_uint_t v6, trp_addr_t *addr);

/* as in trp_turn_shared_t */

int ngx_trp_turn_zone_reserve(ngx_trp_turn_zone_t *zone, in_port_t port,
    const uint8_t *token);
in_port_t ngx_trp_turn_zone_redeem(ngx_trp_turn_zone_t *zone,
    const uint8_t *token);


/* ends reservations that were not used in time */

void ngx_trp_turn_zone_tidy(ngx_trp_turn_zone_t *zone);


/* under the zone's lock: a bit of one of the maps of ports */

void ngx_trp_turn_zone_set_port(u_char *map, in_port_t port, ngx_uint_t on);

/* and the place of these relayed addresses, IPv4 and IPv6; 0: none is left */

uint8_t ngx_trp_turn_zone_take_home(ngx_trp_turn_shared_t *sh,
    const trp_addr_t *relayed);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_PORTS_H_INCLUDED_ */
