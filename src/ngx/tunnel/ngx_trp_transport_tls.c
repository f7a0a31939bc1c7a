
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on TLS over TCP: records by OpenSSL over a BIO that gathers them,
 * and what the kernel knows about the connection.
 */


#include "tunnel/ngx_trp_transport_tls.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_event.h"
#include "tunnel/trp_auth.h"
#include "tunnel/trp_wire.h"

#include <netinet/tcp.h>


/* what the kernel takes in advance */
#define NGX_TRP_TRANSPORT_UNSENT  524288


#define ngx_trp_transport_tls(tr)  trp_of(ngx_trp_transport_tls_t, base, tr)


typedef struct {
    ngx_trp_transport_t   base;
    ngx_trp_bio_conf_t   *conf;
    ngx_trp_bio_t         bio;
    int                   sslerr;      /* what recv() has failed with */
} ngx_trp_transport_tls_t;


static ngx_int_t ngx_trp_transport_tls_start(ngx_trp_transport_t *tr);
static ssize_t ngx_trp_transport_tls_recv(ngx_trp_transport_t *tr, u_char *buf,
    size_t size);
static ssize_t ngx_trp_transport_tls_nothing(ngx_trp_transport_tls_t *tls,
    int n);
static ssize_t ngx_trp_transport_tls_later(ngx_trp_transport_tls_t *tls);
static ngx_uint_t ngx_trp_transport_tls_drained(ngx_trp_transport_t *tr);
static const char *ngx_trp_transport_tls_failed(ngx_trp_transport_t *tr,
    ngx_uint_t quiet);
static ssize_t ngx_trp_transport_tls_send(ngx_trp_transport_t *tr, u_char *p,
    size_t size);
