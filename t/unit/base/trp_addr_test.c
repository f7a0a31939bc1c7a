
/*
 * Copyright (C) the trp authors
 */


/* addresses, blocks, ports and host names in text */


#include <stdlib.h>

#include "tap.h"

#include "base/trp_addr.h"


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


static const char *
addr_string(const trp_addr_t *addr)
{
    static char  buf[TRP_ADDR_TEXT_LEN + 1];

    memset(buf, 'x', sizeof(buf));
    buf[trp_addr_text((uint8_t *) buf, addr)] = '\0';

    return buf;
}


static const char *
cidr_string(const char *s)
{
    static char  buf[TRP_ADDR_TEXT_LEN + 8];

    trp_cidr_t   cidr;

    if (trp_cidr_parse(&cidr, text(s)) != TRP_OK) {
        return NULL;
    }

    snprintf(buf, sizeof(buf), "%s/%d", addr_string(&cidr.addr), cidr.prefix);

    return buf;
}


static int
cidr_match(const char *block, const char *s)
{
    trp_addr_t  addr;
    trp_cidr_t  cidr;

    if (trp_cidr_parse(&cidr, text(block)) != TRP_OK
        || trp_addr_parse(&addr, text(s)) != TRP_OK)
    {
        return -1;
    }

    return trp_cidr_match(&cidr, &addr);
}


