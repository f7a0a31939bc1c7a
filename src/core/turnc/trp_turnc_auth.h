
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN client's credentials (RFC 8489, section 9.2), and what it learns
 * from a server's challenges.
 */


#ifndef TRP_TURNC_AUTH_H_INCLUDED
#define TRP_TURNC_AUTH_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* the name and the password, from the configuration; TRP_OK, TRP_ERROR */

int trp_turnc_credentials(trp_turnc_t *client, int64_t wall);

/* takes what 401 and 438 say; TRP_OK, TRP_ERROR */

int trp_turnc_challenge(trp_turnc_t *client, const trp_stun_t *m);
int trp_turnc_stale(trp_turnc_t *client, const trp_stun_t *m);
int trp_turnc_nonce(const trp_stun_t *m, uint8_t *nonce, size_t *len);

/* ends a request with integrity and fingerprint; TRP_OK, TRP_ERROR */

int trp_turnc_sign(trp_turnc_t *client, trp_stun_writer_t *w);
int trp_turnc_sign_with(trp_turnc_t *client, trp_stun_writer_t *w,
    trp_str_t nonce);

/* checks an answer: TRP_OK, or TRP_DECLINED */

int trp_turnc_verify(const trp_turnc_t *client, const trp_stun_t *m);


#pragma GCC visibility pop


#endif /* TRP_TURNC_AUTH_H_INCLUDED */