static ngx_int_t ngx_trp_transport_tls_flush(ngx_trp_transport_t *tr);
static ngx_int_t ngx_trp_transport_tls_blocked(ngx_connection_t *c);
static ngx_int_t ngx_trp_transport_tls_written(ngx_trp_transport_t *tr);
static size_t ngx_trp_transport_tls_unacknowledged(ngx_trp_transport_t *tr);
static void ngx_trp_transport_tls_keepalive(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static ngx_uint_t ngx_trp_transport_tls_lost(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static void ngx_trp_transport_tls_relax(ngx_trp_transport_t *tr,
    ngx_uint_t ended);
static ngx_int_t ngx_trp_transport_tls_exporter(ngx_trp_transport_t *tr,
    u_char *out);
static ngx_uint_t ngx_trp_transport_tls_reused(ngx_trp_transport_t *tr);
static void ngx_trp_transport_tls_reset(ngx_trp_transport_t *tr);
static void ngx_trp_transport_tls_close(ngx_trp_transport_t *tr,
    ngx_uint_t blocked);
static void ngx_trp_transport_tls_close_connection(ngx_connection_t *c);


static const ngx_trp_transport_ops_t  ngx_trp_transport_tls_ops = {
    ngx_trp_transport_tls_start,
    ngx_trp_transport_tls_recv,
    ngx_trp_transport_tls_failed,
    ngx_trp_transport_tls_drained,
    ngx_trp_transport_tls_send,
    ngx_trp_transport_tls_flush,
    ngx_trp_transport_tls_written,
    ngx_trp_transport_tls_unacknowledged,
    ngx_trp_transport_tls_keepalive,
    ngx_trp_transport_tls_lost,
    ngx_trp_transport_tls_relax,
    ngx_trp_transport_tls_exporter,
    ngx_trp_transport_tls_reused,
    ngx_trp_transport_tls_reset,
    ngx_trp_transport_tls_close
};


ngx_trp_transport_t *
ngx_trp_transport_tls_create(ngx_connection_t *c, ngx_trp_bio_conf_t *conf)
{
    ngx_trp_transport_tls_t  *tls;

    tls = ngx_pcalloc(c->pool, sizeof(ngx_trp_transport_tls_t));
    if (tls == NULL) {
        return NULL;
    }

    tls->base.ops = &ngx_trp_transport_tls_ops;
    tls->base.connection = c;
    tls->base.out = &tls->bio.out;

    tls->conf = conf;

    return &tls->base;
}


ngx_int_t
ngx_trp_transport_tls_offer(ngx_connection_t *c, ngx_int_t slot)
{
    u_char  *p, buf[64];

    p = buf;
    *p++ = sizeof(TRP_ALPN) - 1;
    p = ngx_cpymem(p, TRP_ALPN, sizeof(TRP_ALPN) - 1);

    if (slot != -1) {
        *p++ = sizeof(TRP_ALPN_SLOT) - 1 + 2;
        p = ngx_sprintf(p, TRP_ALPN_SLOT "%02i", slot);
    }

    if (SSL_set_alpn_protos(c->ssl->connection, buf, p - buf) != 0) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0, "SSL_set_alpn_protos() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_trp_transport_tls_accepted(ngx_connection_t *c)
{
    unsigned       len;
    const u_char  *alpn;

    if (c->ssl == NULL) {
        return 0;
    }

    /* what a stranger has sent is not read, which is no critical error */
    c->ssl->no_wait_shutdown = 1;

    SSL_set_msg_callback(c->ssl->connection, NULL);
    SSL_get0_alpn_selected(c->ssl->connection, &alpn, &len);

    return len == sizeof(TRP_ALPN) - 1;
}


/*
 * On busy tunnels the kernel tells whether the peer's host is alive: keepalive
 * when nothing is in flight, else what ngx_trp_transport_tls_lost() checks.
 * Failing to set these is not fatal.
 */

static ngx_int_t
ngx_trp_transport_tls_start(ngx_trp_transport_t *tr)
{
    int                       value;
    ngx_connection_t         *c;
    ngx_trp_transport_tls_t  *tls;

    c = tr->connection;
    tls = ngx_trp_transport_tls(tr);

    if (ngx_trp_bio_insert(&tls->bio, tls->conf, c) != NGX_OK
        || (c->write->ready && ngx_trp_event_del(c->write) != NGX_OK))
    {
        return NGX_ERROR;
    }

    /* a record not yet written may be moved between buffers */

    SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    (void) ngx_tcp_nodelay(c);

#ifdef TCP_NOTSENT_LOWAT

    value = NGX_TRP_TRANSPORT_UNSENT;
    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value,
                      sizeof(int));

#endif

    value = 1;
    (void) setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(int));

    return NGX_OK;
}


/*
 * Not ngx_ssl_recv(): with exact sizes, as those of frames, it calls
 * ioctl(FIONREAD) and reads on in the next iteration of the event loop.
 */

static ssize_t
ngx_trp_transport_tls_recv(ngx_trp_transport_t *tr, u_char *buf, size_t size)
{
    int                       n;
    ngx_trp_transport_tls_t  *tls;

    tls = ngx_trp_transport_tls(tr);

    if (ngx_trp_bio_is_drained(&tls->bio)) {
        return ngx_trp_transport_tls_later(tls);
    }

    if (ERR_peek_error()) {
        ERR_clear_error();
    }

    n = SSL_read(tr->connection->ssl->connection, buf, size);

    if (n > 0) {
        ngx_trp_bio_adapt(&tls->bio);
        return n;
    }

    return ngx_trp_transport_tls_nothing(tls, n);
}


/* SSL_read() has returned "n", which is not positive */

static ssize_t
ngx_trp_transport_tls_nothing(ngx_trp_transport_tls_t *tls, int n)
{
    ngx_connection_t  *c;

    c = tls->base.connection;

    tls->sslerr = SSL_get_error(c->ssl->connection, n);
    tls->base.err = (tls->sslerr == SSL_ERROR_SYSCALL) ? ngx_errno : 0;

    if (tls->sslerr == SSL_ERROR_WANT_READ) {
        return ngx_trp_transport_tls_later(tls);
    }

    if (tls->sslerr == SSL_ERROR_WANT_WRITE) {
        c->write->ready = 0;
        tls->base.write_on_read = 1;

        return (ngx_handle_write_event(c->write, 0) == NGX_OK) ? NGX_AGAIN
                                                               : NGX_ERROR;
    }

    c->ssl->no_wait_shutdown = 1;
    c->ssl->no_send_shutdown = 1;

    return (tls->sslerr == SSL_ERROR_ZERO_RETURN || ERR_peek_error() == 0)
           ? 0 : NGX_ERROR;
}


static ssize_t
ngx_trp_transport_tls_later(ngx_trp_transport_tls_t *tls)
{
    ngx_event_t  *rev;

    rev = tls->base.connection->read;
    rev->ready = 0;

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        tls->sslerr = SSL_ERROR_WANT_READ;
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static ngx_uint_t
ngx_trp_transport_tls_drained(ngx_trp_transport_t *tr)
{
    return ngx_trp_bio_is_drained(&ngx_trp_transport_tls(tr)->bio);
}


static const char *
ngx_trp_transport_tls_failed(ngx_trp_transport_t *tr, ngx_uint_t quiet)
{
    switch (ngx_trp_transport_tls(tr)->sslerr) {

    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:

        /* logged by nginx's events */
        return NULL;
    }

    if (quiet) {

        /* it must not be taken for an error of the next connection */
        ERR_clear_error();
        return NULL;
    }

    ngx_ssl_error(NGX_LOG_INFO, tr->connection->log, tr->err,
                  "reading from tunnel failed");

    return "TLS failed";
}


/*
 * As ngx_ssl_write(), which empties OpenSSL's queue of errors for each record,
 * even if it is empty.  What to do when SSL_write() has to read is left to it.
 */

static ssize_t
ngx_trp_transport_tls_send(ngx_trp_transport_t *tr, u_char *p, size_t size)
{
    int                n, sslerr;
    ssize_t            rc;
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = tr->connection;

    if (c->send == ngx_ssl_write && !c->ssl->saved_read_handler
        && !ERR_peek_error())
    {
        n = SSL_write(c->ssl->connection, p, size);

        if (n > 0) {
            c->sent += n;
            return n;
        }

        sslerr = SSL_get_error(c->ssl->connection, n);
        err = (sslerr == SSL_ERROR_SYSCALL) ? ngx_errno : 0;

        if (sslerr == SSL_ERROR_WANT_WRITE) {
            c->write->ready = 0;
            return ngx_trp_transport_tls_blocked(c);
        }

        if (sslerr != SSL_ERROR_WANT_READ) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;

            ngx_ssl_error(NGX_LOG_INFO, c->log, err,
                          "writing to tunnel failed");
            return NGX_ERROR;
        }
    }

    rc = c->send(c, p, size);

    return (rc == NGX_AGAIN) ? ngx_trp_transport_tls_blocked(c) : rc;
}


static ngx_int_t
ngx_trp_transport_tls_flush(ngx_trp_transport_t *tr)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = tr->connection;

    rc = ngx_trp_bio_flush(&ngx_trp_transport_tls(tr)->bio);

    if (rc == NGX_AGAIN) {
        return ngx_trp_transport_tls_blocked(c);
    }

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_INFO, c->log, ngx_socket_errno,
                      "writing to tunnel failed");
        ERR_clear_error();
    }

    return rc;
}


