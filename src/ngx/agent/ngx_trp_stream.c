
/*
 * Copyright (C) the trp authors
 */


/*
 * The life of a stream: it is opened, gets a tunnel, is accepted or refused,
 * and ends or is aborted.
 */


#include "agent/ngx_trp_stream.h"
#include "agent/ngx_trp_stream_log.h"
#include "base/ngx_trp_connect.h"
#include "base/ngx_trp_fake.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"


/* the stream that holds a tunnel */

#define ngx_trp_stream_holds(holder)                                         \
    ngx_queue_data(holder, ngx_trp_stream_t, holder)


static ssize_t ngx_trp_stream_recv_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit);
static void ngx_trp_stream_accepted(ngx_trp_stream_t *st);
static void ngx_trp_stream_refused(ngx_trp_stream_t *st, trp_frame_t *frame);
static void ngx_trp_stream_got_reset(ngx_trp_stream_t *st);
static void ngx_trp_stream_stop_waiting(ngx_trp_stream_t *st);
static void ngx_trp_stream_detach(ngx_trp_stream_t *st);
static void ngx_trp_stream_remember(ngx_trp_stream_t *st);
static void ngx_trp_stream_reopen(ngx_trp_stream_t *st);
static void ngx_trp_stream_timeout(ngx_event_t *ev);

static void ngx_trp_stream_holder_attach(ngx_trp_holder_t *holder,
    ngx_trp_tunnel_t *t);
static void ngx_trp_stream_holder_reopen(ngx_trp_holder_t *holder);
static void ngx_trp_stream_holder_fail(ngx_trp_holder_t *holder,
    ngx_uint_t code, const char *why);
static ngx_int_t ngx_trp_stream_readable(ngx_trp_holder_t *holder);
static void ngx_trp_stream_writable(ngx_trp_holder_t *holder);
static ngx_int_t ngx_trp_stream_frame(ngx_trp_holder_t *holder,
    trp_frame_t *frame);
static void ngx_trp_stream_drain(ngx_trp_holder_t *holder);
static void ngx_trp_stream_holder_detach(ngx_trp_holder_t *holder);
static void ngx_trp_stream_holder_lost(ngx_trp_holder_t *holder);
static ngx_uint_t ngx_trp_stream_holder_elsewhere(ngx_trp_holder_t *holder);


static const ngx_trp_holder_ops_t  ngx_trp_stream_holder_ops = {
    ngx_trp_stream_holder_attach,
    ngx_trp_stream_holder_reopen,
    ngx_trp_stream_holder_fail,
    ngx_trp_stream_readable,
    ngx_trp_stream_writable,
    ngx_trp_stream_frame,
    ngx_trp_stream_drain,
    ngx_trp_stream_holder_detach,
    ngx_trp_stream_holder_lost,
    ngx_trp_stream_holder_elsewhere
};


#if (NGX_DEBUG)

/* of ngx_trp_stream_end_e */

static const char *const  ngx_trp_stream_ends[] = {
    "open", "ended", "aborted"
};

#endif


ngx_int_t
ngx_trp_stream_create(ngx_trp_stream_t *st, ngx_socket_t fd, ngx_log_t *log)
{
    ngx_connection_t  *c;

    trp_assert(st->ops && st->handlers && st->source);

    if (st->entry && !st->source->ops->admits(st->source)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "worker_connections leave none for a tunnel");
        return NGX_ERROR;
    }

    c = ngx_trp_fake_connection(fd, log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    /* the last buffer tells of the end, which may be a reset */
    c->need_last_buf = 1;

    /*
     * The proxy overwrites data, log and pool.  On a SOCK_STREAM connection,
     * nginx does not touch "udp".  On a SOCK_DGRAM one, "proxy_requests" would
     * remove it from a tree, so "queue" is used as well: the connection is
     * never in the queue of reusable ones.
     */

    c->queue.next = (ngx_queue_t *) st;

    if (st->ops->udp) {
        c->type = SOCK_DGRAM;

#if (nginx_version >= 1023000)
        /* a datagram may be empty */
        c->need_flush_buf = 1;
#endif

    } else {
        c->udp = (ngx_udp_connection_t *) st;
    }

    c->recv = st->ops->recv;
    c->send = st->ops->send;
    c->recv_chain = ngx_trp_stream_recv_chain;
    c->send_chain = st->ops->send_chain;

    st->connection = c;
    st->holder.ops = &ngx_trp_stream_holder_ops;

    st->timer.data = st;
    st->timer.log = log;
    st->timer.handler = ngx_trp_stream_timeout;

    if (!st->entry) {
        ngx_queue_insert_tail(&st->agent->streams, &st->live);
        st->agent->ndatagrams += st->ops->udp;
    }

    return NGX_OK;
}


