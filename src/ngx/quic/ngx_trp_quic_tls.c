
/*
 * Copyright (C) the trp authors
 */


/*
 * TLS over SSL_set_quic_tls_cbs(): OpenSSL hands over secrets, transport
 * parameters and handshake messages, and asks for those of the peer.
 */


#include "quic/ngx_trp_quic_crypto.h"
#include "quic/ngx_trp_quic_tls.h"

#include <openssl/core_dispatch.h>


#define NGX_TRP_QUIC_PARAMS_MAX  256


typedef void (*ngx_trp_quic_function_pt)(void);


static int
ngx_trp_quic_tls_send(SSL *ssl, const unsigned char *p, size_t len,
    size_t *consumed, void *arg)
{
    ngx_trp_quic_t *q = arg;

    if (ngtcp2_conn_submit_crypto_data(q->conn, q->tls.level, p, len) != 0) {
        return 0;
    }

    *consumed = len;

    return 1;
}


static int
ngx_trp_quic_tls_recv(SSL *ssl, const unsigned char **p, size_t *len,
    void *arg)
{
    ngx_trp_quic_t *q = arg;

    *p = q->tls.pos;
    *len = q->tls.last - q->tls.pos;

    return 1;
}


static int
ngx_trp_quic_tls_release(SSL *ssl, size_t len, void *arg)
{
    ngx_trp_quic_t *q = arg;

    /* SSL_free() may release the last message */

    if (q->ssl && q->tls.pos) {
        q->tls.pos += ngx_min(len, (size_t) (q->tls.last - q->tls.pos));
    }

    return 1;
}


