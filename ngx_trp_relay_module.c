
/*
 * Copyright (C) the trp authors
 */


/*
 * The relay.  A connection is steered to the worker of its group,
 * authenticated, and then served as a tunnel until it ends or the worker
 * exits.
 */


#include "base/ngx_trp.h"
#include "base/ngx_trp_addr.h"
#include "relay/ngx_trp_choice.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_guard.h"
#include "relay/ngx_trp_joint.h"
#include "base/ngx_trp_key_file.h"
#include "stock/ngx_trp_limit_conn.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_session.h"
#include "relay/ngx_trp_steer.h"
#include "stock/ngx_trp_pid_file.h"
#include "stock/ngx_trp_variables.h"
#include "tunnel/trp_auth.h"

#include <sodium.h>


/* how soon a worker that exits learns of another reload */
#define NGX_TRP_RELAY_RELOAD_TIME  1000

/* agents close; those that do not are closed after this time */
#define NGX_TRP_RELAY_CLOSE_TIME  5000

/* a dead peer is detected sooner, see ngx_trp_tunnel_probe() */
#define NGX_TRP_RELAY_PROBE_TIME  6000


/* an agent that waits until those in its place are found dead */

typedef struct {
    ngx_event_t                  event;
    size_t                       len;
    u_char                       auth[TRP_CONTROL_MAX];
} ngx_trp_relay_candidate_t;


/* what all servers share in a worker */

typedef struct {
    const ngx_array_t  *servers;            /* ngx_trp_relay_srv_conf_t * */
    ngx_atomic_t       *counter;            /* reloads, in shared memory */
    ngx_atomic_uint_t   reloads;            /* the last one that was seen */
    ngx_event_t         event;
    u_char             *scratch;
} ngx_trp_relay_worker_t;


/* a server {} in a worker */

typedef struct {
    const ngx_array_t  *reread;             /* its keys, when a worker exits */
    ngx_trp_tunnels_t   tunnels;
    ngx_trp_guard_t     guard;
    ngx_trp_pair_t      pair;
} ngx_trp_relay_t;


typedef struct {
    ngx_array_t              servers;       /* ngx_trp_relay_srv_conf_t * */
    ngx_trp_steer_t         *steer;
    ngx_shm_zone_t          *zone;          /* reloads, an ngx_atomic_t */
    ngx_trp_relay_worker_t  *worker;
} ngx_trp_relay_main_conf_t;


typedef struct {
    ngx_flag_t            enabled;
    ngx_str_t             authorized_keys;
    ngx_array_t          *keys;             /* trp_authorized_key_t */
    ngx_msec_t            auth_timeout;
    ngx_msec_t            open_timeout;
    ngx_msec_t            heartbeat;
    ngx_uint_t            max_unauthenticated;
    ngx_uint_t            max_per_address;
    ngx_trp_limits_t      limits;
    ngx_trp_conf_place_t  place;

    ngx_trp_relay_t      *relay;            /* the same in this worker */
} ngx_trp_relay_srv_conf_t;


static ngx_int_t ngx_trp_relay_steer_handler(ngx_stream_session_t *s);
static ngx_msec_t ngx_trp_relay_time_left(ngx_connection_t *c,
    const ngx_trp_relay_srv_conf_t *rscf);
static void ngx_trp_relay_moved(ngx_stream_session_t *s);
static void ngx_trp_relay_handler(ngx_stream_session_t *s);
static void ngx_trp_relay_hello(ngx_trp_peer_t *peer);

