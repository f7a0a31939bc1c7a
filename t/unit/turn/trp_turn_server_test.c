
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN server as its clients and peers see it: what is asked, what comes
 * of it, and what time does.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "rnd.h"
#include "turn/world.h"

#include "turn/trp_turn_peer.h"


#define nelts(a)  (sizeof(a) / sizeof((a)[0]))


static world_t   w;
static client_t  alice, bob;


/* a server with everything that most tests need */

static void
begin(void)
{
    world_init(&w);

    client_init(&alice, "192.0.2.1:4000", "alice:secret");
    client_init(&bob, "192.0.2.2:5000", "bob:hidden");
}


static void
start(void)
{
    begin();
    world_start(&w);
}


static void
end(const char *name)
{
    is_str(world_end(&w), NULL, "%s: the books are right", name);
}


static int
is_data(const char *want)
{
    const event_t  *e;

    if (w.nevents != 1) {
        return 0;
    }

    e = &w.events[0];

    return e->len == strlen(want) && memcmp(e->data, want, e->len) == 0;
}


static uint64_t
responses(const char *method, unsigned code)
{
    unsigned  i, j;

    for (i = 0; i < TRP_TURN_NMETHODS; i++) {

        if (strcmp(trp_turn_method_name(i), method) == 0) {

            for (j = 0; j < TRP_TURN_NCODES; j++) {
                if (trp_turn_code(j) == code) {
                    return w.turn.stats.responses[i][j];
                }
            }
        }
    }

    return (uint64_t) -1;
}


static unsigned
ask_empty(client_t *c, unsigned method)
{
    ask(&w, c, method);

    return ask_signed(&w, c);
}


static void
test_binding(void)
{
    client_t  six;

    start();
    client_init(&six, "[2001:db8::1]:4000", NULL);

    ask(&w, &alice, TRP_STUN_BINDING);
    is_int(ask_plain(&w, &alice), 200, "Binding");
    is_str(w.log, "reply", "an answer and no more");
    is_int(w.events[0].len, 32, "of 32 bytes");
    ok(same_tuple(&w.events[0].to, &alice.tuple), "to who has asked");
    is_str(answer_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, 0),
           "192.0.2.1 4000", "says where it came from");
    is_int(w.m.fingerprint, 0, "no fingerprint");

    ask(&w, &alice, TRP_STUN_BINDING);
    trp_stun_put_fingerprint(&w.ask);
    is_int(ask_plain(&w, &alice), 200, "Binding with a fingerprint");
    is_int(w.m.fingerprint, 1, "has one in the answer");
    is_int(w.events[0].len, 40, "of 40 bytes");

    ask(&w, &six, TRP_STUN_BINDING);
    is_int(ask_plain(&w, &six), 200, "Binding over IPv6");
    is_str(answer_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, 0),
           "2001:db8::1 4000", "says so");

    ask(&w, &alice, TRP_STUN_BINDING);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x0024, "1234", 4);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x7001, "", 0);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x8fff, "1234", 4);
    is_int(ask_plain(&w, &alice), 420, "attributes that are not known");
    ok(trp_stun_get(&w.m, TRP_STUN_UNKNOWN_ATTRIBUTES).len == 4
       && trp_read32(trp_stun_get(&w.m, TRP_STUN_UNKNOWN_ATTRIBUTES).data)
          == 0x00247001,
       "are named, without the optional one");

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_BINDING);
    ask_plain(&w, &alice);
    is_str(w.log, "", "an indication gets no answer");

    ask_as(&w, &alice, TRP_STUN_SUCCESS, TRP_STUN_BINDING);
    ask_plain(&w, &alice);
    is_str(w.log, "", "nor does an answer");

    is_int(responses("binding", 200), 3, "counted");
    is_int(responses("binding", 420), 1, "and what was wrong");
    end("Binding");

    begin();
    w.conf.software = text("a server");
    world_start(&w);
    ask(&w, &alice, TRP_STUN_BINDING);
    is_int(ask_plain(&w, &alice), 200, "with SOFTWARE");
    is_int(w.events[0].len, 44, "which makes it longer");
    end("SOFTWARE");
}


static void
test_garbage(void)
{
    size_t   i;
    uint8_t  buf[64];

    start();

    memset(buf, 0, sizeof(buf));
    is_int(world_input(&w, &alice.tuple, buf, 0), TRP_ERROR, "nothing");

    for (i = 0; i < 256; i++) {
        buf[0] = (uint8_t) i;

        if (world_input(&w, &alice.tuple, buf, 20)
            != (i >= 0x40 && i < 0x80 ? TRP_OK : TRP_ERROR)
            || w.nevents)
        {
            break;
        }
    }

    is_int(i, 256, "first bytes without a cookie");

    buf[0] = 0x40;
    is_int(world_input(&w, &alice.tuple, buf, 1), TRP_OK,
           "a channel without an allocation");
    is_str(w.log, "", "nothing comes of it");
    is_int(w.blocks, 1, "and nothing is kept of all that");
    end("garbage");
}


/* turn.md: the order of what may be wrong before the method */

static void
test_challenge(void)
{
    size_t     asked;
    uint8_t    key[TRP_DIGEST_MAX];
    client_t   c;
    trp_str_t  nonce;

    start();

    is_int(hello(&w, &alice), 401, "without credentials");
    is_int(w.events[0].len, 72, "72 bytes at most to a stranger");
    ok(trp_stun_get(&w.m, TRP_STUN_REALM).len == 11, "the realm");
    is_int(trp_stun_get(&w.m, TRP_STUN_NONCE).len, 24, "a short nonce");
    ok(trp_stun_get(&w.m, TRP_STUN_PASSWORD_ALGORITHMS).data == NULL,
       "no algorithms");
    ok(w.m.sha1 == 0 && w.m.sha256 == 0, "no integrity");

    /* a longer request may have a longer answer */

    ask(&w, &alice, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_SOFTWARE, "a client that has a name", 24);
    asked = w.ask.len;
    is_int(ask_plain(&w, &alice), 401, "a longer request");
    nonce = trp_stun_get(&w.m, TRP_STUN_NONCE);
    ok(nonce.len == 37 && memcmp(nonce.data, "obMatJos2wAAA", 13) == 0,
       "a nonce with features");
    ok(trp_stun_get(&w.m, TRP_STUN_PASSWORD_ALGORITHMS).len == 8
       && memcmp(trp_stun_get(&w.m, TRP_STUN_PASSWORD_ALGORITHMS).data,
                 "\0\2\0\0\0\1\0\0", 8)
          == 0,
       "SHA-256 and MD5");
    ok(w.events[0].len <= 3 * asked, "at most three times as long");

    /* over a connection, an address cannot be forged */

    c = alice;
    c.tuple.transport = TRP_TRANSPORT_TCP;
    is_int(hello(&w, &c), 401, "over TCP");
    is_int(c.nonce_len, 37, "a nonce with features");

    /* no MESSAGE-INTEGRITY: 401 whatever else there is */

    ask(&w, &alice, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_USERNAME, "alice", 5);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x7001, "", 0);
    is_int(ask_plain(&w, &alice), 401, "no integrity");

    /* 400: one of the others is missing */

    c = alice;
    ask(&w, &c, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_REALM, WORLD_REALM, 11);
    trp_stun_put(&w.ask, TRP_STUN_NONCE, c.nonce, c.nonce_len);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "no USERNAME");
    is_int(w.events[0].len, 28, "in 28 bytes");

    ask(&w, &c, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_USERNAME, "alice", 5);
    trp_stun_put(&w.ask, TRP_STUN_NONCE, c.nonce, c.nonce_len);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "no REALM");

    ask(&w, &c, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_USERNAME, "alice", 5);
    trp_stun_put(&w.ask, TRP_STUN_REALM, WORLD_REALM, 11);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "no NONCE");

    ask(&w, &c, TRP_STUN_ALLOCATE);
    trp_stun_put(&w.ask, TRP_STUN_USERHASH, key, 31);
    trp_stun_put(&w.ask, TRP_STUN_REALM, WORLD_REALM, 11);
    trp_stun_put(&w.ask, TRP_STUN_NONCE, c.nonce, c.nonce_len);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a USERHASH of 31 bytes");

    ask(&w, &c, TRP_STUN_ALLOCATE);
    c.userhash = 1;
    trp_stun_put(&w.ask, TRP_STUN_USERNAME, "alice", 5);
    ask_user(&w, &c);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a name and its hash");

    /* 438: a nonce that is not ours */

    c = alice;
    memcpy(c.nonce, "f//499k954d6OL34oL9FSTvy64sA", 28);
    c.nonce_len = 28;
    is_int(allocate(&w, &c), 438, "a nonce of another server");
    ok(c.nonce_len != 28, "a new one comes with the answer");
    is_int(allocate(&w, &c), 200, "which is good");

    bob.nonce_len = c.nonce_len;
    memcpy(bob.nonce, c.nonce, c.nonce_len);
    is_int(allocate(&w, &bob), 438, "another client's nonce");

    /* over TCP and TLS it is good for all ports of an address, not for UDP */

    c.tuple.transport = TRP_TRANSPORT_TCP;
    is_int(refresh(&w, &c, 0), 438, "of a datagram, over TCP");
    is_int(refresh(&w, &c, 0), 437, "its own");
    c.tuple.client.port++;
    is_int(refresh(&w, &c, 0), 437, "another port");
    c.tuple.transport = TRP_TRANSPORT_TLS;
    is_int(refresh(&w, &c, 0), 437, "over TLS");
    c.tuple.client.addr.bytes[3]++;
    is_int(refresh(&w, &c, 0), 438, "another address");
    c.tuple.client = alice.tuple.client;
    is_int(refresh(&w, &c, 0), 438, "a nonce of that one");
    c.tuple.transport = TRP_TRANSPORT_UDP;
    is_int(refresh(&w, &c, 0), 438, "over UDP");
    c.tuple.client.port++;
    is_int(refresh(&w, &c, 0), 438, "from another port");
    c.tuple.client.port--;

    world_pass(&w, 3601000);
    is_int(allocate(&w, &c), 438, "a nonce that is too old");
    is_int(allocate(&w, &c), 200, "again with the new one");

    /* 401: not authenticated */

    client_init(&c, "192.0.2.3:4000", "alice:wrong");
    is_int(allocate(&w, &c), 401, "a wrong password");
    ok(c.nonce_len > 0, "and a nonce");
    c.user = "nobody:secret";
    is_int(allocate(&w, &c), 401, "a user who is none");
    c.user = "bob:secret";
    is_int(allocate(&w, &c), 401, "another user's password");
    c.user = "alice:secret";
    is_int(allocate(&w, &c), 200, "the right one");

    /* what is known of one does not go to the next one */

    client_init(&bob, "192.0.2.8:4000", "bob:hidden");
    is_int(hello(&w, &bob), 401, "a stranger behind one who is known");
    ok(w.m.sha1 == 0, "is not told anything that is signed");
    is_int(refresh(&w, &c, 600), 200, "one who is known");
    ask(&w, &bob, TRP_STUN_BINDING);
    is_int(ask_plain(&w, &bob), 200, "a stranger's Binding");
    ok(w.m.sha1 == 0, "neither");

    /* 420 only to clients that are known */

    client_init(&c, "192.0.2.4:4000", "alice:secret");
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x7001, "", 0);
    is_int(ask_signed(&w, &c), 420, "an attribute that is not known");
    is_int(w.is_signed, 1, "said with integrity");

    end("challenge");
}


