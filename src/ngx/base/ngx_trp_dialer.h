
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection to a known address: connect(), and then a chain of steps, each
 * of which makes what the next one, and at last the owner, reads and writes:
 *
 *     TLS to a proxy -> CONNECT -> outer TLS -> WebSocket -> TLS to the peer
 *
 * The dialer and its steps are part of their owner's structure, or are in the
 * connection's pool, and are not used after the handler was called with a final
 * result.  The connection belongs to the owner: the dialer never closes it.
 */


#ifndef _NGX_TRP_DIALER_H_INCLUDED_
#define _NGX_TRP_DIALER_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_ssl.h"


#pragma GCC visibility push(hidden)


/* a record's header */

#define NGX_TRP_DIALER_START  5


typedef struct ngx_trp_dialer_s       ngx_trp_dialer_t;
typedef struct ngx_trp_dialer_step_s  ngx_trp_dialer_step_t;


typedef enum {
    NGX_TRP_DIALER_READY = 0,
    NGX_TRP_DIALER_FAILED,            /* logged */
    NGX_TRP_DIALER_TIMED_OUT,         /* logged */

    /* not final: the worker exits; may go on if c->close is set to 0 */
    NGX_TRP_DIALER_EXITING
} ngx_trp_dialer_e;


/* may close the connection, and free the dialer */

typedef void (*ngx_trp_dialer_pt)(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);


/*
 * What a kind of step does.  All three may be called with c->ssl of the steps
 * before; c->recv and c->send go through them.
 */

typedef struct {

    /* once, when all steps before it are done; NGX_OK, NGX_ERROR; or NULL */
    ngx_int_t           (*begin)(ngx_trp_dialer_t *d,
                                 ngx_trp_dialer_step_t *step);

    /*
     * After that, and at each event of the connection: NGX_OK if the step is
     * done, NGX_AGAIN, NGX_ERROR.  A failure has been logged at d->level.
     * NGX_DONE: connect() to d->via again, and begin with the first step.
     */
    ngx_int_t           (*run)(ngx_trp_dialer_t *d,
                               ngx_trp_dialer_step_t *step);

    /* it is over, or may be, as the worker exits; or NULL */
    void                (*end)(ngx_trp_dialer_t *d,
                               ngx_trp_dialer_step_t *step);

} ngx_trp_dialer_kind_t;


/* the first member of each kind's own structure */

struct ngx_trp_dialer_step_s {
    const ngx_trp_dialer_kind_t  *kind;
    ngx_trp_dialer_step_t  *next;
    const char           *peer;         /* at its other end; NULL: d->peer */
    ngx_str_t            *name;         /* of that, or NULL */
    const char           *action;       /* log->action, or NULL */
};


/* TLS as a client, to the verified certificate; nested if there is TLS below */

typedef struct {
    ngx_trp_dialer_step_t  step;

    ngx_trp_dialer_t     *dialer;
    const ngx_trp_ssl_conf_t  *ssl;
    ngx_str_t            *host;         /* for SNI, and to verify */
    ngx_ssl_session_t   **session;      /* see ngx_trp_ssl.h; or NULL */
    const char           *alpn;         /* what it must select, or NULL */

    /* called when c->ssl is set, before anything is sent; or NULL */
    ngx_int_t           (*prepare)(ngx_trp_dialer_t *d);

    /* the step's: how the server's answer begins, and what is wrong */
    u_char                start[NGX_TRP_DIALER_START];
    unsigned              answered:1;
    unsigned              no_tls:1;
    unsigned              no_alpn:1;    /* it says so in an alert */
} ngx_trp_dialer_tls_t;


struct ngx_trp_dialer_s {
    ngx_connection_t     *connection;   /* its "data" is the dialer */
    ngx_trp_dialer_pt     handler;
    void                 *data;

    const char           *peer;         /* what the peer is, for the log */
    ngx_str_t            *name;         /* NULL if the log has its address */
    ngx_uint_t            level;        /* at which failures are logged */

    /* where connect() goes, if that is not the peer; or NULL */
    const ngx_addr_t     *via;
    const char           *via_peer;

    /* for all of it, ms; 0: the owner has set a timer of c->read, or none */
    ngx_msec_t            timeout;

    ngx_trp_dialer_step_t  *steps;      /* NULL: connect() only */
    ngx_trp_dialer_step_t  *step;       /* the current one, or NULL */
};


/*
 * Adds a step behind the others; the caller has set its fields.  The rest is
 * to be zero.
 */

void ngx_trp_dialer_add(ngx_trp_dialer_t *d, ngx_trp_dialer_step_t *step);
void ngx_trp_dialer_add_tls(ngx_trp_dialer_t *d, ngx_trp_dialer_tls_t *tls);

/*
 * "rc" is the result of ngx_trp_connect(), NGX_OK or NGX_AGAIN; the connection
 * must have a log, and a pool if there will be TLS.
 */

void ngx_trp_dialer_wait(ngx_trp_dialer_t *d, ngx_int_t rc);

/*
 * The steps only, on an established connection.  May call the handler before
 * it returns.
 */

void ngx_trp_dialer_run(ngx_trp_dialer_t *d);


/*
 * For steps.  NGX_OK if all between b->pos and b->last has been sent;
 * NGX_AGAIN; NGX_ERROR, which may not have been logged.
 */

ngx_int_t ngx_trp_dialer_send(ngx_trp_dialer_t *d, ngx_buf_t *b);

/*
 * Reads without taking bytes that belong to the next step: what is read is
 * only copied, and ngx_trp_dialer_skip() takes the first "n" bytes of it.
 * NGX_AGAIN, NGX_ERROR; 0: the peer has closed or reset the connection.
 */

ssize_t ngx_trp_dialer_peek(ngx_trp_dialer_t *d, u_char *buf, size_t size);
ngx_int_t ngx_trp_dialer_skip(ngx_trp_dialer_t *d, u_char *buf, size_t n);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIALER_H_INCLUDED_ */
