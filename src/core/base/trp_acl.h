
/*
 * Copyright (C) the trp authors
 */


/*
 * Rules that allow or deny destinations, of the form HOST[:PORT[-PORT]].
 *
 * HOST is "all" or "*", an address, a CIDR block, a host name, or "*.NAME"
 * for every name below NAME.  An IPv6 address followed by a port must be in
 * brackets.  PORT may be "*"; without a port, a rule covers all ports.  The
 * trailing dot of a name is ignored.  The addresses of this host, 0.0.0.0 and
 * ::, are treated as loopback addresses.
 *
 * "unix:/PATH", with "*" and "?" as in trp_path.h, is a rule for unix sockets,
 * which no other rule matches, not even "all".
 */


#ifndef TRP_ACL_H_INCLUDED
#define TRP_ACL_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_ACL_ALL = 0,
    TRP_ACL_CIDR,
    TRP_ACL_NAME,                  /* exactly this name */
    TRP_ACL_SUFFIX,                /* ".NAME": every name that ends in it */
    TRP_ACL_UNIX                   /* a pattern for paths */
} trp_acl_type_e;


typedef struct {
    trp_acl_type_e  type;
    trp_cidr_t      cidr;
    trp_str_t       name;
    uint16_t        first;         /* ports first..last; 0..65535 for all */
    uint16_t        last;
    int             low_bits;      /* the block had host bits, now cleared */
} trp_acl_rule_t;


/*
 * Returns NULL on success, or the rest of an error message that starts with
 * the quoted rule: "has an invalid port".
 */

const char *trp_acl_parse(trp_acl_rule_t *rule, trp_str_t text);


/* 1 if an allowing rule matches this address */

int trp_acl_match_addr(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port);

/* the same for a denying rule, which also matches 0.0.0.0 and :: as such */

int trp_acl_match_denied(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port);


/* 1 if the rule matches this name, ignoring case; a CIDR rule never does */

int trp_acl_match_name(const trp_acl_rule_t *rule, trp_str_t name,
    uint16_t port);


/* 1 if the rule matches the path of a unix socket */

int trp_acl_match_path(const trp_acl_rule_t *rule, trp_str_t path);


/* 1 if the rule matches everything that "other" matches */

int trp_acl_covers(const trp_acl_rule_t *rule, const trp_acl_rule_t *other);


#pragma GCC visibility pop


#endif /* TRP_ACL_H_INCLUDED */
