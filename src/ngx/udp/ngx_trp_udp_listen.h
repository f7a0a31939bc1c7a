
/*
 * Copyright (C) the trp authors
 */


/*
 * Sockets of "listen ... udp" are taken away from nginx, which reads one
 * datagram at a time and makes a connection for each client.
 */


#ifndef _NGX_TRP_UDP_LISTEN_H_INCLUDED_
#define _NGX_TRP_UDP_LISTEN_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* the number of a server {} among those of a module, or NGX_DECLINED */

typedef ngx_int_t (*ngx_trp_udp_number_pt)(void *data, void **srv_conf);


/*
 * The number of the server that a socket belongs to, or NGX_DECLINED.  All
 * addresses of a socket must be of the same server; "name" is its directive.
 */

ngx_int_t ngx_trp_udp_listen_number(ngx_listening_t *ls,
    ngx_trp_udp_number_pt number, void *data, const char *name,
    ngx_log_t *log);

/* 1 if this worker is the one to read the socket with this number */

ngx_uint_t ngx_trp_udp_listen_here(ngx_cycle_t *cycle, ngx_uint_t i);

/*
 * Makes nginx stop reading the socket in this worker; the same, and a
 * connection with a socket of its own, which is not read yet.
 */

ngx_int_t ngx_trp_udp_listen_release(ngx_listening_t *ls);
ngx_connection_t *ngx_trp_udp_listen_take(ngx_listening_t *ls,
    ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_UDP_LISTEN_H_INCLUDED_ */
