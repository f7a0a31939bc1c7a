
/*
 * Copyright (C) the trp authors
 */


/*
 * resolv.conf and hosts, read as glibc reads them: unknown words are skipped,
 * the last "search" or "domain" wins, and lists are bounded.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "names/trp_resolv.h"
#include "base/trp_str.h"


#define TRP_RESOLV_NDOTS_MAX  15


static trp_str_t trp_resolv_line(trp_str_t *text);
static void trp_resolv_server(trp_resolv_t *resolv, trp_str_t word);
static void trp_resolv_search(trp_resolv_t *resolv, trp_str_t line);
static void trp_resolv_options(trp_resolv_t *resolv, trp_str_t line);


static const trp_str_t  trp_resolv_nameserver = trp_string("nameserver");
static const trp_str_t  trp_resolv_domains[] = {
    trp_string("search"),
    trp_string("domain")
};

static const trp_str_t  trp_resolv_option = trp_string("options");
static const trp_str_t  trp_resolv_ndots = trp_string("ndots:");


void
trp_resolv_parse(trp_resolv_t *resolv, trp_str_t text)
{
    trp_str_t  line, word;

    memset(resolv, 0, sizeof(trp_resolv_t));

    resolv->ndots = 1;

    while (text.len != 0) {
        line = trp_resolv_line(&text);
        word = trp_str_word(&line);

        if (trp_str_equal(word, trp_resolv_nameserver)) {
            trp_resolv_server(resolv, trp_str_word(&line));

        } else if (trp_str_equal(word, trp_resolv_domains[0])
                   || trp_str_equal(word, trp_resolv_domains[1]))
        {
            trp_resolv_search(resolv, line);

        } else if (trp_str_equal(word, trp_resolv_option)) {
            trp_resolv_options(resolv, line);
        }
    }

    if (resolv->nservers == 0) {
        resolv->servers[0].family = 4;
        resolv->servers[0].bytes[0] = 127;
        resolv->servers[0].bytes[3] = 1;
        resolv->nservers = 1;
    }
}


static void
trp_resolv_server(trp_resolv_t *resolv, trp_str_t word)
{
    trp_addr_t  addr;

    if (resolv->nservers < TRP_RESOLV_SERVERS
        && trp_addr_parse(&addr, word) == TRP_OK)
    {
        resolv->servers[resolv->nservers++] = addr;
    }
}


/* the last such line wins */

static void
trp_resolv_search(trp_resolv_t *resolv, trp_str_t line)
{
    trp_str_t  word;

    resolv->nsearch = 0;

    while (resolv->nsearch < TRP_RESOLV_SEARCH) {
        word = trp_str_word(&line);

        if (word.len == 0) {
            return;
        }

        if (word.data[word.len - 1] == '.') {
            word.len--;
        }

        if (trp_name_valid(word)) {
            resolv->search[resolv->nsearch++] = word;
        }
    }
}


static void
trp_resolv_options(trp_resolv_t *resolv, trp_str_t line)
{
    size_t     i;
    unsigned   n;
    trp_str_t  word;

    for ( ;; ) {
        word = trp_str_word(&line);

        if (word.len == 0) {
            return;
        }

        if (!trp_str_starts(word, trp_resolv_ndots)) {
            continue;
        }

        n = 0;

        for (i = trp_resolv_ndots.len; i < word.len; i++) {
            if (word.data[i] < '0' || word.data[i] > '9'
                || n > TRP_RESOLV_NDOTS_MAX)
            {
                break;
            }

            n = n * 10 + (word.data[i] - '0');
        }

        resolv->ndots = (n < TRP_RESOLV_NDOTS_MAX) ? n : TRP_RESOLV_NDOTS_MAX;
    }
}


int
trp_resolv_domain(const trp_resolv_t *resolv, trp_str_t name, unsigned n,
    trp_str_t *domain)
{
    size_t    i;
    unsigned  dots, first;

    domain->len = 0;
    domain->data = name.data;

    if (name.len != 0 && name.data[name.len - 1] == '.') {
        return (n == 0) ? TRP_OK : TRP_ERROR;
    }

    dots = 0;

    for (i = 0; i < name.len; i++) {
        dots += (name.data[i] == '.');
    }

    first = (dots >= resolv->ndots);

    if (n == (first ? 0 : resolv->nsearch)) {
        return TRP_OK;
    }

    n -= first;

    if (n >= resolv->nsearch) {
        return TRP_ERROR;
    }

    *domain = resolv->search[n];

    return TRP_OK;
}


int
trp_hosts_next(trp_str_t *text, trp_str_t name, trp_addr_t *addr)
{
    trp_str_t  line, word, first;

    while (text->len != 0) {
        line = trp_resolv_line(text);
        first = trp_str_word(&line);

        for ( ;; ) {
            word = trp_str_word(&line);

            if (word.len == 0) {
                break;
            }

            if (trp_name_equal(word, name)
                && trp_addr_parse(addr, first) == TRP_OK)
            {
                return TRP_OK;
            }
        }
    }

    return TRP_ERROR;
}


/* the first line, without its comment; advances the text past it */

static trp_str_t
trp_resolv_line(trp_str_t *text)
{
    size_t          i;
    trp_str_t       line;
    const uint8_t  *p;

    p = memchr(text->data, '\n', text->len);

    line.data = text->data;
    line.len = (p != NULL) ? (size_t) (p - text->data) : text->len;

    text->len -= line.len + (p != NULL);
    text->data += line.len + (p != NULL);

    for (i = 0; i < line.len; i++) {
        if (line.data[i] == '#' || line.data[i] == ';') {
            line.len = i;
        }
    }

    trp_str_skip_blanks(&line);

    return line;
}
