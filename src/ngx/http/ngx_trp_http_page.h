
/*
 * Copyright (C) the trp authors
 */


/*
 * The page of "trp_status": one answer, always the same, that needs nothing
 * else but status.json.
 */


#ifndef _NGX_TRP_HTTP_PAGE_H_INCLUDED_
#define _NGX_TRP_HTTP_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_str_t               policy;      /* Content-Security-Policy */
    ngx_str_t               etag;
    size_t                  size;
} ngx_trp_http_page_t;


/* while the configuration is read; NULL: no memory */

ngx_trp_http_page_t *ngx_trp_http_page_create(ngx_conf_t *cf);

/* the whole answer to GET or HEAD: what a content handler returns */

ngx_int_t ngx_trp_http_page_send(ngx_http_request_t *r,
    const ngx_trp_http_page_t *page);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_PAGE_H_INCLUDED_ */
