
/*
 * Copyright (C) the trp authors
 */


/*
 * A filter between a tunnel's SSL and its socket, to spare system calls:
 * records that are written one after the other leave together, and a socket
 * that has been read until it was empty is not asked again before there is an
 * event.
 */


#ifndef _NGX_TRP_BIO_H_INCLUDED_
#define _NGX_TRP_BIO_H_INCLUDED_


#include "base/ngx_trp_out.h"

#include <openssl/bio.h>


#pragma GCC visibility push(hidden)


/*
 * What is written, or read, at once when there is much: in TLS records, and
 * less than the 128K from which on malloc() maps memory.
 */

#define NGX_TRP_BIO_SIZE  (7 * (16384 + 256))


/*
 * What all of them have in common in a worker.  A buffer of NGX_TRP_BIO_SIZE
 * is held only as long as there is something in it, and the next one who needs
 * one takes the last that was used: it is still in the CPU's cache.
 */

typedef struct {
    BIO_METHOD        *method;
    void              *free;             /* the first of a list */
    ngx_uint_t         nfree;
} ngx_trp_bio_conf_t;


/* zeroed by its owner, who lives as long as the connection */

typedef struct {
    ngx_connection_t    *connection;
    ngx_trp_bio_conf_t  *conf;

    ngx_trp_out_t        out;

    u_char              *in;             /* NULL while there is nothing in it */
    u_char              *in_pos;
    u_char              *in_last;

    unsigned             socket:1;       /* and no other TLS, is beneath */
    unsigned             full:1;         /* a read was, they are long now */
} ngx_trp_bio_t;


/* once for all that share it; it lives as long as the pool */

ngx_int_t ngx_trp_bio_init(ngx_pool_t *pool, ngx_trp_bio_conf_t *conf);

/*
 * Puts it beneath the SSL of a connection, behind the handshake.  It is freed
 * with the SSL.  Does nothing where the kernel does TLS.
 */

ngx_int_t ngx_trp_bio_insert(ngx_trp_bio_t *bio, ngx_trp_bio_conf_t *conf,
    ngx_connection_t *c);


/* SSL_read() would find nothing, and OpenSSL would allocate a buffer for it */

ngx_uint_t ngx_trp_bio_is_drained(ngx_trp_bio_t *bio);


/* long reads, if they pay; short ones again, and no buffers of OpenSSL's */

void ngx_trp_bio_adapt(ngx_trp_bio_t *bio);
void ngx_trp_bio_relax(ngx_trp_bio_t *bio);


/*
 * SSL_write() ends in memory: what it has written must be flushed.  It fails
 * as it does with a socket that takes no more, when a flush has not taken it
 * and NGX_TRP_BIO_SIZE is exceeded.  NGX_OK, NGX_AGAIN, NGX_ERROR.
 */

ngx_int_t ngx_trp_bio_flush(ngx_trp_bio_t *bio);

#define ngx_trp_bio_pending(bio)  ngx_trp_out_pending(&(bio)->out)


#pragma GCC visibility pop


#endif /* _NGX_TRP_BIO_H_INCLUDED_ */
