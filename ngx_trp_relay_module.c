
/*
 * Copyright (C) the trp authors
 */


/*
 * The relay: directives, checks of the configuration, and the start of the
 * workers; ngx_trp_relay.c serves the agents.
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_build.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_key_file.h"
#include "hub/ngx_trp_hub.h"
#include "relay/ngx_trp_local.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_rejected.h"
#include "relay/ngx_trp_relay.h"
#include "relay/ngx_trp_relay_quic.h"
#include "relay/ngx_trp_relay_status.h"
#include "relay/ngx_trp_session.h"
#include "relay/ngx_trp_service_zone.h"
#include "relay/ngx_trp_services.h"
#include "relay/ngx_trp_workers.h"
#include "status/ngx_trp_status_zone.h"
#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_variables.h"


/* the default of "trp_relay_zone", and what published names have at least */
#define NGX_TRP_RELAY_ZONE           (16 * 1024 * 1024)
#define NGX_TRP_RELAY_ZONE_SERVICES  (1024 * 1024)
#define NGX_TRP_RELAY_ZONE_INACTIVE  86400


typedef struct {
    ngx_trp_hub_t            hub;           /* the first member */
    ngx_array_t              servers;       /* ngx_trp_relay_srv_conf_t * */
    ngx_trp_workers_t       *workers;       /* NULL: there is only one */
    ngx_uint_t               locals;        /* 1: an entry uses them */
    ngx_shm_zone_t          *zone;          /* an ngx_trp_relay_shared_t */
    ngx_shm_zone_t          *services;      /* published names */
    ngx_shm_zone_t          *status;
    ngx_trp_relay_worker_t  *worker;        /* in this worker */
#if (NGX_TRP_QUIC)
    ngx_trp_relay_udp_t     *udp;           /* NULL: no "listen ... udp" */
#endif
} ngx_trp_relay_main_conf_t;


typedef struct {
    ngx_trp_relay_conf_t     relay;
    ngx_trp_relay_t         *worker;        /* the same in this worker */
} ngx_trp_relay_srv_conf_t;


static void *ngx_trp_relay_find(ngx_trp_hub_t *hub, ngx_str_t *name,
    const char **why);
static ngx_int_t ngx_trp_relay_enter(void *server, ngx_trp_local_t *local,
    const char **why);
static ngx_uint_t ngx_trp_relay_elsewhere(ngx_trp_relay_srv_conf_t *rscf,
    ngx_str_t *group);
static ngx_int_t ngx_trp_relay_pass(void *server, ngx_str_t *group,
    ngx_connection_t *c);
static ngx_int_t ngx_trp_relay_connect(void *server, ngx_str_t *group,
    ngx_uint_t reset, ngx_socket_t fd);
static ngx_uint_t ngx_trp_relay_vain(void *server, ngx_str_t *group);
static ngx_int_t ngx_trp_relay_service(void *server, ngx_str_t *name,
    ngx_str_t *group);

static ngx_int_t ngx_trp_relay_steer_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_relay_upgrade_handler(ngx_stream_session_t *s);
static void ngx_trp_relay_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_relay_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static int ngx_trp_relay_select_alpn(ngx_ssl_conn_t *ssl_conn,
    const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned int inlen, void *arg);
static void ngx_trp_relay_message(int sent, int version, int type,
    const void *data, size_t len, SSL *ssl, void *arg);
static ngx_int_t ngx_trp_relay_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_relay_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_relay_add_zones(ngx_conf_t *cf,
    ngx_trp_relay_main_conf_t *rmcf);
static ngx_int_t ngx_trp_relay_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static ngx_int_t ngx_trp_relay_check_udp(ngx_conf_t *cf,
    ngx_trp_relay_srv_conf_t *rscf, ngx_trp_conf_listen_t *listen);
static ngx_int_t ngx_trp_relay_set_listen(ngx_conf_t *cf,
    ngx_trp_relay_conf_t *relay, ngx_trp_conf_listen_t *listen);
