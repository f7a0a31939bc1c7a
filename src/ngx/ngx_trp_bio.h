
/*
 * A filter between a tunnel's SSL and its socket, to spare system calls:
 * records that are written one after the other leave together, and a socket
 * that has been read until it was empty is not asked again before there is an
 * event.
 */


#ifndef _NGX_TRP_BIO_H_INCLUDED_
#define _NGX_TRP_BIO_H_INCLUDED_


#include "ngx_trp.h"

#include <openssl/bio.h>


#pragma GCC visibility push(hidden)


/* what is written, or read, at once when there is much: 64K in TLS records */

#define NGX_TRP_BIO_SIZE  (4 * (16384 + 256))


/* zeroed by its owner, who lives as long as the connection */

typedef struct {
    ngx_connection_t  *connection;

    u_char            *buf;              /* NULL while nothing waits */
    size_t             pos;
    size_t             last;
    size_t             size;

    u_char            *in;               /* of long reads, or NULL */
    u_char            *in_pos;
    u_char            *in_last;

    unsigned           socket:1;         /* and no other TLS, is beneath */
    unsigned           full:1;           /* a read took all it could */
} ngx_trp_bio_t;


/* once for a configuration, in its pool; NULL if there is no memory */

BIO_METHOD *ngx_trp_bio_method(ngx_conf_t *cf);

/*
 * Puts it beneath the SSL of a connection, behind the handshake.  It is freed
 * with the SSL.  Does nothing where the kernel does TLS.
 */

ngx_int_t ngx_trp_bio_insert(ngx_trp_bio_t *bio, BIO_METHOD *method,
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

#define ngx_trp_bio_pending(bio)   ((bio)->last - (bio)->pos)


#pragma GCC visibility pop


#endif /* _NGX_TRP_BIO_H_INCLUDED_ */