static void
test_strangers(void)
{
    unsigned  i, answered;
    client_t  c;

    begin();
    w.conf.stranger_rate = 10;
    world_start(&w);

    answered = 0;

    for (i = 0; i < 100; i++) {
        answered += hello(&w, &alice) == 401;
    }

    is_int(answered, 10, "so many answers in a second");
    is_int(w.turn.stats.silenced, 90, "the others are counted");

    for (i = 0; i < 50; i++) {
        ask(&w, &alice, TRP_STUN_BINDING);
        answered += ask_plain(&w, &alice) == 200;
    }

    is_int(answered, 60, "Binding is not limited");

    ask(&w, &alice, TRP_STUN_BINDING);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x7001, "", 0);
    is_int(ask_plain(&w, &alice), 0, "420 is");

    ask(&w, &alice, TRP_STUN_REFRESH);
    ask_sign(&w, &alice);
    is_int(ask_plain(&w, &alice), 0, "400 too");

    c = alice;
    memcpy(c.nonce, "x", 1);
    c.nonce_len = 1;
    is_int(allocate(&w, &c), 0, "438 too");

    c.tuple.transport = TRP_TRANSPORT_TCP;
    is_int(hello(&w, &c), 401, "over TCP there is no limit");

    is_int(hello(&w, &bob), 401, "others are answered");
    is_int(allocate(&w, &alice), 200, "who is known is not limited");
    is_int(refresh(&w, &alice, 600), 200, "at all");

    world_pass(&w, 1000);
    is_int(hello(&w, &alice), 401, "a second later");

    /* others behind alice's address, which is not forged */

    c = alice;
    answered = 0;

    for (i = 0; i < 2000; i++) {
        c.tuple.client.port++;
        answered += hello(&w, &c) == 401;
    }

    is_int(answered, 999, "who comes behind one who is known");

    world_pass(&w, 590000);
    is_int(refresh(&w, &alice, 3600), 200, "she is there");
    world_pass(&w, 599999);
    c.tuple.client.port++;
    is_int(hello(&w, &c), 401, "known lately");
    world_pass(&w, 1);
    answered = 0;

    for (i = 0; i < 100; i++) {
        answered += hello(&w, &c) == 401;
    }

    is_int(answered, 10, "a stranger again");

    w.conf.stranger_burst = 30;
    world_pass(&w, 3000);
    answered = 0;

    for (i = 0; i < 100; i++) {
        answered += hello(&w, &c) == 401;
    }

    is_int(answered, 30, "as many at once as it says");

    is_int(w.blocks, 2, "the tables and an allocation");
    end("strangers");

    begin();
    w.conf.credentials.nusers = 0;
    w.conf.stranger_rate = 2;
    world_start(&w);

    is_int(hello(&w, &alice), 400, "without users there is no TURN");
    is_int(hello(&w, &alice), 400, "so it is said");
    is_int(hello(&w, &alice), 0, "but not often");
    end("no users");
}


static void
test_algorithms(void)
{
    client_t   c;
    trp_str_t  secret;

    start();
    alice.tuple.transport = TRP_TRANSPORT_TCP;

    hello(&w, &alice);
    c = alice;

    c.algorithm = TRP_STUN_ALGORITHM_SHA256;
    c.sha256 = 1;
    is_int(allocate(&w, &c), 200, "SHA-256 in and out");
    is_int(w.is_signed, 256, "and in the answer");
    ok(w.m.sha1 == 0, "not both");
    is_int(refresh(&w, &c, 0), 200, "again");

    c.algorithm = TRP_STUN_ALGORITHM_MD5;
    is_int(allocate(&w, &c), 200, "an MD5 key with SHA-256");
    is_int(w.is_signed, 256, "answered so");
    is_int(refresh(&w, &c, 0), 200, "again");

    c.algorithm = TRP_STUN_ALGORITHM_SHA256;
    c.sha256 = 0;
    is_int(allocate(&w, &c), 200, "a SHA-256 key with SHA-1");
    is_int(w.is_signed, 1, "answered so");
    is_int(refresh(&w, &c, 0), 200, "again");

    c.algorithm = 0;
    is_int(allocate(&w, &c), 200, "without algorithms");
    is_int(refresh(&w, &c, 0), 200, "again");

    c.userhash = 1;
    c.algorithm = TRP_STUN_ALGORITHM_SHA256;
    c.sha256 = 1;
    c.fingerprint = 1;
    is_int(allocate(&w, &c), 200, "a hash instead of a name");
    is_int(w.m.fingerprint, 1, "with a fingerprint");
    ok(alloc_of(&w, &c)->username.len == 5, "the name is known");
    is_int(refresh(&w, &c, 0), 200, "again");

    c = alice;
    c.userhash = 1;
    c.user = "nobody:secret";
    is_int(allocate(&w, &c), 401, "a hash of nobody");

    /* a list that is not ours, a choice that is none */

    c = alice;
    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, 0x00010000);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a choice without the list");

    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\2\0\0\0\1\0\0", 8);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "the list without a choice");

    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\1\0\0", 4);
    trp_stun_put_u32(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, 0x00010000);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a list that somebody has made shorter");

    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\2\0\0\0\1\0\0", 8);
    trp_stun_put_u32(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, 0x00030000);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a third algorithm");

    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\2\0\0\0\1\0\0", 8);
    trp_stun_put_u32(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, 0x00010001);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "parameters");

    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\2\0\0\0\1\0\0", 8);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, "\0\1\0\0\0", 5);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a choice of 5 bytes");

    /* with no list offered, a client may name any, but must choose from it */

    c.tuple.transport = TRP_TRANSPORT_UDP;
    hello(&w, &c);
    is_int(c.nonce_len, 24, "a short nonce");
    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_PASSWORD_ALGORITHM, 0x00010000);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a choice without a list");
    ask_allocate(&w, &c);
    ask_user(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_PASSWORD_ALGORITHMS, "\0\1\0\0", 4);
    ask_sign(&w, &c);
    is_int(ask_plain(&w, &c), 400, "a list without a choice");
    c.algorithm = TRP_STUN_ALGORITHM_SHA256;
    is_int(allocate(&w, &c), 200, "both");

    end("algorithms");

    /* users of one algorithm only, and names that cannot be found by a hash */

    begin();
    trp_turn_user_parse(&w.users[1],
                        text("bob:0x0102030405060708090a0b0c0d0e0f10"),
                        text(WORLD_REALM));
    world_start(&w);
    alice.tuple.transport = TRP_TRANSPORT_TLS;
    hello(&w, &alice);
    ok(alice.nonce_len == 37 && alice.nonce[9] == 'Q',
       "no choice where somebody has none");
    ok(trp_stun_get(&w.m, TRP_STUN_PASSWORD_ALGORITHMS).data == NULL,
       "and no list");
    end("MD5 only");

    begin();
    secret = text("north");
    w.conf.credentials.secrets = &secret;
    w.conf.credentials.nsecrets = 1;
    world_start(&w);
    alice.tuple.transport = TRP_TRANSPORT_TLS;
    hello(&w, &alice);
    ok(alice.nonce[9] == 'g', "no hashes of names with a time in them");

    alice.user = "1700000900:alice:kDfXYqDb8u0p2g6tczbVbPmXv0g=";
    is_int(allocate(&w, &alice), 200, "a name that is good for a time");
    world_pass(&w, 899000);
    is_int(trp_turn_find(&w.turn, &alice.tuple) != NULL, 0,
           "and is gone by then");
    is_int(allocate(&w, &alice), 200, "in its last second");
    world_pass(&w, 1000);
    is_int(refresh(&w, &alice, 600), 200, "its allocation goes on");
    is_int(w.is_signed, 1, "signed");
    is_int(permit(&w, &alice, "9.9.9.9:0"), 200, "with all that it may");
    is_int(allocate(&w, &alice), 401, "no other one");
    is_str(w.report, "expired 1700000900:alice 0", "which is said");
    is_int(w.is_signed, 0, "and not signed");
    c = alice;
    c.user = "1700000900:alice:wrong";
    is_int(refresh(&w, &c, 600), 401, "a wrong password");
    is_str(w.report, "password 1700000900:alice 0", "that as well");
    c.user = "1700000900:bob:kDfXYqDb8u0p2g6tczbVbPmXv0g=";
    is_int(refresh(&w, &c, 600), 401, "another name");
    c = alice;
    c.algorithm = TRP_STUN_ALGORITHM_SHA256;
    is_int(refresh(&w, &c, 600), 401, "a key that it was not made with");
    c = alice;
    c.tuple.client.port++;
    is_int(refresh(&w, &c, 600), 401, "another client");

    ask(&w, &c, TRP_STUN_CONNECTION_BIND);
    trp_stun_put_u32(&w.ask, TRP_STUN_CONNECTION_ID, 1);
    is_int(ask_signed(&w, &c), 400, "a connection that is none");
    is_str(w.log, "attach reply", "was looked for");

    w.conf.check_expiry = 1;
    ask(&w, &c, TRP_STUN_CONNECTION_BIND);
    trp_stun_put_u32(&w.ask, TRP_STUN_CONNECTION_ID, 1);
    is_int(ask_signed(&w, &c), 401, "strict: no connection");
    is_int(refresh(&w, &alice, 600), 401, "strict: no refresh");
    is_int(permit(&w, &alice, "9.9.9.9:0"), 401, "strict: no permission");
    is_int(refresh(&w, &alice, 0), 200, "strict: it may end");
    end("REST");
}


static void
test_allocate(void)
{
    client_t  c;
    uint16_t  port;

    start();

    is_int(allocate(&w, &alice), 200, "Allocate");
    is_str(w.log, "bind reply", "a socket first, then the answer");
    port = w.events[0].port;
    ok(port >= 50000 && port <= 50099, "a port of the range");
    is_int(w.is_signed, 1, "signed");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 600, "for 600 seconds");
    is_str(answer_addr(&w, TRP_STUN_XOR_MAPPED_ADDRESS, 0),
           "192.0.2.1 4000", "whose it is");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0), "8.8.4.4 5",
               9) == 0, "the external address");
    is_str(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 1), NULL,
           "one only");
    ok(trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN).data == NULL,
       "no reservation");
    is_int(w.turn.stats.allocations, 1, "counted");

    /* a retransmission: the same answer */

    ask_allocate(&w, &alice);
    alice.id[0]--;
    memcpy(w.ask.data + 8, alice.id, TRP_STUN_ID_LEN);
    is_int(ask_signed(&w, &alice), 200, "a retransmission");
    is_str(w.log, "reply", "binds nothing");
    is_int(w.turn.stats.allocations, 1, "is no allocation");
    alice.id[0] += 10;

    is_int(allocate(&w, &alice), 437, "a second one of the same client");
    is_int(w.turn.stats.allocations, 1, "is none");

    c = alice;
    c.tuple.client.port++;
    is_int(allocate(&w, &c), 438, "another port is another client");
    is_int(allocate(&w, &c), 200, "with an allocation of its own");
    c.tuple.server.port++;
    is_int(allocate(&w, &c), 200, "the server's port counts as well");
    c.tuple.transport = TRP_TRANSPORT_TCP;
    c.nonce_len = 0;
    is_int(allocate(&w, &c), 200, "and the transport");
    is_int(w.turn.stats.allocations, 4, "four of them");
    is_int(w.nports, 4, "on four ports");

    /* lifetimes */

    client_init(&c, "192.0.2.9:1", "carol:quiet");
    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 1);
    ask_signed(&w, &c);
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 600, "not for less");

    client_init(&c, "192.0.2.9:2", "carol:quiet");
    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 1200);
    ask_signed(&w, &c);
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 1200, "for more");

    client_init(&c, "192.0.2.9:3", "carol:quiet");
    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 0xffffffff);
    ask_signed(&w, &c);
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 3600, "but not for ever");

    end("Allocate");
}


/* 400, 440 and 442 of Allocate */

