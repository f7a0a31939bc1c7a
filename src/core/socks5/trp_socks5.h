
/*
 * Copyright (C) the trp authors
 */


/*
 * The messages of SOCKS5 (RFC 1928) with username/password authentication
 * (RFC 1929), on the server's side.
 */


#ifndef TRP_SOCKS5_H_INCLUDED
#define TRP_SOCKS5_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef enum {
    TRP_SOCKS5_NO_AUTHENTICATION = 0,
    TRP_SOCKS5_PASSWORD = 2,
    TRP_SOCKS5_NO_METHOD = 255
} trp_socks5_method_e;


typedef enum {
    TRP_SOCKS5_CONNECT = 1,
    TRP_SOCKS5_BIND,
    TRP_SOCKS5_UDP_ASSOCIATE
} trp_socks5_command_e;


typedef enum {
    TRP_SOCKS5_SUCCEEDED = 0,
    TRP_SOCKS5_FAILURE,
    TRP_SOCKS5_NOT_ALLOWED,
    TRP_SOCKS5_NET_UNREACHABLE,
    TRP_SOCKS5_HOST_UNREACHABLE,
    TRP_SOCKS5_REFUSED,
    TRP_SOCKS5_TTL_EXPIRED,
    TRP_SOCKS5_COMMAND_NOT_SUPPORTED,
    TRP_SOCKS5_ADDRESS_NOT_SUPPORTED
} trp_socks5_reply_e;


#define TRP_SOCKS5_REPLY_MAX     22
#define TRP_SOCKS5_HEADER_MAX    262      /* of a datagram, with a name */


/* the destination that a client asks for; a name points into the message */

typedef struct {
    trp_addr_t   addr;                    /* family 0: "host" is a name */
    trp_str_t    host;
    uint16_t     port;
} trp_socks5_addr_t;


/*
 * Each parses one message at the beginning of "data".  TRP_OK with its length
 * in *used; TRP_AGAIN if more bytes are needed; TRP_ERROR if it is malformed.
 */

/* the greeting; TRP_DECLINED if "method" is not among those offered */

int trp_socks5_greeting(trp_str_t data, size_t *used,
    trp_socks5_method_e method);

/* RFC 1929, section 2 */

int trp_socks5_password(trp_str_t data, size_t *used, trp_str_t *name,
    trp_str_t *password);

/*
 * A request.  TRP_DECLINED: the address type is unknown, and so is the length.
 * A name that is the text of an address, IPv6 also in brackets, becomes that
 * address; any other must be a valid host name, else TRP_ERROR.  In UDP
 * ASSOCIATE an invalid name is allowed: the address is 0.0.0.0:0 then.
 */

int trp_socks5_request(trp_str_t data, size_t *used, unsigned *command,
    trp_socks5_addr_t *addr);

/* the header of a datagram; TRP_DECLINED for a fragment */

int trp_socks5_header(trp_str_t data, size_t *used, trp_socks5_addr_t *addr);


/* these write at most TRP_SOCKS5_*_MAX bytes, and return the length */

size_t trp_socks5_reply_put(uint8_t *p, trp_socks5_reply_e reply,
    const trp_addr_t *addr, uint16_t port);
size_t trp_socks5_header_put(uint8_t *p, const trp_socks5_addr_t *addr);


/* the reply for a trp_code_e */

trp_socks5_reply_e trp_socks5_reply(unsigned code);


#pragma GCC visibility pop


#endif /* TRP_SOCKS5_H_INCLUDED */
