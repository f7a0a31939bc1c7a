
/*
 * Copyright (C) the trp authors
 */


/*
 * A context for each configuration, as in the stock proxy, and what a
 * connection needs: SNI, verification of the name, a session to resume, and
 * TLS inside TLS.
 */


#include "base/ngx_trp_ssl.h"

#include <openssl/x509v3.h>


static ngx_ssl_t *ngx_trp_ssl_find(ngx_conf_t *cf,
    const ngx_trp_ssl_conf_t *conf);
static ngx_uint_t ngx_trp_ssl_same(const ngx_trp_ssl_conf_t *one,
    const ngx_trp_ssl_conf_t *two);
static ngx_uint_t ngx_trp_ssl_same_strings(const ngx_array_t *one,
    const ngx_array_t *two);
static void ngx_trp_ssl_cleanup(void *data);
static ngx_int_t ngx_trp_ssl_create_context(ngx_conf_t *cf,
    ngx_trp_ssl_conf_t *conf);
static void ngx_trp_ssl_message(int sent, int version, int type,
    const void *data, size_t len, SSL *ssl, void *arg);
static ngx_int_t ngx_trp_ssl_load(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf,
    const char *prefix, const char *peer);
static int ngx_trp_ssl_verify_callback(int ok, X509_STORE_CTX *store);
static ngx_int_t ngx_trp_ssl_set_name(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, const ngx_str_t *host);
static ngx_int_t ngx_trp_ssl_resume(ngx_connection_t *c,
    ngx_ssl_session_t *session);
static void ngx_trp_ssl_save_session(ngx_connection_t *c);


/* a context and its settings as they were written, before it was loaded */

typedef struct {
    ngx_ssl_t            ssl;
    ngx_trp_ssl_conf_t   conf;
} ngx_trp_ssl_context_t;


/*
 * CAs between a server and the root: two are common, three occur when a CA has
 * a new root, which the old one signs until it is widely trusted.
 */
#define NGX_TRP_SSL_DEPTH  8


