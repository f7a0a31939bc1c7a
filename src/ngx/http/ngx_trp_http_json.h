
/*
 * Copyright (C) the trp authors
 */


/*
 * The table of an operator's view as JSON, piece by piece.
 */


#ifndef _NGX_TRP_HTTP_JSON_H_INCLUDED_
#define _NGX_TRP_HTTP_JSON_H_INCLUDED_


#include "http/ngx_trp_http_cursor.h"


#pragma GCC visibility push(hidden)


/* an ngx_trp_http_write_pt, see ngx_trp_http_cursor.h */

ngx_int_t ngx_trp_http_json(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_JSON_H_INCLUDED_ */
