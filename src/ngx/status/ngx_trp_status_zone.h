
/*
 * Copyright (C) the trp authors
 */


/*
 * The zone of an operator's view: one for all modules of an nginx.
 */


#ifndef _NGX_TRP_STATUS_ZONE_H_INCLUDED_
#define _NGX_TRP_STATUS_ZONE_H_INCLUDED_


#include "status/ngx_trp_status_types.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_STATUS_SIZE_MIN   (64 * 1024)


/*
 * While the configuration is read, in postconfiguration at the latest.  All
 * calls return the same zone.  _zone_set() is for a directive, and says where
 * it was set if there is one already; _zone_add() is for modules that need at
 * least so many bytes, if no directive says how many.  NULL: an error, which is
 * logged.
 */

ngx_shm_zone_t *ngx_trp_status_zone_set(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, time_t inactive);
ngx_shm_zone_t *ngx_trp_status_zone_add(ngx_conf_t *cf, size_t size);

/* the same for so many rows with a part of each worker, and some more */

ngx_shm_zone_t *ngx_trp_status_zone_rows(ngx_conf_t *cf, ngx_uint_t rows);

/* the zone of a cycle, or NULL */

ngx_shm_zone_t *ngx_trp_status_zone_find(ngx_cycle_t *cycle);

/* 0: its modules are of another build, what is in it cannot be read */

ngx_uint_t ngx_trp_status_zone_known(ngx_shm_zone_t *shm_zone);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_ZONE_H_INCLUDED_ */
