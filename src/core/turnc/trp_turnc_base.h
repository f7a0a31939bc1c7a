
/*
 * Copyright (C) the trp authors
 */


/*
 * What all files of the TURN client need: output to the server, events, and
 * failure.
 */


#ifndef TRP_TURNC_BASE_H_INCLUDED
#define TRP_TURNC_BASE_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* sends a message or ChannelData to the server */

void trp_turnc_out(trp_turnc_t *client, const uint8_t *p, size_t len);

/*
 * An event of this type, to be filled in.  A message or a timer makes at most
 * one, and no other is handled until the caller has taken it.
 */

trp_turnc_event_t *trp_turnc_tell(trp_turnc_t *client, trp_turnc_event_e type);

/* success, or data of a peer has come: the server has the allocation */

void trp_turnc_heard(trp_turnc_t *client, int data);

/*
 * The allocation is over, or there will be none.  What belongs to it is freed
 * after the message or the timer has been handled; until then it may be used.
 */

void trp_turnc_fail(trp_turnc_t *client, unsigned code);


#pragma GCC visibility pop


#endif /* TRP_TURNC_BASE_H_INCLUDED */
