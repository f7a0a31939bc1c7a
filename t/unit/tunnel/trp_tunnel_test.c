
/*
 * Copyright (C) the trp authors
 */


/*
 * The states of a tunnel: every frame in every state of one end, streams as
 * both ends see them, and two tunnels with a relay between them.
 */


#include <stdlib.h>

#include "tap.h"
#include "rnd.h"

#include "tunnel/trp_tunnel.h"


#define PIPE_SIZE  256
#define PIPE_FULL  32
#define TYPES      40

/* DATA that is not short, where a plain DATA is empty */

#define BIG        256
#define ANY        (BIG + 1)

#define A          TRP_SEEN_ACCEPT
#define E          TRP_SEEN_END
#define O          TRP_SEEN_DONE
#define X          TRP_SEEN_RESET

#define nelts(a)   (sizeof(a) / sizeof((a)[0]))


/* frames under way in one direction */

typedef struct {
    uint16_t       type[PIPE_SIZE];
    unsigned       first;
    unsigned       n;
} pipe_t;


typedef struct {
    trp_tunnel_t   relay;
    trp_tunnel_t   agent;
    pipe_t         up;               /* from the agent to the relay */
    pipe_t         down;
    unsigned       abandoned:1;      /* the relay drops what comes in */
} leg_t;


static const struct {
    const char    *name;
    unsigned       type;
} frames[] = {
    { "HELLO", TRP_HELLO },
    { "AUTH", TRP_AUTH },
    { "READY", TRP_READY },
    { "MOVED", TRP_MOVED },
    { "ERROR", TRP_ERRMSG },
    { "OPEN", TRP_OPEN },
    { "ACCEPT", TRP_ACCEPT },
    { "REFUSE", TRP_REFUSE },
    { "DATA", TRP_DATA },
    { "BIG", BIG },
    { "END", TRP_END },
    { "RESET", TRP_RESET },
    { "DONE", TRP_DONE },
    { "PING", TRP_PING },
    { "PONG", TRP_PONG },
    { "DRAIN", TRP_DRAIN },
    { "AGENTS", TRP_AGENTS },
    { "PUBLISH", TRP_PUBLISH },
    { "PUBLISHED", TRP_PUBLISHED }
};


/* disagreements of a simulation; the first ones are told */

static int  wrong;

/* frames that came when their stream was over */

static int  late;


static void
disagree(const char *what, unsigned type, const trp_tunnel_t *t)
{
    if (wrong++ < 5) {
        printf("# %s, type %u, state %d, sent %x, seen %x\n", what, type,
               (int) t->state, t->sent, t->seen);
    }
}


static int
send_frame(trp_tunnel_t *t, unsigned type)
{
    return (type == BIG) ? trp_tunnel_send(t, TRP_DATA, TRP_TUNNEL_SHORT)
                         : trp_tunnel_send(t, type, 0);
}


static int
recv_frame(trp_tunnel_t *t, unsigned type)
{
    return (type == BIG) ? trp_tunnel_recv(t, TRP_DATA, TRP_TUNNEL_SHORT)
                         : trp_tunnel_recv(t, type, 0);
}


static int
same_tunnel(const trp_tunnel_t *a, const trp_tunnel_t *b)
{
    return a->state == b->state && a->sent == b->sent && a->seen == b->seen
           && a->payload == b->payload
           && a->relay == b->relay && a->opener == b->opener;
}


static void
leg_init(leg_t *leg, int entry)
{
    memset(leg, 0, sizeof(leg_t));

    trp_tunnel_init(&leg->relay, 1, !entry);
    trp_tunnel_init(&leg->agent, 0, entry);
}


static void
leg_ready(leg_t *leg, int entry)
{
    leg_init(leg, entry);

    wrong += send_frame(&leg->relay, TRP_HELLO) != TRP_OK
             || recv_frame(&leg->agent, TRP_HELLO) != TRP_OK
             || send_frame(&leg->agent, TRP_AUTH) != TRP_OK
             || recv_frame(&leg->relay, TRP_AUTH) != TRP_OK
             || send_frame(&leg->relay, TRP_READY) != TRP_OK
             || recv_frame(&leg->agent, TRP_READY) != TRP_OK;
}


/* with nothing under way both ends know the same and allow the same */

