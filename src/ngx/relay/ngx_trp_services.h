
/*
 * Copyright (C) the trp authors
 */


/*
 * Services that reverses publish: who publishes which, in one worker, and what
 * the agents are told about it.
 */


#ifndef _NGX_TRP_SERVICES_H_INCLUDED_
#define _NGX_TRP_SERVICES_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


/* "zone" is that of ngx_trp_service_zone_add() */

void ngx_trp_services_init(ngx_trp_services_t *services, ngx_shm_zone_t *zone,
    ngx_log_t *log);

/* a tunnel is about to be ready: flags for READY */

ngx_uint_t ngx_trp_services_ready(ngx_trp_services_t *services,
    ngx_trp_peer_t *peer);

/*
 * PUBLISH; NGX_ERROR: it is invalid, or too much, which is logged.  NGX_DONE:
 * the agent now publishes something, for which streams may wait.
 */

ngx_int_t ngx_trp_services_publish(ngx_trp_services_t *services,
    ngx_trp_peer_t *peer, trp_frame_t *frame);

/* the peer is about to leave; an agent no longer publishes anything here */

void ngx_trp_services_leave(ngx_trp_services_t *services,
    ngx_trp_peer_t *peer);
void ngx_trp_services_withdraw(ngx_trp_services_t *services,
    ngx_trp_agent_t *agent);


/*
 * The service with this name in a group, or NULL if it is not published there.
 * It may have no publisher at the moment.  Each call of get() needs one of
 * put().
 */

ngx_trp_service_t *ngx_trp_services_get(ngx_trp_services_t *services,
    ngx_trp_group_t *group, const ngx_str_t *name);
void ngx_trp_services_put(ngx_trp_service_t *service);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SERVICES_H_INCLUDED_ */
