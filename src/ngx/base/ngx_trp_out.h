
/*
 * Copyright (C) the trp authors
 */


/*
 * Bytes that wait to be written, in one block.  How large a new block is, and
 * where it comes from, may be the owner's business: see the two ways to have
 * a larger one.
 */


#ifndef _NGX_TRP_OUT_H_INCLUDED_
#define _NGX_TRP_OUT_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* zeroed by its owner; what waits is from "pos" to "last" */

typedef struct {
    u_char  *start;                      /* NULL: there is no block */
    size_t   pos;
    size_t   last;
    size_t   size;
} ngx_trp_out_t;


#define ngx_trp_out_pending(out)  ((out)->last - (out)->pos)


/*
 * Where "size" more bytes can be put; the owner then adds to "last" what it
 * has put there.  What waits may be moved to the start of the block.  NULL:
 * the block is too small, or there is none.
 */

static ngx_inline u_char *
ngx_trp_out_space(ngx_trp_out_t *out, size_t size)
{
    size_t  used;

    if (out->size - out->last >= size && out->start) {
        return out->start + out->last;
    }

    used = ngx_trp_out_pending(out);

    if (out->size - used < size || out->start == NULL) {
        return NULL;
    }

    ngx_memmove(out->start, out->start + out->pos, used);

    out->pos = 0;
    out->last = used;

    return out->start + used;
}


/*
 * "p" is the block from now on: all that waits is copied to it, and the one
 * before, which came from ngx_alloc(), is freed.  "size" is at least what
 * waits.
 */

void ngx_trp_out_replace(ngx_trp_out_t *out, u_char *p, size_t size);

/* the same with a block of ngx_alloc(); NGX_ERROR: no memory, nothing done */

ngx_int_t ngx_trp_out_grow(ngx_trp_out_t *out, size_t size, ngx_log_t *log);

/* the block, and what waits in it */

void ngx_trp_out_free(ngx_trp_out_t *out);


#pragma GCC visibility pop


#endif /* _NGX_TRP_OUT_H_INCLUDED_ */
