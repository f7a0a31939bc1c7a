
/*
 * Copyright (C) the trp authors
 */


/*
 * An agent's private key, Ed25519, in the files that people already have:
 * PKCS#8 PEM (RFC 8410, section 7), an unencrypted OpenSSH key
 * (openssh-key-v1), or 64 raw bytes, the seed and then the public key.
 */


#ifndef TRP_KEY_H_INCLUDED
#define TRP_KEY_H_INCLUDED


#include "tunnel/trp_ssh.h"


#pragma GCC visibility push(hidden)


#define TRP_KEY_SECRET_LEN  64     /* libsodium's form: seed, public key */


/*
 * Reads a private key of any of the three forms into libsodium's form.
 * Returns NULL, or the end of a sentence that starts with the file's name:
 * "is encrypted, remove the passphrase with \"ssh-keygen -p\"".  Leaves no
 * copy of the secret but the result.
 */

const char *trp_key_parse(uint8_t secret[TRP_KEY_SECRET_LEN], trp_str_t file);


/* "SHA256:…" as ssh-keygen -l shows it, with a zero at the end */

#define TRP_FINGERPRINT_LEN  (sizeof("SHA256:") + 44)

void trp_key_fingerprint(char text[TRP_FINGERPRINT_LEN],
    const uint8_t public_key[TRP_KEY_PUBLIC_LEN]);


#pragma GCC visibility pop


#endif /* TRP_KEY_H_INCLUDED */
