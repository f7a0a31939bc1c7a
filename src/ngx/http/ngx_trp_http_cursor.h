
/*
 * Copyright (C) the trp authors
 */


/*
 * How far an answer has come.  It is written in turns, which take a tenth of a
 * millisecond or little more, so that a worker has time for others between two
 * of them, and an answer needs no memory but one buffer.
 */


#ifndef _NGX_TRP_HTTP_CURSOR_H_INCLUDED_
#define _NGX_TRP_HTTP_CURSOR_H_INCLUDED_


#include "http/ngx_trp_http_fields.h"


#pragma GCC visibility push(hidden)


/* the longest row, in JSON or as the lines of one metric, is shorter */

#define NGX_TRP_HTTP_ROW  24576


typedef struct {
    ngx_trp_status_reader_t       *reader;    /* of this turn; NULL: no table */
    ngx_trp_status_summary_t       summary;   /* of the whole answer */
    ngx_uint_t                     kind;      /* in ngx_trp_http_kinds[] */
    ngx_uint_t                     field;     /* of the kind */
    ngx_uint_t                     row;       /* the next one */
    ngx_uint_t                     rows;      /* found in this pass */
    ngx_uint_t                     looks;     /* in this turn */
    uint64_t                       end;       /* of it, in nanoseconds */
    unsigned                       begun:1;   /* the answer */
    unsigned                       pass:1;    /* over the rows is under way */
} ngx_trp_http_cursor_t;


/*
 * Appends what comes next, within a turn, to a buffer that has room for a row:
 * NGX_AGAIN: there is more, for another turn; NGX_OK: that was all; NGX_ERROR:
 * no memory.
 */

typedef ngx_int_t (*ngx_trp_http_write_pt)(ngx_trp_http_cursor_t *cursor,
    ngx_buf_t *b);


/* a turn begins */

void ngx_trp_http_turn(ngx_trp_http_cursor_t *cursor,
    ngx_trp_status_reader_t *reader);

/*
 * The next row of the current kind that is to be shown: NGX_OK; NGX_AGAIN: the
 * turn is over, or the buffer has no room for a row; NGX_DONE: so is the pass.
 */

ngx_int_t ngx_trp_http_row(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b,
    ngx_trp_status_copy_t *row);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_CURSOR_H_INCLUDED_ */
