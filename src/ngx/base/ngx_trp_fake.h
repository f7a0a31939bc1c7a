
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection without a socket: nginx's proxy treats it as any other, but its
 * owner provides what is read and takes what is written.  Streams are such
 * connections, and so is what the proxy waits on while its owner is busy with
 * something else.
 */


#ifndef _NGX_TRP_FAKE_H_INCLUDED_
#define _NGX_TRP_FAKE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* creates the socket that a process shares among them; -1, logged, on error */

ngx_socket_t ngx_trp_fake_socket(ngx_log_t *log);

/*
 * A connection; the caller sets its recv and send functions and all else.  It
 * has a dup of "fd", the socket of the process.  NULL, logged, if there are no
 * descriptors or connections left.
 */

ngx_connection_t *ngx_trp_fake_connection(ngx_socket_t fd, ngx_log_t *log);

/* the same without a descriptor of its own, which is not for stock nginx */

ngx_connection_t *ngx_trp_fake_shared(ngx_socket_t fd, ngx_log_t *log);

/* posts the event, to be handled in this iteration of the event loop */

void ngx_trp_fake_wake(ngx_event_t *ev);


#pragma GCC visibility pop


#endif /* _NGX_TRP_FAKE_H_INCLUDED_ */
