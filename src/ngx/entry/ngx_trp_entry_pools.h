
/*
 * Copyright (C) the trp authors
 */


/*
 * The pools of an upstream's groups, in a worker.  Those of a group that is
 * fixed in the configuration are made when the worker starts.  If the group is
 * a value of variables, its pools are made for the first user, and given up
 * when they have not been used for some time.
 */


#ifndef _NGX_TRP_ENTRY_POOLS_H_INCLUDED_
#define _NGX_TRP_ENTRY_POOLS_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* the setter of "trp_entry_groups"; the offset is that of the entry's conf */

char *ngx_trp_entry_groups(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* once for an upstream, in a worker; entry->agent is there */

ngx_int_t ngx_trp_entry_pools_start(ngx_trp_entry_t *entry);

/*
 * Sets ctx->pools, until the session ends, to those of ctx->group.
 * NGX_DECLINED: there are too many groups, ctx->why and ctx->code are set;
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_trp_entry_pools_find(ngx_trp_entry_ctx_t *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_POOLS_H_INCLUDED_ */
