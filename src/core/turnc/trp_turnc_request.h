
/*
 * Copyright (C) the trp authors
 */


/*
 * Requests of the TURN client: sent until an answer comes, and sent anew when
 * the server wants credentials or another nonce.
 */


#ifndef TRP_TURNC_REQUEST_H_INCLUDED
#define TRP_TURNC_REQUEST_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* 1 if there are as many requests as there may be */

int trp_turnc_busy(const trp_turnc_t *client);

/* sends a request with a transaction that is not active */

void trp_turnc_request(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_turnc_request_t *request);

/* cancels it; it may have ended before */

void trp_turnc_request_end(trp_turnc_t *client, trp_turnc_transaction_t *t);

void trp_turnc_request_timer(trp_turnc_t *client, trp_turnc_transaction_t *t);
void trp_turnc_answer(trp_turnc_t *client, const trp_stun_t *m);

/* 1 for an error that ends the allocation, whatever the request was */

int trp_turnc_fatal(unsigned code);


#pragma GCC visibility pop


#endif /* TRP_TURNC_REQUEST_H_INCLUDED */
