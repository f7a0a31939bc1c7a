
/*
 * Copyright (C) the trp authors
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


/* for another worker to answer */
#define NGX_TRP_TURN_ATTACH_TIME  10000

/* without descriptors */
#define NGX_TRP_TURN_ACCEPT_DELAY  500


/* trp_turn_connection_t.data: in the worker of the allocation */

typedef struct {
    ngx_trp_turn_alloc_t    *alloc;
    trp_turn_connection_t   *connection;
    ngx_connection_t        *c;            /* until it is attached */

    /* where it is attached: this worker's client, or another worker */
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
static ngx_int_t ngx_trp_turn_data_ask_for(ngx_trp_turn_client_t *client,
    trp_str_t username);
static void ngx_trp_turn_data_answer(ngx_trp_turn_client_t *client, int ok);
static void ngx_trp_turn_data_spliced(void *data);
static void ngx_trp_turn_data_send_detached(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_peers_tcp_detached(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message);
static void ngx_trp_turn_peers_tcp_end(ngx_trp_turn_peer_tcp_t *peer);
static void ngx_trp_turn_peers_tcp_count(ngx_trp_turn_peer_tcp_t *peer,
    trp_turn_connection_t *connection);
static ngx_trp_turn_client_t *ngx_trp_turn_data_by_cookie(
    ngx_trp_turn_worker_t *worker, uint64_t cookie);


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

            /* as ngx_event_accept(): it would be told again at once */

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

        message.type = NGX_TRP_TURN_MESSAGE_DETACH;
        message.cookie = peer->cookie;

        ngx_trp_turn_workers_post(peer->alloc->server->worker->workers,
                                  peer->slot, &message);
    }

    ngx_free(peer);
}


void
ngx_trp_turn_data_attach(ngx_trp_turn_server_t *server,
    ngx_trp_turn_client_t *client, const trp_turn_command_t *command)
{
    ngx_int_t                 rc;
    ngx_str_t                 name;
    trp_str_t                 username;
    ngx_uint_t                slot;
    ngx_socket_t              s;
    ngx_trp_turn_worker_t    *worker;
    ngx_trp_turn_peer_tcp_t  *peer;

    worker = server->worker;

    client->attaching = 1;
    client->request = server->turn->request;
    client->id = command->id;
    client->cookie = ++worker->cookies;
    client->connection->idle = 0;

    ngx_queue_insert_tail(&worker->attached, &client->queue);

    username.data = command->data;
    username.len = command->len;

    name.data = (u_char *) command->data;
    name.len = command->len;

    slot = trp_turn_connection_slot(command->id);

    client->epoch = ngx_trp_turn_zone_epoch(worker->zone, slot);

    if (slot == ngx_trp_turn_workers_slot(worker->workers)) {
        peer = ngx_trp_turn_peers_tcp_find(worker, server->realm, command->id,
                                           username);
        if (peer == NULL) {
            ngx_trp_turn_data_attached(client, (ngx_socket_t) -1,
                                       NGX_TRP_TURN_NO_TALLY);
            return;
        }

        peer->client = client;
        peer->slot = ngx_trp_turn_workers_slot(worker->workers);
        peer->cookie = client->cookie;

        s = ngx_trp_turn_peers_tcp_take(peer);

        ngx_trp_turn_data_attached(client, s, peer->tally);
        return;
    }

    rc = ngx_trp_turn_data_ask_for(client, username);

    if (rc == NGX_AGAIN) {
        client->username = username;
        client->username.data = ngx_pstrdup(client->connection->pool, &name);

        rc = client->username.data ? NGX_OK : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_trp_turn_data_attached(client, (ngx_socket_t) -1,
                                   NGX_TRP_TURN_NO_TALLY);
        return;
    }

    ngx_add_timer(client->connection->read, NGX_TRP_TURN_ATTACH_TIME);
}


/*
 * NGX_OK; NGX_AGAIN if there is no way to that worker yet: it is of a newer
 * generation, and has said so, but this is still to be read.
 */

static ngx_int_t
ngx_trp_turn_data_ask_for(ngx_trp_turn_client_t *client, trp_str_t username)
{
    ngx_uint_t               slot;
    ngx_trp_turn_worker_t   *worker;
    ngx_trp_turn_message_t   message;

    worker = client->server->worker;
    slot = trp_turn_connection_slot(client->id);

    if (client->epoch == 0
        || client->epoch != ngx_trp_turn_zone_epoch(worker->zone, slot))
    {
        return NGX_ERROR;
    }

    ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

    message.type = NGX_TRP_TURN_MESSAGE_ATTACH;
    message.realm = client->server->realm;
    message.cookie = client->cookie;
    message.id = client->id;

    client->unasked = 0;

    if (ngx_trp_turn_workers_send(worker->workers, slot, &message,
                                  username.data, username.len,
                                  (ngx_socket_t) -1)
        == NGX_OK)
    {
        return NGX_OK;
    }

    client->unasked = 1;

    return NGX_AGAIN;
}


