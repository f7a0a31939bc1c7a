
/*
 * Copyright (C) the trp authors
 */


/*
 * Servers and users of SOCKS5 in the operator's view.  The row of a user is
 * opened for the first session, and closed when there has been none for some
 * time, so that sessions need not take the lock of the table.
 */


#include "socks5/ngx_trp_socks5_status.h"
#include "status/ngx_trp_status_zone.h"


/* seconds, of a user without sessions */
#define NGX_TRP_SOCKS5_IDLE  60

/* bytes of a name, at most */
#define NGX_TRP_SOCKS5_NAME  255


static ngx_int_t ngx_trp_socks5_status_warnings(ngx_cycle_t *cycle,
    ngx_trp_warnings_t *warnings, const char *what);
static ngx_int_t ngx_trp_socks5_status_server(ngx_cycle_t *cycle,
    ngx_trp_socks5_server_t *server);
static void ngx_trp_socks5_status_open(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user);
static void ngx_trp_socks5_status_timer(ngx_event_t *ev);


ngx_trp_socks5_worker_t *
ngx_trp_socks5_status_init(ngx_cycle_t *cycle, ngx_array_t *confs)
{
    ngx_uint_t                 i;
    ngx_shm_zone_t            *zone;
    ngx_trp_socks5_conf_t    **conf;
    ngx_trp_socks5_worker_t   *worker;

    zone = ngx_trp_status_zone_find(cycle);

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_socks5_worker_t));
    if (worker == NULL) {
        return NULL;
    }

    worker->status = ngx_trp_status_start(cycle, zone);
    worker->servers = ngx_pcalloc(cycle->pool,
                                  confs->nelts
                                  * sizeof(ngx_trp_socks5_server_t));

    if (worker->status == NULL || worker->servers == NULL) {
        return NULL;
    }

    if (ngx_trp_socks5_status_warnings(cycle, &worker->failed, "SOCKS5 users")
        != NGX_OK
        || ngx_trp_socks5_status_warnings(cycle, &worker->denied,
                                          "SOCKS5 destinations")
           != NGX_OK)
    {
        return NULL;
    }

    ngx_trp_flows_init(&worker->flows, cycle->log);
    ngx_queue_init(&worker->idle);

    worker->timer.data = worker;
    worker->timer.log = cycle->log;
    worker->timer.handler = ngx_trp_socks5_status_timer;
    worker->timer.cancelable = 1;

    worker->nservers = confs->nelts;
    conf = confs->elts;

    for (i = 0; i < confs->nelts; i++) {
        worker->servers[i].worker = worker;
        worker->servers[i].conf = conf[i];

        if (ngx_trp_socks5_status_server(cycle, &worker->servers[i])
            != NGX_OK)
        {
            return NULL;
        }
    }

    return worker;
}


/* not shared: of other workers, each has warnings of its own */

static ngx_int_t
ngx_trp_socks5_status_warnings(ngx_cycle_t *cycle,
    ngx_trp_warnings_t *warnings, const char *what)
{
    ngx_trp_warnings_shared_t  *shared;

    shared = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_warnings_shared_t));
    if (shared == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_warnings_init(warnings, shared, what, cycle->log);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_socks5_status_server(ngx_cycle_t *cycle,
    ngx_trp_socks5_server_t *server)
{
    ngx_trp_socks5_conf_t  *conf;

    conf = server->conf;

    ngx_trp_status_open(server->worker->status, NGX_TRP_STATUS_SOCKS,
                        &conf->listen, 1, &server->entry, NULL);

    if (conf->users == NULL) {
        return NGX_OK;
    }

    server->users = ngx_pcalloc(cycle->pool, conf->users->nelts
                                             * sizeof(ngx_trp_socks5_who_t));

    return server->users ? NGX_OK : NGX_ERROR;
}


void
ngx_trp_socks5_status_exit(ngx_trp_socks5_worker_t *worker)
{
    ngx_trp_flows_exit(&worker->flows);
    ngx_trp_status_stop(worker->status);
}


ngx_uint_t
ngx_trp_socks5_status_level(ngx_trp_warnings_t *warnings, ngx_str_t *name,
    ngx_str_t *other)
{
    u_char  text[2 * NGX_TRP_SOCKS5_NAME + 1], *p;

    /* both may be empty */

    p = ngx_snprintf(text, NGX_TRP_SOCKS5_NAME, "%V", name);
    *p++ = '\0';
    p = ngx_snprintf(p, NGX_TRP_SOCKS5_NAME, "%V", other);

    return ngx_trp_warnings_level(warnings,
                                  ngx_trp_warnings_id(text, p - text));
}


void
ngx_trp_socks5_status_begin(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user, ngx_trp_flow_t *flow, ngx_stream_session_t *s)
{
    flow->rows[0] = &server->entry;

    if (user) {

        if (!user->open) {
            ngx_trp_socks5_status_open(server, user);

        } else if (user->n == 0) {
            ngx_queue_remove(&user->queue);
        }

        user->n++;
        flow->rows[1] = &user->entry;
    }

    ngx_trp_flow_begin(&server->worker->flows, flow, s);
}


static void
ngx_trp_socks5_status_open(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user)
{
    ngx_str_t               name;
    ngx_trp_socks5_user_t  *users;

    users = server->conf->users->elts;

    name = users[user - server->users].name;
    name.len = ngx_min(name.len, NGX_TRP_STATUS_TEXT_SIZE);

    ngx_trp_status_open(server->worker->status, NGX_TRP_STATUS_SOCKS_USER,
                        &name, 1, &user->entry, NULL);
    user->open = 1;
}


void
ngx_trp_socks5_status_end(ngx_trp_socks5_server_t *server,
    ngx_trp_socks5_who_t *user, ngx_trp_flow_t *flow, ngx_uint_t code)
{
    ngx_trp_socks5_worker_t  *worker;

    if (flow->flows == NULL) {
        return;
    }

    ngx_trp_flow_end(flow);

    ngx_trp_flow_refused(&server->entry, code);

    if (user == NULL || --user->n) {
        return;
    }

    worker = server->worker;

    user->left = ngx_time();
    ngx_queue_insert_tail(&worker->idle, &user->queue);

    if (!worker->timer.timer_set) {
        ngx_add_timer(&worker->timer, NGX_TRP_SOCKS5_IDLE * 1000);
    }
}


static void
ngx_trp_socks5_status_timer(ngx_event_t *ev)
{
    ngx_queue_t              *q;
    ngx_trp_socks5_who_t     *user;
    ngx_trp_socks5_worker_t  *worker;

    worker = ev->data;

    while (!ngx_queue_empty(&worker->idle)) {
        q = ngx_queue_head(&worker->idle);
        user = ngx_queue_data(q, ngx_trp_socks5_who_t, queue);

        if (ngx_time() - user->left < NGX_TRP_SOCKS5_IDLE) {
            ngx_add_timer(ev, NGX_TRP_SOCKS5_IDLE * 1000);
            return;
        }

        ngx_queue_remove(q);
        ngx_trp_status_close(&user->entry, 0);
        user->open = 0;
    }
}
