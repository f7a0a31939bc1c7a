
/*
 * Copyright (C) the trp authors
 */


/*
 * Directives of a proxy, for modules that dial through one.
 */


#ifndef _NGX_TRP_PROXY_CONF_H_INCLUDED_
#define _NGX_TRP_PROXY_CONF_H_INCLUDED_


#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_ssl.h"
#include "proxy/trp_proxy.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_trp_conf_place_t  place;
    const char           *prefix;        /* "trp_reverse_proxy", … */

    ngx_uint_t            kind;          /* trp_proxy_e */
    ngx_url_t             url;           /* "addrs" if it is an address */
    ngx_str_t             user;
    ngx_str_t             password;
    ngx_array_t          *passwords;     /* of a file; the first one counts */
    ngx_trp_ssl_conf_t    ssl;

    unsigned              enabled:1;
    unsigned              off:1;         /* "off" was written */
    unsigned              secure:1;      /* https */
    unsigned              written:1;     /* the password is in the URL */
} ngx_trp_proxy_conf_t;


/* setters; the offset is that of the ngx_trp_proxy_conf_t */

char *ngx_trp_proxy_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_proxy_set_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

void ngx_trp_proxy_create_conf(ngx_trp_proxy_conf_t *conf);
void ngx_trp_proxy_merge_conf(const ngx_trp_proxy_conf_t *prev,
    ngx_trp_proxy_conf_t *conf);

/* if it is enabled; "prefix" is the name of the directive */

ngx_int_t ngx_trp_proxy_init_conf(ngx_conf_t *cf, ngx_trp_proxy_conf_t *conf,
    const char *prefix);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PROXY_CONF_H_INCLUDED_ */
