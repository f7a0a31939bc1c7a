
/*
 * Copyright (C) the trp authors
 */


/*
 * Dialling: connect(), then the steps, driven by the connection's events, whose
 * handlers are set here until the end.  nginx's handshake handlers are not
 * used: they would not notice that the worker exits.
 */


#include "base/ngx_trp_dialer.h"
#include "base/ngx_trp_connect.h"
#include "base/trp_looks.h"


static void ngx_trp_dialer_connect_handler(ngx_event_t *ev);
static void ngx_trp_dialer_step_handler(ngx_event_t *ev);
static ngx_int_t ngx_trp_dialer_next(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static void ngx_trp_dialer_steps(ngx_trp_dialer_t *d);
static void ngx_trp_dialer_again(ngx_trp_dialer_t *d);
static ngx_int_t ngx_trp_dialer_tls_begin(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static ngx_int_t ngx_trp_dialer_tls_run(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static void ngx_trp_dialer_tls_end(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static void ngx_trp_dialer_message(int sent, int version, int type,
    const void *data, size_t len, SSL *ssl, void *arg);
static ngx_int_t ngx_trp_dialer_check(ngx_trp_dialer_tls_t *tls, ngx_int_t rc);
static ngx_uint_t ngx_trp_dialer_selected(ngx_trp_dialer_tls_t *tls);
static void ngx_trp_dialer_no_tls(ngx_trp_dialer_tls_t *tls);
static const char *ngx_trp_dialer_peer(ngx_trp_dialer_t *d);
static const ngx_str_t *ngx_trp_dialer_peer_name(ngx_trp_dialer_t *d);
static ngx_uint_t ngx_trp_dialer_over(ngx_trp_dialer_t *d, ngx_event_t *ev);
static void ngx_trp_dialer_connect_error(ngx_trp_dialer_t *d, ngx_err_t err);
static void ngx_trp_dialer_end(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);
static void ngx_trp_dialer_empty_handler(ngx_event_t *ev);
static void ngx_trp_dialer_leave(ngx_trp_dialer_t *d);


static const ngx_trp_dialer_kind_t  ngx_trp_dialer_tls = {
    ngx_trp_dialer_tls_begin,
    ngx_trp_dialer_tls_run,
    ngx_trp_dialer_tls_end
};


void
ngx_trp_dialer_add(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_trp_dialer_step_t  **last;

    for (last = &d->steps; *last; last = &(*last)->next) { /* void */ }

    *last = step;
}


void
ngx_trp_dialer_add_tls(ngx_trp_dialer_t *d, ngx_trp_dialer_tls_t *tls)
{
    tls->dialer = d;
    tls->step.kind = &ngx_trp_dialer_tls;

    ngx_trp_dialer_add(d, &tls->step);
}


void
ngx_trp_dialer_wait(ngx_trp_dialer_t *d, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = d->connection;

    c->data = d;
    c->read->handler = ngx_trp_dialer_connect_handler;
    c->write->handler = ngx_trp_dialer_connect_handler;

    if (d->timeout) {
        ngx_add_timer(c->read, d->timeout);
    }

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}


static void
ngx_trp_dialer_connect_handler(ngx_event_t *ev)
{
    ngx_err_t          err;
    ngx_connection_t  *c;
    ngx_trp_dialer_t  *d;

    c = ev->data;
    d = c->data;

    if (ngx_trp_dialer_over(d, ev)) {
        return;
    }

    err = ngx_trp_connect_error(c);

    if (err) {
        ngx_trp_dialer_connect_error(d, err);
        ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
        return;
    }

    ngx_trp_dialer_run(d);
}


void
ngx_trp_dialer_run(ngx_trp_dialer_t *d)
{
    d->connection->data = d;

    if (ngx_trp_dialer_next(d, d->steps) != NGX_OK) {
        ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
        return;
    }

    ngx_trp_dialer_steps(d);
}


static void
ngx_trp_dialer_step_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;
    ngx_trp_dialer_t  *d;

    c = ev->data;
    d = c->data;

    if (!ngx_trp_dialer_over(d, ev)) {
        ngx_trp_dialer_steps(d);
    }
}


static ngx_int_t
ngx_trp_dialer_next(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    d->step = step;

    if (step == NULL) {
        return NGX_OK;
    }

    if (step->action) {
        d->connection->log->action = (char *) step->action;
    }

    return step->kind->begin ? step->kind->begin(d, step) : NGX_OK;
}


static void
ngx_trp_dialer_steps(ngx_trp_dialer_t *d)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_trp_dialer_step_t  *step;

    c = d->connection;

    while (d->step) {
        step = d->step;

        rc = step->kind->run(d, step);

        c->read->handler = ngx_trp_dialer_step_handler;
        c->write->handler = ngx_trp_dialer_step_handler;

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_DONE) {
            ngx_trp_dialer_again(d);
            return;
        }

        if (rc == NGX_OK) {

            ngx_trp_dialer_leave(d);

            rc = ngx_trp_dialer_next(d, step->next);
        }

        if (rc != NGX_OK) {
            ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
            return;
        }
    }

    ngx_trp_dialer_end(d, NGX_TRP_DIALER_READY);
}


/* another connection in place of this one */

static void
ngx_trp_dialer_again(ngx_trp_dialer_t *d)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = d->connection;

    if (c->ssl) {
        ngx_trp_ssl_drop(c);
    }

    rc = ngx_trp_connect_again(c, d->via->sockaddr, d->via->socklen);

    if (rc == NGX_ERROR) {
        d->step = NULL;
        ngx_trp_dialer_connect_error(d, ngx_socket_errno);
        ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
        return;
    }

    d->step = NULL;

    c->read->handler = ngx_trp_dialer_connect_handler;
    c->write->handler = ngx_trp_dialer_connect_handler;

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}


