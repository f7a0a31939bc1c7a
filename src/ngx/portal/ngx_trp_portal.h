
/*
 * Copyright (C) the trp authors
 */


/*
 * The control connection to a portal, which tells the TURN server when to
 * serve, and which accounts.
 */


#ifndef _NGX_TRP_PORTAL_H_INCLUDED_
#define _NGX_TRP_PORTAL_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_portal_s  ngx_trp_portal_t;


typedef struct {
    ngx_str_t           url;                 /* ws[s]://host[:port][/path] */
    ngx_str_t           token_file;
    ngx_str_t           trusted_certificate; /* empty: those of the system */

    /* how this relay introduces itself to the portal; omitted if empty or 0 */

    ngx_str_t           name;
    ngx_str_t           ipv4;
    ngx_str_t           ipv6;
    in_port_t           port;

    unsigned            account_validation:1;
} ngx_trp_portal_conf_t;


/*
 * "init" is called first, and again for every new connection: its accounts, an
 * array of ngx_str_t, or NULL if the portal sent none, replace all others.
 * After "fatal", which has been logged, nothing is called any more, but granted
 * accounts are not revoked.
 *
 * Arguments are valid only during the call.  ngx_trp_portal_stop() may be
 * called in any of them.
 */

typedef struct {
    void              (*init)(void *data, ngx_array_t *accounts);
    void              (*account_added)(void *data, ngx_str_t *id);
    void              (*account_removed)(void *data, ngx_str_t *id);
    void              (*fatal)(void *data);
} ngx_trp_portal_handlers_t;


/*
 * At configuration time.  NULL: an error, logged.  The name of the host is
 * resolved at run time, with the resolver of "cscf".
 */

ngx_trp_portal_t *ngx_trp_portal_create(ngx_conf_t *cf,
    ngx_trp_portal_conf_t *conf, ngx_stream_core_srv_conf_t *cscf);


/*
 * To be called in one worker.  The secret, 64 hex digits, is what credentials
 * will be derived from.  The portal stops by itself when the worker begins to
 * exit.
 */

ngx_int_t ngx_trp_portal_start(ngx_trp_portal_t *p,
    ngx_str_t *stamp_secret_hex, const ngx_trp_portal_handlers_t *handlers,
    void *data, ngx_log_t *log);

void ngx_trp_portal_stop(ngx_trp_portal_t *p);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PORTAL_H_INCLUDED_ */
