
/*
 * Copyright (C) the trp authors
 */


/*
 * The relays of an agent's group, in one worker: a pool of tunnels for each
 * address of the upstream's servers.  Names are resolved at run time, here, or
 * by nginx if the server has "resolve", and the pools of all groups follow.
 */


#ifndef _NGX_TRP_RELAYS_H_INCLUDED_
#define _NGX_TRP_RELAYS_H_INCLUDED_


#include "names/ngx_trp_name.h"
#include "agent/ngx_trp_pool.h"


#pragma GCC visibility push(hidden)


/* the caller sets the second part */

typedef struct {
    ngx_array_t                      pools;      /* ngx_trp_pool_t * */
    ngx_queue_t                      names;      /* ngx_trp_relay_name_t */
    ngx_event_t                      event;      /* looks for new addresses */

    ngx_pool_t                      *mem;        /* of the pools */
    const ngx_str_t                 *group;
    ngx_stream_upstream_srv_conf_t  *upstream;
    ngx_trp_agent_worker_t          *agent;
    ngx_trp_pool_open_pt             open;       /* NULL: an entry's */
    void                            *data;       /* for the pools */
} ngx_trp_relays_t;


/* starts to resolve names; once for an agent, in a worker */

ngx_int_t ngx_trp_relays_init(ngx_trp_agent_worker_t *agent,
    ngx_stream_upstream_srv_conf_t *upstream);

/* all pools begin to dial; once for a group of the agent */

ngx_int_t ngx_trp_relays_start(ngx_trp_relays_t *relays);

/*
 * No stream uses the relays any more, nor will: their tunnels are given up.
 * _gone(): 1 if none is left, and "mem" may be freed.
 */

void ngx_trp_relays_stop(ngx_trp_relays_t *relays);
ngx_uint_t ngx_trp_relays_gone(ngx_trp_relays_t *relays);

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
