
/*
 * Copyright (C) the trp authors
 */


/* Digests and HMACs over several parts, on top of OpenSSL's digests. */


#include "base/trp_digest.h"

#include <string.h>

#include <openssl/evp.h>


#define TRP_HMAC_BLOCK  64             /* of MD5, SHA-1 and SHA-256 */


static const EVP_MD *trp_digest_md(trp_digest_e type);


size_t
trp_digest_len(trp_digest_e type)
{
    switch (type) {

    case TRP_MD5:
        return 16;

    case TRP_SHA1:
        return 20;

    default: /* TRP_SHA256 */
        return 32;
    }
}


int
trp_digest(trp_digest_e type, uint8_t *out, const trp_str_t *parts,
    size_t nparts)
{
    int          ok;
    size_t       i;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return TRP_ERROR;
    }

    ok = EVP_DigestInit_ex(ctx, trp_digest_md(type), NULL);

    for (i = 0; ok && i < nparts; i++) {
        ok = EVP_DigestUpdate(ctx, parts[i].data, parts[i].len);
    }

    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);

    EVP_MD_CTX_free(ctx);

    return ok ? TRP_OK : TRP_ERROR;
}


int
trp_hmac(trp_digest_e type, uint8_t *out, trp_str_t key,
    const trp_str_t *parts, size_t nparts)
{
    int        rc;
    size_t     i;
    uint8_t    pad[TRP_HMAC_BLOCK], inner[TRP_DIGEST_MAX];
    trp_str_t  all[8];

    if (nparts > sizeof(all) / sizeof(all[0]) - 1) {
        return TRP_ERROR;
    }

    memset(pad, 0, sizeof(pad));

    if (key.len > sizeof(pad)) {
        if (trp_digest(type, pad, &key, 1) != TRP_OK) {
            return TRP_ERROR;
        }

    } else if (key.len) {
        memcpy(pad, key.data, key.len);
    }

    for (i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36;
    }

    all[0].data = pad;
    all[0].len = sizeof(pad);
    memcpy(&all[1], parts, nparts * sizeof(trp_str_t));

    rc = trp_digest(type, inner, all, nparts + 1);

    for (i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }

    all[1].data = inner;
    all[1].len = trp_digest_len(type);

    return (rc == TRP_OK) ? trp_digest(type, out, all, 2) : rc;
}


static const EVP_MD *
trp_digest_md(trp_digest_e type)
{
    switch (type) {

    case TRP_MD5:
        return EVP_md5();

    case TRP_SHA1:
        return EVP_sha1();

    default: /* TRP_SHA256 */
        return EVP_sha256();
    }
}
