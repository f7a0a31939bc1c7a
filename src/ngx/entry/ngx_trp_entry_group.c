
/*
 * Copyright (C) the trp authors
 */


/*
 * The directive that sets the group of an upstream, and its value for a user.
 * Strangers may choose what is in the variables, so a value that is no name of
 * a group refuses the user.
 */


#include "entry/ngx_trp_entry_group.h"


static ngx_int_t ngx_trp_entry_invalid_group(ngx_trp_entry_ctx_t *ctx,
    const ngx_str_t *group);


char *
ngx_trp_entry_group(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value;
    ngx_trp_entry_conf_t  *ecf;

    ecf = (ngx_trp_entry_conf_t *) ((char *) conf + cmd->offset
                                    - offsetof(ngx_trp_entry_conf_t,
                                               agent.group));
    value = cf->args->elts;

    if (ecf->agent.group.data || !ngx_stream_script_variables_count(&value[1]))
    {
        return ngx_trp_agent_label(cf, cmd, conf);
    }

    ecf->group = ngx_trp_conf_complex(cf, &value[1]);
    if (ecf->group == NULL) {
        return NGX_CONF_ERROR;
    }

    ecf->agent.group = value[1];

    return NGX_CONF_OK;
}


void
ngx_trp_entry_merge_group(const ngx_trp_entry_conf_t *prev,
    ngx_trp_entry_conf_t *conf)
{
    if (conf->agent.group.data == NULL) {
        conf->group = prev->group;
    }
}


ngx_int_t
ngx_trp_entry_set_group(ngx_trp_entry_ctx_t *ctx,
    const ngx_trp_entry_conf_t *conf)
{
    ngx_str_t  group;

    if (conf->group == NULL) {
        ctx->group = conf->agent.group;
        return NGX_OK;
    }

    if (ngx_stream_complex_value(ctx->session, conf->group, &group) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!trp_label_valid(ngx_trp_str(&group))) {
        return ngx_trp_entry_invalid_group(ctx, &group);
    }

    ctx->group = group;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_invalid_group(ngx_trp_entry_ctx_t *ctx, const ngx_str_t *group)
{
    u_char  *p;

    ctx->code = TRP_CODE_NOT_ALLOWED;
    ctx->why = "its group is empty";

    if (group->len == 0) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(ctx->session->connection->pool,
                    sizeof("invalid group \"\"") + NGX_TRP_TEXT_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(p, "invalid group \"%s\"%Z",
                ngx_trp_text(group->data, group->len).data);

    ctx->why = (char *) p;

    return NGX_DECLINED;
}
