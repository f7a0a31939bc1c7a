
/*
 * Copyright (C) the trp authors
 */


/*
 * What log phase handlers and variables need of a session: empty contexts of
 * all modules, the values of variables, and a connection without a socket.
 */


#include "stock/ngx_trp_log_session.h"


ngx_trp_log_session_t *
ngx_trp_log_session_create(ngx_pool_t *pool, void **main_conf, void **srv_conf)
{
    ngx_connection_t             *c;
    ngx_stream_session_t         *s;
    ngx_trp_log_session_t        *ls;
    ngx_stream_core_main_conf_t  *cmcf;

    ls = ngx_pcalloc(pool, sizeof(ngx_trp_log_session_t));
    if (ls == NULL) {
        return NULL;
    }

    s = &ls->session;
    c = &ls->connection;

    s->signature = NGX_STREAM_MODULE;
    s->connection = c;
    s->main_conf = main_conf;
    s->srv_conf = srv_conf;

    c->fd = (ngx_socket_t) -1;
    c->data = s;
    c->pool = pool;

    cmcf = ngx_stream_get_module_main_conf(s, ngx_stream_core_module);

    s->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_stream_max_module);
    s->variables = ngx_pcalloc(pool, cmcf->variables.nelts
                                     * sizeof(ngx_stream_variable_value_t));

    return (s->ctx && s->variables) ? ls : NULL;
}


void
ngx_trp_log_session_run(ngx_trp_log_session_t *ls)
{
    ngx_uint_t                    i;
    ngx_array_t                  *handlers;
    ngx_stream_handler_pt        *handler;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_get_module_main_conf((&ls->session),
                                           ngx_stream_core_module);

    handlers = &cmcf->phases[NGX_STREAM_LOG_PHASE].handlers;
    handler = handlers->elts;

    for (i = 0; i < handlers->nelts; i++) {
        (void) handler[i](&ls->session);
    }
}
