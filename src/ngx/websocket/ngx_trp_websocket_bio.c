
/*
 * Copyright (C) the trp authors
 */


/*
 * A WebSocket as a BIO.  It keeps no bytes of the stream: what is read is
 * decoded where the caller wants it, and what could not be written is masked
 * again when the caller comes with it a second time.
 */


#include "websocket/ngx_trp_websocket_bio.h"

#include <sodium.h>


/* frames without payload, in one read, that only keep this worker busy */
#define NGX_TRP_WEBSOCKET_EMPTY  65536


static void ngx_trp_websocket_bio_cleanup(void *data);
static int ngx_trp_websocket_bio_destroy(BIO *b);
static long ngx_trp_websocket_bio_ctrl(BIO *b, int cmd, long num, void *ptr);
static int ngx_trp_websocket_bio_read(BIO *b, char *p, int size);
static int ngx_trp_websocket_bio_recv(ngx_trp_websocket_bio_t *ws, BIO *next,
    u_char *p, size_t size);
static ngx_int_t ngx_trp_websocket_bio_decode(ngx_trp_websocket_bio_t *ws,
    BIO *next, u_char **dst, u_char *src, u_char *end);
static ngx_uint_t ngx_trp_websocket_bio_is_empty(
    ngx_trp_websocket_bio_t *ws);
static void ngx_trp_websocket_bio_frame(ngx_trp_websocket_bio_t *ws,
    BIO *next);
static void ngx_trp_websocket_bio_over(ngx_trp_websocket_bio_t *ws,
    BIO *next, ngx_uint_t code);
static void ngx_trp_websocket_bio_say_closed(ngx_trp_websocket_bio_t *ws,
    BIO *next, ngx_uint_t code);
static void ngx_trp_websocket_bio_control(ngx_trp_websocket_bio_t *ws,
    BIO *next, ngx_uint_t opcode, u_char *p, size_t len);
static int ngx_trp_websocket_bio_write_control(ngx_trp_websocket_bio_t *ws,
    BIO *next);
static int ngx_trp_websocket_bio_write(BIO *b, const char *p, int size);
static void ngx_trp_websocket_bio_begin(ngx_trp_websocket_bio_t *ws,
    size_t size);
static ssize_t ngx_trp_websocket_bio_send(ngx_trp_websocket_bio_t *ws,
    BIO *next, const char *p, size_t size);
static ssize_t ngx_trp_websocket_bio_send_masked(ngx_trp_websocket_bio_t *ws,
    BIO *next, const char *p, size_t size);
static void ngx_trp_websocket_bio_random(ngx_trp_websocket_bio_conf_t *conf,
    u_char *mask);


#define ngx_trp_websocket_bio_between(ws)                                     \
    ((ws)->left == 0 && (ws)->head_pos == (ws)->head_last)


