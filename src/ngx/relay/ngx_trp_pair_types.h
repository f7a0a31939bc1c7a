
/*
 * Copyright (C) the trp authors
 */


/*
 * Groups, keys, agents and tunnels of a relay, in one worker: the types that
 * ngx_trp_pair.c looks after, and ngx_trp_choice.c chooses from.
 */


#ifndef _NGX_TRP_PAIR_TYPES_H_INCLUDED_
#define _NGX_TRP_PAIR_TYPES_H_INCLUDED_


#include "base/ngx_trp_capacity.h"
#include "hub/ngx_trp_hub.h"
#include "base/ngx_trp_guard.h"
#include "status/ngx_trp_status.h"
#include "tunnel/ngx_trp_tunnel.h"


#pragma GCC visibility push(hidden)


/*
 * Milliseconds for which an agent that has refused a stream ranks after the
 * others; doubled after each further refusal in a row.
 */

#define NGX_TRP_PAIR_PENALTY      1000
#define NGX_TRP_PAIR_PENALTY_MAX  60000

/*
 * Milliseconds without a reverse after which a group's entries are told: one
 * that redials after a reload is not gone.
 */

#define NGX_TRP_PAIR_ABSENT_TIME  2000

/* milliseconds that a stream waits for the agents that rank first */

#define NGX_TRP_PAIR_PATIENCE     1000


/* milliseconds that state is kept after the last tunnel, at most */

#define NGX_TRP_PAIR_REST         60000
#define NGX_TRP_PAIR_RESTS        1024


/* agents are ranked in classes: see ngx_trp_choice.c */

#define NGX_TRP_CHOICE_CLASSES    4
#define NGX_TRP_CHOICE_REFUSALS   256


typedef struct ngx_trp_relay_s  ngx_trp_relay_t;
typedef struct ngx_trp_agent_s  ngx_trp_agent_t;
typedef struct ngx_trp_joint_s  ngx_trp_joint_t;
typedef struct ngx_trp_bearer_s  ngx_trp_bearer_t;


typedef struct {
    ngx_rbtree_t           rbtree;       /* ngx_trp_group_t by name */
    ngx_rbtree_node_t      sentinel;     /* of all trees below */
    ngx_queue_t            resting;      /* ngx_trp_rest_t, oldest first */
    ngx_uint_t             nresting;
    ngx_event_t            event;        /* ends the rest of those */
    ngx_uint_t             size;         /* connections of the worker */
    ngx_uint_t             entries;      /* tunnels of all groups */
    ngx_uint_t             reverses;
    ngx_uint_t             nears;        /* among those of entries */
    ngx_uint_t             streams;
    ngx_log_t             *log;
    ngx_trp_status_t      *status;
    ngx_trp_status_entry_t  *server;     /* the relay's own row */
    ngx_msec_t             listed;       /* when groups last were; 0: never */
} ngx_trp_pair_t;


/* state kept for an agent, key or group that has no tunnels */

typedef struct {
    ngx_queue_t            queue;        /* in pair->resting */
    ngx_msec_t             since;
    void                 (*end)(void *data);
    void                  *data;
    unsigned               resting:1;
} ngx_trp_rest_t;


/* what a key or a group uses */

typedef struct {
    trp_limits_t           limits;
    ngx_uint_t             tunnels;
    ngx_uint_t             streams;
    ngx_uint_t             services;     /* published ones */
    trp_rate_t             opens;
    ngx_trp_meter_t       *meters;       /* of both directions, or NULL */
    ngx_msec_t             probed;       /* when its tunnels last were */
    unsigned               was_probed:1;
    unsigned               suspects:1;   /* some may be dead */
} ngx_trp_usage_t;


/* a ring of recent refusals, agents and streams */

typedef struct {
    ngx_uint_t             n;            /* refusals ever added */
    ngx_trp_agent_t       *agents[NGX_TRP_CHOICE_REFUSALS];
    u_char                 ids[NGX_TRP_CHOICE_REFUSALS][TRP_STREAM_ID_LEN];
} ngx_trp_refusals_t;


