
/*
 * Copyright (C) the trp authors
 */


/*
 * Relayed addresses: sockets of the worker, one for each family of an
 * allocation, and one more for each port that is reserved.  What allocations of
 * this machine send to each other goes through the loopback, not to a NAT
 * outside.
 */


#include "turn/ngx_trp_turn_relayed.h"
#include "base/trp_addr.h"
#include "base/ngx_trp_addr.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_socket.h"
#include "turn/ngx_trp_turn_zone_ports.h"

#include <linux/errqueue.h>


/* how long it is remembered whether an address is local; milliseconds */
#define NGX_TRP_TURN_PLACE_TIME  1000


/* a port that is reserved (EVEN-PORT) */

typedef struct {
    ngx_queue_t      queue;
    ngx_event_t      event;
    ngx_socket_t     fd;
    in_port_t        port;
} ngx_trp_turn_hold_t;


static ngx_socket_t ngx_trp_turn_relayed_hold(in_port_t port, ngx_uint_t v6);
static void ngx_trp_turn_relayed_hold_handler(ngx_event_t *ev);
static void ngx_trp_turn_relayed_let_go(ngx_trp_turn_hold_t *hold);
static ngx_socket_t ngx_trp_turn_relayed_socket(ngx_trp_turn_alloc_t *alloc,
    ngx_uint_t v6, in_port_t port);
static ngx_uint_t ngx_trp_turn_relayed_here(ngx_trp_turn_worker_t *worker,
    const trp_addr_t *addr);
static ngx_uint_t ngx_trp_turn_relayed_ask(const trp_addr_t *addr);
static ngx_uint_t ngx_trp_turn_relayed_inside(const trp_taddr_t *peer);
static void ngx_trp_turn_relayed_handler(ngx_event_t *rev);
static void ngx_trp_turn_relayed_errors(ngx_trp_turn_alloc_t *alloc,
    ngx_connection_t *c);
static void ngx_trp_turn_relayed_dont_fragment(ngx_socket_t s, ngx_uint_t v6,
    ngx_uint_t on);


/*
 * RFC 8656, section 7.2: the same port for both families.  If this machine
 * lacks the additional family, the client is told.
 */

trp_turn_bound_e
ngx_trp_turn_relayed_bind(ngx_trp_turn_alloc_t *alloc, in_port_t port,
    uint8_t *families, ngx_event_handler_pt accept)
{
    uint8_t                 family;
    ngx_uint_t              i;
    ngx_socket_t            s;
    const trp_addr_t       *source;
    trp_turn_bound_e        rc;
    ngx_event_handler_pt    handler;
    ngx_trp_turn_worker_t  *worker;

    trp_assert(alloc->relayed[0] == NULL && alloc->relayed[1] == NULL);

    worker = alloc->server->worker;

    handler = (alloc->alloc->protocol == TRP_PROTO_TCP)
              ? accept : ngx_trp_turn_relayed_handler;

    rc = TRP_TURN_NO_CAPACITY;

    for (i = 0; i < 2; i++) {
        family = (i == 0) ? TRP_TURN_V4 : TRP_TURN_V6;

        if (!(*families & family)) {
            continue;
        }

        s = ngx_trp_turn_relayed_socket(alloc, i, port);

        if (s == (ngx_socket_t) -1) {

            if (ngx_socket_errno == NGX_EADDRINUSE) {
                rc = TRP_TURN_PORT_IN_USE;
                goto failed;
            }

            if (i == 1 && alloc->relayed[0]) {
                *families = TRP_TURN_V4;
                break;
            }

            goto failed;
        }

        alloc->relayed[i] = ngx_trp_turn_connection(worker, s, handler, alloc);

        if (alloc->relayed[i] == NULL) {
            goto failed;
        }

        source = &alloc->server->conf->local[i];

        if (source->family == 0) {
            source = trp_turn_relayed(alloc->alloc, i);
        }

        if (ngx_trp_turn_relayed_here(worker, source)) {
            alloc->source[i] = *source;

        } else if (source == &alloc->server->conf->local[i]) {
            ngx_log_error(NGX_LOG_ERR, alloc->server->log, 0,
                          "the local address of \"trp_turn_external_address\" "
                          "is not this machine's");
            goto failed;
        }
    }

    return TRP_TURN_BOUND;

failed:

    ngx_trp_turn_relayed_close(alloc);

    return rc;
}


