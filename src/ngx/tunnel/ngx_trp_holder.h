
/*
 * Copyright (C) the trp authors
 */


/*
 * The holder of a tunnel: a stream that reads and writes it at this end.  The
 * owner of the tunnel, a pool or the relay, passes on what comes from it.
 */


#ifndef _NGX_TRP_HOLDER_H_INCLUDED_
#define _NGX_TRP_HOLDER_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/*
 * What has a tunnel, or waits for one, as the owner sees it: tunnel->holder,
 * which the holder itself sets and clears.  No function here may close the
 * tunnel.
 */

typedef struct {

    /* it has waited: from now on the tunnel belongs to it */
    void                   (*attach)(ngx_trp_holder_t *holder,
                                     ngx_trp_tunnel_t *t);

    /* it no longer waits: the relay cannot be reached, others may be */
    void                   (*reopen)(ngx_trp_holder_t *holder);

    /* it no longer waits: it will get none, "code" and "why" say why */
    void                   (*fail)(ngx_trp_holder_t *holder, ngx_uint_t code,
                                   const char *why);

    /*
     * The tunnel has bytes.  NGX_OK: the holder has read them itself, at once,
     * before other events of this turn, and may be gone.  NGX_AGAIN: the next
     * frame may be read.  NGX_DECLINED: the same, but the holder takes no DATA
     * now.
     */
    ngx_int_t              (*readable)(ngx_trp_holder_t *holder);

    /* the tunnel takes output again */
    void                   (*writable)(ngx_trp_holder_t *holder);

    /* NGX_OK, or NGX_DONE if the frame ends the far end's direction */
    ngx_int_t              (*frame)(ngx_trp_holder_t *holder,
                                    trp_frame_t *frame);

    /* this worker begins to exit */
    void                   (*drain)(ngx_trp_holder_t *holder);

    /* both ends have passed, and the tunnel is needed elsewhere */
    void                   (*detach)(ngx_trp_holder_t *holder);

    /* the tunnel is about to be closed */
    void                   (*lost)(ngx_trp_holder_t *holder);

    /* 1 if another relay may serve it */
    ngx_uint_t             (*elsewhere)(ngx_trp_holder_t *holder);

} ngx_trp_holder_ops_t;


struct ngx_trp_holder_s {
    const ngx_trp_holder_ops_t  *ops;
    ngx_queue_t                  queue;   /* of those that wait */
};


/* the owner's readable() and writable(), while the tunnel may have a holder */

void ngx_trp_holder_readable(ngx_trp_tunnel_t *t);
void ngx_trp_holder_writable(ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HOLDER_H_INCLUDED_ */
