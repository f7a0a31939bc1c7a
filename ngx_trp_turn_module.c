
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN server: its directives, its configuration, and its handlers in
 * nginx.  Clients over TCP and TLS come as stream sessions; the workers take
 * over the sockets of those over UDP.
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "status/ngx_trp_status_zone.h"
#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_stock.h"
#include "turn/ngx_trp_turn_accounts.h"
#include "turn/ngx_trp_turn_conf.h"
#include "turn/ngx_trp_turn_log.h"
#include "turn/ngx_trp_turn_tcp.h"
#include "turn/ngx_trp_turn_worker.h"


#define NGX_TRP_TURN_ZONE_SIZE    (8 * 1024 * 1024)

/* of the operator's view: some thousand users */
#define NGX_TRP_TURN_STATUS_SIZE  (4 * 1024 * 1024)


typedef struct {
    ngx_array_t                  servers;  /* ngx_trp_turn_conf_t * */
    ngx_array_t                  confs;    /* ngx_trp_turn_srv_conf_t * */
    ngx_shm_zone_t              *zone;
    ngx_trp_turn_worker_t       *worker;
    ngx_uint_t                   portal;   /* some server has one */
} ngx_trp_turn_main_conf_t;


static ngx_int_t ngx_trp_turn_guard_handler(ngx_stream_session_t *s);
static void ngx_trp_turn_handler(ngx_stream_session_t *s);
static ngx_trp_turn_server_t *ngx_trp_turn_server(ngx_stream_session_t *s);
static ngx_trp_turn_record_t *ngx_trp_turn_record(ngx_stream_session_t *s);
static ngx_trp_turn_zone_t *ngx_trp_turn_zone(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_turn_responses_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_trp_turn_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_turn_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_turn_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static ngx_int_t ngx_trp_turn_create_portal(ngx_conf_t *cf,
    ngx_trp_turn_srv_conf_t *conf);
static void *ngx_trp_turn_create_main_conf(ngx_conf_t *cf);
static char *ngx_trp_turn_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_trp_turn_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_turn_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_trp_turn_check_handler(ngx_conf_t *cf);
static void ngx_trp_turn_init_turn(ngx_conf_t *cf,
    ngx_trp_turn_srv_conf_t *conf);

static char *ngx_trp_turn(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_trp_turn_set_portal(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_trp_turn_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_int_t ngx_trp_turn_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_turn_init_process(ngx_cycle_t *cycle);
static void ngx_trp_turn_exit_process(ngx_cycle_t *cycle);


static ngx_conf_num_bounds_t  ngx_trp_turn_max_bounds = {
    ngx_conf_check_num_bounds, 1, 1000000
};


static ngx_conf_enum_t  ngx_trp_turn_check_expiry[] = {
    { ngx_string("allocate"), 0 },
    { ngx_string("always"), 1 },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_trp_turn_commands[] = {

    { ngx_string("trp_turn"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_trp_turn,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, enabled),
      NULL },

    { ngx_string("trp_turn_realm"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, realm),
      NULL },

    { ngx_string("trp_turn_user"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_turn_conf_set_list,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, users),
      NULL },

    { ngx_string("trp_turn_secret"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_turn_conf_set_list,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, secrets),
      NULL },

    { ngx_string("trp_turn_allocate_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, allocate_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_turn_max_unauthenticated"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, max_unauthenticated),
      (void *) &ngx_trp_turn_max_bounds },

    { ngx_string("trp_turn_max_per_address"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, max_per_address),
      (void *) &ngx_trp_turn_max_bounds },

    { ngx_string("trp_turn_check_expiry"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, check_expiry),
      ngx_trp_turn_check_expiry },

    { ngx_string("trp_turn_external_address"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turn_conf_set_external,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_ports"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_turn_conf_set_ports,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_allow"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_turn_conf_set_rules,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, allow),
      NULL },

    { ngx_string("trp_turn_deny"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_turn_conf_set_rules,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, deny),
      NULL },

    { ngx_string("trp_turn_lifetime"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, lifetime),
      NULL },

    { ngx_string("trp_turn_max_lifetime"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, max_lifetime),
      NULL },

    { ngx_string("trp_turn_quota"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE123,
      ngx_trp_turn_conf_set_quota,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_rate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, rate),
      NULL },

    { ngx_string("trp_turn_unauthenticated_rate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turn_conf_set_rate,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_software"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, software),
      NULL },

    { ngx_string("trp_turn_tcp_allocations"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, tcp),
      NULL },

    { ngx_string("trp_turn_portal"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turn_set_portal,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_portal_token_file"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, portal_conf.token_file),
      NULL },

    { ngx_string("trp_turn_portal_name"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, portal_conf.name),
      NULL },

    { ngx_string("trp_turn_portal_trusted_certificate"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_srv_conf_t, portal_conf.trusted_certificate),
      NULL },

    { ngx_string("trp_turn_zone"),
      NGX_STREAM_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_trp_turn_set_zone,
      NGX_STREAM_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_turn_module_ctx = {
    ngx_trp_turn_preconfiguration,         /* preconfiguration */
    ngx_trp_turn_postconfiguration,        /* postconfiguration */

    ngx_trp_turn_create_main_conf,         /* create main configuration */
    ngx_trp_turn_init_main_conf,           /* init main configuration */

    ngx_trp_turn_create_srv_conf,          /* create server configuration */
    ngx_trp_turn_merge_srv_conf            /* merge server configuration */
};


ngx_module_t  ngx_trp_turn_module = {
    NGX_MODULE_V1,
    &ngx_trp_turn_module_ctx,              /* module context */
    ngx_trp_turn_commands,                 /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    ngx_trp_turn_init_module,              /* init module */
    ngx_trp_turn_init_process,             /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_turn_exit_process,             /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* a client over TCP or TLS has connected, and has to authenticate itself */

static ngx_int_t
ngx_trp_turn_guard_handler(ngx_stream_session_t *s)
{
    ngx_int_t                 rc;
    ngx_trp_guest_t          *guest;
    ngx_trp_turn_srv_conf_t  *tscf;

    tscf = ngx_stream_get_module_srv_conf(s, ngx_trp_turn_module);

    if (!tscf->enabled || s->connection->type != SOCK_STREAM) {
        return NGX_DECLINED;
    }

    rc = ngx_trp_guard_enter(&ngx_trp_turn_server(s)->guard, s->connection,
                             &guest);

    if (rc == NGX_OK) {
        return NGX_DECLINED;
    }

    return (rc == NGX_BUSY) ? NGX_STREAM_SERVICE_UNAVAILABLE : rc;
}


/* clients over TCP and TLS; those over UDP have no session */

static void
ngx_trp_turn_handler(ngx_stream_session_t *s)
{
    ngx_trp_turn_tcp_handler(s, ngx_trp_turn_server(s));
}


static ngx_trp_turn_server_t *
ngx_trp_turn_server(ngx_stream_session_t *s)
{
    ngx_trp_turn_server_t    **server;
    ngx_trp_turn_srv_conf_t   *tscf;
    ngx_trp_turn_main_conf_t  *tmcf;

    tscf = ngx_stream_get_module_srv_conf(s, ngx_trp_turn_module);
    tmcf = ngx_stream_get_module_main_conf(s, ngx_trp_turn_module);

    server = tmcf->worker->servers.elts;

    return server[tscf->number];
}


static ngx_trp_turn_record_t *
ngx_trp_turn_record(ngx_stream_session_t *s)
{
    ngx_trp_turn_client_t  *client;

    client = ngx_stream_get_module_ctx(s, ngx_trp_turn_module);

    return client ? client->record : NULL;
}


static ngx_trp_turn_zone_t *
ngx_trp_turn_zone(ngx_stream_session_t *s)
{
    ngx_trp_turn_main_conf_t  *tmcf;

    tmcf = ngx_stream_get_module_main_conf(s, ngx_trp_turn_module);

    return tmcf->zone ? tmcf->zone->data : NULL;
}


/* $trp_turn_responses_METHOD_CODE */

static ngx_int_t
ngx_trp_turn_responses_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_trp_turn_zone_t  *zone;

    zone = ngx_trp_turn_zone(s);

    if (zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_trp_turn_log_responses(s, v, (ngx_str_t *) data, zone);
}


static ngx_int_t
ngx_trp_turn_preconfiguration(ngx_conf_t *cf)
{
    ngx_str_t               name = ngx_string(NGX_TRP_TURN_RESPONSES);
    ngx_stream_variable_t  *var;

    var = ngx_stream_add_variable(cf, &name, NGX_STREAM_VAR_NOCACHEABLE
                                             |NGX_STREAM_VAR_PREFIX);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_trp_turn_responses_variable;

    return ngx_trp_turn_log_add_variables(cf, ngx_trp_turn_record,
                                          ngx_trp_turn_zone);
}


static ngx_int_t
ngx_trp_turn_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_stream_handler_pt         *h;
    ngx_trp_turn_srv_conf_t      **confs;
    ngx_trp_turn_main_conf_t      *tmcf;
    ngx_stream_core_main_conf_t   *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    tmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_turn_module);

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_POST_ACCEPT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_turn_guard_handler;

    if (ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_turn_check_listen, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    confs = tmcf->confs.elts;

    for (i = 0; i < tmcf->confs.nelts; i++) {
        if (ngx_trp_turn_create_portal(cf, confs[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_trp_turn_srv_conf_t  *tscf;

    static const char *const  none;

    tscf = listen->ctx->srv_conf[ngx_trp_turn_module.ctx_index];

    if (!tscf->enabled) {
        return NGX_OK;
    }

    if (ngx_trp_conf_check_shared(cf, listen, "trp_turn", &tscf->place)
        != NGX_OK
        || ngx_trp_limit_conn_init(cf, NULL, listen->ctx->srv_conf, &none,
                                   "trp_turn", tscf->place.file_name,
                                   tscf->place.line)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (listen->sockaddr->sa_family == AF_UNIX) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_turn\" in %s:%ui cannot be used with \"listen "
                      "unix:\", where clients have no address, write an "
                      "address and a port", tscf->place.file_name,
                      tscf->place.line);
        return NGX_ERROR;
    }

    /* these clients have no session, so nginx calls no other module for them */

    if (listen->type == SOCK_DGRAM
        && ngx_trp_stock_check(cf, ngx_trp_stock_turn_udp,
                               listen->ctx->srv_conf, "trp_turn",
                               tscf->place.file_name, tscf->place.line)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (listen->sockaddr->sa_family == AF_INET6 && listen->wildcard
        && !listen->ipv6only)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_turn\" in %s:%ui cannot be used with "
                      "\"ipv6only=off\", write a listen for IPv4 and one for "
                      "IPv6", tscf->place.file_name, tscf->place.line);
        return NGX_ERROR;
    }

    if (listen->proxy_protocol && listen->type == SOCK_DGRAM) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_turn\" in %s:%ui cannot be used with "
                      "\"proxy_protocol\" over UDP, write it to TCP listens "
                      "only", tscf->place.file_name, tscf->place.line);
        return NGX_ERROR;
    }

    if (listen->type == SOCK_DGRAM
        && ngx_trp_conf_each_listen(cf,
               ngx_stream_conf_get_module_main_conf(cf,
                                                    ngx_stream_core_module),
               ngx_trp_conf_check_port, listen)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_turn\" in %s:%ui has a UDP port that another "
                      "server listens on, too, write \"bind\" to the address",
                      tscf->place.file_name, tscf->place.line);
        return NGX_ERROR;
    }

    /* the port that the portal tells its clients; UDP is preferred */

    if (tscf->portal_conf.port == 0 || listen->type == SOCK_DGRAM) {
        tscf->portal_conf.port = ngx_inet_get_port(listen->sockaddr);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_create_portal(ngx_conf_t *cf, ngx_trp_turn_srv_conf_t *conf)
{
    u_char                  text[2][TRP_ADDR_TEXT_LEN];
    ngx_trp_portal_conf_t  *portal;

    portal = &conf->portal_conf;

    if (portal->url.len == 0) {
        return NGX_OK;
    }

    portal->ipv4.data = text[0];
    portal->ipv4.len = trp_addr_text(text[0], &conf->turn.core.external[0]);
    portal->ipv6.data = text[1];
    portal->ipv6.len = trp_addr_text(text[1], &conf->turn.core.external[1]);

    ngx_trp_conf_swap_place(cf, &conf->place);

    conf->portal = ngx_trp_portal_create(cf, portal, conf->core);

    ngx_trp_conf_swap_place(cf, &conf->place);

    return conf->portal ? NGX_OK : NGX_ERROR;
}


static void *
ngx_trp_turn_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_turn_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_turn_main_conf_t));
    if (tmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&tmcf->servers, cf->pool, 1,
                       sizeof(ngx_trp_turn_conf_t *))
        != NGX_OK
        || ngx_array_init(&tmcf->confs, cf->pool, 1,
                          sizeof(ngx_trp_turn_srv_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return tmcf;
}


static char *
ngx_trp_turn_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_trp_turn_main_conf_t *tmcf = conf;

    ngx_str_t  name = ngx_string("trp_turn");

    if (tmcf->servers.nelts == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_trp_status_zone_add(cf, NGX_TRP_TURN_STATUS_SIZE) == NULL) {
        return NGX_CONF_ERROR;
    }

    if (tmcf->zone) {
        return NGX_CONF_OK;
    }

    tmcf->zone = ngx_trp_turn_zone_add(cf, &name, NGX_TRP_TURN_ZONE_SIZE,
                                       &ngx_trp_turn_module);

    return tmcf->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void *
ngx_trp_turn_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_turn_srv_conf_t  *tscf;

    tscf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_turn_srv_conf_t));
    if (tscf == NULL) {
        return NULL;
    }

    tscf->users = NGX_CONF_UNSET_PTR;
    tscf->secrets = NGX_CONF_UNSET_PTR;
    tscf->externals = NGX_CONF_UNSET_PTR;
    tscf->allow = NGX_CONF_UNSET_PTR;
    tscf->deny = NGX_CONF_UNSET_PTR;
    tscf->lifetime = NGX_CONF_UNSET;
    tscf->max_lifetime = NGX_CONF_UNSET;
    tscf->quota[NGX_TRP_TURN_OF_USER] = NGX_CONF_UNSET_UINT;
    tscf->quota[NGX_TRP_TURN_OF_ADDRESS] = NGX_CONF_UNSET_UINT;
    tscf->quota[NGX_TRP_TURN_OF_ALL] = NGX_CONF_UNSET_UINT;
    tscf->rate = NGX_CONF_UNSET_SIZE;
    tscf->stranger_rate = NGX_CONF_UNSET_UINT;
    tscf->allocate_timeout = NGX_CONF_UNSET_MSEC;
    tscf->max_unauthenticated = NGX_CONF_UNSET_UINT;
    tscf->max_per_address = NGX_CONF_UNSET_UINT;
    tscf->tcp = NGX_CONF_UNSET;
    tscf->check_expiry = NGX_CONF_UNSET_UINT;

    return tscf;
}


static char *
ngx_trp_turn_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_turn_srv_conf_t *prev = parent;
    ngx_trp_turn_srv_conf_t *conf = child;

    char        *rv;
    ngx_uint_t   i;

    ngx_conf_merge_str_value(conf->realm, prev->realm, "");
    ngx_conf_merge_ptr_value(conf->users, prev->users, NULL);
    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets, NULL);
    ngx_conf_merge_ptr_value(conf->externals, prev->externals, NULL);
    ngx_conf_merge_ptr_value(conf->allow, prev->allow, NULL);
    ngx_conf_merge_ptr_value(conf->deny, prev->deny, NULL);
    ngx_conf_merge_sec_value(conf->lifetime, prev->lifetime, 600);
    ngx_conf_merge_sec_value(conf->max_lifetime, prev->max_lifetime, 3600);

    for (i = 0; i < NGX_TRP_TURN_NQUOTAS; i++) {
        ngx_conf_merge_uint_value(conf->quota[i], prev->quota[i], 0);
        conf->turn.quota[i] = conf->quota[i];
    }

    ngx_conf_merge_size_value(conf->rate, prev->rate, 0);

    /* the two are inherited together */

    if (conf->stranger_rate == NGX_CONF_UNSET_UINT) {
        conf->stranger_burst = prev->stranger_burst;
    }

    ngx_conf_merge_uint_value(conf->stranger_rate, prev->stranger_rate, 10);

    if (conf->stranger_burst == 0) {
        conf->stranger_burst = conf->stranger_rate * 2;
    }

    ngx_conf_merge_str_value(conf->software, prev->software, "");
    ngx_conf_merge_value(conf->tcp, prev->tcp, 0);
    ngx_conf_merge_msec_value(conf->allocate_timeout, prev->allocate_timeout,
                              60000);
    ngx_conf_merge_uint_value(conf->max_unauthenticated,
                              prev->max_unauthenticated, 1024);
    ngx_conf_merge_uint_value(conf->max_per_address,
                              prev->max_per_address, 512);
    ngx_conf_merge_uint_value(conf->check_expiry, prev->check_expiry, 0);

    if (conf->first_port == 0) {
        conf->first_port = prev->first_port ? prev->first_port : 49152;
        conf->last_port = prev->last_port ? prev->last_port : 65535;
    }

    if (!conf->enabled) {
        return NGX_CONF_OK;
    }

    conf->turn.portal = (conf->portal_conf.url.len != 0);

    if (conf->turn.portal && conf->realm.len == 0) {
        ngx_str_set(&conf->realm, "firezone");
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    rv = ngx_trp_turn_check_handler(cf);

    if (rv == NGX_CONF_OK) {
        rv = ngx_trp_turn_conf_check(cf, conf);
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_trp_turn_conf_init_credentials(cf, conf);
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    if (rv == NGX_CONF_OK) {
        rv = ngx_trp_turn_conf_init_rules(cf, conf);
    }

    if (rv == NGX_CONF_OK) {
        ngx_trp_turn_init_turn(cf, conf);
    }

    return rv;
}


static char *
ngx_trp_turn_check_handler(ngx_conf_t *cf)
{
    ngx_stream_core_srv_conf_t  *cscf;

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (cscf->handler != ngx_trp_turn_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn\" cannot be used together with another "
                           "content handler in the same server, write a "
                           "server of its own");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void
ngx_trp_turn_init_turn(ngx_conf_t *cf, ngx_trp_turn_srv_conf_t *conf)
{
    ngx_uint_t                   i, v6;
    trp_turn_conf_t             *tc;
    ngx_trp_turn_conf_t         *turn;
    ngx_stream_conf_ctx_t       *ctx;
    ngx_trp_turn_external_t     *external;
    ngx_stream_core_srv_conf_t  *cscf;

    turn = &conf->turn;
    tc = &turn->core;
    ctx = cf->ctx;

    if (conf->externals) {
        external = conf->externals->elts;

        for (i = 0; i < conf->externals->nelts; i++) {
            v6 = (external[i].addr.family == 6);
            tc->external[v6] = external[i].addr;
            turn->local[v6] = external[i].local;
        }
    }

    tc->first_port = conf->first_port;
    tc->last_port = conf->last_port;
    tc->lifetime = (uint32_t) conf->lifetime;
    tc->max_lifetime = (uint32_t) conf->max_lifetime;
    tc->stranger_rate = (uint32_t) conf->stranger_rate;
    tc->stranger_burst = (uint32_t) conf->stranger_burst;
    tc->rate = conf->rate;
    tc->software = ngx_trp_str(&conf->software);
    tc->tcp = conf->tcp;
    tc->check_expiry = conf->check_expiry;

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    conf->core = cscf;
    turn->allocate_timeout = conf->allocate_timeout;
    turn->max_unauthenticated = conf->max_unauthenticated;
    turn->max_per_address = conf->max_per_address;
    turn->main_conf = ctx->main_conf;
    turn->srv_conf = cscf->ctx->srv_conf;
    turn->ctx_index = ngx_trp_turn_module.ctx_index;
    turn->log = cscf->error_log ? cscf->error_log : &cf->cycle->new_log;
}


static char *
ngx_trp_turn(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    ngx_trp_turn_conf_t         **turn;
    ngx_trp_turn_srv_conf_t     **confs;
    ngx_trp_turn_main_conf_t     *tmcf;
    ngx_stream_core_srv_conf_t   *cscf;

    if (tscf->enabled) {
        return "is duplicate";
    }

    tscf->enabled = 1;

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    /* another handler, set earlier or later, is found after parsing */

    if (cscf->handler == NULL) {
        cscf->handler = ngx_trp_turn_handler;
    }

    ngx_trp_conf_set_place(cf, &tscf->place);

    tmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_turn_module);

    tscf->number = tmcf->servers.nelts;

    turn = ngx_array_push(&tmcf->servers);
    confs = ngx_array_push(&tmcf->confs);

    if (turn == NULL || confs == NULL) {
        return NGX_CONF_ERROR;
    }

    *turn = &tscf->turn;
    *confs = tscf;

    return NGX_CONF_OK;
}


/* trp_turn_portal URL [account_validation] */

static char *
ngx_trp_turn_set_portal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_srv_conf_t *tscf = conf;

    ngx_str_t                 *value;
    ngx_trp_turn_main_conf_t  *tmcf;

    if (tscf->portal_conf.url.len) {
        return "is duplicate";
    }

    tmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_turn_module);

    if (tmcf->portal) {
        return "is duplicate: one server may have a portal";
    }

    tmcf->portal = 1;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty URL";
    }

    tscf->portal_conf.url = value[1];

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "account_validation") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\", write "
                           "\"account_validation\" or nothing",
                           &value[2], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tscf->portal_conf.account_validation = 1;

    return NGX_CONF_OK;
}


