
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams of the TURN client for one peer: sent as ChannelData or as Send
 * indications, at once or when the server has allowed the peer.
 */


#include "turnc/trp_turnc_queue.h"
#include "turnc/trp_turnc_base.h"

#include <string.h>


struct trp_turnc_datagram_s {
    trp_turnc_datagram_t  *next;
    size_t                 len;
    uint8_t                data[];
};


static trp_turnc_datagram_t *trp_turnc_dequeue(trp_turnc_peer_t *peer);


/* as ChannelData (RFC 8656, section 12.5), or as a Send indication */

void
trp_turnc_deliver(trp_turnc_t *client, const trp_turnc_peer_t *peer,
    const uint8_t *p, size_t len)
{
    size_t             padded;
    uint8_t            id[TRP_STUN_ID_LEN];
    uint8_t            buf[TRP_TURNC_DATA_MAX + 64];
    trp_stun_writer_t  w;

    trp_assert(len <= TRP_TURNC_DATA_MAX);
    trp_assert(peer->state == TRP_TURNC_BOUND
               || peer->state == TRP_TURNC_PERMITTED);

    if (peer->state == TRP_TURNC_BOUND) {
        padded = client->conf.stream ? (len + 3) & ~(size_t) 3 : len;

        trp_write16(buf, peer->number);
        trp_write16(buf + 2, (uint16_t) len);

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


int
trp_turnc_enqueue(trp_turnc_t *client, trp_turnc_peer_t *peer,
    const uint8_t *p, size_t len)
{
    trp_turnc_datagram_t  *d, **last;

    if (peer->nqueued == TRP_TURNC_QUEUE || len > TRP_TURNC_DATAGRAM) {
        return TRP_AGAIN;
    }

    d = trp_memory_get(&client->memory, sizeof(trp_turnc_datagram_t) + len);
    if (d == NULL) {
        return TRP_ERROR;
    }

    d->len = len;

    if (len) {
        memcpy(d->data, p, len);
    }

    for (last = &peer->first; *last; last = &(*last)->next) { /* void */ }

    *last = d;
    peer->nqueued++;

    return TRP_OK;
}


void
trp_turnc_queue_send(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_turnc_datagram_t  *d;

    while ((d = trp_turnc_dequeue(peer)) != NULL) {
        trp_turnc_deliver(client, peer, d->data, d->len);
        trp_memory_put(&client->memory, d);
    }
}


void
trp_turnc_queue_free(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_turnc_datagram_t  *d;

    while ((d = trp_turnc_dequeue(peer)) != NULL) {
        trp_memory_put(&client->memory, d);
    }
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
