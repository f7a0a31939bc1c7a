
/*
 * Copyright (C) the trp authors
 */


/*
 * Around the server's own content handler, which connects.
 */


#ifndef _NGX_TRP_REVERSE_CONNECT_H_INCLUDED_
#define _NGX_TRP_REVERSE_CONNECT_H_INCLUDED_


#include "reverse/ngx_trp_reverse.h"


#pragma GCC visibility push(hidden)


/* once in a worker; NGX_ERROR: no memory */

ngx_int_t ngx_trp_reverse_init_several(ngx_cycle_t *cycle,
    ngx_trp_reverse_worker_t *worker);

/* the server's content handler, for a session of a stream */

void ngx_trp_reverse_connect(ngx_trp_reverse_ctx_t *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_REVERSE_CONNECT_H_INCLUDED_ */
