
/*
 * Copyright (C) the trp authors
 */


/*
 * A user of this nginx at its relay: there is no tunnel of an entry, the user's
 * stream itself holds that of the reverse.
 */


#ifndef _NGX_TRP_LOCAL_H_INCLUDED_
#define _NGX_TRP_LOCAL_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


/*
 * See ngx_trp_hub_ops_t; the group's reverses are in this worker.  A stream
 * waits for "timeout" at most.
 */

ngx_int_t ngx_trp_local_enter(ngx_trp_pair_t *pair, ngx_trp_local_t *local,
    const ngx_trp_limits_t *limits, ngx_msec_t timeout, const char **why);
void ngx_trp_local_leave(ngx_trp_local_t *local);


/*
 * This worker begins to exit: streams that wait look for a reverse elsewhere.
 */

void ngx_trp_local_exiting(ngx_trp_pair_t *pair);


/* for a reverse's tunnel with peer->direct */

/* a frame for the stream; returns what handlers->frame() should */

ngx_int_t ngx_trp_local_frame(ngx_trp_peer_t *peer, trp_frame_t *frame);

/* its reverse does not answer: if there is another one, the stream leaves it */

void ngx_trp_local_silent(ngx_trp_peer_t *peer, ngx_uint_t safe);

/* the tunnel is free for the next stream */

void ngx_trp_local_over(ngx_trp_peer_t *peer);

/* it is lost: returns the holder, which is to be told last, or NULL */

ngx_trp_holder_t *ngx_trp_local_gone(ngx_trp_peer_t *peer);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LOCAL_H_INCLUDED_ */
