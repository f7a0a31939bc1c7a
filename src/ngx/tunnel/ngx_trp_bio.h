
/*
 * Copyright (C) the trp authors
 */


/*
 * A filter between a tunnel's SSL and its socket that saves system calls:
 * consecutive records are written together, and a socket that has been read
 * until it was empty is not read again before the next event.
 */


#ifndef _NGX_TRP_BIO_H_INCLUDED_
#define _NGX_TRP_BIO_H_INCLUDED_


#include "base/ngx_trp_out.h"

#include <openssl/bio.h>


#pragma GCC visibility push(hidden)


/*
 * How much is written or read at once under load: whole TLS records, and less
 * than the 128K from which malloc() uses mmap().
 */

#define NGX_TRP_BIO_SIZE  (7 * (16384 + 256))


/*
 * Shared by all BIOs of a worker.  A buffer of NGX_TRP_BIO_SIZE is held only
 * while it has data; the one freed last is reused first, as it is still in the
 * CPU's cache.
 */

typedef struct {
    BIO_METHOD        *method;
    void              *free;             /* the first of a list */
    ngx_uint_t         nfree;
} ngx_trp_bio_conf_t;


/* zeroed by its owner; must live as long as the connection */

typedef struct {
    ngx_connection_t    *connection;
    ngx_trp_bio_conf_t  *conf;

    ngx_trp_out_t        out;

    u_char              *in;             /* NULL while it is empty */
    u_char              *in_pos;
    u_char              *in_last;

    unsigned             socket:1;       /* directly on a socket, not on TLS */
    unsigned             full:1;         /* a read was full: read more now */
    unsigned             websocket:1;    /* on one */
} ngx_trp_bio_t;


/* called once for all BIOs that share it; lives as long as the pool */

ngx_int_t ngx_trp_bio_init(ngx_pool_t *pool, ngx_trp_bio_conf_t *conf);

/*
 * Inserts it beneath the SSL of a connection, after the handshake.  It is freed
 * with the SSL.  Does nothing with kernel TLS.
 */

ngx_int_t ngx_trp_bio_insert(ngx_trp_bio_t *bio, ngx_trp_bio_conf_t *conf,
    ngx_connection_t *c);


/*
 * Without TLS, on a socket: only to read.  The number of bytes, 0 at the end of
 * the connection, NGX_AGAIN, NGX_ERROR.
 */

void ngx_trp_bio_plain(ngx_trp_bio_t *bio, ngx_trp_bio_conf_t *conf,
    ngx_connection_t *c);

ssize_t ngx_trp_bio_read_plain(ngx_trp_bio_t *bio, u_char *buf, size_t size);

void ngx_trp_bio_free(ngx_trp_bio_t *bio);


/* 1 if SSL_read() would only allocate a buffer and find nothing to read */

ngx_uint_t ngx_trp_bio_is_drained(ngx_trp_bio_t *bio);


/* switches to long reads, if they pay; back to short ones, freeing buffers */

void ngx_trp_bio_adapt(ngx_trp_bio_t *bio);
void ngx_trp_bio_relax(ngx_trp_bio_t *bio);


/*
 * SSL_write() only writes to memory, which must be flushed.  It would block if
 * NGX_TRP_BIO_SIZE is exceeded and a flush could not write all.  NGX_OK,
 * NGX_AGAIN, NGX_ERROR.
 */

ngx_int_t ngx_trp_bio_flush(ngx_trp_bio_t *bio);

/* so that those between do not take it for dead, if it is a WebSocket */

void ngx_trp_bio_ping(ngx_trp_bio_t *bio);

#define ngx_trp_bio_pending(bio)  ngx_trp_out_pending(&(bio)->out)


#pragma GCC visibility pop


#endif /* _NGX_TRP_BIO_H_INCLUDED_ */
