
/*
 * Copyright (C) the trp authors
 */


/*
 * The directives "trp_socks5_*": users with their passwords, where they may go,
 * and the addresses of sockets for datagrams.
 */


#include "socks5/ngx_trp_socks5_conf.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_key_file.h"
#include "base/trp_acl.h"


static ngx_trp_socks5_user_t *ngx_trp_socks5_add_user(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, ngx_str_t *text, const char **err);
static void ngx_trp_socks5_check_rule(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, trp_acl_rule_t *rule, ngx_uint_t deny,
    ngx_str_t *text);


void
ngx_trp_socks5_create_conf(ngx_trp_socks5_conf_t *conf)
{
    conf->udp = NGX_CONF_UNSET;
    conf->udp_timeout = NGX_CONF_UNSET_MSEC;
}


void
ngx_trp_socks5_merge_conf(ngx_trp_socks5_conf_t *prev,
    ngx_trp_socks5_conf_t *conf)
{
    if (conf->users == NULL) {
        conf->users = prev->users;
    }

    if (conf->allow == NULL && conf->deny == NULL) {
        conf->allow = prev->allow;
        conf->deny = prev->deny;
    }

    if (conf->udp_addr4.family == 0 && conf->udp_addr6.family == 0) {
        conf->udp_addr4 = prev->udp_addr4;
        conf->udp_addr6 = prev->udp_addr6;
    }

    if (conf->udp_first == 0) {
        conf->udp_first = prev->udp_first;
        conf->udp_last = prev->udp_last;
    }

    ngx_conf_merge_value(conf->udp, prev->udp, 1);
    ngx_conf_merge_msec_value(conf->udp_timeout, prev->udp_timeout, 120000);
}


char *
ngx_trp_socks5_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    if (scf->enabled) {
        return "is duplicate";
    }

    scf->enabled = 1;

    ngx_trp_conf_set_place(cf, &scf->place);

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "public") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"trp_socks5\", write "
                           "\"public\" or nothing", &value[1]);
        return NGX_CONF_ERROR;
    }

    scf->public = 1;

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    const char  *err;

    value = cf->args->elts;

    if (ngx_trp_socks5_add_user(cf, (ngx_trp_socks5_conf_t *)
                                    ((char *) conf + cmd->offset),
                                &value[1], &err)
        == NULL)
    {
        /* not the text: it may be a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"trp_socks5_user\" %s",
                           err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_user_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                 *p, *last, *end, *comment;
    ngx_str_t              *value, text, line;
    ngx_uint_t              n;
    const char             *err;
    ngx_trp_socks5_conf_t  *scf;
    ngx_trp_socks5_user_t  *user;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    if (ngx_trp_key_file_text(cf, "user", &value[1], &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    p = text.data;
    last = text.data + text.len;

    for (n = 1; p < last; n++, p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        end = end ? end : last;

        line.data = p;
        line.len = end - p;

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        user = ngx_trp_socks5_add_user(cf, scf, &line, &err);

        if (user == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "line %ui of user file \"%V\" %s",
                               n, &value[1], err);
            return NGX_CONF_ERROR;
        }

        user->hashed = 1;

        comment = ngx_strlchr(user->password.data, user->password.data
                                                   + user->password.len, ':');
        if (comment) {
            *comment = '\0';
            user->password.len = comment - user->password.data;
        }
    }

    if (scf->users == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no users in user file \"%V\", write lines "
                           "of the form NAME:HASH", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* on failure NULL; "err" is the end of a sentence */

static ngx_trp_socks5_user_t *
ngx_trp_socks5_add_user(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    ngx_str_t *text, const char **err)
{
    u_char                 *p, *colon;
    ngx_uint_t              i;
    ngx_trp_socks5_user_t  *user;

    *err = "needs more memory";

    colon = ngx_strlchr(text->data, text->data + text->len, ':');

    if (colon == NULL || colon == text->data
        || colon == text->data + text->len - 1)
    {
        *err = "must have the form NAME:PASSWORD";
        return NULL;
    }

    if (colon - text->data > 255 || text->data + text->len - colon - 1 > 255) {
        *err = "has a name or a password of more than 255 bytes";
        return NULL;
    }

    if (conf->users == NULL) {
        conf->users = ngx_array_create(cf->pool, 4,
                                       sizeof(ngx_trp_socks5_user_t));
        if (conf->users == NULL) {
            return NULL;
        }
    }

    user = conf->users->elts;

    for (i = 0; i < conf->users->nelts; i++) {
        if (user[i].name.len == (size_t) (colon - text->data)
            && ngx_memcmp(user[i].name.data, text->data, user[i].name.len) == 0)
        {
            *err = "repeats a user";
            return NULL;
        }
    }

    user = ngx_array_push(conf->users);
    p = ngx_pnalloc(cf->pool, text->len + 1);

    if (user == NULL || p == NULL) {
        return NULL;
    }

    (void) ngx_cpystrn(p, text->data, text->len + 1);

    user->name.data = p;
    user->name.len = colon - text->data;
    user->password.data = p + user->name.len + 1;
    user->password.len = text->len - user->name.len - 1;
    user->hashed = 0;

    return user;
}


/* warns of a rule to allow that can never match */

static void
ngx_trp_socks5_check_rule(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    trp_acl_rule_t *rule, ngx_uint_t deny, ngx_str_t *text)
{
    ngx_uint_t       i;
    ngx_array_t     *others;
    trp_acl_rule_t  *other;

    others = deny ? conf->allow : conf->deny;

    if (others == NULL) {
        return;
    }

    other = others->elts;

    for (i = 0; i < others->nelts; i++) {

        if (deny && trp_acl_covers(rule, &other[i])) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"trp_socks5_deny\" names all of a "
                               "rule of \"trp_socks5_allow\", which can never "
                               "match", text);
            return;
        }

        if (!deny && trp_acl_covers(&other[i], rule)) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"trp_socks5_allow\" can never "
                               "match: \"trp_socks5_deny\" names all of it",
                               text);
            return;
        }
    }
}


