
/*
 * Copyright (C) the trp authors
 */


/* asking a proxy for a connection: what is sent for what comes */


#include "tap.h"

#include "base/trp_str.h"
#include "proxy/trp_proxy.h"


#define BASIC   "Proxy-Authenticate: Basic realm=\"r\"\r\n"
#define DIGEST  "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", "       \
                "qop=\"auth\"\r\n"
#define STALE   "Proxy-Authenticate: Digest realm=\"r\", nonce=\"m\", "       \
                "qop=\"auth\", stale=true\r\n"
#define EMPTY   "Content-Length: 0\r\n\r\n"

#define ASK     "CONNECT relay.example:443 HTTP/1.1\r\n"                      \
                "Host: relay.example:443\r\n"


static trp_proxy_t      proxy;
static trp_challenge_t  known;
static char             sent[TRP_PROXY_OUT + 1];
static size_t           sent_len, used;


static trp_str_t
str(const char *s)
{
    trp_str_t  text;

    text.data = (const uint8_t *) s;
    text.len = strlen(s);

    return text;
}


/* takes what is to be sent */

static const char *
output(void)
{
    trp_str_t  out;

    out = trp_proxy_output(&proxy);

    memcpy(sent, out.data, out.len);
    sent[out.len] = '\0';
    sent_len = out.len;

    trp_proxy_sent(&proxy, out.len);

    return sent;
}


static void
start(trp_proxy_e kind, const char *user, const char *host, uint16_t port)
{
    trp_proxy_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    memset(&proxy, 0xff, sizeof(proxy));

    conf.kind = kind;
    conf.user = str(user);
    conf.password = str(user[0] ? "secret" : "");
    conf.host = str(host);
    conf.port = port;

    trp_proxy_init(&proxy, &conf, &known);

    is_int(trp_proxy_connected(&proxy), TRP_AGAIN, "connected for %s", host);

    output();
}


static int
feed_bytes(const char *s, size_t len)
{
    int        rc;
    size_t     n;
    trp_str_t  in;

    /* an input ends where there is something to be sent */

    n = 0;

    do {
        in.data = (const uint8_t *) s + n;
        in.len = len - n;

        rc = trp_proxy_input(&proxy, in, &used);

        n += used;

    } while (rc == TRP_AGAIN && n < len);

    used = n;

    return rc;
}


static int
feed(const char *s)
{
    return feed_bytes(s, strlen(s));
}


/* a connection of its own for one answer, twice: byte by byte, too */

static int
answer(trp_proxy_e kind, const char *user, const char *s, size_t len)
{
    int     rc, again;
    size_t  i, n;

    start(kind, user, "relay.example", 443);
    rc = feed_bytes(s, len);
    n = used;

    start(kind, user, "relay.example", 443);
    again = TRP_AGAIN;

    for (i = 0; again == TRP_AGAIN && i < len; i++) {
        again = feed_bytes(s + i, 1);
    }

    ok(again == rc && i == n, "the same byte by byte");

    used = n;

    return rc;
}


static int
http(const char *user, const char *s)
{
    return answer(TRP_PROXY_HTTP, user, s, strlen(s));
}


static const char *
text(void)
{
    static char  buf[TRP_PROXY_TEXT + 1];

    memcpy(buf, proxy.text, proxy.text_len);
    buf[proxy.text_len] = '\0';

    return buf;
}


static void
test_request(void)
{
    start(TRP_PROXY_HTTP, "", "relay.example", 443);
    is_str(sent, ASK "\r\n", "a name");

    start(TRP_PROXY_HTTP, "alice", "relay.example.", 443);
    is_str(sent, ASK "\r\n", "the root's dot, no credentials at first");

    start(TRP_PROXY_HTTP, "", "2001:db8::1", 8443);
    is_str(sent, "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\n"
           "Host: [2001:db8::1]:8443\r\n\r\n", "an IPv6 address");

    start(TRP_PROXY_HTTP, "", "192.0.2.1", 1);
    is_str(sent, "CONNECT 192.0.2.1:1 HTTP/1.1\r\nHost: 192.0.2.1:1\r\n\r\n",
           "an IPv4 address");
}


