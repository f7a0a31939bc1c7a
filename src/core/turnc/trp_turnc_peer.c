
/*
 * Copyright (C) the trp authors
 */


/*
 * Peers of the TURN client.  Each has a permission, and a channel if the server
 * grants one, which are refreshed while the peer is in use.  After that, the
 * channel's number rests until the server has forgotten it.
 */


#include "turnc/trp_turnc_peer.h"
#include "base/trp_addr.h"
#include "turnc/trp_turnc_base.h"
#include "turnc/trp_turnc_doubt.h"
#include "turnc/trp_turnc_queue.h"
#include "turnc/trp_turnc_request.h"


/* RFC 8656, sections 9 and 12; milliseconds */

#define TRP_TURNC_PERMISSION    300000
#define TRP_TURNC_PEER_REFRESH  240000

/*
 * The time from a ChannelBind until its number may be used for another peer:
 * 10 minutes, 5 minutes, and one for messages that are under way.
 */

#define TRP_TURNC_REST          960000

#define TRP_TURNC_CHANNEL_MIN   0x4000
#define TRP_TURNC_CHANNEL_MAX   0x4fff


static trp_turnc_peer_t *trp_turnc_peer_create(trp_turnc_t *client,
    const trp_taddr_t *addr);
static uint16_t trp_turnc_number(trp_turnc_t *client);
static void trp_turnc_peer_ask(trp_turnc_t *client, trp_turnc_peer_t *peer);
static void trp_turnc_peer_put(trp_turnc_t *client, trp_turnc_transaction_t *t,
    trp_stun_writer_t *w);
static void trp_turnc_peer_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);
static void trp_turnc_peer_permitted(trp_turnc_t *client,
    trp_turnc_peer_t *peer);
static void trp_turnc_peer_denied(trp_turnc_t *client, trp_turnc_peer_t *peer,
    unsigned code);
static void trp_turnc_peer_unuse(trp_turnc_t *client, trp_turnc_peer_t *peer);
static void trp_turnc_peer_free(trp_turnc_t *client, trp_turnc_peer_t *peer);
static uint64_t trp_turnc_hash_addr(const trp_turnc_t *client,
    const trp_taddr_t *addr);
static uint64_t trp_turnc_hash_host(const trp_turnc_t *client,
    const trp_addr_t *host);


static const trp_turnc_request_t  trp_turnc_channel_request = {
    TRP_STUN_CHANNEL_BIND,
    trp_turnc_peer_put,
    trp_turnc_peer_done,
    trp_turnc_doubt
};


static const trp_turnc_request_t  trp_turnc_permission_request = {
    TRP_STUN_CREATE_PERMISSION,
    trp_turnc_peer_put,
    trp_turnc_peer_done,
    trp_turnc_doubt
};


trp_turnc_peer_t *
trp_turnc_peer_find(const trp_turnc_t *client, const trp_taddr_t *addr)
{
    trp_hash_node_t   *node;
    trp_turnc_peer_t  *peer;

    node = trp_hash_find(&client->peers.by_addr,
                         trp_turnc_hash_addr(client, addr));

    while (node) {
        peer = trp_of(trp_turnc_peer_t, by_addr, node);

        if (trp_taddr_equal(&peer->addr, addr)) {
            return peer;
        }

        node = trp_hash_next(node);
    }

    return NULL;
}


trp_turnc_peer_t *
trp_turnc_peer_by_number(const trp_turnc_t *client, uint16_t number)
{
    trp_hash_node_t  *node;

    node = trp_hash_find(&client->peers.by_number, number);

    return node ? trp_of(trp_turnc_peer_t, by_number, node) : NULL;
}


/* "*peer" is NULL for a new peer, or a peer that rests */

int
trp_turnc_peer_use(trp_turnc_t *client,
    trp_turnc_peer_t **peer, const trp_taddr_t *addr)
{
    trp_assert(*peer == NULL || (*peer)->state == TRP_TURNC_RESTING);

    if (client->peers.nused == TRP_TURNC_PEERS || trp_turnc_busy(client)) {
        return TRP_AGAIN;
    }

    if (*peer == NULL) {
        *peer = trp_turnc_peer_create(client, addr);

        if (*peer == NULL) {
            return TRP_ERROR;
        }
    }

    (*peer)->state = TRP_TURNC_ASKING;
    (*peer)->no_channel = 0;
    client->peers.nused++;

    trp_hash_insert(&client->peers.by_host, &(*peer)->by_host,
                    trp_turnc_hash_host(client, &addr->addr));

    trp_timer_stop(&client->timers, &(*peer)->timer);
    trp_turnc_peer_ask(client, *peer);

    return TRP_OK;
}


