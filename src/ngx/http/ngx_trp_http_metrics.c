
/*
 * Copyright (C) the trp authors
 */


/*
 * Metrics in the text format 0.0.4 of Prometheus.  All lines of a metric stand
 * together, so there is a pass over the table for each.  A row makes lines for
 * all fields of the metric; what is not known, and codes that have not
 * occurred, are left out.
 */


#include "base/trp_utf8.h"
#include "http/ngx_trp_http_metrics.h"


typedef struct {
    ngx_buf_t                    *b;
    const ngx_trp_http_kind_t    *kind;
    const ngx_trp_http_field_t   *field;
    const ngx_trp_status_copy_t  *row;
} ngx_trp_http_line_t;


static void ngx_trp_http_metrics_begin(ngx_trp_http_cursor_t *cursor,
    ngx_buf_t *b);
static void ngx_trp_http_metrics_head(ngx_buf_t *b, const char *prefix,
    const char *name, const char *help);
static void ngx_trp_http_metrics_row(const ngx_trp_http_kind_t *kind,
    ngx_uint_t first, const ngx_trp_status_copy_t *row, ngx_buf_t *b);
static void ngx_trp_http_metrics_field(ngx_trp_http_line_t *line);
static void ngx_trp_http_metrics_words(ngx_trp_http_line_t *line);
static void ngx_trp_http_metrics_line(ngx_trp_http_line_t *line,
    const char *word, ngx_atomic_uint_t value);
static u_char *ngx_trp_http_metrics_label(u_char *p, const char *name,
    const ngx_str_t *value);
static ngx_uint_t ngx_trp_http_metrics_next(ngx_trp_http_cursor_t *cursor);


