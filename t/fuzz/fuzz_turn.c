
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN server with clients that sign what they ask: the books of
 * turn/world.h are right whatever they do.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turn/world.h"


#define CLIENTS  8


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


typedef struct {
    const uint8_t  *p;
    size_t          left;
} fuzz_reader_t;


static world_t   w;
static client_t  clients[CLIENTS];


static const char  *peers[] = {
    "9.9.9.9:53", "9.9.9.9:54", "1.1.1.1:80", "[2620:fe::9]:53",
    "10.0.0.1:80", "127.0.0.1:22", "[::ffff:127.0.0.1]:1",
    "[64:ff9b::7f00:1]:1", "8.8.4.4:22", "8.8.4.4:50000", "8.8.4.4:50002",
    "0.0.0.0:0", "9.9.9.9:0", "[2a00:1450::8]:50000", "[::]:1",
    "255.255.255.255:9"
};


static unsigned
fuzz_byte(fuzz_reader_t *r)
{
    if (r->left == 0) {
        return 0;
    }

    r->left--;

    return *r->p++;
}


static const uint8_t *
fuzz_bytes(fuzz_reader_t *r, size_t *len)
{
    const uint8_t  *p;

    if (*len > r->left) {
        *len = r->left;
    }

    p = r->p;
    r->p += *len;
    r->left -= *len;

    return p;
}


static const char *
fuzz_peer(fuzz_reader_t *r)
{
    return peers[fuzz_byte(r) % (sizeof(peers) / sizeof(peers[0]))];
}


/*
 * A request with any attributes: their number, then the type, the length and
 * the value of each; a peer's address if the length is 255.
 */

static void
fuzz_request(fuzz_reader_t *r, client_t *c, unsigned flags)
{
    size_t          len;
    unsigned        n, type;
    const uint8_t  *p;

    ask_as(&w, c, (flags & 1) ? TRP_STUN_INDICATION : TRP_STUN_REQUEST,
           fuzz_byte(r) & 15);

    for (n = fuzz_byte(r) & 7; n; n--) {
        type = fuzz_byte(r);

        if (type & 0x80) {
            type = (type & 0x7f) | 0x8000;
        }

        len = fuzz_byte(r);

        if (len == 255) {
            put_peer(&w, fuzz_peer(r));
            continue;
        }

        p = fuzz_bytes(r, &len);
        trp_stun_put(&w.ask, (trp_stun_attribute_e) type, p, len);
    }

    if (flags & 2) {
        ask_user(&w, c);
        ask_sign(&w, c);

        /* and something that breaks it */

        if (flags & 4) {
            n = fuzz_byte(r) << 8;
            n |= fuzz_byte(r);
            w.ask_buf[n % w.ask.len] ^= (uint8_t) fuzz_byte(r);
            world_input(&w, &c->tuple, w.ask.data, w.ask.len);
            return;
        }
    }

    ask_plain(&w, c);
}


static void
fuzz_allocate(fuzz_reader_t *r, client_t *c)
{
    unsigned  flags;
    uint32_t  lifetime;

    flags = fuzz_byte(r);

    if ((flags & 1) && c->tuple.transport != TRP_TRANSPORT_UDP) {
        c->protocol = TRP_PROTO_TCP;

    } else {
        c->protocol = TRP_PROTO_UDP;
    }

    c->sha256 = (flags >> 1) & 1;
    c->fingerprint = (flags >> 2) & 1;

    if (flags & 8) {
        c->nonce_len = 0;
    }

    ask_allocate(&w, c);

    switch ((flags >> 4) & 7) {

    case 1:
        trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY,
                         fuzz_byte(r) << 24);
        break;

    case 2:
        trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY,
                         0x02000000);
        break;

    case 3:
        trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT,
                     fuzz_byte(r) & 1 ? "\x80" : "", 1);
        break;

    case 4:
        trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN,
                     w.tokens[fuzz_byte(r) & 3].token, 8);
        break;

    case 5:
        lifetime = fuzz_byte(r) * 100;
        trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, lifetime);
        break;

    default:
        break;
    }

    ask_signed(&w, c);
}


