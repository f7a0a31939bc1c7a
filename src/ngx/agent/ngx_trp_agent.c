
/*
 * Copyright (C) the trp authors
 */


/*
 * The configuration common to both kinds of agents, and their start in a
 * worker.
 */


#include "agent/ngx_trp_agent.h"
#include "base/ngx_trp_build.h"
#include "base/ngx_trp_fake.h"
#include "base/ngx_trp_key_file.h"


static ngx_int_t ngx_trp_agent_ways(ngx_conf_t *cf,
    ngx_trp_agent_conf_t *conf, const char *prefix);
static ngx_int_t ngx_trp_agent_servers(ngx_conf_t *cf,
    ngx_trp_agent_conf_t *conf, ngx_stream_upstream_srv_conf_t *us,
    const char *prefix);
static ngx_int_t ngx_trp_agent_load(ngx_conf_t *cf,
    ngx_trp_agent_conf_t *conf, const char *prefix);


const ngx_conf_num_bounds_t  ngx_trp_agent_weight_bounds = {
    ngx_conf_check_num_bounds, 1, 65535
};


char *
ngx_trp_agent_label(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *field, *value;

    field = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!trp_label_valid(ngx_trp_str(&value[1]))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"%V\", use up to %d "
                           "letters, digits and any of . _ - @ : + /",
                           &value[1], &cmd->name, TRP_LABEL_MAX);
        return NGX_CONF_ERROR;
    }

    *field = value[1];

    return NGX_CONF_OK;
}


/* P_quic on | off; only "on" needs a build with QUIC */

char *
ngx_trp_agent_quic(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char        *rv;
    u_char       what[64];
    ngx_flag_t  *flag;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    flag = (ngx_flag_t *) ((char *) conf + cmd->offset);

    if (*flag == 0) {
        return NGX_CONF_OK;
    }

    *ngx_snprintf(what, sizeof(what) - 1, "%V on", &cmd->name) = '\0';

    return (ngx_trp_build_need_quic(cf, (char *) what) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* P_pool idle=N max=N; the offset of "role", the first member, is just 0 */

char *
ngx_trp_agent_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t              n;
    ngx_str_t             *value;
    ngx_uint_t             i, *field;
    ngx_trp_agent_conf_t  *agent;

    agent = (ngx_trp_agent_conf_t *)
            ((char *) conf + cmd->offset - offsetof(ngx_trp_agent_conf_t,
                                                    role));

    if (agent->idle != NGX_CONF_UNSET_UINT || agent->max != NGX_CONF_UNSET_UINT)
    {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "idle=", 5) == 0) {
            field = &agent->idle;
            n = ngx_atoi(value[i].data + 5, value[i].len - 5);

        } else if (ngx_strncmp(value[i].data, "max=", 4) == 0) {
            field = &agent->max;
            n = ngx_atoi(value[i].data + 4, value[i].len - 4);

        } else {
            n = NGX_ERROR;
            field = NULL;
        }

        if (n < 1 || n > 65535 || *field != NGX_CONF_UNSET_UINT) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", write "
                               "\"idle=NUMBER\" or \"max=NUMBER\"",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        *field = n;
    }

    if (agent->idle != NGX_CONF_UNSET_UINT && agent->max != NGX_CONF_UNSET_UINT
        && agent->max < agent->idle)
    {
        return "has a \"max\" that is less than its \"idle\"";
    }

    return NGX_CONF_OK;
}


/* P_ways WAY ... [probe=TIME] [hold=TIME] */

