
/*
 * Copyright (C) the trp authors
 */


/*
 * Sessions under way, in rows of an operator's view.  A timer looks at some of
 * them at a time, and adds what nginx has counted for them since the last look,
 * so traffic is seen while it flows, and the data path has nothing to do with
 * it.
 */


#ifndef _NGX_TRP_FLOWS_H_INCLUDED_
#define _NGX_TRP_FLOWS_H_INCLUDED_


#include "base/ngx_trp.h"
#include "status/ngx_trp_status.h"


#pragma GCC visibility push(hidden)


/* of a module, in a worker */

typedef struct {
    ngx_queue_t              queue;      /* those not seen longest in front */
    ngx_uint_t               n;
    ngx_event_t              timer;
} ngx_trp_flows_t;


/*
 * Of a session, initially all zero.  The rows are of kinds that have the
 * counters and the gauge of streams (NGX_TRP_STREAMS_...) or of users; they may
 * be NULL, and stay open as long as the flow lasts.
 */

typedef struct {
    ngx_trp_flows_t         *flows;      /* NULL: not begun, or over */
    ngx_queue_t              queue;
    ngx_stream_session_t    *session;
    ngx_trp_status_entry_t  *rows[2];

    /* what the session's own counters do not have: datagrams */
    off_t                    received;
    off_t                    sent;

    off_t                    told_received;
    off_t                    told_sent;
} ngx_trp_flow_t;


void ngx_trp_flows_init(ngx_trp_flows_t *flows, ngx_log_t *log);

/* the worker exits: a last look at all of them */

void ngx_trp_flows_exit(ngx_trp_flows_t *flows);

/* "rows" are set; a stream more in each of them */

void ngx_trp_flow_begin(ngx_trp_flows_t *flows, ngx_trp_flow_t *flow,
    ngx_stream_session_t *s);

/* in the log phase; may be called for any flow */

void ngx_trp_flow_end(ngx_trp_flow_t *flow);

/* a stream was refused, by a trp_code_e; TRP_CODE_NONE: it was not */

void ngx_trp_flow_refused(ngx_trp_status_entry_t *row, ngx_uint_t code);


#pragma GCC visibility pop


#endif /* _NGX_TRP_FLOWS_H_INCLUDED_ */
