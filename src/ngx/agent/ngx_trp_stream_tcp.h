
/*
 * Copyright (C) the trp authors
 */


/*
 * Streams of TCP: bytes, and an end in each direction.
 */


#ifndef _NGX_TRP_STREAM_TCP_H_INCLUDED_
#define _NGX_TRP_STREAM_TCP_H_INCLUDED_


#include "agent/ngx_trp_stream.h"


#pragma GCC visibility push(hidden)


extern const ngx_trp_stream_ops_t  ngx_trp_stream_tcp_ops;


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_TCP_H_INCLUDED_ */
