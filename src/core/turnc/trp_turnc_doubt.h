
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether the server still has the allocation.
 *
 * A server that was restarted has forgotten its allocations.  All servers say
 * so when asked to Refresh (RFC 8656, section 7.2: 437).  But to other requests
 * some answer 400, or nothing, and they drop data silently.
 */


#ifndef TRP_TURNC_DOUBT_H_INCLUDED
#define TRP_TURNC_DOUBT_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/*
 * Something has failed as if the server had forgotten the allocation: asks with
 * a Refresh, unless that was done a moment ago.  1 if the answer is pending.
 */

int trp_turnc_doubt(trp_turnc_t *client);

/* a datagram is sent to a peer, or waits */

void trp_turnc_wait(trp_turnc_t *client);

void trp_turnc_silence_timer(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_DOUBT_H_INCLUDED */
