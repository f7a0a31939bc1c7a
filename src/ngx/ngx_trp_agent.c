
#include "ngx_trp_agent.h"
#include "ngx_trp_key_file.h"


static char *ngx_trp_agent_check_positive(ngx_conf_t *cf, void *post,
    void *data);
static ngx_int_t ngx_trp_agent_load(ngx_conf_t *cf,
    ngx_trp_agent_conf_t *conf, const char *prefix);
static ngx_int_t ngx_trp_agent_create_ssl(ngx_conf_t *cf,
    ngx_trp_agent_conf_t *conf, const char *prefix);


const ngx_conf_bitmask_t  ngx_trp_agent_ssl_protocols[] = {
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


const ngx_conf_num_bounds_t  ngx_trp_agent_depth_bounds = {
    ngx_conf_check_num_bounds, 0, 100
};


const ngx_conf_num_bounds_t  ngx_trp_agent_weight_bounds = {
    ngx_conf_check_num_bounds, 1, 65535
};


const ngx_conf_post_t  ngx_trp_agent_positive = {
    ngx_trp_agent_check_positive
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


/* P_pool idle=N max=N; "role" is just the first member, for the offset */

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


char *
ngx_trp_agent_password_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t     *value;
    ngx_array_t  **passwords;

    passwords = (ngx_array_t **) ((char *) conf + cmd->offset);

    if (*passwords != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *passwords = ngx_ssl_read_password_file(cf, &value[1]);

    return (*passwords == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_trp_agent_check_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *msp = data;

    if (*msp == 0 || *msp > 24 * 60 * 60 * 1000) {
        return "must be between 1ms and 24h";
    }

    return NGX_CONF_OK;
}


void
ngx_trp_agent_create_conf(ngx_trp_agent_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->group = conf->name = conf->key = { 0, NULL };
     *     conf->ssl_protocols = 0;
     *     conf->ssl_name, ssl_ciphers, … = { 0, NULL };
     */

    conf->weight = NGX_CONF_UNSET_UINT;
    conf->backup = NGX_CONF_UNSET;
    conf->idle = NGX_CONF_UNSET_UINT;
    conf->max = NGX_CONF_UNSET_UINT;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->heartbeat = NGX_CONF_UNSET_MSEC;
    conf->ssl_verify = NGX_CONF_UNSET;
    conf->ssl_verify_depth = NGX_CONF_UNSET_UINT;
    conf->ssl_server_name = NGX_CONF_UNSET;
    conf->ssl_session_reuse = NGX_CONF_UNSET;
    conf->ssl_passwords = NGX_CONF_UNSET_PTR;
    conf->ssl_conf_commands = NGX_CONF_UNSET_PTR;
}


ngx_int_t
ngx_trp_agent_merge_conf(ngx_conf_t *cf, ngx_trp_agent_conf_t *prev,
    ngx_trp_agent_conf_t *conf)
{
    ngx_conf_merge_str_value(conf->group, prev->group, "0");
    ngx_conf_merge_str_value(conf->name, prev->name, "");
    ngx_conf_merge_str_value(conf->key, prev->key, "");

    ngx_conf_merge_uint_value(conf->weight, prev->weight, 1);
    ngx_conf_merge_value(conf->backup, prev->backup, 0);

    ngx_conf_merge_uint_value(conf->idle, prev->idle, 4);
    ngx_conf_merge_uint_value(conf->max, prev->max,
                              ngx_max(conf->idle, 1024));

    ngx_conf_merge_msec_value(conf->connect_timeout,
                              prev->connect_timeout, 10000);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 20000);

    ngx_conf_merge_value(conf->ssl_verify, prev->ssl_verify, 1);
    ngx_conf_merge_uint_value(conf->ssl_verify_depth,
                              prev->ssl_verify_depth, 1);
    ngx_conf_merge_value(conf->ssl_server_name, prev->ssl_server_name, 1);
    ngx_conf_merge_value(conf->ssl_session_reuse,
                              prev->ssl_session_reuse, 1);
    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                              (NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2
                               |NGX_SSL_TLSv1_3));
    ngx_conf_merge_str_value(conf->ssl_name, prev->ssl_name, "");
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers, "DEFAULT");
    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                              prev->ssl_trusted_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_crl, prev->ssl_crl, "");
    ngx_conf_merge_str_value(conf->ssl_certificate,
                              prev->ssl_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_certificate_key,
                              prev->ssl_certificate_key, "");
    ngx_conf_merge_ptr_value(conf->ssl_passwords, prev->ssl_passwords, NULL);
    ngx_conf_merge_ptr_value(conf->ssl_conf_commands,
                              prev->ssl_conf_commands, NULL);

    if (conf->name.len == 0) {
        conf->name = cf->cycle->hostname;

        if (!trp_label_valid(ngx_trp_str(&conf->name))) {
            ngx_str_set(&conf->name, "unnamed");
        }
    }

    if (conf->max < conf->idle) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a pool's \"max\" is less than its \"idle\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_agent_init_conf(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    ngx_uint_t role, const char *prefix)
{
    ngx_int_t  rc;

    conf->role = role;

    ngx_trp_conf_swap_place(cf, &conf->place);

    rc = ngx_trp_agent_load(cf, conf, prefix);

    ngx_trp_conf_swap_place(cf, &conf->place);

    return rc;
}


static ngx_int_t
ngx_trp_agent_load(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    const char *prefix)
{
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

    return ngx_trp_agent_create_ssl(cf, conf, prefix);
}


static ngx_int_t
ngx_trp_agent_create_ssl(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    const char *prefix)
{
    ngx_pool_cleanup_t  *cln;

    conf->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (conf->ssl == NULL) {
        return NGX_ERROR;
    }

    conf->ssl->log = cf->log;

    if (ngx_ssl_create(conf->ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(conf->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = conf->ssl;

    if (ngx_ssl_ciphers(cf, conf->ssl, &conf->ssl_ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->ssl_certificate.len) {

        if (conf->ssl_certificate_key.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"%s_ssl_certificate_key\" is defined for "
                               "certificate \"%V\"",
                               prefix, &conf->ssl_certificate);
            return NGX_ERROR;
        }

        if (ngx_ssl_certificate(cf, conf->ssl, &conf->ssl_certificate,
                                &conf->ssl_certificate_key,
                                conf->ssl_passwords)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (conf->ssl_verify) {

        if (conf->ssl_trusted_certificate.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"%s_ssl_trusted_certificate\" is defined "
                               "for \"%s\", it names the file with the "
                               "certificate of the relay, or of its CA",
                               prefix, prefix);
            return NGX_ERROR;
        }

        if (ngx_ssl_trusted_certificate(cf, conf->ssl,
                                        &conf->ssl_trusted_certificate,
                                        conf->ssl_verify_depth)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_ssl_crl(cf, conf->ssl, &conf->ssl_crl) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_ssl_client_session_cache(cf, conf->ssl, conf->ssl_session_reuse)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_conf_commands(cf, conf->ssl, conf->ssl_conf_commands);
}
