
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN client with a server that answers rightly or not: each Connect is
 * heard of once, and the books of turn_client.h are right.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turnc/agent.h"


#define CONNECTS  64


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


typedef struct {
    const uint8_t  *p;
    size_t          left;
} fuzz_reader_t;


static agent_t   a;

/* 1: something is to be heard of it */
static uint8_t   connects[CONNECTS];


static const char  *peers[] = {
    "9.9.9.9:53", "9.9.9.9:54", "1.1.1.1:80", "[2620:fe::9]:53",
    "9.9.9.10:53", "9.9.9.9:0", "0.0.0.0:1", "[::]:1"
};


static unsigned
fuzz_byte(fuzz_reader_t *r)
{
    if (r->left == 0) {
        return 0;
    }

    r->left--;

    return *r->p++;
}


static const uint8_t *
fuzz_bytes(fuzz_reader_t *r, size_t *len)
{
    const uint8_t  *p;

    if (*len > r->left) {
        *len = r->left;
    }

    p = r->p;
    r->p += *len;
    r->left -= *len;

    return p;
}


static const char *
fuzz_peer(fuzz_reader_t *r)
{
    return peers[fuzz_byte(r) & 7];
}


static void
outcome(void *connect)
{
    uint8_t  *state = connect;

    if (*state != 1) {
        agent_wrong(&a, "something is heard of no connect");
    }

    *state = 0;
}


static void
on_connected(void *data, void *connect, uint32_t id)
{
    (void) data;
    (void) id;

    outcome(connect);
}


static void
on_refused(void *data, void *connect, unsigned code)
{
    (void) data;
    (void) code;

    outcome(connect);
}


static void
on_failed(void *data, unsigned code)
{
    agent_on_failed(data, code);

    memset(connects, 0, sizeof(connects));
}


/* what a server may put into an answer, right or not */

static void
fuzz_attributes(fuzz_reader_t *r)
{
    size_t          len;
    unsigned        n, type;
    trp_taddr_t     peer;
    const uint8_t  *p;

    for (n = fuzz_byte(r) & 7; n; n--) {
        type = fuzz_byte(r);

        if (type & 0x80) {
            type = (type & 0x7f) | 0x8000;
        }

        len = fuzz_byte(r);

        if (len == 255) {
            peer = taddr(fuzz_peer(r));
            trp_stun_put_addr(&a.answer, (trp_stun_attribute_e) type, &peer);
            continue;
        }

        p = fuzz_bytes(r, &len);
        trp_stun_put(&a.answer, (trp_stun_attribute_e) type, p, len);
    }
}


static void
fuzz_answer_end(fuzz_reader_t *r, unsigned flags)
{
    unsigned  n;

    if (flags & 1) {
        answer_sign(&a);
    }

    if (flags & 2) {
        trp_stun_put_fingerprint(&a.answer);
    }

    /* and something that breaks it */

    if (flags & 4) {
        n = fuzz_byte(r) << 8;
        n |= fuzz_byte(r);
        a.answer_buf[n % a.answer.len] ^= (uint8_t) fuzz_byte(r);
    }

    answer_send(&a);
}


/* what the last request deserves, or nearly */

static void
fuzz_answer(fuzz_reader_t *r)
{
    unsigned     flags;
    trp_taddr_t  relayed;

    static const unsigned  codes[] = {
        300, 400, 401, 403, 420, 437, 438, 441, 442, 446, 447, 486, 500, 508
    };

    if (a.m.data == NULL) {
        return;
    }

    flags = fuzz_byte(r);

    if (flags & 0x80) {
        answer(&a, codes[fuzz_byte(r) % 14]);
        fuzz_attributes(r);
        fuzz_answer_end(r, flags);
        return;
    }

    answer(&a, 200);

    if (flags & 8) {
        fuzz_attributes(r);

    } else if (a.m.method == TRP_STUN_ALLOCATE) {
        relayed = taddr(a.conf.family == 6 ? "[2a00:1450::8]:50000"
                                           : "8.8.4.4:50000");
        trp_stun_put_addr(&a.answer, TRP_STUN_XOR_RELAYED_ADDRESS, &relayed);
        trp_stun_put_u32(&a.answer, TRP_STUN_LIFETIME, fuzz_byte(r) * 10);

    } else if (a.m.method == TRP_STUN_CONNECT) {
        trp_stun_put_u32(&a.answer, TRP_STUN_CONNECTION_ID, 77);
    }

    fuzz_answer_end(r, flags ^ 1);
}


static void
fuzz_challenge(fuzz_reader_t *r)
{
    unsigned  flags;

    static const char  *nonces[] = {
        "nonce", "obMatJos2wAAAnonce", "obMatJos2gAAAnonce",
        "obMatJos2QAAAnonce"
    };

    static const char  *lists[] = {
        "\0\2\0\0\0\1\0\0", "\0\1\0\0\0\2\0\0", "\0\7\0\3abc\0\1\0\0\0",
        "\0\7\0\0\0\7\0\0"
    };

    if (a.m.data == NULL) {
        return;
    }

    flags = fuzz_byte(r);

    answer_challenge(&a, flags & 1 ? 438 : 401, nonces[(flags >> 1) & 3],
                     lists[(flags >> 3) & 3], flags & 0x20 ? 0 : 8);
}


static void
fuzz_indication(fuzz_reader_t *r)
{
    uint8_t      id[TRP_STUN_ID_LEN];
    trp_taddr_t  peer;

    memset(id, 1, sizeof(id));
    peer = taddr(fuzz_peer(r));

    trp_stun_begin(&a.answer, a.answer_buf, sizeof(a.answer_buf),
                   TRP_STUN_INDICATION, TRP_STUN_DATA, id);
    trp_stun_put_addr(&a.answer, TRP_STUN_XOR_PEER_ADDRESS, &peer);
    trp_stun_put(&a.answer, TRP_STUN_DATA_ATTRIBUTE, "data", 4);
    fuzz_attributes(r);
    answer_send(&a);
}


