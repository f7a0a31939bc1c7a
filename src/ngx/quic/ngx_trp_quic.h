
/*
 * Copyright (C) the trp authors
 */


/*
 * QUIC without sockets: connections and their bidirectional streams, as client
 * and as server, over libngtcp2 and OpenSSL.  Only in builds with NGX_TRP_QUIC.
 *
 * The owner of a connection passes packets in, and is handed packets to send.
 * All handlers but datagram() and those of connection ids are called from the
 * connection's own event, which is posted; so no function here calls back into
 * its caller.  A connection or a stream is freed by its owner only, with
 * ngx_trp_quic_free() or ngx_trp_quic_stream_free(), which may be called from
 * anywhere, handlers too: no handler of it is called afterwards.
 */


#ifndef _NGX_TRP_QUIC_H_INCLUDED_
#define _NGX_TRP_QUIC_H_INCLUDED_


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

    /* there is space after NGX_AGAIN, all is acknowledged, or it is an error */

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


/*
 * The SSL has been made, with its name, certificates, session and ALPN; the
 * owner frees it after closed() or after ngx_trp_quic_free().  The conf is
 * copied, the handlers are not.  NULL: no memory, or logged.
 *
 * A client sends at once.  "first" are 8 to 20 bytes, the id that the server
 * sees until it has chosen one: most of them must be random.
 */

ngx_trp_quic_t *ngx_trp_quic_client(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_cid_t *first,
    const ngx_trp_quic_handlers_t *handlers, void *data, ngx_log_t *log);

void ngx_trp_quic_free(ngx_trp_quic_t *q);

void *ngx_trp_quic_data(ngx_trp_quic_t *q);


/*
 * A datagram has arrived, with one packet or several; soon after, handlers are
 * called and answers sent.  "ecn" are two bits of the IP header, 0 if unknown.
 */

void ngx_trp_quic_input(ngx_trp_quic_t *q, const ngx_trp_quic_path_t *path,
    u_char *p, size_t len, ngx_uint_t ecn);

/* packets can be sent again after NGX_AGAIN */

void ngx_trp_quic_writable(ngx_trp_quic_t *q);

/* sends what waits, from the posted event; streams do that by themselves */

void ngx_trp_quic_flush(ngx_trp_quic_t *q);

/*
 * Tells the peer; closed() follows from the posted event.  The code is one of
 * the application.
 */

void ngx_trp_quic_close(ngx_trp_quic_t *q, uint64_t code, const char *text);

/*
 * A client's packets go another way from now on; moved() follows.  NGX_AGAIN:
 * not now (the handshake, or the peer's ids, are not there yet), try again
 * later; NGX_DECLINED: the peer has forbidden it; NGX_ERROR.
 */

ngx_int_t ngx_trp_quic_migrate(ngx_trp_quic_t *q,
    const ngx_trp_quic_path_t *path);

/* the path in use, valid until the next call of anything here */

void ngx_trp_quic_path(ngx_trp_quic_t *q, ngx_trp_quic_path_t *path);

/* begins to use new keys; NGX_AGAIN: not now */

ngx_int_t ngx_trp_quic_key_update(ngx_trp_quic_t *q);


/* as for TLS over TCP: TLS exporter value, and "was the session resumed" */

ngx_int_t ngx_trp_quic_exporter(ngx_trp_quic_t *q, const char *label,
    u_char *out, size_t len);
ngx_uint_t ngx_trp_quic_reused(ngx_trp_quic_t *q);


typedef struct {
    ngx_msec_t             received;         /* ngx_current_msec of the last */
    ngx_msec_t             rtt;              /* smoothed */
    uint64_t               window;           /* of congestion, bytes */
    uint64_t               in_flight;
    uint64_t               bytes_sent;
    uint64_t               bytes_received;
    uint64_t               packets_lost;
    ngx_uint_t             streams;
} ngx_trp_quic_info_t;

void ngx_trp_quic_info(ngx_trp_quic_t *q, ngx_trp_quic_info_t *info);


/*
 * NGX_OK: it will be sent, or lost as datagrams may be.  NGX_DECLINED: it is
 * longer than ngx_trp_quic_datagram_max(), which is 0 if the peer takes none,
 * or too many wait.
 */

ngx_int_t ngx_trp_quic_datagram_send(ngx_trp_quic_t *q, const u_char *p,
    size_t len);
size_t ngx_trp_quic_datagram_max(ngx_trp_quic_t *q);


/* how many streams can be opened now; lets the peer have "n" more at once */

ngx_uint_t ngx_trp_quic_streams_left(ngx_trp_quic_t *q);
void ngx_trp_quic_streams_allow(ngx_trp_quic_t *q, ngx_uint_t n);

/*
 * NULL: no memory, or none is left.  The peer sees a stream when something is
 * sent on it.
 */

ngx_trp_quic_stream_t *ngx_trp_quic_stream_open(ngx_trp_quic_t *q,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data);

void ngx_trp_quic_stream_set(ngx_trp_quic_stream_t *s,
    const ngx_trp_quic_stream_handlers_t *handlers, void *data);