static void
leg_check(const leg_t *leg)
{
    int           i;
    unsigned      type;
    trp_tunnel_t  s, r;

    const trp_tunnel_t  *end[2] = { &leg->relay, &leg->agent };

    if (leg->up.n || leg->down.n) {
        return;
    }

    if (leg->relay.state != leg->agent.state
        || leg->relay.sent != leg->agent.seen
        || leg->relay.seen != leg->agent.sent
        || leg->relay.payload != leg->agent.payload)
    {
        disagree("the ends differ", 0, &leg->relay);
    }

    for (i = 0; i < 2; i++) {
        for (type = 0; type < TYPES; type++) {
            s = *end[i];
            r = *end[1 - i];

            if ((send_frame(&s, type) == TRP_OK)
                != (recv_frame(&r, type) == TRP_OK))
            {
                disagree("one end only allows", type, end[i]);
            }
        }
    }
}


static void
push(pipe_t *pipe, unsigned type)
{
    if (pipe->n == PIPE_SIZE) {
        wrong++;
        return;
    }

    pipe->type[(pipe->first + pipe->n++) % PIPE_SIZE] = (uint16_t) type;
}


static unsigned
pop(pipe_t *pipe)
{
    unsigned  type;

    type = pipe->type[pipe->first];
    pipe->first = (pipe->first + 1) % PIPE_SIZE;
    pipe->n--;

    return type;
}


/* sends what this end allows; 1 if it did */

static int
try_send(trp_tunnel_t *t, pipe_t *pipe, unsigned type)
{
    trp_tunnel_t  before;

    before = *t;

    if (send_frame(t, type) != TRP_OK) {
        if (!same_tunnel(&before, t)) {
            disagree("a refused frame changes the state", type, &before);
        }

        return 0;
    }

    push(pipe, type);

    return 1;
}


static void
must_send(trp_tunnel_t *t, pipe_t *pipe, unsigned type)
{
    if (!try_send(t, pipe, type)) {
        disagree("cannot be sent", type, t);
    }
}


/* takes a frame that the peer was allowed to send; 0 if it has come late */

static unsigned
must_recv(trp_tunnel_t *t, pipe_t *pipe)
{
    int           rc;
    unsigned      type;
    trp_tunnel_t  before;

    before = *t;
    type = pop(pipe);
    rc = recv_frame(t, type);

    if (rc == TRP_ERROR) {
        disagree("is not accepted", type, t);
    }

    if (rc == TRP_DECLINED) {
        late++;

        if (!same_tunnel(&before, t)) {
            disagree("a late frame changes the state", type, &before);
        }

        return 0;
    }

    return type;
}


/*
 * Which frames a sender may send in a stream: what it has sent so far,
 * whether the other side's direction has ended, and then Accept, Refuse,
 * Data, End, reset (X) and dOne, for the end that opened the stream and for
 * the other one.  No other combination can be reached.
 */

static const struct {
    uint8_t        by;
    uint8_t        against;
    const char    *opener;
    const char    *other;
} streams[] = {
    { 0,         0, "DEX",  "AR" },
    { 0,         E, "DEXO", "AR" },
    { A,         0, NULL,   "DEX" },
    { A,         E, NULL,   "DEXO" },
    { E,         0, "X",    NULL },
    { E,         E, "XO",   NULL },
    { E | X,     0, "",     "" },
    { E | X,     E, "O",    "O" },
    { A | E,     0, NULL,   "X" },
    { A | E,     E, NULL,   "XO" },
    { A | E | X, 0, NULL,   "" },
    { A | E | X, E, NULL,   "O" },
    { O,         E, "DEX",  NULL },
    { A | O,     E, NULL,   "DEX" },
    { E | O,     E, "",     NULL },
    { E | X | O, E, "",     "" },
    { A | E | O, E, NULL,   "" },
    { A | E | X | O, E, NULL, "" }
};


/*
 * 1 or 0 as the protocol has it, LATE for what comes from a stream that is
 * over, -1 for a state that should not be.
 */

#define LATE  2

