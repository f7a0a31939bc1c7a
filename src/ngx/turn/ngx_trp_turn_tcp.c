
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients over TCP and TLS: stream sessions of nginx, which this content
 * handler reads message by message.  A client without an allocation may send
 * little, and has some time to get one.  What a client does not read is queued,
 * up to a limit.
 */


#include "turn/ngx_trp_turn_tcp.h"
#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_socket.h"


/* fits the longest message and ChannelData, and what came after them */
#define NGX_TRP_TURN_SCRATCH      (256 * 1024)

/* bytes read at once: from a client with an allocation, and from others */
#define NGX_TRP_TURN_READ         65536
#define NGX_TRP_TURN_READ_LESS    4096

/* in one turn of the event loop */
#define NGX_TRP_TURN_TCP_READS    4
#define NGX_TRP_TURN_TCP_MESSAGES 256

/* bytes queued for a client: of peers' data, and in all */
#define NGX_TRP_TURN_QUEUE_DATA   (256 * 1024)
#define NGX_TRP_TURN_QUEUE_MAX    (384 * 1024)

/* time to get an allocation in a worker that exits */
#define NGX_TRP_TURN_EXIT_TIME    5000


struct ngx_trp_turn_chunk_s {
    ngx_trp_turn_chunk_t   *next;
    size_t                  pos;
    size_t                  len;
    u_char                  data[];
};


