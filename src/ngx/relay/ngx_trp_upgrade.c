
/*
 * Copyright (C) the trp authors
 */


/*
 * The server's side of a WebSocket's opening handshake, RFC 6455, section 4.2,
 * and TLS in it, as stock nginx does it on a socket.
 */


#include "relay/ngx_trp_upgrade.h"
#include "websocket/trp_upgrade.h"


static ngx_trp_upgrade_t *ngx_trp_upgrade_create(ngx_connection_t *c,
    trp_upgrade_request_t *request, size_t head);
static void ngx_trp_upgrade_refuse(ngx_connection_t *c, ngx_uint_t status,
    trp_upgrade_request_t *request, size_t len);
static const char *ngx_trp_upgrade_reason(ngx_uint_t status);
static ngx_int_t ngx_trp_upgrade_answer(ngx_connection_t *c,
    ngx_trp_upgrade_t *upgrade);
static ngx_int_t ngx_trp_upgrade_write(ngx_connection_t *c, u_char *p,
    size_t len);
static void ngx_trp_upgrade_handshake_handler(ngx_connection_t *c);


ngx_int_t
ngx_trp_upgrade_read(ngx_connection_t *c, u_char *p, size_t len, size_t size,
    ngx_trp_upgrade_t **upgrade, int *slot)
{
    int                    rc;
    size_t                 head;
    trp_str_t              text;
    ngx_uint_t             status;
    trp_upgrade_request_t  request;

    text.data = p;
    text.len = len;

    rc = trp_upgrade_request(&request, text, &head);

    if (rc == TRP_AGAIN && len < size && !c->read->pending_eof) {
        return NGX_AGAIN;
    }

    status = (rc == TRP_OK) ? trp_upgrade_request_check(&request)
             : (rc == TRP_AGAIN && len == size) ? 431 : 400;

    if (status != 101) {
        ngx_trp_upgrade_refuse(c, status, &request, len);
        return NGX_ABORT;
    }

    *slot = request.slot;
    *upgrade = ngx_trp_upgrade_create(c, &request, head);

    return *upgrade ? NGX_OK : NGX_ERROR;
}


static ngx_trp_upgrade_t *
ngx_trp_upgrade_create(ngx_connection_t *c, trp_upgrade_request_t *request,
    size_t head)
{
    size_t              len;
    u_char             *p;
    trp_addr_t          addr;
    ngx_trp_upgrade_t  *upgrade;

    upgrade = ngx_pcalloc(c->pool, sizeof(ngx_trp_upgrade_t));
    if (upgrade == NULL) {
        return NULL;
    }

    upgrade->head = head;

    ngx_trp_websocket_accept(upgrade->accept, request->key.data,
                             request->key.len);

    len = request->forwarded.len;

    if (len == 0 || trp_addr_parse(&addr, request->forwarded) != TRP_OK) {
        return upgrade;
    }

    p = ngx_pnalloc(c->pool, len);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, request->forwarded.data, len);

    upgrade->forwarded.src_addr.data = p;
    upgrade->forwarded.src_addr.len = len;

    return upgrade;
}


/* what has not been read would turn the answer into a reset */

static void
ngx_trp_upgrade_refuse(ngx_connection_t *c, ngx_uint_t status,
    trp_upgrade_request_t *request, size_t len)
{
    u_char  *p, buf[1024];
    ssize_t  n;

    switch (status) {

    case 400:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client's request for a WebSocket is invalid, or not for "
                      "\"" TRP_UPGRADE_PROTOCOL "\"");
        break;

    case 431:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client's HTTP request is too long");
        break;

    case 505:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client's request for a WebSocket is not HTTP/1.1: does "
                      "a web server lack \"proxy_http_version 1.1\"?");
        break;

    default:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not speak TLS, this looks like HTTP, but "
                      "asks for no WebSocket: does a web server pass on "
                      "\"Upgrade\" and \"Connection\"?");
    }

    while (len) {
        n = recv(c->fd, buf, ngx_min(len, sizeof(buf)), 0);

        if (n <= 0) {
            return;
        }

        len -= n;
    }

    p = ngx_snprintf(buf, sizeof(buf),
                     "HTTP/1.1 %ui %s" CRLF
                     "%s"
                     "Content-Length: 0" CRLF
                     "Connection: close" CRLF CRLF,
                     status, ngx_trp_upgrade_reason(status),
                     (status == 426)
                     ? "Upgrade: websocket" CRLF
                       "Sec-WebSocket-Version: 13" CRLF : "");

    (void) ngx_trp_upgrade_write(c, buf, p - buf);
}


