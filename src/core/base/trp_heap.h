
/*
 * Copyright (C) the trp authors
 */


/*
 * Timers in the order of their expiry: a pairing heap of nodes that stand
 * inside the caller's structures.  It needs no memory of its own.
 */


#ifndef TRP_HEAP_H_INCLUDED
#define TRP_HEAP_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef struct trp_heap_node_s  trp_heap_node_t;

struct trp_heap_node_s {
    trp_heap_node_t     *child;
    trp_heap_node_t     *next;         /* sibling */
    trp_heap_node_t     *prev;         /* sibling, or parent of the first */
    uint64_t             expires;      /* milliseconds */
};


/* the node that expires first; NULL if there is none */

typedef struct {
    trp_heap_node_t     *top;
} trp_heap_t;


void trp_heap_insert(trp_heap_t *heap, trp_heap_node_t *node,
    uint64_t expires);
void trp_heap_remove(trp_heap_t *heap, trp_heap_node_t *node);


#pragma GCC visibility pop


#endif /* TRP_HEAP_H_INCLUDED */
