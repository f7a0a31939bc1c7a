
/*
 * Copyright (C) the trp authors
 */


#include "turn/ngx_trp_turn.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_memory.h"
#include "turn/ngx_trp_turn_peers_tcp.h"

#include <sodium.h>


#define NGX_TRP_TURN_STATS_TIME  200       /* milliseconds */
#define NGX_TRP_TURN_WATCH_TIME  400


static ngx_int_t ngx_trp_turn_init_own(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_turn_init_server(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_server_t *server, ngx_cycle_t *cycle);
static void ngx_trp_turn_carry_out(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);
static void ngx_trp_turn_to_client(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);
static void ngx_trp_turn_bind(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);
static ngx_trp_turn_alloc_t *ngx_trp_turn_create(
    ngx_trp_turn_server_t *server, ngx_trp_turn_origin_t *origin,
    trp_turn_alloc_t *a);
static ngx_int_t ngx_trp_turn_enter(ngx_trp_turn_alloc_t *alloc,
    in_port_t port);
static void ngx_trp_turn_end(ngx_trp_turn_alloc_t *alloc);
static void ngx_trp_turn_free(ngx_trp_turn_server_t *server,
    trp_turn_alloc_t *a);
static void ngx_trp_turn_set_timer(ngx_trp_turn_server_t *server);
static void ngx_trp_turn_timer_handler(ngx_event_t *ev);
static void ngx_trp_turn_message(void *data, ngx_trp_turn_message_t *message,
    u_char *payload, size_t len, ngx_socket_t fd);
static void ngx_trp_turn_stats_handler(ngx_event_t *ev);
static void ngx_trp_turn_watch_handler(ngx_event_t *ev);
static void ngx_trp_turn_remove_unknown(ngx_trp_turn_worker_t *worker);
static void ngx_trp_turn_publish(ngx_trp_turn_worker_t *worker);


ngx_int_t
ngx_trp_turn_init_worker(ngx_trp_turn_worker_t *worker, ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    worker->log = cycle->log;

    ngx_queue_init(&worker->attached);
    ngx_queue_init(&worker->lent);
    ngx_queue_init(&worker->holds);

    /* not those of a worker that has died in this place */

    randombytes_buf(&worker->cookies, sizeof(worker->cookies));

    worker->removals = worker->zone->shared->removals;

    if (ngx_trp_turn_batch_init(&worker->batch, cycle) != NGX_OK
        || ngx_trp_turn_workers_init_worker(cycle, worker->workers,
                                            ngx_trp_turn_message, worker)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_trp_turn_zone_enter(worker->zone,
                            ngx_trp_turn_workers_slot(worker->workers));

    if (ngx_trp_turn_init_own(worker, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {
        if (ngx_trp_turn_init_server(worker, server[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    worker->stats.data = worker;
    worker->stats.log = cycle->log;
    worker->stats.handler = ngx_trp_turn_stats_handler;
    worker->stats.cancelable = 1;

    worker->watch.data = worker;
    worker->watch.log = cycle->log;
    worker->watch.handler = ngx_trp_turn_watch_handler;
    worker->watch.cancelable = 1;

    worker->ends = worker->zone->shared->ends;

    /* before there is anything that older workers could ask for */

    (void) ngx_trp_turn_workers_greet(worker->workers);

    ngx_trp_turn_watch(worker);

    return ngx_trp_turn_udp_init_worker(worker, cycle);
}


/* each server knows the external addresses of all */

static ngx_int_t
ngx_trp_turn_init_own(ngx_trp_turn_worker_t *worker, ngx_cycle_t *cycle)
{
    size_t                   n;
    trp_addr_t              *own;
    ngx_uint_t               i, j;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    own = ngx_palloc(cycle->pool,
                     2 * worker->servers->nelts * sizeof(trp_addr_t));
    if (own == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < worker->servers->nelts; i++) {
        for (j = 0; j < 2; j++) {
            if (server[i]->conf.external[j].family) {
                own[n++] = server[i]->conf.external[j];
            }
        }
    }

    for (i = 0; i < worker->servers->nelts; i++) {
        server[i]->conf.own = own;
        server[i]->conf.nown = n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_init_server(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_server_t *server, ngx_cycle_t *cycle)
{
    int                rc;
    u_char             seed[TRP_RANDOM_SEED_LEN];
    trp_memory_t       memory;
    trp_turn_shared_t  shared;

    server->worker = worker;

    ngx_trp_memory_init(&memory, cycle->log);

    shared.ports = worker->zone->shared->ports;
    shared.udp = worker->zone->shared->bound[0];
    shared.tcp = worker->zone->shared->bound[1];
    shared.reserve = ngx_trp_turn_relayed_reserve;
    shared.redeem = ngx_trp_turn_relayed_redeem;
    shared.data = worker;

    randombytes_buf(seed, sizeof(seed));

    if (server->portal) {
        server->conf.credentials.portal.data = worker->zone->shared->secret;
        server->conf.credentials.portal.len = NGX_TRP_TURN_SECRET_LEN;
        server->conf.credentials.data = worker->zone;
    }

    server->realm = ngx_trp_turn_zone_hash(worker->zone,
                                       server->conf.credentials.realm.data,
                                       server->conf.credentials.realm.len);

    server->turn = ngx_palloc(cycle->pool, sizeof(trp_turn_t));
    if (server->turn == NULL) {
        return NGX_ERROR;
    }

    rc = trp_turn_init(server->turn, &server->conf, &shared, &memory,
                       worker->zone->shared->nonce_key, seed,
                       ngx_trp_turn_workers_slot(worker->workers));

    server->timer.data = server;
    server->timer.log = cycle->log;
    server->timer.handler = ngx_trp_turn_timer_handler;

    return (rc == TRP_OK) ? NGX_OK : NGX_ERROR;
}


void
ngx_trp_turn_exit_worker(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {
        ngx_trp_turn_shutdown(server[i]);
        trp_turn_done(server[i]->turn);
    }

    ngx_trp_turn_relayed_exit(worker);
    ngx_trp_turn_publish(worker);

    ngx_trp_turn_zone_leave(worker->zone,
                            ngx_trp_turn_workers_slot(worker->workers));
}


void
ngx_trp_turn_time(ngx_trp_turn_server_t *server)
{
    server->turn->now = ngx_current_msec;
    server->turn->time = ngx_time();
}


ngx_int_t
ngx_trp_turn_input(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_tuple_t *tuple, u_char *data,
    size_t len)
{
    int  rc;

    if (server->portal && !server->worker->zone->shared->admitted) {
        return NGX_OK;
    }

    ngx_trp_turn_time(server);

    if (server->worker->tidied != server->turn->time) {
        server->worker->tidied = server->turn->time;
        ngx_trp_turn_zone_tidy(server->worker->zone);
    }

    rc = trp_turn_input(server->turn, tuple, data, len);

    ngx_trp_turn_run(server, origin);

    return (rc == TRP_OK) ? NGX_OK : NGX_ERROR;
}


void
ngx_trp_turn_run(ngx_trp_turn_server_t *server, ngx_trp_turn_origin_t *origin)
{
    const trp_turn_command_t  *command;

    /* a command that is carried out has led here: the loop below goes on */

    if (server->running) {
        return;
    }

    server->running = 1;

    while ((command = trp_turn_next(server->turn)) != NULL) {
        ngx_trp_turn_carry_out(server, origin, command);
    }

    server->running = 0;

    if (!server->worker->stats.timer_set) {
        ngx_add_timer(&server->worker->stats, NGX_TRP_TURN_STATS_TIME);
    }

    ngx_trp_turn_set_timer(server);
}


static void
ngx_trp_turn_carry_out(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command)
{
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
        ngx_trp_turn_data_attach(server, origin->client, command);
        break;

    case TRP_TURN_REPORT:
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

    /* an answer stands in the core's own buffer, which is written to again */

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
        bound = ngx_trp_turn_relayed_bind(alloc, port, &families);

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
    owner->slot = ngx_trp_turn_workers_slot(server->worker->workers);
    owner->port = port;
    owner->tcp = (a->protocol == TRP_TURN_PROTOCOL_TCP);

    /* a user of one realm is not the user of another one */

    name = trp_turn_user_stable(a->username);

    text[0] = 'u';
    ngx_memcpy(text + 1, name.data, name.len);
    owner->usage[NGX_TRP_TURN_OF_USER] =
                            ngx_trp_turn_zone_hash(zone, text, 1 + name.len)
                            ^ server->realm;

    text[0] = 'r';
    owner->usage[NGX_TRP_TURN_OF_ALL] = ngx_trp_turn_zone_hash(zone, text, 1)
                                        ^ server->realm;

    /* of IPv6 a host has a /64 */

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

    rc = ngx_trp_turn_zone_add_owner(zone, owner, relayed, server->quota);

    if (rc == NGX_DECLINED && server->worker->warned != ngx_time()) {
        server->worker->warned = ngx_time();

        ngx_log_error(NGX_LOG_WARN, server->log, 0,
                      "no room for a TURN allocation, "
                      "write a larger \"trp_turn_zone\"");
    }

    return rc;
}


/* others may have its port, and its client may have another allocation */

static void
ngx_trp_turn_end(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_zone_t  *zone;

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

    for (connection = a->connections;
         connection;
         connection = connection->next)
    {
        ngx_trp_turn_peers_tcp_close(connection);
    }

    ngx_trp_turn_log_alloc(alloc);

    ngx_trp_turn_batch_flush(&server->worker->batch);

    if (alloc->origin.client) {
        ngx_trp_turn_tcp_freed(alloc->origin.client);

    } else {
        ngx_trp_turn_udp_remove(alloc);
    }

    ngx_free(alloc);

    trp_turn_release(server->turn, a);
}


/* not cancelable: it keeps a worker that exits as long as it is needed */

static void
ngx_trp_turn_set_timer(ngx_trp_turn_server_t *server)
{
    uint64_t  deadline;

    deadline = trp_turn_deadline(server->turn);

    if (deadline == 0) {
        if (server->timer.timer_set) {
            ngx_del_timer(&server->timer);
        }

        return;
    }

    if (server->timer.timer_set
        && (ngx_msec_int_t) (server->timer.timer.key - deadline) <= 0)
    {
        /* too early does no harm */
        return;
    }

    ngx_add_timer(&server->timer,
                  deadline > ngx_current_msec ? deadline - ngx_current_msec
                                              : 1);
}


static void
ngx_trp_turn_timer_handler(ngx_event_t *ev)
{
    ngx_trp_turn_server_t  *server;

    server = ev->data;

    ngx_trp_turn_time(server);

    while (trp_turn_expire(server->turn)) {
        ngx_trp_turn_run(server, NULL);
    }

    ngx_trp_turn_set_timer(server);
}


void
ngx_trp_turn_shutdown(ngx_trp_turn_server_t *server)
{
    ngx_trp_turn_time(server);

    while (trp_turn_shutdown(server->turn)) {
        ngx_trp_turn_run(server, NULL);
    }
}


void
ngx_trp_turn_remove_account(ngx_trp_turn_worker_t *worker, u_char *account)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {

        if (!server[i]->portal) {
            continue;
        }

        ngx_trp_turn_time(server[i]);

        while (trp_turn_remove_account(server[i]->turn, account)) {
            ngx_trp_turn_run(server[i], NULL);
        }
    }
}


ngx_trp_turn_alloc_t *
ngx_trp_turn_find(ngx_trp_turn_worker_t *worker, trp_turn_tuple_t *tuple)
{
    ngx_uint_t               i;
    trp_turn_alloc_t        *a;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {
        a = trp_turn_find(server[i]->turn, tuple);

        if (a) {
            return a->data;
        }
    }

    return NULL;
}


static void
ngx_trp_turn_message(void *data, ngx_trp_turn_message_t *message,
    u_char *payload, size_t len, ngx_socket_t fd)
{
    ngx_trp_turn_worker_t *worker = data;

    switch (message->type) {

    case NGX_TRP_TURN_MESSAGE_DATAGRAM:
        ngx_trp_turn_udp_handed(worker, &message->tuple, payload, len);
        break;

    case NGX_TRP_TURN_MESSAGE_HELLO:
        ngx_trp_turn_data_ask(worker);
        ngx_trp_turn_watch(worker);
        break;

    case NGX_TRP_TURN_MESSAGE_REMOVE_ACCOUNT:

        if (len == TRP_TURN_ACCOUNT_LEN) {
            ngx_trp_turn_remove_account(worker, payload);
        }

        break;

    default:
        ngx_trp_turn_data_message(worker, message, payload, len, &fd);
    }

    if (fd != (ngx_socket_t) -1) {
        (void) ngx_close_socket(fd);
    }
}


/* a while after something has happened */

static void
ngx_trp_turn_stats_handler(ngx_event_t *ev)
{
    ngx_trp_turn_worker_t  *worker;

    worker = ev->data;

    ngx_trp_turn_publish(worker);

    if (worker->removals != worker->zone->shared->removals) {
        worker->removals = worker->zone->shared->removals;
        ngx_trp_turn_remove_unknown(worker);
    }
}


void
ngx_trp_turn_watch(ngx_trp_turn_worker_t *worker)
{
    if (ngx_trp_turn_workers_slot(worker->workers) != NGX_TRP_TURN_NO_SLOT
        && !worker->watch.timer_set)
    {
        ngx_add_timer(&worker->watch, NGX_TRP_TURN_WATCH_TIME);
    }
}


/* a worker that is alone wakes up for nothing; who comes says HELLO */

static void
ngx_trp_turn_watch_handler(ngx_event_t *ev)
{
    ngx_uint_t              again;
    ngx_trp_turn_worker_t  *worker;

    worker = ev->data;

    ngx_trp_turn_zone_watch(worker->zone, NGX_TRP_TURN_WATCH_TIME,
                            worker->log);

    if (worker->ends != worker->zone->shared->ends) {
        worker->ends = worker->zone->shared->ends;
        ngx_trp_turn_peers_tcp_tidy(worker);
    }

    again = ngx_trp_turn_workers_greet(worker->workers)
            | ngx_trp_turn_workers_retry(worker->workers);

    ngx_trp_turn_data_ask(worker);

    if (again
        || ngx_trp_turn_zone_others(worker->zone,
                                  ngx_trp_turn_workers_slot(worker->workers)))
    {
        ngx_trp_turn_watch(worker);
    }
}


static void
ngx_trp_turn_remove_unknown(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    server = worker->servers->elts;

    for (i = 0; i < worker->servers->nelts; i++) {
        ngx_trp_turn_time(server[i]);

        while (trp_turn_remove_unknown(server[i]->turn)) {
            ngx_trp_turn_run(server[i], NULL);
        }
    }
}


/* what this worker has counted becomes visible to all */

static void
ngx_trp_turn_publish(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i, slot;
    trp_turn_stats_t        *stats;
    ngx_trp_turn_server_t  **server;

    slot = ngx_trp_turn_workers_slot(worker->workers);

    if (slot == NGX_TRP_TURN_NO_SLOT && ngx_process != NGX_PROCESS_SINGLE) {
        return;
    }

    stats = (slot == NGX_TRP_TURN_NO_SLOT)
            ? &worker->zone->shared->past
            : &worker->zone->shared->slots[slot].stats;

    server = worker->servers->elts;

    ngx_shmtx_lock(&worker->zone->pool->mutex);

    ngx_memzero(stats, sizeof(trp_turn_stats_t));

    for (i = 0; i < worker->servers->nelts; i++) {
        ngx_trp_turn_zone_add_stats(stats, &server[i]->turn->stats, 1);
    }

    ngx_shmtx_unlock(&worker->zone->pool->mutex);
}


void
ngx_trp_turn_taddr(trp_taddr_t *addr, struct sockaddr *sa)
{
    in_port_t  port;

    ngx_memzero(addr, sizeof(trp_taddr_t));

    ngx_trp_addr_from_sockaddr(&addr->addr, &port, sa);

    addr->port = port;
}


socklen_t
ngx_trp_turn_sockaddr(ngx_sockaddr_t *sa, const trp_taddr_t *addr)
{
    return ngx_trp_addr_to_sockaddr(sa, &addr->addr, addr->port);
}


socklen_t
ngx_trp_turn_wildcard(ngx_sockaddr_t *sa, ngx_uint_t v6, in_port_t port)
{
    trp_addr_t  any;

    ngx_memzero(&any, sizeof(trp_addr_t));
    any.family = v6 ? 6 : 4;

    return ngx_trp_addr_to_sockaddr(sa, &any, port);
}


ngx_socket_t
ngx_trp_turn_socket(int family, int type)
{
    int           one;
    ngx_socket_t  s;

    one = 1;

    s = socket(family, type|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (s != (ngx_socket_t) -1
        && family == AF_INET6
        && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == -1)
    {
        ngx_trp_turn_socket_failed(s);
        return (ngx_socket_t) -1;
    }

    return s;
}


void
ngx_trp_turn_socket_failed(ngx_socket_t s)
{
    ngx_err_t  err;

    err = ngx_socket_errno;

    (void) ngx_close_socket(s);

    ngx_set_socket_errno(err);
}


ngx_connection_t *
ngx_trp_turn_connection(ngx_trp_turn_worker_t *worker, ngx_socket_t s,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, worker->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        return NULL;
    }

    c->data = data;
    c->read->handler = handler;
    c->read->log = worker->log;
    c->write->log = worker->log;

    /* level-triggered, as nginx's own listening sockets */

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


void
ngx_trp_turn_close_connection(ngx_trp_turn_worker_t *worker,
    ngx_connection_t **c)
{
    if (*c) {
        ngx_trp_turn_batch_flush(&worker->batch);
        ngx_close_connection(*c);
        *c = NULL;
    }
}
