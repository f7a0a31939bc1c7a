
/*
 * Copyright (C) the trp authors
 */


/* rules of the form HOST[:PORT[-PORT]] */


#include <stdlib.h>

#include "tap.h"

#include "base/trp_acl.h"
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
rule_error(const char *s)
{
    trp_acl_rule_t  rule;

    return trp_acl_parse(&rule, text(s));
}


static int
match(const char *s, const char *host, int port)
{
    trp_addr_t      addr;
    trp_acl_rule_t  rule;

    if (trp_acl_parse(&rule, text(s)) != NULL) {
        return -1;
    }

    if (trp_addr_parse(&addr, text(host)) == TRP_OK) {
        return trp_acl_match_addr(&rule, &addr, port);
    }

    return trp_acl_match_name(&rule, text(host), port);
}


static void
test_parse(void)
{
    char            buf[32];
    size_t          i;
    trp_acl_rule_t  rule;

    static const struct {
        const char  *in;
        int          type;
        const char  *name;
        int          first;
        int          last;
    } good[] = {
        { "all", TRP_ACL_ALL, "", 0, 65535 },
        { "ALL", TRP_ACL_ALL, "", 0, 65535 },
        { "*", TRP_ACL_ALL, "", 0, 65535 },
        { "all:*", TRP_ACL_ALL, "", 0, 65535 },
        { "*:*", TRP_ACL_ALL, "", 0, 65535 },
        { "*:22", TRP_ACL_ALL, "", 22, 22 },
        { "all:1-65535", TRP_ACL_ALL, "", 1, 65535 },
        { "10.0.0.1", TRP_ACL_CIDR, "", 0, 65535 },
        { "10.0.0.1:22", TRP_ACL_CIDR, "", 22, 22 },
        { "10.0.0.0/8:22-80", TRP_ACL_CIDR, "", 22, 80 },
        { "10.0.0.0/8:22-22", TRP_ACL_CIDR, "", 22, 22 },
        { "::1", TRP_ACL_CIDR, "", 0, 65535 },
        { "2001:db8::/32", TRP_ACL_CIDR, "", 0, 65535 },
        { "[::1]", TRP_ACL_CIDR, "", 0, 65535 },
        { "[::1]:*", TRP_ACL_CIDR, "", 0, 65535 },
        { "[2001:db8::]/32:80", TRP_ACL_CIDR, "", 80, 80 },
        { "[2001:db8::/32]:80-90", TRP_ACL_CIDR, "", 80, 90 },
        { "2001:db8::1:22", TRP_ACL_CIDR, "", 0, 65535 },
        { "localhost", TRP_ACL_NAME, "localhost", 0, 65535 },
        { "Example.com:443", TRP_ACL_NAME, "Example.com", 443, 443 },
        { "all.example.com", TRP_ACL_NAME, "all.example.com", 0, 65535 },
        { "*.example.com", TRP_ACL_SUFFIX, ".example.com", 0, 65535 },
        { "*.com:80-81", TRP_ACL_SUFFIX, ".com", 80, 81 },
        { "example.com.:443", TRP_ACL_NAME, "example.com", 443, 443 },
        { "*.com.", TRP_ACL_SUFFIX, ".com", 0, 65535 }
    };

    static const struct {
        const char  *in;
        const char  *err;
    } bad[] = {
        { "", "is empty" },
        { ":80", "has no host, write \"*:PORT\" for every host" },
        { ":", "has no host, write \"*:PORT\" for every host" },
        { "[::1", "has an unclosed bracket" },
        { "[", "has an unclosed bracket" },
        { "[]:80", "has an invalid IPv6 address in brackets" },
        { "[10.0.0.1]:80", "has an invalid IPv6 address in brackets" },
        { "[::1]80", "has an invalid IPv6 address in brackets" },
        { "[::1]/129:80", "has an invalid IPv6 address in brackets" },
        { "[a]", "has an invalid IPv6 address in brackets" },
        { "10.0.0.0/33", "has an invalid block, write it as ADDRESS/PREFIX" },
        { "a/8:80", "has an invalid block, write it as ADDRESS/PREFIX" },
        { "*/8", "has an invalid block, write it as ADDRESS/PREFIX" },
        { "256.0.0.1", "has an invalid host" },
        { "10.0.0", "has an invalid host" },
        { "a b", "has an invalid host" },
        { " all", "has an invalid host" },
        { "a..:80", "has an invalid host" },
        { ".:80", "has an invalid host" },
        { "10.0.0.1.", "has an invalid host" },
        { "*.a..", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "!a", "has an invalid host" },
        { "*a", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "a.*", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "*.", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "**", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "*.*", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "*.*.a", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "*..a", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "*.10", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "a.*.b:1", "has an invalid wildcard, write it as \"*.NAME\"" },
        { "a:", "has an empty port, write \"*\" for every port" },
        { "a:0", "has an invalid port" },
        { "a:65536", "has an invalid port" },
        { "a:080", "has an invalid port" },
        { "a:-", "has an invalid port" },
        { "a:1-", "has an invalid port" },
        { "a:-1", "has an invalid port" },
        { "a:1-2-3", "has an invalid port" },
        { "a:1-65536", "has an invalid port" },
        { "a:0-1", "has an invalid port" },
        { "a:*-1", "has an invalid port" },
        { "a:**", "has an invalid port" },
        { "a:http", "has an invalid port" },
        { "a:80 ", "has an invalid port" },
        { "a:2-1", "has a port range that ends before it starts" },
        { "a:1:2", "has too many colons, "
                   "write an IPv6 address with a port as [ADDRESS]:PORT" },
        { "[::1]:1:2", "has too many colons, "
                   "write an IPv6 address with a port as [ADDRESS]:PORT" },
        { "fe80::1/64:80", "has too many colons, "
                   "write an IPv6 address with a port as [ADDRESS]:PORT" },
        { "::1%lo", "has too many colons, "
                   "write an IPv6 address with a port as [ADDRESS]:PORT" }
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_str(trp_acl_parse(&rule, text(good[i].in)), NULL, "rule %s",
               good[i].in);
        is_int(rule.type, good[i].type, "its type");
        is_int(rule.first, good[i].first, "its first port");
        is_int(rule.last, good[i].last, "its last port");

        if (good[i].name[0]) {
            snprintf(buf, sizeof(buf), "%.*s", (int) rule.name.len,
                     (const char *) rule.name.data);
            is_str(buf, good[i].name, "its name");
        }
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_str(rule_error(bad[i].in), bad[i].err, "\"%s\"", bad[i].in);
    }

    ok(trp_acl_parse(&rule, text_n("a\0b", 3)) != NULL, "a null byte in HOST");
    ok(trp_acl_parse(&rule, text_n("a:80\0", 5)) != NULL,
       "a null byte in PORT");
    ok(trp_acl_parse(&rule, text_n("10.0.0.1\0:1", 11)) != NULL,
       "a null byte in the address");
}


