
/*
 * Copyright (C) the trp authors
 */


/* the control connection: what is said, when, and what ends it */


#include "tap.h"

#include "portal/trp_portal.h"


#define SECRET  "00112233445566778899aabbccddeeff"                            \
                "00112233445566778899aabbccddeeff"

#define HALF    0x80000000


static trp_portal_t          p;
static uint64_t              now;
static trp_portal_command_t  command;


static trp_str_t
str(const char *s)
{
    trp_str_t  text;

    text.data = (const uint8_t *) s;
    text.len = s ? strlen(s) : 0;

    return text;
}


static const char *
text(void)
{
    static char  buf[512];

    snprintf(buf, sizeof(buf), "%.*s", (int) command.text.len,
             command.text.len ? (const char *) command.text.data : "");

    return buf;
}


/* the next command, and the type of all of them for messages */

static int
next(trp_portal_command_e type, const char *what)
{
    return ok(trp_portal_next(&p, &command) == TRP_OK && command.type == type,
              "%s", what);
}


static void
no_more(const char *what)
{
    is_int(trp_portal_next(&p, &command), TRP_DECLINED, "%s", what);
}


static void
due_in(uint64_t msec, const char *what)
{
    is_int(trp_portal_deadline(&p), now + msec, "%s", what);
}


static void
pass(uint64_t msec)
{
    now += msec;
    trp_portal_expire(&p, now, HALF);
}


static void
message(const char *topic, const char *event, const char *status,
    const char *reason, const char *account, int64_t ref)
{
    trp_portal_message_t  m;

    m.topic = str(topic);
    m.event = str(event);
    m.status = str(status);
    m.reason = str(reason);
    m.account = str(account);
    m.ref = ref;

    trp_portal_message(&p, &m, now, HALF);
}


static void
reply(const char *topic, const char *status, int64_t ref)
{
    message(topic, "phx_reply", status, NULL, NULL, ref);
}


static void
event(const char *name)
{
    message("relay", name, NULL, NULL, NULL, -1);
}


static void
start(uint32_t addresses)
{
    now = 1000000;

    trp_portal_init(&p, (const uint8_t *) SECRET, 0, addresses);
    trp_portal_start(&p, now);
}


/* carries all out without a look */

static void
drop(void)
{
    while (trp_portal_next(&p, &command) == TRP_OK) { /* void */ }
}


static void
open_socket(void)
{
    trp_portal_connected(&p);
    trp_portal_opened(&p, now);
    drop();
}


static void
run(void)
{
    start(1);
    drop();
    open_socket();
    reply("relay", "ok", 0);
    drop();
}


static void
test_life(void)
{
    start(1);
    next(TRP_PORTAL_CONNECT, "connects");
    is_int(command.address, 0, "to the only address");
    no_more("that is all");
    due_in(5000, "TCP has 5 seconds");

    now += 100;
    trp_portal_connected(&p);
    is_int(trp_portal_deadline(&p), 1015000, "all together has 15 seconds");
    no_more("nothing to do until HTTP is through");

    now += 100;
    trp_portal_opened(&p, now);
    next(TRP_PORTAL_SEND, "joins");
    is_str(text(), "{\"topic\":\"relay\",\"event\":\"phx_join\",\"payload\":"
           "{\"stamp_secret\":\"" SECRET "\"},\"ref\":0}", "with the secret");
    due_in(5000, "a reply within 5 seconds");

    reply("relay", "ok", 0);
    next(TRP_PORTAL_JOINED, "has joined");
    event("init");
    next(TRP_PORTAL_INIT, "init");
    due_in(10000, "then a heartbeat");

    pass(10000);
    next(TRP_PORTAL_SEND, "heartbeat");
    is_str(text(), "{\"topic\":\"phoenix\",\"event\":\"heartbeat\","
           "\"payload\":{},\"ref\":1}", "with a number");
    due_in(10000, "and the next one");

    reply("phoenix", "ok", 1);
    no_more("nothing to do about an answer");

    pass(10000);
    next(TRP_PORTAL_SEND, "another heartbeat");
    ok(strstr(text(), "\"ref\":2}") != NULL, "with another number");

    trp_portal_stop(&p);
    next(TRP_PORTAL_CLOSE, "closes");
    no_more("for good");
    ok(trp_portal_deadline(&p) == TRP_PORTAL_NEVER, "no timer any more");

    trp_portal_stop(&p);
    no_more("to stop twice is nothing");
}


static void
test_accounts(void)
{
    trp_portal_init(&p, (const uint8_t *) SECRET, 1, 1);
    trp_portal_start(&p, now);
    drop();
    trp_portal_connected(&p);
    trp_portal_opened(&p, now);

    next(TRP_PORTAL_SEND, "joins");
    ok(strstr(text(), SECRET "\",\"turn_account_validation\":true},") != NULL,
       "asks for accounts");

    reply("relay", "ok", 0);
    drop();

    message("relay", "account_added", NULL, NULL, "a1", -1);
    next(TRP_PORTAL_ACCOUNT_ADDED, "account added");
    is_str(text(), "a1", "which one");

    message("relay", "account_removed", NULL, NULL, "a2", -1);
    next(TRP_PORTAL_ACCOUNT_REMOVED, "account removed");
    is_str(text(), "a2", "which one");

    event("account_added");
    event("account_removed");
    no_more("without an account there is nothing to do");

    event("init");
    next(TRP_PORTAL_INIT, "init may come again");
}


