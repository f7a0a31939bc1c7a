
/*
 * Copyright (C) the trp authors
 */


/*
 * A log in front of the log of the worker: its writer gets each line, as nginx
 * and OpenSSL have put it, and decides at which level it goes on.
 */


#include "agent/ngx_trp_dial_log.h"

#include <sodium.h>


static u_char *ngx_trp_dial_log_context(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_trp_dial_log_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static ngx_str_t ngx_trp_dial_log_message(ngx_log_t *log, u_char *buf,
    size_t len);
static ngx_str_t ngx_trp_dial_log_short(ngx_log_t *log, ngx_str_t line);
static void ngx_trp_dial_log_error(ngx_trp_dial_log_t *dl, ngx_uint_t level,
    ngx_str_t *line, ngx_str_t *text);
static void ngx_trp_dial_log_keep(ngx_trp_dial_log_t *dl, ngx_str_t *line);
static void ngx_trp_dial_log_pass(ngx_trp_dial_log_t *dl, ngx_uint_t level,
    ngx_str_t *line, const char *more);


void
ngx_trp_dial_log_init(ngx_trp_dial_log_t *dl, ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, const char *action)
{
    ngx_memzero(dl, sizeof(ngx_trp_dial_log_t));

    dl->pool = pool;
    dl->way = way;
    dl->dialing = 1;

    dl->log = *pool->log;
    dl->log.log_level = ngx_max(pool->log->log_level, NGX_LOG_INFO);
    dl->log.handler = ngx_trp_dial_log_context;
    dl->log.data = dl;
    dl->log.action = (char *) action;
    dl->log.writer = ngx_trp_dial_log_writer;
    dl->log.wdata = dl;
    dl->log.next = NULL;
}


void
ngx_trp_dial_log_ready(ngx_trp_dial_log_t *dl)
{
    dl->dialing = 0;
    dl->said = 0;
    dl->log.log_level = dl->pool->log->log_level;
    dl->log.action = NULL;
}


void
ngx_trp_dial_log_failed(ngx_trp_dial_log_t *dl)
{
    u_char          *p, buf[NGX_MAX_ERROR_STR];
    ngx_str_t        line, text;
    ngx_trp_pool_t  *pool;

    pool = dl->pool;

    if (dl->said || pool->view.kept != dl || ngx_exiting) {
        return;
    }

    text.data = pool->view.text;
    text.len = pool->view.len;

    p = ngx_cpymem(buf, text.data, text.len);

    line.data = buf;
    line.len = dl->log.handler(&dl->log, p, buf + sizeof(buf) - p) - buf;

    ngx_trp_dial_log_error(dl, NGX_LOG_ERR, &line, &text);
}


void
ngx_trp_dial_log_done(ngx_trp_dial_log_t *dl)
{
    ngx_log_t  *log;

    log = dl->pool->log;

    dl->log.log_level = log->log_level;
    dl->log.handler = NULL;
    dl->log.writer = log->writer;
    dl->log.wdata = log->wdata;
    dl->log.next = log->next;

    if (dl->pool->view.kept == dl) {
        dl->pool->view.kept = NULL;
    }
}


static u_char *
ngx_trp_dial_log_context(ngx_log_t *log, u_char *buf, size_t len)
{
    char                 key[TRP_FINGERPRINT_LEN];
    u_char              *p, *last, public_key[TRP_KEY_PUBLIC_LEN];
    ngx_trp_pool_t      *pool;
    ngx_trp_dial_log_t  *dl;

    p = buf;
    last = buf + len;
    dl = log->data;
    pool = dl->pool;

    if (log->action) {
        p = ngx_slprintf(p, last, " while %s", log->action);
    }

    p = ngx_slprintf(p, last, ", relay: %V, group: \"%V\", name: \"%V\"",
                     &pool->source.name, pool->source.group,
                     &pool->conf->name);

    if (pool->choice) {
        p = ngx_slprintf(p, last, ", way: \"%V\"", &dl->way->name);
    }

    if (log->action && ngx_strcmp(log->action, NGX_TRP_DIAL_LOG_AUTH) == 0) {

        /* to be found in the relay's log, which says why it is refused */

        crypto_sign_ed25519_sk_to_pk(public_key, pool->conf->secret);
        trp_key_fingerprint(key, public_key);

        p = ngx_slprintf(p, last, ", key: %s", key);
    }

    return p;
}


static void
ngx_trp_dial_log_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_str_t            line, text;
    ngx_trp_dial_log_t  *dl;

    dl = log->wdata;
    line = ngx_trp_dial_log_message(log, buf, len);

    if (level > NGX_LOG_INFO) {
        ngx_trp_dial_log_pass(dl, level, &line, "");
        return;
    }

    if (level > NGX_LOG_ERR || ngx_exiting) {

        if (dl->dialing && !dl->said) {
            text = ngx_trp_dial_log_short(log, line);
            ngx_trp_dial_log_keep(dl, &text);
        }

        if (dl->dialing && ngx_exiting) {

            /* there are new workers to tell it */
            level = ngx_max(level, NGX_LOG_INFO);
        }

        ngx_trp_dial_log_pass(dl, level, &line, "");
        return;
    }

    text = ngx_trp_dial_log_short(log, line);
    ngx_trp_dial_log_error(dl, level, &line, &text);
}


