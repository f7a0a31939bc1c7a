
/*
 * Copyright (C) the trp authors
 */


/*
 * nginx reads one datagram at a time, and makes a connection for each client.
 * So the sockets of "listen ... udp" are taken away from it, and reloads are
 * handled here:
 *
 * - A worker that exits makes a socket for each of its clients, bound to the
 *   address that the client knows, and connected to the client, so that the
 *   kernel gives it what the client sends.  It empties the old socket, closes
 *   it and says so.
 * - A new worker waits for that before it reads a socket that it has
 *   inherited.
 * - A datagram for an allocation of another worker, in any generation, is
 *   passed to this worker, which then makes a socket for the client.
 */


#include "turn/ngx_trp_turn_udp.h"
#include "base/ngx_trp_event.h"
#include "stock/ngx_trp_listener.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_socket.h"
#include "turn/ngx_trp_turn_zone_owners.h"
#include "udp/ngx_trp_udp_listen.h"


/* connecting n sockets takes n^2 time: for more, other workers pass it on */
#define NGX_TRP_TURN_CONNECTED  1000

/* no request with MESSAGE-INTEGRITY, USERNAME, REALM, NONCE is shorter */
#define NGX_TRP_TURN_SIGNED     64

/* the second byte of a Send indication */
#define NGX_TRP_TURN_SEND       0x16

/* in batches: more than fits into a socket's buffer */
#define NGX_TRP_TURN_DRAIN      256

#define NGX_TRP_TURN_WAIT       2          /* milliseconds */
#define NGX_TRP_TURN_WAITS      500        /* at most */


struct ngx_trp_turn_listener_s {
    ngx_trp_turn_worker_t   *worker;
    ngx_trp_turn_server_t   *server;
    ngx_listening_t         *listening;
    ngx_connection_t        *connection;
    trp_taddr_t              local;
    ngx_queue_t              allocs;
    ngx_event_t              event;        /* waits for the old reader */
    ngx_uint_t               waits;
    unsigned                 wildcard:1;
    unsigned                 inherited:1;  /* another may read it */
    unsigned                 over:1;       /* no longer read */
    unsigned                 keep:1;       /* but clients need it */
};


static ngx_int_t ngx_trp_turn_udp_server(ngx_trp_turn_worker_t *worker,
    ngx_listening_t *ls);
static ngx_int_t ngx_trp_turn_udp_number(void *data, void **srv_conf);
static ngx_int_t ngx_trp_turn_udp_take(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_server_t *server, ngx_listening_t *ls, ngx_uint_t inherited);
static ngx_int_t ngx_trp_turn_udp_start(ngx_trp_turn_listener_t *l);
static void ngx_trp_turn_udp_wait_handler(ngx_event_t *ev);
static void ngx_trp_turn_udp_handler(ngx_event_t *rev);
static ngx_uint_t ngx_trp_turn_udp_read(ngx_trp_turn_listener_t *l,
    ngx_connection_t *c, ngx_uint_t turns);
static void ngx_trp_turn_udp_datagram(ngx_trp_turn_listener_t *l,
    ngx_connection_t *c, ngx_uint_t i);
static ngx_int_t ngx_trp_turn_udp_elsewhere(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple, u_char *data, size_t len);
static void ngx_trp_turn_udp_exit(ngx_trp_turn_listener_t *l);
static void ngx_trp_turn_udp_own_socket(ngx_trp_turn_alloc_t *alloc);
static ngx_int_t ngx_trp_turn_udp_connect(ngx_trp_turn_alloc_t *alloc);
static void ngx_trp_turn_udp_client_handler(ngx_event_t *rev);


