
/*
 * Copyright (C) the trp authors
 */


/*
 * Parses a message into an index of its attributes, which point into it, and
 * writes messages.  Attributes that follow MESSAGE-INTEGRITY are left out of
 * the index, apart from those for which RFC 8489 allows it.
 */


#include "stun/trp_stun.h"

#include <string.h>

#include <sodium.h>

#include "base/trp_addr.h"
#include "base/trp_digest.h"


#define TRP_STUN_ATTRIBUTE_LEN    4         /* its header */
#define TRP_STUN_SHA1_LEN         20
#define TRP_STUN_SHA256_LEN       32
#define TRP_STUN_FINGERPRINT_XOR  0x5354554e
#define TRP_STUN_IPV4             0x01
#define TRP_STUN_IPV6             0x02


static int trp_stun_index(uint16_t type);
static int trp_stun_attribute(trp_stun_t *m, size_t offset, uint16_t type,
    size_t len);
static int trp_stun_check(const trp_stun_t *m, size_t offset, size_t len,
    trp_str_t key);
static int trp_stun_sign(uint8_t *out, const uint8_t *data, size_t offset,
    size_t len, trp_str_t key);
static uint32_t trp_stun_crc32(const uint8_t *data, size_t len);
static void trp_stun_xor(uint8_t *bytes, size_t len, const uint8_t *header);
static uint8_t *trp_stun_room(trp_stun_writer_t *w, trp_stun_attribute_e type,
    size_t len);


/* in the order of trp_stun_t.attributes */

static const uint16_t  trp_stun_known[TRP_STUN_NATTRIBUTES] = {
    TRP_STUN_MAPPED_ADDRESS,
    TRP_STUN_USERNAME,
    TRP_STUN_ERROR_CODE,
    TRP_STUN_UNKNOWN_ATTRIBUTES,
    TRP_STUN_CHANNEL_NUMBER,
    TRP_STUN_LIFETIME,
    TRP_STUN_XOR_PEER_ADDRESS,
    TRP_STUN_DATA_ATTRIBUTE,
    TRP_STUN_REALM,
    TRP_STUN_NONCE,
    TRP_STUN_XOR_RELAYED_ADDRESS,
    TRP_STUN_REQUESTED_ADDRESS_FAMILY,
    TRP_STUN_EVEN_PORT,
    TRP_STUN_REQUESTED_TRANSPORT,
    TRP_STUN_DONT_FRAGMENT,
    TRP_STUN_PASSWORD_ALGORITHM,
    TRP_STUN_USERHASH,
    TRP_STUN_XOR_MAPPED_ADDRESS,
    TRP_STUN_RESERVATION_TOKEN,
    TRP_STUN_CONNECTION_ID,
    TRP_STUN_ADDITIONAL_ADDRESS_FAMILY,
    TRP_STUN_ADDRESS_ERROR_CODE,
    TRP_STUN_PASSWORD_ALGORITHMS,
    TRP_STUN_ICMP
};


int
trp_stun_frame(const uint8_t *data, size_t len)
{
    size_t  n;

    if (len == 0) {
        return TRP_AGAIN;
    }

    if (!trp_stun_is_message(data[0]) && !trp_stun_is_channel(data[0])) {
        return TRP_ERROR;
    }

    if (len < TRP_CHANNEL_HEADER_LEN) {
        return TRP_AGAIN;
    }

    n = trp_read16(data + 2);

    if (data[0] > 3) {
        return (int) (TRP_CHANNEL_HEADER_LEN + ((n + 3) & ~(size_t) 3));
    }

    return (n % 4 == 0) ? (int) (TRP_STUN_HEADER_LEN + n) : TRP_ERROR;
}


int
trp_stun_is_message(uint8_t first)
{
    return first <= 0x03;
}


int
trp_stun_is_channel(uint8_t first)
{
    return first >= 0x40 && first <= 0x7f;
}


