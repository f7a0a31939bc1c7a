
/*
 * Copyright (C) the trp authors
 */


/*
 * Reads many datagrams into the worker's buffers with one recvmmsg().  Output
 * is queued in place in these buffers, and sent in runs for the same socket.
 * The queue must be flushed before a socket is closed or changed.
 */


#include "udp/ngx_trp_udp_batch.h"
#include "base/ngx_trp_addr.h"
#include "base/trp_assert.h"

#include <netinet/udp.h>


#define NGX_TRP_UDP_DATAGRAM_MAX  65536

/* fits any path, so that it is not fragmented */
#define NGX_TRP_UDP_SEGMENT_MAX  1232

#ifndef UDP_SEGMENT
#define UDP_SEGMENT  103
#endif

#ifndef UDP_GRO
#define UDP_GRO      104
#endif


static void ngx_trp_udp_batch_handler(ngx_event_t *ev);
static void ngx_trp_udp_batch_reset(ngx_trp_udp_batch_t *batch,
    ngx_uint_t i);
static void ngx_trp_udp_batch_send_one(ngx_trp_udp_datagram_t *d,
    struct iovec *piece);
static void ngx_trp_udp_batch_message(struct msghdr *msg,
    ngx_trp_udp_datagram_t *d, struct iovec *pieces, ngx_uint_t n,
    ngx_trp_udp_control_t *control);
static void ngx_trp_udp_batch_controls(struct msghdr *msg,
    const trp_addr_t *source, size_t segment, ngx_trp_udp_control_t *control);
static void ngx_trp_udp_batch_control(struct msghdr *msg, int level,
    int type, const void *data, size_t len);
static ngx_uint_t ngx_trp_udp_batch_segments(ngx_trp_udp_batch_t *batch,
    ngx_uint_t i);
static void ngx_trp_udp_batch_send_all(ngx_trp_udp_batch_t *batch,
    ngx_trp_udp_datagram_t *d, ngx_uint_t n);


ngx_int_t
ngx_trp_udp_batch_init(ngx_trp_udp_batch_t *batch, ngx_cycle_t *cycle,
    ngx_uint_t n, size_t headroom, size_t tailroom)
{
    size_t      size;
    ngx_uint_t  i;

    trp_assert(n <= NGX_TRP_UDP_BATCH);

    size = ngx_align(headroom + NGX_TRP_UDP_DATAGRAM_MAX + tailroom, 64);

    batch->buffers = ngx_palloc(cycle->pool, n * size);

    if (batch->buffers == NULL) {
        return NGX_ERROR;
    }

    batch->n = n;
    batch->log = cycle->log;
    batch->event.data = batch;
    batch->event.log = cycle->log;
    batch->event.handler = ngx_trp_udp_batch_handler;

    for (i = 0; i < n; i++) {
        batch->iov[i].iov_base = batch->buffers + i * size + headroom;
        batch->iov[i].iov_len = NGX_TRP_UDP_DATAGRAM_MAX;

        batch->in[i].msg_hdr.msg_iov = &batch->iov[i];
        batch->in[i].msg_hdr.msg_iovlen = 1;

        ngx_trp_udp_batch_reset(batch, i);
    }

    return NGX_OK;
}


static void
ngx_trp_udp_batch_reset(ngx_trp_udp_batch_t *batch, ngx_uint_t i)
{
    struct msghdr  *msg;

    msg = &batch->in[i].msg_hdr;

    msg->msg_name = &batch->names[i];
    msg->msg_namelen = sizeof(ngx_sockaddr_t);
    msg->msg_control = &batch->controls[i];
    msg->msg_controllen = sizeof(ngx_trp_udp_control_t);
}


static void
ngx_trp_udp_batch_handler(ngx_event_t *ev)
{
    ngx_trp_udp_batch_flush(ev->data);
}


