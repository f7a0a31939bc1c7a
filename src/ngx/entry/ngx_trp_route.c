
/*
 * Copyright (C) the trp authors
 */


/*
 * "trp_route": each one is a "listen" on one or two addresses, whose users have
 * a destination.  At run time the local address of a user's connection tells
 * the route.
 */


#include "entry/ngx_trp_route.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_conf.h"
#include "stock/ngx_trp_listener.h"


typedef struct {
    ngx_array_t  *own;
    ngx_array_t  *all;
} ngx_trp_route_lists_t;


static ngx_int_t ngx_trp_route_check_bind(ngx_conf_t *cf, ngx_str_t *bind);
static char *ngx_trp_route_listen(ngx_conf_t *cf,
    ngx_trp_route_lists_t *lists, ngx_trp_route_t *route, ngx_str_t *bind,
    ngx_str_t *args, ngx_uint_t nargs);
static ngx_uint_t ngx_trp_route_has_ipv6(void);
static char *ngx_trp_route_listen_one(ngx_conf_t *cf,
    ngx_trp_route_lists_t *lists, ngx_trp_route_t *route, ngx_str_t *address,
    ngx_str_t *args, ngx_uint_t nargs);


ngx_trp_route_t *
ngx_trp_route_find(ngx_array_t *own, ngx_connection_t *c)
{
    ngx_uint_t         i, udp;
    struct sockaddr   *sa;
    ngx_trp_route_t  **routes, *any;

    any = NULL;
    udp = (c->type == SOCK_DGRAM);
    routes = own->elts;

    for (i = 0; i < own->nelts; i++) {

        if (routes[i]->udp != udp) {
            continue;
        }

        sa = &routes[i]->sockaddr.sockaddr;

        if (ngx_cmp_sockaddr(sa, sizeof(ngx_sockaddr_t), c->local_sockaddr,
                             c->local_socklen, 1)
            == NGX_OK)
        {
            return routes[i];
        }

        if (sa->sa_family == c->local_sockaddr->sa_family
            && ngx_inet_get_port(sa) == ngx_inet_get_port(c->local_sockaddr)
            && ngx_inet_wildcard(sa))
        {
            any = routes[i];
        }
    }

    return any;
}


char *
ngx_trp_route_set(ngx_conf_t *cf, ngx_array_t **own, ngx_array_t *all)
{
    ngx_str_t              *value, bind, *args;
    ngx_uint_t              i, n, dual, reuseport;
    const char             *err;
    ngx_trp_route_t         route;
    ngx_trp_route_lists_t   lists;

    value = cf->args->elts;

    ngx_memzero(&route, sizeof(ngx_trp_route_t));

    err = trp_route_parse(&route.route, ngx_trp_str(&value[1]));

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "route \"%V\" %s",
                           &value[1], err);
        return NGX_CONF_ERROR;
    }

    if (route.route.low_bits) {
        ngx_trp_conf_low_bits(cf, &value[1], "trp_route");
    }

    /* the string of src/core may be static */

    route.host.len = route.route.host.len;
    route.host.data = (u_char *) route.route.host.data;

    route.destination = ngx_trp_host_port(cf->pool, &route.host,
                                          route.route.port);
    if (route.destination.data == NULL) {
        return NGX_CONF_ERROR;
    }

    if (*own == NULL) {
        *own = ngx_array_create(cf->pool, 4, sizeof(ngx_trp_route_t *));
        if (*own == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    lists.own = *own;
    lists.all = all;

    args = ngx_palloc(cf->pool, (cf->args->nelts + 1) * sizeof(ngx_str_t));
    if (args == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_null(&bind);
    n = 0;
    dual = 0;
    reuseport = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "bind=", 5) == 0) {
            bind.len = value[i].len - 5;
            bind.data = value[i].data + 5;
            continue;
        }

        if (ngx_strcmp(value[i].data, "udp") == 0) {
            route.udp = 1;
        }

        if (ngx_strcmp(value[i].data, "reuseport") == 0) {
            reuseport = 1;
        }

        if (ngx_strcmp(value[i].data, "ipv6only=off") == 0) {
            dual = 1;
        }

        args[n++] = value[i];
    }

#if (NGX_HAVE_REUSEPORT)

    /* all datagrams of a user are for the worker that has the session */

    if (route.udp && !reuseport) {
        ngx_str_set(&args[n], "reuseport");
        n++;
    }

#endif

    if (bind.data == NULL && dual) {
        return "with \"ipv6only=off\" needs \"bind=[::]\", as it listens on "
               "IPv4 by itself otherwise";
    }

    if (bind.data && ngx_trp_route_check_bind(cf, &bind) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_trp_route_listen(cf, &lists, &route, &bind, args, n);
}


