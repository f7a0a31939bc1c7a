
/*
 * Copyright (C) the trp authors
 */


/*
 * STUN messages: the vectors of RFC 5769 and of RFC 8489 (appendix B.1, as
 * erratum 6268 has it), what is no message, frames on streams, the writer.
 */


#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "rnd.h"

#include "base/trp_digest.h"
#include "stun/trp_stun.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))


/* RFC 5769, section 2.1 */

static const char  request[] =
    "00010058 2112a442 b7e7a701 bc34d686 fa87dfae"
    "80220010 5354554e 20746573 7420636c 69656e74"
    "00240004 6e0001ff"
    "80290008 932ff9b1 51263b36"
    "00060009 6576746a 3a683676 59202020"
    "00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2"
    "80280004 e57a3bcf";

/* section 2.2 */

static const char  ipv4_response[] =
    "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220"
    "00200008 0001a147 e112a643"
    "00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7"
    "80280004 c07d4c96";

/* section 2.3 */

static const char  ipv6_response[] =
    "01010048 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220"
    "00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
    "00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41"
    "80280004 c8fb0b4c";

/* section 2.4 */

static const char  long_term[] =
    "00010060 2112a442 78ad3433 c6ad72c0 29da412e"
    "00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000"
    "0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679"
             "36347341"
    "0014000b 6578616d 706c652e 6f726700"
    "00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

/* RFC 8489, appendix B.1, erratum 6268 */

static const char  sha256[] =
    "00010090 2112a442 78ad3433 c6ad72c0 29da412e"
    "001e0020 4a3cf38f ef6992bd a952c678 0417da0f"
             "24819415 569e60b2 05c46e41 407f1704"
    "00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b"
             "39353464 364f4c33 346f4c39 46535476 79363473 41000000"
    "0014000b 6578616d 706c652e 6f726700"
    "001d0004 00020000"
    "001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924"
             "136296cb 927c4314 9309278c c6518e65";


static const char  matrix[] =
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9";

static const char  short_term[] = "VOkJxbRl1RmTxUk/WvJxBt";

static const uint8_t  id[] = "abcdefghijkl";


static trp_str_t
string(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


static size_t
unhex(uint8_t *out, const char *hex)
{
    size_t    n;
    unsigned  byte;

    for (n = 0; *hex; hex += 2) {

        while (*hex == ' ') {
            hex++;
        }

        if (sscanf(hex, "%2x", &byte) != 1) {
            abort();
        }

        out[n++] = (uint8_t) byte;
    }

    return n;
}


static int
is_text(trp_str_t value, const char *want)
{
    return value.data && value.len == strlen(want)
           && memcmp(value.data, want, value.len) == 0;
}


static trp_str_t
long_term_key(trp_digest_e type, uint8_t *buf)
{
    trp_str_t  key, parts[5];

    parts[0] = string(matrix);
    parts[1] = string(":");
    parts[2] = string("example.org");
    parts[3] = string(":");
    parts[4] = string("TheMatrIX");

    if (trp_digest(type, buf, parts, 5) != TRP_OK) {
        abort();
    }

    key.data = buf;
    key.len = trp_digest_len(type);

    return key;
}


static void
test_request(void)
{
    size_t      len;
    uint8_t     buf[256];
    trp_stun_t  m;

    len = unhex(buf, request);

    is_int(trp_stun_frame(buf, len), len, "a frame");
    is_int(trp_stun_parse(&m, buf, len), TRP_OK, "RFC 5769, a request");
    is_int(m.type, TRP_STUN_REQUEST, "a request");
    is_int(m.method, TRP_STUN_BINDING, "Binding");
    is_int(m.len, 108, "length");
    is_int(m.fingerprint, 1, "fingerprint");
    is_int(m.sha1, 76, "where the integrity is");
    is_int(m.sha256, 0, "no other one");
    is_int(m.end, 76, "the end of what is covered");
    is_int(m.nunknown, 1, "PRIORITY is not known, ICE-CONTROLLED is optional");
    is_int(m.unknown[0], 0x0024, "which one");

    ok(is_text(trp_stun_get(&m, TRP_STUN_USERNAME), "evtj:h6vY"),
       "the user's name without padding");
    ok(trp_stun_get(&m, TRP_STUN_REALM).data == NULL, "no realm");
    ok(trp_stun_get(&m, TRP_STUN_FINGERPRINT).data == NULL,
       "a fingerprint is not for reading");

    is_int(trp_stun_check_sha1(&m, string(short_term)), TRP_OK, "integrity");
    is_int(trp_stun_check_sha1(&m, string("VOkJxbRl1RmTxUk/WvJxBT")),
           TRP_DECLINED, "another password");
    is_int(trp_stun_check_sha1(&m, string("")), TRP_DECLINED, "none");
}


static void
test_responses(void)
{
    size_t       len;
    uint8_t      buf[256];
    trp_stun_t   m;
    trp_taddr_t  addr;

    static const uint8_t  v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56,
                                     0x78, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                     0x66, 0x77 };

    len = unhex(buf, ipv4_response);

    is_int(trp_stun_parse(&m, buf, len), TRP_OK, "RFC 5769, IPv4");
    is_int(m.type, TRP_STUN_SUCCESS, "a success");
    is_int(trp_stun_check_sha1(&m, string(short_term)), TRP_OK, "integrity");
    is_int(trp_stun_addr(&m, trp_stun_get(&m, TRP_STUN_XOR_MAPPED_ADDRESS),
                         &addr),
           TRP_OK, "an address");
    is_int(addr.addr.family, 4, "IPv4");
    is_int(addr.port, 32853, "port");
    ok(memcmp(addr.addr.bytes, "\xc0\x00\x02\x01", 4) == 0, "192.0.2.1");

    len = unhex(buf, ipv6_response);

    is_int(trp_stun_parse(&m, buf, len), TRP_OK, "RFC 5769, IPv6");
    is_int(trp_stun_check_sha1(&m, string(short_term)), TRP_OK, "integrity");
    is_int(trp_stun_addr(&m, trp_stun_get(&m, TRP_STUN_XOR_MAPPED_ADDRESS),
                         &addr),
           TRP_OK, "an address");
    is_int(addr.addr.family, 6, "IPv6");
    is_int(addr.port, 32853, "port");
    ok(memcmp(addr.addr.bytes, v6, 16) == 0, "2001:db8:1234:5678:11:...");
}