int
trp_stun_parse(trp_stun_t *m, const uint8_t *data, size_t len)
{
    size_t    offset, n, padded;
    uint16_t  type;

    if (len < TRP_STUN_HEADER_LEN
        || data[0] > 3
        || trp_read16(data + 2) != len - TRP_STUN_HEADER_LEN
        || len % 4 != 0
        || trp_read32(data + 4) != TRP_STUN_COOKIE)
    {
        return TRP_ERROR;
    }

    memset(m, 0, sizeof(trp_stun_t));

    /* RFC 8489, section 5: the bits of the class are between the method's */

    type = trp_read16(data);

    m->type = (trp_stun_class_e) (((type >> 7) & 2) | ((type >> 4) & 1));
    m->method = (uint16_t) ((type & 0x000f) | ((type & 0x00e0) >> 1)
                            | ((type & 0x3e00) >> 2));
    m->data = data;
    m->len = len;
    m->end = len;

    offset = TRP_STUN_HEADER_LEN;

    while (offset < len) {

        /* a multiple of 4 is left, so there is a whole header */

        type = trp_read16(data + offset);
        n = trp_read16(data + offset + 2);
        padded = (n + 3) & ~(size_t) 3;

        if (padded > len - offset - TRP_STUN_ATTRIBUTE_LEN) {
            return TRP_ERROR;
        }

        if (trp_stun_attribute(m, offset, type, n) != TRP_OK) {
            return TRP_ERROR;
        }

        offset += TRP_STUN_ATTRIBUTE_LEN + padded;
    }

    if (m->sha1) {
        m->end = m->sha1;

    } else if (m->sha256) {
        m->end = m->sha256;
    }

    return TRP_OK;
}


static int
trp_stun_attribute(trp_stun_t *m, size_t offset, uint16_t type, size_t len)
{
    int             i;
    const uint8_t  *value;

    value = m->data + offset + TRP_STUN_ATTRIBUTE_LEN;

    if (type == TRP_STUN_FINGERPRINT) {

        if (len != 4 || offset + TRP_STUN_ATTRIBUTE_LEN + 4 != m->len
            || trp_read32(value)
               != (trp_stun_crc32(m->data, offset) ^ TRP_STUN_FINGERPRINT_XOR))
        {
            return TRP_ERROR;
        }

        m->fingerprint = 1;

        return TRP_OK;
    }

    if (m->sha256) {
        return TRP_OK;
    }

    if (type == TRP_STUN_MESSAGE_INTEGRITY_SHA256) {

        /* RFC 8489, section 14.6: may be truncated to 16 bytes at least */

        if (len < 16 || len > TRP_STUN_SHA256_LEN || len % 4 != 0) {
            return TRP_ERROR;
        }

        m->sha256 = offset;

        return TRP_OK;
    }

    if (m->sha1) {
        return TRP_OK;
    }

    if (type == TRP_STUN_MESSAGE_INTEGRITY) {

        if (len != TRP_STUN_SHA1_LEN) {
            return TRP_ERROR;
        }

        m->sha1 = offset;

        return TRP_OK;
    }

    i = trp_stun_index(type);

    if (i >= 0) {
        if (m->attributes[i].data == NULL) {
            m->attributes[i].data = value;
            m->attributes[i].len = len;
        }

    } else if (type < 0x8000 && m->nunknown < TRP_STUN_UNKNOWN_MAX) {
        m->unknown[m->nunknown++] = type;
    }

    return TRP_OK;
}


static int
trp_stun_index(uint16_t type)
{
    int  i;

    for (i = 0; i < TRP_STUN_NATTRIBUTES; i++) {
        if (trp_stun_known[i] == type) {
            return i;
        }
    }

    return -1;
}


trp_str_t
trp_stun_get(const trp_stun_t *m, trp_stun_attribute_e type)
{
    int               i;
    static trp_str_t  none;

    i = trp_stun_index(type);

    return (i >= 0) ? m->attributes[i] : none;
}


int
trp_stun_get_u32(const trp_stun_t *m, trp_stun_attribute_e type,
    uint32_t *value)
{
    trp_str_t  attribute;

    attribute = trp_stun_get(m, type);

    if (attribute.data == NULL) {
        return TRP_DECLINED;
    }

    if (attribute.len != 4) {
        return TRP_ERROR;
    }

    *value = trp_read32(attribute.data);

    return TRP_OK;
}


int
trp_stun_each(const trp_stun_t *m, trp_stun_attribute_e type, size_t *offset,
    trp_str_t *value)
{
    size_t    i, n;
    uint16_t  found;

    i = *offset ? *offset : TRP_STUN_HEADER_LEN;

    while (i < m->end) {
        found = trp_read16(m->data + i);
        n = trp_read16(m->data + i + 2);

        value->data = m->data + i + TRP_STUN_ATTRIBUTE_LEN;
        value->len = n;

        i += TRP_STUN_ATTRIBUTE_LEN + ((n + 3) & ~(size_t) 3);

        if (found == type) {
            *offset = i;
            return TRP_OK;
        }
    }

    return TRP_DECLINED;
}


