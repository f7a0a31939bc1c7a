
/*
 * Copyright (C) the trp authors
 */


/*
 * Chooses a reverse.  Agents are in four classes, by penalty and backup.  In
 * each class, the agents of a key that have an idle tunnel are in a tree in
 * the order of their turns: busy by weight, then the one that has waited
 * longest; and the keys are in a tree by the best of their agents.  A key that
 * carries as many streams as it may is in none.
 */


#include "relay/ngx_trp_choice.h"


/* by how much the pass of an agent of weight 1 grows at its turn */
#define NGX_TRP_CHOICE_STRIDE     0x1000000

/* an agent's class is the sum of what applies; lower classes come first */
#define NGX_TRP_CHOICE_BACKUP     1
#define NGX_TRP_CHOICE_PENALIZED  2

/* after all classes: agents that have refused this very stream */
#define NGX_TRP_CHOICE_REFUSERS   NGX_TRP_CHOICE_CLASSES


/* the agents that have refused a stream */

typedef struct {
    ngx_uint_t         n;
    ngx_uint_t         count[NGX_TRP_CHOICE_CLASSES];
    ngx_trp_agent_t   *agents[NGX_TRP_CHOICE_REFUSALS];
} ngx_trp_refusers_t;


#define ngx_trp_choice_min(tree)                                             \
    (((tree)->root == (tree)->sentinel)                                      \
     ? NULL : ngx_rbtree_min((tree)->root, (tree)->sentinel))

#define ngx_trp_choice_agent(node)                                           \
    ngx_rbtree_data(node, ngx_trp_agent_t, order)


typedef ngx_trp_agent_t *(*ngx_trp_choice_of_pt)(ngx_rbtree_node_t *node);


static void ngx_trp_choice_insert_agent(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static void ngx_trp_choice_insert_member(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_inline void ngx_trp_choice_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel,
    ngx_trp_choice_of_pt of);
static ngx_trp_agent_t *ngx_trp_choice_itself(ngx_rbtree_node_t *node);
static ngx_trp_agent_t *ngx_trp_choice_best(ngx_rbtree_node_t *node);
static ngx_uint_t ngx_trp_choice_before(ngx_trp_agent_t *agent,
    ngx_trp_agent_t *other);
static void ngx_trp_choice_member_out(ngx_trp_member_t *member, ngx_uint_t i);
static void ngx_trp_choice_member_in(ngx_trp_member_t *member, ngx_uint_t i);
static void ngx_trp_choice_classify(ngx_trp_agent_t *agent);
static void ngx_trp_choice_forgive(ngx_trp_group_t *group);
static void ngx_trp_choice_pardon(ngx_trp_agent_t *agent);
static void ngx_trp_choice_penalize(ngx_trp_agent_t *agent);
static ngx_trp_agent_t *ngx_trp_choice_first(ngx_trp_group_t *group,
    ngx_uint_t class);
static ngx_trp_agent_t *ngx_trp_choice_publisher(ngx_trp_seeker_t *seeker);
static ngx_uint_t ngx_trp_choice_rank(ngx_trp_agent_t *agent,
    const u_char *id);
static ngx_uint_t ngx_trp_choice_publishes(ngx_trp_agent_t *agent,
    ngx_trp_seeker_t *seeker);
static ngx_trp_agent_t *ngx_trp_choice_find(ngx_trp_group_t *group,
    ngx_trp_refusers_t *refusers, ngx_uint_t impatient);
static ngx_trp_peer_t *ngx_trp_choice_idle(ngx_trp_agent_t *agent);
static ngx_uint_t ngx_trp_choice_front(ngx_trp_group_t *group,
    ngx_trp_refusers_t *refusers);
static void ngx_trp_choice_refusers(ngx_trp_group_t *group, const u_char *id,
    ngx_trp_refusers_t *refusers);
static ngx_uint_t ngx_trp_choice_has_refused(ngx_trp_agent_t *agent,
    const u_char *id);
static void ngx_trp_choice_remember(ngx_trp_agent_t *agent, const u_char *id);


void
ngx_trp_choice_init_group(ngx_trp_group_t *group)
{
    ngx_uint_t          i;
    ngx_rbtree_node_t  *sentinel;

    sentinel = &group->pair->sentinel;

    for (i = 0; i < NGX_TRP_CHOICE_CLASSES; i++) {
        ngx_rbtree_init(&group->ready[i], sentinel,
                        ngx_trp_choice_insert_member);
    }

    ngx_rbtree_init(&group->penalized, sentinel,
                    ngx_rbtree_insert_timer_value);
}


void
ngx_trp_choice_init_member(ngx_trp_member_t *member)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TRP_CHOICE_CLASSES; i++) {
        ngx_rbtree_init(&member->classes[i].idle,
                        &member->group->pair->sentinel,
                        ngx_trp_choice_insert_agent);
        member->classes[i].node.key = i;
    }
}


