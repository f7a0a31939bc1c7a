
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN client at random, with our own server behind a network that
 * loses, repeats and reorders: what is sent comes out at the right peer, what
 * a peer says comes from it, the server's books are right, and nothing is
 * left over.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "rnd.h"
#include "turnc/agent.h"


#define STEPS     4000
#define PACKETS   4096
#define PAYLOADS  20000
#define HOSTS     25
#define PORTS     30
#define CONNECTS  4000


typedef struct {
    uint64_t         when;
    int              to_client;
    uint8_t         *data;
    size_t           len;
} packet_t;


/* a datagram that was sent; its text is its number */

typedef struct {
    trp_taddr_t      peer;
    unsigned         arrived;
    unsigned         excused:1;        /* it need not arrive */
} payload_t;


typedef enum {
    PENDING = 0,
    CONNECTED,
    REFUSED,
    FORGOTTEN
} connect_e;


static world_t       w;
static agent_t       a;

static packet_t      net[PACKETS];
static unsigned      nnet;
static unsigned      loss, repeats, delay;     /* percent; milliseconds */

static payload_t     up[PAYLOADS], down[PAYLOADS];
static unsigned      nup, ndown;

static connect_e     connects[CONNECTS];
static unsigned      nconnects;

static unsigned      starts;

/* how often it came to what the test is about */

static struct {
    unsigned         up;
    unsigned         down;
    unsigned         indications;
    unsigned         again;
    unsigned         forbidden;
    unsigned         failed;
    unsigned         connected;
    unsigned         refused;
    unsigned         bound;
} seen;


static void
net_put(int to_client, const uint8_t *data, size_t len)
{
    unsigned   n, i;
    packet_t  *p;

    n = 1;

    if (!a.conf.stream) {
        n = (rnd(100) < loss) ? 0 : (rnd(100) < repeats) ? 2 : 1;
    }

    while (n--) {

        if (nnet == PACKETS) {
            world_wrong(&w, "too many packets");
            return;
        }

        p = &net[nnet];
        p->when = a.now + (delay ? rnd(delay) : 0);
        p->to_client = to_client;
        p->data = malloc(len + 1);
        p->len = len;
        memcpy(p->data, data, len);

        /* a stream keeps the order */

        for (i = 0; a.conf.stream && i < nnet; i++) {
            if (net[i].to_client == to_client && net[i].when > p->when) {
                p->when = net[i].when;
            }
        }

        nnet++;
    }
}


/* the text of a payload: its number, or -1 */

static int
number_of(const uint8_t *p, size_t len, char c, unsigned n)
{
    char      buf[16];
    unsigned  i;

    if (len == 0 || len >= sizeof(buf) || p[0] != (uint8_t) c) {
        return -1;
    }

    memcpy(buf, p, len);
    buf[len] = '\0';
    i = (unsigned) atoi(buf + 1);

    return (i < n) ? (int) i : -1;
}


static void
arrived(payload_t *payload, const trp_taddr_t *peer)
{
    payload->arrived++;

    if (!same_taddr(&payload->peer, peer)) {
        world_wrong(&w, "a datagram of another peer");
    }

    if (payload->arrived > 1 && repeats == 0) {
        world_wrong(&w, "a datagram comes twice");
    }
}


/* what the server does */

static void
net_events(void)
{
    int       n;
    unsigned  i;
    event_t  *e;

    for (i = 0; i < w.nevents; i++) {
        e = &w.events[i];

        switch (e->type) {

        case TRP_TURN_REPLY:
        case TRP_TURN_TO_CLIENT:

            if (same_tuple(&e->to, &a.tuple)) {
                net_put(1, e->data, e->len);
            }

            break;

        case TRP_TURN_TO_PEER:
            n = number_of(e->data, e->len, 'u', nup);

            if (n < 0) {
                world_wrong(&w, "a datagram that nobody has sent");
                break;
            }

            arrived(&up[n], &e->peer);
            seen.up++;
            break;

        default:
            break;
        }
    }

    w.nevents = 0;
}


