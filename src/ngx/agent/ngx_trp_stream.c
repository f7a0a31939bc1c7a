
/*
 * Copyright (C) the trp authors
 */


#include "agent/ngx_trp_stream.h"
#include "stock/ngx_trp_ends.h"


static ssize_t ngx_trp_stream_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_trp_stream_read_ahead(ngx_trp_stream_t *st);
static void ngx_trp_stream_free_ahead(ngx_trp_stream_t *st);
static ssize_t ngx_trp_stream_recv_end(ngx_trp_stream_t *st);
static ssize_t ngx_trp_stream_recv_data(ngx_trp_stream_t *st, u_char *buf,
    size_t size);
static ssize_t ngx_trp_stream_recv_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit);
static ssize_t ngx_trp_stream_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_trp_stream_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static size_t ngx_trp_stream_write(ngx_trp_stream_t *st, u_char *p,
    size_t size);
static size_t ngx_trp_stream_write_early(ngx_trp_stream_t *st, u_char *p,
    size_t size);
static void ngx_trp_stream_end(ngx_trp_stream_t *st);
static void ngx_trp_stream_accepted(ngx_trp_stream_t *st);
static void ngx_trp_stream_refused(ngx_trp_stream_t *st, trp_frame_t *frame);
static void ngx_trp_stream_got_reset(ngx_trp_stream_t *st);
static void ngx_trp_stream_stop_waiting(ngx_trp_stream_t *st);
static void ngx_trp_stream_abort(ngx_trp_stream_t *st, ngx_uint_t code);
static void ngx_trp_stream_remember(ngx_trp_stream_t *st);
static const char *ngx_trp_stream_guess(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_stream_level(ngx_trp_stream_t *st);
static void ngx_trp_stream_timeout(ngx_event_t *ev);


ngx_int_t
ngx_trp_stream_create(ngx_trp_stream_t *st, ngx_socket_t fd, ngx_log_t *log)
{
    ngx_connection_t  *c;

    if (st->entry && !ngx_trp_pool_admits(st->pool)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "worker_connections leave none for a tunnel");
        return NGX_ERROR;
    }

    c = ngx_trp_fake_connection(fd, log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    /* the end, which may be a reset, is told from the last buffer */
    c->need_last_buf = 1;

    /*
     * The proxy overwrites data, log and pool.  What datagrams have in "udp"
     * is left alone on a connection of the type SOCK_STREAM.  On one of the
     * type SOCK_DGRAM "proxy_requests" would remove it from a tree, but that
     * one is never in the queue of those that may be reused.
     */

    if (st->udp) {
        c->type = SOCK_DGRAM;
        c->queue.next = (ngx_queue_t *) st;

        c->recv = ngx_trp_stream_udp_recv;
        c->send = ngx_trp_stream_udp_send;
        c->send_chain = ngx_trp_stream_udp_send_chain;

#if (nginx_version >= 1023000)
        /* a datagram may be empty */
        c->need_flush_buf = 1;
#endif

    } else {
        c->udp = (ngx_udp_connection_t *) st;

        c->recv = ngx_trp_stream_recv;
        c->send = ngx_trp_stream_send;
        c->recv_chain = ngx_trp_stream_recv_chain;
        c->send_chain = ngx_trp_stream_send_chain;
    }

    st->connection = c;

    st->timer.data = st;
    st->timer.log = log;
    st->timer.handler = ngx_trp_stream_timeout;

    if (!st->entry) {
        ngx_queue_insert_tail(&st->pool->conf->streams, &st->live);
        st->pool->conf->ndatagrams += st->udp;
    }

    return NGX_OK;
}


ngx_trp_stream_t *
ngx_trp_stream_of(ngx_connection_t *c)
{
    if (c->recv == ngx_trp_stream_recv) {
        return (ngx_trp_stream_t *) c->udp;
    }

    if (c->recv == ngx_trp_stream_udp_recv) {
        return (ngx_trp_stream_t *) c->queue.next;
    }

    return NULL;
}


/* opening, the entry's part */


void
ngx_trp_stream_open(ngx_trp_stream_t *st, ngx_msec_t timeout)
{
    ngx_trp_link_t  *link;

    if (timeout) {
        ngx_add_timer(&st->timer, timeout);
    }

    link = ngx_trp_pool_get(st->pool);

    if (link) {
        ngx_trp_stream_attach(st, link);
        return;
    }

    st->waiting = 1;
    ngx_trp_pool_wait(st->pool, st);
}


void
ngx_trp_stream_attach(ngx_trp_stream_t *st, ngx_trp_link_t *link)
{
    st->waiting = 0;
    st->link = link;
    link->stream = st;

    if (!st->entry) {
        return;
    }

    st->open[st->open_len - TRP_OPEN_FLAGS] =
                                      (st->elsewhere(st) ? TRP_OPEN_ELSEWHERE
                                                         : 0)
                                      | (st->again ? TRP_OPEN_AGAIN : 0);
    st->again = 1;

    st->open[st->open_len - TRP_OPEN_RETRIES] = NGX_TRP_STREAM_RETRIES
                                                - st->retries;

    ngx_trp_tunnel_send_frame(link->tunnel, st->open,
                              st->open + st->open_len);

    /* the user's first bytes come in the next turn, if they come at once */

    ngx_trp_tunnel_flush_later(link->tunnel);

    st->early_sent = 0;
    ngx_trp_stream_pump(st);
}


static void
ngx_trp_stream_timeout(ngx_event_t *ev)
{
    static const trp_str_t  no_tunnel = trp_string(", no tunnel was free");
    static const trp_str_t  nothing = trp_string("");

    ngx_trp_stream_t  *st;

    st = ev->data;

    st->unreachable = st->waiting;

    ngx_trp_stream_log(st, ngx_trp_stream_level(st), ev->log,
                       "was not opened in time",
                       st->waiting ? no_tunnel : nothing);

    ngx_trp_stream_abort(st, TRP_CODE_TIMED_OUT);
}


static void
ngx_trp_stream_accepted(ngx_trp_stream_t *st)
{
    st->accepted = 1;
    st->logged = 0;

    if (st->timer.timer_set) {
        ngx_del_timer(&st->timer);
    }

    st->opened(st);

    ngx_trp_stream_pump(st);

    if (st->early == NULL && st->out == NGX_TRP_STREAM_OPEN
        && !st->connection->write->ready)
    {
        ngx_trp_fake_wake(st->connection->write);
    }
}


static void
ngx_trp_stream_refused(ngx_trp_stream_t *st, trp_frame_t *frame)
{
    u_char             buf[2 * TRP_TEXT_MAX];
    trp_str_t          text;
    trp_refuse_t       refuse;
    ngx_trp_tunnel_t  *t;

    t = st->link->tunnel;

    if (trp_refuse_get(&refuse, t->reader.buf, frame->len) != TRP_OK) {
        refuse.code = TRP_CODE_FAILED;
        refuse.retry = 0;
        refuse.text.len = 0;
    }

    if (refuse.code == TRP_CODE_DRAINING) {

        /* no failure: the tunnel ends in a worker that exits */
        t->draining = 1;

    } else if (refuse.retry && st->retries++ == NGX_TRP_STREAM_RETRIES) {
        refuse.retry = 0;
    }

    text.data = buf;
    text.len = ngx_snprintf(buf, sizeof(buf), ": %s%s%*s%s",
                            trp_code_text(refuse.code),
                            refuse.text.len ? ", " : "",
                            refuse.text.len, refuse.text.data,
                            refuse.retry ? ", opening it once more" : "")
               - buf;

    ngx_trp_stream_log(st,
                       refuse.retry ? NGX_LOG_INFO : ngx_trp_stream_level(st),
                       st->connection->log, "was refused", text);

    st->leave = (refuse.code == TRP_CODE_NO_AGENT);

    if (refuse.retry) {

        /* the tunnel finishes this attempt alone */

        st->link->stream = NULL;
        ngx_trp_tunnel_abandon(t, NULL, 1);
        st->link = NULL;

        ngx_trp_stream_reopen(st);
        return;
    }

    ngx_trp_stream_abort(st, refuse.code);
}


/*
 * Nothing of a stream that was not accepted has reached its destination.  A
 * lost tunnel is no try: there may be more that died with it.
 */

void
ngx_trp_stream_reopen(ngx_trp_stream_t *st)
{
    static const trp_str_t  nothing = trp_string("");

    st->waiting = 0;
    st->logged = 0;
    st->reroute(st);

    if (st->hopeless && st->hopeless(st)) {
        ngx_trp_stream_log(st, NGX_LOG_INFO, st->connection->log,
                           "was refused: no agent", nothing);
        ngx_trp_stream_abort(st, TRP_CODE_NO_AGENT);
        return;
    }

    ngx_trp_stream_open(st, 0);
}


/* reading */


ngx_uint_t
ngx_trp_stream_readable(ngx_trp_stream_t *st)
{
    ngx_event_t  *rev;

    if (st->in != NGX_TRP_STREAM_OPEN || (st->entry && !st->accepted)) {
        return 0;
    }

    if (!st->entry && !st->udp
        && (!st->accepted || st->taken < TRP_TUNNEL_SHORT))
    {
        ngx_trp_stream_read_ahead(st);
    }

    rev = st->connection->read;

    if (st->in != NGX_TRP_STREAM_OPEN) {
        ngx_trp_fake_wake(rev);
        return 0;
    }

    if (rev->posted) {
        ngx_delete_posted_event(rev);
    }

    rev->ready = 1;
    rev->handler(rev);

    return 1;
}


/*
 * What a user sends is taken to its end, however slow its reader is, if it is
 * short: then it does not stand in front of the next stream.
 *
 * While the proxy connects to the destination its buffer may be full, and a
 * RESET must be seen behind the data: nothing of an aborted stream may reach
 * the destination.  An entry sends no more than this ahead of ACCEPT.
 */

static void
ngx_trp_stream_read_ahead(ngx_trp_stream_t *st)
{
    ssize_t  n;

    if (st->ahead == NULL) {
        st->ahead = ngx_alloc(NGX_TRP_EARLY_SIZE, st->connection->log);
        if (st->ahead == NULL) {
            return;
        }
    }

    while (st->in == NGX_TRP_STREAM_OPEN && st->ahead_len < NGX_TRP_EARLY_SIZE)
    {
        n = ngx_trp_stream_recv_data(st, st->ahead + st->ahead_len,
                                     NGX_TRP_EARLY_SIZE - st->ahead_len);
        if (n == NGX_AGAIN) {
            break;
        }

        st->ahead_len += n;
    }

    ngx_trp_stream_free_ahead(st);
}


/* once it is empty */

static void
ngx_trp_stream_free_ahead(ngx_trp_stream_t *st)
{
    if (st->ahead && st->ahead_pos == st->ahead_len) {
        ngx_free(st->ahead);
        st->ahead = NULL;
        st->ahead_pos = 0;
        st->ahead_len = 0;
    }
}


static ssize_t
ngx_trp_stream_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t             done;
    ssize_t            n;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    for (done = 0; done < size; done += n) {

        if (st->ahead) {
            n = ngx_min(size - done, st->ahead_len - st->ahead_pos);
            ngx_memcpy(buf + done, st->ahead + st->ahead_pos, n);

            st->ahead_pos += n;
            ngx_trp_stream_free_ahead(st);

            continue;
        }

        if (st->in != NGX_TRP_STREAM_OPEN) {
            return done ? (ssize_t) done : ngx_trp_stream_recv_end(st);
        }

        n = ngx_trp_stream_recv_data(st, buf + done, size - done);

        if (n == NGX_AGAIN) {
            c->read->ready = 0;
            return done ? (ssize_t) done : NGX_AGAIN;
        }
    }

    return done;
}


