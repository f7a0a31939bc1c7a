
/*
 * Copyright (C) the trp authors
 */


/*
 * The relay at work.  A connection is steered to the worker of its group,
 * authenticated, and then served as a tunnel until it ends or the worker
 * exits.
 */


#include "relay/ngx_trp_relay.h"
#include "base/ngx_trp_key_file.h"
#include "relay/ngx_trp_choice.h"
#include "relay/ngx_trp_joint.h"
#include "relay/ngx_trp_local.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_presence.h"
#include "relay/ngx_trp_services.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/ngx_trp_near.h"
#include "tunnel/ngx_trp_transport_tls.h"
#include "tunnel/trp_auth.h"
#include "tunnel/trp_publish.h"

#include <sodium.h>


/* how soon a worker that exits learns of another reload */
#define NGX_TRP_RELAY_RELOAD_TIME  1000

/* agents close; those that do not are closed after this time */
#define NGX_TRP_RELAY_CLOSE_TIME  5000

/* why a tunnel is closed: no line in the log says it as well */
#define NGX_TRP_RELAY_KEY_REMOVED  "its key was removed"

/* a dead peer is detected sooner, see ngx_trp_tunnel_probe() */
#define NGX_TRP_RELAY_PROBE_TIME  6000


/* an agent that waits until those in its place are found dead */

typedef struct {
    ngx_event_t                  event;
    size_t                       len;
    u_char                       auth[TRP_CONTROL_MAX];
} ngx_trp_relay_candidate_t;


static void ngx_trp_relay_see(ngx_stream_session_t *s,
    ngx_trp_upgrade_t *upgrade);
static ngx_int_t ngx_trp_relay_seen(ngx_trp_relay_t *relay,
    ngx_connection_t *c, ngx_trp_relay_arrival_t *arrival);
static ngx_msec_t ngx_trp_relay_time_left(const ngx_trp_relay_t *relay,
    ngx_connection_t *c);
static void ngx_trp_relay_workers_moved(void *data, struct sockaddr *sockaddr,
    ngx_uint_t slot);
static void ngx_trp_relay_workers_tunnel(void *data,
    ngx_trp_workers_near_t *near, ngx_socket_t fd);
static void ngx_trp_relay_near(ngx_trp_relay_t *relay,
    ngx_trp_workers_near_t *near, ngx_socket_t fd);
static void ngx_trp_relay_workers_exiting(void *data);
static ngx_trp_peer_t *ngx_trp_relay_peer(ngx_trp_relay_t *relay,
    ngx_stream_session_t *s, ngx_trp_transport_t *tr, ngx_trp_guest_t *guest);
static void ngx_trp_relay_greet(ngx_trp_peer_t *peer);
static u_char *ngx_trp_relay_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static u_char *ngx_trp_relay_log_bearer(ngx_log_t *log, u_char *buf,
    size_t len);
static u_char *ngx_trp_relay_log_agent(u_char *buf, size_t len,
    ngx_uint_t role, trp_str_t name, trp_str_t group,
    const trp_authorized_key_t *key);