/* recv_chain, the same for all streams, tells them from other connections */

ngx_trp_stream_t *
ngx_trp_stream_of(ngx_connection_t *c)
{
    if (c->recv_chain != ngx_trp_stream_recv_chain) {
        return NULL;
    }

    return (ngx_trp_stream_t *) c->queue.next;
}


/* opening: the entry's part */


void
ngx_trp_stream_open(ngx_trp_stream_t *st, ngx_msec_t timeout)
{
    ngx_trp_tunnel_t  *t;

    trp_assert(st->entry && st->tunnel == NULL && !st->waiting);

    if (timeout) {
        ngx_add_timer(&st->timer, timeout);
    }

    t = st->source->ops->get(st->source);

    if (t) {
        ngx_trp_stream_attach(st, t);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, st->connection->log, 0,
                   "trp stream %s: waits for a tunnel to \"%V\"",
                   ngx_trp_id_text(st->id).data, &st->source->name);

    st->waiting = 1;
    st->source->ops->wait(st->source, &st->holder);
}


void
ngx_trp_stream_attach(ngx_trp_stream_t *st, ngx_trp_tunnel_t *t)
{
    u_char  *last;

    trp_assert(st->tunnel == NULL && !st->closed);
    trp_assert(t->holder == NULL);

    st->waiting = 0;
    st->tunnel = t;
    st->ahead.since = ngx_current_msec;
    t->holder = &st->holder;

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, st->connection->log, 0,
                   "trp stream %s: takes tunnel *%uA of \"%V\"",
                   ngx_trp_id_text(st->id).data,
                   t->connection->number, &st->source->name);

    if (!st->entry) {
        return;
    }

    last = trp_open_end(st->early.open, st->early.open_len);

    last[-TRP_OPEN_FLAGS] = (st->handlers->elsewhere(st) ? TRP_OPEN_ELSEWHERE
                                                         : 0)
                            | (st->tries.again ? TRP_OPEN_AGAIN : 0);
    st->tries.again = 1;

    last[-TRP_OPEN_RETRIES] = NGX_TRP_STREAM_RETRIES - st->tries.retries;

    trp_open_put_spare(last, st->source->spare);

    ngx_trp_tunnel_send_frame(t, st->early.open,
                              st->early.open + st->early.open_len);

    /* if the user speaks at once, the first bytes come in the next turn */

    ngx_trp_tunnel_flush_later(t);

    ngx_trp_tunnel_expect(t);

    st->early.sent = 0;
    ngx_trp_stream_pump(st);
}


static void
ngx_trp_stream_timeout(ngx_event_t *ev)
{
    static const trp_str_t  no_tunnel = trp_string(", no tunnel was free");
    static const trp_str_t  nothing = trp_string("");

    ngx_trp_stream_t  *st;

    st = ev->data;

    if (st->held) {
        st->held = 0;
        ngx_trp_fake_wake(st->connection->read);
        return;
    }

    st->unreachable = st->waiting;

    ngx_trp_stream_log(st, ngx_trp_stream_level(st), ev->log,
                       "was not opened in time",
                       st->waiting ? no_tunnel : nothing);

    ngx_trp_stream_abort(st, TRP_CODE_TIMED_OUT);
}


