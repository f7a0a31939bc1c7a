
/*
 * Copyright (C) the trp authors
 */


/*
 * Which peers are allowed: every block that is denied by itself and what is
 * next to it, addresses inside addresses, rules.
 */


#include <stdlib.h>

#include "tap.h"
#include "rnd.h"

#include "base/trp_acl.h"
#include "base/trp_addr.h"
#include "turn/trp_turn_access.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))

#define BY_RULE   TRP_TURN_DENIED_BY_RULE
#define DENIED    TRP_TURN_DENIED
#define ALLOWED   TRP_TURN_ALLOWED
#define YES       TRP_TURN_ALLOWED_BY_RULE


static const trp_turn_access_t  none;


static trp_addr_t
address(const char *text)
{
    trp_str_t   s;
    trp_addr_t  a;

    s.data = (const uint8_t *) text;
    s.len = strlen(text);

    memset(&a, 0, sizeof(a));

    if (trp_addr_parse(&a, s) != TRP_OK) {
        printf("# no address: %s\n", text);
        abort();
    }

    return a;
}


static trp_cidr_t
block(const char *text)
{
    trp_str_t   s;
    trp_cidr_t  c;

    s.data = (const uint8_t *) text;
    s.len = strlen(text);

    if (trp_cidr_parse(&c, s) != TRP_OK) {
        printf("# no block: %s\n", text);
        abort();
    }

    return c;
}


static trp_turn_rule_t
rule(const char *text, int allow)
{
    trp_str_t        s;
    const char      *error;
    trp_acl_rule_t   acl;
    trp_turn_rule_t  r;

    s.data = (const uint8_t *) text;
    s.len = strlen(text);

    error = trp_acl_parse(&acl, s);

    if (error || acl.type != TRP_ACL_CIDR) {
        printf("# no rule: %s %s\n", text, error ? error : "");
        abort();
    }

    memset(&r, 0, sizeof(r));

    r.cidr = acl.cidr;
    r.first = acl.first;
    r.last = acl.last;
    r.allow = allow;

    return r;
}


static int
compare(const void *a, const void *b)
{
    return trp_turn_rule_cmp(a, b);
}


static trp_turn_access_e
access_to(const char *text)
{
    trp_addr_t  a;

    a = address(text);

    return trp_turn_access(&none, &a, 80);
}


/* one more or one less; 0 if there is none */

static int
step(trp_addr_t *a, int up)
{
    int  i;

    for (i = (a->family == 4 ? 4 : 16) - 1; i >= 0; i--) {

        if (up ? ++a->bytes[i] != 0 : a->bytes[i]-- != 0) {
            return 1;
        }
    }

    return 0;
}


/* the first and last address of each block, and the neighbours */

static void
test_blocks(void)
{
    int         below, above;
    char        text[TRP_ADDR_TEXT_LEN + 1];
    size_t      i, j;
    trp_addr_t  first, last, a;
    trp_cidr_t  c;

    static const struct {
        const char *block;
        const char *outside;           /* "<" before it, ">" after it */
    } blocks[] = {
        { "0.0.0.0/8", ">" },
        { "10.0.0.0/8", "<>" },
        { "100.64.0.0/10", "<>" },
        { "127.0.0.0/8", "<>" },
        { "169.254.0.0/16", "<>" },
        { "172.16.0.0/12", "<>" },
        { "192.0.0.0/24", "<>" },
        { "192.0.2.0/24", "<>" },
        { "192.88.99.0/24", "<>" },
        { "192.168.0.0/16", "<>" },
        { "198.18.0.0/15", "<>" },
        { "198.51.100.0/24", "<>" },
        { "203.0.113.0/24", "<>" },
        { "224.0.0.0/4", "<" },
        { "240.0.0.0/4", "" },
        { "::/128", "" },
        { "::1/128", "" },
        { "64:ff9b:1::/48", "<>" },
        { "100::/64", "<>" },
        { "2001::/32", "<>" },
        { "2001:db8::/32", "<>" },
        { "2002::/16", "<>" },
        { "fc00::/7", "<>" },
        { "fe80::/10", "<" },
        { "fec0::/10", "" },
        { "ff00::/8", "" }
    };

    for (i = 0; i < nelts(blocks); i++) {
        c = block(blocks[i].block);

        first = c.addr;
        last = c.addr;

        for (j = c.prefix; j < (c.addr.family == 4 ? 32 : 128); j++) {
            last.bytes[j / 8] |= (uint8_t) (0x80 >> (j % 8));
        }

        is_int(trp_turn_access(&none, &first, 80), DENIED, "first of %s",
               blocks[i].block);
        is_int(trp_turn_access(&none, &last, 80), DENIED, "last of %s",
               blocks[i].block);

        below = strchr(blocks[i].outside, '<') != NULL;
        above = strchr(blocks[i].outside, '>') != NULL;

        a = first;

        if (step(&a, 0)) {
            text[trp_addr_text((uint8_t *) text, &a)] = '\0';
            is_int(trp_turn_access(&none, &a, 80), below ? ALLOWED : DENIED,
                   "%s, before %s", text, blocks[i].block);
        }

        a = last;

        if (step(&a, 1)) {
            text[trp_addr_text((uint8_t *) text, &a)] = '\0';
            is_int(trp_turn_access(&none, &a, 80), above ? ALLOWED : DENIED,
                   "%s, behind %s", text, blocks[i].block);
        }
    }
}


