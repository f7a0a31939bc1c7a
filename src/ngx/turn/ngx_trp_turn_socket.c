
/*
 * Copyright (C) the trp authors
 */


/*
 * Sockets of a TURN server, and their addresses.
 */


#include "turn/ngx_trp_turn_socket.h"
#include "base/ngx_trp_addr.h"


void
ngx_trp_turn_taddr(trp_taddr_t *addr, struct sockaddr *sa)
{
    in_port_t  port;

    ngx_memzero(addr, sizeof(trp_taddr_t));

    ngx_trp_addr_from_sockaddr(&addr->addr, &port, sa);

    addr->port = port;
}


socklen_t
ngx_trp_turn_sockaddr(ngx_sockaddr_t *sa, const trp_taddr_t *addr)
{
    return ngx_trp_addr_to_sockaddr(sa, &addr->addr, addr->port);
}


ngx_trp_turn_text_t
ngx_trp_turn_text(const trp_taddr_t *addr)
{
    size_t               n;
    socklen_t            len;
    ngx_sockaddr_t       sa;
    ngx_trp_turn_text_t  text;

    len = ngx_trp_turn_sockaddr(&sa, addr);
    n = ngx_sock_ntop(&sa.sockaddr, len, text.data, NGX_SOCKADDR_STRLEN, 1);

    text.data[n] = '\0';

    return text;
}


socklen_t
ngx_trp_turn_wildcard(ngx_sockaddr_t *sa, ngx_uint_t v6, in_port_t port)
{
    trp_addr_t  any;

    ngx_memzero(&any, sizeof(trp_addr_t));
    any.family = v6 ? 6 : 4;

    return ngx_trp_addr_to_sockaddr(sa, &any, port);
}


ngx_socket_t
ngx_trp_turn_socket(int family, int type)
{
    int           one;
    ngx_socket_t  s;

    one = 1;

    s = socket(family, type|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (s != (ngx_socket_t) -1
        && family == AF_INET6
        && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == -1)
    {
        ngx_trp_turn_socket_failed(s);
        return (ngx_socket_t) -1;
    }

    return s;
}


void
ngx_trp_turn_socket_failed(ngx_socket_t s)
{
    ngx_err_t  err;

    err = ngx_socket_errno;

    (void) ngx_close_socket(s);

    ngx_set_socket_errno(err);
}


ngx_connection_t *
ngx_trp_turn_connection(ngx_trp_turn_worker_t *worker, ngx_socket_t s,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, worker->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        return NULL;
    }

    c->data = data;
    c->read->handler = handler;
    c->read->log = worker->log;
    c->write->log = worker->log;

    /* level-triggered, like nginx's own listening sockets */

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


void
ngx_trp_turn_close_connection(ngx_trp_turn_worker_t *worker,
    ngx_connection_t **c)
{
    if (*c) {
        ngx_trp_udp_batch_flush(&worker->batch);
        ngx_close_connection(*c);
        *c = NULL;
    }
}
