
/*
 * Copyright (C) the trp authors
 */


/*
 * Executes the commands of the core's portal: connects, sends, closes, parses
 * JSON, and passes accounts to the TURN server.
 */


#include "portal/ngx_trp_portal.h"
#include "base/ngx_trp_key_file.h"
#include "names/ngx_trp_name.h"
#include "portal/ngx_trp_websocket.h"
#include "portal/trp_portal.h"

#include <jansson.h>
#include <sodium.h>


#define NGX_TRP_PORTAL_PATH        "/relay/websocket"

#define NGX_TRP_PORTAL_DEPTH       8       /* of certificates */

/* the portal takes the version from this header */

#define NGX_TRP_PORTAL_USER_AGENT  "relay/1.0.0 " NGINX_VER


struct ngx_trp_portal_s {
    ngx_trp_portal_conf_t              conf;
    ngx_trp_websocket_conf_t           websocket;

    ngx_trp_name_t                     name;
    ngx_trp_name_conf_t                names;

    /* from here on: in the worker that has started it */

    trp_portal_t                       state;
    ngx_trp_websocket_t               *ws;
    json_t                            *message;    /* while it is handled */

    const ngx_trp_portal_handlers_t   *handlers;
    void                              *data;

    ngx_event_t                        event;
    ngx_log_t                          log;
    unsigned                           failing:1;  /* which has been told */
    unsigned                           started:1;
    unsigned                           stopped:1;
};


static ngx_int_t ngx_trp_portal_url(ngx_conf_t *cf, ngx_trp_portal_t *p,
    ngx_str_t *uri, ngx_str_t *authority);
static ngx_int_t ngx_trp_portal_query(ngx_conf_t *cf, ngx_trp_portal_t *p,
    ngx_str_t *query);
static ngx_int_t ngx_trp_portal_request(ngx_conf_t *cf, ngx_trp_portal_t *p,
    ngx_str_t *uri, ngx_str_t *authority);
static void ngx_trp_portal_wipe_request(void *data);
static ngx_int_t ngx_trp_portal_ssl(ngx_conf_t *cf, ngx_trp_portal_t *p);

static void ngx_trp_portal_resolved(ngx_trp_name_t *name);
static u_char *ngx_trp_portal_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_trp_portal_event_handler(ngx_event_t *ev);
static void ngx_trp_portal_run(ngx_trp_portal_t *p);
static void ngx_trp_portal_command(ngx_trp_portal_t *p,
    trp_portal_command_t *command);
static void ngx_trp_portal_connect(ngx_trp_portal_t *p, ngx_uint_t address);
static void ngx_trp_portal_close(ngx_trp_portal_t *p, const char *why);
static void ngx_trp_portal_joined(ngx_trp_portal_t *p);
static void ngx_trp_portal_init(ngx_trp_portal_t *p);
static ngx_array_t *ngx_trp_portal_accounts(ngx_pool_t *pool, json_t *ids);
static void ngx_trp_portal_account(ngx_trp_portal_t *p, trp_str_t *id,
    ngx_uint_t added);
static void ngx_trp_portal_fatal(ngx_trp_portal_t *p,
    trp_portal_command_t *command);
static void ngx_trp_portal_lost(ngx_trp_portal_t *p);

static void ngx_trp_portal_connected_handler(void *data);
static void ngx_trp_portal_opened_handler(void *data);
static void ngx_trp_portal_refused_handler(void *data, ngx_uint_t status,
    ngx_str_t *later);
static ngx_uint_t ngx_trp_portal_later(ngx_str_t *later);
static void ngx_trp_portal_message_handler(void *data, const u_char *text,
    size_t len);
static ngx_int_t ngx_trp_portal_decode(json_t *message,
    trp_portal_message_t *m);
static trp_str_t ngx_trp_portal_string(json_t *object, const char *key);
static void ngx_trp_portal_closed_handler(void *data);
static void ngx_trp_portal_exiting_handler(void *data);


