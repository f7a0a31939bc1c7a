
/*
 * Copyright (C) the trp authors
 */


/*
 * Directives of a TURN server that have a syntax of their own, and the checks
 * of a configuration as a whole.
 */


#include "turn/ngx_trp_turn_conf.h"
#include "turn/ngx_trp_turn_zone_accounts.h"


char *
ngx_trp_turn_conf_set_list(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_array_t **list = (ngx_array_t **) ((char *) conf + cmd->offset);

    ngx_str_t  *value, *s;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty value";
    }

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    s = ngx_array_push(*list);
    if (s == NULL) {
        return NGX_CONF_ERROR;
    }

    *s = value[1];

    return NGX_CONF_OK;
}


/* trp_turn_external_address ADDRESS [local=ADDRESS] */

char *
ngx_trp_turn_conf_set_external(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    ngx_str_t                *value, local;
    ngx_uint_t                i;
    trp_addr_t                any, inside;
    ngx_trp_turn_external_t   external, *other;

    value = cf->args->elts;

    ngx_memzero(&any, sizeof(trp_addr_t));
    ngx_memzero(&external, sizeof(ngx_trp_turn_external_t));

    if (trp_addr_parse(&external.addr, ngx_trp_str(&value[1])) != TRP_OK
        || trp_turn_embedded(&external.addr, &inside)
        || ngx_memcmp(external.addr.bytes, any.bytes, 16) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"%V\", write an IPv4 "
                           "or IPv6 address that peers can reach",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {
        local = value[2];
        local.data += ngx_min(local.len, 6);
        local.len -= ngx_min(local.len, 6);

        if (ngx_strncmp(value[2].data, "local=", 6) != 0
            || trp_addr_parse(&external.local, ngx_trp_str(&local)) != TRP_OK
            || external.local.family != external.addr.family
            || ngx_memcmp(external.local.bytes, any.bytes, 16) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", write "
                               "\"local=ADDRESS\" with an address of this "
                               "machine, of the same family",
                               &value[2], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if (tscf->externals == NGX_CONF_UNSET_PTR) {
        tscf->externals = ngx_array_create(cf->pool, 2,
                                           sizeof(ngx_trp_turn_external_t));
        if (tscf->externals == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    other = tscf->externals->elts;

    for (i = 0; i < tscf->externals->nelts; i++) {
        if (other[i].addr.family == external.addr.family) {
            return "is duplicate: there may be one IPv4 and one IPv6 address";
        }
    }

    other = ngx_array_push(tscf->externals);
    if (other == NULL) {
        return NGX_CONF_ERROR;
    }

    *other = external;

    return NGX_CONF_OK;
}


char *
ngx_trp_turn_conf_set_ports(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    return ngx_trp_conf_set_ports(cf, cmd, &tscf->first_port,
                                  &tscf->last_port);
}


/* trp_turn_quota [user=N] [address=N] [all=N] */

char *
ngx_trp_turn_conf_set_quota(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    size_t       len;
    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i, *max;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "user=", 5) == 0) {
            max = &tscf->quota[NGX_TRP_TURN_OF_USER];
            len = 5;

        } else if (ngx_strncmp(value[i].data, "address=", 8) == 0) {
            max = &tscf->quota[NGX_TRP_TURN_OF_ADDRESS];
            len = 8;

        } else if (ngx_strncmp(value[i].data, "all=", 4) == 0) {
            max = &tscf->quota[NGX_TRP_TURN_OF_ALL];
            len = 4;

        } else {
            goto invalid;
        }

        if (*max != NGX_CONF_UNSET_UINT) {
            return "is duplicate";
        }

        n = ngx_atoi(value[i].data + len, value[i].len - len);

        if (n == NGX_ERROR || n == 0) {
            goto invalid;
        }

        *max = n;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\", write "
                       "\"user=NUMBER\", \"address=NUMBER\" or "
                       "\"all=NUMBER\"",
                       &value[i], &cmd->name);
    return NGX_CONF_ERROR;
}


/* trp_turn_unauthenticated_rate Nr/s [burst=N] | off */

char *
ngx_trp_turn_conf_set_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (tscf->stranger_rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        tscf->stranger_rate = 0;
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;

    if (value[1].len > 3
        && ngx_strncmp(value[1].data + value[1].len - 3, "r/s", 3) == 0)
    {
        n = ngx_atoi(value[1].data, value[1].len - 3);
    }

    if (n == NGX_ERROR || n == 0 || n > 1000000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid rate \"%V\" in \"%V\", write "
                           "\"NUMBERr/s\" or \"off\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tscf->stranger_rate = n;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;

    if (ngx_strncmp(value[2].data, "burst=", 6) == 0) {
        n = ngx_atoi(value[2].data + 6, value[2].len - 6);
    }

    if (n == NGX_ERROR || n == 0 || n > 1000000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\", write "
                           "\"burst=NUMBER\" or nothing",
                           &value[2], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tscf->stranger_burst = n;

    return NGX_CONF_OK;
}


char *
ngx_trp_turn_conf_check(ngx_conf_t *cf, ngx_trp_turn_srv_conf_t *conf)
{
    if (conf->realm.len == 0 && (conf->users || conf->secrets)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"trp_turn_realm\" is defined for \"trp_turn\" "
                           "with users or secrets, "
                           "write \"trp_turn_realm DOMAIN\"");
        return NGX_CONF_ERROR;
    }

    if (conf->realm.len > TRP_STUN_REALM_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_realm\" is longer than %d bytes",
                           TRP_STUN_REALM_MAX);
        return NGX_CONF_ERROR;
    }

    if (conf->software.len > 128) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_software\" is longer than 128 bytes");
        return NGX_CONF_ERROR;
    }

    if (conf->turn.portal != (conf->portal_conf.token_file.len != 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_portal\" and "
                           "\"trp_turn_portal_token_file\" need each other, "
                           "write both or none");
        return NGX_CONF_ERROR;
    }

    if (conf->turn.portal
        && (conf->externals == NULL || conf->externals->nelts == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_portal\" needs an address to tell the "
                           "portal, write \"trp_turn_external_address "
                           "ADDRESS\"");
        return NGX_CONF_ERROR;
    }

    if (conf->lifetime == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_lifetime\" must be positive");
        return NGX_CONF_ERROR;
    }

    if (conf->max_lifetime < conf->lifetime) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_max_lifetime\" must not be less than "
                           "\"trp_turn_lifetime\", which is %T seconds",
                           conf->lifetime);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

