
/*
 * Copyright (C) the trp authors
 */


/*
 * Peers of the TURN client: permissions and channels (RFC 8656, sections 9
 * and 12).
 */


#ifndef TRP_TURNC_PEER_H_INCLUDED
#define TRP_TURNC_PEER_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* NULL if there is none; it may be resting */

trp_turnc_peer_t *trp_turnc_peer_find(const trp_turnc_t *client,
    const trp_taddr_t *addr);
trp_turnc_peer_t *trp_turnc_peer_by_number(const trp_turnc_t *client,
    uint16_t number);

/* from now on in use; TRP_OK, TRP_AGAIN: too many, TRP_ERROR: no memory */

int trp_turnc_peer_use(trp_turnc_t *client, trp_turnc_peer_t **peer,
    const trp_taddr_t *addr);

/* it is no longer in use */

void trp_turnc_peer_rest(trp_turnc_t *client, trp_turnc_peer_t *peer);

/* 1 if a peer that may be reached is on this host, whatever its port */

int trp_turnc_permitted(const trp_turnc_t *client, const trp_addr_t *host);

void trp_turnc_peer_timer(trp_turnc_t *client, trp_turnc_peer_t *peer);
void trp_turnc_peers_free(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_PEER_H_INCLUDED */
