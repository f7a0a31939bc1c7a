
/*
 * Copyright (C) the trp authors
 */


/*
 * Passes connections to the worker of their group.  The ClientHello is only
 * peeked at, so that it is still in the socket there.  Channels belong to the
 * master, so messages in one survive its worker.
 */


#include "relay/ngx_trp_steer.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_event.h"
#include "base/ngx_trp_pass.h"


#define NGX_TRP_STEER_HELLO  (5 + 16384)     /* one TLS record, or many */

/* addresses whose last connection was MOVED, and for how long that counts */
#define NGX_TRP_STEER_MOVES  64
#define NGX_TRP_STEER_TIME   5000

/* in place of a slot: hints from this address can be read */
#define NGX_TRP_STEER_HINTS  0x100

/* in place of a listening socket: the message is about a MOVED address */
#define NGX_TRP_STEER_MOVED  0xffffffff


typedef struct {
    trp_addr_t        addr;
    ngx_uint_t        slot;
    ngx_msec_t        until;
} ngx_trp_steer_move_t;


struct ngx_trp_steer_s {
    ngx_uint_t        nworkers;
    ngx_uint_t        nlistening;            /* a worker that exits has none */
    ngx_socket_t    (*channels)[2];          /* written to [0], read from [1] */

    ngx_trp_steer_move_t  moves[NGX_TRP_STEER_MOVES];
    ngx_uint_t        nmoves;                /* moves ever added */
};


typedef struct {
    uint32_t          listening;             /* index in the cycle's array */
    uint32_t          slot;
    uint32_t          socklen;
    ngx_msec_t        start_time;            /* monotonic, so good anywhere */
    ngx_sockaddr_t    sockaddr;
} ngx_trp_steer_message_t;


static void ngx_trp_steer_close(void *data);
static int ngx_trp_steer_slot(ngx_trp_steer_t *st, ngx_connection_t *c,
    u_char *buf, size_t n);
static ngx_trp_steer_move_t *ngx_trp_steer_find(ngx_trp_steer_t *st,
    struct sockaddr *sockaddr, trp_addr_t *addr);
static void ngx_trp_steer_remember(ngx_trp_steer_t *st,
    struct sockaddr *sockaddr, ngx_uint_t slot);
static ngx_int_t ngx_trp_steer_send(ngx_socket_t channel, ngx_connection_t *c);
static void ngx_trp_steer_channel_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_steer_recv(ngx_connection_t *cc,
    ngx_trp_steer_message_t *message, ngx_socket_t *s);
static void ngx_trp_steer_accept(ngx_trp_steer_message_t *message,
    ngx_socket_t s);
static ngx_int_t ngx_trp_steer_init_connection(ngx_connection_t *c,
    ngx_listening_t *ls, ngx_trp_steer_message_t *message);


ngx_trp_steer_t *
ngx_trp_steer_create(ngx_cycle_t *cycle)
{
    ngx_uint_t           i;
    ngx_core_conf_t     *ccf;
    ngx_trp_steer_t     *st;
    ngx_pool_cleanup_t  *cln;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (!ccf->master || ccf->worker_processes < 2) {
        return NULL;
    }

    st = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_steer_t));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (st == NULL || cln == NULL) {
        return NULL;
    }

    st->channels = ngx_palloc(cycle->pool,
                              ccf->worker_processes * sizeof(*st->channels));
    if (st->channels == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_steer_close;
    cln->data = st;

    for (i = 0; i < (ngx_uint_t) ccf->worker_processes; i++) {
        ngx_trp_pass_pair(st->channels[i], cycle->log);
        st->nworkers++;
    }

    return st;
}


static void
ngx_trp_steer_close(void *data)
{
    ngx_trp_steer_t *st = data;

    ngx_uint_t  i;

    for (i = 0; i < st->nworkers; i++) {
        ngx_trp_pass_close(&st->channels[i][0]);
        ngx_trp_pass_close(&st->channels[i][1]);
    }
}


/*
 * The master keeps both ends of every channel: a worker that replaces a dead
 * one inherits its channel, with the messages in it.  A worker closes the
 * reading ends of the others: after a reload the master has closed its own, and
 * sending to a worker that has exited must fail.
 */

