
#include "ngx_trp_pair.h"


/* what an agent of weight 1 moves on by at its turn */
#define NGX_TRP_PAIR_STRIDE      0x1000000

/* who stands behind whom: the sum of what is true of an agent */
#define NGX_TRP_PAIR_IS_BACKUP   1
#define NGX_TRP_PAIR_PENALIZED   2
#define NGX_TRP_PAIR_HAS_REFUSED 4       /* this very stream */


static void ngx_trp_pair_watch(ngx_trp_group_t *group);
static void ngx_trp_pair_absence_handler(ngx_event_t *ev);
static void ngx_trp_pair_tell_all(ngx_trp_group_t *group);
static const char *ngx_trp_pair_crowded(ngx_trp_pair_t *pair,
    ngx_uint_t role);
static ngx_trp_group_t *ngx_trp_pair_group(ngx_trp_pair_t *pair,
    trp_str_t name, trp_limits_t *limits);
static ngx_trp_member_t *ngx_trp_pair_member(ngx_trp_group_t *group,
    const u_char *public_key);
static ngx_trp_agent_t *ngx_trp_pair_agent(ngx_trp_group_t *group,
    ngx_trp_member_t *member, trp_auth_t *auth);
static ngx_uint_t ngx_trp_pair_full(ngx_uint_t used, uint32_t limit);
static void ngx_trp_pair_free_member(ngx_trp_member_t *member);
static void ngx_trp_pair_free_group(ngx_trp_group_t *group);
static ngx_trp_peer_t *ngx_trp_pair_idle(ngx_trp_agent_t *agent);
static ngx_uint_t ngx_trp_pair_front(ngx_trp_group_t *group,
    const u_char *id);
static ngx_uint_t ngx_trp_pair_rank(ngx_trp_agent_t *agent, const u_char *id);
static ngx_uint_t ngx_trp_pair_better(ngx_trp_agent_t *agent,
    ngx_trp_agent_t *best);
static ngx_uint_t ngx_trp_pair_penalized(ngx_trp_agent_t *agent);


