
/*
 * Copyright (C) the trp authors
 */


#include "turn/trp_turn_types.h"

#include <string.h>

#include "base/trp_str.h"


/* RFC 8489, section 6.3: what is asked is small, unlike what is sent */
#define TRP_TURN_REQUEST_MAX  4096

/*
 * A stranger over UDP may not be who it says.  A longer answer to it than
 * this one has at most three times the length of its request.
 */
#define TRP_TURN_STRANGER_MAX    72
#define TRP_TURN_AMPLIFICATION    3

/*
 * An address from which somebody has authenticated within this time is none
 * that was only put on a datagram.  Many may begin behind it at once, and get
 * so many times what a stranger gets; this is a limit still, for who uses
 * somebody else's address.
 */
#define TRP_TURN_KNOWN_TIME       600000     /* milliseconds */
#define TRP_TURN_KNOWN_TIMES      100


/* 1 if it is to end: an allocation of account "own", which may be none */

typedef int (*trp_turn_match_pt)(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);


static int trp_turn_request(trp_turn_t *turn, const trp_stun_t *m);
static int trp_turn_is_request(unsigned method);
static void trp_turn_binding(trp_turn_t *turn);
static int trp_turn_authenticate(trp_turn_t *turn, const trp_stun_t *m);
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
static unsigned trp_turn_features(const trp_turn_t *turn);
static void trp_turn_unknown(trp_turn_t *turn, const trp_stun_t *m);
static int trp_turn_stranger(trp_turn_t *turn);
static void trp_turn_stranger_error(trp_turn_t *turn, unsigned code);
static void trp_turn_dispatch(trp_turn_t *turn, const trp_stun_t *m);
static void trp_turn_count(trp_turn_t *turn, unsigned method, unsigned code);
static unsigned trp_turn_code_index(unsigned code);
static int trp_turn_remove_first(trp_turn_t *turn, trp_turn_match_pt match,
    const uint8_t *account, trp_turn_free_e why);
static int trp_turn_match_any(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);
static int trp_turn_match_account(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);
static int trp_turn_match_unknown(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);
static const trp_turn_command_t *trp_turn_end(trp_turn_t *turn,
    trp_turn_command_e type, trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection);


static const struct {
    unsigned     method;
    const char  *name;
} trp_turn_methods[TRP_TURN_NMETHODS] = {
    { 0, "other" },
    { TRP_STUN_BINDING, "binding" },
    { TRP_STUN_ALLOCATE, "allocate" },
    { TRP_STUN_REFRESH, "refresh" },
    { TRP_STUN_CREATE_PERMISSION, "createpermission" },
    { TRP_STUN_CHANNEL_BIND, "channelbind" },
    { TRP_STUN_CONNECT, "connect" },
    { TRP_STUN_CONNECTION_BIND, "connectionbind" }
};


/* PASSWORD-ALGORITHMS, both without parameters */

static const uint8_t  trp_turn_algorithms[8] = {
    0, TRP_STUN_ALGORITHM_SHA256, 0, 0,
    0, TRP_STUN_ALGORITHM_MD5, 0, 0
};


static const struct {
    unsigned     code;
    const char  *reason;
} trp_turn_codes[TRP_TURN_NCODES] = {
    { 200, "" },
    { 400, "Bad Request" },
    { 401, "Unauthenticated" },
    { 403, "Forbidden" },
    { 420, "Unknown Attribute" },
    { 437, "Allocation Mismatch" },
    { 438, "Stale Nonce" },
    { 440, "Address Family not Supported" },
    { 441, "Wrong Credentials" },
    { 442, "Unsupported Transport Protocol" },
    { 443, "Peer Address Family Mismatch" },
    { 446, "Connection Already Exists" },
    { 447, "Connection Timeout or Failure" },
    { 486, "Allocation Quota Reached" },
    { 500, "Server Error" },
    { 508, "Insufficient Capacity" },
    { 0, "" },
    { 0, "" }
};


