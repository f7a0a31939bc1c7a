
/*
 * Copyright (C) the trp authors
 */


/*
 * How an HTTP proxy wants a client to authenticate itself, and what the client
 * answers: the schemes Basic (RFC 7617) and Digest (RFC 7616, with MD5 and
 * SHA-256; RFC 2069 without "qop").
 */


#ifndef TRP_CHALLENGE_H_INCLUDED
#define TRP_CHALLENGE_H_INCLUDED


#include "base/trp_core.h"
#include "base/trp_digest.h"


#pragma GCC visibility push(hidden)


#define TRP_CHALLENGE_REALM    256
#define TRP_CHALLENGE_VALUE    512

/* of trp_challenge_answer(), with a user and password of that length */
#define TRP_CHALLENGE_USER     255
#define TRP_CHALLENGE_ANSWER   3072

#define TRP_CHALLENGE_CNONCE   64


/* the better one is greater */

typedef enum {
    TRP_CHALLENGE_NONE = 0,
    TRP_CHALLENGE_BASIC,
    TRP_CHALLENGE_MD5,
    TRP_CHALLENGE_SHA256
} trp_challenge_e;


/* texts are as they came, with backslashes in front of what was quoted */

typedef struct {
    trp_challenge_e  scheme;
    uint32_t     count;            /* requests with this nonce so far */
    uint16_t     realm_len;
    uint16_t     nonce_len;
    uint16_t     opaque_len;
    uint8_t      realm[TRP_CHALLENGE_REALM];
    uint8_t      nonce[TRP_CHALLENGE_VALUE];
    uint8_t      opaque[TRP_CHALLENGE_VALUE];
    unsigned     has_opaque:1;
    unsigned     auth:1;           /* qop=auth */
    unsigned     session:1;        /* "-sess" */
    unsigned     userhash:1;
    unsigned     stale:1;
} trp_challenge_t;


/*
 * Reads the value of a "Proxy-Authenticate", in which there may be several
 * challenges; "challenge" becomes the best of these if that is better than what
 * it was.  Those that are malformed or of other schemes are passed over.
 */

void trp_challenge_parse(trp_challenge_t *challenge, trp_str_t value);

/*
 * Writes the value of "Proxy-Authorization" for a request, at most
 * TRP_CHALLENGE_ANSWER bytes; returns the length.  "cnonce" is random text of
 * at most TRP_CHALLENGE_CNONCE bytes.  Counts the request.  0: OpenSSL has no
 * MD5, as a policy forbids it.
 */

size_t trp_challenge_answer(trp_challenge_t *challenge, uint8_t *p,
    trp_str_t user, trp_str_t password, trp_str_t method, trp_str_t uri,
    trp_str_t cnonce);


#pragma GCC visibility pop


#endif /* TRP_CHALLENGE_H_INCLUDED */