int
trp_stun_addr(const trp_stun_t *m, trp_str_t value, trp_taddr_t *addr)
{
    if (trp_stun_plain_addr(value, addr) != TRP_OK) {
        return TRP_ERROR;
    }

    addr->port ^= TRP_STUN_COOKIE >> 16;

    trp_stun_xor(addr->addr.bytes, trp_addr_len(&addr->addr), m->data);

    return TRP_OK;
}


int
trp_stun_plain_addr(trp_str_t value, trp_taddr_t *addr)
{
    size_t  len;

    memset(addr, 0, sizeof(trp_taddr_t));

    if (value.len < 4) {
        return TRP_ERROR;
    }

    switch (value.data[1]) {

    case TRP_STUN_IPV4:
        addr->addr.family = 4;
        len = 4;
        break;

    case TRP_STUN_IPV6:
        addr->addr.family = 6;
        len = 16;
        break;

    default:
        return TRP_ERROR;
    }

    if (value.len != 4 + len) {
        return TRP_ERROR;
    }

    addr->port = trp_read16(value.data + 2);

    memcpy(addr->addr.bytes, value.data + 4, len);

    return TRP_OK;
}


unsigned
trp_stun_error(const trp_stun_t *m)
{
    unsigned   hundreds;
    trp_str_t  value;

    value = trp_stun_get(m, TRP_STUN_ERROR_CODE);

    if (value.len < 4) {
        return 0;
    }

    hundreds = value.data[2] & 7;

    if (hundreds < 3 || hundreds > 6 || value.data[3] > 99) {
        return 0;
    }

    return hundreds * 100 + value.data[3];
}


/* XORs with the cookie and, for IPv6, the transaction id after it */

static void
trp_stun_xor(uint8_t *bytes, size_t len, const uint8_t *header)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        bytes[i] ^= header[4 + i];
    }
}


int
trp_stun_check_sha1(const trp_stun_t *m, trp_str_t key)
{
    return trp_stun_check(m, m->sha1, TRP_STUN_SHA1_LEN, key);
}


int
trp_stun_check_sha256(const trp_stun_t *m, trp_str_t key)
{
    return trp_stun_check(m, m->sha256,
                          trp_read16(m->data + m->sha256 + 2), key);
}


static int
trp_stun_check(const trp_stun_t *m, size_t offset, size_t len, trp_str_t key)
{
    uint8_t  digest[TRP_DIGEST_MAX];

    if (trp_stun_sign(digest, m->data, offset, len, key) != TRP_OK) {
        return TRP_DECLINED;
    }

    return sodium_memcmp(digest, m->data + offset + TRP_STUN_ATTRIBUTE_LEN,
                         len)
           ? TRP_DECLINED : TRP_OK;
}


/*
 * RFC 8489, section 14.5: over what precedes the attribute at "offset", with
 * the length in the header as if this attribute were the last one.
 */

static int
trp_stun_sign(uint8_t *out, const uint8_t *data, size_t offset, size_t len,
    trp_str_t key)
{
    uint8_t    header[TRP_STUN_HEADER_LEN];
    trp_str_t  parts[2];

    memcpy(header, data, TRP_STUN_HEADER_LEN);

    trp_write16(header + 2, (uint16_t) (offset + TRP_STUN_ATTRIBUTE_LEN + len
                                        - TRP_STUN_HEADER_LEN));

    parts[0].data = header;
    parts[0].len = TRP_STUN_HEADER_LEN;
    parts[1].data = data + TRP_STUN_HEADER_LEN;
    parts[1].len = offset - TRP_STUN_HEADER_LEN;

    return trp_hmac(trp_read16(data + offset)
                    == TRP_STUN_MESSAGE_INTEGRITY ? TRP_SHA1 : TRP_SHA256,
                    out, key, parts, 2);
}


/* RFC 8489, section 14.7: as in ITU V.42 */

static uint32_t
trp_stun_crc32(const uint8_t *data, size_t len)
{
    size_t                 i;
    uint32_t               crc;

    /* of each possible half byte */

    static const uint32_t  table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
    };

    crc = 0xffffffff;

    for (i = 0; i < len; i++) {
        crc = table[(crc ^ data[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (data[i] >> 4)) & 15] ^ (crc >> 4);
    }

    return ~crc;
}


