
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits of bandwidth, of keys and groups, for the streams that they carry.
 */


#ifndef _NGX_TRP_BANDWIDTH_H_INCLUDED_
#define _NGX_TRP_BANDWIDTH_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


/*
 * The limit of a key or a group is known, or has changed; it is not needed any
 * more.
 */

void ngx_trp_bandwidth_set(ngx_trp_usage_t *usage);
void ngx_trp_bandwidth_free(ngx_trp_usage_t *usage);

/*
 * A stream is accepted: from now on, its tunnels are read as fast as the limits
 * allow.  "entry" is NULL if its user is of this nginx.  It is over for a
 * tunnel: that is read freely.
 */

void ngx_trp_bandwidth_start(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse);
void ngx_trp_bandwidth_stop(ngx_trp_peer_t *peer);


#pragma GCC visibility pop


#endif /* _NGX_TRP_BANDWIDTH_H_INCLUDED_ */
