
/*
 * Copyright (C) the trp authors
 */


/*
 * Users of an upstream with "trp_entry": each has a stream on a tunnel to one
 * of its relays, chosen by the balancer of the upstream.
 */


#ifndef _NGX_TRP_ENTRY_H_INCLUDED_
#define _NGX_TRP_ENTRY_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* all pools begin to dial; "fd" is the process's; NULL without memory */

ngx_trp_entry_t *ngx_trp_entry_start(ngx_cycle_t *cycle,
    const ngx_trp_entry_conf_t *conf, ngx_stream_upstream_srv_conf_t *us,
    ngx_trp_status_t *status, ngx_trp_capacity_t *capacity, ngx_socket_t fd);

/*
 * In "init_peer", after that of the balancer: what the proxy asks for from now
 * on is a stream.
 */

ngx_int_t ngx_trp_entry_begin(ngx_trp_entry_ctx_t *ctx,
    ngx_trp_entry_t *entry);

/* why there was no stream, or it ended: other modules may have decided it */

ngx_uint_t ngx_trp_entry_code(ngx_trp_entry_ctx_t *ctx);

/* 1 if the user's stream did not end well */

ngx_uint_t ngx_trp_entry_aborted(ngx_trp_entry_ctx_t *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_H_INCLUDED_ */
