
/*
 * Copyright (C) the trp authors
 */


/*
 * Parses a line of authorized keys from left to right: options, type, key,
 * comment.  A table has a function for each option.
 */


#include <string.h>

#include <sodium.h>

#include "base/trp_acl.h"
#include "base/trp_path.h"
#include "base/trp_addr.h"
#include "tunnel/trp_authorized.h"
#include "tunnel/trp_publish.h"
#include "tunnel/trp_ssh.h"
#include "base/trp_str.h"


/* uint32 length, "ssh-ed25519", uint32 length, key: RFC 8709, section 4 */

#define TRP_SSH_BLOB_LEN  (4 + 11 + 4 + TRP_KEY_PUBLIC_LEN)


typedef struct {
    trp_str_t     name;
    const char *(*parse)(trp_authorized_key_t *key, trp_str_t value);
} trp_option_t;


static const char *trp_authorized_key_read(trp_authorized_key_t *key,
    trp_str_t line, trp_str_t *option);
static const char *trp_options_read(trp_authorized_key_t *key,
    trp_str_t *line, trp_str_t *option);
static const char *trp_option_value(trp_str_t *line, trp_str_t *value);
static const char *trp_authorized_key_blob(trp_authorized_key_t *key,
    trp_str_t text);
static const char *trp_option_role(trp_authorized_key_t *key, trp_str_t value);
static const char *trp_option_group(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_option_permitopen(trp_authorized_key_t *key,
    trp_str_t value);
static int trp_permitopen_has_port(trp_str_t text);
static const char *trp_option_permitlisten(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_option_from(trp_authorized_key_t *key, trp_str_t value);
static const char *trp_option_expiry(trp_authorized_key_t *key,
    trp_str_t value);
static const char *trp_option_limit(trp_authorized_key_t *key,
    trp_str_t value);
static int64_t trp_days_from_civil(unsigned year, unsigned month,
    unsigned day);
static unsigned trp_days_in_month(unsigned year, unsigned month);
static int trp_list_next(trp_str_t *list, trp_str_t *item, uint8_t alt);


static const trp_str_t  trp_ssh_blob_start = trp_string("AAAA");

static const trp_str_t  trp_pem_begin = trp_string("-----BEGIN ");

static const trp_str_t  trp_role_entry = trp_string("entry");
static const trp_str_t  trp_role_reverse = trp_string("reverse");


static const trp_option_t  trp_options[] = {
    { trp_string("role"), trp_option_role },
    { trp_string("group"), trp_option_group },
    { trp_string("permitopen"), trp_option_permitopen },
    { trp_string("permitlisten"), trp_option_permitlisten },
    { trp_string("from"), trp_option_from },
    { trp_string("expiry-time"), trp_option_expiry },
    { trp_string("limit"), trp_option_limit }
};


#define TRP_OPTIONS  (sizeof(trp_options) / sizeof(trp_options[0]))


int
trp_authorized_key_parse(trp_authorized_key_t *key, trp_str_t line,
    const char **err, trp_str_t *option)
{
    memset(key, 0, sizeof(trp_authorized_key_t));

    option->len = 0;

    trp_str_trim(&line);

    if (line.len == 0 || line.data[0] == '#') {
        return TRP_DECLINED;
    }

    *err = trp_authorized_key_read(key, line, option);

    if (*err) {
        memset(key, 0, sizeof(trp_authorized_key_t));
        return TRP_ERROR;
    }

    return TRP_OK;
}


static const char *
trp_authorized_key_read(trp_authorized_key_t *key, trp_str_t line,
    trp_str_t *option)
{
    trp_str_t    type, blob;
    const char  *err;

    if (memchr(line.data, '\0', line.len) != NULL) {
        return "has a null byte";
    }

    key->roles = TRP_ROLE_ENTRY | TRP_ROLE_REVERSE;

    if (trp_str_starts(line, trp_ssh_blob_start)) {
        return "has no key type, write \"ssh-ed25519\" before the key";
    }

    if (trp_str_starts(line, trp_pem_begin)) {
        return "is of a private key, write the line of the file with the "
               "public key, \".pub\"";
    }

    if (!trp_ssh_type_known(line)) {
        err = trp_options_read(key, &line, option);
        if (err) {
            return err;
        }
    }

    type = trp_str_word(&line);

    if (!trp_str_equal(type, trp_ssh_ed25519)) {
        return trp_ssh_type_known(type)
               ? "has a key of another type, only \"ssh-ed25519\" is supported"
               : "has an unknown key type, write \"ssh-ed25519\", and options "
                 "without blanks between them";
    }

    blob = trp_str_word(&line);
    key->comment = line;

    return trp_authorized_key_blob(key, blob);
}


/* parses the options and removes them, with the blanks after, from the line */

static const char *
trp_options_read(trp_authorized_key_t *key, trp_str_t *line,
    trp_str_t *option)
{
    size_t       i, n;
    unsigned     seen;
    trp_str_t    name, value;
    const char  *err;

    seen = 0;

    for ( ;; ) {
        name.data = line->data;

        for (n = 0; n < line->len; n++) {
            if (trp_is_blank(line->data[n]) || line->data[n] == '='
                || line->data[n] == ',' || line->data[n] == '"')
            {
                break;
            }
        }

        name.len = n;
        trp_str_skip(line, n);

        if (name.len == 0) {
            return "has an empty option, "
                   "options are separated by commas without blanks";
        }

        for (i = 0; i < TRP_OPTIONS; i++) {
            if (trp_name_equal(name, trp_options[i].name)) {
                break;
            }
        }

        *option = name;

        if (i == TRP_OPTIONS) {
            return "has an unknown option";
        }

        if (seen & (1U << i)) {
            return "has a duplicate option";
        }

        seen |= 1U << i;

        err = trp_option_value(line, &value);
        if (err) {
            return err;
        }

        /* what is wrong with a value says whose */

        option->len = 0;

        err = trp_options[i].parse(key, value);
        if (err) {
            return err;
        }

        if (line->len == 0) {
            return "has options but no key";
        }

        if (trp_is_blank(line->data[0])) {
            trp_str_skip_blanks(line);
            return NULL;
        }

        if (line->data[0] != ',') {
            return "has text after a quoted value, "
                   "options are separated by commas";
        }

        trp_str_skip(line, 1);
    }
}


static const char *
trp_option_value(trp_str_t *line, trp_str_t *value)
{
    size_t  i;

    if (line->len == 0 || line->data[0] != '=') {
        return "has an option without a value";
    }

    trp_str_skip(line, 1);

    if (line->len == 0 || line->data[0] != '"') {
        return "has an option whose value is not in double quotes";
    }

    trp_str_skip(line, 1);

    for (i = 0; i < line->len; i++) {

        if (line->data[i] == '"') {
            value->len = i;
            value->data = line->data;

            trp_str_skip(line, i + 1);

            return NULL;
        }

        /* no value may contain a quote, so there is no use for escapes */

        if (line->data[i] == '\\') {
            return "has a backslash in a value";
        }
    }

    return "has an option with an unclosed quote";
}


static const char *
trp_authorized_key_blob(trp_authorized_key_t *key, trp_str_t text)
{
    size_t     len;
    uint8_t    buf[TRP_SSH_BLOB_LEN], unused[TRP_KEY_PUBLIC_LEN];
    trp_str_t  blob, type, value;

    if (text.len == 0) {
        return "has no key after the key type";
    }

    if (sodium_base642bin(buf, sizeof(buf), (const char *) text.data,
                          text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL)
        != 0)
    {
        return "has a key that is not valid base64 of an Ed25519 key";
    }

    blob.len = len;
    blob.data = buf;

    if (trp_ssh_public_key(&blob, &type, &value) != TRP_OK || blob.len != 0) {
        return "has a key that is not a whole Ed25519 key";
    }

    /* fails for anything that is not on the curve or is of small order */

    if (crypto_sign_ed25519_pk_to_curve25519(unused, value.data) != 0) {
        return "has a key that is not a valid Ed25519 key";
    }

    memcpy(key->public_key, value.data, TRP_KEY_PUBLIC_LEN);

    return NULL;
}


static const char *
trp_option_role(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t  role;

    key->roles = 0;

    while (trp_list_next(&value, &role, '|')) {

        if (trp_str_equal(role, trp_role_entry)) {
            key->roles |= TRP_ROLE_ENTRY;

        } else if (trp_str_equal(role, trp_role_reverse)) {
            key->roles |= TRP_ROLE_REVERSE;

        } else {
            return "has an invalid role, write \"entry\" or \"reverse\"";
        }
    }

    return NULL;
}


static const char *
trp_option_group(trp_authorized_key_t *key, trp_str_t value)
{
    size_t     i;
    uint8_t    c;
    trp_str_t  group;

    key->groups = value;

    while (trp_list_next(&value, &group, ',')) {

        if (group.len == 0) {
            return "has an empty group";
        }

        for (i = 0; i < group.len; i++) {
            c = group.data[i];

            if (c <= ' ' || c == 0x7f) {
                return "has a group with a blank in it";
            }

            /* OpenSSH's patterns have these; they have no effect here */

            if (c == '?' || (c == '!' && i == 0)) {
                return "has a group with \"?\" or \"!\", "
                       "only a \"*\" at the end is supported";
            }

            if (c == '*' && i != group.len - 1) {
                return "has a group with \"*\" before its end";
            }
        }
    }

    return NULL;
}


static const char *
trp_option_permitopen(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t       item;
    trp_acl_rule_t  rule;

    key->permitopen = value;

    while (trp_list_next(&value, &item, ',')) {

        if (trp_acl_parse(&rule, item) != NULL) {
            return "has an invalid permitopen, write it as \"HOST:PORT,...\"";
        }

        if (rule.low_bits && key->low_bits.data == NULL) {
            key->low_bits = item;
        }

        if (rule.type != TRP_ACL_UNIX && !trp_permitopen_has_port(item)) {
            return "has a permitopen without a port, "
                   "write \"HOST:*\" for every port";
        }

        key->nrules++;
    }

    return NULL;
}


/* whether a valid rule has a port: a colon outside of an IPv6 address */

static int
trp_permitopen_has_port(trp_str_t text)
{
    const uint8_t  *p, *end;

    p = text.data;
    end = p + text.len;

    if (*p == '[') {
        p = memchr(p, ']', text.len);
        return p != NULL && memchr(p, ':', end - p) != NULL;
    }

    p = memchr(p, ':', text.len);

    return p != NULL && memchr(p + 1, ':', end - p - 1) == NULL;
}


static const char *
trp_option_permitlisten(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t    item;
    trp_names_t  names;

    key->permitlisten = value;

    while (trp_list_next(&value, &item, ',')) {

        if (trp_names_parse(&names, item) != TRP_OK) {
            return "has an invalid permitlisten, "
                   "write it as \"PORT,PORT-PORT,NAME,*.NAME,...\"";
        }
    }

    return NULL;
}


static const char *
trp_option_from(trp_authorized_key_t *key, trp_str_t value)
{
    int         low_bits;
    trp_str_t   item;
    trp_cidr_t  cidr;

    key->from = value;

    while (trp_list_next(&value, &item, ',')) {

        if (trp_cidr_parse_bits(&cidr, item, &low_bits) != TRP_OK) {
            return "has an invalid from, "
                   "write it as \"ADDRESS,ADDRESS/PREFIX,...\"";
        }

        if (low_bits && key->low_bits.data == NULL) {
            key->low_bits = item;
        }
    }

    return NULL;
}


static const char *
trp_option_expiry(trp_authorized_key_t *key, trp_str_t value)
{
    size_t    i;
    unsigned  n[12], year, month, day, hour, minute;

    if (value.len != 0 && value.data[value.len - 1] == 'Z') {
        value.len--;
    }

    if (value.len != 8 && value.len != 12) {
        goto invalid;
    }

    memset(n, 0, sizeof(n));

    for (i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            goto invalid;
        }

        n[i] = value.data[i] - '0';
    }

    year = n[0] * 1000 + n[1] * 100 + n[2] * 10 + n[3];
    month = n[4] * 10 + n[5];
    day = n[6] * 10 + n[7];
    hour = n[8] * 10 + n[9];
    minute = n[10] * 10 + n[11];

    /* 0, the epoch itself, would mean "never" */

    if (year < 1971
        || month < 1 || month > 12
        || day < 1 || day > trp_days_in_month(year, month)
        || hour > 23 || minute > 59)
    {
        goto invalid;
    }

    key->expiry = trp_days_from_civil(year, month, day) * 86400
                  + (int64_t) hour * 3600 + (int64_t) minute * 60;

    return NULL;

invalid:

    return "has an invalid expiry-time, write it as \"YYYYMMDD[HHMM]\"";
}


static const char *
trp_option_limit(trp_authorized_key_t *key, trp_str_t value)
{
    trp_str_t  item;

    while (trp_list_next(&value, &item, ',')) {

        switch (trp_limits_parse(&key->limits, item)) {

        case TRP_OK:
            break;

        case TRP_DECLINED:
            return "has a duplicate limit";

        default:
            return "has an invalid limit, "
                   "write it as "
                   "\"tunnels=N,streams=N,opens=Nr/s,publish=N,rate=SIZE\"";
        }
    }

    return NULL;
}


/* days since 1970-01-01; years start in March, so that February is last */

static int64_t
trp_days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t  y, days;

    y = (month > 2) ? year : year - 1;
    month = (month > 2) ? month - 3 : month + 9;

    days = y * 365 + y / 4 - y / 100 + y / 400;
    days += (153 * month + 2) / 5 + (day - 1);

    return days - 719468;
}


