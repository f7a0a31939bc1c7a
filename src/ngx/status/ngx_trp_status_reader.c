
/*
 * Copyright (C) the trp authors
 */


/*
 * Reading the table of an operator's view without its lock.
 */


#include "status/ngx_trp_status_reader.h"
#include "status/ngx_trp_status_process.h"
#include "status/ngx_trp_status_table.h"
#include "status/ngx_trp_status_zone.h"


/* a row that is changed all the time is left out, after so many tries */
#define NGX_TRP_STATUS_TRIES  10


static ngx_int_t ngx_trp_status_copy(ngx_trp_status_reader_t *reader,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy);
static void ngx_trp_status_copy_parts(ngx_trp_status_reader_t *reader,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy);


ngx_int_t
ngx_trp_status_reader(ngx_cycle_t *cycle, ngx_trp_status_reader_t *reader)
{
    ngx_pid_t               pid;
    ngx_uint_t              i;
    ngx_shm_zone_t         *shm_zone;
    ngx_trp_status_zone_t  *zone;

    shm_zone = ngx_trp_status_zone_find(cycle);

    if (shm_zone == NULL || !ngx_trp_status_zone_known(shm_zone)) {
        return NGX_DECLINED;
    }

    zone = shm_zone->data;
    reader->shared = zone->shared;

    for (i = 0; i < NGX_TRP_STATUS_WORKERS; i++) {
        pid = zone->shared->workers[i].pid;

        reader->alive[i] = (pid && ngx_trp_status_alive(pid, 0)) ? pid : 0;
    }

    return NGX_OK;
}


void
ngx_trp_status_summary(ngx_trp_status_reader_t *reader,
    ngx_trp_status_summary_t *summary)
{
    ngx_trp_status_shared_t  *shared;

    shared = reader->shared;

    summary->since = shared->since;
    summary->rows = shared->nrows;
    summary->homeless = shared->homeless;
    summary->used = shared->used;
}


ngx_uint_t
ngx_trp_status_kind(ngx_trp_status_reader_t *reader, ngx_uint_t i)
{
    return (i < reader->shared->used) ? reader->shared->rows[i].kind : 0;
}


ngx_int_t
ngx_trp_status_read(ngx_trp_status_reader_t *reader, ngx_uint_t i,
    ngx_trp_status_copy_t *copy)
{
    ngx_uint_t             n;
    ngx_atomic_uint_t      version;
    ngx_trp_status_row_t  *row;

    if (i >= reader->shared->used) {
        return NGX_DECLINED;
    }

    row = &reader->shared->rows[i];

    for (n = 0; n < NGX_TRP_STATUS_TRIES; n++) {
        version = row->version;

        ngx_memory_barrier();

        if (version & 1) {
            ngx_cpu_pause();
            continue;
        }

        if (ngx_trp_status_copy(reader, row, copy) != NGX_OK) {
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
ngx_trp_status_copy(ngx_trp_status_reader_t *reader,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy)
{
    ngx_uint_t  i;

    copy->kind = row->kind;
    copy->since = row->since;

    if (copy->kind == 0) {
        return NGX_DECLINED;
    }

    ngx_memcpy(copy->data, row->text, NGX_TRP_STATUS_TEXT_SIZE);
    ngx_trp_status_texts(copy->texts, copy->data, row->len);

    for (i = 0; i < NGX_TRP_STATUS_COUNTERS; i++) {
        copy->counters[i] = row->counters[i];
    }

    ngx_trp_status_copy_parts(reader, row, copy);

    if (copy->nparts == 0
        && ngx_time() - copy->since >= reader->shared->inactive)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_trp_status_copy_parts(ngx_trp_status_reader_t *reader,
    ngx_trp_status_row_t *row, ngx_trp_status_copy_t *copy)
{
    ngx_uint_t                i, n;
    ngx_queue_t              *q;
    ngx_trp_status_part_t    *part;
    ngx_trp_status_shared_t  *shared;

    shared = reader->shared;
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

        if (reader->alive[part->worker] == 0) {
            continue;
        }

        copy->pids[copy->nparts] = reader->alive[part->worker];

        for (i = 0; i < NGX_TRP_STATUS_GAUGES; i++) {
            copy->gauges[copy->nparts][i] = part->gauges[i];
        }

        copy->nparts++;
    }
}
