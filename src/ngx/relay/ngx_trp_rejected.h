
/*
 * Copyright (C) the trp authors
 */


/*
 * TLS handshakes that fail: agents that reject the relay's certificate, which
 * their operators may not be able to see, but the relay's can; and clients that
 * are no agents.
 */


#ifndef _NGX_TRP_REJECTED_H_INCLUDED_
#define _NGX_TRP_REJECTED_H_INCLUDED_


#include "relay/ngx_trp_relay.h"


#pragma GCC visibility push(hidden)


/* an alert was received during the handshake: "data" has its two bytes */

void ngx_trp_rejected_alert(ngx_trp_relay_t *relay, ngx_connection_t *c,
    const u_char *data);

/* a client's list of protocols by ALPN has not that of a relay */

void ngx_trp_rejected_alpn(ngx_connection_t *c, const u_char *list,
    size_t len);


#pragma GCC visibility pop


#endif /* _NGX_TRP_REJECTED_H_INCLUDED_ */
