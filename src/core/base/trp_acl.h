
/*
 * Copyright (C) the trp authors
 */


/*
 * What may be reached: rules of the form HOST[:PORT[-PORT]].
 *
 * HOST is "all" or "*", an address, a block, a host name, or "*.NAME" for
 * every name below NAME.  IPv6 with a port stands in brackets.  PORT may be
 * "*".  No port means every port.  A dot at the end of a name is no part of
 * it, and an address that leads to this host (0.0.0.0, ::) is a loopback one.
 */


#ifndef TRP_ACL_H_INCLUDED
#define TRP_ACL_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_ACL_ALL = 0,
    TRP_ACL_CIDR,
    TRP_ACL_NAME,                  /* exactly this name */
    TRP_ACL_SUFFIX                 /* ".NAME": every name that ends in it */
} trp_acl_type_e;


typedef struct {
    trp_acl_type_e  type;
    trp_cidr_t      cidr;
    trp_str_t       name;
    uint16_t        first;         /* ports first..last; 0..65535 for all */
    uint16_t        last;
    int             low_bits;      /* of the block were set, and cleared */
} trp_acl_rule_t;


/*
 * Returns NULL, or the end of a sentence that starts with the rule in
 * quotes: "has an invalid port".
 */

const char *trp_acl_parse(trp_acl_rule_t *rule, trp_str_t text);


/* 1 if the rule holds for this address, and so allows it */

int trp_acl_match_addr(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port);

/* the same for a rule that denies: 0.0.0.0/8 is 0.0.0.0, too */

int trp_acl_match_denied(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port);


/* 1 if the rule holds for this name, letter case aside; CIDR never does */

int trp_acl_match_name(const trp_acl_rule_t *rule, trp_str_t name,
    uint16_t port);


/* 1 if all that "other" names is named by the rule */

int trp_acl_covers(const trp_acl_rule_t *rule, const trp_acl_rule_t *other);


#pragma GCC visibility pop


#endif /* TRP_ACL_H_INCLUDED */
