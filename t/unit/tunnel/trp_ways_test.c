
/*
 * Copyright (C) the trp authors
 */


/* which way is used: a caller with a clock of its own, and ways that break */


#include "tap.h"
#include "rnd.h"

#include "tunnel/trp_ways.h"


#define STEP      50               /* ms */
#define SECOND    1000
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)

#define PROBE     (30 * SECOND)
#define HOLD      (10 * SECOND)

/* what dialling takes if it succeeds, and how long a caller waits after it */

#define DIAL      100
#define BACKOFF   2000


typedef int (*works_pt)(unsigned way, uint64_t now);


/* a caller that wants one connection, and what has become of it */

typedef struct {
    trp_ways_t  ways;
    unsigned    n;
    works_pt    works;
    uint64_t    now;

    unsigned    way;               /* to dial by */
    uint64_t    dial;              /* when a dial ends; 0: none */
    uint64_t    wait;              /* no dial before */
    unsigned    up;                /* connected, by */
    unsigned    by;

    uint64_t    probe;             /* when its dial ends; 0: none */
    unsigned    probing;           /* there is one, by */
    unsigned    probed;

    unsigned    dials;
    unsigned    probes;
    unsigned    changes;
    unsigned    back;              /* of those, to a better way */
    uint64_t    down;              /* for so long, in sum */
    unsigned    wrong;
    uint64_t    probe_at;          /* the last one */
} caller_t;


static void
events(caller_t *c)
{
    trp_ways_event_t  event;

    while (trp_ways_next(&c->ways, &event) == TRP_OK) {

        c->wrong += event.way >= c->n;

        switch (event.type) {

        case TRP_WAYS_USED:
            c->wrong += event.way == event.from;
            c->changes++;
            c->back += event.way < event.from;
            break;

        case TRP_WAYS_DIAL:
            c->way = event.way;

            if (c->up && c->by != c->way) {

                /* the tunnels of the other way are replaced at leisure */
                c->by = c->way;
            }

            if (event.at_once) {
                c->wait = c->now;
            }

            break;

        case TRP_WAYS_PROBE:
            c->wrong += c->probing != 0;
            c->wrong += event.way >= c->ways.used;
            c->probing = 1;
            c->probed = event.way;
            c->probe = c->now + DIAL;
            c->probe_at = c->now;
            c->probes++;
            break;
        }
    }

    if (c->ways.probed == c->n) {
        c->probing = 0;
        c->probe = 0;
    }
}


static void
start(caller_t *c, unsigned n, works_pt works, uint32_t seed)
{
    memset(c, 0, sizeof(caller_t));

    c->n = n;
    c->works = works;
    c->now = 1;

    trp_ways_init(&c->ways, n, PROBE, HOLD, seed, c->now);
}


static void
step(caller_t *c)
{
    uint64_t  deadline;

    c->now += STEP;

    if (c->up && !c->works(c->by, c->now)) {
        c->up = 0;
        trp_ways_down(&c->ways, 1, c->now);
        events(c);
    }

    if (c->probing && c->probe == 0 && !c->works(c->probed, c->now)) {
        c->probing = 0;
        trp_ways_vain(&c->ways, c->now);
        events(c);
    }

    if (c->probe && c->now >= c->probe) {
        c->probe = 0;

        if (c->works(c->probed, c->now)) {
            trp_ways_held(&c->ways, c->now);

        } else {
            c->probing = 0;
            trp_ways_vain(&c->ways, c->now);
        }

        events(c);
    }

    if (!c->up && c->dial == 0 && c->now >= c->wait) {
        c->dial = c->now + DIAL;
        c->by = c->way;
        c->dials++;
    }

    if (c->dial && c->now >= c->dial) {
        c->dial = 0;

        if (c->works(c->by, c->now)) {
            c->up = 1;
            trp_ways_up(&c->ways, c->by, c->now);

        } else {
            c->wait = c->now + rnd(2 * BACKOFF);
            trp_ways_failed(&c->ways, c->by, c->now);
        }

        events(c);
    }

    deadline = trp_ways_deadline(&c->ways);

    if (deadline && c->now >= deadline) {
        trp_ways_expire(&c->ways, c->now);
        events(c);
    }

    c->wrong += c->ways.used >= c->n || c->ways.dialled >= c->n;
    c->wrong += c->up != c->ways.up;
    c->down += c->up ? 0 : STEP;
}


static void
run(caller_t *c, uint64_t until)
{
    while (c->now < until) {
        step(c);
    }
}


static int
all(unsigned way, uint64_t now)
{
    (void) way;
    (void) now;

    return 1;
}


static int
but_first(unsigned way, uint64_t now)
{
    (void) now;

    return way != 0;
}


static int
last(unsigned way, uint64_t now)
{
    (void) now;

    return way == 2;
}


static int
first_comes_back(unsigned way, uint64_t now)
{
    return way != 0 || now < 5 * MINUTE || now > 10 * MINUTE;
}


/* for a second, now and then */

static int
first_flaps(unsigned way, uint64_t now)
{
    return way != 0 || now % (7 * SECOND) < SECOND;
}


/* for longer than it has to hold, but not for long */

static int
first_lapses(unsigned way, uint64_t now)
{
    return way != 0 || now % (2 * MINUTE) < 25 * SECOND;
}


/* a relay that is restarted, and one that is away for some minutes */

static int
restarted(unsigned way, uint64_t now)
{
    (void) way;

    return now < HOUR || now > HOUR + 2 * SECOND;
}


static int
away(unsigned way, uint64_t now)
{
    (void) way;

    return now < HOUR || now > HOUR + 5 * MINUTE;
}


static uint32_t  weather[3][1024];


