
/*
 * Copyright (C) the trp authors
 */


/*
 * TCP connections of peers (RFC 6062): those that the client has asked for
 * with Connect, and those that peers have made to a relayed address.  Nothing
 * is read before a client's connection is attached.  Then the socket goes to
 * the client's worker, which may be another one: it is always plain TCP, while
 * the client's connection may have TLS.
 */


#include "turn/ngx_trp_turn_peers_tcp.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_event.h"
#include "base/ngx_trp_pass.h"
#include "stock/ngx_trp_ends.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_relayed.h"
#include "turn/ngx_trp_turn_socket.h"
#include "turn/ngx_trp_turn_tcp.h"
#include "turn/ngx_trp_turn_zone_stats.h"


/* when out of descriptors */
#define NGX_TRP_TURN_ACCEPT_DELAY  500


/* trp_turn_connection_t.data: in the worker of the allocation */

typedef struct {
    ngx_trp_turn_alloc_t    *alloc;
    trp_turn_connection_t   *connection;
    ngx_connection_t        *c;            /* until it is attached */

    /* what it is attached to: a client here, or one in another worker */
    ngx_trp_turn_client_t   *client;
    ngx_queue_t              queue;        /* of the worker, if lent */
    ngx_uint_t               slot;         /* of the other worker */
    ngx_atomic_uint_t        epoch;
    uint64_t                 cookie;       /* of the client there */
    ngx_uint_t               tally;
    unsigned                 lent:1;
} ngx_trp_turn_peer_tcp_t;


static ngx_trp_turn_peer_tcp_t *ngx_trp_turn_peers_tcp_create(
    ngx_trp_turn_alloc_t *alloc);
static ngx_socket_t ngx_trp_turn_peers_tcp_socket(ngx_trp_turn_alloc_t *alloc,
    trp_taddr_t *to);
static void ngx_trp_turn_peers_tcp_connect_handler(ngx_event_t *wev);
static void ngx_trp_turn_peers_tcp_connect_failed(ngx_trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection);
static void ngx_trp_turn_peers_tcp_handler(ngx_event_t *ev);
static ngx_trp_turn_peer_tcp_t *ngx_trp_turn_peers_tcp_find(
    ngx_trp_turn_worker_t *worker, uint64_t realm, uint32_t id,
    trp_str_t username);
static ngx_socket_t ngx_trp_turn_peers_tcp_take(ngx_trp_turn_peer_tcp_t *peer);
static void ngx_trp_turn_peers_tcp_end(ngx_trp_turn_peer_tcp_t *peer);
static void ngx_trp_turn_peers_tcp_count(ngx_trp_turn_peer_tcp_t *peer,
    trp_turn_connection_t *connection);


void
ngx_trp_turn_peers_tcp_connect(ngx_trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection)
{
    ngx_socket_t              s;
    ngx_connection_t         *c;
    ngx_trp_turn_peer_tcp_t  *peer;

    peer = ngx_trp_turn_peers_tcp_create(alloc);

    if (peer == NULL) {
        ngx_trp_turn_peers_tcp_connect_failed(alloc, connection);
        return;
    }

    peer->connection = connection;
    connection->data = peer;

    s = ngx_trp_turn_peers_tcp_socket(alloc, &connection->peer);

    if (s == (ngx_socket_t) -1) {
        ngx_trp_turn_peers_tcp_connect_failed(alloc, connection);
        return;
    }

    c = ngx_get_connection(s, alloc->server->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        ngx_trp_turn_peers_tcp_connect_failed(alloc, connection);
        return;
    }

    c->data = peer;
    c->read->log = alloc->server->log;
    c->write->log = alloc->server->log;
    c->read->handler = ngx_trp_turn_peers_tcp_handler;
    c->write->handler = ngx_trp_turn_peers_tcp_connect_handler;

    ngx_trp_ends_arm(c);

    peer->c = c;

    if (ngx_add_event(c->write, NGX_WRITE_EVENT, 0) != NGX_OK) {
        ngx_trp_turn_peers_tcp_connect_failed(alloc, connection);
    }
}


static ngx_trp_turn_peer_tcp_t *
ngx_trp_turn_peers_tcp_create(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_peer_tcp_t  *peer;

    peer = ngx_calloc(sizeof(ngx_trp_turn_peer_tcp_t), alloc->server->log);

    if (peer) {
        peer->alloc = alloc;
        peer->tally = NGX_TRP_TURN_NO_TALLY;
    }

    return peer;
}