static void
test_long_term(void)
{
    size_t      len;
    uint8_t     buf[256], key[TRP_DIGEST_MAX];
    trp_stun_t  m;
    trp_str_t   parts[3];

    len = unhex(buf, long_term);

    is_int(trp_stun_parse(&m, buf, len), TRP_OK, "RFC 5769, long term");
    ok(is_text(trp_stun_get(&m, TRP_STUN_USERNAME), matrix), "user");
    ok(is_text(trp_stun_get(&m, TRP_STUN_REALM), "example.org"), "realm");
    ok(is_text(trp_stun_get(&m, TRP_STUN_NONCE),
               "f//499k954d6OL34oL9FSTvy64sA"), "nonce");
    is_int(m.fingerprint, 0, "no fingerprint");
    is_int(trp_stun_check_sha1(&m, long_term_key(TRP_MD5, key)), TRP_OK,
           "integrity");
    is_int(trp_stun_check_sha1(&m, long_term_key(TRP_SHA256, key)),
           TRP_DECLINED, "not with the other algorithm");

    len = unhex(buf, sha256);

    is_int(trp_stun_parse(&m, buf, len), TRP_OK, "RFC 8489, appendix B.1");
    is_int(m.sha1, 0, "no SHA-1");
    is_int(m.sha256, 128, "SHA-256");
    is_int(m.end, 128, "the end of what is covered");
    is_int(trp_stun_check_sha256(&m, long_term_key(TRP_SHA256, key)), TRP_OK,
           "integrity");
    is_int(trp_stun_check_sha256(&m, long_term_key(TRP_MD5, key)),
           TRP_DECLINED, "not with the other algorithm");

    parts[0] = string(matrix);
    parts[1] = string(":");
    parts[2] = string("example.org");
    trp_digest(TRP_SHA256, key, parts, 3);

    ok(trp_stun_get(&m, TRP_STUN_USERHASH).len == 32
       && memcmp(trp_stun_get(&m, TRP_STUN_USERHASH).data, key, 32) == 0,
       "the user's hash");
    is_int(trp_read32(trp_stun_get(&m, TRP_STUN_PASSWORD_ALGORITHM).data),
           0x00020000, "algorithm");
}


/* every bit of a message is covered by something, if that is still there */

