
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN client, as its server and its caller see it.
 */


#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "rnd.h"
#include "turnc/agent.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))

/* nonces with both security features, with one, and with neither */

#define NONCE_BOTH       "obMatJos2wAAAnonce"
#define NONCE_ALGORITHMS "obMatJos2gAAAnonce"
#define NONCE_ANONYMITY  "obMatJos2QAAAnonce"
#define NONCE_NEITHER    "obMatJos2AAAAnonce"

#define BOTH    "\0\2\0\0\0\1\0\0"
#define MD5     "\0\1\0\0"


static world_t  w;
static agent_t  a;


static void
start(void)
{
    world_init(&w);
    world_start(&w);
    agent_init(&a);
    agent_start(&a);
}


/* with the server of turn.h */

static void
allocated(void)
{
    start();
    agent_talk(&a, &w);
}


static void
end(const char *name)
{
    is_str(agent_end(&a), NULL, "%s: nothing is wrong with the client", name);
    is_str(world_end(&w), NULL, "%s: nor with the server", name);
}


/* without it */

static void
over(const char *name)
{
    is_str(agent_end(&a), NULL, "%s: nothing is wrong", name);
}


static void
talk(void)
{
    agent_begin(&a);
    agent_talk(&a, &w);
}


static void
peer_says(const char *peer, const char *data)
{
    trp_taddr_t  t;

    t = taddr(peer);
    world_peer(&w, trp_turn_find(&w.turn, &a.tuple), &t, data, strlen(data));

    agent_begin(&a);
    agent_fetch(&a, &w);
}


/* the server lives on while time goes by */

static void
pass(uint64_t ms)
{
    uint64_t  end, next;

    agent_begin(&a);
    end = a.now + ms;

    while (a.now < end) {
        next = trp_turnc_deadline(a.client);
        next = (next == 0 || next > end) ? end : next;

        agent_run(&a, next - a.now);
        world_pass(&w, a.now - w.turn.now);
        agent_fetch(&a, &w);
        agent_talk(&a, &w);
    }
}


static void
test_udp(void)
{
    start();
    is_str(a.log, ">allocate-", "Allocate without credentials");
    ok(trp_stun_get(&a.m, TRP_STUN_REQUESTED_ADDRESS_FAMILY).data == NULL,
       "and without a family");
    talk();
    is_str(a.log, ">allocate256 allocated", "and with them");
    is_int(trp_turnc_relayed(a.client)->port, w.relays->port,
           "the relayed address");

    is_int(agent_send(&a, "9.9.9.9:53", "one"), TRP_OK, "a datagram");
    is_str(a.log, ">channelbind256 4000", "waits for the channel");
    is_int(agent_send(&a, "9.9.9.9:53", "two"), TRP_OK, "another one");
    is_str(a.log, "", "waits, too");
    talk();
    is_str(a.log, ">4000 one >4000 two", "both go through it");
    is_str(w.log, "to-peer", "to the peer");
    agent_send(&a, "9.9.9.9:53", "three");
    is_str(a.log, ">4000 three", "the next one at once");
    agent_send(&a, "9.9.9.9:53", "");
    is_str(a.log, ">4000 ", "and one with nothing in it");
    talk();

    agent_send(&a, "1.1.1.1:80", "x");
    is_str(a.log, ">channelbind256 4001", "another peer, another channel");
    talk();

    peer_says("9.9.9.9:53", "four");
    is_str(a.log, "received 9.9.9.9:53 four", "from a peer");
    peer_says("9.9.9.9:54", "five");
    is_str(a.log, "received 9.9.9.9:54 five", "from its host");

    agent_begin(&a);
    trp_turnc_close(a.client, a.now);
    is_str(a.log, ">refresh256 0", "gives it back");
    agent_talk(&a, &w);
    is_int(w.turn.stats.allocations, 0, "it is gone");
    is_int(trp_turnc_deadline(a.client), 0, "nothing is waited for");
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_ERROR, "nothing is sent");
    trp_turnc_close(a.client, a.now);
    trp_turnc_start(a.client, a.now, a.wall);
    is_str(a.log, "", "nor anything else");
    end("UDP");
}


static void
test_families(void)
{
    world_init(&w);
    world_start(&w);
    agent_init(&a);
    a.conf.family = 6;
    agent_start(&a);
    is_int(trp_stun_get(&a.m, TRP_STUN_REQUESTED_ADDRESS_FAMILY).data[0], 2,
           "IPv6 is asked for");
    talk();
    ok(trp_turnc_relayed(a.client)->addr.family == 6, "and given");
    agent_send(&a, "[2620:fe::9]:53", "one");
    talk();
    is_str(a.log, ">4000 one", "a peer");
    agent_send(&a, "9.9.9.9:53", "one");
    talk();
    is_str(a.log, ">createpermission256 forbidden 9.9.9.9:53 443",
           "a peer of the other family");
    end("IPv6");

    agent_init(&a);
    a.conf.family = 4;
    agent_start(&a);
    ok(trp_stun_get(&a.m, TRP_STUN_REQUESTED_ADDRESS_FAMILY).data == NULL,
       "IPv4 is the default");
    answer_allocate(&a, "[2a00:1450::8]:50000", 600);
    is_str(a.log, ">refresh- 0 failed 2", "IPv6 was not asked for");
    over("IPv4");
}


/* RFC 6062, with the second connection as well; "other": another address */

static unsigned
bind_once(uint32_t connection, uint8_t *id, uint8_t other)
{
    size_t            len;
    uint8_t           buf[TRP_TURNC_MESSAGE_MAX];
    trp_turn_tuple_t  from;

    from = a.tuple;
    from.client.addr.bytes[0] ^= other;
    from.client.port = 4001;

    len = trp_turnc_bind(a.client, connection, buf, id);
    world_input(&w, &from, buf, len);

    return w.code;
}


static int
bound(const uint8_t *id, unsigned *code)
{
    return trp_turnc_bound(a.client, w.m.data, w.m.len, id, code);
}


static void
test_tcp(void)
{
    uint8_t   id[TRP_STUN_ID_LEN], other[TRP_STUN_ID_LEN];
    uint8_t   buf[TRP_TURNC_MESSAGE_MAX];
    unsigned  code;

    world_init(&w);
    world_start(&w);
    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_start(&a);
    is_int(trp_turnc_bind(a.client, 1, buf, id), 0,
           "nothing to bind before the allocation");
    is_int(agent_connect(&a, "9.9.9.9:80", "one"), TRP_ERROR,
           "nor to connect to");
    talk();
    is_str(a.log, ">allocate256 allocated", "over TCP");

    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_ERROR, "no datagrams");

    is_int(agent_connect(&a, "9.9.9.9:80", "one"), TRP_OK, "a connection");
    is_str(a.log, ">connect256", "is asked for");
    talk();
    is_str(a.log, "", "the server is connecting");
    agent_connect(&a, "9.9.9.9:80", "two");
    talk();
    is_str(a.log, "refused two 446", "the same one again");

    world_begin(&w);
    trp_turn_connected(&w.turn, w.streams[0], 1);
    world_run(&w);
    agent_begin(&a);
    agent_fetch(&a, &w);
    is_str(a.log, "connected one", "connected");

    is_int(bind_once(a.connection, id, 1), 438, "its nonce is another's");
    memcpy(other, id, sizeof(id));
    other[3] ^= 1;
    is_int(bound(other, &code), TRP_ERROR, "an answer to something else");
    is_int(code, TRP_TURNC_PROTOCOL, "makes no sense");
    is_int(bound(id, &code), TRP_AGAIN, "once more");
    is_int(bind_once(a.connection, id, 1), 200, "attached");
    is_int(bound(id, &code), TRP_OK, "bound");
    is_int(code, 0, "without an error");
    is_int(trp_turnc_bound(a.client, w.m.data, w.m.len - 1, id, &code),
           TRP_ERROR, "a part of it is nothing");

    bind_once(a.connection, id, 1);
    is_int(bound(id, &code), TRP_AGAIN, "bound twice");
    is_int(bind_once(a.connection, id, 1), 400, "is an error");
    is_int(bound(id, &code), TRP_ERROR, "which is told");
    is_int(code, 400, "with its code");

    bind_once(a.connection, id, 1);
    bound(id, &code);
    w.turn.time += 4000;
    is_int(bind_once(a.connection, id, 1), 438, "stale again");
    is_int(bound(id, &code), TRP_ERROR, "there is no third time");
    is_int(code, 438, "its code");
    w.turn.time -= 4000;

    agent_connect(&a, "9.9.9.9:84", "again");
    talk();
    world_begin(&w);
    trp_turn_connected(&w.turn, w.streams[1], 1);
    world_run(&w);
    agent_begin(&a);
    agent_fetch(&a, &w);
    is_str(a.log, "connected again", "another one");
    is_int(bind_once(a.connection, id, 0), 200, "from the same address");
    is_int(bound(id, &code), TRP_OK, "bound at once");

    agent_connect(&a, "127.0.0.1:80", "three");
    talk();
    is_str(a.log, "refused three 403", "a peer that is denied");

    agent_connect(&a, "9.9.9.9:81", "four");
    talk();
    pass(30000);
    ok(strstr(a.log, "refused four 447") != NULL,
       "a peer that does not answer");

    agent_connect(&a, "9.9.9.9:82", "five");
    trp_turnc_forget(a.client, "nobody");
    trp_turnc_forget(a.client, (void *) "five");
    talk();
    pass(30000);
    ok(strstr(a.log, "five") == NULL,
       "of what is forgotten nothing is heard");

    trp_turnc_forget(a.client, (void *) "five");
    agent_connect(&a, "9.9.9.9:83", "six");
    end("TCP");
}


