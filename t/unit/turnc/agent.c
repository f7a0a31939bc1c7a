
/*
 * Copyright (C) the trp authors
 */


/*
 * A TURN client under test, with what it needs, and a server that says what a
 * test wants.
 */


#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turnc/agent.h"


void
agent_wrong(agent_t *a, const char *what)
{
    if (a->wrong == NULL) {
        a->wrong = what;
    }
}


__attribute__((format(printf, 2, 3)))
static void
agent_log(agent_t *a, const char *fmt, ...)
{
    size_t   n;
    va_list  ap;

    n = strlen(a->log);

    if (n && n + 1 < sizeof(a->log)) {
        a->log[n++] = ' ';
        a->log[n] = '\0';
    }

    va_start(ap, fmt);
    vsnprintf(a->log + n, sizeof(a->log) - n, fmt, ap);
    va_end(ap);
}


const char *
taddr_text(const trp_taddr_t *addr)
{
    size_t       len;

    static char  buf[80];

    len = trp_addr_text((uint8_t *) buf, &addr->addr);
    snprintf(buf + len, sizeof(buf) - len, ":%u", addr->port);

    return buf;
}


static void *
agent_get(void *data, size_t size)
{
    void     *p;
    agent_t  *a = data;

    a->nblocks++;

    if (a->fail && --a->fail == 0) {
        return NULL;
    }

    p = malloc(size);

    if (p == NULL) {
        abort();
    }

    memset(p, 0xa5, size);
    a->blocks++;

    return p;
}


static void
agent_put(void *data, void *p)
{
    agent_t  *a = data;

    if (p == NULL) {
        agent_wrong(a, "NULL is given back");
    }

    a->blocks--;
    free(p);
}


static void
agent_log_message(agent_t *a, const trp_stun_t *m)
{
    uint32_t     number;
    trp_taddr_t  peer;

    static const char  *names[] = {
        "?", "binding", "?", "allocate", "refresh", "?", "send", "data",
        "createpermission", "channelbind", "connect", "connectionbind", "?",
        "?", "?", "?"
    };

    if (m->type == TRP_STUN_REQUEST && m->len <= sizeof(a->request)) {
        memcpy(a->request, m->data, m->len);
        (void) trp_stun_parse(&a->m, a->request, m->len);
    }

    if (m->type == TRP_STUN_INDICATION
        && trp_stun_addr(m, trp_stun_get(m, TRP_STUN_XOR_PEER_ADDRESS), &peer)
           == TRP_OK)
    {
        agent_log(a, ">send %s %.*s", taddr_text(&peer),
                  (int) trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE).len,
                  trp_stun_get(m, TRP_STUN_DATA_ATTRIBUTE).data);
        return;
    }

    agent_log(a, ">%s%s", names[m->method & 15],
              m->sha256 ? "256" : m->sha1 ? "" : "-");

    if (trp_stun_get_u32(m, TRP_STUN_CHANNEL_NUMBER, &number) == TRP_OK) {
        agent_log(a, "%x", number >> 16);
    }

    if (trp_stun_get_u32(m, TRP_STUN_LIFETIME, &number) == TRP_OK) {
        agent_log(a, "%u", number);
    }
}


void
agent_on_send(void *data, const uint8_t *p, size_t len)
{
    trp_stun_t        m;
    agent_t          *a = data;
    agent_message_t  *message;

    if (len > AGENT_SENT_MAX) {
        agent_wrong(a, "a message that is too long");
        return;
    }

    memcpy(a->last, p, len);
    a->last_len = len;

    if (a->nsent < AGENT_SENT) {
        message = &a->sent[a->nsent++];
        message->data = malloc(len);
        message->len = len;
        memcpy(message->data, p, len);
    }

    if (a->conf.stream && trp_stun_frame(p, len) != (int) len) {
        agent_wrong(a, "a stream would lose its place");
    }

    if (p[0] >= 0x40) {

        if (p[0] > 0x4f) {
            agent_wrong(a, "a channel that RFC 8656 does not have");
        }

        agent_log(a, ">%x %.*s", trp_read16(p), trp_read16(p + 2),
                  p + 4);
        return;
    }

    if (trp_stun_parse(&m, a->last, len) != TRP_OK || !m.fingerprint) {
        agent_wrong(a, "a message that is none");
        return;
    }

    agent_log_message(a, &m);
}