static void
test_altered(const char *hex, const char *key_text, const char *name)
{
    size_t      i, len;
    uint8_t     buf[256];
    unsigned    bit, passed;
    trp_stun_t  m;

    len = unhex(buf, hex);
    passed = 0;

    for (i = 0; i < len; i++) {
        for (bit = 1; bit < 256; bit <<= 1) {
            buf[i] ^= bit;

            passed += trp_stun_parse(&m, buf, len) == TRP_OK && m.fingerprint;

            buf[i] ^= bit;
        }
    }

    is_int(passed, 0, "an altered %s has no fingerprint", name);

    /* which can be computed without the key */

    len -= 8;
    buf[3] -= 8;

    for (i = 0; i < len; i++) {
        for (bit = 1; bit < 256; bit <<= 1) {
            buf[i] ^= bit;

            passed += trp_stun_parse(&m, buf, len) == TRP_OK && m.sha1
                      && trp_stun_check_sha1(&m, string(key_text)) == TRP_OK;

            buf[i] ^= bit;
        }
    }

    is_int(passed, 0, "nor integrity");
}


/* CVE-2026-40613: attributes need not stand where a number may */

static void
test_unaligned(void)
{
    size_t       i, len;
    uint8_t      buf[256], key[TRP_DIGEST_MAX];
    trp_stun_t   m;
    trp_taddr_t  addr;

    for (i = 1; i < 8; i++) {
        len = unhex(buf + i, sha256);
        ok(trp_stun_parse(&m, buf + i, len) == TRP_OK
           && trp_stun_check_sha256(&m, long_term_key(TRP_SHA256, key))
              == TRP_OK,
           "a request %zu bytes off", i);

        len = unhex(buf + i, ipv6_response);
        ok(trp_stun_parse(&m, buf + i, len) == TRP_OK
           && trp_stun_addr(&m, trp_stun_get(&m, TRP_STUN_XOR_MAPPED_ADDRESS),
                            &addr)
              == TRP_OK
           && addr.port == 32853,
           "a response %zu bytes off", i);
    }
}


static int
parse_hex(const char *hex, size_t cut)
{
    int         rc;
    size_t      len;
    uint8_t     buf[256], *copy;
    trp_stun_t  m;

    len = unhex(buf, hex) - cut;
    copy = malloc(len ? len : 1);
    memcpy(copy, buf, len);

    rc = trp_stun_parse(&m, copy, len);
    free(copy);

    return rc;
}


