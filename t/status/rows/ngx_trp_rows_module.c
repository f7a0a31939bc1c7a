
/*
 * Copyright (C) the trp authors
 */


/*
 * For tests: rows of the table of an operator's view as a file says, in each
 * worker.  A line is an object of JSON:
 *
 *     { "kind": 3, "texts": [ ... ], "keys": 4, "counters": { "0": 5 },
 *       "gauges": { "0": 1 }, "times": 10000, "gone": true }
 *
 * "keys" texts are the row's name; with "times", there are so many rows, and
 * "#" in a text is the number of the row.  Characters up to U+00FF are bytes.
 */


#include <jansson.h>

#include "status/ngx_trp_status.h"
#include "status/ngx_trp_status_zone.h"


typedef struct {
    ngx_str_t          file;
    ngx_shm_zone_t    *zone;
    ngx_trp_status_t  *status;
} ngx_trp_rows_conf_t;


static void *ngx_trp_rows_create_conf(ngx_cycle_t *cycle);
static char *ngx_trp_rows(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_trp_rows_init_process(ngx_cycle_t *cycle);
static void ngx_trp_rows_exit_process(ngx_cycle_t *cycle);
static void ngx_trp_rows_line(ngx_trp_status_t *status, json_t *line);
static void ngx_trp_rows_row(ngx_trp_status_t *status, json_t *line,
    json_int_t number);
static size_t ngx_trp_rows_text(u_char *to, const char *from,
    json_int_t number);


static ngx_command_t  ngx_trp_rows_commands[] = {

    { ngx_string("rows"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE2,
      ngx_trp_rows,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_trp_rows_module_ctx = {
    ngx_string("rows"),
    ngx_trp_rows_create_conf,
    NULL
};


ngx_module_t  ngx_trp_rows_module = {
    NGX_MODULE_V1,
    &ngx_trp_rows_module_ctx,              /* module context */
    ngx_trp_rows_commands,                 /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_trp_rows_init_process,             /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_trp_rows_exit_process,             /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what nginx's build writes for a module */

ngx_module_t  *ngx_modules[] = { &ngx_trp_rows_module, NULL };
char          *ngx_module_names[] = { "ngx_trp_rows_module", NULL };
char          *ngx_module_order[] = { NULL };


static void *
ngx_trp_rows_create_conf(ngx_cycle_t *cycle)
{
    return ngx_pcalloc(cycle->pool, sizeof(ngx_trp_rows_conf_t));
}


static char *
ngx_trp_rows(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t            *value;
    ngx_trp_rows_conf_t  *rows = conf;

    value = cf->args->elts;

    rows->file = value[1];
    rows->zone = ngx_trp_status_zone_add(cf, ngx_parse_size(&value[2]));

    return rows->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_trp_rows_init_process(ngx_cycle_t *cycle)
{
    FILE                 *file;
    json_t               *line;
    ngx_trp_rows_conf_t  *rows;

    rows = (ngx_trp_rows_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_trp_rows_module);
    if (rows->zone == NULL) {
        return NGX_OK;
    }

    rows->status = ngx_trp_status_start(cycle, rows->zone);
    file = fopen((char *) rows->file.data, "r");

    if (rows->status == NULL || file == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);

        if (line == NULL) {
            break;
        }

        ngx_trp_rows_line(rows->status, line);
        json_decref(line);
    }

    (void) fclose(file);

    return NGX_OK;
}


static void
ngx_trp_rows_exit_process(ngx_cycle_t *cycle)
{
    ngx_trp_rows_conf_t  *rows;

    rows = (ngx_trp_rows_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_trp_rows_module);
    if (rows->status) {
        ngx_trp_status_stop(rows->status);
    }
}


static void
ngx_trp_rows_line(ngx_trp_status_t *status, json_t *line)
{
    json_int_t  i, times;

    times = json_integer_value(json_object_get(line, "times"));

    for (i = 0; i < ngx_max(times, 1); i++) {
        ngx_trp_rows_row(status, line, i);
    }
}


static void
ngx_trp_rows_row(ngx_trp_status_t *status, json_t *line, json_int_t number)
{
    json_t                  *texts, *value;
    u_char                   data[NGX_TRP_STATUS_TEXTS][1024];
    ngx_str_t                text[NGX_TRP_STATUS_TEXTS];
    ngx_uint_t               i, n, keys;
    const char              *index;
    ngx_trp_status_entry_t   entry;

    texts = json_object_get(line, "texts");
    keys = json_integer_value(json_object_get(line, "keys"));
    n = json_array_size(texts);

    for (i = 0; i < n && i < NGX_TRP_STATUS_TEXTS; i++) {
        value = json_array_get(texts, i);

        text[i].data = data[i];
        text[i].len = ngx_trp_rows_text(data[i], json_string_value(value),
                                        number);
    }

    ngx_trp_status_open(status,
                        json_integer_value(json_object_get(line, "kind")),
                        text, keys, &entry, NULL);

    for (i = keys; i < n; i++) {
        ngx_trp_status_set(&entry, i, &text[i]);
    }

    json_object_foreach(json_object_get(line, "counters"), index, value) {
        entry.counters[atoi(index)] = json_integer_value(value);
    }

    json_object_foreach(json_object_get(line, "gauges"), index, value) {
        ngx_trp_status_gauge(&entry, atoi(index), json_integer_value(value));
    }

    if (json_is_true(json_object_get(line, "gone"))) {
        (void) ngx_trp_status_close(&entry, 0);
    }
}


static size_t
ngx_trp_rows_text(u_char *to, const char *from, json_int_t number)
{
    u_char        *p;
    const u_char  *text;

    p = to;

    for (text = (const u_char *) from; *text; text++) {

        if (*text == '#') {
            p = ngx_sprintf(p, "%L", (int64_t) number);

        } else if (*text >= 0xc0) {
            *p++ = (u_char) ((text[0] << 6) | (text[1] & 0x3f));
            text++;

        } else {
            *p++ = *text;
        }
    }

    return p - to;
}
