
/*
 * Copyright (C) the trp authors
 */


/*
 * Makes a session for a stream's line in the access log: the phases of the
 * tunnel's own session are long over.  It has what log formats ask for, and
 * lives while the log handlers run.
 */


#include "relay/ngx_trp_session.h"
#include "base/ngx_trp_addr.h"


static ngx_int_t ngx_trp_session_init(ngx_stream_session_t *s,
    ngx_connection_t *c, ngx_trp_joint_t *joint);
static ngx_uint_t ngx_trp_session_status(ngx_trp_joint_t *joint);
static ssize_t ngx_trp_session_recv(ngx_connection_t *c, u_char *buf,
    size_t size);


void
ngx_trp_session_log(ngx_trp_joint_t *joint)
{
    ngx_uint_t                    i;
    ngx_connection_t              c;
    ngx_stream_session_t          s;
    ngx_stream_handler_pt        *handler;
    ngx_stream_core_main_conf_t  *cmcf;

    if (ngx_trp_session_init(&s, &c, joint) != NGX_OK) {
        return;
    }

    cmcf = ngx_stream_get_module_main_conf((&s), ngx_stream_core_module);

    handler = cmcf->phases[NGX_STREAM_LOG_PHASE].handlers.elts;

    for (i = 0; i < cmcf->phases[NGX_STREAM_LOG_PHASE].handlers.nelts; i++) {
        handler[i](&s);
    }
}


static ngx_int_t
ngx_trp_session_init(ngx_stream_session_t *s, ngx_connection_t *c,
    ngx_trp_joint_t *joint)
{
    ngx_pool_t                   *pool;
    ngx_sockaddr_t               *sa;
    ngx_connection_t             *tc;
    ngx_stream_session_t         *ts;
    ngx_stream_core_main_conf_t  *cmcf;

    pool = joint->pool;
    ts = joint->entry->session;
    tc = joint->entry->tunnel->connection;

    ngx_memzero(c, sizeof(ngx_connection_t));
    ngx_memzero(s, sizeof(ngx_stream_session_t));

    c->fd = (ngx_socket_t) -1;
    c->type = SOCK_STREAM;
    c->recv = ngx_trp_session_recv;
    c->udp = (ngx_udp_connection_t *) joint;
    c->data = s;
    c->pool = pool;
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

    s->signature = NGX_STREAM_MODULE;
    s->connection = c;
    s->main_conf = ts->main_conf;
    s->srv_conf = ts->srv_conf;
    s->received = joint->received;
    s->start_sec = joint->start_sec;
    s->start_msec = joint->start_msec;
    s->status = ngx_trp_session_status(joint);

    cmcf = ngx_stream_get_module_main_conf(ts, ngx_stream_core_module);

    s->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_stream_max_module);
    s->variables = ngx_pcalloc(pool, cmcf->variables.nelts
                                     * sizeof(ngx_stream_variable_value_t));

    return (s->ctx && s->variables) ? NGX_OK : NGX_ERROR;
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


/* marks the connection; nobody reads from it */

static ssize_t
ngx_trp_session_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    return NGX_ERROR;
}
