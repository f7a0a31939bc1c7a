
/*
 * Copyright (C) the trp authors
 */


/*
 * Each destination of an association is a user of an allocation.  Its name is
 * resolved, it is attached to an allocation, and some datagrams wait for that.
 */


#include "socks5/ngx_trp_associate_turn.h"
#include "base/ngx_trp_addr.h"
#include "socks5/ngx_trp_socks5_rules.h"
#include "names/ngx_trp_lookup.h"
#include "turnc/ngx_trp_turnc_user.h"


/* bytes that may wait for an address and for an allocation */

#define NGX_TRP_ASSOCIATE_WAIT   16384

/* an allocation may be lost now and then, but not twice within this time */

#define NGX_TRP_ASSOCIATE_LOST   60000


typedef struct {
    ngx_trp_associate_dest_t  dest;
    ngx_trp_turnc_user_t      user;
    ngx_trp_lookup_t          lookup;
    ngx_uint_t                tries;
    ngx_msec_t                failed;      /* the last time */
    u_char                   *waiting;     /* datagrams with lengths */
    size_t                    waiting_len;
} ngx_trp_associate_peer_t;


static ngx_int_t ngx_trp_associate_peer_open(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_peer_resolve(ngx_trp_associate_peer_t *peer);
static void ngx_trp_associate_peer_resolve_handler(ngx_trp_lookup_t *lookup);
static ngx_int_t ngx_trp_associate_peer_choose(
    ngx_trp_associate_peer_t *peer);
static void ngx_trp_associate_peer_attach(ngx_trp_associate_peer_t *peer,
    ngx_int_t rc);
static void ngx_trp_associate_peer_ready(ngx_trp_turnc_user_t *user);
static void ngx_trp_associate_peer_failed(ngx_trp_turnc_user_t *user,
    ngx_trp_turnc_alloc_t *a, ngx_uint_t code);
static ngx_int_t ngx_trp_associate_peer_again(
    ngx_trp_associate_peer_t *peer);
static void ngx_trp_associate_peer_received(ngx_trp_turnc_user_t *user,
    u_char *p, size_t len);
static void ngx_trp_associate_peer_forbidden(ngx_trp_turnc_user_t *user,
    ngx_uint_t code);
static void ngx_trp_associate_peer_send(ngx_trp_associate_dest_t *dest,
    u_char *p, size_t len);
static void ngx_trp_associate_peer_keep(ngx_trp_associate_peer_t *peer,
    u_char *p, size_t len);
static void ngx_trp_associate_peer_refuse(ngx_trp_associate_peer_t *peer);
static void ngx_trp_associate_peer_close(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_peer_free(ngx_trp_associate_peer_t *peer);


static const ngx_trp_turnc_user_handlers_t  ngx_trp_associate_peer_handlers = {
    ngx_trp_associate_peer_ready,
    ngx_trp_associate_peer_failed,
    NULL,
    NULL,
    NULL,
    NULL,
    ngx_trp_associate_peer_received,
    ngx_trp_associate_peer_forbidden,
    NULL
};


const ngx_trp_associate_path_t  ngx_trp_associate_turn = {
    sizeof(ngx_trp_associate_peer_t),
    ngx_trp_associate_peer_open,
    ngx_trp_associate_peer_send,
    ngx_trp_associate_peer_close,
    1
};


/* a failure is a refusal, so that not each datagram tries again */

static ngx_int_t
ngx_trp_associate_peer_open(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_peer_t  *peer;

    peer = (ngx_trp_associate_peer_t *) dest;

    peer->user.handlers = &ngx_trp_associate_peer_handlers;
    peer->user.data = peer;
    peer->user.transport = TRP_PROTO_UDP;
    peer->user.peer.port = dest->addr.port;

    if (dest->addr.addr.family == 0) {
        ngx_trp_associate_peer_resolve(peer);
        return NGX_OK;
    }

    peer->user.peer.addr = dest->addr.addr;

    ngx_trp_associate_peer_attach(peer,
                     ngx_trp_turnc_user_attach(dest->associate->data,
                                               &peer->user));
    return NGX_OK;
}


static void
ngx_trp_associate_peer_resolve(ngx_trp_associate_peer_t *peer)
{
    ngx_trp_associate_t         *as;
    ngx_stream_core_srv_conf_t  *cscf;

    as = peer->dest.associate;

    cscf = ngx_stream_get_module_srv_conf(as->socks->session,
                                          ngx_stream_core_module);

    peer->lookup.resolver = cscf->resolver;
    peer->lookup.timeout = cscf->resolver_timeout;
    peer->lookup.name.len = peer->dest.addr.host.len;
    peer->lookup.name.data = (u_char *) peer->dest.addr.host.data;
    peer->lookup.handler = ngx_trp_associate_peer_resolve_handler;
    peer->lookup.data = peer;

    ngx_trp_lookup(&peer->lookup);
}


static void
ngx_trp_associate_peer_resolve_handler(ngx_trp_lookup_t *lookup)
{
    ngx_trp_associate_t       *as;
    ngx_trp_associate_peer_t  *peer;

    peer = lookup->data;
    as = peer->dest.associate;

    if (lookup->state != NGX_OK) {
        ngx_trp_lookup_log_error(lookup, as->client->log);
    }

    if (ngx_trp_associate_peer_choose(peer) != NGX_OK) {
        ngx_trp_associate_peer_refuse(peer);
        return;
    }

    ngx_trp_associate_peer_attach(peer,
                                  ngx_trp_turnc_user_attach(as->data,
                                                            &peer->user));
}


/* the first address that the client may go to */

static ngx_int_t
ngx_trp_associate_peer_choose(ngx_trp_associate_peer_t *peer)
{
    in_port_t             port;
    ngx_uint_t            i, n;
    trp_taddr_t          *to;
    ngx_trp_associate_t  *as;

    as = peer->dest.associate;
    to = &peer->user.peer;
    n = peer->lookup.naddrs;

    for (i = 0; i < 2 * n; i++) {
        ngx_trp_addr_from_sockaddr(&to->addr, &port,
                                   peer->lookup.addrs[i % n].sockaddr);

        /* first the addresses that the server is able to relay to */

        if (ngx_trp_turnc_server_lacks(as->data, to->addr.family) != (i >= n)) {
            continue;
        }

        if (ngx_trp_socks5_check_addr(as->socks->conf, peer->dest.addr.host,
                                      &to->addr, to->port)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* "rc" comes from attaching */

static void
ngx_trp_associate_peer_attach(ngx_trp_associate_peer_t *peer, ngx_int_t rc)
{
    ngx_trp_associate_t     *as;
    ngx_trp_turnc_server_t  *server;

    as = peer->dest.associate;
    server = as->data;

    if (peer->user.allocation) {
        ngx_log_debug2(NGX_LOG_DEBUG_STREAM, as->client->log, 0,
                       "trp socks5 destination, port %ui, has allocation *%uA",
                       (ngx_uint_t) peer->user.peer.port,
                       peer->user.allocation->connection->number);
    }

    switch (rc) {

    case NGX_OK:
        ngx_trp_associate_peer_ready(&peer->user);
        return;

    case NGX_AGAIN:
        return;

    case NGX_BUSY:
        ngx_log_error(NGX_LOG_ERR, as->client->log, 0,
                      "none of %ui allocations on TURN server %V is free for "
                      "this destination, there may be more with "
                      "\"trp_turn_client_allocations\"",
                      server->conf->allocations, &server->name);
        ngx_trp_turnc_user_detach(&peer->user);
        ngx_trp_associate_peer_refuse(peer);
        return;

    case NGX_DECLINED:
        ngx_trp_associate_peer_refuse(peer);

        /* the client may come again, and get another server */

        as->broken = 1;
        ngx_trp_associate_end(as);
        return;

    default: /* NGX_ERROR */
        ngx_trp_associate_peer_refuse(peer);
    }
}


static void
ngx_trp_associate_peer_ready(ngx_trp_turnc_user_t *user)
{
    u_char                    *p, *last;
    size_t                     len;
    ngx_trp_associate_peer_t  *peer;

    peer = user->data;

    if (peer->waiting == NULL) {
        return;
    }

    p = peer->waiting;
    last = p + peer->waiting_len;

    while (p < last) {
        ngx_memcpy(&len, p, sizeof(size_t));
        p += sizeof(size_t);

        (void) ngx_trp_turnc_user_send(user, p, len);
        p += len;
    }

    ngx_trp_associate_peer_free(peer);
}


/* the server has failed: the client may find another one if it retries */

static void
ngx_trp_associate_peer_failed(ngx_trp_turnc_user_t *user,
    ngx_trp_turnc_alloc_t *a, ngx_uint_t code)
{
    ngx_int_t                  rc;
    ngx_trp_associate_t       *as;
    ngx_trp_associate_peer_t  *peer;

    peer = user->data;
    as = peer->dest.associate;

    switch (code) {

    case 300:
        rc = ngx_trp_turnc_user_follow(a, user);
        break;

    case 440:
        if (peer->dest.addr.addr.family == 0 && peer->tries++ == 0) {

            /* the name may have an address of the other family */

            ngx_trp_associate_peer_resolve(peer);
            return;
        }

        /* fall through */

    case 443:
    case 486:
    case 508:
        if (code != 440 && !ngx_trp_turnc_server_serves(as->data,
                                                        TRP_PROTO_UDP))
        {
            rc = NGX_DECLINED;
            break;
        }

        /* the server still serves other destinations */

        ngx_trp_associate_peer_refuse(peer);
        return;

    case 0:
    case 437:
        rc = ngx_trp_associate_peer_again(peer);
        break;

    default:

        /* if it was ready, it could not be refreshed */

        rc = a->ready ? ngx_trp_associate_peer_again(peer) : NGX_DECLINED;
    }

    ngx_trp_associate_peer_attach(peer, rc);
}


static ngx_int_t
ngx_trp_associate_peer_again(ngx_trp_associate_peer_t *peer)
{
    if (peer->tries
        && ngx_current_msec - peer->failed < NGX_TRP_ASSOCIATE_LOST)
    {
        return NGX_DECLINED;
    }

    peer->tries = 1;
    peer->failed = ngx_current_msec;

    return ngx_trp_turnc_user_attach(peer->dest.associate->data, &peer->user);
}


static void
ngx_trp_associate_peer_received(ngx_trp_turnc_user_t *user, u_char *p,
    size_t len)
{
    trp_socks5_addr_t          from;
    ngx_trp_associate_peer_t  *peer;

    peer = user->data;
    peer->tries = 0;

    ngx_memzero(&from, sizeof(trp_socks5_addr_t));

    from.addr = user->peer.addr;
    from.port = user->peer.port;

    ngx_trp_associate_received(&peer->dest, &from, p, len);
}


static void
ngx_trp_associate_peer_forbidden(ngx_trp_turnc_user_t *user, ngx_uint_t code)
{
    u_char                     text[TRP_ADDR_TEXT_LEN];
    ngx_trp_associate_t       *as;
    ngx_trp_associate_peer_t  *peer;

    peer = user->data;
    as = peer->dest.associate;

    if (!as->forbidden) {
        as->forbidden = 1;
        ngx_log_error(NGX_LOG_ERR, as->client->log, 0,
                      "TURN server %V does not send datagrams to %*s, "
                      "port %ui: %ui (%s)", &user->allocation->name,
                      trp_addr_text(text, &user->peer.addr), text,
                      (ngx_uint_t) user->peer.port, code,
                      ngx_trp_turnc_text(code));
    }

    ngx_trp_turnc_user_detach(user);
    ngx_trp_associate_peer_refuse(peer);
}


static void
ngx_trp_associate_peer_send(ngx_trp_associate_dest_t *dest, u_char *p,
    size_t len)
{
    ngx_trp_associate_peer_t  *peer;

    peer = (ngx_trp_associate_peer_t *) dest;

    if (dest->refused) {
        ngx_trp_associate_dropped(dest->associate, NGX_TRP_ASSOCIATE_REFUSED,
                                  len);
        return;
    }

    if (peer->user.allocation && peer->user.allocation->ready) {

        if (ngx_trp_turnc_user_send(&peer->user, p, len) == TRP_AGAIN) {
            ngx_trp_associate_dropped(dest->associate, NGX_TRP_ASSOCIATE_FULL,
                                      len);
        }

        return;
    }

    ngx_trp_associate_peer_keep(peer, p, len);
}


static void
ngx_trp_associate_peer_keep(ngx_trp_associate_peer_t *peer, u_char *p,
    size_t len)
{
    u_char  *to;

    if (peer->waiting == NULL) {
        peer->waiting = ngx_alloc(NGX_TRP_ASSOCIATE_WAIT,
                                  peer->dest.associate->client->log);
        if (peer->waiting == NULL) {
            return;
        }
    }

    if (NGX_TRP_ASSOCIATE_WAIT - peer->waiting_len < sizeof(size_t) + len) {
        ngx_trp_associate_dropped(peer->dest.associate, NGX_TRP_ASSOCIATE_FULL,
                                  len);
        return;
    }

    to = peer->waiting + peer->waiting_len;

    to = ngx_cpymem(to, &len, sizeof(size_t));
    ngx_memcpy(to, p, len);

    peer->waiting_len += sizeof(size_t) + len;
}


static void
ngx_trp_associate_peer_refuse(ngx_trp_associate_peer_t *peer)
{
    ngx_trp_associate_peer_free(peer);
    ngx_trp_associate_refuse(&peer->dest);
}


static void
ngx_trp_associate_peer_close(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_peer_t  *peer;

    peer = (ngx_trp_associate_peer_t *) dest;

    ngx_trp_lookup_cancel(&peer->lookup);

    ngx_trp_turnc_user_detach(&peer->user);
    ngx_trp_associate_peer_free(peer);
}


static void
ngx_trp_associate_peer_free(ngx_trp_associate_peer_t *peer)
{
    if (peer->waiting) {
        ngx_free(peer->waiting);
        peer->waiting = NULL;
        peer->waiting_len = 0;
    }
}