/* bytes, 0 if there may be an end to look at, or NGX_AGAIN */

static ssize_t
ngx_trp_stream_recv_data(ngx_trp_stream_t *st, u_char *buf, size_t size)
{
    ssize_t            n;
    ngx_int_t          rc;
    ngx_trp_tunnel_t  *t;

    if (st->link == NULL || (st->entry && !st->accepted)) {
        return NGX_AGAIN;
    }

    t = st->link->tunnel;

    if (t->reader.left == 0) {
        rc = ngx_trp_tunnel_input(t);

        if (st->in != NGX_TRP_STREAM_OPEN) {

            /* what is behind the end is not for the proxy to read */

            ngx_post_event(t->connection->read, &ngx_posted_events);
            return 0;
        }

        if (rc == NGX_ERROR) {
            ngx_trp_stream_lost(st);
            return 0;
        }

        if (rc != NGX_OK) {
            return NGX_AGAIN;
        }

        if (t->reader.left == 0) {
            trp_reader_take(&t->reader, 0);
            return 0;
        }
    }

    n = ngx_trp_tunnel_recv(t, buf, ngx_min(size, t->reader.left));

    if (n == NGX_ERROR) {
        ngx_trp_stream_lost(st);
        return 0;
    }

    if (n > 0) {
        trp_reader_take(&t->reader, n);
        st->taken += n;
    }

    return n;
}


