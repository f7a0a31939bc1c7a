
/*
 * Copyright (C) the trp authors
 */


/*
 * Random bytes from a seed (ChaCha20): seeded from the system's generator, or
 * with a fixed value in tests.
 */


#ifndef TRP_RANDOM_H_INCLUDED
#define TRP_RANDOM_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_RANDOM_SEED_LEN  32


typedef struct {
    uint8_t   seed[TRP_RANDOM_SEED_LEN];
    uint64_t  counter;
} trp_random_t;


void trp_random_init(trp_random_t *random, const uint8_t *seed);
void trp_random_bytes(trp_random_t *random, void *out, size_t len);

/* 0 .. n - 1, for n > 0 */

uint32_t trp_random_below(trp_random_t *random, uint32_t n);


#pragma GCC visibility pop


#endif /* TRP_RANDOM_H_INCLUDED */