static void
test_allocate_errors(void)
{
    size_t    i;
    client_t  c;

    static const struct {
        unsigned     code;
        uint16_t     types[3];
        const char  *values[3];
        uint8_t      lens[3];
        const char  *name;
    } requests[] = {
        { 400, { 0 }, { NULL }, { 0 }, "no transport" },
        { 400, { 0x19 }, { "\x11\0\0" }, { 3 }, "a transport of 3 bytes" },
        { 442, { 0x19 }, { "\x12\0\0" }, { 4 }, "a third transport" },
        { 442, { 0x19 }, { "\0\0\0" }, { 4 }, "none" },
        { 400, { 0x19 }, { "\6\0\0" }, { 4 }, "TCP asked over UDP" },
        { 440, { 0x19, 0x17 }, { "\x11\0\0", "\3\0\0" }, { 4, 4 },
          "a third family" },
        { 440, { 0x19, 0x17 }, { "\x11\0\0", "\0\0\0" }, { 4, 4 },
          "family 0" },
        { 400, { 0x19, 0x17 }, { "\x11\0\0", "\1" }, { 4, 1 },
          "a family of one byte" },
        { 400, { 0x19, 0x8000 }, { "\x11\0\0", "\2" }, { 4, 1 },
          "an additional one of one byte" },
        { 400, { 0x19, 0x8000 }, { "\x11\0\0", "\1\0\0" }, { 4, 4 },
          "IPv4 in addition" },
        { 400, { 0x19, 0x8000 }, { "\x11\0\0", "\3\0\0" }, { 4, 4 },
          "a third family in addition" },
        { 400, { 0x19, 0x17, 0x8000 }, { "\x11\0\0", "\1\0\0", "\2\0\0" },
          { 4, 4, 4 }, "both attributes" },
        { 400, { 0x19, 0x18 }, { "\x11\0\0", "" }, { 4, 0 },
          "EVEN-PORT without a byte" },
        { 400, { 0x19, 0x18 }, { "\x11\0\0", "\x80\0\0" }, { 4, 4 },
          "EVEN-PORT of 4 bytes" },
        { 400, { 0x19, 0x18, 0x8000 }, { "\x11\0\0", "\x80", "\2\0\0" },
          { 4, 1, 4 }, "a reservation for both families" },
        { 400, { 0x19, 0x22 }, { "\x11\0\0", "1234567" }, { 4, 7 },
          "a token of 7 bytes" },
        { 400, { 0x19, 0x22, 0x18 }, { "\x11\0\0", "12345678", "\0" },
          { 4, 8, 1 }, "a token and EVEN-PORT" },
        { 400, { 0x19, 0x22, 0x17 }, { "\x11\0\0", "12345678", "\1\0\0" },
          { 4, 8, 4 }, "a token and a family" },
        { 400, { 0x19, 0x22, 0x8000 },
          { "\x11\0\0", "12345678", "\2\0\0" }, { 4, 8, 4 },
          "a token and both families" },
        { 400, { 0x19, 0x0d }, { "\x11\0\0", "\0\0" }, { 4, 3 },
          "a lifetime of 3 bytes" },
        { 508, { 0x19, 0x22 }, { "\x11\0\0", "12345678" }, { 4, 8 },
          "a token of nothing" }
    };

    start();
    hello(&w, &alice);

    for (i = 0; i < nelts(requests); i++) {
        unsigned  j;

        ask(&w, &alice, TRP_STUN_ALLOCATE);

        for (j = 0; j < 3 && requests[i].types[j]; j++) {
            trp_stun_put(&w.ask, (trp_stun_attribute_e) requests[i].types[j],
                         requests[i].values[j], requests[i].lens[j]);
        }

        is_int(ask_signed(&w, &alice), requests[i].code, "%s",
               requests[i].name);
        ok(strcmp(w.log, "reply") == 0 && w.blocks == 1, "nothing is kept");
    }

    /* RFC 6062, section 5.1 */

    client_init(&c, "192.0.2.7:1", "alice:secret");
    c.tuple.transport = TRP_TRANSPORT_TCP;
    c.protocol = TRP_PROTO_TCP;

    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "", 1);
    is_int(ask_signed(&w, &c), 400, "TCP and EVEN-PORT");
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, "12345678", 8);
    is_int(ask_signed(&w, &c), 400, "TCP and a token");
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_DONT_FRAGMENT, "", 0);
    is_int(ask_signed(&w, &c), 400, "TCP and DONT-FRAGMENT");
    end("what is wrong with an Allocate");

    begin();
    w.conf.tcp = 0;
    world_start(&w);
    is_int(allocate(&w, &c), 442, "TCP where it is off");
    end("no TCP");
}


static void
test_families(void)
{
    client_t  six;

    start();
    hello(&w, &alice);

    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 200, "IPv6 asked over IPv4");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0),
               "2a00:1450::8 5", 14) == 0, "is given");
    is_int(permit(&w, &alice, "9.9.9.9"), 443, "a peer of the other family");
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:1"), 443, "in a channel");
    is_int(permit(&w, &alice, "2620:fe::9"), 200, "one of its own");
    is_int(bind_channel(&w, &alice, 0x4000, "[2a00:1450::8]:22"), 403,
           "not this machine");
    is_int(bind_channel(&w, &alice, 0x4000, "[2a00:1450::9]:22"), 200,
           "but its neighbour");

    ask(&w, &alice, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x01000000);
    is_int(ask_signed(&w, &alice), 443, "Refresh of the other family");
    ask(&w, &alice, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 200, "of its own");
    ask(&w, &alice, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x03000000);
    is_int(ask_signed(&w, &alice), 440, "of a third one");
    ask(&w, &alice, TRP_STUN_REFRESH);
    trp_stun_put(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, "\2", 1);
    is_int(ask_signed(&w, &alice), 400, "of one byte");

    ask_allocate(&w, &bob);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &bob), 200, "both families");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0), "8.8.4.4 ",
               8) == 0, "IPv4");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 1),
               "2a00:1450::8 ", 13) == 0, "and IPv6");
    is_int(alloc_of(&w, &bob)->relayed[0].port,
           alloc_of(&w, &bob)->relayed[1].port, "on one port");
    ok(trp_stun_get(&w.m, TRP_STUN_ADDRESS_ERROR_CODE).data == NULL,
       "without an error");
    is_int(permit(&w, &bob, "9.9.9.9"), 200, "peers of the one");
    is_int(permit(&w, &bob, "2620:fe::9"), 200, "and of the other");
    send_to(&w, &bob, "[2620:fe::9]:53", "six");
    is_str(w.log, "to-peer", "data goes to IPv6");
    from_peer(&w, &bob, "[2620:fe::9]:53", "six");
    is_str(w.log, "to-client", "and comes from there");
    send_to(&w, &bob, "9.9.9.9:53", "four");
    is_str(w.log, "to-peer", "data goes to IPv4");

    /* one of them may go */

    bind_channel(&w, &bob, 0x4000, "9.9.9.9:53");
    bind_channel(&w, &bob, 0x4001, "[2620:fe::9]:53");
    ask(&w, &bob, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 0);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x01000000);
    is_int(ask_signed(&w, &bob), 200, "the end of IPv4");
    is_str(w.log, "reply unbind", "and not of the allocation");
    is_int(w.events[1].peer.addr.family, 4, "IPv4 goes");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 0, "says so");
    is_int(w.turn.stats.permissions, 3, "a permission goes with it");
    is_int(w.turn.stats.channels, 2, "a channel too");
    send_channel(&w, &bob, 0x4000, "four");
    is_str(w.log, "", "nothing goes to IPv4");
    send_channel(&w, &bob, 0x4001, "six");
    is_str(w.log, "to-peer", "but to IPv6");
    is_int(permit(&w, &bob, "9.9.9.9"), 443, "no peers of IPv4");
    is_int(permit(&w, &bob, "2620:fe::10"), 200, "but of IPv6");
    ask(&w, &bob, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 0);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x01000000);
    is_int(ask_signed(&w, &bob), 443, "IPv4 ends once");
    is_int(refresh(&w, &bob, 600), 200, "IPv6 lives on");
    ask(&w, &bob, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 0);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &bob), 200, "the end of IPv6");
    is_str(w.log, "reply free", "is the end");
    end("families");

    /* one of the two cannot be bound */

    start();
    w.families = TRP_TURN_V4;
    ask_allocate(&w, &bob);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &bob), 200, "IPv6 cannot be bound");
    is_int(answer_u32(&w, TRP_STUN_ADDRESS_ERROR_CODE), 0x02000428,
           "so it says 440 for IPv6");
    is_str(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 1), NULL,
           "and gives IPv4");
    is_int(permit(&w, &bob, "2620:fe::9"), 443, "no peers of IPv6");
    end("one of two families");

    /* a server with IPv4 only */

    begin();
    w.conf.external[1].family = 0;
    world_start(&w);
    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 440, "no IPv6 here");
    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 200, "both: IPv4 is there");
    is_int(answer_u32(&w, TRP_STUN_ADDRESS_ERROR_CODE), 0x02000428,
           "and 440 for IPv6");
    client_init(&six, "[2001:db8::1]:4000", "alice:secret");
    ask_allocate(&w, &six);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &six), 440, "nor for who comes over IPv6");
    is_int(allocate(&w, &six), 200, "who may have IPv4");
    end("IPv4 only");

    begin();
    w.conf.external[0].family = 0;
    world_start(&w);
    is_int(allocate(&w, &alice), 440, "no IPv4 here");
    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 440, "both: without IPv4 nothing");
    end("IPv6 only");

    /* without an external address it is where the request came in */

    begin();
    w.conf.external[0].family = 0;
    w.conf.external[1].family = 0;
    world_start(&w);
    client_init(&six, "[2001:db8::1]:4000", "alice:secret");
    is_int(allocate(&w, &six), 440, "IPv4 where it came in over IPv6");
    ask_allocate(&w, &six);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &six), 200, "IPv6");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0),
               "2a00:1450::8 5", 14) == 0, "on the address of the server");
    alice.tuple.server = taddr("9.9.9.10:3478");
    is_int(allocate(&w, &alice), 200, "IPv4");
    ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0),
               "9.9.9.10 5", 10) == 0, "on the other one");
    end("no external address");
}


static void
test_ports(void)
{
    unsigned  i, code;
    client_t  c;

    begin();
    w.conf.first_port = 50000;
    w.conf.last_port = 50009;
    world_start(&w);

    client_init(&c, "192.0.2.1:1", "alice:secret");
    code = 0;

    for (i = 0; i < 10; i++) {
        c.tuple.client.port = (uint16_t) (100 + i);
        hello(&w, &c);
        code = allocate(&w, &c);

        if (code != 200) {
            break;
        }
    }

    is_int(i, 10, "as many as there are ports");
    is_int(w.nports, 10, "all of them");

    c.tuple.client.port = 200;
    hello(&w, &c);
    is_int(allocate(&w, &c), 508, "no port left");
    is_str(w.log, "reply", "nothing is tried");

    c.tuple.client.port = 105;
    hello(&w, &c);
    is_int(refresh(&w, &c, 0), 200, "one goes");
    is_str(w.log, "reply free", "after the answer");
    is_int(w.events[1].why, TRP_TURN_FREE_DELETED, "by the client's wish");

    c.tuple.client.port = 200;
    hello(&w, &c);
    is_int(allocate(&w, &c), 200, "another comes");
    end("ports");

    /* ports that others have */

    start();
    hello(&w, &alice);
    w.in_use = 3;
    is_int(allocate(&w, &alice), 200, "a port that others have");
    is_str(w.log, "bind bind bind bind reply", "then another one");
    end("ports in use");

    start();
    hello(&w, &alice);
    w.in_use = 1000;
    is_int(allocate(&w, &alice), 508, "only ports that others have");
    is_int(w.in_use, 1000 - 64, "after 64 tries");
    w.in_use = 0;
    is_int(allocate(&w, &alice), 200, "later");
    end("all ports in use");

    start();
    hello(&w, &alice);
    w.bound = TRP_TURN_QUOTA;
    is_int(allocate(&w, &alice), 486, "over the quota");
    is_int(w.is_signed, 1, "signed");
    w.bound = TRP_TURN_NO_CAPACITY;
    is_int(allocate(&w, &alice), 508, "no sockets");
    w.bound = TRP_TURN_BOUND;
    is_int(allocate(&w, &alice), 200, "then there are");
    is_int(responses("allocate", 486), 1, "counted");
    is_int(trp_turn_counted(&w.turn.stats, TRP_STUN_ALLOCATE, 486), 1,
           "found by its code");
    is_int(w.turn.stats.refused, 2, "both are refused");
    end("quota");

    /* the first and the last port */

    begin();
    w.conf.first_port = 65535;
    w.conf.last_port = 65535;
    world_start(&w);
    is_int(allocate(&w, &alice), 200, "the only port");
    is_int(alloc_of(&w, &alice)->port, 65535, "is the last");
    is_int(allocate(&w, &bob), 508, "and no other");
    end("one port");

    /* all of them are used */

    begin();
    w.conf.first_port = 50000;
    w.conf.last_port = 50003;
    world_start(&w);
    code = 0;

    for (i = 0; i < 200; i++) {
        hello(&w, &alice);
        allocate(&w, &alice);
        code |= 1 << (alloc_of(&w, &alice)->port - 50000);
        refresh(&w, &alice, 0);
    }

    is_int(code, 15, "every port comes some day");
    end("random ports");
}


