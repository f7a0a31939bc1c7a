
/*
 * Copyright (C) the trp authors
 */


/*
 * Commands of a TURN server, for the files that make them.
 */


#ifndef TRP_TURN_COMMAND_H_INCLUDED
#define TRP_TURN_COMMAND_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


/*
 * A new command, all zeros but for its type.  The ends of allocations and of
 * connections are not made here: see trp_turn_t.
 */

trp_turn_command_t *trp_turn_command(trp_turn_t *turn,
    trp_turn_command_e type);

/* lines for the log: a request is not authentic; a peer is denied */

void trp_turn_report_user(trp_turn_t *turn, trp_str_t username,
    trp_turn_report_e why);
void trp_turn_report_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer);

/* for asserts: 1 if no command waits, or none with data in turn->answer */

int trp_turn_idle(const trp_turn_t *turn);
int trp_turn_answer_idle(const trp_turn_t *turn);


#pragma GCC visibility pop


#endif /* TRP_TURN_COMMAND_H_INCLUDED */
