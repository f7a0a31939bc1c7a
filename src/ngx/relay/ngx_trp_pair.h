
/*
 * Copyright (C) the trp authors
 */


/*
 * Who is connected to a relay, in one worker: groups of agents, the idle
 * tunnels of each reverse, the entries that wait for one, and what each key
 * and each group uses of its limits.
 */


#ifndef _NGX_TRP_PAIR_H_INCLUDED_
#define _NGX_TRP_PAIR_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_PEER_TEXT_LEN  256

typedef struct {
    u_char                 data[NGX_TRP_PEER_TEXT_LEN];
} ngx_trp_peer_text_t;


void ngx_trp_pair_init(ngx_trp_pair_t *pair, ngx_cycle_t *cycle);

/*
 * The peer, whose key is known, has a tunnel.  NGX_ERROR: no memory.
 * NGX_BUSY: that would be more tunnels than the limits allow, or the worker's
 * connections, "over" says whose they are.  NGX_AGAIN: the same, but some of
 * them may be dead, and are asked; peer->retry is posted when one has gone.
 */

ngx_int_t ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    trp_auth_t *auth, const ngx_trp_limits_t *limits, const char **over);

/*
 * The peer's tunnel is one for users in another worker: it counts for no limit.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_trp_pair_join_near(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    ngx_str_t *group, const ngx_trp_limits_t *limits);

/* the peer no longer waits */

void ngx_trp_pair_withdraw(ngx_trp_peer_t *peer);

/* the bandwidth of the peer's key has another limit; 0: none */

void ngx_trp_pair_limit_rate(ngx_trp_peer_t *peer, uint64_t rate);

/* calls "check" for each peer; it must not close one at once */

void ngx_trp_pair_each(ngx_trp_pair_t *pair,
    void (*check)(ngx_trp_peer_t *peer));

/*
 * Tells an entry whether its group has a reverse, unless it already knows.
 * Does nothing while its tunnel carries a stream; call it again after that.
 */

void ngx_trp_pair_tell(ngx_trp_peer_t *peer);

/* removes it from all lists; frees its agent and group after their last peer */

void ngx_trp_pair_leave(ngx_trp_peer_t *peer);


/* "entry "name" (comment) at 192.0.2.1", for a log; zero-terminated */

ngx_trp_peer_text_t ngx_trp_peer_text(ngx_trp_peer_t *peer);


/*
 * A stream is opened, by an entry with this key or (NULL) by this nginx, and
 * counts until ngx_trp_pair_closed().  NULL, or the limit that forbids it.
 */

const char *ngx_trp_pair_opened(ngx_trp_group_t *group,
    ngx_trp_member_t *member);
void ngx_trp_pair_closed(ngx_trp_group_t *group, ngx_trp_member_t *member);

/* a reverse's tunnel carries a stream; no longer */

void ngx_trp_pair_busy(ngx_trp_peer_t *reverse);
void ngx_trp_pair_free(ngx_trp_peer_t *reverse);


/*
 * A stream of this nginx needs the group, which is made if there is none; NULL:
 * no memory.
 */

ngx_trp_group_t *ngx_trp_pair_enter(ngx_trp_pair_t *pair, ngx_str_t *name,
    const ngx_trp_limits_t *limits);
void ngx_trp_pair_exit(ngx_trp_group_t *group);

/* 1 if the group is known to have had no reverse for some time */

ngx_uint_t ngx_trp_pair_absent(ngx_trp_pair_t *pair, ngx_str_t *name);


/* a reverse's tunnel becomes idle; busy */

void ngx_trp_pair_park(ngx_trp_peer_t *peer);
void ngx_trp_pair_unpark(ngx_trp_peer_t *peer);

/*
 * A reverse does not answer: its idle tunnels are asked whether they are alive,
 * and get no stream until they answer.  NGX_DECLINED: there is no other one.
 */

ngx_int_t ngx_trp_pair_silent(ngx_trp_peer_t *reverse,
    ngx_trp_seeker_t *seeker);

/* the tunnel has answered; 1 if it is to be parked again */

ngx_uint_t ngx_trp_pair_answered(ngx_trp_peer_t *peer);

/*
 * Idle tunnels of an agent, or, negative, its share of the streams that wait
 * for one.
 */

ngx_int_t ngx_trp_pair_spare(ngx_trp_agent_t *agent);

void ngx_trp_pair_wait(ngx_trp_seeker_t *seeker);
void ngx_trp_pair_unwait(ngx_trp_seeker_t *seeker);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PAIR_H_INCLUDED_ */