static void
test_success(void)
{
    size_t      i;

    static const char *const  good[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \n\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\nrubbish\r\n: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        "HTTP/1.1 200 OK\r\n\r\n"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_int(http("", good[i]), TRP_OK, "%s", good[i]);
        is_int(used, strlen(good[i]), "all of it");
    }

    /* what follows is the host's */

    is_int(http("", "HTTP/1.1 200 OK\r\n\r\nSSH-2.0"), TRP_OK, "and more");
    is_int(used, 19, "which is left");
}


static void
test_failures(void)
{
    size_t      i;

    static const struct {
        const char  *answer;
        int          error;
        const char  *text;
    } tests[] = {
        { "HTTP/1.1 403 Forbidden\r\n\r\n", TRP_PROXY_STATUS, "Forbidden" },
        { "HTTP/1.1 502 Bad Gateway\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n",
          TRP_PROXY_STATUS, "Bad Gateway, ERR_DNS_FAIL 0" },
        { "HTTP/1.1 502 \x1b[2J\r\nProxy-Status: a; error=dns_error\r\n\r\n",
          TRP_PROXY_STATUS, "\\x1B[2J, a; error=dns_error" },
        { "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", TRP_PROXY_STATUS,
          "Found" },
        { "HTTP/1.1 101 Switching\r\n\r\n", TRP_PROXY_STATUS, "Switching" },
        { "HTTP/1.1 099 Less\r\n\r\n", TRP_PROXY_MALFORMED, NULL },
        { "HTTP/1.1 20 OK\r\n\r\n", TRP_PROXY_MALFORMED, NULL },
        { "HTTP/1.1 2000 OK\r\n\r\n", TRP_PROXY_MALFORMED, NULL },
        { "HTTP/1.1 2x0 OK\r\n\r\n", TRP_PROXY_MALFORMED, NULL },
        { "HTTP/1.1\r\n\r\n", TRP_PROXY_MALFORMED, NULL },
        { "\r\nHTTP/1.1 200 OK\r\n\r\n", TRP_PROXY_NOT_HTTP, NULL },
        { "\n", TRP_PROXY_NOT_HTTP, "" },
        { "SSH-2.0-OpenSSH\r\n", TRP_PROXY_NOT_HTTP, "SSH-2.0-" },
        { "\x15\x03\x03\x00\x02\x02\x46", TRP_PROXY_NOT_HTTP,
          "\\x15\\x03\\x03" },
        { "HTTP/2 200 OK\r\n\r\n", TRP_PROXY_NOT_HTTP, "HTTP/2 2" },
        { "220 mail\r\n", TRP_PROXY_NOT_HTTP, "220 mail" },
        { "hi\r\n", TRP_PROXY_NOT_HTTP, "hi\\x0D" },
        { "HTTP/1.1 407 No\r\n" BASIC "\r\n", TRP_PROXY_NO_USER,
          "Basic realm=\\x22r\\x22" },
        { "HTTP/1.1 407 No\r\n\r\n", TRP_PROXY_NO_USER, "No" }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        is_int(http("", tests[i].answer), TRP_ERROR, "%s", tests[i].answer);
        is_int(proxy.error, tests[i].error, "why");

        if (tests[i].text) {
            is_str(text(), tests[i].text, "what it says");
        }
    }

    is_int(http("alice", "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\n"
                         "Proxy-Authenticate: NTLM\r\n\r\n"),
           TRP_ERROR, "nothing that we know");
    is_int(proxy.error, TRP_PROXY_NO_SCHEME, "why");
    is_str(text(), "Negotiate", "what it says");

    is_int(http("alice", "HTTP/1.1 407 No\r\n" EMPTY), TRP_ERROR, "no field");
    is_int(proxy.error, TRP_PROXY_NO_SCHEME, "why");

    start(TRP_PROXY_HTTP, "", "a", 1);
    is_int(trp_proxy_closed(&proxy), TRP_ERROR, "closed at once");
    is_int(proxy.error, TRP_PROXY_CLOSED, "why");

    start(TRP_PROXY_HTTP, "", "a", 1);
    is_int(feed("HTTP/1.1 200 OK\r\n"), TRP_AGAIN, "half an answer");
    is_int(trp_proxy_closed(&proxy), TRP_ERROR, "closed then");
}


