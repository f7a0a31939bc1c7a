
/*
 * Copyright (C) the trp authors
 */


/*
 * Stock directives that stand beside ours.  Most are honoured, as stock code
 * runs there; those that would have nothing to act on are refused.
 */


#ifndef _NGX_TRP_STOCK_H_INCLUDED_
#define _NGX_TRP_STOCK_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"


#pragma GCC visibility push(hidden)


typedef struct {
    const char                 *directive;
    const char                 *member;    /* the directive that it is near */
    ngx_int_t                   first;     /* words, from there */
    ngx_uint_t                  words;     /* any of them is not 0: it is set */
    const char                 *advice;    /* the rest of a sentence */
} ngx_trp_stock_t;


/* each ends with a row without a directive */

extern const ngx_trp_stock_t  ngx_trp_stock_entry[];
extern const ngx_trp_stock_t  ngx_trp_stock_socks5[];
extern const ngx_trp_stock_t  ngx_trp_stock_socks5_udp[];
extern const ngx_trp_stock_t  ngx_trp_stock_reverse[];
extern const ngx_trp_stock_t  ngx_trp_stock_turn_udp[];

/* in a server that has "ours" at this place; after configuration */

ngx_int_t ngx_trp_stock_check(ngx_conf_t *cf, const ngx_trp_stock_t *stock,
    void **srv_conf, const char *ours, u_char *file_name, ngx_uint_t line);

/*
 * For a reverse, which keeps tunnels to all servers of an upstream: parameters
 * that say which one is used next.  With "trp_entry" the entry uses them.
 */

ngx_uint_t ngx_trp_stock_is_entry(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
ngx_int_t ngx_trp_stock_check_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us, const char *ours);

/* what a directive of any module of streams sets in a server, or NULL */

void *ngx_trp_stock_member(ngx_conf_t *cf, void **srv_conf,
    const char *directive);

/* a setting of the stock proxy as a number, and what it is without it */

ngx_uint_t ngx_trp_stock_proxy(void **srv_conf, const char *directive,
    ngx_uint_t value);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STOCK_H_INCLUDED_ */