ngx_int_t
ngx_trp_steer_init_worker(ngx_cycle_t *cycle, ngx_trp_steer_t *st)
{
    ngx_uint_t  i;

    if (st == NULL || ngx_worker >= st->nworkers) {
        return NGX_OK;
    }

    st->nlistening = cycle->listening.nelts;

    for (i = 0; i < st->nworkers; i++) {
        if (i != ngx_worker) {
            ngx_trp_pass_close(&st->channels[i][1]);
        }
    }

    if (st->channels[ngx_worker][1] == (ngx_socket_t) -1) {
        return NGX_OK;
    }

    return ngx_trp_pass_listen(st->channels[ngx_worker][1], cycle,
                               ngx_trp_steer_channel_handler, st)
           ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_trp_steer_here(ngx_trp_steer_t *st, ngx_uint_t slot)
{
    return st == NULL || slot % st->nworkers == ngx_worker;
}


ngx_int_t
ngx_trp_steer_connection(ngx_trp_steer_t *st, ngx_connection_t *c)
{
    int       slot;
    ssize_t   n;
    u_char    buf[NGX_TRP_STEER_HELLO];

    n = recv(c->fd, buf, NGX_TRP_STEER_HELLO, MSG_PEEK);

    if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    if (n <= 0) {

        /* the next read will find out why */
        return NGX_DECLINED;
    }

    slot = ngx_trp_steer_slot(st, c, buf, n);

    if (slot == TRP_AGAIN && n < NGX_TRP_STEER_HELLO
        && !c->read->pending_eof)
    {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    if (slot < 0 || ngx_trp_steer_here(st, slot) || ngx_exiting) {
        return NGX_DECLINED;
    }

    if (ngx_trp_steer_send(st->channels[slot % st->nworkers][0], c) != NGX_OK)
    {
        /* this worker tells the agent to dial again */
        return NGX_DECLINED;
    }

    /* the other worker has the socket open: closing it leaves epoll armed */

    if (ngx_trp_event_del(c->read) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/*
 * The slot of the hint; or the one that the last connection from this address
 * was MOVED to, unless another worker has just passed it here.  Agents whose
 * hints can be read are not affected: those at one address may belong to
 * different workers.
 */

static int
ngx_trp_steer_slot(ngx_trp_steer_t *st, ngx_connection_t *c, u_char *buf,
    size_t n)
{
    int                    slot;
    trp_addr_t             addr;
    ngx_trp_steer_move_t  *move;

    slot = trp_hello_slot(buf, n);

    if (st == NULL || c->requests
        || (slot == TRP_AGAIN && n < NGX_TRP_STEER_HELLO))
    {
        return slot;
    }

    if (slot >= 0) {
        ngx_trp_steer_remember(st, c->sockaddr, NGX_TRP_STEER_HINTS);
        return slot;
    }

    move = ngx_trp_steer_find(st, c->sockaddr, &addr);

    return (move && move->slot != NGX_TRP_STEER_HINTS) ? (int) move->slot
                                                       : TRP_DECLINED;
}


void
ngx_trp_steer_moved(ngx_trp_steer_t *st, ngx_connection_t *c, ngx_uint_t slot)
{
    ngx_uint_t                i;
    struct iovec              iov;
    ngx_trp_steer_message_t   message;

    if (st == NULL) {
        return;
    }

    ngx_memzero(&message, sizeof(ngx_trp_steer_message_t));

    message.listening = NGX_TRP_STEER_MOVED;
    message.slot = slot;
    message.socklen = c->socklen;
    ngx_memcpy(&message.sockaddr, c->sockaddr,
               ngx_min(c->socklen, sizeof(ngx_sockaddr_t)));

    iov.iov_base = &message;
    iov.iov_len = sizeof(ngx_trp_steer_message_t);

    for (i = 0; i < st->nworkers; i++) {
        if (i == ngx_worker) {
            ngx_trp_steer_remember(st, c->sockaddr, slot);

        } else {
            /* if it is lost, the agent dials once more */
            (void) ngx_trp_pass_send(st->channels[i][0], &iov, 1, -1);
        }
    }
}


static ngx_trp_steer_move_t *
ngx_trp_steer_find(ngx_trp_steer_t *st, struct sockaddr *sockaddr,
    trp_addr_t *addr)
{
    in_port_t              port;
    ngx_uint_t             i;
    ngx_trp_steer_move_t  *move;

    ngx_trp_addr_from_sockaddr(addr, &port, sockaddr);
    (void) trp_addr_unmap(addr);

    for (i = 0; i < ngx_min(st->nmoves, NGX_TRP_STEER_MOVES); i++) {
        move = &st->moves[i];

        if ((ngx_msec_int_t) (move->until - ngx_current_msec) > 0
            && move->addr.family == addr->family
            && ngx_memcmp(move->addr.bytes, addr->bytes,
                          (addr->family == 6) ? 16 : addr->family)
               == 0)
        {
            return move;
        }
    }

    return NULL;
}


static void
ngx_trp_steer_remember(ngx_trp_steer_t *st, struct sockaddr *sockaddr,
    ngx_uint_t slot)
{
    trp_addr_t             addr;
    ngx_trp_steer_move_t  *move;

    move = ngx_trp_steer_find(st, sockaddr, &addr);

    if (move == NULL) {
        move = &st->moves[st->nmoves % NGX_TRP_STEER_MOVES];
        move->addr = addr;

        if (++st->nmoves == 2 * NGX_TRP_STEER_MOVES) {
            st->nmoves = NGX_TRP_STEER_MOVES;
        }

    } else if (move->slot == NGX_TRP_STEER_HINTS
               && slot != NGX_TRP_STEER_HINTS)
    {
        return;
    }

    move->slot = slot;
    move->until = ngx_current_msec + NGX_TRP_STEER_TIME;
}


static ngx_int_t
ngx_trp_steer_send(ngx_socket_t channel, ngx_connection_t *c)
{
    struct iovec              iov;
    ngx_listening_t          *ls;
    ngx_trp_steer_message_t   message;

    ls = ngx_cycle->listening.elts;

    ngx_memzero(&message, sizeof(ngx_trp_steer_message_t));

    message.listening = c->listening - ls;
    message.socklen = c->socklen;
    message.start_time = c->start_time;
    ngx_memcpy(&message.sockaddr, c->sockaddr,
               ngx_min(c->socklen, sizeof(ngx_sockaddr_t)));

    iov.iov_base = &message;
    iov.iov_len = sizeof(ngx_trp_steer_message_t);

    if (ngx_trp_pass_send(channel, &iov, 1, c->fd) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, c->log, ngx_socket_errno,
                      "sendmsg() of a connection to another worker failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_steer_channel_handler(ngx_event_t *rev)
{
    ngx_socket_t              s;
    ngx_connection_t         *cc;
    ngx_trp_steer_message_t   message;

    cc = rev->data;

    while (ngx_trp_steer_recv(cc, &message, &s) == NGX_OK) {

        if (s != (ngx_socket_t) -1) {
            ngx_trp_steer_accept(&message, s);
        }
    }
}


static ngx_int_t
ngx_trp_steer_recv(ngx_connection_t *cc, ngx_trp_steer_message_t *message,
    ngx_socket_t *s)
{
    ssize_t           n;
    ngx_trp_steer_t  *st;

    st = cc->data;

    n = ngx_trp_pass_recv(cc->fd, message, sizeof(ngx_trp_steer_message_t), s,
                          cc->log);

    if (n < 0) {
        return NGX_DECLINED;
    }

    if (n == sizeof(ngx_trp_steer_message_t)
        && message->listening == NGX_TRP_STEER_MOVED)
    {
        ngx_trp_steer_remember(st, &message->sockaddr.sockaddr,
                               message->slot);
        return NGX_OK;
    }

    if (n != sizeof(ngx_trp_steer_message_t)
        || message->listening >= st->nlistening)
    {
        ngx_log_error(NGX_LOG_ALERT, cc->log, 0,
                      "invalid message from another worker");
        ngx_trp_pass_close(s);
    }

    return NGX_OK;
}


/* as ngx_event_accept() does */

static void
ngx_trp_steer_accept(ngx_trp_steer_message_t *message, ngx_socket_t s)
{
    ngx_pool_t        *pool;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    ls = ngx_cycle->listening.elts;
    ls = &ls[message->listening];

    c = ngx_get_connection(s, ngx_cycle->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        return;
    }

    pool = ngx_create_pool(ls->pool_size, ngx_cycle->log);

    if (pool == NULL) {
        ngx_close_connection(c);
        return;
    }

    c->pool = pool;

    if (ngx_trp_steer_init_connection(c, ls, message) != NGX_OK) {
        ngx_close_connection(c);
        ngx_destroy_pool(pool);
        return;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    ls->handler(c);
}


static ngx_int_t
ngx_trp_steer_init_connection(ngx_connection_t *c, ngx_listening_t *ls,
    ngx_trp_steer_message_t *message)
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

    /* the ClientHello is there */
    c->read->ready = 1;
    c->write->ready = 1;

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = message->start_time;

    /* unused in stream {}: marks a connection that was passed on once */
    c->requests = 1;

    return NGX_OK;
}
