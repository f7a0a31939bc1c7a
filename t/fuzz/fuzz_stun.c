
/*
 * Copyright (C) the trp authors
 */


/*
 * A STUN message: its attributes lie inside of it, and it can be written
 * again from them.
 */


#include <stdlib.h>
#include <string.h>

#include "stun/trp_stun.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
must(int held)
{
    if (!held) {
        abort();
    }
}


static void
fuzz_frame(const uint8_t *data, size_t size)
{
    int  n;

    n = trp_stun_frame(data, size);

    if (n == TRP_AGAIN) {
        must(size < TRP_CHANNEL_HEADER_LEN);

    } else if (n != TRP_ERROR) {
        must(n >= TRP_CHANNEL_HEADER_LEN && n % 4 == 0 && n <= 0x10010);

        /* what comes after the header changes nothing */
        must(n == trp_stun_frame(data, TRP_CHANNEL_HEADER_LEN));
    }
}


static void
fuzz_inside(const trp_stun_t *m, trp_str_t value)
{
    if (value.data) {
        must(value.data >= m->data + TRP_STUN_HEADER_LEN + 4
             && value.data + value.len <= m->data + m->end);
    }
}


static void
fuzz_addr(const trp_stun_t *m, trp_str_t value)
{
    uint8_t            buf[TRP_STUN_HEADER_LEN + 4 + 20];
    trp_taddr_t        addr;
    trp_stun_writer_t  w;

    if (trp_stun_addr(m, value, &addr) != TRP_OK) {
        return;
    }

    must(addr.addr.family == 4 || addr.addr.family == 6);

    /* the first byte is not looked at and is written as 0 */

    trp_stun_begin(&w, buf, sizeof(buf), m->type, m->method, m->data + 8);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, &addr);

    must(!w.full && w.len == TRP_STUN_HEADER_LEN + 4 + value.len
         && memcmp(buf + TRP_STUN_HEADER_LEN + 5, value.data + 1,
                   value.len - 1) == 0);
}


/* all that is covered is written again: the same but for the padding */

static void
fuzz_write(const trp_stun_t *m)
{
    size_t             offset, n, size;
    uint8_t           *buf;
    uint16_t           type;
    trp_str_t          key;
    trp_stun_t         again;
    trp_stun_writer_t  w;

    size = m->len + 24 + 36 + 8;
    buf = malloc(size);
    must(buf != NULL);

    trp_stun_begin(&w, buf, size, m->type, m->method, m->data + 8);

    for (offset = TRP_STUN_HEADER_LEN; offset < m->end; /* void */ ) {
        type = trp_read16(m->data + offset);
        n = trp_read16(m->data + offset + 2);

        /* its place is after the others */

        if (type != TRP_STUN_FINGERPRINT) {
            trp_stun_put(&w, (trp_stun_attribute_e) type,
                         m->data + offset + 4, n);

            must(!w.full
                 && memcmp(buf + w.len - ((n + 3) & ~(size_t) 3) - 4,
                           m->data + offset, 4 + n)
                    == 0);
        }

        offset += 4 + ((n + 3) & ~(size_t) 3);
    }

    must(offset == m->end);

    key.data = (const uint8_t *) "key";
    key.len = 3;

    trp_stun_put_sha1(&w, key);
    trp_stun_put_sha256(&w, key);
    trp_stun_put_fingerprint(&w);

    if (!w.full && w.len <= 0xffff + TRP_STUN_HEADER_LEN) {
        must(trp_stun_parse(&again, buf, w.len) == TRP_OK
             && again.fingerprint
             && again.type == m->type
             && again.method == m->method
             && again.nunknown == m->nunknown
             && trp_stun_check_sha1(&again, key) == TRP_OK
             && trp_stun_check_sha256(&again, key) == TRP_OK
             && trp_stun_frame(buf, w.len) == (int) w.len);
    }

    free(buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int         i;
    size_t      offset, before;
    uint32_t    value;
    trp_str_t   key, str;
    trp_stun_t  m;

    static const uint16_t  types[] = {
        TRP_STUN_MAPPED_ADDRESS, TRP_STUN_USERNAME, TRP_STUN_CHANNEL_NUMBER,
        TRP_STUN_LIFETIME, TRP_STUN_XOR_PEER_ADDRESS,
        TRP_STUN_DATA_ATTRIBUTE, TRP_STUN_NONCE, TRP_STUN_XOR_MAPPED_ADDRESS,
        TRP_STUN_ICMP, TRP_STUN_SOFTWARE, TRP_STUN_FINGERPRINT,
        TRP_STUN_MESSAGE_INTEGRITY, 0x7fff
    };

    fuzz_frame(data, size);

    if (trp_stun_parse(&m, data, size) != TRP_OK) {
        return 0;
    }

    must(m.len == size && m.end <= size && m.sha1 < size && m.sha256 < size
         && m.nunknown <= TRP_STUN_UNKNOWN_MAX && m.type <= TRP_STUN_ERROR
         && trp_stun_frame(data, size) == (int) size);

    for (i = 0; i < TRP_STUN_NATTRIBUTES; i++) {
        fuzz_inside(&m, m.attributes[i]);
    }

    for (i = 0; i < (int) (sizeof(types) / sizeof(types[0])); i++) {
        str = trp_stun_get(&m, (trp_stun_attribute_e) types[i]);
        fuzz_addr(&m, str);

        if (trp_stun_get_u32(&m, (trp_stun_attribute_e) types[i], &value)
            == TRP_OK)
        {
            must(str.len == 4);
        }

        offset = 0;
        before = 0;

        while (trp_stun_each(&m, (trp_stun_attribute_e) types[i], &offset,
                             &str)
               == TRP_OK)
        {
            must(offset > before && offset <= m.end);
            fuzz_inside(&m, str);
            fuzz_addr(&m, str);
            before = offset;
        }
    }

    key.data = (const uint8_t *) "VOkJxbRl1RmTxUk/WvJxBt";
    key.len = 22;

    if (m.sha1) {
        (void) trp_stun_check_sha1(&m, key);
    }

    if (m.sha256) {
        (void) trp_stun_check_sha256(&m, key);
    }

    fuzz_write(&m);

    return 0;
}
