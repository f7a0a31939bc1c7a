
/*
 * Copyright (C) the trp authors
 */


/*
 * Keeps the addresses of a name up to date.  A timer repeats the lookup when
 * the TTL has expired or after a failure; only changes are reported to the
 * owner.  A small shared zone keeps the addresses for the workers that a reload
 * starts.
 */


#include "names/ngx_trp_name.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_connect.h"


#define NGX_TRP_NAME_RETRY_MIN   1000
#define NGX_TRP_NAME_RETRY_MAX   30000

/* bounds for a TTL, seconds */
#define NGX_TRP_NAME_TTL_MIN     1
#define NGX_TRP_NAME_TTL_MAX     (24 * 60 * 60)

/* more addresses would only mean more tunnels */
#define NGX_TRP_NAME_ADDRS       16

/* names that are remembered; the oldest are forgotten */
#define NGX_TRP_NAME_MEMORY      64


typedef struct {
    trp_addr_t         addrs[NGX_TRP_NAME_ADDRS];
    ngx_uint_t         naddrs;
    time_t             time;
    size_t             len;
    u_char             host[TRP_NAME_MAX_LEN];
} ngx_trp_name_found_t;


typedef struct {
    ngx_trp_name_found_t  names[NGX_TRP_NAME_MEMORY];
} ngx_trp_name_memory_t;


static ngx_int_t ngx_trp_name_init_memory(ngx_shm_zone_t *zone, void *data);
static ngx_trp_name_found_t *ngx_trp_name_find(ngx_trp_name_t *name,
    ngx_uint_t make);
static void ngx_trp_name_recall(ngx_trp_name_t *name);
static void ngx_trp_name_remember(ngx_trp_name_t *name);
static ngx_uint_t ngx_trp_name_use(ngx_trp_name_t *name);
static void ngx_trp_name_event_handler(ngx_event_t *ev);
static void ngx_trp_name_resolved(ngx_trp_lookup_t *lookup);
static ngx_uint_t ngx_trp_name_choose(ngx_trp_name_t *name,
    ngx_resolver_addr_t **to);
static ngx_uint_t ngx_trp_name_allowed(ngx_trp_name_t *name,
    struct sockaddr *sa);
static void ngx_trp_name_lacks(ngx_trp_name_t *name, ngx_uint_t lacks4,
    ngx_uint_t lacks6);
static ngx_uint_t ngx_trp_name_same(ngx_trp_name_t *name,
    ngx_resolver_addr_t **addrs, ngx_uint_t n);
static ngx_int_t ngx_trp_name_set(ngx_trp_name_t *name,
    ngx_resolver_addr_t **addrs, ngx_uint_t n);
static void ngx_trp_name_log(ngx_trp_name_t *name);
static void ngx_trp_name_failed(ngx_trp_name_t *name, const char *why);
static void ngx_trp_name_cleanup(void *data);