static void
ngx_trp_stream_accepted(ngx_trp_stream_t *st)
{
    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, st->connection->log, 0,
                   "trp stream %s: accepted by the reverse, refused before: "
                   "%ui", ngx_trp_id_text(st->id).data,
                   (ngx_uint_t) st->tries.retries);

    st->accepted = 1;
    st->logged = 0;

    if (st->timer.timer_set) {
        ngx_del_timer(&st->timer);
    }

    st->handlers->opened(st);

    ngx_trp_stream_pump(st);

    if (st->early.data == NULL && st->out == NGX_TRP_STREAM_OPEN
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

    t = st->tunnel;

    if (trp_refuse_get(&refuse, t->reader.buf, frame->len) != TRP_OK) {
        refuse.code = TRP_CODE_FAILED;
        refuse.retry = 0;
        refuse.text.len = 0;
    }

    if (refuse.code == TRP_CODE_DRAINING) {

        /* no failure: the relay's worker exits */
        t->draining = 1;

    } else if (refuse.retry && st->tries.retries++ == NGX_TRP_STREAM_RETRIES) {
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

    st->tries.leave = (refuse.code == TRP_CODE_NO_AGENT);

    if (refuse.retry) {

        /* the tunnel finishes this attempt on its own */

        t->holder = NULL;
        ngx_trp_tunnel_abandon(t, NULL, 1);
        st->tunnel = NULL;

        ngx_trp_stream_reopen(st);
        return;
    }

    ngx_trp_stream_abort(st, refuse.code);
}


/*
 * Nothing of a stream that was not accepted has reached its destination.  A
 * lost tunnel does not count as a try: others may have died with it.
 */

static void
ngx_trp_stream_reopen(ngx_trp_stream_t *st)
{
    static const trp_str_t  nothing = trp_string("");

    st->waiting = 0;
    st->logged = 0;
    st->handlers->reroute(st);

    if (st->handlers->hopeless && st->handlers->hopeless(st)) {
        ngx_trp_stream_log(st, NGX_LOG_INFO, st->connection->log,
                           "was refused: no agent", nothing);
        ngx_trp_stream_abort(st, TRP_CODE_NO_AGENT);
        return;
    }

    ngx_trp_stream_open(st, 0);
}


/* reading */


static ngx_int_t
ngx_trp_stream_readable(ngx_trp_holder_t *holder)
{
    ngx_event_t       *rev;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);

    if (st->in != NGX_TRP_STREAM_OPEN || (st->entry && !st->accepted)) {
        return NGX_DECLINED;
    }

    if (!st->entry && st->ops->read_ahead
        && (!st->accepted || st->ahead.kept || st->taken < TRP_TUNNEL_SHORT))
    {
        st->ops->read_ahead(st);
    }

    rev = st->connection->read;

    if (st->in != NGX_TRP_STREAM_OPEN) {
        ngx_trp_fake_wake(rev);
        return NGX_AGAIN;
    }

    if (rev->posted) {
        ngx_delete_posted_event(rev);
    }

    rev->ready = 1;
    rev->handler(rev);

    return NGX_OK;
}


/* frees the buffer once it is empty */

void
ngx_trp_stream_free_ahead(ngx_trp_stream_t *st)
{
    if (st->ahead.data && st->ahead.pos == st->ahead.len) {
        ngx_free(st->ahead.data);
        st->ahead.data = NULL;
        st->ahead.pos = 0;
        st->ahead.len = 0;
    }
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

        n = c->recv(c, b->last, size);

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


static void
ngx_trp_stream_writable(ngx_trp_holder_t *holder)
{
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);

    ngx_trp_stream_pump(st);

    if (st->out == NGX_TRP_STREAM_OPEN) {
        ngx_trp_fake_wake(st->connection->write);
    }
}