static void ngx_trp_relay_readable(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_writable(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_relay_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);
static ngx_int_t ngx_trp_relay_auth(ngx_trp_peer_t *peer, trp_frame_t *frame);
static const char *ngx_trp_relay_check_auth(ngx_trp_peer_t *peer,
    trp_auth_t *auth);
static void ngx_trp_relay_reject(ngx_trp_peer_t *peer, const char *reason,
    trp_auth_t *auth, ngx_uint_t code);
static ngx_int_t ngx_trp_relay_join(ngx_trp_peer_t *peer, trp_auth_t *auth,
    size_t len);
static ngx_int_t ngx_trp_relay_wait(ngx_trp_peer_t *peer, size_t len);
static void ngx_trp_relay_retry(ngx_event_t *ev);
static void ngx_trp_relay_stop_waiting(ngx_trp_peer_t *peer);
static void ngx_trp_relay_ready(ngx_trp_peer_t *peer, trp_auth_t *auth);
static ngx_int_t ngx_trp_relay_open(ngx_trp_peer_t *peer, trp_frame_t *frame);
static void ngx_trp_relay_idle(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_drain(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_reload_handler(ngx_event_t *ev);
static void ngx_trp_relay_check_key(ngx_trp_peer_t *peer);
static void ngx_trp_relay_closed(ngx_trp_tunnel_t *t);
static const ngx_trp_relay_srv_conf_t *ngx_trp_relay_conf(
    ngx_trp_peer_t *peer);
static const ngx_trp_relay_main_conf_t *ngx_trp_relay_main(
    ngx_trp_peer_t *peer);
static ngx_int_t ngx_trp_relay_info(ngx_stream_session_t *s,
    ngx_trp_info_t *info);

static int ngx_trp_relay_select_alpn(ngx_ssl_conn_t *ssl_conn,
    const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned int inlen, void *arg);
static ngx_int_t ngx_trp_relay_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_relay_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_trp_relay_check_listen(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);
static void *ngx_trp_relay_create_main_conf(ngx_conf_t *cf);
static void *ngx_trp_relay_create_srv_conf(ngx_conf_t *cf);
static char *ngx_trp_relay_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_trp_relay_init_zone(ngx_shm_zone_t *zone, void *data);
static char *ngx_trp_relay(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_trp_relay_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_trp_relay_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_relay_init_process(ngx_cycle_t *cycle);
static ngx_trp_relay_t *ngx_trp_relay_start(
    const ngx_trp_relay_srv_conf_t *rscf, ngx_cycle_t *cycle);


static const ngx_trp_tunnel_handlers_t  ngx_trp_relay_tunnel_handlers = {
    ngx_trp_relay_readable,
    ngx_trp_relay_writable,
    ngx_trp_relay_idle,
    ngx_trp_relay_frame,
    ngx_trp_relay_drain,
    ngx_trp_relay_closed
};


static ngx_conf_num_bounds_t  ngx_trp_relay_max_bounds = {
    ngx_conf_check_num_bounds, 1, 1000000
};


static ngx_command_t  ngx_trp_relay_commands[] = {

    { ngx_string("trp_relay"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_trp_relay,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, enabled),
      NULL },

    { ngx_string("trp_authorized_keys"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, authorized_keys),
      NULL },

    { ngx_string("trp_relay_auth_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, auth_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_relay_max_unauthenticated"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, max_unauthenticated),
      (void *) &ngx_trp_relay_max_bounds },

    { ngx_string("trp_relay_max_per_address"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, max_per_address),
      (void *) &ngx_trp_relay_max_bounds },

    { ngx_string("trp_relay_limit_key"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_relay_limit,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, limits.key),
      NULL },

    { ngx_string("trp_relay_limit_group"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_1MORE,
      ngx_trp_relay_limit,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, limits.group),
      NULL },

    { ngx_string("trp_relay_open_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, open_timeout),
      (void *) &ngx_trp_conf_positive },

    { ngx_string("trp_relay_heartbeat"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_trp_relay_srv_conf_t, heartbeat),
      (void *) &ngx_trp_conf_positive },

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
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * An agent has connected: does another worker have its group?  Until there is
 * a ClientHello, a connection costs no more than nginx's own session.
 */

static ngx_int_t
ngx_trp_relay_steer_handler(ngx_stream_session_t *s)
{
    ngx_int_t                   rc;
    ngx_trp_guest_t            *guest;
    ngx_connection_t           *c;
    ngx_trp_relay_srv_conf_t   *rscf;
    ngx_trp_relay_main_conf_t  *rmcf;

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);
    rmcf = ngx_stream_get_module_main_conf(s, ngx_trp_relay_module);

    if (!rscf->enabled) {
        return NGX_DECLINED;
    }

    c = s->connection;

    guest = ngx_stream_get_module_ctx(s, ngx_trp_relay_module);

    if (guest == NULL) {
        rc = ngx_trp_guard_enter(&rscf->relay->guard, c, &guest);

        if (rc != NGX_OK) {
            return (rc == NGX_BUSY) ? NGX_STREAM_SERVICE_UNAVAILABLE : rc;
        }

        ngx_stream_set_ctx(s, guest, ngx_trp_relay_module);

        ngx_trp_guard_deadline(guest, ngx_trp_relay_time_left(c, rscf));
    }

    if (c->read->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client sent no ClientHello in time");
        return NGX_STREAM_BAD_REQUEST;
    }

    c->log->action = "waiting for ClientHello";

    rc = ngx_trp_steer_connection(rmcf->steer, c);

    if (rc == NGX_AGAIN) {
        return (ngx_handle_read_event(c->read, 0) == NGX_OK) ? NGX_AGAIN
                                                             : NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        ngx_trp_relay_moved(s);
    }

    return rc;
}


/* one deadline covers all from accept() to authentication */

static ngx_msec_t
ngx_trp_relay_time_left(ngx_connection_t *c,
    const ngx_trp_relay_srv_conf_t *rscf)
{
    ngx_msec_t  elapsed;

    elapsed = ngx_current_msec - c->start_time;

    return (elapsed < rscf->auth_timeout) ? rscf->auth_timeout - elapsed : 1;
}


/* no ngx_stream_finalize_session(): for the peer this is not the end */

static void
ngx_trp_relay_moved(ngx_stream_session_t *s)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = s->connection;
    pool = c->pool;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}


static void
ngx_trp_relay_handler(ngx_stream_session_t *s)
{
    unsigned                         len;
    const u_char                    *alpn;
    ngx_trp_peer_t                  *peer;
    ngx_connection_t                *c;
    const ngx_trp_relay_srv_conf_t  *rscf;

    c = s->connection;

    c->log->action = "authenticating tunnel";

    rscf = ngx_stream_get_module_srv_conf(s, ngx_trp_relay_module);

    alpn = NULL;
    len = 0;

    if (c->ssl) {
        SSL_get0_alpn_selected(c->ssl->connection, &alpn, &len);
    }

    if (len != sizeof(TRP_ALPN) - 1) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not speak " TRP_ALPN);
        ngx_stream_finalize_session(s, NGX_STREAM_BAD_REQUEST);
        return;
    }

    peer = ngx_pcalloc(c->pool, sizeof(ngx_trp_peer_t));

    if (peer) {
        peer->session = s;
        peer->tunnel = ngx_trp_tunnel_create(c, &rscf->relay->tunnels,
                                             &ngx_trp_relay_tunnel_handlers,
                                             peer, 1, rscf->heartbeat);
    }

    if (peer == NULL || peer->tunnel == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    if (ngx_trp_tunnel_start(peer->tunnel) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_trp_tunnel_deadline(peer->tunnel, ngx_trp_relay_time_left(c, rscf),
                            "waiting for authentication");

    ngx_trp_relay_hello(peer);

    ngx_post_event(c->read, &ngx_posted_events);
}


static void
ngx_trp_relay_hello(ngx_trp_peer_t *peer)
{
    u_char                           buf[NGX_TRP_OPEN_MAX];
    trp_hello_t                      hello;
    const ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_trp_relay_conf(peer);

    randombytes_buf(peer->nonce, TRP_NONCE_LEN);

    hello.version = TRP_VERSION;
    hello.heartbeat = (uint32_t) rscf->heartbeat;
    ngx_memcpy(hello.nonce, peer->nonce, TRP_NONCE_LEN);

    ngx_trp_tunnel_send_frame(peer->tunnel, buf, trp_hello_put(buf, &hello));
}


static void
ngx_trp_relay_readable(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    ngx_trp_joint_readable(peer, ngx_trp_relay_main(peer)->worker->scratch);
}


static void
ngx_trp_relay_writable(ngx_trp_tunnel_t *t)
{
    ngx_trp_joint_writable(t->data);
}


static ngx_int_t
ngx_trp_relay_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    switch (frame->type) {

    case TRP_AUTH:
        return ngx_trp_relay_auth(peer, frame);

    case TRP_OPEN:
        return ngx_trp_relay_open(peer, frame);

    case TRP_DRAIN:
        t->draining = 1;

        if (!t->busy) {
            ngx_trp_pair_unpark(peer);
            ngx_trp_tunnel_fail(t);
        }

        return NGX_OK;

    default:
        ngx_trp_joint_frame(peer, frame);
        return NGX_OK;
    }
}


static ngx_int_t
ngx_trp_relay_auth(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    u_char                     buf[TRP_HEADER_LEN + 1];
    trp_auth_t                 auth;
    ngx_uint_t                 slot;
    const char                *reason;
    ngx_trp_tunnel_t          *t;

    t = peer->tunnel;

    if (trp_auth_get(&auth, t->reader.buf, frame->len) != TRP_OK) {
        ngx_trp_relay_reject(peer, "invalid AUTH frame", NULL,
                             TRP_CODE_NOT_AUTHORIZED);
        return NGX_OK;
    }

    reason = ngx_trp_relay_check_auth(peer, &auth);

    if (reason) {
        ngx_trp_relay_reject(peer, reason, &auth, TRP_CODE_NOT_AUTHORIZED);
        return NGX_OK;
    }

    slot = trp_slot(auth.group);

    if (!ngx_trp_steer_here(ngx_trp_relay_main(peer)->steer, slot)) {
        ngx_trp_steer_moved(ngx_trp_relay_main(peer)->steer, t->connection,
                            slot);

        ngx_trp_tunnel_send_frame(t, buf, trp_moved_put(buf, (uint8_t) slot));
        ngx_trp_tunnel_deadline(t, NGX_TRP_RELAY_CLOSE_TIME,
                                "waiting for the agent to redial");
        return NGX_OK;
    }

    return ngx_trp_relay_join(peer, &auth, frame->len);
}


/* NULL, or the reason for a refusal, which the agent is never told */

static const char *
ngx_trp_relay_check_auth(ngx_trp_peer_t *peer, trp_auth_t *auth)
{
    u_char                           exporter[TRP_EXPORTER_LEN];
    in_port_t                        port;
    trp_addr_t                       addr;
    trp_authorized_key_t            *key;
    const ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_trp_relay_conf(peer);

    if (ngx_trp_tunnel_exporter(peer->tunnel, exporter) != NGX_OK) {
        return "TLS connection has no unique exporter value";
    }

    key = ngx_trp_key_find(rscf->keys, auth->public_key);

    if (key == NULL) {
        return "key is not in the authorized keys";
    }

    peer->key = key;

    if (trp_auth_verify(auth, peer->nonce, exporter) != TRP_OK) {
        return "signature is wrong";
    }

    if (auth->version < TRP_VERSION) {
        return "version is too old";
    }

    if (auth->role != TRP_ROLE_ENTRY && auth->role != TRP_ROLE_REVERSE) {
        return "role is unknown";
    }

    if (!(key->roles & auth->role)) {
        return "key is not for this role";
    }

    if (!trp_authorized_key_allows_group(key, auth->group)) {
        return "key is not for this group";
    }

    if (trp_authorized_key_expired(key, ngx_time())) {
        return "key has expired";
    }

    ngx_trp_addr_from_sockaddr(&addr, &port,
                               peer->tunnel->connection->sockaddr);

    if (!trp_authorized_key_allows_from(key, &addr)) {
        return "key may not be used from this address";
    }

    return NULL;
}


static void
ngx_trp_relay_reject(ngx_trp_peer_t *peer, const char *reason,
    trp_auth_t *auth, ngx_uint_t code)
{
    char               key[TRP_FINGERPRINT_LEN];
    trp_str_t          comment;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    if (auth) {
        trp_key_fingerprint(key, auth->public_key);

        ngx_str_null(&comment);

        if (peer->key) {
            comment = peer->key->comment;
        }

        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s \"%*s\" for group \"%*s\" is not authorized: %s, "
                      "key: %s (%*s)",
                      (auth->role == TRP_ROLE_REVERSE) ? "reverse" : "entry",
                      auth->name.len, auth->name.data,
                      auth->group.len, auth->group.data, reason, key,
                      ngx_min(comment.len, TRP_LABEL_MAX), comment.data);

    } else {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "agent is not authorized: %s", reason);
    }

    ngx_trp_tunnel_error(t, code);
}


/* "len" is the length of AUTH */

static ngx_int_t
ngx_trp_relay_join(ngx_trp_peer_t *peer, trp_auth_t *auth, size_t len)
{
    ngx_int_t                        rc;
    const char                      *over;
    const ngx_trp_relay_srv_conf_t  *rscf;

    rscf = ngx_trp_relay_conf(peer);

    rc = ngx_trp_pair_join(&rscf->relay->pair, peer, auth, &rscf->limits,
                           &over);

    if (rc == NGX_AGAIN && peer->retry == NULL) {
        return ngx_trp_relay_wait(peer, len);
    }

    if (rc == NGX_AGAIN && !peer->retry->timedout) {
        return NGX_OK;
    }

    ngx_trp_relay_stop_waiting(peer);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_trp_relay_reject(peer, over, auth, TRP_CODE_LIMIT);
        return NGX_OK;
    }

    ngx_trp_relay_ready(peer, auth);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_relay_wait(ngx_trp_peer_t *peer, size_t len)
{
    ngx_connection_t           *c;
    ngx_trp_relay_candidate_t  *candidate;

    c = peer->tunnel->connection;

    candidate = ngx_pcalloc(c->pool, sizeof(ngx_trp_relay_candidate_t));
    if (candidate == NULL) {
        ngx_trp_pair_withdraw(peer);
        return NGX_ERROR;
    }

    ngx_memcpy(candidate->auth, peer->tunnel->reader.buf, len);
    candidate->len = len;

    candidate->event.data = peer;
    candidate->event.log = c->log;
    candidate->event.handler = ngx_trp_relay_retry;

    peer->retry = &candidate->event;

    ngx_add_timer(peer->retry, NGX_TRP_RELAY_PROBE_TIME);

    return NGX_OK;
}


static void
ngx_trp_relay_retry(ngx_event_t *ev)
{
    trp_auth_t                  auth;
    ngx_trp_peer_t             *peer;
    ngx_trp_relay_candidate_t  *candidate;

    peer = ev->data;
    candidate = trp_of(ngx_trp_relay_candidate_t, event, ev);

    if (peer->tunnel->failed || peer->applied == NULL) {
        return;
    }

    /* cannot fail: it was parsed before */
    (void) trp_auth_get(&auth, candidate->auth, candidate->len);

    if (ngx_trp_relay_join(peer, &auth, candidate->len) != NGX_OK) {
        ngx_trp_tunnel_fail(peer->tunnel);
    }
}


static void
ngx_trp_relay_stop_waiting(ngx_trp_peer_t *peer)
{
    ngx_trp_pair_withdraw(peer);

    if (peer->retry == NULL) {
        return;
    }

    if (peer->retry->timer_set) {
        ngx_del_timer(peer->retry);
    }

    if (peer->retry->posted) {
        ngx_delete_posted_event(peer->retry);
    }
}


static void
ngx_trp_relay_ready(ngx_trp_peer_t *peer, trp_auth_t *auth)
{
    u_char             buf[NGX_TRP_OPEN_MAX];
    trp_ready_t        ready;
    ngx_trp_group_t   *group;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    ngx_trp_guard_leave(ngx_stream_get_module_ctx(peer->session,
                                                  ngx_trp_relay_module));

    t->state.opener = (auth->role == TRP_ROLE_REVERSE);
    group = peer->agent->group;

    ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                  "%s \"%V\" (%*s) has a tunnel in group \"%V\"%s",
                  t->state.opener ? "reverse" : "entry", &peer->agent->name,
                  peer->key->comment.len, peer->key->comment.data,
                  &group->sn.str,
                  SSL_session_reused(t->connection->ssl->connection)
                  ? ", TLS session resumed" : "");

    t->connection->log->action = "serving tunnel";

    ready.slot = (uint8_t) trp_slot(auth->group);
    ready.wanted = t->state.opener ? (uint16_t) group->nwaiting : 0;

    ngx_trp_tunnel_send_frame(t, buf, trp_ready_put(buf, &ready));
    ngx_trp_tunnel_watch(t);

    ngx_trp_relay_idle(t);
}


static ngx_int_t
ngx_trp_relay_open(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    const char                *over;
    trp_open_t                *open;
    ngx_trp_joint_t           *joint;
    ngx_trp_tunnel_t          *t;

    t = peer->tunnel;

    joint = ngx_trp_joint_create(peer, frame);

    if (joint == NULL) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s sent invalid OPEN", ngx_trp_peer_text(peer).data);
        return NGX_ERROR;
    }

    open = &joint->open;

    if (!trp_authorized_key_allows_open(peer->key, &open->addr, open->host,
                                        open->port))
    {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s may not open \"%V\" by \"permitopen\", "
                      "group: \"%V\", stream: %s",
                      ngx_trp_peer_text(peer).data, &joint->destination,
                      &joint->group, ngx_trp_id_text(open->id).data);
        ngx_trp_joint_refuse(joint, TRP_CODE_NOT_ALLOWED, 0);
        return NGX_OK;
    }

    if (ngx_exiting || t->draining) {
        ngx_trp_joint_refuse_draining(joint, "takes over");
        return NGX_OK;
    }

    if ((open->flags & TRP_OPEN_AGAIN)
        && trp_recent_has(&peer->agent->group->lost, open->id))
    {

        /* its early bytes have reached the destination, once is enough */

        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "\"%V\" was opened before, and accepted, by %s, "
                      "group: \"%V\", stream: %s", &joint->destination,
                      ngx_trp_peer_text(peer).data, &joint->group,
                      ngx_trp_id_text(open->id).data);
        ngx_trp_joint_refuse(joint, TRP_CODE_FAILED, 0);
        return NGX_OK;
    }

    over = ngx_trp_pair_opened(peer);

    if (over) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s may not open \"%V\": %s, group: \"%V\", stream: %s",
                      ngx_trp_peer_text(peer).data, &joint->destination, over,
                      &joint->group, ngx_trp_id_text(open->id).data);
        ngx_trp_joint_refuse(joint, TRP_CODE_LIMIT, 0);
        return NGX_OK;
    }

    joint->opened = 1;

    ngx_trp_joint_pair(joint, ngx_trp_relay_conf(peer)->open_timeout);

    return NGX_OK;
}