static int
allowed(const trp_tunnel_t *t, unsigned type, int by_self)
{
    int          by_relay, by_opener;
    size_t       i;
    uint8_t      by, against;
    const char  *list;

    by_relay = (t->relay == (unsigned) by_self);
    by_opener = (t->opener == (unsigned) by_self);

    if (type == TRP_ERRMSG) {
        return 1;
    }

    if (t->state != TRP_TUNNEL_STREAM
        && (t->sent || t->seen || t->payload))
    {
        return -1;
    }

    if (type == BIG) {
        type = TRP_DATA;
    }

    switch (t->state) {

    case TRP_TUNNEL_HELLO:
        return by_relay && type == TRP_HELLO;

    case TRP_TUNNEL_AUTH:
        return !by_relay && type == TRP_AUTH;

    case TRP_TUNNEL_READY:
        return by_relay && (type == TRP_READY || type == TRP_MOVED);

    default:
        break;
    }

    if (type == TRP_PING || type == TRP_PONG || type == TRP_DRAIN
        || type == TRP_AGENTS || type == TRP_PUBLISH
        || type == TRP_PUBLISHED)
    {
        return 1;
    }

    by = by_self ? t->sent : t->seen;
    against = by_self ? t->seen : t->sent;

    if (!by_self && !by_opener && (type == TRP_DONE || type == TRP_RESET)
        && (t->state == TRP_TUNNEL_IDLE || !(by & (A | E))))
    {
        return LATE;
    }

    if (t->state == TRP_TUNNEL_IDLE) {
        return by_opener && type == TRP_OPEN;
    }

    /* what is short is done with when its opener has ended and is done */

    if (((by_opener ? by : against) & (E | O)) == (E | O)
        && t->payload < TRP_TUNNEL_SHORT)
    {
        return -1;
    }

    for (i = 0; i < nelts(streams); i++) {

        if (streams[i].by != by || streams[i].against != (against & E)) {
            continue;
        }

        list = by_opener ? streams[i].opener : streams[i].other;

        if (list == NULL) {
            return -1;
        }

        return (type == TRP_ACCEPT && strchr(list, 'A'))
               || (type == TRP_REFUSE && strchr(list, 'R'))
               || (type == TRP_DATA && strchr(list, 'D'))
               || (type == TRP_END && strchr(list, 'E'))
               || (type == TRP_RESET && strchr(list, 'X'))
               || (type == TRP_DONE && strchr(list, 'O'));
    }

    return -1;
}


/* every frame, in and out, in every state that can be reached */

static void
test_states(int relay, int opener)
{
    int           i, rc, want;
    size_t        n, first, in_stream;
    unsigned      type;
    trp_tunnel_t  found[512], t;

    trp_tunnel_init(&found[0], relay, opener);

    wrong = 0;
    in_stream = 0;
    n = 1;

    for (first = 0; first < n; first++) {

        in_stream += trp_tunnel_busy(&found[first]);

        for (type = 0; type < 2 * ANY; type++) {
            t = found[first];
            want = allowed(&t, type % ANY, type < ANY);

            rc = (type < ANY) ? send_frame(&t, type)
                              : recv_frame(&t, type % ANY);

            if (rc != (want == 1 ? TRP_OK
                       : want == LATE ? TRP_DECLINED : TRP_ERROR)
                || want == -1)
            {
                disagree(want == 1 ? "should be allowed"
                                   : "should not be allowed",
                         type % ANY, &found[first]);
            }

            if (rc != TRP_OK && !same_tunnel(&t, &found[first])) {
                disagree("a refused frame changes the state", type % ANY,
                         &found[first]);
            }

            for (i = 0; i < (int) n && !same_tunnel(&t, &found[i]); i++) {
                /* void */
            }

            if (i == (int) n && n < nelts(found)) {
                found[n++] = t;
            }
        }
    }

    is_int(wrong, 0, "every frame in %d states, %s that %s", (int) n,
           relay ? "a relay" : "an agent", opener ? "opens" : "is opened");
    is_int(n - in_stream, 4, "three of the handshake and idle");
    is_int(in_stream, 58, "the states of a stream");
}


/* frames in turn, ">" from the agent, "<" from the relay */

static trp_tunnel_state_e
play(leg_t *leg, const char *script)
{
    size_t         i, len;
    const char    *p;
    trp_tunnel_t  *from, *to;

    for (p = script; *p; p += len + strspn(p + len, " ")) {
        from = (*p == '>') ? &leg->agent : &leg->relay;
        to = (*p++ == '>') ? &leg->relay : &leg->agent;

        len = strcspn(p, " ");

        for (i = 0; i < nelts(frames); i++) {
            if (strlen(frames[i].name) == len
                && memcmp(frames[i].name, p, len) == 0)
            {
                break;
            }
        }

        if (i == nelts(frames)
            || send_frame(from, frames[i].type) != TRP_OK
            || recv_frame(to, frames[i].type) != TRP_OK)
        {
            printf("# refused: %s\n", p);
            wrong++;
        }

        leg_check(leg);
    }

    return leg->relay.state;
}