static const ngx_trp_websocket_handlers_t  ngx_trp_portal_websocket = {
    ngx_trp_portal_connected_handler,
    ngx_trp_portal_opened_handler,
    ngx_trp_portal_refused_handler,
    ngx_trp_portal_message_handler,
    ngx_trp_portal_closed_handler,
    ngx_trp_portal_exiting_handler
};


#define ngx_trp_portal_level(p)  ((p)->failing ? NGX_LOG_INFO : NGX_LOG_ERR)

#define ngx_trp_portal_now()     ((uint64_t) ngx_current_msec)


ngx_trp_portal_t *
ngx_trp_portal_create(ngx_conf_t *cf, ngx_trp_portal_conf_t *conf,
    ngx_stream_core_srv_conf_t *cscf)
{
    ngx_str_t          uri, authority;
    ngx_trp_portal_t  *p;

    p = ngx_pcalloc(cf->pool, sizeof(ngx_trp_portal_t));
    if (p == NULL) {
        return NULL;
    }

    p->conf = *conf;

    ngx_trp_name_create_conf(&p->names);
    ngx_trp_name_merge_conf(&p->names, &p->names);

    if (ngx_trp_name_init_conf(cf, &p->names, cscf) != NGX_OK
        || ngx_trp_portal_url(cf, p, &uri, &authority) != NGX_OK
        || ngx_trp_portal_request(cf, p, &uri, &authority) != NGX_OK)
    {
        return NULL;
    }

    return p;
}


static ngx_int_t
ngx_trp_portal_url(ngx_conf_t *cf, ngx_trp_portal_t *p, ngx_str_t *uri,
    ngx_str_t *authority)
{
    size_t      scheme;
    ngx_str_t  *url;
    ngx_url_t   u;
    ngx_uint_t  ssl;

    url = &p->conf.url;

    if (url->len > 5 && ngx_strncasecmp(url->data, (u_char *) "ws://", 5) == 0)
    {
        scheme = 5;
        ssl = 0;

    } else if (url->len > 6
               && ngx_strncasecmp(url->data, (u_char *) "wss://", 6) == 0)
    {
        scheme = 6;
        ssl = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid portal URL \"%V\", write "
                           "\"wss://host\" or \"ws://host\"", url);
        return NGX_ERROR;
    }

    if (ngx_strlchr(url->data, url->data + url->len, '?')
        || ngx_strlchr(url->data, url->data + url->len, '#')
        || ngx_strlchr(url->data, url->data + url->len, '@'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid portal URL \"%V\", write it without user, "
                           "query and fragment", url);
        return NGX_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = url->len - scheme;
    u.url.data = url->data + scheme;
    u.default_port = ssl ? 443 : 80;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in portal URL \"%V\"",
                           u.err ? u.err : "error", url);
        return NGX_ERROR;
    }

    if (u.family == AF_UNIX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid portal URL \"%V\", a host is needed", url);
        return NGX_ERROR;
    }

    authority->data = u.url.data;
    authority->len = u.url.len - u.uri.len;

    *uri = u.uri;

    while (uri->len && uri->data[uri->len - 1] == '/') {
        uri->len--;
    }

    if (uri->len >= sizeof(NGX_TRP_PORTAL_PATH) - 1
        && ngx_strncmp(uri->data + uri->len - sizeof(NGX_TRP_PORTAL_PATH) + 1,
                       NGX_TRP_PORTAL_PATH, sizeof(NGX_TRP_PORTAL_PATH) - 1)
           == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid portal URL \"%V\", write it without \""
                           NGX_TRP_PORTAL_PATH "\", which is added", url);
        return NGX_ERROR;
    }

    /* the name in certificates has no brackets */

    if (u.host.len && u.host.data[0] == '[') {
        u.host.data++;
        u.host.len -= 2;
    }

    p->websocket.host.len = u.host.len;
    p->websocket.host.data = ngx_pnalloc(cf->pool, u.host.len + 1);

    if (p->websocket.host.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(p->websocket.host.data, u.host.data, u.host.len + 1);

    p->name.conf = &p->names;
    p->name.what = "portal";
    p->name.host = p->websocket.host;
    p->name.port = u.port;
    p->name.changed = ngx_trp_portal_resolved;
    p->name.data = p;

    return ssl ? ngx_trp_portal_ssl(cf, p) : NGX_OK;
}


