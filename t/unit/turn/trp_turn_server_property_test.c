
/*
 * Copyright (C) the trp authors
 */


/*
 * Several clients at random: whatever they and their peers do, the books of
 * turn.h are right, nothing is left over, and no memory that is missing does
 * harm.
 */


#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "rnd.h"
#include "turn/world.h"


#define CLIENTS  6
#define STEPS    3000


static world_t   w;
static client_t  clients[CLIENTS];

/* how often it came to what the test is about */

static struct {
    unsigned       granted;
    unsigned       refused;
    unsigned       up;
    unsigned       down;
    unsigned       ended;
    unsigned       attached;
} seen;


static const char  *peers[] = {
    "9.9.9.9:53", "9.9.9.9:54", "1.1.1.1:80", "[2620:fe::9]:53",
    "[2620:fe::10]:1", "10.0.0.1:80", "127.0.0.1:22", "[::1]:22",
    "8.8.4.4:22", "[64:ff9b::7f00:1]:1", "9.9.9.9:0"
};

#define NPEERS  (sizeof(peers) / sizeof(peers[0]))


static const char *
any_peer(void)
{
    static char  buf[32];

    /* another client's relayed address now and then */

    if (rnd(8) == 0) {
        snprintf(buf, sizeof(buf), "8.8.4.4:%u", 50000 + rnd(12));
        return buf;
    }

    return peers[rnd(rnd(2) ? 5 : NPEERS)];
}


static unsigned
any_number(void)
{
    return 0x4000 + rnd(4) + (rnd(50) == 0 ? 0x4000 : 0);
}


static uint32_t
any_lifetime(void)
{
    static const uint32_t  lifetimes[] = { 0, 1, 600, 1000, 3600, 0xffffffff };

    return lifetimes[rnd(6)];
}


static void
any_allocate(client_t *c)
{
    uint8_t  value[8];

    if (c->nonce_len == 0 || rnd(20) == 0) {
        hello(&w, c);
    }

    ask(&w, c, TRP_STUN_ALLOCATE);

    c->protocol = (c->tuple.transport == TRP_TRANSPORT_UDP || rnd(2))
                  ? TRP_PROTO_UDP : TRP_PROTO_TCP;

    if (rnd(30)) {
        trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_TRANSPORT,
                         (uint32_t) c->protocol << 24);
    }

    switch (rnd(8)) {

    case 0:
        trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY,
                         rnd(4) << 24);
        break;

    case 1:
        trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY,
                         0x02000000);
        break;

    case 2:
        trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, rnd(2) ? "\x80" : "", 1);
        break;

    case 3:
        memcpy(value, w.tokens[rnd(4)].token, 8);
        trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, value, 8);
        break;

    default:
        break;
    }

    if (rnd(2)) {
        trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, any_lifetime());
    }

    w.in_use = rnd(10) ? 0 : rnd(4);
    w.bound = rnd(20) ? TRP_TURN_BOUND : rnd(2) ? TRP_TURN_QUOTA
                                                : TRP_TURN_NO_CAPACITY;
    w.families = rnd(10) ? TRP_TURN_V4 | TRP_TURN_V6 : TRP_TURN_V4;

    ask_signed(&w, c);

    w.in_use = 0;
    w.bound = TRP_TURN_BOUND;
}


/* a message that is nearly right */

static void
any_garbage(client_t *c)
{
    unsigned  i, n;

    ask_as(&w, c, (trp_stun_class_e) rnd(4), rnd(16));

    for (n = rnd(5); n; n--) {
        trp_stun_put(&w.ask, (trp_stun_attribute_e) (rnd(0x30)
                                                     + (rnd(4) ? 0 : 0x8000)),
                     w.store, rnd(24));
    }

    switch (rnd(4)) {

    case 0:
        ask_user(&w, c);
        ask_sign(&w, c);
        ask_plain(&w, c);
        return;

    case 1:
        put_peer(&w, any_peer());
        ask_user(&w, c);
        ask_sign(&w, c);
        break;

    default:
        ask_user(&w, c);
        ask_sign(&w, c);

        for (i = rnd(3); i; i--) {
            w.ask_buf[rnd((uint32_t) w.ask.len)] ^= (uint8_t) (1 << rnd(8));
        }
    }

    world_input(&w, &c->tuple, w.ask.data, rnd(4) ? w.ask.len
                                                  : rnd((uint32_t)
                                                        w.ask.len));
}


