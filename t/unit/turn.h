
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


#ifndef TURN_H_INCLUDED
#define TURN_H_INCLUDED


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

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


static inline void
world_wrong(world_t *w, const char *what)
{
    if (w->wrong == NULL) {
        w->wrong = what;
    }
}


static inline trp_str_t
text(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


static inline trp_addr_t
addr(const char *s)
{
    trp_addr_t  a;

    memset(&a, 0, sizeof(a));

    if (trp_addr_parse(&a, text(s)) != TRP_OK) {
        fprintf(stderr, "no address: %s\n", s);
        abort();
    }

    return a;
}


/* "9.9.9.9:80", "[2a00::1]:80", or without a port */

static inline trp_taddr_t
taddr(const char *s)
{
    char         copy[64];
    char        *p;
    trp_taddr_t  t;

    memset(&t, 0, sizeof(t));

    snprintf(copy, sizeof(copy), "%s", s);
    p = strrchr(copy, ':');

    if (copy[0] == '[') {
        p = strchr(copy, ']');
        *p++ = '\0';
        t.addr = addr(copy + 1);
        t.port = (*p == ':') ? (uint16_t) atoi(p + 1) : 0;

    } else if (p && p == strchr(copy, ':')) {
        *p++ = '\0';
        t.addr = addr(copy);
        t.port = (uint16_t) atoi(p);

    } else {
        t.addr = addr(copy);
    }

    return t;
}


static inline int
same_addr(const trp_addr_t *a, const trp_addr_t *b)
{
    return a->family == b->family
           && memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}


static inline int
same_taddr(const trp_taddr_t *a, const trp_taddr_t *b)
{
    return a->port == b->port && same_addr(&a->addr, &b->addr);
}


static inline int
same_tuple(const trp_turn_tuple_t *a, const trp_turn_tuple_t *b)
{
    return a->transport == b->transport && same_taddr(&a->client, &b->client)
           && same_taddr(&a->server, &b->server);
}


/* memory, each block without a byte to spare */

static inline void *
world_get(void *data, size_t size)
{
    void     *p;
    world_t  *w = data;

    if (w->fail && --w->fail == 0) {
        w->fail = w->fail_every;
        return NULL;
    }

    p = malloc(size);

    if (p) {
        memset(p, 0xa5, size);
        w->blocks++;
    }

    return p;
}


static inline void
world_put(void *data, void *p)
{
    world_t  *w = data;

    if (p == NULL) {
        world_wrong(w, "NULL is given back");
    }

    w->blocks--;
    free(p);
}


static inline int
world_port(const world_t *w, uint16_t port)
{
    return (w->ports[port / 8] >> (port % 8)) & 1;
}


static inline void
world_set_port(world_t *w, uint16_t port, int on)
{
    if (world_port(w, port) == on) {
        world_wrong(w, "a port is taken or given back twice");
        return;
    }

    w->ports[port / 8] ^= (uint8_t) (1 << (port % 8));
    w->nports += on ? 1 : -1;
}


static inline int
world_reserve(void *data, uint16_t port, const uint8_t *token)
{
    unsigned  i;
    world_t  *w = data;

    for (i = 0; i < WORLD_TOKENS; i++) {

        if (w->tokens[i].port == 0) {
            w->tokens[i].port = port;
            memcpy(w->tokens[i].token, token, TRP_TURN_TOKEN_LEN);
            world_set_port(w, port, 1);
            return TRP_OK;
        }
    }

    return TRP_DECLINED;
}


static inline uint16_t
world_redeem(void *data, const uint8_t *token)
{
    unsigned  i;
    uint16_t  port;
    world_t  *w = data;

    for (i = 0; i < WORLD_TOKENS; i++) {
        port = w->tokens[i].port;

        if (port
            && memcmp(w->tokens[i].token, token, TRP_TURN_TOKEN_LEN) == 0)
        {
            w->tokens[i].port = 0;
            world_set_port(w, port, 0);
            return port;
        }
    }

    return 0;
}


static inline void
world_init(world_t *w)
{
    memset(w, 0, offsetof(world_t, ask_buf));

    w->conf.credentials.realm = text(WORLD_REALM);
    w->conf.credentials.users = w->users;
    w->conf.credentials.nusers = 3;

    trp_turn_user_parse(&w->users[0], text("alice:secret"),
                        text(WORLD_REALM));
    trp_turn_user_parse(&w->users[1], text("bob:hidden"), text(WORLD_REALM));
    trp_turn_user_parse(&w->users[2], text("carol:quiet"), text(WORLD_REALM));

    w->conf.external[0] = addr("8.8.4.4");
    w->conf.external[1] = addr("2a00:1450::8");
    w->conf.first_port = 50000;
    w->conf.last_port = 50099;
    w->conf.lifetime = 600;
    w->conf.max_lifetime = 3600;
    w->conf.tcp = 1;

    w->families = TRP_TURN_V4 | TRP_TURN_V6;

    w->shared.ports = w->ports;
    w->shared.udp = w->ports;
    w->shared.tcp = w->ports;
    w->shared.reserve = world_reserve;
    w->shared.redeem = world_redeem;
    w->shared.data = w;

    w->memory.get = world_get;
    w->memory.put = world_put;
    w->memory.data = w;
}


static inline int
world_start(world_t *w)
{
    int             rc;

    static uint8_t  key[TRP_TURN_NONCE_KEY_LEN] = { 1, 2, 3 };
    static uint8_t  seed[TRP_RANDOM_SEED_LEN] = { 4, 5, 6 };

    memset(&w->turn, 0xee, sizeof(w->turn));

    rc = trp_turn_init(&w->turn, &w->conf, &w->shared, &w->memory, key, seed,
                       7);

    w->started = 5000000;
    w->turn.now = w->started;
    w->turn.time = WORLD_TIME;

    return rc;
}


static inline relay_t *
world_relay(const world_t *w, const trp_turn_alloc_t *alloc)
{
    relay_t  *relay;

    for (relay = w->relays; relay; relay = relay->next) {
        if (relay->alloc == alloc) {
            break;
        }
    }

    return relay;
}


static inline entry_t *
book_peer(entry_t *entries, unsigned n, const trp_taddr_t *peer)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (same_taddr(&entries[i].peer, peer)) {
            return &entries[i];
        }
    }

    return NULL;
}


