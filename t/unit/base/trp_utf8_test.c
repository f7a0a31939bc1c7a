
/*
 * Copyright (C) the trp authors
 */


/* characters, and text that is made of them */


#include <stdlib.h>
#include <string.h>

#include "tap.h"

#include "base/trp_utf8.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))

#define UNKNOWN   "\xef\xbf\xbd"


static void
test_length(void)
{
    size_t     i;
    trp_str_t  text;

    static const struct {
        const char *text;
        size_t      len;
        size_t      length;
    } cases[] = {
        { "", 0, 0 },
        { "a", 1, 1 },
        { "\0", 1, 1 },
        { "\x7f", 1, 1 },
        { "\x80", 1, 0 },
        { "\xbf", 1, 0 },
        { "\xc0\x80", 2, 0 },
        { "\xc1\xbf", 2, 0 },
        { "\xc2\x80", 2, 2 },
        { "\xc2", 1, 0 },
        { "\xc2" "a", 2, 0 },
        { "\xdf\xbf", 2, 2 },
        { "\xe0\x9f\xbf", 3, 0 },
        { "\xe0\xa0\x80", 3, 3 },
        { "\xe0\xa0", 2, 0 },
        { "\xe2\x82\xac", 3, 3 },
        { "\xe2\x82" "a", 3, 0 },
        { "\xed\x9f\xbf", 3, 3 },
        { "\xed\xa0\x80", 3, 0 },
        { "\xef\xbf\xbf", 3, 3 },
        { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\xf0\x90\x80\x80", 4, 4 },
        { "\xf0\x9f\x98\x80", 4, 4 },
        { "\xf0\x9f\x98", 3, 0 },
        { "\xf0\x9f\x98\xc0", 4, 0 },
        { "\xf4\x8f\xbf\xbf", 4, 4 },
        { "\xf4\x90\x80\x80", 4, 0 },
        { "\xf5\x80\x80\x80", 4, 0 },
        { "\xff", 1, 0 }
    };

    for (i = 0; i < nelts(cases); i++) {
        text.data = (const uint8_t *) cases[i].text;
        text.len = cases[i].len;

        is_int(trp_utf8_length(text), cases[i].length, "character %d",
               (int) i);
    }
}


static void
test_clean(void)
{
    char       *out;
    size_t      i, len;
    trp_str_t   text;

    static const struct {
        const char *text;
        size_t      size;
        const char *out;
    } cases[] = {
        { "", 1, "" },
        { "alice", 5, "alice" },
        { "alice", 4, "alic" },
        { "b\xc3\xbc" "cher", 100, "b\xc3\xbc" "cher" },
        { "b\xfc" "cher", 100, "b" UNKNOWN "cher" },
        { "b\xc3\xbc", 2, "b" },
        { "b\xc3\xbc", 3, "b\xc3\xbc" },
        { "\xff\xfe", 6, UNKNOWN UNKNOWN },
        { "\xff\xfe", 5, UNKNOWN },
        { "\xff", 2, "" },
        { "a\xe2\x82", 7, "a" UNKNOWN UNKNOWN },
        { "\xed\xa0\x80", 9, UNKNOWN UNKNOWN UNKNOWN }
    };

    for (i = 0; i < nelts(cases); i++) {
        text.data = (const uint8_t *) cases[i].text;
        text.len = strlen(cases[i].text);

        /* with not a byte to spare */

        out = malloc(cases[i].size + 1);

        if (out == NULL) {
            abort();
        }

        memset(out, '#', cases[i].size + 1);
        len = trp_utf8_clean((uint8_t *) out, cases[i].size, text);

        ok(len <= cases[i].size && out[cases[i].size] == '#', "room %d",
           (int) i);

        out[len] = '\0';
        is_str(out, cases[i].out, "text %d", (int) i);

        free(out);
    }
}


int
main(void)
{
    test_length();
    test_clean();

    return done_testing();
}
