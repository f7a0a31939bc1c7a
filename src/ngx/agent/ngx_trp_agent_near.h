
/*
 * Copyright (C) the trp authors
 */


/*
 * Near tunnels: how a stream whose group is another worker's reaches the relay
 * there.  A tunnel is made as soon as it is needed, belongs to a group, and is
 * kept for a while when it is idle.
 */


#ifndef _NGX_TRP_AGENT_NEAR_H_INCLUDED_
#define _NGX_TRP_AGENT_NEAR_H_INCLUDED_


#include "hub/ngx_trp_hub.h"
#include "tunnel/ngx_trp_near.h"


#pragma GCC visibility push(hidden)


/* those of an upstream {}, in a worker */

typedef struct {
    const ngx_trp_hub_ops_t   *ops;
    void                      *relay;
    ngx_msec_t                 heartbeat;
    ngx_uint_t                 size;       /* connections of the worker */
    ngx_uint_t                 reset;      /* users do not wait in vain */
    ngx_trp_tunnels_t          tunnels;
    ngx_queue_t                idle;       /* ngx_trp_near_link_t */
    ngx_uint_t                 nidle;
    ngx_event_t                event;      /* gives up those not needed */
    ngx_log_t                 *log;
} ngx_trp_near_t;


/* the source of a stream */

typedef struct {
    ngx_trp_source_t           source;
    ngx_trp_near_t            *near;
    ngx_str_t                  group;
    ngx_trp_holder_t          *holder;     /* waits */
    ngx_event_t                timer;      /* until the next try */
} ngx_trp_near_user_t;


/* the caller has set the first five; NGX_ERROR: no memory */

ngx_int_t ngx_trp_near_init(ngx_trp_near_t *near, ngx_cycle_t *cycle);

/* the group must live as long */

void ngx_trp_near_user(ngx_trp_near_user_t *user, ngx_trp_near_t *near,
    ngx_str_t *group, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_AGENT_NEAR_H_INCLUDED_ */
