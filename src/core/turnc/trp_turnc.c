
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turnc_private.h"

#include <string.h>

#include <sodium.h>


/* seconds; what an answer without LIFETIME means (RFC 8656, section 3.2) */

#define TRP_TURNC_LIFETIME  600

/* before the end of it, if it is longer than twice that; milliseconds */

#define TRP_TURNC_AHEAD     60000


static void trp_turnc_dispatch(trp_turnc_t *client,
    trp_turnc_timer_t *timer);
static void trp_turnc_keepalive(trp_turnc_t *client);
static int trp_turnc_live(trp_turnc_t *client,
    const trp_stun_t *m);
static uint8_t trp_turnc_family(const trp_turnc_t *client);
static void trp_turnc_delete(trp_turnc_t *client);
static void trp_turnc_clear(trp_turnc_t *client);


trp_turnc_t *
trp_turnc_create(const trp_turnc_conf_t *conf,
    const trp_turnc_handlers_t *handlers, void *data,
    const trp_memory_t *memory, const uint8_t *seed)
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
    client->handlers = *handlers;
    client->data = data;
    client->memory = *memory;
    client->size = size;

    trp_random_init(&client->random, seed);
    trp_random_bytes(&client->random, client->hash_key, TRP_HASH_KEY_LEN);

    trp_hash_init(&client->transactions, client->hash_key, &client->memory);
    trp_hash_init(&client->peers, client->hash_key, &client->memory);
    trp_hash_init(&client->hosts, client->hash_key, &client->memory);
    trp_hash_init(&client->channels, client->hash_key, &client->memory);

    client->refresh.kind = TRP_TURNC_TIMER_REFRESH;
    client->lifetime.kind = TRP_TURNC_TIMER_LIFETIME;
    client->keepalive.kind = TRP_TURNC_TIMER_KEEPALIVE;
    client->silence.kind = TRP_TURNC_TIMER_SILENCE;

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
        return;
    }

    trp_turnc_timer(client, &client->keepalive,
                    now + TRP_TURNC_KEEPALIVE);
    trp_turnc_request(client, &client->control, TRP_STUN_ALLOCATE);
}


int
trp_turnc_input(trp_turnc_t *client, const uint8_t *p, size_t len,
    uint64_t now, int64_t wall)
{
    trp_stun_t  m;

    (void) wall;

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
        break;

    case TRP_STUN_INDICATION:

        if (client->state == TRP_TURNC_ALLOCATED && m.nunknown == 0) {
            trp_turnc_indication(client, &m);
        }

        break;

    default:

        /* nobody asks a client */
        break;
    }

    return TRP_OK;
}


uint64_t
trp_turnc_next(trp_turnc_t *client)
{
    return client->timers.top ? client->timers.top->expires : 0;
}


void
trp_turnc_tick(trp_turnc_t *client, uint64_t now, int64_t wall)
{
    trp_turnc_timer_t  *timer;

    (void) wall;

    client->now = now;

    while (client->timers.top && client->timers.top->expires <= now) {
        timer = trp_turnc_of(trp_turnc_timer_t, node,
                             client->timers.top);

        trp_turnc_timer_stop(client, timer);
        trp_turnc_dispatch(client, timer);
    }
}


static void
trp_turnc_dispatch(trp_turnc_t *client,
    trp_turnc_timer_t *timer)
{
    switch (timer->kind) {

    case TRP_TURNC_TIMER_REFRESH:

        /* it may be on its way already, because of a doubt */

        if (!client->control.active) {
            trp_turnc_request(client, &client->control,
                              TRP_STUN_REFRESH);
        }

        break;

    case TRP_TURNC_TIMER_LIFETIME:
        trp_turnc_fail(client, TRP_TURNC_TIMEOUT);
        break;

    case TRP_TURNC_TIMER_KEEPALIVE:
        trp_turnc_keepalive(client);
        break;

    case TRP_TURNC_TIMER_SILENCE:
        trp_turnc_silence_timer(client);
        break;

    case TRP_TURNC_TIMER_TRANSACTION:
        trp_turnc_request_timer(client,
            trp_turnc_of(trp_turnc_transaction_t, timer, timer));
        break;

    default: /* TRP_TURNC_TIMER_PEER */
        trp_turnc_peer_timer(client, timer);
    }
}


/* the timer is not moved by each message that is sent */

static void
trp_turnc_keepalive(trp_turnc_t *client)
{
    uint64_t  when;
    uint8_t            id[TRP_STUN_ID_LEN], buf[TRP_STUN_HEADER_LEN + 8];
    trp_stun_writer_t  w;

    when = client->sent + TRP_TURNC_KEEPALIVE;

    if (when > client->now) {
        trp_turnc_timer(client, &client->keepalive, when);
        return;
    }

    trp_turnc_timer(client, &client->keepalive,
                    client->now + TRP_TURNC_KEEPALIVE);

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_INDICATION,
                   TRP_STUN_BINDING, id);
    trp_stun_put_fingerprint(&w);

    trp_turnc_out(client, w.data, w.len);
}


/* RFC 8656, sections 7.3 and 7.4 */