static ngx_int_t
ngx_trp_portal_query(ngx_conf_t *cf, ngx_trp_portal_t *p, ngx_str_t *query)
{
    size_t      len;
    u_char     *last;
    ngx_str_t   port;
    ngx_uint_t  i;
    u_char      buf[NGX_INT_T_LEN];

    struct {
        const char  *name;
        ngx_str_t   *value;
    } args[] = {
        { "name=", &p->conf.name },
        { "ipv4=", &p->conf.ipv4 },
        { "ipv6=", &p->conf.ipv6 },
        { "port=", &port }
    };

    port.data = buf;
    port.len = p->conf.port
               ? (size_t) (ngx_sprintf(buf, "%ui", (ngx_uint_t) p->conf.port)
                           - buf)
               : 0;

    len = 0;

    for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        len += sizeof("?name=") - 1 + 3 * args[i].value->len;
    }

    query->data = ngx_pnalloc(cf->pool, len);
    if (query->data == NULL) {
        return NGX_ERROR;
    }

    last = query->data;

    for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {

        if (args[i].value->len == 0) {
            continue;
        }

        *last = (last == query->data) ? '?' : '&';
        last = ngx_cpymem(last + 1, args[i].name, sizeof("name=") - 1);
        last = (u_char *) ngx_escape_uri(last, args[i].value->data,
                                         args[i].value->len,
                                         NGX_ESCAPE_URI_COMPONENT);
    }

    query->len = last - query->data;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_portal_request(ngx_conf_t *cf, ngx_trp_portal_t *p, ngx_str_t *uri,
    ngx_str_t *authority)
{
    size_t               size;
    u_char              *last;
    ngx_str_t            token, query, *request;
    ngx_pool_cleanup_t  *cln;

    static const char  format[] =
        "GET %V" NGX_TRP_PORTAL_PATH "%V HTTP/1.1" CRLF
        "Host: %V" CRLF
        "Upgrade: websocket" CRLF
        "Connection: Upgrade" CRLF
        "User-Agent: " NGX_TRP_PORTAL_USER_AGENT CRLF
        "X-Authorization: Bearer %V" CRLF
        "Sec-WebSocket-Version: 13" CRLF
        "Sec-WebSocket-Key: ";

    if (ngx_trp_portal_query(cf, p, &query) != NGX_OK
        || ngx_trp_key_file_token(cf, &p->conf.token_file, &token) != NGX_OK)
    {
        return NGX_ERROR;
    }

    request = &p->websocket.request;

    size = sizeof(format) + uri->len + query.len + authority->len + token.len;

    request->data = ngx_pnalloc(cf->pool, size);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (request->data == NULL || cln == NULL) {
        sodium_memzero(token.data, token.len);
        return NGX_ERROR;
    }

    last = ngx_snprintf(request->data, size, format, uri, &query, authority,
                        &token);
    request->len = last - request->data;

    cln->handler = ngx_trp_portal_wipe_request;
    cln->data = request;

    sodium_memzero(token.data, token.len);

    return NGX_OK;
}


static void
ngx_trp_portal_wipe_request(void *data)
{
    ngx_str_t  *request = data;

    sodium_memzero(request->data, request->len);
}


static ngx_int_t
ngx_trp_portal_ssl(ngx_conf_t *cf, ngx_trp_portal_t *p)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;
    ngx_trp_ssl_conf_t  *conf;

    conf = &p->websocket.ssl;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (p->conf.trusted_certificate.len == 0
        && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    conf->ssl = ssl;
    conf->verify = 1;
    conf->verify_depth = NGX_TRP_PORTAL_DEPTH;
    conf->server_name = 1;
    conf->trusted_certificate = p->conf.trusted_certificate;

    return ngx_trp_ssl_trust(cf, conf);
}


