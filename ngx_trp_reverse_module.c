
/*
 * Copyright (C) the trp authors
 */


/*
 * A reverse agent: directives, configuration, and the phases in which nginx
 * calls src/ngx/reverse.
 */


#include "agent/ngx_trp_stream_log.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_fake.h"
#include "names/ngx_trp_defer.h"
#include "reverse/ngx_trp_reverse_access.h"
#include "reverse/ngx_trp_reverse_connect.h"
#include "status/ngx_trp_status_kinds.h"
#include "status/ngx_trp_status_zone.h"
#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_stock.h"
#include "stock/ngx_trp_variables.h"
#include "tunnel/trp_publish.h"


typedef struct {
    ngx_array_t              servers;          /* ngx_trp_reverse_conf_t * */
    ngx_shm_zone_t          *zone;             /* of status */
    ngx_trp_reverse_worker_t  *worker;
} ngx_trp_reverse_main_conf_t;


static ngx_uint_t ngx_trp_reverse_uses(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);

static ngx_int_t ngx_trp_reverse_post_accept_handler(ngx_stream_session_t *s);
static void ngx_trp_reverse_content_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_reverse_log_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_reverse_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static ngx_int_t ngx_trp_reverse_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_reverse_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_reverse_add_zone(ngx_conf_t *cf,
    ngx_trp_reverse_main_conf_t *rmcf);
static ngx_int_t ngx_trp_reverse_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static ngx_int_t ngx_trp_reverse_init_server(ngx_conf_t *cf,
    ngx_trp_reverse_conf_t *rscf);
