
/*
 * Copyright (C) the trp authors
 */


/*
 * Directives of a proxy: a URL with a user, a file with its password, and TLS
 * to the proxy itself.
 */


#include "proxy/ngx_trp_proxy_conf.h"


typedef struct {
    ngx_str_t    scheme;
    trp_proxy_e  kind;
    unsigned     secure:1;
    in_port_t    port;               /* 0: none is customary */
} ngx_trp_proxy_scheme_t;


static char *ngx_trp_proxy_set_user(ngx_conf_t *cf,
    ngx_trp_proxy_conf_t *proxy, ngx_str_t text);
static char *ngx_trp_proxy_set_host(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_proxy_conf_t *proxy, ngx_str_t text, in_port_t port);
static ngx_int_t ngx_trp_proxy_unescape(ngx_conf_t *cf, ngx_str_t *out,
    ngx_str_t text);


static const ngx_trp_proxy_scheme_t  ngx_trp_proxy_schemes[] = {
    { ngx_string("http://"), TRP_PROXY_HTTP, 0, 0 },
    { ngx_string("https://"), TRP_PROXY_HTTP, 1, 443 },
    { ngx_string("socks5://"), TRP_PROXY_SOCKS5, 0, 1080 },
    { ngx_null_string, TRP_PROXY_HTTP, 0, 0 }
};


/* P_proxy SCHEME://[USER[:PASSWORD]@]HOST[:PORT], or P_proxy off */

char *
ngx_trp_proxy_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rv;
    u_char                        *p, *at, *last;
    ngx_str_t                     *value, text, user;
    ngx_trp_proxy_conf_t          *proxy;
    const ngx_trp_proxy_scheme_t  *scheme;

    proxy = (ngx_trp_proxy_conf_t *) ((char *) conf + cmd->offset);

    if (proxy->enabled || proxy->off) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        proxy->off = 1;
        return NGX_CONF_OK;
    }

    text = value[1];

    for (scheme = ngx_trp_proxy_schemes; scheme->scheme.len; scheme++) {
        if (text.len > scheme->scheme.len
            && ngx_strncasecmp(text.data, scheme->scheme.data,
                               scheme->scheme.len)
               == 0)
        {
            break;
        }
    }

    if (scheme->scheme.len == 0) {
        return "must have the form http://[USER:PASSWORD@]HOST:PORT, "
               "https://… or socks5://…; or be \"off\"";
    }

    proxy->enabled = 1;
    proxy->kind = scheme->kind;
    proxy->secure = scheme->secure;

    ngx_trp_conf_set_place(cf, &proxy->place);

    text.data += scheme->scheme.len;
    text.len -= scheme->scheme.len;

    if (text.len && text.data[text.len - 1] == '/') {
        text.len--;
    }

    last = text.data + text.len;
    at = NULL;

    for (p = text.data; p < last; p++) {
        if (*p == '@') {
            at = p;
        }
    }

    if (at) {
        user.data = text.data;
        user.len = at - text.data;

        text.data = at + 1;
        text.len = last - text.data;

        rv = ngx_trp_proxy_set_user(cf, proxy, user);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_trp_proxy_set_host(cf, cmd, proxy, text, scheme->port);
}


static char *
ngx_trp_proxy_set_user(ngx_conf_t *cf, ngx_trp_proxy_conf_t *proxy,
    ngx_str_t text)
{
    u_char     *colon;
    ngx_str_t   password;

    colon = ngx_strlchr(text.data, text.data + text.len, ':');

    ngx_str_null(&password);

    if (colon) {
        proxy->written = 1;

        password.data = colon + 1;
        password.len = text.data + text.len - password.data;
        text.len = colon - text.data;
    }

    if (ngx_trp_proxy_unescape(cf, &proxy->user, text) != NGX_OK
        || ngx_trp_proxy_unescape(cf, &proxy->password, password) != NGX_OK)
    {
        return "has a user or password in which \"%\" is not followed by two "
               "hexadecimal digits other than \"00\"";
    }

    if (proxy->user.len == 0 || proxy->user.len > TRP_CHALLENGE_USER
        || proxy->password.len > TRP_CHALLENGE_USER)
    {
        return "has a user that is empty, or a user or password of more than "
               "255 bytes";
    }

    if (proxy->kind == TRP_PROXY_HTTP
        && ngx_strlchr(proxy->user.data, proxy->user.data + proxy->user.len,
                       ':'))
    {
        return "has a user with a colon, which HTTP cannot transfer";
    }

    return NGX_CONF_OK;
}


