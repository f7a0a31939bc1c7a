
/*
 * Copyright (C) the trp authors
 */


/*
 * The rows and parts of the table, and its lists: a chain of rows for each
 * hash, those that are free, those that are gone, and the parts of each row.
 */


#include "status/ngx_trp_status_table.h"
#include "status/ngx_trp_status_kinds.h"


static void ngx_trp_status_repair(ngx_trp_status_shared_t *shared);
static void ngx_trp_status_repair_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);
static ngx_uint_t ngx_trp_status_is_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);
static void ngx_trp_status_oldest(ngx_trp_status_shared_t *shared,
    ngx_queue_t *gone, time_t seconds);
static ngx_trp_status_row_t *ngx_trp_status_row(
    ngx_trp_status_shared_t *shared);
static void ngx_trp_status_gone(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);
static void ngx_trp_status_chain(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row);
static void ngx_trp_status_change(ngx_trp_status_row_t *row);
static void ngx_trp_status_adopt_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *old);
static uint32_t ngx_trp_status_hash(ngx_uint_t kind, const ngx_str_t *texts,
    ngx_uint_t n);


ngx_trp_status_shared_t *
ngx_trp_status_lock(ngx_trp_status_zone_t *zone)
{
    ngx_trp_status_shared_t  *shared;

    shared = zone->shared;

    ngx_shmtx_lock(&zone->pool->mutex);

    if (shared->holder) {

        /* it was killed, and the master has taken the lock from it */
        ngx_trp_status_repair(shared);
    }

    shared->holder = ngx_pid;
    ngx_memory_barrier();

    return shared;
}


void
ngx_trp_status_unlock(ngx_trp_status_zone_t *zone)
{
    ngx_memory_barrier();
    zone->shared->holder = 0;

    ngx_shmtx_unlock(&zone->pool->mutex);
}


/* the order of those that are gone is lost, which does no harm */

static void
ngx_trp_status_repair(ngx_trp_status_shared_t *shared)
{
    ngx_uint_t              i;
    ngx_trp_status_row_t   *row;
    ngx_trp_status_part_t  *part;

    ngx_memzero(shared->hashes,
                shared->nhashes * sizeof(ngx_trp_status_row_t *));

    ngx_queue_init(&shared->free);
    ngx_queue_init(&shared->gone);
    ngx_queue_init(&shared->users);
    ngx_queue_init(&shared->quiet);
    ngx_queue_init(&shared->spare);

    for (i = 0; i < shared->used; i++) {
        ngx_trp_status_repair_row(shared, &shared->rows[i]);
    }

    for (i = 0; i < shared->nparts_used; i++) {
        part = &shared->parts[i];

        if (ngx_trp_status_is_row(shared, part->row)) {
            ngx_queue_insert_tail(&part->row->parts, &part->queue);

        } else {
            part->row = NULL;
            ngx_queue_insert_tail(&shared->spare, &part->queue);
        }
    }

    for (i = 0; i < shared->used; i++) {
        row = &shared->rows[i];

        if (row->kind == 0) {
            continue;
        }

        if (ngx_queue_empty(&row->parts)) {
            ngx_trp_status_gone(shared, row);

        } else {
            row->quiet = 0;
        }
    }
}


/* a name that is not whole is none; nor can other texts be trusted */

static void
ngx_trp_status_repair_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    size_t      offset;
    ngx_str_t   name[NGX_TRP_STATUS_TEXTS];
    ngx_uint_t  i, torn;

    torn = row->version & 1;

    ngx_queue_init(&row->parts);

    offset = 0;

    for (i = 0; torn && i < NGX_TRP_STATUS_TEXTS; i++) {

        if (i >= row->key) {
            row->len[i] = 0;
        }

        if (offset + row->len[i] > NGX_TRP_STATUS_TEXT_SIZE) {
            row->kind = 0;
            break;
        }

        name[i].len = row->len[i];
        name[i].data = row->text + offset;
        offset += row->len[i];
    }

    if (torn && row->kind
        && (row->key > NGX_TRP_STATUS_TEXTS
            || ngx_trp_status_hash(row->kind, name, row->key) != row->hash))
    {
        row->kind = 0;
    }

    if (row->kind == 0) {
        row->quiet = 0;
        ngx_queue_insert_tail(&shared->free, &row->queue);

    } else {
        ngx_trp_status_chain(shared, row);
    }

    if (torn) {
        ngx_trp_status_change(row);
    }
}


