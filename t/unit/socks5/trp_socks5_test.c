
/*
 * Copyright (C) the trp authors
 */


/* the messages of SOCKS5, whole and in pieces, and all that is none of them */


#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

#include "base/trp_addr.h"
#include "socks5/trp_socks5.h"
#include "tunnel/trp_wire.h"


/* bytes of a message, with its length */

#define msg(s)  s, sizeof(s) - 1


/* a copy without a byte to spare, so that ASan sees reads past the end */

static trp_str_t
bytes(const void *data, size_t len)
{
    static uint8_t   *slot[4];
    static unsigned   next;

    trp_str_t         str;

    next = (next + 1) % 4;
    free(slot[next]);

    slot[next] = malloc(len);

    if (len) {
        memcpy(slot[next], data, len);
    }

    str.len = len;
    str.data = slot[next];

    return str;
}


static const char *
result(int rc)
{
    switch (rc) {
    case TRP_OK:
        return "ok";
    case TRP_AGAIN:
        return "again";
    case TRP_ERROR:
        return "error";
    case TRP_DECLINED:
        return "declined";
    default:
        return "something else";
    }
}


static size_t
put_addr(char *buf, size_t size, const trp_socks5_addr_t *addr)
{
    size_t  n;

    if (addr->addr.family) {
        n = trp_addr_text((uint8_t *) buf, &addr->addr);

        if (addr->host.len) {
            n += snprintf(buf + n, size - n, " and a name");
        }

    } else {
        n = snprintf(buf, size, "%.*s", (int) addr->host.len,
                     (const char *) addr->host.data);
    }

    return n + snprintf(buf + n, size - n, " %d", addr->port);
}


/* what a function makes of a message, as text */

typedef const char *(*read_pt)(trp_str_t data);

static char  text[600];


static const char *
greeting(trp_str_t data)
{
    int     none, password;
    size_t  used, other;

    used = 0;
    other = 0;

    none = trp_socks5_greeting(data, &used, TRP_SOCKS5_NO_AUTHENTICATION);
    password = trp_socks5_greeting(data, &other, TRP_SOCKS5_PASSWORD);

    if (none != TRP_OK && none != TRP_DECLINED) {
        return none == password ? result(none) : "not the same";
    }

    if (used != other) {
        return "not the same length";
    }

    snprintf(text, sizeof(text), "none %s, password %s, %d", result(none),
             result(password), (int) used);

    return text;
}


static const char *
password(trp_str_t data)
{
    int        rc;
    size_t     used;
    trp_str_t  name, secret;

    rc = trp_socks5_password(data, &used, &name, &secret);
    if (rc != TRP_OK) {
        return result(rc);
    }

    snprintf(text, sizeof(text), "\"%.*s\" \"%.*s\" %d", (int) name.len,
             (const char *) name.data, (int) secret.len,
             (const char *) secret.data, (int) used);

    return text;
}


static const char *
request(trp_str_t data)
{
    int                rc;
    size_t             n, used;
    unsigned           command;
    trp_socks5_addr_t  addr;

    memset(&addr, 0xa5, sizeof(addr));

    rc = trp_socks5_request(data, &used, &command, &addr);
    if (rc != TRP_OK) {
        return result(rc);
    }

    n = snprintf(text, sizeof(text), "%u ", command);
    n += put_addr(text + n, sizeof(text) - n, &addr);
    snprintf(text + n, sizeof(text) - n, " %d", (int) used);

    return text;
}


static const char *
header(trp_str_t data)
{
    int                rc;
    size_t             n, used;
    trp_socks5_addr_t  addr;

    memset(&addr, 0xa5, sizeof(addr));

    rc = trp_socks5_header(data, &used, &addr);
    if (rc != TRP_OK) {
        return result(rc);
    }

    n = put_addr(text, sizeof(text), &addr);
    snprintf(text + n, sizeof(text) - n, " %d", (int) used);

    return text;
}


