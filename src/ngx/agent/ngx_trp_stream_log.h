
/*
 * Copyright (C) the trp authors
 */


/*
 * What the log says of a stream.
 */


#ifndef _NGX_TRP_STREAM_LOG_H_INCLUDED_
#define _NGX_TRP_STREAM_LOG_H_INCLUDED_


#include "agent/ngx_trp_stream_types.h"


#pragma GCC visibility push(hidden)


/*
 * The session is over: one line, unless both directions have ended, or the
 * failure has been logged before.
 */

void ngx_trp_stream_log_end(ngx_trp_stream_t *st, ngx_log_t *log);

/* a line with what it takes to follow a stream across machines */

void ngx_trp_stream_log(ngx_trp_stream_t *st, ngx_uint_t level,
    ngx_log_t *log, const char *what, trp_str_t text);


/* the level at which a refusal, or a timeout in opening, is logged */

ngx_uint_t ngx_trp_stream_level(ngx_trp_stream_t *st);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_LOG_H_INCLUDED_ */