static void
test_even_port(void)
{
    uint8_t    token[8];
    unsigned   i, wrong;
    uint16_t   port;
    client_t   c;
    trp_str_t  value;

    begin();
    w.conf.first_port = 50001;
    w.conf.last_port = 50010;
    world_start(&w);

    client_init(&c, "192.0.2.1:1", "alice:secret");
    wrong = 0;

    for (i = 0; i < 5; i++) {
        c.tuple.client.port = (uint16_t) (100 + i);
        hello(&w, &c);
        ask_allocate(&w, &c);
        trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "", 1);
        wrong += ask_signed(&w, &c) != 200 || w.events[0].port % 2;
    }

    is_int(wrong, 0, "even ports");
    hello(&w, &bob);
    ask_allocate(&w, &bob);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "", 1);
    is_int(ask_signed(&w, &bob), 508, "no even one is left");
    is_int(allocate(&w, &bob), 200, "but an odd one is");
    end("EVEN-PORT");

    /* and the next one for later */

    start();
    hello(&w, &alice);
    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &alice), 200, "a pair of ports");
    port = w.events[0].port;
    is_int(port % 2, 0, "the first one is even");
    ok(world_port(&w, port + 1), "the next one is kept");
    value = trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN);
    is_int(value.len, 8, "a token for it");
    memcpy(token, value.data, 8);

    /* the same answer again has the same token */

    ask_allocate(&w, &alice);
    alice.id[0]--;
    memcpy(w.ask.data + 8, alice.id, TRP_STUN_ID_LEN);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &alice), 200, "a retransmission");
    value = trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN);
    ok(value.len == 8 && memcmp(value.data, token, 8) == 0, "the same token");
    alice.id[0] += 10;

    hello(&w, &bob);
    ask_allocate(&w, &bob);
    trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, token, 8);
    is_int(ask_signed(&w, &bob), 200, "the token is used");
    is_int(w.events[0].port, port + 1, "for the next port");
    ok(trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN).data == NULL,
       "without a further one");

    client_init(&c, "192.0.2.1:9", "carol:quiet");
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, token, 8);
    is_int(ask_signed(&w, &c), 508, "it is good once");

    /* what was reserved and cannot be bound is given back */

    w.in_use = 2;
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &c), 200, "others have the first two");
    is_int(w.nports, 4, "two pairs and no more");
    is_int(refresh(&w, &c, 0), 200, "one ends");
    is_int(w.nports, 3, "its neighbour stays reserved");

    w.bound = TRP_TURN_QUOTA;
    ask_allocate(&w, &c);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &c), 486, "over the quota");
    is_int(w.nports, 3, "nothing is kept for that");
    w.bound = TRP_TURN_BOUND;
    end("reservation");

    /* a reserved port that is taken */

    start();
    hello(&w, &alice);
    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &alice), 200, "a pair");
    memcpy(token, trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN).data, 8);
    hello(&w, &bob);
    w.in_use = 1;
    ask_allocate(&w, &bob);
    trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, token, 8);
    is_int(ask_signed(&w, &bob), 508, "others have the reserved port");
    is_str(w.log, "bind reply", "no other one will do");
    end("a reserved port is taken");

    /* no pair is left, or no room for reservations */

    begin();
    w.conf.first_port = 50000;
    w.conf.last_port = 50000;
    world_start(&w);
    hello(&w, &alice);
    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &alice), 508, "the last port has no next one");
    end("no pair");

    start();
    hello(&w, &alice);

    for (i = 0; i < WORLD_TOKENS; i++) {
        w.tokens[i].port = (uint16_t) (100 + i);
        world_set_port(&w, (uint16_t) (100 + i), 1);
    }

    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);
    is_int(ask_signed(&w, &alice), 508, "no room for reservations");
    is_int(w.nports, WORLD_TOKENS, "nothing is kept");
    end("too many reservations");

    /* IPv6 */

    begin();
    world_start(&w);
    hello(&w, &alice);
    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    trp_stun_put(&w.ask, TRP_STUN_EVEN_PORT, "\x80", 1);

    if (ask_signed(&w, &alice) == 200) {
        memcpy(token, trp_stun_get(&w.m, TRP_STUN_RESERVATION_TOKEN).data, 8);
        hello(&w, &bob);
        ask_allocate(&w, &bob);
        trp_stun_put(&w.ask, TRP_STUN_RESERVATION_TOKEN, token, 8);
        is_int(ask_signed(&w, &bob), 200, "reservation, IPv6");
        ok(strncmp(answer_addr(&w, TRP_STUN_XOR_RELAYED_ADDRESS, 0),
                   "2a00:1450::8 ", 13) == 0, "is of the same family");

    } else {
        ok(w.code == 400 || w.code == 440 || w.code == 508,
           "reservation, IPv6, is refused: %u", w.code);
    }

    end("reservation, IPv6");
}


/* which requests are answered before and after, and of which users */

static void
test_mismatch(void)
{
    client_t  c;

    start();
    hello(&w, &alice);

    is_int(refresh(&w, &alice, 600), 437, "Refresh without an allocation");
    is_int(permit(&w, &alice, "9.9.9.9"), 437, "CreatePermission");
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:1"), 437, "ChannelBind");
    is_int(connect_to(&w, &alice, "9.9.9.9:1"), 437, "Connect");

    /* RFC 8489, section 6.3: these are not answered */
    is_int(ask_empty(&alice, TRP_STUN_SEND), 0, "Send is no request");
    is_int(ask_empty(&alice, TRP_STUN_DATA), 0, "nor is Data");
    is_int(ask_empty(&alice, 0x0ff), 0, "nor what is not known");
    ask(&w, &alice, 0x0ff);
    is_int(ask_plain(&w, &alice), 0, "whoever asks");

    send_to(&w, &alice, "9.9.9.9:1", "x");
    is_str(w.log, "", "Send without an allocation");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "", "ChannelData");

    is_int(allocate(&w, &alice), 200, "now there is one");

    c = alice;
    c.user = "bob:hidden";
    is_int(refresh(&w, &c, 600), 441, "another user of the same client");
    is_int(refresh(&w, &c, 0), 441, "who wants to end it");
    is_int(permit(&w, &c, "9.9.9.9"), 441, "CreatePermission");
    is_int(bind_channel(&w, &c, 0x4000, "9.9.9.9:1"), 441, "ChannelBind");
    is_int(connect_to(&w, &c, "9.9.9.9:1"), 441, "Connect");
    is_int(allocate(&w, &c), 437, "Allocate");

    is_int(connect_to(&w, &alice, "9.9.9.9:1"), 437, "Connect over UDP");
    is_str(w.log, "reply", "nothing else");
    is_int(w.turn.stats.allocations, 1, "it is still there");
    end("mismatch");
}


static void
test_refresh(void)
{
    start();
    allocate(&w, &alice);

    world_pass(&w, 599999);
    is_str(w.log, "", "a millisecond before the end");
    is_int(refresh(&w, &alice, 600), 200, "Refresh");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 600, "for 600 s from now");
    world_pass(&w, 599999);
    is_str(w.log, "", "which is longer");
    world_pass(&w, 1);
    is_str(w.log, "free", "and ends in time");
    is_int(w.events[0].why, TRP_TURN_FREE_EXPIRED, "because of time");
    is_int(trp_turn_deadline(&w.turn), 0, "nothing is waited for");
    is_int(refresh(&w, &alice, 600), 437, "there is nothing to refresh");

    allocate(&w, &alice);
    is_int(ask_empty(&alice, TRP_STUN_REFRESH), 200, "without a lifetime");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 600, "the default");
    is_int(refresh(&w, &alice, 1), 200, "a short one");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 600, "no shorter than that");
    is_int(refresh(&w, &alice, 5000), 200, "a long one");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 3600, "no longer than that");
    world_pass(&w, 3599999);
    is_str(w.log, "", "an hour");
    world_pass(&w, 1);
    is_str(w.log, "free", "and no more");

    is_int(allocate(&w, &alice), 438, "its nonce is too old by now");
    is_int(allocate(&w, &alice), 200, "Allocate");
    ask(&w, &alice, TRP_STUN_REFRESH);
    trp_stun_put(&w.ask, TRP_STUN_LIFETIME, "\1", 1);
    is_int(ask_signed(&w, &alice), 400, "a lifetime of one byte");
    is_int(refresh(&w, &alice, 0), 200, "the end");
    is_int(answer_u32(&w, TRP_STUN_LIFETIME), 0, "says so");
    is_int(refresh(&w, &alice, 0), 437, "once");
    is_int(w.turn.stats.total_allocations, 3, "counted");
    end("Refresh");
}


static void
test_permissions(void)
{
    unsigned  i;
    client_t  c;

    start();
    allocate(&w, &alice);

    is_int(ask_empty(&alice, TRP_STUN_CREATE_PERMISSION), 400, "for nobody");

    ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);
    trp_stun_put(&w.ask, TRP_STUN_XOR_PEER_ADDRESS, "\0\1\0\0\0\0", 6);
    is_int(ask_signed(&w, &alice), 400, "for half of an address");

    send_to(&w, &alice, "9.9.9.9:53", "early");
    is_str(w.log, "", "data before a permission");
    is_int(w.turn.stats.dropped.packets, 1, "is dropped");
    is_int(w.turn.stats.dropped.bytes, 5, "and counted");
    from_peer(&w, &alice, "9.9.9.9:53", "early");
    is_str(w.log, "", "the other way too");

    is_int(permit(&w, &alice, "9.9.9.9"), 200, "a permission");
    is_str(w.log, "reply", "an answer");
    is_int(w.events[0].len, 44, "with integrity only");
    is_int(w.turn.stats.permissions, 1, "counted");

    send_to(&w, &alice, "9.9.9.9:53", "hello");
    is_str(w.log, "to-peer", "data");
    ok(is_data("hello"), "as it was");
    is_int(w.events[0].peer.port, 53, "to the port that was said");
    is_int(w.events[0].dont_fragment, 0, "may be cut");
    send_to(&w, &alice, "9.9.9.9:54", "hello");
    is_str(w.log, "to-peer", "a permission is for every port");
    send_to(&w, &alice, "9.9.9.8:53", "hello");
    is_str(w.log, "", "and for one address");

    world_pass(&w, 299999);
    is_str(w.log, "", "nothing happens at its end");
    send_to(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "to-peer", "a millisecond before");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "to-client", "the other way too");
    w.turn.now++;
    send_to(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "", "300 s later, though no timer has run yet");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "", "the other way too");
    world_pass(&w, 0);
    is_int(w.turn.stats.permissions, 0, "it is gone");

    /* sending does not make it longer, asking does */

    is_int(permit(&w, &alice, "9.9.9.9"), 200, "again");
    world_pass(&w, 200000);
    send_to(&w, &alice, "9.9.9.9:53", "x");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    refresh(&w, &alice, 600);
    is_int(permit(&w, &alice, "9.9.9.9"), 200, "in between");
    is_int(w.turn.stats.permissions, 1, "the same one");
    world_pass(&w, 200000);
    send_to(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "to-peer", "400 s");
    world_pass(&w, 100000);
    send_to(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "", "500 s");

    /* several at once: all or none */

    ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);
    put_peer(&w, "9.9.9.9:1");
    put_peer(&w, "1.1.1.1:1");
    put_peer(&w, "9.9.9.9:2");
    is_int(ask_signed(&w, &alice), 200, "three at once");
    is_int(w.turn.stats.permissions, 2, "of two addresses");

    ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);
    put_peer(&w, "4.4.4.4:1");
    put_peer(&w, "10.0.0.1:1");
    is_int(ask_signed(&w, &alice), 403, "one that is denied");
    is_int(w.turn.stats.permissions, 2, "none of them");

    ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);
    put_peer(&w, "4.4.4.4:1");
    put_peer(&w, "[2620:fe::9]:1");
    is_int(ask_signed(&w, &alice), 443, "one of the other family");
    is_int(w.turn.stats.permissions, 2, "none of them");

    ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);

    for (i = 0; i < 33; i++) {
        put_peer(&w, "4.4.4.4:1");
    }

    is_int(ask_signed(&w, &alice), 400, "33 at once");

    /* another client has none of them */

    client_init(&c, "192.0.2.1:4001", "alice:secret");
    allocate(&w, &c);
    send_to(&w, &c, "9.9.9.9:53", "x");
    is_str(w.log, "", "another allocation of the same user");

    /* they end with the allocation */

    is_int(refresh(&w, &alice, 0), 200, "the end");
    is_int(w.turn.stats.permissions, 0, "no permissions");
    end("permissions");
}


