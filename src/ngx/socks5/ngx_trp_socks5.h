
/*
 * Copyright (C) the trp authors
 */


/*
 * A session whose client speaks SOCKS5: the handshake, who may come and where
 * he may go, and the reply, once whoever carries the connection knows it.
 */


#ifndef _NGX_TRP_SOCKS5_H_INCLUDED_
#define _NGX_TRP_SOCKS5_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_target.h"
#include "stock/ngx_trp_limit_conn.h"
#include "socks5/trp_socks5.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_trp_conf_place_t           place;  /* of "trp_socks5" */

    ngx_uint_t                     enabled;
    ngx_uint_t                     public;
    ngx_uint_t                     listens;

    ngx_array_t                   *users;  /* ngx_trp_socks5_user_t */
    ngx_array_t                   *allow;  /* trp_acl_rule_t */
    ngx_array_t                   *deny;

    ngx_flag_t                     udp;
    ngx_msec_t                     udp_timeout;
    trp_addr_t                     udp_addr4;  /* told to clients, family 0: */
    trp_addr_t                     udp_addr6;  /* where they came in */
    in_port_t                      udp_first;  /* 0: the system chooses */
    in_port_t                      udp_last;

    ngx_stream_content_handler_pt  handler;   /* of the server, stock */
    ngx_trp_limit_conn_t           limits;     /* by who, and where to */
} ngx_trp_socks5_conf_t;


typedef enum {
    NGX_TRP_SOCKS5_GREETING = 0,
    NGX_TRP_SOCKS5_USER,
    NGX_TRP_SOCKS5_REQUEST,
    NGX_TRP_SOCKS5_READY                 /* "command" and where to are known */
} ngx_trp_socks5_state_e;


/* lives in the pool of the client's connection */

typedef struct {
    ngx_stream_session_t   *session;
    ngx_trp_socks5_conf_t  *conf;
    ngx_trp_socks5_state_e  state;
    ngx_event_t             timer;       /* for the whole handshake */

    ngx_str_t               user;        /* who has authenticated */
    ngx_uint_t              command;     /* trp_socks5_command_e */

    ngx_trp_target_t        target;

    ngx_uint_t             *closed;      /* told when the session ends */

    unsigned                requested:1; /* the client expects a reply */
    unsigned                told:1;      /* why there will be nothing more */
} ngx_trp_socks5_t;


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

/* NGX_ERROR if one of the server's sockets is not fit for it, logged */

ngx_int_t ngx_trp_socks5_check_listen(ngx_conf_t *cf,
    ngx_trp_socks5_conf_t *conf, ngx_trp_conf_listen_t *listen);


/* NULL without memory */

ngx_trp_socks5_t *ngx_trp_socks5_create(ngx_stream_session_t *s,
    ngx_trp_socks5_conf_t *conf);

/*
 * The preread phase.  NGX_DONE: waits for the client, and runs the phases
 * again.  NGX_OK: the request is there, what the client has sent
 * behind it is in the connection's buffer.  Otherwise the session's status.
 */

ngx_int_t ngx_trp_socks5_handshake(ngx_trp_socks5_t *sk);


/*
 * In the content phase: the server's own handler, whose upstream has to be a
 * carrier of targets.  Any other would connect clients to itself, wherever
 * they want to go.
 */

void ngx_trp_socks5_proxy(ngx_trp_socks5_t *sk);


/*
 * May the client go there?  NGX_OK, NGX_DECLINED, or for a name NGX_AGAIN:
 * that depends on its address.
 */

ngx_int_t ngx_trp_socks5_check_name(ngx_trp_socks5_conf_t *conf,
    trp_str_t name, in_port_t port);

/* the same for an address, which may be that of a name, or "name" is empty */

ngx_int_t ngx_trp_socks5_check_addr(ngx_trp_socks5_conf_t *conf,
    trp_str_t name, const trp_addr_t *addr, in_port_t port);


/* success; NGX_ERROR if the client's connection does not take it */

ngx_int_t ngx_trp_socks5_succeed(ngx_trp_target_t *target,
    struct sockaddr *bound);

/*
 * The session is over: if the client still expects a reply, here it is.  The
 * connection ends with a reset where there should have been an answer.
 */

void ngx_trp_socks5_finish(ngx_trp_target_t *target);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOCKS5_H_INCLUDED_ */
