
/*
 * Copyright (C) the trp authors
 */


/*
 * Formats all frames for the debug log.  Data from a peer is printed only after
 * it was validated.
 */


#include "tunnel/ngx_trp_frame_log.h"
#include "tunnel/trp_publish.h"
#include "base/ngx_trp_addr.h"


#if (NGX_DEBUG)


#define NGX_TRP_FRAME_LOG_SIZE  1024


static u_char *ngx_trp_frame_log_payload(ngx_trp_tunnel_t *t, u_char *p,
    u_char *last, ngx_uint_t type, size_t len, const u_char *payload);
static u_char *ngx_trp_frame_log_stream(ngx_trp_tunnel_t *t, u_char *p,
    u_char *last);
static u_char *ngx_trp_frame_log_open(u_char *p, u_char *last,
    trp_open_t *open);
static u_char *ngx_trp_frame_log_addr(u_char *p, u_char *last,
    const trp_addr_t *addr, in_port_t port);


void
ngx_trp_frame_log_line(ngx_trp_tunnel_t *t, const char *way, ngx_uint_t type,
    size_t len, const u_char *payload)
{
    u_char  *p, *last;
    u_char   line[NGX_TRP_FRAME_LOG_SIZE];

    p = line;
    last = line + NGX_TRP_FRAME_LOG_SIZE;

    if (type > TRP_OPEN && type <= TRP_DONE) {
        p = ngx_trp_frame_log_stream(t, p, last);
    }

    if (payload) {
        p = ngx_trp_frame_log_payload(t, p, last, type, len, payload);
    }

    ngx_log_debug5(NGX_LOG_DEBUG_STREAM, t->connection->log, 0,
                   "trp frame %s %s len:%uz%*s", way, trp_frame_name(type),
                   len, p - line, line);
}


static u_char *
ngx_trp_frame_log_payload(ngx_trp_tunnel_t *t, u_char *p, u_char *last,
    ngx_uint_t type, size_t len, const u_char *payload)
{
    uint8_t       n;
    trp_str_t     name;
    trp_open_t    open;
    trp_ready_t   ready;
    trp_refuse_t  refuse;

    switch (type) {

    case TRP_OPEN:
        if (trp_open_get(&open, payload, len) == TRP_OK) {
            ngx_memcpy(t->stream_id, open.id, TRP_STREAM_ID_LEN);
            p = ngx_trp_frame_log_stream(t, p, last);

            return ngx_trp_frame_log_open(p, last, &open);
        }

        break;

    case TRP_ERRMSG:
    case TRP_REFUSE:
        if (trp_refuse_get(&refuse, payload, len) == TRP_OK) {
            return ngx_slprintf(p, last, ", %s%s", trp_code_text(refuse.code),
                                refuse.retry ? ", may be retried" : "");
        }

        break;

    case TRP_READY:
        if (trp_ready_get(&ready, payload, len) == TRP_OK) {
            return ngx_slprintf(p, last, ", slot %ui, wanted %ui",
                                (ngx_uint_t) ready.slot,
                                (ngx_uint_t) ready.wanted);
        }

        break;

    case TRP_MOVED:
        if (trp_moved_get(&n, payload, len) == TRP_OK) {
            return ngx_slprintf(p, last, ", slot %ui", (ngx_uint_t) n);
        }

        break;

    case TRP_PUBLISHED:
        if (trp_published_get(&n, &name, payload, len) == TRP_OK) {
            return ngx_slprintf(p, last, ", %*s: %s", name.len, name.data,
                                trp_code_text(n));
        }

        break;

    case TRP_AGENTS:
        if (trp_agents_get(&n, payload, len) == TRP_OK) {
            return ngx_slprintf(p, last, n ? ", some" : ", none");
        }

        break;
    }

    return p;
}


static u_char *
ngx_trp_frame_log_stream(ngx_trp_tunnel_t *t, u_char *p, u_char *last)
{
    return ngx_slprintf(p, last, ", stream %s",
                        ngx_trp_id_text(t->stream_id).data);
}


static u_char *
ngx_trp_frame_log_open(u_char *p, u_char *last, trp_open_t *open)
{
    p = ngx_slprintf(p, last, ", %s to ",
                     open->proto == TRP_PROTO_PUBLISHED ? "published"
                     : open->proto == TRP_PROTO_UDP ? "udp" : "tcp");

    if (open->addr.family) {
        p = ngx_trp_frame_log_addr(p, last, &open->addr, open->port);

    } else if (open->port == 0) {
        p = ngx_slprintf(p, last, "%*s", open->host.len, open->host.data);

    } else {
        p = ngx_slprintf(p, last, "%*s:%ui", open->host.len, open->host.data,
                         (ngx_uint_t) open->port);
    }

    p = ngx_slprintf(p, last, ", from ");
    p = ngx_trp_frame_log_addr(p, last, &open->user, open->user_port);

    return ngx_slprintf(p, last, ", entry %*s, retries %ui%s%s",
                        open->name.len, open->name.data,
                        (ngx_uint_t) open->retries,
                        (open->flags & TRP_OPEN_ELSEWHERE) ? ", elsewhere" : "",
                        (open->flags & TRP_OPEN_AGAIN) ? ", again" : "");
}


static u_char *
ngx_trp_frame_log_addr(u_char *p, u_char *last, const trp_addr_t *addr,
    in_port_t port)
{
    size_t          len;
    u_char          text[NGX_SOCKADDR_STRLEN];
    socklen_t       socklen;
    ngx_sockaddr_t  sa;

    socklen = ngx_trp_addr_to_sockaddr(&sa, addr, port);
    len = ngx_sock_ntop(&sa.sockaddr, socklen, text, NGX_SOCKADDR_STRLEN, 1);

    return ngx_slprintf(p, last, "%*s", len, text);
}


#endif
