
/*
 * Copyright (C) the trp authors
 */


/*
 * Addresses, blocks, ports and host names in text.  Access rules depend on
 * them, so only unambiguous forms are accepted.
 */


#include <string.h>

#include <arpa/inet.h>

#include "base/trp_addr.h"
#include "base/trp_bytes.h"


#define TRP_LABEL_MAX_LEN  63


static int trp_prefix_parse(trp_str_t text, unsigned max);
static uint8_t trp_lower(uint8_t c);


static const uint8_t  trp_mapped[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

static const trp_cidr_t  trp_loopback[] = {
    { { 4, { 127 } }, 8 },
    { { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } }, 128 }
};

static const trp_cidr_t  trp_private[] = {
    { { 4, { 10 } }, 8 },
    { { 4, { 172, 16 } }, 12 },
    { { 4, { 192, 168 } }, 16 },
    { { 4, { 169, 254 } }, 16 },
    { { 4, { 100, 64 } }, 10 },
    { { 6, { 0xfc } }, 7 },
    { { 6, { 0xfe, 0x80 } }, 10 }
};


int
trp_addr_parse(trp_addr_t *addr, trp_str_t text)
{
    char  buf[TRP_ADDR_TEXT_LEN + 1];

    memset(addr, 0, sizeof(trp_addr_t));

    if (text.len == 0 || text.len > TRP_ADDR_TEXT_LEN
        || memchr(text.data, '\0', text.len) != NULL)
    {
        return TRP_ERROR;
    }

    memcpy(buf, text.data, text.len);
    buf[text.len] = '\0';

    if (inet_pton(AF_INET, buf, addr->bytes) == 1) {
        addr->family = 4;
        return TRP_OK;
    }

    if (inet_pton(AF_INET6, buf, addr->bytes) == 1) {
        addr->family = 6;
        return TRP_OK;
    }

    return TRP_ERROR;
}


int
trp_cidr_parse(trp_cidr_t *cidr, trp_str_t text)
{
    int  low_bits;

    return trp_cidr_parse_bits(cidr, text, &low_bits);
}


int
trp_cidr_parse_bits(trp_cidr_t *cidr, trp_str_t text, int *low_bits)
{
    int             n, bracket;
    size_t          bits;
    uint8_t         mask;
    unsigned        i, max;
    trp_str_t       addr, prefix;
    const uint8_t  *p, *end;

    memset(cidr, 0, sizeof(trp_cidr_t));
    *low_bits = 0;

    if (text.len == 0) {
        return TRP_ERROR;
    }

    addr = text;
    prefix.len = 0;
    prefix.data = NULL;

    end = text.data + text.len;
    bracket = (text.data[0] == '[');

    if (bracket) {
        p = memchr(text.data, ']', text.len);
        if (p == NULL) {
            return TRP_ERROR;
        }

        addr.data = text.data + 1;
        addr.len = p - addr.data;

        if (++p < end) {
            if (*p++ != '/') {
                return TRP_ERROR;
            }

            prefix.data = p;
            prefix.len = end - p;
        }
    }

    if (prefix.data == NULL && addr.len != 0) {
        p = memchr(addr.data, '/', addr.len);

        if (p != NULL) {
            prefix.data = p + 1;
            prefix.len = addr.data + addr.len - prefix.data;
            addr.len = p - addr.data;
        }
    }

    if (trp_addr_parse(&cidr->addr, addr) != TRP_OK
        || (bracket && cidr->addr.family != 6))
    {
        return TRP_ERROR;
    }

    max = (cidr->addr.family == 4) ? 32 : 128;
    n = max;

    if (prefix.data != NULL) {
        n = trp_prefix_parse(prefix, max);
        if (n == TRP_ERROR) {
            return TRP_ERROR;
        }
    }

    cidr->prefix = (uint8_t) n;

    for (i = 0; i < max / 8; i++) {
        bits = (cidr->prefix > i * 8) ? cidr->prefix - i * 8 : 0;

        if (bits < 8) {
            mask = (uint8_t) (0xff00 >> bits);

            *low_bits |= ((cidr->addr.bytes[i] & ~mask) != 0);
            cidr->addr.bytes[i] &= mask;
        }
    }

    if (cidr->prefix >= 96 && trp_addr_unmap(&cidr->addr)) {
        cidr->prefix -= 96;
    }

    return TRP_OK;
}


static int
trp_prefix_parse(trp_str_t text, unsigned max)
{
    size_t    i;
    unsigned  n;

    if (text.len == 0 || text.len > 3
        || (text.data[0] == '0' && text.len > 1))
    {
        return TRP_ERROR;
    }

    n = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return TRP_ERROR;
        }

        n = n * 10 + (text.data[i] - '0');
    }

    return (n <= max) ? (int) n : TRP_ERROR;
}


