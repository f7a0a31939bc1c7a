
/*
 * Copyright (C) the trp authors
 */


/*
 * Chooses the reverse of a group that gets a stream.  The cost is logarithmic
 * in the number of keys and of agents.
 */


#ifndef _NGX_TRP_CHOICE_H_INCLUDED_
#define _NGX_TRP_CHOICE_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


void ngx_trp_choice_init_group(ngx_trp_group_t *group);
void ngx_trp_choice_init_member(ngx_trp_member_t *member);

/* its first tunnel is there; its last is gone; its refusals are forgotten */

void ngx_trp_choice_add(ngx_trp_agent_t *agent);
void ngx_trp_choice_remove(ngx_trp_agent_t *agent);
void ngx_trp_choice_forget(ngx_trp_agent_t *agent);

void ngx_trp_choice_configure(ngx_trp_agent_t *agent, ngx_uint_t weight,
    ngx_uint_t backup);

/*
 * To be called before and after every change of its idle tunnels, or of the
 * number of busy ones.
 */

void ngx_trp_choice_out(ngx_trp_agent_t *agent);
void ngx_trp_choice_in(ngx_trp_agent_t *agent);

/* the number of streams that a key carries has changed, or its limit */

void ngx_trp_choice_member(ngx_trp_member_t *member);

/* 1 while the agent's penalty lasts */

ngx_uint_t ngx_trp_choice_penalized(ngx_trp_agent_t *agent);


/*
 * Takes an idle tunnel for a stream; NULL if there is none.  Agents that have
 * not refused lately and are not backups come first; among them, the least busy
 * one in proportion to the weights.  The others get a stream only if there are
 * no such agents, or if it has become impatient.
 */

ngx_trp_peer_t *ngx_trp_choice_take(ngx_trp_seeker_t *seeker);

/*
 * A reverse has refused a stream; has accepted it.  The former returns 1 if
 * there is a reverse that has not yet refused this stream.
 */

ngx_uint_t ngx_trp_choice_refused(ngx_trp_agent_t *agent,
    ngx_trp_seeker_t *seeker, ngx_uint_t code);
void ngx_trp_choice_accepted(ngx_trp_agent_t *agent);

/*
 * A reverse does not answer: it ranks last until it does.  The latter returns 1
 * if there is another one that may answer, and has not refused this stream.
 */

void ngx_trp_choice_silent(ngx_trp_agent_t *agent, ngx_uint_t silent);
ngx_uint_t ngx_trp_choice_another(ngx_trp_agent_t *agent,
    ngx_trp_seeker_t *seeker);

/*
 * Of the streams that this agent may serve, the one that has waited longest, or
 * NULL.  The caller must end its waiting.
 */

ngx_trp_seeker_t *ngx_trp_choice_next(ngx_trp_agent_t *agent);


#pragma GCC visibility pop


#endif /* _NGX_TRP_CHOICE_H_INCLUDED_ */
