
/*
 * Copyright (C) the trp authors
 */


/*
 * JSON: an object with what is there once, and an array of objects for each
 * kind of rows.  Objects are made by libjansson, one at a time.
 */


#include <jansson.h>

#include "base/trp_utf8.h"
#include "http/ngx_trp_http_json.h"


#define NGX_TRP_HTTP_JSON_VERSION  1


static ngx_int_t ngx_trp_http_json_begin(ngx_trp_http_cursor_t *cursor,
    ngx_buf_t *b);
static ngx_int_t ngx_trp_http_json_row(const ngx_trp_http_kind_t *kind,
    const ngx_trp_status_copy_t *row, ngx_buf_t *b);
static json_t *ngx_trp_http_json_value(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row);
static json_t *ngx_trp_http_json_text(const ngx_str_t *text);
static json_t *ngx_trp_http_json_words(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row);
static ngx_int_t ngx_trp_http_json_dump(json_t *json, ngx_buf_t *b);


ngx_int_t
ngx_trp_http_json(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b)
{
    ngx_int_t                   rc;
    ngx_trp_status_copy_t       row;
    const ngx_trp_http_kind_t  *kind;

    if (!cursor->begun) {
        cursor->begun = 1;

        if (ngx_trp_http_json_begin(cursor, b) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for ( ;; ) {
        kind = &ngx_trp_http_kinds[cursor->kind];

        if (kind->kind == 0) {
            b->last = ngx_cpymem(b->last, "\n}\n", 3);
            return NGX_OK;
        }

        if (!cursor->pass) {
            b->last = ngx_sprintf(b->last, ",\n\"%s\":[", kind->json);
            cursor->pass = 1;
        }

        for ( ;; ) {
            rc = ngx_trp_http_row(cursor, b, &row);

            if (rc != NGX_OK) {
                break;
            }

            if (cursor->rows > 1) {
                *b->last++ = ',';
            }

            *b->last++ = LF;

            if (ngx_trp_http_json_row(kind, &row, b) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        *b->last++ = ']';

        cursor->kind++;
        cursor->row = 0;
        cursor->rows = 0;
        cursor->pass = 0;
    }
}


/* the object is left open */

static ngx_int_t
ngx_trp_http_json_begin(ngx_trp_http_cursor_t *cursor, ngx_buf_t *b)
{
    json_t                    *json;
    ngx_trp_status_summary_t  *summary;

    summary = &cursor->summary;

    json = json_pack("{s:i, s:s, s:s, s:I, s:I, s:{s:I, s:I, s:I}}",
                     "version", NGX_TRP_HTTP_JSON_VERSION,
                     "trp", NGX_TRP_RELEASE,
                     "nginx", NGINX_VERSION,
                     "time", (json_int_t) ngx_time(),
                     "since", (json_int_t) summary->since,
                     "zone",
                     "rows", (json_int_t) summary->rows,
                     "used", (json_int_t) summary->used,
                     "unlisted_total", (json_int_t) summary->homeless);

    if (ngx_trp_http_json_dump(json, b) != NGX_OK) {
        return NGX_ERROR;
    }

    b->last--;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_http_json_row(const ngx_trp_http_kind_t *kind,
    const ngx_trp_status_copy_t *row, ngx_buf_t *b)
{
    json_t                      *json;
    const ngx_trp_http_field_t  *field;

    json = json_object();

    for (field = kind->fields; field->type; field++) {

        if (field->json
            && json_object_set_new_nocheck(json, field->json,
                                      ngx_trp_http_json_value(field, row))
               != 0)
        {
            json_decref(json);
            return NGX_ERROR;
        }
    }

    return ngx_trp_http_json_dump(json, b);
}


static json_t *
ngx_trp_http_json_value(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row)
{
    ngx_atomic_uint_t  value;

    switch (field->type) {

    case NGX_TRP_HTTP_TEXT:
        return ngx_trp_http_json_text(&row->texts[field->index]);

    case NGX_TRP_HTTP_RELAY_STATE:
        return json_string(ngx_trp_http_relay_state(row));

    case NGX_TRP_HTTP_REASONS:
    case NGX_TRP_HTTP_CODES:
        return ngx_trp_http_json_words(field, row);

    default:
        break;
    }

    value = ngx_trp_http_number(field, row);

    switch (field->type) {

    case NGX_TRP_HTTP_HERE:
    case NGX_TRP_HTTP_BOOL:
        return json_boolean(value);

    case NGX_TRP_HTTP_EARLIEST:
    case NGX_TRP_HTTP_TIME:
        return value ? json_integer(value) : json_null();

    default:
        return json_integer(value);
    }
}


static json_t *
ngx_trp_http_json_text(const ngx_str_t *text)
{
    size_t     len;
    u_char     buf[3 * NGX_TRP_STATUS_TEXT_SIZE];
    trp_str_t  from;

    from.len = text->len;
    from.data = text->data;

    len = trp_utf8_clean(buf, sizeof(buf), from);

    return json_stringn_nocheck((char *) buf, len);
}


/* those codes that have occurred; all reasons, which are few */

static json_t *
ngx_trp_http_json_words(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row)
{
    json_t             *json;
    ngx_uint_t          i;
    const char         *word;
    ngx_atomic_uint_t   value;

    json = json_object();

    for (i = 0; (word = ngx_trp_http_word(field, i)); i++) {
        value = row->counters[field->index + i];

        if ((value || field->type == NGX_TRP_HTTP_REASONS)
            && json_object_set_new_nocheck(json, word, json_integer(value))
               != 0)
        {
            json_decref(json);
            return NULL;
        }
    }

    return json;
}


/* frees it; there is room */

static ngx_int_t
ngx_trp_http_json_dump(json_t *json, ngx_buf_t *b)
{
    size_t  len, size;

    if (json == NULL) {
        return NGX_ERROR;
    }

    size = b->end - b->last;
    len = json_dumpb(json, (char *) b->last, size, JSON_COMPACT);

    json_decref(json);

    if (len == 0 || len > size) {
        return NGX_ERROR;
    }

    b->last += len;

    return NGX_OK;
}
