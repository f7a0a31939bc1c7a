
/*
 * Copyright (C) the trp authors
 */


/*
 * What the files of the TURN client share among themselves.
 *
 *     trp_turnc.c          messages and time in; the allocation
 *     trp_turnc_request.c  requests and their answers
 *     trp_turnc_auth.c     who is asking
 *     trp_turnc_doubt.c    is the allocation still there
 *     trp_turnc_peer.c     permissions and channels
 *     trp_turnc_data.c     datagrams, and what waits of them
 *     trp_turnc_tcp.c      connections to peers (RFC 6062)
 */


#ifndef TRP_TURNC_PRIVATE_H_INCLUDED
#define TRP_TURNC_PRIVATE_H_INCLUDED


#include "base/trp_hash.h"
#include "base/trp_heap.h"
#include "base/trp_random.h"
#include "stun/trp_turn_auth.h"
#include "turnc/trp_turnc.h"


#pragma GCC visibility push(hidden)


/* at once; peers that are in use */

#define TRP_TURNC_TRANSACTIONS  1024
#define TRP_TURNC_PEERS         4000

/* conf.transport, as IP numbers them */

#define TRP_TURNC_TCP           6
#define TRP_TURNC_UDP           17

/* before what could not be refreshed is asked for again */

#define TRP_TURNC_PAUSE         1000

/* of the name for a secret: EXPIRY, a colon or a null byte, and a sign */

#define TRP_TURNC_EXPIRY_LEN    22

/* of PASSWORD-ALGORITHMS; there are two algorithms of four bytes */

#define TRP_TURNC_LIST_MAX      64


typedef enum {
    TRP_TURNC_IDLE = 0,
    TRP_TURNC_ALLOCATING,
    TRP_TURNC_ALLOCATED,
    TRP_TURNC_OVER
} trp_turnc_state_e;


typedef enum {
    TRP_TURNC_TIMER_REFRESH = 0,
    TRP_TURNC_TIMER_LIFETIME,
    TRP_TURNC_TIMER_KEEPALIVE,
    TRP_TURNC_TIMER_SILENCE,
    TRP_TURNC_TIMER_TRANSACTION,
    TRP_TURNC_TIMER_PEER
} trp_turnc_timer_e;


typedef struct {
    trp_heap_node_t  node;
    uint8_t          kind;                 /* of what it stands in */
} trp_turnc_timer_t;


/* a request that waits for its answer; it is part of what it is for */

typedef struct {
    trp_hash_node_t    node;               /* by id */
    trp_turnc_timer_t  timer;
    uint8_t            id[TRP_STUN_ID_LEN];
    uint16_t           method;
    uint8_t            nsent;              /* with this id */
    uint8_t            nstale;             /* answers 438 */
    unsigned           active:1;
    unsigned           authenticated:1;
    unsigned           violated:1;             /* an answer had no integrity */
} trp_turnc_transaction_t;


typedef struct {
    trp_turnc_transaction_t  transaction;
    trp_taddr_t              peer;
    void                    *connect;
} trp_turnc_connect_t;


typedef enum {
    TRP_TURNC_ASKING = 0,
    TRP_TURNC_BOUND,             /* to a channel */
    TRP_TURNC_PERMITTED,         /* without one */
    TRP_TURNC_DENIED,
    TRP_TURNC_RESTING            /* not in use, its number is kept */
} trp_turnc_peer_e;


typedef struct trp_turnc_datagram_s  trp_turnc_datagram_t;


typedef struct {
    trp_hash_node_t          by_addr;
    trp_hash_node_t          by_host;
    trp_hash_node_t          by_number;
    trp_turnc_timer_t        timer;
    trp_turnc_transaction_t  transaction;
    trp_taddr_t              addr;
    uint8_t                  state;
    unsigned                 no_channel:1;         /* the server has none */
    uint16_t                 number;               /* 0: none */
    uint64_t                 asked;                /* ChannelBind, last */
    uint64_t                 until;                /* of the permission */
    trp_turnc_datagram_t    *first;
    unsigned                 nqueued;
} trp_turnc_peer_t;


struct trp_turnc_s {
    trp_turnc_conf_t      conf;
    trp_turnc_handlers_t  handlers;
    void                 *data;
    trp_memory_t          memory;
    trp_random_t          random;
    uint8_t               hash_key[TRP_HASH_KEY_LEN];

    size_t                size;            /* with "text" */
    trp_turnc_state_e     state;
    uint64_t              now;
    uint64_t              sent;            /* when anything was, last */
    trp_taddr_t           relayed;
    trp_taddr_t           alternate;

    trp_heap_t            timers;
    trp_turnc_timer_t     refresh;
    trp_turnc_timer_t     lifetime;
    trp_turnc_timer_t     keepalive;

    trp_turnc_timer_t     silence;
    uint64_t              unanswered;        /* the first datagram since the
                                                server was heard; 0: none */
    uint64_t                 patience;       /* with silence */
    uint64_t                 doubted;        /* when it was asked, last */

    trp_hash_t               transactions;
    trp_turnc_transaction_t  control;    /* Allocate and Refresh */

