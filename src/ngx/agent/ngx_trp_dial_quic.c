
/*
 * Copyright (C) the trp authors
 */


/*
 * QUIC connections to relays.  A connection is dialled for the first tunnel,
 * which is its first stream; the others wait until that one is authenticated.
 * A connection lives until its last stream has ended, and some seconds longer.
 */


#include "agent/ngx_trp_dial_quic.h"


#if (NGX_TRP_QUIC)


#include "agent/ngx_trp_dial_link.h"
#include "agent/ngx_trp_dial_log.h"
#include "agent/ngx_trp_path_direct.h"
#include "agent/ngx_trp_path_turn.h"
#include "base/ngx_trp_fake.h"
#include "quic/ngx_trp_quic.h"
#include "tunnel/ngx_trp_transport_quic.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/trp_quic_id.h"

#include <sodium.h>


/* a connection without streams, milliseconds */

#define NGX_TRP_DIAL_QUIC_LINGER   5000

/* until a migration is tried again, and how long packets go nowhere */

#define NGX_TRP_DIAL_QUIC_MIGRATE  100

/* after as many heartbeats of silence a connection is lost, and more */

#define NGX_TRP_DIAL_QUIC_BEATS    3
#define NGX_TRP_DIAL_QUIC_IDLE     10000

/* TLS's alert as QUIC's code: the relay does not speak our protocol */

#define NGX_TRP_DIAL_QUIC_NO_ALPN  (0x100 + SSL_AD_NO_APPLICATION_PROTOCOL)


struct ngx_trp_dial_quic_s {
    ngx_queue_t            queue;         /* in pool->quic.connections */
    ngx_trp_pool_t        *pool;
    const ngx_trp_way_t   *way;

    ngx_connection_t      *connection;    /* for TLS, without a socket */
    ngx_trp_udp_path_t    *path;          /* NULL: it has failed */
    ngx_trp_quic_t        *quic;          /* NULL: not yet, or no longer */
    ngx_trp_dial_log_t     log;

    ngx_event_t            event;         /* opens streams, closes */
    ngx_event_t            timer;         /* of tunnels that wait */
    ngx_event_t            migrate;

    ngx_uint_t             npending;      /* dialled, without a stream */
    ngx_uint_t             nlinks;
    ngx_uint_t             flags;         /* the relay's, of HELLO */

    unsigned               shaken:1;      /* the handshake is done */
    unsigned               authenticated:1;
    unsigned               draining:1;    /* no more streams */
    unsigned               moved:1;
    unsigned               stopping:1;
    unsigned               over:1;        /* to be freed without streams */
};


