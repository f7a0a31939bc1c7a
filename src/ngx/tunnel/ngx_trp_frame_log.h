
/*
 * Copyright (C) the trp authors
 */


/*
 * The debug log of a tunnel's frames: a line for each frame received or sent,
 * with the id of its stream.  Compiled in with NGX_DEBUG only.
 */


#ifndef _NGX_TRP_FRAME_LOG_H_INCLUDED_
#define _NGX_TRP_FRAME_LOG_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/*
 * "way" is "rx" or "tx"; "payload" is that of a control frame, of "len" bytes,
 * or NULL, with less detail in the line.
 */

#if (NGX_DEBUG)

#define ngx_trp_frame_log(t, way, type, len, payload)                        \
    if ((t)->connection->log->log_level & NGX_LOG_DEBUG_STREAM)              \
        ngx_trp_frame_log_line(t, way, type, len, payload)

void ngx_trp_frame_log_line(ngx_trp_tunnel_t *t, const char *way,
    ngx_uint_t type, size_t len, const u_char *payload);

#else

#define ngx_trp_frame_log(t, way, type, len, payload)

#endif


#pragma GCC visibility pop


#endif /* _NGX_TRP_FRAME_LOG_H_INCLUDED_ */