ngx_int_t
ngx_trp_udp_batch_recv(ngx_trp_udp_batch_t *batch, ngx_socket_t fd,
    ngx_uint_t *first, ngx_uint_t *more)
{
    int         n;
    ngx_uint_t  i;

    /* nothing points to the buffers, or they are full */

    if (batch->nout == 0 || batch->used == batch->n) {
        ngx_trp_udp_batch_flush(batch);

        for (i = 0; i < batch->used; i++) {
            ngx_trp_udp_batch_reset(batch, i);
        }

        batch->used = 0;
    }

    n = recvmmsg(fd, &batch->in[batch->used], batch->n - batch->used,
                 MSG_DONTWAIT, NULL);

    *more = 0;

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? 0 : NGX_ERROR;
    }

    *first = batch->used;
    batch->used += n;
    *more = (batch->used == batch->n);

    return n;
}


u_char *
ngx_trp_udp_batch_data(ngx_trp_udp_batch_t *batch, ngx_uint_t i, size_t *len)
{
    trp_assert(i < batch->used);

    *len = batch->in[i].msg_len;

    return batch->iov[i].iov_base;
}


struct sockaddr *
ngx_trp_udp_batch_from(ngx_trp_udp_batch_t *batch, ngx_uint_t i)
{
    return &batch->names[i].sockaddr;
}


ngx_uint_t
ngx_trp_udp_batch_to(ngx_trp_udp_batch_t *batch, ngx_uint_t i,
    trp_addr_t *addr)
{
    struct msghdr       *msg;
    struct cmsghdr      *cmsg;
    struct in_pktinfo    pkt;
    struct in6_pktinfo   pkt6;

    msg = &batch->in[i].msg_hdr;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {

        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
            ngx_memcpy(&pkt, CMSG_DATA(cmsg), sizeof(pkt));

            ngx_memzero(addr, sizeof(trp_addr_t));
            addr->family = 4;
            ngx_memcpy(addr->bytes, &pkt.ipi_addr, 4);
            return 1;
        }

        if (cmsg->cmsg_level == IPPROTO_IPV6
            && cmsg->cmsg_type == IPV6_PKTINFO)
        {
            ngx_memcpy(&pkt6, CMSG_DATA(cmsg), sizeof(pkt6));

            addr->family = 6;
            ngx_memcpy(addr->bytes, &pkt6.ipi6_addr, 16);
            return 1;
        }
    }

    return 0;
}


void
ngx_trp_udp_batch_marks(ngx_trp_udp_batch_t *batch, ngx_uint_t i,
    size_t *segment, ngx_uint_t *ecn)
{
    int              n;
    struct msghdr   *msg;
    struct cmsghdr  *cmsg;

    *segment = 0;
    *ecn = 0;

    msg = &batch->in[i].msg_hdr;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {

        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS) {
            *ecn = *(u_char *) CMSG_DATA(cmsg) & 3;

        } else if (cmsg->cmsg_level == IPPROTO_IPV6
                   && cmsg->cmsg_type == IPV6_TCLASS)
        {
            ngx_memcpy(&n, CMSG_DATA(cmsg), sizeof(int));
            *ecn = n & 3;

        } else if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
            ngx_memcpy(&n, CMSG_DATA(cmsg), sizeof(int));
            *segment = n;
        }
    }
}


void
ngx_trp_udp_batch_send(ngx_trp_udp_batch_t *batch, ngx_socket_t fd,
    const trp_taddr_t *to, const trp_addr_t *source, const u_char *data,
    size_t len, ngx_uint_t now)
{
    struct iovec             *piece, one;
    ngx_trp_udp_datagram_t  *d, datagram;

    if (!now && batch->nout == NGX_TRP_UDP_BATCH) {
        ngx_trp_udp_batch_flush(batch);
    }

    d = now ? &datagram : &batch->out[batch->nout];
    piece = now ? &one : &batch->pieces[batch->nout];

    d->fd = fd;
    d->socklen = 0;
    d->source.family = 0;

    piece->iov_base = (void *) data;
    piece->iov_len = len;

    if (to) {
        d->socklen = ngx_trp_addr_to_sockaddr(&d->to, &to->addr, to->port);
    }

    if (source) {
        d->source = *source;
    }

    if (now) {
        ngx_trp_udp_batch_send_one(d, piece);
        return;
    }

    batch->nout++;

    if (!batch->event.posted) {
        ngx_post_event(&batch->event, &ngx_posted_events);
    }
}


