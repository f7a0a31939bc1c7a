
/*
 * Copyright (C) the trp authors
 */


/*
 * Each destination of an association has a stream of UDP, which is opened with
 * the first datagram.
 */


#include "socks5/ngx_trp_associate_tunnel.h"
#include "base/ngx_trp_addr.h"
#include "agent/ngx_trp_datagram.h"


typedef struct {
    ngx_trp_associate_dest_t  dest;
    ngx_trp_datagram_t        datagram;
} ngx_trp_associate_stream_t;


static ngx_int_t ngx_trp_associate_stream_open(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_stream_over(ngx_trp_associate_t *as);
static void ngx_trp_associate_stream_send(ngx_trp_associate_dest_t *dest,
    u_char *p, size_t len);
static void ngx_trp_associate_stream_received(ngx_trp_datagram_t *dg,
    u_char *p, size_t len);
static void ngx_trp_associate_stream_closed(ngx_trp_datagram_t *dg,
    ngx_uint_t code);
static ngx_trp_associate_dest_t *ngx_trp_associate_stream_dest(
    ngx_trp_datagram_t *dg);
static void ngx_trp_associate_stream_close(ngx_trp_associate_dest_t *dest);


const ngx_trp_associate_path_t  ngx_trp_associate_tunnel = {
    sizeof(ngx_trp_associate_stream_t),
    ngx_trp_associate_stream_open,
    ngx_trp_associate_stream_send,
    ngx_trp_associate_stream_close,
    0
};


static ngx_int_t
ngx_trp_associate_stream_open(ngx_trp_associate_dest_t *dest)
{
    in_port_t                    port;
    trp_open_t                   open;
    ngx_trp_datagram_t          *dg;
    ngx_trp_associate_t         *as;
    ngx_trp_associate_tunnel_t  *tunnel;

    as = dest->associate;
    tunnel = as->data;
    dg = &((ngx_trp_associate_stream_t *) dest)->datagram;

    dg->relays = tunnel->relays;
    dg->near = tunnel->near;
    dg->group = tunnel->group;
    dg->timeout = tunnel->open_timeout;
    dg->log = as->client->log;
    dg->received = ngx_trp_associate_stream_received;
    dg->closed = ngx_trp_associate_stream_closed;

    ngx_memzero(&open, sizeof(trp_open_t));

    open.name = ngx_trp_str(&tunnel->name);
    open.addr = dest->addr.addr;
    open.host = dest->addr.host;
    open.port = dest->addr.port;

    open.user = as->peer.addr;
    open.user_port = as->peer.port;

    ngx_trp_addr_from_sockaddr(&open.local, &port, &as->local.sockaddr);
    open.local_port = port;

    tunnel->member.associate = as;

    if (ngx_trp_share_take(tunnel->share, &tunnel->member) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_datagram_open(dg, tunnel->fd, &open) != NGX_OK) {
        ngx_trp_associate_stream_over(as);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_associate_stream_over(ngx_trp_associate_t *as)
{
    ngx_trp_associate_tunnel_t  *tunnel;

    tunnel = as->data;

    ngx_trp_share_give(tunnel->share, &tunnel->member);
}


static void
ngx_trp_associate_stream_send(ngx_trp_associate_dest_t *dest, u_char *p,
    size_t len)
{
    ngx_trp_datagram_t  *dg;

    if (len > TRP_DATA_MAX) {
        ngx_trp_associate_dropped(dest->associate, NGX_TRP_ASSOCIATE_LARGE,
                                  len);
        return;
    }

    dg = &((ngx_trp_associate_stream_t *) dest)->datagram;

    if (ngx_trp_datagram_send(dg, p, len) != NGX_OK) {
        ngx_trp_associate_dropped(dest->associate, NGX_TRP_ASSOCIATE_FULL,
                                  len);
    }
}


static void
ngx_trp_associate_stream_received(ngx_trp_datagram_t *dg, u_char *p,
    size_t len)
{
    ngx_trp_associate_dest_t  *dest;

    dest = ngx_trp_associate_stream_dest(dg);

    ngx_trp_associate_received(dest, &dest->addr, p, len);
}


static void
ngx_trp_associate_stream_closed(ngx_trp_datagram_t *dg, ngx_uint_t code)
{
    ngx_trp_associate_dest_t  *dest;

    dest = ngx_trp_associate_stream_dest(dg);

    ngx_trp_associate_stream_over(dest->associate);

    if (code == TRP_CODE_NONE) {

        /* the next datagram opens it again */
        ngx_trp_associate_forget(dest);
        return;
    }

    ngx_trp_associate_refuse(dest);
}


static ngx_trp_associate_dest_t *
ngx_trp_associate_stream_dest(ngx_trp_datagram_t *dg)
{
    return (ngx_trp_associate_dest_t *)
           trp_of(ngx_trp_associate_stream_t, datagram, dg);
}


static void
ngx_trp_associate_stream_close(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_datagram_close(&((ngx_trp_associate_stream_t *) dest)->datagram);
    ngx_trp_associate_stream_over(dest->associate);
}
