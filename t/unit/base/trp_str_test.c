
/*
 * Copyright (C) the trp authors
 */


/* text of peers for a log */


#include <stdlib.h>

#include "tap.h"

#include "base/trp_str.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))


static void
test_printable(void)
{
    char       *out;
    size_t      i, len;
    trp_str_t   text;

    static const struct {
        const char *text;
        size_t      len;
        size_t      size;
        const char *out;
    } cases[] = {
        { "", 0, 8, "" },
        { "alice", 5, 8, "alice" },
        { "a b~c", 5, 9, "a b~c" },
        { "a\nb", 3, 100, "a\\x0Ab" },
        { "a\0b", 3, 100, "a\\x00b" },
        { "\x1b[31m", 5, 100, "\\x1B[31m" },
        { "\x7f", 1, 100, "\\x7F" },
        { "\x80\xff", 2, 100, "\\x80\\xFF" },
        { "\xc2\x9b", 2, 100, "\\xC2\\x9B" },
        { "\"", 1, 100, "\\x22" },
        { "\\x41", 4, 100, "\\x5Cx41" },
        { "abcdefgh", 8, 8, "abcde..." },
        { "abcdefghi", 9, 11, "abcdefgh..." },
        { "abcdefghi", 9, 12, "abcdefghi" },
        { "\n\n\n", 3, 8, "\\x0A..." },
        { "\n\n\n", 3, 15, "\\x0A\\x0A\\x0A" },
        { "\n\n\n\n", 4, 15, "\\x0A\\x0A\\x0A..." },
        { "abc\n\n", 5, 8, "abc..." },
        { "abcde\n", 6, 10, "abcde\\x0A" }
    };

    for (i = 0; i < nelts(cases); i++) {
        text.data = (const uint8_t *) cases[i].text;
        text.len = cases[i].len;

        /* with not a byte to spare */

        out = malloc(cases[i].size);
        len = trp_str_printable((uint8_t *) out, cases[i].size, text);

        ok(len <= cases[i].size && len == strlen(cases[i].out)
           && memcmp(out, cases[i].out, len) == 0, "%s", cases[i].out);

        free(out);
    }

    /* any byte, any size */

    for (i = 8; i < 40; i++) {
        uint8_t  all[256], *buf;
        size_t   j, wrong;

        for (j = 0; j < 256; j++) {
            all[j] = (uint8_t) (j * 37 + i);
        }

        text.data = all;
        text.len = sizeof(all);

        buf = malloc(i);
        len = trp_str_printable(buf, i, text);
        wrong = len > i || len < 3 || memcmp(buf + len - 3, "...", 3) != 0;

        for (j = 0; j < len; j++) {
            wrong += buf[j] < 0x20 || buf[j] > 0x7e;
        }

        is_int(wrong, 0, "into %zu bytes", i);
        free(buf);
    }
}


int
main(void)
{
    test_printable();

    return done_testing();
}
