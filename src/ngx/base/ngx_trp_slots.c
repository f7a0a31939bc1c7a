
/*
 * Copyright (C) the trp authors
 */


/*
 * Slots of workers.  A slot is used by one worker after another, which its
 * "epoch" tells apart.  It is free once all that the last one had is given up.
 */


#include "base/ngx_trp_slots.h"
#include "base/trp_assert.h"


static void ngx_trp_slots_reap_dead(ngx_trp_slots_t *slots, ngx_uint_t slot,
    ngx_log_t *log);
static void ngx_trp_slots_free(ngx_trp_slots_t *slots, ngx_uint_t slot);


ngx_uint_t
ngx_trp_slots_reserve(ngx_trp_slots_t *slots,
    ngx_uint_t generation)
{
    ngx_uint_t            i;
    ngx_trp_slot_t  *slot;

    ngx_shmtx_lock(slots->mutex);

    for (i = 0; i < slots->shared->n; i++) {
        slot = &slots->shared->slots[i];

        if (slot->state == NGX_TRP_SLOT_FREE) {
            slot->pid = 0;
            slot->generation = generation;
            slot->state = NGX_TRP_SLOT_STARTING;
            break;
        }
    }

    ngx_shmtx_unlock(slots->mutex);

    return (i < slots->shared->n) ? i : NGX_TRP_NO_SLOT;
}


void
ngx_trp_slots_enter(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    ngx_uint_t            generation;
    ngx_trp_slot_t  *s;

    if (slot == NGX_TRP_NO_SLOT) {
        return;
    }

    trp_assert(slot < slots->shared->n);

    s = &slots->shared->slots[slot];

    ngx_shmtx_lock(slots->mutex);

    /* a worker may have died in this slot */

    generation = s->generation;
    ngx_trp_slots_free(slots, slot);

    s->generation = generation;
    s->epoch = ++slots->shared->epochs;
    s->pid = ngx_pid;
    s->state = NGX_TRP_SLOT_RUNNING;

    ngx_shmtx_unlock(slots->mutex);
}


void
ngx_trp_slots_switched(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    if (slot != NGX_TRP_NO_SLOT) {
        slots->shared->slots[slot].state = NGX_TRP_SLOT_SWITCHED;
    }
}


void
ngx_trp_slots_leave(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    if (slot != NGX_TRP_NO_SLOT) {
        ngx_shmtx_lock(slots->mutex);
        ngx_trp_slots_free(slots, slot);
        ngx_shmtx_unlock(slots->mutex);
    }
}


void
ngx_trp_slots_reap(ngx_trp_slots_t *slots, ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_trp_slot_t  *slot;

    ngx_shmtx_lock(slots->mutex);

    for (i = 0; i < slots->shared->n; i++) {
        slot = &slots->shared->slots[i];

        switch (slot->state) {

        case NGX_TRP_SLOT_FREE:
            continue;

        case NGX_TRP_SLOT_STARTING:

            /* by then, a worker has started, or never will */

            if (slot->generation + 2 <= slots->shared->generation) {
                ngx_trp_slots_free(slots, i);
            }

            break;

        default:
            ngx_trp_slots_reap_dead(slots, i, log);
        }
    }

    ngx_shmtx_unlock(slots->mutex);
}


static void
ngx_trp_slots_reap_dead(ngx_trp_slots_t *slots, ngx_uint_t slot,
    ngx_log_t *log)
{
    if (ngx_trp_slots_alive(slots, slot)) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "worker process %P is gone, %s, too",
                  (ngx_pid_t) slots->shared->slots[slot].pid, slots->what);

    ngx_trp_slots_free(slots, slot);
}


/* a dead worker of the current generation is replaced, in its own slot */

void
ngx_trp_slots_watch(ngx_trp_slots_t *slots, ngx_msec_t time,
    ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_trp_slot_t    *slot;
    ngx_trp_slots_shared_t  *sh;

    sh = slots->shared;

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        < (ngx_msec_int_t) time)
    {
        return;
    }

    ngx_shmtx_lock(slots->mutex);

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        >= (ngx_msec_int_t) time)
    {
        sh->watched = ngx_current_msec;

        for (i = 0; i < slots->shared->n; i++) {
            slot = &sh->slots[i];

            if (slot->state >= NGX_TRP_SLOT_RUNNING
                && slot->generation != sh->generation)
            {
                ngx_trp_slots_reap_dead(slots, i, log);
            }
        }
    }

    ngx_shmtx_unlock(slots->mutex);
}


ngx_uint_t
ngx_trp_slots_others(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < slots->shared->n; i++) {
        if (i != slot
            && slots->shared->slots[i].state != NGX_TRP_SLOT_FREE)
        {
            return 1;
        }
    }

    return 0;
}


ngx_atomic_uint_t
ngx_trp_slots_epoch(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    return (slot < slots->shared->n) ? slots->shared->slots[slot].epoch : 0;
}


static void
ngx_trp_slots_free(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    ngx_trp_slots_shared_t  *sh;

    sh = slots->shared;

    if (slots->freed) {
        slots->freed(slots->data, slot);
    }

    if (sh->slots[slot].epoch) {
        sh->ends++;
    }

    ngx_memzero(&sh->slots[slot], sizeof(ngx_trp_slot_t));
}


ngx_uint_t
ngx_trp_slots_alive(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    ngx_trp_slot_t  *s;

    if (slot >= slots->shared->n) {
        return 0;
    }

    s = &slots->shared->slots[slot];

    return s->state != NGX_TRP_SLOT_FREE && s->pid != 0
           && (kill((ngx_pid_t) s->pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


ngx_uint_t
ngx_trp_slots_older_reads(ngx_trp_slots_t *slots, ngx_uint_t slot)
{
    ngx_uint_t       i;
    ngx_trp_slot_t  *s;

    if (slot == NGX_TRP_NO_SLOT) {
        return 0;
    }

    s = slots->shared->slots;

    for (i = 0; i < slots->shared->n; i++) {
        if (s[i].state == NGX_TRP_SLOT_RUNNING
            && s[i].generation != s[slot].generation
            && ngx_trp_slots_alive(slots, i))
        {
            return 1;
        }
    }

    return 0;
}
