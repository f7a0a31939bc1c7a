
/*
 * Copyright (C) the trp authors
 */


#include "tunnel/ngx_trp_tunnel.h"
#include "base/ngx_trp_event.h"
#include "tunnel/trp_auth.h"

#include <netinet/tcp.h>

#if (NGX_LINUX)
#include <linux/sockios.h>
#endif


#define NGX_TRP_OUT_MIN      512
#define NGX_TRP_OUT_CONTROL  256     /* behind a full record */

#define NGX_TRP_BEATS        3       /* missed until a peer counts as dead */

#define NGX_TRP_PROBE_BEAT   1000    /* of a peer that is to be found dead */
#define NGX_TRP_PROBE_BEATS  8       /* for so long */

#define NGX_TRP_STUCK_BEATS  180     /* the same for a stream that has ended */

#define NGX_TRP_TURN_SIZE    262144  /* read in one turn of the event loop */

#define NGX_TRP_UNSENT       524288  /* that the kernel takes ahead of time */

#define NGX_TRP_COPY_SIZE    4096    /* copied, to share a record */


static ngx_int_t ngx_trp_tunnel_forget_write_event(ngx_connection_t *c);
static void ngx_trp_tunnel_socket_options(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_keepalive(ngx_trp_tunnel_t *t);
static ngx_msec_t ngx_trp_tunnel_beat(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_read_handler(ngx_event_t *rev);
static void ngx_trp_tunnel_write_handler(ngx_event_t *wev);
static void ngx_trp_tunnel_event_handler(ngx_event_t *ev);
static void ngx_trp_tunnel_timeout(ngx_trp_tunnel_t *t);
static ngx_uint_t ngx_trp_tunnel_lost_host(ngx_trp_tunnel_t *t);
static ngx_uint_t ngx_trp_tunnel_stuck(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_post(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_free_payload(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_drop(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_consume(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_recv_later(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_wrote(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_flush_last(ngx_trp_tunnels_t *tunnels,
    ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_flush(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_push(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_write(ngx_trp_tunnel_t *t, u_char **p,
    u_char *last);
static void ngx_trp_tunnel_write_failed(ngx_trp_tunnel_t *t, ngx_int_t rc);
static u_char *ngx_trp_tunnel_reserve(ngx_trp_tunnel_t *t, size_t size);
static void ngx_trp_tunnel_close_connection(ngx_connection_t *c);


ngx_trp_tunnel_t *
ngx_trp_tunnel_create(ngx_connection_t *c, ngx_trp_tunnels_t *tunnels,
    const ngx_trp_tunnel_handlers_t *handlers, void *data, ngx_uint_t relay,
    ngx_msec_t heartbeat)
{
    ngx_trp_tunnel_t  *t;

    t = ngx_pcalloc(c->pool, sizeof(ngx_trp_tunnel_t));
    if (t == NULL) {
        return NULL;
    }

    t->connection = c;
    t->tunnels = tunnels;
    t->handlers = handlers;
    t->data = data;
    t->heartbeat = heartbeat;
    t->received = ngx_current_msec;

    t->event.data = t;
    t->event.handler = ngx_trp_tunnel_event_handler;
    t->event.log = c->log;

    trp_tunnel_init(&t->state, relay, !relay);
    trp_reader_init(&t->reader, NULL);

    c->data = t;

    return t;
}


ngx_int_t
ngx_trp_tunnel_start(ngx_trp_tunnel_t *t)
{
    ngx_connection_t  *c;

    c = t->connection;

    if (ngx_trp_bio_insert(&t->bio, &t->tunnels->bio, c) != NGX_OK
        || ngx_trp_tunnel_forget_write_event(c) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a record that the socket did not take may be moved between buffers */

    SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    ngx_trp_tunnel_socket_options(t);

    c->idle = 1;
    c->read->handler = ngx_trp_tunnel_read_handler;
    c->write->handler = ngx_trp_tunnel_write_handler;

    return NGX_OK;
}


/*
 * With both events in epoll, bytes that were read already wake up the worker
 * once more, because the socket takes output.  So this one is there only as
 * long as something waits for it.
 */

static ngx_int_t
ngx_trp_tunnel_forget_write_event(ngx_connection_t *c)
{
    return c->write->ready ? ngx_trp_event_del(c->write) : NGX_OK;
}


/*
 * Heartbeats run on idle tunnels only: under backpressure nobody reads, and a
 * PONG would be stuck behind data.  On busy ones the kernel tells whether the
 * peer's host is alive: keepalive when nothing is on its way, and else what
 * ngx_trp_tunnel_lost_host() asks.  A refusal to set these costs no function.
 */

static void
ngx_trp_tunnel_socket_options(ngx_trp_tunnel_t *t)
{
    int           value;
    ngx_socket_t  s;

    s = t->connection->fd;

    (void) ngx_tcp_nodelay(t->connection);

#ifdef TCP_NOTSENT_LOWAT

    value = NGX_TRP_UNSENT;
    (void) setsockopt(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof(int));

#endif

    value = 1;
    (void) setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(int));

    ngx_trp_tunnel_keepalive(t);
}


static void
ngx_trp_tunnel_keepalive(ngx_trp_tunnel_t *t)
{
#if (NGX_HAVE_KEEPALIVE_TUNABLE)

    int           value;
    ngx_socket_t  s;

    s = t->connection->fd;

    value = ngx_max(ngx_trp_tunnel_beat(t) / 1000, 1);
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(int));
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof(int));

    value = NGX_TRP_BEATS;
    (void) setsockopt(s, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(int));

#endif
}


static ngx_msec_t
ngx_trp_tunnel_beat(ngx_trp_tunnel_t *t)
{
    return t->probing ? NGX_TRP_PROBE_BEAT : t->heartbeat;
}


static void
ngx_trp_tunnel_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_trp_tunnel_t  *t;

    c = rev->data;
    t = c->data;

    if (c->close) {

        if (c->error) {
            ngx_log_error(NGX_LOG_INFO, c->log, 0, "shutdown timeout");
            ngx_trp_tunnel_close(t);
            return;
        }

        c->close = 0;
        t->draining = 1;
        t->handlers->drain(t);

        /* outside of the event loop: make it turn once more */

        if (t->event.posted) {
            ngx_trp_tunnel_flush_later(t);
        }

        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_trp_tunnel_timeout(t);
        return;
    }

    t->turn = 0;
    t->handlers->readable(t);

    ngx_trp_tunnel_flush_last(t->tunnels, NULL);
}


static void
ngx_trp_tunnel_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;
    ngx_trp_tunnel_t  *t;

    c = wev->data;
    t = c->data;

    if (t->write_on_read) {
        t->write_on_read = 0;
        ngx_post_event(c->read, &ngx_posted_events);
    }

    if (t->blocked) {
        ngx_trp_tunnel_flush(t);

        if (t->blocked || t->failed) {
            return;
        }

        t->handlers->writable(t);
    }

    if (!t->blocked && ngx_trp_tunnel_forget_write_event(c) != NGX_OK) {
        ngx_trp_tunnel_fail(t);
    }
}


static void
ngx_trp_tunnel_event_handler(ngx_event_t *ev)
{
    ngx_uint_t         blocked;
    ngx_trp_tunnel_t  *t;

    t = ev->data;
    blocked = t->blocked;

    if (ev->timedout) {
        ev->timedout = 0;
        t->held = 0;
    }

    if (!t->held) {
        ngx_trp_tunnel_flush(t);
    }

    if (t->failed) {
        ngx_trp_tunnel_close(t);
        return;
    }

    if (blocked && !t->blocked) {

        /* the socket takes bytes some time before epoll tells */
        t->handlers->writable(t);
    }

    ngx_trp_tunnel_settle(t);
}


static void
ngx_trp_tunnel_timeout(ngx_trp_tunnel_t *t)
{
    ngx_msec_t         beat, silent;
    ngx_connection_t  *c;

    c = t->connection;

    if (t->deadline) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel timed out while %s", t->deadline);
        ngx_trp_tunnel_close(t);
        return;
    }

    if (t->busy && ngx_trp_tunnel_lost_host(t)) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer does not acknowledge data");
        ngx_trp_tunnel_close(t);
        return;
    }

    if (t->abandoned && ngx_trp_tunnel_stuck(t)) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer does not consume the end of a stream");
        ngx_trp_tunnel_close(t);
        return;
    }

    if (t->probing && --t->probing == 0) {
        ngx_trp_tunnel_keepalive(t);
    }

    beat = ngx_trp_tunnel_beat(t);
    silent = ngx_current_msec - t->received;

    if (silent >= t->heartbeat) {
        ngx_trp_bio_relax(&t->bio);
    }

    if (t->busy || silent < beat) {

        /* the timer also keeps an exiting worker alive for the stream */

        ngx_add_timer(c->read, t->busy ? beat : beat - silent);
        return;
    }

    if (t->missed == NGX_TRP_BEATS) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer is silent for %M ms", silent);
        ngx_trp_tunnel_close(t);
        return;
    }

    t->missed++;

    ngx_trp_tunnel_send(t, TRP_PING);
    ngx_add_timer(c->read, beat);
}


ngx_uint_t
ngx_trp_tunnel_probe(ngx_trp_tunnel_t *t)
{
    if (t->failed || t->deadline
        || ngx_current_msec - t->received < NGX_TRP_PROBE_BEAT)
    {
        return 0;
    }

    if (t->probing) {
        return 1;
    }

    t->probing = NGX_TRP_PROBE_BEATS;
    ngx_trp_tunnel_keepalive(t);

    if (!t->busy) {
        t->missed = 1;
        ngx_trp_tunnel_send(t, TRP_PING);
    }

    /* nginx leaves a timer alone that is not much later */

    if (t->connection->read->timer_set) {
        ngx_del_timer(t->connection->read);
    }

    ngx_add_timer(t->connection->read, NGX_TRP_PROBE_BEAT);

    return 1;
}


/*
 * Data was sent again and again, and nothing has come back for three beats,
 * and since the last time that it was sent.  TCP_USER_TIMEOUT is not the same:
 * since Linux 5.11 it also ends connections whose peer is there and keeps its
 * window closed.
 */

static ngx_uint_t
ngx_trp_tunnel_lost_host(ngx_trp_tunnel_t *t)
{
#if (NGX_LINUX && defined TCP_INFO)

    socklen_t        len;
    ngx_msec_t       beat, silent;
    struct tcp_info  info;

    len = sizeof(struct tcp_info);

    if (getsockopt(t->connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len)
        == -1)
    {
        return 0;
    }

    silent = info.tcpi_last_ack_recv;

    beat = ngx_trp_tunnel_beat(t);

    return (info.tcpi_retransmits > 1 || info.tcpi_probes > 1)
           && silent > beat * NGX_TRP_BEATS
           && silent > beat + info.tcpi_rto / 1000;

#else

    return 0;

#endif
}


/*
 * The stream has ended here, and waits for a peer that reads slowly, or hangs:
 * who has a reader in front of him ends that at some time himself.
 */

static ngx_uint_t
ngx_trp_tunnel_stuck(ngx_trp_tunnel_t *t)
{
    size_t  unsent;

    unsent = ngx_trp_tunnel_pending(t) + ngx_trp_tunnel_unsent(t->connection);

    if (unsent != t->unsent) {
        t->unsent = unsent;
        t->received = ngx_current_msec;
    }

    return ngx_current_msec - t->received > t->heartbeat * NGX_TRP_STUCK_BEATS;
}


size_t
ngx_trp_tunnel_unsent(ngx_connection_t *c)
{
#ifdef SIOCOUTQ

    int  n;

    return (ioctl(c->fd, SIOCOUTQ, &n) == 0) ? n : 0;

#else

    return 0;

#endif
}


void
ngx_trp_tunnel_deadline(ngx_trp_tunnel_t *t, ngx_msec_t msec, const char *what)
{
    t->deadline = what;

    ngx_add_timer(t->connection->read, msec);
}


void
ngx_trp_tunnel_watch(ngx_trp_tunnel_t *t)
{
    t->deadline = NULL;
    t->missed = 0;
    t->received = ngx_current_msec;

    ngx_add_timer(t->connection->read, t->heartbeat);
}


void
ngx_trp_tunnel_settle(ngx_trp_tunnel_t *t)
{
    if (!t->busy || t->failed || !trp_tunnel_idle(&t->state)) {
        return;
    }

    t->busy = 0;
    t->abandoned = 0;
    t->dropped = 0;

    if (!ngx_trp_out_pending(&t->out)) {
        ngx_trp_out_free(&t->out);
    }

    if (t->bio.full) {
        ngx_trp_bio_relax(&t->bio);
    }

    ngx_trp_tunnel_watch(t);

    t->handlers->idle(t);
}


static void
ngx_trp_tunnel_post(ngx_trp_tunnel_t *t)
{
    if (t->held) {
        t->held = 0;
        ngx_del_timer(&t->event);
    }

    if (!t->event.posted) {
        ngx_post_event(&t->event, &ngx_posted_events);
    }
}


/*
 * Output leaves when another tunnel is written to, or one has been read, and
 * at the latest at the end of the event loop's turn.  If all of it waited for
 * that, the processes that streams go through would work one after the other,
 * each one on all of them, and not at the same time.
 */

static void
ngx_trp_tunnel_wrote(ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_post(t);
    ngx_trp_tunnel_flush_last(t->tunnels, t);
}


/* "t" is the one that waits now */

static void
ngx_trp_tunnel_flush_last(ngx_trp_tunnels_t *tunnels, ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_t  *last;

    last = tunnels->last;

    if (last == t) {
        return;
    }

    tunnels->last = t;

    if (last && !last->blocked && !last->failed) {
        ngx_trp_tunnel_flush(last);
    }
}


void
ngx_trp_tunnel_flush_later(ngx_trp_tunnel_t *t)
{
    if (t->event.posted) {
        ngx_delete_posted_event(&t->event);
    }

    ngx_post_event(&t->event, &ngx_posted_next_events);

    t->tunnels->last = NULL;
}


void
ngx_trp_tunnel_flush_after(ngx_trp_tunnel_t *t, ngx_msec_t msec)
{
    if (t->failed || t->blocked) {
        return;
    }

    t->held = 1;
    ngx_add_timer(&t->event, msec);

    t->tunnels->last = NULL;
}


void
ngx_trp_tunnel_fail(ngx_trp_tunnel_t *t)
{
    t->failed = 1;

    /* what OpenSSL has to say of it is not for the next connection */

    ERR_clear_error();

    ngx_trp_tunnel_post(t);
}


ssize_t
ngx_trp_tunnel_recv(ngx_trp_tunnel_t *t, u_char *buf, size_t size)
{
    int                n, sslerr;
    ngx_err_t          err;
    ngx_connection_t  *c;

    if (t->failed) {
        return NGX_ERROR;
    }

    c = t->connection;

    /*
     * not ngx_ssl_recv(): with sizes that are exact, as those of frames are,
     * it asks for FIONREAD and reads on in the next turn of the event loop
     */

    if (t->turn > NGX_TRP_TURN_SIZE) {

        /* a peer that is faster than this worker must not have it alone */

        ngx_post_event(c->read, &ngx_posted_next_events);
        return NGX_AGAIN;
    }

    if (t->blocked && (!t->busy || t->abandoned)) {

        /* who does not read our answers asks for no more of them */

        t->stalled = 1;
        return NGX_AGAIN;
    }

    if (ngx_trp_bio_is_drained(&t->bio)) {
        return ngx_trp_tunnel_recv_later(t);
    }

    if (ERR_peek_error()) {
        ERR_clear_error();
    }

    n = SSL_read(c->ssl->connection, buf, size);

    if (n > 0) {
        t->received = ngx_current_msec;
        t->missed = 0;
        t->turn += n;

        if (t->probing) {
            t->probing = 0;
            ngx_trp_tunnel_keepalive(t);
        }

        ngx_trp_bio_adapt(&t->bio);

        return n;
    }

    sslerr = SSL_get_error(c->ssl->connection, n);
    err = (sslerr == SSL_ERROR_SYSCALL) ? ngx_errno : 0;

    if (sslerr == SSL_ERROR_WANT_READ) {
        return ngx_trp_tunnel_recv_later(t);
    }

    if (sslerr == SSL_ERROR_WANT_WRITE) {
        c->write->ready = 0;
        t->write_on_read = 1;

        if (ngx_handle_write_event(c->write, 0) == NGX_OK) {
            return NGX_AGAIN;
        }

    } else {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        if (t->draining && !t->busy) {

            /* as it was asked to */

        } else if (sslerr == SSL_ERROR_ZERO_RETURN || ERR_peek_error() == 0) {
            ngx_log_error(NGX_LOG_INFO, c->log, err, "peer closed tunnel%s",
                          t->busy ? " in the middle of a stream" : "");

        } else {
            ngx_ssl_error(NGX_LOG_INFO, c->log, err,
                          "reading from tunnel failed");
        }
    }

    ngx_trp_tunnel_fail(t);

    return NGX_ERROR;
}


static ngx_int_t
ngx_trp_tunnel_recv_later(ngx_trp_tunnel_t *t)
{
    ngx_event_t  *rev;

    rev = t->connection->read;
    rev->ready = 0;

    if (!t->busy) {
        ngx_trp_bio_relax(&t->bio);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_trp_tunnel_fail(t);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_trp_tunnel_input(ngx_trp_tunnel_t *t)
{
    int          rc;
    u_char      *p;
    size_t       size;
    ssize_t      n;
    ngx_int_t    frc;

    for ( ;; ) {

        if (t->reader.data) {
            if (!t->abandoned) {
                return NGX_OK;
            }

            frc = ngx_trp_tunnel_drop(t);

            if (frc != NGX_OK) {
                return frc;
            }

            continue;
        }

        p = ngx_trp_tunnel_space(t, &size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        n = ngx_trp_tunnel_recv(t, p, size);

        if (n == NGX_AGAIN || n == NGX_ERROR) {
            return n;
        }

        rc = trp_reader_commit(&t->reader, n);

        switch (rc) {

        case TRP_AGAIN:
            continue;

        case TRP_ERROR:
            ngx_trp_tunnel_invalid(t);
            return NGX_ERROR;

        default: /* TRP_OK, TRP_DECLINED */
            frc = ngx_trp_tunnel_frame(t, &t->reader.frame);

            if (frc != NGX_OK && frc != NGX_DECLINED) {
                return frc;
            }
        }
    }
}


u_char *
ngx_trp_tunnel_space(ngx_trp_tunnel_t *t, size_t *size)
{
    trp_reader_t  *reader;

    reader = &t->reader;

    if (trp_reader_boundary(reader)) {

        /* that of another frame, which may have been a short one */
        ngx_trp_tunnel_free_payload(t);
    }

    if (trp_reader_needs_buf(reader)) {
        reader->buf = ngx_alloc(reader->frame.len, t->connection->log);
        if (reader->buf == NULL) {
            ngx_trp_tunnel_fail(t);
            return NULL;
        }
    }

    return trp_reader_space(reader, size);
}


static void
ngx_trp_tunnel_free_payload(ngx_trp_tunnel_t *t)
{
    if (t->reader.buf) {
        ngx_free(t->reader.buf);
        t->reader.buf = NULL;
    }
}


void
ngx_trp_tunnel_invalid(ngx_trp_tunnel_t *t)
{
    ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                  "peer sent invalid frame, type %d, length %d",
                  (int) t->reader.frame.type, (int) t->reader.frame.len);

    ngx_trp_tunnel_error(t, TRP_CODE_PROTOCOL);
}


void
ngx_trp_tunnel_error(ngx_trp_tunnel_t *t, ngx_uint_t code)
{
    u_char        buf[NGX_TRP_OPEN_MAX];
    trp_refuse_t  error;

    /* in the middle of a stream it could be taken for data */

    if (!t->busy) {
        error.code = (uint8_t) code;
        error.retry = 0;
        error.text.data = (u_char *) trp_code_text(code);
        error.text.len = ngx_strlen(error.text.data);

        ngx_trp_tunnel_send_frame(t, buf,
                                  trp_refuse_put(buf, TRP_ERRMSG, &error));
    }

    ngx_trp_tunnel_fail(t);
}


static ngx_int_t
ngx_trp_tunnel_drop(ngx_trp_tunnel_t *t)
{
    ssize_t  n;
    u_char   buf[4096];

    if (t->reader.left == 0) {
        trp_reader_take(&t->reader, 0);
        return NGX_OK;
    }

    n = ngx_trp_tunnel_recv(t, buf, ngx_min(sizeof(buf), t->reader.left));

    if (n == NGX_AGAIN || n == NGX_ERROR) {
        return n;
    }

    trp_reader_take(&t->reader, n);
    t->dropped += n;

    if (t->dropped > NGX_TRP_LINGER_SIZE) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "tunnel carries too much of an abandoned stream");
        ngx_trp_tunnel_fail(t);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_tunnel_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame)
{
    int           state;
    ngx_int_t     rc;
    ngx_uint_t    level;
    trp_refuse_t  error;

    if (frame->type == TRP_OPEN) {

        /* DONE and the next OPEN may come in one piece */
        ngx_trp_tunnel_settle(t);
    }

    state = trp_tunnel_recv(&t->state, frame->type, frame->len);

    if (state == TRP_DECLINED) {
        return NGX_DECLINED;
    }

    if (state == TRP_ERROR) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "peer sent unexpected frame, type %d, in state %d",
                      (int) frame->type, (int) t->state.state);
        ngx_trp_tunnel_error(t, TRP_CODE_PROTOCOL);
        return NGX_ERROR;
    }

    switch (frame->type) {

    case TRP_DATA:
    case TRP_PONG:
        return NGX_OK;

    case TRP_PING:

        /*
         * With a stream nobody waits for it, and a frame may be half passed
         * on; one that waits to be written answers them all.
         */

        if (!t->busy && !ngx_trp_tunnel_pending(t)) {
            ngx_trp_tunnel_send(t, TRP_PONG);
        }

        return NGX_OK;

    case TRP_ERRMSG:
        if (trp_refuse_get(&error, t->reader.buf, frame->len) == TRP_OK) {

            /* a relay's peer may be anybody */
            level = t->state.relay ? NGX_LOG_INFO : NGX_LOG_ERR;

            ngx_log_error(level, t->connection->log, 0,
                          "peer reports \"%*s\"",
                          error.text.len, error.text.data);
        }

        ngx_trp_tunnel_fail(t);
        return NGX_ERROR;

    case TRP_OPEN:
        t->busy = 1;

        /* of a tunnel that was to be closed: it has crossed with DRAIN */
        ngx_trp_tunnel_watch(t);
        break;
    }

    if (t->busy && trp_tunnel_idle(&t->state)) {
        ngx_trp_tunnel_post(t);
    }

    if (t->abandoned && frame->type != TRP_DRAIN && frame->type != TRP_AGENTS)
    {

        ngx_trp_tunnel_consume(t);
        return NGX_OK;
    }

    rc = t->handlers->frame(t, frame);

    if (rc == NGX_ERROR) {
        ngx_trp_tunnel_fail(t);
    }

    return rc;
}


ngx_int_t
ngx_trp_tunnel_sent(ngx_trp_tunnel_t *t, ngx_uint_t type, size_t len)
{
    if (t->failed) {
        return NGX_ERROR;
    }

    if (trp_tunnel_send(&t->state, type, len) != TRP_OK) {
        ngx_log_error(NGX_LOG_ALERT, t->connection->log, 0,
                      "frame of type %ui does not fit state %d, %xd/%xd",
                      type, (int) t->state.state, (int) t->state.sent,
                      (int) t->state.seen);
        ngx_trp_tunnel_fail(t);
        return NGX_ERROR;
    }

    if (type == TRP_OPEN) {
        t->busy = 1;

    } else if (t->busy && trp_tunnel_idle(&t->state)) {
        ngx_trp_tunnel_post(t);
    }

    return NGX_OK;
}


void
ngx_trp_tunnel_send(ngx_trp_tunnel_t *t, ngx_uint_t type)
{
    u_char  buf[TRP_HEADER_LEN];

    ngx_trp_tunnel_send_frame(t, buf, trp_empty_put(buf, type));
}


void
ngx_trp_tunnel_send_frame(ngx_trp_tunnel_t *t, u_char *start, u_char *last)
{
    u_char  *p;

    if (t->failed
        || ngx_trp_tunnel_sent(t, *start, last - start - TRP_HEADER_LEN)
           != NGX_OK)
    {
        return;
    }

    p = ngx_trp_tunnel_reserve(t, last - start);
    if (p == NULL) {
        return;
    }

    ngx_memcpy(p, start, last - start);
    t->out.last += last - start;

    ngx_trp_tunnel_wrote(t);
}


size_t
ngx_trp_tunnel_data(ngx_trp_tunnel_t *t, u_char *p, size_t size)
{
    size_t   n, room, done;
    u_char  *dst;

    if (t->failed) {
        return size;
    }

    for (done = 0; done < size; done += n) {

        n = ngx_trp_out_pending(&t->out);
        room = (n < NGX_TRP_RECORD_SIZE) ? NGX_TRP_RECORD_SIZE - n : 0;

        if (room <= TRP_HEADER_LEN) {

            if (t->blocked || ngx_trp_tunnel_push(t) != NGX_OK) {
                break;
            }

            room = NGX_TRP_RECORD_SIZE;
        }

        n = ngx_min(size - done, room - TRP_HEADER_LEN);

        if (ngx_trp_tunnel_sent(t, TRP_DATA, n) != NGX_OK) {
            return size;
        }

        dst = ngx_trp_tunnel_reserve(t, NGX_TRP_RECORD_SIZE
                                        + NGX_TRP_OUT_CONTROL
                                        - ngx_trp_out_pending(&t->out));
        if (dst == NULL) {
            return size;
        }

        dst = trp_header_put(dst, TRP_DATA, n);
        ngx_memcpy(dst, p + done, n);

        t->out.last += TRP_HEADER_LEN + n;
    }

    if (ngx_trp_tunnel_pending(t) && !t->blocked) {
        ngx_trp_tunnel_wrote(t);
    }

    return done;
}


u_char *
ngx_trp_tunnel_datagram(ngx_trp_tunnel_t *t, size_t size)
{
    size_t   used;
    u_char  *dst;

    if (t->failed) {
        return NULL;
    }

    used = ngx_trp_out_pending(&t->out);

    if (used + TRP_HEADER_LEN + size > NGX_TRP_RECORD_SIZE) {

        if (t->blocked || ngx_trp_tunnel_push(t) != NGX_OK) {
            return NULL;
        }

        used = 0;
    }

    if (ngx_trp_tunnel_sent(t, TRP_DATA, size) != NGX_OK) {
        return NULL;
    }

    /* many small ones have one buffer, which is not copied for each */

    dst = ngx_trp_tunnel_reserve(t, ngx_min(ngx_max(TRP_HEADER_LEN + size,
                                                    used),
                                            NGX_TRP_RECORD_SIZE
                                            + NGX_TRP_OUT_CONTROL - used));
    if (dst == NULL) {
        return NULL;
    }

    t->out.last += TRP_HEADER_LEN + size;

    if (!t->blocked) {

        /* those who send datagrams turn from one tunnel to the other */
        ngx_trp_tunnel_post(t);
    }

    return trp_header_put(dst, TRP_DATA, size);
}


void
ngx_trp_tunnel_forward(ngx_trp_tunnel_t *t, u_char *p, size_t size)
{
    size_t   used;
    u_char  *dst, *last;

    if (t->failed) {
        return;
    }

    last = p + size;
    used = ngx_trp_out_pending(&t->out);

    if (!t->blocked
        && used + size > (used ? NGX_TRP_RECORD_SIZE : NGX_TRP_COPY_SIZE)
        && ngx_trp_tunnel_push(t) == NGX_OK)
    {
        (void) ngx_trp_tunnel_write(t, &p, last);
    }

    if (t->failed) {
        return;
    }

    if (p < last) {
        dst = ngx_trp_tunnel_reserve(t, last - p);
        if (dst == NULL) {
            return;
        }

        ngx_memcpy(dst, p, last - p);
        t->out.last += last - p;
    }

    if (!t->blocked) {
        ngx_trp_tunnel_wrote(t);
    }
}


/* all that waits, to the socket */

static void
ngx_trp_tunnel_flush(ngx_trp_tunnel_t *t)
{
    ngx_int_t  rc;

    if (!ngx_trp_tunnel_pending(t) || t->connection->error) {
        return;
    }

    if (ngx_trp_tunnel_push(t) != NGX_OK) {
        return;
    }

    rc = ngx_trp_bio_flush(&t->bio);

    if (rc != NGX_OK) {

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_INFO, t->connection->log, ngx_socket_errno,
                          "writing to tunnel failed");
        }

        ngx_trp_tunnel_write_failed(t, rc);
        return;
    }

    t->blocked = 0;

    if (t->stalled) {
        t->stalled = 0;
        ngx_post_event(t->connection->read, &ngx_posted_events);
    }
}


/* the output becomes records */

static ngx_int_t
ngx_trp_tunnel_push(ngx_trp_tunnel_t *t)
{
    u_char         *p;
    ngx_int_t       rc;
    ngx_trp_out_t  *out;

    out = &t->out;

    if (!ngx_trp_out_pending(out)) {
        return NGX_OK;
    }

    p = out->start + out->pos;

    rc = ngx_trp_tunnel_write(t, &p, out->start + out->last);

    out->pos = p - out->start;

    if (rc != NGX_OK) {
        return rc;
    }

    out->pos = 0;
    out->last = 0;

    if (!t->busy || out->size > NGX_TRP_RECORD_SIZE + NGX_TRP_OUT_CONTROL) {
        ngx_trp_out_free(out);
    }

    return NGX_OK;
}


/* a record at a time: the rest of a refused write is offered again as it was */

static ngx_int_t
ngx_trp_tunnel_write(ngx_trp_tunnel_t *t, u_char **p, u_char *last)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = t->connection;

    while (*p < last) {

        n = c->send(c, *p, ngx_min(last - *p, NGX_TRP_RECORD_SIZE));

        if (n == NGX_AGAIN || n == NGX_ERROR) {
            ngx_trp_tunnel_write_failed(t, n);
            return n;
        }

        *p += n;
    }

    return NGX_OK;
}


