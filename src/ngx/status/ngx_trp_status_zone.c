
/*
 * Copyright (C) the trp authors
 */


/*
 * The zone of an operator's view: one for all modules of an nginx, which may
 * have been loaded from several files.  The first one to need it adds it; if
 * the files are of different builds, that is an error.
 */


#include "status/ngx_trp_status_zone.h"
#include "status/ngx_trp_status_table.h"


#define NGX_TRP_STATUS_MAGIC     ((size_t) 0x7472707374617475ULL)
#define NGX_TRP_STATUS_INACTIVE  86400

/* at least so many rows, which takes half a megabyte */
#define NGX_TRP_STATUS_ROWS      512

/* pages that are left to the slab pool itself */
#define NGX_TRP_STATUS_SLACK     4

/* the file names of all modules have one tag: an address that all know */
#define NGX_TRP_STATUS_TAG       ((void *) &ngx_core_module)


static ngx_int_t ngx_trp_status_zone_rename(ngx_conf_t *cf,
    ngx_shm_zone_t *shm_zone, ngx_str_t *name);
static ngx_shm_zone_t *ngx_trp_status_zone_create(ngx_conf_t *cf,
    ngx_str_t *name, size_t size);
static ngx_int_t ngx_trp_status_zone_check(ngx_conf_t *cf,
    ngx_shm_zone_t *shm_zone);
static void ngx_trp_status_zone_renew(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_trp_status_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_trp_status_zone_inherit(ngx_trp_status_zone_t *zone);
static ngx_trp_status_shared_t *ngx_trp_status_zone_format(
    ngx_slab_pool_t *pool);


ngx_shm_zone_t *
ngx_trp_status_zone_set(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    time_t inactive)
{
    ngx_shm_zone_t         *shm_zone;
    ngx_trp_status_zone_t  *zone;

    shm_zone = ngx_trp_status_zone_find(cf->cycle);

    if (shm_zone == NULL) {
        shm_zone = ngx_trp_status_zone_create(cf, name, size);

        if (shm_zone == NULL) {
            return NULL;
        }
    }

    if (ngx_trp_status_zone_check(cf, shm_zone) != NGX_OK) {
        return NULL;
    }

    zone = shm_zone->data;

    if (zone->line) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the zone \"%V\" is already set in %V:%ui, "
                           "leave one of them out",
                           &shm_zone->shm.name, &zone->file, zone->line);
        return NULL;
    }

    if (ngx_trp_status_zone_rename(cf, shm_zone, name) != NGX_OK) {
        return NULL;
    }

    shm_zone->shm.size = size;

    zone->inactive = inactive;
    zone->file = cf->conf_file->file.name;
    zone->line = cf->conf_file->line;

    return shm_zone;
}


/* a module before the directive may have given it a name of its own */

static ngx_int_t
ngx_trp_status_zone_rename(ngx_conf_t *cf, ngx_shm_zone_t *shm_zone,
    ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *other;

    for (part = &cf->cycle->shared_memory.part; part; part = part->next) {
        other = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (&other[i] != shm_zone && other[i].shm.name.len == name->len
                && ngx_strncmp(other[i].shm.name.data, name->data, name->len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "the zone \"%V\" is already used for "
                                   "something else, write another name", name);
                return NGX_ERROR;
            }
        }
    }

    shm_zone->shm.name = *name;

    return NGX_OK;
}


ngx_shm_zone_t *
ngx_trp_status_zone_add(ngx_conf_t *cf, size_t size)
{
    ngx_str_t               name = ngx_string("trp");
    ngx_shm_zone_t         *shm_zone;
    ngx_trp_status_zone_t  *zone;

    shm_zone = ngx_trp_status_zone_find(cf->cycle);

    if (shm_zone == NULL) {
        return ngx_trp_status_zone_create(cf, &name, size);
    }

    if (ngx_trp_status_zone_check(cf, shm_zone) != NGX_OK) {
        return NULL;
    }

    zone = shm_zone->data;

    if (zone->line == 0) {
        shm_zone->shm.size = ngx_max(shm_zone->shm.size, size);
    }

    return shm_zone;
}


/*
 * During a reload, there are twice as many workers.  One more row does not
 * change the size, with which the zone would begin anew.
 */

ngx_shm_zone_t *
ngx_trp_status_zone_rows(ngx_conf_t *cf, ngx_uint_t rows)
{
    size_t            size;
    ngx_uint_t        n, workers;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    workers = (ccf->worker_processes == NGX_CONF_UNSET)
              ? 1 : ccf->worker_processes;

    for (n = NGX_TRP_STATUS_ROWS; n < 2 * rows * workers; n *= 2) {
        /* void */
    }

    size = n * (sizeof(ngx_trp_status_row_t)
                + 2 * sizeof(ngx_trp_status_part_t)
                + 2 * sizeof(ngx_trp_status_row_t *));

    return ngx_trp_status_zone_add(cf, ngx_align(size, ngx_pagesize));
}


ngx_shm_zone_t *
ngx_trp_status_zone_find(ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *shm_zone;

    for (part = &cycle->shared_memory.part; part; part = part->next) {
        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag == NGX_TRP_STATUS_TAG) {
                return &shm_zone[i];
            }
        }
    }

    return NULL;
}


