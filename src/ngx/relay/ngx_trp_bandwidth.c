
/*
 * Copyright (C) the trp authors
 */


/*
 * Which meters a stream's tunnels share: those of the entry's key, of the
 * reverse's key and of the group, for each direction.  Where there is no limit,
 * there is no meter.
 */


#include "relay/ngx_trp_bandwidth.h"
#include "tunnel/ngx_trp_tunnel.h"


#define NGX_TRP_BANDWIDTH_UP    0       /* to the service */
#define NGX_TRP_BANDWIDTH_DOWN  1

#define NGX_TRP_BANDWIDTH_INPUT   0     /* of a tunnel */
#define NGX_TRP_BANDWIDTH_OUTPUT  1


static ngx_trp_metered_t *ngx_trp_bandwidth_metered(ngx_trp_peer_t *peer,
    ngx_uint_t i);
static void ngx_trp_bandwidth_share(ngx_trp_metered_t *metered,
    ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse, ngx_uint_t direction);
static void ngx_trp_bandwidth_readable(void *data);
static void ngx_trp_bandwidth_writable(void *data);


void
ngx_trp_bandwidth_set(ngx_trp_usage_t *usage)
{
    uint64_t    rate;
    ngx_uint_t  i;

    rate = usage->limits.rate;

    if (usage->meters == NULL) {

        if (rate == 0) {
            return;
        }

        usage->meters = ngx_alloc(2 * sizeof(ngx_trp_meter_t),
                                  ngx_cycle->log);
        if (usage->meters == NULL) {
            return;
        }

        ngx_trp_meter_init(&usage->meters[0], rate);
        ngx_trp_meter_init(&usage->meters[1], rate);
    }

    /* without a limit, they are for the streams that have them */

    for (i = 0; i < 2; i++) {
        usage->meters[i].rate = rate ? rate : TRP_LIMIT_RATE_MAX;
    }
}


void
ngx_trp_bandwidth_free(ngx_trp_usage_t *usage)
{
    if (usage->meters) {
        ngx_trp_meter_done(&usage->meters[0]);
        ngx_trp_meter_done(&usage->meters[1]);

        ngx_free(usage->meters);
        usage->meters = NULL;
    }
}


void
ngx_trp_bandwidth_start(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse)
{
    ngx_trp_metered_t  *up, *down;

    if (reverse->agent->group->usage.meters == NULL
        && reverse->agent->member->usage.meters == NULL
        && (entry == NULL || entry->agent->member->usage.meters == NULL))
    {
        return;
    }

    down = ngx_trp_bandwidth_metered(reverse, NGX_TRP_BANDWIDTH_INPUT);
    up = entry ? ngx_trp_bandwidth_metered(entry, NGX_TRP_BANDWIDTH_INPUT)
               : ngx_trp_bandwidth_metered(reverse, NGX_TRP_BANDWIDTH_OUTPUT);

    if (up == NULL || down == NULL) {
        ngx_trp_tunnel_lose(reverse->tunnel, "no memory");
        return;
    }

    ngx_trp_bandwidth_share(down, entry, reverse, NGX_TRP_BANDWIDTH_DOWN);
    ngx_trp_bandwidth_share(up, entry, reverse, NGX_TRP_BANDWIDTH_UP);

    /* what was sent before ACCEPT was not held up, but it counts */

    ngx_trp_metered_took(up, reverse->tunnel->state.payload);

    reverse->tunnel->input = down;

    if (entry) {
        entry->tunnel->input = up;

    } else {
        reverse->tunnel->output = up;
    }
}


/* of a tunnel, for all its streams */

static ngx_trp_metered_t *
ngx_trp_bandwidth_metered(ngx_trp_peer_t *peer, ngx_uint_t i)
{
    if (peer->metered == NULL) {
        peer->metered = ngx_pcalloc(peer->tunnel->connection->pool,
                                    2 * sizeof(ngx_trp_metered_t));
        if (peer->metered == NULL) {
            return NULL;
        }

        peer->metered[NGX_TRP_BANDWIDTH_INPUT].data = peer->tunnel;
        peer->metered[NGX_TRP_BANDWIDTH_INPUT].wake
                                                = ngx_trp_bandwidth_readable;
        peer->metered[NGX_TRP_BANDWIDTH_OUTPUT].data = peer->tunnel;
        peer->metered[NGX_TRP_BANDWIDTH_OUTPUT].wake
                                                = ngx_trp_bandwidth_writable;
    }

    return &peer->metered[i];
}


static void
ngx_trp_bandwidth_share(ngx_trp_metered_t *metered, ngx_trp_peer_t *entry,
    ngx_trp_peer_t *reverse, ngx_uint_t direction)
{
    ngx_uint_t        i;
    ngx_trp_usage_t  *usages[NGX_TRP_METERS];

    usages[0] = entry ? &entry->agent->member->usage : NULL;
    usages[1] = &reverse->agent->member->usage;
    usages[2] = &reverse->agent->group->usage;

    if (usages[0] == usages[1]) {

        /* a key of both roles */
        usages[0] = NULL;
    }

    metered->n = 0;

    for (i = 0; i < NGX_TRP_METERS; i++) {
        if (usages[i] && usages[i]->meters) {
            metered->meters[metered->n++] = &usages[i]->meters[direction];
        }
    }
}


void
ngx_trp_bandwidth_stop(ngx_trp_peer_t *peer)
{
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    if (t->input) {
        ngx_trp_metered_leave(t->input);
        t->input = NULL;

        /* what follows the stream may have been left unread */
        ngx_trp_bandwidth_readable(t);
    }

    if (t->output) {
        ngx_trp_metered_leave(t->output);
        t->output = NULL;
    }
}


static void
ngx_trp_bandwidth_readable(void *data)
{
    ngx_trp_tunnel_t *t = data;

    if (!t->failed) {
        ngx_post_event(t->connection->read, &ngx_posted_events);
    }
}


static void
ngx_trp_bandwidth_writable(void *data)
{
    ngx_trp_tunnel_t *t = data;

    if (!t->failed && !t->blocked) {
        t->handlers->writable(t);
    }
}
