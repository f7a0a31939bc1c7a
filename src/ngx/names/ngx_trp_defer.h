
/*
 * Copyright (C) the trp authors
 */


/*
 * "server NAME:PORT" in an upstream of ours: nginx would block to resolve the
 * name while it reads the configuration, and not start if that fails.  So it is
 * given an unassigned address in place of the name, which is resolved at run
 * time.  Other upstreams are not affected.
 */


#ifndef _NGX_TRP_DEFER_H_INCLUDED_
#define _NGX_TRP_DEFER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * 1 if the upstream is used by the module, which has this function in its
 * spare_hook0.  Called when an upstream {}, or all of stream {}, has been read.
 */

typedef ngx_uint_t (*ngx_trp_defer_uses_pt)(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);

#define NGX_TRP_DEFER_PADDING(uses)  (uintptr_t) uses, 0, 0, 0, 0, 0, 0, 0


/*
 * Called before and after the configuration is read: in between, the setters of
 * "server" and "upstream" are ours.  Only the first of several modules acts.
 */

ngx_int_t ngx_trp_defer_begin(ngx_conf_t *cf, ngx_module_t *module);
void ngx_trp_defer_end(ngx_conf_t *cf);


/* 1 if the server's only address is a placeholder for its name */

ngx_uint_t ngx_trp_defer_is(ngx_stream_upstream_server_t *server);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DEFER_H_INCLUDED_ */