static char *
ngx_trp_proxy_set_host(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_trp_proxy_conf_t *proxy, ngx_str_t text, in_port_t port)
{
    proxy->url.url = text;
    proxy->url.no_resolve = 1;
    proxy->url.default_port = port;

    if (ngx_parse_url(cf->pool, &proxy->url) != NGX_OK
        || proxy->url.family == AF_UNIX || proxy->url.uri.len)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V %V\"",
                           proxy->url.err ? proxy->url.err
                                          : "no host and port",
                           &cmd->name, &text);
        return NGX_CONF_ERROR;
    }

    if (proxy->url.no_port && port == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no port in \"%V\", write \"http://%V:PORT\"",
                           &cmd->name, &text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* %XX of a URL */

static ngx_int_t
ngx_trp_proxy_unescape(ngx_conf_t *cf, ngx_str_t *out, ngx_str_t text)
{
    u_char     *p;
    ngx_int_t   n;
    ngx_uint_t  i;

    p = ngx_pnalloc(cf->pool, text.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] != '%') {
            *p++ = text.data[i];
            continue;
        }

        n = (text.len - i > 2) ? ngx_hextoi(&text.data[i + 1], 2) : NGX_ERROR;

        if (n <= 0) {
            return NGX_ERROR;
        }

        *p++ = (u_char) n;
        i += 2;
    }

    out->len = p - out->data;

    return NGX_OK;
}


char *
ngx_trp_proxy_set_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t             *value;
    ngx_trp_proxy_conf_t  *proxy;

    proxy = (ngx_trp_proxy_conf_t *) ((char *) conf + cmd->offset);

    if (proxy->passwords) {
        return "is duplicate";
    }

    value = cf->args->elts;

    proxy->passwords = ngx_ssl_read_password_file(cf, &value[1]);

    if (proxy->passwords == NULL) {
        return NGX_CONF_ERROR;
    }

    value = proxy->passwords->elts;

    if (proxy->passwords->nelts == 0 || value[0].len == 0
        || value[0].len > TRP_CHALLENGE_USER)
    {
        return "names a file whose first line is empty, or has more than 255 "
               "bytes";
    }

    return NGX_CONF_OK;
}


void
ngx_trp_proxy_create_conf(ngx_trp_proxy_conf_t *conf)
{
    ngx_trp_ssl_create_conf(&conf->ssl);
}


void
ngx_trp_proxy_merge_conf(const ngx_trp_proxy_conf_t *prev,
    ngx_trp_proxy_conf_t *conf)
{
    if (!conf->enabled && !conf->off) {
        conf->enabled = prev->enabled;
        conf->place = prev->place;
        conf->kind = prev->kind;
        conf->secure = prev->secure;
        conf->url = prev->url;
        conf->user = prev->user;
        conf->password = prev->password;
        conf->written = prev->written;
    }

    if (conf->passwords == NULL) {
        conf->passwords = prev->passwords;
    }

    ngx_trp_ssl_merge_conf(&prev->ssl, &conf->ssl);
}


ngx_int_t
ngx_trp_proxy_init_conf(ngx_conf_t *cf, ngx_trp_proxy_conf_t *conf,
    const char *prefix)
{
    ngx_int_t   rc;
    ngx_str_t  *first;

    conf->prefix = prefix;

    ngx_trp_conf_swap_place(cf, &conf->place);

    rc = NGX_OK;

    if (conf->user.len && !conf->written) {

        if (conf->passwords == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no password for user \"%V\" in \"%s\", write "
                               "it after the user, or \"%s_password_file\"",
                               &conf->user, prefix, prefix);
            rc = NGX_ERROR;

        } else {
            /* nginx erases what it has read when the configuration is done */

            first = conf->passwords->elts;

            conf->password.len = first->len;
            conf->password.data = ngx_pstrdup(cf->pool, first);

            if (conf->password.data == NULL) {
                rc = NGX_ERROR;
            }
        }
    }

    if (rc == NGX_OK && conf->secure) {
        rc = ngx_trp_ssl_init_conf(cf, &conf->ssl, prefix, "proxy");
    }

    ngx_trp_conf_swap_place(cf, &conf->place);

    return rc;
}
