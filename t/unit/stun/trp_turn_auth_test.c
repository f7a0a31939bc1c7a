
/*
 * Copyright (C) the trp authors
 */


/* who may use the TURN server: users, names that expire, nonces */


#include <stdlib.h>

#include <sodium.h>

#include "tap.h"
#include "rnd.h"

#include "base/trp_addr.h"
#include "stun/trp_turn_auth.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))

#define NOW       1600000000

#define FIRST_SECRET                                                          \
    "4c98bf59c99b3e467ecd7cf9d6b3e5279645fca59be67bc5bb4af3cf653761ab"
#define SECOND_SECRET  "1cab293a-4032-46f4-862a-40e5d174b0d2"

/* of the account whose uuid has no bit set */
#define ACCOUNT  "Erk3fL5+XJTopw2dI5KVI9FK+pVHkxMPijlZx7hJrKg"


static const uint8_t  nonce_key[TRP_TURN_NONCE_KEY_LEN] = { 1, 2, 3 };


static trp_str_t
string(const char *s)
{
    trp_str_t  str;

    str.data = (const uint8_t *) s;
    str.len = strlen(s);

    return str;
}


static const char *
hex(const uint8_t *data, size_t len)
{
    static char  buf[2 * 64 + 1];

    sodium_bin2hex(buf, sizeof(buf), data, len);

    return buf;
}


/* the key of NAME:REALM:PASSWORD */

static int
same_key(const trp_turn_key_t *key, unsigned algorithm, const char *name,
    const char *realm, const char *password)
{
    uint8_t       want[TRP_DIGEST_MAX];
    trp_str_t     parts[5];
    trp_digest_e  type;

    type = (algorithm == TRP_STUN_ALGORITHM_SHA256) ? TRP_SHA256 : TRP_MD5;

    parts[0] = string(name);
    parts[1] = string(":");
    parts[2] = string(realm);
    parts[3] = string(":");
    parts[4] = string(password);

    trp_digest(type, want, parts, 5);

    return key->len == trp_digest_len(type)
           && memcmp(key->data, want, key->len) == 0;
}


/* whether this password opens the door of this name */

static int
opens(const trp_turn_credentials_t *c, const char *name, const char *password,
    unsigned algorithm, int64_t now)
{
    int             rc, found;
    char            realm[64];
    size_t          n;
    trp_turn_key_t  key;

    memcpy(realm, c->realm.data, c->realm.len);
    realm[c->realm.len] = '\0';

    found = 0;

    for (n = 0; n < 100; n++) {
        rc = trp_turn_key(c, n, string(name), algorithm, now, &key);

        if (rc == TRP_DECLINED) {
            return found;
        }

        found += rc == TRP_OK
                 && same_key(&key, algorithm, name, realm, password);
    }

    return -1;
}


static int
opens_both(const trp_turn_credentials_t *c, const char *name,
    const char *password, int64_t now)
{
    return opens(c, name, password, TRP_STUN_ALGORITHM_MD5, now)
           + opens(c, name, password, TRP_STUN_ALGORITHM_SHA256, now);
}