static void
test_malformed(void)
{
    size_t      i, len, n;
    uint8_t     buf[256];
    unsigned    passed;
    trp_stun_t  m;

#define header  "2112a442 00000000 00000000 00000000"

    static const struct {
        int         rc;
        const char *hex;
        const char *name;
    } messages[] = {
        { TRP_OK, "00010000" header, "a header alone" },
        { TRP_ERROR, "", "nothing" },
        { TRP_ERROR, "00010004" header, "a length without the bytes" },
        { TRP_ERROR, "00010000" header "80220000", "bytes behind the length" },
        { TRP_ERROR, "00010000 2112a443 00000000 00000000 00000000",
          "another cookie" },
        { TRP_ERROR, "04010000" header, "the first byte 4" },
        { TRP_ERROR, "40010000" header, "a channel's first byte" },
        { TRP_ERROR, "80010000" header, "a high first byte" },
        { TRP_ERROR, "00010002" header "8022", "half of an attribute" },
        { TRP_ERROR, "00010001" header "80", "a quarter" },
        { TRP_OK, "00010004" header "80220000", "an empty attribute" },
        { TRP_ERROR, "00010004" header "80220001", "one without its value" },
        { TRP_OK, "00010008" header "80220001 41000000", "with padding" },
        { TRP_OK, "00010008" header "80220001 41ffffff",
          "padding that is not zero" },
        { TRP_ERROR, "00010008" header "80220005 41000000", "a byte short" },
        { TRP_ERROR, "00010008" header "8022ffff 41000000", "far too long" },
        { TRP_ERROR, "00010008" header "8022fffd 41000000",
          "CVE-2026-68552: too long, with padding that wraps" },
        { TRP_ERROR, "00010008" header "00080004 41414141",
          "SHA-1 of 4 bytes" },
        { TRP_ERROR, "0001001c" header "00080018 0000000000000000"
          "00000000000000000000000000000000", "SHA-1 of 24" },
        { TRP_ERROR, "00010004" header "00080000", "SHA-1 of none" },
        { TRP_ERROR, "00010010" header "001c000c 000000000000000000000000",
          "SHA-256 of 12 bytes" },
        { TRP_OK, "00010014" header "001c0010"
          "00000000000000000000000000000000", "of 16" },
        { TRP_ERROR, "00010018" header "001c0011"
          "0000000000000000000000000000000000000000", "of 17" },
        { TRP_ERROR, "00010028" header "001c0024"
          "000000000000000000000000000000000000"
          "000000000000000000000000000000000000", "of 36" },
        { TRP_ERROR, "00010008" header "80280004 00000000",
          "a wrong fingerprint" },
        { TRP_ERROR, "00010004" header "80280000", "an empty fingerprint" },
        { TRP_ERROR, "0001000c" header "80280008 00000000 00000000",
          "a fingerprint of 8" }
    };

    for (i = 0; i < nelts(messages); i++) {
        is_int(parse_hex(messages[i].hex, 0), messages[i].rc, "%s",
               messages[i].name);
    }

    passed = 0;

    for (i = 1; i <= 108; i++) {
        passed += (parse_hex(request, i) != TRP_ERROR);
    }

    is_int(passed, 0, "no beginning of a message is one");

    /* a fingerprint must be the last, even if it is right */

    len = unhex(buf, request);
    buf[3] += 4;
    memcpy(buf + len, "\x80\x22\x00\x00", 4);

    is_int(trp_stun_parse(&m, buf, len + 4), TRP_ERROR,
           "something behind the fingerprint");

    /* random lengths */

    rnd_seed(11);
    passed = 0;

    for (n = 0; n < 20000; n++) {
        len = unhex(buf, (n & 1) ? sha256 : request);

        for (i = 0; i < 1 + rnd(3); i++) {
            buf[20 + rnd((uint32_t) len - 20)] = (uint8_t) rnd(256);
        }

        if (trp_stun_parse(&m, buf, len) == TRP_OK) {
            passed += m.end > len || m.sha1 > len || m.sha256 > len
                      || m.nunknown > TRP_STUN_UNKNOWN_MAX;

            for (i = 0; i < TRP_STUN_NATTRIBUTES; i++) {
                passed += m.attributes[i].data
                          && (m.attributes[i].data < buf + 24
                              || m.attributes[i].data + m.attributes[i].len
                                 > buf + len);
            }
        }
    }

    is_int(passed, 0, "nothing points outside of a message");
}


static void
test_types(void)
{
    unsigned           type, method, wrong;
    uint8_t            buf[20];
    trp_stun_t         m;
    trp_stun_writer_t  w;

    wrong = 0;

    for (type = 0; type < 4; type++) {
        for (method = 0; method < 0x1000; method++) {

            trp_stun_begin(&w, buf, sizeof(buf), (trp_stun_class_e) type,
                           (uint16_t) method, id);

            wrong += buf[0] > 0x3f
                     || (method < 0x400 && buf[0] <= 3
                         && (trp_stun_parse(&m, buf, 20) != TRP_OK
                             || m.type != type || m.method != method));
        }
    }

    is_int(wrong, 0, "every class and method there and back");

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_ERROR, TRP_STUN_ALLOCATE,
                   id);
    is_int(trp_read16(buf), 0x0113, "an error of Allocate");

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_INDICATION, TRP_STUN_DATA,
                   id);
    is_int(trp_read16(buf), 0x0017, "a Data indication");
}