void
trp_stun_begin(trp_stun_writer_t *w, uint8_t *buf, size_t size,
    trp_stun_class_e type, uint16_t method, const uint8_t *id)
{
    w->data = buf;
    trp_assert(size >= TRP_STUN_HEADER_LEN && (method & ~0xfffu) == 0);

    w->size = size;
    w->len = TRP_STUN_HEADER_LEN;
    w->full = 0;

    trp_write16(buf, (uint16_t) ((method & 0x000f)
                                 | ((method & 0x0070) << 1)
                                 | ((method & 0x0f80) << 2)
                                 | ((type & 1) << 4)
                                 | ((type & 2) << 7)));
    trp_write16(buf + 2, 0);
    trp_write32(buf + 4, TRP_STUN_COOKIE);

    memcpy(buf + 8, id, TRP_STUN_ID_LEN);
}


void
trp_stun_put(trp_stun_writer_t *w, trp_stun_attribute_e type,
    const void *data, size_t len)
{
    uint8_t  *p;

    p = trp_stun_room(w, type, len);

    if (p && len) {
        memcpy(p, data, len);
    }
}


static uint8_t *
trp_stun_room(trp_stun_writer_t *w, trp_stun_attribute_e type, size_t len)
{
    size_t    padded;
    uint8_t  *p;

    trp_assert(w->len >= TRP_STUN_HEADER_LEN && w->len % 4 == 0
               && w->len <= w->size);

    padded = (len + 3) & ~(size_t) 3;

    if (w->full || len > 0xffff - 3
        || w->size - w->len < TRP_STUN_ATTRIBUTE_LEN + padded)
    {
        w->full = 1;
        return NULL;
    }

    p = w->data + w->len;

    trp_write16(p, (uint16_t) type);
    trp_write16(p + 2, (uint16_t) len);

    memset(p + TRP_STUN_ATTRIBUTE_LEN + len, 0, padded - len);

    w->len += TRP_STUN_ATTRIBUTE_LEN + padded;

    trp_write16(w->data + 2, (uint16_t) (w->len - TRP_STUN_HEADER_LEN));

    return p + TRP_STUN_ATTRIBUTE_LEN;
}


void
trp_stun_put_u32(trp_stun_writer_t *w, trp_stun_attribute_e type,
    uint32_t value)
{
    uint8_t  *p;

    p = trp_stun_room(w, type, 4);

    if (p) {
        trp_write32(p, value);
    }
}


void
trp_stun_put_addr(trp_stun_writer_t *w, trp_stun_attribute_e type,
    const trp_taddr_t *addr)
{
    size_t    len;
    uint8_t  *p;

    len = trp_addr_len(&addr->addr);

    p = trp_stun_room(w, type, 4 + len);
    if (p == NULL) {
        return;
    }

    p[0] = 0;
    p[1] = (addr->addr.family == 4) ? TRP_STUN_IPV4 : TRP_STUN_IPV6;

    trp_write16(p + 2, addr->port ^ (TRP_STUN_COOKIE >> 16));

    memcpy(p + 4, addr->addr.bytes, len);
    trp_stun_xor(p + 4, len, w->data);
}


void
trp_stun_put_error(trp_stun_writer_t *w, unsigned code, const char *reason)
{
    size_t    len;
    uint8_t  *p;

    len = strlen(reason);
    p = trp_stun_room(w, TRP_STUN_ERROR_CODE, 4 + len);

    if (p) {
        trp_write32(p, (uint32_t) ((code / 100) << 8 | code % 100));
        memcpy(p + 4, reason, len);
    }
}


void
trp_stun_put_sha1(trp_stun_writer_t *w, trp_str_t key)
{
    size_t    offset;
    uint8_t  *p;

    offset = w->len;
    p = trp_stun_room(w, TRP_STUN_MESSAGE_INTEGRITY, TRP_STUN_SHA1_LEN);

    if (p && trp_stun_sign(p, w->data, offset, TRP_STUN_SHA1_LEN, key)
             != TRP_OK)
    {
        w->full = 1;
    }
}


void
trp_stun_put_sha256(trp_stun_writer_t *w, trp_str_t key)
{
    size_t    offset;
    uint8_t  *p;

    offset = w->len;
    p = trp_stun_room(w, TRP_STUN_MESSAGE_INTEGRITY_SHA256,
                      TRP_STUN_SHA256_LEN);

    if (p && trp_stun_sign(p, w->data, offset, TRP_STUN_SHA256_LEN, key)
             != TRP_OK)
    {
        w->full = 1;
    }
}


void
trp_stun_put_fingerprint(trp_stun_writer_t *w)
{
    size_t    offset;
    uint8_t  *p;

    offset = w->len;
    p = trp_stun_room(w, TRP_STUN_FINGERPRINT, 4);

    if (p) {
        trp_write32(p, trp_stun_crc32(w->data, offset)
                       ^ TRP_STUN_FINGERPRINT_XOR);
    }
}
