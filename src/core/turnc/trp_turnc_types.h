
/*
 * Copyright (C) the trp authors
 */


/*
 * The types of the TURN client.  Its files, each of which uses only those above
 * it:
 *
 *     trp_turnc_base.c     memory, output to the server, events
 *     trp_turnc_auth.c     credentials, and the server's challenges
 *     trp_turnc_request.c  requests and their answers
 *     trp_turnc_alloc.c    the allocation: Allocate, Refresh, its lifetime
 *     trp_turnc_doubt.c    whether the allocation still exists
 *     trp_turnc_queue.c    datagrams for a peer, and those that wait
 *     trp_turnc_peer.c     permissions and channels
 *     trp_turnc_data.c     datagrams to and from peers
 *     trp_turnc_tcp.c      connections to peers (RFC 6062)
 *     trp_turnc.c          the entrance: all that callers may use
 */


#ifndef TRP_TURNC_TYPES_H_INCLUDED
#define TRP_TURNC_TYPES_H_INCLUDED


#include "base/trp_core.h"
#include "base/trp_hash.h"
#include "base/trp_heap.h"
#include "base/trp_memory.h"
#include "base/trp_random.h"
#include "stun/trp_stun.h"
#include "stun/trp_turn_auth.h"


#pragma GCC visibility push(hidden)


/* a NAT forgets a UDP mapping after 30 s, and some TCP ones soon after */

#define TRP_TURNC_KEEPALIVE     25000

/* RFC 8489, section 6.2.1: for UDP; section 6.2.2: for TCP and TLS */

#define TRP_TURNC_RTO           500
#define TRP_TURNC_RC            7
#define TRP_TURNC_RM            16
#define TRP_TURNC_TI            39500

/*
 * The same for UDP if the caller has another server to turn to: 5.5 seconds in
 * all, in place of 39.5
 */

#define TRP_TURNC_HASTY_RC      4
#define TRP_TURNC_HASTY_RM      4

/* datagrams of a peer that may wait for a permission; their length */

#define TRP_TURNC_QUEUE         8
#define TRP_TURNC_DATAGRAM      2048

/*
 * The length of ConnectionBind with all attributes at their maximum; no other
 * request is longer.
 */

#define TRP_TURNC_MESSAGE_MAX   2304

/* codes of events, besides those of STUN */

#define TRP_TURNC_TIMEOUT       1    /* no answer */
#define TRP_TURNC_PROTOCOL      2    /* an invalid answer */
#define TRP_TURNC_INTEGRITY     3    /* not signed with our password */

/* at a time; peers count while in use */

#define TRP_TURNC_TRANSACTIONS  1024
#define TRP_TURNC_PEERS         4000

/* delay before a failed refresh is retried, milliseconds */

#define TRP_TURNC_PAUSE         1000

/* in the name for a secret: a sign, EXPIRY, and a colon or a null byte */

#define TRP_TURNC_EXPIRY_LEN    22

/* of PASSWORD-ALGORITHMS; there are two algorithms of four bytes */

#define TRP_TURNC_LIST_MAX      64


typedef struct trp_turnc_s              trp_turnc_t;
typedef struct trp_turnc_transaction_s  trp_turnc_transaction_t;
typedef struct trp_turnc_datagram_s     trp_turnc_datagram_t;


/*
 * Sends messages and ChannelData to the server, padded for a byte stream.  This
 * is the only callback, so that output need not be kept.  It must not call the
 * client.
 */

typedef void (*trp_turnc_send_pt)(void *data, const uint8_t *p, size_t len);


typedef enum {
    TRP_TURNC_EVENT_NONE = 0,

    /* the allocation is there, see trp_turnc_relayed() */
    TRP_TURNC_EVENT_ALLOCATED,

    /*
     * There is no allocation, or none any more, see "code".  The client can
     * only be destroyed; pending connects get no event.
     */
    TRP_TURNC_EVENT_FAILED,

    /* the peer of "connect" is connected: "id" is for ConnectionBind */
    TRP_TURNC_EVENT_CONNECTED,

    /* the peer is not connected, see "code" */
    TRP_TURNC_EVENT_REFUSED,

    /* "data" of "peer"; points into the last input */
    TRP_TURNC_EVENT_RECEIVED,

    /*
     * The server does not allow the address of "peer", see "code": 403 and
     * others.  It is not asked again within a second, unless the peer is
     * released.
     */
    TRP_TURNC_EVENT_FORBIDDEN
} trp_turnc_event_e;


typedef struct {
    trp_turnc_event_e  type;
    unsigned           code;
    uint32_t           id;
    void              *connect;
    trp_taddr_t        peer;
    trp_str_t          data;
} trp_turnc_event_t;


typedef struct {
    trp_str_t   name;                /* and password, or ...; at most
                                        TRP_STUN_USERNAME_MAX bytes, with the
                                        time that a secret needs */
    trp_str_t   password;
    trp_str_t   secret;              /* ... the secret of REST credentials, for
                                        which "name" may be empty */
    uint8_t     transport;           /* of the relayed address: trp_proto_e */
    uint8_t     family;              /* 4, 6; 0: 4, with no attribute */
    unsigned    stream:1;            /* TCP or TLS to the server */
    unsigned    hasty:1;             /* a server that is silent for some seconds
                                        has lost the allocation */
} trp_turnc_conf_t;


typedef enum {
    TRP_TURNC_IDLE = 0,
    TRP_TURNC_ALLOCATING,
    TRP_TURNC_ALLOCATED,
    TRP_TURNC_OVER
} trp_turnc_state_e;


/* what a timer belongs to, and thus what it is for */

