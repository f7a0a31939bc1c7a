
/*
 * Copyright (C) the trp authors
 */


/*
 * The names that a reverse publishes are told to a relay that asks for them,
 * on one tunnel.  Each name's state is logged when it changes.
 */


#include "agent/ngx_trp_announce.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/trp_publish.h"


/* no trp_code_e */
#define NGX_TRP_ANNOUNCE_UNKNOWN  255


static void ngx_trp_announce_tell(ngx_trp_link_t *link);
static u_char *ngx_trp_announce_code(ngx_trp_pool_t *pool, trp_str_t name);
static const char *ngx_trp_announce_why(ngx_uint_t code);


void
ngx_trp_announce_ready(ngx_trp_link_t *link, ngx_uint_t flags)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    if (pool->conf->list == 0 || ngx_exiting) {
        return;
    }

    if (!(flags & TRP_READY_PUBLISH)) {

        if (!pool->services.unknown) {
            pool->services.unknown = 1;

            ngx_log_error(NGX_LOG_WARN, link->tunnel->connection->log, 0,
                          "nothing is published: the relay is too old for "
                          "\"trp_reverse_publish\"");
        }

        return;
    }

    link->publishes = 1;
    pool->services.unknown = 0;

    if (flags & TRP_READY_TELL) {
        ngx_trp_announce_tell(link);
    }
}


static void
ngx_trp_announce_tell(ngx_trp_link_t *link)
{
    size_t      n, put;
    u_char      buf[NGX_TRP_OPEN_MAX];
    trp_str_t  *names;

    names = link->pool->conf->services->elts;

    for (n = link->pool->conf->services->nelts; n; n -= put) {
        ngx_trp_tunnel_send_frame(link->tunnel, buf,
                                  trp_publish_put(buf, names, n, &put));
        names += put;
    }
}


ngx_int_t
ngx_trp_announce_result(ngx_trp_link_t *link, trp_frame_t *frame)
{
    u_char     *told;
    uint8_t     code;
    ngx_log_t  *log;
    trp_str_t   name;

    log = link->tunnel->connection->log;

    if (trp_published_get(&code, &name, link->tunnel->reader.buf, frame->len)
        != TRP_OK)
    {
        ngx_log_error(NGX_LOG_INFO, log, 0, "relay sent invalid PUBLISHED");
        return NGX_ERROR;
    }

    told = ngx_trp_announce_code(link->pool, name);

    if (told == NULL || *told == code) {
        return NGX_OK;
    }

    *told = code;

    if (code == TRP_CODE_NONE) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "\"%*s\" is published",
                      name.len, name.data);

    } else {
        ngx_log_error(NGX_LOG_WARN, log, 0, "\"%*s\" is not published: %s",
                      name.len, name.data, ngx_trp_announce_why(code));
    }

    return NGX_OK;
}


/* what the relay has said last of this name; NULL: it is none, or no memory */

static u_char *
ngx_trp_announce_code(ngx_trp_pool_t *pool, trp_str_t name)
{
    ngx_uint_t    i;
    trp_str_t    *names;
    ngx_array_t  *services;

    services = pool->conf->services;

    if (services == NULL) {
        return NULL;
    }

    if (pool->services.codes == NULL) {
        pool->services.codes = ngx_pnalloc(pool->mem, services->nelts);

        if (pool->services.codes == NULL) {
            return NULL;
        }

        ngx_memset(pool->services.codes, NGX_TRP_ANNOUNCE_UNKNOWN,
                   services->nelts);
    }

    names = services->elts;

    for (i = 0; i < services->nelts; i++) {
        if (trp_name_equal(names[i], name)) {
            return &pool->services.codes[i];
        }
    }

    return NULL;
}


static const char *
ngx_trp_announce_why(ngx_uint_t code)
{
    switch (code) {

    case TRP_CODE_NOT_ALLOWED:
        return "the relay does not allow it to this key, \"permitlisten\" "
               "in its authorized keys does not have it";

    case TRP_CODE_TAKEN:
        return "it is published by another key or in another group";

    case TRP_CODE_LIMIT:
        return "over the limit of the relay";
    }

    return trp_code_text(code);
}