/* what firewalls and other servers have let through */

static void
test_addresses(void)
{
    size_t  i;

    static const struct {
        const char        *addr;
        trp_turn_access_e  rc;
    } addresses[] = {

        /* CVE-2020-26262: the unspecified address reaches the loopback */
        { "0.0.0.0", DENIED },
        { "::", DENIED },
        { "::1", DENIED },

        /* CVE-2026-27624: IPv4-mapped */
        { "::ffff:127.0.0.1", DENIED },
        { "::ffff:0.0.0.0", DENIED },
        { "::ffff:10.0.0.1", DENIED },
        { "::ffff:8.8.8.8", DENIED },
        { "::ffff:255.255.255.255", DENIED },

        /* CVE-2026-53450: other forms with an IPv4 address inside */
        { "::127.0.0.1", DENIED },
        { "::10.1.2.3", DENIED },
        { "::8.8.8.8", DENIED },
        { "64:ff9b::127.0.0.1", DENIED },
        { "64:ff9b::10.0.0.1", DENIED },
        { "64:ff9b::169.254.169.254", DENIED },
        { "64:ff9b::0.0.0.0", DENIED },
        { "64:ff9b::224.0.0.1", DENIED },
        { "64:ff9b::8.8.8.8", ALLOWED },
        { "64:ff9b:0:0:0:1:808:808", ALLOWED },
        { "64:ff9b:1::8.8.8.8", DENIED },
        { "2002:7f00:1::", DENIED },
        { "2002:a00:1::1", DENIED },
        { "2002:808:808::1", DENIED },
        { "2001:0:808:808::1", DENIED },
        { "2a00:1::5efe:127.0.0.1", DENIED },
        { "2a00:1::200:5efe:10.0.0.1", DENIED },
        { "2a00:1::5efe:8.8.8.8", ALLOWED },
        { "2a00:1::100:5efe:10.0.0.1", ALLOWED },
        { "fe80::5efe:8.8.8.8", DENIED },

        /* metadata services */
        { "169.254.169.254", DENIED },
        { "fd00:ec2::254", DENIED },
        { "100.100.100.200", DENIED },

        { "255.255.255.255", DENIED },
        { "8.8.8.8", ALLOWED },
        { "1.1.1.1", ALLOWED },
        { "223.255.255.255", ALLOWED },
        { "2606:4700::1111", ALLOWED },
        { "3fff:ffff::1", ALLOWED },
        { "ff02::1", DENIED }
    };

    for (i = 0; i < nelts(addresses); i++) {
        is_int(access_to(addresses[i].addr), addresses[i].rc, "%s",
               addresses[i].addr);
    }
}


