
/*
 * Copyright (C) the trp authors
 */


/*
 * The relay of this nginx, as the source of one stream's tunnels.
 */


#ifndef _NGX_TRP_HOME_H_INCLUDED_
#define _NGX_TRP_HOME_H_INCLUDED_


#include "agent/ngx_trp_agent_near.h"


#pragma GCC visibility push(hidden)


/* zeroed by the caller, which sets the first part of "local" */

typedef struct {
    ngx_trp_local_t        local;        /* its group is in this worker, */
    ngx_trp_near_user_t    user;         /* or in another one */
    ngx_trp_near_t        *near;
    unsigned               entered:1;
} ngx_trp_home_t;


/*
 * The source of the stream, until _leave().  NULL: it is refused, "*code" says
 * why, and it is logged.
 */

ngx_trp_source_t *ngx_trp_home_enter(ngx_trp_home_t *home,
    ngx_trp_near_t *near, ngx_uint_t *code);

/*
 * The stream is opened once more, and has no tunnel: its source.  In a worker
 * that exits, that is the next one.
 */

ngx_trp_source_t *ngx_trp_home_reroute(ngx_trp_home_t *home);

/* it holds no tunnel, and waits for none */

void ngx_trp_home_leave(ngx_trp_home_t *home);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HOME_H_INCLUDED_ */
