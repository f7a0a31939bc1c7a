
/*
 * Copyright (C) the trp authors
 */


/*
 * The ends of a session that the stock proxy serves between two real
 * connections: a reset on one side becomes a reset on the other, and only a
 * clean end is passed on as one.
 */


#ifndef _NGX_TRP_ENDS_H_INCLUDED_
#define _NGX_TRP_ENDS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * Makes TCP urgent data ordinary bytes of the stream (RFC 6093), which do not
 * hold up what follows; to be called before the connection is read.
 */

void ngx_trp_ends_inline(ngx_connection_t *c);

/* the same for a connection of the stock proxy, whose buffers may grow */

void ngx_trp_ends_proxied(ngx_connection_t *c);


/* from when the upstream is connected until the end of the session */

void ngx_trp_ends_watch(ngx_stream_session_t *s);


/* closing the connection before _disarm() sends a reset, not a clean end */

void ngx_trp_ends_arm(ngx_connection_t *c);
void ngx_trp_ends_disarm(ngx_connection_t *c);

/* sends a reset now */

void ngx_trp_ends_reset(ngx_connection_t *c);

/* under TLS nginx takes a reset for a clean end; the state of TCP tells */

ngx_uint_t ngx_trp_ends_was_reset(ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENDS_H_INCLUDED_ */
