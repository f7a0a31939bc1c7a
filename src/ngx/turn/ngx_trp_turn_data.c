
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients' connections to peers (RFC 6062): after ConnectionBind, a connection
 * over TCP or TLS no longer carries messages, but the bytes that a peer and its
 * client send.  The allocation may be in another worker, which is asked for the
 * peer's socket.
 */


#include "turn/ngx_trp_turn_data.h"
#include "stock/ngx_trp_ends.h"
#include "turn/ngx_trp_turn_debug.h"
#include "turn/ngx_trp_turn_peers_tcp.h"
#include "turn/ngx_trp_turn_socket.h"
#include "turn/ngx_trp_turn_splice.h"
#include "turn/ngx_trp_turn_tcp.h"
#include "turn/ngx_trp_turn_zone_stats.h"


/* how long another worker may take to answer */
#define NGX_TRP_TURN_ATTACH_TIME  10000


static ngx_int_t ngx_trp_turn_data_ask_for(ngx_trp_turn_client_t *client,
    trp_str_t username);
static void ngx_trp_turn_data_refuse(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_data_attached(ngx_trp_turn_client_t *client,
    ngx_socket_t fd, ngx_uint_t tally);
static void ngx_trp_turn_data_answer(ngx_trp_turn_client_t *client, int ok);
static void ngx_trp_turn_data_spliced(void *data);
static void ngx_trp_turn_data_detach(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_data_send_detached(ngx_trp_turn_client_t *client);
static ngx_trp_turn_client_t *ngx_trp_turn_data_by_cookie(
    ngx_trp_turn_worker_t *worker, uint64_t cookie);


static const ngx_trp_turn_data_handlers_t  ngx_trp_turn_data_handlers = {
    ngx_trp_turn_data_refuse,
    ngx_trp_turn_data_detach
};


void
ngx_trp_turn_data_attach(ngx_trp_turn_server_t *server,
    ngx_trp_turn_client_t *client, const trp_turn_command_t *command)
{
    ngx_int_t               rc;
    ngx_str_t               name;
    trp_str_t               username;
    ngx_uint_t              slot, tally;
    ngx_socket_t            s;
    ngx_trp_turn_worker_t  *worker;

    worker = server->worker;

    trp_assert(!client->attaching && client->cookie == 0
               && client->splice == NULL);

    client->attaching = 1;
    client->data = &ngx_trp_turn_data_handlers;
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

    client->epoch = ngx_trp_slots_epoch(&worker->zone->slots, slot);

    if (slot == ngx_trp_mesh_slot(worker->mesh)) {
        s = ngx_trp_turn_peers_tcp_attach(client, username, &tally);

        ngx_trp_turn_data_attached(client, s, tally);
        return;
    }

    rc = ngx_trp_turn_data_ask_for(client, username);

    if (rc == NGX_AGAIN) {
        client->username = username;
        client->username.data = ngx_pstrdup(client->connection->pool, &name);

        rc = client->username.data ? NGX_OK : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_trp_turn_data_refuse(client);
        return;
    }

    ngx_add_timer(client->connection->read, NGX_TRP_TURN_ATTACH_TIME);
}


/*
 * NGX_OK; NGX_AGAIN if that worker cannot be reached yet: it is of a newer
 * generation, and its HELLO has not been read yet.
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
        || client->epoch != ngx_trp_slots_epoch(&worker->zone->slots, slot))
    {
        return NGX_ERROR;
    }

    ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

    message.mesh.type = NGX_TRP_TURN_MESSAGE_ATTACH;
    message.mesh.way = 1;
    message.realm = client->server->realm;
    message.cookie = client->cookie;
    message.id = client->id;

    client->unasked = 0;

    if (ngx_trp_mesh_send(worker->mesh, slot, &message.mesh,
                          username.data, username.len, (ngx_socket_t) -1)
        == NGX_OK)
    {
        return NGX_OK;
    }

    client->unasked = 1;

    return NGX_AGAIN;
}


/* the connection does not exist, or its worker does not answer */

static void
ngx_trp_turn_data_refuse(ngx_trp_turn_client_t *client)
{
    ngx_trp_turn_data_attached(client, (ngx_socket_t) -1,
                               NGX_TRP_TURN_NO_TALLY);
}


static void
ngx_trp_turn_data_attached(ngx_trp_turn_client_t *client, ngx_socket_t fd,
    ngx_uint_t tally)
{
    ngx_connection_t  *c, *pc;

    c = client->connection;

    trp_assert(client->attaching);

    client->attaching = 0;

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp turn %s: %s connection %uD",
                   ngx_trp_turn_text(&client->tuple.client).data,
                   fd == (ngx_socket_t) -1 ? "there is no" : "gets",
                   client->id);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (fd == (ngx_socket_t) -1) {

        /* the connection's worker may have attached it */

        ngx_trp_turn_data_detach(client);
        ngx_trp_turn_data_answer(client, 0);

        /* the handler decides whether the client's connection goes on */

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

    /* errors of a peer's connection are not the server's */

    pc->log = c->log;
    pc->log_error = NGX_ERROR_INFO;
    c->log->action = "relaying TCP";

    ngx_trp_turn_data_answer(client, 1);

    /* the answer must be sent first; it is short */

    if (!client->failed && client->out == NULL) {
        client->splice = ngx_trp_turn_splice_create(c, pc,
                     client->server->conf->core.rate,
                     ngx_trp_turn_zone_tally(client->server->worker->zone,
                                             tally),
                     ngx_trp_turn_data_spliced, client);
    }

    if (client->splice) {

        /* passes on what came before this; or the reader will do so */

        ngx_trp_turn_tcp_feed(client);
        return;
    }

    ngx_close_connection(pc);

failed:

    /* the client may have been told that it is attached */

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

    ngx_trp_turn_debug_answer(client->server, &client->tuple.client, buf, len);

    (void) ngx_trp_turn_tcp_send(client, buf, len, 0);
}


static void
ngx_trp_turn_data_spliced(void *data)
{
    ngx_trp_turn_tcp_close(data, NGX_STREAM_OK);
}


/* tells that the data connection ends */

static void
ngx_trp_turn_data_detach(ngx_trp_turn_client_t *client)
{
    if (client->cookie == 0) {
        return;
    }

    ngx_queue_remove(&client->queue);

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, client->connection->log, 0,
                   "trp turn %s: is detached from connection %uD",
                   ngx_trp_turn_text(&client->tuple.client).data, client->id);

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

    message.mesh.type = NGX_TRP_TURN_MESSAGE_DETACHED;
    message.mesh.slot = ngx_trp_mesh_slot(worker->mesh);
    message.realm = client->server->realm;
    message.id = client->id;
    message.cookie = client->cookie;

    client->cookie = 0;

    slot = trp_turn_connection_slot(client->id);

    if (slot == message.mesh.slot) {
        ngx_trp_turn_peers_tcp_detached(worker, &message);
        return;
    }

    if (!client->unasked) {
        ngx_trp_mesh_post(worker->mesh, slot, &message.mesh);
    }
}


/* from the worker that has the allocation */

void
ngx_trp_turn_data_message(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, ngx_socket_t *fd)
{
    ngx_socket_t            s;
    ngx_trp_turn_client_t  *client;

    client = ngx_trp_turn_data_by_cookie(worker, message->cookie);

    if (client == NULL) {
        return;
    }

    if (message->mesh.type == NGX_TRP_TURN_MESSAGE_DETACH) {
        client->failed = 1;
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        return;
    }

    if (client->attaching) {
        s = *fd;
        *fd = (ngx_socket_t) -1;
        ngx_trp_turn_data_attached(client, s, message->tally);
    }
}


/* asks for clients that waited until their connection's worker was reachable */

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
            ngx_trp_turn_data_refuse(client);
        }
    }
}


/* ends those whose connection was in a worker that has ended */

void
ngx_trp_turn_data_tidy(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t              slot;
    ngx_queue_t            *q, *next;
    ngx_trp_turn_client_t  *client;

    for (q = ngx_queue_head(&worker->attached);
         q != ngx_queue_sentinel(&worker->attached);
         q = next)
    {
        next = ngx_queue_next(q);
        client = ngx_queue_data(q, ngx_trp_turn_client_t, queue);

        slot = trp_turn_connection_slot(client->id);

        if (client->epoch
            == ngx_trp_slots_epoch(&worker->zone->slots, slot))
        {
            continue;
        }

        if (client->attaching) {
            ngx_trp_turn_data_refuse(client);

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
