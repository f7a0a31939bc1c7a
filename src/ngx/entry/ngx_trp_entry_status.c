
/*
 * Copyright (C) the trp authors
 */


/*
 * Routes and published services in the table of status: what they are called
 * is known when the configuration is read; sessions are counted when they begin
 * and end, and what they carry, by looking at them from time to time.
 */


#include "entry/ngx_trp_entry_status.h"
#include "status/ngx_trp_status_kinds.h"
#include "stock/ngx_trp_stock.h"


/* bytes of a row's texts, all of which are its name */

#define NGX_TRP_ENTRY_ROW_LISTEN       128
#define NGX_TRP_ENTRY_ROW_DESTINATION  160
#define NGX_TRP_ENTRY_ROW_UPSTREAM     96


ngx_int_t
ngx_trp_entry_row_add(ngx_conf_t *cf, ngx_array_t *rows,
    ngx_trp_route_t *route)
{
    ngx_trp_entry_row_t    *row;
    ngx_stream_conf_ctx_t  *ctx;

    row = ngx_array_push(rows);
    if (row == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(row, sizeof(ngx_trp_entry_row_t));

    ctx = cf->ctx;
    row->srv_conf = ctx->srv_conf;

    ngx_str_set(&row->listen, "");
    ngx_str_set(&row->upstream, "");

    if (route == NULL) {
        ngx_str_set(&row->destination, "published");
        return NGX_OK;
    }

    row->listen = route->listen;

    return ngx_trp_route_text(cf->pool, route, &row->destination);
}


ngx_int_t
ngx_trp_entry_row_listen(ngx_conf_t *cf, ngx_array_t *rows, ngx_uint_t n,
    struct sockaddr *sa)
{
    ngx_trp_entry_row_t  *row;

    row = rows->elts;
    row += n;

    if (row->listen.len) {
        return NGX_OK;
    }

    row->listen.data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN);
    if (row->listen.data == NULL) {
        return NGX_ERROR;
    }

    row->listen.len = ngx_sock_ntop(sa, sizeof(ngx_sockaddr_t),
                                    row->listen.data, NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}


void
ngx_trp_entry_rows_pass(ngx_array_t *rows)
{
    ngx_str_t                       *text;
    ngx_uint_t                       i;
    ngx_trp_entry_row_t             *row;
    ngx_stream_upstream_srv_conf_t  *pass;

    row = rows->elts;

    for (i = 0; i < rows->nelts; i++) {
        pass = ngx_trp_stock_proxy_upstream(row[i].srv_conf);
        text = pass ? &pass->host
                    : ngx_trp_stock_proxy_text(row[i].srv_conf);

        if (text) {
            row[i].upstream = *text;
        }
    }
}


ngx_int_t
ngx_trp_entry_view_start(ngx_trp_entry_view_t *view, ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone, ngx_array_t *rows)
{
    ngx_str_t             texts[NGX_TRP_ROUTE_TEXTS];
    ngx_uint_t            i;
    ngx_trp_entry_row_t  *row;

    view->status = ngx_trp_status_start(cycle, zone);
    view->rows = ngx_palloc(cycle->pool,
                            rows->nelts * sizeof(ngx_trp_status_entry_t));

    if (view->status == NULL || view->rows == NULL) {
        return NGX_ERROR;
    }

    ngx_trp_flows_init(&view->flows, cycle->log);

    row = rows->elts;

    for (i = 0; i < rows->nelts; i++) {
        texts[NGX_TRP_ROUTE_LISTEN] = row[i].listen;
        texts[NGX_TRP_ROUTE_DESTINATION] = row[i].destination;
        texts[NGX_TRP_ROUTE_UPSTREAM] = row[i].upstream;

        texts[NGX_TRP_ROUTE_LISTEN].len =
                      ngx_min(row[i].listen.len, NGX_TRP_ENTRY_ROW_LISTEN);

        texts[NGX_TRP_ROUTE_DESTINATION].len =
            ngx_min(row[i].destination.len, NGX_TRP_ENTRY_ROW_DESTINATION);

        texts[NGX_TRP_ROUTE_UPSTREAM].len =
                  ngx_min(row[i].upstream.len, NGX_TRP_ENTRY_ROW_UPSTREAM);

        ngx_trp_status_open(view->status, NGX_TRP_STATUS_ROUTE, texts,
                            NGX_TRP_ROUTE_TEXTS, &view->rows[i], NULL);
    }

    return NGX_OK;
}


void
ngx_trp_entry_view_exit(ngx_trp_entry_view_t *view)
{
    ngx_trp_flows_exit(&view->flows);
    ngx_trp_status_stop(view->status);
}


void
ngx_trp_entry_view_begin(ngx_trp_entry_view_t *view, ngx_trp_entry_ctx_t *ctx,
    ngx_uint_t n)
{
    ctx->flow.rows[0] = &view->rows[n];

    ngx_trp_flow_begin(&view->flows, &ctx->flow, ctx->session);
}


void
ngx_trp_entry_view_end(ngx_trp_entry_ctx_t *ctx, ngx_uint_t code)
{
    ngx_trp_flow_end(&ctx->flow);

    if (ctx->flow.rows[0]) {
        ngx_trp_flow_refused(ctx->flow.rows[0], code);
    }
}
