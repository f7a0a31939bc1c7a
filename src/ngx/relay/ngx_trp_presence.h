
/*
 * Copyright (C) the trp authors
 */


/*
 * Who is connected to a relay, as an operator sees it: rows of agents and
 * groups in the table of the status, and lines in the log when an agent comes
 * and when it is gone.
 */


#ifndef _NGX_TRP_PRESENCE_H_INCLUDED_
#define _NGX_TRP_PRESENCE_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


/* why an agent has gone that is likely to be back soon */

typedef enum {
    NGX_TRP_PRESENCE_DRAINED = 3,        /* this worker exits */
    NGX_TRP_PRESENCE_LEFT                /* the agent's worker exits */
} ngx_trp_presence_quiet_e;


/* a group, an agent are made: they are not listed yet */

void ngx_trp_presence_init_group(ngx_trp_group_t *group);
void ngx_trp_presence_init_agent(ngx_trp_agent_t *agent);

/* the group is freed */

void ngx_trp_presence_end_group(ngx_trp_group_t *group);


/* the peer's tunnel has been added to its agent; removed from this agent */

void ngx_trp_presence_joined(ngx_trp_peer_t *peer);
void ngx_trp_presence_left(ngx_trp_peer_t *peer, ngx_trp_agent_t *agent);

/* an agent that has not come back: kept as a loss, with a line in the log */

void ngx_trp_presence_overdue(ngx_trp_status_t *status,
    ngx_trp_status_gone_t *gone, ngx_log_t *log);


/* numbers of an agent, of a group have changed */

void ngx_trp_presence_agent(ngx_trp_agent_t *agent);
void ngx_trp_presence_group(ngx_trp_group_t *group);

/* a stream was opened in the group; an entry has opened it, a reverse got it */

void ngx_trp_presence_opened(ngx_trp_group_t *group);
void ngx_trp_presence_stream(ngx_trp_agent_t *agent);

/* a stream was refused in the group, to this entry or (NULL) to a user here */

void ngx_trp_presence_refused(ngx_trp_group_t *group, ngx_trp_agent_t *entry,
    ngx_uint_t code);

/* a reverse has refused a stream, which another one may accept */

void ngx_trp_presence_refusal(ngx_trp_agent_t *reverse, ngx_uint_t code);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PRESENCE_H_INCLUDED_ */
