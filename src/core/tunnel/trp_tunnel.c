
/*
 * Copyright (C) the trp authors
 */


/*
 * The state machine of a tunnel.  A few bits tell what each side has sent;
 * these and the sender of a frame decide whether it is allowed.  Both ends
 * reach the same result, whatever is in flight between them.
 */


#include "tunnel/trp_tunnel.h"


static int trp_tunnel_handshake(trp_tunnel_t *t, unsigned type, int by_relay);
static int trp_tunnel_late(const trp_tunnel_t *t, unsigned type);
static int trp_tunnel_stream(trp_tunnel_t *t, unsigned type, size_t len,
    int by_opener, uint8_t *by, uint8_t against);
static void trp_tunnel_count(trp_tunnel_t *t, size_t len);
static void trp_tunnel_settle(trp_tunnel_t *t);


void
trp_tunnel_init(trp_tunnel_t *t, int relay, int opener)
{
    t->state = TRP_TUNNEL_HELLO;
    t->sent = 0;
    t->seen = 0;
    t->payload = 0;
    t->relay = relay ? 1 : 0;
    t->opener = opener ? 1 : 0;
}


void
trp_tunnel_trust(trp_tunnel_t *t)
{
    t->state = TRP_TUNNEL_IDLE;
}


void
trp_tunnel_known(trp_tunnel_t *t)
{
    t->state = TRP_TUNNEL_READY;
}


int
trp_tunnel_recv(trp_tunnel_t *t, unsigned type, size_t len)
{
    if (type == TRP_ERRMSG) {
        return TRP_OK;
    }

    if (!trp_tunnel_ready(t)) {
        return trp_tunnel_handshake(t, type, !t->relay);
    }

    if (trp_tunnel_late(t, type)) {
        return TRP_DECLINED;
    }

    return trp_tunnel_stream(t, type, len, !t->opener, &t->seen, t->sent);
}


int
trp_tunnel_send(trp_tunnel_t *t, unsigned type, size_t len)
{
    if (type == TRP_ERRMSG) {
        return TRP_OK;
    }

    if (!trp_tunnel_ready(t)) {
        return trp_tunnel_handshake(t, type, t->relay);
    }

    return trp_tunnel_stream(t, type, len, t->opener, &t->sent, t->seen);
}


static int
trp_tunnel_handshake(trp_tunnel_t *t, unsigned type, int by_relay)
{
    switch (t->state) {

    case TRP_TUNNEL_HELLO:
        if (type != TRP_HELLO || !by_relay) {
            return TRP_ERROR;
        }

        t->state = TRP_TUNNEL_AUTH;
        return TRP_OK;

    case TRP_TUNNEL_AUTH:
        if (type != TRP_AUTH || by_relay) {
            return TRP_ERROR;
        }

        t->state = TRP_TUNNEL_READY;
        return TRP_OK;

    default: /* TRP_TUNNEL_READY */
        if (!by_relay || (type != TRP_READY && type != TRP_MOVED)) {
            return TRP_ERROR;
        }

        if (type == TRP_READY) {
            t->state = TRP_TUNNEL_IDLE;
        }

        return TRP_OK;
    }
}


/* whether the frame was sent before its sender knew that the stream is over */

static int
trp_tunnel_late(const trp_tunnel_t *t, unsigned type)
{
    return t->opener && (type == TRP_DONE || type == TRP_RESET)
           && !(t->seen & TRP_SEEN_ANSWER);
}


/* "by": what the sender of this frame has sent; "against": the other side */

static int
trp_tunnel_stream(trp_tunnel_t *t, unsigned type, size_t len, int by_opener,
    uint8_t *by, uint8_t against)
{
    int  answer;

    switch (type) {

    case TRP_PING:
    case TRP_PONG:
    case TRP_DRAIN:
    case TRP_AGENTS:
    case TRP_PUBLISH:
    case TRP_PUBLISHED:
        return TRP_OK;

    case TRP_OPEN:
        if (t->state != TRP_TUNNEL_IDLE || !by_opener) {
            return TRP_ERROR;
        }

        t->state = TRP_TUNNEL_STREAM;
        return TRP_OK;
    }

    if (t->state != TRP_TUNNEL_STREAM) {
        return TRP_ERROR;
    }

    answer = (type == TRP_ACCEPT || type == TRP_REFUSE);

    if (by_opener ? answer : answer == ((*by & TRP_SEEN_ANSWER) != 0)) {
        return TRP_ERROR;
    }

    switch (type) {

    case TRP_ACCEPT:
        *by |= TRP_SEEN_ACCEPT;
        return TRP_OK;

    case TRP_REFUSE:
        *by |= TRP_SEEN_END|TRP_SEEN_RESET;
        break;

    case TRP_DATA:
    case TRP_END:
        if (*by & TRP_SEEN_END) {
            return TRP_ERROR;
        }

        if (type == TRP_DATA) {

            if (by_opener) {
                trp_tunnel_count(t, len);
            }

            return TRP_OK;
        }

        *by |= TRP_SEEN_END;
        break;

    case TRP_RESET:
        if (*by & TRP_SEEN_RESET
            || (*by & TRP_SEEN_END && *by & TRP_SEEN_DONE))
        {
            return TRP_ERROR;
        }

        *by |= TRP_SEEN_END|TRP_SEEN_RESET;
        break;

    case TRP_DONE:
        if (*by & TRP_SEEN_DONE || !(against & TRP_SEEN_END)) {
            return TRP_ERROR;
        }

        *by |= TRP_SEEN_DONE;
        break;

    default:
        return TRP_ERROR;
    }

    trp_tunnel_settle(t);

    return TRP_OK;
}


static void
trp_tunnel_count(trp_tunnel_t *t, size_t len)
{
    len += t->payload;

    t->payload = (len < TRP_TUNNEL_SHORT) ? len : TRP_TUNNEL_SHORT;
}


static void
trp_tunnel_settle(trp_tunnel_t *t)
{
    uint8_t  by, against;

    trp_assert(t->state == TRP_TUNNEL_STREAM
               && t->payload <= TRP_TUNNEL_SHORT);

    by = t->opener ? t->sent : t->seen;
    against = t->opener ? t->seen : t->sent;

    if (by & TRP_SEEN_END && by & TRP_SEEN_DONE
        && (t->payload < TRP_TUNNEL_SHORT || against & TRP_SEEN_DONE))
    {
        t->state = TRP_TUNNEL_IDLE;
        t->sent = 0;
        t->seen = 0;
        t->payload = 0;
    }
}
