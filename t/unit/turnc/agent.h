
/*
 * Copyright (C) the trp authors
 */


/*
 * A TURN client with what it needs: memory, a clock, and a book of what it
 * says.
 *
 *     agent_init(&a);                        change a.conf ...
 *     agent_start(&a);
 *     a.log                                  ">allocate"
 *     answer(&a, 401); ... answer_send(&a);  a server that says what we want
 *     agent_pass(&a, 500);                   half a second later
 *     agent_end(&a);                         NULL, or what was wrong
 *
 * or, with the server of turn/world.h,
 *
 *     agent_talk(&a, &w);                    all that was sent is delivered
 *
 * In the log stand messages to the server with a ">" in front, and events; it
 * begins anew with each thing that is done to the client.
 */


#ifndef AGENT_H_INCLUDED
#define AGENT_H_INCLUDED


#include "turn/world.h"

#include "turnc/trp_turnc.h"


#define AGENT_SENT      64
#define AGENT_SENT_MAX  66000


typedef struct {
    uint8_t                     *data;
    size_t                       len;
} agent_message_t;


/* what becomes of each event; a test may have its own */

typedef struct {
    trp_turnc_send_pt     send;
    void                (*allocated)(void *data);
    void                (*failed)(void *data, unsigned code);
    void                (*connected)(void *data, void *connect, uint32_t id);
    void                (*refused)(void *data, void *connect, unsigned code);
    void                (*received)(void *data, const trp_taddr_t *peer,
                                    const uint8_t *p, size_t len);
    void                (*forbidden)(void *data, const trp_taddr_t *peer,
                                     unsigned code);
} agent_handlers_t;


typedef struct {
    trp_turnc_t          *client;
    trp_turnc_conf_t      conf;
    agent_handlers_t      handlers;
    trp_memory_t          memory;
    uint8_t               seed[TRP_RANDOM_SEED_LEN];
    trp_turn_tuple_t      tuple;           /* for the server of turn/world.h */
    uint64_t              now;
    int64_t               wall;

    int                   blocks;
    unsigned              fail;            /* 1: the next block is missing */
    unsigned              nblocks;         /* asked for */

    agent_message_t       sent[AGENT_SENT];           /* not delivered yet */
    unsigned              nsent;
    trp_stun_t            m;               /* the last request */
    uint8_t               request[2304];
    uint8_t               last[AGENT_SENT_MAX];
    size_t                last_len;

    unsigned              code;            /* of "failed", 0: has not */
    unsigned              allocated;
    unsigned              received;
    uint32_t              connection;
    char                  log[1024];
    const char           *wrong;

    /* a server that says what it is told to */
    const char           *user;            /* NAME:PASSWORD */
    const char           *realm;
    trp_stun_writer_t     answer;
    uint8_t               answer_buf[4096];
} agent_t;


/* the first complaint counts */

void agent_wrong(agent_t *a, const char *what);


/* "9.9.9.9:80", until the next call */

const char *taddr_text(const trp_taddr_t *addr);


/*
 * The client begins: agent_init() for a->conf, then agent_start(), which is
 * agent_create() and trp_turnc_start().  agent_create() returns TRP_OK, or
 * TRP_ERROR without memory.
 */

void agent_init(agent_t *a);
int agent_create(agent_t *a);
void agent_start(agent_t *a);


/* destroys the client; NULL, or the first that was wrong */

const char *agent_end(agent_t *a);


/* the log begins anew */

void agent_begin(agent_t *a);


/*
 * Time goes by, in milliseconds, with a stop at each timer.  agent_pass()
 * begins the log anew; agent_tick() is one call of trp_turnc_expire().
 */

void agent_tick(agent_t *a);
void agent_run(agent_t *a, uint64_t ms);
void agent_pass(agent_t *a, uint64_t ms);


/* what its user does; "name" comes back with what becomes of a connection */

int agent_send(agent_t *a, const char *peer, const char *data);
void agent_release(agent_t *a, const char *peer);
int agent_connect(agent_t *a, const char *peer, const char *name);


/* all events are handled; what follows does that by itself */

void agent_events(agent_t *a);


/* bytes from the server */

int agent_input(agent_t *a, const uint8_t *p, size_t len);


/* handlers, for those that a test puts its own in front of */

void agent_on_send(void *data, const uint8_t *p, size_t len);
void agent_on_allocated(void *data);
void agent_on_failed(void *data, unsigned code);
void agent_on_refused(void *data, void *connect, unsigned code);
void agent_on_received(void *data, const trp_taddr_t *peer, const uint8_t *p,
    size_t len);


/* the next answer is to the last message of this kind that was sent */

void agent_choose(agent_t *a, unsigned method);


/* what was sent and not delivered is lost */

void agent_lose(agent_t *a);


/*
 * An answer to the last request: answer(), put attributes, answer_sign() as
 * the request was, answer_send().
 */

trp_stun_writer_t *answer(agent_t *a, unsigned code);
void answer_sign(agent_t *a);
void answer_send(agent_t *a);


/* an answer with nothing in it but its code */

void answer_code(agent_t *a, unsigned code);


/* 401 or 438; without a list as RFC 5389 has it */

void answer_challenge(agent_t *a, unsigned code, const char *nonce,
    const void *list, size_t len);


void answer_allocate(agent_t *a, const char *relayed, uint32_t lifetime);


/* agent_start() and answers, until there is an allocation */

void agent_allocate(agent_t *a, uint32_t lifetime);


/* what the server of turn/world.h has for this client */

void agent_fetch(agent_t *a, world_t *w);


/* with that server, until neither has anything to send */

void agent_talk(agent_t *a, world_t *w);


#endif /* AGENT_H_INCLUDED */
