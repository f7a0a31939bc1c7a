
/*
 * Copyright (C) the trp authors
 */


/*
 * The page of "trp_status": its headers, of which the Content-Security-Policy
 * allows the page's own style and scripts by their hashes, and nothing else;
 * and the body, which lies in the module.
 */


#include "http/ngx_trp_http_page.h"
#include "http/ngx_trp_http_page_parts.h"

#include <openssl/evp.h>


#define NGX_TRP_HTTP_PAGE_SHA256  32

/* " 'sha256-", base64, "'" */

#define NGX_TRP_HTTP_PAGE_SOURCE                                            \
    (sizeof(" 'sha256-'") - 1                                                 \
     + ngx_base64_encoded_length(NGX_TRP_HTTP_PAGE_SHA256))


static ngx_int_t ngx_trp_http_page_policy(ngx_conf_t *cf, ngx_str_t *policy);
static u_char *ngx_trp_http_page_sources(u_char *p,
    ngx_trp_http_page_kind_e kind);
static ngx_int_t ngx_trp_http_page_etag(ngx_conf_t *cf,
    ngx_trp_http_page_t *page);
static ngx_int_t ngx_trp_http_page_headers(ngx_http_request_t *r,
    const ngx_trp_http_page_t *page);
static ngx_table_elt_t *ngx_trp_http_page_header(ngx_http_request_t *r,
    const char *name, const ngx_str_t *value);
static ngx_chain_t *ngx_trp_http_page_body(ngx_http_request_t *r);


ngx_trp_http_page_t *
ngx_trp_http_page_create(ngx_conf_t *cf)
{
    ngx_trp_http_page_t             *page;
    const ngx_trp_http_page_part_t  *part;

    page = ngx_pcalloc(cf->pool, sizeof(ngx_trp_http_page_t));
    if (page == NULL) {
        return NULL;
    }

    for (part = ngx_trp_http_page_parts; part->kind; part++) {
        page->size += part->len;
    }

    if (ngx_trp_http_page_policy(cf, &page->policy) != NGX_OK
        || ngx_trp_http_page_etag(cf, page) != NGX_OK)
    {
        return NULL;
    }

    return page;
}


static ngx_int_t
ngx_trp_http_page_policy(ngx_conf_t *cf, ngx_str_t *policy)
{
    u_char                            *p;
    size_t                             len;
    const ngx_trp_http_page_part_t  *part;

    static const char  scripts[] = "default-src 'none'; script-src";
    static const char  styles[] = "; style-src";
    static const char  others[] =
        "; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        "; form-action 'none'; require-trusted-types-for 'script'"
        "; trusted-types 'none'";

    len = sizeof(scripts) + sizeof(styles) + sizeof(others);

    for (part = ngx_trp_http_page_parts; part->kind; part++) {
        len += NGX_TRP_HTTP_PAGE_SOURCE;
    }

    policy->data = ngx_pnalloc(cf->pool, len);
    if (policy->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(policy->data, scripts, sizeof(scripts) - 1);
    p = ngx_trp_http_page_sources(p, NGX_TRP_HTTP_PAGE_SCRIPT);

    if (p) {
        p = ngx_cpymem(p, styles, sizeof(styles) - 1);
        p = ngx_trp_http_page_sources(p, NGX_TRP_HTTP_PAGE_STYLE);
    }

    if (p == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "EVP_Digest(\"SHA256\") failed");
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, others, sizeof(others) - 1);

    policy->len = p - policy->data;

    return NGX_OK;
}


/* the hashes of all parts of a kind, or NULL */

