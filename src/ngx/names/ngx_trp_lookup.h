
/*
 * Copyright (C) the trp authors
 */


/*
 * Looks up the addresses of a name once: with the name servers of "resolver",
 * or as the host does, with /etc/hosts and /etc/resolv.conf, which are reread
 * when they change.  Asynchronous: it blocks nothing.
 */


#ifndef _NGX_TRP_LOOKUP_H_INCLUDED_
#define _NGX_TRP_LOOKUP_H_INCLUDED_


#include "base/ngx_trp.h"
#include "names/trp_resolv.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_lookup_s  ngx_trp_lookup_t;

typedef void (*ngx_trp_lookup_pt)(ngx_trp_lookup_t *lookup);


/* the host's settings, kept while they are in use */

typedef struct {
    ngx_pool_t            *pool;
    ngx_resolver_t        *resolver;
    trp_resolv_t           resolv;
    ngx_uint_t             users;
    ngx_event_t            event;       /* to be destroyed */
} ngx_trp_resolv_t;


struct ngx_trp_lookup_s {
    /* set by the caller; an address or "localhost" is not looked up */
    ngx_resolver_t        *resolver;    /* no name servers: the host's */
    ngx_msec_t             timeout;
    ngx_str_t              name;        /* must outlive the lookup */
    ngx_trp_lookup_pt      handler;
    void                  *data;
    unsigned               cancelable:1; /* an exiting worker does not wait */
    unsigned               hosts:1;     /* always /etc/hosts first */

    /* for the handler; the addresses have no port, and are valid until then */
    ngx_int_t              state;       /* NGX_OK, NGX_RESOLVE_* */
    time_t                 valid;       /* until then */
    ngx_uint_t             naddrs;
    ngx_resolver_addr_t   *addrs;
    unsigned               async:1;     /* ngx_trp_lookup() has returned */

    ngx_resolver_ctx_t    *ctx;
    ngx_trp_resolv_t      *resolv;      /* NULL: "resolver" */
    ngx_str_t              query;       /* the name with a search domain */
    ngx_uint_t             domain;
};


/* calls the handler once, now or later; the handler may free the lookup */

void ngx_trp_lookup(ngx_trp_lookup_t *lookup);

/* the handler will not be called; no effect if it already was */

void ngx_trp_lookup_cancel(ngx_trp_lookup_t *lookup);

/* logs that "NAME" could not be resolved */

void ngx_trp_lookup_log_error(ngx_trp_lookup_t *lookup, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_LOOKUP_H_INCLUDED_ */
