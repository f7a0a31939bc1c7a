
/*
 * Copyright (C) the trp authors
 */


/*
 * A WebSocket client: TCP, TLS, the HTTP upgrade, and text messages.
 */


#ifndef _NGX_TRP_WEBSOCKET_H_INCLUDED_
#define _NGX_TRP_WEBSOCKET_H_INCLUDED_


#include "base/ngx_trp_dialer.h"

#include <wslay/wslay.h>


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_websocket_s  ngx_trp_websocket_t;


/*
 * "closed": the connection is unusable, the reason was logged; "exiting": the
 * worker begins to exit.  Any of them may call ngx_trp_websocket_close(), which
 * must be called in any case.
 */

typedef struct {
    void      (*connected)(void *data);      /* TCP */
    void      (*opened)(void *data);
    void      (*refused)(void *data, ngx_uint_t status, ngx_str_t *later);
    void      (*message)(void *data, const u_char *text, size_t len);
    void      (*closed)(void *data);
    void      (*exiting)(void *data);
} ngx_trp_websocket_handlers_t;


/* the request ends with "Sec-WebSocket-Key: ", the key is appended to it */

typedef struct {
    ngx_str_t           request;
    ngx_trp_ssl_conf_t  ssl;                 /* without context: no TLS */
    ngx_str_t           host;                /* to verify */
} ngx_trp_websocket_conf_t;


struct ngx_trp_websocket_s {
    ngx_connection_t                    *connection;
    ngx_trp_websocket_conf_t            *conf;
    const ngx_trp_websocket_handlers_t  *handlers;
    void                                *data;
    ngx_trp_dialer_t                     dialer;
    ngx_trp_dialer_tls_t                 tls;

    /* what the next event of the connection is for */

    void                               (*step)(ngx_trp_websocket_t *ws);

    ngx_buf_t                            request;
    ngx_buf_t                            answer;   /* then: first frames */
    u_char                               accept[28];

    wslay_event_context_ptr              frames;
    size_t                               turn;     /* bytes read in this run */

    ngx_uint_t                           level;    /* of a failure's message */

    unsigned                             busy:1;   /* in an event's handler */
    unsigned                             closing:1;
    unsigned                             eof:1;
};


/*
 * NULL, logged: could not be started.  Failures are logged at "level",
 * NGX_LOG_ERR or NGX_LOG_INFO.
 */

ngx_trp_websocket_t *ngx_trp_websocket_connect(ngx_trp_websocket_conf_t *conf,
    ngx_addr_t *addr, const ngx_trp_websocket_handlers_t *handlers,
    void *data, ngx_log_t *log, ngx_uint_t level);

ngx_int_t ngx_trp_websocket_send(ngx_trp_websocket_t *ws, const u_char *text,
    size_t len);

void ngx_trp_websocket_close(ngx_trp_websocket_t *ws);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WEBSOCKET_H_INCLUDED_ */