ngx_uint_t
ngx_trp_status_zone_known(ngx_shm_zone_t *shm_zone)
{
    ngx_trp_status_zone_t  *zone;

    zone = shm_zone->data;

    return zone->magic == NGX_TRP_STATUS_MAGIC && zone->build == NGX_TRP_BUILD;
}


static ngx_shm_zone_t *
ngx_trp_status_zone_create(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t         *shm_zone;
    ngx_trp_status_zone_t  *zone;

    shm_zone = ngx_shared_memory_add(cf, name, size, NGX_TRP_STATUS_TAG);
    if (shm_zone == NULL) {
        return NULL;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_trp_status_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->magic = NGX_TRP_STATUS_MAGIC;
    zone->build = NGX_TRP_BUILD;
    zone->inactive = NGX_TRP_STATUS_INACTIVE;

    shm_zone->init = ngx_trp_status_zone_init;
    shm_zone->data = zone;

    ngx_trp_status_zone_renew(shm_zone);

    return shm_zone;
}


static ngx_int_t
ngx_trp_status_zone_check(ngx_conf_t *cf, ngx_shm_zone_t *shm_zone)
{
    if (ngx_trp_status_zone_known(shm_zone)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "the modules of trp are of different builds, "
                  "load those of one build");

    return NGX_ERROR;
}


/*
 * A reload may bring modules of another build, which cannot use what the ones
 * before have written.
 */

static void
ngx_trp_status_zone_renew(ngx_shm_zone_t *shm_zone)
{
    ngx_shm_zone_t  *old;

    if (ngx_cycle == NULL || ngx_cycle->conf_ctx == NULL) {
        return;
    }

    old = ngx_trp_status_zone_find((ngx_cycle_t *) ngx_cycle);

    if (old == NULL || old->data == NULL) {
        return;
    }

    if (!ngx_trp_status_zone_known(old)) {
        shm_zone->noreuse = 1;
    }
}


/* lives on from one reload to the next */

static ngx_int_t
ngx_trp_status_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_trp_status_zone_t *old = data;

    ngx_trp_status_zone_t  *zone;

    zone = shm_zone->data;
    zone->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->shared = old->shared;

    } else if (shm_zone->shm.exists) {
        zone->shared = zone->pool->data;

    } else {
        zone->shared = ngx_trp_status_zone_format(zone->pool);
        zone->pool->data = zone->shared;

        ngx_trp_status_zone_inherit(zone);
    }

    if (zone->shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "the zone \"%V\" is too small", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    zone->shared->inactive = zone->inactive;

    return NGX_OK;
}


/* a reload may have given it another size or another name */

static void
ngx_trp_status_zone_inherit(ngx_trp_status_zone_t *zone)
{
    ngx_shm_zone_t         *shm_zone;
    ngx_trp_status_zone_t  *old;

    if (zone->shared == NULL || ngx_cycle == NULL
        || ngx_cycle->conf_ctx == NULL)
    {
        return;
    }

    shm_zone = ngx_trp_status_zone_find((ngx_cycle_t *) ngx_cycle);

    if (shm_zone == NULL || shm_zone->data == NULL) {
        return;
    }

    old = shm_zone->data;

    if (old == zone || !ngx_trp_status_zone_known(shm_zone)
        || old->shared == NULL)
    {
        return;
    }

    zone->shared->inactive = zone->inactive;

    ngx_trp_status_adopt(zone->shared, ngx_trp_status_lock(old));

    ngx_trp_status_unlock(old);
}


/*
 * Rows and parts are initialized when they are taken first, so that memory that
 * is not needed is never touched.
 */

static ngx_trp_status_shared_t *
ngx_trp_status_zone_format(ngx_slab_pool_t *pool)
{
    size_t                    size;
    ngx_uint_t                n;
    ngx_trp_status_shared_t  *shared;

    shared = ngx_slab_calloc(pool, sizeof(ngx_trp_status_shared_t));

    if (shared == NULL || pool->pfree <= NGX_TRP_STATUS_SLACK) {
        return NULL;
    }

    shared->since = ngx_time();

    ngx_queue_init(&shared->free);
    ngx_queue_init(&shared->gone);
    ngx_queue_init(&shared->users);
    ngx_queue_init(&shared->quiet);
    ngx_queue_init(&shared->spare);

    /* two parts for each row, and at least one place in the hash table */

    size = (pool->pfree - NGX_TRP_STATUS_SLACK) * ngx_pagesize;

    n = size / (sizeof(ngx_trp_status_row_t)
                + 2 * sizeof(ngx_trp_status_part_t)
                + 2 * sizeof(ngx_trp_status_row_t *));

    for (shared->nhashes = 1; shared->nhashes < n; shared->nhashes *= 2) {
        /* void */
    }

    shared->nrows = n;
    shared->nparts = 2 * n;

    shared->hashes = ngx_slab_calloc(pool, shared->nhashes
                                           * sizeof(ngx_trp_status_row_t *));
    shared->rows = ngx_slab_alloc(pool, n * sizeof(ngx_trp_status_row_t));
    shared->parts = ngx_slab_alloc(pool, shared->nparts
                                         * sizeof(ngx_trp_status_part_t));

    return (shared->hashes && shared->rows && shared->parts) ? shared : NULL;
}
