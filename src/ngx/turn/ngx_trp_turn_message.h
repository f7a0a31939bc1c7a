
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages between the workers of a TURN server: datagrams that arrived in the
 * wrong worker, connections of peers (RFC 6062), and accounts that were
 * removed.
 */


#ifndef _NGX_TRP_TURN_MESSAGE_H_INCLUDED_
#define _NGX_TRP_TURN_MESSAGE_H_INCLUDED_


#include "base/ngx_trp_mesh.h"
#include "turn/trp_turn.h"


#pragma GCC visibility push(hidden)


typedef enum {
    NGX_TRP_TURN_MESSAGE_HELLO = NGX_TRP_MESH_HELLO,
    NGX_TRP_TURN_MESSAGE_DATAGRAM,     /* of "tuple", in the payload */
    NGX_TRP_TURN_MESSAGE_ATTACH,       /* "id", user in the payload */
    NGX_TRP_TURN_MESSAGE_ATTACHED,     /* to "cookie": the peer in "fd", and
                                          a "tally" to write to */
    NGX_TRP_TURN_MESSAGE_DETACHED,     /* "id" has ended */
    NGX_TRP_TURN_MESSAGE_DETACH,       /* "cookie" is to end */
    NGX_TRP_TURN_MESSAGE_REMOVE_ACCOUNT    /* in the payload */
} ngx_trp_turn_message_e;


typedef struct {
    ngx_trp_mesh_message_t       mesh;
    trp_turn_tuple_t             tuple;
    uint64_t                     realm;    /* a hash of it */
    uint64_t                     cookie;
    uint32_t                     id;
    ngx_uint_t                   tally;    /* in the zone */
} ngx_trp_turn_message_t;


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_MESSAGE_H_INCLUDED_ */
