
/*
 * Copyright (C) the trp authors
 */


/*
 * Types shared by all of the core: strings, result codes and addresses.
 *
 * The core is sans-IO.  Bytes and time come in as arguments, results go out
 * as return values.  It has no clock, no randomness, no allocation and no
 * mutable data of its own.  A trp_str_t never owns its bytes: it points into
 * memory of the caller, who keeps it alive.
 */


#ifndef TRP_CORE_H_INCLUDED
#define TRP_CORE_H_INCLUDED


#include <stddef.h>
#include <stdint.h>

#include "base/trp_assert.h"


/* the same values as NGX_OK, NGX_ERROR, NGX_AGAIN, NGX_DECLINED */

#define TRP_OK         0
#define TRP_ERROR     -1
#define TRP_AGAIN     -2
#define TRP_DECLINED  -5


typedef struct {
    size_t          len;
    const uint8_t  *data;
} trp_str_t;


/* family: 4, 6, or 0 for "no address"; an IPv4 address takes bytes[0..3] */

typedef struct {
    uint8_t         family;
    uint8_t         bytes[16];
} trp_addr_t;


/* a transport address, as RFC 8656 calls an IP address with a port */

typedef struct {
    trp_addr_t      addr;
    uint16_t        port;
} trp_taddr_t;


/* an address block; prefix is 0..32 or 0..128, host bits are zero */

typedef struct {
    trp_addr_t      addr;
    uint8_t         prefix;
} trp_cidr_t;


/* what is carried to a destination or a peer, as IP numbers it */

typedef enum {
    TRP_PROTO_TCP = 6,
    TRP_PROTO_UDP = 17
} trp_proto_e;


/* what the way from a TURN client to its server is made of */

typedef enum {
    TRP_TRANSPORT_UDP = 0,
    TRP_TRANSPORT_TCP,
    TRP_TRANSPORT_TLS
} trp_transport_e;


/* the structure of which "pointer" is that member */

#define trp_of(type, member, pointer)                                         \
    ((type *) (void *) ((uint8_t *) (pointer) - offsetof(type, member)))

#define trp_string(s)  { sizeof(s) - 1, (const uint8_t *) s }


#endif /* TRP_CORE_H_INCLUDED */