static ngx_int_t ngx_trp_turn_tcp_tuple(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_tcp_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_trp_turn_tcp_read(ngx_trp_turn_client_t *client);
static ngx_uint_t ngx_trp_turn_tcp_allocated(ngx_trp_turn_client_t *client);
static ssize_t ngx_trp_turn_tcp_messages(ngx_trp_turn_client_t *client,
    u_char *data, size_t len, ngx_uint_t *left);
static ngx_int_t ngx_trp_turn_tcp_long(ngx_trp_turn_client_t *client,
    u_char *data, size_t len);
static ngx_int_t ngx_trp_turn_tcp_keep(ngx_trp_turn_client_t *client,
    u_char *data, size_t len);
static void ngx_trp_turn_tcp_wait(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_tcp_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_trp_turn_tcp_write(ngx_trp_turn_client_t *client);
static void ngx_trp_turn_tcp_cleanup(void *data);


void
ngx_trp_turn_tcp_handler(ngx_stream_session_t *s,
    ngx_trp_turn_server_t *server)
{
    ngx_connection_t       *c;
    ngx_pool_cleanup_t     *cln;
    ngx_trp_turn_client_t  *client;

    c = s->connection;

    c->log->action = "serving TURN client";

    if (c->type != SOCK_STREAM) {
        ngx_log_error(NGX_LOG_ALERT, c->log, 0, "datagram in a session");
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    client = ngx_pcalloc(c->pool, sizeof(ngx_trp_turn_client_t));
    cln = ngx_pool_cleanup_add(c->pool, 0);

    if (client == NULL || cln == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    client->server = server;
    client->session = s;
    client->connection = c;
    client->last = &client->out;

    client->guest = ngx_trp_guard_find(c);
    client->deadline = server->conf->allocate_timeout
                       + (client->guest ? ngx_trp_guard_since(client->guest)
                                        : ngx_current_msec);

    cln->handler = ngx_trp_turn_tcp_cleanup;
    cln->data = client;

    s->ctx[server->conf->ctx_index] = client;

    if (server->worker->scratch == NULL) {
        server->worker->scratch = ngx_palloc(ngx_cycle->pool,
                                             NGX_TRP_TURN_SCRATCH);
    }

    if (server->worker->scratch == NULL
        || ngx_trp_turn_tcp_tuple(client) != NGX_OK)
    {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, c->log, 0,
                   "trp turn %s: client over %s begins",
                   ngx_trp_turn_text(&client->tuple.client).data,
                   c->ssl ? "TLS" : "TCP");

    if (c->buffer && c->buffer->pos != c->buffer->last
        && ngx_trp_turn_tcp_keep(client, c->buffer->pos,
                                 c->buffer->last - c->buffer->pos)
           != NGX_OK)
    {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
    }

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    c->data = client;
    c->read->handler = ngx_trp_turn_tcp_read_handler;
    c->write->handler = ngx_trp_turn_tcp_write_handler;

    ngx_trp_turn_tcp_read_handler(c->read);
}


static ngx_int_t
ngx_trp_turn_tcp_tuple(ngx_trp_turn_client_t *client)
{
    ngx_connection_t  *c;

    c = client->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_turn_taddr(&client->tuple.client, c->sockaddr);
    ngx_trp_turn_taddr(&client->tuple.server, c->local_sockaddr);

    client->tuple.transport = c->ssl ? TRP_TRANSPORT_TLS : TRP_TRANSPORT_TCP;

    if (client->tuple.client.addr.family == 0) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "TURN client has no IP address");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trp_turn_tcp_read_handler(ngx_event_t *rev)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_trp_turn_client_t  *client;

    c = rev->data;
    client = c->data;

    if (c->close && c->idle) {

        /* the worker exits, but an Allocate may be on its way */

        c->close = 0;
        c->idle = 0;

        ngx_add_timer(rev, NGX_TRP_TURN_EXIT_TIME);
        return;
    }

    if (c->close || client->failed) {
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;

        if (client->attaching) {
            client->data->timedout(client);

            if (client->known || client->guest == NULL
                || ngx_trp_guard_here(client->guest))
            {
                return;
            }

            /* it has to give way to another client */
        }

        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "TURN client has no allocation");
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        return;
    }

    rc = ngx_trp_turn_tcp_read(client);

    if (rc == NGX_DONE) {

        /* now it is a data connection */
        return;
    }

    if (rc == NGX_ERROR || client->failed) {
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client sent neither STUN nor ChannelData");
        ngx_trp_turn_tcp_close(client, NGX_STREAM_BAD_REQUEST);
        return;
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_trp_turn_tcp_close(client, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_trp_turn_tcp_wait(client);
}


/* a client with an allocation may be silent until the lifetime is over */

static void
ngx_trp_turn_tcp_wait(ngx_trp_turn_client_t *client)
{
    ngx_uint_t         allocated;
    ngx_msec_int_t     left;
    ngx_connection_t  *c;

    c = client->connection;

    if (client->attaching) {
        return;
    }

    allocated = ngx_trp_turn_tcp_allocated(client);

    c->idle = (!allocated && !ngx_exiting);

    if (allocated) {
        client->known = 1;
        ngx_trp_guard_leave(client->guest);

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        return;
    }

    /* messages do not extend the client's time */

    if (!c->read->timer_set) {
        left = (ngx_msec_int_t) (client->deadline - ngx_current_msec);
        left = ngx_max(left, 1);

        ngx_add_timer(c->read, ngx_exiting
                               ? ngx_min(left, NGX_TRP_TURN_EXIT_TIME) : left);
    }
}


static ngx_uint_t
ngx_trp_turn_tcp_allocated(ngx_trp_turn_client_t *client)
{
    return trp_turn_find(client->server->turn, &client->tuple) != NULL;
}


void
ngx_trp_turn_tcp_freed(ngx_trp_turn_client_t *client)
{
    if (!client->failed) {
        client->deadline = ngx_current_msec
                           + client->server->conf->allocate_timeout;
        ngx_trp_turn_tcp_wait(client);
    }
}


/* reads a limited amount: the rest is for the next turn of the event loop */

static ngx_int_t
ngx_trp_turn_tcp_read(ngx_trp_turn_client_t *client)
{
    size_t             len, size;
    u_char            *scratch;
    ssize_t            n, used;
    ngx_uint_t         i, left, more;
    ngx_connection_t  *c;

    c = client->connection;
    scratch = client->server->worker->scratch;
    left = NGX_TRP_TURN_TCP_MESSAGES;

    for (i = 0; i < NGX_TRP_TURN_TCP_READS && left; i++) {

        if (client->attaching || client->failed) {
            return NGX_OK;
        }

        len = client->part_len;

        if (len) {
            ngx_memcpy(scratch, client->part, len);
        }

        size = ngx_trp_turn_tcp_allocated(client) ? NGX_TRP_TURN_READ
                                                  : NGX_TRP_TURN_READ_LESS;
        more = client->more;
        n = more ? NGX_AGAIN : c->recv(c, scratch + len, size);

        if (n == NGX_AGAIN && !client->part_len) {
            return NGX_OK;
        }

        if (n == NGX_ERROR || n == 0) {
            return NGX_ERROR;
        }

        if (n > 0) {
            client->session->received += n;
            len += n;
        }

        /* all of it is in "scratch" now, from which messages are read */

        (void) ngx_trp_turn_tcp_keep(client, NULL, 0);

        used = ngx_trp_turn_tcp_messages(client, scratch, len, &left);

        if (used < 0) {
            return used;
        }

        client->more = (left == 0 && (size_t) used < len);

        if (!client->more
            && ngx_trp_turn_tcp_long(client, scratch + used, len - used)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_trp_turn_tcp_keep(client, scratch + used, len - used)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (client->splice) {
            ngx_trp_turn_tcp_feed(client);
            return NGX_DONE;
        }

        if (n == NGX_AGAIN && !more) {
            return NGX_OK;
        }
    }

    ngx_post_event(c->read, &ngx_posted_next_events);

    return NGX_OK;
}


/* a client without an allocation may not send more than a request */

static ngx_int_t
ngx_trp_turn_tcp_long(ngx_trp_turn_client_t *client, u_char *data, size_t len)
{
    int  size;

    if (client->attaching || client->splice || client->failed
        || ngx_trp_turn_tcp_allocated(client))
    {
        return NGX_OK;
    }

    size = trp_stun_frame(data, len);

    if (size <= NGX_TRP_TURN_READ_LESS) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, client->connection->log, 0,
                  "TURN client without an allocation sent a message of %d "
                  "bytes", size);

    return NGX_ERROR;
}


void
ngx_trp_turn_tcp_feed(ngx_trp_turn_client_t *client)
{
    trp_assert(client->splice != NULL);

    if (client->part) {
        ngx_trp_turn_splice_feed(client->splice, client->part,
                                 client->part_len);
        client->part = NULL;
        client->part_len = 0;
    }
}


/* returns how many bytes were used, or NGX_DECLINED */

static ssize_t
ngx_trp_turn_tcp_messages(ngx_trp_turn_client_t *client, u_char *data,
    size_t len, ngx_uint_t *left)
{
    int                    n;
    size_t                 used;
    ngx_trp_turn_origin_t  origin;

    ngx_memzero(&origin, sizeof(ngx_trp_turn_origin_t));
    origin.client = client;

    used = 0;

    while (used < len && *left && !client->attaching && !client->splice
           && !client->failed)
    {
        n = trp_stun_frame(data + used, len - used);

        if (n == TRP_AGAIN || (n > 0 && (size_t) n > len - used)) {
            break;
        }

        if (n == TRP_ERROR
            || ngx_trp_turn_input(client->server, &origin, &client->tuple,
                                  data + used, n)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }

        used += n;
        (*left)--;
    }

    return used;
}


static ngx_int_t
ngx_trp_turn_tcp_keep(ngx_trp_turn_client_t *client, u_char *data, size_t len)
{
    u_char  *part;

    part = NULL;

    if (len) {
        part = ngx_alloc(len, client->connection->log);
        if (part == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(part, data, len);
    }

    if (client->part) {
        ngx_free(client->part);
    }

    client->part = part;
    client->part_len = len;

    return NGX_OK;
}


ngx_int_t
ngx_trp_turn_tcp_send(ngx_trp_turn_client_t *client, const u_char *bytes,
    size_t len, ngx_uint_t data)
{
    ngx_trp_turn_chunk_t  *chunk;

    if (client->failed
        || (data && client->queued + len > NGX_TRP_TURN_QUEUE_DATA))
    {
        return NGX_DECLINED;
    }

    if (client->queued + len > NGX_TRP_TURN_QUEUE_MAX) {
        ngx_log_error(NGX_LOG_INFO, client->connection->log, 0,
                      "TURN client does not read its answers");
        goto failed;
    }

    /* TLS has to be given the same bytes again, so they stay in place */

    chunk = ngx_alloc(sizeof(ngx_trp_turn_chunk_t) + len,
                      client->connection->log);
    if (chunk == NULL) {
        goto failed;
    }

    chunk->next = NULL;
    chunk->pos = 0;
    chunk->len = len;
    ngx_memcpy(chunk->data, bytes, len);

    *client->last = chunk;
    client->last = &chunk->next;
    client->queued += len;

    if (ngx_trp_turn_tcp_write(client) == NGX_OK) {
        return NGX_OK;
    }

failed:

    /* later: the caller still uses the client */

    client->failed = 1;
    ngx_post_event(client->connection->read, &ngx_posted_events);

    return NGX_DECLINED;
}


static void
ngx_trp_turn_tcp_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_trp_turn_client_t  *client;

    c = wev->data;
    client = c->data;

    if (ngx_trp_turn_tcp_write(client) != NGX_OK) {
        ngx_trp_turn_tcp_close(client, NGX_STREAM_OK);
    }
}


static ngx_int_t
ngx_trp_turn_tcp_write(ngx_trp_turn_client_t *client)
{
    ssize_t                n;
    ngx_connection_t      *c;
    ngx_trp_turn_chunk_t  *chunk;

    c = client->connection;

    while (client->out && c->write->ready) {
        chunk = client->out;

        n = c->send(c, chunk->data + chunk->pos, chunk->len - chunk->pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN) {
            break;
        }

        chunk->pos += n;
        client->queued -= n;

        if (chunk->pos == chunk->len) {
            client->out = chunk->next;

            if (client->out == NULL) {
                client->last = &client->out;
            }

            ngx_free(chunk);
        }
    }

    return ngx_handle_write_event(c->write, 0);
}


void
ngx_trp_turn_tcp_close(ngx_trp_turn_client_t *client, ngx_uint_t rc)
{
    ngx_trp_turn_server_t  *server;

    server = client->server;

    ngx_log_debug2(NGX_LOG_DEBUG_STREAM, client->connection->log, 0,
                   "trp turn %s: client ends, status %ui",
                   ngx_trp_turn_text(&client->tuple.client).data, rc);

    client->failed = 1;

    if (client->data) {
        client->data->ended(client);
    }

    ngx_trp_turn_time(server);

    /* a command must not close a client whose allocation has not ended */

    trp_assert(!server->running || !ngx_trp_turn_tcp_allocated(client));

    trp_turn_gone(server->turn, &client->tuple);
    ngx_trp_turn_run(server, NULL);

    ngx_stream_finalize_session(client->session, rc);
}


static void
ngx_trp_turn_tcp_cleanup(void *data)
{
    ngx_trp_turn_client_t *client = data;

    ngx_trp_turn_chunk_t  *chunk;

    if (client->part) {
        ngx_free(client->part);
        client->part = NULL;
    }

    while (client->out) {
        chunk = client->out;
        client->out = chunk->next;
        ngx_free(chunk);
    }
}
