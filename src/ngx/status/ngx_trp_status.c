
/*
 * Copyright (C) the trp authors
 */


/*
 * Writing the table of an operator's view: rows and the parts that a worker has
 * of them.
 */


#include "status/ngx_trp_status.h"
#include "status/ngx_trp_status_kinds.h"
#include "status/ngx_trp_status_process.h"
#include "status/ngx_trp_status_table.h"

#include <ngx_event.h>


#define NGX_TRP_STATUS_TIME  1000


struct ngx_trp_status_s {
    ngx_trp_status_zone_t  *zone;
    ngx_uint_t              worker;      /* NGX_TRP_STATUS_WORKERS: none */
    ngx_trp_status_entry_t  process;     /* the worker's own row */
    ngx_event_t             event;       /* keeps that up to date */
    unsigned                warned:1;    /* of a table that is full */

    /* what entries without room count on */
    ngx_atomic_t            counters[NGX_TRP_STATUS_COUNTERS];
    ngx_atomic_t            gauges[NGX_TRP_STATUS_GAUGES];
};


static ngx_uint_t ngx_trp_status_enter(ngx_trp_status_shared_t *shared);
static void ngx_trp_status_process(ngx_trp_status_t *status);
static void ngx_trp_status_handler(ngx_event_t *ev);
static void ngx_trp_status_full(ngx_trp_status_t *status);


ngx_trp_status_t *
ngx_trp_status_start(ngx_cycle_t *cycle, ngx_shm_zone_t *zone)
{
    ngx_uint_t                first;
    ngx_trp_status_t         *status;
    ngx_trp_status_shared_t  *shared;

    status = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_status_t));
    if (status == NULL) {
        return NULL;
    }

    status->zone = zone->data;

    shared = ngx_trp_status_lock(status->zone);

    status->worker = ngx_trp_status_enter(shared);

    first = (status->worker < NGX_TRP_STATUS_WORKERS
             && shared->workers[status->worker].users == 1);

    ngx_trp_status_unlock(status->zone);

    if (first) {
        ngx_trp_status_process(status);
    }

    return status;
}


/* the place of this worker; a module of another file may have taken it */

static ngx_uint_t
ngx_trp_status_enter(ngx_trp_status_shared_t *shared)
{
    ngx_uint_t                i, found;
    ngx_trp_status_worker_t  *worker;

    found = NGX_TRP_STATUS_WORKERS;

    for (i = 0; i < NGX_TRP_STATUS_WORKERS; i++) {
        worker = &shared->workers[i];

        if (worker->pid
            && !ngx_trp_status_alive(worker->pid, worker->started))
        {
            ngx_trp_status_bury(shared, i);
        }

        if (worker->pid == (ngx_atomic_uint_t) ngx_pid) {
            worker->users++;
            return i;
        }

        if (worker->pid == 0 && found == NGX_TRP_STATUS_WORKERS) {
            found = i;
        }
    }

    if (found < NGX_TRP_STATUS_WORKERS) {
        worker = &shared->workers[found];

        worker->pid = ngx_pid;
        worker->started = ngx_trp_status_started(ngx_pid);
        worker->users = 1;
    }

    return found;
}


/* the row of this process, for all modules that use the table */

static void
ngx_trp_status_process(ngx_trp_status_t *status)
{
    u_char     buf[NGX_INT64_LEN];
    ngx_str_t  pid;

    pid.data = buf;
    pid.len = ngx_sprintf(buf, "%P", ngx_pid) - buf;

    ngx_trp_status_open(status, NGX_TRP_STATUS_WORKER, &pid,
                        NGX_TRP_WORKER_TEXTS, &status->process, NULL);

    ngx_trp_status_gauge(&status->process, NGX_TRP_WORKER_STARTED, ngx_time());

    status->event.data = status;
    status->event.log = ngx_cycle->log;
    status->event.handler = ngx_trp_status_handler;
    status->event.cancelable = 1;

    ngx_trp_status_handler(&status->event);
}


static void
ngx_trp_status_handler(ngx_event_t *ev)
{
    ngx_trp_status_t  *status;

    status = ev->data;

    ngx_trp_status_gauge(&status->process, NGX_TRP_WORKER_EXITING,
                         ngx_exiting != 0);
    ngx_trp_status_gauge(&status->process, NGX_TRP_WORKER_CONNECTIONS,
                         ngx_cycle->connection_n
                         - ngx_cycle->free_connection_n);

    ngx_add_timer(ev, NGX_TRP_STATUS_TIME);
}


void
ngx_trp_status_stop(ngx_trp_status_t *status)
{
    ngx_trp_status_shared_t  *shared;

    if (status->worker == NGX_TRP_STATUS_WORKERS) {
        return;
    }

    shared = ngx_trp_status_lock(status->zone);

    if (--shared->workers[status->worker].users == 0) {
        ngx_trp_status_bury(shared, status->worker);
    }

    ngx_trp_status_unlock(status->zone);
}


void
ngx_trp_status_open(ngx_trp_status_t *status, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, ngx_trp_status_entry_t *entry,
    ngx_trp_status_past_t *past)
{
    ngx_trp_status_row_t     *row;
    ngx_trp_status_part_t    *part;
    ngx_trp_status_past_t     before;
    ngx_trp_status_shared_t  *shared;

    if (past == NULL) {
        past = &before;
    }

    ngx_memzero(past, sizeof(ngx_trp_status_past_t));

    past->is_new = 1;

    ngx_trp_status_none(status, entry);

    shared = ngx_trp_status_lock(status->zone);

    row = ngx_trp_status_find(shared, kind, texts, n);

    if (row) {
        past->is_new = 0;
        past->is_gone = ngx_queue_empty(&row->parts);
        past->is_quiet = (row->quiet != 0);
        past->gone = row->since;
    }

    part = NULL;

    if (status->worker < NGX_TRP_STATUS_WORKERS) {

        if (row == NULL) {
            row = ngx_trp_status_make(shared, kind, texts, n);
        }

        if (row) {
            part = ngx_trp_status_part_open(shared, row, status->worker);
        }
    }

    if (part) {
        entry->row = row;
        entry->part = part;
        entry->counters = row->counters;
        entry->gauges = part->gauges;

    } else {
        shared->homeless++;
    }

    ngx_trp_status_unlock(status->zone);

    if (part == NULL) {
        ngx_trp_status_full(status);
    }
}


