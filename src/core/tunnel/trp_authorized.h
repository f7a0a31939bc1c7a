
/*
 * Copyright (C) the trp authors
 */


/*
 * The keys that a relay accepts, and what each may do: lines in the format of
 * OpenSSH's authorized_keys,
 *
 *     [options] ssh-ed25519 BASE64 [comment]
 *
 *     role="entry|reverse"          both if absent; "entry", "reverse",
 *                                   or the two joined by "|" or ","
 *     group="a,b*"                  names, with "*" at the end as a wildcard
 *     permitopen="host:port,..."    what an entry may ask for (trp_acl.h),
 *                                   also "unix:/PATH"
 *     permitlisten="20000-20009,*.example.com,..."
 *                                   what a reverse may publish
 *                                   (trp_publish.h); nothing if absent
 *     from="CIDR,..."               where the agent may connect from
 *     expiry-time="YYYYMMDD[HHMM]"  UTC, a final "Z" is allowed
 *     limit="tunnels=N,..."         also streams=N, opens=Nr/s, publish=N,
 *                                   rate=SIZE
 *                                   (trp_limit.h)
 *
 * An option that is unknown or given twice is an error: a restriction must
 * never be silently dropped.
 */


#ifndef TRP_AUTHORIZED_H_INCLUDED
#define TRP_AUTHORIZED_H_INCLUDED


#include "tunnel/trp_key.h"
#include "base/trp_acl.h"
#include "base/trp_limit.h"
#include "tunnel/trp_wire.h"


#pragma GCC visibility push(hidden)


typedef struct {
    uint8_t         public_key[TRP_KEY_PUBLIC_LEN];
    unsigned        roles;         /* TRP_ROLE_* that are allowed */
    trp_str_t       groups;        /* the lists as they were written; */
    trp_str_t       permitopen;    /* data == NULL: no restriction */
    size_t          nrules;        /* in permitopen */
    trp_acl_rule_t *rules;         /* of trp_authorized_key_rules() */
    trp_str_t       permitlisten;  /* data == NULL: nothing */
    trp_str_t       from;
    trp_limits_t    limits;
    int64_t         expiry;        /* seconds since the epoch, 0: never */
    trp_str_t       comment;
    trp_str_t       low_bits;      /* a block with host bits; NULL data: none */
} trp_authorized_key_t;


/*
 * Parses one line without its newline.  TRP_OK; TRP_DECLINED for a blank line
 * or a comment; TRP_ERROR with *err, the rest of an error message that starts
 * with the file and line: "has an unknown option".  All values are validated.
 * "option" is what the message is about, or empty if it is named there.
 * Unless TRP_OK is returned, the key is all zero and allows no role.
 */

int trp_authorized_key_parse(trp_authorized_key_t *key, trp_str_t line,
    const char **err, trp_str_t *option);


/*
 * Puts the rules of permitopen where there is room for key->nrules of them, and
 * where they stay for as long as the key.  A key with permitopen allows nothing
 * to be opened before that.
 */

void trp_authorized_key_rules(trp_authorized_key_t *key,
    trp_acl_rule_t *rules);


/* 1 if the key allows it; "now" in seconds since the epoch */

int trp_authorized_key_allows_group(const trp_authorized_key_t *key,
    trp_str_t group);
int trp_authorized_key_allows_from(const trp_authorized_key_t *key,
    const trp_addr_t *addr);
int trp_authorized_key_allows_open(const trp_authorized_key_t *key,
    const trp_addr_t *addr, trp_str_t name, uint16_t port);
int trp_authorized_key_allows_listen(const trp_authorized_key_t *key,
    trp_str_t name);
int trp_authorized_key_expired(const trp_authorized_key_t *key, int64_t now);


#pragma GCC visibility pop


#endif /* TRP_AUTHORIZED_H_INCLUDED */