static void
to_server(const packet_t *p)
{
    uint64_t  dropped;

    dropped = w.turn.stats.dropped.packets;

    world_input(&w, &a.tuple, p->data, p->len);

    /* without loss the client always knows what it may send */

    if (loss == 0 && delay < 1000 && seen.failed == 0
        && w.turn.stats.dropped.packets != dropped)
    {
        world_wrong(&w, "the server has dropped something");
    }

    net_events();
}


/* the earliest packet that is due; of those the first one */

static int
net_take(uint64_t now)
{
    unsigned  i, best;
    packet_t  p;

    best = nnet;

    for (i = 0; i < nnet; i++) {
        if (net[i].when <= now
            && (best == nnet || net[i].when < net[best].when))
        {
            best = i;
        }
    }

    if (best == nnet) {
        return 0;
    }

    p = net[best];
    nnet--;
    memmove(&net[best], &net[best + 1], (nnet - best) * sizeof(packet_t));

    agent_begin(&a);

    if (p.to_client) {
        agent_input(&a, p.data, p.len);

    } else {
        to_server(&p);
    }

    free(p.data);

    return 1;
}


static uint64_t
earlier(uint64_t when, uint64_t next)
{
    return (next && next < when) ? next : when;
}


/* all that happens in the next so many milliseconds */

static void
run(uint64_t ms)
{
    unsigned  i;
    uint64_t  end, next;

    end = a.now + ms;

    for ( ;; ) {
        next = earlier(end, trp_turnc_deadline(a.client));
        next = earlier(next, trp_turn_deadline(&w.turn));

        for (i = 0; i < nnet; i++) {
            next = earlier(next, net[i].when);
        }

        if (next > a.now) {
            a.wall += (int64_t) (next / 1000 - a.now / 1000);
            a.now = next;
        }

        world_pass(&w, a.now - w.turn.now);
        net_events();

        while (net_take(a.now)) { /* void */ }

        agent_begin(&a);
        agent_tick(&a);

        if (a.now >= end) {
            return;
        }
    }
}


static void
on_send(void *data, const uint8_t *p, size_t len)
{
    agent_begin(&a);
    agent_on_send(data, p, len);
    agent_lose(&a);

    seen.indications += strncmp(a.log, ">send", 5) == 0;

    net_put(0, p, len);
}


static void
on_received(void *data, const trp_taddr_t *peer, const uint8_t *p, size_t len)
{
    int  n;

    (void) data;

    n = number_of(p, len, 'd', ndown);

    if (n < 0) {
        world_wrong(&w, "received what nobody has sent");
        return;
    }

    arrived(&down[n], peer);
    seen.down++;
}


/* of what goes to this peer, or to all, some may be lost */

static void
excuse(const trp_taddr_t *peer)
{
    unsigned  i;

    for (i = 0; i < nup; i++) {
        if (peer == NULL || same_taddr(&up[i].peer, peer)) {
            up[i].excused = 1;
        }
    }
}


static void
on_forbidden(void *data, const trp_taddr_t *peer, unsigned code)
{
    (void) data;
    (void) code;

    seen.forbidden++;
    excuse(peer);
}


static void
on_failed(void *data, unsigned code)
{
    unsigned  i;

    agent_on_failed(data, code);

    seen.failed++;
    excuse(NULL);

    for (i = 0; i < nconnects; i++) {
        if (connects[i] == PENDING) {
            connects[i] = FORGOTTEN;
        }
    }
}


static void
outcome(void *connect, connect_e state)
{
    connect_e  *c = connect;

    if (*c != PENDING) {
        world_wrong(&w, "a connect ends twice, or that was forgotten");
    }

    *c = state;
}


static void
on_connected(void *data, void *connect, uint32_t id)
{
    (void) data;

    outcome(connect, CONNECTED);
    a.connection = id;
    seen.connected++;
}


static void
on_refused(void *data, void *connect, unsigned code)
{
    (void) data;

    if (code == 400) {
        world_wrong(&w, "a bad request");
    }

    outcome(connect, REFUSED);
    seen.refused++;
}