static void ngx_trp_relay_hello(ngx_trp_peer_t *peer);
static void ngx_trp_relay_readable(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_writable(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_relay_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);
static ngx_int_t ngx_trp_relay_auth(ngx_trp_peer_t *peer, trp_frame_t *frame);
static void ngx_trp_relay_reject(ngx_trp_peer_t *peer,
    ngx_trp_refusal_t *refusal, trp_auth_t *auth);
static ngx_int_t ngx_trp_relay_join(ngx_trp_peer_t *peer, trp_auth_t *auth,
    const u_char *frame, size_t len);
static ngx_int_t ngx_trp_relay_wait(ngx_trp_peer_t *peer, const u_char *frame,
    size_t len);
static void ngx_trp_relay_retry(ngx_event_t *ev);
static void ngx_trp_relay_stop_waiting(ngx_trp_peer_t *peer);
static void ngx_trp_relay_ready(ngx_trp_peer_t *peer, trp_auth_t *auth);
static ngx_int_t ngx_trp_relay_publish(ngx_trp_peer_t *peer,
    trp_frame_t *frame);
static ngx_int_t ngx_trp_relay_open(ngx_trp_peer_t *peer, trp_frame_t *frame);
static ngx_uint_t ngx_trp_relay_may_open(ngx_trp_joint_t *joint);
static ngx_int_t ngx_trp_relay_find_service(ngx_trp_joint_t *joint);
static void ngx_trp_relay_idle(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_drain(ngx_trp_tunnel_t *t);
static const char *ngx_trp_relay_refused(ngx_trp_peer_t *peer);
static void ngx_trp_relay_reload_handler(ngx_event_t *ev);
static void ngx_trp_relay_check_key(ngx_trp_peer_t *peer);
static trp_authorized_key_t *ngx_trp_relay_key(ngx_trp_peer_t *peer);
static ngx_trp_service_t *ngx_trp_relay_carries(ngx_trp_peer_t *peer);
static void ngx_trp_relay_closed(ngx_trp_tunnel_t *t);
static void ngx_trp_relay_silent(ngx_trp_tunnel_t *t, ngx_uint_t safe);


static const ngx_trp_tunnel_handlers_t  ngx_trp_relay_tunnel_handlers = {
    ngx_trp_relay_readable,
    ngx_trp_relay_writable,
    ngx_trp_relay_idle,
    ngx_trp_relay_frame,
    ngx_trp_relay_drain,
    ngx_trp_relay_closed,
    ngx_trp_relay_silent
};


static const ngx_trp_workers_handlers_t  ngx_trp_relay_workers_handlers = {
    ngx_trp_relay_workers_moved,
    ngx_trp_relay_workers_tunnel,
    ngx_trp_relay_workers_exiting
};


ngx_trp_relay_worker_t *
ngx_trp_relay_start_worker(ngx_cycle_t *cycle, ngx_trp_workers_t *workers,
    ngx_trp_relay_shared_t *shared, ngx_shm_zone_t *services,
    ngx_trp_status_t *status)
{
    ngx_trp_relay_worker_t  *worker;

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_relay_worker_t));
    if (worker == NULL) {
        return NULL;
    }

    ngx_queue_init(&worker->relays);

    worker->shared = shared;
    worker->reloads = shared->reloads;
    worker->services = services;
    worker->status = status;

    ngx_trp_warnings_init(&worker->refusals.strangers, &shared->strangers,
                          "strangers that were refused", cycle->log);
    ngx_trp_warnings_init(&worker->refusals.owners, &shared->owners,
                          "agents that were refused", cycle->log);

    worker->event.data = worker;
    worker->event.log = cycle->log;
    worker->event.handler = ngx_trp_relay_reload_handler;
    worker->event.cancelable = 1;

    worker->scratch = ngx_palloc(cycle->pool, NGX_TRP_SCRATCH_SIZE);

    if (worker->scratch == NULL
        || ngx_trp_websocket_bio_init(cycle->pool, &worker->websocket)
           != NGX_OK)
    {
        return NULL;
    }

    if (workers == NULL) {
        return worker;
    }

    worker->workers = workers;
    worker->steer = ngx_trp_steer_create(cycle, workers);

    if (worker->steer == NULL
        || ngx_trp_workers_start(cycle, workers,
                                 &ngx_trp_relay_workers_handlers, worker)
           != NGX_OK)
    {
        return NULL;
    }

    return worker;
}


ngx_trp_relay_t *
ngx_trp_relay_start(ngx_cycle_t *cycle, ngx_trp_relay_worker_t *worker,
    const ngx_trp_relay_conf_t *conf)
{
    ngx_trp_relay_t  *relay;

    static const trp_str_t  near = trp_string("users of this nginx");

    relay = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_relay_t));

    if (relay == NULL
        || ngx_trp_bio_init(cycle->pool, &relay->tunnels.bio) != NGX_OK)
    {
        return NULL;
    }

    relay->conf = conf;
    relay->worker = worker;

    relay->near.comment = near;

    relay->guard.max = conf->max_unauthenticated;
    relay->guard.max_per_address = conf->max_per_address;

    if (ngx_trp_guard_init(&relay->guard, cycle, 4) != NGX_OK) {
        return NULL;
    }

    ngx_trp_status_open(worker->status, NGX_TRP_STATUS_SERVER, &conf->listen,
                        NGX_TRP_SERVER_TEXTS, &relay->status, NULL);

    ngx_trp_pair_init(&relay->pair, cycle);

    relay->pair.log = conf->log;
    relay->pair.status = worker->status;
    relay->pair.server = &relay->status;

    ngx_trp_services_init(&relay->services, worker->services, cycle->log);

    ngx_queue_insert_tail(&worker->relays, &relay->queue);

    return relay;
}


ngx_trp_relay_t *
ngx_trp_relay_numbered(ngx_trp_relay_worker_t *worker, ngx_uint_t number)
{
    ngx_queue_t      *q;
    ngx_trp_relay_t  *relay;

    for (q = ngx_queue_head(&worker->relays);
         q != ngx_queue_sentinel(&worker->relays);
         q = ngx_queue_next(q))
    {
        relay = ngx_queue_data(q, ngx_trp_relay_t, queue);

        if (relay->conf->number == number) {
            return relay;
        }
    }

    return NULL;
}


/*
 * An agent has connected: does another worker have its group?  Until there is
 * a ClientHello, a connection costs no more than nginx's own session.
 */

