
/*
 * Copyright (C) the trp authors
 */


/*
 * The handshake of SOCKS5 in nginx's preread phase: bytes are read until the
 * request is complete, and answered step by step.  The reply to the request
 * comes later, when a carrier of the target knows how it went.
 */


#include "socks5/ngx_trp_socks5.h"
#include "base/ngx_trp_addr.h"
#include "base/trp_looks.h"
#include "base/trp_str.h"
#include "socks5/ngx_trp_socks5_rules.h"
#include "stock/ngx_trp_ends.h"

#include <ngx_crypt.h>
#include <sodium.h>


/* room for the longest message, and for some data after it */

#define NGX_TRP_SOCKS5_BUFFER    2048

/* bytes read, at most, of what a client has sent before an error reply */

#define NGX_TRP_SOCKS5_DRAIN     65536

/* of what is not SOCKS5, in the log */

#define NGX_TRP_SOCKS5_START     8


static void ngx_trp_socks5_closed(ngx_trp_target_t *target);
static ngx_int_t ngx_trp_socks5_wait(ngx_trp_socks5_t *sk);
static void ngx_trp_socks5_read_handler(ngx_event_t *rev);
static void ngx_trp_socks5_timeout(ngx_event_t *ev);
static ngx_int_t ngx_trp_socks5_parse(ngx_trp_socks5_t *sk);
static trp_str_t ngx_trp_socks5_input(ngx_trp_socks5_t *sk);
static ngx_int_t ngx_trp_socks5_greeting(ngx_trp_socks5_t *sk, size_t *used);
static void ngx_trp_socks5_log_stranger(ngx_log_t *log, trp_str_t data);
static ngx_int_t ngx_trp_socks5_authenticate(ngx_trp_socks5_t *sk,
    size_t *used);
static void ngx_trp_socks5_log_user(ngx_trp_socks5_t *sk, ngx_str_t *user);
static ngx_int_t ngx_trp_socks5_check_user(ngx_trp_socks5_t *sk,
    ngx_str_t *name, ngx_str_t *password);
static ngx_int_t ngx_trp_socks5_compare(ngx_trp_socks5_t *sk,
    ngx_trp_socks5_user_t *user, ngx_str_t *password);
static ngx_int_t ngx_trp_socks5_equal(u_char *a, size_t a_len, u_char *b,
    size_t b_len);
static ngx_int_t ngx_trp_socks5_request(ngx_trp_socks5_t *sk, size_t *used);
static ngx_int_t ngx_trp_socks5_refuse(ngx_trp_socks5_t *sk,
    trp_socks5_reply_e reply, const char *why);
static ngx_int_t ngx_trp_socks5_destination(ngx_trp_socks5_t *sk,
    trp_socks5_addr_t *addr);
static ngx_int_t ngx_trp_socks5_allowed(ngx_trp_socks5_t *sk);
static const char *ngx_trp_socks5_front_name(ngx_trp_target_t *target);
static ngx_int_t ngx_trp_socks5_front_addr(ngx_trp_target_t *target,
    const trp_addr_t *addr);
static void ngx_trp_socks5_front_denied(ngx_trp_target_t *target);
static void ngx_trp_socks5_count(ngx_trp_socks5_t *sk, ngx_uint_t counter);
static ngx_int_t ngx_trp_socks5_send(ngx_trp_socks5_t *sk, u_char *p,
    size_t len);
static ngx_int_t ngx_trp_socks5_reply(ngx_trp_socks5_t *sk,
    trp_socks5_reply_e reply, struct sockaddr *bound);


static const ngx_trp_target_front_t  ngx_trp_socks5_front = {
    ngx_trp_socks5_front_name,
    ngx_trp_socks5_front_addr,
    ngx_trp_socks5_front_denied,
    ngx_trp_socks5_succeed,
    ngx_trp_socks5_finish,
    ngx_trp_socks5_closed
};


ngx_trp_socks5_t *
ngx_trp_socks5_create(ngx_stream_session_t *s, ngx_trp_socks5_server_t *server)
{
    ngx_connection_t  *c;
    ngx_trp_socks5_t  *sk;

    c = s->connection;

    sk = ngx_pcalloc(c->pool, sizeof(ngx_trp_socks5_t));

    if (sk == NULL || ngx_trp_target_set(s, &sk->target) != NGX_OK) {
        return NULL;
    }

    sk->target.front = &ngx_trp_socks5_front;
    sk->target.data = sk;
    sk->target.code = TRP_CODE_FAILED;

    if (c->buffer == NULL) {
        c->buffer = ngx_create_temp_buf(c->pool, NGX_TRP_SOCKS5_BUFFER);
        if (c->buffer == NULL) {
            return NULL;
        }
    }

    sk->session = s;
    sk->server = server;
    sk->conf = server->conf;

    sk->timer.data = sk;
    sk->timer.log = c->log;
    sk->timer.handler = ngx_trp_socks5_timeout;

    return sk;
}


