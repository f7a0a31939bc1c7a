
/*
 * Copyright (C) the trp authors
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_addr.h"
#include "agent/ngx_trp_agent.h"
#include "base/ngx_trp_connect.h"
#include "names/ngx_trp_defer.h"
#include "stock/ngx_trp_ends.h"
#include "stock/ngx_trp_limit_conn.h"
#include "stock/ngx_trp_listener.h"
#include "names/ngx_trp_lookup.h"
#include "agent/ngx_trp_relays.h"
#include "stock/ngx_trp_stock.h"
#include "agent/ngx_trp_stream_log.h"
#include "agent/ngx_trp_stream_tcp.h"
#include "agent/ngx_trp_stream_udp.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_variables.h"
#include "base/trp_acl.h"


/* a session of UDP begins with its first datagram */
#define NGX_TRP_REVERSE_FIRST_TIME  30000


typedef struct {
    ngx_array_t                      servers;  /* ngx_trp_reverse_srv_conf_t */
    ngx_stream_upstream_srv_conf_t  *several;  /* of several addresses */
    ngx_socket_t                     fd;
    ngx_trp_capacity_t               capacity;
} ngx_trp_reverse_main_conf_t;


typedef struct {
    ngx_trp_agent_conf_t            agent;
    ngx_array_t                    *allow;     /* trp_acl_rule_t */

    ngx_str_t                       relay;     /* the upstream's name */
    ngx_stream_upstream_srv_conf_t *upstream;
    ngx_trp_relays_t                relays;
    ngx_trp_listener_t             *listener;
    ngx_stream_core_srv_conf_t     *core;
    ngx_stream_content_handler_pt   handler;   /* of the server, stock */
} ngx_trp_reverse_srv_conf_t;


typedef struct {
    ngx_trp_stream_t                stream;
    ngx_stream_session_t           *session;
    ngx_trp_reverse_srv_conf_t     *conf;

    trp_addr_t                      addr;
    ngx_str_t                       host;
    in_port_t                       port;
    ngx_str_t                       destination;
    ngx_array_t                     addrs;     /* of a name, allowed ones */

    ngx_trp_lookup_t                lookup;
    ngx_event_notify_peer_pt        notify;    /* the balancer's */
    ngx_event_handler_pt            connect;   /* the proxy's */
    ngx_atomic_uint_t               armed;     /* connection to be reset */
    ngx_log_t                       silent;
    ngx_uint_t                     *closed;    /* told when the stream closes */

    unsigned                        checked:1;
    unsigned                        resolving:1;
    unsigned                        resolved:1;
    unsigned                        named:1;   /* a rule allows the name */
    unsigned                        several:1; /* the proxy knows all addrs */
} ngx_trp_reverse_ctx_t;


