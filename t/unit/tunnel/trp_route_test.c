
/*
 * Copyright (C) the trp authors
 */


/* the forms of a route, and all that is none of them */


#include <stdlib.h>

#include "tap.h"

#include "base/trp_addr.h"
#include "tunnel/trp_route.h"


/* a copy without a byte to spare, so that ASan sees reads past the end */

static trp_str_t
text_n(const char *s, size_t len)
{
    static char      *slot[8];
    static unsigned   next;

    trp_str_t         str;

    next = (next + 1) % 8;
    free(slot[next]);

    slot[next] = malloc(len);
    memcpy(slot[next], s, len);

    str.len = len;
    str.data = (uint8_t *) slot[next];

    return str;
}


static trp_str_t
text(const char *s)
{
    return text_n(s, strlen(s));
}


/* what the value of a variable leads to */

static const char *
destination_string(trp_str_t in)
{
    static char  buf[512];

    trp_route_t  route;
    const char  *err;

    memset(&route, 0xa5, sizeof(route));

    err = trp_route_parse_destination(&route, in);
    if (err) {
        return err;
    }

    snprintf(buf, sizeof(buf), "%d %.*s %d", route.addr.family,
             (int) route.host.len, (const char *) route.host.data, route.port);

    return buf;
}


/* "source listen_port family host port", "any" without a source */

static const char *
route_string(trp_str_t in)
{
    static char  buf[512];

    size_t       n;
    trp_route_t  route;
    const char  *err;

    memset(&route, 0xa5, sizeof(route));

    err = trp_route_parse(&route, in);
    if (err) {
        return err;
    }

    if (route.source.addr.family) {
        n = trp_addr_text((uint8_t *) buf, &route.source.addr);
        n += snprintf(buf + n, sizeof(buf) - n, "/%d", route.source.prefix);

    } else {
        n = snprintf(buf, sizeof(buf), "any");
    }

    if (route.listen_path.len) {
        n += snprintf(buf + n, sizeof(buf) - n, " %.*s",
                      (int) route.listen_path.len,
                      (const char *) route.listen_path.data);
    } else {
        n += snprintf(buf + n, sizeof(buf) - n, " %d", route.listen_port);
    }

    if (route.listen_last != route.listen_port) {
        n += snprintf(buf + n, sizeof(buf) - n, "-%d", route.listen_last);
    }

    if (route.variable.len) {
        snprintf(buf + n, sizeof(buf) - n, " %.*s", (int) route.variable.len,
                 (const char *) route.variable.data);
        return buf;
    }

    snprintf(buf + n, sizeof(buf) - n, " %d %.*s %d%s", route.addr.family,
             (int) route.host.len, (const char *) route.host.data, route.port,
             route.each ? ".." : "");

    return buf;
}


#define UNBRACKETED  "has an unbracketed IPv6 address, write it as [ADDRESS]"
#define SOURCE                                                                \
    "has an invalid source, a source must be an address or a block"
#define NO_SOURCE    "has an empty source, leave out its colon for any source"
#define LISTEN       "has an invalid listen port, a port is 1 to 65535"
#define PORT         "has an invalid destination port, a port is 1 to 65535"
#define ORDER        "has a range of ports that ends before it starts"
#define LENGTHS                                                               \
    "has ranges of different lengths, write a range of destination ports as " \
    "long as that of the ports to listen on, or one port"
#define NOBODY                                                                \
    "has a source that nobody connects from, leave it out to let anybody "    \
    "connect, and write \"bind=ADDRESS\" for where to listen"
#define PATH         "has an invalid path of a unix socket"
#define NO_PORT      "has an empty port"
#define NO_HOST      "has an empty host, write \"PORT:PORT\" for 127.0.0.1"
#define HOST         "has an invalid destination host"
#define BLOCK        "has a block as its destination, it must be one address"
#define MISSING      "is missing a part, write at least \"PORT:PORT\""
#define UNCLOSED     "has an unclosed bracket"
#define AFTER        "has text after a bracket"
#define TOO_MANY                                                              \
    "has too many parts, write at most \"ADDRESS:PORT:HOST:PORT\""
#define BRACKETS                                                              \
    "has brackets around a destination that is not an IPv6 address"