static void
ngx_trp_socks5_closed(ngx_trp_target_t *target)
{
    ngx_trp_socks5_t  *sk;

    sk = target->data;

    if (sk->timer.timer_set) {
        ngx_del_timer(&sk->timer);
    }

    if (sk->closed) {
        *sk->closed = 1;
    }
}


ngx_int_t
ngx_trp_socks5_handshake(ngx_trp_socks5_t *sk)
{
    ssize_t            n;
    ngx_buf_t         *b;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = sk->session->connection;
    c->log->action = "reading SOCKS5 request";

    b = c->buffer;

    for ( ;; ) {
        rc = ngx_trp_socks5_parse(sk);

        if (rc != NGX_AGAIN) {
            break;
        }

        if (b->last == b->end) {

            /* no message is longer than this */
            ngx_memmove(b->start, b->pos, b->last - b->pos);
            b->last -= b->pos - b->start;
            b->pos = b->start;
        }

        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            return ngx_trp_socks5_wait(sk);
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_log_error(NGX_LOG_INFO, c->log, 0, "client closed connection");
            rc = NGX_STREAM_BAD_REQUEST;
            break;
        }

        b->last += n;
        sk->session->received += n;
    }

    if (sk->timer.timer_set) {
        ngx_del_timer(&sk->timer);
    }

    if (rc == NGX_OK && b->pos == b->last) {
        c->buffer = NULL;
    }

    return rc;
}


static ngx_int_t
ngx_trp_socks5_wait(ngx_trp_socks5_t *sk)
{
    ngx_connection_t            *c;
    ngx_stream_core_srv_conf_t  *cscf;

    c = sk->session->connection;

    cscf = ngx_stream_get_module_srv_conf(sk->session, ngx_stream_core_module);

    if (!sk->timer.timer_set) {
        ngx_add_timer(&sk->timer, cscf->preread_timeout);
    }

    c->read->handler = ngx_trp_socks5_read_handler;

    return (ngx_handle_read_event(c->read, 0) == NGX_OK)
           ? NGX_DONE : NGX_STREAM_INTERNAL_SERVER_ERROR;
}


static void
ngx_trp_socks5_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;

    c = rev->data;

    ngx_stream_core_run_phases(c->data);
}


static void
ngx_trp_socks5_timeout(ngx_event_t *ev)
{
    ngx_trp_socks5_t  *sk;

    sk = ev->data;

    ngx_log_error(NGX_LOG_INFO, ev->log, NGX_ETIMEDOUT, "client timed out");

    ngx_stream_finalize_session(sk->session, NGX_STREAM_BAD_REQUEST);
}


/*
 * NGX_AGAIN: more bytes are needed; else as ngx_trp_socks5_handshake().  The
 * functions for each message return NGX_DECLINED if the next one may come.
 */

static ngx_int_t
ngx_trp_socks5_parse(ngx_trp_socks5_t *sk)
{
    size_t      used;
    ngx_int_t   rc;

    for ( ;; ) {

        switch (sk->state) {

        case NGX_TRP_SOCKS5_GREETING:
            rc = ngx_trp_socks5_greeting(sk, &used);
            break;

        case NGX_TRP_SOCKS5_USER:
            rc = ngx_trp_socks5_authenticate(sk, &used);
            break;

        case NGX_TRP_SOCKS5_REQUEST:
            rc = ngx_trp_socks5_request(sk, &used);
            break;

        default: /* NGX_TRP_SOCKS5_READY */
            return NGX_OK;
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }

        sk->session->connection->buffer->pos += used;
    }
}


static trp_str_t
ngx_trp_socks5_input(ngx_trp_socks5_t *sk)
{
    trp_str_t   data;
    ngx_buf_t  *b;

    b = sk->session->connection->buffer;

    data.data = b->pos;
    data.len = b->last - b->pos;

    return data;
}


