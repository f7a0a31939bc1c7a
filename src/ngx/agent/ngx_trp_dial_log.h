
/*
 * Copyright (C) the trp authors
 */


/*
 * The log of a tunnel to a relay.  Relays are dialled over and over, and each
 * failure would be another line, or several: here an error is told once, then
 * at growing intervals, and in between at the level "info".  It is also the
 * relay's last error, which status shows.  The failure of a probe is none: it
 * is only known of the way.
 */


#ifndef _NGX_TRP_DIAL_LOG_H_INCLUDED_
#define _NGX_TRP_DIAL_LOG_H_INCLUDED_


#include "agent/ngx_trp_pool_view.h"


#pragma GCC visibility push(hidden)


/* what an agent is doing when the relay may refuse its key */

#define NGX_TRP_DIAL_LOG_AUTH  "authenticating to relay"


typedef struct {
    ngx_log_t             log;
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;
    ngx_trp_pool_view_e   view;       /* of the first error */
    unsigned              said:1;     /* there was one */
    unsigned              dialing:1;
    unsigned              terse:1;    /* what is known is not logged at all */
} ngx_trp_dial_log_t;


/* must live as long as the connections that have dl->log */

void ngx_trp_dial_log_init(ngx_trp_dial_log_t *dl, ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, const char *action);

/* the tunnel works: from now on, each of its errors stands for itself */

void ngx_trp_dial_log_ready(ngx_trp_dial_log_t *dl);

/* dialling has failed; if no error has been logged, what was logged last is */

void ngx_trp_dial_log_failed(ngx_trp_dial_log_t *dl);

/* the pool may be freed before the log; it may have been done before */

void ngx_trp_dial_log_done(ngx_trp_dial_log_t *dl);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIAL_LOG_H_INCLUDED_ */
