
/*
 * Copyright (C) the trp authors
 */


/*
 * What the files of the TURN client share among themselves.
 *
 *     trp_turn_client.c          messages and time in; the allocation
 *     trp_turn_client_request.c  requests and their answers
 *     trp_turn_client_auth.c     who is asking
 *     trp_turn_client_doubt.c    is the allocation still there
 *     trp_turn_client_peer.c     permissions and channels
 *     trp_turn_client_data.c     datagrams, and what waits of them
 *     trp_turn_client_tcp.c      connections to peers (RFC 6062)
 */


#ifndef TRP_TURN_CLIENT_PRIVATE_H_INCLUDED
#define TRP_TURN_CLIENT_PRIVATE_H_INCLUDED


#include "base/trp_hash.h"
#include "base/trp_heap.h"
#include "base/trp_random.h"
#include "stun/trp_turn_auth.h"
#include "turnc/trp_turn_client.h"


#pragma GCC visibility push(hidden)


/* at once; peers that are in use */

#define TRP_TURN_CLIENT_TRANSACTIONS  1024
#define TRP_TURN_CLIENT_PEERS         4000

/* conf.transport, as IP numbers them */

#define TRP_TURN_CLIENT_TCP           6
#define TRP_TURN_CLIENT_UDP           17

/* before what could not be refreshed is asked for again */

#define TRP_TURN_CLIENT_PAUSE         1000

/* of the name for a secret: EXPIRY, a colon or a null byte, and a sign */

#define TRP_TURN_CLIENT_EXPIRY_LEN    22

/* of PASSWORD-ALGORITHMS; there are two algorithms of four bytes */

#define TRP_TURN_CLIENT_LIST_MAX      64


typedef enum {
    TRP_TURN_CLIENT_IDLE = 0,
    TRP_TURN_CLIENT_ALLOCATING,
    TRP_TURN_CLIENT_ALLOCATED,
    TRP_TURN_CLIENT_OVER
} trp_turn_client_state_e;


typedef enum {
    TRP_TURN_CLIENT_TIMER_REFRESH = 0,
    TRP_TURN_CLIENT_TIMER_LIFETIME,
    TRP_TURN_CLIENT_TIMER_KEEPALIVE,
    TRP_TURN_CLIENT_TIMER_SILENCE,
    TRP_TURN_CLIENT_TIMER_TRANSACTION,
    TRP_TURN_CLIENT_TIMER_PEER
} trp_turn_client_timer_e;


typedef struct {
    trp_heap_node_t             node;
    uint8_t                     kind;      /* of what it stands in */
} trp_turn_client_timer_t;


/* a request that waits for its answer; it is part of what it is for */

typedef struct {
    trp_hash_node_t             node;      /* by id */
    trp_turn_client_timer_t     timer;
    uint8_t                     id[TRP_STUN_ID_LEN];
    uint16_t                    method;
    uint8_t                     nsent;     /* with this id */
    uint8_t                     nstale;    /* answers 438 */
    unsigned                    active:1;
    unsigned                    authenticated:1;
    unsigned                    violated:1;    /* an answer had no integrity */
} trp_turn_client_transaction_t;


typedef struct {
    trp_turn_client_transaction_t   transaction;
    trp_taddr_t                     peer;
    void                           *connect;
} trp_turn_client_connect_t;


typedef enum {
    TRP_TURN_CLIENT_ASKING = 0,
    TRP_TURN_CLIENT_BOUND,             /* to a channel */
    TRP_TURN_CLIENT_PERMITTED,         /* without one */
    TRP_TURN_CLIENT_DENIED,
    TRP_TURN_CLIENT_RESTING            /* not in use, its number is kept */
} trp_turn_client_peer_e;


typedef struct trp_turn_client_datagram_s  trp_turn_client_datagram_t;


