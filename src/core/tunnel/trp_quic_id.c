
/*
 * Copyright (C) the trp authors
 */


/*
 * Connection ids of QUIC.
 */


#include "tunnel/trp_quic_id.h"
#include "tunnel/trp_wire.h"

#include <string.h>


/* at the beginning of an agent's first id; then its slot, or this */

#define TRP_QUIC_HINT_MAGIC  "trp"
#define TRP_QUIC_HINT_NONE   0xff


void
trp_quic_hint_put(uint8_t *out, int slot, const uint8_t *random)
{
    memcpy(out, TRP_QUIC_HINT_MAGIC, 3);
    out[3] = (slot < 0) ? TRP_QUIC_HINT_NONE : (uint8_t) slot;
    memcpy(out + 4, random, TRP_QUIC_HINT_RANDOM);
}


int
trp_quic_hint_get(const uint8_t *id, size_t len)
{
    if (len != TRP_QUIC_HINT_LEN
        || memcmp(id, TRP_QUIC_HINT_MAGIC, 3) != 0
        || id[3] >= TRP_SLOTS)
    {
        return TRP_DECLINED;
    }

    return id[3];
}


void
trp_quic_id_put(uint8_t *out, unsigned slot, const uint8_t *random)
{
    out[0] = (uint8_t) (slot >> 8);
    out[1] = (uint8_t) slot;
    memcpy(out + 2, random, TRP_QUIC_ID_RANDOM);
}


int
trp_quic_id_get(const uint8_t *id, size_t len)
{
    return (len == TRP_QUIC_ID_LEN) ? (id[0] << 8) | id[1] : TRP_DECLINED;
}
