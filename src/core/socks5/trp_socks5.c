
/*
 * Copyright (C) the trp authors
 */


/*
 * Parses the messages of SOCKS5, each from its first byte again when more
 * bytes have arrived, and writes the replies.
 */


#include "socks5/trp_socks5.h"
#include "base/trp_addr.h"
#include "base/trp_bytes.h"
#include "tunnel/trp_wire.h"

#include <string.h>


#define TRP_SOCKS5_VERSION       5
#define TRP_SOCKS5_PASSWORDS     1        /* version of RFC 1929 */

#define TRP_SOCKS5_IPV4          1
#define TRP_SOCKS5_NAME          3
#define TRP_SOCKS5_IPV6          4


static int trp_socks5_addr(trp_str_t data, size_t *used,
    trp_socks5_addr_t *addr);
static int trp_socks5_name(trp_socks5_addr_t *addr);
static int trp_socks5_text(trp_addr_t *addr, trp_str_t host);
static uint8_t *trp_socks5_addr_put(uint8_t *p, const trp_addr_t *addr,
    trp_str_t host, uint16_t port);


int
trp_socks5_greeting(trp_str_t data, size_t *used, trp_socks5_method_e method)
{
    if (data.len && data.data[0] != TRP_SOCKS5_VERSION) {
        return TRP_ERROR;
    }

    if (data.len < 2 || data.len < 2 + (size_t) data.data[1]) {
        return TRP_AGAIN;
    }

    *used = 2 + (size_t) data.data[1];

    return memchr(data.data + 2, (int) method, data.data[1]) ? TRP_OK
                                                             : TRP_DECLINED;
}


int
trp_socks5_password(trp_str_t data, size_t *used, trp_str_t *name,
    trp_str_t *password)
{
    if (data.len && data.data[0] != TRP_SOCKS5_PASSWORDS) {
        return TRP_ERROR;
    }

    if (data.len < 2) {
        return TRP_AGAIN;
    }

    name->len = data.data[1];
    name->data = data.data + 2;

    if (data.len < 3 + name->len) {
        return TRP_AGAIN;
    }

    password->len = name->data[name->len];
    password->data = name->data + name->len + 1;

    if (data.len < 3 + name->len + password->len) {
        return TRP_AGAIN;
    }

    *used = 3 + name->len + password->len;

    return TRP_OK;
}


int
trp_socks5_request(trp_str_t data, size_t *used, unsigned *command,
    trp_socks5_addr_t *addr)
{
    int        rc;
    trp_str_t  rest;

    if (data.len && data.data[0] != TRP_SOCKS5_VERSION) {
        return TRP_ERROR;
    }

    if (data.len < 4) {
        return TRP_AGAIN;
    }

    *command = data.data[1];

    rest.data = data.data + 3;
    rest.len = data.len - 3;

    rc = trp_socks5_addr(rest, used, addr);

    if (rc == TRP_ERROR && *command == TRP_SOCKS5_UDP_ASSOCIATE) {

        /* where datagrams will come from: an invalid name is no hint */

        memset(addr, 0, sizeof(trp_socks5_addr_t));
        addr->addr.family = 4;
        rc = TRP_OK;
    }

    if (rc == TRP_OK) {
        *used += 3;
    }

    return rc;
}


int
trp_socks5_header(trp_str_t data, size_t *used, trp_socks5_addr_t *addr)
{
    int        rc;
    trp_str_t  rest;

    if (data.len < 4 || data.data[0] || data.data[1]) {
        return TRP_ERROR;
    }

    if (data.data[2]) {
        return TRP_DECLINED;
    }

    rest.data = data.data + 3;
    rest.len = data.len - 3;

    rc = trp_socks5_addr(rest, used, addr);

    if (rc != TRP_OK) {

        /* a datagram is always complete */
        return TRP_ERROR;
    }

    *used += 3;

    return TRP_OK;
}


/* ATYP, the address, the port */