static void
any_peer_data(client_t *c)
{
    char               data[32];
    unsigned           n;
    trp_taddr_t        peer;
    trp_turn_alloc_t  *alloc;

    alloc = alloc_of(&w, c);

    if (alloc == NULL || alloc->protocol != TRP_PROTO_UDP) {
        return;
    }

    peer = taddr(any_peer());
    n = rnd(sizeof(data));
    memset(data, 'x', sizeof(data));

    if (rnd(10)) {
        world_peer(&w, alloc, &peer, data, n);
        seen.down += w.nevents;
        return;
    }

    world_begin(&w);
    w.talking = &peer;
    trp_turn_peer_icmp(&w.turn, alloc, &peer, 3, 3, 0);
    world_run(&w);
    w.talking = NULL;
}


/* what becomes of connections */

static void
any_stream(client_t *c)
{
    client_t                second;
    trp_taddr_t             peer;
    trp_turn_alloc_t       *alloc;
    trp_turn_connection_t  *connection;

    alloc = alloc_of(&w, c);

    if (rnd(3) == 0 && alloc && alloc->protocol == TRP_PROTO_TCP) {
        peer = taddr(any_peer());
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

    connection = w.streams[rnd(w.nstreams)];
    world_begin(&w);

    /* 0: it is being connected */

    if (connection->state == 0) {
        trp_turn_connected(&w.turn, connection, rnd(4) != 0);
        world_run(&w);

    } else if (rnd(3)) {
        second = *c;
        second.tuple.transport = TRP_TRANSPORT_TCP;
        second.tuple.client.port += 1000;
        hello(&w, &second);

        ask(&w, &second, TRP_STUN_CONNECTION_BIND);
        trp_stun_put_u32(&w.ask, TRP_STUN_CONNECTION_ID, connection->id);
        seen.attached += ask_signed(&w, &second) == 200;

    } else {
        trp_turn_disconnected(&w.turn, connection);
        world_run(&w);
    }
}


static void
any_time(void)
{
    static const unsigned  steps[] = { 0, 1, 999, 29999, 30000, 100000,
                                       299999, 300000 };

    world_pass(&w, steps[rnd(8)]);
}


static void
any_end(client_t *c)
{
    trp_turn_alloc_t  *alloc;

    world_begin(&w);

    switch (rnd(4)) {

    case 0:
        trp_turn_gone(&w.turn, &c->tuple);
        break;

    case 1:
        alloc = alloc_of(&w, c);

        if (alloc) {
            trp_turn_fail(&w.turn, alloc);
        }

        break;

    case 2:
        (void) trp_turn_shutdown(&w.turn);
        break;

    default:
        refresh(&w, c, 0);
        return;
    }

    world_run(&w);
}


static void
step(void)
{
    client_t  *c;

    c = &clients[rnd(CLIENTS)];

    switch (rnd(16)) {

    case 0:
    case 1:
    case 2:
        any_allocate(c);
        break;

    case 3:
        ask(&w, c, TRP_STUN_REFRESH);
        trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME,
                         rnd(4) ? 600 : any_lifetime());

        if (rnd(4) == 0) {
            trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY,
                             (1 + rnd(2)) << 24);
        }

        ask_signed(&w, c);
        break;

    case 4:
    case 5:
        permit(&w, c, any_peer());
        break;

    case 6:
    case 7:
        bind_channel(&w, c, any_number(), any_peer());
        break;

    case 8:
        send_to(&w, c, any_peer(), "some data");
        seen.up += w.nevents;
        break;

    case 9:
        send_channel(&w, c, any_number(), "other data");
        seen.up += w.nevents;
        break;

    case 10:
    case 11:
        any_peer_data(c);
        break;

    case 12:
        if (rnd(4) == 0) {
            any_end(c);
            seen.ended += w.nevents;

        } else {
            any_time();
        }

        break;

    case 13:
        connect_to(&w, c, any_peer());
        break;

    case 14:
        any_stream(c);
        break;

    default:
        any_garbage(c);
    }

    seen.granted += w.code == 200;
    seen.refused += w.code > 400;
}


