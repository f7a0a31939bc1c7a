
/*
 * Copyright (C) the trp authors
 */


/*
 * The engine of a server: sets the time, passes input to the core, and has the
 * commands carried out until none is left.  The code that carries them out is
 * above it, as are clients, peers and the worker.
 */


#include "turn/ngx_trp_turn.h"
#include "turn/ngx_trp_turn_debug.h"
#include "turn/ngx_trp_turn_zone_ports.h"


#define NGX_TRP_TURN_STATS_TIME  200       /* milliseconds */


static void ngx_trp_turn_set_timer(ngx_trp_turn_server_t *server);


void
ngx_trp_turn_time(ngx_trp_turn_server_t *server)
{
    server->turn->now = ngx_current_msec;
    server->turn->time = ngx_time();
}


ngx_int_t
ngx_trp_turn_input(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_tuple_t *tuple, u_char *data,
    size_t len)
{
    int  rc;

    trp_assert(!server->running);

    if (server->conf->portal && !server->worker->zone->shared->admitted) {
        return NGX_OK;
    }

    ngx_trp_turn_time(server);

    if (server->worker->tidied != server->turn->time) {
        server->worker->tidied = server->turn->time;
        ngx_trp_turn_zone_tidy(server->worker->zone);
    }

    ngx_trp_turn_debug_request(server, tuple, data, len);

    rc = trp_turn_input(server->turn, tuple, data, len);

    ngx_trp_turn_run(server, origin);

    return (rc == TRP_OK) ? NGX_OK : NGX_ERROR;
}


void
ngx_trp_turn_run(ngx_trp_turn_server_t *server, ngx_trp_turn_origin_t *origin)
{
    const trp_turn_command_t  *command;

    /* called from a command: the loop that carries it out goes on */

    if (server->running) {
        return;
    }

    server->running = 1;

    while (trp_turn_next(server->turn, &command) == TRP_OK) {
        server->worker->carry_out(server, origin, command);
    }

    server->running = 0;

    if (!server->worker->stats.timer_set) {
        ngx_add_timer(&server->worker->stats, NGX_TRP_TURN_STATS_TIME);
    }

    ngx_trp_turn_set_timer(server);
}


/* not cancelable: it keeps an exiting worker until nothing is due */

static void
ngx_trp_turn_set_timer(ngx_trp_turn_server_t *server)
{
    uint64_t  deadline;

    deadline = trp_turn_deadline(server->turn);

    if (deadline == 0) {
        if (server->timer.timer_set) {
            ngx_del_timer(&server->timer);
        }

        return;
    }

    if (server->timer.timer_set
        && (ngx_msec_int_t) (server->timer.timer.key - deadline) <= 0)
    {
        /* a timer that expires too early does no harm */
        return;
    }

    ngx_add_timer(&server->timer,
                  deadline > ngx_current_msec ? deadline - ngx_current_msec
                                              : 1);
}


void
ngx_trp_turn_timer_handler(ngx_event_t *ev)
{
    ngx_trp_turn_server_t  *server;

    server = ev->data;

    ngx_trp_turn_time(server);

    while (trp_turn_expire(server->turn)) {
        ngx_trp_turn_run(server, NULL);
    }

    ngx_trp_turn_set_timer(server);
}


ngx_trp_turn_alloc_t *
ngx_trp_turn_find(ngx_trp_turn_worker_t *worker, trp_turn_tuple_t *tuple)
{
    ngx_uint_t               i;
    trp_turn_alloc_t        *a;
    ngx_trp_turn_server_t  **server;

    server = worker->servers.elts;

    for (i = 0; i < worker->servers.nelts; i++) {
        a = trp_turn_find(server[i]->turn, tuple);

        if (a) {
            return a->data;
        }
    }

    return NULL;
}
