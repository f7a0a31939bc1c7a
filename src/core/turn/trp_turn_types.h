
/*
 * Copyright (C) the trp authors
 */


/*
 * The types of the TURN server.
 *
 *     trp_turn_server.c    messages, ends that the caller orders, time
 *     trp_turn_login.c     authentication
 *     trp_turn_alloc.c     Allocate, Refresh and the end of an allocation
 *     trp_turn_tcp.c       connections to peers (RFC 6062)
 *     trp_turn_peer.c      permissions, channels and data
 *     trp_turn_access.c    which peers may be reached
 *     trp_turn_answer.c    answers, their codes and counts
 *     trp_turn_tuple.c     the allocation of a client
 *     trp_turn_command.c   what is to be done
 */


#ifndef TRP_TURN_TYPES_H_INCLUDED
#define TRP_TURN_TYPES_H_INCLUDED


#include "base/trp_addr.h"
#include "base/trp_budget.h"
#include "base/trp_hash.h"
#include "base/trp_heap.h"
#include "base/trp_memory.h"
#include "base/trp_random.h"
#include "stun/trp_stun.h"
#include "turn/trp_turn_access.h"
#include "stun/trp_turn_auth.h"


#pragma GCC visibility push(hidden)


/* RFC 8656, sections 9 and 12; milliseconds */

#define TRP_TURN_PERMISSION_TIME   300000
#define TRP_TURN_CHANNEL_TIME      600000
#define TRP_TURN_CHANNEL_REST_TIME 300000  /* before a new binding */
#define TRP_TURN_RESERVATION_TIME   30000

/* RFC 6062, sections 5.2 to 5.4 */

#define TRP_TURN_CONNECT_TIME       30000
#define TRP_TURN_BIND_TIME          30000

/* families as bits: those of REQUESTED-ADDRESS-FAMILY */

#define TRP_TURN_V4                1
#define TRP_TURN_V6                2

#define trp_turn_family(addr)      ((addr)->family == 4 ? TRP_TURN_V4         \
                                                        : TRP_TURN_V6)

#define TRP_TURN_CHANNEL_MIN       0x4000
#define TRP_TURN_CHANNEL_MAX       0x7fff  /* see trp_stun_is_channel() */

/* at a time, for one allocation */

#define TRP_TURN_MAX_PERMISSIONS      512
#define TRP_TURN_MAX_CHANNELS         512
#define TRP_TURN_MAX_CONNECTIONS      512

/* of a server that does not share its connections with others */

#define TRP_TURN_NO_SLOT             1023

/* room needed before and after data from peers */

#define TRP_TURN_HEADROOM              48
#define TRP_TURN_TAILROOM               3

#define TRP_TURN_TOKEN_LEN              8
#define TRP_TURN_ANSWER_MAX          1536

/* for the counters: any other code is counted as 0 */

#define TRP_TURN_NMETHODS               8
#define TRP_TURN_NCODES                18

#define TRP_TURN_NPEERS                 4  /* remembered for the log */

/*
 * How many commands may wait at a time, besides the ends of allocations and of
 * connections, which wait in lists.  An input leads to two of them at most: a
 * line for the log or an address that is given up; and an answer, data or a
 * question.  There is no other input before both are carried out, but the
 * caller may answer the last one, in hand, which leads to one more.  A fifth
 * one would be lost, as a datagram may be: the client asks again.
 */

#define TRP_TURN_COMMANDS               4


/* RFC 8656's 5-tuple; unused bytes are zero */

typedef struct {
    trp_taddr_t              client;
    trp_taddr_t              server;
    uint8_t                  transport;    /* trp_transport_e */
} trp_turn_tuple_t;


/* writes the key of a tuple for a hash; returns its length */

#define TRP_TURN_TUPLE_MAX  (2 * TRP_TADDR_PACKED_MAX + 1)

size_t trp_turn_tuple_pack(uint8_t *buf, const trp_turn_tuple_t *tuple);


typedef struct {
    trp_turn_credentials_t   credentials;
    trp_turn_access_t        access;
    trp_addr_t               external[2];  /* IPv4, IPv6; family 0: unset */
    const trp_addr_t        *own;          /* of all servers */
    size_t                   nown;
    uint16_t                 first_port;
    uint16_t                 last_port;
    uint32_t                 lifetime;     /* seconds */
    uint32_t                 max_lifetime;
    uint32_t                 stranger_rate;    /* answers per second, 0: any */
    uint32_t                 stranger_burst;   /* at once */
    uint64_t                 rate;         /* bytes per second, 0: any */
    trp_str_t                software;     /* empty: none */
    unsigned                 tcp:1;        /* RFC 6062 */

    /* the time in a user's name counts for all requests, not just Allocate */
    unsigned                 check_expiry:1;
} trp_turn_conf_t;