static void
test_family(void)
{
    trp_addr_t         a;
    trp_turn_rule_t    all[2];
    trp_turn_access_t  access = { all, 2 };

    all[0] = rule("0.0.0.0/0", 1);
    all[1] = rule("::/0", 1);

    memset(&a, 0, sizeof(a));
    is_int(trp_turn_access(&access, &a, 80), DENIED, "no address at all");

    a.family = 5;
    is_int(trp_turn_access(&access, &a, 80), DENIED, "no such family");

    /* an IPv4 address in bytes that others have left something in */

    a = address("8.8.8.8");
    memset(a.bytes + 4, 0xff, 12);
    is_int(trp_turn_access(&none, &a, 80), ALLOWED, "what is behind IPv4");
}


static void
test_embedded(void)
{
    char        text[TRP_ADDR_TEXT_LEN + 1];
    size_t      i;
    trp_addr_t  a, inside;

    static const struct {
        const char *addr;
        const char *inside;
    } forms[] = {
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "::192.0.2.1", "192.0.2.1" },
        { "2002:c000:201::", "192.0.2.1" },
        { "2002:c000:201:1:2:3:4:5", "192.0.2.1" },
        { "64:ff9b::192.0.2.1", "192.0.2.1" },
        { "fe80::5efe:192.0.2.1", "192.0.2.1" },
        { "2a00::200:5efe:192.0.2.1", "192.0.2.1" },
        { "::", NULL },
        { "::1", NULL },
        { "::1:0", "0.1.0.0" },
        { "2a00::1", NULL },
        { "64:ff9b:1::192.0.2.1", NULL },
        { "64:ff9c::192.0.2.1", NULL },
        { "2a00::300:5efe:192.0.2.1", NULL },
        { "192.0.2.1", NULL }
    };

    for (i = 0; i < nelts(forms); i++) {
        a = address(forms[i].addr);

        if (trp_turn_embedded(&a, &inside)) {
            text[trp_addr_text((uint8_t *) text, &inside)] = '\0';
            is_str(text, forms[i].inside, "inside %s", forms[i].addr);

        } else {
            is_str(NULL, forms[i].inside, "nothing inside %s", forms[i].addr);
        }
    }
}


/* the longest prefix, deny before allow, then what is denied by itself */