ngx_int_t
ngx_trp_portal_start(ngx_trp_portal_t *p, ngx_str_t *stamp_secret_hex,
    const ngx_trp_portal_handlers_t *handlers, void *data, ngx_log_t *log)
{
    if (stamp_secret_hex->len != TRP_PORTAL_SECRET_LEN) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "invalid length of portal's secret: %uz",
                      stamp_secret_hex->len);
        return NGX_ERROR;
    }

    p->handlers = handlers;
    p->data = data;
    p->failing = 0;

    p->log = *log;
    p->log.handler = ngx_trp_portal_log_error;
    p->log.data = p;
    p->log.action = NULL;
    p->log.connection = 0;

    ngx_memzero(&p->event, sizeof(ngx_event_t));
    p->event.handler = ngx_trp_portal_event_handler;
    p->event.data = p;
    p->event.log = &p->log;
    p->event.cancelable = 1;

    trp_portal_init(&p->state, stamp_secret_hex->data,
                    p->conf.account_validation, 1);

    ngx_trp_name_start(&p->name);

    return NGX_OK;
}


static void
ngx_trp_portal_resolved(ngx_trp_name_t *name)
{
    ngx_trp_portal_t  *p;

    p = name->data;

    trp_portal_addresses(&p->state, name->naddrs);

    if (!p->started && !p->stopped) {
        p->started = 1;

        trp_portal_start(&p->state, ngx_trp_portal_now());
        ngx_trp_portal_run(p);
    }
}


void
ngx_trp_portal_stop(ngx_trp_portal_t *p)
{
    p->stopped = 1;

    trp_portal_stop(&p->state);
    ngx_trp_portal_run(p);
}


static u_char *
ngx_trp_portal_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char            *p;
    ngx_trp_portal_t  *portal;

    p = buf;
    portal = log->data;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    return ngx_snprintf(buf, len, ", portal: %V", &portal->conf.url);
}


/* the timer does not delay the exit of a worker, but others may */

static void
ngx_trp_portal_event_handler(ngx_event_t *ev)
{
    ngx_trp_portal_t  *p;

    p = ev->data;

    if (ngx_exiting) {
        ngx_trp_portal_stop(p);
        return;
    }

    trp_portal_expire(&p->state, ngx_trp_portal_now(), randombytes_random());
    ngx_trp_portal_run(p);
}


static void
ngx_trp_portal_run(ngx_trp_portal_t *p)
{
    uint64_t              now, when;
    trp_portal_command_t  command;

    while (trp_portal_next(&p->state, &command) == TRP_OK) {
        ngx_trp_portal_command(p, &command);
    }

    now = ngx_trp_portal_now();
    when = trp_portal_deadline(&p->state);

    if (when != TRP_PORTAL_NEVER) {
        ngx_add_timer(&p->event, (when > now) ? (ngx_msec_t) (when - now) : 0);

    } else if (p->event.timer_set) {
        ngx_del_timer(&p->event);
    }
}


static void
ngx_trp_portal_command(ngx_trp_portal_t *p, trp_portal_command_t *command)
{
    switch (command->type) {

    case TRP_PORTAL_CONNECT:
        ngx_trp_portal_connect(p, command->address);
        return;

    case TRP_PORTAL_SEND:
        if (ngx_trp_websocket_send(p->ws, command->text.data,
                                   command->text.len)
            != NGX_OK)
        {
            ngx_trp_portal_lost(p);
        }

        return;

    case TRP_PORTAL_CLOSE:
        ngx_trp_portal_close(p, command->why);
        return;

    case TRP_PORTAL_JOINED:
        ngx_trp_portal_joined(p);
        return;

    case TRP_PORTAL_INIT:
        ngx_trp_portal_init(p);
        return;

    case TRP_PORTAL_ACCOUNT_ADDED:
        ngx_trp_portal_account(p, &command->text, 1);
        return;

    case TRP_PORTAL_ACCOUNT_REMOVED:
        ngx_trp_portal_account(p, &command->text, 0);
        return;

    case TRP_PORTAL_FATAL:
        ngx_trp_portal_fatal(p, command);
        return;
    }
}


