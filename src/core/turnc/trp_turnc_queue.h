
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams of the TURN client for one peer: how they are written, and those
 * that wait for the peer's permission.
 */


#ifndef TRP_TURNC_QUEUE_H_INCLUDED
#define TRP_TURNC_QUEUE_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* data of an indication that fits into a datagram */

#define TRP_TURNC_DATA_MAX  65400


/* at most TRP_TURNC_DATA_MAX bytes, to a peer that is bound or permitted */

void trp_turnc_deliver(trp_turnc_t *client, const trp_turnc_peer_t *peer,
    const uint8_t *p, size_t len);

/* TRP_OK, TRP_AGAIN: it does not fit, TRP_ERROR without memory */

int trp_turnc_enqueue(trp_turnc_t *client, trp_turnc_peer_t *peer,
    const uint8_t *p, size_t len);

/* delivers all that waits, or drops it */

void trp_turnc_queue_send(trp_turnc_t *client, trp_turnc_peer_t *peer);
void trp_turnc_queue_free(trp_turnc_t *client, trp_turnc_peer_t *peer);


#pragma GCC visibility pop


#endif /* TRP_TURNC_QUEUE_H_INCLUDED */
