
/*
 * Copyright (C) the trp authors
 */


/*
 * The payload of AUTH: whatever is accepted can be signed and verified, and
 * no signature is good for a claim with another bit.
 */


#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "tunnel/trp_auth.h"


#define FRAME_MAX  (TRP_HEADER_LEN + TRP_CONTROL_MAX)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* what is signed as this is let in, and nothing in which a byte differs */

static void
fuzz_signed(trp_auth_t *auth, uint8_t change)
{
    size_t      len;
    uint8_t     nonce[TRP_NONCE_LEN], exporter[TRP_EXPORTER_LEN], seed[32],
                public_key[32], secret[64], buf[FRAME_MAX];
    trp_auth_t  copy;

    memset(nonce, 'n', sizeof(nonce));
    memset(exporter, 'e', sizeof(exporter));
    memset(seed, 's', sizeof(seed));

    crypto_sign_seed_keypair(public_key, secret, seed);

    trp_auth_sign(auth, nonce, exporter, secret);

    len = (size_t) (trp_auth_put(buf, auth) - buf) - TRP_HEADER_LEN;

    if (trp_auth_get(&copy, buf + TRP_HEADER_LEN, len) != TRP_OK
        || trp_auth_verify(&copy, nonce, exporter) != TRP_OK)
    {
        abort();
    }

    /* weight and backup, at the end, are not what a signature is about */

    buf[TRP_HEADER_LEN + change % (len - 3)] ^= 1;

    if (trp_auth_get(&copy, buf + TRP_HEADER_LEN, len) == TRP_OK
        && trp_auth_verify(&copy, nonce, exporter) == TRP_OK)
    {
        abort();
    }
}


/* the input: a byte to change, and the payload of AUTH */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t     zero[32], *p;
    trp_auth_t  auth;

    if (size == 0) {
        return 0;
    }

    /* without a byte to spare, so that ASan sees reads past the end */

    p = malloc(size);
    if (p == NULL) {
        return 0;
    }

    memcpy(p, data, size);
    memset(zero, 0, sizeof(zero));

    if (trp_auth_get(&auth, p + 1, size - 1) == TRP_OK) {
        (void) trp_auth_verify(&auth, zero, zero);
        fuzz_signed(&auth, p[0]);
    }

    free(p);

    return 0;
}