static void *ngx_trp_relay_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_relay_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_relay_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_trp_relay_init_zone(ngx_shm_zone_t *zone, void *data);
static char *ngx_trp_relay(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_trp_relay_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_trp_relay_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_relay_init_module(ngx_cycle_t *cycle);
#if (NGX_TRP_QUIC)
static ngx_int_t ngx_trp_relay_number(void *data, void **srv_conf);
#endif
static ngx_trp_relay_main_conf_t *ngx_trp_relay_old_main_conf(
    ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_relay_init_process(ngx_cycle_t *cycle);
static void ngx_trp_relay_exit_process(ngx_cycle_t *cycle);


static const ngx_trp_hub_ops_t  ngx_trp_relay_hub_ops = {
    ngx_trp_relay_find,
    ngx_trp_relay_enter,
    ngx_trp_local_leave,
    ngx_trp_relay_pass,
    ngx_trp_relay_connect,
    ngx_trp_relay_vain,
    ngx_trp_relay_service
};


static ngx_conf_num_bounds_t  ngx_trp_relay_max_bounds = {
    ngx_conf_check_num_bounds, 1, 1000000
};


static ngx_command_t  ngx_trp_relay_commands[] = {

    { ngx_string("trp_relay"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_trp_relay,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.enabled),
      NULL },

    { ngx_string("trp_authorized_keys"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.authorized_keys),
      NULL },

    { ngx_string("trp_relay_auth_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.auth_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_relay_max_unauthenticated"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.max_unauthenticated),
      (void *) &ngx_trp_relay_max_bounds },

    { ngx_string("trp_relay_max_per_address"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.max_per_address),
      (void *) &ngx_trp_relay_max_bounds },

    { ngx_string("trp_relay_limit_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_relay_limit,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.limits.key),
      NULL },

    { ngx_string("trp_relay_limit_group"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_relay_limit,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.limits.group),
      NULL },

    { ngx_string("trp_relay_zone"),
      NGX_STREAM_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_trp_relay_zone,
      NGX_STREAM_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_relay_open_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.open_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_relay_next_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.next_timeout),
      NULL },

    { ngx_string("trp_relay_heartbeat"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.heartbeat),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_relay_websocket"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, relay.websocket),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_relay_module_ctx = {
    ngx_trp_relay_preconfiguration,        /* preconfiguration */
    ngx_trp_relay_postconfiguration,       /* postconfiguration */

    ngx_trp_relay_create_main_conf,        /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_trp_relay_create_srv_conf,         /* create server configuration */
    ngx_trp_relay_merge_srv_conf           /* merge server configuration */
};


ngx_module_t  ngx_trp_relay_module = {
    NGX_MODULE_V1,
    &ngx_trp_relay_module_ctx,             /* module context */
    ngx_trp_relay_commands,                /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    ngx_trp_relay_init_module,             /* init module */
    ngx_trp_relay_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_relay_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what an entry of this nginx asks, see ngx_trp_hub_ops_t */


static void *
ngx_trp_relay_find(ngx_trp_hub_t *hub, ngx_str_t *name, const char **why)
{
    ngx_trp_relay_srv_conf_t   **srv;
    ngx_trp_relay_main_conf_t   *rmcf;

    rmcf = (ngx_trp_relay_main_conf_t *) hub;
    srv = rmcf->servers.elts;

    if (rmcf->servers.nelts == 0) {
        *why = "needs a relay in this nginx, write a server with \"trp_relay\"";
        return NULL;
    }

    if (rmcf->servers.nelts > 1) {
        *why = "cannot be used with several servers with \"trp_relay\", write "
               "one with several \"listen\"";
        return NULL;
    }

    rmcf->locals = 1;

    return srv[0];
}


static ngx_int_t
ngx_trp_relay_enter(void *server, ngx_trp_local_t *local, const char **why)
{
    ngx_trp_relay_srv_conf_t *rscf = server;

    ngx_int_t  rc;

    if (ngx_trp_relay_elsewhere(rscf, &local->group)) {
        return NGX_DECLINED;
    }

    rc = ngx_trp_local_enter(&rscf->worker->pair, local, &rscf->relay.limits,
                             rscf->relay.open_timeout, why);

    if (rc != NGX_OK || local->service.len == 0) {
        return rc;
    }

    local->seeker.service = ngx_trp_services_get(&rscf->worker->services,
                                                 local->seeker.group,
                                                 &local->service);
    if (local->seeker.service) {
        return NGX_OK;
    }

    ngx_trp_local_leave(local);

    *why = "nobody publishes it any more";

    return NGX_ABORT;
}


/* in a worker that exits, reverses go to the next configuration's */

static ngx_uint_t
ngx_trp_relay_elsewhere(ngx_trp_relay_srv_conf_t *rscf, ngx_str_t *group)
{
    ngx_trp_workers_t  *workers;

    workers = rscf->worker->worker->workers;

    return workers
           && (ngx_exiting
               || !ngx_trp_workers_here(workers,
                                        trp_slot(ngx_trp_str(group))));
}


static ngx_int_t
ngx_trp_relay_pass(void *server, ngx_str_t *group, ngx_connection_t *c)
{
    ngx_trp_relay_srv_conf_t *rscf = server;

    ngx_uint_t          slot;
    ngx_trp_workers_t  *workers;

    workers = rscf->worker->worker->workers;
    slot = trp_slot(ngx_trp_str(group));

    if (ngx_trp_workers_here(workers, slot) || c->requests || ngx_exiting
        || ngx_trp_workers_pass(workers, slot, c) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp user of group \"%V\" goes to the worker with slot %ui",
                   group, slot);

    ngx_trp_workers_forget(c);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_relay_connect(void *server, ngx_str_t *group, ngx_uint_t reset,
    ngx_socket_t fd)
{
    ngx_trp_relay_srv_conf_t *rscf = server;

    ngx_trp_workers_near_t  near;

    near.server = rscf->relay.number;
    near.reset = reset;
    near.group = *group;

    if (ngx_trp_workers_tunnel(rscf->worker->worker->workers,
                               trp_slot(ngx_trp_str(group)), &near, fd)
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_relay_vain(void *server, ngx_str_t *group)
{
    ngx_trp_relay_srv_conf_t  *rscf = server;

    /* what was known of a group that is elsewhere is no longer true */

    return !ngx_trp_relay_elsewhere(rscf, group)
           && ngx_trp_pair_absent(&rscf->worker->pair, group);
}


static ngx_int_t
ngx_trp_relay_service(void *server, ngx_str_t *name, ngx_str_t *group)
{
    ngx_trp_relay_srv_conf_t  *rscf = server;

    ngx_trp_service_group_t  found;

    if (ngx_trp_service_zone_find(rscf->worker->services.zone, name, &found)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    group->len = found.len;
    ngx_memcpy(group->data, found.data, found.len);

    return NGX_OK;
}


/* an agent has connected: does another worker have its group? */

static ngx_int_t
ngx_trp_relay_steer_handler(ngx_stream_session_t *s)
{
#if (NGX_TRP_QUIC)
    ngx_int_t                  rc;
#endif
    ngx_trp_relay_arrival_t   *arrival;
    ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);

    if (!rscf->relay.enabled) {
        return NGX_DECLINED;
    }

    arrival = ngx_stream_get_module_ctx(s, ngx_trp_relay_module);

    if (arrival == NULL) {
        arrival = ngx_pcalloc(s->connection->pool,
                              sizeof(ngx_trp_relay_arrival_t));
        if (arrival == NULL) {
            return NGX_ERROR;
        }

        ngx_stream_set_ctx(s, arrival, ngx_trp_relay_module);
    }

#if (NGX_TRP_QUIC)

    if (ngx_trp_relay_quic_is(s)) {

        if (arrival->guest) {
            return NGX_DECLINED;
        }

        rc = ngx_trp_relay_admit(rscf->worker, s->connection, arrival);

        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

#endif

    return ngx_trp_relay_accept(rscf->worker, s, arrival);
}


/* before stock nginx's own, which has nothing to do then */

static ngx_int_t
ngx_trp_relay_upgrade_handler(ngx_stream_session_t *s)
{
    ngx_trp_relay_arrival_t   *arrival;
    ngx_trp_relay_srv_conf_t  *rscf;

    arrival = ngx_stream_get_module_ctx(s, ngx_trp_relay_module);

    if (arrival == NULL || arrival->upgrade == NULL) {
        return NGX_DECLINED;
    }

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);

    return ngx_trp_upgrade_handler(s, arrival->upgrade,
                                   &rscf->worker->worker->websocket);
}


static void
ngx_trp_relay_handler(ngx_stream_session_t *s)
{
#if (NGX_TRP_QUIC)
    ngx_stream_ssl_srv_conf_t  *sscf;
#endif
    ngx_trp_relay_arrival_t   *arrival;
    ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);
    arrival = ngx_stream_get_module_ctx(s, ngx_trp_relay_module);

#if (NGX_TRP_QUIC)

    if (ngx_trp_relay_quic_is(s)) {
        sscf = ngx_stream_get_module_srv_conf(s, ngx_stream_ssl_module);

        ngx_trp_relay_quic_serve(rscf->worker, s, arrival->guest, &sscf->ssl);
        return;
    }

#endif

    ngx_trp_relay_serve(rscf->worker, s, arrival->guest);
}


static ngx_int_t
ngx_trp_relay_info(ngx_stream_session_t *s, ngx_trp_info_t *info)
{
    ngx_trp_joint_t  *joint;

    joint = ngx_trp_session_joint(s);

    if (joint == NULL) {
        return NGX_DECLINED;
    }

    info->host = joint->host;
    info->port = joint->open.port;
    info->destination = joint->destination;
    info->group = joint->group;
    info->name = joint->name;
    info->entry = joint->entry->agent->name;
    info->entry_key = joint->entry->key;

    if (joint->reverse) {
        info->reverse = joint->reverse->agent->name;
        info->reverse_key = joint->reverse->key;
    }

    info->status = joint->code;
    info->id = joint->open.id;
    info->aborted = (!joint->up || !joint->down);

    return NGX_OK;
}


static int
ngx_trp_relay_select_alpn(ngx_ssl_conn_t *ssl_conn,
    const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned int inlen, void *arg)
{
    static const u_char  alpn[] = "\x05" TRP_ALPN;

    if (SSL_select_next_proto((u_char **) out, outlen, alpn, sizeof(alpn) - 1,
                              in, inlen)
        != OPENSSL_NPN_NEGOTIATED)
    {
        ngx_trp_rejected_alpn(ngx_ssl_get_connection(ssl_conn), in, inlen);
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    return SSL_TLSEXT_ERR_OK;
}


/* until the handshake is done, see ngx_trp_relay_serve() */

static void
ngx_trp_relay_message(int sent, int version, int type, const void *data,
    size_t len, SSL *ssl, void *arg)
{
    ngx_connection_t          *c;
    ngx_stream_session_t      *s;
    ngx_trp_relay_srv_conf_t  *rscf;

    if (sent || type != SSL3_RT_ALERT || len != 2) {
        return;
    }

    c = ngx_ssl_get_connection(ssl);
    s = c->data;

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);

    if (rscf->relay.enabled) {
        ngx_trp_rejected_alert(rscf->worker, c, data);
    }
}


static ngx_int_t
ngx_trp_relay_preconfiguration(ngx_conf_t *cf)
{
    return ngx_trp_variables_add(cf, ngx_trp_relay_info);
}


static ngx_int_t
ngx_trp_relay_postconfiguration(ngx_conf_t *cf)
{
    ngx_array_t                  *handlers;
    ngx_stream_handler_pt        *h;
    ngx_trp_relay_main_conf_t    *rmcf;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    handlers = &cmcf->phases[NGX_STREAM_POST_ACCEPT_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    /* the first one is called last, when the realip module has seen to it */

    h = handlers->elts;
    ngx_memmove(h + 1, h, (handlers->nelts - 1) * sizeof(*h));

    *h = ngx_trp_relay_steer_handler;

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_SSL_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_relay_upgrade_handler;

    rmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_relay_module);

    if (rmcf->servers.nelts && ngx_trp_relay_add_zones(cf, rmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_relay_check_listen,
                                    NULL);
}


static ngx_int_t
ngx_trp_relay_add_zones(ngx_conf_t *cf, ngx_trp_relay_main_conf_t *rmcf)
{
    size_t  size;

    if (rmcf->status == NULL) {
        rmcf->status = ngx_trp_status_zone_add(cf, NGX_TRP_RELAY_ZONE);

        if (rmcf->status == NULL) {
            return NGX_ERROR;
        }
    }

    size = ngx_max(rmcf->status->shm.size / 8, NGX_TRP_RELAY_ZONE_SERVICES);

    rmcf->services = ngx_trp_service_zone_add(cf, size, &ngx_trp_relay_module);

    return rmcf->services ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_relay_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_trp_relay_srv_conf_t  *rscf;

    static const char *const  none;

    rscf = listen->ctx->srv_conf[ngx_trp_relay_module.ctx_index];

    if (!rscf->relay.enabled) {
        return NGX_OK;
    }

    if (rscf->relay.listen.len == 0
        && ngx_trp_relay_set_listen(cf, &rscf->relay, listen) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (listen->type == SOCK_DGRAM
        && ngx_trp_relay_check_udp(cf, rscf, listen) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (listen->type != SOCK_DGRAM && !listen->ssl) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui needs TLS, "
                      "write \"listen PORT ssl\"",
                      rscf->relay.place.file_name, rscf->relay.place.line);
        return NGX_ERROR;
    }

    if (listen->keepalive) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"so_keepalive\" cannot be used with \"trp_relay\" in "
                      "%s:%ui, write \"trp_relay_heartbeat TIME\", which sets "
                      "TCP keepalive, too",
                      rscf->relay.place.file_name, rscf->relay.place.line);
        return NGX_ERROR;
    }

    if (ngx_trp_conf_check_shared(cf, listen, "trp_relay", &rscf->relay.place)
        != NGX_OK
        || ngx_trp_limit_conn_init(cf, NULL, listen->ctx->srv_conf, &none,
                                   "trp_relay", rscf->relay.place.file_name,
                                   rscf->relay.place.line)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* QUIC */

static ngx_int_t
ngx_trp_relay_check_udp(ngx_conf_t *cf, ngx_trp_relay_srv_conf_t *rscf,
    ngx_trp_conf_listen_t *listen)
{
    ngx_int_t                     rc;
    const char                   *what;
    ngx_trp_conf_place_t         *place;
    ngx_stream_ssl_srv_conf_t    *sscf;
    ngx_stream_core_main_conf_t  *cmcf;

    place = &rscf->relay.place;

    ngx_trp_conf_swap_place(cf, place);
    rc = ngx_trp_build_need_quic(cf, "listen ... udp");
    ngx_trp_conf_swap_place(cf, place);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    what = NULL;
    sscf = listen->ctx->srv_conf[ngx_stream_ssl_module.ctx_index];

    if (SSL_CTX_get_options(sscf->ssl.ctx) & SSL_OP_NO_TLSv1_3) {
        what = "\"ssl_protocols\" without TLSv1.3, which QUIC needs, add it";

    } else if (listen->proxy_protocol) {
        what = "\"proxy_protocol\" over UDP, write it to TCP listens only";

    } else if (listen->sockaddr->sa_family == AF_INET6 && listen->wildcard
               && !listen->ipv6only)
    {
        what = "\"ipv6only=off\" over UDP, write a listen for IPv4 and one "
               "for IPv6";

    } else {
        cmcf = ngx_stream_conf_get_module_main_conf(cf,
                                                    ngx_stream_core_module);

        if (ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_conf_check_port, listen)
            != NGX_OK)
        {
            what = "a UDP port that another server listens on, too, write "
                   "\"bind\" to the address";
        }
    }

    if (what) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui cannot be used with %s",
                      place->file_name, place->line, what);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the name of the relay's row in the status */

static ngx_int_t
ngx_trp_relay_set_listen(ngx_conf_t *cf, ngx_trp_relay_conf_t *relay,
    ngx_trp_conf_listen_t *listen)
{
    socklen_t  len;

    relay->listen.data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN);
    if (relay->listen.data == NULL) {
        return NGX_ERROR;
    }

    switch (listen->sockaddr->sa_family) {

    case AF_INET:
        len = sizeof(struct sockaddr_in);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        len = sizeof(struct sockaddr_in6);
        break;
#endif

    default:
        len = sizeof(struct sockaddr_un);
    }

    relay->listen.len = ngx_sock_ntop(listen->sockaddr, len,
                                      relay->listen.data, NGX_SOCKADDR_STRLEN,
                                      1);
    return NGX_OK;
}


static void *
ngx_trp_relay_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_relay_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_relay_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rmcf->servers, cf->pool, 1,
                       sizeof(ngx_trp_relay_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    ngx_trp_hub_init(&rmcf->hub, &ngx_trp_relay_hub_ops);

    return rmcf;
}


static void *
ngx_trp_relay_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_relay_srv_conf_t));
    if (rscf == NULL) {
        return NULL;
    }

    rscf->relay.auth_timeout = NGX_CONF_UNSET_MSEC;
    rscf->relay.open_timeout = NGX_CONF_UNSET_MSEC;
    rscf->relay.next_timeout = NGX_CONF_UNSET_MSEC;
    rscf->relay.heartbeat = NGX_CONF_UNSET_MSEC;
    rscf->relay.websocket = NGX_CONF_UNSET;
    rscf->relay.max_unauthenticated = NGX_CONF_UNSET_UINT;
    rscf->relay.max_per_address = NGX_CONF_UNSET_UINT;

    return rscf;
}


static char *
ngx_trp_relay_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_relay_conf_t *prev = &((ngx_trp_relay_srv_conf_t *) parent)->relay;
    ngx_trp_relay_conf_t *conf = &((ngx_trp_relay_srv_conf_t *) child)->relay;

    ngx_stream_ssl_srv_conf_t   *sscf;
    ngx_stream_core_srv_conf_t  *cscf;

    ngx_conf_merge_str_value(conf->authorized_keys, prev->authorized_keys, "");
    ngx_conf_merge_msec_value(conf->auth_timeout, prev->auth_timeout, 10000);
    ngx_conf_merge_msec_value(conf->open_timeout, prev->open_timeout, 10000);
    ngx_conf_merge_msec_value(conf->next_timeout, prev->next_timeout, 2000);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 10000);
    ngx_conf_merge_value(conf->websocket, prev->websocket, 0);
    ngx_conf_merge_uint_value(conf->max_unauthenticated,
                              prev->max_unauthenticated, 1024);
    ngx_conf_merge_uint_value(conf->max_per_address,
                              prev->max_per_address, 128);

    conf->limits.key = trp_limits_merge(&conf->limits.key, &prev->limits.key);
    conf->limits.group = trp_limits_merge(&conf->limits.group,
                                          &prev->limits.group);

    if (!conf->enabled) {
        return NGX_CONF_OK;
    }

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    conf->log = cscf->error_log;

    if (cscf->handler != ngx_trp_relay_handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui cannot be used together with "
                      "another content handler in the same server, write a "
                      "server of its own", conf->place.file_name,
                      conf->place.line);
        return NGX_CONF_ERROR;
    }

    if (conf->authorized_keys.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"trp_authorized_keys\" is defined for \"trp_relay\" "
                      "in %s:%ui", conf->place.file_name, conf->place.line);
        return NGX_CONF_ERROR;
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    conf->keys = ngx_trp_key_file_authorized(cf, &conf->authorized_keys);

    ngx_trp_conf_swap_place(cf, &conf->place);

    if (conf->keys == NULL) {
        return NGX_CONF_ERROR;
    }

    sscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_ssl_module);

    if (sscf->ssl.ctx == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui needs TLS, "
                      "write \"listen PORT ssl\"",
                      conf->place.file_name, conf->place.line);
        return NGX_CONF_ERROR;
    }

    if (sscf->alpn.len) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ssl_alpn\" cannot be used with \"trp_relay\" in "
                      "%s:%ui, the protocol is always \"" TRP_ALPN "\", leave "
                      "it out", conf->place.file_name, conf->place.line);
        return NGX_CONF_ERROR;
    }

    sscf->handshake_timeout = ngx_min(sscf->handshake_timeout,
                                      conf->auth_timeout);

    SSL_CTX_set_alpn_select_cb(sscf->ssl.ctx, ngx_trp_relay_select_alpn,
                               NULL);
    SSL_CTX_set_msg_callback(sscf->ssl.ctx, ngx_trp_relay_message);

    conf->expires = ngx_trp_relay_status_expires(sscf->ssl.ctx);

    return NGX_CONF_OK;
}