/* a tunnel is free for the next stream */

static void
ngx_trp_relay_idle(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer, *entry;

    peer = t->data;

    ngx_trp_joint_leave(peer, 0);

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, t->connection->log, 0,
                   "trp tunnel of %s is free", ngx_trp_peer_text(peer).data);

    if (ngx_exiting || t->draining) {
        ngx_trp_relay_drain(t);
        return;
    }

    if (peer->agent->role != TRP_ROLE_REVERSE) {
        ngx_trp_pair_tell(peer);
        return;
    }

    entry = ngx_trp_choice_next(peer->agent);

    if (entry) {
        ngx_trp_pair_unwait(entry);
        ngx_trp_joint_connect(entry->joint, peer);
        return;
    }

    ngx_trp_pair_park(peer);
}


/* this worker exits: agents dial again and find the new ones */

static void
ngx_trp_relay_drain(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    t->draining = 1;

    if (peer->agent == NULL) {
        ngx_trp_tunnel_fail(t);
        return;
    }

    if (peer->waiting) {
        ngx_trp_joint_refuse_draining(peer->joint, "takes over");
        return;
    }

    if (t->busy) {
        ngx_trp_relay_check_key(peer);
        return;
    }

    ngx_trp_pair_unpark(peer);

    ngx_trp_tunnel_send(t, TRP_DRAIN);
    ngx_trp_tunnel_deadline(t, NGX_TRP_RELAY_CLOSE_TIME,
                            "waiting for the agent to redial");
}


