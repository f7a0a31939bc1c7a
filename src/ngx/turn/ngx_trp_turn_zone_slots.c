
/*
 * Copyright (C) the trp authors
 */


/*
 * What a worker that has gone had in the zone.
 */


#include "turn/ngx_trp_turn_zone_slots.h"
#include "turn/ngx_trp_turn_zone_owners.h"
#include "turn/ngx_trp_turn_zone_ports.h"
#include "turn/ngx_trp_turn_zone_stats.h"


static void ngx_trp_turn_zone_freed(void *data, ngx_uint_t slot);


void
ngx_trp_turn_zone_init_slots(ngx_trp_turn_zone_t *zone)
{
    zone->slots.shared = &zone->shared->slots;
    zone->slots.mutex = &zone->pool->mutex;
    zone->slots.freed = ngx_trp_turn_zone_freed;
    zone->slots.data = zone;
    zone->slots.what = "its allocations";
}


static void
ngx_trp_turn_zone_freed(void *data, ngx_uint_t slot)
{
    ngx_trp_turn_zone_t *zone = data;

    ngx_uint_t              i;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    for (i = 0; i < sh->nowners; i++) {
        if (sh->owners[i].hash && sh->owners[i].slot == slot) {
            ngx_trp_turn_zone_set_port(sh->ports, sh->owners[i].port, 0);
            ngx_trp_turn_zone_free_owner(zone, &sh->owners[i]);
        }
    }

    for (i = 0; i < NGX_TRP_TURN_TALLIES; i++) {
        if (sh->tallies[i].slot == slot + 1) {
            sh->tallies[i].slot = 0;
        }
    }

    ngx_trp_turn_zone_add_stats(&sh->past, &sh->stats[slot], 0);
    ngx_memzero(&sh->stats[slot], sizeof(trp_turn_stats_t));
}