typedef struct trp_turn_s             trp_turn_t;
typedef struct trp_turn_alloc_s       trp_turn_alloc_t;
typedef struct trp_turn_connection_s  trp_turn_connection_t;


typedef enum {
    TRP_TURN_FREE_EXPIRED = 0,
    TRP_TURN_FREE_DELETED,             /* by the client */
    TRP_TURN_FREE_CLIENT_GONE,         /* its connection has ended */
    TRP_TURN_FREE_ACCOUNT_REMOVED,
    TRP_TURN_FREE_SHUTDOWN,
    TRP_TURN_FREE_FAILED               /* its socket has failed */
} trp_turn_free_e;


typedef enum {

    /* "data" to the client "to", or of "alloc" if that is set */
    TRP_TURN_REPLY = 0,
    TRP_TURN_TO_CLIENT,

    /* "data" to "peer" from the relayed address of that family */
    TRP_TURN_TO_PEER,

    /*
     * bind "port" for the families of "alloc", and report the result with
     * trp_turn_bound(), before anything else
     */
    TRP_TURN_BIND,

    /*
     * "alloc" has ended, see its "why": give up its relayed addresses, its
     * port and its share of quotas.  The answer that says so comes later, as
     * the client may then ask for another allocation.
     */
    TRP_TURN_END,

    /*
     * the last one for "alloc": drop all references to it and to its
     * connections, then call trp_turn_release()
     */
    TRP_TURN_FREE,

    /* the relayed address of the family of "peer" is given up */
    TRP_TURN_UNBIND,

    /* RFC 6062: connect to "peer" from the relayed address; "connection" */
    TRP_TURN_CONNECT,

    /*
     * RFC 6062: ConnectionBind of connection "id" from "to", by the user in
     * "data"; turn->request says how to answer.
     */
    TRP_TURN_ATTACH,

    /* "connection" has ended: close it, then trp_turn_connection_release() */
    TRP_TURN_DISCONNECT,

    /*
     * for the log: "why" the client "to", or its user in "data", was refused;
     * "alloc" if a peer was
     */
    TRP_TURN_REPORT
} trp_turn_command_e;


typedef enum {
    TRP_TURN_UNKNOWN_USER = 0,         /* no such name; empty: a hash */
    TRP_TURN_EXPIRED_USER,             /* its time has passed */
    TRP_TURN_WRONG_PASSWORD,
    TRP_TURN_PEER_DENIED               /* "peer" */
} trp_turn_report_e;


typedef struct {
    trp_turn_command_e       type;
    trp_turn_alloc_t        *alloc;
    trp_turn_connection_t   *connection;
    const trp_turn_tuple_t  *to;
    const uint8_t           *data;
    size_t                   len;
    size_t                   payload;      /* bytes of a peer in "data" */
    trp_taddr_t              peer;
    uint32_t                 id;           /* of a connection */
    uint16_t                 port;
    uint8_t                  why;          /* trp_turn_report_e */
    unsigned                 dont_fragment:1;
    unsigned                 own:1;        /* "peer" may be an allocation */
} trp_turn_command_t;


typedef enum {
    TRP_TURN_BOUND = 0,
    TRP_TURN_PORT_IN_USE,              /* try another one */
    TRP_TURN_QUOTA,                    /* 486 */
    TRP_TURN_NO_CAPACITY               /* 508 */
} trp_turn_bound_e;


/* the client and the request, for an answer that is sent later */

typedef struct {
    uint16_t                 method;
    uint8_t                  id[TRP_STUN_ID_LEN];
    trp_turn_key_t           key;
    unsigned                 signed_sha1:1;
    unsigned                 signed_sha256:1;
    unsigned                 fingerprint:1;
} trp_turn_request_t;


/* what a trp_timer_t belongs to */

typedef enum {
    TRP_TURN_TIMER_ALLOC = 0,
    TRP_TURN_TIMER_PERMISSION,
    TRP_TURN_TIMER_CHANNEL,
    TRP_TURN_TIMER_CONNECTION
} trp_turn_timer_e;


struct trp_turn_connection_s {
    trp_hash_node_t          node;         /* by id, of the server */
    trp_timer_t              timer;
    uint8_t                  state;
    trp_turn_alloc_t        *alloc;
    trp_turn_connection_t   *next;         /* in a list */
    uint32_t                 id;
    trp_taddr_t              peer;
    trp_turn_request_t       request;      /* Connect */
    void                    *data;         /* the caller's */
};


typedef struct {
    uint64_t                 bytes;
    uint64_t                 packets;
} trp_turn_traffic_t;


/*
 * One block of memory for an allocation, with its user's name at the end: a
 * server has very many of them.  The fields are what was requested and what
 * was granted, the tables of its peers, what it has relayed, and its place
 * among other allocations; all of them live equally long.
 */

