
/*
 * Copyright (C) the trp authors
 */


/*
 * The client's side of TURN (RFC 8656) and of its extension for TCP (RFC
 * 6062): one allocation, with its permissions, channels and connections.
 *
 * Sans-IO: messages and time come in as arguments, everything goes out
 * through the handlers.  No handler may call back into the same client,
 * except trp_turnc_connect(), _send() and _forget(), _close() from
 * "refused", and _release() from "forbidden".  Time is in milliseconds and only
 * moves forward; "wall" is in seconds since 1970.
 */


#ifndef TRP_TURNC_H_INCLUDED
#define TRP_TURNC_H_INCLUDED


#include "base/trp_core.h"
#include "base/trp_memory.h"
#include "stun/trp_stun.h"


#pragma GCC visibility push(hidden)


/* a NAT forgets UDP mappings after 30 seconds, some forget TCP soon after */

#define TRP_TURNC_KEEPALIVE    25000

/* RFC 8489, section 6.2.1: for UDP; section 6.2.2: for TCP and TLS */

#define TRP_TURNC_RTO          500
#define TRP_TURNC_RC           7
#define TRP_TURNC_RM           16
#define TRP_TURNC_TI           39500

/* datagrams that wait for their permission: so many of a peer, so long */

#define TRP_TURNC_QUEUE        8
#define TRP_TURNC_DATAGRAM     2048

/*
 * Of ConnectionBind with all its attributes, as long as they may be; nothing
 * else that is asked is longer.
 */

#define TRP_TURNC_MESSAGE_MAX  2304

/* what "failed" and "refused" may say besides the codes of STUN */

#define TRP_TURNC_TIMEOUT      1    /* no answer */
#define TRP_TURNC_PROTOCOL     2    /* an answer that makes no sense */
#define TRP_TURNC_INTEGRITY    3    /* not signed with our password */


typedef struct trp_turnc_s  trp_turnc_t;


typedef struct {

    /* a message or ChannelData for the server; padded for a byte stream */
    void   (*send)(void *data, const uint8_t *p, size_t len);

    /* the allocation is there, see trp_turnc_relayed() */
    void   (*allocated)(void *data);

    /*
     * There is no allocation, or no more.  The client does nothing from here
     * on but to be destroyed; of pending connects nothing more is heard.
     */
    void   (*failed)(void *data, unsigned code);

    /* a peer is connected: the id is for ConnectionBind */
    void   (*connected)(void *data, void *connect, uint32_t id);
    void   (*refused)(void *data, void *connect, unsigned code);

    /* a datagram of a peer */
    void   (*received)(void *data, const trp_taddr_t *peer, const uint8_t *p,
                       size_t len);

    /*
     * The server does not let us reach this peer's address: 403 and others.
     * It is not asked again within a second, unless the peer is released.
     */
    void   (*forbidden)(void *data, const trp_taddr_t *peer, unsigned code);

} trp_turnc_handlers_t;


typedef struct {
    trp_str_t   name;                /* and password, or ...; at most
                                        TRP_STUN_USERNAME_MAX bytes, with the
                                        time that a secret needs */
    trp_str_t   password;
    trp_str_t   secret;              /* ... the secret of REST credentials, for
                                        which "name" may be empty */
    uint8_t     transport;           /* of the relayed address: 6 or 17 */
    uint8_t     family;              /* 4, 6; 0: 4, with no attribute */
    unsigned    stream:1;            /* TCP or TLS to the server */
} trp_turnc_conf_t;


/*
 * The strings of "conf" must live as long as the client.  "seed" has
 * TRP_RANDOM_SEED_LEN bytes.  NULL without memory.  Nothing is sent before
 * trp_turnc_start().
 */

trp_turnc_t *trp_turnc_create(const trp_turnc_conf_t *conf,
    const trp_turnc_handlers_t *handlers, void *data,
    const trp_memory_t *memory, const uint8_t *seed);
void trp_turnc_destroy(trp_turnc_t *client);

/* sends Allocate; what comes next is "allocated" or "failed" */

void trp_turnc_start(trp_turnc_t *client, uint64_t now,
    int64_t wall);


/*
 * One message, or one ChannelData, as trp_stun_frame() has cut it off, or a
 * whole datagram of the server.  TRP_ERROR if it is nothing of TURN: a
 * datagram is then ignored, a byte stream is lost.
 */

int trp_turnc_input(trp_turnc_t *client, const uint8_t *p,
    size_t len, uint64_t now, int64_t wall);

/*
 * When trp_turnc_tick() wants to be called next, in absolute time; 0 if
 * nothing is waited for.  It may change with each call of a function here.
 */

uint64_t trp_turnc_next(trp_turnc_t *client);
void trp_turnc_tick(trp_turnc_t *client, uint64_t now,
    int64_t wall);


/* valid from "allocated" on */

const trp_taddr_t *trp_turnc_relayed(const trp_turnc_t *client);

/* after "failed" with 300 (RFC 8489, section 10); family 0 if there is none */

const trp_taddr_t *trp_turnc_alternate(const trp_turnc_t *client);


/*
 * TCP: asks for a connection to the peer; "connect" comes back with
 * "connected" or "refused".  TRP_OK, TRP_ERROR without memory.  After
 * trp_turnc_forget() neither comes.
 */

int trp_turnc_connect(trp_turnc_t *client,
    const trp_taddr_t *peer, void *connect, uint64_t now, int64_t wall);
void trp_turnc_forget(trp_turnc_t *client, void *connect);

/*
 * ConnectionBind, for a data connection of this allocation, to be sent there:
 * writes at most TRP_TURNC_MESSAGE_MAX bytes and a transaction id of
 * TRP_STUN_ID_LEN bytes, returns the length, 0 if the client is not allocated.
 */

size_t trp_turnc_bind(trp_turnc_t *client, uint32_t connection,
    uint8_t *p, uint8_t *id);

/*
 * The answer to it.  TRP_OK: from now on the connection carries the peer's
 * bytes.  TRP_AGAIN, once at most: the nonce was stale, and the next call of
 * trp_turnc_bind() is for the same connection; its message is sent on
 * it.  TRP_ERROR, and *code says why.
 */

int trp_turnc_bound(trp_turnc_t *client, const uint8_t *p,
    size_t len, const uint8_t *id, unsigned *code);


/*
 * UDP: sends a datagram.  The first one for a peer asks for a permission and
 * a channel, which are then refreshed until trp_turnc_release();
 * datagrams wait for the answer, within the bounds above, and go as Send
 * indications if the server has no channel.  TRP_OK: sent or waiting,
 * TRP_AGAIN: dropped, TRP_DECLINED: the server does not allow this peer, or
 * it has no port, TRP_ERROR: no memory, not allocated.
 */

int trp_turnc_send(trp_turnc_t *client, const trp_taddr_t *peer,
    const uint8_t *p, size_t len, uint64_t now, int64_t wall);
void trp_turnc_release(trp_turnc_t *client,
    const trp_taddr_t *peer);


/* gives the allocation back: Refresh with lifetime 0, sent once */

void trp_turnc_close(trp_turnc_t *client, uint64_t now,
    int64_t wall);


#pragma GCC visibility pop


#endif /* TRP_TURNC_H_INCLUDED */