static inline entry_t *
book_number(entry_t *entries, unsigned n, unsigned number)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (entries[i].number == number) {
            return &entries[i];
        }
    }

    return NULL;
}


static inline void
book_permission(world_t *w, relay_t *relay, trp_taddr_t peer)
{
    entry_t  *e;

    peer.port = 0;
    e = book_peer(relay->permissions, relay->npermissions, &peer);

    if (e == NULL) {
        if (relay->npermissions == 600) {
            world_wrong(w, "too many permissions");
            return;
        }

        e = &relay->permissions[relay->npermissions++];
        e->peer = peer;
    }

    e->until = w->turn.now + 300000;
}


static inline void
book_channel(world_t *w, relay_t *relay, trp_taddr_t peer, unsigned number)
{
    entry_t  *e, *other;

    e = book_number(relay->channels, relay->nchannels, number);
    other = book_peer(relay->channels, relay->nchannels, &peer);

    /* a pair stays together for 600 and then 300 seconds */

    if ((e && e->until + 300000 > w->turn.now && e != other)
        || (other && other->until + 300000 > w->turn.now && e != other))
    {
        world_wrong(w, "a channel is bound anew");
    }

    if (other && other != e) {
        *other = relay->channels[--relay->nchannels];
        e = book_number(relay->channels, relay->nchannels, number);
    }

    if (e == NULL) {
        if (relay->nchannels == 600) {
            world_wrong(w, "too many channels");
            return;
        }

        e = &relay->channels[relay->nchannels++];
    }

    e->peer = peer;
    e->number = (uint16_t) number;
    e->until = w->turn.now + 600000;
}


/*
 * What a message that was granted has changed.  One that had no room for all
 * (508) may have changed permissions.
 */

static inline void
book_message(world_t *w, const trp_stun_t *m)
{
    size_t             offset;
    relay_t           *relay;
    uint32_t           number;
    trp_str_t          value;
    trp_taddr_t        peer;
    trp_turn_alloc_t  *alloc;

    if (m->method != TRP_STUN_CREATE_PERMISSION
        && m->method != TRP_STUN_CHANNEL_BIND)
    {
        return;
    }

    alloc = trp_turn_find(&w->turn, w->asking);
    relay = alloc ? world_relay(w, alloc) : NULL;

    if (relay == NULL) {
        world_wrong(w, "granted without an allocation");
        return;
    }

    offset = 0;

    while (trp_stun_each(m, TRP_STUN_XOR_PEER_ADDRESS, &offset, &value)
           == TRP_OK)
    {
        if (trp_stun_addr(m, value, &peer) != TRP_OK) {
            world_wrong(w, "granted for no address");
            return;
        }

        book_permission(w, relay, peer);

        if (m->method == TRP_STUN_CHANNEL_BIND && w->code == 200) {

            if (trp_stun_get_u32(m, TRP_STUN_CHANNEL_NUMBER, &number)
                != TRP_OK)
            {
                world_wrong(w, "granted without a number");
                return;
            }

            book_channel(w, relay, peer, number >> 16);
            return;
        }
    }
}


