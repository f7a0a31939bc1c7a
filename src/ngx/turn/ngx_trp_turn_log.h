
/*
 * Copyright (C) the trp authors
 */


/*
 * What is logged about allocations and refused clients; and variables.
 */


#ifndef _NGX_TRP_TURN_LOG_H_INCLUDED_
#define _NGX_TRP_TURN_LOG_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* a line of access_log; for a TCP client when its connection ends */

void ngx_trp_turn_log_alloc(ngx_trp_turn_alloc_t *alloc);

/* a line of error_log for TRP_TURN_REPORT, unless there are many */

void ngx_trp_turn_log_report(ngx_trp_turn_server_t *server,
    const trp_turn_command_t *command);

/* what is to be logged of a session, or NULL */

typedef ngx_trp_turn_record_t *(*ngx_trp_turn_record_pt)(
    ngx_stream_session_t *s);

/* the zone of the session's configuration; NULL if there is none */

typedef ngx_trp_turn_zone_t *(*ngx_trp_turn_zone_pt)(ngx_stream_session_t *s);

ngx_int_t ngx_trp_turn_log_add_variables(ngx_conf_t *cf,
    ngx_trp_turn_record_pt record, ngx_trp_turn_zone_pt zone);

/* a variable of this prefix: how many answers to METHOD had this CODE */

#define NGX_TRP_TURN_RESPONSES  "trp_turn_responses_"

ngx_int_t ngx_trp_turn_log_responses(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, ngx_str_t *name,
    ngx_trp_turn_zone_t *zone);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_LOG_H_INCLUDED_ */