static void
fuzz_channel_data(fuzz_reader_t *r, client_t *c)
{
    size_t    len, says;
    uint8_t   buf[4 + 256];

    memset(buf, 'x', sizeof(buf));

    trp_write16(buf, (uint16_t) (0x4000 + (fuzz_byte(r) & 7)));
    len = fuzz_byte(r);
    says = fuzz_byte(r);
    trp_write16(buf + 2, (uint16_t) ((says & 1) ? len : says << 4));

    world_input(&w, &c->tuple, buf, 4 + len);
}


static void
fuzz_peer_data(fuzz_reader_t *r, client_t *c)
{
    size_t             len;
    uint8_t            buf[1024];
    unsigned           flags;
    trp_taddr_t        peer;
    trp_turn_alloc_t  *alloc;

    peer = taddr(fuzz_peer(r));
    flags = fuzz_byte(r);
    alloc = alloc_of(&w, c);

    if (alloc == NULL || alloc->protocol != TRP_PROTO_UDP) {
        return;
    }

    if (flags & 0x80) {
        world_begin(&w);
        w.talking = &peer;
        trp_turn_peer_icmp(&w.turn, alloc, &peer, 3, flags & 7, flags);
        world_run(&w);
        w.talking = NULL;
        return;
    }

    len = flags * 8 + (flags & 7);
    memset(buf, 'y', sizeof(buf));
    world_peer(&w, alloc, &peer, buf, len % sizeof(buf));
}


/* connections: an end, the answer to a try, ConnectionBind, a new one */

static void
fuzz_stream(fuzz_reader_t *r, client_t *c)
{
    client_t                second;
    unsigned                what, which;
    trp_taddr_t             peer;
    trp_turn_alloc_t       *alloc;
    trp_turn_connection_t  *connection;

    what = fuzz_byte(r);
    which = fuzz_byte(r);

    if ((what & 3) == 0) {
        peer = taddr(peers[which % (sizeof(peers) / sizeof(peers[0]))]);
        alloc = alloc_of(&w, c);

        if (alloc == NULL || alloc->protocol != TRP_PROTO_TCP
            || w.nstreams == WORLD_STREAMS)
        {
            return;
        }

        world_begin(&w);
        w.talking = &peer;
        connection = trp_turn_accepted(&w.turn, alloc, &peer);

        if (connection) {
            w.streams[w.nstreams++] = connection;
        }

        world_run(&w);
        w.talking = NULL;
        return;
    }

    if (w.nstreams == 0) {
        return;
    }

    connection = w.streams[which % w.nstreams];

    switch (what & 3) {

    case 1:

        /* only what is being connected has an answer */

        if (connection->state == 0) {
            world_begin(&w);
            trp_turn_connected(&w.turn, connection, what & 4);
            world_run(&w);
        }

        break;

    case 2:
        second = *c;
        second.tuple.transport = TRP_TRANSPORT_TCP;
        second.tuple.client.port += 100;
        hello(&w, &second);
        ask(&w, &second, TRP_STUN_CONNECTION_BIND);
        trp_stun_put_u32(&w.ask, TRP_STUN_CONNECTION_ID,
                         connection->id + (what >> 6));
        ask_signed(&w, &second);
        break;

    default:
        world_begin(&w);
        trp_turn_disconnected(&w.turn, connection);
        world_run(&w);
    }
}


static void
fuzz_end(fuzz_reader_t *r, client_t *c)
{
    trp_turn_alloc_t  *alloc;

    world_begin(&w);
    alloc = alloc_of(&w, c);

    switch (fuzz_byte(r) & 3) {

    case 0:
        trp_turn_gone(&w.turn, &c->tuple);
        break;

    case 1:
        if (alloc) {
            trp_turn_fail(&w.turn, alloc);
        }

        break;

    case 2:
        (void) trp_turn_shutdown(&w.turn);
        break;

    default:
        (void) trp_turn_remove_account(&w.turn, (const uint8_t *)
            "Erk3fL5+XJTopw2dI5KVI9FK+pVHkxMPijlZx7hJrKg");
    }

    world_run(&w);
}


static void
fuzz_time(fuzz_reader_t *r)
{
    static const unsigned  units[4] = { 1, 100, 10000, 150000 };

    unsigned  n;

    n = fuzz_byte(r);
    world_pass(&w, (uint64_t) units[n & 3] * (n >> 2));
}


/* what the sockets and the memory do */

