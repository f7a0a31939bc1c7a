
/*
 * Copyright (C) the trp authors
 */


/*
 * SOCKS5 as a front: its directives, the preread handler that runs the
 * handshake, and the log handler that tells a client why its request failed.
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "socks5/ngx_trp_socks5.h"
#include "status/ngx_trp_status_zone.h"
#include "stock/ngx_trp_ends.h"
#include "stock/ngx_trp_stock.h"
#include "stock/ngx_trp_variables.h"


/* of the operator's view: some thousand users */
#define NGX_TRP_SOCKS5_STATUS_SIZE  (4 * 1024 * 1024)


typedef struct {
    ngx_array_t               confs;     /* ngx_trp_socks5_conf_t * */
    ngx_trp_socks5_worker_t  *worker;
} ngx_trp_socks5_main_conf_t;


static ngx_int_t ngx_trp_socks5_preread_handler(ngx_stream_session_t *s);
static ngx_trp_socks5_t *ngx_trp_socks5_start(ngx_stream_session_t *s,
    ngx_trp_socks5_conf_t *conf);
static void ngx_trp_socks5_content_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_socks5_log_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_socks5_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);
static ngx_int_t ngx_trp_socks5_user_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_trp_socks5_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_socks5_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_socks5_init_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static ngx_int_t ngx_trp_socks5_init_servers(ngx_conf_t *cf,
    ngx_stream_core_main_conf_t *cmcf);
static ngx_int_t ngx_trp_socks5_add_server(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf);
static void *ngx_trp_socks5_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_socks5_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_socks5_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_trp_socks5_init_process(ngx_cycle_t *cycle);
static void ngx_trp_socks5_exit_process(ngx_cycle_t *cycle);


/* variables known after the handshake, before the upstream */

static const char *const  ngx_trp_socks5_known[] = {
    "trp_socks5_user",
    "trp_destination",
    "trp_destination_host",
    "trp_destination_port",
    NULL
};


