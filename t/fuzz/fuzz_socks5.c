
/*
 * Copyright (C) the trp authors
 */


/*
 * The messages of SOCKS5: none is longer than what has come, and without its
 * last byte it is not complete.
 */


#include <stdlib.h>
#include <string.h>

#include "base/trp_addr.h"
#include "socks5/trp_socks5.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void greeting(trp_str_t in);
static void password(trp_str_t in);
static void request(trp_str_t in);
static void header(trp_str_t in);
static void check_used(trp_str_t in, size_t used);
static void check_addr(trp_str_t in, const trp_socks5_addr_t *addr);


/* the input: the kind of message, and after it the message */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trp_str_t  in;

    static void  (*const  check[])(trp_str_t in) = {
        greeting, password, request, header
    };

    if (size == 0) {
        return 0;
    }

    in.data = data + 1;
    in.len = size - 1;

    check[data[0] % 4](in);

    return 0;
}


static void
greeting(trp_str_t in)
{
    int     rc, again;
    size_t  used, same;

    rc = trp_socks5_greeting(in, &used, TRP_SOCKS5_NO_AUTHENTICATION);
    again = trp_socks5_greeting(in, &same, TRP_SOCKS5_PASSWORD);

    if (rc == TRP_ERROR || rc == TRP_AGAIN) {
        if (rc != again) {
            abort();
        }

        return;
    }

    check_used(in, used);

    if (used != same || used != 2 + (size_t) in.data[1]) {
        abort();
    }

    /* a byte less is not enough */

    in.len = used - 1;

    if (trp_socks5_greeting(in, &used, TRP_SOCKS5_PASSWORD) != TRP_AGAIN) {
        abort();
    }
}


static void
password(trp_str_t in)
{
    size_t     used;
    trp_str_t  name, secret;

    if (trp_socks5_password(in, &used, &name, &secret) != TRP_OK) {
        return;
    }

    check_used(in, used);

    if (used != 3 + name.len + secret.len || name.data != in.data + 2
        || secret.data + secret.len != in.data + used)
    {
        abort();
    }

    in.len = used - 1;

    if (trp_socks5_password(in, &used, &name, &secret) != TRP_AGAIN) {
        abort();
    }
}


static void
request(trp_str_t in)
{
    size_t             used;
    unsigned           command;
    trp_socks5_addr_t  addr;

    if (trp_socks5_request(in, &used, &command, &addr) != TRP_OK) {
        return;
    }

    check_used(in, used);
    check_addr(in, &addr);

    if (command != in.data[1]) {
        abort();
    }

    in.len = used - 1;

    if (trp_socks5_request(in, &used, &command, &addr) != TRP_AGAIN) {
        abort();
    }
}


/* what was read is written, and is the same when it is read again */

static void
header(trp_str_t in)
{
    size_t             used, len;
    uint8_t            buf[TRP_SOCKS5_HEADER_MAX];
    trp_str_t          out;
    trp_socks5_addr_t  addr, same;

    if (trp_socks5_header(in, &used, &addr) != TRP_OK) {
        return;
    }

    check_used(in, used);
    check_addr(in, &addr);

    len = trp_socks5_header_put(buf, &addr);

    out.data = buf;
    out.len = len;

    if (len > sizeof(buf)
        || trp_socks5_header(out, &used, &same) != TRP_OK
        || used != len
        || same.port != addr.port
        || same.host.len != addr.host.len
        || memcmp(&same.addr, &addr.addr, sizeof(trp_addr_t)) != 0)
    {
        abort();
    }

    if (addr.host.len
        && memcmp(same.host.data, addr.host.data, addr.host.len) != 0)
    {
        abort();
    }

    if (trp_socks5_reply_put(buf, TRP_SOCKS5_SUCCEEDED, &addr.addr, addr.port)
        > TRP_SOCKS5_REPLY_MAX)
    {
        abort();
    }
}


static void
check_used(trp_str_t in, size_t used)
{
    if (used == 0 || used > in.len) {
        abort();
    }
}


/* an address, or a valid name inside the message */

static void
check_addr(trp_str_t in, const trp_socks5_addr_t *addr)
{
    trp_addr_t  other;

    if (addr->addr.family) {
        if ((addr->addr.family != 4 && addr->addr.family != 6)
            || addr->host.len)
        {
            abort();
        }

        return;
    }

    if (addr->host.data < in.data
        || addr->host.data + addr->host.len > in.data + in.len
        || !trp_name_valid(addr->host)
        || trp_addr_parse(&other, addr->host) == TRP_OK)
    {
        abort();
    }
}
