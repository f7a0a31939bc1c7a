
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between workers: a pair of Unix sockets for each slot, made by the
 * master.  A worker from before a reload gets the socket to a new one with the
 * new one's HELLO; a message to a worker that has exited fails.
 */


#include "turn/ngx_trp_turn_workers.h"
#include "base/trp_assert.h"
#include "base/ngx_trp_pass.h"
#include "turn/ngx_trp_turn_zone_slots.h"


/* at most a datagram */
#define NGX_TRP_TURN_PAYLOAD_MAX  65536


typedef struct {
    ngx_trp_turn_message_t    header;
    u_char                    payload[NGX_TRP_TURN_PAYLOAD_MAX];
} ngx_trp_turn_packet_t;


/* a message that could not be sent yet */

typedef struct {
    ngx_queue_t               queue;
    ngx_uint_t                slot;
    ngx_trp_turn_message_t    message;
} ngx_trp_turn_posted_t;


struct ngx_trp_turn_workers_s {
    ngx_trp_turn_zone_t      *zone;
    ngx_uint_t                nworkers;
    ngx_uint_t               *slots;       /* of the workers */
    ngx_uint_t                slot;        /* of this one */

    ngx_trp_turn_message_pt   handler;
    void                     *data;
    ngx_trp_turn_packet_t    *packet;

    ngx_queue_t               posted;      /* ngx_trp_turn_posted_t */
    u_char                    greet[NGX_TRP_TURN_SLOTS];  /* 1: not yet */

    ngx_socket_t              pairs[NGX_TRP_TURN_SLOTS][2];
};


static void ngx_trp_turn_workers_inherit(ngx_trp_turn_workers_t *workers,
    ngx_trp_turn_workers_t  *old);
static void ngx_trp_turn_workers_close(void *data);
static ngx_uint_t ngx_trp_turn_workers_gone(ngx_trp_turn_workers_t *workers,
    ngx_uint_t slot);
static void ngx_trp_turn_workers_handler(ngx_event_t *rev);
static void ngx_trp_turn_workers_keep_way(ngx_trp_turn_workers_t *workers,
    ngx_trp_turn_message_t *message, ngx_socket_t *fd);


ngx_trp_turn_workers_t *
ngx_trp_turn_workers_create(ngx_cycle_t *cycle, ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_workers_t *old)
{
    ngx_uint_t               i, slot, generation;
    ngx_core_conf_t         *ccf;
    ngx_pool_cleanup_t      *cln;
    ngx_trp_turn_workers_t  *workers;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    workers = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_turn_workers_t));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (workers == NULL || cln == NULL) {
        return NULL;
    }

    for (i = 0; i < NGX_TRP_TURN_SLOTS; i++) {
        workers->pairs[i][0] = (ngx_socket_t) -1;
        workers->pairs[i][1] = (ngx_socket_t) -1;
    }

    ngx_queue_init(&workers->posted);

    cln->handler = ngx_trp_turn_workers_close;
    cln->data = workers;

    workers->zone = zone;
    workers->slot = NGX_TRP_TURN_NO_SLOT;

    if (ccf->master && old == NULL
        && (ngx_uint_t) ccf->worker_processes > zone->shared->nslots)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"trp_turn\" cannot have %i worker processes, write "
                      "\"worker_processes %ui\" or less%s",
                      ccf->worker_processes, zone->shared->nslots,
                      zone->shared->nslots < NGX_TRP_TURN_SLOTS
                      ? ", or a larger \"trp_turn_zone\"" : "");
        return NULL;
    }

    generation = ngx_atomic_fetch_add(&zone->shared->generation, 1) + 1;

    ngx_trp_turn_zone_reap(zone, cycle->log);

    if (!ccf->master) {
        return workers;
    }

    workers->slots = ngx_palloc(cycle->pool,
                                ccf->worker_processes * sizeof(ngx_uint_t));
    if (workers->slots == NULL) {
        return NULL;
    }

    if (old) {
        ngx_trp_turn_workers_inherit(workers, old);
    }

    for (i = 0; i < (ngx_uint_t) ccf->worker_processes; i++) {
        slot = ngx_trp_turn_zone_reserve_slot(zone, generation);
        workers->slots[i] = slot;

        if (slot == NGX_TRP_TURN_NO_SLOT) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "too many TURN workers, including those that are "
                          "shutting down: clients of worker %ui are not "
                          "handed over", i);
            continue;
        }

        ngx_trp_pass_close(&workers->pairs[slot][0]);
        ngx_trp_pass_pair(workers->pairs[slot], cycle->log);
    }

    workers->nworkers = ccf->worker_processes;

    return workers;
}


