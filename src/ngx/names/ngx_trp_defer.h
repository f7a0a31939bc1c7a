
/*
 * Copyright (C) the trp authors
 */


/*
 * "server NAME:PORT" in an upstream of ours: nginx would resolve the name while
 * it reads the configuration, wait for that, and not start if it fails.  So it
 * is given an address that nobody has in place of the name, and the name is
 * resolved at run time.  In other upstreams all stays as it is.
 */


#ifndef _NGX_TRP_DEFER_H_INCLUDED_
#define _NGX_TRP_DEFER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * A module that has upstreams tells which: one of these in the module's
 * spare_hook0.  To be asked when an upstream {} or all has been read.
 */

typedef ngx_uint_t (*ngx_trp_defer_uses_pt)(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);

#define NGX_TRP_DEFER_PADDING(uses)  (uintptr_t) uses, 0, 0, 0, 0, 0, 0, 0


/*
 * Before the configuration is read, and after it: in between "server" and
 * "upstream" are ours.  Of several modules the first one does it.
 */

ngx_int_t ngx_trp_defer_begin(ngx_conf_t *cf, ngx_module_t *module);
void ngx_trp_defer_end(ngx_conf_t *cf);


/* 1: the server's only address stands for its name; port and all else hold */

ngx_uint_t ngx_trp_defer_is(ngx_stream_upstream_server_t *server);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DEFER_H_INCLUDED_ */
