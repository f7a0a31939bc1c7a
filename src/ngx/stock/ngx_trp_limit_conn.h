
/*
 * Copyright (C) the trp authors
 */


/*
 * The stock "limit_conn" looks before a SOCKS5 client has said who it is and
 * where to.  Limits whose keys have our variables are looked at by the same
 * code, but behind the handshake.
 */


#ifndef _NGX_TRP_LIMIT_CONN_H_INCLUDED_
#define _NGX_TRP_LIMIT_CONN_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_conf.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_array_t            *limits;       /* of the stock module, the rest */
    ngx_array_t             late;
    ngx_stream_handler_pt   handler;      /* NULL: there are none */
} ngx_trp_limit_conn_t;


/*
 * After configuration, for a server with "ours" at this place.  NGX_ERROR if
 * a key has a variable of ours that is not in "known", which ends with NULL;
 * logged.  With "late" NULL the limits stay where they are.
 */

ngx_int_t ngx_trp_limit_conn_init(ngx_conf_t *cf, ngx_trp_limit_conn_t *late,
    void **srv_conf, const char *const *known, const char *ours,
    u_char *file_name, ngx_uint_t line);

/* NGX_OK, or what the session has to be finalized with */

ngx_int_t ngx_trp_limit_conn_check(ngx_trp_limit_conn_t *late,
    ngx_stream_session_t *s);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LIMIT_CONN_H_INCLUDED_ */
