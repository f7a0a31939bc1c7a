
/*
 * Copyright (C) the trp authors
 */


/*
 * Executes the commands of the core: data to clients and to peers, and the
 * begin and end of allocations.
 */


#ifndef _NGX_TRP_TURN_COMMANDS_H_INCLUDED_
#define _NGX_TRP_TURN_COMMANDS_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* ngx_trp_turn_command_pt */

void ngx_trp_turn_carry_out(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, const trp_turn_command_t *command);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_COMMANDS_H_INCLUDED_ */
