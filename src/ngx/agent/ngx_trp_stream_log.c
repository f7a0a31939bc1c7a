
/*
 * Copyright (C) the trp authors
 */


/*
 * The log lines about a stream: each has what it takes to follow the stream
 * across machines, and one of them tells why it failed.
 */


#include "agent/ngx_trp_stream_log.h"


static void ngx_trp_stream_log_dropped(ngx_trp_stream_t *st, ngx_log_t *log);
static const char *ngx_trp_stream_guess(ngx_trp_stream_t *st);


void
ngx_trp_stream_log(ngx_trp_stream_t *st, ngx_uint_t level, ngx_log_t *log,
    const char *what, trp_str_t text)
{
    st->logged = 1;

    ngx_log_error(level, log, 0,
                  "stream %s%*s, destination: \"%V\", group: \"%V\"%s%V%s, "
                  "relay: %V, stream: %s",
                  what, text.len, text.data, &st->destination,
                  st->source->group,
                  st->name.len ? ", entry: \"" : "", &st->name,
                  st->name.len ? "\"" : "", &st->source->name,
                  ngx_trp_id_text(st->id).data);
}


void
ngx_trp_stream_log_end(ngx_trp_stream_t *st, ngx_log_t *log)
{
    trp_str_t    text;
    const char  *why;
    ngx_uint_t   logged;

    logged = st->logged;

    ngx_trp_stream_log_dropped(st, log);

    if (logged
        || (st->in == NGX_TRP_STREAM_ENDED && st->out == NGX_TRP_STREAM_ENDED))
    {
        return;
    }

    if (st->ops->udp && st->why == NULL) {

        /* it was not used for some time */
        return;
    }

    why = st->why ? st->why : ngx_trp_stream_guess(st);

    text.data = (const u_char *) why;
    text.len = ngx_strlen(why);

    ngx_trp_stream_log(st, NGX_LOG_INFO, log, "was aborted: ", text);
}


static void
ngx_trp_stream_log_dropped(ngx_trp_stream_t *st, ngx_log_t *log)
{
    u_char     buf[NGX_INT_T_LEN];
    trp_str_t  text;

    if (st->part.dropped == 0) {
        return;
    }

    text.data = buf;
    text.len = ngx_sprintf(buf, "%ui", st->part.dropped) - buf;

    ngx_trp_stream_log(st, NGX_LOG_INFO, log, "has lost datagrams: ", text);
}


/* the proxy has closed it, and does not say why */

static const char *
ngx_trp_stream_guess(ngx_trp_stream_t *st)
{
    ngx_connection_t  *other;

    other = st->handlers->other(st);

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


/* each datagram is another try, and not each is worth an error */

ngx_uint_t
ngx_trp_stream_level(ngx_trp_stream_t *st)
{
    return st->ops->udp ? NGX_LOG_INFO : NGX_LOG_ERR;
}
