
/*
 * Copyright (C) the trp authors
 */


/*
 * What a connection, its streams and their owners have in common.
 */


#ifndef _NGX_TRP_QUIC_TYPES_H_INCLUDED_
#define _NGX_TRP_QUIC_TYPES_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_QUIC_CID_MAX     20
#define NGX_TRP_QUIC_CLIENT_CID  8       /* length of a client's own ids */
#define NGX_TRP_QUIC_INITIAL     1200    /* the least datagram of an Initial */
#define NGX_TRP_QUIC_BURST       65536   /* the most bytes in one send() */
#define NGX_TRP_QUIC_SECRET_LEN  32


typedef struct ngx_trp_quic_s  ngx_trp_quic_t;
typedef struct ngx_trp_quic_stream_s  ngx_trp_quic_stream_t;


typedef struct {
    size_t                 len;
    u_char                 data[NGX_TRP_QUIC_CID_MAX];
} ngx_trp_quic_cid_t;


/* addresses are told apart by value; a client's local one is its path's name */

typedef struct {
    struct sockaddr       *local;
    socklen_t              local_len;
    struct sockaddr       *remote;
    socklen_t              remote_len;
} ngx_trp_quic_path_t;


/* packets to send: each of "segment" bytes, but the last, which may be less */

typedef struct {
    u_char                *data;
    size_t                 len;
    size_t                 segment;
    ngx_uint_t             ecn;              /* two bits of the IP header */
} ngx_trp_quic_packets_t;


typedef enum {
    NGX_TRP_QUIC_CLOSED = 0,    /* by ngx_trp_quic_close() here */
    NGX_TRP_QUIC_PEER,          /* by the peer: code, text, application */
    NGX_TRP_QUIC_SILENT,        /* idle timeout: nothing came from the peer */
    NGX_TRP_QUIC_UNANSWERED,    /* the handshake was not done in time */
    NGX_TRP_QUIC_LOST,          /* stateless reset: the peer does not know it */
    NGX_TRP_QUIC_TLS,           /* TLS has failed here: code is the alert */
    NGX_TRP_QUIC_VERSION,       /* no version in common */
    NGX_TRP_QUIC_INVALID,       /* the peer has broken the protocol: code */
    NGX_TRP_QUIC_FAILED         /* no memory or an error of ours */
} ngx_trp_quic_end_e;


/* why a connection is over; for streams: zero is an end of the stream alone */

typedef struct {
    ngx_trp_quic_end_e     end;
    uint64_t               code;
    ngx_str_t              text;             /* for the log, in closed() only */
    unsigned               application:1;    /* the code is not QUIC's */
} ngx_trp_quic_why_t;


typedef struct {

    /* the handshake is done; a client's owner now verifies the certificate */

    void                 (*ready)(ngx_trp_quic_t *q);

    /*
     * The peer has opened a stream, and its first bytes are there: the owner
     * sets its handlers, and reads.  NULL: the peer may open none.
     */

    void                 (*opened)(ngx_trp_quic_t *q,
                                   ngx_trp_quic_stream_t *s);

    /* more streams may be opened than there could; may be NULL */

    void                 (*streams)(ngx_trp_quic_t *q);

    /* a DATAGRAM, "p" is valid inside only; NULL: the peer may send none */

    void                 (*datagram)(ngx_trp_quic_t *q, u_char *p, size_t len);

    /*
     * The path in use is another one: the peer has moved, or a migration is
     * done.  With "failed", migration to it has failed, and the
     * old path is in use if it still works.  May be NULL.
     */

    void                 (*moved)(ngx_trp_quic_t *q,
                                  const ngx_trp_quic_path_t *path,
                                  ngx_uint_t failed);

    /*
     * Over: each stream's closed() was called before.  The owner calls
     * ngx_trp_quic_free() now or later: until then late packets of the peer
     * are answered, and gone(), if not NULL, says when that is long enough.
     */

    void                 (*closed)(ngx_trp_quic_t *q,
                                   const ngx_trp_quic_why_t *why);
    void                 (*gone)(ngx_trp_quic_t *q);

    /*
     * Sends packets.  NGX_OK: sent, or lost as packets may be.  NGX_AGAIN: none
     * was sent; the same come again after ngx_trp_quic_writable().
     */

    ngx_int_t            (*send)(ngx_trp_quic_t *q,
                                 const ngx_trp_quic_path_t *path,
                                 const ngx_trp_quic_packets_t *packets);

    /*
     * A server's connection ids, NULL in a client.  cid_make() makes up a new
     * one of conf->cid_len bytes; packets with one that was added, and not
     * removed, belong to this connection.  The client's first id is added, too,
     * and removed when the handshake is done.
     */

    void                 (*cid_make)(ngx_trp_quic_t *q, u_char *buf,
                                     size_t len);
    ngx_int_t            (*cid_added)(ngx_trp_quic_t *q,
                                      const ngx_trp_quic_cid_t *cid);
    void                 (*cid_removed)(ngx_trp_quic_t *q,
                                        const ngx_trp_quic_cid_t *cid);
} ngx_trp_quic_handlers_t;


typedef struct {

    /* there is more to read: bytes, the end, or an error; after NGX_AGAIN */

    void                 (*readable)(ngx_trp_quic_stream_t *s);

    /* there is space again, or it is an error; after NGX_AGAIN */

    void                 (*writable)(ngx_trp_quic_stream_t *s);

    /*
     * Over in both directions, nothing is unacknowledged; or the connection is
     * over.  What has arrived can still be read.
     */

    void                 (*closed)(ngx_trp_quic_stream_t *s,
                                   const ngx_trp_quic_why_t *why);
} ngx_trp_quic_stream_handlers_t;


typedef struct {
    ngx_msec_t             idle;             /* lost after that much silence */
    ngx_msec_t             keepalive;        /* PING after that; 0: none */
    ngx_msec_t             handshake;        /* its deadline */
    ngx_uint_t             streams;          /* of the peer, at one time */
    size_t                 datagram;         /* the longest to receive, or 0 */
    size_t                 payload;          /* bytes in UDP: 1200, or 1452 */
    size_t                 cid_len;          /* of a server's ids, 8 to 20 */
    const u_char          *secret;           /* of a server, see below */
    unsigned               cubic:1;          /* instead of BBR */
} ngx_trp_quic_conf_t;


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_TYPES_H_INCLUDED_ */
