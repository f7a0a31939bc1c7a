
/*
 * Copyright (C) the trp authors
 */


/*
 * Allocations of a TURN server: Allocate, Refresh and their end.  The requests
 * are authenticated.
 */


#ifndef TRP_TURN_ALLOC_H_INCLUDED
#define TRP_TURN_ALLOC_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


void trp_turn_allocate(trp_turn_t *turn, const trp_stun_t *m);
void trp_turn_refresh(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);

/* leads to TRP_TURN_END and TRP_TURN_FREE, or nothing if it has ended */

void trp_turn_free(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    trp_turn_free_e why);


#pragma GCC visibility pop


#endif /* TRP_TURN_ALLOC_H_INCLUDED */
