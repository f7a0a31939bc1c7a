
/*
 * Copyright (C) the trp authors
 */


/*
 * Allocates, enlarges and frees the block of an ngx_trp_out_t.
 */


#include "base/ngx_trp_out.h"


void
ngx_trp_out_replace(ngx_trp_out_t *out, u_char *p, size_t size)
{
    size_t  used;

    used = ngx_trp_out_pending(out);

    trp_assert(size >= used);

    if (out->start) {
        ngx_memcpy(p, out->start + out->pos, used);
        ngx_free(out->start);
    }

    out->start = p;
    out->pos = 0;
    out->last = used;
    out->size = size;
}


ngx_int_t
ngx_trp_out_grow(ngx_trp_out_t *out, size_t size, ngx_log_t *log)
{
    u_char  *p;

    p = ngx_alloc(size, log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_out_replace(out, p, size);

    return NGX_OK;
}


void
ngx_trp_out_free(ngx_trp_out_t *out)
{
    ngx_free(out->start);
    ngx_memzero(out, sizeof(ngx_trp_out_t));
}
