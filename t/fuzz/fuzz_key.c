
/*
 * Copyright (C) the trp authors
 */


/*
 * A private key in any of its forms: what is accepted is a valid secret key,
 * and what is refused leaves no secret behind.
 */


#include <stdlib.h>

#include <sodium.h>

#include "tunnel/trp_key.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* the input: a private key */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t     secret[TRP_KEY_SECRET_LEN], public_key[TRP_KEY_PUBLIC_LEN];
    uint8_t     same[TRP_KEY_SECRET_LEN];
    trp_str_t   file;

    file.len = size;
    file.data = data;

    if (trp_key_parse(secret, file) != NULL) {

        if (!sodium_is_zero(secret, sizeof(secret))) {
            abort();
        }

        return 0;
    }

    crypto_sign_ed25519_seed_keypair(public_key, same, secret);

    if (sodium_memcmp(secret, same, sizeof(secret)) != 0) {
        abort();
    }

    return 0;
}
