
/*
 * Copyright (C) the trp authors
 */


/*
 * What "trp_reverse_destination" makes of a stream's destination, and what
 * "trp_reverse_allow" says of that.
 */


#ifndef _NGX_TRP_REVERSE_ACCESS_H_INCLUDED_
#define _NGX_TRP_REVERSE_ACCESS_H_INCLUDED_


#include "reverse/ngx_trp_reverse.h"


#pragma GCC visibility push(hidden)


/* in the post-accept phase: trp_reverse_destination */

ngx_int_t ngx_trp_reverse_map(ngx_trp_reverse_ctx_t *ctx);

/* in the access phase: trp_reverse_allow, and a name's addresses */

ngx_int_t ngx_trp_reverse_access_handler(ngx_stream_session_t *s);


#pragma GCC visibility pop


#endif /* _NGX_TRP_REVERSE_ACCESS_H_INCLUDED_ */
