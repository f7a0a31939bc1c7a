
/*
 * Copyright (C) the trp authors
 */


/*
 * A TURN server as one worker sees it: a user gets an allocation that can serve
 * it, an existing or a new one, or waits until another user leaves.
 */


#include "turnc/ngx_trp_turnc_server.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_memory.h"
#include "turnc/ngx_trp_turnc_alloc.h"
#include "turnc/ngx_trp_turnc_user.h"

#include <sodium.h>


#define NGX_TRP_TURNC_HOPS        3       /* redirections, by 300 */

/* REST credentials last a week; after a day, an allocation gets no new users */
#define NGX_TRP_TURNC_DAY         86400

/* seconds before an address family that a server lacks is requested again */
#define NGX_TRP_TURNC_LACKS       60

/* per allocation: a dead destination keeps Connect waiting for long */
#define NGX_TRP_TURNC_CONNECTS    128
#define NGX_TRP_TURNC_USERS       2048


static void ngx_trp_turnc_server_cleanup(void *data);
static void ngx_trp_turnc_server_event_handler(ngx_event_t *ev);
static ngx_int_t ngx_trp_turnc_user_attach_to(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user);


ngx_trp_turnc_server_t *
ngx_trp_turnc_server_create(const ngx_trp_turnc_conf_t *conf,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name,
    const ngx_str_t *host)
{
    u_char                  *p;
    ngx_pool_t              *pool;
    ngx_pool_cleanup_t      *cln;
    ngx_trp_turnc_server_t  *server;

    pool = ngx_cycle->pool;

    server = ngx_pcalloc(pool, sizeof(ngx_trp_turnc_server_t));
    p = ngx_pnalloc(pool, socklen + name->len + host->len);
    cln = ngx_pool_cleanup_add(pool, 0);

    if (server == NULL || p == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_turnc_server_cleanup;
    cln->data = server;

    server->conf = conf;

    server->sockaddr = (struct sockaddr *) p;
    server->socklen = socklen;
    p = ngx_cpymem(p, sockaddr, socklen);

    server->name.data = p;
    server->name.len = name->len;
    p = ngx_cpymem(p, name->data, name->len);

    server->host.data = p;
    server->host.len = host->len;
    ngx_memcpy(p, host->data, host->len);

    server->log = ngx_cycle->log;

    ngx_trp_memory_init(&server->memory, server->log);

    randombytes_buf(server->key, sizeof(server->key));

    ngx_queue_init(&server->allocations);
    ngx_queue_init(&server->waiting);

    server->event.data = server;
    server->event.log = server->log;
    server->event.handler = ngx_trp_turnc_server_event_handler;
    server->event.cancelable = 1;

    return server;
}


/* each waiting user tries again, once */

static void
ngx_trp_turnc_server_event_handler(ngx_event_t *ev)
{
    ngx_queue_t             *q, waiting;
    ngx_trp_turnc_user_t    *user;
    ngx_trp_turnc_server_t  *server;

    server = ev->data;

    ngx_queue_init(&waiting);

    if (!ngx_queue_empty(&server->waiting)) {
        ngx_queue_add(&waiting, &server->waiting);
        ngx_queue_init(&server->waiting);
    }

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        user = ngx_queue_data(q, ngx_trp_turnc_user_t, queue);

        ngx_queue_remove(q);
        user->waiting = 0;

        user->handlers->retry(user);
    }
}


static void
ngx_trp_turnc_server_cleanup(void *data)
{
    ngx_trp_turnc_server_t  *server = data;

    if (server->session) {
        ngx_ssl_free_session(server->session);
        server->session = NULL;
    }
}


ngx_uint_t
ngx_trp_turnc_server_lacks(ngx_trp_turnc_server_t *server, ngx_uint_t family)
{
    time_t  when;

    when = (family == 4) ? server->lacks4 : server->lacks6;

    return when && ngx_time() - when < NGX_TRP_TURNC_LACKS;
}


