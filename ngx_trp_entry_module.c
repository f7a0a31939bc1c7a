
/*
 * Copyright (C) the trp authors
 */


/*
 * The entry: directives of routes and of upstreams with "trp_entry", the
 * phases in which a user's route is found and its end is logged, and what
 * starts in each worker.
 */


#include "entry/ngx_trp_entry.h"
#include "entry/ngx_trp_entry_local.h"
#include "entry/ngx_trp_entry_group.h"
#include "entry/ngx_trp_entry_pools.h"
#include "entry/ngx_trp_entry_service.h"
#include "entry/ngx_trp_entry_status.h"
#include "entry/ngx_trp_route.h"
#include "agent/ngx_trp_stream_log.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_fake.h"
#include "names/ngx_trp_defer.h"
#include "status/ngx_trp_status_zone.h"
#include "stock/ngx_trp_ends.h"
#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_listener.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_stock.h"
#include "stock/ngx_trp_variables.h"

#include <sodium.h>


typedef struct {
    ngx_array_t              routes;       /* of all servers */
    ngx_array_t              upstreams;    /* uscf, with "trp_entry" */
    u_char                  *inherited;    /* listening sockets */
    ngx_array_t              rows;         /* ngx_trp_entry_row_t */
    ngx_shm_zone_t          *zone;         /* of status; NULL: not needed */

    /* of this worker */
    ngx_trp_entry_udp_t      udp;
    ngx_trp_entry_view_t     view;
} ngx_trp_entry_main_conf_t;


typedef struct {

    /* of server {} */
    ngx_array_t             *routes;       /* ngx_trp_route_t * */
    ngx_trp_entry_proxy_t    proxy;
    ngx_trp_entry_conf_t    *pass;         /* whose worker gets the users */
    ngx_trp_entry_service_t  service;

    /* of upstream {} */
    ngx_uint_t               enabled;
    ngx_trp_entry_conf_t     up;
    ngx_trp_entry_t         *worker;       /* the same in this worker */
} ngx_trp_entry_srv_conf_t;


