
/*
 * Copyright (C) the trp authors
 */


/*
 * A way for datagrams to a relay through an allocation on a TURN server, which
 * is replaced by another one if it is lost.
 */


#ifndef _NGX_TRP_PATH_TURN_H_INCLUDED_
#define _NGX_TRP_PATH_TURN_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "base/ngx_trp_udp_path.h"


#pragma GCC visibility push(hidden)


/*
 * "log" must live until the path is closed.  NULL: there is no memory, or no
 * server that can be asked, which is logged.
 */

ngx_trp_udp_path_t *ngx_trp_path_turn_open(ngx_trp_agent_worker_t *agent,
    struct sockaddr *sockaddr, socklen_t socklen,
    const ngx_trp_udp_path_handlers_t *handlers, void *data, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PATH_TURN_H_INCLUDED_ */
