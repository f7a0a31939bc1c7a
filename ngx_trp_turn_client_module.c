
/*
 * Copyright (C) the trp authors
 */


/*
 * An upstream of TURN servers.  The proxy gets a placeholder, which is swapped
 * for the data connection once that is bound.
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_addr.h"
#include "socks5/ngx_trp_associate_turn.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_target.h"
#include "names/ngx_trp_defer.h"
#include "stock/ngx_trp_balancer.h"
#include "stock/ngx_trp_ends.h"
#include "names/ngx_trp_lookup.h"
#include "names/ngx_trp_name.h"
#include "stock/ngx_trp_stock.h"
#include "base/ngx_trp_fake.h"
#include "turnc/ngx_trp_turnc_conf.h"
#include "turnc/ngx_trp_turnc_connect.h"


typedef struct {
    ngx_array_t                       upstreams;  /* uscf */
} ngx_trp_turn_client_main_conf_t;


/* the state of an upstream {} in a worker */

typedef struct {
    ngx_socket_t                      fd;     /* of ngx_trp_fake_socket() */
    ngx_queue_t                       servers;    /* ngx_trp_turnc_server_t */
    ngx_queue_t                       names;  /* ngx_trp_turn_client_name_t */
    ngx_trp_proxy_t                  *proxy;  /* NULL: none */
} ngx_trp_turn_client_worker_t;


typedef struct {
    ngx_trp_turnc_conf_t              client;
    ngx_trp_proxy_conf_t              proxy;
    ngx_trp_balancer_conf_t           balancer;
    ngx_trp_name_conf_t               resolve;
    ngx_trp_turn_client_worker_t     *worker;     /* set when it starts */
} ngx_trp_turn_client_srv_conf_t;


/* "server NAME:PORT" */

typedef struct {
    ngx_trp_name_t                    name;
    ngx_queue_t                       queue;
    ngx_addr_t                       *addr;       /* the balancer's for it */
    ngx_uint_t                        next;
} ngx_trp_turn_client_name_t;


/* a session whose upstream is a TURN server */

typedef struct {
    ngx_trp_turnc_connect_t               *connect;  /* NULL: no attempt */
    ngx_pool_cleanup_t                    *cleanup;  /* of its connection */
    ngx_event_t                            begin;
    ngx_event_t                            patience; /* with this address */
    ngx_stream_session_t                  *session;
    ngx_trp_target_t                      *target;
    const ngx_trp_turn_client_srv_conf_t  *conf;
    ngx_stream_upstream_srv_conf_t        *upstream;
    ngx_trp_turnc_server_t                *server;

    ngx_trp_lookup_t                       lookup;
    ngx_addr_t                            *addrs;    /* of the destination */
    ngx_uint_t                             naddrs;
    ngx_uint_t                             next;     /* to be tried */

    ngx_connection_t                      *holder;   /* the proxy waits on it */
    ngx_event_t                            gone;     /* the client has left */
    ngx_trp_associate_t                   *associate;/* NULL: TCP */
    ngx_log_t                              silent;

    ngx_trp_balancer_t                     balancer;

    unsigned                               server_failed:1;
    unsigned                               elsewhere:1;
    unsigned                               left:1;   /* by the client */
} ngx_trp_turn_client_ctx_t;


