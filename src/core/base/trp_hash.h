
/*
 * Copyright (C) the trp authors
 */


/*
 * A hash table of nodes embedded in the caller's structures.  The hash
 * function (SipHash) has a secret key, so that an attacker cannot choose keys
 * that collide.
 */


#ifndef TRP_HASH_H_INCLUDED
#define TRP_HASH_H_INCLUDED


#include "base/trp_memory.h"


#pragma GCC visibility push(hidden)


#define TRP_HASH_KEY_LEN  16


typedef struct trp_hash_node_s  trp_hash_node_t;

struct trp_hash_node_s {
    trp_hash_node_t      *next;
    uint64_t              hash;
};


typedef struct {
    trp_hash_node_t     **buckets;
    size_t                size;        /* a power of two */
    size_t                n;
    const uint8_t        *key;         /* TRP_HASH_KEY_LEN bytes */
    const trp_memory_t   *memory;
    trp_hash_node_t      *first[1];    /* buckets, while one is enough */
} trp_hash_t;


/* an empty table; "key" and "memory" must live as long as the table */

void trp_hash_init(trp_hash_t *table, const uint8_t *key,
    const trp_memory_t *memory);

/* frees the buckets; the nodes belong to the caller */

void trp_hash_done(trp_hash_t *table);

uint64_t trp_hash(const trp_hash_t *table, const void *data, size_t len);


/* the first node with this hash, or the next one after "node"; NULL if none */

trp_hash_node_t *trp_hash_find(const trp_hash_t *table, uint64_t hash);
trp_hash_node_t *trp_hash_next(const trp_hash_node_t *node);

/* never fails: without memory for more buckets the table only gets slower */

void trp_hash_insert(trp_hash_t *table, trp_hash_node_t *node, uint64_t hash);
void trp_hash_remove(trp_hash_t *table, trp_hash_node_t *node);

/* the first node, or the one after "node", in no order; NULL at the end */

trp_hash_node_t *trp_hash_walk(const trp_hash_t *table,
    const trp_hash_node_t *node);


#pragma GCC visibility pop


#endif /* TRP_HASH_H_INCLUDED */