    trp_hash_t               peers;
    trp_hash_t               hosts;        /* those in use, by IP address */
    trp_hash_t               channels;     /* peers by number */
    unsigned                 npeers;       /* that are in use */
    uint16_t                 last;         /* number that was given out */

    /* who is asking, from the first 401 on */

    unsigned                 authenticated:1;
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

    /* of the connection whose ConnectionBind is sent once more */

    uint8_t                  bind_nonce[TRP_STUN_REALM_MAX];
    size_t                   bind_nonce_len;

    uint8_t                  text[];       /* name and password for a secret */
};


#define trp_turnc_of(type, member, pointer)                             \
    ((type *) (void *) ((uint8_t *) (pointer) - offsetof(type, member)))


/* of trp_turnc.c */

/* nothing in the client may be touched after this */

void trp_turnc_fail(trp_turnc_t *client, unsigned code);

void trp_turnc_out(trp_turnc_t *client, const uint8_t *p,
    size_t len);

void trp_turnc_timer(trp_turnc_t *client,
    trp_turnc_timer_t *timer, uint64_t expires);
void trp_turnc_timer_stop(trp_turnc_t *client,
    trp_turnc_timer_t *timer);

void *trp_turnc_get(trp_turnc_t *client, size_t size);
void trp_turnc_put(trp_turnc_t *client, void *p);

/* an answer, or none: "m" is NULL then; "code" is 0 for success */

void trp_turnc_allocate_done(trp_turnc_t *client,
    const trp_stun_t *m, unsigned code);
void trp_turnc_refresh_done(trp_turnc_t *client,
    const trp_stun_t *m, unsigned code);


/* of trp_turnc_request.c */

/* asks; what comes of it goes to the function of the method */

void trp_turnc_request(trp_turnc_t *client,
    trp_turnc_transaction_t *t, uint16_t method);
void trp_turnc_request_end(trp_turnc_t *client,
    trp_turnc_transaction_t *t);
void trp_turnc_request_timer(trp_turnc_t *client,
    trp_turnc_transaction_t *t);
void trp_turnc_answer(trp_turnc_t *client, const trp_stun_t *m);

/* 1 if there are as many requests as there may be */

int trp_turnc_busy(const trp_turnc_t *client);

/* 1 for an error that ends the allocation, whatever was asked */

int trp_turnc_fatal(unsigned code);


/* of trp_turnc_doubt.c */

/*
 * Something has failed as it would if the server had forgotten the allocation:
 * asks it with a Refresh, unless it was asked a moment ago.  1 while there is
 * no answer yet.
 */

int trp_turnc_doubt(trp_turnc_t *client);

/* a datagram goes to a peer, or waits for that */

void trp_turnc_wait(trp_turnc_t *client);

/* a success answer, or data of a peer: the allocation is there */

void trp_turnc_heard(trp_turnc_t *client, int data);

void trp_turnc_silence_timer(trp_turnc_t *client);


/* of trp_turnc_auth.c: TRP_OK, or TRP_ERROR */

int trp_turnc_credentials(trp_turnc_t *client, int64_t wall);

/* what 401 and 438 say */

int trp_turnc_challenge(trp_turnc_t *client, const trp_stun_t *m);
int trp_turnc_stale(trp_turnc_t *client, const trp_stun_t *m);
int trp_turnc_nonce(const trp_stun_t *m, uint8_t *nonce, size_t *len);

/* the end of a request, with integrity and fingerprint */

int trp_turnc_sign(trp_turnc_t *client, trp_stun_writer_t *w,
    trp_str_t nonce);

/* an answer: TRP_OK, or TRP_DECLINED */

int trp_turnc_verify(const trp_turnc_t *client,
    const trp_stun_t *m);


/* of trp_turnc_peer.c */

void trp_turnc_peer_put(const trp_turnc_transaction_t *t,
    trp_stun_writer_t *w, uint64_t now);
void trp_turnc_peer_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, unsigned code);
void trp_turnc_peer_timer(trp_turnc_t *client,
    trp_turnc_timer_t *timer);
void trp_turnc_peers_free(trp_turnc_t *client);

/* NULL if there is none; it may be resting */

trp_turnc_peer_t *trp_turnc_peer_find(
    const trp_turnc_t *client, const trp_taddr_t *addr);

/* from now on it is in use; TRP_OK, TRP_AGAIN, TRP_ERROR without memory */

int trp_turnc_peer_use(trp_turnc_t *client,
    trp_turnc_peer_t **peer, const trp_taddr_t *addr);

int trp_turnc_permitted(const trp_turnc_t *client,
    const trp_addr_t *host);


/* of trp_turnc_data.c */

void trp_turnc_queue_send(trp_turnc_t *client,
    trp_turnc_peer_t *peer);
void trp_turnc_queue_free(trp_turnc_t *client,
    trp_turnc_peer_t *peer);

void trp_turnc_channel_data(trp_turnc_t *client,
    const uint8_t *p, size_t len);
void trp_turnc_indication(trp_turnc_t *client,
    const trp_stun_t *m);


/* of trp_turnc_tcp.c */

void trp_turnc_connect_put(const trp_turnc_transaction_t *t,
    trp_stun_writer_t *w);
void trp_turnc_connect_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);
void trp_turnc_connects_free(trp_turnc_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURNC_PRIVATE_H_INCLUDED */