static ngx_int_t
ngx_trp_transport_tls_blocked(ngx_connection_t *c)
{
    return (ngx_handle_write_event(c->write, 0) == NGX_OK) ? NGX_AGAIN
                                                           : NGX_ERROR;
}


/*
 * With both events in epoll, bytes that were already read would wake up the
 * worker again, since the socket is writable.  So the write event is active
 * only while output waits for it.
 */

static ngx_int_t
ngx_trp_transport_tls_written(ngx_trp_transport_t *tr)
{
    ngx_event_t  *wev;

    wev = tr->connection->write;

    return wev->ready ? ngx_trp_event_del(wev) : NGX_OK;
}


static size_t
ngx_trp_transport_tls_unacknowledged(ngx_trp_transport_t *tr)
{
    return ngx_trp_connect_unsent(tr->connection);
}


static void
ngx_trp_transport_tls_keepalive(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
#if (NGX_HAVE_KEEPALIVE_TUNABLE)

    int           value;
    ngx_socket_t  s;

    s = tr->connection->fd;

    value = ngx_max(beat / 1000, 1);
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(int));
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof(int));

    value = (int) beats;
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(int));

#endif
}


/*
 * Data was retransmitted repeatedly, and nothing has come back for some beats,
 * nor since the last retransmission.  TCP_USER_TIMEOUT is not the same: since
 * Linux 5.11 it also ends connections whose peer is alive and keeps its window
 * closed.
 */