/* an address, nothing else; IPv6 in brackets */

static ngx_int_t
ngx_trp_route_check_bind(ngx_conf_t *cf, ngx_str_t *bind)
{
    trp_str_t    text;
    ngx_uint_t   brackets;
    trp_addr_t   addr;

    text = ngx_trp_str(bind);
    brackets = (text.len > 2 && text.data[0] == '['
                && text.data[text.len - 1] == ']');

    if (brackets) {
        text.data++;
        text.len -= 2;
    }

    if (trp_addr_parse(&addr, text) != TRP_OK
        || (brackets && addr.family != 6))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address in \"bind=%V\"", bind);
        return NGX_ERROR;
    }

    if (addr.family == 6 && !brackets) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unbracketed IPv6 address in \"bind=%V\", "
                           "write \"bind=[%V]\"", bind, bind);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_trp_route_listen(ngx_conf_t *cf, ngx_trp_route_lists_t *lists,
    ngx_trp_route_t *route, ngx_str_t *bind, ngx_str_t *args, ngx_uint_t nargs)
{
    char       *rv;
    ngx_str_t   any = ngx_string("0.0.0.0"), any6 = ngx_string("[::]");

    if (bind->data) {
        return ngx_trp_route_listen_one(cf, lists, route, bind, args, nargs);
    }

    rv = ngx_trp_route_listen_one(cf, lists, route, &any, args, nargs);

    if (rv != NGX_CONF_OK || !ngx_trp_route_has_ipv6()) {
        return rv;
    }

    return ngx_trp_route_listen_one(cf, lists, route, &any6, args, nargs);
}


/* a kernel may have no IPv6, or have it switched off */

static ngx_uint_t
ngx_trp_route_has_ipv6(void)
{
#if (NGX_HAVE_INET6)

    ngx_uint_t           found;
    ngx_socket_t         s;
    struct sockaddr_in6  sin6;

    s = ngx_socket(AF_INET6, SOCK_STREAM, 0);

    if (s == (ngx_socket_t) -1) {
        return 0;
    }

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));
    sin6.sin6_family = AF_INET6;

    found = (bind(s, (struct sockaddr *) &sin6, sizeof(struct sockaddr_in6))
             == 0);

    (void) ngx_close_socket(s);

    return found;

#else

    return 0;

#endif
}


static char *
ngx_trp_route_listen_one(ngx_conf_t *cf, ngx_trp_route_lists_t *lists,
    ngx_trp_route_t *route, ngx_str_t *address, ngx_str_t *args,
    ngx_uint_t nargs)
{
    ngx_str_t                   *listen;
    ngx_url_t                    url;
    ngx_uint_t                   i;
    ngx_trp_route_t       *copy, **all, **own;

    listen = ngx_palloc(cf->pool, (nargs + 1) * sizeof(ngx_str_t));
    copy = ngx_palloc(cf->pool, sizeof(ngx_trp_route_t));

    if (listen == NULL || copy == NULL) {
        return NGX_CONF_ERROR;
    }

    listen[0].data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN + 6);
    if (listen[0].data == NULL) {
        return NGX_CONF_ERROR;
    }

    listen[0].len = ngx_sprintf(listen[0].data, "%V:%ui%Z", address,
                                (ngx_uint_t) route->route.listen_port)
                    - listen[0].data - 1;

    ngx_memcpy(&listen[1], args, nargs * sizeof(ngx_str_t));

    ngx_memzero(&url, sizeof(ngx_url_t));

    url.url = listen[0];
    url.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &url) != NGX_OK || url.naddrs != 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\"", &listen[0]);
        return NGX_CONF_ERROR;
    }

    *copy = *route;
    ngx_memzero(&copy->sockaddr, sizeof(ngx_sockaddr_t));
    ngx_memcpy(&copy->sockaddr, url.addrs[0].sockaddr, url.addrs[0].socklen);

    all = lists->all->elts;

    for (i = 0; i < lists->all->nelts; i++) {
        if (all[i]->udp == copy->udp
            && ngx_cmp_sockaddr(&all[i]->sockaddr.sockaddr,
                                sizeof(ngx_sockaddr_t),
                                &copy->sockaddr.sockaddr,
                                sizeof(ngx_sockaddr_t), 1)
               == NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "another \"trp_route\" listens on \"%V\" "
                               "already, use another port or \"bind=ADDRESS\"",
                               &listen[0]);
            return NGX_CONF_ERROR;
        }
    }

    all = ngx_array_push(lists->all);
    own = ngx_array_push(lists->own);

    if (all == NULL || own == NULL) {
        return NGX_CONF_ERROR;
    }

    *all = copy;
    *own = copy;

    return ngx_trp_listener_listen(cf, listen, nargs + 1);
}