static void
test_rules(void)
{
    size_t      i, j;
    trp_addr_t  a;

    static const struct {
        const char        *allow[2];
        const char        *deny[2];
        const char        *addr;
        trp_turn_access_e  rc;
    } rules[] = {
        { { "10.0.0.0/8" }, { NULL }, "10.1.1.1", YES },
        { { "10.0.0.0/8" }, { NULL }, "11.1.1.1", ALLOWED },
        { { "10.0.0.0/8" }, { NULL }, "192.168.0.1", DENIED },
        { { NULL }, { "8.8.8.0/24" }, "8.8.8.8", BY_RULE },
        { { NULL }, { "8.8.8.0/24" }, "8.8.9.8", ALLOWED },
        { { NULL }, { "10.0.0.0/8" }, "10.0.0.1", BY_RULE },
        { { NULL }, { "10.0.0.0/8" }, "172.16.0.1", DENIED },
        { { "10.0.0.0/8" }, { "10.0.0.1/32" }, "10.0.0.1", BY_RULE },
        { { "10.0.0.0/8" }, { "10.0.0.1/32" }, "10.0.0.2", YES },
        { { "10.0.0.1/32" }, { "10.0.0.0/8" }, "10.0.0.1", YES },
        { { "10.0.0.1/32" }, { "10.0.0.0/8" }, "10.0.0.2", BY_RULE },
        { { "10.0.0.1/32" }, { "10.0.0.1/32" }, "10.0.0.1", BY_RULE },
        { { "9.9.9.9/32" }, { "0.0.0.0/0" }, "9.9.9.9", YES },
        { { "9.9.9.9/32" }, { "0.0.0.0/0" }, "9.9.9.8", BY_RULE },
        { { "9.0.0.0/8", "9.9.9.0/24" }, { "9.9.0.0/16" }, "9.9.9.9", YES },
        { { "9.0.0.0/8", "9.9.9.0/24" }, { "9.9.0.0/16" }, "9.9.8.9",
          BY_RULE },
        { { "9.0.0.0/8", "9.9.9.0/24" }, { "9.9.0.0/16" }, "9.8.9.9", YES },
        { { "64:ff9b::/96" }, { "0.0.0.0/0", "::/0" }, "64:ff9b::8.8.8.8",
          BY_RULE },
        { { "64:ff9b::/96", "8.0.0.0/8" }, { "0.0.0.0/0", "::/0" },
          "64:ff9b::8.8.8.8", YES },
        { { "0.0.0.0/0" }, { NULL }, "127.0.0.1", YES },
        { { "0.0.0.0/0" }, { NULL }, "2a00::1", ALLOWED },
        { { "0.0.0.0/0" }, { NULL }, "::1", DENIED },
        { { "::/0" }, { NULL }, "::1", YES },
        { { "::/0" }, { NULL }, "fe80::1", YES },
        { { NULL }, { "::/0" }, "2a00::1", BY_RULE },
        { { NULL }, { "0.0.0.0/0" }, "2a00::1", ALLOWED },
        { { NULL }, { "0.0.0.0/0", "::/0" }, "1.1.1.1", BY_RULE },

        /* an IPv4-mapped address is none that could be reached rightly */
        { { "::/0", "0.0.0.0/0" }, { NULL }, "::ffff:8.8.8.8", DENIED },
        { { "::/0", "0.0.0.0/0" }, { NULL }, "::ffff:127.0.0.1", DENIED },

        /* what is inside is looked at as well */
        { { "::/0" }, { NULL }, "64:ff9b::10.0.0.1", DENIED },
        { { "::/0" }, { NULL }, "2002:a00:1::1", DENIED },
        { { "::/0" }, { NULL }, "2002:808:808::1", YES },
        { { "::/0" }, { NULL }, "::127.0.0.1", DENIED },
        { { "2002::/16" }, { NULL }, "2002:7f00:1::", DENIED },
        { { "2002::/16", "127.0.0.0/8" }, { NULL }, "2002:7f00:1::", YES },
        { { "10.0.0.0/8" }, { NULL }, "64:ff9b::10.0.0.1", ALLOWED },
        { { "10.0.0.0/8" }, { NULL }, "2002:a00:1::", DENIED },
        { { NULL }, { "8.8.8.8" }, "64:ff9b::8.8.8.8", BY_RULE },
        { { NULL }, { "8.8.8.8" }, "64:ff9b::8.8.8.9", ALLOWED },
        { { NULL }, { "8.8.8.8" }, "2a00::5efe:8.8.8.8", BY_RULE },
        { { "64:ff9b::/96" }, { "8.8.8.8" }, "64:ff9b::8.8.8.8", BY_RULE },
        { { "::/0" }, { "8.8.8.8" }, "2002:808:808::", BY_RULE },
        { { NULL }, { "64:ff9b::/96" }, "64:ff9b::8.8.8.8", BY_RULE },

        /* prefixes that do not end with a byte, and the longest ones */
        { { "172.16.0.0/13" }, { NULL }, "172.23.255.255", YES },
        { { "172.16.0.0/13" }, { NULL }, "172.24.0.0", DENIED },
        { { "fd00::/9" }, { NULL }, "fd7f::1", YES },
        { { "fd00::/9" }, { NULL }, "fd80::1", DENIED },
        { { "10.0.0.1/32" }, { NULL }, "10.0.0.0", DENIED },
        { { "10.0.0.1/31" }, { NULL }, "10.0.0.0", YES },
        { { "fd00::1/128" }, { NULL }, "fd00::1", YES },
        { { "fd00::1/128" }, { NULL }, "fd00::2", DENIED },
        { { "fd00::1/127" }, { NULL }, "fd00::", YES }
    };

    for (i = 0; i < nelts(rules); i++) {
        trp_turn_rule_t    list[4];
        trp_turn_access_t  access = { list, 0 };

        for (j = 0; j < 2; j++) {

            if (rules[i].allow[j]) {
                list[access.nrules++] = rule(rules[i].allow[j], 1);
            }

            if (rules[i].deny[j]) {
                list[access.nrules++] = rule(rules[i].deny[j], 0);
            }
        }

        qsort(list, access.nrules, sizeof(list[0]), compare);

        a = address(rules[i].addr);

        is_int(trp_turn_access(&access, &a, 80), rules[i].rc,
               "allow %s, deny %s: %s",
               rules[i].allow[0] ? rules[i].allow[0] : "-",
               rules[i].deny[0] ? rules[i].deny[0] : "-", rules[i].addr);
    }
}