static const struct {
    read_pt      read;
    const char  *in;
    size_t       len;
    const char  *out;
} messages[] = {

    { greeting, msg("\5\1\0"), "none ok, password declined, 3" },
    { greeting, msg("\5\1\2"), "none declined, password ok, 3" },
    { greeting, msg("\5\2\0\2"), "none ok, password ok, 4" },
    { greeting, msg("\5\3\200\1\2"), "none declined, password ok, 5" },
    { greeting, msg("\5\1\1"), "none declined, password declined, 3" },
    { greeting, msg("\5\1\377"), "none declined, password declined, 3" },
    { greeting, msg("\5\0"), "none declined, password declined, 2" },

    { password, msg("\1\3bob\6secret"), "\"bob\" \"secret\" 12" },
    { password, msg("\1\1b\1s"), "\"b\" \"s\" 5" },
    { password, msg("\1\1b\0"), "\"b\" \"\" 4" },
    { password, msg("\1\0\1s"), "\"\" \"s\" 4" },
    { password, msg("\1\0\0"), "\"\" \"\" 3" },

    { request, msg("\5\1\0\1\12\0\0\5\0\26"), "1 10.0.0.5 22 10" },
    { request, msg("\5\2\0\1\12\0\0\5\0\26"), "2 10.0.0.5 22 10" },
    { request, msg("\5\3\0\1\0\0\0\0\0\0"), "3 0.0.0.0 0 10" },
    { request, msg("\5\0\0\1\1\2\3\4\377\377"), "0 1.2.3.4 65535 10" },
    { request, msg("\5\377\0\1\1\2\3\4\0\1"), "255 1.2.3.4 1 10" },
    { request, msg("\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\5\1\273"),
      "1 2001:db8::5 443 22" },
    { request, msg("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\1\0\26"),
      "1 ::ffff:127.0.0.1 22 22" },
    { request, msg("\5\1\0\3\13example.com\0\120"), "1 example.com 80 18" },
    { request, msg("\5\1\0\3\1a\0\120"), "1 a 80 8" },
    { request, msg("\5\1\0\3\6_b-c.d\0\120"), "1 _b-c.d 80 13" },

    /* UDP ASSOCIATE: no hint at where datagrams come from */

    { request, msg("\5\3\0\3\1\60\22\64"), "3 0.0.0.0 0 8" },
    { request, msg("\5\3\0\3\0\22\64"), "3 0.0.0.0 0 7" },
    { request, msg("\5\3\0\3\3a\0b\22\64"), "3 0.0.0.0 0 10" },
    { request, msg("\5\3\0\3\1a\22\64"), "3 a 4660 8" },

    { header, msg("\0\0\0\1\12\0\0\5\0\65"), "10.0.0.5 53 10" },
    { header, msg("\0\0\0\3\5[::1]\0\65"), "::1 53 12" },
    { header, msg("\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\65"),
      "::1 53 22" },
    { header, msg("\0\0\0\3\13example.com\0\65"), "example.com 53 18" },
    { header, msg("\0\0\0\3\0111.2.3.4.x\0\65"), "1.2.3.4.x 53 16" },
    { header, msg("\0\0\0\3\0071.2.3.4\0\65"), "1.2.3.4 53 14" },
};


/* what is no message, and at which byte that is seen at the latest */

static const struct {
    read_pt      read;
    const char  *in;
    size_t       len;
    size_t       at;
    const char  *out;
} errors[] = {

    { greeting, msg("\4\1\0\120\1\2\3\4\0"), 1, "error" },
    { greeting, msg("GET / HTTP/1.0\r\n\r\n"), 1, "error" },
    { greeting, msg("\26\3\1\2\0\1\0"), 1, "error" },
    { greeting, msg("\0\0\0\0"), 1, "error" },

    { password, msg("\5\3bob\6secret"), 1, "error" },
    { password, msg("\0\3bob\6secret"), 1, "error" },

    { request, msg("\4\1\0\1\12\0\0\5\0\26"), 1, "error" },
    { request, msg("\1\1\0\1\12\0\0\5\0\26"), 1, "error" },
    { request, msg("\5\1\0\0\12\0\0\5\0\26"), 4, "declined" },
    { request, msg("\5\1\0\2\12\0\0\5\0\26"), 4, "declined" },
    { request, msg("\5\1\0\5\12\0\0\5\0\26"), 4, "declined" },
    { request, msg("\5\1\0\377\12\0\0\5\0\26"), 4, "declined" },
};


/* as names in a request; NULL: the message is none */

