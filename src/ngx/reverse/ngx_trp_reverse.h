
/*
 * Copyright (C) the trp authors
 */


/*
 * A reverse: the relay opens streams on its tunnels, and each one becomes a
 * session of its server {}, whose proxy connects to the destination.
 */


#ifndef _NGX_TRP_REVERSE_H_INCLUDED_
#define _NGX_TRP_REVERSE_H_INCLUDED_


#include "agent/ngx_trp_relays.h"
#include "agent/ngx_trp_stream.h"
#include "base/ngx_trp_capacity.h"
#include "names/ngx_trp_lookup.h"
#include "stock/ngx_trp_listener.h"
#include "stock/ngx_trp_flows.h"
#include "base/trp_acl.h"


#pragma GCC visibility push(hidden)


/* of a server {} */

typedef struct {
    ngx_trp_agent_conf_t             agent;
    ngx_array_t                     *allow;    /* trp_acl_rule_t */
    ngx_array_t                     *publish;  /* trp_publish_t */
    ngx_stream_complex_value_t      *map;      /* the destination, or NULL */

    ngx_str_t                        relay;    /* the upstream's name */
    ngx_stream_upstream_srv_conf_t  *upstream;
    ngx_trp_listener_t              *listener;
    ngx_stream_core_srv_conf_t      *core;
    ngx_stream_content_handler_pt    handler;  /* of the server, stock */
} ngx_trp_reverse_conf_t;


/* what all reverses of a worker share */

typedef struct {
    ngx_socket_t                     fd;       /* of ngx_trp_fake_socket() */
    ngx_trp_capacity_t               capacity;
    ngx_trp_status_t                *status;
    ngx_trp_flows_t                  flows;
    ngx_stream_upstream_srv_conf_t  *several;  /* of several addresses */
} ngx_trp_reverse_worker_t;


/* one reverse in a worker: pool->data */

typedef struct {
    const ngx_trp_reverse_conf_t    *conf;
    ngx_trp_reverse_worker_t        *worker;
    ngx_trp_status_entry_t           row;
    ngx_trp_relays_t                 relays;
} ngx_trp_reverse_t;


/* a session */

typedef struct {
    ngx_trp_stream_t                 stream;
    ngx_stream_session_t            *session;
    ngx_trp_reverse_worker_t        *worker;
    const ngx_trp_reverse_conf_t    *conf;
    ngx_trp_status_entry_t          *row;
    ngx_trp_flow_t                   flow;     /* in this row */

    trp_addr_t                       addr;
    ngx_str_t                        host;
    in_port_t                        port;
    ngx_str_t                        destination;
    ngx_array_t                      addrs;    /* of a name: allowed ones */

    ngx_trp_lookup_t                 lookup;
    ngx_event_notify_peer_pt         notify;   /* the balancer's */
    ngx_event_handler_pt             connect;  /* the proxy's */
    ngx_atomic_uint_t                armed;    /* number of a connection */
    ngx_log_t                        silent;
    ngx_uint_t                      *closed;   /* set to 1 when it closes */

    unsigned                         checked:1;
    unsigned                         resolving:1;
    unsigned                         resolved:1;
    unsigned                         named:1;  /* a rule allows the name */
    unsigned                         several:1; /* the proxy has all addrs */
    unsigned                         published:1;
} ngx_trp_reverse_ctx_t;


/* for the pools: see ngx_trp_pool_open_pt */

void ngx_trp_reverse_open(ngx_trp_link_t *link, trp_open_t *open);

/* NULL if the session is not that of a stream */

ngx_trp_reverse_ctx_t *ngx_trp_reverse_get_ctx(ngx_stream_session_t *s);

/* the session has begun, and ended */

void ngx_trp_reverse_begin(ngx_trp_reverse_ctx_t *ctx,
    ngx_stream_session_t *s);
void ngx_trp_reverse_end(ngx_trp_reverse_ctx_t *ctx);

/* trp_code_e: why a session ended before its destination answered */

ngx_uint_t ngx_trp_reverse_code(ngx_trp_reverse_ctx_t *ctx);

/* trp_code_e of an error of connect() */

ngx_uint_t ngx_trp_reverse_error_code(ngx_err_t err);


#pragma GCC visibility pop


#endif /* _NGX_TRP_REVERSE_H_INCLUDED_ */
