
/*
 * Copyright (C) the trp authors
 */


/*
 * The zone's memory: created once, with its own keys, and kept through reloads.
 */


#include "turn/ngx_trp_turn_zone.h"

#include <sodium.h>


static ngx_int_t ngx_trp_turn_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_trp_turn_shared_t *ngx_trp_turn_zone_create(
    ngx_slab_pool_t *shpool);


ngx_shm_zone_t *
ngx_trp_turn_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ngx_shm_zone_t       *shm_zone;
    ngx_trp_turn_zone_t  *zone;

    shm_zone = ngx_shared_memory_add(cf, name, size, tag);
    zone = ngx_pcalloc(cf->pool, sizeof(ngx_trp_turn_zone_t));

    if (shm_zone == NULL || zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_trp_turn_zone_init;
    shm_zone->data = zone;

    return shm_zone;
}


/* after a reload, the zone is kept as it is */

static ngx_int_t
ngx_trp_turn_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_trp_turn_zone_t *old = data;

    ngx_trp_turn_zone_t  *zone;

    zone = shm_zone->data;
    zone->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->shared = old->shared;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        zone->shared = zone->pool->data;
        return NGX_OK;
    }

    zone->shared = ngx_trp_turn_zone_create(zone->pool);

    if (zone->shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "shared memory zone \"%V\" is too small, "
                      "write a larger size", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    zone->pool->data = zone->shared;

    return NGX_OK;
}


static ngx_trp_turn_shared_t *
ngx_trp_turn_zone_create(ngx_slab_pool_t *shpool)
{
    size_t                  n, room, each;
    u_char                  seed[NGX_TRP_TURN_SECRET_LEN / 2];
    u_char                  secret[NGX_TRP_TURN_SECRET_LEN + 1];
    ngx_trp_turn_shared_t  *sh;

    sh = ngx_slab_calloc(shpool, sizeof(ngx_trp_turn_shared_t));
    if (sh == NULL) {
        return NULL;
    }

    n = (shpool->end - (u_char *) shpool) / 4
        / (sizeof(ngx_trp_slot_t) + sizeof(trp_turn_stats_t));
    n = ngx_max(n, NGX_TRP_TURN_SLOTS_MIN);

    n = ngx_min(n, NGX_TRP_SLOTS);

    sh->slots.n = n;
    sh->slots.slots = ngx_slab_calloc(shpool, n * sizeof(ngx_trp_slot_t));
    sh->stats = ngx_slab_calloc(shpool, n * sizeof(trp_turn_stats_t));

    if (sh->slots.slots == NULL || sh->stats == NULL) {
        return NULL;
    }

    /* whole pages, and a spare page for each of the three tables */

    room = shpool->pfree * ngx_pagesize;
    room -= ngx_min(room, 4 * ngx_pagesize);

    each = sizeof(ngx_trp_turn_owner_t) + sizeof(ngx_trp_turn_usage_t)
           + (sizeof(*sh->accounts) + 7) / 8;

    for (n = 1024; n * 2 * each <= room; n *= 2) { /* void */ }

    sh->nowners = n;
    sh->nusage = n;
    sh->naccounts = n / 8;

    sh->owners = ngx_slab_calloc(shpool, n * sizeof(ngx_trp_turn_owner_t));
    sh->usage = ngx_slab_calloc(shpool, n * sizeof(ngx_trp_turn_usage_t));
    sh->accounts = ngx_slab_calloc(shpool, sh->naccounts
                                           * sizeof(*sh->accounts));

    if (sh->owners == NULL || sh->usage == NULL || sh->accounts == NULL) {
        return NULL;
    }

    randombytes_buf(sh->nonce_key, sizeof(sh->nonce_key));
    randombytes_buf(sh->hash_key, sizeof(sh->hash_key));
    randombytes_buf(seed, sizeof(seed));

    sodium_bin2hex((char *) secret, sizeof(secret), seed, sizeof(seed));
    ngx_memcpy(sh->secret, secret, NGX_TRP_TURN_SECRET_LEN);

    return sh;
}


uint64_t
ngx_trp_turn_zone_hash(ngx_trp_turn_zone_t *zone, const void *data, size_t len)
{
    uint64_t  hash;

    crypto_shorthash((u_char *) &hash, data, len, zone->shared->hash_key);

    return hash ? hash : 1;
}


uint64_t
ngx_trp_turn_zone_hash_tuple(ngx_trp_turn_zone_t *zone,
    const trp_turn_tuple_t *tuple)
{
    u_char  buf[TRP_TURN_TUPLE_MAX];

    return ngx_trp_turn_zone_hash(zone, buf, trp_turn_tuple_pack(buf, tuple));
}
