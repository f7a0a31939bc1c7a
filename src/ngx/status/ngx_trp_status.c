
/*
 * Copyright (C) the trp authors
 */


/*
 * Writing the table of an operator's view: rows and the parts that a worker has
 * of them.
 */


#include "status/ngx_trp_status.h"
#include "status/ngx_trp_status_process.h"


/* so many rows are looked at when a quiet one is sought */
#define NGX_TRP_STATUS_LOOK  1000


struct ngx_trp_status_s {
    ngx_trp_status_zone_t  *zone;
    ngx_uint_t              worker;      /* NGX_TRP_STATUS_WORKERS: none */

    /* what entries without room count on */
    ngx_atomic_t            counters[NGX_TRP_STATUS_COUNTERS];
    ngx_atomic_t            gauges[NGX_TRP_STATUS_GAUGES];
};


static ngx_uint_t ngx_trp_status_enter(ngx_trp_status_shared_t *shared);
static void ngx_trp_status_bury(ngx_trp_status_shared_t *shared,
    ngx_uint_t worker);
static ngx_trp_status_row_t *ngx_trp_status_find(
    ngx_trp_status_shared_t *shared, ngx_uint_t kind, const ngx_str_t *texts,
    ngx_uint_t n, uint32_t hash);
static ngx_trp_status_row_t *ngx_trp_status_make(
    ngx_trp_status_shared_t *shared, ngx_uint_t kind, const ngx_str_t *texts,
    ngx_uint_t n, uint32_t hash);
static void ngx_trp_status_forget(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);
static ngx_trp_status_part_t *ngx_trp_status_part(
    ngx_trp_status_shared_t *shared);
static ngx_uint_t ngx_trp_status_part_close(ngx_trp_status_shared_t *shared,
    ngx_trp_status_part_t *part, ngx_uint_t quiet);
static void ngx_trp_status_homeless(ngx_trp_status_t *status,
    ngx_trp_status_entry_t *entry);
static void ngx_trp_status_change(ngx_trp_status_row_t *row);
static void ngx_trp_status_write(ngx_trp_status_row_t *row, ngx_uint_t i,
    const ngx_str_t *text);
static uint32_t ngx_trp_status_hash(ngx_uint_t kind, const ngx_str_t *texts,
    ngx_uint_t n);


ngx_trp_status_t *
ngx_trp_status_start(ngx_cycle_t *cycle, ngx_shm_zone_t *zone)
{
    ngx_trp_status_t  *status;

    status = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_status_t));
    if (status == NULL) {
        return NULL;
    }

    status->zone = zone->data;

    ngx_shmtx_lock(&status->zone->pool->mutex);

    status->worker = ngx_trp_status_enter(status->zone->shared);

    ngx_shmtx_unlock(&status->zone->pool->mutex);

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


void
ngx_trp_status_stop(ngx_trp_status_t *status)
{
    ngx_trp_status_shared_t  *shared;

    if (status->worker == NGX_TRP_STATUS_WORKERS) {
        return;
    }

    shared = status->zone->shared;

    ngx_shmtx_lock(&status->zone->pool->mutex);

    if (--shared->workers[status->worker].users == 0) {
        ngx_trp_status_bury(shared, status->worker);
    }

    ngx_shmtx_unlock(&status->zone->pool->mutex);
}


/* the worker is gone, and so are its parts */

static void
ngx_trp_status_bury(ngx_trp_status_shared_t *shared, ngx_uint_t worker)
{
    ngx_uint_t              i;
    ngx_trp_status_row_t   *row;
    ngx_trp_status_part_t  *part;

    for (i = 0; i < shared->nparts_used; i++) {
        part = &shared->parts[i];

        if (part->row && part->worker == worker) {
            (void) ngx_trp_status_part_close(shared, part, 1);
        }
    }

    /* it may have been killed in the middle of a change */

    for (i = 0; i < shared->used; i++) {
        row = &shared->rows[i];

        if (row->version & 1) {
            ngx_trp_status_change(row);
        }
    }

    shared->workers[worker].pid = 0;
}