static void
test_user_parse(void)
{
    char             longest[600];
    const char      *error;
    trp_str_t        name;
    trp_turn_user_t  user;

    is_str(trp_turn_user_parse(&user, string("user:pass"),
                               string("example.org")),
           NULL, "a name and a password");
    ok(user.name.len == 4 && memcmp(user.name.data, "user", 4) == 0, "name");
    ok(user.has_md5 && user.has_sha256, "both keys");
    is_str(hex(user.md5, 16), "abca35356f4b00fbc33e2d8c2c43b9d6",
           "MD5 of user:example.org:pass");
    is_str(hex(user.sha256, 32),
           "2eab843d62723b5549ca4dde2641a8c0"
           "7ba67a3c7df8919c8da81ee206a4b907", "SHA-256 of the same");

    is_str(trp_turn_user_parse(&user, string("a:b:c"), string("r")), NULL,
           "colons in a password");
    is_int(user.name.len, 1, "are not in the name");

    /* RFC 8489, appendix B.1 */

    name = string("\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82"
                  "\xaf\xe3\x82\xb9:TheMatrIX");
    is_str(trp_turn_user_parse(&user, name, string("example.org")), NULL,
           "a name that is not ASCII");
    is_str(hex(user.userhash, 32),
           "4a3cf38fef6992bda952c6780417da0f"
           "24819415569e60b205c46e41407f1704", "USERHASH");

    /* keys */

    is_str(trp_turn_user_parse(&user, string(
               "user:0xabca35356f4b00fbc33e2d8c2c43b9d6"), string("x")),
           NULL, "a key");
    ok(user.has_md5 && !user.has_sha256, "MD5 only");
    is_str(hex(user.md5, 16), "abca35356f4b00fbc33e2d8c2c43b9d6",
           "the one that was named");

    is_str(trp_turn_user_parse(&user, string(
               "user:0x000102030405060708090A0B0C0D0E0F"
               "101112131415161718191a1b1c1d1e1f"), string("x")),
           NULL, "a longer key");
    ok(!user.has_md5 && user.has_sha256, "SHA-256 only");
    is_int(user.sha256[10], 10, "capitals");

    is_str(trp_turn_user_parse(&user, string("user:0x"), string("x")), NULL,
           "0x alone is a password");
    ok(user.has_md5 && user.has_sha256, "like others");

    /* what is wrong */

    error = "has a key that is not 32 or 64 hexadecimal digits";
    is_str(trp_turn_user_parse(&user, string("u:0x12"), string("x")), error,
           "a short key");
    is_str(trp_turn_user_parse(&user, string(
               "u:0xabca35356f4b00fbc33e2d8c2c43b9d"), string("x")), error,
           "one of 31 digits");
    is_str(trp_turn_user_parse(&user, string(
               "u:0xabca35356f4b00fbc33e2d8c2c43b9dg"), string("x")), error,
           "what is no digit");
    is_str(trp_turn_user_parse(&user, string(
               "u:0xab ca35356f4b00fbc33e2d8c2c43b9d6"), string("x")), error,
           "a blank");

    error = "has no password, write NAME:PASSWORD";
    is_str(trp_turn_user_parse(&user, string("user"), string("x")), error,
           "no colon");
    is_str(trp_turn_user_parse(&user, string(""), string("x")), error,
           "nothing");
    is_str(trp_turn_user_parse(&user, string("user:"), string("x")),
           "has an empty password", "an empty password");

    error = "needs a name of 1 to 508 bytes";
    is_str(trp_turn_user_parse(&user, string(":pass"), string("x")), error,
           "no name");

    memset(longest, 'n', sizeof(longest));
    strcpy(longest + 509, ":p");
    is_str(trp_turn_user_parse(&user, string(longest), string("x")), error,
           "a name of 509");
    is_str(trp_turn_user_parse(&user, string(longest + 1), string("x")), NULL,
           "a name of 508");
}


static void
test_users(void)
{
    uint8_t                 hash[32];
    trp_str_t               name;
    trp_turn_user_t         users[3];
    trp_turn_credentials_t  c;

    memset(&c, 0, sizeof(c));
    c.realm = string("example.org");

    is_int(trp_turn_any_user(&c), 0, "nobody");
    is_int(trp_turn_all_sha256(&c), 1, "and nobody without SHA-256");
    is_int(opens_both(&c, "alice", "secret", NOW), 0, "so nobody comes in");

    trp_turn_user_parse(&users[0], string("alice:secret"), c.realm);
    trp_turn_user_parse(&users[1], string("bob:hidden"), c.realm);
    trp_turn_user_parse(&users[2], string(
        "carol:0xabca35356f4b00fbc33e2d8c2c43b9d6"), c.realm);

    c.users = users;
    c.nusers = 2;

    is_int(trp_turn_any_user(&c), 1, "somebody");
    is_int(trp_turn_all_sha256(&c), 1, "all with both");
    is_int(opens_both(&c, "alice", "secret", NOW), 2, "alice, either way");
    is_int(opens_both(&c, "bob", "hidden", NOW), 2, "bob");
    is_int(opens_both(&c, "alice", "hidden", NOW), 0, "another's password");
    is_int(opens_both(&c, "Alice", "secret", NOW), 0, "letter case");
    is_int(opens_both(&c, "alic", "secret", NOW), 0, "a part of the name");
    is_int(opens_both(&c, "alice2", "secret", NOW), 0, "more than the name");
    is_int(opens_both(&c, "", "", NOW), 0, "no name");

    c.nusers = 3;
    is_int(trp_turn_all_sha256(&c), 0, "one with MD5 only");
    is_int(trp_turn_all_md5(&c), 1, "which all have");
    users[1].has_md5 = 0;
    is_int(trp_turn_all_md5(&c), 0, "one without");
    users[1].has_md5 = 1;
    users[0].has_md5 = 0;
    is_int(trp_turn_all_md5(&c), 0, "the first one without");
    users[0].has_md5 = 1;
    users[0].has_sha256 = 0;
    c.nusers = 2;
    is_int(trp_turn_all_sha256(&c), 0, "or without SHA-256");
    users[0].has_sha256 = 1;
    c.nusers = 3;
    is_int(trp_turn_user_known(users, 3, string("carol")), 1, "a name");
    is_int(trp_turn_user_known(users, 3, string("alice")), 1, "the first");
    is_int(trp_turn_user_known(users, 2, string("carol")), 0, "not yet");
    is_int(trp_turn_user_known(users, 3, string("caro")), 0, "half a name");
    is_int(opens(&c, "carol", "pass", TRP_STUN_ALGORITHM_SHA256, NOW), 0,
           "who cannot use SHA-256");

    memcpy(hash, users[1].userhash, 32);
    name = trp_turn_user_find(&c, hash);
    ok(name.data == users[1].name.data && name.len == 3, "found by its hash");

    hash[31] ^= 1;
    ok(trp_turn_user_find(&c, hash).data == NULL, "nobody has this hash");
}


