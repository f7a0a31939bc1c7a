
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel: frames on a transport, common to agents and the relay.
 *
 * A tunnel is allocated from its connection's pool and freed with the
 * connection, only by ngx_trp_tunnel_close().  That is called from the tunnel's
 * own events only; all other code calls ngx_trp_tunnel_fail(), which closes the
 * tunnel soon after.  So no function that writes to a tunnel, or reads from it,
 * can free it under its caller.
 */


#ifndef _NGX_TRP_TUNNEL_H_INCLUDED_
#define _NGX_TRP_TUNNEL_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_output.h"
#include "tunnel/ngx_trp_tunnel_watch.h"


#pragma GCC visibility push(hidden)


/*
 * Creates a tunnel on a transport, in the pool of its connection, and sets
 * c->data.  NULL: no memory, or "tr" is NULL.  ngx_trp_tunnel_start() takes
 * over the connection's events once the handshake is done; NGX_ERROR: no
 * memory.
 */

ngx_trp_tunnel_t *ngx_trp_tunnel_create(ngx_trp_transport_t *tr,
    ngx_trp_tunnels_t *tunnels, const ngx_trp_tunnel_handlers_t *handlers,
    void *data, ngx_uint_t relay, ngx_msec_t heartbeat);
ngx_int_t ngx_trp_tunnel_start(ngx_trp_tunnel_t *t);

void ngx_trp_tunnel_close(ngx_trp_tunnel_t *t);

/*
 * Sends ERROR, and closes the tunnel from its own event; the peer is told "why"
 * unless that is NULL.  The same, with a line in the log, for an invalid frame.
 */

void ngx_trp_tunnel_error(ngx_trp_tunnel_t *t, ngx_uint_t code,
    const char *why);
void ngx_trp_tunnel_invalid(ngx_trp_tunnel_t *t);


/* the number of bytes, NGX_AGAIN; NGX_ERROR, logged: the connection is over */

ssize_t ngx_trp_tunnel_recv(ngx_trp_tunnel_t *t, u_char *buf, size_t size);


/*
 * Reads frames one by one.  NGX_OK: reader.left bytes of a DATA frame are to be
 * taken; an empty one must be taken, too.  NGX_AGAIN: no more for now.
 * NGX_DONE: this frame has ended the stream's direction from the peer.
 * NGX_ERROR: the tunnel has failed.
 */

ngx_int_t ngx_trp_tunnel_input(ngx_trp_tunnel_t *t);

/*
 * Handles a complete control frame: updates the state, and passes the frame to
 * the tunnel itself or to handlers->frame().  NGX_OK, NGX_DONE as above,
 * NGX_ERROR.  NGX_DECLINED: it belongs to a stream that is over; ignore it.
 */

ngx_int_t ngx_trp_tunnel_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);

/*
 * Where to put the next bytes of a header or a control frame, as
 * trp_reader_space().  NULL: no memory, the tunnel has failed.  A payload is
 * valid until the next header begins.
 */

u_char *ngx_trp_tunnel_space(ngx_trp_tunnel_t *t, size_t *size);


/*
 * A stream is over when its last frame was sent or received: handlers->idle()
 * is called then, from the posted event, or from here if that would be too
 * late.
 */

void ngx_trp_tunnel_settle(ngx_trp_tunnel_t *t);


/*
 * The near end of the stream is gone, and the tunnel finishes it alone: resets
 * it (or refuses it with "refuse", if it was not accepted) unless it has sent
 * END, and drops what still arrives, within bounds.  With "aborted" it resets
 * the stream even after END, since the response will not be read.
 */

void ngx_trp_tunnel_abandon(ngx_trp_tunnel_t *t, trp_refuse_t *refuse,
    ngx_uint_t aborted);


/* of the transport: the TLS exporter value; 1 if a session was resumed */

#define ngx_trp_tunnel_exporter(t, out)                                      \
    (t)->transport->ops->exporter((t)->transport, out)

#define ngx_trp_tunnel_reused(t)  (t)->transport->ops->reused((t)->transport)


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_H_INCLUDED_ */
