
/*
 * Copyright (C) the trp authors
 */


/*
 * A TURN server with a small world around it: ports, reservations, memory,
 * and clients that know how to ask.
 *
 *     world_init(&w);                        change w.conf ...
 *     world_start(&w);
 *     client_init(&c, "192.0.2.1:4000", "alice:secret");
 *     allocate(&w, &c);                      the code of the answer
 *     permit(&w, &c, "9.9.9.9");
 *     w.log                                  "reply", "bind reply", ...
 *     world_pass(&w, 1000);                  a second later
 *     world_end(&w);                         NULL, or what was wrong
 *
 * It keeps a book of its own of permissions and channels, and looks at each
 * command whether it should be there: w.wrong is the first that should not.
 */


#ifndef WORLD_H_INCLUDED
#define WORLD_H_INCLUDED


#include <stddef.h>
#include <stdint.h>

#include "base/trp_addr.h"
#include "turn/trp_turn.h"


#define WORLD_REALM     "example.org"
#define WORLD_EVENTS    16
#define WORLD_TOKENS    64
#define WORLD_STREAMS   600
#define WORLD_TIME      1700000000


/* the book of one allocation */

typedef struct {
    trp_taddr_t             peer;      /* of a permission without a port */
    uint16_t                number;    /* of a channel */
    uint64_t                until;
} entry_t;


typedef struct relay_s  relay_t;

struct relay_s {
    relay_t                *next;
    trp_turn_alloc_t       *alloc;
    uint16_t                port;
    uint8_t                 families;
    uint8_t                 protocol;
    unsigned                ended;     /* TRP_TURN_END was there */
    unsigned                npermissions;
    unsigned                nchannels;
    entry_t                 permissions[600];
    entry_t                 channels[600];
};


/* a command that was carried out */

typedef struct {
    trp_turn_command_e      type;
    trp_turn_tuple_t        to;
    trp_taddr_t             peer;
    trp_turn_alloc_t       *alloc;     /* may be gone */
    trp_turn_connection_t  *connection;
    trp_turn_free_e         why;
    uint32_t                id;
    uint16_t                port;
    unsigned                dont_fragment:1;
    const uint8_t          *data;
    size_t                  len;
} event_t;


typedef struct {
    trp_turn_t              turn;
    trp_turn_conf_t         conf;
    trp_turn_user_t         users[3];
    trp_turn_shared_t       shared;
    trp_memory_t            memory;
    uint64_t                started;

    /* memory: blocks that are out; a request that fails, 1: the next one */
    int                     blocks;
    unsigned                fail;
    unsigned                fail_every;

    uint8_t                 ports[65536 / 8];
    unsigned                nports;
    struct {
        uint16_t            port;
        uint8_t             token[TRP_TURN_TOKEN_LEN];
    } tokens[WORLD_TOKENS];

    /* how the next sockets are bound */
    unsigned                in_use;    /* so often before it goes */
    trp_turn_bound_e        bound;
    uint8_t                 families;
    unsigned                unreachable:1; /* peers, and at once */
    unsigned                show_ends:1;   /* TRP_TURN_END in the log, too */

    relay_t                *relays;
    trp_turn_connection_t  *streams[WORLD_STREAMS];
    unsigned                nstreams;

    /* the message that is being built, and what came of it */
    trp_stun_writer_t       ask;
    event_t                 events[WORLD_EVENTS];
    unsigned                nevents;
    char                    log[256];
    trp_stun_t              m;         /* the last answer */
    unsigned                code;      /* its code; 200, or 0: none */
    unsigned                is_signed; /* 0, 1 or 256, and it is right */
    char                    report[600];   /* TRP_TURN_REPORT */
    size_t                  stored;

    const trp_taddr_t      *talking;   /* the peer whose data is relayed */
    const trp_turn_tuple_t *asking;
    uint8_t                *input;     /* at the end of its block */
    size_t                  input_len;
    const char             *wrong;

    /* last, they need not be cleared */
    uint8_t                 ask_buf[66000];
    uint8_t                 store[150000];
} world_t;