static void
ngx_trp_choice_insert_agent(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_trp_choice_insert(temp, node, sentinel, ngx_trp_choice_itself);
}


static void
ngx_trp_choice_insert_member(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_trp_choice_insert(temp, node, sentinel, ngx_trp_choice_best);
}


/* "of" tells by which agent a node stands in its tree */

static ngx_inline void
ngx_trp_choice_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel, ngx_trp_choice_of_pt of)
{
    ngx_trp_agent_t     *agent;
    ngx_rbtree_node_t  **p;

    agent = of(node);

    for ( ;; ) {
        p = ngx_trp_choice_before(agent, of(temp)) ? &temp->left
                                                   : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;

    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;

    ngx_rbt_red(node);
}


static ngx_trp_agent_t *
ngx_trp_choice_itself(ngx_rbtree_node_t *node)
{
    return ngx_trp_choice_agent(node);
}


/* the first agent of a member; the node's key is the class */

static ngx_trp_agent_t *
ngx_trp_choice_best(ngx_rbtree_node_t *node)
{
    ngx_trp_member_t  *member;

    member = (ngx_trp_member_t *)
             ((u_char *) node - offsetof(ngx_trp_member_t, classes)
              - node->key * sizeof(member->classes[0]));

    return ngx_trp_choice_agent(
                          ngx_trp_choice_min(&member->classes[node->key].idle));
}


static ngx_uint_t
ngx_trp_choice_before(ngx_trp_agent_t *agent, ngx_trp_agent_t *other)
{
    ngx_uint_t  n1, n2;

    n1 = agent->busy * other->weight;
    n2 = other->busy * agent->weight;

    return (n1 != n2) ? n1 < n2 : agent->pass < other->pass;
}


void
ngx_trp_choice_out(ngx_trp_agent_t *agent)
{
    ngx_uint_t         i;
    ngx_trp_member_t  *member;

    if (!agent->ordered) {
        return;
    }

    i = agent->class;
    member = agent->member;

    ngx_trp_choice_member_out(member, i);

    ngx_rbtree_delete(&member->classes[i].idle, &agent->order);
    agent->ordered = 0;

    ngx_trp_choice_member_in(member, i);
}


void
ngx_trp_choice_in(ngx_trp_agent_t *agent)
{
    ngx_uint_t         i;
    ngx_trp_member_t  *member;

    if (agent->ordered || ngx_queue_empty(&agent->idle)) {
        return;
    }

    i = agent->class;
    member = agent->member;

    ngx_trp_choice_member_out(member, i);

    ngx_rbtree_insert(&member->classes[i].idle, &agent->order);
    agent->ordered = 1;

    ngx_trp_choice_member_in(member, i);
}


static void
ngx_trp_choice_member_out(ngx_trp_member_t *member, ngx_uint_t i)
{
    if (member->classes[i].ready) {
        ngx_rbtree_delete(&member->group->ready[i], &member->classes[i].node);
        member->classes[i].node.key = i;
        member->classes[i].ready = 0;
    }
}


static void
ngx_trp_choice_member_in(ngx_trp_member_t *member, ngx_uint_t i)
{
    if (ngx_trp_choice_min(&member->classes[i].idle) == NULL
        || ngx_trp_pair_full(member->carried, member->usage.limits.streams))
    {
        return;
    }

    ngx_rbtree_insert(&member->group->ready[i], &member->classes[i].node);
    member->classes[i].ready = 1;
}


void
ngx_trp_choice_member(ngx_trp_member_t *member)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TRP_CHOICE_CLASSES; i++) {
        ngx_trp_choice_member_out(member, i);
        ngx_trp_choice_member_in(member, i);
    }
}


