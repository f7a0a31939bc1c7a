
/*
 * Copyright (C) the trp authors
 */


/*
 * Types shared by all of the core: strings, result codes and addresses.
 *
 * The core is sans-IO.  Bytes and time come in as arguments, results go out
 * as return values.  It has no clock, no randomness, no allocation and no
 * mutable data of its own.
 *
 * All parts of it that live longer than a call have the same shape:
 *
 *     X_input(x, ..., now)     something has happened: bytes, or what the
 *                              name says in place of "input"
 *     X_next(x, &event)        TRP_OK: what the caller has to do, or should
 *                              know; TRP_DECLINED: nothing more
 *     X_deadline(x)            when X_expire() is to be called at the latest;
 *                              0: not at all
 *     X_expire(x, now)         time has passed
 *
 *                  input             next  deadline  expire
 *     trp_tunnel   recv, send        -     -         -
 *     trp_portal   message, opened,  yes   yes       yes
 *                  refused, lost
 *     trp_turn     input, peer_data, yes   yes       yes, one thing a call
 *                  peer_icmp, accepted
 *     trp_turnc    input             yes   yes       yes
 *     trp_websocket  read            -     -         -
 *     trp_ways     up, down, failed, yes   yes       yes
 *                  held, vain
 *
 * The others only read and write (trp_wire, trp_stun, trp_socks5, trp_upgrade,
 * trp_key, trp_resolv) or only decide (trp_auth, trp_route, trp_acl): they
 * have no state, and so nothing but functions of their arguments.
 *
 * Calls: all events are taken after each call of an input or of X_expire(),
 * before the next one; while one is in hand, other functions may be called
 * where their headers say so.  Nothing is called from within X_next(), except
 * that trp_turnc sends messages through a function of its caller, at any time.
 *
 * Memory: structures are the caller's, or come from its trp_memory_t.  A
 * trp_str_t never owns its bytes: it points into memory of the caller, which
 * stays for as long as the header says.  An event, and what it points to, is
 * good until the next call of X_next().
 *
 * Time: "now" is in milliseconds of a clock that does not go back, deadlines
 * are of the same clock; what is in seconds since 1970 is an int64_t and says
 * so.  trp_turn, of which most functions need both, is told before each call.
 *
 * Codes: TRP_OK; TRP_AGAIN, there is not enough yet; TRP_DECLINED, no, and all
 * goes on; TRP_ERROR, what came is wrong, or there is no memory.
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
