
/*
 * Copyright (C) the trp authors
 */


/*
 * A proxy as one worker sees it, and the steps of a dialer through it.
 */


#ifndef _NGX_TRP_PROXY_H_INCLUDED_
#define _NGX_TRP_PROXY_H_INCLUDED_


#include "base/ngx_trp_dialer.h"
#include "names/ngx_trp_name.h"
#include "proxy/ngx_trp_proxy_conf.h"


#pragma GCC visibility push(hidden)


/* lives as long as the cycle */

typedef struct {
    const ngx_trp_proxy_conf_t  *conf;
    ngx_trp_name_server_t  server;
    ngx_ssl_session_t    *session;
    trp_challenge_t       challenge;      /* that was answered last */
} ngx_trp_proxy_t;


/* in a worker; starts to resolve the proxy's name.  NULL: no memory */

ngx_trp_proxy_t *ngx_trp_proxy_create(const ngx_trp_proxy_conf_t *conf,
    const ngx_trp_name_conf_t *names);

/*
 * Where to connect() to; addresses of a name take turns.  NULL: there is none
 * yet, which is logged where names are resolved.  Good until the next event.
 */

ngx_addr_t *ngx_trp_proxy_addr(ngx_trp_proxy_t *proxy);

/*
 * Adds steps to a dialer whose connection goes to this address, before those
 * of the peer: the proxy is asked for a connection to "host", a name or an
 * address without brackets, and "port".  The connection must have a pool.
 */

ngx_int_t ngx_trp_proxy_add(ngx_trp_proxy_t *proxy, ngx_trp_dialer_t *d,
    const ngx_addr_t *addr, const ngx_str_t *host, in_port_t port);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PROXY_H_INCLUDED_ */
