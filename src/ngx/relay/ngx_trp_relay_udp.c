
/*
 * Copyright (C) the trp authors
 */


/*
 * Sockets, ids and workers.  A worker that begins to exit reads no more: the
 * workers of the next configuration have the same sockets, and pass on what is
 * not theirs.  It sends from a socket that has the same address but receives
 * nothing, as it is connected to itself, so that no new client's packets end
 * in a socket that nobody reads.
 */


#include "relay/ngx_trp_relay_udp.h"

#if (NGX_TRP_QUIC)

#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_event.h"
#include "base/ngx_trp_memory.h"
#include "base/ngx_trp_pass.h"
#include "base/trp_hash.h"
#include "stock/ngx_trp_listener.h"
#include "tunnel/trp_quic_id.h"
#include "udp/ngx_trp_udp_batch.h"
#include "udp/ngx_trp_udp_listen.h"

#include <sodium.h>


#define NGX_TRP_RELAY_UDP_SLOTS   256

#define NGX_TRP_RELAY_UDP_BATCH   32

#define NGX_TRP_RELAY_UDP_DATAGRAM  1      /* a type of message */

/* what may follow an invalid packet, in a second */
#define NGX_TRP_RELAY_UDP_RESETS  100


/* a socket for sending, of a worker that exits */

typedef struct {
    ngx_listening_t           *listening;
    ngx_socket_t               fd;
} ngx_trp_relay_udp_spare_t;


struct ngx_trp_relay_udp_s {
    ngx_trp_relay_udp_shared_t  *shared;
    ngx_trp_slots_t            slots;
    ngx_trp_mesh_t            *mesh;
    ngx_uint_t                 nworkers;
    ngx_array_t                spares;      /* ngx_trp_relay_udp_spare_t */
    ngx_int_t                (*number)(void *data, void **srv_conf);
    void                      *number_data;

    ngx_array_t                sockets;     /* ngx_trp_relay_socket_t */
    trp_hash_t                 ids;         /* ngx_trp_relay_id_t */
    trp_memory_t               memory;
    ngx_trp_udp_batch_t       *batch;
    time_t                     second;
    ngx_uint_t                 resets;      /* in this second */
    unsigned                   no_gso:1;

    ngx_trp_relay_initial_pt   initial;
    void                      *data;
    ngx_log_t                 *log;
};


typedef struct {
    trp_hash_node_t            node;        /* in udp->ids */
    ngx_queue_t                queue;       /* in route->ids */
    ngx_trp_relay_route_t     *route;
    ngx_trp_quic_cid_t         id;
} ngx_trp_relay_id_t;


typedef struct {
    ngx_trp_mesh_message_t     mesh;
    ngx_sockaddr_t             listening;
    ngx_sockaddr_t             local;
    ngx_sockaddr_t             remote;
    socklen_t                  socklen;
    socklen_t                  local_len;
    socklen_t                  remote_len;
    ngx_uint_t                 ecn;
} ngx_trp_relay_udp_message_t;


static ngx_int_t ngx_trp_relay_udp_spare(ngx_trp_relay_udp_t *udp,
    ngx_listening_t *ls, ngx_log_t *log);
static void ngx_trp_relay_udp_close_spares(void *data);
static ngx_int_t ngx_trp_relay_udp_take(ngx_trp_relay_udp_t *udp,
    ngx_cycle_t *cycle, ngx_uint_t i, ngx_uint_t number);
static void ngx_trp_relay_udp_options(ngx_connection_t *c,
    ngx_listening_t *ls);
static void ngx_trp_relay_udp_read_handler(ngx_event_t *rev);
static void ngx_trp_relay_udp_write_handler(ngx_event_t *wev);
static void ngx_trp_relay_udp_exit(ngx_trp_relay_socket_t *socket);
static void ngx_trp_relay_udp_received(ngx_trp_relay_socket_t *socket,
    ngx_uint_t i);
static void ngx_trp_relay_udp_packet(ngx_trp_relay_udp_t *udp,
    ngx_trp_relay_socket_t *socket, ngx_trp_relay_datagram_t *d,
    ngx_trp_relay_udp_message_t *message);
static ngx_trp_relay_id_t *ngx_trp_relay_udp_find(ngx_trp_relay_udp_t *udp,
    const ngx_trp_quic_cid_t *id);
