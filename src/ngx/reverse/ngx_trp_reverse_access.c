
/*
 * Copyright (C) the trp authors
 */


/*
 * Where a stream may go: rules for addresses and for names, and the addresses
 * of a name, of which only the allowed ones are kept.
 */


#include "reverse/ngx_trp_reverse_access.h"
#include "agent/ngx_trp_stream_log.h"
#include "base/trp_path.h"
#include "base/ngx_trp_addr.h"
#include "tunnel/trp_route.h"


static ngx_int_t ngx_trp_reverse_check_addr(ngx_trp_reverse_ctx_t *ctx,
    trp_addr_t *addr);
static ngx_int_t ngx_trp_reverse_check_path(ngx_trp_reverse_ctx_t *ctx,
    trp_str_t path);
static ngx_int_t ngx_trp_reverse_check_name(ngx_trp_reverse_ctx_t *ctx);
static ngx_int_t ngx_trp_reverse_resolve(ngx_trp_reverse_ctx_t *ctx);
static ngx_uint_t ngx_trp_reverse_is_localhost(trp_str_t *name);
static ngx_uint_t ngx_trp_reverse_named(ngx_trp_reverse_ctx_t *ctx);
static void ngx_trp_reverse_resolve_handler(ngx_trp_lookup_t *lookup);
static ngx_int_t ngx_trp_reverse_localhost(ngx_trp_reverse_ctx_t *ctx);
static ngx_int_t ngx_trp_reverse_add_addr(ngx_trp_reverse_ctx_t *ctx,
    struct sockaddr *sa, socklen_t socklen);


/*
 * Before anything else: rules, limits and logs see the destination that the
 * user is led to.  An empty value leaves it as it is.
 */