static ngx_int_t
ngx_trp_socks5_greeting(ngx_trp_socks5_t *sk, size_t *used)
{
    int                  rc;
    u_char               answer[2];
    trp_str_t            data;
    ngx_log_t           *log;
    trp_socks5_method_e  method;

    data = ngx_trp_socks5_input(sk);
    log = sk->session->connection->log;

    method = sk->conf->users ? TRP_SOCKS5_PASSWORD
                             : TRP_SOCKS5_NO_AUTHENTICATION;

    rc = trp_socks5_greeting(data, used, method);

    if (rc == TRP_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == TRP_ERROR) {
        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_INVALID);
        ngx_trp_socks5_log_stranger(log, data);
        return NGX_STREAM_BAD_REQUEST;
    }

    answer[0] = 5;
    answer[1] = (rc == TRP_OK) ? (u_char) method : TRP_SOCKS5_NO_METHOD;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, log, 0,
                   "trp socks5 greeting: %d methods, answer %d",
                   (int) data.data[1], (int) answer[1]);

    if (ngx_trp_socks5_send(sk, answer, 2) != NGX_OK) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (rc == TRP_DECLINED) {
        sk->told = 1;

        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_UNAUTHENTICATED);
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "SOCKS5 client does not offer %s",
                      sk->conf->users ? "user name and password"
                                      : "to do without authentication");
        return NGX_STREAM_FORBIDDEN;
    }

    sk->state = sk->conf->users ? NGX_TRP_SOCKS5_USER
                                : NGX_TRP_SOCKS5_REQUEST;

    return NGX_DECLINED;
}


static void
ngx_trp_socks5_log_stranger(ngx_log_t *log, trp_str_t data)
{
    size_t       len;
    const char  *name;

    name = trp_looks_like(data);
    len = ngx_min(data.len, NGX_TRP_SOCKS5_START);

    if (name) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client does not speak SOCKS5, this looks like %s", name);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, log, 0,
                  "client does not speak SOCKS5, it begins with \"%s\"",
                  ngx_trp_text(data.data, len).data);
}


static ngx_int_t
ngx_trp_socks5_authenticate(ngx_trp_socks5_t *sk, size_t *used)
{
    int         rc;
    u_char      answer[2];
    trp_str_t   name, password;
    ngx_int_t   found;
    ngx_str_t   user, secret;

    rc = trp_socks5_password(ngx_trp_socks5_input(sk), used, &name, &password);

    if (rc == TRP_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == TRP_ERROR) {
        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_INVALID);
        ngx_log_error(NGX_LOG_INFO, sk->session->connection->log, 0,
                      "SOCKS5 client sent no user name");
        return NGX_STREAM_BAD_REQUEST;
    }

    user.data = (u_char *) name.data;
    user.len = name.len;

    secret.data = (u_char *) password.data;
    secret.len = password.len;

    found = ngx_trp_socks5_check_user(sk, &user, &secret);

    answer[0] = 1;
    answer[1] = (found == NGX_OK) ? 0 : 1;

    ngx_log_debug1(NGX_LOG_DEBUG_STREAM, sk->session->connection->log, 0,
                   "trp socks5 authentication: %s",
                   answer[1] ? "failed" : "ok");

    if (ngx_trp_socks5_send(sk, answer, 2) != NGX_OK) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (found != NGX_OK) {
        sk->told = 1;

        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_UNAUTHENTICATED);
        ngx_trp_socks5_log_user(sk, &user);
        return NGX_STREAM_FORBIDDEN;
    }

    sk->user.data = ngx_pstrdup(sk->session->connection->pool, &user);
    if (sk->user.data == NULL && user.len) {
        return NGX_STREAM_INTERNAL_SERVER_ERROR;
    }

    sk->user.len = user.len;
    sk->state = NGX_TRP_SOCKS5_REQUEST;

    return NGX_DECLINED;
}


/* the name may come from anywhere, so it is made safe to print */

static void
ngx_trp_socks5_log_user(ngx_trp_socks5_t *sk, ngx_str_t *user)
{
    ngx_uint_t  level;

    level = ngx_trp_socks5_status_level(&sk->server->worker->failed, user,
                                        &sk->session->connection->addr_text);

    ngx_log_error(level, sk->session->connection->log, 0,
                  "SOCKS5 user \"%s\" was not found, or the password does "
                  "not match", ngx_trp_text(user->data, user->len).data);
}


/*
 * Every name is compared, and for an unknown user some password is compared,
 * too, so that the time does not tell which names exist.
 */

