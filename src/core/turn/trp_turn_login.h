
/*
 * Copyright (C) the trp authors
 */


/*
 * Authentication of requests to a TURN server.
 */


#ifndef TRP_TURN_LOGIN_H_INCLUDED
#define TRP_TURN_LOGIN_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


/*
 * TRP_OK: the request is from turn->username, and turn->request says how its
 * answer is signed.  TRP_DECLINED: it has been answered, if at all.
 */

int trp_turn_authenticate(trp_turn_t *turn, const trp_stun_t *m);

/* what nonces tell about this server: TRP_TURN_NONCE_* */

unsigned trp_turn_features(const trp_turn_t *turn);

/*
 * TRP_OK if an error may be sent to an unknown source; the second function
 * sends one in this case.
 */

int trp_turn_stranger(trp_turn_t *turn);
void trp_turn_stranger_error(trp_turn_t *turn, unsigned code);


#pragma GCC visibility pop


#endif /* TRP_TURN_LOGIN_H_INCLUDED */