static ssize_t
ngx_trp_stream_recv_end(ngx_trp_stream_t *st)
{
    ngx_event_t       *rev;
    ngx_connection_t  *other;

    rev = st->connection->read;
    rev->ready = 0;
    rev->eof = 1;

    other = st->other(st);

    if (st->in == NGX_TRP_STREAM_ENDED) {

        if (!st->consumed) {
            st->consumed = 1;

            if (other) {
                ngx_trp_ends_disarm(other);
            }

            ngx_trp_stream_pump(st);
        }

        return 0;
    }

    rev->error = 1;

    if (other) {
        ngx_trp_ends_reset(other);
    }

    return NGX_ERROR;
}


static ssize_t
ngx_trp_stream_recv_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    size_t      size;
    ssize_t     n, total;
    ngx_buf_t  *b;

    total = 0;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        size = b->end - b->last;

        if (limit) {
            size = (size_t) ngx_min((off_t) size, limit - total);
        }

        if (size == 0) {
            break;
        }

        n = ngx_trp_stream_recv(c, b->last, size);

        if (n <= 0) {
            return total ? total : n;
        }

        total += n;

        if ((size_t) n < size) {
            break;
        }
    }

    return total;
}


/* writing */


void
ngx_trp_stream_writable(ngx_trp_stream_t *st)
{
    ngx_trp_stream_pump(st);

    if (st->out == NGX_TRP_STREAM_OPEN) {
        ngx_trp_fake_wake(st->connection->write);
    }
}