static ngx_socket_t
ngx_trp_turn_relayed_socket(ngx_trp_turn_alloc_t *alloc, ngx_uint_t v6,
    in_port_t port)
{
    int             one, zero, type;
    socklen_t       len;
    ngx_socket_t    s;
    ngx_sockaddr_t  sa;

    one = 1;

    type = (alloc->alloc->protocol == TRP_PROTO_TCP) ? SOCK_STREAM
                                                             : SOCK_DGRAM;

    len = ngx_trp_turn_wildcard(&sa, v6, port);

    s = ngx_trp_turn_socket(sa.sockaddr.sa_family, type);

    if (s == (ngx_socket_t) -1) {
        return s;
    }

    if (type == SOCK_STREAM) {

        /*
         * RFC 6062, section 5.2: connections to peers have the same port,
         * but no other process may listen on it.
         */

        if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1
            || bind(s, &sa.sockaddr, len) == -1
            || listen(s, NGX_LISTEN_BACKLOG) == -1
            || setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))
               == -1)
        {
            goto failed;
        }

        return s;
    }

    /* a reserved port is held by a socket that can share it */

    zero = 0;

    if (alloc->alloc->port
        && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1)
    {
        goto failed;
    }

    if (bind(s, &sa.sockaddr, len) == -1) {
        goto failed;
    }

    if (alloc->alloc->port
        && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof(zero)) == -1)
    {
        goto failed;
    }

    /* reports ICMP errors; a socket that cannot do so is good enough */

    (void) setsockopt(s, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                      v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one));

    ngx_trp_turn_relayed_dont_fragment(s, v6, 0);

    return s;

failed:

    ngx_trp_turn_socket_failed(s);

    return (ngx_socket_t) -1;
}


/* 1 if it is a local address, which may change while the worker runs */

static ngx_uint_t
ngx_trp_turn_relayed_here(ngx_trp_turn_worker_t *worker, const trp_addr_t *addr)
{
    ngx_trp_turn_place_t  *place;

    if (trp_addr_is_loopback(addr)) {
        return 1;
    }

    place = &worker->places[addr->family == 6];

    if (ngx_memcmp(&place->addr, addr, sizeof(trp_addr_t)) != 0
        || ngx_current_msec - place->time >= NGX_TRP_TURN_PLACE_TIME)
    {
        place->addr = *addr;
        place->time = ngx_current_msec;
        place->here = ngx_trp_turn_relayed_ask(addr);
    }

    return place->here;
}


/* bind() alone may accept any address (ip_nonlocal_bind) */

static ngx_uint_t
ngx_trp_turn_relayed_ask(const trp_addr_t *addr)
{
    socklen_t       len;
    ngx_uint_t      here;
    ngx_socket_t    s;
    ngx_sockaddr_t  local, discard;

    len = ngx_trp_addr_to_sockaddr(&local, addr, 0);
    (void) ngx_trp_addr_to_sockaddr(&discard, addr, 9);

    s = ngx_trp_turn_socket(local.sockaddr.sa_family, SOCK_DGRAM);

    if (s == (ngx_socket_t) -1) {
        return 0;
    }

    here = (bind(s, &local.sockaddr, len) == 0
            && connect(s, &discard.sockaddr, len) == 0);

    (void) ngx_close_socket(s);

    return here;
}


/*
 * RFC 8656, sections 11.2 and 12.6: what one allocation sends to another does
 * not leave the machine, which may be behind a NAT that would not send it
 * back.  Through the loopback it reaches whichever worker has the other one.
 */

