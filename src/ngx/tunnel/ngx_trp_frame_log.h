
/*
 * Copyright (C) the trp authors
 */


/*
 * What "error_log ... debug" tells of a tunnel's frames: a line for each one
 * that comes in or goes out, with the id of the stream that it belongs to.
 * Without NGX_DEBUG nothing of it is there.
 */


#ifndef _NGX_TRP_FRAME_LOG_H_INCLUDED_
#define _NGX_TRP_FRAME_LOG_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/*
 * "way" is "rx" or "tx"; "payload" that of a control frame, with "len" bytes,
 * or NULL, then the line says less.
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
