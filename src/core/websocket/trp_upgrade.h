
/*
 * Copyright (C) the trp authors
 */


/*
 * A WebSocket's opening handshake, RFC 6455, section 4: the client's request,
 * and the server's response.
 */


#ifndef TRP_UPGRADE_H_INCLUDED
#define TRP_UPGRADE_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* a tunnel's protocol in a WebSocket, and its slot: '/' is in no such name */

#define TRP_UPGRADE_PROTOCOL  "trp.2"
#define TRP_UPGRADE_SLOT      "trp-slot-"

#define TRP_UPGRADE_KEY       24   /* of the nonce in base64, section 4.1 */


/* the strings point into the request */

typedef struct {
    trp_str_t   path;
    trp_str_t   key;               /* Sec-WebSocket-Key */
    trp_str_t   forwarded;         /* the last item of X-Forwarded-For */
    int         slot;              /* TRP_DECLINED: there is no hint */
    unsigned    get:1;             /* the method */
    unsigned    http11:1;          /* the version, not HTTP/1.0 */
    unsigned    upgrade:1;         /* "Upgrade: websocket" */
    unsigned    connection:1;      /* "Connection: Upgrade" */
    unsigned    version:1;         /* 13 */
    unsigned    protocol:1;        /* TRP_UPGRADE_PROTOCOL is offered */
} trp_upgrade_request_t;


/* the same for the response */

typedef struct {
    unsigned    status;
    trp_str_t   accept;            /* Sec-WebSocket-Accept */
    trp_str_t   later;             /* Retry-After */
    trp_str_t   protocol;          /* Sec-WebSocket-Protocol */
    unsigned    upgrade:1;         /* "Upgrade: websocket" */
    unsigned    connection:1;      /* "Connection: Upgrade" */
    unsigned    extra:1;           /* an extension, none was asked for */
} trp_upgrade_t;


/*
 * TRP_AGAIN: the header of the response is incomplete.  TRP_OK: "head" is its
 * length; WebSocket frames follow if trp_upgrade_check() returns TRP_OK.
 */

int trp_upgrade_parse(trp_upgrade_t *u, trp_str_t text, size_t *head);

/*
 * TRP_OK: the WebSocket is open; "accept" is the value that the key requires,
 * "protocol" the one that was asked for, or empty.
 */

int trp_upgrade_check(const trp_upgrade_t *u, trp_str_t accept,
    trp_str_t protocol);


/*
 * The same for a request.  trp_upgrade_request_check() returns the status to
 * answer with: 101, or what is wrong.
 */

int trp_upgrade_request(trp_upgrade_request_t *r, trp_str_t text,
    size_t *head);
unsigned trp_upgrade_request_check(const trp_upgrade_request_t *r);


#pragma GCC visibility pop


#endif /* TRP_UPGRADE_H_INCLUDED */
