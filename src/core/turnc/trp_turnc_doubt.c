
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether the server still has the allocation: a Refresh asks it if something
 * fails that should not, or if datagrams are sent, but none come, for long.
 */


#include "turnc/trp_turnc_doubt.h"
#include "turnc/trp_turnc_alloc.h"
#include "turnc/trp_turnc_base.h"


/* time between two questions, at least; milliseconds */

#define TRP_TURNC_DOUBT         3000

/*
 * How long datagrams go out without anything coming in.  There may be nothing
 * to come, so after each question in vain the time doubles.
 */

#define TRP_TURNC_PATIENCE      5000
#define TRP_TURNC_PATIENCE_MAX  40000

/* in haste */

#define TRP_TURNC_HASTE         1500


static uint64_t trp_turnc_patience(const trp_turnc_t *client);


int
trp_turnc_doubt(trp_turnc_t *client)
{
    trp_turnc_silence_t  *silence;

    silence = &client->silence;

    if (client->alloc.transaction.active) {
        return 1;
    }

    if (silence->doubted && client->now - silence->doubted < TRP_TURNC_DOUBT) {
        return 0;
    }

    silence->doubted = client->now;

    trp_turnc_refresh(client);

    return 1;
}


void
trp_turnc_wait(trp_turnc_t *client)
{
    trp_turnc_silence_t  *silence;

    silence = &client->silence;

    if (silence->since) {
        return;
    }

    silence->since = client->now;

    if (silence->patience == 0) {
        silence->patience = trp_turnc_patience(client);
    }

    if (silence->timer.node.expires == 0) {
        trp_timer_set(&client->timers, &silence->timer,
                      client->now + silence->patience);
    }
}


/* what is heard from the server does not stop the timer: it is checked here */

void
trp_turnc_silence_timer(trp_turnc_t *client)
{
    uint64_t              when;
    trp_turnc_silence_t  *silence;

    silence = &client->silence;

    if (silence->since == 0) {
        return;
    }

    if (silence->patience == 0) {
        silence->patience = trp_turnc_patience(client);
    }

    when = silence->since + silence->patience;

    if (when <= client->now) {

        if (silence->patience < TRP_TURNC_PATIENCE_MAX) {
            silence->patience *= 2;
        }

        when = client->now + trp_turnc_patience(client);

        (void) trp_turnc_doubt(client);
    }

    trp_timer_set(&client->timers, &silence->timer, when);
}


static uint64_t
trp_turnc_patience(const trp_turnc_t *client)
{
    return client->conf.hasty ? TRP_TURNC_HASTE : TRP_TURNC_PATIENCE;
}
