
/*
 * Copyright (C) the trp authors
 */


/*
 * How this host resolves names: parsing of resolv.conf(5) and hosts(5).
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
    trp_str_t   search[TRP_RESOLV_SEARCH]; /* point into the text */
    unsigned    nsearch;
    unsigned    ndots;
} trp_resolv_t;


/*
 * Never fails: unknown options are skipped, and so are link-local name servers
 * with a zone; without any name server, 127.0.0.1 is used.
 */

void trp_resolv_parse(trp_resolv_t *resolv, trp_str_t text);


/*
 * The search domain for attempt n = 0, 1, … at a name: TRP_OK with a domain,
 * empty if the name is tried as it is; TRP_ERROR if there are no more.
 */

int trp_resolv_domain(const trp_resolv_t *resolv, trp_str_t name, unsigned n,
    trp_str_t *domain);


/*
 * Finds the next address of a name, ignoring case, in a hosts file, and
 * advances "text" past it.  TRP_OK, or TRP_ERROR if there are no more.
 */

int trp_hosts_next(trp_str_t *text, trp_str_t name, trp_addr_t *addr);


#pragma GCC visibility pop


#endif /* TRP_RESOLV_H_INCLUDED */
