
/*
 * Copyright (C) the trp authors
 */


/*
 * Runs the stock handler once more after the handshake, with only those limits
 * whose keys have our variables.  The stock module has no header: its types are
 * copied here, and its configuration is found by the directive.
 */


#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_stock.h"


#define NGX_TRP_LIMIT_CONN_PREFIX  "trp_"


/* as in the stock module, which has no header */

typedef struct {
    ngx_shm_zone_t              *zone;
    ngx_uint_t                   conn;
} ngx_trp_limit_conn_limit_t;


typedef struct {
    void                        *sh;
    void                        *shpool;
    ngx_stream_complex_value_t   key;
} ngx_trp_limit_conn_zone_t;


static ngx_str_t *ngx_trp_limit_conn_variable(ngx_conf_t *cf,
    ngx_trp_limit_conn_limit_t *limit, const char *const *known,
    ngx_str_t **unknown);
static ngx_stream_handler_pt ngx_trp_limit_conn_handler(ngx_conf_t *cf);


ngx_int_t
ngx_trp_limit_conn_init(ngx_conf_t *cf, ngx_trp_limit_conn_t *late,
    void **srv_conf, const char *const *known, const char *ours,
    u_char *file_name, ngx_uint_t line)
{
    ngx_str_t                   *unknown;
    ngx_uint_t                   i, n;
    ngx_array_t                  lists[2], *limits;
    ngx_trp_limit_conn_limit_t  *limit, *l;

    limits = ngx_trp_stock_member(cf, srv_conf, "limit_conn");

    if (limits == NULL || limits->elts == NULL
        || limits->size != sizeof(ngx_trp_limit_conn_limit_t))
    {
        return NGX_OK;
    }

    /* the elements may be shared with other servers */

    for (i = 0; i < 2; i++) {
        if (ngx_array_init(&lists[i], cf->pool, limits->nelts,
                           sizeof(ngx_trp_limit_conn_limit_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        n = (ngx_trp_limit_conn_variable(cf, &limit[i], known, &unknown)
             != NULL);

        if (unknown) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"limit_conn\" by \"$%V\" cannot be used with "
                          "\"%s\" in %s:%ui, it is not known yet when the "
                          "limit is looked at, write \"$remote_addr\"",
                          unknown, ours, file_name, line);
            return NGX_ERROR;
        }

        l = ngx_array_push(&lists[n]);
        if (l == NULL) {
            return NGX_ERROR;
        }

        *l = limit[i];
    }

    if (late == NULL || lists[1].nelts == 0) {
        return NGX_OK;
    }

    late->handler = ngx_trp_limit_conn_handler(cf);

    if (late->handler == NULL) {
        return NGX_ERROR;
    }

    late->limits = limits;
    late->late = lists[1];

    *limits = lists[0];

    return NGX_OK;
}


/* a variable of ours in the key, or NULL */

static ngx_str_t *
ngx_trp_limit_conn_variable(ngx_conf_t *cf, ngx_trp_limit_conn_limit_t *limit,
    const char *const *known, ngx_str_t **unknown)
{
    ngx_str_t                    *name, *found;
    ngx_uint_t                    i, *index;
    ngx_stream_variable_t        *v;
    ngx_trp_limit_conn_zone_t    *zone;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    v = cmcf->variables.elts;

    zone = limit->zone->data;
    index = zone->key.flushes;

    found = NULL;
    *unknown = NULL;

    for ( /* void */ ; index && *index != (ngx_uint_t) -1; index++) {

        name = &v[*index].name;

        if (name->len < sizeof(NGX_TRP_LIMIT_CONN_PREFIX)
            || ngx_strncmp(name->data, NGX_TRP_LIMIT_CONN_PREFIX,
                           sizeof(NGX_TRP_LIMIT_CONN_PREFIX) - 1)
               != 0)
        {
            continue;
        }

        found = name;

        for (i = 0; known[i]; i++) {
            if (ngx_strlen(known[i]) == name->len
                && ngx_strncmp(known[i], name->data, name->len) == 0)
            {
                break;
            }
        }

        if (known[i] == NULL) {
            *unknown = name;
            break;
        }
    }

    return found;
}


/* has the stock module add its handler to the phase again, and removes it */

static ngx_stream_handler_pt
ngx_trp_limit_conn_handler(ngx_conf_t *cf)
{
    ngx_uint_t                    i, n;
    ngx_array_t                  *handlers;
    ngx_command_t                *cmd;
    ngx_module_t                **modules;
    ngx_stream_module_t          *module;
    ngx_stream_handler_pt        *h;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    handlers = &cmcf->phases[NGX_STREAM_PREACCESS_PHASE].handlers;

    modules = cf->cycle->modules;

    for (i = 0; modules[i]; i++) {

        cmd = modules[i]->commands;

        if (modules[i]->type != NGX_STREAM_MODULE || cmd == NULL
            || ngx_strcmp(cmd->name.data, "limit_conn_zone") != 0)
        {
            continue;
        }

        module = modules[i]->ctx;
        n = handlers->nelts;

        if (module->postconfiguration == NULL
            || module->postconfiguration(cf) != NGX_OK
            || handlers->nelts != n + 1)
        {
            return NULL;
        }

        h = handlers->elts;
        handlers->nelts = n;

        return h[n];
    }

    return NULL;
}


ngx_int_t
ngx_trp_limit_conn_check(ngx_trp_limit_conn_t *late, ngx_stream_session_t *s)
{
    ngx_int_t    rc;
    ngx_uint_t   status;
    ngx_array_t  early;

    if (late->handler == NULL) {
        return NGX_OK;
    }

    early = *late->limits;
    status = s->limit_conn_status;

    *late->limits = late->late;
    s->limit_conn_status = 0;

    rc = late->handler(s);

    *late->limits = early;

    if (s->limit_conn_status == 0) {
        s->limit_conn_status = status;
    }

    if (rc == NGX_OK || rc == NGX_DECLINED) {
        return NGX_OK;
    }

    return (rc == NGX_ERROR) ? NGX_STREAM_INTERNAL_SERVER_ERROR : rc;
}
