
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream at the relay, from OPEN to its end.
 */


#ifndef _NGX_TRP_JOINT_TYPES_H_INCLUDED_
#define _NGX_TRP_JOINT_TYPES_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


struct ngx_trp_joint_s {
    ngx_pool_t       *pool;
    ngx_trp_peer_t   *entry;             /* never NULL */
    ngx_trp_peer_t   *reverse;           /* NULL until one is found */

    trp_open_t        open;              /* strings in the pool */
    ngx_str_t         host;
    ngx_str_t         destination;
    ngx_str_t         name;              /* of the entry */
    ngx_str_t         group;
    u_char           *frame;             /* OPEN, as it came */
    size_t            frame_len;

    u_char           *early;             /* frames before a reverse */
    size_t            early_len;
    size_t            early_data;        /* payload of them */

    ngx_trp_seeker_t  seeker;
    ngx_event_t       timer;             /* until a reverse is found */
    ngx_msec_t        left;              /* to wait when it has run out */

    ngx_uint_t        number;
    time_t            start_sec;
    ngx_msec_t        start_msec;
    off_t             received;          /* from the user */
    off_t             sent;              /* to the user */

    ngx_uint_t        code;              /* trp_code_e */
    const char       *why;               /* it was aborted, or NULL */
    unsigned          opened:1;
    unsigned          accepted:1;
    unsigned          retried:1;         /* the entry tries once more */
    unsigned          silent:1;          /* its reverse, and that is logged */
    unsigned          up:1;              /* END went up, to the reverse */
    unsigned          down:1;            /* END went down, to the entry */
};


#endif /* _NGX_TRP_JOINT_TYPES_H_INCLUDED_ */