static ssize_t
ngx_trp_stream_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t             n;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    if (st->in == NGX_TRP_STREAM_ABORTED || st->out != NGX_TRP_STREAM_OPEN) {
        c->write->error = 1;
        return NGX_ERROR;
    }

    n = ngx_trp_stream_write(st, buf, size);

    if (n == 0) {
        c->write->ready = 0;
        return NGX_AGAIN;
    }

    c->sent += n;

    return n;
}


static ngx_chain_t *
ngx_trp_stream_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    size_t             n, size;
    ngx_buf_t         *b;
    ngx_trp_stream_t  *st;

    st = (ngx_trp_stream_t *) c->udp;

    if (st->in == NGX_TRP_STREAM_ABORTED) {
        (void) ngx_trp_stream_recv_end(st);
        return NGX_CHAIN_ERROR;
    }

    if (st->out == NGX_TRP_STREAM_ABORTED) {
        return NGX_CHAIN_ERROR;
    }

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        size = ngx_buf_size(b);

        if (size && st->out == NGX_TRP_STREAM_OPEN) {
            n = ngx_trp_stream_write(st, b->pos, size);

            b->pos += n;
            c->sent += n;

            if (n < size) {
                c->write->ready = 0;
                return in;
            }
        }

        if (b->last_buf) {
            ngx_trp_stream_end(st);
        }
    }

    return NULL;
}


static size_t
ngx_trp_stream_write(ngx_trp_stream_t *st, u_char *p, size_t size)
{
    if (!st->entry && !st->accepted) {
        ngx_trp_stream_accept(st);
    }

    if (!st->accepted || st->early) {
        return ngx_trp_stream_write_early(st, p, size);
    }

    if (st->link == NULL) {
        return 0;
    }

    return ngx_trp_tunnel_data(st->link->tunnel, p, size);
}


