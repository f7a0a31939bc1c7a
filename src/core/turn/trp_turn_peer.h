
/*
 * Copyright (C) the trp authors
 */


/*
 * The peers of an allocation: permissions, channels and data.
 */


#ifndef TRP_TURN_PEER_H_INCLUDED
#define TRP_TURN_PEER_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* which ports of a peer's address may be reached, if not all */

typedef enum {
    TRP_TURN_OWN_PORTS = 1,            /* only those of allocations */
    TRP_TURN_SOME_PORTS = 2            /* rules differ by port */
} trp_turn_restricted_e;


typedef struct {
    trp_hash_node_t      node;
    trp_timer_t          timer;
    trp_turn_alloc_t    *alloc;
    trp_addr_t           addr;
    unsigned             restricted:2; /* trp_turn_restricted_e */
} trp_turn_permission_t;


typedef struct {
    trp_hash_node_t      by_number;
    trp_hash_node_t      by_peer;
    trp_timer_t          timer;
    trp_turn_alloc_t    *alloc;
    trp_taddr_t          peer;
    uint16_t             number;
    unsigned             resting:1;    /* expired, but not to be bound yet */
    unsigned             restricted:2;
} trp_turn_channel_t;


void trp_turn_create_permission(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);
void trp_turn_channel_bind(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);
void trp_turn_send(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);
void trp_turn_channel_data(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const uint8_t *data, size_t len);

void trp_turn_permission_expire(trp_turn_t *turn,
    trp_turn_permission_t *permission);
void trp_turn_channel_expire(trp_turn_t *turn, trp_turn_channel_t *channel);

/* permissions and channels of a family, 4 or 6, or of both: 0 */

void trp_turn_peers_free(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    uint8_t family);

int trp_turn_permitted(const trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer);

/*
 * 0 if the allocation may reach this peer, or the code of the error; without
 * the port: whether the peer may be reached on any port.
 */

unsigned trp_turn_check_peer(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, int with_port, unsigned *restricted);

/* 1 if an allocation of the same protocol is bound to this port */

int trp_turn_own_port(const trp_turn_alloc_t *alloc, uint16_t port);

/* the bit of a port */

int trp_turn_port_is_set(volatile const uint8_t *map, uint32_t port);

/* for the log */

void trp_turn_peer_seen(trp_turn_alloc_t *alloc, const trp_taddr_t *peer);


#pragma GCC visibility pop


#endif /* TRP_TURN_PEER_H_INCLUDED */
