
/*
 * Copyright (C) the trp authors
 */


#include "turn/ngx_trp_turn_zone.h"

#include <sodium.h>


/* how far from its place an entry may be */
#define NGX_TRP_TURN_PROBES  16


static ngx_int_t ngx_trp_turn_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_trp_turn_shared_t *ngx_trp_turn_zone_create(
    ngx_slab_pool_t *shpool);
static void ngx_trp_turn_zone_reap_dead(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot, ngx_log_t *log);
static void ngx_trp_turn_zone_free_slot(ngx_trp_turn_zone_t *zone,
    ngx_uint_t slot);
static void ngx_trp_turn_zone_free_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner);
static void ngx_trp_turn_zone_set_port(u_char *map, in_port_t port,
    ngx_uint_t on);
static uint8_t ngx_trp_turn_zone_take_home(ngx_trp_turn_shared_t *sh,
    const trp_addr_t *relayed);
static void ngx_trp_turn_zone_expire_reservations(ngx_trp_turn_shared_t *sh);
static ngx_trp_turn_usage_t *ngx_trp_turn_zone_usage(
    ngx_trp_turn_shared_t *sh, uint64_t hash);
static u_char *ngx_trp_turn_zone_account(ngx_trp_turn_shared_t *sh,
    const u_char *account, ngx_uint_t create);


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


/* as it is, after a reload */

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

    n = (shpool->end - (u_char *) shpool) / 4 / sizeof(ngx_trp_turn_slot_t);
    n = ngx_max(n, NGX_TRP_TURN_SLOTS_MIN);

    sh->nslots = ngx_min(n, NGX_TRP_TURN_SLOTS);
    sh->slots = ngx_slab_calloc(shpool, sh->nslots
                                        * sizeof(ngx_trp_turn_slot_t));
    if (sh->slots == NULL) {
        return NULL;
    }

    /* whole pages; a page more for each of the three tables */

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


