
#include "ngx_trp_connect.h"


/* for all addresses but the last, and for each of them */

#define NGX_TRP_CONNECT_PATIENCE       10000
#define NGX_TRP_CONNECT_PATIENCE_MAX   2000
#define NGX_TRP_CONNECT_PATIENCE_MIN   1000


ngx_int_t
ngx_trp_connect(ngx_connection_t **c, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name, int type, ngx_log_t *log,
    ngx_uint_t log_error)
{
    ngx_int_t              rc;
    ngx_peer_connection_t  pc;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = sockaddr;
    pc.socklen = socklen;
    pc.name = name;
    pc.get = ngx_event_get_peer;
    pc.type = type;
    pc.log = log;
    pc.log_error = log_error;

    rc = ngx_event_connect_peer(&pc);

    *c = pc.connection;

    return rc;
}


ngx_err_t
ngx_trp_connect_error(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err;
}


ngx_msec_t
ngx_trp_connect_patience(ngx_uint_t n)
{
    ngx_msec_t  time;

    time = NGX_TRP_CONNECT_PATIENCE / (n - 1);
    time = ngx_max(time, NGX_TRP_CONNECT_PATIENCE_MIN);

    return ngx_min(time, NGX_TRP_CONNECT_PATIENCE_MAX);
}


ngx_int_t
ngx_trp_resolve(ngx_stream_core_srv_conf_t *cscf, ngx_str_t *name,
    ngx_resolver_handler_pt handler, void *data, ngx_log_t *log,
    ngx_resolver_ctx_t **rctx)
{
    ngx_resolver_ctx_t  *ctx, temp;

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = *name;

    ctx = ngx_resolve_start(cscf->resolver, &temp);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "no resolver defined to resolve \"%V\"", name);
        return NGX_DECLINED;
    }

    ctx->name = *name;
    ctx->handler = handler;
    ctx->data = data;
    ctx->timeout = cscf->resolver_timeout;

    *rctx = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        *rctx = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_trp_resolve_log_error(ngx_resolver_ctx_t *rctx, ngx_log_t *log)
{
    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "\"%V\" could not be resolved (%i: %s)", &rctx->name,
                  rctx->state, ngx_resolver_strerror(rctx->state));
}
