
#include "trp_turn_access.h"

#include <string.h>

#include "trp_addr.h"


static trp_turn_access_e trp_turn_access_plain(const trp_turn_access_t *access,
    const trp_addr_t *addr);
static int trp_turn_in(const trp_cidr_t *blocks, size_t n,
    const trp_addr_t *addr);


#define trp_ipv4(a, b, c, d, prefix)                                          \
    { { 4, { a, b, c, d } }, prefix }


/* not for trp_cidr_match(), which takes IPv4-mapped addresses for IPv4 */

static const trp_cidr_t  trp_turn_special[] = {
    trp_ipv4(0, 0, 0, 0, 8),
    trp_ipv4(10, 0, 0, 0, 8),
    trp_ipv4(100, 64, 0, 0, 10),
    trp_ipv4(127, 0, 0, 0, 8),
    trp_ipv4(169, 254, 0, 0, 16),
    trp_ipv4(172, 16, 0, 0, 12),
    trp_ipv4(192, 0, 0, 0, 24),
    trp_ipv4(192, 0, 2, 0, 24),
    trp_ipv4(192, 88, 99, 0, 24),
    trp_ipv4(192, 168, 0, 0, 16),
    trp_ipv4(198, 18, 0, 0, 15),
    trp_ipv4(198, 51, 100, 0, 24),
    trp_ipv4(203, 0, 113, 0, 24),
    trp_ipv4(224, 0, 0, 0, 4),
    trp_ipv4(240, 0, 0, 0, 4),

    /* ::/96 has the unspecified, the loopback and IPv4-compatible addresses */

    { { 6, { 0 } }, 96 },
    { { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } }, 96 },
    { { 6, { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 } }, 48 },
    { { 6, { 0x01, 0x00 } }, 64 },
    { { 6, { 0x20, 0x01, 0x00, 0x00 } }, 32 },
    { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 32 },
    { { 6, { 0x20, 0x02 } }, 16 },
    { { 6, { 0xfc, 0x00 } }, 7 },
    { { 6, { 0xfe, 0x80 } }, 10 },
    { { 6, { 0xfe, 0xc0 } }, 10 },
    { { 6, { 0xff, 0x00 } }, 8 }
};


trp_turn_access_e
trp_turn_access(const trp_turn_access_t *access, const trp_addr_t *addr)
{
    trp_addr_t         inside, copy;
    trp_turn_access_e  outer, inner;

    copy = *addr;

    if ((addr->family != 4 && addr->family != 6) || trp_addr_unmap(&copy)) {
        return TRP_TURN_DENIED;
    }

    outer = trp_turn_access_plain(access, addr);

    if (outer <= TRP_TURN_DENIED || !trp_turn_embedded(addr, &inside)) {
        return outer;
    }

    inner = trp_turn_access_plain(access, &inside);

    return (inner <= TRP_TURN_DENIED) ? inner : outer;
}


static trp_turn_access_e
trp_turn_access_plain(const trp_turn_access_t *access, const trp_addr_t *addr)
{
    size_t  n;

    if (trp_turn_in(access->deny, access->ndeny, addr)) {
        return TRP_TURN_DENIED_BY_RULE;
    }

    if (trp_turn_in(access->allow, access->nallow, addr)) {
        return TRP_TURN_ALLOWED_BY_RULE;
    }

    n = sizeof(trp_turn_special) / sizeof(trp_turn_special[0]);

    return trp_turn_in(trp_turn_special, n, addr) ? TRP_TURN_DENIED
                                                  : TRP_TURN_ALLOWED;
}


static int
trp_turn_in(const trp_cidr_t *blocks, size_t n, const trp_addr_t *addr)
{
    size_t   i, bytes;
    uint8_t  mask;

    for (i = 0; i < n; i++) {

        if (blocks[i].addr.family != addr->family) {
            continue;
        }

        bytes = blocks[i].prefix / 8;
        mask = (uint8_t) (0xff00 >> (blocks[i].prefix % 8));

        if (memcmp(blocks[i].addr.bytes, addr->bytes, bytes) == 0
            && (mask == 0 || ((blocks[i].addr.bytes[bytes]
                               ^ addr->bytes[bytes]) & mask) == 0))
        {
            return 1;
        }
    }

    return 0;
}


int
trp_turn_embedded(const trp_addr_t *addr, trp_addr_t *inside)
{
    const uint8_t         *p;

    static const uint8_t   zeros[12];
    static const uint8_t   nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    if (addr->family != 6) {
        return 0;
    }

    p = addr->bytes;

    *inside = *addr;

    if (trp_addr_unmap(inside)) {
        return 1;
    }

    memset(inside, 0, sizeof(trp_addr_t));
    inside->family = 4;

    if (p[0] == 0x20 && p[1] == 0x02) {
        memcpy(inside->bytes, p + 2, 4);
        return 1;
    }

    /* ::1 and :: have no IPv4 address inside */

    if ((memcmp(p, zeros, 12) == 0 && (p[12] | p[13] | p[14]))
        || memcmp(p, nat64, 12) == 0

        /* RFC 5214, section 6.1: with either value of the "u" bit */
        || ((p[8] & 0xfd) == 0 && p[9] == 0 && p[10] == 0x5e && p[11] == 0xfe))
    {
        memcpy(inside->bytes, p + 12, 4);
        return 1;
    }

    return 0;
}
