
/*
 * Copyright (C) the trp authors
 */


/*
 * The level of lines about what strangers, or agents that try over and over, do
 * wrong: an operator is to see each of them once, and nobody can fill the log.
 */


#ifndef _NGX_TRP_WARNINGS_H_INCLUDED_
#define _NGX_TRP_WARNINGS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* lines at level "warn", per second and at once */

#define NGX_TRP_WARNINGS_RATE    5
#define NGX_TRP_WARNINGS_BURST   20

/* seconds until the same line is worth another warning */

#define NGX_TRP_WARNINGS_REPEAT  600


#define NGX_TRP_WARNINGS_KNOWN   512


/* of all workers, in shared memory; initially all zero */

typedef struct {
    ngx_atomic_t                due;         /* the bucket is empty, ms */
    ngx_atomic_t                left_out;    /* lines, not told yet */
    ngx_atomic_t                known[NGX_TRP_WARNINGS_KNOWN];
                                             /* half an id, and a time */
} ngx_trp_warnings_shared_t;


typedef struct {
    ngx_trp_warnings_shared_t  *shared;
    const char                 *what;        /* in "lines about %s" */
    ngx_event_t                 event;       /* tells what was left out */
} ngx_trp_warnings_t;


void ngx_trp_warnings_init(ngx_trp_warnings_t *warnings,
    ngx_trp_warnings_shared_t *shared, const char *what, ngx_log_t *log);

/* an id of what a line is about */

uint64_t ngx_trp_warnings_id(const u_char *data, size_t len);

/*
 * The level of a line: NGX_LOG_WARN, or NGX_LOG_INFO if the same one, by its
 * "id", was written not long ago, or if there are too many.
 */

ngx_uint_t ngx_trp_warnings_level(ngx_trp_warnings_t *warnings, uint64_t id);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WARNINGS_H_INCLUDED_ */
