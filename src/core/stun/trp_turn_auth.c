
/*
 * Copyright (C) the trp authors
 */


/*
 * Makes the keys that a request may be signed with; makes and checks nonces.  A
 * nonce has its expiry time and a MAC over that and the client's address, so
 * that it needs no memory.
 */


#include "stun/trp_turn_auth.h"

#include <string.h>

#include <sodium.h>

#include "base/trp_addr.h"


#define TRP_TURN_COOKIE       "obMatJos2"      /* RFC 8489, section 9.2 */
#define TRP_TURN_COOKIE_LEN   (sizeof(TRP_TURN_COOKIE) - 1)
#define TRP_TURN_FEATURES_LEN 4                /* base64 of 24 bits */
#define TRP_TURN_NONCE_LEN    24               /* base64 of 18 bytes */
#define TRP_TURN_MAC_LEN      14

/* 2001-09-09: no user name has an earlier time of expiry */
#define TRP_TURN_FIRST_TIME   1000000000

/* all of them */
#define TRP_TURN_NONCE_FEATURES                                               \
    (TRP_TURN_NONCE_ALGORITHMS|TRP_TURN_NONCE_ANONYMITY)


static trp_digest_e trp_turn_digest(unsigned algorithm);
static int trp_turn_hex(uint8_t *out, size_t len, trp_str_t text);
static int trp_turn_key_user(const trp_turn_user_t *user, unsigned algorithm,
    trp_turn_key_t *key);
static int trp_turn_key_secret(const trp_turn_credentials_t *credentials,
    trp_str_t secret, trp_str_t name, unsigned algorithm, int64_t now,
    trp_turn_key_t *key);
static int trp_turn_key_portal(const trp_turn_credentials_t *credentials,
    trp_str_t name, unsigned algorithm, int64_t now, trp_turn_key_t *key);
static int trp_turn_rest_expiry(trp_str_t name, int64_t *expiry,
    trp_str_t *rest);
static int trp_turn_expiry(trp_str_t name, int64_t *expiry, trp_str_t *rest);
static int trp_turn_time(trp_str_t text, int64_t *time);
static void trp_turn_nonce_mac(uint8_t *mac, const uint8_t *key,
    const trp_taddr_t *client, unsigned features, const uint8_t *expiry);


static trp_str_t  trp_turn_colon = trp_string(":");


const char *
trp_turn_user_parse(trp_turn_user_t *user, trp_str_t text, trp_str_t realm)
{
    const uint8_t   *p;
    trp_str_t        password, parts[3];
    trp_turn_key_t   key;

    memset(user, 0, sizeof(trp_turn_user_t));

    p = text.len ? memchr(text.data, ':', text.len) : NULL;

    if (p == NULL) {
        return "has no password, write NAME:PASSWORD";
    }

    user->name.data = text.data;
    user->name.len = p - text.data;

    password.data = p + 1;
    password.len = text.len - user->name.len - 1;

    if (user->name.len == 0 || user->name.len > TRP_STUN_USERNAME_MAX) {
        return "needs a name of 1 to 508 bytes";
    }

    if (password.len == 0) {
        return "has an empty password";
    }

    parts[0] = user->name;
    parts[1] = trp_turn_colon;
    parts[2] = realm;

    if (trp_digest(TRP_SHA256, user->userhash, parts, 3) != TRP_OK) {
        return "cannot be hashed";
    }

    if (password.len > 2 && memcmp(password.data, "0x", 2) == 0) {
        password.data += 2;
        password.len -= 2;

        user->has_md5 = trp_turn_hex(user->md5, 16, password) == TRP_OK;
        user->has_sha256 = trp_turn_hex(user->sha256, 32, password) == TRP_OK;

        return (user->has_md5 || user->has_sha256)
               ? NULL : "has a key that is not 32 or 64 hexadecimal digits";
    }

    if (trp_turn_key_make(user->name, realm, password, TRP_STUN_ALGORITHM_MD5,
                          &key)
        == TRP_OK)
    {
        memcpy(user->md5, key.data, 16);
        user->has_md5 = 1;
    }

    if (trp_turn_key_make(user->name, realm, password,
                          TRP_STUN_ALGORITHM_SHA256, &key)
        == TRP_OK)
    {
        memcpy(user->sha256, key.data, 32);
        user->has_sha256 = 1;
    }

    return NULL;
}


static int
trp_turn_hex(uint8_t *out, size_t len, trp_str_t text)
{
    size_t  n;

    if (text.len != len * 2
        || sodium_hex2bin(out, len, (const char *) text.data, text.len, NULL,
                          &n, NULL)
           != 0)
    {
        return TRP_ERROR;
    }

    return (n == len) ? TRP_OK : TRP_ERROR;
}