static const struct {
    const char  *in;
    const char  *out;
} names[] = {

    { "10.0.0.5", "1 10.0.0.5 80" },
    { "255.255.255.255", "1 255.255.255.255 80" },
    { "::1", "1 ::1 80" },
    { "2001:DB8::5", "1 2001:db8::5 80" },
    { "::ffff:127.0.0.1", "1 ::ffff:127.0.0.1 80" },

    { "localhost", "1 localhost 80" },
    { "EXAMPLE.com", "1 EXAMPLE.com 80" },
    { "1.2.3.4.example", "1 1.2.3.4.example 80" },
    { "a--b.1", "1 a--b.1 80" },
    { "xn--bcher-kva.example", "1 xn--bcher-kva.example 80" },

    { "", NULL },
    { " ", NULL },
    { ".", NULL },
    { "a b", NULL },
    { "a..b", NULL },
    { ".a", NULL },
    { "-a", NULL },
    { "a-", NULL },
    { "a-.b", NULL },
    { "127.1", NULL },
    { "2130706433", NULL },
    { "1.2.3.4.5", NULL },
    { "256.0.0.1", NULL },
    { "01.2.3.4", NULL },
    { "[::1]", "1 ::1 80" },
    { "[2001:DB8::5]", "1 2001:db8::5 80" },
    { "[]", NULL },
    { "[", NULL },
    { "[::1", NULL },
    { "::1]", NULL },
    { "[[::1]]", NULL },
    { "unix:/run/a", NULL },
    { "[127.0.0.1]", NULL },
    { "[::1%lo]", NULL },
    { "[localhost]", NULL },
    { "::1%lo", NULL },
    { "fe80::1%eth0", NULL },
    { "a:80", NULL },
    { "a/b", NULL },
    { "a\n", NULL },
    { "a\r\nb", NULL },
    { "*.example", NULL },
    { "b\303\274cher.example", NULL },
    { "$host", NULL },
};


static const struct {
    unsigned            code;
    trp_socks5_reply_e  reply;
} replies[] = {
    { TRP_CODE_NONE, TRP_SOCKS5_SUCCEEDED },
    { TRP_CODE_PROTOCOL, TRP_SOCKS5_FAILURE },
    { TRP_CODE_NOT_AUTHORIZED, TRP_SOCKS5_FAILURE },
    { TRP_CODE_NO_AGENT, TRP_SOCKS5_FAILURE },
    { TRP_CODE_DRAINING, TRP_SOCKS5_FAILURE },
    { TRP_CODE_NOT_ALLOWED, TRP_SOCKS5_NOT_ALLOWED },
    { TRP_CODE_NO_SUCH_HOST, TRP_SOCKS5_HOST_UNREACHABLE },
    { TRP_CODE_REFUSED, TRP_SOCKS5_REFUSED },
    { TRP_CODE_TIMED_OUT, TRP_SOCKS5_TTL_EXPIRED },
    { TRP_CODE_LIMIT, TRP_SOCKS5_FAILURE },
    { TRP_CODE_FAILED, TRP_SOCKS5_FAILURE },
    { TRP_CODE_NET_UNREACHABLE, TRP_SOCKS5_NET_UNREACHABLE },
    { TRP_CODE_HOST_UNREACHABLE, TRP_SOCKS5_HOST_UNREACHABLE },
    { TRP_CODE_HOST_UNREACHABLE + 1, TRP_SOCKS5_FAILURE },
    { 255, TRP_SOCKS5_FAILURE },
};


static const char *
hex(const uint8_t *p, size_t len)
{
    static char  buf[2 * TRP_SOCKS5_HEADER_MAX + 1];

    size_t       i;

    buf[0] = '\0';

    for (i = 0; i < len && i < TRP_SOCKS5_HEADER_MAX; i++) {
        sprintf(buf + 2 * i, "%02x", p[i]);
    }

    return buf;
}


/* in pieces of any size it is the same; nothing after it is looked at */

