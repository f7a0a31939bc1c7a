
/*
 * Copyright (C) the trp authors
 */


/*
 * Numbers that look random and are the same in every run: xorshift32.
 *
 *     rnd_seed(7);
 *     n = rnd(6);                            0..5
 */


#ifndef RND_H_INCLUDED
#define RND_H_INCLUDED


#include <stdint.h>


static uint32_t  rnd_state = 1;


/* must not be zero */

static inline void
rnd_seed(uint32_t seed)
{
    rnd_state = seed;
}


static inline uint32_t
rnd(uint32_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 17;
    rnd_state ^= rnd_state << 5;

    return (uint32_t) (((uint64_t) rnd_state * n) >> 32);
}


#endif /* RND_H_INCLUDED */
