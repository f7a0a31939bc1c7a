
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients of a TURN server under test: what they ask, and the answer.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turn/world.h"


void
client_init(client_t *c, const char *from, const char *user)
{
    memset(c, 0, sizeof(client_t));

    c->tuple.client = taddr(from);
    c->tuple.server = taddr(c->tuple.client.addr.family == 4
                            ? "8.8.4.4:3478" : "[2a00:1450::8]:3478");
    c->user = user;
    c->protocol = TRP_PROTO_UDP;
}


static trp_str_t
client_name(const client_t *c)
{
    trp_str_t  name;

    name.data = (const uint8_t *) c->user;
    name.len = strrchr(c->user, ':') - c->user;

    return name;
}


static trp_str_t
client_key(const client_t *c, uint8_t *buf)
{
    trp_str_t     key, parts[5];
    trp_digest_e  type;

    type = (c->algorithm == TRP_STUN_ALGORITHM_SHA256) ? TRP_SHA256 : TRP_MD5;

    parts[0] = client_name(c);
    parts[1] = text(":");
    parts[2] = text(WORLD_REALM);
    parts[3] = text(":");
    parts[4] = text(c->user + parts[0].len + 1);

    trp_digest(type, buf, parts, 5);

    key.data = buf;
    key.len = trp_digest_len(type);

    return key;
}


trp_stun_writer_t *
ask_as(world_t *w, client_t *c, trp_stun_class_e type, unsigned method)
{
    unsigned  i;

    for (i = 0; !c->keep_id && i < TRP_STUN_ID_LEN; i++) {
        if (++c->id[i]) {
            break;
        }
    }

    c->keep_id = 0;

    trp_stun_begin(&w->ask, w->ask_buf, sizeof(w->ask_buf), type,
                   (uint16_t) method, c->id);

    return &w->ask;
}


trp_stun_writer_t *
ask(world_t *w, client_t *c, unsigned method)
{
    return ask_as(w, c, TRP_STUN_REQUEST, method);
}


void
ask_user(world_t *w, client_t *c)
{
    uint8_t             hash[32], list[8];
    trp_str_t           parts[3];
    trp_stun_writer_t  *a;

    a = &w->ask;
    parts[0] = client_name(c);

    if (c->userhash) {
        parts[1] = text(":");
        parts[2] = text(WORLD_REALM);
        trp_digest(TRP_SHA256, hash, parts, 3);
        trp_stun_put(a, TRP_STUN_USERHASH, hash, 32);

    } else {
        trp_stun_put(a, TRP_STUN_USERNAME, parts[0].data, parts[0].len);
    }

    trp_stun_put(a, TRP_STUN_REALM, WORLD_REALM, strlen(WORLD_REALM));
    trp_stun_put(a, TRP_STUN_NONCE, c->nonce, c->nonce_len);

    if (c->algorithm) {
        memset(list, 0, sizeof(list));
        list[1] = TRP_STUN_ALGORITHM_SHA256;
        list[5] = TRP_STUN_ALGORITHM_MD5;
        trp_stun_put(a, TRP_STUN_PASSWORD_ALGORITHMS, list, 8);
        trp_stun_put_u32(a, TRP_STUN_PASSWORD_ALGORITHM,
                         (uint32_t) c->algorithm << 16);
    }
}


void
ask_sign(world_t *w, client_t *c)
{
    uint8_t    buf[TRP_DIGEST_MAX];
    trp_str_t  key;

    key = client_key(c, buf);

    if (c->sha256) {
        trp_stun_put_sha256(&w->ask, key);

    } else {
        trp_stun_put_sha1(&w->ask, key);
    }

    if (c->fingerprint) {
        trp_stun_put_fingerprint(&w->ask);
    }
}


unsigned
ask_plain(world_t *w, client_t *c)
{
    uint8_t    buf[TRP_DIGEST_MAX];
    unsigned   i, n;
    trp_str_t  key, nonce;

    world_input(w, &c->tuple, w->ask.data, w->ask.len);

    if (w->code == 0) {
        return 0;
    }

    for (i = 0, n = 0; i < w->nevents; i++) {
        n += w->events[i].type == TRP_TURN_REPLY;
    }

    if (n != 1
        || (w->code != 200 && !w->unreachable
            && w->events[w->nevents - 1].type != TRP_TURN_REPLY))
    {
        world_wrong(w, "more than an answer");
    }

    if (memcmp(w->m.data + 8, c->id, TRP_STUN_ID_LEN) != 0) {
        world_wrong(w, "an answer to something else");
    }

    nonce = trp_stun_get(&w->m, TRP_STUN_NONCE);

    if (nonce.data && nonce.len <= sizeof(c->nonce)) {
        memcpy(c->nonce, nonce.data, nonce.len);
        c->nonce_len = nonce.len;
    }

    if (c->user) {
        key = client_key(c, buf);

        if (w->m.sha1 && trp_stun_check_sha1(&w->m, key) == TRP_OK) {
            w->is_signed = 1;

        } else if (w->m.sha256
                   && trp_stun_check_sha256(&w->m, key) == TRP_OK)
        {
            w->is_signed = 256;
        }
    }

    return w->code;
}