static void
test_frame(void)
{
    size_t    n;
    unsigned  i, wrong;
    uint8_t   b[4];

    static const struct {
        int      rc;
        uint8_t  bytes[4];
        size_t   len;
    } frames[] = {
        { TRP_AGAIN, { 0 }, 0 },
        { TRP_AGAIN, { 0 }, 1 },
        { TRP_AGAIN, { 0, 1, 0 }, 3 },
        { 20, { 0, 1, 0, 0 }, 4 },
        { 24, { 0, 1, 0, 4 }, 4 },
        { 20 + 0xfffc, { 3, 1, 0xff, 0xfc }, 4 },
        { TRP_ERROR, { 0, 1, 0, 1 }, 4 },
        { TRP_ERROR, { 0, 1, 0, 2 }, 4 },
        { TRP_ERROR, { 0, 1, 0, 3 }, 4 },
        { TRP_ERROR, { 0, 1, 0xff, 0xff }, 4 },
        { TRP_ERROR, { 4 }, 1 },
        { TRP_ERROR, { 0x3f }, 1 },
        { TRP_AGAIN, { 0x40 }, 1 },
        { TRP_AGAIN, { 0x7f }, 1 },
        { TRP_ERROR, { 0x80 }, 1 },
        { TRP_ERROR, { 0xff }, 1 },
        { 4, { 0x40, 0, 0, 0 }, 4 },
        { 8, { 0x40, 0, 0, 1 }, 4 },
        { 8, { 0x40, 0, 0, 4 }, 4 },
        { 12, { 0x40, 0, 0, 5 }, 4 },
        { 4 + 0x10000, { 0x40, 0, 0xff, 0xff }, 4 }
    };

    for (i = 0; i < nelts(frames); i++) {
        is_int(trp_stun_frame(frames[i].bytes, frames[i].len), frames[i].rc,
               "%zu bytes, %02x %02x %02x %02x", frames[i].len,
               frames[i].bytes[0], frames[i].bytes[1], frames[i].bytes[2],
               frames[i].bytes[3]);
    }

    wrong = 0;

    for (i = 0; i < 256; i++) {
        for (n = 0; n < 0x10000; n++) {
            b[0] = (uint8_t) i;
            b[1] = 0;
            trp_write16(b + 2, (uint16_t) n);

            wrong += trp_stun_frame(b, 4)
                     != (i < 4 ? (n % 4 ? TRP_ERROR : (int) n + 20)
                         : i >= 0x40 && i < 0x80 ? (int) (n + 3) / 4 * 4 + 4
                         : TRP_ERROR);
        }
    }

    is_int(wrong, 0, "every first byte with every length");
}


/* messages byte for byte */

static void
test_writer(void)
{
    size_t             i, len;
    uint8_t            buf[256], want[256];
    trp_taddr_t        addr;
    trp_stun_writer_t  w;

    /* RFC 5769's response, with its padding of blanks */

    memset(&addr, 0, sizeof(addr));
    addr.addr.family = 4;
    memcpy(addr.addr.bytes, "\xc0\x00\x02\x01", 4);
    addr.port = 32853;

    len = unhex(want, ipv4_response);

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_SUCCESS, TRP_STUN_BINDING,
                   want + 8);
    trp_stun_put(&w, TRP_STUN_SOFTWARE, "test vector ", 12);
    buf[23] = 11;
    trp_stun_put_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, &addr);
    trp_stun_put_sha1(&w, string(short_term));
    trp_stun_put_fingerprint(&w);

    is_int(w.full, 0, "it fits");
    ok(w.len == len && memcmp(buf, want, len) == 0,
       "RFC 5769's response for IPv4, byte for byte");

    len = unhex(want, ipv6_response);
    addr.addr.family = 6;
    unhex(addr.addr.bytes, "20010db8 12345678 00112233 44556677");

    trp_stun_begin(&w, buf, len, TRP_STUN_SUCCESS, TRP_STUN_BINDING,
                   want + 8);
    trp_stun_put(&w, TRP_STUN_SOFTWARE, "test vector ", 12);
    buf[23] = 11;
    trp_stun_put_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, &addr);
    trp_stun_put_sha1(&w, string(short_term));
    trp_stun_put_fingerprint(&w);

    is_int(w.full, 0, "it just fits");
    ok(w.len == len && memcmp(buf, want, len) == 0,
       "for IPv6, byte for byte");

    /* CVE-2020-4067: padding is zero, whatever was there */

    for (i = 0; i <= 5; i++) {
        memset(buf, 0xff, sizeof(buf));
        trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST,
                       TRP_STUN_ALLOCATE, id);
        trp_stun_put(&w, TRP_STUN_REALM, "abcde", i);

        memset(want, 0, sizeof(want));
        memcpy(want, "abcde", i);

        is_int(w.len, 24 + (i + 3) / 4 * 4, "length with %zu bytes", i);
        ok(trp_read16(buf + 22) == i
           && memcmp(buf + 24, want, w.len - 24) == 0,
           "%zu bytes and zeros behind them", i);
        is_int(buf[w.len], 0xff, "and nothing further");
    }

    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 0x01020304);
    ok(memcmp(buf + w.len - 8, "\x00\x0d\x00\x04\x01\x02\x03\x04", 8) == 0,
       "a number");

    trp_stun_put_error(&w, 438, "");
    ok(memcmp(buf + w.len - 8, "\x00\x09\x00\x04\x00\x00\x04\x26", 8) == 0,
       "an error without a phrase");

    trp_stun_put_error(&w, 486, "Quota");
    ok(memcmp(buf + w.len - 16, "\x00\x09\x00\x09\x00\x00\x04\x56Quota\0\0\0",
              16) == 0,
       "an error with one");
}


