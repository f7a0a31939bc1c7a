
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


/* an address whose next connection belongs to another slot */

typedef void (*ngx_trp_workers_moved_pt)(void *data, struct sockaddr *sockaddr,
    ngx_uint_t slot);


/*
 * In the master, for each cycle; "old" is what the last cycle had, or NULL, and
 * has no channels afterwards.  NULL if there is only one worker, which needs
 * none.  A failure is only logged: an error would end the master.
 */

ngx_trp_workers_t *ngx_trp_workers_create(ngx_cycle_t *cycle,
    ngx_trp_workers_t *old);

/* in a worker; "workers" may be NULL */

ngx_int_t ngx_trp_workers_start(ngx_cycle_t *cycle, ngx_trp_workers_t *workers,
    ngx_trp_workers_moved_pt moved, void *data);


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

/* tells all other workers; messages may be lost */

void ngx_trp_workers_moved(ngx_trp_workers_t *workers,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WORKERS_H_INCLUDED_ */
