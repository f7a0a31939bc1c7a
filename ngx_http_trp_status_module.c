
/*
 * Copyright (C) the trp authors
 */


/*
 * The operator's view over HTTP: a location with "trp_status" answers with the
 * table of agents, relays, routes and users as JSON, as metrics and as a page.
 * It is a module of "http {}", in a file of its own, and reads what the stream
 * modules of trp write in the same nginx.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "http/ngx_trp_http_answer.h"
#include "http/ngx_trp_http_json.h"
#include "http/ngx_trp_http_metrics.h"
#include "http/ngx_trp_http_page.h"
#include "status/ngx_trp_status_zone.h"


typedef struct {
    ngx_str_t                    name;
    ngx_str_t                    type;
    ngx_trp_http_write_pt        write;
} ngx_http_trp_status_page_t;


typedef struct {
    ngx_trp_http_turns_t         turns;
    ngx_trp_http_page_t         *page;     /* NULL: no location shows it */
} ngx_http_trp_status_main_conf_t;


typedef struct {
    ngx_flag_t                   enabled;
    ngx_str_t                    prefix;   /* empty: the location has none */
} ngx_http_trp_status_loc_conf_t;


static ngx_int_t ngx_http_trp_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trp_status_name(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_trp_status_redirect(ngx_http_request_t *r);
static void ngx_http_trp_status_writable(ngx_http_request_t *r);

static void *ngx_http_trp_status_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trp_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trp_status_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_trp_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trp_status_init_process(ngx_cycle_t *cycle);


static const ngx_http_trp_status_page_t  ngx_http_trp_status_pages[] = {

    { ngx_string("status.json"),
      ngx_string("application/json"),
      ngx_trp_http_json },

    { ngx_string("metrics"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      ngx_trp_http_metrics },

    { ngx_null_string, ngx_null_string, NULL }
};


static ngx_command_t  ngx_http_trp_status_commands[] = {

    { ngx_string("trp_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_trp_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trp_status_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_trp_status_create_main_conf,  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trp_status_create_loc_conf,   /* create location configuration */
    ngx_http_trp_status_merge_loc_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_trp_status_module = {
    NGX_MODULE_V1,
    &ngx_http_trp_status_module_ctx,       /* module context */
    ngx_http_trp_status_commands,          /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_trp_status_init_process,      /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_trp_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_str_t                          name;
    ngx_trp_http_answer_t             *answer;
    ngx_http_trp_status_main_conf_t   *tmcf;
    const ngx_http_trp_status_page_t  *page;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (ngx_http_trp_status_name(r, &name) != NGX_OK) {
        return ngx_http_trp_status_redirect(r);
    }

    for (page = ngx_http_trp_status_pages; page->write; page++) {

        if (page->name.len == name.len
            && ngx_memcmp(page->name.data, name.data, name.len) == 0)
        {
            break;
        }
    }

    if (page->write == NULL && name.len) {
        return NGX_HTTP_NOT_FOUND;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trp_status_module);

    if (name.len == 0) {
        return ngx_trp_http_page_send(r, tmcf->page);
    }

    answer = ngx_trp_http_answer_create(r, &tmcf->turns, page->write);
    if (answer == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, answer, ngx_http_trp_status_module);

    rc = ngx_trp_http_answer_begin(answer, &page->type);

    if (rc == NGX_DONE) {
        r->write_event_handler = ngx_http_trp_status_writable;
    }

    return rc;
}


/*
 * What follows the location's prefix and a slash; the last part of the path if
 * the location is none of a prefix, or the path has been rewritten to another
 * one.  NGX_DECLINED: there is no slash.
 */

static ngx_int_t
ngx_http_trp_status_name(ngx_http_request_t *r, ngx_str_t *name)
{
    u_char                          *p, *last;
    ngx_str_t                       *prefix;
    ngx_http_trp_status_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trp_status_module);

    prefix = &tlcf->prefix;
    p = r->uri.data;
    last = p + r->uri.len;

    if (prefix->len == 0
        || r->uri.len < prefix->len
        || ngx_memcmp(p, prefix->data, prefix->len) != 0)
    {
        for (p = last; p > r->uri.data; p--) {

            if (p[-1] == '/') {
                break;
            }
        }

    } else {
        p += prefix->len;

        if (p[-1] != '/') {

            if (p == last) {
                return NGX_DECLINED;
            }

            /* another word, which no name is, begins with the prefix */

            p = (*p == '/') ? p + 1 : r->uri.data;
        }
    }

    name->len = last - p;
    name->data = p;

    return NGX_OK;
}


/* as nginx does for directories */

static ngx_int_t
ngx_http_trp_status_redirect(ngx_http_request_t *r)
{
    size_t      len;
    u_char     *p;
    uintptr_t   escape;

    ngx_http_clear_location(r);

    r->headers_out.location = ngx_list_push(&r->headers_out.headers);
    if (r->headers_out.location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(r->headers_out.location, sizeof(ngx_table_elt_t));

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len,
                                NGX_ESCAPE_URI);

    len = r->uri.len + escape + 1;

    if (r->args.len) {
        len += 1 + r->args.len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        ngx_http_clear_location(r);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.location->hash = 1;
    ngx_str_set(&r->headers_out.location->key, "Location");
    r->headers_out.location->value.len = len;
    r->headers_out.location->value.data = p;

    p = (u_char *) ngx_escape_uri(p, r->uri.data, r->uri.len, NGX_ESCAPE_URI);
    *p++ = '/';

    if (r->args.len) {
        *p++ = '?';
        ngx_memcpy(p, r->args.data, r->args.len);
    }

    return NGX_HTTP_MOVED_PERMANENTLY;
}


static void
ngx_http_trp_status_writable(ngx_http_request_t *r)
{
    ngx_trp_http_answer_writable(
                      ngx_http_get_module_ctx(r, ngx_http_trp_status_module));
}


static void *
ngx_http_trp_status_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_trp_status_main_conf_t));
}


static void *
ngx_http_trp_status_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_trp_status_loc_conf_t));
}


/* "if" and "limit_except" make locations of their own within one */

static char *
ngx_http_trp_status_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_trp_status_loc_conf_t  *prev = parent;
    ngx_http_trp_status_loc_conf_t  *conf = child;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && prev->enabled) {
        *conf = *prev;

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = ngx_http_trp_status_handler;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trp_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trp_status_loc_conf_t  *tlcf = conf;

    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trp_status_main_conf_t  *tmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trp_status_module);

    if (tlcf->enabled) {
        return "is duplicate";
    }

    if (tmcf->page == NULL) {
        tmcf->page = ngx_trp_http_page_create(cf);
        if (tmcf->page == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    /* the stream modules make it as large as they need it */

    if (ngx_trp_status_zone_add(cf, NGX_TRP_STATUS_SIZE_MIN) == NULL) {
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_trp_status_handler;

    tlcf->enabled = 1;

    if (!clcf->exact_match && !clcf->named
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
       )
    {
        tlcf->prefix = clcf->name;
    }

    /* "/trp" is answered with a redirect to "/trp/" */

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trp_status_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trp_status_main_conf_t  *tmcf;

    tmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_trp_status_module);

    if (tmcf) {
        ngx_trp_http_turns_init(&tmcf->turns, cycle);
    }

    return NGX_OK;
}
