
/*
 * Copyright (C) the trp authors
 */


/*
 * Directives of the TURN client: the server, the transport, and credentials.
 */


#include "turnc/ngx_trp_turnc_conf.h"
#include "base/ngx_trp_build.h"

#include <sodium.h>


static ngx_int_t ngx_trp_turnc_set_transport(
    ngx_trp_turnc_conf_t *conf, ngx_str_t *name);
static ngx_int_t ngx_trp_turnc_set_udp(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_turnc_conf_t *conf);


const ngx_conf_num_bounds_t  ngx_trp_turnc_bounds = {
    ngx_conf_check_num_bounds, 1, 1024
};


char *
ngx_trp_turnc_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value;
    ngx_trp_turnc_conf_t  *tcf;

    tcf = (ngx_trp_turnc_conf_t *) ((char *) conf + cmd->offset);

    if (tcf->enabled) {
        return "is duplicate";
    }

    tcf->enabled = 1;

    ngx_trp_conf_set_place(cf, &tcf->place);

    value = cf->args->elts;

    if (cf->args->nelts == 2
        && ngx_trp_turnc_set_transport(tcf, &value[1]) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid transport \"%V\" in \"%V\", write \"udp\", "
                           "\"tcp\" or \"tls\"", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_turnc_set_transport(ngx_trp_turnc_conf_t *conf,
    ngx_str_t *name)
{
    ngx_uint_t  i;

    static const ngx_str_t  transports[] = {
        ngx_string("udp"),
        ngx_string("tcp"),
        ngx_string("tls")
    };

    for (i = 0; i < sizeof(transports) / sizeof(ngx_str_t); i++) {
        if (name->len == transports[i].len
            && ngx_strcmp(name->data, transports[i].data) == 0)
        {
            conf->transport = i;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* P_turn [udp|tcp|tls] HOST[:PORT], or P_turn off */

char *
ngx_trp_turnc_set_server(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value, *name;
    ngx_trp_turnc_conf_t  *tcf;

    tcf = (ngx_trp_turnc_conf_t *) ((char *) conf + cmd->offset);

    if (tcf->enabled || tcf->off) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        tcf->off = 1;
        return NGX_CONF_OK;
    }

    tcf->enabled = 1;
    tcf->transport = TRP_TRANSPORT_TCP;

    ngx_trp_conf_set_place(cf, &tcf->place);

    name = &value[cf->args->nelts - 1];

    if (cf->args->nelts == 3
        && ngx_trp_turnc_set_transport(tcf, &value[1]) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid transport \"%V\" in \"%V\", write \"udp\", "
                           "\"tcp\" or \"tls\"", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (tcf->transport == TRP_TRANSPORT_UDP
        && ngx_trp_turnc_set_udp(cf, cmd, tcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    tcf->url.url = *name;
    tcf->url.no_resolve = 1;
    tcf->url.default_port = (tcf->transport == TRP_TRANSPORT_TLS) ? 5349 : 3478;

    if (ngx_parse_url(cf->pool, &tcf->url) != NGX_OK
        || tcf->url.family == AF_UNIX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V %V\"",
                           tcf->url.err ? tcf->url.err : "no address",
                           &cmd->name, name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* tunnels are streams of a QUIC connection then, which outlives allocations */

static ngx_int_t
ngx_trp_turnc_set_udp(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_turnc_conf_t *conf)
{
    u_char  what[64];

    conf->hasty = 1;

    (void) ngx_snprintf(what, sizeof(what), "%V udp%Z", &cmd->name);

    return ngx_trp_build_need_quic(cf, (char *) what);
}


char *
ngx_trp_turnc_set_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                *colon;
    ngx_str_t             *value;
    ngx_trp_turnc_conf_t  *tcf;

    tcf = (ngx_trp_turnc_conf_t *) ((char *) conf + cmd->offset);

    if (tcf->password.len) {
        return "is duplicate";
    }

    if (tcf->secret.len) {
        return "cannot be used together with a secret";
    }

    value = cf->args->elts;

    colon = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');

    if (colon == NULL || colon == value[1].data
        || colon == value[1].data + value[1].len - 1
        || colon - value[1].data > TRP_STUN_USERNAME_MAX)
    {
        return "must have the form NAME:PASSWORD";
    }

    tcf->name.data = value[1].data;
    tcf->name.len = colon - value[1].data;
    tcf->password.data = colon + 1;
    tcf->password.len = value[1].len - tcf->name.len - 1;

    return NGX_CONF_OK;
}


char *
ngx_trp_turnc_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value;
    ngx_trp_turnc_conf_t  *tcf;

    tcf = (ngx_trp_turnc_conf_t *) ((char *) conf + cmd->offset);

    if (tcf->secret.len) {
        return "is duplicate";
    }

    if (tcf->password.len) {
        return "cannot be used together with a user";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    tcf->secret = value[1];

    if (cf->args->nelts == 3) {

        if (value[2].len == 0
            || value[2].len > TRP_STUN_USERNAME_MAX - NGX_INT64_LEN - 1)
        {
            return "has a name that is empty or too long";
        }

        tcf->name = value[2];
    }

    return NGX_CONF_OK;
}


void
ngx_trp_turnc_create_conf(ngx_trp_turnc_conf_t *conf)
{
    conf->allocations = NGX_CONF_UNSET_UINT;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;

    ngx_trp_ssl_create_conf(&conf->ssl);
}


void
ngx_trp_turnc_merge_conf(const ngx_trp_turnc_conf_t *prev,
    ngx_trp_turnc_conf_t *conf)
{
    if (!conf->enabled && !conf->off) {
        conf->enabled = prev->enabled;
        conf->transport = prev->transport;
        conf->hasty = prev->hasty;
        conf->url = prev->url;
        conf->place = prev->place;
    }

    if (conf->password.len == 0 && conf->secret.len == 0) {
        conf->name = prev->name;
        conf->password = prev->password;
        conf->secret = prev->secret;
    }

    ngx_conf_merge_uint_value(conf->allocations, prev->allocations, 16);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              10000);

    ngx_trp_ssl_merge_conf(&prev->ssl, &conf->ssl);
}


ngx_int_t
ngx_trp_turnc_init_conf(ngx_conf_t *cf, ngx_trp_turnc_conf_t *conf,
    const char *prefix)
{
    ngx_int_t  rc;

    ngx_trp_conf_swap_place(cf, &conf->place);

    rc = NGX_OK;

    if (conf->password.len == 0 && conf->secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s_user\" and no \"%s_secret\" is defined "
                           "for \"%s\"", prefix, prefix, prefix);
        rc = NGX_ERROR;

    } else if (conf->transport == TRP_TRANSPORT_TLS) {
        rc = ngx_trp_ssl_init_conf(cf, &conf->ssl, prefix, "TURN server");
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    return rc;
}