/* EXPIRY[:NAME] or NAME:EXPIRY, password base64(HMAC-SHA1(secret, username)) */

static void
test_rest(void)
{
    size_t                  i;
    trp_str_t               secrets[2];
    trp_turn_credentials_t  c;

    static const struct {
        const char *name;
        const char *password;
        int         opens;
        const char *what;
    } names[] = {
        { "alice:1700000000", "fEiXa12G7lWCrwAwGzZRSDXRJfQ=", 2,
          "a name and a time" },
        { "a:b:1700000000", "dVs0Pgug9fuxff+Wjwz0mu7MJBU=", 2,
          "a longer name and a time" },
        { ":1700000000", "2fcHO/LSqLhnrYeIseTaufjCqOw=", 2,
          "no name and a time" },
        { "1001:1700000000", "zp2z2adyDzOjtzn3WKfhcI1OB8c=", 2,
          "a number and a time" },
        { "1700000000:1001", "8F+76XmHgZBkhq8XNYMc9nBYFcs=", 2,
          "a time and a number" },
        { "1700000000:1599999999", "nEiELQeJ3cVn14AuLv06tx7Q+2U=", 2,
          "a time and an earlier one" },
        { "1599999999:1700000000", "RZo2aFtZn8uWfoAPBVUarezncCQ=", 0,
          "a time that is over and a later one" },
        { "1001:1002", "6ezmjrQstSdbM63AbZS7NiYDkOw=", 0,
          "two numbers" },
        { "999999999:999999999", "vF+zI24VaD8hKTvLZbdnVL6dFXM=", 0,
          "no times yet" },
        { "alice:1599999999", "eKEweNVcRur5cmCJllHz9eA5BJs=", 0,
          "a name and a time that is over" },
        { "alice:1700000000:", "TZc8QsSO6CH5rSoLYilk777akV4=", 0,
          "a time in the middle" },
        { "alice:17000000000000000", "Vm8jeZ6xvRrZL2VIaneMFQdYIp0=", 0,
          "a number too long" },
        { "alice:1700000000x", "1K5ZOOGwnslJH5CtxtfGjop0nnA=", 0,
          "no number" }
    };

    memset(&c, 0, sizeof(c));
    c.realm = string("example.org");
    c.secrets = secrets;
    c.nsecrets = 1;

    secrets[0] = string("north");

    is_int(trp_turn_any_user(&c), 1, "somebody");
    is_int(trp_turn_all_sha256(&c), 1, "with SHA-256");

    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      NOW),
           2, "a time and a name");
    is_int(opens_both(&c, "1700000000", "CWyHi3zCeWqXBir9thl4m+iZPRY=", NOW),
           2, "a time alone");
    is_int(opens_both(&c, "1700000000:bob", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      NOW),
           0, "another name");
    is_int(opens_both(&c, "1700000001:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      NOW),
           0, "another time");
    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE",
                      NOW),
           0, "without padding");

    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      1699999999),
           2, "in its last second");
    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      1700000000),
           0, "too late");

    for (i = 0; i < nelts(names); i++) {
        is_int(opens_both(&c, names[i].name, names[i].password, NOW),
               names[i].opens, "%s", names[i].what);
    }

    /* two of them while they are being changed */

    secrets[0] = string("south");
    secrets[1] = string("north");

    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      NOW),
           0, "another secret");

    c.nsecrets = 2;
    is_int(opens_both(&c, "1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
                      NOW),
           2, "the second one");
}


