
/*
 * Copyright (C) the trp authors
 */


/*
 * What workers have counted, in the zone.
 */


#ifndef _NGX_TRP_TURN_ZONE_STATS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_STATS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/* NGX_TRP_TURN_NO_TALLY if none is free: then nothing is counted */

ngx_uint_t ngx_trp_turn_zone_take_tally(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot, uint32_t id);
ngx_trp_turn_tally_t *ngx_trp_turn_zone_tally(ngx_trp_turn_zone_t *zone,
    ngx_uint_t i);


/* the counters of all workers, including those that have ended */

void ngx_trp_turn_zone_sum(ngx_trp_turn_zone_t *zone,
    trp_turn_stats_t *stats);

/* "now": including the current numbers */

void ngx_trp_turn_zone_add_stats(trp_turn_stats_t *sum,
    trp_turn_stats_t *stats, ngx_uint_t now);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_STATS_H_INCLUDED_ */
