
/*
 * Copyright (C) the trp authors
 */


/*
 * Passes connections to the worker of their group.  The ClientHello is only
 * peeked at, so that it is still in the socket there.
 */


#include "relay/ngx_trp_steer.h"
#include "base/ngx_trp_addr.h"
#include "base/trp_looks.h"


#define NGX_TRP_STEER_HELLO  (5 + 16384)     /* one TLS record, or many */

#define NGX_TRP_STEER_START  8               /* of it, in the log */

/* addresses whose last connection was MOVED, and for how long that counts */
#define NGX_TRP_STEER_MOVES  64
#define NGX_TRP_STEER_TIME   5000

/* in place of a slot: hints from this address can be read */
#define NGX_TRP_STEER_HINTS  0x100


typedef struct {
    trp_addr_t        addr;
    ngx_uint_t        slot;
    ngx_msec_t        until;
} ngx_trp_steer_move_t;


struct ngx_trp_steer_s {
    ngx_trp_workers_t    *workers;
    ngx_trp_steer_move_t  moves[NGX_TRP_STEER_MOVES];
    ngx_uint_t            nmoves;            /* moves ever added */
};


static ngx_uint_t ngx_trp_steer_no_tls(ngx_connection_t *c, u_char *buf,
    size_t n);
static int ngx_trp_steer_slot(ngx_trp_steer_t *st, ngx_connection_t *c,
    int slot);
static ngx_trp_steer_move_t *ngx_trp_steer_find(ngx_trp_steer_t *st,
    struct sockaddr *sockaddr, trp_addr_t *addr);


ngx_trp_steer_t *
ngx_trp_steer_create(ngx_cycle_t *cycle, ngx_trp_workers_t *workers)
{
    ngx_trp_steer_t  *st;

    st = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_steer_t));

    if (st) {
        st->workers = workers;
    }

    return st;
}


ngx_uint_t
ngx_trp_steer_here(ngx_trp_steer_t *st, ngx_uint_t slot)
{
    return st == NULL || ngx_trp_workers_here(st->workers, slot);
}


ngx_int_t
ngx_trp_steer_connection(ngx_trp_steer_t *st, ngx_connection_t *c,
    ngx_trp_upgrade_t **upgrade)
{
    int        slot;
    ssize_t    n;
    u_char     buf[NGX_TRP_STEER_HELLO];
    ngx_int_t  rc;

    n = recv(c->fd, buf, NGX_TRP_STEER_HELLO, MSG_PEEK);

    if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    if (n <= 0) {

        /* the next read will find out why */
        return NGX_DECLINED;
    }

    if (upgrade && ngx_trp_upgrade_maybe(buf)) {
        rc = ngx_trp_upgrade_read(c, buf, n, NGX_TRP_STEER_HELLO, upgrade,
                                  &slot);

        if (rc == NGX_AGAIN) {
            slot = TRP_AGAIN;

        } else if (rc != NGX_OK) {
            return rc;
        }

    } else if (ngx_trp_steer_no_tls(c, buf, n)) {
        return NGX_ABORT;

    } else {
        slot = trp_hello_slot(buf, n);
    }

    if (slot == TRP_AGAIN && n < NGX_TRP_STEER_HELLO) {

        if (c->read->pending_eof) {
            return NGX_DECLINED;
        }

        c->read->ready = 0;
        return NGX_AGAIN;
    }

    slot = ngx_trp_steer_slot(st, c, slot);

    if (slot < 0 || ngx_trp_steer_here(st, slot) || ngx_exiting) {
        return NGX_DECLINED;
    }

    if (ngx_trp_workers_pass(st->workers, slot, c) != NGX_OK) {

        /* this worker tells the agent to dial again */
        return NGX_DECLINED;
    }

    return NGX_DONE;
}


/* OpenSSL would call it a "wrong version number" */

static ngx_uint_t
ngx_trp_steer_no_tls(ngx_connection_t *c, u_char *buf, size_t n)
{
    trp_str_t    start;
    const char  *name;

    if (buf[0] == SSL3_RT_HANDSHAKE || buf[0] == SSL3_RT_ALERT) {
        return 0;
    }

    start.data = buf;
    start.len = n;

    name = trp_looks_like(start);

    if (name) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not speak TLS, this looks like %s", name);

    } else {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client does not speak TLS, it begins with \"%s\"",
                      ngx_trp_text(buf, ngx_min(n, NGX_TRP_STEER_START)).data);
    }

    return 1;
}


/*
 * The slot of the hint; or, if there is none, the one that the last connection
 * from this address was MOVED to, unless another worker has just passed it
 * here.  Agents whose hints can be read are not affected: those at one address
 * may belong to different workers.
 */

static int
ngx_trp_steer_slot(ngx_trp_steer_t *st, ngx_connection_t *c, int slot)
{
    trp_addr_t             addr;
    ngx_trp_steer_move_t  *move;

    if (st == NULL || c->requests) {
        return slot;
    }

    if (slot >= 0) {
        ngx_trp_steer_remember(st, c->sockaddr, NGX_TRP_STEER_HINTS);
        return slot;
    }

    move = ngx_trp_steer_find(st, c->sockaddr, &addr);

    return (move && move->slot != NGX_TRP_STEER_HINTS) ? (int) move->slot
                                                       : TRP_DECLINED;
}


void
ngx_trp_steer_moved(ngx_trp_steer_t *st, ngx_connection_t *c, ngx_uint_t slot)
{
    if (st == NULL) {
        return;
    }

    ngx_trp_steer_remember(st, c->sockaddr, slot);

    /* if a message is lost, the agent dials once more */
    ngx_trp_workers_moved(st->workers, c->sockaddr, c->socklen, slot);
}


static ngx_trp_steer_move_t *
ngx_trp_steer_find(ngx_trp_steer_t *st, struct sockaddr *sockaddr,
    trp_addr_t *addr)
{
    in_port_t              port;
    ngx_uint_t             i;
    ngx_trp_steer_move_t  *move;

    ngx_trp_addr_from_sockaddr(addr, &port, sockaddr);
    (void) trp_addr_unmap(addr);

    for (i = 0; i < ngx_min(st->nmoves, NGX_TRP_STEER_MOVES); i++) {
        move = &st->moves[i];

        if ((ngx_msec_int_t) (move->until - ngx_current_msec) > 0
            && move->addr.family == addr->family
            && ngx_memcmp(move->addr.bytes, addr->bytes,
                          (addr->family == 6) ? 16 : addr->family)
               == 0)
        {
            return move;
        }
    }

    return NULL;
}


void
ngx_trp_steer_remember(ngx_trp_steer_t *st, struct sockaddr *sockaddr,
    ngx_uint_t slot)
{
    trp_addr_t             addr;
    ngx_trp_steer_move_t  *move;

    move = ngx_trp_steer_find(st, sockaddr, &addr);

    if (move == NULL) {
        move = &st->moves[st->nmoves % NGX_TRP_STEER_MOVES];
        move->addr = addr;

        if (++st->nmoves == 2 * NGX_TRP_STEER_MOVES) {
            st->nmoves = NGX_TRP_STEER_MOVES;
        }

    } else if (move->slot == NGX_TRP_STEER_HINTS
               && slot != NGX_TRP_STEER_HINTS)
    {
        return;
    }

    move->slot = slot;
    move->until = ngx_current_msec + NGX_TRP_STEER_TIME;
}
