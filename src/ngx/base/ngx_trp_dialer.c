
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


static void ngx_trp_dialer_connect_handler(ngx_event_t *ev);
static void ngx_trp_dialer_handshake_handler(ngx_event_t *ev);
static ngx_int_t ngx_trp_dialer_ssl(ngx_trp_dialer_t *d);
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

    if (rc != NGX_OK
        || ngx_trp_ssl_verify(d->ssl, c, d->host, d->peer, d->level)
           != NGX_OK)
    {
        ngx_trp_dialer_end(d, NGX_TRP_DIALER_FAILED);
        return;
    }

    ngx_trp_dialer_end(d, NGX_TRP_DIALER_READY);
}


/* 1 if this event is not progress of the connection */

static ngx_uint_t
ngx_trp_dialer_over(ngx_trp_dialer_t *d, ngx_event_t *ev)
{
    if (d->connection->close) {
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

    d->handler(d, rc);
}