/*
 * The master tells a worker only once to exit, but a later reload may remove
 * a key.
 */

static void
ngx_trp_relay_reload_handler(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_trp_relay_t            *relay;
    ngx_trp_relay_worker_t     *worker;
    ngx_trp_relay_srv_conf_t  **srv;

    worker = ev->data;

    if (worker->reloads != *worker->counter) {
        worker->reloads = *worker->counter;

        srv = worker->servers->elts;

        for (i = 0; i < worker->servers->nelts; i++) {
            relay = srv[i]->relay;

            relay->reread = NULL;
            ngx_trp_pair_each(&relay->pair, ngx_trp_relay_check_key);
        }
    }

    ngx_add_timer(ev, NGX_TRP_RELAY_RELOAD_TIME);
}


/* the reload may have removed a key: its streams end */

static void
ngx_trp_relay_check_key(ngx_trp_peer_t *peer)
{
    ngx_log_t                       *log;
    ngx_trp_relay_t                 *relay;
    ngx_trp_relay_worker_t          *worker;
    const ngx_trp_relay_srv_conf_t  *rscf;

    if (!ngx_exiting || peer->tunnel->failed) {
        return;
    }

    worker = ngx_trp_relay_main(peer)->worker;

    if (!worker->event.timer_set) {
        ngx_add_timer(&worker->event, NGX_TRP_RELAY_RELOAD_TIME);
    }

    rscf = ngx_trp_relay_conf(peer);
    relay = rscf->relay;

    if (relay->reread == NULL) {
        relay->reread = ngx_trp_key_file_reread(ngx_cycle->pool,
                                                &rscf->authorized_keys);
        if (relay->reread == NULL) {
            relay->reread = rscf->keys;
        }
    }

    if (ngx_trp_key_find(relay->reread, peer->key->public_key) == NULL) {
        log = peer->tunnel->connection->log;

        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "%s is not authorized any more, group: \"%V\"",
                      ngx_trp_peer_text(peer).data,
                      &peer->agent->group->sn.str);
        ngx_trp_tunnel_fail(peer->tunnel);
    }
}