/* one that is known to be wrong is made of the right answer */

static void
test_bind_integrity(void)
{
    size_t    len;
    uint8_t   id[TRP_STUN_ID_LEN], buf[TRP_TURNC_MESSAGE_MAX];
    unsigned  i, code, want;

    static const struct {
        unsigned     code;             /* of the answer */
        int          is_signed;
        int          rc;
        unsigned     want;
    } cases[] = {
        { 200, 1, TRP_OK, 0 },
        { 200, 0, TRP_ERROR, TRP_TURNC_INTEGRITY },
        { 400, 1, TRP_ERROR, 400 },
        { 400, 0, TRP_ERROR, TRP_TURNC_INTEGRITY },
        { 401, 0, TRP_ERROR, 401 },
        { 438, 0, TRP_ERROR, 438 },    /* without a nonce */
        { 447, 1, TRP_ERROR, 447 },
        { 700, 1, TRP_ERROR, TRP_TURNC_PROTOCOL }
    };

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 600);

    for (i = 0; i < nelts(cases); i++) {
        len = trp_turnc_bind(a.client, 77, buf, id);
        memcpy(a.request, buf, len);
        trp_stun_parse(&a.m, a.request, len);

        answer(&a, cases[i].code);

        if (cases[i].is_signed) {
            answer_sign(&a);
        }

        want = cases[i].want;
        is_int(trp_turnc_bound(a.client, a.answer.data, a.answer.len,
                               id, &code),
               cases[i].rc, "ConnectionBind, %u%s", cases[i].code,
               cases[i].is_signed ? " signed" : "");
        is_int(code, want, "says %u", want);
    }

    over("ConnectionBind");
}


/* RFC 8489, section 9.2.5 */

static void
test_challenge(void)
{
    unsigned  i;

    static const struct {
        const char  *nonce;
        const char  *list;
        size_t       len;
        const char  *want;
        unsigned     algorithm;        /* in the request, 0: none */
        unsigned     userhash;
        const char  *name;
    } cases[] = {
        { "nonce", NULL, 0, ">allocate", 0, 0, "no features" },
        { "nonce", BOTH, 8, ">allocate", 0, 0, "a list without its bit" },
        { NONCE_NEITHER, BOTH, 8, ">allocate", 0, 0,
          "a list with the bit unset" },
        { NONCE_NEITHER, NULL, 0, ">allocate", 0, 0, "the cookie alone" },
        { NONCE_ANONYMITY, NULL, 0, ">allocate", 0, 1, "anonymity" },
        { NONCE_ALGORITHMS, BOTH, 8, ">allocate256", 2, 0, "algorithms" },
        { NONCE_ALGORITHMS, "\0\1\0\0\0\2\0\0", 8, ">allocate256", 2, 0,
          "the other way round" },
        { NONCE_BOTH, BOTH, 8, ">allocate256", 2, 1, "both features" },
        { NONCE_ALGORITHMS, MD5, 4, ">allocate256", 1, 0, "MD5 alone" },
        { NONCE_ALGORITHMS, "\0\2\0\0", 4, ">allocate256", 2, 0,
          "SHA-256 alone" },
        { NONCE_ALGORITHMS, "\0\7\0\2xy\0\0\0\1\0\0", 12, ">allocate256", 1,
          0, "one that is not known, and MD5" },
        { NONCE_ALGORITHMS, "\0\2\0\4abcd\0\1\0\0", 12, ">allocate256", 1, 0,
          "SHA-256 with parameters" },
        { NONCE_ALGORITHMS, NULL, 0, "failed 2", 0, 0,
          "the bit without a list" },
        { NONCE_ALGORITHMS, "\0\7\0\0", 4, "failed 2", 0, 0,
          "none that is known" },
        { NONCE_ALGORITHMS, "\0\2\0", 3, "failed 2", 0, 0,
          "a part of a list" },
        { NONCE_ALGORITHMS, "\0\7\377\377", 4, "failed 2", 0, 0,
          "a parameter that is not there" },
        { "obMatJos2", BOTH, 8, ">allocate", 0, 0, "a part of the cookie" },
        { "obMatJos2!!!!x", BOTH, 8, ">allocate", 0, 0, "no base64" },
        { "", NULL, 0, "failed 2", 0, 0, "an empty nonce" }
    };

    for (i = 0; i < nelts(cases); i++) {
        agent_init(&a);
        agent_start(&a);
        answer_challenge(&a, 401, cases[i].nonce, cases[i].list,
                         cases[i].len);
        is_str(a.log, cases[i].want, "%s", cases[i].name);

        if (a.code == 0) {
            ok((trp_stun_get(&a.m, TRP_STUN_PASSWORD_ALGORITHM).data
                ? trp_stun_get(&a.m, TRP_STUN_PASSWORD_ALGORITHM).data[1] : 0)
               == cases[i].algorithm, "the algorithm");
            ok(trp_stun_get(&a.m, TRP_STUN_PASSWORD_ALGORITHMS).len
               == (cases[i].algorithm ? cases[i].len : 0)
               && (cases[i].algorithm == 0
                   || memcmp(trp_stun_get(&a.m, TRP_STUN_PASSWORD_ALGORITHMS)
                             .data, cases[i].list, cases[i].len)
                      == 0), "and the list");
            ok(trp_stun_get(&a.m, TRP_STUN_USERHASH).len
               == (cases[i].userhash ? 32 : 0)
               && trp_stun_get(&a.m, TRP_STUN_USERNAME).len
                  == (cases[i].userhash ? 0 : 5), "and the name");

            /* which also looks at the signature */

            answer_allocate(&a, "8.8.4.4:50000", 600);
            is_str(a.log, "allocated", "good");
        }

        over(cases[i].name);
    }
}


static void
test_no_challenge(void)
{
    char  longer[800];

    agent_init(&a);
    agent_start(&a);
    answer(&a, 401);
    trp_stun_put(&a.answer, TRP_STUN_NONCE, "nonce", 5);
    answer_send(&a);
    is_str(a.log, "failed 2", "401 without a realm");
    over("no realm");

    agent_init(&a);
    agent_start(&a);
    answer(&a, 401);
    trp_stun_put(&a.answer, TRP_STUN_REALM, "realm", 5);
    answer_send(&a);
    is_str(a.log, "failed 2", "401 without a nonce");
    over("no nonce");

    memset(longer, 'x', sizeof(longer));
    longer[764] = '\0';

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, longer, NULL, 0);
    is_str(a.log, "failed 2", "a nonce that is too long");
    over("long nonce");

    agent_init(&a);
    a.realm = longer;
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "failed 2", "a realm that is too long");
    over("long realm");

    agent_init(&a);
    a.conf.name = text("");
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "failed 401", "nobody to be");
    over("no name");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    answer_challenge(&a, 401, "other", NULL, 0);
    is_str(a.log, "failed 401", "a password that is wrong");
    over("wrong password");

    agent_init(&a);
    agent_start(&a);
    answer_allocate(&a, "8.8.4.4:50000", 600);
    is_str(a.log, "allocated", "a server that asks for no password");
    agent_pass(&a, 540000);
    ok(strstr(a.log, ">refresh-") != NULL, "goes on without");
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, ">refresh", "until it asks");
    over("open server");
}


/* all that a message may have in it is as long as it may be */

static void
test_longest(void)
{
    char      name[600], realm[800], nonce[800], user[1200], list[68];
    size_t    len;
    uint8_t   id[TRP_STUN_ID_LEN], buf[TRP_TURNC_MESSAGE_MAX];

    memset(name, 'n', sizeof(name));
    memset(realm, 'r', sizeof(realm));
    memset(nonce, 'o', sizeof(nonce));
    memcpy(nonce, NONCE_ALGORITHMS, strlen(NONCE_ALGORITHMS));
    memset(list, 0, sizeof(list));
    list[61] = 2;
    name[508] = '\0';
    realm[763] = '\0';
    nonce[763] = '\0';
    snprintf(user, sizeof(user), "%s:secret", name);

    agent_init(&a);
    a.conf.name = text(name);
    a.conf.stream = 1;
    a.conf.transport = 6;
    a.user = user;
    a.realm = realm;
    agent_start(&a);
    answer_challenge(&a, 401, nonce, list, 64);
    is_str(a.log, ">allocate256", "the longest name, realm and nonce");
    answer_allocate(&a, "8.8.4.4:50000", 600);
    is_str(a.log, "allocated", "are good");
    len = trp_turnc_bind(a.client, 1, buf, id);
    ok(len > 2100 && len <= sizeof(buf), "ConnectionBind has %zu bytes", len);
    over("longest");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, NONCE_ALGORITHMS, list, 68);
    is_str(a.log, "failed 2", "a list that is too long");
    over("too long");
}