char *
ngx_trp_name_set_families(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t            *value;
    ngx_uint_t            i;
    ngx_flag_t           *flag;
    ngx_trp_name_conf_t  *nc;

    nc = (ngx_trp_name_conf_t *) ((char *) conf + cmd->offset);

    if (nc->ipv4 != NGX_CONF_UNSET || nc->ipv6 != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        flag = (ngx_strncmp(value[i].data, "ipv4=", 5) == 0) ? &nc->ipv4
               : (ngx_strncmp(value[i].data, "ipv6=", 5) == 0) ? &nc->ipv6
               : NULL;

        if (flag && *flag == NGX_CONF_UNSET) {

            if (ngx_strcmp(value[i].data + 5, "on") == 0) {
                *flag = 1;
                continue;
            }

            if (ngx_strcmp(value[i].data + 5, "off") == 0) {
                *flag = 0;
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\", write "
                           "\"ipv4=off\" or \"ipv6=off\"",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (nc->ipv4 == 0 && nc->ipv6 == 0) {
        return "leaves no addresses: \"ipv4\" and \"ipv6\" cannot both be "
               "\"off\"";
    }

    return NGX_CONF_OK;
}


void
ngx_trp_name_create_conf(ngx_trp_name_conf_t *conf)
{
    conf->ipv4 = NGX_CONF_UNSET;
    conf->ipv6 = NGX_CONF_UNSET;
}


void
ngx_trp_name_merge_conf(const ngx_trp_name_conf_t *prev,
    ngx_trp_name_conf_t *conf)
{
    if (conf->ipv4 == NGX_CONF_UNSET && conf->ipv6 == NGX_CONF_UNSET) {
        conf->ipv4 = prev->ipv4;
        conf->ipv6 = prev->ipv6;
    }

    ngx_conf_init_value(conf->ipv4, 1);
    ngx_conf_init_value(conf->ipv6, 1);
}


ngx_int_t
ngx_trp_name_init_conf(ngx_conf_t *cf, ngx_trp_name_conf_t *conf,
    ngx_stream_core_srv_conf_t *cscf)
{
    ngx_str_t  zone = ngx_string("trp_names");

    conf->resolver = cscf->resolver;
    conf->timeout = cscf->resolver_timeout;

    /* the value of stream {}, which is never merged */
    ngx_conf_init_msec_value(conf->timeout, 30000);

    /* one zone for all modules, whatever file they are in */

    conf->memory = ngx_shared_memory_add(cf, &zone,
                                         ngx_align(sizeof(ngx_trp_name_memory_t)
                                                   + 8 * ngx_pagesize,
                                                   ngx_pagesize),
                                         &ngx_stream_core_module);
    if (conf->memory == NULL) {
        return NGX_ERROR;
    }

    conf->memory->init = ngx_trp_name_init_memory;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_name_init_memory(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data == NULL && !zone->shm.exists) {
        data = ngx_slab_calloc(shpool, sizeof(ngx_trp_name_memory_t));
        shpool->data = data;
    }

    zone->data = data ? data : shpool->data;

    return zone->data ? NGX_OK : NGX_ERROR;
}


void
ngx_trp_name_start(ngx_trp_name_t *name)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ngx_cycle->pool, 0);

    if (cln) {
        cln->handler = ngx_trp_name_cleanup;
        cln->data = name;
    }

    name->event.data = name;
    name->event.log = ngx_cycle->log;
    name->event.handler = ngx_trp_name_event_handler;
    name->event.cancelable = 1;

    name->lookup.resolver = name->conf->resolver;
    name->lookup.timeout = name->conf->timeout;
    name->lookup.name = name->host;
    name->lookup.handler = ngx_trp_name_resolved;
    name->lookup.data = name;
    name->lookup.cancelable = 1;
    name->lookup.hosts = 1;

    ngx_trp_name_recall(name);

    ngx_trp_lookup(&name->lookup);
}


ngx_int_t
ngx_trp_name_server_start(ngx_trp_name_server_t *server,
    const ngx_trp_name_conf_t *conf, const char *what)
{
    ngx_trp_name_t  *name;

    if (server->url->naddrs) {
        return NGX_OK;
    }

    name = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_name_t));
    if (name == NULL) {
        return NGX_ERROR;
    }

    name->conf = conf;
    name->what = what;
    name->host = server->url->host;
    name->port = server->url->port;

    server->name = name;

    ngx_trp_name_start(name);

    return NGX_OK;
}


ngx_addr_t *
ngx_trp_name_server_addr(ngx_trp_name_server_t *server)
{
    ngx_uint_t   n;
    ngx_addr_t  *addrs;

    addrs = server->name ? server->name->addrs : server->url->addrs;
    n = server->name ? server->name->naddrs : server->url->naddrs;

    return n ? &addrs[server->next++ % n] : NULL;
}


/* called with the zone locked; NULL if the name is not there */

static ngx_trp_name_found_t *
ngx_trp_name_find(ngx_trp_name_t *name, ngx_uint_t make)
{
    ngx_uint_t              i;
    ngx_trp_name_found_t   *found, *old;
    ngx_trp_name_memory_t  *memory;

    memory = name->conf->memory->data;
    old = memory->names;

    if (name->host.len > TRP_NAME_MAX_LEN) {
        return NULL;
    }

    for (i = 0; i < NGX_TRP_NAME_MEMORY; i++) {
        found = &memory->names[i];

        if (found->len == name->host.len
            && ngx_strncasecmp(found->host, name->host.data, found->len) == 0)
        {
            return found;
        }

        if (found->time < old->time) {
            old = found;
        }
    }

    if (!make) {
        return NULL;
    }

    old->len = name->host.len;
    ngx_memcpy(old->host, name->host.data, old->len);

    return old;
}


/* takes over what the previous workers knew, as if it had just been found */

