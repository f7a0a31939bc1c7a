
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
 * The session is over: one line, unless both directions have ended, or what
 * went wrong was logged before.
 */

void ngx_trp_stream_log_end(ngx_trp_stream_t *st, ngx_log_t *log);

/* a line with all that follows a stream across machines */

void ngx_trp_stream_log(ngx_trp_stream_t *st, ngx_uint_t level,
    ngx_log_t *log, const char *what, trp_str_t text);


/* how loud it is that a stream was refused, or not opened in time */

ngx_uint_t ngx_trp_stream_level(ngx_trp_stream_t *st);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_LOG_H_INCLUDED_ */