ngx_int_t
ngx_trp_websocket_bio_init(ngx_pool_t *pool, ngx_trp_websocket_bio_conf_t *conf)
{
    BIO_METHOD          *method;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    method = BIO_meth_new(NGX_TRP_WEBSOCKET_BIO, "WebSocket");
    if (method == NULL) {
        return NGX_ERROR;
    }

    conf->method = method;

    cln->handler = ngx_trp_websocket_bio_cleanup;
    cln->data = conf;

    if (BIO_meth_set_destroy(method, ngx_trp_websocket_bio_destroy) != 1
        || BIO_meth_set_ctrl(method, ngx_trp_websocket_bio_ctrl) != 1
        || BIO_meth_set_read(method, ngx_trp_websocket_bio_read) != 1
        || BIO_meth_set_write(method, ngx_trp_websocket_bio_write) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_websocket_bio_cleanup(void *data)
{
    ngx_trp_websocket_bio_conf_t  *conf = data;

    BIO_meth_free(conf->method);

    if (conf->chunk) {
        ngx_free(conf->chunk);
    }
}


ngx_int_t
ngx_trp_websocket_bio_insert(ngx_trp_websocket_bio_t *ws,
    ngx_trp_websocket_bio_conf_t *conf, ngx_connection_t *c, ngx_uint_t client)
{
    BIO             *b, *next;
    ngx_ssl_conn_t  *ssl;

    ssl = c->ssl->connection;
    next = SSL_get_rbio(ssl);

    if (client && conf->chunk == NULL) {
        conf->chunk = ngx_alloc(NGX_TRP_WEBSOCKET_CHUNK, c->log);
        if (conf->chunk == NULL) {
            return NGX_ERROR;
        }
    }

    b = BIO_new(conf->method);
    if (b == NULL) {
        return NGX_ERROR;
    }

    ws->connection = c;
    ws->conf = conf;
    ws->client = client;
    ws->in.server = !client;
    ws->socket = (BIO_method_type(next) == BIO_TYPE_SOCKET);

    BIO_set_data(b, ws);

    /* SSL_set_bio() releases the previous one */

    BIO_up_ref(next);
    BIO_push(b, next);

    SSL_set_bio(ssl, b, b);

    return NGX_OK;
}


/*
 * The TLS inside has said already whether this is the end of the tunnel; what
 * is between the two should not take it for a failure.
 */

static int
ngx_trp_websocket_bio_destroy(BIO *b)
{
    ngx_connection_t         *c;
    ngx_trp_websocket_bio_t  *ws;

    ws = BIO_get_data(b);
    c = ws->connection;

    if (c->ssl && !c->ssl->no_send_shutdown && !c->error) {
        ngx_trp_websocket_bio_say_closed(ws, BIO_next(b),
                                         ngx_exiting
                                         ? TRP_WEBSOCKET_GOING_AWAY
                                         : TRP_WEBSOCKET_NORMAL);
    }

    return 1;
}


/* nothing else is asked for: kernel TLS would take the socket's bytes */

static long
ngx_trp_websocket_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    ngx_trp_websocket_bio_t  *ws;

    switch (cmd) {

    case BIO_CTRL_FLUSH:
    case BIO_CTRL_EOF:
    case BIO_C_GET_FD:
        return BIO_ctrl(BIO_next(b), cmd, num, ptr);

    case NGX_TRP_WEBSOCKET_BIO_PING:
        ws = BIO_get_data(b);
        ngx_trp_websocket_bio_control(ws, BIO_next(b), TRP_WEBSOCKET_PING,
                                      (u_char *) "", 0);
        return 1;

    case NGX_TRP_WEBSOCKET_BIO_SOCKET:
        ws = BIO_get_data(b);
        return ws->socket;
    }

    return 0;
}


/*
 * On a socket this is like a read of it: if it returns less than it could, all
 * has been read.
 */

static int
ngx_trp_websocket_bio_read(BIO *b, char *p, int size)
{
    int                       n;
    BIO                      *next;
    size_t                    empty;
    u_char                   *dst, *end, *start;
    ngx_int_t                 rc;
    ngx_trp_websocket_bio_t  *ws;

    ws = BIO_get_data(b);
    next = BIO_next(b);

    BIO_clear_retry_flags(b);

    dst = (u_char *) p;
    end = dst + size;
    empty = 0;

    for ( ;; ) {

        if (ws->closed) {
            ngx_set_errno(0);
            return (int) (dst - (u_char *) p);
        }

        n = ngx_trp_websocket_bio_recv(ws, next, dst, end - dst);

        if (n <= 0 && dst > (u_char *) p) {
            return (int) (dst - (u_char *) p);
        }

        if (n == NGX_AGAIN) {
            BIO_set_retry_read(b);
            return -1;
        }

        if (n <= 0) {
            return n;
        }

        start = dst;
        rc = ngx_trp_websocket_bio_decode(ws, next, &dst, dst, dst + n);

        if (rc != NGX_OK || dst == end) {
            continue;
        }

        if (start + n < end && ngx_trp_websocket_bio_is_empty(ws)) {
            ws->connection->read->ready = 0;
        }

        if (!ws->socket && dst > (u_char *) p) {
            return (int) (dst - (u_char *) p);
        }

        empty = (dst > start) ? 0 : empty + n;

        if (empty > NGX_TRP_WEBSOCKET_EMPTY) {
            ngx_log_error(NGX_LOG_INFO, ws->connection->log, 0,
                          "peer sends frames without end, but no data");
            ngx_trp_websocket_bio_over(ws, next, TRP_WEBSOCKET_POLICY);
        }
    }
}


/* the number of bytes, 0, NGX_AGAIN, NGX_ERROR */

static int
ngx_trp_websocket_bio_recv(ngx_trp_websocket_bio_t *ws, BIO *next, u_char *p,
    size_t size)
{
    int  n;

    if (size == 0) {
        return NGX_AGAIN;
    }

    if (ws->early) {
        n = (int) ngx_min(size, (size_t) (ws->early_last - ws->early));

        ngx_memcpy(p, ws->early, n);
        ws->early += n;

        if (ws->early == ws->early_last) {
            ws->early = NULL;
        }

        return n;
    }

    if (ws->socket && !ws->connection->read->ready) {
        return NGX_AGAIN;
    }

    n = BIO_read(next, p, (int) size);

    if (n > 0) {
        return n;
    }

    return BIO_should_retry(next) ? NGX_AGAIN : (n == 0) ? 0 : NGX_ERROR;
}


static ngx_int_t
ngx_trp_websocket_bio_decode(ngx_trp_websocket_bio_t *ws, BIO *next,
    u_char **dst, u_char *src, u_char *end)
{
    int         rc;
    ngx_uint_t  level;

    for ( ;; ) {
        rc = trp_websocket_read(&ws->in, dst, &src, end);

        if (rc == TRP_OK) {
            return NGX_OK;
        }

        if (rc == TRP_ERROR) {
            level = ws->client ? NGX_LOG_ERR : NGX_LOG_INFO;

            ngx_log_error(level, ws->connection->log, 0,
                          "peer sent an invalid WebSocket frame, "
                          "closed with code %d", (int) ws->in.code);

            ngx_trp_websocket_bio_over(ws, next, ws->in.code);

            return NGX_DECLINED;
        }

        ngx_trp_websocket_bio_frame(ws, next);

        if (ws->closed) {
            return NGX_DECLINED;
        }
    }
}


/* see ngx_trp_bio_is_empty() */

static ngx_uint_t
ngx_trp_websocket_bio_is_empty(ngx_trp_websocket_bio_t *ws)
{
#if (NGX_HAVE_EPOLLRDHUP)

    return ws->socket && ngx_use_epoll_rdhup && ws->early == NULL
           && !ws->connection->read->pending_eof;

#else

    return 0;

#endif
}


/* a control frame has come */

static void
ngx_trp_websocket_bio_frame(ngx_trp_websocket_bio_t *ws, BIO *next)
{
    trp_websocket_t  *in;

    in = &ws->in;

    switch (in->opcode) {

    case TRP_WEBSOCKET_PING:
        ngx_trp_websocket_bio_control(ws, next, TRP_WEBSOCKET_PONG,
                                      in->control, in->len);
        break;

    case TRP_WEBSOCKET_CLOSE:
        ngx_log_error(NGX_LOG_INFO, ws->connection->log, 0,
                      "peer closed WebSocket, code %d", (int) in->code);

        ngx_trp_websocket_bio_over(ws, next, in->code);
        break;
    }
}


/* nothing is read any more; whoever reads finds that it is so, as at an end */

static void
ngx_trp_websocket_bio_over(ngx_trp_websocket_bio_t *ws, BIO *next,
    ngx_uint_t code)
{
    ngx_trp_websocket_bio_say_closed(ws, next, code);

    ws->closed = 1;

    ws->connection->read->ready = 1;
#if (NGX_HAVE_EPOLLRDHUP)
    ws->connection->read->pending_eof = 1;
#endif
}


/* RFC 6455, section 5.5.1; tried once */

static void
ngx_trp_websocket_bio_say_closed(ngx_trp_websocket_bio_t *ws, BIO *next,
    ngx_uint_t code)
{
    u_char  buf[2];

    if (ws->said) {
        return;
    }

    buf[0] = (u_char) (code >> 8);
    buf[1] = (u_char) code;

    ngx_trp_websocket_bio_control(ws, next, TRP_WEBSOCKET_CLOSE, buf,
                                  code == TRP_WEBSOCKET_NO_CODE ? 0 : 2);
    ws->said = 1;
}


/*
 * Writes a control frame, now or before the next data; one that waits gives way
 * to the new one, unless its writing has begun.
 */

static void
ngx_trp_websocket_bio_control(ngx_trp_websocket_bio_t *ws, BIO *next,
    ngx_uint_t opcode, u_char *p, size_t len)
{
    size_t   n;
    u_char  *mask, buf[TRP_WEBSOCKET_MASK];

    if (ws->failed || ws->said || ws->begun) {
        return;
    }

    if (ws->control == NULL) {
        ws->control = ngx_pnalloc(ws->connection->pool,
                                  TRP_WEBSOCKET_HEAD + TRP_WEBSOCKET_CONTROL);
        if (ws->control == NULL) {
            return;
        }
    }

    mask = NULL;

    if (ws->client) {
        mask = buf;
        ngx_trp_websocket_bio_random(ws->conf, mask);
    }

    n = trp_websocket_head(ws->control, opcode, len, mask);

    if (mask) {
        trp_websocket_mask(ws->control + n, p, len, mask);

    } else {
        ngx_memcpy(ws->control + n, p, len);
    }

    ws->control_len = (uint8_t) (n + len);

    if (ngx_trp_websocket_bio_between(ws)) {
        (void) ngx_trp_websocket_bio_write_control(ws, next);
    }
}


/* NGX_OK: nothing waits any longer; NGX_AGAIN, NGX_ERROR */

static int
ngx_trp_websocket_bio_write_control(ngx_trp_websocket_bio_t *ws, BIO *next)
{
    int  n;

    while (ws->control_len > ws->control_pos) {
        ws->begun = 1;

        n = BIO_write(next, ws->control + ws->control_pos,
                      ws->control_len - ws->control_pos);

        if (n <= 0) {

            if (BIO_should_retry(next)) {
                return NGX_AGAIN;
            }

            ws->failed = 1;

            return NGX_ERROR;
        }

        ws->control_pos += n;
    }

    ws->control_len = 0;
    ws->control_pos = 0;
    ws->begun = 0;

    return NGX_OK;
}


static int
ngx_trp_websocket_bio_write(BIO *b, const char *p, int size)
{
    int                       rc;
    BIO                      *next;
    size_t                    n;
    ssize_t                   sent;
    ngx_trp_websocket_bio_t  *ws;

    ws = BIO_get_data(b);
    next = BIO_next(b);

    BIO_clear_retry_flags(b);

    if (size <= 0) {
        return 0;
    }

    if (ngx_trp_websocket_bio_between(ws)) {
        rc = ngx_trp_websocket_bio_write_control(ws, next);

        if (rc == NGX_AGAIN) {
            BIO_set_retry_write(b);
            return -1;
        }

        if (rc == NGX_ERROR || ws->failed || ws->said) {
            return -1;
        }

        ngx_trp_websocket_bio_begin(ws, size);
    }

    n = ngx_min((size_t) size, ws->left);

    sent = ws->client ? ngx_trp_websocket_bio_send_masked(ws, next, p, n)
                      : ngx_trp_websocket_bio_send(ws, next, p, n);

    if (sent == NGX_ERROR) {
        ws->failed = 1;
        return -1;
    }

    if (sent != NGX_AGAIN) {
        n = ngx_min((size_t) sent, (size_t) (ws->head_last - ws->head_pos));

        ws->head_pos += (uint8_t) n;
        sent -= n;

        if (sent) {
            ws->left -= sent;
            return (int) sent;
        }
    }

    BIO_set_retry_write(b);

    return -1;
}


static void
ngx_trp_websocket_bio_begin(ngx_trp_websocket_bio_t *ws, size_t size)
{
    u_char  *mask;

    mask = NULL;

    if (ws->client) {
        mask = ws->mask;
        ngx_trp_websocket_bio_random(ws->conf, mask);
    }

    ws->left = size;
    ws->head_pos = 0;
    ws->head_last = (uint8_t) trp_websocket_head(ws->head,
                                                 TRP_WEBSOCKET_BINARY, size,
                                                 mask);
}


/* the number of bytes, of which the first are the header's; NGX_AGAIN */

static ssize_t
ngx_trp_websocket_bio_send(ngx_trp_websocket_bio_t *ws, BIO *next,
    const char *p, size_t size)
{
    ssize_t       n;
    struct iovec  iov[2];

    iov[0].iov_base = ws->head + ws->head_pos;
    iov[0].iov_len = ws->head_last - ws->head_pos;
    iov[1].iov_base = (char *) p;
    iov[1].iov_len = size;

    do {
        n = writev(ws->connection->fd, iov, 2);

    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    return n;
}


/*
 * After NGX_AGAIN the same bytes come again, as an SSL beneath has to have it:
 * a frame that has begun keeps its mask.
 */

static ssize_t
ngx_trp_websocket_bio_send_masked(ngx_trp_websocket_bio_t *ws, BIO *next,
    const char *p, size_t size)
{
    int      n;
    size_t   len;
    u_char  *chunk, mask[TRP_WEBSOCKET_MASK];

    chunk = ws->conf->chunk;
    len = ws->head_last - ws->head_pos;

    ngx_memcpy(chunk, ws->head + ws->head_pos, len);
    ngx_memcpy(mask, ws->mask, TRP_WEBSOCKET_MASK);

    size = ngx_min(size, NGX_TRP_WEBSOCKET_CHUNK - len);

    trp_websocket_mask(chunk + len, (u_char *) p, size, mask);

    n = BIO_write(next, chunk, (int) (len + size));

    if (n <= 0) {
        return BIO_should_retry(next) ? NGX_AGAIN : NGX_ERROR;
    }

    if ((size_t) n > len) {

        /* the mask of the next byte */
        trp_websocket_mask(chunk, chunk, (n - len) % TRP_WEBSOCKET_MASK,
                           ws->mask);
    }

    return n;
}


/* section 5.3: of a strong source, which is asked for many of them at once */

static void
ngx_trp_websocket_bio_random(ngx_trp_websocket_bio_conf_t *conf, u_char *mask)
{
    if (conf->nrandom == 0) {
        randombytes_buf(conf->random, NGX_TRP_WEBSOCKET_RANDOM);
        conf->nrandom = NGX_TRP_WEBSOCKET_RANDOM;
    }

    conf->nrandom -= TRP_WEBSOCKET_MASK;

    ngx_memcpy(mask, conf->random + conf->nrandom, TRP_WEBSOCKET_MASK);
}
