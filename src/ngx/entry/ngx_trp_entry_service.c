
/*
 * Copyright (C) the trp authors
 */


/*
 * The front of published services.  A user's port is known at once, a name when
 * the proxy asks for its upstream, after preread.
 */


#include "entry/ngx_trp_entry_service.h"
#include "base/ngx_trp_conf.h"
#include "tunnel/trp_publish.h"


static ngx_int_t ngx_trp_entry_service_port(ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_service_name(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_service_t *service);


char *
ngx_trp_entry_service_set(ngx_conf_t *cf, ngx_trp_entry_service_t *service)
{
    ngx_str_t              *value;
    const char             *other;
    ngx_stream_conf_ctx_t  *ctx;

    if (service->enabled) {
        return "is duplicate";
    }

    service->enabled = 1;
    ngx_trp_conf_set_place(cf, &service->place);

    ctx = cf->ctx;

    if (ngx_trp_target_claim(cf, ctx->srv_conf, "trp_publish", &other)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (other) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_publish\" cannot be used with \"%s\", write "
                           "a server of its own", other);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    service->name = ngx_trp_conf_complex(cf, &value[1]);
    if (service->name == NULL) {
        return NGX_CONF_ERROR;
    }

    if (service->name->lengths == NULL
        && !trp_name_valid(trp_name_relative(ngx_trp_str(&value[1]))))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"trp_publish\", write a "
                           "variable such as \"$ssl_preread_server_name\", or "
                           "nothing for the port of the user's \"listen\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_trp_entry_service_check_listen(ngx_conf_t *cf,
    ngx_trp_entry_service_t *service, ngx_trp_conf_listen_t *listen)
{
    const char  *what;

    what = (listen->type == SOCK_DGRAM) ? "udp"
           : (service->name == NULL
              && listen->sockaddr->sa_family == AF_UNIX) ? "unix:" : NULL;

    if (what == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"listen\" with \"%s\" cannot be used with \"trp_publish\" "
                  "in %s:%ui, %s", what, service->place.file_name,
                  service->place.line,
                  (listen->type == SOCK_DGRAM)
                  ? "services are of TCP, leave it out"
                  : "it has no port, write \"listen PORT\"");

    return NGX_ERROR;
}


ngx_int_t
ngx_trp_entry_service_target(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_service_t *service)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->target->published = 1;
    ctx->target->port = ngx_inet_get_port(c->local_sockaddr);

    return service->name ? ngx_trp_entry_service_name(ctx, service)
                         : ngx_trp_entry_service_port(ctx);
}


/* in OPEN, a port has the address 0.0.0.0 */

static ngx_int_t
ngx_trp_entry_service_port(ngx_trp_entry_ctx_t *ctx)
{
    u_char            *p;
    ngx_trp_target_t  *target;

    target = ctx->target;

    p = ngx_pnalloc(ctx->session->connection->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->addr.family = 4;
    target->host.data = p;
    target->host.len = ngx_sprintf(p, "%d", (int) target->port) - p;
    target->destination = target->host;

    return NGX_OK;
}


/* a port must not be reached under a name that its user has chosen */

static ngx_int_t
ngx_trp_entry_service_name(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_service_t *service)
{
    u_char            *p;
    trp_str_t          name;
    ngx_str_t          value;
    ngx_trp_target_t  *target;

    if (ngx_stream_complex_value(ctx->session, service->name, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    target = ctx->target;
    name = trp_name_relative(ngx_trp_str(&value));

    if (!trp_name_valid(name)) {
        ctx->why = value.len ? "the name of the service is invalid"
                             : "the user has named no service";
        ctx->code = TRP_CODE_NOT_PUBLISHED;
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(ctx->session->connection->pool, name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->host.len = trp_service_copy(p, name);
    target->host.data = p;
    target->destination = target->host;

    if (target->port == 0) {

        /* of a Unix socket: for a name, it tells nothing */
        target->port = 1;
    }

    return NGX_OK;
}


/* only a port is known so early */

ngx_int_t
ngx_trp_entry_service_pass(ngx_stream_session_t *s,
    const ngx_trp_entry_service_t *service, const ngx_trp_entry_conf_t *conf)
{
    u_char             text[NGX_INT_T_LEN], label[TRP_LABEL_MAX];
    ngx_str_t          name, group;
    ngx_connection_t  *c;

    c = s->connection;

    if (service->name
        || ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    name.data = text;
    name.len = ngx_sprintf(text, "%d",
                           (int) ngx_inet_get_port(c->local_sockaddr))
               - text;

    group.data = label;

    if (conf->hub->ops->service(conf->relay, &name, &group) != NGX_OK) {
        return NGX_DECLINED;
    }

    return (conf->hub->ops->pass(conf->relay, &group, c) == NGX_OK)
           ? NGX_DONE : NGX_DECLINED;
}


ngx_int_t
ngx_trp_entry_service_group(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_conf_t *conf)
{
    ctx->group.data = ngx_pnalloc(ctx->session->connection->pool,
                                  TRP_LABEL_MAX);
    if (ctx->group.data == NULL) {
        return NGX_ERROR;
    }

    if (conf->hub->ops->service(conf->relay, &ctx->target->host, &ctx->group)
        == NGX_OK)
    {
        return NGX_OK;
    }

    ctx->why = "nobody publishes it";
    ctx->code = TRP_CODE_NOT_PUBLISHED;

    return NGX_DECLINED;
}
