
/*
 * Copyright (C) the trp authors
 */


/*
 * nginx calls load balancing methods through function pointers, first those of
 * an upstream {}, then those of a session.  They are saved and replaced here,
 * and the originals are called from ours.
 */


#include "stock/ngx_trp_balancer.h"


void
ngx_trp_balancer_set(ngx_trp_balancer_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_stream_upstream_init_pt init)
{
    conf->init_upstream = us->peer.init_upstream
                          ? us->peer.init_upstream
                          : ngx_stream_upstream_init_round_robin;

    us->peer.init_upstream = init;
}


ngx_int_t
ngx_trp_balancer_check(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us,
    ngx_stream_upstream_init_pt init, const char *directive)
{
    if (us->peer.init_upstream == init) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" must come after the load balancing method of "
                  "upstream \"%V\" in %s:%ui",
                  directive, &us->host, us->file_name, us->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_trp_balancer_init(ngx_trp_balancer_conf_t *conf, ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us,
    ngx_stream_upstream_init_peer_pt init_peer)
{
    if (conf->init_upstream(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    conf->init_peer = us->peer.init;
    us->peer.init = init_peer;

    return NGX_OK;
}


void
ngx_trp_balancer_wrap(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    void *data, ngx_event_get_peer_pt get_peer,
    ngx_event_free_peer_pt free_peer, ngx_event_notify_peer_pt notify_peer)
{
    b->data = pc->data;
    b->get = pc->get;
    b->free = pc->free;
    b->notify = pc->notify;

    pc->data = data;
    pc->get = get_peer;
    pc->free = free_peer;
    pc->notify = notify_peer;
}


ngx_int_t
ngx_trp_balancer_get(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc)
{
    ngx_int_t  rc;

    rc = b->get(pc, b->data);

    if (rc == NGX_OK) {
        b->none = 0;
    }

    return rc;
}


void
ngx_trp_balancer_free(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    ngx_uint_t state)
{
    if (!b->none) {
        b->free(pc, b->data, state);
    }

    b->none = 0;
}


void
ngx_trp_balancer_notify(ngx_trp_balancer_t *b, ngx_peer_connection_t *pc,
    ngx_uint_t type)
{
    if (b->notify && !b->none) {
        b->notify(pc, b->data, type);
    }
}