void
ngx_trp_choice_add(ngx_trp_agent_t *agent)
{
    agent->group->nreverses++;
    agent->group->count[agent->class]++;
}


void
ngx_trp_choice_remove(ngx_trp_agent_t *agent)
{
    agent->group->nreverses--;
    agent->group->count[agent->class]--;
    agent->group->nsilent -= agent->silent;
    agent->silent = 0;
}


/* after a change of what its class is made of; it is out */

static void
ngx_trp_choice_classify(ngx_trp_agent_t *agent)
{
    ngx_uint_t        class;
    ngx_trp_group_t  *group;

    group = agent->group;

    class = (agent->backup ? NGX_TRP_CHOICE_BACKUP : 0)
            + ((agent->penalized || agent->silent)
               ? NGX_TRP_CHOICE_PENALIZED : 0);

    if (agent->tunnels && agent->role == TRP_ROLE_REVERSE) {
        group->count[agent->class]--;
        group->count[class]++;
    }

    agent->class = class;
}


void
ngx_trp_choice_configure(ngx_trp_agent_t *agent, ngx_uint_t weight,
    ngx_uint_t backup)
{
    ngx_trp_choice_out(agent);

    agent->weight = weight;
    agent->backup = backup;

    ngx_trp_choice_classify(agent);
    ngx_trp_choice_in(agent);
}


/* penalties that are over */

static void
ngx_trp_choice_forgive(ngx_trp_group_t *group)
{
    ngx_trp_agent_t    *agent;
    ngx_rbtree_node_t  *node;

    for ( ;; ) {
        node = ngx_trp_choice_min(&group->penalized);

        if (node == NULL
            || (ngx_msec_int_t) (node->key - ngx_current_msec) > 0)
        {
            return;
        }

        agent = ngx_rbtree_data(node, ngx_trp_agent_t, penalty);

        ngx_trp_choice_pardon(agent);
    }
}


static void
ngx_trp_choice_pardon(ngx_trp_agent_t *agent)
{
    if (!agent->penalized) {
        return;
    }

    ngx_rbtree_delete(&agent->group->penalized, &agent->penalty);

    ngx_trp_choice_out(agent);
    agent->penalized = 0;
    ngx_trp_choice_classify(agent);
    ngx_trp_choice_in(agent);
}


static void
ngx_trp_choice_penalize(ngx_trp_agent_t *agent)
{
    ngx_msec_t  penalty;

    ngx_trp_choice_pardon(agent);

    penalty = NGX_TRP_PAIR_PENALTY << ngx_min(agent->failures, 6);
    penalty = ngx_min(penalty, NGX_TRP_PAIR_PENALTY_MAX);

    agent->failures++;

    agent->penalty.key = ngx_current_msec + penalty;
    ngx_rbtree_insert(&agent->group->penalized, &agent->penalty);

    ngx_trp_choice_out(agent);
    agent->penalized = 1;
    ngx_trp_choice_classify(agent);
    ngx_trp_choice_in(agent);
}


ngx_uint_t
ngx_trp_choice_penalized(ngx_trp_agent_t *agent)
{
    ngx_trp_choice_forgive(agent->group);

    return agent->penalized;
}


void
ngx_trp_choice_forget(ngx_trp_agent_t *agent)
{
    ngx_uint_t           i;
    ngx_trp_refusals_t  *refusals;

    ngx_trp_choice_pardon(agent);

    refusals = agent->group->refusals;

    for (i = 0; agent->nrefusals && i < NGX_TRP_CHOICE_REFUSALS; i++) {
        if (refusals->agents[i] == agent) {
            refusals->agents[i] = NULL;
            agent->nrefusals--;
        }
    }
}


ngx_trp_peer_t *
ngx_trp_choice_take(ngx_trp_seeker_t *seeker)
{
    ngx_uint_t           i;
    ngx_trp_peer_t      *peer;
    ngx_trp_agent_t     *best;
    ngx_trp_group_t     *group;
    ngx_trp_refusers_t   refusers;

    group = seeker->group;

    ngx_trp_choice_forgive(group);

    if (seeker->service) {
        best = ngx_trp_choice_publisher(seeker);

    } else {
        ngx_trp_choice_refusers(group, seeker->id, &refusers);

        for (i = 0; i < refusers.n; i++) {
            ngx_trp_choice_out(refusers.agents[i]);
        }

        best = ngx_trp_choice_find(group, &refusers, seeker->impatient);

        for (i = 0; i < refusers.n; i++) {
            ngx_trp_choice_in(refusers.agents[i]);
        }
    }

    if (best == NULL) {
        return NULL;
    }

    peer = ngx_trp_choice_idle(best);

    ngx_trp_choice_out(best);

    ngx_queue_remove(&peer->queue);
    peer->idle = 0;

    /* an agent that was away must not catch up on turns */

    group->pass = ngx_max(best->pass, group->pass);
    best->pass = group->pass + NGX_TRP_CHOICE_STRIDE / best->weight;

    ngx_trp_choice_in(best);

    return peer;
}