/* sends the early bytes and the ends, as far as the tunnel takes them */

void
ngx_trp_stream_pump(ngx_trp_stream_t *st)
{
    ngx_trp_tunnel_t  *t;

    t = st->tunnel;

    if (t == NULL) {
        return;
    }

    if (st->early.sent < st->early.len) {

        st->ops->send_early(st);

        if (st->early.sent < st->early.len) {
            return;
        }
    }

    if (st->out == NGX_TRP_STREAM_ENDED && trp_tunnel_busy(&t->state)) {

        if (!(t->state.sent & TRP_SEEN_END)) {
            ngx_trp_tunnel_send(t, TRP_END);
        }

        /* before END, it would be of no use */

        if (st->consumed && !(t->state.sent & TRP_SEEN_DONE)) {
            ngx_trp_tunnel_send(t, TRP_DONE);
        }

        if (st->entry && trp_tunnel_idle(&t->state)) {

            /* nothing waits for it: it may go with the next OPEN */
            ngx_trp_tunnel_flush_after(t, NGX_TRP_END_TIME);
        }
    }

    if (st->accepted && st->early.data) {
        ngx_free(st->early.data);
        st->early.data = NULL;
        st->early.len = 0;
        st->early.sent = 0;
        st->early.datagrams = 0;

        st->connection->buffered &= ~NGX_LOWLEVEL_BUFFERED;

        if (st->out == NGX_TRP_STREAM_OPEN) {
            ngx_trp_fake_wake(st->connection->write);
        }
    }
}


/*
 * If the user has spoken first, the answer is likely to come soon, and ACCEPT
 * goes out with it.  But an entry that has more to send waits for ACCEPT.
 */

void
ngx_trp_stream_accept(ngx_trp_stream_t *st)
{
    if (st->accepted) {
        return;
    }

    trp_assert(!st->entry);

    st->accepted = 1;
    st->ahead.kept = 0;

    /* the proxy is about to read */
    st->connection->read->ready = 1;

    if (st->tunnel == NULL) {
        return;
    }

    ngx_trp_tunnel_send(st->tunnel, TRP_ACCEPT);

    if (st->tunnel->doubt.asked && !st->ops->udp) {

        /* the relay may have opened the stream elsewhere: it has to confirm */
        st->ahead.kept = 1;
        return;
    }

    if (st->taken && st->taken < NGX_TRP_EARLY_SIZE / 2 && !st->ops->udp) {
        ngx_trp_tunnel_flush_after(st->tunnel, NGX_TRP_ACCEPT_TIME);
    }
}


void
ngx_trp_stream_keep(ngx_trp_stream_t *st)
{
    st->ahead.kept = !st->ops->udp;
}


void
ngx_trp_stream_check(ngx_trp_stream_t *st)
{
    ngx_event_t  *rev;

    if (st->tunnel == NULL || st->accepted || st->ops->read_ahead == NULL
        || ngx_current_msec - st->ahead.since < NGX_TRP_ACCEPT_LATE)
    {
        return;
    }

    rev = st->tunnel->connection->read;

    /* its event may be in the queue behind this one */

    rev->ready = 1;
    st->ops->read_ahead(st);
}


/* the tunnel's side: the stream as the holder of a link */


static void
ngx_trp_stream_holder_attach(ngx_trp_holder_t *holder, ngx_trp_tunnel_t *t)
{
    ngx_trp_stream_attach(ngx_trp_stream_holds(holder), t);
}


static void
ngx_trp_stream_holder_reopen(ngx_trp_holder_t *holder)
{
    ngx_trp_stream_reopen(ngx_trp_stream_holds(holder));
}


static void
ngx_trp_stream_holder_fail(ngx_trp_holder_t *holder, ngx_uint_t code,
    const char *why)
{
    u_char             buf[2 * TRP_TEXT_MAX];
    trp_str_t          text;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);

    st->waiting = 0;

    text.data = buf;
    text.len = ngx_snprintf(buf, sizeof(buf), ": %s, %s", trp_code_text(code),
                            why)
               - buf;

    ngx_trp_stream_log(st, ngx_trp_stream_level(st), st->connection->log,
                       "was refused", text);

    ngx_trp_stream_abort(st, code);
}


