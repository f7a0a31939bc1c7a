
/*
 * Copyright (C) the trp authors
 */


/*
 * Passes bytes between two connections, with a buffer for each direction.  The
 * end of one is passed on to the other, as is an error.
 */


#include "turn/ngx_trp_turn_splice.h"
#include "base/trp_assert.h"
#include "stock/ngx_trp_ends.h"


#define NGX_TRP_TURN_SPLICE_BUFFER  16384

/* buffers read in one turn of the event loop */
#define NGX_TRP_TURN_SPLICE_READS   16

/* with a rate: bytes sent at a time, at least, and the wait for more */
#define NGX_TRP_TURN_SPLICE_MIN     1024
#define NGX_TRP_TURN_SPLICE_WAIT    50

/*
 * A timer keeps an exiting worker until its connections have ended, and checks
 * that the allocation's worker has not died.
 */
#define NGX_TRP_TURN_SPLICE_TIME    5000


/* one direction */

typedef struct {
    ngx_connection_t      *from;
    ngx_connection_t      *to;
    trp_turn_traffic_t     traffic;
    ngx_event_t            event;          /* waits for the rate */
    uint64_t               rate;
    uint64_t               allowed;        /* bytes */
    ngx_msec_t             last_time;
    u_char                *fed;            /* instead of "data" */
    u_char                *pos;
    u_char                *last;
    unsigned               eof:1;          /* nothing more to read */
    unsigned               done:1;         /* the other side knows */
    u_char                 data[NGX_TRP_TURN_SPLICE_BUFFER];
} ngx_trp_turn_way_t;


struct ngx_trp_turn_splice_s {
    ngx_trp_turn_way_t      up;
    ngx_trp_turn_way_t      down;
    ngx_event_t             timer;
    ngx_trp_turn_tally_t   *tally;
    ngx_atomic_uint_t       slot;          /* as the tally had it */
    ngx_atomic_uint_t       id;
    ngx_trp_turn_splice_pt  handler;
    void                   *data;
};


static void ngx_trp_turn_splice_handler(ngx_event_t *ev);
static void ngx_trp_turn_splice_rate_handler(ngx_event_t *ev);
static void ngx_trp_turn_splice_timer_handler(ngx_event_t *ev);
static ngx_uint_t ngx_trp_turn_splice_owned(ngx_trp_turn_splice_t *splice);
static void ngx_trp_turn_splice_run(ngx_trp_turn_splice_t *splice);
static ngx_int_t ngx_trp_turn_splice_way(ngx_trp_turn_way_t *way);
static ngx_int_t ngx_trp_turn_splice_end(ngx_trp_turn_way_t *way);
static size_t ngx_trp_turn_splice_allowed(ngx_trp_turn_way_t *way);


ngx_trp_turn_splice_t *
ngx_trp_turn_splice_create(ngx_connection_t *client, ngx_connection_t *peer,
    uint64_t rate, ngx_trp_turn_tally_t *tally, ngx_trp_turn_splice_pt done,
    void *data)
{
    ngx_uint_t              i;
    ngx_trp_turn_way_t     *way;
    ngx_trp_turn_splice_t  *splice;

    splice = ngx_alloc(sizeof(ngx_trp_turn_splice_t), client->log);
    if (splice == NULL) {
        return NULL;
    }

    ngx_memzero(splice, sizeof(ngx_trp_turn_splice_t));

    splice->tally = tally;
    splice->slot = tally ? tally->slot : 0;
    splice->id = tally ? tally->id : 0;
    splice->handler = done;
    splice->data = data;

    splice->up.from = client;
    splice->up.to = peer;
    splice->down.from = peer;
    splice->down.to = client;

    for (i = 0; i < 2; i++) {
        way = (i == 0) ? &splice->up : &splice->down;

        way->rate = rate;
        way->allowed = rate;
        way->last_time = ngx_current_msec;
        way->pos = way->data;
        way->last = way->data;

        way->event.data = splice;
        way->event.log = client->log;
        way->event.handler = ngx_trp_turn_splice_rate_handler;

        /* until its end is passed on: a reset, even if this worker is killed */

        ngx_trp_ends_arm(way->from);
        ngx_trp_ends_inline(way->from);

        way->from->data = splice;
        way->from->idle = 0;
        way->from->read->handler = ngx_trp_turn_splice_handler;
        way->from->write->handler = ngx_trp_turn_splice_handler;

        if (way->from->read->timer_set) {
            ngx_del_timer(way->from->read);
        }
    }

    splice->timer.data = splice;
    splice->timer.log = client->log;
    splice->timer.handler = ngx_trp_turn_splice_timer_handler;

    ngx_add_timer(&splice->timer, NGX_TRP_TURN_SPLICE_TIME);

    /* later: the caller needs the return value first */

    ngx_post_event(client->read, &ngx_posted_events);

    return splice;
}


void
ngx_trp_turn_splice_feed(ngx_trp_turn_splice_t *splice, u_char *data,
    size_t len)
{
    ngx_trp_turn_way_t  *way;

    way = &splice->up;

    trp_assert(way->fed == NULL && way->pos == way->last);

    way->fed = data;
    way->pos = data;
    way->last = data + len;
}


static void
ngx_trp_turn_splice_timer_handler(ngx_event_t *ev)
{
    ngx_trp_turn_splice_t  *splice;

    splice = ev->data;

    if (!ngx_trp_turn_splice_owned(splice)) {
        splice->handler(splice->data);
        return;
    }

    ngx_add_timer(ev, NGX_TRP_TURN_SPLICE_TIME);
}