static ngx_uint_t
ngx_trp_status_is_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    return row >= shared->rows && row < shared->rows + shared->used
           && row->kind;
}


ngx_trp_status_row_t *
ngx_trp_status_find(ngx_trp_status_shared_t *shared, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n)
{
    size_t                 offset;
    uint32_t               hash;
    ngx_uint_t             i;
    ngx_trp_status_row_t  *row;

    hash = ngx_trp_status_hash(kind, texts, n);
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


ngx_trp_status_row_t *
ngx_trp_status_make(ngx_trp_status_shared_t *shared, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_trp_status_row_t  *row;

    ngx_trp_status_oldest(shared, &shared->users, shared->inactive);
    ngx_trp_status_oldest(shared, &shared->gone, shared->inactive);

    row = ngx_trp_status_row(shared);
    if (row == NULL) {
        return NULL;
    }

    ngx_trp_status_change(row);

    row->kind = kind;
    row->key = n;
    row->hash = ngx_trp_status_hash(kind, texts, n);
    row->since = ngx_time();
    row->came = row->since;
    row->quiet = 0;

    ngx_memzero(row->len, sizeof(row->len));
    ngx_memzero((void *) row->counters, sizeof(row->counters));

    for (i = 0; i < n; i++) {
        ngx_trp_status_write(row, i, &texts[i]);
    }

    ngx_queue_init(&row->parts);

    ngx_trp_status_chain(shared, row);
    ngx_trp_status_gone(shared, row);

    ngx_trp_status_change(row);

    return row;
}


/* the one gone first is forgotten, if it has been gone for so long */

static void
ngx_trp_status_oldest(ngx_trp_status_shared_t *shared, ngx_queue_t *gone,
    time_t seconds)
{
    ngx_trp_status_row_t  *row;

    if (!ngx_queue_empty(gone)) {
        row = ngx_queue_data(ngx_queue_head(gone), ngx_trp_status_row_t,
                             queue);

        if (ngx_time() - row->since >= seconds) {
            ngx_trp_status_forget(shared, row);
        }
    }
}


/* strangers to an operator, as users may be, make room before agents do */

static ngx_trp_status_row_t *
ngx_trp_status_row(ngx_trp_status_shared_t *shared)
{
    ngx_queue_t           *q;
    ngx_trp_status_row_t  *row;

    if (ngx_queue_empty(&shared->free) && shared->used < shared->nrows) {
        row = &shared->rows[shared->used];

        ngx_memzero(row, sizeof(ngx_trp_status_row_t));
        ngx_memory_barrier();
        shared->used++;

        return row;
    }

    if (ngx_queue_empty(&shared->free)) {
        ngx_trp_status_oldest(shared,
                              ngx_queue_empty(&shared->users)
                              ? &shared->gone : &shared->users, 0);
    }

    if (ngx_queue_empty(&shared->free)) {
        return NULL;
    }

    q = ngx_queue_head(&shared->free);
    ngx_queue_remove(q);

    return ngx_queue_data(q, ngx_trp_status_row_t, queue);
}


void
ngx_trp_status_forget(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    ngx_trp_status_row_t  **chain;

    chain = &shared->hashes[row->hash & (shared->nhashes - 1)];

    while (*chain != row) {
        chain = &(*chain)->next;
    }

    *chain = row->next;

    ngx_trp_status_told(row);

    ngx_trp_status_change(row);
    row->kind = 0;
    ngx_trp_status_change(row);

    ngx_queue_remove(&row->queue);
    ngx_queue_insert_head(&shared->free, &row->queue);
}


void
ngx_trp_status_told(ngx_trp_status_row_t *row)
{
    if (row->quiet) {
        row->quiet = 0;
        ngx_queue_remove(&row->quiets);
    }
}


/* the row, which has no parts, to the lists of such */

static void
ngx_trp_status_gone(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    ngx_queue_insert_tail((row->kind == NGX_TRP_STATUS_TURN_USER
                           || row->kind == NGX_TRP_STATUS_SOCKS_USER)
                          ? &shared->users : &shared->gone, &row->queue);

    if (row->quiet) {
        ngx_queue_insert_tail(&shared->quiet, &row->quiets);
    }
}


static void
ngx_trp_status_chain(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row)
{
    ngx_trp_status_row_t  **chain;

    chain = &shared->hashes[row->hash & (shared->nhashes - 1)];

    row->next = *chain;
    *chain = row;
}


/* before a change, and after it */

static void
ngx_trp_status_change(ngx_trp_status_row_t *row)
{
    ngx_memory_barrier();
    (void) ngx_atomic_fetch_add(&row->version, 1);
    ngx_memory_barrier();
}


void
ngx_trp_status_texts(ngx_str_t *texts, u_char *data, const uint16_t *len)
{
    size_t      offset;
    ngx_uint_t  i;

    offset = 0;

    for (i = 0; i < NGX_TRP_STATUS_TEXTS; i++) {
        texts[i].len = ngx_min((size_t) len[i],
                               NGX_TRP_STATUS_TEXT_SIZE - offset);
        texts[i].data = data + offset;
        offset += texts[i].len;
    }
}


/* the texts lie one behind the other */

void
ngx_trp_status_write(ngx_trp_status_row_t *row, ngx_uint_t i,
    const ngx_str_t *text)
{
    size_t       before, after, len;
    ngx_uint_t   j, whole;

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

    whole = !(row->version & 1);

    if (whole) {
        ngx_trp_status_change(row);
    }

    ngx_memmove(row->text + before + len, row->text + before + row->len[i],
                after);
    ngx_memcpy(row->text + before, text->data, len);

    row->len[i] = (uint16_t) len;

    if (whole) {
        ngx_trp_status_change(row);
    }
}


ngx_trp_status_part_t *
ngx_trp_status_part_open(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *row, ngx_uint_t worker)
{
    ngx_queue_t            *q;
    ngx_trp_status_part_t  *part;

    if (!ngx_queue_empty(&shared->spare)) {
        q = ngx_queue_head(&shared->spare);
        ngx_queue_remove(q);

        part = ngx_queue_data(q, ngx_trp_status_part_t, queue);

    } else if (shared->nparts_used < shared->nparts) {
        part = &shared->parts[shared->nparts_used];

        part->row = NULL;
        ngx_memory_barrier();
        shared->nparts_used++;

    } else {
        return NULL;
    }

    ngx_trp_status_change(row);

    if (ngx_queue_empty(&row->parts)) {

        /* who has gone quietly, and is back, has been there all the time */

        row->since = row->quiet ? row->came : ngx_time();

        ngx_trp_status_told(row);
        ngx_queue_remove(&row->queue);
    }

    ngx_memzero((void *) part->gauges, sizeof(part->gauges));

    part->worker = worker;
    ngx_memory_barrier();
    part->row = row;

    ngx_queue_insert_tail(&row->parts, &part->queue);

    ngx_trp_status_change(row);

    return part;
}


ngx_uint_t
ngx_trp_status_part_close(ngx_trp_status_shared_t *shared,
    ngx_trp_status_part_t *part, ngx_uint_t quiet)
{
    ngx_uint_t             last;
    ngx_trp_status_row_t  *row;

    row = part->row;

    ngx_trp_status_change(row);

    ngx_queue_remove(&part->queue);

    last = ngx_queue_empty(&row->parts);

    if (last) {
        row->came = row->since;
        row->since = ngx_time();
        row->quiet = quiet;
    }

    ngx_memory_barrier();
    part->row = NULL;

    if (last) {
        ngx_trp_status_gone(shared, row);
    }

    ngx_trp_status_change(row);

    ngx_queue_insert_head(&shared->spare, &part->queue);

    return last;
}


/* agents may have gone to another worker, and nobody asks for a process */

void
ngx_trp_status_bury(ngx_trp_status_shared_t *shared, ngx_uint_t worker)
{
    ngx_uint_t              i, last;
    ngx_trp_status_row_t   *row;
    ngx_trp_status_part_t  *part;

    for (i = 0; i < shared->nparts_used; i++) {
        part = &shared->parts[i];
        row = part->row;

        if (row == NULL || part->worker != worker) {
            continue;
        }

        last = ngx_trp_status_part_close(shared, part,
                                         (row->kind == NGX_TRP_STATUS_AGENT)
                                         ? NGX_TRP_STATUS_KILLED : 0);

        if (last && row->kind == NGX_TRP_STATUS_WORKER) {
            ngx_trp_status_forget(shared, row);
        }
    }

    shared->workers[worker].pid = 0;
}


void
ngx_trp_status_adopt(ngx_trp_status_shared_t *shared,
    ngx_trp_status_shared_t *from)
{
    ngx_uint_t             i;
    ngx_queue_t           *q;
    ngx_trp_status_row_t  *row;

    shared->since = from->since;
    shared->homeless = from->homeless;

    for (q = ngx_queue_head(&from->users);
         q != ngx_queue_sentinel(&from->users);
         q = ngx_queue_next(q))
    {
        row = ngx_queue_data(q, ngx_trp_status_row_t, queue);
        ngx_trp_status_adopt_row(shared, row);
    }

    for (q = ngx_queue_head(&from->gone);
         q != ngx_queue_sentinel(&from->gone);
         q = ngx_queue_next(q))
    {
        row = ngx_queue_data(q, ngx_trp_status_row_t, queue);
        ngx_trp_status_adopt_row(shared, row);
    }

    for (i = 0; i < from->used; i++) {
        row = &from->rows[i];

        if (row->kind && row->kind != NGX_TRP_STATUS_WORKER
            && !ngx_queue_empty(&row->parts))
        {
            ngx_trp_status_adopt_row(shared, row);
        }
    }
}


/* its workers go on to count there, those that start count here */

static void
ngx_trp_status_adopt_row(ngx_trp_status_shared_t *shared,
    ngx_trp_status_row_t *old)
{
    ngx_str_t              texts[NGX_TRP_STATUS_TEXTS];
    ngx_uint_t             i;
    ngx_trp_status_row_t  *row;

    ngx_trp_status_texts(texts, old->text, old->len);

    row = ngx_trp_status_make(shared, old->kind, texts, old->key);
    if (row == NULL) {
        return;
    }

    for (i = old->key; i < NGX_TRP_STATUS_TEXTS; i++) {
        ngx_trp_status_write(row, i, &texts[i]);
    }

    for (i = 0; i < NGX_TRP_STATUS_COUNTERS; i++) {
        row->counters[i] = old->counters[i];
    }

    if (ngx_queue_empty(&old->parts)) {
        row->since = old->since;
        row->came = old->came;
        row->quiet = old->quiet;

    } else if (old->kind == NGX_TRP_STATUS_AGENT) {
        row->came = old->since;
        row->quiet = NGX_TRP_STATUS_ADOPTED;
    }

    if (row->quiet) {
        ngx_queue_insert_tail(&shared->quiet, &row->quiets);
    }
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
