
/*
 * Copyright (C) the trp authors
 */


/*
 * What the files of the TURN server share among themselves.
 *
 *     trp_turn_server.c   messages in, authentication, answers, time
 *     trp_turn_alloc.c    Allocate, Refresh and the end of an allocation
 *     trp_turn_peer.c     permissions, channels and data
 *     trp_turn_tcp.c      connections to peers (RFC 6062)
 */


#ifndef TRP_TURN_TYPES_H_INCLUDED
#define TRP_TURN_TYPES_H_INCLUDED


#include "turn/trp_turn.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_TURN_TIMER_ALLOC = 0,
    TRP_TURN_TIMER_PERMISSION,
    TRP_TURN_TIMER_CHANNEL,
    TRP_TURN_TIMER_CONNECTION
} trp_turn_timer_e;


/* not all ports of a peer's address */

typedef enum {
    TRP_TURN_OWN_PORTS = 1,            /* those of allocations */
    TRP_TURN_SOME_PORTS = 2            /* what rules say of each */
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
    unsigned             resting:1;    /* has expired, may not be bound anew */
    unsigned             restricted:2;
} trp_turn_channel_t;


/* of trp_turn_server.c */

trp_turn_command_t *trp_turn_command(trp_turn_t *turn,
    trp_turn_command_e type);

/* for asserts: 1 if no command waits, or none whose data are turn->answer */

int trp_turn_idle(const trp_turn_t *turn);
int trp_turn_answer_idle(const trp_turn_t *turn);

/* a line for the log; "peer" may be NULL */

void trp_turn_report(trp_turn_t *turn, const trp_turn_tuple_t *client,
    trp_str_t username, const trp_taddr_t *peer, trp_turn_report_e why);

/*
 * The answer to turn->request: begin, put attributes, end.  An error is sent
 * at once.
 */

void trp_turn_answer_begin(trp_turn_t *turn, trp_stun_writer_t *w,
    trp_stun_class_e type);
void trp_turn_answer_end(trp_turn_t *turn, trp_stun_writer_t *w);
void trp_turn_error(trp_turn_t *turn, unsigned code);

/* with a reason for who is authenticated; others get a short answer */

void trp_turn_put_error(trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code);
size_t trp_turn_sign(trp_turn_t *turn, trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code);

uint64_t trp_turn_hash_tuple(const trp_turn_t *turn,
    const trp_turn_tuple_t *tuple);
uint64_t trp_turn_hash_taddr(const trp_hash_t *table, const trp_taddr_t *addr);


/* of trp_turn_alloc.c: requests, all of them authenticated */

void trp_turn_allocate(trp_turn_t *turn, const trp_stun_t *m);
void trp_turn_refresh(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);

void trp_turn_free(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    trp_turn_free_e why);


/* of trp_turn_peer.c */

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
 * the port: if it may be reached on any.
 */

unsigned trp_turn_check_peer(trp_turn_t *turn, const trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, int with_port, unsigned *restricted);

/* 1 if an allocation of the same protocol is bound to this port */

int trp_turn_own_port(const trp_turn_alloc_t *alloc, uint16_t port);

/* the bit of a port */

int trp_turn_port_is_set(volatile const uint8_t *map, uint32_t port);

/* for the log */

void trp_turn_peer_seen(trp_turn_alloc_t *alloc, const trp_taddr_t *peer);


/* of trp_turn_tcp.c */

void trp_turn_connect(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_stun_t *m);
void trp_turn_connection_bind(trp_turn_t *turn, const trp_stun_t *m);
void trp_turn_connection_expire(trp_turn_t *turn,
    trp_turn_connection_t *connection);

/* those of a family, 4 or 6, are due now */

void trp_turn_connections_expire(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    uint8_t family);
void trp_turn_connections_free(trp_turn_t *turn, trp_turn_alloc_t *alloc);


#pragma GCC visibility pop


#endif /* TRP_TURN_TYPES_H_INCLUDED */
