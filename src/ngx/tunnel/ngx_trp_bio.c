
/*
 * Copyright (C) the trp authors
 */


/*
 * A BIO beneath a tunnel's TLS: OpenSSL's output is collected here until it is
 * flushed, and the socket is read in large pieces.
 */


#include "tunnel/ngx_trp_bio.h"
#include "websocket/ngx_trp_websocket_bio.h"


#define NGX_TRP_BIO_MIN     512

/* free buffers that are kept */
#define NGX_TRP_BIO_KEEP    16

/* a record of this size is one of many */
#define NGX_TRP_BIO_LARGE   8192


static void ngx_trp_bio_cleanup(void *data);
static void *ngx_trp_bio_take(ngx_trp_bio_t *bio);
static void ngx_trp_bio_give(ngx_trp_bio_t *bio, void *p);
static ngx_uint_t ngx_trp_bio_in_kernel(BIO *b);
static int ngx_trp_bio_destroy(BIO *b);
static long ngx_trp_bio_ctrl(BIO *b, int cmd, long num, void *ptr);
static int ngx_trp_bio_read(BIO *b, char *p, int size);
static size_t ngx_trp_bio_copy(ngx_trp_bio_t *bio, u_char *p, size_t size);
static ssize_t ngx_trp_bio_recv_plain(ngx_trp_bio_t *bio, u_char *p,
    size_t size);
static int ngx_trp_bio_read_in(BIO *b);
static int ngx_trp_bio_recv(BIO *b, void *p, int size);
static ngx_uint_t ngx_trp_bio_is_empty(ngx_trp_bio_t *bio);
static int ngx_trp_bio_write(BIO *b, const char *p, int size);
static u_char *ngx_trp_bio_grow(ngx_trp_bio_t *bio, size_t size);
static ngx_int_t ngx_trp_bio_write_out(BIO *b);


