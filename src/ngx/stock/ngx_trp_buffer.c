
/*
 * Copyright (C) the trp authors
 */


/*
 * Larger buffers for the stock proxy while it transfers much: fewer system
 * calls for the sockets of users and destinations.  Short connections keep
 * those of nginx, as malloc() returns larger ones to the kernel too often.
 */


#include "stock/ngx_trp_buffer.h"


#define NGX_TRP_BUFFER_DEFAULT  16384     /* of "proxy_buffer_size" */
#define NGX_TRP_BUFFER_SIZE     65536
#define NGX_TRP_BUFFER_MUCH     131072


void
ngx_trp_buffer_grow(ngx_connection_t *c, u_char **buf, size_t size)
{
    off_t                   received;
    u_char                 *p;
    ngx_buf_t              *b;
    ngx_stream_session_t   *s;
    ngx_stream_upstream_t  *u;

    if (size != NGX_TRP_BUFFER_DEFAULT) {
        return;
    }

    s = c->data;
    u = s->upstream;

    if (u == NULL) {
        return;
    }

    if (c == s->connection) {
        b = &u->downstream_buf;
        received = s->received;

    } else {
        b = &u->upstream_buf;
        received = u->received;
    }

    /* it must be empty, and the proxy's */

    if (received < NGX_TRP_BUFFER_MUCH
        || *buf != b->start || b->last != b->start
        || b->end - b->start != NGX_TRP_BUFFER_DEFAULT)
    {
        return;
    }

    p = ngx_palloc(s->connection->pool, NGX_TRP_BUFFER_SIZE);
    if (p == NULL) {
        return;
    }

    (void) ngx_pfree(s->connection->pool, b->start);

    b->start = p;
    b->pos = p;
    b->last = p;
    b->end = p + NGX_TRP_BUFFER_SIZE;

    *buf = p;
}
