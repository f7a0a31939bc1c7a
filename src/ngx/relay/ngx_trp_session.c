
/*
 * Copyright (C) the trp authors
 */


/*
 * A user connection has no session at the relay: it is a stream between two
 * tunnels.  Its line in the log comes from a session that is made of both.
 */


#include "relay/ngx_trp_session.h"
#include "base/ngx_trp_addr.h"
#include "stock/ngx_trp_log_session.h"


static ngx_int_t ngx_trp_session_init(ngx_trp_log_session_t *ls,
    ngx_trp_joint_t *joint);
static ngx_uint_t ngx_trp_session_status(ngx_trp_joint_t *joint);
static ssize_t ngx_trp_session_recv(ngx_connection_t *c, u_char *buf,
    size_t size);


void
ngx_trp_session_log(ngx_trp_joint_t *joint)
{
    ngx_stream_session_t   *ts;
    ngx_trp_log_session_t  *ls;

    ts = joint->entry->session;

    ls = ngx_trp_log_session_create(joint->pool, ts->main_conf, ts->srv_conf);

    if (ls && ngx_trp_session_init(ls, joint) == NGX_OK) {
        ngx_trp_log_session_run(ls);
    }
}


static ngx_int_t
ngx_trp_session_init(ngx_trp_log_session_t *ls, ngx_trp_joint_t *joint)
{
    ngx_pool_t            *pool;
    ngx_sockaddr_t        *sa;
    ngx_connection_t      *c, *tc;
    ngx_stream_session_t  *s;

    pool = joint->pool;
    tc = joint->entry->tunnel->connection;

    s = &ls->session;
    c = &ls->connection;

    c->type = SOCK_STREAM;
    c->recv = ngx_trp_session_recv;
    c->udp = (ngx_udp_connection_t *) joint;
    c->log = tc->log;
    c->number = joint->number;
    c->sent = joint->sent;
    c->listening = tc->listening;
    c->read = tc->read;
    c->write = tc->write;
    c->local_sockaddr = tc->local_sockaddr;
    c->local_socklen = tc->local_socklen;

    sa = ngx_palloc(pool, sizeof(ngx_sockaddr_t));
    c->addr_text.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

    if (sa == NULL || c->addr_text.data == NULL) {
        return NGX_ERROR;
    }

    c->socklen = ngx_trp_addr_to_sockaddr(sa, &joint->open.user,
                                          joint->open.user_port);
    c->sockaddr = &sa->sockaddr;
    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen,
                                     c->addr_text.data, NGX_SOCKADDR_STRLEN,
                                     0);

    s->received = joint->received;
    s->start_sec = joint->start_sec;
    s->start_msec = joint->start_msec;
    s->status = ngx_trp_session_status(joint);

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_session_status(ngx_trp_joint_t *joint)
{
    switch (joint->code) {

    case TRP_CODE_NONE:
        return joint->accepted ? NGX_STREAM_OK : NGX_STREAM_BAD_GATEWAY;

    case TRP_CODE_NOT_ALLOWED:
        return NGX_STREAM_FORBIDDEN;

    case TRP_CODE_NO_AGENT:
    case TRP_CODE_LIMIT:
    case TRP_CODE_DRAINING:
        return NGX_STREAM_SERVICE_UNAVAILABLE;
    }

    return NGX_STREAM_BAD_GATEWAY;
}


ngx_trp_joint_t *
ngx_trp_session_joint(ngx_stream_session_t *s)
{
    if (s->connection->recv != ngx_trp_session_recv) {
        return NULL;
    }

    return (ngx_trp_joint_t *) s->connection->udp;
}


/* marks the connection; never called */

static ssize_t
ngx_trp_session_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    return NGX_ERROR;
}