static void
test_denied(void)
{
    size_t    i;
    client_t  c;

    static const char  *peers[] = {
        "0.0.0.0", "127.0.0.1", "10.1.2.3", "100.64.0.1", "169.254.169.254",
        "172.16.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
        "::ffff:8.8.8.8", "64:ff9b::10.0.0.1", "2002:7f00:1::",
        "2001:0:1:2::", "fc00::1", "fe80::1", "ff02::1", "2001:db8::1"
    };

    start();

    ask_allocate(&w, &alice);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &alice), 200, "both families");

    c = alice;
    c.tuple.transport = TRP_TRANSPORT_TCP;
    c.protocol = TRP_PROTO_TCP;
    c.nonce_len = 0;
    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &c), 200, "and TCP");

    for (i = 0; i < nelts(peers); i++) {
        trp_taddr_t  t;

        t = taddr("0.0.0.0:0");
        t.addr = addr(peers[i]);
        t.port = 80;

        ask(&w, &alice, TRP_STUN_CREATE_PERMISSION);
        trp_stun_put_addr(&w.ask, TRP_STUN_XOR_PEER_ADDRESS, &t);
        is_int(ask_signed(&w, &alice), 403, "a permission for %s", peers[i]);

        ask(&w, &alice, TRP_STUN_CHANNEL_BIND);
        trp_stun_put_u32(&w.ask, TRP_STUN_CHANNEL_NUMBER, 0x40000000);
        trp_stun_put_addr(&w.ask, TRP_STUN_XOR_PEER_ADDRESS, &t);
        is_int(ask_signed(&w, &alice), 403, "a channel");

        ask(&w, &c, TRP_STUN_CONNECT);
        trp_stun_put_addr(&w.ask, TRP_STUN_XOR_PEER_ADDRESS, &t);
        is_int(ask_signed(&w, &c), 403, "a connection");

        ok(trp_turn_accepted(&w.turn, alloc_of(&w, &c), &t) == NULL,
           "nor from there");
    }

    is_int(w.turn.stats.denied, 3 * nelts(peers), "counted");
    is_int(w.turn.stats.permissions, 0, "nothing is permitted");
    end("denied");
}


/* this machine's own address: ports of allocations, and nothing else */

static void
test_own_address(void)
{
    char      own[32], other[32];
    client_t  c;

    start();
    allocate(&w, &alice);
    allocate(&w, &bob);
    snprintf(own, sizeof(own), "8.8.4.4:%u", alloc_of(&w, &bob)->port);

    is_int(permit(&w, &alice, "8.8.4.4"), 200, "the relay's own address");
    is_int(bind_channel(&w, &alice, 0x4000, own), 200, "a port of bob's");
    send_to(&w, &alice, own, "x");
    is_str(w.log, "to-peer", "data to bob");
    send_to(&w, &alice, "8.8.4.4:22", "x");
    is_str(w.log, "", "no data to another port");
    send_to(&w, &alice, "8.8.4.4:3478", "x");
    is_str(w.log, "", "nor to the server's");
    is_int(bind_channel(&w, &alice, 0x4001, "8.8.4.4:22"), 403, "no channel");
    from_peer(&w, &alice, own, "x");
    is_str(w.log, "to-client", "data from bob");
    from_peer(&w, &alice, "8.8.4.4:22", "x");
    is_str(w.log, "", "none from another port");

    /* the owner of a port may change */

    is_int(refresh(&w, &bob, 0), 200, "bob goes");
    send_to(&w, &alice, own, "x");
    is_str(w.log, "", "no data to a port that nobody has");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "", "nor in the channel");

    client_init(&c, "192.0.2.1:1", "alice:secret");
    c.tuple.transport = TRP_TRANSPORT_TCP;
    c.protocol = TRP_PROTO_TCP;
    allocate(&w, &c);
    is_int(connect_to(&w, &c, "8.8.4.4:22"), 403, "no connection");
    snprintf(own, sizeof(own), "8.8.4.4:%u", alloc_of(&w, &alice)->port);
    is_int(connect_to(&w, &c, own), 0, "one to an allocation");
    is_str(w.log, "connect", "is tried");
    is_int(permit(&w, &c, "8.8.4.4"), 200, "a permission");
    {
        trp_taddr_t  peer = taddr("8.8.4.4:22");

        ok(trp_turn_accepted(&w.turn, alloc_of(&w, &c), &peer) == NULL,
           "nobody else on this machine may connect");
    }
    end("own address");

    /* without an external address it is the one that the client has found */

    begin();
    w.conf.external[0].family = 0;
    w.conf.external[1].family = 0;
    world_start(&w);
    alice.tuple.server = taddr("172.20.1.1:3478");
    bob.tuple.server = alice.tuple.server;
    allocate(&w, &alice);
    allocate(&w, &bob);
    snprintf(own, sizeof(own), "172.20.1.1:%u", alloc_of(&w, &bob)->port);
    is_int(bind_channel(&w, &alice, 0x4000, own), 200, "from relay to relay");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "to-peer", "data");
    is_int(permit(&w, &alice, "172.20.1.2"), 403, "not the neighbour");
    is_int(bind_channel(&w, &alice, 0x4001, "172.20.1.1:22"), 403,
           "not another port");
    from_peer(&w, &alice, "172.20.1.1:22", "x");
    is_str(w.log, "", "which is not heard either");
    end("own address without an external one");

    /* an address of the server that is not the external one */

    start();
    alice.tuple.server = taddr("9.9.9.10:3478");
    allocate(&w, &alice);
    allocate(&w, &bob);
    is_int(permit(&w, &alice, "9.9.9.10"), 200, "where the server is");
    send_to(&w, &alice, "9.9.9.10:22", "x");
    is_str(w.log, "", "no data to another port");
    snprintf(other, sizeof(other), "9.9.9.10:%u", alloc_of(&w, &bob)->port);
    send_to(&w, &alice, other, "x");
    is_str(w.log, "to-peer", "data to an allocation");
    end("the server's address");

    /* a private external address is like a public one, if not denied */

    begin();
    w.conf.external[0] = addr("10.9.8.7");
    world_start(&w);
    allocate(&w, &alice);
    allocate(&w, &bob);
    snprintf(own, sizeof(own), "10.9.8.7:%u", alloc_of(&w, &bob)->port);
    is_int(permit(&w, &alice, "10.9.8.7"), 200, "a private own address");
    is_int(permit(&w, &alice, "10.9.8.6"), 403, "not its neighbour");
    is_int(bind_channel(&w, &alice, 0x4000, "10.9.8.7:22"), 403, "by port");

    {
        trp_turn_rule_t  r = { { w.conf.external[0], 32 }, 0, 65535, 0 };

        w.conf.access.rules = &r;
        w.conf.access.nrules = 1;
        is_int(bind_channel(&w, &alice, 0x4000, "10.9.8.7:22"), 403,
               "denied by a rule");
        is_int(bind_channel(&w, &alice, 0x4001, own), 200,
               "from relay to relay all the same");

        r.allow = 1;
        is_int(bind_channel(&w, &alice, 0x4000, "10.9.8.7:22"), 200,
               "allowed by a rule: any port");
    }

    end("private address");

    /* so is the external address of another server, but a rule holds */

    begin();
    {
        trp_addr_t  another[2] = { addr("9.9.9.11"), addr("10.9.8.7") };

        w.conf.own = another;
        w.conf.nown = 2;
        world_start(&w);
        allocate(&w, &alice);
        allocate(&w, &bob);
        snprintf(own, sizeof(own), "9.9.9.11:%u", alloc_of(&w, &bob)->port);
        is_int(bind_channel(&w, &alice, 0x4000, own), 200, "another server's");
        is_int(bind_channel(&w, &alice, 0x4001, "9.9.9.11:22"), 403,
               "not another port");
        is_int(permit(&w, &alice, "10.9.8.7"), 403, "which is private");
        end("another server");
    }

    /* what a rule allows is open on every port */

    begin();
    {
        trp_turn_rule_t  r = { { addr("10.1.1.0"), 24 }, 0, 65535, 1 };

        w.conf.access.rules = &r;
        w.conf.access.nrules = 1;
        world_start(&w);
        allocate(&w, &alice);
        is_int(bind_channel(&w, &alice, 0x4000, "10.1.1.1:22"), 200,
               "a channel to who is allowed");
        send_channel(&w, &alice, 0x4000, "x");
        is_str(w.log, "to-peer", "data");
        send_to(&w, &alice, "10.1.1.1:23", "x");
        is_str(w.log, "to-peer", "to any port");
        from_peer(&w, &alice, "10.1.1.1:24", "x");
        is_str(w.log, "to-client", "and from any");
        end("allowed by a rule");
    }

    /* what was refused is told, for the log */

    start();
    allocate(&w, &alice);
    permit(&w, &alice, "127.0.0.1:99");
    is_str(w.report, "denied alice 99", "a permission");
    bind_channel(&w, &alice, 0x4000, "10.0.0.1:80");
    is_str(w.report, "denied alice 80", "a channel");
    permit(&w, &alice, "[2606:4700::1]:80");
    is_str(w.report, "", "not a wrong family");
    permit(&w, &alice, "9.9.9.9");
    is_str(w.report, "", "nor who is allowed");

    c = alice;
    c.user = "alice:wrong";
    refresh(&w, &c, 600);
    is_str(w.report, "password alice 0", "a wrong password");
    c.user = "nobody:secret";
    refresh(&w, &c, 600);
    is_str(w.report, "unknown nobody 0", "nobody");
    c.userhash = 1;
    refresh(&w, &c, 600);
    is_str(w.report, "unknown  0", "nobody's hash");
    c.tuple.client.port++;
    refresh(&w, &c, 600);
    is_str(w.report, "", "nothing of who may be anybody");
    hello(&w, &bob);
    is_str(w.report, "", "nor of a stranger");
    is_int(w.turn.stats.denied, 2, "peers are counted");
    is_int(w.turn.stats.unauthenticated, 3, "and so are users");
    is_int(w.turn.stats.refused, 0, "who did not ask for an allocation");
    end("reports");

    /* a media server on this host, but not its ssh */

    begin();
    {
        trp_turn_rule_t  r = { { addr("10.9.8.7"), 32 }, 10000, 20000, 1 };

        w.conf.external[0] = addr("10.9.8.7");
        w.conf.access.rules = &r;
        w.conf.access.nrules = 1;
        world_start(&w);
        allocate(&w, &alice);
        allocate(&w, &bob);
        is_int(bind_channel(&w, &alice, 0x4000, "10.9.8.7:10000"), 200,
               "a channel to a port that is allowed");
        is_int(bind_channel(&w, &alice, 0x4001, "10.9.8.7:22"), 403,
               "not to another one");
        is_int(bind_channel(&w, &alice, 0x4001, "10.9.8.6:10000"), 403,
               "nor to another address");
        send_channel(&w, &alice, 0x4000, "x");
        is_str(w.log, "to-peer", "data");
        from_peer(&w, &alice, "10.9.8.7:10000", "x");
        is_str(w.log, "to-client", "and back");
        from_peer(&w, &alice, "10.9.8.7:22", "x");
        is_str(w.log, "", "nothing from another port");
        is_int(permit(&w, &bob, "10.9.8.7"), 200, "a permission");
        send_to(&w, &bob, "10.9.8.7:20000", "x");
        is_str(w.log, "to-peer", "data to a port that is allowed");
        send_to(&w, &bob, "10.9.8.7:20001", "x");
        is_str(w.log, "", "not to another one");
        from_peer(&w, &bob, "10.9.8.7:22", "x");
        is_str(w.log, "", "nor from there");
        snprintf(own, sizeof(own), "10.9.8.7:%u", alloc_of(&w, &alice)->port);
        send_to(&w, &bob, own, "x");
        is_str(w.log, "to-peer", "to an allocation in any case");
        end("allowed ports");
    }
}


