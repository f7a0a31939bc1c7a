
/*
 * Copyright (C) the trp authors
 */


/*
 * The message digests that STUN needs, computed by OpenSSL: HMAC-SHA1
 * (RFC 2104), HMAC-SHA256, MD5 and SHA-256.  The input is the concatenation
 * of several parts.
 */


#ifndef TRP_DIGEST_H_INCLUDED
#define TRP_DIGEST_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_DIGEST_MAX  32


typedef enum {
    TRP_MD5 = 0,
    TRP_SHA1,
    TRP_SHA256
} trp_digest_e;


/* 16, 20 or 32 bytes */

size_t trp_digest_len(trp_digest_e type);


/*
 * Both write trp_digest_len() bytes to "out".  TRP_OK, or TRP_ERROR if OpenSSL
 * fails, as it does for MD5 where a policy forbids it.
 */

int trp_digest(trp_digest_e type, uint8_t *out, const trp_str_t *parts,
    size_t nparts);

int trp_hmac(trp_digest_e type, uint8_t *out, trp_str_t key,
    const trp_str_t *parts, size_t nparts);


#pragma GCC visibility pop


#endif /* TRP_DIGEST_H_INCLUDED */