static size_t
ngx_trp_stream_write_early(ngx_trp_stream_t *st, u_char *p, size_t size)
{
    if (st->accepted) {

        /* what was sent early is not yet all on its way */
        return 0;
    }

    if (st->early == NULL) {
        st->early = ngx_alloc(NGX_TRP_EARLY_SIZE, st->connection->log);
        if (st->early == NULL) {

            /* it is tried again behind ACCEPT, where it needs no memory */
            return 0;
        }
    }

    size = ngx_min(size, NGX_TRP_EARLY_SIZE - st->early_len);

    ngx_memcpy(st->early + st->early_len, p, size);
    st->early_len += size;

    ngx_trp_stream_pump(st);

    return size;
}


/* the early bytes and the ends to the tunnel, as far as it takes them */

void
ngx_trp_stream_pump(ngx_trp_stream_t *st)
{
    ngx_trp_tunnel_t  *t;

    if (st->link == NULL) {
        return;
    }

    t = st->link->tunnel;

    if (st->early_sent < st->early_len) {

        if (st->udp) {
            ngx_trp_stream_udp_pump_early(st);

        } else {
            st->early_sent += ngx_trp_tunnel_data(t,
                                              st->early + st->early_sent,
                                              st->early_len - st->early_sent);
        }

        if (st->early_sent < st->early_len) {
            return;
        }
    }

    if (st->out == NGX_TRP_STREAM_ENDED && trp_tunnel_busy(&t->state)) {

        if (!(t->state.sent & TRP_SEEN_END)) {
            ngx_trp_tunnel_send(t, TRP_END);
        }

        /* ahead of END nobody could do anything with it */

        if (st->consumed && !(t->state.sent & TRP_SEEN_DONE)) {
            ngx_trp_tunnel_send(t, TRP_DONE);
        }

        if (st->entry && trp_tunnel_idle(&t->state)) {

            /* nobody waits for it: it may go with the next OPEN */
            ngx_trp_tunnel_flush_after(t, NGX_TRP_END_TIME);
        }
    }

    if (st->accepted && st->early) {
        ngx_free(st->early);
        st->early = NULL;
        st->early_len = 0;
        st->early_sent = 0;
        st->early_datagrams = 0;

        if (st->out == NGX_TRP_STREAM_OPEN) {
            ngx_trp_fake_wake(st->connection->write);
        }
    }
}


/* the proxy's last buffer: the source's end, or its error */

static void
ngx_trp_stream_end(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->other(st);

    if (other && (other->read->error || ngx_trp_ends_was_reset(other))) {

        /* no end: the session is finalized, and the stream reset with it */
        ngx_trp_stream_why(st, st->entry ? "user's connection was reset"
                                      : "destination's connection was reset");
        ngx_trp_stream_abort(st, st->code);
        return;
    }

    if (st->out != NGX_TRP_STREAM_OPEN) {
        return;
    }

    if (!st->entry && !st->accepted) {
        ngx_trp_stream_accept(st);
    }

    st->out = NGX_TRP_STREAM_ENDED;

    ngx_trp_stream_pump(st);
}


/*
 * If the user has spoken first, the answer is likely to come soon, and ACCEPT
 * goes with it.  An entry that has more to send waits for ACCEPT.
 */

void
ngx_trp_stream_accept(ngx_trp_stream_t *st)
{
    if (st->accepted) {
        return;
    }

    st->accepted = 1;

    if (st->link == NULL) {
        return;
    }

    ngx_trp_tunnel_send(st->link->tunnel, TRP_ACCEPT);

    if (st->taken && st->taken < NGX_TRP_EARLY_SIZE / 2) {
        ngx_trp_tunnel_flush_after(st->link->tunnel, NGX_TRP_ACCEPT_TIME);
    }
}


/* the tunnel's side */