struct ngx_trp_group_s {
    ngx_str_node_t         sn;
    ngx_trp_pair_t        *pair;
    ngx_queue_t            agents;       /* ngx_trp_agent_t */
    ngx_rbtree_t           members;      /* ngx_trp_member_t by key */
    ngx_uint_t             nmembers;
    ngx_rbtree_t           services;     /* ngx_trp_service_t by name */
    ngx_queue_t            waiting;      /* ngx_trp_seeker_t */
    ngx_uint_t             nwaiting;
    ngx_uint_t             nservices;    /* those that wait for a service */
    ngx_uint_t             nlocals;      /* streams of this nginx */
    ngx_queue_t            candidates;   /* ngx_trp_peer_t, without a tunnel */
    ngx_trp_status_entry_t  status;
    ngx_uint_t             nentries;     /* among the agents, not near ones */
    ngx_uint_t             nreverses;    /* the same */
    ngx_uint_t             nsilent;      /* among those */
    ngx_trp_usage_t        usage;
    trp_recent_t           lost;         /* accepted; does the entry know? */
    uint64_t               pass;         /* of the agent chosen last */

    /* available members, ordered by the best of their agents */

    ngx_rbtree_t           ready[NGX_TRP_CHOICE_CLASSES];
    ngx_uint_t             count[NGX_TRP_CHOICE_CLASSES];  /* idle or not */
    ngx_rbtree_t           penalized;    /* ngx_trp_agent_t by time */
    ngx_trp_refusals_t    *refusals;     /* NULL: none yet */

    ngx_trp_rest_t         rest;
    ngx_event_t            absence;      /* waits for a reverse */
    unsigned               absent:1;     /* there was none for some time */
    unsigned               wanted:1;     /* by streams of this nginx */
    unsigned               listed:1;     /* has a row */
};


/* a key in a group */

typedef struct {
    ngx_str_node_t         sn;           /* by public key */
    ngx_trp_group_t       *group;
    ngx_rbtree_t           agents;       /* ngx_trp_agent_t by name */
    ngx_uint_t             nagents;
    ngx_trp_usage_t        usage;        /* streams: those of its entries */
    ngx_uint_t             carried;      /* streams of its reverses */

    struct {
        ngx_rbtree_node_t  node;         /* in group->ready */
        ngx_rbtree_t       idle;         /* ngx_trp_agent_t in their order */
        unsigned           ready:1;
    } classes[NGX_TRP_CHOICE_CLASSES];

    ngx_trp_rest_t         rest;
    u_char                 public_key[TRP_KEY_PUBLIC_LEN];
} ngx_trp_member_t;


/* a name that an agent wants to publish */

typedef struct {
    ngx_queue_t            queue;        /* in service->offers */
    ngx_trp_service_t     *service;      /* NULL: it is not granted */
    ngx_trp_agent_t       *agent;
    ngx_str_t              name;
    ngx_uint_t             code;         /* trp_code_e */
    unsigned               tried:1;
    unsigned               told:1;       /* the agent knows "code" */
} ngx_trp_offer_t;


/* a name that is published in a group, or that streams wait for */

struct ngx_trp_service_s {
    ngx_str_node_t         sn;           /* by name */
    ngx_trp_group_t       *group;
    ngx_queue_t            offers;       /* ngx_trp_offer_t, granted ones */
    ngx_uint_t             noffers;
    ngx_uint_t             streams;      /* that refer to it */
    ngx_trp_status_entry_t  status;      /* while it has offers */
};


/* the names that a tunnel has told so far */

typedef struct {
    ngx_uint_t             n;
    size_t                 len;
    u_char                *names;        /* each after its length, a byte */
} ngx_trp_told_t;


/* what a relay needs for services, in one worker */

typedef struct {
    ngx_shm_zone_t        *zone;
    ngx_queue_t            pending;      /* ngx_trp_agent_t */
    ngx_event_t            event;
} ngx_trp_services_t;


/*
 * All tunnels of one role with one key and one name, in one group, that publish
 * the same.
 */

struct ngx_trp_agent_s {
    ngx_str_node_t         sn;           /* by role, list and name */
    ngx_queue_t            queue;        /* in group->agents */
    ngx_trp_group_t       *group;
    ngx_trp_member_t      *member;
    ngx_queue_t            peers;        /* ngx_trp_peer_t, all */
    ngx_queue_t            idle;         /* ngx_trp_peer_t, of a reverse */
    ngx_uint_t             role;         /* TRP_ROLE_* */
    ngx_uint_t             tunnels;
    ngx_uint_t             busy;         /* streams */
    ngx_trp_status_entry_t  status;      /* while it has tunnels */

