
/*
 * Copyright (C) the trp authors
 */


/*
 * What all files of the TURN client need: output to the server, events, and
 * failure.
 */


#include "turnc/trp_turnc_base.h"


void
trp_turnc_out(trp_turnc_t *client, const uint8_t *p, size_t len)
{
    client->alloc.sent = client->now;
    client->send(client->data, p, len);
}


trp_turnc_event_t *
trp_turnc_tell(trp_turnc_t *client, trp_turnc_event_e type)
{
    trp_assert(client->event.type == TRP_TURNC_EVENT_NONE);

    client->event.type = type;

    return &client->event;
}


void
trp_turnc_heard(trp_turnc_t *client, int data)
{
    client->silence.since = 0;

    if (data) {
        client->silence.patience = 0;
    }
}


void
trp_turnc_fail(trp_turnc_t *client, unsigned code)
{
    trp_assert(code && client->state != TRP_TURNC_OVER);

    client->code = code;
}
