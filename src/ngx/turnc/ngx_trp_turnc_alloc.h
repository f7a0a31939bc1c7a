
/*
 * Copyright (C) the trp authors
 */


/*
 * The connection of an allocation to its server: dialling, TLS, messages in
 * both directions, timers, and the end.
 */


#ifndef _NGX_TRP_TURNC_ALLOC_H_INCLUDED_
#define _NGX_TRP_TURNC_ALLOC_H_INCLUDED_


#include "turnc/ngx_trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/*
 * Creates an allocation that fits this user, but does not attach the user.
 * NGX_DECLINED: the server cannot be reached; NGX_ERROR: the process is out of
 * resources; both are logged.
 */

ngx_int_t ngx_trp_turnc_alloc_create(ngx_trp_turnc_server_t *server,
    ngx_trp_turnc_user_t *user, struct sockaddr *sockaddr, socklen_t socklen,
    ngx_uint_t hops, ngx_trp_turnc_alloc_t **allocation);

/* sets the timer anew: a call of the client may have changed its deadline */

void ngx_trp_turnc_alloc_schedule(ngx_trp_turnc_alloc_t *a);

/*
 * ChannelData over UDP: datagrams of "segment" bytes each, the last of which
 * may be shorter.  NGX_OK; NGX_AGAIN: writable() will be called; NGX_ERROR:
 * they are lost.
 */

ngx_int_t ngx_trp_turnc_alloc_send(ngx_trp_turnc_alloc_t *a, uint16_t number,
    u_char *p, size_t len, size_t segment);

/* the last user has gone */

void ngx_trp_turnc_alloc_unused(ngx_trp_turnc_alloc_t *a);

/* it has no users, and must not get any: deletes it on the server */

void ngx_trp_turnc_alloc_retire(ngx_trp_turnc_alloc_t *a);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_ALLOC_H_INCLUDED_ */
