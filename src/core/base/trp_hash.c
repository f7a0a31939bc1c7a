
/*
 * Copyright (C) the trp authors
 */


/*
 * A table of chains that grows fourfold when they get long.  The first bucket
 * is inside the table: an empty table needs no memory, and a table that cannot
 * grow still works.
 */


#include "base/trp_hash.h"

#include <string.h>

#include <sodium.h>


static trp_hash_node_t **trp_hash_bucket(const trp_hash_t *table,
    uint64_t hash);
static void trp_hash_grow(trp_hash_t *table);


void
trp_hash_init(trp_hash_t *table, const uint8_t *key,
    const trp_memory_t *memory)
{
    memset(table, 0, sizeof(trp_hash_t));

    table->size = 1;
    table->key = key;
    table->memory = memory;
}


void
trp_hash_done(trp_hash_t *table)
{
    if (table->buckets) {
        table->memory->put(table->memory->data, table->buckets);
        table->buckets = NULL;
    }

    table->size = 1;
    table->n = 0;
    table->first[0] = NULL;
}


uint64_t
trp_hash(const trp_hash_t *table, const void *data, size_t len)
{
    uint64_t  hash;

    crypto_shorthash((uint8_t *) &hash, data, len, table->key);

    return hash;
}


/* a table may be moved in memory, so "buckets" never points to "first" */

static trp_hash_node_t **
trp_hash_bucket(const trp_hash_t *table, uint64_t hash)
{
    trp_hash_node_t  **buckets;

    buckets = table->buckets ? table->buckets
                             : (trp_hash_node_t **) table->first;

    return &buckets[hash & (table->size - 1)];
}


trp_hash_node_t *
trp_hash_find(const trp_hash_t *table, uint64_t hash)
{
    trp_hash_node_t  *node;

    node = *trp_hash_bucket(table, hash);

    while (node && node->hash != hash) {
        node = node->next;
    }

    return node;
}


trp_hash_node_t *
trp_hash_next(const trp_hash_node_t *node)
{
    uint64_t  hash;

    hash = node->hash;

    do {
        node = node->next;
    } while (node && node->hash != hash);

    return (trp_hash_node_t *) node;
}


void
trp_hash_insert(trp_hash_t *table, trp_hash_node_t *node, uint64_t hash)
{
    trp_hash_node_t  **bucket;

    trp_assert(table->size && (table->size & (table->size - 1)) == 0);

    if (table->n >= table->size * 2) {
        trp_hash_grow(table);
    }

    bucket = trp_hash_bucket(table, hash);

    node->hash = hash;
    node->next = *bucket;
    *bucket = node;

    table->n++;
}


static void
trp_hash_grow(trp_hash_t *table)
{
    size_t             i;
    trp_hash_t         old;
    trp_hash_node_t   *node, *next, **bucket;

    old = *table;

    table->size = old.size * 4;
    table->buckets = table->memory->get(table->memory->data,
                                        table->size * sizeof(*bucket));
    if (table->buckets == NULL) {
        *table = old;
        return;
    }

    memset(table->buckets, 0, table->size * sizeof(*bucket));

    for (i = 0; i < old.size; i++) {
        node = old.buckets ? old.buckets[i] : old.first[i];

        while (node) {
            next = node->next;
            bucket = trp_hash_bucket(table, node->hash);
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }

    if (old.buckets) {
        table->memory->put(table->memory->data, old.buckets);
    }
}


void
trp_hash_remove(trp_hash_t *table, trp_hash_node_t *node)
{
    trp_hash_node_t  **p;

    for (p = trp_hash_bucket(table, node->hash); *p; p = &(*p)->next) {

        if (*p == node) {
            *p = node->next;
            table->n--;
            return;
        }
    }
}


trp_hash_node_t *
trp_hash_walk(const trp_hash_t *table, const trp_hash_node_t *node)
{
    size_t            i;
    trp_hash_node_t  *next;

    if (node && node->next) {
        return node->next;
    }

    for (i = node ? (node->hash & (table->size - 1)) + 1 : 0;
         i < table->size;
         i++)
    {
        next = *trp_hash_bucket(table, i);

        if (next) {
            return next;
        }
    }

    return NULL;
}
