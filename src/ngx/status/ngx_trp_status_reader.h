
/*
 * Copyright (C) the trp authors
 */


/*
 * Reading the table of an operator's view, row by row, without its lock: each
 * row is consistent in itself.
 */


#ifndef _NGX_TRP_STATUS_READER_H_INCLUDED_
#define _NGX_TRP_STATUS_READER_H_INCLUDED_


#include "status/ngx_trp_status_types.h"


#pragma GCC visibility push(hidden)


/* more parts of a row than these are not seen */

#define NGX_TRP_STATUS_PARTS  NGX_TRP_STATUS_WORKERS


/* good for some rows: which workers live is asked once */

typedef struct {
    ngx_trp_status_shared_t  *shared;
    ngx_pid_t                 alive[NGX_TRP_STATUS_WORKERS];   /* 0: none */
} ngx_trp_status_reader_t;


typedef struct {
    ngx_uint_t              kind;
    time_t                  since;       /* it is here; or is gone */
    ngx_str_t               texts[NGX_TRP_STATUS_TEXTS];   /* in "data" */
    ngx_atomic_uint_t       counters[NGX_TRP_STATUS_COUNTERS];
    ngx_uint_t              nparts;      /* 0: it is gone */
    ngx_pid_t               pids[NGX_TRP_STATUS_PARTS];
    ngx_atomic_uint_t       gauges[NGX_TRP_STATUS_PARTS]
                                  [NGX_TRP_STATUS_GAUGES];
    u_char                  data[NGX_TRP_STATUS_TEXT_SIZE];
} ngx_trp_status_copy_t;


typedef struct {
    time_t                  since;       /* counters are from then */
    ngx_uint_t              rows;        /* there is room for so many */
    ngx_uint_t              homeless;    /* entries that found no room, ever */
    ngx_uint_t              used;        /* indices are below it */
} ngx_trp_status_summary_t;


/* NGX_DECLINED: this nginx has no such zone, or one of another build */

ngx_int_t ngx_trp_status_reader(ngx_cycle_t *cycle,
    ngx_trp_status_reader_t *reader);

void ngx_trp_status_summary(ngx_trp_status_reader_t *reader,
    ngx_trp_status_summary_t *summary);

/* of the row with this index, at a glance; 0: it is free */

ngx_uint_t ngx_trp_status_kind(ngx_trp_status_reader_t *reader, ngx_uint_t i);

/*
 * The row with this index: NGX_OK; NGX_DECLINED: it is free, or has been gone
 * for longer than the "inactive" time, or is being changed all the time.  Parts
 * of dead workers are left out.
 */

ngx_int_t ngx_trp_status_read(ngx_trp_status_reader_t *reader, ngx_uint_t i,
    ngx_trp_status_copy_t *copy);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_READER_H_INCLUDED_ */
