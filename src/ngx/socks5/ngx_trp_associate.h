
/*
 * Copyright (C) the trp authors
 */


/*
 * SOCKS5's UDP ASSOCIATE (RFC 1928, section 7): a socket for the datagrams of
 * a client, open as long as the client's session.  A path carries them: streams
 * of a tunnel, or a TURN client.
 */


#ifndef _NGX_TRP_ASSOCIATE_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_H_INCLUDED_


#include "socks5/ngx_trp_socks5.h"
#include "socks5/ngx_trp_associate_dests.h"


#pragma GCC visibility push(hidden)


/* why datagrams were dropped; each reason is logged once */

typedef enum {
    NGX_TRP_ASSOCIATE_FRAGMENT = 0,      /* RFC 1928: optional */
    NGX_TRP_ASSOCIATE_REFUSED,           /* destination was refused */
    NGX_TRP_ASSOCIATE_LARGE,
    NGX_TRP_ASSOCIATE_FULL,
    NGX_TRP_ASSOCIATE_ANSWER             /* could not go to the client */
} ngx_trp_associate_drop_e;


struct ngx_trp_associate_s {
    ngx_trp_socks5_t                *socks;
    void                            *data;      /* of the path */
    ngx_trp_associate_dests_t        dests;

    ngx_connection_t                *client;    /* TCP */
    ngx_connection_t                *udp;       /* NULL: it is closed */
    ngx_connection_t                *holder;    /* of the proxy's session */

    ngx_sockaddr_t                   local;     /* of the socket */
    ngx_sockaddr_t                   sockaddr;  /* the client's, for UDP */
    socklen_t                        socklen;
    trp_taddr_t                      peer;      /* the same; port 0: unknown */

    ngx_msec_t                       woken;     /* when the session was */
    off_t                            received;  /* from the client */
    off_t                            sent;

    unsigned                         dropped:8;   /* ..._drop_e as bits */
    unsigned                         strange:1;   /* have been logged: */
    unsigned                         malformed:1;
    unsigned                         denied:1;
    unsigned                         forbidden:1;
    unsigned                         failed:1;
    unsigned                         over:1;
    unsigned                         broken:1; /* the upstream's fault */
};


/*
 * For a target with "udp".  Opens the socket at the address that the client
 * connected to, and tells the client.  The proxy that asks an upstream for a
 * connection gets one that carries no bytes; what the client sends on it is
 * dropped, and each datagram in either direction holds off "proxy_timeout".
 * NULL is logged.
 */

ngx_trp_associate_t *ngx_trp_associate(ngx_trp_target_t *target,
    const ngx_trp_associate_path_t *path, void *data, ngx_socket_t fd,
    ngx_peer_connection_t *pc);

/* a datagram for the client, from this address or name */

void ngx_trp_associate_received(ngx_trp_associate_dest_t *dest,
    const trp_socks5_addr_t *from, u_char *p, size_t len);

/* the session ends soon; a path whose upstream has failed sets "broken" */

void ngx_trp_associate_end(ngx_trp_associate_t *as);

/* a datagram of "len" bytes was dropped */

void ngx_trp_associate_dropped(ngx_trp_associate_t *as,
    ngx_trp_associate_drop_e why, size_t len);

/* may be called more than once */

void ngx_trp_associate_close(ngx_trp_associate_t *as);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_H_INCLUDED_ */