static const struct {
    const char  *in;
    const char  *out;
} routes[] = {

    /* port:port */

    { "5001:22", "any 5001 4 127.0.0.1 22" },
    { "1:65535", "any 1 4 127.0.0.1 65535" },

    /* ip:port:port */

    { "10.0.0.1:5001:22", "10.0.0.1/32 5001 4 127.0.0.1 22" },
    { "10.9.9.9/8:5001:22", "10.0.0.0/8 5001 4 127.0.0.1 22" },
    { "0.0.0.0/0:5001:22", "0.0.0.0/0 5001 4 127.0.0.1 22" },
    { "[::1]:5001:22", "::1/128 5001 4 127.0.0.1 22" },
    { "[2001:db8::/32]:5001:22", "2001:db8::/32 5001 4 127.0.0.1 22" },
    { "[2001:db8::]/32:5001:22", "2001:db8::/32 5001 4 127.0.0.1 22" },
    { "[::ffff:10.0.0.1]:5001:22", "10.0.0.1/32 5001 4 127.0.0.1 22" },

    /* port:ip:port */

    { "5001:10.0.0.1:22", "any 5001 4 10.0.0.1 22" },
    { "5001:[::1]:22", "any 5001 6 ::1 22" },
    { "5001:[2001:DB8::1]:22", "any 5001 6 2001:DB8::1 22" },
    { "5001:localhost:22", "any 5001 0 localhost 22" },
    { "5001:_a.Example.com:22", "any 5001 0 _a.Example.com 22" },

    /* ip:port:ip:port */

    { "10.0.0.1:5001:10.0.0.2:22", "10.0.0.1/32 5001 4 10.0.0.2 22" },
    { "10.0.0.1:5001:db:22", "10.0.0.1/32 5001 0 db 22" },
    { "[2001:db8::/32]:5001:[::1]:22", "2001:db8::/32 5001 6 ::1 22" },
    { "[::1]:5001:10.0.0.1:22", "::1/128 5001 4 10.0.0.1 22" },

    /* ranges of ports */

    { "5001-5010:22", "any 5001-5010 4 127.0.0.1 22" },
    { "5001-5010:22-31", "any 5001-5010 4 127.0.0.1 22.." },
    { "5001-5001:22-22", "any 5001 4 127.0.0.1 22" },
    { "1-65535:1-65535", "any 1-65535 4 127.0.0.1 1.." },
    { "5001-5010:10.0.0.1:22", "any 5001-5010 4 10.0.0.1 22" },
    { "5001-5010:db:22-31", "any 5001-5010 0 db 22.." },
    { "10.0.0.1:5001-5010:22-31", "10.0.0.1/32 5001-5010 4 127.0.0.1 22.." },
    { "[::1]:5001-5010:[::1]:22-31", "::1/128 5001-5010 6 ::1 22.." },
    { "5001-5010:22-30", LENGTHS },
    { "5001-5010:22-32", LENGTHS },
    { "5001:10.0.0.1:22-23", LENGTHS },

    /* unix sockets */

    { "5001:unix:/run/a", "any 5001 0 unix:/run/a 0" },
    { "10.0.0.1:5001:unix:/run/a", "10.0.0.1/32 5001 0 unix:/run/a 0" },
    { "5001-5010:unix:/run/a", "any 5001-5010 0 unix:/run/a 0" },
    { "unix:/run/a:22", "any unix:/run/a 4 127.0.0.1 22" },
    { "unix:/run/a:db:22", "any unix:/run/a 0 db 22" },
    { "unix:/run/a:[::1]:22", "any unix:/run/a 6 ::1 22" },
    { "unix:/run/a:unix:/run/b", "any unix:/run/a 0 unix:/run/b 0" },
    { "5001:unix:22", "any 5001 0 unix 22" },
    { "unix:/run/a", MISSING },
    { "5001:unix:/run/../a", PATH },
    { "5001:unix:/", PATH },
    { "5001:unix:run/a", PORT },
    { "5001:unix:/run/a:22", "has text after the path of a unix socket" },
    { "unix:/run/a:5001:10.0.0.1:22",
      "has too many parts after \"unix:/PATH\"" },
    { "unix:/run/a:22-23", LENGTHS },

    /* variables */

    { "5001:$to", "any 5001 $to" },
    { "5001-5010:$to", "any 5001-5010 $to" },
    { "5001:$name:22", "any 5001 $name:22" },
    { "5001:a.${name}.b:22", "any 5001 a.${name}.b:22" },
    { "5001:10.0.0.1:$port", "any 5001 10.0.0.1:$port" },
    { "5001:unix:/run/$name", "any 5001 unix:/run/$name" },
    { "10.0.0.1:5001:$to", "10.0.0.1/32 5001 $to" },
    { "10.0.0.1:5001:$name:22", "10.0.0.1/32 5001 $name:22" },
    { "unix:/run/a:$to", "any unix:/run/a $to" },
    { "$port:22", LISTEN },
    { "$source:5001:22", SOURCE },

    /* missing and empty parts */

    { "", "is empty" },
    { "5001", MISSING },
    { "localhost", MISSING },
    { "[::1]", MISSING },
    { ":", NO_PORT },
    { "5001:", NO_PORT },
    { ":22", NO_PORT },
    { "5001:10.0.0.1:", NO_PORT },
    { "5001:22:", NO_PORT },
    { "10.0.0.1::22", NO_PORT },
    { "10.0.0.1:5001:", NO_PORT },
    { "10.0.0.1:5001:10.0.0.2:", NO_PORT },
    { "10.0.0.1::10.0.0.2:22", NO_PORT },
    { "5001::22", NO_HOST },
    { "10.0.0.1:5001::22", NO_HOST },
    { "[::1]:5001::22", NO_HOST },
    { ":5001:22", NO_SOURCE },
    { "::", NO_SOURCE },
    { ":5001:10.0.0.1:22", NO_SOURCE },
    { ":::", UNBRACKETED },

    /* ports */

    { "0:22", LISTEN },
    { "65536:22", LISTEN },
    { "5001:0", PORT },
    { "5001:65536", PORT },
    { "0:10.0.0.1:22", LISTEN },
    { "65536:10.0.0.1:22", LISTEN },
    { "5001:10.0.0.1:0", PORT },
    { "5001:10.0.0.1:65536", PORT },
    { "10.0.0.1:0:22", LISTEN },
    { "10.0.0.1:5001:65536", PORT },
    { "10.0.0.1:65536:10.0.0.2:22", LISTEN },
    { "10.0.0.1:5001:10.0.0.2:0", PORT },
    { "05001:22", LISTEN },
    { "5001:022", PORT },
    { "+5001:22", LISTEN },
    { "-1:22", LISTEN },
    { "5001:22 ", PORT },
    { " 5001:22", LISTEN },
    { "5001:ssh", PORT },
    { "10.0.0.1:22", LISTEN },
    { "localhost:22", LISTEN },
    { "5001-65536:22", LISTEN },
    { "5001-:22", LISTEN },
    { "-5001:22", LISTEN },
    { "5001-5002-5003:22", LISTEN },
    { "5010-5001:22", ORDER },
    { "5001:30-22", ORDER },
    { "5001-5010:22-65536", PORT },
    { "5001-5010:-22", PORT },
    { "99999999999999999999:22", LISTEN },

    /* sources */

    { "localhost:5001:22", SOURCE },
    { "localhost:5001:10.0.0.1:22", SOURCE },
    { "*:5001:22", SOURCE },
    { "10.0.0.0/33:5001:22", SOURCE },
    { "10.0.0/8:5001:22", SOURCE },
    { "256.0.0.1:5001:22", SOURCE },
    { "[10.0.0.1]:5001:22", SOURCE },
    { "[::1]x:5001:22", SOURCE },
    { "[::g]:5001:22", SOURCE },
    { "[]:5001:22", SOURCE },
    { "[::1/129]:5001:22", SOURCE },
    { "5001:5002:5003:22", SOURCE },
    { "5001-5002:5002:5003:22", SOURCE },
    { "0.0.0.0:5001:22", NOBODY },
    { "0.0.0.0/32:5001:22", NOBODY },
    { "[::]:5001:10.0.0.1:22", NOBODY },
    { "[::ffff:0.0.0.0]:5001:22", NOBODY },
    { "[::]/0:5001:22", "::/0 5001 4 127.0.0.1 22" },

    /* destinations */

    { "5001:256.0.0.1:22", HOST },
    { "5001:10.0.0:22", HOST },
    { "5001:22:33", HOST },
    { "5001:a_b..c:22", HOST },
    { "5001:-a:22", HOST },
    { "5001:a b:22", HOST },
    { "5001:*:22", HOST },
    { "5001:*.a:22", HOST },
    { "5001:a..:22", HOST },
    { "5001:.:22", HOST },
    { "5001:10.0.0.1.:22", HOST },
    { "5001:unix[a]:22", HOST },
    { "5001:10.0.0.0/8:22", BLOCK },
    { "5001:[2001:db8::]/32:22", BLOCK },
    { "5001:[2001:db8::/32]:22", BLOCK },
    { "5001:[10.0.0.1]:22", BRACKETS },
    { "5001:[localhost]:22", BRACKETS },
    { "5001:[]:22", BRACKETS },
    { "5001:[[::1]]:22", BRACKETS },
    { "5001:[::1]]:22", BRACKETS },
    { "5001:[::1%lo]:22", BRACKETS },
    { "5001:[::1]x:22", AFTER },
    { "10.0.0.1:5001:[::1]22:22", AFTER },
    { "5001:[::1:22", UNCLOSED },
    { "[::1:5001:22", UNCLOSED },
    { "[", UNCLOSED },

    /* IPv6 without brackets */

    { "::1:5001:22", UNBRACKETED },
    { "2001:db8::/32:5001:22", UNBRACKETED },
    { "fe80::1:22", UNBRACKETED },
    { "5001:::1:22", UNBRACKETED },
    { "5001:2001:db8::1:22", UNBRACKETED },
    { "5001:1:2:3:4:5:6:7:8:22", UNBRACKETED },
    { "1:2:3:4:5:6:7:8:5001:22", UNBRACKETED },
    { "1:2:3:4:5:6:7:8:5001:10.0.0.1:22", UNBRACKETED },
    { "10.0.0.1:5001:1:2:3:4:5:6:7:8:22", UNBRACKETED },
    { "10.0.0.1:5001:::1:22", UNBRACKETED },
    { "::1:5001:::1:22", UNBRACKETED },
    { "2001:db8::1:5001:[::1]:22", UNBRACKETED },
    { "[::1]:5001:2001:db8::1:22", UNBRACKETED },
    { "::ffff:10.0.0.1:5001:22", UNBRACKETED },

    /* more than there is room for */

    { "10.0.0.1:5001:10.0.0.2:22:1", TOO_MANY },
    { "1:2:3:4:5", TOO_MANY },
    { "5001:22:33:44:55:66", TOO_MANY },
    { "1:2:3:4:5:6:7:g:9:10:11:12:13:14:15:16:17:18", TOO_MANY }
};


