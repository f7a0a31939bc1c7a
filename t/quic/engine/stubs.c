
/*
 * Copyright (C) the trp authors
 */


/*
 * The few functions and variables of nginx that the engine needs, and its time.
 */


#include "quic/ngx_trp_quic_impl.h"
#include "stubs.h"

#include <stdlib.h>
#include <stdio.h>


volatile ngx_msec_t    ngx_current_msec;
ngx_queue_t            ngx_posted_events;
ngx_queue_t            ngx_posted_next_events;
ngx_rbtree_t           ngx_event_timer_rbtree;
volatile ngx_cycle_t  *ngx_cycle;
static ngx_log_t          cycle_log;
static ngx_cycle_t        cycle;
static ngx_rbtree_node_t  sentinel;
static uint64_t           now;


void
stubs_init(void)
{
    cycle.log = &cycle_log;
    ngx_cycle = &cycle;

    now = 1000 * NGTCP2_SECONDS;
    ngx_current_msec = now / NGTCP2_MILLISECONDS;
    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);
    ngx_rbtree_init(&ngx_event_timer_rbtree, &sentinel, NULL);
}


ngtcp2_tstamp
ngx_trp_quic_now(void)
{
    return now;
}


uint64_t
stubs_now(void)
{
    return now;
}


void
stubs_advance(uint64_t to)
{
    if (to > now) {
        now = to;
        ngx_current_msec = now / NGTCP2_MILLISECONDS;
    }
}


/* the tree of timers is a list here, by "right" */

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    node->right = tree->root;
    tree->root = node;
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_rbtree_node_t  **p;

    for (p = &tree->root; *p != node; p = &(*p)->right) { /* void */ }

    *p = node->right;
}


static ngx_rbtree_node_t *
stubs_first(void)
{
    ngx_rbtree_node_t  *node, *first;

    first = NULL;

    for (node = ngx_event_timer_rbtree.root; node != &sentinel;
         node = node->right)
    {
        if (first == NULL
            || (ngx_msec_int_t) (node->key - first->key) < 0)
        {
            first = node;
        }
    }

    return first;
}


uint64_t
stubs_timer(void)
{
    ngx_rbtree_node_t  *node;

    node = stubs_first();

    return node ? (uint64_t) node->key * NGTCP2_MILLISECONDS : UINT64_MAX;
}


void
stubs_events(void)
{
    ngx_event_t        *ev;
    ngx_queue_t        *q;
    ngx_rbtree_node_t  *node;

    for ( ;; ) {
        node = stubs_first();

        if (node && (ngx_msec_int_t) (node->key - ngx_current_msec) <= 0) {
            ev = ngx_rbtree_data(node, ngx_event_t, timer);
            ngx_rbtree_delete(&ngx_event_timer_rbtree, node);
            ev->timer_set = 0;
            ev->timedout = 1;
            ev->handler(ev);
            continue;
        }

        if (ngx_queue_empty(&ngx_posted_events)) {
            break;
        }

        q = ngx_queue_head(&ngx_posted_events);
        ev = ngx_queue_data(q, ngx_event_t, queue);
        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }

    while (!ngx_queue_empty(&ngx_posted_next_events)) {
        q = ngx_queue_head(&ngx_posted_next_events);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_posted_events, q);
    }
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return calloc(1, size);
}


u_char *
ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    if (n == 0) {
        return dst;
    }

    while (--n) {
        *dst = *src;

        if (*dst == '\0') {
            return dst;
        }

        dst++;
        src++;
    }

    *dst = '\0';

    return dst;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    if (level <= NGX_LOG_ERR) {
        printf("# log: %s\n", fmt);
    }
}
