
/*
 * Copyright (C) the trp authors
 */


/*
 * Which of several ways to a peer is used: the search for one that works, and
 * the return to a better one.
 */


#include "tunnel/trp_ways.h"

#include <string.h>


/* a way that is lost again and again has to hold so many times longer */

#define TRP_WAYS_HOLD_SHIFT  3


static void trp_ways_search(trp_ways_t *w);
static void trp_ways_use(trp_ways_t *w, unsigned way, uint64_t now);
static void trp_ways_left(trp_ways_t *w, uint64_t now);
static uint64_t trp_ways_pause(trp_ways_t *w, unsigned way);
static uint64_t trp_ways_jitter(trp_ways_t *w, uint64_t time);
static uint64_t trp_ways_until(const trp_ways_t *w);
static unsigned trp_ways_due(const trp_ways_t *w, uint64_t now);


void
trp_ways_init(trp_ways_t *w, unsigned n, uint64_t probe, uint64_t hold,
    uint32_t seed, uint64_t now)
{
    trp_assert(n > 1 && n <= TRP_WAYS_MAX);

    memset(w, 0, sizeof(trp_ways_t));

    w->n = n;
    w->probed = n;
    w->probe = probe;
    w->hold = hold;
    w->seed = seed | 1;
    w->since = now;
    w->trouble = now;
}


void
trp_ways_start(trp_ways_t *w, unsigned way, uint64_t now)
{
    unsigned  i;

    trp_assert(way < w->n);

    if (w->connected || w->searching) {
        return;
    }

    w->used = way;
    w->dialled = way;

    for (i = 0; i < way; i++) {
        w->ways[i].next = now + trp_ways_pause(w, i);
    }
}


void
trp_ways_up(trp_ways_t *w, unsigned way, uint64_t now)
{
    if (w->up) {
        return;
    }

    w->up = 1;

    if (way != w->used) {
        trp_ways_use(w, way, now);
    }

    w->connected = now;

    if (way != w->dialled) {

        /* it was dialled before another one became its turn */
        w->dialled = way;
        w->tell_dial = 1;
    }

    w->searching = 0;
    w->failed = 0;
}


void
trp_ways_down(trp_ways_t *w, unsigned loss, uint64_t now)
{
    if (!w->up) {
        return;
    }

    w->up = 0;

    if (w->trouble == 0 || now - w->connected >= w->hold) {
        w->trouble = now;
        w->losses = 0;
    }

    if (w->held) {

        /* there is no reason to wait any longer */
        w->dialled = w->probed;
        w->probed = w->n;
        w->held = 0;
        w->searching = 1;
        w->failed = 0;
        w->tell_dial = 1;

        return;
    }

    w->losses += (loss != 0);

    if (w->losses >= TRP_WAYS_LOSSES) {
        trp_ways_search(w);
    }
}


void
trp_ways_failed(trp_ways_t *w, unsigned way, uint64_t now)
{
    if (w->up || way != w->dialled) {
        return;
    }

    if (w->searching || now - w->trouble >= TRP_WAYS_PATIENCE) {
        trp_ways_search(w);
    }
}


/* the next one */

static void
trp_ways_search(trp_ways_t *w)
{
    if (w->failed < w->n) {
        w->failed++;
    }

    w->searching = 1;
    w->dialled = (w->dialled + 1) % w->n;
    w->tell_dial = 1;
}


static void
trp_ways_use(trp_ways_t *w, unsigned way, uint64_t now)
{
    unsigned  i;

    if (way > w->used) {
        trp_ways_left(w, now);
    }

    w->from = w->used;
    w->used = way;
    w->since = now;
    w->tell_used = 1;

    for (i = 0; i < way; i++) {

        if (w->failed == w->n && w->ways[i].lapses == 0) {

            /* it was the peer that could not be reached, by any way */
            w->ways[i].next = now + trp_ways_jitter(w, w->probe / 4);

        } else {
            w->ways[i].next = now + trp_ways_pause(w, i);
        }
    }

    w->ways[way].vain = 0;

    if (w->probed >= way) {

        /* no better one than this */
        w->probed = w->n;
        w->held = 0;
    }
}


/* has it worked at all, and for long? */

