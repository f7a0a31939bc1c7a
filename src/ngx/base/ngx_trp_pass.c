
/*
 * Copyright (C) the trp authors
 */


/*
 * Messages with descriptors, over sendmsg() and SCM_RIGHTS, and a connection
 * that receives them.
 */


#include "base/ngx_trp_pass.h"


typedef union {
    struct cmsghdr  header;
    char            space[CMSG_SPACE(sizeof(int))];
} ngx_trp_pass_control_t;


void
ngx_trp_pass_pair(ngx_socket_t *pair, ngx_log_t *log)
{
    /* not SOCK_DGRAM, whose queue holds ten messages */

    if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK|SOCK_CLOEXEC, 0, pair)
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "socketpair() failed");
        pair[0] = (ngx_socket_t) -1;
        pair[1] = (ngx_socket_t) -1;
    }
}


void
ngx_trp_pass_close(ngx_socket_t *s)
{
    if (*s != (ngx_socket_t) -1) {
        (void) ngx_close_socket(*s);
        *s = (ngx_socket_t) -1;
    }
}


ngx_int_t
ngx_trp_pass_send(ngx_socket_t channel, struct iovec *iov, ngx_uint_t niov,
    ngx_socket_t fd)
{
    struct msghdr            msg;
    struct cmsghdr          *cmsg;
    ngx_trp_pass_control_t   control;

    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = iov;
    msg.msg_iovlen = niov;

    if (fd != (ngx_socket_t) -1) {
        ngx_memzero(&control, sizeof(control));

        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control.space);

        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        ngx_memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }

    return (sendmsg(channel, &msg, MSG_NOSIGNAL) == -1) ? NGX_ERROR : NGX_OK;
}


ssize_t
ngx_trp_pass_recv(ngx_socket_t channel, void *buf, size_t size,
    ngx_socket_t *fd, ngx_log_t *log)
{
    ssize_t                  n;
    struct iovec             iov;
    struct msghdr            msg;
    struct cmsghdr          *cmsg;
    ngx_trp_pass_control_t   control;

    iov.iov_base = buf;
    iov.iov_len = size;

    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control.space);

    *fd = (ngx_socket_t) -1;

    n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);

    if (n == 0) {
        return NGX_DONE;
    }

    if (n == -1) {

        if (ngx_socket_errno == NGX_EAGAIN) {
            return NGX_AGAIN;
        }

        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "recvmsg() from another worker failed");
        return NGX_ERROR;
    }

    cmsg = CMSG_FIRSTHDR(&msg);

    if (cmsg && cmsg->cmsg_level == SOL_SOCKET
        && cmsg->cmsg_type == SCM_RIGHTS
        && cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
    {
        ngx_memcpy(fd, CMSG_DATA(cmsg), sizeof(int));
    }

    return n;
}


/* as ngx_add_channel_event(), which leaves no room for the caller's data */

ngx_connection_t *
ngx_trp_pass_listen(ngx_socket_t channel, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(channel, cycle->log);

    if (c == NULL) {
        return NULL;
    }

    c->data = data;
    c->pool = cycle->pool;

    c->read->log = cycle->log;
    c->read->channel = 1;
    c->read->handler = handler;

    c->write->log = cycle->log;
    c->write->channel = 1;

    return (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_OK) ? c : NULL;
}
