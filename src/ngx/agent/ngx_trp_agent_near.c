
/*
 * Copyright (C) the trp authors
 */


/*
 * Makes near tunnels, and keeps those that are idle.  While the other worker
 * takes none, a stream tries again and again, until its own time is over.
 */


#include "agent/ngx_trp_agent_near.h"
#include "base/ngx_trp_capacity.h"


#define NGX_TRP_NEAR_IDLE   32       /* at most, used last first */
#define NGX_TRP_NEAR_TIME   10000    /* for how long, milliseconds */
#define NGX_TRP_NEAR_RETRY  20


#define ngx_trp_near_user_of(s)  trp_of(ngx_trp_near_user_t, source, s)


typedef struct {
    ngx_queue_t        queue;        /* in near->idle */
    ngx_trp_near_t    *near;
    ngx_trp_tunnel_t  *tunnel;
    ngx_str_t          group;
    ngx_msec_t         since;        /* it is idle */
    unsigned           idle:1;
} ngx_trp_near_link_t;


static ngx_uint_t ngx_trp_near_admits(ngx_trp_source_t *source);
static ngx_trp_tunnel_t *ngx_trp_near_get(ngx_trp_source_t *source);
static ngx_trp_tunnel_t *ngx_trp_near_connect(ngx_trp_near_t *near,
    ngx_str_t *group);
