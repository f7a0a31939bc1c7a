
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections of the TURN client to peers (RFC 6062): Connect, and the
 * ConnectionBind that the caller sends on a connection of its own.
 */


#include "turnc/trp_turnc_tcp.h"
#include "turnc/trp_turnc_auth.h"
#include "turnc/trp_turnc_base.h"
#include "turnc/trp_turnc_doubt.h"
#include "turnc/trp_turnc_request.h"

#include <string.h>


/* an id of a ConnectionBind that is sent for the second time has this bit */

#define TRP_TURNC_AGAIN  0x01


static void trp_turnc_connect_put(trp_turnc_t *client,
    trp_turnc_transaction_t *t, trp_stun_writer_t *w);
static void trp_turnc_connect_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);


static const trp_turnc_request_t  trp_turnc_connect_request = {
    TRP_STUN_CONNECT,
    trp_turnc_connect_put,
    trp_turnc_connect_done,
    trp_turnc_doubt
};


/* RFC 6062, section 4.3 */

int
trp_turnc_tcp_connect(trp_turnc_t *client, const trp_taddr_t *peer,
    void *connect)
{
    trp_turnc_connect_t  *c;

    if (trp_turnc_busy(client)) {
        return TRP_ERROR;
    }

    c = trp_memory_get(&client->memory, sizeof(trp_turnc_connect_t));
    if (c == NULL) {
        return TRP_ERROR;
    }

    c->peer = *peer;
    c->connect = connect;

    trp_turnc_request(client, &c->transaction, &trp_turnc_connect_request);

    return TRP_OK;
}


void
trp_turnc_tcp_forget(trp_turnc_t *client, void *connect)
{
    trp_hash_node_t          *node;
    trp_turnc_connect_t      *c;
    trp_turnc_transaction_t  *t;

    for (node = trp_hash_walk(&client->transactions, NULL);
         node;
         node = trp_hash_walk(&client->transactions, node))
    {
        t = trp_of(trp_turnc_transaction_t, node, node);

        if (t->request != &trp_turnc_connect_request) {
            continue;
        }

        c = trp_of(trp_turnc_connect_t, transaction, t);

        if (c->connect == connect) {
            trp_turnc_request_end(client, t);
            trp_memory_put(&client->memory, c);
            return;
        }
    }
}


void
trp_turnc_connects_free(trp_turnc_t *client)
{
    trp_hash_node_t          *node, *next;
    trp_turnc_transaction_t  *t;

    for (node = trp_hash_walk(&client->transactions, NULL);
         node;
         node = next)
    {
        next = trp_hash_walk(&client->transactions, node);
        t = trp_of(trp_turnc_transaction_t, node, node);

        if (t->request == &trp_turnc_connect_request) {
            trp_turnc_request_end(client, t);
            trp_memory_put(&client->memory,
                trp_of(trp_turnc_connect_t, transaction, t));
        }
    }
}


static void
trp_turnc_connect_put(trp_turnc_t *client, trp_turnc_transaction_t *t,
    trp_stun_writer_t *w)
{
    trp_turnc_connect_t  *c;

    (void) client;

    c = trp_of(trp_turnc_connect_t, transaction, t);

    trp_stun_put_addr(w, TRP_STUN_XOR_PEER_ADDRESS, &c->peer);
}


static void
trp_turnc_connect_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code)
{
    void                 *connect;
    uint32_t              id;
    trp_turnc_event_t    *event;
    trp_turnc_connect_t  *c;

    c = trp_of(trp_turnc_connect_t, transaction, t);
    connect = c->connect;
    id = 0;

    trp_memory_put(&client->memory, c);

    if (trp_turnc_fatal(code)) {
        trp_turnc_fail(client, code);
        return;
    }

    if (code == 0
        && trp_stun_get_u32(m, TRP_STUN_CONNECTION_ID, &id) != TRP_OK)
    {
        code = TRP_TURNC_PROTOCOL;
    }

    if (code == 400) {
        (void) trp_turnc_doubt(client);
    }

    event = trp_turnc_tell(client, code ? TRP_TURNC_EVENT_REFUSED
                                        : TRP_TURNC_EVENT_CONNECTED);
    event->connect = connect;
    event->code = code;
    event->id = id;
}


/*
 * RFC 6062, section 4.3.  A server may want a separate nonce for each address
 * that asks, so a nonce from here is not used for other requests.
 */

size_t
trp_turnc_tcp_bind(trp_turnc_t *client, uint32_t connection, uint8_t *p,
    uint8_t *id)
{
    trp_str_t          nonce;
    trp_stun_writer_t  w;

    trp_random_bytes(&client->random, id, TRP_STUN_ID_LEN);

    if (client->bind_nonce_len) {
        id[0] |= TRP_TURNC_AGAIN;
        nonce.data = client->bind_nonce;
        nonce.len = client->bind_nonce_len;

    } else {
        id[0] &= (uint8_t) ~TRP_TURNC_AGAIN;
        nonce.data = client->auth.nonce;
        nonce.len = client->auth.nonce_len;
    }

    client->bind_nonce_len = 0;

    trp_stun_begin(&w, p, TRP_TURNC_MESSAGE_MAX, TRP_STUN_REQUEST,
                   TRP_STUN_CONNECTION_BIND, id);
    trp_stun_put_u32(&w, TRP_STUN_CONNECTION_ID, connection);

    return (trp_turnc_sign_with(client, &w, nonce) == TRP_OK) ? w.len : 0;
}


int
trp_turnc_tcp_bound(trp_turnc_t *client, const uint8_t *p, size_t len,
    const uint8_t *id, unsigned *code)
{
    trp_stun_t  m;

    *code = TRP_TURNC_PROTOCOL;

    if (trp_stun_parse(&m, p, len) != TRP_OK
        || (m.type != TRP_STUN_SUCCESS && m.type != TRP_STUN_ERROR)
        || m.method != TRP_STUN_CONNECTION_BIND
        || memcmp(m.data + 8, id, TRP_STUN_ID_LEN) != 0)
    {
        return TRP_ERROR;
    }

    if (m.type == TRP_STUN_ERROR) {
        *code = trp_stun_error(&m);

        if (*code == 438 && !(id[0] & TRP_TURNC_AGAIN)
            && trp_turnc_nonce(&m, client->bind_nonce,
                               &client->bind_nonce_len)
               == TRP_OK)
        {
            return TRP_AGAIN;
        }

        if (*code == 401 || *code == 438) {
            return TRP_ERROR;
        }
    }

    if (client->auth.challenged && trp_turnc_verify(client, &m) != TRP_OK) {
        *code = TRP_TURNC_INTEGRITY;
        return TRP_ERROR;
    }

    if (m.type == TRP_STUN_ERROR || m.nunknown) {
        *code = *code ? *code : TRP_TURNC_PROTOCOL;
        return TRP_ERROR;
    }

    *code = 0;

    return TRP_OK;
}
