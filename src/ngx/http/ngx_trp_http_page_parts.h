
/*
 * Copyright (C) the trp authors
 */


/*
 * The page of "trp_status" as scripts/page makes it of the files in "page".
 */


#ifndef _NGX_TRP_HTTP_PAGE_PARTS_H_INCLUDED_
#define _NGX_TRP_HTTP_PAGE_PARTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#pragma GCC visibility push(hidden)


typedef enum {
    NGX_TRP_HTTP_PAGE_END = 0,
    NGX_TRP_HTTP_PAGE_HTML,
    NGX_TRP_HTTP_PAGE_STYLE,           /* what is in the element only */
    NGX_TRP_HTTP_PAGE_SCRIPT
} ngx_trp_http_page_kind_e;


typedef struct {
    ngx_trp_http_page_kind_e   kind;
    size_t                       len;
    const u_char                *text;
} ngx_trp_http_page_part_t;


extern const ngx_trp_http_page_part_t  ngx_trp_http_page_parts[];


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_PAGE_PARTS_H_INCLUDED_ */
