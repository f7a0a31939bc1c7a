
/*
 * Copyright (C) the trp authors
 */


/*
 * An agent's private key, Ed25519, in one of three common formats: PKCS#8 PEM
 * (RFC 8410, section 7), an unencrypted OpenSSH key (openssh-key-v1), or 64
 * raw bytes, the seed and then the public key.
 */


#ifndef TRP_KEY_H_INCLUDED
#define TRP_KEY_H_INCLUDED


#include "tunnel/trp_ssh.h"


#pragma GCC visibility push(hidden)


#define TRP_KEY_SECRET_LEN  64     /* as in libsodium: seed, public key */


/*
 * Converts a private key in any of the three formats to libsodium's format.
 * Returns NULL on success, or the rest of an error message that starts with
 * the file's name: "is encrypted, remove the passphrase with
 * \"ssh-keygen -p\"".  Leaves no copy of the secret but the result.
 */

const char *trp_key_parse(uint8_t secret[TRP_KEY_SECRET_LEN], trp_str_t file);

/* 1 if the file has a public key of any kind, which need not be secret */

int trp_key_is_public(trp_str_t file);


/* "SHA256:…" as printed by ssh-keygen -l, null-terminated */

#define TRP_FINGERPRINT_LEN  (sizeof("SHA256:") + 44)

void trp_key_fingerprint(char text[TRP_FINGERPRINT_LEN],
    const uint8_t public_key[TRP_KEY_PUBLIC_LEN]);


#pragma GCC visibility pop


#endif /* TRP_KEY_H_INCLUDED */