void
ngx_trp_turn_relayed_way(ngx_trp_turn_alloc_t *alloc, ngx_uint_t own,
    trp_taddr_t *to, trp_addr_t *from)
{
    ngx_uint_t   tcp, v6;
    trp_addr_t   home;

    v6 = (to->addr.family == 6);
    tcp = (alloc->alloc->protocol == TRP_PROTO_TCP);

    if (own
        && ngx_trp_turn_zone_home(alloc->server->worker->zone, tcp, to->port,
                                  v6, &home)
        && ngx_memcmp(&home, &to->addr, sizeof(trp_addr_t)) == 0)
    {
        ngx_memzero(&to->addr, sizeof(trp_addr_t));

        if (v6) {
            to->addr.family = 6;
            to->addr.bytes[15] = 1;

        } else {
            to->addr.family = 4;
            to->addr.bytes[0] = 127;
            to->addr.bytes[3] = 1;
        }

        *from = to->addr;
        return;
    }

    /* from the loopback, no other address can be reached */

    if (trp_addr_is_loopback(&alloc->source[v6])
        && !trp_addr_is_loopback(&to->addr))
    {
        from->family = 0;
        return;
    }

    *from = alloc->source[v6];
}


void
ngx_trp_turn_relayed_peer(ngx_trp_turn_alloc_t *alloc, trp_taddr_t *peer)
{
    ngx_uint_t  tcp;
    trp_addr_t  home;

    if (!ngx_trp_turn_relayed_inside(peer)) {
        return;
    }

    tcp = (alloc->alloc->protocol == TRP_PROTO_TCP);

    if (ngx_trp_turn_zone_home(alloc->server->worker->zone, tcp, peer->port,
                               peer->addr.family == 6, &home))
    {
        peer->addr = home;
    }
}


/* 1 for 127.0.0.1 or ::1: ports of allocations are used by nothing else */

static ngx_uint_t
ngx_trp_turn_relayed_inside(const trp_taddr_t *peer)
{
    static const u_char  loopback[4] = { 127, 0, 0, 1 };

    if (peer->addr.family == 4) {
        return ngx_memcmp(peer->addr.bytes, loopback, 4) == 0;
    }

    return trp_addr_is_loopback(&peer->addr);
}


int
ngx_trp_turn_relayed_reserve(void *data, uint16_t port, const uint8_t *token)
{
    ngx_trp_turn_worker_t *worker = data;

    ngx_trp_turn_hold_t  *hold;

    if (ngx_trp_turn_zone_reserve(worker->zone, port, token) != TRP_OK) {
        return TRP_DECLINED;
    }

    hold = ngx_calloc(sizeof(ngx_trp_turn_hold_t), worker->log);

    if (hold) {
        hold->port = port;

        /* a bit of the token is the family */
        hold->fd = ngx_trp_turn_relayed_hold(port, token[0] & 1);

        if (hold->fd != (ngx_socket_t) -1) {
            hold->event.data = hold;
            hold->event.log = worker->log;
            hold->event.handler = ngx_trp_turn_relayed_hold_handler;
            hold->event.cancelable = 1;

            ngx_log_debug1(NGX_LOG_DEBUG_STREAM, worker->log, 0,
                           "trp turn port %d is reserved", (int) port);

            ngx_queue_insert_tail(&worker->holds, &hold->queue);
            ngx_add_timer(&hold->event, TRP_TURN_RESERVATION_TIME);

            return TRP_OK;
        }

        ngx_free(hold);
    }

    (void) ngx_trp_turn_zone_redeem(worker->zone, token);

    return TRP_DECLINED;
}


