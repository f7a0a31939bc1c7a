
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turnc_private.h"


/*
 * A server that was restarted has forgotten its allocations.  All servers say
 * so in answer to Refresh (RFC 8656, section 7.2: 437), but some answer 400 to
 * what else presupposes an allocation, or nothing, and drop data in silence.
 */


/* not asked more often than this; milliseconds */

#define TRP_TURNC_DOUBT         3000

/*
 * Datagrams go out, and nothing comes in.  There may be nothing to come, so
 * each time it is asked in vain it is not asked again for twice as long.
 */

#define TRP_TURNC_PATIENCE      5000
#define TRP_TURNC_PATIENCE_MAX  40000


int
trp_turnc_doubt(trp_turnc_t *client)
{
    if (client->control.active) {
        return 1;
    }

    if (client->doubted
        && client->now - client->doubted < TRP_TURNC_DOUBT)
    {
        return 0;
    }

    client->doubted = client->now;

    trp_turnc_request(client, &client->control, TRP_STUN_REFRESH);

    return 1;
}


void
trp_turnc_wait(trp_turnc_t *client)
{
    if (client->unanswered) {
        return;
    }

    client->unanswered = client->now;

    if (client->patience == 0) {
        client->patience = TRP_TURNC_PATIENCE;
    }

    if (client->silence.node.expires == 0) {
        trp_turnc_timer(client, &client->silence,
                        client->now + client->patience);
    }
}


void
trp_turnc_heard(trp_turnc_t *client, int data)
{
    client->unanswered = 0;

    if (data) {
        client->patience = 0;
    }
}


/* it is not stopped by each datagram that is answered */

void
trp_turnc_silence_timer(trp_turnc_t *client)
{
    uint64_t  when;

    if (client->unanswered == 0) {
        return;
    }

    if (client->patience == 0) {
        client->patience = TRP_TURNC_PATIENCE;
    }

    when = client->unanswered + client->patience;

    if (when <= client->now) {

        if (client->patience < TRP_TURNC_PATIENCE_MAX) {
            client->patience *= 2;
        }

        when = client->now + TRP_TURNC_PATIENCE;

        (void) trp_turnc_doubt(client);
    }

    trp_turnc_timer(client, &client->silence, when);
}
