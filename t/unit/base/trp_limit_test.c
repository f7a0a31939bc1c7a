
/*
 * Copyright (C) the trp authors
 */


/* limits: what stands for what, and a rate that is held */


#include "tap.h"

#include "base/trp_limit.h"


static void
test_merge(void)
{
    trp_limits_t  own = { 1, 0, 3, 0 };
    trp_limits_t  other = { 10, 20, 30, 40 };
    trp_limits_t  limits;

    limits = trp_limits_merge(&own, &other);

    is_int(limits.tunnels, 1, "own");
    is_int(limits.streams, 20, "other");
    is_int(limits.opens, 3, "own again");
    is_int(limits.publish, 40, "other again");
    is_int(trp_limits_set(&limits), 1, "there are limits");

    memset(&limits, 0, sizeof(limits));
    is_int(trp_limits_set(&limits), 0, "there are none");
}


static int
taken(trp_rate_t *rate, uint32_t limit, uint64_t now, int n)
{
    int  i, ok;

    ok = 0;

    for (i = 0; i < n; i++) {
        ok += (trp_rate_take(rate, limit, now) == TRP_OK);
    }

    return ok;
}


static void
test_rate(void)
{
    int         n;
    uint64_t    now;
    trp_rate_t  rate;

    memset(&rate, 0, sizeof(rate));
    is_int(taken(&rate, 0, 5, 1000), 1000, "no limit");

    is_int(taken(&rate, 10, 100000, 100), 10, "a second's worth at once");
    is_int(taken(&rate, 10, 100099, 1), 0, "no more");
    is_int(taken(&rate, 10, 100200, 100), 2, "as much as time has passed");
    is_int(taken(&rate, 10, 900000, 100), 10, "no more than a second's worth");
    is_int(taken(&rate, 10, 800000, 100), 0, "a clock that goes back");

    memset(&rate, 0, sizeof(rate));
    n = 0;

    for (now = 0; now < 100; now++) {
        n += trp_rate_take_burst(&rate, 10, 25, 5000) == TRP_OK;
    }

    is_int(n, 25, "a burst");

    for (now = 0; now < 100; now++) {
        n += trp_rate_take_burst(&rate, 10, 25, 6000) == TRP_OK;
    }

    is_int(n, 35, "and then by and by");

    for (now = 0; now < 100; now++) {
        n += trp_rate_take_burst(&rate, 10, 25, UINT64_MAX - 1) == TRP_OK;
    }

    is_int(n, 60, "a burst again");
    is_int(trp_rate_take_burst(&rate, 0, 0, 0), TRP_OK, "no limit");

    memset(&rate, 0, sizeof(rate));
    n = 0;

    for (now = 1000; now < 11000; now++) {
        n += taken(&rate, 7, now, 3);
    }

    ok(n >= 76 && n <= 77, "ten seconds of 7, and one that waited: %d", n);

    memset(&rate, 0, sizeof(rate));
    is_int(taken(&rate, 999999999, (uint64_t) -1, 1000), 1000, "a high limit");
    is_int(taken(&rate, 1, 0, 1), 0, "and a low one then");
}


int
main(void)
{
    test_merge();
    test_rate();

    return done_testing();
}