    ngx_uint_t             weight;
    uint64_t               pass;         /* grows by 1/weight at its turns */

    ngx_uint_t             failures;     /* in a row */
    ngx_uint_t             nrefusals;    /* in group->refusals */
    ngx_uint_t             class;
    ngx_rbtree_node_t      order;        /* in member->classes[class].idle */
    ngx_rbtree_node_t      penalty;      /* in group->penalized */

    uint64_t               list;         /* what it publishes; 0: nothing */
    ngx_trp_offer_t       *offers;       /* NULL: not told yet */
    ngx_uint_t             noffers;
    ngx_queue_t            pend;         /* in services->pending */

    ngx_trp_rest_t         rest;
    ngx_str_t              name;
    unsigned               backup:1;
    unsigned               near:1;       /* users of this nginx */
    unsigned               ordered:1;
    unsigned               penalized:1;
    unsigned               silent:1;     /* has not answered */
    unsigned               pending:1;    /* some offers are not granted */
};


/*
 * A tunnel as the relay sees it; lives in the tunnel's pool.  So many flags,
 * because it is in one state towards its agent and in another towards streams.
 */

struct ngx_trp_peer_s {
    ngx_queue_t            all;          /* in agent->peers */
    ngx_queue_t            queue;        /* in agent->idle,
                                            group->candidates */
    ngx_trp_relay_t       *relay;
    ngx_trp_tunnel_t      *tunnel;
    ngx_trp_agent_t       *agent;        /* NULL: has no tunnel yet */
    ngx_trp_group_t       *applied;      /* where it waits to be admitted */
    ngx_event_t           *retry;        /* posted when it may be */
    ngx_stream_session_t  *session;
    ngx_trp_guest_t       *guest;        /* until it has authenticated */
    ngx_trp_bearer_t      *bearer;       /* NULL: a connection of its own */
    trp_authorized_key_t  *key;

    ngx_trp_joint_t       *joint;        /* the stream that it carries */
    ngx_trp_peer_t        *other;        /* its other tunnel */
    ngx_trp_local_t       *local;        /* or one of this nginx */
    ngx_trp_told_t        *told;         /* by PUBLISH, not yet all */

    ngx_trp_metered_t     *metered;      /* input and output, or NULL */

    u_char                *nonce;        /* of HELLO, if it was sent */

    unsigned               idle:1;
    unsigned               near:2;       /* from another worker; 2: its users
                                            do not wait in vain */
    unsigned               direct:1;     /* its stream is of this nginx */
    unsigned               accepted:1;   /* this one */
    unsigned               leaving:1;    /* its agent has sent DRAIN */
    unsigned               suspect:1;    /* would be idle, if it answered */
    unsigned               throttled:1;  /* not read until output is sent */
    unsigned               absent:1;     /* told that there is no reverse */
    unsigned               probe:1;      /* of a way: it gets no stream */
};


/*
 * A connection of several tunnels, the first of which has authenticated it; its
 * log is theirs.
 */

struct ngx_trp_bearer_s {
    ngx_trp_relay_t       *relay;
    ngx_stream_session_t  *session;      /* NULL: its phases go on */
    trp_authorized_key_t  *key;          /* NULL: not yet */
    u_char                *auth;         /* AUTH, at most TRP_CONTROL_MAX */
    size_t                 len;

    /* the first tunnel has READY; one is about to be closed */

    void                 (*ready)(ngx_trp_bearer_t *bearer);
    void                 (*left)(ngx_trp_bearer_t *bearer);
};


/* for each key and each group of a server {} */

typedef struct {
    trp_limits_t           key;
    trp_limits_t           group;
} ngx_trp_limits_t;


/* 1 if a limit is reached; 0: no limit */

static ngx_inline ngx_uint_t
ngx_trp_pair_full(ngx_uint_t used, uint32_t limit)
{
    return limit != 0 && used >= limit;
}


#pragma GCC visibility pop


#endif /* _NGX_TRP_PAIR_TYPES_H_INCLUDED_ */