static void
test_channels(void)
{
    unsigned  i;

    start();
    allocate(&w, &alice);

    is_int(bind_channel(&w, &alice, 0x3fff, "9.9.9.9:53"), 400, "0x3fff");
    is_int(bind_channel(&w, &alice, 0x8000, "9.9.9.9:53"), 400, "0x8000");
    is_int(bind_channel(&w, &alice, 0, "9.9.9.9:53"), 400, "0");
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:0"), 400, "port 0");

    ask(&w, &alice, TRP_STUN_CHANNEL_BIND);
    put_peer(&w, "9.9.9.9:53");
    is_int(ask_signed(&w, &alice), 400, "no number");
    ask(&w, &alice, TRP_STUN_CHANNEL_BIND);
    trp_stun_put_u32(&w.ask, TRP_STUN_CHANNEL_NUMBER, 0x40000000);
    is_int(ask_signed(&w, &alice), 400, "no peer");
    is_int(w.turn.stats.channels + w.turn.stats.permissions, 0, "nothing yet");

    send_channel(&w, &alice, 0x4000, "early");
    is_str(w.log, "", "data before it");

    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:53"), 200, "a channel");
    is_int(w.turn.stats.channels, 1, "counted");
    is_int(w.turn.stats.permissions, 1, "with a permission");
    is_int(bind_channel(&w, &alice, 0x7fff, "9.9.9.9:54"), 200, "0x7fff");
    send_channel(&w, &alice, 0x7fff, "hello");
    is_str(w.log, "to-peer", "data in the last one");

    send_channel(&w, &alice, 0x4000, "hello");
    is_str(w.log, "to-peer", "data");
    ok(is_data("hello"), "as it was");
    is_int(w.events[0].peer.port, 53, "to the peer");
    send_channel(&w, &alice, 0x4001, "hello");
    is_str(w.log, "", "data of another channel");

    from_peer(&w, &alice, "9.9.9.9:53", "hello");
    is_str(w.log, "to-client", "from the peer");
    ok(w.events[0].len == 9
       && memcmp(w.events[0].data, "\x40\0\0\5hello", 9) == 0,
       "in the channel, without padding");
    ok(same_tuple(&w.events[0].to, &alice.tuple), "to the client");
    from_peer(&w, &alice, "9.9.9.9:55", "hello");
    is_int(w.events[0].data[0], 0, "another port: an indication");

    /* number and peer belong together */

    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:55"), 400,
           "a number that another peer has");
    is_int(bind_channel(&w, &alice, 0x4001, "9.9.9.9:53"), 400,
           "a peer that has another number");
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:54"), 400,
           "two that are bound otherwise");
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:53"), 200, "the same");
    is_int(w.turn.stats.channels, 2, "two of them");

    /* 600 s, then 300 s more */

    for (i = 0; i < 3; i++) {
        world_pass(&w, 199990);
        refresh(&w, &alice, 3600);
    }

    is_int(w.turn.stats.permissions, 0, "the permission has gone before");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "to-peer", "599.97 s: to the peer");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    is_str(w.log, "", "from the peer without a permission");
    permit(&w, &alice, "9.9.9.9");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    is_int(w.events[0].data[0], 0x40, "with one, in the channel");

    world_pass(&w, 30);
    is_int(w.turn.stats.channels, 0, "600 s");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "", "nothing goes there");
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    is_int(w.events[0].data[0], 0, "an indication comes from there");

    world_pass(&w, 299999);
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:55"), 400,
           "899.999 s: the number is not free");
    is_int(bind_channel(&w, &alice, 0x4001, "9.9.9.9:53"), 400,
           "nor is the peer");
    world_pass(&w, 1);
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:55"), 200, "900 s");
    is_int(bind_channel(&w, &alice, 0x4001, "9.9.9.9:53"), 200, "both are");

    /* the same two may come together again in between */

    world_pass(&w, 600000);
    is_int(w.turn.stats.channels, 0, "600 s");
    world_pass(&w, 100000);
    is_int(bind_channel(&w, &alice, 0x4000, "9.9.9.9:55"), 200, "again");
    is_int(w.turn.stats.channels, 1, "one is back");
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "to-peer", "and works");
    world_pass(&w, 599999);
    send_channel(&w, &alice, 0x4000, "x");
    is_str(w.log, "to-peer", "for 600 s");
    is_int(refresh(&w, &alice, 0), 200, "the end");
    is_int(w.turn.stats.channels, 0, "of all");
    end("channels");
}


/* the lengths that ChannelData may have over UDP and on a stream */

static void
test_channel_data(void)
{
    size_t    n, i;
    uint8_t   buf[64];
    unsigned  wrong;
    client_t  c;

    start();
    allocate(&w, &alice);
    bind_channel(&w, &alice, 0x4000, "9.9.9.9:53");

    client_init(&c, "192.0.2.1:4001", "alice:secret");
    c.tuple.transport = TRP_TRANSPORT_TCP;
    allocate(&w, &c);
    bind_channel(&w, &c, 0x4000, "9.9.9.9:53");

    memset(buf, 0, sizeof(buf));
    buf[0] = 0x40;
    memcpy(buf + 4, "abcdefgh", 8);

    /* n: what the header says; i: what there is after it */

    wrong = 0;

    for (n = 0; n <= 9; n++) {
        for (i = 0; i <= 12; i++) {
            buf[3] = (uint8_t) n;
            world_input(&w, &alice.tuple, buf, 4 + i);

            wrong += (i < n) ? w.nevents != 0
                             : w.nevents != 1 || w.events[0].len != n
                               || memcmp(w.events[0].data, buf + 4, n) != 0;
        }
    }

    is_int(wrong, 0, "every length over UDP, padded or not");

    for (i = 0; i < 4; i++) {
        world_input(&w, &alice.tuple, buf, i ? i : 1);
        wrong += w.nevents != 0;
    }

    is_int(wrong, 0, "a part of a header");

    buf[2] = 0xff;
    buf[3] = 0xff;
    world_input(&w, &alice.tuple, buf, 12);
    is_str(w.log, "", "a length of 65535");
    buf[2] = 0;

    for (n = 0; n <= 8; n++) {
        char  data[9] = "abcdefgh";

        data[n] = '\0';
        from_peer(&w, &c, "9.9.9.9:53", data);

        memset(buf, 0, sizeof(buf));
        buf[0] = 0x40;
        buf[3] = (uint8_t) n;
        memcpy(buf + 4, data, n);

        wrong += w.nevents != 1 || w.events[0].len != 4 + (n + 3) / 4 * 4
                 || memcmp(w.events[0].data, buf, w.events[0].len) != 0;

        send_channel(&w, &c, 0x4000, data);
        wrong += w.nevents != 1 || w.events[0].len != n;

        from_peer(&w, &alice, "9.9.9.9:53", data);
        wrong += w.nevents != 1 || w.events[0].len != 4 + n;
    }

    is_int(wrong, 0, "on a stream padded with zeros");
    end("ChannelData");
}


static void
test_indications(void)
{
    size_t      n;
    uint8_t    *data, id[12];
    unsigned    wrong;
    client_t    c;
    trp_str_t   value;
    trp_stun_t  m;

    start();
    allocate(&w, &alice);
    permit(&w, &alice, "9.9.9.9");

    /* what is wrong is dropped without a word */

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_SEND);
    trp_stun_put(&w.ask, TRP_STUN_DATA_ATTRIBUTE, "x", 1);
    ask_plain(&w, &alice);
    is_str(w.log, "", "no peer");

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(&w, "9.9.9.9:53");
    ask_plain(&w, &alice);
    is_str(w.log, "", "no data");

    send_to(&w, &alice, "9.9.9.9:0", "x");
    is_str(w.log, "", "port 0");
    send_to(&w, &alice, "[2620:fe::9]:53", "x");
    is_str(w.log, "", "the other family");
    is_int(w.turn.stats.dropped.packets, 4, "all counted");

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(&w, "9.9.9.9:53");
    trp_stun_put(&w.ask, TRP_STUN_DATA_ATTRIBUTE, "x", 1);
    trp_stun_put(&w.ask, (trp_stun_attribute_e) 0x7001, "x", 1);
    ask_plain(&w, &alice);
    is_str(w.log, "", "an attribute that is not known");

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_DATA);
    put_peer(&w, "9.9.9.9:53");
    trp_stun_put(&w.ask, TRP_STUN_DATA_ATTRIBUTE, "x", 1);
    ask_plain(&w, &alice);
    is_str(w.log, "", "Data is for the other direction");

    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(&w, "9.9.9.9:53");
    trp_stun_put(&w.ask, TRP_STUN_DATA_ATTRIBUTE, "", 0);
    trp_stun_put(&w.ask, TRP_STUN_DONT_FRAGMENT, "", 0);
    ask_plain(&w, &alice);
    is_str(w.log, "to-peer", "empty data");
    is_int(w.events[0].len, 0, "stays empty");
    is_int(w.events[0].dont_fragment, 1, "DONT-FRAGMENT");

    /* from the peer */

    client_init(&c, "192.0.2.1:4001", "alice:secret");
    c.tuple.transport = TRP_TRANSPORT_TCP;
    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    ask_signed(&w, &c);
    permit(&w, &c, "2620:fe::9");

    wrong = 0;

    for (n = 0; n <= 9; n++) {
        from_peer(&w, n % 2 ? &alice : &c, n % 2 ? "9.9.9.9:53"
                                                 : "[2620:fe::9]:53",
                  &"abcdefghi"[n]);

        if (w.nevents != 1 || w.events[0].type != TRP_TURN_TO_CLIENT
            || trp_stun_parse(&m, w.events[0].data, w.events[0].len)
               != TRP_OK
            || m.method != TRP_STUN_DATA)
        {
            wrong++;
            continue;
        }

        value = trp_stun_get(&m, TRP_STUN_DATA_ATTRIBUTE);
        wrong += value.len != 9 - n
                 || memcmp(value.data, &"abcdefghi"[n], 9 - n) != 0;

        while (value.len % 4) {
            wrong += value.data[value.len++] != 0;
        }
    }

    is_int(wrong, 0, "Data indications of every length, padded with zeros");

    from_peer(&w, &alice, "9.9.9.9:53", "x");
    memcpy(id, w.events[0].data + 8, 12);
    from_peer(&w, &alice, "9.9.9.9:53", "x");
    ok(memcmp(id, w.events[0].data + 8, 12) != 0, "each with its own id");

    /* as large as it may be, and larger */

    data = calloc(1, 70000);
    {
        trp_taddr_t  peer = taddr("[2620:fe::9]:53");

        world_peer(&w, alloc_of(&w, &c), &peer, data, 65400);
        is_str(w.log, "to-client", "65400 bytes");
        world_peer(&w, alloc_of(&w, &c), &peer, data, 65401);
        is_str(w.log, "", "65401 bytes");
        world_peer(&w, alloc_of(&w, &c), &peer, data, 65535);
        is_str(w.log, "", "65535 bytes");
    }
    free(data);
    end("indications");
}


static void
test_icmp(void)
{
    trp_stun_t   m;
    trp_taddr_t  peer, back;

    start();
    allocate(&w, &alice);
    permit(&w, &alice, "9.9.9.9");
    peer = taddr("9.9.9.9:53");

    world_begin(&w);
    w.talking = &peer;
    trp_turn_peer_icmp(&w.turn, alloc_of(&w, &alice), &peer, 3, 4, 1400);
    world_run(&w);
    is_str(w.log, "to-client", "an error of a peer");
    is_int(trp_stun_parse(&m, w.events[0].data, w.events[0].len), TRP_OK,
           "is a message");
    is_int(m.type * 0x1000 + m.method, 0x1007, "a Data indication");
    is_int(trp_stun_addr(&m, trp_stun_get(&m, TRP_STUN_XOR_PEER_ADDRESS),
                         &back),
           TRP_OK, "of a peer");
    ok(same_taddr(&peer, &back), "of this one");
    ok(trp_stun_get(&m, TRP_STUN_ICMP).len == 8, "with ICMP");
    is_int(trp_read32(trp_stun_get(&m, TRP_STUN_ICMP).data), 0x0604,
           "type 3 in 7 bits, code 4 in 9");
    is_int(trp_read32(trp_stun_get(&m, TRP_STUN_ICMP).data + 4), 1400,
           "the size that would have fitted");
    ok(trp_stun_get(&m, TRP_STUN_DATA_ATTRIBUTE).data == NULL, "no data");

    peer = taddr("1.1.1.1:53");
    world_begin(&w);
    trp_turn_peer_icmp(&w.turn, alloc_of(&w, &alice), &peer, 3, 3, 0);
    world_run(&w);
    is_str(w.log, "", "of a peer without a permission");
    w.talking = NULL;
    end("ICMP");
}


static void
test_rate(void)
{
    unsigned  i, n;
    client_t  c;

    begin();
    w.conf.rate = 1000;
    world_start(&w);
    allocate(&w, &alice);
    permit(&w, &alice, "9.9.9.9");
    bind_channel(&w, &alice, 0x4000, "9.9.9.9:53");

    for (i = 0, n = 0; i < 100; i++) {
        send_channel(&w, &alice, 0x4000, "0123456789012345678901234567890123"
                     "4567890123456789");
        n += w.nevents;
    }

    is_int(n, 20, "a second's worth of 50 bytes each");
    is_int(alloc_of(&w, &alice)->dropped.packets, 80, "the others");
    is_int(alloc_of(&w, &alice)->dropped.bytes, 4000, "in bytes");
    send_to(&w, &alice, "9.9.9.9:54", "01234567890123456789");
    is_str(w.log, "", "indications count as well");

    from_peer(&w, &alice, "9.9.9.9:53", "0123456789");
    is_str(w.log, "to-client", "the other way has its own");

    for (i = 0, n = 0; i < 100; i++) {
        from_peer(&w, &alice, "9.9.9.9:53", "0123456789012345678901234567890"
                  "1234567890123456789");
        n += w.nevents;
    }

    is_int(n, 19, "and the same limit");

    client_init(&c, "192.0.2.1:4001", "alice:secret");
    allocate(&w, &c);
    permit(&w, &c, "9.9.9.9");
    send_to(&w, &c, "9.9.9.9:53", "x");
    is_str(w.log, "to-peer", "another allocation has its own");

    world_pass(&w, 100);
    send_channel(&w, &alice, 0x4000, "0123456789012345678901234567890123"
                 "4567890123456789");
    is_str(w.log, "to-peer", "a tenth of a second later");
    is_int(refresh(&w, &alice, 600), 200, "requests are not limited");
    end("rate");
}


