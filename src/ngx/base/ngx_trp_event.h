
/*
 * Copyright (C) the trp authors
 */


/*
 * Removing one of the two events of a connection.
 */


#ifndef _NGX_TRP_EVENT_H_INCLUDED_
#define _NGX_TRP_EVENT_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * Stops waiting for the event.  The connection's other event, if active, stays
 * edge-triggered.  NGX_OK also if the event was not active; NGX_ERROR.
 */

ngx_int_t ngx_trp_event_del(ngx_event_t *ev);


#pragma GCC visibility pop


#endif /* _NGX_TRP_EVENT_H_INCLUDED_ */