ngx_int_t
ngx_trp_relay_accept(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_relay_arrival_t *arrival)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = s->connection;

    if (arrival->guest == NULL) {
        rc = ngx_trp_relay_admit(relay, c, arrival);

        if (rc != NGX_OK) {
            return rc;
        }

        if (!c->requests) {

            /* no other worker has counted it */
            ngx_trp_status_count(&relay->status, NGX_TRP_SERVER_ACCEPTED, 1);
        }
    }

    if (arrival->upgrade) {
        return ngx_trp_relay_seen(relay, c, arrival);
    }

    if (c->read->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client sent no ClientHello in time");
        return NGX_STREAM_BAD_REQUEST;
    }

    c->log->action = "waiting for ClientHello";

    rc = ngx_trp_steer_connection(relay->worker->steer, c,
                                  relay->conf->websocket ? &arrival->upgrade
                                                         : NULL);

    if (rc == NGX_AGAIN) {

        /* after a header of the PROXY protocol it still is that one's */

        c->read->handler = ngx_stream_session_handler;

        return (ngx_handle_read_event(c->read, 0) == NGX_OK) ? NGX_AGAIN
                                                             : NGX_ERROR;
    }

    if (rc == NGX_ABORT) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (rc == NGX_DONE) {
        ngx_trp_guard_settle(arrival->guest);
        ngx_trp_workers_forget(c);
    }

    if (rc == NGX_DECLINED && arrival->upgrade) {
        ngx_trp_relay_see(s, arrival->upgrade);
    }

    return rc;
}


ngx_int_t
ngx_trp_relay_admit(ngx_trp_relay_t *relay, ngx_connection_t *c,
    ngx_trp_relay_arrival_t *arrival)
{
    ngx_int_t  rc;

    rc = ngx_trp_guard_enter(&relay->guard, c, &arrival->guest);

    if (rc == NGX_BUSY) {
        ngx_trp_status_count(&relay->status, NGX_TRP_SERVER_REFUSED_LIMIT, 1);
        return NGX_STREAM_SERVICE_UNAVAILABLE;
    }

    if (rc == NGX_OK) {
        ngx_trp_guard_deadline(arrival->guest,
                               ngx_trp_relay_time_left(relay, c));
    }

    return rc;
}


/*
 * The address that a web server says the client has: to stock
 * "set_real_ip_from", which knows whom to believe, it looks as if it were from
 * a header of the PROXY protocol.  For that the phase begins anew.
 */

static void
ngx_trp_relay_see(ngx_stream_session_t *s, ngx_trp_upgrade_t *upgrade)
{
    ngx_connection_t  *c;

    c = s->connection;

    if (c->proxy_protocol == NULL && upgrade->forwarded.src_addr.len) {
        c->proxy_protocol = &upgrade->forwarded;

        /* nginx adds 1 to it */
        s->phase_handler = (ngx_uint_t) -1;
    }
}


/* the client counts for its own address, not for the web server's */

static ngx_int_t
ngx_trp_relay_seen(ngx_trp_relay_t *relay, ngx_connection_t *c,
    ngx_trp_relay_arrival_t *arrival)
{
    ngx_int_t  rc;

    if (c->proxy_protocol == &arrival->upgrade->forwarded) {
        c->proxy_protocol = NULL;

        ngx_trp_guard_settle(arrival->guest);
        ngx_trp_guard_leave(arrival->guest);

        rc = ngx_trp_relay_admit(relay, c, arrival);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_DECLINED;
}


/*
 * One deadline covers all from accept() to authentication.  The worker that has
 * passed the connection here may have looked at the clock later than this one.
 */

static ngx_msec_t
ngx_trp_relay_time_left(const ngx_trp_relay_t *relay, ngx_connection_t *c)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (c->start_time + relay->conf->auth_timeout
                             - ngx_current_msec);

    return ngx_max(left, 1);
}


void
ngx_trp_relay_serve(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_guest_t *guest)
{
    ngx_trp_peer_t       *peer;
    ngx_connection_t     *c;
    ngx_trp_transport_t  *tr;

    c = s->connection;

    c->log->action = "authenticating tunnel";

    if (!ngx_trp_transport_tls_accepted(c)) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not speak " TRP_ALPN
                      ", it offers no protocol");
        ngx_stream_finalize_session(s, NGX_STREAM_BAD_REQUEST);
        return;
    }

    tr = ngx_trp_transport_tls_create(c, &relay->tunnels.bio);

    peer = ngx_trp_relay_peer(relay, s, tr, guest);

    if (peer == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    c->log->handler = ngx_trp_relay_log_error;
    c->log->data = peer;

    ngx_trp_relay_greet(peer);
}


