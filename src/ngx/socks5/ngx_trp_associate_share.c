
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients are in a hash table by user name or address, each with its
 * associations.  When the tunnels are used up, the client that has the most of
 * them gives way.
 */


#include "socks5/ngx_trp_associate_share.h"
#include "base/ngx_trp_memory.h"

#include <sodium.h>


/* a user's name, or a family and the part of an address that tells clients */

#define NGX_TRP_SHARE_KEY  256


struct ngx_trp_share_client_s {
    trp_hash_node_t          node;
    ngx_queue_t              members;    /* ngx_trp_share_member_t */
    ngx_uint_t               n;
    size_t                   len;
    u_char                   key[1];     /* "len" bytes */
};


static ngx_trp_share_client_t *ngx_trp_share_find(ngx_trp_share_t *share,
    ngx_trp_associate_t *as);
static size_t ngx_trp_share_key(u_char *key, ngx_trp_associate_t *as);
static void ngx_trp_share_evict(ngx_trp_share_t *share);


void
ngx_trp_share_init(ngx_trp_share_t *share, ngx_uint_t max, ngx_log_t *log)
{
    ngx_trp_memory_init(&share->memory, log);

    randombytes_buf(share->key, TRP_HASH_KEY_LEN);

    trp_hash_init(&share->clients, share->key, &share->memory);

    share->n = 0;
    share->max = ngx_max(max / 2, 1);
}


void
ngx_trp_share_done(ngx_trp_share_t *share)
{
    trp_assert(share->n == 0);

    trp_hash_done(&share->clients);
}


ngx_int_t
ngx_trp_share_take(ngx_trp_share_t *share, ngx_trp_share_member_t *member)
{
    ngx_trp_share_client_t  *client;

    if (share->n >= share->max) {
        ngx_trp_share_evict(share);
    }

    if (member->n == 0) {
        client = ngx_trp_share_find(share, member->associate);
        if (client == NULL) {
            return NGX_ERROR;
        }

        member->client = client;
        ngx_queue_insert_tail(&client->members, &member->queue);
    }

    member->n++;
    member->client->n++;
    share->n++;

    return NGX_OK;
}


void
ngx_trp_share_give(ngx_trp_share_t *share, ngx_trp_share_member_t *member)
{
    ngx_trp_share_client_t  *client;

    client = member->client;

    member->n--;
    client->n--;
    share->n--;

    if (member->n) {
        return;
    }

    ngx_queue_remove(&member->queue);
    member->client = NULL;

    if (client->n == 0) {
        trp_hash_remove(&share->clients, &client->node);
        ngx_free(client);
    }
}


/* creates it if need be */

static ngx_trp_share_client_t *
ngx_trp_share_find(ngx_trp_share_t *share, ngx_trp_associate_t *as)
{
    u_char                   key[NGX_TRP_SHARE_KEY];
    size_t                   len;
    uint64_t                 hash;
    trp_hash_node_t         *node;
    ngx_trp_share_client_t  *client;

    len = ngx_trp_share_key(key, as);
    hash = trp_hash(&share->clients, key, len);

    for (node = trp_hash_find(&share->clients, hash);
         node;
         node = trp_hash_next(node))
    {
        client = trp_of(ngx_trp_share_client_t, node, node);

        if (client->len == len && ngx_memcmp(client->key, key, len) == 0) {
            return client;
        }
    }

    client = ngx_calloc(sizeof(ngx_trp_share_client_t) + len, as->client->log);
    if (client == NULL) {
        return NULL;
    }

    client->len = len;
    ngx_memcpy(client->key, key, len);

    ngx_queue_init(&client->members);
    trp_hash_insert(&share->clients, &client->node, hash);

    return client;
}


/* of an IPv6 address, its /64: a host there may have any number of them */

static size_t
ngx_trp_share_key(u_char *key, ngx_trp_associate_t *as)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *user;

    user = &as->socks->user;

    p = key;

    if (user->len) {
        *p++ = 0;
        len = ngx_min(user->len, NGX_TRP_SHARE_KEY - 1);

        return ngx_cpymem(p, user->data, len) - key;
    }

    *p++ = as->peer.addr.family;
    len = (as->peer.addr.family == 4) ? 4 : 8;

    return ngx_cpymem(p, as->peer.addr.bytes, len) - key;
}


static void
ngx_trp_share_evict(ngx_trp_share_t *share)
{
    ngx_msec_t                 used, longest;
    ngx_queue_t               *q;
    trp_hash_node_t           *node;
    ngx_trp_associate_dest_t  *dest, *last;
    ngx_trp_share_client_t    *client, *most;
    ngx_trp_share_member_t    *member;

    most = NULL;

    for (node = trp_hash_walk(&share->clients, NULL);
         node;
         node = trp_hash_walk(&share->clients, node))
    {
        client = trp_of(ngx_trp_share_client_t, node, node);

        if (most == NULL || client->n > most->n) {
            most = client;
        }
    }

    if (most == NULL) {
        return;
    }

    last = NULL;
    longest = 0;

    for (q = ngx_queue_head(&most->members);
         q != ngx_queue_sentinel(&most->members);
         q = ngx_queue_next(q))
    {
        member = ngx_queue_data(q, ngx_trp_share_member_t, queue);

        dest = ngx_trp_associate_dests_last(&member->associate->dests);
        used = dest ? ngx_current_msec - dest->used : 0;

        if (dest && (last == NULL || used > longest)) {
            last = dest;
            longest = used;
        }
    }

    if (last) {
        ngx_trp_associate_evict(last);
    }
}
