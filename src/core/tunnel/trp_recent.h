
/*
 * Copyright (C) the trp authors
 */


/*
 * The ids of the last TRP_RECENT_MAX streams that were added; the oldest is
 * forgotten first.
 */


#ifndef TRP_RECENT_H_INCLUDED
#define TRP_RECENT_H_INCLUDED


#include "tunnel/trp_wire.h"


#pragma GCC visibility push(hidden)


#define TRP_RECENT_MAX  64


/* empty when all zero */

typedef struct {
    uint32_t    n;                 /* ids ever added */
    uint8_t     ids[TRP_RECENT_MAX][TRP_STREAM_ID_LEN];
} trp_recent_t;


void trp_recent_add(trp_recent_t *recent,
    const uint8_t id[TRP_STREAM_ID_LEN]);

/* 1 if the id is there, else 0 */

int trp_recent_has(const trp_recent_t *recent,
    const uint8_t id[TRP_STREAM_ID_LEN]);


#pragma GCC visibility pop


#endif /* TRP_RECENT_H_INCLUDED */
