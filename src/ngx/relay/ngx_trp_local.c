
/*
 * Copyright (C) the trp authors
 */


/*
 * Gives the users of this nginx tunnels of reverses.  They wait together with
 * those of entries, and by the same rules; what a reverse answers is counted
 * here before the stream sees it.
 */


#include "relay/ngx_trp_local.h"
#include "relay/ngx_trp_bandwidth.h"
#include "relay/ngx_trp_choice.h"
#include "relay/ngx_trp_groups.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_presence.h"
#include "relay/ngx_trp_services.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"


#define ngx_trp_local_of(s)  trp_of(ngx_trp_local_t, source, s)


static void ngx_trp_local_exiting_group(ngx_trp_group_t *group);
static ngx_uint_t ngx_trp_local_admits(ngx_trp_source_t *source);
static ngx_trp_tunnel_t *ngx_trp_local_get(ngx_trp_source_t *source);
static void ngx_trp_local_wait(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static void ngx_trp_local_cancel(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static ngx_trp_holder_t *ngx_trp_local_stop(ngx_trp_local_t *local);
static ngx_trp_tunnel_t *ngx_trp_local_take(ngx_trp_local_t *local,
    ngx_trp_peer_t *reverse);
static void ngx_trp_local_found(ngx_trp_seeker_t *seeker,
    ngx_trp_peer_t *reverse);
static void ngx_trp_local_absent(ngx_trp_seeker_t *seeker);
static void ngx_trp_local_timeout(ngx_event_t *ev);
static void ngx_trp_local_fail(ngx_trp_local_t *local);
static void ngx_trp_local_forget(ngx_trp_peer_t *peer);
static void ngx_trp_local_refused(ngx_trp_peer_t *peer, trp_frame_t *frame);
static void ngx_trp_local_free(ngx_trp_peer_t *peer);


static const ngx_trp_source_ops_t  ngx_trp_local_source_ops = {
    ngx_trp_local_admits,
    ngx_trp_local_get,
    ngx_trp_local_wait,
    ngx_trp_local_cancel
};


ngx_int_t
ngx_trp_local_enter(ngx_trp_pair_t *pair, ngx_trp_local_t *local,
    const ngx_trp_limits_t *limits, ngx_msec_t timeout, const char **why)
{
    ngx_trp_group_t  *group;

    group = ngx_trp_pair_enter(pair, &local->group, limits);
    if (group == NULL) {
        return NGX_ERROR;
    }

    *why = ngx_trp_pair_opened(group, NULL);

    if (*why) {
        ngx_trp_presence_refused(group, NULL, TRP_CODE_LIMIT);
        ngx_trp_pair_exit(group);
        return NGX_BUSY;
    }

    local->source.ops = &ngx_trp_local_source_ops;
    local->source.group = &local->group;
    ngx_str_set(&local->source.name, "local");

    local->seeker.group = group;
    local->seeker.id = local->id;
    local->seeker.found = ngx_trp_local_found;
    local->seeker.absent = local->reset ? ngx_trp_local_absent : NULL;

    local->timeout = timeout;

    local->timer.data = local;
    local->timer.log = local->log;
    local->timer.handler = ngx_trp_local_timeout;

    return NGX_OK;
}


void
ngx_trp_local_leave(ngx_trp_local_t *local)
{
    ngx_trp_group_t  *group;

    group = local->seeker.group;

    (void) ngx_trp_local_stop(local);

    if (local->reverse) {
        ngx_trp_local_forget(local->reverse);
    }

    if (local->seeker.service) {
        ngx_trp_services_put(local->seeker.service);
    }

    if (local->code != TRP_CODE_NONE) {
        ngx_trp_presence_refused(group, NULL, local->code);
    }

    ngx_trp_pair_closed(group, NULL);
    ngx_trp_pair_exit(group);
}


void
ngx_trp_local_exiting(ngx_trp_pair_t *pair)
{
    ngx_trp_group_t  *group, *next;

    if (pair->rbtree.root == &pair->sentinel) {
        return;
    }

    group = (ngx_trp_group_t *)
            ngx_rbtree_min(pair->rbtree.root, &pair->sentinel);

    /* streams that leave may free their group, and others that rest */

    group->nlocals++;

    while (group) {
        ngx_trp_local_exiting_group(group);

        next = (ngx_trp_group_t *)
               ngx_rbtree_next(&pair->rbtree, &group->sn.node);

        if (next) {
            next->nlocals++;
        }

        ngx_trp_pair_exit(group);

        group = next;
    }
}


static void
ngx_trp_local_exiting_group(ngx_trp_group_t *group)
{
    ngx_uint_t         n;
    ngx_queue_t       *q;
    ngx_trp_holder_t  *holder;
    ngx_trp_seeker_t  *seeker;

    for (n = group->nwaiting, q = ngx_queue_head(&group->waiting); n; n--) {
        seeker = ngx_queue_data(q, ngx_trp_seeker_t, queue);
        q = ngx_queue_next(q);

        if (seeker->found == ngx_trp_local_found) {
            holder = ngx_trp_local_stop(trp_of(ngx_trp_local_t, seeker,
                                               seeker));
            holder->ops->reopen(holder);
        }
    }
}


/* the stream needs a connection, and no tunnel has to be made for it */

static ngx_uint_t
ngx_trp_local_admits(ngx_trp_source_t *source)
{
    ngx_trp_local_t  *local;

    local = ngx_trp_local_of(source);

    return ngx_trp_capacity_left(local->seeker.group->pair->size) > 1;
}


static ngx_trp_tunnel_t *
ngx_trp_local_get(ngx_trp_source_t *source)
{
    ngx_trp_peer_t   *reverse;
    ngx_trp_local_t  *local;

    local = ngx_trp_local_of(source);
    reverse = ngx_trp_choice_take(&local->seeker);

    return reverse ? ngx_trp_local_take(local, reverse) : NULL;
}


/* in two parts: after the first one any reverse will do */

static void
ngx_trp_local_wait(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    ngx_msec_t        patience;
    ngx_trp_local_t  *local;

    local = ngx_trp_local_of(source);

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, local->log, 0,
                   "trp stream %s waits for a reverse of group \"%V\", "
                   "reverses: %ui", ngx_trp_id_text(local->id).data,
                   &local->group, local->seeker.group->nreverses);

    local->holder = holder;

    ngx_trp_pair_wait(&local->seeker);

    patience = ngx_min(local->timeout / 2, NGX_TRP_PAIR_PATIENCE);
    local->left = local->timeout - patience;

    ngx_add_timer(&local->timer, patience);
}


static void
ngx_trp_local_cancel(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    (void) ngx_trp_local_stop(ngx_trp_local_of(source));
}


/* it no longer waits; returns what has waited, or NULL */

static ngx_trp_holder_t *
ngx_trp_local_stop(ngx_trp_local_t *local)
{
    ngx_trp_holder_t  *holder;

    holder = local->holder;
    local->holder = NULL;

    ngx_trp_pair_unwait(&local->seeker);

    if (local->timer.timer_set) {
        ngx_del_timer(&local->timer);
    }

    return holder;
}


static ngx_trp_tunnel_t *
ngx_trp_local_take(ngx_trp_local_t *local, ngx_trp_peer_t *reverse)
{
    if (local->reverse) {

        /* it has refused the stream, or lost it */
        ngx_trp_local_forget(local->reverse);
    }

    local->code = TRP_CODE_NONE;
    local->reverse = reverse;

    local->key = reverse->key;
    local->name.len = reverse->agent->name.len;
    local->name.data = local->name_text;
    ngx_memcpy(local->name_text, reverse->agent->name.data, local->name.len);

    local->source.spare = ngx_trp_pair_spare(reverse->agent);

    reverse->local = local;
    reverse->direct = 1;

    ngx_trp_pair_busy(reverse);

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, local->log, 0,
                   "trp stream %s is given tunnel *%uA of %s",
                   ngx_trp_id_text(local->id).data,
                   reverse->tunnel->connection->number,
                   ngx_trp_peer_text(reverse).data);

    return reverse->tunnel;
}


