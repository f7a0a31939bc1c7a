
/*
 * Copyright (C) the trp authors
 */


#include "socks5/ngx_trp_socks5.h"
#include "base/ngx_trp_addr.h"
#include "stock/ngx_trp_ends.h"
#include "base/ngx_trp_key_file.h"
#include "base/trp_acl.h"
#include "base/trp_str.h"

#include <ngx_crypt.h>
#include <sodium.h>


/* room for the longest message, and for some data behind it */

#define NGX_TRP_SOCKS5_BUFFER    2048

/* what a client has sent ahead of an error reply is read, so far */

#define NGX_TRP_SOCKS5_DRAIN     65536


typedef struct {
    ngx_str_t              name;
    ngx_str_t              password;     /* zero-terminated */
    unsigned               hashed:1;     /* as in "auth_basic_user_file" */
} ngx_trp_socks5_user_t;


typedef int (*ngx_trp_socks5_match_pt)(const trp_acl_rule_t *rule,
    const trp_addr_t *addr, uint16_t port);


static void ngx_trp_socks5_closed(ngx_trp_target_t *target);
static ngx_int_t ngx_trp_socks5_wait(ngx_trp_socks5_t *sk);
static void ngx_trp_socks5_read_handler(ngx_event_t *rev);
static void ngx_trp_socks5_timeout(ngx_event_t *ev);
static ngx_int_t ngx_trp_socks5_parse(ngx_trp_socks5_t *sk);
static trp_str_t ngx_trp_socks5_input(ngx_trp_socks5_t *sk);
static ngx_int_t ngx_trp_socks5_greeting(ngx_trp_socks5_t *sk, size_t *used);
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
static void ngx_trp_socks5_check_rule(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, trp_acl_rule_t *rule, ngx_uint_t deny,
    ngx_str_t *text);
static ngx_uint_t ngx_trp_socks5_match_name(ngx_array_t *rules,
    trp_str_t name, in_port_t port, ngx_uint_t *perhaps);
static ngx_uint_t ngx_trp_socks5_match_addr(ngx_array_t *rules,
    ngx_trp_socks5_match_pt match, trp_str_t name, const trp_addr_t *addr,
    in_port_t port);
static const char *ngx_trp_socks5_front_name(ngx_trp_target_t *target);
static ngx_int_t ngx_trp_socks5_front_addr(ngx_trp_target_t *target,
    const trp_addr_t *addr);
static void ngx_trp_socks5_front_denied(ngx_trp_target_t *target);
static ngx_int_t ngx_trp_socks5_send(ngx_trp_socks5_t *sk, u_char *p,
    size_t len);
static ngx_int_t ngx_trp_socks5_reply(ngx_trp_socks5_t *sk,
    trp_socks5_reply_e reply, struct sockaddr *bound);
static ngx_trp_socks5_user_t *ngx_trp_socks5_add_user(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, ngx_str_t *text, const char **err);


static const ngx_trp_target_front_t  ngx_trp_socks5_front = {
    ngx_trp_socks5_front_name,
    ngx_trp_socks5_front_addr,
    ngx_trp_socks5_front_denied,
    ngx_trp_socks5_succeed,
    ngx_trp_socks5_finish,
    ngx_trp_socks5_closed
};


