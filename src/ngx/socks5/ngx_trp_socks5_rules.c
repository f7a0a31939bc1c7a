
/*
 * Copyright (C) the trp authors
 */


/*
 * Where SOCKS5 clients may go.  Rules for addresses do not decide about a name
 * until its address is known.
 */


#include "socks5/ngx_trp_socks5_rules.h"
#include "base/trp_acl.h"


typedef int (*ngx_trp_socks5_match_pt)(const trp_acl_rule_t *rule,
    const trp_addr_t *addr, uint16_t port);


static ngx_uint_t ngx_trp_socks5_match_name(ngx_array_t *rules,
    trp_str_t name, in_port_t port, ngx_uint_t *perhaps);
static ngx_uint_t ngx_trp_socks5_match_addr(ngx_array_t *rules,
    ngx_trp_socks5_match_pt match, trp_str_t name, const trp_addr_t *addr,
    in_port_t port);


/* 1 if a rule matches the name; "perhaps": a rule for addresses may match */

static ngx_uint_t
ngx_trp_socks5_match_name(ngx_array_t *rules, trp_str_t name, in_port_t port,
    ngx_uint_t *perhaps)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    *perhaps = 0;

    if (rules == NULL) {
        return 0;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {

        if (trp_acl_match_name(&rule[i], name, port)) {
            return 1;
        }

        if (rule[i].type == TRP_ACL_CIDR
            && port >= rule[i].first && port <= rule[i].last)
        {
            *perhaps = 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_socks5_check_name(ngx_trp_socks5_conf_t *conf, trp_str_t name,
    in_port_t port)
{
    ngx_uint_t  perhaps;

    if (ngx_trp_socks5_match_name(conf->deny, name, port, &perhaps)) {
        return NGX_DECLINED;
    }

    if (perhaps) {
        return NGX_AGAIN;
    }

    if (conf->allow == NULL
        || ngx_trp_socks5_match_name(conf->allow, name, port, &perhaps))
    {
        return NGX_OK;
    }

    return perhaps ? NGX_AGAIN : NGX_DECLINED;
}


static ngx_uint_t
ngx_trp_socks5_match_addr(ngx_array_t *rules, ngx_trp_socks5_match_pt match,
    trp_str_t name, const trp_addr_t *addr, in_port_t port)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    if (rules == NULL) {
        return 0;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {
        if (match(&rule[i], addr, port)
            || (name.len && trp_acl_match_name(&rule[i], name, port)))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_socks5_check_addr(ngx_trp_socks5_conf_t *conf, trp_str_t name,
    const trp_addr_t *addr, in_port_t port)
{
    if (ngx_trp_socks5_match_addr(conf->deny, trp_acl_match_denied, name, addr,
                                  port))
    {
        return NGX_DECLINED;
    }

    return (conf->allow == NULL
            || ngx_trp_socks5_match_addr(conf->allow, trp_acl_match_addr, name,
                                         addr, port))
           ? NGX_OK : NGX_DECLINED;
}
