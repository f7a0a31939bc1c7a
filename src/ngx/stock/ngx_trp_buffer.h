
/*
 * Copyright (C) the trp authors
 */


#ifndef _NGX_TRP_BUFFER_H_INCLUDED_
#define _NGX_TRP_BUFFER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * In the recv function of a connection of the stock proxy, whose data is the
 * session: replaces the proxy's buffer by a larger one, and "buf" with it, if
 * the session has received much through it and "proxy_buffer_size" has its
 * default.  "size" holds for this call, as it may be what a limit of bandwidth
 * leaves; for the next one, the proxy looks at its buffer.
 */

void ngx_trp_buffer_grow(ngx_connection_t *c, u_char **buf, size_t size);


#pragma GCC visibility pop


#endif /* _NGX_TRP_BUFFER_H_INCLUDED_ */