static ngx_uint_t ngx_trp_entry_uses(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_pass_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_entry_access_handler(ngx_stream_session_t *s);
static ngx_trp_entry_ctx_t *ngx_trp_entry_create_ctx(ngx_stream_session_t *s,
    ngx_trp_target_t *target);
static ngx_int_t ngx_trp_entry_find_ctx(ngx_stream_session_t *s,
    ngx_trp_entry_ctx_t **ctx);
static ngx_int_t ngx_trp_entry_evaluate(ngx_stream_session_t *s,
    ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_find_service(ngx_stream_session_t *s,
    ngx_trp_entry_ctx_t **ctx);
static ngx_int_t ngx_trp_entry_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_log_handler(ngx_stream_session_t *s);
static void ngx_trp_entry_end_user(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_entry_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static ngx_int_t ngx_trp_entry_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_entry_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_entry_add_zone(ngx_conf_t *cf);
static ngx_int_t ngx_trp_entry_check_servers(ngx_conf_t *cf,
    ngx_stream_core_main_conf_t *cmcf);
static void ngx_trp_entry_set_pass(ngx_conf_t *cf,
    ngx_stream_core_srv_conf_t *cscf);
static ngx_uint_t ngx_trp_entry_has_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_check_service(ngx_conf_t *cf,
    ngx_stream_core_srv_conf_t *cscf);
static ngx_int_t ngx_trp_entry_check_pass(ngx_conf_t *cf,
    ngx_stream_core_srv_conf_t *cscf);
static ngx_int_t ngx_trp_entry_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static void ngx_trp_entry_init_proxy(ngx_trp_entry_proxy_t *proxy,
    void **srv_conf);
static void *ngx_trp_entry_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_entry_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_entry_route(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_trp_entry_publish(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_trp_entry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_trp_entry_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_entry_init_module(ngx_cycle_t *cycle);
static ngx_uint_t ngx_trp_entry_has_routes(void **srv_conf);
static ngx_int_t ngx_trp_entry_init_process(ngx_cycle_t *cycle);
static void ngx_trp_entry_exit_process(ngx_cycle_t *cycle);


/* variables that a route sets, before the limits and the upstream use them */

static const char *const  ngx_trp_entry_known[] = {
    "trp_destination",
    "trp_destination_host",
    "trp_destination_port",
    "trp_stream_id",
    NULL
};


/* the same if a route has variables */

static const char *const  ngx_trp_entry_known_late[] = {
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

    { ngx_string("trp_publish"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_trp_entry_publish,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_entry"),
      NGX_STREAM_UPS_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_trp_entry,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, enabled),
      NULL },

    { ngx_string("trp_entry_open_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.open_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_unavailable"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.unavailable),
      &ngx_trp_entry_unavailable },

    { ngx_string("trp_entry_group"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_entry_group,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.group),
      NULL },

    { ngx_string("trp_entry_groups"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_entry_groups,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up),
      NULL },

    { ngx_string("trp_entry_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.name),
      NULL },

    { ngx_string("trp_entry_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.key),
      NULL },

    { ngx_string("trp_entry_pool"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_agent_pool,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.role),
      NULL },

    { ngx_string("trp_entry_connect_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.connect_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_next_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.next_timeout),
      NULL },

    { ngx_string("trp_entry_heartbeat"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.heartbeat),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_entry_resolve"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_name_set_families,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.names),
      NULL },

    { ngx_string("trp_entry_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.verify),
      NULL },

    { ngx_string("trp_entry_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.name),
      NULL },

    { ngx_string("trp_entry_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.crl),
      NULL },

    { ngx_string("trp_entry_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ssl.conf_commands),
      NULL },

    { ngx_string("trp_entry_ways"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_trp_agent_set_ways,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.ways),
      NULL },

    { ngx_string("trp_entry_quic"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_trp_agent_quic,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.quic),
      NULL },

    { ngx_string("trp_entry_turn"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_server,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_user"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_turnc_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_secret"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_secret,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn),
      NULL },

    { ngx_string("trp_entry_turn_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.verify),
      NULL },

    { ngx_string("trp_entry_turn_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_turn_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.name),
      NULL },

    { ngx_string("trp_entry_turn_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_turn_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_turn_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_turn_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_turn_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_turn_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.crl),
      NULL },

    { ngx_string("trp_entry_turn_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_turn_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_turn_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_turn_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.turn.ssl.conf_commands),
      NULL },

    { ngx_string("trp_entry_proxy"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy),
      NULL },

    { ngx_string("trp_entry_proxy_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.verify),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_proxy_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.name),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_proxy_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t,
               up.agent.proxy.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.crl),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_proxy_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.proxy.ssl.conf_commands),
      NULL },

    { ngx_string("trp_entry_websocket"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_web_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.verify),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_entry_websocket_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.name),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.server_name),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.session_reuse),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_entry_websocket_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.ciphers),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.crl),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.certificate),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.certificate_key),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.passwords),
      NULL },

    { ngx_string("trp_entry_websocket_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_entry_srv_conf_t, up.agent.web.ssl.conf_commands),
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
    ngx_trp_entry_exit_process,            /* exit process */
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


/* a user of a local entry has connected: is the group another worker's? */

static ngx_int_t
ngx_trp_entry_pass_handler(ngx_stream_session_t *s)
{
    ngx_trp_entry_conf_t      *conf;
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);
    conf = escf->pass;

    if (conf == NULL || s->connection->type != SOCK_STREAM) {
        return NGX_DECLINED;
    }

    if (escf->service.enabled) {
        return ngx_trp_entry_service_pass(s, &escf->service, conf);
    }

    return (conf->hub->ops->pass(conf->relay, &conf->agent.group,
                                 s->connection)
            == NGX_OK)
           ? NGX_DONE : NGX_DECLINED;
}


/*
 * A user has connected: by which route, and may the user take it?  This is the
 * first handler after those of the post-accept phase, where realip runs.
 */

static ngx_int_t
ngx_trp_entry_access_handler(ngx_stream_session_t *s)
{
    in_port_t                  port;
    trp_addr_t                 addr;
    ngx_connection_t          *c;
    ngx_trp_entry_ctx_t       *ctx;
    ngx_trp_route_t            *route;
    ngx_trp_entry_srv_conf_t   *escf;
    ngx_trp_entry_main_conf_t  *emcf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);

    if (escf->service.enabled && escf->service.name == NULL) {
        return (ngx_trp_entry_find_service(s, &ctx) == NGX_ERROR)
               ? NGX_ERROR : NGX_DECLINED;
    }

    if (escf->routes == NULL) {
        return NGX_DECLINED;
    }

    c = s->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    route = ngx_trp_route_find(escf->routes, c);

    if (route == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_trp_entry_create_ctx(s, NULL);

    if (ctx == NULL || ngx_trp_target_set(s, ctx->target) != NGX_OK
        || ngx_trp_route_target(route, c, ctx->target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->by = route;

    emcf = ngx_stream_get_module_main_conf(s, ngx_trp_entry_module);

    ngx_trp_entry_view_begin(&emcf->view, ctx, route->row);

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp stream %s: accepted, the route leads to \"%V\"",
                   ngx_trp_id_text(ctx->id).data, &ctx->target->destination);

    if (c->type == SOCK_DGRAM) {
        ngx_trp_entry_udp_begin(&emcf->udp, &ctx->udp, c);
    }

    if (route->route.source.addr.family) {
        ngx_trp_addr_from_sockaddr(&addr, &port, c->sockaddr);

        if (!trp_cidr_match(&route->route.source, &addr)) {
            ctx->why = "source is not allowed by \"trp_route\"";
            return NGX_STREAM_FORBIDDEN;
        }
    }

    return NGX_DECLINED;
}


static ngx_trp_entry_ctx_t *
ngx_trp_entry_create_ctx(ngx_stream_session_t *s, ngx_trp_target_t *target)
{
    ngx_trp_entry_ctx_t       *ctx;
    ngx_trp_entry_srv_conf_t  *escf;

    ctx = ngx_pcalloc(s->connection->pool, sizeof(ngx_trp_entry_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);

    ctx->session = s;
    ctx->proxy = &escf->proxy;
    ctx->target = target ? target : &ctx->route;
    ctx->target->informs = 1;

    randombytes_buf(ctx->id, TRP_STREAM_ID_LEN);
    ctx->target->id = ctx->id;

    ngx_stream_set_ctx(s, ctx, ngx_trp_entry_module);

    return ctx;
}


/* a client may have named its destination after the access phase */

static ngx_int_t
ngx_trp_entry_find_ctx(ngx_stream_session_t *s, ngx_trp_entry_ctx_t **ctx)
{
    ngx_trp_target_t  *target;

    *ctx = ngx_stream_get_module_ctx(s, ngx_trp_entry_module);

    if (*ctx) {
        return ngx_trp_entry_evaluate(s, *ctx);
    }

    target = ngx_trp_target_get(s);

    if (target == NULL) {
        return ngx_trp_entry_find_service(s, ctx);
    }

    target->carried = 1;

    *ctx = ngx_trp_entry_create_ctx(s, target);
    if (*ctx == NULL) {
        return NGX_ERROR;
    }

    if (!target->udp) {
        ngx_log_debug2(NGX_LOG_DEBUG_STREAM, s->connection->log, 0,
                       "trp stream %s: accepted, the client wants \"%V\"",
                       ngx_trp_id_text((*ctx)->id).data, &target->destination);
    }

    if (target->front && !target->udp && target->addr.family == 0) {
        (*ctx)->why = target->front->check_name(target);
    }

    return (*ctx)->why ? NGX_ERROR : NGX_OK;
}


/* the variables of a route, now that preread has run */

static ngx_int_t
ngx_trp_entry_evaluate(ngx_stream_session_t *s, ngx_trp_entry_ctx_t *ctx)
{
    if (ctx->by == NULL || ctx->by->value == NULL) {
        return NGX_OK;
    }

    if (ngx_trp_route_evaluate(ctx->by, s, ctx->target, &ctx->why) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->why) {
        ctx->code = TRP_CODE_NO_SUCH_HOST;
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, s->connection->log, 0,
                   "trp stream %s: the variables of the route lead to \"%V\"",
                   ngx_trp_id_text(ctx->id).data, &ctx->target->destination);

    return NGX_OK;
}


/* NGX_DECLINED: the server has no "trp_publish" */

static ngx_int_t
ngx_trp_entry_find_service(ngx_stream_session_t *s, ngx_trp_entry_ctx_t **ctx)
{
    ngx_trp_entry_srv_conf_t   *escf;
    ngx_trp_entry_main_conf_t  *emcf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);

    if (!escf->service.enabled) {
        return NGX_DECLINED;
    }

    *ctx = ngx_trp_entry_create_ctx(s, NULL);

    if (*ctx == NULL) {
        return NGX_ERROR;
    }

    emcf = ngx_stream_get_module_main_conf(s, ngx_trp_entry_module);

    ngx_trp_entry_view_begin(&emcf->view, *ctx, escf->service.row);

    if (ngx_trp_target_set(s, (*ctx)->target) != NGX_OK
        || ngx_trp_entry_service_target(*ctx, &escf->service) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, s->connection->log, 0,
                   "trp stream %s: accepted, the service is \"%V\"",
                   ngx_trp_id_text((*ctx)->id).data,
                   &(*ctx)->target->destination);

    return NGX_OK;
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

    if (rc == NGX_OK) {
        rc = (ctx->target->published && escf->up.local)
             ? ngx_trp_entry_service_group(ctx, &escf->up)
             : ngx_trp_entry_set_group(ctx, &escf->up);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (escf->up.balancer.init_peer(s, us) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_entry_begin(ctx, escf->worker);
}


/*
 * How it ended; the proxy knows of no failure to connect, for it was
 * "connected" at once.
 */

static ngx_int_t
ngx_trp_entry_log_handler(ngx_stream_session_t *s)
{
    ngx_trp_target_t     *target;
    ngx_trp_entry_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_trp_entry_module);

    if (ctx) {
        ngx_trp_entry_udp_end(&ctx->udp);
    }

    if (ctx == NULL || ctx->stream.connection == NULL) {
        ngx_trp_entry_end_user(s);
    }

    if (ctx == NULL) {
        return NGX_OK;
    }

    target = ctx->target;

    if (ctx->why) {

        /* the proxy has taken it for an internal error */
        s->status = (ctx->code == TRP_CODE_LIMIT)
                    ? NGX_STREAM_SERVICE_UNAVAILABLE
                    : (ctx->code == TRP_CODE_NO_SUCH_HOST)
                      ? NGX_STREAM_BAD_GATEWAY : NGX_STREAM_FORBIDDEN;
    }

    if (target->front && !target->replied) {
        target->code = ngx_trp_entry_code(ctx);

        if (target->code == TRP_CODE_NONE) {

            /* the proxy has not waited for ACCEPT */
            target->code = TRP_CODE_FAILED;
        }
    }

    ngx_trp_entry_view_end(ctx, ngx_trp_entry_code(ctx));

    if (ctx->stream.connection == NULL) {

        /* a proxy_pass to another upstream may have served the user */

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
 * There was no stream, so no answer either: a clean end would look like an
 * empty one.  The exceptions: a proxy_pass to another upstream has served the
 * user, or a TLS handshake has failed and its alert has to arrive.
 */

static void
ngx_trp_entry_end_user(ngx_stream_session_t *s)
{
    ngx_connection_t          *c;
    ngx_trp_entry_srv_conf_t  *escf;

    escf = ngx_stream_get_module_srv_conf(s, ngx_trp_entry_module);
    c = s->connection;

    if ((escf->routes == NULL && !escf->service.enabled)
        || c->type == SOCK_DGRAM)
    {
        return;
    }

    if (s->status == NGX_STREAM_OK || (c->ssl && !c->ssl->handshaked)) {
        ngx_trp_ends_disarm(c);

    } else {
        ngx_trp_ends_arm(c);
    }
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

    info->group = ctx->group;

    if (ctx->entry) {
        info->name = ctx->entry->conf->agent.name;
        info->entry = info->name;
        info->aborted = ngx_trp_entry_aborted(ctx);
    }

    if (ctx->home) {
        info->reverse = ctx->home->local.name;
        info->reverse_key = ctx->home->local.key;
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

    if (ngx_trp_entry_check_servers(cf, cmcf) != NGX_OK
        || ngx_trp_entry_add_zone(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_POST_ACCEPT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_entry_pass_handler;

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_entry_access_handler;

    log = &cmcf->phases[NGX_STREAM_LOG_PHASE].handlers;

    if (ngx_array_push(log) == NULL) {
        return NGX_ERROR;
    }

    /* before the access log, which shows the status */

    h = log->elts;
    ngx_memmove(h + 1, h, (log->nelts - 1) * sizeof(ngx_stream_handler_pt));
    *h = ngx_trp_entry_log_handler;

    return NGX_OK;
}


/* for a row of each route, and of each relay in each group */

static ngx_int_t
ngx_trp_entry_add_zone(ngx_conf_t *cf)
{
    ngx_uint_t                        i, rows, groups;
    ngx_trp_entry_srv_conf_t         *escf;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t  **us;

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);

    if (emcf->upstreams.nelts == 0 && emcf->routes.nelts == 0) {
        return NGX_OK;
    }

    ngx_trp_entry_rows_pass(&emcf->rows);

    rows = emcf->rows.nelts;
    us = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        escf = ngx_stream_conf_upstream_srv_conf(us[i], ngx_trp_entry_module);
        groups = escf->up.group ? escf->up.groups_max : 1;
        rows += groups * us[i]->servers->nelts;
    }

    emcf->zone = ngx_trp_status_zone_rows(cf, rows);

    return emcf->zone ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_entry_check_servers(ngx_conf_t *cf, ngx_stream_core_main_conf_t *cmcf)
{
    void                        **srv_conf;
    ngx_uint_t                    i;
    ngx_trp_entry_srv_conf_t     *escf;
    ngx_stream_core_srv_conf_t  **cscf;

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        srv_conf = cscf[i]->ctx->srv_conf;
        escf = srv_conf[ngx_trp_entry_module.ctx_index];

        if (escf->routes
            && ngx_trp_stock_check(cf, ngx_trp_stock_entry, srv_conf,
                                   "trp_route", cscf[i]->file_name,
                                   cscf[i]->line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (escf->routes
            && ngx_trp_limit_conn_init(cf, NULL, srv_conf,
                                       ngx_trp_route_variable(escf->routes)
                                       ? ngx_trp_entry_known_late
                                       : ngx_trp_entry_known,
                                       "trp_route", cscf[i]->file_name,
                                       cscf[i]->line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_trp_entry_check_service(cf, cscf[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_trp_entry_check_pass(cf, cscf[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_trp_entry_set_pass(cf, cscf[i]);

        ngx_trp_entry_init_proxy(&escf->proxy, srv_conf);
    }

    return ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_entry_check_listen,
                                    NULL);
}


/* users of a group that is known from the start are served by its worker */

static void
ngx_trp_entry_set_pass(ngx_conf_t *cf, ngx_stream_core_srv_conf_t *cscf)
{
    ngx_uint_t                        i;
    ngx_trp_entry_srv_conf_t         *escf, *up;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t   *pass, **us;

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);
    escf = cscf->ctx->srv_conf[ngx_trp_entry_module.ctx_index];
    pass = ngx_trp_stock_proxy_upstream(cscf->ctx->srv_conf);

    us = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        up = ngx_stream_conf_upstream_srv_conf(us[i], ngx_trp_entry_module);

        if (us[i] == pass && up->up.local && up->up.group == NULL) {
            escf->pass = &up->up;
        }
    }
}


static ngx_uint_t
ngx_trp_entry_has_upstream(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                        i;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t  **upstream;

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);
    upstream = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        if (upstream[i] == us) {
            return 1;
        }
    }

    return 0;
}


/* a server with "trp_publish" has what is asked of one with "trp_route" */

static ngx_int_t
ngx_trp_entry_check_service(ngx_conf_t *cf, ngx_stream_core_srv_conf_t *cscf)
{
    void                            **srv_conf;
    ngx_trp_conf_place_t             *place;
    ngx_trp_entry_srv_conf_t         *escf;
    ngx_stream_upstream_srv_conf_t   *pass;

    static const char *const  none;

    srv_conf = cscf->ctx->srv_conf;
    escf = srv_conf[ngx_trp_entry_module.ctx_index];

    if (!escf->service.enabled) {
        return NGX_OK;
    }

    place = &escf->service.place;

    if (escf->routes) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_publish\" cannot be used with \"trp_route\" in "
                      "%s:%ui, write a server of its own",
                      place->file_name, place->line);
        return NGX_ERROR;
    }

    pass = ngx_trp_stock_proxy_upstream(srv_conf);

    if (pass && !ngx_trp_entry_has_upstream(cf, pass)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_publish\" in %s:%ui needs \"proxy_pass\" to an "
                      "upstream with \"trp_entry\", \"%V\" has none",
                      place->file_name, place->line, &pass->host);
        return NGX_ERROR;
    }

    if (ngx_trp_stock_check(cf, ngx_trp_stock_entry, srv_conf, "trp_publish",
                            place->file_name, place->line)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a name is known after the limits have been applied */

    return ngx_trp_limit_conn_init(cf, NULL, srv_conf,
                                   escf->service.name ? &none
                                                      : ngx_trp_entry_known,
                                   "trp_publish", place->file_name,
                                   place->line);
}


/* a server that passes to relays needs a front, which has the destinations */

static ngx_int_t
ngx_trp_entry_check_pass(ngx_conf_t *cf, ngx_stream_core_srv_conf_t *cscf)
{
    ngx_stream_upstream_srv_conf_t  *pass;

    pass = ngx_trp_stock_proxy_upstream(cscf->ctx->srv_conf);

    if (pass == NULL
        || !ngx_trp_entry_has_upstream(cf, pass)
        || ngx_trp_target_claims(cf, cscf->ctx->srv_conf))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"proxy_pass\" cannot pass to \"%V\" in %s:%ui, the "
                  "upstream has \"trp_entry\" and nothing says where to, "
                  "write \"trp_route PORT:HOST:PORT\" in place of "
                  "\"listen\", or \"trp_socks5\" or \"trp_publish\" "
                  "beside it",
                  &pass->host, cscf->file_name, cscf->line);

    return NGX_ERROR;
}


/* users of a "listen" have no destination */

static ngx_int_t
ngx_trp_entry_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_trp_conf_place_t         place;
    ngx_trp_entry_srv_conf_t    *escf;
    ngx_trp_entry_main_conf_t   *emcf;
    ngx_stream_core_srv_conf_t  *cscf;

    escf = listen->ctx->srv_conf[ngx_trp_entry_module.ctx_index];
    cscf = listen->ctx->srv_conf[ngx_stream_core_module.ctx_index];

    if (escf->service.enabled) {
        emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);

        if (ngx_trp_entry_row_listen(cf, &emcf->rows, escf->service.row,
                                     listen->sockaddr)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_trp_entry_service_check_listen(cf, &escf->service, listen);
    }

    if (escf->routes == NULL) {
        return NGX_OK;
    }

    place.file_name = cscf->file_name;
    place.line = cscf->line;

    if (ngx_trp_conf_check_shared(cf, listen, "trp_route", &place) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_route_at(escf->routes, listen->type, listen->sockaddr)) {
        return NGX_OK;
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

    /* the default does not count: "trp_entry_open_timeout" may be longer */

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
                       sizeof(ngx_trp_route_t *))
        != NGX_OK
        || ngx_array_init(&emcf->rows, cf->pool, 4,
                          sizeof(ngx_trp_entry_row_t))
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

    escf->up.open_timeout = NGX_CONF_UNSET_MSEC;
    escf->up.unavailable = NGX_CONF_UNSET_UINT;
    escf->up.groups_max = NGX_CONF_UNSET_UINT;
    escf->up.groups_inactive = NGX_CONF_UNSET_MSEC;

    ngx_trp_agent_create_conf(&escf->up.agent);

    return escf;
}


static char *
ngx_trp_entry_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_entry_srv_conf_t *escf = conf;

    char                       *rv;
    const char                 *other;
    ngx_trp_route_t             route;
    ngx_stream_conf_ctx_t      *ctx;
    ngx_trp_entry_main_conf_t  *emcf;

    ctx = cf->ctx;

    if (escf->routes == NULL
        && ngx_trp_target_claim(cf, ctx->srv_conf, "trp_route", &other)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);

    rv = ngx_trp_route_set(cf, &escf->routes, &emcf->routes, emcf->rows.nelts,
                           &route);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return (ngx_trp_entry_row_add(cf, &emcf->rows, &route) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_trp_entry_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_entry_srv_conf_t *escf = conf;

    char                       *rv;
    ngx_trp_entry_main_conf_t  *emcf;

    rv = ngx_trp_entry_service_set(cf, &escf->service);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);

    escf->service.row = emcf->rows.nelts;

    return (ngx_trp_entry_row_add(cf, &emcf->rows, NULL) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_trp_entry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_entry_srv_conf_t *escf = conf;

    ngx_str_t                        *value;
    ngx_trp_entry_main_conf_t        *emcf;
    ngx_stream_upstream_srv_conf_t   *uscf, **us;

    if (escf->enabled) {
        return "is duplicate";
    }

    escf->enabled = 1;

    ngx_trp_conf_set_place(cf, &escf->up.agent.place);

    emcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_entry_module);
    uscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);

    us = ngx_array_push(&emcf->upstreams);
    if (us == NULL) {
        return NGX_CONF_ERROR;
    }

    *us = uscf;

    ngx_trp_balancer_set(&escf->up.balancer, uscf, ngx_trp_entry_init_upstream);

    value = cf->args->elts;

    return (cf->args->nelts > 1)
           ? ngx_trp_entry_local_set(cf, &escf->up, uscf, &value[1])
           : NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_entry_init_upstream(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_trp_entry_srv_conf_t      *prev, *escf;
    ngx_stream_upstream_server_t  *server;

    escf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_entry_module);

    if (ngx_trp_balancer_init(&escf->up.balancer, cf, us,
                              ngx_trp_entry_init_peer)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    server = us->servers->elts;

    for (i = 0; i < us->servers->nelts; i++) {
        escf->up.limited |= (server[i].max_conns != 0);
    }

    if (escf->up.local
        && ngx_trp_entry_local_init(cf, &escf->up, us) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* nginx merges nothing into an upstream {}; "cf" is that of stream {} */

    prev = ngx_stream_conf_get_module_srv_conf(cf, ngx_trp_entry_module);

    ngx_conf_merge_msec_value(escf->up.open_timeout, prev->up.open_timeout,
                              30000);
    ngx_conf_merge_uint_value(escf->up.unavailable, prev->up.unavailable,
                              NGX_TRP_ENTRY_WAIT);
    ngx_conf_merge_uint_value(escf->up.groups_max, prev->up.groups_max, 100);
    ngx_conf_merge_msec_value(escf->up.groups_inactive,
                              prev->up.groups_inactive, 600000);

    ngx_trp_entry_merge_group(&prev->up, &escf->up);
    ngx_trp_agent_merge_conf(cf, &prev->up.agent, &escf->up.agent);

    if (escf->up.local) {
        return NGX_OK;
    }

    if (ngx_trp_name_init_conf(cf, &escf->up.agent.names,
                               ngx_stream_conf_get_module_srv_conf(cf,
                                                     ngx_stream_core_module))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#if (NGX_STREAM_UPSTREAM_ZONE && nginx_version >= 1027003)

    if (us->resolver) {
        escf->up.agent.names.resolver = us->resolver;
        escf->up.agent.names.timeout = us->resolver_timeout;
        ngx_conf_init_msec_value(escf->up.agent.names.timeout, 30000);
    }

#endif

    return ngx_trp_agent_init_conf(cf, &escf->up.agent, us, TRP_ROLE_ENTRY,
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

        emcf->inherited = ngx_pcalloc(cycle->pool, cycle->listening.nelts);
        if (emcf->inherited == NULL) {
            return NGX_ERROR;
        }

        ngx_trp_entry_udp_init_sockets(cycle, emcf->inherited,
                                       ngx_trp_entry_has_routes);
    }

    return ngx_trp_listener_init_resets(cycle);
}


static ngx_uint_t
ngx_trp_entry_has_routes(void **srv_conf)
{
    ngx_trp_entry_srv_conf_t  *escf;

    escf = srv_conf[ngx_trp_entry_module.ctx_index];

    return escf->routes != NULL;
}


static ngx_int_t
ngx_trp_entry_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_socket_t                      fd;
    ngx_trp_capacity_t               *capacity;
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

    /* all users of fronts get a reset as a refusal */

    ngx_trp_listener_start_resets(cycle, ngx_trp_target_claimed);

    if (emcf->zone == NULL) {
        return NGX_OK;
    }

    if (ngx_trp_entry_view_start(&emcf->view, cycle, emcf->zone, &emcf->rows)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    fd = ngx_trp_fake_socket(cycle->log);
    capacity = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_capacity_t));

    if (fd == (ngx_socket_t) -1 || capacity == NULL) {
        return NGX_ERROR;
    }

    if (emcf->routes.nelts) {
        ngx_trp_entry_udp_start(&emcf->udp, cycle, fd, emcf->inherited,
                                ngx_trp_entry_has_routes);
    }

    us = emcf->upstreams.elts;

    for (i = 0; i < emcf->upstreams.nelts; i++) {
        escf = ngx_stream_conf_upstream_srv_conf(us[i], ngx_trp_entry_module);

        escf->worker = ngx_trp_entry_start(cycle, &escf->up, us[i],
                                           emcf->view.status, capacity, fd);
        if (escf->worker == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_trp_entry_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_entry_main_conf_t  *emcf;

    emcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_entry_module);

    if (emcf && emcf->view.status) {
        ngx_trp_entry_view_exit(&emcf->view);
    }
}
