
/*
 * Copyright (C) the trp authors
 */


/*
 * A stream that looks for a reverse of a group at a relay: one that an entry
 * has opened, or one of this nginx.
 */


#ifndef _NGX_TRP_SEEKER_H_INCLUDED_
#define _NGX_TRP_SEEKER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_group_s    ngx_trp_group_t;
typedef struct ngx_trp_peer_s     ngx_trp_peer_t;
typedef struct ngx_trp_seeker_s   ngx_trp_seeker_t;
typedef struct ngx_trp_service_s  ngx_trp_service_t;


struct ngx_trp_seeker_s {
    ngx_queue_t            queue;        /* in group->waiting */
    ngx_trp_group_t       *group;
    const u_char          *id;           /* of the stream */
    ngx_trp_service_t     *service;      /* only its publishers; NULL: any */

    /* it has waited: this reverse is its own from now on */
    void                 (*found)(ngx_trp_seeker_t *seeker,
                                  ngx_trp_peer_t *reverse);

    /* it waits, and there has been no reverse for some time; or NULL */
    void                 (*absent)(ngx_trp_seeker_t *seeker);

    unsigned               waiting:1;
    unsigned               impatient:1;  /* takes any reverse by now */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_SEEKER_H_INCLUDED_ */