static void
test_scripts(void)
{
    int     entry;
    char    script[512], *p;
    leg_t   leg;
    size_t  i;

    /* ">" is the side that opens the stream */

    static const char  *whole[] = {
        ">OPEN <ACCEPT >DATA <DATA >END <DONE <END >DONE",
        ">OPEN >DATA <ACCEPT <END >DONE >DATA >END",
        ">OPEN >DATA >END <ACCEPT <BIG <END >DONE",
        ">OPEN >END <ACCEPT <END <DONE >DONE",
        ">OPEN <ACCEPT >BIG <DATA >END <DONE <END >DONE",
        ">OPEN >BIG <ACCEPT <END >DONE >DATA >END <DONE",
        ">OPEN >BIG >END <ACCEPT <END >DONE <DONE",
        ">OPEN <REFUSE >DONE >END",
        ">OPEN <REFUSE >DONE >RESET",
        ">OPEN >DATA <REFUSE >DATA >DATA >END >DONE",
        ">OPEN >DATA >END <REFUSE >DONE",
        ">OPEN >BIG >END <REFUSE >DONE <DONE",
        ">OPEN >END <REFUSE <DONE >DONE",
        ">OPEN >RESET <REFUSE >DONE",
        ">OPEN >BIG >RESET <REFUSE >DONE <DONE",
        ">OPEN >RESET <ACCEPT <DATA <END <DONE >DONE",
        ">OPEN <ACCEPT <RESET >RESET <DONE >DONE",
        ">OPEN <ACCEPT <END <RESET >END >DONE",
        ">OPEN <ACCEPT >DATA <RESET >DATA >DONE >END",
        (">OPEN <PING >PONG >PING <PONG <ACCEPT <DRAIN >END <DONE <END "
         ">DRAIN >DONE"),
        ">OPEN <REFUSE >END >DONE >OPEN <ACCEPT >END <END >DONE",
        "<PING >PONG >PING <PONG <DRAIN >DRAIN"
    };

    for (entry = 1; entry >= 0; entry--) {
        wrong = 0;

        leg_init(&leg, entry);
        is_int(play(&leg, "<HELLO >AUTH <MOVED"), TRP_TUNNEL_READY, "moved");

        leg_init(&leg, entry);
        is_int(play(&leg, "<HELLO >AUTH <ERROR"), TRP_TUNNEL_READY,
               "not authorized");

        leg_init(&leg, entry);
        is_int(play(&leg, "<HELLO >AUTH <READY"), TRP_TUNNEL_IDLE, "ready");

        for (i = 0; i < nelts(whole); i++) {
            strcpy(script, whole[i]);

            for (p = script; !entry && *p; p++) {
                *p = (*p == '>') ? '<' : (*p == '<') ? '>' : *p;
            }

            is_int(play(&leg, script), TRP_TUNNEL_IDLE, "%s", script);
        }

        is_int(wrong, 0, "nothing was refused, %s",
               entry ? "entry" : "reverse");
    }
}


/* both ends are done at once, and the next stream begins meanwhile */

static void
test_late(void)
{
    leg_t  leg;

    wrong = 0;
    late = 0;

    leg_ready(&leg, 1);
    play(&leg, ">OPEN <ACCEPT >DATA <DATA");

    must_send(&leg.agent, &leg.up, TRP_END);
    must_send(&leg.relay, &leg.down, TRP_END);
    must_recv(&leg.agent, &leg.down);
    must_recv(&leg.relay, &leg.up);

    must_send(&leg.agent, &leg.up, TRP_DONE);
    must_send(&leg.relay, &leg.down, TRP_DONE);
    must_send(&leg.agent, &leg.up, TRP_OPEN);
    must_send(&leg.agent, &leg.up, TRP_END);

    is_int(must_recv(&leg.agent, &leg.down), 0, "a late DONE");
    is_int(leg.agent.seen, 0, "is not one of the next stream");

    while (leg.up.n) {
        must_recv(&leg.relay, &leg.up);
    }

    is_int(play(&leg, "<ACCEPT <BIG <END <DONE >DONE"), TRP_TUNNEL_IDLE,
           "which goes on");
    is_int(late, 1, "one late frame");
    is_int(wrong, 0, "nothing was refused");
}


/* any frame that an end may send, at any time, late or soon */

static void
end_send(trp_tunnel_t *t, pipe_t *pipe)
{
    unsigned  type;

    type = rnd(4) ? TRP_OPEN + rnd(7) : rnd(TYPES);

    if (type == TRP_DATA && rnd(4) == 0) {
        type = BIG;
    }

    if (type != TRP_ERRMSG && pipe->n < PIPE_FULL) {
        try_send(t, pipe, type);
    }
}


