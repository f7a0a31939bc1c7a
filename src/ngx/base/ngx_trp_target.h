
/*
 * Copyright (C) the trp authors
 */


/*
 * The destination of a user: what a front (a route, SOCKS5) hands to a carrier
 * (an upstream of tunnels, or of TURN servers).  Neither knows the other: the
 * target belongs to the session, and has the front's functions for the carrier.
 */


#ifndef _NGX_TRP_TARGET_H_INCLUDED_
#define _NGX_TRP_TARGET_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_target_s  ngx_trp_target_t;


/* a front whose users are told of success and failure */

typedef struct {

    /* NULL if a name may be resolved at the far end; else why not */
    const char  *(*check_name)(ngx_trp_target_t *target);

    /* NGX_OK if the user may connect to this address, or NGX_DECLINED */
    ngx_int_t    (*check_addr)(ngx_trp_target_t *target,
                               const trp_addr_t *addr);

    /* logs that the name has no address that the user may connect to */
    void         (*denied)(ngx_trp_target_t *target);

    /* connected, from "bound" or NULL; NGX_ERROR if the user cannot be told */
    ngx_int_t    (*succeed)(ngx_trp_target_t *target, struct sockaddr *bound);

    /* the session ends: replies with "code" unless it has replied before */
    void         (*finish)(ngx_trp_target_t *target);

    /* the session is freed */
    void         (*closed)(ngx_trp_target_t *target);

} ngx_trp_target_front_t;


struct ngx_trp_target_s {
    const ngx_trp_target_front_t  *front;  /* NULL: anything goes, no replies */
    void                          *data;   /* of the front */

    trp_addr_t                     addr;   /* family 0: "host" is a name */
    ngx_str_t                      host;
    in_port_t                      port;
    ngx_str_t                      destination;  /* host and port as text */

    /* that of the carrier's stream, for the debug log; or NULL */
    const u_char                  *id;

    /* why it has failed, trp_code_e; set by the carrier */
    ngx_uint_t                     code;

    unsigned                       udp:1;  /* UDP ASSOCIATE, many peers */
    unsigned                       replied:1;  /* by the front */
    unsigned                       carried:1;  /* there is a carrier */
    unsigned                       informs:1;  /* which sets the variables */
    unsigned                       published:1;  /* "host" is a service */
};


/* sets the target of a session; NGX_ERROR: no memory */

ngx_int_t ngx_trp_target_set(ngx_stream_session_t *s,
    ngx_trp_target_t *target);

/* NULL if the session has no target */

ngx_trp_target_t *ngx_trp_target_get(ngx_stream_session_t *s);


/*
 * While the configuration is read: claims this server {} for "front", a
 * directive.  "other" is set to the directive that has claimed it before, which
 * is an error, or to NULL.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_trp_target_claim(ngx_conf_t *cf, void **srv_conf,
    const char *front, const char **other);

/* 1 if this server {} of the configuration being read has a front */

ngx_uint_t ngx_trp_target_claims(ngx_conf_t *cf, void **srv_conf);

/* 1 if this server {} of the current configuration has a front */

ngx_uint_t ngx_trp_target_claimed(void **srv_conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TARGET_H_INCLUDED_ */