static int  accounts;

static int
account_of(void *data, const uint8_t *account)
{
    accounts++;

    return memcmp(account, data, TRP_TURN_ACCOUNT_LEN) == 0;
}


static void
test_portal(void)
{
    trp_turn_credentials_t  c;

    static const char  first[] = "1892160000:n23JJ2wKKtt30oXi";
    static const char  second[] = "1685984278:uvdgKvS9GXYZ_vmv";
    static const char  third[] = "1685984278:" ACCOUNT ":uvdgKvS9GXYZ_vmv";

    memset(&c, 0, sizeof(c));
    c.realm = string("firezone");
    c.portal = string(FIRST_SECRET);

    is_int(trp_turn_any_user(&c), 1, "somebody");
    is_int(opens_both(&c, first,
                      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68", NOW),
           2, "first vector");
    is_int(opens_both(&c, first,
                      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68=", NOW),
           0, "with padding");
    is_int(opens_both(&c, first,
                      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68",
                      1892159999),
           2, "in its last second");
    is_int(opens_both(&c, first,
                      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68",
                      1892160000),
           0, "too late");
    is_int(opens_both(&c, "1892160001:n23JJ2wKKtt30oXi",
                      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68", NOW),
           0, "another time");

    c.portal = string(SECOND_SECRET);

    is_int(opens_both(&c, second,
                      "6xUIoZ+QvxKhRasLifwfRkMXl+ETLJUsFkHlXjlHAkg", NOW),
           2, "second vector");
    is_int(opens_both(&c, third,
                      "vNbf+vO+nDVJ2fcJjghxKu6oJVLDJbm9G6kh3XTySFA", NOW),
           2, "with an account");
    is_int(opens_both(&c, "1685984278:" ACCOUNT ":uvdgKvS9GXYZ_vmw",
                      "vNbf+vO+nDVJ2fcJjghxKu6oJVLDJbm9G6kh3XTySFA", NOW),
           0, "another salt");
    is_int(opens_both(&c, "1685984278", "x", NOW), 0, "no salt");
    is_int(opens_both(&c, "1685984278:", "x", NOW), 0, "an empty one");

    /* accounts that are told */

    c.account = account_of;
    c.data = (void *) ACCOUNT;

    is_int(opens_both(&c, third,
                      "vNbf+vO+nDVJ2fcJjghxKu6oJVLDJbm9G6kh3XTySFA", NOW),
           2, "an account that is known");
    ok(accounts > 0, "that was asked for");
    is_int(opens_both(&c, second,
                      "6xUIoZ+QvxKhRasLifwfRkMXl+ETLJUsFkHlXjlHAkg", NOW),
           0, "without an account nobody comes in then");

    c.data = (void *) "Frk3fL5+XJTopw2dI5KVI9FK+pVHkxMPijlZx7hJrKg";
    is_int(opens_both(&c, third,
                      "vNbf+vO+nDVJ2fcJjghxKu6oJVLDJbm9G6kh3XTySFA", NOW),
           0, "an account that is not known");

    /* without a portal its names are none */

    c.portal = string("");
    c.account = NULL;
    is_int(opens_both(&c, third,
                      "vNbf+vO+nDVJ2fcJjghxKu6oJVLDJbm9G6kh3XTySFA", NOW),
           0, "no portal");
}


/* names that are nearly ones with a time */

static void
test_expiry(void)
{
    int             rc;
    size_t          i;
    trp_str_t       secrets[1];
    trp_turn_key_t  key;

    trp_turn_credentials_t  c;

    static const struct {
        const char *name;
        int         rc;
    } names[] = {
        { "1600000001:a", TRP_OK },
        { "1600000001", TRP_OK },
        { "1600000001:", TRP_OK },
        { "0001600000001:a", TRP_OK },
        { "999999999999999:a", TRP_OK },
        { "9999999999999999:a", TRP_AGAIN },
        { "18446744073709551615:a", TRP_AGAIN },
        { "1600000000:a", TRP_AGAIN },
        { "0:a", TRP_AGAIN },
        { ":a", TRP_AGAIN },
        { "", TRP_AGAIN },
        { "a:1600000001", TRP_OK },
        { "a:1600000000", TRP_AGAIN },
        { "+1600000001:a", TRP_AGAIN },
        { "-1600000001:a", TRP_AGAIN },
        { " 1600000001:a", TRP_AGAIN },
        { "1600000001a:a", TRP_AGAIN },
        { "0x7fffffff:a", TRP_AGAIN }
    };

    memset(&c, 0, sizeof(c));
    c.realm = string("x");
    c.secrets = secrets;
    c.nsecrets = 1;
    c.portal = string("p");
    secrets[0] = string("s");

    for (i = 0; i < nelts(names); i++) {
        rc = trp_turn_key(&c, 2, string(names[i].name),
                          TRP_STUN_ALGORITHM_MD5, NOW, &key);
        is_int(rc, names[i].rc, "name '%s'", names[i].name);
    }

    is_int(trp_turn_key(&c, 3, string("1600000001:a"),
                        TRP_STUN_ALGORITHM_MD5, NOW, &key),
           TRP_DECLINED, "no further one");
}


static void
test_stable(void)
{
    size_t     i;
    char       buf[200];
    uint8_t   *copy;
    trp_str_t  s;

    static const struct {
        const char *name;
        const char *stable;
        const char *account;
    } names[] = {
        { "alice", "alice", NULL },
        { "1700000000:alice", "alice", NULL },
        { "1700000000:alice:x", "alice:x", NULL },
        { "1700000000", "1700000000", NULL },
        { "1700000000:", "1700000000:", NULL },
        { "alice:1700000000", "alice", NULL },
        { "a:b:1700000000", "a:b", NULL },
        { "alice:1001", "alice:1001", NULL },
        { "1001:1700000000", "1001", NULL },
        { "1700000000:1001", "1001", NULL },
        { ":1700000000", ":1700000000", NULL },
        { "", "", NULL },
        { "1:" ACCOUNT ":salt", ACCOUNT ":salt", ACCOUNT },
        { "1:" ACCOUNT ":", ACCOUNT ":", ACCOUNT },
        { "1:" ACCOUNT, ACCOUNT, NULL },
        { "1:" ACCOUNT "x:salt", ACCOUNT "x:salt", NULL },
        { "x:" ACCOUNT ":salt", "x:" ACCOUNT ":salt", NULL }
    };

    for (i = 0; i < nelts(names); i++) {
        s = trp_turn_user_stable(string(names[i].name));
        memcpy(buf, s.data, s.len);
        buf[s.len] = '\0';
        is_str(buf, names[i].stable, "what stays of '%s'", names[i].name);

        /* without a byte to spare */

        s.len = strlen(names[i].name);
        copy = malloc(s.len ? s.len : 1);
        memcpy(copy, names[i].name, s.len);
        s.data = copy;

        s = trp_turn_user_account(s);

        if (s.data) {
            memcpy(buf, s.data, s.len);
            buf[s.len] = '\0';
        }

        is_str(s.data ? buf : NULL, names[i].account, "its account");
        free(copy);
    }
}


static trp_taddr_t
client(const char *text, uint16_t port)
{
    trp_taddr_t  t;

    memset(&t, 0, sizeof(t));
    t.port = port;

    if (trp_addr_parse(&t.addr, string(text)) != TRP_OK) {
        abort();
    }

    return t;
}


static void
test_nonce(unsigned wanted)
{
    size_t       i, len;
    uint8_t      out[TRP_TURN_NONCE_MAX], other_key[TRP_TURN_NONCE_KEY_LEN];
    uint8_t      again[TRP_TURN_NONCE_MAX];
    unsigned     features, c, passed;
    trp_str_t    nonce;
    trp_taddr_t  own, other;

    own = client("192.0.2.1", 4000);

    len = trp_turn_nonce_make(out, nonce_key, &own, wanted, NOW);
    nonce.data = out;
    nonce.len = len;

    is_int(len, wanted ? 37 : 24, "a nonce with features %u", wanted);
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW, &features),
           TRP_OK, "is one");
    is_int(features, wanted, "with its features");

    passed = 0;

    for (i = 0; i < len; i++) {
        passed += out[i] < 0x21 || out[i] > 0x7e || out[i] == '"'
                  || out[i] == '\\';
    }

    is_int(passed, 0, "of characters that need no quotes");

    if (wanted) {
        is_int(memcmp(out, "obMatJos2", 9), 0, "RFC 8489's cookie");
        ok(memcmp(out + 9, wanted == 3 ? "wAAA" : wanted == 1 ? "gAAA"
                                                            : "QAAA", 4)
           == 0, "the bits in their order");
    }

    /* time */

    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW + 3599,
                                &features),
           TRP_OK, "nearly an hour later");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW + 3600,
                                &features),
           TRP_DECLINED, "an hour later");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW + 100000000,
                                &features),
           TRP_DECLINED, "much later");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW - 5, &features),
           TRP_OK, "a clock that was set back");

    trp_turn_nonce_make(again, nonce_key, &own, wanted, NOW);
    ok(memcmp(again, out, len) == 0, "in the same second it is the same");
    trp_turn_nonce_make(again, nonce_key, &own, wanted, NOW + 1);
    ok(memcmp(again, out, len) != 0, "in the next one it is not");

    /* clients */

    other = client("192.0.2.2", 4000);
    is_int(trp_turn_nonce_check(nonce, nonce_key, &other, NOW, &features),
           TRP_DECLINED, "another client's");

    other = client("192.0.2.1", 4001);
    is_int(trp_turn_nonce_check(nonce, nonce_key, &other, NOW, &features),
           TRP_DECLINED, "of another port");

    other = client("c000:201::", 4000);
    is_int(trp_turn_nonce_check(nonce, nonce_key, &other, NOW, &features),
           TRP_DECLINED, "of the other family with the same bytes");

    memset(other_key, 0, sizeof(other_key));
    is_int(trp_turn_nonce_check(nonce, other_key, &own, NOW, &features),
           TRP_DECLINED, "of another server");

    /* each byte, whatever it is changed to */

    for (i = 0; i < len; i++) {
        passed = 0;

        for (c = 1; c < 256; c++) {
            out[i] ^= (uint8_t) c;
            passed += trp_turn_nonce_check(nonce, nonce_key, &own, NOW,
                                           &features) == TRP_OK;
            out[i] ^= (uint8_t) c;
        }

        is_int(passed, 0, "altered byte %zu of a nonce with features %u", i,
               wanted);
    }

    /* lengths; a longer one becomes no shorter one */

    passed = 0;

    for (nonce.len = 0; nonce.len < len; nonce.len++) {
        passed += trp_turn_nonce_check(nonce, nonce_key, &own, NOW, &features)
                  == TRP_OK;
    }

    is_int(passed, 0, "a part of it");

    if (wanted) {
        nonce.data = out + 13;
        nonce.len = 24;
        is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW, &features),
               TRP_DECLINED, "without the cookie");

        out[9] = (out[9] == 'w') ? 'g' : 'w';
        nonce.data = out;
        nonce.len = len;
        is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW, &features),
               TRP_DECLINED, "with other features");
    }
}


