
/*
 * Copyright (C) the trp authors
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_target.h"
#include "agent/ngx_trp_agent.h"
#include "socks5/ngx_trp_associate_tunnel.h"
#include "names/ngx_trp_defer.h"
#include "stock/ngx_trp_balancer.h"
#include "stock/ngx_trp_ends.h"
#include "stock/ngx_trp_listener.h"
#include "agent/ngx_trp_relays.h"
#include "stock/ngx_trp_stock.h"
#include "agent/ngx_trp_stream_log.h"
#include "agent/ngx_trp_stream_tcp.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_variables.h"
#include "tunnel/trp_route.h"

#include <sodium.h>


typedef struct {
    trp_route_t                       route;
    ngx_sockaddr_t                    sockaddr;
    ngx_str_t                         host;
    ngx_str_t                         destination;
} ngx_trp_entry_route_t;


/* what users are in for while nobody is there to serve them */

#define NGX_TRP_ENTRY_WAIT   0
#define NGX_TRP_ENTRY_RESET  1


typedef struct {
    ngx_array_t         routes;                   /* of all servers */
    ngx_array_t         upstreams;                /* uscf, with "trp_entry" */
    ngx_socket_t        fd;
    ngx_trp_capacity_t  capacity;
} ngx_trp_entry_main_conf_t;


/* what the stock proxy would look at if a stream were not connected at once */

typedef struct {
    ngx_msec_t                        connect_timeout;  /* 0: by default */
    ngx_uint_t                        next;       /* another relay is tried */
    ngx_uint_t                        next_tries;
    ngx_msec_t                        next_timeout;
} ngx_trp_entry_proxy_t;


typedef struct {

    /* of server {} */
    ngx_array_t                      *routes;     /* ngx_trp_entry_route_t * */
    ngx_trp_entry_proxy_t             proxy;

    /* of upstream {} */
    ngx_trp_agent_conf_t              agent;
    ngx_msec_t                        open_timeout;
    ngx_uint_t                        unavailable;
    ngx_uint_t                        enabled;
    ngx_uint_t                        limited;    /* a server has max_conns */
    ngx_trp_relays_t                  relays;
    ngx_trp_share_t                   share;      /* of datagrams */
    ngx_trp_balancer_conf_t           balancer;
} ngx_trp_entry_srv_conf_t;


typedef struct {
    ngx_trp_stream_t                  stream;
    ngx_stream_session_t             *session;
    ngx_trp_entry_srv_conf_t         *conf;
    ngx_trp_target_t                 *target;
    ngx_trp_target_t                  route;      /* of who came by one */
    ngx_trp_associate_t              *associate;  /* NULL: a stream of TCP */

    const char                       *why;        /* it has no stream */
    ngx_uint_t                        code;       /* the same, trp_code_e */
    u_char                            id[TRP_STREAM_ID_LEN];
    u_char                           *open;       /* the frame */
    size_t                            open_len;

    ngx_trp_balancer_t                balancer;
    ngx_uint_t                        tries;      /* relays that were asked */
} ngx_trp_entry_ctx_t;