static ngx_uint_t
ngx_trp_turn_splice_owned(ngx_trp_turn_splice_t *splice)
{
    return splice->tally == NULL
           || (splice->tally->slot == splice->slot
               && splice->tally->id == splice->id);
}


static void
ngx_trp_turn_splice_rate_handler(ngx_event_t *ev)
{
    ngx_trp_turn_splice_run(ev->data);
}


static void
ngx_trp_turn_splice_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_trp_turn_splice_run(c->data);
}


static void
ngx_trp_turn_splice_run(ngx_trp_turn_splice_t *splice)
{
    ngx_int_t          rc;
    ngx_connection_t  *client, *peer;

    client = splice->up.from;
    peer = splice->down.from;

    rc = (client->close || peer->close) ? NGX_ERROR
                                        : ngx_trp_turn_splice_way(&splice->up);
    if (rc == NGX_OK) {
        rc = ngx_trp_turn_splice_way(&splice->down);
    }

    if (splice->tally && ngx_trp_turn_splice_owned(splice)) {
        splice->tally->up = splice->up.traffic;
        splice->tally->down = splice->down.traffic;
    }

    if (rc != NGX_OK) {
        splice->handler(splice->data);
        return;
    }

    if (splice->up.done && splice->down.done) {
        splice->handler(splice->data);
        return;
    }

    if (ngx_handle_read_event(client->read, 0) != NGX_OK
        || ngx_handle_read_event(peer->read, 0) != NGX_OK
        || ngx_handle_write_event(client->write, 0) != NGX_OK
        || ngx_handle_write_event(peer->write, 0) != NGX_OK)
    {
        splice->handler(splice->data);
    }
}


static ngx_int_t
ngx_trp_turn_splice_way(ngx_trp_turn_way_t *way)
{
    size_t      size;
    ssize_t     n;
    ngx_uint_t  reads;

    for (reads = 0; ; reads++) {

        while (way->pos != way->last && way->to->write->ready) {
            n = way->to->send(way->to, way->pos, way->last - way->pos);

            if (n == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (n == NGX_AGAIN) {
                break;
            }

            way->pos += n;
            way->traffic.bytes += n;
        }

        if (way->pos != way->last) {
            return NGX_OK;
        }

        if (way->fed) {
            ngx_free(way->fed);
            way->fed = NULL;
        }

        if (way->eof) {
            return way->done ? NGX_OK : ngx_trp_turn_splice_end(way);
        }

        if (!way->from->read->ready) {
            return NGX_OK;
        }

        if (reads == NGX_TRP_TURN_SPLICE_READS) {

            /* other connections wait, too */

            ngx_post_event(way->from->read, &ngx_posted_next_events);
            return NGX_OK;
        }

        size = ngx_trp_turn_splice_allowed(way);

        if (size == 0) {
            return NGX_OK;
        }

        way->pos = way->data;
        way->last = way->data;

        n = way->from->recv(way->from, way->data, size);

        if (n == NGX_AGAIN) {
            return NGX_OK;
        }

        if (n == NGX_ERROR || (n == 0 && ngx_trp_ends_was_reset(way->from))) {
            return NGX_ERROR;
        }

        if (n == 0) {
            way->eof = 1;
            continue;
        }

        way->last += n;
        way->allowed -= ngx_min(way->allowed, (uint64_t) n);
        way->traffic.packets++;
    }
}


/* passes on the end of one direction; the other one goes on */

static ngx_int_t
ngx_trp_turn_splice_end(ngx_trp_turn_way_t *way)
{
    int  n;

    if (way->to->ssl) {

        if (!way->to->write->ready) {
            return NGX_OK;
        }

        ERR_clear_error();

        n = SSL_shutdown(way->to->ssl->connection);

        if (n < 0 && SSL_get_error(way->to->ssl->connection, n)
                     == SSL_ERROR_WANT_WRITE)
        {
            /* close_notify is sent on the next event */

            way->to->write->ready = 0;
            return NGX_OK;
        }

        ERR_clear_error();

    } else if (ngx_shutdown_socket(way->to->fd, NGX_WRITE_SHUTDOWN) == -1) {
        return NGX_ERROR;
    }

    way->done = 1;

    ngx_trp_ends_disarm(way->to);

    return NGX_OK;
}


/* how many bytes may be read; 0: none until "event" */

static size_t
ngx_trp_turn_splice_allowed(ngx_trp_turn_way_t *way)
{
    uint64_t  passed;

    if (way->rate == 0) {
        return NGX_TRP_TURN_SPLICE_BUFFER;
    }

    /* what is not used is saved, at most for a second */

    passed = ngx_current_msec - way->last_time;
    way->last_time = ngx_current_msec;

    way->allowed += way->rate * ngx_min(passed, 1000) / 1000;
    way->allowed = ngx_min(way->allowed, way->rate);

    if (way->allowed >= ngx_min(way->rate, NGX_TRP_TURN_SPLICE_MIN)) {
        return ngx_min(way->allowed, NGX_TRP_TURN_SPLICE_BUFFER);
    }

    if (!way->event.timer_set) {
        ngx_add_timer(&way->event, NGX_TRP_TURN_SPLICE_WAIT);
    }

    return 0;
}


void
ngx_trp_turn_splice_destroy(ngx_trp_turn_splice_t *splice)
{
    if (splice->timer.timer_set) {
        ngx_del_timer(&splice->timer);
    }

    if (splice->up.event.timer_set) {
        ngx_del_timer(&splice->up.event);
    }

    if (splice->down.event.timer_set) {
        ngx_del_timer(&splice->down.event);
    }

    if (splice->up.fed) {
        ngx_free(splice->up.fed);
    }

    ngx_close_connection(splice->up.to);

    ngx_free(splice);
}
