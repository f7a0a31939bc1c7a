
/*
 * Copyright (C) the trp authors
 */


/*
 * Writing to a tunnel: control frames, DATA, and forwarded bytes of frames.
 * None of this closes the tunnel under its caller.
 */


#ifndef _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_
#define _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/* closes the tunnel from its own event, after a last attempt to flush output */

void ngx_trp_tunnel_fail(ngx_trp_tunnel_t *t);

/* the same, and why, for a log; the first one to know counts */

void ngx_trp_tunnel_lose(ngx_trp_tunnel_t *t, const char *why);


/*
 * Control frames always fit.  ngx_trp_tunnel_data() frames as much as fits and
 * returns how many bytes that was.  Nothing is written to the connection before
 * the posted event, unless there is much output.
 */

void ngx_trp_tunnel_send(ngx_trp_tunnel_t *t, ngx_uint_t type);
void ngx_trp_tunnel_send_frame(ngx_trp_tunnel_t *t, u_char *start,
    u_char *last);
size_t ngx_trp_tunnel_data(ngx_trp_tunnel_t *t, u_char *p, size_t size);

/*
 * A datagram of "size" bytes, at most TRP_DATA_MAX, as one DATA frame: returns
 * where the caller must put it at once, or NULL if there is no room for it.
 */

u_char *ngx_trp_tunnel_datagram(ngx_trp_tunnel_t *t, size_t size);

/*
 * Forwards bytes of whole or partial frames.  ngx_trp_tunnel_sent() reports
 * each of these frames to the state machine, with the length of its payload.
 */

void ngx_trp_tunnel_forward(ngx_trp_tunnel_t *t, u_char *p, size_t size);
ngx_int_t ngx_trp_tunnel_sent(ngx_trp_tunnel_t *t, ngx_uint_t type,
    size_t len);

/*
 * Delays the output written last, since more is about to follow: for one more
 * iteration of the event loop, or until more is written, at most for "msec".
 */

void ngx_trp_tunnel_flush_later(ngx_trp_tunnel_t *t);
void ngx_trp_tunnel_flush_after(ngx_trp_tunnel_t *t, ngx_msec_t msec);


/* bytes of output that the peer's host does not have yet */

static ngx_inline size_t
ngx_trp_tunnel_unsent(ngx_trp_tunnel_t *t)
{
    return ngx_trp_tunnel_pending(t)
           + t->transport->ops->unacknowledged(t->transport);
}


/* sets only why it will be closed */

static ngx_inline void
ngx_trp_tunnel_why(ngx_trp_tunnel_t *t, const char *why)
{
    if (t->why == NULL) {
        t->why = why;
    }
}


/* internal: posts the write event of the connection */

void ngx_trp_tunnel_post(ngx_trp_tunnel_t *t);

/* passes on all output */

void ngx_trp_tunnel_flush(ngx_trp_tunnel_t *t);

/* flushes the tunnel whose output was delayed; "t", or NULL, takes its place */

void ngx_trp_tunnel_flush_last(ngx_trp_tunnels_t *tunnels,
    ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_OUTPUT_H_INCLUDED_ */
