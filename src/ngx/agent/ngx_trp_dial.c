
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel from connect() to READY, directly or through a TURN server; or on a
 * QUIC connection, see ngx_trp_dial_quic.h.
 */


#include "agent/ngx_trp_dial.h"
#include "agent/ngx_trp_dial_link.h"
#include "agent/ngx_trp_dial_log.h"
#include "agent/ngx_trp_dial_quic.h"
#include "agent/ngx_trp_turn_servers.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_connect.h"
#include "tunnel/ngx_trp_transport_tls.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "turnc/ngx_trp_turnc_connect.h"
#include "tunnel/trp_auth.h"

#include <sodium.h>


typedef struct {
    ngx_trp_turnc_connect_t  *connect;
    ngx_trp_pool_t           *pool;
    const ngx_trp_way_t      *way;
    ngx_pool_cleanup_t       *cleanup;   /* of the connection */
    ngx_trp_dial_log_t        log;
    ngx_event_t               timer;
} ngx_trp_dial_turn_t;


static ngx_int_t ngx_trp_dial_relay(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static const char *ngx_trp_dial_action(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static ngx_trp_link_t *ngx_trp_dial_create_link(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, ngx_connection_t *c, const ngx_addr_t *addr);
static ngx_int_t ngx_trp_dial_steps(ngx_trp_link_t *link,
    const ngx_addr_t *addr);
static ngx_addr_t *ngx_trp_dial_target(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, ngx_addr_t *relay);
static ngx_int_t ngx_trp_dial_turn(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static void ngx_trp_dial_turn_done(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_dial_turn_drain(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_dial_turn_timeout(ngx_event_t *ev);
static void ngx_trp_dial_turn_failed(ngx_trp_dial_turn_t *dial);
static void ngx_trp_dial_turn_cleanup(void *data);
static ngx_int_t ngx_trp_dial_prepare(ngx_trp_dialer_t *d);
static void ngx_trp_dial_handler(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);
static ngx_int_t ngx_trp_dial_hello(ngx_trp_link_t *link, trp_frame_t *frame);
static void ngx_trp_dial_told(ngx_trp_link_t *link, ngx_uint_t type,
    ngx_uint_t flags);


ngx_int_t
ngx_trp_dial(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
#if (NGX_TRP_QUIC)

    if (way->quic) {
        return ngx_trp_dial_quic(pool, way);
    }

#endif

    return way->turn ? ngx_trp_dial_turn(pool, way)
                     : ngx_trp_dial_relay(pool, way);
}


static ngx_int_t
ngx_trp_dial_relay(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    ngx_int_t            rc;
    ngx_err_t            err;
    ngx_addr_t           relay, *addr;
    ngx_trp_link_t      *link;
    ngx_connection_t    *c;
    ngx_trp_dial_log_t   dl;

    ngx_trp_dial_log_init(&dl, pool, way, ngx_trp_dial_action(pool, way));

    if (way->proxy) {
        addr = ngx_trp_proxy_addr(pool->agent->proxy);

    } else {
        addr = ngx_trp_dial_target(pool, way, &relay);
    }

    if (addr == NULL) {
        ngx_log_error(NGX_LOG_ERR, &dl.log, 0, "%s \"%V\" has no address yet",
                      way->proxy ? "proxy" : "web server",
                      way->proxy ? &pool->conf->proxy.url.host
                                 : &pool->conf->web.url.host);
        return NGX_ERROR;
    }

    /* it is enough to log from time to time that this host has no route */

    err = pool->dials.failures
          ? ngx_trp_connect_way(addr->sockaddr, addr->socklen) : 0;

    if (err) {
        dl.terse = 1;
        ngx_log_error(NGX_LOG_ERR, &dl.log, err, "connect() to %V failed",
                      &addr->name);
        return NGX_ERROR;
    }

    rc = ngx_trp_connect(&c, addr->sockaddr, addr->socklen, &addr->name,
                         SOCK_STREAM, &dl.log, NGX_ERROR_ERR);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_ERROR;
    }

    c->pool = ngx_create_pool(896, pool->log);
    if (c->pool == NULL) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    link = ngx_trp_dial_create_link(pool, way, c, addr);
    if (link == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_dialer_wait(&link->dialer, rc);

    return NGX_OK;
}


/* what is connected to first */

static const char *
ngx_trp_dial_action(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    if (way->proxy) {
        return "connecting to proxy";
    }

    return (way->websocket && ngx_trp_web_apart(pool->agent->web))
           ? "connecting to web server" : "connecting to relay";
}


/*
 * "addr" is that of the proxy, if this way has one.  The connection is closed
 * if that fails.
 */

static ngx_trp_link_t *
ngx_trp_dial_create_link(ngx_trp_pool_t *pool, const ngx_trp_way_t *way,
    ngx_connection_t *c, const ngx_addr_t *addr)
{
    ngx_trp_link_t       *link;
    ngx_trp_transport_t  *tr;

    link = ngx_trp_dial_link_create(pool, way, c,
                ngx_trp_transport_tls_create(c, &pool->agent->tunnels.bio));

    if (link == NULL) {
        return NULL;
    }

    c->log->action = (char *) ngx_trp_dial_action(pool, way);

    link->dialer.connection = c;
    link->dialer.handler = ngx_trp_dial_handler;
    link->dialer.data = link;
    link->dialer.peer = "relay";
    link->dialer.level = NGX_LOG_ERR;

    if (ngx_trp_dial_steps(link, addr) != NGX_OK) {
        tr = link->tunnel->transport;
        tr->ops->close(tr, 1);
        return NULL;
    }

    return link;
}


/* what comes after connect(), or after the TURN server: the ways compose */

static ngx_int_t
ngx_trp_dial_steps(ngx_trp_link_t *link, const ngx_addr_t *addr)
{
    in_port_t            port;
    ngx_trp_pool_t      *pool;
    ngx_trp_web_peer_t   peer;
    const ngx_str_t     *host;

    pool = link->pool;

    host = &pool->host;
    port = ngx_inet_get_port(pool->sockaddr);

    if (link->way->websocket && ngx_trp_web_apart(pool->agent->web)) {
        host = &pool->conf->web.url.host;
        port = pool->conf->web.url.port;
    }

    /* with a TURN server, the proxy is in front of that */

    if (link->way->proxy && addr
        && ngx_trp_proxy_add(pool->agent->proxy, &link->dialer, addr, host,
                             port)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (link->way->websocket) {
        peer.host = host;
        peer.port = port;
        peer.slot = pool->dials.slot;
        peer.session = &pool->dials.web;

        link->web = ngx_trp_web_add(pool->agent->web, &link->dialer, &peer);

        if (link->web == NULL) {
            return NGX_ERROR;
        }
    }

    link->tls.step.action = "SSL handshaking to relay";
    link->tls.ssl = &pool->conf->ssl;
    link->tls.host = &pool->host;
    link->tls.session = &pool->dials.session;
    link->tls.alpn = TRP_ALPN;
    link->tls.prepare = ngx_trp_dial_prepare;

    ngx_trp_dialer_add_tls(&link->dialer, &link->tls);

    return NGX_OK;
}


/* the address at the end of a proxy or a TURN server; NULL: not known yet */

static ngx_addr_t *
ngx_trp_dial_target(ngx_trp_pool_t *pool, const ngx_trp_way_t *way,
    ngx_addr_t *relay)
{
    if (way->websocket && ngx_trp_web_apart(pool->agent->web)) {
        return ngx_trp_web_addr(pool->agent->web);
    }

    relay->sockaddr = pool->sockaddr;
    relay->socklen = pool->socklen;
    relay->name = pool->source.name;

    return relay;
}


/* a connection to the relay through a TURN server (RFC 6062) */

static ngx_int_t
ngx_trp_dial_turn(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    in_port_t                 port;
    ngx_addr_t                relay, *addr;
    ngx_trp_dial_turn_t      *dial;
    ngx_trp_turnc_server_t   *server;
    ngx_trp_turnc_connect_t  *tc;

    server = ngx_trp_turn_servers_next(pool->agent, way->proxy);
    addr = ngx_trp_dial_target(pool, way, &relay);

    if (server == NULL || addr == NULL) {
        return NGX_ERROR;
    }

    tc = ngx_trp_turnc_connect_create(server, pool->log);
    if (tc == NULL) {
        return NGX_ERROR;
    }

    dial = ngx_pcalloc(tc->pool, sizeof(ngx_trp_dial_turn_t));

    if (dial) {
        dial->cleanup = ngx_pool_cleanup_add(tc->pool, 0);
    }

    if (dial == NULL || dial->cleanup == NULL) {
        ngx_destroy_pool(tc->pool);
        return NGX_ERROR;
    }

    dial->connect = tc;
    dial->pool = pool;
    dial->way = way;

    ngx_trp_dial_log_init(&dial->log, pool, way,
                          "connecting to relay through TURN server");

    dial->timer.data = dial;
    dial->timer.log = &dial->log.log;
    dial->timer.handler = ngx_trp_dial_turn_timeout;

    tc->log = &dial->log.log;
    tc->done = ngx_trp_dial_turn_done;
    tc->drain = ngx_trp_dial_turn_drain;
    tc->data = dial;

    ngx_trp_addr_from_sockaddr(&tc->user.peer.addr, &port, addr->sockaddr);
    tc->user.peer.port = port;

    ngx_add_timer(&dial->timer, pool->conf->connect_timeout);

    ngx_trp_turnc_connect(tc);

    return NGX_OK;
}


static void
ngx_trp_dial_turn_done(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    ngx_trp_link_t       *link;
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;
    ngx_trp_dial_turn_t  *dial;

    dial = tc->data;
    pool = dial->pool;
    way = dial->way;

    if (code != TRP_CODE_NONE) {
        ngx_trp_dial_turn_failed(dial);
        return;
    }

    dial->cleanup->handler = ngx_trp_dial_turn_cleanup;
    dial->cleanup->data = dial;

    ngx_del_timer(&dial->timer);

    /* the connection may outlive the pool */
    ngx_trp_dial_log_done(&dial->log);

    /* a failure destroys the connection's pool, and "dial" with it */

    link = ngx_trp_dial_create_link(pool, way, tc->connection, NULL);
    if (link == NULL) {
        pool->dialled->failed(pool, way);
        return;
    }

    ngx_trp_dialer_run(&link->dialer);
}


/* like a tunnel dialled directly, it is kept only if a stream waits for it */

static void
ngx_trp_dial_turn_drain(ngx_trp_turnc_connect_t *tc)
{
    ngx_trp_dial_turn_t  *dial;

    dial = tc->data;

    if (!dial->pool->nwaiting) {
        ngx_trp_dial_turn_failed(dial);
    }
}


static void
ngx_trp_dial_turn_timeout(ngx_event_t *ev)
{
    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT, "relay timed out");

    ngx_trp_dial_turn_failed(ev->data);
}


static void
ngx_trp_dial_turn_failed(ngx_trp_dial_turn_t *dial)
{
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;

    pool = dial->pool;
    way = dial->way;

    if (dial->timer.timer_set) {
        ngx_del_timer(&dial->timer);
    }

    ngx_trp_dial_log_failed(&dial->log);

    if (!dial->log.said) {

        /* why is in the log of the TURN server's client */
        ngx_log_error(NGX_LOG_ERR, &dial->log.log, 0,
                      "TURN server %V has made no connection",
                      &pool->conf->turn.url.url);
    }

    ngx_trp_dial_log_done(&dial->log);

    /* "dial" is in the pool that this destroys */
    ngx_trp_turnc_disconnect(dial->connect);

    pool->dialled->failed(pool, way);
}


/* the tunnel is closed: the allocation may serve another one */

static void
ngx_trp_dial_turn_cleanup(void *data)
{
    ngx_trp_dial_turn_t *dial = data;

    ngx_trp_turnc_disconnect(dial->connect);
}


static ngx_int_t
ngx_trp_dial_prepare(ngx_trp_dialer_t *d)
{
    ngx_trp_link_t  *link;

    link = d->data;

    if (link->web && ngx_trp_web_insert(link->web, d->connection) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trp_transport_tls_offer(d->connection, link->pool->dials.slot);
}


static void
ngx_trp_dial_handler(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc)
{
    ngx_trp_link_t  *link;

    link = d->data;

    if (rc != NGX_TRP_DIALER_READY) {
        d->connection->data = link->tunnel;

        ngx_trp_tunnel_close(link->tunnel);
        return;
    }

    ngx_trp_dial_link_start(link);
}


ngx_int_t
ngx_trp_dial_frame(ngx_trp_link_t *link, trp_frame_t *frame)
{
    uint8_t            slot;
    u_char            *p;
    trp_ready_t        ready;
    ngx_trp_tunnel_t  *t;

    t = link->tunnel;
    p = t->reader.buf;

    switch (frame->type) {

    case TRP_HELLO:
        return ngx_trp_dial_hello(link, frame);

    case TRP_READY:
        if (trp_ready_get(&ready, p, frame->len) != TRP_OK) {
            break;
        }

        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "tunnel is ready, slot %d%s", (int) ready.slot,
                      ngx_trp_tunnel_reused(t) ? ", TLS session resumed" : "");

        ngx_trp_dial_log_ready(link->log);

        ngx_trp_tunnel_watch(t);

        ngx_trp_dial_told(link, TRP_READY, 0);

        link->pool->dialled->ready(link, &ready);

        return NGX_OK;

    default: /* TRP_MOVED */
        if (trp_moved_get(&slot, p, frame->len) != TRP_OK) {
            break;
        }

        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "relay wants the tunnel in slot %d", (int) slot);

        link->pool->dialled->moved(link, slot);

        ngx_trp_dial_told(link, TRP_MOVED, 0);

        ngx_trp_tunnel_fail(t);

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, t->connection->log, 0,
                  "relay sent invalid frame of type %d", (int) frame->type);

    return NGX_ERROR;
}


void
ngx_trp_dial_drain(ngx_trp_link_t *link)
{
    ngx_trp_dial_told(link, TRP_DRAIN, 0);
}


static void
ngx_trp_dial_told(ngx_trp_link_t *link, ngx_uint_t type, ngx_uint_t flags)
{
#if (NGX_TRP_QUIC)

    if (link->quic) {
        ngx_trp_dial_quic_told(link, type, flags);
    }

#endif
}


ngx_uint_t
ngx_trp_dial_stopped(ngx_trp_pool_t *pool)
{
#if (NGX_TRP_QUIC)

    ngx_trp_dial_quic_stop(pool);

#endif

    return ngx_queue_empty(&pool->quic.connections);
}


static ngx_int_t
ngx_trp_dial_hello(ngx_trp_link_t *link, trp_frame_t *frame)
{
    u_char                       buf[NGX_TRP_OPEN_MAX], exporter[32];
    trp_auth_t                   auth;
    trp_hello_t                  hello;
    ngx_trp_tunnel_t            *t;
    const ngx_trp_agent_conf_t  *conf;

    t = link->tunnel;
    conf = link->pool->conf;

    if (trp_hello_get(&hello, t->reader.buf, frame->len) != TRP_OK
        || hello.version < TRP_VERSION)
    {
        ngx_log_error(NGX_LOG_ERR, t->connection->log, 0,
                      "relay sent invalid HELLO");
        return NGX_ERROR;
    }

    if (ngx_trp_tunnel_exporter(t, exporter) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, t->connection->log, 0,
                      "TLS connection has no unique exporter value, "
                      "let the relay use \"ssl_protocols TLSv1.3\"");
        return NGX_ERROR;
    }

    if (conf->role == TRP_ROLE_ENTRY) {
        t->doubt.timeout = conf->next_timeout;
        t->doubt.able = (hello.flags & TRP_CAN_ANSWER) != 0;
    }

    ngx_trp_dial_told(link, TRP_HELLO, hello.flags);

    ngx_memzero(&auth, sizeof(trp_auth_t));

    auth.version = TRP_VERSION;
    auth.role = (uint8_t) conf->role;
    auth.group = ngx_trp_str(link->pool->source.group);
    auth.name = ngx_trp_str(&conf->name);
    auth.weight = (uint16_t) conf->weight;
    auth.backup = (uint8_t) conf->backup;
    auth.flags = (conf->role == TRP_ROLE_REVERSE) ? TRP_CAN_ANSWER : 0;
    auth.flags |= link->way->probe ? TRP_IS_PROBE : 0;
    auth.list = conf->list;
    randombytes_buf(auth.nonce, TRP_NONCE_LEN);

    trp_auth_sign(&auth, hello.nonce, exporter, conf->secret);

    ngx_trp_tunnel_send_frame(t, buf, trp_auth_put(buf, &auth));

    return NGX_OK;
}