static ngx_int_t
ngx_trp_socks5_check_user(ngx_trp_socks5_t *sk, ngx_str_t *name,
    ngx_str_t *password)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_trp_socks5_user_t  *users, *user;

    users = sk->conf->users->elts;
    user = NULL;

    for (i = 0; i < sk->conf->users->nelts; i++) {
        if (ngx_trp_socks5_equal(users[i].name.data, users[i].name.len,
                                 name->data, name->len)
            == NGX_OK)
        {
            user = &users[i];
        }
    }

    rc = ngx_trp_socks5_compare(sk, user ? user : &users[0], password);

    if (user == NULL || rc != NGX_OK) {
        return NGX_DECLINED;
    }

    sk->who = &sk->server->users[user - users];

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_compare(ngx_trp_socks5_t *sk, ngx_trp_socks5_user_t *user,
    ngx_str_t *password)
{
    u_char     *encrypted, key[256];
    ngx_int_t   rc;

    if (!user->hashed) {
        return ngx_trp_socks5_equal(user->password.data, user->password.len,
                                    password->data, password->len);
    }

    *ngx_cpymem(key, password->data, password->len) = '\0';

    rc = ngx_crypt(sk->session->connection->pool, key, user->password.data,
                   &encrypted);

    sodium_memzero(key, sizeof(key));

    if (rc != NGX_OK || ngx_strlchr(password->data,
                                    password->data + password->len, '\0'))
    {
        return NGX_DECLINED;
    }

    return ngx_trp_socks5_equal(user->password.data, user->password.len,
                                encrypted, ngx_strlen(encrypted));
}


/* hashes have one length, and timing tells nothing about common prefixes */

static ngx_int_t
ngx_trp_socks5_equal(u_char *a, size_t a_len, u_char *b, size_t b_len)
{
    u_char  x[crypto_generichash_BYTES], y[crypto_generichash_BYTES];

    (void) crypto_generichash(x, sizeof(x), a, a_len, NULL, 0);
    (void) crypto_generichash(y, sizeof(y), b, b_len, NULL, 0);

    return sodium_memcmp(x, y, sizeof(x)) ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_request(ngx_trp_socks5_t *sk, size_t *used)
{
    int                rc;
    unsigned           command;
    trp_str_t          data;
    trp_socks5_addr_t  addr;

    data = ngx_trp_socks5_input(sk);

    rc = trp_socks5_request(data, used, &command, &addr);

    if (rc == TRP_AGAIN) {
        return NGX_AGAIN;
    }

    if (data.data[0] != 5) {
        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_INVALID);
        ngx_log_error(NGX_LOG_INFO, sk->session->connection->log, 0,
                      "SOCKS5 client sent an invalid request");
        return NGX_STREAM_BAD_REQUEST;
    }

    sk->requested = 1;
    sk->command = command;

    ngx_trp_socks5_status_begin(sk->server, sk->who, &sk->flow, sk->session);

    if (rc == TRP_DECLINED) {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_ADDRESS_NOT_SUPPORTED,
                                     "unknown address type");
    }

    if (rc == TRP_ERROR) {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_FAILURE,
                                     "invalid host name");
    }

    if (sk->command != TRP_SOCKS5_CONNECT
        && (sk->command != TRP_SOCKS5_UDP_ASSOCIATE || !sk->conf->udp))
    {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_COMMAND_NOT_SUPPORTED,
                                     "command is not supported");
    }

    if (ngx_trp_socks5_destination(sk, &addr) != NGX_OK) {
        return NGX_STREAM_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, sk->session->connection->log, 0,
                   "trp socks5 request: command %ui, destination \"%V\"",
                   sk->command, &sk->target.destination);

    if (sk->command == TRP_SOCKS5_CONNECT && sk->target.port == 0) {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_FAILURE, "port is 0");
    }

    if (sk->command == TRP_SOCKS5_CONNECT
        && ngx_trp_socks5_allowed(sk) == NGX_DECLINED)
    {
        ngx_trp_socks5_front_denied(&sk->target);

        sk->target.code = TRP_CODE_NOT_ALLOWED;
        (void) ngx_trp_socks5_reply(sk, TRP_SOCKS5_NOT_ALLOWED, NULL);

        return NGX_STREAM_FORBIDDEN;
    }

    if (sk->command == TRP_SOCKS5_UDP_ASSOCIATE) {
        sk->target.udp = 1;
        ngx_trp_socks5_count(sk, NGX_TRP_STREAMS_ASSOCIATED);
    }

    sk->state = NGX_TRP_SOCKS5_READY;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_trp_socks5_refuse(ngx_trp_socks5_t *sk, trp_socks5_reply_e reply,
    const char *why)
{
    ngx_log_error(NGX_LOG_INFO, sk->session->connection->log, 0,
                  "SOCKS5 request was refused: %s%s%V", why,
                  sk->target.destination.len ? ", destination: " : "",
                  &sk->target.destination);

    (void) ngx_trp_socks5_reply(sk, reply, NULL);

    return NGX_STREAM_BAD_REQUEST;
}


