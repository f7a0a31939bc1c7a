
/*
 * Copyright (C) the trp authors
 */


/*
 * Responses are read byte by byte, so that nothing behind them is taken, and
 * line by line.  A request without credentials comes first, as only the answer
 * says which ones the proxy wants; attempts after it begin with these.
 */


#include <string.h>

#include "base/trp_bytes.h"
#include "base/trp_str.h"
#include "proxy/trp_proxy.h"
#include "socks5/trp_socks5.h"


#define TRP_PROXY_SOCKS_VERSION   5
#define TRP_PROXY_SOCKS_PASSWORDS 1        /* version of RFC 1929 */

#define TRP_PROXY_START           8        /* "HTTP/1.1" */


static int trp_proxy_error(trp_proxy_t *proxy, trp_proxy_error_e error);
static void trp_proxy_text(trp_proxy_t *proxy, trp_str_t text);

static int trp_proxy_request(trp_proxy_t *proxy);
static void trp_proxy_made(trp_proxy_t *proxy, const uint8_t *end);
static size_t trp_proxy_authority(trp_proxy_t *proxy, uint8_t *p);
static uint8_t *trp_proxy_put(uint8_t *p, const char *text);
static uint8_t *trp_proxy_put_str(uint8_t *p, trp_str_t text);

static int trp_proxy_line(trp_proxy_t *proxy, uint8_t c);
static int trp_proxy_started(trp_proxy_t *proxy);
static int trp_proxy_status(trp_proxy_t *proxy, trp_str_t line);
static int trp_proxy_field(trp_proxy_t *proxy, trp_str_t line);
static int trp_proxy_length(trp_proxy_t *proxy, trp_str_t value);
static void trp_proxy_connection(trp_proxy_t *proxy, trp_str_t value);
static void trp_proxy_detail(trp_proxy_t *proxy, trp_str_t name,
    trp_str_t value);
static int trp_proxy_response(trp_proxy_t *proxy);
static int trp_proxy_unauthorized(trp_proxy_t *proxy);
static int trp_proxy_body(trp_proxy_t *proxy, uint8_t c);
static int trp_proxy_next(trp_proxy_t *proxy);

static void trp_proxy_greeting(trp_proxy_t *proxy);
static int trp_proxy_method(trp_proxy_t *proxy, uint8_t c);
static int trp_proxy_password(trp_proxy_t *proxy, uint8_t c);
static void trp_proxy_socks_request(trp_proxy_t *proxy);
static int trp_proxy_socks_reply(trp_proxy_t *proxy, uint8_t c);
static int trp_proxy_gather(trp_proxy_t *proxy, uint8_t c, size_t n);


void
trp_proxy_init(trp_proxy_t *proxy, const trp_proxy_conf_t *conf,
    const trp_challenge_t *known)
{
    memset(proxy, 0, offsetof(trp_proxy_t, out));

    proxy->conf = *conf;
    proxy->conf.host = trp_name_relative(conf->host);

    if (known && known->scheme != TRP_CHALLENGE_NONE && conf->user.len) {
        proxy->challenge = *known;
        proxy->known = 1;
    }
}


int
trp_proxy_connected(trp_proxy_t *proxy)
{
    proxy->again = 0;

    if (proxy->conf.kind == TRP_PROXY_HTTP) {
        return trp_proxy_request(proxy);
    }

    proxy->answered = 0;
    proxy->line_len = 0;

    trp_proxy_greeting(proxy);

    return TRP_AGAIN;
}


trp_str_t
trp_proxy_output(const trp_proxy_t *proxy)
{
    return (trp_str_t) { proxy->out_len - proxy->out_pos,
                         proxy->out + proxy->out_pos };
}


void
trp_proxy_sent(trp_proxy_t *proxy, size_t n)
{
    trp_assert(n <= proxy->out_len - proxy->out_pos);

    proxy->out_pos += n;
}