ngx_int_t
ngx_trp_stream_frame(ngx_trp_stream_t *st, trp_frame_t *frame)
{
    switch (frame->type) {

    case TRP_ACCEPT:
        ngx_trp_stream_accepted(st);
        return NGX_OK;

    case TRP_REFUSE:
        ngx_trp_stream_refused(st, frame);
        return NGX_DONE;

    case TRP_END:
        st->in = NGX_TRP_STREAM_ENDED;
        ngx_trp_fake_wake(st->connection->read);
        return NGX_DONE;

    case TRP_RESET:
        ngx_trp_stream_why(st, "reset by the far end");
        ngx_trp_stream_remember(st);
        ngx_trp_stream_got_reset(st);
        return NGX_DONE;
    }

    return NGX_OK;
}


/*
 * Behind END, RESET (or a lost tunnel) says that nobody reads at the far end.
 * What came ahead of END is complete, and is not taken back: if some of it is
 * still on its way to the other side, that one learns of the reset when it
 * writes.
 */

static void
ngx_trp_stream_got_reset(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->other(st);

    if (st->in == NGX_TRP_STREAM_ENDED && other && !st->udp
        && (!st->consumed || other->buffered || ngx_trp_tunnel_unsent(other)))
    {
        st->out = NGX_TRP_STREAM_ABORTED;
        ngx_trp_fake_wake(st->connection->write);
        return;
    }

    ngx_trp_stream_abort(st, st->accepted ? st->code : TRP_CODE_FAILED);
}


/* for ACCEPT, and for a tunnel */

static void
ngx_trp_stream_stop_waiting(ngx_trp_stream_t *st)
{
    if (st->timer.timer_set) {
        ngx_del_timer(&st->timer);
    }

    if (st->waiting) {
        st->waiting = 0;
        ngx_trp_pool_cancel(st->pool, st);
    }
}


static void
ngx_trp_stream_abort(ngx_trp_stream_t *st, ngx_uint_t code)
{
    ngx_trp_stream_stop_waiting(st);

    st->in = NGX_TRP_STREAM_ABORTED;
    st->code = code;

    if (!st->accepted) {

        if (st->entry) {
            st->failed(st);

        } else if (!st->udp) {

            /* the proxy gives up connecting: nothing reaches the destination */

            st->connection->write->timedout = 1;

            st->ahead_pos = st->ahead_len;
            ngx_trp_stream_free_ahead(st);
        }
    }

    ngx_trp_fake_wake(st->connection->read);
    ngx_trp_fake_wake(st->connection->write);
}


/* the tunnel has carried both ends, and is needed elsewhere */

void
ngx_trp_stream_detach(ngx_trp_stream_t *st)
{
    st->link->stream = NULL;
    st->link = NULL;
}


void
ngx_trp_stream_lost(ngx_trp_stream_t *st)
{
    static const trp_str_t  again = trp_string(", opening it once more");

    if (st->link) {
        ngx_trp_stream_detach(st);
    }

    ngx_trp_stream_remember(st);

    if (st->in == NGX_TRP_STREAM_ENDED && st->out == NGX_TRP_STREAM_ENDED) {

        /* both ends went through, only their DONE did not */
        return;
    }

    if (st->in == NGX_TRP_STREAM_ENDED) {
        ngx_trp_stream_why(st, "tunnel was lost");
        ngx_trp_stream_got_reset(st);
        return;
    }

    if (st->in == NGX_TRP_STREAM_OPEN && st->entry && !st->accepted
        && st->losses++ < NGX_TRP_STREAM_LOSSES)
    {
        ngx_trp_stream_log(st, NGX_LOG_INFO, st->connection->log,
                           "lost its tunnel", again);
        ngx_trp_stream_reopen(st);
        return;
    }

    ngx_trp_stream_why(st, "tunnel was lost");
    ngx_trp_stream_abort(st, st->accepted ? st->code : TRP_CODE_FAILED);
}


/* the entry may not have heard of ACCEPT, and open it once more */

static void
ngx_trp_stream_remember(ngx_trp_stream_t *st)
{
    if (!st->entry && st->accepted) {
        trp_recent_add(&st->pool->conf->lost, st->id);
    }
}


