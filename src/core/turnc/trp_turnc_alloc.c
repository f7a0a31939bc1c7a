
/*
 * Copyright (C) the trp authors
 */


/*
 * The allocation of the TURN client: it is requested, refreshed before its
 * lifetime is over, kept alive in NATs on the path, and deleted (RFC 8656,
 * sections 7 and 8).
 */


#include "turnc/trp_turnc_alloc.h"
#include "turnc/trp_turnc_auth.h"
#include "turnc/trp_turnc_base.h"
#include "turnc/trp_turnc_request.h"

#include <string.h>


/* assumed if an answer has no LIFETIME (RFC 8656, section 3.2); seconds */

#define TRP_TURNC_LIFETIME  600

/* refreshed so long before its end, or halfway if that is later; ms */

#define TRP_TURNC_AHEAD     60000


static void trp_turnc_allocate_put(trp_turnc_t *client,
    trp_turnc_transaction_t *t, trp_stun_writer_t *w);
static void trp_turnc_allocate_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);
static void trp_turnc_refresh_put(trp_turnc_t *client,
    trp_turnc_transaction_t *t, trp_stun_writer_t *w);
static void trp_turnc_refresh_done(trp_turnc_t *client,
    trp_turnc_transaction_t *t, const trp_stun_t *m, unsigned code);
static int trp_turnc_live(trp_turnc_t *client, const trp_stun_t *m);
static uint8_t trp_turnc_family(const trp_turnc_t *client);


static const trp_turnc_request_t  trp_turnc_allocate_request = {
    TRP_STUN_ALLOCATE,
    trp_turnc_allocate_put,
    trp_turnc_allocate_done,
    NULL
};


static const trp_turnc_request_t  trp_turnc_refresh_request = {
    TRP_STUN_REFRESH,
    trp_turnc_refresh_put,
    trp_turnc_refresh_done,
    NULL
};


void
trp_turnc_allocate(trp_turnc_t *client)
{
    trp_timer_set(&client->timers, &client->alloc.keepalive,
                  client->now + TRP_TURNC_KEEPALIVE);
    trp_turnc_request(client, &client->alloc.transaction,
                      &trp_turnc_allocate_request);
}


static void
trp_turnc_allocate_put(trp_turnc_t *client, trp_turnc_transaction_t *t,
    trp_stun_writer_t *w)
{
    (void) t;

    trp_stun_put_u32(w, TRP_STUN_REQUESTED_TRANSPORT,
                     (uint32_t) client->conf.transport << 24);

    if (client->conf.family == 6) {
        trp_stun_put_u32(w, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    }
}


/* RFC 8656, sections 7.3 and 7.4 */

static void
trp_turnc_allocate_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code)
{
    size_t              offset;
    trp_str_t           value;
    trp_turnc_alloc_t  *alloc;

    (void) t;

    alloc = &client->alloc;

    if (code) {
        offset = 0;

        if (code == 300
            && (trp_stun_each(m, TRP_STUN_ALTERNATE_SERVER, &offset, &value)
                != TRP_OK
                || trp_stun_plain_addr(value, &alloc->alternate) != TRP_OK))
        {
            memset(&alloc->alternate, 0, sizeof(trp_taddr_t));
        }

        trp_turnc_fail(client, code);
        return;
    }

    if (trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_RELAYED_ADDRESS),
                      &alloc->relayed)
        != TRP_OK
        || alloc->relayed.port == 0
        || alloc->relayed.addr.family != trp_turnc_family(client)
        || trp_turnc_live(client, m) != TRP_OK)
    {
        trp_turnc_delete(client);
        trp_turnc_fail(client, TRP_TURNC_PROTOCOL);
        return;
    }

    client->state = TRP_TURNC_ALLOCATED;
    (void) trp_turnc_tell(client, TRP_TURNC_EVENT_ALLOCATED);
}


void
trp_turnc_refresh(trp_turnc_t *client)
{
    if (!client->alloc.transaction.active) {
        trp_turnc_request(client, &client->alloc.transaction,
                          &trp_turnc_refresh_request);
    }
}


/* no LIFETIME: the server's default is asked for */

static void
trp_turnc_refresh_put(trp_turnc_t *client, trp_turnc_transaction_t *t,
    trp_stun_writer_t *w)
{
    (void) client;
    (void) t;
    (void) w;
}


/* an error that another try cannot cure ends the allocation */

static void
trp_turnc_refresh_done(trp_turnc_t *client, trp_turnc_transaction_t *t,
    const trp_stun_t *m, unsigned code)
{
    (void) t;

    if ((code == TRP_TURNC_TIMEOUT && !client->conf.hasty)
        || code == TRP_TURNC_INTEGRITY || code >= 500)
    {
        trp_timer_set(&client->timers, &client->alloc.refresh,
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

    trp_timer_set(&client->timers, &client->alloc.lifetime,
                  client->now + lifetime);
    trp_timer_set(&client->timers, &client->alloc.refresh,
                  client->now + lifetime - ahead);

    return TRP_OK;
}


static uint8_t
trp_turnc_family(const trp_turnc_t *client)
{
    return (client->conf.family == 6) ? 6 : 4;
}


/* a message that is sent does not move the timer: it is checked here */

void
trp_turnc_keepalive_timer(trp_turnc_t *client)
{
    uint8_t            id[TRP_STUN_ID_LEN], buf[TRP_STUN_HEADER_LEN + 8];
    uint64_t           when;
    trp_stun_writer_t  w;

    when = client->alloc.sent + TRP_TURNC_KEEPALIVE;

    if (when > client->now) {
        trp_timer_set(&client->timers, &client->alloc.keepalive, when);
        return;
    }

    trp_timer_set(&client->timers, &client->alloc.keepalive,
                  client->now + TRP_TURNC_KEEPALIVE);

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_INDICATION,
                   TRP_STUN_BINDING, id);
    trp_stun_put_fingerprint(&w);

    trp_turnc_out(client, w.data, w.len);
}


void
trp_turnc_delete(trp_turnc_t *client)
{
    uint8_t            id[TRP_STUN_ID_LEN], buf[TRP_TURNC_MESSAGE_MAX];
    trp_stun_writer_t  w;

    trp_random_bytes(&client->random, id, sizeof(id));

    trp_stun_begin(&w, buf, sizeof(buf), TRP_STUN_REQUEST, TRP_STUN_REFRESH,
                   id);
    trp_stun_put_u32(&w, TRP_STUN_LIFETIME, 0);

    if (trp_turnc_sign(client, &w) == TRP_OK) {
        trp_turnc_out(client, w.data, w.len);
    }
}


void
trp_turnc_alloc_end(trp_turnc_t *client)
{
    trp_turnc_request_end(client, &client->alloc.transaction);

    trp_timer_stop(&client->timers, &client->alloc.refresh);
    trp_timer_stop(&client->timers, &client->alloc.lifetime);
    trp_timer_stop(&client->timers, &client->alloc.keepalive);
}