typedef struct {
    trp_turn_tuple_t        tuple;
    const char             *user;      /* NAME:PASSWORD */
    unsigned                algorithm; /* 0: as if there was one only */
    unsigned                sha256:1;  /* MESSAGE-INTEGRITY-SHA256 */
    unsigned                userhash:1;
    unsigned                fingerprint:1;
    unsigned                keep_id:1; /* the next one is a retransmission */
    unsigned                protocol;  /* of the allocation */
    uint8_t                 nonce[64];
    size_t                  nonce_len;
    uint8_t                 id[TRP_STUN_ID_LEN];
} client_t;


/* addresses: "9.9.9.9:80", "[2a00::1]:80", or without a port */

trp_str_t text(const char *s);
trp_addr_t addr(const char *s);
trp_taddr_t taddr(const char *s);
int same_addr(const trp_addr_t *a, const trp_addr_t *b);
int same_taddr(const trp_taddr_t *a, const trp_taddr_t *b);
int same_tuple(const trp_turn_tuple_t *a, const trp_turn_tuple_t *b);


/* the first complaint counts */

void world_wrong(world_t *w, const char *what);


/* ports that are taken; none may be taken or given back twice */

int world_port(const world_t *w, uint16_t port);
void world_set_port(world_t *w, uint16_t port, int on);


/* what trp_turn_init() returns; before it w->conf may be changed */

void world_init(world_t *w);
int world_start(world_t *w);


/* forgets what came of the last message; carries out what there is to do */

void world_begin(world_t *w);
void world_run(world_t *w);


/* bytes come in; TRP_OK or TRP_ERROR */

int world_input(world_t *w, const trp_turn_tuple_t *from, const uint8_t *data,
    size_t len);


/* a peer has sent "data"; around it there is as much room as there must be */

void world_peer(world_t *w, trp_turn_alloc_t *alloc, const trp_taddr_t *peer,
    const void *data, size_t len);


/* time goes by, in milliseconds */

void world_pass(world_t *w, uint64_t ms);


/* shuts the server down; NULL, or the first that was wrong */

const char *world_end(world_t *w);


/* the user is NAME:PASSWORD, or NULL */

void client_init(client_t *c, const char *from, const char *user);


/* a message without anything in it, in w->ask; ask() is for a request */

trp_stun_writer_t *ask_as(world_t *w, client_t *c, trp_stun_class_e type,
    unsigned method);
trp_stun_writer_t *ask(world_t *w, client_t *c, unsigned method);
void put_peer(world_t *w, const char *peer);


/* user, realm and nonce; the integrity comes at the end */

void ask_user(world_t *w, client_t *c);
void ask_sign(world_t *w, client_t *c);


/*
 * Send what was built, as it is, or with all that authenticates it.  They
 * return the code of the answer, 0: none.
 */

unsigned ask_plain(world_t *w, client_t *c);
unsigned ask_signed(world_t *w, client_t *c);


/* an Allocate, for more attributes and ask_signed() */

trp_stun_writer_t *ask_allocate(world_t *w, client_t *c);


/* what clients say; all return the code of the answer */

unsigned hello(world_t *w, client_t *c);
unsigned allocate(world_t *w, client_t *c);
unsigned refresh(world_t *w, client_t *c, uint32_t lifetime);
unsigned permit(world_t *w, client_t *c, const char *peer);
unsigned bind_channel(world_t *w, client_t *c, unsigned number,
    const char *peer);
unsigned connect_to(world_t *w, client_t *c, const char *peer);


/* data in both directions */

void send_to(world_t *w, client_t *c, const char *peer, const char *data);
void send_channel(world_t *w, client_t *c, unsigned number, const char *data);
void from_peer(world_t *w, client_t *c, const char *peer, const char *data);

trp_turn_alloc_t *alloc_of(world_t *w, const client_t *c);


/* an attribute of the last answer as a number; -1: it is not there */

long long answer_u32(const world_t *w, trp_stun_attribute_e type);


/* an address of the last answer as text, the n-th of its type from 0 on */

const char *answer_addr(const world_t *w, trp_stun_attribute_e type,
    unsigned n);


#endif /* WORLD_H_INCLUDED */
