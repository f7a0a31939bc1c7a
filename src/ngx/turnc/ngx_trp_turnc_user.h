
/*
 * Copyright (C) the trp authors
 */


/*
 * The users of one allocation: which peer each has, and what the allocation
 * remembers about peers.
 */


#ifndef _NGX_TRP_TURNC_USER_H_INCLUDED_
#define _NGX_TRP_TURNC_USER_H_INCLUDED_


#include "turnc/ngx_trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* 446: the server has a connection to the peer that is not known here; ms */

#define NGX_TRP_TURNC_BLOCKED  500


/* no user of the allocation may have this peer yet */

void ngx_trp_turnc_user_join(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user);

/* from now on, the user has no allocation */

void ngx_trp_turnc_user_leave(ngx_trp_turnc_user_t *user);

/* the user that has this peer, or NULL */

ngx_trp_turnc_user_t *ngx_trp_turnc_user_find(ngx_trp_turnc_alloc_t *a,
    const trp_taddr_t *peer);

/* after 446: for a while, the allocation is of no use for this peer */

void ngx_trp_turnc_user_blocked(ngx_trp_turnc_user_t *user);

/*
 * 1 if this user's allocation had a connection to its peer a moment ago, which
 * TCP may still remember at the peer or the server.
 */

ngx_uint_t ngx_trp_turnc_user_repeats(ngx_trp_turnc_user_t *user);

/* the connection to its peer is over */

void ngx_trp_turnc_user_past(ngx_trp_turnc_user_t *user);

/* 1 if the allocation is of no use for this peer for now */

ngx_uint_t ngx_trp_turnc_user_is_blocked(ngx_trp_turnc_alloc_t *a,
    const trp_taddr_t *peer);


/* what a code means */

const char *ngx_trp_turnc_text(ngx_uint_t code);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_USER_H_INCLUDED_ */
