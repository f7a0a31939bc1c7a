
/*
 * Copyright (C) the trp authors
 */


/*
 * Authentication for the TURN server: the long-term credentials of RFC 8489,
 * section 9.2, for users with a password, for time-limited user names
 * (coturn's "REST API"), and for those that firezone's portal hands out; and
 * stateless nonces.
 */


#ifndef TRP_TURN_AUTH_H_INCLUDED
#define TRP_TURN_AUTH_H_INCLUDED


#include "base/trp_core.h"
#include "base/trp_digest.h"
#include "stun/trp_stun.h"


#pragma GCC visibility push(hidden)


#define TRP_TURN_NONCE_KEY_LEN  32
#define TRP_TURN_NONCE_MAX      37
#define TRP_TURN_NONCE_TIME     3600       /* seconds */
#define TRP_TURN_ACCOUNT_LEN    43         /* base64 of SHA-256 */
#define TRP_TURN_PASSWORD_LEN   28         /* base64 of HMAC-SHA1 */


/*
 * A user with a key for each algorithm; "userhash" is SHA-256(name ":" realm).
 * A user configured by a key has only that one.
 */

typedef struct {
    trp_str_t               name;
    uint8_t                 md5[16];
    uint8_t                 sha256[32];
    uint8_t                 userhash[TRP_STUN_USERHASH_LEN];
    unsigned                has_md5:1;
    unsigned                has_sha256:1;
} trp_turn_user_t;


/* 1 if the portal has named this account; "account" is the text of its hash */

typedef int (*trp_turn_account_pt)(void *data, const uint8_t *account);


typedef struct {
    trp_str_t               realm;
    const trp_turn_user_t  *users;
    size_t                  nusers;
    const trp_str_t        *secrets;
    size_t                  nsecrets;
    trp_str_t               portal;        /* its secret, as text; or empty */
    trp_turn_account_pt     account;       /* NULL: any account */
    void                   *data;
} trp_turn_credentials_t;


typedef struct {
    uint8_t                 data[TRP_DIGEST_MAX];
    size_t                  len;
} trp_turn_key_t;


/*
 * NAME:PASSWORD, or NAME:0x and 32 hex digits of MD5(name:realm:password), or
 * 64 of SHA-256.  Returns NULL on success, or the rest of an error message that
 * starts with the quoted user.
 */

const char *trp_turn_user_parse(trp_turn_user_t *user, trp_str_t text,
    trp_str_t realm);

/* 1 if one of these users has this name */

int trp_turn_user_known(const trp_turn_user_t *users, size_t n,
    trp_str_t name);

/* the name of the user with this hash; data is NULL if there is none */

trp_str_t trp_turn_user_find(const trp_turn_credentials_t *credentials,
    const uint8_t *userhash);

/* 1 if any user can authenticate */

int trp_turn_any_user(const trp_turn_credentials_t *credentials);

/* 1 if all users can use MD5, or SHA-256 */

int trp_turn_all_md5(const trp_turn_credentials_t *credentials);
int trp_turn_all_sha256(const trp_turn_credentials_t *credentials);


/*
 * Candidate "n", from 0 on, for the key of this user name: TRP_OK; TRP_AGAIN
 * if this one does not apply, but a later one may; TRP_DECLINED if there are
 * no more.  "now" is in seconds since the epoch; TRP_TURN_ANY_TIME is before
 * any time of expiry, so that no name has expired.
 */

#define TRP_TURN_ANY_TIME  (-1)

int trp_turn_key(const trp_turn_credentials_t *credentials, size_t n,
    trp_str_t name, unsigned algorithm, int64_t now, trp_turn_key_t *key);

/* the length of the keys of an algorithm */

size_t trp_turn_key_len(unsigned algorithm);

/* TRP_OK, or TRP_AGAIN if OpenSSL fails, as it may for MD5 */

int trp_turn_key_make(trp_str_t name, trp_str_t realm, trp_str_t password,
    unsigned algorithm, trp_turn_key_t *key);

/*
 * Writes the password that a secret yields for a time-limited name,
 * TRP_TURN_PASSWORD_LEN bytes and a null byte.  TRP_OK, or TRP_ERROR if
 * OpenSSL fails.
 */

int trp_turn_password(char *out, trp_str_t secret, trp_str_t name);

/* the part of a user name that does not depend on its time of expiry */

trp_str_t trp_turn_user_stable(trp_str_t name);

/* the account's hash in a portal's user name; data is NULL if there is none */

trp_str_t trp_turn_user_account(trp_str_t name);


typedef enum {
    TRP_TURN_NONCE_PLAIN = 0,
    TRP_TURN_NONCE_ALGORITHMS = 1,         /* "Password algorithms" */
    TRP_TURN_NONCE_ANONYMITY = 2           /* "Username anonymity" */
} trp_turn_nonce_e;


/*
 * Writes a nonce for this client, at most TRP_TURN_NONCE_MAX bytes, and
 * returns its length; "features" is a set of trp_turn_nonce_e (RFC 8489,
 * section 9.2), which make the nonce longer.
 */

size_t trp_turn_nonce_make(uint8_t *out, const uint8_t *key,
    const trp_taddr_t *client, unsigned features, int64_t now);

/* TRP_OK and the features; TRP_DECLINED: not ours, expired, another client's */

int trp_turn_nonce_check(trp_str_t nonce, const uint8_t *key,
    const trp_taddr_t *client, int64_t now, unsigned *features);

/* the features that the nonce of any server announces */

unsigned trp_turn_nonce_features(trp_str_t nonce);


#pragma GCC visibility pop


#endif /* TRP_TURN_AUTH_H_INCLUDED */