void
ngx_trp_pair_init(ngx_trp_pair_t *pair, ngx_cycle_t *cycle)
{
    pair->size = ngx_trp_room_size(cycle);

    ngx_rbtree_init(&pair->rbtree, &pair->sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_int_t
ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    trp_auth_t *auth, ngx_trp_limits_t *limits, const char **over)
{
    ngx_int_t          rc;
    ngx_trp_group_t   *group;
    ngx_trp_agent_t   *agent;
    ngx_trp_member_t  *member;

    *over = ngx_trp_pair_crowded(pair, auth->role);

    if (*over) {
        return NGX_BUSY;
    }

    group = ngx_trp_pair_group(pair, auth->group, &limits->group);
    if (group == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    member = ngx_trp_pair_member(group, auth->public_key);
    if (member == NULL) {
        goto failed;
    }

    member->usage.limits = trp_limits_merge(&peer->key->limits, &limits->key);

    rc = NGX_BUSY;

    if (ngx_trp_pair_full(group->usage.tunnels, group->usage.limits.tunnels)) {
        *over = "the group has too many tunnels";
        goto failed;
    }

    if (ngx_trp_pair_full(member->usage.tunnels,
                          member->usage.limits.tunnels))
    {
        *over = "the key has too many tunnels in the group";
        goto failed;
    }

    rc = NGX_ERROR;

    agent = ngx_trp_pair_agent(group, member, auth);
    if (agent == NULL) {
        goto failed;
    }

    /* the same agent may have been configured anew */

    agent->weight = auth->weight;
    agent->backup = auth->backup;

    group->usage.tunnels++;
    member->usage.tunnels++;
    agent->tunnels++;

    if (agent->role == TRP_ROLE_REVERSE) {
        pair->reverses++;

    } else {
        pair->entries++;
    }

    ngx_queue_insert_tail(&agent->peers, &peer->all);
    peer->agent = agent;

    ngx_trp_pair_watch(group);

    return NGX_OK;

failed:

    if (member) {
        ngx_trp_pair_free_member(member);
    }

    ngx_trp_pair_free_group(group);

    return rc;
}


/* is there a reverse? */

static void
ngx_trp_pair_watch(ngx_trp_group_t *group)
{
    if (group->nreverses == 0) {

        if (!group->absent && !group->absence.timer_set) {
            ngx_add_timer(&group->absence, NGX_TRP_PAIR_ABSENT_TIME);
        }

        return;
    }

    if (group->absence.timer_set) {
        ngx_del_timer(&group->absence);
    }

    if (group->absent) {
        group->absent = 0;
        ngx_trp_pair_tell_all(group);
    }
}


static void
ngx_trp_pair_absence_handler(ngx_event_t *ev)
{
    ngx_trp_group_t  *group;

    group = ev->data;

    group->absent = 1;
    ngx_trp_pair_tell_all(group);
}


static void
ngx_trp_pair_tell_all(ngx_trp_group_t *group)
{
    ngx_queue_t      *q, *p;
    ngx_trp_agent_t  *agent;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        for (p = ngx_queue_head(&agent->peers);
             p != ngx_queue_sentinel(&agent->peers);
             p = ngx_queue_next(p))
        {
            ngx_trp_pair_tell(ngx_queue_data(p, ngx_trp_peer_t, all));
        }
    }
}


void
ngx_trp_pair_tell(ngx_trp_peer_t *peer)
{
    u_char             buf[TRP_HEADER_LEN + 1];
    ngx_uint_t         absent;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;
    absent = peer->agent->group->absent;

    if (peer->agent->role != TRP_ROLE_ENTRY || peer->absent == absent
        || t->busy || t->failed || !trp_tunnel_ready(&t->state))
    {
        return;
    }

    peer->absent = absent;

    ngx_trp_tunnel_send_frame(t, buf, trp_agents_put(buf, !absent));
}


/*
 * A stream needs a tunnel of each role.  When users come, entries are faster,
 * and what they have in excess no reverse can serve.  Some connections are for
 * those who are not authenticated yet.
 */

static const char *
ngx_trp_pair_crowded(ngx_trp_pair_t *pair, ngx_uint_t role)
{
    ngx_uint_t  rest, share;

    rest = pair->size / 8;
    share = (pair->size - rest) / 2;

    if (role == TRP_ROLE_ENTRY) {
        return (pair->entries >= share)
               ? "entries have their share of the worker's connections" : NULL;
    }

    return (pair->reverses >= share && ngx_trp_room_left(pair->size) <= rest)
           ? "the worker's last connections are not for reverses" : NULL;
}


static ngx_trp_group_t *
ngx_trp_pair_group(ngx_trp_pair_t *pair, trp_str_t name, trp_limits_t *limits)
{
    uint32_t          hash;
    ngx_str_t         key;
    ngx_trp_group_t  *group;

    key.len = name.len;
    key.data = (u_char *) name.data;

    hash = ngx_crc32_short(key.data, key.len);

    group = (ngx_trp_group_t *) ngx_str_rbtree_lookup(&pair->rbtree, &key,
                                                      hash);
    if (group) {
        return group;
    }

    group = ngx_calloc(sizeof(ngx_trp_group_t) + key.len, ngx_cycle->log);
    if (group == NULL) {
        return NULL;
    }

    group->pair = pair;
    group->usage.limits = *limits;

    group->absence.data = group;
    group->absence.log = ngx_cycle->log;
    group->absence.handler = ngx_trp_pair_absence_handler;
    group->absence.cancelable = 1;

    group->sn.node.key = hash;
    group->sn.str.len = key.len;
    group->sn.str.data = (u_char *) (group + 1);
    ngx_memcpy(group->sn.str.data, key.data, key.len);

    ngx_queue_init(&group->agents);
    ngx_queue_init(&group->members);
    ngx_queue_init(&group->waiting);

    ngx_rbtree_insert(&pair->rbtree, &group->sn.node);

    return group;
}


static ngx_trp_member_t *
ngx_trp_pair_member(ngx_trp_group_t *group, const u_char *public_key)
{
    ngx_queue_t       *q;
    ngx_trp_member_t  *member;

    for (q = ngx_queue_head(&group->members);
         q != ngx_queue_sentinel(&group->members);
         q = ngx_queue_next(q))
    {
        member = ngx_queue_data(q, ngx_trp_member_t, queue);

        if (ngx_memcmp(member->public_key, public_key, TRP_KEY_PUBLIC_LEN)
            == 0)
        {
            return member;
        }
    }

    member = ngx_calloc(sizeof(ngx_trp_member_t), ngx_cycle->log);
    if (member == NULL) {
        return NULL;
    }

    ngx_memcpy(member->public_key, public_key, TRP_KEY_PUBLIC_LEN);
    ngx_queue_insert_tail(&group->members, &member->queue);

    return member;
}


static ngx_trp_agent_t *
ngx_trp_pair_agent(ngx_trp_group_t *group, ngx_trp_member_t *member,
    trp_auth_t *auth)
{
    ngx_queue_t      *q;
    ngx_trp_agent_t  *agent;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (agent->role == auth->role
            && agent->member == member
            && agent->name.len == auth->name.len
            && ngx_memcmp(agent->name.data, auth->name.data, auth->name.len)
               == 0)
        {
            return agent;
        }
    }

    agent = ngx_calloc(sizeof(ngx_trp_agent_t) + auth->name.len,
                       ngx_cycle->log);
    if (agent == NULL) {
        return NULL;
    }

    agent->group = group;
    agent->member = member;
    agent->role = auth->role;
    agent->name.len = auth->name.len;
    agent->name.data = (u_char *) (agent + 1);
    ngx_memcpy(agent->name.data, auth->name.data, auth->name.len);

    ngx_queue_init(&agent->peers);
    ngx_queue_init(&agent->idle);
    ngx_queue_insert_tail(&group->agents, &agent->queue);
    group->nreverses += (agent->role == TRP_ROLE_REVERSE);

    return agent;
}


