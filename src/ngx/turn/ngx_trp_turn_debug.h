
/*
 * Copyright (C) the trp authors
 */


/*
 * The debug log of a TURN server: a line for each request, answer and command,
 * but none for data.  Without NGX_DEBUG, nothing of it is compiled in.
 */


#ifndef _NGX_TRP_TURN_DEBUG_H_INCLUDED_
#define _NGX_TRP_TURN_DEBUG_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


#if (NGX_DEBUG)

#define ngx_trp_turn_debug_request(server, tuple, data, len)                  \
    if ((server)->log->log_level & NGX_LOG_DEBUG_STREAM) {                    \
        ngx_trp_turn_debug_request_line(server, tuple, data, len);            \
    }

#define ngx_trp_turn_debug_command(server, command)                           \
    if ((server)->log->log_level & NGX_LOG_DEBUG_STREAM) {                    \
        ngx_trp_turn_debug_command_line(server, command);                     \
    }

#define ngx_trp_turn_debug_answer(server, to, data, len)                      \
    if ((server)->log->log_level & NGX_LOG_DEBUG_STREAM) {                    \
        ngx_trp_turn_debug_answer_line(server, to, data, len);                \
    }

void ngx_trp_turn_debug_request_line(ngx_trp_turn_server_t *server,
    const trp_turn_tuple_t *tuple, const u_char *data, size_t len);

/* logs nothing for commands that carry data */

void ngx_trp_turn_debug_command_line(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command);

/* for an answer that is not a command */

void ngx_trp_turn_debug_answer_line(ngx_trp_turn_server_t *server,
    const trp_taddr_t *to, const u_char *data, size_t len);

const char *ngx_trp_turn_debug_message(ngx_trp_turn_message_e type);

#else

#define ngx_trp_turn_debug_request(server, tuple, data, len)
#define ngx_trp_turn_debug_command(server, command)
#define ngx_trp_turn_debug_answer(server, to, data, len)

#endif


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_DEBUG_H_INCLUDED_ */
