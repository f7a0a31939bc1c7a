
/*
 * Copyright (C) the trp authors
 */


/*
 * Timers ordered by expiry: a pairing heap of nodes embedded in the caller's
 * structures.  It allocates no memory.
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


/* "top" is the node that expires first, NULL if there is none */

typedef struct {
    trp_heap_node_t     *top;
} trp_heap_t;


void trp_heap_insert(trp_heap_t *heap, trp_heap_node_t *node,
    uint64_t expires);
void trp_heap_remove(trp_heap_t *heap, trp_heap_node_t *node);


/*
 * A heap node as a timer.  "kind" tells the owner which structure the timer is
 * part of; "expires" is 0 unless the timer is set, as when it is all zero.
 */

typedef struct {
    trp_heap_node_t      node;
    uint8_t              kind;
} trp_timer_t;


/* "expires" must not be 0; a timer that is already set is moved */

void trp_timer_set(trp_heap_t *timers, trp_timer_t *timer, uint64_t expires);
void trp_timer_stop(trp_heap_t *timers, trp_timer_t *timer);

/* the first one that is due; NULL if none is */

trp_timer_t *trp_timer_due(const trp_heap_t *timers, uint64_t now);

/* when the first one is due; 0 if none is set */

uint64_t trp_timer_deadline(const trp_heap_t *timers);


#pragma GCC visibility pop


#endif /* TRP_HEAP_H_INCLUDED */
