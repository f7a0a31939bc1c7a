
/*
 * Copyright (C) the trp authors
 */


/*
 * A rule that was accepted matches what it names, and a name or an address
 * of the input is compared with it without reading past its end.
 */


#include <stdlib.h>
#include <string.h>

#include "base/trp_acl.h"
#include "base/trp_addr.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* the input: a rule, and after a newline a name or an address */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trp_str_t       text, host;
    trp_addr_t      addr;
    const uint8_t  *p;
    trp_acl_rule_t  rule;

    text.len = size;
    text.data = data;
    host = text;

    p = size ? memchr(data, '\n', size) : NULL;

    if (p != NULL) {
        text.len = p - data;
        host.data = p + 1;
        host.len = size - text.len - 1;
    }

    if (trp_acl_parse(&rule, text) != NULL) {
        return 0;
    }

    if (rule.first > rule.last) {
        abort();
    }

    addr = rule.cidr.addr;

    /* 0.0.0.0 and :: lead to this host, and only denying them means them */

    if (rule.type == TRP_ACL_CIDR
        && (trp_acl_match_name(&rule, host, rule.first)
            || !trp_acl_match_denied(&rule, &rule.cidr.addr, rule.first)
            || (!trp_addr_this_host(&addr)
                && !trp_acl_match_addr(&rule, &rule.cidr.addr, rule.first))))
    {
        abort();
    }

    if (rule.type == TRP_ACL_NAME
        && !trp_acl_match_name(&rule, rule.name, rule.last))
    {
        abort();
    }

    trp_acl_match_name(&rule, host, rule.first);

    if (trp_addr_parse(&addr, host) == TRP_OK) {
        trp_acl_match_addr(&rule, &addr, rule.first);
    }

    return 0;
}
