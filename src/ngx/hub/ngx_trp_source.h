
/*
 * Copyright (C) the trp authors
 */


/*
 * A source of tunnels, as a stream sees it: a pool of tunnels to a relay, or
 * the relay of this nginx.
 */


#ifndef _NGX_TRP_SOURCE_H_INCLUDED_
#define _NGX_TRP_SOURCE_H_INCLUDED_


#include "tunnel/ngx_trp_holder.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_source_s  ngx_trp_source_t;


typedef struct {

    /* 0: a stream would only take connections from others */
    ngx_uint_t           (*admits)(ngx_trp_source_t *source);

    /* a tunnel on which OPEN may be sent, or NULL */
    ngx_trp_tunnel_t    *(*get)(ngx_trp_source_t *source);

    /* its attach() is called as soon as there is one, unless cancelled */
    void                 (*wait)(ngx_trp_source_t *source,
                                 ngx_trp_holder_t *holder);
    void                 (*cancel)(ngx_trp_source_t *source,
                                   ngx_trp_holder_t *holder);

} ngx_trp_source_ops_t;


struct ngx_trp_source_s {
    const ngx_trp_source_ops_t  *ops;
    ngx_str_t                    name;    /* of the relay, for the log */
    const ngx_str_t             *group;
    ngx_int_t                    spare;   /* what the next OPEN says */
};


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOURCE_H_INCLUDED_ */