void
ngx_trp_status_open(ngx_trp_status_t *status, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, ngx_trp_status_entry_t *entry,
    ngx_trp_status_past_t *past)
{
    uint32_t                  hash;
    ngx_trp_status_row_t     *row;
    ngx_trp_status_part_t    *part;
    ngx_trp_status_past_t     before;
    ngx_trp_status_shared_t  *shared;

    if (past == NULL) {
        past = &before;
    }

    ngx_memzero(past, sizeof(ngx_trp_status_past_t));

    past->is_new = 1;

    if (status->worker == NGX_TRP_STATUS_WORKERS) {
        ngx_trp_status_homeless(status, entry);
        return;
    }

    shared = status->zone->shared;
    hash = ngx_trp_status_hash(kind, texts, n);

    ngx_shmtx_lock(&status->zone->pool->mutex);

    row = ngx_trp_status_find(shared, kind, texts, n, hash);

    if (row) {
        past->is_new = 0;
        past->is_gone = ngx_queue_empty(&row->parts);
        past->is_quiet = row->quiet;
        past->gone = row->since;
    }

    part = ngx_trp_status_part(shared);

    if (part && row == NULL) {
        row = ngx_trp_status_make(shared, kind, texts, n, hash);

        if (row == NULL) {
            ngx_queue_insert_head(&shared->spare, &part->queue);
        }
    }

    if (part == NULL || row == NULL) {
        shared->homeless++;
        ngx_shmtx_unlock(&status->zone->pool->mutex);

        ngx_trp_status_homeless(status, entry);
        return;
    }

    ngx_trp_status_change(row);

    if (ngx_queue_empty(&row->parts)) {
        ngx_queue_remove(&row->queue);

        row->since = ngx_time();
        row->quiet = 0;
    }

    part->row = row;
    part->worker = status->worker;

    ngx_memzero((void *) part->gauges, sizeof(part->gauges));
    ngx_queue_insert_tail(&row->parts, &part->queue);

    ngx_trp_status_change(row);

    ngx_shmtx_unlock(&status->zone->pool->mutex);

    entry->status = status;
    entry->row = row;
    entry->part = part;
    entry->counters = row->counters;
    entry->gauges = part->gauges;
}


static void
ngx_trp_status_homeless(ngx_trp_status_t *status,
    ngx_trp_status_entry_t *entry)
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
    ngx_slab_pool_t  *pool;

    if (entry->row == NULL) {
        return;
    }

    pool = entry->status->zone->pool;

    ngx_shmtx_lock(&pool->mutex);

    ngx_trp_status_change(entry->row);
    ngx_trp_status_write(entry->row, i, text);
    ngx_trp_status_change(entry->row);

    ngx_shmtx_unlock(&pool->mutex);
}


ngx_uint_t
ngx_trp_status_close(ngx_trp_status_entry_t *entry, ngx_uint_t quiet)
{
    ngx_uint_t              last;
    ngx_trp_status_zone_t  *zone;

    if (entry->row == NULL) {
        return 0;
    }

    zone = entry->status->zone;

    ngx_shmtx_lock(&zone->pool->mutex);

    last = ngx_trp_status_part_close(zone->shared, entry->part, quiet);

    ngx_shmtx_unlock(&zone->pool->mutex);

    ngx_trp_status_homeless(entry->status, entry);

    return last;
}


