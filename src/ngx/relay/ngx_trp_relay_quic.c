
/*
 * Copyright (C) the trp authors
 */


/*
 * A QUIC connection of an agent.  It begins as an accepted connection of nginx
 * does, so that "allow", limits and logs of stream {} hold for it; from then on
 * it is a bearer of tunnels.  It lives until QUIC has ended and its last tunnel
 * has been closed, as these use its addresses and its log.
 */


#include "relay/ngx_trp_relay_quic.h"

#if (NGX_TRP_QUIC)

#include "status/ngx_trp_status_kinds.h"
#include "tunnel/ngx_trp_transport_quic.h"
#include "tunnel/trp_quic_id.h"


/* that an agent may have at once, after its authentication */
#define NGX_TRP_RELAY_QUIC_STREAMS   4096

#define NGX_TRP_RELAY_QUIC_PAYLOAD   1452
#define NGX_TRP_RELAY_QUIC_DATAGRAM  1500

/* milliseconds without a tunnel, after which a connection is closed */
#define NGX_TRP_RELAY_QUIC_UNUSED    60000
#define NGX_TRP_RELAY_QUIC_REJECTED  1000

/* unauthenticated connections, as a part of the limit, that cause a Retry */
#define NGX_TRP_RELAY_QUIC_RETRY     8

/* of a tunnel, of which there may be thousands: what it has to have, no more */

#define NGX_TRP_RELAY_QUIC_POOL                                              \
    (sizeof(ngx_pool_t) + sizeof(ngx_trp_transport_quic_t)                   \
     + sizeof(ngx_trp_tunnel_t) + sizeof(ngx_trp_peer_t))


typedef struct {
    ngx_trp_relay_route_t      route;       /* the first member */
    ngx_trp_bearer_t           bearer;
    ngx_connection_t          *connection;
    ngx_trp_guest_t           *guest;

    ngx_sockaddr_t             local;
    ngx_sockaddr_t             remote;
    ngx_trp_relay_datagram_t   initial;     /* until it is served */
    ngx_trp_quic_retry_t       retry;

    ngx_event_t                event;       /* ends it, unused */
    ngx_uint_t                 npeers;
    ngx_int_t                 *served;      /* 1, or NGX_ERROR: closed */
    u_char                     auth[TRP_CONTROL_MAX];
    unsigned                   retried:1;
    unsigned                   ready:1;     /* the handshake is done */
    unsigned                   closed:1;    /* by the peer, or QUIC */
    unsigned                   closing:1;   /* here */
    unsigned                   gone:1;
} ngx_trp_relay_quic_t;


static ngx_uint_t ngx_trp_relay_quic_crowded(ngx_trp_relay_t *relay);
static void ngx_trp_relay_quic_retry(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d);
static ngx_int_t ngx_trp_relay_quic_accept(ngx_trp_relay_t *relay,
    ngx_trp_relay_socket_t *socket, const ngx_trp_quic_packet_t *packet,
    ngx_trp_relay_datagram_t *d, ngx_trp_quic_retry_t *retry);
static ngx_connection_t *ngx_trp_relay_quic_connection(ngx_socket_t fd,
    ngx_listening_t *ls, ngx_log_t *log);
static ngx_int_t ngx_trp_relay_quic_init(ngx_trp_relay_quic_t *rq,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d);
static ssize_t ngx_trp_relay_quic_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_trp_relay_quic_cleanup(void *data);
static ngx_int_t ngx_trp_relay_quic_start(ngx_trp_relay_quic_t *rq,
    ngx_ssl_t *ssl);
static void ngx_trp_relay_quic_handler(ngx_event_t *rev);
static void ngx_trp_relay_quic_ready(ngx_trp_quic_t *q);
static const char *ngx_trp_relay_quic_verify(ngx_trp_relay_quic_t *rq);
static void ngx_trp_relay_quic_opened(ngx_trp_quic_t *q,
    ngx_trp_quic_stream_t *stream);
static ngx_connection_t *ngx_trp_relay_quic_stream(ngx_trp_relay_quic_t *rq);
static void ngx_trp_relay_quic_moved(ngx_trp_quic_t *q,
    const ngx_trp_quic_path_t *path, ngx_uint_t failed);
static void ngx_trp_relay_quic_closed(ngx_trp_quic_t *q,
    const ngx_trp_quic_why_t *why);
