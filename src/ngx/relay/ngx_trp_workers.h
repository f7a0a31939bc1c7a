
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between the workers of a relay, and connections that are handed over
 * with them.
 *
 * A slot, 0..TRP_SLOTS-1, belongs to the worker "slot % workers".  The channels
 * outlive reloads: what a worker that exits has not read is read by the one
 * that has its number in the next configuration, or by the one that replaces it
 * if it was killed.
 */


#ifndef _NGX_TRP_WORKERS_H_INCLUDED_
#define _NGX_TRP_WORKERS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_workers_s  ngx_trp_workers_t;


/* for whom a near tunnel is */

typedef struct {
    ngx_uint_t            server;     /* its place in the configuration */
    ngx_uint_t            reset;      /* users do not wait in vain */
    ngx_str_t             group;
} ngx_trp_workers_near_t;


/* what comes from other workers */

typedef struct {

    /* the next connection from an address belongs to another slot */
    void                (*moved)(void *data, struct sockaddr *sockaddr,
                                 ngx_uint_t slot);

    /* one end of a near tunnel, for users in that worker; to be closed here */
    void                (*tunnel)(void *data, ngx_trp_workers_near_t *near,
                                  ngx_socket_t fd);

    /* this worker begins to exit: nothing comes any more */
    void                (*exiting)(void *data);

} ngx_trp_workers_handlers_t;


/*
 * In the master, for each cycle; "old" is what the last cycle had, or NULL, and
 * has no channels afterwards.  NULL: there is only one worker, which needs none
 * unless "always" is set: after a reload, it may have to reach the next one.  A
 * failure is only logged: an error would end the master.
 */

ngx_trp_workers_t *ngx_trp_workers_create(ngx_cycle_t *cycle,
    ngx_trp_workers_t *old, ngx_uint_t always);

/* in a worker; "workers" may be NULL */

ngx_int_t ngx_trp_workers_start(ngx_cycle_t *cycle, ngx_trp_workers_t *workers,
    const ngx_trp_workers_handlers_t *handlers, void *data);


/* 1 if the slot belongs to this worker; "workers" may be NULL */

ngx_uint_t ngx_trp_workers_here(ngx_trp_workers_t *workers, ngx_uint_t slot);

/*
 * Hands an accepted connection of nginx over to the worker of a slot, where its
 * session begins anew; what the socket has must not have been read, except for
 * a header of the PROXY protocol.  c->requests is set there, as stream {} does
 * not use it.  NGX_OK: ngx_trp_workers_forget() it; NGX_ERROR, logged.
 */

ngx_int_t ngx_trp_workers_pass(ngx_trp_workers_t *workers, ngx_uint_t slot,
    ngx_connection_t *c);

/*
 * Closes a connection that was passed; no ngx_stream_finalize_session(), as for
 * the peer this is not the end.
 */

void ngx_trp_workers_forget(ngx_connection_t *c);

/*
 * Sends one end of a near tunnel to the worker of a slot; the caller closes it
 * here.  In a worker that exits, the other one is of the next configuration.
 * NGX_ERROR: the channel is full, or there is none.
 */

ngx_int_t ngx_trp_workers_tunnel(ngx_trp_workers_t *workers, ngx_uint_t slot,
    ngx_trp_workers_near_t *near, ngx_socket_t fd);

/* tells all other workers; messages may be lost */

void ngx_trp_workers_moved(ngx_trp_workers_t *workers,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WORKERS_H_INCLUDED_ */