static void
test_limits(void)
{
    int     rc;
    size_t  n;
    char    line[1026];

    start(TRP_PROXY_HTTP, "", "a", 1);

    rc = TRP_AGAIN;

    for (n = 0; rc == TRP_AGAIN && n < 2 * TRP_PROXY_LINE; n++) {
        rc = feed(n < 8 ? "H" : "x");
    }

    is_int(proxy.error, TRP_PROXY_NOT_HTTP, "what is not HTTP ends early");

    start(TRP_PROXY_HTTP, "", "a", 1);
    rc = feed("HTTP/1.1 200 ");

    for (n = 13; rc == TRP_AGAIN && n < 2 * TRP_PROXY_LINE; n++) {
        rc = feed("x");
    }

    is_int(rc, TRP_ERROR, "a line without an end");
    is_int(proxy.error, TRP_PROXY_TOO_LONG, "why");
    is_int(n, TRP_PROXY_LINE + 1, "how long");

    memset(line, 'x', sizeof(line));
    memcpy(line + 1022, "\r\n", 3);
    line[1] = ':';

    start(TRP_PROXY_HTTP, "", "a", 1);
    rc = feed("HTTP/1.1 200 OK\r\n");

    for (n = 0; rc == TRP_AGAIN && n < 10000; n++) {
        rc = feed(line);
    }

    is_int(rc, TRP_ERROR, "a header without an end");
    is_int(proxy.error, TRP_PROXY_TOO_LONG, "why");
    is_int(n, 64, "lines of 1 KiB");
}


static void
test_basic(void)
{
    /* keep-alive: the next request is on the same connection */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    is_int(feed("HTTP/1.1 407 No\r\n" BASIC "Content-Length: 5\r\n\r\nwrong"),
           TRP_AGAIN, "407 with a body");
    is_str(output(), ASK "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n",
           "with a password");
    is_int(feed("HTTP/1.1 200 OK\r\n\r\n"), TRP_OK, "accepted");

    /* and if it closes that in place of an answer */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    is_int(feed("HTTP/1.1 407 No\r\n" BASIC EMPTY), TRP_AGAIN, "407");
    output();
    is_int(trp_proxy_closed(&proxy), TRP_DECLINED, "on a new connection");
    is_int(trp_proxy_connected(&proxy), TRP_AGAIN, "which is there");
    is_str(output(), ASK "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n",
           "with a password");
    is_int(trp_proxy_closed(&proxy), TRP_ERROR, "but only once");
    is_int(proxy.error, TRP_PROXY_CLOSED, "why");

    /* or before all of the body */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    is_int(feed("HTTP/1.1 407 No\r\n" BASIC "Content-Length: 5\r\n\r\nwro"),
           TRP_AGAIN, "407 with half a body");
    is_int(trp_proxy_closed(&proxy), TRP_DECLINED, "on a new connection");
    is_int(trp_proxy_connected(&proxy), TRP_AGAIN, "which is there");
    is_str(output(), ASK "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n",
           "with a password");
    is_int(feed("HTTP/1.1 200 OK\r\n\r\n"), TRP_OK, "accepted");

    /* a wrong password */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    feed("HTTP/1.1 407 No\r\n" BASIC EMPTY);
    is_int(feed("HTTP/1.1 407 No\r\n" BASIC EMPTY), TRP_ERROR, "407 again");
    is_int(proxy.error, TRP_PROXY_WRONG_USER, "why");

    /* 403 after the password is not about that */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    feed("HTTP/1.1 407 No\r\n" BASIC EMPTY);
    is_int(feed("HTTP/1.1 403 Not here\r\n\r\n"), TRP_ERROR, "403");
    is_int(proxy.error, TRP_PROXY_STATUS, "why");
    is_str(text(), "Not here", "what it says");
}


