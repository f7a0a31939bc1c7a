
/*
 * Who is connected to a relay, in one worker: groups of agents, the idle
 * tunnels of each reverse, the entries that wait for one, and what each key
 * and each group uses of its limits.
 */


#ifndef _NGX_TRP_PAIR_H_INCLUDED_
#define _NGX_TRP_PAIR_H_INCLUDED_


#include "ngx_trp_room.h"
#include "ngx_trp_tunnel.h"


#pragma GCC visibility push(hidden)


/*
 * How long an agent that refused a stream stands behind the others: twice as
 * long after each further refusal in a row.
 */

#define NGX_TRP_PAIR_PENALTY      1000
#define NGX_TRP_PAIR_PENALTY_MAX  60000

/*
 * How long a group has no reverse until its entries are told: one that dials
 * again, after a reload, has not gone.
 */

#define NGX_TRP_PAIR_ABSENT_TIME  2000

/* how long a stream waits for those that stand in front */

#define NGX_TRP_PAIR_PATIENCE     1000


typedef struct ngx_trp_peer_s   ngx_trp_peer_t;
typedef struct ngx_trp_joint_s  ngx_trp_joint_t;


typedef struct {
    ngx_rbtree_t           rbtree;       /* ngx_trp_group_t by name */
    ngx_rbtree_node_t      sentinel;
    ngx_uint_t             size;         /* connections of the worker */
    ngx_uint_t             entries;      /* tunnels of all groups */
    ngx_uint_t             reverses;
} ngx_trp_pair_t;


/* what a key or a group uses */

typedef struct {
    trp_limits_t           limits;
    ngx_uint_t             tunnels;
    ngx_uint_t             streams;
    trp_rate_t             opens;
} ngx_trp_usage_t;


typedef struct {
    ngx_str_node_t         sn;
    ngx_trp_pair_t        *pair;
    ngx_queue_t            agents;       /* ngx_trp_agent_t */
    ngx_queue_t            members;      /* ngx_trp_member_t */
    ngx_queue_t            waiting;      /* ngx_trp_peer_t, entries */
    ngx_uint_t             nwaiting;
    ngx_uint_t             nreverses;    /* among the agents */
    ngx_trp_usage_t        usage;
    trp_recent_t           lost;         /* accepted; does the entry know? */
    uint64_t               pass;         /* of the agent chosen last */
    ngx_event_t            absence;      /* waits for a reverse */
    unsigned               absent:1;     /* there was none for some time */
} ngx_trp_group_t;


/* a key in a group; there as long as it has tunnels */

typedef struct {
    ngx_queue_t            queue;        /* in group->members */
    ngx_trp_usage_t        usage;        /* streams: those of its entries */
    ngx_uint_t             carried;      /* streams of its reverses */
    u_char                 public_key[TRP_KEY_PUBLIC_LEN];
} ngx_trp_member_t;


/* all tunnels of one role with one key and one name, in one group */

typedef struct {
    ngx_queue_t            queue;        /* in group->agents */
    ngx_trp_group_t       *group;
    ngx_trp_member_t      *member;
    ngx_queue_t            peers;        /* ngx_trp_peer_t, all */
    ngx_queue_t            idle;         /* ngx_trp_peer_t, of a reverse */
    ngx_uint_t             role;         /* TRP_ROLE_* */
    ngx_uint_t             tunnels;
    ngx_uint_t             busy;

    ngx_uint_t             weight;
    uint64_t               pass;         /* moves on by 1/weight at its turns */

    ngx_uint_t             failures;     /* in a row */
    ngx_msec_t             refused;      /* when the last of them was */
    trp_recent_t           streams;      /* that it refused */

    ngx_str_t              name;
    unsigned               backup:1;
} ngx_trp_agent_t;


/* a tunnel as the relay sees it; lives in the tunnel's pool */

struct ngx_trp_peer_s {
    ngx_queue_t            all;          /* in agent->peers */
    ngx_queue_t            queue;        /* in agent->idle, group->waiting */
    ngx_trp_tunnel_t      *tunnel;
    ngx_trp_agent_t       *agent;        /* NULL: not authenticated */
    ngx_stream_session_t  *session;
    trp_authorized_key_t  *key;

