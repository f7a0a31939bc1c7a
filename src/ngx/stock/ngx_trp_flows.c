
/*
 * Copyright (C) the trp authors
 */


/*
 * Sessions under way: counts what they have carried from time to time.
 */


#include "stock/ngx_trp_flows.h"
#include "status/ngx_trp_status_kinds.h"


/* milliseconds between looks, and if there are more than one look takes */
#define NGX_TRP_FLOWS_TIME   1000
#define NGX_TRP_FLOWS_SOON   100

#define NGX_TRP_FLOWS_LOOK   512


static void ngx_trp_flows_handler(ngx_event_t *ev);
static void ngx_trp_flow_tell(ngx_trp_flow_t *flow);


void
ngx_trp_flows_init(ngx_trp_flows_t *flows, ngx_log_t *log)
{
    ngx_queue_init(&flows->queue);

    flows->timer.data = flows;
    flows->timer.log = log;
    flows->timer.handler = ngx_trp_flows_handler;
    flows->timer.cancelable = 1;
}


void
ngx_trp_flows_exit(ngx_trp_flows_t *flows)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&flows->queue);
         q != ngx_queue_sentinel(&flows->queue);
         q = ngx_queue_next(q))
    {
        ngx_trp_flow_tell(ngx_queue_data(q, ngx_trp_flow_t, queue));
    }

    if (flows->timer.timer_set) {
        ngx_del_timer(&flows->timer);
    }
}


void
ngx_trp_flow_begin(ngx_trp_flows_t *flows, ngx_trp_flow_t *flow,
    ngx_stream_session_t *s)
{
    ngx_uint_t  i;

    flow->flows = flows;
    flow->session = s;

    ngx_queue_insert_tail(&flows->queue, &flow->queue);
    flows->n++;

    for (i = 0; i < 2; i++) {
        if (flow->rows[i]) {
            flow->rows[i]->gauges[NGX_TRP_STREAMS_NOW]++;
            ngx_trp_status_count(flow->rows[i], NGX_TRP_STREAMS_OPENED, 1);
        }
    }

    if (!flows->timer.timer_set) {
        ngx_add_timer(&flows->timer, NGX_TRP_FLOWS_TIME);
    }
}


void
ngx_trp_flow_end(ngx_trp_flow_t *flow)
{
    ngx_uint_t        i;
    ngx_trp_flows_t  *flows;

    flows = flow->flows;

    if (flows == NULL) {
        return;
    }

    ngx_trp_flow_tell(flow);

    flow->flows = NULL;

    ngx_queue_remove(&flow->queue);
    flows->n--;

    for (i = 0; i < 2; i++) {
        if (flow->rows[i]) {
            flow->rows[i]->gauges[NGX_TRP_STREAMS_NOW]--;
        }
    }
}


/* a relay may know more codes */

void
ngx_trp_flow_refused(ngx_trp_status_entry_t *row, ngx_uint_t code)
{
    if (code == TRP_CODE_NONE) {
        return;
    }

    code = (code < NGX_TRP_STATUS_CODES) ? code : TRP_CODE_FAILED;

    ngx_trp_status_count(row, NGX_TRP_STREAMS_REFUSED + code, 1);
}


/* the timer stops when there are none */

static void
ngx_trp_flows_handler(ngx_event_t *ev)
{
    ngx_uint_t        i, n;
    ngx_queue_t      *q;
    ngx_trp_flows_t  *flows;

    flows = ev->data;

    n = ngx_min(flows->n, NGX_TRP_FLOWS_LOOK);

    for (i = 0; i < n; i++) {
        q = ngx_queue_head(&flows->queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&flows->queue, q);

        ngx_trp_flow_tell(ngx_queue_data(q, ngx_trp_flow_t, queue));
    }

    if (flows->n) {
        ngx_add_timer(ev, (n < flows->n) ? NGX_TRP_FLOWS_SOON
                                         : NGX_TRP_FLOWS_TIME);
    }
}


static void
ngx_trp_flow_tell(ngx_trp_flow_t *flow)
{
    off_t                  received, sent;
    ngx_uint_t             i;
    ngx_stream_session_t  *s;

    s = flow->session;

    received = s->received + flow->received;
    sent = s->connection->sent + flow->sent;

    if (received <= flow->told_received && sent <= flow->told_sent) {
        return;
    }

    received = ngx_max(received, flow->told_received);
    sent = ngx_max(sent, flow->told_sent);

    for (i = 0; i < 2; i++) {
        if (flow->rows[i]) {
            ngx_trp_status_count(flow->rows[i], NGX_TRP_STREAMS_RECEIVED,
                                 received - flow->told_received);
            ngx_trp_status_count(flow->rows[i], NGX_TRP_STREAMS_SENT,
                                 sent - flow->told_sent);
        }
    }

    flow->told_received = received;
    flow->told_sent = sent;
}
