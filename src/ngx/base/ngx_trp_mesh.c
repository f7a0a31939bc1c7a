
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between workers: a pair of Unix sockets for each slot, made by the
 * master.  A worker from before a reload gets the socket to a new one with the
 * new one's HELLO; a message to a worker that has exited fails.
 */


#include "base/ngx_trp_mesh.h"
#include "base/trp_assert.h"
#include "base/ngx_trp_pass.h"


/* at most a datagram */
#define NGX_TRP_MESH_PAYLOAD_MAX  65536


/* a message that could not be sent yet */

typedef struct {
    ngx_queue_t               queue;
    ngx_uint_t                slot;
    ngx_trp_mesh_message_t    message;     /* mesh->size bytes */
} ngx_trp_mesh_posted_t;


struct ngx_trp_mesh_s {
    ngx_trp_slots_t          *slots;
    ngx_uint_t                nworkers;
    ngx_uint_t               *numbers;     /* slots of the workers */
    ngx_uint_t                slot;        /* of this one */
    size_t                    size;        /* of messages */

    ngx_trp_mesh_message_pt   handler;
    void                     *data;
    u_char                   *packet;      /* a message, and its payload */

    ngx_queue_t               posted;      /* ngx_trp_mesh_posted_t */
    u_char                    greet[NGX_TRP_SLOTS];  /* 1: not yet */

    ngx_socket_t              pairs[NGX_TRP_SLOTS][2];
};


static void ngx_trp_mesh_inherit(ngx_trp_mesh_t *mesh, ngx_trp_mesh_t *old);
static void ngx_trp_mesh_close(void *data);
static ngx_uint_t ngx_trp_mesh_gone(ngx_trp_mesh_t *mesh, ngx_uint_t slot);
static void ngx_trp_mesh_handler(ngx_event_t *rev);
static void ngx_trp_mesh_keep_way(ngx_trp_mesh_t *mesh,
    ngx_trp_mesh_message_t *message, ngx_socket_t *fd);


ngx_trp_mesh_t *
ngx_trp_mesh_create(ngx_cycle_t *cycle, ngx_trp_slots_t *slots,
    ngx_trp_mesh_t *old, size_t size, const char *name)
{
    ngx_uint_t           i, slot, generation;
    ngx_core_conf_t     *ccf;
    ngx_trp_mesh_t      *mesh;
    ngx_pool_cleanup_t  *cln;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    mesh = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_mesh_t));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (mesh == NULL || cln == NULL) {
        return NULL;
    }

    for (i = 0; i < NGX_TRP_SLOTS; i++) {
        mesh->pairs[i][0] = (ngx_socket_t) -1;
        mesh->pairs[i][1] = (ngx_socket_t) -1;
    }

    ngx_queue_init(&mesh->posted);

    cln->handler = ngx_trp_mesh_close;
    cln->data = mesh;

    mesh->slots = slots;
    mesh->slot = NGX_TRP_NO_SLOT;
    mesh->size = size;

    generation = ngx_atomic_fetch_add(&slots->shared->generation, 1) + 1;

    ngx_trp_slots_reap(slots, cycle->log);

    if (!ccf->master) {
        return mesh;
    }

    mesh->numbers = ngx_palloc(cycle->pool,
                               ccf->worker_processes * sizeof(ngx_uint_t));
    if (mesh->numbers == NULL) {
        return NULL;
    }

    if (old) {
        ngx_trp_mesh_inherit(mesh, old);
    }

    for (i = 0; i < (ngx_uint_t) ccf->worker_processes; i++) {
        slot = ngx_trp_slots_reserve(slots, generation);
        mesh->numbers[i] = slot;

        if (slot == NGX_TRP_NO_SLOT) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "too many %s workers, including those that are "
                          "shutting down: clients of worker %ui are not "
                          "handed over", name, i);
            continue;
        }

        ngx_trp_pass_close(&mesh->pairs[slot][0]);
        ngx_trp_pass_pair(mesh->pairs[slot], cycle->log);
    }

    mesh->nworkers = ccf->worker_processes;

    return mesh;
}


/* takes over the writing ends to workers that still exist */

