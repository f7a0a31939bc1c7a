
/*
 * Copyright (C) the trp authors
 */


/*
 * A way for datagrams to a relay by a socket of this host, which is replaced by
 * another one if the host has moved to another network.
 */


#ifndef _NGX_TRP_PATH_DIRECT_H_INCLUDED_
#define _NGX_TRP_PATH_DIRECT_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "base/ngx_trp_udp_path.h"


#pragma GCC visibility push(hidden)


/*
 * "name" is the address as text; it and "log" must live until the path is
 * closed.  NULL: there is no memory or no route, which is logged.
 */

ngx_trp_udp_path_t *ngx_trp_path_direct_open(struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name,
    const ngx_trp_udp_path_handlers_t *handlers, void *data, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PATH_DIRECT_H_INCLUDED_ */