static void
test_full(void)
{
    size_t             size, n;
    uint8_t           *buf;
    unsigned           wrong;
    trp_stun_t         m;
    trp_taddr_t        addr;
    trp_stun_writer_t  w;

    memset(&addr, 0, sizeof(addr));
    addr.addr.family = 6;

    /* 20, 8 + 4, 24, 24, 36, 8 */

    wrong = 0;

    for (size = 20; size <= 124; size++) {
        buf = malloc(size);

        trp_stun_begin(&w, buf, size, TRP_STUN_REQUEST, TRP_STUN_BINDING, id);
        trp_stun_put(&w, TRP_STUN_REALM, "abcde", 5);
        trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, &addr);
        trp_stun_put_sha1(&w, string("k"));
        trp_stun_put_sha256(&w, string("k"));
        trp_stun_put_fingerprint(&w);

        wrong += w.len > size || w.full != (size < 124)
                 || trp_stun_parse(&m, buf, w.len) != TRP_OK;

        n = w.len;
        trp_stun_put(&w, TRP_STUN_SOFTWARE, "", 0);
        wrong += !w.full || w.len != n;

        free(buf);
    }

    is_int(wrong, 0, "nothing is written beyond the end");

    size = 20 + 4 + 0x10000;
    buf = calloc(1, size);

    trp_stun_begin(&w, buf, size, TRP_STUN_REQUEST, TRP_STUN_BINDING, id);
    trp_stun_put(&w, TRP_STUN_REALM, buf, 0xffff);
    is_int(w.full, 1, "an attribute whose length with padding is too much");
    free(buf);
}


static void
test_integrity(void)
{
    size_t             end, sha1_end;
    uint8_t            buf[512];
    trp_str_t          value;
    trp_stun_t         m;
    trp_stun_writer_t  w;

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_ALLOCATE,
                   id);
    trp_stun_put(&w, TRP_STUN_USERNAME, "first", 5);
    trp_stun_put(&w, TRP_STUN_USERNAME, "second", 6);
    trp_stun_put_sha1(&w, string("one"));
    sha1_end = w.len;
    trp_stun_put_sha256(&w, string("two"));
    end = w.len;
    trp_stun_put_fingerprint(&w);

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "both kinds");
    is_int(m.fingerprint, 1, "and a fingerprint");
    ok(m.sha1 && m.sha256, "are there");
    is_int(m.end, m.sha1, "the first one ends what is covered");
    is_int(trp_stun_check_sha1(&m, string("one")), TRP_OK, "SHA-1");
    is_int(trp_stun_check_sha256(&m, string("two")), TRP_OK, "SHA-256");
    is_int(trp_stun_check_sha1(&m, string("two")), TRP_DECLINED, "not mixed");
    ok(is_text(trp_stun_get(&m, TRP_STUN_USERNAME), "first"),
       "the first one of its type counts");

    /* what comes after an integrity is not seen */

    w.len = sha1_end;
    trp_stun_put(&w, TRP_STUN_REALM, "evil", 4);
    trp_stun_put(&w, (trp_stun_attribute_e) 0x7fff, "evil", 4);

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "more behind SHA-1");
    ok(trp_stun_get(&m, TRP_STUN_REALM).data == NULL, "is not seen");
    is_int(m.nunknown, 0, "and not unknown");
    is_int(trp_stun_check_sha1(&m, string("one")), TRP_OK, "still right");

    end = 0;
    is_int(trp_stun_each(&m, TRP_STUN_REALM, &end, &value), TRP_DECLINED,
           "nor found in a walk");

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_ALLOCATE,
                   id);
    trp_stun_put_sha256(&w, string("two"));
    trp_stun_put_sha1(&w, string("one"));
    trp_stun_put(&w, TRP_STUN_REALM, "evil", 4);

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "more behind SHA-256");
    is_int(m.sha1, 0, "SHA-1 is not seen there");
    ok(trp_stun_get(&m, TRP_STUN_REALM).data == NULL, "nor a realm");

    /* a second one of the same kind does not replace the first one */

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_ALLOCATE,
                   id);
    trp_stun_put_sha1(&w, string("one"));
    trp_stun_put_sha1(&w, string("other"));

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "two of the same kind");
    is_int(trp_stun_check_sha1(&m, string("other")), TRP_DECLINED,
           "the second one does not count");
}


