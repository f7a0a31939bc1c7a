
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections to a TURN server, which may be behind a proxy.
 */


#ifndef _NGX_TRP_TURNC_VIA_H_INCLUDED_
#define _NGX_TRP_TURNC_VIA_H_INCLUDED_


#include "turnc/ngx_trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/*
 * As ngx_trp_connect() for this address of the server; if there is a proxy,
 * *via is its address, good until the next event, else NULL.
 */

ngx_int_t ngx_trp_turnc_via_connect(ngx_trp_turnc_server_t *server,
    ngx_connection_t **c, ngx_addr_t *addr, int type, ngx_log_t *log,
    ngx_addr_t **via);

/* the first steps of the dialer, whose connection has a pool */

ngx_int_t ngx_trp_turnc_via_add(ngx_trp_turnc_server_t *server,
    ngx_trp_dialer_t *d, const ngx_addr_t *addr, const ngx_addr_t *via);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_VIA_H_INCLUDED_ */
