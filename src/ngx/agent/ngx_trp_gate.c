
/*
 * Copyright (C) the trp authors
 */


/*
 * How many tunnels to one relay a worker may dial at a time: a window that
 * grows with each READY, and in which dials that hang are not counted.
 */


#include "agent/ngx_trp_gate.h"


/* the memory that many handshakes at once need is never given back */
#define NGX_TRP_GATE_WINDOW        16
#define NGX_TRP_GATE_WINDOW_START  4

/* for all workers of a host, which share an address */
#define NGX_TRP_GATE_WINDOWS       64

/* others wait, and no tunnel has become ready for so long: the dials hang */
#define NGX_TRP_GATE_TIME          1000


static ngx_uint_t ngx_trp_gate_max(void);
static void ngx_trp_gate_event_handler(ngx_event_t *ev);


ngx_trp_gate_t *
ngx_trp_gate_find(ngx_trp_capacity_t *capacity, struct sockaddr *sockaddr,
    socklen_t socklen, const ngx_str_t *via)
{
    ngx_queue_t     *q;
    ngx_trp_gate_t  *gate;

    for (q = ngx_queue_head(&capacity->gates);
         q != ngx_queue_sentinel(&capacity->gates);
         q = ngx_queue_next(q))
    {
        gate = ngx_queue_data(q, ngx_trp_gate_t, queue);

        if (ngx_cmp_sockaddr(&gate->sockaddr.sockaddr, gate->socklen,
                             sockaddr, socklen, 1)
            == NGX_OK
            && ngx_trp_str_same(&gate->via, via))
        {
            return gate;
        }
    }

    gate = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_gate_t));
    if (gate == NULL) {
        return NULL;
    }

    ngx_memcpy(&gate->sockaddr, sockaddr, socklen);
    gate->socklen = socklen;
    gate->via = *via;
    gate->max = ngx_trp_gate_max();
    gate->window = ngx_min(gate->max, NGX_TRP_GATE_WINDOW_START);

    gate->event.data = gate;
    gate->event.log = ngx_cycle->log;
    gate->event.handler = ngx_trp_gate_event_handler;
    gate->event.cancelable = 1;

    ngx_queue_init(&gate->waiting);
    ngx_queue_insert_tail(&capacity->gates, &gate->queue);

    return gate;
}


static ngx_uint_t
ngx_trp_gate_max(void)
{
    ngx_uint_t        max;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    max = NGX_TRP_GATE_WINDOWS / ngx_max(ccf->worker_processes, 1);
    max = ngx_min(max, NGX_TRP_GATE_WINDOW);

    return ngx_max(max, 1);
}


ngx_uint_t
ngx_trp_gate_enter(ngx_trp_gate_t *gate, ngx_trp_gate_wait_t *wait)
{
    if (gate->dialing - gate->hung < gate->window) {
        gate->dialing++;
        return 1;
    }

    if (!wait->waiting) {
        ngx_queue_insert_tail(&gate->waiting, &wait->queue);
        wait->waiting = 1;
    }

    if (!gate->event.timer_set) {
        ngx_add_timer(&gate->event, NGX_TRP_GATE_TIME);
    }

    return 0;
}


/*
 * Dials that have begun lately are also taken for hung; still, no more than one
 * window is let in at a time.
 */

static void
ngx_trp_gate_event_handler(ngx_event_t *ev)
{
    ngx_trp_gate_t  *gate;

    gate = ev->data;

    if (ngx_queue_empty(&gate->waiting)) {
        return;
    }

    if (!gate->ready) {
        gate->hung = gate->dialing;
    }

    gate->ready = 0;

    ngx_add_timer(ev, NGX_TRP_GATE_TIME);

    ngx_trp_gate_pass(gate);
}


void
ngx_trp_gate_leave(ngx_trp_gate_t *gate, ngx_trp_gate_e how)
{
    gate->dialing--;

    if (how == NGX_TRP_GATE_READY) {
        gate->ready = 1;
        gate->window = ngx_min(gate->window + 1, gate->max);

    } else if (how == NGX_TRP_GATE_FAILED && gate->hung == 0) {
        gate->window = ngx_max(gate->window / 2, 1);
    }

    gate->hung = ngx_min(gate->hung, gate->dialing);

    ngx_trp_gate_pass(gate);
}


void
ngx_trp_gate_pass(ngx_trp_gate_t *gate)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_trp_gate_wait_t  *wait;

    for (n = gate->dialing - gate->hung;
         n < gate->window && !ngx_queue_empty(&gate->waiting);
         n++)
    {
        q = ngx_queue_head(&gate->waiting);
        wait = ngx_queue_data(q, ngx_trp_gate_wait_t, queue);

        ngx_queue_remove(q);
        wait->waiting = 0;

        ngx_post_event(wait->event, &ngx_posted_events);
    }
}


void
ngx_trp_gate_cancel(ngx_trp_gate_t *gate, ngx_trp_gate_wait_t *wait)
{
    if (wait->waiting) {
        ngx_queue_remove(&wait->queue);
        wait->waiting = 0;
    }

    /* it may have been let in just now, and would not dial */

    ngx_trp_gate_pass(gate);
}
