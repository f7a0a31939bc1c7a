
/*
 * SOCKS5's UDP ASSOCIATE (RFC 1928, section 7): a socket for the datagrams of
 * a client, which lives as long as the client's session.  Where they go the
 * path knows: streams of a tunnel, or a TURN client.
 */


#ifndef _NGX_TRP_ASSOCIATE_H_INCLUDED_
#define _NGX_TRP_ASSOCIATE_H_INCLUDED_


#include "ngx_trp_socks5.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_associate_s  ngx_trp_associate_t;


typedef struct {

    /*
     * A datagram of the client, for a destination that he may use; it may be
     * dropped.  A name points into memory that does not last.
     */
    void                  (*send)(ngx_trp_associate_t *as,
                                  trp_socks5_addr_t *to, u_char *p,
                                  size_t len);

    /* the association ends */
    void                  (*close)(ngx_trp_associate_t *as);

    /*
     * It knows the addresses of names, and asks ngx_trp_socks5_check_addr()
     * about them.
     */
    ngx_uint_t              resolves;

} ngx_trp_associate_path_t;


/* zeroed by the caller, but for socks, path and data */

struct ngx_trp_associate_s {
    ngx_trp_socks5_t                *socks;
    const ngx_trp_associate_path_t  *path;
    void                            *data;      /* of the path */

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

    unsigned                         malformed:1; /* these were logged */
    unsigned                         denied:1;
    unsigned                         failed:1;
    unsigned                         over:1;
};


/*
 * Opens the socket, at the address where the client came in.  "asked" is what
 * the client has announced.  NGX_ERROR is logged.
 */

ngx_int_t ngx_trp_associate_open(ngx_trp_associate_t *as,
    const trp_taddr_t *asked);

/*
 * A connection for the proxy that asks an upstream for one: it carries no
 * bytes, and what the client sends on it is dropped.  Each datagram in either
 * direction holds off "proxy_timeout".  NGX_DONE, or NGX_ERROR, logged.
 */

ngx_int_t ngx_trp_associate_peer(ngx_trp_associate_t *as, ngx_socket_t fd,
    ngx_peer_connection_t *pc);

/* a datagram for the client, from this address or name */

void ngx_trp_associate_received(ngx_trp_associate_t *as,
    const trp_socks5_addr_t *from, u_char *p, size_t len);

/* the path cannot go on: the session ends soon */

void ngx_trp_associate_end(ngx_trp_associate_t *as);

/* may be called more than once */

void ngx_trp_associate_close(ngx_trp_associate_t *as);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ASSOCIATE_H_INCLUDED_ */