ngx_int_t
ngx_trp_dialer_send(ngx_trp_dialer_t *d, ngx_buf_t *b)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = d->connection;

    while (b->pos < b->last) {
        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_AGAIN) {
            return (ngx_handle_write_event(c->write, 0) == NGX_OK)
                   ? NGX_AGAIN : NGX_ERROR;
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        b->pos += n;
    }

    return NGX_OK;
}


ssize_t
ngx_trp_dialer_peek(ngx_trp_dialer_t *d, u_char *buf, size_t size)
{
    int                n;
    ssize_t            rc;
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = d->connection;

    if (c->ssl) {
        ERR_clear_error();

        n = SSL_peek(c->ssl->connection, buf, (int) size);

        if (n > 0) {
            return n;
        }

        switch (SSL_get_error(c->ssl->connection, n)) {

        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            rc = NGX_AGAIN;
            break;

        case SSL_ERROR_ZERO_RETURN:
            return 0;

        default:
            ERR_clear_error();
            return NGX_ERROR;
        }

    } else {
        rc = recv(c->fd, buf, size, MSG_PEEK);

        if (rc >= 0) {
            return rc;
        }

        err = ngx_socket_errno;

        if (err == NGX_ECONNRESET) {
            return 0;
        }

        if (err != NGX_EAGAIN && err != NGX_EINTR) {
            (void) ngx_connection_error(c, err, "recv() failed");
            return NGX_ERROR;
        }

        rc = NGX_AGAIN;
    }

    c->read->ready = 0;

    return (ngx_handle_read_event(c->read, 0) == NGX_OK) ? rc : NGX_ERROR;
}