/* 407 that closes the connection, said in several ways */

static void
test_close(void)
{
    size_t      i;

    static const char *const  closing[] = {
        "HTTP/1.0 407 No\r\n" BASIC EMPTY,
        "HTTP/1.1 407 No\r\n" BASIC "\r\n",
        "HTTP/1.1 407 No\r\n" BASIC "Connection: close\r\n" EMPTY,
        "HTTP/1.1 407 No\r\n" BASIC "connection: a, CLOSE ,b\r\n" EMPTY,
        "HTTP/1.1 407 No\r\n" BASIC "Proxy-Connection: close\r\n" EMPTY,
        "HTTP/1.1 407 No\r\n" BASIC "Transfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 407 No\r\n" BASIC "Content-Length: 65537\r\n\r\n",
        "HTTP/1.1 407 No\r\n" BASIC "Content-Length: -1\r\n\r\n",
        "HTTP/1.1 407 No\r\n" BASIC "Content-Length:\r\n\r\n",
        "HTTP/1.1 407 No\r\n" BASIC
        "Content-Length: 99999999999999999999999999\r\n\r\n",
        "HTTP/1.1 407 No\r\n" BASIC "Content-Length: 1\r\n" EMPTY
    };

    for (i = 0; i < sizeof(closing) / sizeof(closing[0]); i++) {
        is_int(http("alice", closing[i]), TRP_DECLINED, "%s", closing[i]);
        is_int(used, strlen(closing[i]), "all of it");
    }

    is_int(trp_proxy_connected(&proxy), TRP_AGAIN, "another connection");
    is_str(output(), ASK "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n",
           "with a password");
    is_int(feed("HTTP/1.1 200 OK\r\n\r\n"), TRP_OK, "accepted");
}


static void
test_digest(void)
{
    int  i, rc;

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    is_int(feed("HTTP/1.1 407 No\r\n" BASIC DIGEST EMPTY), TRP_AGAIN, "407");
    ok(strstr(output(), "Proxy-Authorization: Digest username=\"alice\"")
       != NULL, "Digest, which is better");
    ok(strstr(sent, "uri=\"relay.example:443\"") != NULL, "its uri");
    ok(strstr(sent, "nc=00000001") != NULL, "its count");

    is_int(feed("HTTP/1.1 407 No\r\n" STALE EMPTY), TRP_AGAIN, "stale");
    ok(strstr(output(), "nonce=\"m\"") != NULL, "the new nonce");
    ok(strstr(sent, "nc=00000001") != NULL, "its count");
    is_int(feed("HTTP/1.1 200 OK\r\n\r\n"), TRP_OK, "accepted");
    ok(!proxy.known && proxy.challenge.count == 1, "to be kept");

    /* the next attempt begins with what this one has learned */

    known = proxy.challenge;

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    ok(strstr(sent, "nonce=\"m\"") != NULL
       && strstr(sent, "nc=00000002") != NULL, "at once, counted");
    is_int(feed("HTTP/1.1 407 No\r\n" DIGEST EMPTY), TRP_AGAIN,
           "another nonce, not called stale");
    ok(strstr(output(), "nonce=\"n\"") != NULL, "which is used");
    is_int(feed("HTTP/1.1 407 No\r\n" DIGEST EMPTY), TRP_ERROR, "no again");
    is_int(proxy.error, TRP_PROXY_WRONG_USER, "why");

    /* stale for ever */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);
    rc = TRP_AGAIN;

    for (i = 0; rc == TRP_AGAIN && i < 100; i++) {
        rc = feed("HTTP/1.1 407 No\r\n" STALE EMPTY);
    }

    is_int(rc, TRP_ERROR, "stale for ever");
    is_int(i, TRP_PROXY_TRIES, "requests");

    /* the same on new connections */

    start(TRP_PROXY_HTTP, "alice", "relay.example", 443);

    for (i = 0; i < 100; i++) {
        rc = feed("HTTP/1.0 407 No\r\n" STALE "\r\n");

        if (rc != TRP_DECLINED || trp_proxy_connected(&proxy) != TRP_AGAIN) {
            break;
        }
    }

    is_int(rc, TRP_ERROR, "stale for ever");
    is_int(i, TRP_PROXY_TRIES - 1, "connections more");

    memset(&known, 0, sizeof(known));
}


