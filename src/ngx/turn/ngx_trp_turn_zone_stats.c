
/*
 * Copyright (C) the trp authors
 */


/*
 * What workers have counted: the sum of all of them; and tallies, in which the
 * worker of a data connection counts for the worker of the allocation.
 */


#include "turn/ngx_trp_turn_zone_stats.h"


ngx_uint_t
ngx_trp_turn_zone_take_tally(ngx_trp_turn_zone_t *zone, ngx_uint_t slot,
    uint32_t id)
{
    ngx_uint_t             i;
    ngx_trp_turn_tally_t  *tally;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < NGX_TRP_TURN_TALLIES; i++) {
        tally = &zone->shared->tallies[i];

        if (tally->slot == 0) {
            ngx_memzero(tally, sizeof(ngx_trp_turn_tally_t));
            tally->slot = slot + 1;
            tally->id = id;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return i;
}


ngx_trp_turn_tally_t *
ngx_trp_turn_zone_tally(ngx_trp_turn_zone_t *zone, ngx_uint_t i)
{
    return (i < NGX_TRP_TURN_TALLIES) ? &zone->shared->tallies[i] : NULL;
}


void
ngx_trp_turn_zone_sum(ngx_trp_turn_zone_t *zone, trp_turn_stats_t *stats)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(&zone->pool->mutex);

    *stats = zone->shared->past;

    for (i = 0; i < zone->shared->slots.n; i++) {
        if (zone->shared->slots.slots[i].state != NGX_TRP_SLOT_FREE) {
            ngx_trp_turn_zone_add_stats(stats, &zone->shared->stats[i], 1);
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_add_stats(trp_turn_stats_t *sum, trp_turn_stats_t *stats,
    ngx_uint_t now)
{
    ngx_uint_t  i, j;

    if (now) {
        sum->allocations += stats->allocations;
        sum->permissions += stats->permissions;
        sum->channels += stats->channels;
        sum->connections += stats->connections;
    }

    sum->total_allocations += stats->total_allocations;
    sum->relayed.bytes += stats->relayed.bytes;
    sum->relayed.packets += stats->relayed.packets;
    sum->dropped.bytes += stats->dropped.bytes;
    sum->dropped.packets += stats->dropped.packets;
    sum->denied += stats->denied;
    sum->silenced += stats->silenced;
    sum->unauthenticated += stats->unauthenticated;
    sum->refused += stats->refused;

    for (i = 0; i < TRP_TURN_NMETHODS; i++) {
        for (j = 0; j < TRP_TURN_NCODES; j++) {
            sum->responses[i][j] += stats->responses[i][j];
        }
    }
}
