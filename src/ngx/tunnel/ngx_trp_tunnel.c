
/*
 * Copyright (C) the trp authors
 */


/*
 * The life of a tunnel: its events, input, the end of an abandoned stream, and
 * closing.
 */


#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/ngx_trp_frame_log.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"


#define NGX_TRP_TURN_SIZE  262144    /* read in one turn of the event loop */


static void ngx_trp_tunnel_read_handler(ngx_event_t *rev);
static void ngx_trp_tunnel_write_handler(ngx_event_t *wev);
static void ngx_trp_tunnel_free_payload(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_tunnel_drop(ngx_trp_tunnel_t *t);
static void ngx_trp_tunnel_consume(ngx_trp_tunnel_t *t);
static ssize_t ngx_trp_tunnel_recv_nothing(ngx_trp_tunnel_t *t, ssize_t n);
static const char *ngx_trp_tunnel_why_closed(ngx_err_t err);


ngx_trp_tunnel_t *
ngx_trp_tunnel_create(ngx_trp_transport_t *tr, ngx_trp_tunnels_t *tunnels,
    const ngx_trp_tunnel_handlers_t *handlers, void *data, ngx_uint_t relay,
    ngx_msec_t heartbeat)
{
    ngx_connection_t  *c;
    ngx_trp_tunnel_t  *t;

    if (tr == NULL) {
        return NULL;
    }

    c = tr->connection;

    t = ngx_pcalloc(c->pool, sizeof(ngx_trp_tunnel_t));
    if (t == NULL) {
        return NULL;
    }

    t->connection = c;
    t->transport = tr;
    t->tunnels = tunnels;
    t->handlers = handlers;
    t->data = data;
    t->heartbeat = heartbeat;
    t->received = ngx_current_msec;

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

    if (t->transport->ops->start(t->transport) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_tunnel_keepalive(t);

    c->idle = 1;
    c->read->handler = ngx_trp_tunnel_read_handler;
    c->write->handler = ngx_trp_tunnel_write_handler;

    return NGX_OK;
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
            ngx_trp_tunnel_why(t, "shutdown timeout");
            ngx_trp_tunnel_close(t);
            return;
        }

        c->close = 0;
        t->draining = 1;
        t->handlers->drain(t);

        /* outside of the event loop: make it iterate once more */

        if (c->write->posted) {
            ngx_trp_tunnel_flush_later(t);
        }

        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;

        if (ngx_trp_tunnel_timeout(t) != NGX_OK) {
            ngx_trp_tunnel_close(t);
        }

        return;
    }

    t->turn = 0;
    t->handlers->readable(t);

    ngx_trp_tunnel_flush_last(t->tunnels, NULL);
}


/*
 * Output can be written, or the tunnel has posted the event itself: to flush,
 * to close, or because it is idle.
 */

static void
ngx_trp_tunnel_write_handler(ngx_event_t *wev)
{
    ngx_uint_t            blocked;
    ngx_connection_t     *c;
    ngx_trp_tunnel_t     *t;
    ngx_trp_transport_t  *tr;

    c = wev->data;
    t = c->data;
    tr = t->transport;

    if (wev->timedout) {
        wev->timedout = 0;
        t->held = 0;
    }

    if (tr->write_on_read) {
        tr->write_on_read = 0;
        ngx_post_event(c->read, &ngx_posted_events);
    }

    blocked = t->blocked;

    if (!t->held) {
        ngx_trp_tunnel_flush(t);
    }

    if (t->failed) {
        ngx_trp_tunnel_close(t);
        return;
    }

    if (blocked && !t->blocked) {

        /* the socket accepts bytes some time before epoll reports it */
        t->handlers->writable(t);
    }

    if (!t->blocked && tr->ops->written(tr) != NGX_OK) {
        ngx_trp_tunnel_fail(t);
    }

    ngx_trp_tunnel_settle(t);
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
    t->doubt.open = 0;

    if (!ngx_trp_out_pending(&t->out)) {
        ngx_trp_out_free(&t->out);
    }

    t->transport->ops->relax(t->transport, 1);

    ngx_trp_tunnel_watch(t);

    t->handlers->idle(t);
}