static void
ngx_trp_mesh_inherit(ngx_trp_mesh_t *mesh, ngx_trp_mesh_t *old)
{
    ngx_uint_t               i;
    ngx_trp_slots_shared_t  *shared;

    shared = mesh->slots->shared;

    for (i = 0; i < NGX_TRP_SLOTS; i++) {

        if (old->slots->shared != shared
            || i >= shared->n
            || shared->slots[i].state == NGX_TRP_SLOT_FREE)
        {
            continue;
        }

        mesh->pairs[i][0] = old->pairs[i][0];
        old->pairs[i][0] = (ngx_socket_t) -1;
    }
}


static void
ngx_trp_mesh_close(void *data)
{
    ngx_trp_mesh_t *mesh = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_TRP_SLOTS; i++) {
        ngx_trp_pass_close(&mesh->pairs[i][0]);
        ngx_trp_pass_close(&mesh->pairs[i][1]);
    }
}


ngx_int_t
ngx_trp_mesh_init_worker(ngx_cycle_t *cycle, ngx_trp_mesh_t *mesh,
    ngx_trp_mesh_message_pt handler, void *data)
{
    ngx_uint_t  i;

    if (ngx_worker >= mesh->nworkers) {
        return NGX_OK;
    }

    mesh->slot = mesh->numbers[ngx_worker];
    mesh->handler = handler;
    mesh->data = data;

    if (mesh->slot == NGX_TRP_NO_SLOT) {
        return NGX_OK;
    }

    /* sending to a worker that has exited must fail */

    for (i = 0; i < NGX_TRP_SLOTS; i++) {
        if (i == mesh->slot) {
            continue;
        }

        /* with no reading end here, it is of another generation */

        mesh->greet[i] = (mesh->pairs[i][0] != (ngx_socket_t) -1
                          && mesh->pairs[i][1] == (ngx_socket_t) -1);

        ngx_trp_pass_close(&mesh->pairs[i][1]);
    }

    if (mesh->pairs[mesh->slot][1] == (ngx_socket_t) -1) {
        return NGX_OK;
    }

    mesh->packet = ngx_palloc(cycle->pool,
                              mesh->size + NGX_TRP_MESH_PAYLOAD_MAX);

    if (mesh->packet == NULL) {
        return NGX_ERROR;
    }

    return ngx_trp_pass_listen(mesh->pairs[mesh->slot][1], cycle,
                               ngx_trp_mesh_handler, mesh)
           ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_trp_mesh_slot(ngx_trp_mesh_t *mesh)
{
    return mesh->slot;
}


ngx_uint_t
ngx_trp_mesh_slot_of(ngx_trp_mesh_t *mesh, ngx_uint_t worker)
{
    return (worker < mesh->nworkers) ? mesh->numbers[worker] : NGX_TRP_NO_SLOT;
}


/* HELLO comes before any other message, which may need the way back */

ngx_uint_t
ngx_trp_mesh_greet(ngx_trp_mesh_t *mesh)
{
    u_char                   buf[NGX_TRP_MESH_MESSAGE_MAX];
    ngx_uint_t               i, left;
    ngx_trp_mesh_message_t  *message;

    left = 0;
    message = (ngx_trp_mesh_message_t *) buf;

    if (mesh->slot == NGX_TRP_NO_SLOT) {
        return 0;
    }

    for (i = 0; i < NGX_TRP_SLOTS; i++) {

        if (!mesh->greet[i]) {
            continue;
        }

        ngx_memzero(message, mesh->size);

        message->type = NGX_TRP_MESH_HELLO;
        message->way = 1;

        if (ngx_trp_mesh_send(mesh, i, message, NULL, 0, (ngx_socket_t) -1)
            == NGX_OK
            || ngx_trp_mesh_gone(mesh, i))
        {
            mesh->greet[i] = 0;
            continue;
        }

        left = 1;
    }

    return left;
}


static ngx_uint_t
ngx_trp_mesh_gone(ngx_trp_mesh_t *mesh, ngx_uint_t slot)
{
    return !ngx_trp_slots_alive(mesh->slots, slot);
}


ngx_int_t
ngx_trp_mesh_send(ngx_trp_mesh_t *mesh, ngx_uint_t slot,
    ngx_trp_mesh_message_t *message, const void *payload, size_t len,
    ngx_socket_t fd)
{
    ngx_socket_t  to;
    struct iovec  iov[2];

    to = (slot < NGX_TRP_SLOTS) ? mesh->pairs[slot][0] : (ngx_socket_t) -1;

    if (to == (ngx_socket_t) -1 || mesh->slot == NGX_TRP_NO_SLOT
        || len > NGX_TRP_MESH_PAYLOAD_MAX)
    {
        return NGX_ERROR;
    }

    message->slot = mesh->slot;
    message->epoch = ngx_trp_slots_epoch(mesh->slots, mesh->slot);

    if (message->way) {
        fd = mesh->pairs[mesh->slot][0];
    }

    iov[0].iov_base = message;
    iov[0].iov_len = mesh->size;
    iov[1].iov_base = (void *) payload;
    iov[1].iov_len = len;

    return ngx_trp_pass_send(to, iov, 2, fd);
}


void
ngx_trp_mesh_post(ngx_trp_mesh_t *mesh, ngx_uint_t slot,
    ngx_trp_mesh_message_t *message)
{
    ngx_trp_mesh_posted_t  *posted;

    if (ngx_trp_mesh_send(mesh, slot, message, NULL, 0, (ngx_socket_t) -1)
        == NGX_OK
        || slot >= NGX_TRP_SLOTS
        || ngx_trp_mesh_gone(mesh, slot))
    {
        return;
    }

    posted = ngx_alloc(offsetof(ngx_trp_mesh_posted_t, message) + mesh->size,
                       ngx_cycle->log);

    if (posted) {
        posted->slot = slot;
        ngx_memcpy(&posted->message, message, mesh->size);
        ngx_queue_insert_tail(&mesh->posted, &posted->queue);
    }
}


ngx_uint_t
ngx_trp_mesh_retry(ngx_trp_mesh_t *mesh)
{
    ngx_queue_t            *q, *next;
    ngx_trp_mesh_posted_t  *posted;

    for (q = ngx_queue_head(&mesh->posted);
         q != ngx_queue_sentinel(&mesh->posted);
         q = next)
    {
        next = ngx_queue_next(q);
        posted = ngx_queue_data(q, ngx_trp_mesh_posted_t, queue);

        if (ngx_trp_mesh_send(mesh, posted->slot, &posted->message, NULL, 0,
                              (ngx_socket_t) -1)
            == NGX_OK
            || ngx_trp_mesh_gone(mesh, posted->slot))
        {
            ngx_queue_remove(q);
            ngx_free(posted);
        }
    }

    return !ngx_queue_empty(&mesh->posted);
}


static void
ngx_trp_mesh_handler(ngx_event_t *rev)
{
    ssize_t                  n;
    ngx_socket_t             fd;
    ngx_trp_mesh_t          *mesh;
    ngx_connection_t        *c;
    ngx_trp_mesh_message_t  *message;

    c = rev->data;
    mesh = c->data;
    message = (ngx_trp_mesh_message_t *) mesh->packet;

    for ( ;; ) {
        n = ngx_trp_pass_recv(c->fd, mesh->packet,
                              mesh->size + NGX_TRP_MESH_PAYLOAD_MAX, &fd,
                              c->log);

        if (n == NGX_AGAIN || n == NGX_ERROR || n == NGX_DONE) {
            return;
        }

        if ((size_t) n < mesh->size) {
            ngx_log_error(NGX_LOG_ALERT, c->log, 0,
                          "invalid message from another worker");
            ngx_trp_pass_close(&fd);
            continue;
        }

        ngx_trp_mesh_keep_way(mesh, message, &fd);

        mesh->handler(mesh->data, message, mesh->packet + mesh->size,
                      n - mesh->size, fd);
    }
}


/* keeps the socket to a worker that started after this one */

static void
ngx_trp_mesh_keep_way(ngx_trp_mesh_t *mesh, ngx_trp_mesh_message_t *message,
    ngx_socket_t *fd)
{
    ngx_socket_t  *way;

    if (!message->way
        || message->slot >= NGX_TRP_SLOTS
        || message->slot == mesh->slot
        || *fd == (ngx_socket_t) -1)
    {
        return;
    }

    way = &mesh->pairs[message->slot][0];

    ngx_trp_pass_close(way);

    *way = *fd;
    *fd = (ngx_socket_t) -1;
}
