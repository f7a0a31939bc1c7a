
/*
 * Copyright (C) the trp authors
 */


/*
 * The step of a dialer that asks a proxy for a connection.  What the proxy
 * wants as authentication is found out once, and then known to all connections
 * of the worker.
 */


#include "proxy/ngx_trp_proxy.h"
#include "base/trp_looks.h"

#include <sodium.h>


#define NGX_TRP_PROXY_PEEK  2048


typedef struct {
    ngx_trp_dialer_step_t  step;
    ngx_trp_proxy_t       *proxy;
    ngx_addr_t             addr;       /* of the proxy */
    ngx_str_t              host;
    in_port_t              port;
    trp_proxy_t           *attempt;    /* while it lasts */
    ngx_pool_cleanup_t    *cleanup;
} ngx_trp_proxy_step_t;


static void ngx_trp_proxy_free_session(void *data);
static ngx_int_t ngx_trp_proxy_begin(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static ngx_int_t ngx_trp_proxy_attempt(ngx_trp_dialer_t *d,
    ngx_trp_proxy_step_t *ps);
static ngx_int_t ngx_trp_proxy_run(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static ngx_int_t ngx_trp_proxy_send(ngx_trp_dialer_t *d, trp_proxy_t *attempt);
static void ngx_trp_proxy_end(ngx_trp_dialer_t *d,
    ngx_trp_dialer_step_t *step);
static void ngx_trp_proxy_free(void *data);
static void ngx_trp_proxy_error(ngx_trp_dialer_t *d, ngx_trp_proxy_step_t *ps);
static void ngx_trp_proxy_error_user(ngx_trp_dialer_t *d,
    ngx_trp_proxy_step_t *ps, ngx_str_t *text);


static const ngx_trp_dialer_kind_t  ngx_trp_proxy_kind = {
    ngx_trp_proxy_begin,
    ngx_trp_proxy_run,
    ngx_trp_proxy_end
};


ngx_trp_proxy_t *
ngx_trp_proxy_create(const ngx_trp_proxy_conf_t *conf,
    const ngx_trp_name_conf_t *names)
{
    ngx_trp_proxy_t     *proxy;
    ngx_pool_cleanup_t  *cln;

    proxy = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_proxy_t));
    cln = ngx_pool_cleanup_add(ngx_cycle->pool, 0);

    if (proxy == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_proxy_free_session;
    cln->data = proxy;

    proxy->conf = conf;

    proxy->server.url = &conf->url;

    if (ngx_trp_name_server_start(&proxy->server, names, "proxy") != NGX_OK) {
        return NULL;
    }

    return proxy;
}


static void
ngx_trp_proxy_free_session(void *data)
{
    ngx_trp_proxy_t *proxy = data;

    if (proxy->session) {
        ngx_ssl_free_session(proxy->session);
        proxy->session = NULL;
    }
}


ngx_addr_t *
ngx_trp_proxy_addr(ngx_trp_proxy_t *proxy)
{
    return ngx_trp_name_server_addr(&proxy->server);
}


ngx_int_t
ngx_trp_proxy_add(ngx_trp_proxy_t *proxy, ngx_trp_dialer_t *d,
    const ngx_addr_t *addr, const ngx_str_t *host, in_port_t port)
{
    u_char                *p;
    ngx_pool_t            *pool;
    ngx_trp_dialer_tls_t  *tls;
    ngx_trp_proxy_step_t  *ps;

    pool = d->connection->pool;

    ps = ngx_pcalloc(pool, sizeof(ngx_trp_proxy_step_t));
    p = ngx_pnalloc(pool, addr->socklen + addr->name.len + host->len);

    if (ps == NULL || p == NULL) {
        return NGX_ERROR;
    }

    ps->cleanup = ngx_pool_cleanup_add(pool, 0);
    if (ps->cleanup == NULL) {
        return NGX_ERROR;
    }

    ps->cleanup->handler = ngx_trp_proxy_free;
    ps->cleanup->data = ps;

    ps->step.kind = &ngx_trp_proxy_kind;
    ps->step.peer = "proxy";
    ps->step.name = &ps->addr.name;
    ps->proxy = proxy;
    ps->port = port;

    /* a name may get other addresses */

    ps->addr.sockaddr = (struct sockaddr *) p;
    ps->addr.socklen = addr->socklen;
    ps->addr.name.data = ngx_cpymem(p, addr->sockaddr, addr->socklen);
    ps->addr.name.len = addr->name.len;
    p = ngx_cpymem(ps->addr.name.data, addr->name.data, addr->name.len);

    ps->host.data = p;
    ps->host.len = host->len;
    ngx_memcpy(p, host->data, host->len);

    d->via = &ps->addr;
    d->via_peer = "proxy";

    if (proxy->conf->secure) {
        tls = ngx_pcalloc(pool, sizeof(ngx_trp_dialer_tls_t));
        if (tls == NULL) {
            return NGX_ERROR;
        }

        tls->step.peer = "proxy";
        tls->step.name = &ps->addr.name;
        tls->step.action = "SSL handshaking to proxy";
        tls->ssl = &proxy->conf->ssl;
        tls->host = (ngx_str_t *) &proxy->conf->url.host;
        tls->session = &proxy->session;

        ngx_trp_dialer_add_tls(d, tls);
    }

    ps->step.action = "connecting through proxy";

    ngx_trp_dialer_add(d, &ps->step);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_proxy_begin(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    ngx_trp_proxy_step_t  *ps;

    ps = (ngx_trp_proxy_step_t *) step;

    if (ps->attempt == NULL && ngx_trp_proxy_attempt(d, ps) != NGX_OK) {
        return NGX_ERROR;
    }

    if (trp_proxy_connected(ps->attempt) == TRP_ERROR) {
        ngx_trp_proxy_error(d, ps);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_proxy_attempt(ngx_trp_dialer_t *d, ngx_trp_proxy_step_t *ps)
{
    ngx_trp_proxy_t             *proxy;
    trp_proxy_conf_t             conf;
    const ngx_trp_proxy_conf_t  *pcf;

    proxy = ps->proxy;
    pcf = proxy->conf;

    ps->attempt = ngx_alloc(sizeof(trp_proxy_t), d->connection->log);
    if (ps->attempt == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&conf, sizeof(trp_proxy_conf_t));

    conf.kind = pcf->kind;
    conf.user = ngx_trp_str(&pcf->user);
    conf.password = ngx_trp_str(&pcf->password);
    conf.host = ngx_trp_str(&ps->host);
    conf.port = ps->port;

    randombytes_buf(conf.random, sizeof(conf.random));

    trp_proxy_init(ps->attempt, &conf, &proxy->challenge);

    /* each request with a nonce has a number of its own */

    proxy->challenge.count++;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_proxy_run(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    int                    rc;
    u_char                 buf[NGX_TRP_PROXY_PEEK];
    size_t                 used;
    ssize_t                n;
    trp_str_t              data;
    trp_proxy_t           *attempt;
    ngx_trp_proxy_step_t  *ps;

    ps = (ngx_trp_proxy_step_t *) step;
    attempt = ps->attempt;

    do {
        n = ngx_trp_proxy_send(d, attempt);

        if (n == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        /* an answer may have come before the connection was lost */

        n = ngx_trp_dialer_peek(d, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (n > 0) {
            data.data = buf;
            data.len = n;

            rc = trp_proxy_input(attempt, data, &used);

            if (ngx_trp_dialer_skip(d, buf, used) != NGX_OK) {
                return NGX_ERROR;
            }

        } else {
            rc = trp_proxy_closed(attempt);
        }

    } while (rc == TRP_AGAIN);

    switch (rc) {

    case TRP_OK:
        if (attempt->challenge.scheme != TRP_CHALLENGE_NONE && !attempt->known)
        {
            ps->proxy->challenge = attempt->challenge;
        }

        return NGX_OK;

    case TRP_DECLINED:
        return NGX_DONE;

    default: /* TRP_ERROR */
        ngx_trp_proxy_error(d, ps);
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_trp_proxy_send(ngx_trp_dialer_t *d, trp_proxy_t *attempt)
{
    ngx_buf_t  b;
    trp_str_t  out;
    ngx_int_t  rc;

    out = trp_proxy_output(attempt);

    if (out.len == 0) {
        return NGX_OK;
    }

    b.pos = (u_char *) out.data;
    b.last = b.pos + out.len;

    rc = ngx_trp_dialer_send(d, &b);

    trp_proxy_sent(attempt, b.pos - out.data);

    return rc;
}


static void
ngx_trp_proxy_end(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step)
{
    if (!d->connection->close) {
        ngx_trp_proxy_free(step);
    }
}


/* the connection's pool is destroyed, or the step is done */

static void
ngx_trp_proxy_free(void *data)
{
    ngx_trp_proxy_step_t *ps = data;

    if (ps->attempt) {
        sodium_memzero(ps->attempt, sizeof(trp_proxy_t));
        ngx_free(ps->attempt);
        ps->attempt = NULL;
    }
}


/* what the proxy has said, in one line */

static void
ngx_trp_proxy_error(ngx_trp_dialer_t *d, ngx_trp_proxy_step_t *ps)
{
    ngx_log_t    *log;
    ngx_str_t     text, *name;
    trp_str_t     start;
    const char   *looks;
    trp_proxy_t  *attempt;

    log = d->connection->log;
    name = &ps->addr.name;
    attempt = ps->attempt;

    text.data = attempt->text;
    text.len = attempt->text_len;

    switch (attempt->error) {

    case TRP_PROXY_CLOSED:
        ngx_log_error(d->level, log, 0,
                      "proxy %V closed the connection without an answer",
                      name);
        return;

    case TRP_PROXY_NOT_HTTP:
    case TRP_PROXY_NOT_SOCKS5:
        start.data = attempt->line;
        start.len = attempt->line_len;

        looks = trp_looks_like(start);

        ngx_log_error(d->level, log, 0,
                      "proxy %V does not speak %s, it begins with \"%V\"%s%s",
                      name, (attempt->error == TRP_PROXY_NOT_HTTP)
                            ? "HTTP" : "SOCKS5",
                      &text, looks ? ", this looks like " : "",
                      looks ? looks : "");
        return;

    case TRP_PROXY_STATUS:
        ngx_log_error(d->level, log, 0,
                      "proxy %V answered \"%ui %V\" to CONNECT %V:%ui",
                      name, (ngx_uint_t) attempt->status, &text, &ps->host,
                      (ngx_uint_t) ps->port);
        return;

    case TRP_PROXY_REPLY:
        ngx_log_error(d->level, log, 0,
                      "proxy %V answered %ui (%s) to CONNECT %V:%ui",
                      name, (ngx_uint_t) attempt->status,
                      trp_proxy_reply(attempt->status), &ps->host,
                      (ngx_uint_t) ps->port);
        return;

    case TRP_PROXY_NO_USER:
    case TRP_PROXY_WRONG_USER:
    case TRP_PROXY_NO_SCHEME:
        ngx_trp_proxy_error_user(d, ps, &text);
        return;

    case TRP_PROXY_NO_MD5:
        ngx_log_error(d->level, log, 0,
                      "proxy %V wants authentication with MD5, which OpenSSL "
                      "refuses", name);
        return;

    default: /* TRP_PROXY_MALFORMED, TRP_PROXY_TOO_LONG */
        ngx_log_error(d->level, log, 0, "proxy %V sent %s", name,
                      (attempt->error == TRP_PROXY_TOO_LONG)
                      ? "a header that is too long" : "an invalid answer");
    }
}


/* 407, or the same of SOCKS5; "text" is what it wants */

static void
ngx_trp_proxy_error_user(ngx_trp_dialer_t *d, ngx_trp_proxy_step_t *ps,
    ngx_str_t *text)
{
    ngx_log_t                   *log;
    ngx_str_t                   *name;
    const char                  *status;
    const ngx_trp_proxy_conf_t  *conf;

    log = d->connection->log;
    name = &ps->addr.name;
    conf = ps->proxy->conf;

    status = (conf->kind == TRP_PROXY_HTTP) ? "answered 407, it " : "";

    switch (ps->attempt->error) {

    case TRP_PROXY_NO_USER:
        ngx_log_error(d->level, log, 0,
                      "proxy %V %swants authentication (%V), write the user "
                      "and password in \"%s\"",
                      name, status, text, conf->prefix);
        return;

    case TRP_PROXY_WRONG_USER:
        ngx_log_error(d->level, log, 0,
                      "proxy %V %sdoes not accept user \"%V\" with this "
                      "password%s%V", name, status, &conf->user,
                      text->len ? ", " : "", text);
        return;

    default: /* TRP_PROXY_NO_SCHEME */
        ngx_log_error(d->level, log, 0,
                      "proxy %V %swants authentication by a method that is not "
                      "supported (%V), %s", name, status, text,
                      (conf->kind == TRP_PROXY_HTTP)
                      ? "only Basic and Digest are"
                      : "only a user with a password is");
    }
}
