
/*
 * Copyright (C) the trp authors
 */


/*
 * What an operator sees of a pool: its relay's row in the table of status, and
 * what is worth a line in the log.  All pools of an agent's group to one
 * address share a row, in all workers, before and after a reload; so what one
 * of them has told in the log, the others need not.
 */


#ifndef _NGX_TRP_POOL_VIEW_H_INCLUDED_
#define _NGX_TRP_POOL_VIEW_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/* what the operator is told of a failure */

typedef enum {
    NGX_TRP_POOL_VIEW_KNOWN = 0,      /* nothing new */
    NGX_TRP_POOL_VIEW_NEW,            /* it is new; there are other tunnels */
    NGX_TRP_POOL_VIEW_NONE,           /* there has not been any tunnel yet */
    NGX_TRP_POOL_VIEW_LOST,           /* there is none any more */
    NGX_TRP_POOL_VIEW_STILL           /* it is time to tell it again */
} ngx_trp_pool_view_e;


/*
 * After each change: shows how many tunnels there are.  The row comes when the
 * pool has something to do, and goes with its last tunnel when it has retired,
 * or when the worker exits: the relay may no longer be in the configuration.
 */

void ngx_trp_pool_view(ngx_trp_pool_t *pool);

/* the same, when only the number of idle tunnels has changed */

#define ngx_trp_pool_view_idle(pool)                                         \
    ngx_trp_status_gauge(&(pool)->view.entry, NGX_TRP_RELAY_IDLE,            \
                         (pool)->nidle)

/* a tunnel is ready; one that was so is lost, "why" NULL: on purpose */

void ngx_trp_pool_view_ready(ngx_trp_pool_t *pool);
void ngx_trp_pool_view_lost(ngx_trp_pool_t *pool, const char *why);

/* an attempt to dial has failed */

void ngx_trp_pool_view_failed(ngx_trp_pool_t *pool);

/* its name has no address yet */

void ngx_trp_pool_view_unresolved(ngx_trp_pool_t *pool, const char *why);

/* an error of dialling or of a tunnel, as it is logged; is it to be told? */

ngx_trp_pool_view_e ngx_trp_pool_view_error(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, const ngx_str_t *text, ngx_uint_t dialing);

/* the pool has a tunnel by another way than the one that it used before */

void ngx_trp_pool_view_way(ngx_trp_pool_t *pool, const ngx_trp_way_t *from);

/* for how long there has been no tunnel in any worker, or there has been one */

time_t ngx_trp_pool_view_since(ngx_trp_pool_t *pool);

/* the pool is about to be freed */

void ngx_trp_pool_view_close(ngx_trp_pool_t *pool);


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_VIEW_H_INCLUDED_ */
