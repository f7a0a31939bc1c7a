
/*
 * Copyright (C) the trp authors
 */


/*
 * Which of several ways to a peer is used, the best one first: falls back when
 * one does not work, and returns when a better one does.
 *
 * A way is left only when nothing of use is connected any more: when it cannot
 * be dialled for some seconds, or when it has been lost several times in a row.
 * The others are tried in turn, until one is connected.
 *
 * While another than the best is used, better ones are probed.  The caller
 * moves to a way whose probe has held; the time for which it has to, and the
 * pauses between probes, grow with each one that is in vain, and with each way
 * that was lost soon after the return.
 */


#ifndef TRP_WAYS_H_INCLUDED
#define TRP_WAYS_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_WAYS_MAX       8

/* with nothing connected: for so long, ms, or after so many losses */

#define TRP_WAYS_PATIENCE  3000
#define TRP_WAYS_LOSSES    3

/* the longest pause between two probes, as a multiple of the first one */

#define TRP_WAYS_PAUSES    20


typedef enum {
    TRP_WAYS_USED,         /* "way" is used now, in place of "from" */
    TRP_WAYS_DIAL,         /* dial by "way" from now on, in place of another */
    TRP_WAYS_PROBE         /* dial one by "way", and keep it apart */
} trp_ways_event_e;


typedef struct {
    trp_ways_event_e  type;
    unsigned          way;
    unsigned          from;
    unsigned          at_once:1;   /* DIAL: it has not failed yet */
} trp_ways_event_t;


/* what is known of one way */

typedef struct {
    uint64_t          next;        /* no probe before */
    unsigned          vain;        /* probes, in a row */
    unsigned          lapses;      /* it was used again, and soon lost */
} trp_ways_way_t;


typedef struct {
    trp_ways_way_t    ways[TRP_WAYS_MAX];
    unsigned          n;
    unsigned          used;        /* was connected last, or 0 */
    unsigned          dialled;     /* another than "used": searching */
    unsigned          probed;      /* n: none */

    uint64_t          probe;       /* the first pause, ms */
    uint64_t          hold;        /* how long a way has to hold, ms */

    uint64_t          since;       /* "used" is used */
    uint64_t          connected;   /* when the first connection was made */
    uint64_t          held;        /* when the probe was; 0: not yet */
    uint64_t          trouble;     /* when it began; 0: there is none */
    unsigned          losses;      /* since then */
    unsigned          failed;      /* ways, since the search began */
    uint32_t          seed;

    unsigned          up:1;        /* something is connected */
    unsigned          searching:1;

    unsigned          from;        /* of events */
    unsigned          tell_used:1;
    unsigned          tell_dial:1;
    unsigned          tell_probe:1;
} trp_ways_t;


/* "n" ways, 2 to TRP_WAYS_MAX; the first one is to be dialled */

void trp_ways_init(trp_ways_t *w, unsigned n, uint64_t probe, uint64_t hold,
    uint32_t seed, uint64_t now);

/* nothing is connected yet, but "way" is known to have worked lately */

void trp_ways_start(trp_ways_t *w, unsigned way, uint64_t now);

/*
 * One is connected by "way"; none of use is any more, which may be a loss;
 * "way" could not be dialled.
 */

void trp_ways_up(trp_ways_t *w, unsigned way, uint64_t now);
void trp_ways_down(trp_ways_t *w, unsigned loss, uint64_t now);
void trp_ways_failed(trp_ways_t *w, unsigned way, uint64_t now);

/* the probe is connected; could not be, or is lost */

void trp_ways_held(trp_ways_t *w, uint64_t now);
void trp_ways_vain(trp_ways_t *w, uint64_t now);

int trp_ways_next(trp_ways_t *w, trp_ways_event_t *event);
uint64_t trp_ways_deadline(const trp_ways_t *w);
void trp_ways_expire(trp_ways_t *w, uint64_t now);


#pragma GCC visibility pop


#endif /* TRP_WAYS_H_INCLUDED */
