
/*
 * Copyright (C) the trp authors
 */


/*
 * The server's response to a WebSocket opening handshake: RFC 6455,
 * section 4.1.
 */


#ifndef TRP_UPGRADE_H_INCLUDED
#define TRP_UPGRADE_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* the strings point into the response */

typedef struct {
    unsigned    status;
    trp_str_t   accept;            /* Sec-WebSocket-Accept */
    trp_str_t   later;             /* Retry-After */
    unsigned    upgrade:1;         /* "Upgrade: websocket" */
    unsigned    connection:1;      /* "Connection: Upgrade" */
    unsigned    extra:1;           /* an extension or protocol not asked for */
} trp_upgrade_t;


/*
 * TRP_AGAIN: the header of the response is incomplete.  TRP_OK: "head" is its
 * length; WebSocket frames follow if trp_upgrade_check() returns TRP_OK.
 */

int trp_upgrade_parse(trp_upgrade_t *u, trp_str_t text, size_t *head);

/* TRP_OK: the WebSocket is open; "accept" is the value that the key requires */

int trp_upgrade_check(const trp_upgrade_t *u, trp_str_t accept);


#pragma GCC visibility pop


#endif /* TRP_UPGRADE_H_INCLUDED */
