
/*
 * Copyright (C) the trp authors
 */


/* what a proxy wants as authentication, and what it gets */


#include "tap.h"

#include "base/trp_addr.h"
#include "base/trp_str.h"
#include "proxy/trp_challenge.h"


/* each is of digests over the parts, made by another program */

#define OLD       "535c81f86d94a8556918012a89718e8e"
#define SESS      "ee7417154f8bb2e2fd27f2c05a9d2cb6"
#define USERHASH                                                              \
    "1d8a03a6e21a4ce775060ea57360329ac750dea5d847297b42f0d46539af8ab2"
#define SHA                                                                   \
    "1b77257a4f1743e9cfdbcf7dfc04ad0000606d9359a76be197509d7364618d61"
#define QUOTED    "8e7edcca5f38cc3bb15158bc1824c582"


static trp_challenge_t  c;
static uint8_t          answer[TRP_CHALLENGE_ANSWER + 1];


static trp_str_t
str(const char *s)
{
    trp_str_t  text;

    text.data = (const uint8_t *) s;
    text.len = strlen(s);

    return text;
}


static int
parse(const char *value)
{
    memset(&c, 0, sizeof(c));

    trp_challenge_parse(&c, str(value));

    return c.scheme;
}


static const char *
respond(const char *user, const char *password, const char *method,
    const char *uri, const char *cnonce)
{
    size_t  n;

    memset(answer, 0xff, sizeof(answer));

    n = trp_challenge_answer(&c, answer, str(user), str(password), str(method),
                             str(uri), str(cnonce));

    answer[n] = '\0';

    return (const char *) answer;
}


static void
test_schemes(void)
{
    size_t  i;

    static const struct {
        const char  *value;
        int          scheme;
    } tests[] = {
        { "", TRP_CHALLENGE_NONE },
        { ", ,", TRP_CHALLENGE_NONE },
        { "Basic", TRP_CHALLENGE_BASIC },
        { "basic realm=\"a\"", TRP_CHALLENGE_BASIC },
        { "BASIC realm=a, charset=\"UTF-8\"", TRP_CHALLENGE_BASIC },
        { "Basic realm = \"a, b\"", TRP_CHALLENGE_BASIC },
        { "Basic realm=\"a\\\"b\"", TRP_CHALLENGE_BASIC },
        { "Basic realm=\"a", TRP_CHALLENGE_NONE },
        { "Basic realm=\"a\\", TRP_CHALLENGE_NONE },
        { "Basic realm=\"a\\\"", TRP_CHALLENGE_NONE },
        { "Negotiate", TRP_CHALLENGE_NONE },
        { "Negotiate abc/+d==, Basic realm=\"a\"", TRP_CHALLENGE_BASIC },
        { "NTLM TlRMTVNTUAABAAAA, Basic", TRP_CHALLENGE_BASIC },
        { "Negotiate, NTLM, Basic realm=\"a\"", TRP_CHALLENGE_BASIC },
        { "Basic realm=\"a\", Negotiate", TRP_CHALLENGE_BASIC },
        { "Basic realm=\"a\", @, Digest nonce=\"n\"", TRP_CHALLENGE_NONE },
        { "realm=\"a\"", TRP_CHALLENGE_NONE },
        { "Digest realm=\"a\"", TRP_CHALLENGE_NONE },
        { "Digest realm=\"a\", nonce=\"\"", TRP_CHALLENGE_NONE },
        { "Digest realm=\"a\", nonce=\"n\"", TRP_CHALLENGE_MD5 },
        { "Digest nonce=n", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"n\", qop=\"auth\"", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"n\", qop=\"auth-int\"", TRP_CHALLENGE_NONE },
        { "Digest nonce=\"n\", qop=\"auth-int, auth\"", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"n\", qop=\"auth,auth-int\"", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"n\", qop=\"\"", TRP_CHALLENGE_NONE },
        { "Digest nonce=\"n\", algorithm=md5-sess", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"n\", algorithm=\"SHA-256\"", TRP_CHALLENGE_SHA256 },
        { "Digest nonce=\"n\", algorithm=SHA-256-sess", TRP_CHALLENGE_SHA256 },
        { "Digest nonce=\"n\", algorithm=SHA-512-256", TRP_CHALLENGE_NONE },
        { "Digest nonce=\"n\", algorithm=-sess", TRP_CHALLENGE_NONE },
        { "Digest nonce=\"n\", algorithm=token, Basic", TRP_CHALLENGE_BASIC },
        { "Digest nonce=\"n\", algorithm=SHA-256, Digest nonce=\"n\"",
          TRP_CHALLENGE_SHA256 },
        { "Digest nonce=\"n\", Digest nonce=\"m\", algorithm=SHA-256",
          TRP_CHALLENGE_SHA256 },
        { "Basic, Digest nonce=\"n\", Basic", TRP_CHALLENGE_MD5 },
        { "Digest nonce=\"a\x01\x62\"", TRP_CHALLENGE_NONE },
        { "Digest nonce=\"a\x7f\"", TRP_CHALLENGE_NONE }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        is_int(parse(tests[i].value), tests[i].scheme, "%s", tests[i].value);
    }
}


