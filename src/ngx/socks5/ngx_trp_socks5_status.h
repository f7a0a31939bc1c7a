
/*
 * Copyright (C) the trp authors
 */


/*
 * SOCKS5 servers and their users in the table of an operator's view, and which
 * of the lines about them are warnings.
 */


#ifndef _NGX_TRP_SOCKS5_STATUS_H_INCLUDED_
#define _NGX_TRP_SOCKS5_STATUS_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_warnings.h"
#include "socks5/ngx_trp_socks5_conf.h"
#include "status/ngx_trp_status_kinds.h"
#include "stock/ngx_trp_flows.h"


#pragma GCC visibility push(hidden)


/* a configured user, in a worker; has a row from the first request on */

typedef struct {
    ngx_trp_status_entry_t       entry;
    ngx_queue_t                  queue;      /* of the worker, if n is 0 */
    ngx_uint_t                   n;          /* sessions */
    time_t                       left;       /* when the last one ended */
    unsigned                     open:1;
} ngx_trp_socks5_who_t;


typedef struct ngx_trp_socks5_worker_s   ngx_trp_socks5_worker_t;


/* a server {} in a worker */

typedef struct {
    ngx_trp_socks5_worker_t     *worker;
    ngx_trp_socks5_conf_t       *conf;
    ngx_trp_status_entry_t       entry;
    ngx_trp_socks5_who_t        *users;      /* in the order of conf->users */
} ngx_trp_socks5_server_t;


struct ngx_trp_socks5_worker_s {
    ngx_trp_status_t            *status;
    ngx_trp_flows_t              flows;
    ngx_trp_warnings_t           failed;     /* lines about users */
    ngx_trp_warnings_t           denied;     /* and about destinations */
    ngx_queue_t                  idle;       /* users, the first left longest */
    ngx_event_t                  timer;      /* closes the rows of those */
    ngx_trp_socks5_server_t     *servers;    /* in the order of "confs" */
    ngx_uint_t                   nservers;
};


/* NULL: no memory; "confs": ngx_trp_socks5_conf_t * */

ngx_trp_socks5_worker_t *ngx_trp_socks5_status_init(ngx_cycle_t *cycle,
    ngx_array_t *confs);
void ngx_trp_socks5_status_exit(ngx_trp_socks5_worker_t *worker);

/* the level of a line about a name, and an address or another name */

ngx_uint_t ngx_trp_socks5_status_level(ngx_trp_warnings_t *warnings,
    ngx_str_t *name, ngx_str_t *other);

/* a request, of a user or NULL; and the end of its session, with a code */

void ngx_trp_socks5_status_begin(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user, ngx_trp_flow_t *flow,
    ngx_stream_session_t *s);
void ngx_trp_socks5_status_end(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user, ngx_trp_flow_t *flow, ngx_uint_t code);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SOCKS5_STATUS_H_INCLUDED_ */