static void
test_stale(void)
{
    uint8_t  id[TRP_STUN_ID_LEN];

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 438, "nonce", NULL, 0);
    is_str(a.log, "failed 438", "stale without a nonce");
    over("stale without a nonce");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    memcpy(id, a.m.data + 8, TRP_STUN_ID_LEN);
    answer_challenge(&a, 438, "other", NULL, 0);
    is_str(a.log, ">allocate", "a new nonce");
    ok(memcmp(id, a.m.data + 8, TRP_STUN_ID_LEN) != 0, "a new request");
    is_int(trp_stun_get(&a.m, TRP_STUN_NONCE).data[0], 'o', "with it");
    answer_challenge(&a, 438, "third", NULL, 0);
    is_str(a.log, ">allocate", "again");
    answer_challenge(&a, 438, "fourth", NULL, 0);
    is_str(a.log, "failed 438", "but not for ever");
    over("stale");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, NONCE_BOTH, BOTH, 8);
    answer_challenge(&a, 438, NONCE_BOTH, NULL, 0);
    is_str(a.log, "failed 2", "the list has gone");
    over("stale without a list");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, NONCE_BOTH, BOTH, 8);
    answer_challenge(&a, 438, NONCE_BOTH, "\0\7\0\0", 4);
    is_str(a.log, "failed 2", "the algorithm has gone");
    over("stale without the algorithm");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, NONCE_BOTH, BOTH, 8);
    answer_challenge(&a, 438, NONCE_BOTH, MD5, 4);
    is_str(a.log, ">allocate256", "the list has changed");
    answer_allocate(&a, "8.8.4.4:50000", 600);
    is_str(a.log, "allocated", "and is good");

    agent_pass(&a, 540000);
    answer_challenge(&a, 438, "nonce", NULL, 0);
    is_str(a.log, ">refresh256", "a nonce without features changes nothing");
    over("another list");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    answer_allocate(&a, "8.8.4.4:50000", 600);
    agent_pass(&a, 540000);
    answer_challenge(&a, 438, NONCE_BOTH, BOTH, 8);
    is_str(a.log, ">refresh", "nor does one with features");
    over("features later on");
}


/* the nonce of a server of ours gets old, and the next one is taken */

static void
test_stale_server(void)
{
    allocated();
    agent_send(&a, "9.9.9.9:53", "x");
    talk();

    pass(3700 * 1000);
    is_int(a.code, 0, "an hour and more");
    is_int(w.turn.stats.allocations, 1, "the allocation lives");
    is_int(w.turn.stats.channels, 1, "and the channel");
    agent_send(&a, "9.9.9.9:53", "still there");
    is_str(a.log, ">4000 still there", "which is used");
    talk();
    is_str(w.log, "to-peer", "and works");
    peer_says("9.9.9.9:53", "you too");
    is_str(a.log, "received 9.9.9.9:53 you too", "both ways");
    end("an hour");
}


static void
test_codes(void)
{
    unsigned  i;

    static const unsigned  codes[] = {
        300, 400, 403, 420, 437, 440, 441, 442, 443, 446, 447, 486, 500, 508
    };

    /* what it says of each, in the same order; "" is nothing */

    static const char  *refresh[] = {
        "failed 300", "failed 400", "failed 403", "failed 420", "failed 437",
        "failed 440", "failed 441", "failed 442", "failed 443", "failed 446",
        "failed 447", "failed 486", "", ""
    };

    char  want[64];

    for (i = 0; i < nelts(codes); i++) {
        agent_init(&a);
        agent_start(&a);
        answer_challenge(&a, 401, "nonce", NULL, 0);
        answer_code(&a, codes[i]);
        snprintf(want, sizeof(want), "failed %u", codes[i]);
        is_str(a.log, want, "Allocate, %u", codes[i]);
        answer_code(&a, codes[i]);
        is_str(a.log, "", "once");
        over("Allocate");

        agent_init(&a);
        agent_start(&a);
        answer_code(&a, codes[i]);
        is_str(a.log, want, "Allocate without credentials, %u", codes[i]);
        over("Allocate");

        agent_init(&a);
        agent_allocate(&a, 600);
        agent_pass(&a, 540000);
        answer_code(&a, codes[i]);
        is_str(a.log, refresh[i], "Refresh, %u", codes[i]);
        agent_pass(&a, 1000);
        is_str(a.log, a.code ? "" : ">refresh", "and then");
        over("Refresh");

        agent_init(&a);
        agent_allocate(&a, 600);
        agent_send(&a, "9.9.9.9:53", "x");
        answer_code(&a, codes[i]);

        if (codes[i] != 437 && codes[i] != 441) {
            snprintf(want, sizeof(want), "%s", codes[i] == 403
                     ? "forbidden 9.9.9.9:53 403" : codes[i] == 400
                     ? ">refresh >createpermission" : ">createpermission");
        }

        is_str(a.log, want, "ChannelBind, %u", codes[i]);

        if (codes[i] == 400) {
            agent_choose(&a, TRP_STUN_REFRESH);
            answer_code(&a, 200);
            is_str(a.log, "", "the allocation is there");
            agent_choose(&a, TRP_STUN_CREATE_PERMISSION);
        }

        if (codes[i] != 403 && a.code == 0) {
            answer_code(&a, codes[i]);
            snprintf(want, sizeof(want), "forbidden 9.9.9.9:53 %u",
                     codes[i]);
            is_str(a.log, want, "and CreatePermission");
        }

        is_int(agent_send(&a, "9.9.9.9:53", "x"),
               a.code ? TRP_ERROR : TRP_DECLINED, "nothing is sent");
        over("ChannelBind");

        agent_init(&a);
        a.conf.stream = 1;
        a.conf.transport = 6;
        agent_allocate(&a, 600);
        agent_connect(&a, "9.9.9.9:80", "it");
        answer_code(&a, codes[i]);
        snprintf(want, sizeof(want), (codes[i] == 437 || codes[i] == 441)
                 ? "failed %u" : codes[i] == 400
                 ? ">refresh refused it %u" : "refused it %u", codes[i]);
        is_str(a.log, want, "Connect, %u", codes[i]);
        over("Connect");
    }
}


/* credentials that have run out meanwhile */

static void
test_later_401(void)
{
    agent_init(&a);
    agent_allocate(&a, 600);
    agent_pass(&a, 540000);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "failed 401", "Refresh, 401");
    over("Refresh");

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "failed 401", "ChannelBind, 401");
    over("ChannelBind");

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_challenge(&a, 438, "other", NULL, 0);
    is_str(a.log, ">channelbind 4000", "ChannelBind, 438");
    answer_challenge(&a, 438, "other", NULL, 0);
    answer_challenge(&a, 438, "other", NULL, 0);
    answer_challenge(&a, 438, "other", NULL, 0);
    is_str(a.log, "", "again and again");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">channelbind 4000", "asked anew");
    over("ChannelBind");

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 600);
    agent_connect(&a, "9.9.9.9:80", "it");
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "failed 401", "Connect, 401: and no \"refused\"");
    over("Connect");
}


static void
test_answers(void)
{
    unsigned     i;
    uint8_t      raw[4];
    trp_taddr_t  t;

    static const struct {
        uint8_t      hundreds;
        uint8_t      number;
        size_t       len;
        const char  *want;
    } codes[] = {
        { 4, 86, 4, "failed 486" },
        { 6, 99, 4, "failed 699" },
        { 2, 0, 4, "failed 2" },
        { 7, 0, 4, "failed 2" },
        { 4, 100, 4, "failed 2" },
        { 4, 86, 3, "failed 2" },
        { 0xfc, 86, 4, "failed 486" }  /* the bits above are reserved */
    };

    for (i = 0; i < nelts(codes); i++) {
        agent_init(&a);
        agent_start(&a);
        trp_stun_begin(&a.answer, a.answer_buf, sizeof(a.answer_buf),
                       TRP_STUN_ERROR, TRP_STUN_ALLOCATE, a.m.data + 8);
        memset(raw, 0, sizeof(raw));
        raw[2] = codes[i].hundreds;
        raw[3] = codes[i].number;
        trp_stun_put(&a.answer, TRP_STUN_ERROR_CODE, raw, codes[i].len);
        answer_send(&a);
        is_str(a.log, codes[i].want, "ERROR-CODE %u %u", raw[2], raw[3]);
        over("ERROR-CODE");
    }

    /* success that makes no sense gives back what there may be */

    for (i = 0; i < 6; i++) {
        agent_init(&a);
        agent_start(&a);
        answer_challenge(&a, 401, "nonce", NULL, 0);
        answer(&a, 200);
        t = taddr(i == 1 ? "8.8.4.4:0" : "8.8.4.4:50000");

        if (i != 0) {
            trp_stun_put_addr(&a.answer, TRP_STUN_XOR_RELAYED_ADDRESS, &t);
        }

        if (i == 2) {
            trp_stun_put(&a.answer, TRP_STUN_LIFETIME, "\1", 1);
        }

        if (i == 3) {
            trp_stun_put_u32(&a.answer, TRP_STUN_LIFETIME, 0);
        }

        if (i == 4) {
            trp_stun_put(&a.answer, (trp_stun_attribute_e) 0x7001, "", 0);
        }

        answer_sign(&a);
        answer_send(&a);

        if (i == 5) {
            is_str(a.log, "allocated", "no LIFETIME");
            agent_pass(&a, 539999);
            ok(strstr(a.log, "refresh") == NULL, "means");
            agent_pass(&a, 1);
            is_str(a.log, ">refresh", "600 seconds");

        } else {
            is_str(a.log, i == 4 ? "failed 2" : ">refresh 0 failed 2",
                   "Allocate with something missing, %u", i);
        }

        over("Allocate");
    }
}