/* lives on from one reload to the next */

static ngx_int_t
ngx_trp_relay_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t         *shpool;
    ngx_trp_relay_shared_t  *shared;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shared = data;

    if (shared == NULL) {
        shared = zone->shm.exists
                 ? shpool->data
                 : ngx_slab_calloc(shpool, sizeof(ngx_trp_relay_shared_t));
    }

    if (shared == NULL) {
        return NGX_ERROR;
    }

#if (NGX_TRP_QUIC)

    if (shared->udp == NULL) {
        shared->udp = ngx_trp_relay_udp_create_shared(shpool);

        if (shared->udp == NULL) {
            return NGX_ERROR;
        }
    }

#endif

    (void) ngx_atomic_fetch_add(&shared->reloads, 1);

    shpool->data = shared;
    zone->data = shared;

    return NGX_OK;
}


static char *
ngx_trp_relay(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_relay_srv_conf_t *rscf = conf;

    ngx_str_t                     name = ngx_string("trp_relay");

    ngx_trp_relay_srv_conf_t    **srv;
    ngx_trp_relay_main_conf_t    *rmcf;
    ngx_stream_core_srv_conf_t   *cscf;

    if (rscf->relay.enabled) {
        return "is duplicate";
    }

    rscf->relay.enabled = 1;

    ngx_trp_conf_set_place(cf, &rscf->relay.place);

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    /* another handler, set earlier or later, is found after parsing */

    if (cscf->handler == NULL) {
        cscf->handler = ngx_trp_relay_handler;
    }

    rmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_relay_module);

    srv = ngx_array_push(&rmcf->servers);
    if (srv == NULL) {
        return NGX_CONF_ERROR;
    }

    *srv = rscf;
    rscf->relay.number = rmcf->servers.nelts - 1;

    rmcf->zone = ngx_shared_memory_add(cf, &name, 16 * ngx_pagesize,
                                       &ngx_trp_relay_module);
    if (rmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->zone->init = ngx_trp_relay_init_zone;

    return NGX_CONF_OK;
}