/* without the time, the level, and the numbers of process and connection */

static ngx_str_t
ngx_trp_dial_log_message(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char     *p, *last;
    ngx_str_t   line;

    p = buf + ngx_cached_err_log_time.len;
    last = buf + len;

    if (last - p > NGX_LINEFEED_SIZE) {
        last -= NGX_LINEFEED_SIZE;
    }

    p = ngx_strlchr(p, last, '#');
    p = p ? ngx_strlchr(p, last, ' ') : NULL;

    if (p && log->connection) {
        p = ngx_strlchr(p + 1, last, ' ');
    }

    line.data = p ? p + 1 : buf;
    line.len = last - line.data;

    return line;
}


/* without the context, which is the same for all errors of the relay */

static ngx_str_t
ngx_trp_dial_log_short(ngx_log_t *log, ngx_str_t line)
{
    u_char  buf[NGX_MAX_ERROR_STR];
    size_t  len;

    len = log->handler(log, buf, sizeof(buf)) - buf;

    if (line.len > len
        && ngx_memcmp(line.data + line.len - len, buf, len) == 0)
    {
        line.len -= len;
    }

    return line;
}


/* of several lines about a failure, the first one decides */

static void
ngx_trp_dial_log_error(ngx_trp_dial_log_t *dl, ngx_uint_t level,
    ngx_str_t *line, ngx_str_t *text)
{
    u_char  more[64];

    if (dl->said) {

        if (dl->view == NGX_TRP_POOL_VIEW_KNOWN) {
            level = NGX_LOG_INFO;
        }

        ngx_trp_dial_log_pass(dl, level, line, "");
        return;
    }

    dl->said = dl->dialing;
    dl->view = ngx_trp_pool_view_error(dl->pool, dl->way, text, dl->dialing);

    more[0] = '\0';

    switch (dl->view) {

    case NGX_TRP_POOL_VIEW_KNOWN:
        if (dl->terse) {
            return;
        }

        level = NGX_LOG_INFO;
        break;

    case NGX_TRP_POOL_VIEW_NEW:
        break;

    case NGX_TRP_POOL_VIEW_NONE:
        ngx_sprintf(more, ", there is no tunnel yet%Z");
        break;

    case NGX_TRP_POOL_VIEW_LOST:
        ngx_sprintf(more, ", no tunnel is left%Z");
        break;

    case NGX_TRP_POOL_VIEW_STILL:
        ngx_sprintf(more, ", no tunnel for %T s%Z",
                    ngx_trp_pool_view_since(dl->pool));
        break;
    }

    ngx_trp_dial_log_pass(dl, level, line, (char *) more);
}


/* what may turn out to be the reason of a failure */

static void
ngx_trp_dial_log_keep(ngx_trp_dial_log_t *dl, ngx_str_t *line)
{
    ngx_trp_pool_t  *pool;

    pool = dl->pool;

    pool->view.kept = dl;
    pool->view.len = ngx_min(line->len, sizeof(pool->view.text));

    ngx_memcpy(pool->view.text, line->data, pool->view.len);
}


static void
ngx_trp_dial_log_pass(ngx_trp_dial_log_t *dl, ngx_uint_t level,
    ngx_str_t *line, const char *more)
{
    ngx_log_t  log;

    log = *dl->pool->log;

    log.connection = dl->log.connection;
    log.handler = NULL;

    ngx_log_error(level, &log, 0, "%V%s", line, more);
}