ngx_int_t
ngx_trp_http_metrics(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b)
{
    u_char                      *before, *first;
    ngx_int_t                    rc;
    ngx_trp_status_copy_t        row;
    const ngx_trp_http_kind_t   *kind;
    const ngx_trp_http_field_t  *field;

    if (!cursor->begun) {
        cursor->begun = 1;
        ngx_trp_http_metrics_begin(cursor, b);
    }

    while (ngx_trp_http_metrics_next(cursor)) {
        kind = &ngx_trp_http_kinds[cursor->kind];
        field = &kind->fields[cursor->field];

        for ( ;; ) {
            rc = ngx_trp_http_row(cursor, b, &row);

            if (rc != NGX_OK) {
                break;
            }

            before = b->last;

            if (!cursor->pass) {
                ngx_trp_http_metrics_head(b, kind->prefix, field->metric,
                                          field->help);
            }

            first = b->last;

            ngx_trp_http_metrics_row(kind, cursor->field, &row, b);

            /* nothing is said of a metric without samples */

            if (b->last == first) {
                b->last = before;

            } else {
                cursor->pass = 1;
            }
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        /* a kind without rows has no more metrics */

        if (cursor->rows) {
            cursor->field++;

        } else {
            cursor->kind++;
            cursor->field = 0;
        }

        cursor->row = 0;
        cursor->rows = 0;
        cursor->pass = 0;
    }

    return NGX_OK;
}


/* to the first field of a metric, from "field" on: 0: there is none */

static ngx_uint_t
ngx_trp_http_metrics_next(ngx_trp_http_cursor_t *cursor)
{
    ngx_uint_t                   i;
    const ngx_trp_http_field_t  *fields;

    for ( ;; ) {
        fields = ngx_trp_http_kinds[cursor->kind].fields;

        if (fields == NULL) {
            return 0;
        }

        for (i = cursor->field; fields[i].type; i++) {

            if (fields[i].metric == NULL
                || (i && fields[i - 1].metric
                    && ngx_strcmp(fields[i].metric, fields[i - 1].metric) == 0))
            {
                continue;
            }

            cursor->field = i;

            return 1;
        }

        cursor->kind++;
        cursor->field = 0;
    }
}


static void
ngx_trp_http_metrics_begin(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b)
{
    ngx_trp_status_summary_t  *summary;

    summary = &cursor->summary;

    ngx_trp_http_metrics_head(b, "trp_", "info", "Versions of trp and nginx.");

    b->last = ngx_sprintf(b->last,
                          "trp_info{version=\"%s\",nginx=\"%s\"} 1\n",
                          NGX_TRP_RELEASE, NGINX_VERSION);

    ngx_trp_http_metrics_head(b, "trp_", "zone_rows",
                              "Rows that the table of all this has room for.");

    b->last = ngx_sprintf(b->last, "trp_zone_rows %ui\n", summary->rows);

    ngx_trp_http_metrics_head(b, "trp_", "zone_rows_used",
                              "Rows that have been in use, at most.");

    b->last = ngx_sprintf(b->last, "trp_zone_rows_used %ui\n", summary->used);

    ngx_trp_http_metrics_head(b, "trp_", "zone_unlisted_total",
                              "What the table had no room for, "
                              "and is not seen here.");

    b->last = ngx_sprintf(b->last, "trp_zone_unlisted_total %ui\n",
                          summary->homeless);
}


/* by its name, a metric is a counter or not */

static void
ngx_trp_http_metrics_head(ngx_buf_t *b, const char *prefix, const char *name,
    const char *help)
{
    size_t       len;
    const char  *type;

    len = ngx_strlen(name);

    type = (len > 6 && ngx_strcmp(name + len - 6, "_total") == 0)
           ? "counter" : "gauge";

    b->last = ngx_sprintf(b->last, "# HELP %s%s %s\n# TYPE %s%s %s\n",
                          prefix, name, help, prefix, name, type);
}


static void
ngx_trp_http_metrics_row(const ngx_trp_http_kind_t *kind, ngx_uint_t first,
    const ngx_trp_status_copy_t *row, ngx_buf_t *b)
{
    const char           *metric;
    ngx_trp_http_line_t   line;

    metric = kind->fields[first].metric;

    line.b = b;
    line.kind = kind;
    line.row = row;

    for (line.field = &kind->fields[first]; line.field->metric; line.field++) {

        if (ngx_strcmp(line.field->metric, metric) != 0) {
            break;
        }

        ngx_trp_http_metrics_field(&line);
    }
}


static void
ngx_trp_http_metrics_field(ngx_trp_http_line_t *line)
{
    ngx_atomic_uint_t  value;

    switch (line->field->type) {

    case NGX_TRP_HTTP_REASONS:
    case NGX_TRP_HTTP_CODES:
        ngx_trp_http_metrics_words(line);
        return;

    default:
        break;
    }

    value = ngx_trp_http_number(line->field, line->row);

    switch (line->field->type) {

    case NGX_TRP_HTTP_EARLIEST:
    case NGX_TRP_HTTP_TIME:
        if (value == 0) {
            return;
        }

        break;

    default:
        break;
    }

    ngx_trp_http_metrics_line(line, line->field->value, value);
}


static void
ngx_trp_http_metrics_words(ngx_trp_http_line_t *line)
{
    ngx_uint_t          i;
    const char         *word;
    ngx_atomic_uint_t   value;

    for (i = 0; (word = ngx_trp_http_word(line->field, i)); i++) {
        value = line->row->counters[line->field->index + i];

        if (value || line->field->type == NGX_TRP_HTTP_REASONS) {
            ngx_trp_http_metrics_line(line, word, value);
        }
    }
}


static void
ngx_trp_http_metrics_line(ngx_trp_http_line_t *line, const char *word,
    ngx_atomic_uint_t value)
{
    u_char                      *p;
    ngx_str_t                    more;
    ngx_uint_t                   i;
    const ngx_trp_http_kind_t   *kind;
    const ngx_trp_http_field_t  *field;

    kind = line->kind;
    field = line->field;

    p = ngx_sprintf(line->b->last, "%s%s{", kind->prefix, field->metric);

    for (i = 0; i < NGX_TRP_HTTP_LABELS && kind->labels[i]; i++) {
        p = ngx_trp_http_metrics_label(p, kind->labels[i],
                                       &line->row->texts[i]);
    }

    if (field->label) {

        if (word) {
            more.len = ngx_strlen(word);
            more.data = (u_char *) word;

        } else {
            more = line->row->texts[field->text];
        }

        p = ngx_trp_http_metrics_label(p, field->label, &more);
    }

    /* in place of the last comma */

    line->b->last = ngx_sprintf(p - 1, "} %uA\n", value);
}


static u_char *
ngx_trp_http_metrics_label(u_char *p, const char *name, const ngx_str_t *value)
{
    size_t     i, len;
    u_char     buf[3 * NGX_TRP_STATUS_TEXT_SIZE];
    trp_str_t  text;

    text.len = value->len;
    text.data = value->data;

    len = trp_utf8_clean(buf, sizeof(buf), text);

    p = ngx_cpymem(p, name, ngx_strlen(name));
    *p++ = '=';
    *p++ = '"';

    for (i = 0; i < len; i++) {

        if (buf[i] == LF) {
            *p++ = '\\';
            *p++ = 'n';
            continue;
        }

        if (buf[i] == '\\' || buf[i] == '"') {
            *p++ = '\\';
        }

        *p++ = buf[i];
    }

    *p++ = '"';
    *p++ = ',';

    return p;
}
