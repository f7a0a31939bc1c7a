
/*
 * Copyright (C) the trp authors
 */


/*
 * Passes over the rows of the table, a few at a time.
 */


#include "http/ngx_trp_http_cursor.h"


/* how long a turn takes, in nanoseconds */

#define NGX_TRP_HTTP_TURN    100000

/* the clock is read after some rows, or after many glances at other ones */

#define NGX_TRP_HTTP_LOOKS   256
#define NGX_TRP_HTTP_READ    64
#define NGX_TRP_HTTP_GLANCE  1


static uint64_t ngx_trp_http_time(void);


void
ngx_trp_http_turn(ngx_trp_http_cursor_t *cursor,
    ngx_trp_status_reader_t *reader)
{
    cursor->reader = reader;
    cursor->looks = 0;
    cursor->end = ngx_trp_http_time() + NGX_TRP_HTTP_TURN;

    /* rows that come later are not in it */

    if (reader && !cursor->begun) {
        ngx_trp_status_summary(reader, &cursor->summary);
    }
}


ngx_int_t
ngx_trp_http_row(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b,
    ngx_trp_status_copy_t *row)
{
    ngx_uint_t                  i, match;
    const ngx_trp_http_kind_t  *kind;

    if (cursor->reader == NULL) {
        return NGX_DONE;
    }

    kind = &ngx_trp_http_kinds[cursor->kind];

    while (cursor->row < cursor->summary.used) {
        i = cursor->row;
        match = (ngx_trp_status_kind(cursor->reader, i) == kind->kind);

        cursor->looks += match ? NGX_TRP_HTTP_READ : NGX_TRP_HTTP_GLANCE;

        if (cursor->looks >= NGX_TRP_HTTP_LOOKS) {
            cursor->looks = 0;

            if (ngx_trp_http_time() >= cursor->end) {
                return NGX_AGAIN;
            }
        }

        if (b->end - b->last < NGX_TRP_HTTP_ROW) {
            return NGX_AGAIN;
        }

        cursor->row++;

        if (match && ngx_trp_status_read(cursor->reader, i, row) == NGX_OK
            && row->kind == kind->kind && (row->nparts || kind->gone))
        {
            cursor->rows++;
            return NGX_OK;
        }
    }

    return NGX_DONE;
}


/* in nanoseconds; the time that nginx keeps stands still in a turn */

static uint64_t
ngx_trp_http_time(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}
