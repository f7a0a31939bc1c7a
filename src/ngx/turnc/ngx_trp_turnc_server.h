
/*
 * Copyright (C) the trp authors
 */


/*
 * A TURN server as its client sees it, in one worker: allocations, each with
 * a control connection.  They are created on demand, and deleted when they have
 * had no users for a while.
 *
 * An allocation has many users, but only one for each peer address: RFC 6062
 * allows one connection from an allocation to a peer, and only the peer's
 * address tells which user a datagram is for.
 */


#ifndef _NGX_TRP_TURNC_SERVER_H_INCLUDED_
#define _NGX_TRP_TURNC_SERVER_H_INCLUDED_


#include "turnc/ngx_trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* all is copied; NULL without memory */

ngx_trp_turnc_server_t *ngx_trp_turnc_server_create(
    const ngx_trp_turnc_conf_t *conf, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name, const ngx_str_t *host);


/* 1 if the server said lately that it does not relay for this family */

ngx_uint_t ngx_trp_turnc_server_lacks(ngx_trp_turnc_server_t *server,
    ngx_uint_t family);


/* 1 if there is an allocation now to reach peers by this protocol */

ngx_uint_t ngx_trp_turnc_server_serves(ngx_trp_turnc_server_t *server,
    ngx_uint_t transport);


/*
 * Finds or creates an allocation in which no user has this peer.  NGX_OK: it is
 * ready.  NGX_AGAIN: ready() or failed() will be called.  NGX_BUSY: the limit
 * of allocations is reached, and each has a user with this peer, or is too
 * busy; retry() will be called.  NGX_DECLINED: the server cannot be reached.
 * NGX_ERROR: the process is out of resources.  The last two are logged.
 */

ngx_int_t ngx_trp_turnc_user_attach(ngx_trp_turnc_server_t *server,
    ngx_trp_turnc_user_t *user);

/* the same after failed() with code 300, at the server that 300 names */

ngx_int_t ngx_trp_turnc_user_follow(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user);

void ngx_trp_turnc_user_detach(ngx_trp_turnc_user_t *user);

/* as in trp_turnc.h, of an allocation that is ready */

ngx_int_t ngx_trp_turnc_user_connect(ngx_trp_turnc_user_t *user);
ngx_int_t ngx_trp_turnc_user_send(ngx_trp_turnc_user_t *user, u_char *p,
    size_t len);

/*
 * Datagrams of "segment" bytes each, the last of which may be shorter.  NGX_OK:
 * sent, waiting, or lost; NGX_AGAIN: none was sent, writable() will be called.
 */

ngx_int_t ngx_trp_turnc_user_send_many(ngx_trp_turnc_user_t *user, u_char *p,
    size_t len, size_t segment);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_SERVER_H_INCLUDED_ */
