
/*
 * Copyright (C) the trp authors
 */


/*
 * A name's addresses, asked for once: by the name servers of "resolver", or as
 * the host does it, by /etc/hosts and /etc/resolv.conf, which are read again
 * when they change.  Nobody waits for it but who asks.
 */


#ifndef _NGX_TRP_LOOKUP_H_INCLUDED_
#define _NGX_TRP_LOOKUP_H_INCLUDED_


#include "base/ngx_trp.h"
#include "names/trp_resolv.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_lookup_s  ngx_trp_lookup_t;

typedef void (*ngx_trp_lookup_pt)(ngx_trp_lookup_t *lookup);


/* the host's settings, as long as somebody has use for them */

typedef struct {
    ngx_pool_t            *pool;
    ngx_resolver_t        *resolver;
    trp_resolv_t           resolv;
    ngx_uint_t             users;
    ngx_event_t            event;       /* to be destroyed */
} ngx_trp_resolv_t;


struct ngx_trp_lookup_s {
    /* the caller's; an address, and "localhost", is taken for itself */
    ngx_resolver_t        *resolver;    /* without name servers: the host's */
    ngx_msec_t             timeout;
    ngx_str_t              name;        /* as long as it lasts */
    ngx_trp_lookup_pt      handler;
    void                  *data;
    unsigned               cancelable:1; /* keeps no worker that exits */
    unsigned               hosts:1;     /* /etc/hosts goes first anyway */

    /* for the handler; addresses without a port, as long as it runs */
    ngx_int_t              state;       /* NGX_OK, NGX_RESOLVE_* */
    time_t                 valid;       /* until then */
    ngx_uint_t             naddrs;
    ngx_resolver_addr_t   *addrs;
    unsigned               async:1;     /* ngx_trp_lookup() has returned */

    ngx_resolver_ctx_t    *ctx;
    ngx_trp_resolv_t      *resolv;      /* NULL: "resolver" */
    ngx_str_t              query;       /* the name, perhaps in a domain */
    ngx_uint_t             domain;
};


/* the handler is called once, at once or later; it may free the lookup */

void ngx_trp_lookup(ngx_trp_lookup_t *lookup);

/* it will not be called; nothing happens if it was already */

void ngx_trp_lookup_cancel(ngx_trp_lookup_t *lookup);

/* that it has failed: "NAME" could not be resolved */

void ngx_trp_lookup_log_error(ngx_trp_lookup_t *lookup, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LOOKUP_H_INCLUDED_ */