static void ngx_trp_relay_quic_gone(ngx_trp_quic_t *q);
static ngx_int_t ngx_trp_relay_quic_send(ngx_trp_quic_t *q,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packets_t *packets);
static void ngx_trp_relay_quic_cid_make(ngx_trp_quic_t *q, u_char *buf,
    size_t len);
static ngx_int_t ngx_trp_relay_quic_cid_added(ngx_trp_quic_t *q,
    const ngx_trp_quic_cid_t *id);
static void ngx_trp_relay_quic_cid_removed(ngx_trp_quic_t *q,
    const ngx_trp_quic_cid_t *id);
static void ngx_trp_relay_quic_authenticated(ngx_trp_bearer_t *bearer);
static void ngx_trp_relay_quic_left(ngx_trp_bearer_t *bearer);
static void ngx_trp_relay_quic_event_handler(ngx_event_t *ev);
static void ngx_trp_relay_quic_close(ngx_trp_relay_quic_t *rq,
    const char *why);
static void ngx_trp_relay_quic_free(ngx_trp_relay_quic_t *rq);


static const ngx_trp_quic_handlers_t  ngx_trp_relay_quic_handlers = {
    ngx_trp_relay_quic_ready,
    ngx_trp_relay_quic_opened,
    NULL,
    NULL,
    ngx_trp_relay_quic_moved,
    ngx_trp_relay_quic_closed,
    ngx_trp_relay_quic_gone,
    ngx_trp_relay_quic_send,
    ngx_trp_relay_quic_cid_make,
    ngx_trp_relay_quic_cid_added,
    ngx_trp_relay_quic_cid_removed
};


void
ngx_trp_relay_quic_initial(void *data, ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *datagram)
{
    ngx_trp_relay_worker_t *worker = data;

    u_char                 buf[NGX_TRP_QUIC_INITIAL];
    uint64_t               code;
    ngx_int_t              rc;
    ngx_trp_relay_t       *relay;
    ngx_trp_quic_retry_t   retry;

    relay = ngx_trp_relay_numbered(worker, socket->number);

    if (relay == NULL) {
        return;
    }

    code = NGX_TRP_QUIC_REFUSED;

    rc = ngx_trp_quic_token(packet, &datagram->path,
                            ngx_trp_relay_udp_secret(socket->udp), ngx_time(),
                            &retry);

    if (rc == NGX_DECLINED && ngx_trp_relay_quic_crowded(relay)) {
        ngx_trp_relay_quic_retry(socket, packet, datagram);
        return;
    }

    if (rc == NGX_ERROR) {
        code = NGX_TRP_QUIC_BAD_TOKEN;

    } else {
        rc = ngx_trp_relay_quic_accept(relay, socket, packet, datagram,
                                       (rc == NGX_OK) ? &retry : NULL);
    }

    if (rc != NGX_OK) {
        ngx_trp_relay_udp_answer(socket, &datagram->path, buf,
                                 ngx_trp_quic_write_refusal(buf, packet,
                                                            code));
    }
}


/* addresses may be forged: then only those that answer get a connection */

static ngx_uint_t
ngx_trp_relay_quic_crowded(ngx_trp_relay_t *relay)
{
    return relay->guard.n >= ngx_max(relay->guard.max
                                     / NGX_TRP_RELAY_QUIC_RETRY, 1);
}


static void
ngx_trp_relay_quic_retry(ngx_trp_relay_socket_t *socket,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d)
{
    u_char              buf[NGX_TRP_QUIC_INITIAL];
    ngx_trp_quic_cid_t  id;

    id.len = TRP_QUIC_ID_LEN;
    ngx_trp_relay_udp_make_id(socket->udp, id.data);

    ngx_trp_relay_udp_answer(socket, &d->path, buf,
                   ngx_trp_quic_write_retry(buf, packet, &d->path, &id,
                                        ngx_trp_relay_udp_secret(socket->udp),
                                        ngx_time()));
}


/* NGX_ERROR: the client is to be refused */

