
/*
 * Copyright (C) the trp authors
 */


/* resolv.conf and hosts, as hosts have them and as they should not be */


#include <stdlib.h>

#include "tap.h"

#include "base/trp_addr.h"
#include "names/trp_resolv.h"


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
    slot[next] = malloc(str.len);
    memcpy(slot[next], s, str.len);

    str.data = (uint8_t *) slot[next];

    return str;
}


static void
append(char *buf, const char *sep, const uint8_t *p, size_t len)
{
    strcat(buf, sep);
    strncat(buf, (const char *) p, len);
}


/* "servers; search; ndots" */

static const char *
resolv_string(const char *in)
{
    static char    buf[1024];

    size_t         n;
    uint8_t        addr[TRP_ADDR_TEXT_LEN];
    unsigned       i;
    trp_str_t      str;
    trp_resolv_t   resolv;

    str = text(in);

    memset(&resolv, 0xa5, sizeof(resolv));
    trp_resolv_parse(&resolv, str);

    buf[0] = '\0';

    for (i = 0; i < resolv.nservers; i++) {
        n = trp_addr_text(addr, &resolv.servers[i]);
        append(buf, i ? " " : "", addr, n);
    }

    strcat(buf, ";");

    for (i = 0; i < resolv.nsearch; i++) {
        append(buf, " ", resolv.search[i].data, resolv.search[i].len);
    }

    n = strlen(buf);
    snprintf(buf + n, sizeof(buf) - n, "; %u", resolv.ndots);

    return buf;
}


/* the names that are asked for */

static const char *
tries(const char *conf, const char *name)
{
    static char    buf[1024];

    unsigned       n;
    trp_str_t      str, in, domain;
    trp_resolv_t   resolv;

    in = text(conf);
    str = text(name);

    trp_resolv_parse(&resolv, in);

    buf[0] = '\0';

    for (n = 0; trp_resolv_domain(&resolv, str, n, &domain) == TRP_OK; n++) {
        append(buf, n ? " " : "", str.data, str.len);

        if (domain.len) {
            append(buf, ".", domain.data, domain.len);
        }
    }

    return buf;
}


static const char *
hosts_string(const char *in, const char *name)
{
    static char   buf[1024];

    size_t        n;
    uint8_t       addr[TRP_ADDR_TEXT_LEN];
    trp_str_t     hosts, str;
    trp_addr_t    a;

    hosts = text(in);
    str = text(name);

    buf[0] = '\0';

    while (trp_hosts_next(&hosts, str, &a) == TRP_OK) {
        n = trp_addr_text(addr, &a);
        append(buf, buf[0] ? " " : "", addr, n);
    }

    return buf;
}


static void
test_resolv(void)
{
    is_str(resolv_string(""), "127.0.0.1;; 1", "empty");
    is_str(resolv_string("nameserver 192.0.2.1\nnameserver 2001:db8::1\n"),
           "192.0.2.1 2001:db8::1;; 1", "two servers");
    is_str(resolv_string("\tnameserver\t192.0.2.1\r\n;nameserver 192.0.2.2\n"
                         "#nameserver 192.0.2.3\nnameserver 192.0.2.4 # 5"),
           "192.0.2.1 192.0.2.4;; 1", "blanks, comments, no last newline");
    is_str(resolv_string("nameserver 1.1.1.1\nnameserver 2.2.2.2\n"
                         "nameserver 3.3.3.3\nnameserver 4.4.4.4\n"),
           "1.1.1.1 2.2.2.2 3.3.3.3;; 1", "three at most");
    is_str(resolv_string("nameserver fe80::1%eth0\nnameserver\nnameserver x\n"
                         "nameservers 1.1.1.1\nnameserver 9.9.9.9\n"),
           "9.9.9.9;; 1", "what is none");
    is_str(resolv_string("search a.test b.test. ..\ndomain c.test\n"),
           "127.0.0.1; c.test; 1", "the last one holds");
    is_str(resolv_string("search a b c d e f g\n"),
           "127.0.0.1; a b c d e f; 1", "six domains at most");
    is_str(resolv_string("options rotate ndots:5 timeout:1\n"),
           "127.0.0.1;; 5", "ndots");
    is_str(resolv_string("options ndots:99999999999999999999\n"),
           "127.0.0.1;; 15", "ndots, too many");
    is_str(resolv_string("options ndots:\noptions ndots:x\n"),
           "127.0.0.1;; 0", "ndots, none");
}


static void
test_domain(void)
{
    const char  *conf = "search a.test b.test\n";

    is_str(tries("", "relay"), "relay", "no search list");
    is_str(tries(conf, "relay"), "relay.a.test relay.b.test relay",
           "no dot: search list first");
    is_str(tries(conf, "relay.c"), "relay.c relay.c.a.test relay.c.b.test",
           "a dot: the name first");
    is_str(tries("search a.test\noptions ndots:2\n", "relay.c"),
           "relay.c.a.test relay.c", "ndots:2");
    is_str(tries("search a.test\noptions ndots:0\n", "relay"),
           "relay relay.a.test", "ndots:0");
    is_str(tries(conf, "relay."), "relay.", "a full stop: just this name");
}


static void
test_hosts(void)
{
    const char  *hosts = "127.0.0.1\tlocalhost\n"
                         "::1 localhost ip6-localhost\n"
                         "# 192.0.2.9 relay.test\n"
                         "192.0.2.1 relay.test relay # relay2\n"
                         "bad relay.test\n"
                         "fe80::1%lo relay.test\n"
                         "\n   \n"
                         "2001:db8::1 x RELAY.test";

    is_str(hosts_string(hosts, "localhost"), "127.0.0.1 ::1", "localhost");
    is_str(hosts_string(hosts, "relay"), "192.0.2.1", "alias");
    is_str(hosts_string(hosts, "Relay.Test"), "192.0.2.1 2001:db8::1",
           "letter case");
    is_str(hosts_string(hosts, "relay2"), "", "in a comment");
    is_str(hosts_string(hosts, "192.0.2.1"), "", "an address is no name");
    is_str(hosts_string("", "relay"), "", "empty");
    is_str(hosts_string("192.0.2.1", "relay"), "", "no name");
}


int
main(void)
{
    test_resolv();
    test_domain();
    test_hosts();

    return done_testing();
}
