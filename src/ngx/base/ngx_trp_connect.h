
/*
 * Copyright (C) the trp authors
 */


/*
 * Connecting to a known address without the stock proxy.
 */


#ifndef _NGX_TRP_CONNECT_H_INCLUDED_
#define _NGX_TRP_CONNECT_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * "type" is SOCK_STREAM or SOCK_DGRAM.  As ngx_event_connect_peer(): NGX_OK or
 * NGX_AGAIN with a connection that has no pool; NGX_DECLINED if connect()
 * fails; NGX_ERROR if the process is out of resources.  Both are logged.
 */

ngx_int_t ngx_trp_connect(ngx_connection_t **c, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name, int type, ngx_log_t *log,
    ngx_uint_t log_error);

/*
 * Another connection of TCP in place of that of "c", whose timers and pool
 * stay.  NGX_OK, NGX_AGAIN; NGX_ERROR with errno, not logged.
 */

ngx_int_t ngx_trp_connect_again(ngx_connection_t *c,
    struct sockaddr *sockaddr, socklen_t socklen);

/* the pending result of connect(), cleared by reading; 0 if it succeeded */

ngx_err_t ngx_trp_connect_error(ngx_connection_t *c);


/*
 * 0 if this host has a route to the address, else the error that connect()
 * would return.  Nothing is sent.
 */

ngx_err_t ngx_trp_connect_way(struct sockaddr *sockaddr, socklen_t socklen);


/*
 * The timeout, in milliseconds, for one of "n" addresses, n > 1, while there
 * are others to try, within the time that a user waits.
 */

ngx_msec_t ngx_trp_connect_patience(ngx_uint_t n);


/* bytes in a socket that its peer has not acknowledged */

size_t ngx_trp_connect_unsent(ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_CONNECT_H_INCLUDED_ */
