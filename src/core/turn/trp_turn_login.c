
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether a request is authentic: nonces, keys and challenges (RFC 8489,
 * section 9.2), and limits of the answers to unauthenticated clients.
 */


#include "turn/trp_turn_login.h"
#include "base/trp_str.h"
#include "turn/trp_turn.h"
#include "turn/trp_turn_answer.h"
#include "turn/trp_turn_command.h"

#include <string.h>


/*
 * The address of a stranger over UDP may be forged.  An answer to it that is
 * longer than this has at most three times the length of the request.
 */
#define TRP_TURN_STRANGER_MAX    72
#define TRP_TURN_AMPLIFICATION    3

/*
 * An address from which a client has authenticated within this time is real.
 * Many clients may share it, so it gets so many times the answers of a
 * stranger.  That is still a limit, for the address may be forged as well.
 */
#define TRP_TURN_KNOWN_TIME       600000     /* milliseconds */
#define TRP_TURN_KNOWN_TIMES      100


static unsigned trp_turn_algorithm(const trp_stun_t *m, unsigned features,
    unsigned *algorithm);
static int trp_turn_find_key(trp_turn_t *turn, const trp_stun_t *m,
    trp_str_t name, unsigned algorithm);
static int trp_turn_try_keys(trp_turn_t *turn, const trp_stun_t *m,
    trp_str_t name, unsigned algorithm, int64_t now, int *found);
static int trp_turn_own_key(trp_turn_t *turn, const trp_stun_t *m,
    trp_str_t name, unsigned algorithm);
static int trp_turn_check_key(trp_turn_t *turn, const trp_stun_t *m);
static void trp_turn_challenge(trp_turn_t *turn, const trp_stun_t *m,
    unsigned code);
static trp_taddr_t trp_turn_nonce_owner(const trp_turn_t *turn);


/* PASSWORD-ALGORITHMS, both without parameters */

static const uint8_t  trp_turn_algorithms[8] = {
    0, TRP_STUN_ALGORITHM_SHA256, 0, 0,
    0, TRP_STUN_ALGORITHM_MD5, 0, 0
};


/*
 * RFC 8489, section 9.2.4.  The nonce is checked before anything that costs
 * time: only a client that receives at its address can have one.
 */

int
trp_turn_authenticate(trp_turn_t *turn, const trp_stun_t *m)
{
    unsigned     features, algorithm, code;
    trp_str_t    name, userhash, nonce;
    trp_taddr_t  owner;

    if (m->sha1 == 0 && m->sha256 == 0) {
        trp_turn_challenge(turn, m, 401);
        return TRP_DECLINED;
    }

    name = trp_stun_get(m, TRP_STUN_USERNAME);
    userhash = trp_stun_get(m, TRP_STUN_USERHASH);
    nonce = trp_stun_get(m, TRP_STUN_NONCE);

    if (name.len > TRP_STUN_USERNAME_MAX
        || (name.data == NULL && userhash.len != TRP_STUN_USERHASH_LEN)
        || (name.data && userhash.data)
        || trp_stun_get(m, TRP_STUN_REALM).data == NULL
        || nonce.data == NULL)
    {
        trp_turn_stranger_error(turn, 400);

        return TRP_DECLINED;
    }

    owner = trp_turn_nonce_owner(turn);

    if (trp_turn_nonce_check(nonce, turn->nonce_key, &owner, turn->time,
                             &features)
        != TRP_OK)
    {
        trp_turn_challenge(turn, m, 438);
        return TRP_DECLINED;
    }

    code = trp_turn_algorithm(m, features, &algorithm);

    if (code) {
        trp_turn_stranger_error(turn, code);

        return TRP_DECLINED;
    }

    if (name.data == NULL) {
        name = trp_turn_user_find(&turn->conf->credentials, userhash.data);
    }

    if (name.data == NULL) {
        trp_turn_report_user(turn, name, TRP_TURN_UNKNOWN_USER);
        trp_turn_challenge(turn, m, 401);
        return TRP_DECLINED;
    }

    if (trp_turn_find_key(turn, m, name, algorithm) != TRP_OK) {
        trp_turn_challenge(turn, m, 401);
        return TRP_DECLINED;
    }

    turn->username = name;

    trp_budget_see(turn->known, turn->hash_key, &turn->from.client.addr,
                   turn->now);

    return TRP_OK;
}


/*
 * A client that was told of the algorithms returns the list as it got it, and
 * its choice; or neither, which means MD5.  Returns 0 or the error's code.
 */