static ngx_uint_t ngx_trp_entry_uses(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_access_handler(ngx_stream_session_t *s);
static ngx_trp_entry_route_t *ngx_trp_entry_find_route(ngx_connection_t *c,
    ngx_trp_entry_srv_conf_t *escf);
static ngx_trp_entry_ctx_t *ngx_trp_entry_create_ctx(ngx_stream_session_t *s,
    ngx_trp_target_t *target);
static ngx_int_t ngx_trp_entry_find_ctx(ngx_stream_session_t *s,
    ngx_trp_entry_ctx_t **ctx);
static ngx_int_t ngx_trp_entry_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_msec_t ngx_trp_entry_open_timeout(ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_associate(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static ngx_int_t ngx_trp_entry_choose_relay(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc, ngx_trp_pool_t *leave, ngx_trp_pool_t **pool);
static ngx_uint_t ngx_trp_entry_elsewhere(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_entry_hopeless(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_entry_closed(ngx_trp_entry_srv_conf_t *escf);
static void ngx_trp_entry_reroute(ngx_trp_stream_t *st);
static ngx_int_t ngx_trp_entry_open_frame(ngx_trp_entry_ctx_t *ctx);
static ngx_connection_t *ngx_trp_entry_user(ngx_trp_stream_t *st);
static void ngx_trp_entry_opened(ngx_trp_stream_t *st);
static void ngx_trp_entry_failed(ngx_trp_stream_t *st);
static void ngx_trp_entry_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_trp_entry_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static ngx_int_t ngx_trp_entry_log_handler(ngx_stream_session_t *s);
static void ngx_trp_entry_end_user(ngx_stream_session_t *s);
static ngx_uint_t ngx_trp_entry_code(ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static ngx_int_t ngx_trp_entry_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_entry_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_entry_check_servers(ngx_conf_t *cf,
    ngx_stream_core_main_conf_t *cmcf);
static ngx_int_t ngx_trp_entry_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static void ngx_trp_entry_init_proxy(ngx_trp_entry_proxy_t *proxy,
    void **srv_conf);
static void *ngx_trp_entry_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_entry_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_entry_route(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_entry_check_bind(ngx_conf_t *cf, ngx_str_t *bind);
static char *ngx_trp_entry_listen(ngx_conf_t *cf, ngx_trp_entry_route_t *route,
    ngx_str_t *bind, ngx_str_t *args, ngx_uint_t nargs);
static ngx_uint_t ngx_trp_entry_has_ipv6(void);
static char *ngx_trp_entry_listen_one(ngx_conf_t *cf,
    ngx_trp_entry_route_t *route, ngx_str_t *address, ngx_str_t *args,
    ngx_uint_t nargs);
static char *ngx_trp_entry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_trp_entry_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_entry_init_process(ngx_cycle_t *cycle);


static const ngx_trp_stream_handlers_t  ngx_trp_entry_stream_handlers = {
    ngx_trp_entry_user,
    ngx_trp_entry_reroute,
    ngx_trp_entry_elsewhere,
    ngx_trp_entry_hopeless,
    ngx_trp_entry_opened,
    ngx_trp_entry_failed
};


/* variables that a route sets, ahead of limits and the upstream */

static const char *const  ngx_trp_entry_known[] = {
    "trp_destination",
    "trp_destination_host",
    "trp_destination_port",
    "trp_stream_id",
    NULL
};


static ngx_conf_enum_t  ngx_trp_entry_unavailable[] = {
    { ngx_string("wait"), NGX_TRP_ENTRY_WAIT },
    { ngx_string("reset"), NGX_TRP_ENTRY_RESET },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_trp_entry_commands[] = {

    { ngx_string("trp_route"),
      NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_entry_route,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, routes),
      NULL },

    { ngx_string("trp_entry"),
      NGX_STREAM_UPS_CONF|NGX_CONF_NOARGS,
      ngx_trp_entry,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, enabled),
      NULL },

    { ngx_string("trp_entry_open_timeout"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, open_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_unavailable"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, unavailable),
      &ngx_trp_entry_unavailable },

    { ngx_string("trp_entry_group"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.group),
      NULL },

    { ngx_string("trp_entry_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.name),
      NULL },

    { ngx_string("trp_entry_key"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.key),
      NULL },

    { ngx_string("trp_entry_pool"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_agent_pool,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.role),
      NULL },

    { ngx_string("trp_entry_connect_timeout"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.connect_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_heartbeat"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.heartbeat),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_resolve"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_name_set_families,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.names),
      NULL },

    { ngx_string("trp_entry_ssl_verify"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.verify),
      NULL },

    { ngx_string("trp_entry_ssl_verify_depth"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_ssl_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.name),
      NULL },

    { ngx_string("trp_entry_ssl_server_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_ssl_session_reuse"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_ssl_protocols"),
      NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_ssl_ciphers"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_ssl_trusted_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_ssl_crl"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.crl),
      NULL },

    { ngx_string("trp_entry_ssl_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_ssl_certificate_key"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_ssl_password_file"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_ssl_conf_command"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.ssl.conf_commands),
      NULL },

    { ngx_string("trp_entry_turn"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_server,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_user"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_turnc_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_secret"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_secret,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_ssl_verify"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.verify),
      NULL },

    { ngx_string("trp_entry_turn_ssl_verify_depth"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_turn_ssl_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.name),
      NULL },

    { ngx_string("trp_entry_turn_ssl_server_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_turn_ssl_session_reuse"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_turn_ssl_protocols"),
      NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_turn_ssl_ciphers"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_turn_ssl_trusted_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_turn_ssl_crl"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.crl),
      NULL },

    { ngx_string("trp_entry_turn_ssl_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_turn_ssl_certificate_key"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_turn_ssl_password_file"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_turn_ssl_conf_command"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, agent.turn.ssl.conf_commands),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_entry_module_ctx = {
    ngx_trp_entry_preconfiguration,        /* preconfiguration */
    ngx_trp_entry_postconfiguration,       /* postconfiguration */

    ngx_trp_entry_create_main_conf,        /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_trp_entry_create_srv_conf,         /* create server configuration */
    NULL                                   /* merge server configuration */
};


ngx_module_t  ngx_trp_entry_module = {
    NGX_MODULE_V1,
    &ngx_trp_entry_module_ctx,             /* module context */
    ngx_trp_entry_commands,                /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    ngx_trp_entry_init_module,             /* init module */
    ngx_trp_entry_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_TRP_DEFER_PADDING(ngx_trp_entry_uses)
};


static ngx_uint_t
ngx_trp_entry_uses(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_entry_module);

    return escf->enabled;
}


/*
 * A user has come: which route is it, and may he use it?  This is the first
 * handler behind those of the post-accept phase, where realip runs.
 */

static ngx_int_t
ngx_trp_entry_access_handler(ngx_stream_session_t *s)
{
    in_port_t                  port;
    trp_addr_t                 addr;
    ngx_connection_t          *c;
    ngx_trp_entry_ctx_t       *ctx;
    ngx_trp_entry_route_t     *route;
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);

    if (escf->routes == NULL) {
        return NGX_DECLINED;
    }

    c = s->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    route = ngx_trp_entry_find_route(c, escf);

    if (route == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_trp_entry_create_ctx(s, NULL);

    if (ctx == NULL || ngx_trp_target_set(s, ctx->target) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->target->addr = route->route.addr;
    ctx->target->host = route->host;
    ctx->target->port = route->route.port;
    ctx->target->destination = route->destination;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp stream %s: accepted, the route leads to \"%V\"",
                   ngx_trp_id_text(ctx->id).data, &route->destination);

    if (route->route.source.addr.family) {
        ngx_trp_addr_from_sockaddr(&addr, &port, c->sockaddr);

        if (!trp_cidr_match(&route->route.source, &addr)) {
            ctx->why = "source is not allowed by \"trp_route\"";
            return NGX_STREAM_FORBIDDEN;
        }
    }

    return NGX_DECLINED;
}


static ngx_trp_entry_route_t *
ngx_trp_entry_find_route(ngx_connection_t *c, ngx_trp_entry_srv_conf_t *escf)
{
    ngx_uint_t               i;
    struct sockaddr         *sa;
    ngx_trp_entry_route_t  **routes, *any;

    any = NULL;
    routes = escf->routes->elts;

    for (i = 0; i < escf->routes->nelts; i++) {
        sa = &routes[i]->sockaddr.sockaddr;

        if (ngx_cmp_sockaddr(sa, sizeof(ngx_sockaddr_t), c->local_sockaddr,
                             c->local_socklen, 1)
            == NGX_OK)
        {
            return routes[i];
        }

        if (sa->sa_family == c->local_sockaddr->sa_family
            && ngx_inet_get_port(sa) == ngx_inet_get_port(c->local_sockaddr)
            && ngx_inet_wildcard(sa))
        {
            any = routes[i];
        }
    }

    return any;
}


static ngx_trp_entry_ctx_t *
ngx_trp_entry_create_ctx(ngx_stream_session_t *s, ngx_trp_target_t *target)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = ngx_pcalloc(s->connection->pool, sizeof(ngx_trp_entry_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->session = s;
    ctx->target = target ? target : &ctx->route;
    ctx->target->informs = 1;

    randombytes_buf(ctx->id, TRP_STREAM_ID_LEN);

    ngx_stream_set_ctx(s, ctx, ngx_trp_entry_module);

    return ctx;
}


/* a client may have said where to after the access phase */

static ngx_int_t
ngx_trp_entry_find_ctx(ngx_stream_session_t *s, ngx_trp_entry_ctx_t **ctx)
{
    ngx_trp_target_t  *target;

    *ctx = ngx_stream_get_module_ctx(s, ngx_trp_entry_module);

    if (*ctx) {
        return NGX_OK;
    }

    target = ngx_trp_target_get(s);

    if (target == NULL) {
        return NGX_DECLINED;
    }

    *ctx = ngx_trp_entry_create_ctx(s, target);
    if (*ctx == NULL) {
        return NGX_ERROR;
    }

    if (target->front && !target->udp && target->addr.family == 0) {
        (*ctx)->why = target->front->check_name(target);
    }

    return (*ctx)->why ? NGX_ERROR : NGX_OK;
}


/* the stock proxy asks for an upstream: a stream on a tunnel */

static ngx_int_t
ngx_trp_entry_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_int_t                  rc;
    ngx_trp_entry_ctx_t       *ctx;
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_entry_module);

    rc = ngx_trp_entry_find_ctx(s, &ctx);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, s->connection->log, 0,
                      "no \"trp_route\" says where to, a server that passes "
                      "to \"%V\" needs one in place of \"listen\", or "
                      "\"trp_socks5\"",
                      &us->host);
        return NGX_ERROR;
    }

    ctx->target->carried = 1;

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (escf->balancer.init_peer(s, us) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->conf = escf;

    if (ngx_trp_entry_open_frame(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_balancer_wrap(&ctx->balancer, &s->upstream->peer, ctx,
                          ngx_trp_entry_get_peer, ngx_trp_entry_free_peer,
                          ngx_trp_entry_notify_peer);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_open_frame(ngx_trp_entry_ctx_t *ctx)
{
    trp_open_t         open;
    in_port_t          port;
    ngx_connection_t  *c;

    c = ctx->session->connection;

    ngx_memzero(&open, sizeof(trp_open_t));

    open.proto = TRP_PROTO_TCP;
    open.addr = ctx->target->addr;
    open.host = ngx_trp_str(&ctx->target->host);
    open.port = ctx->target->port;
    open.name = ngx_trp_str(&ctx->conf->agent.name);

    ngx_memcpy(open.id, ctx->id, TRP_STREAM_ID_LEN);

    ngx_trp_addr_from_sockaddr(&open.user, &port, c->sockaddr);
    open.user_port = port;

    ngx_trp_addr_from_sockaddr(&open.local, &port, c->local_sockaddr);
    open.local_port = port;

    ctx->open = ngx_pnalloc(c->pool, NGX_TRP_OPEN_MAX);
    if (ctx->open == NULL) {
        return NGX_ERROR;
    }

    ctx->open_len = trp_open_put(ctx->open, &open) - ctx->open;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_trp_entry_ctx_t *ctx = data;

    ngx_int_t                   rc;
    ngx_trp_pool_t             *pool;
    ngx_trp_entry_main_conf_t  *emcf;

    if (ngx_trp_entry_closed(ctx->conf)) {
        ctx->code = TRP_CODE_NO_AGENT;
        ctx->balancer.none = 1;
        pc->name = &ctx->conf->relays.upstream->host;
        return NGX_BUSY;
    }

    if (ctx->target->udp) {
        return ngx_trp_entry_associate(ctx, pc);
    }

    rc = ngx_trp_entry_choose_relay(ctx, pc, NULL, &pool);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, pc->log, 0,
                   "trp stream %s: the balancer's choice is \"%V\", "
                   "%ui of %ui tunnels are idle",
                   ngx_trp_id_text(ctx->id).data, pc->name, pool->nidle,
                   pool->total);

    emcf = ngx_stream_get_module_main_conf(ctx->session, ngx_trp_entry_module);

    ctx->tries = 1;

    /* the proxy may have failed with another one before */

    ngx_memzero(&ctx->stream, sizeof(ngx_trp_stream_t));

    ctx->stream.entry = 1;
    ctx->stream.ops = &ngx_trp_stream_tcp_ops;
    ctx->stream.handlers = &ngx_trp_entry_stream_handlers;
    ctx->stream.data = ctx;
    ctx->stream.pool = pool;
    ctx->stream.early.open = ctx->open;
    ctx->stream.early.open_len = ctx->open_len;
    ctx->stream.destination = ctx->target->destination;
    ngx_memcpy(ctx->stream.id, ctx->id, TRP_STREAM_ID_LEN);

    if (ngx_trp_stream_create(&ctx->stream, emcf->fd, pc->log) != NGX_OK) {
        return NGX_ERROR;
    }

    pc->connection = ctx->stream.connection;
    pc->cached = 1;

    ngx_trp_ends_inline(ctx->session->connection);

    /* whatever happens from now to the end of the answer is no clean end */

    if (ctx->target->front == NULL) {
        ngx_trp_ends_arm(ctx->session->connection);
    }

    ngx_trp_stream_open(&ctx->stream, ngx_trp_entry_open_timeout(ctx));

    return NGX_DONE;
}


static ngx_msec_t
ngx_trp_entry_open_timeout(ngx_trp_entry_ctx_t *ctx)
{
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_get_module_srv_conf(ctx->session, ngx_trp_entry_module);

    return escf->proxy.connect_timeout
           ? ngx_min(escf->proxy.connect_timeout, ctx->conf->open_timeout)
           : ctx->conf->open_timeout;
}


/* each of its datagrams finds a relay of its own, this one is for the log */

static ngx_int_t
ngx_trp_entry_associate(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc)
{
    ngx_trp_pool_t              *pool;
    ngx_trp_entry_main_conf_t   *emcf;
    ngx_trp_associate_tunnel_t  *tunnel;

    ctx->balancer.none = 1;

    pool = ngx_trp_relays_choose(&ctx->conf->relays);

    if (pool == NULL) {
        pc->name = &ctx->conf->relays.upstream->host;
        return NGX_BUSY;
    }

    pc->sockaddr = pool->sockaddr;
    pc->socklen = pool->socklen;
    pc->name = &pool->name;

    tunnel = ngx_pcalloc(ctx->session->connection->pool,
                         sizeof(ngx_trp_associate_tunnel_t));
    if (tunnel == NULL) {
        return NGX_ERROR;
    }

    emcf = ngx_stream_get_module_main_conf(ctx->session, ngx_trp_entry_module);

    tunnel->relays = &ctx->conf->relays;
    tunnel->fd = emcf->fd;
    tunnel->open_timeout = ngx_trp_entry_open_timeout(ctx);
    tunnel->share = &ctx->conf->share;

    ctx->associate = ngx_trp_associate(ctx->target, &ngx_trp_associate_tunnel,
                                       tunnel, emcf->fd, pc);
    if (ctx->associate == NULL) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/*
 * The balancer chooses; a relay without tunnels, and the one to be left, is
 * passed over for another one.  That is no failure of it in the sense of
 * max_fails: its pool knows better when it is back.
 */

static ngx_int_t
ngx_trp_entry_choose_relay(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc,
    ngx_trp_pool_t *leave, ngx_trp_pool_t **pool)
{
    ngx_int_t          rc;
    ngx_uint_t         n;
    ngx_trp_pool_t    *other;
    ngx_trp_relays_t  *relays;

    relays = &ctx->conf->relays;

    if (relays->pools.nelts == 0) {

        /* all servers are "down", or their names are not known yet */
        pc->name = &relays->upstream->host;
        return NGX_BUSY;
    }

    other = ngx_trp_relays_other(relays, leave);

    for (n = relays->pools.nelts; n; n--) {

        rc = ngx_trp_balancer_get(&ctx->balancer, pc);

        if (rc == NGX_BUSY) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        *pool = ngx_trp_relays_find(relays, pc->sockaddr, pc->socklen, leave);

        if (*pool == NULL) {
            ngx_log_error(NGX_LOG_ERR, pc->log, 0, "no tunnels to \"%V\"",
                          pc->name);
            ngx_trp_balancer_free(&ctx->balancer, pc, 0);
            pc->sockaddr = NULL;
            return NGX_DECLINED;
        }

        if (other == NULL
            || (*pool != leave && ngx_trp_pool_alive(*pool)))
        {
            /* the balancer's own may be gone from its zone before the end */
            pc->name = &(*pool)->name;
            return NGX_OK;
        }

        ngx_trp_balancer_free(&ctx->balancer, pc, 0);
        pc->sockaddr = NULL;
    }

    if (ctx->conf->limited) {

        /* by "max_conns", and then that is what it has had enough of */
        pc->name = &relays->upstream->host;
        return NGX_BUSY;
    }

    /* the balancer has had enough of all of them, the user has not */

    *pool = other ? other : ngx_trp_relays_choose(relays);

    pc->sockaddr = (*pool)->sockaddr;
    pc->socklen = (*pool)->socklen;
    pc->name = &(*pool)->name;

    ctx->balancer.none = 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_entry_elsewhere(ngx_trp_stream_t *st)
{
    ngx_msec_t                 elapsed;
    ngx_trp_entry_ctx_t       *ctx;
    ngx_trp_entry_proxy_t     *proxy;
    ngx_trp_entry_srv_conf_t  *escf;

    ctx = st->data;

    escf = ngx_stream_get_module_srv_conf(ctx->session, ngx_trp_entry_module);
    proxy = &escf->proxy;

    elapsed = ngx_current_msec - ctx->session->upstream->peer.start_time;

    if (!proxy->next
        || (proxy->next_tries && ctx->tries >= proxy->next_tries)
        || (proxy->next_timeout && elapsed >= proxy->next_timeout))
    {
        return 0;
    }

    return ngx_trp_relays_other(&ctx->conf->relays, st->pool) != NULL;
}


static ngx_uint_t
ngx_trp_entry_hopeless(ngx_trp_stream_t *st)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = st->data;

    return ngx_trp_entry_closed(ctx->conf);
}


/* nobody is there, and users are not to wait for somebody */

static ngx_uint_t
ngx_trp_entry_closed(ngx_trp_entry_srv_conf_t *escf)
{
    return escf->unavailable == NGX_TRP_ENTRY_RESET
           && ngx_trp_relays_vain(&escf->relays);
}


/*
 * The stream lost its tunnel, perhaps with all the others to that relay; or
 * the relay has nobody to serve it.
 */

static void
ngx_trp_entry_reroute(ngx_trp_stream_t *st)
{
    ngx_uint_t              leave;
    ngx_trp_pool_t         *pool;
    struct sockaddr        *sockaddr;
    ngx_connection_t       *c;
    ngx_trp_entry_ctx_t    *ctx;
    ngx_stream_upstream_t  *u;

    ctx = st->data;

    leave = st->tries.leave;
    st->tries.leave = 0;

    if ((!leave && ngx_trp_pool_alive(st->pool))
        || (!st->pool->retired && !ngx_trp_entry_elsewhere(st)))
    {
        return;
    }

    ctx->tries++;

    u = ctx->session->upstream;

    /* to the proxy it stays the same connection */

    c = u->peer.connection;
    sockaddr = u->peer.sockaddr;

    ngx_trp_balancer_free(&ctx->balancer, &u->peer,
                          leave ? NGX_PEER_FAILED : 0);

    if (ngx_trp_entry_choose_relay(ctx, &u->peer, st->pool, &pool) != NGX_OK) {
        ctx->balancer.none = 1;
        u->peer.sockaddr = sockaddr;
        pool = st->pool;
    }

    u->peer.connection = c;
    st->pool = pool;

    if (u->state) {
        u->state->peer = u->peer.name;
    }
}


static ngx_connection_t *
ngx_trp_entry_user(ngx_trp_stream_t *st)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = st->data;

    if (ctx->target->front && ctx->target->code != TRP_CODE_NONE) {

        /* he hears of a failure in the reply */
        return NULL;
    }

    return ctx->session->connection;
}


static void
ngx_trp_entry_opened(ngx_trp_stream_t *st)
{
    ngx_trp_entry_ctx_t    *ctx;
    ngx_peer_connection_t  *pc;

    ctx = st->data;
    pc = &ctx->session->upstream->peer;

    /* where he has waited, the address may not have been known */

    pc->name = &st->pool->name;

    if (ctx->session->upstream->state) {
        ctx->session->upstream->state->peer = pc->name;
    }

    if (ctx->target->front) {
        (void) ctx->target->front->succeed(ctx->target, NULL);
        ngx_trp_ends_arm(ctx->session->connection);
    }

    ngx_trp_balancer_notify(&ctx->balancer, pc,
                            NGX_STREAM_UPSTREAM_NOTIFY_CONNECT);
}


/* now: the proxy may half-close the connection to the client, and then end */

static void
ngx_trp_entry_failed(ngx_trp_stream_t *st)
{
    ngx_trp_target_t     *target;
    ngx_trp_entry_ctx_t  *ctx;

    ctx = st->data;
    target = ctx->target;

    if (target->front) {
        target->code = st->code;
        target->front->finish(target);
    }
}


static void
ngx_trp_entry_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = data;

    /* a stream is connected when it is accepted, not when it is made */

    if (type != NGX_STREAM_UPSTREAM_NOTIFY_CONNECT) {
        ngx_trp_balancer_notify(&ctx->balancer, pc, type);
    }
}


static void
ngx_trp_entry_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_trp_entry_ctx_t *ctx = data;

    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    if (st->connection) {

        /* a refusal comes from behind the relay, and is no failure of it */

        if (st->unreachable) {
            state |= NGX_PEER_FAILED;
        }

        ngx_trp_stream_close(st, NULL);
    }

    if (ctx->associate) {
        ngx_trp_associate_close(ctx->associate);
    }

    ngx_trp_balancer_free(&ctx->balancer, pc, state);
}


/*
 * How it ended; the proxy knows of no failure to connect, it was "connected"
 * at once.
 */

static ngx_int_t
ngx_trp_entry_log_handler(ngx_stream_session_t *s)
{
    ngx_trp_target_t     *target;
    ngx_trp_entry_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_trp_entry_module);

    if (ctx == NULL || ctx->stream.connection == NULL) {
        ngx_trp_entry_end_user(s);
    }

    if (ctx == NULL) {
        return NGX_OK;
    }

    target = ctx->target;

    if (target->front && ctx->why) {

        /* the proxy takes it for an error of its own */
        s->status = NGX_STREAM_FORBIDDEN;
    }

    if (target->front && !target->replied) {
        target->code = ngx_trp_entry_code(ctx);

        if (target->code == TRP_CODE_NONE) {

            /* the proxy has not waited for ACCEPT */
            target->code = TRP_CODE_FAILED;
        }
    }

    if (ctx->stream.connection == NULL) {

        /* a proxy_pass to somewhere else may have served the user */

        if (s->status == NGX_STREAM_OK) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "stream was refused: %s, destination: \"%V\", stream: %s",
                      ctx->why ? ctx->why
                               : trp_code_text(ngx_trp_entry_code(ctx)),
                      &ctx->target->destination, ngx_trp_id_text(ctx->id).data);
        return NGX_OK;
    }

    ngx_trp_stream_log_end(&ctx->stream, s->connection->log);

    if (ctx->stream.code && s->status == NGX_STREAM_OK) {
        s->status = NGX_STREAM_BAD_GATEWAY;
    }

    return NGX_OK;
}


/*
 * There was no stream, so no answer either: a clean end would be one that is
 * empty.  Unless a proxy_pass to somewhere else has served the user; and TLS
 * that was not agreed upon has an alert to say.
 */

static void
ngx_trp_entry_end_user(ngx_stream_session_t *s)
{
    ngx_connection_t          *c;
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);

    if (escf->routes == NULL) {
        return;
    }

    c = s->connection;

    if (s->status == NGX_STREAM_OK || (c->ssl && !c->ssl->handshaked)) {
        ngx_trp_ends_disarm(c);

    } else {
        ngx_trp_ends_arm(c);
    }
}


/* why there was no stream, or no more; as other modules have decided it */

static ngx_uint_t
ngx_trp_entry_code(ngx_trp_entry_ctx_t *ctx)
{
    if (ctx->stream.connection) {
        return ctx->stream.code;
    }

    if (ctx->code) {
        return ctx->code;
    }

    switch (ctx->session->status) {

    case 0:
    case NGX_STREAM_OK:
        return TRP_CODE_NONE;

    case NGX_STREAM_FORBIDDEN:
        return TRP_CODE_NOT_ALLOWED;

    case NGX_STREAM_SERVICE_UNAVAILABLE:
        return TRP_CODE_LIMIT;
    }

    return TRP_CODE_FAILED;
}


static ngx_int_t
ngx_trp_entry_info(ngx_stream_session_t *s, ngx_trp_info_t *info)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_trp_entry_module);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    info->host = ctx->target->host;
    info->port = ctx->target->port;
    info->destination = ctx->target->destination;

    info->id = ctx->id;
    info->status = ngx_trp_entry_code(ctx);

    if (ctx->conf) {
        info->group = ctx->conf->agent.group;
        info->name = ctx->conf->agent.name;
        info->aborted = (ctx->associate == NULL
                         && (ctx->stream.in != NGX_TRP_STREAM_ENDED
                             || ctx->stream.out != NGX_TRP_STREAM_ENDED));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_trp_defer_begin(cf, &ngx_trp_entry_module) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_variables_add(cf, ngx_trp_entry_info);
}


static ngx_int_t
ngx_trp_entry_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                        i;
    ngx_array_t                      *log;
    ngx_stream_handler_pt            *h;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_core_main_conf_t      *cmcf;
    ngx_stream_upstream_srv_conf_t  **us;

    ngx_trp_defer_end(cf);

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);

    us = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        if (ngx_trp_balancer_check(cf, us[i], ngx_trp_entry_init_upstream,
                                   "trp_entry")
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    if (ngx_trp_entry_check_servers(cf, cmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_entry_access_handler;

    log = &cmcf->phases[NGX_STREAM_LOG_PHASE].handlers;

    if (ngx_array_push(log) == NULL) {
        return NGX_ERROR;
    }

    /* ahead of the access log, which shows the status */

    h = log->elts;
    ngx_memmove(h + 1, h, (log->nelts - 1) * sizeof(ngx_stream_handler_pt));
    *h = ngx_trp_entry_log_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_check_servers(ngx_conf_t *cf, ngx_stream_core_main_conf_t *cmcf)
{
    void                        **srv_conf;
    ngx_uint_t                    i;
    const char                   *other;
    ngx_trp_entry_srv_conf_t     *escf;
    ngx_stream_core_srv_conf_t  **cscf;

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        srv_conf = cscf[i]->ctx->srv_conf;
        escf = srv_conf[ngx_trp_entry_module.ctx_index];

        if (escf->routes
            && ngx_trp_target_claim(cf, srv_conf, "trp_route", &other)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (escf->routes
            && ngx_trp_stock_check(cf, ngx_trp_stock_entry, srv_conf,
                                   "trp_route", cscf[i]->file_name,
                                   cscf[i]->line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (escf->routes
            && ngx_trp_limit_conn_init(cf, NULL, srv_conf, ngx_trp_entry_known,
                                       "trp_route", cscf[i]->file_name,
                                       cscf[i]->line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_trp_entry_init_proxy(&escf->proxy, srv_conf);
    }

    return ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_entry_check_listen,
                                    NULL);
}


/* users of a "listen" have no destination */

static ngx_int_t
ngx_trp_entry_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_uint_t                   i;
    ngx_trp_conf_place_t         place;
    ngx_trp_entry_route_t      **routes;
    ngx_trp_entry_srv_conf_t    *escf;
    ngx_stream_core_srv_conf_t  *cscf;

    escf = listen->ctx->srv_conf[ngx_trp_entry_module.ctx_index];
    cscf = listen->ctx->srv_conf[ngx_stream_core_module.ctx_index];

    if (escf->routes == NULL) {
        return NGX_OK;
    }

    place.file_name = cscf->file_name;
    place.line = cscf->line;

    if (ngx_trp_conf_check_shared(cf, listen, "trp_route", &place) != NGX_OK) {
        return NGX_ERROR;
    }

    routes = escf->routes->elts;

    for (i = 0; i < escf->routes->nelts; i++) {
        if (ngx_cmp_sockaddr(&routes[i]->sockaddr.sockaddr,
                             sizeof(ngx_sockaddr_t), listen->sockaddr,
                             sizeof(ngx_sockaddr_t), 1)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"listen\" cannot be used beside \"trp_route\" in %s:%ui, "
                  "its users would have no destination, write \"trp_route "
                  "PORT:PORT\" in place of it", place.file_name, place.line);

    return NGX_ERROR;
}


static void
ngx_trp_entry_init_proxy(ngx_trp_entry_proxy_t *proxy, void **srv_conf)
{
    proxy->connect_timeout = ngx_trp_stock_proxy(srv_conf,
                                                 "proxy_connect_timeout", 0);

    /* the default is no statement: "trp_entry_open_timeout" may be longer */

    if (proxy->connect_timeout == 60000) {
        proxy->connect_timeout = 0;
    }

    proxy->next = ngx_trp_stock_proxy(srv_conf, "proxy_next_upstream", 1);
    proxy->next_tries = ngx_trp_stock_proxy(srv_conf,
                                            "proxy_next_upstream_tries", 0);
    proxy->next_timeout = ngx_trp_stock_proxy(srv_conf,
                                              "proxy_next_upstream_timeout",
                                              0);
}


static void *
ngx_trp_entry_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_entry_main_conf_t  *emcf;

    emcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_entry_main_conf_t));
    if (emcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&emcf->routes, cf->pool, 4,
                       sizeof(ngx_trp_entry_route_t *))
        != NGX_OK
        || ngx_array_init(&emcf->upstreams, cf->pool, 1,
                          sizeof(ngx_stream_upstream_srv_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return emcf;
}


static void *
ngx_trp_entry_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_entry_srv_conf_t));
    if (escf == NULL) {
        return NULL;
    }

    escf->open_timeout = NGX_CONF_UNSET_MSEC;
    escf->unavailable = NGX_CONF_UNSET_UINT;

    ngx_trp_agent_create_conf(&escf->agent);

    return escf;
}


static char *
ngx_trp_entry_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_entry_srv_conf_t *escf = conf;

    ngx_str_t              *value, bind, *args;
    ngx_uint_t              i, n, dual;
    const char             *err;
    ngx_trp_entry_route_t   route;

    value = cf->args->elts;

    ngx_memzero(&route, sizeof(ngx_trp_entry_route_t));

    err = trp_route_parse(&route.route, ngx_trp_str(&value[1]));

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "route \"%V\" %s",
                           &value[1], err);
        return NGX_CONF_ERROR;
    }

    if (route.route.low_bits) {
        ngx_trp_conf_low_bits(cf, &value[1], "trp_route");
    }

    /* the core's string may be static */

    route.host.len = route.route.host.len;
    route.host.data = (u_char *) route.route.host.data;

    route.destination = ngx_trp_host_port(cf->pool, &route.host,
                                          route.route.port);
    if (route.destination.data == NULL) {
        return NGX_CONF_ERROR;
    }

    if (escf->routes == NULL) {
        escf->routes = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_trp_entry_route_t *));
        if (escf->routes == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    args = ngx_palloc(cf->pool, cf->args->nelts * sizeof(ngx_str_t));
    if (args == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_null(&bind);
    n = 0;
    dual = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "bind=", 5) == 0) {
            bind.len = value[i].len - 5;
            bind.data = value[i].data + 5;
            continue;
        }

        if (ngx_strcmp(value[i].data, "udp") == 0) {
            return "cannot be used with \"udp\", a route carries TCP";
        }

        if (ngx_strcmp(value[i].data, "ipv6only=off") == 0) {
            dual = 1;
        }

        args[n++] = value[i];
    }

    if (bind.data == NULL && dual) {
        return "with \"ipv6only=off\" needs \"bind=[::]\", as it listens on "
               "IPv4 by itself otherwise";
    }

    if (bind.data && ngx_trp_entry_check_bind(cf, &bind) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_trp_entry_listen(cf, &route, &bind, args, n);
}


/* an address, nothing else; IPv6 in brackets */

static ngx_int_t
ngx_trp_entry_check_bind(ngx_conf_t *cf, ngx_str_t *bind)
{
    trp_str_t    text;
    ngx_uint_t   brackets;
    trp_addr_t   addr;

    text = ngx_trp_str(bind);
    brackets = (text.len > 2 && text.data[0] == '['
                && text.data[text.len - 1] == ']');

    if (brackets) {
        text.data++;
        text.len -= 2;
    }

    if (trp_addr_parse(&addr, text) != TRP_OK
        || (brackets && addr.family != 6))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address in \"bind=%V\"", bind);
        return NGX_ERROR;
    }

    if (addr.family == 6 && !brackets) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unbracketed IPv6 address in \"bind=%V\", "
                           "write \"bind=[%V]\"", bind, bind);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_trp_entry_listen(ngx_conf_t *cf, ngx_trp_entry_route_t *route,
    ngx_str_t *bind, ngx_str_t *args, ngx_uint_t nargs)
{
    char       *rv;
    ngx_str_t   any = ngx_string("0.0.0.0"), any6 = ngx_string("[::]");

    if (bind->data) {
        return ngx_trp_entry_listen_one(cf, route, bind, args, nargs);
    }

    rv = ngx_trp_entry_listen_one(cf, route, &any, args, nargs);

    if (rv != NGX_CONF_OK || !ngx_trp_entry_has_ipv6()) {
        return rv;
    }

    return ngx_trp_entry_listen_one(cf, route, &any6, args, nargs);
}