ssize_t
ngx_trp_tunnel_recv(ngx_trp_tunnel_t *t, u_char *buf, size_t size)
{
    ssize_t               n;
    ngx_trp_transport_t  *tr;

    if (t->failed) {
        return NGX_ERROR;
    }

    tr = t->transport;

    if (t->turn > NGX_TRP_TURN_SIZE) {

        /* a peer that is faster than this worker must not monopolize it */

        ngx_post_event(t->connection->read, &ngx_posted_next_events);
        return NGX_AGAIN;
    }

    if (t->blocked && (!t->busy || t->abandoned)) {

        /* a peer that does not read our answers must not ask for more */

        t->stalled = 1;
        return NGX_AGAIN;
    }

    if (t->input && !t->abandoned && !tr->ops->drained(tr)) {

        /* what is dropped has no limit, so that the next stream comes soon */

        size = ngx_trp_metered_ask(t->input, size);

        if (size == 0) {
            return NGX_AGAIN;
        }
    }

    n = tr->ops->recv(tr, buf, size);

    if (n > 0) {
        t->received = ngx_current_msec;
        t->missed = 0;
        t->turn += n;

        if (t->input && !t->abandoned) {
            ngx_trp_metered_took(t->input, n);
        }

        if (t->probing) {
            ngx_trp_tunnel_answered(t);
        }

        return n;
    }

    return ngx_trp_tunnel_recv_nothing(t, n);
}


/* "n" is not positive */

static ssize_t
ngx_trp_tunnel_recv_nothing(ngx_trp_tunnel_t *t, ssize_t n)
{
    ngx_uint_t            asked;
    ngx_trp_transport_t  *tr;

    tr = t->transport;

    if (n == NGX_AGAIN) {

        if (!t->busy) {
            tr->ops->relax(tr, 0);
        }

        return NGX_AGAIN;
    }

    /* it was asked to close */
    asked = (t->draining && !t->busy);

    if (n == NGX_ERROR) {
        ngx_trp_tunnel_why(t, tr->ops->failed(tr, asked));

    } else if (!asked) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, tr->err,
                      "peer closed tunnel%s",
                      t->busy ? " in the middle of a stream" : "");

        ngx_trp_tunnel_why(t, ngx_trp_tunnel_why_closed(tr->err));
    }

    ngx_trp_tunnel_fail(t);

    return NGX_ERROR;
}


/* what the system has reported, 0: the end */

static const char *
ngx_trp_tunnel_why_closed(ngx_err_t err)
{
    switch (err) {

    case 0:
        return "closed by the peer";

    case NGX_ECONNRESET:
    case NGX_EPIPE:
        return "connection was reset";

    case NGX_ETIMEDOUT:
    case NGX_EHOSTUNREACH:
    case NGX_ENETUNREACH:
        return "peer's host does not answer";
    }

    return "connection failed";
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
            ngx_trp_tunnel_lose(t, "no memory");
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

    ngx_trp_tunnel_error(t, TRP_CODE_PROTOCOL, NULL);
}


