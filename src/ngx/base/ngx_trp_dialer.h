
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection to a known address, optionally with TLS as a client: everything
 * from connect() to the verified certificate.
 *
 * The dialer is part of its owner's structure, and is not used after the
 * handler was called with a final result.  The connection belongs to the owner:
 * the dialer never closes it.
 */


#ifndef _NGX_TRP_DIALER_H_INCLUDED_
#define _NGX_TRP_DIALER_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_ssl.h"


#pragma GCC visibility push(hidden)


/* a record's header */

#define NGX_TRP_DIALER_START  5


typedef struct ngx_trp_dialer_s  ngx_trp_dialer_t;


typedef enum {
    NGX_TRP_DIALER_READY = 0,
    NGX_TRP_DIALER_FAILED,            /* logged */
    NGX_TRP_DIALER_TIMED_OUT,         /* logged */

    /* not final: the worker exits; may go on if c->close is set to 0 */
    NGX_TRP_DIALER_EXITING
} ngx_trp_dialer_e;


/* may close the connection, and free the dialer */

typedef void (*ngx_trp_dialer_pt)(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);


struct ngx_trp_dialer_s {
    ngx_connection_t     *connection;   /* its "data" is the dialer */
    ngx_trp_dialer_pt     handler;
    void                 *data;

    const char           *peer;         /* what the peer is, for the log */
    ngx_str_t            *name;         /* NULL if the log has its address */
    ngx_uint_t            level;        /* at which failures are logged */

    /* for all of it, ms; 0: the owner has set a timer of c->read, or none */
    ngx_msec_t            timeout;

    const ngx_trp_ssl_conf_t  *ssl;     /* NULL: no TLS */
    ngx_str_t            *host;         /* for SNI, and to verify */
    ngx_ssl_session_t   **session;      /* see ngx_trp_ssl.h; or NULL */
    const char           *action;       /* log->action during TLS, or NULL */
    const char           *alpn;         /* what it must select, or NULL */

    /* called when c->ssl is set, before anything is sent; or NULL */
    ngx_int_t           (*prepare)(ngx_trp_dialer_t *d);

    /* the dialer's: how the server's answer begins, and what is wrong */
    u_char                start[NGX_TRP_DIALER_START];
    unsigned              answered:1;
    unsigned              no_tls:1;
    unsigned              no_alpn:1;    /* it says so in an alert */
};


/*
 * "rc" is the result of ngx_trp_connect(), NGX_OK or NGX_AGAIN; the connection
 * must have a log, and a pool if there will be TLS.
 */

void ngx_trp_dialer_wait(ngx_trp_dialer_t *d, ngx_int_t rc);

/*
 * TLS only, on an established connection; nested if the connection has TLS
 * already.  May call the handler before it returns.
 */

void ngx_trp_dialer_handshake(ngx_trp_dialer_t *d);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIALER_H_INCLUDED_ */