void
agent_on_allocated(void *data)
{
    agent_t  *a = data;

    if (a->allocated++) {
        agent_wrong(a, "allocated twice");
    }

    agent_log(a, "allocated");
}


void
agent_on_failed(void *data, unsigned code)
{
    agent_t  *a = data;

    if (a->code || code == 0) {
        agent_wrong(a, "failed twice");
    }

    a->code = code;
    agent_log(a, "failed %u", code);
}


static void
agent_on_connected(void *data, void *connect, uint32_t id)
{
    agent_t  *a = data;

    a->connection = id;
    agent_log(a, "connected %s", (const char *) connect);
}


void
agent_on_refused(void *data, void *connect, unsigned code)
{
    agent_log(data, "refused %s %u", (const char *) connect, code);
}


void
agent_on_received(void *data, const trp_taddr_t *peer, const uint8_t *p,
    size_t len)
{
    agent_t  *a = data;

    a->received++;
    agent_log(a, "received %s %.*s", taddr_text(peer), (int) len, p);
}


static void
agent_on_forbidden(void *data, const trp_taddr_t *peer, unsigned code)
{
    agent_log(data, "forbidden %s %u", taddr_text(peer), code);
}


void
agent_init(agent_t *a)
{
    memset(a, 0, sizeof(agent_t));

    a->conf.name = text("alice");
    a->conf.password = text("secret");
    a->conf.transport = 17;

    a->handlers.send = agent_on_send;
    a->handlers.allocated = agent_on_allocated;
    a->handlers.failed = agent_on_failed;
    a->handlers.connected = agent_on_connected;
    a->handlers.refused = agent_on_refused;
    a->handlers.received = agent_on_received;
    a->handlers.forbidden = agent_on_forbidden;

    a->user = "alice:secret";
    a->realm = WORLD_REALM;

    a->memory.get = agent_get;
    a->memory.put = agent_put;
    a->memory.data = a;

    a->tuple.client = taddr("192.0.2.1:4000");
    a->tuple.server = taddr("8.8.4.4:3478");

    a->now = 5000000;
    a->wall = WORLD_TIME;
}


void
agent_begin(agent_t *a)
{
    a->log[0] = '\0';
}


int
agent_create(agent_t *a)
{
    agent_begin(a);
    a->tuple.transport = a->conf.stream ? TRP_TRANSPORT_TCP : TRP_TRANSPORT_UDP;

    a->client = trp_turnc_create(&a->conf, a->handlers.send, a, &a->memory,
                                 a->seed);

    return a->client ? TRP_OK : TRP_ERROR;
}


void
agent_start(agent_t *a)
{
    if (agent_create(a) != TRP_OK) {
        abort();
    }

    trp_turnc_start(a->client, a->now, a->wall);
    agent_events(a);
}


void
agent_events(agent_t *a)
{
    trp_turnc_event_t  event;

    while (trp_turnc_next(a->client, &event) == TRP_OK) {

        switch (event.type) {

        case TRP_TURNC_EVENT_ALLOCATED:
            a->handlers.allocated(a);
            break;

        case TRP_TURNC_EVENT_FAILED:
            a->handlers.failed(a, event.code);
            break;

        case TRP_TURNC_EVENT_CONNECTED:
            a->handlers.connected(a, event.connect, event.id);
            break;

        case TRP_TURNC_EVENT_REFUSED:
            a->handlers.refused(a, event.connect, event.code);
            break;

        case TRP_TURNC_EVENT_RECEIVED:
            a->handlers.received(a, &event.peer, event.data.data,
                                 event.data.len);
            break;

        case TRP_TURNC_EVENT_FORBIDDEN:
            a->handlers.forbidden(a, &event.peer, event.code);
            break;

        default:
            agent_wrong(a, "an event that is none");
        }
    }
}