/*
 * A service has few publishers, which are compared one by one: trees for each
 * service would have to be kept up to date for each change of an agent.
 */

static ngx_trp_agent_t *
ngx_trp_choice_publisher(ngx_trp_seeker_t *seeker)
{
    ngx_uint_t        rank, front, found;
    ngx_queue_t      *q, *offers;
    ngx_trp_agent_t  *agent, *best;

    best = NULL;
    found = 0;
    front = 2 * NGX_TRP_CHOICE_REFUSERS;
    offers = &seeker->service->offers;

    for (q = ngx_queue_head(offers);
         q != ngx_queue_sentinel(offers);
         q = ngx_queue_next(q))
    {
        agent = trp_of(ngx_trp_offer_t, queue, q)->agent;

        rank = ngx_trp_choice_rank(agent, seeker->id);
        front = ngx_min(front, rank);

        if ((best && rank > found)
            || ngx_trp_pair_full(agent->member->carried,
                                 agent->member->usage.limits.streams)
            || ngx_trp_choice_idle(agent) == NULL)
        {
            continue;
        }

        if (best == NULL || rank < found || ngx_trp_choice_before(agent, best))
        {
            best = agent;
            found = rank;
        }
    }

    if (best == NULL || found == front) {
        return best;
    }

    return (seeker->impatient && found < NGX_TRP_CHOICE_REFUSERS) ? best : NULL;
}


static ngx_uint_t
ngx_trp_choice_rank(ngx_trp_agent_t *agent, const u_char *id)
{
    return agent->class + (ngx_trp_choice_has_refused(agent, id)
                           ? NGX_TRP_CHOICE_REFUSERS : 0);
}


/* 1 if a stream that waits for a service may be given to this agent */

static ngx_uint_t
ngx_trp_choice_publishes(ngx_trp_agent_t *agent, ngx_trp_seeker_t *seeker)
{
    ngx_uint_t        rank, front;
    ngx_queue_t      *q, *offers;
    ngx_trp_agent_t  *other, *self;

    self = NULL;
    front = 2 * NGX_TRP_CHOICE_REFUSERS;
    offers = &seeker->service->offers;

    for (q = ngx_queue_head(offers);
         q != ngx_queue_sentinel(offers);
         q = ngx_queue_next(q))
    {
        other = trp_of(ngx_trp_offer_t, queue, q)->agent;

        rank = ngx_trp_choice_rank(other, seeker->id);
        front = ngx_min(front, rank);

        if (other == agent) {
            self = agent;
        }
    }

    if (self == NULL) {
        return 0;
    }

    rank = ngx_trp_choice_rank(agent, seeker->id);

    return rank == front
           || (seeker->impatient && rank < NGX_TRP_CHOICE_REFUSERS);
}


/* the refusers are out */

static ngx_trp_agent_t *
ngx_trp_choice_find(ngx_trp_group_t *group, ngx_trp_refusers_t *refusers,
    ngx_uint_t impatient)
{
    ngx_uint_t        i, front;
    ngx_trp_agent_t  *agent;

    front = ngx_trp_choice_front(group, refusers);

    if (front >= NGX_TRP_CHOICE_REFUSERS) {

        /* there are no others */

        front -= NGX_TRP_CHOICE_REFUSERS;

        for (i = 0; i < refusers->n; i++) {
            ngx_trp_choice_in(refusers->agents[i]);
        }

        return ngx_trp_choice_first(group, front);
    }

    for (i = front; i < NGX_TRP_CHOICE_CLASSES; i++) {
        agent = ngx_trp_choice_first(group, i);

        if (agent || !impatient) {
            return agent;
        }
    }

    return NULL;
}


