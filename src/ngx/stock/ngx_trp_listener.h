
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections that are not accepted from a socket: a listener without one for a
 * server {}; and nginx's own "listen" for directives that imply one.
 */


#ifndef _NGX_TRP_LISTENER_H_INCLUDED_
#define _NGX_TRP_LISTENER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_listening_t        listening;
    ngx_stream_port_t      port;

    /* nginx uses one or the other by the family of the local address */
    union {
        ngx_stream_in_addr_t   in;
#if (NGX_HAVE_INET6)
        ngx_stream_in6_addr_t  in6;
#endif
    } addr;
} ngx_trp_listener_family_t;


typedef struct {
    ngx_trp_listener_family_t  in;
#if (NGX_HAVE_INET6)
    ngx_trp_listener_family_t  in6;
#endif
} ngx_trp_listener_t;


/* a listener for the server {} being parsed; "name" is used in its logs */

ngx_trp_listener_t *ngx_trp_listener_create(ngx_conf_t *cf, ngx_str_t *name);

/*
 * Handles a connection as if it had been accepted; its pool, log, sockaddr and
 * local_sockaddr must be set.  It may be freed on return.
 */

void ngx_trp_listener_accept(ngx_trp_listener_t *listener,
    ngx_connection_t *c);


/*
 * If all servers {} of a socket pass the check, connections accepted from it
 * end with a reset, even if nginx closes them at once, unless disarmed: see
 * ngx_trp_ends_arm().  _init_resets() is called by the master for each new
 * configuration, _start_resets() by its workers.  NGX_ERROR: no memory.
 */

typedef ngx_uint_t (*ngx_trp_listener_check_pt)(void **srv_conf);

ngx_uint_t ngx_trp_listener_all(ngx_listening_t *ls,
    ngx_trp_listener_check_pt check);

ngx_int_t ngx_trp_listener_init_resets(ngx_cycle_t *cycle);
void ngx_trp_listener_start_resets(ngx_cycle_t *cycle,
    ngx_trp_listener_check_pt check);


/* a socket for datagrams of many clients: buffers, unless "listen" has them */

void ngx_trp_listener_buffers(ngx_listening_t *ls);


/* calls the setter of the stock "listen" with these arguments */

char *ngx_trp_listener_listen(ngx_conf_t *cf, ngx_str_t *args,
    ngx_uint_t nargs);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LISTENER_H_INCLUDED_ */