ngx_int_t
ngx_trp_turn_udp_init_sockets(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    worker->inherited = ngx_pcalloc(cycle->pool, cycle->listening.nelts + 1);

    if (worker->inherited == NULL) {
        return NGX_ERROR;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        /* nginx forgets this before a worker could ask */

        worker->inherited[i] = (ls[i].inherited || ls[i].previous);

        if (ngx_trp_turn_udp_server(worker, &ls[i]) != NGX_DECLINED) {
            ngx_trp_listener_buffers(&ls[i]);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_turn_udp_init_worker(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle)
{
    ngx_int_t                 number;
    ngx_uint_t                i;
    ngx_listening_t          *ls;
    ngx_trp_turn_server_t   **server;
    ngx_trp_turn_listener_t  *l;

    if (ngx_array_init(&worker->listeners, cycle->pool, 4,
                       sizeof(ngx_trp_turn_listener_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    server = worker->servers.elts;
    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        number = ngx_trp_turn_udp_server(worker, &ls[i]);

        if (number == NGX_DECLINED) {
            continue;
        }

        /* only one worker may read a socket, so that clients stay with it */

        if (!ngx_trp_udp_listen_here(cycle, i)) {

            if (ngx_trp_udp_listen_release(&ls[i]) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (ngx_trp_turn_udp_take(worker, server[number], &ls[i],
                                  worker->inherited[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* from here on, the array does not move */

    l = worker->listeners.elts;

    for (i = 0; i < worker->listeners.nelts; i++) {
        ngx_queue_init(&l[i].allocs);

        if (ngx_trp_turn_udp_start(&l[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (worker->listeners.nelts == 0) {
        ngx_trp_slots_switched(&worker->zone->slots,
                               ngx_trp_mesh_slot(worker->mesh));
    }

    return NGX_OK;
}


/* all UDP listens of a port are of the same server */

static ngx_int_t
ngx_trp_turn_udp_number(void *data, void **srv_conf)
{
    ngx_trp_turn_worker_t *worker = data;

    ngx_uint_t             i;
    ngx_trp_turn_conf_t  **conf;

    conf = worker->confs->elts;

    for (i = 0; i < worker->confs->nelts; i++) {
        if (conf[i]->srv_conf == srv_conf) {
            return i;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_trp_turn_udp_server(ngx_trp_turn_worker_t *worker, ngx_listening_t *ls)
{
    return ngx_trp_udp_listen_number(ls, ngx_trp_turn_udp_number, worker,
                                     "trp_turn", worker->log);
}


static ngx_int_t
ngx_trp_turn_udp_take(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_server_t *server, ngx_listening_t *ls, ngx_uint_t inherited)
{
    ngx_connection_t         *c;
    ngx_trp_turn_listener_t  *l;

    c = ngx_trp_udp_listen_take(ls, worker->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    l = ngx_array_push(&worker->listeners);
    if (l == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(l, sizeof(ngx_trp_turn_listener_t));

    l->worker = worker;
    l->server = server;
    l->listening = ls;
    l->connection = c;
    l->wildcard = ls->wildcard;
    l->inherited = inherited;

    ngx_trp_turn_taddr(&l->local, ls->sockaddr);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_turn_udp_start(ngx_trp_turn_listener_t *l)
{
    ngx_connection_t       *c;
    ngx_trp_turn_worker_t  *worker;

    worker = l->worker;

    c = l->connection;

    c->data = l;
    c->idle = 1;
    c->log = worker->log;
    c->read->log = worker->log;
    c->write->log = worker->log;
    c->read->handler = ngx_trp_turn_udp_handler;

    worker->reading++;

    l->event.data = l;
    l->event.log = worker->log;
    l->event.handler = ngx_trp_turn_udp_wait_handler;
    l->event.cancelable = 1;

    if (l->inherited) {

        if (ngx_trp_slots_older_reads(&worker->zone->slots,
                                      ngx_trp_mesh_slot(worker->mesh)))
        {
            ngx_log_debug1(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                           "trp turn listener %V: waits for an older worker",
                           &l->listening->addr_text);

            ngx_add_timer(&l->event, NGX_TRP_TURN_WAIT);
            return NGX_OK;
        }
    }

    return ngx_add_event(c->read, NGX_READ_EVENT, 0);
}


static void
ngx_trp_turn_udp_wait_handler(ngx_event_t *ev)
{
    ngx_trp_turn_worker_t    *worker;
    ngx_trp_turn_listener_t  *l;

    l = ev->data;
    worker = l->worker;

    if (l->over) {
        return;
    }

    if (l->waits++ < NGX_TRP_TURN_WAITS
        && ngx_trp_slots_older_reads(&worker->zone->slots,
                                     ngx_trp_mesh_slot(worker->mesh)))
    {
        ngx_add_timer(ev, NGX_TRP_TURN_WAIT);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                   "trp turn listener %V: is read after %ui waits",
                   &l->listening->addr_text, l->waits);

    if (ngx_add_event(l->connection->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, worker->log, 0,
                      "can't read %V", &l->listening->addr_text);
    }
}


static void
ngx_trp_turn_udp_handler(ngx_event_t *rev)
{
    ngx_connection_t         *c;
    ngx_trp_turn_listener_t  *l;

    c = rev->data;
    l = c->data;

    if (c->close) {
        ngx_trp_turn_udp_exit(l);
        return;
    }

    (void) ngx_trp_turn_udp_read(l, c, NGX_TRP_UDP_BATCHES);
}


/* returns 1 if there may be more */

static ngx_uint_t
ngx_trp_turn_udp_read(ngx_trp_turn_listener_t *l, ngx_connection_t *c,
    ngx_uint_t turns)
{
    ngx_int_t              n;
    ngx_uint_t             i, first, more;
    ngx_socket_t           fd;
    ngx_trp_udp_batch_t  *batch;

    fd = c->fd;
    batch = &l->worker->batch;

    do {
        n = ngx_trp_udp_batch_recv(batch, c->fd, &first, &more);

        if (n <= 0) {
            return 0;
        }

        for (i = first; i < first + n; i++) {

            /* a client may have ended its allocation, and with it the socket */

            if (c->fd != fd) {
                return 0;
            }

            ngx_trp_turn_udp_datagram(l, c, i);
        }

    } while (more && --turns);

    return more;
}


static void
ngx_trp_turn_udp_datagram(ngx_trp_turn_listener_t *l, ngx_connection_t *c,
    ngx_uint_t i)
{
    size_t                  len;
    u_char                 *data;
    trp_turn_tuple_t        tuple;
    ngx_trp_udp_batch_t   *batch;
    ngx_trp_turn_alloc_t   *owner;
    ngx_trp_turn_origin_t   origin;

    batch = &l->worker->batch;

    data = ngx_trp_udp_batch_data(batch, i, &len);

    if (len == 0
        || (!trp_stun_is_message(data[0]) && !trp_stun_is_channel(data[0])))
    {
        return;
    }

    ngx_memzero(&tuple, sizeof(trp_turn_tuple_t));

    ngx_trp_turn_taddr(&tuple.client, ngx_trp_udp_batch_from(batch, i));

    if (tuple.client.port == 0) {
        return;
    }

    tuple.server = l->local;
    tuple.transport = TRP_TRANSPORT_UDP;

    if (c != l->connection) {
        owner = c->data;
        tuple.server = owner->alloc->tuple.server;

    } else if (l->wildcard) {
        (void) ngx_trp_udp_batch_to(batch, i, &tuple.server.addr);
    }

    if (ngx_trp_turn_udp_elsewhere(l->worker, &tuple, data, len) == NGX_OK) {
        return;
    }

    ngx_memzero(&origin, sizeof(ngx_trp_turn_origin_t));

    origin.listener = l;
    origin.socket = (c == l->connection) ? NULL : c;

    (void) ngx_trp_turn_input(l->server, &origin, &tuple, data, len);
}


/* NGX_OK if the datagram was passed to the worker that has the allocation */

static ngx_int_t
ngx_trp_turn_udp_elsewhere(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple, u_char *data, size_t len)
{
    uint64_t                 hash;
    ngx_uint_t               slot, own;
    ngx_trp_turn_message_t   message;

    own = ngx_trp_mesh_slot(worker->mesh);

    /* a short request is not authenticated: any worker may answer it */

    if (own == NGX_TRP_TURN_NO_SLOT
        || (data[0] <= 3 && len < NGX_TRP_TURN_SIGNED
            && !(data[0] == 0 && data[1] == NGX_TRP_TURN_SEND))
        || ngx_trp_turn_find(worker, tuple))
    {
        return NGX_DECLINED;
    }

    hash = ngx_trp_turn_zone_hash_tuple(worker->zone, tuple);
    slot = ngx_trp_turn_zone_find_owner(worker->zone, hash);

    if (slot == NGX_TRP_TURN_NO_SLOT || slot == own) {
        return NGX_DECLINED;
    }

    ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

    message.mesh.type = NGX_TRP_TURN_MESSAGE_DATAGRAM;
    message.tuple = *tuple;

    if (ngx_trp_mesh_send(worker->mesh, slot, &message.mesh, data, len,
                          (ngx_socket_t) -1)
        == NGX_OK)
    {
        return NGX_OK;
    }

    /*
     * If the owner cannot be reached, the datagram is lost: the client will
     * send it again, while an answer from here would deny the allocation.
     */

    return ngx_trp_slots_alive(&worker->zone->slots, slot) ? NGX_OK
                                                           : NGX_DECLINED;
}


void
ngx_trp_turn_udp_handed(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple, u_char *data, size_t len)
{
    ngx_trp_turn_alloc_t   *alloc;
    ngx_trp_turn_origin_t   origin;

    alloc = ngx_trp_turn_find(worker, tuple);

    if (alloc == NULL) {
        return;
    }

    ngx_trp_turn_udp_own_socket(alloc);

    origin = alloc->origin;

    /* data for peers is queued in the buffer of the message */

    (void) ngx_trp_turn_input(alloc->server, &origin, tuple, data, len);

    ngx_trp_udp_batch_flush(&worker->batch);
}


void
ngx_trp_turn_udp_send(ngx_trp_turn_origin_t *origin,
    ngx_trp_turn_alloc_t *alloc, const trp_turn_tuple_t *tuple,
    const u_char *data, size_t len, ngx_uint_t now)
{
    ngx_trp_udp_batch_t     *batch;
    ngx_trp_turn_listener_t  *l;

    l = origin->listener;

    trp_assert(l != NULL);

    batch = &l->worker->batch;

    if (alloc && l->over) {
        ngx_trp_turn_udp_own_socket(alloc);
    }

    if (origin->socket) {
        ngx_trp_udp_batch_send(batch, origin->socket->fd, &tuple->client,
                                NULL, data, len, now);
        return;
    }

    if (l->connection) {
        ngx_trp_udp_batch_send(batch, l->connection->fd, &tuple->client,
                                l->wildcard ? &tuple->server.addr : NULL,
                                data, len, now);
    }
}


void
ngx_trp_turn_udp_add(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_listener_t  *l;

    l = alloc->origin.listener;

    trp_assert(l != NULL && alloc->origin.client == NULL);

    alloc->origin.socket = NULL;
    alloc->listening = l->listening;

    ngx_queue_insert_tail(&l->allocs, &alloc->queue);

    if (l->over && ngx_trp_turn_udp_connect(alloc) != NGX_OK) {
        l->keep = 1;
    }
}


void
ngx_trp_turn_udp_remove(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_listener_t  *l;

    l = alloc->origin.listener;

    ngx_queue_remove(&alloc->queue);

    ngx_trp_turn_close_connection(alloc->server->worker,
                                  &alloc->origin.socket);

    if (l->over && ngx_queue_empty(&l->allocs)) {
        ngx_trp_turn_close_connection(l->worker, &l->connection);
    }
}


static void
ngx_trp_turn_udp_exit(ngx_trp_turn_listener_t *l)
{
    ngx_uint_t              n;
    ngx_queue_t            *q;
    ngx_connection_t       *c;
    ngx_trp_turn_alloc_t   *alloc;
    ngx_trp_turn_worker_t  *worker;

    worker = l->worker;
    c = l->connection;

    c->idle = 0;
    c->close = 0;

    if (l->over) {

        /* worker_shutdown_timeout, with the socket kept for sending */

        ngx_trp_turn_close_connection(worker, &l->connection);
        return;
    }

    l->over = 1;

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                   "trp turn listener %V: is given to a new worker",
                   &l->listening->addr_text);

    if (l->event.timer_set) {
        ngx_del_timer(&l->event);
    }

    /* epoll keeps a socket that other processes have open */

    (void) ngx_trp_event_del(c->read);

    ngx_trp_udp_batch_flush(&worker->batch);

    n = 0;

    for (q = ngx_queue_head(&l->allocs);
         q != ngx_queue_sentinel(&l->allocs);
         q = ngx_queue_next(q))
    {
        alloc = ngx_queue_data(q, ngx_trp_turn_alloc_t, queue);

        if (n++ == NGX_TRP_TURN_CONNECTED) {
            break;
        }

        if (ngx_trp_turn_udp_connect(alloc) != NGX_OK) {
            l->keep = 1;
            break;
        }
    }

    /* reads what was there before, but not a flood that goes on */

    (void) ngx_trp_turn_udp_read(l, c, NGX_TRP_TURN_DRAIN);

    ngx_trp_udp_batch_flush(&worker->batch);

    if (l->keep) {

        /*
         * A worker may not bind a port below 1024.  The socket is kept for
         * sending; what the clients send comes through other workers.
         */

        ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                      "TURN clients of %V are served through other workers",
                      &l->listening->addr_text);

    } else {
        ngx_trp_turn_close_connection(worker, &l->connection);
    }

    if (--worker->reading == 0) {
        ngx_trp_slots_switched(&worker->zone->slots,
                               ngx_trp_mesh_slot(worker->mesh));
    }
}


/* not if it failed before, and the listener's socket was kept instead */

static void
ngx_trp_turn_udp_own_socket(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_listener_t  *l;

    l = alloc->origin.listener;

    if (alloc->origin.socket == NULL && (!l->over || l->connection == NULL)) {
        (void) ngx_trp_turn_udp_connect(alloc);
    }
}


/*
 * Without SO_REUSEPORT, which would add the socket to the group that new
 * clients are spread over.  Until it is connected, it may get datagrams of
 * other clients.
 */

static ngx_int_t
ngx_trp_turn_udp_connect(ngx_trp_turn_alloc_t *alloc)
{
    int                       one;
    socklen_t                 len;
    ngx_socket_t              s;
    ngx_sockaddr_t            local, client;
    trp_turn_tuple_t         *tuple;
    ngx_connection_t         *c;
    ngx_trp_turn_worker_t    *worker;

    if (alloc->origin.socket) {
        return NGX_OK;
    }

    one = 1;
    tuple = &alloc->alloc->tuple;
    worker = alloc->server->worker;

    len = ngx_trp_turn_sockaddr(&local, &tuple->server);
    (void) ngx_trp_turn_sockaddr(&client, &tuple->client);

    s = ngx_trp_turn_socket(local.sockaddr.sa_family, SOCK_DGRAM);

    if (s == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1
        || bind(s, &local.sockaddr, len) == -1
        || connect(s, &client.sockaddr, len) == -1)
    {
        ngx_trp_turn_socket_failed(s);
        return NGX_ERROR;
    }

    c = ngx_trp_turn_connection(worker, s, ngx_trp_turn_udp_client_handler,
                                alloc);
    if (c == NULL) {
        return NGX_ERROR;
    }

    alloc->origin.socket = c;

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, alloc->server->log, 0,
                   "trp turn %s: client has a socket of its own",
                   ngx_trp_turn_text(&tuple->client).data);

    return NGX_OK;
}


static void
ngx_trp_turn_udp_client_handler(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_trp_turn_alloc_t  *alloc;

    c = rev->data;
    alloc = c->data;

    if (c->close) {
        ngx_trp_turn_time(alloc->server);
        trp_turn_fail(alloc->server->turn, alloc->alloc);
        ngx_trp_turn_run(alloc->server, NULL);
        return;
    }

    (void) ngx_trp_turn_udp_read(alloc->origin.listener, c, 1);
}