int
trp_proxy_input(trp_proxy_t *proxy, trp_str_t data, size_t *used)
{
    int     rc;
    size_t  i;

    rc = TRP_AGAIN;
    proxy->made = 0;

    /* what comes before a request is sent is not the answer to it */

    for (i = 0; rc == TRP_AGAIN && !proxy->made && i < data.len; i++) {
        proxy->answered = 1;
        rc = proxy->state(proxy, data.data[i]);
    }

    *used = i;

    return rc;
}


int
trp_proxy_closed(trp_proxy_t *proxy)
{
    /*
     * It may close a connection that it has said it would keep; and what it
     * wants is known before all of the body is there
     */

    if ((proxy->again && !proxy->answered) || proxy->state == trp_proxy_body) {
        return TRP_DECLINED;
    }

    return trp_proxy_error(proxy, TRP_PROXY_CLOSED);
}


static int
trp_proxy_error(trp_proxy_t *proxy, trp_proxy_error_e error)
{
    proxy->error = error;

    return TRP_ERROR;
}


static void
trp_proxy_text(trp_proxy_t *proxy, trp_str_t text)
{
    proxy->text_len = trp_str_printable(proxy->text, sizeof(proxy->text),
                                        text);
}


static int
trp_proxy_request(trp_proxy_t *proxy)
{
    static const uint8_t  hex[] = "0123456789abcdef";

    size_t     i, n;
    uint8_t   *p, authority[TRP_NAME_MAX_LEN + TRP_ADDR_TEXT_LEN];
    uint8_t    cnonce[2 * TRP_PROXY_RANDOM];
    trp_str_t  uri;

    static const trp_str_t  method = trp_string("CONNECT");

    proxy->tries++;

    proxy->answered = 0;
    proxy->close = 0;
    proxy->has_length = 0;
    proxy->header = 0;
    proxy->length = 0;
    proxy->line_len = 0;
    proxy->status = 0;
    proxy->state = trp_proxy_line;

    memset(&proxy->asked, 0, sizeof(trp_challenge_t));

    uri.data = authority;
    uri.len = trp_proxy_authority(proxy, authority);

    p = proxy->out;

    p = trp_proxy_put(p, "CONNECT ");
    p = trp_proxy_put_str(p, uri);
    p = trp_proxy_put(p, " HTTP/1.1\r\nHost: ");
    p = trp_proxy_put_str(p, uri);
    p = trp_proxy_put(p, "\r\n");

    if (proxy->challenge.scheme != TRP_CHALLENGE_NONE) {

        for (i = 0; i < TRP_PROXY_RANDOM; i++) {
            cnonce[2 * i] = hex[proxy->conf.random[i] >> 4];
            cnonce[2 * i + 1] = hex[proxy->conf.random[i] & 15];
        }

        p = trp_proxy_put(p, "Proxy-Authorization: ");

        n = trp_challenge_answer(&proxy->challenge, p, proxy->conf.user,
                                 proxy->conf.password, method, uri,
                                 (trp_str_t) { sizeof(cnonce), cnonce });
        if (n == 0) {
            return trp_proxy_error(proxy, TRP_PROXY_NO_MD5);
        }

        p = trp_proxy_put(p + n, "\r\n");
    }

    p = trp_proxy_put(p, "\r\n");

    trp_proxy_made(proxy, p);

    return TRP_AGAIN;
}


static void
trp_proxy_made(trp_proxy_t *proxy, const uint8_t *end)
{
    proxy->made = 1;
    proxy->out_pos = 0;
    proxy->out_len = (size_t) (end - proxy->out);

    trp_assert(proxy->out_len <= TRP_PROXY_OUT);
}


/* HOST:PORT, an IPv6 address in brackets */

static size_t
trp_proxy_authority(trp_proxy_t *proxy, uint8_t *p)
{
    int         i, n;
    uint8_t    *start, digits[5];
    uint16_t    port;
    trp_addr_t  addr;

    trp_assert(proxy->conf.host.len <= TRP_NAME_MAX_LEN);

    start = p;

    if (trp_addr_parse(&addr, proxy->conf.host) == TRP_OK && addr.family == 6) {
        *p++ = '[';
        p = trp_proxy_put_str(p, proxy->conf.host);
        *p++ = ']';

    } else {
        p = trp_proxy_put_str(p, proxy->conf.host);
    }

    *p++ = ':';

    port = proxy->conf.port;
    n = 0;

    do {
        digits[n++] = (uint8_t) ('0' + port % 10);
        port /= 10;
    } while (port);

    for (i = n - 1; i >= 0; i--) {
        *p++ = digits[i];
    }

    return (size_t) (p - start);
}