static void
ngx_trp_stream_holder_detach(ngx_trp_holder_t *holder)
{
    ngx_trp_stream_detach(ngx_trp_stream_holds(holder));
}


static void
ngx_trp_stream_holder_lost(ngx_trp_holder_t *holder)
{
    ngx_trp_stream_lost(ngx_trp_stream_holds(holder));
}


static ngx_uint_t
ngx_trp_stream_holder_elsewhere(ngx_trp_holder_t *holder)
{
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);

    return st->handlers->elsewhere(st);
}


static ngx_int_t
ngx_trp_stream_frame(ngx_trp_holder_t *holder, trp_frame_t *frame)
{
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);

    switch (frame->type) {

    case TRP_PONG:
        if (st->ahead.kept && st->accepted) {
            st->ahead.kept = 0;
            ngx_trp_fake_wake(st->connection->read);
        }

        return NGX_OK;

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
 * After END, RESET (or a lost tunnel) says that the far end no longer reads.
 * What came before END is complete, and is not taken back: if some of it is
 * still on its way to the other side, that side learns of the reset when it
 * writes.
 */

static void
ngx_trp_stream_got_reset(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->handlers->other(st);

    if (st->in == NGX_TRP_STREAM_ENDED && other
        && !st->ahead.kept && !st->ops->udp
        && (!st->consumed || other->buffered
            || ngx_trp_connect_unsent(other)))
    {
        st->out = NGX_TRP_STREAM_ABORTED;
        ngx_trp_fake_wake(st->connection->write);
        return;
    }

    ngx_trp_stream_abort(st, st->accepted ? st->code : TRP_CODE_FAILED);
}


/* stops waiting for ACCEPT and for a tunnel */

static void
ngx_trp_stream_stop_waiting(ngx_trp_stream_t *st)
{
    if (st->timer.timer_set) {
        ngx_del_timer(&st->timer);
    }

    if (st->waiting) {
        st->waiting = 0;
        st->source->ops->cancel(st->source, &st->holder);
    }
}


void
ngx_trp_stream_abort(ngx_trp_stream_t *st, ngx_uint_t code)
{
    ngx_trp_stream_stop_waiting(st);

    st->in = NGX_TRP_STREAM_ABORTED;
    st->code = code;

    if (!st->accepted || st->ahead.kept) {
        st->ahead.kept = 0;

        if (st->entry) {
            st->handlers->failed(st);

        } else if (!st->ops->udp) {

            /* the proxy gives up connecting: nothing reaches the destination */

            st->connection->write->timedout = !st->accepted;

            st->ahead.pos = st->ahead.len;
            ngx_trp_stream_free_ahead(st);
        }
    }

    if (st->held) {
        return;
    }

    ngx_trp_fake_wake(st->connection->read);
    ngx_trp_fake_wake(st->connection->write);
}


void
ngx_trp_stream_hold(ngx_trp_stream_t *st)
{
    trp_assert(st->ops->udp && st->entry && !st->timer.timer_set);

    st->held = 1;
    ngx_add_timer(&st->timer, NGX_TRP_HOLD_TIME);
}


/* both ends have passed, and the tunnel is needed elsewhere */

static void
ngx_trp_stream_detach(ngx_trp_stream_t *st)
{
    trp_assert(st->tunnel->holder == &st->holder);

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, st->tunnel->connection->log, 0,
                   "trp stream %s: leaves tunnel *%uA",
                   ngx_trp_id_text(st->id).data,
                   st->tunnel->connection->number);

    st->tunnel->holder = NULL;
    st->tunnel = NULL;
}


