
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages, which are passed to the function for their method; ends that the
 * caller orders; and time.
 */


#include "turn/trp_turn.h"
#include "base/trp_str.h"
#include "turn/trp_turn_alloc.h"
#include "turn/trp_turn_answer.h"
#include "turn/trp_turn_command.h"
#include "turn/trp_turn_login.h"
#include "turn/trp_turn_peer.h"
#include "turn/trp_turn_tcp.h"

#include <string.h>


/* RFC 8489, section 6.3: requests are small, unlike data */
#define TRP_TURN_REQUEST_MAX  4096


/* 1 if an allocation of account "own", which may be empty, is to end */

typedef int (*trp_turn_match_pt)(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);


static int trp_turn_request(trp_turn_t *turn, const trp_stun_t *m);
static void trp_turn_binding(trp_turn_t *turn);
static void trp_turn_unknown(trp_turn_t *turn, const trp_stun_t *m);
static void trp_turn_dispatch(trp_turn_t *turn, const trp_stun_t *m);
static int trp_turn_remove_first(trp_turn_t *turn, trp_turn_match_pt match,
    const uint8_t *account, trp_turn_free_e why);
static int trp_turn_match_any(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);
static int trp_turn_match_account(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);
static int trp_turn_match_unknown(const trp_turn_t *turn, trp_str_t own,
    const uint8_t *account);


int
trp_turn_init(trp_turn_t *turn, const trp_turn_conf_t *conf,
    const trp_turn_shared_t *shared, const trp_memory_t *memory,
    const uint8_t *nonce_key, const uint8_t *seed, uint16_t slot)
{
    trp_assert(slot <= TRP_TURN_NO_SLOT);
    trp_assert(conf->first_port && conf->first_port <= conf->last_port);

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
    trp_assert(trp_turn_idle(turn) && turn->allocs.n == 0
               && turn->connections.n == 0 && turn->timers.top == NULL);

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

        /* not a request */
        return TRP_OK;
    }
}


static int
trp_turn_request(trp_turn_t *turn, const trp_stun_t *m)
{
    if (!trp_turn_is_request(m->method)) {

        /* RFC 8489, section 6.3: discarded silently */
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

    /* with no users at all, this is a STUN server */

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


static void
trp_turn_binding(trp_turn_t *turn)
{
    trp_stun_writer_t  w;

    trp_turn_answer_begin(turn, &w, TRP_STUN_SUCCESS);
    trp_stun_put_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, &turn->from.client);
    trp_turn_answer_end(turn, &w);
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
