
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between processes over a SOCK_SEQPACKET socket, with a descriptor
 * beside them.
 */


#ifndef _NGX_TRP_PASS_H_INCLUDED_
#define _NGX_TRP_PASS_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* a pair of them: written to [0], read from [1]; -1 if that failed */

void ngx_trp_pass_pair(ngx_socket_t *pair, ngx_log_t *log);

/* closes what is not -1, and makes it so */

void ngx_trp_pass_close(ngx_socket_t *s);

/*
 * "fd" may be -1, and stays open.  Up to "niov" pieces make one message.
 * NGX_ERROR with the error in ngx_socket_errno.
 */

ngx_int_t ngx_trp_pass_send(ngx_socket_t channel, struct iovec *iov,
    ngx_uint_t niov, ngx_socket_t fd);

/*
 * The length of the message, NGX_AGAIN if there is none, NGX_ERROR (logged),
 * NGX_DONE if nobody can send any more.  "fd" is -1 if none came; it is
 * close-on-exec.
 */

ssize_t ngx_trp_pass_recv(ngx_socket_t channel, void *buf, size_t size,
    ngx_socket_t *fd, ngx_log_t *log);

/* calls "handler" when messages are there, with ev->data a connection */

ngx_connection_t *ngx_trp_pass_listen(ngx_socket_t channel,
    ngx_cycle_t *cycle, ngx_event_handler_pt handler, void *data);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PASS_H_INCLUDED_ */
