
/*
 * Copyright (C) the trp authors
 */


/*
 * Answers of a TURN server.
 */


#ifndef TRP_TURN_ANSWER_H_INCLUDED
#define TRP_TURN_ANSWER_H_INCLUDED


#include "turn/trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* 1 if requests of this method are answered at all */

int trp_turn_is_request(unsigned method);

/*
 * Answers turn->request: begin, put attributes, end.  trp_turn_error() does
 * all of this.
 */

void trp_turn_answer_begin(trp_turn_t *turn, trp_stun_writer_t *w,
    trp_stun_class_e type);
void trp_turn_answer_end(trp_turn_t *turn, trp_stun_writer_t *w);
void trp_turn_error(trp_turn_t *turn, unsigned code);

/* with the usual reason for an authenticated client, a short one for others */

void trp_turn_put_error(trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code);

/* ends any answer; counts it, unless "code" is 0; returns its length */

size_t trp_turn_sign(trp_turn_t *turn, trp_stun_writer_t *w,
    const trp_turn_request_t *request, unsigned code);

void trp_turn_count(trp_turn_t *turn, unsigned method, unsigned code);


#pragma GCC visibility pop


#endif /* TRP_TURN_ANSWER_H_INCLUDED */
