
/*
 * Copyright (C) the trp authors
 */


/*
 * TCP connections to and from peers (RFC 6062): Connect, ConnectionBind,
 * ConnectionAttempt.
 */


#include "turn/trp_turn_tcp.h"
#include "turn/trp_turn.h"
#include "turn/trp_turn_answer.h"
#include "turn/trp_turn_command.h"
#include "turn/trp_turn_peer.h"

#include <string.h>


/* the upper bits of a connection's id are the slot of its server */
#define TRP_TURN_SLOT_SHIFT  22


typedef enum {
    TRP_TURN_CONNECTING = 0,
    TRP_TURN_WAITING,                  /* for ConnectionBind */
    TRP_TURN_ATTACHED
} trp_turn_connection_e;


static trp_turn_connection_t *trp_turn_connection_create(trp_turn_t *turn,
    trp_turn_alloc_t *alloc, const trp_taddr_t *peer);
static trp_turn_connection_t *trp_turn_connection_find(
    const trp_turn_t *turn, uint32_t id);
static void trp_turn_connection_end(trp_turn_t *turn,
    trp_turn_connection_t *connection);
static int trp_turn_connection_good(const trp_turn_connection_t *connection);
static void trp_turn_connection_fail(trp_turn_t *turn,
    trp_turn_connection_t *connection);
static void trp_turn_connect_answer(trp_turn_t *turn,
    trp_turn_connection_t *connection, unsigned code);


/* RFC 6062, section 5.2 */

void
trp_turn_connect(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m)
{
    unsigned                code, restricted;
    trp_taddr_t             peer;
    trp_turn_command_t     *command;
    trp_turn_connection_t  *connection;

    if (alloc->protocol != TRP_PROTO_TCP) {
        trp_turn_error(turn, 437);
        return;
    }

    if (trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &peer)
        != TRP_OK
        || peer.port == 0)
    {
        trp_turn_error(turn, 400);
        return;
    }

    code = trp_turn_check_peer(turn, alloc, &peer, 1, &restricted);

    if (code) {
        trp_turn_error(turn, code);
        return;
    }

    for (connection = alloc->connections;
         connection;
         connection = connection->next)
    {
        if (trp_taddr_equal(&connection->peer, &peer)) {
            trp_turn_error(turn, 446);
            return;
        }
    }

    connection = trp_turn_connection_create(turn, alloc, &peer);

    if (connection == NULL) {
        trp_turn_error(turn, 508);
        return;
    }

    connection->request = turn->request;

    trp_timer_set(&turn->timers, &connection->timer,
                  turn->now + TRP_TURN_CONNECT_TIME);

    command = trp_turn_command(turn, TRP_TURN_CONNECT);

    command->alloc = alloc;
    command->connection = connection;
    command->peer = peer;
}


static trp_turn_connection_t *
trp_turn_connection_create(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer)
{
    uint32_t                id;
    trp_turn_connection_t  *connection;

    if (alloc->nconnections == TRP_TURN_MAX_CONNECTIONS) {
        return NULL;
    }

    connection = trp_memory_get(&turn->memory, sizeof(trp_turn_connection_t));
    if (connection == NULL) {
        return NULL;
    }

    do {
        id = trp_random_below(&turn->random, 1 << TRP_TURN_SLOT_SHIFT)
             | (uint32_t) turn->slot << TRP_TURN_SLOT_SHIFT;
    } while (trp_turn_connection_find(turn, id));

    connection->timer.kind = TRP_TURN_TIMER_CONNECTION;
    connection->alloc = alloc;
    connection->id = id;
    connection->peer = *peer;

    connection->next = alloc->connections;
    alloc->connections = connection;
    alloc->nconnections++;

    trp_hash_insert(&turn->connections, &connection->node, id);

    turn->stats.connections++;

    trp_turn_peer_seen(alloc, peer);

    return connection;
}


static trp_turn_connection_t *
trp_turn_connection_find(const trp_turn_t *turn, uint32_t id)
{
    trp_hash_node_t  *node;

    node = trp_hash_find(&turn->connections, id);

    return node ? trp_of(trp_turn_connection_t, node, node) : NULL;
}


