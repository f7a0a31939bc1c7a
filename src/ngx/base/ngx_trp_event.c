
/*
 * Copyright (C) the trp authors
 */


/* Deletes one event of a connection and leaves the other edge-triggered. */


#include "base/ngx_trp_event.h"


/*
 * epoll has both events of a descriptor under one set of flags, and nginx
 * gives what is left those that come with the call.  Without NGX_CLEAR_EVENT
 * the other event would be level-triggered from now on: what its owner leaves
 * unread on purpose would wake up the worker again and again.
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