static ngx_socket_t
ngx_trp_turn_peers_tcp_socket(ngx_trp_turn_alloc_t *alloc, trp_taddr_t *to)
{
    int             one;
    socklen_t       len;
    trp_taddr_t     local, peer;
    ngx_socket_t    s;
    ngx_sockaddr_t  sa, remote;

    one = 1;

    peer = *to;

    ngx_trp_turn_relayed_way(alloc, 1, &peer, &local.addr);

    len = ngx_trp_turn_sockaddr(&remote, &peer);

    if (local.addr.family) {
        local.port = alloc->alloc->port;
        (void) ngx_trp_turn_sockaddr(&sa, &local);

    } else {
        (void) ngx_trp_turn_wildcard(&sa, to->addr.family == 6,
                                     alloc->alloc->port);
    }

    s = ngx_trp_turn_socket(sa.sockaddr.sa_family, SOCK_STREAM);

    if (s == (ngx_socket_t) -1) {
        return s;
    }

    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1
        || setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == -1
        || bind(s, &sa.sockaddr, len) == -1
        || (connect(s, &remote.sockaddr, len) == -1
            && ngx_socket_errno != NGX_EINPROGRESS))
    {
        ngx_trp_turn_socket_failed(s);
        return (ngx_socket_t) -1;
    }

    return s;
}


static void
ngx_trp_turn_peers_tcp_connect_handler(ngx_event_t *wev)
{
    ngx_connection_t         *c;
    ngx_trp_turn_server_t    *server;
    ngx_trp_turn_peer_tcp_t  *peer;

    c = wev->data;
    peer = c->data;
    server = peer->alloc->server;

    if (ngx_trp_connect_error(c)) {
        ngx_trp_turn_peers_tcp_connect_failed(peer->alloc, peer->connection);
        return;
    }

    if (ngx_trp_event_del(c->write) != NGX_OK) {
        ngx_trp_turn_peers_tcp_connect_failed(peer->alloc, peer->connection);
        return;
    }

    c->write->handler = ngx_trp_turn_peers_tcp_handler;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: connection %uD is established",
                   ngx_trp_turn_text(&peer->alloc->alloc->tuple.client).data,
                   peer->connection->id);

    ngx_trp_turn_time(server);

    trp_turn_connected(server->turn, peer->connection, 1);
    ngx_trp_turn_run(server, NULL);
}


static void
ngx_trp_turn_peers_tcp_connect_failed(ngx_trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection)
{
    ngx_trp_turn_server_t  *server;

    server = alloc->server;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: connection %uD has failed",
                   ngx_trp_turn_text(&alloc->alloc->tuple.client).data,
                   connection->id);

    ngx_trp_turn_time(server);

    trp_turn_connected(server->turn, connection, 0);
    ngx_trp_turn_run(server, NULL);
}


/* nothing is read before it is attached */

static void
ngx_trp_turn_peers_tcp_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_trp_turn_server_t    *server;
    ngx_trp_turn_peer_tcp_t  *peer;

    c = ev->data;
    peer = c->data;
    server = peer->alloc->server;

    if (c->close) {
        ngx_trp_turn_time(server);
        trp_turn_disconnected(server->turn, peer->connection);
        ngx_trp_turn_run(server, NULL);
    }
}


void
ngx_trp_turn_peers_tcp_accept(ngx_event_t *rev)
{
    socklen_t                 len;
    trp_taddr_t               addr;
    ngx_socket_t              s;
    ngx_sockaddr_t            sa;
    ngx_connection_t         *c, *lc;
    ngx_trp_turn_alloc_t     *alloc;
    ngx_trp_turn_server_t    *server;
    ngx_trp_turn_peer_tcp_t  *peer;

    lc = rev->data;
    alloc = lc->data;
    server = alloc->server;

    ngx_trp_turn_time(server);

    if (lc->close) {
        trp_turn_fail(server->turn, alloc->alloc);
        ngx_trp_turn_run(server, NULL);
        return;
    }

    len = sizeof(sa);

    if (rev->timedout) {
        rev->timedout = 0;
        (void) ngx_add_event(rev, NGX_READ_EVENT, 0);
        return;
    }

    s = accept4(lc->fd, &sa.sockaddr, &len, SOCK_NONBLOCK|SOCK_CLOEXEC);

    if (s == (ngx_socket_t) -1) {

        if (ngx_socket_errno == NGX_EMFILE || ngx_socket_errno == NGX_ENFILE) {

            /* as in ngx_event_accept(): the event would come again at once */

            ngx_log_error(NGX_LOG_CRIT, server->log, ngx_socket_errno,
                          "accept4() of a peer failed");

            (void) ngx_trp_event_del(rev);

            rev->cancelable = 1;
            ngx_add_timer(rev, NGX_TRP_TURN_ACCEPT_DELAY);
        }

        return;
    }

    ngx_trp_turn_taddr(&addr, &sa.sockaddr);
    ngx_trp_turn_relayed_peer(alloc, &addr);

    c = ngx_get_connection(s, server->log);
    peer = ngx_trp_turn_peers_tcp_create(alloc);

    if (c == NULL || peer == NULL) {
        goto failed;
    }

    ngx_trp_ends_arm(c);

    peer->connection = trp_turn_accepted(server->turn, alloc->alloc, &addr);

    if (peer->connection == NULL) {
        ngx_trp_turn_run(server, NULL);
        goto failed;
    }

    c->data = peer;
    c->read->log = server->log;
    c->write->log = server->log;
    c->read->handler = ngx_trp_turn_peers_tcp_handler;
    c->write->handler = ngx_trp_turn_peers_tcp_handler;

    peer->c = c;
    peer->connection->data = peer;

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, server->log, 0,
                   "trp turn %s: connection %uD from peer %s is accepted",
                   ngx_trp_turn_text(&alloc->alloc->tuple.client).data,
                   peer->connection->id, ngx_trp_turn_text(&addr).data);

    ngx_trp_turn_run(server, NULL);

    return;