ngx_trp_socks5_t *
ngx_trp_socks5_create(ngx_stream_session_t *s, ngx_trp_socks5_conf_t *conf)
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
    sk->conf = conf;

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
 * NGX_AGAIN: more bytes are needed; else as ngx_trp_socks5_handshake().  Each
 * of the messages below says NGX_DECLINED if the next one may come.
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
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client does not speak SOCKS5, its first byte is %02xd",
                      (int) data.data[0]);
        return NGX_STREAM_BAD_REQUEST;
    }

    answer[0] = 5;
    answer[1] = (rc == TRP_OK) ? (u_char) method : TRP_SOCKS5_NO_METHOD;

    if (ngx_trp_socks5_send(sk, answer, 2) != NGX_OK) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (rc == TRP_DECLINED) {
        sk->told = 1;

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

    if (ngx_trp_socks5_send(sk, answer, 2) != NGX_OK) {
        return NGX_STREAM_BAD_REQUEST;
    }

    if (found != NGX_OK) {
        sk->told = 1;

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


/* anybody may have sent it */

static void
ngx_trp_socks5_log_user(ngx_trp_socks5_t *sk, ngx_str_t *user)
{
    ngx_log_error(NGX_LOG_ERR, sk->session->connection->log, 0,
                  "SOCKS5 user \"%s\" was not found, or his password does "
                  "not match", ngx_trp_text(user->data, user->len).data);
}


/*
 * Every name is compared, and who is not there has some password compared,
 * too: the time does not tell which names there are.
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

    return user ? rc : NGX_DECLINED;
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


/* hashes have one length, and no prefix in common that could be measured */

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
        ngx_log_error(NGX_LOG_INFO, sk->session->connection->log, 0,
                      "SOCKS5 client sent an invalid request");
        return NGX_STREAM_BAD_REQUEST;
    }

    sk->requested = 1;
    sk->command = command;

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

    if (sk->command == TRP_SOCKS5_CONNECT && sk->target.port == 0) {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_FAILURE, "port is 0");
    }

    if (sk->command == TRP_SOCKS5_CONNECT
        && ngx_trp_socks5_allowed(sk) == NGX_DECLINED)
    {
        return ngx_trp_socks5_refuse(sk, TRP_SOCKS5_NOT_ALLOWED,
                                     "not allowed by \"trp_socks5_allow\" and "
                                     "\"trp_socks5_deny\"");
    }

    sk->target.udp = (sk->command == TRP_SOCKS5_UDP_ASSOCIATE);
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

    if (reply == TRP_SOCKS5_NOT_ALLOWED) {
        sk->target.code = TRP_CODE_NOT_ALLOWED;
    }

    (void) ngx_trp_socks5_reply(sk, reply, NULL);

    return (reply == TRP_SOCKS5_NOT_ALLOWED) ? NGX_STREAM_FORBIDDEN
                                             : NGX_STREAM_BAD_REQUEST;
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

    /* what the proxy has begun */

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


/* 1 if a rule holds for the name, or for some address that it may have */