static void
test_messages(void)
{
    int         wrong;
    size_t      i, n;
    trp_str_t   in;
    const char *out;
    char        more[300];

    for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        in = bytes(messages[i].in, messages[i].len);

        is_str(messages[i].read(in), messages[i].out, "%s",
               messages[i].out);

        wrong = 0;

        for (n = 0; n < messages[i].len; n++) {
            out = messages[i].read(bytes(messages[i].in, n));

            wrong += strcmp(out, messages[i].read == header ? "error"
                                                            : "again") != 0;
        }

        is_int(wrong, 0, "cut off: %s", messages[i].out);

        memcpy(more, messages[i].in, messages[i].len);
        memset(more + messages[i].len, 5, 20);

        is_str(messages[i].read(bytes(more, messages[i].len + 20)),
               messages[i].out, "with more behind it: %s", messages[i].out);
    }
}


static void
test_errors(void)
{
    int         wrong;
    size_t      i, n;
    const char *out;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        wrong = 0;

        for (n = 0; n <= errors[i].len; n++) {
            out = errors[i].read(bytes(errors[i].in, n));
            wrong += strcmp(out, n < errors[i].at ? "again"
                                                  : errors[i].out) != 0;
        }

        is_int(wrong, 0, "error %d from byte %d on", (int) i,
               (int) errors[i].at);
    }
}


static void
test_headers(void)
{
    unsigned     i;
    uint8_t      p[] = "\0\0\0\1\12\0\0\5\0\65";
    const char  *out;

    is_str(header(bytes("", 0)), "error", "nothing");

    for (i = 1; i < 256; i++) {
        p[2] = (uint8_t) i;
        out = header(bytes(p, sizeof(p) - 1));

        if (strcmp(out, "declined") != 0) {
            break;
        }
    }

    is_int(i, 256, "fragments");

    p[2] = 0;
    p[0] = 1;
    is_str(header(bytes(p, sizeof(p) - 1)), "error", "first reserved byte");

    p[0] = 0;
    p[1] = 1;
    is_str(header(bytes(p, sizeof(p) - 1)), "error", "second reserved byte");

    p[1] = 0;
    p[3] = 2;
    is_str(header(bytes(p, sizeof(p) - 1)), "error", "address type");

    is_str(header(bytes(msg("\0\0\0\3\0\0\65"))), "error", "empty name");
    is_str(header(bytes(msg("\0\0\0\3\3a b\0\65"))), "error", "name");
}


static void
test_names(void)
{
    char         expected[400];
    size_t       i, len;
    uint8_t      p[300];
    const char  *out;

    memcpy(p, "\5\1\0\3", 4);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        len = strlen(names[i].in);

        p[4] = (uint8_t) len;
        memcpy(p + 5, names[i].in, len);
        memcpy(p + 5 + len, "\0\120", 2);

        if (names[i].out) {
            snprintf(expected, sizeof(expected), "%s %d", names[i].out,
                     (int) len + 7);
        } else {
            strcpy(expected, "error");
        }

        out = request(bytes(p, len + 7));
        is_str(out, expected, "name %d", (int) i);
    }

    /* labels of 63 bytes, 253 bytes in all; and one more */

    memset(p + 5, 'a', 255);

    for (i = 63; i < 253; i += 64) {
        p[5 + i] = '.';
    }

    p[4] = 253;
    p[5 + 253] = 0;
    p[5 + 254] = 80;
    len = 253 + 7;
    snprintf(expected, sizeof(expected), "1 %.253s 80 260",
             (const char *) p + 5);

    is_str(request(bytes(p, len)), expected, "longest name");

    p[4] = 254;
    p[5 + 253] = 'a';
    p[5 + 255] = 80;
    is_str(request(bytes(p, 254 + 7)), "error", "longer than a name may be");

    memset(p + 5, 'a', 64);
    p[4] = 64;
    is_str(request(bytes(p, 64 + 7)), "error", "label of 64 bytes");

    memcpy(p + 4, "\3a\0b\0\120", 6);
    is_str(request(bytes(p, 10)), "error", "null byte");
}


/* the longest name and password, and each byte less of them */

static void
test_long_password(void)
{
    int         wrong;
    size_t      n, used;
    uint8_t     p[3 + 255 + 255];
    trp_str_t   name, secret;

    memset(p, 'x', sizeof(p));
    p[0] = 1;
    p[1] = 255;
    p[2 + 255] = 255;

    wrong = 0;

    for (n = 0; n < sizeof(p); n++) {
        wrong += trp_socks5_password(bytes(p, n), &used, &name, &secret)
                 != TRP_AGAIN;
    }

    is_int(wrong, 0, "long password, cut off");

    is_int(trp_socks5_password(bytes(p, sizeof(p)), &used, &name, &secret),
           TRP_OK, "long password");
    is_int(used, sizeof(p), "its length");
    is_int(name.len + secret.len, 510, "both lengths");
}


