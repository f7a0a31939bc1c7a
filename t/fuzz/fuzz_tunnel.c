
/*
 * Copyright (C) the trp authors
 */


/*
 * The states of a tunnel: what one end may send the other end accepts,
 * however late it comes, and both agree when nothing is on its way.
 */


#include <stdlib.h>
#include <string.h>

#include "tunnel/trp_tunnel.h"


#define PIPE_SIZE  64
#define TYPES      64

/* DATA that is not short, where a plain DATA is empty */

#define BIG        63


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* an end of a tunnel, and what it sent and the other end has not yet read */

typedef struct {
    trp_tunnel_t   tunnel;
    uint8_t        type[PIPE_SIZE];
    size_t         first;
    size_t         n;
} fuzz_end_t;


static int
fuzz_send_frame(trp_tunnel_t *t, unsigned type)
{
    return (type == BIG) ? trp_tunnel_send(t, TRP_DATA, TRP_TUNNEL_SHORT)
                         : trp_tunnel_send(t, type, 0);
}


static int
fuzz_recv_frame(trp_tunnel_t *t, unsigned type)
{
    return (type == BIG) ? trp_tunnel_recv(t, TRP_DATA, TRP_TUNNEL_SHORT)
                         : trp_tunnel_recv(t, type, 0);
}


static int
fuzz_same(const trp_tunnel_t *a, const trp_tunnel_t *b)
{
    return a->state == b->state && a->sent == b->sent && a->seen == b->seen
           && a->payload == b->payload
           && a->relay == b->relay && a->opener == b->opener;
}


static void
fuzz_send(fuzz_end_t *end, unsigned type)
{
    trp_tunnel_t  before;

    if (end->n == PIPE_SIZE) {
        return;
    }

    before = end->tunnel;

    if (fuzz_send_frame(&end->tunnel, type) != TRP_OK) {

        if (!fuzz_same(&before, &end->tunnel)) {
            abort();
        }

        return;
    }

    end->type[(end->first + end->n++) % PIPE_SIZE] = (uint8_t) type;
}


/* what one end may send, the other end accepts, however late */

static void
fuzz_recv(fuzz_end_t *end, fuzz_end_t *peer)
{
    int           rc;
    unsigned      type;
    trp_tunnel_t  before;

    if (peer->n == 0) {
        return;
    }

    type = peer->type[peer->first];

    peer->first = (peer->first + 1) % PIPE_SIZE;
    peer->n--;

    before = end->tunnel;
    rc = fuzz_recv_frame(&end->tunnel, type);

    if (rc == TRP_ERROR
        || (rc == TRP_DECLINED && !fuzz_same(&before, &end->tunnel)))
    {
        abort();
    }
}


/* with nothing under way both ends know the same and allow the same */

static void
fuzz_check(const fuzz_end_t *end, const fuzz_end_t *peer)
{
    int           rc;
    unsigned      type;
    trp_tunnel_t  s, r;

    if (end->n || peer->n) {
        return;
    }

    if (end->tunnel.state != peer->tunnel.state
        || end->tunnel.sent != peer->tunnel.seen
        || end->tunnel.seen != peer->tunnel.sent
        || end->tunnel.payload != peer->tunnel.payload
        || (end->tunnel.state != TRP_TUNNEL_STREAM && end->tunnel.sent))
    {
        abort();
    }

    for (type = 0; type < TYPES; type++) {
        s = end->tunnel;
        r = peer->tunnel;

        rc = fuzz_recv_frame(&r, type);

        if ((fuzz_send_frame(&s, type) == TRP_OK) != (rc == TRP_OK)
            || (rc != TRP_OK && !fuzz_same(&r, &peer->tunnel)))
        {
            abort();
        }
    }
}


/* from everywhere there is a way to the end of the stream */

static void
fuzz_finish(fuzz_end_t *end, fuzz_end_t *peer)
{
    size_t  i;

    for (i = 0; i < 2 * PIPE_SIZE; i++) {

        fuzz_recv(end, peer);
        fuzz_recv(peer, end);

        if (trp_tunnel_busy(&end->tunnel)) {
            fuzz_send(end, TRP_REFUSE);
            fuzz_send(end, TRP_RESET);
            fuzz_send(end, TRP_DONE);
        }

        if (trp_tunnel_busy(&peer->tunnel)) {
            fuzz_send(peer, TRP_REFUSE);
            fuzz_send(peer, TRP_RESET);
            fuzz_send(peer, TRP_DONE);
        }
    }

    if (end->n || peer->n || trp_tunnel_busy(&end->tunnel)
        || trp_tunnel_busy(&peer->tunnel))
    {
        abort();
    }
}


/*
 * The input: a byte that says which end opens streams, and steps.  Of each
 * the lower two bits are what happens, the others are the type of a frame.
 */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      i;
    fuzz_end_t  relay, agent;

    if (size == 0) {
        return 0;
    }

    memset(&relay, 0, sizeof(fuzz_end_t));
    memset(&agent, 0, sizeof(fuzz_end_t));

    trp_tunnel_init(&relay.tunnel, 1, data[0] & 1);
    trp_tunnel_init(&agent.tunnel, 0, !(data[0] & 1));

    for (i = 1; i < size; i++) {

        switch (data[i] & 3) {

        case 0:
            fuzz_send(&relay, data[i] >> 2);
            break;

        case 1:
            fuzz_send(&agent, data[i] >> 2);
            break;

        case 2:
            fuzz_recv(&relay, &agent);
            break;

        default:
            fuzz_recv(&agent, &relay);
        }

        fuzz_check(&relay, &agent);
        fuzz_check(&agent, &relay);
    }

    fuzz_finish(&relay, &agent);

    return 0;
}