static void
is_sent(const char *want, size_t len, const char *name)
{
    ok(sent_len == len && memcmp(sent, want, len) == 0, "%s", name);
}


static int
socks(const char *user, const char *s, size_t len)
{
    return answer(TRP_PROXY_SOCKS5, user, s, len);
}


static void
test_socks(void)
{
    start(TRP_PROXY_SOCKS5, "", "relay.example", 443);
    is_sent("\5\1\0", 3, "greeting");
    is_int(feed_bytes("\5", 1), TRP_AGAIN, "half an answer");
    is_int(feed_bytes("\0", 1), TRP_AGAIN, "no authentication");
    output();
    is_sent("\5\1\0\3\15relay.example\1\273", 20, "a name");
    is_int(feed_bytes("\5\0\0\1\1\2\3\4\5\6more", 14), TRP_OK, "granted");
    is_int(used, 10, "the rest is left");

    start(TRP_PROXY_SOCKS5, "alice", "192.0.2.1", 80);
    is_sent("\5\2\0\2", 4, "greeting with a user");
    is_int(feed_bytes("\5\2", 2), TRP_AGAIN, "with a password");
    output();
    is_sent("\1\5alice\6secret", 14, "the password");
    is_int(feed_bytes("\1\0", 2), TRP_AGAIN, "is right");
    output();
    is_sent("\5\1\0\1\300\0\2\1\0\120", 10, "an IPv4 address");
    is_int(feed_bytes("\5\0\0\3\2ab\0\0", 9), TRP_OK, "a name in the reply");

    start(TRP_PROXY_SOCKS5, "", "2001:db8::1", 1);
    feed_bytes("\5\0", 2);
    output();
    is_sent("\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0\1", 22,
            "an IPv6 address");
    is_int(feed_bytes("\5\0\0\4aaaaaaaaaaaaaaaabbx", 23), TRP_OK, "granted");
    is_int(used, 22, "the rest is left");

    is_int(socks("", "\5\0\5\0\0\3\0\0\0", 9), TRP_OK, "an empty name");

    is_int(socks("", "HTTP/1.1 400", 12), TRP_ERROR, "HTTP");
    is_int(proxy.error, TRP_PROXY_NOT_SOCKS5, "why");

    is_int(socks("", "\5\377", 2), TRP_ERROR, "no method");
    is_int(proxy.error, TRP_PROXY_NO_USER, "why");

    is_int(socks("", "\5\2", 2), TRP_ERROR, "a password that we lack");
    is_int(proxy.error, TRP_PROXY_NO_USER, "why");

    is_int(socks("alice", "\5\1", 2), TRP_ERROR, "GSSAPI");
    is_int(proxy.error, TRP_PROXY_NO_SCHEME, "why");

    is_int(socks("alice", "\5\2\1\1", 4), TRP_ERROR, "a wrong password");
    is_int(proxy.error, TRP_PROXY_WRONG_USER, "why");

    is_int(socks("", "\5\0\5\5", 4), TRP_ERROR, "refused");
    is_int(proxy.error, TRP_PROXY_REPLY, "why");
    is_str(trp_proxy_reply(proxy.status), "connection refused", "as text");

    is_int(socks("", "\5\0\4\0", 4), TRP_ERROR, "another version");
    is_int(socks("", "\5\0\5\0\0\2", 6), TRP_ERROR, "another address type");

    start(TRP_PROXY_SOCKS5, "", "a", 1);
    feed_bytes("\5\0", 2);
    is_int(trp_proxy_closed(&proxy), TRP_ERROR, "closed");
}


int
main(void)
{
    test_request();
    test_success();
    test_failures();
    test_limits();
    test_basic();
    test_close();
    test_digest();
    test_socks();

    return done_testing();
}
