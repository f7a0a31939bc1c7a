
/*
 * Copyright (C) the trp authors
 */


/*
 * Parsing of limits, and rates as leaky buckets: the level rises with each
 * event, leaks at the rate and may reach the size of a burst.
 */


#include "base/trp_limit.h"
#include "base/trp_str.h"


#define TRP_BUCKET_CHUNK_MIN  1024
#define TRP_BUCKET_CHUNK_MAX  16384

/* with the highest rate, no product can overflow */
#define TRP_BUCKET_TIME_MAX   (1 << 22)


static int trp_limits_number(uint32_t *value, trp_str_t text);
static int trp_limits_rate(uint64_t *value, trp_str_t text);


static const trp_str_t  trp_limit_tunnels = trp_string("tunnels=");
static const trp_str_t  trp_limit_streams = trp_string("streams=");
static const trp_str_t  trp_limit_opens = trp_string("opens=");
static const trp_str_t  trp_limit_publish = trp_string("publish=");
static const trp_str_t  trp_limit_rate = trp_string("rate=");
static const trp_str_t  trp_limit_per_second = trp_string("r/s");


int
trp_limits_parse(trp_limits_t *limits, trp_str_t text)
{
    trp_str_t  unit;

    if (trp_str_starts(text, trp_limit_tunnels)) {
        trp_str_skip(&text, trp_limit_tunnels.len);
        return trp_limits_number(&limits->tunnels, text);
    }

    if (trp_str_starts(text, trp_limit_streams)) {
        trp_str_skip(&text, trp_limit_streams.len);
        return trp_limits_number(&limits->streams, text);
    }

    if (trp_str_starts(text, trp_limit_publish)) {
        trp_str_skip(&text, trp_limit_publish.len);
        return trp_limits_number(&limits->publish, text);
    }

    if (trp_str_starts(text, trp_limit_rate)) {
        trp_str_skip(&text, trp_limit_rate.len);
        return trp_limits_rate(&limits->rate, text);
    }

    if (!trp_str_starts(text, trp_limit_opens)) {
        return TRP_ERROR;
    }

    trp_str_skip(&text, trp_limit_opens.len);

    if (text.len < trp_limit_per_second.len) {
        return TRP_ERROR;
    }

    text.len -= trp_limit_per_second.len;

    unit.len = trp_limit_per_second.len;
    unit.data = text.data + text.len;

    if (!trp_str_equal(unit, trp_limit_per_second)) {
        return TRP_ERROR;
    }

    return trp_limits_number(&limits->opens, text);
}


static int
trp_limits_number(uint32_t *value, trp_str_t text)
{
    size_t    i;
    uint32_t  n;

    if (*value != 0) {
        return TRP_DECLINED;
    }

    if (text.len == 0 || text.len > 9) {
        return TRP_ERROR;
    }

    n = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return TRP_ERROR;
        }

        n = n * 10 + (text.data[i] - '0');
    }

    *value = n;

    return (n != 0) ? TRP_OK : TRP_ERROR;
}


/* a number of bytes, as nginx has them: "500k", "10m", "1g" */

static int
trp_limits_rate(uint64_t *value, trp_str_t text)
{
    int       rc, shift;
    uint32_t  n;

    if (*value != 0) {
        return TRP_DECLINED;
    }

    shift = 0;

    if (text.len) {

        switch (text.data[text.len - 1]) {

        case 'k':
        case 'K':
            shift = 10;
            break;

        case 'm':
        case 'M':
            shift = 20;
            break;

        case 'g':
        case 'G':
            shift = 30;
            break;
        }
    }

    text.len -= (shift != 0);

    n = 0;
    rc = trp_limits_number(&n, text);

    /* no second's worth may overflow when it is counted in thousandths */

    if (rc != TRP_OK || (uint64_t) n << shift > TRP_LIMIT_RATE_MAX) {
        return TRP_ERROR;
    }

    *value = (uint64_t) n << shift;

    return TRP_OK;
}


trp_limits_t
trp_limits_merge(const trp_limits_t *own, const trp_limits_t *other)
{
    trp_limits_t  limits;

    limits.tunnels = own->tunnels ? own->tunnels : other->tunnels;
    limits.streams = own->streams ? own->streams : other->streams;
    limits.opens = own->opens ? own->opens : other->opens;
    limits.publish = own->publish ? own->publish : other->publish;
    limits.rate = own->rate ? own->rate : other->rate;

    return limits;
}


int
trp_limits_set(const trp_limits_t *limits)
{
    return limits->tunnels || limits->streams || limits->opens
           || limits->publish || limits->rate;
}


uint64_t
trp_bucket_wait(trp_bucket_t *bucket, uint64_t rate, uint64_t now)
{
    int64_t   size;
    uint64_t  passed;

    trp_assert(rate != 0 && rate <= TRP_LIMIT_RATE_MAX);

    /* a tenth of a second fills it, after what was overdrawn */

    size = (int64_t) (rate / 10);
    size = (size > TRP_BUCKET_CHUNK_MIN) ? size : TRP_BUCKET_CHUNK_MIN;

    passed = (now > bucket->last) ? now - bucket->last : 0;
    passed = (passed < TRP_BUCKET_TIME_MAX) ? passed : TRP_BUCKET_TIME_MAX;

    bucket->level += (int64_t) (passed * rate);
    bucket->last = now;

    if (bucket->level > size * 1000) {
        bucket->level = size * 1000;
    }

    return (bucket->level > 0) ? 0 : (uint64_t) -bucket->level / rate + 1;
}


void
trp_bucket_take(trp_bucket_t *bucket, size_t n)
{
    bucket->level -= (int64_t) n * 1000;
}


size_t
trp_bucket_chunk(uint64_t rate)
{
    rate /= 32;

    return (rate < TRP_BUCKET_CHUNK_MIN) ? TRP_BUCKET_CHUNK_MIN
           : (rate > TRP_BUCKET_CHUNK_MAX) ? TRP_BUCKET_CHUNK_MAX
           : (size_t) rate;
}


int
trp_rate_take(trp_rate_t *rate, uint32_t limit, uint64_t now)
{
    return trp_rate_take_n(rate, limit, 1, now);
}


int
trp_rate_take_burst(trp_rate_t *rate, uint32_t limit, uint32_t burst,
    uint64_t now)
{
    uint64_t  leaked, passed;

    if (limit == 0) {
        return TRP_OK;
    }

    /* at most 2^32 ms, which empties any bucket: no product can overflow */

    passed = (now > rate->last) ? now - rate->last : 0;
    leaked = (passed < UINT32_MAX ? passed : UINT32_MAX) * limit;

    rate->level -= (leaked < rate->level) ? leaked : rate->level;
    rate->last = now;

    if (rate->level + 1000 > (uint64_t) burst * 1000) {
        return TRP_DECLINED;
    }

    rate->level += 1000;

    return TRP_OK;
}


int
trp_rate_take_n(trp_rate_t *rate, uint64_t limit, uint64_t n, uint64_t now)
{
    uint64_t  leaked, passed;

    if (limit == 0) {
        return TRP_OK;
    }

    /* at most a second, which empties the bucket: no product can overflow */

    passed = (now > rate->last) ? now - rate->last : 0;
    leaked = (passed < 1000) ? passed * limit : limit * 1000;

    rate->level -= (leaked < rate->level) ? leaked : rate->level;
    rate->last = now;

    if (rate->level + n * 1000 > limit * 1000) {
        return TRP_DECLINED;
    }

    rate->level += n * 1000;

    return TRP_OK;
}