static void
ngx_trp_local_found(ngx_trp_seeker_t *seeker, ngx_trp_peer_t *reverse)
{
    ngx_trp_local_t   *local;
    ngx_trp_holder_t  *holder;

    local = trp_of(ngx_trp_local_t, seeker, seeker);
    holder = ngx_trp_local_stop(local);

    holder->ops->attach(holder, ngx_trp_local_take(local, reverse));
}


static void
ngx_trp_local_absent(ngx_trp_seeker_t *seeker)
{
    ngx_trp_local_fail(trp_of(ngx_trp_local_t, seeker, seeker));
}


static void
ngx_trp_local_timeout(ngx_event_t *ev)
{
    ngx_trp_peer_t   *reverse;
    ngx_trp_local_t  *local;

    local = ev->data;

    if (local->left == 0) {
        ngx_trp_local_fail(local);
        return;
    }

    local->seeker.impatient = 1;
    reverse = ngx_trp_choice_take(&local->seeker);

    if (reverse) {
        ngx_trp_local_found(&local->seeker, reverse);
        return;
    }

    ngx_add_timer(ev, local->left);
    local->left = 0;
}


static void
ngx_trp_local_fail(ngx_trp_local_t *local)
{
    u_char             why[sizeof("no reverse was there") + NGX_TRP_GROUPS_LEN];
    ngx_trp_group_t   *group;
    ngx_trp_holder_t  *holder;

    group = local->seeker.group;
    holder = ngx_trp_local_stop(local);

    local->code = TRP_CODE_NO_AGENT;

    if (group->nreverses) {
        holder->ops->fail(holder, TRP_CODE_NO_AGENT, "no reverse was free");
        return;
    }

    *ngx_snprintf(why, sizeof(why) - 1, "no reverse was there%s",
                  ngx_trp_groups_text(group->pair).data)
        = '\0';

    holder->ops->fail(holder, TRP_CODE_NO_AGENT, (char *) why);
}