static ngx_trp_turn_peer_tcp_t *
ngx_trp_turn_peers_tcp_find(ngx_trp_turn_worker_t *worker, uint64_t realm,
    uint32_t id, trp_str_t username)
{
    ngx_uint_t               i;
    trp_turn_connection_t   *connection;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {

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


/* the socket is the caller's now, and nothing is left of it in epoll */

static ngx_socket_t
ngx_trp_turn_peers_tcp_take(ngx_trp_turn_peer_tcp_t *peer)
{
    ngx_socket_t            s;
    ngx_connection_t       *c;
    ngx_trp_turn_worker_t  *worker;

    c = peer->c;
    peer->c = NULL;

    s = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

    worker = peer->alloc->server->worker;

    peer->tally = ngx_trp_turn_zone_take_tally(worker->zone,
                                  ngx_trp_turn_workers_slot(worker->workers),
                                  peer->connection->id);

    (void) ngx_trp_event_del(c->read);
    (void) ngx_trp_event_del(c->write);

    ngx_close_connection(c);

    return s;
}


void
ngx_trp_turn_data_attached(ngx_trp_turn_client_t *client, ngx_socket_t fd,
    ngx_uint_t tally)
{
    ngx_connection_t  *c, *pc;

    c = client->connection;

    client->attaching = 0;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (fd == (ngx_socket_t) -1) {

        /* who has the connection may believe that it is attached */

        ngx_trp_turn_data_detach(client);
        ngx_trp_turn_data_answer(client, 0);

        /* it may go on, or not */

        ngx_post_event(c->read, &ngx_posted_events);
        return;
    }

    pc = ngx_get_connection(fd, client->server->log);

    if (pc == NULL) {
        (void) ngx_close_socket(fd);
        goto failed;
    }

    pc->recv = ngx_recv;
    pc->send = ngx_send;
    pc->read->log = c->log;
    pc->write->log = c->log;
    pc->write->ready = 1;
    pc->read->ready = 1;

    /* what a peer does is no fault of ours */

    pc->log = c->log;
    pc->log_error = NGX_ERROR_INFO;
    c->log->action = "relaying TCP";

    ngx_trp_turn_data_answer(client, 1);

    /* the answer comes first, and it is short */

    if (!client->failed && client->out == NULL) {
        client->splice = ngx_trp_turn_splice_create(c, pc,
                     client->server->conf.rate,
                     ngx_trp_turn_zone_tally(client->server->worker->zone,
                                             tally),
                     ngx_trp_turn_data_spliced, client);
    }

    if (client->splice) {

        /* what has come before it was attached; else the reader has it */

        ngx_trp_turn_tcp_feed(client);
        return;
    }

    ngx_close_connection(pc);

failed:

    /* it may have been told that it is attached */

    ngx_trp_ends_arm(c);

    client->failed = 1;
    ngx_post_event(c->read, &ngx_posted_events);
}


static void
ngx_trp_turn_data_answer(ngx_trp_turn_client_t *client, int ok)
{
    size_t  len;
    u_char  buf[TRP_TURN_ANSWER_MAX];

    len = trp_turn_attach_answer(client->server->turn, buf, &client->request,
                                 client->id, ok);

    (void) ngx_trp_turn_tcp_send(client, buf, len, 0);
}


static void
ngx_trp_turn_data_spliced(void *data)
{
    ngx_trp_turn_tcp_close(data, NGX_STREAM_OK);
}


/* the data connection ends */

void
ngx_trp_turn_data_detach(ngx_trp_turn_client_t *client)
{
    if (client->cookie == 0) {
        return;
    }

    ngx_queue_remove(&client->queue);

    if (client->splice) {
        ngx_trp_turn_splice_destroy(client->splice);
        client->splice = NULL;
    }

    ngx_trp_turn_data_send_detached(client);
}


static void
ngx_trp_turn_data_send_detached(ngx_trp_turn_client_t *client)
{
    ngx_uint_t               slot;
    ngx_trp_turn_worker_t   *worker;
    ngx_trp_turn_message_t   message;

    worker = client->server->worker;

    ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

    message.type = NGX_TRP_TURN_MESSAGE_DETACHED;
    message.slot = ngx_trp_turn_workers_slot(worker->workers);
    message.realm = client->server->realm;
    message.id = client->id;
    message.cookie = client->cookie;

    client->cookie = 0;

    slot = trp_turn_connection_slot(client->id);

    if (slot == message.slot) {
        ngx_trp_turn_peers_tcp_detached(worker, &message);
        return;
    }

    if (!client->unasked) {
        ngx_trp_turn_workers_post(worker->workers, slot, &message);
    }
}


/* the allocation's worker: a data connection has ended */

static void
ngx_trp_turn_peers_tcp_detached(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message)
{
    ngx_uint_t                i;
    trp_turn_connection_t    *connection;
    ngx_trp_turn_server_t   **server;
    ngx_trp_turn_peer_tcp_t  *peer;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {

        if (server[i]->realm != message->realm) {
            continue;
        }

        connection = trp_turn_attached(server[i]->turn, message->id);

        if (connection == NULL) {
            continue;
        }

        peer = connection->data;

        /* another client may have been faster */

        if (peer && peer->slot == message->slot
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
ngx_trp_turn_data_message(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, u_char *payload, size_t len,
    ngx_socket_t *fd)
{
    ngx_int_t                 rc;
    trp_str_t                 username;
    ngx_socket_t              s;
    ngx_trp_turn_client_t    *client;
    ngx_trp_turn_message_t    answer;
    ngx_trp_turn_peer_tcp_t  *peer;

    switch (message->type) {

    case NGX_TRP_TURN_MESSAGE_ATTACH:

        username.data = payload;
        username.len = len;

        peer = ngx_trp_turn_peers_tcp_find(worker, message->realm, message->id,
                                           username);

        s = peer ? ngx_trp_turn_peers_tcp_take(peer) : (ngx_socket_t) -1;

        ngx_memzero(&answer, sizeof(ngx_trp_turn_message_t));

        answer.type = NGX_TRP_TURN_MESSAGE_ATTACHED;
        answer.cookie = message->cookie;
        answer.tally = peer ? peer->tally : NGX_TRP_TURN_NO_TALLY;

        rc = ngx_trp_turn_workers_send(worker->workers, message->slot, &answer,
                                       NULL, 0, s);

        if (peer) {
            peer->slot = message->slot;
            peer->epoch = message->epoch;
            peer->cookie = message->cookie;
            peer->lent = 1;

            ngx_queue_insert_tail(&worker->lent, &peer->queue);

            if (s == (ngx_socket_t) -1 || rc != NGX_OK) {
                ngx_trp_turn_peers_tcp_end(peer);
            }
        }

        ngx_trp_pass_close(&s);

        break;

    case NGX_TRP_TURN_MESSAGE_ATTACHED:

        client = ngx_trp_turn_data_by_cookie(worker, message->cookie);

        if (client && client->attaching) {
            s = *fd;
            *fd = (ngx_socket_t) -1;
            ngx_trp_turn_data_attached(client, s, message->tally);
        }

        break;

    case NGX_TRP_TURN_MESSAGE_DETACHED:

        ngx_trp_turn_peers_tcp_detached(worker, message);
        break;

    default: /* NGX_TRP_TURN_MESSAGE_DETACH */

        client = ngx_trp_turn_data_by_cookie(worker, message->cookie);

        if (client) {
            client->failed = 1;
            ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        }
    }
}


/* those who had to wait for a way to the worker of their connection */

void
ngx_trp_turn_data_ask(ngx_trp_turn_worker_t *worker)
{
    ngx_queue_t            *q, *next;
    ngx_trp_turn_client_t  *client;

    for (q = ngx_queue_head(&worker->attached);
         q != ngx_queue_sentinel(&worker->attached);
         q = next)
    {
        next = ngx_queue_next(q);
        client = ngx_queue_data(q, ngx_trp_turn_client_t, queue);

        if (client->attaching && client->unasked
            && ngx_trp_turn_data_ask_for(client, client->username)
               == NGX_ERROR)
        {
            ngx_trp_turn_data_attached(client, (ngx_socket_t) -1,
                                       NGX_TRP_TURN_NO_TALLY);
        }
    }
}


/* what has lost its other half with another worker */

void
ngx_trp_turn_peers_tcp_tidy(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t                slot;
    ngx_queue_t              *q, *next;
    ngx_trp_turn_client_t    *client;
    ngx_trp_turn_peer_tcp_t  *peer;

    for (q = ngx_queue_head(&worker->lent);
         q != ngx_queue_sentinel(&worker->lent);
         q = next)
    {
        next = ngx_queue_next(q);
        peer = ngx_queue_data(q, ngx_trp_turn_peer_tcp_t, queue);

        if (peer->epoch != ngx_trp_turn_zone_epoch(worker->zone, peer->slot)) {
            ngx_trp_turn_peers_tcp_end(peer);
        }
    }

    for (q = ngx_queue_head(&worker->attached);
         q != ngx_queue_sentinel(&worker->attached);
         q = next)
    {
        next = ngx_queue_next(q);
        client = ngx_queue_data(q, ngx_trp_turn_client_t, queue);

        slot = trp_turn_connection_slot(client->id);

        if (client->epoch == ngx_trp_turn_zone_epoch(worker->zone, slot)) {
            continue;
        }

        if (client->attaching) {
            ngx_trp_turn_data_attached(client, (ngx_socket_t) -1,
                                       NGX_TRP_TURN_NO_TALLY);

        } else {
            ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        }
    }
}


static ngx_trp_turn_client_t *
ngx_trp_turn_data_by_cookie(ngx_trp_turn_worker_t *worker, uint64_t cookie)
{
    ngx_queue_t            *q;
    ngx_trp_turn_client_t  *client;

    for (q = ngx_queue_head(&worker->attached);
         q != ngx_queue_sentinel(&worker->attached);
         q = ngx_queue_next(q))
    {
        client = ngx_queue_data(q, ngx_trp_turn_client_t, queue);

        if (client->cookie == cookie) {
            return client;
        }
    }

    return NULL;
}
