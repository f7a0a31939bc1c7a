
/*
 * Copyright (C) the trp authors
 */


/*
 * "trp_route": each one is a "listen" on one or two addresses, whose users have
 * a destination.  At run time the local address of a user's connection tells
 * the route.
 */


#include "entry/ngx_trp_route.h"
#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_conf.h"
#include "stock/ngx_trp_listener.h"


typedef struct {
    ngx_array_t  *own;
    ngx_array_t  *all;
} ngx_trp_route_lists_t;


static ngx_uint_t ngx_trp_route_search(ngx_array_t *routes, int type,
    struct sockaddr *sa);
static ngx_uint_t ngx_trp_route_listens(ngx_trp_route_t *route, int type,
    struct sockaddr *sa, in_port_t port);
static int ngx_trp_route_compare(ngx_trp_route_t *route, int type,
    struct sockaddr *sa);
static ngx_int_t ngx_trp_route_name(ngx_pool_t *pool, trp_route_t *route,
    ngx_str_t *host, ngx_str_t *destination);
static ngx_int_t ngx_trp_route_parse(ngx_conf_t *cf, ngx_trp_route_t *route);
static char *ngx_trp_route_parameters(ngx_conf_t *cf, ngx_trp_route_t *route,
    ngx_str_t *bind, ngx_str_t *args, ngx_uint_t *nargs);
static void ngx_trp_route_warn(ngx_conf_t *cf, ngx_trp_route_t *route,
    ngx_str_t *text, ngx_str_t *bind);
static ngx_int_t ngx_trp_route_set_listen(ngx_conf_t *cf,
    ngx_trp_route_t *route, ngx_str_t *bind);
static ngx_int_t ngx_trp_route_check_bind(ngx_conf_t *cf, ngx_str_t *bind);
static char *ngx_trp_route_listen(ngx_conf_t *cf,
    ngx_trp_route_lists_t *lists, ngx_trp_route_t *route, ngx_str_t *bind,
    ngx_str_t *args, ngx_uint_t nargs);
static ngx_uint_t ngx_trp_route_has_ipv6(void);
static char *ngx_trp_route_listen_one(ngx_conf_t *cf,
    ngx_trp_route_lists_t *lists, ngx_trp_route_t *route, ngx_str_t *address,
    ngx_str_t *args, ngx_uint_t nargs);
static ngx_int_t ngx_trp_route_insert(ngx_array_t *routes,
    ngx_trp_route_t *route);


ngx_trp_route_t *
ngx_trp_route_find(ngx_array_t *own, ngx_connection_t *c)
{
    ngx_sockaddr_t    any;
    ngx_trp_route_t  *route;

    route = ngx_trp_route_at(own, c->type, c->local_sockaddr);

    if (route || c->local_sockaddr->sa_family == AF_UNIX) {
        return route;
    }

    ngx_memzero(&any, sizeof(ngx_sockaddr_t));

    any.sockaddr.sa_family = c->local_sockaddr->sa_family;
    ngx_inet_set_port(&any.sockaddr, ngx_inet_get_port(c->local_sockaddr));

    return ngx_trp_route_at(own, c->type, &any.sockaddr);
}


ngx_trp_route_t *
ngx_trp_route_at(ngx_array_t *routes, int type, struct sockaddr *sa)
{
    ngx_uint_t         n;
    ngx_trp_route_t  **route;

    n = ngx_trp_route_search(routes, type, sa);

    if (n == 0) {
        return NULL;
    }

    route = routes->elts;

    return ngx_trp_route_listens(route[n - 1], type, sa,
                                 ngx_inet_get_port(sa))
           ? route[n - 1] : NULL;
}


/* how many routes begin at this address and port, or before it */