int
trp_turn_init(trp_turn_t *turn, const trp_turn_conf_t *conf,
    const trp_turn_shared_t *shared, const trp_memory_t *memory,
    const uint8_t *nonce_key, const uint8_t *seed, uint16_t slot)
{
    memset(turn, 0, sizeof(trp_turn_t));

    turn->conf = conf;
    turn->shared = *shared;
    turn->memory = *memory;
    turn->slot = slot;

    memcpy(turn->nonce_key, nonce_key, TRP_TURN_NONCE_KEY_LEN);

    turn->features = trp_turn_features(turn);

    trp_random_init(&turn->random, seed);
    trp_random_bytes(&turn->random, turn->hash_key, TRP_HASH_KEY_LEN);

    trp_hash_init(&turn->allocs, turn->hash_key, &turn->memory);
    trp_hash_init(&turn->connections, turn->hash_key, &turn->memory);

    turn->strangers = trp_memory_get(&turn->memory, 2 * sizeof(trp_budget_t));
    turn->known = turn->strangers ? turn->strangers + 1 : NULL;

    return turn->strangers ? TRP_OK : TRP_ERROR;
}


void
trp_turn_done(trp_turn_t *turn)
{
    trp_hash_done(&turn->allocs);
    trp_hash_done(&turn->connections);

    trp_memory_put(&turn->memory, turn->strangers);
    turn->strangers = NULL;
    turn->known = NULL;
}


int
trp_turn_input(trp_turn_t *turn, const trp_turn_tuple_t *from,
    const uint8_t *data, size_t len)
{
    trp_stun_t         m;
    trp_turn_alloc_t  *alloc;

    trp_assert(trp_turn_idle(turn));

    turn->from = *from;

    if (len && trp_stun_is_channel(data[0])) {
        alloc = trp_turn_find(turn, from);

        if (alloc) {
            trp_turn_channel_data(turn, alloc, data, len);
        }

        return TRP_OK;
    }

    if (trp_stun_parse(&m, data, len) != TRP_OK) {
        return TRP_ERROR;
    }

    switch (m.type) {

    case TRP_STUN_REQUEST:
        return trp_turn_request(turn, &m);

    case TRP_STUN_INDICATION:

        if (m.method == TRP_STUN_SEND && m.nunknown == 0) {
            alloc = trp_turn_find(turn, from);

            if (alloc) {
                trp_turn_send(turn, alloc, &m);
            }
        }

        return TRP_OK;

    default:

        /* nothing was asked */
        return TRP_OK;
    }
}


static int
trp_turn_request(trp_turn_t *turn, const trp_stun_t *m)
{
    if (!trp_turn_is_request(m->method)) {

        /* RFC 8489, section 6.3: discarded in silence */
        return TRP_OK;
    }

    memset(&turn->request, 0, sizeof(trp_turn_request_t));

    turn->request.method = m->method;
    turn->request.fingerprint = m->fingerprint;
    memcpy(turn->request.id, m->data + 8, TRP_STUN_ID_LEN);

    if (m->method == TRP_STUN_BINDING) {

        if (m->nunknown) {
            if (trp_turn_stranger(turn) == TRP_OK) {
                trp_turn_unknown(turn, m);
            }

            return TRP_OK;
        }

        trp_turn_binding(turn);

        return TRP_OK;
    }

    /* without anybody who could authenticate this is a STUN server */

    if (!trp_turn_any_user(&turn->conf->credentials)
        || m->len > TRP_TURN_REQUEST_MAX)
    {
        trp_turn_stranger_error(turn, 400);

        return TRP_OK;
    }

    if (trp_turn_authenticate(turn, m) != TRP_OK) {
        return TRP_OK;
    }

    if (m->nunknown) {
        trp_turn_unknown(turn, m);
        return TRP_OK;
    }

    trp_turn_dispatch(turn, m);

    return TRP_OK;
}


