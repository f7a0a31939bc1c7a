
/*
 * Copyright (C) the trp authors
 */


/*
 * Comparing text, splitting words off its beginning, and making text from
 * peers safe for a log.
 */


#include <string.h>

#include "base/trp_str.h"


int
trp_str_equal(trp_str_t a, trp_str_t b)
{
    return a.len == b.len && trp_str_starts(a, b);
}


int
trp_str_starts(trp_str_t text, trp_str_t prefix)
{
    return text.len >= prefix.len
           && (prefix.len == 0
               || memcmp(text.data, prefix.data, prefix.len) == 0);
}


void
trp_str_skip(trp_str_t *text, size_t n)
{
    text->data += n;
    text->len -= n;
}


void
trp_str_skip_blanks(trp_str_t *text)
{
    while (text->len != 0 && trp_is_blank(text->data[0])) {
        trp_str_skip(text, 1);
    }
}


void
trp_str_trim(trp_str_t *text)
{
    trp_str_skip_blanks(text);

    while (text->len != 0 && trp_is_blank(text->data[text->len - 1])) {
        text->len--;
    }
}


trp_str_t
trp_str_word(trp_str_t *text)
{
    trp_str_t  word;

    word = *text;

    while (text->len != 0 && !trp_is_blank(text->data[0])) {
        trp_str_skip(text, 1);
    }

    word.len -= text->len;

    trp_str_skip_blanks(text);

    return word;
}


size_t
trp_str_printable(uint8_t *buf, size_t size, trp_str_t text)
{
    size_t                i, n, end;
    uint8_t               c;

    static const uint8_t  hex[] = "0123456789ABCDEF";

    n = 0;
    end = 0;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (size - n < 4) {
            break;
        }

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            buf[n++] = '\\';
            buf[n++] = 'x';
            buf[n++] = hex[c >> 4];
            buf[n++] = hex[c & 15];

        } else {
            buf[n++] = c;
        }

        /* the last position where "..." still fits */

        if (size - n >= 3) {
            end = n;
        }
    }

    if (i < text.len) {
        memcpy(buf + end, "...", 3);
        return end + 3;
    }

    return n;
}


int
trp_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
