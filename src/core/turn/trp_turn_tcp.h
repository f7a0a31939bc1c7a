
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections to the peers of an allocation (RFC 6062).
 */


#ifndef TRP_TURN_TCP_H_INCLUDED
#define TRP_TURN_TCP_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


void trp_turn_connect(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);
void trp_turn_connection_bind(trp_turn_t *turn, const trp_stun_t *m);
void trp_turn_connection_expire(trp_turn_t *turn,
    trp_turn_connection_t *connection);

/* those of a family, 4 or 6, are due now */

void trp_turn_connections_expire(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    uint8_t family);
void trp_turn_connections_free(trp_turn_t *turn, trp_turn_alloc_t *alloc);


#pragma GCC visibility pop


#endif /* TRP_TURN_TCP_H_INCLUDED */
