
/*
 * Copyright (C) the trp authors
 */


/*
 * An upstream whose relay is in this nginx.  It has no servers, so nginx gets a
 * placeholder for one, which is never asked for a connection.
 */


#include "entry/ngx_trp_entry_local.h"
#include "hub/ngx_trp_hub.h"


static const char *ngx_trp_entry_local_needless(ngx_trp_agent_conf_t *conf,
    ngx_trp_agent_conf_t *unset);


char *
ngx_trp_entry_local_set(ngx_conf_t *cf, ngx_trp_entry_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_str_t *value)
{
    ngx_addr_t                    *addr;
    struct sockaddr_un            *sun;
    ngx_stream_upstream_server_t  *server;

    if (value->len != sizeof("local") - 1
        || ngx_strncmp(value->data, "local", value->len) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"trp_entry\", write "
                           "\"local\" for the relay of this nginx, or no "
                           "parameter and \"server\" for a relay elsewhere",
                           value);
        return NGX_CONF_ERROR;
    }

    conf->local = 1;

    server = ngx_array_push(us->servers);
    addr = ngx_pcalloc(cf->pool, sizeof(ngx_addr_t));
    sun = ngx_pcalloc(cf->pool, sizeof(struct sockaddr_un));

    if (server == NULL || addr == NULL || sun == NULL) {
        return NGX_CONF_ERROR;
    }

    sun->sun_family = AF_UNIX;
    ngx_memcpy(sun->sun_path, "local", sizeof("local"));

    addr->sockaddr = (struct sockaddr *) sun;
    addr->socklen = offsetof(struct sockaddr_un, sun_path) + sizeof("local");
    ngx_str_set(&addr->name, "local");

    ngx_memzero(server, sizeof(ngx_stream_upstream_server_t));

    server->name = addr->name;
    server->addrs = addr;
    server->naddrs = 1;
    server->weight = 1;
    server->fail_timeout = 10;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_trp_entry_local_init(ngx_conf_t *cf, ngx_trp_entry_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_str_t              name;
    const char            *why;
    ngx_trp_agent_conf_t   unset;
    ngx_trp_conf_place_t  *place;

    place = &conf->agent.place;

    ngx_memzero(&unset, sizeof(ngx_trp_agent_conf_t));
    ngx_trp_agent_create_conf(&unset);

    if (us->servers->nelts > 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"server\" cannot be used with \"trp_entry local\" in "
                      "%s:%ui, leave it out: the relay is this nginx",
                      place->file_name, place->line);
        return NGX_ERROR;
    }

    why = ngx_trp_entry_local_needless(&conf->agent, &unset);

    if (conf->groups_max != NGX_CONF_UNSET_UINT
        || conf->groups_inactive != NGX_CONF_UNSET_MSEC)
    {
        why = "trp_entry_groups";
    }

    if (why) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" cannot be used with \"trp_entry local\" in "
                      "%s:%ui, leave it out: there is no tunnel to a relay",
                      why, place->file_name, place->line);
        return NGX_ERROR;
    }

    ngx_str_null(&name);

    conf->hub = ngx_trp_hub_find(cf, &why);
    conf->relay = conf->hub ? conf->hub->ops->find(conf->hub, &name, &why)
                            : NULL;

    if (conf->relay == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_entry local\" in %s:%ui %s",
                      place->file_name, place->line, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* a directive that is set, or NULL */

static const char *
ngx_trp_entry_local_needless(ngx_trp_agent_conf_t *conf,
    ngx_trp_agent_conf_t *unset)
{
    if (conf->key.data) {
        return "trp_entry_key";
    }

    if (conf->idle != unset->idle || conf->max != unset->max) {
        return "trp_entry_pool";
    }

    if (conf->connect_timeout != unset->connect_timeout) {
        return "trp_entry_connect_timeout";
    }

    if (conf->next_timeout != unset->next_timeout) {
        return "trp_entry_next_timeout";
    }

    if (conf->heartbeat != unset->heartbeat) {
        return "trp_entry_heartbeat";
    }

    if (conf->ways) {
        return "trp_entry_ways";
    }

    if (ngx_memcmp(&conf->names, &unset->names, sizeof(conf->names)) != 0) {
        return "trp_entry_resolve";
    }

    if (ngx_memcmp(&conf->ssl, &unset->ssl, sizeof(conf->ssl)) != 0) {
        return "trp_entry_ssl_...";
    }

    if (ngx_memcmp(&conf->turn, &unset->turn, sizeof(conf->turn)) != 0) {
        return "trp_entry_turn...";
    }

    return NULL;
}


ngx_trp_source_t *
ngx_trp_entry_local_enter(ngx_trp_entry_ctx_t *ctx, ngx_log_t *log)
{
    ngx_trp_home_t  *home;

    home = ngx_pcalloc(ctx->session->connection->pool,
                       sizeof(ngx_trp_home_t));
    if (home == NULL) {
        ctx->code = TRP_CODE_FAILED;
        return NULL;
    }

    home->local.group = ctx->group;
    home->local.id = ctx->id;
    home->local.log = log;

    if (ctx->target->published) {
        home->local.service = ctx->target->host;
    }

    ctx->home = home;

    return ngx_trp_home_enter(home, &ctx->entry->near, &ctx->code);
}


ngx_uint_t
ngx_trp_entry_local_vain(ngx_trp_entry_ctx_t *ctx)
{
    const ngx_trp_entry_conf_t  *conf;

    conf = ctx->entry->conf;

    return conf->hub->ops->vain(conf->relay, &ctx->group);
}
