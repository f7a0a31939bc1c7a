
/*
 * Who is connected to a relay, in one worker: groups of agents, the idle
 * tunnels of each reverse, the entries that wait for one.
 */


#ifndef _NGX_TRP_PAIR_H_INCLUDED_
#define _NGX_TRP_PAIR_H_INCLUDED_


#include "ngx_trp_tunnel.h"


#pragma GCC visibility push(hidden)


/* how long an agent that refused a stream stands behind the others */

#define NGX_TRP_PAIR_PENALTY  1000


typedef struct ngx_trp_peer_s   ngx_trp_peer_t;
typedef struct ngx_trp_joint_s  ngx_trp_joint_t;


typedef struct {
    ngx_rbtree_t           rbtree;       /* ngx_trp_group_t by name */
    ngx_rbtree_node_t      sentinel;
} ngx_trp_pair_t;


typedef struct {
    ngx_str_node_t         sn;
    ngx_trp_pair_t        *pair;
    ngx_queue_t            agents;       /* ngx_trp_agent_t */
    ngx_queue_t            waiting;      /* ngx_trp_peer_t, entries */
    ngx_uint_t             nwaiting;
    ngx_uint_t             chosen;       /* counts ngx_trp_pair_choose() */
} ngx_trp_group_t;


/* all tunnels of one role with one key and one name, in one group */

typedef struct {
    ngx_queue_t            queue;        /* in group->agents */
    ngx_trp_group_t       *group;
    ngx_queue_t            idle;         /* ngx_trp_peer_t, of a reverse */
    ngx_uint_t             role;         /* TRP_ROLE_* */
    ngx_uint_t             tunnels;
    ngx_uint_t             busy;
    ngx_uint_t             chosen;       /* group->chosen at its last turn */
    ngx_msec_t             refused;      /* when it last refused a stream */
    u_char                 public_key[TRP_KEY_PUBLIC_LEN];
    ngx_str_t              name;
    unsigned               penalty:1;
} ngx_trp_agent_t;


/* a tunnel as the relay sees it; lives in the tunnel's pool */

struct ngx_trp_peer_s {
    ngx_queue_t            queue;        /* in agent->idle, group->waiting */
    ngx_trp_tunnel_t      *tunnel;
    ngx_trp_agent_t       *agent;        /* NULL: not authenticated */
    ngx_stream_session_t  *session;
    trp_authorized_key_t  *key;

    ngx_trp_joint_t       *joint;        /* the stream that it carries */
    ngx_trp_peer_t        *other;        /* its other tunnel */

    u_char                 nonce[TRP_NONCE_LEN];

    unsigned               idle:1;
    unsigned               waiting:1;
    unsigned               throttled:1;  /* not read until output is gone */
};


void ngx_trp_pair_init(ngx_trp_pair_t *pair);

/* NGX_ERROR: no memory */

ngx_int_t ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    ngx_uint_t role, trp_str_t group, trp_str_t name,
    const u_char *public_key);

/* out of all lists; the last one frees agent and group */

void ngx_trp_pair_leave(ngx_trp_peer_t *peer);


/* a reverse's tunnel has nothing to do, or has */

void ngx_trp_pair_park(ngx_trp_peer_t *peer);
void ngx_trp_pair_unpark(ngx_trp_peer_t *peer);

/*
 * An idle tunnel of the group's least busy agent, of one that has not lately
 * refused if there is one; taken from the idle ones.  NULL if there is none.
 */

ngx_trp_peer_t *ngx_trp_pair_choose(ngx_trp_group_t *group);

/* the agent has refused a stream; 1 if another one may do better */

ngx_uint_t ngx_trp_pair_refused(ngx_trp_agent_t *agent);

void ngx_trp_pair_wait(ngx_trp_peer_t *peer);
void ngx_trp_pair_unwait(ngx_trp_peer_t *peer);

/* the entry that has waited longest, no longer waiting; or NULL */

ngx_trp_peer_t *ngx_trp_pair_next(ngx_trp_group_t *group);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PAIR_H_INCLUDED_ */