static void
test_addr(void)
{
    size_t      i;
    trp_addr_t  addr;

    static const struct {
        const char  *in;
        int          family;
        const char  *out;
    } good[] = {
        { "127.0.0.1", 4, "127.0.0.1" },
        { "0.0.0.0", 4, "0.0.0.0" },
        { "255.255.255.255", 4, "255.255.255.255" },
        { "::", 6, "::" },
        { "::1", 6, "::1" },
        { "1::", 6, "1::" },
        { "2001:DB8:0:0:0:0:0:1", 6, "2001:db8::1" },
        { "1:2:3:4:5:6:7:8", 6, "1:2:3:4:5:6:7:8" },
        { "::ffff:10.0.0.1", 6, "::ffff:10.0.0.1" },
        { "64:ff9b::10.0.0.1", 6, "64:ff9b::a00:1" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6,
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 6,
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" }
    };

    static const char  *bad[] = {
        "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04",
        "1.2.3.4 ", " 1.2.3.4", "+1.2.3.4", "0x7f.0.0.1", "1..2.3", "1.2.3.",
        "127.1", "2130706433", "1.2.3.4/32", ":", ":::", "1:2", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%lo", "fe80::1%1",
        "[::1]", "::1/128", "::1.2.3", "::1.2.3.4.5", "::1.2.3.4:5", "1:",
        "localhost", "0000000000000000000000000000000000000000000001",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_int(trp_addr_parse(&addr, text(good[i].in)), TRP_OK,
               "%s is an address", good[i].in);
        is_int(addr.family, good[i].family, "its family");
        is_str(addr_string(&addr), good[i].out, "its text");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(trp_addr_parse(&addr, text(bad[i])), TRP_ERROR,
               "\"%s\" is no address", bad[i]);
    }

    is_int(addr.family, 0, "no family after an error");
    is_int(trp_addr_text((uint8_t *) "", &addr), 0, "no text for family 0");

    is_int(trp_addr_parse(&addr, text_n("1.2.3.4\0", 8)), TRP_ERROR,
           "a null byte behind an address");
    is_int(trp_addr_parse(&addr, text_n("::1\0::", 6)), TRP_ERROR,
           "a null byte inside an address");

    addr.family = 6;
    memset(addr.bytes, 0xff, 16);
    memset(addr.bytes, 0, 12);
    ok(trp_addr_text((uint8_t[TRP_ADDR_TEXT_LEN]) { 0 }, &addr)
       <= TRP_ADDR_TEXT_LEN, "text fits");
}


static void
test_cidr(void)
{
    int         i, same, want, got;
    size_t      n;
    char        buf[32];
    trp_addr_t  addr;
    trp_cidr_t  cidr;

    static const struct {
        const char  *in;
        const char  *out;
    } good[] = {
        { "10.1.2.3", "10.1.2.3/32" },
        { "10.1.2.3/32", "10.1.2.3/32" },
        { "10.1.2.3/31", "10.1.2.2/31" },
        { "10.1.2.3/8", "10.0.0.0/8" },
        { "255.255.255.255/9", "255.128.0.0/9" },
        { "255.255.255.255/0", "0.0.0.0/0" },
        { "::1", "::1/128" },
        { "[::1]", "::1/128" },
        { "[::1]/128", "::1/128" },
        { "[::1/128]", "::1/128" },
        { "[2001:db8::1]/32", "2001:db8::/32" },
        { "[2001:db8::1/32]", "2001:db8::/32" },
        { "2001:db8:ffff::/33", "2001:db8:8000::/33" },
        { "ffff::/0", "::/0" },
        { "::ffff:10.0.0.1", "10.0.0.1/32" },
        { "::ffff:10.1.2.3/104", "10.0.0.0/8" },
        { "::ffff:10.1.2.3/96", "0.0.0.0/0" },
        { "::ffff:10.1.2.3/95", "::fffe:0:0/95" }
    };

    static const char  *bad[] = {
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
        "10.0.0.0/+8", "10.0.0.0/8 ", "10.0.0.0/ 8", "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0", "10.0.0.0/1000", "10.0.0.0/4294967304",
        "/8", "10/8", "::/129", "::/999", "[", "]", "[]", "[::1", "::1]",
        "[::1]128", "[::1]/", "[::1]/129", "[::1/]", "[::1/128]/128",
        "[::1]/128]", "[[::1]]", "[10.0.0.1]", "[10.0.0.0]/8", "[10.0.0.0/8]",
        "[::1] ", " [::1]", "all", "*", "localhost", "[/64]", "[]/64"
    };

    for (n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
        is_str(cidr_string(good[n].in), good[n].out, "block %s", good[n].in);
    }

    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        is_str(cidr_string(bad[n]), NULL, "\"%s\" is no block", bad[n]);
    }

    is_int(cidr_match("10.0.0.0/8", "10.255.255.255"), 1, "inside");
    is_int(cidr_match("10.0.0.0/8", "11.0.0.0"), 0, "outside");
    is_int(cidr_match("10.0.0.0/8", "::ffff:10.0.0.1"), 1, "mapped inside");
    is_int(cidr_match("10.0.0.0/8", "::ffff:11.0.0.1"), 0, "mapped outside");
    is_int(cidr_match("::ffff:10.0.0.0/104", "10.0.0.1"), 1, "mapped block");
    is_int(cidr_match("::ffff:10.0.0.0/104", "::ffff:10.0.0.1"), 1,
           "mapped block and address");
    is_int(cidr_match("0.0.0.0/0", "::1"), 0, "IPv4 does not hold IPv6");
    is_int(cidr_match("0.0.0.0/0", "::ffff:8.8.8.8"), 1, "all IPv4, mapped");
    is_int(cidr_match("::/0", "10.0.0.1"), 0, "IPv6 does not hold IPv4");
    is_int(cidr_match("::/0", "::ffff:10.0.0.1"), 0, "nor mapped IPv4");
    is_int(cidr_match("::/0", "2001:db8::1"), 1, "all IPv6");
    is_int(cidr_match("a00::/8", "10.0.0.1"), 0, "same bits, other family");
    is_int(cidr_match("::10.0.0.1", "10.0.0.1"), 0,
           "IPv4-compatible is not IPv4-mapped");

    memset(&cidr, 0, sizeof(cidr));
    memset(&addr, 0, sizeof(addr));
    is_int(trp_cidr_match(&cidr, &addr), 0, "no family on either side");

    trp_cidr_parse(&cidr, text("0.0.0.0/0"));
    is_int(trp_cidr_match(&cidr, &addr), 0, "no family of the address");

    /* every prefix against an address that differs first in bit i */

    for (same = 1, n = 0; n <= 32; n++) {
        snprintf(buf, sizeof(buf), "170.170.170.170/%d", (int) n);
        trp_cidr_parse(&cidr, text(buf));

        for (i = 0; i < 32; i++) {
            trp_addr_parse(&addr, text("170.170.170.170"));
            addr.bytes[i / 8] ^= 0x80 >> i % 8;
            want = i >= (int) n;
            got = trp_cidr_match(&cidr, &addr);
            same &= (got == want);
        }
    }

    ok(same, "every IPv4 prefix");

    for (same = 1, n = 0; n <= 128; n++) {
        snprintf(buf, sizeof(buf), "aaaa::aaaa/%d", (int) n);
        trp_cidr_parse(&cidr, text(buf));

        for (i = 0; i < 128; i++) {
            trp_addr_parse(&addr, text("aaaa::aaaa"));
            addr.bytes[i / 8] ^= 0x80 >> i % 8;
            want = i >= (int) n;
            got = trp_cidr_match(&cidr, &addr);
            same &= (got == want);
        }
    }

    ok(same, "every IPv6 prefix");
}


