
/*
 * Copyright (C) the trp authors
 */


/*
 * A way for datagrams between this host and one address of a peer: a socket
 * of its own, or an allocation on a TURN server.  QUIC does not see which.
 *
 * Datagrams may be lost without a word.  A handler may close the path, except
 * received(), which is called in a loop: that may only post an event for it.
 */


#ifndef _NGX_TRP_UDP_PATH_H_INCLUDED_
#define _NGX_TRP_UDP_PATH_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_udp_path_s  ngx_trp_udp_path_t;


typedef struct {
    /*
     * Datagrams may be sent.  Called never from inside of the function that
     * made the path; and once more when the path has been replaced by another
     * one, after which "local" may be different.
     */
    void       (*ready)(ngx_trp_udp_path_t *path);

    /* one datagram; "ecn" as in the IP header, 0 if that is not known */
    void       (*received)(ngx_trp_udp_path_t *path, u_char *p, size_t len,
                           ngx_uint_t ecn);

    /* after NGX_AGAIN of send() */
    void       (*writable)(ngx_trp_udp_path_t *path);

    /* there is no path, or none any more, which is logged: close it */
    void       (*failed)(ngx_trp_udp_path_t *path);

    /* the worker begins to exit, or has to exit now: "now" is 1 */
    void       (*drain)(ngx_trp_udp_path_t *path, ngx_uint_t now);
} ngx_trp_udp_path_handlers_t;


typedef struct {
    /*
     * Sends datagrams of "segment" bytes each, the last of which may be
     * shorter, at most path->segments of them.  NGX_OK: sent or lost;
     * NGX_AGAIN: none was sent, writable() or ready() will be called.
     */
    ngx_int_t  (*send)(ngx_trp_udp_path_t *path, u_char *p, size_t len,
                       size_t segment);

    void       (*close)(ngx_trp_udp_path_t *path);
} ngx_trp_udp_path_ops_t;


struct ngx_trp_udp_path_s {
    const ngx_trp_udp_path_ops_t       *ops;
    const ngx_trp_udp_path_handlers_t  *handlers;   /* the owner's */
    void                               *data;

    ngx_sockaddr_t    local;        /* as the peer sees it, or as it can be
                                       known here; set before ready() */
    socklen_t         local_len;
    ngx_sockaddr_t    remote;       /* of the peer */
    socklen_t         remote_len;

    size_t            max;          /* bytes of a datagram that surely fit */
    ngx_uint_t        segments;     /* for each call of send() */
    ngx_log_t        *log;

    unsigned          ready:1;
};


#define ngx_trp_udp_path_send(path, p, len, segment)                          \
    (path)->ops->send(path, p, len, segment)

#define ngx_trp_udp_path_close(path)  (path)->ops->close(path)


#pragma GCC visibility pop


#endif /* _NGX_TRP_UDP_PATH_H_INCLUDED_ */