static unsigned
trp_days_in_month(unsigned year, unsigned month)
{
    if (month == 2) {
        return ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0)
               ? 29 : 28;
    }

    return (month == 4 || month == 6 || month == 9 || month == 11) ? 30 : 31;
}


int
trp_authorized_key_allows_group(const trp_authorized_key_t *key,
    trp_str_t group)
{
    trp_str_t  list, pattern;

    if (key->groups.data == NULL) {
        return 1;
    }

    list = key->groups;

    while (trp_list_next(&list, &pattern, ',')) {

        if (pattern.len != 0 && pattern.data[pattern.len - 1] == '*') {
            pattern.len--;

            if (trp_str_starts(group, pattern)) {
                return 1;
            }

        } else if (trp_str_equal(group, pattern)) {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_allows_from(const trp_authorized_key_t *key,
    const trp_addr_t *addr)
{
    trp_str_t   list, item;
    trp_cidr_t  cidr;

    if (key->from.data == NULL) {
        return 1;
    }

    list = key->from;

    while (trp_list_next(&list, &item, ',')) {

        if (trp_cidr_parse(&cidr, item) == TRP_OK
            && trp_cidr_match(&cidr, addr))
        {
            return 1;
        }
    }

    return 0;
}


void
trp_authorized_key_rules(trp_authorized_key_t *key, trp_acl_rule_t *rules)
{
    size_t     n;
    trp_str_t  list, item;

    list = key->permitopen;

    for (n = 0; trp_list_next(&list, &item, ','); n++) {
        trp_assert(n < key->nrules);

        /* it was found to be valid before */
        (void) trp_acl_parse(&rules[n], item);
    }

    trp_assert(n == key->nrules);

    key->rules = rules;
}


int
trp_authorized_key_allows_open(const trp_authorized_key_t *key,
    const trp_addr_t *addr, trp_str_t name, uint16_t port)
{
    int                    unix_socket;
    size_t                 i;
    trp_str_t              path;
    const trp_acl_rule_t  *rule;

    if (key->permitopen.data == NULL) {
        return 1;
    }

    if (key->rules == NULL) {
        return 0;
    }

    unix_socket = (addr->family == 0 && trp_path_get(name, &path));

    for (i = 0; i < key->nrules; i++) {
        rule = &key->rules[i];

        if (addr->family != 0 ? trp_acl_match_addr(rule, addr, port)
            : unix_socket ? trp_acl_match_path(rule, path)
            : trp_acl_match_name(rule, name, port))
        {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_allows_listen(const trp_authorized_key_t *key,
    trp_str_t name)
{
    trp_str_t    list, item;
    trp_names_t  names;

    list = key->permitlisten;

    while (trp_list_next(&list, &item, ',')) {

        if (trp_names_parse(&names, item) == TRP_OK
            && trp_names_match(&names, name))
        {
            return 1;
        }
    }

    return 0;
}


int
trp_authorized_key_expired(const trp_authorized_key_t *key, int64_t now)
{
    return key->expiry != 0 && now >= key->expiry;
}


/*
 * Removes the next item from a list; an empty list has one empty item.  Items
 * are separated by a comma or by "alt".
 */

static int
trp_list_next(trp_str_t *list, trp_str_t *item, uint8_t alt)
{
    size_t  i;

    if (list->data == NULL) {
        return 0;
    }

    for (i = 0; i < list->len; i++) {
        if (list->data[i] == ',' || list->data[i] == alt) {
            break;
        }
    }

    item->len = i;
    item->data = list->data;

    if (i == list->len) {
        list->len = 0;
        list->data = NULL;

    } else {
        trp_str_skip(list, i + 1);
    }

    return 1;
}
