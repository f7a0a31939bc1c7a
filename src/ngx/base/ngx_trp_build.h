
/*
 * Copyright (C) the trp authors
 */


/*
 * What this build has: NGX_TRP_QUIC is defined where "config" has found both
 * libraries that QUIC needs.
 */


#ifndef _NGX_TRP_BUILD_H_INCLUDED_
#define _NGX_TRP_BUILD_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)

/*
 * For what a directive asks: NGX_OK with QUIC, else NGX_ERROR, and a message
 * at the parser's place that begins with "what" in quotes
 */

ngx_int_t ngx_trp_build_need_quic(ngx_conf_t *cf, const char *what);

#pragma GCC visibility pop


#endif /* _NGX_TRP_BUILD_H_INCLUDED_ */