static int
trp_turn_is_request(unsigned method)
{
    unsigned  i;

    for (i = 1; i < TRP_TURN_NMETHODS; i++) {
        if (trp_turn_methods[i].method == method) {
            return 1;
        }
    }

    return 0;
}


static void
trp_turn_binding(trp_turn_t *turn)
{
    trp_stun_writer_t  w;

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);
    trp_stun_put_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, &turn->from.client);
    trp_turn_answer_end(turn, &w);
}


/*
 * RFC 8489, section 9.2.4.  The nonce is looked at before anything costs
 * time: only who receives what is sent to its address can have one.
 */

static int
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
        trp_turn_report(turn, &turn->from, name, NULL, TRP_TURN_UNKNOWN_USER);
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
 * Who was told of the algorithms names the list as it was told, and its
 * choice, or neither, and then means MD5.  Returns 0 or the error's code.
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

    /* of a connection that belongs to an allocation of this user, or is none */

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

    trp_turn_report(turn, &turn->from, name, NULL, why);

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
 * the user's name; it can be ended in any case.
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

    /* the stronger one, if there are both */

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
 * Whose the nonce is.  Over TCP and TLS nobody can take another's address, and
 * a client has several ports: clients use the control connection's nonce on a
 * data connection (RFC 6062, section 4.3).  No datagram comes from port 0.
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


static unsigned
trp_turn_features(const trp_turn_t *turn)
{
    unsigned                       features;
    const trp_turn_credentials_t  *credentials;

    credentials = &turn->conf->credentials;
    features = 0;

    if (trp_turn_all_sha256(credentials)) {
        features |= TRP_TURN_NONCE_ALGORITHMS;
    }

    /* a name with a time in it cannot be found by its hash */

    if (credentials->nusers && credentials->nsecrets == 0
        && credentials->portal.len == 0)
    {
        features |= TRP_TURN_NONCE_ANONYMITY;
    }

    return features;
}


static void
trp_turn_unknown(trp_turn_t *turn, const trp_stun_t *m)
{
    uint8_t            types[TRP_STUN_UNKNOWN_MAX * 2];
    unsigned           i;
    trp_stun_writer_t  w;

    for (i = 0; i < m->nunknown; i++) {
        trp_write16(types + i * 2, m->unknown[i]);
    }

    trp_turn_answer_begin(turn, &w, TRP_STUN_ERROR);
    trp_turn_put_error(&w, &turn->request, 420);
    trp_stun_put(&w, TRP_STUN_UNKNOWN_ATTRIBUTES, types, m->nunknown * 2);

    trp_turn_count(turn, turn->request.method, 420);
    trp_turn_answer_end(turn, &w);
}


/* TRP_OK if an error may be sent to whom nothing is known of */

static int
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


static void
trp_turn_stranger_error(trp_turn_t *turn, unsigned code)
{
    if (trp_turn_stranger(turn) == TRP_OK) {
        trp_turn_error(turn, code);
    }
}


static void
trp_turn_dispatch(trp_turn_t *turn, const trp_stun_t *m)
{
    trp_turn_alloc_t  *alloc;

    switch (m->method) {

    case TRP_STUN_ALLOCATE:
        trp_turn_allocate(turn, m);
        return;

    case TRP_STUN_CONNECTION_BIND:
        trp_turn_connection_bind(turn, m);
        return;

    default:
        break;
    }

    alloc = trp_turn_find(turn, &turn->from);

    if (alloc == NULL) {
        trp_turn_error(turn, 437);
        return;
    }

    if (!trp_str_equal(alloc->username, turn->username)) {
        trp_turn_error(turn, 441);
        return;
    }

    switch (m->method) {

    case TRP_STUN_REFRESH:
        trp_turn_refresh(turn, alloc, m);
        return;

    case TRP_STUN_CREATE_PERMISSION:
        trp_turn_create_permission(turn, alloc, m);
        return;

    case TRP_STUN_CHANNEL_BIND:
        trp_turn_channel_bind(turn, alloc, m);
        return;

    default: /* TRP_STUN_CONNECT */
        trp_turn_connect(turn, alloc, m);
    }
}


