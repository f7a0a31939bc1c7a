
/*
 * Copyright (C) the trp authors
 */


/*
 * Dialling: connect(), then a TLS handshake, driven by the connection's events,
 * whose handlers are set here until the end.  nginx's handshake handlers are
 * not used: they would not notice that the worker exits.
 */


#include "base/ngx_trp_dialer.h"
#include "base/ngx_trp_connect.h"
#include "base/trp_looks.h"


static void ngx_trp_dialer_connect_handler(ngx_event_t *ev);
static void ngx_trp_dialer_handshake_handler(ngx_event_t *ev);
static ngx_int_t ngx_trp_dialer_ssl(ngx_trp_dialer_t *d);
static void ngx_trp_dialer_message(int sent, int version, int type,
    const void *data, size_t len, SSL *ssl, void *arg);
static ngx_int_t ngx_trp_dialer_check(ngx_trp_dialer_t *d, ngx_int_t rc);
static ngx_uint_t ngx_trp_dialer_selected(ngx_trp_dialer_t *d);
static void ngx_trp_dialer_no_tls(ngx_trp_dialer_t *d);
static void ngx_trp_dialer_forget(ngx_trp_dialer_t *d);
static ngx_uint_t ngx_trp_dialer_over(ngx_trp_dialer_t *d, ngx_event_t *ev);
static void ngx_trp_dialer_connect_error(ngx_trp_dialer_t *d, ngx_err_t err);
static void ngx_trp_dialer_end(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);


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

    if (d->ssl) {
        ngx_trp_dialer_handshake(d);
        return;
    }

    ngx_trp_dialer_end(d, NGX_TRP_DIALER_READY);
}


void
ngx_trp_dialer_handshake(ngx_trp_dialer_t *d)
{
    ngx_connection_t  *c;

    c = d->connection;

    if (d->action) {
        c->log->action = (char *) d->action;
    }

    if (ngx_trp_dialer_ssl(d) != NGX_OK) {
        ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
        return;
    }

    c->data = d;

    ngx_trp_dialer_handshake_handler(c->write);
}


static ngx_int_t
ngx_trp_dialer_ssl(ngx_trp_dialer_t *d)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = d->connection;

    rc = c->ssl ? ngx_trp_ssl_nest(d->ssl, c, d->host, d->session)
                : ngx_trp_ssl_create_connection(d->ssl, c, d->host,
                                                d->session);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    /* a write that would block may be retried from another buffer */

    SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    d->answered = 0;
    d->no_tls = 0;
    d->no_alpn = 0;

    SSL_set_msg_callback(c->ssl->connection, ngx_trp_dialer_message);
    SSL_set_msg_callback_arg(c->ssl->connection, d);

    return d->prepare ? d->prepare(d) : NGX_OK;
}


static void
ngx_trp_dialer_handshake_handler(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;
    ngx_trp_dialer_t  *d;

    c = ev->data;
    d = c->data;

    if (ngx_trp_dialer_over(d, ev)) {
        return;
    }

    rc = ngx_ssl_handshake(c);

    c->read->handler = ngx_trp_dialer_handshake_handler;
    c->write->handler = ngx_trp_dialer_handshake_handler;

    if (rc == NGX_AGAIN) {
        return;
    }

    rc = ngx_trp_dialer_check(d, rc);

    ngx_trp_dialer_end(d, (rc == NGX_OK) ? NGX_TRP_DIALER_READY
                                         : NGX_TRP_DIALER_FAILED);
}


/*
 * What is no TLS at all, and an alert, are best seen here: OpenSSL's errors are
 * "wrong version number" and the like.
 */