static void
trp_ways_left(trp_ways_t *w, uint64_t now)
{
    trp_ways_way_t  *way;

    way = &w->ways[w->used];

    if (w->connected == 0) {
        return;
    }

    if (now - w->since >= w->probe * TRP_WAYS_PAUSES) {
        way->lapses = 0;
        way->vain = 0;

    } else {
        way->lapses++;
    }
}


static uint64_t
trp_ways_pause(trp_ways_t *w, unsigned way)
{
    unsigned  n;
    uint64_t  pause;

    n = w->ways[way].vain + w->ways[way].lapses;
    pause = w->probe << (n < 16 ? n : 16);

    if (pause > w->probe * TRP_WAYS_PAUSES) {
        pause = w->probe * TRP_WAYS_PAUSES;
    }

    return trp_ways_jitter(w, pause);
}


/* half of it at least: those who fell back together do not return in step */

static uint64_t
trp_ways_jitter(trp_ways_t *w, uint64_t time)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;

    return time / 2 + w->seed % (time / 2 + 1);
}


void
trp_ways_held(trp_ways_t *w, uint64_t now)
{
    if (w->probed == w->n) {
        return;
    }

    w->held = now;

    if (!w->up) {
        w->dialled = w->probed;
        w->probed = w->n;
        w->held = 0;
        w->searching = 1;
        w->tell_dial = 1;
    }
}


void
trp_ways_vain(trp_ways_t *w, uint64_t now)
{
    if (w->probed == w->n) {
        return;
    }

    w->ways[w->probed].vain++;
    w->ways[w->probed].next = now + trp_ways_pause(w, w->probed);

    w->probed = w->n;
    w->held = 0;
}


int
trp_ways_next(trp_ways_t *w, trp_ways_event_t *event)
{
    memset(event, 0, sizeof(trp_ways_event_t));

    if (w->tell_used) {
        w->tell_used = 0;

        event->type = TRP_WAYS_USED;
        event->way = w->used;
        event->from = w->from;

        return TRP_OK;
    }

    if (w->tell_dial) {
        w->tell_dial = 0;

        event->type = TRP_WAYS_DIAL;
        event->way = w->dialled;
        event->at_once = (w->failed < w->n);

        return TRP_OK;
    }

    if (w->tell_probe) {
        w->tell_probe = 0;

        event->type = TRP_WAYS_PROBE;
        event->way = w->probed;

        return TRP_OK;
    }

    return TRP_DECLINED;
}


uint64_t
trp_ways_deadline(const trp_ways_t *w)
{
    unsigned  i;
    uint64_t  time, deadline;

    if (!w->up) {
        return 0;
    }

    deadline = w->trouble ? w->connected + w->hold : 0;

    if (w->held) {
        time = trp_ways_until(w);
        deadline = (deadline == 0 || time < deadline) ? time : deadline;
    }

    if (w->probed != w->n) {
        return deadline;
    }

    for (i = 0; i < w->used; i++) {
        time = w->ways[i].next;
        deadline = (deadline == 0 || time < deadline) ? time : deadline;
    }

    return deadline;
}


/* when the probe has held */

static uint64_t
trp_ways_until(const trp_ways_t *w)
{
    unsigned  n;

    n = w->ways[w->probed].lapses;

    return w->held + (w->hold << (n < TRP_WAYS_HOLD_SHIFT
                                  ? n : TRP_WAYS_HOLD_SHIFT));
}


void
trp_ways_expire(trp_ways_t *w, uint64_t now)
{
    if (!w->up) {
        return;
    }

    if (w->trouble && now >= w->connected + w->hold) {
        w->trouble = 0;
    }

    if (w->held && now >= trp_ways_until(w)) {
        w->dialled = w->probed;
        w->trouble = 0;
        w->tell_dial = 1;

        trp_ways_use(w, w->probed, now);
    }

    if (w->probed == w->n && !w->tell_dial) {
        w->probed = trp_ways_due(w, now);
        w->tell_probe = (w->probed != w->n);
    }
}


/* the best one whose pause is over */

static unsigned
trp_ways_due(const trp_ways_t *w, uint64_t now)
{
    unsigned  i;

    for (i = 0; i < w->used; i++) {
        if (now >= w->ways[i].next) {
            return i;
        }
    }

    return w->n;
}
