
/*
 * Copyright (C) the trp authors
 */


/*
 * Looks a name up: as a literal address, in /etc/hosts, then with nginx's
 * resolver, which is the one of "resolver" or one made from /etc/resolv.conf.
 * A replaced resolver lives until its last query is answered.
 */


#include "names/ngx_trp_lookup.h"
#include "base/ngx_trp_addr.h"


#define NGX_TRP_RESOLV_FILE     "/etc/resolv.conf"
#define NGX_TRP_HOSTS_FILE      "/etc/hosts"

#define NGX_TRP_LOOKUP_FILE_MAX (4 * 1024 * 1024)

/* addresses of a name in /etc/hosts, and for how many seconds they are valid */
#define NGX_TRP_HOSTS_ADDRS     16
#define NGX_TRP_HOSTS_VALID     10


/* one per cycle in each process */

typedef struct {
    ngx_trp_resolv_t   *resolv;
    time_t              checked;
    time_t              mtime;
    off_t               size;
    ngx_file_uniq_t     uniq;
} ngx_trp_host_t;


static ngx_int_t ngx_trp_lookup_literal(ngx_trp_lookup_t *lookup);
static ngx_int_t ngx_trp_lookup_hosts(ngx_trp_lookup_t *lookup);
static void ngx_trp_lookup_add(ngx_resolver_addr_t *to, ngx_sockaddr_t *sa,
    const trp_addr_t *addr);
static ngx_int_t ngx_trp_lookup_file(const char *name, ngx_str_t *text);
static ngx_trp_host_t *ngx_trp_lookup_host(void);
static ngx_trp_resolv_t *ngx_trp_lookup_resolv(void);
static ngx_trp_resolv_t *ngx_trp_lookup_read_resolv(void);
static ngx_int_t ngx_trp_lookup_create_resolver(ngx_trp_resolv_t *resolv);
static void ngx_trp_lookup_release(ngx_trp_resolv_t *resolv);
static void ngx_trp_lookup_destroy(ngx_event_t *ev);
static void ngx_trp_lookup_cleanup(void *data);
static void ngx_trp_lookup_ask(ngx_trp_lookup_t *lookup);
static void ngx_trp_lookup_handler(ngx_resolver_ctx_t *ctx);
static void ngx_trp_lookup_done(ngx_trp_lookup_t *lookup, ngx_int_t state);
static void ngx_trp_lookup_free(ngx_trp_lookup_t *lookup);


void
ngx_trp_lookup(ngx_trp_lookup_t *lookup)
{
    ngx_uint_t  own;

    lookup->ctx = NULL;
    lookup->resolv = NULL;
    lookup->domain = 0;
    lookup->async = 0;
    ngx_str_null(&lookup->query);

    if (ngx_trp_lookup_literal(lookup) == NGX_OK) {
        return;
    }

    own = (lookup->resolver == NULL
           || lookup->resolver->connections.nelts == 0);

    if ((own || lookup->hosts) && ngx_trp_lookup_hosts(lookup) == NGX_OK) {
        return;
    }

    if (own) {
        lookup->resolv = ngx_trp_lookup_resolv();

        if (lookup->resolv == NULL) {
            ngx_trp_lookup_done(lookup, NGX_RESOLVE_SERVFAIL);
            return;
        }

        lookup->resolv->users++;
    }

    ngx_trp_lookup_ask(lookup);
}