/* another client, from another port */

static void
begin(void)
{
    uint64_t          now;
    int64_t           wall;
    unsigned          stream, transport;
    const char       *wrong;

    wrong = a.wrong;
    now = a.now;
    wall = a.wall;
    stream = a.conf.stream;
    transport = a.conf.transport;

    agent_init(&a);

    a.wrong = wrong;
    a.now = now;
    a.wall = wall;
    a.conf.stream = stream;
    a.conf.transport = (uint8_t) transport;
    a.tuple.client.port += (uint16_t) ++starts;
    a.seed[0] = (uint8_t) starts;
    a.seed[1] = (uint8_t) (starts >> 8);

    a.handlers.send = on_send;
    a.handlers.failed = on_failed;
    a.handlers.connected = on_connected;
    a.handlers.refused = on_refused;
    a.handlers.received = on_received;
    a.handlers.forbidden = on_forbidden;

    agent_start(&a);
}


static void
finish(void)
{
    if (agent_end(&a) != NULL) {
        world_wrong(&w, a.wrong);
    }

    while (nnet) {
        free(net[--nnet].data);
    }
}


/* some hosts are not to be reached */

static trp_taddr_t
any_peer(unsigned hosts, unsigned ports)
{
    char      buf[32];
    unsigned  host;

    host = rnd(hosts);

    if (rnd(40) == 0) {
        return taddr(rnd(2) ? "10.0.0.1:53" : "[2620:fe::9]:53");
    }

    snprintf(buf, sizeof(buf), "9.9.9.%u:%u", 1 + host, 1 + rnd(ports));

    return taddr(buf);
}


static void
any_send(unsigned hosts, unsigned ports)
{
    int          rc;
    char         buf[16];
    unsigned     n;
    trp_taddr_t  peer;

    peer = any_peer(hosts, ports);

    for (n = 1 + rnd(4); n && nup < PAYLOADS; n--) {
        up[nup].peer = peer;
        up[nup].arrived = 0;
        up[nup].excused = 0;
        snprintf(buf, sizeof(buf), "u%u", nup);
        nup++;

        rc = trp_turnc_send(a.client, &peer, (const uint8_t *) buf,
                            strlen(buf), a.now);

        if (rc != TRP_OK) {
            up[nup - 1].excused = 1;
            seen.again += rc == TRP_AGAIN;
        }
    }
}


static void
any_peer_data(unsigned hosts, unsigned ports)
{
    char               buf[16];
    trp_turn_alloc_t  *alloc;

    alloc = trp_turn_find(&w.turn, &a.tuple);

    if (alloc == NULL || ndown == PAYLOADS) {
        return;
    }

    down[ndown].peer = any_peer(hosts, ports);
    down[ndown].arrived = 0;
    snprintf(buf, sizeof(buf), "d%u", ndown);
    ndown++;

    world_peer(&w, alloc, &down[ndown - 1].peer, buf, strlen(buf));
    net_events();
}


static void
any_release(unsigned hosts, unsigned ports)
{
    trp_taddr_t  peer;

    peer = any_peer(hosts, ports);
    excuse(&peer);
    trp_turnc_release(a.client, &peer);
}


static void
any_time(void)
{
    static const unsigned  steps[] = {
        0, 1, 10, 100, 1000, 20000, 61000, 241000
    };

    run(steps[rnd(rnd(4) ? 5 : 8)]);
}


static void
start(uint32_t seed, unsigned stream, unsigned transport)
{
    rnd_seed(seed);
    world_init(&w);
    world_start(&w);

    nnet = 0;
    nup = 0;
    ndown = 0;
    nconnects = 0;

    memset(&a, 0, sizeof(a));
    a.now = w.turn.now;
    a.wall = w.turn.time;
    a.conf.stream = stream;
    a.conf.transport = (uint8_t) transport;

    begin();
    run(10000);
}


/* the end of a round: all is given time to arrive */

