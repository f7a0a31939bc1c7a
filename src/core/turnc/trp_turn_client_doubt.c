
/*
 * Copyright (C) the trp authors
 */


#include "turnc/trp_turn_client_private.h"


/*
 * A server that was restarted has forgotten its allocations.  All servers say
 * so in answer to Refresh (RFC 8656, section 7.2: 437), but some answer 400 to
 * what else presupposes an allocation, or nothing, and drop data in silence.
 */


/* not asked more often than this; milliseconds */

#define TRP_TURN_CLIENT_DOUBT         3000

/*
 * Datagrams go out, and nothing comes in.  There may be nothing to come, so
 * each time it is asked in vain it is not asked again for twice as long.
 */

#define TRP_TURN_CLIENT_PATIENCE      5000
#define TRP_TURN_CLIENT_PATIENCE_MAX  40000


int
trp_turn_client_doubt(trp_turn_client_t *client)
{
    if (client->control.active) {
        return 1;
    }

    if (client->doubted
        && client->now - client->doubted < TRP_TURN_CLIENT_DOUBT)
    {
        return 0;
    }

    client->doubted = client->now;

    trp_turn_client_request(client, &client->control, TRP_STUN_REFRESH);

    return 1;
}


void
trp_turn_client_wait(trp_turn_client_t *client)
{
    if (client->unanswered) {
        return;
    }

    client->unanswered = client->now;

    if (client->patience == 0) {
        client->patience = TRP_TURN_CLIENT_PATIENCE;
    }

    if (client->silence.node.expires == 0) {
        trp_turn_client_timer(client, &client->silence,
                              client->now + client->patience);
    }
}


void
trp_turn_client_heard(trp_turn_client_t *client, int data)
{
    client->unanswered = 0;

    if (data) {
        client->patience = 0;
    }
}


/* it is not stopped by each datagram that is answered */

void
trp_turn_client_silence_timer(trp_turn_client_t *client)
{
    uint64_t  when;

    if (client->unanswered == 0) {
        return;
    }

    if (client->patience == 0) {
        client->patience = TRP_TURN_CLIENT_PATIENCE;
    }

    when = client->unanswered + client->patience;

    if (when <= client->now) {

        if (client->patience < TRP_TURN_CLIENT_PATIENCE_MAX) {
            client->patience *= 2;
        }

        when = client->now + TRP_TURN_CLIENT_PATIENCE;

        (void) trp_turn_client_doubt(client);
    }

    trp_turn_client_timer(client, &client->silence, when);
}
