
/*
 * Copyright (C) the trp authors
 */


/*
 * An agent's tunnels to one address of a relay, in one worker: a number of
 * idle ones is kept ready, more are dialled on demand and given up again
 * when they are not needed.
 *
 * A pool lives as long as the cycle; a link lives in the pool of its
 * tunnel's connection.
 */


#ifndef _NGX_TRP_POOL_H_INCLUDED_
#define _NGX_TRP_POOL_H_INCLUDED_


#include "base/ngx_trp_dialer.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "agent/ngx_trp_agent.h"
#include "agent/ngx_trp_gate.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_pool_s    ngx_trp_pool_t;
typedef struct ngx_trp_link_s    ngx_trp_link_t;
typedef struct ngx_trp_stream_s  ngx_trp_stream_t;


/*
 * The relay opens a stream on a tunnel of this reverse.  It is on its own
 * from here: an error is told to the relay with REFUSE.
 */

typedef void (*ngx_trp_pool_open_pt)(ngx_trp_link_t *link, trp_open_t *open);


struct ngx_trp_pool_s {
    ngx_trp_agent_conf_t  *conf;
    ngx_trp_pool_open_pt   open;          /* NULL: an entry's pool */
    void                  *data;          /* of the module */
    void                  *owner;         /* the name that it is of, or NULL */

    struct sockaddr       *sockaddr;
    socklen_t              socklen;
    ngx_str_t              name;          /* the address as text */
    ngx_str_t              host;          /* name for TLS: SNI, certificate */

    ngx_queue_t            idle;          /* ngx_trp_link_t */
    ngx_queue_t            waiting;       /* ngx_trp_stream_t */
    ngx_uint_t             nidle;
    ngx_uint_t             nwaiting;
    ngx_uint_t             ndialing;
    ngx_uint_t             total;         /* tunnels in any state */
    ngx_uint_t             nvain;         /* tunnels behind which nobody is */
    ngx_uint_t             nvain_idle;    /* and idle ones of them */

    ngx_uint_t             peak;          /* busy at once, lately */
    ngx_uint_t             recent;        /* the same since the last look */

    ngx_int_t              slot;          /* hint for the relay, or -1 */
    ngx_uint_t             moved;         /* MOVED since the last READY */
    ngx_uint_t             failures;      /* rounds of dialling, in a row */
    ngx_uint_t             wasted;        /* tunnels of no use, in a row */
    ngx_msec_t             wasted_last;   /* when the last one was lost */

    ngx_trp_gate_t        *gate;          /* of the relay's address */
    ngx_trp_gate_wait_t    turn;          /* before it */

    ngx_ssl_session_t     *session;       /* to be resumed */

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
    ngx_trp_stream_t      *stream;        /* who reads and writes it now */
    ngx_msec_t             ready;         /* when it was authenticated */
    unsigned               idle:1;
    unsigned               vain:1;        /* the relay has no reverse for it */
    unsigned               dialing:1;
    unsigned               worked:1;      /* its loss is no failure */
};


/*
 * Begins to dial at once.  "server" is the name that the configuration has,
 * with its port.  All is copied; NULL if there is no memory.
 */

ngx_trp_pool_t *ngx_trp_pool_create(ngx_trp_agent_conf_t *conf,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name,
    ngx_str_t *server);

/*
 * It had an address that stands for one which is not known yet, "unknown" was
 * set behind _create(): this is it, or it is not to be found, and who waits is
 * sent to other relays, if there are any.
 */

ngx_int_t ngx_trp_pool_found(ngx_trp_pool_t *pool, ngx_addr_t *addr);
void ngx_trp_pool_not_found(ngx_trp_pool_t *pool);

/* the relay is not used any more, or again; streams in their course go on */

void ngx_trp_pool_retire(ngx_trp_pool_t *pool, ngx_uint_t retired);

/* 1 if a user who comes can expect to be served */

ngx_uint_t ngx_trp_pool_alive(ngx_trp_pool_t *pool);


/* 1 if it is known that nobody can be served: no relay, or no reverse there */

ngx_uint_t ngx_trp_pool_vain(ngx_trp_pool_t *pool);


/* a tunnel that may send OPEN, or NULL */

ngx_trp_link_t *ngx_trp_pool_get(ngx_trp_pool_t *pool);

/* 1 if one more stream may come: if it waits, it will have a tunnel */

ngx_uint_t ngx_trp_pool_admits(ngx_trp_pool_t *pool);

/* calls ngx_trp_stream_attach() as soon as there is a tunnel */

void ngx_trp_pool_wait(ngx_trp_pool_t *pool, ngx_trp_stream_t *st);
void ngx_trp_pool_cancel(ngx_trp_pool_t *pool, ngx_trp_stream_t *st);


/* what the dialler tells: it works, or not; both may be called again */

void ngx_trp_pool_ready(ngx_trp_link_t *link, ngx_uint_t slot,
    ngx_uint_t wanted);
void ngx_trp_pool_moved(ngx_trp_link_t *link, ngx_uint_t slot);

/* there is not even a link */

void ngx_trp_pool_undialled(ngx_trp_pool_t *pool);


extern const ngx_trp_tunnel_handlers_t  ngx_trp_pool_tunnel_handlers;


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_H_INCLUDED_ */