void
ngx_trp_status_erase(ngx_trp_status_entry_t *entry)
{
    ngx_trp_status_row_t   *row;
    ngx_trp_status_zone_t  *zone;

    row = entry->row;

    if (row == NULL) {
        return;
    }

    zone = entry->status->zone;

    ngx_shmtx_lock(&zone->pool->mutex);

    if (ngx_trp_status_part_close(zone->shared, entry->part, 0)) {
        ngx_trp_status_forget(zone->shared, row);
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    ngx_trp_status_homeless(entry->status, entry);
}


ngx_atomic_uint_t
ngx_trp_status_sum(ngx_trp_status_entry_t *entry, ngx_uint_t i)
{
    ngx_queue_t            *q;
    ngx_slab_pool_t        *pool;
    ngx_atomic_uint_t       sum;
    ngx_trp_status_row_t   *row;
    ngx_trp_status_part_t  *part;

    row = entry->row;

    if (row == NULL) {
        return entry->gauges[i];
    }

    sum = 0;
    pool = entry->status->zone->pool;

    ngx_shmtx_lock(&pool->mutex);

    for (q = ngx_queue_head(&row->parts);
         q != ngx_queue_sentinel(&row->parts);
         q = ngx_queue_next(q))
    {
        part = ngx_queue_data(q, ngx_trp_status_part_t, queue);
        sum += part->gauges[i];
    }

    ngx_shmtx_unlock(&pool->mutex);

    return sum;
}


ngx_int_t
ngx_trp_status_overdue(ngx_trp_status_t *status, ngx_uint_t kind,
    time_t seconds, ngx_trp_status_gone_t *gone)
{
    size_t                    offset;
    ngx_int_t                 rc;
    ngx_uint_t                i, n;
    ngx_queue_t              *q;
    ngx_trp_status_row_t     *row;
    ngx_trp_status_shared_t  *shared;

    rc = NGX_DECLINED;
    shared = status->zone->shared;

    ngx_shmtx_lock(&status->zone->pool->mutex);

    /* from those that have gone last: they are the few that matter */

    q = ngx_queue_last(&shared->gone);

    for (n = 0; n < NGX_TRP_STATUS_LOOK; n++) {

        if (q == ngx_queue_sentinel(&shared->gone)) {
            break;
        }

        row = ngx_queue_data(q, ngx_trp_status_row_t, queue);
        q = ngx_queue_prev(q);

        if (row->kind != kind || !row->quiet
            || ngx_time() - row->since < seconds)
        {
            continue;
        }

        row->quiet = 0;

        ngx_memcpy(gone->data, row->text, NGX_TRP_STATUS_TEXT_SIZE);
        gone->gone = row->since;
        offset = 0;

        for (i = 0; i < NGX_TRP_STATUS_TEXTS; i++) {
            gone->texts[i].len = row->len[i];
            gone->texts[i].data = gone->data + offset;
            offset += row->len[i];
        }

        rc = NGX_OK;
        break;
    }

    ngx_shmtx_unlock(&status->zone->pool->mutex);

    return rc;
}


/* under the lock */


static ngx_trp_status_row_t *
ngx_trp_status_find(ngx_trp_status_shared_t *shared, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, uint32_t hash)
{
    size_t                 offset;
    ngx_uint_t             i;
    ngx_trp_status_row_t  *row;

    row = shared->hashes[hash & (shared->nhashes - 1)];

    for ( /* void */ ; row; row = row->next) {

        if (row->hash != hash || row->kind != kind || row->key != n) {
            continue;
        }

        offset = 0;

        for (i = 0; i < n; i++) {

            if (row->len[i] != texts[i].len
                || ngx_memcmp(row->text + offset, texts[i].data, row->len[i])
                   != 0)
            {
                break;
            }

            offset += row->len[i];
        }

        if (i == n) {
            return row;
        }
    }

    return NULL;
}


/* as one that is gone, with its name; in place of the one gone first */

static ngx_trp_status_row_t *
ngx_trp_status_make(ngx_trp_status_shared_t *shared, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, uint32_t hash)
{
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_trp_status_row_t   *row, **chain;

    row = NULL;

    if (!ngx_queue_empty(&shared->gone)) {
        q = ngx_queue_head(&shared->gone);
        row = ngx_queue_data(q, ngx_trp_status_row_t, queue);

        if ((ngx_queue_empty(&shared->free) && shared->used == shared->nrows)
            || ngx_time() - row->since >= shared->inactive)
        {
            ngx_trp_status_forget(shared, row);
        }
    }

    if (!ngx_queue_empty(&shared->free)) {
        q = ngx_queue_head(&shared->free);
        row = ngx_queue_data(q, ngx_trp_status_row_t, queue);

        ngx_queue_remove(&row->queue);

    } else if (shared->used < shared->nrows) {
        row = &shared->rows[shared->used];
        ngx_memzero(row, sizeof(ngx_trp_status_row_t));
        shared->used++;

    } else {
        return NULL;
    }

    ngx_trp_status_change(row);

    row->kind = kind;
    row->hash = hash;
    row->key = n;
    row->since = ngx_time();
    row->quiet = 0;

    ngx_memzero(row->len, sizeof(row->len));
    ngx_memzero((void *) row->counters, sizeof(row->counters));

    for (i = 0; i < n; i++) {
        ngx_trp_status_write(row, i, &texts[i]);
    }

    chain = &shared->hashes[hash & (shared->nhashes - 1)];
    row->next = *chain;
    *chain = row;

    ngx_queue_init(&row->parts);
    ngx_queue_insert_tail(&shared->gone, &row->queue);

    ngx_trp_status_change(row);

    return row;
}


static void
ngx_trp_status_forget(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    ngx_trp_status_row_t  **chain;

    chain = &shared->hashes[row->hash & (shared->nhashes - 1)];

    while (*chain != row) {
        chain = &(*chain)->next;
    }

    *chain = row->next;

    ngx_trp_status_change(row);
    row->kind = 0;
    ngx_trp_status_change(row);

    ngx_queue_remove(&row->queue);
    ngx_queue_insert_head(&shared->free, &row->queue);
}


static ngx_trp_status_part_t *
ngx_trp_status_part(ngx_trp_status_shared_t *shared)
{
    ngx_queue_t            *q;
    ngx_trp_status_part_t  *part;

    if (!ngx_queue_empty(&shared->spare)) {
        q = ngx_queue_head(&shared->spare);
        ngx_queue_remove(q);
        return ngx_queue_data(q, ngx_trp_status_part_t, queue);
    }

    if (shared->nparts_used == shared->nparts) {
        return NULL;
    }

    part = &shared->parts[shared->nparts_used++];
    part->row = NULL;

    return part;
}


/* 1 if it was the last one */

static ngx_uint_t
ngx_trp_status_part_close(ngx_trp_status_shared_t *shared,
    ngx_trp_status_part_t *part, ngx_uint_t quiet)
{
    ngx_uint_t             last;
    ngx_trp_status_row_t  *row;

    row = part->row;

    ngx_trp_status_change(row);

    ngx_queue_remove(&part->queue);
    part->row = NULL;

    last = ngx_queue_empty(&row->parts);

    if (last) {
        row->since = ngx_time();
        row->quiet = quiet;

        ngx_queue_insert_tail(&shared->gone, &row->queue);
    }

    ngx_trp_status_change(row);

    ngx_queue_insert_head(&shared->spare, &part->queue);

    return last;
}


/* before a change, and after it */

static void
ngx_trp_status_change(ngx_trp_status_row_t *row)
{
    (void) ngx_atomic_fetch_add(&row->version, 1);
}


/* the texts lie one behind the other */

static void
ngx_trp_status_write(ngx_trp_status_row_t *row, ngx_uint_t i,
    const ngx_str_t *text)
{
    size_t       before, after, len;
    ngx_uint_t   j;

    before = 0;
    after = 0;

    for (j = 0; j < NGX_TRP_STATUS_TEXTS; j++) {

        if (j < i) {
            before += row->len[j];
        }

        if (j > i) {
            after += row->len[j];
        }
    }

    len = ngx_min(text->len, NGX_TRP_STATUS_TEXT_SIZE - before - after);

    ngx_memmove(row->text + before + len, row->text + before + row->len[i],
                after);
    ngx_memcpy(row->text + before, text->data, len);

    row->len[i] = (uint16_t) len;
}


static uint32_t
ngx_trp_status_hash(ngx_uint_t kind, const ngx_str_t *texts, ngx_uint_t n)
{
    uint32_t    hash;
    ngx_uint_t  i;

    hash = (uint32_t) kind;

    for (i = 0; i < n; i++) {
        hash = hash * 31 + ngx_murmur_hash2(texts[i].data, texts[i].len);
    }

    return hash;
}
