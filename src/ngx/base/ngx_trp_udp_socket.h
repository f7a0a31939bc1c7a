
/*
 * Copyright (C) the trp authors
 */


/*
 * Datagrams on a connected socket, many per system call: the kernel takes those
 * of one length apart and puts them together (generic segmentation and receive
 * offload).
 */


#ifndef _NGX_TRP_UDP_SOCKET_H_INCLUDED_
#define _NGX_TRP_UDP_SOCKET_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* datagrams and bytes that the kernel takes at once */

#define NGX_TRP_UDP_SEGMENTS  64
#define NGX_TRP_UDP_MAX       65507


/* what is put in front of each datagram; the last one may be shorter */

typedef struct {
    size_t        len;           /* 0: nothing */
    const u_char *each;
    const u_char *last;
} ngx_trp_udp_head_t;


/* asks for a larger buffer, and for datagrams that are put together */

void ngx_trp_udp_socket_init(ngx_socket_t fd);

/*
 * Receives datagrams of *segment bytes each, the last of which may be shorter:
 * their length together.  NGX_AGAIN, or NGX_ERROR with ngx_socket_errno.
 */

ssize_t ngx_trp_udp_socket_recv(ngx_socket_t fd, u_char *buf, size_t size,
    size_t *segment);

/*
 * Sends at most NGX_TRP_UDP_SEGMENTS datagrams of "segment" bytes each, the
 * last of which may be shorter.  NGX_OK: sent, or some are lost; NGX_AGAIN:
 * none was sent; NGX_ERROR, with ngx_socket_errno: they are lost.  *no_gso is
 * set if the kernel or the device cannot do it.
 */

ngx_int_t ngx_trp_udp_socket_send(ngx_socket_t fd,
    const ngx_trp_udp_head_t *head, u_char *p, size_t len, size_t segment,
    ngx_uint_t *no_gso);


#pragma GCC visibility pop


#endif /* _NGX_TRP_UDP_SOCKET_H_INCLUDED_ */
