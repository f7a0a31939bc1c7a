
/*
 * Copyright (C) the trp authors
 */


/*
 * A proxy that may say anything: the number of requests and connections is
 * bounded, it makes no difference how the bytes arrive, and what is sent is
 * well formed.
 */


#include <stdlib.h>
#include <string.h>

#include "proxy/trp_proxy.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* how an attempt has ended */

typedef struct {
    int       rc;
    unsigned  error;
    unsigned  status;
    size_t    used;
    size_t    sent;
    unsigned  requests;
} result_t;


static result_t run(const uint8_t *data, size_t size, unsigned kind,
    size_t piece);
static size_t take(trp_proxy_t *proxy);
static unsigned ends(trp_str_t text);


/* the input: the kind of proxy and if there is a user; then all its answers */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    result_t  one, two;

    if (size == 0) {
        return 0;
    }

    one = run(data + 1, size - 1, data[0], size);
    two = run(data + 1, size - 1, data[0], 1);

    if (one.rc != two.rc || one.error != two.error || one.status != two.status
        || one.used != two.used || one.sent != two.sent
        || one.requests != two.requests)
    {
        abort();
    }

    return 0;
}


static result_t
run(const uint8_t *data, size_t size, unsigned kind, size_t piece)
{
    size_t            used;
    result_t          result;
    trp_str_t         in;
    trp_proxy_t      *proxy;
    trp_proxy_conf_t  conf;

    static const uint8_t  user[] = "al\"ice", password[] = "secret";
    static const uint8_t  host[] = "relay.example", addr[] = "2001:db8::1";

    memset(&result, 0, sizeof(result));
    memset(&conf, 0, sizeof(conf));

    conf.kind = (kind & 1) ? TRP_PROXY_SOCKS5 : TRP_PROXY_HTTP;
    conf.port = 443;
    conf.host.data = (kind & 4) ? addr : host;
    conf.host.len = strlen((const char *) conf.host.data);

    if (kind & 2) {
        conf.user.data = user;
        conf.user.len = sizeof(user) - 1;
        conf.password.data = password;
        conf.password.len = sizeof(password) - 1;
    }

    proxy = malloc(sizeof(trp_proxy_t));
    if (proxy == NULL) {
        return result;
    }

    trp_proxy_init(proxy, &conf, NULL);

    result.rc = trp_proxy_connected(proxy);

    while (result.rc == TRP_AGAIN || result.rc == TRP_DECLINED) {

        if (result.rc == TRP_DECLINED) {
            result.rc = trp_proxy_connected(proxy);
            continue;
        }

        used = take(proxy);
        result.sent += used;
        result.requests += (used != 0);

        if (result.requests > 2 * TRP_PROXY_TRIES + 1) {
            abort();
        }

        if (result.used == size) {
            result.rc = trp_proxy_closed(proxy);
            continue;
        }

        in.data = data + result.used;
        in.len = (size - result.used < piece) ? size - result.used : piece;

        result.rc = trp_proxy_input(proxy, in, &used);

        if (used == 0 || used > in.len) {
            abort();
        }

        result.used += used;
    }

    if ((result.rc == TRP_ERROR) != (proxy->error != TRP_PROXY_NO_ERROR)
        || proxy->text_len > TRP_PROXY_TEXT
        || (result.rc == TRP_OK && trp_proxy_output(proxy).len))
    {
        abort();
    }

    result.error = proxy->error;
    result.status = proxy->status;

    free(proxy);

    return result;
}


/* a request is one, to its end */

static size_t
take(trp_proxy_t *proxy)
{
    trp_str_t  out;

    out = trp_proxy_output(proxy);

    if (out.len == 0) {
        return 0;
    }

    if (proxy->conf.kind == TRP_PROXY_HTTP
        && (ends(out) != 1 || out.len < 4
            || memcmp(out.data + out.len - 4, "\r\n\r\n", 4) != 0
            || memchr(out.data, '\0', out.len) != NULL))
    {
        abort();
    }

    trp_proxy_sent(proxy, out.len);

    return out.len;
}


static unsigned
ends(trp_str_t text)
{
    size_t    i;
    unsigned  n;

    n = 0;

    for (i = 3; i < text.len; i++) {
        n += (memcmp(text.data + i - 3, "\r\n\r\n", 4) == 0);
    }

    return n;
}