static void
test_match(void)
{
    int             port, same;
    trp_acl_rule_t  rule;

    is_int(match("all", "10.0.0.1", 1), 1, "all, address");
    is_int(match("all", "a.example", 1), 1, "all, name");
    is_int(match("*:80", "a.example", 80), 1, "all, name, port");
    is_int(match("*:80", "a.example", 81), 0, "all, name, other port");
    is_int(match("*:80", "10.0.0.1", 81), 0, "all, address, other port");

    is_int(match("10.0.0.0/8:22", "10.1.1.1", 22), 1, "block");
    is_int(match("10.0.0.0/8:22", "::ffff:10.1.1.1", 22), 1, "block, mapped");
    is_int(match("10.0.0.0/8:22", "10.1.1.1", 23), 0, "block, other port");
    is_int(match("10.0.0.0/8:22", "11.1.1.1", 22), 0, "outside the block");
    is_int(match("0.0.0.0/0", "a.example", 22), 0, "block, name");
    is_int(match("[::1]:22", "::1", 22), 1, "IPv6");
    is_int(match("[::1]:22", "::2", 22), 0, "other IPv6");

    is_int(match("a.example", "10.0.0.1", 1), 0, "name, address");
    is_int(match("a.example", "A.Example", 1), 1, "name, letter case");
    is_int(match("A.EXAMPLE", "a.example", 1), 1, "rule's letter case");
    is_int(match("a.example", "a.example.", 1), 1, "name with the root's dot");
    is_int(match("a.example", "a.example..", 1), 0, "two dots");
    is_int(match("a.example", "b.a.example", 1), 0, "below the name");
    is_int(match("a.example", "a.exampl", 1), 0, "shorter");
    is_int(match("a.example", "xa.example", 1), 0, "longer in front");
    is_int(match("a.example", "a.examplex", 1), 0, "longer behind");
    is_int(match("a.example", "", 1), 0, "empty name");
    is_int(match("a.example", ".", 1), 0, "the root");

    is_int(match("*.example", "a.example", 1), 1, "suffix");
    is_int(match("*.example", "b.a.EXAMPLE", 1), 1, "suffix, two below");
    is_int(match("*.example", "a.example.", 1), 1, "suffix, root's dot");
    is_int(match("*.example", "example", 1), 0, "suffix, the name itself");
    is_int(match("*.example", ".example", 1), 0, "suffix, empty label");
    is_int(match("*.example", "xexample", 1), 0, "suffix without a dot");
    is_int(match("*.example", "a.example.com", 1), 0, "suffix in the middle");
    is_int(match("*.example", "e", 1), 0, "suffix, short name");
    is_int(match("*.example", "", 1), 0, "suffix, empty name");
    is_int(match("*.example", "10.0.0.1", 1), 0, "suffix, address");

    trp_acl_parse(&rule, text("a.example"));
    is_int(trp_acl_match_name(&rule, text_n("a.example\0", 10), 1), 0,
           "a null byte behind the name");

    trp_acl_parse(&rule, text("all:100-200"));

    for (same = 1, port = 0; port <= 65535; port++) {
        same &= (trp_acl_match_name(&rule, text("a"), port)
                 == (port >= 100 && port <= 200));
    }

    ok(same, "every port against a range");
    is_int(match("all", "a", 0), 1, "port 0, every port");
    is_int(match("all:*", "a", 65535), 1, "port 65535, every port");
}


