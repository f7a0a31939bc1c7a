
/*
 * Copyright (C) the trp authors
 */


/*
 * Accounts that the portal knows: a table with open addressing.
 */


#include "turn/ngx_trp_turn_zone_accounts.h"

#include <sodium.h>


static u_char *ngx_trp_turn_zone_account(ngx_trp_turn_shared_t *sh,
    const u_char *account, ngx_uint_t create);


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