static void
test_nonce_families(void)
{
    size_t       len;
    uint8_t      out[TRP_TURN_NONCE_MAX];
    unsigned     features;
    trp_str_t    nonce;
    trp_taddr_t  own, other;

    own = client("2001:db8::1", 4000);
    other = client("2001:db8::2", 4000);

    len = trp_turn_nonce_make(out, nonce_key, &own, 0, NOW);
    nonce.data = out;
    nonce.len = len;

    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, NOW, &features),
           TRP_OK, "IPv6");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &other, NOW, &features),
           TRP_DECLINED, "the last byte of an address counts");

    /* seconds beyond 32 bits */

    trp_turn_nonce_make(out, nonce_key, &own, 0, 0xffffff00);
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, 0xfffffff0,
                                &features),
           TRP_OK, "before the seconds overflow");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, 0x100000010,
                                &features),
           TRP_OK, "and behind");
    is_int(trp_turn_nonce_check(nonce, nonce_key, &own, 0x100000e00,
                                &features),
           TRP_DECLINED, "an hour later");
}


int
main(void)
{
    test_user_parse();
    test_users();
    test_rest();
    test_portal();
    test_expiry();
    test_stable();
    test_nonce(TRP_TURN_NONCE_PLAIN);
    test_nonce(TRP_TURN_NONCE_ALGORITHMS);
    test_nonce(TRP_TURN_NONCE_ANONYMITY);
    test_nonce(TRP_TURN_NONCE_ALGORITHMS | TRP_TURN_NONCE_ANONYMITY);
    test_nonce_families();

    return done_testing();
}
