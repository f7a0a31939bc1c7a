
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream: an ngx_connection_t without a socket, whose bytes travel in the
 * frames of a tunnel.  nginx's own stream proxy reads and writes it as it
 * does any other connection, at the entry as its upstream's, at the reverse
 * as its client's.
 *
 * A stream of UDP has datagrams in place of bytes, each of them one frame.
 * What cannot be sent at once is dropped.
 *
 * The object must live as long as the connection, until
 * ngx_trp_stream_close().  Frames that are still due by then are sent by the
 * tunnel on its own.
 */


#ifndef _NGX_TRP_STREAM_H_INCLUDED_
#define _NGX_TRP_STREAM_H_INCLUDED_


#include "agent/ngx_trp_stream_types.h"
#include "base/ngx_trp_fake.h"


#pragma GCC visibility push(hidden)


/*
 * Creates the connection and ties it to "st", which the caller has zeroed
 * before setting its members, the two tables among them.  NGX_ERROR, logged: no
 * descriptor or no connection.  "fd" is that of ngx_trp_fake_socket().
 */

ngx_int_t ngx_trp_stream_create(ngx_trp_stream_t *st, ngx_socket_t fd,
    ngx_log_t *log);

/* the stream of a connection, or NULL if it has none */

ngx_trp_stream_t *ngx_trp_stream_of(ngx_connection_t *c);


/* entry: takes a tunnel, or waits for one; ACCEPT is due within "timeout" */

void ngx_trp_stream_open(ngx_trp_stream_t *st, ngx_msec_t timeout);

/* reverse: the tunnel that OPEN came on becomes the stream's */

void ngx_trp_stream_attach(ngx_trp_stream_t *st, ngx_trp_tunnel_t *t);

/* reverse: 1 if a stream with this id was accepted, and may not be again */

ngx_uint_t ngx_trp_stream_known(ngx_trp_agent_worker_t *agent,
    const u_char *id);

/* reverse: the destination answers */

void ngx_trp_stream_accept(ngx_trp_stream_t *st);

/* reverse: the proxy is about to connect, and gets nothing before ACCEPT */

void ngx_trp_stream_keep(ngx_trp_stream_t *st);

/*
 * reverse: the destination is about to be accepted, late: reads first what the
 * relay has sent meanwhile, which may be the end of the tunnel
 */

void ngx_trp_stream_check(ngx_trp_stream_t *st);


/*
 * The connection is about to be closed.  A stream that has not ended is reset;
 * one that was not accepted is refused, for the reason given, if any.
 */

void ngx_trp_stream_close(ngx_trp_stream_t *st, trp_refuse_t *refuse);


/* for both kinds of data */


/* the tunnel is lost: the stream is opened once more, or aborted */

void ngx_trp_stream_lost(ngx_trp_stream_t *st);

/*
 * entry, from handlers->failed(): the proxy learns of it after a while, until
 * which all datagrams are dropped.  Each would begin another session.
 */

void ngx_trp_stream_hold(ngx_trp_stream_t *st);

/* no more input comes; "code" says why, if it was not accepted */

void ngx_trp_stream_abort(ngx_trp_stream_t *st, ngx_uint_t code);

/* sends the early bytes and the ends, as far as the tunnel takes them */

void ngx_trp_stream_pump(ngx_trp_stream_t *st);

/* frees what was read ahead, once it is consumed */

void ngx_trp_stream_free_ahead(ngx_trp_stream_t *st);

/* the first reason is the one that counts */

void ngx_trp_stream_why(ngx_trp_stream_t *st, const char *why);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_H_INCLUDED_ */