void
agent_choose(agent_t *a, unsigned method)
{
    unsigned    i;
    trp_stun_t  m;

    for (i = a->nsent; i > 0; i--) {

        if (trp_stun_parse(&m, a->sent[i - 1].data, a->sent[i - 1].len)
            == TRP_OK && m.type == TRP_STUN_REQUEST && m.method == method)
        {
            memcpy(a->request, a->sent[i - 1].data, a->sent[i - 1].len);
            trp_stun_parse(&a->m, a->request, a->sent[i - 1].len);
            return;
        }
    }

    agent_wrong(a, "no such request");
}


void
agent_lose(agent_t *a)
{
    while (a->nsent) {
        free(a->sent[--a->nsent].data);
    }
}


int
agent_input(agent_t *a, const uint8_t *p, size_t len)
{
    int       rc;
    uint8_t  *copy;

    /* without a byte to spare */

    copy = malloc(len ? len : 1);
    if (copy == NULL) {
        abort();
    }

    if (len) {
        memcpy(copy, p, len);
    }

    rc = trp_turnc_input(a->client, copy, len, a->now);
    agent_events(a);

    free(copy);

    return rc;
}


void
agent_tick(agent_t *a)
{
    uint64_t  next;

    trp_turnc_expire(a->client, a->now);
    agent_events(a);

    next = trp_turnc_deadline(a->client);

    if (next && next <= a->now) {
        agent_wrong(a, "something is due and not done");
    }
}


void
agent_run(agent_t *a, uint64_t ms)
{
    uint64_t  end, next;

    end = a->now + ms;

    for ( ;; ) {
        next = trp_turnc_deadline(a->client);

        if (next == 0 || next > end) {
            break;
        }

        a->wall += (int64_t) (next / 1000 - a->now / 1000);
        a->now = next;
        agent_tick(a);
    }

    a->wall += (int64_t) (end / 1000 - a->now / 1000);
    a->now = end;
}


void
agent_pass(agent_t *a, uint64_t ms)
{
    agent_begin(a);
    agent_run(a, ms);
}


const char *
agent_end(agent_t *a)
{
    agent_lose(a);

    if (a->client) {
        trp_turnc_destroy(a->client);
        a->client = NULL;
    }

    if (a->blocks) {
        agent_wrong(a, "memory that is left over");
    }

    return a->wrong;
}


int
agent_send(agent_t *a, const char *peer, const char *data)
{
    trp_taddr_t  addr;

    agent_begin(a);
    addr = taddr(peer);

    return trp_turnc_send(a->client, &addr, (const uint8_t *) data,
                          strlen(data), a->now);
}


void
agent_release(agent_t *a, const char *peer)
{
    trp_taddr_t  addr;

    agent_begin(a);
    addr = taddr(peer);
    trp_turnc_release(a->client, &addr);
}


int
agent_connect(agent_t *a, const char *peer, const char *name)
{
    trp_taddr_t  addr;

    agent_begin(a);
    addr = taddr(peer);

    return trp_turnc_connect(a->client, &addr, (void *) name, a->now);
}


trp_stun_writer_t *
answer(agent_t *a, unsigned code)
{
    trp_stun_begin(&a->answer, a->answer_buf, sizeof(a->answer_buf),
                   code == 200 ? TRP_STUN_SUCCESS : TRP_STUN_ERROR,
                   a->m.method, a->m.data + 8);

    if (code != 200) {
        trp_stun_put_error(&a->answer, code, "");
    }

    return &a->answer;
}