/* rules with ports: the outcome for each, and for an address alone */

static void
test_ports(void)
{
    size_t      i, j, n;
    unsigned    by_port;
    trp_addr_t  a;

    static const struct {
        const char        *rules[4];   /* "-" is before what is denied */
        const char        *addr;
        uint16_t           port;
        trp_turn_access_e  rc;
        trp_turn_access_e  any;
        unsigned           by_port;
    } cases[] = {
        { { "10.0.0.5:100-200" }, "10.0.0.5", 99, DENIED, YES, 1 },
        { { "10.0.0.5:100-200" }, "10.0.0.5", 100, YES, YES, 1 },
        { { "10.0.0.5:100-200" }, "10.0.0.5", 200, YES, YES, 1 },
        { { "10.0.0.5:100-200" }, "10.0.0.5", 201, DENIED, YES, 1 },
        { { "10.0.0.5:100-200" }, "10.0.0.6", 100, DENIED, DENIED, 0 },
        { { "10.0.0.5:1-65535" }, "10.0.0.5", 1, YES, YES, 0 },
        { { "10.0.0.5:65535" }, "10.0.0.5", 65535, YES, YES, 1 },
        { { "10.0.0.5:65535" }, "10.0.0.5", 65534, DENIED, YES, 1 },
        { { "10.0.0.5:1" }, "10.0.0.5", 1, YES, YES, 1 },
        { { "10.0.0.5:1" }, "10.0.0.5", 2, DENIED, YES, 1 },
        { { "9.9.9.9:53" }, "9.9.9.9", 22, ALLOWED, YES, 1 },
        { { "-9.9.9.9:53" }, "9.9.9.9", 53, BY_RULE, ALLOWED, 1 },
        { { "-9.9.9.9:53" }, "9.9.9.9", 54, ALLOWED, ALLOWED, 1 },
        { { "-10.0.0.5:53" }, "10.0.0.5", 53, BY_RULE, DENIED, 1 },

        /* the block comes first, then the number of ports, then deny */
        { { "10.0.0.0/8", "-10.0.0.5:22" }, "10.0.0.5", 22, BY_RULE, YES, 1 },
        { { "10.0.0.0/8", "-10.0.0.5:22" }, "10.0.0.5", 23, YES, YES, 1 },
        { { "10.0.0.0/8", "-10.0.0.5:22" }, "10.0.0.4", 22, YES, YES, 0 },
        { { "-10.0.0.5", "10.0.0.5:22" }, "10.0.0.5", 22, YES, YES, 1 },
        { { "-10.0.0.5", "10.0.0.5:22" }, "10.0.0.5", 23, BY_RULE, YES, 1 },
        { { "10.0.0.0/8:22", "-10.0.0.5" }, "10.0.0.5", 22, BY_RULE, BY_RULE,
          0 },
        { { "10.0.0.5:1-10", "-10.0.0.5:5-20" }, "10.0.0.5", 7, YES, YES, 1 },
        { { "10.0.0.5:1-10", "-10.0.0.5:5-14" }, "10.0.0.5", 7, BY_RULE, YES,
          1 },
        { { "-0.0.0.0/0", "9.9.9.9:53" }, "9.9.9.9", 53, YES, YES, 1 },
        { { "-0.0.0.0/0", "9.9.9.9:53" }, "9.9.9.9", 54, BY_RULE, YES, 1 },

        /* IPv6, and what is inside */
        { { "[fd00::1]:80" }, "fd00::1", 80, YES, YES, 1 },
        { { "[fd00::1]:80" }, "fd00::1", 81, DENIED, YES, 1 },
        { { "[fd00::]/8:80" }, "fd00::1", 80, YES, YES, 1 },
        { { "[2002::]/16:80", "10.0.0.0/8" }, "2002:a00:1::", 80, YES, YES, 1 },
        { { "2002::/16", "10.0.0.0/8:80" }, "2002:a00:1::", 80, YES, YES, 1 },
        { { "2002::/16", "10.0.0.0/8:80" }, "2002:a00:1::", 81, DENIED, YES,
          1 },
        { { "[2002::]/16:81", "10.0.0.0/8:80" }, "2002:a00:1::", 80, DENIED,
          DENIED, 0 }
    };

    for (i = 0; i < nelts(cases); i++) {
        trp_turn_rule_t    list[4];
        trp_turn_access_t  access = { list, 0 };

        for (j = 0; j < 4 && cases[i].rules[j]; j++) {
            n = (cases[i].rules[j][0] == '-');
            list[access.nrules++] = rule(cases[i].rules[j] + n, n == 0);
        }

        qsort(list, access.nrules, sizeof(list[0]), compare);

        a = address(cases[i].addr);

        is_int(trp_turn_access(&access, &a, cases[i].port), cases[i].rc,
               "%s %s: %s, port %u", cases[i].rules[0],
               cases[i].rules[1] ? cases[i].rules[1] : "", cases[i].addr,
               cases[i].port);
        is_int(trp_turn_access_any(&access, &a, &by_port), cases[i].any,
               "the best of all ports");
        is_int(by_port, cases[i].by_port, "whether they differ");
    }
}