static void
ngx_trp_dialer_message(int sent, int version, int type, const void *data,
    size_t len, SSL *ssl, void *arg)
{
    ngx_trp_dialer_t *d = arg;

    const u_char  *p;

    p = data;

    if (sent) {
        return;
    }

    if (type == SSL3_RT_HEADER && !d->answered
        && len >= NGX_TRP_DIALER_START)
    {
        d->answered = 1;
        d->no_tls = (p[0] != SSL3_RT_HANDSHAKE && p[0] != SSL3_RT_ALERT);

        ngx_memcpy(d->start, p, NGX_TRP_DIALER_START);

    } else if (type == SSL3_RT_ALERT && len == 2) {
        d->no_alpn = (d->alpn && p[1] == SSL_AD_NO_APPLICATION_PROTOCOL);
    }

    if (d->no_tls || d->no_alpn) {
        ngx_trp_ssl_explained(d->connection);
    }
}


/* "rc" is that of the handshake; a failure has one line in the log */

static ngx_int_t
ngx_trp_dialer_check(ngx_trp_dialer_t *d, ngx_int_t rc)
{
    ngx_uint_t         selected;
    ngx_connection_t  *c;

    c = d->connection;

    if (d->no_tls) {
        ngx_trp_dialer_no_tls(d);
        return NGX_ERROR;
    }

    selected = ngx_trp_dialer_selected(d);

    if (!d->no_alpn) {

        if (ngx_trp_ssl_verify(d->ssl, c, d->host, d->peer, d->level,
                               selected ? NULL : d->alpn)
            != NGX_OK
            || rc != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!selected) {
        ngx_log_error(d->level, c->log, 0,
                      "server does not speak %s: is it a %s?",
                      d->alpn, d->peer);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* in TLS 1.3, too, a server selects the protocol before its certificate */

static ngx_uint_t
ngx_trp_dialer_selected(ngx_trp_dialer_t *d)
{
    unsigned       len;
    const u_char  *alpn;

    if (d->alpn == NULL) {
        return 1;
    }

    SSL_get0_alpn_selected(d->connection->ssl->connection, &alpn, &len);

    return len == ngx_strlen(d->alpn) && ngx_memcmp(alpn, d->alpn, len) == 0;
}


static void
ngx_trp_dialer_no_tls(ngx_trp_dialer_t *d)
{
    trp_str_t    start;
    const char  *name;

    start.data = d->start;
    start.len = NGX_TRP_DIALER_START;

    name = trp_looks_like(start);

    if (name) {
        ngx_log_error(d->level, d->connection->log, 0,
                      "server does not speak TLS, this looks like %s: "
                      "is it a %s?", name, d->peer);
        return;
    }

    ngx_log_error(d->level, d->connection->log, 0,
                  "server does not speak TLS, it begins with \"%s\": "
                  "is it a %s?", ngx_trp_text(start.data, start.len).data,
                  d->peer);
}


/* 1 if this event is not progress of the connection */

static ngx_uint_t
ngx_trp_dialer_over(ngx_trp_dialer_t *d, ngx_event_t *ev)
{
    if (d->connection->close) {
        ngx_trp_dialer_forget(d);
        d->handler(d, NGX_TRP_DIALER_EXITING);
        return 1;
    }

    if (!ev->timedout) {
        return 0;
    }

    if (d->name) {
        ngx_log_error(d->level, ev->log, NGX_ETIMEDOUT, "%s %V timed out",
                      d->peer, d->name);

    } else {
        ngx_log_error(d->level, ev->log, NGX_ETIMEDOUT, "%s timed out",
                      d->peer);
    }

    ngx_trp_dialer_end(d, NGX_TRP_DIALER_TIMED_OUT);

    return 1;
}


static void
ngx_trp_dialer_connect_error(ngx_trp_dialer_t *d, ngx_err_t err)
{
    u_char  text[64];

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

    ngx_trp_dialer_forget(d);

    d->handler(d, rc);
}


/* the connection's TLS may outlive the dialer */

static void
ngx_trp_dialer_forget(ngx_trp_dialer_t *d)
{
    ngx_ssl_connection_t  *ssl;

    ssl = d->connection->ssl;

    if (d->ssl && ssl && ssl->connection) {
        SSL_set_msg_callback(ssl->connection, NULL);
    }
}