static trp_turnc_peer_t *
trp_turnc_peer_create(trp_turnc_t *client, const trp_taddr_t *addr)
{
    trp_turnc_peer_t  *peer;

    peer = trp_memory_get(&client->memory, sizeof(trp_turnc_peer_t));
    if (peer == NULL) {
        return NULL;
    }

    peer->timer.kind = TRP_TURNC_TIMER_PEER;
    peer->addr = *addr;

    trp_hash_insert(&client->peers.by_addr, &peer->by_addr,
                    trp_turnc_hash_addr(client, addr));
    peer->number = trp_turnc_number(client);

    if (peer->number) {
        trp_hash_insert(&client->peers.by_number, &peer->by_number,
                        peer->number);
    }

    return peer;
}


/* the next number that is free; 0 if there is none */

static uint16_t
trp_turnc_number(trp_turnc_t *client)
{
    if (client->peers.by_number.n > TRP_TURNC_CHANNEL_MAX
                             - TRP_TURNC_CHANNEL_MIN)
    {
        return 0;
    }

    do {
        if (client->peers.last < TRP_TURNC_CHANNEL_MIN
            || client->peers.last == TRP_TURNC_CHANNEL_MAX)
        {
            client->peers.last = TRP_TURNC_CHANNEL_MIN;

        } else {
            client->peers.last++;
        }
    } while (trp_hash_find(&client->peers.by_number, client->peers.last));

    return client->peers.last;
}


/* binding a channel includes the permission (RFC 8656, section 12) */

static void
trp_turnc_peer_ask(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_turnc_request(client, &peer->transaction,
                      (peer->number && !peer->no_channel)
                      ? &trp_turnc_channel_request
                      : &trp_turnc_permission_request);
}


static void
trp_turnc_peer_put(trp_turnc_t *client, trp_turnc_transaction_t *t,
    trp_stun_writer_t *w)
{
    trp_turnc_peer_t  *peer;

    peer = trp_of(trp_turnc_peer_t, transaction, t);

    if (t->request == &trp_turnc_channel_request) {
        peer->asked = client->now;
        trp_stun_put_u32(w, TRP_STUN_CHANNEL_NUMBER,
                         (uint32_t) peer->number << 16);
    }

    trp_stun_put_addr(w, TRP_STUN_XOR_PEER_ADDRESS, &peer->addr);
}


static void
trp_turnc_peer_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code)
{
    trp_turnc_peer_t  *peer;

    (void) m;

    peer = trp_of(trp_turnc_peer_t, transaction, t);

    if (trp_turnc_fatal(code)) {
        trp_turnc_fail(client, code);

    } else if (code == 0) {
        trp_turnc_peer_permitted(client, peer);

    } else if (code < 300 || code == 438) {

        /* if it was a refresh, there is time for another try */

        if (peer->state == TRP_TURNC_ASKING) {
            trp_turnc_peer_rest(client, peer);

        } else {
            trp_timer_set(&client->timers, &peer->timer,
                          client->now + TRP_TURNC_PAUSE);
        }

    } else if (code != 403 && t->request == &trp_turnc_channel_request) {

        if (code == 400) {
            (void) trp_turnc_doubt(client);
        }

        peer->no_channel = 1;
        trp_turnc_request(client, t, &trp_turnc_permission_request);

    } else if (code == 400 && trp_turnc_doubt(client)) {

        /* the answer to Refresh will tell more */

        trp_timer_set(&client->timers, &peer->timer,
                      client->now + TRP_TURNC_PAUSE);

    } else {
        trp_turnc_peer_denied(client, peer, code);
    }
}


static void
trp_turnc_peer_permitted(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    peer->state = (peer->transaction.request == &trp_turnc_channel_request)
                  ? TRP_TURNC_BOUND : TRP_TURNC_PERMITTED;
    peer->until = client->now + TRP_TURNC_PERMISSION;

    trp_timer_set(&client->timers, &peer->timer,
                  client->now + TRP_TURNC_PEER_REFRESH);

    trp_turnc_queue_send(client, peer);
}