static ngx_socket_t
ngx_trp_turn_relayed_hold(in_port_t port, ngx_uint_t v6)
{
    int             one;
    socklen_t       len;
    ngx_socket_t    s;
    ngx_sockaddr_t  sa;

    one = 1;

    len = ngx_trp_turn_wildcard(&sa, v6, port);

    s = ngx_trp_turn_socket(sa.sockaddr.sa_family, SOCK_DGRAM);

    if (s == (ngx_socket_t) -1) {
        return s;
    }

    /* can be shared from now on, but not with an earlier socket */

    if (bind(s, &sa.sockaddr, len) == -1
        || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1)
    {
        ngx_trp_turn_socket_failed(s);
        return (ngx_socket_t) -1;
    }

    return s;
}


static void
ngx_trp_turn_relayed_hold_handler(ngx_event_t *ev)
{
    ngx_trp_turn_relayed_let_go(ev->data);
}


static void
ngx_trp_turn_relayed_let_go(ngx_trp_turn_hold_t *hold)
{
    if (hold->event.timer_set) {
        ngx_del_timer(&hold->event);
    }

    ngx_queue_remove(&hold->queue);

    (void) ngx_close_socket(hold->fd);

    ngx_free(hold);
}


/* another worker may hold it, until the reservation would have expired */

uint16_t
ngx_trp_turn_relayed_redeem(void *data, const uint8_t *token)
{
    ngx_trp_turn_worker_t *worker = data;

    in_port_t             port;
    ngx_queue_t          *q;
    ngx_trp_turn_hold_t  *hold;

    port = ngx_trp_turn_zone_redeem(worker->zone, token);

    for (q = ngx_queue_head(&worker->holds);
         port && q != ngx_queue_sentinel(&worker->holds);
         q = ngx_queue_next(q))
    {
        hold = ngx_queue_data(q, ngx_trp_turn_hold_t, queue);

        if (hold->port == port) {
            ngx_trp_turn_relayed_let_go(hold);
            break;
        }
    }

    return port;
}


void
ngx_trp_turn_relayed_exit(ngx_trp_turn_worker_t *worker)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&worker->holds)) {
        q = ngx_queue_head(&worker->holds);
        ngx_trp_turn_relayed_let_go(ngx_queue_data(q, ngx_trp_turn_hold_t,
                                                   queue));
    }
}


void
ngx_trp_turn_relayed_unbind(ngx_trp_turn_alloc_t *alloc, ngx_uint_t v6)
{
    ngx_trp_turn_close_connection(alloc->server->worker, &alloc->relayed[v6]);
}


void
ngx_trp_turn_relayed_close(ngx_trp_turn_alloc_t *alloc)
{
    ngx_trp_turn_relayed_unbind(alloc, 0);
    ngx_trp_turn_relayed_unbind(alloc, 1);
}


static void
ngx_trp_turn_relayed_handler(ngx_event_t *rev)
{
    size_t                  len;
    u_char                 *data;
    ngx_int_t               n;
    ngx_uint_t              i, first, more, turns;
    trp_taddr_t             peer;
    ngx_connection_t       *c;
    ngx_trp_udp_batch_t   *batch;
    ngx_trp_turn_alloc_t   *alloc;
    ngx_trp_turn_server_t  *server;

    c = rev->data;
    alloc = c->data;
    server = alloc->server;
    batch = &server->worker->batch;

    ngx_trp_turn_time(server);

    if (c->close) {
        trp_turn_fail(server->turn, alloc->alloc);
        ngx_trp_turn_run(server, NULL);
        return;
    }

    for (turns = 0; turns < NGX_TRP_UDP_BATCHES; turns++) {
        n = ngx_trp_udp_batch_recv(batch, c->fd, &first, &more);

        if (n <= 0) {

            /* an error also makes an event; only one can be read at a time */

            if (turns == 0) {
                ngx_trp_turn_relayed_errors(alloc, c);
            }

            return;
        }

        for (i = first; i < first + n; i++) {
            data = ngx_trp_udp_batch_data(batch, i, &len);

            ngx_trp_turn_taddr(&peer, ngx_trp_udp_batch_from(batch, i));
            ngx_trp_turn_relayed_peer(alloc, &peer);

            trp_turn_peer_data(server->turn, alloc->alloc, &peer, data, len);

            ngx_trp_turn_run(server, NULL);
        }

        if (!more) {
            return;
        }
    }
}


