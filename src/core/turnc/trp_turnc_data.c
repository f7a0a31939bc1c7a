
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams of the TURN client: before one is sent to a peer, a permission and
 * a channel are requested; one that comes makes an event with its peer.
 */


#include "turnc/trp_turnc_data.h"
#include "turnc/trp_turnc_base.h"
#include "turnc/trp_turnc_doubt.h"
#include "turnc/trp_turnc_peer.h"
#include "turnc/trp_turnc_queue.h"


int
trp_turnc_data_send(trp_turnc_t *client, const trp_taddr_t *addr,
    const uint8_t *p, size_t len)
{
    int                rc;
    trp_turnc_peer_t  *peer;

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
        rc = trp_turnc_enqueue(client, peer, p, len);

        if (rc == TRP_OK) {
            trp_turnc_wait(client);
        }

        return rc;

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


void
trp_turnc_channel_data(trp_turnc_t *client, const uint8_t *p, size_t len)
{
    size_t              n;
    trp_turnc_peer_t   *peer;
    trp_turnc_event_t  *event;

    if (len < TRP_CHANNEL_HEADER_LEN) {
        return;
    }

    n = trp_read16(p + 2);

    if (n > len - TRP_CHANNEL_HEADER_LEN) {
        return;
    }

    peer = trp_turnc_peer_by_number(client, trp_read16(p));

    if (peer == NULL || peer->state != TRP_TURNC_BOUND) {
        return;
    }

    trp_turnc_heard(client, 1);

    event = trp_turnc_tell(client, TRP_TURNC_EVENT_RECEIVED);
    event->peer = peer->addr;
    event->data.data = p + TRP_CHANNEL_HEADER_LEN;
    event->data.len = n;
}


/* RFC 8656, section 11.4; ConnectionAttempt (RFC 6062) is ignored */

void
trp_turnc_indication(trp_turnc_t *client, const trp_stun_t *m)
{
    trp_str_t           data;
    trp_taddr_t         addr;
    trp_turnc_event_t  *event;

    data = trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE);

    if (m->method != TRP_STUN_DATA || data.data == NULL
        || trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &addr)
           != TRP_OK
        || !trp_turnc_permitted(client, &addr.addr))
    {
        return;
    }

    trp_turnc_heard(client, 1);

    event = trp_turnc_tell(client, TRP_TURNC_EVENT_RECEIVED);
    event->peer = addr;
    event->data = data;
}