static uint8_t *
trp_proxy_put(uint8_t *p, const char *text)
{
    return trp_proxy_put_str(p, (trp_str_t) { strlen(text),
                                              (const uint8_t *) text });
}


static uint8_t *
trp_proxy_put_str(uint8_t *p, trp_str_t text)
{
    if (text.len) {
        memcpy(p, text.data, text.len);
    }

    return p + text.len;
}


static int
trp_proxy_line(trp_proxy_t *proxy, uint8_t c)
{
    trp_str_t  line;

    if (++proxy->header > TRP_PROXY_HEADER
        || proxy->line_len == TRP_PROXY_LINE)
    {
        return trp_proxy_error(proxy, TRP_PROXY_TOO_LONG);
    }

    if (c != '\n') {
        proxy->line[proxy->line_len++] = c;

        return (proxy->status == 0) ? trp_proxy_started(proxy) : TRP_AGAIN;
    }

    line.data = proxy->line;
    line.len = proxy->line_len;

    if (line.len && line.data[line.len - 1] == '\r') {
        line.len--;
    }

    proxy->line_len = 0;

    if (proxy->status == 0) {
        return trp_proxy_status(proxy, line);
    }

    if (line.len) {
        return trp_proxy_field(proxy, line);
    }

    return trp_proxy_response(proxy);
}


/* what is no HTTP at all is not waited for to its end */

static int
trp_proxy_started(trp_proxy_t *proxy)
{
    size_t  n;

    static const uint8_t  http[] = "HTTP/1.";

    n = proxy->line_len;

    if (memcmp(proxy->line, http, (n < sizeof(http) - 1) ? n : sizeof(http) - 1)
        == 0)
    {
        return TRP_AGAIN;
    }

    if (n < TRP_PROXY_START && proxy->line[n - 1] >= 0x20
        && proxy->line[n - 1] < 0x7f)
    {
        /* a bit more, to see what it is */
        return TRP_AGAIN;
    }

    if (n < 3) {
        return TRP_AGAIN;
    }

    trp_proxy_text(proxy, (trp_str_t) { n, proxy->line });

    return trp_proxy_error(proxy, TRP_PROXY_NOT_HTTP);
}


/* HTTP/1.1 200 Connection established */

static int
trp_proxy_status(trp_proxy_t *proxy, trp_str_t line)
{
    size_t     i;
    trp_str_t  word, version;

    static const trp_str_t  http = trp_string("HTTP/1.");
    static const trp_str_t  old = trp_string("HTTP/1.0");

    if (!trp_str_starts(line, http)) {
        trp_proxy_text(proxy, line);
        return trp_proxy_error(proxy, TRP_PROXY_NOT_HTTP);
    }

    version = trp_str_word(&line);
    word = trp_str_word(&line);

    if (word.len != 3) {
        return trp_proxy_error(proxy, TRP_PROXY_MALFORMED);
    }

    for (i = 0; i < 3; i++) {

        if (word.data[i] < '0' || word.data[i] > '9') {
            return trp_proxy_error(proxy, TRP_PROXY_MALFORMED);
        }

        proxy->status = proxy->status * 10 + (word.data[i] - '0');
    }

    if (proxy->status < 100) {
        return trp_proxy_error(proxy, TRP_PROXY_MALFORMED);
    }

    proxy->close = trp_str_equal(version, old);
    proxy->detail = 0;

    trp_str_trim(&line);
    trp_proxy_text(proxy, line);

    return TRP_AGAIN;
}


