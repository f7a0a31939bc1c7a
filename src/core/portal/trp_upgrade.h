
/*
 * Copyright (C) the trp authors
 */


/*
 * What a server answers to a request to go on as a WebSocket: RFC 6455,
 * section 4.1.
 */


#ifndef TRP_UPGRADE_H_INCLUDED
#define TRP_UPGRADE_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* points into the answer */

typedef struct {
    unsigned    status;
    trp_str_t   accept;            /* Sec-WebSocket-Accept */
    trp_str_t   later;             /* Retry-After */
    unsigned    upgrade:1;         /* "Upgrade: websocket" */
    unsigned    connection:1;      /* "Connection: Upgrade" */
    unsigned    extra:1;           /* an extension or protocol not asked for */
} trp_upgrade_t;


/*
 * TRP_AGAIN: the head of the answer is not yet complete.  TRP_OK: "head" is
 * its length, what follows are frames if trp_upgrade_check() says so.
 */

int trp_upgrade_parse(trp_upgrade_t *u, trp_str_t text, size_t *head);

/* TRP_OK: it is a WebSocket now; "accept" is what the key requires */

int trp_upgrade_check(const trp_upgrade_t *u, trp_str_t accept);


#pragma GCC visibility pop


#endif /* TRP_UPGRADE_H_INCLUDED */
