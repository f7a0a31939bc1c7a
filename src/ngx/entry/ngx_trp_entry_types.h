
/*
 * Copyright (C) the trp authors
 */


/*
 * The entry: settings of an upstream {}, its state in a worker, and what each
 * user's session has.
 */


#ifndef _NGX_TRP_ENTRY_TYPES_H_INCLUDED_
#define _NGX_TRP_ENTRY_TYPES_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "agent/ngx_trp_relays.h"
#include "agent/ngx_trp_stream.h"
#include "base/ngx_trp_target.h"
#include "agent/ngx_trp_home.h"
#include "entry/ngx_trp_entry_udp.h"
#include "hub/ngx_trp_hub.h"
#include "entry/ngx_trp_route.h"
#include "socks5/ngx_trp_associate_share.h"
#include "stock/ngx_trp_balancer.h"
#include "stock/ngx_trp_flows.h"


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
    ngx_stream_complex_value_t   *group;      /* NULL: that of the agent */
    ngx_msec_t                    open_timeout;
    ngx_uint_t                    unavailable;
    ngx_uint_t                    limited;    /* a server has max_conns */
    ngx_uint_t                    groups_max; /* if they are on first use */
    ngx_msec_t                    groups_inactive;
    ngx_uint_t                    local;      /* the relay is this nginx */
    ngx_trp_hub_t                *hub;
    void                         *relay;      /* for the hub's functions */
    ngx_trp_balancer_conf_t       balancer;
} ngx_trp_entry_conf_t;


typedef struct ngx_trp_entry_s  ngx_trp_entry_t;


/* the tunnels of a group, in a worker; the second part: one on first use */

typedef struct {
    ngx_trp_entry_t              *entry;
    ngx_trp_relays_t              relays;
    ngx_trp_share_t               share;      /* of datagrams */

    ngx_str_node_t                node;       /* in entry->groups */
    ngx_queue_t                   queue;      /* in entry->closing */
    ngx_event_t                   event;      /* while it has no user */
    ngx_uint_t                    users;      /* sessions */
    ngx_msec_t                    used;       /* when the last one ended */
} ngx_trp_entry_pools_t;


/* of an upstream {}, in a worker */

struct ngx_trp_entry_s {
    const ngx_trp_entry_conf_t   *conf;
    ngx_socket_t                  fd;         /* of the process */
    ngx_stream_upstream_srv_conf_t  *upstream;
    ngx_trp_agent_worker_t       *agent;
    ngx_trp_near_t                near;       /* local: to other workers */

    ngx_trp_entry_pools_t         fixed;      /* if the group is */

    ngx_rbtree_t                  groups;     /* ngx_trp_entry_pools_t */
    ngx_rbtree_node_t             sentinel;
    ngx_uint_t                    ngroups;
    ngx_queue_t                   closing;    /* still have tunnels */
    unsigned                      full:1;     /* this has been logged */
};


/* of a session; the caller sets the first part */

typedef struct {
    ngx_stream_session_t         *session;
    ngx_trp_target_t             *target;
    ngx_trp_target_t              route;      /* of a user who came by one */
    ngx_trp_route_t              *by;         /* that route, or NULL */
    const ngx_trp_entry_proxy_t  *proxy;
    u_char                        id[TRP_STREAM_ID_LEN];
    const char                   *why;        /* it has no stream */
    ngx_str_t                     group;      /* empty until it is known */

    ngx_trp_entry_t              *entry;      /* NULL: not yet asked for one */
    ngx_trp_entry_pools_t        *pools;      /* of the group */
    ngx_trp_stream_t              stream;
    ngx_trp_pool_t               *pool;       /* of the relay chosen */
    ngx_trp_home_t               *home;       /* or this nginx is the relay */
    ngx_trp_associate_t          *associate;  /* NULL: a stream of TCP */
    ngx_uint_t                    code;       /* trp_code_e, without a stream */
    u_char                       *open;       /* the frame */
    size_t                        open_len;
    ngx_trp_balancer_t            balancer;
    ngx_uint_t                    tries;      /* relays that were tried */
    ngx_trp_entry_udp_session_t   udp;
    ngx_trp_flow_t                flow;       /* in the front's row */
} ngx_trp_entry_ctx_t;


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_TYPES_H_INCLUDED_ */