static const char *
ngx_trp_upgrade_reason(ngx_uint_t status)
{
    switch (status) {

    case 405:
        return "Not Allowed";

    case 426:
        return "Upgrade Required";

    case 431:
        return "Request Header Fields Too Large";

    case 505:
        return "HTTP Version Not Supported";
    }

    return "Bad Request";
}


ngx_int_t
ngx_trp_upgrade_handler(ngx_stream_session_t *s, ngx_trp_upgrade_t *upgrade,
    ngx_trp_websocket_bio_conf_t *conf)
{
    ngx_int_t                   rc;
    ngx_connection_t           *c;
    ngx_stream_ssl_srv_conf_t  *sscf;

    c = s->connection;

    if (c->ssl) {
        return NGX_DECLINED;
    }

    c->log->action = "opening WebSocket";

    if (ngx_trp_upgrade_answer(c, upgrade) != NGX_OK) {
        return NGX_ERROR;
    }

    c->log->action = "SSL handshaking";

    sscf = ngx_stream_get_module_srv_conf(s, ngx_stream_ssl_module);

    if (ngx_tcp_nodelay(c) != NGX_OK
        || ngx_ssl_create_connection(&sscf->ssl, c, 0) != NGX_OK
        || ngx_trp_websocket_bio_insert(&upgrade->bio, conf, c, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->read, sscf->handshake_timeout);
        c->ssl->handler = ngx_trp_upgrade_handshake_handler;
    }

    return (rc == NGX_OK) ? NGX_DECLINED : rc;
}


static ngx_int_t
ngx_trp_upgrade_answer(ngx_connection_t *c, ngx_trp_upgrade_t *upgrade)
{
    size_t   len, left;
    ssize_t  n;
    u_char  *p, buf[1024];

    /* it is in the socket, and was looked at */

    for (left = upgrade->head; left; left -= n) {
        n = recv(c->fd, buf, ngx_min(left, sizeof(buf)), 0);

        if (n <= 0) {
            ngx_connection_error(c, (n == 0) ? 0 : ngx_socket_errno,
                                 "recv() of a request failed");
            return NGX_ERROR;
        }
    }

    p = ngx_snprintf(buf, sizeof(buf),
                     "HTTP/1.1 101 Switching Protocols" CRLF
                     "Upgrade: websocket" CRLF
                     "Connection: Upgrade" CRLF
                     "Sec-WebSocket-Accept: %*s" CRLF
                     "Sec-WebSocket-Protocol: " TRP_UPGRADE_PROTOCOL CRLF CRLF,
                     sizeof(upgrade->accept), upgrade->accept);
    len = p - buf;

    return ngx_trp_upgrade_write(c, buf, len);
}


/* the first bytes of a connection: its socket takes them all */

static ngx_int_t
ngx_trp_upgrade_write(ngx_connection_t *c, u_char *p, size_t len)
{
    ssize_t  n;

    n = send(c->fd, p, len, 0);

    if (n == (ssize_t) len) {
        return NGX_OK;
    }

    ngx_connection_error(c, (n == -1) ? ngx_socket_errno : 0,
                         "send() of a response failed");

    return NGX_ERROR;
}


static void
ngx_trp_upgrade_handshake_handler(ngx_connection_t *c)
{
    ngx_stream_session_t  *s;

    s = c->data;

    if (!c->ssl->handshaked) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    ngx_stream_core_run_phases(s);
}