ngx_uint_t
ngx_trp_turnc_server_serves(ngx_trp_turnc_server_t *server,
    ngx_uint_t transport)
{
    ngx_queue_t            *q;
    ngx_trp_turnc_alloc_t  *a;

    for (q = ngx_queue_head(&server->allocations);
         q != ngx_queue_sentinel(&server->allocations);
         q = ngx_queue_next(q))
    {
        a = ngx_queue_data(q, ngx_trp_turnc_alloc_t, queue);

        if (a->transport == transport && a->ready) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_trp_turnc_user_attach(ngx_trp_turnc_server_t *server,
    ngx_trp_turnc_user_t *user)
{
    ngx_int_t               rc;
    ngx_uint_t              n;
    ngx_queue_t            *q;
    ngx_trp_turnc_alloc_t  *a, *found, *unused;

    n = 0;
    found = NULL;
    unused = NULL;

    for (q = ngx_queue_head(&server->allocations);
         q != ngx_queue_sentinel(&server->allocations);
         q = ngx_queue_next(q))
    {
        a = ngx_queue_data(q, ngx_trp_turnc_alloc_t, queue);

        if (a->transport != user->transport
            || a->family != user->peer.addr.family)
        {
            continue;
        }

        if (server->conf->secret.len
            && ngx_time() - a->start > NGX_TRP_TURNC_DAY)
        {
            continue;
        }

        n++;

        if (a->ready && ngx_queue_empty(&a->users)) {
            unused = a;
        }

        if (ngx_trp_turnc_user_find(a, &user->peer)
            || ngx_trp_turnc_user_is_blocked(a, &user->peer)
            || a->nusers >= NGX_TRP_TURNC_USERS
            || a->nconnecting >= NGX_TRP_TURNC_CONNECTS
            || (!a->ready && a->nusers >= NGX_TRP_TURNC_CONNECTS)
            || (found && !a->ready))
        {
            continue;
        }

        found = a;

        if (a->ready) {
            break;
        }
    }

    if (found == NULL) {

        if (n >= server->conf->allocations && unused && user->renew) {
            ngx_trp_turnc_alloc_retire(unused);
            n--;
        }

        if (n >= server->conf->allocations) {

            ngx_log_debug1(NGX_LOG_DEBUG_STREAM, server->log, 0,
                           "trp turnc: %ui allocations, user waits", n);

            user->waiting = 1;
            ngx_queue_insert_tail(&server->waiting, &user->queue);

            if (!server->event.timer_set) {

                /* not all that blocks an allocation is reported here */
                ngx_add_timer(&server->event, NGX_TRP_TURNC_BLOCKED);
            }

            return NGX_BUSY;
        }

        rc = ngx_trp_turnc_alloc_create(server, user, server->sockaddr,
                                        server->socklen, 0, &found);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_trp_turnc_user_attach_to(found, user);
}


ngx_int_t
ngx_trp_turnc_user_follow(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user)
{
    ngx_int_t                rc;
    socklen_t                socklen;
    ngx_queue_t             *q;
    ngx_sockaddr_t           sa;
    const trp_taddr_t       *to;
    ngx_trp_turnc_server_t  *server;
    ngx_trp_turnc_alloc_t   *other;

    to = trp_turnc_alternate(a->client);

    if (to->addr.family == 0 || a->hops == NGX_TRP_TURNC_HOPS) {
        return NGX_DECLINED;
    }

    socklen = ngx_trp_addr_to_sockaddr(&sa, &to->addr, to->port);
    server = a->server;

    for (q = ngx_queue_head(&server->allocations);
         q != ngx_queue_sentinel(&server->allocations);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_trp_turnc_alloc_t, queue);

        if (other->transport == user->transport
            && other->family == user->peer.addr.family
            && ngx_cmp_sockaddr(&other->sockaddr.sockaddr, other->socklen,
                                &sa.sockaddr, socklen, 1)
               == NGX_OK
            && ngx_trp_turnc_user_find(other, &user->peer) == NULL)
        {
            return ngx_trp_turnc_user_attach_to(other, user);
        }
    }

    rc = ngx_trp_turnc_alloc_create(server, user, &sa.sockaddr, socklen,
                                    a->hops + 1, &other);

    return (rc == NGX_OK) ? ngx_trp_turnc_user_attach_to(other, user) : rc;
}


static ngx_int_t
ngx_trp_turnc_user_attach_to(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_user_join(a, user);

    if (a->idle.timer_set) {
        ngx_del_timer(&a->idle);
    }

    return a->ready ? NGX_OK : NGX_AGAIN;
}


void
ngx_trp_turnc_user_detach(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_alloc_t  *a;

    if (user->waiting) {
        user->waiting = 0;
        ngx_queue_remove(&user->queue);
        return;
    }

    a = user->allocation;

    if (a == NULL) {
        return;
    }

    if (!ngx_queue_empty(&a->server->waiting)) {
        ngx_post_event(&a->server->event, &ngx_posted_events);
    }

    if (user->connecting) {
        trp_turnc_forget(a->client, user);

    } else if (user->connected) {
        ngx_trp_turnc_user_past(user);

    } else if (a->ready && user->transport == TRP_PROTO_UDP) {
        trp_turnc_release(a->client, &user->peer);
    }

    ngx_trp_turnc_user_leave(user);

    if (ngx_queue_empty(&a->users)) {
        ngx_trp_turnc_alloc_unused(a);
    }
}


ngx_int_t
ngx_trp_turnc_user_connect(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_alloc_t  *a;

    a = user->allocation;

    if (trp_turnc_connect(a->client, &user->peer, user, ngx_current_msec)
        != TRP_OK)
    {
        return NGX_ERROR;
    }

    user->connecting = 1;
    a->nconnecting++;

    ngx_trp_turnc_alloc_schedule(a);

    return NGX_OK;
}


ngx_int_t
ngx_trp_turnc_user_send(ngx_trp_turnc_user_t *user, u_char *p, size_t len)
{
    int                     rc;
    ngx_trp_turnc_alloc_t  *a;

    a = user->allocation;

    rc = trp_turnc_send(a->client, &user->peer, p, len, ngx_current_msec);

    if (!a->failed) {
        ngx_trp_turnc_alloc_schedule(a);
    }

    return rc;
}


ngx_int_t
ngx_trp_turnc_user_send_many(ngx_trp_turnc_user_t *user, u_char *p, size_t len,
    size_t segment)
{
    size_t                  n;
    uint16_t                number;
    ngx_int_t               rc;
    ngx_trp_turnc_alloc_t  *a;

    a = user->allocation;
    rc = NGX_OK;

    number = a->udp.used ? trp_turnc_channel(a->client, &user->peer,
                                              ngx_current_msec)
                          : 0;
    if (number) {
        rc = ngx_trp_turnc_alloc_send(a, number, p, len, segment);

        if (rc == NGX_ERROR && a->server->conf->hasty) {
            trp_turnc_suspect(a->client, ngx_current_msec);
        }

    } else {
        for ( /* void */ ; len; p += n, len -= n) {
            n = ngx_min(len, segment);
            (void) trp_turnc_send(a->client, &user->peer, p, n,
                                  ngx_current_msec);
        }
    }

    if (!a->failed) {
        ngx_trp_turnc_alloc_schedule(a);
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_OK;
}