failed:

    if (c) {
        c->read->log = server->log;
        c->write->log = server->log;
        ngx_close_connection(c);

    } else {
        (void) ngx_close_socket(s);
    }

    if (peer) {
        ngx_free(peer);
    }
}


void
ngx_trp_turn_peers_tcp_close(trp_turn_connection_t *connection)
{
    ngx_trp_turn_client_t    *client;
    ngx_trp_turn_message_t    message;
    ngx_trp_turn_peer_tcp_t  *peer;

    peer = connection->data;
    connection->data = NULL;

    if (peer == NULL) {
        return;
    }

    if (peer->c) {
        ngx_close_connection(peer->c);
    }

    ngx_trp_turn_peers_tcp_count(peer, connection);

    client = peer->client;

    if (client) {
        peer->client = NULL;
        client->failed = 1;
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
    }

    if (peer->lent) {
        ngx_queue_remove(&peer->queue);

        ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

        message.mesh.type = NGX_TRP_TURN_MESSAGE_DETACH;
        message.cookie = peer->cookie;

        ngx_trp_mesh_post(peer->alloc->server->worker->mesh, peer->slot,
                          &message.mesh);
    }

    ngx_free(peer);
}


ngx_socket_t
ngx_trp_turn_peers_tcp_attach(ngx_trp_turn_client_t *client,
    trp_str_t username, ngx_uint_t *tally)
{
    ngx_socket_t              s;
    ngx_trp_turn_worker_t    *worker;
    ngx_trp_turn_peer_tcp_t  *peer;

    worker = client->server->worker;
    *tally = NGX_TRP_TURN_NO_TALLY;

    peer = ngx_trp_turn_peers_tcp_find(worker, client->server->realm,
                                       client->id, username);
    if (peer == NULL) {
        return (ngx_socket_t) -1;
    }

    trp_assert(peer->client == NULL && !peer->lent);

    peer->client = client;
    peer->slot = ngx_trp_mesh_slot(worker->mesh);
    peer->cookie = client->cookie;

    s = ngx_trp_turn_peers_tcp_take(peer);

    *tally = peer->tally;

    return s;
}


/* gives it to a client of another worker */

void
ngx_trp_turn_peers_tcp_lend(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, u_char *payload, size_t len)
{
    ngx_int_t                 rc;
    trp_str_t                 username;
    ngx_socket_t              s;
    ngx_trp_turn_message_t    answer;
    ngx_trp_turn_peer_tcp_t  *peer;

    username.data = payload;
    username.len = len;

    peer = ngx_trp_turn_peers_tcp_find(worker, message->realm, message->id,
                                       username);

    s = peer ? ngx_trp_turn_peers_tcp_take(peer) : (ngx_socket_t) -1;

    ngx_memzero(&answer, sizeof(ngx_trp_turn_message_t));

    answer.mesh.type = NGX_TRP_TURN_MESSAGE_ATTACHED;
    answer.cookie = message->cookie;
    answer.tally = peer ? peer->tally : NGX_TRP_TURN_NO_TALLY;

    rc = ngx_trp_mesh_send(worker->mesh, message->mesh.slot, &answer.mesh,
                           NULL, 0, s);

    if (peer) {
        peer->slot = message->mesh.slot;
        peer->epoch = message->mesh.epoch;
        peer->cookie = message->cookie;
        peer->lent = 1;

        ngx_queue_insert_tail(&worker->lent, &peer->queue);

        ngx_log_debug3(NGX_LOG_DEBUG_STREAM, peer->alloc->server->log, 0,
                       "trp turn %s: connection %uD is lent to slot %ui",
                       ngx_trp_turn_text(&peer->alloc->alloc->tuple
                                          .client).data,
                       message->id, peer->slot);

        if (s == (ngx_socket_t) -1 || rc != NGX_OK) {
            ngx_trp_turn_peers_tcp_end(peer);
        }
    }

    ngx_trp_pass_close(&s);
}