/* RFC 8489, section 14.6: SHA-256 may be cut */

static void
test_cut(void)
{
    size_t             n, offset;
    uint8_t            buf[128];
    trp_str_t          parts[1];
    uint8_t            digest[TRP_DIGEST_MAX];
    trp_stun_t         m;
    trp_stun_writer_t  w;

    for (n = 16; n <= 32; n += 4) {
        memset(digest, 0, sizeof(digest));
        trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST,
                       TRP_STUN_ALLOCATE, id);
        trp_stun_put(&w, TRP_STUN_USERNAME, "user", 4);
        offset = w.len;
        trp_stun_put(&w, TRP_STUN_MESSAGE_INTEGRITY_SHA256, digest, n);

        parts[0].data = buf;
        parts[0].len = offset;
        trp_hmac(TRP_SHA256, digest, string("key"), parts, 1);
        memcpy(buf + offset + 4, digest, n);

        is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "cut to %zu", n);
        is_int(trp_stun_check_sha256(&m, string("key")), TRP_OK, "right");

        buf[w.len - 1] ^= 1;
        is_int(trp_stun_check_sha256(&m, string("key")), TRP_DECLINED,
               "the last byte counts");
    }
}


static void
test_each(void)
{
    size_t             offset;
    uint8_t            buf[256];
    uint32_t           number;
    unsigned           i;
    trp_str_t          value;
    trp_stun_t         m;
    trp_stun_writer_t  w;

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_ALLOCATE,
                   id);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 1);
    trp_stun_put(&w, TRP_STUN_REALM, "x", 1);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 2);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 3);
    trp_stun_put(&w, TRP_STUN_CHANNEL_NUMBER, "abc", 3);

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "several of a type");

    offset = 0;

    for (i = 1; i <= 3; i++) {
        is_int(trp_stun_each(&m, TRP_STUN_LIFETIME, &offset, &value), TRP_OK,
               "there is number %u", i);
        is_int(trp_read32(value.data), i, "which is it");
    }

    is_int(trp_stun_each(&m, TRP_STUN_LIFETIME, &offset, &value),
           TRP_DECLINED, "and no more");

    is_int(trp_stun_get_u32(&m, TRP_STUN_LIFETIME, &number), TRP_OK,
           "a number");
    is_int(number, 1, "the first one");
    is_int(trp_stun_get_u32(&m, TRP_STUN_CONNECTION_ID, &number),
           TRP_DECLINED, "one that is not there");
    is_int(trp_stun_get_u32(&m, TRP_STUN_CHANNEL_NUMBER, &number), TRP_ERROR,
           "one with a wrong length");

    /* what is not known: required ones, and no more than fit */

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_ALLOCATE,
                   id);

    for (i = 0; i < TRP_STUN_UNKNOWN_MAX + 3; i++) {
        trp_stun_put(&w, (trp_stun_attribute_e) (0xff00 + i), "", 0);
        trp_stun_put(&w, (trp_stun_attribute_e) (0x7f00 + i), "", 0);
    }

    is_int(trp_stun_parse(&m, buf, w.len), TRP_OK, "many that are not known");
    is_int(m.nunknown, TRP_STUN_UNKNOWN_MAX, "as many as are told");
    is_int(m.unknown[0], 0x7f00, "the first");
    is_int(m.unknown[7], 0x7f07, "the last");
}


