
#include "ngx_trp_turn_batch.h"
#include "ngx_trp_addr.h"


#define NGX_TRP_TURN_DATAGRAM  65536

#define NGX_TRP_TURN_BUFFER                                                   \
    ngx_align(TRP_TURN_HEADROOM + NGX_TRP_TURN_DATAGRAM + TRP_TURN_TAILROOM,  \
              64)


static void ngx_trp_turn_batch_handler(ngx_event_t *ev);
static void ngx_trp_turn_batch_reset(ngx_trp_turn_batch_t *batch,
    ngx_uint_t i);
static void ngx_trp_turn_batch_message(struct msghdr *msg,
    ngx_trp_turn_datagram_t *d, ngx_trp_turn_control_t *control);


ngx_int_t
ngx_trp_turn_batch_init(ngx_trp_turn_batch_t *batch, ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    batch->buffers = ngx_palloc(cycle->pool,
                                NGX_TRP_TURN_BATCH * NGX_TRP_TURN_BUFFER);
    if (batch->buffers == NULL) {
        return NGX_ERROR;
    }

    batch->log = cycle->log;
    batch->event.data = batch;
    batch->event.log = cycle->log;
    batch->event.handler = ngx_trp_turn_batch_handler;

    for (i = 0; i < NGX_TRP_TURN_BATCH; i++) {
        batch->iov[i].iov_base = batch->buffers + i * NGX_TRP_TURN_BUFFER
                                 + TRP_TURN_HEADROOM;
        batch->iov[i].iov_len = NGX_TRP_TURN_DATAGRAM;

        batch->in[i].msg_hdr.msg_iov = &batch->iov[i];
        batch->in[i].msg_hdr.msg_iovlen = 1;

        ngx_trp_turn_batch_reset(batch, i);
    }

    return NGX_OK;
}


static void
ngx_trp_turn_batch_reset(ngx_trp_turn_batch_t *batch, ngx_uint_t i)
{
    struct msghdr  *msg;

    msg = &batch->in[i].msg_hdr;

    msg->msg_name = &batch->names[i];
    msg->msg_namelen = sizeof(ngx_sockaddr_t);
    msg->msg_control = &batch->controls[i];
    msg->msg_controllen = sizeof(ngx_trp_turn_control_t);
}


static void
ngx_trp_turn_batch_handler(ngx_event_t *ev)
{
    ngx_trp_turn_batch_flush(ev->data);
}


ngx_int_t
ngx_trp_turn_batch_recv(ngx_trp_turn_batch_t *batch, ngx_socket_t fd,
    ngx_uint_t *first, ngx_uint_t *more)
{
    int         n;
    ngx_uint_t  i;

    /* nothing points to the buffers any more */

    if (batch->nout == 0 || batch->used == NGX_TRP_TURN_BATCH) {
        ngx_trp_turn_batch_flush(batch);

        for (i = 0; i < batch->used; i++) {
            ngx_trp_turn_batch_reset(batch, i);
        }

        batch->used = 0;
    }

    n = recvmmsg(fd, &batch->in[batch->used], NGX_TRP_TURN_BATCH - batch->used,
                 MSG_DONTWAIT, NULL);

    *more = 0;

    if (n == -1) {
        return (ngx_socket_errno == NGX_EAGAIN) ? 0 : NGX_ERROR;
    }

    *first = batch->used;
    batch->used += n;
    *more = (batch->used == NGX_TRP_TURN_BATCH);

    return n;
}


u_char *
ngx_trp_turn_batch_data(ngx_trp_turn_batch_t *batch, ngx_uint_t i, size_t *len)
{
    *len = batch->in[i].msg_len;

    return batch->iov[i].iov_base;
}


struct sockaddr *
ngx_trp_turn_batch_from(ngx_trp_turn_batch_t *batch, ngx_uint_t i)
{
    return &batch->names[i].sockaddr;
}


