
/*
 * Copyright (C) the trp authors
 */


/*
 * A filter beneath an SSL, and above the socket or another SSL, that puts its
 * bytes into the frames of a WebSocket.
 */


#ifndef _NGX_TRP_WEBSOCKET_BIO_H_INCLUDED_
#define _NGX_TRP_WEBSOCKET_BIO_H_INCLUDED_


#include "base/ngx_trp.h"
#include "websocket/trp_websocket.h"

#include <openssl/bio.h>


#pragma GCC visibility push(hidden)


/* a frame, of which as much as possible is written at once */

#define NGX_TRP_WEBSOCKET_CHUNK   131072

#define NGX_TRP_WEBSOCKET_RANDOM  256


/* its type, and what BIO_ctrl() may ask of it */

#define NGX_TRP_WEBSOCKET_BIO         (0x7e|BIO_TYPE_FILTER)

#define NGX_TRP_WEBSOCKET_BIO_PING    1001   /* send one */
#define NGX_TRP_WEBSOCKET_BIO_SOCKET  1002   /* 1: it is directly on one */


/* shared by all of a worker */

typedef struct {
    BIO_METHOD        *method;
    u_char            *chunk;            /* to mask in */
    u_char             random[NGX_TRP_WEBSOCKET_RANDOM];
    size_t             nrandom;          /* bytes of it not yet used */
} ngx_trp_websocket_bio_conf_t;


/* zeroed by its owner; must live as long as the connection */

typedef struct {
    ngx_connection_t          *connection;
    ngx_trp_websocket_bio_conf_t  *conf;

    trp_websocket_t    in;
    u_char            *early;            /* came with the handshake, or NULL */
    u_char            *early_last;

    /* the frame that is being written */

    size_t             left;
    u_char             mask[TRP_WEBSOCKET_MASK];
    u_char             head[TRP_WEBSOCKET_HEAD];
    uint8_t            head_pos;
    uint8_t            head_last;

    /* a control frame that waits for its turn, and is written as a whole */

    uint8_t            control_len;
    uint8_t            control_pos;
    u_char            *control;          /* allocated when there is one */

    unsigned           begun:1;          /* an SSL beneath may have it */
    unsigned           client:1;
    unsigned           socket:1;         /* directly on one */
    unsigned           closed:1;         /* nothing is read any more */
    unsigned           said:1;           /* a close frame was written */
    unsigned           failed:1;         /* nothing is written any more */
} ngx_trp_websocket_bio_t;


/* called once for all that share it; lives as long as the pool */

ngx_int_t ngx_trp_websocket_bio_init(ngx_pool_t *pool,
    ngx_trp_websocket_bio_conf_t *conf);

/*
 * Inserts it beneath the SSL of a connection, before the handshake.  It is
 * freed with the SSL, and says goodbye then.
 */

ngx_int_t ngx_trp_websocket_bio_insert(ngx_trp_websocket_bio_t *ws,
    ngx_trp_websocket_bio_conf_t *conf, ngx_connection_t *c, ngx_uint_t client);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WEBSOCKET_BIO_H_INCLUDED_ */
