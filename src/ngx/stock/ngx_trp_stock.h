
/*
 * Copyright (C) the trp authors
 */


/*
 * Stock directives that are used together with ours.  Most take effect, as
 * stock code runs there; those that would have no effect are refused.
 */


#ifndef _NGX_TRP_STOCK_H_INCLUDED_
#define _NGX_TRP_STOCK_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"


#pragma GCC visibility push(hidden)


typedef struct {
    const char                 *directive;
    const char                 *member;    /* the directive with its offset */
    ngx_int_t                   first;     /* in words, relative to it */
    ngx_uint_t                  words;     /* set if any of them is not 0 */
    const char                 *advice;    /* the rest of the message */
} ngx_trp_stock_t;


/* each table ends with a row whose directive is NULL */

extern const ngx_trp_stock_t  ngx_trp_stock_entry[];
extern const ngx_trp_stock_t  ngx_trp_stock_socks5[];
extern const ngx_trp_stock_t  ngx_trp_stock_socks5_udp[];
extern const ngx_trp_stock_t  ngx_trp_stock_reverse[];
extern const ngx_trp_stock_t  ngx_trp_stock_turn_udp[];

/* after configuration, for a server with the directive "ours" at this place */

ngx_int_t ngx_trp_stock_check(ngx_conf_t *cf, const ngx_trp_stock_t *stock,
    void **srv_conf, const char *ours, u_char *file_name, ngx_uint_t line);

/*
 * For a reverse, which keeps tunnels to all servers of an upstream: refuses the
 * parameters that choose among servers.  With "trp_entry", the entry uses them.
 */

ngx_uint_t ngx_trp_stock_is_entry(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
ngx_int_t ngx_trp_stock_check_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us, const char *ours);

/* where a directive of any stream module stores its value, or NULL */

void *ngx_trp_stock_member(ngx_conf_t *cf, void **srv_conf,
    const char *directive);

/* 1 if a directive of any stream module, whose value is a word, is set */

ngx_uint_t ngx_trp_stock_has(ngx_conf_t *cf, void **srv_conf,
    const char *directive);

/*
 * What "proxy_pass" of a server says: an upstream, or text with variables; NULL
 * if it is the other one, or there is none.
 */

ngx_stream_upstream_srv_conf_t *ngx_trp_stock_proxy_upstream(void **srv_conf);
ngx_str_t *ngx_trp_stock_proxy_text(void **srv_conf);

/* a setting of the stock proxy as a number, or its default */

ngx_uint_t ngx_trp_stock_proxy(void **srv_conf, const char *directive,
    ngx_uint_t value);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STOCK_H_INCLUDED_ */
