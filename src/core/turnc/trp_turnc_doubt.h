
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether the server still has the allocation.
 *
 * A server that was restarted has forgotten its allocations.  All servers say
 * so in answer to Refresh (RFC 8656, section 7.2: 437), but some answer 400 to
 * what else presupposes an allocation, or nothing, and drop data in silence.
 */


#ifndef TRP_TURNC_DOUBT_H_INCLUDED
#define TRP_TURNC_DOUBT_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/*
 * Something has failed as it would if the server had forgotten the allocation:
 * asks it with a Refresh, unless it was asked a moment ago.  1 while there is
 * no answer yet.
 */

int trp_turnc_doubt(trp_turnc_t *client);

/* a datagram goes to a peer, or waits for that */

void trp_turnc_wait(trp_turnc_t *client);

void trp_turnc_silence_timer(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_DOUBT_H_INCLUDED */