unsigned
ask_signed(world_t *w, client_t *c)
{
    ask_user(w, c);
    ask_sign(w, c);
    ask_plain(w, c);

    if (w->code && w->code != 401 && w->code != 438 && !w->is_signed) {
        world_wrong(w, "an answer without integrity");
    }

    return w->code;
}


void
put_peer(world_t *w, const char *peer)
{
    trp_taddr_t  t;

    t = taddr(peer);
    trp_stun_put_addr(&w->ask, TRP_STUN_XOR_PEER_ADDRESS, &t);
}


unsigned
hello(world_t *w, client_t *c)
{
    ask(w, c, TRP_STUN_ALLOCATE);

    return ask_plain(w, c);
}


trp_stun_writer_t *
ask_allocate(world_t *w, client_t *c)
{
    if (c->nonce_len == 0) {
        hello(w, c);
    }

    ask(w, c, TRP_STUN_ALLOCATE);
    trp_stun_put_u32(&w->ask, TRP_STUN_REQUESTED_TRANSPORT,
                     (uint32_t) c->protocol << 24);

    return &w->ask;
}


unsigned
allocate(world_t *w, client_t *c)
{
    ask_allocate(w, c);

    return ask_signed(w, c);
}


unsigned
refresh(world_t *w, client_t *c, uint32_t lifetime)
{
    ask(w, c, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w->ask, TRP_STUN_LIFETIME, lifetime);

    return ask_signed(w, c);
}


unsigned
permit(world_t *w, client_t *c, const char *peer)
{
    ask(w, c, TRP_STUN_CREATE_PERMISSION);
    put_peer(w, peer);

    return ask_signed(w, c);
}


unsigned
bind_channel(world_t *w, client_t *c, unsigned number, const char *peer)
{
    ask(w, c, TRP_STUN_CHANNEL_BIND);
    trp_stun_put_u32(&w->ask, TRP_STUN_CHANNEL_NUMBER, number << 16);
    put_peer(w, peer);

    return ask_signed(w, c);
}


unsigned
connect_to(world_t *w, client_t *c, const char *peer)
{
    ask(w, c, TRP_STUN_CONNECT);
    put_peer(w, peer);

    return ask_signed(w, c);
}


void
send_to(world_t *w, client_t *c, const char *peer, const char *data)
{
    ask_as(w, c, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(w, peer);
    trp_stun_put(&w->ask, TRP_STUN_DATA_ATTRIBUTE, data, strlen(data));

    world_input(w, &c->tuple, w->ask.data, w->ask.len);
}


void
send_channel(world_t *w, client_t *c, unsigned number, const char *data)
{
    size_t    len;
    uint8_t   buf[2048];

    len = strlen(data);

    memset(buf, 0, sizeof(buf));
    trp_write16(buf, (uint16_t) number);
    trp_write16(buf + 2, (uint16_t) len);
    memcpy(buf + 4, data, len);

    if (c->tuple.transport != TRP_TRANSPORT_UDP) {
        len = (len + 3) & ~(size_t) 3;
    }

    world_input(w, &c->tuple, buf, len + 4);
}


trp_turn_alloc_t *
alloc_of(world_t *w, const client_t *c)
{
    return trp_turn_find(&w->turn, &c->tuple);
}


void
from_peer(world_t *w, client_t *c, const char *peer, const char *data)
{
    trp_taddr_t  t;

    t = taddr(peer);
    world_peer(w, alloc_of(w, c), &t, data, strlen(data));
}


long long
answer_u32(const world_t *w, trp_stun_attribute_e type)
{
    uint32_t  value;

    if (w->m.data == NULL || trp_stun_get_u32(&w->m, type, &value) != TRP_OK) {
        return -1;
    }

    return value;
}


const char *
answer_addr(const world_t *w, trp_stun_attribute_e type, unsigned n)
{
    size_t       offset, len;
    trp_str_t    value;
    trp_taddr_t  t;

    static char  buf[80];

    if (w->m.data == NULL) {
        return NULL;
    }

    offset = 0;

    do {
        if (trp_stun_each(&w->m, type, &offset, &value) != TRP_OK) {
            return NULL;
        }
    } while (n--);

    if (trp_stun_addr(&w->m, value, &t) != TRP_OK) {
        return "no address";
    }

    len = trp_addr_text((uint8_t *) buf, &t.addr);
    snprintf(buf + len, sizeof(buf) - len, " %u", t.port);

    return buf;
}
