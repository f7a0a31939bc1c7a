
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between processes over a SOCK_SEQPACKET socket, each optionally
 * with a file descriptor.
 */


#ifndef _NGX_TRP_PASS_H_INCLUDED_
#define _NGX_TRP_PASS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* a pair of sockets: write to [0], read from [1]; both -1, logged, on error */

void ngx_trp_pass_pair(ngx_socket_t *pair, ngx_log_t *log);

/* closes the socket unless it is -1, and sets it to -1 */

void ngx_trp_pass_close(ngx_socket_t *s);

/*
 * Sends "niov" pieces as one message, with "fd" unless it is -1; "fd" stays
 * open.  NGX_ERROR with the error in ngx_socket_errno.
 */

ngx_int_t ngx_trp_pass_send(ngx_socket_t channel, struct iovec *iov,
    ngx_uint_t niov, ngx_socket_t fd);

/*
 * The length of the message; NGX_AGAIN if there is none; NGX_ERROR, logged;
 * NGX_DONE if the peer has closed.  "fd" is close-on-exec, or -1 if the message
 * has none.
 */

ssize_t ngx_trp_pass_recv(ngx_socket_t channel, void *buf, size_t size,
    ngx_socket_t *fd, ngx_log_t *log);

/* "handler" is called when there are messages; ev->data is the connection */

ngx_connection_t *ngx_trp_pass_listen(ngx_socket_t channel,
    ngx_cycle_t *cycle, ngx_event_handler_pt handler, void *data);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PASS_H_INCLUDED_ */
