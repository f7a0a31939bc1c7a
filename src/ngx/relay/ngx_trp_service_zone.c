
/*
 * Copyright (C) the trp authors
 */


/*
 * The shared table of published names.  Each has the process that publishes it;
 * when that has given it up, or died, the name is kept for its owner for a
 * while, in a queue of those that have been left.
 */


#include "relay/ngx_trp_service_zone.h"

#include <signal.h>


/* seconds that a name is kept for its owner */
#define NGX_TRP_SERVICE_GRACE  60

/* names looked at when an agent with another list comes */
#define NGX_TRP_SERVICE_LOOK   1000


/* the table */

typedef struct {
    ngx_rbtree_t           rbtree;       /* ngx_trp_service_entry_t by name */
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t            left;         /* without a publisher, oldest first */
} ngx_trp_service_table_t;


typedef struct {
    ngx_str_node_t         sn;
    ngx_queue_t            queue;        /* in table->left */
    time_t                 since;        /* when it was left */
    ngx_pid_t              pid;          /* of the last publisher's worker */
    uint64_t               list;
    uint32_t               agent;
    unsigned               live:1;
    u_char                 key[TRP_KEY_PUBLIC_LEN];
    ngx_trp_service_group_t  group;
    u_char                 name[1];
} ngx_trp_service_entry_t;


static ngx_int_t ngx_trp_service_zone_init(ngx_shm_zone_t *zone, void *data);
static ngx_trp_service_table_t *ngx_trp_service_zone_lock(
    ngx_shm_zone_t *zone);
static void ngx_trp_service_zone_unlock(ngx_shm_zone_t *zone);
static ngx_trp_service_entry_t *ngx_trp_service_zone_get(
    ngx_trp_service_table_t *table, const ngx_str_t *name);
static ngx_trp_service_entry_t *ngx_trp_service_zone_create(
    ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner);
static void ngx_trp_service_zone_set_left(ngx_trp_service_table_t *table,
    ngx_trp_service_entry_t *entry);
static void ngx_trp_service_zone_free(ngx_shm_zone_t *zone,
    ngx_trp_service_entry_t *entry);
static void ngx_trp_service_zone_expire(ngx_shm_zone_t *zone);
static ngx_uint_t ngx_trp_service_zone_owns(
    const ngx_trp_service_owner_t *owner,
    const ngx_trp_service_entry_t *entry);
static ngx_uint_t ngx_trp_service_zone_dead(
    const ngx_trp_service_entry_t *entry);


ngx_shm_zone_t *
ngx_trp_service_zone_add(ngx_conf_t *cf, size_t size, void *tag)
{
    ngx_str_t        name = ngx_string("trp_services");
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &name, size, tag);

    if (zone) {
        zone->init = ngx_trp_service_zone_init;
    }

    return zone;
}


/* lives on from one reload to the next */

static ngx_int_t
ngx_trp_service_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t          *shpool;
    ngx_trp_service_table_t  *table;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data || zone->shm.exists) {
        zone->data = data ? data : shpool->data;
        return NGX_OK;
    }

    table = ngx_slab_calloc(shpool, sizeof(ngx_trp_service_table_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&table->rbtree, &table->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&table->left);

    /* a full table is logged with the name that has found no room */
    shpool->log_nomem = 0;

    shpool->data = table;
    zone->data = table;

    return NGX_OK;
}


static ngx_trp_service_table_t *
ngx_trp_service_zone_lock(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    ngx_shmtx_lock(&shpool->mutex);

    return zone->data;
}


