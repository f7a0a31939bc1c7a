
/*
 * Copyright (C) the trp authors
 */


/*
 * Bytes of streams: those that were received and not read, and those that are
 * not acknowledged, which ngtcp2 wants to stay where they are.
 */


#include "quic/ngx_trp_quic_bytes.h"


static ngx_trp_quic_block_t *
ngx_trp_quic_block(ngx_trp_quic_t *q, size_t len)
{
    size_t                 size;
    ngx_trp_quic_block_t  *block;

    if (len > NGX_TRP_QUIC_SMALL && q->spare) {
        block = q->spare;
        q->spare = block->next;
        q->nspare--;

    } else {
        size = len > NGX_TRP_QUIC_SMALL ? NGX_TRP_QUIC_BLOCK
                                        : NGX_TRP_QUIC_SMALL;

        block = ngx_alloc(sizeof(ngx_trp_quic_block_t) + size, q->log);
        if (block == NULL) {
            return NULL;
        }

        block->size = size;
    }

    block->next = NULL;
    block->last = 0;

    return block;
}


static void
ngx_trp_quic_block_free(ngx_trp_quic_t *q, ngx_trp_quic_block_t *block)
{
    if (q == NULL || block->size != NGX_TRP_QUIC_BLOCK
        || q->nspare == NGX_TRP_QUIC_SPARE)
    {
        ngx_free(block);
        return;
    }

    block->next = q->spare;
    q->spare = block;
    q->nspare++;
}


ngx_int_t
ngx_trp_quic_bytes_add(ngx_trp_quic_t *q, ngx_trp_quic_bytes_t *bytes,
    const u_char *p, size_t len)
{
    size_t                 n;
    ngx_trp_quic_block_t  *block;

    for ( ;; ) {
        block = bytes->last;

        if (block) {
            n = ngx_min(len, block->size - block->last);

            ngx_memcpy(block->data + block->last, p, n);

            block->last += n;
            p += n;
            len -= n;
        }

        if (len == 0) {
            return NGX_OK;
        }

        /* more bytes soon follow those that did not fit */

        block = ngx_trp_quic_block(q, bytes->last ? NGX_TRP_QUIC_BLOCK : len);
        if (block == NULL) {
            return NGX_ERROR;
        }

        if (bytes->last) {
            bytes->last->next = block;

        } else {
            bytes->first = block;
            bytes->pos = 0;
        }

        bytes->last = block;
    }
}


size_t
ngx_trp_quic_bytes_take(ngx_trp_quic_t *q, ngx_trp_quic_bytes_t *bytes,
    u_char *buf, size_t len)
{
    size_t                 n, taken;
    ngx_trp_quic_block_t  *block;

    for (taken = 0; (block = bytes->first) != NULL; taken += n) {
        n = ngx_min(len - taken, block->last - bytes->pos);

        if (buf) {
            ngx_memcpy(buf + taken, block->data + bytes->pos, n);
        }

        bytes->pos += n;

        if (bytes->pos < block->last) {
            taken += n;
            break;
        }

        bytes->first = block->next;
        bytes->pos = 0;

        if (bytes->first == NULL) {
            bytes->last = NULL;
        }

        ngx_trp_quic_block_free(q, block);
    }

    return taken;
}


void
ngx_trp_quic_bytes_free(ngx_trp_quic_t *q, ngx_trp_quic_bytes_t *bytes)
{
    ngx_trp_quic_block_t  *block;

    while ((block = bytes->first) != NULL) {
        bytes->first = block->next;
        ngx_trp_quic_block_free(q, block);
    }

    bytes->last = NULL;
    bytes->pos = 0;
}


void
ngx_trp_quic_bytes_trim(ngx_trp_quic_t *q)
{
    ngx_trp_quic_block_t  *block;

    while ((block = q->spare) != NULL) {
        q->spare = block->next;
        ngx_free(block);
    }

    q->nspare = 0;
}
