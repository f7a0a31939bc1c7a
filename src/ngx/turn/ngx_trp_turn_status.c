
/*
 * Copyright (C) the trp authors
 */


/*
 * Servers and users in the operator's view.  The allocations of a worker stand
 * in a queue; some are looked at each time, and what they have relayed since
 * the last look is added to the rows of their server and of their user.
 */


#include "turn/ngx_trp_turn_status.h"
#include "base/ngx_trp_memory.h"
#include "status/ngx_trp_status_kinds.h"
#include "status/ngx_trp_status_zone.h"
#include "turn/ngx_trp_turn_peers_tcp.h"
#include "turn/trp_turn.h"


/* milliseconds until the next look: at others; at connections of peers */
#define NGX_TRP_TURN_STATUS_SOON   200
#define NGX_TRP_TURN_STATUS_LATER  1000

/* allocations that are looked at each time */
#define NGX_TRP_TURN_STATUS_LOOK   512


/* of a worker */

struct ngx_trp_turn_status_s {
    ngx_trp_status_t        *status;
    trp_memory_t             memory;
    trp_hash_t               users;      /* ngx_trp_turn_user_t */
    ngx_queue_t              allocs;     /* those not seen longest in front */
    ngx_uint_t               nallocs;
    ngx_uint_t               quiet;      /* in a row, without any change */
};


/* with allocations in this worker */

struct ngx_trp_turn_user_s {
    trp_hash_node_t          node;
    ngx_trp_status_entry_t   entry;
    ngx_uint_t               n;          /* allocations */
    trp_str_t                name;
    u_char                   text[];     /* of the name */
};


static ngx_trp_turn_user_t *ngx_trp_turn_status_user(
    ngx_trp_turn_status_t *ts, trp_str_t name);
static void ngx_trp_turn_status_leave(ngx_trp_turn_status_t *ts,
    ngx_trp_turn_user_t *user);
static void ngx_trp_turn_status_server(ngx_trp_turn_server_t *server);
static void ngx_trp_turn_status_count(ngx_trp_turn_row_t *row, ngx_uint_t i,
    uint64_t n);
static ngx_uint_t ngx_trp_turn_status_alloc(ngx_trp_turn_alloc_t *alloc);
static ngx_uint_t ngx_trp_turn_status_traffic(ngx_trp_turn_alloc_t *alloc,
    const trp_turn_traffic_t *now, trp_turn_traffic_t *told, ngx_uint_t down);


ngx_int_t
ngx_trp_turn_status_init(ngx_trp_turn_worker_t *worker, ngx_cycle_t *cycle)
{
    ngx_str_t                realm;
    ngx_uint_t               i;
    ngx_shm_zone_t          *zone;
    ngx_trp_turn_status_t   *ts;
    ngx_trp_turn_server_t  **server;

    zone = ngx_trp_status_zone_find(cycle);

    trp_assert(zone != NULL);

    ts = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_turn_status_t));
    if (ts == NULL) {
        return NGX_ERROR;
    }

    ts->status = ngx_trp_status_start(cycle, zone);
    if (ts->status == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_memory_init(&ts->memory, cycle->log);
    trp_hash_init(&ts->users, worker->zone->shared->hash_key, &ts->memory);
    ngx_queue_init(&ts->allocs);

    worker->status = ts;
    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {
        realm.data = (u_char *) server[i]->conf->core.credentials.realm.data;
        realm.len = server[i]->conf->core.credentials.realm.len;

        ngx_trp_status_open(ts->status, NGX_TRP_STATUS_TURN, &realm, 1,
                            &server[i]->row.entry, NULL);
    }

    return NGX_OK;
}


void
ngx_trp_turn_status_exit(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i;
    ngx_trp_turn_server_t  **server;

    (void) ngx_trp_turn_status_publish(worker);

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {
        (void) ngx_trp_status_close(&server[i]->row.entry, 0);
    }

    trp_assert(worker->status->users.n == 0);

    trp_hash_done(&worker->status->users);
    ngx_trp_status_stop(worker->status->status);
}