static void
ngx_trp_service_zone_unlock(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_trp_service_zone_tidy(ngx_shm_zone_t *zone)
{
    ngx_rbtree_node_t        *node;
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    table = ngx_trp_service_zone_lock(zone);

    node = (table->rbtree.root == table->rbtree.sentinel)
           ? NULL : ngx_rbtree_min(table->rbtree.root, table->rbtree.sentinel);

    for ( /* void */ ; node; node = ngx_rbtree_next(&table->rbtree, node)) {
        entry = (ngx_trp_service_entry_t *) node;

        if (entry->live && ngx_trp_service_zone_dead(entry)) {
            ngx_trp_service_zone_set_left(table, entry);
        }
    }

    ngx_trp_service_zone_unlock(zone);
}


ngx_uint_t
ngx_trp_service_zone_claim(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner, ngx_uint_t *same)
{
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    *same = 0;

    table = ngx_trp_service_zone_lock(zone);

    ngx_trp_service_zone_expire(zone);

    entry = ngx_trp_service_zone_get(table, name);

    if (entry && !ngx_trp_service_zone_owns(owner, entry)) {

        if (entry->live && ngx_trp_service_zone_dead(entry)) {
            ngx_trp_service_zone_set_left(table, entry);
        }

        ngx_trp_service_zone_unlock(zone);
        return TRP_CODE_TAKEN;
    }

    if (entry == NULL) {
        entry = ngx_trp_service_zone_create(zone, name, owner);

        if (entry == NULL) {
            ngx_trp_service_zone_unlock(zone);
            return TRP_CODE_LIMIT;
        }

    } else {
        *same = (entry->list == owner->list && entry->agent == owner->agent);

        if (!entry->live) {
            ngx_queue_remove(&entry->queue);
        }
    }

    entry->live = 1;
    entry->pid = ngx_pid;
    entry->list = owner->list;
    entry->agent = owner->agent;

    ngx_trp_service_zone_unlock(zone);

    return TRP_CODE_NONE;
}


void
ngx_trp_service_zone_leave(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner)
{
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    table = ngx_trp_service_zone_lock(zone);

    entry = ngx_trp_service_zone_get(table, name);

    /* another worker may have it by now */

    if (entry && entry->live && entry->pid == ngx_pid
        && ngx_trp_service_zone_owns(owner, entry))
    {
        ngx_trp_service_zone_set_left(table, entry);
    }

    ngx_trp_service_zone_unlock(zone);
}


void
ngx_trp_service_zone_drop(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner)
{
    ngx_trp_service_entry_t  *entry;

    entry = ngx_trp_service_zone_get(ngx_trp_service_zone_lock(zone), name);

    if (entry && ngx_trp_service_zone_owns(owner, entry)) {
        ngx_trp_service_zone_free(zone, entry);
    }

    ngx_trp_service_zone_unlock(zone);
}


void
ngx_trp_service_zone_drop_left(ngx_shm_zone_t *zone,
    const ngx_trp_service_owner_t *owner)
{
    ngx_uint_t                n;
    ngx_queue_t              *q, *prev;
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    table = ngx_trp_service_zone_lock(zone);

    q = ngx_queue_last(&table->left);

    for (n = 0; q != ngx_queue_sentinel(&table->left); q = prev) {
        prev = ngx_queue_prev(q);
        entry = ngx_queue_data(q, ngx_trp_service_entry_t, queue);

        if (entry->agent == owner->agent
            && ngx_trp_service_zone_owns(owner, entry))
        {
            ngx_trp_service_zone_free(zone, entry);
        }

        if (++n == NGX_TRP_SERVICE_LOOK) {
            break;
        }
    }

    ngx_trp_service_zone_unlock(zone);
}


ngx_int_t
ngx_trp_service_zone_find(ngx_shm_zone_t *zone, const ngx_str_t *name,
    ngx_trp_service_group_t *group)
{
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    table = ngx_trp_service_zone_lock(zone);

    ngx_trp_service_zone_expire(zone);

    entry = ngx_trp_service_zone_get(table, name);

    if (entry) {
        *group = entry->group;
    }

    ngx_trp_service_zone_unlock(zone);

    return entry ? NGX_OK : NGX_DECLINED;
}


static ngx_trp_service_entry_t *
ngx_trp_service_zone_get(ngx_trp_service_table_t *table,
    const ngx_str_t *name)
{
    return (ngx_trp_service_entry_t *)
           ngx_str_rbtree_lookup(&table->rbtree, (ngx_str_t *) name,
                                 ngx_crc32_short(name->data, name->len));
}


/* without a publisher, and in no queue yet */

static ngx_trp_service_entry_t *
ngx_trp_service_zone_create(ngx_shm_zone_t *zone, const ngx_str_t *name,
    const ngx_trp_service_owner_t *owner)
{
    ngx_slab_pool_t          *shpool;
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    table = zone->data;

    entry = ngx_slab_calloc_locked(shpool, sizeof(ngx_trp_service_entry_t)
                                           + name->len);
    if (entry == NULL) {
        return NULL;
    }

    ngx_memcpy(entry->key, owner->key, TRP_KEY_PUBLIC_LEN);

    entry->group.len = owner->group.len;
    ngx_memcpy(entry->group.data, owner->group.data, owner->group.len);

    entry->sn.node.key = ngx_crc32_short(name->data, name->len);
    entry->sn.str.len = name->len;
    entry->sn.str.data = entry->name;
    ngx_memcpy(entry->name, name->data, name->len);

    ngx_rbtree_insert(&table->rbtree, &entry->sn.node);

    return entry;
}


static void
ngx_trp_service_zone_set_left(ngx_trp_service_table_t *table,
    ngx_trp_service_entry_t *entry)
{
    entry->live = 0;
    entry->since = ngx_time();

    ngx_queue_insert_tail(&table->left, &entry->queue);
}


static void
ngx_trp_service_zone_free(ngx_shm_zone_t *zone,
    ngx_trp_service_entry_t *entry)
{
    ngx_trp_service_table_t  *table;

    table = zone->data;

    if (!entry->live) {
        ngx_queue_remove(&entry->queue);
    }

    ngx_rbtree_delete(&table->rbtree, &entry->sn.node);
    ngx_slab_free_locked((ngx_slab_pool_t *) zone->shm.addr, entry);
}


static void
ngx_trp_service_zone_expire(ngx_shm_zone_t *zone)
{
    ngx_queue_t              *q;
    ngx_trp_service_entry_t  *entry;
    ngx_trp_service_table_t  *table;

    table = zone->data;

    while (!ngx_queue_empty(&table->left)) {
        q = ngx_queue_head(&table->left);
        entry = ngx_queue_data(q, ngx_trp_service_entry_t, queue);

        if (ngx_time() - entry->since < NGX_TRP_SERVICE_GRACE) {
            return;
        }

        ngx_trp_service_zone_free(zone, entry);
    }
}


static ngx_uint_t
ngx_trp_service_zone_owns(const ngx_trp_service_owner_t *owner,
    const ngx_trp_service_entry_t *entry)
{
    return entry->group.len == owner->group.len
           && ngx_memcmp(entry->key, owner->key, TRP_KEY_PUBLIC_LEN) == 0
           && ngx_memcmp(entry->group.data, owner->group.data,
                         owner->group.len)
              == 0;
}


static ngx_uint_t
ngx_trp_service_zone_dead(const ngx_trp_service_entry_t *entry)
{
    return kill(entry->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}