static void
test_loopback(void)
{
    size_t      i;
    trp_addr_t  addr;

    static const char  *yes[] = {
        "127.0.0.1", "127.255.255.255", "127.0.0.0", "::1",
        "::ffff:127.0.0.1", "::ffff:127.9.9.9"
    };

    static const char  *no[] = {
        "126.255.255.255", "128.0.0.0", "0.0.0.0", "::", "::2", "::127.0.0.1",
        "7f00::1", "::ffff:128.0.0.1", "::ffff:0.0.0.1", "2001:db8::1"
    };

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        trp_addr_parse(&addr, text(yes[i]));
        is_int(trp_addr_is_loopback(&addr), 1, "%s is loopback", yes[i]);
    }

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        trp_addr_parse(&addr, text(no[i]));
        is_int(trp_addr_is_loopback(&addr), 0, "%s is not", no[i]);
    }

    memset(&addr, 0, sizeof(addr));
    addr.bytes[0] = 127;
    is_int(trp_addr_is_loopback(&addr), 0, "family 0 is not");
}


static void
test_private(void)
{
    size_t      i;
    trp_addr_t  addr;

    static const char  *yes[] = {
        "127.0.0.1", "::1", "10.0.0.0", "10.255.255.255", "172.16.0.0",
        "172.31.255.255", "192.168.0.1", "169.254.1.1", "100.64.0.0",
        "100.127.255.255", "fc00::", "fdff::1", "fe80::1", "febf::1",
        "::ffff:10.0.0.1"
    };

    static const char  *no[] = {
        "0.0.0.0", "::", "9.255.255.255", "11.0.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.0.1", "192.169.0.1", "169.253.1.1",
        "100.63.255.255", "100.128.0.0", "8.8.8.8", "::ffff:8.8.8.8",
        "2002:a00:1::1", "2001:db8::1", "fec0::1", "fe00::1", "ff02::1"
    };

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        trp_addr_parse(&addr, text(yes[i]));
        is_int(trp_addr_is_private(&addr), 1, "%s is private", yes[i]);
    }

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        trp_addr_parse(&addr, text(no[i]));
        is_int(trp_addr_is_private(&addr), 0, "%s is not private", no[i]);
    }
}