typedef struct {
    trp_hash_node_t                 by_addr;
    trp_hash_node_t                 by_host;
    trp_hash_node_t                 by_number;
    trp_turn_client_timer_t         timer;
    trp_turn_client_transaction_t   transaction;
    trp_taddr_t                     addr;
    uint8_t                         state;
    unsigned                        no_channel:1;  /* the server has none */
    uint16_t                        number;        /* 0: none */
    uint64_t                        asked;         /* ChannelBind, last */
    uint64_t                        until;         /* of the permission */
    trp_turn_client_datagram_t     *first;
    unsigned                        nqueued;
} trp_turn_client_peer_t;


struct trp_turn_client_s {
    trp_turn_client_conf_t      conf;
    trp_turn_client_handlers_t  handlers;
    void                       *data;
    trp_memory_t                memory;
    trp_random_t                random;
    uint8_t                     hash_key[TRP_HASH_KEY_LEN];

    size_t                      size;      /* with "text" */
    trp_turn_client_state_e     state;
    uint64_t                    now;
    uint64_t                    sent;      /* when anything was, last */
    trp_taddr_t                 relayed;
    trp_taddr_t                 alternate;

    trp_heap_t                  timers;
    trp_turn_client_timer_t     refresh;
    trp_turn_client_timer_t     lifetime;
    trp_turn_client_timer_t     keepalive;

    trp_turn_client_timer_t     silence;
    uint64_t                    unanswered;  /* the first datagram since the
                                                server was heard; 0: none */
    uint64_t                    patience;    /* with silence */
    uint64_t                    doubted;     /* when it was asked, last */

    trp_hash_t                  transactions;
    trp_turn_client_transaction_t   control;   /* Allocate and Refresh */

    trp_hash_t                  peers;
    trp_hash_t                  hosts;     /* those in use, by IP address */
    trp_hash_t                  channels;  /* peers by number */
    unsigned                    npeers;    /* that are in use */
    uint16_t                    last;      /* number that was given out */

    /* who is asking, from the first 401 on */

    unsigned                    authenticated:1;
    unsigned                    anonymous:1;
    unsigned                    algorithm; /* of the key */
    trp_str_t                   name;
    trp_str_t                   password;
    trp_turn_key_t              key;
    uint8_t                     userhash[TRP_STUN_USERHASH_LEN];
    uint8_t                     realm[TRP_STUN_REALM_MAX];
    size_t                      realm_len;
    uint8_t                     nonce[TRP_STUN_REALM_MAX];
    size_t                      nonce_len;
    uint8_t                     list[TRP_TURN_CLIENT_LIST_MAX];
    size_t                      list_len;  /* 0: RFC 5389's way */

    /* of the connection whose ConnectionBind is sent once more */

    uint8_t                     bind_nonce[TRP_STUN_REALM_MAX];
    size_t                      bind_nonce_len;

    uint8_t                     text[];    /* name and password for a secret */
};


#define trp_turn_client_of(type, member, pointer)                             \
    ((type *) (void *) ((uint8_t *) (pointer) - offsetof(type, member)))


/* of trp_turn_client.c */

/* nothing in the client may be touched after this */

void trp_turn_client_fail(trp_turn_client_t *client, unsigned code);

void trp_turn_client_out(trp_turn_client_t *client, const uint8_t *p,
    size_t len);

void trp_turn_client_timer(trp_turn_client_t *client,
    trp_turn_client_timer_t *timer, uint64_t expires);
void trp_turn_client_timer_stop(trp_turn_client_t *client,
    trp_turn_client_timer_t *timer);

void *trp_turn_client_get(trp_turn_client_t *client, size_t size);
void trp_turn_client_put(trp_turn_client_t *client, void *p);

/* an answer, or none: "m" is NULL then; "code" is 0 for success */

void trp_turn_client_allocate_done(trp_turn_client_t *client,
    const trp_stun_t *m, unsigned code);
void trp_turn_client_refresh_done(trp_turn_client_t *client,
    const trp_stun_t *m, unsigned code);


/* of trp_turn_client_request.c */

/* asks; what comes of it goes to the function of the method */

