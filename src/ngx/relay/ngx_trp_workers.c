
/*
 * Copyright (C) the trp authors
 */


/*
 * A channel for each number of a worker.  The master keeps both ends, so that
 * messages survive the worker that should have read them.  Those of an older
 * configuration may be read by a newer one, and the other way round, while both
 * have workers.
 */


#include "relay/ngx_trp_workers.h"
#include "base/ngx_trp_event.h"
#include "base/ngx_trp_pass.h"
#include "stock/ngx_trp_proxied.h"


/*
 * How often a message is passed on, as the number of workers differs before and
 * after a reload; after that a connection stays where it is.
 */

#define NGX_TRP_WORKERS_HOPS  3


typedef enum {
    NGX_TRP_WORKERS_CONNECTION = 1,
    NGX_TRP_WORKERS_TUNNEL,
    NGX_TRP_WORKERS_MOVED
} ngx_trp_workers_type_e;


typedef struct {
    uint32_t            size;               /* of this struct: its version */
    uint32_t            type;
    uint32_t            slot;
    uint32_t            hops;
    uint32_t            server;
    uint32_t            reset;
    ngx_msec_t          start_time;         /* monotonic, so good anywhere */
    ngx_sockaddr_t      listening;
    ngx_sockaddr_t      sockaddr;
    socklen_t           listening_len;
    socklen_t           socklen;
    ngx_trp_proxied_t   proxied;            /* its texts follow; or a group */
} ngx_trp_workers_message_t;


typedef struct {
    ngx_trp_workers_message_t   header;
    u_char                      texts[NGX_TRP_PROXIED_MAX];
} ngx_trp_workers_packet_t;


struct ngx_trp_workers_s {
    ngx_uint_t                  nworkers;
    ngx_uint_t                  nchannels;  /* at least nworkers */
    ngx_socket_t              (*channels)[2];  /* written to [0], read [1] */

    const ngx_trp_workers_handlers_t  *handlers;
    void                       *data;
    unsigned                    exiting:1;
};


static void ngx_trp_workers_close(void *data);
static ngx_int_t ngx_trp_workers_send(ngx_trp_workers_t *workers,
    ngx_uint_t channel, ngx_trp_workers_message_t *message, struct iovec *iov,
    ngx_uint_t niov, ngx_socket_t fd);
static void ngx_trp_workers_handler(ngx_event_t *rev);
static void ngx_trp_workers_leave(ngx_connection_t *cc);
static void ngx_trp_workers_read(ngx_trp_workers_t *workers,
    ngx_trp_workers_packet_t *packet, size_t size, ngx_socket_t fd);
static ngx_int_t ngx_trp_workers_pass_on(ngx_trp_workers_t *workers,
    ngx_trp_workers_packet_t *packet, size_t size, ngx_socket_t fd);
static ngx_listening_t *ngx_trp_workers_listening(
    ngx_trp_workers_message_t *message);
static void ngx_trp_workers_accept(ngx_trp_workers_packet_t *packet,
    size_t size, ngx_socket_t fd);
static ngx_int_t ngx_trp_workers_init_connection(ngx_connection_t *c,
    ngx_listening_t *ls, ngx_trp_workers_message_t *message);


ngx_trp_workers_t *
ngx_trp_workers_create(ngx_cycle_t *cycle, ngx_trp_workers_t *old,
    ngx_uint_t always)
{
    ngx_uint_t           i, n;
    ngx_core_conf_t     *ccf;
    ngx_trp_workers_t   *workers;
    ngx_pool_cleanup_t  *cln;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (!ccf->master
        || (ccf->worker_processes < 2 && old == NULL && !always))
    {
        return NULL;
    }

    workers = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_workers_t));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (workers == NULL || cln == NULL) {
        return NULL;
    }

    workers->nworkers = ccf->worker_processes;

    n = workers->nworkers;

    if (old) {
        n = ngx_max(n, old->nchannels);
    }

    workers->channels = ngx_palloc(cycle->pool, n * sizeof(*workers->channels));
    if (workers->channels == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_workers_close;
    cln->data = workers;

    if (old) {
        workers->nchannels = old->nchannels;
        ngx_memcpy(workers->channels, old->channels,
                   old->nchannels * sizeof(*old->channels));
        old->nchannels = 0;
    }

    for (i = workers->nchannels; i < n; i++) {
        ngx_trp_pass_pair(workers->channels[i], cycle->log);
    }

    workers->nchannels = n;

    return workers;
}