static int
trp_proxy_field(trp_proxy_t *proxy, trp_str_t line)
{
    trp_str_t       name, value;
    const uint8_t  *p;

    static const trp_str_t  authenticate = trp_string("Proxy-Authenticate");
    static const trp_str_t  connection = trp_string("Connection");
    static const trp_str_t  proxy_connection = trp_string("Proxy-Connection");
    static const trp_str_t  length = trp_string("Content-Length");
    static const trp_str_t  encoding = trp_string("Transfer-Encoding");

    p = memchr(line.data, ':', line.len);

    if (p == NULL || p == line.data || trp_is_blank(line.data[0])) {

        /* a line that goes on, RFC 9112, section 5.2, or rubbish */
        return TRP_AGAIN;
    }

    name.data = line.data;
    name.len = (size_t) (p - line.data);

    value = line;
    trp_str_skip(&value, name.len + 1);
    trp_str_trim(&value);

    if (trp_name_equal(name, authenticate)) {

        if (proxy->status == 407) {
            trp_challenge_parse(&proxy->asked, value);

            if (!proxy->detail) {
                proxy->detail = 1;
                trp_proxy_text(proxy, value);
            }
        }

    } else if (trp_name_equal(name, connection)
               || trp_name_equal(name, proxy_connection))
    {
        trp_proxy_connection(proxy, value);

    } else if (trp_name_equal(name, length)) {
        return trp_proxy_length(proxy, value);

    } else if (trp_name_equal(name, encoding)) {

        /* a body in pieces is not worth reading */
        proxy->close = 1;

    } else {
        trp_proxy_detail(proxy, name, value);
    }

    return TRP_AGAIN;
}


static int
trp_proxy_length(trp_proxy_t *proxy, trp_str_t value)
{
    size_t    i;
    uint64_t  n;

    if (proxy->status >= 200 && proxy->status < 300) {

        /* RFC 9110, section 9.3.6: must be ignored */
        return TRP_AGAIN;
    }

    n = 0;

    for (i = 0; i < value.len; i++) {

        if (value.data[i] < '0' || value.data[i] > '9' || n > UINT32_MAX) {
            n = UINT64_MAX;
            break;
        }

        n = n * 10 + (value.data[i] - '0');
    }

    if (value.len == 0 || n > TRP_PROXY_BODY
        || (proxy->has_length && proxy->length != n))
    {
        proxy->close = 1;
    }

    proxy->has_length = 1;
    proxy->length = n;

    return TRP_AGAIN;
}


static void
trp_proxy_connection(trp_proxy_t *proxy, trp_str_t value)
{
    size_t          len;
    trp_str_t       item;
    const uint8_t  *p;

    static const trp_str_t  close = trp_string("close");

    while (value.len) {
        p = memchr(value.data, ',', value.len);
        len = p ? (size_t) (p - value.data) : value.len;

        item.data = value.data;
        item.len = len;
        trp_str_trim(&item);

        if (trp_name_equal(item, close)) {
            proxy->close = 1;
        }

        trp_str_skip(&value, p ? len + 1 : len);
    }
}


/* what says more than the status: RFC 9209, and a header of squid's */

static void
trp_proxy_detail(trp_proxy_t *proxy, trp_str_t name, trp_str_t value)
{
    size_t   n, len;
    uint8_t  buf[TRP_PROXY_TEXT];

    static const trp_str_t  squid = trp_string("X-Squid-Error");
    static const trp_str_t  status = trp_string("Proxy-Status");

    n = proxy->text_len;

    if (proxy->detail || proxy->status == 407 || n + 16 > TRP_PROXY_TEXT
        || (!trp_name_equal(name, squid) && !trp_name_equal(name, status)))
    {
        return;
    }

    proxy->detail = 1;

    len = trp_str_printable(buf, TRP_PROXY_TEXT - n - 2, value);

    memcpy(proxy->text + n, ", ", 2);
    memcpy(proxy->text + n + 2, buf, len);

    proxy->text_len = n + 2 + len;
}


/* the header is complete */

