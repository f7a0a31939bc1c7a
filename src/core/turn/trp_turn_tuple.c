
/*
 * Copyright (C) the trp authors
 */


/*
 * Which allocation a client has, by its 5-tuple.
 */


#include "turn/trp_turn_tuple.h"
#include "turn/trp_turn.h"


static int trp_turn_tuple_equal(const trp_turn_tuple_t *a,
    const trp_turn_tuple_t *b);


/*
 * The caller looks up the client of a message before it passes it on, and the
 * next message is often from the same client: neither is looked up again.
 */

trp_turn_alloc_t *
trp_turn_find(trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    trp_hash_node_t   *node;
    trp_turn_alloc_t  *alloc;

    if (turn->allocs.n == 0) {
        return NULL;
    }

    if (turn->last && trp_turn_tuple_equal(&turn->last->tuple, tuple)) {
        return turn->last;
    }

    node = trp_hash_find(&turn->allocs, trp_turn_hash_tuple(turn, tuple));

    while (node) {
        alloc = trp_of(trp_turn_alloc_t, node, node);

        if (trp_turn_tuple_equal(&alloc->tuple, tuple)) {
            turn->last = alloc;
            return alloc;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


static int
trp_turn_tuple_equal(const trp_turn_tuple_t *a, const trp_turn_tuple_t *b)
{
    return a->transport == b->transport
           && trp_taddr_equal(&a->client, &b->client)
           && trp_taddr_equal(&a->server, &b->server);
}


uint64_t
trp_turn_hash_tuple(const trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    uint8_t  buf[TRP_TURN_TUPLE_MAX];

    return trp_hash(&turn->allocs, buf, trp_turn_tuple_pack(buf, tuple));
}


size_t
trp_turn_tuple_pack(uint8_t *buf, const trp_turn_tuple_t *tuple)
{
    uint8_t  *p;

    p = trp_taddr_pack(buf, &tuple->client);
    p = trp_taddr_pack(p, &tuple->server);
    *p++ = tuple->transport;

    return p - buf;
}
