
/*
 * Copyright (C) the trp authors
 */


/*
 * The group of a user's session: the same for all users of an upstream, or a
 * value of variables.
 */


#ifndef _NGX_TRP_ENTRY_GROUP_H_INCLUDED_
#define _NGX_TRP_ENTRY_GROUP_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* the setter of "trp_entry_group"; the offset is that of the conf */

char *ngx_trp_entry_group(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* to be called before the agent's settings are merged, the name among them */

void ngx_trp_entry_merge_group(const ngx_trp_entry_conf_t *prev,
    ngx_trp_entry_conf_t *conf);

/*
 * Sets ctx->group when the proxy asks for a peer.  NGX_DECLINED: the user has
 * to be refused, ctx->why and ctx->code are set; NGX_ERROR: no memory.
 */

ngx_int_t ngx_trp_entry_set_group(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_conf_t *conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_GROUP_H_INCLUDED_ */
