
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between the workers of a module, including those of older
 * configurations, by their slots.
 */


#ifndef _NGX_TRP_MESH_H_INCLUDED_
#define _NGX_TRP_MESH_H_INCLUDED_


#include "base/ngx_trp_slots.h"


#pragma GCC visibility push(hidden)


/* a type of message; the others are the module's */
#define NGX_TRP_MESH_HELLO        0    /* there is a new worker */

/* with what follows the beginning below */
#define NGX_TRP_MESH_MESSAGE_MAX  512


/* the beginning of each message */

typedef struct {
    ngx_uint_t                   type;
    ngx_uint_t                   slot;     /* of the sender */
    ngx_atomic_uint_t            epoch;    /* and its epoch */
    ngx_uint_t                   way;      /* 1: gives the other a way back */
} ngx_trp_mesh_message_t;


typedef struct ngx_trp_mesh_s  ngx_trp_mesh_t;


/*
 * "fd" is the handler's to close, or -1.  Before the payload, in the same
 * memory, is the message.
 */

typedef void (*ngx_trp_mesh_message_pt)(void *data,
    ngx_trp_mesh_message_t *message, u_char *payload, size_t len,
    ngx_socket_t fd);


/*
 * In the master, for each cycle: takes over what "old", which may be NULL, has
 * for workers that still exist, and gets a slot for each new one.  "size" is
 * that of messages, NGX_TRP_MESH_MESSAGE_MAX at most, "name" is whose workers
 * they are.  NULL: no memory.
 */

ngx_trp_mesh_t *ngx_trp_mesh_create(ngx_cycle_t *cycle, ngx_trp_slots_t *slots,
    ngx_trp_mesh_t *old, size_t size, const char *name);

/* in a worker */

ngx_int_t ngx_trp_mesh_init_worker(ngx_cycle_t *cycle, ngx_trp_mesh_t *mesh,
    ngx_trp_mesh_message_pt handler, void *data);

/*
 * Tells older workers, of other generations, how to write to this one; 1 if
 * some could not be told, and this has to be called again.  The handler gets
 * HELLO from new workers.
 */

ngx_uint_t ngx_trp_mesh_greet(ngx_trp_mesh_t *mesh);

/* NGX_TRP_NO_SLOT for a single process, or if there are too many */

ngx_uint_t ngx_trp_mesh_slot(ngx_trp_mesh_t *mesh);

/* the same of a worker of this generation, by its number */

ngx_uint_t ngx_trp_mesh_slot_of(ngx_trp_mesh_t *mesh, ngx_uint_t worker);

/*
 * Sends to the worker in a slot; NGX_ERROR if that was not possible.  The
 * sender is filled in.
 */

ngx_int_t ngx_trp_mesh_send(ngx_trp_mesh_t *mesh, ngx_uint_t slot,
    ngx_trp_mesh_message_t *message, const void *payload, size_t len,
    ngx_socket_t fd);

/* sends what must not be lost, now or in ngx_trp_mesh_retry() */

void ngx_trp_mesh_post(ngx_trp_mesh_t *mesh, ngx_uint_t slot,
    ngx_trp_mesh_message_t *message);

/* 1 if there are some left */

ngx_uint_t ngx_trp_mesh_retry(ngx_trp_mesh_t *mesh);


#pragma GCC visibility pop


#endif /* _NGX_TRP_MESH_H_INCLUDED_ */