typedef enum {
    TRP_TURNC_TIMER_REFRESH = 0,
    TRP_TURNC_TIMER_LIFETIME,
    TRP_TURNC_TIMER_KEEPALIVE,
    TRP_TURNC_TIMER_SILENCE,
    TRP_TURNC_TIMER_TRANSACTION,
    TRP_TURNC_TIMER_PEER
} trp_turnc_timer_e;


/*
 * A kind of request: put() writes it, done() takes the answer "m", NULL if
 * there is none; "code" is 0 for success.  silent(), which may be NULL, is
 * called when the request has been sent several times in vain.
 */

typedef struct {
    uint16_t    method;
    void      (*put)(trp_turnc_t *client, trp_turnc_transaction_t *t,
                     trp_stun_writer_t *w);
    void      (*done)(trp_turnc_t *client, trp_turnc_transaction_t *t,
                      const trp_stun_t *m, unsigned code);
    int       (*silent)(trp_turnc_t *client);
} trp_turnc_request_t;


/* a request that waits for its answer; part of the object it is for */

struct trp_turnc_transaction_s {
    trp_hash_node_t             node;      /* by id */
    trp_timer_t           timer;
    const trp_turnc_request_t  *request;
    uint8_t                     id[TRP_STUN_ID_LEN];
    uint8_t                     nsent;     /* with this id */
    uint8_t                     nstale;    /* answers 438 */
    unsigned                    active:1;
    unsigned                    authenticated:1;
    unsigned                    violated:1;    /* an answer without integrity */
};


typedef struct {
    trp_turnc_transaction_t  transaction;
    trp_taddr_t              peer;
    void                    *connect;      /* the caller's */
} trp_turnc_connect_t;


typedef enum {
    TRP_TURNC_ASKING = 0,
    TRP_TURNC_BOUND,                   /* to a channel */
    TRP_TURNC_PERMITTED,               /* without one */
    TRP_TURNC_DENIED,
    TRP_TURNC_RESTING                  /* not in use, its number is kept */
} trp_turnc_peer_e;


typedef struct {
    trp_hash_node_t          by_addr;
    trp_hash_node_t          by_host;
    trp_hash_node_t          by_number;
    trp_timer_t        timer;
    trp_turnc_transaction_t  transaction;
    trp_taddr_t              addr;
    uint8_t                  state;        /* trp_turnc_peer_e */
    unsigned                 no_channel:1; /* not granted */
    uint16_t                 number;       /* 0: none */
    uint64_t                 asked;        /* last ChannelBind */
    uint64_t                 until;        /* of the permission */
    trp_turnc_datagram_t    *first;
    unsigned                 nqueued;
} trp_turnc_peer_t;


/* the allocation, of trp_turnc_alloc.c */

typedef struct {
    trp_turnc_transaction_t  transaction;  /* Allocate, then Refresh */
    trp_timer_t        refresh;
    trp_timer_t        lifetime;
    trp_timer_t        keepalive;
    uint64_t                 sent;         /* when anything last was */
    trp_taddr_t              relayed;
    trp_taddr_t              alternate;
} trp_turnc_alloc_t;


/* datagrams go out, and nothing comes in: of trp_turnc_doubt.c */

typedef struct {
    trp_timer_t        timer;
    uint64_t                 since;        /* the first datagram since the
                                              server was heard; 0: none */
    uint64_t                 patience;
    uint64_t                 doubted;      /* when it was last asked */
} trp_turnc_silence_t;


typedef struct {
    trp_hash_t               by_addr;
    trp_hash_t               by_host;      /* those in use */
    trp_hash_t               by_number;
    unsigned                 nused;
    uint16_t                 last;         /* number given out */
} trp_turnc_peers_t;


/* credentials: of trp_turnc_auth.c, most of it set by the first 401 */

typedef struct {
    unsigned                 challenged:1;
    unsigned                 anonymous:1;
    unsigned                 algorithm;    /* of the key */
    trp_str_t                name;
    trp_str_t                password;
    trp_turn_key_t           key;
    uint8_t                  userhash[TRP_STUN_USERHASH_LEN];
    uint8_t                  realm[TRP_STUN_REALM_MAX];
    size_t                   realm_len;
    uint8_t                  nonce[TRP_STUN_REALM_MAX];
    size_t                   nonce_len;
    uint8_t                  list[TRP_TURNC_LIST_MAX];
    size_t                   list_len;     /* 0: RFC 5389's way */
} trp_turnc_auth_t;


struct trp_turnc_s {
    trp_turnc_conf_t         conf;
    trp_turnc_send_pt        send;
    void                    *data;         /* of send() */
    trp_memory_t             memory;
    size_t                   size;         /* with "text" */
    trp_random_t             random;
    uint8_t                  hash_key[TRP_HASH_KEY_LEN];

    trp_turnc_state_e        state;
    unsigned                 code;         /* of the failure; 0: none */
    trp_turnc_event_t        event;        /* to be told */
    uint64_t                 now;
    uint64_t                 due;          /* timers up to this are due */
    trp_heap_t               timers;
    trp_hash_t               transactions;

    trp_turnc_auth_t         auth;
    trp_turnc_alloc_t        alloc;
    trp_turnc_silence_t      silence;
    trp_turnc_peers_t        peers;

    /* for the connection whose ConnectionBind is sent again */
    uint8_t                  bind_nonce[TRP_STUN_REALM_MAX];
    size_t                   bind_nonce_len;

    uint8_t                  text[];       /* name and password for a secret */
};


#pragma GCC visibility pop


#endif /* TRP_TURNC_TYPES_H_INCLUDED */
