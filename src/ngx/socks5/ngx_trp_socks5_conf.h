
/*
 * Copyright (C) the trp authors
 */


/*
 * The configuration of a server {} with "trp_socks5".
 */


#ifndef _NGX_TRP_SOCKS5_CONF_H_INCLUDED_
#define _NGX_TRP_SOCKS5_CONF_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "stock/ngx_trp_limit_conn.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_str_t              name;
    ngx_str_t              password;     /* zero-terminated */
    unsigned               hashed:1;     /* as in "auth_basic_user_file" */
} ngx_trp_socks5_user_t;


typedef struct {
    ngx_trp_conf_place_t           place;  /* of "trp_socks5" */

    ngx_uint_t                     enabled;
    ngx_uint_t                     public;
    ngx_uint_t                     listens;
    ngx_str_t                      listen;     /* the first one */
    ngx_uint_t                     number;     /* of the server */

    ngx_array_t                   *users;  /* ngx_trp_socks5_user_t */
    ngx_array_t                   *allow;  /* trp_acl_rule_t */
    ngx_array_t                   *deny;

    ngx_flag_t                     udp;
    ngx_msec_t                     udp_timeout;
    trp_addr_t                     udp_addr4;  /* told to clients; family 0: */
    trp_addr_t                     udp_addr6;  /* the one they connected to */
    in_port_t                      udp_first;  /* 0: the system chooses */
    in_port_t                      udp_last;

    ngx_stream_content_handler_pt  handler;   /* of the server, stock */
    ngx_trp_limit_conn_t           limits;     /* by user, by destination */
} ngx_trp_socks5_conf_t;


void ngx_trp_socks5_create_conf(ngx_trp_socks5_conf_t *conf);
void ngx_trp_socks5_merge_conf(ngx_trp_socks5_conf_t *prev,
    ngx_trp_socks5_conf_t *conf);

/* setters; the offset is that of the ngx_trp_socks5_conf_t */

char *ngx_trp_socks5_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_socks5_set_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_socks5_set_user_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_socks5_set_rules(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_socks5_set_udp_address(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_socks5_set_udp_ports(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* NGX_ERROR, logged: one of the server's sockets cannot be used */

ngx_int_t ngx_trp_socks5_check_listen(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, ngx_trp_conf_listen_t *listen);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOCKS5_CONF_H_INCLUDED_ */
