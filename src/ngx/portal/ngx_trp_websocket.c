
/*
 * Copyright (C) the trp authors
 */


/*
 * A WebSocket on top of a dialer: the HTTP upgrade, then messages, which wslay
 * frames.
 */


#include "portal/ngx_trp_websocket.h"
#include "base/ngx_trp_connect.h"
#include "websocket/ngx_trp_websocket_key.h"
#include "websocket/trp_upgrade.h"

#include <sodium.h>


#define NGX_TRP_WEBSOCKET_HEAD      8192   /* of the answer */
#define NGX_TRP_WEBSOCKET_MESSAGE   (4 * 1024 * 1024)
#define NGX_TRP_WEBSOCKET_QUEUE     64     /* messages that wait to be sent */
#define NGX_TRP_WEBSOCKET_TURN      262144


static ngx_int_t ngx_trp_websocket_init(ngx_trp_websocket_t *ws);
static void ngx_trp_websocket_dialer_handler(ngx_trp_dialer_t *d,
    ngx_trp_dialer_e rc);
static void ngx_trp_websocket_connected(ngx_trp_websocket_t *ws);
static void ngx_trp_websocket_event_handler(ngx_event_t *ev);
static void ngx_trp_websocket_event(ngx_trp_websocket_t *ws);
static void ngx_trp_websocket_upgrade(ngx_trp_websocket_t *ws);
static ngx_int_t ngx_trp_websocket_request(ngx_trp_websocket_t *ws);
static ngx_int_t ngx_trp_websocket_answer(ngx_trp_websocket_t *ws,
    trp_upgrade_t *u);
static void ngx_trp_websocket_open(ngx_trp_websocket_t *ws, trp_upgrade_t *u);
static void ngx_trp_websocket_frames(ngx_trp_websocket_t *ws);
static ngx_int_t ngx_trp_websocket_flush(ngx_trp_websocket_t *ws);
static ssize_t ngx_trp_websocket_recv_callback(wslay_event_context_ptr ctx,
    uint8_t *buf, size_t len, int flags, void *data);
static ssize_t ngx_trp_websocket_send_callback(wslay_event_context_ptr ctx,
    const uint8_t *buf, size_t len, int flags, void *data);
static int ngx_trp_websocket_mask_callback(wslay_event_context_ptr ctx,
    uint8_t *buf, size_t len, void *data);
static void ngx_trp_websocket_message_callback(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *data);
static void ngx_trp_websocket_failed(ngx_trp_websocket_t *ws);
static void ngx_trp_websocket_free(ngx_trp_websocket_t *ws);
static void ngx_trp_websocket_close_connection(ngx_connection_t *c);


static const struct wslay_event_callbacks  ngx_trp_websocket_callbacks = {
    ngx_trp_websocket_recv_callback,
    ngx_trp_websocket_send_callback,
    ngx_trp_websocket_mask_callback,
    NULL,
    NULL,
    NULL,
    ngx_trp_websocket_message_callback
};


ngx_trp_websocket_t *
ngx_trp_websocket_connect(ngx_trp_websocket_conf_t *conf, ngx_addr_t *addr,
    const ngx_trp_websocket_handlers_t *handlers, void *data, ngx_log_t *log,
    ngx_uint_t level)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_connection_t       *c;
    ngx_trp_websocket_t    *ws;

    rc = ngx_trp_connect(&c, addr->sockaddr, addr->socklen, &addr->name,
                         SOCK_STREAM, log, (level == NGX_LOG_ERR)
                                           ? NGX_ERROR_ERR : NGX_ERROR_INFO);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NULL;
    }

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

    c->pool = pool;

    ws = ngx_pcalloc(pool, sizeof(ngx_trp_websocket_t));
    c->log = ngx_palloc(pool, sizeof(ngx_log_t));

    if (ws == NULL || c->log == NULL) {
        goto failed;
    }

    *c->log = *log;
    c->log->connection = c->number;

    c->read->log = c->log;
    c->write->log = c->log;
    pool->log = c->log;

    ws->connection = c;
    ws->conf = conf;
    ws->handlers = handlers;
    ws->data = data;
    ws->level = level;

    if (ngx_trp_websocket_init(ws) != NGX_OK) {
        goto failed;
    }

    c->idle = 1;

    ws->dialer.connection = c;
    ws->dialer.handler = ngx_trp_websocket_dialer_handler;
    ws->dialer.data = ws;
    ws->dialer.peer = "portal";
    ws->dialer.level = level;

    ngx_trp_dialer_wait(&ws->dialer, rc);

    return ws;

