
/*
 * Copyright (C) the trp authors
 */


/* how often a source is answered: a fixed table for any number of sources */


#include <stdlib.h>

#include "tap.h"
#include "rnd.h"

#include "base/trp_addr.h"
#include "base/trp_budget.h"
#include "base/trp_hash.h"
#include "base/trp_random.h"


static trp_budget_t   budget;

static const uint8_t  key[TRP_HASH_KEY_LEN] = { 7, 1 };


static trp_addr_t
source(const char *text)
{
    trp_str_t   s;
    trp_addr_t  a;

    s.data = (const uint8_t *) text;
    s.len = strlen(text);

    memset(&a, 0, sizeof(a));

    if (trp_addr_parse(&a, s) != TRP_OK) {
        abort();
    }

    return a;
}


static int
taken(const char *from, uint32_t limit, uint64_t now, int n)
{
    int         i, ok;
    trp_addr_t  a;

    a = source(from);
    ok = 0;

    for (i = 0; i < n; i++) {
        ok += trp_budget_take(&budget, key, &a, limit, limit, now) == TRP_OK;
    }

    return ok;
}


static void
test_sources(void)
{
    memset(&budget, 0, sizeof(budget));

    is_int(taken("192.0.2.1", 0, 1000, 1000), 1000, "no limit");
    is_int(taken("192.0.2.1", 10, 5000, 100), 10, "a second's worth");
    is_int(taken("192.0.2.1", 10, 5050, 100), 0, "no more");
    is_int(taken("192.0.2.2", 10, 5050, 100), 10, "another source has its own");
    is_int(taken("192.0.2.1", 10, 5200, 100), 2, "a little later");
    is_int(taken("192.0.2.1", 10, 90000, 100), 10, "much later");

    is_int(taken("2001:db8:0:1::1", 10, 90000, 7), 7, "IPv6");
    is_int(taken("2001:db8:0:1:ffff::9", 10, 90000, 7), 3,
           "the same /64 is the same source");
    is_int(taken("2001:db8:0:2::1", 10, 90000, 20), 10, "another /64");
}


static void
test_seen(void)
{
    trp_addr_t  a, b;

    memset(&budget, 0, sizeof(budget));

    a = source("2001:db8:0:1::1");
    b = source("2001:db8:0:2::1");

    is_int(trp_budget_seen(&budget, key, &a, 1000, 500), 0, "not seen");
    trp_budget_see(&budget, key, &a, 5000);
    is_int(trp_budget_seen(&budget, key, &a, 1000, 5999), 1, "seen lately");
    is_int(trp_budget_seen(&budget, key, &a, 1000, 6000), 0, "long ago");
    is_int(trp_budget_seen(&budget, key, &b, 1000, 5000), 0, "another /64");

    a = source("2001:db8:0:1:2::3");
    is_int(trp_budget_seen(&budget, key, &a, 1000, 5999), 1, "the same /64");
    is_int(taken("2001:db8:0:1::1", 10, 6000, 100), 10, "taking");
    is_int(trp_budget_seen(&budget, key, &a, 1000, 6000), 0, "is not seeing");
    trp_budget_see(&budget, key, &a, 6000);
    is_int(taken("2001:db8:0:1::1", 10, 6000, 100), 0, "nor the reverse");
}


/* a flood of other sources does not make room for one that goes on asking */

static void
test_flood(void)
{
    int         i, answered, new;
    uint64_t    now;
    trp_addr_t  spoofed, own;

    memset(&budget, 0, sizeof(budget));
    memset(&spoofed, 0, sizeof(spoofed));

    spoofed.family = 4;
    own = source("198.51.100.7");
    now = 10000;
    answered = 0;
    new = 0;

    rnd_seed(23);

    for (i = 0; i < 200000; i++) {
        now += (i % 100 == 0);

        spoofed.bytes[0] = (uint8_t) rnd(256);
        spoofed.bytes[1] = (uint8_t) rnd(256);
        spoofed.bytes[2] = (uint8_t) rnd(256);
        spoofed.bytes[3] = (uint8_t) rnd(256);

        new += trp_budget_take(&budget, key, &spoofed, 1, 1, now) == TRP_OK;

        /* two seconds, so it has 30 in all if it keeps its place */

        answered += trp_budget_take(&budget, key, &own, 10, 10, now) == TRP_OK;
    }

    ok(answered >= 29 && answered <= 31,
       "%d answers in two seconds under a flood", answered);

    ok(new > 199900, "%d of 200000 sources are new and get an answer", new);

    is_int(sizeof(trp_budget_t),
           TRP_BUDGET_ROWS * TRP_BUDGET_WAYS * sizeof(trp_budget_entry_t),
           "as large as before");
}


static void
test_random_below(void)
{
    int           i, wrong, seen[10];
    uint8_t       a[100], b[100];
    trp_random_t  one, two;

    static uint8_t  seed[TRP_RANDOM_SEED_LEN] = { 1 };

    trp_random_init(&one, seed);
    trp_random_init(&two, seed);

    trp_random_bytes(&one, a, 100);
    trp_random_bytes(&two, b, 100);
    ok(memcmp(a, b, 100) == 0, "the same seed gives the same bytes");

    trp_random_bytes(&one, b, 100);
    ok(memcmp(a, b, 100) != 0, "and never the same again");

    seed[31] = 1;
    trp_random_init(&two, seed);
    trp_random_bytes(&two, b, 100);
    ok(memcmp(a, b, 100) != 0, "another seed, other bytes");

    memset(seen, 0, sizeof(seen));
    wrong = 0;

    for (i = 0; i < 10000; i++) {
        wrong += trp_random_below(&one, 1) != 0
                 || trp_random_below(&one, 0xffffffff) == 0xffffffff;
        seen[trp_random_below(&one, 10) % 10]++;
    }

    is_int(wrong, 0, "below its limit");

    for (i = 0; i < 10; i++) {
        wrong += seen[i] < 800 || seen[i] > 1200;
    }

    is_int(wrong, 0, "and even");
}


int
main(void)
{
    test_sources();
    test_seen();
    test_flood();
    test_random_below();

    return done_testing();
}