void *ngx_trp_quic_stream_data(ngx_trp_quic_stream_t *s);
ngx_trp_quic_t *ngx_trp_quic_stream_quic(ngx_trp_quic_stream_t *s);
uint64_t ngx_trp_quic_stream_id(ngx_trp_quic_stream_t *s);


/*
 * The number of bytes, 0 at the end.  NGX_AGAIN: readable() follows.
 * NGX_ERROR: the peer has reset the stream, or the connection is over.
 */

ssize_t ngx_trp_quic_stream_recv(ngx_trp_quic_stream_t *s, u_char *buf,
    size_t size);

/*
 * Copies bytes: their number.  NGX_AGAIN: writable() follows.  NGX_ERROR: the
 * peer does not read any more, or the connection is over.
 */

ssize_t ngx_trp_quic_stream_send(ngx_trp_quic_stream_t *s, const u_char *buf,
    size_t size);

/* bytes that the peer has not acknowledged, or that were not sent yet */

size_t ngx_trp_quic_stream_unsent(ngx_trp_quic_stream_t *s);

/* nothing more is sent: FIN after what was */

void ngx_trp_quic_stream_finish(ngx_trp_quic_stream_t *s);

/*
 * Ends both directions at once: RESET_STREAM, unless FIN was acknowledged, and
 * STOP_SENDING, unless all was read.
 */

void ngx_trp_quic_stream_reset(ngx_trp_quic_stream_t *s, uint64_t code);

/* the code with which the peer has reset it, or has stopped reading; or 0 */

uint64_t ngx_trp_quic_stream_code(ngx_trp_quic_stream_t *s);

/*
 * The owner has done with it.  After ngx_trp_quic_stream_finish(), what is
 * unsent is still delivered; else the stream is reset.  What still arrives is
 * dropped.
 */

void ngx_trp_quic_stream_free(ngx_trp_quic_stream_t *s);


/*
 * For those who give packets to connections.  A secret is
 * NGX_TRP_QUIC_SECRET_LEN random bytes, the same in all workers.
 */

typedef struct {
    uint32_t               version;          /* 0 in a short header */
    ngx_trp_quic_cid_t     dcid;
    ngx_trp_quic_cid_t     scid;             /* in a long header */
    ngx_str_t              token;            /* of an Initial */
    unsigned               is_long:1;
    unsigned               is_initial:1;     /* it may begin a connection */
} ngx_trp_quic_packet_t;

/*
 * Reads the header of a datagram's first packet; ids in short headers are of
 * "cid_len" bytes.  NGX_OK; NGX_DECLINED: the version is none of ours, to be
 * answered by ngx_trp_quic_write_versions(), unless the datagram is shorter
 * than NGX_TRP_QUIC_INITIAL; NGX_ERROR: no QUIC packet.
 */

ngx_int_t ngx_trp_quic_packet(ngx_trp_quic_packet_t *packet, u_char *p,
    size_t len, size_t cid_len);

/*
 * What was learnt from a Retry token: the id that the client had chosen first,
 * and the one in our Retry.  Without Retry, all is zero.
 */

typedef struct {
    ngx_trp_quic_cid_t     first;
    ngx_trp_quic_cid_t     retry;
} ngx_trp_quic_retry_t;

/*
 * NGX_OK: a token of ours for this address, which is thus valid; NGX_DECLINED:
 * there is none; NGX_ERROR: it is not valid here and now.  "now" is in seconds.
 */

ngx_int_t ngx_trp_quic_token(const ngx_trp_quic_packet_t *packet,
    const ngx_trp_quic_path_t *path, const u_char *secret, time_t now,
    ngx_trp_quic_retry_t *retry);

/*
 * A connection for an Initial, which the owner passes to ngx_trp_quic_input()
 * then.  "retry" is NULL without a token.
 */

ngx_trp_quic_t *ngx_trp_quic_server(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packet_t *initial,
    const ngx_trp_quic_retry_t *retry, const ngx_trp_quic_handlers_t *handlers,
    void *data, ngx_log_t *log);

/*
 * Answers without a connection, written to a buffer of NGX_TRP_QUIC_INITIAL
 * bytes: their lengths, or 0: no answer.  A Retry has a new id for the client
 * to send to; a refusal is CONNECTION_CLOSE with a code of QUIC's; a reset is
 * shorter than "len", the length of what it answers.
 */

size_t ngx_trp_quic_write_versions(u_char *buf,
    const ngx_trp_quic_packet_t *packet);
size_t ngx_trp_quic_write_retry(u_char *buf,
    const ngx_trp_quic_packet_t *packet, const ngx_trp_quic_path_t *path,
    const ngx_trp_quic_cid_t *id, const u_char *secret, time_t now);
size_t ngx_trp_quic_write_refusal(u_char *buf,
    const ngx_trp_quic_packet_t *packet, uint64_t code);
size_t ngx_trp_quic_write_reset(u_char *buf,
    const ngx_trp_quic_packet_t *packet, size_t len, const u_char *secret);

#define NGX_TRP_QUIC_REFUSED    0x02
#define NGX_TRP_QUIC_BAD_TOKEN  0x0b


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_H_INCLUDED_ */