static ngx_uint_t
ngx_trp_pair_full(ngx_uint_t used, uint32_t limit)
{
    return limit != 0 && used >= limit;
}


void
ngx_trp_pair_each(ngx_trp_pair_t *pair, void (*check)(ngx_trp_peer_t *peer))
{
    ngx_queue_t        *q, *p;
    ngx_trp_agent_t    *agent;
    ngx_trp_group_t    *group;
    ngx_rbtree_node_t  *node;

    if (pair->rbtree.root == &pair->sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(pair->rbtree.root, &pair->sentinel);
         node;
         node = ngx_rbtree_next(&pair->rbtree, node))
    {
        group = (ngx_trp_group_t *) node;

        for (q = ngx_queue_head(&group->agents);
             q != ngx_queue_sentinel(&group->agents);
             q = ngx_queue_next(q))
        {
            agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

            for (p = ngx_queue_head(&agent->peers);
                 p != ngx_queue_sentinel(&agent->peers);
                 p = ngx_queue_next(p))
            {
                check(ngx_queue_data(p, ngx_trp_peer_t, all));
            }
        }
    }
}


void
ngx_trp_pair_leave(ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t   *agent;
    ngx_trp_group_t   *group;
    ngx_trp_member_t  *member;

    agent = peer->agent;

    if (agent == NULL) {
        return;
    }

    ngx_trp_pair_unpark(peer);
    ngx_trp_pair_unwait(peer);

    ngx_queue_remove(&peer->all);
    peer->agent = NULL;

    group = agent->group;
    member = agent->member;

    group->usage.tunnels--;
    member->usage.tunnels--;

    if (agent->role == TRP_ROLE_REVERSE) {
        group->pair->reverses--;

    } else {
        group->pair->entries--;
    }

    if (--agent->tunnels == 0) {
        group->nreverses -= (agent->role == TRP_ROLE_REVERSE);
        ngx_queue_remove(&agent->queue);
        ngx_free(agent);

        ngx_trp_pair_watch(group);
    }

    ngx_trp_pair_free_member(member);
    ngx_trp_pair_free_group(group);
}


static void
ngx_trp_pair_free_member(ngx_trp_member_t *member)
{
    if (member->usage.tunnels == 0) {
        ngx_queue_remove(&member->queue);
        ngx_free(member);
    }
}


static void
ngx_trp_pair_free_group(ngx_trp_group_t *group)
{
    if (group->usage.tunnels == 0) {

        if (group->absence.timer_set) {
            ngx_del_timer(&group->absence);
        }

        ngx_rbtree_delete(&group->pair->rbtree, &group->sn.node);
        ngx_free(group);
    }
}


