
/*
 * Copyright (C) the trp authors
 */


/*
 * Keeps nginx from resolving names while it reads the configuration.  While it
 * reads stream {}, the setters of "server" and "upstream" are ours, and the
 * stock setter gets an address of 0.0.0.0/8 in place of a name.  Which
 * upstreams are ours is known at the end; names in the others are then resolved
 * as nginx would have done.
 */


#include "names/ngx_trp_defer.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_conf.h"


typedef char *(*ngx_trp_defer_set_pt)(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* an upstream that may turn out not to be ours */

typedef struct {
    ngx_stream_upstream_srv_conf_t  *upstream;
    ngx_stream_upstream_init_pt      init;
} ngx_trp_defer_upstream_t;


/* a "server" in it; nginx sees the address */

typedef struct {
    ngx_addr_t                       addr;      /* must be first */
    ngx_trp_conf_place_t             place;
} ngx_trp_defer_addr_t;


typedef struct {
    ngx_array_t                      upstreams; /* ngx_trp_defer_upstream_t */
    ngx_command_t                   *server;
    ngx_command_t                   *block;
    ngx_trp_defer_set_pt             set_server;
    ngx_trp_defer_set_pt             set_block;
} ngx_trp_defer_t;


static ngx_uint_t ngx_trp_defer_first(ngx_conf_t *cf, ngx_module_t *module);
static ngx_trp_defer_t *ngx_trp_defer_get(ngx_conf_t *cf);
static void ngx_trp_defer_restore(void *data);
static char *ngx_trp_defer_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_uint_t ngx_trp_defer_name(ngx_conf_t *cf, ngx_url_t *u);
static char *ngx_trp_defer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_stream_upstream_srv_conf_t *ngx_trp_defer_find(ngx_conf_t *cf,
    ngx_str_t *name);
static ngx_uint_t ngx_trp_defer_used(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_defer_init(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_trp_defer_resolve(ngx_conf_t *cf,
    ngx_stream_upstream_server_t *server);


ngx_int_t
ngx_trp_defer_begin(ngx_conf_t *cf, ngx_module_t *module)
{
    ngx_command_t       *cmd;
    ngx_trp_defer_t     *defer;
    ngx_pool_cleanup_t  *cln;

    if (!ngx_trp_defer_first(cf, module)) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_trp_defer_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    defer = cln->data;
    ngx_memzero(defer, sizeof(ngx_trp_defer_t));

    if (ngx_array_init(&defer->upstreams, cf->pool, 1,
                       sizeof(ngx_trp_defer_upstream_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (cmd = ngx_stream_upstream_module.commands; cmd->name.len; cmd++) {

        if (ngx_strcmp(cmd->name.data, "server") == 0) {
            defer->server = cmd;

        } else if (ngx_strcmp(cmd->name.data, "upstream") == 0) {
            defer->block = cmd;
        }
    }

    if (defer->server == NULL || defer->block == NULL) {
        return NGX_OK;
    }

    /* if reading fails, nginx goes on with its old configuration */

    cln->handler = ngx_trp_defer_restore;

    defer->set_server = defer->server->set;
    defer->set_block = defer->block->set;

    defer->server->set = ngx_trp_defer_server;
    defer->block->set = ngx_trp_defer_block;

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_defer_first(ngx_conf_t *cf, ngx_module_t *module)
{
    ngx_uint_t     i;
    ngx_module_t  *m;

    for (i = 0; cf->cycle->modules[i]; i++) {
        m = cf->cycle->modules[i];

        if (m->type == NGX_STREAM_MODULE && m->spare_hook0
            && ngx_strncmp(m->name, "ngx_trp_", sizeof("ngx_trp_") - 1) == 0)
        {
            return m == module;
        }
    }

    return 0;
}


void
ngx_trp_defer_end(ngx_conf_t *cf)
{
    ngx_trp_defer_t  *defer;

    defer = ngx_trp_defer_get(cf);

    if (defer) {
        ngx_trp_defer_restore(defer);
    }
}


static ngx_trp_defer_t *
ngx_trp_defer_get(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = cf->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_trp_defer_restore) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_trp_defer_restore(void *data)
{
    ngx_trp_defer_t *defer = data;

    if (defer->set_server) {
        defer->server->set = defer->set_server;
        defer->block->set = defer->set_block;

        defer->set_server = NULL;
    }
}


static char *
ngx_trp_defer_server(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_upstream_srv_conf_t *uscf = conf;

    char                          *rv;
    ngx_str_t                     *value, name;
    ngx_url_t                      u;
    ngx_uint_t                     n;
    ngx_trp_defer_t               *defer;
    ngx_trp_defer_addr_t          *addr;
    ngx_stream_upstream_server_t  *server;

    defer = ngx_trp_defer_get(cf);

    if (!ngx_trp_defer_name(cf, &u)) {
        return defer->set_server(cf, cmd, conf);
    }

    addr = ngx_palloc(cf->pool, sizeof(ngx_trp_defer_addr_t));
    if (addr == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_trp_conf_set_place(cf, &addr->place);

    value = cf->args->elts;
    name = value[1];
    n = uscf->servers->nelts + 1;

    value[1].data = ngx_pnalloc(cf->pool, sizeof("0.255.255.255:65535"));
    if (value[1].data == NULL) {
        return NGX_CONF_ERROR;
    }

    /* "this network" (RFC 791): no host has such an address */

    value[1].len = ngx_sprintf(value[1].data, "0.%ui.%ui.%ui:%ui%Z",
                               n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff,
                               (ngx_uint_t) u.port)
                   - value[1].data - 1;

    rv = defer->set_server(cf, cmd, conf);

    value[1] = name;

    if (rv == NGX_CONF_OK) {
        server = uscf->servers->elts;
        server += uscf->servers->nelts - 1;

        addr->addr = server->addrs[0];

        server->name = name;
        server->addrs = &addr->addr;
    }

    return rv;
}


/* 1 if the directive has a name that nginx would resolve now */

static ngx_uint_t
ngx_trp_defer_name(ngx_conf_t *cf, ngx_url_t *u)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_strcmp(value[i].data, "resolve") == 0
            || ngx_strncmp(value[i].data, "service=", 8) == 0)
        {
            return 0;
        }
    }

    ngx_memzero(u, sizeof(ngx_url_t));

    u->url = value[1];
    u->no_resolve = 1;

    return ngx_parse_url(cf->pool, u) == NGX_OK && u->naddrs == 0
           && !u->no_port
           && trp_name_valid(ngx_trp_str(&u->host));
}


static char *
ngx_trp_defer_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_str_t                       *value, name;
    ngx_uint_t                       i;
    ngx_trp_defer_t                 *defer;
    ngx_trp_defer_upstream_t        *du;
    ngx_stream_upstream_server_t    *server;
    ngx_stream_upstream_srv_conf_t  *us;

    defer = ngx_trp_defer_get(cf);

    value = cf->args->elts;
    name = value[1];

    rv = defer->set_block(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    us = ngx_trp_defer_find(cf, &name);

    if (us == NULL || ngx_trp_defer_used(cf, us)) {
        return NGX_CONF_OK;
    }

    server = us->servers->elts;

    for (i = 0; i < us->servers->nelts; i++) {
        if (ngx_trp_defer_is(&server[i])) {
            break;
        }
    }

    if (i == us->servers->nelts) {
        return NGX_CONF_OK;
    }

    /* a "trp_reverse" that uses it may still follow */

    du = ngx_array_push(&defer->upstreams);
    if (du == NULL) {
        return NGX_CONF_ERROR;
    }

    du->upstream = us;
    du->init = us->peer.init_upstream ? us->peer.init_upstream
                                      : ngx_stream_upstream_init_round_robin;

    us->peer.init_upstream = ngx_trp_defer_init;

    return NGX_CONF_OK;
}


static ngx_stream_upstream_srv_conf_t *
ngx_trp_defer_find(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                        i;
    ngx_stream_upstream_srv_conf_t  **us;
    ngx_stream_upstream_main_conf_t  *umcf;

    umcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_stream_upstream_module);
    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if ((us[i]->flags & NGX_STREAM_UPSTREAM_CREATE)
            && us[i]->host.len == name->len
            && ngx_strncasecmp(us[i]->host.data, name->data, name->len) == 0)
        {
            return us[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_trp_defer_used(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t              i;
    ngx_module_t           *m;
    ngx_trp_defer_uses_pt   uses;

    for (i = 0; cf->cycle->modules[i]; i++) {
        m = cf->cycle->modules[i];

        if (m->type != NGX_STREAM_MODULE || m->spare_hook0 == 0
            || ngx_strncmp(m->name, "ngx_trp_", sizeof("ngx_trp_") - 1) != 0)
        {
            continue;
        }

        uses = (ngx_trp_defer_uses_pt) m->spare_hook0;

        if (uses(cf, us)) {
            return 1;
        }
    }

    return 0;
}


/* all is read: unless the upstream is ours, restores nginx's behaviour */

static ngx_int_t
ngx_trp_defer_init(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i;
    ngx_trp_defer_t               *defer;
    ngx_trp_defer_upstream_t      *du;
    ngx_stream_upstream_server_t  *server;

    defer = ngx_trp_defer_get(cf);
    du = defer->upstreams.elts;

    while (du->upstream != us) {
        du++;
    }

    us->peer.init_upstream = du->init;

    if (!ngx_trp_defer_used(cf, us)) {
        server = us->servers->elts;

        for (i = 0; i < us->servers->nelts; i++) {
            if (ngx_trp_defer_is(&server[i])
                && ngx_trp_defer_resolve(cf, &server[i]) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return du->init(cf, us);
}


static ngx_int_t
ngx_trp_defer_resolve(ngx_conf_t *cf, ngx_stream_upstream_server_t *server)
{
    ngx_int_t              rc;
    ngx_url_t              u;
    ngx_trp_defer_addr_t  *addr;

    addr = (ngx_trp_defer_addr_t *) server->addrs;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = server->name;

    ngx_trp_conf_swap_place(cf, &addr->place);

    rc = ngx_parse_url(cf->pool, &u);

    if (rc != NGX_OK && u.err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in upstream \"%V\"",
                           u.err, &u.url);
    }

    ngx_trp_conf_swap_place(cf, &addr->place);

    if (rc == NGX_OK) {
        server->addrs = u.addrs;
        server->naddrs = u.naddrs;
    }

    return rc;
}


ngx_uint_t
ngx_trp_defer_is(ngx_stream_upstream_server_t *server)
{
    u_char              *p;
    struct sockaddr_in  *sin;

    if (server->naddrs != 1
        || server->addrs[0].sockaddr->sa_family != AF_INET)
    {
        return 0;
    }

    sin = (struct sockaddr_in *) server->addrs[0].sockaddr;
    p = (u_char *) &sin->sin_addr;

    return p[0] == 0 && sin->sin_addr.s_addr != INADDR_ANY
           && ngx_strncmp(server->name.data, server->addrs[0].name.data,
                          ngx_min(server->name.len,
                                  server->addrs[0].name.len))
              != 0;
}
