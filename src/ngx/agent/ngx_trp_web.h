
/*
 * Copyright (C) the trp authors
 */


/*
 * The web server that passes an agent's tunnels on to the relay as WebSockets:
 * its directives, its address, and the steps of a dialer through it.
 */


#ifndef _NGX_TRP_WEB_H_INCLUDED_
#define _NGX_TRP_WEB_H_INCLUDED_


#include "base/ngx_trp_conf.h"
#include "base/ngx_trp_dialer.h"
#include "names/ngx_trp_name.h"
#include "websocket/ngx_trp_websocket_bio.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_trp_conf_place_t  place;
    ngx_url_t             url;           /* host.len: in place of the relay */
    ngx_str_t             path;
    ngx_trp_ssl_conf_t    ssl;

    unsigned              enabled:1;
    unsigned              off:1;
    unsigned              plain:1;       /* ws:// */
} ngx_trp_web_conf_t;


/* in one worker; lives as long as the cycle */

typedef struct {
    const ngx_trp_web_conf_t      *conf;
    ngx_trp_name_server_t          server;
    ngx_trp_websocket_bio_conf_t   bio;
} ngx_trp_web_t;


/* whom a WebSocket is for, while it is dialled */

typedef struct {
    const ngx_str_t      *host;          /* a name, or an address as text */
    in_port_t             port;
    ngx_int_t             slot;          /* the hint for the relay, or -1 */
    ngx_ssl_session_t   **session;       /* with the web server */
} ngx_trp_web_peer_t;


/* P_websocket off | /path | ws[s]://host[:port]/path */

char *ngx_trp_web_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void ngx_trp_web_create_conf(ngx_trp_web_conf_t *conf);
void ngx_trp_web_merge_conf(const ngx_trp_web_conf_t *prev,
    ngx_trp_web_conf_t *conf);
ngx_int_t ngx_trp_web_init_conf(ngx_conf_t *cf, ngx_trp_web_conf_t *conf,
    const char *prefix);

/* in a worker; starts to resolve a name.  NULL: no memory */

ngx_trp_web_t *ngx_trp_web_create(const ngx_trp_web_conf_t *conf,
    const ngx_trp_name_conf_t *names);

/* 1 if it is another host than the relay's */

#define ngx_trp_web_apart(web)  ((web)->conf->url.host.len != 0)

/*
 * Where to connect() to, if it is apart; addresses of a name take turns.  NULL:
 * there is none yet, which is logged where names are resolved.
 */

ngx_addr_t *ngx_trp_web_addr(ngx_trp_web_t *web);

/*
 * Adds steps to a dialer, whose connection must have a pool.  What comes after
 * them is TLS, which calls ngx_trp_web_insert() when it has an SSL.  NULL: no
 * memory.
 */

void *ngx_trp_web_add(ngx_trp_web_t *web, ngx_trp_dialer_t *d,
    const ngx_trp_web_peer_t *peer);
ngx_int_t ngx_trp_web_insert(void *added, ngx_connection_t *c);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WEB_H_INCLUDED_ */
