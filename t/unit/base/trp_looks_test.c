
/*
 * Copyright (C) the trp authors
 */


/* what the first bytes of a peer look like */


#include <string.h>

#include "tap.h"

#include "base/trp_looks.h"


static const struct {
    trp_str_t    data;
    const char  *name;
} looks[] = {
    { trp_string("GET / HTTP/1.1\r\n"), "HTTP" },
    { trp_string("GET"), "HTTP" },
    { trp_string("GETS"), NULL },
    { trp_string("GE"), NULL },
    { trp_string("CONNECT a.example:443 HTTP/1.1\r\n"), "HTTP" },
    { trp_string("CONNE"), "HTTP" },
    { trp_string("CONNECTED"), NULL },
    { trp_string("POST /"), "HTTP" },
    { trp_string("PUT /"), "HTTP" },
    { trp_string("HTTP/"), "HTTP" },
    { trp_string("HTTP/1.1 400 Bad Request\r\n"), "HTTP" },
    { trp_string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP" },
    { trp_string("get / "), NULL },

    { trp_string("SSH-2.0-OpenSSH_9.2p1\r\n"), "SSH" },
    { trp_string("SSH-2"), "SSH" },
    { trp_string("SSH"), "SSH" },
    { trp_string("SS"), NULL },

    { trp_string("PROXY TCP4 1.2.3.4"), "the PROXY protocol" },
    { trp_string("PROXY"), "the PROXY protocol" },
    { trp_string("\r\n\r\n\0\r\nQUIT\n"), "the PROXY protocol" },
    { trp_string("\r\n\r\n"), "the PROXY protocol" },
    { trp_string("\r\n\r\nx"), NULL },

    { trp_string("\x16\x03\x01\x02\x00\x01"), "TLS" },
    { trp_string("\x16\x03"), "TLS" },
    { trp_string("\x15\x03\x03\x00\x02"), "TLS" },
    { trp_string("\x16\x02"), NULL },
    { trp_string("\x16"), NULL },

    { trp_string("\x04\x01\x00\x50\x0a\x00\x00\x01"), "SOCKS4" },
    { trp_string("\x04\x02"), "SOCKS4" },
    { trp_string("\x04\x03"), NULL },

    { trp_string("\x05\x01\x00"), "SOCKS5" },
    { trp_string("\x05\x02\x00\x02"), "SOCKS5" },
    { trp_string("\x05\x01\x02"), "SOCKS5" },
    { trp_string("\x05\x01"), NULL },
    { trp_string("\x05\x00\x00"), NULL },
    { trp_string("\x05\x09\x00"), NULL },

    { trp_string("hello, world"), NULL },
    { trp_string("\0\0\0\0\0"), NULL }
};


static const char *
name_of(const char *name)
{
    return name ? name : "nothing";
}


int
main(void)
{
    size_t       i;
    trp_str_t    none;
    const char  *name;

    for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        name = trp_looks_like(looks[i].data);

        is_str(name_of(name), name_of(looks[i].name), "%.*s",
               (int) (looks[i].data.data[0] < ' ' ? 0 : looks[i].data.len),
               (const char *) looks[i].data.data);
    }

    none.data = NULL;
    none.len = 0;

    ok(trp_looks_like(none) == NULL, "no bytes");

    return done_testing();
}