static void
ngx_trp_name_recall(ngx_trp_name_t *name)
{
    ngx_uint_t             i, n;
    ngx_sockaddr_t         sa[NGX_TRP_NAME_ADDRS];
    ngx_slab_pool_t       *shpool;
    ngx_resolver_addr_t    addrs[NGX_TRP_NAME_ADDRS];
    ngx_trp_name_found_t  *found;

    shpool = (ngx_slab_pool_t *) name->conf->memory->shm.addr;
    n = 0;

    ngx_shmtx_lock(&shpool->mutex);

    found = ngx_trp_name_find(name, 0);

    if (found) {
        n = found->naddrs;

        for (i = 0; i < n; i++) {
            addrs[i].sockaddr = &sa[i].sockaddr;
            addrs[i].socklen = ngx_trp_addr_to_sockaddr(&sa[i],
                                                        &found->addrs[i], 0);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    name->lookup.addrs = addrs;
    name->lookup.naddrs = n;

    if (n) {
        (void) ngx_trp_name_use(name);
    }
}


static void
ngx_trp_name_remember(ngx_trp_name_t *name)
{
    in_port_t              port;
    ngx_uint_t             i;
    ngx_slab_pool_t       *shpool;
    ngx_trp_name_found_t  *found;

    shpool = (ngx_slab_pool_t *) name->conf->memory->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    found = ngx_trp_name_find(name, 1);

    if (found) {
        found->naddrs = ngx_min(name->lookup.naddrs, NGX_TRP_NAME_ADDRS);
        found->time = ngx_time();

        for (i = 0; i < found->naddrs; i++) {
            ngx_trp_addr_from_sockaddr(&found->addrs[i], &port,
                                       name->lookup.addrs[i].sockaddr);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


static void
ngx_trp_name_event_handler(ngx_event_t *ev)
{
    ngx_trp_name_t  *name;

    name = ev->data;

    if (!ngx_exiting) {
        ngx_trp_lookup(&name->lookup);
    }
}


static void
ngx_trp_name_resolved(ngx_trp_lookup_t *lookup)
{
    time_t           ttl;
    ngx_trp_name_t  *name;

    name = lookup->data;

    if (ngx_exiting) {
        return;
    }

    if (lookup->state != NGX_OK) {
        ngx_trp_name_failed(name, ngx_resolver_strerror(lookup->state));
        return;
    }

    if (ngx_trp_name_use(name) == 0) {
        ngx_trp_name_failed(name, "no address of a family that may be used");
        return;
    }

    ngx_trp_name_remember(name);

    if (name->failures) {
        ngx_log_error(NGX_LOG_NOTICE, name->event.log, 0,
                      "%s \"%V\" is resolved again", name->what, &name->host);
        name->failures = 0;
    }

    ttl = lookup->valid - ngx_time();
    ttl = ngx_max(ttl, NGX_TRP_NAME_TTL_MIN);
    ttl = ngx_min(ttl, NGX_TRP_NAME_TTL_MAX);

    ngx_add_timer(&name->event, (ngx_msec_t) ttl * 1000);
}


/* the number of addresses chosen; 0: none of those found */

static ngx_uint_t
ngx_trp_name_use(ngx_trp_name_t *name)
{
    ngx_uint_t            n;
    ngx_resolver_addr_t  *addrs[NGX_TRP_NAME_ADDRS];

    n = ngx_trp_name_choose(name, addrs);

    if (n && !ngx_trp_name_same(name, addrs, n)
        && ngx_trp_name_set(name, addrs, n) == NGX_OK)
    {
        ngx_trp_name_log(name);

        if (name->changed) {
            name->changed(name);
        }
    }

    return n;
}


/*
 * The addresses of allowed families to which this host has a route; all if it
 * has no route at all: connecting will tell why not.
 */

static ngx_uint_t
ngx_trp_name_choose(ngx_trp_name_t *name, ngx_resolver_addr_t **to)
{
    ngx_uint_t            i, n, way, lacks4, lacks6;
    ngx_resolver_addr_t  *addr;

    lacks4 = 0;
    lacks6 = 0;
    n = 0;

    for (way = 1; n == 0; way--) {

        for (i = 0; i < name->lookup.naddrs; i++) {
            addr = &name->lookup.addrs[i];

            if (n == NGX_TRP_NAME_ADDRS
                || !ngx_trp_name_allowed(name, addr->sockaddr))
            {
                continue;
            }

            ngx_inet_set_port(addr->sockaddr, name->port);

            if (!way
                || ngx_trp_connect_way(addr->sockaddr, addr->socklen) == 0)
            {
                to[n++] = addr;
                continue;
            }

            if (addr->sockaddr->sa_family == AF_INET) {
                lacks4 = 1;

            } else {
                lacks6 = 1;
            }
        }

        if (!way) {
            break;
        }
    }

    ngx_trp_name_lacks(name, lacks4, lacks6);

    return n;
}


static ngx_uint_t
ngx_trp_name_allowed(ngx_trp_name_t *name, struct sockaddr *sa)
{
    switch (sa->sa_family) {

    case AF_INET:
        return name->conf->ipv4;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        return name->conf->ipv6;
#endif

    default:
        return 0;
    }
}


/* logs one line until that changes */

static void
ngx_trp_name_lacks(ngx_trp_name_t *name, ngx_uint_t lacks4, ngx_uint_t lacks6)
{
    if ((lacks4 && !name->lacks4) || (lacks6 && !name->lacks6)) {
        ngx_log_error(NGX_LOG_NOTICE, name->event.log, 0,
                      "%s \"%V\" has addresses of %s, to which this host has "
                      "no route",
                      name->what, &name->host,
                      (lacks4 && lacks6) ? "IPv4 and IPv6"
                                         : lacks4 ? "IPv4" : "IPv6");
    }

    name->lacks4 = lacks4;
    name->lacks6 = lacks6;
}


static ngx_uint_t
ngx_trp_name_same(ngx_trp_name_t *name, ngx_resolver_addr_t **addrs,
    ngx_uint_t n)
{
    ngx_uint_t  i, j;

    if (n != name->naddrs) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            if (ngx_cmp_sockaddr(addrs[i]->sockaddr, addrs[i]->socklen,
                                 name->addrs[j].sockaddr,
                                 name->addrs[j].socklen, 1)
                == NGX_OK)
            {
                break;
            }
        }

        if (j == n) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_trp_name_set(ngx_trp_name_t *name, ngx_resolver_addr_t **addrs,
    ngx_uint_t n)
{
    u_char          *text;
    ngx_uint_t       i;
    ngx_addr_t      *to;
    ngx_sockaddr_t  *sa;

    to = ngx_alloc(n * (sizeof(ngx_addr_t) + sizeof(ngx_sockaddr_t)
                        + NGX_SOCKADDR_STRLEN),
                   name->event.log);
    if (to == NULL) {
        return NGX_ERROR;
    }

    sa = (ngx_sockaddr_t *) (to + n);
    text = (u_char *) (sa + n);

    for (i = 0; i < n; i++) {
        ngx_memcpy(&sa[i], addrs[i]->sockaddr, addrs[i]->socklen);

        to[i].sockaddr = &sa[i].sockaddr;
        to[i].socklen = addrs[i]->socklen;
        to[i].name.data = text + i * NGX_SOCKADDR_STRLEN;
        to[i].name.len = ngx_sock_ntop(to[i].sockaddr, to[i].socklen,
                                       to[i].name.data, NGX_SOCKADDR_STRLEN,
                                       1);
    }

    if (name->addrs) {
        ngx_free(name->addrs);
    }

    name->addrs = to;
    name->naddrs = n;

    return NGX_OK;
}


static void
ngx_trp_name_log(ngx_trp_name_t *name)
{
    u_char      *p, text[NGX_TRP_NAME_ADDRS * (NGX_SOCKADDR_STRLEN + 2)];
    ngx_uint_t   i;

    p = text;

    for (i = 0; i < name->naddrs; i++) {
        p = ngx_sprintf(p, i ? ", %V" : "%V", &name->addrs[i].name);
    }

    ngx_log_error(NGX_LOG_NOTICE, name->event.log, 0, "%s \"%V\" is at %*s",
                  name->what, &name->host, (size_t) (p - text), text);
}


/* logs one line, and no more until a lookup has succeeded */

static void
ngx_trp_name_failed(ngx_trp_name_t *name, const char *why)
{
    ngx_msec_t  wait;

    if (name->failures == 0) {
        ngx_log_error(NGX_LOG_ERR, name->event.log, 0,
                      "%s \"%V\" could not be resolved (%i: %s), %s",
                      name->what, &name->host, name->lookup.state, why,
                      name->naddrs ? "its last addresses are used"
                                   : "it is tried again");
    }

    wait = NGX_TRP_NAME_RETRY_MIN << ngx_min(name->failures, 5);
    wait = ngx_min(wait, NGX_TRP_NAME_RETRY_MAX);

    name->failures++;
    name->why = why;

    ngx_add_timer(&name->event, wait / 2 + ngx_random() % wait);

    if (name->failed) {
        name->failed(name);
    }
}


static void
ngx_trp_name_cleanup(void *data)
{
    ngx_trp_name_t *name = data;

    if (name->addrs) {
        ngx_free(name->addrs);
        name->addrs = NULL;
        name->naddrs = 0;
    }
}
