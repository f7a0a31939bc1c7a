
/*
 * Copyright (C) the trp authors
 */


/* names of services, where they are, and lists of them */


#include <stdlib.h>

#include "tap.h"

#include "tunnel/trp_publish.h"


/* a copy without a byte to spare, so that ASan sees reads past the end */

static trp_str_t
text(const char *s)
{
    static char      *slot[8];
    static unsigned   next;

    trp_str_t         str;

    next = (next + 1) % 8;
    free(slot[next]);

    str.len = strlen(s);
    slot[next] = malloc(str.len ? str.len : 1);
    memcpy(slot[next], s, str.len);
    str.data = (uint8_t *) slot[next];

    return str;
}


static void
test_names(void)
{
    size_t   i, n;
    uint8_t  buf[256];

    static const struct {
        const char  *name;
        int          valid;
        uint16_t     port;
    } rows[] = {
        { "1", 1, 1 },
        { "20022", 1, 20022 },
        { "65535", 1, 65535 },
        { "65536", 0, 0 },
        { "0", 0, 0 },
        { "022", 0, 0 },
        { "22.", 0, 0 },
        { "", 0, 0 },
        { ".", 0, 0 },
        { "10.0.0.5", 0, 0 },
        { "git", 1, 0 },
        { "Git.Example.com", 1, 0 },
        { "git.example.com.", 1, 0 },
        { "git..example.com", 0, 0 },
        { "*.example.com", 0, 0 },
        { "git example", 0, 0 },
        { "git:443", 0, 0 },
        { "[::1]", 0, 0 }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_int(trp_service_valid(text(rows[i].name)), rows[i].valid,
               "\"%s\"", rows[i].name);
        is_int(trp_service_port(text(rows[i].name)), rows[i].port, "its port");
    }

    n = trp_service_copy(buf, text("Git.EXAMPLE.com."));
    ok(n == 15 && memcmp(buf, "git.example.com", n) == 0, "in lower case");

    n = trp_service_copy(buf, text("20022"));
    ok(n == 5 && memcmp(buf, "20022", n) == 0, "a port");
}


/* "name family host port" */

static const char *
parse(const char *name, const char *destination)
{
    static char    buf[512];

    const char    *err;
    trp_publish_t  publish;

    memset(&publish, 0xa5, sizeof(publish));

    err = trp_publish_parse(&publish, text(name), text(destination));
    if (err) {
        return err;
    }

    snprintf(buf, sizeof(buf), "%.*s %d %.*s %d",
             (int) publish.name.len, (const char *) publish.name.data,
             publish.addr.family,
             (int) publish.host.len, (const char *) publish.host.data,
             publish.port);

    return buf;
}


static void
test_parse(void)
{
    size_t  i;

    static const struct {
        const char  *destination;
        const char  *result;
    } rows[] = {
        { "10.0.0.5:22", "x 4 10.0.0.5 22" },
        { "22", "x 4 127.0.0.1 22" },
        { "[2001:db8::1]:443", "x 6 2001:db8::1 443" },
        { "host.example:443", "x 0 host.example 443" },
        { "host.example.:443", "x 0 host.example 443" },
        { "", "has no valid port, write \"HOST:PORT\"" },
        { "host", "has no valid port, write \"HOST:PORT\"" },
        { "host:", "has no valid port, write \"HOST:PORT\"" },
        { "host:0", "has no valid port, write \"HOST:PORT\"" },
        { "host:65536", "has no valid port, write \"HOST:PORT\"" },
        { "host:1-2", "has no valid port, write \"HOST:PORT\"" },
        { ":22", "has an invalid host" },
        { "a b:22", "has an invalid host" },
        { "10.0.0.0/8:22", "has an invalid host" },
        { "10.0.0:22", "has an invalid host" },
        { "2001:db8::1:22",
          "has an unbracketed IPv6 address, write \"[ADDRESS]:PORT\"" },
        { "[10.0.0.5]:22", "has brackets around what is not an IPv6 address" },
        { "[]:22", "has brackets around what is not an IPv6 address" },
        { "[::1:22", "has an invalid host" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_str(parse("x", rows[i].destination), rows[i].result, "\"%s\"",
               rows[i].destination);
    }

    is_str(parse("Git.example.", "22"), "Git.example 4 127.0.0.1 22",
           "a name with a dot at its end");
}


static void
test_list(void)
{
    uint64_t  a, b, ab, ba;

    a = trp_publish_add(0, text("a"));
    b = trp_publish_add(0, text("b"));
    ab = trp_publish_add(a, text("b"));
    ba = trp_publish_add(b, text("a"));

    ok(a != 0 && a != b && ab != ba && ab != a, "lists differ");
    ok(trp_publish_add(0, text("ab")) != ab, "names are not just joined");
    ok(trp_publish_add(0, text("A.")) == a, "one name, written differently");
}


int
main(void)
{
    test_names();
    test_parse();
    test_list();

    return done_testing();
}
