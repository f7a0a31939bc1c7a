
/*
 * Copyright (C) the trp authors
 */


/*
 * Where a stream of this nginx gets its tunnels: from the relay in this worker,
 * or through a near tunnel from that in the worker of its group.
 */


#include "agent/ngx_trp_home.h"


static ngx_trp_source_t *ngx_trp_home_near(ngx_trp_home_t *home);


ngx_trp_source_t *
ngx_trp_home_enter(ngx_trp_home_t *home, ngx_trp_near_t *near,
    ngx_uint_t *code)
{
    ngx_int_t         rc;
    const char       *why;
    ngx_trp_local_t  *local;

    local = &home->local;
    local->reset = near->reset;

    home->near = near;

    rc = near->ops->enter(near->relay, local, &why);

    switch (rc) {

    case NGX_OK:
        home->entered = 1;
        return &local->source;

    case NGX_DECLINED:
        return ngx_trp_home_near(home);

    case NGX_BUSY:
    case NGX_ABORT:
        *code = (rc == NGX_BUSY) ? TRP_CODE_LIMIT : TRP_CODE_NOT_PUBLISHED;

        ngx_log_error(NGX_LOG_ERR, local->log, 0,
                      "stream may not be opened: %s, group: \"%V\", "
                      "relay: local, stream: %s", why, &local->group,
                      ngx_trp_id_text(local->id).data);
        return NULL;

    default: /* NGX_ERROR */
        *code = TRP_CODE_FAILED;
        return NULL;
    }
}


static ngx_trp_source_t *
ngx_trp_home_near(ngx_trp_home_t *home)
{
    ngx_trp_near_user(&home->user, home->near, &home->local.group,
                      home->local.log);

    return &home->user.source;
}


ngx_trp_source_t *
ngx_trp_home_reroute(ngx_trp_home_t *home)
{
    if (!home->entered) {
        return &home->user.source;
    }

    if (!ngx_exiting) {
        return &home->local.source;
    }

    ngx_trp_home_leave(home);

    home->local.key = NULL;
    ngx_str_null(&home->local.name);

    return ngx_trp_home_near(home);
}


void
ngx_trp_home_leave(ngx_trp_home_t *home)
{
    if (home->entered) {
        home->near->ops->leave(&home->local);
        home->entered = 0;
    }
}
