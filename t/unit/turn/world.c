
/*
 * Copyright (C) the trp authors
 */


/*
 * The world around a TURN server under test, and the book of what its
 * allocations may do.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turn/world.h"


void
world_wrong(world_t *w, const char *what)
{
    if (w->wrong == NULL) {
        w->wrong = what;
    }
}


trp_str_t
text(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


trp_addr_t
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


trp_taddr_t
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


int
same_addr(const trp_addr_t *a, const trp_addr_t *b)
{
    return a->family == b->family
           && memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}


int
same_taddr(const trp_taddr_t *a, const trp_taddr_t *b)
{
    return a->port == b->port && same_addr(&a->addr, &b->addr);
}


int
same_tuple(const trp_turn_tuple_t *a, const trp_turn_tuple_t *b)
{
    return a->transport == b->transport && same_taddr(&a->client, &b->client)
           && same_taddr(&a->server, &b->server);
}


/* memory, each block without a byte to spare */

static void *
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


static void
world_put(void *data, void *p)
{
    world_t  *w = data;

    if (p == NULL) {
        world_wrong(w, "NULL is given back");
    }

    w->blocks--;
    free(p);
}


int
world_port(const world_t *w, uint16_t port)
{
    return (w->ports[port / 8] >> (port % 8)) & 1;
}


void
world_set_port(world_t *w, uint16_t port, int on)
{
    if (world_port(w, port) == on) {
        world_wrong(w, "a port is taken or given back twice");
        return;
    }

    w->ports[port / 8] ^= (uint8_t) (1 << (port % 8));
    w->nports += on ? 1 : -1;
}


static int
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


static uint16_t
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


void
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


int
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


static relay_t *
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


static entry_t *
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


static entry_t *
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


static void
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


static void
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

static void
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

static int
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

static int
world_is_own(const world_t *w, const trp_taddr_t *peer)
{
    return same_addr(&peer->addr, &w->conf.external[peer->addr.family == 6])
           && w->conf.access.nrules == 0 && !world_port(w, peer->port);
}


static void
world_check_to_peer(world_t *w, const trp_turn_command_t *c)
{
    relay_t     *relay;
    entry_t     *e;
    trp_taddr_t  host;

    relay = world_relay(w, c->alloc);

    if (relay == NULL || relay->protocol != TRP_PROTO_UDP) {
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


static void
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

    if (c->alloc->tuple.transport != TRP_TRANSPORT_UDP
        && trp_stun_frame(c->data, c->len) != (int) c->len)
    {
        world_wrong(w, "a stream would lose its place");
    }

    if (c->data[0] >= 0x40) {
        e = book_number(relay->channels, relay->nchannels,
                        trp_read16(c->data));

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


static void
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

        /* a reason for authenticated clients, and for no others */

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


static void
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


static void
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


static void
world_end_of(world_t *w, const trp_turn_alloc_t *alloc)
{
    relay_t  *relay;

    relay = world_relay(w, alloc);

    if (relay == NULL || relay->ended) {
        world_wrong(w, "an allocation ends that is none");
        return;
    }

    relay->ended = 1;
    world_set_port(w, relay->port, 0);
}


static void
world_free(world_t *w, trp_turn_alloc_t *alloc)
{
    relay_t  **p, *relay;

    for (p = &w->relays; *p; p = &(*p)->next) {
        relay = *p;

        if (relay->alloc == alloc) {

            if (!relay->ended) {
                world_wrong(w, "an allocation is let go of before its end");
            }

            world_stream_gone(w, NULL, alloc);
            *p = relay->next;
            free(relay);

            trp_turn_release(&w->turn, alloc);
            return;
        }
    }

    world_wrong(w, "an allocation is let go of that is none");
}


/* one of two families goes, and all that belongs to it */

static void
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

static void
world_report(world_t *w, const trp_turn_command_t *c)
{
    static const char  *reasons[] = {
        "unknown", "expired", "password", "denied"
    };

    if (w->report[0]) {
        world_wrong(w, "two reports");
    }

    if ((c->alloc != NULL) != (c->why == TRP_TURN_PEER_DENIED)) {
        world_wrong(w, "a peer is denied to an allocation, and only a peer");
    }

    snprintf(w->report, sizeof(w->report), "%s %.*s %u", reasons[c->why],
             (int) c->len, c->data ? (const char *) c->data : "",
             c->peer.port);
}


static event_t *
world_event(world_t *w, const trp_turn_command_t *c)
{
    size_t       n;
    event_t     *e;
    const char  *name;

    static const char  *names[] = {
        "reply", "to-client", "to-peer", "bind", "end", "free", "unbind",
        "connect", "attach", "disconnect"
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


static void
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


void
world_run(world_t *w)
{
    event_t                   *e;
    const trp_turn_command_t  *next;
    trp_turn_command_t         c;

    while (trp_turn_next(&w->turn, &next) == TRP_OK) {
        c = *next;

        if (c.type == TRP_TURN_REPORT) {
            world_report(w, &c);
            continue;
        }

        if (c.type == TRP_TURN_END && !w->show_ends) {
            world_end_of(w, c.alloc);
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

        case TRP_TURN_END:
            world_end_of(w, c.alloc);
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

            if (w->unreachable) {
                trp_turn_connected(&w->turn, c.connection, 0);
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


void
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


int
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


void
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


const char *
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


void
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
