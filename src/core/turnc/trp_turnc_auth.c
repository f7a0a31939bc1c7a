
/*
 * Copyright (C) the trp authors
 */


/*
 * The name, password and key with which the TURN client signs, what it learns
 * from 401 and 438, and the check that an answer is signed with the same key
 * (RFC 8489, section 9.2).
 */


#include "turnc/trp_turnc_auth.h"

#include <stdio.h>
#include <string.h>


/* seconds that a user name for a secret is valid: an allocation keeps it */

#define TRP_TURNC_WEEK  604800


static int trp_turnc_choose(trp_turnc_t *client, const trp_stun_t *m);
static int trp_turnc_key(trp_turnc_t *client);


int
trp_turnc_credentials(trp_turnc_t *client, int64_t wall)
{
    char              *password;
    size_t             len;
    trp_turnc_auth_t  *auth;

    auth = &client->auth;

    if (client->conf.secret.len == 0) {
        auth->name = client->conf.name;
        auth->password = client->conf.password;
        return TRP_OK;
    }

    len = (size_t) snprintf((char *) client->text,
                            TRP_TURNC_EXPIRY_LEN, "%lld",
                            (long long) wall + TRP_TURNC_WEEK);

    if (client->conf.name.len) {
        client->text[len++] = ':';
        memcpy(client->text + len, client->conf.name.data,
               client->conf.name.len);
        len += client->conf.name.len;
    }

    password = (char *) client->text + len;

    auth->name.data = client->text;
    auth->name.len = len;
    auth->password.data = (uint8_t *) password;
    auth->password.len = TRP_TURN_PASSWORD_LEN;

    return trp_turn_password(password, client->conf.secret, auth->name);
}


int
trp_turnc_challenge(trp_turnc_t *client, const trp_stun_t *m)
{
    unsigned           features;
    trp_str_t          realm, parts[3];
    trp_turnc_auth_t  *auth;

    static const trp_str_t  colon = trp_string(":");

    auth = &client->auth;
    realm = trp_stun_get(m, TRP_STUN_REALM);

    if (realm.data == NULL || realm.len > sizeof(auth->realm)
        || trp_turnc_nonce(m, auth->nonce, &auth->nonce_len) != TRP_OK)
    {
        return TRP_ERROR;
    }

    memcpy(auth->realm, realm.data, realm.len);
    auth->realm_len = realm.len;

    features = trp_turn_nonce_features(trp_stun_get(m, TRP_STUN_NONCE));

    auth->anonymous = (features & TRP_TURN_NONCE_ANONYMITY) != 0;
    auth->algorithm = TRP_STUN_ALGORITHM_MD5;
    auth->list_len = 0;

    if ((features & TRP_TURN_NONCE_ALGORITHMS)
        && trp_turnc_choose(client, m) != TRP_OK)
    {
        return TRP_ERROR;
    }

    parts[0] = auth->name;
    parts[1] = colon;
    parts[2] = realm;

    if (trp_digest(TRP_SHA256, auth->userhash, parts, 3) != TRP_OK
        || trp_turnc_key(client) != TRP_OK)
    {
        return TRP_ERROR;
    }

    auth->challenged = 1;

    return TRP_OK;
}


/* the list of algorithms comes with the nonce, and both are echoed */

int
trp_turnc_stale(trp_turnc_t *client, const trp_stun_t *m)
{
    trp_turnc_auth_t  *auth;

    auth = &client->auth;

    if (trp_turnc_nonce(m, auth->nonce, &auth->nonce_len) != TRP_OK) {
        return TRP_ERROR;
    }

    if (auth->list_len
        && trp_stun_get(m, TRP_STUN_PASSWORD_ALGORITHMS).data
        && trp_turnc_choose(client, m) != TRP_OK)
    {
        return TRP_ERROR;
    }

    return trp_turnc_key(client);
}


/* RFC 8489, section 9.2.5: the feature bit requires the list */