ngx_int_t
ngx_trp_relay_bear(ngx_trp_bearer_t *bearer, ngx_trp_transport_t *tr,
    ngx_trp_guest_t *guest)
{
    ngx_log_t          *log;
    trp_auth_t          auth;
    ngx_trp_peer_t     *peer;
    ngx_trp_refusal_t   refusal;

    peer = ngx_trp_relay_peer(bearer->relay, bearer->session, tr, guest);

    if (peer == NULL) {
        return NGX_ERROR;
    }

    peer->bearer = bearer;

    log = tr->connection->log;
    log->handler = ngx_trp_relay_log_bearer;
    log->data = bearer;

    if (bearer->key == NULL) {
        ngx_trp_relay_greet(peer);
        return NGX_OK;
    }

    /* cannot fail: it was parsed before */
    (void) trp_auth_get(&auth, bearer->auth, bearer->len);

    peer->key = bearer->key;
    trp_tunnel_known(&peer->tunnel->state);

    ngx_memzero(&refusal, sizeof(ngx_trp_refusal_t));

    if (ngx_trp_refusal_expired(&refusal, peer->key) != NGX_OK) {
        ngx_trp_relay_reject(peer, &refusal, &auth);

    } else if (ngx_trp_relay_join(peer, &auth, bearer->auth, bearer->len)
               != NGX_OK)
    {
        ngx_trp_tunnel_fail(peer->tunnel);
    }

    ngx_post_event(tr->connection->read, &ngx_posted_events);

    return NGX_OK;
}


static ngx_trp_peer_t *
ngx_trp_relay_peer(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_transport_t *tr, ngx_trp_guest_t *guest)
{
    ngx_trp_peer_t    *peer;
    ngx_connection_t  *c;

    if (tr == NULL) {
        return NULL;
    }

    c = tr->connection;

    peer = ngx_pcalloc(c->pool, sizeof(ngx_trp_peer_t));
    if (peer == NULL) {
        return NULL;
    }

    peer->relay = relay;
    peer->session = s;
    peer->guest = guest;
    peer->tunnel = ngx_trp_tunnel_create(tr, &relay->tunnels,
                                         &ngx_trp_relay_tunnel_handlers,
                                         peer, 1, relay->conf->heartbeat);

    if (peer->tunnel == NULL || ngx_trp_tunnel_start(peer->tunnel) != NGX_OK) {
        return NULL;
    }

    if (relay->log_error == NULL) {
        relay->log_error = c->log->handler;
    }

    return peer;
}


/* begins with a peer that is not known yet */

static void
ngx_trp_relay_greet(ngx_trp_peer_t *peer)
{
    ngx_connection_t  *c;

    c = peer->tunnel->connection;

    ngx_trp_tunnel_deadline(peer->tunnel,
                            ngx_trp_relay_time_left(peer->relay, c),
                            "waiting for authentication");
    ngx_trp_relay_hello(peer);

    ngx_post_event(c->read, &ngx_posted_events);
}


/* many agents may be behind one address: after that, who it is */

static u_char *
ngx_trp_relay_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char           *p;
    ngx_trp_peer_t   *peer;
    ngx_trp_agent_t  *agent;

    peer = log->data;

    log->data = peer->session;
    p = peer->relay->log_error(log, buf, len);
    log->data = peer;

    agent = peer->agent;

    if (agent == NULL) {
        return p;
    }

    return ngx_trp_relay_log_agent(p, len - (p - buf), agent->role,
                                   ngx_trp_str(&agent->name),
                                   ngx_trp_str(&agent->group->sn.str),
                                   peer->key);
}


static u_char *
ngx_trp_relay_log_bearer(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char            *p;
    trp_auth_t         auth;
    ngx_trp_bearer_t  *bearer;

    bearer = log->data;

    log->data = bearer->session;
    p = bearer->relay->log_error(log, buf, len);
    log->data = bearer;

    if (bearer->key == NULL) {
        return p;
    }

    /* cannot fail: it was parsed before */
    (void) trp_auth_get(&auth, bearer->auth, bearer->len);

    return ngx_trp_relay_log_agent(p, len - (p - buf), auth.role, auth.name,
                                   auth.group, bearer->key);
}


static u_char *
ngx_trp_relay_log_agent(u_char *buf, size_t len, ngx_uint_t role,
    trp_str_t name, trp_str_t group, const trp_authorized_key_t *key)
{
    trp_str_t  comment;

    comment = key->comment;

    return ngx_snprintf(buf, len, ", %s: \"%*s\" (%*s), group: \"%*s\"",
                        (role == TRP_ROLE_REVERSE) ? "reverse" : "entry",
                        name.len, name.data,
                        ngx_min(comment.len, TRP_LABEL_MAX), comment.data,
                        group.len, group.data);
}


/* from other workers */


static void
ngx_trp_relay_workers_moved(void *data, struct sockaddr *sockaddr,
    ngx_uint_t slot)
{
    ngx_trp_relay_worker_t *worker = data;

    ngx_trp_steer_remember(worker->steer, sockaddr, slot);
}


static void
ngx_trp_relay_workers_tunnel(void *data, ngx_trp_workers_near_t *near,
    ngx_socket_t fd)
{
    ngx_trp_relay_worker_t *worker = data;

    ngx_trp_relay_t  *relay;

    relay = ngx_trp_relay_numbered(worker, near->server);

    if (relay == NULL) {

        /* the reload has removed it */

        (void) ngx_close_socket(fd);
        return;
    }

    ngx_trp_relay_near(relay, near, fd);
}


/* a near tunnel is one of an entry that has authenticated */

