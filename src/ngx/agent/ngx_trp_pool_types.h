
/*
 * Copyright (C) the trp authors
 */


/*
 * A pool, its links, and the tables of functions between a pool and the holders
 * of its links, and between dialling and the pool.
 *
 * A pool lives as long as the cycle; a link lives in the pool of its tunnel's
 * connection.
 */


#ifndef _NGX_TRP_POOL_TYPES_H_INCLUDED_
#define _NGX_TRP_POOL_TYPES_H_INCLUDED_


#include "agent/ngx_trp_agent.h"
#include "agent/ngx_trp_gate.h"
#include "base/ngx_trp_dialer.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_pool_s    ngx_trp_pool_t;
typedef struct ngx_trp_link_s    ngx_trp_link_t;
typedef struct ngx_trp_holder_s  ngx_trp_holder_t;


/*
 * What has a link, or waits for one, as the pool sees it: link->holder, which
 * the holder itself sets and clears.  None of this closes the tunnel.
 */

typedef struct {

    /* it has waited: this link is its own now */
    void                   (*attach)(ngx_trp_holder_t *holder,
                                     ngx_trp_link_t *link);

    /* it waits no more: the relay is not there, another one may be */
    void                   (*reopen)(ngx_trp_holder_t *holder);

    /*
     * The tunnel has bytes.  NGX_OK: it has read on its own, not after what
     * else happens in this turn of the event loop, and may be gone.  NGX_AGAIN:
     * the next frame may be read.  NGX_DECLINED: the same, but it takes no DATA
     * now.
     */
    ngx_int_t              (*readable)(ngx_trp_holder_t *holder);

    /* the tunnel takes output again */
    void                   (*writable)(ngx_trp_holder_t *holder);

    /* NGX_OK, or NGX_DONE if the far end's direction has ended with it */
    ngx_int_t              (*frame)(ngx_trp_holder_t *holder,
                                    trp_frame_t *frame);

    /* this worker begins to exit */
    void                   (*drain)(ngx_trp_holder_t *holder);

    /* the tunnel has carried both ends, and is needed elsewhere */
    void                   (*detach)(ngx_trp_holder_t *holder);

    /* the tunnel is about to be closed */
    void                   (*lost)(ngx_trp_holder_t *holder);

} ngx_trp_holder_ops_t;


struct ngx_trp_holder_s {
    const ngx_trp_holder_ops_t  *ops;
    ngx_queue_t                  queue;   /* in pool->waiting */
};


/* what a tunnel that is dialled comes to: it works, or not */

typedef struct {
    const ngx_trp_tunnel_handlers_t  *tunnel;   /* of the links */

    /* READY came; MOVED came, and the tunnel is closed after it */
    void                   (*ready)(ngx_trp_link_t *link, ngx_uint_t slot,
                                    ngx_uint_t wanted);
    void                   (*moved)(ngx_trp_link_t *link, ngx_uint_t slot);

    /* there is not even a link */
    void                   (*failed)(ngx_trp_pool_t *pool);

} ngx_trp_dial_handlers_t;


/*
 * The relay opens a stream on a tunnel of this reverse.  It is on its own
 * from here: an error is told to the relay with REFUSE.
 */

typedef void (*ngx_trp_pool_open_pt)(ngx_trp_link_t *link, trp_open_t *open);


/* what is known of dialling, and where it stands */

typedef struct {
    ngx_int_t              slot;          /* hint for the relay, or -1 */
    ngx_uint_t             moved;         /* MOVED since the last READY */
    ngx_uint_t             failures;      /* rounds of dialling, in a row */
    ngx_uint_t             wasted;        /* tunnels of no use, in a row */
    ngx_msec_t             wasted_last;   /* when the last one was lost */

    ngx_trp_gate_t        *gate;          /* of the relay's address */
    ngx_trp_gate_wait_t    turn;          /* before it */

    ngx_ssl_session_t     *session;       /* to be resumed */
} ngx_trp_pool_dials_t;


struct ngx_trp_pool_s {
    ngx_trp_agent_worker_t         *agent;
    const ngx_trp_agent_conf_t     *conf;     /* of it */
    const ngx_trp_dial_handlers_t  *dialled;

    ngx_trp_pool_open_pt   open;          /* NULL: an entry's pool */
    void                  *data;          /* of the module */
    void                  *owner;         /* the name that it is of, or NULL */

    struct sockaddr       *sockaddr;
    socklen_t              socklen;
    ngx_str_t              name;          /* the address as text */
    ngx_str_t              host;          /* name for TLS: SNI, certificate */

    ngx_queue_t            idle;          /* ngx_trp_link_t */
    ngx_queue_t            waiting;       /* ngx_trp_holder_t */
    ngx_uint_t             nidle;
    ngx_uint_t             nwaiting;
    ngx_uint_t             ndialing;
    ngx_uint_t             total;         /* tunnels in any state */
    ngx_uint_t             nvain;         /* tunnels to no reverse */
    ngx_uint_t             nvain_idle;    /* and idle ones of them */

    ngx_uint_t             peak;          /* busy at once, lately */
    ngx_uint_t             recent;        /* the same since the last look */

    ngx_trp_pool_dials_t   dials;

    ngx_event_t            event;         /* refill, posted or after a wait */
    ngx_event_t            shrink;

    ngx_log_t             *log;

    unsigned               unknown:1;     /* what its address is */
    unsigned               backup:1;
    unsigned               resolved:1;    /* by nginx, at run time */
    unsigned               found:1;       /* when that was last looked at */
    unsigned               retired:1;     /* no longer a relay of ours */
    unsigned               cramped:1;     /* the timer waits for room only */
};


struct ngx_trp_link_s {
    ngx_queue_t            queue;         /* in pool->idle */
    ngx_trp_pool_t        *pool;
    ngx_trp_tunnel_t      *tunnel;
    ngx_trp_dialer_t       dialer;        /* until there is TLS */
    ngx_trp_holder_t      *holder;        /* reads and writes it now */
    ngx_msec_t             ready;         /* when it was authenticated */
    unsigned               idle:1;
    unsigned               vain:1;        /* the relay has no reverse for it */
    unsigned               dialing:1;
    unsigned               worked:1;      /* its loss is no failure */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_TYPES_H_INCLUDED_ */
