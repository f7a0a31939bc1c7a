
/*
 * Copyright (C) the trp authors
 */


/* Links, from the moment that they are dialled until their tunnels start. */


#include "agent/ngx_trp_dial_link.h"
#include "agent/ngx_trp_dial_log.h"
#include "tunnel/ngx_trp_tunnel.h"


ngx_trp_link_t *
ngx_trp_dial_link_create(ngx_trp_pool_t *pool, const ngx_trp_way_t *way,
    ngx_connection_t *c, ngx_trp_transport_t *tr)
{
    ngx_pool_t          *mem;
    ngx_trp_link_t      *link;
    ngx_trp_dial_log_t  *dl;

    link = ngx_pcalloc(c->pool, sizeof(ngx_trp_link_t));
    dl = ngx_palloc(c->pool, sizeof(ngx_trp_dial_log_t));

    if (link == NULL || dl == NULL || tr == NULL) {
        goto failed;
    }

    ngx_trp_dial_log_init(dl, pool, way, "connecting to relay");
    dl->log.connection = c->number;

    c->log = &dl->log;
    c->pool->log = &dl->log;
    c->read->log = &dl->log;
    c->write->log = &dl->log;

    link->tunnel = ngx_trp_tunnel_create(tr, &pool->agent->tunnels,
                                         pool->dialled->tunnel,
                                         link, 0, pool->conf->heartbeat);
    if (link->tunnel == NULL) {
        c->log = pool->log;
        c->pool->log = pool->log;
        goto failed;
    }

    link->tunnel->state.opener = (pool->open == NULL);

    link->pool = pool;
    link->way = way;
    link->log = dl;
    link->dialing = 1;

    ngx_trp_tunnel_deadline(link->tunnel, pool->conf->connect_timeout,
                            "dialling");

    return link;

failed:

    if (tr) {
        tr->ops->close(tr, 1);
        return NULL;
    }

    mem = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(mem);

    return NULL;
}


void
ngx_trp_dial_link_start(ngx_trp_link_t *link)
{
    ngx_connection_t  *c;
    ngx_trp_tunnel_t  *t;

    t = link->tunnel;
    c = t->connection;

    c->data = t;
    c->log->action = NGX_TRP_DIAL_LOG_AUTH;

    if (ngx_trp_tunnel_start(t) != NGX_OK) {
        ngx_trp_tunnel_close(t);
        return;
    }

    if (ngx_exiting && !link->pool->nwaiting) {
        ngx_trp_tunnel_fail(t);
        return;
    }

    ngx_post_event(c->read, &ngx_posted_events);
}
