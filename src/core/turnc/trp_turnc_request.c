
/*
 * Copyright (C) the trp authors
 */


/*
 * Requests of the TURN client.  The content of a request, and what its answer
 * leads to, are in a table for each kind: this file sends, repeats and signs,
 * and tells valid answers from others.
 */


#include "turnc/trp_turnc_request.h"
#include "turnc/trp_turnc_auth.h"
#include "turnc/trp_turnc_base.h"

#include <string.h>


/* how many times the same request may be answered with 438 */

#define TRP_TURNC_STALE_MAX  3

/* after so many tries the server may have forgotten the allocation */

#define TRP_TURNC_SILENT     3


static void trp_turnc_begin(trp_turnc_t *client, trp_turnc_transaction_t *t);
static void trp_turnc_transmit(trp_turnc_t *client, trp_turnc_transaction_t *t);
static uint64_t trp_turnc_wait_for(const trp_turnc_t *client,
    const trp_turnc_transaction_t *t);
static unsigned trp_turnc_tries(const trp_turnc_t *client);
static trp_turnc_transaction_t *trp_turnc_find(const trp_turnc_t *client,
    const trp_stun_t *m);
static uint64_t trp_turnc_id_hash(const uint8_t *id);
static int trp_turnc_again(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned *code);
static void trp_turnc_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code);


int
trp_turnc_busy(const trp_turnc_t *client)
{
    return client->transactions.n >= TRP_TURNC_TRANSACTIONS;
}


void
trp_turnc_request(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_turnc_request_t *request)
{
    trp_assert(!t->active);

    t->timer.kind = TRP_TURNC_TIMER_TRANSACTION;
    t->request = request;
    t->nstale = 0;
    t->violated = 0;

    trp_turnc_begin(client, t);
}


static void
trp_turnc_begin(trp_turnc_t *client, trp_turnc_transaction_t *t)
{
    t->active = 1;
    t->nsent = 0;

    trp_random_bytes(&client->random, t->id, TRP_STUN_ID_LEN);
    trp_hash_insert(&client->transactions, &t->node,
                    trp_turnc_id_hash(t->id));

    trp_turnc_transmit(client, t);
}


void
trp_turnc_request_end(trp_turnc_t *client, trp_turnc_transaction_t *t)
{
    if (t->active) {
        trp_timer_stop(&client->timers, &t->timer);
        trp_hash_remove(&client->transactions, &t->node);
        t->active = 0;
    }
}


/*
 * RFC 8489, section 6.2.  The message is written anew for each try, so that it
 * need not be kept; it is the same, unless the nonce has changed meanwhile.
 */

static void
trp_turnc_transmit(trp_turnc_t *client, trp_turnc_transaction_t *t)
{
    uint8_t            buf[TRP_TURNC_MESSAGE_MAX];
    trp_stun_writer_t  w;

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, t->request->method,
                   t->id);

    t->request->put(client, t, &w);

    t->authenticated = client->auth.challenged;
    t->nsent++;

    trp_timer_set(&client->timers, &t->timer,
                  client->now + trp_turnc_wait_for(client, t));

    if (trp_turnc_sign(client, &w) == TRP_OK) {
        trp_turnc_out(client, w.data, w.len);
    }
}


/* how long the answer to what was just sent may take */

static uint64_t
trp_turnc_wait_for(const trp_turnc_t *client, const trp_turnc_transaction_t *t)
{
    if (client->conf.stream) {
        return TRP_TURNC_TI;
    }

    if (t->nsent == trp_turnc_tries(client)) {
        return TRP_TURNC_RTO * (client->conf.hasty ? TRP_TURNC_HASTY_RM
                                                   : TRP_TURNC_RM);
    }

    return (uint64_t) TRP_TURNC_RTO << (t->nsent - 1);
}


static unsigned
trp_turnc_tries(const trp_turnc_t *client)
{
    return client->conf.hasty ? TRP_TURNC_HASTY_RC : TRP_TURNC_RC;
}


void
trp_turnc_request_timer(trp_turnc_t *client, trp_turnc_transaction_t *t)
{
    trp_assert(t->active && t->nsent);

    if (!client->conf.stream && t->nsent < trp_turnc_tries(client)) {
        trp_turnc_transmit(client, t);

        if (t->nsent > TRP_TURNC_SILENT && t->request->silent) {
            (void) t->request->silent(client);
        }

        return;
    }

    trp_turnc_done(client, t, NULL,
                   t->violated ? TRP_TURNC_INTEGRITY : TRP_TURNC_TIMEOUT);
}


static trp_turnc_transaction_t *
trp_turnc_find(const trp_turnc_t *client, const trp_stun_t *m)
{
    trp_hash_node_t          *node;
    trp_turnc_transaction_t  *t;

    node = trp_hash_find(&client->transactions,
                         trp_turnc_id_hash(m->data + 8));

    while (node) {
        t = trp_of(trp_turnc_transaction_t, node, node);

        if (memcmp(t->id, m->data + 8, TRP_STUN_ID_LEN) == 0) {
            return (t->request->method == m->method) ? t : NULL;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


/* ids are random, and made here, so they need no secret hash */

static uint64_t
trp_turnc_id_hash(const uint8_t *id)
{
    uint64_t  hash;

    memcpy(&hash, id, sizeof(hash));

    return hash;
}


/*
 * RFC 8489, section 9.2.5: 401 and 438 need no signature.  Other answers that
 * are not signed with our password are ignored over UDP, where they may come
 * from anywhere; over a stream, no better answer would follow.
 */

void
trp_turnc_answer(trp_turnc_t *client, const trp_stun_t *m)
{
    unsigned                  code;
    trp_turnc_transaction_t  *t;

    t = trp_turnc_find(client, m);
    if (t == NULL) {
        return;
    }

    code = 0;

    if (m->type == TRP_STUN_ERROR) {
        code = trp_stun_error(m);
        code = code ? code : TRP_TURNC_PROTOCOL;
    }

    if (code == 401 || code == 438) {

        if (trp_turnc_again(client, t, m, &code) == TRP_OK) {
            return;
        }

    } else if (t->authenticated && trp_turnc_verify(client, m) != TRP_OK) {
        t->violated = 1;

        if (!client->conf.stream
            || (code == 400 && m->sha1 == 0 && m->sha256 == 0))
        {
            return;
        }

        code = TRP_TURNC_INTEGRITY;

    } else if (m->nunknown) {
        code = TRP_TURNC_PROTOCOL;
    }

    trp_turnc_done(client, t, m, code);
}


/* TRP_OK if the request was sent once more, with a new id */

static int
trp_turnc_again(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned *code)
{
    int  rc;

    /* 401 to a signed request: the password is wrong */

    if ((*code == 401) == t->authenticated || client->auth.name.len == 0
        || t->nstale == TRP_TURNC_STALE_MAX)
    {
        return TRP_DECLINED;
    }

    rc = (*code == 401) ? trp_turnc_challenge(client, m)
                        : trp_turnc_stale(client, m);

    if (rc != TRP_OK) {
        *code = TRP_TURNC_PROTOCOL;
        return rc;
    }

    t->nstale++;

    trp_turnc_request_end(client, t);
    trp_turnc_begin(client, t);

    return TRP_OK;
}


static void
trp_turnc_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code)
{
    trp_turnc_request_end(client, t);

    if (code == 0) {
        trp_turnc_heard(client, 0);
    }

    t->request->done(client, t, m, code);
}


/* the credentials are no longer good, or the allocation is gone */

int
trp_turnc_fatal(unsigned code)
{
    return code == 401 || code == 437 || code == 441;
}