void
trp_turn_answer_begin(trp_turn_t *turn, trp_stun_writer_t *w,
    trp_stun_class_e type)
{
    trp_assert(trp_turn_answer_idle(turn));

    trp_stun_begin(w, turn->answer, sizeof(turn->answer), type,
                   turn->request.method, turn->request.id);

    if (type == TRP_STUN_SUCCESS) {
        trp_turn_count(turn, turn->request.method, 200);
    }
}


void
trp_turn_error(trp_turn_t *turn, unsigned code)
{
    trp_stun_writer_t  w;

    trp_turn_answer_begin(turn, &w, TRP_STUN_ERROR);
    trp_turn_put_error(&w, &turn->request, code);

    trp_turn_count(turn, turn->request.method, code);
    trp_turn_answer_end(turn, &w);
}


void
trp_turn_put_error(trp_stun_writer_t *w, const trp_turn_request_t *request,
    unsigned code)
{
    const char  *reason;

    reason = "";

    if (request->signed_sha1 || request->signed_sha256) {
        reason = trp_turn_codes[trp_turn_code_index(code)].reason;
    }

    trp_stun_put_error(w, code, reason);
}


void
trp_turn_answer_end(trp_turn_t *turn, trp_stun_writer_t *w)
{
    trp_turn_command_t  *command;

    command = trp_turn_command(turn, TRP_TURN_REPLY);

    command->to = &turn->from;
    command->data = turn->answer;
    command->len = trp_turn_sign(turn, w, &turn->request, 0);
}


size_t
trp_turn_sign(trp_turn_t *turn, trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code)
{
    trp_str_t  key;

    if (code) {
        trp_turn_count(turn, request->method, code);
    }

    if (turn->conf->software.len) {
        trp_stun_put(w, TRP_STUN_SOFTWARE, turn->conf->software.data,
                     turn->conf->software.len);
    }

    key.data = request->key.data;
    key.len = request->key.len;

    if (request->signed_sha1) {
        trp_stun_put_sha1(w, key);
    }

    if (request->signed_sha256) {
        trp_stun_put_sha256(w, key);
    }

    if (request->fingerprint) {
        trp_stun_put_fingerprint(w);
    }

    return w->len;
}