static void
test_ignored(void)
{
    run();

    event("phx_error");
    event("something_new");
    message("relay", "disconnect", NULL, "whatever", NULL, -1);
    reply("other", "error", 7);
    reply("relay", "ok", 0);
    reply("phoenix", "ok", 17);
    no_more("events that mean nothing are ignored");
    is_int(p.state, TRP_PORTAL_RUNNING, "goes on running");

    trp_portal_connected(&p);
    trp_portal_opened(&p, now);
    trp_portal_refused(&p, 401, 0, now, HALF);
    trp_portal_start(&p, now);
    no_more("so is what cannot happen now");

    start(1);
    drop();
    event("init");
    reply("relay", "error", 0);
    no_more("and what comes too early");

    start(1);
    drop();
    open_socket();
    reply("relay", "ok", 3);
    is_int(p.state, TRP_PORTAL_JOINING, "only the reply to the join counts");
}


static void
test_fatal(void)
{
    start(1);
    drop();
    trp_portal_connected(&p);
    trp_portal_refused(&p, 401, 60, now, HALF);
    next(TRP_PORTAL_CLOSE, "401: closes");
    next(TRP_PORTAL_FATAL, "401: is over");
    is_str(command.why, "does not accept the token", "and says why");
    no_more("401: nothing else");
    ok(trp_portal_deadline(&p) == TRP_PORTAL_NEVER, "401: is not tried again");

    run();
    message("relay", "disconnect", NULL, "token_expired", NULL, -1);
    next(TRP_PORTAL_CLOSE, "token_expired: closes");
    next(TRP_PORTAL_FATAL, "token_expired: is over");

    start(1);
    drop();
    open_socket();
    message("relay", "phx_reply", "error", "no room", NULL, 0);
    next(TRP_PORTAL_CLOSE, "error reply: closes");
    next(TRP_PORTAL_FATAL, "error reply: is over");
    is_str(text(), "no room", "and says what the portal says");

    trp_portal_lost(&p, now, HALF);
    pass(1000000);
    event("init");
    no_more("nothing happens after that");
}


static void
test_timeouts(void)
{
    start(1);
    drop();
    pass(4999);
    no_more("4999 ms are not 5 seconds");
    pass(1);
    next(TRP_PORTAL_CLOSE, "TCP: too late");
    is_str(command.why, "does not answer", "and says so");
    due_in(1000, "TCP: a second later again");

    start(1);
    drop();
    pass(1000);
    trp_portal_connected(&p);
    pass(13999);
    no_more("TLS and HTTP may take all of 15 seconds");
    pass(1);
    next(TRP_PORTAL_CLOSE, "TLS and HTTP: too late");

    start(1);
    drop();
    open_socket();
    pass(5000);
    next(TRP_PORTAL_CLOSE, "join: too late");
    is_str(command.why, "does not reply to the join", "and says so");
    no_more("join: nothing else");
}


static void
test_heartbeats(void)
{
    int  i;

    run();

    for (i = 1; i <= 4; i++) {
        pass(10000);
        next(TRP_PORTAL_SEND, "heartbeat without an answer");
    }

    pass(10000);
    next(TRP_PORTAL_CLOSE, "more than 3 without an answer: closes");
    is_str(command.why, "does not answer heartbeats", "and says so");
    no_more("and waits");

    run();

    for (i = 1; i <= 4; i++) {
        pass(10000);
        drop();
    }

    reply("phoenix", "ok", 2);
    pass(10000);
    next(TRP_PORTAL_SEND, "an answer to an older one helps");

    reply("phoenix", "ok", 1);
    reply("phoenix", "ok", 0);
    reply("phoenix", "ok", -1);
    is_int(p.unanswered, 3, "one that was answered does not count twice");

    trp_portal_lost(&p, now, HALF);
    drop();
    pass(trp_portal_deadline(&p) - now);
    drop();
    open_socket();
    reply("relay", "ok", 0);
    drop();
    pass(10000);
    next(TRP_PORTAL_SEND, "heartbeat of the next connection");
    ok(strstr(text(), "\"ref\":1}") != NULL, "counts from the beginning");
}


static void
test_closed(void)
{
    run();
    event("phx_close");
    next(TRP_PORTAL_CLOSE, "phx_close: closes");
    is_int(p.state, TRP_PORTAL_WAITING, "phx_close: waits");
    pass(500);
    next(TRP_PORTAL_CONNECT, "phx_close: connects again");

    run();
    trp_portal_lost(&p, now, HALF);
    next(TRP_PORTAL_CLOSE, "lost: closes");
    ok(command.why == NULL, "lost: the caller knows why");
    trp_portal_lost(&p, now, HALF);
    no_more("to lose it twice is nothing");
}


