
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits how many tunnels all pools of a worker dial at once to an address of a
 * relay, since the relay limits unauthenticated connections.  The window grows
 * with each tunnel that becomes ready, and is halved by each that fails.  Each
 * TURN server or proxy on the way has its own gate: to the relay it is another
 * address, and if it is dead, dialling through others goes on.  It also goes on
 * if a worker of the relay hangs: while no tunnel becomes ready, those that
 * have been dialling for long are not counted.
 */


#ifndef _NGX_TRP_GATE_H_INCLUDED_
#define _NGX_TRP_GATE_H_INCLUDED_


#include "base/ngx_trp_capacity.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_queue_t     queue;         /* in capacity->gates */
    ngx_queue_t     waiting;       /* ngx_trp_gate_wait_t */
    ngx_event_t     event;         /* looks for dials that hang */
    ngx_uint_t      dialing;
    ngx_uint_t      hung;          /* of them, not counted */
    ngx_uint_t      window;
    ngx_uint_t      max;
    socklen_t       socklen;
    ngx_sockaddr_t  sockaddr;
    unsigned        ready:1;       /* a tunnel became so lately */
    ngx_str_t       via;           /* what is on the way, or empty */
} ngx_trp_gate_t;


/* a place in the queue before a gate; "event" is posted when it is open */

typedef struct {
    ngx_queue_t        queue;
    ngx_event_t       *event;
    unsigned           waiting:1;
} ngx_trp_gate_wait_t;


/*
 * The gate of an address, created if need be; NULL if there is no memory.
 * "via" has to live as long as the gate.
 */

ngx_trp_gate_t *ngx_trp_gate_find(ngx_trp_capacity_t *capacity,
    struct sockaddr *sockaddr, socklen_t socklen, const ngx_str_t *via);

/* 1: one more may be dialled, and is counted; 0: the event is posted later */

ngx_uint_t ngx_trp_gate_enter(ngx_trp_gate_t *gate,
    ngx_trp_gate_wait_t *wait);

/* one more is dialled, and counted, whether the gate is open or not */

#define ngx_trp_gate_force(gate)  (gate)->dialing++

/* it is ready, or has failed, or its end says nothing about the relay */

typedef enum {
    NGX_TRP_GATE_READY = 0,
    NGX_TRP_GATE_FAILED,
    NGX_TRP_GATE_NEITHER
} ngx_trp_gate_e;

void ngx_trp_gate_leave(ngx_trp_gate_t *gate, ngx_trp_gate_e how);

/* gives up its place in the queue, if it has one */

void ngx_trp_gate_cancel(ngx_trp_gate_t *gate, ngx_trp_gate_wait_t *wait);

/* a pool that was let in no longer needs to dial: others may */

void ngx_trp_gate_pass(ngx_trp_gate_t *gate);


#pragma GCC visibility pop


#endif /* _NGX_TRP_GATE_H_INCLUDED_ */