/* how it is written, and how it counts in a rule that denies */

static int
denied(const char *s, const char *host)
{
    trp_addr_t      addr;
    trp_acl_rule_t  rule;

    if (trp_acl_parse(&rule, text(s)) != NULL
        || trp_addr_parse(&addr, text(host)) != TRP_OK)
    {
        return -1;
    }

    return trp_acl_match_denied(&rule, &addr, 22);
}


static void
test_this_host(void)
{
    size_t  i;

    /* address, 127.0.0.0/8, ::1, and what it looks like, allow and deny */

    static const struct {
        const char  *host;
        int          v4;
        int          v6;
    } hosts[] = {
        { "0.0.0.0", 1, 0 },
        { "::ffff:0.0.0.0", 1, 0 },
        { "::", 0, 1 },
        { "127.0.0.1", 1, 0 },
        { "::1", 0, 1 },
        { "0.0.0.1", 0, 0 },
        { "::2", 0, 0 },
        { "::ffff:0.0.0.1", 0, 0 },
        { "64:ff9b::", 0, 0 }
    };

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        is_int(match("127.0.0.0/8", hosts[i].host, 22), hosts[i].v4,
               "%s is 127.0.0.0/8", hosts[i].host);
        is_int(match("127.0.0.1:22", hosts[i].host, 22), hosts[i].v4,
               "%s is 127.0.0.1", hosts[i].host);
        is_int(match("127.0.0.1:23", hosts[i].host, 22), 0, "other port");
        is_int(match("[::1]", hosts[i].host, 22), hosts[i].v6, "%s is ::1",
               hosts[i].host);
        is_int(denied("127.0.0.0/8", hosts[i].host), hosts[i].v4,
               "%s is denied as 127.0.0.0/8", hosts[i].host);
        is_int(denied("[::1]", hosts[i].host), hosts[i].v6,
               "%s is denied as ::1", hosts[i].host);
    }

    /* allowed around loopback does not open it; denied as written is denied */

    is_int(match("0.0.0.0/2", "0.0.0.0", 22), 0, "no loopback, IPv4");
    is_int(match("0.0.0.0", "0.0.0.0", 22), 0, "not as it is written");
    is_int(match("::/128", "::", 22), 0, "no loopback, IPv6");
    is_int(denied("0.0.0.0/8", "0.0.0.0"), 1, "denied as it is written");
    is_int(denied("0.0.0.0/8", "::ffff:0.0.0.0"), 1, "mapped");
    is_int(denied("::/128", "::"), 1, "denied as it is written, IPv6");
    is_int(denied("10.0.0.0/8", "0.0.0.0"), 0, "not denied");
}