char *
ngx_trp_agent_set_ways(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_agent_conf_t  *agent;

    agent = (ngx_trp_agent_conf_t *)
            ((char *) conf + cmd->offset - offsetof(ngx_trp_agent_conf_t,
                                                    ways));

    if (agent->ways) {
        return "is duplicate";
    }

    agent->ways = ngx_trp_way_parse(cf, &agent->ways_probe,
                                    &agent->ways_hold);

    return agent->ways ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void
ngx_trp_agent_create_conf(ngx_trp_agent_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->group = conf->name = conf->key = { 0, NULL };
     *     conf->ways = NULL;
     */

    conf->weight = NGX_CONF_UNSET_UINT;
    conf->backup = NGX_CONF_UNSET;
    conf->idle = NGX_CONF_UNSET_UINT;
    conf->max = NGX_CONF_UNSET_UINT;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->next_timeout = NGX_CONF_UNSET_MSEC;
    conf->heartbeat = NGX_CONF_UNSET_MSEC;
    conf->quic = NGX_CONF_UNSET;
    conf->ways_probe = NGX_CONF_UNSET_MSEC;
    conf->ways_hold = NGX_CONF_UNSET_MSEC;

    ngx_trp_ssl_create_conf(&conf->ssl);
    ngx_trp_name_create_conf(&conf->names);
    ngx_trp_turnc_create_conf(&conf->turn);
    ngx_trp_proxy_create_conf(&conf->proxy);
    ngx_trp_web_create_conf(&conf->web);
}


void
ngx_trp_agent_merge_conf(ngx_conf_t *cf, const ngx_trp_agent_conf_t *prev,
    ngx_trp_agent_conf_t *conf)
{
    ngx_conf_merge_str_value(conf->group, prev->group, "0");
    ngx_conf_merge_str_value(conf->name, prev->name, "");
    ngx_conf_merge_str_value(conf->key, prev->key, "");

    ngx_conf_merge_uint_value(conf->weight, prev->weight, 1);
    ngx_conf_merge_value(conf->backup, prev->backup, 0);

    conf->max_set = (conf->max != NGX_CONF_UNSET_UINT
                     || prev->max != NGX_CONF_UNSET_UINT);

    ngx_conf_merge_uint_value(conf->idle, prev->idle, 4);
    ngx_conf_merge_uint_value(conf->max, prev->max,
                              ngx_max(conf->idle, 1024));

    ngx_conf_merge_msec_value(conf->connect_timeout,
                              prev->connect_timeout, 10000);
    ngx_conf_merge_msec_value(conf->next_timeout, prev->next_timeout, 2000);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 10000);

    if (conf->ways == NULL) {
        conf->ways = prev->ways;
        conf->ways_probe = prev->ways_probe;
        conf->ways_hold = prev->ways_hold;
    }

    ngx_conf_init_msec_value(conf->ways_probe, 30000);
    ngx_conf_init_msec_value(conf->ways_hold, 10000);

    ngx_conf_merge_value(conf->quic, prev->quic, 0);

    ngx_trp_ssl_merge_conf(&prev->ssl, &conf->ssl);
    ngx_trp_name_merge_conf(&prev->names, &conf->names);
    ngx_trp_turnc_merge_conf(&prev->turn, &conf->turn);
    ngx_trp_proxy_merge_conf(&prev->proxy, &conf->proxy);
    ngx_trp_web_merge_conf(&prev->web, &conf->web);

    if (conf->name.len == 0) {
        conf->name = cf->cycle->hostname;

        if (!trp_label_valid(ngx_trp_str(&conf->name))) {
            ngx_str_set(&conf->name, "unnamed");
        }
    }

    /* each tunnel to a relay needs one; the pool's maximum bounds them */

    conf->turn.allocations = conf->max;
}


ngx_int_t
ngx_trp_agent_init_conf(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_uint_t role, const char *prefix)
{
    ngx_int_t  rc;

    conf->role = role;

    ngx_trp_conf_swap_place(cf, &conf->place);

    rc = ngx_trp_agent_load(cf, conf, prefix);

    if (rc == NGX_OK) {
        rc = ngx_trp_agent_ways(cf, conf, prefix);
    }

    if (rc == NGX_OK) {
        rc = ngx_trp_agent_servers(cf, conf, us, prefix);
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    if (rc != NGX_OK
        || ngx_trp_web_init_conf(cf, &conf->web,
                                 role == TRP_ROLE_ENTRY
                                 ? "trp_entry_websocket"
                                 : "trp_reverse_websocket")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->proxy.enabled
        && ngx_trp_proxy_init_conf(cf, &conf->proxy,
                                   role == TRP_ROLE_ENTRY
                                   ? "trp_entry_proxy"
                                   : "trp_reverse_proxy")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!conf->turn.enabled) {
        return NGX_OK;
    }

    return ngx_trp_turnc_init_conf(cf, &conf->turn,
                                   role == TRP_ROLE_ENTRY
                                   ? "trp_entry_turn"
                                   : "trp_reverse_turn");
}


/* what the relay can be reached through, by the directives that are set */

static ngx_int_t
ngx_trp_agent_ways(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    const char *prefix)
{
    ngx_uint_t            i;
    ngx_trp_way_t        *way;
    ngx_trp_way_offer_t   offer;

    ngx_memzero(&offer, sizeof(ngx_trp_way_offer_t));

    offer.prefix = prefix;

    offer.websocket = conf->web.enabled;
    offer.apart = (conf->web.url.host.len != 0);

    offer.quic = (conf->quic != 0);
    offer.turn = conf->turn.enabled;
    offer.turn_udp = (conf->turn.transport == TRP_TRANSPORT_UDP);
    offer.turn_via = conf->turn.url.url;

    if (conf->quic && !(conf->ssl.protocols & NGX_SSL_TLSv1_3)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s_quic\" needs TLSv1.3, write it in "
                           "\"%s_ssl_protocols\"", prefix, prefix);
        return NGX_ERROR;
    }

    offer.proxy = conf->proxy.enabled;
    offer.proxy_via = conf->proxy.url.url;

    if (ngx_trp_way_init(cf, &conf->ways, &offer) != NGX_OK) {
        return NGX_ERROR;
    }

    conf->blind = 1;

    way = conf->ways->elts;

    for (i = 0; i < conf->ways->nelts; i++) {
        conf->blind &= way[i].blind;
    }

    return NGX_OK;
}