static ngx_uint_t
ngx_trp_transport_tls_lost(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
#if (NGX_LINUX && defined TCP_INFO)

    socklen_t        len;
    ngx_msec_t       silent;
    struct tcp_info  info;

    /* this is asked at each beat of a busy tunnel */

    ngx_trp_bio_ping(&ngx_trp_transport_tls(tr)->bio);

    len = sizeof(struct tcp_info);

    if (getsockopt(tr->connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len)
        == -1)
    {
        return 0;
    }

    silent = info.tcpi_last_ack_recv;

    return (info.tcpi_retransmits > 1 || info.tcpi_probes > 1)
           && silent > beat * beats
           && silent > beat + info.tcpi_rto / 1000;

#else

    return 0;

#endif
}


static void
ngx_trp_transport_tls_relax(ngx_trp_transport_t *tr, ngx_uint_t ended)
{
    ngx_trp_bio_t  *bio;

    bio = &ngx_trp_transport_tls(tr)->bio;

    /* the next stream needs the buffers again, unless they are large ones */

    if (!ended || bio->full) {
        ngx_trp_bio_relax(bio);
    }
}


static ngx_int_t
ngx_trp_transport_tls_exporter(ngx_trp_transport_t *tr, u_char *out)
{
    ngx_ssl_conn_t  *ssl;

    ssl = tr->connection->ssl->connection;

    /* RFC 9266, section 4.2: unique in TLS 1.2 only with RFC 7627 */

    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) {
        return NGX_ERROR;
    }

    if (SSL_export_keying_material(ssl, out, TRP_EXPORTER_LEN,
                                   TRP_EXPORTER_LABEL,
                                   sizeof(TRP_EXPORTER_LABEL) - 1,
                                   (u_char *) "", 0, 1)
        != 1)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_transport_tls_reused(ngx_trp_transport_t *tr)
{
    return SSL_session_reused(tr->connection->ssl->connection);
}


/* no output is flushed, nor is TLS shut down */

static void
ngx_trp_transport_tls_reset(ngx_trp_transport_t *tr)
{
    struct linger      linger;
    ngx_connection_t  *c;

    c = tr->connection;

    c->ssl->no_send_shutdown = 1;

    linger.l_onoff = 1;
    linger.l_linger = 0;

    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
                   sizeof(struct linger))
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      "setsockopt(SO_LINGER) failed");
    }
}


static void
ngx_trp_transport_tls_close(ngx_trp_transport_t *tr, ngx_uint_t blocked)
{
    ngx_connection_t  *c;

    c = tr->connection;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown |= blocked;
    }

    ngx_trp_transport_tls_close_connection(c);
}


static void
ngx_trp_transport_tls_close_connection(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    if (c->ssl) {

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_trp_transport_tls_close_connection;

            /* what the log's text is made of may be freed before */
            c->log->handler = NULL;
            return;
        }

        /*
         * TLS beneath the tunnel's is shut down when it is freed, after nginx
         * has checked for errors; this fails if the connection is dead
         */

        ERR_clear_error();
    }

    pool = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