static void
ngx_trp_relay_closed(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    ngx_trp_joint_leave(peer, 1);
    ngx_trp_relay_stop_waiting(peer);
    ngx_trp_pair_leave(peer);

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif
}


static const ngx_trp_relay_srv_conf_t *
ngx_trp_relay_conf(ngx_trp_peer_t *peer)
{
    return ngx_stream_get_module_srv_conf(peer->session, ngx_trp_relay_module);
}


static const ngx_trp_relay_main_conf_t *
ngx_trp_relay_main(ngx_trp_peer_t *peer)
{
    return ngx_stream_get_module_main_conf(peer->session,
                                           ngx_trp_relay_module);
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
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    return SSL_TLSEXT_ERR_OK;
}


static ngx_int_t
ngx_trp_relay_preconfiguration(ngx_conf_t *cf)
{
    return ngx_trp_variables_add(cf, ngx_trp_relay_info);
}


static ngx_int_t
ngx_trp_relay_postconfiguration(ngx_conf_t *cf)
{
    ngx_stream_handler_pt        *h;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_POST_ACCEPT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_trp_relay_steer_handler;

    return ngx_trp_conf_each_listen(cf, cmcf, ngx_trp_relay_check_listen,
                                    NULL);
}


static ngx_int_t
ngx_trp_relay_check_listen(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_core_conf_t           *ccf;
    ngx_trp_relay_srv_conf_t  *rscf;

    static const char *const  none;

    rscf = listen->ctx->srv_conf[ngx_trp_relay_module.ctx_index];

    if (!rscf->enabled) {
        return NGX_OK;
    }

    if (!listen->ssl) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui needs TLS, "
                      "write \"listen PORT ssl\"",
                      rscf->place.file_name, rscf->place.line);
        return NGX_ERROR;
    }

    if (listen->keepalive) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"so_keepalive\" cannot be used with \"trp_relay\" in "
                      "%s:%ui, write \"trp_relay_heartbeat TIME\", which sets "
                      "TCP keepalive, too",
                      rscf->place.file_name, rscf->place.line);
        return NGX_ERROR;
    }

    if (ngx_trp_conf_check_shared(cf, listen, "trp_relay", &rscf->place)
        != NGX_OK
        || ngx_trp_limit_conn_init(cf, NULL, listen->ctx->srv_conf, &none,
                                   "trp_relay", rscf->place.file_name,
                                   rscf->place.line)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    /* the PROXY protocol header is gone by the time a connection is steered */

    if (listen->proxy_protocol && ccf->master != 0
        && ccf->worker_processes > 1)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_relay\" in %s:%ui cannot be used with "
                      "\"proxy_protocol\" and several worker processes, "
                      "write \"worker_processes 1\"",
                      rscf->place.file_name, rscf->place.line);
        return NGX_ERROR;
    }

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

    rscf->auth_timeout = NGX_CONF_UNSET_MSEC;
    rscf->open_timeout = NGX_CONF_UNSET_MSEC;
    rscf->heartbeat = NGX_CONF_UNSET_MSEC;
    rscf->max_unauthenticated = NGX_CONF_UNSET_UINT;
    rscf->max_per_address = NGX_CONF_UNSET_UINT;

    return rscf;
}