static void
test_alternate(void)
{
    unsigned  i;

    static const char  v4[] = "\0\1\x0d\x96\xc0\0\2\7";
    static const char  v6[] = "\0\2\x0d\x96\x20\1\x0d\xb8\0\0\0\0\0\0\0\0"
                              "\0\0\0\1";

    static const struct {
        const char  *value;
        size_t       len;
        int          challenged;
        int          is_signed;
        const char  *log;
        const char  *want;
    } cases[] = {
        { v4, 8, 0, 0, "failed 300", "192.0.2.7:3478" },
        { v6, 20, 0, 0, "failed 300", "2001:db8::1:3478" },
        { v4, 8, 1, 1, "failed 300", "192.0.2.7:3478" },
        { v4, 8, 1, 0, "", ":0" },
        { v4, 7, 0, 0, "failed 300", ":0" },
        { NULL, 0, 0, 0, "failed 300", ":0" }
    };

    for (i = 0; i < nelts(cases); i++) {
        agent_init(&a);
        agent_start(&a);

        if (cases[i].challenged) {
            answer_challenge(&a, 401, "nonce", NULL, 0);
        }

        answer(&a, 300);

        if (cases[i].value) {
            trp_stun_put(&a.answer, TRP_STUN_ALTERNATE_SERVER,
                         cases[i].value, cases[i].len);
        }

        if (cases[i].is_signed) {
            answer_sign(&a);
        }

        answer_send(&a);
        is_str(a.log, cases[i].log, "300, %u", i);
        is_str(taddr_text(trp_turnc_alternate(a.client)),
               cases[i].want, "another server");
        over("300");
    }
}


static void
test_integrity(void)
{
    unsigned  stream;

    for (stream = 0; stream < 2; stream++) {

        /* no integrity, wrong, and for 400 both */

        agent_init(&a);
        a.conf.stream = stream;
        agent_start(&a);
        answer_challenge(&a, 401, "nonce", NULL, 0);
        answer(&a, 200);
        answer_send(&a);
        is_str(a.log, stream ? "failed 3" : "", "an answer without");
        over("without integrity");

        agent_init(&a);
        a.conf.stream = stream;
        agent_start(&a);
        answer_challenge(&a, 401, "nonce", NULL, 0);
        answer(&a, 486);
        answer_sign(&a);
        a.answer_buf[a.answer.len - 1] ^= 1;
        answer_send(&a);
        is_str(a.log, stream ? "failed 3" : "", "a wrong one");
        over("wrong integrity");

        agent_init(&a);
        a.conf.stream = stream;
        agent_start(&a);
        answer_challenge(&a, 401, "nonce", NULL, 0);
        answer(&a, 400);
        answer_send(&a);
        is_str(a.log, "", "400 without one was never received");

        if (!stream) {
            answer_allocate(&a, "8.8.4.4:50000", 600);
            is_str(a.log, "allocated", "a right one still counts");

        } else {
            agent_pass(&a, 39499);
            is_str(a.log, ">binding-", "so we wait");
            agent_pass(&a, 1);
            is_str(a.log, "failed 3", "in vain");
        }

        over("400");

        /* what is signed in the other way */

        agent_init(&a);
        a.conf.stream = stream;
        agent_start(&a);
        answer_challenge(&a, 401, NONCE_BOTH, BOTH, 8);
        a.m.sha256 = 0;
        a.m.sha1 = 1;
        answer(&a, 200);
        trp_stun_put_sha1(&a.answer, text("key"));
        answer_send(&a);
        is_str(a.log, stream ? "failed 3" : "", "SHA-1 instead of SHA-256");
        over("the other integrity");
    }

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    answer(&a, 486);
    answer_send(&a);
    agent_pass(&a, 39500);
    is_int(a.code, TRP_TURNC_INTEGRITY, "nothing better has come");
    over("violated");
}


/* RFC 8489, section 6.2 */

static void
test_lost(void)
{
    unsigned  i;
    uint8_t   id[TRP_STUN_ID_LEN];
    uint64_t  began;

    static const unsigned  when[] = {
        500, 1500, 3500, 7500, 15500, 31500
    };

    agent_init(&a);
    agent_start(&a);
    began = a.now;
    memcpy(id, a.m.data + 8, sizeof(id));

    for (i = 0; i < nelts(when); i++) {
        agent_pass(&a, began + when[i] - a.now - 1);
        is_str(a.log, "", "nothing before %u ms", when[i]);
        agent_pass(&a, 1);
        is_str(a.log, ">allocate-", "and then it is sent again");
        ok(memcmp(a.m.data + 8, id, sizeof(id)) == 0, "as the same");
    }

    agent_pass(&a, began + 39499 - a.now);
    is_str(a.log, "", "nothing more");
    agent_pass(&a, 1);
    is_str(a.log, "failed 1", "no answer");
    is_int(trp_turnc_deadline(a.client), 0, "the end");
    over("UDP");

    agent_init(&a);
    a.conf.stream = 1;
    agent_start(&a);
    agent_pass(&a, 39499);
    is_str(a.log, ">binding-", "over a stream once");
    agent_pass(&a, 1);
    is_str(a.log, "failed 1", "no answer");
    over("stream");

    /* time has passed unnoticed */

    agent_init(&a);
    agent_start(&a);
    agent_begin(&a);
    a.now += 1000000;
    agent_tick(&a);
    is_str(a.log, ">allocate-", "after a long time");
    over("sleep");

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_begin(&a);
    a.now += 1000000;
    agent_tick(&a);
    ok(strstr(a.log, "failed 1") != NULL, "after the allocation's end");
    over("sleep");
}


static void
test_lifetime(void)
{
    unsigned  i;
    uint64_t  granted;

    static const struct {
        uint32_t  lifetime;
        uint64_t  refresh;
    } cases[] = {
        { 600, 540000 },
        { 3600, 3540000 },
        { 121, 61000 },
        { 120, 60000 },
        { 119, 59500 },
        { 10, 5000 },
        { 1, 500 },
        { 0xffffffff, 0xffffffffULL * 1000 - 60000 }
    };

    for (i = 0; i < nelts(cases); i++) {
        agent_init(&a);
        agent_allocate(&a, cases[i].lifetime);
        a.conf.stream = 0;

        if (cases[i].lifetime > 3600) {
            over("for ever");
            continue;
        }

        agent_pass(&a, cases[i].refresh - 1);
        ok(strstr(a.log, "refresh") == NULL, "%u s: not yet",
           cases[i].lifetime);
        agent_pass(&a, 1);
        ok(strstr(a.log, ">refresh") != NULL, "but %u ms later",
           (unsigned) cases[i].refresh);
        answer(&a, 200);
        trp_stun_put_u32(&a.answer, TRP_STUN_LIFETIME, 600);
        answer_sign(&a);
        answer_send(&a);
        is_str(a.log, "", "granted");
        agent_pass(&a, 539999);
        ok(strstr(a.log, "refresh") == NULL, "for 600 s");
        agent_pass(&a, 1);
        ok(strstr(a.log, ">refresh") != NULL, "and again");
        over("lifetime");
    }

    /* there is no answer: it is tried until the end */

    agent_init(&a);
    agent_allocate(&a, 600);
    granted = a.now;
    agent_pass(&a, 540000);
    agent_pass(&a, 39500);
    agent_pass(&a, 1000);
    is_str(a.log, ">refresh", "a second try");
    agent_pass(&a, granted + 599999 - a.now);
    is_int(a.code, 0, "nothing is lost yet");
    agent_pass(&a, 1);
    is_str(a.log, "failed 1", "but now");
    over("no answer");

    /* a server that has trouble */

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_pass(&a, 540000);
    answer_code(&a, 500);
    agent_pass(&a, 999);
    is_str(a.log, "", "500: a while later");
    agent_pass(&a, 1);
    is_str(a.log, ">refresh", "another try");
    answer_code(&a, 200);
    agent_pass(&a, 60000);
    is_int(a.code, 0, "which was good");
    over("trouble");

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_pass(&a, 540000);
    answer(&a, 200);
    trp_stun_put_u32(&a.answer, TRP_STUN_LIFETIME, 0);
    answer_sign(&a);
    answer_send(&a);
    is_str(a.log, "failed 2", "refreshed for no time");
    over("no time");
}


