
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turnc_private.h"

#include <string.h>


/* what fits into an indication, and that into a datagram */

#define TRP_TURNC_DATA_MAX  65400


struct trp_turnc_datagram_s {
    trp_turnc_datagram_t  *next;
    size_t                 len;
    uint8_t                data[];
};


static int trp_turnc_enqueue(trp_turnc_t *client,
    trp_turnc_peer_t *peer, const uint8_t *p, size_t len);
static trp_turnc_datagram_t *trp_turnc_dequeue(
    trp_turnc_peer_t *peer);
static void trp_turnc_deliver(trp_turnc_t *client,
    const trp_turnc_peer_t *peer, const uint8_t *p, size_t len);


int
trp_turnc_send(trp_turnc_t *client, const trp_taddr_t *addr,
    const uint8_t *p, size_t len, uint64_t now, int64_t wall)
{
    int                rc;
    trp_turnc_peer_t  *peer;

    (void) wall;

    if (client->state != TRP_TURNC_ALLOCATED
        || client->conf.transport != TRP_TURNC_UDP)
    {
        return TRP_ERROR;
    }

    client->now = now;

    if (addr->addr.family == 0 || addr->port == 0) {
        return TRP_DECLINED;
    }

    peer = trp_turnc_peer_find(client, addr);

    if (peer == NULL || peer->state == TRP_TURNC_RESTING) {
        rc = trp_turnc_peer_use(client, &peer, addr);

        if (rc != TRP_OK) {
            return rc;
        }
    }

    switch (peer->state) {

    case TRP_TURNC_ASKING:
        return trp_turnc_enqueue(client, peer, p, len);

    case TRP_TURNC_DENIED:
        return TRP_DECLINED;

    default: /* TRP_TURNC_BOUND, TRP_TURNC_PERMITTED */

        if (len > TRP_TURNC_DATA_MAX) {
            return TRP_AGAIN;
        }

        trp_turnc_wait(client);
        trp_turnc_deliver(client, peer, p, len);

        return TRP_OK;
    }
}


static int
trp_turnc_enqueue(trp_turnc_t *client,
    trp_turnc_peer_t *peer, const uint8_t *p, size_t len)
{
    trp_turnc_datagram_t  *d, **last;

    if (peer->nqueued == TRP_TURNC_QUEUE
        || len > TRP_TURNC_DATAGRAM)
    {
        return TRP_AGAIN;
    }

    d = trp_turnc_get(client, sizeof(trp_turnc_datagram_t) + len);
    if (d == NULL) {
        return TRP_ERROR;
    }

    trp_turnc_wait(client);

    d->len = len;

    if (len) {
        memcpy(d->data, p, len);
    }

    for (last = &peer->first; *last; last = &(*last)->next) { /* void */ }

    *last = d;
    peer->nqueued++;

    return TRP_OK;
}


static trp_turnc_datagram_t *
trp_turnc_dequeue(trp_turnc_peer_t *peer)
{
    trp_turnc_datagram_t  *d;

    d = peer->first;

    if (d) {
        peer->first = d->next;
        peer->nqueued--;
    }

    return d;
}


void
trp_turnc_queue_send(trp_turnc_t *client,
    trp_turnc_peer_t *peer)
{
    trp_turnc_datagram_t  *d;

    while ((d = trp_turnc_dequeue(peer)) != NULL) {
        trp_turnc_deliver(client, peer, d->data, d->len);
        trp_turnc_put(client, d);
    }
}


void
trp_turnc_queue_free(trp_turnc_t *client,
    trp_turnc_peer_t *peer)
{
    trp_turnc_datagram_t  *d;

    while ((d = trp_turnc_dequeue(peer)) != NULL) {
        trp_turnc_put(client, d);
    }
}


/* as ChannelData (RFC 8656, section 12.5), or as a Send indication */

static void
trp_turnc_deliver(trp_turnc_t *client,
    const trp_turnc_peer_t *peer, const uint8_t *p, size_t len)
{
    size_t             padded;
    uint8_t            id[TRP_STUN_ID_LEN];
    uint8_t            buf[TRP_TURNC_DATA_MAX + 64];
    trp_stun_writer_t  w;

    if (peer->state == TRP_TURNC_BOUND) {
        padded = client->conf.stream ? (len + 3) & ~(size_t) 3 : len;

        trp_stun_write16(buf, peer->number);
        trp_stun_write16(buf + 2, (uint16_t) len);

        if (len) {
            memcpy(buf + TRP_CHANNEL_HEADER_LEN, p, len);
            memset(buf + TRP_CHANNEL_HEADER_LEN + len, 0, padded - len);
        }

        trp_turnc_out(client, buf, TRP_CHANNEL_HEADER_LEN + padded);
        return;
    }

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_INDICATION, TRP_STUN_SEND,
                   id);
    trp_stun_put_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, &peer->addr);
    trp_stun_put(&w, TRP_STUN_DATA_ATTRIBUTE, p, len);
    trp_stun_put_fingerprint(&w);

    trp_turnc_out(client, w.data, w.len);
}


void
trp_turnc_channel_data(trp_turnc_t *client, const uint8_t *p,
    size_t len)
{
    size_t             n;
    trp_taddr_t        addr;
    trp_hash_node_t   *node;
    trp_turnc_peer_t  *peer;

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

    peer = trp_turnc_of(trp_turnc_peer_t, by_number, node);

    if (peer->state != TRP_TURNC_BOUND) {
        return;
    }

    addr = peer->addr;

    trp_turnc_heard(client, 1);

    client->handlers.received(client->data, &addr,
                              p + TRP_CHANNEL_HEADER_LEN, n);
}


/* RFC 8656, section 11.4; ConnectionAttempt is of nobody we have let in */

void
trp_turnc_indication(trp_turnc_t *client, const trp_stun_t *m)
{
    trp_str_t    data;
    trp_taddr_t  addr;

    data = trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE);

    if (m->method != TRP_STUN_DATA || data.data == NULL
        || trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &addr)
           != TRP_OK
        || !trp_turnc_permitted(client, &addr.addr))
    {
        return;
    }

    trp_turnc_heard(client, 1);

    client->handlers.received(client->data, &addr, data.data, data.len);
}
