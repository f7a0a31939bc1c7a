
/*
 * Copyright (C) the trp authors
 */


/*
 * A session whose client speaks SOCKS5: the handshake, authentication and
 * access rules, and the reply, once the carrier knows the result.
 */


#ifndef _NGX_TRP_SOCKS5_H_INCLUDED_
#define _NGX_TRP_SOCKS5_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_target.h"
#include "socks5/ngx_trp_socks5_conf.h"
#include "socks5/ngx_trp_socks5_status.h"
#include "socks5/trp_socks5.h"


#pragma GCC visibility push(hidden)


typedef enum {
    NGX_TRP_SOCKS5_GREETING = 0,
    NGX_TRP_SOCKS5_USER,
    NGX_TRP_SOCKS5_REQUEST,
    NGX_TRP_SOCKS5_READY                 /* "command", target are known */
} ngx_trp_socks5_state_e;


/* lives in the pool of the client's connection */

typedef struct {
    ngx_stream_session_t     *session;
    ngx_trp_socks5_server_t  *server;
    ngx_trp_socks5_conf_t    *conf;
    ngx_trp_socks5_state_e    state;
    ngx_event_t               timer;     /* for the whole handshake */

    ngx_str_t                 user;      /* the authenticated user */
    ngx_trp_socks5_who_t     *who;       /* the same; NULL: there is none */
    ngx_trp_flow_t            flow;      /* from the request on */
    ngx_uint_t                command;   /* trp_socks5_command_e */

    ngx_trp_target_t          target;

    ngx_uint_t               *closed;    /* set when the session ends */

    unsigned                  requested:1;   /* the client expects a reply */
    unsigned                  told:1;        /* the reply was sent */
} ngx_trp_socks5_t;


/* NULL without memory */

ngx_trp_socks5_t *ngx_trp_socks5_create(ngx_stream_session_t *s,
    ngx_trp_socks5_server_t *server);

/*
 * In the preread phase.  NGX_DONE: waits for the client, and will run the
 * phases again.  NGX_OK: the request is complete; what the client has sent
 * after it is in the connection's buffer.  Otherwise the session's status.
 */

ngx_int_t ngx_trp_socks5_handshake(ngx_trp_socks5_t *sk);


/*
 * In the content phase: runs the server's own handler, whose upstream has to be
 * a carrier of targets.  Any other would connect clients to itself, whatever
 * destination they have asked for.
 */

void ngx_trp_socks5_proxy(ngx_trp_socks5_t *sk);


/* replies success; NGX_ERROR if the client's connection does not take it */

ngx_int_t ngx_trp_socks5_succeed(ngx_trp_target_t *target,
    struct sockaddr *bound);

/*
 * The session is over: a client that still expects a reply gets it.  The
 * connection ends with a reset if there should have been an answer.
 */

void ngx_trp_socks5_finish(ngx_trp_target_t *target);

/* in the log phase */

void ngx_trp_socks5_end(ngx_trp_socks5_t *sk);

/* a destination is denied, and a line says so, at this level */

void ngx_trp_socks5_count_denied(ngx_trp_socks5_t *sk);
void ngx_trp_socks5_log_denied(ngx_trp_socks5_t *sk, const char *what,
    ngx_str_t *host, in_port_t port);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOCKS5_H_INCLUDED_ */