ngx_int_t
ngx_trp_reverse_map(ngx_trp_reverse_ctx_t *ctx)
{
    static const trp_str_t  invalid =
        trp_string(": \"trp_reverse_destination\" is not HOST:PORT");

    ngx_str_t          value;
    trp_route_t        to;
    ngx_connection_t  *c;

    if (ctx->conf->map == NULL || ctx->published) {
        return NGX_DECLINED;
    }

    c = ctx->stream.connection;

    if (ngx_stream_complex_value(ctx->session, ctx->conf->map, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    if (trp_route_parse_destination(&to, ngx_trp_str(&value)) != NULL
        || (to.port == 0 && ctx->stream.ops->udp))
    {
        ngx_trp_stream_log(&ctx->stream, NGX_LOG_ERR, c->log, "was refused",
                           invalid);

        ctx->stream.code = TRP_CODE_NO_SUCH_HOST;
        return NGX_STREAM_BAD_GATEWAY;
    }

    ctx->addr = to.addr;
    ctx->port = to.port;

    /* the string of src/core may be static */

    ctx->host.len = to.host.len;
    ctx->host.data = (u_char *) to.host.data;

    ctx->destination = ngx_trp_host_port(c->pool, &ctx->host, ctx->port);

    if (ctx->destination.data == NULL) {
        return NGX_ERROR;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp stream %s: \"%V\" leads to \"%V\"",
                   ngx_trp_id_text(ctx->stream.id).data,
                   &ctx->stream.destination, &ctx->destination);

    ctx->stream.destination = ctx->destination;

    return NGX_DECLINED;
}


/* applies trp_reverse_allow; a name is resolved, and its addresses checked */

ngx_int_t
ngx_trp_reverse_access_handler(ngx_stream_session_t *s)
{
    static const trp_str_t  not_allowed =
        trp_string(": destination is not allowed by \"trp_reverse_allow\"");

    ngx_int_t               rc;
    trp_str_t               path;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL || ctx->checked) {
        return NGX_DECLINED;
    }

    if (ctx->stream.in == NGX_TRP_STREAM_ABORTED) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (ctx->resolving) {
        return NGX_AGAIN;
    }

    if (trp_path_get(ngx_trp_str(&ctx->host), &path)) {
        rc = ngx_trp_reverse_check_path(ctx, path);

    } else if (ctx->published && ctx->addr.family && !ctx->resolved) {

        /* the destination is one of this configuration */
        rc = NGX_OK;

    } else if (ctx->addr.family && !ctx->resolved) {
        rc = ngx_trp_reverse_check_addr(ctx, &ctx->addr);

    } else {
        rc = ngx_trp_reverse_check_name(ctx);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_trp_stream_log(&ctx->stream, NGX_LOG_ERR, s->connection->log,
                           "was refused", not_allowed);

        ctx->stream.code = TRP_CODE_NOT_ALLOWED;
        return NGX_STREAM_FORBIDDEN;
    }

    if (rc == NGX_BUSY) {
        ctx->stream.code = TRP_CODE_NO_SUCH_HOST;
        return NGX_STREAM_BAD_GATEWAY;
    }

    ctx->checked = 1;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_trp_reverse_check_addr(ngx_trp_reverse_ctx_t *ctx, trp_addr_t *addr)
{
    ngx_uint_t       i;
    trp_addr_t       a;
    trp_acl_rule_t  *rule;

    if (ctx->conf->allow == NULL) {
        a = *addr;

        return (trp_addr_this_host(&a) || trp_addr_is_loopback(&a))
               ? NGX_OK : NGX_DECLINED;
    }

    rule = ctx->conf->allow->elts;

    for (i = 0; i < ctx->conf->allow->nelts; i++) {
        if (trp_acl_match_addr(&rule[i], addr, ctx->port)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* only rules for paths allow one */

static ngx_int_t
ngx_trp_reverse_check_path(ngx_trp_reverse_ctx_t *ctx, trp_str_t path)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    if (ctx->conf->allow == NULL) {
        return NGX_DECLINED;
    }

    rule = ctx->conf->allow->elts;

    for (i = 0; i < ctx->conf->allow->nelts; i++) {
        if (trp_acl_match_path(&rule[i], path)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* NGX_OK, NGX_AGAIN, NGX_DECLINED: not allowed, NGX_BUSY: no such host */

static ngx_int_t
ngx_trp_reverse_check_name(ngx_trp_reverse_ctx_t *ctx)
{
    trp_str_t  name;

    if (ctx->resolved) {
        return ctx->stream.code == TRP_CODE_NO_SUCH_HOST ? NGX_BUSY
               : ctx->addr.family ? NGX_OK : NGX_DECLINED;
    }

    ctx->named = ctx->published || ngx_trp_reverse_named(ctx);

    name = ngx_trp_str(&ctx->host);

    if (ngx_trp_reverse_is_localhost(&name)) {
        return ngx_trp_reverse_localhost(ctx);
    }

    return ngx_trp_reverse_resolve(ctx);
}


/* RFC 6761, section 6.3: always the loopback address */

static ngx_uint_t
ngx_trp_reverse_is_localhost(trp_str_t *name)
{
    static const trp_str_t  localhost = trp_string("localhost");

    return trp_name_equal(*name, localhost);
}


static ngx_int_t
ngx_trp_reverse_localhost(ngx_trp_reverse_ctx_t *ctx)
{
    socklen_t       socklen;
    ngx_uint_t      i;
    ngx_sockaddr_t  sa;

    static const trp_addr_t  addrs[] = {
        { 4, { 127, 0, 0, 1 } },
        { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } }
    };

    for (i = 0; i < sizeof(addrs) / sizeof(trp_addr_t); i++) {
        socklen = ngx_trp_addr_to_sockaddr(&sa, &addrs[i], ctx->port);

        if (ngx_trp_reverse_add_addr(ctx, &sa.sockaddr, socklen)
            == NGX_ERROR)
        {
            return NGX_ERROR;
        }
    }

    return ctx->addr.family ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_trp_reverse_named(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    if (ctx->conf->allow == NULL) {
        return 0;
    }

    rule = ctx->conf->allow->elts;

    for (i = 0; i < ctx->conf->allow->nelts; i++) {
        if (trp_acl_match_name(&rule[i], ngx_trp_str(&ctx->host), ctx->port)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_trp_reverse_resolve(ngx_trp_reverse_ctx_t *ctx)
{
    ctx->lookup.resolver = ctx->conf->core->resolver;
    ctx->lookup.timeout = ctx->conf->core->resolver_timeout;
    ctx->lookup.name = ctx->host;
    ctx->lookup.handler = ngx_trp_reverse_resolve_handler;
    ctx->lookup.data = ctx;

    ctx->resolving = 1;

    ngx_trp_lookup(&ctx->lookup);

    /* if the answer was known, the handler has been called */

    return ctx->resolved ? ngx_trp_reverse_check_name(ctx) : NGX_AGAIN;
}


static void
ngx_trp_reverse_resolve_handler(ngx_trp_lookup_t *lookup)
{
    ngx_uint_t              i;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = lookup->data;

    if (lookup->state != NGX_OK) {
        ngx_trp_lookup_log_error(lookup, ctx->stream.connection->log);

        ctx->stream.code = TRP_CODE_NO_SUCH_HOST;
    }

    for (i = 0; i < lookup->naddrs; i++) {
        if (ngx_trp_reverse_add_addr(ctx, lookup->addrs[i].sockaddr,
                                     lookup->addrs[i].socklen)
            == NGX_ERROR)
        {
            break;
        }
    }

    ctx->resolved = 1;
    ctx->resolving = 0;

    if (lookup->async) {
        ngx_stream_core_run_phases(ctx->session);
    }
}


/* NGX_DECLINED: it is not allowed */

static ngx_int_t
ngx_trp_reverse_add_addr(ngx_trp_reverse_ctx_t *ctx, struct sockaddr *sa,
    socklen_t socklen)
{
    u_char               *p;
    in_port_t             port;
    trp_addr_t            addr;
    ngx_str_t             text;
    ngx_pool_t           *pool;
    ngx_resolver_addr_t  *to;

    ngx_trp_addr_from_sockaddr(&addr, &port, sa);

    if (!ctx->named && ngx_trp_reverse_check_addr(ctx, &addr) != NGX_OK) {
        return NGX_DECLINED;
    }

    pool = ctx->stream.connection->pool;

    if (ctx->addrs.elts == NULL
        && ngx_array_init(&ctx->addrs, pool, 2, sizeof(ngx_resolver_addr_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    to = ngx_array_push(&ctx->addrs);
    if (to == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(to, sizeof(ngx_resolver_addr_t));

    to->sockaddr = ngx_palloc(pool, socklen);
    if (to->sockaddr == NULL) {
        ctx->addrs.nelts--;
        return NGX_ERROR;
    }

    ngx_memcpy(to->sockaddr, sa, socklen);
    to->socklen = socklen;

    if (ctx->addr.family) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, TRP_ADDR_TEXT_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.len = trp_addr_text(p, &addr);
    text.data = p;

    ctx->addr = addr;
    ctx->destination = ngx_trp_host_port(pool, &text, ctx->port);

    return ctx->destination.data ? NGX_OK : NGX_ERROR;
}
