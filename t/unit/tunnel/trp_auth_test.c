
/*
 * Copyright (C) the trp authors
 */


/* the signature of a handshake: good for exactly what was signed */


#include <sodium.h>

#include "tap.h"

#include "tunnel/trp_auth.h"


#define LABEL                                                                 \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"


static uint8_t  secret[64];
static uint8_t  other_secret[64];
static uint8_t  relay_nonce[TRP_NONCE_LEN];
static uint8_t  exporter[TRP_EXPORTER_LEN];


static trp_str_t
text_n(const char *s, size_t len)
{
    trp_str_t  str;

    str.len = len;
    str.data = (const uint8_t *) s;

    return str;
}


static trp_auth_t
claims(trp_str_t group, trp_str_t name)
{
    trp_auth_t  auth;

    memset(&auth, 0, sizeof(auth));
    memset(auth.nonce, 0x22, sizeof(auth.nonce));

    auth.version = TRP_VERSION;
    auth.role = 1;
    auth.weight = 1;
    auth.group = group;
    auth.name = name;

    return auth;
}


static trp_auth_t
signed_claims(const char *group, const char *name)
{
    trp_auth_t  auth;

    auth = claims(text_n(group, strlen(group)), text_n(name, strlen(name)));
    trp_auth_sign(&auth, relay_nonce, exporter, secret);

    return auth;
}


static int
verify(const trp_auth_t *auth)
{
    return trp_auth_verify(auth, relay_nonce, exporter);
}


static void
test_sign(void)
{
    uint8_t     buf[TRP_HEADER_LEN + TRP_CONTROL_MAX], *end;
    trp_auth_t  auth, again;

    auth = signed_claims("group", "name");

    is_int(verify(&auth), TRP_OK, "a signature");
    ok(memcmp(auth.public_key, secret + 32, 32) == 0, "its public key");

    again = signed_claims("group", "name");
    ok(memcmp(auth.signature, again.signature, 64) == 0,
       "the same claims, the same signature");

    trp_auth_sign(&again, relay_nonce, exporter, other_secret);
    is_int(verify(&again), TRP_OK, "signed by another key");
    ok(memcmp(auth.signature, again.signature, 64) != 0,
       "another signature");

    memcpy(again.public_key, auth.public_key, 32);
    is_int(verify(&again), TRP_ERROR, "a key that did not sign");

    end = trp_auth_put(buf, &auth);
    is_int(trp_auth_get(&again, buf + 4, (size_t) (end - buf) - 4), TRP_OK,
           "through the wire");
    is_int(verify(&again), TRP_OK, "still good");

    auth = signed_claims(LABEL, LABEL);
    is_int(auth.group.len, TRP_LABEL_MAX, "the longest labels");
    is_int(verify(&auth), TRP_OK, "a signature");
}


/* the bytes as docs/protocol.md has them */

static void
test_transcript(void)
{
    uint8_t     buf[256], *p;
    trp_auth_t  auth;

    auth = signed_claims("group", "name");

    p = buf;
    memcpy(p, "trp/2 auth\0\2\1\5group\4name", 24);
    p += 24;
    memcpy(p, relay_nonce, 32);
    memcpy(p + 32, auth.nonce, 32);
    memcpy(p + 64, exporter, 32);
    p += 96;

    is_int(crypto_sign_ed25519_verify_detached(auth.signature, buf,
                                               (size_t) (p - buf),
                                               secret + 32),
           0, "the transcript");
}


/* each bit of "len" bytes flipped: how many signatures are good still */

static int
flip(trp_auth_t *auth, void *data, size_t len)
{
    int       good;
    size_t    n;
    uint8_t  *p;

    p = data;
    good = 0;

    for (n = 0; n < len * 8; n++) {
        p[n / 8] ^= (uint8_t) (1 << n % 8);
        good += (verify(auth) == TRP_OK);
        p[n / 8] ^= (uint8_t) (1 << n % 8);
    }

    return good;
}


