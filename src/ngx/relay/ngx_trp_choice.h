
/*
 * Copyright (C) the trp authors
 */


/*
 * Which reverse of a group gets a stream.  What this costs grows with the
 * logarithm of the number of keys and of agents.
 */


#ifndef _NGX_TRP_CHOICE_H_INCLUDED_
#define _NGX_TRP_CHOICE_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


void ngx_trp_choice_init_group(ngx_trp_group_t *group);
void ngx_trp_choice_init_member(ngx_trp_member_t *member);

/* a reverse has a tunnel, or none any more; what it has refused is forgotten */

void ngx_trp_choice_add(ngx_trp_agent_t *agent);
void ngx_trp_choice_remove(ngx_trp_agent_t *agent);
void ngx_trp_choice_forget(ngx_trp_agent_t *agent);

void ngx_trp_choice_configure(ngx_trp_agent_t *agent, ngx_uint_t weight,
    ngx_uint_t backup);

/*
 * To be called around every change of its idle tunnels, and of how many are
 * busy.
 */

void ngx_trp_choice_out(ngx_trp_agent_t *agent);
void ngx_trp_choice_in(ngx_trp_agent_t *agent);

/* what a key carries has changed, or its limit */

void ngx_trp_choice_member(ngx_trp_member_t *member);

/* 1 if the penalty is not over */

ngx_uint_t ngx_trp_choice_penalized(ngx_trp_agent_t *agent);


/*
 * An idle tunnel for a stream, taken from the idle ones; NULL if there is
 * none.  First come agents that have not lately refused and are no backup,
 * among them the least busy one in proportion to the weights.  Those behind
 * get a stream if nobody is in front, or if its entry has become impatient.
 */

ngx_trp_peer_t *ngx_trp_choice_take(ngx_trp_peer_t *entry, const u_char *id);

/*
 * A reverse has refused a stream, or has accepted it.  1 if there is one that
 * has not yet refused this stream.
 */

ngx_uint_t ngx_trp_choice_refused(ngx_trp_agent_t *agent, const u_char *id,
    ngx_uint_t code);
void ngx_trp_choice_accepted(ngx_trp_agent_t *agent);

/*
 * The entry that has waited longest of those which this agent may serve, or
 * NULL.  It is the caller's to end its waiting.
 */

ngx_trp_peer_t *ngx_trp_choice_next(ngx_trp_agent_t *agent);


#pragma GCC visibility pop


#endif /* _NGX_TRP_CHOICE_H_INCLUDED_ */