/* what the server says of itself, against the books */

static void
check_counts(void)
{
    unsigned  n;
    relay_t  *relay, *other;

    n = 0;

    for (relay = w.relays; relay; relay = relay->next) {
        n++;

        for (other = relay->next; other; other = other->next) {
            if (other->port == relay->port) {
                world_wrong(&w, "a port of two allocations");
            }
        }
    }

    if (w.turn.stats.allocations != n || w.turn.allocs.n != n) {
        world_wrong(&w, "the number of allocations");
    }

    if (w.turn.stats.connections != w.nstreams
        || w.turn.connections.n != w.nstreams)
    {
        world_wrong(&w, "the number of connections");
    }
}


static void
start(uint32_t seed, unsigned fail_every)
{
    unsigned  i;

    rnd_seed(seed);
    world_init(&w);

    w.conf.last_port = w.conf.first_port + 11;
    w.conf.stranger_rate = rnd(2) * 10;

    /* a rate that sometimes holds */

    w.conf.rate = rnd(2) * 200;

    world_start(&w);

    for (i = 0; i < CLIENTS; i++) {
        client_init(&clients[i], i == 5 ? "[2001:db8::1]:4000"
                                        : "192.0.2.1:4000",
                    i % 2 ? "alice:secret" : "bob:hidden");

        clients[i].tuple.client.port += (uint16_t) i;
        clients[i].tuple.transport = (i < 3) ? TRP_TRANSPORT_UDP
                                             : TRP_TRANSPORT_TCP;
        clients[i].fingerprint = rnd(2);
        clients[i].sha256 = rnd(2);
    }

    w.fail_every = fail_every;
    w.fail = fail_every;
}


static void
test_random(unsigned rounds, unsigned fail_every, const char *name)
{
    const char  *wrong;
    unsigned     i, round;

    memset(&seen, 0, sizeof(seen));
    wrong = NULL;

    for (round = 0; round < rounds && wrong == NULL; round++) {
        start(1000 + round * 7 + fail_every, fail_every);

        for (i = 0; i < STEPS && w.wrong == NULL; i++) {

            if (fail_every && w.fail == 0) {
                w.fail = 1 + rnd(fail_every);
            }

            step();
            check_counts();
        }

        if (w.wrong) {
            printf("# round %u, step %u: %s\n", round, i, w.log);
        }

        w.fail = 0;
        w.fail_every = 0;
        wrong = world_end(&w);
    }

    is_str(wrong, NULL, "%s", name);

    ok(seen.granted > 100 * rounds && seen.refused > 100 * rounds
       && seen.up > 5 * rounds && seen.down > 5 * rounds
       && seen.ended > rounds && seen.attached,
       "%u granted, %u refused, %u up, %u down, %u ended, %u attached",
       seen.granted, seen.refused, seen.up, seen.down, seen.ended,
       seen.attached);
}


/* the same seed, the same world */

static void
test_same(void)
{
    unsigned  i, round;
    uint64_t  sum[2];

    for (round = 0; round < 2; round++) {
        start(99, 0);
        sum[round] = 0;

        for (i = 0; i < 500; i++) {
            step();
            sum[round] = sum[round] * 31 + w.code + w.nevents + w.stored;
        }

        (void) world_end(&w);
    }

    ok(sum[0] == sum[1], "the same seed gives the same");
}


int
main(void)
{
    test_same();
    test_random(40, 0, "several clients at random");
    test_random(20, 50, "with a block of memory missing at times");
    test_random(20, 5, "with many missing");

    return done_testing();
}