static void
test_keepalive(void)
{
    agent_init(&a);
    agent_allocate(&a, 600);
    agent_pass(&a, 24999);
    is_str(a.log, "", "nothing to say");
    agent_pass(&a, 1);
    is_str(a.log, ">binding-", "25 seconds");
    agent_pass(&a, 24999);
    is_str(a.log, "", "again nothing");
    agent_pass(&a, 1);
    is_str(a.log, ">binding-", "and again");

    agent_pass(&a, 10000);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_pass(&a, 24999);
    is_str(a.log, "", "anything that is sent counts");
    agent_pass(&a, 1);
    is_str(a.log, ">binding-", "for 25 seconds");
    over("keepalive");
}


static void
test_rest(void)
{
    trp_str_t  name;

    static const trp_str_t  secrets[] = {
        trp_string("old"), trp_string("north")
    };

    world_init(&w);
    w.conf.credentials.nusers = 0;
    w.conf.credentials.secrets = secrets;
    w.conf.credentials.nsecrets = 2;
    world_start(&w);

    agent_init(&a);
    a.conf.name = text("alice");
    a.conf.password = text("");
    a.conf.secret = text("north");
    agent_start(&a);
    talk();
    is_str(a.log, ">allocate256 allocated", "with a secret");
    name = trp_stun_get(&a.m, TRP_STUN_USERNAME);
    ok(name.len == 16 && memcmp(name.data, "1700604800:alice", 16) == 0,
       "a name that is good for a week");

    a.wall += 3600;
    a.now += 1;
    agent_send(&a, "9.9.9.9:53", "x");
    name = trp_stun_get(&a.m, TRP_STUN_USERNAME);
    ok(name.len == 16 && memcmp(name.data, "1700604800:alice", 16) == 0,
       "and does not change");
    talk();
    is_str(a.log, ">channelbind256 4000 >4000 x", "is still good");
    is_str(agent_end(&a), NULL, "a secret and a name");

    agent_init(&a);
    a.tuple.client.port++;
    a.conf.name = text("");
    a.conf.secret = text("north");
    agent_start(&a);
    talk();
    is_str(a.log, ">allocate256 allocated", "without a name");
    name = trp_stun_get(&a.m, TRP_STUN_USERNAME);
    ok(name.len == 10 && memcmp(name.data, "1700604800", 10) == 0,
       "the time alone");
    is_str(agent_end(&a), NULL, "a secret alone");

    agent_init(&a);
    a.tuple.client.port += 2;
    a.conf.secret = text("south");
    agent_start(&a);
    talk();
    is_str(a.log, ">allocate256 failed 401", "a secret that is not");
    end("REST");
}


static void
test_queue(void)
{
    int          i;
    char         big[TRP_TURNC_DATAGRAM + 2];
    trp_taddr_t  t;

    agent_init(&a);
    agent_allocate(&a, 600);

    memset(big, 'x', sizeof(big));
    big[TRP_TURNC_DATAGRAM] = '\0';

    is_int(agent_send(&a, "9.9.9.9:53", big), TRP_OK, "as long as may be");
    big[TRP_TURNC_DATAGRAM] = 'x';
    big[TRP_TURNC_DATAGRAM + 1] = '\0';
    is_int(agent_send(&a, "9.9.9.9:53", big), TRP_AGAIN, "and longer");

    for (i = 1; i < TRP_TURNC_QUEUE; i++) {
        is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_OK, "waits");
    }

    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_AGAIN, "one too many");
    is_int(agent_send(&a, "9.9.9.9:54", "x"), TRP_OK, "another peer's");
    over("queue");

    agent_init(&a);
    agent_allocate(&a, 3600);

    for (i = 0; i < TRP_TURNC_QUEUE; i++) {
        agent_send(&a, "9.9.9.9:53", "x");
    }

    answer_code(&a, 200);
    agent_release(&a, "9.9.9.9:53");

    for (i = 0; i < TRP_TURNC_QUEUE; i++) {
        if (agent_send(&a, "9.9.9.9:53", "x") != TRP_OK) {
            break;
        }
    }

    is_int(i, TRP_TURNC_QUEUE, "as many again, the next time");
    over("queue");

    /* nothing bounds what need not wait but the protocol */

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    is_int(agent_send(&a, "9.9.9.9:53", big), TRP_OK, "a long one");
    t = taddr("9.9.9.9:53");
    memset(w.ask_buf, 'y', sizeof(w.ask_buf));
    is_int(trp_turnc_send(a.client, &t, w.ask_buf, 65400, a.now), TRP_OK,
           "the longest");
    is_int(a.last_len, 65404, "in one piece");
    is_int(trp_turnc_send(a.client, &t, w.ask_buf, 65401, a.now), TRP_AGAIN,
           "longer than any");

    is_int(agent_send(&a, "9.9.9.9:0", "x"), TRP_DECLINED, "port 0");
    memset(&t, 0, sizeof(t));
    t.port = 1;
    is_int(trp_turnc_send(a.client, &t, w.ask_buf, 1, a.now),
           TRP_DECLINED, "no address");
    over("lengths");
}


static void
test_padding(void)
{
    unsigned  i, stream;
    char      data[] = "abcd";

    for (stream = 0; stream < 2; stream++) {
        agent_init(&a);
        a.conf.stream = stream;
        agent_allocate(&a, 600);
        agent_send(&a, "9.9.9.9:53", "");
        answer_code(&a, 200);

        for (i = 0; i <= 4; i++) {
            data[i] = '\0';
            agent_send(&a, "9.9.9.9:53", data);
            is_int(a.last_len, 4 + (stream ? (i + 3) & ~3u : i),
                   "%u bytes over %s", i, stream ? "a stream" : "UDP");
            data[i] = "abcd"[i];
        }

        over("padding");
    }
}


static void
test_refresh_peer(void)
{
    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);

    agent_pass(&a, 239999);
    ok(strstr(a.log, "channelbind") == NULL, "four minutes");
    agent_pass(&a, 1);
    is_str(a.log, ">channelbind 4000", "the same channel again");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">4000 x", "meanwhile all goes on");
    answer_code(&a, 200);

    /* no answer: the next try, and the end of the permission */

    agent_pass(&a, 240000);
    agent_pass(&a, 39500);
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">4000 x", "there is time left");
    agent_pass(&a, 1000);
    is_str(a.log, ">channelbind 4000", "for another try");
    agent_pass(&a, 19499);
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">4000 x", "until then");
    agent_pass(&a, 1);
    agent_send(&a, "9.9.9.9:53", "waits");
    is_str(a.log, "", "the permission is over");
    agent_choose(&a, TRP_STUN_CHANNEL_BIND);
    answer_code(&a, 200);
    is_str(a.log, ">4000 waits", "and there again");
    agent_choose(&a, TRP_STUN_REFRESH);
    answer_code(&a, 200);

    agent_lose(&a);
    agent_pass(&a, 319999);
    agent_lose(&a);
    agent_send(&a, "9.9.9.9:53", "waits");
    is_str(a.log, "", "over again");
    agent_pass(&a, 1);
    is_str(a.log, "", "it is given up");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">channelbind 4000", "asked anew");
    over("refresh");

    /* the timer was late */

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_begin(&a);
    a.now += 1000000;
    agent_tick(&a);
    is_str(a.log, ">binding- >channelbind 4000", "asked at once");
    agent_send(&a, "9.9.9.9:53", "waits");
    is_str(a.log, "", "waits");
    answer_code(&a, 200);
    is_str(a.log, ">4000 waits", "and goes");
    over("sleep");

    /* refused later on */

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_pass(&a, 240000);
    answer_code(&a, 403);
    is_str(a.log, "forbidden 9.9.9.9:53 403", "no longer allowed");
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_DECLINED, "nothing goes");
    over("forbidden");

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_pass(&a, 240000);
    answer_code(&a, 500);
    is_str(a.log, ">createpermission", "the channel goes, the peer stays");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">4000 x", "which still is there");
    answer_code(&a, 200);
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">send 9.9.9.9:53 x", "without a channel");
    agent_pass(&a, 5000);
    is_str(a.log, ">refresh", "does the server still know of it");
    answer_code(&a, 200);
    agent_pass(&a, 235000);
    is_str(a.log + strlen(a.log) - 17, ">channelbind 4000",
           "it may have channels now");
    answer_code(&a, 508);
    is_str(a.log, ">createpermission", "and so on");
    answer_code(&a, 200);
    agent_release(&a, "9.9.9.9:53");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">channelbind 4000", "a new start, a new try");
    over("without a channel");
}


