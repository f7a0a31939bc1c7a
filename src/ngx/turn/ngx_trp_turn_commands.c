
/*
 * Copyright (C) the trp authors
 */


/*
 * Carries out the commands of the core.  An allocation begins with BIND, which
 * gets it a port, a place in the zone, and sockets.  END gives these back
 * before the client is told; FREE is the last command for it.
 */


#include "turn/ngx_trp_turn_commands.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_data.h"
#include "turn/ngx_trp_turn_debug.h"
#include "turn/ngx_trp_turn_log.h"
#include "turn/ngx_trp_turn_peers_tcp.h"
#include "turn/ngx_trp_turn_relayed.h"
#include "turn/ngx_trp_turn_status.h"
#include "turn/ngx_trp_turn_tcp.h"
#include "turn/ngx_trp_turn_udp.h"
#include "turn/ngx_trp_turn_zone_owners.h"
#include "turn/ngx_trp_turn_zone_ports.h"


static void ngx_trp_turn_to_client(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);
static void ngx_trp_turn_bind(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);
static ngx_trp_turn_alloc_t *ngx_trp_turn_create(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_alloc_t *a);
static ngx_int_t ngx_trp_turn_enter(ngx_trp_turn_alloc_t *alloc,
    in_port_t port);
static void ngx_trp_turn_end(ngx_trp_turn_alloc_t *alloc);
static void ngx_trp_turn_free(ngx_trp_turn_server_t *server,
    trp_turn_alloc_t *a);


void
ngx_trp_turn_carry_out(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command)
{
    ngx_trp_turn_debug_command(server, command);

    switch (command->type) {

    case TRP_TURN_REPLY:
    case TRP_TURN_TO_CLIENT:
        ngx_trp_turn_to_client(server, origin, command);
        break;

    case TRP_TURN_TO_PEER:
        ngx_trp_turn_relayed_send(command->alloc->data, command);
        break;

    case TRP_TURN_BIND:
        ngx_trp_turn_bind(server, origin, command);
        break;

    case TRP_TURN_END:
        ngx_trp_turn_end(command->alloc->data);
        break;

    case TRP_TURN_FREE:
        ngx_trp_turn_free(server, command->alloc);
        break;

    case TRP_TURN_UNBIND:
        ngx_trp_turn_relayed_unbind(command->alloc->data,
                                    command->peer.addr.family == 6);
        break;

    case TRP_TURN_CONNECT:
        ngx_trp_turn_peers_tcp_connect(command->alloc->data,
                                       command->connection);
        break;

    case TRP_TURN_ATTACH:
        trp_assert(origin != NULL && origin->client != NULL);

        ngx_trp_turn_data_attach(server, origin->client, command);
        break;

    case TRP_TURN_REPORT:

        if (command->alloc) {
            ngx_trp_turn_status_denied(command->alloc->data);
        }

        ngx_trp_turn_log_report(server, command);
        break;

    default: /* TRP_TURN_DISCONNECT */
        ngx_trp_turn_peers_tcp_close(command->connection);
        trp_turn_connection_release(server->turn, command->connection);
    }
}


static void
ngx_trp_turn_to_client(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command)
{
    ngx_uint_t             now;
    ngx_trp_turn_alloc_t  *alloc;

    alloc = command->alloc ? command->alloc->data : NULL;

    if (alloc) {
        origin = &alloc->origin;
    }

    trp_assert(origin != NULL);

    /* an answer is in the core's own buffer, which will be overwritten */

    now = (command->data >= server->turn->answer
           && command->data < server->turn->answer + TRP_TURN_ANSWER_MAX);

    if (origin->client) {

        if (ngx_trp_turn_tcp_send(origin->client, command->data, command->len,
                                  !now)
            != NGX_OK
            && command->payload)
        {
            trp_turn_undelivered(server->turn, command->alloc,
                                 command->payload);
        }

        return;
    }

    ngx_trp_turn_udp_send(origin, alloc, command->to, command->data,
                          command->len, now);
}


static void
ngx_trp_turn_bind(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command)
{
    uint8_t                families;
    in_port_t              port;
    ngx_int_t              rc;
    trp_turn_bound_e       bound;
    trp_turn_alloc_t      *a;
    ngx_trp_turn_zone_t   *zone;
    ngx_trp_turn_alloc_t  *alloc;

    a = command->alloc;
    port = command->port;
    zone = server->worker->zone;

    trp_assert(origin != NULL && a->data == NULL);

    families = a->families;

    if (ngx_trp_turn_zone_take_port(zone, port) != NGX_OK) {
        trp_turn_bound(server->turn, a, TRP_TURN_PORT_IN_USE, 0, port);
        return;
    }

    alloc = ngx_trp_turn_create(server, origin, a);

    if (alloc == NULL) {
        ngx_trp_turn_zone_give_port(zone, port);
        trp_turn_bound(server->turn, a, TRP_TURN_NO_CAPACITY, 0, port);
        return;
    }

    rc = ngx_trp_turn_enter(alloc, port);

    if (rc == NGX_OK) {
        bound = ngx_trp_turn_relayed_bind(alloc, port, &families,
                                          ngx_trp_turn_peers_tcp_accept);

    } else {
        bound = (rc == NGX_BUSY) ? TRP_TURN_QUOTA : TRP_TURN_NO_CAPACITY;
    }

    if (bound != TRP_TURN_BOUND) {

        if (rc == NGX_OK) {
            ngx_trp_turn_zone_remove_owner(zone, &alloc->owner);
        }

        ngx_trp_turn_zone_give_port(zone, port);
        ngx_free(alloc);

        trp_turn_bound(server->turn, a, bound, 0, port);
        return;
    }

    a->data = alloc;

    ngx_trp_turn_zone_bind_port(zone, port, alloc->owner.tcp);

    if (origin->client == NULL) {
        ngx_trp_turn_udp_add(alloc);
    }

    ngx_trp_turn_status_add(alloc);

    trp_turn_bound(server->turn, a, TRP_TURN_BOUND, families, port);
}