static ngx_uint_t ngx_trp_reverse_uses(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static void ngx_trp_reverse_open(ngx_trp_link_t *link, trp_open_t *open);
static ngx_trp_reverse_ctx_t *ngx_trp_reverse_create_stream(
    ngx_trp_link_t *link, trp_open_t *open);
static ngx_int_t ngx_trp_reverse_init_connection(ngx_connection_t *c,
    trp_open_t *open);
static void ngx_trp_reverse_udp_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_reverse_udp_first(ngx_connection_t *c);
static void ngx_trp_reverse_cleanup(void *data);
static ngx_uint_t ngx_trp_reverse_code(ngx_trp_reverse_ctx_t *ctx);
static ngx_uint_t ngx_trp_reverse_timed_out(ngx_stream_session_t *s);
static ngx_uint_t ngx_trp_reverse_no_route(ngx_trp_reverse_ctx_t *ctx);
static ngx_uint_t ngx_trp_reverse_error_code(ngx_err_t err);
static ngx_connection_t *ngx_trp_reverse_destination(ngx_trp_stream_t *st);
static ngx_trp_reverse_ctx_t *ngx_trp_reverse_get_ctx(
    ngx_stream_session_t *s);

static ngx_int_t ngx_trp_reverse_post_accept_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_reverse_access_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_reverse_check_addr(ngx_trp_reverse_ctx_t *ctx,
    trp_addr_t *addr);
static ngx_int_t ngx_trp_reverse_check_name(ngx_trp_reverse_ctx_t *ctx);
static ngx_int_t ngx_trp_reverse_resolve(ngx_trp_reverse_ctx_t *ctx);
static ngx_uint_t ngx_trp_reverse_is_localhost(trp_str_t *name);
static ngx_uint_t ngx_trp_reverse_named(ngx_trp_reverse_ctx_t *ctx);
static void ngx_trp_reverse_resolve_handler(ngx_trp_lookup_t *lookup);
static ngx_int_t ngx_trp_reverse_localhost(ngx_trp_reverse_ctx_t *ctx);
static ngx_int_t ngx_trp_reverse_add_addr(ngx_trp_reverse_ctx_t *ctx,
    struct sockaddr *sa, socklen_t socklen);
static void ngx_trp_reverse_content_handler(ngx_stream_session_t *s);
static void ngx_trp_reverse_offer(ngx_trp_reverse_ctx_t *ctx,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_reverse_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static void ngx_trp_reverse_watch(ngx_trp_reverse_ctx_t *ctx);
static ngx_msec_t ngx_trp_reverse_addr_time(ngx_trp_reverse_ctx_t *ctx);
static void ngx_trp_reverse_connect_handler(ngx_event_t *ev);
static void ngx_trp_reverse_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_trp_reverse_connected(ngx_trp_reverse_ctx_t *ctx,
    ngx_connection_t *pc);
static ngx_int_t ngx_trp_reverse_log_handler(ngx_stream_session_t *s);
static ngx_int_t ngx_trp_reverse_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static ngx_int_t ngx_trp_reverse_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_reverse_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_reverse_init_server(ngx_conf_t *cf,
    ngx_trp_reverse_srv_conf_t *rscf);
static ngx_int_t ngx_trp_reverse_init_several(ngx_conf_t *cf,
    ngx_trp_reverse_main_conf_t *rmcf);
static void *ngx_trp_reverse_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_reverse_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_reverse_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_trp_reverse(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_trp_reverse_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_reverse_add_rule(ngx_conf_t *cf, ngx_array_t *allow,
    ngx_str_t *text);
static ngx_int_t ngx_trp_reverse_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_reverse_init_process(ngx_cycle_t *cycle);


static const ngx_trp_stream_handlers_t  ngx_trp_reverse_stream_handlers = {
    ngx_trp_reverse_destination,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL
};


/* variables that a user comes with */

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

    { ngx_string("trp_reverse_weight"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.weight),
      (void *) &ngx_trp_agent_weight_bounds },

    { ngx_string("trp_reverse_backup"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.backup),
      NULL },

    { ngx_string("trp_reverse_group"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.group),
      NULL },

    { ngx_string("trp_reverse_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_agent_label,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.name),
      NULL },

    { ngx_string("trp_reverse_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.key),
      NULL },

    { ngx_string("trp_reverse_pool"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_agent_pool,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.role),
      NULL },

    { ngx_string("trp_reverse_connect_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.connect_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_reverse_heartbeat"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.heartbeat),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_reverse_resolve"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_name_set_families,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.names),
      NULL },

    { ngx_string("trp_reverse_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.name),
      NULL },

    { ngx_string("trp_reverse_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.ssl.conf_commands),
      NULL },

    { ngx_string("trp_reverse_turn"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_server,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_user"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_turnc_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_secret"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_secret,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_verify"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.verify),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_verify_depth"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_reverse_turn_ssl_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.name),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_server_name"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.server_name),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_session_reuse"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.session_reuse),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_protocols"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_reverse_turn_ssl_ciphers"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.ciphers),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_trusted_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_crl"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.crl),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_certificate"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.certificate),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_certificate_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.certificate_key),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_password_file"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.passwords),
      NULL },

    { ngx_string("trp_reverse_turn_ssl_conf_command"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_reverse_srv_conf_t, agent.turn.ssl.conf_commands),
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
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_TRP_DEFER_PADDING(ngx_trp_reverse_uses)
};


static ngx_uint_t
ngx_trp_reverse_uses(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_trp_reverse_srv_conf_t   **rscf;
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


/* the relay opens a stream: it becomes a client of this server */

static void
ngx_trp_reverse_open(ngx_trp_link_t *link, trp_open_t *open)
{
    ngx_uint_t              udp, known, full;
    trp_refuse_t            refuse;
    ngx_connection_t       *c;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = NULL;
    udp = (open->proto == TRP_PROTO_UDP);

    known = (open->flags & TRP_OPEN_AGAIN)
            && ngx_trp_stream_known(link->pool->agent, open->id);

    /* datagrams leave half of the tunnels to streams of TCP */

    full = (udp && link->pool->agent->ndatagrams
                   >= ngx_max(link->pool->agent->limit / 2, 1));

    if (full) {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "%ui streams of UDP are half of what there may be, "
                      "stream: %s", link->pool->agent->ndatagrams,
                      ngx_trp_id_text(open->id).data);

    } else if (known) {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "stream was opened before, and accepted, stream: %s",
                      ngx_trp_id_text(open->id).data);

    } else if (open->proto == TRP_PROTO_TCP || (udp && !ngx_exiting)) {

        /* nginx ends sessions of UDP in a worker that exits */

        ctx = ngx_trp_reverse_create_stream(link, open);
    }

    if (ctx == NULL) {
        ngx_memzero(&refuse, sizeof(trp_refuse_t));

        refuse.code = full ? TRP_CODE_LIMIT : TRP_CODE_FAILED;
        refuse.retry = ((open->proto == TRP_PROTO_TCP || udp) && !known);

        ngx_trp_tunnel_abandon(link->tunnel, &refuse, 1);
        return;
    }

    ngx_trp_stream_attach(&ctx->stream, link);

    c = ctx->stream.connection;

    /* DATA may already be here, behind OPEN */
    c->read->ready = 1;

    if (udp) {
        c->read->handler = ngx_trp_reverse_udp_handler;
        ngx_add_timer(c->read, NGX_TRP_REVERSE_FIRST_TIME);
        ngx_post_event(c->read, &ngx_posted_events);
        return;
    }

    ngx_trp_listener_accept(ctx->conf->listener, c);
}


/* as nginx does it, the first datagram is there before the session begins */

static void
ngx_trp_reverse_udp_handler(ngx_event_t *rev)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_connection_t       *c;
    ngx_trp_reverse_ctx_t  *ctx;

    c = rev->data;

    rc = (rev->timedout || c->close) ? NGX_ERROR
                                     : ngx_trp_reverse_udp_first(c);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_ERROR) {
        pool = c->pool;

        ngx_close_connection(c);
        ngx_destroy_pool(pool);

        return;
    }

    ngx_del_timer(rev);

    ctx = ngx_trp_stream_of(c)->data;

    /* the proxy's buffer may be smaller than the one here */
    ctx->stream.part.room = 0;

    ngx_trp_listener_accept(ctx->conf->listener, c);
}