static void
ngx_trp_workers_close(void *data)
{
    ngx_trp_workers_t *workers = data;

    ngx_uint_t  i;

    for (i = 0; i < workers->nchannels; i++) {
        ngx_trp_pass_close(&workers->channels[i][0]);
        ngx_trp_pass_close(&workers->channels[i][1]);
    }
}


/*
 * Those channels that have more than the number of workers are left from before
 * the last reload, and somebody has to read them.
 */

ngx_int_t
ngx_trp_workers_start(ngx_cycle_t *cycle, ngx_trp_workers_t *workers,
    const ngx_trp_workers_handlers_t *handlers, void *data)
{
    ngx_uint_t         i;
    ngx_socket_t      *channel;
    ngx_connection_t  *c;

    if (workers == NULL) {
        return NGX_OK;
    }

    workers->handlers = handlers;
    workers->data = data;

    for (i = 0; i < workers->nchannels; i++) {
        channel = &workers->channels[i][1];

        if (i % workers->nworkers != ngx_worker) {
            ngx_trp_pass_close(channel);
            continue;
        }

        if (*channel == (ngx_socket_t) -1) {
            continue;
        }

        c = ngx_trp_pass_listen(*channel, cycle, ngx_trp_workers_handler,
                                workers);
        if (c == NULL) {
            return NGX_ERROR;
        }

        /* the handler is called when this worker begins to exit */
        c->idle = 1;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_trp_workers_here(ngx_trp_workers_t *workers, ngx_uint_t slot)
{
    return workers == NULL || slot % workers->nworkers == ngx_worker;
}


ngx_int_t
ngx_trp_workers_pass(ngx_trp_workers_t *workers, ngx_uint_t slot,
    ngx_connection_t *c)
{
    ngx_uint_t                  n;
    struct iovec                iov[1 + NGX_TRP_PROXIED_IOVS];
    ngx_listening_t            *ls;
    ngx_trp_workers_message_t   message;

    ngx_memzero(&message, sizeof(ngx_trp_workers_message_t));

    if (ngx_trp_proxied_sockaddr(c, &message.sockaddr, &message.socklen)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ls = c->listening;

    message.type = NGX_TRP_WORKERS_CONNECTION;
    message.slot = slot;
    message.start_time = c->start_time;
    message.listening_len = ls->socklen;
    ngx_memcpy(&message.listening, ls->sockaddr,
               ngx_min(ls->socklen, sizeof(ngx_sockaddr_t)));

    n = ngx_trp_proxied_get(&message.proxied, c, &iov[1]);

    if (ngx_trp_workers_send(workers, slot % workers->nworkers, &message, iov,
                             n, c->fd)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, c->log, ngx_socket_errno,
                      "sendmsg() of a connection to another worker failed");
        return NGX_ERROR;
    }

    /* the other worker has the socket open: closing it leaves epoll armed */

    (void) ngx_trp_event_del(c->read);

    return NGX_OK;
}


void
ngx_trp_workers_forget(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    pool = c->pool;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}


ngx_int_t
ngx_trp_workers_tunnel(ngx_trp_workers_t *workers, ngx_uint_t slot,
    ngx_trp_workers_near_t *near, ngx_socket_t fd)
{
    struct iovec                iov[2];
    ngx_trp_workers_message_t   message;

    if (workers == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&message, sizeof(ngx_trp_workers_message_t));

    message.type = NGX_TRP_WORKERS_TUNNEL;
    message.slot = slot;
    message.server = near->server;
    message.reset = near->reset;

    iov[1].iov_base = near->group.data;
    iov[1].iov_len = near->group.len;

    return ngx_trp_workers_send(workers, slot % workers->nworkers, &message,
                                iov, 1, fd);
}


void
ngx_trp_workers_moved(ngx_trp_workers_t *workers, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_uint_t slot)
{
    ngx_uint_t                  i;
    struct iovec                iov;
    ngx_trp_workers_message_t   message;

    ngx_memzero(&message, sizeof(ngx_trp_workers_message_t));

    message.type = NGX_TRP_WORKERS_MOVED;
    message.slot = slot;
    message.socklen = socklen;
    ngx_memcpy(&message.sockaddr, sockaddr,
               ngx_min(socklen, sizeof(ngx_sockaddr_t)));

    for (i = 0; i < workers->nworkers; i++) {
        if (i != ngx_worker) {
            (void) ngx_trp_workers_send(workers, i, &message, &iov, 0, -1);
        }
    }
}


/* "niov" elements from iov[1]; iov[0] is for the message */

static ngx_int_t
ngx_trp_workers_send(ngx_trp_workers_t *workers, ngx_uint_t channel,
    ngx_trp_workers_message_t *message, struct iovec *iov, ngx_uint_t niov,
    ngx_socket_t fd)
{
    message->size = sizeof(ngx_trp_workers_message_t);

    iov[0].iov_base = message;
    iov[0].iov_len = sizeof(ngx_trp_workers_message_t);

    return ngx_trp_pass_send(workers->channels[channel][0], iov, 1 + niov, fd);
}


static void
ngx_trp_workers_handler(ngx_event_t *rev)
{
    ssize_t                    n;
    ngx_socket_t               fd;
    ngx_connection_t          *cc;
    ngx_trp_workers_packet_t   packet;

    cc = rev->data;

    if (cc->close) {
        ngx_trp_workers_leave(cc);
        return;
    }

    for ( ;; ) {
        n = ngx_trp_pass_recv(cc->fd, &packet, sizeof(packet), &fd, cc->log);

        if (n < 0) {
            return;
        }

        if (n < (ssize_t) sizeof(ngx_trp_workers_message_t)
            || packet.header.size != sizeof(ngx_trp_workers_message_t))
        {
            ngx_log_error(NGX_LOG_ALERT, cc->log, 0,
                          "invalid message from another worker");
            ngx_trp_pass_close(&fd);
            continue;
        }

        ngx_trp_workers_read(cc->data, &packet,
                             n - sizeof(ngx_trp_workers_message_t), fd);
    }
}


/*
 * This worker exits, and that of the next configuration reads from now on.
 * Others have the socket open: closing it leaves epoll armed.
 */

static void
ngx_trp_workers_leave(ngx_connection_t *cc)
{
    ngx_uint_t          i;
    ngx_trp_workers_t  *workers;

    workers = cc->data;

    for (i = 0; i < workers->nchannels; i++) {
        if (workers->channels[i][1] == cc->fd) {
            workers->channels[i][1] = (ngx_socket_t) -1;
        }
    }

    (void) ngx_trp_event_del(cc->read);

    ngx_close_connection(cc);

    if (!workers->exiting) {
        workers->exiting = 1;
        workers->handlers->exiting(workers->data);
    }
}


/* "size" is that of the texts */

static void
ngx_trp_workers_read(ngx_trp_workers_t *workers,
    ngx_trp_workers_packet_t *packet, size_t size, ngx_socket_t fd)
{
    ngx_trp_workers_near_t  near;

    if (packet->header.type == NGX_TRP_WORKERS_MOVED) {
        workers->handlers->moved(workers->data,
                                 &packet->header.sockaddr.sockaddr,
                                 packet->header.slot);
        return;
    }

    if (fd == (ngx_socket_t) -1) {
        return;
    }

    if (ngx_trp_workers_pass_on(workers, packet, size, fd) == NGX_OK) {
        (void) ngx_close_socket(fd);
        return;
    }

    if (packet->header.type == NGX_TRP_WORKERS_TUNNEL) {

        if (!ngx_trp_workers_here(workers, packet->header.slot)) {

            /* no reverse will ever be here: its stream tries once more */

            (void) ngx_close_socket(fd);
            return;
        }

        near.server = packet->header.server;
        near.reset = packet->header.reset;
        near.group.data = packet->texts;
        near.group.len = size;

        workers->handlers->tunnel(workers->data, &near, fd);
        return;
    }

    ngx_trp_workers_accept(packet, size, fd);
}


static ngx_int_t
ngx_trp_workers_pass_on(ngx_trp_workers_t *workers,
    ngx_trp_workers_packet_t *packet, size_t size, ngx_socket_t fd)
{
    ngx_uint_t    slot;
    struct iovec  iov[2];

    slot = packet->header.slot;

    if (ngx_trp_workers_here(workers, slot)
        || packet->header.hops == NGX_TRP_WORKERS_HOPS)
    {
        return NGX_DECLINED;
    }

    packet->header.hops++;

    iov[1].iov_base = packet->texts;
    iov[1].iov_len = size;

    return ngx_trp_workers_send(workers, slot % workers->nworkers,
                                &packet->header, iov, 1, fd);
}


/* one with "reuseport" has as many of them, which are all alike */

static ngx_listening_t *
ngx_trp_workers_listening(ngx_trp_workers_message_t *message)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {

        if (ls[i].type == SOCK_STREAM
            && ngx_cmp_sockaddr(ls[i].sockaddr, ls[i].socklen,
                                &message->listening.sockaddr,
                                message->listening_len, 1)
               == NGX_OK)
        {
            return &ls[i];
        }
    }

    return NULL;
}


/* as ngx_event_accept() does */

static void
ngx_trp_workers_accept(ngx_trp_workers_packet_t *packet, size_t size,
    ngx_socket_t fd)
{
    ngx_pool_t        *pool;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    ls = ngx_trp_workers_listening(&packet->header);
    c = ls ? ngx_get_connection(fd, ngx_cycle->log) : NULL;

    if (c == NULL) {

        /* no connection is free, or the reload has removed the listen */

        (void) ngx_close_socket(fd);
        return;
    }

    pool = ngx_create_pool(ls->pool_size, ngx_cycle->log);

    if (pool == NULL) {
        ngx_close_connection(c);
        return;
    }

    c->pool = pool;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    if (ngx_trp_workers_init_connection(c, ls, &packet->header) != NGX_OK
        || ngx_trp_proxied_start(&packet->header.proxied, c, packet->texts,
                                 size)
           != NGX_OK)
    {
        ngx_trp_workers_forget(c);
    }
}


static ngx_int_t
ngx_trp_workers_init_connection(ngx_connection_t *c, ngx_listening_t *ls,
    ngx_trp_workers_message_t *message)
{
    ngx_log_t  *log;

    log = ngx_palloc(c->pool, sizeof(ngx_log_t));
    c->sockaddr = ngx_palloc(c->pool, sizeof(ngx_sockaddr_t));
    c->addr_text.data = ngx_pnalloc(c->pool, NGX_SOCKADDR_STRLEN);

    if (log == NULL || c->sockaddr == NULL || c->addr_text.data == NULL) {
        return NGX_ERROR;
    }

    *log = ls->log;
    log->data = NULL;
    log->handler = NULL;

    c->log = log;
    c->pool->log = log;
    c->read->log = log;
    c->write->log = log;

    c->type = SOCK_STREAM;
    c->listening = ls;
    c->socklen = message->socklen;
    c->local_sockaddr = ls->sockaddr;
    c->local_socklen = ls->socklen;

    ngx_memcpy(c->sockaddr, &message->sockaddr, sizeof(ngx_sockaddr_t));

    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;

    if (c->sockaddr->sa_family == AF_UNIX) {
        c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
        c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    }

    /* the peer has sent something, or a handler will find out */
    c->read->ready = 1;
    c->write->ready = 1;

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = message->start_time;

    c->requests = 1;

    return NGX_OK;
}