static ngx_trp_dial_quic_t *ngx_trp_dial_quic_find(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static ngx_trp_dial_quic_t *ngx_trp_dial_quic_create(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static ngx_connection_t *ngx_trp_dial_quic_connection(ngx_trp_pool_t *pool);
static ngx_int_t ngx_trp_dial_quic_start(ngx_trp_dial_quic_t *dq);
static ngx_int_t ngx_trp_dial_quic_tls(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_path(ngx_trp_dial_quic_t *dq,
    ngx_trp_quic_path_t *path);

static void ngx_trp_dial_quic_path_ready(ngx_trp_udp_path_t *path);
static void ngx_trp_dial_quic_path_received(ngx_trp_udp_path_t *path,
    u_char *p, size_t len, ngx_uint_t ecn);
static void ngx_trp_dial_quic_path_writable(ngx_trp_udp_path_t *path);
static void ngx_trp_dial_quic_path_failed(ngx_trp_udp_path_t *path);
static void ngx_trp_dial_quic_path_drain(ngx_trp_udp_path_t *path,
    ngx_uint_t now);

static void ngx_trp_dial_quic_shaken(ngx_trp_quic_t *q);
static void ngx_trp_dial_quic_streams(ngx_trp_quic_t *q);
static void ngx_trp_dial_quic_closed(ngx_trp_quic_t *q,
    const ngx_trp_quic_why_t *why);
static ngx_int_t ngx_trp_dial_quic_send(ngx_trp_quic_t *q,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packets_t *packets);

static ngx_uint_t ngx_trp_dial_quic_selected(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_explain(ngx_trp_dial_quic_t *dq,
    const ngx_trp_quic_why_t *why);
static void ngx_trp_dial_quic_migrate_handler(ngx_event_t *ev);
static void ngx_trp_dial_quic_timeout(ngx_event_t *ev);
static void ngx_trp_dial_quic_post(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_handler(ngx_event_t *ev);
static void ngx_trp_dial_quic_link(ngx_trp_dial_quic_t *dq);
static ngx_trp_link_t *ngx_trp_dial_quic_open(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_link_gone(void *data);
static void ngx_trp_dial_quic_again(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_fail(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_close(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_end(ngx_trp_dial_quic_t *dq);
static void ngx_trp_dial_quic_free(ngx_trp_dial_quic_t *dq);


static const ngx_trp_udp_path_handlers_t  ngx_trp_dial_quic_path_handlers = {
    ngx_trp_dial_quic_path_ready,
    ngx_trp_dial_quic_path_received,
    ngx_trp_dial_quic_path_writable,
    ngx_trp_dial_quic_path_failed,
    ngx_trp_dial_quic_path_drain
};


static const ngx_trp_quic_handlers_t  ngx_trp_dial_quic_handlers = {
    ngx_trp_dial_quic_shaken,
    NULL,
    ngx_trp_dial_quic_streams,
    NULL,
    NULL,
    ngx_trp_dial_quic_closed,
    NULL,
    ngx_trp_dial_quic_send,
    NULL,
    NULL,
    NULL
};


ngx_int_t
ngx_trp_dial_quic(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    ngx_trp_dial_quic_t  *dq;

    dq = ngx_trp_dial_quic_find(pool, way);

    if (dq == NULL) {
        dq = ngx_trp_dial_quic_create(pool, way);
        if (dq == NULL) {
            return NGX_ERROR;
        }
    }

    dq->npending++;

    if (dq->npending == 1) {
        ngx_add_timer(&dq->timer, pool->conf->connect_timeout);
    }

    if (dq->shaken) {
        ngx_trp_dial_quic_post(dq);
    }

    return NGX_OK;
}


static ngx_trp_dial_quic_t *
ngx_trp_dial_quic_find(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    ngx_queue_t          *q;
    ngx_trp_dial_quic_t  *dq;

    for (q = ngx_queue_head(&pool->quic.connections);
         q != ngx_queue_sentinel(&pool->quic.connections);
         q = ngx_queue_next(q))
    {
        dq = ngx_queue_data(q, ngx_trp_dial_quic_t, queue);

        if (dq->way == way && !dq->draining && !dq->over) {
            return dq;
        }
    }

    return NULL;
}


static ngx_trp_dial_quic_t *
ngx_trp_dial_quic_create(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    ngx_log_t            *log;
    ngx_pool_t           *mem;
    ngx_connection_t     *c;
    ngx_trp_dial_quic_t  *dq;

    c = ngx_trp_dial_quic_connection(pool);
    if (c == NULL) {
        return NULL;
    }

    dq = ngx_pcalloc(c->pool, sizeof(ngx_trp_dial_quic_t));
    if (dq == NULL) {
        goto failed;
    }

    dq->pool = pool;
    dq->way = way;
    dq->connection = c;

    ngx_trp_dial_log_init(&dq->log, pool, way, "connecting to relay");
    dq->log.log.connection = c->number;

    log = &dq->log.log;

    c->data = dq;
    c->log = log;
    c->pool->log = log;
    c->read->log = log;
    c->write->log = log;

    dq->event.data = dq;
    dq->event.log = log;
    dq->event.handler = ngx_trp_dial_quic_handler;
    dq->event.cancelable = 1;

    dq->timer.data = dq;
    dq->timer.log = log;
    dq->timer.handler = ngx_trp_dial_quic_timeout;

    dq->migrate.data = dq;
    dq->migrate.log = log;
    dq->migrate.handler = ngx_trp_dial_quic_migrate_handler;

    dq->path = way->turn
               ? ngx_trp_path_turn_open(pool->agent, pool->sockaddr,
                                        pool->socklen,
                                        &ngx_trp_dial_quic_path_handlers, dq,
                                        log)
               : ngx_trp_path_direct_open(pool->sockaddr, pool->socklen,
                                          &pool->source.name,
                                          &ngx_trp_dial_quic_path_handlers,
                                          dq, log);

    if (dq->path == NULL) {
        ngx_trp_dial_log_failed(&dq->log);
        ngx_trp_dial_log_done(&dq->log);
        goto failed;
    }

    ngx_queue_insert_tail(&pool->quic.connections, &dq->queue);

    return dq;

failed:

    mem = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(mem);

    return NULL;
}


/* with a descriptor that is never used: a connection needs one */

static ngx_connection_t *
ngx_trp_dial_quic_connection(ngx_trp_pool_t *pool)
{
    ngx_connection_t  *c;

    c = ngx_trp_fake_shared(pool->agent->fd, pool->log);
    if (c == NULL) {
        return NULL;
    }

    c->pool = ngx_create_pool(1024, pool->log);

    if (c->pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


/* the path is ready */

static ngx_int_t
ngx_trp_dial_quic_start(ngx_trp_dial_quic_t *dq)
{
    u_char                       random[TRP_QUIC_HINT_RANDOM];
    ngx_trp_quic_cid_t           first;
    ngx_trp_quic_conf_t          conf;
    ngx_trp_quic_path_t          path;
    const ngx_trp_agent_conf_t  *agent;

    agent = dq->pool->conf;

    if (ngx_trp_dial_quic_tls(dq) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&conf, sizeof(ngx_trp_quic_conf_t));

    conf.idle = agent->heartbeat * NGX_TRP_DIAL_QUIC_BEATS
                + NGX_TRP_DIAL_QUIC_IDLE;
    conf.keepalive = agent->heartbeat;
    conf.handshake = agent->connect_timeout;
    conf.payload = dq->path->max;

    randombytes_buf(random, sizeof(random));

    trp_quic_hint_put(first.data, (int) dq->pool->dials.slot, random);
    first.len = TRP_QUIC_HINT_LEN;

    ngx_trp_dial_quic_path(dq, &path);

    dq->quic = ngx_trp_quic_client(&conf, dq->connection->ssl->connection,
                                   &path, &first, &ngx_trp_dial_quic_handlers,
                                   dq, &dq->log.log);

    return dq->quic ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_dial_quic_tls(ngx_trp_dial_quic_t *dq)
{
    ngx_trp_pool_t    *pool;
    ngx_connection_t  *c;

    static const u_char  alpn[] = "\x05" TRP_ALPN;

    c = dq->connection;
    pool = dq->pool;

    c->log->action = "SSL handshaking to relay";

    if (ngx_trp_ssl_create_connection(&pool->conf->ssl, c, &pool->host,
                                      &pool->quic.session)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (SSL_set_alpn_protos(c->ssl->connection, alpn, sizeof(alpn) - 1) != 0) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0, "SSL_set_alpn_protos() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_dial_quic_path(ngx_trp_dial_quic_t *dq, ngx_trp_quic_path_t *path)
{
    path->local = &dq->path->local.sockaddr;
    path->local_len = dq->path->local_len;
    path->remote = &dq->path->remote.sockaddr;
    path->remote_len = dq->path->remote_len;
}


/* for the first time, or when it has been replaced by another one */

static void
ngx_trp_dial_quic_path_ready(ngx_trp_udp_path_t *path)
{
    ngx_trp_dial_quic_t  *dq;

    dq = path->data;

    if (dq->over) {
        return;
    }

    if (dq->quic) {
        ngx_trp_dial_quic_migrate_handler(&dq->migrate);
        return;
    }

    if (ngx_trp_dial_quic_start(dq) != NGX_OK) {
        ngx_trp_dial_quic_end(dq);
    }
}


static void
ngx_trp_dial_quic_migrate_handler(ngx_event_t *ev)
{
    ngx_int_t             rc;
    ngx_trp_quic_path_t   path;
    ngx_trp_dial_quic_t  *dq;

    dq = ev->data;

    if (dq->quic == NULL || dq->path == NULL) {
        return;
    }

    ngx_trp_dial_quic_path(dq, &path);

    rc = ngx_trp_quic_migrate(dq->quic, &path);

    switch (rc) {

    case NGX_OK:
        ngx_trp_quic_writable(dq->quic);
        return;

    case NGX_AGAIN:
        if (dq->shaken) {
            ngx_add_timer(ev, NGX_TRP_DIAL_QUIC_MIGRATE);
            return;
        }

        /* fall through */

    default:
        ngx_log_error(NGX_LOG_ERR, dq->connection->log, 0,
                      "QUIC connection cannot go on at another address");
        ngx_trp_dial_quic_close(dq);
    }
}


static void
ngx_trp_dial_quic_path_received(ngx_trp_udp_path_t *path, u_char *p,
    size_t len, ngx_uint_t ecn)
{
    ngx_trp_quic_path_t   qp;
    ngx_trp_dial_quic_t  *dq;

    dq = path->data;

    if (dq->quic) {
        ngx_trp_dial_quic_path(dq, &qp);

        ngx_trp_quic_input(dq->quic, &qp, p, len, ecn);
    }
}


static void
ngx_trp_dial_quic_path_writable(ngx_trp_udp_path_t *path)
{
    ngx_trp_dial_quic_t  *dq;

    dq = path->data;

    if (dq->quic) {
        ngx_trp_quic_writable(dq->quic);
    }
}


static void
ngx_trp_dial_quic_path_failed(ngx_trp_udp_path_t *path)
{
    ngx_trp_dial_quic_t  *dq;

    dq = path->data;

    dq->path = NULL;
    ngx_trp_udp_path_close(path);

    if (dq->quic) {
        ngx_trp_quic_close(dq->quic, 0, "path failed");
        return;
    }

    ngx_trp_dial_quic_end(dq);
}


static void
ngx_trp_dial_quic_path_drain(ngx_trp_udp_path_t *path, ngx_uint_t now)
{
    ngx_trp_dial_quic_t  *dq;

    dq = path->data;

    if (now) {
        ngx_trp_dial_quic_close(dq);
        return;
    }

    ngx_trp_dial_quic_post(dq);
}


static void
ngx_trp_dial_quic_shaken(ngx_trp_quic_t *q)
{
    ngx_uint_t            selected;
    ngx_trp_pool_t       *pool;
    ngx_trp_dial_quic_t  *dq;

    dq = ngx_trp_quic_data(q);
    pool = dq->pool;

    selected = ngx_trp_dial_quic_selected(dq);

    if (ngx_trp_ssl_verify(&pool->conf->ssl, dq->connection, &pool->host,
                           "relay", NGX_LOG_ERR, selected ? NULL : TRP_ALPN)
        != NGX_OK)
    {
        ngx_trp_dial_quic_close(dq);
        return;
    }

    if (!selected) {
        ngx_log_error(NGX_LOG_ERR, dq->connection->log, 0,
                      "server does not speak " TRP_ALPN ": is it a relay?");
        ngx_trp_dial_quic_close(dq);
        return;
    }

    dq->connection->log->action = NGX_TRP_DIAL_LOG_AUTH;
    dq->shaken = 1;

    ngx_trp_dial_quic_post(dq);
}


static ngx_uint_t
ngx_trp_dial_quic_selected(ngx_trp_dial_quic_t *dq)
{
    unsigned       len;
    const u_char  *alpn;

    SSL_get0_alpn_selected(dq->connection->ssl->connection, &alpn, &len);

    return len == sizeof(TRP_ALPN) - 1
           && ngx_memcmp(alpn, TRP_ALPN, len) == 0;
}


static void
ngx_trp_dial_quic_streams(ngx_trp_quic_t *q)
{
    ngx_trp_dial_quic_post(ngx_trp_quic_data(q));
}


static void
ngx_trp_dial_quic_closed(ngx_trp_quic_t *q, const ngx_trp_quic_why_t *why)
{
    ngx_trp_dial_quic_t  *dq;

    dq = ngx_trp_quic_data(q);

    if (why->end != NGX_TRP_QUIC_CLOSED) {
        ngx_trp_dial_quic_explain(dq, why);
    }

    ngx_trp_dial_quic_end(dq);
}


/* before it has worked, this is an error of dialling */

static void
ngx_trp_dial_quic_explain(ngx_trp_dial_quic_t *dq,
    const ngx_trp_quic_why_t *why)
{
    ngx_uint_t       level;
    ngx_log_t       *log;
    ngx_trp_pool_t  *pool;

    pool = dq->pool;
    log = dq->connection->log;
    level = dq->authenticated ? NGX_LOG_INFO : NGX_LOG_ERR;

    switch (why->end) {

    case NGX_TRP_QUIC_UNANSWERED:
        ngx_log_error(level, log, NGX_ETIMEDOUT, "relay timed out");
        return;

    case NGX_TRP_QUIC_SILENT:
        ngx_log_error(level, log, NGX_ETIMEDOUT, "relay is silent");
        return;

    case NGX_TRP_QUIC_LOST:
        ngx_log_error(level, log, 0, "relay does not know the connection");
        return;

    case NGX_TRP_QUIC_TLS:
        if (ngx_trp_ssl_verify(&pool->conf->ssl, dq->connection, &pool->host,
                               "relay", level, NULL)
            == NGX_OK)
        {
            ngx_log_error(level, log, 0, "TLS handshake failed: %V",
                          &why->text);
        }

        return;

    case NGX_TRP_QUIC_PEER:
        if (!why->application && why->code == NGX_TRP_DIAL_QUIC_NO_ALPN) {
            ngx_log_error(level, log, 0,
                          "server does not speak " TRP_ALPN ": is it a relay?");
            return;
        }

        if (dq->moved) {
            level = NGX_LOG_INFO;
        }

        ngx_log_error(level, log, 0, "relay closed connection: %V",
                      &why->text);
        return;

    default:
        ngx_log_error(level, log, 0, "QUIC connection failed: %V",
                      &why->text);
    }
}


static ngx_int_t
ngx_trp_dial_quic_send(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    const ngx_trp_quic_packets_t *packets)
{
    size_t                n, len;
    u_char               *p;
    ngx_trp_dial_quic_t  *dq;

    dq = ngx_trp_quic_data(q);

    if (dq->path == NULL) {
        return NGX_OK;
    }

    for (p = packets->data, len = packets->len; len; p += n, len -= n) {
        n = ngx_min(len, packets->segment * dq->path->segments);

        if (ngx_trp_udp_path_send(dq->path, p, n, packets->segment)
            == NGX_AGAIN)
        {
            /* what was sent must not come again: the rest is lost */
            return (p == packets->data) ? NGX_AGAIN : NGX_OK;
        }
    }

    return NGX_OK;
}


void
ngx_trp_dial_quic_told(ngx_trp_link_t *link, ngx_uint_t type, ngx_uint_t flags)
{
    ngx_trp_dial_quic_t  *dq;

    dq = link->quic;

    switch (type) {

    case TRP_HELLO:
        dq->flags = flags;
        return;

    case TRP_READY:
        if (!dq->authenticated) {
            dq->authenticated = 1;
            ngx_trp_dial_log_ready(&dq->log);
        }

        break;

    case TRP_MOVED:

        /* another worker of the relay has the group: all others go there */

        dq->moved = 1;
        dq->draining = 1;
        break;

    default: /* TRP_DRAIN */
        dq->draining = 1;
    }

    ngx_trp_dial_quic_post(dq);
}


void
ngx_trp_dial_quic_stop(ngx_trp_pool_t *pool)
{
    ngx_queue_t          *q;
    ngx_trp_dial_quic_t  *dq;

    for (q = ngx_queue_head(&pool->quic.connections);
         q != ngx_queue_sentinel(&pool->quic.connections);
         q = ngx_queue_next(q))
    {
        dq = ngx_queue_data(q, ngx_trp_dial_quic_t, queue);

        dq->stopping = 1;
        ngx_trp_dial_quic_post(dq);
    }
}


/* the tunnels that wait have waited long enough */

static void
ngx_trp_dial_quic_timeout(ngx_event_t *ev)
{
    ngx_uint_t            level;
    ngx_trp_dial_quic_t  *dq;

    dq = ev->data;
    level = dq->authenticated ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, ev->log, NGX_ETIMEDOUT, "relay timed out");

    if (dq->authenticated) {
        ngx_trp_dial_quic_fail(dq);
        return;
    }

    ngx_trp_dial_quic_close(dq);
}


static void
ngx_trp_dial_quic_post(ngx_trp_dial_quic_t *dq)
{
    if (dq->event.timer_set) {
        ngx_del_timer(&dq->event);
    }

    if (!dq->event.posted) {
        ngx_post_event(&dq->event, &ngx_posted_events);
    }
}


static void
ngx_trp_dial_quic_handler(ngx_event_t *ev)
{
    ngx_uint_t            lingered;
    ngx_trp_dial_quic_t  *dq;

    dq = ev->data;
    lingered = ev->timedout;

    ev->timedout = 0;

    if (dq->draining && dq->npending) {
        ngx_trp_dial_quic_again(dq);
    }

    if (dq->over) {

        if (dq->nlinks == 0) {
            ngx_trp_dial_quic_free(dq);
        }

        return;
    }

    if (ngx_exiting && !dq->pool->nwaiting && dq->npending) {
        ngx_trp_dial_quic_fail(dq);
    }

    while (dq->npending && dq->shaken
           && (dq->authenticated || dq->nlinks == 0)
           && ngx_trp_quic_streams_left(dq->quic))
    {
        ngx_trp_dial_quic_link(dq);
    }

    if (dq->nlinks || dq->npending) {
        return;
    }

    if (lingered || dq->draining || dq->stopping || ngx_exiting) {
        ngx_trp_dial_quic_close(dq);
        return;
    }

    ngx_add_timer(ev, NGX_TRP_DIAL_QUIC_LINGER);
}


/* one that waits gets its stream */

static void
ngx_trp_dial_quic_link(ngx_trp_dial_quic_t *dq)
{
    ngx_trp_link_t       *link;
    ngx_trp_pool_t       *pool;
    ngx_trp_tunnel_t     *t;
    const ngx_trp_way_t  *way;

    pool = dq->pool;
    way = dq->way;

    if (--dq->npending == 0) {
        ngx_del_timer(&dq->timer);
    }

    link = ngx_trp_dial_quic_open(dq);

    if (link == NULL) {
        pool->dialled->failed(pool, way);
        return;
    }

    t = link->tunnel;

    if (dq->authenticated) {
        trp_tunnel_known(&t->state);

        if (pool->conf->role == TRP_ROLE_ENTRY) {
            t->doubt.timeout = pool->conf->next_timeout;
            t->doubt.able = (dq->flags & TRP_CAN_ANSWER) != 0;
        }
    }

    ngx_trp_dial_link_start(link);
}


static ngx_trp_link_t *
ngx_trp_dial_quic_open(ngx_trp_dial_quic_t *dq)
{
    ngx_pool_t             *mem;
    ngx_trp_link_t         *link;
    ngx_connection_t       *c;
    ngx_pool_cleanup_t     *cln;
    ngx_trp_transport_t    *tr;
    ngx_trp_quic_stream_t  *s;

    c = ngx_trp_dial_quic_connection(dq->pool);
    if (c == NULL) {
        return NULL;
    }

    mem = c->pool;

    cln = ngx_pool_cleanup_add(mem, 0);
    s = ngx_trp_quic_stream_open(dq->quic, NULL, NULL);

    if (cln == NULL || s == NULL) {
        goto failed;
    }

    tr = ngx_trp_transport_quic_create(c, s, 0);

    if (tr == NULL) {
        goto failed;
    }

    dq->nlinks++;

    cln->handler = ngx_trp_dial_quic_link_gone;
    cln->data = dq;

    link = ngx_trp_dial_link_create(dq->pool, dq->way, c, tr);

    if (link) {
        link->quic = dq;
    }

    return link;

failed:

    if (s) {
        ngx_trp_quic_stream_free(s);
    }

    ngx_close_connection(c);
    ngx_destroy_pool(mem);

    return NULL;
}


static void
ngx_trp_dial_quic_link_gone(void *data)
{
    ngx_trp_dial_quic_t *dq = data;

    dq->nlinks--;

    if (dq->nlinks == 0 && !dq->authenticated) {

        /* it was refused, and so would the others be */
        dq->draining = 1;
    }

    ngx_trp_dial_quic_post(dq);
}


/* those that wait for this connection are dialled on another one */

static void
ngx_trp_dial_quic_again(ngx_trp_dial_quic_t *dq)
{
    ngx_uint_t            n;
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;

    if (!dq->authenticated && !dq->moved) {
        ngx_trp_dial_quic_fail(dq);
        return;
    }

    pool = dq->pool;
    way = dq->way;

    n = dq->npending;
    dq->npending = 0;

    ngx_del_timer(&dq->timer);

    for ( /* void */ ; n; n--) {
        if (ngx_trp_dial_quic(pool, way) != NGX_OK) {
            pool->dialled->failed(pool, way);
        }
    }
}


static void
ngx_trp_dial_quic_fail(ngx_trp_dial_quic_t *dq)
{
    ngx_uint_t            n;
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;

    pool = dq->pool;
    way = dq->way;

    n = dq->npending;
    dq->npending = 0;

    if (dq->timer.timer_set) {
        ngx_del_timer(&dq->timer);
    }

    if (n) {
        ngx_trp_dial_log_failed(&dq->log);
    }

    for ( /* void */ ; n; n--) {
        pool->dialled->failed(pool, way);
    }

    ngx_trp_dial_quic_post(dq);
}


/* the relay is told */

static void
ngx_trp_dial_quic_close(ngx_trp_dial_quic_t *dq)
{
    if (dq->quic) {
        ngx_trp_quic_close(dq->quic, 0, "");
        return;
    }

    if (!dq->over) {
        ngx_trp_dial_quic_end(dq);
    }
}


/* streams have been told, and close; it is freed after the last one */

static void
ngx_trp_dial_quic_end(ngx_trp_dial_quic_t *dq)
{
    ngx_connection_t  *c;

    dq->over = 1;
    c = dq->connection;

    if (dq->quic) {
        ngx_trp_quic_free(dq->quic);
        dq->quic = NULL;
    }

    if (c->ssl) {
        c->error = 1;
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    if (dq->path) {
        ngx_trp_udp_path_close(dq->path);
        dq->path = NULL;
    }

    if (dq->migrate.timer_set) {
        ngx_del_timer(&dq->migrate);
    }

    ngx_trp_dial_quic_fail(dq);
}


static void
ngx_trp_dial_quic_free(ngx_trp_dial_quic_t *dq)
{
    ngx_pool_t        *mem;
    ngx_connection_t  *c;

    c = dq->connection;
    mem = c->pool;

    ngx_queue_remove(&dq->queue);

    if (dq->event.posted) {
        ngx_delete_posted_event(&dq->event);
    }

    if (dq->event.timer_set) {
        ngx_del_timer(&dq->event);
    }

    if (dq->timer.timer_set) {
        ngx_del_timer(&dq->timer);
    }

    ngx_trp_dial_log_done(&dq->log);

    ngx_close_connection(c);
    ngx_destroy_pool(mem);
}


#endif