static void
ngx_trp_udp_batch_send_one(ngx_trp_udp_datagram_t *d, struct iovec *piece)
{
    struct msghdr            msg;
    ngx_trp_udp_control_t   control;

    ngx_trp_udp_batch_message(&msg, d, piece, 1, &control);

    /* the error may be a pending one, from ICMP, of another datagram */

    if (sendmsg(d->fd, &msg, 0) == -1 && ngx_socket_errno != NGX_EAGAIN) {
        (void) sendmsg(d->fd, &msg, 0);
    }
}


static void
ngx_trp_udp_batch_message(struct msghdr *msg, ngx_trp_udp_datagram_t *d,
    struct iovec *pieces, ngx_uint_t n, ngx_trp_udp_control_t *control)
{
    ngx_memzero(msg, sizeof(struct msghdr));

    msg->msg_iov = pieces;
    msg->msg_iovlen = n;

    if (d->socklen) {
        msg->msg_name = &d->to;
        msg->msg_namelen = d->socklen;
    }

    ngx_trp_udp_batch_controls(msg, &d->source,
                               (n > 1) ? pieces[0].iov_len : 0, control);
}


/* where to send from, and "segment", unless that is 0 */

static void
ngx_trp_udp_batch_controls(struct msghdr *msg, const trp_addr_t *source,
    size_t segment, ngx_trp_udp_control_t *control)
{
    uint16_t             size;
    struct in_pktinfo    pkt;
    struct in6_pktinfo   pkt6;

    msg->msg_control = control;

    if (source->family == 4) {
        ngx_memzero(&pkt, sizeof(pkt));
        ngx_memcpy(&pkt.ipi_spec_dst, source->bytes, 4);

        ngx_trp_udp_batch_control(msg, IPPROTO_IP, IP_PKTINFO, &pkt,
                                  sizeof(pkt));

    } else if (source->family == 6) {
        ngx_memzero(&pkt6, sizeof(pkt6));
        ngx_memcpy(&pkt6.ipi6_addr, source->bytes, 16);

        ngx_trp_udp_batch_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &pkt6,
                                  sizeof(pkt6));
    }

    if (segment) {
        size = (uint16_t) segment;

        ngx_trp_udp_batch_control(msg, SOL_UDP, UDP_SEGMENT, &size,
                                  sizeof(size));
    }

    if (msg->msg_controllen == 0) {
        msg->msg_control = NULL;
    }
}


ssize_t
ngx_trp_udp_send(ngx_socket_t fd, struct sockaddr *to, socklen_t socklen,
    const trp_addr_t *source, const u_char *data, size_t len, size_t segment,
    ngx_uint_t ecn)
{
    int                     tos;
    ssize_t                 n;
    ngx_uint_t              tries;
    struct iovec            piece;
    struct msghdr           msg;
    ngx_trp_udp_control_t   control;

    ngx_memzero(&msg, sizeof(struct msghdr));

    piece.iov_base = (void *) data;
    piece.iov_len = len;

    msg.msg_iov = &piece;
    msg.msg_iovlen = 1;
    msg.msg_name = to;
    msg.msg_namelen = socklen;

    ngx_trp_udp_batch_controls(&msg, source, (len > segment) ? segment : 0,
                               &control);

    if (ecn) {
        tos = (int) ecn;
        msg.msg_control = &control;

        if (to->sa_family == AF_INET) {
            ngx_trp_udp_batch_control(&msg, IPPROTO_IP, IP_TOS, &tos,
                                      sizeof(tos));
        } else {
            ngx_trp_udp_batch_control(&msg, IPPROTO_IPV6, IPV6_TCLASS, &tos,
                                      sizeof(tos));
        }
    }

    /* an error may be a pending one, from ICMP, of another datagram */

    for (tries = 0; tries < 2; tries++) {
        n = sendmsg(fd, &msg, 0);

        if (n != -1 || ngx_socket_errno == NGX_EAGAIN) {
            break;
        }
    }

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    return n;
}