static void
fuzz_channel_data(fuzz_reader_t *r)
{
    size_t    len, says;
    uint8_t   buf[4 + 256];

    memset(buf, 'x', sizeof(buf));

    trp_write16(buf, (uint16_t) (0x4000 + (fuzz_byte(r) & 7)));
    len = fuzz_byte(r);
    says = fuzz_byte(r);
    trp_write16(buf + 2, (uint16_t) ((says & 1) ? len : says << 4));

    agent_input(&a, buf, 4 + len);
}


static void
fuzz_connect(fuzz_reader_t *r)
{
    unsigned     n;
    trp_taddr_t  peer;

    n = fuzz_byte(r) % CONNECTS;

    if (connects[n]) {
        trp_turnc_forget(a.client, &connects[n]);
        connects[n] = 0;
        return;
    }

    peer = taddr(fuzz_peer(r));
    connects[n] = 1;

    if (trp_turnc_connect(a.client, &peer, &connects[n], a.now)
        != TRP_OK)
    {
        connects[n] = 0;
    }
}


static void
fuzz_bind(fuzz_reader_t *r)
{
    int       rc;
    size_t    len;
    uint8_t   buf[TRP_TURNC_MESSAGE_MAX], id[TRP_STUN_ID_LEN];
    unsigned  flags, code;

    flags = fuzz_byte(r);
    len = trp_turnc_bind(a.client, 77, buf, id);

    if (len == 0) {
        return;
    }

    memcpy(a.request, buf, len);
    (void) trp_stun_parse(&a.m, a.request, len);

    answer(&a, flags & 0x80 ? 438 : flags & 0x40 ? 400 : 200);
    fuzz_attributes(r);

    if (flags & 1) {
        answer_sign(&a);
    }

    if (flags & 2) {
        a.answer_buf[fuzz_byte(r) % a.answer.len] ^= (uint8_t) fuzz_byte(r);
    }

    rc = trp_turnc_bound(a.client, a.answer.data, a.answer.len, id,
                         &code);

    if ((rc == TRP_OK) != (code == 0)) {
        agent_wrong(&a, "bound, with a code");
    }
}


/* the caller sends by itself */

static void
fuzz_channel(fuzz_reader_t *r)
{
    uint16_t     number;
    trp_taddr_t  peer;

    peer = taddr(fuzz_peer(r));
    number = trp_turnc_channel(a.client, &peer, a.now);

    if (number && (number < 0x4000 || number > 0x4fff)) {
        agent_wrong(&a, "a channel that RFC 8656 does not have");
    }
}


static void
fuzz_time(fuzz_reader_t *r)
{
    static const unsigned  units[4] = { 1, 100, 10000, 150000 };

    unsigned  n;

    n = fuzz_byte(r);

    /* time may pass in between */

    if (n & 4) {
        a.now += (uint64_t) units[n & 3] * (n >> 3);
        agent_tick(&a);
        return;
    }

    agent_pass(&a, (uint64_t) units[n & 3] * (n >> 3));
}


static void
fuzz_step(fuzz_reader_t *r)
{
    size_t          len;
    unsigned        op;
    const uint8_t  *p;

    op = fuzz_byte(r);
    agent_begin(&a);

    switch (op & 15) {

    case 0:
        len = fuzz_byte(r);
        p = fuzz_bytes(r, &len);
        agent_input(&a, p, len);
        break;

    case 1:
    case 2:
    case 3:
        fuzz_answer(r);
        break;

    case 4:
        fuzz_challenge(r);
        break;

    case 5:
    case 6:
        agent_send(&a, fuzz_peer(r), "some data");
        break;

    case 7:
        agent_release(&a, fuzz_peer(r));
        break;

    case 8:
        fuzz_indication(r);
        break;

    case 9:
        fuzz_channel_data(r);
        break;

    case 10:
        fuzz_connect(r);
        break;

    case 11:
        fuzz_bind(r);
        break;

    case 12:
        a.fail = fuzz_byte(r) & 7;
        break;

    case 13:
        if (op == 0xdd) {
            trp_turnc_close(a.client, a.now);
            memset(connects, 0, sizeof(connects));

        } else if (op & 0x80) {
            trp_turnc_suspect(a.client, a.now);

        } else {
            fuzz_channel(r);
        }

        break;

    default:
        fuzz_time(r);
    }

    agent_lose(&a);
}


/*
 * The input: a byte of settings, and steps.  The server answers the last
 * request, rightly or not.
 */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned       flags;
    fuzz_reader_t  r;

    r.p = data;
    r.left = size;
    flags = fuzz_byte(&r);

    agent_init(&a);
    memset(connects, 0, sizeof(connects));

    a.handlers.connected = on_connected;
    a.handlers.refused = on_refused;
    a.handlers.failed = on_failed;

    a.conf.stream = flags & 1;
    a.conf.transport = (flags & 2) ? 6 : 17;
    a.conf.family = (flags & 4) ? 6 : 0;
    a.conf.hasty = (flags & 32) != 0;

    if (flags & 16) {
        a.conf.name = text("");
        a.user = ":secret";
    }

    if (flags & 8) {
        a.conf.secret = text("north");
        a.user = (flags & 16) ? "1700604800:" : "1700604800:alice:";
    }

    agent_start(&a);
    agent_lose(&a);

    while (r.left && a.wrong == NULL) {
        fuzz_step(&r);
    }

    if (agent_end(&a) != NULL) {
        fprintf(stderr, "%s, after: %s\n", a.wrong, a.log);
        abort();
    }

    return 0;
}