static void
fuzz_world(fuzz_reader_t *r)
{
    unsigned  n;

    n = fuzz_byte(r);

    w.in_use = n & 3;
    w.bound = (trp_turn_bound_e) (n & 4 ? (n >> 3) & 3 : 0);
    w.families = (n & 0x20) ? TRP_TURN_V4 : TRP_TURN_V4 | TRP_TURN_V6;
    w.fail = (n & 0x40) ? fuzz_byte(r) & 15 : 0;

    /* a port that is in use is tried again, not for ever */

    if (w.bound == TRP_TURN_PORT_IN_USE) {
        w.bound = TRP_TURN_BOUND;
        w.in_use = 70;
    }
}


static void
fuzz_step(fuzz_reader_t *r)
{
    size_t          len;
    unsigned        op, number;
    client_t       *c;
    const uint8_t  *p;

    op = fuzz_byte(r);
    c = &clients[op >> 5];

    switch (op & 31) {

    case 0:
        len = fuzz_byte(r);
        len |= fuzz_byte(r) << 8;
        p = fuzz_bytes(r, &len);
        world_input(&w, &c->tuple, p, len);
        break;

    case 1:
    case 2:
        fuzz_request(r, c, 2);
        break;

    case 3:
        fuzz_request(r, c, fuzz_byte(r));
        break;

    case 4:
    case 5:
        fuzz_allocate(r, c);
        break;

    case 6:
        number = fuzz_byte(r);
        ask(&w, c, TRP_STUN_REFRESH);
        trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, (number & 0xfc) * 20);

        if (number & 3) {
            trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY,
                             (number & 3) << 24);
        }

        ask_signed(&w, c);
        break;

    case 7:
    case 8:
        permit(&w, c, fuzz_peer(r));
        break;

    case 9:
    case 10:
        number = fuzz_byte(r);
        bind_channel(&w, c, 0x4000 + (number & 7) + ((number & 0x80) << 7),
                     fuzz_peer(r));
        break;

    case 11:
    case 12:
        send_to(&w, c, fuzz_peer(r), "some data");
        break;

    case 13:
    case 14:
        fuzz_channel_data(r, c);
        break;

    case 15:
    case 16:
        fuzz_peer_data(r, c);
        break;

    case 17:
    case 18:
        connect_to(&w, c, fuzz_peer(r));
        break;

    case 19:
    case 20:
        fuzz_stream(r, c);
        break;

    case 21:
        fuzz_end(r, c);
        break;

    case 22:
        fuzz_world(r);
        break;

    case 23:
        c->keep_id = 1;
        c->algorithm = fuzz_byte(r) % 3;
        c->userhash = fuzz_byte(r) & 1;
        break;

    case 24:
        hello(&w, c);
        break;

    default:
        fuzz_time(r);
    }
}


/*
 * The input: a byte of settings, and steps, each with a client in the upper
 * three bits of its first byte.  The clients sign their requests rightly.
 */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned       i, flags;
    fuzz_reader_t  r;

    static const char  *from[CLIENTS] = {
        "192.0.2.1:4000", "192.0.2.1:4001", "[2001:db8::1]:4000",
        "192.0.2.2:4000", "192.0.2.2:4001", "192.0.2.2:4002",
        "[2001:db8::2]:4000", "192.0.2.3:4000"
    };

    r.p = data;
    r.left = size;
    flags = fuzz_byte(&r);

    world_init(&w);

    w.conf.last_port = w.conf.first_port + 7;
    w.conf.rate = (flags & 1) ? 100 : 0;
    w.conf.stranger_rate = (flags & 2) ? 10 : 0;
    w.conf.software = text(flags & 4 ? "server" : "");

    if (flags & 8) {
        w.conf.external[1].family = 0;
    }

    if (world_start(&w) != TRP_OK) {
        abort();
    }

    for (i = 0; i < CLIENTS; i++) {
        client_init(&clients[i], from[i], i & 1 ? "alice:secret"
                                                : "bob:hidden");
        clients[i].tuple.transport = (i < 4) ? TRP_TRANSPORT_UDP
                                     : (i < 7) ? TRP_TRANSPORT_TCP
                                     : TRP_TRANSPORT_TLS;
    }

    while (r.left && w.wrong == NULL) {
        fuzz_step(&r);
    }

    w.fail = 0;

    if (world_end(&w) != NULL) {
        fprintf(stderr, "%s, after: %s\n", w.wrong, w.log);
        abort();
    }

    return 0;
}
