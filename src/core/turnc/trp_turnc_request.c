
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turnc_private.h"

#include <string.h>


/* answers 438 to what is always the same request */

#define TRP_TURNC_STALE_MAX  3

/* sent so often in vain: the server may have forgotten the allocation */

#define TRP_TURNC_SILENT     3


static void trp_turnc_begin(trp_turnc_t *client,
    trp_turnc_transaction_t *t);
static void trp_turnc_transmit(trp_turnc_t *client,
    trp_turnc_transaction_t *t);
static void trp_turnc_allocate_put(const trp_turnc_t *client,
    trp_stun_writer_t *w);
static trp_turnc_transaction_t *trp_turnc_find(
    const trp_turnc_t *client, const trp_stun_t *m);
static uint64_t trp_turnc_id_hash(const uint8_t *id);
static int trp_turnc_again(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned *code);
static void trp_turnc_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);


int
trp_turnc_busy(const trp_turnc_t *client)
{
    return client->transactions.n >= TRP_TURNC_TRANSACTIONS;
}


void
trp_turnc_request(trp_turnc_t *client,
    trp_turnc_transaction_t *t, uint16_t method)
{
    t->timer.kind = TRP_TURNC_TIMER_TRANSACTION;
    t->method = method;
    t->nstale = 0;
    t->violated = 0;

    trp_turnc_begin(client, t);
}


static void
trp_turnc_begin(trp_turnc_t *client,
    trp_turnc_transaction_t *t)
{
    t->active = 1;
    t->nsent = 0;

    trp_random_bytes(&client->random, t->id, TRP_STUN_ID_LEN);
    trp_hash_insert(&client->transactions, &t->node,
                    trp_turnc_id_hash(t->id));

    trp_turnc_transmit(client, t);
}


void
trp_turnc_request_end(trp_turnc_t *client,
    trp_turnc_transaction_t *t)
{
    if (t->active) {
        trp_turnc_timer_stop(client, &t->timer);
        trp_hash_remove(&client->transactions, &t->node);
        t->active = 0;
    }
}


/*
 * RFC 8489, section 6.2.  The message is made anew each time, so that it need
 * not be kept; it is the same again, unless the nonce has changed meanwhile.
 */

static void
trp_turnc_transmit(trp_turnc_t *client,
    trp_turnc_transaction_t *t)
{
    uint8_t            buf[TRP_TURNC_MESSAGE_MAX];
    uint64_t           wait;
    trp_str_t          nonce;
    trp_stun_writer_t  w;

    nonce.data = client->nonce;
    nonce.len = client->nonce_len;

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, t->method, t->id);

    switch (t->method) {

    case TRP_STUN_ALLOCATE:
        trp_turnc_allocate_put(client, &w);
        break;

    case TRP_STUN_REFRESH:
        break;

    case TRP_STUN_CONNECT:
        trp_turnc_connect_put(t, &w);
        break;

    default: /* TRP_STUN_CHANNEL_BIND, TRP_STUN_CREATE_PERMISSION */
        trp_turnc_peer_put(t, &w, client->now);
    }

    t->authenticated = client->authenticated;
    t->nsent++;

    if (client->conf.stream) {
        wait = TRP_TURNC_TI;

    } else if (t->nsent == TRP_TURNC_RC) {
        wait = TRP_TURNC_RTO * TRP_TURNC_RM;

    } else {
        wait = (uint64_t) TRP_TURNC_RTO << (t->nsent - 1);
    }

    trp_turnc_timer(client, &t->timer, client->now + wait);

    /* last, because the handler may call back */

    if (trp_turnc_sign(client, &w, nonce) == TRP_OK) {
        trp_turnc_out(client, w.data, w.len);
    }
}


static void
trp_turnc_allocate_put(const trp_turnc_t *client,
    trp_stun_writer_t *w)
{
    trp_stun_put_u32(w, TRP_STUN_REQUESTED_TRANSPORT,
                     (uint32_t) client->conf.transport << 24);

    if (client->conf.family == 6) {
        trp_stun_put_u32(w, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    }
}


void
trp_turnc_request_timer(trp_turnc_t *client,
    trp_turnc_transaction_t *t)
{
    if (!client->conf.stream && t->nsent < TRP_TURNC_RC) {
        trp_turnc_transmit(client, t);

        if (t != &client->control && t->nsent > TRP_TURNC_SILENT) {
            (void) trp_turnc_doubt(client);
        }

        return;
    }

    trp_turnc_done(client, t, NULL,
                   t->violated ? TRP_TURNC_INTEGRITY
                               : TRP_TURNC_TIMEOUT);
}


static trp_turnc_transaction_t *
trp_turnc_find(const trp_turnc_t *client, const trp_stun_t *m)
{
    trp_hash_node_t          *node;
    trp_turnc_transaction_t  *t;

    node = trp_hash_find(&client->transactions,
                         trp_turnc_id_hash(m->data + 8));

    while (node) {
        t = trp_turnc_of(trp_turnc_transaction_t, node, node);

        if (memcmp(t->id, m->data + 8, TRP_STUN_ID_LEN) == 0) {
            return (t->method == m->method) ? t : NULL;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


/* ids are random, and our own */

static uint64_t
trp_turnc_id_hash(const uint8_t *id)
{
    uint64_t  hash;

    memcpy(&hash, id, sizeof(hash));

    return hash;
}


/*
 * RFC 8489, section 9.2.5: 401 and 438 are believed as they are.  Of what
 * else is not signed with our password nothing happens over UDP, where
 * anybody may send it; over a stream nothing better will come.
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

    } else if (t->authenticated
               && trp_turnc_verify(client, m) != TRP_OK)
    {
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


/* TRP_OK if the request was sent once more, as a new one */

static int
trp_turnc_again(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned *code)
{
    int  rc;

    /* 401 to what was signed: it is the password that is wrong */

    if ((*code == 401) == t->authenticated || client->name.len == 0
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
trp_turnc_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code)
{
    trp_turnc_request_end(client, t);

    if (code == 0) {
        trp_turnc_heard(client, 0);
    }

    switch (t->method) {

    case TRP_STUN_ALLOCATE:
        trp_turnc_allocate_done(client, m, code);
        break;

    case TRP_STUN_REFRESH:
        trp_turnc_refresh_done(client, m, code);
        break;

    case TRP_STUN_CONNECT:
        trp_turnc_connect_done(client, t, m, code);
        break;

    default: /* TRP_STUN_CHANNEL_BIND, TRP_STUN_CREATE_PERMISSION */
        trp_turnc_peer_done(client, t, code);
    }
}


/* the credentials are no longer good, or the allocation is gone */

int
trp_turnc_fatal(unsigned code)
{
    return code == 401 || code == 437 || code == 441;
}
