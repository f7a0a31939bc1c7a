
/*
 * Copyright (C) the trp authors
 */


/*
 * The rules of trp_turn_allow and trp_turn_deny: read in the order they are
 * written in, then sorted for the core.
 */


#include "turn/ngx_trp_turn_conf.h"
#include "base/trp_acl.h"


static ngx_int_t ngx_trp_turn_conf_add_rule(ngx_array_t *list,
    ngx_trp_turn_rule_t *rule, ngx_uint_t family);
static ngx_int_t ngx_trp_turn_conf_rule_cmp(const void *one, const void *two);
static ngx_uint_t ngx_trp_turn_conf_rule_hidden(trp_turn_rule_t *rules,
    ngx_trp_turn_rule_t *all, ngx_uint_t n, ngx_uint_t i);


char *
ngx_trp_turn_conf_set_rules(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_array_t **list = (ngx_array_t **) ((char *) conf + cmd->offset);

    ngx_int_t             rc;
    ngx_str_t            *value;
    ngx_uint_t            i;
    trp_acl_rule_t        acl;
    ngx_trp_turn_rule_t   rule;

    value = cf->args->elts;

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_trp_turn_rule_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_memzero(&rule, sizeof(ngx_trp_turn_rule_t));

    rule.directive = &cmd->name;
    ngx_trp_conf_set_place(cf, &rule.place);

    for (i = 1; i < cf->args->nelts; i++) {

        if (trp_acl_parse(&acl, ngx_trp_str(&value[i])) != NULL
            || (acl.type != TRP_ACL_ALL && acl.type != TRP_ACL_CIDR))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid address \"%V\" in \"%V\", write "
                               "\"ADDRESS\", \"ADDRESS/PREFIX\" or \"all\", "
                               "and \":PORT\" or \":PORT-PORT\" after it for "
                               "some ports", &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        if (acl.low_bits) {
            ngx_trp_conf_low_bits(cf, &value[i],
                                  (const char *) cmd->name.data);
        }

        rule.text = value[i];
        rule.rule.cidr = acl.cidr;
        rule.rule.first = acl.first;
        rule.rule.last = acl.last;

        if (acl.type == TRP_ACL_CIDR) {
            rc = ngx_trp_turn_conf_add_rule(*list, &rule, acl.cidr.addr.family);

        } else {
            rc = ngx_trp_turn_conf_add_rule(*list, &rule, 4);

            if (rc == NGX_OK) {
                rc = ngx_trp_turn_conf_add_rule(*list, &rule, 6);
            }
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_turn_conf_add_rule(ngx_array_t *list, ngx_trp_turn_rule_t *rule,
    ngx_uint_t family)
{
    ngx_trp_turn_rule_t  *r;

    r = ngx_array_push(list);
    if (r == NULL) {
        return NGX_ERROR;
    }

    *r = *rule;
    r->rule.cidr.addr.family = (uint8_t) family;

    return NGX_OK;
}


/* both lists as one, in the order of the core */

char *
ngx_trp_turn_conf_init_rules(ngx_conf_t *cf, ngx_trp_turn_srv_conf_t *conf)
{
    ngx_uint_t            i, n, nallow;
    trp_turn_rule_t      *rules;
    ngx_trp_turn_rule_t  *all;

    nallow = conf->allow ? conf->allow->nelts : 0;
    n = nallow + (conf->deny ? conf->deny->nelts : 0);

    if (n == 0) {
        return NGX_CONF_OK;
    }

    rules = ngx_palloc(cf->pool, n * sizeof(trp_turn_rule_t));
    all = ngx_palloc(cf->temp_pool, n * sizeof(ngx_trp_turn_rule_t));

    if (rules == NULL || all == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n; i++) {
        all[i] = (i < nallow)
                 ? ((ngx_trp_turn_rule_t *) conf->allow->elts)[i]
                 : ((ngx_trp_turn_rule_t *) conf->deny->elts)[i - nallow];

        all[i].rule.allow = (i < nallow);
    }

    ngx_sort(all, n, sizeof(ngx_trp_turn_rule_t), ngx_trp_turn_conf_rule_cmp);

    for (i = 0; i < n; i++) {
        rules[i] = all[i].rule;
    }

    for (i = 0; i < n; i++) {

        if (ngx_trp_turn_conf_rule_hidden(rules, all, n, i)) {
            ngx_trp_conf_swap_place(cf, &all[i].place);

            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"%V\" can never match: rules with "
                               "a longer prefix or fewer ports come first, "
                               "then \"trp_turn_deny\"",
                               &all[i].text, all[i].directive);

            ngx_trp_conf_swap_place(cf, &all[i].place);
        }
    }

    conf->turn.core.access.rules = rules;
    conf->turn.core.access.nrules = n;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_turn_conf_rule_cmp(const void *one, const void *two)
{
    const ngx_trp_turn_rule_t *a = one;
    const ngx_trp_turn_rule_t *b = two;

    return trp_turn_rule_cmp(&a->rule, &b->rule);
}


/* "all" makes two rules: one warning, and only if neither can match */

static ngx_uint_t
ngx_trp_turn_conf_rule_hidden(trp_turn_rule_t *rules, ngx_trp_turn_rule_t *all,
    ngx_uint_t n, ngx_uint_t i)
{
    ngx_uint_t  j;

    if (!trp_turn_rule_hidden(rules, i)) {
        return 0;
    }

    for (j = 0; j < n; j++) {

        if (j != i && all[j].text.data == all[i].text.data
            && (j < i || !trp_turn_rule_hidden(rules, j)))
        {
            return 0;
        }
    }

    return 1;
}
