
/*
 * Copyright (C) the trp authors
 */


/*
 * What connection ids of QUIC say: the id that an agent chooses for its first
 * packets has the slot of its group, as a hint, and the ids of a relay have the
 * slot of the process that has the connection.
 */


#ifndef TRP_QUIC_ID_H_INCLUDED
#define TRP_QUIC_ID_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_QUIC_HINT_LEN     16     /* of an agent's first id */
#define TRP_QUIC_HINT_RANDOM  12     /* bytes among them */

#define TRP_QUIC_ID_LEN       12     /* of a relay's ids */
#define TRP_QUIC_ID_RANDOM    10     /* bytes among them */


/* "slot" is negative if the agent does not know its group's */

void trp_quic_hint_put(uint8_t *out, int slot, const uint8_t *random);

/* the slot; TRP_DECLINED: it says nothing */

int trp_quic_hint_get(const uint8_t *id, size_t len);


void trp_quic_id_put(uint8_t *out, unsigned slot, const uint8_t *random);

/* the process's slot; TRP_DECLINED: the id is none of a relay */

int trp_quic_id_get(const uint8_t *id, size_t len);


#pragma GCC visibility pop


#endif /* TRP_QUIC_ID_H_INCLUDED */
