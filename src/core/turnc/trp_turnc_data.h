
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams of the TURN client, to peers and from them.
 */


#ifndef TRP_TURNC_DATA_H_INCLUDED
#define TRP_TURNC_DATA_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* see trp_turnc_send(); the client must be allocated */

int trp_turnc_data_send(trp_turnc_t *client, const trp_taddr_t *addr,
    const uint8_t *p, size_t len);

void trp_turnc_channel_data(trp_turnc_t *client, const uint8_t *p, size_t len);
void trp_turnc_indication(trp_turnc_t *client, const trp_stun_t *m);


#pragma GCC visibility pop


#endif /* TRP_TURNC_DATA_H_INCLUDED */
