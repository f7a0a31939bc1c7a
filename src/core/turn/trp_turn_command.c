
/*
 * Copyright (C) the trp authors
 */


/*
 * What the server wants done: commands wait here for the caller.  The ends of
 * allocations and of connections must not be lost, and wait in lists;
 * everything else is in a bounded ring.
 */


#include "turn/trp_turn_command.h"
#include "turn/trp_turn.h"

#include <string.h>


static const trp_turn_command_t *trp_turn_end(trp_turn_t *turn,
    trp_turn_command_e type, trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection);


void
trp_turn_report_user(trp_turn_t *turn, trp_str_t username,
    trp_turn_report_e why)
{
    trp_turn_command_t  *command;

    turn->stats.unauthenticated++;

    command = trp_turn_command(turn, TRP_TURN_REPORT);

    command->to = &turn->from;
    command->data = username.data;
    command->len = username.len;
    command->why = (uint8_t) why;
}


void
trp_turn_report_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer)
{
    trp_turn_command_t  *command;

    turn->stats.denied++;

    command = trp_turn_command(turn, TRP_TURN_REPORT);

    command->alloc = alloc;
    command->to = &alloc->tuple;
    command->data = alloc->username.data;
    command->len = alloc->username.len;
    command->peer = *peer;
    command->why = TRP_TURN_PEER_DENIED;
}


trp_turn_command_t *
trp_turn_command(trp_turn_t *turn, trp_turn_command_e type)
{
    unsigned             i;
    trp_turn_command_t  *command;

    trp_assert(turn->ncommands < TRP_TURN_COMMANDS);

    if (turn->ncommands < TRP_TURN_COMMANDS) {
        i = (turn->first + turn->ncommands++) % TRP_TURN_COMMANDS;

    } else {

        /* this entry is never read */
        i = TRP_TURN_COMMANDS;
    }

    command = &turn->commands[i];

    memset(command, 0, sizeof(trp_turn_command_t));
    command->type = type;

    return command;
}


/*
 * The end of an allocation comes first, so that what it gives up is free before
 * the answer.  Its memory comes last, as other commands may point to it.
 */

int
trp_turn_next(trp_turn_t *turn, const trp_turn_command_t **command)
{
    trp_turn_alloc_t       *alloc;
    trp_turn_connection_t  *connection;

    if (turn->in_hand) {
        turn->in_hand = 0;
        turn->first = (turn->first + 1) % TRP_TURN_COMMANDS;
        turn->ncommands--;
    }

    if (turn->ended) {
        alloc = turn->ended;
        turn->ended = alloc->next_over;
        alloc->next_over = turn->over;
        turn->over = alloc;

        *command = trp_turn_end(turn, TRP_TURN_END, alloc, NULL);

        return TRP_OK;
    }

    if (turn->ncommands) {
        turn->in_hand = 1;

        *command = &turn->commands[turn->first];

        return TRP_OK;
    }

    if (turn->closed) {
        connection = turn->closed;
        turn->closed = connection->next;

        *command = trp_turn_end(turn, TRP_TURN_DISCONNECT, connection->alloc,
                                connection);

        return TRP_OK;
    }

    if (turn->over) {
        alloc = turn->over;
        turn->over = alloc->next_over;

        *command = trp_turn_end(turn, TRP_TURN_FREE, alloc, NULL);

        return TRP_OK;
    }

    return TRP_DECLINED;
}


static const trp_turn_command_t *
trp_turn_end(trp_turn_t *turn, trp_turn_command_e type,
    trp_turn_alloc_t *alloc, trp_turn_connection_t *connection)
{
    trp_turn_command_t  *command;

    command = &turn->end;

    memset(command, 0, sizeof(trp_turn_command_t));

    command->type = type;
    command->alloc = alloc;
    command->connection = connection;

    return command;
}


int
trp_turn_idle(const trp_turn_t *turn)
{
    return turn->ncommands == 0 && turn->ended == NULL && turn->over == NULL
           && turn->closed == NULL;
}


int
trp_turn_answer_idle(const trp_turn_t *turn)
{
    unsigned                   i;
    const trp_turn_command_t  *command;

    for (i = 0; i < turn->ncommands; i++) {
        command = &turn->commands[(turn->first + i) % TRP_TURN_COMMANDS];

        if (command->data == turn->answer) {
            return 0;
        }
    }

    return 1;
}