static ngx_int_t
ngx_trp_lookup_literal(ngx_trp_lookup_t *lookup)
{
    trp_addr_t           addr;
    ngx_uint_t           n;
    ngx_sockaddr_t       sa[2];
    ngx_resolver_addr_t  addrs[2];

    static const trp_str_t   localhost = trp_string("localhost");
    static const trp_addr_t  loopback[] = {
        { 4, { 127, 0, 0, 1 } },
        { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } }
    };

    if (trp_addr_parse(&addr, ngx_trp_str(&lookup->name)) == TRP_OK) {
        ngx_trp_lookup_add(&addrs[0], &sa[0], &addr);
        n = 1;

    } else if (trp_name_equal(ngx_trp_str(&lookup->name), localhost)) {

        /* RFC 6761, section 6.3: always the loopback addresses */

        ngx_trp_lookup_add(&addrs[0], &sa[0], &loopback[0]);
        ngx_trp_lookup_add(&addrs[1], &sa[1], &loopback[1]);
        n = 2;

    } else {
        return NGX_DECLINED;
    }

    lookup->addrs = addrs;
    lookup->naddrs = n;
    lookup->valid = ngx_time() + NGX_TRP_HOSTS_VALID;

    ngx_trp_lookup_done(lookup, NGX_OK);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_lookup_hosts(ngx_trp_lookup_t *lookup)
{
    ngx_str_t            text;
    trp_str_t            left, name;
    ngx_uint_t           n;
    trp_addr_t           addr;
    ngx_sockaddr_t       sa[NGX_TRP_HOSTS_ADDRS];
    ngx_resolver_addr_t  addrs[NGX_TRP_HOSTS_ADDRS];

    if (ngx_trp_lookup_file(NGX_TRP_HOSTS_FILE, &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    name = ngx_trp_str(&lookup->name);

    if (name.len && name.data[name.len - 1] == '.') {
        name.len--;
    }

    left = ngx_trp_str(&text);

    for (n = 0; n < NGX_TRP_HOSTS_ADDRS; n++) {
        if (trp_hosts_next(&left, name, &addr) != TRP_OK) {
            break;
        }

        ngx_trp_lookup_add(&addrs[n], &sa[n], &addr);
    }

    ngx_free(text.data);

    if (n == 0) {
        return NGX_DECLINED;
    }

    lookup->addrs = addrs;
    lookup->naddrs = n;
    lookup->valid = ngx_time() + NGX_TRP_HOSTS_VALID;

    ngx_trp_lookup_done(lookup, NGX_OK);

    return NGX_OK;
}


static void
ngx_trp_lookup_add(ngx_resolver_addr_t *to, ngx_sockaddr_t *sa,
    const trp_addr_t *addr)
{
    ngx_memzero(to, sizeof(ngx_resolver_addr_t));

    to->socklen = ngx_trp_addr_to_sockaddr(sa, addr, 0);
    to->sockaddr = &sa->sockaddr;
}


/* to be freed */

static ngx_int_t
ngx_trp_lookup_file(const char *name, ngx_str_t *text)
{
    size_t           size;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file((char *) name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return NGX_DECLINED;
    }

    text->data = NULL;

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR) {
        size = ngx_min((size_t) ngx_file_size(&fi), NGX_TRP_LOOKUP_FILE_MAX);
        text->data = ngx_alloc(size + 1, ngx_cycle->log);

        n = text->data ? ngx_read_fd(fd, text->data, size) : 0;
        text->len = (n > 0) ? n : 0;
    }

    (void) ngx_close_file(fd);

    return text->data ? NGX_OK : NGX_DECLINED;
}


static ngx_trp_host_t *
ngx_trp_lookup_host(void)
{
    ngx_trp_host_t      *host;
    ngx_pool_cleanup_t  *cln;

    for (cln = ngx_cycle->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_trp_lookup_cleanup) {
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(ngx_cycle->pool, sizeof(ngx_trp_host_t));
    if (cln == NULL) {
        return NULL;
    }

    host = cln->data;
    ngx_memzero(host, sizeof(ngx_trp_host_t));

    cln->handler = ngx_trp_lookup_cleanup;

    return host;
}


static ngx_trp_resolv_t *
ngx_trp_lookup_resolv(void)
{
    ngx_trp_host_t    *host;
    ngx_file_info_t    fi;
    ngx_trp_resolv_t  *resolv;

    host = ngx_trp_lookup_host();
    if (host == NULL) {
        return NULL;
    }

    if (host->resolv && host->checked == ngx_time()) {
        return host->resolv;
    }

    host->checked = ngx_time();

    if (ngx_file_info(NGX_TRP_RESOLV_FILE, &fi) == NGX_FILE_ERROR) {
        ngx_memzero(&fi, sizeof(ngx_file_info_t));
    }

    if (host->resolv && host->mtime == ngx_file_mtime(&fi)
        && host->size == ngx_file_size(&fi)
        && host->uniq == ngx_file_uniq(&fi))
    {
        return host->resolv;
    }

    resolv = ngx_trp_lookup_read_resolv();

    if (resolv == NULL) {
        return host->resolv;
    }

    host->mtime = ngx_file_mtime(&fi);
    host->size = ngx_file_size(&fi);
    host->uniq = ngx_file_uniq(&fi);

    if (host->resolv) {
        ngx_trp_lookup_release(host->resolv);
    }

    host->resolv = resolv;
    resolv->users = 1;

    return resolv;
}


static ngx_trp_resolv_t *
ngx_trp_lookup_read_resolv(void)
{
    ngx_str_t          text, copy;
    ngx_pool_t        *pool;
    ngx_trp_resolv_t  *resolv;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    resolv = ngx_pcalloc(pool, sizeof(ngx_trp_resolv_t));
    if (resolv == NULL) {
        goto failed;
    }

    resolv->pool = pool;
    ngx_str_null(&copy);

    if (ngx_trp_lookup_file(NGX_TRP_RESOLV_FILE, &text) == NGX_OK) {
        copy.len = text.len;
        copy.data = ngx_pstrdup(pool, &text);

        ngx_free(text.data);

        if (copy.data == NULL) {
            goto failed;
        }
    }

    trp_resolv_parse(&resolv->resolv, ngx_trp_str(&copy));

    if (ngx_trp_lookup_create_resolver(resolv) == NGX_OK) {
        return resolv;
    }

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_trp_lookup_create_resolver(ngx_trp_resolv_t *resolv)
{
    u_char      *p;
    ngx_str_t    names[TRP_RESOLV_SERVERS];
    ngx_conf_t   cf;
    ngx_uint_t   i;
    trp_addr_t  *addr;

    for (i = 0; i < resolv->resolv.nservers; i++) {
        addr = &resolv->resolv.servers[i];

        p = ngx_pnalloc(resolv->pool, TRP_ADDR_TEXT_LEN + 2);
        if (p == NULL) {
            return NGX_ERROR;
        }

        names[i].data = p;

        if (addr->family == 6) {
            *p++ = '[';
        }

        p += trp_addr_text(p, addr);

        if (addr->family == 6) {
            *p++ = ']';
        }

        names[i].len = p - names[i].data;
    }

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    cf.pool = resolv->pool;
    cf.cycle = (ngx_cycle_t *) ngx_cycle;
    cf.log = ngx_cycle->log;

    resolv->resolver = ngx_resolver_create(&cf, names,
                                           resolv->resolv.nservers);

    return resolv->resolver ? NGX_OK : NGX_ERROR;
}


/* deferred, since this may run in a handler called by the resolver */

static void
ngx_trp_lookup_release(ngx_trp_resolv_t *resolv)
{
    if (--resolv->users) {
        return;
    }

    resolv->event.data = resolv;
    resolv->event.handler = ngx_trp_lookup_destroy;
    resolv->event.log = ngx_cycle->log;

    ngx_post_event(&resolv->event, &ngx_posted_events);
}


static void
ngx_trp_lookup_destroy(ngx_event_t *ev)
{
    ngx_trp_resolv_t  *resolv;

    resolv = ev->data;

    ngx_destroy_pool(resolv->pool);
}


static void
ngx_trp_lookup_cleanup(void *data)
{
    ngx_trp_host_t *host = data;

    if (host->resolv) {
        ngx_destroy_pool(host->resolv->pool);
    }
}


static void
ngx_trp_lookup_ask(ngx_trp_lookup_t *lookup)
{
    u_char              *p;
    trp_str_t            domain;
    ngx_resolver_t      *resolver;
    ngx_resolver_ctx_t  *ctx;

    domain.len = 0;
    resolver = lookup->resolver;

    if (lookup->resolv) {
        resolver = lookup->resolv->resolver;

        (void) trp_resolv_domain(&lookup->resolv->resolv,
                                 ngx_trp_str(&lookup->name), lookup->domain,
                                 &domain);
    }

    /* nginx converts it to lower case in place */

    p = ngx_alloc(lookup->name.len + 1 + domain.len, ngx_cycle->log);
    if (p == NULL) {
        ngx_trp_lookup_done(lookup, NGX_RESOLVE_SERVFAIL);
        return;
    }

    lookup->query.data = p;
    p = ngx_cpymem(p, lookup->name.data, lookup->name.len);

    if (domain.len) {
        *p++ = '.';
        p = ngx_cpymem(p, domain.data, domain.len);
    }

    lookup->query.len = p - lookup->query.data;

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_trp_lookup_done(lookup, NGX_RESOLVE_SERVFAIL);
        return;
    }

    ctx->name = lookup->query;
    ctx->handler = ngx_trp_lookup_handler;
    ctx->data = lookup;
    ctx->timeout = lookup->timeout;
    ctx->cancelable = lookup->cancelable;

    lookup->ctx = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        lookup->ctx = NULL;
        ngx_trp_lookup_done(lookup, NGX_RESOLVE_SERVFAIL);
    }
}


static void
ngx_trp_lookup_handler(ngx_resolver_ctx_t *ctx)
{
    trp_str_t          domain;
    ngx_trp_lookup_t  *lookup;

    lookup = ctx->data;

    lookup->ctx = NULL;
    lookup->async |= ctx->async;

    if (lookup->resolv && ctx->state == NGX_RESOLVE_NXDOMAIN
        && trp_resolv_domain(&lookup->resolv->resolv,
                             ngx_trp_str(&lookup->name), lookup->domain + 1,
                             &domain)
           == TRP_OK)
    {
        ngx_resolve_name_done(ctx);

        ngx_free(lookup->query.data);
        ngx_str_null(&lookup->query);

        lookup->domain++;
        ngx_trp_lookup_ask(lookup);

        return;
    }

    lookup->valid = ctx->valid;
    lookup->naddrs = ctx->naddrs;
    lookup->addrs = ctx->addrs;

    ngx_trp_lookup_done(lookup, ctx->state);

    ngx_resolve_name_done(ctx);
}


static void
ngx_trp_lookup_done(ngx_trp_lookup_t *lookup, ngx_int_t state)
{
    ngx_trp_lookup_free(lookup);

    lookup->state = state;

    if (state != NGX_OK) {
        lookup->naddrs = 0;
    }

    lookup->handler(lookup);
}


static void
ngx_trp_lookup_free(ngx_trp_lookup_t *lookup)
{
    if (lookup->query.data) {
        ngx_free(lookup->query.data);
        ngx_str_null(&lookup->query);
    }

    if (lookup->resolv) {
        ngx_trp_lookup_release(lookup->resolv);
        lookup->resolv = NULL;
    }
}


void
ngx_trp_lookup_cancel(ngx_trp_lookup_t *lookup)
{
    if (lookup->ctx) {
        ngx_resolve_name_done(lookup->ctx);
        lookup->ctx = NULL;

        ngx_trp_lookup_free(lookup);
    }
}


void
ngx_trp_lookup_log_error(ngx_trp_lookup_t *lookup, ngx_log_t *log)
{
    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "\"%V\" could not be resolved (%i: %s)", &lookup->name,
                  lookup->state, ngx_resolver_strerror(lookup->state));
}