    ngx_trp_joint_t       *joint;        /* the stream that it carries */
    ngx_trp_peer_t        *other;        /* its other tunnel */
    const u_char          *id;           /* of the stream that it waits with */

    u_char                 nonce[TRP_NONCE_LEN];

    unsigned               idle:1;
    unsigned               waiting:1;
    unsigned               impatient:1;  /* takes any reverse by now */
    unsigned               throttled:1;  /* not read until output is gone */
    unsigned               absent:1;     /* an entry was told that nobody is */
};


/* for each key and each group of a server {} */

typedef struct {
    trp_limits_t           key;
    trp_limits_t           group;
} ngx_trp_limits_t;


#define NGX_TRP_PEER_TEXT_LEN  256

typedef struct {
    u_char                 data[NGX_TRP_PEER_TEXT_LEN];
} ngx_trp_peer_text_t;


void ngx_trp_pair_init(ngx_trp_pair_t *pair, ngx_cycle_t *cycle);

/*
 * The peer, whose key is known, has a tunnel.  NGX_ERROR: no memory.
 * NGX_BUSY: that would be more tunnels than the limits allow, or the worker's
 * connections, "over" says whose they are.
 */

ngx_int_t ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    trp_auth_t *auth, ngx_trp_limits_t *limits, const char **over);

/* calls "check" for each peer; it must not close one at once */

void ngx_trp_pair_each(ngx_trp_pair_t *pair,
    void (*check)(ngx_trp_peer_t *peer));

/*
 * Tells an entry whether its group has a reverse, unless it knows; not while
 * its tunnel carries a stream: it has to be called when that is over.
 */

void ngx_trp_pair_tell(ngx_trp_peer_t *peer);

/* out of all lists; the last one frees agent and group */

void ngx_trp_pair_leave(ngx_trp_peer_t *peer);


/* "entry "name" (comment) at 192.0.2.1", for a log; zero-terminated */

ngx_trp_peer_text_t ngx_trp_peer_text(ngx_trp_peer_t *peer);


/*
 * An entry opens a stream, which counts until ngx_trp_pair_closed().  NULL, or
 * which limit is against it.
 */

const char *ngx_trp_pair_opened(ngx_trp_peer_t *entry);
void ngx_trp_pair_closed(ngx_trp_peer_t *entry);

/* the two carry a stream together, or do not any more */

void ngx_trp_pair_busy(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse);
void ngx_trp_pair_free(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse);


/* a reverse's tunnel has nothing to do, or has */

void ngx_trp_pair_park(ngx_trp_peer_t *peer);
void ngx_trp_pair_unpark(ngx_trp_peer_t *peer);

/*
 * An idle tunnel for a stream, taken from the idle ones; NULL if there is
 * none.  First come agents that have not lately refused and are no backup,
 * among them the least busy one in proportion to the weights.  Those behind
 * get a stream if nobody is in front, or if its entry has become impatient.
 */

ngx_trp_peer_t *ngx_trp_pair_choose(ngx_trp_peer_t *entry, const u_char *id);

/*
 * A reverse has refused a stream, or has accepted it.  1 if there is one that
 * has not yet refused this stream.
 */

ngx_uint_t ngx_trp_pair_refused(ngx_trp_agent_t *agent, const u_char *id,
    ngx_uint_t code);
void ngx_trp_pair_accepted(ngx_trp_agent_t *agent);

/*
 * Idle tunnels of an agent, or, negative, its share of the streams that wait
 * for one.
 */

ngx_int_t ngx_trp_pair_spare(ngx_trp_agent_t *agent);

void ngx_trp_pair_wait(ngx_trp_peer_t *entry, const u_char *id);
void ngx_trp_pair_unwait(ngx_trp_peer_t *entry);

/*
 * The entry that has waited longest of those which this agent may serve, no
 * longer waiting; or NULL
 */

ngx_trp_peer_t *ngx_trp_pair_next(ngx_trp_agent_t *agent);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PAIR_H_INCLUDED_ */
