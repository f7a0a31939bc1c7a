
/*
 * Copyright (C) the trp authors
 */


/* timers: the first one on top, whatever comes and goes */


#include "tap.h"
#include "rnd.h"

#include "base/trp_heap.h"


#define N  400


static trp_heap_node_t  nodes[N];
static int              in[N];


/* parents and siblings point to each other; how many there are */

static unsigned
count(const trp_heap_node_t *node, unsigned *wrong)
{
    unsigned                n;
    const trp_heap_node_t  *child, *prev;

    n = 1;
    prev = node;

    for (child = node->child; child; child = child->next) {
        *wrong += child->prev != prev || child->expires < node->expires;
        n += count(child, wrong);
        prev = child;
    }

    return n;
}


static void
test_random(uint32_t range, unsigned inserts, const char *name)
{
    unsigned    i, j, n, step, wrong;
    trp_heap_t  heap = { NULL };

    memset(in, 0, sizeof(in));

    n = 0;
    wrong = 0;

    for (step = 0; step < 30000; step++) {
        i = rnd(N);

        if (in[i]) {

            /* the top more often than others */

            if (rnd(4) == 0) {
                i = (unsigned) (heap.top - nodes);
            }

            if (rnd(10) >= inserts) {
                trp_heap_remove(&heap, &nodes[i]);
                in[i] = 0;
                n--;
            }

        } else if (rnd(10) < inserts) {
            trp_heap_insert(&heap, &nodes[i], 1 + rnd(range));
            in[i] = 1;
            n++;
        }

        if (n == 0) {
            wrong += heap.top != NULL;
            continue;
        }

        wrong += heap.top == NULL || heap.top->prev || heap.top->next;

        for (j = 0; j < N; j++) {
            wrong += in[j] && nodes[j].expires < heap.top->expires;
        }

        if (step % 100 == 0) {
            wrong += count(heap.top, &wrong) != n;
        }
    }

    is_int(wrong, 0, "%s", name);
}


/* against an array that is sorted */

static void
test_sorted(void)
{
    unsigned    i, n, wrong, times[1000];
    uint64_t    last;
    trp_heap_t  heap = { NULL };

    memset(times, 0, sizeof(times));

    for (i = 0; i < N; i++) {
        n = rnd(1000);
        times[n]++;
        trp_heap_insert(&heap, &nodes[i], n);
    }

    last = 0;
    wrong = 0;

    for (i = 0; heap.top; i++) {
        wrong += heap.top->expires < last || times[heap.top->expires]-- == 0;
        last = heap.top->expires;
        trp_heap_remove(&heap, heap.top);
    }

    is_int(i, N, "all come out");
    is_int(wrong, 0, "in their order");
}


static void
test_order(int step, const char *name)
{
    int         i, wrong;
    trp_heap_t  heap = { NULL };

    for (i = 0; i < N; i++) {
        trp_heap_insert(&heap, &nodes[i], (uint64_t) (N + step * i));
    }

    wrong = 0;

    /* every second one goes first */

    for (i = 0; i < N; i += 2) {
        trp_heap_remove(&heap, &nodes[i]);
    }

    for (i = 0; i < N / 2; i++) {
        wrong += heap.top != &nodes[step > 0 ? 2 * i + 1 : N - 1 - 2 * i];
        trp_heap_remove(&heap, heap.top);
    }

    is_int(wrong, 0, "%s", name);
    ok(heap.top == NULL, "and nothing is left");
}


int
main(void)
{
    rnd_seed(5);

    test_sorted();
    test_order(1, "rising");
    test_order(-1, "falling");
    test_random(1000000, 5, "different times");
    test_random(3, 5, "hardly different times");
    test_random(100, 7, "a heap that is full");
    test_random(100, 3, "a heap that is nearly empty");

    return done_testing();
}
