
/*
 * Copyright (C) the trp authors
 */


/*
 * A pairing heap of timers: inserting compares once, removing melds the
 * children in pairs.  The first child points back to its parent, the others to
 * the sibling before them.
 */


#include "base/trp_heap.h"


static trp_heap_node_t *trp_heap_meld(trp_heap_node_t *a, trp_heap_node_t *b);
static trp_heap_node_t *trp_heap_combine(trp_heap_node_t *first);


void
trp_heap_insert(trp_heap_t *heap, trp_heap_node_t *node, uint64_t expires)
{
    trp_assert(node != heap->top);

    node->child = NULL;
    node->next = NULL;
    node->prev = NULL;
    node->expires = expires;

    heap->top = heap->top ? trp_heap_meld(heap->top, node) : node;
}


void
trp_heap_remove(trp_heap_t *heap, trp_heap_node_t *node)
{
    trp_heap_node_t  *rest;

    trp_assert(node == heap->top || node->prev);

    rest = trp_heap_combine(node->child);
    node->child = NULL;

    if (node == heap->top) {
        heap->top = rest;
        return;
    }

    if (node->prev->child == node) {
        node->prev->child = node->next;

    } else {
        node->prev->next = node->next;
    }

    if (node->next) {
        node->next->prev = node->prev;
    }

    node->next = NULL;
    node->prev = NULL;

    if (rest) {
        heap->top = trp_heap_meld(heap->top, rest);
    }
}


void
trp_timer_set(trp_heap_t *timers, trp_timer_t *timer, uint64_t expires)
{
    trp_assert(expires);

    trp_timer_stop(timers, timer);
    trp_heap_insert(timers, &timer->node, expires);
}


void
trp_timer_stop(trp_heap_t *timers, trp_timer_t *timer)
{
    if (timer->node.expires) {
        trp_heap_remove(timers, &timer->node);
        timer->node.expires = 0;
    }
}


trp_timer_t *
trp_timer_due(const trp_heap_t *timers, uint64_t now)
{
    return (timers->top && timers->top->expires <= now)
           ? trp_of(trp_timer_t, node, timers->top) : NULL;
}


uint64_t
trp_timer_deadline(const trp_heap_t *timers)
{
    return timers->top ? timers->top->expires : 0;
}


/* melds two roots: the later one becomes the first child of the other */

static trp_heap_node_t *
trp_heap_meld(trp_heap_node_t *a, trp_heap_node_t *b)
{
    trp_heap_node_t  *later;

    later = b;

    if (b->expires < a->expires) {
        later = a;
        a = b;
    }

    later->next = a->child;
    later->prev = a;

    if (a->child) {
        a->child->prev = later;
    }

    a->child = later;

    return a;
}


/* melds siblings in pairs from the left, then the pairs from the right */

static trp_heap_node_t *
trp_heap_combine(trp_heap_node_t *first)
{
    trp_heap_node_t  *a, *b, *pairs, *root;

    pairs = NULL;

    while (first) {
        a = first;
        b = a->next;
        first = b ? b->next : NULL;

        a->next = NULL;
        a->prev = NULL;

        if (b) {
            b->next = NULL;
            b->prev = NULL;
            a = trp_heap_meld(a, b);
        }

        a->next = pairs;
        pairs = a;
    }

    root = pairs;

    if (root) {
        pairs = root->next;
        root->next = NULL;
    }

    while (pairs) {
        a = pairs;
        pairs = a->next;
        a->next = NULL;

        root = trp_heap_meld(root, a);
    }

    if (root) {
        root->prev = NULL;
    }

    return root;
}
