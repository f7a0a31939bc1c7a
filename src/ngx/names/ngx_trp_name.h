
/*
 * Copyright (C) the trp authors
 */


/*
 * A host name of the configuration whose addresses are kept up to date, in one
 * worker: looked up again when they expire, or after a failure.  The last
 * addresses found stay in use until there are others, also across a reload.
 */


#ifndef _NGX_TRP_NAME_H_INCLUDED_
#define _NGX_TRP_NAME_H_INCLUDED_


#include "names/ngx_trp_lookup.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_name_s  ngx_trp_name_t;

typedef void (*ngx_trp_name_pt)(ngx_trp_name_t *name);


/*
 * How a server {} or an upstream {} resolves names; /etc/hosts always comes
 * first, as it would with nginx's own resolution.
 */

typedef struct {
    ngx_resolver_t        *resolver;    /* NULL: as the host does it */
    ngx_msec_t             timeout;
    ngx_flag_t             ipv4;
    ngx_flag_t             ipv6;
    ngx_shm_zone_t        *memory;      /* the addresses found last */
} ngx_trp_name_conf_t;


struct ngx_trp_name_s {
    /* set by the caller */
    const ngx_trp_name_conf_t  *conf;
    const char            *what;        /* "relay", for the log */
    ngx_str_t              host;
    in_port_t              port;
    ngx_trp_name_pt        changed;     /* to other addresses; or NULL */
    ngx_trp_name_pt        failed;      /* or NULL */
    void                  *data;

    ngx_addr_t            *addrs;       /* their names include the port */
    ngx_uint_t             naddrs;      /* 0: not known yet */

    ngx_trp_lookup_t       lookup;
    ngx_event_t            event;
    ngx_uint_t             failures;    /* in a row */
    const char            *why;         /* of the last one */
    unsigned               lacks4:1;    /* logged that there is no route */
    unsigned               lacks6:1;
};


/*
 * The setter of a directive with [ipv4=on|off] [ipv6=on|off]; cmd->offset is
 * that of an ngx_trp_name_conf_t.  Then creating and merging it.
 */

char *ngx_trp_name_set_families(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_trp_name_create_conf(ngx_trp_name_conf_t *conf);
void ngx_trp_name_merge_conf(const ngx_trp_name_conf_t *prev,
    ngx_trp_name_conf_t *conf);

/* uses the "resolver" of this server {}, or of stream {} */

ngx_int_t ngx_trp_name_init_conf(ngx_conf_t *cf, ngx_trp_name_conf_t *conf,
    ngx_stream_core_srv_conf_t *cscf);


/* called once; may call "changed" at once; "name" must live as the cycle */

void ngx_trp_name_start(ngx_trp_name_t *name);


/* a server with the addresses of its URL or, if that has none, of its name */

typedef struct {
    const ngx_url_t            *url;
    ngx_trp_name_t             *name;    /* NULL: "url" has addresses */
    ngx_uint_t                  next;    /* of the addresses */
} ngx_trp_name_server_t;

/* "url" is set; "what" is in the log.  NGX_ERROR: no memory */

ngx_int_t ngx_trp_name_server_start(ngx_trp_name_server_t *server,
    const ngx_trp_name_conf_t *conf, const char *what);

/* the addresses in turn, good until the next event; NULL: there is none yet */

ngx_addr_t *ngx_trp_name_server_addr(ngx_trp_name_server_t *server);


#pragma GCC visibility pop


#endif /* _NGX_TRP_NAME_H_INCLUDED_ */
