
/*
 * Copyright (C) the trp authors
 */


/*
 * A way for datagrams to a relay by a connected socket.  Errors of ICMP come in
 * on it: a port that stays closed means that the relay is gone.
 */


#include "agent/ngx_trp_path_direct.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_udp_socket.h"


/* what fits into Ethernet's 1500 bytes, and into the least for QUIC */

#define NGX_TRP_PATH_DIRECT_MAX   1452
#define NGX_TRP_PATH_DIRECT_MIN   1200

#define NGX_TRP_PATH_DIRECT_BUFFER   65536

/* in one turn of the event loop */

#define NGX_TRP_PATH_DIRECT_READS     64
#define NGX_TRP_PATH_DIRECT_READ_MAX  262144

/* how long a port has to be closed, and a pause between two sockets; ms */

#define NGX_TRP_PATH_DIRECT_CLOSED   1000
#define NGX_TRP_PATH_DIRECT_PAUSE    1000


typedef struct {
    ngx_trp_udp_path_t       path;
    ngx_connection_t        *connection;
    ngx_str_t               *name;
    ngx_event_t              event;      /* it is ready, or to be replaced */
    ngx_uint_t               no_gso;
    ngx_msec_t               refused;    /* since when */
    unsigned                 closed:1;   /* the port is, or seems to be */
    unsigned                 heard:1;    /* something has come ever */
    unsigned                 gone:1;     /* to be told from an event */
    u_char                   buf[NGX_TRP_PATH_DIRECT_BUFFER];
} ngx_trp_path_direct_t;


static ngx_int_t ngx_trp_path_direct_connect(ngx_trp_path_direct_t *pd,
    ngx_connection_t **connection);
static ngx_int_t ngx_trp_path_direct_local(ngx_trp_path_direct_t *pd,
    ngx_connection_t *c);
static void ngx_trp_path_direct_size(ngx_trp_path_direct_t *pd);
static void ngx_trp_path_direct_event_handler(ngx_event_t *ev);
static void ngx_trp_path_direct_replace(ngx_trp_path_direct_t *pd);
static void ngx_trp_path_direct_read_handler(ngx_event_t *rev);
static ssize_t ngx_trp_path_direct_read(ngx_trp_path_direct_t *pd);
static void ngx_trp_path_direct_error(ngx_trp_path_direct_t *pd,
    ngx_err_t err);
static void ngx_trp_path_direct_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_trp_path_direct_send(ngx_trp_udp_path_t *path, u_char *p,
    size_t len, size_t segment);
static void ngx_trp_path_direct_close(ngx_trp_udp_path_t *path);


static const ngx_trp_udp_path_ops_t  ngx_trp_path_direct_ops = {
    ngx_trp_path_direct_send,
    ngx_trp_path_direct_close
};


ngx_trp_udp_path_t *
ngx_trp_path_direct_open(struct sockaddr *sockaddr, socklen_t socklen,
    ngx_str_t *name, const ngx_trp_udp_path_handlers_t *handlers, void *data,
    ngx_log_t *log)
{
    ngx_trp_path_direct_t  *pd;

    pd = ngx_alloc(sizeof(ngx_trp_path_direct_t), log);
    if (pd == NULL) {
        return NULL;
    }

    ngx_memzero(pd, offsetof(ngx_trp_path_direct_t, buf));

    pd->path.ops = &ngx_trp_path_direct_ops;
    pd->path.handlers = handlers;
    pd->path.data = data;
    pd->path.log = log;
    pd->path.remote_len = socklen;
    ngx_memcpy(&pd->path.remote, sockaddr, socklen);

    pd->name = name;

    pd->event.data = pd;
    pd->event.log = log;
    pd->event.handler = ngx_trp_path_direct_event_handler;

    if (ngx_trp_path_direct_connect(pd, &pd->connection) != NGX_OK
        || ngx_trp_path_direct_local(pd, pd->connection) != NGX_OK)
    {
        ngx_trp_path_direct_close(&pd->path);
        return NULL;
    }

    ngx_trp_path_direct_size(pd);
    ngx_post_event(&pd->event, &ngx_posted_events);

    return &pd->path;
}