void
trp_turnc_allocate_done(trp_turnc_t *client, const trp_stun_t *m,
    unsigned code)
{
    size_t     offset;
    trp_str_t  value;

    if (code) {
        offset = 0;

        if (code == 300
            && (trp_stun_each(m, TRP_STUN_ALTERNATE_SERVER, &offset, &value)
                != TRP_OK
                || trp_stun_plain_addr(value, &client->alternate) != TRP_OK))
        {
            memset(&client->alternate, 0, sizeof(trp_taddr_t));
        }

        trp_turnc_fail(client, code);
        return;
    }

    if (trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_RELAYED_ADDRESS),
                      &client->relayed)
        != TRP_OK
        || client->relayed.port == 0
        || client->relayed.addr.family != trp_turnc_family(client)
        || trp_turnc_live(client, m) != TRP_OK)
    {
        trp_turnc_delete(client);
        trp_turnc_fail(client, TRP_TURNC_PROTOCOL);
        return;
    }

    client->state = TRP_TURNC_ALLOCATED;
    client->handlers.allocated(client->data);
}


/* what cannot be cured by another try ends the allocation */

void
trp_turnc_refresh_done(trp_turnc_t *client, const trp_stun_t *m,
    unsigned code)
{
    if (code == TRP_TURNC_TIMEOUT || code == TRP_TURNC_INTEGRITY
        || code >= 500)
    {
        trp_turnc_timer(client, &client->refresh,
                        client->now + TRP_TURNC_PAUSE);
        return;
    }

    if (code == 0 && trp_turnc_live(client, m) != TRP_OK) {
        code = TRP_TURNC_PROTOCOL;
    }

    if (code) {
        trp_turnc_fail(client, code);
    }
}


static int
trp_turnc_live(trp_turnc_t *client, const trp_stun_t *m)
{
    int       rc;
    uint32_t  seconds;
    uint64_t  lifetime, ahead;

    seconds = TRP_TURNC_LIFETIME;
    rc = trp_stun_get_u32(m, TRP_STUN_LIFETIME, &seconds);

    if (rc == TRP_ERROR || seconds == 0) {
        return TRP_ERROR;
    }

    lifetime = (uint64_t) seconds * 1000;
    ahead = TRP_TURNC_AHEAD;

    if (ahead > lifetime / 2) {
        ahead = lifetime / 2;
    }

    trp_turnc_timer(client, &client->lifetime, client->now + lifetime);
    trp_turnc_timer(client, &client->refresh,
                    client->now + lifetime - ahead);

    return TRP_OK;
}


static uint8_t
trp_turnc_family(const trp_turnc_t *client)
{
    return (client->conf.family == 6) ? 6 : 4;
}


const trp_taddr_t *
trp_turnc_relayed(const trp_turnc_t *client)
{
    return &client->relayed;
}


const trp_taddr_t *
trp_turnc_alternate(const trp_turnc_t *client)
{
    return &client->alternate;
}


void
trp_turnc_close(trp_turnc_t *client, uint64_t now, int64_t wall)
{
    (void) wall;

    client->now = now;

    /* Allocate may be on its way */

    if (client->state == TRP_TURNC_ALLOCATED
        || (client->state == TRP_TURNC_ALLOCATING
            && client->authenticated))
    {
        trp_turnc_delete(client);
    }

    trp_turnc_clear(client);
    client->state = TRP_TURNC_OVER;
}


static void
trp_turnc_delete(trp_turnc_t *client)
{
    uint8_t            id[TRP_STUN_ID_LEN], buf[TRP_TURNC_MESSAGE_MAX];
    trp_str_t          nonce;
    trp_stun_writer_t  w;

    nonce.data = client->nonce;
    nonce.len = client->nonce_len;

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_REFRESH,
                   id);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 0);

    if (trp_turnc_sign(client, &w, nonce) == TRP_OK) {
        trp_turnc_out(client, w.data, w.len);
    }
}


void
trp_turnc_fail(trp_turnc_t *client, unsigned code)
{
    trp_turnc_clear(client);

    client->state = TRP_TURNC_OVER;
    client->handlers.failed(client->data, code);
}


static void
trp_turnc_clear(trp_turnc_t *client)
{
    trp_turnc_connects_free(client);
    trp_turnc_peers_free(client);

    trp_turnc_request_end(client, &client->control);

    trp_turnc_timer_stop(client, &client->refresh);
    trp_turnc_timer_stop(client, &client->lifetime);
    trp_turnc_timer_stop(client, &client->keepalive);
    trp_turnc_timer_stop(client, &client->silence);

    trp_hash_done(&client->transactions);
    trp_hash_done(&client->peers);
    trp_hash_done(&client->hosts);
    trp_hash_done(&client->channels);
}


void
trp_turnc_out(trp_turnc_t *client, const uint8_t *p, size_t len)
{
    client->sent = client->now;
    client->handlers.send(client->data, p, len);
}


void
trp_turnc_timer(trp_turnc_t *client,
    trp_turnc_timer_t *timer, uint64_t expires)
{
    trp_turnc_timer_stop(client, timer);
    trp_heap_insert(&client->timers, &timer->node, expires);
}


void
trp_turnc_timer_stop(trp_turnc_t *client,
    trp_turnc_timer_t *timer)
{
    if (timer->node.expires) {
        trp_heap_remove(&client->timers, &timer->node);
        timer->node.expires = 0;
    }
}


void *
trp_turnc_get(trp_turnc_t *client, size_t size)
{
    void  *p;

    p = client->memory.get(client->memory.data, size);

    if (p) {
        memset(p, 0, size);
    }

    return p;
}


void
trp_turnc_put(trp_turnc_t *client, void *p)
{
    client->memory.put(client->memory.data, p);
}