uint16_t
trp_turn_connection_slot(uint32_t id)
{
    return (uint16_t) (id >> TRP_TURN_SLOT_SHIFT);
}


void
trp_turn_connected(trp_turn_t *turn, trp_turn_connection_t *connection,
    int ok)
{
    trp_assert(connection->state == TRP_TURN_CONNECTING);

    if (!ok || !trp_turn_connection_good(connection)) {
        trp_turn_connection_fail(turn, connection);
        return;
    }

    connection->state = TRP_TURN_WAITING;

    trp_timer_set(&turn->timers, &connection->timer,
                  turn->now + TRP_TURN_BIND_TIME);

    trp_turn_connect_answer(turn, connection, 0);
}


/* 0 if its relayed address has been given up meanwhile */

static int
trp_turn_connection_good(const trp_turn_connection_t *connection)
{
    unsigned  family;

    family = trp_turn_family(&connection->peer.addr);

    return (connection->alloc->families & family) != 0;
}


static void
trp_turn_connection_fail(trp_turn_t *turn, trp_turn_connection_t *connection)
{
    if (connection->state == TRP_TURN_CONNECTING) {
        trp_turn_connect_answer(turn, connection, 447);
    }

    trp_turn_connection_end(turn, connection);
}


static void
trp_turn_connect_answer(trp_turn_t *turn, trp_turn_connection_t *connection,
    unsigned code)
{
    trp_stun_writer_t    w;
    trp_turn_command_t  *command;
    trp_turn_request_t  *request;

    trp_assert(trp_turn_answer_idle(turn));

    request = &connection->request;

    trp_stun_begin(&w, turn->answer, sizeof(turn->answer),
                   code ? TRP_STUN_ERROR : TRP_STUN_SUCCESS, request->method,
                   request->id);

    if (code) {
        trp_turn_put_error(&w, request, code);

    } else {
        trp_stun_put_u32(&w, TRP_STUN_CONNECTION_ID, connection->id);
    }

    command = trp_turn_command(turn, TRP_TURN_REPLY);

    command->alloc = connection->alloc;
    command->to = &connection->alloc->tuple;
    command->data = turn->answer;
    command->len = trp_turn_sign(turn, &w, request, code ? code : 200);
}


/* RFC 6062, section 5.3 */

trp_turn_connection_t *
trp_turn_accepted(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer)
{
    uint8_t                 id[TRP_STUN_ID_LEN];
    unsigned                restricted;
    trp_stun_writer_t       w;
    trp_turn_command_t     *command;
    trp_turn_connection_t  *connection;

    trp_assert(trp_turn_idle(turn));

    if (!trp_turn_permitted(alloc, peer)
        || trp_turn_check_peer(turn, alloc, peer, 1, &restricted) != 0)
    {
        return NULL;
    }

    connection = trp_turn_connection_create(turn, alloc, peer);

    if (connection == NULL) {
        return NULL;
    }

    connection->state = TRP_TURN_WAITING;

    trp_timer_set(&turn->timers, &connection->timer,
                  turn->now + TRP_TURN_BIND_TIME);

    trp_random_bytes(&turn->random, id, sizeof(id));

    trp_stun_begin(&w, turn->answer, sizeof(turn->answer),
                   TRP_STUN_INDICATION, TRP_STUN_CONNECTION_ATTEMPT, id);
    trp_stun_put_u32(&w, TRP_STUN_CONNECTION_ID, connection->id);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, peer);

    command = trp_turn_command(turn, TRP_TURN_TO_CLIENT);

    command->alloc = alloc;
    command->to = &alloc->tuple;
    command->data = turn->answer;
    command->len = w.len;

    return connection;
}


/*
 * RFC 6062, section 5.4.  The connection may belong to another server, so the
 * caller finds it and answers.
 */

void
trp_turn_connection_bind(trp_turn_t *turn, const trp_stun_t *m)
{
    uint32_t             id;
    trp_turn_command_t  *command;

    if (turn->from.transport == TRP_TRANSPORT_UDP
        || trp_stun_get_u32(m, TRP_STUN_CONNECTION_ID, &id) != TRP_OK
        || trp_turn_find(turn, &turn->from))
    {
        trp_turn_error(turn, 400);
        return;
    }

    command = trp_turn_command(turn, TRP_TURN_ATTACH);

    command->to = &turn->from;
    command->id = id;
    command->data = turn->username.data;
    command->len = turn->username.len;
}