int
trp_cidr_match(const trp_cidr_t *cidr, const trp_addr_t *addr)
{
    unsigned    n, mask;
    trp_addr_t  a;

    a = *addr;

    (void) trp_addr_unmap(&a);

    if (a.family == 0 || a.family != cidr->addr.family) {
        return 0;
    }

    n = cidr->prefix / 8;

    if (memcmp(a.bytes, cidr->addr.bytes, n) != 0) {
        return 0;
    }

    mask = (0xff00 >> (cidr->prefix % 8)) & 0xff;

    return mask == 0 || (a.bytes[n] & mask) == (cidr->addr.bytes[n] & mask);
}


uint8_t *
trp_taddr_pack(uint8_t *p, const trp_taddr_t *addr)
{
    size_t  len;

    len = trp_addr_len(&addr->addr);

    *p++ = addr->addr.family;
    trp_write16(p, addr->port);
    memcpy(p + 2, addr->addr.bytes, len);

    return p + 2 + len;
}


int
trp_addr_unmap(trp_addr_t *addr)
{
    if (addr->family != 6
        || memcmp(addr->bytes, trp_mapped, sizeof(trp_mapped)) != 0)
    {
        return 0;
    }

    addr->family = 4;
    memmove(addr->bytes, addr->bytes + 12, 4);
    memset(addr->bytes + 4, 0, 12);

    return 1;
}


int
trp_addr_this_host(trp_addr_t *addr)
{
    trp_addr_t            a;
    static const uint8_t  zeros[16];

    a = *addr;

    (void) trp_addr_unmap(&a);

    if (a.family == 0 || memcmp(a.bytes, zeros, 16) != 0) {
        return 0;
    }

    *addr = trp_loopback[a.family == 4 ? 0 : 1].addr;

    if (a.family == 4) {
        addr->bytes[3] = 1;
    }

    return 1;
}


int
trp_addr_is_loopback(const trp_addr_t *addr)
{
    return trp_cidr_match(&trp_loopback[0], addr)
           || trp_cidr_match(&trp_loopback[1], addr);
}


int
trp_addr_is_private(const trp_addr_t *addr)
{
    size_t  i;

    for (i = 0; i < sizeof(trp_private) / sizeof(trp_private[0]); i++) {
        if (trp_cidr_match(&trp_private[i], addr)) {
            return 1;
        }
    }

    return trp_addr_is_loopback(addr);
}


uint16_t
trp_port_parse(trp_str_t text)
{
    size_t    i;
    uint32_t  port;

    if (text.len == 0 || text.len > 5 || text.data[0] == '0') {
        return 0;
    }

    port = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }

        port = port * 10 + (text.data[i] - '0');
    }

    return (port <= 65535) ? (uint16_t) port : 0;
}


int
trp_port_range_parse(trp_str_t text, uint16_t *first, uint16_t *last)
{
    trp_str_t       from, to;
    const uint8_t  *dash;

    dash = text.len ? memchr(text.data, '-', text.len) : NULL;

    if (dash == NULL) {
        return TRP_ERROR;
    }

    from.data = text.data;
    from.len = (size_t) (dash - text.data);
    to.data = dash + 1;
    to.len = text.len - from.len - 1;

    *first = trp_port_parse(from);
    *last = trp_port_parse(to);

    return (*first && *first <= *last) ? TRP_OK : TRP_ERROR;
}


int
trp_name_valid(trp_str_t text)
{
    int      digits;
    size_t   i, label;
    uint8_t  c, prev;

    if (text.len == 0 || text.len > TRP_NAME_MAX_LEN) {
        return 0;
    }

    prev = '.';
    label = 0;
    digits = 1;

    for (i = 0; i < text.len; i++) {
        c = trp_lower(text.data[i]);

        if (c == '.') {
            if (prev == '.' || prev == '-') {
                return 0;
            }

            label = 0;
            prev = c;
            continue;
        }

        if (c < '0' || c > '9') {
            if ((c < 'a' || c > 'z') && c != '-' && c != '_') {
                return 0;
            }

            digits = 0;
        }

        if ((c == '-' && prev == '.') || ++label > TRP_LABEL_MAX_LEN) {
            return 0;
        }

        prev = c;
    }

    return !digits && prev != '.' && prev != '-';
}


trp_str_t
trp_name_relative(trp_str_t name)
{
    if (name.len > 1 && name.data[name.len - 1] == '.') {
        name.len--;
    }

    return name;
}


int
trp_name_equal(trp_str_t a, trp_str_t b)
{
    size_t  i;

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        if (trp_lower(a.data[i]) != trp_lower(b.data[i])) {
            return 0;
        }
    }

    return 1;
}


static uint8_t
trp_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? (uint8_t) (c | 0x20) : c;
}


size_t
trp_addr_text(uint8_t *buf, const trp_addr_t *addr)
{
    size_t  len;
    char    text[INET6_ADDRSTRLEN];

    if (addr->family != 4 && addr->family != 6) {
        return 0;
    }

    if (inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, addr->bytes, text,
                  sizeof(text))
        == NULL)
    {
        return 0;
    }

    len = strlen(text);
    memcpy(buf, text, len);

    return len;
}
