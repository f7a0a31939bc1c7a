
/*
 * Copyright (C) the trp authors
 */


/*
 * Users of an upstream with "trp_entry": each has a stream on a tunnel to one
 * of its relays, chosen by the balancer of the upstream.
 */


#ifndef _NGX_TRP_ENTRY_H_INCLUDED_
#define _NGX_TRP_ENTRY_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "agent/ngx_trp_relays.h"
#include "agent/ngx_trp_stream.h"
#include "base/ngx_trp_target.h"
#include "socks5/ngx_trp_associate_share.h"
#include "stock/ngx_trp_balancer.h"


#pragma GCC visibility push(hidden)


/* what happens to users while there is no reverse to serve them */

#define NGX_TRP_ENTRY_WAIT   0
#define NGX_TRP_ENTRY_RESET  1


/* what the stock proxy would apply if a stream were not connected at once */

typedef struct {
    ngx_msec_t                    connect_timeout;  /* 0: by default */
    ngx_uint_t                    next;       /* may another relay be tried? */
    ngx_uint_t                    next_tries;
    ngx_msec_t                    next_timeout;
} ngx_trp_entry_proxy_t;


/* of an upstream {} */

typedef struct {
    ngx_trp_agent_conf_t          agent;
    ngx_msec_t                    open_timeout;
    ngx_uint_t                    unavailable;
    ngx_uint_t                    limited;    /* a server has max_conns */
    ngx_trp_balancer_conf_t       balancer;
} ngx_trp_entry_conf_t;


/* the same in a worker */

typedef struct {
    const ngx_trp_entry_conf_t   *conf;
    ngx_socket_t                  fd;         /* of the process */
    ngx_trp_relays_t              relays;
    ngx_trp_share_t               share;      /* of datagrams */
} ngx_trp_entry_t;


/* of a session; the caller sets the first part */

typedef struct {
    ngx_stream_session_t         *session;
    ngx_trp_target_t             *target;
    ngx_trp_target_t              route;      /* of a user who came by one */
    const ngx_trp_entry_proxy_t  *proxy;
    u_char                        id[TRP_STREAM_ID_LEN];
    const char                   *why;        /* it has no stream */

    ngx_trp_entry_t              *entry;      /* NULL: not yet asked for one */
    ngx_trp_stream_t              stream;
    ngx_trp_associate_t          *associate;  /* NULL: a stream of TCP */
    ngx_uint_t                    code;       /* trp_code_e, without a stream */
    u_char                       *open;       /* the frame */
    size_t                        open_len;
    ngx_trp_balancer_t            balancer;
    ngx_uint_t                    tries;      /* relays that were tried */
} ngx_trp_entry_ctx_t;


/* all pools begin to dial; "fd" is the process's; NULL without memory */

ngx_trp_entry_t *ngx_trp_entry_start(ngx_cycle_t *cycle,
    const ngx_trp_entry_conf_t *conf, ngx_stream_upstream_srv_conf_t *us,
    ngx_trp_capacity_t *capacity, ngx_socket_t fd);

/*
 * In "init_peer", after that of the balancer: what the proxy asks for from now
 * on is a stream.
 */

ngx_int_t ngx_trp_entry_begin(ngx_trp_entry_ctx_t *ctx,
    ngx_trp_entry_t *entry);

/* why there was no stream, or it ended: other modules may have decided it */

ngx_uint_t ngx_trp_entry_code(ngx_trp_entry_ctx_t *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_H_INCLUDED_ */