static void
trp_turnc_peer_denied(trp_turnc_t *client, trp_turnc_peer_t *peer,
    unsigned code)
{
    trp_turnc_event_t  *event;

    peer->state = TRP_TURNC_DENIED;

    trp_turnc_queue_free(client, peer);
    trp_timer_set(&client->timers, &peer->timer, client->now + TRP_TURNC_PAUSE);

    event = trp_turnc_tell(client, TRP_TURNC_EVENT_FORBIDDEN);
    event->peer = peer->addr;
    event->code = code;
}


void
trp_turnc_peer_timer(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    switch (peer->state) {

    case TRP_TURNC_RESTING:
        trp_turnc_peer_free(client, peer);
        return;

    case TRP_TURNC_DENIED:
        trp_turnc_peer_rest(client, peer);
        return;

    default:
        break;
    }

    /* it is time to refresh; if it is too late, datagrams wait again */

    if (client->now < peer->until) {

        if (trp_turnc_busy(client)) {
            trp_timer_set(&client->timers, &peer->timer,
                          client->now + TRP_TURNC_PAUSE);
            return;
        }

        trp_timer_set(&client->timers, &peer->timer, peer->until);

        /* the server may grant one by now */
        peer->no_channel = 0;

        trp_turnc_peer_ask(client, peer);

    } else if (peer->transaction.active) {
        peer->state = TRP_TURNC_ASKING;

    } else if (trp_turnc_busy(client)) {
        trp_turnc_peer_rest(client, peer);

    } else {
        peer->state = TRP_TURNC_ASKING;
        trp_turnc_peer_ask(client, peer);
    }
}


/* whatever the server has answered, it may know the channel for this time */

void
trp_turnc_peer_rest(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_turnc_peer_unuse(client, peer);

    if (peer->number == 0 || peer->asked + TRP_TURNC_REST <= client->now) {
        trp_turnc_peer_free(client, peer);
        return;
    }

    peer->state = TRP_TURNC_RESTING;

    trp_timer_set(&client->timers, &peer->timer, peer->asked + TRP_TURNC_REST);
}


static void
trp_turnc_peer_unuse(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_assert(peer->state != TRP_TURNC_RESTING && client->peers.nused);

    client->peers.nused--;

    trp_hash_remove(&client->peers.by_host, &peer->by_host);

    trp_turnc_request_end(client, &peer->transaction);
    trp_turnc_queue_free(client, peer);
}


static void
trp_turnc_peer_free(trp_turnc_t *client, trp_turnc_peer_t *peer)
{
    trp_timer_stop(&client->timers, &peer->timer);

    trp_hash_remove(&client->peers.by_addr, &peer->by_addr);

    if (peer->number) {
        trp_hash_remove(&client->peers.by_number, &peer->by_number);
    }

    trp_memory_put(&client->memory, peer);
}


void
trp_turnc_peers_free(trp_turnc_t *client)
{
    trp_hash_node_t   *node, *next;
    trp_turnc_peer_t  *peer;

    for (node = trp_hash_walk(&client->peers.by_addr, NULL);
         node;
         node = next)
    {
        next = trp_hash_walk(&client->peers.by_addr, node);
        peer = trp_of(trp_turnc_peer_t, by_addr, node);

        if (peer->state != TRP_TURNC_RESTING) {
            trp_turnc_peer_unuse(client, peer);
        }

        trp_turnc_peer_free(client, peer);
    }
}


/* for any port of a host that a peer is on */

int
trp_turnc_permitted(const trp_turnc_t *client, const trp_addr_t *host)
{
    trp_hash_node_t   *node;
    trp_turnc_peer_t  *peer;

    node = trp_hash_find(&client->peers.by_host,
                         trp_turnc_hash_host(client, host));

    while (node) {
        peer = trp_of(trp_turnc_peer_t, by_host, node);

        if ((peer->state == TRP_TURNC_BOUND
             || peer->state == TRP_TURNC_PERMITTED)
            && trp_addr_equal(&peer->addr.addr, host))
        {
            return 1;
        }

        node = trp_hash_next(node);
    }

    return 0;
}


static uint64_t
trp_turnc_hash_addr(const trp_turnc_t *client, const trp_taddr_t *addr)
{
    uint8_t  buf[TRP_TADDR_PACKED_MAX];

    return trp_hash(&client->peers.by_addr, buf,
                    trp_taddr_pack(buf, addr) - buf);
}


static uint64_t
trp_turnc_hash_host(const trp_turnc_t *client, const trp_addr_t *host)
{
    return trp_hash(&client->peers.by_host, host->bytes,
                    trp_addr_len(host));
}
