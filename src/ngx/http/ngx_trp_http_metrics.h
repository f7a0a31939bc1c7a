
/*
 * Copyright (C) the trp authors
 */


/*
 * The table of an operator's view as metrics of Prometheus, piece by
 * piece.
 */


#ifndef _NGX_TRP_HTTP_METRICS_H_INCLUDED_
#define _NGX_TRP_HTTP_METRICS_H_INCLUDED_


#include "http/ngx_trp_http_cursor.h"


#pragma GCC visibility push(hidden)


/* an ngx_trp_http_write_pt, see ngx_trp_http_cursor.h */

ngx_int_t ngx_trp_http_metrics(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_METRICS_H_INCLUDED_ */
