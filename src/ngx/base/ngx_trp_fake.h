
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection without a socket: nginx's proxy has it as any other one, and
 * what is read and written is its owner's business.  Streams are such
 * connections, and so is what the proxy waits on while an owner does something
 * else.
 */


#ifndef _NGX_TRP_FAKE_H_INCLUDED_
#define _NGX_TRP_FAKE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* the socket that a process has for all of them, or -1, logged */

ngx_socket_t ngx_trp_fake_socket(ngx_log_t *log);

/*
 * A connection whose recv and send functions and all else are the caller's;
 * NULL without a descriptor, logged.  "fd" is the socket of the process, of
 * which it has a dup.
 */

ngx_connection_t *ngx_trp_fake_connection(ngx_socket_t fd, ngx_log_t *log);

/* its reader or writer is to have a look, in this turn of the event loop */

void ngx_trp_fake_wake(ngx_event_t *ev);


#pragma GCC visibility pop


#endif /* _NGX_TRP_FAKE_H_INCLUDED_ */
