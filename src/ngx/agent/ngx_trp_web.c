
/*
 * Copyright (C) the trp authors
 */


/*
 * The client's side of a WebSocket's opening handshake, RFC 6455, section 4.1,
 * in TLS with the web server, or without.
 */


#include "agent/ngx_trp_web.h"
#include "websocket/ngx_trp_websocket_key.h"
#include "websocket/trp_upgrade.h"


#define NGX_TRP_WEB_ANSWER  8192


typedef struct {
    ngx_trp_dialer_step_t    step;         /* the upgrade */
    ngx_trp_dialer_tls_t     tls;          /* before it */
    ngx_trp_web_t           *web;
    ngx_trp_web_peer_t       peer;
    ngx_buf_t                request;
    ngx_buf_t                answer;
    u_char                   accept[NGX_TRP_WEBSOCKET_ACCEPT];
    ngx_trp_websocket_bio_t  bio;
} ngx_trp_web_dial_t;


static char *ngx_trp_web_set_url(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_web_conf_t *web, ngx_str_t *value);
static ngx_uint_t ngx_trp_web_path_valid(ngx_str_t *path);
static ngx_int_t ngx_trp_web_begin(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static ngx_int_t ngx_trp_web_run(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static ngx_int_t ngx_trp_web_read(ngx_trp_dialer_t *d,
    ngx_trp_web_dial_t *dial, trp_upgrade_t *u);
static ngx_int_t ngx_trp_web_check(ngx_trp_dialer_t *d,
    ngx_trp_web_dial_t *dial, trp_upgrade_t *u);
static const char *ngx_trp_web_hint(ngx_uint_t status);


static const ngx_trp_dialer_kind_t  ngx_trp_web_upgrade = {
    ngx_trp_web_begin,
    ngx_trp_web_run,
    NULL
};


char *
ngx_trp_web_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t           *value;
    ngx_trp_web_conf_t  *web;

    web = (ngx_trp_web_conf_t *) ((char *) conf + cmd->offset);

    if (web->enabled || web->off) {
        return "is duplicate";
    }

    value = cf->args->elts;
    value++;

    if (ngx_strcmp(value->data, "off") == 0) {
        web->off = 1;
        return NGX_CONF_OK;
    }

    web->enabled = 1;

    ngx_trp_conf_set_place(cf, &web->place);

    if (value->len && value->data[0] == '/') {
        web->path = *value;

    } else if (ngx_trp_web_set_url(cf, cmd, web, value) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (!ngx_trp_web_path_valid(&web->path)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid path \"%V\" in \"%V\", use printable ASCII "
                           "characters without \"#\", and %%XX for all others",
                           &web->path, &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_trp_web_set_url(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_web_conf_t *web, ngx_str_t *value)
{
    size_t      len;
    ngx_url_t  *url;

    url = &web->url;

    if (ngx_strncasecmp(value->data, (u_char *) "ws://", 5) == 0) {
        len = 5;
        web->plain = 1;

    } else if (ngx_strncasecmp(value->data, (u_char *) "wss://", 6) == 0) {
        len = 6;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\", write \"/PATH\" "
                           "for a web server at the relay's address, "
                           "\"wss://HOST/PATH\" or \"ws://HOST/PATH\" for "
                           "another one, or \"off\"", value, &cmd->name);
        return NGX_CONF_ERROR;
    }

    url->url.data = value->data + len;
    url->url.len = value->len - len;
    url->uri_part = 1;
    url->no_resolve = 1;
    url->default_port = web->plain ? 80 : 443;

    if (ngx_parse_url(cf->pool, url) != NGX_OK || url->family == AF_UNIX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V %V\"",
                           url->err ? url->err : "no address", &cmd->name,
                           value);
        return NGX_CONF_ERROR;
    }

    if (url->uri.len) {
        web->path = url->uri;

    } else {
        ngx_str_set(&web->path, "/");
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_trp_web_path_valid(ngx_str_t *path)
{
    size_t  i;

    for (i = 0; i < path->len; i++) {
        if (path->data[i] <= ' ' || path->data[i] > '~'
            || path->data[i] == '#')
        {
            return 0;
        }
    }

    return path->data[0] == '/' && path->len <= 4096;
}


void
ngx_trp_web_create_conf(ngx_trp_web_conf_t *conf)
{
    ngx_trp_ssl_create_conf(&conf->ssl);
}


void
ngx_trp_web_merge_conf(const ngx_trp_web_conf_t *prev,
    ngx_trp_web_conf_t *conf)
{
    if (!conf->enabled && !conf->off) {
        conf->enabled = prev->enabled;
        conf->plain = prev->plain;
        conf->url = prev->url;
        conf->path = prev->path;
        conf->place = prev->place;
    }

    ngx_trp_ssl_merge_conf(&prev->ssl, &conf->ssl);
}


ngx_int_t
ngx_trp_web_init_conf(ngx_conf_t *cf, ngx_trp_web_conf_t *conf,
    const char *prefix)
{
    ngx_int_t  rc;

    if (!conf->enabled || conf->plain) {
        return NGX_OK;
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    rc = ngx_trp_ssl_init_conf(cf, &conf->ssl, prefix, "web server");

    ngx_trp_conf_swap_place(cf, &conf->place);

    return rc;
}


ngx_trp_web_t *
ngx_trp_web_create(const ngx_trp_web_conf_t *conf,
    const ngx_trp_name_conf_t *names)
{
    ngx_trp_web_t  *web;

    web = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_web_t));

    if (web == NULL
        || ngx_trp_websocket_bio_init(ngx_cycle->pool, &web->bio) != NGX_OK)
    {
        return NULL;
    }

    web->conf = conf;

    web->server.url = &conf->url;

    if (ngx_trp_web_apart(web)
        && ngx_trp_name_server_start(&web->server, names, "web server")
           != NGX_OK)
    {
        return NULL;
    }

    return web;
}


ngx_addr_t *
ngx_trp_web_addr(ngx_trp_web_t *web)
{
    return ngx_trp_name_server_addr(&web->server);
}


void *
ngx_trp_web_add(ngx_trp_web_t *web, ngx_trp_dialer_t *d,
    const ngx_trp_web_peer_t *peer)
{
    ngx_trp_web_dial_t  *dial;

    dial = ngx_pcalloc(d->connection->pool, sizeof(ngx_trp_web_dial_t));
    if (dial == NULL) {
        return NULL;
    }

    dial->web = web;
    dial->peer = *peer;

    if (!web->conf->plain) {
        dial->tls.step.peer = "web server";
        dial->tls.step.action = "SSL handshaking to web server";
        dial->tls.ssl = &web->conf->ssl;
        dial->tls.host = (ngx_str_t *) peer->host;
        dial->tls.session = peer->session;

        ngx_trp_dialer_add_tls(d, &dial->tls);
    }

    dial->step.kind = &ngx_trp_web_upgrade;
    dial->step.peer = "web server";
    dial->step.action = "opening WebSocket";

    ngx_trp_dialer_add(d, &dial->step);

    return dial;
}


ngx_int_t
ngx_trp_web_insert(void *added, ngx_connection_t *c)
{
    ngx_buf_t           *b;
    ngx_trp_web_dial_t  *dial;

    dial = added;
    b = &dial->answer;

    if (b->pos < b->last) {
        dial->bio.early = b->pos;
        dial->bio.early_last = b->last;

    } else {
        (void) ngx_pfree(c->pool, b->start);
    }

    return ngx_trp_websocket_bio_insert(&dial->bio, &dial->web->bio, c, 1);
}


static ngx_int_t
ngx_trp_web_begin(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    size_t                     size;
    u_char                    *p, *key, slot[32], port[8];
    ngx_uint_t                 v6;
    ngx_pool_t                *pool;
    const ngx_str_t           *host;
    ngx_trp_web_dial_t        *dial;
    const ngx_trp_web_conf_t  *conf;

    dial = (ngx_trp_web_dial_t *) step;
    conf = dial->web->conf;
    host = dial->peer.host;
    pool = d->connection->pool;

    v6 = (ngx_strlchr(host->data, host->data + host->len, ':') != NULL
          && host->data[0] != '[');

    *port = '\0';
    *slot = '\0';

    if (dial->peer.port != (conf->plain ? 80 : 443)) {
        *ngx_sprintf(port, ":%ui", (ngx_uint_t) dial->peer.port) = '\0';
    }

    if (dial->peer.slot != -1) {
        *ngx_sprintf(slot, ", " TRP_UPGRADE_SLOT "%02i", dial->peer.slot)
            = '\0';
    }

    size = conf->path.len + host->len + 512;

    p = ngx_pnalloc(pool, size);
    key = ngx_pnalloc(pool, NGX_TRP_WEBSOCKET_KEY);
    dial->answer.start = ngx_palloc(pool, NGX_TRP_WEB_ANSWER);

    if (p == NULL || key == NULL || dial->answer.start == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_websocket_key(key);
    ngx_trp_websocket_accept(dial->accept, key, NGX_TRP_WEBSOCKET_KEY);

    dial->request.pos = p;
    dial->request.last = ngx_snprintf(p, size,
                           "GET %V HTTP/1.1" CRLF
                           "Host: %s%V%s%s" CRLF
                           "Upgrade: websocket" CRLF
                           "Connection: Upgrade" CRLF
                           "Sec-WebSocket-Key: %*s" CRLF
                           "Sec-WebSocket-Version: 13" CRLF
                           "Sec-WebSocket-Protocol: " TRP_UPGRADE_PROTOCOL
                           "%s" CRLF CRLF,
                           &conf->path, v6 ? "[" : "", host, v6 ? "]" : "",
                           port, (size_t) NGX_TRP_WEBSOCKET_KEY, key, slot);

    dial->answer.pos = dial->answer.start;
    dial->answer.last = dial->answer.start;
    dial->answer.end = dial->answer.start + NGX_TRP_WEB_ANSWER;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_web_run(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_int_t            rc;
    trp_upgrade_t        u;
    ngx_trp_web_dial_t  *dial;

    dial = (ngx_trp_web_dial_t *) step;

    rc = ngx_trp_dialer_send(d, &dial->request);

    if (rc == NGX_ERROR) {
        ngx_log_error(d->level, d->connection->log, 0,
                      "sending to web server failed");
    }

    if (rc == NGX_OK) {
        rc = ngx_trp_web_read(d, dial, &u);
    }

    return (rc == NGX_OK) ? ngx_trp_web_check(d, dial, &u) : rc;
}


static ngx_int_t
ngx_trp_web_read(ngx_trp_dialer_t *d, ngx_trp_web_dial_t *dial,
    trp_upgrade_t *u)
{
    int                rc;
    size_t             head;
    ssize_t            n;
    ngx_buf_t         *b;
    trp_str_t          text;
    ngx_connection_t  *c;

    b = &dial->answer;
    c = d->connection;

    for ( ;; ) {
        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            return (ngx_handle_read_event(c->read, 0) == NGX_OK) ? NGX_AGAIN
                                                                 : NGX_ERROR;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_log_error(d->level, c->log, 0,
                          "web server closed connection, in place of opening "
                          "a WebSocket");
            return NGX_ERROR;
        }

        b->last += n;

        text.data = b->start;
        text.len = b->last - b->start;

        rc = trp_upgrade_parse(u, text, &head);

        if (rc == TRP_OK) {
            b->pos = b->start + head;
            return NGX_OK;
        }

        if (rc == TRP_ERROR) {
            ngx_log_error(d->level, c->log, 0,
                          "web server sent no HTTP answer, it begins with "
                          "\"%s\"",
                          ngx_trp_text(b->start, ngx_min(text.len, 32)).data);
            return NGX_ERROR;
        }

        if (b->last == b->end) {
            ngx_log_error(d->level, c->log, 0,
                          "web server sent a too long HTTP answer");
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_trp_web_check(ngx_trp_dialer_t *d, ngx_trp_web_dial_t *dial,
    trp_upgrade_t *u)
{
    trp_str_t          accept;
    ngx_connection_t  *c;

    static const trp_str_t  protocol = trp_string(TRP_UPGRADE_PROTOCOL);

    c = d->connection;

    if (u->status != 101) {
        ngx_log_error(d->level, c->log, 0,
                      "web server answered \"%V\" with status %ui, in place "
                      "of 101%s", &dial->web->conf->path,
                      (ngx_uint_t) u->status, ngx_trp_web_hint(u->status));
        return NGX_ERROR;
    }

    accept.data = dial->accept;
    accept.len = NGX_TRP_WEBSOCKET_ACCEPT;

    if (trp_upgrade_check(u, accept, protocol) != TRP_OK) {
        ngx_log_error(d->level, c->log, 0,
                      "web server's answer opens no WebSocket for \""
                      TRP_UPGRADE_PROTOCOL "\": does \"%V\" lead to a relay?",
                      &dial->web->conf->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* what is usually wrong then */

static const char *
ngx_trp_web_hint(ngx_uint_t status)
{
    switch (status) {

    case 400:
    case 426:
    case 505:
        return ": does it pass on the upgrade, by HTTP/1.1?";

    case 404:
        return ": is the path right?";

    case 502:
    case 503:
    case 504:
        return ": does it reach the relay?";
    }

    return "";
}
