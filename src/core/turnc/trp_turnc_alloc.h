
/*
 * Copyright (C) the trp authors
 */


/*
 * The allocation of the TURN client: Allocate, Refresh, and how long it lives.
 */


#ifndef TRP_TURNC_ALLOC_H_INCLUDED
#define TRP_TURNC_ALLOC_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/* its result is an event */

void trp_turnc_allocate(trp_turnc_t *client);

/* unless a request is already on its way */

void trp_turnc_refresh(trp_turnc_t *client);

void trp_turnc_keepalive_timer(trp_turnc_t *client);

/* Refresh with lifetime 0, sent once */

void trp_turnc_delete(trp_turnc_t *client);

/* stops the timers and the request */

void trp_turnc_alloc_end(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_ALLOC_H_INCLUDED */