/* takes over the writing ends to workers that still exist */

static void
ngx_trp_turn_workers_inherit(ngx_trp_turn_workers_t *workers,
    ngx_trp_turn_workers_t *old)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TRP_TURN_SLOTS; i++) {

        if (old->zone->shared != workers->zone->shared
            || i >= workers->zone->shared->nslots
            || workers->zone->shared->slots[i].state
               == NGX_TRP_TURN_SLOT_FREE)
        {
            continue;
        }

        workers->pairs[i][0] = old->pairs[i][0];
        old->pairs[i][0] = (ngx_socket_t) -1;
    }
}


static void
ngx_trp_turn_workers_close(void *data)
{
    ngx_trp_turn_workers_t  *workers = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_TRP_TURN_SLOTS; i++) {
        ngx_trp_pass_close(&workers->pairs[i][0]);
        ngx_trp_pass_close(&workers->pairs[i][1]);
    }
}


ngx_int_t
ngx_trp_turn_workers_init_worker(ngx_cycle_t *cycle,
    ngx_trp_turn_workers_t *workers, ngx_trp_turn_message_pt handler,
    void *data)
{
    ngx_uint_t  i;

    if (ngx_worker >= workers->nworkers) {
        return NGX_OK;
    }

    workers->slot = workers->slots[ngx_worker];
    workers->handler = handler;
    workers->data = data;

    if (workers->slot == NGX_TRP_TURN_NO_SLOT) {
        return NGX_OK;
    }

    /* sending to a worker that has exited must fail */

    for (i = 0; i < NGX_TRP_TURN_SLOTS; i++) {
        if (i == workers->slot) {
            continue;
        }

        /* with no reading end here, it is of another generation */

        workers->greet[i] = (workers->pairs[i][0] != (ngx_socket_t) -1
                             && workers->pairs[i][1] == (ngx_socket_t) -1);

        ngx_trp_pass_close(&workers->pairs[i][1]);
    }

    if (workers->pairs[workers->slot][1] == (ngx_socket_t) -1) {
        return NGX_OK;
    }

    workers->packet = ngx_palloc(cycle->pool, sizeof(ngx_trp_turn_packet_t));

    if (workers->packet == NULL) {
        return NGX_ERROR;
    }

    return ngx_trp_pass_listen(workers->pairs[workers->slot][1], cycle,
                               ngx_trp_turn_workers_handler, workers)
           ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_trp_turn_workers_slot(ngx_trp_turn_workers_t *workers)
{
    return workers->slot;
}


/* HELLO comes before any other message, which may need the way back */

ngx_uint_t
ngx_trp_turn_workers_greet(ngx_trp_turn_workers_t *workers)
{
    ngx_uint_t               i, left;
    ngx_trp_turn_message_t   message;

    left = 0;

    if (workers->slot == NGX_TRP_TURN_NO_SLOT) {
        return 0;
    }

    for (i = 0; i < NGX_TRP_TURN_SLOTS; i++) {

        if (!workers->greet[i]) {
            continue;
        }

        ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));
        message.type = NGX_TRP_TURN_MESSAGE_HELLO;

        if (ngx_trp_turn_workers_send(workers, i, &message, NULL, 0,
                                      workers->pairs[workers->slot][0])
            == NGX_OK
            || ngx_trp_turn_workers_gone(workers, i))
        {
            workers->greet[i] = 0;
            continue;
        }

        left = 1;
    }

    return left;
}


static ngx_uint_t
ngx_trp_turn_workers_gone(ngx_trp_turn_workers_t *workers, ngx_uint_t slot)
{
    return !ngx_trp_turn_zone_alive(workers->zone, slot);
}