ngx_trp_peer_text_t
ngx_trp_peer_text(ngx_trp_peer_t *peer)
{
    ngx_str_t            comment;
    ngx_trp_agent_t     *agent;
    ngx_trp_peer_text_t  text;

    agent = peer->agent;

    comment.len = ngx_min(peer->key->comment.len, TRP_LABEL_MAX);
    comment.data = (u_char *) peer->key->comment.data;

    *ngx_snprintf(text.data, NGX_TRP_PEER_TEXT_LEN - 1, "%s \"%V\" (%V) at %V",
                  (agent->role == TRP_ROLE_REVERSE) ? "reverse" : "entry",
                  &agent->name, &comment,
                  &peer->tunnel->connection->addr_text)
        = '\0';

    return text;
}


const char *
ngx_trp_pair_opened(ngx_trp_peer_t *entry)
{
    ngx_trp_usage_t  *key, *group;

    key = &entry->agent->member->usage;
    group = &entry->agent->group->usage;

    if (ngx_trp_pair_full(key->streams, key->limits.streams)) {
        return "the key has too many streams";
    }

    if (ngx_trp_pair_full(group->streams, group->limits.streams)) {
        return "the group has too many streams";
    }

    if (trp_rate_take(&key->opens, key->limits.opens, ngx_current_msec)
        != TRP_OK)
    {
        return "the key opens streams too fast";
    }

    if (trp_rate_take(&group->opens, group->limits.opens, ngx_current_msec)
        != TRP_OK)
    {
        return "streams are opened too fast in the group";
    }

    key->streams++;
    group->streams++;

    return NULL;
}


void
ngx_trp_pair_closed(ngx_trp_peer_t *entry)
{
    entry->agent->member->usage.streams--;
    entry->agent->group->usage.streams--;
}


void
ngx_trp_pair_busy(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse)
{
    entry->agent->busy++;
    reverse->agent->busy++;
    reverse->agent->member->carried++;
}


void
ngx_trp_pair_free(ngx_trp_peer_t *entry, ngx_trp_peer_t *reverse)
{
    entry->agent->busy--;
    reverse->agent->busy--;
    reverse->agent->member->carried--;
}


void
ngx_trp_pair_park(ngx_trp_peer_t *peer)
{
    /* the last one used is the first to be used again */

    ngx_queue_insert_head(&peer->agent->idle, &peer->queue);
    peer->idle = 1;
}


void
ngx_trp_pair_unpark(ngx_trp_peer_t *peer)
{
    if (peer->idle) {
        ngx_queue_remove(&peer->queue);
        peer->idle = 0;
    }
}


ngx_trp_peer_t *
ngx_trp_pair_choose(ngx_trp_peer_t *entry, const u_char *id)
{
    ngx_uint_t        rank, lowest, front;
    ngx_queue_t      *q;
    ngx_trp_peer_t   *peer;
    ngx_trp_agent_t  *agent, *best;
    ngx_trp_group_t  *group;

    group = entry->agent->group;
    front = ngx_trp_pair_front(group, id);

    best = NULL;
    lowest = 0;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (agent->role != TRP_ROLE_REVERSE
            || ngx_trp_pair_idle(agent) == NULL
            || ngx_trp_pair_full(agent->member->carried,
                                 agent->member->usage.limits.streams))
        {
            continue;
        }

        rank = ngx_trp_pair_rank(agent, id);

        if (rank != front
            && !(entry->impatient && rank < NGX_TRP_PAIR_HAS_REFUSED))
        {
            continue;
        }

        if (best == NULL
            || rank < lowest
            || (rank == lowest && ngx_trp_pair_better(agent, best)))
        {
            best = agent;
            lowest = rank;
        }
    }

    if (best == NULL) {
        return NULL;
    }

    peer = ngx_trp_pair_idle(best);

    ngx_trp_pair_unpark(peer);

    /* who was away has no turns to make up for */

    group->pass = ngx_max(best->pass, group->pass);
    best->pass = group->pass + NGX_TRP_PAIR_STRIDE / best->weight;

    return peer;
}


/* a tunnel that failed just now is still in the list until it is closed */

static ngx_trp_peer_t *
ngx_trp_pair_idle(ngx_trp_agent_t *agent)
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


/* the rank of those who stand in front, idle or not, for one stream or any */

static ngx_uint_t
ngx_trp_pair_front(ngx_trp_group_t *group, const u_char *id)
{
    ngx_uint_t        rank, front;
    ngx_queue_t      *q;
    ngx_trp_agent_t  *agent;

    front = NGX_MAX_UINT32_VALUE;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (agent->role == TRP_ROLE_REVERSE) {
            rank = ngx_trp_pair_rank(agent, id);
            front = ngx_min(front, rank);
        }
    }

    return front;
}