/* a connection that fails at once; the time until the next one */

static uint64_t
failure(uint32_t random)
{
    uint64_t  delay;

    drop();
    trp_portal_lost(&p, now, random);
    drop();

    delay = trp_portal_deadline(&p) - now;

    now += delay;
    trp_portal_expire(&p, now, random);
    drop();

    return delay;
}


static void
test_backoff(void)
{
    int       i;
    uint64_t  sum;

    start(1);
    sum = 0;

    for (i = 0; i < 100; i++) {
        sum += failure(0xffffffff);
    }

    is_int(sum, 100000, "until it has worked: a second, always");

    open_socket();
    reply("relay", "ok", 0);
    is_int(failure(0xffffffff), 999, "afterwards: up to 1 second");
    is_int(failure(0xffffffff), 1999, "2 seconds");
    is_int(failure(HALF), 2000, "4 seconds, half of them");
    is_int(failure(0), 0, "8 seconds, nothing of them");
    is_int(failure(0xffffffff), 15999, "16 seconds");
    is_int(failure(0xffffffff), 31999, "32 seconds");
    is_int(failure(0xffffffff), 31999, "and no more");

    open_socket();
    reply("relay", "ok", 0);
    is_int(failure(0xffffffff), 31999, "to have joined is not enough");

    open_socket();
    reply("relay", "ok", 0);
    pass(10000);
    reply("phoenix", "ok", 1);
    is_int(failure(0xffffffff), 999, "an answered heartbeat is");
}


static void
refused(unsigned status, uint64_t later)
{
    start(1);
    drop();
    trp_portal_connected(&p);
    trp_portal_refused(&p, status, later, now, HALF);
    next(TRP_PORTAL_CLOSE, "refused: closes");
    no_more("refused: nothing else");
}


static void
test_retry_after(void)
{
    refused(429, 60);
    due_in(61000, "Retry-After is waited for");

    refused(503, 0);
    due_in(1000, "without one it is as always");

    refused(404, (uint64_t) -1);
    due_in(3601000, "an hour at most");
}


static void
test_addresses(void)
{
    start(3);
    next(TRP_PORTAL_CONNECT, "first address");
    is_int(command.address, 0, "number 0");
    is_int(trp_portal_deadline(&p), now + 1666, "has a third of the time");

    now += 10;
    trp_portal_lost(&p, now, HALF);
    next(TRP_PORTAL_CLOSE, "refused");
    next(TRP_PORTAL_CONNECT, "the next one at once");
    is_int(command.address, 1, "number 1");
    is_int(trp_portal_deadline(&p), now + 2495, "has half of what is left");

    pass(2495);
    next(TRP_PORTAL_CLOSE, "silent");
    next(TRP_PORTAL_CONNECT, "the next one");
    is_int(command.address, 2, "number 2");
    is_int(trp_portal_deadline(&p), 1005000, "has all that is left");

    pass(1);
    trp_portal_lost(&p, now, HALF);
    next(TRP_PORTAL_CLOSE, "refused");
    no_more("there is no other one");
    due_in(1000, "a second later");

    pass(1000);
    next(TRP_PORTAL_CONNECT, "all of them again");
    is_int(command.address, 0, "from the first");
    trp_portal_connected(&p);
    trp_portal_lost(&p, now, HALF);
    drop();
    pass(1000);
    next(TRP_PORTAL_CONNECT, "after one that has failed behind TCP");
    is_int(command.address, 1, "another one is the first");

    open_socket();
    reply("relay", "ok", 0);
    drop();
    trp_portal_lost(&p, now, HALF);
    drop();
    pass(500);
    next(TRP_PORTAL_CONNECT, "after one that has worked");
    is_int(command.address, 1, "it is the first again");
}


/* commands that fail while they are carried out */

static void
test_nested(void)
{
    int  i;

    start(7);

    for (i = 0; i < 7; i++) {
        next(TRP_PORTAL_CONNECT, "an address");
        trp_portal_lost(&p, now, HALF);
        next(TRP_PORTAL_CLOSE, "that fails at once");
    }

    no_more("all have failed");
    due_in(1000, "waits");

    start(1);
    drop();
    trp_portal_connected(&p);
    trp_portal_opened(&p, now);
    next(TRP_PORTAL_SEND, "joins");
    trp_portal_lost(&p, now, HALF);
    next(TRP_PORTAL_CLOSE, "but cannot send it");
    no_more("waits");

    run();
    event("init");
    next(TRP_PORTAL_INIT, "init");
    trp_portal_stop(&p);
    next(TRP_PORTAL_CLOSE, "stopped meanwhile");
    no_more("that is all");
}


int
main(void)
{
    test_life();
    test_accounts();
    test_ignored();
    test_fatal();
    test_timeouts();
    test_heartbeats();
    test_closed();
    test_backoff();
    test_retry_after();
    test_addresses();
    test_nested();

    return done_testing();
}
