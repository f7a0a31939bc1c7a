
/*
 * Copyright (C) the trp authors
 */


/*
 * A table of the special blocks in IANA's registries, and the rules of the
 * configuration.  IPv4 addresses inside IPv6 are unwrapped first.  Of the
 * rules that match an address, the one with the longest prefix wins.
 */


#include "turn/trp_turn_access.h"

#include <string.h>

#include "base/trp_addr.h"


static trp_turn_access_e trp_turn_access_plain(const trp_turn_access_t *access,
    const trp_addr_t *addr, uint16_t port);
static int trp_turn_in(const trp_cidr_t *block, const trp_addr_t *addr);
static uint16_t trp_turn_rule_ports(const trp_turn_rule_t *rule);
static int trp_turn_rule_open(const trp_turn_rule_t *rules, size_t i,
    const trp_addr_t *addr);
static int trp_turn_behind(const trp_cidr_t *block, trp_addr_t *addr);


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

    /* ::/96: the unspecified, the loopback and IPv4-compatible addresses */

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
trp_turn_access(const trp_turn_access_t *access, const trp_addr_t *addr,
    uint16_t port)
{
    trp_addr_t         inside, copy;
    trp_turn_access_e  outer, inner;

    copy = *addr;

    if ((addr->family != 4 && addr->family != 6) || trp_addr_unmap(&copy)) {
        return TRP_TURN_DENIED;
    }

    outer = trp_turn_access_plain(access, addr, port);

    if (trp_addr_this_host(&copy)) {
        inner = trp_turn_access_plain(access, &copy, port);

        return (inner < outer) ? inner : outer;
    }

    if (outer <= TRP_TURN_DENIED || !trp_turn_embedded(addr, &inside)) {
        return outer;
    }

    inner = trp_turn_access_plain(access, &inside, port);

    return (inner <= TRP_TURN_DENIED) ? inner : outer;
}


static trp_turn_access_e
trp_turn_access_plain(const trp_turn_access_t *access, const trp_addr_t *addr,
    uint16_t port)
{
    size_t                  i;
    const trp_turn_rule_t  *rule;

    for (i = 0; i < access->nrules; i++) {
        rule = &access->rules[i];

        if (port >= rule->first && port <= rule->last
            && trp_turn_in(&rule->cidr, addr))
        {
            return rule->allow ? TRP_TURN_ALLOWED_BY_RULE
                               : TRP_TURN_DENIED_BY_RULE;
        }
    }

    for (i = 0;
         i < sizeof(trp_turn_special) / sizeof(trp_turn_special[0]);
         i++)
    {
        if (trp_turn_in(&trp_turn_special[i], addr)) {
            return TRP_TURN_DENIED;
        }
    }

    return TRP_TURN_ALLOWED;
}


/* the result can only change at the first port of a rule, or after its last */

trp_turn_access_e
trp_turn_access_any(const trp_turn_access_t *access, const trp_addr_t *addr,
    unsigned *by_port)
{
    int                     j;
    size_t                  i;
    uint16_t                port;
    trp_turn_access_e       best, rc;
    const trp_turn_rule_t  *rule;

    *by_port = 0;
    best = trp_turn_access(access, addr, 1);

    for (i = 0; i < access->nrules; i++) {
        rule = &access->rules[i];

        for (j = 0; j < 2; j++) {
            port = (j == 0) ? rule->first : (uint16_t) (rule->last + 1);

            if (port <= 1) {
                continue;
            }

            rc = trp_turn_access(access, addr, port);

            if (rc != best) {
                *by_port = 1;
            }

            if (rc > best) {
                best = rc;
            }
        }
    }

    return best;
}


static int
trp_turn_in(const trp_cidr_t *block, const trp_addr_t *addr)
{
    size_t   bytes;
    uint8_t  mask;

    if (block->addr.family != addr->family) {
        return 0;
    }

    bytes = block->prefix / 8;
    mask = (uint8_t) (0xff00 >> (block->prefix % 8));

    return memcmp(block->addr.bytes, addr->bytes, bytes) == 0
           && (mask == 0
               || ((block->addr.bytes[bytes] ^ addr->bytes[bytes]) & mask)
                  == 0);
}


int
trp_turn_rule_cmp(const trp_turn_rule_t *a, const trp_turn_rule_t *b)
{
    if (a->cidr.prefix != b->cidr.prefix) {
        return (int) b->cidr.prefix - (int) a->cidr.prefix;
    }

    if (trp_turn_rule_ports(a) != trp_turn_rule_ports(b)) {
        return (int) trp_turn_rule_ports(a) - (int) trp_turn_rule_ports(b);
    }

    return (int) a->allow - (int) b->allow;
}


static uint16_t
trp_turn_rule_ports(const trp_turn_rule_t *rule)
{
    return (uint16_t) (rule->last - rule->first);
}


/*
 * If the rule counts for some peer, move the peer down, first its address and
 * then its port, as long as the rule still counts: it stops at the rule's first
 * one, or right after those of an earlier rule.  So only these are checked.
 */

int
trp_turn_rule_hidden(const trp_turn_rule_t *rules, size_t i)
{
    size_t      j;
    trp_addr_t  addr;

    if (trp_turn_rule_open(rules, i, &rules[i].cidr.addr)) {
        return 0;
    }

    for (j = 0; j < i; j++) {
        if (trp_turn_behind(&rules[j].cidr, &addr)
            && trp_turn_in(&rules[i].cidr, &addr)
            && trp_turn_rule_open(rules, i, &addr))
        {
            return 0;
        }
    }

    return 1;
}


/* 1 if the rule counts for a port of this address, which is in its block */

static int
trp_turn_rule_open(const trp_turn_rule_t *rules, size_t i,
    const trp_addr_t *addr)
{
    size_t    j;
    uint32_t  port;

    /* the first port that no earlier rule names */

    port = rules[i].first;

    for (j = 0; j < i; j++) {

        if (port >= rules[j].first && port <= rules[j].last
            && trp_turn_in(&rules[j].cidr, addr))
        {
            port = (uint32_t) rules[j].last + 1;
            j = (size_t) -1;
        }
    }

    return port <= rules[i].last;
}


/* the address after the last one of a block; 0 if there is none */

static int
trp_turn_behind(const trp_cidr_t *block, trp_addr_t *addr)
{
    int       n;
    uint8_t   bit;

    *addr = block->addr;

    for (n = block->prefix - 1; n >= 0; n--) {
        bit = (uint8_t) (0x80 >> (n % 8));

        addr->bytes[n / 8] ^= bit;

        if (addr->bytes[n / 8] & bit) {
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