/* trp_relay_zone NAME SIZE [inactive=TIME] */

static char *
ngx_trp_relay_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_relay_main_conf_t *rmcf = conf;

    time_t      inactive;
    ssize_t     size;
    ngx_str_t  *value, text;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        return "needs a name and a size, write \"trp_relay_zone trp 16m\"";
    }

    if (ngx_strncmp(value[1].data, "trp_", 4) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is like the names of other "
                           "zones of trp, write a name without \"trp_\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"%V\", write as in "
                           "\"trp_relay_zone trp 16m\"", &value[2],
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_TRP_STATUS_SIZE_MIN) {
        return "is too small, write at least 64k";
    }

    inactive = NGX_TRP_RELAY_ZONE_INACTIVE;

    if (cf->args->nelts == 4) {

        if (ngx_strncmp(value[3].data, "inactive=", 9) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", write "
                               "\"inactive=TIME\"", &value[3], &cmd->name);
            return NGX_CONF_ERROR;
        }

        text.data = value[3].data + 9;
        text.len = value[3].len - 9;

        inactive = ngx_parse_time(&text, 1);

        if (inactive == (time_t) NGX_ERROR || inactive == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time in \"%V\", write as in "
                               "\"inactive=1d\"", &value[3]);
            return NGX_CONF_ERROR;
        }
    }

    rmcf->status = ngx_trp_status_zone_set(cf, &value[1], size, inactive);

    return rmcf->status ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * trp_relay_limit_… [tunnels=N] [streams=N] [opens=Nr/s] [publish=N]
 *                   [rate=SIZE]
 */

