
/*
 * Copyright (C) the trp authors
 */


/*
 * Forwards bytes between two connections, with half-close: a client's data
 * connection and that of its peer (RFC 6062).
 */


#ifndef _NGX_TRP_TURN_SPLICE_H_INCLUDED_
#define _NGX_TRP_TURN_SPLICE_H_INCLUDED_


#include "base/ngx_trp.h"
#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_turn_splice_s  ngx_trp_turn_splice_t;


/* both have ended, or one has failed; the splice is over */

typedef void (*ngx_trp_turn_splice_pt)(void *data);


/*
 * Takes over the events of both connections, and their "data".  "rate" is in
 * bytes per second each way, 0: no limit.  Traffic is counted in "tally",
 * unless it is NULL.  Returns NULL if out of memory.
 */

ngx_trp_turn_splice_t *ngx_trp_turn_splice_create(ngx_connection_t *client,
    ngx_connection_t *peer, uint64_t rate, ngx_trp_turn_tally_t *tally,
    ngx_trp_turn_splice_pt done, void *data);

/*
 * Bytes of the client that were already read; the splice takes over the memory.
 * May be called once, before the event loop goes on.
 */

void ngx_trp_turn_splice_feed(ngx_trp_turn_splice_t *splice, u_char *data,
    size_t len);

/*
 * Closes the connection to the peer, but not the one to the client.  Each ends
 * with a reset, as data may be missing, unless its end was already forwarded.
 */

void ngx_trp_turn_splice_destroy(ngx_trp_turn_splice_t *splice);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_SPLICE_H_INCLUDED_ */
