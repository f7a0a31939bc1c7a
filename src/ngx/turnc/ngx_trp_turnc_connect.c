
/*
 * Copyright (C) the trp authors
 */


/*
 * One TCP connection through a TURN server (RFC 6062): Connect is sent while
 * the data connection is dialled, and ConnectionBind joins the two.  What the
 * server refuses is tried again where that may help.
 */


#include "turnc/ngx_trp_turnc_connect.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_connect.h"
#include "turnc/ngx_trp_turnc_user.h"
#include "turnc/ngx_trp_turnc_via.h"


/* 447 is also a timeout, but a refusal by the peer comes within this time */

#define NGX_TRP_TURNC_REFUSED  5000

/* how long to try again, or wait for an allocation, if 447 may mean 446 */

#define NGX_TRP_TURNC_SOON     5000


static void ngx_trp_turnc_connect_retry(ngx_trp_turnc_user_t *user);
static void ngx_trp_turnc_connect_try(ngx_trp_turnc_connect_t *tc,
    ngx_int_t rc);
static void ngx_trp_turnc_connect_ready(ngx_trp_turnc_user_t *user);
static void ngx_trp_turnc_connect_failed(ngx_trp_turnc_user_t *user,
    ngx_trp_turnc_alloc_t *a, ngx_uint_t code);
static void ngx_trp_turnc_connect_drain(ngx_trp_turnc_user_t *user);
static void ngx_trp_turnc_connect_connected(ngx_trp_turnc_user_t *user,
    uint32_t id);
static void ngx_trp_turnc_connect_refused(ngx_trp_turnc_user_t *user,
    ngx_uint_t code);
