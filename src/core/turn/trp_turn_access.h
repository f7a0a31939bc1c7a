
/*
 * Copyright (C) the trp authors
 */


/*
 * Which peers a TURN client may reach: one check for permissions, channels,
 * indications and TCP connections, in whatever form an address comes.
 */


#ifndef TRP_TURN_ACCESS_H_INCLUDED
#define TRP_TURN_ACCESS_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef struct {
    trp_cidr_t              cidr;
    uint16_t                first;     /* ports; 0 and 65535 for all */
    uint16_t                last;
    unsigned                allow:1;   /* or deny */
} trp_turn_rule_t;


/* the array is the caller's, in the order of trp_turn_rule_cmp() */

typedef struct {
    const trp_turn_rule_t  *rules;
    size_t                  nrules;
} trp_turn_access_t;


typedef enum {
    TRP_TURN_DENIED_BY_RULE = 0,   /* a "deny" matches */
    TRP_TURN_DENIED,
    TRP_TURN_ALLOWED,
    TRP_TURN_ALLOWED_BY_RULE       /* an "allow" matches */
} trp_turn_access_e;


/*
 * Of the rules that match a peer, the one with the longest prefix counts; of
 * two with the same prefix, the one with fewer ports, then the one that denies.
 * Without a rule, a peer is denied if it is in a special range: private,
 * loopback, link-local, multicast, documentation and so on.  An IPv6 address
 * with an IPv4 address inside is checked as both, and both must be allowed;
 * IPv4-mapped ones are always denied.
 */

trp_turn_access_e trp_turn_access(const trp_turn_access_t *access,
    const trp_addr_t *addr, uint16_t port);

/* the best result of all ports; "by_port" is 1 if they differ */

trp_turn_access_e trp_turn_access_any(const trp_turn_access_t *access,
    const trp_addr_t *addr, unsigned *by_port);

/* less than 0 if "a" comes first, more than 0 if "b" does */

int trp_turn_rule_cmp(const trp_turn_rule_t *a, const trp_turn_rule_t *b);

/* 1 if rule "i" of an array in this order can never count */

int trp_turn_rule_hidden(const trp_turn_rule_t *rules, size_t i);

/*
 * The IPv4 address inside an IPv4-mapped, IPv4-compatible, 6to4, NAT64
 * (64:ff9b::/96) or ISATAP address: 1, or 0 if there is none.
 */

int trp_turn_embedded(const trp_addr_t *addr, trp_addr_t *inside);


#pragma GCC visibility pop


#endif /* TRP_TURN_ACCESS_H_INCLUDED */
