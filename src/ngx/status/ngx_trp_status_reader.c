
/*
 * Copyright (C) the trp authors
 */


/*
 * Reading the table of an operator's view without its lock.
 */


#include "status/ngx_trp_status_reader.h"
#include "status/ngx_trp_status_process.h"
#include "status/ngx_trp_status_zone.h"


/* a row that is changed all the time is left out, after so many tries */
#define NGX_TRP_STATUS_TRIES  10


static ngx_int_t ngx_trp_status_copy(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy);
static void ngx_trp_status_copy_parts(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy);


ngx_int_t
ngx_trp_status_summary(ngx_cycle_t *cycle, ngx_trp_status_summary_t *summary)
{
    ngx_shm_zone_t           *shm_zone;
    ngx_trp_status_zone_t    *zone;
    ngx_trp_status_shared_t  *shared;

    shm_zone = ngx_trp_status_zone_find(cycle);

    if (shm_zone == NULL) {
        return NGX_DECLINED;
    }

    zone = shm_zone->data;
    shared = zone->shared;

    summary->since = shared->since;
    summary->rows = shared->nrows;
    summary->homeless = shared->homeless;
    summary->used = shared->used;

    return NGX_OK;
}


ngx_int_t
ngx_trp_status_read(ngx_cycle_t *cycle, ngx_uint_t i,
    ngx_trp_status_copy_t *copy)
{
    ngx_uint_t                n;
    ngx_shm_zone_t           *shm_zone;
    ngx_atomic_uint_t         version;
    ngx_trp_status_row_t     *row;
    ngx_trp_status_zone_t    *zone;
    ngx_trp_status_shared_t  *shared;

    shm_zone = ngx_trp_status_zone_find(cycle);

    if (shm_zone == NULL) {
        return NGX_DECLINED;
    }

    zone = shm_zone->data;
    shared = zone->shared;

    if (i >= shared->used) {
        return NGX_DECLINED;
    }

    row = &shared->rows[i];

    for (n = 0; n < NGX_TRP_STATUS_TRIES; n++) {
        version = row->version;

        ngx_memory_barrier();

        if (version & 1) {
            ngx_cpu_pause();
            continue;
        }

        if (ngx_trp_status_copy(shared, row, copy) != NGX_OK) {
            return NGX_DECLINED;
        }

        ngx_memory_barrier();

        if (row->version == version) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* may see a change half done, so nothing that is read is trusted */

static ngx_int_t
ngx_trp_status_copy(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy)
{
    size_t      offset, len;
    ngx_uint_t  i;

    copy->kind = row->kind;
    copy->since = row->since;

    if (copy->kind == 0) {
        return NGX_DECLINED;
    }

    ngx_memcpy(copy->data, row->text, NGX_TRP_STATUS_TEXT_SIZE);
    offset = 0;

    for (i = 0; i < NGX_TRP_STATUS_TEXTS; i++) {
        len = ngx_min((size_t) row->len[i], NGX_TRP_STATUS_TEXT_SIZE - offset);

        copy->texts[i].len = len;
        copy->texts[i].data = copy->data + offset;
        offset += len;
    }

    for (i = 0; i < NGX_TRP_STATUS_COUNTERS; i++) {
        copy->counters[i] = row->counters[i];
    }

    ngx_trp_status_copy_parts(shared, row, copy);

    if (copy->nparts == 0 && ngx_time() - copy->since >= shared->inactive) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_trp_status_copy_parts(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy)
{
    ngx_pid_t               pid;
    ngx_uint_t              i, n;
    ngx_queue_t            *q;
    ngx_trp_status_part_t  *part;

    copy->nparts = 0;

    q = ngx_queue_head(&row->parts);

    for (n = 0; n < NGX_TRP_STATUS_PARTS; n++) {

        part = ngx_queue_data(q, ngx_trp_status_part_t, queue);

        /* the end, or a part that has been closed since */

        if (part < shared->parts || part >= shared->parts + shared->nparts
            || part->row != row || part->worker >= NGX_TRP_STATUS_WORKERS)
        {
            return;
        }

        q = ngx_queue_next(q);
        pid = shared->workers[part->worker].pid;

        if (pid == 0 || !ngx_trp_status_alive(pid, 0)) {
            continue;
        }

        copy->pids[copy->nparts] = pid;

        for (i = 0; i < NGX_TRP_STATUS_GAUGES; i++) {
            copy->gauges[copy->nparts][i] = part->gauges[i];
        }

        copy->nparts++;
    }
}