static unsigned
trp_turn_algorithm(const trp_stun_t *m, unsigned features,
    unsigned *algorithm)
{
    trp_str_t  list, choice;

    *algorithm = TRP_STUN_ALGORITHM_MD5;

    list = trp_stun_get(m, TRP_STUN_PASSWORD_ALGORITHMS);
    choice = trp_stun_get(m, TRP_STUN_PASSWORD_ALGORITHM);

    if (list.data == NULL && choice.data == NULL) {
        return 0;
    }

    if (list.data == NULL || choice.data == NULL || choice.len != 4) {
        return 400;
    }

    if ((features & TRP_TURN_NONCE_ALGORITHMS)
        && (list.len != sizeof(trp_turn_algorithms)
            || memcmp(list.data, trp_turn_algorithms, list.len) != 0))
    {
        return 400;
    }

    *algorithm = trp_read16(choice.data);

    if (trp_read16(choice.data + 2) != 0
        || (*algorithm != TRP_STUN_ALGORITHM_MD5
            && *algorithm != TRP_STUN_ALGORITHM_SHA256))
    {
        return 400;
    }

    return 0;
}


static int
trp_turn_find_key(trp_turn_t *turn, const trp_stun_t *m, trp_str_t name,
    unsigned algorithm)
{
    int                found;
    int64_t            now;
    trp_turn_report_e  why;

    if (trp_turn_own_key(turn, m, name, algorithm) == TRP_OK) {
        return TRP_OK;
    }

    /* ConnectionBind: its connection, if any, belongs to this user */

    now = (m->method == TRP_STUN_CONNECTION_BIND && !turn->conf->check_expiry)
          ? TRP_TURN_ANY_TIME : turn->time;

    found = 0;

    if (trp_turn_try_keys(turn, m, name, algorithm, now, &found) == TRP_OK) {
        return TRP_OK;
    }

    why = TRP_TURN_WRONG_PASSWORD;

    if (!found) {
        why = TRP_TURN_UNKNOWN_USER;

        if (trp_turn_try_keys(turn, m, name, algorithm, TRP_TURN_ANY_TIME,
                              &found)
            == TRP_OK)
        {
            why = TRP_TURN_EXPIRED_USER;

        } else if (found) {
            why = TRP_TURN_WRONG_PASSWORD;
        }

        turn->request.signed_sha1 = 0;
        turn->request.signed_sha256 = 0;
    }

    trp_turn_report_user(turn, name, why);

    return TRP_DECLINED;
}


/* "found": there is a key for this name, right or wrong */

static int
trp_turn_try_keys(trp_turn_t *turn, const trp_stun_t *m, trp_str_t name,
    unsigned algorithm, int64_t now, int *found)
{
    int     rc;
    size_t  n;

    for (n = 0; /* void */ ; n++) {
        rc = trp_turn_key(&turn->conf->credentials, n, name, algorithm, now,
                          &turn->request.key);

        if (rc == TRP_DECLINED) {
            return TRP_DECLINED;
        }

        if (rc != TRP_OK) {
            continue;
        }

        *found = 1;

        if (trp_turn_check_key(turn, m) == TRP_OK) {
            return TRP_OK;
        }
    }
}


/*
 * An allocation goes on with the key it was made with, whatever the time in
 * the user's name; and it can always be ended with that key.
 */

static int
trp_turn_own_key(trp_turn_t *turn, const trp_stun_t *m, trp_str_t name,
    unsigned algorithm)
{
    uint32_t           lifetime;
    trp_turn_alloc_t  *alloc;

    if (m->method == TRP_STUN_ALLOCATE
        || (turn->conf->check_expiry
            && (m->method != TRP_STUN_REFRESH
                || trp_stun_get_u32(m, TRP_STUN_LIFETIME, &lifetime) != TRP_OK
                || lifetime != 0)))
    {
        return TRP_DECLINED;
    }

    alloc = trp_turn_find(turn, &turn->from);

    if (alloc == NULL
        || !trp_str_equal(alloc->username, name)
        || alloc->key.len != trp_turn_key_len(algorithm))
    {
        return TRP_DECLINED;
    }

    turn->request.key = alloc->key;

    return trp_turn_check_key(turn, m);
}


