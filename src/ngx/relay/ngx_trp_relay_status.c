
/*
 * Copyright (C) the trp authors
 */


/*
 * What a relay counts in its own row.  Numbers that change with each record are
 * counted in the worker, and brought there once a second.
 */


#include "relay/ngx_trp_relay_status.h"
#include "relay/ngx_trp_presence.h"
#include "status/ngx_trp_status_kinds.h"


#define NGX_TRP_RELAY_STATUS_TIME  1000

/* seconds that an agent has to come back after a reload, agents at a time */
#define NGX_TRP_RELAY_STATUS_BACK  10
#define NGX_TRP_RELAY_STATUS_MANY  100


static void ngx_trp_relay_status_handler(ngx_event_t *ev);
static void ngx_trp_relay_status_each(ngx_trp_relay_worker_t *worker);
static void ngx_trp_relay_status_update(ngx_trp_relay_t *relay);


ngx_int_t
ngx_trp_relay_status_start(ngx_cycle_t *cycle, ngx_trp_relay_worker_t *worker)
{
    ngx_event_t  *ev;

    ev = ngx_pcalloc(cycle->pool, sizeof(ngx_event_t));
    if (ev == NULL) {
        return NGX_ERROR;
    }

    ev->data = worker;
    ev->log = cycle->log;
    ev->handler = ngx_trp_relay_status_handler;
    ev->cancelable = 1;

    ngx_trp_relay_status_each(worker);

    ngx_add_timer(ev, NGX_TRP_RELAY_STATUS_TIME);

    return NGX_OK;
}


void
ngx_trp_relay_status_stop(ngx_trp_relay_worker_t *worker)
{
    ngx_trp_relay_status_each(worker);

    ngx_trp_status_stop(worker->status);
}


static void
ngx_trp_relay_status_handler(ngx_event_t *ev)
{
    ngx_uint_t               n;
    ngx_trp_status_gone_t    gone;
    ngx_trp_relay_worker_t  *worker;

    worker = ev->data;

    ngx_trp_relay_status_each(worker);

    for (n = 0; n < NGX_TRP_RELAY_STATUS_MANY; n++) {

        if (ngx_trp_status_overdue(worker->status, NGX_TRP_RELAY_STATUS_BACK,
                                   &gone)
            != NGX_OK)
        {
            break;
        }

        ngx_trp_presence_overdue(worker->status, &gone, ev->log);
    }

    ngx_add_timer(ev, NGX_TRP_RELAY_STATUS_TIME);
}


static void
ngx_trp_relay_status_each(ngx_trp_relay_worker_t *worker)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&worker->relays);
         q != ngx_queue_sentinel(&worker->relays);
         q = ngx_queue_next(q))
    {
        ngx_trp_relay_status_update(ngx_queue_data(q, ngx_trp_relay_t,
                                                   queue));
    }
}


/* all bytes of users are on tunnels of reverses, those of this nginx as well */

static void
ngx_trp_relay_status_update(ngx_trp_relay_t *relay)
{
    ngx_trp_pair_t          *pair;
    ngx_trp_traffic_t       *traffic;
    ngx_trp_status_entry_t  *status;

    pair = &relay->pair;
    status = &relay->status;
    traffic = &relay->tunnels.traffic[1];

    ngx_trp_status_gauge(status, NGX_TRP_SERVER_UNAUTHENTICATED,
                         relay->guard.n);
    ngx_trp_status_gauge(status, NGX_TRP_SERVER_TUNNELS,
                         pair->entries + pair->reverses - pair->nears);
    ngx_trp_status_gauge(status, NGX_TRP_SERVER_STREAMS, pair->streams);
    ngx_trp_status_gauge(status, NGX_TRP_SERVER_EXPIRES,
                         relay->conf->expires);

    ngx_trp_status_count(status, NGX_TRP_SERVER_RECEIVED,
                         traffic->sent - relay->counted.sent);
    ngx_trp_status_count(status, NGX_TRP_SERVER_SENT,
                         traffic->received - relay->counted.received);

    relay->counted = *traffic;

    ngx_trp_status_count(status, NGX_TRP_SERVER_REFUSED_PROTOCOL,
                         relay->guard.strays - relay->strays);

    relay->strays = relay->guard.strays;
}


time_t
ngx_trp_relay_status_expires(SSL_CTX *ctx)
{
    int      days, seconds;
    long     op;
    X509    *cert;
    time_t   expires, first;

    first = 0;

    for (op = SSL_CERT_SET_FIRST;
         SSL_CTX_set_current_cert(ctx, op) == 1;
         op = SSL_CERT_SET_NEXT)
    {
        cert = SSL_CTX_get0_certificate(ctx);

        if (cert == NULL
            || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert))
               != 1)
        {
            continue;
        }

        expires = ngx_time() + (time_t) days * 86400 + seconds;

        if (first == 0 || expires < first) {
            first = expires;
        }
    }

    return first;
}