/* RFC 8656, section 11.5 */

static void
ngx_trp_turn_relayed_errors(ngx_trp_turn_alloc_t *alloc, ngx_connection_t *c)
{
    ssize_t                    n;
    u_char                     type, code;
    trp_taddr_t                peer;
    struct iovec               iov;
    ngx_sockaddr_t             sa;
    struct msghdr              msg;
    struct cmsghdr            *cmsg;
    ngx_trp_turn_server_t     *server;
    struct sock_extended_err   err;

    u_char                     data[1];
    u_char                     control[512];

    server = alloc->server;

    for ( ;; ) {
        iov.iov_base = data;
        iov.iov_len = sizeof(data);

        ngx_memzero(&msg, sizeof(struct msghdr));

        msg.msg_name = &sa;
        msg.msg_namelen = sizeof(sa);
        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);

        n = recvmsg(c->fd, &msg, MSG_ERRQUEUE|MSG_DONTWAIT);

        if (n == -1) {
            return;
        }

        for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
        {
            if (!((cmsg->cmsg_level == IPPROTO_IP
                   && cmsg->cmsg_type == IP_RECVERR)
                  || (cmsg->cmsg_level == IPPROTO_IPV6
                      && cmsg->cmsg_type == IPV6_RECVERR)))
            {
                continue;
            }

            ngx_memcpy(&err, CMSG_DATA(cmsg), sizeof(err));

            if (err.ee_origin == SO_EE_ORIGIN_LOCAL
                && err.ee_errno == EMSGSIZE)
            {
                /* what a router would send: fragmentation needed */

                type = (sa.sockaddr.sa_family == AF_INET) ? 3 : 2;
                code = (sa.sockaddr.sa_family == AF_INET) ? 4 : 0;

            } else if (err.ee_origin == SO_EE_ORIGIN_ICMP
                       || err.ee_origin == SO_EE_ORIGIN_ICMP6)
            {
                type = err.ee_type;
                code = err.ee_code;

            } else {
                continue;
            }

            ngx_trp_turn_taddr(&peer, &sa.sockaddr);
            ngx_trp_turn_relayed_peer(alloc, &peer);

            trp_turn_peer_icmp(server->turn, alloc->alloc, &peer, type, code,
                               err.ee_info);
            ngx_trp_turn_run(server, NULL);
        }
    }
}


void
ngx_trp_turn_relayed_send(ngx_trp_turn_alloc_t *alloc,
    const trp_turn_command_t *command)
{
    ngx_uint_t             v6;
    trp_addr_t             from;
    trp_taddr_t            to;
    ngx_trp_udp_batch_t  *batch;

    v6 = (command->peer.addr.family == 6);
    batch = &alloc->server->worker->batch;

    if (alloc->relayed[v6] == NULL) {
        return;
    }

    if (command->dont_fragment != ((alloc->dont_fragment >> v6) & 1)) {
        ngx_trp_udp_batch_flush(batch);
        ngx_trp_turn_relayed_dont_fragment(alloc->relayed[v6]->fd, v6,
                                           command->dont_fragment);
        alloc->dont_fragment ^= 1 << v6;
    }

    to = command->peer;

    ngx_trp_turn_relayed_way(alloc, command->own, &to, &from);

    /* data from a stream is in a buffer that is needed at once */

    ngx_trp_udp_batch_send(batch, alloc->relayed[v6]->fd, &to, &from,
                            command->data, command->len,
                            alloc->origin.client != NULL);
}


/* by default, Linux sets the bit */

static void
ngx_trp_turn_relayed_dont_fragment(ngx_socket_t s, ngx_uint_t v6, ngx_uint_t on)
{
    int  value;

    if (v6) {
        value = on ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT;
        (void) setsockopt(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &value,
                          sizeof(value));
        return;
    }

    value = on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    (void) setsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof(value));
}