static int
trp_turn_check_key(trp_turn_t *turn, const trp_stun_t *m)
{
    int        rc;
    trp_str_t  key;

    key.data = turn->request.key.data;
    key.len = turn->request.key.len;

    /* the stronger one if both are there */

    rc = m->sha256 ? trp_stun_check_sha256(m, key)
                   : trp_stun_check_sha1(m, key);

    if (rc == TRP_OK) {
        turn->request.signed_sha256 = (m->sha256 != 0);
        turn->request.signed_sha1 = (m->sha256 == 0);
    }

    return rc;
}


/* 401 or 438, with what the client needs to try again */

static void
trp_turn_challenge(trp_turn_t *turn, const trp_stun_t *m, unsigned code)
{
    size_t              len;
    uint8_t             nonce[TRP_TURN_NONCE_MAX];
    unsigned            features;
    trp_taddr_t         owner;
    trp_stun_writer_t   w;

    if (trp_turn_stranger(turn) != TRP_OK) {
        return;
    }

    features = turn->features;
    owner = trp_turn_nonce_owner(turn);

    for ( ;; ) {
        trp_turn_answer_begin(turn, &w, TRP_STUN_ERROR);
        trp_turn_put_error(&w, &turn->request, code);

        len = trp_turn_nonce_make(nonce, turn->nonce_key, &owner, features,
                                  turn->time);

        trp_stun_put(&w, TRP_STUN_REALM, turn->conf->credentials.realm.data,
                     turn->conf->credentials.realm.len);
        trp_stun_put(&w, TRP_STUN_NONCE, nonce, len);

        if (features & TRP_TURN_NONCE_ALGORITHMS) {
            trp_stun_put(&w, TRP_STUN_PASSWORD_ALGORITHMS, trp_turn_algorithms,
                         sizeof(trp_turn_algorithms));
        }

        if (features == 0
            || turn->from.transport != TRP_TRANSPORT_UDP
            || w.len <= TRP_TURN_STRANGER_MAX
            || w.len <= m->len * TRP_TURN_AMPLIFICATION)
        {
            break;
        }

        features = 0;
    }

    trp_turn_count(turn, turn->request.method, code);
    trp_turn_answer_end(turn, &w);
}


/*
 * The address that a nonce is for.  Over TCP and TLS, addresses cannot be
 * forged, and the port is left out: clients use the control connection's nonce
 * on data connections (RFC 6062, section 4.3).  No datagram comes from port 0.
 */

static trp_taddr_t
trp_turn_nonce_owner(const trp_turn_t *turn)
{
    trp_taddr_t  owner;

    owner = turn->from.client;

    if (turn->from.transport != TRP_TRANSPORT_UDP) {
        owner.port = 0;
    }

    return owner;
}


unsigned
trp_turn_features(const trp_turn_t *turn)
{
    unsigned                       features;
    const trp_turn_credentials_t  *credentials;

    credentials = &turn->conf->credentials;
    features = 0;

    if (trp_turn_all_sha256(credentials)) {
        features |= TRP_TURN_NONCE_ALGORITHMS;
    }

    /* a name that contains a time cannot be found by its hash */

    if (credentials->nusers && credentials->nsecrets == 0
        && credentials->portal.len == 0)
    {
        features |= TRP_TURN_NONCE_ANONYMITY;
    }

    return features;
}


/* TRP_OK if an error may be sent to an unknown source */

int
trp_turn_stranger(trp_turn_t *turn)
{
    int                     rc;
    uint32_t                rate, burst;
    trp_budget_t           *budget;
    const trp_turn_conf_t  *conf;

    if (turn->from.transport != TRP_TRANSPORT_UDP) {
        return TRP_OK;
    }

    conf = turn->conf;
    rate = conf->stranger_rate;
    burst = conf->stranger_burst ? conf->stranger_burst : rate;
    budget = turn->strangers;

    if (trp_budget_seen(turn->known, turn->hash_key, &turn->from.client.addr,
                        TRP_TURN_KNOWN_TIME, turn->now))
    {
        rate *= TRP_TURN_KNOWN_TIMES;
        burst *= TRP_TURN_KNOWN_TIMES;
        budget = turn->known;
    }

    rc = trp_budget_take(budget, turn->hash_key, &turn->from.client.addr, rate,
                         burst, turn->now);

    if (rc != TRP_OK) {
        turn->stats.silenced++;
    }

    return rc;
}


void
trp_turn_stranger_error(trp_turn_t *turn, unsigned code)
{
    if (trp_turn_stranger(turn) == TRP_OK) {
        trp_turn_error(turn, code);
    }
}