static void
settle(void)
{
    unsigned  i;

    run(120000);

    for (i = 0; i < nup && loss == 0; i++) {
        if (up[i].arrived == 0 && !up[i].excused) {
            printf("# %u of %u\n", i, nup);
            world_wrong(&w, "a datagram has not arrived");
        }
    }

    for (i = 0; i < nconnects; i++) {
        if (connects[i] == PENDING) {
            world_wrong(&w, "nothing is heard of a connect");
        }
    }

    /* 400: the server thinks otherwise of a number */

    for (i = 0; i < TRP_TURN_NMETHODS; i++) {
        if (strcmp(trp_turn_method_name(i), "channelbind") == 0
            && w.turn.stats.responses[i][1])
        {
            world_wrong(&w, "a bad ChannelBind");
        }
    }
}


typedef struct {
    const char  *name;
    unsigned     rounds;
    unsigned     stream;
    unsigned     loss;
    unsigned     repeats;
    unsigned     delay;
    unsigned     hosts;
    unsigned     ports;
    unsigned     missing;              /* memory, one of so many */
    unsigned     ends;                 /* of allocations */
} kind_t;


static void
step(const kind_t *kind)
{
    switch (rnd(8)) {

    case 0:
    case 1:
    case 2:
        any_send(kind->hosts, kind->ports);
        break;

    case 3:
    case 4:
        any_peer_data(kind->hosts, kind->ports);
        break;

    case 5:
        if (rnd(4) == 0) {
            any_release(kind->hosts, kind->ports);
        }

        break;

    case 6:
        if (kind->ends && rnd(100) == 0) {
            world_begin(&w);
            (void) trp_turn_shutdown(&w.turn);
            world_run(&w);
            net_events();
        }

        break;

    default:
        any_time();
    }
}


static void
test_udp(const kind_t *kind)
{
    const char  *wrong;
    unsigned     i, round;

    memset(&seen, 0, sizeof(seen));
    wrong = NULL;

    loss = kind->loss;
    repeats = kind->repeats;
    delay = kind->delay;

    for (round = 0; round < kind->rounds && wrong == NULL; round++) {
        start(100 + round, kind->stream, 17);

        for (i = 0; i < STEPS && w.wrong == NULL && a.wrong == NULL; i++) {

            if (kind->missing && a.fail == 0) {
                a.fail = 1 + rnd(kind->missing);
                w.fail = 1 + rnd(kind->missing * 4);
                excuse(NULL);
            }

            step(kind);

            if (a.code) {

                if (!kind->ends && !kind->missing
                    && a.code != TRP_TURNC_TIMEOUT)
                {
                    world_wrong(&w, "failed");
                }

                finish();
                a.fail = 0;
                begin();
                run(60000);
            }
        }

        if (w.wrong) {
            printf("# round %u, step %u: %s\n", round, i, w.log);
        }

        a.fail = 0;
        w.fail = 0;

        if (kind->missing) {
            excuse(NULL);
        }

        settle();
        finish();
        wrong = world_end(&w);
    }

    is_str(wrong, NULL, "%s", kind->name);

    ok(seen.up > 500 * kind->rounds && seen.down > 100 * kind->rounds
       && seen.forbidden > kind->rounds
       && (kind->ends || kind->missing || seen.failed == 0)
       && (!kind->ends || seen.failed > kind->rounds),
       "%u up, %u as indications, %u down, %u times \"again\","
       " %u forbidden, %u failed", seen.up, seen.indications, seen.down,
       seen.again, seen.forbidden, seen.failed);

    /* more peers than the server has channels */

    if (kind->hosts * kind->ports > 600) {
        ok(seen.indications > 0, "some without a channel");
    }
}


