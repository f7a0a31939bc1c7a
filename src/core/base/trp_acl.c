
/*
 * Copyright (C) the trp authors
 */


/*
 * Access rules for destinations, parsed once, when the configuration is read.
 * An address of this host (0.0.0.0, ::) is matched as a loopback address; a
 * rule that denies either form denies both.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "base/trp_acl.h"
#include "base/trp_path.h"
#include "base/trp_str.h"


static const char *trp_acl_split(trp_str_t text, trp_str_t *host,
    trp_str_t *ports);
static const char *trp_acl_parse_host(trp_acl_rule_t *rule, trp_str_t host);
static const char *trp_acl_parse_ports(trp_acl_rule_t *rule, trp_str_t ports);
static int trp_acl_match_plain(const trp_acl_rule_t *rule,
    const trp_addr_t *addr, uint16_t port);
static int trp_acl_match_port(const trp_acl_rule_t *rule, uint16_t port);


static const trp_str_t  trp_acl_all = trp_string("all");


const char *
trp_acl_parse(trp_acl_rule_t *rule, trp_str_t text)
{
    trp_str_t    host, ports;
    const char  *err;

    memset(rule, 0, sizeof(trp_acl_rule_t));

    if (trp_path_get(text, &rule->name)) {
        rule->type = TRP_ACL_UNIX;

        return trp_path_valid(rule->name) ? NULL
               : "has an invalid path of a unix socket";
    }

    err = trp_acl_split(text, &host, &ports);
    if (err) {
        return err;
    }

    err = trp_acl_parse_host(rule, host);
    if (err) {
        return err;
    }

    return trp_acl_parse_ports(rule, ports);
}


/* ports->data stays NULL if there is no port */

static const char *
trp_acl_split(trp_str_t text, trp_str_t *host, trp_str_t *ports)
{
    trp_cidr_t      cidr;
    const uint8_t  *p, *end, *colon;

    *host = text;
    ports->len = 0;
    ports->data = NULL;

    if (text.len == 0) {
        return "is empty";
    }

    p = text.data;
    end = p + text.len;

    if (*p == '[') {
        p = memchr(p, ']', text.len);
        if (p == NULL) {
            return "has an unclosed bracket";
        }
    }

    colon = memchr(p, ':', end - p);

    if (colon == NULL) {
        return NULL;
    }

    if (memchr(colon + 1, ':', end - colon - 1) != NULL) {
        if (trp_cidr_parse(&cidr, text) == TRP_OK) {
            return NULL;
        }

        return "has too many colons, "
               "write an IPv6 address with a port as [ADDRESS]:PORT";
    }

    if (colon == text.data) {
        return "has no host, write \"*:PORT\" for every host";
    }

    host->len = colon - text.data;
    ports->data = colon + 1;
    ports->len = end - ports->data;

    return NULL;
}


static const char *
trp_acl_parse_host(trp_acl_rule_t *rule, trp_str_t host)
{
    if (trp_name_equal(host, trp_acl_all)
        || (host.len == 1 && host.data[0] == '*'))
    {
        rule->type = TRP_ACL_ALL;
        return NULL;
    }

    if (trp_cidr_parse_bits(&rule->cidr, host, &rule->low_bits) == TRP_OK) {
        rule->type = TRP_ACL_CIDR;
        return NULL;
    }

    host = trp_name_relative(host);
    rule->name = host;

    if (trp_name_valid(host)) {
        rule->type = TRP_ACL_NAME;
        return NULL;
    }

    if (host.data[0] == '[') {
        return "has an invalid IPv6 address in brackets";
    }

    if (memchr(host.data, '/', host.len) != NULL) {
        return "has an invalid block, write it as ADDRESS/PREFIX";
    }

    if (memchr(host.data, '*', host.len) == NULL) {
        return "has an invalid host";
    }

    rule->name.data++;
    rule->name.len--;
    rule->type = TRP_ACL_SUFFIX;

    if (rule->name.len != 0 && host.data[0] == '*' && host.data[1] == '.') {
        host.data += 2;
        host.len -= 2;

        if (trp_name_valid(host)) {
            return NULL;
        }
    }

    return "has an invalid wildcard, write it as \"*.NAME\"";
}


