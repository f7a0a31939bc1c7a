
/*
 * Copyright (C) the trp authors
 */


/*
 * One function for each event, and two exits for whatever ends a connection:
 * trp_portal_wait(), after which it is retried with a growing delay, and
 * trp_portal_end(), after which it is not.
 */


#include <stdio.h>
#include <string.h>

#include "portal/trp_portal.h"
#include "base/trp_str.h"


static void trp_portal_connect(trp_portal_t *p, uint64_t now);
static void trp_portal_try_address(trp_portal_t *p, uint64_t now);
static void trp_portal_reply(trp_portal_t *p, const trp_portal_message_t *m,
    uint64_t now);
static void trp_portal_joined(trp_portal_t *p, uint64_t now);
static void trp_portal_answered(trp_portal_t *p, int64_t ref);
static void trp_portal_beat(trp_portal_t *p, uint64_t now, uint32_t random);
static void trp_portal_wait(trp_portal_t *p, const char *why, uint64_t later,
    uint64_t now, uint32_t random);
static void trp_portal_end(trp_portal_t *p, const char *why, trp_str_t text);
static void trp_portal_send(trp_portal_t *p, int len);
static trp_portal_command_t *trp_portal_command(trp_portal_t *p,
    trp_portal_command_e type);


static const trp_str_t  trp_portal_no_text = { 0, NULL };

static const trp_str_t  trp_portal_topic = trp_string("relay");
static const trp_str_t  trp_portal_beat_topic = trp_string("phoenix");

static const trp_str_t  trp_portal_phx_reply = trp_string("phx_reply");
static const trp_str_t  trp_portal_phx_close = trp_string("phx_close");
static const trp_str_t  trp_portal_disconnect = trp_string("disconnect");
static const trp_str_t  trp_portal_init_event = trp_string("init");
static const trp_str_t  trp_portal_added = trp_string("account_added");
static const trp_str_t  trp_portal_removed = trp_string("account_removed");

static const trp_str_t  trp_portal_ok = trp_string("ok");
static const trp_str_t  trp_portal_error = trp_string("error");
static const trp_str_t  trp_portal_expired = trp_string("token_expired");


void
trp_portal_init(trp_portal_t *p, const uint8_t *secret, int validation,
    uint32_t addresses)
{
    memset(p, 0, sizeof(trp_portal_t));

    memcpy(p->secret, secret, TRP_PORTAL_SECRET_LEN);
    p->validation = validation ? 1 : 0;
    p->addresses = addresses;
    p->deadline = TRP_PORTAL_NEVER;
}


void
trp_portal_addresses(trp_portal_t *p, uint32_t addresses)
{
    p->addresses = addresses;
    p->address = 0;
    p->left = 0;
}


void
trp_portal_start(trp_portal_t *p, uint64_t now)
{
    if (p->state == TRP_PORTAL_STOPPED) {
        trp_portal_connect(p, now);
    }
}


void
trp_portal_stop(trp_portal_t *p)
{
    if (p->state > TRP_PORTAL_WAITING) {
        trp_portal_command(p, TRP_PORTAL_CLOSE);
    }

    p->state = TRP_PORTAL_STOPPED;
    p->deadline = TRP_PORTAL_NEVER;
}


static void
trp_portal_connect(trp_portal_t *p, uint64_t now)
{
    p->state = TRP_PORTAL_CONNECTING;
    p->opened = now + TRP_PORTAL_OPEN_TIME;
    p->left = p->addresses;

    trp_portal_try_address(p, now);
}


/* the addresses that are left share the time that is left */

static void
trp_portal_try_address(trp_portal_t *p, uint64_t now)
{
    uint64_t  last;

    trp_assert(p->state == TRP_PORTAL_CONNECTING && p->left > 0);

    last = p->opened - TRP_PORTAL_OPEN_TIME + TRP_PORTAL_CONNECT_TIME;

    p->deadline = (now < last) ? now + (last - now) / p->left : now;
    p->left--;

    trp_portal_command(p, TRP_PORTAL_CONNECT)->address = p->address;
}


void
trp_portal_connected(trp_portal_t *p)
{
    if (p->state == TRP_PORTAL_CONNECTING) {
        p->state = TRP_PORTAL_OPENING;
        p->deadline = p->opened;
    }
}


