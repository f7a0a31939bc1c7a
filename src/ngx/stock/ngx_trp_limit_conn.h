
/*
 * Copyright (C) the trp authors
 */


/*
 * The stock "limit_conn" runs before a SOCKS5 client has given its user name
 * and destination.  Limits whose keys use our variables are checked by the same
 * code, but after the handshake.
 */


#ifndef _NGX_TRP_LIMIT_CONN_H_INCLUDED_
#define _NGX_TRP_LIMIT_CONN_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_array_t            *limits;       /* the rest, in the stock module */
    ngx_array_t             late;
    ngx_stream_handler_pt   handler;      /* NULL: no late limits */
} ngx_trp_limit_conn_t;


/*
 * After configuration, for a server with the directive "ours" at this place.
 * NGX_ERROR, logged, if a key has a variable of ours that is not in "known", a
 * list that ends with NULL.  If "late" is NULL, no limit is moved.
 */

ngx_int_t ngx_trp_limit_conn_init(ngx_conf_t *cf, ngx_trp_limit_conn_t *late,
    void **srv_conf, const char *const *known, const char *ours,
    u_char *file_name, ngx_uint_t line);

/* NGX_OK, or the status to finalize the session with */

ngx_int_t ngx_trp_limit_conn_check(ngx_trp_limit_conn_t *late,
    ngx_stream_session_t *s);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LIMIT_CONN_H_INCLUDED_ */
