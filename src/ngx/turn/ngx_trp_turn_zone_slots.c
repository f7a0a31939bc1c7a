
/*
 * Copyright (C) the trp authors
 */


/*
 * Slots of workers.  A slot is used by one worker after another, which its
 * "epoch" tells apart.  It is free once all that the last one had is given up.
 */


#include "turn/ngx_trp_turn_zone_slots.h"
#include "base/trp_assert.h"
#include "turn/ngx_trp_turn_zone_owners.h"
#include "turn/ngx_trp_turn_zone_ports.h"
#include "turn/ngx_trp_turn_zone_stats.h"


static void ngx_trp_turn_zone_reap_dead(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot, ngx_log_t *log);
static void ngx_trp_turn_zone_free_slot(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);


ngx_uint_t
ngx_trp_turn_zone_reserve_slot(ngx_trp_turn_zone_t *zone,
    ngx_uint_t generation)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slot;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < zone->shared->nslots; i++) {
        slot = &zone->shared->slots[i];

        if (slot->state == NGX_TRP_TURN_SLOT_FREE) {
            slot->pid = 0;
            slot->generation = generation;
            slot->state = NGX_TRP_TURN_SLOT_STARTING;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return (i < zone->shared->nslots) ? i : NGX_TRP_TURN_NO_SLOT;
}


void
ngx_trp_turn_zone_enter(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t            generation;
    ngx_trp_turn_slot_t  *s;

    if (slot == NGX_TRP_TURN_NO_SLOT) {
        return;
    }

    trp_assert(slot < zone->shared->nslots);

    s = &zone->shared->slots[slot];

    ngx_shmtx_lock(&zone->pool->mutex);

    /* a worker may have died in this slot */

    generation = s->generation;
    ngx_trp_turn_zone_free_slot(zone, slot);

    s->generation = generation;
    s->epoch = ++zone->shared->epochs;
    s->pid = ngx_pid;
    s->state = NGX_TRP_TURN_SLOT_RUNNING;

    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_switched(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    if (slot != NGX_TRP_TURN_NO_SLOT) {
        zone->shared->slots[slot].state = NGX_TRP_TURN_SLOT_SWITCHED;
    }
}


void
ngx_trp_turn_zone_leave(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    if (slot != NGX_TRP_TURN_NO_SLOT) {
        ngx_shmtx_lock(&zone->pool->mutex);
        ngx_trp_turn_zone_free_slot(zone, slot);
        ngx_shmtx_unlock(&zone->pool->mutex);
    }
}


void
ngx_trp_turn_zone_reap(ngx_trp_turn_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slot;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < zone->shared->nslots; i++) {
        slot = &zone->shared->slots[i];

        switch (slot->state) {

        case NGX_TRP_TURN_SLOT_FREE:
            continue;

        case NGX_TRP_TURN_SLOT_STARTING:

            /* by then, a worker has started, or never will */

            if (slot->generation + 2 <= zone->shared->generation) {
                ngx_trp_turn_zone_free_slot(zone, i);
            }

            break;

        default:
            ngx_trp_turn_zone_reap_dead(zone, i, log);
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


static void
ngx_trp_turn_zone_reap_dead(ngx_trp_turn_zone_t *zone, ngx_uint_t slot,
    ngx_log_t *log)
{
    if (ngx_trp_turn_zone_alive(zone, slot)) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "worker process %P is gone, its allocations, too",
                  (ngx_pid_t) zone->shared->slots[slot].pid);

    ngx_trp_turn_zone_free_slot(zone, slot);
}


/* a dead worker of the current generation is replaced, in its own slot */

void
ngx_trp_turn_zone_watch(ngx_trp_turn_zone_t *zone, ngx_msec_t time,
    ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_trp_turn_slot_t    *slot;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        < (ngx_msec_int_t) time)
    {
        return;
    }

    ngx_shmtx_lock(&zone->pool->mutex);

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        >= (ngx_msec_int_t) time)
    {
        sh->watched = ngx_current_msec;

        for (i = 0; i < zone->shared->nslots; i++) {
            slot = &sh->slots[i];

            if (slot->state >= NGX_TRP_TURN_SLOT_RUNNING
                && slot->generation != sh->generation)
            {
                ngx_trp_turn_zone_reap_dead(zone, i, log);
            }
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


ngx_uint_t
ngx_trp_turn_zone_others(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < zone->shared->nslots; i++) {
        if (i != slot
            && zone->shared->slots[i].state != NGX_TRP_TURN_SLOT_FREE)
        {
            return 1;
        }
    }

    return 0;
}


ngx_atomic_uint_t
ngx_trp_turn_zone_epoch(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    return (slot < zone->shared->nslots) ? zone->shared->slots[slot].epoch : 0;
}


static void
ngx_trp_turn_zone_free_slot(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
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

    if (sh->slots[slot].epoch) {
        sh->ends++;
    }

    ngx_trp_turn_zone_add_stats(&sh->past, &sh->slots[slot].stats, 0);
    ngx_memzero(&sh->slots[slot], sizeof(ngx_trp_turn_slot_t));
}


ngx_uint_t
ngx_trp_turn_zone_alive(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_trp_turn_slot_t  *s;

    if (slot >= zone->shared->nslots) {
        return 0;
    }

    s = &zone->shared->slots[slot];

    return s->state != NGX_TRP_TURN_SLOT_FREE && s->pid != 0
           && (kill((ngx_pid_t) s->pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


ngx_uint_t
ngx_trp_turn_zone_older_reads(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slots;

    if (slot == NGX_TRP_TURN_NO_SLOT) {
        return 0;
    }

    slots = zone->shared->slots;

    for (i = 0; i < zone->shared->nslots; i++) {
        if (slots[i].state == NGX_TRP_TURN_SLOT_RUNNING
            && slots[i].generation != slots[slot].generation
            && ngx_trp_turn_zone_alive(zone, i))
        {
            return 1;
        }
    }

    return 0;
}
