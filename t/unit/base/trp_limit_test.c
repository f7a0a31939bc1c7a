
/*
 * Copyright (C) the trp authors
 */


/* limits: what stands for what, and a rate that is held */


#include "tap.h"

#include "base/trp_limit.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))


static trp_str_t
text(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


static void
test_merge(void)
{
    trp_limits_t  own = { 1, 0, 3, 0, 5 };
    trp_limits_t  other = { 10, 20, 30, 40, 50 };
    trp_limits_t  limits;

    limits = trp_limits_merge(&own, &other);

    is_int(limits.tunnels, 1, "own");
    is_int(limits.streams, 20, "other");
    is_int(limits.opens, 3, "own again");
    is_int(limits.publish, 40, "other again");
    is_int(limits.rate, 5, "own bandwidth");
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


static void
test_rate_parse(void)
{
    size_t        i;
    trp_limits_t  limits;

    static const struct {
        const char  *text;
        int          rc;
        uint64_t     rate;
    } t[] = {
        { "rate=1", TRP_OK, 1 },
        { "rate=500k", TRP_OK, 500 * 1024 },
        { "rate=10m", TRP_OK, 10 * 1024 * 1024 },
        { "rate=10M", TRP_OK, 10 * 1024 * 1024 },
        { "rate=1g", TRP_OK, 1024 * 1024 * 1024 },
        { "rate=1024g", TRP_OK, TRP_LIMIT_RATE_MAX },
        { "rate=1025g", TRP_ERROR, 0 },
        { "rate=0", TRP_ERROR, 0 },
        { "rate=0k", TRP_ERROR, 0 },
        { "rate=", TRP_ERROR, 0 },
        { "rate=m", TRP_ERROR, 0 },
        { "rate=1t", TRP_ERROR, 0 },
        { "rate=1kk", TRP_ERROR, 0 },
        { "rate=-1", TRP_ERROR, 0 },
        { "rate=9999999999", TRP_ERROR, 0 },
        { "rate", TRP_ERROR, 0 }
    };

    for (i = 0; i < nelts(t); i++) {
        memset(&limits, 0, sizeof(limits));
        is_int(trp_limits_parse(&limits, text(t[i].text)), t[i].rc, "\"%s\"",
               t[i].text);
        ok(limits.rate == t[i].rate, "its rate");
    }

    memset(&limits, 0, sizeof(limits));
    limits.rate = 1;
    is_int(trp_limits_parse(&limits, text("rate=2")), TRP_DECLINED, "twice");
    is_int(trp_limits_set(&limits), 1, "it is a limit");
}


/* bytes taken from "from" to "to" by one who takes all that there is */

static uint64_t
drunk(trp_bucket_t *bucket, uint64_t rate, uint64_t from, uint64_t to)
{
    size_t    chunk;
    uint64_t  sum;

    sum = 0;
    chunk = trp_bucket_chunk(rate);

    for ( /* void */ ; from < to; from++) {
        while (trp_bucket_wait(bucket, rate, from) == 0) {
            trp_bucket_take(bucket, chunk);
            sum += chunk;
        }
    }

    return sum;
}


static void
test_bucket(void)
{
    size_t        i;
    uint64_t      sum, wait;
    trp_bucket_t  bucket;

    static const uint64_t  rates[] = {
        1, 1000, 100000, 1000000, 125000000
    };

    for (i = 0; i < nelts(rates); i++) {
        memset(&bucket, 0, sizeof(bucket));

        (void) drunk(&bucket, rates[i], 1, 100000);
        sum = drunk(&bucket, rates[i], 100000, 200000);

        ok(sum <= rates[i] * 100 + trp_bucket_chunk(rates[i])
           && sum + 1024 + rates[i] / 100 >= rates[i] * 100,
           "100 seconds of rate %lu", (unsigned long) rates[i]);
    }

    /* a rest is worth a tenth of a second */

    memset(&bucket, 0, sizeof(bucket));
    (void) drunk(&bucket, 1000000, 1, 1000);
    sum = drunk(&bucket, 1000000, 90000, 90001);
    ok(sum >= 100000 && sum <= 100000 + 16384, "a burst: %lu",
       (unsigned long) sum);

    /* after what was overdrawn it says when */

    memset(&bucket, 0, sizeof(bucket));
    (void) trp_bucket_wait(&bucket, 1000, 5000);
    trp_bucket_take(&bucket, 2100);
    wait = trp_bucket_wait(&bucket, 1000, 5000);
    ok(trp_bucket_wait(&bucket, 1000, 5000 + wait - 1) != 0, "not sooner");
    is_int(trp_bucket_wait(&bucket, 1000, 5000 + wait), 0, "then");

    /* time that goes back gives nothing */

    trp_bucket_take(&bucket, 5000);
    ok(trp_bucket_wait(&bucket, 1000, 100) != 0, "a clock that goes back");

    is_int(trp_bucket_chunk(1), 1024, "small chunks");
    is_int(trp_bucket_chunk(320000), 10000, "in between");
    is_int(trp_bucket_chunk(TRP_LIMIT_RATE_MAX), 16384, "large ones");
}


int
main(void)
{
    test_merge();
    test_rate();
    test_rate_parse();
    test_bucket();

    return done_testing();
}
