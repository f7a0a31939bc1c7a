
/*
 * Copyright (C) the trp authors
 */


/*
 * To whom each published name belongs: a table in shared memory, the same for
 * all workers, which outlives reloads and workers.
 */


#ifndef _NGX_TRP_SERVICE_ZONE_H_INCLUDED_
#define _NGX_TRP_SERVICE_ZONE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* a group's name, as a string of its own */

typedef struct {
    size_t                 len;
    u_char                 data[TRP_LABEL_MAX];
} ngx_trp_service_group_t;


/* who publishes: names belong to a key in a group */

typedef struct {
    const u_char          *key;          /* TRP_KEY_PUBLIC_LEN bytes */
    ngx_str_t              group;
    uint32_t               agent;        /* a hash of its name */
    uint64_t               list;         /* what it publishes, as in AUTH */
} ngx_trp_service_owner_t;


/* while the configuration is read; NULL: an error, which is logged */

ngx_shm_zone_t *ngx_trp_service_zone_add(ngx_conf_t *cf, size_t size,
    void *tag);

/* in a worker that starts: names of workers that have died have no publisher */

void ngx_trp_service_zone_tidy(ngx_shm_zone_t *zone);


/*
 * The owner publishes the name in this worker: TRP_CODE_NONE, TRP_CODE_TAKEN,
 * or TRP_CODE_LIMIT if there is no room.  "*same" is set to 1 if the name was
 * published with the same list before.
 */

ngx_uint_t ngx_trp_service_zone_claim(ngx_shm_zone_t *zone,
    const ngx_str_t *name, const ngx_trp_service_owner_t *owner,
    ngx_uint_t *same);

/* nobody publishes it in this worker any more: it is kept for the owner */

void ngx_trp_service_zone_leave(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner);

/* the owner gives the name up; all names that this agent has left */

void ngx_trp_service_zone_drop(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner);
void ngx_trp_service_zone_drop_left(ngx_shm_zone_t *zone,
    const ngx_trp_service_owner_t *owner);

/* the group where it is published, or was a moment ago; else NGX_DECLINED */

ngx_int_t ngx_trp_service_zone_find(ngx_shm_zone_t *zone,
    const ngx_str_t *name, ngx_trp_service_group_t *group);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SERVICE_ZONE_H_INCLUDED_ */
