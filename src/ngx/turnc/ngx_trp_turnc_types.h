
/*
 * Copyright (C) the trp authors
 */


/*
 * The types of the TURN client in nginx.  Its files, each of which uses only
 * those above it:
 *
 *     ngx_trp_turnc_conf.c     the directives
 *     ngx_trp_turnc_via.c      connections to a server
 *     ngx_trp_turnc_user.c     users of one allocation, and their peers
 *     ngx_trp_turnc_alloc.c    an allocation and its connection to the server
 *     ngx_trp_turnc_server.c   a server: which allocation a user gets
 *     ngx_trp_turnc_connect.c  a TCP connection through a server
 */


#ifndef _NGX_TRP_TURNC_TYPES_H_INCLUDED_
#define _NGX_TRP_TURNC_TYPES_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_dialer.h"
#include "base/ngx_trp_out.h"
#include "base/trp_hash.h"
#include "proxy/ngx_trp_proxy.h"
#include "turnc/trp_turnc.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_turnc_alloc_s  ngx_trp_turnc_alloc_t;
typedef struct ngx_trp_turnc_user_s   ngx_trp_turnc_user_t;


typedef struct {
    ngx_trp_conf_place_t  place;
    ngx_uint_t            enabled;
    ngx_uint_t            off;           /* "off" was written */
    ngx_uint_t            hasty;         /* see trp_turnc_types.h */
    ngx_uint_t            transport;     /* trp_transport_e */

    ngx_str_t             name;
    ngx_str_t             password;
    ngx_str_t             secret;

    ngx_uint_t            allocations;
    ngx_msec_t            connect_timeout;
    ngx_trp_ssl_conf_t    ssl;

    /* an agent's server; an upstream has its own "server" directives */
    ngx_url_t             url;
} ngx_trp_turnc_conf_t;


/* one address of a server; lives as long as the cycle */

typedef struct {
    ngx_queue_t            queue;        /* for the owner */
    const ngx_trp_turnc_conf_t  *conf;
    struct sockaddr       *sockaddr;
    socklen_t              socklen;
    ngx_str_t              name;         /* the address as text */
    ngx_str_t              host;         /* for TLS */
    ngx_trp_proxy_t       *proxy;        /* in front of it, or NULL */

    ngx_queue_t            allocations;
    ngx_queue_t            waiting;       /* ngx_trp_turnc_user_t */
    ngx_event_t            event;         /* a user has left */
    ngx_ssl_session_t     *session;
    trp_memory_t           memory;
    u_char                 key[TRP_HASH_KEY_LEN];
    time_t                 lacks4;       /* when it said 440, or 0 */
    time_t                 lacks6;
    ngx_log_t             *log;
} ngx_trp_turnc_server_t;


/*
 * ready(): the allocation is ready.  failed(): there is none, or no longer; the
 * user is detached, and may attach again.  Codes are those of STUN, and
 * TRP_TURNC_*.
 */

typedef struct {
    void   (*ready)(ngx_trp_turnc_user_t *user);
    void   (*failed)(ngx_trp_turnc_user_t *user, ngx_trp_turnc_alloc_t *a,
                     ngx_uint_t code);

    /* after NGX_BUSY: a user has left, attaching may succeed now; or NULL */
    void   (*retry)(ngx_trp_turnc_user_t *user);

    /* the worker begins to exit: the user should detach; may be NULL */
    void   (*drain)(ngx_trp_turnc_user_t *user);

    /* TCP */
    void   (*connected)(ngx_trp_turnc_user_t *user, uint32_t id);
    void   (*refused)(ngx_trp_turnc_user_t *user, ngx_uint_t code);

    /* UDP */
    void   (*received)(ngx_trp_turnc_user_t *user, u_char *p, size_t len);
    void   (*forbidden)(ngx_trp_turnc_user_t *user, ngx_uint_t code);

    /* after NGX_AGAIN of ngx_trp_turnc_user_send_many(); may be NULL */
    void   (*writable)(ngx_trp_turnc_user_t *user);
} ngx_trp_turnc_user_handlers_t;


/* the caller sets the first part, with a port and without spare bytes */

struct ngx_trp_turnc_user_s {
    const ngx_trp_turnc_user_handlers_t  *handlers;
    void                                 *data;
    trp_taddr_t                           peer;
    ngx_uint_t                            transport;  /* trp_proto_e */

    ngx_trp_turnc_alloc_t                *allocation;  /* NULL: none */
    trp_hash_node_t                       node;
    ngx_queue_t                           queue;
    unsigned                              connecting:1;
    unsigned                              waiting:1;  /* for a user to leave */
    unsigned                              connected:1;  /* was it ever? */
    unsigned                              renew:1;  /* an unused allocation
                                                       may be given up */
};


/* a peer that an allocation was connected to, and when that ended */

typedef struct {
    trp_taddr_t             peer;
    ngx_msec_t              time;
} ngx_trp_turnc_past_t;


#define NGX_TRP_TURNC_PAST   32


/* peers that an allocation should not be asked to connect to for now */

typedef struct {
    trp_taddr_t              blocked;    /* the last one refused */
    ngx_msec_t               blocked_time;
    ngx_trp_turnc_past_t     past[NGX_TRP_TURNC_PAST];
    ngx_uint_t               npast;      /* how many so far */
} ngx_trp_turnc_history_t;


/* bytes of a stream, until a message is complete */

typedef struct {
    u_char                  *data;
    size_t                   len;
    size_t                   size;
} ngx_trp_turnc_in_t;


/* UDP to the server */

typedef struct {
    ngx_uint_t               no_gso;     /* the kernel cannot do it */
    unsigned                 used:1;
    unsigned                 blocked:1;  /* the socket's buffer is full */
} ngx_trp_turnc_udp_t;


struct ngx_trp_turnc_alloc_s {
    ngx_queue_t              queue;      /* in server->allocations */
    ngx_trp_turnc_server_t  *server;
    ngx_uint_t               transport;  /* trp_proto_e */
    ngx_uint_t               family;     /* of the peers: 4, 6 */

    ngx_sockaddr_t           sockaddr;   /* after 300, of another server */
    socklen_t                socklen;
    ngx_str_t                name;
    ngx_uint_t               hops;

    ngx_connection_t        *connection;
    ngx_trp_dialer_t         dialer;
    ngx_trp_dialer_tls_t     tls;
    trp_turnc_t             *client;
    ngx_queue_t              users;      /* ngx_trp_turnc_user_t */
    ngx_uint_t               nusers;
    ngx_uint_t               nconnecting;
    trp_hash_t               peers;      /* the users, by peer */
    ngx_log_t                log;

    ngx_event_t              timer;      /* of the client, "deadline" */
    ngx_event_t              idle;
    ngx_event_t              event;      /* destroys it */

    ngx_trp_turnc_in_t       in;
    ngx_trp_out_t            out;        /* what the socket did not take */

    time_t                   start;
    ngx_msec_t               deadline;   /* until it is ready */

    ngx_trp_turnc_history_t  history;

    ngx_trp_turnc_udp_t      udp;

    unsigned                 ready:1;
    unsigned                 broken:1;   /* it is about to fail */
    unsigned                 failed:1;
    unsigned                 exiting:1;
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURNC_TYPES_H_INCLUDED_ */
