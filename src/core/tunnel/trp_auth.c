
/*
 * Copyright (C) the trp authors
 */


/*
 * Signs and verifies the transcript of a handshake: a label, the claims with
 * their lengths, both nonces and the exporter value.
 */


#include <string.h>

#include <sodium.h>

#include "tunnel/trp_auth.h"


#define TRP_AUTH_LABEL      "trp/2 auth"

#define TRP_TRANSCRIPT_MAX                                                   \
    (sizeof(TRP_AUTH_LABEL) + 2 + 2 * (1 + TRP_LABEL_MAX)                    \
     + 2 * TRP_NONCE_LEN + TRP_EXPORTER_LEN)


static size_t trp_auth_transcript(uint8_t *buf, const trp_auth_t *auth,
    const uint8_t *relay_nonce, const uint8_t *exporter);


void
trp_auth_sign(trp_auth_t *auth, const uint8_t relay_nonce[TRP_NONCE_LEN],
    const uint8_t exporter[TRP_EXPORTER_LEN], const uint8_t secret[64])
{
    size_t   len;
    uint8_t  buf[TRP_TRANSCRIPT_MAX];

    len = trp_auth_transcript(buf, auth, relay_nonce, exporter);

    (void) crypto_sign_ed25519_detached(auth->signature, NULL, buf, len,
                                        secret);

    (void) crypto_sign_ed25519_sk_to_pk(auth->public_key, secret);
}


int
trp_auth_verify(const trp_auth_t *auth,
    const uint8_t relay_nonce[TRP_NONCE_LEN],
    const uint8_t exporter[TRP_EXPORTER_LEN])
{
    size_t   len;
    uint8_t  buf[TRP_TRANSCRIPT_MAX];

    len = trp_auth_transcript(buf, auth, relay_nonce, exporter);

    if (crypto_sign_ed25519_verify_detached(auth->signature, buf, len,
                                            auth->public_key)
        != 0)
    {
        return TRP_ERROR;
    }

    return TRP_OK;
}


/* every string follows its length, so that the encoding is unambiguous */

static size_t
trp_auth_transcript(uint8_t *buf, const trp_auth_t *auth,
    const uint8_t *relay_nonce, const uint8_t *exporter)
{
    uint8_t  *p;

    p = buf;

    memcpy(p, TRP_AUTH_LABEL, sizeof(TRP_AUTH_LABEL));
    p += sizeof(TRP_AUTH_LABEL);

    *p++ = auth->version;
    *p++ = auth->role;

    *p++ = (uint8_t) auth->group.len;
    memcpy(p, auth->group.data, auth->group.len);
    p += auth->group.len;

    *p++ = (uint8_t) auth->name.len;
    memcpy(p, auth->name.data, auth->name.len);
    p += auth->name.len;

    memcpy(p, relay_nonce, TRP_NONCE_LEN);
    p += TRP_NONCE_LEN;

    memcpy(p, auth->nonce, TRP_NONCE_LEN);
    p += TRP_NONCE_LEN;

    memcpy(p, exporter, TRP_EXPORTER_LEN);
    p += TRP_EXPORTER_LEN;

    return (size_t) (p - buf);
}