static void
ngx_trp_relay_near(ngx_trp_relay_t *relay, ngx_trp_workers_near_t *near,
    ngx_socket_t fd)
{
    ngx_trp_peer_t    *peer;
    ngx_trp_tunnel_t  *t;

    t = ngx_trp_near_create(fd, sizeof(ngx_trp_peer_t), &relay->tunnels,
                            &ngx_trp_relay_tunnel_handlers, 1,
                            relay->conf->heartbeat, relay->conf->log);
    if (t == NULL) {
        return;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    peer = t->data;

    peer->relay = relay;
    peer->tunnel = t;
    peer->key = &relay->near;
    peer->near = near->reset ? 2 : 1;

    if (ngx_trp_pair_join_near(&relay->pair, peer, &near->group,
                               &relay->conf->limits)
        != NGX_OK)
    {
        ngx_trp_tunnel_fail(t);
        return;
    }

    t->connection->log->action = "serving tunnel of another worker";

    ngx_trp_relay_idle(t);
}


static void
ngx_trp_relay_workers_exiting(void *data)
{
    ngx_trp_relay_worker_t *worker = data;

    ngx_queue_t      *q;
    ngx_trp_relay_t  *relay;

    for (q = ngx_queue_head(&worker->relays);
         q != ngx_queue_sentinel(&worker->relays);
         q = ngx_queue_next(q))
    {
        relay = ngx_queue_data(q, ngx_trp_relay_t, queue);
        ngx_trp_local_exiting(&relay->pair);
    }
}


static void
ngx_trp_relay_hello(ngx_trp_peer_t *peer)
{
    u_char       buf[NGX_TRP_OPEN_MAX];
    trp_hello_t  hello;

    peer->nonce = ngx_pnalloc(peer->tunnel->connection->pool, TRP_NONCE_LEN);

    if (peer->nonce == NULL) {
        ngx_trp_tunnel_lose(peer->tunnel, "no memory");
        return;
    }

    randombytes_buf(peer->nonce, TRP_NONCE_LEN);

    hello.version = TRP_VERSION;
    hello.heartbeat = (uint32_t) peer->relay->conf->heartbeat;
    hello.flags = TRP_CAN_ANSWER;
    ngx_memcpy(hello.nonce, peer->nonce, TRP_NONCE_LEN);

    ngx_trp_tunnel_send_frame(peer->tunnel, buf, trp_hello_put(buf, &hello));
}


static void
ngx_trp_relay_readable(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    if (peer->direct) {
        ngx_trp_holder_readable(t);
        return;
    }

    ngx_trp_joint_readable(peer, peer->relay->worker->scratch);
}


static void
ngx_trp_relay_writable(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    if (peer->direct) {
        ngx_trp_holder_writable(t);
        return;
    }

    ngx_trp_joint_writable(peer);
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

    case TRP_PUBLISH:
        return ngx_trp_relay_publish(peer, frame);

    case TRP_DRAIN:
        t->draining = 1;
        peer->leaving = 1;

        if (!t->busy) {
            ngx_trp_pair_unpark(peer);
            ngx_trp_tunnel_fail(t);
        }

        return NGX_OK;

    case TRP_PONG:
        if (ngx_trp_pair_answered(peer)) {
            ngx_trp_relay_idle(t);
        }

        return NGX_OK;

    default:
        if (peer->direct) {
            return ngx_trp_local_frame(peer, frame);
        }

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
    ngx_trp_tunnel_t          *t;
    ngx_trp_refusal_t          refusal;

    t = peer->tunnel;

    ngx_memzero(&refusal, sizeof(ngx_trp_refusal_t));

    if (trp_auth_get(&auth, t->reader.buf, frame->len) != TRP_OK) {
        refusal.why = "invalid AUTH frame";
        refusal.counter = NGX_TRP_SERVER_REFUSED_PROTOCOL;

        ngx_trp_relay_reject(peer, &refusal, NULL);
        return NGX_OK;
    }

    if (ngx_trp_refusal_check(&refusal, peer, &auth, peer->relay->conf->keys)
        != NGX_OK)
    {
        ngx_trp_relay_reject(peer, &refusal, &auth);
        return NGX_OK;
    }

    slot = trp_slot(auth.group);

    if (!ngx_trp_steer_here(peer->relay->worker->steer, slot)) {
        ngx_trp_steer_moved(peer->relay->worker->steer, t->connection, slot);

        ngx_trp_guard_settle(peer->guest);

        ngx_trp_tunnel_send_frame(t, buf, trp_moved_put(buf, (uint8_t) slot));
        ngx_trp_tunnel_deadline(t, NGX_TRP_RELAY_CLOSE_TIME,
                                "waiting for the agent to redial");
        return NGX_OK;
    }

    if (peer->bearer) {
        ngx_memcpy(peer->bearer->auth, t->reader.buf, frame->len);
        peer->bearer->len = frame->len;
    }

    return ngx_trp_relay_join(peer, &auth, t->reader.buf, frame->len);
}


/* over a limit, the agent is told which one */

static void
ngx_trp_relay_reject(ngx_trp_peer_t *peer, ngx_trp_refusal_t *refusal,
    trp_auth_t *auth)
{
    ngx_trp_guard_settle(peer->guest);

    ngx_trp_status_count(&peer->relay->status, refusal->counter, 1);

    ngx_trp_refusal_log(refusal, peer, auth, &peer->relay->worker->refusals);

    if (refusal->counter == NGX_TRP_SERVER_REFUSED_LIMIT) {
        ngx_trp_tunnel_error(peer->tunnel, TRP_CODE_LIMIT, refusal->why);
        return;
    }

    ngx_trp_tunnel_error(peer->tunnel, TRP_CODE_NOT_AUTHORIZED, NULL);
}


/* "frame" is the payload of AUTH */

static ngx_int_t
ngx_trp_relay_join(ngx_trp_peer_t *peer, trp_auth_t *auth, const u_char *frame,
    size_t len)
{
    ngx_int_t           rc;
    ngx_trp_relay_t    *relay;
    ngx_trp_refusal_t   refusal;

    relay = peer->relay;

    ngx_memzero(&refusal, sizeof(ngx_trp_refusal_t));

    rc = ngx_trp_pair_join(&relay->pair, peer, auth, &relay->conf->limits,
                           &refusal.why);

    if (rc == NGX_AGAIN && peer->retry == NULL) {
        return ngx_trp_relay_wait(peer, frame, len);
    }

    if (rc == NGX_AGAIN && !peer->retry->timedout) {
        return NGX_OK;
    }

    ngx_trp_relay_stop_waiting(peer);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        refusal.counter = NGX_TRP_SERVER_REFUSED_LIMIT;
        refusal.owner = 1;

        ngx_trp_relay_reject(peer, &refusal, auth);
        return NGX_OK;
    }

    ngx_trp_relay_ready(peer, auth);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_relay_wait(ngx_trp_peer_t *peer, const u_char *frame, size_t len)
{
    ngx_connection_t           *c;
    ngx_trp_relay_candidate_t  *candidate;

    c = peer->tunnel->connection;

    candidate = ngx_pcalloc(c->pool, sizeof(ngx_trp_relay_candidate_t));
    if (candidate == NULL) {
        ngx_trp_pair_withdraw(peer);
        return NGX_ERROR;
    }

    ngx_memcpy(candidate->auth, frame, len);
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

    if (ngx_trp_relay_join(peer, &auth, candidate->auth, candidate->len)
        != NGX_OK)
    {
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

    ngx_trp_guard_leave(peer->guest);
    ngx_trp_guard_settle(peer->guest);

    ngx_trp_status_count(&peer->relay->status, NGX_TRP_SERVER_AUTHENTICATED,
                         1);

    t->state.opener = (auth->role == TRP_ROLE_REVERSE);
    peer->probe = (auth->flags & TRP_IS_PROBE)
                  && (peer->bearer == NULL || peer->bearer->key == NULL);

    if (t->state.opener) {
        t->doubt.timeout = peer->relay->conf->next_timeout;
        t->doubt.able = (auth->flags & TRP_CAN_ANSWER) != 0;
    }

    if (peer->bearer && peer->bearer->key == NULL) {
        peer->bearer->key = peer->key;
        peer->bearer->ready(peer->bearer);
    }

    group = peer->agent->group;

    ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                  "%s \"%V\" (%*s) has a tunnel in group \"%V\"%s",
                  t->state.opener ? "reverse" : "entry", &peer->agent->name,
                  peer->key->comment.len, peer->key->comment.data,
                  &group->sn.str,
                  ngx_trp_tunnel_reused(t) ? ", TLS session resumed" : "");

    t->connection->log->action = "serving tunnel";

    ready.slot = (uint8_t) trp_slot(auth->group);
    ready.wanted = t->state.opener ? (uint16_t) group->nwaiting : 0;
    ready.flags = (uint8_t) ngx_trp_services_ready(&peer->relay->services,
                                                   peer);

    ngx_trp_tunnel_send_frame(t, buf, trp_ready_put(buf, &ready));
    ngx_trp_tunnel_watch(t);

    ngx_trp_relay_idle(t);
}


/* an agent may now have what streams wait for */

static ngx_int_t
ngx_trp_relay_publish(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    ngx_int_t          rc;
    ngx_queue_t       *q;
    ngx_trp_agent_t   *agent;
    ngx_trp_seeker_t  *seeker;

    rc = ngx_trp_services_publish(&peer->relay->services, peer, frame);

    if (rc != NGX_DONE) {
        return rc;
    }

    agent = peer->agent;

    while (agent->group->nservices && !ngx_queue_empty(&agent->idle)) {
        q = ngx_queue_head(&agent->idle);
        peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

        seeker = peer->tunnel->failed ? NULL : ngx_trp_choice_next(agent);

        if (seeker == NULL) {
            break;
        }

        ngx_trp_pair_unpark(peer);
        ngx_trp_pair_unwait(seeker);
        seeker->found(seeker, peer);
    }

    return NGX_OK;
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

    if (!ngx_trp_relay_may_open(joint)) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s may not open \"%V\" by \"permitopen\", "
                      "group: \"%V\", stream: %s",
                      ngx_trp_peer_text(peer).data, &joint->destination,
                      &joint->group, ngx_trp_id_text(open->id).data);
        ngx_trp_joint_refuse(joint, TRP_CODE_NOT_ALLOWED,
                             "by \"permitopen\"", 0);
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
        ngx_trp_joint_refuse(joint, TRP_CODE_FAILED, "it was opened before",
                             0);
        return NGX_OK;
    }

    over = ngx_trp_pair_opened(peer->agent->group, peer->agent->member);

    if (over) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "%s may not open \"%V\": %s, group: \"%V\", stream: %s",
                      ngx_trp_peer_text(peer).data, &joint->destination, over,
                      &joint->group, ngx_trp_id_text(open->id).data);
        ngx_trp_joint_refuse(joint, TRP_CODE_LIMIT, over, 0);
        return NGX_OK;
    }

    joint->opened = 1;

    peer->agent->busy++;

    ngx_trp_presence_stream(peer->agent);
    ngx_trp_presence_agent(peer->agent);

    if (open->proto == TRP_PROTO_PUBLISHED
        && ngx_trp_relay_find_service(joint) != NGX_OK)
    {
        return NGX_OK;
    }

    ngx_trp_joint_pair(joint, peer->relay->conf->open_timeout);

    return NGX_OK;
}


