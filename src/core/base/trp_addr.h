
/*
 * Copyright (C) the trp authors
 */


/*
 * Addresses and names in text: IPv4 in dotted decimal, IPv6 as in RFC 4291,
 * section 2.2 (never with a zone), blocks as ADDRESS or ADDRESS/PREFIX,
 * host names as in RFC 1123, section 2.1, plus the underscore.
 */


#ifndef TRP_ADDR_H_INCLUDED
#define TRP_ADDR_H_INCLUDED


#include <string.h>

#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* "255.255.255.255" and the longest IPv6 form, without a null byte */

#define TRP_ADDR_TEXT_LEN  45

#define TRP_NAME_MAX_LEN   253

/* of trp_taddr_pack() */

#define TRP_TADDR_PACKED_MAX  (1 + 2 + 16)


/* bytes that an address takes */

static inline size_t
trp_addr_len(const trp_addr_t *addr)
{
    return (addr->family == 4) ? 4 : 16;
}


/* 1 if the two are the same; what IPv4 does not use of "bytes" may be any */

static inline int
trp_addr_equal(const trp_addr_t *a, const trp_addr_t *b)
{
    return a->family == b->family
           && memcmp(a->bytes, b->bytes, trp_addr_len(a)) == 0;
}


static inline int
trp_taddr_equal(const trp_taddr_t *a, const trp_taddr_t *b)
{
    return a->port == b->port && trp_addr_equal(&a->addr, &b->addr);
}


/* writes family, port and address, what a hash of it is of; returns the end */

uint8_t *trp_taddr_pack(uint8_t *p, const trp_taddr_t *addr);


/* reads all of "text" as an address without brackets; TRP_OK or TRP_ERROR */

int trp_addr_parse(trp_addr_t *addr, trp_str_t text);


/*
 * An address or a block.  IPv6 may be in brackets, with the prefix length
 * inside or after them.  Host bits are cleared, and a block inside
 * ::ffff:0:0/96 becomes the IPv4 block it maps.  TRP_OK or TRP_ERROR.
 */

int trp_cidr_parse(trp_cidr_t *cidr, trp_str_t text);

/* the same; sets *low_bits to 1 if any host bits had to be cleared */

int trp_cidr_parse_bits(trp_cidr_t *cidr, trp_str_t text, int *low_bits);


/*
 * 1 if the address is inside the block.  An IPv4-mapped IPv6 address
 * (RFC 4291, section 2.5.5.2) is compared as the IPv4 address it maps.
 * Family 0 on either side never matches.
 */

int trp_cidr_match(const trp_cidr_t *cidr, const trp_addr_t *addr);


/* converts an IPv4-mapped IPv6 address to IPv4: 1; 0 if it is not mapped */

int trp_addr_unmap(trp_addr_t *addr);


/*
 * Replaces 0.0.0.0, :: and ::ffff:0.0.0.0, which reach this host, with
 * 127.0.0.1 or ::1.  Returns 1 if it did, else 0.
 */

int trp_addr_this_host(trp_addr_t *addr);


/* 1 for 127.0.0.0/8, also IPv4-mapped, and ::1 */

int trp_addr_is_loopback(const trp_addr_t *addr);

/*
 * 1 for addresses that cannot be reached from outside a site: loopback,
 * private (RFC 1918, RFC 4193), shared (RFC 6598), link-local, and their
 * IPv4-mapped forms.
 */

int trp_addr_is_private(const trp_addr_t *addr);


/*
 * Reads all of "text" as a decimal port, 1..65535, without a sign or leading
 * zeros.  Returns the port, or 0 if it is invalid.
 */

uint16_t trp_port_parse(trp_str_t text);

/* "FIRST-LAST", each 1..65535; TRP_OK or TRP_ERROR */

int trp_port_range_parse(trp_str_t text, uint16_t *first, uint16_t *last);


/* 1 if the text is a host name; digits and dots alone are not one */

int trp_name_valid(trp_str_t text);


/* the name without the trailing dot of the root (RFC 1034, section 3.1) */

trp_str_t trp_name_relative(trp_str_t name);


/* 1 if the two are equal, ignoring ASCII case */

int trp_name_equal(trp_str_t a, trp_str_t b);


/*
 * Writes the address without brackets, at most TRP_ADDR_TEXT_LEN bytes and
 * no null byte.  Returns the length, 0 for family 0.
 */

size_t trp_addr_text(uint8_t *buf, const trp_addr_t *addr);


#pragma GCC visibility pop


#endif /* TRP_ADDR_H_INCLUDED */