static ngx_uint_t
ngx_trp_socks5_match_name(ngx_array_t *rules, trp_str_t name, in_port_t port,
    ngx_uint_t *perhaps)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    *perhaps = 0;

    if (rules == NULL) {
        return 0;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {

        if (trp_acl_match_name(&rule[i], name, port)) {
            return 1;
        }

        if (rule[i].type == TRP_ACL_CIDR
            && port >= rule[i].first && port <= rule[i].last)
        {
            *perhaps = 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_socks5_check_name(ngx_trp_socks5_conf_t *conf, trp_str_t name,
    in_port_t port)
{
    ngx_uint_t  perhaps;

    if (ngx_trp_socks5_match_name(conf->deny, name, port, &perhaps)) {
        return NGX_DECLINED;
    }

    if (perhaps) {
        return NGX_AGAIN;
    }

    if (conf->allow == NULL
        || ngx_trp_socks5_match_name(conf->allow, name, port, &perhaps))
    {
        return NGX_OK;
    }

    return perhaps ? NGX_AGAIN : NGX_DECLINED;
}


static ngx_uint_t
ngx_trp_socks5_match_addr(ngx_array_t *rules, ngx_trp_socks5_match_pt match,
    trp_str_t name, const trp_addr_t *addr, in_port_t port)
{
    ngx_uint_t       i;
    trp_acl_rule_t  *rule;

    if (rules == NULL) {
        return 0;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {
        if (match(&rule[i], addr, port)
            || (name.len && trp_acl_match_name(&rule[i], name, port)))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_socks5_check_addr(ngx_trp_socks5_conf_t *conf, trp_str_t name,
    const trp_addr_t *addr, in_port_t port)
{
    if (ngx_trp_socks5_match_addr(conf->deny, trp_acl_match_denied, name, addr,
                                  port))
    {
        return NGX_DECLINED;
    }

    return (conf->allow == NULL
            || ngx_trp_socks5_match_addr(conf->allow, trp_acl_match_addr, name,
                                         addr, port))
           ? NGX_OK : NGX_DECLINED;
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

    ngx_log_error(NGX_LOG_INFO, sk->session->connection->log, 0,
                  "SOCKS5 request was refused: not allowed by "
                  "\"trp_socks5_allow\" and \"trp_socks5_deny\", "
                  "destination: %V", &target->destination);
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

        /* it is not the client's fault that there is no answer */

        ngx_trp_ends_arm(c);
        return;
    }

    ngx_trp_ends_disarm(c);

    if (c->error || c->ssl) {
        return;
    }

    /* what lies unread would make a reset out of the end */

    for (size = 0; size < NGX_TRP_SOCKS5_DRAIN; size += n) {
        n = c->recv(c, buf, sizeof(buf));

        if (n <= 0) {
            break;
        }
    }
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

    len = trp_socks5_reply_put(buf, reply, &addr, port);

    rc = ngx_trp_socks5_send(sk, buf, len);

    sk->told = (rc == NGX_OK);

    return rc;
}


/* a few bytes at a time, for which there always is room in the socket */

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


void
ngx_trp_socks5_create_conf(ngx_trp_socks5_conf_t *conf)
{
    conf->udp = NGX_CONF_UNSET;
    conf->udp_timeout = NGX_CONF_UNSET_MSEC;
}


void
ngx_trp_socks5_merge_conf(ngx_trp_socks5_conf_t *prev,
    ngx_trp_socks5_conf_t *conf)
{
    if (conf->users == NULL) {
        conf->users = prev->users;
    }

    if (conf->allow == NULL && conf->deny == NULL) {
        conf->allow = prev->allow;
        conf->deny = prev->deny;
    }

    if (conf->udp_addr4.family == 0 && conf->udp_addr6.family == 0) {
        conf->udp_addr4 = prev->udp_addr4;
        conf->udp_addr6 = prev->udp_addr6;
    }

    if (conf->udp_first == 0) {
        conf->udp_first = prev->udp_first;
        conf->udp_last = prev->udp_last;
    }

    ngx_conf_merge_value(conf->udp, prev->udp, 1);
    ngx_conf_merge_msec_value(conf->udp_timeout, prev->udp_timeout, 120000);
}


char *
ngx_trp_socks5_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    if (scf->enabled) {
        return "is duplicate";
    }

    scf->enabled = 1;

    ngx_trp_conf_set_place(cf, &scf->place);

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "public") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"trp_socks5\", write "
                           "\"public\" or nothing", &value[1]);
        return NGX_CONF_ERROR;
    }

    scf->public = 1;

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    const char  *err;

    value = cf->args->elts;

    if (ngx_trp_socks5_add_user(cf, (ngx_trp_socks5_conf_t *)
                                    ((char *) conf + cmd->offset),
                                &value[1], &err)
        == NULL)
    {
        /* not the text: it may be a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"trp_socks5_user\" %s",
                           err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_user_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                 *p, *last, *end, *comment;
    ngx_str_t              *value, text, line;
    ngx_uint_t              n;
    const char             *err;
    ngx_trp_socks5_conf_t  *scf;
    ngx_trp_socks5_user_t  *user;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    if (ngx_trp_key_file_text(cf, "user", &value[1], &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    p = text.data;
    last = text.data + text.len;

    for (n = 1; p < last; n++, p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        end = end ? end : last;

        line.data = p;
        line.len = end - p;

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        user = ngx_trp_socks5_add_user(cf, scf, &line, &err);

        if (user == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "line %ui of user file \"%V\" %s",
                               n, &value[1], err);
            return NGX_CONF_ERROR;
        }

        user->hashed = 1;

        comment = ngx_strlchr(user->password.data, user->password.data
                                                   + user->password.len, ':');
        if (comment) {
            *comment = '\0';
            user->password.len = comment - user->password.data;
        }
    }

    if (scf->users == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there is nobody in user file \"%V\", write lines "
                           "of the form NAME:HASH", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* NULL, and "err" is the end of a sentence */

static ngx_trp_socks5_user_t *
ngx_trp_socks5_add_user(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    ngx_str_t *text, const char **err)
{
    u_char                 *p, *colon;
    ngx_uint_t              i;
    ngx_trp_socks5_user_t  *user;

    *err = "needs more memory";

    colon = ngx_strlchr(text->data, text->data + text->len, ':');

    if (colon == NULL || colon == text->data
        || colon == text->data + text->len - 1)
    {
        *err = "must have the form NAME:PASSWORD";
        return NULL;
    }

    if (colon - text->data > 255 || text->data + text->len - colon - 1 > 255) {
        *err = "has a name or a password of more than 255 bytes";
        return NULL;
    }

    if (conf->users == NULL) {
        conf->users = ngx_array_create(cf->pool, 4,
                                       sizeof(ngx_trp_socks5_user_t));
        if (conf->users == NULL) {
            return NULL;
        }
    }

    user = conf->users->elts;

    for (i = 0; i < conf->users->nelts; i++) {
        if (user[i].name.len == (size_t) (colon - text->data)
            && ngx_memcmp(user[i].name.data, text->data, user[i].name.len) == 0)
        {
            *err = "names a user who is there already";
            return NULL;
        }
    }

    user = ngx_array_push(conf->users);
    p = ngx_pnalloc(cf->pool, text->len + 1);

    if (user == NULL || p == NULL) {
        return NULL;
    }

    (void) ngx_cpystrn(p, text->data, text->len + 1);

    user->name.data = p;
    user->name.len = colon - text->data;
    user->password.data = p + user->name.len + 1;
    user->password.len = text->len - user->name.len - 1;
    user->hashed = 0;

    return user;
}


/* what is denied is denied, whatever is allowed */

static void
ngx_trp_socks5_check_rule(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    trp_acl_rule_t *rule, ngx_uint_t deny, ngx_str_t *text)
{
    ngx_uint_t       i;
    ngx_array_t     *others;
    trp_acl_rule_t  *other;

    others = deny ? conf->allow : conf->deny;

    if (others == NULL) {
        return;
    }

    other = others->elts;

    for (i = 0; i < others->nelts; i++) {

        if (deny && trp_acl_covers(rule, &other[i])) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"trp_socks5_deny\" names all of a "
                               "rule of \"trp_socks5_allow\", which can never "
                               "match", text);
            return;
        }

        if (!deny && trp_acl_covers(&other[i], rule)) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"trp_socks5_allow\" can never "
                               "match: \"trp_socks5_deny\" names all of it",
                               text);
            return;
        }
    }
}