/* a kernel may have no IPv6, or have it switched off */

static ngx_uint_t
ngx_trp_entry_has_ipv6(void)
{
#if (NGX_HAVE_INET6)

    ngx_uint_t           found;
    ngx_socket_t         s;
    struct sockaddr_in6  sin6;

    s = ngx_socket(AF_INET6, SOCK_STREAM, 0);

    if (s == (ngx_socket_t) -1) {
        return 0;
    }

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));
    sin6.sin6_family = AF_INET6;

    found = (bind(s, (struct sockaddr *) &sin6, sizeof(struct sockaddr_in6))
             == 0);

    (void) ngx_close_socket(s);

    return found;

#else

    return 0;

#endif
}


static char *
ngx_trp_entry_listen_one(ngx_conf_t *cf, ngx_trp_entry_route_t *route,
    ngx_str_t *address, ngx_str_t *args, ngx_uint_t nargs)
{
    ngx_str_t                   *listen;
    ngx_url_t                    url;
    ngx_uint_t                   i;
    ngx_trp_entry_route_t       *copy, **all, **own;
    ngx_trp_entry_srv_conf_t    *escf;
    ngx_trp_entry_main_conf_t   *emcf;

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);
    escf = ngx_stream_conf_get_module_srv_conf(cf, ngx_trp_entry_module);

    listen = ngx_palloc(cf->pool, (nargs + 1) * sizeof(ngx_str_t));
    copy = ngx_palloc(cf->pool, sizeof(ngx_trp_entry_route_t));

    if (listen == NULL || copy == NULL) {
        return NGX_CONF_ERROR;
    }

    listen[0].data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN + 6);
    if (listen[0].data == NULL) {
        return NGX_CONF_ERROR;
    }

    listen[0].len = ngx_sprintf(listen[0].data, "%V:%ui%Z", address,
                                (ngx_uint_t) route->route.listen_port)
                    - listen[0].data - 1;

    ngx_memcpy(&listen[1], args, nargs * sizeof(ngx_str_t));

    ngx_memzero(&url, sizeof(ngx_url_t));

    url.url = listen[0];
    url.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &url) != NGX_OK || url.naddrs != 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\"", &listen[0]);
        return NGX_CONF_ERROR;
    }

    *copy = *route;
    ngx_memzero(&copy->sockaddr, sizeof(ngx_sockaddr_t));
    ngx_memcpy(&copy->sockaddr, url.addrs[0].sockaddr, url.addrs[0].socklen);

    all = emcf->routes.elts;

    for (i = 0; i < emcf->routes.nelts; i++) {
        if (ngx_cmp_sockaddr(&all[i]->sockaddr.sockaddr,
                             sizeof(ngx_sockaddr_t),
                             &copy->sockaddr.sockaddr,
                             sizeof(ngx_sockaddr_t), 1)
            == NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "another \"trp_route\" listens on \"%V\" "
                               "already, use another port or \"bind=ADDRESS\"",
                               &listen[0]);
            return NGX_CONF_ERROR;
        }
    }

    all = ngx_array_push(&emcf->routes);
    own = ngx_array_push(escf->routes);

    if (all == NULL || own == NULL) {
        return NGX_CONF_ERROR;
    }

    *all = copy;
    *own = copy;

    return ngx_trp_listener_listen(cf, listen, nargs + 1);
}