ngx_int_t
ngx_trp_dialer_skip(ngx_trp_dialer_t *d, u_char *buf, size_t n)
{
    ssize_t            rc;
    ngx_connection_t  *c;

    c = d->connection;

    if (n == 0) {
        return NGX_OK;
    }

    /* nginx would not read before the event that has not been handled yet */

    rc = c->ssl ? c->recv(c, buf, n) : recv(c->fd, buf, n, 0);

    return (rc == (ssize_t) n) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_dialer_tls_begin(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_trp_dialer_tls_t  *tls;

    c = d->connection;
    tls = (ngx_trp_dialer_tls_t *) step;

    rc = c->ssl ? ngx_trp_ssl_nest(tls->ssl, c, tls->host, tls->session)
                : ngx_trp_ssl_create_connection(tls->ssl, c, tls->host,
                                                tls->session);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    /* a write that would block may be retried from another buffer */

    SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    tls->answered = 0;
    tls->no_tls = 0;
    tls->no_alpn = 0;

    SSL_set_msg_callback(c->ssl->connection, ngx_trp_dialer_message);
    SSL_set_msg_callback_arg(c->ssl->connection, tls);

    return tls->prepare ? tls->prepare(d) : NGX_OK;
}


static ngx_int_t
ngx_trp_dialer_tls_run(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_int_t  rc;

    rc = ngx_ssl_handshake(d->connection);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_trp_dialer_check((ngx_trp_dialer_tls_t *) step, rc);
}


/* the connection's TLS may outlive the step */

static void
ngx_trp_dialer_tls_end(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_ssl_connection_t  *ssl;

    ssl = d->connection->ssl;

    if (ssl && ssl->connection) {
        SSL_set_msg_callback(ssl->connection, NULL);
    }
}


/*
 * What is no TLS at all, and an alert, are best seen here: OpenSSL's errors are
 * "wrong version number" and the like.
 */

static void
ngx_trp_dialer_message(int sent, int version, int type, const void *data,
    size_t len, SSL *ssl, void *arg)
{
    ngx_trp_dialer_tls_t *tls = arg;

    const u_char  *p;

    p = data;

    if (sent) {
        return;
    }

    if (type == SSL3_RT_HEADER && !tls->answered
        && len >= NGX_TRP_DIALER_START)
    {
        tls->answered = 1;
        tls->no_tls = (p[0] != SSL3_RT_HANDSHAKE && p[0] != SSL3_RT_ALERT);

        ngx_memcpy(tls->start, p, NGX_TRP_DIALER_START);

    } else if (type == SSL3_RT_ALERT && len == 2) {
        tls->no_alpn = (tls->alpn && p[1] == SSL_AD_NO_APPLICATION_PROTOCOL);
    }

    if (tls->no_tls || tls->no_alpn) {
        ngx_trp_ssl_explained(tls->dialer->connection);
    }
}


/* "rc" is that of the handshake; a failure has one line in the log */

static ngx_int_t
ngx_trp_dialer_check(ngx_trp_dialer_tls_t *tls, ngx_int_t rc)
{
    const char        *peer;
    ngx_uint_t         selected;
    ngx_connection_t  *c;
    ngx_trp_dialer_t  *d;

    d = tls->dialer;
    c = d->connection;
    peer = ngx_trp_dialer_peer(d);

    if (tls->no_tls) {
        ngx_trp_dialer_no_tls(tls);
        return NGX_ERROR;
    }

    selected = ngx_trp_dialer_selected(tls);

    if (!tls->no_alpn) {

        if (ngx_trp_ssl_verify(tls->ssl, c, tls->host, peer, d->level,
                               selected ? NULL : tls->alpn)
            != NGX_OK
            || rc != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!selected) {
        ngx_log_error(d->level, c->log, 0,
                      "server does not speak %s: is it a %s?",
                      tls->alpn, peer);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* in TLS 1.3, too, a server selects the protocol before its certificate */

static ngx_uint_t
ngx_trp_dialer_selected(ngx_trp_dialer_tls_t *tls)
{
    unsigned       len;
    const u_char  *alpn;

    if (tls->alpn == NULL) {
        return 1;
    }

    SSL_get0_alpn_selected(tls->dialer->connection->ssl->connection,
                           &alpn, &len);

    return len == ngx_strlen(tls->alpn)
           && ngx_memcmp(alpn, tls->alpn, len) == 0;
}


static void
ngx_trp_dialer_no_tls(ngx_trp_dialer_tls_t *tls)
{
    ngx_log_t         *log;
    trp_str_t          start;
    const char        *name, *peer;
    ngx_trp_dialer_t  *d;

    d = tls->dialer;
    log = d->connection->log;
    peer = ngx_trp_dialer_peer(d);

    start.data = tls->start;
    start.len = NGX_TRP_DIALER_START;

    name = trp_looks_like(start);

    if (name) {
        ngx_log_error(d->level, log, 0,
                      "server does not speak TLS, this looks like %s: "
                      "is it a %s?", name, peer);
        return;
    }

    ngx_log_error(d->level, log, 0,
                  "server does not speak TLS, it begins with \"%s\": "
                  "is it a %s?", ngx_trp_text(start.data, start.len).data,
                  peer);
}


static const char *
ngx_trp_dialer_peer(ngx_trp_dialer_t *d)
{
    if (d->step == NULL && d->via) {
        return d->via_peer;
    }

    return (d->step && d->step->peer) ? d->step->peer : d->peer;
}


static const ngx_str_t *
ngx_trp_dialer_peer_name(ngx_trp_dialer_t *d)
{
    if (d->step == NULL && d->via) {
        return &d->via->name;
    }

    return (d->step && d->step->peer) ? d->step->name : d->name;
}


/* 1 if this event is not progress of the connection */

static ngx_uint_t
ngx_trp_dialer_over(ngx_trp_dialer_t *d, ngx_event_t *ev)
{
    const ngx_str_t  *name;

    if (d->connection->close) {
        ngx_trp_dialer_leave(d);
        d->handler(d, NGX_TRP_DIALER_EXITING);
        return 1;
    }

    if (!ev->timedout) {
        return 0;
    }

    name = ngx_trp_dialer_peer_name(d);

    if (name) {
        ngx_log_error(d->level, ev->log, NGX_ETIMEDOUT, "%s %V timed out",
                      ngx_trp_dialer_peer(d), name);

    } else {
        ngx_log_error(d->level, ev->log, NGX_ETIMEDOUT, "%s timed out",
                      ngx_trp_dialer_peer(d));
    }

    ngx_trp_dialer_end(d, NGX_TRP_DIALER_TIMED_OUT);

    return 1;
}


static void
ngx_trp_dialer_connect_error(ngx_trp_dialer_t *d, ngx_err_t err)
{
    u_char  text[128];

    if (d->via) {
        *ngx_snprintf(text, sizeof(text) - 1, "connect() to %s %V failed",
                      d->via_peer, &d->via->name)
            = '\0';

        (void) ngx_connection_error(d->connection, err, (char *) text);
        return;
    }

    if (d->name == NULL) {
        (void) ngx_connection_error(d->connection, err, "connect() failed");
        return;
    }

    *ngx_snprintf(text, sizeof(text) - 1, "connect() to %s failed", d->peer)
        = '\0';

    (void) ngx_connection_error(d->connection, err, (char *) text);
}


static void
ngx_trp_dialer_end(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc)
{
    ngx_event_t  *rev;

    rev = d->connection->read;

    if (d->timeout && rev->timer_set) {
        ngx_del_timer(rev);
    }

    ngx_trp_dialer_leave(d);

    /* an owner may keep a connection that has failed until a posted event */

    d->connection->read->handler = ngx_trp_dialer_empty_handler;
    d->connection->write->handler = ngx_trp_dialer_empty_handler;

    d->handler(d, rc);
}


static void
ngx_trp_dialer_empty_handler(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0,
                   "trp dialer: event after the end");
}


static void
ngx_trp_dialer_leave(ngx_trp_dialer_t *d)
{
    if (d->step && d->step->kind->end) {
        d->step->kind->end(d, d->step);
    }
}