/* a unix socket is known to this host alone */

static ngx_int_t
ngx_trp_agent_servers(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, const char *prefix)
{
    ngx_uint_t                     i, j;
    ngx_trp_way_t                 *way;
    ngx_stream_upstream_server_t  *server;

    way = conf->ways->elts;
    server = us->servers->elts;

    for (i = 0; i < conf->ways->nelts; i++) {

        if ((!way[i].quic && !way[i].proxy && !way[i].turn)
            || (way[i].websocket && conf->web.url.host.len))
        {
            continue;
        }

        for (j = 0; j < us->servers->nelts; j++) {

            if (server[j].naddrs
                && server[j].addrs[0].sockaddr->sa_family == AF_UNIX)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" is no way to the unix socket "
                                   "\"%V\" in upstream \"%V\", write "
                                   "HOST:PORT there, or \"%s_ways\" without it",
                                   &way[i].name, &server[j].name, &us->host,
                                   prefix);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_agent_load(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    const char *prefix)
{
    if (conf->max < conf->idle) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s_pool\" has max=%ui, which is less than "
                           "idle=%ui, write both for \"%s\"",
                           prefix, conf->max, conf->idle, prefix);
        return NGX_ERROR;
    }

    if (conf->key.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s_key\" is defined for \"%s\"",
                           prefix, prefix);
        return NGX_ERROR;
    }

    conf->secret = ngx_trp_key_file_secret(cf, &conf->key);
    if (conf->secret == NULL) {
        return NGX_ERROR;
    }

    return ngx_trp_ssl_init_conf(cf, &conf->ssl, prefix, "relay");
}


ngx_trp_agent_worker_t *
ngx_trp_agent_start(ngx_cycle_t *cycle, const ngx_trp_agent_conf_t *conf,
    ngx_trp_status_t *status, ngx_trp_capacity_t *capacity,
    const char *prefix)
{
    ngx_uint_t               i, share, level;
    const ngx_trp_way_t     *way;
    ngx_trp_agent_worker_t  *agent;

    agent = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_agent_worker_t));
    if (agent == NULL) {
        return NULL;
    }

    if (ngx_trp_bio_init(cycle->pool, &agent->tunnels.bio) != NGX_OK) {
        return NULL;
    }

    agent->conf = conf;
    agent->status = status;
    agent->capacity = capacity;

    if (conf->proxy.enabled) {
        agent->proxy = ngx_trp_proxy_create(&conf->proxy, &conf->names);

        if (agent->proxy == NULL) {
            return NULL;
        }
    }

    if (conf->web.enabled) {
        agent->web = ngx_trp_web_create(&conf->web, &conf->names);

        if (agent->web == NULL) {
            return NULL;
        }
    }

    agent->fd = (ngx_socket_t) -1;

    way = conf->ways->elts;

    for (i = 0; i < conf->ways->nelts; i++) {

        if (way[i].quic && agent->fd == (ngx_socket_t) -1) {
            agent->fd = ngx_trp_fake_socket(cycle->log);

            if (agent->fd == (ngx_socket_t) -1) {
                return NULL;
            }
        }
    }

    ngx_queue_init(&agent->hosts);
    ngx_queue_init(&agent->turn_servers);
    ngx_queue_init(&agent->streams);

    /* through a TURN server, a tunnel takes two connections */

    share = ngx_trp_capacity_join(capacity, cycle, conf->turn.enabled ? 4 : 3);
    agent->limit = ngx_min(conf->max, share);

    /* the same holds for the other workers */

    if (ngx_worker == 0 && conf->max > share) {
        level = conf->max_set ? NGX_LOG_WARN : NGX_LOG_NOTICE;

        ngx_log_error(level, cycle->log, 0,
                      "\"%s_pool\" has up to %ui tunnels in a worker process, "
                      "in place of %ui: that is what %ui connections and "
                      "descriptors carry",
                      prefix, share, conf->max, capacity->size);
    }

    return agent;
}
