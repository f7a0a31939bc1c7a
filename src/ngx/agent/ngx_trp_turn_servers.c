
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN servers of an agent: the name is kept resolved, and a server is made
 * when its address is first used.
 */


#include "agent/ngx_trp_turn_servers.h"


ngx_int_t
ngx_trp_turn_servers_start(ngx_trp_agent_worker_t *agent)
{
    ngx_trp_name_t              *name;
    const ngx_trp_turnc_conf_t  *turn;

    turn = &agent->conf->turn;

    if (!turn->enabled || turn->url.naddrs) {
        return NGX_OK;
    }

    name = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_name_t));
    if (name == NULL) {
        return NGX_ERROR;
    }

    name->conf = &agent->conf->names;
    name->what = "TURN server";
    name->host = turn->url.host;
    name->port = turn->url.port;

    agent->turn_name = name;

    ngx_trp_name_start(name);

    return NGX_OK;
}


ngx_trp_turnc_server_t *
ngx_trp_turn_servers_next(ngx_trp_agent_worker_t *agent)
{
    ngx_uint_t                   naddrs;
    ngx_addr_t                  *addr;
    ngx_queue_t                 *q;
    ngx_trp_name_t              *name;
    ngx_trp_turnc_server_t      *server;
    const ngx_trp_turnc_conf_t  *turn;

    name = agent->turn_name;
    turn = &agent->conf->turn;

    addr = name ? name->addrs : turn->url.addrs;
    naddrs = name ? name->naddrs : turn->url.naddrs;

    if (naddrs == 0) {
        return NULL;
    }

    addr += agent->turn_next++ % naddrs;

    for (q = ngx_queue_head(&agent->turn_servers);
         q != ngx_queue_sentinel(&agent->turn_servers);
         q = ngx_queue_next(q))
    {
        server = ngx_queue_data(q, ngx_trp_turnc_server_t, queue);

        if (ngx_cmp_sockaddr(server->sockaddr, server->socklen, addr->sockaddr,
                             addr->socklen, 1)
            == NGX_OK)
        {
            return server;
        }
    }

    server = ngx_trp_turnc_server_create(turn, addr->sockaddr,
                                         addr->socklen, &addr->name,
                                         &turn->url.host);
    if (server) {
        ngx_queue_insert_tail(&agent->turn_servers, &server->queue);
    }

    return server;
}