ngx_uint_t
ngx_trp_turn_zone_reserve_slot(ngx_trp_turn_zone_t *zone,
    ngx_uint_t generation)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slot;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < zone->shared->nslots; i++) {
        slot = &zone->shared->slots[i];

        if (slot->state == NGX_TRP_TURN_SLOT_FREE) {
            slot->pid = 0;
            slot->generation = generation;
            slot->state = NGX_TRP_TURN_SLOT_STARTING;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return (i < zone->shared->nslots) ? i : NGX_TRP_TURN_NO_SLOT;
}


void
ngx_trp_turn_zone_enter(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t            generation;
    ngx_trp_turn_slot_t  *s;

    if (slot == NGX_TRP_TURN_NO_SLOT) {
        return;
    }

    s = &zone->shared->slots[slot];

    ngx_shmtx_lock(&zone->pool->mutex);

    /* in place of a worker that has died */

    generation = s->generation;
    ngx_trp_turn_zone_free_slot(zone, slot);

    s->generation = generation;
    s->epoch = ++zone->shared->epochs;
    s->pid = ngx_pid;
    s->state = NGX_TRP_TURN_SLOT_RUNNING;

    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_switched(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    if (slot != NGX_TRP_TURN_NO_SLOT) {
        zone->shared->slots[slot].state = NGX_TRP_TURN_SLOT_SWITCHED;
    }
}


void
ngx_trp_turn_zone_leave(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    if (slot != NGX_TRP_TURN_NO_SLOT) {
        ngx_shmtx_lock(&zone->pool->mutex);
        ngx_trp_turn_zone_free_slot(zone, slot);
        ngx_shmtx_unlock(&zone->pool->mutex);
    }
}


void
ngx_trp_turn_zone_reap(ngx_trp_turn_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slot;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < zone->shared->nslots; i++) {
        slot = &zone->shared->slots[i];

        switch (slot->state) {

        case NGX_TRP_TURN_SLOT_FREE:
            continue;

        case NGX_TRP_TURN_SLOT_STARTING:

            /* a worker has either started meanwhile, or never will */

            if (slot->generation + 2 <= zone->shared->generation) {
                ngx_trp_turn_zone_free_slot(zone, i);
            }

            break;

        default:
            ngx_trp_turn_zone_reap_dead(zone, i, log);
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


static void
ngx_trp_turn_zone_reap_dead(ngx_trp_turn_zone_t *zone, ngx_uint_t slot,
    ngx_log_t *log)
{
    if (ngx_trp_turn_zone_alive(zone, slot)) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "worker process %P is gone, its allocations, too",
                  (ngx_pid_t) zone->shared->slots[slot].pid);

    ngx_trp_turn_zone_free_slot(zone, slot);
}


/* in the place of one of this generation another one is started */

void
ngx_trp_turn_zone_watch(ngx_trp_turn_zone_t *zone, ngx_msec_t time,
    ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_trp_turn_slot_t    *slot;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        < (ngx_msec_int_t) time)
    {
        return;
    }

    ngx_shmtx_lock(&zone->pool->mutex);

    if ((ngx_msec_int_t) (ngx_current_msec - sh->watched)
        >= (ngx_msec_int_t) time)
    {
        sh->watched = ngx_current_msec;

        for (i = 0; i < zone->shared->nslots; i++) {
            slot = &sh->slots[i];

            if (slot->state >= NGX_TRP_TURN_SLOT_RUNNING
                && slot->generation != sh->generation)
            {
                ngx_trp_turn_zone_reap_dead(zone, i, log);
            }
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


ngx_uint_t
ngx_trp_turn_zone_others(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < zone->shared->nslots; i++) {
        if (i != slot
            && zone->shared->slots[i].state != NGX_TRP_TURN_SLOT_FREE)
        {
            return 1;
        }
    }

    return 0;
}


ngx_atomic_uint_t
ngx_trp_turn_zone_epoch(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    return (slot < zone->shared->nslots) ? zone->shared->slots[slot].epoch : 0;
}


static void
ngx_trp_turn_zone_free_slot(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t              i;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    for (i = 0; i < sh->nowners; i++) {
        if (sh->owners[i].hash && sh->owners[i].slot == slot) {
            ngx_trp_turn_zone_set_port(sh->ports, sh->owners[i].port, 0);
            ngx_trp_turn_zone_free_owner(zone, &sh->owners[i]);
        }
    }

    for (i = 0; i < NGX_TRP_TURN_TALLIES; i++) {
        if (sh->tallies[i].slot == slot + 1) {
            sh->tallies[i].slot = 0;
        }
    }

    if (sh->slots[slot].epoch) {
        sh->ends++;
    }

    ngx_trp_turn_zone_add_stats(&sh->past, &sh->slots[slot].stats, 0);
    ngx_memzero(&sh->slots[slot], sizeof(ngx_trp_turn_slot_t));
}


ngx_uint_t
ngx_trp_turn_zone_alive(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_trp_turn_slot_t  *s;

    if (slot >= zone->shared->nslots) {
        return 0;
    }

    s = &zone->shared->slots[slot];

    return s->state != NGX_TRP_TURN_SLOT_FREE && s->pid != 0
           && (kill((ngx_pid_t) s->pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


ngx_uint_t
ngx_trp_turn_zone_older_reads(ngx_trp_turn_zone_t *zone, ngx_uint_t slot)
{
    ngx_uint_t            i;
    ngx_trp_turn_slot_t  *slots;

    if (slot == NGX_TRP_TURN_NO_SLOT) {
        return 0;
    }

    slots = zone->shared->slots;

    for (i = 0; i < zone->shared->nslots; i++) {
        if (slots[i].state == NGX_TRP_TURN_SLOT_RUNNING
            && slots[i].generation != slots[slot].generation
            && ngx_trp_turn_zone_alive(zone, i))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_turn_zone_take_port(ngx_trp_turn_zone_t *zone, in_port_t port)
{
    ngx_int_t               rc;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;
    rc = NGX_BUSY;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    if (!((sh->ports[port / 8] >> (port % 8)) & 1)) {
        ngx_trp_turn_zone_set_port(sh->ports, port, 1);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


void
ngx_trp_turn_zone_give_port(ngx_trp_turn_zone_t *zone, in_port_t port)
{
    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_set_port(zone->shared->ports, port, 0);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_bind_port(ngx_trp_turn_zone_t *zone, in_port_t port,
    ngx_uint_t tcp)
{
    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_set_port(zone->shared->bound[tcp], port, 1);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


ngx_uint_t
ngx_trp_turn_zone_home(ngx_trp_turn_zone_t *zone, ngx_uint_t tcp,
    in_port_t port, ngx_uint_t v6, trp_addr_t *addr)
{
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    if (!((sh->bound[tcp][port / 8] >> (port % 8)) & 1)) {
        return 0;
    }

    *addr = sh->homes[sh->home[port]].addr[v6];

    return addr->family != 0;
}


/* entry 0 stands for those that have none */

static uint8_t
ngx_trp_turn_zone_take_home(ngx_trp_turn_shared_t *sh,
    const trp_addr_t *relayed)
{
    ngx_uint_t            i, empty;
    ngx_trp_turn_home_t  *home;

    empty = 0;

    for (i = 1; i <= NGX_TRP_TURN_HOMES; i++) {
        home = &sh->homes[i];

        if (home->n == 0) {
            empty = empty ? empty : i;

        } else if (ngx_memcmp(home->addr, relayed, sizeof(home->addr)) == 0) {
            home->n++;
            return (uint8_t) i;
        }
    }

    if (empty) {
        ngx_memcpy(sh->homes[empty].addr, relayed, sizeof(home->addr));
        sh->homes[empty].n = 1;
    }

    return (uint8_t) empty;
}


static void
ngx_trp_turn_zone_set_port(u_char *map, in_port_t port, ngx_uint_t on)
{
    u_char  bit;

    bit = (u_char) (1 << (port % 8));

    if (on) {
        map[port / 8] |= bit;

    } else {
        map[port / 8] &= (u_char) ~bit;
    }
}


int
ngx_trp_turn_zone_reserve(ngx_trp_turn_zone_t *zone, in_port_t port,
    const uint8_t *token)
{
    int                          rc;
    ngx_uint_t                   i;
    ngx_trp_turn_shared_t       *sh;
    ngx_trp_turn_reservation_t  *reservation;

    sh = zone->shared;
    rc = TRP_DECLINED;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port || ((sh->ports[port / 8] >> (port % 8)) & 1)) {
            continue;
        }

        ngx_memcpy(reservation->token, token, TRP_TURN_TOKEN_LEN);
        reservation->port = port;
        reservation->expires = ngx_current_msec + TRP_TURN_RESERVATION_TIME;

        ngx_trp_turn_zone_set_port(sh->ports, port, 1);

        rc = TRP_OK;
        break;
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


in_port_t
ngx_trp_turn_zone_redeem(ngx_trp_turn_zone_t *zone, const uint8_t *token)
{
    ngx_uint_t                   i;
    in_port_t                    port;
    ngx_trp_turn_shared_t       *sh;
    ngx_trp_turn_reservation_t  *reservation;

    sh = zone->shared;
    port = 0;

    ngx_shmtx_lock(&zone->pool->mutex);

    ngx_trp_turn_zone_expire_reservations(sh);

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port
            && sodium_memcmp(reservation->token, token, TRP_TURN_TOKEN_LEN)
               == 0)
        {
            port = reservation->port;
            reservation->port = 0;
            ngx_trp_turn_zone_set_port(sh->ports, port, 0);
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return port;
}


void
ngx_trp_turn_zone_tidy(ngx_trp_turn_zone_t *zone)
{
    ngx_shmtx_lock(&zone->pool->mutex);
    ngx_trp_turn_zone_expire_reservations(zone->shared);
    ngx_shmtx_unlock(&zone->pool->mutex);
}


static void
ngx_trp_turn_zone_expire_reservations(ngx_trp_turn_shared_t *sh)
{
    ngx_uint_t                   i;
    ngx_trp_turn_reservation_t  *reservation;

    for (i = 0; i < NGX_TRP_TURN_RESERVATIONS; i++) {
        reservation = &sh->reservations[i];

        if (reservation->port
            && (ngx_msec_int_t) (reservation->expires - ngx_current_msec) <= 0)
        {
            ngx_trp_turn_zone_set_port(sh->ports, reservation->port, 0);
            reservation->port = 0;
        }
    }
}


ngx_int_t
ngx_trp_turn_zone_add_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner, const trp_addr_t *relayed,
    const ngx_uint_t *max)
{
    ngx_int_t               rc;
    ngx_uint_t              i, n;
    ngx_trp_turn_usage_t   *usage;
    ngx_trp_turn_owner_t   *entry;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (n = 0; n < NGX_TRP_TURN_NQUOTAS; n++) {
        usage = ngx_trp_turn_zone_usage(sh, owner->usage[n]);

        if (usage == NULL) {
            goto failed;
        }

        if (max[n] && usage->n >= max[n]) {
            rc = NGX_BUSY;
            goto failed;
        }

        usage->hash = owner->usage[n];
        usage->n++;
    }

    for (i = 0; i < NGX_TRP_TURN_PROBES; i++) {
        entry = &sh->owners[(owner->hash + i) & (sh->nowners - 1)];

        if (entry->hash == 0) {
            entry->slot = owner->slot;
            entry->port = owner->port;
            entry->tcp = owner->tcp;
            entry->home = ngx_trp_turn_zone_take_home(sh, relayed);
            ngx_memcpy(entry->usage, owner->usage, sizeof(owner->usage));

            sh->home[owner->port] = entry->home;

            ngx_memory_barrier();

            entry->hash = owner->hash;

            ngx_shmtx_unlock(&zone->pool->mutex);

            return NGX_OK;
        }
    }

failed:

    while (n) {
        ngx_trp_turn_zone_usage(sh, owner->usage[--n])->n--;
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


void
ngx_trp_turn_zone_remove_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner)
{
    ngx_uint_t              i;
    ngx_trp_turn_owner_t   *entry;
    ngx_trp_turn_shared_t  *sh;

    sh = zone->shared;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < NGX_TRP_TURN_PROBES; i++) {
        entry = &sh->owners[(owner->hash + i) & (sh->nowners - 1)];

        if (entry->hash == owner->hash && entry->slot == owner->slot) {
            ngx_trp_turn_zone_free_owner(zone, entry);
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


static void
ngx_trp_turn_zone_free_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner)
{
    ngx_uint_t             n;
    ngx_trp_turn_usage_t  *usage;

    for (n = 0; n < NGX_TRP_TURN_NQUOTAS; n++) {
        usage = ngx_trp_turn_zone_usage(zone->shared, owner->usage[n]);

        if (usage && usage->n) {
            usage->n--;
        }
    }

    ngx_trp_turn_zone_set_port(zone->shared->bound[owner->tcp], owner->port,
                               0);

    if (owner->home) {
        zone->shared->home[owner->port] = 0;
        zone->shared->homes[owner->home].n--;
    }

    owner->hash = 0;
}


/* its entry, or a free one; NULL if there is no room */

static ngx_trp_turn_usage_t *
ngx_trp_turn_zone_usage(ngx_trp_turn_shared_t *sh, uint64_t hash)
{
    ngx_uint_t             i;
    ngx_trp_turn_usage_t  *usage, *empty;

    empty = NULL;

    for (i = 0; i < NGX_TRP_TURN_PROBES; i++) {
        usage = &sh->usage[(hash + i) & (sh->nusage - 1)];

        if (usage->n == 0) {
            if (empty == NULL) {
                empty = usage;
            }

        } else if (usage->hash == hash) {
            return usage;
        }
    }

    return empty;
}


ngx_uint_t
ngx_trp_turn_zone_find_owner(ngx_trp_turn_zone_t *zone, uint64_t hash)
{
    ngx_uint_t             i;
    ngx_trp_turn_owner_t  *owner;

    for (i = 0; i < NGX_TRP_TURN_PROBES; i++) {
        owner = &zone->shared->owners[(hash + i)
                                      & (zone->shared->nowners - 1)];
        if (owner->hash == hash) {
            return owner->slot;
        }
    }

    return NGX_TRP_TURN_NO_SLOT;
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


ngx_uint_t
ngx_trp_turn_zone_take_tally(ngx_trp_turn_zone_t *zone, ngx_uint_t slot,
    uint32_t id)
{
    ngx_uint_t             i;
    ngx_trp_turn_tally_t  *tally;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < NGX_TRP_TURN_TALLIES; i++) {
        tally = &zone->shared->tallies[i];

        if (tally->slot == 0) {
            ngx_memzero(tally, sizeof(ngx_trp_turn_tally_t));
            tally->slot = slot + 1;
            tally->id = id;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return i;
}


ngx_trp_turn_tally_t *
ngx_trp_turn_zone_tally(ngx_trp_turn_zone_t *zone, ngx_uint_t i)
{
    return (i < NGX_TRP_TURN_TALLIES) ? &zone->shared->tallies[i] : NULL;
}


int
ngx_trp_turn_zone_has_account(void *data, const uint8_t *account)
{
    ngx_trp_turn_zone_t *zone = data;

    u_char  *entry;

    ngx_shmtx_lock(&zone->pool->mutex);
    entry = ngx_trp_turn_zone_account(zone->shared, account, 0);
    ngx_shmtx_unlock(&zone->pool->mutex);

    return entry != NULL;
}


ngx_int_t
ngx_trp_turn_zone_add_account(ngx_trp_turn_zone_t *zone, u_char *account)
{
    u_char  *entry;

    ngx_shmtx_lock(&zone->pool->mutex);

    entry = ngx_trp_turn_zone_account(zone->shared, account, 1);

    if (entry) {
        ngx_memcpy(entry, account, TRP_TURN_ACCOUNT_LEN);
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return entry ? NGX_OK : NGX_DECLINED;
}


void
ngx_trp_turn_zone_remove_account(ngx_trp_turn_zone_t *zone, u_char *account)
{
    u_char  *entry;

    ngx_shmtx_lock(&zone->pool->mutex);

    entry = ngx_trp_turn_zone_account(zone->shared, account, 0);

    if (entry) {
        ngx_memzero(entry, TRP_TURN_ACCOUNT_LEN);
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


static u_char *
ngx_trp_turn_zone_account(ngx_trp_turn_shared_t *sh, const u_char *account,
    ngx_uint_t create)
{
    u_char      *entry, *empty;
    uint64_t     hash;
    ngx_uint_t   i;

    crypto_shorthash((u_char *) &hash, account, TRP_TURN_ACCOUNT_LEN,
                     sh->hash_key);

    empty = NULL;

    for (i = 0; i < NGX_TRP_TURN_PROBES; i++) {
        entry = sh->accounts[(hash + i) & (sh->naccounts - 1)];

        if (entry[0] == '\0') {
            if (empty == NULL) {
                empty = entry;
            }

        } else if (ngx_memcmp(entry, account, TRP_TURN_ACCOUNT_LEN) == 0) {
            return entry;
        }
    }

    return create ? empty : NULL;
}


void
ngx_trp_turn_zone_sum(ngx_trp_turn_zone_t *zone, trp_turn_stats_t *stats)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(&zone->pool->mutex);

    *stats = zone->shared->past;

    for (i = 0; i < zone->shared->nslots; i++) {
        if (zone->shared->slots[i].state != NGX_TRP_TURN_SLOT_FREE) {
            ngx_trp_turn_zone_add_stats(stats, &zone->shared->slots[i].stats,
                                        1);
        }
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


void
ngx_trp_turn_zone_add_stats(trp_turn_stats_t *sum, trp_turn_stats_t *stats,
    ngx_uint_t now)
{
    ngx_uint_t  i, j;

    if (now) {
        sum->allocations += stats->allocations;
        sum->permissions += stats->permissions;
        sum->channels += stats->channels;
        sum->connections += stats->connections;
    }

    sum->total_allocations += stats->total_allocations;
    sum->relayed.bytes += stats->relayed.bytes;
    sum->relayed.packets += stats->relayed.packets;
    sum->dropped.bytes += stats->dropped.bytes;
    sum->dropped.packets += stats->dropped.packets;
    sum->denied += stats->denied;
    sum->silenced += stats->silenced;

    for (i = 0; i < TRP_TURN_NMETHODS; i++) {
        for (j = 0; j < TRP_TURN_NCODES; j++) {
            sum->responses[i][j] += stats->responses[i][j];
        }
    }
}