static void
test_addresses(void)
{
    size_t             i, len;
    uint8_t            buf[64], value[32];
    trp_str_t          str;
    unsigned           wrong;
    trp_stun_t         m;
    trp_taddr_t        addr, back;
    trp_stun_writer_t  w;

    rnd_seed(3);
    wrong = 0;

    for (i = 0; i < 5000; i++) {
        memset(&addr, 0, sizeof(addr));
        addr.addr.family = rnd(2) ? 4 : 6;
        addr.port = (uint16_t) rnd(65536);

        for (len = 0; len < (addr.addr.family == 4 ? 4u : 16u); len++) {
            addr.addr.bytes[len] = (uint8_t) rnd(256);
        }

        for (len = 0; len < sizeof(value); len++) {
            value[len] = (uint8_t) rnd(256);
        }

        trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST,
                       TRP_STUN_ALLOCATE, value);
        trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, &addr);

        wrong += trp_stun_parse(&m, buf, w.len) != TRP_OK
                 || trp_stun_addr(&m, trp_stun_get(&m,
                                                   TRP_STUN_XOR_PEER_ADDRESS),
                                  &back)
                    != TRP_OK
                 || memcmp(&addr, &back, sizeof(addr)) != 0;
    }

    is_int(wrong, 0, "addresses there and back");

    memset(value, 0, sizeof(value));
    str.data = value;

    for (i = 0; i < 4; i++) {
        value[1] = (uint8_t) i;
        wrong = 0;

        for (str.len = 0; str.len <= sizeof(value); str.len++) {
            len = (i == 1) ? 8 : (i == 2) ? 20 : 99;
            wrong += trp_stun_addr(&m, str, &back)
                     != (str.len == len ? TRP_OK : TRP_ERROR);
        }

        is_int(wrong, 0, "family %zu of every length", i);
    }

    str.data = NULL;
    str.len = 0;
    is_int(trp_stun_addr(&m, str, &back), TRP_ERROR, "no attribute at all");
}


/* RFC 2202, RFC 4231, and the long key that is hashed first */

static void
test_digest(void)
{
    char       key[131];
    uint8_t    out[TRP_DIGEST_MAX], want[TRP_DIGEST_MAX];
    trp_str_t  str, parts[8];
    unsigned   i;

    parts[0] = string("what do ya ");
    parts[1] = string("want for nothing?");

    unhex(want, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    is_int(trp_hmac(TRP_SHA1, out, string("Jefe"), parts, 2), TRP_OK, "SHA-1");
    ok(memcmp(out, want, 20) == 0, "RFC 2202, case 2");

    unhex(want, "5bdcc146bf60754e6a042426089575c7"
                "5a003f089d2739839dec58b964ec3843");
    is_int(trp_hmac(TRP_SHA256, out, string("Jefe"), parts, 2), TRP_OK,
           "SHA-256");
    ok(memcmp(out, want, 32) == 0, "RFC 4231, case 2");

    memset(key, 0xaa, sizeof(key));
    str.data = (uint8_t *) key;
    str.len = 131;
    parts[0] = string("Test Using Larger Than Block-Size Key - "
                      "Hash Key First");
    unhex(want, "60e431591ee0b67f0d8a26aacbf5b77f"
                "8e0bc6213728c5140546040f0ee37f54");
    is_int(trp_hmac(TRP_SHA256, out, str, parts, 1), TRP_OK, "a long key");
    ok(memcmp(out, want, 32) == 0, "RFC 4231, case 6");

    parts[0] = string("abc");
    unhex(want, "900150983cd24fb0d6963f7d28e17f72");
    is_int(trp_digest(TRP_MD5, out, parts, 1), TRP_OK, "MD5");
    ok(memcmp(out, want, 16) == 0, "RFC 1321");

    for (i = 0; i < 8; i++) {
        parts[i] = string("");
    }

    is_int(trp_hmac(TRP_SHA1, out, string(""), parts, 7), TRP_OK, "7 parts");
    is_int(trp_hmac(TRP_SHA1, out, string(""), parts, 8), TRP_ERROR,
           "8 are too many");
    is_int(trp_digest_len(TRP_MD5) * 10000 + trp_digest_len(TRP_SHA1) * 100
           + trp_digest_len(TRP_SHA256), 162032, "lengths");
}


int
main(void)
{
    test_request();
    test_responses();
    test_long_term();
    test_altered(request, short_term, "request");
    test_altered(ipv4_response, short_term, "response");
    test_unaligned();
    test_malformed();
    test_types();
    test_frame();
    test_writer();
    test_full();
    test_integrity();
    test_cut();
    test_each();
    test_addresses();
    test_digest();

    return done_testing();
}
