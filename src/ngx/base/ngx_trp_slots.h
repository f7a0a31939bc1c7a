
/*
 * Copyright (C) the trp authors
 */


/*
 * Slots of worker processes in shared memory: which exist, and cleaning up
 * after one that has exited.  A worker's slot is not its number: workers of
 * older configurations that still have something to do keep their slots.
 */


#ifndef _NGX_TRP_SLOTS_H_INCLUDED_
#define _NGX_TRP_SLOTS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_SLOTS    1023        /* at most */
#define NGX_TRP_NO_SLOT  NGX_TRP_SLOTS


typedef enum {
    NGX_TRP_SLOT_FREE = 0,
    NGX_TRP_SLOT_STARTING,
    NGX_TRP_SLOT_RUNNING,            /* reads the sockets of its listens */
    NGX_TRP_SLOT_SWITCHED            /* reads its clients' sockets only */
} ngx_trp_slot_e;


typedef struct {
    ngx_atomic_t              pid;
    ngx_atomic_t              state;
    ngx_atomic_uint_t         generation;
    ngx_atomic_t              epoch;     /* unique to each worker */
} ngx_trp_slot_t;


/* in shared memory, initially all zero but for the slots and their number */

typedef struct {
    ngx_atomic_t              generation;
    ngx_atomic_t              epochs;    /* given to workers */
    ngx_atomic_t              ends;      /* of workers */
    ngx_atomic_t              watched;   /* last, in milliseconds */
    ngx_uint_t                n;
    ngx_trp_slot_t           *slots;
} ngx_trp_slots_shared_t;


/* in each process */

typedef struct {
    ngx_trp_slots_shared_t   *shared;
    ngx_shmtx_t              *mutex;

    /* a slot becomes free: gives up what its worker had; or NULL; locked */
    void                    (*freed)(void *data, ngx_uint_t slot);
    void                     *data;
    const char               *what;      /* that is, for the log */
} ngx_trp_slots_t;


/*
 * A slot for a worker that is to start, NGX_TRP_NO_SLOT if there is none; for
 * the worker itself; and its end.
 */

ngx_uint_t ngx_trp_slots_reserve(ngx_trp_slots_t *slots,
    ngx_uint_t generation);
void ngx_trp_slots_enter(ngx_trp_slots_t *slots, ngx_uint_t slot);
void ngx_trp_slots_switched(ngx_trp_slots_t *slots, ngx_uint_t slot);
void ngx_trp_slots_leave(ngx_trp_slots_t *slots, ngx_uint_t slot);

/*
 * Clean up after workers that no longer exist: _reap() in the master, where no
 * worker will be started again; and _watch() in a worker, once in "time"
 * milliseconds for all of them, for slots of older generations.
 */

void ngx_trp_slots_reap(ngx_trp_slots_t *slots, ngx_log_t *log);
void ngx_trp_slots_watch(ngx_trp_slots_t *slots, ngx_msec_t time,
    ngx_log_t *log);

/* 1 if there are others than the worker of this slot */

ngx_uint_t ngx_trp_slots_others(ngx_trp_slots_t *slots, ngx_uint_t slot);

/* the epoch of the worker in this slot; 0 if there is none */

ngx_atomic_uint_t ngx_trp_slots_epoch(ngx_trp_slots_t *slots, ngx_uint_t slot);

/* 1 if the worker of this slot exists */

ngx_uint_t ngx_trp_slots_alive(ngx_trp_slots_t *slots, ngx_uint_t slot);

/* 1 if a worker of another generation still reads sockets */

ngx_uint_t ngx_trp_slots_older_reads(ngx_trp_slots_t *slots, ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SLOTS_H_INCLUDED_ */
