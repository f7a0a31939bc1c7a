
/*
 * Copyright (C) the trp authors
 */


/*
 * The tunnels that datagrams may take: half of those that an upstream may
 * have in a worker, which leaves the other half to streams of TCP.  When they
 * are used up, the client that has the most of them gives way to a new
 * destination, with its own that it has not used for the longest time.
 *
 * A client is a SOCKS5 user, or an address if there are no users.
 */


#ifndef _NGX_TRP_ASSOCIATE_SHARE_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_SHARE_H_INCLUDED_


#include "socks5/ngx_trp_associate.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_share_client_s  ngx_trp_share_client_t;


/* of an upstream, in a worker */

typedef struct {
    trp_hash_t               clients;    /* ngx_trp_share_client_t */
    trp_memory_t             memory;
    u_char                   key[TRP_HASH_KEY_LEN];
    ngx_uint_t               n;          /* tunnels taken */
    ngx_uint_t               max;
} ngx_trp_share_t;


/* of an association; zeroed before use */

typedef struct {
    ngx_queue_t              queue;      /* of the client, if n is not 0 */
    ngx_trp_share_client_t  *client;
    ngx_trp_associate_t     *associate;
    ngx_uint_t               n;
} ngx_trp_share_member_t;


/* "max": the tunnels that the upstream may have in this worker */

void ngx_trp_share_init(ngx_trp_share_t *share, ngx_uint_t max,
    ngx_log_t *log);

/* nobody has any */

void ngx_trp_share_done(ngx_trp_share_t *share);

/*
 * Takes one more, for which a destination of any association may have to be
 * forgotten.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_trp_share_take(ngx_trp_share_t *share,
    ngx_trp_share_member_t *member);
void ngx_trp_share_give(ngx_trp_share_t *share,
    ngx_trp_share_member_t *member);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_SHARE_H_INCLUDED_ */
