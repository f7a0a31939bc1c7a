
/*
 * Copyright (C) the trp authors
 */


/*
 * The elements of OpenSSH's private keys and authorized keys: numbers and
 * strings as in RFC 4251, section 5, and public keys.
 */


#ifndef TRP_SSH_H_INCLUDED
#define TRP_SSH_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_KEY_PUBLIC_LEN  32     /* Ed25519 */


extern const trp_str_t  trp_ssh_ed25519;


/* each advances "in" past what it reads: TRP_OK or TRP_ERROR */

int trp_ssh_uint32(trp_str_t *in, uint32_t *value);
int trp_ssh_string(trp_str_t *in, trp_str_t *value);


/*
 * Reads a public key from "in": RFC 8709, section 4.  TRP_OK; TRP_DECLINED
 * with its type if it is of another type; TRP_ERROR if it is malformed.
 */

int trp_ssh_public_key(trp_str_t *in, trp_str_t *type, trp_str_t *key);


/* 1 if the text starts like the type of any public key */

int trp_ssh_type_known(trp_str_t text);


#pragma GCC visibility pop


#endif /* TRP_SSH_H_INCLUDED */
