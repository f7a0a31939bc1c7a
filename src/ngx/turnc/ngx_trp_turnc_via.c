
/*
 * Copyright (C) the trp authors
 */


/*
 * The way to a TURN server: to its address, or to that of a proxy, which gets
 * the server's name, or the address of another server after 300.
 */


#include "turnc/ngx_trp_turnc_via.h"
#include "base/ngx_trp_connect.h"


ngx_int_t
ngx_trp_turnc_via_connect(ngx_trp_turnc_server_t *server, ngx_connection_t **c,
    ngx_addr_t *addr, int type, ngx_log_t *log, ngx_addr_t **via)
{
    *via = NULL;

    if (server->proxy) {
        addr = ngx_trp_proxy_addr(server->proxy);

        if (addr == NULL) {
            ngx_log_error(NGX_LOG_ERR, log, 0,
                          "proxy \"%V\" has no address yet",
                          &server->proxy->conf->url.host);
            return NGX_DECLINED;
        }

        *via = addr;
    }

    return ngx_trp_connect(c, addr->sockaddr, addr->socklen, &addr->name, type,
                           log, NGX_ERROR_ERR);
}


ngx_int_t
ngx_trp_turnc_via_add(ngx_trp_turnc_server_t *server, ngx_trp_dialer_t *d,
    const ngx_addr_t *addr, const ngx_addr_t *via)
{
    u_char     text[NGX_SOCKADDR_STRLEN];
    ngx_str_t  host;

    if (via == NULL) {
        return NGX_OK;
    }

    host = server->host;

    if (ngx_cmp_sockaddr(server->sockaddr, server->socklen, addr->sockaddr,
                         addr->socklen, 1)
        != NGX_OK)
    {
        host.data = text;
        host.len = ngx_sock_ntop(addr->sockaddr, addr->socklen, text,
                                 NGX_SOCKADDR_STRLEN, 0);
    }

    return ngx_trp_proxy_add(server->proxy, d, via, &host,
                             ngx_inet_get_port(addr->sockaddr));
}