static char *
ngx_trp_turn_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_main_conf_t *tmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (tmcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size < NGX_TRP_TURN_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"%V\", "
                           "write \"1m\" or more", &value[2], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tmcf->zone = ngx_trp_turn_zone_add(cf, &value[1], size,
                                       &ngx_trp_turn_module);

    return tmcf->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_trp_turn_init_module(ngx_cycle_t *cycle)
{
    ngx_cycle_t               *old;
    ngx_trp_turn_main_conf_t  *tmcf, *omcf;

    tmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_turn_module);

    if (tmcf == NULL || tmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    ngx_trp_pid_file_check(cycle, "trp_turn");

    old = (ngx_cycle_t *) ngx_cycle;

    omcf = (old && old != cycle && old->conf_ctx)
           ? ngx_stream_cycle_get_module_main_conf(old, ngx_trp_turn_module)
           : NULL;

    tmcf->worker = ngx_trp_turn_create_worker(cycle, &tmcf->servers,
                                              tmcf->zone->data,
                                              omcf ? omcf->worker : NULL);

    return tmcf->worker ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_turn_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_trp_turn_server_t     **server;
    ngx_trp_turn_srv_conf_t   **confs;
    ngx_trp_turn_main_conf_t   *tmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    tmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_turn_module);

    if (tmcf == NULL || tmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_trp_turn_init_worker(tmcf->worker, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    server = tmcf->worker->servers.elts;
    confs = tmcf->confs.elts;

    for (i = 0; i < tmcf->confs.nelts; i++) {

        if (ngx_worker == 0 && confs[i]->portal
            && ngx_trp_turn_accounts_start(server[i], confs[i]->portal)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_trp_turn_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_turn_main_conf_t  *tmcf;

    tmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_turn_module);

    if (tmcf && tmcf->worker && tmcf->worker->servers.nelts) {
        ngx_trp_turn_exit_worker(tmcf->worker);
    }
}