failed:

    c->log = log;
    pool->log = log;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_trp_websocket_init(ngx_trp_websocket_t *ws)
{
    size_t       size;
    u_char      *key;
    ngx_buf_t   *b;
    ngx_pool_t  *pool;

    pool = ws->connection->pool;
    b = &ws->request;

    size = ws->conf->request.len + NGX_TRP_WEBSOCKET_KEY + 4;

    b->start = ngx_pnalloc(pool, size);
    if (b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = ngx_cpymem(b->pos, ws->conf->request.data,
                         ws->conf->request.len);

    key = b->last;

    ngx_trp_websocket_key(key);
    ngx_trp_websocket_accept(ws->accept, key, NGX_TRP_WEBSOCKET_KEY);

    b->last += NGX_TRP_WEBSOCKET_KEY;
    b->last = ngx_cpymem(b->last, "\r\n\r\n", 4);

    b = &ws->answer;

    b->start = ngx_pnalloc(pool, NGX_TRP_WEBSOCKET_HEAD);
    if (b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + NGX_TRP_WEBSOCKET_HEAD;

    return NGX_OK;
}


/* connected, or the TLS handshake is done */

static void
ngx_trp_websocket_dialer_handler(ngx_trp_dialer_t *d, ngx_trp_dialer_e rc)
{
    ngx_connection_t     *c;
    ngx_trp_websocket_t  *ws;

    ws = d->data;
    c = ws->connection;

    if (rc != NGX_TRP_DIALER_EXITING) {
        c->data = ws;
        c->read->handler = ngx_trp_websocket_event_handler;
        c->write->handler = ngx_trp_websocket_event_handler;

        ws->step = (rc != NGX_TRP_DIALER_READY) ? ngx_trp_websocket_failed
                   : d->steps ? ngx_trp_websocket_upgrade
                            : ngx_trp_websocket_connected;
    }

    ngx_trp_websocket_event(ws);
}


static void
ngx_trp_websocket_connected(ngx_trp_websocket_t *ws)
{
    /* a frame goes out in two pieces */

    (void) ngx_tcp_nodelay(ws->connection);

    ws->handlers->connected(ws->data);

    if (ws->conf->ssl.ssl) {
        ws->tls.step.action = "SSL handshaking to portal";
        ws->tls.ssl = &ws->conf->ssl;
        ws->tls.host = &ws->conf->host;

        ngx_trp_dialer_add_tls(&ws->dialer, &ws->tls);
        ngx_trp_dialer_run(&ws->dialer);
        return;
    }

    ws->step = ngx_trp_websocket_upgrade;
    ws->step(ws);
}


static void
ngx_trp_websocket_event_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_trp_websocket_event(c->data);
}


/* handlers may close it while it is in use here; it is freed after that */

static void
ngx_trp_websocket_event(ngx_trp_websocket_t *ws)
{
    ngx_uint_t  nested;

    nested = ws->busy;
    ws->busy = 1;

    if (ws->connection->close) {
        ws->handlers->exiting(ws->data);

    } else {
        ws->step(ws);
    }

    if (nested) {
        return;
    }

    ws->busy = 0;

    if (ws->closing) {
        ngx_trp_websocket_free(ws);
    }
}


static void
ngx_trp_websocket_upgrade(ngx_trp_websocket_t *ws)
{
    ngx_int_t          rc;
    ngx_str_t          later;
    trp_upgrade_t      u;
    ngx_connection_t  *c;

    c = ws->connection;

    c->log->action = "opening WebSocket";

    rc = ngx_trp_websocket_request(ws);

    if (rc == NGX_OK) {
        rc = ngx_trp_websocket_answer(ws, &u);
    }

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_trp_websocket_failed(ws);
        return;
    }

    if (u.status == 101) {
        ngx_trp_websocket_open(ws, &u);
        return;
    }

    later.len = u.later.len;
    later.data = (u_char *) u.later.data;

    ws->handlers->refused(ws->data, u.status, &later);
}