void
answer_sign(agent_t *a)
{
    char          password[TRP_TURN_PASSWORD_LEN + 1];
    uint8_t       buf[TRP_DIGEST_MAX];
    uint32_t      algorithm;
    trp_str_t     key, parts[5];
    trp_digest_e  type;

    type = TRP_MD5;

    if (trp_stun_get_u32(&a->m, TRP_STUN_PASSWORD_ALGORITHM, &algorithm)
        == TRP_OK && algorithm == TRP_STUN_ALGORITHM_SHA256 << 16)
    {
        type = TRP_SHA256;
    }

    parts[0] = trp_stun_get(&a->m, TRP_STUN_USERNAME);
    parts[1] = text(":");
    parts[2] = trp_stun_get(&a->m, TRP_STUN_REALM);
    parts[3] = text(":");
    parts[4] = text(strrchr(a->user, ':') + 1);

    if (parts[0].data == NULL) {
        parts[0].data = (const uint8_t *) a->user;
        parts[0].len = strrchr(a->user, ':') - a->user;
    }

    if (a->conf.secret.len) {
        trp_turn_password(password, a->conf.secret, parts[0]);
        parts[4] = text(password);
    }

    trp_digest(type, buf, parts, 5);

    key.data = buf;
    key.len = trp_digest_len(type);

    if (a->m.sha256) {

        if (trp_stun_check_sha256(&a->m, key) != TRP_OK) {
            agent_wrong(a, "a request that is signed wrongly");
        }

        trp_stun_put_sha256(&a->answer, key);

    } else if (a->m.sha1) {

        if (trp_stun_check_sha1(&a->m, key) != TRP_OK) {
            agent_wrong(a, "a request that is signed wrongly");
        }

        trp_stun_put_sha1(&a->answer, key);
    }
}


void
answer_send(agent_t *a)
{
    agent_begin(a);
    agent_input(a, a->answer.data, a->answer.len);
}


void
answer_code(agent_t *a, unsigned code)
{
    answer(a, code);
    answer_sign(a);
    answer_send(a);
}


void
answer_challenge(agent_t *a, unsigned code, const char *nonce,
    const void *list, size_t len)
{
    answer(a, code);
    trp_stun_put(&a->answer, TRP_STUN_REALM, a->realm, strlen(a->realm));
    trp_stun_put(&a->answer, TRP_STUN_NONCE, nonce, strlen(nonce));

    if (len) {
        trp_stun_put(&a->answer, TRP_STUN_PASSWORD_ALGORITHMS, list, len);
    }

    answer_send(a);
}


void
answer_allocate(agent_t *a, const char *relayed, uint32_t lifetime)
{
    trp_taddr_t  addr;

    addr = taddr(relayed);

    answer(a, 200);
    trp_stun_put_addr(&a->answer, TRP_STUN_XOR_RELAYED_ADDRESS, &addr);
    trp_stun_put_u32(&a->answer, TRP_STUN_LIFETIME, lifetime);
    answer_sign(a);
    answer_send(a);
}


void
agent_allocate(agent_t *a, uint32_t lifetime)
{
    agent_start(a);
    answer_challenge(a, 401, "a nonce", NULL, 0);
    answer_allocate(a, a->conf.family == 6 ? "[2a00:1450::8]:50000"
                                           : "8.8.4.4:50000", lifetime);

    if (!a->allocated) {
        agent_wrong(a, "not allocated");
    }
}


void
agent_fetch(agent_t *a, world_t *w)
{
    unsigned  i, n;
    event_t   events[WORLD_EVENTS];

    n = w->nevents;
    memcpy(events, w->events, n * sizeof(event_t));

    for (i = 0; i < n; i++) {

        if ((events[i].type == TRP_TURN_REPLY
             || events[i].type == TRP_TURN_TO_CLIENT)
            && same_tuple(&events[i].to, &a->tuple))
        {
            agent_input(a, events[i].data, events[i].len);
        }
    }
}


void
agent_talk(agent_t *a, world_t *w)
{
    unsigned         i, n;
    agent_message_t  messages[AGENT_SENT];

    w->turn.now = a->now;
    w->turn.time = a->wall;

    while (a->nsent) {
        n = a->nsent;
        a->nsent = 0;
        memcpy(messages, a->sent, n * sizeof(agent_message_t));

        for (i = 0; i < n; i++) {
            world_input(w, &a->tuple, messages[i].data, messages[i].len);
            free(messages[i].data);
            agent_fetch(a, w);
        }
    }
}