static ngx_int_t
ngx_trp_socks5_destination(ngx_trp_socks5_t *sk, trp_socks5_addr_t *addr)
{
    u_char      *p;
    ngx_pool_t  *pool;

    pool = sk->session->connection->pool;

    sk->target.addr = addr->addr;
    sk->target.port = addr->port;

    (void) trp_addr_unmap(&sk->target.addr);

    p = ngx_pnalloc(pool, ngx_max(addr->host.len, TRP_ADDR_TEXT_LEN));
    if (p == NULL) {
        return NGX_ERROR;
    }

    sk->target.host.data = p;

    if (sk->target.addr.family) {
        sk->target.host.len = trp_addr_text(p, &sk->target.addr);

    } else {
        sk->target.host.len = addr->host.len;
        ngx_memcpy(p, addr->host.data, addr->host.len);
    }

    sk->target.destination = ngx_trp_host_port(pool, &sk->target.host,
                                               sk->target.port);

    return sk->target.destination.data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trp_socks5_allowed(ngx_trp_socks5_t *sk)
{
    static const trp_str_t  no_name = trp_string("");

    ngx_trp_target_t  *target;

    target = &sk->target;

    return target->addr.family
           ? ngx_trp_socks5_check_addr(sk->conf, no_name, &target->addr,
                                       target->port)
           : ngx_trp_socks5_check_name(sk->conf, ngx_trp_str(&target->host),
                                       target->port);
}


void
ngx_trp_socks5_proxy(ngx_trp_socks5_t *sk)
{
    ngx_uint_t              closed;
    ngx_stream_upstream_t  *u;

    closed = 0;
    sk->closed = &closed;

    sk->conf->handler(sk->session);

    if (closed) {
        return;
    }

    sk->closed = NULL;

    if (sk->target.carried) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, sk->session->connection->log, 0,
                  "\"proxy_pass\" of a server with \"trp_socks5\" needs an "
                  "upstream with \"trp_entry\" or \"trp_turn_client\"");

    /* undoes what the proxy has begun */

    u = sk->session->upstream;

    if (u && u->resolved && u->resolved->ctx) {
        ngx_resolve_name_done(u->resolved->ctx);
        u->resolved->ctx = NULL;
    }

    if (u && u->peer.free && u->peer.sockaddr) {
        u->peer.free(&u->peer, u->peer.data, 0);
        u->peer.sockaddr = NULL;
    }

    if (u && u->peer.connection) {
        ngx_close_connection(u->peer.connection);
        u->peer.connection = NULL;
    }

    ngx_stream_finalize_session(sk->session,
                                NGX_STREAM_INTERNAL_SERVER_ERROR);
}


static const char *
ngx_trp_socks5_front_name(ngx_trp_target_t *target)
{
    ngx_trp_socks5_t  *sk;

    sk = target->data;

    if (ngx_trp_socks5_check_name(sk->conf, ngx_trp_str(&target->host),
                                  target->port)
        == NGX_OK)
    {
        return NULL;
    }

    return "a name, which is resolved behind the tunnel only, has to be in "
           "\"trp_socks5_allow\", with no address in \"trp_socks5_deny\"";
}


static ngx_int_t
ngx_trp_socks5_front_addr(ngx_trp_target_t *target, const trp_addr_t *addr)
{
    trp_str_t          name;
    ngx_trp_socks5_t  *sk;

    sk = target->data;
    name = ngx_trp_str(&target->host);

    if (target->addr.family) {
        name.len = 0;
    }

    return ngx_trp_socks5_check_addr(sk->conf, name, addr, target->port);
}


static void
ngx_trp_socks5_front_denied(ngx_trp_target_t *target)
{
    ngx_trp_socks5_t  *sk;

    sk = target->data;

    ngx_trp_socks5_count_denied(sk);
    ngx_trp_socks5_log_denied(sk, "SOCKS5 request was refused", &target->host,
                              target->port);
}