static ngx_uint_t
ngx_trp_pair_rank(ngx_trp_agent_t *agent, const u_char *id)
{
    ngx_uint_t  rank;

    rank = agent->backup ? NGX_TRP_PAIR_IS_BACKUP : 0;

    if (ngx_trp_pair_penalized(agent)) {
        rank += NGX_TRP_PAIR_PENALIZED;
    }

    if (id && trp_recent_has(&agent->streams, id)) {
        rank += NGX_TRP_PAIR_HAS_REFUSED;
    }

    return rank;
}


static ngx_uint_t
ngx_trp_pair_better(ngx_trp_agent_t *agent, ngx_trp_agent_t *best)
{
    ngx_uint_t  n1, n2;
    uint64_t    p1, p2;

    n1 = agent->busy * best->weight;
    n2 = best->busy * agent->weight;

    if (n1 != n2) {
        return n1 < n2;
    }

    p1 = ngx_max(agent->pass, agent->group->pass);
    p2 = ngx_max(best->pass, best->group->pass);

    return p1 < p2;
}


static ngx_uint_t
ngx_trp_pair_penalized(ngx_trp_agent_t *agent)
{
    ngx_msec_t  penalty;

    if (agent->failures == 0) {
        return 0;
    }

    penalty = NGX_TRP_PAIR_PENALTY << ngx_min(agent->failures - 1, 6);
    penalty = ngx_min(penalty, NGX_TRP_PAIR_PENALTY_MAX);

    return ngx_current_msec - agent->refused < penalty;
}


ngx_uint_t
ngx_trp_pair_refused(ngx_trp_agent_t *agent, const u_char *id, ngx_uint_t code)
{
    ngx_queue_t      *q;
    ngx_trp_agent_t  *other;

    trp_recent_add(&agent->streams, id);

    /*
     * a rule against a destination says nothing of the others, and a lost
     * tunnel has no code
     */

    if (code != TRP_CODE_NOT_ALLOWED && code != TRP_CODE_NONE) {
        agent->failures++;
        agent->refused = ngx_current_msec;
    }

    for (q = ngx_queue_head(&agent->group->agents);
         q != ngx_queue_sentinel(&agent->group->agents);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (other->role == TRP_ROLE_REVERSE
            && !trp_recent_has(&other->streams, id))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_trp_pair_accepted(ngx_trp_agent_t *agent)
{
    agent->failures = 0;
}


ngx_int_t
ngx_trp_pair_spare(ngx_trp_agent_t *agent)
{
    ngx_trp_group_t  *group;

    group = agent->group;

    if (group->nwaiting == 0) {
        return agent->tunnels - agent->busy;
    }

    return - (ngx_int_t) ((group->nwaiting + group->nreverses - 1)
                          / group->nreverses);
}


void
ngx_trp_pair_wait(ngx_trp_peer_t *entry, const u_char *id)
{
    ngx_queue_insert_tail(&entry->agent->group->waiting, &entry->queue);
    entry->agent->group->nwaiting++;
    entry->waiting = 1;
    entry->id = id;
}


void
ngx_trp_pair_unwait(ngx_trp_peer_t *entry)
{
    if (entry->waiting) {
        ngx_queue_remove(&entry->queue);
        entry->agent->group->nwaiting--;
        entry->waiting = 0;
        entry->impatient = 0;
    }
}


ngx_trp_peer_t *
ngx_trp_pair_next(ngx_trp_agent_t *agent)
{
    ngx_uint_t        rank, front;
    ngx_queue_t      *q;
    ngx_trp_peer_t   *entry;
    ngx_trp_group_t  *group;

    group = agent->group;

    if (ngx_trp_pair_full(agent->member->carried,
                          agent->member->usage.limits.streams))
    {
        return NULL;
    }

    rank = ngx_trp_pair_rank(agent, NULL);
    front = ngx_trp_pair_front(group, NULL);

    for (q = ngx_queue_head(&group->waiting);
         q != ngx_queue_sentinel(&group->waiting);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, ngx_trp_peer_t, queue);

        if (rank != front && !entry->impatient) {

            /* nor are those behind it */
            break;
        }

        if (!trp_recent_has(&agent->streams, entry->id)) {
            ngx_trp_pair_unwait(entry);
            return entry;
        }
    }

    return NULL;
}