static ngx_command_t  ngx_trp_socks5_commands[] = {

    { ngx_string("trp_socks5"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_trp_socks5_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_user"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_socks5_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_user_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_socks5_set_user_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_allow"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_socks5_set_rules,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_deny"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_socks5_set_rules,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_udp"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_socks5_conf_t, udp),
      NULL },

    { ngx_string("trp_socks5_udp_address"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_socks5_set_udp_address,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_udp_ports"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_socks5_set_udp_ports,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_socks5_udp_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_socks5_conf_t, udp_timeout),
      (void *) &ngx_trp_conf_positive },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_socks5_module_ctx = {
    ngx_trp_socks5_preconfiguration,       /* preconfiguration */
    ngx_trp_socks5_postconfiguration,      /* postconfiguration */

    ngx_trp_socks5_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_trp_socks5_create_srv_conf,        /* create server configuration */
    ngx_trp_socks5_merge_srv_conf          /* merge server configuration */
};


ngx_module_t  ngx_trp_socks5_module = {
    NGX_MODULE_V1,
    &ngx_trp_socks5_module_ctx,            /* module context */
    ngx_trp_socks5_commands,               /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_trp_socks5_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_socks5_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_trp_socks5_preread_handler(ngx_stream_session_t *s)
{
    ngx_trp_socks5_t       *sk;
    ngx_trp_socks5_conf_t  *conf;

    conf = ngx_stream_get_module_srv_conf(s, ngx_trp_socks5_module);

    if (!conf->enabled) {
        return NGX_DECLINED;
    }

    sk = ngx_stream_get_module_ctx(s, ngx_trp_socks5_module);

    if (sk == NULL) {
        sk = ngx_trp_socks5_start(s, conf);
        if (sk == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_trp_socks5_handshake(sk);
}


static ngx_trp_socks5_t *
ngx_trp_socks5_start(ngx_stream_session_t *s, ngx_trp_socks5_conf_t *conf)
{
    ngx_trp_socks5_t            *sk;
    ngx_trp_socks5_main_conf_t  *smcf;

    smcf = ngx_stream_get_module_main_conf(s, ngx_trp_socks5_module);

    sk = ngx_trp_socks5_create(s, &smcf->worker->servers[conf->number]);

    if (sk) {
        ngx_stream_set_ctx(s, sk, ngx_trp_socks5_module);
    }

    return sk;
}


static void
ngx_trp_socks5_content_handler(ngx_stream_session_t *s)
{
    ngx_int_t          rc;
    ngx_trp_socks5_t  *sk;

    sk = ngx_stream_get_module_ctx(s, ngx_trp_socks5_module);

    if (sk == NULL || sk->state != NGX_TRP_SOCKS5_READY) {
        ngx_log_error(NGX_LOG_ERR, s->connection->log, 0,
                      "another module has taken the SOCKS5 request");
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_trp_limit_conn_check(&sk->conf->limits, s);

    if (rc != NGX_OK) {
        sk->target.code = TRP_CODE_LIMIT;
        ngx_stream_finalize_session(s, rc);
        return;
    }

    ngx_trp_socks5_proxy(sk);
}


static ngx_int_t
ngx_trp_socks5_log_handler(ngx_stream_session_t *s)
{
    ngx_trp_socks5_t       *sk;
    ngx_connection_t       *c;
    ngx_trp_socks5_conf_t  *conf;

    sk = ngx_stream_get_module_ctx(s, ngx_trp_socks5_module);

    if (sk) {
        ngx_trp_socks5_end(sk);
        return NGX_OK;
    }

    conf = ngx_stream_get_module_srv_conf(s, ngx_trp_socks5_module);
    c = s->connection;

    if (conf->enabled && !(c->ssl && !c->ssl->handshaked)) {

        /* refused before the handshake: nothing has been sent yet */
        ngx_trp_ends_arm(c);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_info(ngx_stream_session_t *s, ngx_trp_info_t *info)
{
    ngx_trp_socks5_t  *sk;

    sk = ngx_stream_get_module_ctx(s, ngx_trp_socks5_module);

    if (sk == NULL || sk->target.informs) {
        return NGX_DECLINED;
    }

    info->host = sk->target.host;
    info->port = sk->target.port;
    info->destination = sk->target.destination;
    info->status = sk->target.code;
    info->aborted = (s->connection->error || s->connection->read->error);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_user_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_trp_socks5_t  *sk;

    sk = ngx_stream_get_module_ctx(s, ngx_trp_socks5_module);

    if (sk == NULL || sk->user.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = sk->user.len;
    v->data = sk->user.data;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_preconfiguration(ngx_conf_t *cf)
{
    ngx_str_t               name = ngx_string("trp_socks5_user");
    ngx_stream_variable_t  *var;

    var = ngx_stream_add_variable(cf, &name, NGX_STREAM_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_trp_socks5_user_variable;

    return ngx_trp_variables_add(cf, ngx_trp_socks5_info);
}


static ngx_int_t
ngx_trp_socks5_postconfiguration(ngx_conf_t *cf)
{
    ngx_stream_handler_pt        *h;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    if (ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_socks5_init_listen, NULL)
        != NGX_OK
        || ngx_trp_socks5_init_servers(cf, cmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_PREREAD_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_socks5_preread_handler;

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_socks5_log_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_init_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_trp_socks5_conf_t  *conf;

    conf = listen->ctx->srv_conf[ngx_trp_socks5_module.ctx_index];

    if (!conf->enabled) {
        return NGX_OK;
    }

    if (ngx_trp_conf_check_shared(cf, listen, "trp_socks5", &conf->place)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trp_socks5_check_listen(cf, conf, listen);
}


static ngx_int_t
ngx_trp_socks5_init_servers(ngx_conf_t *cf, ngx_stream_core_main_conf_t *cmcf)
{
    void                        **srv_conf;
    ngx_uint_t                    i;
    ngx_trp_socks5_conf_t        *conf;
    ngx_stream_core_srv_conf_t  **cscf;

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        srv_conf = cscf[i]->ctx->srv_conf;
        conf = srv_conf[ngx_trp_socks5_module.ctx_index];

        if (!conf->enabled) {
            continue;
        }

        if (conf->listens == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"trp_socks5\" in %s:%ui needs a \"listen\" of its "
                          "own, it cannot be used with \"trp_reverse\"",
                          conf->place.file_name, conf->place.line);
            return NGX_ERROR;
        }

        conf->handler = cscf[i]->handler;
        cscf[i]->handler = ngx_trp_socks5_content_handler;

        if (ngx_trp_socks5_add_server(cf, conf) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_trp_stock_check(cf, ngx_trp_stock_socks5, srv_conf,
                                "trp_socks5", conf->place.file_name,
                                conf->place.line)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_trp_limit_conn_init(cf, &conf->limits, srv_conf,
                                    ngx_trp_socks5_known, "trp_socks5",
                                    conf->place.file_name, conf->place.line)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (conf->udp
            && ngx_trp_stock_check(cf, ngx_trp_stock_socks5_udp, srv_conf,
                                   "trp_socks5", conf->place.file_name,
                                   conf->place.line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_add_server(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf)
{
    ngx_trp_socks5_conf_t       **confs;
    ngx_trp_socks5_main_conf_t   *smcf;

    smcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_socks5_module);

    confs = ngx_array_push(&smcf->confs);

    if (confs == NULL
        || ngx_trp_status_zone_add(cf, NGX_TRP_SOCKS5_STATUS_SIZE) == NULL)
    {
        return NGX_ERROR;
    }

    *confs = conf;
    conf->number = smcf->confs.nelts - 1;

    return NGX_OK;
}


static void *
ngx_trp_socks5_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_socks5_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_socks5_main_conf_t));

    if (smcf == NULL
        || ngx_array_init(&smcf->confs, cf->pool, 1,
                          sizeof(ngx_trp_socks5_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return smcf;
}


static void *
ngx_trp_socks5_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_socks5_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_socks5_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    ngx_trp_socks5_create_conf(conf);

    return conf;
}


static char *
ngx_trp_socks5_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_socks5_conf_t *conf = child;

    const char                  *other;
    ngx_stream_conf_ctx_t       *ctx;
    ngx_stream_core_srv_conf_t  *cscf;

    ngx_trp_socks5_merge_conf(parent, child);

    if (!conf->enabled) {
        return NGX_CONF_OK;
    }

    ctx = cf->ctx;

    if (ngx_trp_target_claim(cf, ctx->srv_conf, "trp_socks5", &other)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (other) {
        cscf = ctx->srv_conf[ngx_stream_core_module.ctx_index];

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_socks5\" cannot be used with \"%s\" in %s:%ui, "
                      "write \"listen\": its clients say where to",
                      other, cscf->file_name, cscf->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_socks5_init_process(ngx_cycle_t *cycle)
{
    ngx_trp_socks5_main_conf_t  *smcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    smcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_socks5_module);

    if (smcf == NULL || smcf->confs.nelts == 0) {
        return NGX_OK;
    }

    smcf->worker = ngx_trp_socks5_status_init(cycle, &smcf->confs);

    return smcf->worker ? NGX_OK : NGX_ERROR;
}


static void
ngx_trp_socks5_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_socks5_main_conf_t  *smcf;

    smcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_socks5_module);

    if (smcf && smcf->worker) {
        ngx_trp_socks5_status_exit(smcf->worker);
    }
}
