
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams on a connected socket, by UDP_SEGMENT and UDP_GRO where the kernel
 * has them, else by sendmmsg() and one at a time.
 */


#include "base/ngx_trp_udp_socket.h"

#include <netinet/udp.h>


/* what the kernel gives for this is bounded by net.core.rmem_max */

#define NGX_TRP_UDP_BUFFER  2097152


/* pieces of datagrams, a head and its data in turn */

typedef struct {
    struct iovec  iov[2 * NGX_TRP_UDP_SEGMENTS];
    ngx_uint_t    niov;
    ngx_uint_t    n;           /* datagrams */
    ngx_uint_t    each;        /* pieces of one datagram */
} ngx_trp_udp_pieces_t;


static void ngx_trp_udp_pieces(ngx_trp_udp_pieces_t *pieces,
    const ngx_trp_udp_head_t *head, u_char *p, size_t len, size_t segment);
static ssize_t ngx_trp_udp_send_segments(ngx_socket_t fd,
    ngx_trp_udp_pieces_t *pieces, size_t segment);
static ngx_int_t ngx_trp_udp_send_each(ngx_socket_t fd,
    ngx_trp_udp_pieces_t *pieces);


void
ngx_trp_udp_socket_init(ngx_socket_t fd)
{
    int  value;

    value = 1;
    (void) setsockopt(fd, SOL_UDP, UDP_GRO, &value, sizeof(int));

    value = NGX_TRP_UDP_BUFFER;
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(int));
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(int));
}


ssize_t
ngx_trp_udp_socket_recv(ngx_socket_t fd, u_char *buf, size_t size,
    size_t *segment)
{
    int               value;
    ssize_t           n;
    struct iovec      iov;
    struct msghdr     msg;
    struct cmsghdr   *cmsg;

    union {
        struct cmsghdr  header;
        char            space[CMSG_SPACE(sizeof(int))];
    } control;

    iov.iov_base = buf;
    iov.iov_len = size;

    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);

    do {
        n = recvmsg(fd, &msg, 0);
    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    *segment = n;

    for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {

        if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
            ngx_memcpy(&value, CMSG_DATA(cmsg), sizeof(int));

            if (value > 0) {
                *segment = value;
            }
        }
    }

    return n;
}


ngx_int_t
ngx_trp_udp_socket_send(ngx_socket_t fd, const ngx_trp_udp_head_t *head,
    u_char *p, size_t len, size_t segment, ngx_uint_t *no_gso)
{
    ngx_err_t             err;
    ngx_trp_udp_pieces_t  pieces;

    ngx_trp_udp_pieces(&pieces, head, p, len, segment);

    if (pieces.n == 1 || *no_gso) {
        return ngx_trp_udp_send_each(fd, &pieces);
    }

    if (ngx_trp_udp_send_segments(fd, &pieces, head->len + segment) != -1) {
        return NGX_OK;
    }

    err = ngx_socket_errno;

    switch (err) {

    case NGX_EAGAIN:
        return NGX_AGAIN;

    case EIO:
    case NGX_EINVAL:
    case NGX_ENOPROTOOPT:
    case NGX_EOPNOTSUPP:
    case EMSGSIZE:
        *no_gso = 1;
        return ngx_trp_udp_send_each(fd, &pieces);

    default:

        /* it may be an earlier datagram's, from ICMP; these are lost as well */

        return NGX_ERROR;
    }
}


static void
ngx_trp_udp_pieces(ngx_trp_udp_pieces_t *pieces,
    const ngx_trp_udp_head_t *head, u_char *p, size_t len, size_t segment)
{
    size_t         n;
    struct iovec  *iov;

    iov = pieces->iov;
    pieces->n = 0;
    pieces->each = head->len ? 2 : 1;

    do {
        n = ngx_min(len, segment);

        if (head->len) {
            iov->iov_base = (void *) (n == len ? head->last : head->each);
            iov->iov_len = head->len;
            iov++;
        }

        iov->iov_base = p;
        iov->iov_len = n;
        iov++;

        p += n;
        len -= n;
        pieces->n++;

    } while (len && pieces->n < NGX_TRP_UDP_SEGMENTS);

    pieces->niov = iov - pieces->iov;
}


static ssize_t
ngx_trp_udp_send_segments(ngx_socket_t fd, ngx_trp_udp_pieces_t *pieces,
    size_t segment)
{
    uint16_t         size;
    ssize_t          n;
    struct msghdr    msg;
    struct cmsghdr  *cmsg;

    union {
        struct cmsghdr  header;
        char            space[CMSG_SPACE(sizeof(uint16_t))];
    } control;

    ngx_memzero(&msg, sizeof(struct msghdr));
    ngx_memzero(&control, sizeof(control));

    msg.msg_iov = pieces->iov;
    msg.msg_iovlen = pieces->niov;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);

    size = (uint16_t) segment;

    cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_UDP;
    cmsg->cmsg_type = UDP_SEGMENT;
    cmsg->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    ngx_memcpy(CMSG_DATA(cmsg), &size, sizeof(uint16_t));

    do {
        n = sendmsg(fd, &msg, 0);
    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    return n;
}


static ngx_int_t
ngx_trp_udp_send_each(ngx_socket_t fd, ngx_trp_udp_pieces_t *pieces)
{
    int             n;
    ngx_uint_t      i;
    struct mmsghdr  messages[NGX_TRP_UDP_SEGMENTS];

    ngx_memzero(messages, pieces->n * sizeof(struct mmsghdr));

    for (i = 0; i < pieces->n; i++) {
        messages[i].msg_hdr.msg_iov = &pieces->iov[i * pieces->each];
        messages[i].msg_hdr.msg_iovlen = pieces->each;
    }

    do {
        n = sendmmsg(fd, messages, pieces->n, 0);
    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    /* what is left is lost: the buffer is full */

    return NGX_OK;
}