static void
test_port(void)
{
    int       i, same;
    char      buf[16];
    size_t    n;
    uint16_t  first, last;

    static const char  *ranges[] = {
        "", "-", "1", "1-", "-1", "0-1", "2-1", "1-65536", "1-2-3", "1 - 2",
        "a-b"
    };

    static const char  *bad[] = {
        "", "0", "00", "01", "065535", "65536", "65540", "66000", "70000",
        "99999", "100000", "4294967297", "18446744073709551617", "-1", "+1",
        " 1", "1 ", "1a", "a", "0x1", "1.", "*", "80-90"
    };

    for (same = 1, i = 1; i <= 65535; i++) {
        snprintf(buf, sizeof(buf), "%d", i);
        same &= (trp_port_parse(text(buf)) == i);
    }

    ok(same, "every port");

    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        is_int(trp_port_parse(text(bad[n])), 0, "\"%s\" is no port", bad[n]);
    }

    is_int(trp_port_parse(text_n("80\0", 3)), 0, "a null byte");

    ok(trp_port_range_parse(text("1-65535"), &first, &last) == TRP_OK
       && first == 1 && last == 65535, "a range of ports");
    ok(trp_port_range_parse(text("80-80"), &first, &last) == TRP_OK
       && first == 80 && last == 80, "of one port");

    for (n = 0; n < sizeof(ranges) / sizeof(ranges[0]); n++) {
        is_int(trp_port_range_parse(text(ranges[n]), &first, &last),
               TRP_ERROR, "\"%s\" is no range", ranges[n]);
    }
}


static void
test_name(void)
{
    int     i, same;
    char    buf[256];
    size_t  n;

    static const char  *good[] = {
        "a", "localhost", "example.com", "EXAMPLE.COM", "a-b.c", "a--b",
        "xn--bcher-kva.example", "_srv._tcp.example", "_", "1a", "a1",
        "3com.com", "1.2.3.a", "127.0.0.1.example", "0x7f", "a.1"
    };

    static const char  *bad[] = {
        "", ".", "..", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a-.b", "1",
        "1.2.3.4", "256.256.256.256", "1.2.3.4.5", "127.1", "a b", "a/b",
        "a:b", "*", "*.a", "a,b", "b\xc3\xbc", "a@b", "[a]", "a\n", "-", "a%b"
    };

    for (n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
        is_int(trp_name_valid(text(good[n])), 1, "\"%s\" is a name", good[n]);
    }

    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        is_int(trp_name_valid(text(bad[n])), 0, "\"%s\" is no name", bad[n]);
    }

    is_int(trp_name_valid(text_n("a\0", 2)), 0, "a null byte");

    memset(buf, 'a', sizeof(buf));
    is_int(trp_name_valid(text_n(buf, 63)), 1, "a label of 63 bytes");
    is_int(trp_name_valid(text_n(buf, 64)), 0, "a label of 64 bytes");

    buf[63] = buf[127] = buf[191] = '.';
    is_int(trp_name_valid(text_n(buf, 253)), 1, "a name of 253 bytes");
    is_int(trp_name_valid(text_n(buf, 254)), 0, "a name of 254 bytes");

    for (same = 1, i = 0; i < 256; i++) {
        buf[0] = 'x';
        buf[1] = (char) i;
        buf[2] = 'x';

        same &= (trp_name_valid(text_n(buf, 3))
                 == (i != 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.", i)
                               != NULL));
    }

    ok(same, "every byte in the middle of a name");

    ok(trp_name_equal(text("Example.COM"), text("eXAMPLE.com")), "equal");
    ok(!trp_name_equal(text("example.com"), text("example.co")), "shorter");
    ok(!trp_name_equal(text("a@b"), text("a`b")), "only letters have case");
    ok(!trp_name_equal(text("a[b"), text("a{b")), "nothing else has");
    ok(!trp_name_equal(text_n("a\0b", 3), text_n("a\0c", 3)),
       "a null byte is a byte");
}


int
main(void)
{
    test_addr();
    test_cidr();
    test_loopback();
    test_private();
    test_port();
    test_name();

    return done_testing();
}