/* by "permitopen", where a service, even a port, is a name */

static ngx_uint_t
ngx_trp_relay_may_open(ngx_trp_joint_t *joint)
{
    trp_open_t            *open;
    trp_authorized_key_t  *key;

    static const trp_addr_t  none;

    open = &joint->open;
    key = joint->entry->key;

    if (open->proto == TRP_PROTO_PUBLISHED) {
        return trp_authorized_key_allows_open(key, &none,
                                              ngx_trp_str(&joint->host),
                                              open->port);
    }

    return trp_authorized_key_allows_open(key, &open->addr, open->host,
                                          open->port);
}


static ngx_int_t
ngx_trp_relay_find_service(ngx_trp_joint_t *joint)
{
    ngx_trp_peer_t  *entry;

    entry = joint->entry;

    joint->seeker.service = ngx_trp_services_get(&entry->relay->services,
                                                 entry->agent->group,
                                                 &joint->host);
    if (joint->seeker.service) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, entry->tunnel->connection->log, 0,
                  "nobody publishes \"%V\", group: \"%V\", %s, stream: %s",
                  &joint->destination, &joint->group,
                  ngx_trp_peer_text(entry).data,
                  ngx_trp_id_text(joint->open.id).data);

    ngx_trp_joint_refuse(joint, TRP_CODE_NOT_PUBLISHED, NULL,
                         ngx_trp_joint_elsewhere(joint));

    return NGX_DECLINED;
}


