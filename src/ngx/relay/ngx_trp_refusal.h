
/*
 * Copyright (C) the trp authors
 */


/*
 * Who may have a tunnel, and what the log says of an agent that may not.
 */


#ifndef _NGX_TRP_REFUSAL_H_INCLUDED_
#define _NGX_TRP_REFUSAL_H_INCLUDED_


#include "base/ngx_trp_warnings.h"
#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_uint_t            counter;       /* NGX_TRP_SERVER_REFUSED_* */
    const char           *why;
    const char           *option;        /* of the key, that says so; or NULL */
    trp_str_t             value;
    u_char                text[sizeof("YYYYMMDDHHMMZ")];
    unsigned              owner:1;       /* the agent has proved to have it */
} ngx_trp_refusal_t;


/* about agents without a key of ours, and about those with one */

typedef struct {
    ngx_trp_warnings_t    strangers;
    ngx_trp_warnings_t    owners;
} ngx_trp_refusal_logs_t;


/*
 * AUTH of a peer: peer->key is set if it is one of these.  NGX_DECLINED: the
 * relay's log says why, and the agent is never told.
 */

ngx_int_t ngx_trp_refusal_check(ngx_trp_refusal_t *refusal,
    ngx_trp_peer_t *peer, trp_auth_t *auth, const ngx_array_t *keys);

/* the same for the expiry time alone, which may have come since then */

ngx_int_t ngx_trp_refusal_expired(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key);

/* the log line; "auth" is NULL if it was invalid */

void ngx_trp_refusal_log(const ngx_trp_refusal_t *refusal,
    ngx_trp_peer_t *peer, trp_auth_t *auth, ngx_trp_refusal_logs_t *logs);


#pragma GCC visibility pop


#endif /* _NGX_TRP_REFUSAL_H_INCLUDED_ */
