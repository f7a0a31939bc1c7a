
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection to a known address, with TLS as a client if that is wanted:
 * from connect() to the checked certificate, in one place.
 *
 * The dialer is part of what its user keeps for the connection, and of no use
 * after the end.  The connection stays the user's: the dialer never closes it.
 */


#ifndef _NGX_TRP_DIALER_H_INCLUDED_
#define _NGX_TRP_DIALER_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_ssl.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_dialer_s  ngx_trp_dialer_t;


typedef enum {
    NGX_TRP_DIALER_READY = 0,
    NGX_TRP_DIALER_FAILED,            /* logged */
    NGX_TRP_DIALER_TIMED_OUT,         /* logged */

    /* not the end: the worker exits; with c->close = 0 this may go on */
    NGX_TRP_DIALER_EXITING
} ngx_trp_dialer_e;


/* may close the connection, and free the dialer */

typedef void (*ngx_trp_dialer_pt)(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc);


struct ngx_trp_dialer_s {
    ngx_connection_t     *connection;   /* its "data" is the dialer */
    ngx_trp_dialer_pt     handler;
    void                 *data;

    const char           *peer;         /* what is there, for the log */
    ngx_str_t            *name;         /* NULL if the log tells its address */
    ngx_uint_t            level;        /* of lines about failures */

    /* from now to the end; 0: a timer of c->read is set by the user, or none */
    ngx_msec_t            timeout;

    const ngx_trp_ssl_conf_t  *ssl;     /* NULL: no TLS */
    ngx_str_t            *host;         /* to ask for, and to verify */
    ngx_ssl_session_t   **session;      /* see ngx_trp_ssl.h; or NULL */
    const char           *action;       /* of the log, from then on, or NULL */

    /* c->ssl is there, and nothing was sent; may be NULL */
    ngx_int_t           (*prepare)(ngx_trp_dialer_t *d);
};


/*
 * "rc" is that of ngx_trp_connect(), NGX_OK or NGX_AGAIN; its connection has
 * been given a log, and a pool if there will be TLS.
 */

void ngx_trp_dialer_wait(ngx_trp_dialer_t *d, ngx_int_t rc);

/*
 * TLS alone, on a connection that is there; inside of what it has if it has
 * TLS already.  The handler may be called from here.
 */

void ngx_trp_dialer_handshake(ngx_trp_dialer_t *d);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIALER_H_INCLUDED_ */