static void
ngx_trp_portal_connect(ngx_trp_portal_t *p, ngx_uint_t address)
{
    p->log.action = "connecting to portal";

    p->ws = ngx_trp_websocket_connect(&p->websocket, &p->name.addrs[address],
                                      &ngx_trp_portal_websocket, p, &p->log,
                                      ngx_trp_portal_level(p));
    p->log.action = NULL;

    if (p->ws == NULL) {
        ngx_trp_portal_lost(p);
    }
}


static void
ngx_trp_portal_close(ngx_trp_portal_t *p, const char *why)
{
    uint64_t  now, when;

    if (why) {
        ngx_log_error(ngx_trp_portal_level(p), &p->log, 0, "portal %s", why);
    }

    if (p->ws) {
        ngx_trp_websocket_close(p->ws);
        p->ws = NULL;
    }

    if (p->state.state != TRP_PORTAL_WAITING) {
        return;
    }

    now = ngx_trp_portal_now();
    when = trp_portal_deadline(&p->state);

    ngx_log_error(NGX_LOG_INFO, &p->log, 0,
                  "portal will be tried again in %M ms",
                  (ngx_msec_t) (when - now));

    p->failing = 1;
}


static void
ngx_trp_portal_joined(ngx_trp_portal_t *p)
{
    ngx_log_error(NGX_LOG_NOTICE, &p->log, 0, "portal has accepted the relay");

    p->failing = 0;
    p->ws->level = NGX_LOG_ERR;
}


static void
ngx_trp_portal_init(ngx_trp_portal_t *p)
{
    json_t       *ids;
    ngx_pool_t   *pool;
    ngx_array_t  *accounts;

    ids = json_object_get(json_object_get(p->message, "payload"),
                          "account_ids");
    if (ids == NULL) {
        ngx_log_error(NGX_LOG_INFO, &p->log, 0, "portal sent \"init\"");

        p->handlers->init(p->data, NULL);
        return;
    }

    pool = ngx_create_pool(4096, &p->log);
    if (pool == NULL) {
        return;
    }

    accounts = ngx_trp_portal_accounts(pool, ids);

    if (accounts == NULL) {
        ngx_log_error(NGX_LOG_ERR, &p->log, 0,
                      "portal sent \"init\" with invalid accounts");

    } else {
        ngx_log_error(NGX_LOG_INFO, &p->log, 0,
                      "portal sent \"init\" with %ui accounts",
                      accounts->nelts);

        p->handlers->init(p->data, accounts);
    }

    ngx_destroy_pool(pool);
}


static ngx_array_t *
ngx_trp_portal_accounts(ngx_pool_t *pool, json_t *ids)
{
    json_t       *id;
    size_t        i, n;
    ngx_str_t    *account;
    ngx_array_t  *accounts;

    if (!json_is_array(ids)) {
        return NULL;
    }

    n = json_array_size(ids);

    accounts = ngx_array_create(pool, n ? n : 1, sizeof(ngx_str_t));
    if (accounts == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        id = json_array_get(ids, i);

        if (!json_is_string(id)) {
            return NULL;
        }

        account = ngx_array_push(accounts);
        if (account == NULL) {
            return NULL;
        }

        account->len = json_string_length(id);
        account->data = (u_char *) json_string_value(id);
    }

    return accounts;
}


static void
ngx_trp_portal_account(ngx_trp_portal_t *p, trp_str_t *id, ngx_uint_t added)
{
    ngx_str_t  account;

    account.len = id->len;
    account.data = (u_char *) id->data;

    ngx_log_error(NGX_LOG_INFO, &p->log, 0, "portal %s account \"%s\"",
                  added ? "added" : "removed",
                  ngx_trp_text(account.data, account.len).data);

    if (added) {
        p->handlers->account_added(p->data, &account);

    } else {
        p->handlers->account_removed(p->data, &account);
    }
}