/* no rule in the tests allows these */

static inline int
world_forbidden(const world_t *w, const trp_addr_t *a)
{
    if (w->conf.access.nrules) {
        return 0;
    }

    if (a->family == 4) {
        return a->bytes[0] == 0 || a->bytes[0] == 10 || a->bytes[0] == 127
               || a->bytes[0] >= 224
               || (a->bytes[0] == 192 && a->bytes[1] == 168);
    }

    return a->bytes[0] == 0 || a->bytes[0] >= 0xfc;
}


/* this machine, and not an allocation of it */

static inline int
world_is_own(const world_t *w, const trp_taddr_t *peer)
{
    return same_addr(&peer->addr, &w->conf.external[peer->addr.family == 6])
           && w->conf.access.nrules == 0 && !world_port(w, peer->port);
}


static inline void
world_check_to_peer(world_t *w, const trp_turn_command_t *c)
{
    relay_t     *relay;
    entry_t     *e;
    trp_taddr_t  host;

    relay = world_relay(w, c->alloc);

    if (relay == NULL || relay->protocol != TRP_TURN_PROTOCOL_UDP) {
        world_wrong(w, "data to a peer without an allocation");
        return;
    }

    if (!(relay->families & (c->peer.addr.family == 4 ? 1 : 2))) {
        world_wrong(w, "data to a peer of the other family");
    }

    if (c->peer.port == 0) {
        world_wrong(w, "data to port 0");
    }

    if (world_forbidden(w, &c->peer.addr)) {
        world_wrong(w, "data to a forbidden peer");
    }

    if (world_is_own(w, &c->peer)) {
        world_wrong(w, "data to a port of this machine");
    }

    host = c->peer;
    host.port = 0;
    e = book_peer(relay->permissions, relay->npermissions, &host);

    if (e && e->until > w->turn.now) {
        return;
    }

    e = book_peer(relay->channels, relay->nchannels, &c->peer);

    if (e == NULL || e->until <= w->turn.now) {
        world_wrong(w, "data to a peer without a permission");
    }
}


static inline void
world_check_to_client(world_t *w, const trp_turn_command_t *c)
{
    relay_t     *relay;
    entry_t     *e;
    trp_stun_t   m;
    trp_taddr_t  peer;

    relay = world_relay(w, c->alloc);

    if (relay == NULL || c->to != &c->alloc->tuple || w->talking == NULL) {
        world_wrong(w, "data to a client without an allocation");
        return;
    }

    peer = *w->talking;
    peer.port = 0;
    e = book_peer(relay->permissions, relay->npermissions, &peer);

    if (e == NULL || e->until <= w->turn.now) {
        world_wrong(w, "data from a peer without a permission");
    }

    if (world_is_own(w, w->talking)) {
        world_wrong(w, "data from a port of this machine");
    }

    if (c->alloc->tuple.transport != TRP_TURN_UDP
        && trp_stun_frame(c->data, c->len) != (int) c->len)
    {
        world_wrong(w, "a stream would lose its place");
    }

    if (c->data[0] >= 0x40) {
        e = book_number(relay->channels, relay->nchannels,
                        trp_stun_read16(c->data));

        if (e == NULL || e->until <= w->turn.now
            || !same_taddr(&e->peer, w->talking))
        {
            world_wrong(w, "a channel that is not bound");
        }

        return;
    }

    if (trp_stun_parse(&m, c->data, c->len) != TRP_OK
        || m.type != TRP_STUN_INDICATION
        || trp_stun_addr(&m, trp_stun_get(&m, TRP_STUN_XOR_PEER_ADDRESS),
                         &peer)
           != TRP_OK
        || !same_taddr(&peer, w->talking))
    {
        world_wrong(w, "an indication that is none");
    }
}