static char *
ngx_trp_relay_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_trp_relay_srv_conf_t *prev = parent;
    ngx_trp_relay_srv_conf_t *conf = child;

    ngx_stream_ssl_srv_conf_t   *sscf;
    ngx_stream_core_srv_conf_t  *cscf;

    ngx_conf_merge_str_value(conf->authorized_keys, prev->authorized_keys, "");
    ngx_conf_merge_msec_value(conf->auth_timeout, prev->auth_timeout, 10000);
    ngx_conf_merge_msec_value(conf->open_timeout, prev->open_timeout, 10000);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 20000);
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

    return NGX_CONF_OK;
}


/* lives on from one reload to the next */

static ngx_int_t
ngx_trp_relay_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_atomic_t     *reloads;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    reloads = data;

    if (reloads == NULL) {
        reloads = zone->shm.exists ? shpool->data
                                   : ngx_slab_calloc(shpool,
                                                     sizeof(ngx_atomic_t));
    }

    if (reloads == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_atomic_fetch_add(reloads, 1);

    shpool->data = (void *) reloads;
    zone->data = (void *) reloads;

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

    if (rscf->enabled) {
        return "is duplicate";
    }

    rscf->enabled = 1;

    ngx_trp_conf_set_place(cf, &rscf->place);

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

    rmcf->zone = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                       &ngx_trp_relay_module);
    if (rmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->zone->init = ngx_trp_relay_init_zone;

    return NGX_CONF_OK;
}