static void
ngx_trp_tunnel_write_failed(ngx_trp_tunnel_t *t, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = t->connection;

    if (rc == NGX_AGAIN) {
        t->blocked = 1;

        if (ngx_handle_write_event(c->write, 0) == NGX_OK) {
            return;
        }
    }

    c->error = 1;
    ngx_trp_tunnel_fail(t);
}


/* "size" bytes of space behind what waits; NULL if there is no memory */

static u_char *
ngx_trp_tunnel_reserve(ngx_trp_tunnel_t *t, size_t size)
{
    size_t   need;
    u_char  *p;

    p = ngx_trp_out_space(&t->out, size);

    if (p) {
        return p;
    }

    need = ngx_max(ngx_trp_out_pending(&t->out) + size, NGX_TRP_OUT_MIN);

    if (need > NGX_TRP_RECORD_SIZE + NGX_TRP_OUT_CONTROL) {

        /* what grows on is not copied for each frame */
        need = ngx_max(need, 2 * t->out.size);
    }

    if (ngx_trp_out_grow(&t->out, need, t->connection->log) != NGX_OK) {
        ngx_trp_tunnel_fail(t);
        return NULL;
    }

    return t->out.start + t->out.last;
}


void
ngx_trp_tunnel_abandon(ngx_trp_tunnel_t *t, trp_refuse_t *refuse,
    ngx_uint_t aborted)
{
    u_char         buf[NGX_TRP_OPEN_MAX];
    trp_refuse_t   failed;
    trp_tunnel_t  *state;

    state = &t->state;

    if (t->failed || !trp_tunnel_busy(state)) {
        return;
    }

    t->abandoned = 1;

    if (!state->opener && !(state->sent & TRP_SEEN_ANSWER)) {

        if (refuse == NULL) {
            ngx_memzero(&failed, sizeof(trp_refuse_t));

            failed.code = TRP_CODE_FAILED;
            refuse = &failed;
        }

        ngx_trp_tunnel_send_frame(t, buf,
                                  trp_refuse_put(buf, TRP_REFUSE, refuse));

    } else if (!(state->sent & TRP_SEEN_END)
               || (aborted && !((state->sent | state->seen) & TRP_SEEN_RESET)
                   && !(state->sent & TRP_SEEN_DONE)))
    {
        ngx_trp_tunnel_send(t, TRP_RESET);
    }

    ngx_trp_tunnel_consume(t);

    if (!trp_tunnel_busy(state)) {
        return;
    }

    /*
     * A clean end may wait for its DONE as long as its reader is slow: all
     * that it has sent is on this tunnel.
     */

    if (state->sent & TRP_SEEN_RESET) {
        ngx_trp_tunnel_deadline(t, NGX_TRP_LINGER_TIME,
                                "dropping the rest of a stream");

    } else {
        ngx_trp_tunnel_watch(t);
    }

    /* DATA may have been left unread when its reader went away */

    ngx_post_event(t->connection->read, &ngx_posted_events);
}