/* the tunnel's stream is no longer that of a user here */

static void
ngx_trp_local_forget(ngx_trp_peer_t *peer)
{
    if (peer->local) {
        peer->local->reverse = NULL;
        peer->local = NULL;
    }
}


ngx_int_t
ngx_trp_local_frame(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    ngx_trp_holder_t  *holder;

    holder = peer->tunnel->holder;

    if (frame->type == TRP_ACCEPT) {
        peer->accepted = 1;
        ngx_trp_choice_accepted(peer->agent);
        ngx_trp_tunnel_confirm(peer->tunnel);
        ngx_trp_bandwidth_start(NULL, peer);

    } else if (frame->type == TRP_REFUSE && peer->local) {
        ngx_trp_local_refused(peer, frame);
    }

    return holder ? holder->ops->frame(holder, frame) : NGX_OK;
}


/* the stream reads the frame next: may it be opened once more? */

static void
ngx_trp_local_refused(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    u_char             buf[NGX_TRP_OPEN_MAX];
    trp_refuse_t       refuse;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    if (trp_refuse_get(&refuse, t->reader.buf, frame->len) != TRP_OK) {
        return;
    }

    refuse.retry &= ngx_trp_choice_refused(peer->agent, &peer->local->seeker,
                                           refuse.code);

    peer->local->code = refuse.code;
    ngx_trp_presence_refusal(peer->agent, refuse.code);

    ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                  "%s refused: %s%s, group: \"%V\", stream: %s",
                  ngx_trp_peer_text(peer).data, trp_code_text(refuse.code),
                  refuse.retry ? ", another one may not" : "",
                  &peer->agent->group->sn.str,
                  ngx_trp_id_text(peer->local->id).data);

    (void) trp_refuse_put(buf, TRP_REFUSE, &refuse);
    ngx_memcpy(t->reader.buf, buf + TRP_HEADER_LEN, frame->len);
}


void
ngx_trp_local_silent(ngx_trp_peer_t *peer, ngx_uint_t safe)
{
    if (peer->local == NULL
        || ngx_trp_pair_silent(peer, &peer->local->seeker) != NGX_OK
        || !safe)
    {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, peer->tunnel->connection->log, NGX_ETIMEDOUT,
                  "%s does not answer, another one may, group: \"%V\", "
                  "stream: %s", ngx_trp_peer_text(peer).data,
                  &peer->agent->group->sn.str,
                  ngx_trp_id_text(peer->local->id).data);

    ngx_trp_tunnel_forsake(peer->tunnel);
}


void
ngx_trp_local_over(ngx_trp_peer_t *peer)
{
    ngx_trp_holder_t  *holder;

    holder = peer->tunnel->holder;

    if (holder) {
        holder->ops->detach(holder);
    }

    ngx_trp_local_free(peer);
}


ngx_trp_holder_t *
ngx_trp_local_gone(ngx_trp_peer_t *peer)
{
    if (peer->local && !peer->accepted && peer->tunnel->holder) {

        /* others come first when it is opened again */
        (void) ngx_trp_choice_refused(peer->agent, &peer->local->seeker,
                                      TRP_CODE_NONE);
    }

    ngx_trp_local_free(peer);

    return peer->tunnel->holder;
}


static void
ngx_trp_local_free(ngx_trp_peer_t *peer)
{
    ngx_trp_local_forget(peer);
    ngx_trp_bandwidth_stop(peer);

    peer->direct = 0;
    peer->accepted = 0;

    ngx_trp_pair_free(peer);
}
