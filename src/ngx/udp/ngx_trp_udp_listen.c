
/*
 * Copyright (C) the trp authors
 */


/*
 * Whose a socket is, and taking it over.
 */


#include "udp/ngx_trp_udp_listen.h"
#include "base/ngx_trp_event.h"


static void **ngx_trp_udp_listen_srv_conf(ngx_listening_t *ls, ngx_uint_t i);


ngx_int_t
ngx_trp_udp_listen_number(ngx_listening_t *ls, ngx_trp_udp_number_pt number,
    void *data, const char *name, ngx_log_t *log)
{
    ngx_int_t           n, found;
    ngx_uint_t          i;
    ngx_stream_port_t  *port;

    if (ls->type != SOCK_DGRAM || ls->handler != ngx_stream_init_connection) {
        return NGX_DECLINED;
    }

    port = ls->servers;
    found = NGX_DECLINED;

    for (i = 0; i < port->naddrs; i++) {
        n = number(data, ngx_trp_udp_listen_srv_conf(ls, i));

        if (n == NGX_DECLINED || (found != NGX_DECLINED && found != n)) {

            if (i || n != NGX_DECLINED) {
                ngx_log_error(NGX_LOG_ALERT, log, 0,
                              "\"%s\" needs all UDP listens of port %d, "
                              "write \"bind\" to those of other servers",
                              name, ngx_inet_get_port(ls->sockaddr));
            }

            return NGX_DECLINED;
        }

        found = n;
    }

    return found;
}


static void **
ngx_trp_udp_listen_srv_conf(ngx_listening_t *ls, ngx_uint_t i)
{
    ngx_stream_port_t       *port;
    ngx_stream_in_addr_t    *addr;
    ngx_stream_addr_conf_t  *conf;
#if (NGX_HAVE_INET6)
    ngx_stream_in6_addr_t   *addr6;
#endif

    port = ls->servers;

    switch (ls->sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        addr6 = port->addrs;
        conf = &addr6[i].conf;
        break;
#endif

    default: /* AF_INET */
        addr = port->addrs;
        conf = &addr[i].conf;
        break;
    }

#if (nginx_version >= 1025005)
    return conf->default_server->ctx->srv_conf;
#else
    return conf->ctx->srv_conf;
#endif
}


ngx_uint_t
ngx_trp_udp_listen_here(ngx_cycle_t *cycle, ngx_uint_t i)
{
    ngx_uint_t        n;
    ngx_core_conf_t  *ccf;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

#if (NGX_HAVE_REUSEPORT)
    if (ls[i].reuseport) {
        return ls[i].worker == ngx_worker;
    }
#endif

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    n = ccf->master ? (ngx_uint_t) ccf->worker_processes : 1;

    return n < 2 || i % n == ngx_worker;
}


ngx_int_t
ngx_trp_udp_listen_release(ngx_listening_t *ls)
{
    ngx_connection_t  *c;

    c = ls->connection;

    if (c == NULL) {
        return NGX_OK;
    }

    if (ngx_trp_event_del(c->read) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
    ls->connection = NULL;

    return NGX_OK;
}


/*
 * Takes the socket itself, not just the handler: when a worker exits, nginx
 * restores its own handler and closes the socket before it calls any module.
 */

ngx_connection_t *
ngx_trp_udp_listen_take(ngx_listening_t *ls, ngx_log_t *log)
{
    ngx_socket_t       s;
    ngx_connection_t  *c;

    if (ngx_trp_udp_listen_release(ls) != NGX_OK) {
        return NULL;
    }

    s = fcntl(ls->fd, F_DUPFD_CLOEXEC, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      "fcntl(F_DUPFD_CLOEXEC) %V failed", &ls->addr_text);
        return NULL;
    }

    c = ngx_get_connection(s, log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
    }

    return c;
}
