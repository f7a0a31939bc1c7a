
/*
 * Copyright (C) the trp authors
 */


/*
 * Creates listeners without sockets, which have all that
 * ngx_stream_init_connection() reads, and arms sockets whose servers are all
 * ours, so that a connection which nginx closes at once ends with a reset.
 */


#include "stock/ngx_trp_listener.h"


#define NGX_TRP_LISTENER_BUFFER  (4 * 1024 * 1024)


static void ngx_trp_listener_init(ngx_conf_t *cf,
    ngx_trp_listener_family_t *lf, ngx_stream_addr_conf_t *conf,
    ngx_str_t *name);
static void ngx_trp_listener_reset_cleanup(void *data);
static void ngx_trp_listener_reset(ngx_listening_t *ls, int on);
static ngx_uint_t ngx_trp_listener_server(ngx_stream_addr_conf_t *conf,
    ngx_trp_listener_check_pt check);


ngx_trp_listener_t *
ngx_trp_listener_create(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_trp_listener_t          *listener;
    ngx_stream_core_srv_conf_t  *cscf;

    listener = ngx_pcalloc(cf->pool, sizeof(ngx_trp_listener_t));
    if (listener == NULL) {
        return NULL;
    }

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    /* a server {} must have a "listen" */
    cscf->listen = 1;

    ngx_trp_listener_init(cf, &listener->in, &listener->in.addr.in.conf, name);

#if (NGX_HAVE_INET6)
    ngx_trp_listener_init(cf, &listener->in6, &listener->in6.addr.in6.conf,
                          name);
#endif

    return listener;
}


static void
ngx_trp_listener_init(ngx_conf_t *cf, ngx_trp_listener_family_t *lf,
    ngx_stream_addr_conf_t *conf, ngx_str_t *name)
{
    ngx_listening_t  *ls;

#if (nginx_version >= 1025005)
    conf->default_server = ngx_stream_conf_get_module_srv_conf(cf,
                                                      ngx_stream_core_module);
#else
    conf->ctx = cf->ctx;
    conf->addr_text = *name;
#endif

    lf->port.addrs = &lf->addr;
    lf->port.naddrs = 1;

    ls = &lf->listening;

    ls->servers = &lf->port;
    ls->handler = ngx_stream_init_connection;
    ls->addr_text = *name;
    ls->type = SOCK_STREAM;
    ls->fd = (ngx_socket_t) -1;
    ls->log = cf->cycle->new_log;
    ls->logp = &cf->cycle->new_log;
}


void
ngx_trp_listener_accept(ngx_trp_listener_t *listener, ngx_connection_t *c)
{
    ngx_listening_t  *ls;

    ls = &listener->in.listening;

#if (NGX_HAVE_INET6)
    if (c->local_sockaddr->sa_family == AF_INET6) {
        ls = &listener->in6.listening;
    }
#endif

    c->listening = ls;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_accepted, 1);
    (void) ngx_atomic_fetch_add(ngx_stat_handled, 1);
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    ls->handler(c);
}


/* the next configuration may have other servers on the same sockets */

ngx_int_t
ngx_trp_listener_init_resets(ngx_cycle_t *cycle)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_trp_listener_reset_cleanup;
    cln->data = cycle;

    return NGX_OK;
}


static void
ngx_trp_listener_reset_cleanup(void *data)
{
    ngx_cycle_t *cycle = data;

    ngx_uint_t        i;
    ngx_listening_t  *ls;

    /* an exiting process leaves the sockets to others, which share them */

    if (ngx_quit || ngx_terminate
        || (ngx_process != NGX_PROCESS_MASTER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].remain && ls[i].type == SOCK_STREAM) {
            ngx_trp_listener_reset(&ls[i], 0);
        }
    }
}


/* accepted connections inherit the option */

static void
ngx_trp_listener_reset(ngx_listening_t *ls, int on)
{
    struct linger  linger;

    linger.l_onoff = on;
    linger.l_linger = 0;

    if (setsockopt(ls->fd, SOL_SOCKET, SO_LINGER, &linger,
                   sizeof(struct linger))
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_socket_errno,
                      "setsockopt(SO_LINGER) of %V failed", &ls->addr_text);
    }
}


void
ngx_trp_listener_start_resets(ngx_cycle_t *cycle,
    ngx_trp_listener_check_pt check)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].fd != (ngx_socket_t) -1
            && ls[i].type == SOCK_STREAM
            && ngx_trp_listener_all(&ls[i], check))
        {
            ngx_trp_listener_reset(&ls[i], 1);
        }
    }
}


ngx_uint_t
ngx_trp_listener_all(ngx_listening_t *ls, ngx_trp_listener_check_pt check)
{
    ngx_uint_t              i;
    ngx_stream_port_t      *port;
    ngx_stream_in_addr_t   *addr;
#if (NGX_HAVE_INET6)
    ngx_stream_in6_addr_t  *addr6;
#endif

    if (ls->handler != ngx_stream_init_connection) {
        return 0;
    }

    port = ls->servers;

#if (NGX_HAVE_INET6)

    if (ls->sockaddr->sa_family == AF_INET6) {
        addr6 = port->addrs;

        for (i = 0; i < port->naddrs; i++) {
            if (!ngx_trp_listener_server(&addr6[i].conf, check)) {
                return 0;
            }
        }

        return 1;
    }

#endif

    addr = port->addrs;

    for (i = 0; i < port->naddrs; i++) {
        if (!ngx_trp_listener_server(&addr[i].conf, check)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_trp_listener_server(ngx_stream_addr_conf_t *conf,
    ngx_trp_listener_check_pt check)
{
#if (nginx_version >= 1025005)
    return conf->virtual_names == NULL
           && check(conf->default_server->ctx->srv_conf);
#else
    return check(conf->ctx->srv_conf);
#endif
}


/*
 * All clients of a worker share the buffers of one socket.  The master may
 * exceed the system's limit for their size.
 */

void
ngx_trp_listener_buffers(ngx_listening_t *ls)
{
    int  size;

    size = NGX_TRP_LISTENER_BUFFER;

    if (ls->rcvbuf == -1
        && setsockopt(ls->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size))
           == -1)
    {
        (void) setsockopt(ls->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }

    if (ls->sndbuf == -1
        && setsockopt(ls->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size))
           == -1)
    {
        (void) setsockopt(ls->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}


char *
ngx_trp_listener_listen(ngx_conf_t *cf, ngx_str_t *args, ngx_uint_t nargs)
{
    char           *rv;
    ngx_str_t      *value;
    ngx_uint_t      i;
    ngx_array_t    *saved, listen;
    ngx_command_t  *cmd;

    if (ngx_array_init(&listen, cf->pool, nargs + 1, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = ngx_array_push_n(&listen, nargs + 1);

    ngx_str_set(&value[0], "listen");

    for (i = 0; i < nargs; i++) {
        value[i + 1] = args[i];
    }

    for (cmd = ngx_stream_core_module.commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, "listen") == 0) {
            break;
        }
    }

    if (cmd->name.len == 0) {
        return "found no \"listen\" in this version of nginx";
    }

    saved = cf->args;
    cf->args = &listen;

    rv = cmd->set(cf, cmd, ngx_stream_conf_get_module_srv_conf(cf,
                                                      ngx_stream_core_module));

    cf->args = saved;

    return rv;
}