static ngx_uint_t
ngx_trp_route_search(ngx_array_t *routes, int type, struct sockaddr *sa)
{
    int                rc;
    in_port_t          port;
    ngx_uint_t         low, high, mid;
    ngx_trp_route_t  **route;

    route = routes->elts;
    port = ngx_inet_get_port(sa);

    low = 0;
    high = routes->nelts;

    while (low < high) {
        mid = (low + high) / 2;
        rc = ngx_trp_route_compare(route[mid], type, sa);

        if (rc < 0 || (rc == 0 && route[mid]->route.listen_port <= port)) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


static ngx_uint_t
ngx_trp_route_listens(ngx_trp_route_t *route, int type, struct sockaddr *sa,
    in_port_t port)
{
    return ngx_trp_route_compare(route, type, sa) == 0
           && port >= route->route.listen_port
           && port <= route->route.listen_last;
}


/* types, families and addresses, without ports */

static int
ngx_trp_route_compare(ngx_trp_route_t *route, int type, struct sockaddr *sa)
{
    ngx_sockaddr_t  *a, *b;

    a = &route->sockaddr;
    b = (ngx_sockaddr_t *) sa;

    if (route->type != type) {
        return route->type - type;
    }

    if (a->sockaddr.sa_family != sa->sa_family) {
        return a->sockaddr.sa_family - sa->sa_family;
    }

    switch (sa->sa_family) {

    case AF_INET:
        return ngx_memcmp(&a->sockaddr_in.sin_addr, &b->sockaddr_in.sin_addr,
                          sizeof(struct in_addr));

#if (NGX_HAVE_INET6)
    case AF_INET6:
        return ngx_memcmp(&a->sockaddr_in6.sin6_addr,
                          &b->sockaddr_in6.sin6_addr, sizeof(struct in6_addr));
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return ngx_strcmp(a->sockaddr_un.sun_path, b->sockaddr_un.sun_path);
#endif

    default:
        return -1;
    }
}


ngx_int_t
ngx_trp_route_target(ngx_trp_route_t *route, ngx_connection_t *c,
    ngx_trp_target_t *target)
{
    /* all of it is empty if there are variables */

    target->addr = route->route.addr;
    target->host = route->host;
    target->port = route->route.port;
    target->destination = route->destination;

    if (!route->route.each) {
        return NGX_OK;
    }

    target->port += ngx_inet_get_port(c->local_sockaddr)
                    - route->route.listen_port;

    target->destination = ngx_trp_host_port(c->pool, &target->host,
                                            target->port);

    return target->destination.data ? NGX_OK : NGX_ERROR;
}


/* the value is the server's, but what it is made of may be a stranger's */

ngx_int_t
ngx_trp_route_evaluate(ngx_trp_route_t *route, ngx_stream_session_t *s,
    ngx_trp_target_t *target, const char **why)
{
    u_char            *p;
    size_t             size;
    ngx_str_t          value;
    trp_route_t        to;
    ngx_connection_t  *c;

    c = s->connection;
    *why = NULL;

    if (ngx_stream_complex_value(s, route->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (trp_route_parse_destination(&to, ngx_trp_str(&value))) {
        *why = value.len ? "destination of \"trp_route\" is not HOST:PORT"
                         : "destination of \"trp_route\" is empty";

    } else if (to.port == 0 && route->type == SOCK_DGRAM) {
        *why = "destination of \"trp_route\" is a unix socket, which has no "
               "datagrams";
    }

    if (*why) {
        size = ngx_min(4 * value.len + 8, 256);

        p = ngx_pnalloc(c->pool, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        target->destination.len = trp_str_printable(p, size,
                                                    ngx_trp_str(&value));
        target->destination.data = p;

        return NGX_OK;
    }

    target->addr = to.addr;
    target->port = to.port;

    return ngx_trp_route_name(c->pool, &to, &target->host,
                              &target->destination);
}


static ngx_int_t
ngx_trp_route_name(ngx_pool_t *pool, trp_route_t *route, ngx_str_t *host,
    ngx_str_t *destination)
{
    /* the string of src/core may be static */

    host->len = route->host.len;
    host->data = (u_char *) route->host.data;

    *destination = ngx_trp_host_port(pool, host, route->port);

    return destination->data ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_trp_route_variable(ngx_array_t *own)
{
    ngx_uint_t         i;
    ngx_trp_route_t  **route;

    route = own->elts;

    for (i = 0; i < own->nelts; i++) {
        if (route[i]->value) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_route_text(ngx_pool_t *pool, const ngx_trp_route_t *route,
    ngx_str_t *text)
{
    ngx_uint_t  last;

    if (route->value) {
        *text = route->value->value;
        return NGX_OK;
    }

    if (!route->route.each) {
        *text = route->destination;
        return NGX_OK;
    }

    text->data = ngx_pnalloc(pool, route->destination.len + sizeof("-65535"));
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    last = route->route.port + route->route.listen_last
           - route->route.listen_port;

    text->len = ngx_sprintf(text->data, "%V-%ui", &route->destination, last)
                - text->data;

    return NGX_OK;
}


char *
ngx_trp_route_set(ngx_conf_t *cf, ngx_array_t **own, ngx_array_t *all,
    ngx_uint_t row, ngx_trp_route_t *set)
{
    char                   *rv;
    ngx_str_t              *value, bind, *args;
    ngx_uint_t              n;
    ngx_trp_route_t         route;
    ngx_trp_route_lists_t   lists;

    value = cf->args->elts;

    if (ngx_trp_route_parse(cf, &route) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    route.row = row;

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

    rv = ngx_trp_route_parameters(cf, &route, &bind, args, &n);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (route.type == SOCK_DGRAM
        && (route.route.listen_path.len
            || (route.value == NULL && route.route.port == 0)))
    {
        return "with \"udp\" cannot be used with a unix socket";
    }

    ngx_trp_route_warn(cf, &route, &value[1], &bind);

    if (bind.data && ngx_trp_route_check_bind(cf, &bind) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_trp_route_set_listen(cf, &route, &bind) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    *set = route;

    return ngx_trp_route_listen(cf, &lists, &route, &bind, args, n);
}


static ngx_int_t
ngx_trp_route_parse(ngx_conf_t *cf, ngx_trp_route_t *route)
{
    ngx_str_t   *value, text;
    const char  *err;

    value = cf->args->elts;

    ngx_memzero(route, sizeof(ngx_trp_route_t));
    route->type = SOCK_STREAM;

    err = trp_route_parse(&route->route, ngx_trp_str(&value[1]));

    if (err) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "route \"%V\" %s",
                           &value[1], err);
        return NGX_ERROR;
    }

    if (route->route.variable.len == 0) {
        return ngx_trp_route_name(cf->pool, &route->route, &route->host,
                                  &route->destination);
    }

    text.len = route->route.variable.len;
    text.data = (u_char *) route->route.variable.data;

    route->value = ngx_trp_conf_complex(cf, &text);

    return route->value ? NGX_OK : NGX_ERROR;
}


/* those of "listen" are put into "args"; "bind" may have no data */

static char *
ngx_trp_route_parameters(ngx_conf_t *cf, ngx_trp_route_t *route,
    ngx_str_t *bind, ngx_str_t *args, ngx_uint_t *nargs)
{
    ngx_str_t   *value;
    ngx_uint_t   i, n, dual, reuseport;

    value = cf->args->elts;

    ngx_str_null(bind);
    n = 0;
    dual = 0;
    reuseport = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "bind=", 5) == 0) {
            bind->len = value[i].len - 5;
            bind->data = value[i].data + 5;
            continue;
        }

        if (ngx_strcmp(value[i].data, "udp") == 0) {
            route->type = SOCK_DGRAM;
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

    if (route->type == SOCK_DGRAM && !reuseport) {
        ngx_str_set(&args[n], "reuseport");
        n++;
    }

#endif

    if (bind->data == NULL && dual) {
        return "with \"ipv6only=off\" needs \"bind=[::]\", as it listens on "
               "IPv4 by itself otherwise";
    }

    *nargs = n;

    return NGX_CONF_OK;
}


/* what is valid, but probably not what is meant */

static void
ngx_trp_route_warn(ngx_conf_t *cf, ngx_trp_route_t *route, ngx_str_t *text,
    ngx_str_t *bind)
{
    if (route->route.low_bits) {
        ngx_trp_conf_low_bits(cf, text, "trp_route");
    }

    if (bind->data == NULL && route->route.plain
        && trp_addr_is_loopback(&route->route.source.addr))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "route \"%V\" listens on all addresses, and lets "
                           "this host alone connect: write \"bind=ADDRESS\" "
                           "for where to listen, or the source as a block, "
                           "\"ADDRESS/PREFIX\"", text);
    }
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
                           "invalid address in \"bind=%V\", write an IP "
                           "address without a port", bind);
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


/* for the operator, in one line for all addresses */

static ngx_int_t
ngx_trp_route_set_listen(ngx_conf_t *cf, ngx_trp_route_t *route,
    ngx_str_t *bind)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    any = ngx_string("*");
    trp_str_t   *path;

    path = &route->route.listen_path;

    if (path->len) {
        route->listen.len = path->len;
        route->listen.data = (u_char *) path->data;

        return NGX_OK;
    }

    len = bind->len + sizeof("*:65535-65535/udp");

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    route->listen.data = p;

    p = ngx_sprintf(p, "%V:%ui", bind->data ? bind : &any,
                    (ngx_uint_t) route->route.listen_port);

    if (route->route.listen_last != route->route.listen_port) {
        p = ngx_sprintf(p, "-%ui", (ngx_uint_t) route->route.listen_last);
    }

    if (route->type == SOCK_DGRAM) {
        p = ngx_cpymem(p, "/udp", sizeof("/udp") - 1);
    }

    route->listen.len = p - route->listen.data;

    return NGX_OK;
}


static char *
ngx_trp_route_listen(ngx_conf_t *cf, ngx_trp_route_lists_t *lists,
    ngx_trp_route_t *route, ngx_str_t *bind, ngx_str_t *args, ngx_uint_t nargs)
{
    char       *rv;
    ngx_str_t   path, any = ngx_string("0.0.0.0"), any6 = ngx_string("[::]");

    if (route->route.listen_path.len) {

        if (bind->data) {
            return "with \"bind=\" cannot listen on a unix socket";
        }

        path.len = route->route.listen_path.len;
        path.data = (u_char *) route->route.listen_path.data;

        return ngx_trp_route_listen_one(cf, lists, route, &path, args, nargs);
    }

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
    u_char           *p;
    ngx_str_t        *listen;
    ngx_url_t         url;
    ngx_int_t         rc;
    ngx_trp_route_t  *copy;

    listen = ngx_palloc(cf->pool, (nargs + 1) * sizeof(ngx_str_t));
    copy = ngx_palloc(cf->pool, sizeof(ngx_trp_route_t));

    if (listen == NULL || copy == NULL) {
        return NGX_CONF_ERROR;
    }

    listen[0].data = ngx_pnalloc(cf->pool, address->len
                                           + sizeof(":65535-65535"));
    if (listen[0].data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_cpymem(listen[0].data, address->data, address->len);

    if (route->route.listen_path.len == 0) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) route->route.listen_port);
    }

    listen[0].len = p - listen[0].data;

    ngx_memcpy(&listen[1], args, nargs * sizeof(ngx_str_t));

    ngx_memzero(&url, sizeof(ngx_url_t));

    url.url = listen[0];
    url.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &url) != NGX_OK || url.naddrs != 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\"", &listen[0]);
        return NGX_CONF_ERROR;
    }

    if (route->route.listen_last != route->route.listen_port) {
        p = ngx_sprintf(p, "-%ui", (ngx_uint_t) route->route.listen_last);
    }

    *p = '\0';
    listen[0].len = p - listen[0].data;

    *copy = *route;
    ngx_memzero(&copy->sockaddr, sizeof(ngx_sockaddr_t));
    ngx_memcpy(&copy->sockaddr, url.addrs[0].sockaddr, url.addrs[0].socklen);

    rc = ngx_trp_route_insert(lists->all, copy);

    if (rc == NGX_BUSY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "another \"trp_route\" listens on \"%V\" already, "
                           "use another port or \"bind=ADDRESS\"",
                           &listen[0]);
        return NGX_CONF_ERROR;
    }

    if (rc != NGX_OK || ngx_trp_route_insert(lists->own, copy) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_trp_listener_listen(cf, listen, nargs + 1);
}


/* NGX_BUSY: another one listens there; NGX_ERROR: no memory */

static ngx_int_t
ngx_trp_route_insert(ngx_array_t *routes, ngx_trp_route_t *route)
{
    ngx_uint_t         n;
    struct sockaddr   *sa;
    ngx_trp_route_t  **p;

    p = routes->elts;
    sa = &route->sockaddr.sockaddr;

    n = ngx_trp_route_search(routes, route->type, sa);

    /* the one before may end, the one after may begin, among these ports */

    if ((n && ngx_trp_route_listens(p[n - 1], route->type, sa,
                                    route->route.listen_port))
        || (n < routes->nelts
            && ngx_trp_route_compare(p[n], route->type, sa) == 0
            && p[n]->route.listen_port <= route->route.listen_last))
    {
        return NGX_BUSY;
    }

    if (ngx_array_push(routes) == NULL) {
        return NGX_ERROR;
    }

    p = routes->elts;

    ngx_memmove(&p[n + 1], &p[n],
                (routes->nelts - 1 - n) * sizeof(ngx_trp_route_t *));
    p[n] = route;

    return NGX_OK;
}