ngx_int_t
ngx_trp_socks5_succeed(ngx_trp_target_t *target, struct sockaddr *bound)
{
    ngx_trp_socks5_t  *sk;

    sk = target->data;
    target->code = TRP_CODE_NONE;

    return ngx_trp_socks5_reply(sk, TRP_SOCKS5_SUCCEEDED, bound);
}


void
ngx_trp_socks5_finish(ngx_trp_target_t *target)
{
    u_char             buf[4096];
    size_t             size;
    ssize_t            n;
    ngx_connection_t  *c;
    ngx_trp_socks5_t  *sk;

    sk = target->data;
    c = sk->session->connection;

    if (sk->requested && !sk->target.replied && !c->error) {
        (void) ngx_trp_socks5_reply(sk, trp_socks5_reply(target->code), NULL);
    }

    if (sk->target.code == TRP_CODE_NONE) {
        return;
    }

    if (!sk->told && sk->session->status != NGX_STREAM_BAD_REQUEST) {

        /* that there is no answer is not the client's fault */

        ngx_trp_ends_arm(c);
        return;
    }

    ngx_trp_ends_disarm(c);

    if (c->error || c->ssl) {
        return;
    }

    /* unread input would turn the end into a reset */

    for (size = 0; size < NGX_TRP_SOCKS5_DRAIN; size += n) {
        n = c->recv(c, buf, sizeof(buf));

        if (n <= 0) {
            break;
        }
    }
}


void
ngx_trp_socks5_end(ngx_trp_socks5_t *sk)
{
    ngx_trp_socks5_finish(&sk->target);

    ngx_trp_socks5_status_end(sk->server, sk->who, &sk->flow,
                              sk->target.code);
}


void
ngx_trp_socks5_count_denied(ngx_trp_socks5_t *sk)
{
    if (sk->who) {
        ngx_trp_status_count(&sk->who->entry, NGX_TRP_USER_DENIED, 1);
    }
}


void
ngx_trp_socks5_log_denied(ngx_trp_socks5_t *sk, const char *what,
    ngx_str_t *host, in_port_t port)
{
    ngx_str_t   name;
    ngx_uint_t  level;

    name = ngx_trp_host_port(sk->session->connection->pool, host, port);

    if (name.data == NULL) {
        return;
    }

    level = ngx_trp_socks5_status_level(&sk->server->worker->denied, &sk->user,
                                        host);

    ngx_log_error(level, sk->session->connection->log, 0,
                  "%s: not allowed by \"trp_socks5_allow\" and "
                  "\"trp_socks5_deny\", destination: %V%s%s%s", what, &name,
                  sk->user.len ? ", user: \"" : "",
                  ngx_trp_text(sk->user.data, sk->user.len).data,
                  sk->user.len ? "\"" : "");
}


static void
ngx_trp_socks5_count(ngx_trp_socks5_t *sk, ngx_uint_t counter)
{
    ngx_trp_status_count(&sk->server->entry, counter, 1);
}


static ngx_int_t
ngx_trp_socks5_reply(ngx_trp_socks5_t *sk, trp_socks5_reply_e reply,
    struct sockaddr *bound)
{
    size_t      len;
    u_char      buf[TRP_SOCKS5_REPLY_MAX];
    in_port_t   port;
    ngx_int_t   rc;
    trp_addr_t  addr;

    ngx_memzero(&addr, sizeof(trp_addr_t));
    port = 0;

    if (bound) {
        ngx_trp_addr_from_sockaddr(&addr, &port, bound);
    }

    sk->target.replied = 1;

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, sk->session->connection->log, 0,
                   "trp socks5 reply: %d (%s)%s%s",
                   (int) reply, trp_code_text(sk->target.code),
                   sk->target.id ? ", stream " : "",
                   sk->target.id ? ngx_trp_id_text(sk->target.id).data
                                 : (u_char *) "");

    len = trp_socks5_reply_put(buf, reply, &addr, port);

    rc = ngx_trp_socks5_send(sk, buf, len);

    sk->told = (rc == NGX_OK);

    return rc;
}


/* a few bytes at a time, for which the socket always has room */

static ngx_int_t
ngx_trp_socks5_send(ngx_trp_socks5_t *sk, u_char *p, size_t len)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = sk->session->connection;

    n = c->send(c, p, len);

    if (n == (ssize_t) len) {
        return NGX_OK;
    }

    if (n != NGX_ERROR) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not read SOCKS5 replies");
    }

    return NGX_ERROR;
}
