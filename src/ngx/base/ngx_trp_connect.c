
/*
 * Copyright (C) the trp authors
 */


/*
 * A non-blocking connect(), its result, whether this host has a route to an
 * address, and what a connection's peer does not have yet.
 */


#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_event.h"

#if (NGX_LINUX)
#include <linux/sockios.h>
#endif


/* milliseconds, for all addresses but the last; and for each of them */

#define NGX_TRP_CONNECT_PATIENCE       10000
#define NGX_TRP_CONNECT_PATIENCE_MAX   2000
#define NGX_TRP_CONNECT_PATIENCE_MIN   1000


static void ngx_trp_connect_reset_event(ngx_event_t *ev);


ngx_int_t
ngx_trp_connect(ngx_connection_t **c, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name, int type, ngx_log_t *log,
    ngx_uint_t log_error)
{
    ngx_int_t              rc;
    ngx_peer_connection_t  pc;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = sockaddr;
    pc.socklen = socklen;
    pc.name = name;
    pc.get = ngx_event_get_peer;
    pc.type = type;
    pc.log = log;
    pc.log_error = log_error;

    rc = ngx_event_connect_peer(&pc);

    *c = pc.connection;

    return rc;
}


ngx_int_t
ngx_trp_connect_again(ngx_connection_t *c, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    int           rc;
    ngx_err_t     err;
    ngx_event_t  *rev, *wev;
    ngx_socket_t  fd;

    rev = c->read;
    wev = c->write;

    fd = ngx_socket(sockaddr->sa_family, SOCK_STREAM, 0);

    if (fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    if (ngx_nonblocking(fd) == -1) {
        err = ngx_socket_errno;
        (void) ngx_close_socket(fd);
        ngx_set_errno(err);
        return NGX_ERROR;
    }

    if (ngx_del_conn) {
        (void) ngx_del_conn(c, NGX_CLOSE_EVENT);

    } else {
        (void) ngx_trp_event_del(rev);
        (void) ngx_trp_event_del(wev);
    }

    if (rev->posted) {
        ngx_delete_posted_event(rev);
    }

    if (wev->posted) {
        ngx_delete_posted_event(wev);
    }

    (void) ngx_close_socket(c->fd);

    c->fd = fd;
    c->error = 0;

    ngx_trp_connect_reset_event(rev);
    ngx_trp_connect_reset_event(wev);

    if (ngx_add_conn && ngx_add_conn(c) == NGX_ERROR) {
        return NGX_ERROR;
    }

    rc = connect(fd, sockaddr, socklen);

    if (rc == -1 && ngx_socket_errno != NGX_EINPROGRESS) {
        return NGX_ERROR;
    }

    if (ngx_add_conn == NULL
        && (ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK
            || ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT) != NGX_OK))
    {
        return NGX_ERROR;
    }

    wev->ready = (rc == 0);

    return (rc == 0) ? NGX_OK : NGX_AGAIN;
}


/* events of the previous socket, which may be on their way, have no effect */

static void
ngx_trp_connect_reset_event(ngx_event_t *ev)
{
    ev->instance = !ev->instance;

    ev->ready = 0;
    ev->eof = 0;
    ev->error = 0;
    ev->pending_eof = 0;
    ev->available = 0;
}


ngx_err_t
ngx_trp_connect_error(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err;
}


/* a datagram socket finds the same route, or none */

ngx_err_t
ngx_trp_connect_way(struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_err_t     err;
    ngx_socket_t  fd;

    fd = ngx_socket(sockaddr->sa_family, SOCK_DGRAM, 0);

    if (fd == (ngx_socket_t) -1) {
        return ngx_socket_errno;
    }

    err = (connect(fd, sockaddr, socklen) == -1) ? ngx_socket_errno : 0;

    (void) ngx_close_socket(fd);

    return err;
}


ngx_msec_t
ngx_trp_connect_patience(ngx_uint_t n)
{
    ngx_msec_t  time;

    time = NGX_TRP_CONNECT_PATIENCE / (n - 1);
    time = ngx_max(time, NGX_TRP_CONNECT_PATIENCE_MIN);

    return ngx_min(time, NGX_TRP_CONNECT_PATIENCE_MAX);
}


size_t
ngx_trp_connect_unsent(ngx_connection_t *c)
{
#ifdef SIOCOUTQ

    int  n;

    return (ioctl(c->fd, SIOCOUTQ, &n) == 0) ? n : 0;

#else

    return 0;

#endif
}
