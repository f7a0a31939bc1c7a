
/*
 * Copyright (C) the trp authors
 */


/*
 * The entrance of the TURN client: messages, time and the caller's wishes come
 * in here, and are passed to the file that handles them.
 */


#include "turnc/trp_turnc.h"
#include "turnc/trp_turnc_alloc.h"
#include "turnc/trp_turnc_auth.h"
#include "turnc/trp_turnc_base.h"
#include "turnc/trp_turnc_data.h"
#include "turnc/trp_turnc_doubt.h"
#include "turnc/trp_turnc_peer.h"
#include "turnc/trp_turnc_request.h"
#include "turnc/trp_turnc_tcp.h"

#include <string.h>

#include <sodium.h>


static void trp_turnc_dispatch(trp_turnc_t *client, trp_timer_t *timer);
static void trp_turnc_end(trp_turnc_t *client);
static void trp_turnc_clear(trp_turnc_t *client);


trp_turnc_t *
trp_turnc_create(const trp_turnc_conf_t *conf, trp_turnc_send_pt send,
    void *data, const trp_memory_t *memory, const uint8_t *seed)
{
    size_t        size;
    trp_turnc_t  *client;

    size = sizeof(trp_turnc_t);

    if (conf->secret.len) {
        size += TRP_TURNC_EXPIRY_LEN + conf->name.len
                + TRP_TURN_PASSWORD_LEN + 1;
    }

    client = memory->get(memory->data, size);
    if (client == NULL) {
        return NULL;
    }

    memset(client, 0, size);

    client->conf = *conf;
    client->send = send;
    client->data = data;
    client->memory = *memory;
    client->size = size;

    trp_random_init(&client->random, seed);
    trp_random_bytes(&client->random, client->hash_key, TRP_HASH_KEY_LEN);

    trp_hash_init(&client->transactions, client->hash_key, &client->memory);
    trp_hash_init(&client->peers.by_addr, client->hash_key, &client->memory);
    trp_hash_init(&client->peers.by_host, client->hash_key, &client->memory);
    trp_hash_init(&client->peers.by_number, client->hash_key, &client->memory);

    client->alloc.refresh.kind = TRP_TURNC_TIMER_REFRESH;
    client->alloc.lifetime.kind = TRP_TURNC_TIMER_LIFETIME;
    client->alloc.keepalive.kind = TRP_TURNC_TIMER_KEEPALIVE;
    client->silence.timer.kind = TRP_TURNC_TIMER_SILENCE;

    return client;
}


void
trp_turnc_destroy(trp_turnc_t *client)
{
    trp_memory_t  memory;

    trp_turnc_clear(client);

    memory = client->memory;
    sodium_memzero(client, client->size);

    memory.put(memory.data, client);
}


void
trp_turnc_start(trp_turnc_t *client, uint64_t now, int64_t wall)
{
    if (client->state != TRP_TURNC_IDLE) {
        return;
    }

    client->now = now;
    client->state = TRP_TURNC_ALLOCATING;

    if (trp_turnc_credentials(client, wall) != TRP_OK) {
        trp_turnc_fail(client, TRP_TURNC_INTEGRITY);
        trp_turnc_end(client);
        return;
    }

    trp_turnc_allocate(client);
}


int
trp_turnc_input(trp_turnc_t *client, const uint8_t *p, size_t len,
    uint64_t now)
{
    trp_stun_t  m;

    trp_assert(client->event.type == TRP_TURNC_EVENT_NONE);
    trp_assert(now >= client->now);

    client->now = now;

    if (len && trp_stun_is_channel(p[0])) {

        if (client->state == TRP_TURNC_ALLOCATED) {
            trp_turnc_channel_data(client, p, len);
        }

        return TRP_OK;
    }

    if (trp_stun_parse(&m, p, len) != TRP_OK) {
        return TRP_ERROR;
    }

    switch (m.type) {

    case TRP_STUN_SUCCESS:
    case TRP_STUN_ERROR:
        trp_turnc_answer(client, &m);
        trp_turnc_end(client);
        break;

    case TRP_STUN_INDICATION:

        if (client->state == TRP_TURNC_ALLOCATED && m.nunknown == 0) {
            trp_turnc_indication(client, &m);
        }

        break;

    default:

        /* a client gets no requests */
        break;
    }

    return TRP_OK;
}


int
trp_turnc_next(trp_turnc_t *client, trp_turnc_event_t *event)
{
    trp_timer_t  *timer;

    while (client->event.type == TRP_TURNC_EVENT_NONE) {

        timer = trp_timer_due(&client->timers, client->due);
        if (timer == NULL) {
            return TRP_DECLINED;
        }

        trp_timer_stop(&client->timers, timer);
        trp_turnc_dispatch(client, timer);
        trp_turnc_end(client);
    }

    *event = client->event;
    client->event.type = TRP_TURNC_EVENT_NONE;

    return TRP_OK;
}


uint64_t
trp_turnc_deadline(const trp_turnc_t *client)
{
    return trp_timer_deadline(&client->timers);
}


void
trp_turnc_expire(trp_turnc_t *client, uint64_t now)
{
    trp_assert(client->event.type == TRP_TURNC_EVENT_NONE);
    trp_assert(now >= client->now);

    client->now = now;
    client->due = now;
}