static const char *
trp_acl_parse_ports(trp_acl_rule_t *rule, trp_str_t ports)
{
    trp_str_t       last;
    const uint8_t  *p;

    if (ports.data == NULL || (ports.len == 1 && ports.data[0] == '*')) {
        rule->first = 0;
        rule->last = 65535;
        return NULL;
    }

    if (ports.len == 0) {
        return "has an empty port, write \"*\" for every port";
    }

    last = ports;
    p = memchr(ports.data, '-', ports.len);

    if (p != NULL) {
        ports.len = p - ports.data;
        last.data = p + 1;
        last.len -= ports.len + 1;
    }

    rule->first = trp_port_parse(ports);
    rule->last = trp_port_parse(last);

    if (rule->first == 0 || rule->last == 0) {
        return "has an invalid port";
    }

    if (rule->first > rule->last) {
        return "has a port range that ends before it starts";
    }

    return NULL;
}


int
trp_acl_match_addr(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port)
{
    trp_addr_t  a;

    a = *addr;

    (void) trp_addr_this_host(&a);

    return trp_acl_match_plain(rule, &a, port);
}


int
trp_acl_match_denied(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port)
{
    return trp_acl_match_plain(rule, addr, port)
           || trp_acl_match_addr(rule, addr, port);
}


static int
trp_acl_match_plain(const trp_acl_rule_t *rule, const trp_addr_t *addr,
    uint16_t port)
{
    if (!trp_acl_match_port(rule, port)) {
        return 0;
    }

    switch (rule->type) {

    case TRP_ACL_ALL:
        return 1;

    case TRP_ACL_CIDR:
        return trp_cidr_match(&rule->cidr, addr);

    default:
        return 0;
    }
}


int
trp_acl_match_name(const trp_acl_rule_t *rule, trp_str_t name, uint16_t port)
{
    if (!trp_acl_match_port(rule, port)) {
        return 0;
    }

    /* a trailing dot must not bypass a rule */

    name = trp_name_relative(name);

    switch (rule->type) {

    case TRP_ACL_ALL:
        return 1;

    case TRP_ACL_NAME:
        return trp_name_equal(rule->name, name);

    case TRP_ACL_SUFFIX:
        if (name.len <= rule->name.len) {
            return 0;
        }

        name.data += name.len - rule->name.len;
        name.len = rule->name.len;

        return trp_name_equal(rule->name, name);

    default:
        return 0;
    }
}


int
trp_acl_match_path(const trp_acl_rule_t *rule, trp_str_t path)
{
    return rule->type == TRP_ACL_UNIX
           && trp_path_valid(path) && trp_path_match(rule->name, path);
}


int
trp_acl_covers(const trp_acl_rule_t *rule, const trp_acl_rule_t *other)
{
    trp_str_t  end;

    if (rule->first > other->first || rule->last < other->last) {
        return 0;
    }

    if (rule->type == TRP_ACL_UNIX || other->type == TRP_ACL_UNIX) {
        return rule->type == other->type
               && trp_str_equal(rule->name, other->name);
    }

    switch (rule->type) {

    case TRP_ACL_ALL:
        return 1;

    case TRP_ACL_CIDR:
        return other->type == TRP_ACL_CIDR
               && rule->cidr.prefix <= other->cidr.prefix
               && trp_cidr_match(&rule->cidr, &other->cidr.addr);

    case TRP_ACL_NAME:
        return other->type == TRP_ACL_NAME
               && trp_name_equal(rule->name, other->name);

    default: /* TRP_ACL_SUFFIX */

        if ((other->type != TRP_ACL_NAME && other->type != TRP_ACL_SUFFIX)
            || other->name.len < rule->name.len)
        {
            return 0;
        }

        end.len = rule->name.len;
        end.data = other->name.data + other->name.len - end.len;

        return trp_name_equal(rule->name, end);
    }
}


static int
trp_acl_match_port(const trp_acl_rule_t *rule, uint16_t port)
{
    return port >= rule->first && port <= rule->last;
}