static ngx_trp_agent_t *
ngx_trp_choice_first(ngx_trp_group_t *group, ngx_uint_t class)
{
    ngx_trp_agent_t    *agent;
    ngx_rbtree_node_t  *node;

    for ( ;; ) {
        node = ngx_trp_choice_min(&group->ready[class]);

        if (node == NULL) {
            return NULL;
        }

        agent = ngx_trp_choice_best(node);

        if (ngx_trp_choice_idle(agent)) {
            return agent;
        }

        /* until it has another one */
        ngx_trp_choice_out(agent);
    }
}


/* a tunnel that has just failed stays in the list until it is closed */

static ngx_trp_peer_t *
ngx_trp_choice_idle(ngx_trp_agent_t *agent)
{
    ngx_queue_t     *q;
    ngx_trp_peer_t  *peer;

    for (q = ngx_queue_head(&agent->idle);
         q != ngx_queue_sentinel(&agent->idle);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

        if (!peer->tunnel->failed) {
            return peer;
        }
    }

    return NULL;
}


/*
 * The class that comes first, whether its agents are idle or not; those that
 * have refused the stream come after all others.
 */

static ngx_uint_t
ngx_trp_choice_front(ngx_trp_group_t *group, ngx_trp_refusers_t *refusers)
{
    ngx_uint_t  i, refused;

    for (i = 0; i < NGX_TRP_CHOICE_CLASSES; i++) {
        refused = refusers ? refusers->count[i] : 0;

        if (group->count[i] > refused) {
            return i;
        }
    }

    for (i = 0; i < NGX_TRP_CHOICE_CLASSES; i++) {
        if (group->count[i]) {
            break;
        }
    }

    return NGX_TRP_CHOICE_REFUSERS + (i % NGX_TRP_CHOICE_CLASSES);
}


static void
ngx_trp_choice_refusers(ngx_trp_group_t *group, const u_char *id,
    ngx_trp_refusers_t *refusers)
{
    ngx_uint_t           i;
    ngx_trp_agent_t     *agent;
    ngx_trp_refusals_t  *refusals;

    refusers->n = 0;
    ngx_memzero(refusers->count, sizeof(refusers->count));

    refusals = group->refusals;

    if (refusals == NULL) {
        return;
    }

    for (i = 0; i < ngx_min(refusals->n, NGX_TRP_CHOICE_REFUSALS); i++) {
        agent = refusals->agents[i];

        if (agent && agent->tunnels
            && ngx_memcmp(refusals->ids[i], id, TRP_STREAM_ID_LEN) == 0)
        {
            refusers->agents[refusers->n++] = agent;
            refusers->count[agent->class]++;
        }
    }
}


static ngx_uint_t
ngx_trp_choice_has_refused(ngx_trp_agent_t *agent, const u_char *id)
{
    ngx_uint_t           i, left;
    ngx_trp_refusals_t  *refusals;

    refusals = agent->group->refusals;
    left = agent->nrefusals;

    for (i = 0; left; i++) {
        if (refusals->agents[i] != agent) {
            continue;
        }

        if (ngx_memcmp(refusals->ids[i], id, TRP_STREAM_ID_LEN) == 0) {
            return 1;
        }

        left--;
    }

    return 0;
}


static void
ngx_trp_choice_remember(ngx_trp_agent_t *agent, const u_char *id)
{
    ngx_uint_t           i;
    ngx_trp_group_t     *group;
    ngx_trp_refusals_t  *refusals;

    group = agent->group;

    if (group->refusals == NULL) {
        group->refusals = ngx_calloc(sizeof(ngx_trp_refusals_t),
                                     ngx_cycle->log);
        if (group->refusals == NULL) {
            return;
        }
    }

    refusals = group->refusals;

    /* each agent is listed once for a stream */

    if (ngx_trp_choice_has_refused(agent, id)) {
        return;
    }

    i = refusals->n % NGX_TRP_CHOICE_REFUSALS;

    if (refusals->agents[i]) {
        refusals->agents[i]->nrefusals--;
    }

    refusals->agents[i] = agent;
    ngx_memcpy(refusals->ids[i], id, TRP_STREAM_ID_LEN);

    agent->nrefusals++;
    refusals->n++;

    if (refusals->n == 2 * NGX_TRP_CHOICE_REFUSALS) {

        /* the ring stays full, and the number does not overflow */
        refusals->n = NGX_TRP_CHOICE_REFUSALS;
    }
}