static inline void
world_check_reply(world_t *w, const trp_turn_command_t *c)
{
    trp_str_t          value;
    trp_turn_tuple_t  *to;

    to = c->alloc ? &c->alloc->tuple : &w->turn.from;

    if (c->to != to && !same_tuple(c->to, to)) {
        world_wrong(w, "an answer to somebody else");
    }

    if (trp_stun_parse(&w->m, w->events[w->nevents - 1].data, c->len)
        != TRP_OK)
    {
        world_wrong(w, "an answer that is no message");
        return;
    }

    if (w->m.type == TRP_STUN_SUCCESS) {
        w->code = 200;

    } else if (w->m.type == TRP_STUN_ERROR && trp_stun_error(&w->m)) {
        w->code = trp_stun_error(&w->m);

        /* a reason for who is authenticated, and for nobody else */

        value = trp_stun_get(&w->m, TRP_STUN_ERROR_CODE);

        if ((value.len > 4) != (w->m.sha1 || w->m.sha256)) {
            world_wrong(w, "a reason for a stranger, or none");
        }

    } else {
        world_wrong(w, "an answer that is neither yes nor no");
    }

    value = trp_stun_get(&w->m, TRP_STUN_NONCE);

    if ((w->code == 401 || w->code == 438)
        && (value.data == NULL
            || trp_stun_get(&w->m, TRP_STUN_REALM).data == NULL))
    {
        world_wrong(w, "a challenge without a nonce");
    }

    if ((w->code == 401 || w->code == 438 || w->m.method == TRP_STUN_BINDING)
        && (w->m.sha1 || w->m.sha256))
    {
        world_wrong(w, "an answer that is signed for somebody else");
    }
}


static inline void
world_stream_gone(world_t *w, const trp_turn_connection_t *connection,
    const trp_turn_alloc_t *alloc)
{
    unsigned  i;

    for (i = 0; i < w->nstreams; /* void */ ) {

        if (connection ? w->streams[i] == connection
                       : w->streams[i]->alloc == alloc)
        {
            w->streams[i] = w->streams[--w->nstreams];
            continue;
        }

        i++;
    }
}


static inline void
world_bind(world_t *w, const trp_turn_command_t *c)
{
    uint8_t            families;
    relay_t           *relay;
    uint16_t           port;
    trp_turn_alloc_t  *alloc;

    alloc = c->alloc;
    port = c->port;

    if (port < w->conf.first_port || port > w->conf.last_port) {
        world_wrong(w, "a port that is out of range");
    }

    if (world_port(w, port)) {
        world_wrong(w, "a port that is taken");
    }

    if (w->in_use) {
        w->in_use--;
        trp_turn_bound(&w->turn, alloc, TRP_TURN_PORT_IN_USE, 0, port);
        return;
    }

    families = alloc->families & w->families;

    if (w->bound != TRP_TURN_BOUND || families == 0) {
        trp_turn_bound(&w->turn, alloc, families ? w->bound
                                                 : TRP_TURN_NO_CAPACITY,
                       0, port);
        return;
    }

    relay = calloc(1, sizeof(relay_t));
    if (relay == NULL) {
        abort();
    }

    relay->alloc = alloc;
    relay->port = port;
    relay->families = families;
    relay->protocol = alloc->protocol;
    relay->next = w->relays;
    w->relays = relay;

    world_set_port(w, port, 1);

    trp_turn_bound(&w->turn, alloc, TRP_TURN_BOUND, families, port);
}


static inline void
world_free(world_t *w, trp_turn_alloc_t *alloc)
{
    relay_t  **p, *relay;

    for (p = &w->relays; *p; p = &(*p)->next) {
        relay = *p;

        if (relay->alloc == alloc) {
            world_set_port(w, relay->port, 0);
            world_stream_gone(w, NULL, alloc);
            *p = relay->next;
            free(relay);

            trp_turn_release(&w->turn, alloc);
            return;
        }
    }

    world_wrong(w, "an allocation ends that is none");
}


/* one of two families goes, and all that belongs to it */

static inline void
world_unbind(world_t *w, const trp_turn_command_t *c)
{
    unsigned  i, family;
    relay_t  *relay;

    relay = world_relay(w, c->alloc);
    family = (c->peer.addr.family == 4) ? TRP_TURN_V4 : TRP_TURN_V6;

    if (relay == NULL || relay->families != (TRP_TURN_V4 | TRP_TURN_V6)) {
        world_wrong(w, "a family goes that is not there, or the last");
        return;
    }

    relay->families &= (uint8_t) ~family;

    for (i = 0; i < relay->npermissions; /* void */ ) {
        if (relay->permissions[i].peer.addr.family == c->peer.addr.family) {
            relay->permissions[i] = relay->permissions[--relay->npermissions];
            continue;
        }

        i++;
    }

    for (i = 0; i < relay->nchannels; /* void */ ) {
        if (relay->channels[i].peer.addr.family == c->peer.addr.family) {
            relay->channels[i] = relay->channels[--relay->nchannels];
            continue;
        }

        i++;
    }
}


/* "why user", with the port of a peer */

