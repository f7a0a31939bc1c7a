
/*
 * Copyright (C) the trp authors
 */


/*
 * A pool, its links, and the table of functions by which dialling calls the
 * pool.
 *
 * A pool lives in the memory given to it, as a rule that of the cycle; a link
 * lives in the pool of its tunnel's connection.
 */


#ifndef _NGX_TRP_POOL_TYPES_H_INCLUDED_
#define _NGX_TRP_POOL_TYPES_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "agent/ngx_trp_gate.h"
#include "base/ngx_trp_dialer.h"
#include "hub/ngx_trp_source.h"
#include "status/ngx_trp_status.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/trp_ways.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_pool_s  ngx_trp_pool_t;
typedef struct ngx_trp_link_s  ngx_trp_link_t;


/* the result of dialling a tunnel: it works, or it does not */

typedef struct {
    const ngx_trp_tunnel_handlers_t  *tunnel;   /* of the links */

    /* READY came; or MOVED came, and the tunnel is closed after it */
    void                   (*ready)(ngx_trp_link_t *link,
                                    trp_ready_t *ready);
    void                   (*moved)(ngx_trp_link_t *link, ngx_uint_t slot);

    /* dialling has failed before there was a link */
    void                   (*failed)(ngx_trp_pool_t *pool,
                                     const ngx_trp_way_t *way);

} ngx_trp_dial_handlers_t;


/*
 * The relay opens a stream on a tunnel of this reverse.  The callee handles
 * errors itself: it tells the relay with REFUSE.
 */

typedef void (*ngx_trp_pool_open_pt)(ngx_trp_link_t *link, trp_open_t *open);


/* what a pool has for each of its ways */

typedef struct {
    ngx_trp_gate_t        *gate;          /* of the relay's address */
    ngx_str_t              error;         /* the last one, in "buf" */
    u_char                 buf[96];
} ngx_trp_pool_way_t;


/* of a pool with several ways */

typedef struct {
    trp_ways_t             core;
    ngx_event_t            event;
    ngx_trp_way_t         *probes;        /* the ways, with "probe" set */
    ngx_trp_link_t        *probe;         /* NULL: not there yet, or none */
    time_t                 since;         /* pool->way is used */
    unsigned               probing:1;     /* dialled, or there */
    unsigned               dropped:1;     /* and of no use */
} ngx_trp_pool_choice_t;


/* what is known about dialling, and its state */

typedef struct {
    ngx_int_t              slot;          /* hint for the relay, or -1 */
    ngx_uint_t             moved;         /* MOVED since the last READY */
    ngx_uint_t             failures;      /* rounds of dialling, in a row */
    ngx_uint_t             wasted;        /* tunnels of no use, in a row */
    ngx_msec_t             wasted_last;   /* when the last one was lost */

    ngx_trp_gate_wait_t    turn;          /* its place at the way's gate */

    ngx_ssl_session_t     *session;       /* to be resumed */
    ngx_ssl_session_t     *web;           /* with the web server */
} ngx_trp_pool_dials_t;


/* see ngx_trp_dial_quic.h */

typedef struct ngx_trp_dial_quic_s  ngx_trp_dial_quic_t;

typedef struct {
    ngx_queue_t            connections;   /* ngx_trp_dial_quic_t */
    ngx_ssl_session_t     *session;
} ngx_trp_pool_quic_t;


/* what the relay says of the services that a reverse publishes */

typedef struct {
    u_char                *codes;         /* trp_code_e of each; NULL: none */
    unsigned               unknown:1;     /* the relay is too old */
} ngx_trp_pool_services_t;


/* what an operator sees of it */

typedef struct {
    ngx_trp_status_entry_t  entry;
    ngx_atomic_t           counters[NGX_TRP_STATUS_COUNTERS];  /* without row */
    u_char                 text[128];     /* that was logged last, */
    size_t                 len;
    void                  *kept;          /* of this attempt, or NULL */
    unsigned               opened:1;
} ngx_trp_pool_view_t;


/* so many fields, because all of them are needed to dial and size one pool */

struct ngx_trp_pool_s {
    ngx_trp_source_t                source;   /* its name: the address */
    ngx_trp_agent_worker_t         *agent;
    const ngx_trp_agent_conf_t     *conf;     /* of the agent */
    const ngx_trp_way_t            *way;      /* to be dialled by */
    ngx_trp_pool_way_t             *ways;     /* by way->index */
    ngx_trp_pool_choice_t          *choice;   /* NULL: there is one way */
    const ngx_trp_dial_handlers_t  *dialled;

    ngx_trp_pool_open_pt   open;          /* NULL: an entry's pool */
    void                  *data;          /* the module's */
    void                  *owner;         /* the name it belongs to, or NULL */
    ngx_pool_t            *mem;           /* of the pool itself */

    struct sockaddr       *sockaddr;
    socklen_t              socklen;
    ngx_str_t              server;        /* in the configuration, and port */
    ngx_str_t              host;          /* name for TLS: SNI, certificate */

    ngx_queue_t            idle;          /* ngx_trp_link_t */
    ngx_queue_t            waiting;       /* ngx_trp_holder_t */
    ngx_uint_t             nidle;
    ngx_uint_t             nwaiting;
    ngx_uint_t             ndialing;
    ngx_uint_t             total;         /* tunnels in any state */
    ngx_uint_t             nvain;         /* tunnels to no reverse */
    ngx_uint_t             nvain_idle;    /* those of them that are idle */
    ngx_uint_t             nsuspect;
    ngx_uint_t             nformer;       /* idle, by another way */

    ngx_uint_t             peak;          /* busy at once, lately */
    ngx_uint_t             recent;        /* the same since the last look */

    ngx_trp_pool_dials_t   dials;
    ngx_trp_pool_quic_t    quic;
    ngx_trp_pool_services_t  services;
    ngx_trp_pool_view_t    view;

    ngx_event_t            event;         /* refill: posted, or after a wait */
    ngx_event_t            shrink;

    ngx_log_t             *log;

    unsigned               unknown:1;     /* it has no address yet */
    unsigned               backup:1;
    unsigned               resolved:1;    /* by nginx, at run time */
    unsigned               found:1;       /* at the last look */
    unsigned               retired:1;     /* no longer used */
    unsigned               cramped:1;     /* the timer waits for room only */
    unsigned               silent:1;      /* the relay does not answer */
};


struct ngx_trp_link_s {
    ngx_queue_t            queue;         /* in pool->idle */
    ngx_trp_pool_t        *pool;
    const ngx_trp_way_t   *way;           /* it was dialled by */
    ngx_trp_dial_quic_t   *quic;          /* it is a stream of; or NULL */
    ngx_trp_tunnel_t      *tunnel;
    ngx_trp_dialer_t       dialer;        /* until there is TLS */
    ngx_trp_dialer_tls_t   tls;           /* its last step */
    void                  *web;           /* of ngx_trp_web_add(), or NULL */
    void                  *log;           /* ngx_trp_dial_log_t */
    ngx_msec_t             ready;         /* when it was authenticated */
    unsigned               idle:1;
    unsigned               vain:1;        /* the relay has no reverse for it */
    unsigned               dialing:1;
    unsigned               worked:1;      /* its loss is no failure */
    unsigned               publishes:1;   /* the relay knows PUBLISH */
    unsigned               suspect:1;     /* to be idle when PONG comes */
    unsigned               unsafe:1;      /* logged: its stream has to wait */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_TYPES_H_INCLUDED_ */