trp_turn_alloc_t *
trp_turn_find(const trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    trp_hash_node_t   *node;
    trp_turn_alloc_t  *alloc;

    if (turn->allocs.n == 0) {
        return NULL;
    }

    node = trp_hash_find(&turn->allocs, trp_turn_hash_tuple(turn, tuple));

    while (node) {
        alloc = trp_of(trp_turn_alloc_t, node, node);

        if (alloc->tuple.transport == tuple->transport
            && trp_taddr_equal(&alloc->tuple.client, &tuple->client)
            && trp_taddr_equal(&alloc->tuple.server, &tuple->server))
        {
            return alloc;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


uint64_t
trp_turn_hash_tuple(const trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    uint8_t  buf[TRP_TURN_TUPLE_MAX];

    return trp_hash(&turn->allocs, buf, trp_turn_tuple_pack(buf, tuple));
}


size_t
trp_turn_tuple_pack(uint8_t *buf, const trp_turn_tuple_t *tuple)
{
    uint8_t  *p;

    p = trp_taddr_pack(buf, &tuple->client);
    p = trp_taddr_pack(p, &tuple->server);
    *p++ = tuple->transport;

    return p - buf;
}


uint64_t
trp_turn_hash_taddr(const trp_hash_t *table, const trp_taddr_t *addr)
{
    uint8_t  buf[16 + 3];

    return trp_hash(table, buf, trp_taddr_pack(buf, addr) - buf);
}


void
trp_turn_gone(trp_turn_t *turn, const trp_turn_tuple_t *tuple)
{
    trp_turn_alloc_t  *alloc;

    alloc = trp_turn_find(turn, tuple);

    if (alloc) {
        trp_turn_free(turn, alloc, TRP_TURN_FREE_CLIENT_GONE);
    }
}


void
trp_turn_fail(trp_turn_t *turn, trp_turn_alloc_t *alloc)
{
    trp_turn_free(turn, alloc, TRP_TURN_FREE_FAILED);
}


int
trp_turn_shutdown(trp_turn_t *turn)
{
    return trp_turn_remove_first(turn, trp_turn_match_any, NULL,
                                 TRP_TURN_FREE_SHUTDOWN);
}


int
trp_turn_remove_account(trp_turn_t *turn, const uint8_t *account)
{
    return trp_turn_remove_first(turn, trp_turn_match_account, account,
                                 TRP_TURN_FREE_ACCOUNT_REMOVED);
}


int
trp_turn_remove_unknown(trp_turn_t *turn)
{
    return turn->conf->credentials.account
           && trp_turn_remove_first(turn, trp_turn_match_unknown, NULL,
                                    TRP_TURN_FREE_ACCOUNT_REMOVED);
}


static int
trp_turn_remove_first(trp_turn_t *turn, trp_turn_match_pt match,
    const uint8_t *account, trp_turn_free_e why)
{
    trp_hash_node_t   *node;
    trp_turn_alloc_t  *alloc;

    for (node = trp_hash_walk(&turn->allocs, NULL);
         node;
         node = trp_hash_walk(&turn->allocs, node))
    {
        alloc = trp_of(trp_turn_alloc_t, node, node);

        if (match(turn, trp_turn_user_account(alloc->username), account)) {
            trp_turn_free(turn, alloc, why);
            return 1;
        }
    }

    return 0;
}


static int
trp_turn_match_any(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account)
{
    (void) turn;
    (void) own;
    (void) account;

    return 1;
}


static int
trp_turn_match_account(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account)
{
    (void) turn;

    return own.data && memcmp(own.data, account, own.len) == 0;
}


static int
trp_turn_match_unknown(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account)
{
    const trp_turn_credentials_t  *credentials;

    (void) account;

    credentials = &turn->conf->credentials;

    return own.data && !credentials->account(credentials->data, own.data);
}


void
trp_turn_report(trp_turn_t *turn, const trp_turn_tuple_t *client,
    trp_str_t username, const trp_taddr_t *peer, trp_turn_report_e why)
{
    trp_turn_command_t  *command;

    command = trp_turn_command(turn, TRP_TURN_REPORT);

    command->to = client;
    command->data = username.data;
    command->len = username.len;
    command->why = (uint8_t) why;

    if (peer) {
        command->peer = *peer;
    }
}


trp_turn_command_t *
trp_turn_command(trp_turn_t *turn, trp_turn_command_e type)
{
    unsigned             i;
    trp_turn_command_t  *command;

    trp_assert(turn->ncommands < TRP_TURN_COMMANDS);

    if (turn->ncommands < TRP_TURN_COMMANDS) {
        i = (turn->first + turn->ncommands++) % TRP_TURN_COMMANDS;

    } else {

        /* nobody looks there */
        i = TRP_TURN_COMMANDS;
    }

    command = &turn->commands[i];

    memset(command, 0, sizeof(trp_turn_command_t));
    command->type = type;

    return command;
}


/*
 * The end of an allocation first, for others may have what it gives up when
 * the answer is read.  Its memory last, for other commands may point to it.
 */

const trp_turn_command_t *
trp_turn_next(trp_turn_t *turn)
{
    trp_turn_alloc_t       *alloc;
    trp_turn_connection_t  *connection;

    if (turn->in_hand) {
        turn->in_hand = 0;
        turn->first = (turn->first + 1) % TRP_TURN_COMMANDS;
        turn->ncommands--;
    }

    if (turn->ended) {
        alloc = turn->ended;
        turn->ended = alloc->next_over;
        alloc->next_over = turn->over;
        turn->over = alloc;

        return trp_turn_end(turn, TRP_TURN_END, alloc, NULL);
    }

    if (turn->ncommands) {
        turn->in_hand = 1;

        return &turn->commands[turn->first];
    }

    if (turn->closed) {
        connection = turn->closed;
        turn->closed = connection->next;

        return trp_turn_end(turn, TRP_TURN_DISCONNECT, connection->alloc,
                            connection);
    }

    if (turn->over) {
        alloc = turn->over;
        turn->over = alloc->next_over;

        return trp_turn_end(turn, TRP_TURN_FREE, alloc, NULL);
    }

    return NULL;
}


static const trp_turn_command_t *
trp_turn_end(trp_turn_t *turn, trp_turn_command_e type,
    trp_turn_alloc_t *alloc, trp_turn_connection_t *connection)
{
    trp_turn_command_t  *command;

    command = &turn->end;

    memset(command, 0, sizeof(trp_turn_command_t));

    command->type = type;
    command->alloc = alloc;
    command->connection = connection;

    return command;
}


int
trp_turn_idle(const trp_turn_t *turn)
{
    return turn->ncommands == 0 && turn->ended == NULL && turn->over == NULL
           && turn->closed == NULL;
}


int
trp_turn_answer_idle(const trp_turn_t *turn)
{
    unsigned                   i;
    const trp_turn_command_t  *command;

    for (i = 0; i < turn->ncommands; i++) {
        command = &turn->commands[(turn->first + i) % TRP_TURN_COMMANDS];

        if (command->data == turn->answer) {
            return 0;
        }
    }

    return 1;
}


uint64_t
trp_turn_deadline(const trp_turn_t *turn)
{
    return trp_timer_deadline(&turn->timers);
}


int
trp_turn_expire(trp_turn_t *turn)
{
    trp_timer_t  *timer;

    trp_assert(trp_turn_idle(turn));

    timer = trp_timer_due(&turn->timers, turn->now);

    if (timer == NULL) {
        return 0;
    }

    switch (timer->kind) {

    case TRP_TURN_TIMER_ALLOC:
        trp_turn_free(turn, trp_of(trp_turn_alloc_t, timer, timer),
                      TRP_TURN_FREE_EXPIRED);
        break;

    case TRP_TURN_TIMER_PERMISSION:
        trp_turn_permission_expire(turn, trp_of(trp_turn_permission_t,
                                                     timer, timer));
        break;

    case TRP_TURN_TIMER_CHANNEL:
        trp_turn_channel_expire(turn, trp_of(trp_turn_channel_t, timer,
                                                  timer));
        break;

    default: /* TRP_TURN_TIMER_CONNECTION */
        trp_turn_connection_expire(turn, trp_of(trp_turn_connection_t,
                                                     timer, timer));
    }

    return 1;
}


static void
trp_turn_count(trp_turn_t *turn, unsigned method, unsigned code)
{
    unsigned  i;

    for (i = 1; i < TRP_TURN_NMETHODS; i++) {
        if (trp_turn_methods[i].method == method) {
            break;
        }
    }

    turn->stats.responses[i % TRP_TURN_NMETHODS][trp_turn_code_index(code)]++;
}


static unsigned
trp_turn_code_index(unsigned code)
{
    unsigned  i;

    for (i = 0; i < TRP_TURN_NCODES - 1; i++) {
        if (trp_turn_codes[i].code == code) {
            break;
        }
    }

    return i;
}


const char *
trp_turn_method_name(unsigned i)
{
    return (i < TRP_TURN_NMETHODS) ? trp_turn_methods[i].name : NULL;
}


unsigned
trp_turn_code(unsigned i)
{
    return (i < TRP_TURN_NCODES) ? trp_turn_codes[i].code : 0;
}