static inline void
world_report(world_t *w, const trp_turn_command_t *c)
{
    static const char  *reasons[] = {
        "unknown", "expired", "password", "denied"
    };

    if (w->report[0]) {
        world_wrong(w, "two reports");
    }

    snprintf(w->report, sizeof(w->report), "%s %.*s %u", reasons[c->why],
             (int) c->len, c->data ? (const char *) c->data : "",
             c->peer.port);
}


static inline event_t *
world_event(world_t *w, const trp_turn_command_t *c)
{
    size_t       n;
    event_t     *e;
    const char  *name;

    static const char  *names[] = {
        "reply", "to-client", "to-peer", "bind", "free", "unbind", "connect",
        "attach", "disconnect"
    };

    name = names[c->type];
    n = strlen(w->log);
    snprintf(w->log + n, sizeof(w->log) - n, "%s%s", n ? " " : "", name);

    if (w->nevents == WORLD_EVENTS) {
        memmove(w->events, w->events + 1,
                (WORLD_EVENTS - 1) * sizeof(event_t));
        w->nevents--;
    }

    e = &w->events[w->nevents++];
    memset(e, 0, sizeof(event_t));

    e->type = c->type;
    e->alloc = c->alloc;
    e->connection = c->connection;
    e->peer = c->peer;
    e->id = c->id;
    e->port = c->port;
    e->dont_fragment = c->dont_fragment;
    e->len = c->len;
    e->data = w->store + w->stored;

    if (c->to) {
        e->to = *c->to;
    }

    if (c->type == TRP_TURN_FREE) {
        e->why = (trp_turn_free_e) c->alloc->why;
    }

    if (c->len > sizeof(w->store) - w->stored) {
        w->stored = 0;
        e->data = w->store;
    }

    if (c->len) {
        memcpy(w->store + w->stored, c->data, c->len);
        w->stored += c->len;
    }

    return e;
}


static inline void
world_attach(world_t *w, const trp_turn_command_t *c)
{
    uint8_t                 buf[TRP_TURN_ANSWER_MAX];
    trp_str_t               user;
    trp_turn_command_t      reply;
    trp_turn_connection_t  *connection;

    user.data = c->data;
    user.len = c->len;

    memset(&reply, 0, sizeof(reply));

    connection = trp_turn_attach(&w->turn, c->id, user);

    reply.type = TRP_TURN_REPLY;
    reply.to = &w->turn.from;
    reply.connection = connection;
    reply.data = buf;
    reply.len = trp_turn_attach_answer(&w->turn, buf, &w->turn.request, c->id,
                                       connection != NULL);

    world_event(w, &reply);
    world_check_reply(w, &reply);
}


/* carries out what there is to do */

static inline void
world_run(world_t *w)
{
    event_t                   *e;
    const trp_turn_command_t  *next;
    trp_turn_command_t         c;

    for ( ;; ) {

        if (w->turn.ncommands > sizeof(w->turn.commands)
                                / sizeof(w->turn.commands[0]))
        {
            world_wrong(w, "too many commands");
            return;
        }

        next = trp_turn_next(&w->turn);
        if (next == NULL) {
            return;
        }

        c = *next;

        if (c.type == TRP_TURN_REPORT) {
            world_report(w, &c);
            continue;
        }

        e = world_event(w, &c);

        switch (c.type) {

        case TRP_TURN_REPLY:
            world_check_reply(w, &c);
            break;

        case TRP_TURN_TO_CLIENT:
            world_check_to_client(w, &c);
            break;

        case TRP_TURN_TO_PEER:
            world_check_to_peer(w, &c);

            /* from the input, and not beyond it */

            if (c.data < w->input || c.data + c.len > w->input + w->input_len)
            {
                world_wrong(w, "data to a peer from elsewhere");
            }

            break;

        case TRP_TURN_BIND:
            world_bind(w, &c);
            break;

        case TRP_TURN_FREE:
            world_free(w, c.alloc);
            break;

        case TRP_TURN_UNBIND:
            world_unbind(w, &c);
            break;

        case TRP_TURN_CONNECT:
            w->streams[w->nstreams++ % WORLD_STREAMS] = c.connection;

            if (world_forbidden(w, &c.peer.addr)) {
                world_wrong(w, "a connection to a forbidden peer");
            }

            break;

        case TRP_TURN_ATTACH:
            world_attach(w, &c);
            break;

        default: /* TRP_TURN_DISCONNECT */
            if (c.alloc != c.connection->alloc) {
                world_wrong(w, "a connection of another allocation");
            }

            world_stream_gone(w, c.connection, NULL);
            e->id = c.connection->id;
            trp_turn_connection_release(&w->turn, c.connection);
        }
    }
}


