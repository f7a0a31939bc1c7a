
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams, many per system call: they are received into buffers that stay
 * unchanged until all that is forwarded from them has been sent.  Consecutive
 * datagrams of the same length to the same address pass through the kernel as
 * one (generic segmentation offload).
 */


#ifndef _NGX_TRP_UDP_BATCH_H_INCLUDED_
#define _NGX_TRP_UDP_BATCH_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_UDP_BATCH    64

/* at most, per event of a socket, so that other sockets do not starve */
#define NGX_TRP_UDP_BATCHES  4


typedef struct {
    ngx_socket_t          fd;
    ngx_sockaddr_t        to;
    socklen_t             socklen;     /* 0: the socket is connected */
    trp_addr_t            source;      /* family 0: the socket's own */
} ngx_trp_udp_datagram_t;


/*
 * The destination received at, or the source to send from; size of segments,
 * ECN
 */

typedef union {
    struct cmsghdr        header;
    char                  space[CMSG_SPACE(sizeof(struct in6_pktinfo))
                                + 3 * CMSG_SPACE(sizeof(int))];
} ngx_trp_udp_control_t;


typedef struct {
    u_char                   *buffers;
    ngx_uint_t                n;
    ngx_uint_t                used;
    ngx_uint_t                nout;
    ngx_event_t               event;
    ngx_log_t                *log;

    struct mmsghdr            in[NGX_TRP_UDP_BATCH];
    struct iovec              iov[NGX_TRP_UDP_BATCH];
    ngx_sockaddr_t            names[NGX_TRP_UDP_BATCH];
    ngx_trp_udp_control_t    controls[NGX_TRP_UDP_BATCH];

    ngx_trp_udp_datagram_t   out[NGX_TRP_UDP_BATCH];
    struct iovec              pieces[NGX_TRP_UDP_BATCH];
    struct mmsghdr            messages[NGX_TRP_UDP_BATCH];
    ngx_trp_udp_control_t    sources[NGX_TRP_UDP_BATCH];
    unsigned                  no_gso:1;
} ngx_trp_udp_batch_t;


/*
 * Buffers for "n" datagrams, NGX_TRP_UDP_BATCH at most, of any size, and with
 * so much room before and after it.
 */

ngx_int_t ngx_trp_udp_batch_init(ngx_trp_udp_batch_t *batch,
    ngx_cycle_t *cycle, ngx_uint_t n, size_t headroom, size_t tailroom);

/*
 * Receives datagrams and returns their number, 0 if there are none, or
 * NGX_ERROR; the first one has the index "*first".  "more" is 1 if there may
 * be more.  Those received before must have been processed.
 */

ngx_int_t ngx_trp_udp_batch_recv(ngx_trp_udp_batch_t *batch,
    ngx_socket_t fd, ngx_uint_t *first, ngx_uint_t *more);

u_char *ngx_trp_udp_batch_data(ngx_trp_udp_batch_t *batch, ngx_uint_t i,
    size_t *len);
struct sockaddr *ngx_trp_udp_batch_from(ngx_trp_udp_batch_t *batch,
    ngx_uint_t i);

/* 1 and the address it was sent to, if the socket tells; else 0 */

ngx_uint_t ngx_trp_udp_batch_to(ngx_trp_udp_batch_t *batch, ngx_uint_t i,
    trp_addr_t *addr);

/*
 * The size of the datagrams that the kernel has put together, or 0 (UDP_GRO);
 * the bits of ECN: of sockets where these are wanted.
 */

void ngx_trp_udp_batch_marks(ngx_trp_udp_batch_t *batch, ngx_uint_t i,
    size_t *segment, ngx_uint_t *ecn);

/*
 * Sends from a received buffer before the event loop waits again; or, if "now",
 * at once and from any memory.  What cannot be sent is lost, as datagrams may
 * be.  For a connected socket, "to" and "source" may be NULL.
 */

void ngx_trp_udp_batch_send(ngx_trp_udp_batch_t *batch, ngx_socket_t fd,
    const trp_taddr_t *to, const trp_addr_t *source, const u_char *data,
    size_t len, ngx_uint_t now);

/* to be called before a socket is closed or changed */

void ngx_trp_udp_batch_flush(ngx_trp_udp_batch_t *batch);


/*
 * Sends datagrams of "segment" bytes, the last of which may be shorter, as one
 * message.  Their bytes; NGX_AGAIN; NGX_ERROR with the error in
 * ngx_socket_errno, EIO where the path does not take more than one at a time.
 * "source": family 0, the socket's own; "ecn": two bits of the IP header.
 */

ssize_t ngx_trp_udp_send(ngx_socket_t fd, struct sockaddr *to,
    socklen_t socklen, const trp_addr_t *source, const u_char *data,
    size_t len, size_t segment, ngx_uint_t ecn);


#pragma GCC visibility pop


#endif /* _NGX_TRP_UDP_BATCH_H_INCLUDED_ */
