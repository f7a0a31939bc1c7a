
/*
 * Copyright (C) the trp authors
 */


/*
 * A connection: its life, its timer, and what its owner is told.
 */


#include "quic/ngx_trp_quic.h"
#include "quic/ngx_trp_quic_bytes.h"
#include "quic/ngx_trp_quic_crypto.h"
#include "quic/ngx_trp_quic_output.h"
#include "quic/ngx_trp_quic_streams.h"
#include "quic/ngx_trp_quic_tls.h"


#define NGX_TRP_QUIC_IDS        4        /* of the peer, that we may keep */
#define NGX_TRP_QUIC_RETRY_MS   100      /* while packets cannot be sent */


static void ngx_trp_quic_handler(ngx_event_t *ev);


static void
ngx_trp_quic_ngtcp2_path(ngtcp2_path *to, const ngx_trp_quic_path_t *from)
{
    to->local.addr = from->local;
    to->local.addrlen = from->local_len;
    to->remote.addr = from->remote;
    to->remote.addrlen = from->remote_len;
    to->user_data = NULL;
}


static void
ngx_trp_quic_our_path(ngx_trp_quic_path_t *to, const ngtcp2_path *from)
{
    to->local = from->local.addr;
    to->local_len = from->local.addrlen;
    to->remote = from->remote.addr;
    to->remote_len = from->remote.addrlen;
}


static void
ngx_trp_quic_cid(ngx_trp_quic_cid_t *to, const ngtcp2_cid *from)
{
    to->len = from->datalen;
    ngx_memcpy(to->data, from->data, from->datalen);
}


static void
ngx_trp_quic_random(uint8_t *p, size_t len, const ngtcp2_rand_ctx *ctx)
{
    if (RAND_bytes(p, (int) len) != 1) {
        ngx_memzero(p, len);
    }
}


