
/*
 * Copyright (C) the trp authors
 */


/*
 * An entry's UDP stream without a proxy: datagrams to and from one destination,
 * over any tunnel available.  A datagram that cannot be sent at once is
 * dropped, except for a few before the stream is accepted.
 */


#ifndef _NGX_TRP_DATAGRAM_H_INCLUDED_
#define _NGX_TRP_DATAGRAM_H_INCLUDED_


#include "agent/ngx_trp_home.h"
#include "agent/ngx_trp_relays.h"
#include "agent/ngx_trp_stream.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_datagram_s  ngx_trp_datagram_t;


/* zeroed by the caller, which then sets the first members */

struct ngx_trp_datagram_s {
    ngx_trp_stream_t    stream;

    ngx_trp_relays_t   *relays;
    ngx_trp_near_t     *near;          /* the relay of this nginx, or NULL */
    ngx_str_t           group;         /* there */
    ngx_msec_t          timeout;       /* until ACCEPT */
    ngx_log_t          *log;

    /* a datagram has come; this must not close the stream */
    void              (*received)(ngx_trp_datagram_t *dg, u_char *p,
                                  size_t len);

    /* the stream has closed; "code", if not 0, says why it was not accepted */
    void              (*closed)(ngx_trp_datagram_t *dg, ngx_uint_t code);

    /* private */
    ngx_trp_pool_t     *pool;
    ngx_trp_home_t     *home;
    u_char             *memory;
};


/*
 * The id is chosen here, the caller sets all else in "open" but the protocol.
 * "fd" is the socket of the process, see
 * ngx_trp_stream_create().  NGX_ERROR: there is no relay, no connection or no
 * memory, logged.
 */

ngx_int_t ngx_trp_datagram_open(ngx_trp_datagram_t *dg, ngx_socket_t fd,
    trp_open_t *open);

/* NGX_OK, NGX_DECLINED: it was dropped */

ngx_int_t ngx_trp_datagram_send(ngx_trp_datagram_t *dg, u_char *p,
    size_t len);

/* does not call closed() */

void ngx_trp_datagram_close(ngx_trp_datagram_t *dg);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DATAGRAM_H_INCLUDED_ */
