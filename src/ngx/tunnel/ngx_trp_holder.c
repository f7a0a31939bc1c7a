
/*
 * Copyright (C) the trp authors
 */


/*
 * Reading a tunnel for its holder: it reads the bytes of its stream itself,
 * all else is read here.
 */


#include "tunnel/ngx_trp_holder.h"
#include "tunnel/ngx_trp_tunnel.h"


void
ngx_trp_holder_readable(ngx_trp_tunnel_t *t)
{
    ngx_int_t          rc, taken;
    ngx_trp_holder_t  *holder;

    rc = NGX_DONE;

    do {
        holder = t->holder;
        taken = holder ? holder->ops->readable(holder) : NGX_DECLINED;

        if (taken == NGX_OK || (rc == NGX_OK && taken == NGX_DECLINED)) {

            /* DATA of an aborted stream waits until its session has closed */
            return;
        }

        rc = ngx_trp_tunnel_input(t);

    } while (rc == NGX_OK || rc == NGX_DONE);
}


void
ngx_trp_holder_writable(ngx_trp_tunnel_t *t)
{
    if (t->holder) {
        t->holder->ops->writable(t->holder);
    }
}