/* trp_socks5_allow and trp_socks5_deny */

char *
ngx_trp_socks5_set_rules(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_uint_t              i;
    const char             *err;
    ngx_array_t           **rules;
    trp_acl_rule_t         *rule;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    rules = (ngx_strcmp(cmd->name.data, "trp_socks5_deny") == 0) ? &scf->deny
                                                                 : &scf->allow;

    if (*rules == NULL) {
        *rules = ngx_array_create(cf->pool, 4, sizeof(trp_acl_rule_t));
        if (*rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rule = ngx_array_push(*rules);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        err = trp_acl_parse(rule, ngx_trp_str(&value[i]));

        if (err) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" in \"%V\" %s",
                               &value[i], &cmd->name, err);
            return NGX_CONF_ERROR;
        }

        if (rule->low_bits) {
            ngx_trp_conf_low_bits(cf, &value[i],
                                  (const char *) cmd->name.data);
        }

        ngx_trp_socks5_check_rule(cf, scf, rule, *rules == scf->deny,
                                  &value[i]);
    }

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_udp_address(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    trp_addr_t              addr, any, *to;
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    ngx_memzero(&any, sizeof(trp_addr_t));

    if (trp_addr_parse(&addr, ngx_trp_str(&value[1])) != TRP_OK
        || trp_addr_unmap(&addr)
        || ngx_memcmp(addr.bytes, any.bytes, 16) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"%V\", write the IPv4 "
                           "or IPv6 address that clients can reach",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    to = (addr.family == 4) ? &scf->udp_addr4 : &scf->udp_addr6;

    if (to->family) {
        return "is duplicate: there may be one IPv4 and one IPv6 address";
    }

    *to = addr;

    return NGX_CONF_OK;
}


char *
ngx_trp_socks5_set_udp_ports(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_trp_socks5_conf_t  *scf;

    scf = (ngx_trp_socks5_conf_t *) ((char *) conf + cmd->offset);

    return ngx_trp_conf_set_ports(cf, cmd, &scf->udp_first, &scf->udp_last);
}


ngx_int_t
ngx_trp_socks5_check_listen(ngx_conf_t *cf, ngx_trp_socks5_conf_t *conf,
    ngx_trp_conf_listen_t *listen)
{
    in_port_t   port;
    trp_addr_t  addr;

    conf->listens++;

    if (listen->type != SOCK_STREAM) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trp_socks5\" in %s:%ui cannot be used with \"listen "
                      "... udp\", it has UDP sockets of its own",
                      conf->place.file_name, conf->place.line);
        return NGX_ERROR;
    }

    if (conf->public || listen->sockaddr->sa_family == AF_UNIX) {
        return NGX_OK;
    }

    ngx_trp_addr_from_sockaddr(&addr, &port, listen->sockaddr);

    if (!listen->wildcard && trp_addr_is_private(&addr)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"trp_socks5\" in %s:%ui listens on a public address, "
                  "write \"listen 127.0.0.1:%ui\", or \"trp_socks5 public\" "
                  "if everybody may come, and \"trp_socks5_user\"",
                  conf->place.file_name, conf->place.line, (ngx_uint_t) port);

    return NGX_ERROR;
}
