
/*
 * Copyright (C) the trp authors
 */


/*
 * "trp_entry local": the relay is a server of the same nginx.
 */


#ifndef _NGX_TRP_ENTRY_LOCAL_H_INCLUDED_
#define _NGX_TRP_ENTRY_LOCAL_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* the parameter of "trp_entry"; NGX_CONF_OK, or an error */

char *ngx_trp_entry_local_set(ngx_conf_t *cf, ngx_trp_entry_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_str_t *value);

/*
 * In "init_upstream", before "conf" inherits anything: finds the relay, and
 * checks that nothing is set that only a relay elsewhere would need.
 */

ngx_int_t ngx_trp_entry_local_init(ngx_conf_t *cf, ngx_trp_entry_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us);


/*
 * The proxy asks for a peer: the source of its stream, with ctx->home.  NULL:
 * the user is refused, ctx->code says why.
 */

ngx_trp_source_t *ngx_trp_entry_local_enter(ngx_trp_entry_ctx_t *ctx,
    ngx_log_t *log);

/* 1 if it is certain that there is no reverse */

ngx_uint_t ngx_trp_entry_local_vain(ngx_trp_entry_ctx_t *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_LOCAL_H_INCLUDED_ */