/* once in each worker */

static void
ngx_trp_status_full(ngx_trp_status_t *status)
{
    if (status->warned) {
        return;
    }

    status->warned = 1;

    if (status->worker == NGX_TRP_STATUS_WORKERS) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "more than %d workers: the status does not list all",
                      NGX_TRP_STATUS_WORKERS);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "the status has no room for more than %ui rows and does not "
                  "list all, write a larger \"trp_relay_zone\"",
                  status->zone->shared->nrows);
}


void
ngx_trp_status_none(ngx_trp_status_t *status, ngx_trp_status_entry_t *entry)
{
    entry->status = status;
    entry->row = NULL;
    entry->part = NULL;
    entry->counters = status->counters;
    entry->gauges = status->gauges;
}


void
ngx_trp_status_set(ngx_trp_status_entry_t *entry, ngx_uint_t i,
    const ngx_str_t *text)
{
    ngx_trp_status_zone_t  *zone;

    if (entry->row) {
        zone = entry->status->zone;

        (void) ngx_trp_status_lock(zone);

        ngx_trp_status_write(entry->row, i, text);

        ngx_trp_status_unlock(zone);
    }
}


ngx_uint_t
ngx_trp_status_close(ngx_trp_status_entry_t *entry, ngx_uint_t quiet)
{
    ngx_uint_t               last;
    ngx_trp_status_zone_t   *zone;
    ngx_trp_status_shared_t  *shared;

    if (entry->row == NULL) {

        /* as far as is known */
        return 1;
    }

    zone = entry->status->zone;
    shared = ngx_trp_status_lock(zone);

    last = ngx_trp_status_part_close(shared, entry->part, quiet);

    ngx_trp_status_unlock(zone);

    ngx_trp_status_none(entry->status, entry);

    return last;
}


void
ngx_trp_status_erase(ngx_trp_status_entry_t *entry)
{
    ngx_trp_status_row_t     *row;
    ngx_trp_status_zone_t    *zone;
    ngx_trp_status_shared_t  *shared;

    row = entry->row;

    if (row == NULL) {
        return;
    }

    zone = entry->status->zone;
    shared = ngx_trp_status_lock(zone);

    if (ngx_trp_status_part_close(shared, entry->part, 0)) {
        ngx_trp_status_forget(shared, row);
    }

    ngx_trp_status_unlock(zone);

    ngx_trp_status_none(entry->status, entry);
}


ngx_atomic_uint_t
ngx_trp_status_sum(ngx_trp_status_entry_t *entry, ngx_uint_t i)
{
    ngx_queue_t            *q;
    ngx_atomic_uint_t       sum;
    ngx_trp_status_row_t   *row;
    ngx_trp_status_part_t  *part;

    row = entry->row;

    if (row == NULL) {
        return entry->gauges[i];
    }

    sum = 0;

    (void) ngx_trp_status_lock(entry->status->zone);

    for (q = ngx_queue_head(&row->parts);
         q != ngx_queue_sentinel(&row->parts);
         q = ngx_queue_next(q))
    {
        part = ngx_queue_data(q, ngx_trp_status_part_t, queue);
        sum += part->gauges[i];
    }

    ngx_trp_status_unlock(entry->status->zone);

    return sum;
}


void
ngx_trp_status_lost(ngx_trp_status_t *status, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, const ngx_trp_status_loss_t *loss)
{
    ngx_trp_status_row_t     *row;
    ngx_trp_status_shared_t  *shared;

    shared = ngx_trp_status_lock(status->zone);

    row = ngx_trp_status_find(shared, kind, texts, n);

    if (row) {
        ngx_trp_status_write(row, loss->text, &loss->why);

        (void) ngx_atomic_fetch_add(&row->counters[loss->counter], 1);
        row->counters[loss->time] = loss->when;
    }

    ngx_trp_status_unlock(status->zone);
}


ngx_int_t
ngx_trp_status_overdue(ngx_trp_status_t *status, time_t seconds,
    ngx_trp_status_gone_t *gone)
{
    ngx_queue_t              *q;
    ngx_trp_status_row_t     *row;
    ngx_trp_status_shared_t  *shared;

    shared = ngx_trp_status_lock(status->zone);

    if (ngx_queue_empty(&shared->quiet)) {
        ngx_trp_status_unlock(status->zone);
        return NGX_DECLINED;
    }

    q = ngx_queue_head(&shared->quiet);
    row = ngx_queue_data(q, ngx_trp_status_row_t, quiets);

    if (ngx_time() - row->since < seconds) {
        ngx_trp_status_unlock(status->zone);
        return NGX_DECLINED;
    }

    gone->kind = row->kind;
    gone->gone = row->since;
    gone->quiet = row->quiet;

    ngx_memcpy(gone->data, row->text, NGX_TRP_STATUS_TEXT_SIZE);
    ngx_trp_status_texts(gone->texts, gone->data, row->len);

    ngx_trp_status_told(row);

    ngx_trp_status_unlock(status->zone);

    return NGX_OK;
}