/* an abandoned stream has consumed the peer's end when it has come */

static void
ngx_trp_tunnel_consume(ngx_trp_tunnel_t *t)
{
    if (trp_tunnel_busy(&t->state)
        && t->state.seen & TRP_SEEN_END && !(t->state.sent & TRP_SEEN_DONE))
    {
        ngx_trp_tunnel_send(t, TRP_DONE);
    }
}


ngx_int_t
ngx_trp_tunnel_exporter(ngx_trp_tunnel_t *t, u_char *out)
{
    ngx_ssl_conn_t  *ssl;

    ssl = t->connection->ssl->connection;

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
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_trp_tunnel_close(ngx_trp_tunnel_t *t)
{
    ngx_connection_t  *c;

    c = t->connection;

    if (t->tunnels->last == t) {
        t->tunnels->last = NULL;
    }

    t->failed = 1;
    t->handlers->closed(t);

    if (t->event.posted) {
        ngx_delete_posted_event(&t->event);
    }

    if (t->event.timer_set) {
        ngx_del_timer(&t->event);
    }

    ngx_trp_out_free(&t->out);

    ngx_trp_tunnel_free_payload(t);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    c->idle = 0;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown |= t->blocked;
    }

    ngx_trp_tunnel_close_connection(c);
}


static void
ngx_trp_tunnel_close_connection(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    if (c->ssl) {

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_trp_tunnel_close_connection;
            return;
        }

        /*
         * TLS beneath that of the tunnel is shut down when it is freed, after
         * nginx has looked for errors; of one that is dead this is an error
         */

        ERR_clear_error();
    }

    pool = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