static ngx_int_t
ngx_trp_reverse_udp_first(ngx_connection_t *c)
{
    u_char   buf[TRP_DATA_MAX];
    ssize_t  n;

    n = c->recv(c, buf, sizeof(buf));

    if (n == NGX_AGAIN || n == NGX_ERROR) {
        return n;
    }

    c->buffer = ngx_create_temp_buf(c->pool, n);
    if (c->buffer == NULL) {
        return NGX_ERROR;
    }

    c->buffer->last = ngx_cpymem(c->buffer->last, buf, n);

    return NGX_OK;
}


static ngx_trp_reverse_ctx_t *
ngx_trp_reverse_create_stream(ngx_trp_link_t *link, trp_open_t *open)
{
    u_char                       *p;
    ngx_str_t                     name;
    ngx_log_t                    *log;
    ngx_pool_t                   *pool;
    ngx_connection_t             *c;
    ngx_pool_cleanup_t           *cln;
    ngx_trp_reverse_ctx_t        *ctx;
    ngx_trp_reverse_main_conf_t  *rmcf;

    pool = ngx_create_pool(1024, link->pool->log);
    if (pool == NULL) {
        return NULL;
    }

    ctx = ngx_pcalloc(pool, sizeof(ngx_trp_reverse_ctx_t));
    log = ngx_palloc(pool, sizeof(ngx_log_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (ctx == NULL || log == NULL || cln == NULL) {
        goto failed;
    }

    *log = *link->pool->log;

    ctx->conf = link->pool->data;
    ctx->addr = open->addr;
    ctx->port = open->port;

    if (open->addr.family) {
        p = ngx_pnalloc(pool, TRP_ADDR_TEXT_LEN);
        ctx->host.len = p ? trp_addr_text(p, &open->addr) : 0;

    } else {
        p = ngx_pnalloc(pool, open->host.len);
        ctx->host.len = open->host.len;

        if (p) {
            ngx_memcpy(p, open->host.data, open->host.len);
        }
    }

    ctx->host.data = p;

    name.len = open->name.len;
    name.data = ngx_pnalloc(pool, name.len);

    if (p == NULL || name.data == NULL) {
        goto failed;
    }

    ngx_memcpy(name.data, open->name.data, name.len);

    ctx->destination = ngx_trp_host_port(pool, &ctx->host, ctx->port);

    if (ctx->destination.data == NULL) {
        goto failed;
    }

    ctx->stream.ops = (open->proto == TRP_PROTO_UDP)
                      ? &ngx_trp_stream_udp_ops : &ngx_trp_stream_tcp_ops;
    ctx->stream.handlers = &ngx_trp_reverse_stream_handlers;
    ctx->stream.pool = link->pool;
    ctx->stream.destination = ctx->destination;
    ctx->stream.name = name;
    ngx_memcpy(ctx->stream.id, open->id, TRP_STREAM_ID_LEN);
    ctx->stream.data = ctx;

    rmcf = ngx_stream_cycle_get_module_main_conf(ngx_cycle,
                                                 ngx_trp_reverse_module);

    if (ngx_trp_stream_create(&ctx->stream, rmcf->fd, log) != NGX_OK) {
        goto failed;
    }

    c = ctx->stream.connection;

    c->pool = pool;
    pool->log = log;

    if (ngx_trp_reverse_init_connection(c, open) != NGX_OK) {
        ngx_trp_stream_close(&ctx->stream, NULL);
        ngx_close_connection(c);
        goto failed;
    }

    cln->handler = ngx_trp_reverse_cleanup;
    cln->data = ctx;

    return ctx;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* to nginx it comes from the user, to where the user came in */

static ngx_int_t
ngx_trp_reverse_init_connection(ngx_connection_t *c, trp_open_t *open)
{
    ngx_sockaddr_t  *sa, *local;

    sa = ngx_palloc(c->pool, sizeof(ngx_sockaddr_t));
    local = ngx_palloc(c->pool, sizeof(ngx_sockaddr_t));
    c->addr_text.data = ngx_pnalloc(c->pool, NGX_SOCKADDR_STRLEN);

    if (sa == NULL || local == NULL || c->addr_text.data == NULL) {
        return NGX_ERROR;
    }

    c->socklen = ngx_trp_addr_to_sockaddr(sa, &open->user, open->user_port);
    c->sockaddr = &sa->sockaddr;

    c->local_socklen = ngx_trp_addr_to_sockaddr(local, &open->local,
                                                open->local_port);
    c->local_sockaddr = &local->sockaddr;

    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);

    return NGX_OK;
}


static void
ngx_trp_reverse_cleanup(void *data)
{
    ngx_trp_reverse_ctx_t *ctx = data;

    trp_refuse_t  refuse;

    if (ctx->closed) {
        *ctx->closed = 1;
    }

    if (ctx->resolving) {
        ngx_trp_lookup_cancel(&ctx->lookup);
    }

    ngx_memzero(&refuse, sizeof(trp_refuse_t));

    refuse.code = (uint8_t) ngx_trp_reverse_code(ctx);

    /* another reverse may be allowed to, or be able to */
    refuse.retry = 1;

    ngx_trp_stream_close(&ctx->stream, &refuse);
}


/* why a session ended before its destination answered */

static ngx_uint_t
ngx_trp_reverse_code(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_stream_session_t  *s;

    if (ctx->stream.code) {
        return ctx->stream.code;
    }

    s = ctx->session;

    if (s == NULL || ctx->stream.accepted) {
        return TRP_CODE_FAILED;
    }

    switch (s->status) {

    case NGX_STREAM_FORBIDDEN:
        return TRP_CODE_NOT_ALLOWED;

    case NGX_STREAM_SERVICE_UNAVAILABLE:
        return TRP_CODE_LIMIT;

    case NGX_STREAM_BAD_GATEWAY:
        return ngx_trp_reverse_timed_out(s) ? TRP_CODE_TIMED_OUT
                                            : ngx_trp_reverse_no_route(ctx);
    }

    return TRP_CODE_FAILED;
}


static ngx_uint_t
ngx_trp_reverse_timed_out(ngx_stream_session_t *s)
{
    ngx_msec_t  *timeout;

    timeout = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                                  "proxy_connect_timeout");

    return timeout && s->upstream && s->upstream->state
           && s->upstream->state->response_time >= *timeout;
}


/* connect() failed at once, and the proxy does not tell how */

static ngx_uint_t
ngx_trp_reverse_no_route(ngx_trp_reverse_ctx_t *ctx)
{
    socklen_t       len;
    ngx_sockaddr_t  sa;

    if (ctx->addr.family == 0) {
        return TRP_CODE_REFUSED;
    }

    len = ngx_trp_addr_to_sockaddr(&sa, &ctx->addr, ctx->port);

    return ngx_trp_reverse_error_code(ngx_trp_connect_way(&sa.sockaddr, len));
}


static ngx_uint_t
ngx_trp_reverse_error_code(ngx_err_t err)
{
    switch (err) {

    case NGX_ENETUNREACH:
        return TRP_CODE_NET_UNREACHABLE;

    case NGX_EHOSTUNREACH:
        return TRP_CODE_HOST_UNREACHABLE;

    case NGX_ETIMEDOUT:
        return TRP_CODE_TIMED_OUT;

    default:
        return TRP_CODE_REFUSED;
    }
}


static ngx_connection_t *
ngx_trp_reverse_destination(ngx_trp_stream_t *st)
{
    ngx_trp_reverse_ctx_t  *ctx;
    ngx_stream_upstream_t  *u;

    ctx = st->data;

    if (ctx->session == NULL) {
        return NULL;
    }

    u = ctx->session->upstream;

    return (u && u->connected) ? u->peer.connection : NULL;
}


static ngx_trp_reverse_ctx_t *
ngx_trp_reverse_get_ctx(ngx_stream_session_t *s)
{
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_of(s->connection);

    return st ? st->data : NULL;
}


static ngx_int_t
ngx_trp_reverse_post_accept_handler(ngx_stream_session_t *s)
{
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx) {
        ctx->session = s;
    }

    return NGX_DECLINED;
}


