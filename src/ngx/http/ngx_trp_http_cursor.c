
/*
 * Copyright (C) the trp authors
 */


/*
 * Passes over the rows of the table, a few at a time.
 */


#include "http/ngx_trp_http_cursor.h"


/* rows that are looked at, and that are shown, in one turn */

#define NGX_TRP_HTTP_GLANCES  4096
#define NGX_TRP_HTTP_READS    64


void
ngx_trp_http_turn(ngx_trp_http_cursor_t *cursor,
    ngx_trp_status_reader_t *reader)
{
    cursor->reader = reader;
    cursor->glances = NGX_TRP_HTTP_GLANCES;
    cursor->reads = NGX_TRP_HTTP_READS;

    /* rows that come later are not in it */

    if (reader && !cursor->begun) {
        ngx_trp_status_summary(reader, &cursor->summary);
    }
}


ngx_int_t
ngx_trp_http_row(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b,
    ngx_trp_status_copy_t *row)
{
    ngx_uint_t                  i;
    const ngx_trp_http_kind_t  *kind;

    if (cursor->reader == NULL) {
        return NGX_DONE;
    }

    kind = &ngx_trp_http_kinds[cursor->kind];

    while (cursor->row < cursor->summary.used) {

        if (cursor->glances == 0 || cursor->reads == 0
            || b->end - b->last < NGX_TRP_HTTP_ROW)
        {
            return NGX_AGAIN;
        }

        i = cursor->row++;
        cursor->glances--;

        if (ngx_trp_status_kind(cursor->reader, i) != kind->kind) {
            continue;
        }

        cursor->reads--;

        if (ngx_trp_status_read(cursor->reader, i, row) == NGX_OK
            && row->kind == kind->kind && (row->nparts || kind->gone))
        {
            cursor->rows++;
            return NGX_OK;
        }
    }

    return NGX_DONE;
}