static ngx_uint_t ngx_trp_turn_client_uses(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_turn_client_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_turn_client_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_trp_turn_client_server(ngx_trp_turn_client_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static ngx_trp_turn_client_name_t *ngx_trp_turn_client_find_name(
    const ngx_trp_turn_client_srv_conf_t *tcf, ngx_peer_connection_t *pc);
static ngx_int_t ngx_trp_turn_client_host(ngx_stream_upstream_srv_conf_t *us,
    ngx_peer_connection_t *pc, ngx_pool_t *pool, ngx_str_t *host);
static ssize_t ngx_trp_turn_client_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_trp_turn_client_gone(ngx_event_t *ev);
static void ngx_trp_turn_client_begin(ngx_event_t *ev);
static void ngx_trp_turn_client_holder_handler(ngx_event_t *ev);
static void ngx_trp_turn_client_resolve(ngx_trp_turn_client_ctx_t *ctx);
static void ngx_trp_turn_client_resolve_handler(ngx_trp_lookup_t *lookup);
static ngx_int_t ngx_trp_turn_client_add_addrs(ngx_trp_turn_client_ctx_t *ctx,
    ngx_resolver_addr_t *addrs, ngx_uint_t n);
static void ngx_trp_turn_client_next(ngx_trp_turn_client_ctx_t *ctx);
static void ngx_trp_turn_client_done(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_turn_client_late(ngx_event_t *ev);
static void ngx_trp_turn_client_cleanup(void *data);
static void ngx_trp_turn_client_give(ngx_trp_turn_client_ctx_t *ctx,
    ngx_connection_t *c);
static void ngx_trp_turn_client_fail(ngx_trp_turn_client_ctx_t *ctx,
    ngx_uint_t code);
static void ngx_trp_turn_client_stop(ngx_trp_turn_client_ctx_t *ctx);
static void ngx_trp_turn_client_notify_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t type);
static void ngx_trp_turn_client_free_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);

static ngx_int_t ngx_trp_turn_client_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_turn_client_postconfiguration(ngx_conf_t *cf);
static void *ngx_trp_turn_client_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_turn_client_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_turn_client(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_turn_client_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_turn_client_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_turn_client_start(
    ngx_stream_upstream_srv_conf_t *us, ngx_socket_t fd);
static ngx_int_t ngx_trp_turn_client_init_proxy(ngx_conf_t *cf,
    ngx_trp_turn_client_srv_conf_t *tcf);
static ngx_int_t ngx_trp_turn_client_start_names(
    const ngx_trp_turn_client_srv_conf_t *tcf,
    ngx_stream_upstream_srv_conf_t *us);


static ngx_command_t  ngx_trp_turn_client_commands[] = {

    { ngx_string("trp_turn_client"),
      NGX_STREAM_UPS_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_trp_turn_client,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trp_turn_client_allocations"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.allocations),
      (void *) &ngx_trp_turnc_bounds },

    { ngx_string("trp_turn_client_connect_timeout"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.connect_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_turn_client_resolve"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_name_set_families,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, resolve),
      NULL },

    { ngx_string("trp_turn_client_user"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_turnc_set_user,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client),
      NULL },

    { ngx_string("trp_turn_client_secret"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_trp_turnc_set_secret,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client),
      NULL },

    { ngx_string("trp_turn_client_ssl_verify"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.verify),
      NULL },

    { ngx_string("trp_turn_client_ssl_verify_depth"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_turn_client_ssl_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.name),
      NULL },

    { ngx_string("trp_turn_client_ssl_server_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.server_name),
      NULL },

    { ngx_string("trp_turn_client_ssl_session_reuse"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.session_reuse),
      NULL },

    { ngx_string("trp_turn_client_ssl_protocols"),
      NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_turn_client_ssl_ciphers"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.ciphers),
      NULL },

    { ngx_string("trp_turn_client_ssl_trusted_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_turn_client_ssl_crl"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.crl),
      NULL },

    { ngx_string("trp_turn_client_ssl_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.certificate),
      NULL },

    { ngx_string("trp_turn_client_ssl_certificate_key"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.certificate_key),
      NULL },

    { ngx_string("trp_turn_client_ssl_password_file"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.passwords),
      NULL },

    { ngx_string("trp_turn_client_ssl_conf_command"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, client.ssl.conf_commands),
      NULL },

    { ngx_string("trp_turn_client_proxy"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy),
      NULL },

    { ngx_string("trp_turn_client_proxy_password_file"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_proxy_set_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_verify"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.verify),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_verify_depth"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.verify_depth),
      (void *) &ngx_trp_ssl_depth_bounds },

    { ngx_string("trp_turn_client_proxy_ssl_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.name),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_server_name"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.server_name),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_session_reuse"),
      NGX_STREAM_UPS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.session_reuse),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_protocols"),
      NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.protocols),
      (void *) &ngx_trp_ssl_protocols },

    { ngx_string("trp_turn_client_proxy_ssl_ciphers"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.ciphers),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_trusted_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.trusted_certificate),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_crl"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.crl),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_certificate"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.certificate),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_certificate_key"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.certificate_key),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_password_file"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE1,
      ngx_trp_ssl_password_file,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.passwords),
      NULL },

    { ngx_string("trp_turn_client_proxy_ssl_conf_command"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_turn_client_srv_conf_t, proxy.ssl.conf_commands),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_trp_turn_client_module_ctx = {
    ngx_trp_turn_client_preconfiguration,  /* preconfiguration */
    ngx_trp_turn_client_postconfiguration, /* postconfiguration */

    ngx_trp_turn_client_create_main_conf,  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_trp_turn_client_create_srv_conf,   /* create server configuration */
    NULL                                   /* merge server configuration */
};


ngx_module_t  ngx_trp_turn_client_module = {
    NGX_MODULE_V1,
    &ngx_trp_turn_client_module_ctx,       /* module context */
    ngx_trp_turn_client_commands,          /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_trp_turn_client_init_process,      /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_TRP_DEFER_PADDING(ngx_trp_turn_client_uses)
};


static ngx_uint_t
ngx_trp_turn_client_uses(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_turn_client_srv_conf_t  *tcf;

    tcf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_turn_client_module);

    return tcf->client.enabled;
}


/* the stock proxy asks for an upstream: a connection through a TURN server */

static ngx_int_t
ngx_trp_turn_client_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_target_t                *target;
    ngx_trp_turn_client_ctx_t       *ctx;
    ngx_trp_turn_client_srv_conf_t  *tcf;

    tcf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_turn_client_module);

    target = ngx_trp_target_get(s);

    if (target == NULL || target->front == NULL) {
        ngx_log_error(NGX_LOG_ERR, s->connection->log, 0,
                      "nothing says where to, a server that passes to \"%V\" "
                      "needs \"trp_socks5\"", &us->host);
        return NGX_ERROR;
    }

    target->carried = 1;

    if (tcf->balancer.init_peer(s, us) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_pcalloc(s->connection->pool, sizeof(ngx_trp_turn_client_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->session = s;
    ctx->target = target;
    ctx->conf = tcf;
    ctx->upstream = us;

    ctx->gone.data = ctx;
    ctx->gone.log = s->connection->log;
    ctx->gone.handler = ngx_trp_turn_client_gone;

    ctx->patience.data = ctx;
    ctx->patience.log = s->connection->log;
    ctx->patience.handler = ngx_trp_turn_client_late;

    ngx_stream_set_ctx(s, ctx, ngx_trp_turn_client_module);

    ngx_trp_balancer_wrap(&ctx->balancer, &s->upstream->peer, ctx,
                          ngx_trp_turn_client_get_peer,
                          ngx_trp_turn_client_free_peer,
                          ngx_trp_turn_client_notify_peer);

    return NGX_OK;
}


/*
 * The proxy gets a connection that seems to be under way, and waits for it
 * until its proxy_connect_timeout has passed.
 */

static ngx_int_t
ngx_trp_turn_client_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_trp_turn_client_ctx_t *ctx = data;

    ngx_int_t          rc;
    ngx_socket_t       fd;
    ngx_connection_t  *c;

    rc = ngx_trp_balancer_get(&ctx->balancer, pc);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_trp_turn_client_server(ctx, pc);

    if (rc != NGX_OK) {
        return rc;
    }

    /* the balancer's name may leave its zone before the session ends */
    pc->name = &ctx->server->name;

    fd = ctx->conf->worker->fd;

    if (ctx->target->udp) {
        ctx->associate = ngx_trp_associate(ctx->target, &ngx_trp_associate_turn,
                                           ctx->server, fd, pc);

        return ctx->associate ? NGX_DONE : NGX_ERROR;
    }

    c = ngx_trp_fake_connection(fd, pc->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    ctx->holder = c;
    ctx->server_failed = 0;
    ctx->elsewhere = 0;

    ctx->session->connection->recv = ngx_trp_turn_client_recv;

    /* later, when the proxy has set its handlers */

    ctx->begin.data = ctx;
    ctx->begin.log = pc->log;
    ctx->begin.handler = ngx_trp_turn_client_begin;

    ngx_post_event(&ctx->begin, &ngx_posted_events);

    pc->connection = c;

    return NGX_AGAIN;
}


/* NGX_DECLINED: the server is a name that has no address yet */

static ngx_int_t
ngx_trp_turn_client_server(ngx_trp_turn_client_ctx_t *ctx,
    ngx_peer_connection_t *pc)
{
    ngx_str_t                    host;
    ngx_addr_t                   addr;
    ngx_queue_t                 *q;
    ngx_trp_turn_client_name_t  *name;

    name = ngx_trp_turn_client_find_name(ctx->conf, pc);

    if (name) {

        if (name->name.naddrs == 0) {
            ngx_log_error(NGX_LOG_ERR, pc->log, 0,
                          "TURN server \"%V\" is not resolved yet",
                          &name->name.host);

            ctx->server_failed = 1;
            return NGX_DECLINED;
        }

        addr = name->name.addrs[name->next++ % name->name.naddrs];
        host = name->name.host;

    } else {
        addr.sockaddr = pc->sockaddr;
        addr.socklen = pc->socklen;
        addr.name = *pc->name;
        ngx_str_null(&host);
    }

    for (q = ngx_queue_head(&ctx->conf->worker->servers);
         q != ngx_queue_sentinel(&ctx->conf->worker->servers);
         q = ngx_queue_next(q))
    {
        ctx->server = ngx_queue_data(q, ngx_trp_turnc_server_t, queue);

        if (ngx_cmp_sockaddr(ctx->server->sockaddr, ctx->server->socklen,
                             addr.sockaddr, addr.socklen, 1)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    if (host.len == 0
        && ngx_trp_turn_client_host(ctx->upstream, pc,
                                    ctx->session->connection->pool, &host)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->server = ngx_trp_turnc_server_create(&ctx->conf->client, addr.sockaddr,
                                              addr.socklen, &addr.name, &host);
    if (ctx->server == NULL) {
        return NGX_ERROR;
    }

    ctx->server->proxy = ctx->conf->worker->proxy;

    ngx_queue_insert_tail(&ctx->conf->worker->servers, &ctx->server->queue);

    return NGX_OK;
}


static ngx_trp_turn_client_name_t *
ngx_trp_turn_client_find_name(const ngx_trp_turn_client_srv_conf_t *tcf,
    ngx_peer_connection_t *pc)
{
    ngx_queue_t                 *q;
    ngx_trp_turn_client_name_t  *name;

    for (q = ngx_queue_head(&tcf->worker->names);
         q != ngx_queue_sentinel(&tcf->worker->names);
         q = ngx_queue_next(q))
    {
        name = ngx_queue_data(q, ngx_trp_turn_client_name_t, queue);

        if (ngx_cmp_sockaddr(name->addr->sockaddr, name->addr->socklen,
                             pc->sockaddr, pc->socklen, 1)
            == NGX_OK)
        {
            return name;
        }
    }

    return NULL;
}


/* the name in the configuration, for TLS */

static ngx_int_t
ngx_trp_turn_client_host(ngx_stream_upstream_srv_conf_t *us,
    ngx_peer_connection_t *pc, ngx_pool_t *pool, ngx_str_t *host)
{
    ngx_str_t                       *name;
    ngx_url_t                        url;
    ngx_stream_upstream_rr_peer_t   *peer;
    ngx_stream_upstream_rr_peers_t  *peers;

    ngx_memzero(&url, sizeof(ngx_url_t));

    name = pc->name;

    for (peers = us->peer.data; peers; peers = peers->next) {

        ngx_stream_upstream_rr_peers_rlock(peers);

        for (peer = peers->peer; peer; peer = peer->next) {
            if (peer->sockaddr == pc->sockaddr) {
                name = &peer->server;
            }
        }

        url.url.len = name->len;
        url.url.data = ngx_pstrdup(pool, name);

        ngx_stream_upstream_rr_peers_unlock(peers);

        if (url.url.data == NULL) {
            return NGX_ERROR;
        }
    }

    url.default_port = 1;
    url.no_resolve = 1;

    if (ngx_parse_url(pool, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    *host = url.host;

    if (host->len > 2 && host->data[0] == '[') {
        host->data++;
        host->len -= 2;
    }

    return NGX_OK;
}


/*
 * The proxy's reads from the client: without this, the proxy would go on
 * waiting for the upstream after the client has gone.
 */

static ssize_t
ngx_trp_turn_client_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                     n;
    ngx_flag_t                 *half_close;
    ngx_stream_session_t       *s;
    ngx_trp_turn_client_ctx_t  *ctx;

    n = c->ssl ? ngx_ssl_recv(c, buf, size) : ngx_recv(c, buf, size);

    if (n > 0 || n == NGX_AGAIN) {
        return n;
    }

    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_trp_turn_client_module);

    half_close = ngx_trp_conf_member(&ngx_stream_proxy_module, s->srv_conf,
                                     "proxy_half_close");

    if (ctx->holder && (n == NGX_ERROR || half_close == NULL || !*half_close))
    {
        ngx_post_event(&ctx->gone, &ngx_posted_events);
    }

    return n;
}


static void
ngx_trp_turn_client_gone(ngx_event_t *ev)
{
    ngx_trp_turn_client_ctx_t  *ctx;

    ctx = ev->data;

    if (ctx->holder) {
        ctx->left = 1;
        ngx_trp_turn_client_fail(ctx, TRP_CODE_FAILED);
    }
}


static void
ngx_trp_turn_client_begin(ngx_event_t *ev)
{
    ngx_trp_target_t           *target;
    ngx_resolver_addr_t         addr;
    ngx_sockaddr_t              sa;
    ngx_trp_turn_client_ctx_t  *ctx;

    ctx = ev->data;
    target = ctx->target;

    ctx->holder->read->handler = ngx_trp_turn_client_holder_handler;

    if (ctx->naddrs) {
        ctx->next = 0;
        ngx_trp_turn_client_next(ctx);
        return;
    }

    if (target->addr.family == 0) {
        ngx_trp_turn_client_resolve(ctx);
        return;
    }

    ngx_memzero(&addr, sizeof(ngx_resolver_addr_t));

    addr.sockaddr = &sa.sockaddr;
    addr.socklen = ngx_trp_addr_to_sockaddr(&sa, &target->addr, target->port);

    if (ngx_trp_turn_client_add_addrs(ctx, &addr, 1) != NGX_OK) {
        ngx_trp_turn_client_fail(ctx, TRP_CODE_FAILED);
        return;
    }

    ngx_trp_turn_client_next(ctx);
}


/* worker_shutdown_timeout: the proxy would take its event for "connected" */

static void
ngx_trp_turn_client_holder_handler(ngx_event_t *ev)
{
    ngx_connection_t           *c;
    ngx_trp_turn_client_ctx_t  *ctx;

    c = ev->data;
    ctx = ngx_stream_get_module_ctx((ngx_stream_session_t *) c->data,
                                    ngx_trp_turn_client_module);

    if (c->close && ctx->holder) {
        ngx_trp_turn_client_stop(ctx);
        ngx_trp_turn_client_fail(ctx, TRP_CODE_FAILED);
    }
}


static void
ngx_trp_turn_client_resolve(ngx_trp_turn_client_ctx_t *ctx)
{
    ngx_stream_core_srv_conf_t  *cscf;

    cscf = ngx_stream_get_module_srv_conf(ctx->session,
                                          ngx_stream_core_module);

    ctx->lookup.resolver = cscf->resolver;
    ctx->lookup.timeout = cscf->resolver_timeout;
    ctx->lookup.name = ctx->target->host;
    ctx->lookup.handler = ngx_trp_turn_client_resolve_handler;
    ctx->lookup.data = ctx;

    ngx_trp_lookup(&ctx->lookup);
}


static void
ngx_trp_turn_client_resolve_handler(ngx_trp_lookup_t *lookup)
{
    ngx_trp_turn_client_ctx_t  *ctx;

    ctx = lookup->data;

    if (lookup->state != NGX_OK) {
        ngx_trp_lookup_log_error(lookup, ctx->session->connection->log);
        ngx_trp_turn_client_fail(ctx, TRP_CODE_NO_SUCH_HOST);
        return;
    }

    if (ngx_trp_turn_client_add_addrs(ctx, lookup->addrs, lookup->naddrs)
        != NGX_OK)
    {
        ngx_trp_turn_client_fail(ctx, TRP_CODE_FAILED);
        return;
    }

    ngx_trp_turn_client_next(ctx);
}


/* copies those that the client may go to */

static ngx_int_t
ngx_trp_turn_client_add_addrs(ngx_trp_turn_client_ctx_t *ctx,
    ngx_resolver_addr_t *addrs, ngx_uint_t n)
{
    ngx_uint_t         i;
    in_port_t          port;
    ngx_addr_t        *to;
    trp_addr_t         addr;
    ngx_pool_t        *pool;
    struct sockaddr   *sa;
    ngx_trp_target_t  *target;

    target = ctx->target;
    pool = ctx->session->connection->pool;

    ctx->addrs = ngx_pcalloc(pool, n * sizeof(ngx_addr_t));
    if (ctx->addrs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < 2 * n; i++) {
        sa = addrs[i % n].sockaddr;

        ngx_trp_addr_from_sockaddr(&addr, &port, sa);

        /* first the addresses that the server is able to relay to */

        if (ngx_trp_turnc_server_lacks(ctx->server, addr.family) != (i >= n)) {
            continue;
        }

        if (target->front->check_addr(target, &addr) != NGX_OK) {
            continue;
        }

        to = &ctx->addrs[ctx->naddrs++];

        to->socklen = addrs[i % n].socklen;
        to->sockaddr = ngx_palloc(pool, to->socklen);
        if (to->sockaddr == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(to->sockaddr, sa, to->socklen);
    }

    return NGX_OK;
}


static void
ngx_trp_turn_client_next(ngx_trp_turn_client_ctx_t *ctx)
{
    in_port_t                 port;
    ngx_trp_turnc_connect_t  *tc;

    if (ctx->naddrs == 0) {
        ctx->target->front->denied(ctx->target);
        ngx_trp_turn_client_fail(ctx, TRP_CODE_NOT_ALLOWED);
        return;
    }

    ctx->cleanup = ngx_pool_cleanup_add(ctx->session->connection->pool, 0);

    tc = ctx->cleanup
         ? ngx_trp_turnc_connect_create(ctx->server,
                                        ctx->session->connection->log)
         : NULL;

    if (tc == NULL) {
        ngx_trp_turn_client_fail(ctx, TRP_CODE_FAILED);
        return;
    }

    tc->done = ngx_trp_turn_client_done;
    tc->data = ctx;

    ngx_trp_addr_from_sockaddr(&tc->user.peer.addr, &port,
                               ctx->addrs[ctx->next++].sockaddr);
    tc->user.peer.port = ctx->target->port;

    ctx->connect = tc;

    if (ctx->next < ctx->naddrs) {
        ngx_add_timer(&ctx->patience, ngx_trp_connect_patience(ctx->naddrs));
    }

    ngx_trp_turnc_connect(tc);
}


static void
ngx_trp_turn_client_done(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    ngx_trp_turn_client_ctx_t  *ctx;

    ctx = tc->data;

    if (ctx->patience.timer_set) {
        ngx_del_timer(&ctx->patience);
    }

    if (code == TRP_CODE_NONE) {
        ctx->cleanup->handler = ngx_trp_turn_client_cleanup;
        ctx->cleanup->data = tc->pool;

        ngx_trp_turn_client_give(ctx, tc->connection);
        return;
    }

    ctx->connect = NULL;
    ctx->server_failed = tc->server_failed;
    ctx->elsewhere = tc->elsewhere;

    ngx_trp_turnc_disconnect(tc);

    if (!ctx->server_failed && ctx->next < ctx->naddrs) {
        ngx_trp_turn_client_next(ctx);
        return;
    }

    ngx_trp_turn_client_fail(ctx, code);
}


/* the next address is tried, unless it is the server that is late */

static void
ngx_trp_turn_client_late(ngx_event_t *ev)
{
    ngx_str_t                   name;
    ngx_addr_t                 *addr;
    ngx_trp_turnc_connect_t    *tc;
    ngx_trp_turn_client_ctx_t  *ctx;
    u_char                      text[NGX_SOCKADDR_STRLEN];

    ctx = ev->data;
    tc = ctx->connect;

    if (ngx_trp_turnc_connect_server_late(tc)) {
        ngx_add_timer(ev, ngx_trp_connect_patience(ctx->naddrs));
        return;
    }

    addr = &ctx->addrs[ctx->next - 1];

    name.data = text;
    name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen, text,
                             NGX_SOCKADDR_STRLEN, 0);

    ngx_log_error(NGX_LOG_INFO, ev->log, NGX_ETIMEDOUT,
                  "address %V of %V does not answer, the next one is tried",
                  &name, &ctx->target->destination);

    ctx->connect = NULL;

    ngx_trp_turnc_disconnect(tc);
    ngx_trp_turn_client_next(ctx);
}


/* runs after the connection's end, as its TLS is in this pool */

static void
ngx_trp_turn_client_cleanup(void *data)
{
    ngx_destroy_pool(data);
}


/* gives the proxy this connection in place of the one it waited on */

static void
ngx_trp_turn_client_give(ngx_trp_turn_client_ctx_t *ctx, ngx_connection_t *c)
{
    int                   keepalive;
    ngx_connection_t     *holder;
    ngx_event_handler_pt  handler;

    keepalive = (int) ngx_trp_stock_proxy(ctx->session->srv_conf,
                                          "proxy_socket_keepalive", 0);

    if (keepalive
        && setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE,
                      (const void *) &keepalive, sizeof(int))
           == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      "setsockopt(SO_KEEPALIVE) failed, ignored");
    }

    holder = ctx->holder;
    ctx->holder = NULL;

    handler = holder->write->handler;

    c->data = ctx->session;
    c->read->handler = handler;
    c->write->handler = handler;

    ctx->session->upstream->peer.connection = c;

    ngx_close_connection(holder);

    /* the proxy expects a timer, and deletes it */

    ngx_add_timer(c->write, ctx->conf->client.connect_timeout);

    handler(c->write);
}


/*
 * To the proxy this is a timeout, about which it logs nothing: the reason has
 * been logged.  If it is not the server's fault, no other server is asked.
 */

static void
ngx_trp_turn_client_fail(ngx_trp_turn_client_ctx_t *ctx, ngx_uint_t code)
{
    ngx_connection_t  *c;

    ctx->target->code = code;

    if (ctx->left || (!ctx->server_failed && !ctx->elsewhere)) {
        ctx->session->upstream->peer.tries = 0;
    }

    c = ctx->holder;
    ctx->holder = NULL;

    ctx->silent.log_level = NGX_LOG_STDERR;

    c->log = &ctx->silent;
    c->write->timedout = 1;

    c->write->handler(c->write);
}


static void
ngx_trp_turn_client_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_trp_turn_client_ctx_t *ctx = data;

    ngx_sockaddr_t      sa;
    const trp_taddr_t  *relayed;

    ngx_trp_balancer_notify(&ctx->balancer, pc, type);

    if (type != NGX_STREAM_UPSTREAM_NOTIFY_CONNECT || ctx->associate
        || ctx->holder)
    {
        return;
    }

    ngx_memzero(&sa, sizeof(ngx_sockaddr_t));

    if (ctx->connect->user.allocation) {
        relayed = trp_turnc_relayed(
                                      ctx->connect->user.allocation->client);
        ngx_trp_addr_to_sockaddr(&sa, &relayed->addr, relayed->port);
    }

    (void) ctx->target->front->succeed(ctx->target, &sa.sockaddr);

    ngx_trp_ends_watch(ctx->session);
}


static void
ngx_trp_turn_client_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_trp_turn_client_ctx_t *ctx = data;

    ngx_uint_t  late;

    if (ctx->associate) {
        ngx_trp_associate_close(ctx->associate);

        ctx->server_failed = ctx->associate->broken;
        state |= ctx->server_failed ? NGX_PEER_FAILED : 0;
    }

    late = ctx->holder && (state & NGX_PEER_FAILED);

    if (late) {

        /* proxy_connect_timeout */

        ctx->target->code = TRP_CODE_TIMED_OUT;
        ctx->server_failed = ctx->connect
                             && ngx_trp_turnc_connect_server_late(ctx->connect);
    }

    ngx_trp_turn_client_stop(ctx);
    ctx->holder = NULL;

    if (!ctx->server_failed) {
        state &= ~NGX_PEER_FAILED;
    }

    ngx_trp_balancer_free(&ctx->balancer, pc, state);

    if (late && !ctx->server_failed) {

        /* another server would take just as long */
        pc->tries = 0;
    }
}


/* the session no longer needs it; its connection belongs to the proxy */

static void
ngx_trp_turn_client_stop(ngx_trp_turn_client_ctx_t *ctx)
{
    if (ctx->connect) {
        ngx_trp_turnc_disconnect(ctx->connect);
        ctx->connect = NULL;
    }

    if (ctx->patience.timer_set) {
        ngx_del_timer(&ctx->patience);
    }

    if (ctx->begin.posted) {
        ngx_delete_posted_event(&ctx->begin);
    }

    ngx_trp_lookup_cancel(&ctx->lookup);

    if (ctx->gone.posted) {
        ngx_delete_posted_event(&ctx->gone);
    }
}


static ngx_int_t
ngx_trp_turn_client_preconfiguration(ngx_conf_t *cf)
{
    return ngx_trp_defer_begin(cf, &ngx_trp_turn_client_module);
}


static ngx_int_t
ngx_trp_turn_client_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                         i;
    ngx_stream_upstream_srv_conf_t   **us;
    ngx_trp_turn_client_main_conf_t   *tmcf;

    ngx_trp_defer_end(cf);

    tmcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_trp_turn_client_module);
    us = tmcf->upstreams.elts;

    for (i = 0; i < tmcf->upstreams.nelts; i++) {
        if (ngx_trp_balancer_check(cf, us[i],
                                   ngx_trp_turn_client_init_upstream,
                                   "trp_turn_client")
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void *
ngx_trp_turn_client_create_main_conf(ngx_conf_t *cf)
{
    ngx_trp_turn_client_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_turn_client_main_conf_t));
    if (tmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&tmcf->upstreams, cf->pool, 1,
                       sizeof(ngx_stream_upstream_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return tmcf;
}


static void *
ngx_trp_turn_client_create_srv_conf(ngx_conf_t *cf)
{
    ngx_trp_turn_client_srv_conf_t  *tcf;

    tcf = ngx_pcalloc(cf->pool, sizeof(ngx_trp_turn_client_srv_conf_t));
    if (tcf == NULL) {
        return NULL;
    }

    ngx_trp_turnc_create_conf(&tcf->client);
    ngx_trp_proxy_create_conf(&tcf->proxy);
    ngx_trp_name_create_conf(&tcf->resolve);

    return tcf;
}


static char *
ngx_trp_turn_client(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_turn_client_srv_conf_t *tcf = conf;

    char                              *rv;
    ngx_stream_upstream_srv_conf_t    *uscf, **us;
    ngx_trp_turn_client_main_conf_t   *tmcf;

    rv = ngx_trp_turnc_set(cf, cmd, &tcf->client);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    tmcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_trp_turn_client_module);
    uscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);

    us = ngx_array_push(&tmcf->upstreams);
    if (us == NULL) {
        return NGX_CONF_ERROR;
    }

    *us = uscf;

    ngx_trp_balancer_set(&tcf->balancer, uscf,
                         ngx_trp_turn_client_init_upstream);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_turn_client_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_trp_name_conf_t              resolve;
    ngx_trp_turnc_conf_t             defaults;
    ngx_trp_proxy_conf_t             proxy;
    ngx_trp_turn_client_srv_conf_t  *tcf;

    tcf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_turn_client_module);

    if (ngx_trp_balancer_init(&tcf->balancer, cf, us,
                              ngx_trp_turn_client_init_peer)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memzero(&defaults, sizeof(ngx_trp_turnc_conf_t));
    ngx_trp_turnc_create_conf(&defaults);
    ngx_trp_turnc_merge_conf(&defaults, &tcf->client);

    ngx_trp_name_create_conf(&resolve);
    ngx_trp_name_merge_conf(&resolve, &tcf->resolve);

    if (ngx_trp_name_init_conf(cf, &tcf->resolve,
                               ngx_stream_conf_get_module_srv_conf(cf,
                                                     ngx_stream_core_module))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memzero(&proxy, sizeof(ngx_trp_proxy_conf_t));
    ngx_trp_proxy_create_conf(&proxy);
    ngx_trp_proxy_merge_conf(&proxy, &tcf->proxy);

    if (tcf->proxy.enabled && ngx_trp_turn_client_init_proxy(cf, tcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trp_turnc_init_conf(cf, &tcf->client, "trp_turn_client");
}


static ngx_int_t
ngx_trp_turn_client_init_proxy(ngx_conf_t *cf,
    ngx_trp_turn_client_srv_conf_t *tcf)
{
    if (tcf->client.transport == TRP_TRANSPORT_UDP) {
        ngx_trp_conf_swap_place(cf, &tcf->proxy.place);

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trp_turn_client_proxy\" cannot be used with "
                           "\"trp_turn_client udp\", which no proxy carries, "
                           "write \"trp_turn_client tcp\" or "
                           "\"trp_turn_client tls\"");

        ngx_trp_conf_swap_place(cf, &tcf->proxy.place);

        return NGX_ERROR;
    }

    return ngx_trp_proxy_init_conf(cf, &tcf->proxy, "trp_turn_client_proxy");
}


static ngx_int_t
ngx_trp_turn_client_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                         i;
    ngx_socket_t                       fd;
    ngx_stream_upstream_srv_conf_t   **us;
    ngx_trp_turn_client_main_conf_t   *tmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    tmcf = ngx_stream_cycle_get_module_main_conf(cycle,
                                                 ngx_trp_turn_client_module);

    if (tmcf == NULL || tmcf->upstreams.nelts == 0) {
        return NGX_OK;
    }

    fd = ngx_trp_fake_socket(cycle->log);

    if (fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    us = tmcf->upstreams.elts;

    for (i = 0; i < tmcf->upstreams.nelts; i++) {
        if (ngx_trp_turn_client_start(us[i], fd) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_client_start(ngx_stream_upstream_srv_conf_t *us, ngx_socket_t fd)
{
    ngx_trp_turn_client_worker_t    *worker;
    ngx_trp_turn_client_srv_conf_t  *tcf;

    worker = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_turn_client_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->fd = fd;

    ngx_queue_init(&worker->servers);
    ngx_queue_init(&worker->names);

    tcf = ngx_stream_conf_upstream_srv_conf(us, ngx_trp_turn_client_module);
    tcf->worker = worker;

    if (tcf->proxy.enabled) {
        worker->proxy = ngx_trp_proxy_create(&tcf->proxy, &tcf->resolve);

        if (worker->proxy == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_trp_turn_client_start_names(tcf, us);
}


static ngx_int_t
ngx_trp_turn_client_start_names(const ngx_trp_turn_client_srv_conf_t *tcf,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_addr_t                    *addr;
    ngx_trp_turn_client_name_t    *name;
    ngx_stream_upstream_server_t  *server;

    server = us->servers->elts;

    for (i = 0; i < us->servers->nelts; i++) {

        if (!ngx_trp_defer_is(&server[i]) || server[i].down) {
            continue;
        }

        name = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_turn_client_name_t));
        if (name == NULL) {
            return NGX_ERROR;
        }

        addr = &server[i].addrs[0];

        name->addr = addr;

        name->name.conf = &tcf->resolve;
        name->name.what = "TURN server";
        name->name.host = server[i].name;
        name->name.host.len = ngx_strlchr(server[i].name.data,
                                          server[i].name.data
                                          + server[i].name.len, ':')
                              - server[i].name.data;
        name->name.port = ngx_inet_get_port(addr->sockaddr);

        ngx_queue_insert_tail(&tcf->worker->names, &name->queue);

        if (tcf->worker->proxy) {

            /* which gets the name; the address is only a placeholder */

            name->name.addrs = addr;
            name->name.naddrs = 1;

        } else {
            ngx_trp_name_start(&name->name);
        }
    }

    return NGX_OK;
}