void
ngx_trp_turn_status_add(ngx_trp_turn_alloc_t *alloc)
{
    trp_str_t               name;
    ngx_trp_turn_user_t    *user;
    ngx_trp_turn_status_t  *ts;

    ts = alloc->server->worker->status;
    name = trp_turn_user_stable(alloc->alloc->username);

    ngx_queue_insert_tail(&ts->allocs, &alloc->shown);
    ts->nallocs++;

    ngx_trp_status_count(&alloc->server->row.entry, NGX_TRP_TURN_ALLOCATED, 1);

    user = ngx_trp_turn_status_user(ts, name);

    if (user) {
        user->n++;
        ngx_trp_status_gauge(&user->entry, NGX_TRP_USER_NOW, user->n);
        ngx_trp_status_count(&user->entry, NGX_TRP_USER_OPENED, 1);
    }

    alloc->user = user;
}


/* NULL: no memory */

static ngx_trp_turn_user_t *
ngx_trp_turn_status_user(ngx_trp_turn_status_t *ts, trp_str_t name)
{
    uint64_t              hash;
    ngx_str_t             text;
    trp_hash_node_t      *node;
    ngx_trp_turn_user_t  *user;

    hash = trp_hash(&ts->users, name.data, name.len);

    for (node = trp_hash_find(&ts->users, hash);
         node;
         node = trp_hash_next(node))
    {
        user = trp_of(ngx_trp_turn_user_t, node, node);

        if (trp_str_equal(user->name, name)) {
            return user;
        }
    }

    user = trp_memory_get(&ts->memory,
                          sizeof(ngx_trp_turn_user_t) + name.len);
    if (user == NULL) {
        return NULL;
    }

    ngx_memcpy(user->text, name.data, name.len);
    user->name.data = user->text;
    user->name.len = name.len;

    text.data = user->text;
    text.len = ngx_min(name.len, NGX_TRP_STATUS_TEXT_SIZE);

    ngx_trp_status_open(ts->status, NGX_TRP_STATUS_TURN_USER, &text, 1,
                        &user->entry, NULL);

    trp_hash_insert(&ts->users, &user->node, hash);

    return user;
}


void
ngx_trp_turn_status_remove(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_status_t  *ts;

    ts = alloc->server->worker->status;

    (void) ngx_trp_turn_status_alloc(alloc);

    ngx_queue_remove(&alloc->shown);
    ts->nallocs--;

    if (alloc->user) {
        ngx_trp_turn_status_leave(ts, alloc->user);
    }
}


static void
ngx_trp_turn_status_leave(ngx_trp_turn_status_t *ts, ngx_trp_turn_user_t *user)
{
    user->n--;

    if (user->n) {
        ngx_trp_status_gauge(&user->entry, NGX_TRP_USER_NOW, user->n);
        return;
    }

    (void) ngx_trp_status_close(&user->entry, 0);

    trp_hash_remove(&ts->users, &user->node);
    trp_memory_put(&ts->memory, user);
}


void
ngx_trp_turn_status_denied(ngx_trp_turn_alloc_t *alloc)
{
    if (alloc->user) {
        ngx_trp_status_count(&alloc->user->entry, NGX_TRP_USER_DENIED, 1);
    }
}


ngx_msec_t
ngx_trp_turn_status_publish(ngx_trp_turn_worker_t *worker)
{
    ngx_uint_t               i, n, connections;
    ngx_queue_t             *q;
    ngx_trp_turn_status_t   *ts;
    ngx_trp_turn_server_t  **server;

    ts = worker->status;
    server = worker->servers.elts;
    connections = 0;

    for (i = 0; i < worker->servers.nelts; i++) {
        ngx_trp_turn_status_server(server[i]);
        connections += server[i]->turn->stats.connections;
    }

    n = ngx_min(ts->nallocs, NGX_TRP_TURN_STATUS_LOOK);

    for (i = 0; i < n; i++) {
        q = ngx_queue_head(&ts->allocs);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ts->allocs, q);

        ts->quiet++;

        if (ngx_trp_turn_status_alloc(ngx_queue_data(q, ngx_trp_turn_alloc_t,
                                                     shown)))
        {
            ts->quiet = 0;
        }
    }

    if (ts->quiet < ts->nallocs) {
        return NGX_TRP_TURN_STATUS_SOON;
    }

    ts->quiet = 0;

    /* the data of these passes by without an event of the server */

    return connections ? NGX_TRP_TURN_STATUS_LATER : 0;
}


