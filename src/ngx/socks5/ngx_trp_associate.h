
/*
 * Copyright (C) the trp authors
 */


/*
 * SOCKS5's UDP ASSOCIATE (RFC 1928, section 7): a socket for the datagrams of
 * a client, which lives as long as the client's session.  Where they go the
 * path knows: streams of a tunnel, or a TURN client.
 */


#ifndef _NGX_TRP_ASSOCIATE_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_H_INCLUDED_


#include "socks5/ngx_trp_socks5.h"
#include "base/trp_hash.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_associate_s       ngx_trp_associate_t;
typedef struct ngx_trp_associate_dest_s  ngx_trp_associate_dest_t;


/* why datagrams were dropped, each of which is said once */

typedef enum {
    NGX_TRP_ASSOCIATE_FRAGMENT = 0,      /* RFC 1928 leaves it to us */
    NGX_TRP_ASSOCIATE_REFUSED,           /* the destination was */
    NGX_TRP_ASSOCIATE_LARGE,
    NGX_TRP_ASSOCIATE_FULL,
    NGX_TRP_ASSOCIATE_ANSWER             /* the client does not take it */
} ngx_trp_associate_drop_e;


/* what a path does with a destination */

typedef struct {

    /* of its structure, which begins with an ngx_trp_associate_dest_t */
    size_t                  size;

    /* all behind that is zeroed; NGX_ERROR: there is none */
    ngx_int_t             (*open)(ngx_trp_associate_dest_t *dest);

    /*
     * A datagram, also from inside of open(); if it is dropped, that is told
     * by ngx_trp_associate_dropped().
     */
    void                  (*send)(ngx_trp_associate_dest_t *dest, u_char *p,
                                  size_t len);

    /* not called for a destination that was refused */
    void                  (*close)(ngx_trp_associate_dest_t *dest);

    /*
     * It knows the addresses of names, and asks ngx_trp_socks5_check_addr()
     * about them.
     */
    ngx_uint_t              resolves;

} ngx_trp_associate_path_t;


struct ngx_trp_associate_dest_s {
    ngx_trp_associate_t    *associate;
    trp_hash_node_t         node;
    ngx_queue_t             queue;
    trp_socks5_addr_t       addr;        /* a name points into "key" */
    ngx_msec_t              used;
    unsigned                refused:1;
    size_t                  len;
    u_char                 *key;         /* the address as bytes */
};


/* a table of the destinations, and the one that was used last in front */

typedef struct {
    trp_hash_t              hash;
    ngx_queue_t             queue;
    ngx_event_t             timer;       /* of the one used first */
    trp_memory_t            memory;
    u_char                  key[TRP_HASH_KEY_LEN];
} ngx_trp_associate_dests_t;


struct ngx_trp_associate_s {
    ngx_trp_socks5_t                *socks;
    const ngx_trp_associate_path_t  *path;
    void                            *data;      /* of the path */
    ngx_trp_associate_dests_t        dests;

    ngx_connection_t                *client;    /* TCP */
    ngx_connection_t                *udp;       /* NULL: it is closed */
    ngx_connection_t                *holder;    /* of the proxy's session */

    ngx_sockaddr_t                   local;     /* of the socket */
    ngx_sockaddr_t                   sockaddr;  /* the client's, for UDP */
    socklen_t                        socklen;
    trp_taddr_t                      peer;      /* the same; port 0: unknown */

    ngx_msec_t                       woken;     /* the session, last */
    off_t                            received;  /* from the client */
    off_t                            sent;

    unsigned                         dropped:8;   /* ..._drop_e as bits */
    unsigned                         strange:1;   /* these were logged */
    unsigned                         malformed:1;
    unsigned                         denied:1;
    unsigned                         evicted:1;
    unsigned                         forbidden:1;
    unsigned                         failed:1;
    unsigned                         over:1;
    unsigned                         broken:1; /* the upstream is */
};


/*
 * Opens the socket, at the address where the client came in, and tells it the
 * client.  The proxy that asks an upstream for a connection gets one that
 * carries no bytes; what the client sends on it is dropped, and each datagram
 * in either direction holds off "proxy_timeout".  NULL is logged.
 */

ngx_trp_associate_t *ngx_trp_associate(ngx_trp_socks5_t *sk,
    const ngx_trp_associate_path_t *path, void *data, ngx_socket_t fd,
    ngx_peer_connection_t *pc);

/* a datagram for the client, from this address or name */

void ngx_trp_associate_received(ngx_trp_associate_dest_t *dest,
    const trp_socks5_addr_t *from, u_char *p, size_t len);

/* the path cannot go on: the session ends soon; "broken" says why */

void ngx_trp_associate_end(ngx_trp_associate_t *as);

/* a datagram of so many bytes was dropped */

void ngx_trp_associate_dropped(ngx_trp_associate_t *as,
    ngx_trp_associate_drop_e why, size_t len);

/* may be called more than once */

void ngx_trp_associate_close(ngx_trp_associate_t *as);


/*
 * A path has closed the destination: it is forgotten, or what goes there is
 * dropped for a while, so that it is not opened for each datagram.
 */

void ngx_trp_associate_forget(ngx_trp_associate_dest_t *dest);
void ngx_trp_associate_refuse(ngx_trp_associate_dest_t *dest);


/* the tunnel of this one goes to another destination */

void ngx_trp_associate_evict(ngx_trp_associate_dest_t *dest);


/* the table; "dests" of an association that has begun, or ends */

void ngx_trp_associate_dests_init(ngx_trp_associate_t *as);
void ngx_trp_associate_dests_send(ngx_trp_associate_t *as,
    trp_socks5_addr_t *to, u_char *p, size_t len);
void ngx_trp_associate_dests_used(ngx_trp_associate_dest_t *dest);

/* of those that are open, the one not used for the longest time, or NULL */

ngx_trp_associate_dest_t *ngx_trp_associate_dests_last(
    ngx_trp_associate_t *as);

void ngx_trp_associate_dests_close(ngx_trp_associate_t *as);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_H_INCLUDED_ */