static ngx_int_t
ngx_trp_websocket_request(ngx_trp_websocket_t *ws)
{
    ssize_t            n;
    ngx_buf_t         *b;
    ngx_connection_t  *c;

    b = &ws->request;
    c = ws->connection;

    while (b->pos < b->last) {
        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0) == NGX_OK ? NGX_AGAIN
                                                                 : NGX_ERROR;
        }

        b->pos += n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_websocket_answer(ngx_trp_websocket_t *ws, trp_upgrade_t *u)
{
    int                rc;
    size_t             head;
    ssize_t            n;
    ngx_buf_t         *b;
    trp_str_t          text;
    ngx_connection_t  *c;

    b = &ws->answer;
    c = ws->connection;

    for ( ;; ) {
        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            return ngx_handle_read_event(c->read, 0) == NGX_OK ? NGX_AGAIN
                                                               : NGX_ERROR;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_log_error(ws->level, c->log, 0, "portal closed connection");
            return NGX_ERROR;
        }

        b->last += n;

        text.data = b->start;
        text.len = b->last - b->start;

        rc = trp_upgrade_parse(u, text, &head);

        if (rc == TRP_OK) {
            b->pos = b->start + head;
            return NGX_OK;
        }

        if (rc == TRP_ERROR || b->last == b->end) {
            ngx_log_error(ws->level, c->log, 0, "portal sent %s",
                          rc == TRP_ERROR ? "an invalid HTTP answer"
                                          : "a too long HTTP answer");
            return NGX_ERROR;
        }
    }
}


static void
ngx_trp_websocket_open(ngx_trp_websocket_t *ws, trp_upgrade_t *u)
{
    trp_str_t          accept;
    ngx_connection_t  *c;

    static const trp_str_t  none;

    c = ws->connection;

    accept.data = ws->accept;
    accept.len = sizeof(ws->accept);

    if (trp_upgrade_check(u, accept, none) != TRP_OK) {
        ngx_log_error(ws->level, c->log, 0,
                      "portal sent an invalid answer to the upgrade");
        ngx_trp_websocket_failed(ws);
        return;
    }

    if (wslay_event_context_client_init(&ws->frames,
                                        &ngx_trp_websocket_callbacks, ws)
        != 0)
    {
        ws->frames = NULL;
        ngx_trp_websocket_failed(ws);
        return;
    }

    wslay_event_config_set_max_recv_msg_length(ws->frames,
                                               NGX_TRP_WEBSOCKET_MESSAGE);

    c->log->action = NULL;
    ws->step = ngx_trp_websocket_frames;

    ws->handlers->opened(ws->data);

    if (!ws->closing) {
        ws->step(ws);
    }
}


static void
ngx_trp_websocket_frames(ngx_trp_websocket_t *ws)
{
    int                rc;
    ngx_connection_t  *c;

    c = ws->connection;
    ws->turn = 0;

    rc = wslay_event_recv(ws->frames);

    if (ws->closing) {
        return;
    }

    if (rc != 0 || ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_log_error(ws->level, c->log, 0, "portal %s",
                      ws->eof ? "closed connection"
                              : "sent an invalid frame");
        ngx_trp_websocket_failed(ws);
        return;
    }

    if (ngx_trp_websocket_flush(ws) != NGX_OK) {
        ngx_trp_websocket_failed(ws);
        return;
    }

    if (wslay_event_get_read_enabled(ws->frames)) {
        return;
    }

    if (wslay_event_get_close_received(ws->frames)) {
        ngx_log_error(ws->level, c->log, 0,
                      "portal closed WebSocket, code %d",
                      (int) wslay_event_get_status_code_received(ws->frames));

    } else {
        ngx_log_error(ws->level, c->log, 0,
                      "portal sent an invalid frame, closed with code %d",
                      (int) wslay_event_get_status_code_sent(ws->frames));
    }

    ngx_trp_websocket_failed(ws);
}


ngx_int_t
ngx_trp_websocket_send(ngx_trp_websocket_t *ws, const u_char *text, size_t len)
{
    struct wslay_event_msg  msg;

    msg.opcode = WSLAY_TEXT_FRAME;
    msg.msg = text;
    msg.msg_length = len;

    if (wslay_event_queue_msg(ws->frames, &msg) != 0) {
        return NGX_ERROR;
    }

    return ngx_trp_websocket_flush(ws);
}


