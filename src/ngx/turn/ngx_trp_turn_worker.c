
/*
 * Copyright (C) the trp authors
 */


/*
 * The life of a worker: what its servers share, messages from other workers,
 * and periodic tasks: it publishes its counters, and cleans up after workers
 * that have died.
 */


#include "turn/ngx_trp_turn_worker.h"
#include "base/ngx_trp_memory.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_commands.h"
#include "turn/ngx_trp_turn_data.h"
#include "turn/ngx_trp_turn_debug.h"
#include "turn/ngx_trp_turn_peers_tcp.h"
#include "turn/ngx_trp_turn_relayed.h"
#include "turn/ngx_trp_turn_status.h"
#include "turn/ngx_trp_turn_udp.h"
#include "turn/ngx_trp_turn_zone_slots.h"
#include "turn/ngx_trp_turn_zone_stats.h"

#include <sodium.h>


#define NGX_TRP_TURN_WATCH_TIME  400       /* milliseconds */


static ngx_int_t ngx_trp_turn_check_workers(ngx_cycle_t *cycle,
    ngx_trp_turn_zone_t *zone, ngx_trp_turn_worker_t *old);
static ngx_int_t ngx_trp_turn_init_confs(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_turn_init_server(ngx_trp_turn_worker_t *worker,
    const ngx_trp_turn_conf_t *conf, ngx_cycle_t *cycle);
static void ngx_trp_turn_shutdown(ngx_trp_turn_server_t *server);
static void ngx_trp_turn_message(void *data, ngx_trp_mesh_message_t *mm,
    u_char *payload, size_t len, ngx_socket_t fd);
static void ngx_trp_turn_stats_handler(ngx_event_t *ev);
static void ngx_trp_turn_watch(ngx_trp_turn_worker_t *worker);
static void ngx_trp_turn_watch_handler(ngx_event_t *ev);
static void ngx_trp_turn_remove_unknown(ngx_trp_turn_worker_t *worker);
static void ngx_trp_turn_publish(ngx_trp_turn_worker_t *worker);


ngx_trp_turn_worker_t *
ngx_trp_turn_create_worker(ngx_cycle_t *cycle, ngx_array_t *confs,
    ngx_trp_turn_zone_t *zone, ngx_trp_turn_worker_t *old)
{
    ngx_trp_turn_worker_t  *worker;

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_turn_worker_t));
    if (worker == NULL) {
        return NULL;
    }

    worker->zone = zone;
    worker->confs = confs;
    worker->log = cycle->log;

    ngx_trp_turn_zone_init_slots(zone);

    if (ngx_trp_turn_check_workers(cycle, zone, old) != NGX_OK) {
        return NULL;
    }

    worker->mesh = ngx_trp_mesh_create(cycle, &zone->slots,
                                       old ? old->mesh : NULL,
                                       sizeof(ngx_trp_turn_message_t), "TURN");

    if (worker->mesh == NULL
        || ngx_trp_turn_init_confs(worker, cycle) != NGX_OK
        || ngx_trp_turn_udp_init_sockets(worker, cycle) != NGX_OK)
    {
        return NULL;
    }

    return worker;
}


static ngx_int_t
ngx_trp_turn_check_workers(ngx_cycle_t *cycle, ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_worker_t *old)
{
    ngx_uint_t        n;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = zone->slots.shared->n;

    if (!ccf->master || old || (ngx_uint_t) ccf->worker_processes <= n) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "\"trp_turn\" cannot have %i worker processes, write "
                  "\"worker_processes %ui\" or less%s",
                  ccf->worker_processes, n,
                  (n < NGX_TRP_SLOTS) ? ", or a larger \"trp_turn_zone\"" : "");

    return NGX_ERROR;
}


/* tells each server the external addresses of all, and the portal's secret */

