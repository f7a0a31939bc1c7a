
/*
 * Copyright (C) the trp authors
 */


/*
 * A peer that does not answer OPEN: is its service slow, or is the peer silent?
 *
 * When half of the time is over the opener sends PING.  A peer that can answers
 * at once, although a stream is on the tunnel: before its answer to OPEN there
 * is nothing in front of PONG.  If nothing has come when the other half is over
 * it is silent.  From PING on the peer knows that its answer may be too late:
 * it sends ACCEPT, and keeps what the user has sent until PONG confirms that
 * ACCEPT was in time.
 */


#ifndef _NGX_TRP_TUNNEL_DOUBT_H_INCLUDED_
#define _NGX_TRP_TUNNEL_DOUBT_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/*
 * OPEN was sent.  If t->doubt.timeout is set, handlers->silent() is called when
 * the peer is silent for so long, and again while it remains so.
 */

void ngx_trp_tunnel_expect(ngx_trp_tunnel_t *t);

/*
 * The answer of a peer that was in doubt is accepted, and it must know.  While
 * a frame is partly written this waits, for another call.
 */

void ngx_trp_tunnel_confirm(ngx_trp_tunnel_t *t);

/* PING, unless the tunnel is busy or was asked before: PONG will be seen */

ngx_uint_t ngx_trp_tunnel_ask(ngx_trp_tunnel_t *t);

/*
 * Closes the tunnel of a silent peer: with a reset, and without what was not
 * sent, so that nothing of its stream can arrive later.
 */

void ngx_trp_tunnel_forsake(ngx_trp_tunnel_t *t);


/* internal: the answer came; PING came, 1 if it must be answered */

void ngx_trp_tunnel_answer(ngx_trp_tunnel_t *t);
ngx_uint_t ngx_trp_tunnel_asked(ngx_trp_tunnel_t *t);

/* milliseconds to the next look, 0: none */

ngx_msec_t ngx_trp_tunnel_doubt(ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_DOUBT_H_INCLUDED_ */