static char *
ngx_trp_relay_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    trp_limits_t *limits = (trp_limits_t *) ((char *) conf + cmd->offset);

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (trp_limits_set(limits)) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (trp_limits_parse(limits, ngx_trp_str(&value[i])) != TRP_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", write "
                               "\"tunnels=NUMBER\", \"streams=NUMBER\", "
                               "\"opens=NUMBERr/s\", \"publish=NUMBER\" or "
                               "\"rate=SIZE\"",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_relay_init_module(ngx_cycle_t *cycle)
{
#if (NGX_TRP_QUIC)
    ngx_trp_relay_shared_t     *shared;
#endif
    ngx_trp_relay_main_conf_t  *rmcf, *omcf;

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_relay_module);

    if (rmcf == NULL || rmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    ngx_trp_pid_file_check(cycle, "trp_relay");

    omcf = ngx_trp_relay_old_main_conf(cycle);

    rmcf->workers = ngx_trp_workers_create(cycle, omcf ? omcf->workers : NULL,
                                           rmcf->locals);

#if (NGX_TRP_QUIC)
    shared = rmcf->zone->data;

    rmcf->udp = ngx_trp_relay_udp_create(cycle, shared->udp,
                                (ngx_slab_pool_t *) rmcf->zone->shm.addr,
                                ngx_trp_relay_number, rmcf,
                                omcf ? omcf->udp : NULL);
#endif

    return NGX_OK;
}


#if (NGX_TRP_QUIC)

/* of the relay of a server {} */

static ngx_int_t
ngx_trp_relay_number(void *data, void **srv_conf)
{
    ngx_trp_relay_main_conf_t *rmcf = data;

    ngx_uint_t                  i;
    ngx_trp_relay_srv_conf_t  **srv;

    srv = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        if (srv[i] == srv_conf[ngx_trp_relay_module.ctx_index]) {
            return i;
        }
    }

    return NGX_DECLINED;
}

