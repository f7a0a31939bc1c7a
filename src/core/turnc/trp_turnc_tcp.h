
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections of the TURN client to peers (RFC 6062): Connect on the control
 * connection, ConnectionBind on one for data.
 */


#ifndef TRP_TURNC_TCP_H_INCLUDED
#define TRP_TURNC_TCP_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* see trp_turnc.h; the client must be allocated */

int trp_turnc_tcp_connect(trp_turnc_t *client, const trp_taddr_t *peer,
    void *connect);
void trp_turnc_tcp_forget(trp_turnc_t *client, void *connect);
size_t trp_turnc_tcp_bind(trp_turnc_t *client, uint32_t connection,
    uint8_t *p, uint8_t *id);

/* see trp_turnc.h */

int trp_turnc_tcp_bound(trp_turnc_t *client, const uint8_t *p, size_t len,
    const uint8_t *id, unsigned *code);

void trp_turnc_connects_free(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_TCP_H_INCLUDED */
