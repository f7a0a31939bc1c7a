
/*
 * Copyright (C) the trp authors
 */


/* paths of unix sockets, and the patterns that allow them */


#include <string.h>

#include "tap.h"

#include "base/trp_path.h"


static trp_str_t
text(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


static const struct {
    const char  *pattern;
    const char  *path;
    int          match;
} matches[] = {
    { "/run/a.sock", "/run/a.sock", 1 },
    { "/run/a.sock", "/run/a.socket", 0 },
    { "/run/a.sock", "/run/A.sock", 0 },
    { "/run/*.sock", "/run/a.sock", 1 },
    { "/run/*.sock", "/run/.sock", 1 },
    { "/run/*.sock", "/run/a.sock.sock", 1 },
    { "/run/*.sock", "/run/a.sock.old", 0 },
    { "/run/*.sock", "/run/a/b.sock", 0 },
    { "/run/*/b.sock", "/run/a/b.sock", 1 },
    { "/run/*/b.sock", "/run/a/c/b.sock", 0 },
    { "/run/*", "/run/a", 1 },
    { "/run/*", "/run/a/b", 0 },
    { "/run/*", "/run", 0 },
    { "/*/*", "/run/a", 1 },
    { "/*", "/run/a", 0 },
    { "/run/?", "/run/a", 1 },
    { "/run/?", "/run/ab", 0 },
    { "/run?a", "/run/a", 0 },
    { "/run/a*b*c", "/run/abbcbc", 1 },
    { "/run/a*b*c", "/run/abbcb", 0 },
    { "/run/**", "/run/a", 1 },
    { "/run/a*/c", "/run/a/b/c", 0 },
    { "/run/*a/b", "/run/x/a/b", 0 },
    { "/run/x", "/run/*", 0 }
};


int
main(void)
{
    char       buf[200];
    size_t     i;
    trp_str_t  path;

    for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        is_int(trp_path_match(text(matches[i].pattern),
                              text(matches[i].path)),
               matches[i].match, "%s and %s", matches[i].pattern,
               matches[i].path);
    }

    is_int(trp_path_valid(text("/run/a.sock")), 1, "a path");
    is_int(trp_path_valid(text("/run/..a/a..")), 1, "dots in names");
    is_int(trp_path_valid(text("/a")), 1, "a short path");
    is_int(trp_path_valid(text("/")), 0, "no name");
    is_int(trp_path_valid(text("")), 0, "empty");
    is_int(trp_path_valid(text("run/a")), 0, "relative");
    is_int(trp_path_valid(text("/run/")), 0, "a directory");
    is_int(trp_path_valid(text("/run/../a")), 0, "climbs");
    is_int(trp_path_valid(text("/..")), 0, "climbs at the end");
    is_int(trp_path_valid(text("/../a")), 0, "climbs at the beginning");
    is_int(trp_path_valid(text("/run/a b")), 0, "a blank");
    is_int(trp_path_valid(text("/run/a:b")), 0, "a colon");
    is_int(trp_path_valid(text("/run/a\n")), 0, "an end of line");
    is_int(trp_path_valid(text("/run/\x7f")), 0, "a control character");
    is_int(trp_path_valid(text("/run/\xc3\xa4")), 0, "not ASCII");

    path.data = (const uint8_t *) "/a\0b";
    path.len = 4;
    is_int(trp_path_valid(path), 0, "a null byte");

    memset(buf, 'a', sizeof(buf));
    buf[0] = '/';
    path.data = (uint8_t *) buf;
    path.len = 107;
    is_int(trp_path_valid(path), 1, "107 bytes");
    path.len = 108;
    is_int(trp_path_valid(path), 0, "108 bytes");

    ok(trp_path_get(text("unix:/run/a"), &path), "unix:/run/a");
    is_int(path.len, 6, "its path");
    ok(!trp_path_get(text("unix:run/a"), &path), "unix:run/a");
    ok(!trp_path_get(text("unix:80"), &path), "a host and its port");
    ok(!trp_path_get(text("unix"), &path), "a host");

    return done_testing();
}
