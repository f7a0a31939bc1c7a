
/*
 * Copyright (C) the trp authors
 */


/*
 * A way for datagrams to a relay as a user of an allocation.  Once it has
 * worked, it does not give up: an allocation that is lost is replaced by
 * another one, on the same server or the next, until the owner has enough.
 */


#include "agent/ngx_trp_path_turn.h"
#include "agent/ngx_trp_turn_servers.h"
#include "base/ngx_trp_addr.h"
#include "turnc/ngx_trp_turnc_user.h"


/* what fits into ChannelData on any path, as QUIC's Initials have to */

#define NGX_TRP_PATH_TURN_MAX       1200
#define NGX_TRP_PATH_TURN_SEGMENTS  54

/* between attempts to replace a lost allocation, milliseconds */

#define NGX_TRP_PATH_TURN_PAUSE     500
#define NGX_TRP_PATH_TURN_PAUSE_MAX 4000


typedef struct {
    ngx_trp_udp_path_t       path;
    ngx_trp_agent_worker_t  *agent;
    ngx_trp_turnc_server_t  *server;
    ngx_trp_turnc_user_t     user;
    ngx_event_t              event;      /* it is ready, or to be attached */
    ngx_uint_t               failures;   /* in a row */
    unsigned                 worked:1;   /* it was ready before */
} ngx_trp_path_turn_t;


static ngx_int_t ngx_trp_path_turn_attach(ngx_trp_path_turn_t *pt);
static void ngx_trp_path_turn_ready(ngx_trp_turnc_user_t *user);
static void ngx_trp_path_turn_failed(ngx_trp_turnc_user_t *user,
    ngx_trp_turnc_alloc_t *a, ngx_uint_t code);
static void ngx_trp_path_turn_again(ngx_trp_path_turn_t *pt);
static void ngx_trp_path_turn_retry(ngx_trp_turnc_user_t *user);
static void ngx_trp_path_turn_event_handler(ngx_event_t *ev);
static void ngx_trp_path_turn_drain(ngx_trp_turnc_user_t *user);
static void ngx_trp_path_turn_received(ngx_trp_turnc_user_t *user, u_char *p,
    size_t len);
static void ngx_trp_path_turn_forbidden(ngx_trp_turnc_user_t *user,
    ngx_uint_t code);
static void ngx_trp_path_turn_writable(ngx_trp_turnc_user_t *user);
static ngx_int_t ngx_trp_path_turn_send(ngx_trp_udp_path_t *path, u_char *p,
    size_t len, size_t segment);
static void ngx_trp_path_turn_close(ngx_trp_udp_path_t *path);


static const ngx_trp_turnc_user_handlers_t  ngx_trp_path_turn_handlers = {
    ngx_trp_path_turn_ready,
    ngx_trp_path_turn_failed,
    ngx_trp_path_turn_retry,
    ngx_trp_path_turn_drain,
    NULL,
    NULL,
    ngx_trp_path_turn_received,
    ngx_trp_path_turn_forbidden,
    ngx_trp_path_turn_writable
};


static const ngx_trp_udp_path_ops_t  ngx_trp_path_turn_ops = {
    ngx_trp_path_turn_send,
    ngx_trp_path_turn_close
};


ngx_trp_udp_path_t *
ngx_trp_path_turn_open(ngx_trp_agent_worker_t *agent,
    struct sockaddr *sockaddr, socklen_t socklen,
    const ngx_trp_udp_path_handlers_t *handlers, void *data, ngx_log_t *log)
{
    in_port_t             port;
    ngx_trp_path_turn_t  *pt;

    pt = ngx_calloc(sizeof(ngx_trp_path_turn_t), log);
    if (pt == NULL) {
        return NULL;
    }

    pt->path.ops = &ngx_trp_path_turn_ops;
    pt->path.handlers = handlers;
    pt->path.data = data;
    pt->path.log = log;
    pt->path.max = NGX_TRP_PATH_TURN_MAX;
    pt->path.segments = NGX_TRP_PATH_TURN_SEGMENTS;
    pt->path.remote_len = socklen;
    ngx_memcpy(&pt->path.remote, sockaddr, socklen);

    pt->agent = agent;

    pt->user.handlers = &ngx_trp_path_turn_handlers;
    pt->user.data = pt;
    pt->user.transport = TRP_PROTO_UDP;

    ngx_trp_addr_from_sockaddr(&pt->user.peer.addr, &port, sockaddr);
    pt->user.peer.port = port;

    pt->event.data = pt;
    pt->event.log = log;
    pt->event.handler = ngx_trp_path_turn_event_handler;

    if (ngx_trp_path_turn_attach(pt) != NGX_OK) {
        ngx_free(pt);
        return NULL;
    }

    return &pt->path;
}


/* NGX_ERROR: no server can be asked */

static ngx_int_t
ngx_trp_path_turn_attach(ngx_trp_path_turn_t *pt)
{
    if (pt->server == NULL) {
        pt->server = ngx_trp_turn_servers_next(pt->agent, 0);

        if (pt->server == NULL) {
            return NGX_ERROR;
        }
    }

    switch (ngx_trp_turnc_user_attach(pt->server, &pt->user)) {

    case NGX_OK:
        ngx_post_event(&pt->event, &ngx_posted_events);
        return NGX_OK;

    case NGX_AGAIN:
    case NGX_BUSY:
        return NGX_OK;

    default: /* NGX_DECLINED, NGX_ERROR */
        pt->server = NULL;
        return NGX_ERROR;
    }
}


