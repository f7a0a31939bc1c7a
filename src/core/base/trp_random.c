
/*
 * Copyright (C) the trp authors
 */


/*
 * Random bytes from ChaCha20: each request uses a new keystream, with a
 * counter as the nonce.
 */


#include "base/trp_random.h"

#include <string.h>

#include <sodium.h>


void
trp_random_init(trp_random_t *random, const uint8_t *seed)
{
    memcpy(random->seed, seed, TRP_RANDOM_SEED_LEN);
    random->counter = 0;
}


void
trp_random_bytes(trp_random_t *random, void *out, size_t len)
{
    uint8_t  nonce[crypto_stream_chacha20_NONCEBYTES];

    memcpy(nonce, &random->counter, sizeof(nonce));
    random->counter++;

    crypto_stream_chacha20(out, len, nonce, random->seed);
}


uint32_t
trp_random_below(trp_random_t *random, uint32_t n)
{
    uint32_t  value;

    trp_assert(n > 0);

    trp_random_bytes(random, &value, sizeof(value));

    return (uint32_t) (((uint64_t) value * n) >> 32);
}
