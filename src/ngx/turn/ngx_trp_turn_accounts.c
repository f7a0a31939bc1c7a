
/*
 * Copyright (C) the trp authors
 */


/*
 * Keeps the portal's accounts in the zone, and tells the other workers when
 * one is removed, so that they end its allocations.
 */


#include "turn/ngx_trp_turn_accounts.h"
#include "turn/ngx_trp_turn_worker.h"
#include "turn/ngx_trp_turn_zone_accounts.h"

#include <sodium.h>


typedef u_char  ngx_trp_turn_account_t[TRP_TURN_ACCOUNT_LEN + 1];


static void ngx_trp_turn_accounts_init(void *data, ngx_array_t *accounts);
static void ngx_trp_turn_accounts_keep(ngx_trp_turn_server_t *server,
    ngx_array_t *accounts);
static int ngx_libc_cdecl ngx_trp_turn_accounts_compare(const void *one,
    const void *two);
static void ngx_trp_turn_accounts_added(void *data, ngx_str_t *id);
static void ngx_trp_turn_accounts_add(ngx_trp_turn_server_t *server,
    ngx_trp_turn_account_t hash);
static void ngx_trp_turn_accounts_removed(void *data, ngx_str_t *id);
static void ngx_trp_turn_accounts_fatal(void *data);
static void ngx_trp_turn_accounts_hash(ngx_trp_turn_account_t hash,
    ngx_str_t *id);
static void ngx_trp_turn_accounts_end(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_account_t hash);


static const ngx_trp_portal_handlers_t  ngx_trp_turn_accounts_handlers = {
    ngx_trp_turn_accounts_init,
    ngx_trp_turn_accounts_added,
    ngx_trp_turn_accounts_removed,
    ngx_trp_turn_accounts_fatal
};


ngx_int_t
ngx_trp_turn_accounts_start(ngx_trp_turn_server_t *server,
    ngx_trp_portal_t *portal)
{
    ngx_str_t  secret;

    secret.len = NGX_TRP_TURN_SECRET_LEN;
    secret.data = server->worker->zone->shared->secret;

    return ngx_trp_portal_start(portal, &secret,
                                &ngx_trp_turn_accounts_handlers, server,
                                server->log);
}


/* accounts that are missing were removed while the portal was disconnected */

static void
ngx_trp_turn_accounts_init(void *data, ngx_array_t *accounts)
{
    ngx_trp_turn_server_t *server = data;

    ngx_uint_t  first;

    if (server->conf->core.credentials.account) {
        ngx_trp_turn_accounts_keep(server, accounts);
    }

    first = !server->worker->zone->shared->admitted;

    server->worker->zone->shared->admitted = 1;

    if (first) {
        ngx_log_error(NGX_LOG_NOTICE, server->log, 0,
                      "portal has said init, TURN server serves now");
    }
}


static void
ngx_trp_turn_accounts_keep(ngx_trp_turn_server_t *server,
    ngx_array_t *accounts)
{
    ngx_str_t               *id;
    ngx_uint_t               i, n;
    ngx_trp_turn_zone_t     *zone;
    ngx_trp_turn_account_t  *hashes, known;

    zone = server->worker->zone;

    n = accounts ? accounts->nelts : 0;
    id = accounts ? accounts->elts : NULL;

    hashes = ngx_alloc((n + 1) * sizeof(ngx_trp_turn_account_t), server->log);
    if (hashes == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {
        ngx_trp_turn_accounts_hash(hashes[i], &id[i]);
    }

    ngx_qsort(hashes, n, sizeof(ngx_trp_turn_account_t),
              ngx_trp_turn_accounts_compare);

    for (i = 0; i < zone->shared->naccounts; i++) {
        ngx_memcpy(known, zone->shared->accounts[i], sizeof(known));

        if (known[0] != '\0'
            && bsearch(known, hashes, n, sizeof(ngx_trp_turn_account_t),
                       ngx_trp_turn_accounts_compare)
               == NULL)
        {
            ngx_trp_turn_accounts_end(server->worker, known);
        }
    }

    for (i = 0; i < n; i++) {
        ngx_trp_turn_accounts_add(server, hashes[i]);
    }

    ngx_free(hashes);
}


static int ngx_libc_cdecl
ngx_trp_turn_accounts_compare(const void *one, const void *two)
{
    return ngx_memcmp(one, two, TRP_TURN_ACCOUNT_LEN);
}


static void
ngx_trp_turn_accounts_added(void *data, ngx_str_t *id)
{
    ngx_trp_turn_account_t  hash;

    ngx_trp_turn_accounts_hash(hash, id);
    ngx_trp_turn_accounts_add(data, hash);
}


static void
ngx_trp_turn_accounts_add(ngx_trp_turn_server_t *server,
    ngx_trp_turn_account_t hash)
{
    if (ngx_trp_turn_zone_add_account(server->worker->zone, hash) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, server->log, 0,
                      "no room for the account with hash \"%s\", "
                      "write a larger \"trp_turn_zone\"", hash);
    }
}


static void
ngx_trp_turn_accounts_removed(void *data, ngx_str_t *id)
{
    ngx_trp_turn_server_t *server = data;

    ngx_trp_turn_account_t  hash;

    ngx_trp_turn_accounts_hash(hash, id);
    ngx_trp_turn_accounts_end(server->worker, hash);
}


/* accounts that were granted stay valid */

static void
ngx_trp_turn_accounts_fatal(void *data)
{
}


static void
ngx_trp_turn_accounts_hash(ngx_trp_turn_account_t hash, ngx_str_t *id)
{
    u_char  digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, id->data, id->len);

    sodium_bin2base64((char *) hash, sizeof(ngx_trp_turn_account_t), digest,
                      sizeof(digest),
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}


/* ends its allocations in all workers, also of older configurations */

static void
ngx_trp_turn_accounts_end(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_account_t hash)
{
    ngx_uint_t               i;
    ngx_trp_turn_message_t   message;

    ngx_trp_turn_zone_remove_account(worker->zone, hash);

    /* for workers that the message cannot reach now */

    (void) ngx_atomic_fetch_add(&worker->zone->shared->removals, 1);

    ngx_memzero(&message, sizeof(ngx_trp_turn_message_t));

    message.mesh.type = NGX_TRP_TURN_MESSAGE_REMOVE_ACCOUNT;

    for (i = 0; i < worker->zone->shared->slots.n; i++) {

        if (i != ngx_trp_mesh_slot(worker->mesh)
            && worker->zone->shared->slots.slots[i].state
               != NGX_TRP_SLOT_FREE)
        {
            (void) ngx_trp_mesh_send(worker->mesh, i, &message.mesh, hash,
                                     TRP_TURN_ACCOUNT_LEN, (ngx_socket_t) -1);
        }
    }

    ngx_trp_turn_remove_account(worker, hash);
}
