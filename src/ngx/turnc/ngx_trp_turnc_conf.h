
/*
 * Copyright (C) the trp authors
 */


/*
 * Directives of the TURN client, for modules that use it.
 */


#ifndef _NGX_TRP_TURNC_CONF_H_INCLUDED_
#define _NGX_TRP_TURNC_CONF_H_INCLUDED_


#include "turnc/ngx_trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* setters; the offset is that of the ngx_trp_turnc_conf_t */

char *ngx_trp_turnc_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_turnc_set_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turnc_set_user(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turnc_set_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

void ngx_trp_turnc_create_conf(ngx_trp_turnc_conf_t *conf);
void ngx_trp_turnc_merge_conf(const ngx_trp_turnc_conf_t *prev,
    ngx_trp_turnc_conf_t *conf);
ngx_int_t ngx_trp_turnc_init_conf(ngx_conf_t *cf,
    ngx_trp_turnc_conf_t *conf, const char *prefix);

extern const ngx_conf_num_bounds_t  ngx_trp_turnc_bounds;


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_CONF_H_INCLUDED_ */
