
/*
 * Copyright (C) the trp authors
 */


/*
 * Wraps the load balancing method of an upstream {}: the method still chooses
 * the server, but the connection to it is ours.
 */


#ifndef _NGX_TRP_BALANCER_H_INCLUDED_
#define _NGX_TRP_BALANCER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* for an upstream {} */

typedef struct {
    ngx_stream_upstream_init_pt       init_upstream;
    ngx_stream_upstream_init_peer_pt  init_peer;
} ngx_trp_balancer_conf_t;


/* for a session */

typedef struct {
    void                             *data;
    ngx_event_get_peer_pt             get;
    ngx_event_free_peer_pt            free;
    ngx_event_notify_peer_pt          notify;
    unsigned                          none:1;  /* no server was chosen */
} ngx_trp_balancer_t;


/* in a directive of the upstream {}: "init" replaces the method's own */

void ngx_trp_balancer_set(ngx_trp_balancer_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_stream_upstream_init_pt init);

/* NGX_ERROR, logged, if a method was set after "directive" */

ngx_int_t ngx_trp_balancer_check(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us, ngx_stream_upstream_init_pt init,
    const char *directive);

/* in "init": calls the original, then sets "init_peer" */

ngx_int_t ngx_trp_balancer_init(ngx_trp_balancer_conf_t *conf, ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us,
    ngx_stream_upstream_init_peer_pt init_peer);


/*
 * In "init_peer", after the original: sets the functions that the proxy calls
 * from now on, with "data".
 */

void ngx_trp_balancer_wrap(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    void *data, ngx_event_get_peer_pt get_peer,
    ngx_event_free_peer_pt free_peer, ngx_event_notify_peer_pt notify_peer);

/* call the originals; with "none" set, the last two do nothing */

ngx_int_t ngx_trp_balancer_get(ngx_trp_balancer_t *b,
    ngx_peer_connection_t *pc);
void ngx_trp_balancer_free(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    ngx_uint_t state);
void ngx_trp_balancer_notify(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    ngx_uint_t type);


#pragma GCC visibility pop


#endif /* _NGX_TRP_BALANCER_H_INCLUDED_ */
