
#include "ngx_trp_pair.h"


static ngx_trp_group_t *ngx_trp_pair_group(ngx_trp_pair_t *pair,
    trp_str_t name);
static ngx_trp_agent_t *ngx_trp_pair_agent(ngx_trp_group_t *group,
    ngx_uint_t role, trp_str_t name, const u_char *public_key);
static ngx_uint_t ngx_trp_pair_better(ngx_trp_agent_t *agent,
    ngx_trp_agent_t *best);
static ngx_uint_t ngx_trp_pair_penalized(ngx_trp_agent_t *agent);
static void ngx_trp_pair_free_group(ngx_trp_group_t *group);


void
ngx_trp_pair_init(ngx_trp_pair_t *pair)
{
    ngx_rbtree_init(&pair->rbtree, &pair->sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_int_t
ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer, ngx_uint_t role,
    trp_str_t group_name, trp_str_t name, const u_char *public_key)
{
    ngx_trp_group_t  *group;
    ngx_trp_agent_t  *agent;

    group = ngx_trp_pair_group(pair, group_name);
    if (group == NULL) {
        return NGX_ERROR;
    }

    agent = ngx_trp_pair_agent(group, role, name, public_key);
    if (agent == NULL) {
        ngx_trp_pair_free_group(group);
        return NGX_ERROR;
    }

    agent->tunnels++;
    peer->agent = agent;

    return NGX_OK;
}


static ngx_trp_group_t *
ngx_trp_pair_group(ngx_trp_pair_t *pair, trp_str_t name)
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
    group->sn.node.key = hash;
    group->sn.str.len = key.len;
    group->sn.str.data = (u_char *) (group + 1);
    ngx_memcpy(group->sn.str.data, key.data, key.len);

    ngx_queue_init(&group->agents);
    ngx_queue_init(&group->waiting);

    ngx_rbtree_insert(&pair->rbtree, &group->sn.node);

    return group;
}


static ngx_trp_agent_t *
ngx_trp_pair_agent(ngx_trp_group_t *group, ngx_uint_t role, trp_str_t name,
    const u_char *public_key)
{
    ngx_queue_t      *q;
    ngx_trp_agent_t  *agent;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (agent->role == role
            && agent->name.len == name.len
            && ngx_memcmp(agent->name.data, name.data, name.len) == 0
            && ngx_memcmp(agent->public_key, public_key, TRP_KEY_PUBLIC_LEN)
               == 0)
        {
            return agent;
        }
    }

    agent = ngx_calloc(sizeof(ngx_trp_agent_t) + name.len, ngx_cycle->log);
    if (agent == NULL) {
        return NULL;
    }

    agent->group = group;
    agent->role = role;
    agent->name.len = name.len;
    agent->name.data = (u_char *) (agent + 1);
    ngx_memcpy(agent->name.data, name.data, name.len);
    ngx_memcpy(agent->public_key, public_key, TRP_KEY_PUBLIC_LEN);

    ngx_queue_init(&agent->idle);
    ngx_queue_insert_tail(&group->agents, &agent->queue);

    return agent;
}


void
ngx_trp_pair_leave(ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t  *agent;
    ngx_trp_group_t  *group;

    agent = peer->agent;

    if (agent == NULL) {
        return;
    }

    ngx_trp_pair_unpark(peer);
    ngx_trp_pair_unwait(peer);

    peer->agent = NULL;

    if (--agent->tunnels) {
        return;
    }

    group = agent->group;

    ngx_queue_remove(&agent->queue);
    ngx_free(agent);

    ngx_trp_pair_free_group(group);
}


static void
ngx_trp_pair_free_group(ngx_trp_group_t *group)
{
    if (ngx_queue_empty(&group->agents)) {
        ngx_rbtree_delete(&group->pair->rbtree, &group->sn.node);
        ngx_free(group);
    }
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
ngx_trp_pair_choose(ngx_trp_group_t *group)
{
    ngx_queue_t      *q;
    ngx_trp_peer_t   *peer;
    ngx_trp_agent_t  *agent, *best;

    best = NULL;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (agent->role == TRP_ROLE_REVERSE
            && !ngx_queue_empty(&agent->idle)
            && (best == NULL || ngx_trp_pair_better(agent, best)))
        {
            best = agent;
        }
    }

    if (best == NULL) {
        return NULL;
    }

    q = ngx_queue_head(&best->idle);
    peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

    ngx_trp_pair_unpark(peer);
    best->chosen = ++group->chosen;

    return peer;
}


static ngx_uint_t
ngx_trp_pair_better(ngx_trp_agent_t *agent, ngx_trp_agent_t *best)
{
    ngx_uint_t  p1, p2;

    p1 = ngx_trp_pair_penalized(agent);
    p2 = ngx_trp_pair_penalized(best);

    if (p1 != p2) {
        return p1 < p2;
    }

    if (agent->busy != best->busy) {
        return agent->busy < best->busy;
    }

    return agent->chosen < best->chosen;
}


static ngx_uint_t
ngx_trp_pair_penalized(ngx_trp_agent_t *agent)
{
    if (agent->penalty
        && ngx_current_msec - agent->refused > NGX_TRP_PAIR_PENALTY)
    {
        agent->penalty = 0;
    }

    return agent->penalty;
}


ngx_uint_t
ngx_trp_pair_refused(ngx_trp_agent_t *agent)
{
    ngx_queue_t      *q;
    ngx_trp_agent_t  *other;

    agent->penalty = 1;
    agent->refused = ngx_current_msec;

    for (q = ngx_queue_head(&agent->group->agents);
         q != ngx_queue_sentinel(&agent->group->agents);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (other->role == TRP_ROLE_REVERSE && !ngx_trp_pair_penalized(other))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_trp_pair_wait(ngx_trp_peer_t *peer)
{
    ngx_queue_insert_tail(&peer->agent->group->waiting, &peer->queue);
    peer->agent->group->nwaiting++;
    peer->waiting = 1;
}


void
ngx_trp_pair_unwait(ngx_trp_peer_t *peer)
{
    if (peer->waiting) {
        ngx_queue_remove(&peer->queue);
        peer->agent->group->nwaiting--;
        peer->waiting = 0;
    }
}


ngx_trp_peer_t *
ngx_trp_pair_next(ngx_trp_group_t *group)
{
    ngx_queue_t     *q;
    ngx_trp_peer_t  *peer;

    if (ngx_queue_empty(&group->waiting)) {
        return NULL;
    }

    q = ngx_queue_head(&group->waiting);
    peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

    ngx_trp_pair_unwait(peer);

    return peer;
}