void
trp_portal_opened(trp_portal_t *p, uint64_t now)
{
    int  n;

    if (p->state != TRP_PORTAL_OPENING) {
        return;
    }

    p->state = TRP_PORTAL_JOINING;
    p->deadline = now + TRP_PORTAL_JOIN_TIME;
    p->beat = 0;
    p->unanswered = 0;

    n = snprintf(p->text, sizeof(p->text),
                 "{\"topic\":\"relay\",\"event\":\"phx_join\","
                 "\"payload\":{\"stamp_secret\":\"%.*s\"%s},\"ref\":0}",
                 TRP_PORTAL_SECRET_LEN, p->secret,
                 p->validation ? ",\"turn_account_validation\":true" : "");

    trp_portal_send(p, n);
}


void
trp_portal_refused(trp_portal_t *p, unsigned status, uint64_t later,
    uint64_t now, uint32_t random)
{
    if (p->state != TRP_PORTAL_OPENING) {
        return;
    }

    if (status == 401) {
        trp_portal_end(p, "does not accept the token", trp_portal_no_text);
        return;
    }

    trp_portal_wait(p, NULL, later, now, random);
}


void
trp_portal_message(trp_portal_t *p, const trp_portal_message_t *m,
    uint64_t now, uint32_t random)
{
    if (p->state != TRP_PORTAL_JOINING && p->state != TRP_PORTAL_RUNNING) {
        return;
    }

    if (trp_str_equal(m->event, trp_portal_phx_reply)) {
        trp_portal_reply(p, m, now);
        return;
    }

    if (trp_str_equal(m->event, trp_portal_phx_close)) {
        trp_portal_wait(p, "closed the channel", 0, now, random);
        return;
    }

    if (trp_str_equal(m->event, trp_portal_disconnect)) {
        if (trp_str_equal(m->reason, trp_portal_expired)) {
            trp_portal_end(p, "says that the token has expired",
                           trp_portal_no_text);
        }

        return;
    }

    if (trp_str_equal(m->event, trp_portal_init_event)) {
        trp_portal_command(p, TRP_PORTAL_INIT);
        return;
    }

    if (m->account.len == 0) {
        return;
    }

    if (trp_str_equal(m->event, trp_portal_added)) {
        trp_portal_command(p, TRP_PORTAL_ACCOUNT_ADDED)->text = m->account;

    } else if (trp_str_equal(m->event, trp_portal_removed)) {
        trp_portal_command(p, TRP_PORTAL_ACCOUNT_REMOVED)->text = m->account;
    }
}


static void
trp_portal_reply(trp_portal_t *p, const trp_portal_message_t *m, uint64_t now)
{
    if (trp_str_equal(m->topic, trp_portal_beat_topic)) {
        trp_portal_answered(p, m->ref);
        return;
    }

    if (!trp_str_equal(m->topic, trp_portal_topic)) {
        return;
    }

    if (trp_str_equal(m->status, trp_portal_error)) {
        trp_portal_end(p, "refuses this relay", m->reason);
        return;
    }

    if (p->state == TRP_PORTAL_JOINING && m->ref == 0
        && trp_str_equal(m->status, trp_portal_ok))
    {
        trp_portal_joined(p, now);
    }
}


static void
trp_portal_joined(trp_portal_t *p, uint64_t now)
{
    p->state = TRP_PORTAL_RUNNING;
    p->deadline = now + TRP_PORTAL_BEAT_TIME;
    p->worked = 1;

    trp_portal_command(p, TRP_PORTAL_JOINED);
}


/*
 * The portal counts as working only once a heartbeat is answered: one that
 * keeps accepting and then closing is to be asked less and less often.
 */

static void
trp_portal_answered(trp_portal_t *p, int64_t ref)
{
    if (ref < 1 || (uint64_t) ref > p->beat
        || p->beat - (uint64_t) ref >= p->unanswered)
    {
        return;
    }

    p->unanswered = (uint32_t) (p->beat - (uint64_t) ref);
    p->failures = 0;
}


void
trp_portal_lost(trp_portal_t *p, uint64_t now, uint32_t random)
{
    trp_portal_wait(p, NULL, 0, now, random);
}


uint64_t
trp_portal_deadline(const trp_portal_t *p)
{
    return p->deadline;
}