static void
test_long_greeting(void)
{
    size_t   used;
    uint8_t  p[2 + 255];

    memset(p, 0x80, sizeof(p));
    p[0] = 5;
    p[1] = 255;

    is_int(trp_socks5_greeting(bytes(p, sizeof(p)), &used,
                               TRP_SOCKS5_NO_AUTHENTICATION),
           TRP_DECLINED, "255 other methods");
    is_int(used, 257, "their length");

    p[256] = 0;

    is_int(trp_socks5_greeting(bytes(p, sizeof(p) - 1), &used,
                               TRP_SOCKS5_NO_AUTHENTICATION),
           TRP_AGAIN, "the last one is not there yet");
    is_int(trp_socks5_greeting(bytes(p, sizeof(p)), &used,
                               TRP_SOCKS5_NO_AUTHENTICATION),
           TRP_OK, "the last one of 255");
}


static void
test_put(void)
{
    size_t             n;
    uint8_t            p[TRP_SOCKS5_HEADER_MAX + 1];
    trp_addr_t         none, v4, v6;
    trp_socks5_addr_t  addr;

    memset(&none, 0, sizeof(none));
    trp_addr_parse(&v4, bytes(msg("10.0.0.5")));
    trp_addr_parse(&v6, bytes(msg("2001:db8::5")));

    memset(p, 0xa5, sizeof(p));

    n = trp_socks5_reply_put(p, TRP_SOCKS5_SUCCEEDED, &v4, 1080);
    is_str(hex(p, n), "050000010a0000050438", "reply, IPv4");
    is_int(p[n], 0xa5, "no byte more");

    n = trp_socks5_reply_put(p, TRP_SOCKS5_SUCCEEDED, &v6, 65535);
    is_str(hex(p, n), "05000004" "20010db8000000000000000000000005" "ffff",
           "reply, IPv6");
    is_int(n, TRP_SOCKS5_REPLY_MAX, "which is the longest");
    is_int(p[n], 0xa5, "no byte more");

    n = trp_socks5_reply_put(p, TRP_SOCKS5_REFUSED, &none, 0);
    is_str(hex(p, n), "05050001000000000000", "reply, no address");

    n = trp_socks5_reply_put(p, TRP_SOCKS5_ADDRESS_NOT_SUPPORTED, &none, 0);
    is_str(hex(p, n), "05080001000000000000", "the last reply");

    memset(&addr, 0, sizeof(addr));
    memset(p, 0xa5, sizeof(p));
    addr.port = 53;

    addr.addr = v4;
    n = trp_socks5_header_put(p, &addr);
    is_str(hex(p, n), "000000010a0000050035", "header, IPv4");
    is_str(header(bytes(p, n)), "10.0.0.5 53 10", "and read again");

    addr.addr = v6;
    n = trp_socks5_header_put(p, &addr);
    is_str(header(bytes(p, n)), "2001:db8::5 53 22", "header, IPv6");

    addr.addr.family = 0;
    addr.host = bytes(msg("example.com"));
    n = trp_socks5_header_put(p, &addr);
    is_str(hex(p, n), "00000003" "0b" "6578616d706c652e636f6d" "0035",
           "header, name");

    /* what is written must be good for a name of any length in a message */

    memset(p, 0xa5, sizeof(p));
    memset(text, 'a', 255);
    addr.host = bytes(text, 255);
    n = trp_socks5_header_put(p, &addr);
    is_int(n, TRP_SOCKS5_HEADER_MAX, "the longest header");
    is_int(p[n], 0xa5, "no byte more");
}


static void
test_replies(void)
{
    size_t  i;

    for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        is_int(trp_socks5_reply(replies[i].code), replies[i].reply,
               "reply for code %u", replies[i].code);
    }
}


int
main(void)
{
    test_messages();
    test_errors();
    test_headers();
    test_names();
    test_long_password();
    test_long_greeting();
    test_put();
    test_replies();

    return done_testing();
}
