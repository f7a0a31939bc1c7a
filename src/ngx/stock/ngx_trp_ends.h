
/*
 * Copyright (C) the trp authors
 */


/*
 * The two ends of a session that the stock proxy serves between two real
 * connections: a reset on one side is a reset on the other, and only what has
 * ended cleanly looks so.
 */


#ifndef _NGX_TRP_ENDS_H_INCLUDED_
#define _NGX_TRP_ENDS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * TCP's urgent data are bytes of the stream as all others (RFC 6093), and do
 * not stop what is behind them; to be called before the connection is read.
 */

void ngx_trp_ends_inline(ngx_connection_t *c);


/* from the moment when the upstream is connected, to the end of the session */

void ngx_trp_ends_watch(ngx_stream_session_t *s);


/* a reset, not a clean end, if the connection closes before _disarm() */

void ngx_trp_ends_arm(ngx_connection_t *c);
void ngx_trp_ends_disarm(ngx_connection_t *c);

/* a reset, now */

void ngx_trp_ends_reset(ngx_connection_t *c);

/* nginx takes a reset for an end where there is TLS, TCP's state does not */

ngx_uint_t ngx_trp_ends_was_reset(ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENDS_H_INCLUDED_ */
