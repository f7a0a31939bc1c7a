
/*
 * Copyright (C) the trp authors
 */


/*
 * The socket of an association: it takes datagrams of its client to their
 * destinations, and those of destinations to the client.  To the proxy it is a
 * connection that is held open and carries no bytes.
 */


#include "socks5/ngx_trp_associate.h"
#include "base/ngx_trp_addr.h"
#include "socks5/ngx_trp_socks5_rules.h"
#include "stock/ngx_trp_ends.h"
#include "base/ngx_trp_fake.h"

#include <sodium.h>


/* datagrams read in one event: other connections wait, too */
#define NGX_TRP_ASSOCIATE_TURN  16

/* nginx does not move a timer by less */
#define NGX_TRP_ASSOCIATE_WAKE  300


static ngx_int_t ngx_trp_associate_open(ngx_trp_associate_t *as);
static void ngx_trp_associate_cleanup(void *data);
static ngx_socket_t ngx_trp_associate_socket(ngx_trp_associate_t *as);
static ngx_int_t ngx_trp_associate_bind(ngx_trp_associate_t *as,
    ngx_socket_t s, ngx_sockaddr_t *sa, socklen_t len);
static void ngx_trp_associate_told(ngx_trp_associate_t *as,
    ngx_sockaddr_t *sa);
static void ngx_trp_associate_expect(ngx_trp_associate_t *as);
static void ngx_trp_associate_read_handler(ngx_event_t *rev);
static void ngx_trp_associate_empty_handler(ngx_event_t *ev);
static ngx_uint_t ngx_trp_associate_is_client(ngx_trp_associate_t *as,
    struct sockaddr *sa, trp_taddr_t *from);
static void ngx_trp_associate_stranger(ngx_trp_associate_t *as,
    const trp_taddr_t *from);
static void ngx_trp_associate_datagram(ngx_trp_associate_t *as,
    ngx_sockaddr_t *sa, socklen_t socklen, u_char *p, size_t len);
static ngx_uint_t ngx_trp_associate_allowed(ngx_trp_associate_t *as,
    trp_socks5_addr_t *to);
static void ngx_trp_associate_wake(ngx_trp_associate_t *as);
static void ngx_trp_associate_count(ngx_trp_associate_t *as);

static ngx_int_t ngx_trp_associate_hold(ngx_trp_associate_t *as,
    ngx_socket_t fd, ngx_peer_connection_t *pc);
static ssize_t ngx_trp_associate_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_trp_associate_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_trp_associate_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);


ngx_trp_associate_t *
ngx_trp_associate(ngx_trp_target_t *target,
    const ngx_trp_associate_path_t *path, void *data, ngx_socket_t fd,
    ngx_peer_connection_t *pc)
{
    ngx_sockaddr_t        told;
    ngx_trp_socks5_t     *sk;
    ngx_trp_associate_t  *as;

    sk = target->data;

    as = ngx_pcalloc(sk->session->connection->pool,
                     sizeof(ngx_trp_associate_t));
    if (as == NULL) {
        return NULL;
    }

    as->socks = sk;
    as->data = data;
    as->client = sk->session->connection;

    as->dests.associate = as;
    as->dests.path = path;
    as->dests.timeout = sk->conf->udp_timeout;
    as->dests.log = as->client->log;

    ngx_trp_associate_dests_init(&as->dests);

    if (ngx_trp_associate_open(as) != NGX_OK
        || ngx_trp_associate_hold(as, fd, pc) != NGX_OK)
    {
        return NULL;
    }

    /* if the client cannot be written to, the proxy will find out */

    ngx_trp_associate_told(as, &told);

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, as->client->log, 0,
                   "trp socks5 association: port %ui, told port %ui",
                   (ngx_uint_t) ngx_inet_get_port(&as->local.sockaddr),
                   (ngx_uint_t) ngx_inet_get_port(&told.sockaddr));

    (void) ngx_trp_socks5_succeed(target, &told.sockaddr);

    ngx_trp_ends_disarm(as->client);

    return as;
}


