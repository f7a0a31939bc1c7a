
/*
 * Copyright (C) the trp authors
 */


/*
 * The client's side of TURN (RFC 8656) and of its extension for TCP (RFC
 * 6062): one allocation, with its permissions, channels and connections.
 *
 * Sans-IO: messages and time come in as arguments, output is handed to one
 * function, and what happens becomes an event:
 *
 *     trp_turnc_input(client, p, len, now);     or _start(), or _expire()
 *     while (trp_turnc_next(client, &event) == TRP_OK) { see "event" }
 *     set a timer for trp_turnc_deadline(client)
 *
 * Only these three functions make events, all of which must be taken before one
 * of the three is called again.  On an event, any other function may be called.
 *
 * Time is in milliseconds and only moves forward; "wall" is in seconds since
 * 1970.
 */


#ifndef TRP_TURNC_H_INCLUDED
#define TRP_TURNC_H_INCLUDED


#include "turnc/trp_turnc_types.h"


#pragma GCC visibility push(hidden)


/*
 * The strings of "conf" must live as long as the client.  "seed" has
 * TRP_RANDOM_SEED_LEN bytes.  NULL without memory.  Nothing is sent before
 * trp_turnc_start().
 */

trp_turnc_t *trp_turnc_create(const trp_turnc_conf_t *conf,
    trp_turnc_send_pt send, void *data, const trp_memory_t *memory,
    const uint8_t *seed);
void trp_turnc_destroy(trp_turnc_t *client);

/* sends Allocate; an event tells that it is allocated, or has failed */

void trp_turnc_start(trp_turnc_t *client, uint64_t now, int64_t wall);


/*
 * One message, or one ChannelData, as trp_stun_frame() delimits it, or a whole
 * datagram of the server; it must stay unchanged until its event is handled.
 * TRP_ERROR if it is not TURN: then a datagram is to be ignored, but a byte
 * stream is lost.
 */

int trp_turnc_input(trp_turnc_t *client, const uint8_t *p, size_t len,
    uint64_t now);

/* TRP_OK, or TRP_DECLINED: there are no more events */

int trp_turnc_next(trp_turnc_t *client, trp_turnc_event_t *event);

/*
 * When trp_turnc_expire() is to be called, as an absolute time; 0 if nothing is
 * due.  It may change with each call of a function here.
 */

uint64_t trp_turnc_deadline(const trp_turnc_t *client);

/* the calls of trp_turnc_next() that follow do what is due now */

void trp_turnc_expire(trp_turnc_t *client, uint64_t now);


/* valid once it is allocated */

const trp_taddr_t *trp_turnc_relayed(const trp_turnc_t *client);

/* after 300 (RFC 8489, section 10); family 0 if there is none */

const trp_taddr_t *trp_turnc_alternate(const trp_turnc_t *client);


/*
 * TCP: asks for a connection to the peer; "connect" comes back with an event,
 * CONNECTED or REFUSED.  TRP_OK, TRP_ERROR without memory.  After
 * trp_turnc_forget() neither event comes.
 */

int trp_turnc_connect(trp_turnc_t *client, const trp_taddr_t *peer,
    void *connect, uint64_t now);
void trp_turnc_forget(trp_turnc_t *client, void *connect);

/*
 * Writes ConnectionBind, which is to be sent on a data connection: at most
 * TRP_TURNC_MESSAGE_MAX bytes, and a transaction id of TRP_STUN_ID_LEN bytes.
 * Returns the length, 0 if the client is not allocated.
 */

size_t trp_turnc_bind(trp_turnc_t *client, uint32_t connection, uint8_t *p,
    uint8_t *id);

/*
 * Reads the answer to it.  TRP_OK: from now on the connection carries the
 * peer's bytes.  TRP_AGAIN, once at most: the nonce was stale; the next call of
 * trp_turnc_bind() must be for the same connection, and its message is sent on
 * that.  TRP_ERROR: *code says why.
 */

int trp_turnc_bound(trp_turnc_t *client, const uint8_t *p, size_t len,
    const uint8_t *id, unsigned *code);


/*
 * UDP: sends a datagram.  The first one for a peer asks for a permission and
 * a channel, which are refreshed until trp_turnc_release().  Datagrams wait for
 * the answer, up to TRP_TURNC_QUEUE of them, and become Send indications if
 * the server grants no channel.  TRP_OK: sent or waiting; TRP_AGAIN: dropped;
 * TRP_DECLINED: the server does not allow this peer, or it has no port;
 * TRP_ERROR: no memory, or not allocated.
 */

int trp_turnc_send(trp_turnc_t *client, const trp_taddr_t *peer,
    const uint8_t *p, size_t len, uint64_t now);
void trp_turnc_release(trp_turnc_t *client, const trp_taddr_t *peer);

/*
 * The number of the peer's channel: the caller may send ChannelData for it now,
 * without trp_turnc_send(), if it calls this each time.  0: there is none.
 */

uint16_t trp_turnc_channel(trp_turnc_t *client, const trp_taddr_t *peer,
    uint64_t now);

/* the caller has a reason to believe that the allocation is lost: asks */

void trp_turnc_suspect(trp_turnc_t *client, uint64_t now);


/* deletes the allocation: Refresh with lifetime 0, sent once */

void trp_turnc_close(trp_turnc_t *client, uint64_t now);


/* for the log: what a request asks for */

const char *trp_turnc_method_name(unsigned method);


#pragma GCC visibility pop


#endif /* TRP_TURNC_H_INCLUDED */
