
/*
 * Copyright (C) the trp authors
 */


/*
 * The hub: an entry and a relay in one nginx.  A user's stream drives the
 * tunnel of a reverse itself, without a tunnel between entry and relay.
 *
 * The two are in modules of their own, which may be loaded from different
 * files.  The relay's main configuration begins with an ngx_trp_hub_t, which
 * has the functions that the entry may call.
 */


#ifndef _NGX_TRP_HUB_H_INCLUDED_
#define _NGX_TRP_HUB_H_INCLUDED_


#include "base/ngx_trp_conf.h"
#include "hub/ngx_trp_seeker.h"
#include "hub/ngx_trp_source.h"


#pragma GCC visibility push(hidden)


/*
 * One stream, as the entry sees it: the source of its tunnels, and what it asks
 * of the relay.  The entry zeroes it and sets the first part; the group and the
 * id must live as long.
 */

typedef struct {
    ngx_str_t              group;
    ngx_str_t              service;      /* its name; empty: none */
    const u_char          *id;
    ngx_log_t             *log;
    ngx_uint_t             reset;        /* it does not wait for a reverse that
                                            is not there */

    ngx_trp_source_t       source;
    ngx_trp_seeker_t       seeker;
    ngx_trp_holder_t      *holder;       /* waits for a tunnel */
    ngx_trp_peer_t        *reverse;      /* has the stream, or had it last */
    ngx_msec_t             timeout;      /* how long it waits */
    ngx_event_t            timer;
    ngx_msec_t             left;         /* to wait when that has run out */
    ngx_uint_t             code;         /* it was refused last; trp_code_e */

    /* the reverse that has the stream, or had it last, for the log */

    ngx_str_t              name;
    u_char                 name_text[TRP_LABEL_MAX];
    const trp_authorized_key_t  *key;    /* NULL: none yet */
} ngx_trp_local_t;


typedef struct ngx_trp_hub_s  ngx_trp_hub_t;


/* "server" is a server {} with "trp_relay", as find() has returned it */

typedef struct {

    /*
     * After parsing: the one with this name, or, if the name is empty, the only
     * one.  NULL: "*why" says what to write.
     */
    void                 *(*find)(ngx_trp_hub_t *hub, ngx_str_t *name,
                                  const char **why);

    /*
     * A user's stream begins.  NGX_DECLINED: the reverses of its group are in
     * another worker, see connect(); NGX_BUSY: a limit, "*why" says which;
     * NGX_ABORT: nobody publishes its service; NGX_ERROR: no memory.  In these
     * cases, nothing is to be undone.
     */
    ngx_int_t             (*enter)(void *server, ngx_trp_local_t *local,
                                   const char **why);

    /* it is over, and no longer holds a tunnel */
    void                  (*leave)(ngx_trp_local_t *local);

    /*
     * The worker of a group gets an accepted connection, whose session begins
     * anew there; or one end of a near tunnel, for the streams of the group.
     * _pass(): NGX_OK: "c" is freed, with its session; NGX_DECLINED: it is to
     * be served here.  _connect(): NGX_OK: "fd" is to be closed here, too;
     * NGX_AGAIN: that worker takes nothing at the moment.  With "reset" its
     * streams do not wait for a reverse that is not there.
     */
    ngx_int_t             (*pass)(void *server, ngx_str_t *group,
                                  ngx_connection_t *c);
    ngx_int_t             (*connect)(void *server, ngx_str_t *group,
                                     ngx_uint_t reset, ngx_socket_t fd);

    /* 1 if it is certain that the group has no reverse */
    ngx_uint_t            (*vain)(void *server, ngx_str_t *group);

    /*
     * The group where this service is published; there is room for
     * TRP_LABEL_MAX bytes.  NGX_DECLINED: nobody publishes it.
     */
    ngx_int_t             (*service)(void *server, ngx_str_t *name,
                                     ngx_str_t *group);

} ngx_trp_hub_ops_t;


/* the first member of the main configuration of the relay's module */

struct ngx_trp_hub_s {
    size_t                     magic;
    size_t                     build;
    const ngx_trp_hub_ops_t   *ops;
};


/* sets the first two members */

void ngx_trp_hub_init(ngx_trp_hub_t *hub, const ngx_trp_hub_ops_t *ops);

/* NULL: there is none that can be used, "*why" says why */

ngx_trp_hub_t *ngx_trp_hub_find(ngx_conf_t *cf, const char **why);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HUB_H_INCLUDED_ */
