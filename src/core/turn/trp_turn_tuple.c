
/*
 * Copyright (C) the trp authors
 */


/*
 * Which allocation a client has, by its 5-tuple.
 */


#include "turn/trp_turn_tuple.h"
#include "turn/trp_turn.h"


trp_turn_alloc_t *
trp_turn_find(const trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    trp_hash_node_t   *node;
    trp_turn_alloc_t  *alloc;

    if (turn->allocs.n == 0) {
        return NULL;
    }

    node = trp_hash_find(&turn->allocs, trp_turn_hash_tuple(turn, tuple));

    while (node) {
        alloc = trp_of(trp_turn_alloc_t, node, node);

        if (alloc->tuple.transport == tuple->transport
            && trp_taddr_equal(&alloc->tuple.client, &tuple->client)
            && trp_taddr_equal(&alloc->tuple.server, &tuple->server))
        {
            return alloc;
        }

        node = trp_hash_next(node);
    }

    return NULL;
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