static ngx_int_t
ngx_trp_path_direct_connect(ngx_trp_path_direct_t *pd,
    ngx_connection_t **connection)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    rc = ngx_trp_connect(&c, &pd->path.remote.sockaddr, pd->path.remote_len,
                         pd->name, SOCK_DGRAM, pd->path.log, NGX_ERROR_ERR);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_ERROR;
    }

    ngx_trp_udp_socket_init(c->fd);

    c->data = pd;
    c->log = pd->path.log;
    c->idle = 1;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_trp_path_direct_read_handler;
    c->write->handler = ngx_trp_path_direct_write_handler;

    *connection = c;

    return NGX_OK;
}


/* NGX_OK: this is another address or port than before */

static ngx_int_t
ngx_trp_path_direct_local(ngx_trp_path_direct_t *pd, ngx_connection_t *c)
{
    socklen_t       len;
    ngx_sockaddr_t  sa;

    len = sizeof(ngx_sockaddr_t);

    if (getsockname(c->fd, &sa.sockaddr, &len) == -1) {
        ngx_log_error(NGX_LOG_ERR, pd->path.log, ngx_socket_errno,
                      "getsockname() failed");
        return NGX_ERROR;
    }

    if (ngx_cmp_sockaddr(&sa.sockaddr, len, &pd->path.local.sockaddr,
                         pd->path.local_len, 0)
        == NGX_OK)
    {
        return NGX_DECLINED;
    }

    pd->path.local = sa;
    pd->path.local_len = len;

    return NGX_OK;
}


/* as much as the route's MTU allows without fragments */

static void
ngx_trp_path_direct_size(ngx_trp_path_direct_t *pd)
{
    int         mtu, rc, v6;
    size_t      max;
    socklen_t   len;

    len = sizeof(int);
    max = NGX_TRP_PATH_DIRECT_MAX;
    v6 = (pd->path.remote.sockaddr.sa_family == AF_INET6);

    rc = v6 ? getsockopt(pd->connection->fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len)
            : getsockopt(pd->connection->fd, IPPROTO_IP, IP_MTU, &mtu, &len);

    if (rc == 0 && mtu > 0) {
        mtu -= v6 ? 48 : 28;
        max = ngx_min(max, (size_t) ngx_max(mtu, NGX_TRP_PATH_DIRECT_MIN));
    }

    pd->path.max = max;
    pd->path.segments = ngx_min(NGX_TRP_UDP_MAX / max, NGX_TRP_UDP_SEGMENTS);
}


static void
ngx_trp_path_direct_event_handler(ngx_event_t *ev)
{
    ngx_trp_path_direct_t  *pd;

    pd = ev->data;

    if (pd->path.ready) {
        ngx_trp_path_direct_replace(pd);
        return;
    }

    pd->path.ready = 1;
    pd->path.handlers->ready(&pd->path);
}


/* the old socket has no route: a new one may have another address */

static void
ngx_trp_path_direct_replace(ngx_trp_path_direct_t *pd)
{
    ngx_connection_t  *c;

    if (ngx_trp_connect_way(&pd->path.remote.sockaddr, pd->path.remote_len)
        != 0
        || ngx_trp_path_direct_connect(pd, &c) != NGX_OK)
    {
        return;
    }

    ngx_close_connection(pd->connection);
    pd->connection = c;

    if (ngx_trp_path_direct_local(pd, c) == NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, pd->path.log, 0,
                      "this host sends from another address");
    }

    pd->path.handlers->ready(&pd->path);
}