/* trp_socks5_allow and trp_socks5_deny */

char *
ngx_trp_socks5_set_rules(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_uint_t              i;
    const char             *err;
    ngx_array_t           **rules;
    trp_acl_rule_t         *rule;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    rules = (ngx_strcmp(cmd->name.data, "trp_socks5_deny") == 0) ? &scf->deny
                                                                 : &scf->allow;

    if (*rules == NULL) {
        *rules = ngx_array_create(cf->pool, 4, sizeof(trp_acl_rule_t));
        if (*rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rule = ngx_array_push(*rules);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        err = trp_acl_parse(rule, ngx_trp_str(&value[i]));

        if (err == NULL && rule->type == TRP_ACL_UNIX) {
            err = "is a unix socket, for which clients have no name";
        }

        if (err) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" in \"%V\" %s",
                               &value[i], &cmd->name, err);
            return NGX_CONF_ERROR;
        }

        if (rule->low_bits) {
            ngx_trp_conf_low_bits(cf, &value[i],
                                  (const char *) cmd->name.data);
        }

        ngx_trp_socks5_check_rule(cf, scf, rule, *rules == scf->deny,
                                  &value[i]);
    }

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_udp_address(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    trp_addr_t              addr, any, *to;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    ngx_memzero(&any, sizeof(trp_addr_t));

    if (trp_addr_parse(&addr, ngx_trp_str(&value[1])) != TRP_OK
        || trp_addr_unmap(&addr)
        || ngx_memcmp(addr.bytes, any.bytes, 16) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"%V\", write the IPv4 "
                           "or IPv6 address that clients can reach",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    to = (addr.family == 4) ? &scf->udp_addr4 : &scf->udp_addr6;

    if (to->family) {
        return "is duplicate: there may be one IPv4 and one IPv6 address";
    }

    *to = addr;

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_udp_ports(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    return ngx_trp_conf_set_ports(cf, cmd, &scf->udp_first, &scf->udp_last);
}


ngx_int_t
ngx_trp_socks5_check_listen(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    ngx_trp_conf_listen_t *listen)
{
    in_port_t   port;
    trp_addr_t  addr;

    if (conf->listens++ == 0) {
        conf->listen.data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN);
        if (conf->listen.data == NULL) {
            return NGX_ERROR;
        }

        conf->listen.len = ngx_sock_ntop(listen->sockaddr,
                                         sizeof(ngx_sockaddr_t),
                                         conf->listen.data,
                                         NGX_SOCKADDR_STRLEN, 1);
    }

    if (listen->type != SOCK_STREAM) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_socks5\" in %s:%ui cannot be used with \"listen "
                      "... udp\", it has UDP sockets of its own",
                      conf->place.file_name, conf->place.line);
        return NGX_ERROR;
    }

    if (conf->public || listen->sockaddr->sa_family == AF_UNIX) {
        return NGX_OK;
    }

    ngx_trp_addr_from_sockaddr(&addr, &port, listen->sockaddr);

    if (!listen->wildcard && trp_addr_is_private(&addr)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"trp_socks5\" in %s:%ui listens on a public address, "
                  "write \"listen 127.0.0.1:%ui\", or \"trp_socks5 public\" "
                  "if any client may connect, and \"trp_socks5_user\"",
                  conf->place.file_name, conf->place.line, (ngx_uint_t) port);

    return NGX_ERROR;
}