/* a tunnel is free for the next stream */

static void
ngx_trp_relay_idle(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t    *peer;
    ngx_trp_seeker_t  *seeker;

    peer = t->data;

    if (peer->direct) {
        ngx_trp_local_over(peer);

    } else {
        ngx_trp_joint_leave(peer, 0);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, t->connection->log, 0,
                   "trp tunnel of %s is free", ngx_trp_peer_text(peer).data);

    if (peer->agent->role != TRP_ROLE_REVERSE) {

        if (ngx_exiting || t->draining) {
            ngx_trp_relay_drain(t);
            return;
        }

        ngx_trp_pair_tell(peer);
        return;
    }

    ngx_trp_choice_silent(peer->agent, 0);

    seeker = (peer->leaving || peer->probe)
             ? NULL : ngx_trp_choice_next(peer->agent);

    if (seeker) {
        ngx_trp_pair_unwait(seeker);
        seeker->found(seeker, peer);
        return;
    }

    if (ngx_exiting || t->draining) {
        ngx_trp_relay_drain(t);
        return;
    }

    if (!peer->probe) {
        ngx_trp_pair_park(peer);
    }
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

    peer->suspect = 0;

    if (ngx_exiting) {

        /* users that come from now on are served by other workers */
        ngx_trp_services_withdraw(&peer->relay->services, peer->agent);
        ngx_trp_presence_group(peer->agent->group);
    }

    if (ngx_trp_joint_waits(peer)) {
        ngx_trp_joint_refuse_draining(peer->joint, "takes over");
        return;
    }

    if (t->busy) {
        ngx_trp_relay_check_key(peer);
        return;
    }

    ngx_trp_pair_unpark(peer);

    if (ngx_exiting && !peer->near) {

        /* it is told to redial as all others, but may be refused */
        ngx_trp_tunnel_why(t, ngx_trp_relay_refused(peer));
    }

    ngx_trp_tunnel_send(t, TRP_DRAIN);
    ngx_trp_tunnel_deadline(t, NGX_TRP_RELAY_CLOSE_TIME,
                            "waiting for the agent to redial");
}