static u_char *
ngx_trp_http_page_sources(u_char *p, ngx_trp_http_page_kind_e kind)
{
    u_char                             digest[NGX_TRP_HTTP_PAGE_SHA256];
    ngx_str_t                          src, dst;
    const ngx_trp_http_page_part_t  *part;

    src.len = sizeof(digest);
    src.data = digest;

    for (part = ngx_trp_http_page_parts; part->kind; part++) {

        if (part->kind != kind) {
            continue;
        }

        if (EVP_Digest(part->text, part->len, digest, NULL, EVP_sha256(), NULL)
            != 1)
        {
            return NULL;
        }

        p = ngx_cpymem(p, " 'sha256-", sizeof(" 'sha256-") - 1);

        dst.data = p;
        ngx_encode_base64(&dst, &src);
        p += dst.len;

        *p++ = '\'';
    }

    return p;
}


/* browsers ask whether the page is still the same */

static ngx_int_t
ngx_trp_http_page_etag(ngx_conf_t *cf, ngx_trp_http_page_t *page)
{
    uint32_t                           crc;
    const ngx_trp_http_page_part_t  *part;

    ngx_crc32_init(crc);

    for (part = ngx_trp_http_page_parts; part->kind; part++) {
        ngx_crc32_update(&crc, (u_char *) part->text, part->len);
    }

    ngx_crc32_final(crc);

    page->etag.data = ngx_pnalloc(cf->pool, 2 + 8 + 1 + NGX_SIZE_T_LEN);
    if (page->etag.data == NULL) {
        return NGX_ERROR;
    }

    page->etag.len = ngx_sprintf(page->etag.data, "\"%08xD-%xz\"", crc,
                                 page->size)
                     - page->etag.data;

    return NGX_OK;
}


ngx_int_t
ngx_trp_http_page_send(ngx_http_request_t *r,
    const ngx_trp_http_page_t *page)
{
    ngx_int_t     rc;
    ngx_chain_t  *body;

    if (ngx_trp_http_page_headers(r, page) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    body = ngx_trp_http_page_body(r);
    if (body == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_output_filter(r, body);
}


static ngx_int_t
ngx_trp_http_page_headers(ngx_http_request_t *r,
    const ngx_trp_http_page_t *page)
{
    ngx_uint_t  i;

    static const ngx_str_t  headers[][2] = {
        { ngx_string("Cache-Control"), ngx_string("no-cache") },
        { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") },
        { ngx_string("X-Frame-Options"), ngx_string("DENY") },
        { ngx_string("Referrer-Policy"), ngx_string("no-referrer") },
        { ngx_string("Cross-Origin-Opener-Policy"),
          ngx_string("same-origin") },
        { ngx_string("Cross-Origin-Resource-Policy"),
          ngx_string("same-origin") }
    };

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = page->size;

    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (ngx_trp_http_page_header(r, (char *) headers[i][0].data,
                                       &headers[i][1])
            == NULL)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_trp_http_page_header(r, "Content-Security-Policy",
                                   &page->policy)
        == NULL)
    {
        return NGX_ERROR;
    }

    r->headers_out.etag = ngx_trp_http_page_header(r, "ETag", &page->etag);

    return r->headers_out.etag ? NGX_OK : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_trp_http_page_header(ngx_http_request_t *r, const char *name,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value = *value;

    return h;
}


static ngx_chain_t *
ngx_trp_http_page_body(ngx_http_request_t *r)
{
    ngx_buf_t                         *b;
    ngx_chain_t                       *body, *cl, **last;
    const ngx_trp_http_page_part_t  *part;

    b = NULL;
    body = NULL;
    last = &body;

    for (part = ngx_trp_http_page_parts; part->kind; part++) {

        cl = ngx_alloc_chain_link(r->pool);
        b = ngx_calloc_buf(r->pool);

        if (cl == NULL || b == NULL) {
            return NULL;
        }

        b->pos = (u_char *) part->text;
        b->last = b->pos + part->len;
        b->memory = 1;

        cl->buf = b;
        cl->next = NULL;

        *last = cl;
        last = &cl->next;
    }

    if (b) {
        b->last_buf = (r == r->main) ? 1 : 0;
        b->last_in_chain = 1;
    }

    return body;
}