static ngx_int_t
ngx_trp_relay_quic_accept(ngx_trp_relay_t *relay,
    ngx_trp_relay_socket_t *socket, const ngx_trp_quic_packet_t *packet,
    ngx_trp_relay_datagram_t *d, ngx_trp_quic_retry_t *retry)
{
    ngx_int_t              served;
    ngx_pool_t            *pool;
    ngx_listening_t       *ls;
    ngx_connection_t      *c;
    ngx_pool_cleanup_t    *cln;
    ngx_trp_relay_quic_t  *rq;

    ls = socket->listening;

    if (socket->connection == NULL) {
        return NGX_ERROR;
    }

    c = ngx_trp_relay_quic_connection(socket->connection->fd, ls,
                                      relay->conf->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    pool = c->pool;

    rq = NULL;
    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_trp_relay_quic_t));

    if (cln) {
        rq = cln->data;
        ngx_memzero(rq, sizeof(ngx_trp_relay_quic_t));

        rq->route.socket = socket;
        rq->bearer.relay = relay;
        rq->connection = c;
        rq->served = &served;

        ngx_queue_init(&rq->route.ids);

        cln->handler = ngx_trp_relay_quic_cleanup;
    }

    served = 0;

    if (rq == NULL || ngx_trp_relay_quic_init(rq, packet, d) != NGX_OK) {
        ngx_close_connection(c);
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    if (retry) {
        rq->retry = *retry;
        rq->retried = 1;
    }

    ls->handler(c);

    if (served == NGX_ERROR) {
        return NGX_ERROR;
    }

    rq->served = NULL;

    return NGX_OK;
}


/* without a socket of its own; for nginx, its events are active */

static ngx_connection_t *
ngx_trp_relay_quic_connection(ngx_socket_t fd, ngx_listening_t *ls,
    ngx_log_t *from)
{
    ngx_log_t         *log;
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, from);

    if (c == NULL) {
        return NULL;
    }

    c->shared = 1;

    pool = ngx_create_pool(ls->pool_size, from);

    if (pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    log = ngx_palloc(pool, sizeof(ngx_log_t));

    if (log == NULL) {
        ngx_close_connection(c);
        ngx_destroy_pool(pool);
        return NULL;
    }

    *log = ls->log;
    log->data = NULL;
    log->handler = NULL;

    pool->log = log;

    c->pool = pool;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->type = SOCK_DGRAM;
    c->listening = ls;
    c->read->active = 1;
    c->write->active = 1;
    c->write->ready = 1;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;

    return c;
}


static ngx_int_t
ngx_trp_relay_quic_init(ngx_trp_relay_quic_t *rq,
    const ngx_trp_quic_packet_t *packet, ngx_trp_relay_datagram_t *d)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = rq->connection;
    pool = c->pool;

    rq->initial = *d;
    rq->initial.data = ngx_pnalloc(pool, d->len);
    c->addr_text.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

    if (rq->initial.data == NULL || c->addr_text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(rq->initial.data, d->data, d->len);
    ngx_memcpy(&rq->local, d->path.local, d->path.local_len);
    ngx_memcpy(&rq->remote, d->path.remote, d->path.remote_len);

    rq->initial.path.local = &rq->local.sockaddr;
    rq->initial.path.remote = &rq->remote.sockaddr;

    c->sockaddr = &rq->remote.sockaddr;
    c->socklen = d->path.remote_len;
    c->local_sockaddr = &rq->local.sockaddr;
    c->local_socklen = d->path.local_len;
    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);

    /* marks it, see ngx_trp_relay_quic_is() */

    c->recv = ngx_trp_relay_quic_recv;
    c->udp = (ngx_udp_connection_t *) rq;

    rq->event.data = rq;
    rq->event.log = c->log;
    rq->event.handler = ngx_trp_relay_quic_event_handler;

    rq->bearer.ready = ngx_trp_relay_quic_authenticated;
    rq->bearer.left = ngx_trp_relay_quic_left;
    rq->bearer.auth = rq->auth;

    if (ngx_trp_relay_udp_add(&rq->route, &packet->dcid) != NGX_OK) {
        return NGX_ERROR;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_accepted, 1);
    (void) ngx_atomic_fetch_add(ngx_stat_handled, 1);
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    return NGX_OK;
}


ngx_uint_t
ngx_trp_relay_quic_is(ngx_stream_session_t *s)
{
    return s->connection->recv == ngx_trp_relay_quic_recv;
}


/* nothing of stream {} reads from it */

static ssize_t
ngx_trp_relay_quic_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    return NGX_ERROR;
}


/* in a phase before it is served, nginx may close the connection */

