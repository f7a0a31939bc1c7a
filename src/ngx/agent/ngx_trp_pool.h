
/*
 * Copyright (C) the trp authors
 */


/*
 * An agent's tunnels to one address of a relay, in one worker: a number of
 * idle ones is kept ready, more are dialled on demand, and given up when they
 * are no longer needed.
 */


#ifndef _NGX_TRP_POOL_H_INCLUDED_
#define _NGX_TRP_POOL_H_INCLUDED_


#include "agent/ngx_trp_pool_size.h"


#pragma GCC visibility push(hidden)


/*
 * Begins to dial at once, for the group of the agent's configuration, unless
 * the caller sets another.  "server" is the name in the configuration, with its
 * port.  All is copied to "mem"; NULL if there is no memory.
 */

ngx_trp_pool_t *ngx_trp_pool_create(ngx_trp_agent_worker_t *agent,
    ngx_pool_t *mem, struct sockaddr *sockaddr, socklen_t socklen,
    ngx_str_t *name, ngx_str_t *server);

/* "server HOST:PORT": the host, without the brackets of IPv6 */

ngx_str_t ngx_trp_pool_host(const ngx_str_t *server);

/*
 * The pool had a placeholder for an unknown address ("unknown" was set after
 * _create()): this is the address.  If none was found, waiting streams are sent
 * to other relays, if there are any.
 */

ngx_int_t ngx_trp_pool_found(ngx_trp_pool_t *pool, ngx_addr_t *addr);
void ngx_trp_pool_not_found(ngx_trp_pool_t *pool, const char *why);

/* the relay is no longer used, or is used again; existing streams go on */

void ngx_trp_pool_retire(ngx_trp_pool_t *pool, ngx_uint_t retired);

/*
 * No tunnel is dialled any more, and existing ones are given up; to be called
 * once, while no stream uses the pool.  _gone(): 1 if none is left, and "mem"
 * may be freed.
 */

void ngx_trp_pool_stop(ngx_trp_pool_t *pool);
ngx_uint_t ngx_trp_pool_gone(ngx_trp_pool_t *pool);

/* 1 if a new user can expect to be served */

ngx_uint_t ngx_trp_pool_alive(ngx_trp_pool_t *pool);


/* 1 if users certainly cannot be served: no relay, or no reverse there */

ngx_uint_t ngx_trp_pool_vain(ngx_trp_pool_t *pool);

/* streams get their tunnels from pool->source */

#define ngx_trp_pool_of(s)  trp_of(ngx_trp_pool_t, source, s)


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_H_INCLUDED_ */
