
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
    ngx_uint_t      i, n;
    ngx_trp_way_t  *way;

    way = agent->conf->ways->elts;

    n = 0;

    for (i = 0; i < agent->conf->ways->nelts; i++) {
        n += (way[i].turn && !way[i].proxy);
    }

    agent->turn.url = &agent->conf->turn.url;

    return n ? ngx_trp_name_server_start(&agent->turn, &agent->conf->names,
                                         "TURN server")
             : NGX_OK;
}


ngx_trp_turnc_server_t *
ngx_trp_turn_servers_next(ngx_trp_agent_worker_t *agent,
    ngx_uint_t behind_proxy)
{
    ngx_addr_t                  *addr, unknown;
    ngx_queue_t                 *q;
    struct sockaddr_in           sin;
    ngx_trp_proxy_t             *proxy;
    ngx_trp_turnc_server_t      *server;
    const ngx_trp_turnc_conf_t  *turn;

    turn = &agent->conf->turn;
    proxy = behind_proxy ? agent->proxy : NULL;

    if (proxy && turn->url.naddrs == 0) {

        /* only the port counts; no host has such an address */

        ngx_memzero(&sin, sizeof(struct sockaddr_in));

        sin.sin_family = AF_INET;
        sin.sin_port = htons(turn->url.port);

        unknown.sockaddr = (struct sockaddr *) &sin;
        unknown.socklen = sizeof(struct sockaddr_in);
        unknown.name = turn->url.url;

        addr = &unknown;

    } else {
        addr = ngx_trp_name_server_addr(&agent->turn);

        if (addr == NULL) {
            return NULL;
        }
    }

    for (q = ngx_queue_head(&agent->turn_servers);
         q != ngx_queue_sentinel(&agent->turn_servers);
         q = ngx_queue_next(q))
    {
        server = ngx_queue_data(q, ngx_trp_turnc_server_t, queue);

        if (server->proxy == proxy
            && ngx_cmp_sockaddr(server->sockaddr, server->socklen,
                                addr->sockaddr, addr->socklen, 1)
               == NGX_OK)
        {
            return server;
        }
    }

    server = ngx_trp_turnc_server_create(turn, addr->sockaddr,
                                         addr->socklen, &addr->name,
                                         &turn->url.host);
    if (server) {
        server->proxy = proxy;
        ngx_queue_insert_tail(&agent->turn_servers, &server->queue);
    }

    return server;
}