static void
any_bind(void)
{
    int               rc;
    size_t            len;
    uint8_t           buf[TRP_TURNC_MESSAGE_MAX], id[TRP_STUN_ID_LEN];
    unsigned          code;
    trp_turn_tuple_t  from;

    from = a.tuple;
    from.client.port = (uint16_t) (10000 + rnd(50000));

    do {
        len = trp_turnc_bind(a.client, a.connection, buf, id);

        if (len == 0) {
            return;
        }

        world_input(&w, &from, buf, len);
        rc = trp_turnc_bound(a.client, w.m.data, w.m.len, id, &code);
    } while (rc == TRP_AGAIN);

    /* 400: it is attached, or has ended */

    if (rc != TRP_OK && code != 400) {
        world_wrong(&w, "ConnectionBind has failed");
    }

    seen.bound += rc == TRP_OK;
}


static void
any_stream(void)
{
    trp_turn_connection_t  *connection;

    if (w.nstreams == 0) {
        return;
    }

    connection = w.streams[rnd(w.nstreams)];
    world_begin(&w);

    if (connection->state == 0) {
        trp_turn_connected(&w.turn, connection, rnd(4) != 0);

    } else {
        trp_turn_disconnected(&w.turn, connection);
    }

    world_run(&w);
    net_events();
}


static void
step_tcp(void)
{
    unsigned     n;
    trp_taddr_t  peer;

    switch (rnd(8)) {

    case 0:
    case 1:
        if (nconnects == CONNECTS) {
            break;
        }

        peer = any_peer(HOSTS, PORTS);
        connects[nconnects] = PENDING;

        if (trp_turnc_connect(a.client, &peer, &connects[nconnects], a.now)
            != TRP_OK)
        {
            connects[nconnects] = FORGOTTEN;
        }

        nconnects++;
        break;

    case 2:
        n = nconnects ? rnd(nconnects) : 0;

        if (n < nconnects && connects[n] == PENDING) {
            trp_turnc_forget(a.client, &connects[n]);
            connects[n] = FORGOTTEN;
        }

        break;

    case 3:
    case 4:
    case 5:
        any_stream();
        break;

    case 6:
        any_bind();
        break;

    default:
        any_time();
    }
}


static void
test_tcp(unsigned rounds, unsigned missing)
{
    const char  *wrong;
    unsigned     i, round;

    memset(&seen, 0, sizeof(seen));
    wrong = NULL;

    loss = 0;
    repeats = 0;
    delay = 100;

    for (round = 0; round < rounds && wrong == NULL; round++) {
        start(900 + round, 1, 6);

        for (i = 0; i < STEPS && w.wrong == NULL && a.wrong == NULL; i++) {

            if (missing && a.fail == 0) {
                a.fail = 1 + rnd(missing);
                w.fail = 1 + rnd(missing * 4);
            }

            step_tcp();

            if (a.code) {
                world_wrong(&w, "failed");
            }
        }

        a.fail = 0;
        w.fail = 0;

        settle();
        finish();
        wrong = world_end(&w);
    }

    is_str(wrong, NULL, "connections%s", missing ? ", memory missing" : "");

    ok(seen.connected > 10 * rounds && seen.refused > 10 * rounds
       && seen.bound > rounds,
       "%u connected, %u refused, %u bound", seen.connected, seen.refused,
       seen.bound);
}


int
main(void)
{
    unsigned  i;

    static const kind_t  kinds[] = {
        { "UDP", 6, 0, 0, 0, 50, 8, 3, 0, 0 },
        { "a stream", 6, 1, 0, 0, 50, 8, 3, 0, 0 },
        { "a slow stream", 4, 1, 0, 0, 3000, 8, 3, 0, 0 },
        { "reordered", 6, 0, 0, 0, 400, 8, 3, 0, 0 },
        { "losses and repeats", 12, 0, 20, 10, 400, 8, 3, 0, 0 },
        { "more peers than channels", 4, 0, 0, 0, 50, HOSTS, PORTS, 0, 0 },
        { "the same with losses", 4, 0, 10, 10, 300, HOSTS, PORTS, 0, 0 },
        { "memory missing", 6, 0, 5, 5, 100, 8, 3, 40, 0 },
        { "allocations end", 6, 0, 5, 5, 100, 8, 3, 0, 1 }
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        test_udp(&kinds[i]);
    }

    test_tcp(6, 0);
    test_tcp(4, 20);

    return done_testing();
}