ngx_uint_t
ngx_trp_choice_refused(ngx_trp_agent_t *agent, ngx_trp_seeker_t *seeker,
    ngx_uint_t code)
{
    ngx_queue_t         *q, *offers;
    ngx_trp_agent_t     *other;
    ngx_trp_refusers_t   refusers;

    ngx_trp_choice_remember(agent, seeker->id);

    /*
     * a rule against one destination says nothing about others, and a lost
     * tunnel has no code
     */

    if (code != TRP_CODE_NOT_ALLOWED && code != TRP_CODE_NOT_PUBLISHED
        && code != TRP_CODE_NONE)
    {
        ngx_trp_choice_penalize(agent);
    }

    if (ngx_exiting) {

        /* the others have left for the next worker */
        return 1;
    }

    if (seeker->service) {
        offers = &seeker->service->offers;

        for (q = ngx_queue_head(offers);
             q != ngx_queue_sentinel(offers);
             q = ngx_queue_next(q))
        {
            other = trp_of(ngx_trp_offer_t, queue, q)->agent;

            if (!ngx_trp_choice_has_refused(other, seeker->id)) {
                return 1;
            }
        }

        return 0;
    }

    ngx_trp_choice_refusers(agent->group, seeker->id, &refusers);

    return agent->group->nreverses > refusers.n;
}


void
ngx_trp_choice_accepted(ngx_trp_agent_t *agent)
{
    agent->failures = 0;
    ngx_trp_choice_pardon(agent);
    ngx_trp_choice_silent(agent, 0);
}


void
ngx_trp_choice_silent(ngx_trp_agent_t *agent, ngx_uint_t silent)
{
    if (agent->silent == silent || agent->tunnels == 0) {
        return;
    }

    ngx_trp_choice_out(agent);

    agent->silent = silent;
    agent->group->nsilent += silent ? 1 : -1;

    ngx_trp_choice_classify(agent);
    ngx_trp_choice_in(agent);
}


ngx_uint_t
ngx_trp_choice_another(ngx_trp_agent_t *agent, ngx_trp_seeker_t *seeker)
{
    ngx_uint_t           i, n;
    ngx_queue_t         *q, *offers;
    ngx_trp_agent_t     *other;
    ngx_trp_refusers_t   refusers;

    if (seeker->service) {
        offers = &seeker->service->offers;

        for (q = ngx_queue_head(offers);
             q != ngx_queue_sentinel(offers);
             q = ngx_queue_next(q))
        {
            other = trp_of(ngx_trp_offer_t, queue, q)->agent;

            if (other != agent && !other->silent
                && !ngx_trp_choice_has_refused(other, seeker->id))
            {
                return 1;
            }
        }

        return 0;
    }

    n = agent->group->nsilent + !agent->silent;

    ngx_trp_choice_refusers(agent->group, seeker->id, &refusers);

    for (i = 0; i < refusers.n; i++) {
        n += (!refusers.agents[i]->silent && refusers.agents[i] != agent);
    }

    return agent->group->nreverses > n;
}


ngx_trp_seeker_t *
ngx_trp_choice_next(ngx_trp_agent_t *agent)
{
    ngx_uint_t         front;
    ngx_queue_t       *q;
    ngx_trp_group_t   *group;
    ngx_trp_seeker_t  *seeker;

    group = agent->group;

    if (ngx_trp_pair_full(agent->member->carried,
                          agent->member->usage.limits.streams))
    {
        return NULL;
    }

    ngx_trp_choice_forgive(group);
    front = ngx_trp_choice_front(group, NULL);

    for (q = ngx_queue_head(&group->waiting);
         q != ngx_queue_sentinel(&group->waiting);
         q = ngx_queue_next(q))
    {
        seeker = ngx_queue_data(q, ngx_trp_seeker_t, queue);

        if (seeker->service) {

            if (ngx_trp_choice_publishes(agent, seeker)) {
                return seeker;
            }

            continue;
        }

        if (agent->class != front && !seeker->impatient) {

            if (group->nservices) {
                continue;
            }

            /* nor are those after it */
            break;
        }

        if (!ngx_trp_choice_has_refused(agent, seeker->id)) {
            return seeker;
        }
    }

    return NULL;
}
