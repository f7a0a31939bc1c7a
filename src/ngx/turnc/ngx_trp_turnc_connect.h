
/*
 * Copyright (C) the trp authors
 */


/*
 * One TCP connection through a TURN server (RFC 6062): Connect on an
 * allocation's control connection, and at the same time a data connection,
 * which ConnectionBind joins to it.
 */


#ifndef _NGX_TRP_TURNC_CONNECT_H_INCLUDED_
#define _NGX_TRP_TURNC_CONNECT_H_INCLUDED_


#include "turnc/ngx_trp_turnc_server.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_turnc_connect_s  ngx_trp_turnc_connect_t;


/*
 * The result; never called from within one of the functions below.  "code" is a
 * trp_code_e; with TRP_CODE_NONE the data connection carries the peer's bytes,
 * and the caller must close it; otherwise there is none.
 */

typedef void (*ngx_trp_turnc_connect_pt)(ngx_trp_turnc_connect_t *tc,
    ngx_uint_t code);


struct ngx_trp_turnc_connect_s {
    ngx_trp_turnc_user_t     user;
    ngx_trp_turnc_server_t  *server;
    ngx_log_t               *log;
    ngx_pool_t              *pool;         /* of "tc" and TLS */

    /*
     * Set by the caller, as is the user's "peer".  drain(), which may be NULL,
     * is called if the worker begins to exit before the result.
     */
    ngx_trp_turnc_connect_pt  done;
    void                      (*drain)(ngx_trp_turnc_connect_t *tc);
    void                       *data;

    ngx_connection_t           *connection; /* for data */
    ngx_trp_dialer_t            dialer;
    ngx_trp_dialer_tls_t        tls;
    ngx_uint_t                  tries;
    ngx_msec_t                  start;
    ngx_msec_t                  asked;     /* Connect was sent */
    ngx_msec_t                  repeated;  /* when "refused" was set */
    ngx_event_t                 timer;
    ngx_event_t                 event;     /* calls done() */
    ngx_uint_t                  code;

    uint32_t                    id;        /* of the connection */
    u_char                      tid[TRP_STUN_ID_LEN];
    u_char                     *buf;       /* ConnectionBind, then the answer */
    size_t                      pos;
    size_t                      len;

    unsigned                    open:1;    /* data connection is open */
    unsigned                    connected:1; /* the peer is, "id" is valid */
    unsigned                    bound:1;   /* ConnectionBind is on its way */
    unsigned                    refused:1; /* 447, where it may mean 446 */
    unsigned                    server_failed:1;
    unsigned                    elsewhere:1; /* try another server */
    unsigned                    ended:1;
    unsigned                    abandoned:1; /* by the caller */
};


/* NULL without memory; the caller keeps the log */

ngx_trp_turnc_connect_t *ngx_trp_turnc_connect_create(
    ngx_trp_turnc_server_t *server, ngx_log_t *log);

/* begins to connect; done() will be called */

void ngx_trp_turnc_connect(ngx_trp_turnc_connect_t *tc);

/*
 * The caller no longer waits for the result, or the connection it was given is
 * over: the peer may be connected to again.  A caller that was given a
 * connection destroys the pool after closing it.  Otherwise "tc" must not be
 * used any more: the pool is destroyed now, or when the server has answered.
 */

void ngx_trp_turnc_disconnect(ngx_trp_turnc_connect_t *tc);

/* 1 if it is the server that is late, and not the peer */

ngx_uint_t ngx_trp_turnc_connect_server_late(ngx_trp_turnc_connect_t *tc);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_CONNECT_H_INCLUDED_ */
