
/*
 * Copyright (C) the trp authors
 */


/*
 * Numbers in network byte order.
 */


#ifndef TRP_BYTES_H_INCLUDED
#define TRP_BYTES_H_INCLUDED


#include "base/trp_core.h"


static inline uint16_t
trp_read16(const uint8_t *p)
{
    return (uint16_t) (p[0] << 8 | p[1]);
}


static inline uint32_t
trp_read32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static inline void
trp_write16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}


static inline void
trp_write32(uint8_t *p, uint32_t value)
{
    trp_write16(p, (uint16_t) (value >> 16));
    trp_write16(p + 2, (uint16_t) value);
}


#endif /* TRP_BYTES_H_INCLUDED */