static char *
ngx_trp_entry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_entry_srv_conf_t *escf = conf;

    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t   *uscf, **us;

    if (escf->enabled) {
        return "is duplicate";
    }

    escf->enabled = 1;

    ngx_trp_conf_set_place(cf, &escf->agent.place);

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);
    uscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);

    us = ngx_array_push(&emcf->upstreams);
    if (us == NULL) {
        return NGX_CONF_ERROR;
    }

    *us = uscf;

    ngx_trp_balancer_set(&escf->balancer, uscf, ngx_trp_entry_init_upstream);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_entry_init_upstream(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_trp_agent_conf_t           defaults;
    ngx_trp_entry_srv_conf_t      *escf;
    ngx_stream_upstream_server_t  *server;

    escf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_entry_module);

    if (ngx_trp_balancer_init(&escf->balancer, cf, us, ngx_trp_entry_init_peer)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    server = us->servers->elts;

    for (i = 0; i < us->servers->nelts; i++) {
        escf->limited |= (server[i].max_conns != 0);
    }

    ngx_conf_init_msec_value(escf->open_timeout, 30000);
    ngx_conf_init_uint_value(escf->unavailable, NGX_TRP_ENTRY_WAIT);

    ngx_memzero(&defaults, sizeof(ngx_trp_agent_conf_t));
    ngx_trp_agent_create_conf(&defaults);

    if (ngx_trp_agent_merge_conf(cf, &defaults, &escf->agent) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_name_init_conf(cf, &escf->agent.names,
                               ngx_stream_conf_get_module_srv_conf(cf,
                                                     ngx_stream_core_module))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#if (NGX_STREAM_UPSTREAM_ZONE && nginx_version >= 1027003)

    if (us->resolver) {
        escf->agent.names.resolver = us->resolver;
        escf->agent.names.timeout = us->resolver_timeout;
        ngx_conf_init_msec_value(escf->agent.names.timeout, 30000);
    }

#endif

    return ngx_trp_agent_init_conf(cf, &escf->agent, TRP_ROLE_ENTRY,
                                   "trp_entry");
}


static ngx_int_t
ngx_trp_entry_init_module(ngx_cycle_t *cycle)
{
    ngx_trp_entry_main_conf_t  *emcf;

    if (ngx_test_config) {
        return NGX_OK;
    }

    emcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_entry_module);

    if (emcf && emcf->routes.nelts) {
        ngx_trp_pid_file_check(cycle, "trp_route");
    }

    return ngx_trp_listener_init_resets(cycle);
}


static ngx_int_t
ngx_trp_entry_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_trp_entry_srv_conf_t         *escf;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t  **us;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    emcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_entry_module);

    if (emcf == NULL) {
        return NGX_OK;
    }

    /* all users of fronts get a reset for a refusal */

    ngx_trp_listener_start_resets(cycle, ngx_trp_target_claimed);

    if (emcf->upstreams.nelts == 0) {
        return NGX_OK;
    }

    emcf->fd = ngx_trp_fake_socket(cycle->log);

    if (emcf->fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    us = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        escf = ngx_stream_conf_upstream_srv_conf(us[i], ngx_trp_entry_module);

        escf->relays.upstream = us[i];
        escf->relays.agent = ngx_trp_agent_start(cycle, &escf->agent,
                                                 &emcf->capacity, "trp_entry");

        if (escf->relays.agent == NULL) {
            return NGX_ERROR;
        }

        ngx_trp_share_init(&escf->share, escf->relays.agent->limit,
                           cycle->log);

        if (ngx_trp_relays_start(cycle, &escf->relays) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