static ngx_int_t
ngx_trp_websocket_flush(ngx_trp_websocket_t *ws)
{
    ngx_connection_t  *c;

    c = ws->connection;

    if (wslay_event_send(ws->frames) != 0
        || ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        ngx_log_error(ws->level, c->log, 0, "sending to portal failed");
        return NGX_ERROR;
    }

    /* pongs: a peer that does not read our answers must not ask for more */

    if (wslay_event_get_queued_msg_count(ws->frames)
        > NGX_TRP_WEBSOCKET_QUEUE)
    {
        ngx_log_error(ws->level, c->log, 0, "portal does not read");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ssize_t
ngx_trp_websocket_recv_callback(wslay_event_context_ptr ctx, uint8_t *buf,
    size_t len, int flags, void *data)
{
    ssize_t               n;
    ngx_buf_t            *b;
    ngx_connection_t     *c;
    ngx_trp_websocket_t  *ws;

    ws = data;
    b = &ws->answer;
    c = ws->connection;

    if (b->pos < b->last) {
        n = ngx_min((size_t) (b->last - b->pos), len);

        ngx_memcpy(buf, b->pos, n);
        b->pos += n;

        return n;
    }

    if (ws->turn > NGX_TRP_WEBSOCKET_TURN) {
        ngx_post_event(c->read, &ngx_posted_next_events);
        n = NGX_AGAIN;

    } else {
        n = c->recv(c, buf, len);
    }

    if (n > 0) {
        ws->turn += n;
        return n;
    }

    if (n == NGX_AGAIN) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);

    } else {
        ws->eof = 1;
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    }

    return -1;
}


static ssize_t
ngx_trp_websocket_send_callback(wslay_event_context_ptr ctx,
    const uint8_t *buf, size_t len, int flags, void *data)
{
    ssize_t               n;
    ngx_connection_t     *c;
    ngx_trp_websocket_t  *ws;

    ws = data;
    c = ws->connection;

    n = c->send(c, (u_char *) buf, len);

    if (n > 0) {
        return n;
    }

    wslay_event_set_error(ctx, (n == NGX_ERROR) ? WSLAY_ERR_CALLBACK_FAILURE
                                                : WSLAY_ERR_WOULDBLOCK);
    return -1;
}


static int
ngx_trp_websocket_mask_callback(wslay_event_context_ptr ctx, uint8_t *buf,
    size_t len, void *data)
{
    randombytes_buf(buf, len);

    return 0;
}


static void
ngx_trp_websocket_message_callback(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *data)
{
    ngx_trp_websocket_t  *ws;

    ws = data;

    if (arg->opcode == WSLAY_TEXT_FRAME) {
        ws->handlers->message(ws->data, arg->msg, arg->msg_length);
    }
}


static void
ngx_trp_websocket_failed(ngx_trp_websocket_t *ws)
{
    ws->connection->error = 1;

    if (!ws->closing) {
        ws->handlers->closed(ws->data);
    }
}


void
ngx_trp_websocket_close(ngx_trp_websocket_t *ws)
{
    if (ws->frames) {
        wslay_event_shutdown_read(ws->frames);
    }

    ws->closing = 1;

    if (!ws->busy) {
        ngx_trp_websocket_free(ws);
    }
}


static void
ngx_trp_websocket_free(ngx_trp_websocket_t *ws)
{
    ngx_connection_t  *c;

    c = ws->connection;

    if (ws->frames) {

        /* sending the close frame is tried once */

        if (!c->error
            && wslay_event_queue_close(ws->frames, WSLAY_CODE_GOING_AWAY,
                                       NULL, 0)
               == 0)
        {
            (void) wslay_event_send(ws->frames);
        }

        wslay_event_context_free(ws->frames);
    }

    sodium_memzero(ws->request.start, ws->request.last - ws->request.start);

    c->idle = 0;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = !c->write->ready;
    }

    ngx_trp_websocket_close_connection(c);
}


static void
ngx_trp_websocket_close_connection(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    if (c->ssl && ngx_ssl_shutdown(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_trp_websocket_close_connection;
        return;
    }

    pool = c->pool;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