static void
ngx_trp_path_direct_read_handler(ngx_event_t *rev)
{
    size_t                  total;
    ssize_t                 n;
    ngx_uint_t              i;
    ngx_connection_t       *c;
    ngx_trp_path_direct_t  *pd;

    c = rev->data;
    pd = c->data;

    if (c->close) {
        c->close = 0;
        pd->path.handlers->drain(&pd->path, c->error);
        return;
    }

    n = 0;
    total = 0;

    for (i = 0;
         i < NGX_TRP_PATH_DIRECT_READS && total < NGX_TRP_PATH_DIRECT_READ_MAX;
         i++)
    {
        n = ngx_trp_path_direct_read(pd);

        if (n < 0 || pd->gone) {
            break;
        }

        total += n;
    }

    if (pd->gone) {
        pd->path.handlers->failed(&pd->path);
        return;
    }

    if (n >= 0) {
        ngx_post_event(rev, &ngx_posted_next_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        pd->path.handlers->failed(&pd->path);
    }
}


/* the number of bytes, or NGX_AGAIN */

static ssize_t
ngx_trp_path_direct_read(ngx_trp_path_direct_t *pd)
{
    u_char            *p;
    size_t             len, left, segment;
    ssize_t            n;
    ngx_connection_t  *c;

    c = pd->connection;

    n = ngx_trp_udp_socket_recv(c->fd, pd->buf, sizeof(pd->buf), &segment);

    if (n == NGX_AGAIN) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    if (n == NGX_ERROR) {
        ngx_trp_path_direct_error(pd, ngx_socket_errno);
        return 0;
    }

    pd->heard = 1;
    pd->closed = 0;

    for (p = pd->buf, left = n; left; p += len, left -= len) {
        len = ngx_min(left, segment);
        pd->path.handlers->received(&pd->path, p, len, 0);
    }

    return n;
}


static void
ngx_trp_path_direct_error(ngx_trp_path_direct_t *pd, ngx_err_t err)
{
    switch (err) {

    case NGX_ECONNREFUSED:

        if (!pd->closed) {
            pd->closed = 1;
            pd->refused = ngx_current_msec;
        }

        if (!pd->gone
            && (!pd->heard
                || ngx_current_msec - pd->refused
                   >= NGX_TRP_PATH_DIRECT_CLOSED))
        {
            pd->gone = 1;

            ngx_log_error(NGX_LOG_ERR, pd->path.log, err,
                          "relay's port %V is closed", pd->name);
        }

        break;

    case NGX_ENETUNREACH:
    case NGX_EHOSTUNREACH:
    case NGX_ENETDOWN:
    case NGX_EINVAL:
    case EADDRNOTAVAIL:

        if (!pd->event.timer_set && !pd->event.posted) {
            ngx_add_timer(&pd->event, NGX_TRP_PATH_DIRECT_PAUSE);
        }

        break;

    default:
        break;
    }
}


static void
ngx_trp_path_direct_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_trp_path_direct_t  *pd;

    c = wev->data;
    pd = c->data;

    if (pd->path.ready) {
        pd->path.handlers->writable(&pd->path);
    }
}


static ngx_int_t
ngx_trp_path_direct_send(ngx_trp_udp_path_t *path, u_char *p, size_t len,
    size_t segment)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_trp_udp_head_t      head;
    ngx_trp_path_direct_t  *pd;

    pd = (ngx_trp_path_direct_t *) path;
    c = pd->connection;

    head.len = 0;

    rc = ngx_trp_udp_socket_send(c->fd, &head, p, len, segment, &pd->no_gso);

    if (rc == NGX_AGAIN) {
        c->write->ready = 0;

        return (ngx_handle_write_event(c->write, 0) == NGX_OK) ? NGX_AGAIN
                                                               : NGX_OK;
    }

    if (rc == NGX_ERROR) {
        ngx_trp_path_direct_error(pd, ngx_socket_errno);

        if (pd->gone) {
            ngx_post_event(c->read, &ngx_posted_events);
        }
    }

    return NGX_OK;
}


static void
ngx_trp_path_direct_close(ngx_trp_udp_path_t *path)
{
    ngx_trp_path_direct_t  *pd;

    pd = (ngx_trp_path_direct_t *) path;

    if (pd->connection) {
        ngx_close_connection(pd->connection);
    }

    if (pd->event.timer_set) {
        ngx_del_timer(&pd->event);
    }

    if (pd->event.posted) {
        ngx_delete_posted_event(&pd->event);
    }

    ngx_free(pd);
}