static ngx_uint_t ngx_trp_turnc_connect_elsewhere(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static ngx_uint_t ngx_trp_turnc_connect_code(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_turnc_data_dial(ngx_trp_turnc_connect_t *tc);
static ngx_int_t ngx_trp_turnc_data_prepare(ngx_trp_dialer_t *d);
static void ngx_trp_turnc_data_dialer_handler(ngx_trp_dialer_t *d,
    ngx_trp_dialer_e rc);
static void ngx_trp_turnc_data_open(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_data_bind(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_data_write_handler(ngx_event_t *wev);
static void ngx_trp_turnc_data_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_turnc_data_read(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_data_answer(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_connect_again(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_data_lost(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_data_close(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_connect_timeout(ngx_event_t *ev);
static void ngx_trp_turnc_connect_end(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_turnc_connect_server(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_turnc_connect_event_handler(ngx_event_t *ev);
static void ngx_trp_turnc_data_empty_handler(ngx_event_t *ev);
static void ngx_trp_turnc_connect_abandon(ngx_trp_turnc_connect_t *tc);
static void ngx_trp_turnc_connect_abandoned(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);
static void ngx_trp_turnc_connect_free(ngx_trp_turnc_connect_t *tc);


static const ngx_trp_turnc_user_handlers_t  ngx_trp_turnc_connect_handlers = {
    ngx_trp_turnc_connect_ready,
    ngx_trp_turnc_connect_failed,
    ngx_trp_turnc_connect_retry,
    ngx_trp_turnc_connect_drain,
    ngx_trp_turnc_connect_connected,
    ngx_trp_turnc_connect_refused,
    NULL,
    NULL,
    NULL
};


ngx_trp_turnc_connect_t *
ngx_trp_turnc_connect_create(ngx_trp_turnc_server_t *server, ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_trp_turnc_connect_t  *tc;

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return NULL;
    }

    tc = ngx_pcalloc(pool, sizeof(ngx_trp_turnc_connect_t));

    if (tc) {
        tc->buf = ngx_pnalloc(pool, TRP_TURNC_MESSAGE_MAX);
    }

    if (tc == NULL || tc->buf == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    tc->server = server;
    tc->log = log;
    tc->pool = pool;

    tc->user.handlers = &ngx_trp_turnc_connect_handlers;
    tc->user.data = tc;
    tc->user.transport = TRP_PROTO_TCP;

    tc->timer.data = tc;
    tc->timer.log = log;
    tc->timer.handler = ngx_trp_turnc_connect_timeout;

    tc->event.data = tc;
    tc->event.log = log;
    tc->event.handler = ngx_trp_turnc_connect_event_handler;

    return tc;
}


void
ngx_trp_turnc_connect(ngx_trp_turnc_connect_t *tc)
{
    tc->start = ngx_current_msec;

    ngx_trp_turnc_connect_retry(&tc->user);
}


static void
ngx_trp_turnc_connect_retry(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = user->data;

    if (tc->timer.timer_set) {
        ngx_del_timer(&tc->timer);
    }

    ngx_trp_turnc_connect_try(tc, ngx_trp_turnc_user_attach(tc->server, user));
}


/* "rc" comes from attaching */

static void
ngx_trp_turnc_connect_try(ngx_trp_turnc_connect_t *tc, ngx_int_t rc)
{
    ngx_msec_t  passed, timeout;

    switch (rc) {

    case NGX_OK:
        ngx_trp_turnc_connect_ready(&tc->user);
        return;

    case NGX_AGAIN:
        return;

    case NGX_BUSY:
        ngx_log_debug0(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                       "trp turnc: waits for an allocation");

        passed = ngx_current_msec - tc->start;
        timeout = tc->server->conf->connect_timeout;

        if (tc->refused) {
            passed = ngx_current_msec - tc->repeated;
            timeout = ngx_min(timeout, NGX_TRP_TURNC_SOON);
        }

        ngx_add_timer(&tc->timer, passed < timeout ? timeout - passed : 1);
        return;

    case NGX_DECLINED:
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
        return;

    default: /* NGX_ERROR */
        ngx_trp_turnc_connect_end(tc, TRP_CODE_FAILED);
    }
}


/* the round trips of both connections run at the same time */

static void
ngx_trp_turnc_connect_ready(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = user->data;
    tc->asked = ngx_current_msec;

    if (ngx_trp_turnc_user_connect(user) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "could not ask TURN server %V for a connection",
                      &tc->server->name);
        ngx_trp_turnc_connect_end(tc, TRP_CODE_FAILED);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: connecting to peer, allocation *%uA%s",
                   user->allocation->connection->number,
                   tc->connection ? ", on the same data connection" : "");

    if (tc->connection == NULL) {
        ngx_trp_turnc_data_dial(tc);
    }
}


static void
ngx_trp_turnc_connect_failed(ngx_trp_turnc_user_t *user,
    ngx_trp_turnc_alloc_t *a, ngx_uint_t code)
{
    ngx_int_t                 rc;
    ngx_trp_turnc_connect_t  *tc;

    tc = user->data;

    if (tc->ended) {

        /* the server itself closes the data connection */
        return;
    }

    if (tc->abandoned) {
        ngx_trp_turnc_connect_end(tc, TRP_CODE_FAILED);
        return;
    }

    ngx_trp_turnc_data_close(tc);
    tc->connected = 0;

    switch (code) {

    case 300:
        rc = ngx_trp_turnc_user_follow(a, user);
        break;

    case 440:
    case 443:
    case 486:
    case 508:

        /* the server works, and serves others */

        tc->elsewhere = 1;
        ngx_trp_turnc_connect_end(tc, ngx_trp_turnc_connect_code(tc, code));
        return;

    case 0:
    case 437:
        if (tc->tries++ == 0 && !a->connection->error) {
            rc = ngx_trp_turnc_user_attach(tc->server, user);
            break;
        }

        /* fall through */

    default:
        ngx_trp_turnc_connect_server(tc, ngx_trp_turnc_connect_code(tc, code));
        return;
    }

    ngx_trp_turnc_connect_try(tc, rc);
}


static void
ngx_trp_turnc_connect_drain(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = user->data;

    if (tc->drain && !tc->ended) {
        tc->drain(tc);
    }
}


static void
ngx_trp_turnc_connect_connected(ngx_trp_turnc_user_t *user, uint32_t id)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = user->data;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: peer connected, connection %uD%s", id,
                   tc->open ? "" : ", waits for data connection");

    tc->connected = 1;
    tc->id = id;

    if (tc->open) {
        ngx_trp_turnc_data_bind(tc);

    } else if (tc->connection == NULL) {
        ngx_trp_turnc_data_dial(tc);
    }
}


static void
ngx_trp_turnc_connect_refused(ngx_trp_turnc_user_t *user, ngx_uint_t code)
{
    ngx_int_t                 rc;
    ngx_trp_turnc_connect_t  *tc;
    ngx_trp_turnc_alloc_t    *a;

    tc = user->data;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: peer refused, %ui (%s)", code,
                   ngx_trp_turnc_text(code));

    if (!tc->abandoned && ngx_trp_turnc_connect_elsewhere(tc, code)) {

        a = user->allocation;

        ngx_trp_turnc_user_blocked(user);
        ngx_trp_turnc_user_detach(user);

        rc = ngx_trp_turnc_user_attach(tc->server, user);

        if (user->allocation == NULL
            || ngx_cmp_sockaddr(&user->allocation->sockaddr.sockaddr,
                                user->allocation->socklen,
                                &a->sockaddr.sockaddr, a->socklen, 1)
               != NGX_OK)
        {
            /* another server after 300, or it will take a while */
            ngx_trp_turnc_data_close(tc);
        }

        ngx_trp_turnc_connect_try(tc, rc);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                  "TURN server %V did not connect to the destination: %ui (%s)",
                  &user->allocation->name, code,
                  ngx_trp_turnc_text(code));

    ngx_trp_turnc_connect_end(tc, ngx_trp_turnc_connect_code(tc, code));
}


/* 1 if another allocation may do */

static ngx_uint_t
ngx_trp_turnc_connect_elsewhere(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    switch (code) {

    case 400:

        /* this one may be gone, as its client is about to find out */

        return tc->tries++ == 0;

    case 446:

        /* the server may not have seen the previous connection's end */

        return ngx_current_msec - tc->start
               < tc->server->conf->connect_timeout;

    case 447:

        /* the same: some servers answer 447, or connect() without a check */

        if (ngx_current_msec - tc->asked >= NGX_TRP_TURNC_REFUSED
            || !ngx_trp_turnc_user_repeats(&tc->user))
        {
            return 0;
        }

        if (!tc->refused) {
            tc->refused = 1;
            tc->repeated = ngx_current_msec;
            tc->user.renew = 1;
        }

        return ngx_current_msec - tc->repeated < NGX_TRP_TURNC_SOON;
    }

    return 0;
}


static ngx_uint_t
ngx_trp_turnc_connect_code(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    switch (code) {

    case 403:
        return TRP_CODE_NOT_ALLOWED;

    case 447:
        return (ngx_current_msec - tc->asked < NGX_TRP_TURNC_REFUSED)
               ? TRP_CODE_REFUSED : TRP_CODE_TIMED_OUT;

    case TRP_TURNC_TIMEOUT:
        return TRP_CODE_TIMED_OUT;

    case 440:
    case 443:
        return TRP_CODE_NET_UNREACHABLE;

    case 446:
    case 486:
    case 508:
        return TRP_CODE_LIMIT;
    }

    return TRP_CODE_FAILED;
}


static void
ngx_trp_turnc_data_dial(ngx_trp_turnc_connect_t *tc)
{
    ngx_int_t                rc;
    ngx_addr_t               addr, *via;
    ngx_connection_t        *c;
    ngx_trp_turnc_alloc_t   *a;
    ngx_trp_turnc_server_t  *server;

    a = tc->user.allocation;
    server = tc->server;

    addr.sockaddr = &a->sockaddr.sockaddr;
    addr.socklen = a->socklen;
    addr.name = a->name;

    rc = ngx_trp_turnc_via_connect(server, &c, &addr, SOCK_STREAM, tc->log,
                                   &via);

    if (rc == NGX_ERROR) {

        /* out of connections or descriptors: another server would not help */

        ngx_trp_turnc_connect_end(tc, TRP_CODE_FAILED);
        return;
    }

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
        return;
    }

    c->log = tc->log;
    c->pool = tc->pool;
    c->read->log = tc->log;
    c->write->log = tc->log;

    tc->connection = c;

    ngx_memzero(&tc->dialer, sizeof(ngx_trp_dialer_t));
    ngx_memzero(&tc->tls, sizeof(ngx_trp_dialer_tls_t));

    tc->dialer.connection = c;
    tc->dialer.handler = ngx_trp_turnc_data_dialer_handler;
    tc->dialer.data = tc;
    tc->dialer.peer = "TURN server";
    tc->dialer.name = &server->name;
    tc->dialer.level = NGX_LOG_ERR;
    tc->dialer.timeout = server->conf->connect_timeout;

    if (ngx_trp_turnc_via_add(server, &tc->dialer, &addr, via) != NGX_OK) {
        ngx_trp_turnc_connect_end(tc, TRP_CODE_FAILED);
        return;
    }

    if (server->conf->transport == TRP_TRANSPORT_TLS) {
        tc->tls.ssl = &server->conf->ssl;
        tc->tls.host = &server->host;
        tc->tls.session = &server->session;
        tc->tls.prepare = ngx_trp_turnc_data_prepare;

        ngx_trp_dialer_add_tls(&tc->dialer, &tc->tls);
    }

    ngx_trp_dialer_wait(&tc->dialer, rc);
}


/* an end without close_notify is not clean: the server may have died */

static ngx_int_t
ngx_trp_turnc_data_prepare(ngx_trp_dialer_t *d)
{
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
    SSL_clear_options(d->connection->ssl->connection,
                      SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif

    return NGX_OK;
}


static void
ngx_trp_turnc_data_dialer_handler(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = d->data;

    switch (rc) {

    case NGX_TRP_DIALER_READY:
        ngx_trp_turnc_data_open(tc);
        return;

    case NGX_TRP_DIALER_TIMED_OUT:
        ngx_trp_turnc_connect_server(tc, TRP_CODE_TIMED_OUT);
        return;

    default:
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
    }
}


static void
ngx_trp_turnc_data_open(ngx_trp_turnc_connect_t *tc)
{
    ngx_connection_t  *c;

    c = tc->connection;

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: data connection is there%s",
                   tc->connected ? "" : ", waits for peer");

    tc->open = 1;

    c->data = tc;
    c->read->handler = ngx_trp_turnc_data_read_handler;
    c->write->handler = ngx_trp_turnc_data_write_handler;

    if (tc->connected) {
        ngx_trp_turnc_data_bind(tc);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
    }
}


static void
ngx_trp_turnc_data_bind(ngx_trp_turnc_connect_t *tc)
{
    tc->bound = 1;
    tc->pos = 0;
    tc->len = trp_turnc_bind(tc->user.allocation->client, tc->id,
                             tc->buf, tc->tid);

    if (tc->len == 0) {
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: connection bind sent, connection %uD", tc->id);

    ngx_add_timer(&tc->timer, tc->server->conf->connect_timeout);

    ngx_trp_turnc_data_write_handler(tc->connection->write);
}


static void
ngx_trp_turnc_data_write_handler(ngx_event_t *wev)
{
    ssize_t                   n;
    ngx_connection_t         *c;
    ngx_trp_turnc_connect_t  *tc;

    c = wev->data;
    tc = c->data;

    while (tc->bound && tc->pos < tc->len) {
        n = c->send(c, tc->buf + tc->pos, tc->len - tc->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            ngx_trp_turnc_data_lost(tc);
            return;
        }

        tc->pos += n;

        if (tc->pos == tc->len) {

            /* now the buffer is for the answer */
            tc->pos = 0;
            tc->len = 0;

            ngx_post_event(c->read, &ngx_posted_events);
        }
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_trp_turnc_data_lost(tc);
    }
}


static void
ngx_trp_turnc_data_read_handler(ngx_event_t *rev)
{
    u_char                    buf[1];
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_trp_turnc_connect_t  *tc;

    c = rev->data;
    tc = c->data;

    if (!tc->bound || tc->len) {

        /* the server must not send anything yet */

        if (c->recv(c, buf, 1) != NGX_AGAIN) {
            ngx_trp_turnc_data_lost(tc);

        } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
            ngx_trp_turnc_data_lost(tc);
        }

        return;
    }

    rc = ngx_trp_turnc_data_read(tc);

    if (rc == NGX_OK) {
        ngx_trp_turnc_data_answer(tc);
        return;
    }

    if (rc == NGX_ERROR || ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_trp_turnc_data_lost(tc);
    }
}


/* reads no byte beyond the answer: what follows is the peer's */

static ngx_int_t
ngx_trp_turnc_data_read(ngx_trp_turnc_connect_t *tc)
{
    int                size;
    ssize_t            n;
    ngx_connection_t  *c;

    c = tc->connection;

    for ( ;; ) {
        size = TRP_STUN_HEADER_LEN;

        if (tc->pos >= TRP_STUN_HEADER_LEN) {
            size = trp_stun_frame(tc->buf, tc->pos);

            if (size < 0 || size > TRP_TURNC_MESSAGE_MAX) {
                return NGX_ERROR;
            }

            if ((size_t) size == tc->pos) {
                return NGX_OK;
            }
        }

        n = c->recv(c, tc->buf + tc->pos, size - tc->pos);

        if (n == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (n == 0 || n == NGX_ERROR) {
            return NGX_ERROR;
        }

        tc->pos += n;
    }
}


static void
ngx_trp_turnc_data_answer(ngx_trp_turnc_connect_t *tc)
{
    unsigned           code;
    ngx_connection_t  *c;

    switch (trp_turnc_bound(tc->user.allocation->client, tc->buf,
                            tc->pos, tc->tid, &code))
    {
    case TRP_OK:
        ngx_log_debug0(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                       "trp turnc: connection bind answered");
        break;

    case TRP_AGAIN:
        ngx_log_debug0(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                       "trp turnc: connection bind answered, another nonce "
                       "is wanted");

        ngx_trp_turnc_data_bind(tc);
        return;

    default:
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "TURN server %V refused ConnectionBind: %ui (%s)",
                      &tc->server->name, (ngx_uint_t) code,
                      ngx_trp_turnc_text(code));

        ngx_trp_turnc_connect_again(tc);
        return;
    }

    /* a ticket may still come, when the connection belongs to the caller */

    c = tc->connection;

    if (c->ssl) {
        c->ssl->save_session = NULL;
    }

    c->read->handler = ngx_trp_turnc_data_empty_handler;
    c->write->handler = ngx_trp_turnc_data_empty_handler;

    ngx_trp_turnc_connect_end(tc, TRP_CODE_NONE);
}


/* the server has lost the connection that it had just made */

static void
ngx_trp_turnc_connect_again(ngx_trp_turnc_connect_t *tc)
{
    if (tc->abandoned || tc->tries++) {
        ngx_trp_turnc_connect_server(tc, TRP_CODE_FAILED);
        return;
    }

    ngx_trp_turnc_data_close(tc);
    tc->connected = 0;

    ngx_trp_turnc_user_detach(&tc->user);
    ngx_trp_turnc_connect_retry(&tc->user);
}


static void
ngx_trp_turnc_data_empty_handler(ngx_event_t *ev)
{
}


/* before ConnectionBind this is no failure: a server may close it early */

static void
ngx_trp_turnc_data_lost(ngx_trp_turnc_connect_t *tc)
{
    ngx_uint_t  bound;

    bound = tc->bound;

    ngx_trp_turnc_data_close(tc);

    if (bound) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "TURN server %V closed data connection",
                      &tc->server->name);
        ngx_trp_turnc_connect_again(tc);
    }
}


static void
ngx_trp_turnc_data_close(ngx_trp_turnc_connect_t *tc)
{
    ngx_connection_t  *c;

    c = tc->connection;

    if (tc->timer.timer_set) {
        ngx_del_timer(&tc->timer);
    }

    if (c == NULL) {
        return;
    }

    tc->connection = NULL;
    tc->open = 0;
    tc->bound = 0;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_close_connection(c);
}


static void
ngx_trp_turnc_connect_timeout(ngx_event_t *ev)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = ev->data;

    if (tc->user.waiting && tc->refused) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "TURN server %V did not connect to the destination: "
                      "447 (%s)", &tc->server->name,
                      ngx_trp_turnc_text(447));

        ngx_trp_turnc_connect_end(tc, TRP_CODE_REFUSED);
        return;
    }

    if (tc->user.waiting) {
        ngx_log_error(NGX_LOG_ERR, tc->log, 0,
                      "none of %ui allocations on TURN server %V is free for "
                      "this destination, there may be more with "
                      "\"trp_turn_client_allocations\"",
                      tc->server->conf->allocations, &tc->server->name);

        ngx_trp_turnc_connect_end(tc, TRP_CODE_LIMIT);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT,
                  "TURN server %V timed out", &tc->server->name);

    ngx_trp_turnc_connect_server(tc, TRP_CODE_TIMED_OUT);
}


/* ends with an error that is the server's fault, not the peer's */

static void
ngx_trp_turnc_connect_server(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    tc->server_failed = 1;

    ngx_trp_turnc_connect_end(tc, code);
}


static void
ngx_trp_turnc_connect_end(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    if (tc->ended) {
        return;
    }

    if (code == TRP_CODE_NONE) {
        ngx_log_debug0(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                       "trp turnc: connection to peer is there");

    } else {
        ngx_log_debug1(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                       "trp turnc: no connection to peer: %s",
                       trp_code_text(code));
    }

    tc->ended = 1;
    tc->code = code;

    if (code != TRP_CODE_NONE) {
        ngx_trp_turnc_user_detach(&tc->user);
        ngx_trp_turnc_data_close(tc);

    } else if (tc->timer.timer_set) {
        ngx_del_timer(&tc->timer);
    }

    ngx_post_event(&tc->event, &ngx_posted_events);
}


static void
ngx_trp_turnc_connect_event_handler(ngx_event_t *ev)
{
    ngx_trp_turnc_connect_t  *tc;

    tc = ev->data;

    tc->done(tc, tc->code);
}


ngx_uint_t
ngx_trp_turnc_connect_server_late(ngx_trp_turnc_connect_t *tc)
{
    return tc->connected || tc->user.allocation == NULL
           || !tc->user.allocation->ready;
}


void
ngx_trp_turnc_disconnect(ngx_trp_turnc_connect_t *tc)
{
    if (tc->ended && tc->code == TRP_CODE_NONE && !tc->event.posted) {

        /* the connection was handed over */

        ngx_trp_turnc_user_detach(&tc->user);
        return;
    }

    if (!tc->ended && !ngx_exiting && (tc->user.connecting || tc->connected)) {
        ngx_trp_turnc_connect_abandon(tc);
        return;
    }

    ngx_trp_turnc_connect_free(tc);
}


/*
 * The server goes on connecting to the peer, and then waits half a minute for
 * ConnectionBind, during which the allocation is of no use for this peer.  So
 * the attempt goes on here, too, and the connection is closed once it is made.
 */

static void
ngx_trp_turnc_connect_abandon(ngx_trp_turnc_connect_t *tc)
{
    ngx_connection_t  *c;

    ngx_log_debug0(NGX_LOG_DEBUG_STREAM, tc->log, 0,
                   "trp turnc: nobody waits for the connection any more");

    tc->abandoned = 1;

    tc->done = ngx_trp_turnc_connect_abandoned;
    tc->drain = ngx_trp_turnc_connect_free;

    tc->log = tc->server->log;
    tc->pool->log = tc->log;
    tc->timer.log = tc->log;
    tc->event.log = tc->log;

    c = tc->connection;

    if (!tc->connected) {

        /* this may take long; a data connection is dialled again if needed */
        ngx_trp_turnc_data_close(tc);

    } else if (c) {
        c->log = tc->log;
        c->read->log = tc->log;
        c->write->log = tc->log;
    }
}


static void
ngx_trp_turnc_connect_abandoned(ngx_trp_turnc_connect_t *tc, ngx_uint_t code)
{
    ngx_trp_turnc_connect_free(tc);
}


static void
ngx_trp_turnc_connect_free(ngx_trp_turnc_connect_t *tc)
{
    if (tc->event.posted) {
        ngx_delete_posted_event(&tc->event);
    }

    tc->ended = 1;

    ngx_trp_turnc_user_detach(&tc->user);
    ngx_trp_turnc_data_close(tc);

    ngx_destroy_pool(tc->pool);
}
