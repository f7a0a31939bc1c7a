
/*
 * Copyright (C) the trp authors
 */


/*
 * Slots of workers in the zone: which workers exist, and cleaning up after one
 * that has exited.
 */


#ifndef _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/*
 * A slot for a worker that is to start, NGX_TRP_TURN_NO_SLOT if there is none;
 * for the worker itself; and its end.
 */

ngx_uint_t ngx_trp_turn_zone_reserve_slot(ngx_trp_turn_zone_t *zone,
    ngx_uint_t generation);
void ngx_trp_turn_zone_enter(ngx_trp_turn_zone_t *zone, ngx_uint_t slot);
void ngx_trp_turn_zone_switched(ngx_trp_turn_zone_t *zone, ngx_uint_t slot);
void ngx_trp_turn_zone_leave(ngx_trp_turn_zone_t *zone, ngx_uint_t slot);

/*
 * Clean up after workers that no longer exist: _reap() in the master, where no
 * worker will be started again; and _watch() in a worker, once in "time"
 * milliseconds for all of them, for slots of older generations.
 */

void ngx_trp_turn_zone_reap(ngx_trp_turn_zone_t *zone, ngx_log_t *log);
void ngx_trp_turn_zone_watch(ngx_trp_turn_zone_t *zone, ngx_msec_t time,
    ngx_log_t *log);

/* 1 if there are others than the worker of this slot */

ngx_uint_t ngx_trp_turn_zone_others(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);

/* the epoch of the worker in this slot; 0 if there is none */

ngx_atomic_uint_t ngx_trp_turn_zone_epoch(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);

/* 1 if the worker of this slot exists */

ngx_uint_t ngx_trp_turn_zone_alive(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);

/* 1 if a worker of another generation still reads sockets */

ngx_uint_t ngx_trp_turn_zone_older_reads(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_SLOTS_H_INCLUDED_ */
