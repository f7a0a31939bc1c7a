
/*
 * Copyright (C) the trp authors
 */


/*
 * Protocols of text are found by their first word, or by as much of it as has
 * arrived, the others by what is constant in their first bytes.
 */


#include <string.h>

#include "base/trp_looks.h"


/* less of a word could be anything */

#define TRP_LOOKS_MIN  3


typedef struct {
    trp_str_t     start;
    const char   *name;
} trp_looks_t;


static const char  trp_looks_http[] = "HTTP";
static const char  trp_looks_ssh[] = "SSH";
static const char  trp_looks_proxy[] = "the PROXY protocol";


static const trp_looks_t  trp_looks_words[] = {
    { trp_string("GET "), trp_looks_http },
    { trp_string("HEAD "), trp_looks_http },
    { trp_string("POST "), trp_looks_http },
    { trp_string("PUT "), trp_looks_http },
    { trp_string("DELETE "), trp_looks_http },
    { trp_string("CONNECT "), trp_looks_http },
    { trp_string("OPTIONS "), trp_looks_http },
    { trp_string("PATCH "), trp_looks_http },
    { trp_string("TRACE "), trp_looks_http },
    { trp_string("PRI * HTTP/2"), trp_looks_http },
    { trp_string("HTTP/"), trp_looks_http },         /* a server */
    { trp_string("SSH-"), trp_looks_ssh },
    { trp_string("PROXY "), trp_looks_proxy },
    { trp_string("\r\n\r\n\0\r\nQUIT\n"), trp_looks_proxy }
};


#define TRP_LOOKS_WORDS  (sizeof(trp_looks_words) / sizeof(trp_looks_words[0]))


const char *
trp_looks_like(trp_str_t data)
{
    size_t            i, n;
    const uint8_t    *p;
    const trp_str_t  *start;

    p = data.data;

    for (i = 0; i < TRP_LOOKS_WORDS; i++) {
        start = &trp_looks_words[i].start;
        n = (data.len < start->len) ? data.len : start->len;

        if (n >= TRP_LOOKS_MIN && memcmp(p, start->data, n) == 0) {
            return trp_looks_words[i].name;
        }
    }

    if (data.len < 2) {
        return NULL;
    }

    /* a handshake or an alert of any version */

    if ((p[0] == 22 || p[0] == 21) && p[1] == 3) {
        return "TLS";
    }

    /* CONNECT or BIND */

    if (p[0] == 4 && (p[1] == 1 || p[1] == 2)) {
        return "SOCKS4";
    }

    /* a few methods, that without authentication first */

    if (p[0] == 5 && p[1] > 0 && p[1] < 8 && data.len > 2
        && (p[2] == 0 || p[2] == 2))
    {
        return "SOCKS5";
    }

    return NULL;
}
