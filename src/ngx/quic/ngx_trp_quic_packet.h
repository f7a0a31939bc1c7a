
/*
 * Copyright (C) the trp authors
 */


/*
 * Packets of connections that do not exist, or not yet.
 */


#ifndef _NGX_TRP_QUIC_PACKET_H_INCLUDED_
#define _NGX_TRP_QUIC_PACKET_H_INCLUDED_


#include "quic/ngx_trp_quic_types.h"


#pragma GCC visibility push(hidden)


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


#endif /* _NGX_TRP_QUIC_PACKET_H_INCLUDED_ */
