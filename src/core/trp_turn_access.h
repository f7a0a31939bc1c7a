
/*
 * Which peers a TURN client may reach: one check for permissions, channels,
 * indications and TCP connections, whichever way an address is written.
 */


#ifndef TRP_TURN_ACCESS_H_INCLUDED
#define TRP_TURN_ACCESS_H_INCLUDED


#include "trp_core.h"


#pragma GCC visibility push(hidden)


/* the arrays are the caller's */

typedef struct {
    const trp_cidr_t  *allow;
    size_t             nallow;
    const trp_cidr_t  *deny;
    size_t             ndeny;
} trp_turn_access_t;


typedef enum {
    TRP_TURN_DENIED_BY_RULE = 0,   /* a "deny" names it */
    TRP_TURN_DENIED,
    TRP_TURN_ALLOWED,
    TRP_TURN_ALLOWED_BY_RULE       /* an "allow" names it */
} trp_turn_access_e;


/*
 * What is in "deny" is denied, what is in "allow" is allowed; what is left is
 * denied if it is in a special range: private, loopback, link-local,
 * multicast, documentation and so on.  An IPv6 address with an IPv4 address
 * inside is looked at as both, and both must be allowed; IPv4-mapped ones are
 * always denied.
 */

trp_turn_access_e trp_turn_access(const trp_turn_access_t *access,
    const trp_addr_t *addr);

/*
 * The IPv4 address inside an IPv4-mapped, IPv4-compatible, 6to4, NAT64
 * (64:ff9b::/96) or ISATAP address: 1, or 0 if there is none.
 */

int trp_turn_embedded(const trp_addr_t *addr, trp_addr_t *inside);


#pragma GCC visibility pop


#endif /* TRP_TURN_ACCESS_H_INCLUDED */