void
ngx_trp_tunnel_error(ngx_trp_tunnel_t *t, ngx_uint_t code, const char *why)
{
    u_char        text[TRP_TEXT_MAX], buf[NGX_TRP_OPEN_MAX];
    trp_refuse_t  error;

    ngx_trp_tunnel_why(t, (code == TRP_CODE_PROTOCOL)
                          ? "peer broke the protocol" : trp_code_text(code));

    /* in the middle of a stream it could be taken for data */

    if (!t->busy) {
        error.code = (uint8_t) code;
        error.retry = 0;
        error.text.data = text;
        error.text.len = ngx_snprintf(text, TRP_TEXT_MAX, "%s%s%s",
                                      trp_code_text(code), why ? ": " : "",
                                      why ? why : "")
                         - text;

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
        ngx_trp_tunnel_lose(t, "too much of an abandoned stream");
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

    ngx_trp_frame_log(t, "rx", frame->type, frame->len,
                      frame->type == TRP_DATA ? NULL : t->reader.buf);

    if (state == TRP_ERROR) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                      "peer sent unexpected frame, type %d, in state %d",
                      (int) frame->type, (int) t->state.state);
        ngx_trp_tunnel_error(t, TRP_CODE_PROTOCOL, NULL);
        return NGX_ERROR;
    }

    switch (frame->type) {

    case TRP_DATA:

        if (!t->abandoned) {
            t->tunnels->traffic[t->state.opener].received += frame->len;

            if (t->traffic) {
                (void) ngx_atomic_fetch_add(&t->traffic[0], frame->len);
            }
        }

        return NGX_OK;

    case TRP_PING:

        /*
         * After the answer to OPEN the peer does not wait for PONG, and a frame
         * may be partly forwarded; one PONG that waits to be written answers
         * them all.
         */

        if (ngx_trp_tunnel_asked(t) && !ngx_trp_tunnel_pending(t)) {
            ngx_trp_tunnel_send(t, TRP_PONG);
        }

        return NGX_OK;

    case TRP_ACCEPT:
    case TRP_REFUSE:
        ngx_trp_tunnel_answer(t);
        break;

    case TRP_ERRMSG:
        if (trp_refuse_get(&error, t->reader.buf, frame->len) == TRP_OK) {

            /* a relay's peer may be any client */
            level = t->state.relay ? NGX_LOG_INFO : NGX_LOG_ERR;

            ngx_log_error(level, t->connection->log, 0,
                          "%s reports \"%*s\"",
                          t->state.relay ? "agent" : "relay",
                          error.text.len, error.text.data);
        }

        ngx_trp_tunnel_lose(t, "peer reported an error");
        return NGX_ERROR;

    case TRP_OPEN:
        t->busy = 1;
        t->doubt.asked = 0;

        /* it has crossed with DRAIN: the tunnel was about to be closed */
        ngx_trp_tunnel_watch(t);
        break;
    }

    if (t->busy && trp_tunnel_idle(&t->state)) {
        ngx_trp_tunnel_post(t);
    }

    if (t->abandoned && frame->type != TRP_DRAIN && frame->type < TRP_AGENTS) {
        ngx_trp_tunnel_consume(t);
        return NGX_OK;
    }

    rc = t->handlers->frame(t, frame);

    if (rc == NGX_ERROR) {
        ngx_trp_tunnel_lose(t, "peer broke the protocol");
    }

    return rc;
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
     * A clean end waits for DONE for as long as its reader is slow: all that
     * was sent is on this tunnel.
     */

    if (state->sent & TRP_SEEN_RESET) {
        ngx_trp_tunnel_deadline(t, NGX_TRP_LINGER_TIME,
                                "dropping the rest of a stream");

    } else {
        ngx_trp_tunnel_watch(t);
    }

    /* the reader that is gone may have left DATA unread */

    ngx_post_event(t->connection->read, &ngx_posted_events);
}


/* an abandoned stream consumes the peer's end as soon as it arrives */

static void
ngx_trp_tunnel_consume(ngx_trp_tunnel_t *t)
{
    if (trp_tunnel_busy(&t->state)
        && t->state.seen & TRP_SEEN_END && !(t->state.sent & TRP_SEEN_DONE))
    {
        ngx_trp_tunnel_send(t, TRP_DONE);
    }
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

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_trp_out_free(&t->out);

    ngx_trp_tunnel_free_payload(t);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    c->idle = 0;

    t->transport->ops->close(t->transport, t->blocked);
}