static void
test_traffic(void)
{
    trp_turn_alloc_t  *a;

    start();
    allocate(&w, &alice);
    permit(&w, &alice, "9.9.9.9");
    bind_channel(&w, &alice, 0x4000, "9.9.9.9:53");
    permit(&w, &alice, "1.1.1.1");

    send_to(&w, &alice, "1.1.1.1:1", "12345");
    send_channel(&w, &alice, 0x4000, "1234567");
    from_peer(&w, &alice, "9.9.9.9:53", "123");
    from_peer(&w, &alice, "1.1.1.1:2", "1");
    send_channel(&w, &alice, 0x4000, "1");
    send_to(&w, &alice, "1.1.1.1:1", "1");
    send_to(&w, &alice, "1.1.1.1:2", "1");
    send_to(&w, &alice, "1.1.1.1:3", "1");
    send_to(&w, &alice, "4.4.4.4:3", "1234");

    a = alloc_of(&w, &alice);

    is_int(a->up.packets * 1000 + a->up.bytes, 6016, "up");
    is_int(a->down.packets * 1000 + a->down.bytes, 2004, "down");
    is_int(a->dropped.packets * 1000 + a->dropped.bytes, 1004, "dropped");
    is_int(w.turn.stats.relayed.bytes, 20, "in all");
    is_int(w.turn.stats.relayed.packets, 8, "in packets");
    is_int(a->nseen, 4, "four peers are remembered");
    ok(a->seen[0].port == 1 && a->seen[1].port == 53 && a->seen[2].port == 2
       && a->seen[3].port == 3,
       "each one once");
    ok(a->username.len == 5 && memcmp(a->username.data, "alice", 5) == 0,
       "the user's name");

    {
        trp_turn_traffic_t  up = { 1000, 2 }, down = { 100, 1 };

        trp_turn_add_traffic(&w.turn, a, &up, &down);
    }

    is_int(a->up.packets * 10000 + a->up.bytes, 81016, "and connections, up");
    is_int(a->down.packets * 1000 + a->down.bytes, 3104, "down");
    is_int(w.turn.stats.relayed.bytes, 1120, "in all");
    is_int(w.turn.stats.relayed.packets, 11, "in packets");
    end("traffic");
}


static client_t
stream_client(const char *from, const char *user)
{
    client_t  c;

    client_init(&c, from, user);
    c.tuple.transport = TRP_TRANSPORT_TCP;

    return c;
}


static unsigned
bind_connection(client_t *c, uint32_t id)
{
    if (c->nonce_len == 0) {
        hello(&w, c);
    }

    ask(&w, c, TRP_STUN_CONNECTION_BIND);
    trp_stun_put_u32(&w.ask, TRP_STUN_CONNECTION_ID, id);

    return ask_signed(&w, c);
}


static void
connected(trp_turn_connection_t *connection, int ok)
{
    world_begin(&w);
    trp_turn_connected(&w.turn, connection, ok);
    world_run(&w);
}


/* RFC 6062 */

static void
test_connections(void)
{
    long long               id;
    client_t                c, d, other;
    trp_taddr_t             peer;
    trp_turn_connection_t  *connection;

    start();
    c = stream_client("192.0.2.1:4000", "alice:secret");
    c.protocol = TRP_PROTO_TCP;
    d = stream_client("192.0.2.1:4001", "alice:secret");
    other = stream_client("192.0.2.1:4002", "bob:hidden");

    is_int(allocate(&w, &c), 200, "an allocation for TCP");

    /* what it is not for */

    is_int(bind_channel(&w, &c, 0x4000, "9.9.9.9:80"), 400, "no channels");
    permit(&w, &c, "9.9.9.9");
    send_to(&w, &c, "9.9.9.9:80", "x");
    is_str(w.log, "", "no indications");
    is_int(ask_empty(&c, TRP_STUN_CONNECT), 400, "Connect to nobody");
    is_int(connect_to(&w, &c, "9.9.9.9:0"), 400, "to port 0");
    is_int(connect_to(&w, &c, "[2620:fe::9]:80"), 443, "to the other family");
    is_int(connect_to(&w, &c, "10.0.0.1:80"), 403, "to who is denied");

    /* a connection to a peer */

    is_int(connect_to(&w, &c, "9.9.9.9:80"), 0, "Connect is not answered yet");
    is_str(w.log, "connect", "but carried out");
    is_int(w.events[0].peer.port, 80, "to the peer");
    connection = w.events[0].connection;
    is_int(w.turn.stats.connections, 1, "counted");
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 446, "the same peer again");
    is_int(connect_to(&w, &c, "9.9.9.9:81"), 0, "another one");
    is_int(w.nstreams, 2, "two under way");

    is_int(bind_connection(&d, connection->id), 400, "it is too early");

    connected(connection, 1);
    is_str(w.log, "reply", "it is there: the answer");
    is_int(w.code, 200, "is yes");
    ok(same_tuple(&w.events[0].to, &c.tuple), "to the client");
    ok(w.m.method == TRP_STUN_CONNECT && w.m.sha1, "signed");
    id = answer_u32(&w, TRP_STUN_CONNECTION_ID);
    is_int(id, connection->id, "with the connection's number");
    is_int(trp_turn_connection_slot((uint32_t) id), 7, "which says where");
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 446, "still the same peer");

    /* which user and connection may have it */

    is_int(bind_connection(&other, (uint32_t) id), 400, "another user");
    is_int(bind_connection(&d, (uint32_t) id ^ 1), 400, "another number");
    ask(&w, &d, TRP_STUN_CONNECTION_BIND);
    is_int(ask_signed(&w, &d), 400, "no number");
    is_int(bind_connection(&c, (uint32_t) id), 400,
           "on the allocation's own connection");
    is_int(bind_connection(&alice, (uint32_t) id), 400, "over UDP");

    ok(trp_turn_attached(&w.turn, (uint32_t) id) == NULL, "not yet");
    is_int(bind_connection(&d, (uint32_t) id), 200, "ConnectionBind");
    is_str(w.log, "attach reply", "attached and answered");
    ok(trp_turn_attached(&w.turn, (uint32_t) id) == connection, "it is");
    ok(trp_turn_attached(&w.turn, (uint32_t) id ^ 1) == NULL, "no other");
    is_int(answer_u32(&w, TRP_STUN_CONNECTION_ID), id, "with its number");
    is_int(bind_connection(&other, (uint32_t) id), 400, "once");

    world_pass(&w, 100000);
    ok(w.nstreams == 1 && w.streams[0] == connection,
       "it stays, the one that did not connect is gone");

    world_begin(&w);
    trp_turn_disconnected(&w.turn, connection);
    world_run(&w);
    is_str(w.log, "disconnect", "it ends");
    is_int(w.turn.stats.connections, 0, "counted");
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 0, "so there may be another");
    world_pass(&w, 29999);
    is_str(w.log, "", "for 30 s nothing");
    world_pass(&w, 1);
    is_str(w.log, "reply disconnect", "then it has failed");
    is_int(w.code, 447, "447");

    connect_to(&w, &c, "9.9.9.9:80");
    connected(w.events[0].connection, 0);
    is_str(w.log, "reply disconnect", "a peer that refuses");
    is_int(w.code, 447, "447");

    connect_to(&w, &c, "9.9.9.9:80");
    world_begin(&w);
    trp_turn_disconnected(&w.turn, w.streams[0]);
    world_run(&w);
    is_str(w.log, "reply disconnect", "one that ends too early");
    is_int(w.code, 447, "447");

    /* it is never bound */

    connect_to(&w, &c, "9.9.9.9:80");
    connected(w.events[0].connection, 1);
    id = answer_u32(&w, TRP_STUN_CONNECTION_ID);
    world_pass(&w, 29999);
    is_str(w.log, "", "30 s for ConnectionBind");
    world_pass(&w, 1);
    is_str(w.log, "disconnect", "and no more");
    is_int(bind_connection(&d, (uint32_t) id), 400, "too late");

    /* peers that connect */

    peer = taddr("1.1.1.1:999");
    world_begin(&w);
    ok(trp_turn_accepted(&w.turn, alloc_of(&w, &c), &peer) == NULL,
       "a peer without a permission");
    permit(&w, &c, "1.1.1.1");
    world_begin(&w);
    w.talking = &peer;
    connection = trp_turn_accepted(&w.turn, alloc_of(&w, &c), &peer);
    ok(connection != NULL, "with one");
    w.streams[w.nstreams++] = connection;
    world_run(&w);
    w.talking = NULL;
    is_str(w.log, "to-client", "the client is told");
    is_int(trp_stun_parse(&w.m, w.events[0].data, w.events[0].len), TRP_OK,
           "by a message");
    is_int(w.m.method, TRP_STUN_CONNECTION_ATTEMPT, "ConnectionAttempt");
    is_int(answer_u32(&w, TRP_STUN_CONNECTION_ID), connection->id,
           "its number");
    is_str(answer_addr(&w, TRP_STUN_XOR_PEER_ADDRESS, 0), "1.1.1.1 999",
           "who it is");
    id = connection->id;
    is_int(bind_connection(&d, (uint32_t) id), 200, "ConnectionBind");

    /* all ends with the allocation */

    connect_to(&w, &c, "9.9.9.9:80");
    is_int(w.turn.stats.connections, 2, "two connections");
    is_int(refresh(&w, &c, 0), 200, "the allocation ends");
    is_str(w.log, "reply free", "and takes them along");
    is_int(responses("connect", 200), 2, "what was answered is counted");
    is_int(responses("connect", 446), 2, "446");
    is_int(responses("connect", 447), 4, "447");
    is_int(responses("connectionbind", 200), 2, "ConnectionBind");
    ok(responses("connectionbind", 400) > 5, "and what was wrong with it");
    is_int(w.turn.stats.connections, 0, "none is left");
    is_int(bind_connection(&d, (uint32_t) id), 400, "to be bound");
    end("connections");
}


/* one of two families goes, and its connections with it */

static void
test_connection_families(void)
{
    uint32_t                id;
    client_t                c, d;
    trp_turn_connection_t  *six;

    start();
    c = stream_client("192.0.2.1:4000", "alice:secret");
    c.protocol = TRP_PROTO_TCP;
    d = stream_client("192.0.2.1:4001", "alice:secret");

    ask_allocate(&w, &c);
    trp_stun_put_u32(&w.ask, TRP_STUN_ADDITIONAL_ADDRESS_FAMILY, 0x02000000);
    is_int(ask_signed(&w, &c), 200, "TCP with both families");

    connect_to(&w, &c, "9.9.9.9:80");
    connected(w.events[0].connection, 1);
    id = w.streams[0]->id;
    is_int(bind_connection(&d, id), 200, "a connection over IPv4");
    connect_to(&w, &c, "9.9.9.9:81");
    connect_to(&w, &c, "[2620:fe::9]:80");
    six = w.events[0].connection;
    connected(six, 1);
    is_int(w.nstreams, 3, "two over IPv4, one over IPv6");
    is_int(alloc_of(&w, &c)->nseen, 3, "their peers are remembered");

    ask(&w, &c, TRP_STUN_REFRESH);
    trp_stun_put_u32(&w.ask, TRP_STUN_LIFETIME, 0);
    trp_stun_put_u32(&w.ask, TRP_STUN_REQUESTED_ADDRESS_FAMILY, 0x01000000);
    is_int(ask_signed(&w, &c), 200, "the end of IPv4");
    is_str(w.log, "reply unbind", "first of its address");
    is_int(trp_turn_deadline(&w.turn), w.turn.now, "then, at once,");
    world_pass(&w, 0);
    ok(strcmp(w.log, "disconnect reply disconnect") == 0
       || strcmp(w.log, "reply disconnect disconnect") == 0,
       "of its connections: %s", w.log);
    is_int(w.code, 447, "one of which was not there yet");
    ok(w.nstreams == 1 && w.streams[0] == six, "IPv6 stays");
    is_int(bind_connection(&d, six->id), 200, "and can be bound");
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 443, "no more of IPv4");
    end("connections of two families");
}