static void
test_denied(void)
{
    agent_init(&a);
    agent_allocate(&a, 600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 403);
    is_str(a.log, "forbidden 9.9.9.9:53 403", "told once");
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_DECLINED, "not sent");
    is_str(a.log, "", "not asked");
    agent_pass(&a, 999);
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_DECLINED, "for a second");
    agent_pass(&a, 1);
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_OK, "and then");
    is_str(a.log, ">channelbind 4000", "asked again");
    answer_code(&a, 403);
    agent_release(&a, "9.9.9.9:53");
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_OK, "or when released");
    over("denied");
}


static trp_taddr_t
numbered(unsigned i)
{
    trp_taddr_t  t;

    t = taddr("9.9.0.0:53");
    t.addr.bytes[2] = (uint8_t) (i >> 8);
    t.addr.bytes[3] = (uint8_t) i;

    return t;
}


static int
send_numbered(unsigned i)
{
    trp_taddr_t  t;

    agent_begin(&a);
    t = numbered(i);

    return trp_turnc_send(a.client, &t, (const uint8_t *) "x", 1, a.now);
}


/* the server was restarted, and says so in answer to Refresh alone */

static void
forgotten(void)
{
    agent_choose(&a, TRP_STUN_REFRESH);
    answer_code(&a, 437);
    is_str(a.log, "failed 437", "the allocation is gone");
    over("forgotten");
}


static void
bound_peer(void)
{
    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_lose(&a);
}


/* a datagram of the peer 9.9.9.9:53 through its channel */

static void
peer_data(void)
{
    agent_begin(&a);
    agent_input(&a, (const uint8_t *) "\100\0\0\4data", 8);
}


static void
test_forgotten(void)
{
    unsigned  i;

    /* 400 */

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 400);
    is_str(a.log, ">refresh >createpermission", "ChannelBind, 400");
    answer_code(&a, 400);
    is_str(a.log, "", "CreatePermission, 400, is no refusal");
    forgotten();

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 508);
    answer_code(&a, 400);
    is_str(a.log, ">refresh", "CreatePermission, 400");
    agent_pass(&a, 1000);
    is_str(a.log, ">refresh >createpermission", "both again");
    forgotten();

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 3600);
    agent_connect(&a, "9.9.9.9:80", "it");
    answer_code(&a, 400);
    is_str(a.log, ">refresh refused it 400", "Connect, 400");
    forgotten();

    /* and when it is refreshed */

    bound_peer();
    agent_pass(&a, 240000);
    answer_code(&a, 400);
    ok(strstr(a.log, ">refresh >createpermission") != NULL,
       "ChannelBind again, 400");
    forgotten();

    /* silence */

    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    agent_pass(&a, 3499);
    ok(strstr(a.log, "refresh") == NULL, "no answer to ChannelBind");
    agent_pass(&a, 1);
    is_str(a.log, ">channelbind 4000 >refresh", "after 3.5 s it is asked");
    forgotten();

    bound_peer();

    for (i = 0; i < 5; i++) {
        agent_pass(&a, i ? 1000 : 1);
        agent_send(&a, "9.9.9.9:53", "x");
        is_str(a.log, ">4000 x", "data that nobody answers");
    }

    agent_pass(&a, 999);
    is_str(a.log, "", "for 5 s");
    agent_pass(&a, 1);
    is_str(a.log, ">refresh", "then it is asked");
    forgotten();

}


static unsigned
count(const char *what)
{
    unsigned     n;
    const char  *p;

    n = 0;

    for (p = strstr(a.log, what); p; p = strstr(p + 1, what)) {
        n++;
    }

    return n;
}


static void
test_doubt(void)
{
    unsigned  i, n;

    /* data that is answered */

    bound_peer();

    for (n = 0, i = 0; i < 100; i++) {
        agent_send(&a, "9.9.9.9:53", "x");
        agent_pass(&a, 600);
        n += count("refresh");
        peer_data();
        agent_lose(&a);
    }

    is_int(n, 0, "what is answered is not in doubt");

    /* data that goes one way: after 5 s, then 10, 20, 40, one after another */

    for (n = 0, i = 0; i < 300; i++) {
        agent_send(&a, "9.9.9.9:53", "x");
        agent_pass(&a, 1000);

        if (count("refresh")) {
            n++;
            agent_choose(&a, TRP_STUN_REFRESH);
            answer_code(&a, 200);
        }

        if (count("channelbind")) {
            agent_choose(&a, TRP_STUN_CHANNEL_BIND);
            answer_code(&a, 200);
        }

        agent_lose(&a);
    }

    ok(n >= 7 && n <= 10, "one way, for 5 minutes: %u Refreshes", n);

    peer_data();
    agent_send(&a, "9.9.9.9:53", "x");
    agent_pass(&a, 50000);
    ok(count("refresh") > 0, "an answer makes us impatient again");
    over("one way");

    /* many that fail */

    agent_init(&a);
    agent_allocate(&a, 3600);

    for (n = 0, i = 0; i < 20; i++) {
        send_numbered(i);
        answer_code(&a, 400);

        if (count("refresh")) {
            n++;
            agent_choose(&a, TRP_STUN_REFRESH);
            answer_code(&a, 200);
        }

        agent_choose(&a, TRP_STUN_CREATE_PERMISSION);
        answer_code(&a, 400);
        agent_lose(&a);
        agent_pass(&a, 100);
    }

    is_int(n, 1, "20 peers in 2 s, one Refresh");
    over("many");
}


/* someone who has another server to turn to */

static void
hasty(void)
{
    agent_init(&a);
    a.conf.hasty = 1;
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 200);
    agent_lose(&a);
}


static void
test_hasty(void)
{
    unsigned  n, i;

    /* no server at all */

    agent_init(&a);
    a.conf.hasty = 1;
    agent_start(&a);
    agent_pass(&a, 3500);
    is_int(count("allocate"), 3, "no answer to Allocate: 4 times in all");
    agent_pass(&a, 1999);
    is_str(a.log, "", "the last one is waited for");
    agent_pass(&a, 1);
    is_str(a.log, "failed 1", "but not for long");
    over("no answer");

    /* a server that falls silent */

    hasty();
    agent_pass(&a, 1);
    agent_send(&a, "9.9.9.9:53", "x");
    agent_pass(&a, 1499);
    is_str(a.log, "", "data that nobody answers");
    agent_pass(&a, 1);
    is_str(a.log, ">refresh", "is in doubt after 1.5 s");
    agent_pass(&a, 5499);
    is_int(count("refresh"), 3, "it is asked for 5.5 s");
    agent_pass(&a, 1);
    is_str(a.log, "failed 1", "then it is over");
    over("silent");

    /* a server that answers, while data goes one way */

    hasty();

    for (n = 0, i = 0; i < 60; i++) {
        agent_send(&a, "9.9.9.9:53", "x");
        agent_pass(&a, 1000);

        if (count("refresh")) {
            n++;
            agent_choose(&a, TRP_STUN_REFRESH);
            answer_code(&a, 200);
        }

        agent_lose(&a);
    }

    ok(n >= 4 && n <= 8, "one way, for a minute: %u Refreshes", n);
    over("one way");

    /* there is a sign that something is wrong */

    hasty();
    agent_begin(&a);
    trp_turnc_suspect(a.client, a.now);
    is_str(a.log, ">refresh", "a suspicion");
    trp_turnc_suspect(a.client, a.now);
    is_str(a.log, ">refresh", "another one");
    answer_code(&a, 200);
    agent_begin(&a);
    trp_turnc_suspect(a.client, a.now);
    is_str(a.log, "", "soon after the answer");
    over("suspicion");
}


static void
test_channel(void)
{
    trp_taddr_t  peer, other;

    peer = taddr("9.9.9.9:53");
    other = taddr("9.9.9.9:54");

    agent_init(&a);
    agent_start(&a);
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0, "no allocation");
    over("no allocation");

    agent_init(&a);
    agent_allocate(&a, 3600);
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0, "nothing was sent");
    agent_send(&a, "9.9.9.9:53", "x");
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0, "not answered yet");
    answer_code(&a, 200);
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0x4000, "a channel");
    is_int(trp_turnc_channel(a.client, &other, a.now), 0, "another peer");
    agent_release(&a, "9.9.9.9:53");
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0, "it is released");
    agent_send(&a, "9.9.9.9:53", "x");
    answer_code(&a, 508);
    answer_code(&a, 200);
    is_int(trp_turnc_channel(a.client, &peer, a.now), 0, "a permission alone");
    over("channel");

    /* what the caller sends is known as sent */

    bound_peer();
    agent_pass(&a, 1);
    (void) trp_turnc_channel(a.client, &peer, a.now);
    agent_pass(&a, 5000);
    is_str(a.log, ">refresh", "data that nobody answers");
    forgotten();
}


