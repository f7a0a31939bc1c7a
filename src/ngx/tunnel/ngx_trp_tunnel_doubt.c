
/*
 * Copyright (C) the trp authors
 */


/*
 * Tells a silent peer from a slow service, and makes sure that a stream which
 * is opened elsewhere is not carried out by the silent peer, too.
 */


#include "tunnel/ngx_trp_tunnel_doubt.h"
#include "tunnel/ngx_trp_tunnel_output.h"


static void ngx_trp_tunnel_doubted(ngx_trp_tunnel_t *t);
static ngx_uint_t ngx_trp_tunnel_lives(ngx_trp_tunnel_t *t, size_t unsent);
static ngx_uint_t ngx_trp_tunnel_safe(ngx_trp_tunnel_t *t, size_t unsent);


void
ngx_trp_tunnel_expect(ngx_trp_tunnel_t *t)
{
    ngx_msec_t              next;
    ngx_event_t            *rev;
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &t->doubt;

    doubt->asked = 0;
    doubt->heard = 0;
    doubt->unsafe = 0;
    doubt->confirm = 0;
    doubt->partial = 0;

    if (doubt->timeout == 0) {
        return;
    }

    doubt->open = 1;
    doubt->since = ngx_current_msec;

    /* a timer that expires sooner stays: it is not moved for each stream */

    rev = t->connection->read;
    next = ngx_current_msec + doubt->timeout / 2;

    if (rev->timer_set) {

        if ((ngx_msec_int_t) (next - rev->timer.key) >= 0) {
            return;
        }

        ngx_del_timer(rev);
    }

    ngx_add_timer(rev, doubt->timeout / 2);
}


ngx_msec_t
ngx_trp_tunnel_doubt(ngx_trp_tunnel_t *t)
{
    size_t                   unsent;
    ngx_msec_t               elapsed, half, wait;
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &t->doubt;

    if (doubt->open == 0) {
        return 0;
    }

    half = ngx_max(doubt->timeout / 2, 1);
    elapsed = ngx_current_msec - doubt->since;

    if (doubt->asked && t->missed == 0) {

        /* it has answered */

        doubt->asked = 0;
        doubt->heard = 1;
        doubt->unsafe = 0;
        doubt->since = ngx_current_msec;

        return half;
    }

    wait = doubt->asked ? ngx_max(doubt->timeout - half, 1) : half;

    if (elapsed < wait) {
        return wait - elapsed;
    }

    doubt->since = ngx_current_msec;

    if (!doubt->asked) {
        ngx_trp_tunnel_doubted(t);
        return half;
    }

    unsent = ngx_trp_tunnel_unsent(t);

    if (ngx_trp_tunnel_lives(t, unsent)) {
        doubt->asked = 0;
        return half;
    }

    doubt->unsafe = !ngx_trp_tunnel_safe(t, unsent);

    t->handlers->silent(t, !doubt->unsafe);

    return half;
}


/* a half-written frame stands in the way of PING; its rest is on its way */

static void
ngx_trp_tunnel_doubted(ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &t->doubt;

    if (doubt->partial) {
        return;
    }

    doubt->unsent = ngx_trp_tunnel_unsent(t);
    doubt->had = (doubt->unsent == 0);
    doubt->asked = 1;

    t->missed = 1;

    if (doubt->able) {
        ngx_trp_tunnel_send(t, TRP_PING);
    }
}


/*
 * An older peer does not answer PING, but its host acknowledges what was sent.
 * The same goes for one behind a slow line that is still receiving.
 */

static ngx_uint_t
ngx_trp_tunnel_lives(ngx_trp_tunnel_t *t, size_t unsent)
{
    return (!t->doubt.able && unsent == 0) || unsent < t->doubt.unsent;
}


/*
 * Can nothing of what the user has sent reach the destination there?  There is
 * nothing; or it has not arrived, and never will when the tunnel is reset; or
 * PING has arrived unread, so the process is stopped, and will find the reset
 * behind OPEN; or it has read PING, and waits for PONG.
 */

static ngx_uint_t
ngx_trp_tunnel_safe(ngx_trp_tunnel_t *t, size_t unsent)
{
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &t->doubt;

    if (t->state.payload == 0 || !doubt->had) {
        return 1;
    }

    return t->state.relay && doubt->able && (doubt->heard || unsent == 0);
}


void
ngx_trp_tunnel_answer(ngx_trp_tunnel_t *t)
{
    t->doubt.open = 0;
}


void
ngx_trp_tunnel_confirm(ngx_trp_tunnel_t *t)
{
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &t->doubt;

    if (!doubt->asked && !doubt->heard) {
        return;
    }

    doubt->confirm = doubt->partial;

    if (!doubt->partial) {
        doubt->asked = 0;
        doubt->heard = 0;

        ngx_trp_tunnel_send(t, TRP_PONG);
    }
}


ngx_uint_t
ngx_trp_tunnel_ask(ngx_trp_tunnel_t *t)
{
    if (t->busy || t->failed || t->deadline) {
        return 0;
    }

    if (t->missed == 0) {
        t->missed = 1;
        ngx_trp_tunnel_send(t, TRP_PING);
    }

    return 1;
}


void
ngx_trp_tunnel_forsake(ngx_trp_tunnel_t *t)
{
    /* no output is flushed */

    t->connection->error = 1;
    t->transport->ops->reset(t->transport);

    ngx_trp_tunnel_lose(t, "peer did not answer");
}


ngx_uint_t
ngx_trp_tunnel_asked(ngx_trp_tunnel_t *t)
{
    if (!t->busy) {
        return 1;
    }

    if (t->state.opener || t->state.sent & TRP_SEEN_ANSWER) {
        return 0;
    }

    t->doubt.asked = 1;

    return 1;
}
