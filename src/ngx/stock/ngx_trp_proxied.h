
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection whose PROXY protocol header nginx has read, on its way to
 * another worker: nginx there must not read a header again.
 */


#ifndef _NGX_TRP_PROXIED_H_INCLUDED_
#define _NGX_TRP_PROXIED_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* what a header contains, without its lengths: nginx reads no longer ones */

#define NGX_TRP_PROXIED_MAX   (4096 + 2 * NGX_SOCKADDR_STRLEN)

/* pieces of a message */

#define NGX_TRP_PROXIED_IOVS  3


typedef struct {
    uint16_t          header;            /* 1: there was one */
    uint16_t          src_port;
    uint16_t          dst_port;
    uint16_t          lens[NGX_TRP_PROXIED_IOVS];
} ngx_trp_proxied_t;


/*
 * Describes the header of a session's connection, if its listen has the
 * parameter "proxy_protocol".  The texts follow in "iov"; the number of its
 * elements that are used is returned.
 */

ngx_uint_t ngx_trp_proxied_get(ngx_trp_proxied_t *proxied, ngx_connection_t *c,
    struct iovec *iov);

/*
 * The address that was accepted, which the realip module may have replaced.
 * NGX_ERROR, logged.
 */

ngx_int_t ngx_trp_proxied_sockaddr(ngx_connection_t *c,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen);

/*
 * Starts the session of a connection with such a header, whose texts are copied
 * into its pool.  NGX_ERROR: they are invalid, or there is no memory; nothing
 * was done.
 */

ngx_int_t ngx_trp_proxied_start(ngx_trp_proxied_t *proxied,
    ngx_connection_t *c, u_char *p, size_t size);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PROXIED_H_INCLUDED_ */
