
/*
 * Copyright (C) the trp authors
 */


/*
 * Conversion between addresses of the core and socket addresses.
 */


#ifndef _NGX_TRP_ADDR_H_INCLUDED_
#define _NGX_TRP_ADDR_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* family 0 and port 0 if it is neither IPv4 nor IPv6 */

void ngx_trp_addr_from_sockaddr(trp_addr_t *addr, in_port_t *port,
    struct sockaddr *sa);

/* family 0 becomes AF_UNIX without a path; returns the length */

socklen_t ngx_trp_addr_to_sockaddr(ngx_sockaddr_t *sa,
    const trp_addr_t *addr, in_port_t port);

/*
 * "host:port", IPv6 in brackets, from the pool; "host" alone if it is
 * "unix:/PATH".  data is NULL: no memory.
 */

ngx_str_t ngx_trp_host_port(ngx_pool_t *pool, ngx_str_t *host,
    in_port_t port);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ADDR_H_INCLUDED_ */
