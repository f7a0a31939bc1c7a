
/*
 * Copyright (C) the trp authors
 */


/*
 * What the workers of a TURN server share, through reloads: the keys of its
 * nonces and of its portal, which ports are taken, which worker has which
 * allocation, how many a user or an address has, and what was counted.
 *
 * The zone has a fixed size; a quarter of it is for slots, of which there are
 * at least 256.  A worker's slot is not its number: workers of older
 * configurations that still have allocations keep their slots.
 */


#ifndef _NGX_TRP_TURN_ZONE_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_slots.h"
#include "base/ngx_trp_warnings.h"
#include "turn/trp_turn.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_TURN_SLOTS_MIN     256
#define NGX_TRP_TURN_NO_SLOT       TRP_TURN_NO_SLOT
#define NGX_TRP_TURN_RESERVATIONS  256
#define NGX_TRP_TURN_TALLIES       4096
#define NGX_TRP_TURN_NO_TALLY      NGX_TRP_TURN_TALLIES
#define NGX_TRP_TURN_HOMES         255
#define NGX_TRP_TURN_SECRET_LEN    64          /* hexadecimal digits */
/* entries probed in a table with open addressing */
#define NGX_TRP_TURN_PROBES        16

#define NGX_TRP_TURN_ZONE_MIN      (1024 * 1024)

#if (TRP_TURN_NO_SLOT != NGX_TRP_NO_SLOT)
#error the core has other slots
#endif


/* whose allocations are counted */

typedef enum {
    NGX_TRP_TURN_OF_USER = 0,
    NGX_TRP_TURN_OF_ADDRESS,
    NGX_TRP_TURN_OF_ALL,               /* users of the realm */
    NGX_TRP_TURN_NQUOTAS
} ngx_trp_turn_quota_e;


/* of an allocation; "hash" is 0 in a free entry */

typedef struct {
    ngx_atomic_t         hash;         /* of the tuple */
    uint32_t             slot;
    uint16_t             port;
    uint8_t              tcp;          /* its protocol, 1 or 0 */
    uint8_t              home;         /* relayed addresses; 0: unknown */
    uint64_t             usage[NGX_TRP_TURN_NQUOTAS];  /* hashes */
} ngx_trp_turn_owner_t;


typedef struct {
    uint64_t             hash;
    uint64_t             n;            /* allocations; 0: free */
} ngx_trp_turn_usage_t;


/* relayed addresses of "n" allocations, IPv4 and IPv6 */

typedef struct {
    trp_addr_t           addr[2];
    uint32_t             n;
} ngx_trp_turn_home_t;


/*
 * What went over a TCP connection of a peer: written by the worker that has
 * the data connection, read by the one that has the allocation.
 */

typedef struct {
    ngx_atomic_t         slot;         /* of the allocation, plus 1; 0: free */
    ngx_atomic_t         id;           /* of the connection */
    trp_turn_traffic_t   up;
    trp_turn_traffic_t   down;
} ngx_trp_turn_tally_t;


typedef struct {
    u_char               token[TRP_TURN_TOKEN_LEN];
    ngx_msec_t           expires;
    in_port_t            port;         /* 0: free */
} ngx_trp_turn_reservation_t;


typedef struct {
    ngx_atomic_t                 admitted; /* the portal has said "init" */
    ngx_atomic_t                 removals; /* of accounts */
    ngx_trp_slots_shared_t       slots;
    u_char                       nonce_key[TRP_TURN_NONCE_KEY_LEN];
    u_char                       hash_key[TRP_HASH_KEY_LEN];
    u_char                       secret[NGX_TRP_TURN_SECRET_LEN];
    u_char                       ports[65536 / 8];     /* taken */
    u_char                       bound[2][65536 / 8];  /* UDP, TCP */
    u_char                       home[65536];          /* of a port */
    ngx_trp_turn_home_t          homes[NGX_TRP_TURN_HOMES + 1];
    ngx_trp_turn_reservation_t   reservations[NGX_TRP_TURN_RESERVATIONS];
    trp_turn_stats_t             past;     /* of slots that are free again */
    ngx_trp_warnings_shared_t    users;    /* lines about those refused */
    ngx_trp_warnings_shared_t    peers;    /* and about those denied */
    ngx_trp_turn_tally_t         tallies[NGX_TRP_TURN_TALLIES];

    /* powers of two */
    ngx_uint_t                   nowners;
    ngx_uint_t                   nusage;
    ngx_uint_t                   naccounts;

    trp_turn_stats_t            *stats;    /* of each slot */
    ngx_trp_turn_owner_t        *owners;
    ngx_trp_turn_usage_t        *usage;
    u_char                     (*accounts)[TRP_TURN_ACCOUNT_LEN + 1];
} ngx_trp_turn_shared_t;


typedef struct {
    ngx_slab_pool_t             *pool;
    ngx_trp_turn_shared_t       *shared;
    ngx_trp_slots_t              slots;
} ngx_trp_turn_zone_t;


/* at configuration time; shm_zone->data becomes an ngx_trp_turn_zone_t */

ngx_shm_zone_t *ngx_trp_turn_zone_add(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, void *tag);


/* never 0 */

uint64_t ngx_trp_turn_zone_hash(ngx_trp_turn_zone_t *zone, const void *data,
    size_t len);
uint64_t ngx_trp_turn_zone_hash_tuple(ngx_trp_turn_zone_t *zone,
    const trp_turn_tuple_t *tuple);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_H_INCLUDED_ */