/* why the new worker will refuse the peer; or NULL */

static const char *
ngx_trp_relay_refused(ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t       *agent;
    trp_authorized_key_t  *key;

    agent = peer->agent;
    key = ngx_trp_relay_key(peer);

    if (key == NULL) {
        return NGX_TRP_RELAY_KEY_REMOVED;
    }

    if (!(key->roles & agent->role)
        || !trp_authorized_key_allows_group(key,
                                          ngx_trp_str(&agent->group->sn.str)))
    {
        return "its key is for another role or group now";
    }

    if (trp_authorized_key_expired(key, ngx_time())) {
        return "its key has expired";
    }

    return NULL;
}


/*
 * The master tells a worker only once to exit, but a later reload may remove
 * a key.
 */

static void
ngx_trp_relay_reload_handler(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_trp_relay_t         *relay;
    ngx_trp_relay_worker_t  *worker;

    worker = ev->data;

    if (worker->reloads != worker->shared->reloads) {
        worker->reloads = worker->shared->reloads;

        for (q = ngx_queue_head(&worker->relays);
             q != ngx_queue_sentinel(&worker->relays);
             q = ngx_queue_next(q))
        {
            relay = ngx_queue_data(q, ngx_trp_relay_t, queue);

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
    ngx_log_t               *log;
    ngx_trp_relay_t         *relay;
    ngx_trp_service_t       *service;
    trp_authorized_key_t    *key;
    ngx_trp_relay_worker_t  *worker;

    if (!ngx_exiting || peer->tunnel->failed || peer->near) {
        return;
    }

    relay = peer->relay;
    worker = relay->worker;

    if (!worker->event.timer_set) {
        ngx_add_timer(&worker->event, NGX_TRP_RELAY_RELOAD_TIME);
    }

    log = peer->tunnel->connection->log;
    key = ngx_trp_relay_key(peer);

    if (key == NULL) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "%s is not authorized any more, group: \"%V\"",
                      ngx_trp_peer_text(peer).data,
                      &peer->agent->group->sn.str);
        ngx_trp_tunnel_lose(peer->tunnel, NGX_TRP_RELAY_KEY_REMOVED);
        return;
    }

    ngx_trp_pair_limit_rate(peer, key->limits.rate
                                  ? key->limits.rate
                                  : relay->conf->limits.key.rate);

    service = ngx_trp_relay_carries(peer);

    if (service
        && !trp_authorized_key_allows_listen(key,
                                             ngx_trp_str(&service->sn.str)))
    {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "%s may not publish \"%V\" any more, group: \"%V\"",
                      ngx_trp_peer_text(peer).data, &service->sn.str,
                      &peer->agent->group->sn.str);
        ngx_trp_tunnel_lose(peer->tunnel, "its service may not be published");
    }
}


/* the peer's key in the file as it is now, or NULL */

static trp_authorized_key_t *
ngx_trp_relay_key(ngx_trp_peer_t *peer)
{
    ngx_trp_relay_t  *relay;

    relay = peer->relay;

    if (relay->reread == NULL) {
        relay->reread = ngx_trp_key_file_reread(ngx_cycle->pool,
                                                &relay->conf->authorized_keys);
        if (relay->reread == NULL) {
            relay->reread = relay->conf->keys;
        }
    }

    return ngx_trp_key_find(relay->reread, peer->key->public_key);
}


/* the service whose stream a tunnel of a reverse has, or NULL */

static ngx_trp_service_t *
ngx_trp_relay_carries(ngx_trp_peer_t *peer)
{
    if (peer->agent->role != TRP_ROLE_REVERSE) {
        return NULL;
    }

    if (peer->joint) {
        return peer->joint->seeker.service;
    }

    return (peer->direct && peer->local) ? peer->local->seeker.service : NULL;
}


static void
ngx_trp_relay_closed(ngx_trp_tunnel_t *t)
{
    ngx_trp_peer_t    *peer;
    ngx_trp_holder_t  *holder;

    peer = t->data;

    holder = peer->direct ? ngx_trp_local_gone(peer) : NULL;

    ngx_trp_joint_leave(peer, 1);
    ngx_trp_relay_stop_waiting(peer);
    ngx_trp_services_leave(&peer->relay->services, peer);
    ngx_trp_pair_leave(peer);

    if (peer->bearer) {
        peer->bearer->left(peer->bearer);
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    if (holder) {

        /* the stream may take another tunnel at once */
        holder->ops->lost(holder);
    }
}


static void
ngx_trp_relay_silent(ngx_trp_tunnel_t *t, ngx_uint_t safe)
{
    ngx_trp_peer_t  *peer;

    peer = t->data;

    if (peer->direct) {
        ngx_trp_local_silent(peer, safe);
        return;
    }

    ngx_trp_joint_silent(peer, safe);
}
