
/*
 * Copyright (C) the trp authors
 */


/*
 * A request, its buffer, and its place in the queue of those that wait for a
 * turn.  The buffer is filled in one turn or several, and sent; it is filled
 * again when all of it is gone.
 */


#include "http/ngx_trp_http_answer.h"


/* what is sent at once; a row more fits in */
#define NGX_TRP_HTTP_PIECE  8192


struct ngx_trp_http_answer_s {
    ngx_queue_t                    queue;     /* in turns->answers */
    ngx_trp_http_turns_t          *turns;
    ngx_http_request_t            *request;
    ngx_trp_http_write_pt          write;
    ngx_trp_http_cursor_t          cursor;
    ngx_buf_t                     *buf;
    ngx_chain_t                    out;       /* the buffer */
    unsigned                       queued:1;
};


static ngx_int_t ngx_trp_http_answer_header(ngx_http_request_t *r,
    const ngx_str_t *type);
static void ngx_trp_http_answer_queue(ngx_trp_http_answer_t *answer);
static void ngx_trp_http_answer_cleanup(void *data);
static void ngx_trp_http_turns_handler(ngx_event_t *ev);
static void ngx_trp_http_answer_turn(ngx_trp_http_answer_t *answer);
static ngx_int_t ngx_trp_http_answer_send(ngx_trp_http_answer_t *answer,
    ngx_uint_t last);
static void ngx_trp_http_answer_proceed(ngx_trp_http_answer_t *answer);
static void ngx_trp_http_answer_wait(ngx_http_request_t *r);
static void ngx_trp_http_answer_timer(ngx_http_request_t *r);


void
ngx_trp_http_turns_init(ngx_trp_http_turns_t *turns, ngx_cycle_t *cycle)
{
    ngx_queue_init(&turns->answers);

    turns->event.handler = ngx_trp_http_turns_handler;
    turns->event.data = turns;
    turns->event.log = cycle->log;
}


ngx_trp_http_answer_t *
ngx_trp_http_answer_create(ngx_http_request_t *r, ngx_trp_http_turns_t *turns,
    ngx_trp_http_write_pt write)
{
    ngx_http_cleanup_t     *cln;
    ngx_trp_http_answer_t  *answer;

    answer = ngx_pcalloc(r->pool, sizeof(ngx_trp_http_answer_t));
    if (answer == NULL) {
        return NULL;
    }

    answer->buf = ngx_create_temp_buf(r->pool,
                                      NGX_TRP_HTTP_PIECE + NGX_TRP_HTTP_ROW);
    if (answer->buf == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_http_answer_cleanup;
    cln->data = answer;

    answer->turns = turns;
    answer->request = r;
    answer->write = write;
    answer->out.buf = answer->buf;

    /* a filter that sends only much at once must not keep it */

    answer->buf->recycled = 1;

    return answer;
}


ngx_int_t
ngx_trp_http_answer_begin(ngx_trp_http_answer_t *answer, const ngx_str_t *type)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = answer->request;

    rc = ngx_trp_http_answer_header(r, type);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    r->http_state = NGX_HTTP_WRITING_REQUEST_STATE;
    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    ngx_trp_http_answer_queue(answer);

    return NGX_DONE;
}


static ngx_int_t
ngx_trp_http_answer_header(ngx_http_request_t *r, const ngx_str_t *type)
{
    size_t      len;
    u_char     *p;
    ngx_uint_t  i;

    static const struct {
        ngx_str_t  key;
        ngx_str_t  value;
    } headers[] = {
        { ngx_string("Cache-Control"), ngx_string("no-store") },
        { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") }
    };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        ngx_table_elt_t  *h;

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        h->key = headers[i].key;
        h->value = headers[i].value;
    }

    p = ngx_strlchr(type->data, type->data + type->len, ';');
    len = p ? (size_t) (p - type->data) : type->len;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = len;
    r->headers_out.content_type_lowcase = NULL;

    ngx_http_clear_content_length(r);
    ngx_http_clear_last_modified(r);

    return ngx_http_send_header(r);
}


/* a worker that has no timers exits, so one is kept all the time */