static int
trp_proxy_response(trp_proxy_t *proxy)
{
    if (proxy->status < 200 && proxy->status != 101) {

        /* RFC 9110, section 15.2: there will be another one */

        proxy->status = 0;
        proxy->has_length = 0;
        proxy->length = 0;

        return TRP_AGAIN;
    }

    if (proxy->status >= 200 && proxy->status < 300) {
        return TRP_OK;
    }

    if (proxy->status == 407) {
        return trp_proxy_unauthorized(proxy);
    }

    return trp_proxy_error(proxy, TRP_PROXY_STATUS);
}


static int
trp_proxy_unauthorized(trp_proxy_t *proxy)
{
    if (proxy->conf.user.len == 0) {
        return trp_proxy_error(proxy, TRP_PROXY_NO_USER);
    }

    if (proxy->asked.scheme == TRP_CHALLENGE_NONE) {
        return trp_proxy_error(proxy, TRP_PROXY_NO_SCHEME);
    }

    /* what another attempt has learned may be out of date */

    if (proxy->challenge.scheme != TRP_CHALLENGE_NONE && !proxy->known
        && !proxy->asked.stale)
    {
        return trp_proxy_error(proxy, TRP_PROXY_WRONG_USER);
    }

    if (proxy->tries >= TRP_PROXY_TRIES) {
        return trp_proxy_error(proxy, TRP_PROXY_WRONG_USER);
    }

    proxy->challenge = proxy->asked;
    proxy->known = 0;

    if (proxy->close || !proxy->has_length) {
        return TRP_DECLINED;
    }

    if (proxy->length) {
        proxy->state = trp_proxy_body;
        return TRP_AGAIN;
    }

    return trp_proxy_next(proxy);
}


static int
trp_proxy_body(trp_proxy_t *proxy, uint8_t c)
{
    (void) c;

    if (--proxy->length) {
        return TRP_AGAIN;
    }

    return trp_proxy_next(proxy);
}


/* another request on the same connection */

static int
trp_proxy_next(trp_proxy_t *proxy)
{
    proxy->again = 1;

    return trp_proxy_request(proxy);
}


static void
trp_proxy_greeting(trp_proxy_t *proxy)
{
    uint8_t  *p;

    proxy->tries++;

    p = proxy->out;

    *p++ = TRP_PROXY_SOCKS_VERSION;

    if (proxy->conf.user.len) {
        *p++ = 2;
        *p++ = TRP_SOCKS5_NO_AUTHENTICATION;
        *p++ = TRP_SOCKS5_PASSWORD;

    } else {
        *p++ = 1;
        *p++ = TRP_SOCKS5_NO_AUTHENTICATION;
    }

    trp_proxy_made(proxy, p);
    proxy->state = trp_proxy_method;
}


static int
trp_proxy_method(trp_proxy_t *proxy, uint8_t c)
{
    uint8_t  *p;

    static const trp_str_t  any = trp_string("another method");

    if (proxy->line_len == 0 && c != TRP_PROXY_SOCKS_VERSION) {
        trp_proxy_text(proxy, (trp_str_t) { 1, &c });
        return trp_proxy_error(proxy, TRP_PROXY_NOT_SOCKS5);
    }

    if (trp_proxy_gather(proxy, c, 2) != TRP_OK) {
        return TRP_AGAIN;
    }

    if (c == TRP_SOCKS5_NO_AUTHENTICATION) {
        trp_proxy_socks_request(proxy);
        return TRP_AGAIN;
    }

    if (c != TRP_SOCKS5_PASSWORD || proxy->conf.user.len == 0) {
        trp_proxy_text(proxy, any);

        return trp_proxy_error(proxy, proxy->conf.user.len
                                      ? TRP_PROXY_NO_SCHEME
                                      : TRP_PROXY_NO_USER);
    }

    p = proxy->out;

    *p++ = TRP_PROXY_SOCKS_PASSWORDS;
    *p++ = (uint8_t) proxy->conf.user.len;
    p = trp_proxy_put_str(p, proxy->conf.user);
    *p++ = (uint8_t) proxy->conf.password.len;
    p = trp_proxy_put_str(p, proxy->conf.password);

    trp_proxy_made(proxy, p);
    proxy->state = trp_proxy_password;

    return TRP_AGAIN;
}


