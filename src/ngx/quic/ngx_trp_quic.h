
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


#include "quic/ngx_trp_quic_packet.h"
#include "quic/ngx_trp_quic_stream.h"
#include "quic/ngx_trp_quic_types.h"


#pragma GCC visibility push(hidden)


/*
 * The SSL has been made, with its name, certificates, session and ALPN; the
 * owner frees it in closed() or later, or at once with ngx_trp_quic_free().
 * The conf is copied, the handlers are not.  NULL: no memory, or logged.
 *
 * A client sends soon.  "first" are 8 to 20 bytes, the id that the server sees
 * until it has chosen one: most of them must be random.
 */

ngx_trp_quic_t *ngx_trp_quic_client(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_cid_t *first,
    const ngx_trp_quic_handlers_t *handlers, void *data, ngx_log_t *log);

/*
 * A connection for an Initial, which the owner passes to ngx_trp_quic_input()
 * then.  "retry" is NULL without a token.
 */

ngx_trp_quic_t *ngx_trp_quic_server(const ngx_trp_quic_conf_t *conf, SSL *ssl,
    const ngx_trp_quic_path_t *path, const ngx_trp_quic_packet_t *initial,
    const ngx_trp_quic_retry_t *retry, const ngx_trp_quic_handlers_t *handlers,
    void *data, ngx_log_t *log);

/* removes all ids at once; streams of others can still be used, and freed */

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
 * A client's packets go another way from now on; moved() follows, unless it is
 * the same way.  NGX_AGAIN: not now (the handshake, or the peer's ids, are not
 * there yet), try again later; NGX_DECLINED: the peer has forbidden it;
 * NGX_ERROR.
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


#pragma GCC visibility pop


#endif /* _NGX_TRP_QUIC_H_INCLUDED_ */