static inline void
world_begin(world_t *w)
{
    w->nevents = 0;
    w->log[0] = '\0';
    w->code = 0;
    w->is_signed = 0;
    w->stored = 0;
    w->report[0] = '\0';
    memset(&w->m, 0, sizeof(w->m));
}


/* bytes come in; TRP_OK or TRP_ERROR */

static inline int
world_input(world_t *w, const trp_turn_tuple_t *from, const uint8_t *data,
    size_t len)
{
    int         rc;
    trp_stun_t  m;

    world_begin(w);

    w->input = malloc(len ? len : 1);
    if (w->input == NULL) {
        abort();
    }

    if (len) {
        memcpy(w->input, data, len);
    }

    w->input_len = len;
    w->asking = from;

    rc = trp_turn_input(&w->turn, from, w->input, len);

    world_run(w);

    if ((w->code == 200 || w->code == 508)
        && trp_stun_parse(&m, w->input, len) == TRP_OK
        && m.type == TRP_STUN_REQUEST)
    {
        book_message(w, &m);
    }

    free(w->input);
    w->input = NULL;
    w->asking = NULL;

    return rc;
}


/* time goes by, in milliseconds */

static inline void
world_pass(world_t *w, uint64_t ms)
{
    unsigned  n;

    world_begin(w);

    w->turn.now += ms;
    w->turn.time = WORLD_TIME + (int64_t) ((w->turn.now - w->started) / 1000);

    for (n = 0; trp_turn_expire(&w->turn); n++) {
        world_run(w);

        if (n == 100000) {
            world_wrong(w, "time stands still");
            return;
        }
    }

    if (trp_turn_deadline(&w->turn)
        && trp_turn_deadline(&w->turn) <= w->turn.now)
    {
        world_wrong(w, "something is due and not done");
    }
}


static inline const char *
world_end(world_t *w)
{
    unsigned  i;

    world_begin(w);

    while (trp_turn_shutdown(&w->turn)) {
        world_run(w);
    }

    for (i = 0; i < WORLD_TOKENS; i++) {
        if (w->tokens[i].port) {
            world_set_port(w, w->tokens[i].port, 0);
        }
    }

    trp_turn_done(&w->turn);

    if (w->turn.stats.allocations || w->turn.stats.permissions
        || w->turn.stats.channels || w->turn.stats.connections)
    {
        world_wrong(w, "counts that are not zero at the end");
    }

    if (w->nports || w->relays || w->nstreams) {
        world_wrong(w, "ports or connections that are left over");
    }

    if (w->turn.timers.top) {
        world_wrong(w, "timers that are left over");
    }

    if (w->blocks != 0) {
        world_wrong(w, "memory that is left over");
    }

    return w->wrong;
}


static inline void
client_init(client_t *c, const char *from, const char *user)
{
    memset(c, 0, sizeof(client_t));

    c->tuple.client = taddr(from);
    c->tuple.server = taddr(c->tuple.client.addr.family == 4
                            ? "8.8.4.4:3478" : "[2a00:1450::8]:3478");
    c->user = user;
    c->protocol = TRP_TURN_PROTOCOL_UDP;
}


static inline trp_str_t
client_name(const client_t *c)
{
    trp_str_t  name;

    name.data = (const uint8_t *) c->user;
    name.len = strrchr(c->user, ':') - c->user;

    return name;
}


static inline trp_str_t
client_key(const client_t *c, uint8_t *buf)
{
    trp_str_t     key, parts[5];
    trp_digest_e  type;

    type = (c->algorithm == TRP_STUN_ALGORITHM_SHA256) ? TRP_SHA256 : TRP_MD5;

    parts[0] = client_name(c);
    parts[1] = text(":");
    parts[2] = text(WORLD_REALM);
    parts[3] = text(":");
    parts[4] = text(c->user + parts[0].len + 1);

    trp_digest(type, buf, parts, 5);

    key.data = buf;
    key.len = trp_digest_len(type);

    return key;
}


/* a message without anything in it */

static inline trp_stun_writer_t *
ask_as(world_t *w, client_t *c, trp_stun_class_e type, unsigned method)
{
    unsigned  i;

    for (i = 0; !c->keep_id && i < TRP_STUN_ID_LEN; i++) {
        if (++c->id[i]) {
            break;
        }
    }

    c->keep_id = 0;

    trp_stun_begin(&w->ask, w->ask_buf, sizeof(w->ask_buf), type,
                   (uint16_t) method, c->id);

    return &w->ask;
}