static int
trp_socks5_addr(trp_str_t data, size_t *used, trp_socks5_addr_t *addr)
{
    size_t          len;
    const uint8_t  *p;

    memset(addr, 0, sizeof(trp_socks5_addr_t));

    p = data.data + 1;

    switch (data.data[0]) {

    case TRP_SOCKS5_IPV4:
        addr->addr.family = 4;
        len = 4;
        break;

    case TRP_SOCKS5_IPV6:
        addr->addr.family = 6;
        len = 16;
        break;

    case TRP_SOCKS5_NAME:
        if (data.len < 2) {
            return TRP_AGAIN;
        }

        len = *p++;
        break;

    default:
        return TRP_DECLINED;
    }

    *used = (size_t) (p - data.data) + len + 2;

    if (data.len < *used) {
        return TRP_AGAIN;
    }

    addr->port = trp_read16(p + len);

    if (addr->addr.family) {
        memcpy(addr->addr.bytes, p, len);
        return TRP_OK;
    }

    addr->host.data = p;
    addr->host.len = len;

    return trp_socks5_name(addr);
}


/* many clients send every address as if it were a name */

static int
trp_socks5_name(trp_socks5_addr_t *addr)
{
    if (trp_socks5_text(&addr->addr, addr->host) == TRP_OK) {
        addr->host.len = 0;
        addr->host.data = NULL;

        return TRP_OK;
    }

    addr->addr.family = 0;

    addr->host = trp_name_relative(addr->host);

    return trp_name_valid(addr->host) ? TRP_OK : TRP_ERROR;
}


/* an IPv6 address may be in brackets, as in a URL */

static int
trp_socks5_text(trp_addr_t *addr, trp_str_t host)
{
    int  brackets;

    brackets = (host.len > 2 && host.data[0] == '['
                && host.data[host.len - 1] == ']');

    if (brackets) {
        host.data++;
        host.len -= 2;
    }

    if (trp_addr_parse(addr, host) != TRP_OK) {
        return TRP_ERROR;
    }

    return (brackets && addr->family != 6) ? TRP_ERROR : TRP_OK;
}


size_t
trp_socks5_reply_put(uint8_t *p, trp_socks5_reply_e reply,
    const trp_addr_t *addr, uint16_t port)
{
    static const trp_str_t   no_name = { 0, NULL };
    static const trp_addr_t  any = { .family = 4 };

    uint8_t  *start;

    start = p;

    *p++ = TRP_SOCKS5_VERSION;
    *p++ = (uint8_t) reply;
    *p++ = 0;

    p = trp_socks5_addr_put(p, addr->family ? addr : &any, no_name, port);

    return p - start;
}


size_t
trp_socks5_header_put(uint8_t *p, const trp_socks5_addr_t *addr)
{
    uint8_t  *start;

    start = p;

    memset(p, 0, 3);

    p = trp_socks5_addr_put(p + 3, &addr->addr, addr->host, addr->port);

    return p - start;
}


static uint8_t *
trp_socks5_addr_put(uint8_t *p, const trp_addr_t *addr, trp_str_t host,
    uint16_t port)
{
    switch (addr->family) {

    case 4:
        *p++ = TRP_SOCKS5_IPV4;
        memcpy(p, addr->bytes, 4);
        p += 4;
        break;

    case 6:
        *p++ = TRP_SOCKS5_IPV6;
        memcpy(p, addr->bytes, 16);
        p += 16;
        break;

    default:
        trp_assert(host.len && host.len <= 0xff);

        *p++ = TRP_SOCKS5_NAME;
        *p++ = (uint8_t) host.len;
        memcpy(p, host.data, host.len);
        p += host.len;
    }

    trp_write16(p, port);

    return p + 2;
}


trp_socks5_reply_e
trp_socks5_reply(unsigned code)
{
    switch (code) {

    case TRP_CODE_NONE:
        return TRP_SOCKS5_SUCCEEDED;

    case TRP_CODE_NOT_ALLOWED:
        return TRP_SOCKS5_NOT_ALLOWED;

    case TRP_CODE_NET_UNREACHABLE:
        return TRP_SOCKS5_NET_UNREACHABLE;

    case TRP_CODE_HOST_UNREACHABLE:
    case TRP_CODE_NO_SUCH_HOST:
        return TRP_SOCKS5_HOST_UNREACHABLE;

    case TRP_CODE_REFUSED:
        return TRP_SOCKS5_REFUSED;

    case TRP_CODE_TIMED_OUT:
        return TRP_SOCKS5_TTL_EXPIRED;
    }

    return TRP_SOCKS5_FAILURE;
}
