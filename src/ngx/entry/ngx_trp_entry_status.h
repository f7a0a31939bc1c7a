
/*
 * Copyright (C) the trp authors
 */


/*
 * What an operator sees of an entry: a row for each route, and for each server
 * {} with "trp_publish".
 */


#ifndef _NGX_TRP_ENTRY_STATUS_H_INCLUDED_
#define _NGX_TRP_ENTRY_STATUS_H_INCLUDED_


#include "entry/ngx_trp_entry_types.h"


#pragma GCC visibility push(hidden)


/* as the configuration has it */

typedef struct {
    void                   **srv_conf;   /* of the server {} */
    ngx_str_t                listen;
    ngx_str_t                destination;
    ngx_str_t                upstream;   /* or another text of "proxy_pass" */
} ngx_trp_entry_row_t;


/* in a worker */

typedef struct {
    ngx_trp_status_t        *status;
    ngx_trp_status_entry_t  *rows;
    ngx_trp_flows_t          flows;
} ngx_trp_entry_view_t;


/* in the setters; NULL: "trp_publish" */

ngx_int_t ngx_trp_entry_row_add(ngx_conf_t *cf, ngx_array_t *rows,
    ngx_trp_route_t *route);

/* after parsing: where "trp_publish" listens, if only by its first "listen" */

ngx_int_t ngx_trp_entry_row_listen(ngx_conf_t *cf, ngx_array_t *rows,
    ngx_uint_t n, struct sockaddr *sa);

/* after parsing: where users are passed to */

void ngx_trp_entry_rows_pass(ngx_array_t *rows);


/* in a worker; NGX_ERROR: no memory */

ngx_int_t ngx_trp_entry_view_start(ngx_trp_entry_view_t *view,
    ngx_cycle_t *cycle, ngx_shm_zone_t *zone, ngx_array_t *rows);
void ngx_trp_entry_view_exit(ngx_trp_entry_view_t *view);

/* a user has come, and has left; "code" says why without an answer */

void ngx_trp_entry_view_begin(ngx_trp_entry_view_t *view,
    ngx_trp_entry_ctx_t *ctx, ngx_uint_t n);
void ngx_trp_entry_view_end(ngx_trp_entry_ctx_t *ctx, ngx_uint_t code);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ENTRY_STATUS_H_INCLUDED_ */