static inline trp_stun_writer_t *
ask(world_t *w, client_t *c, unsigned method)
{
    return ask_as(w, c, TRP_STUN_REQUEST, method);
}


/* user, realm and nonce; the integrity comes at the end */

static inline void
ask_user(world_t *w, client_t *c)
{
    uint8_t             hash[32], list[8];
    trp_str_t           parts[3];
    trp_stun_writer_t  *a;

    a = &w->ask;
    parts[0] = client_name(c);

    if (c->userhash) {
        parts[1] = text(":");
        parts[2] = text(WORLD_REALM);
        trp_digest(TRP_SHA256, hash, parts, 3);
        trp_stun_put(a, TRP_STUN_USERHASH, hash, 32);

    } else {
        trp_stun_put(a, TRP_STUN_USERNAME, parts[0].data, parts[0].len);
    }

    trp_stun_put(a, TRP_STUN_REALM, WORLD_REALM, strlen(WORLD_REALM));
    trp_stun_put(a, TRP_STUN_NONCE, c->nonce, c->nonce_len);

    if (c->algorithm) {
        memset(list, 0, sizeof(list));
        list[1] = TRP_STUN_ALGORITHM_SHA256;
        list[5] = TRP_STUN_ALGORITHM_MD5;
        trp_stun_put(a, TRP_STUN_PASSWORD_ALGORITHMS, list, 8);
        trp_stun_put_u32(a, TRP_STUN_PASSWORD_ALGORITHM,
                         (uint32_t) c->algorithm << 16);
    }
}


static inline void
ask_sign(world_t *w, client_t *c)
{
    uint8_t    buf[TRP_DIGEST_MAX];
    trp_str_t  key;

    key = client_key(c, buf);

    if (c->sha256) {
        trp_stun_put_sha256(&w->ask, key);

    } else {
        trp_stun_put_sha1(&w->ask, key);
    }

    if (c->fingerprint) {
        trp_stun_put_fingerprint(&w->ask);
    }
}


/* sends what was built, as it is; the code of the answer, 0: none */

static inline unsigned
ask_plain(world_t *w, client_t *c)
{
    uint8_t    buf[TRP_DIGEST_MAX];
    unsigned   i, n;
    trp_str_t  key, nonce;

    world_input(w, &c->tuple, w->ask.data, w->ask.len);

    if (w->code == 0) {
        return 0;
    }

    for (i = 0, n = 0; i < w->nevents; i++) {
        n += w->events[i].type == TRP_TURN_REPLY;
    }

    if (n != 1
        || (w->code != 200
            && w->events[w->nevents - 1].type != TRP_TURN_REPLY))
    {
        world_wrong(w, "more than an answer");
    }

    if (memcmp(w->m.data + 8, c->id, TRP_STUN_ID_LEN) != 0) {
        world_wrong(w, "an answer to something else");
    }

    nonce = trp_stun_get(&w->m, TRP_STUN_NONCE);

    if (nonce.data && nonce.len <= sizeof(c->nonce)) {
        memcpy(c->nonce, nonce.data, nonce.len);
        c->nonce_len = nonce.len;
    }

    if (c->user) {
        key = client_key(c, buf);

        if (w->m.sha1 && trp_stun_check_sha1(&w->m, key) == TRP_OK) {
            w->is_signed = 1;

        } else if (w->m.sha256
                   && trp_stun_check_sha256(&w->m, key) == TRP_OK)
        {
            w->is_signed = 256;
        }
    }

    return w->code;
}


/* the same with all that authenticates it */

static inline unsigned
ask_signed(world_t *w, client_t *c)
{
    ask_user(w, c);
    ask_sign(w, c);
    ask_plain(w, c);

    if (w->code && w->code != 401 && w->code != 438 && !w->is_signed) {
        world_wrong(w, "an answer without integrity");
    }

    return w->code;
}


static inline void
put_peer(world_t *w, const char *peer)
{
    trp_taddr_t  t;

    t = taddr(peer);
    trp_stun_put_addr(&w->ask, TRP_STUN_XOR_PEER_ADDRESS, &t);
}


/* what clients say; all return the code of the answer */

static inline unsigned
hello(world_t *w, client_t *c)
{
    ask(w, c, TRP_STUN_ALLOCATE);

    return ask_plain(w, c);
}


/* an Allocate, for more attributes and ask_signed() */

static inline trp_stun_writer_t *
ask_allocate(world_t *w, client_t *c)
{
    if (c->nonce_len == 0) {
        hello(w, c);
    }

    ask(w, c, TRP_STUN_ALLOCATE);
    trp_stun_put_u32(&w->ask, TRP_STUN_REQUESTED_TRANSPORT,
                     (uint32_t) c->protocol << 24);

    return &w->ask;
}


