
/*
 * Copyright (C) the trp authors
 */


/*
 * A line in the access_log for what has no nginx session: one that exists only
 * while the handlers of the log phase run.
 */


#ifndef _NGX_TRP_LOG_SESSION_H_INCLUDED_
#define _NGX_TRP_LOG_SESSION_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_stream_session_t   session;
    ngx_connection_t       connection;
} ngx_trp_log_session_t;


/*
 * A session with what belongs to a server {}, and all else zero; NULL: no
 * memory.  The caller sets addresses, times and bytes, then runs the handlers.
 * It lives as long as the pool, because cleanups that the handlers leave there
 * may use it.
 */

ngx_trp_log_session_t *ngx_trp_log_session_create(ngx_pool_t *pool,
    void **main_conf, void **srv_conf);
void ngx_trp_log_session_run(ngx_trp_log_session_t *ls);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LOG_SESSION_H_INCLUDED_ */
