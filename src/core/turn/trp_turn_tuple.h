
/*
 * Copyright (C) the trp authors
 */


/*
 * Tuples as keys of the table of allocations.
 */


#ifndef TRP_TURN_TUPLE_H_INCLUDED
#define TRP_TURN_TUPLE_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


uint64_t trp_turn_hash_tuple(const trp_turn_t *turn,
    const trp_turn_tuple_t *tuple);


#pragma GCC visibility pop


#endif /* TRP_TURN_TUPLE_H_INCLUDED */
