
/*
 * Copyright (C) the trp authors
 */


/*
 * Slots of workers in the zone.
 */


#ifndef _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/* in the master, for each cycle: zone->slots can be used from now on */

void ngx_trp_turn_zone_init_slots(ngx_trp_turn_zone_t *zone);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_ */