void
trp_portal_expire(trp_portal_t *p, uint64_t now, uint32_t random)
{
    if (p->deadline == TRP_PORTAL_NEVER || now < p->deadline) {
        return;
    }

    switch (p->state) {

    case TRP_PORTAL_WAITING:
        trp_portal_connect(p, now);
        return;

    case TRP_PORTAL_CONNECTING:
        trp_portal_wait(p, "does not answer", 0, now, random);
        return;

    case TRP_PORTAL_OPENING:
        trp_portal_wait(p, "does not open the connection", 0, now, random);
        return;

    case TRP_PORTAL_JOINING:
        trp_portal_wait(p, "does not reply to the join", 0, now, random);
        return;

    case TRP_PORTAL_RUNNING:
        trp_portal_beat(p, now, random);
        return;

    default: /* TRP_PORTAL_STOPPED */
        return;
    }
}


static void
trp_portal_beat(trp_portal_t *p, uint64_t now, uint32_t random)
{
    int  n;

    if (p->unanswered > TRP_PORTAL_BEATS) {
        trp_portal_wait(p, "does not answer heartbeats", 0, now, random);
        return;
    }

    p->beat++;
    p->unanswered++;
    p->deadline = now + TRP_PORTAL_BEAT_TIME;

    n = snprintf(p->text, sizeof(p->text),
                 "{\"topic\":\"phoenix\",\"event\":\"heartbeat\","
                 "\"payload\":{},\"ref\":%llu}", (unsigned long long) p->beat);

    trp_portal_send(p, n);
}


/*
 * This connection is over.  If TCP was not established, the next address is
 * tried within this attempt; else it is the first one of the next attempt.
 */

static void
trp_portal_wait(trp_portal_t *p, const char *why, uint64_t later, uint64_t now,
    uint32_t random)
{
    uint64_t  delay;

    if (p->state <= TRP_PORTAL_WAITING) {
        return;
    }

    trp_portal_command(p, TRP_PORTAL_CLOSE)->why = why;

    if (p->state != TRP_PORTAL_RUNNING) {
        p->address = (p->address + 1) % p->addresses;
    }

    if (p->state == TRP_PORTAL_CONNECTING && p->left) {
        trp_portal_try_address(p, now);
        return;
    }

    delay = TRP_PORTAL_RETRY_TIME;

    if (p->worked) {
        if (p->failures < 5) {
            delay <<= p->failures++;

        } else {
            delay = TRP_PORTAL_BACKOFF_MAX;
        }

        delay = (delay * random) >> 32;
    }

    if (later > TRP_PORTAL_LATER_MAX) {
        later = TRP_PORTAL_LATER_MAX;
    }

    p->state = TRP_PORTAL_WAITING;
    p->deadline = now + later * 1000 + delay;
}


/* final: a retry would not help, the administrator has to act */

static void
trp_portal_end(trp_portal_t *p, const char *why, trp_str_t text)
{
    trp_portal_command_t  *command;

    trp_portal_stop(p);

    command = trp_portal_command(p, TRP_PORTAL_FATAL);
    command->why = why;
    command->text = text;
}


static void
trp_portal_send(trp_portal_t *p, int len)
{
    trp_portal_command_t  *command;

    command = trp_portal_command(p, TRP_PORTAL_SEND);
    command->text.data = (const uint8_t *) p->text;
    command->text.len = (size_t) len;
}


static trp_portal_command_t *
trp_portal_command(trp_portal_t *p, trp_portal_command_e type)
{
    uint32_t               i;
    trp_portal_command_t  *command;

    trp_assert(p->ncommands < TRP_PORTAL_COMMANDS);

    if (p->ncommands < TRP_PORTAL_COMMANDS) {
        i = (p->first + p->ncommands++) % TRP_PORTAL_COMMANDS;

    } else {

        /* this entry is never read */
        i = TRP_PORTAL_COMMANDS;
    }

    command = &p->commands[i];

    memset(command, 0, sizeof(trp_portal_command_t));
    command->type = type;

    return command;
}


int
trp_portal_next(trp_portal_t *p, trp_portal_command_t *command)
{
    if (p->ncommands == 0) {
        return TRP_DECLINED;
    }

    *command = p->commands[p->first];

    p->first = (p->first + 1) % TRP_PORTAL_COMMANDS;
    p->ncommands--;

    return TRP_OK;
}