static ngx_int_t
ngx_trp_quic_tls_install(ngx_trp_quic_t *q, ngx_trp_quic_keys_t *keys,
    ngtcp2_encryption_level level, ngx_uint_t tx, const u_char *secret,
    size_t len)
{
    int  rc;

    if (level == NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE) {
        rc = tx ? ngtcp2_conn_install_tx_handshake_key(q->conn, &keys->aead,
                                                       keys->iv,
                                                       NGX_TRP_QUIC_IV_LEN,
                                                       &keys->hp)
                : ngtcp2_conn_install_rx_handshake_key(q->conn, &keys->aead,
                                                       keys->iv,
                                                       NGX_TRP_QUIC_IV_LEN,
                                                       &keys->hp);
    } else {
        rc = tx ? ngtcp2_conn_install_tx_key(q->conn, secret, len, &keys->aead,
                                             keys->iv, NGX_TRP_QUIC_IV_LEN,
                                             &keys->hp)
                : ngtcp2_conn_install_rx_key(q->conn, secret, len, &keys->aead,
                                             keys->iv, NGX_TRP_QUIC_IV_LEN,
                                             &keys->hp);
    }

    return rc == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * A server's parameters depend on those of the client: ngtcp2 knows them when
 * it has the first key, and TLS sends them after that.
 */

static ngx_int_t
ngx_trp_quic_tls_set_params(ngx_trp_quic_t *q)
{
    ngtcp2_ssize  n;

    n = ngtcp2_conn_encode_local_transport_params(q->conn, q->tls.params,
                                                  NGX_TRP_QUIC_PARAMS_MAX);

    return n > 0
           && SSL_set_quic_tls_transport_params(q->ssl, q->tls.params, n) == 1
           ? NGX_OK : NGX_ERROR;
}


static int
ngx_trp_quic_tls_secret(SSL *ssl, uint32_t protection, int tx,
    const unsigned char *secret, size_t len, void *arg)
{
    ngx_trp_quic_t *q = arg;

    ngtcp2_crypto_ctx        ctx;
    ngx_trp_quic_keys_t      keys;
    ngtcp2_encryption_level  level;

    switch (protection) {

    case OSSL_RECORD_PROTECTION_LEVEL_HANDSHAKE:
        level = NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE;
        break;

    case OSSL_RECORD_PROTECTION_LEVEL_APPLICATION:
        level = NGTCP2_ENCRYPTION_LEVEL_1RTT;
        break;

    default:
        return 0;      /* no early data */
    }

    if (ngx_trp_quic_crypto_negotiated(&ctx, ssl) != NGX_OK) {
        return 0;
    }

    ngtcp2_conn_set_crypto_ctx(q->conn, &ctx);

    if (ngx_trp_quic_keys(&keys, &ctx, secret, len, tx ? 1 : 0) != NGX_OK) {
        return 0;
    }

    if (ngx_trp_quic_tls_install(q, &keys, level, tx, secret, len) != NGX_OK) {
        ngx_trp_quic_keys_free(&keys);
        return 0;
    }

    if (!tx) {
        return 1;
    }

    q->tls.level = level;

    return !q->server || level != NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE
           || ngx_trp_quic_tls_set_params(q) == NGX_OK;
}


static int
ngx_trp_quic_tls_params(SSL *ssl, const unsigned char *p, size_t len,
    void *arg)
{
    ngx_trp_quic_t *q = arg;

    int  rc;

    rc = ngtcp2_conn_decode_and_set_remote_transport_params(q->conn, p, len);

    if (rc != 0) {
        ngtcp2_conn_set_tls_error(q->conn, rc);
        return 0;
    }

    return 1;
}


static int
ngx_trp_quic_tls_alert(SSL *ssl, unsigned char alert, void *arg)
{
    ngx_trp_quic_t *q = arg;

    ngtcp2_conn_set_tls_alert(q->conn, alert);

    return 1;
}


static const OSSL_DISPATCH  ngx_trp_quic_dispatch[] = {
    { OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_SEND,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_send },
    { OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RECV_RCD,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_recv },
    { OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RELEASE_RCD,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_release },
    { OSSL_FUNC_SSL_QUIC_TLS_YIELD_SECRET,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_secret },
    { OSSL_FUNC_SSL_QUIC_TLS_GOT_TRANSPORT_PARAMS,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_params },
    { OSSL_FUNC_SSL_QUIC_TLS_ALERT,
      (ngx_trp_quic_function_pt) ngx_trp_quic_tls_alert },
    { 0, NULL }
};


ngx_int_t
ngx_trp_quic_tls_init(ngx_trp_quic_t *q)
{
    q->tls.level = NGTCP2_ENCRYPTION_LEVEL_INITIAL;

    q->tls.params = ngx_alloc(NGX_TRP_QUIC_PARAMS_MAX, q->log);
    if (q->tls.params == NULL) {
        return NGX_ERROR;
    }

    (void) SSL_set_min_proto_version(q->ssl, TLS1_3_VERSION);
    (void) SSL_set_max_proto_version(q->ssl, 0);

    if (SSL_set_quic_tls_cbs(q->ssl, ngx_trp_quic_dispatch, q) != 1
        || (!q->server && ngx_trp_quic_tls_set_params(q) != NGX_OK))
    {
        ngx_log_error(NGX_LOG_ALERT, q->log, 0,
                      "SSL_set_quic_tls_cbs() failed");
        ERR_clear_error();
        return NGX_ERROR;
    }

    ngtcp2_conn_set_tls_native_handle(q->conn, q->ssl);

    return NGX_OK;
}


void
ngx_trp_quic_tls_leave(ngx_trp_quic_t *q)
{
    /* nothing is to be sent, and the session is good */

    SSL_set_quiet_shutdown(q->ssl, 1);
    SSL_set_shutdown(q->ssl, SSL_SENT_SHUTDOWN|SSL_RECEIVED_SHUTDOWN);

    q->ssl = NULL;

    ngx_free(q->tls.start);
    q->tls.start = NULL;
    q->tls.pos = NULL;
    q->tls.last = NULL;
}


/* what TLS says about a failure, before its errors are cleared */

static int
ngx_trp_quic_tls_failed(ngx_trp_quic_t *q)
{
    int            rc;
    const char    *reason;
    unsigned long  n;

    n = ERR_peek_error();
    reason = n ? ERR_reason_error_string(n) : NULL;

    if (reason) {
        q->why.text.data = q->text;
        q->why.text.len = ngx_cpystrn(q->text, (u_char *) reason,
                                      sizeof(q->text))
                          - q->text;
    }

    ERR_clear_error();

    rc = ngtcp2_conn_get_tls_error(q->conn);

    return rc ? rc : NGTCP2_ERR_CRYPTO;
}


static int
ngx_trp_quic_tls_run(ngx_trp_quic_t *q)
{
    int     rc;
    size_t  n;
    u_char  buf[1];

    ERR_clear_error();

    if (!SSL_is_init_finished(q->ssl)) {
        rc = SSL_do_handshake(q->ssl);

        if (rc != 1) {
            return SSL_get_error(q->ssl, rc) == SSL_ERROR_WANT_READ
                   ? 0 : ngx_trp_quic_tls_failed(q);
        }

        ngtcp2_conn_tls_handshake_completed(q->conn);
    }

    /* session tickets */

    rc = SSL_read_ex(q->ssl, buf, sizeof(buf), &n);

    if (rc == 1 || SSL_get_error(q->ssl, rc) != SSL_ERROR_WANT_READ) {
        return ngx_trp_quic_tls_failed(q);
    }

    return 0;
}


/* TLS may leave the beginning of a message, which is copied */

static int
ngx_trp_quic_recv_crypto(ngtcp2_conn *conn, ngtcp2_encryption_level level,
    uint64_t offset, const uint8_t *p, size_t len, void *data)
{
    ngx_trp_quic_t *q = data;

    int      rc;
    u_char  *start, *old;
    size_t   left;

    if (q->ssl == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    left = q->tls.last - q->tls.pos;
    start = NULL;

    if (left) {
        start = ngx_alloc(left + len, q->log);
        if (start == NULL) {
            return NGTCP2_ERR_NOMEM;
        }

        ngx_memcpy(start, q->tls.pos, left);
        ngx_memcpy(start + left, p, len);

        p = start;
        len += left;
    }

    old = q->tls.start;
    q->tls.start = start;
    q->tls.pos = p;
    q->tls.last = p + len;

    ngx_free(old);

    rc = ngx_trp_quic_tls_run(q);

    left = q->tls.last - q->tls.pos;

    if (left == 0) {
        ngx_free(q->tls.start);
        q->tls.start = NULL;
        q->tls.pos = NULL;
        q->tls.last = NULL;

    } else if (q->tls.start == NULL) {
        start = ngx_alloc(left, q->log);
        if (start == NULL) {
            q->tls.pos = NULL;
            q->tls.last = NULL;
            return NGTCP2_ERR_NOMEM;
        }

        ngx_memcpy(start, q->tls.pos, left);

        q->tls.start = start;
        q->tls.pos = start;
        q->tls.last = start + left;
    }

    return rc;
}


static ngx_int_t
ngx_trp_quic_tls_initial(ngx_trp_quic_t *q, const ngtcp2_cid *cid)
{
    ngtcp2_crypto_ctx    ctx;
    ngx_trp_quic_keys_t  rx, tx;

    if (ngx_trp_quic_keys_initial(&rx, cid->data, cid->datalen, !q->server, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trp_quic_keys_initial(&tx, cid->data, cid->datalen, q->server, 1)
        != NGX_OK)
    {
        ngx_trp_quic_keys_free(&rx);
        return NGX_ERROR;
    }

    ngx_trp_quic_crypto_initial(&ctx);
    ngtcp2_conn_set_initial_crypto_ctx(q->conn, &ctx);

    if (ngtcp2_conn_install_initial_key(q->conn, &rx.aead, rx.iv, &rx.hp,
                                        &tx.aead, tx.iv, &tx.hp,
                                        NGX_TRP_QUIC_IV_LEN)
        != 0)
    {
        ngx_trp_quic_keys_free(&rx);
        ngx_trp_quic_keys_free(&tx);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_trp_quic_client_initial(ngtcp2_conn *conn, void *data)
{
    ngx_trp_quic_t *q = data;

    ngtcp2_crypto_aead      aead;
    ngtcp2_crypto_aead_ctx  ctx;

    if (ngx_trp_quic_tls_initial(q, ngtcp2_conn_get_dcid(conn)) != NGX_OK
        || ngx_trp_quic_retry_aead(&ctx) != NGX_OK)
    {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    aead.native_handle = NULL;
    aead.max_overhead = NGX_TRP_QUIC_TAG_LEN;

    ngtcp2_conn_set_retry_aead(conn, &aead, &ctx);

    return ngx_trp_quic_tls_run(q) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
ngx_trp_quic_recv_client_initial(ngtcp2_conn *conn, const ngtcp2_cid *dcid,
    void *data)
{
    ngx_trp_quic_t *q = data;

    return ngx_trp_quic_tls_initial(q, dcid) == NGX_OK
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
ngx_trp_quic_recv_retry(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd,
    void *data)
{
    ngx_trp_quic_t *q = data;

    return ngx_trp_quic_tls_initial(q, &hd->scid) == NGX_OK
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


/* we offer one version only */

static int
ngx_trp_quic_version(ngtcp2_conn *conn, uint32_t version,
    const ngtcp2_cid *dcid, void *data)
{
    return NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
ngx_trp_quic_handshake_completed(ngtcp2_conn *conn, void *data)
{
    ngx_trp_quic_t *q = data;

    q->tell_ready = 1;

    return 0;
}


static int
ngx_trp_quic_handshake_confirmed(ngtcp2_conn *conn, void *data)
{
    ngx_trp_quic_t *q = data;

    q->confirmed = 1;

    return 0;
}


void
ngx_trp_quic_tls_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->client_initial = ngx_trp_quic_client_initial;
    callbacks->recv_client_initial = ngx_trp_quic_recv_client_initial;
    callbacks->recv_crypto_data = ngx_trp_quic_recv_crypto;
    callbacks->recv_retry = ngx_trp_quic_recv_retry;
    callbacks->version_negotiation = ngx_trp_quic_version;
    callbacks->handshake_completed = ngx_trp_quic_handshake_completed;
    callbacks->handshake_confirmed = ngx_trp_quic_handshake_confirmed;
}
