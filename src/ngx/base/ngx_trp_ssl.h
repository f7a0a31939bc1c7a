
/*
 * Copyright (C) the trp authors
 */


/*
 * TLS as a client: settings in the form of the stock "proxy_ssl_*", and what
 * a connection needs: a name to ask for and to check, and a session.
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


/* what NGX_TRP_SSL_COMMANDS refers to */

char *ngx_trp_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

extern const ngx_conf_bitmask_t     ngx_trp_ssl_protocols[];
extern const ngx_conf_num_bounds_t  ngx_trp_ssl_depth_bounds;


/* all to UNSET; inherit and set defaults; then make the context */

void ngx_trp_ssl_create_conf(ngx_trp_ssl_conf_t *conf);
void ngx_trp_ssl_merge_conf(ngx_trp_ssl_conf_t *prev,
    ngx_trp_ssl_conf_t *conf);

/* "prefix" is that of the directives, "peer" what is at the other end */

ngx_int_t ngx_trp_ssl_init_conf(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf,
    const char *prefix, const char *peer);

/*
 * Part of that, for who makes a context by itself: certificates of the file
 * are trusted, also leaves and intermediates; with no file those of the
 * context.
 */

ngx_int_t ngx_trp_ssl_trust(ngx_conf_t *cf, ngx_trp_ssl_conf_t *conf);


/*
 * Ahead of the handshake.  "host" is the server's name, or its address as
 * text; "session" may be NULL, and stays the caller's.
 */

ngx_int_t ngx_trp_ssl_create_connection(ngx_trp_ssl_conf_t *conf,
    ngx_connection_t *c, ngx_str_t *host, ngx_ssl_session_t *session);

/*
 * The same inside of a connection that has TLS with somebody else already,
 * which then ends with this one.
 */

ngx_int_t ngx_trp_ssl_nest(ngx_trp_ssl_conf_t *conf, ngx_connection_t *c,
    ngx_str_t *host, ngx_ssl_session_t *session);

/* behind it; NGX_ERROR if the certificate is not the right one, logged */

ngx_int_t ngx_trp_ssl_verify(ngx_trp_ssl_conf_t *conf, ngx_connection_t *c,
    ngx_str_t *host, const char *peer, ngx_uint_t level);

/*
 * In "save_session" of the connection: puts a copy of the session that it
 * has just got in the place of *session.
 */

void ngx_trp_ssl_save_session(ngx_connection_t *c,
    ngx_ssl_session_t **session);


#define ngx_trp_ssl_command(name, ctx, take, set, type, member, post)        \
    { ngx_string(name),                                                      \
      ctx|take,                                                              \
      set,                                                                   \
      NGX_STREAM_SRV_CONF_OFFSET,                                            \
      offsetof(type, member),                                                \
      (void *) post }

/*
 * The directives, for a module whose server configuration "type" has an
 * ngx_trp_ssl_conf_t as its member "m".
 */

#define NGX_TRP_SSL_COMMANDS(prefix, ctx, type, m)                           \
                                                                             \
    ngx_trp_ssl_command(prefix "_verify", ctx, NGX_CONF_FLAG,                \
        ngx_conf_set_flag_slot, type, m.verify, NULL),                       \
    ngx_trp_ssl_command(prefix "_verify_depth", ctx, NGX_CONF_TAKE1,         \
        ngx_conf_set_num_slot, type, m.verify_depth,                         \
        &ngx_trp_ssl_depth_bounds),                                          \
    ngx_trp_ssl_command(prefix "_name", ctx, NGX_CONF_TAKE1,                 \
        ngx_conf_set_str_slot, type, m.name, NULL),                          \
    ngx_trp_ssl_command(prefix "_server_name", ctx, NGX_CONF_FLAG,           \
        ngx_conf_set_flag_slot, type, m.server_name, NULL),                  \
    ngx_trp_ssl_command(prefix "_session_reuse", ctx, NGX_CONF_FLAG,         \
        ngx_conf_set_flag_slot, type, m.session_reuse, NULL),                \
    ngx_trp_ssl_command(prefix "_protocols", ctx, NGX_CONF_1MORE,            \
        ngx_conf_set_bitmask_slot, type, m.protocols,                        \
        &ngx_trp_ssl_protocols),                                             \
    ngx_trp_ssl_command(prefix "_ciphers", ctx, NGX_CONF_TAKE1,              \
        ngx_conf_set_str_slot, type, m.ciphers, NULL),                       \
    ngx_trp_ssl_command(prefix "_trusted_certificate", ctx, NGX_CONF_TAKE1,  \
        ngx_conf_set_str_slot, type, m.trusted_certificate, NULL),           \
    ngx_trp_ssl_command(prefix "_crl", ctx, NGX_CONF_TAKE1,                  \
        ngx_conf_set_str_slot, type, m.crl, NULL),                           \
    ngx_trp_ssl_command(prefix "_certificate", ctx, NGX_CONF_TAKE1,          \
        ngx_conf_set_str_slot, type, m.certificate, NULL),                   \
    ngx_trp_ssl_command(prefix "_certificate_key", ctx, NGX_CONF_TAKE1,      \
        ngx_conf_set_str_slot, type, m.certificate_key, NULL),               \
    ngx_trp_ssl_command(prefix "_password_file", ctx, NGX_CONF_TAKE1,        \
        ngx_trp_ssl_password_file, type, m.passwords, NULL),                 \
    ngx_trp_ssl_command(prefix "_conf_command", ctx, NGX_CONF_TAKE2,         \
        ngx_conf_set_keyval_slot, type, m.conf_commands, NULL)


#pragma GCC visibility pop


#endif /* _NGX_TRP_SSL_H_INCLUDED_ */
