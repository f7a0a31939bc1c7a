
/*
 * Copyright (C) the trp authors
 */


/*
 * "trp_publish": the destination of a user is a service that a reverse
 * publishes, known by the port where the user came in, or by a name.
 */


#ifndef _NGX_TRP_ENTRY_SERVICE_H_INCLUDED_
#define _NGX_TRP_ENTRY_SERVICE_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* of a server {} */

typedef struct {
    ngx_trp_conf_place_t          place;
    ngx_stream_complex_value_t   *name;       /* NULL: the port */
    ngx_uint_t                    row;        /* of status */
    unsigned                      enabled:1;
} ngx_trp_entry_service_t;


/* the setter, and what is checked after parsing for each "listen" */

char *ngx_trp_entry_service_set(ngx_conf_t *cf,
    ngx_trp_entry_service_t *service);
ngx_int_t ngx_trp_entry_service_check_listen(ngx_conf_t *cf,
    ngx_trp_entry_service_t *service, ngx_trp_conf_listen_t *listen);

/*
 * The target of a user.  NGX_DECLINED: there is no name; ctx->why and ctx->code
 * are set.
 */

ngx_int_t ngx_trp_entry_service_target(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_service_t *service);

/*
 * A user of a local entry has connected.  NGX_DONE: the user's connection is
 * now that of the worker with the service's group; NGX_DECLINED: it stays here.
 */

ngx_int_t ngx_trp_entry_service_pass(ngx_stream_session_t *s,
    const ngx_trp_entry_service_t *service, const ngx_trp_entry_conf_t *conf);

/*
 * At an upstream with "trp_entry local": the group where the service is
 * published.  NGX_DECLINED as above.
 */

ngx_int_t ngx_trp_entry_service_group(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_conf_t *conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_SERVICE_H_INCLUDED_ */