static void *ngx_trp_reverse_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_reverse_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_reverse_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_trp_reverse(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_trp_reverse_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_reverse_add_rule(ngx_conf_t *cf, ngx_array_t *allow,
    ngx_str_t *text);
static char *ngx_trp_reverse_publish(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_reverse_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_reverse_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_reverse_start(ngx_cycle_t *cycle,
    ngx_trp_reverse_worker_t *worker, const ngx_trp_reverse_conf_t *conf);
static void ngx_trp_reverse_exit_process(ngx_cycle_t *cycle);


/* variables that are set when a user arrives */

static const char *const  ngx_trp_reverse_known[] = {
    "trp_destination",
    "trp_destination_host",
    "trp_destination_port",
    "trp_group",
    "trp_name",
    "trp_stream_id",
    NULL
};


static ngx_command_t  ngx_trp_reverse_commands[] = {

    { ngx_string("trp_reverse"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_reverse,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_reverse_allow"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_reverse_allow,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_reverse_destination"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_stream_set_complex_value_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, map),
      NULL },

    { ngx_string("trp_reverse_publish"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_trp_reverse_publish,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_reverse_weight"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.weight),
      (void *) &ngx_trp_agent_weight_bounds },

    { ngx_string("trp_reverse_backup"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.backup),
      NULL },

    { ngx_string("trp_reverse_group"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.group),
      NULL },

    { ngx_string("trp_reverse_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.name),
      NULL },

    { ngx_string("trp_reverse_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.key),
      NULL },

    { ngx_string("trp_reverse_pool"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_agent_pool,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.role),
      NULL },

    { ngx_string("trp_reverse_connect_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.connect_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_reverse_heartbeat"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.heartbeat),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_reverse_resolve"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_name_set_families,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.names),
      NULL },

    { ngx_string("trp_reverse_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.name),
      NULL },

    { ngx_string("trp_reverse_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ssl.conf_commands),
      NULL },

    { ngx_string("trp_reverse_ways"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_agent_set_ways,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.ways),
      NULL },

    { ngx_string("trp_reverse_quic"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_trp_agent_quic,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.quic),
      NULL },

    { ngx_string("trp_reverse_turn"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_server,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_user"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_turnc_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_secret"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_secret,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_turn_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.name),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_turn_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.turn.ssl.conf_commands),
      NULL },

    { ngx_string("trp_reverse_proxy"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy),
      NULL },

    { ngx_string("trp_reverse_proxy_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_proxy_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.name),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_proxy_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_proxy_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.proxy.ssl.conf_commands),
      NULL },

    { ngx_string("trp_reverse_websocket"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_web_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_websocket_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.name),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_websocket_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_websocket_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_conf_t, agent.web.ssl.conf_commands),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_reverse_module_ctx = {
    ngx_trp_reverse_preconfiguration,      /* preconfiguration */
    ngx_trp_reverse_postconfiguration,     /* postconfiguration */

    ngx_trp_reverse_create_main_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_trp_reverse_create_srv_conf,       /* create server configuration */
    ngx_trp_reverse_merge_srv_conf         /* merge server configuration */
};


ngx_module_t  ngx_trp_reverse_module = {
    NGX_MODULE_V1,
    &ngx_trp_reverse_module_ctx,           /* module context */
    ngx_trp_reverse_commands,              /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    ngx_trp_reverse_init_module,           /* init module */
    ngx_trp_reverse_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_reverse_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_TRP_DEFER_PADDING(ngx_trp_reverse_uses)
};


static ngx_uint_t
ngx_trp_reverse_uses(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_trp_reverse_conf_t       **rscf;
    ngx_trp_reverse_main_conf_t   *rmcf;

    rmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_reverse_module);

    rscf = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        if (rscf[i]->relay.len == us->host.len
            && ngx_strncasecmp(rscf[i]->relay.data, us->host.data,
                               us->host.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_trp_reverse_post_accept_handler(ngx_stream_session_t *s)
{
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    ngx_trp_reverse_begin(ctx, s);

    return ngx_trp_reverse_map(ctx);
}


static void
ngx_trp_reverse_content_handler(ngx_stream_session_t *s)
{
    ngx_trp_reverse_ctx_t   *ctx;
    ngx_trp_reverse_conf_t  *rscf;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx) {
        ngx_trp_reverse_connect(ctx);
        return;
    }

    /* a client that came through a "listen" of this server */

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_reverse_module);
    rscf->handler(s);
}


/* a line with the stream's id: nginx has logged the error without it */

static ngx_int_t
ngx_trp_reverse_log_handler(ngx_stream_session_t *s)
{
    trp_str_t               text;
    ngx_trp_stream_t       *st;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL) {
        return NGX_OK;
    }

    st = &ctx->stream;

    if (st->ops->udp) {

        /* it may have changed in a worker that exits */
        s->connection->type = SOCK_DGRAM;
    }

    ngx_trp_reverse_end(ctx);

    if (st->accepted || st->logged || st->why) {
        ngx_trp_stream_log_end(st, s->connection->log);
        return NGX_OK;
    }

    text.data = (u_char *) trp_code_text(ngx_trp_reverse_code(ctx));
    text.len = ngx_strlen(text.data);

    ngx_trp_stream_log(st, NGX_LOG_INFO, s->connection->log, "was refused: ",
                       text);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_reverse_info(ngx_stream_session_t *s, ngx_trp_info_t *info)
{
    ngx_trp_stream_t       *st;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    st = &ctx->stream;

    info->host = ctx->host;
    info->port = ctx->port;
    info->destination = ctx->destination;
    info->group = ctx->conf->agent.group;
    info->name = ctx->conf->agent.name;
    info->entry = st->name;
    info->reverse = ctx->conf->agent.name;
    info->id = st->id;
    info->status = (st->accepted || st->why) ? TRP_CODE_NONE
                                             : ngx_trp_reverse_code(ctx);
    info->aborted = st->ops->udp ? st->why != NULL
                            : (st->in != NGX_TRP_STREAM_ENDED
                               || st->out != NGX_TRP_STREAM_ENDED);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_reverse_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_trp_defer_begin(cf, &ngx_trp_reverse_module) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_variables_add(cf, ngx_trp_reverse_info);
}


static ngx_int_t
ngx_trp_reverse_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_stream_handler_pt         *h;
    ngx_trp_reverse_conf_t       **rscf;
    ngx_trp_reverse_main_conf_t   *rmcf;
    ngx_stream_core_main_conf_t   *cmcf;

    ngx_trp_defer_end(cf);

    rmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_reverse_module);

    rscf = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        if (ngx_trp_reverse_init_server(cf, rscf[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_trp_reverse_add_zone(cf, rmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    if (ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_reverse_check_listen, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_POST_ACCEPT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_reverse_post_accept_handler;

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_reverse_access_handler;

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_reverse_log_handler;

    return NGX_OK;
}


/* for a row of each server {}, and of each of its relays */

static ngx_int_t
ngx_trp_reverse_add_zone(ngx_conf_t *cf, ngx_trp_reverse_main_conf_t *rmcf)
{
    ngx_uint_t                i, rows;
    ngx_trp_reverse_conf_t  **rscf;

    if (rmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    rows = 0;
    rscf = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        rows += 1 + rscf[i]->upstream->servers->nelts;
    }

    rmcf->zone = ngx_trp_status_zone_rows(cf, rows);

    return rmcf->zone ? NGX_OK : NGX_ERROR;
}


/* only those who come through a tunnel have a destination */

static ngx_int_t
ngx_trp_reverse_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_str_t                   *text;
    ngx_trp_reverse_conf_t      *rscf;
    ngx_stream_core_srv_conf_t  *cscf;

    static const ngx_str_t  destination = ngx_string("$trp_destination");

    rscf = listen->ctx->srv_conf[ngx_trp_reverse_module.ctx_index];
    cscf = listen->ctx->srv_conf[ngx_stream_core_module.ctx_index];

    if (rscf->publish && rscf->listener == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_reverse_publish\" cannot be used in %s:%ui, write "
                      "it in the server that has \"trp_reverse\"",
                      cscf->file_name, cscf->line);
        return NGX_ERROR;
    }

    text = ngx_trp_stock_proxy_text(listen->ctx->srv_conf);

    if (text == NULL || text->len != destination.len
        || ngx_strncmp(text->data, destination.data, text->len) != 0
        || ngx_trp_stock_has(cf, listen->ctx->srv_conf, "trp_route")
        || ngx_trp_stock_has(cf, listen->ctx->srv_conf, "trp_socks5"))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"listen\" cannot be used with \"proxy_pass "
                  "$trp_destination\" in %s:%ui, its users have no "
                  "destination, %s", cscf->file_name, cscf->line,
                  rscf->listener
                  ? "leave it out: \"trp_reverse\" takes its place"
                  : "write \"trp_reverse UPSTREAM\" in place of it");

    return NGX_ERROR;
}


static ngx_int_t
ngx_trp_reverse_init_server(ngx_conf_t *cf, ngx_trp_reverse_conf_t *rscf)
{
    ngx_uint_t                         i;
    ngx_stream_upstream_srv_conf_t   **uscf;
    ngx_stream_upstream_main_conf_t   *umcf;

    umcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_stream_upstream_module);
    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if (uscf[i]->servers
            && uscf[i]->host.len == rscf->relay.len
            && ngx_strncasecmp(uscf[i]->host.data, rscf->relay.data,
                               rscf->relay.len)
               == 0)
        {
            rscf->upstream = uscf[i];
        }
    }

    if (rscf->upstream == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no upstream \"%V\" for \"trp_reverse\" in %s:%ui, "
                      "write \"upstream %V { server ADDRESS:PORT; }\"",
                      &rscf->relay, rscf->agent.place.file_name,
                      rscf->agent.place.line, &rscf->relay);
        return NGX_ERROR;
    }

    if (ngx_trp_stock_check(cf, ngx_trp_stock_reverse,
                            rscf->core->ctx->srv_conf, "trp_reverse",
                            rscf->agent.place.file_name,
                            rscf->agent.place.line)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trp_limit_conn_init(cf, NULL, rscf->core->ctx->srv_conf,
                                ngx_trp_reverse_known, "trp_reverse",
                                rscf->agent.place.file_name,
                                    rscf->agent.place.line)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an upstream with "trp_entry" is checked by the entry */

    if (!ngx_trp_stock_is_entry(cf, rscf->upstream)
        && ngx_trp_stock_check_upstream(cf, rscf->upstream, "trp_reverse")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trp_name_init_conf(cf, &rscf->agent.names, rscf->core) != NGX_OK) {
        return NGX_ERROR;
    }

    rscf->handler = rscf->core->handler;
    rscf->core->handler = ngx_trp_reverse_content_handler;

    return ngx_trp_agent_init_conf(cf, &rscf->agent, rscf->upstream,
                                   TRP_ROLE_REVERSE, "trp_reverse");
}


static void *
ngx_trp_reverse_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_reverse_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_reverse_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rmcf->servers, cf->pool, 1,
                       sizeof(ngx_trp_reverse_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


static void *
ngx_trp_reverse_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_reverse_conf_t  *rscf;

    rscf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_reverse_conf_t));
    if (rscf == NULL) {
        return NULL;
    }

    ngx_trp_agent_create_conf(&rscf->agent);

    return rscf;
}


static char *
ngx_trp_reverse_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_reverse_conf_t *prev = parent;
    ngx_trp_reverse_conf_t *conf = child;

    if (conf->allow == NULL) {
        conf->allow = prev->allow;
    }

    if (conf->map == NULL) {
        conf->map = prev->map;
    }

    ngx_trp_agent_merge_conf(cf, &prev->agent, &conf->agent);

    return NGX_CONF_OK;
}


static char *
ngx_trp_reverse(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_reverse_conf_t *rscf = conf;

    ngx_str_t                     *value, name;
    ngx_trp_reverse_conf_t       **srv;
    ngx_trp_reverse_main_conf_t   *rmcf;

    if (rscf->listener) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rscf->relay = value[1];

    ngx_trp_conf_set_place(cf, &rscf->agent.place);

    rscf->core = ngx_stream_conf_get_module_srv_conf(cf,
                                                     ngx_stream_core_module);

    name.len = sizeof("relay ") - 1 + value[1].len;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_sprintf(name.data, "relay %V", &value[1]);

    rscf->listener = ngx_trp_listener_create(cf, &name);
    if (rscf->listener == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_trp_reverse_module);

    srv = ngx_array_push(&rmcf->servers);
    if (srv == NULL) {
        return NGX_CONF_ERROR;
    }

    *srv = rscf;

    return NGX_CONF_OK;
}


static char *
ngx_trp_reverse_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_reverse_conf_t *rscf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (rscf->allow == NULL) {
        rscf->allow = ngx_array_create(cf->pool, 4,
                                       sizeof(trp_acl_rule_t));
        if (rscf->allow == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_trp_reverse_add_rule(cf, rscf->allow, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_reverse_add_rule(ngx_conf_t *cf, ngx_array_t *allow, ngx_str_t *text)
{
    const char      *err;
    trp_acl_rule_t  *rule;

    rule = ngx_array_push(allow);
    if (rule == NULL) {
        return NGX_ERROR;
    }

    err = trp_acl_parse(rule, ngx_trp_str(text));

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"trp_reverse_allow\" %s", text, err);
        return NGX_ERROR;
    }

    if (rule->low_bits) {
        ngx_trp_conf_low_bits(cf, text, "trp_reverse_allow");
    }

    return NGX_OK;
}


/* trp_reverse_publish NAME|PORT HOST:PORT */

static char *
ngx_trp_reverse_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_reverse_conf_t *rscf = conf;

    u_char                *p;
    trp_str_t             *name;
    ngx_str_t             *value;
    ngx_uint_t             i;
    const char            *err;
    trp_names_t            names;
    trp_publish_t         *publish;
    ngx_trp_agent_conf_t  *agent;

    value = cf->args->elts;
    agent = &rscf->agent;

    if (rscf->publish == NULL) {
        rscf->publish = ngx_array_create(cf->pool, 4, sizeof(trp_publish_t));
        agent->services = ngx_array_create(cf->pool, 4, sizeof(trp_str_t));

        if (rscf->publish == NULL || agent->services == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (!trp_service_valid(ngx_trp_str(&value[1]))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"%V\", write a port, as "
                           "users come in at the relay, or the name of a host",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (trp_names_parse(&names, ngx_trp_str(&value[1])) == TRP_OK
        && names.first != names.last)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "range of ports \"%V\" in \"%V\", write a "
                           "directive for each port",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    publish = rscf->publish->elts;

    for (i = 0; i < rscf->publish->nelts; i++) {
        if (trp_name_equal(publish[i].name,
                           trp_name_relative(ngx_trp_str(&value[1]))))
        {
            return "publishes this name already";
        }
    }

    publish = ngx_array_push(rscf->publish);
    name = ngx_array_push(agent->services);
    p = ngx_pnalloc(cf->pool, value[1].len);

    if (publish == NULL || name == NULL || p == NULL) {
        return NGX_CONF_ERROR;
    }

    err = trp_publish_parse(publish, ngx_trp_str(&value[1]),
                            ngx_trp_str(&value[2]));
    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "destination \"%V\" in \"%V\" %s",
                           &value[2], &cmd->name, err);
        return NGX_CONF_ERROR;
    }

    name->len = trp_service_copy(p, publish->name);
    name->data = p;

    agent->list = trp_publish_add(agent->list, *name);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_reverse_init_module(ngx_cycle_t *cycle)
{
    ngx_trp_reverse_main_conf_t  *rmcf;

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_trp_reverse_module);

    if (rmcf && rmcf->servers.nelts) {
        ngx_trp_pid_file_check(cycle, "trp_reverse");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_reverse_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_trp_reverse_conf_t       **conf;
    ngx_trp_reverse_worker_t      *worker;
    ngx_trp_reverse_main_conf_t   *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_trp_reverse_module);

    if (rmcf == NULL || rmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_reverse_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->status = ngx_trp_status_start(cycle, rmcf->zone);
    if (worker->status == NULL) {
        return NGX_ERROR;
    }

    rmcf->worker = worker;

    ngx_trp_flows_init(&worker->flows, cycle->log);

    worker->fd = ngx_trp_fake_socket(cycle->log);

    if (worker->fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    if (ngx_trp_reverse_init_several(cycle, worker) != NGX_OK) {
        return NGX_ERROR;
    }

    conf = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        if (ngx_trp_reverse_start(cycle, worker, conf[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_reverse_start(ngx_cycle_t *cycle, ngx_trp_reverse_worker_t *worker,
    const ngx_trp_reverse_conf_t *conf)
{
    ngx_str_t                texts[NGX_TRP_REVERSE_TEXTS];
    ngx_trp_reverse_t       *reverse;
    ngx_trp_agent_worker_t  *agent;

    reverse = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_reverse_t));
    if (reverse == NULL) {
        return NGX_ERROR;
    }

    agent = ngx_trp_agent_start(cycle, &conf->agent, worker->status,
                                &worker->capacity, "trp_reverse");
    if (agent == NULL) {
        return NGX_ERROR;
    }

    reverse->conf = conf;
    reverse->worker = worker;

    texts[NGX_TRP_REVERSE_GROUP] = conf->agent.group;
    texts[NGX_TRP_REVERSE_NAME] = conf->agent.name;

    ngx_trp_status_open(worker->status, NGX_TRP_STATUS_REVERSE, texts,
                        NGX_TRP_REVERSE_TEXTS, &reverse->row, NULL);

    reverse->relays.mem = cycle->pool;
    reverse->relays.group = &conf->agent.group;
    reverse->relays.upstream = conf->upstream;
    reverse->relays.agent = agent;
    reverse->relays.open = ngx_trp_reverse_open;
    reverse->relays.data = reverse;

    if (ngx_trp_relays_init(agent, conf->upstream) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_relays_start(&reverse->relays);
}


static void
ngx_trp_reverse_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_reverse_main_conf_t  *rmcf;

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_trp_reverse_module);

    if (rmcf && rmcf->worker) {
        ngx_trp_flows_exit(&rmcf->worker->flows);
        ngx_trp_status_stop(rmcf->worker->status);
    }
}