/* trp_reverse_allow, and the name's address that it was checked for */

static ngx_int_t
ngx_trp_reverse_access_handler(ngx_stream_session_t *s)
{
    static const trp_str_t  not_allowed =
        trp_string(": destination is not allowed by \"trp_reverse_allow\"");

    ngx_int_t               rc;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL || ctx->checked) {
        return NGX_DECLINED;
    }

    if (ctx->stream.in == NGX_TRP_STREAM_ABORTED) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (ctx->resolving) {
        return NGX_AGAIN;
    }

    if (ctx->addr.family && !ctx->resolved) {
        rc = ngx_trp_reverse_check_addr(ctx, &ctx->addr);

    } else {
        rc = ngx_trp_reverse_check_name(ctx);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_trp_stream_log(&ctx->stream, NGX_LOG_ERR, s->connection->log,
                           "was refused", not_allowed);

        ctx->stream.code = TRP_CODE_NOT_ALLOWED;
        return NGX_STREAM_FORBIDDEN;
    }

    if (rc == NGX_BUSY) {
        ctx->stream.code = TRP_CODE_NO_SUCH_HOST;
        return NGX_STREAM_BAD_GATEWAY;
    }

    ctx->checked = 1;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_trp_reverse_check_addr(ngx_trp_reverse_ctx_t *ctx, trp_addr_t *addr)
{
    ngx_uint_t       i;
    trp_addr_t       a;
    trp_acl_rule_t  *rule;

    if (ctx->conf->allow == NULL) {
        a = *addr;

        return (trp_addr_this_host(&a) || trp_addr_is_loopback(&a))
               ? NGX_OK : NGX_DECLINED;
    }

    rule = ctx->conf->allow->elts;

    for (i = 0; i < ctx->conf->allow->nelts; i++) {
        if (trp_acl_match_addr(&rule[i], addr, ctx->port)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* NGX_OK, NGX_AGAIN, NGX_DECLINED: not allowed, NGX_BUSY: no such host */

static ngx_int_t
ngx_trp_reverse_check_name(ngx_trp_reverse_ctx_t *ctx)
{
    trp_str_t  name;

    if (ctx->resolved) {
        return ctx->stream.code == TRP_CODE_NO_SUCH_HOST ? NGX_BUSY
               : ctx->addr.family ? NGX_OK : NGX_DECLINED;
    }

    ctx->named = ngx_trp_reverse_named(ctx);

    name = ngx_trp_str(&ctx->host);

    if (ngx_trp_reverse_is_localhost(&name)) {
        return ngx_trp_reverse_localhost(ctx);
    }

    return ngx_trp_reverse_resolve(ctx);
}


/* RFC 6761, section 6.3: always the loopback address */

static ngx_uint_t
ngx_trp_reverse_is_localhost(trp_str_t *name)
{
    static const trp_str_t  localhost = trp_string("localhost");

    return trp_name_equal(*name, localhost);
}


static ngx_int_t
ngx_trp_reverse_localhost(ngx_trp_reverse_ctx_t *ctx)
{
    socklen_t       socklen;
    ngx_uint_t      i;
    ngx_sockaddr_t  sa;

    static const trp_addr_t  addrs[] = {
        { 4, { 127, 0, 0, 1 } },
        { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } }
    };

    for (i = 0; i < sizeof(addrs) / sizeof(trp_addr_t); i++) {
        socklen = ngx_trp_addr_to_sockaddr(&sa, &addrs[i], ctx->port);

        if (ngx_trp_reverse_add_addr(ctx, &sa.sockaddr, socklen)
            == NGX_ERROR)
        {
            return NGX_ERROR;
        }
    }

    return ctx->addr.family ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_trp_reverse_named(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    if (ctx->conf->allow == NULL) {
        return 0;
    }

    rule = ctx->conf->allow->elts;

    for (i = 0; i < ctx->conf->allow->nelts; i++) {
        if (trp_acl_match_name(&rule[i], ngx_trp_str(&ctx->host), ctx->port)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_trp_reverse_resolve(ngx_trp_reverse_ctx_t *ctx)
{
    ctx->lookup.resolver = ctx->conf->core->resolver;
    ctx->lookup.timeout = ctx->conf->core->resolver_timeout;
    ctx->lookup.name = ctx->host;
    ctx->lookup.handler = ngx_trp_reverse_resolve_handler;
    ctx->lookup.data = ctx;

    ctx->resolving = 1;

    ngx_trp_lookup(&ctx->lookup);

    /* the handler was called if it was known */

    return ctx->resolved ? ngx_trp_reverse_check_name(ctx) : NGX_AGAIN;
}


static void
ngx_trp_reverse_resolve_handler(ngx_trp_lookup_t *lookup)
{
    ngx_uint_t              i;
    ngx_trp_reverse_ctx_t  *ctx;

    ctx = lookup->data;

    if (lookup->state != NGX_OK) {
        ngx_trp_lookup_log_error(lookup, ctx->stream.connection->log);

        ctx->stream.code = TRP_CODE_NO_SUCH_HOST;
    }

    for (i = 0; i < lookup->naddrs; i++) {
        if (ngx_trp_reverse_add_addr(ctx, lookup->addrs[i].sockaddr,
                                     lookup->addrs[i].socklen)
            == NGX_ERROR)
        {
            break;
        }
    }

    ctx->resolved = 1;
    ctx->resolving = 0;

    if (lookup->async) {
        ngx_stream_core_run_phases(ctx->session);
    }
}


/* NGX_DECLINED: it is not allowed */

static ngx_int_t
ngx_trp_reverse_add_addr(ngx_trp_reverse_ctx_t *ctx, struct sockaddr *sa,
    socklen_t socklen)
{
    u_char               *p;
    in_port_t             port;
    trp_addr_t            addr;
    ngx_str_t             text;
    ngx_pool_t           *pool;
    ngx_resolver_addr_t  *to;

    ngx_trp_addr_from_sockaddr(&addr, &port, sa);

    if (!ctx->named && ngx_trp_reverse_check_addr(ctx, &addr) != NGX_OK) {
        return NGX_DECLINED;
    }

    pool = ctx->stream.connection->pool;

    if (ctx->addrs.elts == NULL
        && ngx_array_init(&ctx->addrs, pool, 2, sizeof(ngx_resolver_addr_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    to = ngx_array_push(&ctx->addrs);
    if (to == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(to, sizeof(ngx_resolver_addr_t));

    to->sockaddr = ngx_palloc(pool, socklen);
    if (to->sockaddr == NULL) {
        ctx->addrs.nelts--;
        return NGX_ERROR;
    }

    ngx_memcpy(to->sockaddr, sa, socklen);
    to->socklen = socklen;

    if (ctx->addr.family) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, TRP_ADDR_TEXT_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.len = trp_addr_text(p, &addr);
    text.data = p;

    ctx->addr = addr;
    ctx->destination = ngx_trp_host_port(pool, &text, ctx->port);

    return ctx->destination.data ? NGX_OK : NGX_ERROR;
}


/*
 * Around the server's own content handler: the destination has answered when
 * the proxy calls "notify", or when it is connected already on return.
 */

static void
ngx_trp_reverse_content_handler(ngx_stream_session_t *s)
{
    ngx_uint_t                    closed;
    ngx_stream_upstream_t        *u;
    ngx_trp_reverse_ctx_t        *ctx;
    ngx_trp_reverse_srv_conf_t   *rscf;
    ngx_trp_reverse_main_conf_t  *rmcf;

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_reverse_module);
    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx == NULL) {
        rscf->handler(s);
        return;
    }

    rmcf = ngx_stream_get_module_main_conf(s, ngx_trp_reverse_module);

    closed = 0;
    ctx->closed = &closed;

    ngx_trp_reverse_offer(ctx, rmcf->several);

    rscf->handler(s);

    ngx_str_null(&rmcf->several->host);

    if (closed) {
        return;
    }

    ctx->closed = NULL;

    u = s->upstream;

    if (u == NULL) {
        return;
    }

    if (u->connected) {
        ngx_trp_reverse_connected(ctx, u->peer.connection);
        return;
    }

    ctx->notify = u->peer.notify;
    u->peer.notify = ngx_trp_reverse_notify;

    ngx_trp_reverse_watch(ctx);
}


/*
 * The proxy takes what "proxy_pass" has come to for one address, unless there
 * is an upstream of this name.  So there is one, with all the addresses, while
 * it looks for it.
 */

static void
ngx_trp_reverse_offer(ngx_trp_reverse_ctx_t *ctx,
    ngx_stream_upstream_srv_conf_t *us)
{
    u_char  *colon;

    if (ctx->addrs.nelts < 2) {
        return;
    }

    colon = ctx->destination.data + ctx->destination.len;

    do {
        colon--;
    } while (*colon != ':');

    us->host.data = ctx->destination.data;
    us->host.len = colon - ctx->destination.data;
    us->port = ctx->port;
}


static ngx_int_t
ngx_trp_reverse_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_reverse_ctx_t           *ctx;
    ngx_stream_upstream_resolved_t  *ur;

    ctx = ngx_trp_reverse_get_ctx(s);
    ctx->several = 1;

    ur = s->upstream->resolved;

    ur->sockaddr = NULL;
    ur->addrs = ctx->addrs.elts;
    ur->naddrs = ctx->addrs.nelts;

    return ngx_stream_upstream_create_round_robin_peer(s, ur);
}


/* connect() is under way */

static void
ngx_trp_reverse_watch(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_msec_t              time;
    ngx_connection_t       *c;
    ngx_stream_upstream_t  *u;

    u = ctx->session->upstream;
    c = u->peer.connection;

    if (c == NULL || u->connected) {
        return;
    }

    if (!ctx->stream.ops->udp) {

        /* an abort while connect() is under way is no clean end either */
        ngx_trp_ends_arm(c);
        ctx->armed = c->number;
    }

    ctx->connect = c->write->handler;

    c->read->handler = ngx_trp_reverse_connect_handler;
    c->write->handler = ngx_trp_reverse_connect_handler;

    time = ngx_trp_reverse_addr_time(ctx);

    if (time) {
        ngx_add_timer(c->write, time);
    }
}


/* 0: as long as the proxy waits */

static ngx_msec_t
ngx_trp_reverse_addr_time(ngx_trp_reverse_ctx_t *ctx)
{
    ngx_flag_t            *next;
    ngx_msec_t             time, *timeout;
    ngx_stream_session_t  *s;

    s = ctx->session;

    if (!ctx->several || s->upstream->peer.tries < 2) {
        return 0;
    }

    next = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                               "proxy_next_upstream");
    timeout = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                                  "proxy_connect_timeout");

    if (next == NULL || !*next || timeout == NULL) {
        return 0;
    }

    time = ngx_trp_connect_patience(ctx->addrs.nelts);

    return (time < *timeout) ? time : 0;
}


/*
 * The proxy is about to learn how connect() ended.  An error is told once: it
 * is taken and logged here, and the proxy gives up as after its timeout.
 */

static void
ngx_trp_reverse_connect_handler(ngx_event_t *ev)
{
    ngx_err_t               err;
    ngx_uint_t              closed;
    ngx_connection_t       *c;
    ngx_atomic_uint_t       number;
    ngx_event_handler_pt    handler;
    ngx_stream_upstream_t  *u;
    ngx_trp_reverse_ctx_t  *ctx;

    c = ev->data;
    ctx = ngx_trp_reverse_get_ctx(c->data);
    handler = ctx->connect;
    number = c->number;

    c->read->handler = handler;
    c->write->handler = handler;

    err = ev->timedout ? 0 : ngx_trp_connect_error(c);

    if (ev->timedout) {
        ctx->stream.code = TRP_CODE_TIMED_OUT;

    } else if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");

        ctx->stream.code = ngx_trp_reverse_error_code(err);
        ctx->silent.log_level = NGX_LOG_STDERR;

        c->log = &ctx->silent;
        ev->timedout = 1;
    }

    closed = 0;
    ctx->closed = &closed;

    handler(ev);

    if (closed) {
        return;
    }

    ctx->closed = NULL;

    u = ctx->session->upstream;

    /* it may be at the next address */

    if (u->peer.connection && u->peer.connection->number != number) {
        ngx_trp_reverse_watch(ctx);
    }
}


static void
ngx_trp_reverse_notify(ngx_peer_connection_t *pc, void *data, ngx_uint_t type)
{
    ngx_stream_session_t   *s;
    ngx_trp_reverse_ctx_t  *ctx;

    s = pc->connection->data;
    ctx = ngx_trp_reverse_get_ctx(s);

    if (ctx->notify) {
        ctx->notify(pc, data, type);
    }

    if (type == NGX_STREAM_UPSTREAM_NOTIFY_CONNECT) {
        ngx_trp_reverse_connected(ctx, pc->connection);
    }
}


static void
ngx_trp_reverse_connected(ngx_trp_reverse_ctx_t *ctx, ngx_connection_t *pc)
{
    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    if (st->ops->udp) {

        if (st->in != NGX_TRP_STREAM_OPEN) {
            ngx_trp_fake_wake(st->connection->read);
            return;
        }

        st->code = TRP_CODE_NONE;
        ngx_trp_stream_accept(st);
        return;
    }

    if (st->in == NGX_TRP_STREAM_ABORTED) {
        ngx_trp_ends_reset(pc);
        return;
    }

    ngx_trp_ends_inline(pc);

    if (st->consumed) {
        ngx_trp_ends_disarm(pc);

    } else if (ctx->armed != pc->number) {
        ngx_trp_ends_arm(pc);
    }

    /* the address before this one may have failed */
    st->code = TRP_CODE_NONE;

    if (ctx->several) {
        ctx->destination = *ctx->session->upstream->peer.name;
    }

    ngx_trp_stream_accept(st);
}


/* one line for what went wrong: nginx has logged its part, without the id */

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
    ngx_trp_reverse_srv_conf_t   **rscf;
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

    if (rmcf->servers.nelts
        && ngx_trp_reverse_init_several(cf, rmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

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


static ngx_int_t
ngx_trp_reverse_init_server(ngx_conf_t *cf, ngx_trp_reverse_srv_conf_t *rscf)
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

    /* with "trp_entry" in it they are the entry's */

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

    return ngx_trp_agent_init_conf(cf, &rscf->agent, TRP_ROLE_REVERSE,
                                   "trp_reverse");
}


/* nginx has initialized its upstreams before, this one needs nothing */

static ngx_int_t
ngx_trp_reverse_init_several(ngx_conf_t *cf, ngx_trp_reverse_main_conf_t *rmcf)
{
    ngx_stream_upstream_srv_conf_t   *us, **p;
    ngx_stream_upstream_main_conf_t  *umcf;

    umcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_stream_upstream_module);

    us = ngx_pcalloc(cf->pool, sizeof(ngx_stream_upstream_srv_conf_t));
    p = ngx_array_push(&umcf->upstreams);

    if (us == NULL || p == NULL) {
        return NGX_ERROR;
    }

    us->srv_conf = ((ngx_stream_conf_ctx_t *) cf->ctx)->srv_conf;
    us->file_name = (u_char *) "trp_reverse";
    us->peer.init = ngx_trp_reverse_init_peer;

    rmcf->several = us;
    *p = us;

    return NGX_OK;
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
                       sizeof(ngx_trp_reverse_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


static void *
ngx_trp_reverse_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_reverse_srv_conf_t  *rscf;

    rscf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_reverse_srv_conf_t));
    if (rscf == NULL) {
        return NULL;
    }

    ngx_trp_agent_create_conf(&rscf->agent);

    return rscf;
}


static char *
ngx_trp_reverse_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_reverse_srv_conf_t *prev = parent;
    ngx_trp_reverse_srv_conf_t *conf = child;

    if (conf->allow == NULL) {
        conf->allow = prev->allow;
    }

    if (ngx_trp_agent_merge_conf(cf, &prev->agent, &conf->agent) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_trp_reverse(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_reverse_srv_conf_t *rscf = conf;

    ngx_str_t                     *value, name;
    ngx_trp_reverse_srv_conf_t   **srv;
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
    ngx_trp_reverse_srv_conf_t *rscf = conf;

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
    ngx_trp_reverse_srv_conf_t   **rscf;
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

    rmcf->fd = ngx_trp_fake_socket(cycle->log);

    if (rmcf->fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    rscf = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {

        rscf[i]->relays.upstream = rscf[i]->upstream;
        rscf[i]->relays.open = ngx_trp_reverse_open;
        rscf[i]->relays.data = rscf[i];

        rscf[i]->relays.agent = ngx_trp_agent_start(cycle, &rscf[i]->agent,
                                                    &rmcf->capacity,
                                                    "trp_reverse");
        if (rscf[i]->relays.agent == NULL) {
            return NGX_ERROR;
        }

        if (ngx_trp_relays_start(cycle, &rscf[i]->relays) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