static void
ngx_trp_udp_batch_control(struct msghdr *msg, int level, int type,
    const void *data, size_t len)
{
    struct cmsghdr  *cmsg;

    cmsg = (struct cmsghdr *) ((u_char *) msg->msg_control
                               + msg->msg_controllen);

    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = CMSG_LEN(len);

    ngx_memcpy(CMSG_DATA(cmsg), data, len);

    msg->msg_controllen += CMSG_SPACE(len);
}


void
ngx_trp_udp_batch_flush(ngx_trp_udp_batch_t *batch)
{
    ngx_uint_t  i, n, k, segments;

    for (i = 0; i < batch->nout; /* void */ ) {

        k = 0;
        n = i;

        /* messages to one socket, of one datagram or more */

        do {
            segments = ngx_trp_udp_batch_segments(batch, n);

            ngx_trp_udp_batch_message(&batch->messages[k].msg_hdr,
                                       &batch->out[n], &batch->pieces[n],
                                       segments, &batch->sources[k]);
            k++;
            n += segments;

        } while (n < batch->nout && batch->out[n].fd == batch->out[i].fd);

        ngx_trp_udp_batch_send_all(batch, &batch->out[i], k);

        i = n;
    }

    batch->nout = 0;
}


/* the number of datagrams, from "i" on, that make one message */

static ngx_uint_t
ngx_trp_udp_batch_segments(ngx_trp_udp_batch_t *batch, ngx_uint_t i)
{
    size_t                    len;
    ngx_uint_t                n;
    ngx_trp_udp_datagram_t  *d, *next;

    d = &batch->out[i];
    len = batch->pieces[i].iov_len;

    if (batch->no_gso || len == 0 || len > NGX_TRP_UDP_SEGMENT_MAX) {
        return 1;
    }

    for (n = 1; i + n < batch->nout && (n + 1) * len < 65000; n++) {
        next = &batch->out[i + n];

        if (batch->pieces[i + n].iov_len != len
            || next->fd != d->fd
            || next->socklen != d->socklen
            || ngx_memcmp(&next->to, &d->to, d->socklen) != 0
            || next->source.family != d->source.family
            || (d->source.family
                && ngx_memcmp(next->source.bytes, d->source.bytes, 16) != 0))
        {
            break;
        }
    }

    return n;
}


/* "n" messages to one socket, the first of which begins with "d" */

static void
ngx_trp_udp_batch_send_all(ngx_trp_udp_batch_t *batch,
    ngx_trp_udp_datagram_t *d, ngx_uint_t n)
{
    int              sent;
    ngx_uint_t       i, j, tries;
    struct msghdr   *msg;

    tries = 0;

    for (i = 0; i < n; /* void */ ) {

        sent = sendmmsg(d->fd, &batch->messages[i], n - i, 0);

        if (sent > 0) {
            i += sent;
            tries = 0;
            continue;
        }

        /* the error may be a pending one, of another datagram */

        if (ngx_socket_errno != NGX_EAGAIN && tries++ == 0) {
            continue;
        }

        msg = &batch->messages[i].msg_hdr;

        if (msg->msg_iovlen > 1 && ngx_socket_errno != NGX_EAGAIN) {

            /* the path or its device does not support segmentation */

            if (ngx_socket_errno == EIO) {
                batch->no_gso = 1;
            }

            for (j = 0; j < msg->msg_iovlen; j++) {
                ngx_trp_udp_batch_send_one(
                        &batch->out[&msg->msg_iov[j] - batch->pieces],
                        &msg->msg_iov[j]);
            }
        }

        /* a message that cannot be sent must not hold up the others */

        tries = 0;
        i++;
    }
}