static void
test_low_bits(void)
{
    size_t          i;
    trp_acl_rule_t  rule;

    static const struct {
        const char  *in;
        int          low_bits;
    } rules[] = {
        { "10.0.0.5/22", 1 },
        { "10.0.0.5/22:80", 1 },
        { "10.0.0.5/31", 1 },
        { "10.0.0.4/31", 0 },
        { "10.0.0.5/32", 0 },
        { "10.0.0.5", 0 },
        { "10.0.0.5:22", 0 },
        { "10.0.4.0/22", 0 },
        { "0.0.0.0/0", 0 },
        { "0.0.0.1/0", 1 },
        { "2001:db8::1/32", 1 },
        { "[2001:db8::1]/32:80", 1 },
        { "2001:db8::/32", 0 },
        { "::1/128", 0 },
        { "all", 0 },
        { "a.example", 0 }
    };

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        is_str(trp_acl_parse(&rule, text(rules[i].in)), NULL, "%s",
               rules[i].in);
        is_int(rule.low_bits, rules[i].low_bits, "its low bits");
    }
}


static void
test_covers(void)
{
    size_t          i;
    trp_acl_rule_t  rule, other;

    static const struct {
        const char *rule;
        const char *other;
        int         covers;
    } cases[] = {
        { "all", "10.0.0.1", 1 },
        { "all", "all", 1 },
        { "all", "*.example.org:80", 1 },
        { "all:80", "10.0.0.1", 0 },
        { "all:80", "10.0.0.1:80", 1 },
        { "all:80-90", "10.0.0.1:80-91", 0 },
        { "all:80-90", "10.0.0.1:79-90", 0 },
        { "10.0.0.0/8", "10.1.0.0/16", 1 },
        { "10.0.0.0/8", "10.0.0.0/8", 1 },
        { "10.1.0.0/16", "10.0.0.0/8", 0 },
        { "10.0.0.0/8", "11.0.0.0/16", 0 },
        { "0.0.0.0/0", "::1", 0 },
        { "::/0", "127.0.0.1", 0 },
        { "::/0", "::1", 1 },
        { "0.0.0.0/0", "all", 0 },
        { "0.0.0.0/0", "host", 0 },
        { "host", "HOST", 1 },
        { "host", "host2", 0 },
        { "host", "all", 0 },
        { "*.example.org", "www.Example.org", 1 },
        { "*.example.org", "example.org", 0 },
        { "*.example.org", "wexample.org", 0 },
        { "*.example.org", "*.example.org", 1 },
        { "*.example.org", "*.www.example.org", 1 },
        { "*.www.example.org", "*.example.org", 0 },
        { "*.example.org", "10.0.0.1", 0 },
        { "www.example.org", "*.example.org", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        if (trp_acl_parse(&rule, text(cases[i].rule)) != NULL
            || trp_acl_parse(&other, text(cases[i].other)) != NULL)
        {
            abort();
        }

        is_int(trp_acl_covers(&rule, &other), cases[i].covers,
               "%s covers %s", cases[i].rule, cases[i].other);
    }
}


static void
test_unix(void)
{
    trp_acl_rule_t  rule;

    memset(&rule, 0xa5, sizeof(rule));
    is_str(trp_acl_parse(&rule, text("unix:/run/*.sock")), NULL, "a path");
    is_int(rule.type, TRP_ACL_UNIX, "is a rule of its own");
    is_int(trp_acl_match_path(&rule, text("/run/a.sock")), 1, "it matches");
    is_int(trp_acl_match_path(&rule, text("/run/a")), 0, "or does not");
    is_int(trp_acl_match_path(&rule, text("/run/../a.sock")), 0, "climbing");
    is_int(trp_acl_match_name(&rule, text("a.sock"), 1), 0, "no name");
    is_int(trp_acl_match_name(&rule, text("unix"), 1), 0, "nor that one");
    is_int(trp_acl_covers(&rule, &rule), 1, "it covers itself");
    is_str(trp_acl_parse(&rule, text("all")), NULL, "all");
    is_int(trp_acl_match_path(&rule, text("/run/a.sock")), 0, "is no path");
    is_str(trp_acl_parse(&rule, text("unix:/run/../*")),
           "has an invalid path of a unix socket", "a pattern that climbs");
    is_str(trp_acl_parse(&rule, text("unix:80")), NULL, "a host named unix");
    is_int(rule.type, TRP_ACL_NAME, "is a name");
}


int
main(void)
{
    test_parse();
    test_match();
    test_this_host();
    test_low_bits();
    test_covers();

    test_unix();

    return done_testing();
}