/* several fields; the best challenge stays */

static void
test_fields(void)
{
    memset(&c, 0, sizeof(c));

    trp_challenge_parse(&c, str("Basic realm=\"one\""));
    trp_challenge_parse(&c, str("Digest realm=\"two\", nonce=\"n\""));
    trp_challenge_parse(&c, str("Basic realm=\"three\""));

    is_int(c.scheme, TRP_CHALLENGE_MD5, "the best one");
    ok(c.realm_len == 3 && memcmp(c.realm, "two", 3) == 0, "with its realm");
}


static void
test_long(void)
{
    size_t  i;
    char    value[2048];

    for (i = TRP_CHALLENGE_VALUE; i <= TRP_CHALLENGE_VALUE + 1; i++) {
        snprintf(value, sizeof(value), "Digest nonce=\"%0*d\", Basic", (int) i,
                 0);

        is_int(parse(value), (i == TRP_CHALLENGE_VALUE) ? TRP_CHALLENGE_MD5
                                                        : TRP_CHALLENGE_BASIC,
               "nonce of %d bytes", (int) i);
    }

    for (i = TRP_CHALLENGE_REALM; i <= TRP_CHALLENGE_REALM + 1; i++) {
        snprintf(value, sizeof(value), "Digest nonce=n, realm=\"%0*d\", Basic",
                 (int) i, 0);

        is_int(parse(value), (i == TRP_CHALLENGE_REALM) ? TRP_CHALLENGE_MD5
                                                        : TRP_CHALLENGE_BASIC,
               "realm of %d bytes", (int) i);
    }
}


/* RFC 7617, section 2 and 2.1 */

