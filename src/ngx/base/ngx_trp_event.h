
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection's two events, one of which comes and goes.
 */


#ifndef _NGX_TRP_EVENT_H_INCLUDED_
#define _NGX_TRP_EVENT_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * The event is not waited for any more.  The connection's other one stays as
 * it is: edge-triggered, if it is there at all.  NGX_OK also if there was
 * nothing to do.
 */

ngx_int_t ngx_trp_event_del(ngx_event_t *ev);


#pragma GCC visibility pop


#endif /* _NGX_TRP_EVENT_H_INCLUDED_ */
