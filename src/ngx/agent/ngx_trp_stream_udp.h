
/*
 * Copyright (C) the trp authors
 */


/*
 * Streams of UDP: datagrams, each of them one frame.
 */


#ifndef _NGX_TRP_STREAM_UDP_H_INCLUDED_
#define _NGX_TRP_STREAM_UDP_H_INCLUDED_


#include "agent/ngx_trp_stream.h"


#pragma GCC visibility push(hidden)


extern const ngx_trp_stream_ops_t  ngx_trp_stream_udp_ops;


#pragma GCC visibility pop


#endif /* _NGX_TRP_STREAM_UDP_H_INCLUDED_ */