static void
test_basic(void)
{
    parse("Basic realm=\"WallyWorld\"");

    is_str(respond("Aladdin", "open sesame", "CONNECT", "a:1", ""),
           "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "RFC 7617");
    is_str(respond("test", "123\xc2\xa3", "CONNECT", "a:1", ""),
           "Basic dGVzdDoxMjPCow==", "in UTF-8");
    is_str(respond("a", "", "CONNECT", "a:1", ""), "Basic YTo=",
           "no password");
    is_str(respond("a", "b", "CONNECT", "a:1", ""), "Basic YTpi", "full");
}


/* RFC 7616, section 3.9.1; RFC 2617, section 3.5 */

static void
test_digest(void)
{
    static const char  realm[] = "Digest realm=\"http-auth@example.org\","
        " qop=\"auth, auth-int\","
        " nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\","
        " opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    static const char  cnonce[] =
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    char  value[512];

    snprintf(value, sizeof(value), "%s, algorithm=MD5", realm);
    parse(value);

    ok(strstr(respond("Mufasa", "Circle of Life", "GET", "/dir/index.html",
                      cnonce),
              "response=\"8ca523f5e9506fed4657c9700eebdbec\"") != NULL,
       "MD5");

    is_str((const char *) answer, "Digest username=\"Mufasa\","
           " realm=\"http-auth@example.org\","
           " nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\","
           " uri=\"/dir/index.html\","
           " response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5,"
           " cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\","
           " qop=auth, nc=00000001,"
           " opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
           "all of it");

    ok(strstr(respond("Mufasa", "Circle of Life", "GET", "/", cnonce),
              "nc=00000002") != NULL, "the second request");

    c.count = 0xfffffffe;
    ok(strstr(respond("Mufasa", "Circle of Life", "GET", "/", cnonce),
              "nc=ffffffff") != NULL, "the last one");

    snprintf(value, sizeof(value), "%s, algorithm=SHA-256", realm);
    parse(value);

    ok(strstr(respond("Mufasa", "Circle of Life", "GET", "/dir/index.html",
                      cnonce),
              "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf"
              "8db5856cb6c1\", algorithm=SHA-256,") != NULL, "SHA-256");

    parse("Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\","
          "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\","
          "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"");

    ok(strstr(respond("Mufasa", "Circle Of Life", "GET", "/dir/index.html",
                      "0a4f113b"),
              "response=\"6629fae49393a05397450978507c4ef1\"") != NULL,
       "RFC 2617");
}


static void
test_variants(void)
{
    const char  *p;

    /* without qop, as in RFC 2069 */

    parse("Digest realm=\"r\", nonce=\"n\"");
    p = respond("u", "p", "CONNECT", "h:1", "0123");

    ok(strstr(p, "response=\"" OLD "\"") != NULL, "without qop");
    ok(strstr(p, "qop") == NULL && strstr(p, "nc=") == NULL
       && strstr(p, "cnonce") == NULL && strstr(p, "opaque") == NULL,
       "and what belongs to it");

    parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5-sess");
    p = respond("u", "p", "CONNECT", "h:1", "0123");

    ok(strstr(p, "response=\"" SESS "\", algorithm=MD5-sess,") != NULL,
       "of a session");

    parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", userhash=true,"
          " algorithm=SHA-256");
    p = respond("u", "p", "CONNECT", "h:1", "0123");

    ok(strstr(p, "username=\"" USERHASH "\"") != NULL
       && strstr(p, ", userhash=true") != NULL, "user is hashed");
    ok(strstr(p, "response=\"" SHA "\"") != NULL, "but not in the response");

    /* what is quoted in a string is not part of its value */

    parse("Digest realm=\"a\\\"b\", nonce=\"n\", qop=\"auth\"");
    p = respond("q\"\\", "p", "CONNECT", "h:1", "0123");

    ok(strstr(p, "username=\"q\\\"\\\\\", realm=\"a\\\"b\",") != NULL,
       "quoted again");
    ok(strstr(p, "response=\"" QUOTED "\"") != NULL, "of plain text");
}


static void
test_stale(void)
{
    parse("Digest nonce=\"n\", stale=TRUE");
    ok(c.stale, "stale");

    parse("Digest nonce=\"n\", stale=false");
    ok(!c.stale, "not stale");

    parse("Digest nonce=\"n\", opaque=\"\"");
    ok(strstr(respond("u", "p", "CONNECT", "h:1", "0"), ", opaque=\"\"")
       != NULL, "an empty opaque value goes back");
}


/* the longest of all */

static void
test_longest(void)
{
    size_t  n;
    char    value[4096], user[TRP_CHALLENGE_USER + 1];
    char    password[TRP_CHALLENGE_USER + 1], uri[300];

    snprintf(value, sizeof(value),
             "Digest nonce=\"%0512d\", realm=\"%0256d\", opaque=\"%0512d\","
             " qop=\"auth\", algorithm=SHA-256-sess, userhash=false", 0, 0, 0);

    memset(user, '"', sizeof(user));
    user[TRP_CHALLENGE_USER] = '\0';

    memset(password, 'p', sizeof(password));
    password[TRP_CHALLENGE_USER] = '\0';

    memset(uri, 'h', sizeof(uri));
    uri[sizeof(uri) - 1] = '\0';

    is_int(parse(value), TRP_CHALLENGE_SHA256, "all at their limits");

    n = strlen(respond(user, password, "CONNECT", uri,
                       "0123456789abcdef0123456789abcdef"));

    ok(n < TRP_CHALLENGE_ANSWER - 300, "%d bytes", (int) n);

    parse("Basic");
    n = strlen(respond(user, password, "CONNECT", uri, ""));

    is_int(n, 6 + 4 * ((2 * TRP_CHALLENGE_USER + 1 + 2) / 3), "Basic");
}


int
main(void)
{
    test_schemes();
    test_fields();
    test_long();
    test_basic();
    test_digest();
    test_variants();
    test_stale();
    test_longest();

    return done_testing();
}
