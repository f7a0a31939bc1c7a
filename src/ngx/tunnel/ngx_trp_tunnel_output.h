
/*
 * Copyright (C) the trp authors
 */


/*
 * Writing to a tunnel: control frames, DATA, and bytes of frames as they are.
 * None of this closes the tunnel under its caller.
 */


#ifndef _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_
#define _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/* closes the tunnel from its own event; what was written is tried once more */

void ngx_trp_tunnel_fail(ngx_trp_tunnel_t *t);


/*
 * Output.  Control frames always fit.  ngx_trp_tunnel_data() frames as much
 * as the output takes and returns how much that was.  Nothing is written to
 * the connection before the posted event, except when there is much.
 */

void ngx_trp_tunnel_send(ngx_trp_tunnel_t *t, ngx_uint_t type);
void ngx_trp_tunnel_send_frame(ngx_trp_tunnel_t *t, u_char *start,
    u_char *last);
size_t ngx_trp_tunnel_data(ngx_trp_tunnel_t *t, u_char *p, size_t size);

/*
 * A datagram of "size" bytes, at most TRP_DATA_MAX, as one DATA frame: where
 * the caller puts it, at once, or NULL if the output has no room for all of it.
 */

u_char *ngx_trp_tunnel_datagram(ngx_trp_tunnel_t *t, size_t size);

/*
 * Bytes of whole or partial frames as they are.  ngx_trp_tunnel_sent() tells
 * the state of each frame among them, and the length of its payload.
 */

void ngx_trp_tunnel_forward(ngx_trp_tunnel_t *t, u_char *p, size_t size);
ngx_int_t ngx_trp_tunnel_sent(ngx_trp_tunnel_t *t, ngx_uint_t type,
    size_t len);

/*
 * What was written last waits for more that is about to follow: for one more
 * turn of the event loop, or until more is written, at most for "msec".
 */

void ngx_trp_tunnel_flush_later(ngx_trp_tunnel_t *t);
void ngx_trp_tunnel_flush_after(ngx_trp_tunnel_t *t, ngx_msec_t msec);


/* of the tunnel itself: it has something to do in its posted event */

void ngx_trp_tunnel_post(ngx_trp_tunnel_t *t);

/* all that waits, to the socket */

void ngx_trp_tunnel_flush(ngx_trp_tunnel_t *t);

/* "t" is the one whose output waits now, or NULL; what waited before leaves */

void ngx_trp_tunnel_flush_last(ngx_trp_tunnels_t *tunnels,
    ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_ */