/* rules that never count */

static void
test_hidden(void)
{
    char    found[16];
    size_t  i, j, n, len;

    /* the rules in the order in which they count; which ones are hidden */

    static const struct {
        const char *rules[6];
        const char *hidden;
    } cases[] = {
        { { "0.0.0.0/0" }, "" },
        { { "9.9.9.9", "-0.0.0.0/0" }, "" },
        { { "-9.9.9.9", "9.9.9.9", "-0.0.0.0/0" }, "1" },
        { { "9.9.9.9", "9.9.9.9" }, "1" },
        { { "-0.0.0.0/0", "0.0.0.0/0" }, "1" },
        { { "-0.0.0.0/0", "::/0" }, "" },
        { { "-10.0.0.0/9", "-10.128.0.0/9", "10.0.0.0/8" }, "2" },
        { { "-10.192.0.0/10", "-10.0.0.0/9", "10.0.0.0/8" }, "" },
        { { "-10.192.0.0/10", "10.128.0.0/10", "-10.0.0.0/9", "10.0.0.0/8" },
          "3" },
        { { "-10.0.0.5:1-100", "-10.0.0.5:101-65535", "10.0.0.5:1-65535",
            "10.0.0.5" }, "2" },
        { { "-10.0.0.5:1-100", "-10.0.0.5:102-65535", "10.0.0.5:1-65535" },
          "" },
        { { "-10.0.0.0/32:1-9", "-10.0.0.1/32:5-20", "10.0.0.0/31:5-9" },
          "2" },
        { { "-10.0.0.0/32:1-9", "-10.0.0.1/32:6-20", "10.0.0.0/31:5-9" },
          "" },
        { { "-255.255.255.255", "-255.255.255.254", "255.255.255.254/31" },
          "2" },
        { { "-128.0.0.0/1", "-0.0.0.0/1", "0.0.0.0/0" }, "2" },
        { { "-::/1", "-8000::/1", "::/0" }, "2" },
        { { "-fd00::1", "-fd00::", "fd00::/127" }, "2" }
    };

    for (i = 0; i < nelts(cases); i++) {
        trp_turn_rule_t  list[6];

        for (n = 0; n < 6 && cases[i].rules[n]; n++) {
            j = (cases[i].rules[n][0] == '-');
            list[n] = rule(cases[i].rules[n] + j, j == 0);
        }

        len = 0;

        for (j = 0; j < n; j++) {

            if (j && trp_turn_rule_cmp(&list[j - 1], &list[j]) > 0) {
                found[len++] = '?';
            }

            if (trp_turn_rule_hidden(list, j)) {
                found[len++] = (char) ('0' + j);
            }
        }

        found[len] = '\0';

        is_str(found, cases[i].hidden, "%s %s %s", cases[i].rules[0],
               n > 1 ? cases[i].rules[1] : "", n > 2 ? cases[i].rules[2] : "");
    }
}


/* the same by trying all peers, of a few addresses and ports */