static void
test_release(void)
{
    agent_init(&a);
    agent_allocate(&a, 3600);
    agent_send(&a, "9.9.9.9:53", "one");
    agent_release(&a, "9.9.9.9:53");
    answer_code(&a, 200);
    is_str(a.log, "", "released before the answer");
    agent_release(&a, "9.9.9.9:53");
    agent_release(&a, "9.9.9.9:54");

    agent_send(&a, "1.1.1.1:80", "x");
    is_str(a.log, ">channelbind 4001", "its number is not given away");
    answer_code(&a, 200);
    agent_release(&a, "1.1.1.1:80");
    agent_pass(&a, 240000);
    ok(strstr(a.log, "channelbind") == NULL, "not refreshed");

    agent_send(&a, "9.9.9.9:53", "two");
    is_str(a.log, ">channelbind 4000", "who comes back has the same one");
    answer_code(&a, 200);
    is_str(a.log, ">4000 two", "without what was forgotten");
    agent_release(&a, "9.9.9.9:53");

    /* 1.1.1.1 was asked for 720 seconds ago, 9.9.9.9 480 */

    agent_pass(&a, 480000);
    agent_send(&a, "8.8.8.8:1", "x");
    is_str(a.log, ">channelbind 4002", "numbers go on");
    agent_send(&a, "1.1.1.1:80", "x");
    is_str(a.log, ">channelbind 4001", "15 minutes are not over");
    agent_release(&a, "1.1.1.1:80");

    agent_pass(&a, 960000);
    agent_send(&a, "1.1.1.1:80", "x");
    is_str(a.log, ">channelbind 4003", "now they are");
    over("release");
}


static void
test_exhaustion(void)
{
    unsigned     i;
    trp_taddr_t  t;

    agent_init(&a);
    agent_allocate(&a, 3600);

    for (i = 0; i < 4096; i++) {
        send_numbered(i);

        if (a.last[0] >= 0x50 || strncmp(a.log, ">channelbind", 12) != 0) {
            break;
        }

        answer_code(&a, 200);
        agent_lose(&a);
        t = numbered(i);
        trp_turnc_release(a.client, &t);
    }

    is_int(i, 4096, "4096 channels");
    is_int(send_numbered(4096), TRP_OK, "one more");
    is_str(a.log, ">createpermission", "has none");
    answer_code(&a, 200);
    is_str(a.log, ">send 9.9.16.0:53 x", "and goes all the same");
    send_numbered(0);
    is_str(a.log, ">channelbind 4000", "the first one has kept its own");
    answer_code(&a, 200);

    agent_release(&a, "9.9.16.0:53");
    is_int(send_numbered(4097), TRP_OK, "another one");
    is_str(a.log, ">createpermission", "has none");
    answer_code(&a, 403);
    is_str(a.log, "forbidden 9.9.16.1:53 403", "and is not allowed");

    a.now += 960000;
    a.wall += 960;
    agent_tick(&a);
    send_numbered(4096);
    ok(strncmp(a.log, ">channelbind", 12) == 0, "numbers come back");
    over("exhaustion");

    /* peers in use have a bound, too */

    agent_init(&a);
    agent_allocate(&a, 3600);

    for (i = 0; i < 4100; i++) {

        if (send_numbered(i) != TRP_OK) {
            break;
        }

        answer_code(&a, 200);
        agent_lose(&a);
    }

    is_int(i, 4000, "peers in use");
    is_int(send_numbered(5000), TRP_AGAIN, "one more is not served");
    is_int(send_numbered(7), TRP_OK, "one of them is");
    agent_release(&a, "9.9.0.3:53");
    is_int(send_numbered(5000), TRP_OK, "when one is released");
    over("peers");
}


static void
test_many(void)
{
    unsigned  i;

    agent_init(&a);
    agent_allocate(&a, 600);

    for (i = 0; send_numbered(i) == TRP_OK; i++) {
        agent_lose(&a);
    }

    is_int(i, 1024, "requests at once");
    agent_pass(&a, 39500);
    agent_lose(&a);
    is_int(send_numbered(2000), TRP_OK, "none has had an answer");
    over("requests");

    /* too many to be refreshed at once */

    agent_init(&a);
    agent_allocate(&a, 3600);

    for (i = 0; i < 1200; i++) {
        send_numbered(i);
        answer_code(&a, 200);
        agent_lose(&a);
    }

    agent_pass(&a, 240000);
    agent_lose(&a);
    is_int(send_numbered(2000), TRP_AGAIN, "all are under way");
    is_int(send_numbered(1), TRP_OK, "data go on");
    is_str(a.log, ">4001 x", "through the channel");
    agent_pass(&a, 60000);
    agent_lose(&a);
    is_int(send_numbered(1), TRP_OK, "now it waits");
    agent_pass(&a, 100000);
    over("refreshes");

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 600);

    for (i = 0; agent_connect(&a, "9.9.9.9:80", "x") == TRP_OK; i++) {
        agent_lose(&a);
    }

    is_int(i, 1024, "connections at once");
    agent_pass(&a, 39500);
    ok(strstr(a.log, "refused x 1") != NULL, "without an answer");
    is_int(agent_connect(&a, "9.9.9.9:80", "x"), TRP_OK, "another one");
    over("connections");
}


static void
test_incoming(void)
{
    int          i;
    uint8_t      buf[64], id[TRP_STUN_ID_LEN];
    trp_taddr_t  t;

    agent_init(&a);
    agent_create(&a);
    memset(buf, 0, sizeof(buf));
    memset(id, 3, sizeof(id));

    is_int(agent_input(&a, buf, 20), TRP_ERROR, "no message");
    is_int(agent_input(&a, buf, 0), TRP_ERROR, "nothing");
    buf[0] = 0x40;
    is_int(agent_input(&a, buf, 4), TRP_OK, "a channel before the start");
    trp_turnc_close(a.client, a.now);
    over("not started");

    agent_init(&a);
    agent_allocate(&a, 600);
    agent_send(&a, "9.9.9.9:53", "x");
    agent_begin(&a);

    trp_write16(buf, 0x4000);
    trp_write16(buf + 2, 3);
    memcpy(buf + 4, "one", 3);
    agent_input(&a, buf, 7);
    is_str(a.log, "", "a channel that is not bound yet");
    answer_code(&a, 200);
    agent_lose(&a);

    for (i = 0; i < 7; i++) {
        agent_begin(&a);
        is_int(agent_input(&a, buf, i), i ? TRP_OK : TRP_ERROR,
               "%d bytes of ChannelData", i);
        is_str(a.log, "", "are not enough");
    }

    agent_input(&a, buf, 7);
    is_str(a.log, "received 9.9.9.9:53 one", "ChannelData");
    agent_begin(&a);
    agent_input(&a, buf, 8);
    is_str(a.log, "received 9.9.9.9:53 one", "with padding");
    agent_begin(&a);
    buf[3] = 0;
    agent_input(&a, buf, 4);
    is_str(a.log, "received 9.9.9.9:53 ", "with nothing in it");
    agent_begin(&a);
    buf[1] = 1;
    agent_input(&a, buf, 4);
    buf[0] = 0x7f;
    is_int(agent_input(&a, buf, 4), TRP_OK, "channels that are not there");
    is_str(a.log, "", "are dropped");

    for (i = 4; i < 256; i++) {
        buf[0] = (uint8_t) i;

        if (agent_input(&a, buf, 20)
            != (i >= 0x40 && i < 0x80 ? TRP_OK : TRP_ERROR))
        {
            break;
        }
    }

    is_int(i, 256, "nothing else is of TURN");

    /* indications */

    for (i = 0; i < 8; i++) {
        trp_stun_begin(&a.answer, a.answer_buf, sizeof(a.answer_buf),
                       i == 3 ? TRP_STUN_REQUEST : TRP_STUN_INDICATION,
                       i == 4 ? TRP_STUN_CONNECTION_ATTEMPT : TRP_STUN_DATA,
                       id);
        t = taddr(i == 1 ? "9.9.9.9:54" : i == 2 ? "9.9.9.8:53"
                                                 : "9.9.9.9:53");

        if (i != 5) {
            trp_stun_put_addr(&a.answer, TRP_STUN_XOR_PEER_ADDRESS, &t);
        }

        if (i != 6) {
            trp_stun_put(&a.answer, TRP_STUN_DATA_ATTRIBUTE, "two", 3);
        }

        if (i == 7) {
            trp_stun_put(&a.answer, (trp_stun_attribute_e) 0x7001, "", 0);
        }

        answer_send(&a);
        is_str(a.log, i == 0 ? "received 9.9.9.9:53 two"
                             : i == 1 ? "received 9.9.9.9:54 two" : "",
               "an indication, %d", i);
    }

    agent_release(&a, "9.9.9.9:53");
    trp_write16(buf, 0x4000);
    agent_input(&a, buf, 4);
    trp_stun_begin(&a.answer, a.answer_buf, sizeof(a.answer_buf),
                   TRP_STUN_INDICATION, TRP_STUN_DATA, id);
    t = taddr("9.9.9.9:53");
    trp_stun_put_addr(&a.answer, TRP_STUN_XOR_PEER_ADDRESS, &t);
    trp_stun_put(&a.answer, TRP_STUN_DATA_ATTRIBUTE, "two", 3);
    answer_send(&a);
    is_str(a.log, "", "nothing of a peer that was released");
    over("incoming");
}