int
trp_turnc_nonce(const trp_stun_t *m, uint8_t *nonce, size_t *len)
{
    trp_str_t  value;

    value = trp_stun_get(m, TRP_STUN_NONCE);

    if (value.len == 0 || value.len > TRP_STUN_REALM_MAX) {
        return TRP_ERROR;
    }

    if ((trp_turn_nonce_features(value) & TRP_TURN_NONCE_ALGORITHMS)
        && trp_stun_get(m, TRP_STUN_PASSWORD_ALGORITHMS).data == NULL)
    {
        return TRP_ERROR;
    }

    memcpy(nonce, value.data, value.len);
    *len = value.len;

    return TRP_OK;
}


/* SHA-256 if it is listed, otherwise MD5; neither has parameters */

static int
trp_turnc_choose(trp_turnc_t *client, const trp_stun_t *m)
{
    size_t             i, n;
    unsigned           type, found;
    trp_str_t          list;
    trp_turnc_auth_t  *auth;

    auth = &client->auth;
    list = trp_stun_get(m, TRP_STUN_PASSWORD_ALGORITHMS);

    if (list.len == 0 || list.len > sizeof(auth->list)) {
        return TRP_ERROR;
    }

    found = 0;

    for (i = 0; i + 4 <= list.len; i += 4 + ((n + 3) & ~(size_t) 3)) {
        type = trp_read16(list.data + i);
        n = trp_read16(list.data + i + 2);

        if (n == 0
            && (type == TRP_STUN_ALGORITHM_SHA256
                || (type == TRP_STUN_ALGORITHM_MD5 && found == 0)))
        {
            found = type;
        }
    }

    if (found == 0) {
        return TRP_ERROR;
    }

    memcpy(auth->list, list.data, list.len);
    auth->list_len = list.len;
    auth->algorithm = found;

    return TRP_OK;
}


static int
trp_turnc_key(trp_turnc_t *client)
{
    trp_str_t          realm;
    trp_turnc_auth_t  *auth;

    auth = &client->auth;
    realm.data = auth->realm;
    realm.len = auth->realm_len;

    return (trp_turn_key_make(auth->name, realm, auth->password,
                              auth->algorithm, &auth->key)
            == TRP_OK)
           ? TRP_OK : TRP_ERROR;
}


int
trp_turnc_sign(trp_turnc_t *client, trp_stun_writer_t *w)
{
    trp_str_t  nonce;

    nonce.data = client->auth.nonce;
    nonce.len = client->auth.nonce_len;

    return trp_turnc_sign_with(client, w, nonce);
}


int
trp_turnc_sign_with(trp_turnc_t *client, trp_stun_writer_t *w,
    trp_str_t nonce)
{
    trp_str_t          key;
    trp_turnc_auth_t  *auth;

    auth = &client->auth;

    if (auth->challenged) {

        if (auth->anonymous) {
            trp_stun_put(w, TRP_STUN_USERHASH, auth->userhash,
                         TRP_STUN_USERHASH_LEN);

        } else {
            trp_stun_put(w, TRP_STUN_USERNAME, auth->name.data,
                         auth->name.len);
        }

        trp_stun_put(w, TRP_STUN_REALM, auth->realm, auth->realm_len);
        trp_stun_put(w, TRP_STUN_NONCE, nonce.data, nonce.len);

        key.data = auth->key.data;
        key.len = auth->key.len;

        if (auth->list_len) {
            trp_stun_put(w, TRP_STUN_PASSWORD_ALGORITHMS, auth->list,
                         auth->list_len);
            trp_stun_put_u32(w, TRP_STUN_PASSWORD_ALGORITHM,
                             (uint32_t) auth->algorithm << 16);
            trp_stun_put_sha256(w, key);

        } else {
            trp_stun_put_sha1(w, key);
        }
    }

    trp_stun_put_fingerprint(w);

    return w->full ? TRP_ERROR : TRP_OK;
}


int
trp_turnc_verify(const trp_turnc_t *client, const trp_stun_t *m)
{
    trp_str_t                key;
    const trp_turnc_auth_t  *auth;

    auth = &client->auth;

    key.data = auth->key.data;
    key.len = auth->key.len;

    if (auth->list_len) {
        return m->sha256 ? trp_stun_check_sha256(m, key) : TRP_DECLINED;
    }

    return m->sha1 ? trp_stun_check_sha1(m, key) : TRP_DECLINED;
}
