
/*
 * Copyright (C) the trp authors
 */


/*
 * An allocation on a TURN server: the connection to the server is dialled, with
 * TLS if configured, and carries the messages of the client core, until the
 * allocation has had no users for a while.
 */


#include "turnc/ngx_trp_turnc_alloc.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_udp_socket.h"
#include "base/trp_random.h"
#include "turnc/ngx_trp_turnc_user.h"
#include "turnc/ngx_trp_turnc_via.h"

#include <sodium.h>


#define NGX_TRP_TURNC_IDLE        60000   /* without users, until it is gone */

#define NGX_TRP_TURNC_DATAGRAM    65536
#define NGX_TRP_TURNC_IN          4096    /* control messages alone */
#define NGX_TRP_TURNC_IN_DATA     (65536 + TRP_STUN_HEADER_LEN)
#define NGX_TRP_TURNC_OUT_MAX     262144

/* in one turn of the event loop */
#define NGX_TRP_TURNC_READS       64
#define NGX_TRP_TURNC_READ_MAX    262144


static void ngx_trp_turnc_debug(ngx_trp_turnc_alloc_t *a, const u_char *p,
    size_t len);
static ngx_int_t ngx_trp_turnc_alloc_buffers(ngx_trp_turnc_alloc_t *a,
    ngx_pool_t *pool);
static ngx_int_t ngx_trp_turnc_alloc_dial(ngx_trp_turnc_alloc_t *a,
    ngx_pool_t *pool);
static u_char *ngx_trp_turnc_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_trp_turnc_dialer_handler(ngx_trp_dialer_t *d,
    ngx_trp_dialer_e rc);
