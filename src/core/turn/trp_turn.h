
/*
 * Copyright (C) the trp authors
 */


/*
 * A STUN and TURN server (RFC 8489, RFC 8656, RFC 6062) without sockets:
 * messages, peers' data and time come in, commands go out.
 *
 *     trp_turn_input(turn, &from, data, len);
 *     while (trp_turn_next(turn, &command) == TRP_OK) { carry it out }
 *     when = trp_turn_deadline(turn);
 *     while (trp_turn_expire(turn)) { carry out commands }
 *
 * One loop carries out all commands before anything else comes in.  Meanwhile
 * the command in hand may be answered, with trp_turn_bound() and others whose
 * comments say so; what that leads to comes from trp_turn_next(), too.
 *
 * The time is set before anything else is called: turn->now in milliseconds of
 * a clock that never goes back, and turn->time in seconds since 1970.
 *
 * A command, and the bytes it points to, are valid until the next call of
 * trp_turn_next().
 */


#ifndef TRP_TURN_H_INCLUDED
#define TRP_TURN_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


/*
 * Everything is in "turn", except allocations and two tables of sources, which
 * come from the memory; TRP_ERROR without it.  The users, secrets and the
 * portal of "conf" must not change.  "nonce_key" and "seed" are secret; "slot"
 * tells apart the servers that share connections, and is below
 * TRP_TURN_NO_SLOT.
 */

int trp_turn_init(trp_turn_t *turn, const trp_turn_conf_t *conf,
    const trp_turn_shared_t *shared, const trp_memory_t *memory,
    const uint8_t *nonce_key, const uint8_t *seed, uint16_t slot);

/* after trp_turn_shutdown(): frees the rest */

void trp_turn_done(trp_turn_t *turn);


/*
 * A message or ChannelData from a client, in one piece.  TRP_OK, or TRP_ERROR
 * if it is neither: then a stream cannot go on.
 */

int trp_turn_input(trp_turn_t *turn, const trp_turn_tuple_t *from,
    const uint8_t *data, size_t len);

/* the allocation of a client, or NULL */

trp_turn_alloc_t *trp_turn_find(trp_turn_t *turn,
    const trp_turn_tuple_t *tuple);

/*
 * Data from a peer, with TRP_TURN_HEADROOM bytes before them and
 * TRP_TURN_TAILROOM after, which are overwritten.
 */

void trp_turn_peer_data(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, uint8_t *data, size_t len);

/* "payload" bytes of a peer could not be sent to the client */

void trp_turn_undelivered(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    size_t payload);

/* an ICMP error for data that went to a peer (RFC 8656, section 11.5) */

void trp_turn_peer_icmp(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_taddr_t *peer, uint8_t type, uint8_t code, uint32_t data);

/* the relayed address of a family that it has, or will have */

const trp_addr_t *trp_turn_relayed(const trp_turn_alloc_t *alloc, int v6);

/*
 * Answers the TRP_TURN_BIND in hand: the result, and for which of the families
 * it was possible.
 */

void trp_turn_bound(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    trp_turn_bound_e result, uint8_t families, uint16_t port);


/* the connection of a client has ended */

void trp_turn_gone(trp_turn_t *turn, const trp_turn_tuple_t *tuple);

/* ends the next such allocation: 1, call again; 0 if there was none */

int trp_turn_remove_account(trp_turn_t *turn, const uint8_t *account);
int trp_turn_remove_unknown(trp_turn_t *turn);     /* accounts */
int trp_turn_shutdown(trp_turn_t *turn);

void trp_turn_fail(trp_turn_t *turn, trp_turn_alloc_t *alloc);

void trp_turn_release(trp_turn_t *turn, trp_turn_alloc_t *alloc);


/* TRP_OK, or TRP_DECLINED: all commands are carried out */

int trp_turn_next(trp_turn_t *turn, const trp_turn_command_t **command);

/* in milliseconds; 0 if nothing is due */

uint64_t trp_turn_deadline(const trp_turn_t *turn);

/* does one thing that is due at turn->now; 0 if nothing was */

int trp_turn_expire(trp_turn_t *turn);


/*
 * RFC 6062.  Answers TRP_TURN_CONNECT, while it is in hand or later; a peer has
 * connected to a relayed address, NULL if it may not; a connection has ended,
 * also while TRP_TURN_ATTACH is in hand.
 */

void trp_turn_connected(trp_turn_t *turn, trp_turn_connection_t *connection,
    int ok);
trp_turn_connection_t *trp_turn_accepted(trp_turn_t *turn,
    trp_turn_alloc_t *alloc, const trp_taddr_t *peer);
void trp_turn_disconnected(trp_turn_t *turn,
    trp_turn_connection_t *connection);
void trp_turn_connection_release(trp_turn_t *turn,
    trp_turn_connection_t *connection);

/* the slot of the server that has the connection */

uint16_t trp_turn_connection_slot(uint32_t id);

/* attaches a connection that waits for this user, and returns it; or NULL */

trp_turn_connection_t *trp_turn_attach(trp_turn_t *turn, uint32_t id,
    trp_str_t username);

/* a connection that was attached before; or NULL */

trp_turn_connection_t *trp_turn_attached(trp_turn_t *turn, uint32_t id);

/* adds the traffic of a connection, which the caller has counted */

void trp_turn_add_traffic(trp_turn_t *turn, trp_turn_alloc_t *alloc,
    const trp_turn_traffic_t *up, const trp_turn_traffic_t *down);

/*
 * Writes the answer to ConnectionBind into "buf" of TRP_TURN_ANSWER_MAX bytes,
 * and returns its length.
 */

size_t trp_turn_attach_answer(trp_turn_t *turn, uint8_t *buf,
    const trp_turn_request_t *request, uint32_t id, int ok);


/* how many answers to requests of a method had this code */

uint64_t trp_turn_counted(const trp_turn_stats_t *stats, unsigned method,
    unsigned code);

/* what the indices of trp_turn_stats_t.responses mean; NULL, 0: the end */

const char *trp_turn_method_name(unsigned i);
unsigned trp_turn_code(unsigned i);


#pragma GCC visibility pop


#endif /* TRP_TURN_H_INCLUDED */
