
/*
 * Copyright (C) the trp authors
 */


/*
 * Two tables with open addressing: owners of allocations by the hash of their
 * tuple, which other workers read without a lock; and the number of allocations
 * of a user, of an address, and of all.
 */


#include "turn/ngx_trp_turn_zone_owners.h"
#include "turn/ngx_trp_turn_zone_ports.h"
#include "base/trp_assert.h"


static ngx_trp_turn_usage_t *ngx_trp_turn_zone_usage(ngx_trp_turn_shared_t *sh,
    uint64_t hash);


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

    trp_assert(owner->hash != 0);

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


void
ngx_trp_turn_zone_free_owner(ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_owner_t *owner)
{
    ngx_uint_t             n;
    ngx_trp_turn_usage_t  *usage;

    trp_assert(owner->hash != 0);

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
