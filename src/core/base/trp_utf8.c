
/*
 * Copyright (C) the trp authors
 */


/*
 * Characters of UTF-8, by the table of RFC 3629, section 4: no overlong forms,
 * no surrogates, nothing above U+10FFFF.
 */


#include "base/trp_utf8.h"

#include <string.h>


size_t
trp_utf8_length(trp_str_t text)
{
    size_t          i, n;
    uint8_t         first, low, high;
    const uint8_t  *p;

    if (text.len == 0) {
        return 0;
    }

    p = text.data;
    first = p[0];
    low = 0x80;
    high = 0xbf;

    if (first < 0x80) {
        return 1;
    }

    if (first >= 0xc2 && first <= 0xdf) {
        n = 2;

    } else if (first >= 0xe0 && first <= 0xef) {
        n = 3;
        low = (first == 0xe0) ? 0xa0 : low;
        high = (first == 0xed) ? 0x9f : high;

    } else if (first >= 0xf0 && first <= 0xf4) {
        n = 4;
        low = (first == 0xf0) ? 0x90 : low;
        high = (first == 0xf4) ? 0x8f : high;

    } else {
        return 0;
    }

    if (text.len < n || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


size_t
trp_utf8_clean(uint8_t *buf, size_t size, trp_str_t text)
{
    size_t          i, n;
    uint8_t        *p, *end;
    trp_str_t       left;
    const uint8_t  *from;

    static const uint8_t  unknown[] = { 0xef, 0xbf, 0xbd };

    p = buf;
    end = buf + size;

    for (i = 0; i < text.len; i += n) {

        /* most of it is ASCII */

        if (text.data[i] < 0x80) {

            if (p == end) {
                break;
            }

            *p++ = text.data[i];
            n = 1;
            continue;
        }

        left.data = text.data + i;
        left.len = text.len - i;

        n = trp_utf8_length(left);
        from = n ? left.data : unknown;

        if ((size_t) (end - p) < (n ? n : sizeof(unknown))) {
            break;
        }

        memcpy(p, from, n ? n : sizeof(unknown));
        p += n ? n : sizeof(unknown);

        n = n ? n : 1;
    }

    return p - buf;
}