/* answers that are not, or that come twice */

static void
test_hostile(void)
{
    size_t   n;
    uint8_t  right[4096];
    size_t   len;

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    len = a.answer.len;
    memcpy(right, a.answer_buf, len);
    agent_begin(&a);
    agent_input(&a, right, len);
    is_str(a.log, "", "401 twice");

    answer(&a, 200);
    a.answer_buf[8] ^= 1;
    answer_sign(&a);
    answer_send(&a);
    is_str(a.log, "", "another's id");

    answer(&a, 200);
    a.answer_buf[1] ^= 1;              /* the method */
    answer_sign(&a);
    answer_send(&a);
    is_str(a.log, "", "another method");

    answer_allocate(&a, "8.8.4.4:50000", 600);
    is_str(a.log, "allocated", "the right one");
    answer_send(&a);
    is_str(a.log, "", "is one");
    len = a.answer.len;
    memcpy(right, a.answer_buf, len);

    for (n = 0; n < len; n++) {
        if (agent_input(&a, right, n) != TRP_ERROR) {
            break;
        }
    }

    is_int(n, len, "parts of it are nothing");

    agent_send(&a, "9.9.9.9:53", "x");
    answer(&a, 200);
    trp_stun_put(&a.answer, (trp_stun_attribute_e) 0x7001, "", 0);
    answer_sign(&a);
    answer_send(&a);
    is_str(a.log, "", "a permission with something strange");
    agent_send(&a, "9.9.9.9:53", "x");
    is_str(a.log, ">channelbind 4000", "is none");
    answer_code(&a, 437);
    is_str(a.log, "failed 437", "the allocation is gone");
    answer_send(&a);
    agent_pass(&a, 1000000);
    is_str(a.log, "", "and nothing more comes");
    is_int(agent_connect(&a, "9.9.9.9:80", "x"), TRP_ERROR, "or goes");
    agent_release(&a, "9.9.9.9:53");
    trp_turnc_forget(a.client, NULL);
    over("hostile");

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 600);
    agent_connect(&a, "9.9.9.9:80", "one");
    answer_code(&a, 200);
    is_str(a.log, "refused one 2", "connected to nothing");
    over("no id");
}


/* what the caller may do while it is told something */

static unsigned  calls;


static void
on_allocated(void *data)
{
    trp_taddr_t  t;

    t = taddr("9.9.9.9:53");
    agent_on_allocated(data);

    if (a.conf.transport == 6) {
        (void) trp_turnc_connect(a.client, &t, (void *) "one", a.now);
        return;
    }

    (void) trp_turnc_send(a.client, &t, (const uint8_t *) "x", 1, a.now);
}


static void
on_failed(void *data, unsigned code)
{
    trp_taddr_t  t;

    t = taddr("9.9.9.9:53");
    agent_on_failed(data, code);

    is_int(trp_turnc_connect(a.client, &t, data, a.now),
           TRP_ERROR, "nothing after the end");
    is_int(trp_turnc_send(a.client, &t, (const uint8_t *) "x", 1, a.now),
           TRP_ERROR, "nor this");
    trp_turnc_forget(a.client, data);
}


static void
on_refused(void *data, void *connect, unsigned code)
{
    trp_taddr_t  t;

    agent_on_refused(data, connect, code);
    trp_turnc_forget(a.client, connect);

    if (calls++ < 3) {
        t = taddr("9.9.9.9:53");
        (void) trp_turnc_connect(a.client, &t, (void *) "two", a.now);
    }
}


static void
on_received(void *data, const trp_taddr_t *peer, const uint8_t *p, size_t len)
{
    trp_taddr_t  t;

    agent_on_received(data, peer, p, len);

    (void) trp_turnc_send(a.client, peer, p, len, a.now);

    t = *peer;
    t.port++;
    (void) trp_turnc_send(a.client, &t, p, len, a.now);
}


static void
with_callbacks(unsigned transport)
{
    agent_init(&a);

    a.conf.stream = (transport == 6);
    a.conf.transport = (uint8_t) transport;
    a.handlers.allocated = on_allocated;
    a.handlers.failed = on_failed;
    a.handlers.refused = on_refused;
    a.handlers.received = on_received;

    agent_allocate(&a, 600);
}


static void
test_callbacks(void)
{
    uint8_t  buf[8];

    with_callbacks(17);
    is_str(a.log, "allocated >channelbind 4000", "sends at once");
    answer_code(&a, 200);
    trp_write16(buf, 0x4000);
    trp_write16(buf + 2, 2);
    memcpy(buf + 4, "hi", 2);
    agent_begin(&a);
    agent_input(&a, buf, 6);
    is_str(a.log, "received 9.9.9.9:53 hi >4000 hi >channelbind 4001",
           "answers");
    answer_code(&a, 437);
    over("UDP");

    with_callbacks(6);
    is_str(a.log, "allocated >connect", "connects at once");
    answer_code(&a, 447);
    is_str(a.log, "refused one 447 >connect", "and again");
    answer_code(&a, 447);
    agent_pass(&a, 200000);
    ok(strstr(a.log, "refused two 1 >connect") != NULL, "and again");
    is_int(calls, 4, "and again");
    over("TCP");
}


/* whatever is missing, nothing is lost or left over */

static void
test_memory(void)
{
    int       rc;
    unsigned  i, n;

    n = 1;

    for (i = 0; i < n; i++) {
        world_init(&w);
        world_start(&w);
        agent_init(&a);
        a.fail = i;
        rc = agent_create(&a);

        if (rc != TRP_OK) {
            is_int(i, 1, "no client without memory");
            n = (n < 2) ? 2 : n;
            world_end(&w);
            continue;
        }

        trp_turnc_start(a.client, a.now, a.wall);
        agent_talk(&a, &w);
        agent_send(&a, "9.9.9.9:53", "one");
        agent_send(&a, "9.9.9.9:53", "two");
        agent_send(&a, "127.0.0.1:53", "one");
        agent_talk(&a, &w);
        agent_send(&a, "1.1.1.1:53", "one");
        agent_send(&a, "1.1.1.2:53", "one");
        agent_send(&a, "1.1.1.3:53", "one");
        agent_talk(&a, &w);
        pass(300000);
        agent_release(&a, "1.1.1.1:53");

        n = (a.nblocks + 2 > n) ? a.nblocks + 2 : n;

        if (agent_end(&a) != NULL || world_end(&w) != NULL) {
            break;
        }
    }

    ok(i == n && n > 12, "each of %u blocks is missing once", n);

    agent_init(&a);
    agent_allocate(&a, 600);
    a.fail = 1;
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_ERROR, "no peer");
    a.fail = 2;
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_ERROR, "no datagram");
    answer_code(&a, 200);
    is_int(agent_send(&a, "9.9.9.9:53", "x"), TRP_OK, "the next one goes");
    is_str(a.log, ">4000 x", "through the channel");
    over("datagrams");

    agent_init(&a);
    a.conf.stream = 1;
    a.conf.transport = 6;
    agent_allocate(&a, 600);
    a.fail = 1;
    is_int(agent_connect(&a, "9.9.9.9:80", "x"), TRP_ERROR, "no connect");
    is_int(agent_connect(&a, "9.9.9.9:80", "x"), TRP_OK, "but the next");
    over("connections");
}


static void
test_close(void)
{
    agent_init(&a);
    agent_start(&a);
    agent_begin(&a);
    trp_turnc_close(a.client, a.now);
    is_str(a.log, "", "nothing was asked with credentials");
    answer_challenge(&a, 401, "nonce", NULL, 0);
    is_str(a.log, "", "nothing comes of it");
    over("early");

    agent_init(&a);
    agent_start(&a);
    answer_challenge(&a, 401, "nonce", NULL, 0);
    agent_begin(&a);
    trp_turnc_close(a.client, a.now);
    is_str(a.log, ">refresh 0", "what may be there is given back");
    over("under way");

    /* an old allocation of this port */

    allocated();
    is_str(agent_end(&a), NULL, "a client that has vanished");
    agent_init(&a);
    a.seed[0] = 1;
    agent_start(&a);
    talk();
    is_str(a.log, ">allocate256 failed 437", "is in the way");
    end("437");
}


int
main(void)
{
    test_udp();
    test_families();
    test_tcp();
    test_bind_integrity();
    test_challenge();
    test_no_challenge();
    test_longest();
    test_stale();
    test_stale_server();
    test_codes();
    test_later_401();
    test_answers();
    test_alternate();
    test_integrity();
    test_lost();
    test_lifetime();
    test_keepalive();
    test_rest();
    test_queue();
    test_padding();
    test_refresh_peer();
    test_denied();
    test_forgotten();
    test_doubt();
    test_hasty();
    test_channel();
    test_release();
    test_exhaustion();
    test_many();
    test_incoming();
    test_hostile();
    test_callbacks();
    test_memory();
    test_close();

    return done_testing();
}
