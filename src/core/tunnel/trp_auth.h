
/*
 * Copyright (C) the trp authors
 */


/*
 * Authentication of an agent: the signature over the handshake's transcript.
 *
 * The agent signs, with Ed25519 (RFC 8032), a label, its claims, both nonces
 * and the TLS exporter value of the channel (RFC 9266).  So a signature is
 * valid for one channel to one relay, one role, one group and one name only.
 */


#ifndef TRP_AUTH_H_INCLUDED
#define TRP_AUTH_H_INCLUDED


#include "tunnel/trp_wire.h"


#pragma GCC visibility push(hidden)


#define TRP_EXPORTER_LABEL  "EXPORTER-Channel-Binding"
#define TRP_EXPORTER_LEN    32


/* fills auth->public_key and auth->signature; the rest is set by the caller */

void trp_auth_sign(trp_auth_t *auth, const uint8_t relay_nonce[TRP_NONCE_LEN],
    const uint8_t exporter[TRP_EXPORTER_LEN], const uint8_t secret[64]);


/* TRP_OK if the signature matches auth->public_key, else TRP_ERROR */

int trp_auth_verify(const trp_auth_t *auth,
    const uint8_t relay_nonce[TRP_NONCE_LEN],
    const uint8_t exporter[TRP_EXPORTER_LEN]);


#pragma GCC visibility pop


#endif /* TRP_AUTH_H_INCLUDED */