static void
test_hidden_random(void)
{
    int              i, wrong, matched;
    size_t           j, k, n;
    uint16_t         port;
    unsigned         host;
    trp_turn_rule_t  list[6];

    rnd_seed(41);
    wrong = 0;

    for (i = 0; i < 20000; i++) {
        n = 1 + rnd(6);

        memset(list, 0, sizeof(list));

        for (j = 0; j < n; j++) {
            list[j].cidr.addr.family = 4;
            list[j].cidr.addr.bytes[0] = 10;
            list[j].cidr.prefix = (uint8_t) (29 + rnd(4));
            list[j].cidr.addr.bytes[3] = (uint8_t)
                (rnd(8) & (0xf8 | (0xff << (32 - list[j].cidr.prefix))));
            list[j].first = (uint16_t) (1 + rnd(3));
            list[j].last = (uint16_t) (list[j].first + rnd(3));
            list[j].allow = rnd(2);
        }

        qsort(list, n, sizeof(list[0]), compare);

        j = n - 1;
        matched = 0;

        for (host = 0; host < 8; host++) {
            for (port = 1; port < 6; port++) {

                for (k = 0; k < n; k++) {
                    if ((host >> (32 - list[k].cidr.prefix))
                        == (unsigned) (list[k].cidr.addr.bytes[3]
                                       >> (32 - list[k].cidr.prefix))
                        && port >= list[k].first && port <= list[k].last)
                    {
                        break;
                    }
                }

                matched += k == j;
            }
        }

        wrong += trp_turn_rule_hidden(list, j) != (matched == 0);
    }

    is_int(wrong, 0, "hidden is what no peer reaches");
}


/* whatever form a denied IPv4 address is written in, it is denied */

static void
test_random(void)
{
    size_t      i;
    unsigned    n, opened, j;
    trp_addr_t  v4, v6;

    static const char  *forms[] = { "::ffff:0:0", "::", "64:ff9b::", "2002::",
                                    "2a00::5efe:0:0", "2a00::200:5efe:0:0" };

    rnd_seed(29);
    opened = 0;

    for (n = 0; n < 100000; n++) {
        memset(&v4, 0, sizeof(v4));
        v4.family = 4;

        for (i = 0; i < 4; i++) {
            v4.bytes[i] = (uint8_t) rnd(256);
        }

        /* a short part of them is denied, so steer some there */

        if (rnd(2)) {
            v4.bytes[0] = "\x00\x0a\x7f\xc0\xac\xa9\xe0\xff"[rnd(8)];
            v4.bytes[1] = "\x00\x10\xa8\xfe\x01"[rnd(5)];
        }

        for (j = 0; j < nelts(forms); j++) {
            v6 = address(forms[j]);
            memcpy(v6.bytes + (j == 3 ? 2 : 12), v4.bytes, 4);

            opened += trp_turn_access(&none, &v6, 80) > DENIED
                      && trp_turn_access(&none, &v4, 80) <= DENIED;
        }
    }

    is_int(opened, 0, "no form opens what is denied as IPv4");
}


/* 0.0.0.0 and :: lead to this host, whatever else is allowed there */

static void
test_this_host(void)
{
    trp_addr_t         v4, v6;
    trp_turn_rule_t    rules[4];
    trp_turn_access_t  access;

    memset(&access, 0, sizeof(access));

    access.rules = rules;
    v4 = address("0.0.0.0");
    v6 = address("::");

    rules[0] = rule("127.0.0.0/8", 0);
    rules[1] = rule("::1", 0);
    rules[2] = rule("0.0.0.0/0", 1);
    rules[3] = rule("::/0", 1);
    access.nrules = 4;

    ok(trp_turn_access(&access, &v4, 80) <= DENIED, "0.0.0.0 is loopback");
    ok(trp_turn_access(&access, &v6, 80) <= DENIED, ":: is loopback");

    access.rules = rules + 2;
    access.nrules = 2;

    ok(trp_turn_access(&access, &v4, 80) > DENIED, "allowed with everything");
    ok(trp_turn_access(&access, &v6, 80) > DENIED, "the same for IPv6");

    v6 = address("::ffff:0.0.0.0");
    ok(trp_turn_access(&access, &v6, 80) <= DENIED, "mapped, never");
}


int
main(void)
{
    test_this_host();
    test_blocks();
    test_addresses();
    test_family();
    test_embedded();
    test_rules();
    test_ports();
    test_hidden();
    test_hidden_random();
    test_random();

    return done_testing();
}
