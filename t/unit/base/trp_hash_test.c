
/*
 * Copyright (C) the trp authors
 */


/* a hash table: what is in it is found, and nothing else */


#include <stdlib.h>

#include "tap.h"
#include "rnd.h"

#include "base/trp_hash.h"


#define N  3000


typedef struct {
    trp_hash_node_t   node;
    unsigned          in:1;
    unsigned          seen;
} item_t;


static int            blocks;
static int            no_memory;
static item_t         items[N];

static const uint8_t  key[TRP_HASH_KEY_LEN] = { 1, 2, 3 };


static void *
get(void *data, size_t size)
{
    void  *p;

    (void) data;

    p = no_memory ? NULL : malloc(size);
    blocks += (p != NULL);

    return p;
}


static void
put(void *data, void *p)
{
    (void) data;

    blocks--;
    free(p);
}


static const trp_memory_t  memory = { get, put, NULL };


/* hashes that fall together more often than not */

static uint64_t
hash_of(unsigned i, uint64_t mask)
{
    uint8_t     text[4];
    trp_hash_t  t;

    trp_hash_init(&t, key, &memory);

    text[0] = (uint8_t) i;
    text[1] = (uint8_t) (i >> 8);

    return trp_hash(&t, text, 2) & mask;
}


static int
is_found(const trp_hash_t *t, const item_t *item, uint64_t hash)
{
    unsigned          n;
    trp_hash_node_t  *node;

    n = 0;

    for (node = trp_hash_find(t, hash); node; node = trp_hash_next(node)) {

        if (node->hash != hash) {
            return -1;
        }

        n += (node == &item->node);
    }

    return (int) n;
}


static unsigned
check(const trp_hash_t *t, uint64_t mask)
{
    size_t            n;
    unsigned          i, wrong;
    trp_hash_node_t  *node;

    wrong = 0;
    n = 0;

    for (i = 0; i < N; i++) {
        items[i].seen = 0;
        n += items[i].in;
        wrong += is_found(t, &items[i], hash_of(i, mask)) != items[i].in;
    }

    wrong += (t->n != n);

    for (node = trp_hash_walk(t, NULL); node; node = trp_hash_walk(t, node)) {
        ((item_t *) (void *) node)->seen++;
    }

    for (i = 0; i < N; i++) {
        wrong += items[i].seen != items[i].in;
    }

    return wrong;
}


static void
test_random(uint64_t mask, int failing)
{
    unsigned    i, step, wrong;
    trp_hash_t  t;

    memset(items, 0, sizeof(items));
    trp_hash_init(&t, key, &memory);

    wrong = 0;

    for (step = 0; step < 20000; step++) {
        i = rnd(N);
        no_memory = failing && rnd(3);

        if (!items[i].in && rnd(3)) {
            trp_hash_insert(&t, &items[i].node, hash_of(i, mask));
            items[i].in = 1;

        } else if (items[i].in) {
            trp_hash_remove(&t, &items[i].node);
            items[i].in = 0;
        }

        if (step % 4000 == 3999) {
            wrong += check(&t, mask);
        }
    }

    no_memory = 0;

    is_int(wrong, 0, "all are found, of hashes & %llx%s",
           (unsigned long long) mask, failing ? ", short of memory" : "");
    ok(blocks <= 1, "one block at most");

    trp_hash_done(&t);

    is_int(blocks, 0, "given back");
    is_int(t.n, 0, "and empty");
    ok(trp_hash_find(&t, 0) == NULL, "nothing is found then");
}


/* a table that is taken apart while it is walked through, as ends do it */

static void
test_empty(void)
{
    unsigned          i;
    trp_hash_t        t, moved;
    trp_hash_node_t  *node;

    trp_hash_init(&t, key, &memory);

    ok(trp_hash_walk(&t, NULL) == NULL, "nothing to walk through");
    ok(trp_hash_find(&t, 1) == NULL, "nothing to find");

    trp_hash_insert(&t, &items[0].node, 1);
    is_int(blocks, 0, "the first ones take no memory");

    /* it may stand in a structure that moves */

    moved = t;
    memset(&t, 0xff, sizeof(t));
    ok(trp_hash_find(&moved, 1) == &items[0].node, "found after a move");

    for (i = 1; i < 500; i++) {
        trp_hash_insert(&moved, &items[i].node, hash_of(i, (uint64_t) -1));
    }

    ok(moved.size <= 4 * 500 && moved.size * 2 >= 500,
       "grown as it should, to %zu", moved.size);

    for (i = 0; (node = trp_hash_walk(&moved, NULL)) != NULL; i++) {
        trp_hash_remove(&moved, node);
    }

    is_int(i, 500, "taken out one after the other");
    is_int(moved.n, 0, "none left");

    /* what is not there */

    trp_hash_insert(&moved, &items[0].node, 5);
    items[1].node.hash = 5;
    trp_hash_remove(&moved, &items[1].node);
    is_int(moved.n, 1, "what is not in it is not taken out");

    trp_hash_done(&moved);
    is_int(blocks, 0, "memory");
}


static void
test_key(void)
{
    uint8_t     other[TRP_HASH_KEY_LEN] = { 9 };
    trp_hash_t  a, b;

    trp_hash_init(&a, key, &memory);
    trp_hash_init(&b, other, &memory);

    ok(trp_hash(&a, "abc", 3) == trp_hash(&a, "abc", 3), "the same again");
    ok(trp_hash(&a, "abc", 3) != trp_hash(&a, "abd", 3), "other data");
    ok(trp_hash(&a, "abc", 3) != trp_hash(&a, "abc", 2), "a part of it");
    ok(trp_hash(&a, "abc", 3) != trp_hash(&b, "abc", 3), "another key");
}


int
main(void)
{
    rnd_seed(17);

    test_key();
    test_empty();
    test_random((uint64_t) -1, 0);
    test_random(0xff, 0);
    test_random(7, 0);
    test_random((uint64_t) -1, 1);

    return done_testing();
}