static const struct {
    const char  *in;
    const char  *out;
} destinations[] = {
    { "10.0.0.1:22", "4 10.0.0.1 22" },
    { "db.example.:22", "0 db.example 22" },
    { "[::1]:22", "6 ::1 22" },
    { "22", "4 127.0.0.1 22" },
    { "unix:/run/a", "0 unix:/run/a 0" },
    { "", "is empty" },
    { ":", NO_PORT },
    { ":22", NO_HOST },
    { "db", PORT },
    { "db:", NO_PORT },
    { "db:65536", PORT },
    { "db:1-2", LENGTHS },
    { "a b:22", HOST },
    { "$to", HOST },
    { "$to:22", HOST },
    { "10.0.0.1:22:33", "is not \"HOST:PORT\"" },
    { "unix:/run/../a", PATH },
    { "unix:/run/a:22", "has text after the path of a unix socket" },
    { "[::1", UNCLOSED }
};


int
main(void)
{
    char         buf[1024];
    size_t       i, n;
    trp_str_t    in;
    trp_route_t  route;

    for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        is_str(route_string(text(routes[i].in)), routes[i].out, "\"%s\"",
               routes[i].in);
    }

    for (i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
        is_str(destination_string(text(destinations[i].in)),
               destinations[i].out, "destination \"%s\"",
               destinations[i].in);
    }

    is_str(route_string(text_n("5001:a\0b:22", 11)), HOST,
           "a null byte in the host");
    is_str(route_string(text_n("5001:10.0.0.1\0:22", 17)), HOST,
           "a null byte in the address");
    is_str(route_string(text_n("10.0.0.1\0:5001:22", 17)), SOURCE,
           "a null byte in the source");
    is_str(route_string(text_n("5001:22\0", 8)), PORT,
           "a null byte in the port");

    memset(buf, 'a', sizeof(buf));
    memcpy(buf, "5001:", 5);

    for (i = 1; i < 4; i++) {
        buf[5 + i * 64 - 1] = '.';
    }

    memcpy(buf + 5 + 253, ":22", 3);
    is_str(trp_route_parse(&route, text_n(buf, 5 + 253 + 3)), NULL,
           "a host name of 253 bytes");
    is_int(route.host.len, 253, "all of it");

    buf[5 + 253] = 'a';
    memcpy(buf + 5 + 254, ":22", 3);
    is_str(trp_route_parse(&route, text_n(buf, 5 + 254 + 3)), HOST,
           "a host name of 254 bytes");

    memset(buf, ':', sizeof(buf));
    is_str(trp_route_parse(&route, text_n(buf, sizeof(buf))), UNBRACKETED,
           "1024 colons");

    in = text("10.0.0.1:5001:[::1]:22");
    trp_route_parse(&route, in);
    ok(route.host.data == in.data + 15, "the host points into the text");

    is_str(trp_route_parse(&route, text("5001:db.example.:22")), NULL,
           "a dot at the end of a name");
    is_int(route.host.len, 10, "which is not part of it");

    trp_route_parse(&route, text("10.0.0.5/22:5001:22"));
    is_int(route.low_bits, 1, "low bits of a source");
    is_int(route.plain, 0, "a block");
    trp_route_parse(&route, text("10.0.4.0/22:5001:22"));
    is_int(route.low_bits, 0, "no low bits of a source");
    trp_route_parse(&route, text("127.0.0.1:5001:22"));
    is_int(route.plain, 1, "an address");

    /* no byte after the end is looked at, whatever the length */

    for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        for (n = 0; n < strlen(routes[i].in); n++) {
            route_string(text_n(routes[i].in, n));
        }
    }

    ok(1, "every route at every length");

    return done_testing();
}
