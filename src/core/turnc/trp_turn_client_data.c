
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turn_client_private.h"

#include <string.h>


/* what fits into an indication, and that into a datagram */

#define TRP_TURN_CLIENT_DATA_MAX  65400


struct trp_turn_client_datagram_s {
    trp_turn_client_datagram_t  *next;
    size_t                       len;
    uint8_t                      data[];
};


static int trp_turn_client_enqueue(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer, const uint8_t *p, size_t len);
static trp_turn_client_datagram_t *trp_turn_client_dequeue(
    trp_turn_client_peer_t *peer);
static void trp_turn_client_deliver(trp_turn_client_t *client,
    const trp_turn_client_peer_t *peer, const uint8_t *p, size_t len);


int
trp_turn_client_send(trp_turn_client_t *client, const trp_taddr_t *addr,
    const uint8_t *p, size_t len, uint64_t now, int64_t wall)
{
    int                      rc;
    trp_turn_client_peer_t  *peer;

    (void) wall;

    if (client->state != TRP_TURN_CLIENT_ALLOCATED
        || client->conf.transport != TRP_TURN_CLIENT_UDP)
    {
        return TRP_ERROR;
    }

    client->now = now;

    if (addr->addr.family == 0 || addr->port == 0) {
        return TRP_DECLINED;
    }

    peer = trp_turn_client_peer_find(client, addr);

    if (peer == NULL || peer->state == TRP_TURN_CLIENT_RESTING) {
        rc = trp_turn_client_peer_use(client, &peer, addr);

        if (rc != TRP_OK) {
            return rc;
        }
    }

    switch (peer->state) {

    case TRP_TURN_CLIENT_ASKING:
        return trp_turn_client_enqueue(client, peer, p, len);

    case TRP_TURN_CLIENT_DENIED:
        return TRP_DECLINED;

    default: /* TRP_TURN_CLIENT_BOUND, TRP_TURN_CLIENT_PERMITTED */

        if (len > TRP_TURN_CLIENT_DATA_MAX) {
            return TRP_AGAIN;
        }

        trp_turn_client_wait(client);
        trp_turn_client_deliver(client, peer, p, len);

        return TRP_OK;
    }
}


static int
trp_turn_client_enqueue(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer, const uint8_t *p, size_t len)
{
    trp_turn_client_datagram_t  *d, **last;

    if (peer->nqueued == TRP_TURN_CLIENT_QUEUE
        || len > TRP_TURN_CLIENT_DATAGRAM)
    {
        return TRP_AGAIN;
    }

    d = trp_turn_client_get(client, sizeof(trp_turn_client_datagram_t) + len);
    if (d == NULL) {
        return TRP_ERROR;
    }

    trp_turn_client_wait(client);

    d->len = len;

    if (len) {
        memcpy(d->data, p, len);
    }

    for (last = &peer->first; *last; last = &(*last)->next) { /* void */ }

    *last = d;
    peer->nqueued++;

    return TRP_OK;
}


static trp_turn_client_datagram_t *
trp_turn_client_dequeue(trp_turn_client_peer_t *peer)
{
    trp_turn_client_datagram_t  *d;

    d = peer->first;

    if (d) {
        peer->first = d->next;
        peer->nqueued--;
    }

    return d;
}


void
trp_turn_client_queue_send(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer)
{
    trp_turn_client_datagram_t  *d;

    while ((d = trp_turn_client_dequeue(peer)) != NULL) {
        trp_turn_client_deliver(client, peer, d->data, d->len);
        trp_turn_client_put(client, d);
    }
}


void
trp_turn_client_queue_free(trp_turn_client_t *client,
    trp_turn_client_peer_t *peer)
{
    trp_turn_client_datagram_t  *d;

    while ((d = trp_turn_client_dequeue(peer)) != NULL) {
        trp_turn_client_put(client, d);
    }
}


/* as ChannelData (RFC 8656, section 12.5), or as a Send indication */

static void
trp_turn_client_deliver(trp_turn_client_t *client,
    const trp_turn_client_peer_t *peer, const uint8_t *p, size_t len)
{
    size_t             padded;
    uint8_t            id[TRP_STUN_ID_LEN];
    uint8_t            buf[TRP_TURN_CLIENT_DATA_MAX + 64];
    trp_stun_writer_t  w;

    if (peer->state == TRP_TURN_CLIENT_BOUND) {
        padded = client->conf.stream ? (len + 3) & ~(size_t) 3 : len;

        trp_stun_write16(buf, peer->number);
        trp_stun_write16(buf + 2, (uint16_t) len);

        if (len) {
            memcpy(buf + TRP_CHANNEL_HEADER_LEN, p, len);
            memset(buf + TRP_CHANNEL_HEADER_LEN + len, 0, padded - len);
        }

        trp_turn_client_out(client, buf, TRP_CHANNEL_HEADER_LEN + padded);
        return;
    }

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_INDICATION, TRP_STUN_SEND,
                   id);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, &peer->addr);
    trp_stun_put(&w, TRP_STUN_DATA_ATTRIBUTE, p, len);
    trp_stun_put_fingerprint(&w);

    trp_turn_client_out(client, w.data, w.len);
}


void
trp_turn_client_channel_data(trp_turn_client_t *client, const uint8_t *p,
    size_t len)
{
    size_t                   n;
    trp_taddr_t              addr;
    trp_hash_node_t         *node;
    trp_turn_client_peer_t  *peer;

    if (len < TRP_CHANNEL_HEADER_LEN) {
        return;
    }

    n = trp_stun_read16(p + 2);

    if (n > len - TRP_CHANNEL_HEADER_LEN) {
        return;
    }

    node = trp_hash_find(&client->channels, trp_stun_read16(p));
    if (node == NULL) {
        return;
    }

    peer = trp_turn_client_of(trp_turn_client_peer_t, by_number, node);

    if (peer->state != TRP_TURN_CLIENT_BOUND) {
        return;
    }

    addr = peer->addr;

    trp_turn_client_heard(client, 1);

    client->handlers.received(client->data, &addr,
                              p + TRP_CHANNEL_HEADER_LEN, n);
}


/* RFC 8656, section 11.4; ConnectionAttempt is of nobody we have let in */

void
trp_turn_client_indication(trp_turn_client_t *client, const trp_stun_t *m)
{
    trp_str_t    data;
    trp_taddr_t  addr;

    data = trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE);

    if (m->method != TRP_STUN_DATA || data.data == NULL
        || trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &addr)
           != TRP_OK
        || !trp_turn_client_permitted(client, &addr.addr))
    {
        return;
    }

    trp_turn_client_heard(client, 1);

    client->handlers.received(client->data, &addr, data.data, data.len);
}
