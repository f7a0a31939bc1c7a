
/*
 * Copyright (C) the trp authors
 */


/*
 * Converts addresses in both directions, and formats a host with a port.
 */


#include "base/ngx_trp_addr.h"
#include "base/trp_path.h"


void
ngx_trp_addr_from_sockaddr(trp_addr_t *addr, in_port_t *port,
    struct sockaddr *sa)
{
    ngx_memzero(addr, sizeof(trp_addr_t));
    *port = 0;

    switch (sa->sa_family) {

    case AF_INET:
        addr->family = 4;
        ngx_memcpy(addr->bytes, &((struct sockaddr_in *) sa)->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        addr->family = 6;
        ngx_memcpy(addr->bytes, &((struct sockaddr_in6 *) sa)->sin6_addr, 16);
        break;
#endif

    default:
        return;
    }

    *port = ngx_inet_get_port(sa);
}


socklen_t
ngx_trp_addr_to_sockaddr(ngx_sockaddr_t *sa, const trp_addr_t *addr,
    in_port_t port)
{
    ngx_memzero(sa, sizeof(ngx_sockaddr_t));

    switch (addr->family) {

    case 4:
        sa->sockaddr_in.sin_family = AF_INET;
        sa->sockaddr_in.sin_port = htons(port);
        ngx_memcpy(&sa->sockaddr_in.sin_addr, addr->bytes, 4);
        return sizeof(struct sockaddr_in);

#if (NGX_HAVE_INET6)
    case 6:
        sa->sockaddr_in6.sin6_family = AF_INET6;
        sa->sockaddr_in6.sin6_port = htons(port);
        ngx_memcpy(&sa->sockaddr_in6.sin6_addr, addr->bytes, 16);
        return sizeof(struct sockaddr_in6);
#endif

    default:
        sa->sockaddr.sa_family = AF_UNIX;
        return offsetof(struct sockaddr_un, sun_path);
    }
}


ngx_str_t
ngx_trp_host_port(ngx_pool_t *pool, ngx_str_t *host, in_port_t port)
{
    u_char     *p;
    ngx_str_t   text;
    trp_str_t   path;

    if (port == 0 && trp_path_get(ngx_trp_str(host), &path)) {

        /* a unix socket */
        return *host;
    }

    text.len = 0;
    text.data = ngx_pnalloc(pool, host->len + sizeof("[]:65535") - 1);

    if (text.data) {
        p = ngx_strlchr(host->data, host->data + host->len, ':');
        p = ngx_sprintf(text.data, p ? "[%V]:%ui" : "%V:%ui", host,
                        (ngx_uint_t) port);
        text.len = p - text.data;
    }

    return text;
}