#endif


/* that of the configuration before, unless its modules were other ones */

static ngx_trp_relay_main_conf_t *
ngx_trp_relay_old_main_conf(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_cycle_t                *old;

    old = (ngx_cycle_t *) ngx_cycle;

    if (old == NULL || old == cycle || old->conf_ctx == NULL) {
        return NULL;
    }

    for (i = 0; i < old->modules_n; i++) {

        if (old->modules[i] == &ngx_trp_relay_module) {
            return ngx_stream_cycle_get_module_main_conf(old,
                                                         ngx_trp_relay_module);
        }
    }

    return NULL;
}


static ngx_int_t
ngx_trp_relay_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_trp_status_t           *status;
    ngx_trp_relay_worker_t     *worker;
    ngx_trp_relay_srv_conf_t  **srv;
    ngx_trp_relay_main_conf_t  *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_relay_module);

    if (rmcf == NULL || rmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    status = ngx_trp_status_start(cycle, rmcf->status);
    if (status == NULL) {
        return NGX_ERROR;
    }

    worker = ngx_trp_relay_start_worker(cycle, rmcf->workers,
                                        rmcf->zone->data, rmcf->services,
                                        status);
    if (worker == NULL) {
        return NGX_ERROR;
    }

    rmcf->worker = worker;

    ngx_trp_service_zone_tidy(rmcf->services);

    srv = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        srv[i]->worker = ngx_trp_relay_start(cycle, worker, &srv[i]->relay);

        if (srv[i]->worker == NULL) {
            return NGX_ERROR;
        }
    }

#if (NGX_TRP_QUIC)

    if (ngx_trp_relay_udp_start(cycle, rmcf->udp, ngx_trp_relay_quic_initial,
                                worker)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#endif

    return ngx_trp_relay_status_start(cycle, worker);
}


static void
ngx_trp_relay_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_relay_main_conf_t  *rmcf;

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_relay_module);

    if (rmcf && rmcf->worker) {
        ngx_trp_relay_status_stop(rmcf->worker);

#if (NGX_TRP_QUIC)
        ngx_trp_relay_udp_stop(rmcf->udp);
#endif
    }
}