ngx_int_t
ngx_trp_bio_init(ngx_pool_t *pool, ngx_trp_bio_conf_t *conf)
{
    BIO_METHOD          *method;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    method = BIO_meth_new(BIO_TYPE_FILTER, "trp");
    if (method == NULL) {
        return NGX_ERROR;
    }

    conf->method = method;

    cln->handler = ngx_trp_bio_cleanup;
    cln->data = conf;

    if (BIO_meth_set_destroy(method, ngx_trp_bio_destroy) != 1
        || BIO_meth_set_ctrl(method, ngx_trp_bio_ctrl) != 1
        || BIO_meth_set_read(method, ngx_trp_bio_read) != 1
        || BIO_meth_set_write(method, ngx_trp_bio_write) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_bio_cleanup(void *data)
{
    ngx_trp_bio_conf_t  *conf = data;

    void  *p;

    BIO_meth_free(conf->method);

    while (conf->free) {
        p = conf->free;
        conf->free = *(void **) p;
        ngx_free(p);
    }
}


ngx_int_t
ngx_trp_bio_insert(ngx_trp_bio_t *bio, ngx_trp_bio_conf_t *conf,
    ngx_connection_t *c)
{
    BIO             *b, *next;
    ngx_ssl_conn_t  *ssl;

    bio->connection = c;
    bio->conf = conf;

    ssl = c->ssl->connection;
    next = SSL_get_rbio(ssl);

    if (ngx_trp_bio_in_kernel(next)) {
        return NGX_OK;
    }

    b = BIO_new(conf->method);
    if (b == NULL) {
        return NGX_ERROR;
    }

    bio->socket = (BIO_method_type(next) == BIO_TYPE_SOCKET
                   || BIO_ctrl(next, NGX_TRP_WEBSOCKET_BIO_SOCKET, 0, NULL)
                      == 1);
    bio->websocket = (BIO_method_type(next) == NGX_TRP_WEBSOCKET_BIO);

    BIO_set_data(b, bio);

    /* SSL_set_bio() releases the previous one */

    BIO_up_ref(next);
    BIO_push(b, next);

    SSL_set_bio(ssl, b, b);

    return NGX_OK;
}


void
ngx_trp_bio_plain(ngx_trp_bio_t *bio, ngx_trp_bio_conf_t *conf,
    ngx_connection_t *c)
{
    bio->connection = c;
    bio->conf = conf;
    bio->socket = 1;
}


/* kernel TLS makes the records itself, and takes bytes as they are */

static ngx_uint_t
ngx_trp_bio_in_kernel(BIO *b)
{
#ifdef BIO_get_ktls_send

    return BIO_get_ktls_send(b) || BIO_get_ktls_recv(b);

#else

    return 0;

#endif
}


static int
ngx_trp_bio_destroy(BIO *b)
{
    ngx_trp_bio_free(BIO_get_data(b));

    return 1;
}


void
ngx_trp_bio_free(ngx_trp_bio_t *bio)
{
    ngx_trp_out_free(&bio->out);

    if (bio->in) {
        ngx_free(bio->in);
        bio->in = NULL;
    }
}


/* OpenSSL itself flushes alerts, and a handshake's messages */

static long
ngx_trp_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    switch (cmd) {

    case BIO_CTRL_FLUSH:
        if (ngx_trp_bio_write_out(b) != NGX_OK) {
            return -1;
        }

        break;

#ifdef BIO_get_ktls_send
    case BIO_CTRL_GET_KTLS_SEND:
    case BIO_CTRL_GET_KTLS_RECV:

        /* asked for each record; always no, see ngx_trp_bio_insert() */
        return 0;
#endif
    }

    return BIO_ctrl(BIO_next(b), cmd, num, ptr);
}


static int
ngx_trp_bio_read(BIO *b, char *p, int size)
{
    int             n;
    ngx_trp_bio_t  *bio;

    bio = BIO_get_data(b);

    BIO_clear_retry_flags(b);

    if (bio->in == NULL) {

        if (!bio->full) {
            return ngx_trp_bio_recv(b, p, size);
        }

        n = ngx_trp_bio_read_in(b);

        if (n <= 0) {
            return n;
        }
    }

    return (int) ngx_trp_bio_copy(bio, (u_char *) p, size);
}


/* what has been read in */

static size_t
ngx_trp_bio_copy(ngx_trp_bio_t *bio, u_char *p, size_t size)
{
    size_t  n;

    n = ngx_min(size, (size_t) (bio->in_last - bio->in_pos));

    ngx_memcpy(p, bio->in_pos, n);
    bio->in_pos += n;

    if (bio->in_pos == bio->in_last) {
        ngx_trp_bio_give(bio, bio->in);
        bio->in = NULL;
    }

    return n;
}


/* for long reads the buffer would only be a copy in between */

ssize_t
ngx_trp_bio_read_plain(ngx_trp_bio_t *bio, u_char *buf, size_t size)
{
    u_char   *p;
    ssize_t   n;

    if (bio->in) {
        return ngx_trp_bio_copy(bio, buf, size);
    }

    if (size >= NGX_TRP_BIO_LARGE) {
        return ngx_trp_bio_recv_plain(bio, buf, size);
    }

    p = ngx_trp_bio_take(bio);
    if (p == NULL) {
        return NGX_ERROR;
    }

    n = ngx_trp_bio_recv_plain(bio, p, NGX_TRP_BIO_SIZE);

    if (n <= 0) {
        ngx_trp_bio_give(bio, p);
        return n;
    }

    bio->in = p;
    bio->in_pos = p;
    bio->in_last = p + n;

    return ngx_trp_bio_copy(bio, buf, size);
}


static ssize_t
ngx_trp_bio_recv_plain(ngx_trp_bio_t *bio, u_char *p, size_t size)
{
    ssize_t  n;

    do {
        n = recv(bio->connection->fd, p, size, 0);

    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    if (n && (size_t) n < size && ngx_trp_bio_is_empty(bio)) {
        bio->connection->read->ready = 0;
    }

    return n;
}


/*
 * The buffer is larger than anything that such a peer writes at once, so that a
 * read is short, and need not be repeated.  OpenSSL's own read-ahead would move
 * all that follows a record, for each record.
 */

static int
ngx_trp_bio_read_in(BIO *b)
{
    int             n;
    u_char         *p;
    ngx_trp_bio_t  *bio;

    bio = BIO_get_data(b);

    p = ngx_trp_bio_take(bio);
    if (p == NULL) {
        return -1;
    }

    n = ngx_trp_bio_recv(b, p, NGX_TRP_BIO_SIZE);

    if (n <= 0) {
        ngx_trp_bio_give(bio, p);
        return n;
    }

    bio->in = p;
    bio->in_pos = p;
    bio->in_last = p + n;

    return n;
}


static void *
ngx_trp_bio_take(ngx_trp_bio_t *bio)
{
    void                *p;
    ngx_trp_bio_conf_t  *conf;

    conf = bio->conf;
    p = conf->free;

    if (p == NULL) {
        return ngx_alloc(NGX_TRP_BIO_SIZE, bio->connection->log);
    }

    conf->free = *(void **) p;
    conf->nfree--;

    return p;
}


static void
ngx_trp_bio_give(ngx_trp_bio_t *bio, void *p)
{
    ngx_trp_bio_conf_t  *conf;

    conf = bio->conf;

    if (conf->nfree == NGX_TRP_BIO_KEEP) {
        ngx_free(p);
        return;
    }

    *(void **) p = conf->free;
    conf->free = p;
    conf->nfree++;
}


static int
ngx_trp_bio_recv(BIO *b, void *p, int size)
{
    int             n;
    BIO            *next;
    ngx_event_t    *rev;
    ngx_trp_bio_t  *bio;

    bio = BIO_get_data(b);
    rev = bio->connection->read;

    if (bio->socket && !rev->ready) {
        BIO_set_retry_read(b);
        return -1;
    }

    next = BIO_next(b);

    n = BIO_read(next, p, size);

    if (n == size) {
        bio->full = 1;

    } else if (n <= 0) {
        BIO_copy_next_retry(b);

    } else if (ngx_trp_bio_is_empty(bio)) {
        rev->ready = 0;
    }

    return n;
}


/*
 * A short read has drained the socket, and later data causes an event.  An end
 * that arrived with the data does not: epoll has reported both at once.
 */

static ngx_uint_t
ngx_trp_bio_is_empty(ngx_trp_bio_t *bio)
{
#if (NGX_HAVE_EPOLLRDHUP)

    return bio->socket && ngx_use_epoll_rdhup
           && !bio->connection->read->pending_eof;

#else

    return 0;

#endif
}


ngx_uint_t
ngx_trp_bio_is_drained(ngx_trp_bio_t *bio)
{
    ngx_ssl_conn_t    *ssl;
    ngx_connection_t  *c;

    c = bio->connection;

    if (!bio->socket || c->read->ready || bio->in) {
        return 0;
    }

    if (c->ssl == NULL) {
        return 1;
    }

    ssl = c->ssl->connection;

    return !SSL_has_pending(ssl) && SSL_want(ssl) != SSL_WRITING;
}


void
ngx_trp_bio_adapt(ngx_trp_bio_t *bio)
{
    if (bio->full) {
        SSL_set_read_ahead(bio->connection->ssl->connection, 0);
    }
}


void
ngx_trp_bio_relax(ngx_trp_bio_t *bio)
{
    ngx_ssl_conn_t  *ssl;

    ssl = bio->connection->ssl->connection;

    if (bio->in == NULL && SSL_free_buffers(ssl) == 1 && bio->full) {
        SSL_set_read_ahead(ssl, 1);
        bio->full = 0;
    }
}


static int
ngx_trp_bio_write(BIO *b, const char *p, int size)
{
    u_char         *dst;
    ngx_trp_bio_t  *bio;

    bio = BIO_get_data(b);

    BIO_clear_retry_flags(b);

    if (ngx_trp_bio_pending(bio) + size > NGX_TRP_BIO_SIZE
        && ngx_trp_bio_write_out(b) != NGX_OK)
    {
        return -1;
    }

    dst = ngx_trp_out_space(&bio->out, size);

    if (dst == NULL) {
        dst = ngx_trp_bio_grow(bio, size);
        if (dst == NULL) {
            return -1;
        }
    }

    ngx_memcpy(dst, p, size);
    bio->out.last += size;

    return size;
}


static u_char *
ngx_trp_bio_grow(ngx_trp_bio_t *bio, size_t size)
{
    u_char  *p;
    size_t   need;

    need = ngx_trp_bio_pending(bio) + size;

    if (need < NGX_TRP_BIO_LARGE) {
        need = ngx_max(2 * need, NGX_TRP_BIO_MIN);
        p = ngx_alloc(need, bio->connection->log);

    } else {
        need = NGX_TRP_BIO_SIZE;
        p = ngx_trp_bio_take(bio);
    }

    if (p == NULL) {
        return NULL;
    }

    ngx_trp_out_replace(&bio->out, p, need);

    return p + bio->out.last;
}


void
ngx_trp_bio_ping(ngx_trp_bio_t *bio)
{
    if (bio->websocket) {
        (void) BIO_ctrl(SSL_get_wbio(bio->connection->ssl->connection),
                        NGX_TRP_WEBSOCKET_BIO_PING, 0, NULL);
    }
}


ngx_int_t
ngx_trp_bio_flush(ngx_trp_bio_t *bio)
{
    if (!ngx_trp_bio_pending(bio)) {
        return NGX_OK;
    }

    return ngx_trp_bio_write_out(
                             SSL_get_wbio(bio->connection->ssl->connection));
}


static ngx_int_t
ngx_trp_bio_write_out(BIO *b)
{
    int             n;
    BIO            *next;
    ngx_trp_bio_t  *bio;
    ngx_trp_out_t  *out;

    bio = BIO_get_data(b);
    out = &bio->out;
    next = BIO_next(b);

    BIO_clear_retry_flags(b);

    while (ngx_trp_out_pending(out)) {

        n = BIO_write(next, out->start + out->pos,
                      (int) ngx_trp_out_pending(out));

        if (n <= 0) {

            if (!BIO_should_retry(next)) {
                return NGX_ERROR;
            }

            BIO_set_retry_write(b);
            bio->connection->write->ready = 0;

            return NGX_AGAIN;
        }

        out->pos += n;
    }

    if (out->size == NGX_TRP_BIO_SIZE) {
        ngx_trp_bio_give(bio, out->start);
        ngx_memzero(out, sizeof(ngx_trp_out_t));

    } else {
        ngx_trp_out_free(out);
    }

    return NGX_OK;
}