static ngx_uint_t ngx_trp_relay_udp_owner(ngx_trp_relay_udp_t *udp,
    const ngx_trp_quic_packet_t *packet);
static ngx_int_t ngx_trp_relay_udp_pass(ngx_trp_relay_socket_t *socket,
    ngx_uint_t slot, ngx_trp_relay_datagram_t *d);
static void ngx_trp_relay_udp_reset(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d);
static void ngx_trp_relay_udp_message(void *data, ngx_trp_mesh_message_t *mm,
    u_char *payload, size_t len, ngx_socket_t fd);
static ngx_int_t ngx_trp_relay_udp_write(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_path_t *path, u_char *p, size_t len, size_t segment,
    ngx_uint_t ecn);


ngx_trp_relay_udp_shared_t *
ngx_trp_relay_udp_create_shared(ngx_slab_pool_t *shpool)
{
    ngx_trp_relay_udp_shared_t  *shared;

    shared = ngx_slab_calloc(shpool, sizeof(ngx_trp_relay_udp_shared_t));
    if (shared == NULL) {
        return NULL;
    }

    shared->slots.n = NGX_TRP_RELAY_UDP_SLOTS;
    shared->slots.slots = ngx_slab_calloc(shpool, NGX_TRP_RELAY_UDP_SLOTS
                                                  * sizeof(ngx_trp_slot_t));
    if (shared->slots.slots == NULL) {
        return NULL;
    }

    randombytes_buf(shared->secret, sizeof(shared->secret));
    randombytes_buf(shared->hash_key, sizeof(shared->hash_key));

    return shared;
}


ngx_trp_relay_udp_t *
ngx_trp_relay_udp_create(ngx_cycle_t *cycle,
    ngx_trp_relay_udp_shared_t *shared, ngx_slab_pool_t *shpool,
    ngx_int_t (*number)(void *data, void **srv_conf), void *data,
    ngx_trp_relay_udp_t *old)
{
    ngx_uint_t            i, n;
    ngx_core_conf_t      *ccf;
    ngx_listening_t      *ls;
    ngx_pool_cleanup_t   *cln;
    ngx_trp_relay_udp_t  *udp;

    udp = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_relay_udp_t));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (udp == NULL || cln == NULL
        || ngx_array_init(&udp->spares, cycle->pool, 2,
                          sizeof(ngx_trp_relay_udp_spare_t))
           != NGX_OK)
    {
        return NULL;
    }

    udp->shared = shared;
    udp->number = number;
    udp->number_data = data;
    udp->slots.shared = &shared->slots;
    udp->slots.mutex = &shpool->mutex;
    udp->slots.what = "its QUIC connections";

    cln->handler = ngx_trp_relay_udp_close_spares;
    cln->data = udp;

    ls = cycle->listening.elts;

    for (n = 0, i = 0; i < cycle->listening.nelts; i++) {

        if (ngx_trp_udp_listen_number(&ls[i], number, data, "trp_relay",
                                      cycle->log)
            == NGX_DECLINED)
        {
            continue;
        }

        n++;

        ngx_trp_listener_buffers(&ls[i]);

        if (ngx_trp_relay_udp_spare(udp, &ls[i], cycle->log) != NGX_OK) {
            return NULL;
        }
    }

    if (n == 0 && old == NULL) {
        return NULL;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    udp->nworkers = ccf->master ? (ngx_uint_t) ccf->worker_processes : 1;

    udp->mesh = ngx_trp_mesh_create(cycle, &udp->slots, old ? old->mesh : NULL,
                                    sizeof(ngx_trp_relay_udp_message_t),
                                    "QUIC");

    return udp->mesh ? udp : NULL;
}


/* one of each address, though there are several sockets with "reuseport" */

