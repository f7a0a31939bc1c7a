
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on a Unix socket: bytes as they are.  Both ends are processes of one
 * nginx, and what one of them has closed the other one sees at once.
 */


#include "tunnel/ngx_trp_transport_unix.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_event.h"


#define ngx_trp_transport_unix(tr)  trp_of(ngx_trp_transport_unix_t, base, tr)


typedef struct {
    ngx_trp_transport_t   base;
    ngx_trp_bio_conf_t   *conf;
    ngx_trp_bio_t         bio;
} ngx_trp_transport_unix_t;


static ngx_int_t ngx_trp_transport_unix_start(ngx_trp_transport_t *tr);
static ssize_t ngx_trp_transport_unix_recv(ngx_trp_transport_t *tr,
    u_char *buf, size_t size);
static const char *ngx_trp_transport_unix_failed(ngx_trp_transport_t *tr,
    ngx_uint_t quiet);
static ngx_uint_t ngx_trp_transport_unix_drained(ngx_trp_transport_t *tr);
static ssize_t ngx_trp_transport_unix_send(ngx_trp_transport_t *tr, u_char *p,
    size_t size);
static ngx_int_t ngx_trp_transport_unix_flush(ngx_trp_transport_t *tr);
static ngx_int_t ngx_trp_transport_unix_written(ngx_trp_transport_t *tr);
static size_t ngx_trp_transport_unix_unacknowledged(ngx_trp_transport_t *tr);
static void ngx_trp_transport_unix_keepalive(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static ngx_uint_t ngx_trp_transport_unix_lost(ngx_trp_transport_t *tr,
    ngx_msec_t beat, ngx_uint_t beats);
static void ngx_trp_transport_unix_relax(ngx_trp_transport_t *tr,
    ngx_uint_t ended);
static ngx_int_t ngx_trp_transport_unix_exporter(ngx_trp_transport_t *tr,
    u_char *out);
static ngx_uint_t ngx_trp_transport_unix_reused(ngx_trp_transport_t *tr);
static void ngx_trp_transport_unix_reset(ngx_trp_transport_t *tr);
static void ngx_trp_transport_unix_close(ngx_trp_transport_t *tr,
    ngx_uint_t blocked);


static const ngx_trp_transport_ops_t  ngx_trp_transport_unix_ops = {
    ngx_trp_transport_unix_start,
    ngx_trp_transport_unix_recv,
    ngx_trp_transport_unix_failed,
    ngx_trp_transport_unix_drained,
    ngx_trp_transport_unix_send,
    ngx_trp_transport_unix_flush,
    ngx_trp_transport_unix_written,
    ngx_trp_transport_unix_unacknowledged,
    ngx_trp_transport_unix_keepalive,
    ngx_trp_transport_unix_lost,
    ngx_trp_transport_unix_relax,
    ngx_trp_transport_unix_exporter,
    ngx_trp_transport_unix_reused,
    ngx_trp_transport_unix_reset,
    ngx_trp_transport_unix_close
};


ngx_trp_transport_t *
ngx_trp_transport_unix_create(ngx_connection_t *c, ngx_trp_bio_conf_t *conf)
{
    ngx_trp_transport_unix_t  *ux;

    ux = ngx_pcalloc(c->pool, sizeof(ngx_trp_transport_unix_t));
    if (ux == NULL) {
        return NULL;
    }

    ux->base.ops = &ngx_trp_transport_unix_ops;
    ux->base.connection = c;
    ux->base.out = &ux->bio.out;

    ux->conf = conf;

    return &ux->base;
}


static ngx_int_t
ngx_trp_transport_unix_start(ngx_trp_transport_t *tr)
{
    ngx_trp_transport_unix_t  *ux;

    ux = ngx_trp_transport_unix(tr);

    ngx_trp_bio_plain(&ux->bio, ux->conf, tr->connection);

    return ngx_trp_transport_unix_written(tr);
}


static ssize_t
ngx_trp_transport_unix_recv(ngx_trp_transport_t *tr, u_char *buf, size_t size)
{
    ssize_t         n;
    ngx_event_t    *rev;
    ngx_trp_bio_t  *bio;

    rev = tr->connection->read;
    bio = &ngx_trp_transport_unix(tr)->bio;

    n = ngx_trp_bio_is_drained(bio) ? NGX_AGAIN
                                    : ngx_trp_bio_read_plain(bio, buf, size);

    if (n > 0) {
        return n;
    }

    if (n == NGX_AGAIN) {
        rev->ready = 0;

        return (ngx_handle_read_event(rev, 0) == NGX_OK) ? NGX_AGAIN
                                                         : NGX_ERROR;
    }

    tr->err = (n == 0) ? 0 : ngx_socket_errno;

    return 0;
}


/* logged by nginx's events */

static const char *
ngx_trp_transport_unix_failed(ngx_trp_transport_t *tr, ngx_uint_t quiet)
{
    return NULL;
}


static ngx_uint_t
ngx_trp_transport_unix_drained(ngx_trp_transport_t *tr)
{
    return ngx_trp_bio_is_drained(&ngx_trp_transport_unix(tr)->bio);
}


static ssize_t
ngx_trp_transport_unix_send(ngx_trp_transport_t *tr, u_char *p, size_t size)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = tr->connection;

    n = c->send(c, p, size);

    if (n == NGX_AGAIN && ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return n;
}


static ngx_int_t
ngx_trp_transport_unix_flush(ngx_trp_transport_t *tr)
{
    return NGX_OK;
}


/* as with TLS, the write event is active only while output waits for it */

static ngx_int_t
ngx_trp_transport_unix_written(ngx_trp_transport_t *tr)
{
    ngx_event_t  *wev;

    wev = tr->connection->write;

    return wev->ready ? ngx_trp_event_del(wev) : NGX_OK;
}


static size_t
ngx_trp_transport_unix_unacknowledged(ngx_trp_transport_t *tr)
{
    return ngx_trp_connect_unsent(tr->connection);
}


static void
ngx_trp_transport_unix_keepalive(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
}


static ngx_uint_t
ngx_trp_transport_unix_lost(ngx_trp_transport_t *tr, ngx_msec_t beat,
    ngx_uint_t beats)
{
    return 0;
}


static void
ngx_trp_transport_unix_relax(ngx_trp_transport_t *tr, ngx_uint_t ended)
{
}


static ngx_int_t
ngx_trp_transport_unix_exporter(ngx_trp_transport_t *tr, u_char *out)
{
    return NGX_ERROR;
}


static ngx_uint_t
ngx_trp_transport_unix_reused(ngx_trp_transport_t *tr)
{
    return 0;
}


/* what was not read is lost with the socket */

static void
ngx_trp_transport_unix_reset(ngx_trp_transport_t *tr)
{
}


static void
ngx_trp_transport_unix_close(ngx_trp_transport_t *tr, ngx_uint_t blocked)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = tr->connection;
    pool = c->pool;

    ngx_trp_bio_free(&ngx_trp_transport_unix(tr)->bio);

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