const ngx_conf_bitmask_t  ngx_trp_ssl_protocols[] = {
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


const ngx_conf_num_bounds_t  ngx_trp_ssl_depth_bounds = {
    ngx_conf_check_num_bounds, 0, 100
};


char *
ngx_trp_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t     *value;
    ngx_array_t  **passwords;

    passwords = (ngx_array_t **) ((char *) conf + cmd->offset);

    if (*passwords != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *passwords = ngx_ssl_read_password_file(cf, &value[1]);

    return (*passwords == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


void
ngx_trp_ssl_create_conf(ngx_trp_ssl_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->protocols = 0;
     *     conf->name, ciphers, … = { 0, NULL };
     */

    conf->verify = NGX_CONF_UNSET;
    conf->verify_depth = NGX_CONF_UNSET_UINT;
    conf->server_name = NGX_CONF_UNSET;
    conf->session_reuse = NGX_CONF_UNSET;
    conf->passwords = NGX_CONF_UNSET_PTR;
    conf->conf_commands = NGX_CONF_UNSET_PTR;
}


void
ngx_trp_ssl_merge_conf(const ngx_trp_ssl_conf_t *prev,
    ngx_trp_ssl_conf_t *conf)
{
    ngx_conf_merge_value(conf->verify, prev->verify, 1);
    ngx_conf_merge_uint_value(conf->verify_depth, prev->verify_depth,
                              NGX_TRP_SSL_DEPTH);
    ngx_conf_merge_value(conf->server_name, prev->server_name, 1);
    ngx_conf_merge_value(conf->session_reuse, prev->session_reuse, 1);
    ngx_conf_merge_bitmask_value(conf->protocols, prev->protocols,
                              (NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2
                               |NGX_SSL_TLSv1_3));
    ngx_conf_merge_str_value(conf->name, prev->name, "");
    ngx_conf_merge_str_value(conf->ciphers, prev->ciphers, "DEFAULT");
    ngx_conf_merge_str_value(conf->trusted_certificate,
                              prev->trusted_certificate, "");
    ngx_conf_merge_str_value(conf->crl, prev->crl, "");
    ngx_conf_merge_str_value(conf->certificate, prev->certificate, "");
    ngx_conf_merge_str_value(conf->certificate_key,
                              prev->certificate_key, "");
    ngx_conf_merge_ptr_value(conf->passwords, prev->passwords, NULL);
    ngx_conf_merge_ptr_value(conf->conf_commands, prev->conf_commands, NULL);
}


ngx_int_t
ngx_trp_ssl_init_conf(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf,
    const char *prefix, const char *peer)
{
    if (conf->verify) {
        conf->prefix = prefix;
    }

    conf->ssl = ngx_trp_ssl_find(cf, conf);

    if (conf->ssl) {
        return NGX_OK;
    }

    if (ngx_trp_ssl_create_context(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_ssl_ciphers(cf, conf->ssl, &conf->ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_ssl_load(cf, conf, prefix, peer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_ssl_client_session_cache(cf, conf->ssl, conf->session_reuse)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_conf_commands(cf, conf->ssl, conf->conf_commands);
}


/* contexts are found by their cleanups: a hundred groups need only one */

static ngx_ssl_t *
ngx_trp_ssl_find(ngx_conf_t *cf, const ngx_trp_ssl_conf_t *conf)
{
    ngx_pool_cleanup_t     *cln;
    ngx_trp_ssl_context_t  *context;

    for (cln = cf->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_trp_ssl_cleanup) {
            context = cln->data;

            if (ngx_trp_ssl_same(&context->conf, conf)) {
                return &context->ssl;
            }
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_trp_ssl_same(const ngx_trp_ssl_conf_t *one, const ngx_trp_ssl_conf_t *two)
{
    return one->verify == two->verify
           && one->verify_depth == two->verify_depth
           && one->session_reuse == two->session_reuse
           && one->protocols == two->protocols
           && ngx_trp_str_same(&one->ciphers, &two->ciphers)
           && ngx_trp_str_same(&one->trusted_certificate,
                               &two->trusted_certificate)
           && ngx_trp_str_same(&one->crl, &two->crl)
           && ngx_trp_str_same(&one->certificate, &two->certificate)
           && ngx_trp_str_same(&one->certificate_key, &two->certificate_key)
           && ngx_trp_ssl_same_strings(one->passwords, two->passwords)
           && ngx_trp_ssl_same_strings(one->conf_commands, two->conf_commands);
}


/* elements are strings, or pairs of them */

static ngx_uint_t
ngx_trp_ssl_same_strings(const ngx_array_t *one, const ngx_array_t *two)
{
    ngx_str_t   *a, *b;
    ngx_uint_t   i, n;

    if (one == two) {
        return 1;
    }

    if (one == NULL || two == NULL || one->nelts != two->nelts) {
        return 0;
    }

    trp_assert(one->size == two->size);

    a = one->elts;
    b = two->elts;
    n = one->nelts * (one->size / sizeof(ngx_str_t));

    for (i = 0; i < n; i++) {
        if (!ngx_trp_str_same(&a[i], &b[i])) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_trp_ssl_cleanup(void *data)
{
    ngx_trp_ssl_context_t *context = data;

    if (context->ssl.ctx) {
        ngx_ssl_cleanup_ctx(&context->ssl);
    }
}


static ngx_int_t
ngx_trp_ssl_create_context(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf)
{
    ngx_pool_cleanup_t     *cln;
    ngx_trp_ssl_context_t  *context;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_trp_ssl_context_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    context = cln->data;
    ngx_memzero(context, sizeof(ngx_trp_ssl_context_t));

    cln->handler = ngx_trp_ssl_cleanup;

    context->conf = *conf;
    context->ssl.log = cf->log;

    conf->ssl = &context->ssl;

    if (ngx_ssl_create(conf->ssl, conf->protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a dialer's own is set too late: since OpenSSL 3.2 some must be there */

    SSL_CTX_set_msg_callback(conf->ssl->ctx, ngx_trp_ssl_message);

    return NGX_OK;
}


static void
ngx_trp_ssl_message(int sent, int version, int type, const void *data,
    size_t len, SSL *ssl, void *arg)
{
    /* void */
}


/* the client's certificate, and those to be trusted */

static ngx_int_t
ngx_trp_ssl_load(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf, const char *prefix,
    const char *peer)
{
    if (conf->certificate.len) {

        if (conf->certificate_key.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"%s_ssl_certificate_key\" is defined for "
                               "certificate \"%V\"",
                               prefix, &conf->certificate);
            return NGX_ERROR;
        }

        if (ngx_ssl_certificate(cf, conf->ssl, &conf->certificate,
                                &conf->certificate_key, conf->passwords)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!conf->verify) {
        return NGX_OK;
    }

    if (conf->trusted_certificate.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s_ssl_trusted_certificate\" is defined for "
                           "\"%s\", it names the file with the certificate of "
                           "the %s, or of its CA", prefix, prefix, peer);
        return NGX_ERROR;
    }

    if (ngx_trp_ssl_trust(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_ssl_crl(cf, conf->ssl, &conf->crl);
}


/*
 * Every certificate in the file is trusted, whether it is a root or not.  The
 * handshake fails with the first error, so that the server is told by an alert.
 */

ngx_int_t
ngx_trp_ssl_trust(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf)
{
    SSL_CTX  *ctx;

    ctx = conf->ssl->ctx;

    if (ngx_ssl_trusted_certificate(cf, conf->ssl, &conf->trusted_certificate,
                                    conf->verify_depth)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, ngx_trp_ssl_verify_callback);

    if (X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
                                    X509_V_FLAG_PARTIAL_CHAIN)
        != 1)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "X509_VERIFY_PARAM_set_flags() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * With "_ssl_crl" OpenSSL also checks whether the trusted certificate itself is
 * revoked; if it is not a root, its issuer's CRL is missing.
 */

static int
ngx_trp_ssl_verify_callback(int ok, X509_STORE_CTX *store)
{
    X509            *cert;
    ngx_ssl_conn_t  *ssl;

    if (ok) {
        return ok;
    }

    switch (X509_STORE_CTX_get_error(store)) {

    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:

        cert = X509_STORE_CTX_get_current_cert(store);

        if (X509_STORE_CTX_get_error_depth(store)
            != sk_X509_num(X509_STORE_CTX_get0_chain(store)) - 1
            || X509_check_issued(cert, cert) == X509_V_OK)
        {
            break;
        }

        X509_STORE_CTX_set_error(store, X509_V_OK);

        return 1;
    }

    ssl = X509_STORE_CTX_get_ex_data(store,
                                     SSL_get_ex_data_X509_STORE_CTX_idx());

    ngx_trp_ssl_explained(ngx_ssl_get_connection(ssl));

    return 0;
}


void
ngx_trp_ssl_explained(ngx_connection_t *c)
{
    c->ssl->handshake_rejected = 1;
    c->log_error = NGX_ERROR_INFO;
}


ngx_int_t
ngx_trp_ssl_create_connection(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, ngx_ssl_session_t **session)
{
    if (ngx_ssl_create_connection(conf->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || ngx_trp_ssl_set_name(conf, c, host) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (session == NULL || !conf->session_reuse) {
        return NGX_OK;
    }

    if (*session && ngx_trp_ssl_resume(c, *session) != NGX_OK) {
        return NGX_ERROR;
    }

    /* in TLS 1.3 sessions arrive after the handshake, and new ones later */

    if (SSL_set_app_data(c->ssl->connection, session) != 1) {
        return NGX_ERROR;
    }

    c->ssl->save_session = ngx_trp_ssl_save_session;

    return NGX_OK;
}


/*
 * The outer connection becomes an OpenSSL BIO.  Its callbacks need an
 * ngx_connection_t, but not this one, whose "ssl" becomes the inner one.
 */

ngx_int_t
ngx_trp_ssl_nest(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, ngx_ssl_session_t **session)
{
    BIO               *bio;
    ngx_connection_t  *outer;

    outer = ngx_palloc(c->pool, sizeof(ngx_connection_t));
    bio = BIO_new(BIO_f_ssl());

    if (outer == NULL || bio == NULL) {
        BIO_free(bio);
        return NGX_ERROR;
    }

    *outer = *c;

    SSL_set_mode(outer->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (SSL_set_ex_data(outer->ssl->connection, ngx_ssl_connection_index,
                        outer)
        == 0)
    {
        BIO_free(bio);
        return NGX_ERROR;
    }

    BIO_set_ssl(bio, outer->ssl->connection, BIO_CLOSE);

    c->ssl = NULL;

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;

    if (ngx_trp_ssl_create_connection(conf, c, host, session) != NGX_OK) {
        BIO_free(bio);
        return NGX_ERROR;
    }

    SSL_set_bio(c->ssl->connection, bio, bio);

    return NGX_OK;
}


void
ngx_trp_ssl_drop(ngx_connection_t *c)
{
    SSL_free(c->ssl->connection);

    c->ssl = NULL;

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;
}


/*
 * OpenSSL compares the name: ngx_ssl_check_host() does not support IP addresses
 * in certificates.
 */

static ngx_int_t
ngx_trp_ssl_set_name(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, const ngx_str_t *host)
{
    u_char             *name;
    trp_str_t           relative;
    trp_addr_t          addr;
    ngx_ssl_conn_t     *ssl;
    X509_VERIFY_PARAM  *param;

    ssl = c->ssl->connection;
    host = conf->name.len ? &conf->name : host;

    name = ngx_pnalloc(c->pool, host->len + 1);
    if (name == NULL) {
        return NGX_ERROR;
    }

    /* names in certificates and SNI have no trailing dot */

    relative = trp_name_relative(ngx_trp_str(host));

    (void) ngx_cpystrn(name, host->data, relative.len + 1);

    param = SSL_get0_param(ssl);

    if (trp_addr_parse(&addr, ngx_trp_str(host)) == TRP_OK) {

        if (conf->verify
            && X509_VERIFY_PARAM_set1_ip(param, addr.bytes,
                                         trp_addr_len(&addr))
               != 1)
        {
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (conf->verify
        && X509_VERIFY_PARAM_set1_host(param, (char *) name, relative.len)
           != 1)
    {
        return NGX_ERROR;
    }

    if (conf->server_name
        && SSL_set_tlsext_host_name(ssl, (char *) name) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * OpenSSL allows a TLS 1.3 session to be resumed once, and discards one whose
 * connection has failed.  Connections come in batches: each resumes a copy.
 */

static ngx_int_t
ngx_trp_ssl_resume(ngx_connection_t *c, ngx_ssl_session_t *session)
{
    ngx_int_t           rc;
    ngx_ssl_session_t  *copy;

    copy = SSL_SESSION_dup(session);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_ssl_set_session(c, copy);

    ngx_ssl_free_session(copy);

    return rc;
}


/* replaces the session with a copy of the one that has just arrived */

static void
ngx_trp_ssl_save_session(ngx_connection_t *c)
{
    ngx_ssl_session_t  *ssl_session, *copy, **session;

    session = SSL_get_app_data(c->ssl->connection);

    ssl_session = ngx_ssl_get_session(c);

    if (ssl_session == NULL) {
        return;
    }

    copy = SSL_SESSION_dup(ssl_session);

    ngx_ssl_free_session(ssl_session);

    if (copy == NULL) {
        return;
    }

    if (*session) {
        ngx_ssl_free_session(*session);
    }

    *session = copy;
}


ngx_int_t
ngx_trp_ssl_verify(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, const char *peer, ngx_uint_t level,
    const char *lacks)
{
    long              rc;
    const ngx_str_t  *name;

    if (!conf->verify) {
        return NGX_OK;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc == X509_V_OK) {
        return NGX_OK;
    }

    name = conf->name.len ? &conf->name : host;

    if (rc == X509_V_ERR_CERT_CHAIN_TOO_LONG && conf->prefix) {
        ngx_log_error(level, c->log, 0,
                      "%s SSL certificate verify error: (%l:%s), it is longer "
                      "than \"%s_ssl_verify_depth %ui\" allows, expected name "
                      "\"%V\"", peer, rc, X509_verify_cert_error_string(rc),
                      conf->prefix, conf->verify_depth, name);
        return NGX_ERROR;
    }

    if (lacks) {
        ngx_log_error(level, c->log, 0,
                      "%s SSL certificate verify error: (%l:%s), expected name "
                      "\"%V\", nor does the server speak %s: is it a %s?",
                      peer, rc, X509_verify_cert_error_string(rc), name, lacks,
                      peer);
        return NGX_ERROR;
    }

    ngx_log_error(level, c->log, 0,
                  "%s SSL certificate verify error: (%l:%s), expected name "
                  "\"%V\"", peer, rc, X509_verify_cert_error_string(rc), name);

    return NGX_ERROR;
}