static void
ngx_trp_turn_status_server(ngx_trp_turn_server_t *server)
{
    ngx_trp_turn_row_t  *row;
    trp_turn_stats_t    *stats;

    row = &server->row;
    stats = &server->turn->stats;

    ngx_trp_status_gauge(&row->entry, NGX_TRP_TURN_ALLOCATIONS,
                         stats->allocations);
    ngx_trp_status_gauge(&row->entry, NGX_TRP_TURN_PERMISSIONS,
                         stats->permissions);
    ngx_trp_status_gauge(&row->entry, NGX_TRP_TURN_CHANNELS, stats->channels);
    ngx_trp_status_gauge(&row->entry, NGX_TRP_TURN_CONNECTIONS,
                         stats->connections);

    ngx_trp_turn_status_count(row, NGX_TRP_TURN_DROPPED_PACKETS,
                              stats->dropped.packets);
    ngx_trp_turn_status_count(row, NGX_TRP_TURN_DENIED, stats->denied);
    ngx_trp_turn_status_count(row, NGX_TRP_TURN_UNAUTHENTICATED,
                              stats->unauthenticated);
    ngx_trp_turn_status_count(row, NGX_TRP_TURN_REFUSED, stats->refused);
    ngx_trp_turn_status_count(row, NGX_TRP_TURN_BINDINGS,
                              trp_turn_counted(stats, TRP_STUN_BINDING, 200));
    ngx_trp_turn_status_count(row, NGX_TRP_TURN_SILENCED, stats->silenced);
}


static void
ngx_trp_turn_status_count(ngx_trp_turn_row_t *row, ngx_uint_t i, uint64_t n)
{
    if (n > row->told[i]) {
        ngx_trp_status_count(&row->entry, i, n - row->told[i]);
        row->told[i] = n;
    }
}


/* 1 if there was anything new */

static ngx_uint_t
ngx_trp_turn_status_alloc(ngx_trp_turn_alloc_t *alloc)
{
    trp_turn_traffic_t      up, down;
    trp_turn_connection_t  *connection;

    up = alloc->alloc->up;
    down = alloc->alloc->down;

    for (connection = alloc->alloc->connections;
         connection;
         connection = connection->next)
    {
        ngx_trp_turn_peers_tcp_traffic(connection, &up, &down);
    }

    return ngx_trp_turn_status_traffic(alloc, &up, &alloc->told_up, 0)
           | ngx_trp_turn_status_traffic(alloc, &down, &alloc->told_down, 1);
}


/* what could not be sent is taken back by the core, but not told before it is
 * made up for */

static ngx_uint_t
ngx_trp_turn_status_traffic(ngx_trp_turn_alloc_t *alloc,
    const trp_turn_traffic_t *now, trp_turn_traffic_t *told, ngx_uint_t down)
{
    ngx_uint_t               more;
    ngx_trp_status_entry_t  *server;

    more = 0;
    server = &alloc->server->row.entry;

    if (now->packets > told->packets) {
        ngx_trp_status_count(server, down ? NGX_TRP_TURN_SENT_PACKETS
                                          : NGX_TRP_TURN_RECEIVED_PACKETS,
                             now->packets - told->packets);

        told->packets = now->packets;
        more = 1;
    }

    if (now->bytes > told->bytes) {
        ngx_trp_status_count(server, down ? NGX_TRP_TURN_SENT
                                          : NGX_TRP_TURN_RECEIVED,
                             now->bytes - told->bytes);

        if (alloc->user) {
            ngx_trp_status_count(&alloc->user->entry,
                                 down ? NGX_TRP_USER_SENT
                                      : NGX_TRP_USER_RECEIVED,
                                 now->bytes - told->bytes);
        }

        told->bytes = now->bytes;
        more = 1;
    }

    return more;
}