void
ngx_trp_stream_lost(ngx_trp_stream_t *st)
{
    static const trp_str_t  again = trp_string(", opening it once more");

    ngx_uint_t  unsafe;

    unsafe = (st->tunnel && st->tunnel->doubt.unsafe);

    if (st->tunnel) {
        ngx_trp_stream_detach(st);
    }

    ngx_trp_stream_remember(st);

    if (st->in == NGX_TRP_STREAM_ENDED && st->out == NGX_TRP_STREAM_ENDED) {

        /* both ends have passed, only their DONE has not */
        return;
    }

    if (st->in == NGX_TRP_STREAM_ENDED) {
        ngx_trp_stream_why(st, "tunnel was lost");
        ngx_trp_stream_got_reset(st);
        return;
    }

    if (st->in == NGX_TRP_STREAM_OPEN && st->entry && !st->accepted && !unsafe
        && st->tries.losses++ < NGX_TRP_STREAM_LOSSES)
    {
        ngx_trp_stream_log(st, NGX_LOG_INFO, st->connection->log,
                           "lost its tunnel", again);
        ngx_trp_stream_reopen(st);
        return;
    }

    ngx_trp_stream_why(st, "tunnel was lost");
    ngx_trp_stream_abort(st, st->accepted ? st->code : TRP_CODE_FAILED);
}


/* the entry may have missed ACCEPT, and open the stream once more */

static void
ngx_trp_stream_remember(ngx_trp_stream_t *st)
{
    if (!st->entry && st->accepted) {
        trp_recent_add(&st->agent->lost, st->id);
    }
}


ngx_uint_t
ngx_trp_stream_known(ngx_trp_agent_worker_t *agent, const u_char *id)
{
    ngx_queue_t       *q;
    ngx_trp_stream_t  *st;

    if (trp_recent_has(&agent->lost, id)) {
        return 1;
    }

    for (q = ngx_queue_head(&agent->streams);
         q != ngx_queue_sentinel(&agent->streams);
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
 * In a worker that exits, the proxy ends a session of UDP on its next event,
 * unless its client is, from now on, a connection that may last.  The proxy
 * that has not connected would take it for one of TCP: that one has to end.
 */

static void
ngx_trp_stream_drain(ngx_trp_holder_t *holder)
{
    ngx_event_t       *rev;
    ngx_trp_stream_t  *st;

    st = ngx_trp_stream_holds(holder);
    rev = st->connection->read;

    if (!st->ops->udp || st->entry || !ngx_exiting) {
        return;
    }

    if (st->accepted) {
        st->connection->type = SOCK_STREAM;
        return;
    }

    if (!rev->posted) {

        /* this runs outside of the event loop: make it turn once more */
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

    ngx_log_debug6(NGX_LOG_DEBUG_STREAM, st->timer.log, 0,
                   "trp stream %s: the proxy closes it, read: %s, written: %s, "
                   "%uz bytes read, %O written, %s",
                   ngx_trp_id_text(st->id).data,
                   ngx_trp_stream_ends[st->in], ngx_trp_stream_ends[st->out],
                   st->taken, st->connection->sent,
                   st->tunnel ? "its tunnel finishes it" : "no tunnel has it");

    if (!st->entry) {
        ngx_queue_remove(&st->live);
        st->agent->ndatagrams -= st->ops->udp;
    }

    ngx_trp_stream_stop_waiting(st);

    t = st->tunnel;

    if (t) {

        if (st->ops->closing) {
            st->ops->closing(st);
        }

        ngx_trp_stream_detach(st);
        ngx_trp_tunnel_abandon(t, refuse,
                               st->in != NGX_TRP_STREAM_ENDED && !st->ops->udp);
    }

    if (st->early.data) {
        ngx_free(st->early.data);
        st->early.data = NULL;
    }

    if (st->part.data) {
        ngx_free(st->part.data);
        st->part.data = NULL;
    }

    if (st->ahead.data) {
        ngx_free(st->ahead.data);
        st->ahead.data = NULL;
    }
}