static void
ngx_trp_portal_fatal(ngx_trp_portal_t *p, trp_portal_command_t *command)
{
    trp_str_t  text;

    text = command->text;

    ngx_log_error(NGX_LOG_ERR, &p->log, 0,
                  "portal %s%s%s, it is not tried again before a reload",
                  command->why, text.len ? ": " : "",
                  ngx_trp_text(text.data, text.len).data);

    p->handlers->fatal(p->data);
}


static void
ngx_trp_portal_lost(ngx_trp_portal_t *p)
{
    trp_portal_lost(&p->state, ngx_trp_portal_now(), randombytes_random());
}


static void
ngx_trp_portal_connected_handler(void *data)
{
    ngx_trp_portal_t  *p = data;

    trp_portal_connected(&p->state);
    ngx_trp_portal_run(p);
}


static void
ngx_trp_portal_opened_handler(void *data)
{
    ngx_trp_portal_t  *p = data;

    trp_portal_opened(&p->state, ngx_trp_portal_now());
    ngx_trp_portal_run(p);
}


static void
ngx_trp_portal_refused_handler(void *data, ngx_uint_t status, ngx_str_t *later)
{
    ngx_trp_portal_t  *p = data;

    if (status != 401) {
        ngx_log_error(ngx_trp_portal_level(p), &p->log, 0,
                      "portal answered with status %ui", status);
    }

    trp_portal_refused(&p->state, status, ngx_trp_portal_later(later),
                       ngx_trp_portal_now(), randombytes_random());
    ngx_trp_portal_run(p);
}


/* seconds, from seconds or a date */

static ngx_uint_t
ngx_trp_portal_later(ngx_str_t *later)
{
    time_t     time;
    ngx_int_t  n;

    if (later->len == 0) {
        return 0;
    }

    n = ngx_atoi(later->data, later->len);

    if (n != NGX_ERROR) {
        return n;
    }

    time = ngx_parse_http_time(later->data, later->len);

    if (time == NGX_ERROR || time < ngx_time()) {
        return 0;
    }

    return time - ngx_time();
}


static void
ngx_trp_portal_message_handler(void *data, const u_char *text, size_t len)
{
    json_t                *message;
    trp_portal_message_t   m;
    ngx_trp_portal_t      *p = data;

    message = json_loadb((const char *) text, len, 0, NULL);

    if (ngx_trp_portal_decode(message, &m) == NGX_OK) {
        p->message = message;

        trp_portal_message(&p->state, &m, ngx_trp_portal_now(),
                           randombytes_random());
        ngx_trp_portal_run(p);

        p->message = NULL;

    } else {
        ngx_log_error(NGX_LOG_ERR, &p->log, 0,
                      "portal sent an invalid message");
    }

    json_decref(message);
}


static ngx_int_t
ngx_trp_portal_decode(json_t *message, trp_portal_message_t *m)
{
    json_t  *payload, *ref;

    m->topic = ngx_trp_portal_string(message, "topic");
    m->event = ngx_trp_portal_string(message, "event");

    ref = json_object_get(message, "ref");
    m->ref = json_is_integer(ref) ? (int64_t) json_integer_value(ref) : -1;

    payload = json_object_get(message, "payload");

    m->status = ngx_trp_portal_string(payload, "status");
    m->account = ngx_trp_portal_string(payload, "account_id");
    m->reason = ngx_trp_portal_string(payload, "reason");

    if (m->reason.len == 0) {
        m->reason = ngx_trp_portal_string(json_object_get(payload, "response"),
                                          "reason");
    }

    return m->event.len ? NGX_OK : NGX_ERROR;
}


/* empty if there is none; all of these may be NULL or something else */

static trp_str_t
ngx_trp_portal_string(json_t *object, const char *key)
{
    json_t     *value;
    trp_str_t   string;

    value = json_object_get(object, key);

    string.len = json_string_length(value);
    string.data = (const uint8_t *) json_string_value(value);

    return string;
}


static void
ngx_trp_portal_closed_handler(void *data)
{
    ngx_trp_portal_t  *p = data;

    ngx_trp_portal_lost(p);
    ngx_trp_portal_run(p);
}


static void
ngx_trp_portal_exiting_handler(void *data)
{
    ngx_trp_portal_stop(data);
}
