
/*
 * Copyright (C) the trp authors
 */


/*
 * The settings common to both kinds of agents: identity, how to reach the
 * relay, how many tunnels to keep; and an agent's state in a worker.
 */


#ifndef _NGX_TRP_AGENT_H_INCLUDED_
#define _NGX_TRP_AGENT_H_INCLUDED_


#include "agent/ngx_trp_way.h"
#include "agent/ngx_trp_web.h"
#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "names/ngx_trp_name.h"
#include "base/ngx_trp_capacity.h"
#include "base/ngx_trp_ssl.h"
#include "proxy/ngx_trp_proxy.h"
#include "status/ngx_trp_status.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "turnc/ngx_trp_turnc_conf.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_trp_conf_place_t  place;              /* of "trp_entry", … */

    ngx_uint_t            role;               /* TRP_ROLE_* */

    ngx_str_t             group;
    ngx_str_t             name;
    ngx_str_t             key;
    u_char               *secret;

    ngx_uint_t            weight;             /* of a reverse */
    ngx_flag_t            backup;
    ngx_array_t          *services;           /* trp_str_t, published ones */
    uint64_t              list;               /* of trp_publish_add(), or 0 */

    ngx_uint_t            idle;
    ngx_uint_t            max;

    ngx_msec_t            connect_timeout;
    ngx_msec_t            next_timeout;       /* of an entry */
    ngx_msec_t            heartbeat;

    ngx_trp_ssl_conf_t    ssl;
    ngx_trp_name_conf_t   names;              /* relays and TURN servers */
    ngx_array_t          *ways;               /* ngx_trp_way_t, to the relay */
    ngx_msec_t            ways_probe;         /* until the first probe, */
    ngx_msec_t            ways_hold;          /* which has to hold so long */
    ngx_flag_t            quic;
    ngx_trp_turnc_conf_t  turn;
    ngx_trp_proxy_conf_t  proxy;
    ngx_trp_web_conf_t    web;

    unsigned              max_set:1;
    unsigned              blind:1;            /* only a proxy needs to know
                                                 the addresses of relays */
} ngx_trp_agent_conf_t;


/* an agent as it works, in one worker */

typedef struct {
    const ngx_trp_agent_conf_t  *conf;

    ngx_trp_status_t     *status;
    ngx_trp_tunnels_t     tunnels;
    ngx_queue_t           hosts;              /* ngx_trp_relay_host_t */
    ngx_trp_capacity_t   *capacity;           /* of all agents of the role */
    ngx_uint_t            limit;              /* "max", or what fits */
    ngx_socket_t          fd;                 /* of ngx_trp_fake_shared() */

    ngx_trp_proxy_t      *proxy;              /* NULL: none */

    ngx_queue_t           turn_servers;       /* addresses used so far */
    ngx_trp_name_server_t  turn;

    ngx_trp_web_t        *web;                /* NULL: no WebSockets */

    /* of a reverse */
    ngx_queue_t           streams;            /* ngx_trp_stream_t */
    trp_recent_t          lost;               /* ids of accepted ones */
    ngx_uint_t            ndatagrams;         /* streams of UDP */
} ngx_trp_agent_worker_t;


/* the setters of both agents */

char *ngx_trp_agent_label(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_agent_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_agent_quic(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_trp_agent_set_ways(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

extern const ngx_conf_num_bounds_t  ngx_trp_agent_weight_bounds;


/* sets all members to UNSET; inherits them, and sets defaults */

void ngx_trp_agent_create_conf(ngx_trp_agent_conf_t *conf);
void ngx_trp_agent_merge_conf(ngx_conf_t *cf,
    const ngx_trp_agent_conf_t *prev, ngx_trp_agent_conf_t *conf);

/* loads the key, makes the TLS context; "prefix" is "trp_entry", … */

ngx_int_t ngx_trp_agent_init_conf(ngx_conf_t *cf, ngx_trp_agent_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_uint_t role, const char *prefix);

/* in a worker, before the tunnels are dialled; NULL: no memory */

ngx_trp_agent_worker_t *ngx_trp_agent_start(ngx_cycle_t *cycle,
    const ngx_trp_agent_conf_t *conf, ngx_trp_status_t *status,
    ngx_trp_capacity_t *capacity, const char *prefix);


#pragma GCC visibility pop


#endif /* _NGX_TRP_AGENT_H_INCLUDED_ */
