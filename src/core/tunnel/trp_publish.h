
/*
 * Copyright (C) the trp authors
 */


/*
 * Published services.  A service has a name: that of a host, in lower case, or
 * a port, as a decimal number.
 */


#ifndef TRP_PUBLISH_H_INCLUDED
#define TRP_PUBLISH_H_INCLUDED


#include "base/trp_addr.h"


#pragma GCC visibility push(hidden)


/* in OPEN: TCP, but the destination is the name of a service */

#define TRP_PROTO_PUBLISHED  (0x80 | TRP_PROTO_TCP)


/* what may be published: ports first..last, or one name, or those below it */

typedef struct {
    uint16_t     first;            /* 0: names */
    uint16_t     last;
    unsigned     below:1;          /* "*.NAME": every name that ends in it */
    unsigned     all:1;            /* "*": all ports and names */
    trp_str_t    name;
} trp_names_t;


/* what "trp_reverse_publish" says */

typedef struct {
    trp_str_t    name;             /* as it was written, without a last dot */
    trp_addr_t   addr;             /* family 0: "host" is a name */
    trp_str_t    host;
    uint16_t     port;
} trp_publish_t;


/* 1 for a port or a host name, in upper or lower case */

int trp_service_valid(trp_str_t name);

/* writes the name in lower case, without a last dot; returns its length */

size_t trp_service_copy(uint8_t *dst, trp_str_t name);

/* the port that the name is, or 0 */

uint16_t trp_service_port(trp_str_t name);


/*
 * "PORT", "PORT-PORT", "NAME", "*.NAME" or "*": TRP_OK or TRP_ERROR.  A service
 * matches or not, upper and lower case being the same.
 */

int trp_names_parse(trp_names_t *names, trp_str_t text);
int trp_names_match(const trp_names_t *names, trp_str_t name);


/*
 * A service, and its destination at the reverse: "HOST:PORT", or "PORT" for one
 * of this host.  NULL, or the rest of an error message that starts with the
 * destination: "has an invalid port".  "host" points into the text, or to
 * static text.
 */

const char *trp_publish_parse(trp_publish_t *publish, trp_str_t name,
    trp_str_t destination);


/*
 * A number that stands for a list of names in their order; "list" is 0 before
 * the first one, and the result is never 0.
 */

uint64_t trp_publish_add(uint64_t list, trp_str_t name);


#pragma GCC visibility pop


#endif /* TRP_PUBLISH_H_INCLUDED */