static inline unsigned
allocate(world_t *w, client_t *c)
{
    ask_allocate(w, c);

    return ask_signed(w, c);
}


static inline unsigned
refresh(world_t *w, client_t *c, uint32_t lifetime)
{
    ask(w, c, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w->ask, TRP_STUN_LIFETIME, lifetime);

    return ask_signed(w, c);
}


static inline unsigned
permit(world_t *w, client_t *c, const char *peer)
{
    ask(w, c, TRP_STUN_CREATE_PERMISSION);
    put_peer(w, peer);

    return ask_signed(w, c);
}


static inline unsigned
bind_channel(world_t *w, client_t *c, unsigned number, const char *peer)
{
    ask(w, c, TRP_STUN_CHANNEL_BIND);
    trp_stun_put_u32(&w->ask, TRP_STUN_CHANNEL_NUMBER, number << 16);
    put_peer(w, peer);

    return ask_signed(w, c);
}


static inline unsigned
connect_to(world_t *w, client_t *c, const char *peer)
{
    ask(w, c, TRP_STUN_CONNECT);
    put_peer(w, peer);

    return ask_signed(w, c);
}


static inline void
send_to(world_t *w, client_t *c, const char *peer, const char *data)
{
    ask_as(w, c, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(w, peer);
    trp_stun_put(&w->ask, TRP_STUN_DATA_ATTRIBUTE, data, strlen(data));

    world_input(w, &c->tuple, w->ask.data, w->ask.len);
}


static inline void
send_channel(world_t *w, client_t *c, unsigned number, const char *data)
{
    size_t    len;
    uint8_t   buf[2048];

    len = strlen(data);

    memset(buf, 0, sizeof(buf));
    trp_stun_write16(buf, (uint16_t) number);
    trp_stun_write16(buf + 2, (uint16_t) len);
    memcpy(buf + 4, data, len);

    if (c->tuple.transport != TRP_TURN_UDP) {
        len = (len + 3) & ~(size_t) 3;
    }

    world_input(w, &c->tuple, buf, len + 4);
}


/* a peer has sent "data"; around it there is as much room as there must be */

static inline void
world_peer(world_t *w, trp_turn_alloc_t *alloc, const trp_taddr_t *peer,
    const void *data, size_t len)
{
    uint8_t  *buf;

    world_begin(w);

    buf = malloc(TRP_TURN_HEADROOM + len + TRP_TURN_TAILROOM);
    if (buf == NULL) {
        abort();
    }

    memset(buf, 0x5a, TRP_TURN_HEADROOM + len + TRP_TURN_TAILROOM);

    if (len) {
        memcpy(buf + TRP_TURN_HEADROOM, data, len);
    }

    w->talking = peer;

    trp_turn_peer_data(&w->turn, alloc, peer, buf + TRP_TURN_HEADROOM, len);
    world_run(w);

    w->talking = NULL;
    free(buf);
}


static inline trp_turn_alloc_t *
alloc_of(const world_t *w, const client_t *c)
{
    return trp_turn_find(&w->turn, &c->tuple);
}


static inline void
from_peer(world_t *w, client_t *c, const char *peer, const char *data)
{
    trp_taddr_t  t;

    t = taddr(peer);
    world_peer(w, alloc_of(w, c), &t, data, strlen(data));
}


/* an attribute of the last answer as a number; -1: it is not there */

static inline long long
answer_u32(const world_t *w, trp_stun_attribute_e type)
{
    uint32_t  value;

    if (w->m.data == NULL || trp_stun_get_u32(&w->m, type, &value) != TRP_OK) {
        return -1;
    }

    return value;
}


/* an address of the last answer as text, the n-th of its type from 0 on */

static inline const char *
answer_addr(const world_t *w, trp_stun_attribute_e type, unsigned n)
{
    size_t       offset, len;
    trp_str_t    value;
    trp_taddr_t  t;

    static char  buf[80];

    if (w->m.data == NULL) {
        return NULL;
    }

    offset = 0;

    do {
        if (trp_stun_each(&w->m, type, &offset, &value) != TRP_OK) {
            return NULL;
        }
    } while (n--);

    if (trp_stun_addr(&w->m, value, &t) != TRP_OK) {
        return "no address";
    }

    len = trp_addr_text((uint8_t *) buf, &t.addr);
    snprintf(buf + len, sizeof(buf) - len, " %u", t.port);

    return buf;
}


#endif /* TURN_H_INCLUDED */