int
trp_turn_user_known(const trp_turn_user_t *users, size_t n, trp_str_t name)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (users[i].name.len == name.len
            && memcmp(users[i].name.data, name.data, name.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


trp_str_t
trp_turn_user_find(const trp_turn_credentials_t *credentials,
    const uint8_t *userhash)
{
    size_t            i;
    static trp_str_t  none;

    for (i = 0; i < credentials->nusers; i++) {
        if (memcmp(credentials->users[i].userhash, userhash,
                   TRP_STUN_USERHASH_LEN)
            == 0)
        {
            return credentials->users[i].name;
        }
    }

    return none;
}


int
trp_turn_any_user(const trp_turn_credentials_t *credentials)
{
    return credentials->nusers || credentials->nsecrets
           || credentials->portal.len;
}


int
trp_turn_all_md5(const trp_turn_credentials_t *credentials)
{
    size_t  i;

    for (i = 0; i < credentials->nusers; i++) {
        if (!credentials->users[i].has_md5) {
            return 0;
        }
    }

    return 1;
}


int
trp_turn_all_sha256(const trp_turn_credentials_t *credentials)
{
    size_t  i;

    for (i = 0; i < credentials->nusers; i++) {
        if (!credentials->users[i].has_sha256) {
            return 0;
        }
    }

    return 1;
}


int
trp_turn_key(const trp_turn_credentials_t *credentials, size_t n,
    trp_str_t name, unsigned algorithm, int64_t now, trp_turn_key_t *key)
{
    size_t                  i;
    const trp_turn_user_t  *user;

    if (n == 0) {

        for (i = 0; i < credentials->nusers; i++) {
            user = &credentials->users[i];

            if (user->name.len == name.len
                && memcmp(user->name.data, name.data, name.len) == 0)
            {
                return trp_turn_key_user(user, algorithm, key);
            }
        }

        return TRP_AGAIN;
    }

    if (n == 1) {
        return trp_turn_key_portal(credentials, name, algorithm, now, key);
    }

    n -= 2;

    if (n < credentials->nsecrets) {
        return trp_turn_key_secret(credentials, credentials->secrets[n], name,
                                   algorithm, now, key);
    }

    return TRP_DECLINED;
}


static int
trp_turn_key_user(const trp_turn_user_t *user, unsigned algorithm,
    trp_turn_key_t *key)
{
    if (algorithm == TRP_STUN_ALGORITHM_SHA256) {
        key->len = sizeof(user->sha256);
        memcpy(key->data, user->sha256, key->len);
        return user->has_sha256 ? TRP_OK : TRP_AGAIN;
    }

    key->len = sizeof(user->md5);
    memcpy(key->data, user->md5, key->len);

    return user->has_md5 ? TRP_OK : TRP_AGAIN;
}


/* the key of a time-limited name */

static int
trp_turn_key_secret(const trp_turn_credentials_t *credentials,
    trp_str_t secret, trp_str_t name, unsigned algorithm, int64_t now,
    trp_turn_key_t *key)
{
    char       text[TRP_TURN_PASSWORD_LEN + 1];
    int64_t    expiry;
    trp_str_t  rest, password;

    if (trp_turn_rest_expiry(name, &expiry, &rest) != TRP_OK || expiry <= now
        || trp_turn_password(text, secret, name) != TRP_OK)
    {
        return TRP_AGAIN;
    }

    password.data = (uint8_t *) text;
    password.len = TRP_TURN_PASSWORD_LEN;

    return trp_turn_key_make(name, credentials->realm, password, algorithm,
                             key);
}


/* base64(HMAC-SHA1(secret, name)) */

int
trp_turn_password(char *out, trp_str_t secret, trp_str_t name)
{
    uint8_t  digest[TRP_DIGEST_MAX];

    if (trp_hmac(TRP_SHA1, digest, secret, &name, 1) != TRP_OK) {
        return TRP_ERROR;
    }

    sodium_bin2base64(out, TRP_TURN_PASSWORD_LEN + 1, digest, 20,
                      sodium_base64_VARIANT_ORIGINAL);

    return TRP_OK;
}


/*
 * EXPIRY:SALT, with the password SHA256(EXPIRY:SECRET:SALT), or, with an
 * account, EXPIRY:ACCOUNT:SALT and SHA256(EXPIRY:ACCOUNT:SALT:SECRET)
 */

static int
trp_turn_key_portal(const trp_turn_credentials_t *credentials,
    trp_str_t name, unsigned algorithm, int64_t now, trp_turn_key_t *key)
{
    char       text[sodium_base64_ENCODED_LEN(32,
                                    sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
    uint8_t    digest[TRP_DIGEST_MAX];
    int64_t    expiry;
    trp_str_t  rest, account, password, parts[5];

    if (credentials->portal.len == 0
        || trp_turn_expiry(name, &expiry, &rest) != TRP_OK
        || rest.len == 0
        || expiry <= now)
    {
        return TRP_AGAIN;
    }

    account = trp_turn_user_account(name);

    if (credentials->account
        && (account.data == NULL
            || !credentials->account(credentials->data, account.data)))
    {
        return TRP_AGAIN;
    }

    if (account.data) {
        parts[0] = name;
        parts[1] = trp_turn_colon;
        parts[2] = credentials->portal;

    } else {
        parts[0] = name;
        parts[0].len = rest.data - name.data;      /* with the colon */
        parts[1] = credentials->portal;
        parts[2] = trp_turn_colon;
        parts[3] = rest;
    }

    if (trp_digest(TRP_SHA256, digest, parts, account.data ? 3 : 4) != TRP_OK)
    {
        return TRP_AGAIN;
    }

    sodium_bin2base64(text, sizeof(text), digest, 32,
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);

    password.data = (uint8_t *) text;
    password.len = strlen(text);

    return trp_turn_key_make(name, credentials->realm, password, algorithm,
                             key);
}


/*
 * EXPIRY[:REST] or REST:EXPIRY.  A first part that may be a time is the time,
 * whatever the last one is; a small number is taken for part of a name.
 */

static int
trp_turn_rest_expiry(trp_str_t name, int64_t *expiry, trp_str_t *rest)
{
    int        rc;
    int64_t    time;
    trp_str_t  last;

    rc = trp_turn_expiry(name, expiry, rest);

    if (rc == TRP_OK && *expiry >= TRP_TURN_FIRST_TIME) {
        return TRP_OK;
    }

    last.data = name.data + name.len;
    last.len = 0;

    while (last.data != name.data && last.data[-1] != ':') {
        last.data--;
        last.len++;
    }

    if (last.data == name.data
        || trp_turn_time(last, &time) != TRP_OK
        || time < TRP_TURN_FIRST_TIME)
    {
        return rc;
    }

    *expiry = time;
    rest->data = name.data;
    rest->len = last.data - name.data - 1;

    return TRP_OK;
}


/* EXPIRY[:REST] */

static int
trp_turn_expiry(trp_str_t name, int64_t *expiry, trp_str_t *rest)
{
    trp_str_t  first;

    first.data = name.data;

    for (first.len = 0; first.len < name.len; first.len++) {
        if (name.data[first.len] == ':') {
            break;
        }
    }

    rest->len = (first.len < name.len) ? name.len - first.len - 1 : 0;
    rest->data = name.data + name.len - rest->len;

    return trp_turn_time(first, expiry);
}


/* seconds since 1970, at most 15 digits of them */

static int
trp_turn_time(trp_str_t text, int64_t *time)
{
    size_t  i;

    *time = 0;

    if (text.len == 0 || text.len > 15) {
        return TRP_ERROR;
    }

    for (i = 0; i < text.len; i++) {

        if (text.data[i] < '0' || text.data[i] > '9') {
            return TRP_ERROR;
        }

        *time = *time * 10 + (text.data[i] - '0');
    }

    return TRP_OK;
}


int
trp_turn_key_make(trp_str_t name, trp_str_t realm, trp_str_t password,
    unsigned algorithm, trp_turn_key_t *key)
{
    trp_str_t     parts[5];
    trp_digest_e  type;

    type = trp_turn_digest(algorithm);

    parts[0] = name;
    parts[1] = trp_turn_colon;
    parts[2] = realm;
    parts[3] = trp_turn_colon;
    parts[4] = password;

    key->len = trp_digest_len(type);

    return (trp_digest(type, key->data, parts, 5) == TRP_OK) ? TRP_OK
                                                             : TRP_AGAIN;
}


size_t
trp_turn_key_len(unsigned algorithm)
{
    return trp_digest_len(trp_turn_digest(algorithm));
}


static trp_digest_e
trp_turn_digest(unsigned algorithm)
{
    return (algorithm == TRP_STUN_ALGORITHM_SHA256) ? TRP_SHA256 : TRP_MD5;
}


trp_str_t
trp_turn_user_stable(trp_str_t name)
{
    int64_t    expiry;
    trp_str_t  rest;

    if (trp_turn_rest_expiry(name, &expiry, &rest) == TRP_OK && rest.len) {
        return rest;
    }

    return name;
}


trp_str_t
trp_turn_user_account(trp_str_t name)
{
    int64_t           expiry;
    trp_str_t         rest;
    static trp_str_t  none;

    if (trp_turn_expiry(name, &expiry, &rest) != TRP_OK
        || rest.len <= TRP_TURN_ACCOUNT_LEN
        || rest.data[TRP_TURN_ACCOUNT_LEN] != ':')
    {
        return none;
    }

    rest.len = TRP_TURN_ACCOUNT_LEN;

    return rest;
}


/* base64 of a time and of a MAC over it, the client and the features */

size_t
trp_turn_nonce_make(uint8_t *out, const uint8_t *key,
    const trp_taddr_t *client, unsigned features, int64_t now)
{
    char     text[TRP_TURN_NONCE_LEN + 1];
    uint8_t  payload[4 + TRP_TURN_MAC_LEN], bits[3], *p;

    trp_write32(payload, (uint32_t) (now + TRP_TURN_NONCE_TIME));
    trp_turn_nonce_mac(payload + 4, key, client, features, payload);

    p = out;

    if (features) {
        memcpy(p, TRP_TURN_COOKIE, TRP_TURN_COOKIE_LEN);
        p += TRP_TURN_COOKIE_LEN;

        /* RFC 8489, section 18.1: bit 0 is the leftmost one */

        memset(bits, 0, sizeof(bits));
        bits[0] |= (features & TRP_TURN_NONCE_ALGORITHMS) ? 0x80 : 0;
        bits[0] |= (features & TRP_TURN_NONCE_ANONYMITY) ? 0x40 : 0;

        sodium_bin2base64(text, sizeof(text), bits, sizeof(bits),
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
        memcpy(p, text, TRP_TURN_FEATURES_LEN);
        p += TRP_TURN_FEATURES_LEN;
    }

    sodium_bin2base64(text, sizeof(text), payload, sizeof(payload),
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    memcpy(p, text, TRP_TURN_NONCE_LEN);

    return p + TRP_TURN_NONCE_LEN - out;
}


/* accepts exactly what trp_turn_nonce_make() would have made */

int
trp_turn_nonce_check(trp_str_t nonce, const uint8_t *key,
    const trp_taddr_t *client, int64_t now, unsigned *features)
{
    size_t          len, n;
    uint8_t         payload[4 + TRP_TURN_MAC_LEN], own[TRP_TURN_NONCE_MAX];
    uint32_t        expiry;
    unsigned        set;
    const uint8_t  *text;

    *features = 0;

    if (nonce.len < TRP_TURN_NONCE_LEN || nonce.len > TRP_TURN_NONCE_MAX) {
        return TRP_DECLINED;
    }

    text = nonce.data + nonce.len - TRP_TURN_NONCE_LEN;

    if (sodium_base642bin(payload, sizeof(payload), (const char *) text,
                          TRP_TURN_NONCE_LEN, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING)
        != 0
        || n != sizeof(payload))
    {
        return TRP_DECLINED;
    }

    expiry = trp_read32(payload);

    if ((int32_t) (expiry - (uint32_t) now) <= 0) {
        return TRP_DECLINED;
    }

    for (set = 0; set <= TRP_TURN_NONCE_FEATURES; set++) {

        if ((set == 0) != (nonce.len == TRP_TURN_NONCE_LEN)) {
            continue;
        }

        len = trp_turn_nonce_make(own, key, client, set,
                                  (int64_t) expiry - TRP_TURN_NONCE_TIME);

        if (len == nonce.len && sodium_memcmp(own, nonce.data, len) == 0) {
            *features = set;
            return TRP_OK;
        }
    }

    return TRP_DECLINED;
}


unsigned
trp_turn_nonce_features(trp_str_t nonce)
{
    size_t    n;
    uint8_t   bits[3];
    unsigned  features;

    if (nonce.len < TRP_TURN_COOKIE_LEN + TRP_TURN_FEATURES_LEN
        || memcmp(nonce.data, TRP_TURN_COOKIE, TRP_TURN_COOKIE_LEN) != 0
        || sodium_base642bin(bits, sizeof(bits),
                             (const char *) nonce.data + TRP_TURN_COOKIE_LEN,
                             TRP_TURN_FEATURES_LEN, NULL, &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING)
           != 0
        || n != sizeof(bits))
    {
        return TRP_TURN_NONCE_PLAIN;
    }

    features = (bits[0] & 0x80) ? TRP_TURN_NONCE_ALGORITHMS : 0;
    features |= (bits[0] & 0x40) ? TRP_TURN_NONCE_ANONYMITY : 0;

    return features;
}


static void
trp_turn_nonce_mac(uint8_t *mac, const uint8_t *key,
    const trp_taddr_t *client, unsigned features, const uint8_t *expiry)
{
    uint8_t  text[4 + 1 + 1 + 2 + 16], digest[crypto_auth_hmacsha256_BYTES];

    memset(text, 0, sizeof(text));

    memcpy(text, expiry, 4);
    text[4] = (uint8_t) features;
    text[5] = client->addr.family;
    trp_write16(text + 6, client->port);
    memcpy(text + 8, client->addr.bytes, trp_addr_len(&client->addr));

    crypto_auth_hmacsha256(digest, text, sizeof(text), key);

    memcpy(mac, digest, TRP_TURN_MAC_LEN);
}