static int
changing(unsigned way, uint64_t now)
{
    if (way == 2) {
        return 1;
    }

    return weather[way][(now / (500 * (way + 1))) % 1024] & 1;
}


static void
one_way(void)
{
    caller_t  c;

    start(&c, 3, all, 1);
    run(&c, HOUR);

    is_int(c.dials, 1, "the first way works: dialled once");
    is_int(c.probes + c.changes, 0, "and nothing else is tried");
    is_int(trp_ways_deadline(&c.ways), 0, "no timer is left");
    is_int(c.wrong, 0, "nothing wrong");
}


static void
falls_back(void)
{
    caller_t  c;
    unsigned  probes;

    start(&c, 2, but_first, 2);
    run(&c, 10 * SECOND);

    is_int(c.ways.used, 1, "the first does not work: the second is used");
    ok(c.down < 6 * SECOND, "after %u ms", (unsigned) c.down);
    is_int(c.changes, 1, "one change");

    run(&c, HOUR);

    is_int(c.changes, 1, "no other");
    ok(c.probes > 5 && c.probes < 15, "%u probes in an hour", c.probes);

    probes = c.probes;
    run(&c, 2 * HOUR);

    ok(c.probes - probes <= 12, "%u in the next", c.probes - probes);
    is_int(c.wrong, 0, "nothing wrong");

    start(&c, 3, last, 3);
    run(&c, 15 * SECOND);

    is_int(c.ways.used, 2, "two do not work: the third is used");
    ok(c.down < 8 * SECOND, "after %u ms", (unsigned) c.down);
    is_int(c.wrong, 0, "nothing wrong");
}


static void
returns(void)
{
    caller_t  c;

    start(&c, 3, first_comes_back, 4);
    run(&c, 9 * MINUTE);

    is_int(c.ways.used, 1, "the first is lost: the second is used");
    ok(c.down < 6 * SECOND, "after %u ms", (unsigned) c.down);

    run(&c, 10 * MINUTE + PROBE);

    while (c.ways.used && c.now < HOUR) {
        step(&c);
    }

    ok(c.now < 20 * MINUTE, "back after %u s",
       (unsigned) (c.now / SECOND) - 600);
    ok(c.now - c.probe_at >= HOLD, "the probe has held for %u ms",
       (unsigned) (c.now - c.probe_at));

    run(&c, 3 * HOUR);

    is_int(c.changes, 2, "two changes");
    ok(c.down < 6 * SECOND, "nothing was lost by the return");
    is_int(c.wrong, 0, "nothing wrong");
}


static void
flaps(void)
{
    caller_t  c;

    start(&c, 2, first_flaps, 5);
    run(&c, 4 * HOUR);

    is_int(c.ways.used, 1, "a way that works for a second is not used");
    is_int(c.back, 0, "there is no return to it");
    ok(c.changes <= 1, "%u changes in 4 hours", c.changes);
    ok(c.down < 30 * SECOND, "%u s without a connection",
       (unsigned) (c.down / SECOND));

    start(&c, 2, first_lapses, 6);
    run(&c, 4 * HOUR);

    ok(c.changes <= 8, "one that works for 25 s: %u changes in 4 hours",
       c.changes);
    ok(c.down < MINUTE, "%u s without a connection",
       (unsigned) (c.down / SECOND));
    is_int(c.wrong, 0, "nothing wrong");
}


static void
relay_restarts(void)
{
    caller_t  c;
    unsigned  i, n, dials, most, late, fell, seconds[120];

    start(&c, 3, restarted, 7);
    run(&c, 2 * HOUR);

    is_int(c.changes + c.probes, 0, "a restart is no reason for a change");

    memset(seconds, 0, sizeof(seconds));
    dials = 0;
    late = 0;
    fell = 0;

    for (n = 0; n < 1000; n++) {
        start(&c, 3, away, n * 7919 + 1);

        /* as if an hour had passed */
        run(&c, SECOND);
        c.now = HOUR - SECOND;

        run(&c, HOUR + 5 * MINUTE);

        rnd_seed(n + 1);
        i = c.dials;
        run(&c, HOUR + 7 * MINUTE);

        dials += c.dials - i;
        fell += (c.changes != 0);
        late += (c.ways.used != 0);

        if (c.probes) {
            i = (unsigned) ((c.probe_at - HOUR - 5 * MINUTE) / SECOND);
            seconds[i < 119 ? i : 119]++;
        }
    }

    most = 0;

    for (i = 0; i < 120; i++) {
        most = (seconds[i] > most) ? seconds[i] : most;
    }

    ok(dials <= 2000, "it was away: %u agents of 1000 fell back, %u dials",
       fell, dials);
    is_int(late, 0, "all have returned two minutes later");
    ok(most < 600, "%u probes in a second, at most", most);
}


static void
any_weather(void)
{
    caller_t  c;
    unsigned  i, k, n, wrong, worst;

    wrong = 0;
    worst = 0;

    for (n = 0; n < 200; n++) {
        rnd_seed(n + 1);

        for (i = 0; i < 3; i++) {
            for (k = 0; k < 1024; k++) {

                /* long spells as well as short ones */
                weather[i][k] = (k && rnd(n % 20 + 1))
                                ? weather[i][k - 1] : rnd(2);
            }
        }

        start(&c, 3, changing, n + 1);
        run(&c, HOUR);

        wrong += c.wrong;
        worst = (c.down > worst) ? (unsigned) c.down : worst;
    }

    is_int(wrong, 0, "ways that come and go: nothing wrong");
    ok(worst < 10 * MINUTE, "one always works: %u s of an hour without",
       worst / SECOND);
}


int
main(void)
{
    one_way();
    falls_back();
    returns();
    flaps();
    relay_restarts();
    any_weather();

    return done_testing();
}