static void
ngx_trp_http_answer_queue(ngx_trp_http_answer_t *answer)
{
    ngx_trp_http_answer_timer(answer->request);

    if (!answer->queued) {
        ngx_queue_insert_tail(&answer->turns->answers, &answer->queue);
        answer->queued = 1;
    }

    if (!answer->turns->event.posted) {
        ngx_post_event(&answer->turns->event, &ngx_posted_next_events);
    }
}


/* the request ends */

static void
ngx_trp_http_answer_cleanup(void *data)
{
    ngx_trp_http_answer_t  *answer = data;

    if (answer->queued) {
        ngx_queue_remove(&answer->queue);
        answer->queued = 0;
    }
}


static void
ngx_trp_http_turns_handler(ngx_event_t *ev)
{
    ngx_queue_t            *q;
    ngx_connection_t       *c;
    ngx_trp_http_turns_t   *turns;
    ngx_trp_http_answer_t  *answer;

    turns = ev->data;

    if (ngx_queue_empty(&turns->answers)) {
        return;
    }

    q = ngx_queue_head(&turns->answers);
    answer = ngx_queue_data(q, ngx_trp_http_answer_t, queue);

    ngx_queue_remove(q);
    answer->queued = 0;

    if (!ngx_queue_empty(&turns->answers)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }

    c = answer->request->connection;

    ngx_http_set_log_request(c->log, answer->request);

    ngx_trp_http_answer_turn(answer);

    ngx_http_run_posted_requests(c);
}


/* may end the request */

static void
ngx_trp_http_answer_turn(ngx_trp_http_answer_t *answer)
{
    ngx_int_t                rc;
    ngx_event_t             *wev;
    ngx_http_request_t      *r;
    ngx_trp_status_reader_t  reader;

    r = answer->request;

    rc = ngx_trp_status_reader((ngx_cycle_t *) ngx_cycle, &reader);

    ngx_trp_http_turn(&answer->cursor, (rc == NGX_OK) ? &reader : NULL);

    rc = answer->write(&answer->cursor, answer->buf);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (rc == NGX_AGAIN
        && answer->buf->last - answer->buf->start < NGX_TRP_HTTP_PIECE)
    {
        ngx_trp_http_answer_queue(answer);
        return;
    }

    if (rc == NGX_OK) {
        wev = r->connection->write;

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        ngx_http_finalize_request(r, ngx_trp_http_answer_send(answer, 1));
        return;
    }

    if (ngx_trp_http_answer_send(answer, 0) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_trp_http_answer_proceed(answer);
}


static ngx_int_t
ngx_trp_http_answer_send(ngx_trp_http_answer_t *answer, ngx_uint_t last)
{
    ngx_http_request_t  *r;

    r = answer->request;

    answer->buf->last_buf = (last && r == r->main);
    answer->buf->last_in_chain = last;

    return ngx_http_output_filter(r, &answer->out);
}


/* with the next turn, or first when the client has read */

static void
ngx_trp_http_answer_proceed(ngx_trp_http_answer_t *answer)
{
    ngx_buf_t  *b;

    b = answer->buf;

    if (ngx_buf_size(b) != 0) {
        ngx_trp_http_answer_wait(answer->request);
        return;
    }

    b->pos = b->start;
    b->last = b->start;

    ngx_trp_http_answer_queue(answer);
}


static void
ngx_trp_http_answer_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);

    ngx_trp_http_answer_timer(r);

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_trp_http_answer_timer(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;

    /* "limit_rate" has its own */

    if (!wev->delayed) {
        clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);
        ngx_add_timer(wev, clcf->send_timeout);
    }
}


void
ngx_trp_http_answer_writable(ngx_trp_http_answer_t *answer)
{
    ngx_event_t         *wev;
    ngx_http_request_t  *r;

    r = answer->request;
    wev = r->connection->write;

    if (answer->queued) {

        /* it is not the client that is waited for */

        if (wev->timedout) {
            wev->timedout = 0;
            ngx_trp_http_answer_timer(r);
        }

        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");

        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed) {
        ngx_trp_http_answer_wait(r);
        return;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_trp_http_answer_proceed(answer);
}