static void
test_connection_bounds(void)
{
    char      peer[32];
    unsigned  i, code;
    client_t  c;

    start();
    c = stream_client("192.0.2.1:4000", "alice:secret");
    c.protocol = TRP_PROTO_TCP;
    allocate(&w, &c);
    code = 0;

    for (i = 0; i < 600; i++) {
        snprintf(peer, sizeof(peer), "9.9.9.9:%u", i + 1);
        code = connect_to(&w, &c, peer);

        if (code) {
            break;
        }
    }

    is_int(i, TRP_TURN_MAX_CONNECTIONS, "so many connections");
    is_int(code, 508, "and no more");
    world_pass(&w, 30000);
    is_int(w.turn.stats.connections, 0, "all end");
    is_int(connect_to(&w, &c, peer), 0, "then others may begin");
    end("many connections");
}


static void
test_bounds(void)
{
    char      peer[40];
    unsigned  i, code;

    start();
    allocate(&w, &alice);
    code = 0;

    for (i = 0; i < 600; i++) {
        snprintf(peer, sizeof(peer), "9.9.%u.%u", i / 250 + 1, i % 250 + 1);
        code = permit(&w, &alice, peer);

        if (code != 200) {
            break;
        }
    }

    is_int(i, TRP_TURN_MAX_PERMISSIONS, "so many permissions");
    is_int(code, 508, "and no more");
    is_int(permit(&w, &alice, "9.9.1.1"), 200, "one that is there");
    is_int(bind_channel(&w, &alice, 0x4000, "9.8.1.1:1"), 508,
           "a channel needs one too");
    is_int(w.turn.stats.channels, 0, "there is none");
    world_pass(&w, 300000);

    for (i = 0; i < 600; i++) {
        snprintf(peer, sizeof(peer), "9.9.1.1:%u", i + 1);
        code = bind_channel(&w, &alice, 0x4000 + i, peer);

        if (code != 200) {
            break;
        }
    }

    is_int(i, TRP_TURN_MAX_CHANNELS, "so many channels");
    is_int(code, 508, "and no more");
    is_int(w.turn.stats.permissions, 1, "of one address");

    refresh(&w, &alice, 3600);
    world_pass(&w, 600000);
    is_int(bind_channel(&w, &alice, 0x4f00, "9.9.1.2:1"), 508,
           "while they rest there is no room");
    world_pass(&w, 300000);
    is_int(bind_channel(&w, &alice, 0x4f00, "9.9.1.2:1"), 200, "then there is");
    end("bounds");

    /* a request may be so long, what carries data may be longer */

    start();
    hello(&w, &alice);
    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_SOFTWARE, w.store, 4000);
    is_int(ask_plain(&w, &alice), 401, "a long request");
    ask_allocate(&w, &alice);
    trp_stun_put(&w.ask, TRP_STUN_SOFTWARE, w.store, 4096);
    is_int(ask_signed(&w, &alice) + 0 * w.is_signed, 400, "a longer one");
    w.wrong = NULL;
    allocate(&w, &alice);
    permit(&w, &alice, "9.9.9.9");
    ask_as(&w, &alice, TRP_STUN_INDICATION, TRP_STUN_SEND);
    put_peer(&w, "9.9.9.9:1");
    trp_stun_put(&w.ask, TRP_STUN_DATA_ATTRIBUTE, w.store, 65000);
    ask_plain(&w, &alice);
    is_str(w.log, "to-peer", "much data");
    is_int(w.events[0].len, 65000, "all of it");
    end("long messages");
}


/* all the ways in which an allocation ends, and what it takes along */

static void
test_ends(void)
{
    client_t  c, d;

    begin();
    w.conf.credentials.portal = text("secret");
    world_start(&w);

    c = stream_client("192.0.2.1:4000", "alice:secret");
    allocate(&w, &c);
    permit(&w, &c, "9.9.9.9");
    bind_channel(&w, &c, 0x4000, "9.9.9.9:1");

    world_begin(&w);
    trp_turn_gone(&w.turn, &alice.tuple);
    world_run(&w);
    is_str(w.log, "", "somebody else's connection ends");
    trp_turn_gone(&w.turn, &c.tuple);
    world_run(&w);
    is_str(w.log, "free", "the client's connection ends");
    is_int(w.events[0].why, TRP_TURN_FREE_CLIENT_GONE, "why");
    is_int(w.turn.stats.channels + w.turn.stats.permissions, 0, "all");

    allocate(&w, &alice);
    world_begin(&w);
    {
        trp_turn_alloc_t  *alloc = alloc_of(&w, &alice);

        trp_turn_fail(&w.turn, alloc);
        trp_turn_fail(&w.turn, alloc);
    }
    world_run(&w);
    is_str(w.log, "free", "its socket fails, and again at once");
    is_int(w.events[0].why, TRP_TURN_FREE_FAILED, "why");

    allocate(&w, &alice);
    allocate(&w, &bob);
    world_begin(&w);
    is_int(trp_turn_shutdown(&w.turn), 1, "shutdown");
    world_run(&w);
    is_str(w.log, "free", "one after the other");
    is_int(w.events[0].why, TRP_TURN_FREE_SHUTDOWN, "why");
    is_int(trp_turn_shutdown(&w.turn), 1, "a second");
    world_run(&w);
    is_int(trp_turn_shutdown(&w.turn), 0, "and no third");

    /* accounts */

#define FIRST  "Erk3fL5+XJTopw2dI5KVI9FK+pVHkxMPijlZx7hJrKg"
#define OTHER  "Frk3fL5+XJTopw2dI5KVI9FK+pVHkxMPijlZx7hJrKg"

    client_init(&c, "192.0.2.1:1", "1800000000:" FIRST ":salt:"
                "Q3x0dx/NT5Ee60qvtv5JSRJa78QPwaLRgg9vsbxg1nc");
    client_init(&d, "192.0.2.1:2", "1800000000:" OTHER ":salt:"
                "uPYk4ol7Q3EM+e0CYm9Ed06OH7BopeLQzoov3iZzJJM");
    is_int(allocate(&w, &c), 200, "an account's user");
    is_int(allocate(&w, &d), 200, "another account's");
    is_int(allocate(&w, &alice), 200, "a user without an account");
    world_begin(&w);
    is_int(trp_turn_remove_account(&w.turn, (const uint8_t *) FIRST), 1,
           "the account is removed");
    world_run(&w);
    is_str(w.log, "free", "its allocation ends");
    is_int(w.events[0].why, TRP_TURN_FREE_ACCOUNT_REMOVED, "why");
    is_int(trp_turn_remove_account(&w.turn, (const uint8_t *) FIRST), 0,
           "no other one");
    is_int(w.turn.stats.allocations, 2, "the others stay");
    ok(alloc_of(&w, &d) && alloc_of(&w, &alice), "which are these");
    end("ends");
}


/* several in order, from one timer */

static void
test_time(void)
{
    client_t  c;

    start();
    is_int(trp_turn_deadline(&w.turn), 0, "nothing is waited for");
    allocate(&w, &alice);
    is_int(trp_turn_deadline(&w.turn), w.turn.now + 600000, "an allocation");
    permit(&w, &alice, "9.9.9.9");
    is_int(trp_turn_deadline(&w.turn), w.turn.now + 300000, "a permission");
    c = stream_client("192.0.2.1:4000", "alice:secret");
    c.protocol = TRP_PROTO_TCP;
    allocate(&w, &c);
    connect_to(&w, &c, "9.9.9.9:1");
    is_int(trp_turn_deadline(&w.turn), w.turn.now + 30000, "a connection");
    is_int(trp_turn_expire(&w.turn), 0, "nothing is due");

    world_pass(&w, 10000000);
    is_str(w.log, "reply disconnect free free", "all at once");
    is_int(w.code, 447, "nothing is left out");
    is_int(trp_turn_deadline(&w.turn), 0, "nothing is waited for");
    is_int(w.blocks, 1, "the budget and no more");
    end("time");
}


/* without memory nothing is granted, and nothing is lost */

static void
test_memory(void)
{
    unsigned  i, code, granted;

    begin();
    w.fail = 1;
    is_int(world_start(&w), TRP_ERROR, "no memory to begin with");
    trp_turn_done(&w.turn);
    is_int(w.blocks, 0, "nothing is left");

    for (i = 1; i < 12; i++) {
        start();
        hello(&w, &alice);
        w.fail = i;
        granted = 0;

        code = allocate(&w, &alice);
        granted += code == 200;

        if (code != 200 && code != 508) {
            break;
        }

        hello(&w, &alice);

        if (code != 200 && allocate(&w, &alice) != 200) {
            break;
        }

        code = permit(&w, &alice, "9.9.9.9");
        granted += code == 200;

        if (code != 200 && code != 508) {
            break;
        }

        code = bind_channel(&w, &alice, 0x4000, "9.9.9.9:1");
        granted += code == 200;

        if ((code != 200 && code != 508) || granted < 2
            || world_end(&w) != NULL)
        {
            break;
        }
    }

    is_int(i, 12, "each block once: 508, and all is in order");

    start();
    is_int(w.wrong == NULL, 1, "so far");
    {
        client_t  c = stream_client("192.0.2.1:4000", "alice:secret");

        c.protocol = TRP_PROTO_TCP;
        allocate(&w, &c);
        w.fail = 1;
        is_int(connect_to(&w, &c, "9.9.9.9:1"), 508, "a connection");
        is_int(connect_to(&w, &c, "9.9.9.9:1"), 0, "later");
    }
    end("memory");
}


/* ports and numbers of connections cannot be foreseen */

static void
test_seed(void)
{
    static world_t        other;
    static const uint8_t  key[TRP_TURN_NONCE_KEY_LEN] = { 1 };
    static const uint8_t  seeds[2][TRP_RANDOM_SEED_LEN] = { { 1 }, { 2 } };

    begin();
    world_init(&other);

    trp_turn_init(&w.turn, &w.conf, &w.shared, &w.memory, key, seeds[0], 0);
    trp_turn_init(&other.turn, &w.conf, &other.shared, &other.memory, key,
                  seeds[1], 0);

    is_int(memcmp(w.turn.nonce_key, key, sizeof(key)), 0, "the nonces' key");
    ok(memcmp(w.turn.hash_key, other.turn.hash_key, TRP_HASH_KEY_LEN) != 0,
       "another seed, another key");
    ok(trp_random_below(&w.turn.random, 0xffffffff)
       != trp_random_below(&other.turn.random, 0xffffffff),
       "other numbers");

    is_str(world_end(&other), NULL, "the other one");
    end("seed");
}


static void
test_names(void)
{
    unsigned  i;

    is_str(trp_turn_method_name(0), "other", "methods have names");
    is_str(trp_turn_method_name(7), "connectionbind", "all of them");
    ok(trp_turn_method_name(8) == NULL, "to the end");

    for (i = 0; trp_turn_code(i); i++) {
        if (i && trp_turn_code(i) <= trp_turn_code(i - 1)) {
            break;
        }
    }

    is_int(trp_turn_code(i), 0, "codes have an order");
    is_int(i, 16, "and are as many as there are");
    is_int(trp_turn_code(1000), 0, "no more");
}


/* what a command in hand leads to comes in the same loop */

static void
test_commands(void)
{
    client_t  c;

    start();
    w.show_ends = 1;

    c = stream_client("192.0.2.1:4000", "alice:secret");
    c.protocol = TRP_PROTO_TCP;
    is_int(allocate(&w, &c), 200, "an allocation");

    w.unreachable = 1;
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 447, "refused at once");
    is_str(w.log, "connect reply disconnect", "while the command is in hand");
    is_int(w.turn.stats.connections, 0, "and it is gone");

    w.unreachable = 0;
    is_int(connect_to(&w, &c, "9.9.9.9:80"), 0, "another one waits");

    is_int(refresh(&w, &c, 0), 200, "the allocation ends");
    is_str(w.log, "end reply free",
           "its port first, then the answer, its memory last");

    w.in_use = 20;
    is_int(allocate(&w, &c), 200, "many ports that are in use");
    is_int(w.turn.ncommands, 0, "all questions are answered");

    world_begin(&w);
    trp_turn_gone(&w.turn, &c.tuple);
    world_run(&w);
    is_str(w.log, "end free", "without an answer");

    end("commands");
}


int
main(void)
{
    test_binding();
    test_garbage();
    test_challenge();
    test_strangers();
    test_algorithms();
    test_allocate();
    test_allocate_errors();
    test_families();
    test_ports();
    test_even_port();
    test_mismatch();
    test_refresh();
    test_permissions();
    test_denied();
    test_own_address();
    test_channels();
    test_channel_data();
    test_indications();
    test_icmp();
    test_rate();
    test_traffic();
    test_connections();
    test_connection_families();
    test_connection_bounds();
    test_bounds();
    test_ends();
    test_commands();
    test_time();
    test_memory();
    test_seed();
    test_names();

    return done_testing();
}
