
/*
 * Copyright (C) the trp authors
 */


/*
 * Meters of bandwidth.  The bucket may be overdrawn by a chunk, so that it is
 * enough to ask whether there is anything in it.
 */


#include "base/ngx_trp_meter.h"


static ngx_trp_meter_t *ngx_trp_metered_short(ngx_trp_metered_t *metered,
    ngx_uint_t patient);
static void ngx_trp_metered_turn(ngx_trp_metered_t *metered);
static void ngx_trp_meter_arm(ngx_trp_meter_t *meter);
static void ngx_trp_meter_handler(ngx_event_t *ev);


void
ngx_trp_meter_init(ngx_trp_meter_t *meter, uint64_t rate)
{
    ngx_memzero(meter, sizeof(ngx_trp_meter_t));

    meter->rate = rate;
    ngx_queue_init(&meter->queue);

    meter->timer.data = meter;
    meter->timer.log = ngx_cycle->log;
    meter->timer.handler = ngx_trp_meter_handler;
}


void
ngx_trp_meter_done(ngx_trp_meter_t *meter)
{
    if (meter->timer.timer_set) {
        ngx_del_timer(&meter->timer);
    }

    if (meter->timer.posted) {
        ngx_delete_posted_event(&meter->timer);
    }
}


size_t
ngx_trp_metered_ask(ngx_trp_metered_t *metered, size_t size)
{
    size_t            chunk;
    ngx_uint_t        i;
    ngx_trp_meter_t  *meter;

    if (metered->waits) {
        return 0;
    }

    meter = ngx_trp_metered_short(metered, 1);

    ngx_trp_metered_turn(metered);

    if (meter) {
        ngx_queue_insert_tail(&meter->queue, &metered->queue);
        metered->waits = meter;

        ngx_trp_meter_arm(meter);

        return 0;
    }

    for (i = 0; i < metered->n; i++) {
        chunk = trp_bucket_chunk(metered->meters[i]->rate);
        size = ngx_min(size, chunk);
    }

    return size;
}


ngx_uint_t
ngx_trp_metered_try(ngx_trp_metered_t *metered)
{
    return metered->waits == NULL
           && ngx_trp_metered_short(metered, 0) == NULL;
}


/* it makes use of its turn; the last one of a round opens the next */

static void
ngx_trp_metered_turn(ngx_trp_metered_t *metered)
{
    ngx_trp_meter_t  *meter;

    meter = metered->turn;
    metered->turn = NULL;

    if (meter && metered->round == meter->round && --meter->awaited == 0
        && !ngx_queue_empty(&meter->queue))
    {
        ngx_post_event(&meter->timer, &ngx_posted_events);
    }
}


/* a meter that has nothing left, or for which others have waited longer */

static ngx_trp_meter_t *
ngx_trp_metered_short(ngx_trp_metered_t *metered, ngx_uint_t patient)
{
    ngx_uint_t        i;
    ngx_trp_meter_t  *meter;

    for (i = 0; i < metered->n; i++) {
        meter = metered->meters[i];

        if (meter == metered->turn) {
            continue;
        }

        if (!ngx_queue_empty(&meter->queue) || (patient && meter->awaited)
            || trp_bucket_wait(&meter->bucket, meter->rate, ngx_current_msec))
        {
            return meter;
        }
    }

    return NULL;
}


void
ngx_trp_metered_took(ngx_trp_metered_t *metered, size_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < metered->n; i++) {
        trp_bucket_take(&metered->meters[i]->bucket, n);
    }
}


void
ngx_trp_metered_leave(ngx_trp_metered_t *metered)
{
    if (metered->waits) {
        ngx_queue_remove(&metered->queue);
        metered->waits = NULL;
    }

    ngx_trp_metered_turn(metered);

    metered->n = 0;
}


static void
ngx_trp_meter_arm(ngx_trp_meter_t *meter)
{
    uint64_t  wait;

    if (meter->timer.timer_set) {
        return;
    }

    wait = trp_bucket_wait(&meter->bucket, meter->rate, ngx_current_msec);

    ngx_add_timer(&meter->timer, ngx_max(wait, 1));
}


/* wakes as many as there are chunks in the bucket; each of them takes one */

static void
ngx_trp_meter_handler(ngx_event_t *ev)
{
    size_t              chunk;
    trp_bucket_t        bucket;
    ngx_queue_t        *q;
    ngx_trp_meter_t    *meter;
    ngx_trp_metered_t  *metered;

    meter = ev->data;
    chunk = trp_bucket_chunk(meter->rate);

    (void) trp_bucket_wait(&meter->bucket, meter->rate, ngx_current_msec);

    /* what it will be like when they have taken theirs */
    bucket = meter->bucket;

    /* nobody opens another round meanwhile */

    meter->round++;
    meter->awaited = 1;

    while (!ngx_queue_empty(&meter->queue)
           && trp_bucket_wait(&bucket, meter->rate, ngx_current_msec) == 0)
    {
        q = ngx_queue_head(&meter->queue);
        metered = ngx_queue_data(q, ngx_trp_metered_t, queue);

        ngx_queue_remove(q);
        metered->waits = NULL;
        metered->turn = meter;
        metered->round = meter->round;
        meter->awaited++;

        trp_bucket_take(&bucket, chunk);

        metered->wake(metered->data);
    }

    meter->awaited--;

    if (!ngx_queue_empty(&meter->queue)) {
        ngx_add_timer(ev, ngx_max(trp_bucket_wait(&bucket, meter->rate,
                                                  ngx_current_msec), 1));
    }
}