char *
ngx_trp_turn_conf_init_credentials(ngx_conf_t *cf,
    ngx_trp_turn_srv_conf_t *conf)
{
    ngx_uint_t               i;
    ngx_str_t               *value;
    trp_str_t               *secrets;
    const char              *error;
    trp_turn_user_t         *users;
    trp_turn_credentials_t  *credentials;

    credentials = &conf->turn.core.credentials;

    credentials->realm = ngx_trp_str(&conf->realm);

    if (conf->portal_conf.account_validation) {
        credentials->account = ngx_trp_turn_zone_has_account;
    }

    if (conf->users) {
        value = conf->users->elts;

        users = ngx_palloc(cf->pool, conf->users->nelts
                                     * sizeof(trp_turn_user_t));
        if (users == NULL) {
            return NGX_CONF_ERROR;
        }

        for (i = 0; i < conf->users->nelts; i++) {
            error = trp_turn_user_parse(&users[i], ngx_trp_str(&value[i]),
                                        credentials->realm);
            if (error) {

                /* a password must not get into the log */

                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "user \"%*s\" of \"trp_turn_user\" %s",
                                   users[i].name.data ? users[i].name.len : 0,
                                   users[i].name.data, error);
                return NGX_CONF_ERROR;
            }

            if (trp_turn_user_known(users, i, users[i].name)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "user \"%*s\" of \"trp_turn_user\" is "
                                   "duplicate",
                                   users[i].name.len, users[i].name.data);
                return NGX_CONF_ERROR;
            }
        }

        credentials->users = users;
        credentials->nusers = conf->users->nelts;

        if (!trp_turn_all_md5(credentials)
            && !trp_turn_all_sha256(credentials))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"trp_turn_user\" has users with an MD5 key "
                               "and with a SHA-256 key, write passwords or "
                               "keys of one kind");
            return NGX_CONF_ERROR;
        }
    }

    if (conf->secrets) {
        value = conf->secrets->elts;

        secrets = ngx_palloc(cf->pool, conf->secrets->nelts
                                       * sizeof(trp_str_t));
        if (secrets == NULL) {
            return NGX_CONF_ERROR;
        }

        for (i = 0; i < conf->secrets->nelts; i++) {
            secrets[i] = ngx_trp_str(&value[i]);
        }

        credentials->secrets = secrets;
        credentials->nsecrets = conf->secrets->nelts;
    }

    return NGX_CONF_OK;
}
