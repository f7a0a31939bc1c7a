
/*
 * Copyright (C) the trp authors
 */


/*
 * Each module puts its get handler before the existing one; the first that
 * knows the session answers.
 */


#include "stock/ngx_trp_variables.h"


typedef enum {
    NGX_TRP_VAR_DESTINATION = 0,
    NGX_TRP_VAR_HOST,
    NGX_TRP_VAR_PORT,
    NGX_TRP_VAR_ENTRY_KEY,
    NGX_TRP_VAR_ENTRY_NAME,
    NGX_TRP_VAR_GROUP,
    NGX_TRP_VAR_NAME,
    NGX_TRP_VAR_REVERSE_KEY,
    NGX_TRP_VAR_REVERSE_NAME,
    NGX_TRP_VAR_STATUS,
    NGX_TRP_VAR_STREAM_ID
} ngx_trp_variable_e;


typedef struct {
    ngx_trp_variable_e                variable;
    ngx_trp_info_pt                   info;

    /* the handler that another module of ours has registered */
    ngx_stream_get_variable_pt        next;
    uintptr_t                         next_data;
} ngx_trp_variable_t;


static ngx_int_t ngx_trp_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_trp_variable_value(ngx_stream_session_t *s,
    ngx_trp_info_t *info, ngx_trp_variable_e variable, ngx_str_t *value);
static ngx_int_t ngx_trp_variable_key(ngx_stream_session_t *s,
    const trp_authorized_key_t *key, ngx_str_t *value);


static const ngx_str_t  ngx_trp_variable_names[] = {
    ngx_string("trp_destination"),
    ngx_string("trp_destination_host"),
    ngx_string("trp_destination_port"),
    ngx_string("trp_entry_key"),
    ngx_string("trp_entry_name"),
    ngx_string("trp_group"),
    ngx_string("trp_name"),
    ngx_string("trp_reverse_key"),
    ngx_string("trp_reverse_name"),
    ngx_string("trp_status"),
    ngx_string("trp_stream_id")
};


ngx_int_t
ngx_trp_variables_add(ngx_conf_t *cf, ngx_trp_info_pt info)
{
    ngx_str_t               name;
    ngx_uint_t              i;
    ngx_trp_variable_t     *tv;
    ngx_stream_variable_t  *var;

    for (i = NGX_TRP_VAR_DESTINATION; i <= NGX_TRP_VAR_STREAM_ID; i++) {

        name = ngx_trp_variable_names[i];

        var = ngx_stream_add_variable(cf, &name, NGX_STREAM_VAR_CHANGEABLE
                                                 |NGX_STREAM_VAR_NOCACHEABLE);
        tv = ngx_palloc(cf->pool, sizeof(ngx_trp_variable_t));

        if (var == NULL || tv == NULL) {
            return NGX_ERROR;
        }

        tv->variable = i;
        tv->info = info;
        tv->next = var->get_handler;
        tv->next_data = var->data;

        var->get_handler = ngx_trp_variable;
        var->data = (uintptr_t) tv;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_variable(ngx_stream_session_t *s, ngx_stream_variable_value_t *v,
    uintptr_t data)
{
    ngx_int_t            rc;
    ngx_str_t            value;
    ngx_trp_info_t       info;
    ngx_trp_variable_t  *tv;

    tv = (ngx_trp_variable_t *) data;

    ngx_memzero(&info, sizeof(ngx_trp_info_t));

    rc = tv->info(s, &info);

    if (rc == NGX_DECLINED && tv->next) {
        return tv->next(s, v, tv->next_data);
    }

    if (rc == NGX_OK) {
        rc = ngx_trp_variable_value(s, &info, tv->variable, &value);
    }

    if (rc == NGX_DECLINED) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = value.len;
    v->data = value.data;

    return NGX_OK;
}


/* NGX_DECLINED: it is not known here */

static ngx_int_t
ngx_trp_variable_value(ngx_stream_session_t *s, ngx_trp_info_t *info,
    ngx_trp_variable_e variable, ngx_str_t *value)
{
    switch (variable) {

    case NGX_TRP_VAR_DESTINATION:
        *value = info->destination;
        break;

    case NGX_TRP_VAR_HOST:
        *value = info->host;
        break;

    case NGX_TRP_VAR_PORT:
        value->data = ngx_pnalloc(s->connection->pool, sizeof("65535") - 1);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        value->len = ngx_sprintf(value->data, "%ui", (ngx_uint_t) info->port)
                     - value->data;
        break;

    case NGX_TRP_VAR_GROUP:
        *value = info->group;
        break;

    case NGX_TRP_VAR_NAME:
        *value = info->name;
        break;

    case NGX_TRP_VAR_ENTRY_NAME:
        *value = info->entry;
        return value->len ? NGX_OK : NGX_DECLINED;

    case NGX_TRP_VAR_REVERSE_NAME:
        *value = info->reverse;
        return value->len ? NGX_OK : NGX_DECLINED;

    case NGX_TRP_VAR_ENTRY_KEY:
        return ngx_trp_variable_key(s, info->entry_key, value);

    case NGX_TRP_VAR_REVERSE_KEY:
        return ngx_trp_variable_key(s, info->reverse_key, value);

    case NGX_TRP_VAR_STREAM_ID:
        ngx_str_null(value);

        if (info->id) {
            value->data = ngx_pnalloc(s->connection->pool, NGX_TRP_ID_LEN);
            if (value->data == NULL) {
                return NGX_ERROR;
            }

            value->len = ngx_hex_dump(value->data, (u_char *) info->id,
                                      TRP_STREAM_ID_LEN)
                         - value->data;
        }

        break;

    default: /* NGX_TRP_VAR_STATUS */
        value->data = (u_char *) (info->aborted && !info->status
                                  ? "aborted" : trp_code_text(info->status));
        value->len = ngx_strlen(value->data);
    }

    return NGX_OK;
}


/* its comment, or else its fingerprint */

static ngx_int_t
ngx_trp_variable_key(ngx_stream_session_t *s, const trp_authorized_key_t *key,
    ngx_str_t *value)
{
    if (key == NULL) {
        return NGX_DECLINED;
    }

    if (key->comment.len) {
        value->len = key->comment.len;
        value->data = (u_char *) key->comment.data;

        return NGX_OK;
    }

    value->data = ngx_pnalloc(s->connection->pool, TRP_FINGERPRINT_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    trp_key_fingerprint((char *) value->data, key->public_key);
    value->len = ngx_strlen(value->data);

    return NGX_OK;
}
