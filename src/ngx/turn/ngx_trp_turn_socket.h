
/*
 * Copyright (C) the trp authors
 */


/*
 * Sockets of a TURN server, and their addresses.
 */


#ifndef _NGX_TRP_TURN_SOCKET_H_INCLUDED_
#define _NGX_TRP_TURN_SOCKET_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* convert addresses of sockets to those of the core, and back */

void ngx_trp_turn_taddr(trp_taddr_t *addr, struct sockaddr *sa);
socklen_t ngx_trp_turn_sockaddr(ngx_sockaddr_t *sa, const trp_taddr_t *addr);

/* "ADDRESS:PORT", with brackets for IPv6 */

typedef struct {
    u_char                data[NGX_SOCKADDR_STRLEN + 1];
} ngx_trp_turn_text_t;

ngx_trp_turn_text_t ngx_trp_turn_text(const trp_taddr_t *addr);

/* any address of the family with this port */

socklen_t ngx_trp_turn_wildcard(ngx_sockaddr_t *sa, ngx_uint_t v6,
    in_port_t port);

/*
 * A socket for addresses of this family, and IPv6 only for IPv6; -1 with the
 * error in ngx_socket_errno.  _failed() closes it, and keeps the error.
 */

ngx_socket_t ngx_trp_turn_socket(int family, int type);
void ngx_trp_turn_socket_failed(ngx_socket_t s);

/* makes a connection of a socket; on failure NULL, and the socket is closed */

ngx_connection_t *ngx_trp_turn_connection(ngx_trp_turn_worker_t *worker,
    ngx_socket_t s, ngx_event_handler_pt handler, void *data);
void ngx_trp_turn_close_connection(ngx_trp_turn_worker_t *worker,
    ngx_connection_t **c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_SOCKET_H_INCLUDED_ */