static void
ngx_trp_relay_quic_cleanup(void *data)
{
    ngx_trp_relay_quic_t *rq = data;

    ngx_trp_relay_udp_forget(&rq->route);

    if (rq->event.timer_set) {
        ngx_del_timer(&rq->event);
    }

    if (rq->event.posted) {
        ngx_delete_posted_event(&rq->event);
    }

    if (rq->served) {
        *rq->served = NGX_ERROR;
    }
}


void
ngx_trp_relay_quic_serve(ngx_trp_relay_t *relay, ngx_stream_session_t *s,
    ngx_trp_guest_t *guest, ngx_ssl_t *ssl)
{
    ngx_connection_t      *c;
    ngx_trp_relay_quic_t  *rq;

    c = s->connection;
    rq = (ngx_trp_relay_quic_t *) c->udp;

    rq->bearer.session = s;
    rq->guest = guest;

    c->log->action = "QUIC handshaking";

    ngx_trp_status_count(&relay->status, NGX_TRP_SERVER_ACCEPTED, 1);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (ngx_trp_relay_quic_start(rq, ssl) != NGX_OK) {

        if (c->ssl) {
            SSL_free(c->ssl->connection);
            c->ssl = NULL;
        }

        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    c->read->handler = ngx_trp_relay_quic_handler;
    c->idle = 1;
}


static ngx_int_t
ngx_trp_relay_quic_start(ngx_trp_relay_quic_t *rq, ngx_ssl_t *ssl)
{
    ngx_msec_t               beat;
    ngx_connection_t        *c;
    ngx_trp_relay_udp_t     *udp;
    ngx_trp_quic_conf_t      conf;
    ngx_trp_quic_packet_t    packet;
    const ngx_trp_relay_conf_t  *rc;

    c = rq->connection;
    udp = rq->route.socket->udp;
    rc = rq->bearer.relay->conf;

    if (ngx_ssl_create_connection(ssl, c, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    beat = rc->heartbeat;

    ngx_memzero(&conf, sizeof(ngx_trp_quic_conf_t));

    conf.idle = 4 * beat;
    conf.keepalive = beat;
    conf.handshake = rc->auth_timeout;
    conf.streams = 1;
    conf.datagram = 0;
    conf.payload = NGX_TRP_RELAY_QUIC_PAYLOAD;
    conf.cid_len = TRP_QUIC_ID_LEN;
    conf.secret = ngx_trp_relay_udp_secret(udp);

    /* cannot fail, it has been read before */

    (void) ngx_trp_quic_packet(&packet, rq->initial.data, rq->initial.len,
                               TRP_QUIC_ID_LEN);

    rq->route.quic = ngx_trp_quic_server(&conf, c->ssl->connection,
                                         &rq->initial.path, &packet,
                                         rq->retried ? &rq->retry : NULL,
                                         &ngx_trp_relay_quic_handlers, rq,
                                         c->log);
    if (rq->route.quic == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_quic_input(rq->route.quic, &rq->initial.path, rq->initial.data,
                       rq->initial.len, rq->initial.ecn);

    return NGX_OK;
}


/* the guard has had enough of it, or the worker exits */

static void
ngx_trp_relay_quic_handler(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_trp_relay_quic_t  *rq;

    c = rev->data;
    rq = (ngx_trp_relay_quic_t *) c->udp;

    if (c->close) {
        c->close = 0;
        c->idle = 0;

        if (rq->npeers == 0 || c->error) {
            ngx_trp_relay_quic_close(rq, "relay exits");
        }

        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;

        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client did not authenticate in time");
        ngx_trp_relay_quic_close(rq, "not authenticated");
    }
}


static void
ngx_trp_relay_quic_ready(ngx_trp_quic_t *q)
{
    const char            *why;
    ngx_connection_t      *c;
    ngx_trp_relay_quic_t  *rq;

    rq = ngx_trp_quic_data(q);
    c = rq->connection;

    rq->ready = 1;

    SSL_set_msg_callback(c->ssl->connection, NULL);

    why = ngx_trp_relay_quic_verify(rq);

    if (why) {
        ngx_ssl_remove_cached_session(c->ssl->session_ctx,
                                     SSL_get0_session(c->ssl->connection));
        ngx_trp_relay_quic_close(rq, why);
        return;
    }

    c->log->action = "authenticating tunnel";
}


/* "ssl_verify_client", which stock nginx looks at for TCP; NULL: content */

static const char *
ngx_trp_relay_quic_verify(ngx_trp_relay_quic_t *rq)
{
    long                        rc;
    X509                       *cert;
    ngx_connection_t           *c;
    ngx_stream_ssl_srv_conf_t  *sscf;

    c = rq->connection;
    sscf = ngx_stream_get_module_srv_conf(rq->bearer.session,
                                          ngx_stream_ssl_module);

    if (!sscf->verify) {
        return NULL;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK
        && (sscf->verify != 3 || !ngx_ssl_verify_error_optional(rc)))
    {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client SSL certificate verify error: (%l:%s)", rc,
                      X509_verify_cert_error_string(rc));
        return "certificate not accepted";
    }

    if (sscf->verify != 1) {
        return NULL;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);

    if (cert == NULL) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client sent no required SSL certificate");
        return "certificate required";
    }

    X509_free(cert);

    return NULL;
}


static void
ngx_trp_relay_quic_opened(ngx_trp_quic_t *q, ngx_trp_quic_stream_t *stream)
{
    ngx_pool_t            *pool;
    ngx_connection_t      *c;
    ngx_trp_transport_t   *tr;
    ngx_trp_relay_quic_t  *rq;

    rq = ngx_trp_quic_data(q);

    if (rq->closing || rq->closed || (rq->npeers && rq->bearer.key == NULL)) {
        ngx_trp_quic_stream_free(stream);
        return;
    }

    c = ngx_trp_relay_quic_stream(rq);

    if (c == NULL) {
        ngx_trp_quic_stream_free(stream);
        return;
    }

    pool = c->pool;
    tr = ngx_trp_transport_quic_create(c, stream, 1);

    if (tr == NULL) {
        ngx_trp_quic_stream_free(stream);
        ngx_close_connection(c);
        ngx_destroy_pool(pool);
        return;
    }

    if (rq->event.timer_set) {
        ngx_del_timer(&rq->event);
    }

    rq->npeers++;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    if (ngx_trp_relay_bear(&rq->bearer, tr, rq->guest) != NGX_OK) {
#if (NGX_STAT_STUB)
        (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif
        tr->ops->close(tr, 1);
        ngx_trp_relay_quic_left(&rq->bearer);
    }
}


/* what is the connection's is shared by its streams */

static ngx_connection_t *
ngx_trp_relay_quic_stream(ngx_trp_relay_quic_t *rq)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c, *qc;

    qc = rq->connection;

    c = ngx_get_connection(qc->fd, qc->log);

    if (c == NULL) {
        return NULL;
    }

    c->shared = 1;

    pool = ngx_create_pool(NGX_TRP_RELAY_QUIC_POOL, qc->log);

    if (pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    c->pool = pool;
    c->log = qc->log;
    c->read->log = qc->log;
    c->write->log = qc->log;
    c->log_error = NGX_ERROR_INFO;
    c->type = SOCK_STREAM;
    c->listening = qc->listening;
    c->sockaddr = qc->sockaddr;
    c->socklen = qc->socklen;
    c->local_sockaddr = qc->local_sockaddr;
    c->local_socklen = qc->local_socklen;
    c->addr_text = qc->addr_text;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->read->active = 1;
    c->write->active = 1;
    c->write->ready = 1;
    c->number = qc->number;
    c->start_time = qc->start_time;

    return c;
}


static void
ngx_trp_relay_quic_moved(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    ngx_uint_t failed)
{
    size_t                 len;
    u_char                 text[NGX_SOCKADDR_STRLEN];
    ngx_connection_t      *c;
    ngx_trp_relay_quic_t  *rq;

    if (failed) {
        return;
    }

    rq = ngx_trp_quic_data(q);
    c = rq->connection;

    len = ngx_sock_ntop(path->remote, path->remote_len, text,
                        NGX_SOCKADDR_STRLEN, 1);

    ngx_log_error(NGX_LOG_INFO, c->log, 0, "client has moved to %*s",
                  len, text);
}


static void
ngx_trp_relay_quic_closed(ngx_trp_quic_t *q, const ngx_trp_quic_why_t *why)
{
    ngx_connection_t      *c;
    ngx_trp_relay_quic_t  *rq;

    rq = ngx_trp_quic_data(q);
    c = rq->connection;

    rq->closed = 1;

    /* after our own CONNECTION_CLOSE, late packets are answered */

    if (why->end != NGX_TRP_QUIC_CLOSED || ngx_exiting) {
        rq->gone = 1;
    }

    if (why->end != NGX_TRP_QUIC_CLOSED
        && (why->end != NGX_TRP_QUIC_PEER || !rq->ready || why->code))
    {
        ngx_log_error(NGX_LOG_INFO, c->log, 0, "QUIC connection ended%s: %V",
                      rq->ready ? "" : " in its handshake", &why->text);
    }

    if (rq->event.timer_set) {
        ngx_del_timer(&rq->event);
    }

    ngx_post_event(&rq->event, &ngx_posted_events);
}


static void
ngx_trp_relay_quic_gone(ngx_trp_quic_t *q)
{
    ngx_trp_relay_quic_t  *rq;

    rq = ngx_trp_quic_data(q);

    rq->gone = 1;

    ngx_post_event(&rq->event, &ngx_posted_events);
}


static ngx_int_t
ngx_trp_relay_quic_send(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    const ngx_trp_quic_packets_t *packets)
{
    return ngx_trp_relay_udp_send(ngx_trp_quic_data(q), path, packets);
}


static void
ngx_trp_relay_quic_cid_make(ngx_trp_quic_t *q, u_char *buf, size_t len)
{
    ngx_trp_relay_route_t  *route;

    route = ngx_trp_quic_data(q);

    ngx_trp_relay_udp_make_id(route->socket->udp, buf);
}


static ngx_int_t
ngx_trp_relay_quic_cid_added(ngx_trp_quic_t *q, const ngx_trp_quic_cid_t *id)
{
    ngx_trp_relay_route_t  *route;

    route = ngx_trp_quic_data(q);

    ngx_trp_relay_udp_remove(route, id);

    return ngx_trp_relay_udp_add(route, id);
}


static void
ngx_trp_relay_quic_cid_removed(ngx_trp_quic_t *q, const ngx_trp_quic_cid_t *id)
{
    ngx_trp_relay_udp_remove(ngx_trp_quic_data(q), id);
}


/* the first tunnel gets READY: the agent may have more of them */

static void
ngx_trp_relay_quic_authenticated(ngx_trp_bearer_t *bearer)
{
    ngx_trp_relay_quic_t  *rq;

    rq = trp_of(ngx_trp_relay_quic_t, bearer, bearer);

    rq->guest = NULL;

    ngx_trp_quic_streams_allow(rq->route.quic, NGX_TRP_RELAY_QUIC_STREAMS - 1);
}


/* a tunnel is about to be closed */

static void
ngx_trp_relay_quic_left(ngx_trp_bearer_t *bearer)
{
    ngx_trp_relay_quic_t  *rq;

    rq = trp_of(ngx_trp_relay_quic_t, bearer, bearer);

    if (--rq->npeers) {
        return;
    }

    if (rq->closed) {
        ngx_post_event(&rq->event, &ngx_posted_events);
        return;
    }

    ngx_add_timer(&rq->event, (bearer->key == NULL || ngx_exiting)
                              ? NGX_TRP_RELAY_QUIC_REJECTED
                              : NGX_TRP_RELAY_QUIC_UNUSED);
}


static void
ngx_trp_relay_quic_event_handler(ngx_event_t *ev)
{
    ngx_trp_relay_quic_t  *rq;

    rq = ev->data;

    if (rq->npeers) {
        return;
    }

    if (!rq->closed) {
        ngx_trp_relay_quic_close(rq, "no tunnels");
        return;
    }

    if (rq->gone) {
        ngx_trp_relay_quic_free(rq);
    }
}


static void
ngx_trp_relay_quic_close(ngx_trp_relay_quic_t *rq, const char *why)
{
    if (!rq->closing && !rq->closed) {
        rq->closing = 1;
        ngx_trp_quic_close(rq->route.quic, 0, why);
    }
}


static void
ngx_trp_relay_quic_free(ngx_trp_relay_quic_t *rq)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = rq->connection;
    pool = c->pool;

    ngx_trp_quic_free(rq->route.quic);
    ngx_trp_relay_udp_forget(&rq->route);

    SSL_free(c->ssl->connection);
    c->ssl = NULL;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}


#endif
