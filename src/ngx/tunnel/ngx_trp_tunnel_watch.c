
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether a tunnel's peer is alive: heartbeats while it is idle, the kernel's
 * state of the connection while it is busy, and deadlines.
 */


#include "tunnel/ngx_trp_tunnel_watch.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"
#include "tunnel/ngx_trp_tunnel_output.h"


#define NGX_TRP_BEATS        3       /* missed until a peer counts as dead */

#define NGX_TRP_PROBE_BEAT   1000    /* of a peer that is to be found dead */
#define NGX_TRP_PROBE_BEATS  8       /* for so long */

#define NGX_TRP_STUCK_BEATS  360     /* the same for a stream that has ended */


static ngx_msec_t ngx_trp_tunnel_beat(ngx_trp_tunnel_t *t);
static ngx_uint_t ngx_trp_tunnel_stuck(ngx_trp_tunnel_t *t);


/*
 * Heartbeats run on idle tunnels only: under backpressure a tunnel is not read,
 * and a PONG would be stuck behind data.  On busy ones the transport tells
 * whether the peer's host is alive.
 */

void
ngx_trp_tunnel_keepalive(ngx_trp_tunnel_t *t)
{
    t->transport->ops->keepalive(t->transport, ngx_trp_tunnel_beat(t),
                                 NGX_TRP_BEATS);
}


static ngx_msec_t
ngx_trp_tunnel_beat(ngx_trp_tunnel_t *t)
{
    return t->probing ? NGX_TRP_PROBE_BEAT : t->heartbeat;
}


ngx_int_t
ngx_trp_tunnel_timeout(ngx_trp_tunnel_t *t)
{
    ngx_msec_t            beat, next, silent;
    ngx_connection_t     *c;
    ngx_trp_transport_t  *tr;

    c = t->connection;
    tr = t->transport;

    if (t->deadline) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel timed out while %s", t->deadline);
        ngx_trp_tunnel_why(t, "timed out");
        return NGX_ERROR;
    }

    if (t->busy
        && tr->ops->lost(tr, ngx_trp_tunnel_beat(t), NGX_TRP_BEATS))
    {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer does not acknowledge data");
        ngx_trp_tunnel_why(t, "peer does not acknowledge data");
        return NGX_ERROR;
    }

    if (t->abandoned && ngx_trp_tunnel_stuck(t)) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer does not consume the end of a stream");
        ngx_trp_tunnel_why(t, "peer does not consume the end of a stream");
        return NGX_ERROR;
    }

    if (t->probing && --t->probing == 0) {
        ngx_trp_tunnel_keepalive(t);
    }

    beat = ngx_trp_tunnel_beat(t);
    silent = ngx_current_msec - t->received;

    if (silent >= t->heartbeat) {
        tr->ops->relax(tr, 0);
    }

    next = ngx_trp_tunnel_doubt(t);

    if (t->busy || silent < beat) {

        /* the timer also keeps an exiting worker alive for the stream */

        beat = t->busy ? beat : beat - silent;

        ngx_add_timer(c->read, next ? ngx_min(beat, next) : beat);
        return NGX_OK;
    }

    if (t->missed == NGX_TRP_BEATS) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "tunnel's peer is silent for %M ms", silent);
        ngx_trp_tunnel_why(t, "peer is silent");
        return NGX_ERROR;
    }

    t->missed++;

    ngx_trp_tunnel_send(t, TRP_PING);
    ngx_add_timer(c->read, beat);

    return NGX_OK;
}


/*
 * The stream has ended here, and waits for a peer that reads slowly, or hangs:
 * if the peer's own reader hangs, the peer ends that itself at some time.
 */

static ngx_uint_t
ngx_trp_tunnel_stuck(ngx_trp_tunnel_t *t)
{
    size_t  unsent;

    unsent = ngx_trp_tunnel_unsent(t);

    if (unsent != t->unsent) {
        t->unsent = unsent;
        t->received = ngx_current_msec;
    }

    return ngx_current_msec - t->received > t->heartbeat * NGX_TRP_STUCK_BEATS;
}


void
ngx_trp_tunnel_deadline(ngx_trp_tunnel_t *t, ngx_msec_t msec, const char *what)
{
    t->deadline = what;

    ngx_add_timer(t->connection->read, msec);
}


void
ngx_trp_tunnel_watch(ngx_trp_tunnel_t *t)
{
    ngx_event_t  *rev;

    rev = t->connection->read;

    t->missed = 0;
    t->received = ngx_current_msec;

    if (t->doubt.timeout && t->deadline == NULL && rev->timer_set
        && (ngx_msec_int_t) (t->received + t->heartbeat - rev->timer.key) > 0)
    {
        /* the next OPEN needs it so soon */
        return;
    }

    t->deadline = NULL;

    ngx_add_timer(rev, t->heartbeat);
}


void
ngx_trp_tunnel_answered(ngx_trp_tunnel_t *t)
{
    t->probing = 0;
    ngx_trp_tunnel_keepalive(t);
}


ngx_uint_t
ngx_trp_tunnel_probe(ngx_trp_tunnel_t *t)
{
    if (t->failed || t->deadline
        || ngx_current_msec - t->received < NGX_TRP_PROBE_BEAT)
    {
        return 0;
    }

    if (t->probing) {
        return 1;
    }

    t->probing = NGX_TRP_PROBE_BEATS;
    ngx_trp_tunnel_keepalive(t);

    if (!t->busy) {
        t->missed = 1;
        ngx_trp_tunnel_send(t, TRP_PING);
    }

    /* nginx does not move a timer by a small amount */

    if (t->connection->read->timer_set) {
        ngx_del_timer(t->connection->read);
    }

    ngx_add_timer(t->connection->read, NGX_TRP_PROBE_BEAT);

    return 1;
}
