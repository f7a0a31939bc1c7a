
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel: frames on a TLS connection, the part that agents and the relay
 * have in common.
 *
 * A tunnel lives in its connection's pool and dies with the connection, in
 * ngx_trp_tunnel_close() and nowhere else.  That is called from the tunnel's
 * own events only; everybody else calls ngx_trp_tunnel_fail(), which closes
 * it soon after.  So no function that writes to a tunnel, or reads from it,
 * can free it under its caller.
 */


#ifndef _NGX_TRP_TUNNEL_H_INCLUDED_
#define _NGX_TRP_TUNNEL_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_output.h"
#include "tunnel/ngx_trp_tunnel_watch.h"


#pragma GCC visibility push(hidden)


/*
 * Makes a tunnel for a connection, in its pool: c->data.  Returns NULL if
 * there is no memory.  ngx_trp_tunnel_start() takes over the connection's
 * events when the TLS handshake is done; NGX_ERROR: no memory.
 */

ngx_trp_tunnel_t *ngx_trp_tunnel_create(ngx_connection_t *c,
    ngx_trp_tunnels_t *tunnels, const ngx_trp_tunnel_handlers_t *handlers,
    void *data, ngx_uint_t relay, ngx_msec_t heartbeat);
ngx_int_t ngx_trp_tunnel_start(ngx_trp_tunnel_t *t);

void ngx_trp_tunnel_close(ngx_trp_tunnel_t *t);

/*
 * Sends ERROR, and closes it from its own event; the same for a frame that the
 * reader refused, which is logged.
 */

void ngx_trp_tunnel_error(ngx_trp_tunnel_t *t, ngx_uint_t code);
void ngx_trp_tunnel_invalid(ngx_trp_tunnel_t *t);


/* bytes, NGX_AGAIN, or NGX_ERROR if the connection is over (logged) */

ssize_t ngx_trp_tunnel_recv(ngx_trp_tunnel_t *t, u_char *buf, size_t size);


/*
 * Reads frames one by one.  NGX_OK: a DATA frame begins, or is not yet all
 * taken, reader.left says how much; an empty one is taken, too.  NGX_AGAIN: no
 * more for now.  NGX_DONE: the stream's other direction has ended with this
 * frame.  NGX_ERROR: the tunnel has failed.
 */

ngx_int_t ngx_trp_tunnel_input(ngx_trp_tunnel_t *t);

/*
 * What to do with a complete control frame, whoever read it: the state moves,
 * and the frame goes to the tunnel itself or to handlers->frame().
 * NGX_OK, NGX_DONE as above, NGX_ERROR.  NGX_DECLINED: it belongs to a stream
 * that is over, and is nothing to anybody.
 */

ngx_int_t ngx_trp_tunnel_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);

/*
 * Where the next bytes of a header or a control frame belong, as
 * trp_reader_space(); NULL if there is no memory, the tunnel has failed then.
 * A payload is there until the next header begins.
 */

u_char *ngx_trp_tunnel_space(ngx_trp_tunnel_t *t, size_t *size);


/*
 * A stream is over when its last frame went out or came in: handlers->idle()
 * is called then, from the posted event, or from here if that is too late.
 */

void ngx_trp_tunnel_settle(ngx_trp_tunnel_t *t);


/*
 * The near end of the stream is gone, the tunnel finishes it alone: resets it
 * (or refuses it for the reason given, if it was not accepted) unless it was
 * ended, and drops what still comes, within bounds.  "aborted" resets also what
 * was ended: nobody will read the answer.
 */

void ngx_trp_tunnel_abandon(ngx_trp_tunnel_t *t, trp_refuse_t *refuse,
    ngx_uint_t aborted);


/* the exporter value of the TLS connection; NGX_ERROR if it has none */

ngx_int_t ngx_trp_tunnel_exporter(ngx_trp_tunnel_t *t, u_char *out);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_H_INCLUDED_ */