static ngx_int_t
ngx_trp_associate_open(ngx_trp_associate_t *as)
{
    ngx_socket_t         s;
    ngx_connection_t    *c, *client;
    ngx_pool_cleanup_t  *cln;

    client = as->client;

    cln = ngx_pool_cleanup_add(client->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    s = ngx_trp_associate_socket(as);

    if (s == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(s, client->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        return NGX_ERROR;
    }

    c->type = SOCK_DGRAM;
    c->data = as;

    c->read->log = client->log;
    c->write->log = client->log;
    c->read->handler = ngx_trp_associate_read_handler;
    c->write->handler = ngx_trp_associate_empty_handler;

    as->udp = c;

    cln->handler = ngx_trp_associate_cleanup;
    cln->data = as;

    ngx_trp_associate_expect(as);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_trp_associate_close(as);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_associate_cleanup(void *data)
{
    ngx_trp_associate_close(data);
}


/* with NAT, the client has to be told another address of the same family */

static void
ngx_trp_associate_told(ngx_trp_associate_t *as, ngx_sockaddr_t *sa)
{
    in_port_t                    port;
    trp_addr_t                   addr;
    const trp_addr_t            *other;
    ngx_trp_socks5_conf_t       *conf;

    conf = as->socks->conf;

    ngx_trp_addr_from_sockaddr(&addr, &port, &as->local.sockaddr);

    other = (addr.family == 4) ? &conf->udp_addr4 : &conf->udp_addr6;

    if (other->family) {
        (void) ngx_trp_addr_to_sockaddr(sa, other, port);

    } else {
        *sa = as->local;
    }
}


/* an IPv4-mapped address gets a socket for IPv4 */

static ngx_socket_t
ngx_trp_associate_socket(ngx_trp_associate_t *as)
{
    socklen_t       len;
    in_port_t       port;
    trp_addr_t      addr;
    const char     *what;
    ngx_socket_t    s;
    ngx_sockaddr_t  sa;

    if (ngx_connection_local_sockaddr(as->client, NULL, 0) != NGX_OK) {
        return (ngx_socket_t) -1;
    }

    ngx_trp_addr_from_sockaddr(&addr, &port, as->client->local_sockaddr);

    if (addr.family == 0) {
        ngx_log_error(NGX_LOG_ERR, as->client->log, 0,
                      "client of a unix socket has no address for UDP");
        return (ngx_socket_t) -1;
    }

    ngx_memzero(&sa, sizeof(ngx_sockaddr_t));

    if (trp_addr_unmap(&addr)) {
        len = ngx_trp_addr_to_sockaddr(&sa, &addr, 0);

    } else {

        /* with the scope of a link-local address */

        len = as->client->local_socklen;
        ngx_memcpy(&sa, as->client->local_sockaddr, len);
        ngx_inet_set_port(&sa.sockaddr, 0);
    }

    s = ngx_socket(sa.sockaddr.sa_family, SOCK_DGRAM, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, as->client->log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return s;
    }

    what = ngx_nonblocking_n;

    if (ngx_nonblocking(s) == -1) {
        goto failed;
    }

    what = "bind()";

    if (ngx_trp_associate_bind(as, s, &sa, len) != NGX_OK) {
        goto failed;
    }

    what = "getsockname()";

    if (getsockname(s, &as->local.sockaddr, &len) == -1) {
        goto failed;
    }

    return s;

failed:

    ngx_log_error(NGX_LOG_ERR, as->client->log, ngx_socket_errno,
                  "%s of a socket for UDP failed", what);

    (void) ngx_close_socket(s);

    return (ngx_socket_t) -1;
}


/* a port of the system's choice, or the next free one of a range */

static ngx_int_t
ngx_trp_associate_bind(ngx_trp_associate_t *as, ngx_socket_t s,
    ngx_sockaddr_t *sa, socklen_t len)
{
    ngx_uint_t              i, n, port;
    ngx_trp_socks5_conf_t  *conf;

    conf = as->socks->conf;

    if (conf->udp_first == 0) {
        return (bind(s, &sa->sockaddr, len) == -1) ? NGX_ERROR : NGX_OK;
    }

    n = conf->udp_last - conf->udp_first + 1;
    port = randombytes_uniform(n);

    for (i = 0; i < n; i++) {
        ngx_inet_set_port(&sa->sockaddr,
                          (in_port_t) (conf->udp_first + (port + i) % n));

        if (bind(s, &sa->sockaddr, len) == 0) {
            return NGX_OK;
        }

        if (ngx_socket_errno != NGX_EADDRINUSE) {
            break;
        }
    }

    return NGX_ERROR;
}


/*
 * Datagrams come from the client's address.  A port that the client has
 * announced counts if the address with it is the client's, which fails behind
 * NAT; otherwise the port is the one that is used first.
 */

static void
ngx_trp_associate_expect(ngx_trp_associate_t *as)
{
    in_port_t          port;
    ngx_trp_target_t  *target;

    ngx_trp_addr_from_sockaddr(&as->peer.addr, &port, as->client->sockaddr);
    (void) trp_addr_unmap(&as->peer.addr);

    target = &as->socks->target;

    if (ngx_memcmp(&target->addr, &as->peer.addr, sizeof(trp_addr_t)) == 0) {
        as->peer.port = target->port;
    }
}


static void
ngx_trp_associate_empty_handler(ngx_event_t *ev)
{
}


static void
ngx_trp_associate_read_handler(ngx_event_t *rev)
{
    u_char                buf[65536];
    ssize_t               n;
    socklen_t             len;
    ngx_err_t             err;
    ngx_uint_t            i;
    ngx_sockaddr_t        sa;
    ngx_connection_t     *c;
    ngx_trp_associate_t  *as;

    c = rev->data;
    as = c->data;

    for (i = 0; i < NGX_TRP_ASSOCIATE_TURN; i++) {

        len = sizeof(ngx_sockaddr_t);
        n = recvfrom(c->fd, buf, sizeof(buf), 0, &sa.sockaddr, &len);

        if (n == -1) {
            err = ngx_socket_errno;

            if (err == NGX_EINTR) {
                continue;
            }

            rev->ready = 0;

            if (err != NGX_EAGAIN && !as->failed) {
                as->failed = 1;
                ngx_log_error(NGX_LOG_ERR, c->log, err,
                              "recvfrom() of a socket for UDP failed");
            }

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_trp_associate_end(as);
            }

            return;
        }

        ngx_trp_associate_datagram(as, &sa, len, buf, n);
    }

    ngx_post_event(rev, &ngx_posted_next_events);
}


static void
ngx_trp_associate_datagram(ngx_trp_associate_t *as, ngx_sockaddr_t *sa,
    socklen_t socklen, u_char *p, size_t len)
{
    int                 rc;
    size_t              used;
    trp_str_t           data;
    trp_taddr_t         from;
    trp_socks5_addr_t   to;

    if (!ngx_trp_associate_is_client(as, &sa->sockaddr, &from)) {
        ngx_trp_associate_stranger(as, &from);
        return;
    }

    data.data = p;
    data.len = len;

    rc = trp_socks5_header(data, &used, &to);

    if (rc == TRP_DECLINED) {
        ngx_trp_associate_dropped(as, NGX_TRP_ASSOCIATE_FRAGMENT, len);
        return;
    }

    if (rc != TRP_OK || to.port == 0) {

        if (!as->malformed) {
            as->malformed = 1;
            ngx_log_error(NGX_LOG_INFO, as->client->log, 0,
                          "SOCKS5 client sent an invalid datagram");
        }

        return;
    }

    as->peer.port = from.port;
    as->sockaddr = *sa;
    as->socklen = socklen;

    as->received += len;
    as->socks->flow.received += len;
    ngx_trp_associate_wake(as);

    (void) trp_addr_unmap(&to.addr);

    if (ngx_trp_associate_allowed(as, &to)
        && ngx_trp_associate_dests_send(&as->dests, &to, p + used, len - used)
           == NGX_DECLINED)
    {
        ngx_trp_associate_dropped(as, NGX_TRP_ASSOCIATE_REFUSED, len - used);
    }
}


static ngx_uint_t
ngx_trp_associate_is_client(ngx_trp_associate_t *as, struct sockaddr *sa,
    trp_taddr_t *from)
{
    in_port_t  port;

    ngx_trp_addr_from_sockaddr(&from->addr, &port, sa);
    (void) trp_addr_unmap(&from->addr);

    from->port = port;

    if (as->peer.addr.family == 0
        || ngx_memcmp(&from->addr, &as->peer.addr, sizeof(trp_addr_t)) != 0)
    {
        return 0;
    }

    return as->peer.port == 0 || as->peer.port == port;
}


/* any host may send this, or a client or NAT that has changed the port */

static void
ngx_trp_associate_stranger(ngx_trp_associate_t *as, const trp_taddr_t *from)
{
    u_char  text[TRP_ADDR_TEXT_LEN], expected[TRP_ADDR_TEXT_LEN];

    if (as->strange) {
        return;
    }

    as->strange = 1;

    ngx_log_error(NGX_LOG_INFO, as->client->log, 0,
                  "datagram from %*s, port %ui, was dropped, those of the "
                  "SOCKS5 client come from %*s, port %ui",
                  trp_addr_text(text, &from->addr), text,
                  (ngx_uint_t) from->port,
                  trp_addr_text(expected, &as->peer.addr), expected,
                  (ngx_uint_t) as->peer.port);
}


void
ngx_trp_associate_dropped(ngx_trp_associate_t *as,
    ngx_trp_associate_drop_e why, size_t len)
{
    static const char  *text[] = {
        "it is a fragment",
        "its destination was refused a moment ago",
        "it is too large for the tunnel",
        "too many wait for its destination, or it is too large",
        "the client does not take more"
    };

    if (as->dropped & (1 << why)) {
        return;
    }

    as->dropped |= 1 << why;

    ngx_log_error(NGX_LOG_INFO, as->client->log, 0,
                  "datagram of %uz bytes was dropped: %s", len, text[why]);
}


static ngx_uint_t
ngx_trp_associate_allowed(ngx_trp_associate_t *as, trp_socks5_addr_t *to)
{
    static const trp_str_t  no_name = trp_string("");

    u_char      text[TRP_ADDR_TEXT_LEN];
    ngx_int_t   rc;
    ngx_str_t   host;

    if (to->addr.family) {
        rc = ngx_trp_socks5_check_addr(as->socks->conf, no_name, &to->addr,
                                       to->port);

    } else {
        rc = ngx_trp_socks5_check_name(as->socks->conf, to->host, to->port);
    }

    if (rc == NGX_OK || (rc == NGX_AGAIN && as->dests.path->resolves)) {
        return 1;
    }

    ngx_trp_socks5_count_denied(as->socks);

    if (!as->denied) {
        as->denied = 1;

        host.len = to->host.len;
        host.data = (u_char *) to->host.data;

        if (to->addr.family) {
            host.len = trp_addr_text(text, &to->addr);
            host.data = text;
        }

        ngx_trp_socks5_log_denied(as->socks, "datagram was dropped", &host,
                                  to->port);
    }

    return 0;
}


void
ngx_trp_associate_received(ngx_trp_associate_dest_t *dest,
    const trp_socks5_addr_t *from, u_char *p, size_t len)
{
    u_char                header[TRP_SOCKS5_HEADER_MAX];
    ssize_t               n;
    struct iovec          iovs[2];
    struct msghdr         msg;
    ngx_trp_associate_t  *as;

    as = dest->associate;

    ngx_trp_associate_dests_used(dest);

    if (as->udp == NULL || as->socklen == 0) {
        return;
    }

    iovs[0].iov_base = header;
    iovs[0].iov_len = trp_socks5_header_put(header, from);
    iovs[1].iov_base = p;
    iovs[1].iov_len = len;

    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_name = &as->sockaddr;
    msg.msg_namelen = as->socklen;
    msg.msg_iov = iovs;
    msg.msg_iovlen = 2;

    n = sendmsg(as->udp->fd, &msg, 0);

    if (n == -1) {

        if (ngx_socket_errno == NGX_EAGAIN) {
            ngx_trp_associate_dropped(as, NGX_TRP_ASSOCIATE_ANSWER, len);

        } else if (!as->failed) {
            as->failed = 1;
            ngx_log_error(NGX_LOG_INFO, as->client->log, ngx_socket_errno,
                          "sendmsg() to SOCKS5 client failed");
        }

        return;
    }

    as->sent += n;
    as->socks->flow.sent += n;
    ngx_trp_associate_wake(as);
}


/* the proxy restarts its timer whenever it is called */

static void
ngx_trp_associate_wake(ngx_trp_associate_t *as)
{
    if (as->holder == NULL
        || ngx_current_msec - as->woken < NGX_TRP_ASSOCIATE_WAKE)
    {
        return;
    }

    as->woken = ngx_current_msec;

    ngx_trp_fake_wake(as->holder->read);
}


void
ngx_trp_associate_end(ngx_trp_associate_t *as)
{
    as->over = 1;

    if (as->holder) {
        ngx_trp_fake_wake(as->holder->read);
    }
}


void
ngx_trp_associate_close(ngx_trp_associate_t *as)
{
    ngx_connection_t  *c;

    c = as->udp;

    if (c == NULL) {
        return;
    }

    as->udp = NULL;
    as->holder = NULL;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, as->client->log, 0,
                   "trp socks5 association is over: %O bytes received, %O sent",
                   as->received, as->sent);

    ngx_trp_associate_dests_close(&as->dests);

    ngx_close_connection(c);

    ngx_trp_associate_count(as);
}


/* the access log shows datagrams with their headers as the session's bytes */

static void
ngx_trp_associate_count(ngx_trp_associate_t *as)
{
    as->client->sent += as->sent;
    as->socks->session->received += as->received;

    as->socks->flow.received -= as->received;
    as->socks->flow.sent -= as->sent;
}


static ngx_int_t
ngx_trp_associate_hold(ngx_trp_associate_t *as, ngx_socket_t fd,
    ngx_peer_connection_t *pc)
{
    ngx_connection_t  *c;

    c = ngx_trp_fake_connection(fd, pc->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    /* as for streams: the proxy uses the other pointers */

    c->udp = (ngx_udp_connection_t *) as;

    c->recv = ngx_trp_associate_recv;
    c->send = ngx_trp_associate_send;
    c->send_chain = ngx_trp_associate_send_chain;

    /* the last buffer tells the client's end */
    c->need_last_buf = 1;

    as->holder = c;
    as->woken = ngx_current_msec;

    pc->connection = c;
    pc->cached = 1;

    return NGX_OK;
}


static ssize_t
ngx_trp_associate_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ngx_trp_associate_t  *as;

    as = (ngx_trp_associate_t *) c->udp;

    c->read->ready = 0;

    if (!as->over) {
        return NGX_AGAIN;
    }

    c->read->eof = 1;

    return 0;
}


static ssize_t
ngx_trp_associate_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    return size;
}


/* the client's end is the association's, even if only half-closed */

static ngx_chain_t *
ngx_trp_associate_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    for ( /* void */ ; in; in = in->next) {

        in->buf->pos = in->buf->last;

        if (in->buf->last_buf) {
            ngx_trp_associate_end((ngx_trp_associate_t *) c->udp);
        }
    }

    return NULL;
}