static void
test_changed(void)
{
    char        group[] = "group", name[] = "name";
    trp_auth_t  auth;

    auth = signed_claims(group, name);

    is_int(flip(&auth, &auth.version, 1), 0, "version");
    is_int(flip(&auth, &auth.role, 1), 0, "role");
    is_int(flip(&auth, group, 5), 0, "group");
    is_int(flip(&auth, name, 4), 0, "name");
    is_int(flip(&auth, auth.public_key, 32), 0, "public key");
    is_int(flip(&auth, auth.nonce, TRP_NONCE_LEN), 0, "agent's nonce");
    is_int(flip(&auth, auth.signature, TRP_SIGNATURE_LEN), 0, "signature");
    is_int(flip(&auth, relay_nonce, TRP_NONCE_LEN), 0, "relay's nonce");
    is_int(flip(&auth, exporter, TRP_EXPORTER_LEN), 0, "exporter");
    is_int(verify(&auth), TRP_OK, "nothing");

    auth.group.len--;
    is_int(verify(&auth), TRP_ERROR, "group without its last byte");
    auth.group.len++;

    auth.name.len--;
    is_int(verify(&auth), TRP_ERROR, "name without its last byte");
    auth.name.len++;

    is_int(trp_auth_verify(&auth, auth.nonce, exporter), TRP_ERROR,
           "the agent's nonce as the relay's");
    is_int(trp_auth_verify(&auth, exporter, relay_nonce), TRP_ERROR,
           "nonce and exporter exchanged");

    auth = signed_claims("name", "group");
    auth.group = text_n("group", 5);
    auth.name = text_n("name", 4);
    is_int(verify(&auth), TRP_ERROR, "group and name exchanged");
}


/* "ab" and "c" is not "a" and "bc", wherever a string is split */

static void
test_splits(void)
{
    int         wrong;
    size_t      i, k;
    trp_auth_t  auth;

    /* bytes that are lengths of the rest, as far as a label may have them */

    static const char  s[] = "\11\10\7\6\5\4\3\2\1a";

    auth = signed_claims("ab", "c");
    auth.group = text_n("a", 1);
    auth.name = text_n("bc", 2);
    is_int(verify(&auth), TRP_ERROR, "\"ab\", \"c\" for \"a\", \"bc\"");

    wrong = 0;

    for (i = 0; i <= 10; i++) {
        auth = claims(text_n(s, i), text_n(s + i, 10 - i));
        trp_auth_sign(&auth, relay_nonce, exporter, secret);

        for (k = 0; k <= 10; k++) {
            auth.group = text_n(s, k);
            auth.name = text_n(s + k, 10 - k);
            wrong += (verify(&auth) == TRP_OK) != (i == k);
        }
    }

    is_int(wrong, 0, "every split against every other");
}


/* keys and signatures that are good for much, to a careless verifier */

static void
test_weak(void)
{
    size_t      i;
    trp_auth_t  auth;

    /* points of small order: RFC 8032, section 5.1.3, and libsodium's list */

    static const uint8_t  points[][32] = {
        { 0 },
        { 1 },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
          0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
          0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
          0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 }
    };

    for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        auth = signed_claims("group", "name");

        memcpy(auth.public_key, points[i], 32);
        memcpy(auth.signature, points[i], 32);
        memset(auth.signature + 32, 0, 32);

        is_int(verify(&auth), TRP_ERROR, "key of small order %d", (int) i);
    }

    auth = signed_claims("group", "name");
    memset(auth.signature, 0, 64);
    is_int(verify(&auth), TRP_ERROR, "a signature of nothing but zeros");

    memset(auth.signature, 0xff, 64);
    is_int(verify(&auth), TRP_ERROR, "a signature of nothing but ones");
}


int
main(void)
{
    uint8_t  seed[32], public_key[32];

    memset(seed, 7, sizeof(seed));
    crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    memset(seed, 8, sizeof(seed));
    crypto_sign_ed25519_seed_keypair(public_key, other_secret, seed);

    memset(relay_nonce, 0x11, sizeof(relay_nonce));
    memset(exporter, 0x33, sizeof(exporter));

    test_sign();
    test_transcript();
    test_changed();
    test_splits();
    test_weak();

    return done_testing();
}
