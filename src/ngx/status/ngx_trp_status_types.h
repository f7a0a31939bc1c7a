
/*
 * Copyright (C) the trp authors
 */


/*
 * The table of an operator's view as it lies in shared memory: for the files of
 * this room only, but for the sizes.
 */


#ifndef _NGX_TRP_STATUS_TYPES_H_INCLUDED_
#define _NGX_TRP_STATUS_TYPES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#pragma GCC visibility push(hidden)


#define NGX_TRP_STATUS_TEXTS      8      /* of a row */
#define NGX_TRP_STATUS_TEXT_SIZE  384    /* bytes of them */
#define NGX_TRP_STATUS_COUNTERS   32
#define NGX_TRP_STATUS_GAUGES     8

#define NGX_TRP_STATUS_WORKERS    256    /* more have no parts */

/* quiet: why an agent is gone, for all that the table itself knows */

#define NGX_TRP_STATUS_KILLED     1      /* its worker was killed */
#define NGX_TRP_STATUS_ADOPTED    2      /* it was there in another table */


typedef struct ngx_trp_status_row_s   ngx_trp_status_row_t;
typedef struct ngx_trp_status_part_s  ngx_trp_status_part_t;


/*
 * "version" is odd while anything but counters and gauges is being changed.
 * The row and its lists are changed under the lock only.  What a row and a part
 * say of themselves, "kind", "row" and "worker", is true at all times, so that
 * the lists can be made anew when the holder of the lock was killed.
 */

struct ngx_trp_status_row_s {
    ngx_atomic_t             version;
    ngx_atomic_t             kind;       /* 0: free */
    ngx_queue_t              queue;      /* in zone->gone or zone->free */
    ngx_queue_t              quiets;     /* in zone->quiet, if it is "quiet" */
    ngx_queue_t              parts;
    ngx_trp_status_row_t    *next;       /* of this hash */
    uint32_t                 hash;
    uint32_t                 key;        /* texts that are its name */
    time_t                   since;      /* it has parts; or has none */
    time_t                   came;       /* "since" of before it has gone */
    uint16_t                 quiet;      /* gone, and not told of; or 0 */
    uint16_t                 len[NGX_TRP_STATUS_TEXTS];
    u_char                   text[NGX_TRP_STATUS_TEXT_SIZE];
    ngx_atomic_t             counters[NGX_TRP_STATUS_COUNTERS];
};


struct ngx_trp_status_part_s {
    ngx_queue_t              queue;      /* in row->parts or zone->spare */
    ngx_trp_status_row_t    *row;        /* NULL: free */
    uint32_t                 worker;
    ngx_atomic_t             gauges[NGX_TRP_STATUS_GAUGES];
};


typedef struct {
    ngx_atomic_t             pid;        /* 0: free */
    uint64_t                 started;    /* by the kernel, in its ticks */
    ngx_uint_t               users;      /* modules */
} ngx_trp_status_worker_t;


typedef struct {
    time_t                   since;
    time_t                   inactive;
    ngx_atomic_t             holder;     /* of the lock, who changes lists */
    ngx_queue_t              free;       /* rows */
    ngx_queue_t              gone;       /* rows, those gone first in front */
    ngx_queue_t              users;      /* the same, those of users */
    ngx_queue_t              quiet;      /* rows of both, the same order */
    ngx_queue_t              spare;      /* parts */
    ngx_uint_t               nrows;
    ngx_uint_t               nparts;
    ngx_uint_t               nparts_used;   /* from the start, at most */
    ngx_atomic_t             used;       /* rows from the start, at most */
    ngx_atomic_t             homeless;   /* entries that found no room */
    ngx_uint_t               nhashes;    /* a power of two */
    ngx_trp_status_row_t   **hashes;
    ngx_trp_status_row_t    *rows;
    ngx_trp_status_part_t   *parts;
    ngx_trp_status_worker_t  workers[NGX_TRP_STATUS_WORKERS];
} ngx_trp_status_shared_t;


/* of a cycle; shm_zone->data */

typedef struct {
    size_t                    magic;
    size_t                    build;
    ngx_slab_pool_t          *pool;
    ngx_trp_status_shared_t  *shared;
    time_t                    inactive;
    ngx_str_t                 file;      /* where a directive has set it */
    ngx_uint_t                line;      /* 0: none has */
} ngx_trp_status_zone_t;


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_TYPES_H_INCLUDED_ */
