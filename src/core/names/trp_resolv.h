
/*
 * Copyright (C) the trp authors
 */


/*
 * How this host resolves names: the text of its resolv.conf(5) and hosts(5).
 */


#ifndef TRP_RESOLV_H_INCLUDED
#define TRP_RESOLV_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define TRP_RESOLV_SERVERS  3
#define TRP_RESOLV_SEARCH   6


typedef struct {
    trp_addr_t  servers[TRP_RESOLV_SERVERS];
    unsigned    nservers;                  /* at least one */
    trp_str_t   search[TRP_RESOLV_SEARCH]; /* in the text */
    unsigned    nsearch;
    unsigned    ndots;
} trp_resolv_t;


/*
 * Never fails: what is not understood is passed over, link-local name servers
 * with a zone are, too; without any name server it is the one at 127.0.0.1.
 */

void trp_resolv_parse(trp_resolv_t *resolv, trp_str_t text);


/*
 * Which domain a name is tried with, n = 0, 1, …: TRP_OK with a domain, whose
 * length is 0 for the name as it is; TRP_ERROR if there are no more.
 */

int trp_resolv_domain(const trp_resolv_t *resolv, trp_str_t name, unsigned n,
    trp_str_t *domain);


/*
 * The next address that a hosts file has for a name, letter case aside, from
 * "text" on, which is moved behind it.  TRP_OK, or TRP_ERROR: no more.
 */

int trp_hosts_next(trp_str_t *text, trp_str_t name, trp_addr_t *addr);


#pragma GCC visibility pop


#endif /* TRP_RESOLV_H_INCLUDED */
