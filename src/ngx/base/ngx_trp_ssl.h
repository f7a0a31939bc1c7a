
/*
 * Copyright (C) the trp authors
 */


/*
 * TLS as a client: settings like those of the stock "proxy_ssl_*", and what a
 * connection needs: a name for SNI and verification, and a session to resume.
 */


#ifndef _NGX_TRP_SSL_H_INCLUDED_
#define _NGX_TRP_SSL_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_flag_t       verify;
    ngx_uint_t       verify_depth;
    ngx_flag_t       server_name;             /* SNI */
    ngx_flag_t       session_reuse;
    ngx_uint_t       protocols;
    ngx_str_t        name;                    /* in place of the server's */
    ngx_str_t        ciphers;
    ngx_str_t        trusted_certificate;
    ngx_str_t        crl;
    ngx_str_t        certificate;
    ngx_str_t        certificate_key;
    ngx_array_t     *passwords;
    ngx_array_t     *conf_commands;

    ngx_ssl_t       *ssl;
    const char      *prefix;                  /* of the directives, or NULL */
} ngx_trp_ssl_conf_t;


/* the setter of "…_ssl_password_file" */

char *ngx_trp_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

extern const ngx_conf_bitmask_t     ngx_trp_ssl_protocols[];
extern const ngx_conf_num_bounds_t  ngx_trp_ssl_depth_bounds;


/* sets all to UNSET; merges and sets defaults; creates the context */

void ngx_trp_ssl_create_conf(ngx_trp_ssl_conf_t *conf);
void ngx_trp_ssl_merge_conf(const ngx_trp_ssl_conf_t *prev,
    ngx_trp_ssl_conf_t *conf);

/*
 * "prefix" of the directives; "peer" says what is at the other end.  A context
 * is loaded once for all configurations with the same settings.
 */

ngx_int_t ngx_trp_ssl_init_conf(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf,
    const char *prefix, const char *peer);

/*
 * Part of that, for callers with their own context: all certificates in the
 * file are trusted, also leaves and intermediates; without a file, those of the
 * context.
 */

ngx_int_t ngx_trp_ssl_trust(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf);


/*
 * Before the handshake.  "host" is the server's name, or its address as text.
 * "session", or NULL, is where the caller keeps a session; it must outlive the
 * connection.  The session is resumed, and new ones replace it.
 */

ngx_int_t ngx_trp_ssl_create_connection(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, ngx_ssl_session_t **session);

/*
 * The same inside a connection that has TLS with another peer already; the
 * outer TLS connection ends with the inner one.
 */

ngx_int_t ngx_trp_ssl_nest(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, ngx_ssl_session_t **session);

/* an SSL that is not nested goes, without a word to the peer */

void ngx_trp_ssl_drop(ngx_connection_t *c);

/*
 * After the handshake, or when it has failed; NGX_ERROR, logged, if the
 * certificate is not valid.  "lacks", or NULL, is a protocol that the server
 * does not speak, either.
 */

ngx_int_t ngx_trp_ssl_verify(const ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, const char *peer, ngx_uint_t level,
    const char *lacks);

/*
 * In a callback, when the handshake is about to fail for a reason that will be
 * logged: ngx_ssl_handshake() has only a line at level "info".
 */

void ngx_trp_ssl_explained(ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SSL_H_INCLUDED_ */