static void ngx_trp_near_wait(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static void ngx_trp_near_cancel(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static void ngx_trp_near_retry(ngx_event_t *ev);
static void ngx_trp_near_take(ngx_trp_near_link_t *link);
static void ngx_trp_near_idle(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_near_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);
static void ngx_trp_near_drain(ngx_trp_tunnel_t *t);
static void ngx_trp_near_closed(ngx_trp_tunnel_t *t);
static void ngx_trp_near_give_up(ngx_event_t *ev);


static const ngx_trp_source_ops_t  ngx_trp_near_source_ops = {
    ngx_trp_near_admits,
    ngx_trp_near_get,
    ngx_trp_near_wait,
    ngx_trp_near_cancel
};


static const ngx_trp_tunnel_handlers_t  ngx_trp_near_handlers = {
    ngx_trp_holder_readable,
    ngx_trp_holder_writable,
    ngx_trp_near_idle,
    ngx_trp_near_frame,
    ngx_trp_near_drain,
    ngx_trp_near_closed,
    NULL
};


ngx_int_t
ngx_trp_near_init(ngx_trp_near_t *near, ngx_cycle_t *cycle)
{
    ngx_queue_init(&near->idle);

    near->log = cycle->log;

    near->event.data = near;
    near->event.log = cycle->log;
    near->event.handler = ngx_trp_near_give_up;
    near->event.cancelable = 1;

    return ngx_trp_bio_init(cycle->pool, &near->tunnels.bio);
}


void
ngx_trp_near_user(ngx_trp_near_user_t *user, ngx_trp_near_t *near,
    ngx_str_t *group, ngx_log_t *log)
{
    ngx_memzero(user, sizeof(ngx_trp_near_user_t));

    user->near = near;
    user->group = *group;

    user->source.ops = &ngx_trp_near_source_ops;
    user->source.group = &user->group;
    user->source.spare = TRP_SPARE_UNKNOWN;
    ngx_str_set(&user->source.name, "local");

    user->timer.data = user;
    user->timer.log = log;
    user->timer.handler = ngx_trp_near_retry;
}


/* a connection for the stream, and one for a tunnel */

static ngx_uint_t
ngx_trp_near_admits(ngx_trp_source_t *source)
{
    ngx_trp_near_t  *near;

    near = ngx_trp_near_user_of(source)->near;

    return ngx_trp_capacity_left(near->size) > 2;
}


static ngx_trp_tunnel_t *
ngx_trp_near_get(ngx_trp_source_t *source)
{
    ngx_str_t            *group;
    ngx_queue_t          *q;
    ngx_trp_near_t       *near;
    ngx_trp_near_link_t  *link;

    near = ngx_trp_near_user_of(source)->near;
    group = &ngx_trp_near_user_of(source)->group;

    for (q = ngx_queue_head(&near->idle);
         q != ngx_queue_sentinel(&near->idle);
         q = ngx_queue_next(q))
    {
        link = ngx_queue_data(q, ngx_trp_near_link_t, queue);

        if (!link->tunnel->failed && ngx_trp_str_same(&link->group, group)) {
            ngx_trp_near_take(link);
            return link->tunnel;
        }
    }

    return ngx_trp_near_connect(near, group);
}


static ngx_trp_tunnel_t *
ngx_trp_near_connect(ngx_trp_near_t *near, ngx_str_t *group)
{
    ngx_int_t             rc;
    ngx_socket_t          fds[2];
    ngx_trp_tunnel_t     *t;
    ngx_trp_near_link_t  *link;

    if (ngx_trp_capacity_left(near->size) == 0
        || ngx_trp_near_pair(fds, near->log) != NGX_OK)
    {
        return NULL;
    }

    rc = near->ops->connect(near->relay, group, near->reset, fds[1]);

    (void) ngx_close_socket(fds[1]);

    if (rc != NGX_OK) {
        (void) ngx_close_socket(fds[0]);
        return NULL;
    }

    t = ngx_trp_near_create(fds[0], sizeof(ngx_trp_near_link_t),
                            &near->tunnels, &ngx_trp_near_handlers, 0,
                            near->heartbeat, near->log);
    if (t == NULL) {
        return NULL;
    }

    link = t->data;

    link->near = near;
    link->tunnel = t;
    link->group.len = group->len;
    link->group.data = ngx_pstrdup(t->connection->pool, group);

    if (link->group.data == NULL) {
        ngx_trp_tunnel_fail(t);
        return NULL;
    }

    t->connection->log->action = "serving users by another worker";

    return t;
}


static void
ngx_trp_near_wait(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    ngx_trp_near_user_t  *user;

    user = ngx_trp_near_user_of(source);

    user->holder = holder;
    ngx_add_timer(&user->timer, NGX_TRP_NEAR_RETRY);
}


static void
ngx_trp_near_cancel(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    ngx_trp_near_user_t  *user;

    user = ngx_trp_near_user_of(source);

    user->holder = NULL;

    if (user->timer.timer_set) {
        ngx_del_timer(&user->timer);
    }
}


static void
ngx_trp_near_retry(ngx_event_t *ev)
{
    ngx_trp_holder_t     *holder;
    ngx_trp_tunnel_t     *t;
    ngx_trp_near_user_t  *user;

    user = ev->data;

    t = ngx_trp_near_get(&user->source);

    if (t == NULL) {
        ngx_add_timer(ev, NGX_TRP_NEAR_RETRY);
        return;
    }

    holder = user->holder;
    user->holder = NULL;

    holder->ops->attach(holder, t);
}


/* an idle tunnel is used, or is no longer kept */

static void
ngx_trp_near_take(ngx_trp_near_link_t *link)
{
    if (link->idle) {
        link->idle = 0;
        link->near->nidle--;

        ngx_queue_remove(&link->queue);
    }
}


static void
ngx_trp_near_idle(ngx_trp_tunnel_t *t)
{
    ngx_queue_t          *q;
    ngx_trp_near_t       *near;
    ngx_trp_near_link_t  *link, *last;

    link = t->data;
    near = link->near;

    if (t->holder) {
        t->holder->ops->detach(t->holder);
    }

    if (t->failed) {
        return;
    }

    if (ngx_exiting || t->draining) {
        ngx_trp_near_drain(t);
        return;
    }

    if (near->nidle == NGX_TRP_NEAR_IDLE) {

        /* of groups that strangers name, nobody may ask again */

        q = ngx_queue_last(&near->idle);
        last = ngx_queue_data(q, ngx_trp_near_link_t, queue);

        ngx_trp_near_drain(last->tunnel);
    }

    ngx_queue_insert_head(&near->idle, &link->queue);
    near->nidle++;

    link->idle = 1;
    link->since = ngx_current_msec;

    if (!near->event.timer_set) {
        ngx_add_timer(&near->event, NGX_TRP_NEAR_TIME);
    }
}


static ngx_int_t
ngx_trp_near_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame)
{
    ngx_trp_near_link_t  *link;

    link = t->data;

    switch (frame->type) {

    case TRP_DRAIN:
        t->draining = 1;

        ngx_trp_near_take(link);

        if (!t->busy) {
            ngx_trp_tunnel_fail(t);
        }

        return NGX_OK;

    case TRP_AGENTS:
        return NGX_OK;

    default:
        return t->holder ? t->holder->ops->frame(t->holder, frame) : NGX_OK;
    }
}


/* this worker exits, or the tunnel is not needed: the relay closes it */

static void
ngx_trp_near_drain(ngx_trp_tunnel_t *t)
{
    t->draining = 1;

    ngx_trp_near_take(t->data);

    if (t->busy) {

        if (t->holder) {
            t->holder->ops->drain(t->holder);
        }

        return;
    }

    ngx_trp_tunnel_send(t, TRP_DRAIN);
    ngx_trp_tunnel_deadline(t, NGX_TRP_LINGER_TIME,
                            "waiting for the other worker to close");
}


static void
ngx_trp_near_closed(ngx_trp_tunnel_t *t)
{
    ngx_trp_near_take(t->data);

    if (t->holder) {
        t->holder->ops->lost(t->holder);
    }
}


/* those used least come last */

static void
ngx_trp_near_give_up(ngx_event_t *ev)
{
    ngx_queue_t          *q;
    ngx_trp_near_t       *near;
    ngx_trp_near_link_t  *link;

    near = ev->data;

    while (near->nidle) {
        q = ngx_queue_last(&near->idle);
        link = ngx_queue_data(q, ngx_trp_near_link_t, queue);

        if (ngx_current_msec - link->since < NGX_TRP_NEAR_TIME) {
            ngx_add_timer(ev, NGX_TRP_NEAR_TIME / 4);
            return;
        }

        ngx_trp_near_drain(link->tunnel);
    }
}