static ngx_trp_turn_alloc_t *
ngx_trp_turn_create(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_alloc_t *a)
{
    ngx_time_t            *tp;
    ngx_trp_turn_alloc_t  *alloc;

    alloc = ngx_calloc(sizeof(ngx_trp_turn_alloc_t), server->log);
    if (alloc == NULL) {
        return NULL;
    }

    tp = ngx_timeofday();

    alloc->server = server;
    alloc->alloc = a;
    alloc->origin = *origin;
    alloc->start_sec = tp->sec;
    alloc->start_msec = tp->msec;

    alloc->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    return alloc;
}


static ngx_int_t
ngx_trp_turn_enter(ngx_trp_turn_alloc_t *alloc, in_port_t port)
{
    u_char                  text[1 + TRP_STUN_USERNAME_MAX];
    ngx_int_t               rc;
    trp_str_t               name;
    trp_addr_t              relayed[2];
    trp_turn_alloc_t       *a;
    ngx_trp_turn_zone_t    *zone;
    ngx_trp_turn_owner_t   *owner;
    ngx_trp_turn_server_t  *server;

    a = alloc->alloc;
    owner = &alloc->owner;
    server = alloc->server;
    zone = server->worker->zone;

    owner->hash = ngx_trp_turn_zone_hash_tuple(zone, &a->tuple);
    owner->slot = ngx_trp_mesh_slot(server->worker->mesh);
    owner->port = port;
    owner->tcp = (a->protocol == TRP_PROTO_TCP);

    /* users of the same name in different realms are different */

    name = trp_turn_user_stable(a->username);

    text[0] = 'u';
    ngx_memcpy(text + 1, name.data, name.len);
    owner->usage[NGX_TRP_TURN_OF_USER] =
                            ngx_trp_turn_zone_hash(zone, text, 1 + name.len)
                            ^ server->realm;

    text[0] = 'r';
    owner->usage[NGX_TRP_TURN_OF_ALL] = ngx_trp_turn_zone_hash(zone, text, 1)
                                        ^ server->realm;

    /* of IPv6, a host has a /64 */

    text[0] = 'a';
    text[1] = a->tuple.client.addr.family;
    ngx_memcpy(text + 2, a->tuple.client.addr.bytes, 8);
    owner->usage[NGX_TRP_TURN_OF_ADDRESS] =
                            ngx_trp_turn_zone_hash(zone, text,
                                                   text[1] == 4 ? 6 : 10);

    ngx_memzero(relayed, sizeof(relayed));

    if (a->families & TRP_TURN_V4) {
        relayed[0] = *trp_turn_relayed(a, 0);
    }

    if (a->families & TRP_TURN_V6) {
        relayed[1] = *trp_turn_relayed(a, 1);
    }

    rc = ngx_trp_turn_zone_add_owner(zone, owner, relayed, server->conf->quota);

    if (rc == NGX_DECLINED && server->worker->warned != ngx_time()) {
        server->worker->warned = ngx_time();

        ngx_log_error(NGX_LOG_WARN, server->log, 0,
                      "no room for a TURN allocation, "
                      "write a larger \"trp_turn_zone\"");
    }

    return rc;
}


/* frees its port for others, and its client may get another allocation */

static void
ngx_trp_turn_end(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_zone_t  *zone;

    trp_assert(alloc != NULL && alloc->owner.hash != 0);

    zone = alloc->server->worker->zone;

    ngx_trp_turn_relayed_close(alloc);

    ngx_trp_turn_zone_remove_owner(zone, &alloc->owner);
    ngx_trp_turn_zone_give_port(zone, alloc->owner.port);
}


static void
ngx_trp_turn_free(ngx_trp_turn_server_t *server, trp_turn_alloc_t *a)
{
    ngx_trp_turn_alloc_t   *alloc;
    trp_turn_connection_t  *connection;

    alloc = a->data;

    trp_assert(alloc->relayed[0] == NULL && alloc->relayed[1] == NULL);

    for (connection = a->connections;
         connection;
         connection = connection->next)
    {
        ngx_trp_turn_peers_tcp_close(connection);
    }

    ngx_trp_turn_status_remove(alloc);
    ngx_trp_turn_log_alloc(alloc);

    ngx_trp_udp_batch_flush(&server->worker->batch);

    if (alloc->origin.client) {
        ngx_trp_turn_tcp_freed(alloc->origin.client);

    } else {
        ngx_trp_turn_udp_remove(alloc);
    }

    ngx_free(alloc);

    trp_turn_release(server->turn, a);
}