static ngx_int_t
ngx_trp_relay_udp_spare(ngx_trp_relay_udp_t *udp, ngx_listening_t *ls,
    ngx_log_t *log)
{
    int                         one;
    ngx_uint_t                  i;
    ngx_socket_t                s;
    ngx_sockaddr_t              own;
    ngx_trp_relay_udp_spare_t  *spare;

    spare = udp->spares.elts;

    for (i = 0; i < udp->spares.nelts; i++) {
        if (ngx_cmp_sockaddr(spare[i].listening->sockaddr,
                             spare[i].listening->socklen, ls->sockaddr,
                             ls->socklen, 1)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    ngx_memcpy(&own, ls->sockaddr, ls->socklen);

    if (ls->wildcard) {

        /* to the loopback address */

#if (NGX_HAVE_INET6)
        if (own.sockaddr.sa_family == AF_INET6) {
            own.sockaddr_in6.sin6_addr = in6addr_loopback;
        } else
#endif
        own.sockaddr_in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }

    one = 1;

    s = socket(ls->sockaddr->sa_family, SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC,
               0);

    if (s != (ngx_socket_t) -1
        && (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1
#if (NGX_HAVE_INET6)
            || (ls->sockaddr->sa_family == AF_INET6
                && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))
                   == -1)
#endif
            || bind(s, ls->sockaddr, ls->socklen) == -1
            || connect(s, &own.sockaddr, ls->socklen) == -1))
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "no second socket for %V", &ls->addr_text);
        ngx_trp_pass_close(&s);
    }

    spare = ngx_array_push(&udp->spares);

    if (spare == NULL) {
        ngx_trp_pass_close(&s);
        return NGX_ERROR;
    }

    spare->listening = ls;
    spare->fd = s;

    return NGX_OK;
}


static void
ngx_trp_relay_udp_close_spares(void *data)
{
    ngx_trp_relay_udp_t *udp = data;

    ngx_uint_t                  i;
    ngx_trp_relay_udp_spare_t  *spare;

    spare = udp->spares.elts;

    for (i = 0; i < udp->spares.nelts; i++) {
        ngx_trp_pass_close(&spare[i].fd);
    }
}