static int
trp_proxy_password(trp_proxy_t *proxy, uint8_t c)
{
    /* some servers answer with version 5 */

    if (trp_proxy_gather(proxy, c, 2) != TRP_OK) {
        return TRP_AGAIN;
    }

    if (c != 0) {
        return trp_proxy_error(proxy, TRP_PROXY_WRONG_USER);
    }

    trp_proxy_socks_request(proxy);

    return TRP_AGAIN;
}


static void
trp_proxy_socks_request(trp_proxy_t *proxy)
{
    uint8_t     *p;
    trp_str_t    host;
    trp_addr_t   addr;

    host = proxy->conf.host;
    p = proxy->out;

    *p++ = TRP_PROXY_SOCKS_VERSION;
    *p++ = TRP_SOCKS5_CONNECT;
    *p++ = 0;

    if (trp_addr_parse(&addr, host) == TRP_OK) {
        *p++ = (addr.family == 4) ? 1 : 4;
        memcpy(p, addr.bytes, trp_addr_len(&addr));
        p += trp_addr_len(&addr);

    } else {
        *p++ = 3;
        *p++ = (uint8_t) host.len;
        p = trp_proxy_put_str(p, host);
    }

    trp_write16(p, proxy->conf.port);

    trp_proxy_made(proxy, p + 2);
    proxy->state = trp_proxy_socks_reply;
}


/* VER REP RSV ATYP, an address that is of no use, a port */

static int
trp_proxy_socks_reply(trp_proxy_t *proxy, uint8_t c)
{
    size_t  n;

    if (proxy->line_len == 0 && c != TRP_PROXY_SOCKS_VERSION) {
        return trp_proxy_error(proxy, TRP_PROXY_MALFORMED);
    }

    if (proxy->line_len == 1 && c != TRP_SOCKS5_SUCCEEDED) {
        proxy->status = c;
        return trp_proxy_error(proxy, TRP_PROXY_REPLY);
    }

    n = 5;

    if (proxy->line_len >= 4) {

        switch (proxy->line[3]) {

        case 1:
            n = 4 + 4 + 2;
            break;

        case 4:
            n = 4 + 16 + 2;
            break;

        default: /* 3 */
            n = 4 + 1 + (size_t) ((proxy->line_len == 4) ? c : proxy->line[4])
                + 2;
        }

    } else if (proxy->line_len == 3 && c != 1 && c != 3 && c != 4) {
        return trp_proxy_error(proxy, TRP_PROXY_MALFORMED);
    }

    return (trp_proxy_gather(proxy, c, n) == TRP_OK) ? TRP_OK : TRP_AGAIN;
}


/* TRP_OK if a message of "n" bytes is complete */

static int
trp_proxy_gather(trp_proxy_t *proxy, uint8_t c, size_t n)
{
    trp_assert(proxy->line_len < TRP_PROXY_LINE);

    proxy->line[proxy->line_len++] = c;

    if (proxy->line_len < n) {
        return TRP_AGAIN;
    }

    proxy->line_len = 0;

    return TRP_OK;
}


const char *
trp_proxy_reply(unsigned reply)
{
    switch (reply) {

    case TRP_SOCKS5_FAILURE:
        return "general failure";

    case TRP_SOCKS5_NOT_ALLOWED:
        return "not allowed";

    case TRP_SOCKS5_NET_UNREACHABLE:
        return "network unreachable";

    case TRP_SOCKS5_HOST_UNREACHABLE:
        return "host unreachable";

    case TRP_SOCKS5_REFUSED:
        return "connection refused";

    case TRP_SOCKS5_TTL_EXPIRED:
        return "TTL expired";

    case TRP_SOCKS5_COMMAND_NOT_SUPPORTED:
        return "command not supported";

    case TRP_SOCKS5_ADDRESS_NOT_SUPPORTED:
        return "address type not supported";
    }

    return "unknown reply";
}