ngx_int_t
ngx_trp_turn_workers_send(ngx_trp_turn_workers_t *workers, ngx_uint_t slot,
    ngx_trp_turn_message_t *message, const void *payload, size_t len,
    ngx_socket_t fd)
{
    ngx_socket_t  to;
    struct iovec  iov[2];

    to = (slot < NGX_TRP_TURN_SLOTS) ? workers->pairs[slot][0]
                                     : (ngx_socket_t) -1;

    trp_assert(message->type <= NGX_TRP_TURN_MESSAGE_REMOVE_ACCOUNT);

    if (to == (ngx_socket_t) -1 || workers->slot == NGX_TRP_TURN_NO_SLOT
        || len > NGX_TRP_TURN_PAYLOAD_MAX)
    {
        return NGX_ERROR;
    }

    message->slot = workers->slot;
    message->epoch = ngx_trp_turn_zone_epoch(workers->zone, workers->slot);

    if (message->type == NGX_TRP_TURN_MESSAGE_ATTACH) {
        fd = workers->pairs[workers->slot][0];
    }

    iov[0].iov_base = message;
    iov[0].iov_len = sizeof(ngx_trp_turn_message_t);
    iov[1].iov_base = (void *) payload;
    iov[1].iov_len = len;

    return ngx_trp_pass_send(to, iov, 2, fd);
}


void
ngx_trp_turn_workers_post(ngx_trp_turn_workers_t *workers, ngx_uint_t slot,
    ngx_trp_turn_message_t *message)
{
    ngx_trp_turn_posted_t  *posted;

    if (ngx_trp_turn_workers_send(workers, slot, message, NULL, 0,
                                  (ngx_socket_t) -1)
        == NGX_OK
        || slot >= NGX_TRP_TURN_SLOTS
        || ngx_trp_turn_workers_gone(workers, slot))
    {
        return;
    }

    posted = ngx_alloc(sizeof(ngx_trp_turn_posted_t), ngx_cycle->log);

    if (posted) {
        posted->slot = slot;
        posted->message = *message;
        ngx_queue_insert_tail(&workers->posted, &posted->queue);
    }
}


ngx_uint_t
ngx_trp_turn_workers_retry(ngx_trp_turn_workers_t *workers)
{
    ngx_queue_t            *q, *next;
    ngx_trp_turn_posted_t  *posted;

    for (q = ngx_queue_head(&workers->posted);
         q != ngx_queue_sentinel(&workers->posted);
         q = next)
    {
        next = ngx_queue_next(q);
        posted = ngx_queue_data(q, ngx_trp_turn_posted_t, queue);

        if (ngx_trp_turn_workers_send(workers, posted->slot, &posted->message,
                                      NULL, 0, (ngx_socket_t) -1)
            == NGX_OK
            || ngx_trp_turn_workers_gone(workers, posted->slot))
        {
            ngx_queue_remove(q);
            ngx_free(posted);
        }
    }

    return !ngx_queue_empty(&workers->posted);
}


static void
ngx_trp_turn_workers_handler(ngx_event_t *rev)
{
    ssize_t                  n;
    ngx_socket_t             fd;
    ngx_connection_t        *c;
    ngx_trp_turn_packet_t   *packet;
    ngx_trp_turn_workers_t  *workers;

    c = rev->data;
    workers = c->data;
    packet = workers->packet;

    for ( ;; ) {
        n = ngx_trp_pass_recv(c->fd, packet, sizeof(ngx_trp_turn_packet_t),
                              &fd, c->log);

        if (n == NGX_AGAIN || n == NGX_ERROR || n == NGX_DONE) {
            return;
        }

        if ((size_t) n < sizeof(ngx_trp_turn_message_t)) {
            ngx_log_error(NGX_LOG_ALERT, c->log, 0,
                          "invalid message from another worker");
            ngx_trp_pass_close(&fd);
            continue;
        }

        ngx_trp_turn_workers_keep_way(workers, &packet->header, &fd);

        workers->handler(workers->data, &packet->header, packet->payload,
                         n - sizeof(ngx_trp_turn_message_t), fd);
    }
}


/* keeps the socket to a worker that started after this one */

static void
ngx_trp_turn_workers_keep_way(ngx_trp_turn_workers_t *workers,
    ngx_trp_turn_message_t *message, ngx_socket_t *fd)
{
    ngx_socket_t  *way;

    if ((message->type != NGX_TRP_TURN_MESSAGE_HELLO
         && message->type != NGX_TRP_TURN_MESSAGE_ATTACH)
        || message->slot >= NGX_TRP_TURN_SLOTS
        || message->slot == workers->slot
        || *fd == (ngx_socket_t) -1)
    {
        return;
    }

    way = &workers->pairs[message->slot][0];

    ngx_trp_pass_close(way);

    *way = *fd;
    *fd = (ngx_socket_t) -1;
}