static ngx_int_t
ngx_trp_turn_init_confs(ngx_trp_turn_worker_t *worker, ngx_cycle_t *cycle)
{
    size_t                  n;
    trp_addr_t             *own;
    ngx_uint_t              i, j;
    trp_turn_conf_t        *core;
    ngx_trp_turn_conf_t   **conf;

    conf = worker->confs->elts;

    own = ngx_palloc(cycle->pool,
                     2 * worker->confs->nelts * sizeof(trp_addr_t));
    if (own == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < worker->confs->nelts; i++) {
        for (j = 0; j < 2; j++) {
            if (conf[i]->core.external[j].family) {
                own[n++] = conf[i]->core.external[j];
            }
        }
    }

    for (i = 0; i < worker->confs->nelts; i++) {
        core = &conf[i]->core;

        core->own = own;
        core->nown = n;

        if (conf[i]->portal) {
            core->credentials.portal.data = worker->zone->shared->secret;
            core->credentials.portal.len = NGX_TRP_TURN_SECRET_LEN;
            core->credentials.data = worker->zone;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_turn_init_worker(ngx_trp_turn_worker_t *worker, ngx_cycle_t *cycle)
{
    ngx_uint_t             i;
    ngx_trp_turn_conf_t  **conf;

    worker->carry_out = ngx_trp_turn_carry_out;

    ngx_queue_init(&worker->attached);
    ngx_queue_init(&worker->lent);
    ngx_queue_init(&worker->holds);

    /* other cookies than those of a worker that died in this slot */

    randombytes_buf(&worker->cookies, sizeof(worker->cookies));

    worker->removals = worker->zone->shared->removals;

    ngx_trp_warnings_init(&worker->users, &worker->zone->shared->users,
                          "TURN users", cycle->log);
    ngx_trp_warnings_init(&worker->peers, &worker->zone->shared->peers,
                          "TURN peers", cycle->log);

    if (ngx_trp_udp_batch_init(&worker->batch, cycle, NGX_TRP_UDP_BATCH,
                               TRP_TURN_HEADROOM, TRP_TURN_TAILROOM)
        != NGX_OK
        || ngx_trp_mesh_init_worker(cycle, worker->mesh, ngx_trp_turn_message,
                                    worker)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_trp_slots_enter(&worker->zone->slots, ngx_trp_mesh_slot(worker->mesh));

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                   "trp turn worker has slot %ui",
                   ngx_trp_mesh_slot(worker->mesh));

    if (ngx_array_init(&worker->servers, cycle->pool, worker->confs->nelts,
                       sizeof(ngx_trp_turn_server_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    conf = worker->confs->elts;

    for (i = 0; i < worker->confs->nelts; i++) {
        if (ngx_trp_turn_init_server(worker, conf[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_trp_turn_status_init(worker, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    worker->stats.data = worker;
    worker->stats.log = cycle->log;
    worker->stats.handler = ngx_trp_turn_stats_handler;
    worker->stats.cancelable = 1;

    worker->watch.data = worker;
    worker->watch.log = cycle->log;
    worker->watch.handler = ngx_trp_turn_watch_handler;
    worker->watch.cancelable = 1;

    worker->ends = worker->zone->shared->slots.ends;

    /* before older workers could need anything from this one */

    (void) ngx_trp_mesh_greet(worker->mesh);

    ngx_trp_turn_watch(worker);

    return ngx_trp_turn_udp_init_worker(worker, cycle);
}


static ngx_int_t
ngx_trp_turn_init_server(ngx_trp_turn_worker_t *worker,
    const ngx_trp_turn_conf_t *conf, ngx_cycle_t *cycle)
{
    int                      rc;
    u_char                   seed[TRP_RANDOM_SEED_LEN];
    trp_memory_t             memory;
    trp_turn_shared_t        shared;
    ngx_trp_turn_server_t   *server, **slot;

    server = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_turn_server_t));
    slot = ngx_array_push(&worker->servers);

    if (server == NULL || slot == NULL) {
        return NGX_ERROR;
    }

    *slot = server;

    server->worker = worker;
    server->conf = conf;
    server->log = conf->log;

    server->guard.max = conf->max_unauthenticated;
    server->guard.max_per_address = conf->max_per_address;

    if (ngx_trp_guard_init(&server->guard, cycle, 2) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_memory_init(&memory, cycle->log);

    shared.ports = worker->zone->shared->ports;
    shared.udp = worker->zone->shared->bound[0];
    shared.tcp = worker->zone->shared->bound[1];
    shared.reserve = ngx_trp_turn_relayed_reserve;
    shared.redeem = ngx_trp_turn_relayed_redeem;
    shared.data = worker;

    randombytes_buf(seed, sizeof(seed));

    server->realm = ngx_trp_turn_zone_hash(worker->zone,
                                           conf->core.credentials.realm.data,
                                           conf->core.credentials.realm.len);

    server->turn = ngx_palloc(cycle->pool, sizeof(trp_turn_t));
    if (server->turn == NULL) {
        return NGX_ERROR;
    }

    rc = trp_turn_init(server->turn, &conf->core, &shared, &memory,
                       worker->zone->shared->nonce_key, seed,
                       ngx_trp_mesh_slot(worker->mesh));

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

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {
        ngx_trp_turn_shutdown(server[i]);
        trp_turn_done(server[i]->turn);
    }

    ngx_trp_turn_relayed_exit(worker);
    ngx_trp_turn_publish(worker);
    ngx_trp_turn_status_exit(worker);

    ngx_trp_slots_leave(&worker->zone->slots, ngx_trp_mesh_slot(worker->mesh));
}


/* ends all allocations: worker_shutdown_timeout */

static void
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

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {

        if (!server[i]->conf->portal) {
            continue;
        }

        ngx_trp_turn_time(server[i]);

        while (trp_turn_remove_account(server[i]->turn, account)) {
            ngx_trp_turn_run(server[i], NULL);
        }
    }
}


static void
ngx_trp_turn_message(void *data, ngx_trp_mesh_message_t *mm, u_char *payload,
    size_t len, ngx_socket_t fd)
{
    ngx_trp_turn_worker_t *worker = data;

    ngx_trp_turn_message_t  *message;

    message = trp_of(ngx_trp_turn_message_t, mesh, mm);

    /* of datagrams, only a client's first makes a line, elsewhere */

    if (message->mesh.type != NGX_TRP_TURN_MESSAGE_DATAGRAM) {
        ngx_log_debug3(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                       "trp turn message \"%s\" from slot %ui, "
                       "connection %uD",
                       ngx_trp_turn_debug_message(message->mesh.type),
                       message->mesh.slot, message->id);
    }

    switch (message->mesh.type) {

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

    case NGX_TRP_TURN_MESSAGE_ATTACH:
        ngx_trp_turn_peers_tcp_lend(worker, message, payload, len);
        break;

    case NGX_TRP_TURN_MESSAGE_DETACHED:
        ngx_trp_turn_peers_tcp_detached(worker, message);
        break;

    default: /* NGX_TRP_TURN_MESSAGE_ATTACHED, _DETACH */
        ngx_trp_turn_data_message(worker, message, &fd);
    }

    if (fd != (ngx_socket_t) -1) {
        (void) ngx_close_socket(fd);
    }
}


/* runs a while after some commands */

static void
ngx_trp_turn_stats_handler(ngx_event_t *ev)
{
    ngx_msec_t              again;
    ngx_trp_turn_worker_t  *worker;

    worker = ev->data;

    ngx_trp_turn_publish(worker);

    again = ngx_trp_turn_status_publish(worker);

    if (again) {
        ngx_add_timer(ev, again);
    }

    if (worker->removals != worker->zone->shared->removals) {
        worker->removals = worker->zone->shared->removals;
        ngx_trp_turn_remove_unknown(worker);
    }
}


/* as there may be other workers, looks for those that have died */

static void
ngx_trp_turn_watch(ngx_trp_turn_worker_t *worker)
{
    if (ngx_trp_mesh_slot(worker->mesh) != NGX_TRP_TURN_NO_SLOT
        && !worker->watch.timer_set)
    {
        ngx_add_timer(&worker->watch, NGX_TRP_TURN_WATCH_TIME);
    }
}


/* a worker that is alone need not wake up: a new one sends HELLO */

static void
ngx_trp_turn_watch_handler(ngx_event_t *ev)
{
    ngx_uint_t              again;
    ngx_trp_turn_worker_t  *worker;

    worker = ev->data;

    ngx_trp_slots_watch(&worker->zone->slots, NGX_TRP_TURN_WATCH_TIME,
                            worker->log);

    if (worker->ends != worker->zone->shared->slots.ends) {
        worker->ends = worker->zone->shared->slots.ends;
        ngx_trp_turn_peers_tcp_tidy(worker);
        ngx_trp_turn_data_tidy(worker);
    }

    again = ngx_trp_mesh_greet(worker->mesh) | ngx_trp_mesh_retry(worker->mesh);

    ngx_trp_turn_data_ask(worker);

    if (again
        || ngx_trp_slots_others(&worker->zone->slots,
                                ngx_trp_mesh_slot(worker->mesh)))
    {
        ngx_trp_turn_watch(worker);
    }
}


static void
ngx_trp_turn_remove_unknown(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {
        ngx_trp_turn_time(server[i]);

        while (trp_turn_remove_unknown(server[i]->turn)) {
            ngx_trp_turn_run(server[i], NULL);
        }
    }
}


/* makes this worker's counters visible to all */

static void
ngx_trp_turn_publish(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i, slot;
    trp_turn_stats_t        *stats;
    ngx_trp_turn_server_t  **server;

    slot = ngx_trp_mesh_slot(worker->mesh);

    if (slot == NGX_TRP_TURN_NO_SLOT && ngx_process != NGX_PROCESS_SINGLE) {
        return;
    }

    stats = (slot == NGX_TRP_TURN_NO_SLOT)
            ? &worker->zone->shared->past
            : &worker->zone->shared->stats[slot];

    server = worker->servers.elts;

    ngx_shmtx_lock(&worker->zone->pool->mutex);

    ngx_memzero(stats, sizeof(trp_turn_stats_t));

    for (i = 0; i < worker->servers.nelts; i++) {
        ngx_trp_turn_zone_add_stats(stats, &server[i]->turn->stats, 1);
    }

    ngx_shmtx_unlock(&worker->zone->pool->mutex);
}