ngx_uint_t
ngx_trp_turn_batch_to(ngx_trp_turn_batch_t *batch, ngx_uint_t i,
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
ngx_trp_turn_batch_send(ngx_trp_turn_batch_t *batch, ngx_socket_t fd,
    const trp_taddr_t *to, const trp_addr_t *source, const u_char *data,
    size_t len, ngx_uint_t now)
{
    struct msghdr             msg;
    trp_taddr_t               addr;
    ngx_trp_turn_control_t    control;
    ngx_trp_turn_datagram_t  *d, datagram;

    if (!now && batch->nout == NGX_TRP_TURN_BATCH) {
        ngx_trp_turn_batch_flush(batch);
    }

    d = now ? &datagram : &batch->out[batch->nout];

    d->fd = fd;
    d->socklen = 0;
    d->source.family = 0;
    d->iov.iov_base = (void *) data;
    d->iov.iov_len = len;

    if (to) {
        addr = *to;
        d->socklen = ngx_trp_addr_to_sockaddr(&d->to, &addr.addr, addr.port);
    }

    if (source) {
        d->source = *source;
    }

    if (now) {
        ngx_trp_turn_batch_message(&msg, d, &control);

        /* an ICMP error for something else may be waiting to be told */

        if (sendmsg(fd, &msg, 0) == -1 && ngx_socket_errno != NGX_EAGAIN) {
            (void) sendmsg(fd, &msg, 0);
        }

        return;
    }

    batch->nout++;

    if (!batch->event.posted) {
        ngx_post_event(&batch->event, &ngx_posted_events);
    }
}


static void
ngx_trp_turn_batch_message(struct msghdr *msg, ngx_trp_turn_datagram_t *d,
    ngx_trp_turn_control_t *control)
{
    struct cmsghdr      *cmsg;
    struct in_pktinfo    pkt;
    struct in6_pktinfo   pkt6;

    ngx_memzero(msg, sizeof(struct msghdr));

    msg->msg_iov = &d->iov;
    msg->msg_iovlen = 1;

    if (d->socklen) {
        msg->msg_name = &d->to;
        msg->msg_namelen = d->socklen;
    }

    if (d->source.family == 0) {
        return;
    }

    msg->msg_control = control;

    if (d->source.family == 4) {
        msg->msg_controllen = CMSG_SPACE(sizeof(pkt));

        cmsg = CMSG_FIRSTHDR(msg);
        cmsg->cmsg_level = IPPROTO_IP;
        cmsg->cmsg_type = IP_PKTINFO;
        cmsg->cmsg_len = CMSG_LEN(sizeof(pkt));

        ngx_memzero(&pkt, sizeof(pkt));
        ngx_memcpy(&pkt.ipi_spec_dst, d->source.bytes, 4);
        ngx_memcpy(CMSG_DATA(cmsg), &pkt, sizeof(pkt));
        return;
    }

    msg->msg_controllen = CMSG_SPACE(sizeof(pkt6));

    cmsg = CMSG_FIRSTHDR(msg);
    cmsg->cmsg_level = IPPROTO_IPV6;
    cmsg->cmsg_type = IPV6_PKTINFO;
    cmsg->cmsg_len = CMSG_LEN(sizeof(pkt6));

    ngx_memzero(&pkt6, sizeof(pkt6));
    ngx_memcpy(&pkt6.ipi6_addr, d->source.bytes, 16);
    ngx_memcpy(CMSG_DATA(cmsg), &pkt6, sizeof(pkt6));
}


void
ngx_trp_turn_batch_flush(ngx_trp_turn_batch_t *batch)
{
    int          sent;
    ngx_uint_t   i, n, tries;

    for (i = 0; i < batch->nout; /* void */ ) {

        n = 0;

        do {
            ngx_trp_turn_batch_message(&batch->messages[n].msg_hdr,
                                       &batch->out[i + n],
                                       &batch->sources[n]);
            n++;
        } while (i + n < batch->nout
                 && batch->out[i + n].fd == batch->out[i].fd);

        tries = 0;

        while (n) {
            sent = sendmmsg(batch->out[i].fd, batch->messages, n, 0);

            if (sent > 0 && (ngx_uint_t) sent == n) {
                i += n;
                break;
            }

            if (sent <= 0) {

                /*
                 * The error may be an older one that was told now.  A
                 * datagram that cannot be sent must not hold up the others.
                 */

                if (ngx_socket_errno != NGX_EAGAIN && tries++ == 0) {
                    continue;
                }

                sent = 1;
            }

            tries = 0;
            i += sent;
            n -= sent;

            ngx_memmove(batch->messages, batch->messages + sent,
                        n * sizeof(struct mmsghdr));
        }
    }

    batch->nout = 0;
}
