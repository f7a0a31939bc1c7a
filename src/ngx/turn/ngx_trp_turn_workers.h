
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between the workers of a TURN server, including those of older
 * configurations: datagrams that arrived in the wrong worker, connections of
 * peers (RFC 6062), and accounts that were removed.
 */


#ifndef _NGX_TRP_TURN_WORKERS_H_INCLUDED_
#define _NGX_TRP_TURN_WORKERS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


typedef enum {
    NGX_TRP_TURN_MESSAGE_DATAGRAM = 0, /* of "tuple", in the payload */
    NGX_TRP_TURN_MESSAGE_HELLO,        /* there is a new worker */
    NGX_TRP_TURN_MESSAGE_ATTACH,       /* "id", user in the payload */
    NGX_TRP_TURN_MESSAGE_ATTACHED,     /* to "cookie": the peer in "fd", and
                                          a "tally" to write to */
    NGX_TRP_TURN_MESSAGE_DETACHED,     /* "id" has ended */
    NGX_TRP_TURN_MESSAGE_DETACH,       /* "cookie" is to end */
    NGX_TRP_TURN_MESSAGE_REMOVE_ACCOUNT    /* in the payload */
} ngx_trp_turn_message_e;


typedef struct {
    ngx_trp_turn_message_e       type;
    ngx_uint_t                   slot;     /* of the sender */
    ngx_atomic_uint_t            epoch;    /* and its epoch */
    trp_turn_tuple_t             tuple;
    uint64_t                     realm;    /* a hash of it */
    uint64_t                     cookie;
    uint32_t                     id;
    ngx_uint_t                   tally;    /* in the zone */
} ngx_trp_turn_message_t;


typedef struct ngx_trp_turn_workers_s  ngx_trp_turn_workers_t;


/* "fd" is the handler's to close, or -1 */

typedef void (*ngx_trp_turn_message_pt)(void *data,
    ngx_trp_turn_message_t *message, u_char *payload, size_t len,
    ngx_socket_t fd);


/*
 * In the master, for each cycle: takes over what "old", which may be NULL, has
 * for workers that still exist, and gets a slot for each new one.  NULL without
 * memory, or if the first cycle already has too many workers.
 */

ngx_trp_turn_workers_t *ngx_trp_turn_workers_create(ngx_cycle_t *cycle,
    ngx_trp_turn_zone_t  *zone, ngx_trp_turn_workers_t *old);

/* in a worker */

ngx_int_t ngx_trp_turn_workers_init_worker(ngx_cycle_t *cycle,
    ngx_trp_turn_workers_t *workers, ngx_trp_turn_message_pt handler,
    void *data);

/*
 * Tells older workers, of other generations, how to write to this one; 1 if
 * some could not be told, and this has to be called again.  The handler gets
 * HELLO from new workers.
 */

ngx_uint_t ngx_trp_turn_workers_greet(ngx_trp_turn_workers_t *workers);

/* NGX_TRP_TURN_NO_SLOT for a single process, or if there are too many */

ngx_uint_t ngx_trp_turn_workers_slot(ngx_trp_turn_workers_t *workers);

/*
 * Sends to the worker in a slot; NGX_ERROR if that was not possible.  The
 * sender is filled in, and ATTACH also gives the other worker a way back.
 */

ngx_int_t ngx_trp_turn_workers_send(ngx_trp_turn_workers_t *workers,
    ngx_uint_t slot, ngx_trp_turn_message_t *message, const void *payload,
    size_t len, ngx_socket_t fd);

/* sends what must not be lost, now or in ngx_trp_turn_workers_retry() */

void ngx_trp_turn_workers_post(ngx_trp_turn_workers_t *workers,
    ngx_uint_t slot, ngx_trp_turn_message_t *message);

/* 1 if there are some left */

ngx_uint_t ngx_trp_turn_workers_retry(ngx_trp_turn_workers_t *workers);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_WORKERS_H_INCLUDED_ */