static void
trp_turnc_dispatch(trp_turnc_t *client, trp_timer_t *timer)
{
    switch (timer->kind) {

    case TRP_TURNC_TIMER_REFRESH:

        /* because of a doubt, it may already be on its way */

        trp_turnc_refresh(client);
        break;

    case TRP_TURNC_TIMER_LIFETIME:
        trp_turnc_fail(client, TRP_TURNC_TIMEOUT);
        break;

    case TRP_TURNC_TIMER_KEEPALIVE:
        trp_turnc_keepalive_timer(client);
        break;

    case TRP_TURNC_TIMER_SILENCE:
        trp_turnc_silence_timer(client);
        break;

    case TRP_TURNC_TIMER_TRANSACTION:
        trp_turnc_request_timer(client,
            trp_of(trp_turnc_transaction_t, timer, timer));
        break;

    default: /* TRP_TURNC_TIMER_PEER */
        trp_turnc_peer_timer(client,
            trp_of(trp_turnc_peer_t, timer, timer));
    }
}


/* after a failure: frees what belongs to the allocation, makes the event */

static void
trp_turnc_end(trp_turnc_t *client)
{
    trp_turnc_event_t  *event;

    if (client->code == 0 || client->state == TRP_TURNC_OVER) {
        return;
    }

    trp_turnc_clear(client);

    client->state = TRP_TURNC_OVER;

    event = trp_turnc_tell(client, TRP_TURNC_EVENT_FAILED);
    event->code = client->code;
}


const trp_taddr_t *
trp_turnc_relayed(const trp_turnc_t *client)
{
    return &client->alloc.relayed;
}


const trp_taddr_t *
trp_turnc_alternate(const trp_turnc_t *client)
{
    return &client->alloc.alternate;
}


int
trp_turnc_connect(trp_turnc_t *client, const trp_taddr_t *peer,
    void *connect, uint64_t now)
{
    if (client->state != TRP_TURNC_ALLOCATED
        || client->conf.transport != TRP_PROTO_TCP)
    {
        return TRP_ERROR;
    }

    trp_assert(now >= client->now);

    client->now = now;

    return trp_turnc_tcp_connect(client, peer, connect);
}


void
trp_turnc_forget(trp_turnc_t *client, void *connect)
{
    trp_turnc_tcp_forget(client, connect);
}


size_t
trp_turnc_bind(trp_turnc_t *client, uint32_t connection, uint8_t *p,
    uint8_t *id)
{
    if (client->state != TRP_TURNC_ALLOCATED) {
        return 0;
    }

    return trp_turnc_tcp_bind(client, connection, p, id);
}


int
trp_turnc_bound(trp_turnc_t *client, const uint8_t *p, size_t len,
    const uint8_t *id, unsigned *code)
{
    return trp_turnc_tcp_bound(client, p, len, id, code);
}


int
trp_turnc_send(trp_turnc_t *client, const trp_taddr_t *peer,
    const uint8_t *p, size_t len, uint64_t now)
{
    if (client->state != TRP_TURNC_ALLOCATED
        || client->conf.transport != TRP_PROTO_UDP)
    {
        return TRP_ERROR;
    }

    trp_assert(now >= client->now);

    client->now = now;

    return trp_turnc_data_send(client, peer, p, len);
}


void
trp_turnc_release(trp_turnc_t *client, const trp_taddr_t *addr)
{
    trp_turnc_peer_t  *peer;

    peer = trp_turnc_peer_find(client, addr);

    if (peer && peer->state != TRP_TURNC_RESTING) {
        trp_turnc_peer_rest(client, peer);
    }
}


uint16_t
trp_turnc_channel(trp_turnc_t *client, const trp_taddr_t *addr, uint64_t now)
{
    trp_turnc_peer_t  *peer;

    if (client->state != TRP_TURNC_ALLOCATED) {
        return 0;
    }

    peer = trp_turnc_peer_find(client, addr);

    if (peer == NULL || peer->state != TRP_TURNC_BOUND) {
        return 0;
    }

    trp_assert(now >= client->now);

    client->now = now;
    client->alloc.sent = now;

    trp_turnc_wait(client);

    return peer->number;
}


void
trp_turnc_suspect(trp_turnc_t *client, uint64_t now)
{
    if (client->state == TRP_TURNC_ALLOCATED) {
        client->now = now;
        (void) trp_turnc_doubt(client);
    }
}


void
trp_turnc_close(trp_turnc_t *client, uint64_t now)
{
    client->now = now;

    /* a signed Allocate may be on its way */

    if (client->state == TRP_TURNC_ALLOCATED
        || (client->state == TRP_TURNC_ALLOCATING && client->auth.challenged))
    {
        trp_turnc_delete(client);
    }

    trp_turnc_clear(client);
    client->state = TRP_TURNC_OVER;
}


static void
trp_turnc_clear(trp_turnc_t *client)
{
    trp_turnc_connects_free(client);
    trp_turnc_peers_free(client);
    trp_turnc_alloc_end(client);

    trp_timer_stop(&client->timers, &client->silence.timer);

    trp_hash_done(&client->transactions);
    trp_hash_done(&client->peers.by_addr);
    trp_hash_done(&client->peers.by_host);
    trp_hash_done(&client->peers.by_number);
}


const char *
trp_turnc_method_name(unsigned method)
{
    switch (method) {

    case TRP_STUN_ALLOCATE:
        return "allocate";

    case TRP_STUN_REFRESH:
        return "refresh";

    case TRP_STUN_CREATE_PERMISSION:
        return "create permission";

    case TRP_STUN_CHANNEL_BIND:
        return "channel bind";

    case TRP_STUN_CONNECT:
        return "connect";

    case TRP_STUN_CONNECTION_BIND:
        return "connection bind";
    }

    return "unknown method";
}
