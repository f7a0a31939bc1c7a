
/*
 * Copyright (C) the trp authors
 */


/*
 * The PROXY protocol header, as a message to another worker.  Nginx begins a
 * session with waiting for a header if the socket is not known to be readable;
 * there the session is made to go on instead.
 */


#include "stock/ngx_trp_proxied.h"


static ngx_uint_t ngx_trp_proxied_is(ngx_connection_t *c);
static ngx_proxy_protocol_t *ngx_trp_proxied_copy(ngx_trp_proxied_t *proxied,
    ngx_pool_t *pool, u_char *p);


ngx_uint_t
ngx_trp_proxied_get(ngx_trp_proxied_t *proxied, ngx_connection_t *c,
    struct iovec *iov)
{
    ngx_uint_t             i;
    ngx_proxy_protocol_t  *pp;

    ngx_memzero(proxied, sizeof(ngx_trp_proxied_t));

    proxied->header = (uint16_t) ngx_trp_proxied_is(c);

    pp = c->proxy_protocol;

    if (pp == NULL) {
        return 0;
    }

    proxied->src_port = pp->src_port;
    proxied->dst_port = pp->dst_port;

    ngx_memzero(iov, NGX_TRP_PROXIED_IOVS * sizeof(struct iovec));

    iov[0].iov_base = pp->src_addr.data;
    iov[0].iov_len = pp->src_addr.len;
    iov[1].iov_base = pp->dst_addr.data;
    iov[1].iov_len = pp->dst_addr.len;

#if (nginx_version >= 1023002)
    iov[2].iov_base = pp->tlvs.data;
    iov[2].iov_len = pp->tlvs.len;
#endif

    for (i = 0; i < NGX_TRP_PROXIED_IOVS; i++) {
        proxied->lens[i] = (uint16_t) iov[i].iov_len;
    }

    return NGX_TRP_PROXIED_IOVS;
}


/* a header of "UNKNOWN" or "LOCAL" leaves no addresses; see also nginx's
 * ngx_stream_init_connection() */

static ngx_uint_t
ngx_trp_proxied_is(ngx_connection_t *c)
{
    ngx_uint_t             i;
    struct sockaddr       *sa;
    ngx_stream_port_t     *port;
    ngx_stream_in_addr_t  *addr;
#if (NGX_HAVE_INET6)
    ngx_stream_in6_addr_t  *addr6;
#endif

    port = c->listening->servers;
    sa = c->local_sockaddr;

    /* the last address is the wildcard, or the only one */

#if (NGX_HAVE_INET6)

    if (sa->sa_family == AF_INET6) {
        addr6 = port->addrs;

        for (i = 0; i < port->naddrs - 1; i++) {
            if (ngx_memcmp(&addr6[i].addr6,
                           &((struct sockaddr_in6 *) sa)->sin6_addr, 16)
                == 0)
            {
                break;
            }
        }

        return addr6[i].conf.proxy_protocol;
    }

#endif

    addr = port->addrs;

    for (i = 0; i < port->naddrs - 1; i++) {
        if (addr[i].addr == ((struct sockaddr_in *) sa)->sin_addr.s_addr) {
            break;
        }
    }

    return addr[i].conf.proxy_protocol;
}


ngx_int_t
ngx_trp_proxied_sockaddr(ngx_connection_t *c, ngx_sockaddr_t *sockaddr,
    socklen_t *socklen)
{
    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

    if (c->proxy_protocol == NULL) {
        *socklen = ngx_min(c->socklen, sizeof(ngx_sockaddr_t));
        ngx_memcpy(sockaddr, c->sockaddr, *socklen);

        return NGX_OK;
    }

    *socklen = sizeof(ngx_sockaddr_t);

    if (getpeername(c->fd, &sockaddr->sockaddr, socklen) == -1) {
        ngx_log_error(NGX_LOG_INFO, c->log, ngx_socket_errno,
                      "getpeername() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_proxied_start(ngx_trp_proxied_t *proxied, ngx_connection_t *c,
    u_char *p, size_t size)
{
    ngx_uint_t             i;
    ngx_event_t           *rev;
    ngx_proxy_protocol_t  *pp;

    for (i = 0; i < NGX_TRP_PROXIED_IOVS; i++) {

        if (proxied->lens[i] > size) {
            return NGX_ERROR;
        }

        size -= proxied->lens[i];
    }

    if (size || (!proxied->header && proxied->lens[0])) {
        return NGX_ERROR;
    }

    if (proxied->header
        && ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!proxied->header || !ngx_trp_proxied_is(c)) {

        /* a reload may have taken the parameter away meanwhile */

        c->listening->handler(c);
        return NGX_OK;
    }

    pp = NULL;

    if (proxied->lens[0]) {
        pp = ngx_trp_proxied_copy(proxied, c->pool, p);
        if (pp == NULL) {
            return NGX_ERROR;
        }
    }

    rev = c->read;
    rev->ready = 0;

    c->listening->handler(c);

    if (c->fd == (ngx_socket_t) -1) {

        /* it was closed: there was no memory for a session */
        return NGX_OK;
    }

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    c->proxy_protocol = pp;
    c->log->action = "initializing session";

    rev->ready = 1;
    rev->handler = ngx_stream_session_handler;

    rev->handler(rev);

    return NGX_OK;
}


static ngx_proxy_protocol_t *
ngx_trp_proxied_copy(ngx_trp_proxied_t *proxied, ngx_pool_t *pool, u_char *p)
{
    size_t                 len;
    u_char                *data;
    ngx_proxy_protocol_t  *pp;

    len = proxied->lens[0] + proxied->lens[1] + proxied->lens[2];

    pp = ngx_pcalloc(pool, sizeof(ngx_proxy_protocol_t));
    data = ngx_pnalloc(pool, len);

    if (pp == NULL || data == NULL) {
        return NULL;
    }

    ngx_memcpy(data, p, len);

    pp->src_port = proxied->src_port;
    pp->dst_port = proxied->dst_port;

    pp->src_addr.data = data;
    pp->src_addr.len = proxied->lens[0];
    pp->dst_addr.data = data + proxied->lens[0];
    pp->dst_addr.len = proxied->lens[1];

#if (nginx_version >= 1023002)
    pp->tlvs.data = pp->dst_addr.data + proxied->lens[1];
    pp->tlvs.len = proxied->lens[2];
#endif

    return pp;
}