static void ngx_trp_turnc_start(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_timer_handler(ngx_event_t *ev);
static void ngx_trp_turnc_idle_handler(ngx_event_t *ev);
static void ngx_trp_turnc_read_handler(ngx_event_t *rev);
static void ngx_trp_turnc_close_handler(ngx_trp_turnc_alloc_t *a);
static ssize_t ngx_trp_turnc_read_stream(ngx_trp_turnc_alloc_t *a);
static ssize_t ngx_trp_turnc_read_datagrams(ngx_trp_turnc_alloc_t *a);
static ngx_int_t ngx_trp_turnc_read_error(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_write_handler(ngx_event_t *wev);
static void ngx_trp_turnc_writable(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_user_writable(ngx_trp_turnc_user_t *user);
static ngx_int_t ngx_trp_turnc_flush(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_send(void *data, const uint8_t *p, size_t len);
static void ngx_trp_turnc_break(ngx_trp_turnc_alloc_t *a);
static ngx_int_t ngx_trp_turnc_keep(ngx_trp_turnc_alloc_t *a,
    const u_char *p, size_t len);
static void ngx_trp_turnc_events(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_allocated(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_user_ready(ngx_trp_turnc_user_t *user);
static void ngx_trp_turnc_each(ngx_trp_turnc_alloc_t *a,
    void (*tell)(ngx_trp_turnc_user_t *user));
static void ngx_trp_turnc_failed(ngx_trp_turnc_alloc_t *a, ngx_uint_t code);
static void ngx_trp_turnc_connected(ngx_trp_turnc_user_t *user, uint32_t id);
static void ngx_trp_turnc_refused(ngx_trp_turnc_user_t *user, ngx_uint_t code);
static void ngx_trp_turnc_alloc_fail(ngx_trp_turnc_alloc_t *a,
    ngx_uint_t code);
static void ngx_trp_turnc_end_handler(ngx_event_t *ev);
static void ngx_trp_turnc_destroy(ngx_trp_turnc_alloc_t *a);
static void ngx_trp_turnc_close_connection(ngx_connection_t *c);


ngx_int_t
ngx_trp_turnc_alloc_create(ngx_trp_turnc_server_t *server,
    ngx_trp_turnc_user_t *user, struct sockaddr *sockaddr, socklen_t socklen,
    ngx_uint_t hops, ngx_trp_turnc_alloc_t **allocation)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_trp_turnc_alloc_t  *a;

    pool = ngx_create_pool(1024, server->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    a = ngx_pcalloc(pool, sizeof(ngx_trp_turnc_alloc_t));
    if (a == NULL) {
        goto failed;
    }

    a->server = server;
    a->transport = user->transport;
    a->family = user->peer.addr.family;
    a->udp.used = (server->conf->transport == TRP_TRANSPORT_UDP
                    && a->transport == TRP_PROTO_UDP);
    a->hops = hops;
    a->start = ngx_time();

    ngx_memcpy(&a->sockaddr, sockaddr, socklen);
    a->socklen = socklen;

    a->name.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);
    if (a->name.data == NULL) {
        goto failed;
    }

    a->name.len = ngx_sock_ntop(sockaddr, socklen, a->name.data,
                                NGX_SOCKADDR_STRLEN, 1);

    a->log = *server->log;
    a->log.handler = ngx_trp_turnc_log_error;
    a->log.data = a;
    a->log.action = "connecting";

    pool->log = &a->log;

    if (ngx_trp_turnc_alloc_buffers(a, pool) != NGX_OK) {
        goto failed;
    }

    rc = ngx_trp_turnc_alloc_dial(a, pool);

    if (rc != NGX_OK) {
        goto failed;
    }

    ngx_queue_init(&a->users);
    trp_hash_init(&a->peers, server->key, &server->memory);

    ngx_queue_insert_tail(&server->allocations, &a->queue);

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                   "trp turnc: allocation for %s%s",
                   a->transport == TRP_PROTO_TCP ? "TCP" : "UDP",
                   hops ? ", as another server says" : "");

    *allocation = a;

    return NGX_OK;

failed:

    pool->log = server->log;
    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_trp_turnc_alloc_buffers(ngx_trp_turnc_alloc_t *a, ngx_pool_t *pool)
{
    a->in.size = a->udp.used ? NGX_TRP_TURNC_DATAGRAM
                 : (a->transport == TRP_PROTO_UDP) ? NGX_TRP_TURNC_IN_DATA
                                                   : NGX_TRP_TURNC_IN;

    a->in.data = ngx_pnalloc(pool, a->in.size);

    a->timer.data = a;
    a->timer.log = &a->log;
    a->timer.handler = ngx_trp_turnc_timer_handler;
    a->timer.cancelable = 1;

    a->idle.data = a;
    a->idle.log = &a->log;
    a->idle.handler = ngx_trp_turnc_idle_handler;
    a->idle.cancelable = 1;

    a->event.data = a;
    a->event.log = &a->log;
    a->event.handler = ngx_trp_turnc_end_handler;

    return a->in.data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_turnc_alloc_dial(ngx_trp_turnc_alloc_t *a, ngx_pool_t *pool)
{
    ngx_int_t                rc;
    ngx_addr_t               addr, *via;
    ngx_connection_t        *c;
    ngx_trp_turnc_server_t  *server;

    server = a->server;

    addr.sockaddr = &a->sockaddr.sockaddr;
    addr.socklen = a->socklen;
    addr.name = a->name;

    rc = ngx_trp_turnc_via_connect(server, &c, &addr,
                                   a->udp.used ? SOCK_DGRAM : SOCK_STREAM,
                                   &a->log, &via);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DECLINED;
    }

    if (a->udp.used) {
        ngx_trp_udp_socket_init(c->fd);
    }

    c->pool = pool;
    c->idle = 1;
    c->read->cancelable = 1;

    a->connection = c;
    a->log.connection = c->number;
    a->deadline = ngx_current_msec + server->conf->connect_timeout;

    a->dialer.connection = c;
    a->dialer.handler = ngx_trp_turnc_dialer_handler;
    a->dialer.data = a;
    a->dialer.peer = "TURN server";
    a->dialer.level = NGX_LOG_ERR;
    a->dialer.timeout = server->conf->connect_timeout;

    if (ngx_trp_turnc_via_add(server, &a->dialer, &addr, via) != NGX_OK) {
        ngx_close_connection(c);
        a->connection = NULL;
        return NGX_ERROR;
    }

    if (server->conf->transport == TRP_TRANSPORT_TLS) {
        a->tls.step.action = "SSL handshaking";
        a->tls.ssl = &server->conf->ssl;
        a->tls.host = &server->host;
        a->tls.session = &server->session;

        ngx_trp_dialer_add_tls(&a->dialer, &a->tls);
    }

    ngx_trp_dialer_wait(&a->dialer, rc);

    return NGX_OK;
}


static u_char *
ngx_trp_turnc_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                 *p;
    ngx_trp_turnc_alloc_t  *a;

    p = buf;
    a = log->data;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    return ngx_snprintf(buf, len, ", TURN server: %V", &a->name);
}


static void
ngx_trp_turnc_dialer_handler(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc)
{
    ngx_trp_turnc_alloc_t  *a;

    a = d->data;

    if (a->failed) {
        return;
    }

    switch (rc) {

    case NGX_TRP_DIALER_READY:
        ngx_trp_turnc_start(a);
        return;

    case NGX_TRP_DIALER_TIMED_OUT:
        ngx_trp_turnc_alloc_fail(a, TRP_TURNC_TIMEOUT);
        return;

    case NGX_TRP_DIALER_EXITING:
        ngx_trp_turnc_close_handler(a);
        return;

    default: /* NGX_TRP_DIALER_FAILED */
        ngx_trp_turnc_alloc_fail(a, TRP_TURNC_PROTOCOL);
    }
}


static void
ngx_trp_turnc_start(ngx_trp_turnc_alloc_t *a)
{
    u_char                       seed[TRP_RANDOM_SEED_LEN];
    trp_turnc_conf_t             conf;
    ngx_connection_t            *c;
    const ngx_trp_turnc_conf_t  *tcf;

    c = a->connection;
    tcf = a->server->conf;

    a->log.action = "allocating";

    ngx_memzero(&conf, sizeof(trp_turnc_conf_t));

    conf.name = ngx_trp_str(&tcf->name);
    conf.password = ngx_trp_str(&tcf->password);
    conf.secret = ngx_trp_str(&tcf->secret);
    conf.transport = (uint8_t) a->transport;
    conf.family = (uint8_t) a->family;
    conf.stream = !a->udp.used;
    conf.hasty = tcf->hasty ? 1 : 0;

    randombytes_buf(seed, sizeof(seed));

    a->client = trp_turnc_create(&conf, ngx_trp_turnc_send, a,
                                 &a->server->memory, seed);

    sodium_memzero(seed, sizeof(seed));

    if (a->client == NULL) {
        ngx_trp_turnc_alloc_fail(a, TRP_TURNC_PROTOCOL);
        return;
    }

    if (!a->udp.used) {
        (void) ngx_tcp_nodelay(c);
    }

    c->data = a;
    c->read->cancelable = 0;
    c->read->handler = ngx_trp_turnc_read_handler;
    c->write->handler = ngx_trp_turnc_write_handler;

    trp_turnc_start(a->client, ngx_current_msec, ngx_time());
    ngx_trp_turnc_events(a);

    if (a->failed) {
        return;
    }

    ngx_trp_turnc_alloc_schedule(a);
    ngx_post_event(c->read, &ngx_posted_events);
}


void
ngx_trp_turnc_alloc_schedule(ngx_trp_turnc_alloc_t *a)
{
    uint64_t  next;

    if (a->failed) {
        return;
    }

    next = trp_turnc_deadline(a->client);

    if (!a->ready) {
        next = next ? ngx_min(next, a->deadline) : a->deadline;
    }

    if (next) {
        next = (next > ngx_current_msec) ? next - ngx_current_msec : 1;
        ngx_add_timer(&a->timer, (ngx_msec_t) next);
    }
}


static void
ngx_trp_turnc_timer_handler(ngx_event_t *ev)
{
    ngx_trp_turnc_alloc_t  *a;

    a = ev->data;

    if (!a->ready && ngx_current_msec >= a->deadline) {
        ngx_log_error(NGX_LOG_ERR, &a->log, NGX_ETIMEDOUT,
                      "TURN server timed out");
        ngx_trp_turnc_alloc_fail(a, TRP_TURNC_TIMEOUT);
        return;
    }

    trp_turnc_expire(a->client, ngx_current_msec);
    ngx_trp_turnc_events(a);

    ngx_trp_turnc_alloc_schedule(a);
}


void
ngx_trp_turnc_alloc_unused(ngx_trp_turnc_alloc_t *a)
{
    ngx_log_debug0(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                   "trp turnc: allocation has no user");

    if (a->exiting || ngx_exiting) {

        /* the worker stays until the allocation has been deleted */

        a->idle.cancelable = 0;
        ngx_add_timer(&a->idle, 1);
        return;
    }

    ngx_add_timer(&a->idle, NGX_TRP_TURNC_IDLE);
}


static void
ngx_trp_turnc_idle_handler(ngx_event_t *ev)
{
    ngx_trp_turnc_alloc_t  *a;

    a = ev->data;

    if (ngx_queue_empty(&a->users)) {
        ngx_trp_turnc_alloc_retire(a);
    }
}


void
ngx_trp_turnc_alloc_retire(ngx_trp_turnc_alloc_t *a)
{
    if (a->ready) {
        trp_turnc_close(a->client, ngx_current_msec);
    }

    ngx_trp_turnc_alloc_fail(a, 0);
}


static void
ngx_trp_turnc_read_handler(ngx_event_t *rev)
{
    size_t                  total;
    ssize_t                 n;
    ngx_uint_t              i;
    ngx_connection_t       *c;
    ngx_trp_turnc_alloc_t  *a;

    c = rev->data;
    a = c->data;

    if (c->close) {
        ngx_trp_turnc_close_handler(a);
        return;
    }

    n = 0;
    total = 0;

    for (i = 0;
         i < NGX_TRP_TURNC_READS && total < NGX_TRP_TURNC_READ_MAX
         && !a->failed;
         i++)
    {
        n = a->udp.used ? ngx_trp_turnc_read_datagrams(a)
                         : ngx_trp_turnc_read_stream(a);

        if (n < 0) {
            break;
        }

        total += n;
    }

    if (a->failed) {
        return;
    }

    if (n >= 0) {
        ngx_post_event(rev, &ngx_posted_next_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_trp_turnc_alloc_fail(a, 0);
        return;
    }

    ngx_trp_turnc_alloc_schedule(a);
}


/* the worker begins to exit, or has to exit now */

static void
ngx_trp_turnc_close_handler(ngx_trp_turnc_alloc_t *a)
{
    ngx_queue_t           *q, *next;
    ngx_connection_t      *c;
    ngx_trp_turnc_user_t  *user;

    c = a->connection;
    a->exiting = 1;

    for (q = ngx_queue_head(&a->users);
         q != ngx_queue_sentinel(&a->users) && !c->error;
         q = next)
    {
        next = ngx_queue_next(q);
        user = ngx_queue_data(q, ngx_trp_turnc_user_t, queue);

        if (user->handlers->drain) {
            user->handlers->drain(user);
        }
    }

    if (c->error || ngx_queue_empty(&a->users)) {

        ngx_trp_turnc_alloc_retire(a);

        /* the event loop may not turn again, so this cannot wait for it */

        ngx_delete_posted_event(&a->event);
        ngx_trp_turnc_destroy(a);

        return;
    }

    c->close = 0;
}


/* the number of bytes that were read; or NGX_AGAIN or NGX_ERROR */

static ssize_t
ngx_trp_turnc_read_stream(ngx_trp_turnc_alloc_t *a)
{
    int                len;
    u_char            *p, *last;
    ssize_t            n;
    ngx_connection_t  *c;

    c = a->connection;

    n = c->recv(c, a->in.data + a->in.len, a->in.size - a->in.len);

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n == 0 || n == NGX_ERROR) {
        ngx_log_error(NGX_LOG_INFO, &a->log, 0,
                      "TURN server closed connection");
        ngx_trp_turnc_alloc_fail(a, 0);
        return NGX_ERROR;
    }

    a->in.len += n;

    p = a->in.data;
    last = a->in.data + a->in.len;

    for ( ;; ) {
        len = trp_stun_frame(p, last - p);

        if (len == TRP_AGAIN || (len > 0 && len > last - p)) {
            break;
        }

        if (len > 0) {
            ngx_trp_turnc_debug(a, p, len);
        }

        if (len < 0
            || trp_turnc_input(a->client, p, len, ngx_current_msec) != TRP_OK)
        {
            ngx_log_error(NGX_LOG_ERR, &a->log, 0,
                          "server sent something else than TURN");
            ngx_trp_turnc_alloc_fail(a, TRP_TURNC_PROTOCOL);
            return NGX_ERROR;
        }

        ngx_trp_turnc_events(a);

        if (a->failed) {
            return NGX_ERROR;
        }

        p += len;
    }

    a->in.len = last - p;

    if (len > (ssize_t) a->in.size || a->in.len == a->in.size) {
        ngx_log_error(NGX_LOG_ERR, &a->log, 0,
                      "TURN server sent a message of %d bytes", len);
        ngx_trp_turnc_alloc_fail(a, TRP_TURNC_PROTOCOL);
        return NGX_ERROR;
    }

    ngx_memmove(a->in.data, p, a->in.len);

    return n;
}


static ssize_t
ngx_trp_turnc_read_datagrams(ngx_trp_turnc_alloc_t *a)
{
    u_char            *p;
    size_t             len, left, segment;
    ssize_t            n;
    ngx_connection_t  *c;

    c = a->connection;

    n = ngx_trp_udp_socket_recv(c->fd, a->in.data, a->in.size, &segment);

    if (n == NGX_AGAIN) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    if (n == NGX_ERROR) {
        return ngx_trp_turnc_read_error(a);
    }

    p = a->in.data;
    left = n;

    do {
        len = ngx_min(left, segment);

        ngx_trp_turnc_debug(a, p, len);

        (void) trp_turnc_input(a->client, p, len, ngx_current_msec);
        ngx_trp_turnc_events(a);

        p += len;
        left -= len;

    } while (left && !a->failed);

    return n;
}


/* once a server has answered, an ICMP error does not end the allocation */

static ngx_int_t
ngx_trp_turnc_read_error(ngx_trp_turnc_alloc_t *a)
{
    if (a->ready) {

        if (a->server->conf->hasty) {
            trp_turnc_suspect(a->client, ngx_current_msec);
        }

        return 0;
    }

    ngx_log_error(NGX_LOG_ERR, &a->log, ngx_socket_errno, "recv() failed");
    ngx_trp_turnc_alloc_fail(a, TRP_TURNC_PROTOCOL);

    return NGX_ERROR;
}


static void
ngx_trp_turnc_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_trp_turnc_alloc_t  *a;

    c = wev->data;
    a = c->data;

    if (a->failed) {
        return;
    }

    if (a->udp.used) {
        ngx_trp_turnc_writable(a);

    } else if (ngx_trp_turnc_flush(a) == NGX_ERROR) {
        ngx_trp_turnc_alloc_fail(a, 0);
    }
}


/* the users who have to wait for it cannot be told from others */

static void
ngx_trp_turnc_writable(ngx_trp_turnc_alloc_t *a)
{
    if (!a->udp.blocked) {
        return;
    }

    a->udp.blocked = 0;

    /* meanwhile the socket may be full again */

    ngx_trp_turnc_each(a, ngx_trp_turnc_user_writable);
}


static void
ngx_trp_turnc_user_writable(ngx_trp_turnc_user_t *user)
{
    if (user->handlers->writable) {
        user->handlers->writable(user);
    }
}


static ngx_int_t
ngx_trp_turnc_flush(ngx_trp_turnc_alloc_t *a)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = a->connection;

    while (ngx_trp_out_pending(&a->out)) {
        n = c->send(c, a->out.start + a->out.pos,
                    ngx_trp_out_pending(&a->out));

        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        a->out.pos += n;
    }

    if (a->out.start) {
        ngx_trp_out_free(&a->out);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_turnc_alloc_send(ngx_trp_turnc_alloc_t *a, uint16_t number, u_char *p,
    size_t len, size_t segment)
{
    size_t              n, part;
    u_char              each[TRP_CHANNEL_HEADER_LEN];
    u_char              last[TRP_CHANNEL_HEADER_LEN];
    ngx_int_t           rc;
    ngx_trp_udp_head_t  head;

    part = NGX_TRP_UDP_MAX / (TRP_CHANNEL_HEADER_LEN + segment);
    part = segment * ngx_min(part, NGX_TRP_UDP_SEGMENTS);

    trp_write16(each, number);
    trp_write16(each + 2, (uint16_t) segment);

    head.len = TRP_CHANNEL_HEADER_LEN;
    head.each = each;

    for (rc = NGX_OK; len && rc == NGX_OK; p += n, len -= n) {
        n = ngx_min(len, part);

        trp_write16(last, number);
        trp_write16(last + 2, (uint16_t) ((n - 1) % segment + 1));

        head.last = last;

        rc = ngx_trp_udp_socket_send(a->connection->fd, &head, p, n, segment,
                              &a->udp.no_gso);

        if (rc == NGX_AGAIN) {
            a->udp.blocked = 1;

            if (ngx_handle_write_event(a->connection->write, 0) != NGX_OK) {
                ngx_trp_turnc_break(a);
            }
        }
    }

    return rc;
}


/* errors are left to the read event, which reports them as well */

static void
ngx_trp_turnc_send(void *data, const uint8_t *p, size_t len)
{
    ngx_trp_turnc_alloc_t  *a = data;

    ssize_t                 n;
    ngx_connection_t       *c;

    if (a->broken) {
        return;
    }

    ngx_trp_turnc_debug(a, p, len);

    c = a->connection;

    if (a->udp.used) {
        (void) send(c->fd, p, len, 0);
        return;
    }

    if (ngx_trp_out_pending(&a->out)) {
        (void) ngx_trp_turnc_keep(a, p, len);
        return;
    }

    n = c->send(c, (u_char *) p, len);

    if (n == NGX_ERROR) {
        return;
    }

    n = (n == NGX_AGAIN) ? 0 : n;

    if ((size_t) n == len) {
        return;
    }

    if (ngx_trp_turnc_keep(a, p + n, len - n) != NGX_OK) {

        if (n) {

            /* the server has half a message, and would wait for the rest */
            ngx_trp_turnc_break(a);
        }

        return;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_trp_turnc_break(a);
    }
}


/* the allocation fails later: this is called from inside of its client */

static void
ngx_trp_turnc_break(ngx_trp_turnc_alloc_t *a)
{
    a->broken = 1;

    ngx_post_event(&a->event, &ngx_posted_events);
}


/*
 * A message that does not fit is dropped as a whole: datagrams may be lost, and
 * requests are sent again.
 */

static ngx_int_t
ngx_trp_turnc_keep(ngx_trp_turnc_alloc_t *a, const u_char *p, size_t len)
{
    u_char  *out;
    size_t   used;

    out = ngx_trp_out_space(&a->out, len);

    if (out == NULL) {
        used = ngx_trp_out_pending(&a->out);

        if (used && used + len > NGX_TRP_TURNC_OUT_MAX) {
            return NGX_DECLINED;
        }

        if (ngx_trp_out_grow(&a->out, ngx_max(2 * (used + len), 4096), &a->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        out = a->out.start + a->out.last;
    }

    ngx_memcpy(out, p, len);
    a->out.last += len;

    return NGX_OK;
}


/* a line for each request and each answer, but none for data */

static void
ngx_trp_turnc_debug(ngx_trp_turnc_alloc_t *a, const u_char *p, size_t len)
{
#if (NGX_DEBUG)
    trp_stun_t  m;

    if (!(a->log.log_level & NGX_LOG_DEBUG_STREAM) || len == 0
        || trp_stun_is_channel(p[0]) || trp_stun_parse(&m, p, len) != TRP_OK)
    {
        return;
    }

    switch (m.type) {

    case TRP_STUN_REQUEST:
        ngx_log_debug1(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                       "trp turnc: %s sent", trp_turnc_method_name(m.method));
        break;

    case TRP_STUN_SUCCESS:
        ngx_log_debug1(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                       "trp turnc: %s answered",
                       trp_turnc_method_name(m.method));
        break;

    case TRP_STUN_ERROR:
        ngx_log_debug2(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                       "trp turnc: %s answered, error %ui",
                       trp_turnc_method_name(m.method),
                       (ngx_uint_t) trp_stun_error(&m));
        break;

    default: /* TRP_STUN_INDICATION */
        break;
    }
#endif
}


/* handles the client's events, after each call that may have caused some */

static void
ngx_trp_turnc_events(ngx_trp_turnc_alloc_t *a)
{
    trp_turnc_event_t      event;
    ngx_trp_turnc_user_t  *user;

    while (!a->failed && trp_turnc_next(a->client, &event) == TRP_OK) {

        switch (event.type) {

        case TRP_TURNC_EVENT_ALLOCATED:
            ngx_trp_turnc_allocated(a);
            break;

        case TRP_TURNC_EVENT_FAILED:
            ngx_trp_turnc_failed(a, event.code);
            break;

        case TRP_TURNC_EVENT_CONNECTED:
            ngx_trp_turnc_connected(event.connect, event.id);
            break;

        case TRP_TURNC_EVENT_REFUSED:
            ngx_trp_turnc_refused(event.connect, event.code);
            break;

        case TRP_TURNC_EVENT_RECEIVED:
            user = ngx_trp_turnc_user_find(a, &event.peer);

            if (user) {
                user->handlers->received(user, (u_char *) event.data.data,
                                         event.data.len);
            }

            break;

        default: /* TRP_TURNC_EVENT_FORBIDDEN */
            user = ngx_trp_turnc_user_find(a, &event.peer);

            if (user) {
                user->handlers->forbidden(user, event.code);
            }
        }
    }
}


static void
ngx_trp_turnc_allocated(ngx_trp_turnc_alloc_t *a)
{
    u_char              text[TRP_ADDR_TEXT_LEN];
    const trp_taddr_t  *relayed;

    a->ready = 1;
    a->log.action = NULL;

    relayed = trp_turnc_relayed(a->client);

    ngx_log_error(NGX_LOG_INFO, &a->log, 0,
                  "TURN allocation for %s, relayed address: %*s, port: %d",
                  a->transport == TRP_PROTO_TCP ? "TCP" : "UDP",
                  trp_addr_text(text, &relayed->addr), text,
                  (int) relayed->port);

    ngx_trp_turnc_each(a, ngx_trp_turnc_user_ready);
}


static void
ngx_trp_turnc_user_ready(ngx_trp_turnc_user_t *user)
{
    user->handlers->ready(user);
}


/* in each call users may leave, and others may join, which are not told */

static void
ngx_trp_turnc_each(ngx_trp_turnc_alloc_t *a,
    void (*tell)(ngx_trp_turnc_user_t *user))
{
    ngx_queue_t  *q, waiting;

    ngx_queue_init(&waiting);

    if (!ngx_queue_empty(&a->users)) {
        ngx_queue_add(&waiting, &a->users);
        ngx_queue_init(&a->users);
    }

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&a->users, q);

        tell(ngx_queue_data(q, ngx_trp_turnc_user_t, queue));
    }
}


static void
ngx_trp_turnc_failed(ngx_trp_turnc_alloc_t *a, ngx_uint_t code)
{
    ngx_uint_t  level;

    /* a user may need an address family that the server does not have */

    level = (code == 440) ? NGX_LOG_INFO : NGX_LOG_ERR;

    if (code == 440 && a->family == 4) {
        a->server->lacks4 = ngx_time();

    } else if (code == 440) {
        a->server->lacks6 = ngx_time();
    }

    if (code != 300) {
        ngx_log_error(level, &a->log, 0,
                      "TURN server %s: %ui (%s)",
                      a->ready ? "ended the allocation"
                               : "made no allocation",
                      code, ngx_trp_turnc_text(code));
    }

    ngx_trp_turnc_alloc_fail(a, code);
}


static void
ngx_trp_turnc_connected(ngx_trp_turnc_user_t *user, uint32_t id)
{
    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, &user->allocation->log, 0,
                   "trp turnc: peer connected, connection %uD", id);

    user->connecting = 0;
    user->connected = 1;
    user->allocation->nconnecting--;

    user->handlers->connected(user, id);
}


static void
ngx_trp_turnc_refused(ngx_trp_turnc_user_t *user, ngx_uint_t code)
{
    user->connecting = 0;
    user->allocation->nconnecting--;

    user->handlers->refused(user, code);
}


/*
 * The allocation is not destroyed here: its users and handlers are still on the
 * stack.  "code" 0 stands for the loss of the connection.
 */

static void
ngx_trp_turnc_alloc_fail(ngx_trp_turnc_alloc_t *a, ngx_uint_t code)
{
    ngx_queue_t           *q;
    ngx_trp_turnc_user_t  *user;

    if (a->failed) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                   "trp turnc: allocation is over, %ui users, code %ui",
                   a->nusers, code);

    a->failed = 1;
    a->connection->idle = 0;

    ngx_queue_remove(&a->queue);

    if (a->timer.timer_set) {
        ngx_del_timer(&a->timer);
    }

    if (a->idle.timer_set) {
        ngx_del_timer(&a->idle);
    }

    ngx_post_event(&a->event, &ngx_posted_events);

    while (!ngx_queue_empty(&a->users)) {
        q = ngx_queue_head(&a->users);
        user = ngx_queue_data(q, ngx_trp_turnc_user_t, queue);

        ngx_trp_turnc_user_leave(user);
        user->handlers->failed(user, a, code);
    }
}


static void
ngx_trp_turnc_end_handler(ngx_event_t *ev)
{
    ngx_trp_turnc_alloc_t  *a;

    a = ev->data;

    if (!a->failed) {

        /* it was broken; this handler is called once more */

        ngx_trp_turnc_alloc_fail(a, 0);
        return;
    }

    ngx_trp_turnc_destroy(a);
}


static void
ngx_trp_turnc_destroy(ngx_trp_turnc_alloc_t *a)
{
    ngx_connection_t  *c;

    c = a->connection;

    if (a->client) {
        trp_turnc_destroy(a->client);
    }

    trp_hash_done(&a->peers);

    if (a->out.start) {
        ngx_trp_out_free(&a->out);
    }

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
    }

    c->data = a;

    ngx_trp_turnc_close_connection(c);
}


static void
ngx_trp_turnc_close_connection(ngx_connection_t *c)
{
    ngx_pool_t             *pool;
    ngx_trp_turnc_alloc_t  *a;

    if (c->ssl && ngx_ssl_shutdown(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_trp_turnc_close_connection;
        return;
    }

    a = c->data;
    pool = c->pool;

    ngx_close_connection(c);

    /* the log lives in the pool */

    pool->log = a->server->log;
    ngx_destroy_pool(pool);
}