static ngx_trp_turn_peer_tcp_t *
ngx_trp_turn_peers_tcp_find(ngx_trp_turn_worker_t *worker, uint64_t realm,
    uint32_t id, trp_str_t username)
{
    ngx_uint_t               i;
    trp_turn_connection_t   *connection;
    ngx_trp_turn_server_t  **server;

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {

        if (server[i]->realm != realm) {
            continue;
        }

        connection = trp_turn_attach(server[i]->turn, id, username);

        if (connection) {
            return connection->data;
        }
    }

    return NULL;
}


/* the socket, which is removed from epoll, now belongs to the caller */

static ngx_socket_t
ngx_trp_turn_peers_tcp_take(ngx_trp_turn_peer_tcp_t *peer)
{
    ngx_socket_t            s;
    ngx_connection_t       *c;
    ngx_trp_turn_worker_t  *worker;

    trp_assert(peer->c != NULL);

    c = peer->c;
    peer->c = NULL;

    s = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

    worker = peer->alloc->server->worker;

    peer->tally = ngx_trp_turn_zone_take_tally(worker->zone,
                                  ngx_trp_mesh_slot(worker->mesh),
                                  peer->connection->id);

    (void) ngx_trp_event_del(c->read);
    (void) ngx_trp_event_del(c->write);

    ngx_close_connection(c);

    return s;
}


/* in the allocation's worker: a data connection has ended */

void
ngx_trp_turn_peers_tcp_detached(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message)
{
    ngx_uint_t                i;
    trp_turn_connection_t    *connection;
    ngx_trp_turn_server_t   **server;
    ngx_trp_turn_peer_tcp_t  *peer;

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {

        if (server[i]->realm != message->realm) {
            continue;
        }

        connection = trp_turn_attached(server[i]->turn, message->id);

        if (connection == NULL) {
            continue;
        }

        peer = connection->data;

        /* it may be attached to another client */

        if (peer && peer->slot == message->mesh.slot
            && peer->cookie == message->cookie)
        {
            ngx_trp_turn_peers_tcp_end(peer);
        }

        return;
    }
}


static void
ngx_trp_turn_peers_tcp_end(ngx_trp_turn_peer_tcp_t *peer)
{
    ngx_trp_turn_server_t  *server;

    server = peer->alloc->server;

    peer->client = NULL;

    if (peer->lent) {
        peer->lent = 0;
        ngx_queue_remove(&peer->queue);
    }

    ngx_trp_turn_time(server);
    trp_turn_disconnected(server->turn, peer->connection);
    ngx_trp_turn_run(server, NULL);
}


static void
ngx_trp_turn_peers_tcp_count(ngx_trp_turn_peer_tcp_t *peer,
    trp_turn_connection_t *connection)
{
    ngx_trp_turn_tally_t   *tally;
    ngx_trp_turn_server_t  *server;

    server = peer->alloc->server;
    tally = ngx_trp_turn_zone_tally(server->worker->zone, peer->tally);

    if (tally) {
        trp_turn_add_traffic(server->turn, connection->alloc, &tally->up,
                             &tally->down);
        tally->slot = 0;
        peer->tally = NGX_TRP_TURN_NO_TALLY;
    }
}


void
ngx_trp_turn_peers_tcp_traffic(trp_turn_connection_t *connection,
    trp_turn_traffic_t *up, trp_turn_traffic_t *down)
{
    ngx_trp_turn_tally_t     *tally;
    ngx_trp_turn_peer_tcp_t  *peer;

    peer = connection->data;

    if (peer == NULL) {
        return;
    }

    tally = ngx_trp_turn_zone_tally(peer->alloc->server->worker->zone,
                                    peer->tally);

    if (tally) {
        up->bytes += tally->up.bytes;
        up->packets += tally->up.packets;
        down->bytes += tally->down.bytes;
        down->packets += tally->down.packets;
    }
}


/* ends those that were lent to a worker that has ended */

void
ngx_trp_turn_peers_tcp_tidy(ngx_trp_turn_worker_t *worker)
{
    ngx_queue_t              *q, *next;
    ngx_trp_turn_peer_tcp_t  *peer;

    for (q = ngx_queue_head(&worker->lent);
         q != ngx_queue_sentinel(&worker->lent);
         q = next)
    {
        next = ngx_queue_next(q);
        peer = ngx_queue_data(q, ngx_trp_turn_peer_tcp_t, queue);

        if (peer->epoch
            != ngx_trp_slots_epoch(&worker->zone->slots, peer->slot))
        {
            ngx_trp_turn_peers_tcp_end(peer);
        }
    }
}