static void
ngx_trp_path_turn_ready(ngx_trp_turnc_user_t *user)
{
    const trp_taddr_t    *relayed;
    ngx_trp_udp_path_t   *path;
    ngx_trp_path_turn_t  *pt;

    pt = user->data;
    path = &pt->path;

    relayed = trp_turnc_relayed(user->allocation->client);

    path->local_len = ngx_trp_addr_to_sockaddr(&path->local, &relayed->addr,
                                               relayed->port);
    path->ready = 1;

    if (pt->worked) {
        ngx_log_error(NGX_LOG_NOTICE, path->log, 0,
                      "another allocation, on TURN server %V, replaces the "
                      "lost one", &user->allocation->name);
    }

    pt->worked = 1;

    path->handlers->ready(path);
}


static void
ngx_trp_path_turn_failed(ngx_trp_turnc_user_t *user, ngx_trp_turnc_alloc_t *a,
    ngx_uint_t code)
{
    ngx_uint_t            level;
    ngx_trp_path_turn_t  *pt;

    pt = user->data;
    pt->path.ready = 0;

    if (pt->event.posted) {
        ngx_delete_posted_event(&pt->event);
    }

    if (a->exiting && a->connection->error) {
        pt->path.handlers->drain(&pt->path, 1);
        return;
    }

    if (code == 300) {

        switch (ngx_trp_turnc_user_follow(a, user)) {

        case NGX_OK:
            ngx_post_event(&pt->event, &ngx_posted_events);
            return;

        case NGX_AGAIN:
            return;

        default:
            break;
        }
    }

    level = !pt->worked ? NGX_LOG_ERR
            : pt->failures ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_log_error(level, pt->path.log, 0,
                  "TURN server %V %s: %ui (%s)", &a->name,
                  a->ready ? "has lost the allocation" : "made no allocation",
                  code, ngx_trp_turnc_text(code));

    if (!pt->worked) {
        pt->path.handlers->failed(&pt->path);
        return;
    }

    /* a server that has answered will make another one; else it is left */

    if (!a->ready || code < 300) {
        pt->server = NULL;
    }

    ngx_trp_path_turn_again(pt);
}


/* at once, and then at growing intervals */

static void
ngx_trp_path_turn_again(ngx_trp_path_turn_t *pt)
{
    ngx_uint_t  n;
    ngx_msec_t  pause;

    n = pt->failures++;

    if (n == 0) {
        ngx_post_event(&pt->event, &ngx_posted_events);
        return;
    }

    pause = NGX_TRP_PATH_TURN_PAUSE << ngx_min(n - 1, 3);

    ngx_add_timer(&pt->event, ngx_min(pause, NGX_TRP_PATH_TURN_PAUSE_MAX));
}


static void
ngx_trp_path_turn_retry(ngx_trp_turnc_user_t *user)
{
    ngx_trp_path_turn_t  *pt;

    pt = user->data;

    ngx_post_event(&pt->event, &ngx_posted_events);
}


static void
ngx_trp_path_turn_event_handler(ngx_event_t *ev)
{
    ngx_trp_path_turn_t  *pt;

    pt = ev->data;

    if (pt->user.allocation) {
        ngx_trp_path_turn_ready(&pt->user);
        return;
    }

    if (ngx_trp_path_turn_attach(pt) == NGX_OK) {
        return;
    }

    if (pt->worked) {
        ngx_trp_path_turn_again(pt);
        return;
    }

    pt->path.handlers->failed(&pt->path);
}


static void
ngx_trp_path_turn_drain(ngx_trp_turnc_user_t *user)
{
    ngx_trp_path_turn_t  *pt;

    pt = user->data;

    pt->path.handlers->drain(&pt->path, 0);
}


static void
ngx_trp_path_turn_received(ngx_trp_turnc_user_t *user, u_char *p, size_t len)
{
    ngx_trp_path_turn_t  *pt;

    pt = user->data;
    pt->failures = 0;

    pt->path.handlers->received(&pt->path, p, len, 0);
}


static void
ngx_trp_path_turn_forbidden(ngx_trp_turnc_user_t *user, ngx_uint_t code)
{
    ngx_trp_path_turn_t  *pt;

    pt = user->data;

    ngx_log_error(NGX_LOG_ERR, pt->path.log, 0,
                  "TURN server %V does not send datagrams to the relay: "
                  "%ui (%s)", &user->allocation->name, code,
                  ngx_trp_turnc_text(code));

    ngx_trp_turnc_user_detach(user);

    pt->path.ready = 0;
    pt->path.handlers->failed(&pt->path);
}


static void
ngx_trp_path_turn_writable(ngx_trp_turnc_user_t *user)
{
    ngx_trp_path_turn_t  *pt;

    pt = user->data;

    if (pt->path.ready) {
        pt->path.handlers->writable(&pt->path);
    }
}


static ngx_int_t
ngx_trp_path_turn_send(ngx_trp_udp_path_t *path, u_char *p, size_t len,
    size_t segment)
{
    ngx_trp_path_turn_t  *pt;

    pt = (ngx_trp_path_turn_t *) path;

    if (!path->ready) {
        return NGX_AGAIN;
    }

    return ngx_trp_turnc_user_send_many(&pt->user, p, len, segment);
}


static void
ngx_trp_path_turn_close(ngx_trp_udp_path_t *path)
{
    ngx_trp_path_turn_t  *pt;

    pt = (ngx_trp_path_turn_t *) path;

    ngx_trp_turnc_user_detach(&pt->user);

    if (pt->event.timer_set) {
        ngx_del_timer(&pt->event);
    }

    if (pt->event.posted) {
        ngx_delete_posted_event(&pt->event);
    }

    ngx_free(pt);
}