/* what brings a stream to its end */

static void
end_finish(trp_tunnel_t *t, pipe_t *pipe)
{
    static const uint8_t  types[] = {
        TRP_REFUSE, TRP_END, TRP_RESET, TRP_DONE
    };

    if (trp_tunnel_busy(t)) {
        try_send(t, pipe, types[rnd(4)]);
    }
}


static int
leg_is_idle(const leg_t *leg)
{
    return trp_tunnel_idle(&leg->relay) && trp_tunnel_idle(&leg->agent)
           && leg->up.n == 0 && leg->down.n == 0;
}


static void
test_two_ends(int entry)
{
    int     i, idle, streams, was_busy;
    leg_t   leg;
    size_t  n;

    wrong = 0;
    late = 0;
    idle = 0;
    streams = 0;

    for (i = 0; i < 100; i++) {
        rnd_seed(1000 + i);
        leg_init(&leg, entry);

        for (n = 0; n < 5000; n++) {
            was_busy = trp_tunnel_busy(&leg.agent);

            switch (rnd(4)) {

            case 0:
                end_send(&leg.relay, &leg.down);
                break;

            case 1:
                end_send(&leg.agent, &leg.up);
                break;

            case 2:
                if (leg.down.n) {
                    must_recv(&leg.agent, &leg.down);
                }
                break;

            default:
                if (leg.up.n) {
                    must_recv(&leg.relay, &leg.up);
                }
            }

            leg_check(&leg);
            streams += was_busy && trp_tunnel_idle(&leg.agent);
        }

        for (n = 0; n < 1000; n++) {
            end_finish(&leg.relay, &leg.down);
            end_finish(&leg.agent, &leg.up);

            if (leg.down.n) {
                must_recv(&leg.agent, &leg.down);
            }

            if (leg.up.n) {
                must_recv(&leg.relay, &leg.up);
            }
        }

        leg_check(&leg);
        idle += leg_is_idle(&leg) || !trp_tunnel_ready(&leg.agent);
    }

    is_int(wrong, 0, "two ends, %s: 500000 steps, no disagreement",
           entry ? "entry" : "reverse");
    is_int(idle, 100, "always idle at the end, or not yet ready");
    ok(streams > 2000 && late > 100, "%d streams, %d frames too late",
       streams, late);
}


/* a relay that pairs an entry's tunnel with that of a reverse */

typedef struct {
    leg_t          entry;
    leg_t          reverse;
    pipe_t         early;            /* of the entry, before there is a pair */
    unsigned       waiting:1;
    unsigned       paired:1;
    int            nstreams;
    int            ncuts;
} relay_t;


/* the other tunnel was lost, or there is none: the relay ends the stream */

static void
relay_abandon(leg_t *leg, int refuse)
{
    trp_tunnel_t  *t;

    t = &leg->relay;

    if (!trp_tunnel_busy(t)) {
        return;
    }

    if (!(t->sent & TRP_SEEN_END)) {
        must_send(t, &leg->down,
                  refuse && !(t->sent & TRP_SEEN_ACCEPT) ? TRP_REFUSE
                                                         : TRP_RESET);
    }

    if ((t->seen & TRP_SEEN_END) && !(t->sent & TRP_SEEN_DONE)) {
        must_send(t, &leg->down, TRP_DONE);
    }

    leg->abandoned = trp_tunnel_busy(t);
}


static void
relay_refuse(relay_t *r)
{
    if (r->waiting) {
        r->waiting = 0;
        relay_abandon(&r->entry, 1);
    }
}


static void
relay_pair(relay_t *r)
{
    if (!r->waiting || !trp_tunnel_idle(&r->reverse.relay)) {
        return;
    }

    r->waiting = 0;
    r->paired = 1;
    r->nstreams++;

    must_send(&r->reverse.relay, &r->reverse.down, TRP_OPEN);

    while (r->early.n) {
        must_send(&r->reverse.relay, &r->reverse.down, pop(&r->early));
    }
}


