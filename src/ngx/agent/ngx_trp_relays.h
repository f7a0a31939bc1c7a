
/*
 * Copyright (C) the trp authors
 */


/*
 * The relays of an agent, in one worker: a pool of tunnels for each address of
 * the upstream's servers.  Names are resolved at run time, here, or by nginx if
 * the server has "resolve", and the pools follow.
 */


#ifndef _NGX_TRP_RELAYS_H_INCLUDED_
#define _NGX_TRP_RELAYS_H_INCLUDED_


#include "names/ngx_trp_name.h"
#include "agent/ngx_trp_pool.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_array_t                      pools;      /* ngx_trp_pool_t * */
    ngx_queue_t                      names;      /* ngx_trp_relay_name_t */
    ngx_stream_upstream_srv_conf_t  *upstream;
    ngx_trp_agent_worker_t          *agent;
    ngx_trp_pool_open_pt             open;       /* NULL: an entry's */
    void                            *data;       /* for the pools */
    ngx_event_t                      event;      /* looks for new addresses */
} ngx_trp_relays_t;


/* all pools begin to dial; to be called once, in a worker */

ngx_int_t ngx_trp_relays_start(ngx_cycle_t *cycle, ngx_trp_relays_t *relays);

/*
 * The pool of an address that the balancer has chosen, or NULL.  A name has
 * several pools, which take turns: one that can serve a user, and is not
 * "leave", is preferred.
 */

ngx_trp_pool_t *ngx_trp_relays_find(ngx_trp_relays_t *relays,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_trp_pool_t *leave);

/* the first that can serve a user, or else any; NULL if there is none */

ngx_trp_pool_t *ngx_trp_relays_choose(ngx_trp_relays_t *relays);

/* 1 if it is certain that none of them can serve a user */

ngx_uint_t ngx_trp_relays_vain(ngx_trp_relays_t *relays);

/* one other than this that can serve a user, or NULL */

ngx_trp_pool_t *ngx_trp_relays_other(ngx_trp_relays_t *relays,
    ngx_trp_pool_t *pool);


#pragma GCC visibility pop


#endif /* _NGX_TRP_RELAYS_H_INCLUDED_ */