ngx_uint_t
ngx_trp_stream_known(ngx_trp_agent_conf_t *conf, const u_char *id)
{
    ngx_queue_t       *q;
    ngx_trp_stream_t  *st;

    if (trp_recent_has(&conf->lost, id)) {
        return 1;
    }

    for (q = ngx_queue_head(&conf->streams);
         q != ngx_queue_sentinel(&conf->streams);
         q = ngx_queue_next(q))
    {
        st = ngx_queue_data(q, ngx_trp_stream_t, live);

        if (st->accepted && ngx_memcmp(st->id, id, TRP_STREAM_ID_LEN) == 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * A worker that exits ends a session of UDP with its next event.  Rather than
 * with a datagram, which would be lost, it does so now.
 */

void
ngx_trp_stream_drain(ngx_trp_stream_t *st)
{
    ngx_event_t  *rev;

    rev = st->connection->read;

    if (st->udp && !st->entry && !rev->posted) {

        /* outside of the event loop: make it turn once more */
        ngx_post_event(rev, &ngx_posted_next_events);
    }
}


void
ngx_trp_stream_why(ngx_trp_stream_t *st, const char *why)
{
    if (st->why == NULL) {
        st->why = why;
    }
}


void
ngx_trp_stream_close(ngx_trp_stream_t *st, trp_refuse_t *refuse)
{
    ngx_trp_tunnel_t  *t;

    if (st->closed) {
        return;
    }

    st->closed = 1;

    if (!st->entry) {
        ngx_queue_remove(&st->live);
        st->pool->conf->ndatagrams -= st->udp;
    }

    ngx_trp_stream_stop_waiting(st);

    if (st->link) {
        t = st->link->tunnel;

        if (st->udp) {
            ngx_trp_stream_udp_end(st);
        }

        ngx_trp_stream_detach(st);
        ngx_trp_tunnel_abandon(t, refuse,
                               st->in != NGX_TRP_STREAM_ENDED && !st->udp);
    }

    if (st->early) {
        ngx_free(st->early);
        st->early = NULL;
    }

    if (st->part) {
        ngx_free(st->part);
        st->part = NULL;
    }

    if (st->ahead) {
        ngx_free(st->ahead);
        st->ahead = NULL;
    }
}


void
ngx_trp_stream_log_end(ngx_trp_stream_t *st, ngx_log_t *log)
{
    trp_str_t    text;
    const char  *why;

    if (st->logged
        || (st->in == NGX_TRP_STREAM_ENDED && st->out == NGX_TRP_STREAM_ENDED))
    {
        return;
    }

    if (st->udp && st->why == NULL) {

        /* it was not used for some time */
        return;
    }

    why = st->why ? st->why : ngx_trp_stream_guess(st);

    text.data = (const u_char *) why;
    text.len = ngx_strlen(why);

    ngx_trp_stream_log(st, NGX_LOG_INFO, log, "was aborted: ", text);
}


/* one more datagram is one more try, nobody is to be told of each */

static ngx_uint_t
ngx_trp_stream_level(ngx_trp_stream_t *st)
{
    return st->udp ? NGX_LOG_INFO : NGX_LOG_ERR;
}


/* the proxy has closed it, and does not tell why */

static const char *
ngx_trp_stream_guess(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->other(st);

    if (other && (other->error || other->read->error || other->write->error)) {
        return st->entry ? "user's connection was reset"
                         : "destination's connection was reset";
    }

    if (st->in == NGX_TRP_STREAM_ENDED) {
        return "the far side has ended, this side has not";
    }

    if (st->out == NGX_TRP_STREAM_ENDED) {
        return "this side has ended, the far side has not";
    }

    return "timed out or failed on this side";
}


void
ngx_trp_stream_log(ngx_trp_stream_t *st, ngx_uint_t level, ngx_log_t *log,
    const char *what, trp_str_t text)
{
    st->logged = 1;

    ngx_log_error(level, log, 0,
                  "stream %s%*s, destination: \"%V\", group: \"%V\"%s%V%s, "
                  "relay: %V, stream: %s",
                  what, text.len, text.data, &st->destination,
                  &st->pool->conf->group,
                  st->name.len ? ", entry: \"" : "", &st->name,
                  st->name.len ? "\"" : "", &st->pool->name,
                  ngx_trp_id_text(st->id).data);
}
