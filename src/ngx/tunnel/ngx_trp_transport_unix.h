
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel on a Unix socket, between two workers of one nginx: without TLS.
 */


#ifndef _NGX_TRP_TRANSPORT_UNIX_H_INCLUDED_
#define _NGX_TRP_TRANSPORT_UNIX_H_INCLUDED_


#include "tunnel/ngx_trp_bio.h"
#include "tunnel/ngx_trp_transport.h"


#pragma GCC visibility push(hidden)


/* in the pool of the connection; NULL: no memory */

ngx_trp_transport_t *ngx_trp_transport_unix_create(ngx_connection_t *c,
    ngx_trp_bio_conf_t *conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TRANSPORT_UNIX_H_INCLUDED_ */