/* trp_relay_limit_… [tunnels=N] [streams=N] [opens=Nr/s] */

static char *
ngx_trp_relay_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    trp_limits_t *limits = (trp_limits_t *) ((char *) conf + cmd->offset);

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (limits->tunnels || limits->streams || limits->opens) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (trp_limits_parse(limits, ngx_trp_str(&value[i])) != TRP_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\", write "
                               "\"tunnels=NUMBER\", \"streams=NUMBER\" or "
                               "\"opens=NUMBERr/s\"", &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_trp_relay_init_module(ngx_cycle_t *cycle)
{
    ngx_trp_relay_main_conf_t  *rmcf;

    rmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_trp_relay_module);

    if (rmcf == NULL || rmcf->servers.nelts == 0) {
        return NGX_OK;
    }

    ngx_trp_pid_file_check(cycle, "trp_relay");

    rmcf->steer = ngx_trp_steer_create(cycle);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_relay_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
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

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_relay_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->servers = &rmcf->servers;
    worker->counter = rmcf->zone->data;
    worker->reloads = *worker->counter;

    worker->event.data = worker;
    worker->event.log = cycle->log;
    worker->event.handler = ngx_trp_relay_reload_handler;
    worker->event.cancelable = 1;

    worker->scratch = ngx_palloc(cycle->pool, NGX_TRP_SCRATCH_SIZE);
    if (worker->scratch == NULL) {
        return NGX_ERROR;
    }

    rmcf->worker = worker;
    srv = rmcf->servers.elts;

    for (i = 0; i < rmcf->servers.nelts; i++) {
        srv[i]->relay = ngx_trp_relay_start(srv[i], cycle);

        if (srv[i]->relay == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_trp_steer_init_worker(cycle, rmcf->steer);
}


static ngx_trp_relay_t *
ngx_trp_relay_start(const ngx_trp_relay_srv_conf_t *rscf, ngx_cycle_t *cycle)
{
    ngx_trp_relay_t  *relay;

    relay = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_relay_t));

    if (relay == NULL
        || ngx_trp_bio_init(cycle->pool, &relay->tunnels.bio) != NGX_OK)
    {
        return NULL;
    }

    relay->guard.max = rscf->max_unauthenticated;
    relay->guard.max_per_address = rscf->max_per_address;

    if (ngx_trp_guard_init(&relay->guard, cycle, 4) != NGX_OK) {
        return NULL;
    }

    ngx_trp_pair_init(&relay->pair, cycle);

    return relay;
}