void trp_turn_client_request(trp_turn_client_t *client,
    trp_turn_client_transaction_t *t, uint16_t method);
void trp_turn_client_request_end(trp_turn_client_t *client,
    trp_turn_client_transaction_t *t);
void trp_turn_client_request_timer(trp_turn_client_t *client,
    trp_turn_client_transaction_t *t);
void trp_turn_client_answer(trp_turn_client_t *client, const trp_stun_t *m);

/* 1 if there are as many requests as there may be */

int trp_turn_client_busy(const trp_turn_client_t *client);

/* 1 for an error that ends the allocation, whatever was asked */

int trp_turn_client_fatal(unsigned code);


/* of trp_turn_client_doubt.c */

/*
 * Something has failed as it would if the server had forgotten the allocation:
 * asks it with a Refresh, unless it was asked a moment ago.  1 while there is
 * no answer yet.
 */

int trp_turn_client_doubt(trp_turn_client_t *client);

/* a datagram goes to a peer, or waits for that */

void trp_turn_client_wait(trp_turn_client_t *client);

/* a success answer, or data of a peer: the allocation is there */

void trp_turn_client_heard(trp_turn_client_t *client, int data);

void trp_turn_client_silence_timer(trp_turn_client_t *client);


/* of trp_turn_client_auth.c: TRP_OK, or TRP_ERROR */

int trp_turn_client_credentials(trp_turn_client_t *client, int64_t wall);

/* what 401 and 438 say */

int trp_turn_client_challenge(trp_turn_client_t *client, const trp_stun_t *m);
int trp_turn_client_stale(trp_turn_client_t *client, const trp_stun_t *m);
int trp_turn_client_nonce(const trp_stun_t *m, uint8_t *nonce, size_t *len);

/* the end of a request, with integrity and fingerprint */

int trp_turn_client_sign(trp_turn_client_t *client, trp_stun_writer_t *w,
    trp_str_t nonce);

/* an answer: TRP_OK, or TRP_DECLINED */

int trp_turn_client_verify(const trp_turn_client_t *client,
    const trp_stun_t *m);


/* of trp_turn_client_peer.c */

void trp_turn_client_peer_put(const trp_turn_client_transaction_t *t,
    trp_stun_writer_t *w, uint64_t now);
void trp_turn_client_peer_done(trp_turn_client_t *client,
    trp_turn_client_transaction_t *t, unsigned code);
void trp_turn_client_peer_timer(trp_turn_client_t *client,
    trp_turn_client_timer_t *timer);
void trp_turn_client_peers_free(trp_turn_client_t *client);

/* NULL if there is none; it may be resting */

trp_turn_client_peer_t *trp_turn_client_peer_find(
    const trp_turn_client_t *client, const trp_taddr_t *addr);

/* from now on it is in use; TRP_OK, TRP_AGAIN, TRP_ERROR without memory */

int trp_turn_client_peer_use(trp_turn_client_t *client,
    trp_turn_client_peer_t **peer, const trp_taddr_t *addr);

int trp_turn_client_permitted(const trp_turn_client_t *client,
    const trp_addr_t *host);


/* of trp_turn_client_data.c */

void trp_turn_client_queue_send(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer);
void trp_turn_client_queue_free(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer);

void trp_turn_client_channel_data(trp_turn_client_t *client,
    const uint8_t *p, size_t len);
void trp_turn_client_indication(trp_turn_client_t *client,
    const trp_stun_t *m);


/* of trp_turn_client_tcp.c */

void trp_turn_client_connect_put(const trp_turn_client_transaction_t *t,
    trp_stun_writer_t *w);
void trp_turn_client_connect_done(trp_turn_client_t *client,
    trp_turn_client_transaction_t *t, const trp_stun_t *m, unsigned code);
void trp_turn_client_connects_free(trp_turn_client_t *client);


#pragma GCC visibility pop


#endif /* TRP_TURN_CLIENT_PRIVATE_H_INCLUDED */