struct trp_turn_alloc_s {
    trp_hash_node_t          node;
    trp_timer_t              timer;
    uint8_t                  protocol;     /* trp_proto_e */
    uint8_t                  families;     /* TRP_TURN_V4, TRP_TURN_V6 */
    uint8_t                  why;          /* trp_turn_free_e */
    unsigned                 failed_v6:1;  /* the additional family */
    unsigned                 even:1;       /* EVEN-PORT */
    unsigned                 reserve:1;    /* and the next port */
    unsigned                 over:1;       /* waits to be released */
    trp_turn_alloc_t        *next_over;
    trp_turn_t              *turn;
    trp_turn_tuple_t         tuple;
    trp_taddr_t              relayed[2];   /* IPv4, IPv6 */
    uint16_t                 port;
    uint8_t                  token[TRP_TURN_TOKEN_LEN];
    uint8_t                  id[TRP_STUN_ID_LEN];    /* of the Allocate */
    uint32_t                 lifetime;     /* as granted first; seconds */
    trp_turn_key_t           key;          /* of the Allocate */
    trp_hash_t               permissions;
    trp_hash_t               numbers;      /* channels */
    trp_hash_t               peers;        /* the same channels */
    trp_turn_connection_t   *connections;
    unsigned                 nconnections;
    trp_turn_traffic_t       up;           /* to peers */
    trp_turn_traffic_t       down;
    trp_turn_traffic_t       dropped;
    trp_rate_t               up_rate;
    trp_rate_t               down_rate;
    trp_taddr_t              seen[TRP_TURN_NPEERS];  /* peers */
    unsigned                 nseen;
    uint64_t                 created;
    trp_str_t                username;
    void                    *data;         /* the caller's */
    uint8_t                  text[];       /* the user's name */
};


/* counts since the start, except for those marked "now" */

typedef struct {
    uint64_t                 allocations;  /* now */
    uint64_t                 permissions;  /* now */
    uint64_t                 channels;     /* now */
    uint64_t                 connections;  /* now */
    uint64_t                 total_allocations;
    trp_turn_traffic_t       relayed;      /* both ways */
    trp_turn_traffic_t       dropped;
    uint64_t                 denied;       /* peers */
    uint64_t                 silenced;     /* strangers over their budget */
    uint64_t                 unauthenticated;  /* with wrong credentials */
    uint64_t                 refused;      /* Allocate of authentic users */
    uint64_t                 responses[TRP_TURN_NMETHODS][TRP_TURN_NCODES];
} trp_turn_stats_t;


/*
 * What several servers share.  "ports" is a map of the ports that are taken
 * by allocations or reservations, 1 bit each; "udp" and "tcp" are those that
 * allocations of the protocol are bound to.  Others change them at any time.
 * reserve() keeps a port under a token (RFC 8656, section 7), and redeem()
 * returns it, once: the port, or 0.
 */

typedef struct {
    volatile const uint8_t  *ports;
    volatile const uint8_t  *udp;
    volatile const uint8_t  *tcp;
    int                    (*reserve)(void *data, uint16_t port,
                                      const uint8_t *token);
    uint16_t               (*redeem)(void *data, const uint8_t *token);
    void                    *data;
} trp_turn_shared_t;


struct trp_turn_s {
    uint64_t                 now;
    int64_t                  time;

    const trp_turn_conf_t   *conf;
    trp_turn_shared_t        shared;
    trp_memory_t             memory;
    trp_random_t             random;
    unsigned                 features;     /* of nonces, by "conf" */
    uint16_t                 slot;         /* in the ids of connections */
    uint8_t                  nonce_key[TRP_TURN_NONCE_KEY_LEN];
    uint8_t                  hash_key[TRP_HASH_KEY_LEN];

    trp_hash_t               allocs;
    trp_turn_alloc_t        *last;         /* the one found last */
    trp_hash_t               connections;
    trp_heap_t               timers;
    trp_turn_stats_t         stats;
    trp_budget_t            *strangers;
    trp_budget_t            *known;        /* sources */

    /* of the request that is being handled */
    trp_turn_request_t       request;
    trp_turn_tuple_t         from;
    trp_str_t                username;
    uint32_t                 tries;        /* of ports */

    /* commands: see trp_turn_next() */
    trp_turn_alloc_t        *ended;        /* TRP_TURN_END is to come */
    trp_turn_alloc_t        *over;         /* TRP_TURN_FREE */
    trp_turn_connection_t   *closed;       /* TRP_TURN_DISCONNECT */
    trp_turn_command_t       end;          /* one of these */
    trp_turn_command_t       commands[TRP_TURN_COMMANDS + 1];
    unsigned                 first;
    unsigned                 ncommands;
    unsigned                 in_hand:1;    /* the first of them */

    uint8_t                  answer[TRP_TURN_ANSWER_MAX];
};


#pragma GCC visibility pop


#endif /* TRP_TURN_TYPES_H_INCLUDED */
