
/*
 * Copyright (C) the trp authors
 */


/* Deletes one event of a connection and leaves the other edge-triggered. */


#include "base/ngx_trp_event.h"


/*
 * In epoll both events of a descriptor share one set of flags, and nginx sets
 * the remaining event's to those of this call.  Without NGX_CLEAR_EVENT the
 * other event would become level-triggered: data left unread on purpose would
 * wake up the worker again and again.
 */

ngx_int_t
ngx_trp_event_del(ngx_event_t *ev)
{
    if (!ev->active) {
        return NGX_OK;
    }

    return ngx_del_event(ev, ev->write ? NGX_WRITE_EVENT : NGX_READ_EVENT,
                         NGX_CLEAR_EVENT);
}
