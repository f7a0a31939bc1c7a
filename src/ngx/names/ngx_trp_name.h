
/*
 * Copyright (C) the trp authors
 */


/*
 * A host name of the configuration whose addresses are kept up to date, in one
 * worker: asked for again when they expire, and when that fails.  What was
 * found last stays until something else is, also through a reload.
 */


#ifndef _NGX_TRP_NAME_H_INCLUDED_
#define _NGX_TRP_NAME_H_INCLUDED_


#include "names/ngx_trp_lookup.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_name_s  ngx_trp_name_t;

typedef void (*ngx_trp_name_pt)(ngx_trp_name_t *name);


/*
 * How names are resolved, as a server {} or an upstream {} has it; by
 * /etc/hosts first, which nginx would have asked as well.
 */

typedef struct {
    ngx_resolver_t        *resolver;    /* NULL: as the host does it */
    ngx_msec_t             timeout;
    ngx_flag_t             ipv4;
    ngx_flag_t             ipv6;
    ngx_shm_zone_t        *memory;      /* of what was found last */
} ngx_trp_name_conf_t;


struct ngx_trp_name_s {
    /* the caller's */
    const ngx_trp_name_conf_t  *conf;
    const char            *what;        /* "relay", for the log */
    ngx_str_t              host;
    in_port_t              port;
    ngx_trp_name_pt        changed;     /* to other addresses; or NULL */
    ngx_trp_name_pt        failed;      /* or NULL */
    void                  *data;

    ngx_addr_t            *addrs;       /* names of them with the port */
    ngx_uint_t             naddrs;      /* 0: not known yet */

    ngx_trp_lookup_t       lookup;
    ngx_event_t            event;
    ngx_uint_t             failures;    /* in a row */
    unsigned               lacks4:1;    /* it is said that there is no way */
    unsigned               lacks6:1;
};


/*
 * The directive [ipv4=on|off] [ipv6=on|off], cmd->offset is that of an
 * ngx_trp_name_conf_t; and how it is set up.
 */

char *ngx_trp_name_set_families(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_trp_name_create_conf(ngx_trp_name_conf_t *conf);
void ngx_trp_name_merge_conf(ngx_trp_name_conf_t *prev,
    ngx_trp_name_conf_t *conf);

/* by the "resolver" of this server {}, or of stream {} */

ngx_int_t ngx_trp_name_init_conf(ngx_conf_t *cf, ngx_trp_name_conf_t *conf,
    ngx_stream_core_srv_conf_t *cscf);


/* "changed" may be called at once; to be called once, lives as the cycle */

void ngx_trp_name_start(ngx_trp_name_t *name);


#pragma GCC visibility pop


#endif /* _NGX_TRP_NAME_H_INCLUDED_ */
