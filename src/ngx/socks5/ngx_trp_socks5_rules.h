
/*
 * Copyright (C) the trp authors
 */


/*
 * "trp_socks5_allow" and "trp_socks5_deny".
 */


#ifndef _NGX_TRP_SOCKS5_RULES_H_INCLUDED_
#define _NGX_TRP_SOCKS5_RULES_H_INCLUDED_


#include "socks5/ngx_trp_socks5_conf.h"


#pragma GCC visibility push(hidden)


/*
 * May the client go there?  NGX_OK, NGX_DECLINED, or for a name NGX_AGAIN: that
 * depends on its address.
 */

ngx_int_t ngx_trp_socks5_check_name(ngx_trp_socks5_conf_t *conf,
    trp_str_t name, in_port_t port);

/* the same for an address; "name" is what it was resolved from, or empty */

ngx_int_t ngx_trp_socks5_check_addr(ngx_trp_socks5_conf_t *conf,
    trp_str_t name, const trp_addr_t *addr, in_port_t port);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOCKS5_RULES_H_INCLUDED_ */
