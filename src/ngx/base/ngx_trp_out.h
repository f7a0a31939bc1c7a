
/*
 * Copyright (C) the trp authors
 */


/*
 * Unsent output in one block.  To enlarge it, the owner either provides a
 * larger block, or has one allocated.
 */


#ifndef _NGX_TRP_OUT_H_INCLUDED_
#define _NGX_TRP_OUT_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* initially all zero; the unsent bytes are from "pos" to "last" */

typedef struct {
    u_char  *start;                      /* NULL: there is no block */
    size_t   pos;
    size_t   last;
    size_t   size;
} ngx_trp_out_t;


#define ngx_trp_out_pending(out)  ((out)->last - (out)->pos)


/*
 * Space for "size" more bytes; the owner adds to "last" what it has written
 * there.  May move the unsent bytes to the start of the block.  NULL: the
 * block is too small, or there is none.
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
 * Makes "p" the block: the unsent bytes are copied to it, and the old block,
 * from ngx_alloc(), is freed.  "size" must be enough for the unsent bytes.
 */

void ngx_trp_out_replace(ngx_trp_out_t *out, u_char *p, size_t size);

/* the same with a block from ngx_alloc(); NGX_ERROR: no memory, no change */

ngx_int_t ngx_trp_out_grow(ngx_trp_out_t *out, size_t size, ngx_log_t *log);

/* frees the block and the unsent bytes in it */

void ngx_trp_out_free(ngx_trp_out_t *out);


#pragma GCC visibility pop


#endif /* _NGX_TRP_OUT_H_INCLUDED_ */