trp_turn_connection_t *
trp_turn_attach(trp_turn_t *turn, uint32_t id, trp_str_t username)
{
    trp_str_t               own;
    trp_turn_connection_t  *connection;

    connection = trp_turn_connection_find(turn, id);

    if (connection == NULL || connection->state != TRP_TURN_WAITING
        || !trp_turn_connection_good(connection))
    {
        return NULL;
    }

    own = connection->alloc->username;

    if (own.len != username.len
        || memcmp(own.data, username.data, own.len) != 0)
    {
        return NULL;
    }

    connection->state = TRP_TURN_ATTACHED;

    trp_timer_stop(&turn->timers, &connection->timer);

    return connection;
}


trp_turn_connection_t *
trp_turn_attached(trp_turn_t *turn, uint32_t id)
{
    trp_turn_connection_t  *connection;

    connection = trp_turn_connection_find(turn, id);

    return (connection && connection->state == TRP_TURN_ATTACHED) ? connection
                                                                  : NULL;
}


void
trp_turn_add_traffic(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_turn_traffic_t *up, const trp_turn_traffic_t *down)
{
    alloc->up.bytes += up->bytes;
    alloc->up.packets += up->packets;
    alloc->down.bytes += down->bytes;
    alloc->down.packets += down->packets;

    turn->stats.relayed.bytes += up->bytes + down->bytes;
    turn->stats.relayed.packets += up->packets + down->packets;
}


size_t
trp_turn_attach_answer(trp_turn_t *turn, uint8_t *buf,
    const trp_turn_request_t *request, uint32_t id, int ok)
{
    trp_stun_writer_t  w;

    trp_stun_begin(&w, buf, TRP_TURN_ANSWER_MAX,
                   ok ? TRP_STUN_SUCCESS : TRP_STUN_ERROR, request->method,
                   request->id);

    if (ok) {
        trp_stun_put_u32(&w, TRP_STUN_CONNECTION_ID, id);

    } else {
        trp_turn_put_error(&w, request, 400);
    }

    return trp_turn_sign(turn, &w, request, ok ? 200 : 400);
}


void
trp_turn_connection_expire(trp_turn_t *turn,
    trp_turn_connection_t *connection)
{
    trp_turn_connection_fail(turn, connection);
}


void
trp_turn_disconnected(trp_turn_t *turn, trp_turn_connection_t *connection)
{
    trp_turn_connection_fail(turn, connection);
}


static void
trp_turn_connection_end(trp_turn_t *turn, trp_turn_connection_t *connection)
{
    trp_turn_connection_t  **p;

    trp_timer_stop(&turn->timers, &connection->timer);
    trp_hash_remove(&turn->connections, &connection->node);

    for (p = &connection->alloc->connections; *p; p = &(*p)->next) {
        if (*p == connection) {
            break;
        }
    }

    trp_assert(*p);

    if (*p) {
        *p = connection->next;
    }

    connection->alloc->nconnections--;
    turn->stats.connections--;

    trp_assert(turn->stats.connections == turn->connections.n);

    connection->next = turn->closed;
    turn->closed = connection;
}


void
trp_turn_connection_release(trp_turn_t *turn,
    trp_turn_connection_t *connection)
{
    trp_assert(connection->timer.node.expires == 0);

    trp_memory_put(&turn->memory, connection);
}


void
trp_turn_connections_expire(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    uint8_t family)
{
    trp_turn_connection_t  *connection;

    for (connection = alloc->connections;
         connection;
         connection = connection->next)
    {
        if (connection->peer.addr.family == family) {
            trp_timer_set(&turn->timers, &connection->timer, turn->now);
        }
    }
}


/* the caller closes them along with the allocation, which keeps the list */

void
trp_turn_connections_free(trp_turn_t *turn, trp_turn_alloc_t *alloc)
{
    trp_turn_connection_t  *connection;

    for (connection = alloc->connections;
         connection;
         connection = connection->next)
    {
        trp_timer_stop(&turn->timers, &connection->timer);
        trp_hash_remove(&turn->connections, &connection->node);
        turn->stats.connections--;
    }
}
