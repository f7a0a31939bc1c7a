
/*
 * Copyright (C) the trp authors
 */


/*
 * Answers that are written in turns.  In one round of a worker's event loop one
 * answer has one turn, however many are under way; one whose client does not
 * read has none.
 */


#ifndef _NGX_TRP_HTTP_ANSWER_H_INCLUDED_
#define _NGX_TRP_HTTP_ANSWER_H_INCLUDED_


#include <ngx_http.h>

#include "http/ngx_trp_http_cursor.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_http_answer_s  ngx_trp_http_answer_t;


/* of a worker: answers that wait for their turn */

typedef struct {
    ngx_queue_t                    answers;
    ngx_event_t                    event;
} ngx_trp_http_turns_t;


void ngx_trp_http_turns_init(ngx_trp_http_turns_t *turns, ngx_cycle_t *cycle);

/*
 * Lives as long as the request, whose write_event_handler is to call
 * _writable().  NULL: no memory.
 */

ngx_trp_http_answer_t *ngx_trp_http_answer_create(ngx_http_request_t *r,
    ngx_trp_http_turns_t *turns, ngx_trp_http_write_pt write);

/* sends the header and begins; what a content handler returns */

ngx_int_t ngx_trp_http_answer_begin(ngx_trp_http_answer_t *answer,
    const ngx_str_t *type);

/* the client has read, or time is up */

void ngx_trp_http_answer_writable(ngx_trp_http_answer_t *answer);


#pragma GCC visibility pop


#endif /* _NGX_TRP_HTTP_ANSWER_H_INCLUDED_ */