static int
ngx_trp_quic_path_challenge(ngtcp2_conn *conn, uint8_t *p, void *data)
{
    return RAND_bytes(p, NGTCP2_PATH_CHALLENGE_DATALEN) == 1
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


/* a new id of ours, and its token for a stateless reset */

static ngx_int_t
ngx_trp_quic_make_cid(ngx_trp_quic_t *q, ngtcp2_cid *cid, u_char *token,
    size_t len)
{
    cid->datalen = len;

    if (!q->server) {
        return RAND_bytes(cid->data, (int) len) == 1
               && RAND_bytes(token, NGTCP2_STATELESS_RESET_TOKENLEN) == 1
               ? NGX_OK : NGX_ERROR;
    }

    q->handlers->cid_make(q, cid->data, len);

    return ngx_trp_quic_reset_token(token, q->conf.secret, cid->data, len);
}


static int
ngx_trp_quic_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token,
    size_t len, void *data)
{
    ngx_trp_quic_t *q = data;

    ngx_trp_quic_cid_t  added;

    if (ngx_trp_quic_make_cid(q, cid, token, len) != NGX_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    if (!q->server) {
        return 0;
    }

    ngx_trp_quic_cid(&added, cid);

    return q->handlers->cid_added(q, &added) == NGX_OK
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
ngx_trp_quic_remove_cid(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *data)
{
    ngx_trp_quic_t *q = data;

    ngx_trp_quic_cid_t  removed;

    if (q->server && !q->freed) {
        ngx_trp_quic_cid(&removed, cid);
        q->handlers->cid_removed(q, &removed);
    }

    return 0;
}


static int
ngx_trp_quic_path_validated(ngtcp2_conn *conn, uint32_t flags,
    const ngtcp2_path *path, const ngtcp2_path *old,
    ngtcp2_path_validation_result result, void *data)
{
    ngx_trp_quic_t *q = data;

    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
        q->tell_moved = 1;

    } else if (result == NGTCP2_PATH_VALIDATION_RESULT_FAILURE) {
        ngtcp2_path_storage_init(&q->failed_path, path->local.addr,
                                 path->local.addrlen, path->remote.addr,
                                 path->remote.addrlen, NULL);
        q->tell_failed = 1;
    }

    ngx_trp_quic_post(q);

    return 0;
}


static int
ngx_trp_quic_was_lost(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *sr,
    void *data)
{
    ngx_trp_quic_t *q = data;

    q->why.end = NGX_TRP_QUIC_LOST;

    return 0;
}


static int
ngx_trp_quic_recv_datagram(ngtcp2_conn *conn, uint32_t flags,
    const uint8_t *p, size_t len, void *data)
{
    ngx_trp_quic_t *q = data;

    if (q->handlers->datagram && q->ready && !q->freed) {
        q->handlers->datagram(q, (u_char *) p, len);
    }

    return 0;
}


static void
ngx_trp_quic_settings(ngx_trp_quic_t *q, ngtcp2_callbacks *callbacks,
    ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
    ngx_memzero(callbacks, sizeof(ngtcp2_callbacks));

    ngx_trp_quic_crypto_callbacks(callbacks);
    ngx_trp_quic_tls_callbacks(callbacks);
    ngx_trp_quic_streams_callbacks(callbacks);

    callbacks->rand = ngx_trp_quic_random;
    callbacks->get_new_connection_id = ngx_trp_quic_new_cid;
    callbacks->remove_connection_id = ngx_trp_quic_remove_cid;
    callbacks->get_path_challenge_data = ngx_trp_quic_path_challenge;
    callbacks->path_validation = ngx_trp_quic_path_validated;
    callbacks->recv_stateless_reset = ngx_trp_quic_was_lost;
    callbacks->recv_datagram = ngx_trp_quic_recv_datagram;

    ngtcp2_settings_default(settings);

    settings->cc_algo = q->conf.cubic ? NGTCP2_CC_ALGO_CUBIC
                                      : NGTCP2_CC_ALGO_BBR;
    settings->initial_ts = ngx_trp_quic_now();
    settings->handshake_timeout = q->conf.handshake
                                  ? q->conf.handshake * NGTCP2_MILLISECONDS
                                  : UINT64_MAX;
    settings->max_stream_window = NGX_TRP_QUIC_STREAM_MAX;
    settings->max_tx_udp_payload_size = ngx_max(q->conf.payload,
                                                NGX_TRP_QUIC_INITIAL);

    /*
     * Not "no_pmtud": libngtcp2 1.11 has an assert against it, which a peer
     * reaches by moving to another address and back.  No probe is as small as
     * 1200 bytes, so none is sent then.
     */

    q->probes[0] = (uint16_t) settings->max_tx_udp_payload_size;

    if (q->probes[0] > NGX_TRP_QUIC_INITIAL) {
        settings->pmtud_probes = q->probes;
        settings->pmtud_probeslen = 1;
    }

    ngtcp2_transport_params_default(params);

    params->initial_max_stream_data_bidi_local = NGX_TRP_QUIC_STREAM_MIN;
    params->initial_max_stream_data_bidi_remote = NGX_TRP_QUIC_STREAM_MIN;
    params->initial_max_data = NGX_TRP_QUIC_WINDOW;
    params->initial_max_streams_bidi = q->conf.streams;
    params->max_idle_timeout = q->conf.idle * NGTCP2_MILLISECONDS;
    params->active_connection_id_limit = NGX_TRP_QUIC_IDS;
    params->max_datagram_frame_size = q->conf.datagram;
}


static ngx_trp_quic_t *
ngx_trp_quic_create(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_handlers_t *handlers, void *data, ngx_log_t *log)
{
    ngx_trp_quic_t  *q;

    q = ngx_calloc(sizeof(ngx_trp_quic_t), log);
    if (q == NULL) {
        return NULL;
    }

    q->ssl = ssl;
    q->handlers = handlers;
    q->data = data;
    q->log = log;
    q->conf = *conf;
    q->received = ngx_current_msec;

    q->event.handler = ngx_trp_quic_handler;
    q->event.data = q;
    q->event.log = log;

    ngx_queue_init(&q->streams);
    ngx_queue_init(&q->told);
    ngx_queue_init(&q->output);
    ngx_queue_init(&q->blocked);
    ngx_queue_init(&q->datagrams);

    return q;
}


static void
ngx_trp_quic_destroy(ngx_trp_quic_t *q)
{
    ngx_queue_t  *e;

    if (q->event.posted) {
        ngx_delete_posted_event(&q->event);
    }

    if (q->event.timer_set) {
        ngx_del_timer(&q->event);
    }

    ngtcp2_conn_del(q->conn);

    ngx_trp_quic_streams_leave(q);
    ngx_trp_quic_bytes_trim(q);

    while (!ngx_queue_empty(&q->datagrams)) {
        e = ngx_queue_head(&q->datagrams);
        ngx_queue_remove(e);
        ngx_free(ngx_queue_data(e, ngx_trp_quic_datagram_t, queue));
    }

    ngx_free(q->unsent);
    ngx_free(q->last);
    ngx_free(q->tls.params);
    ngx_free(q->tls.start);
    ngx_free(q);
}


static void
ngx_trp_quic_keep_alive(ngx_trp_quic_t *q)
{
    if (q->conf.keepalive) {
        ngtcp2_conn_set_keep_alive_timeout(q->conn, q->conf.keepalive
                                                    * NGTCP2_MILLISECONDS);
    }
}


ngx_trp_quic_t *
ngx_trp_quic_client(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_cid_t *first,
    const ngx_trp_quic_handlers_t *handlers, void *data, ngx_log_t *log)
{
    u_char                   token[NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid               dcid, scid;
    ngtcp2_path              p;
    ngx_trp_quic_t          *q;
    ngtcp2_settings          settings;
    ngtcp2_callbacks         callbacks;
    ngtcp2_transport_params  params;

    q = ngx_trp_quic_create(conf, ssl, handlers, data, log);
    if (q == NULL) {
        return NULL;
    }

    ngtcp2_cid_init(&dcid, first->data, first->len);
    ngx_trp_quic_ngtcp2_path(&p, path);
    ngx_trp_quic_settings(q, &callbacks, &settings, &params);

    if (ngx_trp_quic_make_cid(q, &scid, token, NGX_TRP_QUIC_CLIENT_CID)
        != NGX_OK
        || ngtcp2_conn_client_new(&q->conn, &dcid, &scid, &p,
                                  NGTCP2_PROTO_VER_V1, &callbacks, &settings,
                                  &params, NULL, q)
           != 0)
    {
        ngx_free(q);
        return NULL;
    }

    if (ngx_trp_quic_tls_init(q) != NGX_OK) {
        ngx_trp_quic_destroy(q);
        return NULL;
    }

    ngx_trp_quic_keep_alive(q);
    ngx_trp_quic_post(q);

    return q;
}


ngx_trp_quic_t *
ngx_trp_quic_server(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packet_t *initial,
    const ngx_trp_quic_retry_t *retry, const ngx_trp_quic_handlers_t *handlers,
    void *data, ngx_log_t *log)
{
    ngtcp2_cid               dcid, scid;
    ngtcp2_path              p;
    ngx_trp_quic_t          *q;
    ngtcp2_settings          settings;
    ngtcp2_callbacks         callbacks;
    ngx_trp_quic_cid_t       added;
    ngtcp2_transport_params  params;

    q = ngx_trp_quic_create(conf, ssl, handlers, data, log);
    if (q == NULL) {
        return NULL;
    }

    q->server = 1;
    q->first = initial->dcid;

    ngtcp2_cid_init(&dcid, initial->scid.data, initial->scid.len);
    ngx_trp_quic_ngtcp2_path(&p, path);
    ngx_trp_quic_settings(q, &callbacks, &settings, &params);

    ngtcp2_cid_init(&params.original_dcid, initial->dcid.data,
                    initial->dcid.len);
    params.original_dcid_present = 1;
    params.stateless_reset_token_present = 1;

    if (retry) {
        ngtcp2_cid_init(&params.original_dcid, retry->first.data,
                        retry->first.len);
        ngtcp2_cid_init(&params.retry_scid, retry->retry.data,
                        retry->retry.len);
        params.retry_scid_present = 1;

        settings.token = initial->token.data;
        settings.tokenlen = initial->token.len;
        settings.token_type = NGTCP2_TOKEN_TYPE_RETRY;
    }

    if (ngx_trp_quic_make_cid(q, &scid, params.stateless_reset_token,
                              conf->cid_len)
        != NGX_OK
        || ngtcp2_conn_server_new(&q->conn, &dcid, &scid, &p,
                                  initial->version, &callbacks, &settings,
                                  &params, NULL, q)
           != 0)
    {
        ngx_free(q);
        return NULL;
    }

    if (ngx_trp_quic_tls_init(q) != NGX_OK) {
        ngx_trp_quic_destroy(q);
        return NULL;
    }

    ngx_trp_quic_cid(&added, &scid);

    if (handlers->cid_added(q, &added) != NGX_OK) {
        ngx_trp_quic_destroy(q);
        return NULL;
    }

    if (handlers->cid_added(q, &q->first) != NGX_OK) {
        handlers->cid_removed(q, &added);
        ngx_trp_quic_destroy(q);
        return NULL;
    }

    q->has_first = 1;

    ngx_trp_quic_keep_alive(q);

    return q;
}


static void
ngx_trp_quic_remove_first(ngx_trp_quic_t *q)
{
    if (q->has_first) {
        q->has_first = 0;
        q->handlers->cid_removed(q, &q->first);
    }
}


void
ngx_trp_quic_free(ngx_trp_quic_t *q)
{
    size_t              i, n;
    ngtcp2_cid         *cids;
    ngx_trp_quic_cid_t  removed;

    if (q->freed) {
        return;
    }

    if (q->server) {
        ngx_trp_quic_remove_first(q);

        n = ngtcp2_conn_get_scid(q->conn, NULL);
        cids = ngx_alloc(n * sizeof(ngtcp2_cid), q->log);

        if (cids) {
            (void) ngtcp2_conn_get_scid(q->conn, cids);

            for (i = 0; i < n; i++) {
                ngx_trp_quic_cid(&removed, &cids[i]);
                q->handlers->cid_removed(q, &removed);
            }

            ngx_free(cids);
        }
    }

    q->freed = 1;

    /* that of the owner may not last until the event */

    q->log = ngx_cycle->log;
    q->event.log = ngx_cycle->log;

    if (q->ssl) {
        ngx_trp_quic_tls_leave(q);
    }

    ngx_trp_quic_post(q);
}


void *
ngx_trp_quic_data(ngx_trp_quic_t *q)
{
    return q->data;
}


/* why it ends, and what the peer is told about it */

static void
ngx_trp_quic_because(ngx_trp_quic_t *q, ngtcp2_ccerr *ccerr)
{
    const char          *text;
    ngx_trp_quic_why_t  *why;
    const ngtcp2_ccerr  *received;

    why = &q->why;

    ngtcp2_ccerr_set_liberr(ccerr, q->error, NULL, 0);
    text = ngtcp2_strerror(q->error);

    switch (q->error) {

    case 0:
        ngtcp2_ccerr_set_application_error(ccerr, why->code, why->text.data,
                                           why->text.len);
        return;

    case NGTCP2_ERR_DRAINING:

        if (why->end == NGX_TRP_QUIC_LOST) {
            text = "stateless reset";
            break;
        }

        received = ngtcp2_conn_get_ccerr(q->conn);

        why->end = NGX_TRP_QUIC_PEER;
        why->code = received->error_code;
        why->application = received->type == NGTCP2_CCERR_TYPE_APPLICATION;
        why->text.data = q->text;
        why->text.len = ngx_min(received->reasonlen, sizeof(q->text));

        if (why->text.len) {
            ngx_memcpy(q->text, received->reason, why->text.len);
        }

        return;

    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_NO_VIABLE_PATH:
        why->end = NGX_TRP_QUIC_SILENT;
        break;

    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        why->end = NGX_TRP_QUIC_UNANSWERED;
        break;

    case NGTCP2_ERR_CRYPTO:
        why->end = NGX_TRP_QUIC_TLS;
        why->code = ngtcp2_conn_get_tls_alert(q->conn);
        ngtcp2_ccerr_set_tls_alert(ccerr, (uint8_t) why->code, NULL, 0);

        if (why->text.len) {
            return;
        }

        break;

    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
    case NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE:
        why->end = NGX_TRP_QUIC_VERSION;
        break;

    case NGTCP2_ERR_NOMEM:
    case NGTCP2_ERR_CALLBACK_FAILURE:
    case NGTCP2_ERR_INTERNAL:
    case NGTCP2_ERR_PKT_NUM_EXHAUSTED:
        why->end = NGX_TRP_QUIC_FAILED;
        break;

    default:
        why->end = NGX_TRP_QUIC_INVALID;
        why->code = ccerr->error_code;
    }

    why->text.data = (u_char *) text;
    why->text.len = ngx_strlen(text);
}


static void
ngx_trp_quic_end(ngx_trp_quic_t *q, ngtcp2_tstamp now)
{
    ngtcp2_ccerr  ccerr;

    ngx_trp_quic_because(q, &ccerr);

    ngx_trp_quic_output_close(q, &ccerr, now);

    if (q->freed) {
        return;
    }

    q->over = 1;
    q->gone_at = now + 3 * ngtcp2_conn_get_pto(q->conn);
    q->again_at = now + ngtcp2_conn_get_pto(q->conn) / 4;

    if (q->ssl) {
        ngx_trp_quic_tls_leave(q);
    }

    ngx_trp_quic_streams_close(q);

    if (!q->freed) {
        q->handlers->closed(q, &q->why);
    }
}


/* what the owner of the connection itself is to be told */

static void
ngx_trp_quic_tell(ngx_trp_quic_t *q)
{
    ngx_trp_quic_path_t  path;

    if (q->tell_ready) {
        q->tell_ready = 0;
        q->tell_streams = 0;
        q->ready = 1;
        q->confirmed |= q->server;

        ngx_free(q->tls.params);
        q->tls.params = NULL;

        ngx_trp_quic_remove_first(q);

        q->handlers->ready(q);
    }

    if (q->tell_streams && q->ready && !q->freed && !q->closing) {
        q->tell_streams = 0;

        if (q->handlers->streams) {
            q->handlers->streams(q);
        }
    }

    if (q->tell_failed && !q->freed && !q->closing) {
        q->tell_failed = 0;

        if (q->handlers->moved) {
            ngx_trp_quic_our_path(&path, &q->failed_path.path);
            q->handlers->moved(q, &path, 1);
        }
    }

    if (q->tell_moved && !q->freed && !q->closing) {
        q->tell_moved = 0;

        if (q->handlers->moved) {
            ngx_trp_quic_our_path(&path, ngtcp2_conn_get_path(q->conn));
            q->handlers->moved(q, &path, 0);
        }
    }
}


static void
ngx_trp_quic_timer(ngx_trp_quic_t *q, ngtcp2_tstamp now)
{
    ngx_msec_t     ms;
    ngtcp2_tstamp  at;

    at = q->over ? q->gone_at : ngtcp2_conn_get_expiry(q->conn);

    if (at == UINT64_MAX) {
        ms = NGX_MAX_INT32_VALUE;

    } else if (at <= now) {
        ms = 1;

    } else {
        ms = (at - now + NGTCP2_MILLISECONDS - 1) / NGTCP2_MILLISECONDS;
    }

    if (q->unsent) {
        ms = ngx_max(ms, NGX_TRP_QUIC_RETRY_MS);
    }

    /* one that is set for an earlier time may as well stay */

    if (q->event.timer_set) {

        if ((ngx_msec_int_t) (q->event.timer.key - ngx_current_msec)
            <= (ngx_msec_int_t) ms)
        {
            return;
        }

        ngx_del_timer(&q->event);
    }

    ngx_add_timer(&q->event, ms);
}


/* in the closing and the draining period */

static void
ngx_trp_quic_linger(ngx_trp_quic_t *q, ngtcp2_tstamp now)
{
    if (q->send_last && now >= q->again_at) {
        q->again_at = now + ngtcp2_conn_get_pto(q->conn) / 4;
        ngx_trp_quic_output_last(q);
    }

    q->send_last = 0;

    if (now < q->gone_at) {
        ngx_trp_quic_timer(q, now);
        return;
    }

    if (q->handlers->gone && q->gone_at) {
        q->gone_at = 0;
        q->handlers->gone(q);
    }
}


static void
ngx_trp_quic_handler(ngx_event_t *ev)
{
    int            rc;
    ngtcp2_tstamp  now;

    ngx_trp_quic_t *q = ev->data;

    ev->timedout = 0;

    if (q->freed) {
        ngx_trp_quic_destroy(q);
        return;
    }

    now = ngx_trp_quic_now();

    if (q->over) {
        ngx_trp_quic_linger(q, now);
        return;
    }

    if (!q->closing && ngtcp2_conn_get_expiry(q->conn) <= now) {
        rc = ngtcp2_conn_handle_expiry(q->conn, now);

        if (rc != 0) {
            ngx_trp_quic_fail(q, rc);
        }
    }

    ngx_trp_quic_tell(q);

    if (!q->freed) {
        ngx_trp_quic_streams_tell(q);
    }

    if (!q->freed && q->error == 0) {
        ngx_trp_quic_output(q, now);
    }

    if (!q->freed && q->closing) {
        ngx_trp_quic_end(q, now);
    }

    if (q->freed) {
        ngx_trp_quic_post(q);
        return;
    }

    if (q->nspare && q->unread == 0 && ngx_queue_empty(&q->output)) {
        ngx_trp_quic_bytes_trim(q);
    }

    ngx_trp_quic_timer(q, now);
}


void
ngx_trp_quic_input(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    u_char *p, size_t len, ngx_uint_t ecn)
{
    int              rc;
    ngtcp2_path      from;
    ngtcp2_pkt_info  info;

    if (q->freed) {
        return;
    }

    if (q->closing) {

        if (q->over) {
            q->send_last = 1;
            ngx_trp_quic_post(q);
        }

        return;
    }

    q->received = ngx_current_msec;
    q->bytes_received += len;

    ngx_trp_quic_ngtcp2_path(&from, path);
    info.ecn = (uint8_t) ecn;

    rc = ngtcp2_conn_read_pkt(q->conn, &from, &info, p, len,
                              ngx_trp_quic_now());
    if (rc != 0) {
        ngx_trp_quic_fail(q, rc);
        return;
    }

    ngx_trp_quic_post(q);
}


void
ngx_trp_quic_writable(ngx_trp_quic_t *q)
{
    q->can_send = 1;
    ngx_trp_quic_post(q);
}


void
ngx_trp_quic_flush(ngx_trp_quic_t *q)
{
    ngx_trp_quic_post(q);
}


void
ngx_trp_quic_close(ngx_trp_quic_t *q, uint64_t code, const char *text)
{
    if (q->closing || q->freed) {
        return;
    }

    q->closing = 1;
    q->why.end = NGX_TRP_QUIC_CLOSED;
    q->why.code = code;
    q->why.application = 1;
    q->why.text.data = q->text;
    q->why.text.len = ngx_cpystrn(q->text, (u_char *) text, sizeof(q->text))
                      - q->text;

    ngx_trp_quic_post(q);
}


ngx_int_t
ngx_trp_quic_migrate(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path)
{
    ngtcp2_path                     p;
    const ngtcp2_transport_params  *params;

    if (q->closing || q->freed || q->server) {
        return NGX_ERROR;
    }

    params = ngtcp2_conn_get_remote_transport_params(q->conn);

    if (params && params->disable_active_migration) {
        return NGX_DECLINED;
    }

    ngx_trp_quic_ngtcp2_path(&p, path);

    /* a new socket or allocation may have the address of the last one */

    if (ngtcp2_path_eq(&p, ngtcp2_conn_get_path(q->conn))) {
        ngx_trp_quic_post(q);
        return NGX_OK;
    }

    switch (ngtcp2_conn_initiate_immediate_migration(q->conn, &p,
                                                     ngx_trp_quic_now()))
    {
    case 0:
        ngx_free(q->unsent);
        q->unsent = NULL;

        ngx_trp_quic_post(q);
        return NGX_OK;

    case NGTCP2_ERR_INVALID_STATE:
    case NGTCP2_ERR_CONN_ID_BLOCKED:
        return NGX_AGAIN;

    default:
        return NGX_ERROR;
    }
}


void
ngx_trp_quic_path(ngx_trp_quic_t *q, ngx_trp_quic_path_t *path)
{
    ngx_trp_quic_our_path(path, ngtcp2_conn_get_path(q->conn));
}


ngx_int_t
ngx_trp_quic_key_update(ngx_trp_quic_t *q)
{
    if (q->closing || q->freed || !q->confirmed
        || ngtcp2_conn_initiate_key_update(q->conn, ngx_trp_quic_now()) != 0)
    {
        return NGX_AGAIN;
    }

    ngx_trp_quic_post(q);

    return NGX_OK;
}


ngx_int_t
ngx_trp_quic_exporter(ngx_trp_quic_t *q, const char *label, u_char *out,
    size_t len)
{
    if (q->ssl == NULL
        || SSL_export_keying_material(q->ssl, out, len, label,
                                      ngx_strlen(label), NULL, 0, 0)
           != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_trp_quic_reused(ngx_trp_quic_t *q)
{
    return q->ssl && SSL_session_reused(q->ssl);
}


void
ngx_trp_quic_info(ngx_trp_quic_t *q, ngx_trp_quic_info_t *info)
{
    ngtcp2_conn_info  i;

    ngtcp2_conn_get_conn_info(q->conn, &i);

    info->received = q->received;
    info->rtt = i.smoothed_rtt / NGTCP2_MILLISECONDS;
    info->window = i.cwnd;
    info->in_flight = i.bytes_in_flight;
    info->bytes_sent = q->bytes_sent;
    info->bytes_received = q->bytes_received;
    info->streams = q->nstreams;
}


size_t
ngx_trp_quic_datagram_max(ngx_trp_quic_t *q)
{
    size_t                          max, head;
    const ngtcp2_transport_params  *params;

    params = ngtcp2_conn_get_remote_transport_params(q->conn);

    if (!q->ready || params == NULL || params->max_datagram_frame_size == 0) {
        return 0;
    }

    /* the frame's type and length; the packet's flags, id, number and tag */

    head = 1 + 2;

    max = ngtcp2_conn_get_path_max_tx_udp_payload_size(q->conn)
          - (1 + ngtcp2_conn_get_dcid(q->conn)->datalen + 4
             + NGX_TRP_QUIC_TAG_LEN);

    max = ngx_min(max, params->max_datagram_frame_size);

    return max > head ? max - head : 0;
}


ngx_int_t
ngx_trp_quic_datagram_send(ngx_trp_quic_t *q, const u_char *p, size_t len)
{
    ngx_trp_quic_datagram_t  *datagram;

    if (q->closing || q->freed || q->ndatagrams == NGX_TRP_QUIC_DATAGRAMS
        || len > ngx_trp_quic_datagram_max(q))
    {
        return NGX_DECLINED;
    }

    datagram = ngx_alloc(sizeof(ngx_trp_quic_datagram_t) + len, q->log);
    if (datagram == NULL) {
        return NGX_DECLINED;
    }

    datagram->len = len;
    ngx_memcpy(datagram->data, p, len);

    ngx_queue_insert_tail(&q->datagrams, &datagram->queue);
    q->ndatagrams++;

    ngx_trp_quic_post(q);

    return NGX_OK;
}


ngx_uint_t
ngx_trp_quic_streams_left(ngx_trp_quic_t *q)
{
    return q->closing || q->freed || !q->ready
           ? 0 : ngtcp2_conn_get_streams_bidi_left(q->conn);
}


void
ngx_trp_quic_streams_allow(ngx_trp_quic_t *q, ngx_uint_t n)
{
    if (!q->closing && !q->freed) {
        ngtcp2_conn_extend_max_streams_bidi(q->conn, n);
        ngx_trp_quic_post(q);
    }
}