static void
relay_recv(relay_t *r, leg_t *leg, leg_t *other)
{
    unsigned       type;
    trp_tunnel_t  *t;

    t = &leg->relay;

    /* backpressure */

    if (leg->up.n == 0 || other->down.n >= PIPE_FULL
        || r->early.n >= PIPE_FULL)
    {
        return;
    }

    type = must_recv(t, &leg->up);

    if (type == 0) {
        return;
    }

    if (type == TRP_PING) {
        must_send(t, &leg->down, TRP_PONG);
        return;
    }

    if (type == TRP_PONG || type == TRP_DRAIN
        || (type >= TRP_AGENTS && type <= TRP_PUBLISHED))
    {
        return;
    }

    if (type == TRP_OPEN) {
        r->waiting = 1;
        r->early.n = 0;

    } else if (leg->abandoned) {

        if ((t->seen & TRP_SEEN_END) && !(t->sent & TRP_SEEN_DONE)
            && trp_tunnel_busy(t))
        {
            must_send(t, &leg->down, TRP_DONE);
        }

    } else if (r->paired) {
        must_send(&other->relay, &other->down, type);

    } else if (r->waiting
               && (type == TRP_DATA || type == BIG || type == TRP_END))
    {
        push(&r->early, type);

    } else if (r->waiting && type == TRP_RESET) {
        relay_refuse(r);

    } else {
        disagree("is nobody's", type, t);
    }

    if (trp_tunnel_idle(t)) {
        leg->abandoned = 0;
    }

    if (r->paired && trp_tunnel_idle(t) != trp_tunnel_idle(&other->relay)) {
        disagree("only one tunnel of a stream is idle", type, t);
    }

    if (trp_tunnel_idle(t)) {
        r->paired = 0;
    }
}


static void
relay_cut(relay_t *r, leg_t *leg, leg_t *other)
{
    r->ncuts++;

    if (leg == &r->entry) {
        r->waiting = 0;
    }

    if (r->paired) {
        r->paired = 0;
        relay_abandon(other, other == &r->entry);
    }

    leg_ready(leg, leg == &r->entry);
}


static void
agent_recv(leg_t *leg)
{
    if (leg->down.n && must_recv(&leg->agent, &leg->down) == TRP_PING) {
        must_send(&leg->agent, &leg->up, TRP_PONG);
    }
}


static void
relay_step(relay_t *r)
{
    leg_t  *leg, *other;

    leg = rnd(2) ? &r->entry : &r->reverse;
    other = (leg == &r->entry) ? &r->reverse : &r->entry;

    switch (rnd(64)) {

    case 0:
        if (rnd(8) == 0) {
            relay_cut(r, leg, other);
        }
        break;

    case 1:
        if (rnd(4) == 0) {
            relay_refuse(r);
        }
        break;

    case 2:
    case 3:
        relay_pair(r);
        break;

    case 4:
        try_send(&leg->relay, &leg->down, TRP_PING + rnd(3));
        break;

    default:
        switch (rnd(3)) {

        case 0:
            end_send(&leg->agent, &leg->up);
            break;

        case 1:
            agent_recv(leg);
            break;

        default:
            relay_recv(r, leg, other);
        }
    }

    leg_check(&r->entry);
    leg_check(&r->reverse);
}


static void
test_relay(void)
{
    int      i, idle, streams, cuts;
    size_t   n;
    relay_t  r;

    wrong = 0;
    late = 0;
    idle = 0;
    streams = 0;
    cuts = 0;

    for (i = 0; i < 40; i++) {
        rnd_seed(2000 + i);
        memset(&r, 0, sizeof(r));

        leg_ready(&r.entry, 1);
        leg_ready(&r.reverse, 0);

        for (n = 0; n < 20000; n++) {
            relay_step(&r);
        }

        for (n = 0; n < 1000; n++) {
            relay_refuse(&r);
            end_finish(&r.entry.agent, &r.entry.up);
            end_finish(&r.reverse.agent, &r.reverse.up);
            agent_recv(&r.entry);
            agent_recv(&r.reverse);
            relay_recv(&r, &r.entry, &r.reverse);
            relay_recv(&r, &r.reverse, &r.entry);
        }

        leg_check(&r.entry);
        leg_check(&r.reverse);

        idle += leg_is_idle(&r.entry) && leg_is_idle(&r.reverse)
                && !r.paired && !r.waiting;
        streams += r.nstreams;
        cuts += r.ncuts;
    }

    is_int(wrong, 0, "entry, relay, reverse: 800000 steps, no disagreement");
    is_int(idle, 40, "always idle at the end");
    ok(streams > 2000 && cuts > 500 && late > 500,
       "%d streams, %d lost tunnels, %d frames too late", streams, cuts, late);
}


int
main(void)
{
    test_states(0, 0);
    test_states(0, 1);
    test_states(1, 0);
    test_states(1, 1);

    test_scripts();
    test_late();

    test_two_ends(0);
    test_two_ends(1);
    test_relay();

    return done_testing();
}