ngx_int_t
ngx_trp_relay_udp_start(ngx_cycle_t *cycle, ngx_trp_relay_udp_t *udp,
    ngx_trp_relay_initial_pt initial, void *data)
{
    ngx_int_t                number;
    ngx_uint_t               i;
    ngx_listening_t         *ls;
    ngx_trp_relay_socket_t  *socket;

    if (udp == NULL) {
        return NGX_OK;
    }

    udp->log = cycle->log;
    udp->initial = initial;
    udp->data = data;

    ngx_trp_memory_init(&udp->memory, cycle->log);
    trp_hash_init(&udp->ids, udp->shared->hash_key, &udp->memory);

    udp->batch = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_udp_batch_t));

    if (udp->batch == NULL
        || ngx_trp_udp_batch_init(udp->batch, cycle, NGX_TRP_RELAY_UDP_BATCH,
                                  0, 0)
           != NGX_OK
        || ngx_trp_mesh_init_worker(cycle, udp->mesh,
                                    ngx_trp_relay_udp_message, udp)
           != NGX_OK
        || ngx_array_init(&udp->sockets, cycle->pool, 4,
                          sizeof(ngx_trp_relay_socket_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_trp_slots_enter(&udp->slots, ngx_trp_mesh_slot(udp->mesh));

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        number = ngx_trp_udp_listen_number(&ls[i], udp->number,
                                           udp->number_data, "trp_relay",
                                           cycle->log);

        if (number != NGX_DECLINED
            && ngx_trp_relay_udp_take(udp, cycle, i, number) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* from here on, the array does not move */

    socket = udp->sockets.elts;

    for (i = 0; i < udp->sockets.nelts; i++) {
        ngx_queue_init(&socket[i].blocked);

        socket[i].connection->data = &socket[i];

        if (socket[i].reads
            && ngx_add_event(socket[i].connection->read, NGX_READ_EVENT, 0)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_trp_relay_udp_stop(ngx_trp_relay_udp_t *udp)
{
    if (udp) {
        ngx_trp_slots_leave(&udp->slots, ngx_trp_mesh_slot(udp->mesh));
    }
}


/* each worker sends, one of them reads */

static ngx_int_t
ngx_trp_relay_udp_take(ngx_trp_relay_udp_t *udp, ngx_cycle_t *cycle,
    ngx_uint_t i, ngx_uint_t number)
{
    ngx_uint_t               here;
    ngx_listening_t         *ls;
    ngx_connection_t        *c;
    ngx_trp_relay_socket_t  *socket;

    ls = (ngx_listening_t *) cycle->listening.elts + i;

    here = ngx_trp_udp_listen_here(cycle, i);

#if (NGX_HAVE_REUSEPORT)
    if (ls->reuseport && !here) {
        return NGX_OK;
    }
#endif

    c = ngx_trp_udp_listen_take(ls, udp->log);
    socket = ngx_array_push(&udp->sockets);

    if (c == NULL || socket == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(socket, sizeof(ngx_trp_relay_socket_t));

    socket->udp = udp;
    socket->number = number;
    socket->listening = ls;
    socket->connection = c;
    socket->reads = here;

    c->idle = 1;
    c->log = udp->log;
    c->read->log = udp->log;
    c->write->log = udp->log;
    c->read->handler = ngx_trp_relay_udp_read_handler;
    c->write->handler = ngx_trp_relay_udp_write_handler;

    ngx_trp_relay_udp_options(c, ls);

    return NGX_OK;
}


static void
ngx_trp_relay_udp_options(ngx_connection_t *c, ngx_listening_t *ls)
{
    int  one;

    one = 1;

#if (NGX_HAVE_INET6)

    if (ls->sockaddr->sa_family == AF_INET6) {
        (void) setsockopt(c->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one,
                          sizeof(one));
        return;
    }

#endif

    (void) setsockopt(c->fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
}


static void
ngx_trp_relay_udp_read_handler(ngx_event_t *rev)
{
    ngx_int_t                n;
    ngx_uint_t               i, first, more, turns;
    ngx_connection_t        *c;
    ngx_trp_udp_batch_t     *batch;
    ngx_trp_relay_socket_t  *socket;

    c = rev->data;
    socket = c->data;

    if (c->close) {
        ngx_trp_relay_udp_exit(socket);
        return;
    }

    batch = socket->udp->batch;

    for (turns = 0; turns < NGX_TRP_UDP_BATCHES; turns++) {
        n = ngx_trp_udp_batch_recv(batch, c->fd, &first, &more);

        for (i = first; n > 0 && i < first + n; i++) {
            ngx_trp_relay_udp_received(socket, i);
        }

        if (n <= 0 || !more) {
            return;
        }
    }

    /* after a write event, the read event is edge-triggered */

    ngx_post_event(rev, &ngx_posted_next_events);
}


static void
ngx_trp_relay_udp_write_handler(ngx_event_t *wev)
{
    ngx_queue_t             *q;
    ngx_connection_t        *c;
    ngx_trp_relay_route_t   *route;
    ngx_trp_relay_socket_t  *socket;

    c = wev->data;
    socket = c->data;

    (void) ngx_trp_event_del(wev);

    while (!ngx_queue_empty(&socket->blocked)) {
        q = ngx_queue_head(&socket->blocked);
        route = ngx_queue_data(q, ngx_trp_relay_route_t, queue);

        ngx_queue_remove(q);
        route->blocked = 0;

        ngx_trp_quic_writable(route->quic);
    }
}


static void
ngx_trp_relay_udp_exit(ngx_trp_relay_socket_t *socket)
{
    ngx_uint_t                  i;
    ngx_connection_t           *c, *spare_c;
    ngx_trp_relay_udp_t        *udp;
    ngx_trp_relay_udp_spare_t  *spare;

    c = socket->connection;
    udp = socket->udp;

    c->close = 0;
    c->idle = 0;

    ngx_trp_slots_switched(&udp->slots, ngx_trp_mesh_slot(udp->mesh));

    /* epoll keeps a socket that other processes have open */

    if (socket->reads) {
        (void) ngx_trp_event_del(c->read);
    }

    if (c->write->active) {
        (void) ngx_trp_event_del(c->write);
    }

    socket->reads = 0;

    spare = udp->spares.elts;
    spare_c = NULL;

    for (i = 0; i < udp->spares.nelts; i++) {
        if (spare[i].fd != (ngx_socket_t) -1
            && ngx_cmp_sockaddr(spare[i].listening->sockaddr,
                                spare[i].listening->socklen,
                                socket->listening->sockaddr,
                                socket->listening->socklen, 1)
               == NGX_OK)
        {
            spare_c = ngx_get_connection(spare[i].fd, udp->log);

            if (spare_c) {
                spare[i].fd = (ngx_socket_t) -1;
            }
        }
    }

    socket->connection = spare_c;

    if (spare_c) {
        /* for nginx, a worker may exit with it */
        spare_c->read->channel = 1;

        spare_c->data = socket;
        spare_c->log = udp->log;
        spare_c->read->log = udp->log;
        spare_c->write->log = udp->log;
        spare_c->read->handler = ngx_trp_relay_udp_read_handler;
        spare_c->write->handler = ngx_trp_relay_udp_write_handler;

        if (!ngx_queue_empty(&socket->blocked)) {
            ngx_post_event(spare_c->write, &ngx_posted_events);
        }
    }

    ngx_close_connection(c);
}


static void
ngx_trp_relay_udp_received(ngx_trp_relay_socket_t *socket, ngx_uint_t i)
{
    size_t                     segment, left;
    trp_addr_t                 to;
    ngx_sockaddr_t             local;
    ngx_listening_t           *ls;
    ngx_trp_udp_batch_t       *batch;
    ngx_trp_relay_datagram_t   d;

    ls = socket->listening;
    batch = socket->udp->batch;

    d.data = ngx_trp_udp_batch_data(batch, i, &left);

    ngx_trp_udp_batch_marks(batch, i, &segment, &d.ecn);

    d.path.remote = ngx_trp_udp_batch_from(batch, i);
    d.path.remote_len = ls->socklen;
    d.path.local = ls->sockaddr;
    d.path.local_len = ls->socklen;

    if (ngx_inet_get_port(d.path.remote) == 0) {
        return;
    }

    if (ls->wildcard && ngx_trp_udp_batch_to(batch, i, &to)) {
        d.path.local_len = ngx_trp_addr_to_sockaddr(&local, &to,
                                             ngx_inet_get_port(ls->sockaddr));
        d.path.local = &local.sockaddr;
    }

    while (left) {
        d.len = segment ? ngx_min(segment, left) : left;

        ngx_trp_relay_udp_packet(socket->udp, socket, &d, NULL);

        d.data += d.len;
        left -= d.len;
    }
}


/* "message": another worker has received it */

static void
ngx_trp_relay_udp_packet(ngx_trp_relay_udp_t *udp,
    ngx_trp_relay_socket_t *socket, ngx_trp_relay_datagram_t *d,
    ngx_trp_relay_udp_message_t *message)
{
    u_char                  buf[NGX_TRP_QUIC_INITIAL];
    ngx_int_t               rc;
    ngx_uint_t              slot;
    ngx_trp_relay_id_t     *id;
    ngx_trp_quic_packet_t   packet;

    rc = ngx_trp_quic_packet(&packet, d->data, d->len, TRP_QUIC_ID_LEN);

    if (rc == NGX_DECLINED && d->len >= NGX_TRP_QUIC_INITIAL && socket) {
        ngx_trp_relay_udp_answer(socket, &d->path, buf,
                                 ngx_trp_quic_write_versions(buf, &packet));
    }

    if (rc != NGX_OK) {
        return;
    }

    id = ngx_trp_relay_udp_find(udp, &packet.dcid);

    if (id) {
        if (id->route->quic) {
            ngx_trp_quic_input(id->route->quic, &d->path, d->data, d->len,
                               d->ecn);
        }

        return;
    }

    if (socket == NULL) {
        return;
    }

    if (message == NULL) {
        slot = ngx_trp_relay_udp_owner(udp, &packet);

        if (slot != NGX_TRP_NO_SLOT
            && ngx_trp_relay_udp_pass(socket, slot, d) == NGX_OK)
        {
            return;
        }
    }

    if (packet.is_initial) {

        if (d->len >= NGX_TRP_QUIC_INITIAL && !ngx_exiting) {
            udp->initial(udp->data, socket, &packet, d);
        }

        return;
    }

    if (!packet.is_long) {
        ngx_trp_relay_udp_reset(socket, &packet, d);
    }
}


static ngx_trp_relay_id_t *
ngx_trp_relay_udp_find(ngx_trp_relay_udp_t *udp, const ngx_trp_quic_cid_t *id)
{
    trp_hash_node_t     *node;
    ngx_trp_relay_id_t  *found;

    for (node = trp_hash_find(&udp->ids, trp_hash(&udp->ids, id->data,
                                                  id->len));
         node;
         node = trp_hash_next(node))
    {
        found = trp_of(ngx_trp_relay_id_t, node, node);

        if (found->id.len == id->len
            && ngx_memcmp(found->id.data, id->data, id->len) == 0)
        {
            return found;
        }
    }

    return NULL;
}


/* the slot of another worker, or NGX_TRP_NO_SLOT */

static ngx_uint_t
ngx_trp_relay_udp_owner(ngx_trp_relay_udp_t *udp,
    const ngx_trp_quic_packet_t *packet)
{
    int         n;
    ngx_uint_t  slot;

    n = trp_quic_id_get(packet->dcid.data, packet->dcid.len);

    if (n >= 0) {
        slot = n;

    } else if (packet->is_initial) {
        n = trp_quic_hint_get(packet->dcid.data, packet->dcid.len);

        if (n < 0) {
            return NGX_TRP_NO_SLOT;
        }

        slot = ngx_trp_mesh_slot_of(udp->mesh, n % udp->nworkers);

    } else {
        return NGX_TRP_NO_SLOT;
    }

    return (slot != ngx_trp_mesh_slot(udp->mesh)
            && ngx_trp_slots_alive(&udp->slots, slot))
           ? slot : NGX_TRP_NO_SLOT;
}


static ngx_int_t
ngx_trp_relay_udp_pass(ngx_trp_relay_socket_t *socket, ngx_uint_t slot,
    ngx_trp_relay_datagram_t *d)
{
    ngx_trp_relay_udp_message_t  message;

    ngx_memzero(&message, sizeof(ngx_trp_relay_udp_message_t));

    message.mesh.type = NGX_TRP_RELAY_UDP_DATAGRAM;
    message.socklen = socket->listening->socklen;
    message.local_len = d->path.local_len;
    message.remote_len = d->path.remote_len;
    message.ecn = d->ecn;

    ngx_memcpy(&message.listening, socket->listening->sockaddr,
               message.socklen);
    ngx_memcpy(&message.local, d->path.local, d->path.local_len);
    ngx_memcpy(&message.remote, d->path.remote, d->path.remote_len);

    if (ngx_trp_mesh_send(socket->udp->mesh, slot, &message.mesh, d->data,
                          d->len, (ngx_socket_t) -1)
        == NGX_OK)
    {
        return NGX_OK;
    }

    /* a full channel loses it, as a network may */

    return (ngx_socket_errno == NGX_EAGAIN) ? NGX_OK : NGX_ERROR;
}


/* the worker that had this connection is gone: its client learns at once */

static void
ngx_trp_relay_udp_reset(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d)
{
    u_char                buf[NGX_TRP_QUIC_INITIAL];
    ngx_trp_relay_udp_t  *udp;

    udp = socket->udp;

    if (udp->second != ngx_time()) {
        udp->second = ngx_time();
        udp->resets = 0;
    }

    if (udp->resets++ >= NGX_TRP_RELAY_UDP_RESETS) {
        return;
    }

    ngx_trp_relay_udp_answer(socket, &d->path, buf,
                             ngx_trp_quic_write_reset(buf, packet, d->len,
                                                      udp->shared->secret));
}


static void
ngx_trp_relay_udp_message(void *data, ngx_trp_mesh_message_t *mm,
    u_char *payload, size_t len, ngx_socket_t fd)
{
    ngx_trp_relay_udp_t *udp = data;

    ngx_uint_t                    i;
    ngx_trp_relay_socket_t       *socket, *found;
    ngx_trp_relay_datagram_t      d;
    ngx_trp_relay_udp_message_t  *message;

    ngx_trp_pass_close(&fd);

    if (mm->type != NGX_TRP_RELAY_UDP_DATAGRAM) {
        return;
    }

    message = trp_of(ngx_trp_relay_udp_message_t, mesh, mm);

    found = NULL;
    socket = udp->sockets.elts;

    for (i = 0; i < udp->sockets.nelts; i++) {
        if (ngx_cmp_sockaddr(socket[i].listening->sockaddr,
                             socket[i].listening->socklen,
                             &message->listening.sockaddr, message->socklen, 1)
            == NGX_OK)
        {
            found = &socket[i];
        }
    }

    d.path.local = &message->local.sockaddr;
    d.path.local_len = message->local_len;
    d.path.remote = &message->remote.sockaddr;
    d.path.remote_len = message->remote_len;
    d.data = payload;
    d.len = len;
    d.ecn = message->ecn;

    ngx_trp_relay_udp_packet(udp, found, &d, message);
}


const u_char *
ngx_trp_relay_udp_secret(ngx_trp_relay_udp_t *udp)
{
    return udp->shared->secret;
}


void
ngx_trp_relay_udp_make_id(ngx_trp_relay_udp_t *udp, u_char *buf)
{
    u_char  random[TRP_QUIC_ID_RANDOM];

    randombytes_buf(random, sizeof(random));

    trp_quic_id_put(buf, (unsigned) ngx_trp_mesh_slot(udp->mesh), random);
}


ngx_int_t
ngx_trp_relay_udp_add(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_cid_t *id)
{
    ngx_trp_relay_id_t   *own;
    ngx_trp_relay_udp_t  *udp;

    udp = route->socket->udp;

    own = ngx_alloc(sizeof(ngx_trp_relay_id_t), udp->log);
    if (own == NULL) {
        return NGX_ERROR;
    }

    own->route = route;
    own->id = *id;

    ngx_queue_insert_tail(&route->ids, &own->queue);

    trp_hash_insert(&udp->ids, &own->node,
                    trp_hash(&udp->ids, id->data, id->len));

    return NGX_OK;
}


void
ngx_trp_relay_udp_remove(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_cid_t *id)
{
    ngx_queue_t         *q;
    ngx_trp_relay_id_t  *own;

    for (q = ngx_queue_head(&route->ids);
         q != ngx_queue_sentinel(&route->ids);
         q = ngx_queue_next(q))
    {
        own = ngx_queue_data(q, ngx_trp_relay_id_t, queue);

        if (own->id.len == id->len
            && ngx_memcmp(own->id.data, id->data, id->len) == 0)
        {
            ngx_queue_remove(q);
            trp_hash_remove(&route->socket->udp->ids, &own->node);
            ngx_free(own);
            return;
        }
    }
}


void
ngx_trp_relay_udp_forget(ngx_trp_relay_route_t *route)
{
    ngx_queue_t         *q;
    ngx_trp_relay_id_t  *own;

    if (route->blocked) {
        ngx_queue_remove(&route->queue);
        route->blocked = 0;
    }

    while (!ngx_queue_empty(&route->ids)) {
        q = ngx_queue_head(&route->ids);
        own = ngx_queue_data(q, ngx_trp_relay_id_t, queue);

        ngx_queue_remove(q);
        trp_hash_remove(&route->socket->udp->ids, &own->node);
        ngx_free(own);
    }
}


ngx_int_t
ngx_trp_relay_udp_send(ngx_trp_relay_route_t *route,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packets_t *packets)
{
    ngx_int_t                rc;
    ngx_trp_relay_socket_t  *socket;

    socket = route->socket;

    rc = ngx_trp_relay_udp_write(socket, path, packets->data, packets->len,
                                 packets->segment, packets->ecn);

    if (rc != NGX_AGAIN) {
        return NGX_OK;
    }

    if (!route->blocked) {
        route->blocked = 1;
        ngx_queue_insert_tail(&socket->blocked, &route->queue);
    }

    if (!socket->connection->write->active
        && ngx_add_event(socket->connection->write, NGX_WRITE_EVENT, 0)
           != NGX_OK)
    {
        ngx_queue_remove(&route->queue);
        route->blocked = 0;
        return NGX_OK;
    }

    return NGX_AGAIN;
}


void
ngx_trp_relay_udp_answer(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_path_t *path, u_char *p, size_t len)
{
    if (len) {
        (void) ngx_trp_relay_udp_write(socket, path, p, len, len, 0);
    }
}


/* NGX_AGAIN: nothing was sent; NGX_OK: it was, or is lost */

static ngx_int_t
ngx_trp_relay_udp_write(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_path_t *path, u_char *p, size_t len, size_t segment,
    ngx_uint_t ecn)
{
    size_t                n;
    ssize_t               rc;
    in_port_t             port;
    trp_addr_t            source;
    ngx_socket_t          fd;
    ngx_trp_relay_udp_t  *udp;

    udp = socket->udp;

    if (socket->connection == NULL) {
        return NGX_OK;
    }

    fd = socket->connection->fd;

    source.family = 0;

    if (socket->listening->wildcard) {
        ngx_trp_addr_from_sockaddr(&source, &port, path->local);
    }

    if (!udp->no_gso) {
        rc = ngx_trp_udp_send(fd, path->remote, path->remote_len, &source, p,
                              len, segment, ecn);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc > 0 || len <= segment) {
            return NGX_OK;
        }

        /* the path or its device does not support segmentation */

        if (ngx_socket_errno == EIO) {
            udp->no_gso = 1;
        }
    }

    for (rc = NGX_OK; len; p += n, len -= n) {
        n = ngx_min(len, segment);

        rc = ngx_trp_udp_send(fd, path->remote, path->remote_len, &source, p,
                              n, n, ecn);
    }

    return NGX_OK;
}


#endif
