
/*
 * Copyright (C) the trp authors
 */


/*
 * The text of a limit, and a rate: never more than the limit allows, and
 * never less after a second of rest.
 */


#include <stdlib.h>
#include <string.h>

#include "base/trp_limit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* a number that was taken is the one that stands there, and is not 0 */

static void
fuzz_parse(const uint8_t *data, size_t size)
{
    int           rc;
    uint8_t      *p;
    trp_str_t     text;
    trp_limits_t  limits, before;

    /* without a byte to spare, so that ASan sees reads past the end */

    p = malloc(size ? size : 1);
    if (p == NULL) {
        return;
    }

    memcpy(p, data, size);

    text.len = size;
    text.data = p;

    memset(&limits, 0, sizeof(trp_limits_t));
    rc = trp_limits_parse(&limits, text);

    if (rc == TRP_OK
        && ((limits.tunnels != 0) + (limits.streams != 0)
            + (limits.opens != 0) + (limits.publish != 0)
            + (limits.rate != 0) != 1
            || limits.rate > TRP_LIMIT_RATE_MAX))
    {
        abort();
    }

    if (rc == TRP_OK) {
        before = limits;

        if (trp_limits_parse(&limits, text) != TRP_DECLINED
            || memcmp(&before, &limits, sizeof(trp_limits_t)) != 0)
        {
            abort();
        }
    }

    free(p);
}


/*
 * Steps of time, each with one more: as many as the limit in a burst, and
 * after it never more than the time gives; and after a second, the next one is
 * let in.
 */

static void
fuzz_rate(const uint8_t *data, size_t size, uint32_t limit)
{
    int         rc;
    size_t      i;
    uint64_t    now, start, taken, idle;
    trp_rate_t  rate;

    memset(&rate, 0, sizeof(trp_rate_t));

    start = 1000;
    now = start;
    taken = 0;
    idle = 1000;

    for (i = 0; i < size; i++) {
        now += data[i] * (uint64_t) (data[i] & 1 ? 1 : 17);
        idle += data[i] * (uint64_t) (data[i] & 1 ? 1 : 17);

        rc = trp_rate_take(&rate, limit, now);

        if (rc == TRP_OK) {
            taken++;

        } else if (limit == 0 || idle >= 1000) {
            abort();
        }

        idle = 0;

        if (limit && taken > limit + (now - start) * limit / 1000 + 1) {
            abort();
        }
    }
}


/*
 * Steps of time, each with a chunk if there is something in the bucket: what is
 * taken is what the time gives, a burst and a chunk more at most.
 */

static void
fuzz_bucket(const uint8_t *data, size_t size, uint64_t rate)
{
    size_t        i, chunk;
    uint64_t      now, wait, taken;
    trp_bucket_t  bucket;

    memset(&bucket, 0, sizeof(trp_bucket_t));

    now = 1000;
    taken = 0;
    chunk = trp_bucket_chunk(rate);

    for (i = 0; i < size; i++) {
        now += data[i];
        wait = trp_bucket_wait(&bucket, rate, now);

        if (wait == 0) {
            trp_bucket_take(&bucket, chunk);
            taken += chunk;

        } else if (trp_bucket_wait(&bucket, rate, now + wait) != 0) {
            abort();

        } else {
            now += wait;
        }

        if (taken > now * rate / 1000 + rate / 10 + 1024 + chunk) {
            abort();
        }
    }
}


/* the input: four bytes for the limit, and a text that is steps as well */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t  limit;

    fuzz_parse(data, size);

    if (size < sizeof(limit)) {
        return 0;
    }

    memcpy(&limit, data, sizeof(limit));
    fuzz_rate(data + sizeof(limit), size - sizeof(limit), limit);
    fuzz_rate(data + sizeof(limit), size - sizeof(limit), limit % 16);
    fuzz_bucket(data + sizeof(limit), size - sizeof(limit),
                (uint64_t) limit + 1);

    return 0;
}
