
/*
 * Copyright (C) the trp authors
 */


/*
 * What an operator is shown of the rows of the table, kind by kind, and how it
 * is called in JSON and in metrics.
 */


#ifndef _NGX_TRP_HTTP_FIELDS_H_INCLUDED_
#define _NGX_TRP_HTTP_FIELDS_H_INCLUDED_


#include "status/ngx_trp_status_reader.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_HTTP_LABELS  5

typedef enum {
    NGX_TRP_HTTP_END = 0,

    /* "index" is of a text */
    NGX_TRP_HTTP_TEXT,
    NGX_TRP_HTTP_NUMBER,

    /* of a gauge; a time may be null */
    NGX_TRP_HTTP_SUM,
    NGX_TRP_HTTP_MAX,
    NGX_TRP_HTTP_BOOL,                   /* the highest one is not 0 */
    NGX_TRP_HTTP_EARLIEST,               /* of times */

    /* of a counter; of the first one */
    NGX_TRP_HTTP_COUNTER,
    NGX_TRP_HTTP_TIME,
    NGX_TRP_HTTP_REASONS,                /* of refused agents */
    NGX_TRP_HTTP_CODES,                  /* of refused streams */

    /* of the row, no index */
    NGX_TRP_HTTP_HERE,                   /* a worker has it */
    NGX_TRP_HTTP_SINCE,                  /* or is gone since */
    NGX_TRP_HTTP_AGENT_BUSY,             /* tunnels */
    NGX_TRP_HTTP_RELAY_BUSY,
    NGX_TRP_HTTP_RELAY_UP,
    NGX_TRP_HTTP_RELAY_STATE
} ngx_trp_http_type_e;


/*
 * Fields of the same metric stand together; the first one has its help, and its
 * type is that of its name.  A metric has all texts of the row's name as
 * labels, and one more: "value", or else one for each reason or code, or else
 * the text "index".
 */

typedef struct {
    ngx_trp_http_type_e            type;
    ngx_uint_t                     index;
    const char                    *json;      /* NULL: not there */
    const char                    *metric;    /* NULL: none; after the prefix */
    const char                    *help;
    const char                    *label;     /* NULL: no more */
    const char                    *value;
    ngx_uint_t                     text;
} ngx_trp_http_field_t;


typedef struct {
    ngx_uint_t                     kind;
    const char                    *json;
    const char                    *prefix;
    const char                    *labels[NGX_TRP_HTTP_LABELS];
    const ngx_trp_http_field_t    *fields;
    unsigned                       gone:1;    /* is shown then, too */
} ngx_trp_http_kind_t;


/* the last one has kind 0 */

extern const ngx_trp_http_kind_t  ngx_trp_http_kinds[];


/* of all types that are numbers, 0 for null */

ngx_atomic_uint_t ngx_trp_http_number(const ngx_trp_http_field_t *field,
    const ngx_trp_status_copy_t *row);

/* of those with reasons or codes: the word number "i"; NULL: no more */

const char *ngx_trp_http_word(const ngx_trp_http_field_t *field,
    ngx_uint_t i);

const char *ngx_trp_http_relay_state(const ngx_trp_status_copy_t *row);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_FIELDS_H_INCLUDED_ */
