
/*
 * Copyright (C) the trp authors
 */


/*
 * Keeps track of connected agents.  A group has members, one for each key; a
 * member has agents, one for each name and role; an agent has tunnels.  State
 * that must outlive them, a rate or a penalty, is kept here for a while.
 */


#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_bandwidth.h"
#include "relay/ngx_trp_choice.h"
#include "relay/ngx_trp_presence.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"


#define NGX_TRP_PAIR_REST_TIME   1000

/* minimum interval between probes of tunnels, milliseconds */
#define NGX_TRP_PAIR_PROBE_TIME  1000


/* where an agent's name begins in its key, after role and list */
#define NGX_TRP_PAIR_NAME        (1 + sizeof(uint64_t))


static void ngx_trp_pair_watch(ngx_trp_group_t *group);
static void ngx_trp_pair_absence_handler(ngx_event_t *ev);
static void ngx_trp_pair_each_of(ngx_trp_group_t *group,
    void (*handler)(ngx_trp_peer_t *peer));
static const char *ngx_trp_pair_crowded(ngx_trp_pair_t *pair,
    ngx_uint_t role);
static ngx_trp_group_t *ngx_trp_pair_find(ngx_trp_pair_t *pair,
    ngx_str_t *name);
static ngx_trp_group_t *ngx_trp_pair_group(ngx_trp_pair_t *pair,
    trp_str_t name, const trp_limits_t *limits);
static ngx_trp_member_t *ngx_trp_pair_member(ngx_trp_group_t *group,
    const u_char *public_key);
static ngx_trp_agent_t *ngx_trp_pair_agent(ngx_trp_member_t *member,
    trp_auth_t *auth);
static ngx_trp_agent_t *ngx_trp_pair_create_agent(ngx_trp_member_t *member,
    uint32_t hash, ngx_str_t *key);
static void ngx_trp_pair_count(ngx_trp_agent_t *agent, ngx_int_t n);
static void ngx_trp_pair_wake(ngx_trp_group_t *group);
static ngx_int_t ngx_trp_pair_apply(ngx_trp_peer_t *peer,
    ngx_trp_group_t *group, ngx_trp_member_t *member, ngx_trp_member_t *of);
static ngx_uint_t ngx_trp_pair_probe(ngx_trp_group_t *group,
    ngx_trp_member_t *member);
static void ngx_trp_pair_rest(ngx_trp_pair_t *pair, ngx_trp_rest_t *rest);
static void ngx_trp_pair_wake_up(ngx_trp_pair_t *pair, ngx_trp_rest_t *rest);
static void ngx_trp_pair_rest_handler(ngx_event_t *ev);
static void ngx_trp_pair_release_agent(ngx_trp_agent_t *agent);
static void ngx_trp_pair_release_member(ngx_trp_member_t *member);
static ngx_uint_t ngx_trp_pair_needed(ngx_trp_group_t *group);
static void ngx_trp_pair_release_group(ngx_trp_group_t *group);
static void ngx_trp_pair_end_agent(void *data);
static void ngx_trp_pair_end_member(void *data);
static void ngx_trp_pair_end_group(void *data);
static ngx_uint_t ngx_trp_pair_hot(ngx_trp_usage_t *usage);


void
ngx_trp_pair_init(ngx_trp_pair_t *pair, ngx_cycle_t *cycle)
{
    pair->size = ngx_trp_capacity_size(cycle);

    ngx_rbtree_init(&pair->rbtree, &pair->sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&pair->resting);

    pair->event.data = pair;
    pair->event.log = cycle->log;
    pair->event.handler = ngx_trp_pair_rest_handler;
    pair->event.cancelable = 1;
}


ngx_int_t
ngx_trp_pair_join(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    trp_auth_t *auth, const ngx_trp_limits_t *limits, const char **over)
{
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

    member = ngx_trp_pair_member(group, auth->public_key);
    if (member == NULL) {
        ngx_trp_pair_release_group(group);
        return NGX_ERROR;
    }

    member->usage.limits = trp_limits_merge(&peer->key->limits, &limits->key);
    ngx_trp_choice_member(member);
    ngx_trp_bandwidth_set(&member->usage);

    if (ngx_trp_pair_full(group->usage.tunnels, group->usage.limits.tunnels)) {
        *over = "the group has too many tunnels";
        return ngx_trp_pair_apply(peer, group, member, NULL);
    }

    if (ngx_trp_pair_full(member->usage.tunnels,
                          member->usage.limits.tunnels))
    {
        *over = "the key has too many tunnels in the group";
        return ngx_trp_pair_apply(peer, group, member, member);
    }

    agent = ngx_trp_pair_agent(member, auth);
    if (agent == NULL) {
        ngx_trp_pair_release_member(member);
        return NGX_ERROR;
    }

    /* the same agent may have been configured anew */

    ngx_trp_choice_configure(agent, auth->weight, auth->backup);

    ngx_trp_pair_count(agent, 1);

    /* it is back */
    ngx_trp_choice_silent(agent, 0);

    ngx_queue_insert_tail(&agent->peers, &peer->all);
    peer->agent = agent;

    ngx_trp_presence_joined(peer);
    ngx_trp_pair_watch(group);

    return NGX_OK;
}


/* the key of all zeros is none, and nobody else has it */

ngx_int_t
ngx_trp_pair_join_near(ngx_trp_pair_t *pair, ngx_trp_peer_t *peer,
    ngx_str_t *name, const ngx_trp_limits_t *limits)
{
    trp_auth_t         auth;
    ngx_trp_group_t   *group;
    ngx_trp_agent_t   *agent;
    ngx_trp_member_t  *member;

    static const trp_str_t  local = trp_string("local");

    ngx_memzero(&auth, sizeof(trp_auth_t));

    auth.role = TRP_ROLE_ENTRY;
    auth.name = local;

    group = ngx_trp_pair_group(pair, ngx_trp_str(name), &limits->group);
    if (group == NULL) {
        return NGX_ERROR;
    }

    group->wanted = 1;

    member = ngx_trp_pair_member(group, auth.public_key);
    if (member == NULL) {
        ngx_trp_pair_release_group(group);
        return NGX_ERROR;
    }

    agent = ngx_trp_pair_agent(member, &auth);
    if (agent == NULL) {
        ngx_trp_pair_release_member(member);
        return NGX_ERROR;
    }

    agent->near = 1;

    ngx_trp_pair_count(agent, 1);

    ngx_queue_insert_tail(&agent->peers, &peer->all);
    peer->agent = agent;

    ngx_trp_presence_joined(peer);
    ngx_trp_pair_watch(group);

    return NGX_OK;
}


/* "of": what has too many tunnels, NULL: the group */

static ngx_int_t
ngx_trp_pair_apply(ngx_trp_peer_t *peer, ngx_trp_group_t *group,
    ngx_trp_member_t *member, ngx_trp_member_t *of)
{
    ngx_uint_t  rc;

    rc = ngx_trp_pair_probe(group, of);

    ngx_trp_pair_release_member(member);

    if (!rc) {
        return NGX_BUSY;
    }

    if (peer->applied == NULL) {
        ngx_queue_insert_tail(&group->candidates, &peer->queue);
        peer->applied = group;
    }

    return NGX_AGAIN;
}


void
ngx_trp_pair_limit_rate(ngx_trp_peer_t *peer, uint64_t rate)
{
    ngx_trp_usage_t  *usage;

    if (peer->agent) {
        usage = &peer->agent->member->usage;
        usage->limits.rate = rate;

        ngx_trp_bandwidth_set(usage);
    }
}


void
ngx_trp_pair_withdraw(ngx_trp_peer_t *peer)
{
    ngx_trp_group_t  *group;

    group = peer->applied;

    if (group) {
        ngx_queue_remove(&peer->queue);
        peer->applied = NULL;

        ngx_trp_pair_release_group(group);
    }
}


/* 1 if some may be dead */

static ngx_uint_t
ngx_trp_pair_probe(ngx_trp_group_t *group, ngx_trp_member_t *member)
{
    ngx_uint_t        n;
    ngx_queue_t      *q, *p;
    ngx_trp_peer_t   *peer;
    ngx_trp_usage_t  *usage;
    ngx_trp_agent_t  *agent;

    usage = member ? &member->usage : &group->usage;

    if (usage->was_probed
        && ngx_current_msec - usage->probed < NGX_TRP_PAIR_PROBE_TIME)
    {
        return usage->suspects;
    }

    usage->was_probed = 1;
    usage->probed = ngx_current_msec;

    n = 0;

    for (q = ngx_queue_head(&group->agents);
         q != ngx_queue_sentinel(&group->agents);
         q = ngx_queue_next(q))
    {
        agent = ngx_queue_data(q, ngx_trp_agent_t, queue);

        if (member && agent->member != member) {
            continue;
        }

        for (p = ngx_queue_head(&agent->peers);
             p != ngx_queue_sentinel(&agent->peers);
             p = ngx_queue_next(p))
        {
            peer = ngx_queue_data(p, ngx_trp_peer_t, all);
            n += ngx_trp_tunnel_probe(peer->tunnel);
        }
    }

    usage->suspects = (n != 0);

    return usage->suspects;
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
        ngx_trp_pair_each_of(group, ngx_trp_pair_tell);
    }
}


static void
ngx_trp_pair_absence_handler(ngx_event_t *ev)
{
    ngx_uint_t         n;
    ngx_queue_t       *q;
    ngx_trp_group_t   *group;
    ngx_trp_seeker_t  *seeker;

    group = ev->data;

    group->absent = 1;
    ngx_trp_pair_each_of(group, ngx_trp_pair_tell);

    for (n = group->nwaiting, q = ngx_queue_head(&group->waiting); n; n--) {
        seeker = ngx_queue_data(q, ngx_trp_seeker_t, queue);
        q = ngx_queue_next(q);

        if (seeker->absent) {
            seeker->absent(seeker);
        }
    }
}


ngx_trp_group_t *
ngx_trp_pair_enter(ngx_trp_pair_t *pair, ngx_str_t *name,
    const ngx_trp_limits_t *limits)
{
    ngx_trp_group_t  *group;

    group = ngx_trp_pair_group(pair, ngx_trp_str(name), &limits->group);

    if (group) {
        group->nlocals++;
        group->wanted = 1;

        ngx_trp_pair_watch(group);
    }

    return group;
}


void
ngx_trp_pair_exit(ngx_trp_group_t *group)
{
    group->nlocals--;

    ngx_trp_pair_release_group(group);
}


ngx_uint_t
ngx_trp_pair_absent(ngx_trp_pair_t *pair, ngx_str_t *name)
{
    ngx_trp_group_t  *group;

    group = ngx_trp_pair_find(pair, name);

    return group && group->absent;
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
 * A stream needs a tunnel of each role.  When users arrive, entries dial first,
 * and no reverse could serve their excess tunnels.  Some connections are
 * reserved for peers that are not yet authenticated.
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

    return (pair->reverses >= share
            && ngx_trp_capacity_left(pair->size) <= rest)
           ? "the worker's last connections are not for reverses" : NULL;
}


static ngx_trp_group_t *
ngx_trp_pair_find(ngx_trp_pair_t *pair, ngx_str_t *name)
{
    return (ngx_trp_group_t *)
           ngx_str_rbtree_lookup(&pair->rbtree, name,
                                 ngx_crc32_short(name->data, name->len));
}


static ngx_trp_group_t *
ngx_trp_pair_group(ngx_trp_pair_t *pair, trp_str_t name,
    const trp_limits_t *limits)
{
    ngx_str_t         key;
    ngx_trp_group_t  *group;

    key.len = name.len;
    key.data = (u_char *) name.data;

    group = ngx_trp_pair_find(pair, &key);

    if (group) {
        return group;
    }

    group = ngx_calloc(sizeof(ngx_trp_group_t) + key.len, ngx_cycle->log);
    if (group == NULL) {
        return NULL;
    }

    group->pair = pair;
    group->usage.limits = *limits;
    ngx_trp_bandwidth_set(&group->usage);

    group->absence.data = group;
    group->absence.log = ngx_cycle->log;
    group->absence.handler = ngx_trp_pair_absence_handler;
    group->absence.cancelable = 1;

    group->sn.node.key = ngx_crc32_short(key.data, key.len);
    group->sn.str.len = key.len;
    group->sn.str.data = (u_char *) (group + 1);
    ngx_memcpy(group->sn.str.data, key.data, key.len);

    group->rest.end = ngx_trp_pair_end_group;
    group->rest.data = group;

    ngx_queue_init(&group->agents);
    ngx_queue_init(&group->waiting);
    ngx_queue_init(&group->candidates);
    ngx_rbtree_init(&group->members, &pair->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&group->services, &pair->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_trp_choice_init_group(group);
    ngx_trp_presence_init_group(group);

    ngx_rbtree_insert(&pair->rbtree, &group->sn.node);

    return group;
}


static ngx_trp_member_t *
ngx_trp_pair_member(ngx_trp_group_t *group, const u_char *public_key)
{
    uint32_t           hash;
    ngx_str_t          key;
    ngx_trp_member_t  *member;

    key.len = TRP_KEY_PUBLIC_LEN;
    key.data = (u_char *) public_key;

    hash = ngx_crc32_short(key.data, key.len);

    member = (ngx_trp_member_t *) ngx_str_rbtree_lookup(&group->members, &key,
                                                        hash);
    if (member) {
        return member;
    }

    member = ngx_calloc(sizeof(ngx_trp_member_t), ngx_cycle->log);
    if (member == NULL) {
        return NULL;
    }

    ngx_memcpy(member->public_key, public_key, TRP_KEY_PUBLIC_LEN);

    member->group = group;
    member->sn.node.key = hash;
    member->sn.str.len = TRP_KEY_PUBLIC_LEN;
    member->sn.str.data = member->public_key;

    member->rest.end = ngx_trp_pair_end_member;
    member->rest.data = member;

    ngx_rbtree_init(&member->agents, &group->pair->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_trp_choice_init_member(member);

    ngx_rbtree_insert(&group->members, &member->sn.node);
    group->nmembers++;

    return member;
}


static ngx_trp_agent_t *
ngx_trp_pair_agent(ngx_trp_member_t *member, trp_auth_t *auth)
{
    u_char            text[NGX_TRP_PAIR_NAME + 255], *p;
    uint32_t          hash;
    ngx_str_t         key;
    ngx_trp_agent_t  *agent;

    p = text;
    *p++ = auth->role;
    p = ngx_cpymem(p, &auth->list, sizeof(auth->list));
    p = ngx_cpymem(p, auth->name.data, auth->name.len);

    key.len = p - text;
    key.data = text;

    hash = ngx_crc32_short(key.data, key.len);

    agent = (ngx_trp_agent_t *) ngx_str_rbtree_lookup(&member->agents, &key,
                                                      hash);

    return agent ? agent : ngx_trp_pair_create_agent(member, hash, &key);
}


static ngx_trp_agent_t *
ngx_trp_pair_create_agent(ngx_trp_member_t *member, uint32_t hash,
    ngx_str_t *key)
{
    ngx_trp_agent_t  *agent;
    ngx_trp_group_t  *group;

    agent = ngx_calloc(sizeof(ngx_trp_agent_t) + key->len, ngx_cycle->log);
    if (agent == NULL) {
        return NULL;
    }

    group = member->group;

    agent->sn.node.key = hash;
    agent->sn.str.len = key->len;
    agent->sn.str.data = (u_char *) (agent + 1);
    ngx_memcpy(agent->sn.str.data, key->data, key->len);

    agent->role = key->data[0];
    ngx_memcpy(&agent->list, key->data + 1, sizeof(agent->list));
    agent->name.len = key->len - NGX_TRP_PAIR_NAME;
    agent->name.data = agent->sn.str.data + NGX_TRP_PAIR_NAME;

    agent->group = group;
    agent->member = member;
    agent->weight = 1;

    agent->rest.end = ngx_trp_pair_end_agent;
    agent->rest.data = agent;

    ngx_trp_presence_init_agent(agent);

    ngx_queue_init(&agent->peers);
    ngx_queue_init(&agent->idle);
    ngx_queue_insert_tail(&group->agents, &agent->queue);

    ngx_rbtree_insert(&member->agents, &agent->sn.node);
    member->nagents++;

    return agent;
}


/* counts a tunnel more, or less */

static void
ngx_trp_pair_count(ngx_trp_agent_t *agent, ngx_int_t n)
{
    ngx_trp_pair_t  *pair;

    pair = agent->group->pair;

    if (agent->role == TRP_ROLE_REVERSE) {
        pair->reverses += n;

        if (agent->tunnels == 0) {
            ngx_trp_choice_add(agent);
        }

    } else {
        pair->entries += n;
        pair->nears += agent->near ? n : 0;
    }

    agent->tunnels += n;

    if (agent->role == TRP_ROLE_ENTRY && !agent->near
        && agent->tunnels == (n > 0))
    {
        agent->group->nentries += n;
    }

    agent->member->usage.tunnels += n;

    if (!agent->near) {
        agent->group->usage.tunnels += n;
    }

    if (agent->role == TRP_ROLE_REVERSE && agent->tunnels == 0) {
        ngx_trp_choice_remove(agent);
    }
}


void
ngx_trp_pair_each(ngx_trp_pair_t *pair, void (*check)(ngx_trp_peer_t *peer))
{
    ngx_rbtree_node_t  *node;

    if (pair->rbtree.root == &pair->sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(pair->rbtree.root, &pair->sentinel);
         node;
         node = ngx_rbtree_next(&pair->rbtree, node))
    {
        ngx_trp_pair_each_of((ngx_trp_group_t *) node, check);
    }
}


static void
ngx_trp_pair_each_of(ngx_trp_group_t *group,
    void (*handler)(ngx_trp_peer_t *peer))
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
            handler(ngx_queue_data(p, ngx_trp_peer_t, all));
        }
    }
}


void
ngx_trp_pair_leave(ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t  *agent;

    agent = peer->agent;

    if (agent == NULL) {
        ngx_trp_pair_withdraw(peer);
        return;
    }

    ngx_trp_pair_unpark(peer);

    ngx_queue_remove(&peer->all);
    peer->agent = NULL;

    ngx_trp_pair_count(agent, -1);
    ngx_trp_presence_left(peer, agent);
    ngx_trp_pair_watch(agent->group);
    ngx_trp_pair_wake(agent->group);
    ngx_trp_pair_release_agent(agent);
}


/* there is room for one of the tunnels that wait for it */

static void
ngx_trp_pair_wake(ngx_trp_group_t *group)
{
    ngx_queue_t     *q;
    ngx_trp_peer_t  *peer;

    for (q = ngx_queue_head(&group->candidates);
         q != ngx_queue_sentinel(&group->candidates);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

        ngx_post_event(peer->retry, &ngx_posted_events);
    }
}


/*
 * An agent that has lost its last tunnel may be back soon.  Rates, penalties
 * and the streams that must not be opened twice are not forgotten at once.
 */

static void
ngx_trp_pair_rest(ngx_trp_pair_t *pair, ngx_trp_rest_t *rest)
{
    ngx_queue_t  *q;

    if (rest->resting) {
        return;
    }

    rest->resting = 1;
    rest->since = ngx_current_msec;
    ngx_queue_insert_tail(&pair->resting, &rest->queue);

    if (!pair->event.timer_set) {
        ngx_add_timer(&pair->event, NGX_TRP_PAIR_REST_TIME);
    }

    if (++pair->nresting > NGX_TRP_PAIR_RESTS) {
        q = ngx_queue_head(&pair->resting);
        rest = ngx_queue_data(q, ngx_trp_rest_t, queue);

        ngx_trp_pair_wake_up(pair, rest);
        rest->end(rest->data);
    }
}


static void
ngx_trp_pair_wake_up(ngx_trp_pair_t *pair, ngx_trp_rest_t *rest)
{
    if (rest->resting) {
        rest->resting = 0;
        ngx_queue_remove(&rest->queue);
        pair->nresting--;
    }
}


static void
ngx_trp_pair_rest_handler(ngx_event_t *ev)
{
    ngx_queue_t     *q;
    ngx_trp_pair_t  *pair;
    ngx_trp_rest_t  *rest;

    pair = ev->data;

    while (!ngx_queue_empty(&pair->resting)) {
        q = ngx_queue_head(&pair->resting);
        rest = ngx_queue_data(q, ngx_trp_rest_t, queue);

        if (ngx_current_msec - rest->since < NGX_TRP_PAIR_REST) {
            ngx_add_timer(ev, NGX_TRP_PAIR_REST_TIME);
            return;
        }

        ngx_trp_pair_wake_up(pair, rest);
        rest->end(rest->data);
    }
}


static void
ngx_trp_pair_release_agent(ngx_trp_agent_t *agent)
{
    if (agent->tunnels) {
        return;
    }

    if (ngx_trp_choice_penalized(agent)) {
        ngx_trp_pair_rest(agent->group->pair, &agent->rest);
        return;
    }

    ngx_trp_pair_end_agent(agent);
}


static void
ngx_trp_pair_release_member(ngx_trp_member_t *member)
{
    if (member->nagents) {
        return;
    }

    if (ngx_trp_pair_hot(&member->usage)) {
        ngx_trp_pair_rest(member->group->pair, &member->rest);
        return;
    }

    ngx_trp_pair_end_member(member);
}


static ngx_uint_t
ngx_trp_pair_needed(ngx_trp_group_t *group)
{
    return group->nmembers || group->nlocals
           || !ngx_queue_empty(&group->candidates);
}


static void
ngx_trp_pair_release_group(ngx_trp_group_t *group)
{
    if (ngx_trp_pair_needed(group)) {
        return;
    }

    /* whether it has a reverse must be known when the next user comes */

    if (group->lost.n || ngx_trp_pair_hot(&group->usage)
        || (group->wanted && group->pair->nresting < NGX_TRP_PAIR_RESTS / 2))
    {
        ngx_trp_pair_rest(group->pair, &group->rest);
        return;
    }

    ngx_trp_pair_end_group(group);
}


/* unless it is needed again */

static void
ngx_trp_pair_end_agent(void *data)
{
    ngx_trp_agent_t *agent = data;

    ngx_trp_member_t  *member;

    if (agent->tunnels) {
        return;
    }

    member = agent->member;

    ngx_trp_pair_wake_up(agent->group->pair, &agent->rest);
    ngx_trp_choice_forget(agent);

    ngx_queue_remove(&agent->queue);
    ngx_rbtree_delete(&member->agents, &agent->sn.node);
    member->nagents--;

    ngx_free(agent);

    ngx_trp_pair_release_member(member);
}


static void
ngx_trp_pair_end_member(void *data)
{
    ngx_trp_member_t *member = data;

    ngx_trp_group_t  *group;

    if (member->nagents) {
        return;
    }

    group = member->group;

    ngx_trp_pair_wake_up(group->pair, &member->rest);

    ngx_rbtree_delete(&group->members, &member->sn.node);
    group->nmembers--;

    ngx_trp_bandwidth_free(&member->usage);
    ngx_free(member);

    ngx_trp_pair_release_group(group);
}


static void
ngx_trp_pair_end_group(void *data)
{
    ngx_trp_group_t *group = data;

    if (ngx_trp_pair_needed(group)) {
        return;
    }

    ngx_trp_pair_wake_up(group->pair, &group->rest);

    if (group->absence.timer_set) {
        ngx_del_timer(&group->absence);
    }

    ngx_rbtree_delete(&group->pair->rbtree, &group->sn.node);
    ngx_trp_presence_end_group(group);

    if (group->refusals) {
        ngx_free(group->refusals);
    }

    ngx_trp_bandwidth_free(&group->usage);
    ngx_free(group);
}


/* a second after the last one its rate is 0 */

static ngx_uint_t
ngx_trp_pair_hot(ngx_trp_usage_t *usage)
{
    return usage->opens.level && ngx_current_msec - usage->opens.last < 1000;
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
ngx_trp_pair_opened(ngx_trp_group_t *group, ngx_trp_member_t *member)
{
    ngx_trp_usage_t  *key, *all;

    key = member ? &member->usage : NULL;
    all = &group->usage;

    if (key && ngx_trp_pair_full(key->streams, key->limits.streams)) {
        (void) ngx_trp_pair_probe(group, member);
        return "the key has too many streams";
    }

    if (ngx_trp_pair_full(all->streams, all->limits.streams)) {
        (void) ngx_trp_pair_probe(group, NULL);
        return "the group has too many streams";
    }

    if (key && trp_rate_take(&key->opens, key->limits.opens, ngx_current_msec)
               != TRP_OK)
    {
        return "the key opens streams too fast";
    }

    if (trp_rate_take(&all->opens, all->limits.opens, ngx_current_msec)
        != TRP_OK)
    {
        return "streams are opened too fast in the group";
    }

    if (key) {
        key->streams++;
    }

    all->streams++;
    group->pair->streams++;

    ngx_trp_presence_opened(group);

    return NULL;
}


void
ngx_trp_pair_closed(ngx_trp_group_t *group, ngx_trp_member_t *member)
{
    if (member) {
        member->usage.streams--;
    }

    group->usage.streams--;
    group->pair->streams--;

    ngx_trp_presence_group(group);
}


void
ngx_trp_pair_busy(ngx_trp_peer_t *reverse)
{
    ngx_trp_choice_out(reverse->agent);
    reverse->agent->busy++;
    ngx_trp_choice_in(reverse->agent);

    reverse->agent->member->carried++;
    ngx_trp_choice_member(reverse->agent->member);

    ngx_trp_presence_stream(reverse->agent);
    ngx_trp_presence_agent(reverse->agent);
}


void
ngx_trp_pair_free(ngx_trp_peer_t *reverse)
{
    ngx_trp_choice_out(reverse->agent);
    reverse->agent->busy--;
    ngx_trp_choice_in(reverse->agent);

    reverse->agent->member->carried--;
    ngx_trp_choice_member(reverse->agent->member);

    ngx_trp_presence_agent(reverse->agent);
}


void
ngx_trp_pair_park(ngx_trp_peer_t *peer)
{
    /* the last one used is the first to be used again */

    ngx_queue_insert_head(&peer->agent->idle, &peer->queue);
    peer->idle = 1;

    ngx_trp_choice_in(peer->agent);
}


void
ngx_trp_pair_unpark(ngx_trp_peer_t *peer)
{
    if (peer->idle) {
        ngx_trp_choice_out(peer->agent);

        ngx_queue_remove(&peer->queue);
        peer->idle = 0;

        ngx_trp_choice_in(peer->agent);
    }
}


ngx_int_t
ngx_trp_pair_silent(ngx_trp_peer_t *reverse, ngx_trp_seeker_t *seeker)
{
    ngx_queue_t      *q;
    ngx_trp_peer_t   *peer;
    ngx_trp_agent_t  *agent;

    agent = reverse->agent;

    if (!ngx_trp_choice_another(agent, seeker)) {
        return NGX_DECLINED;
    }

    if (agent->silent) {
        return NGX_OK;
    }

    for (q = ngx_queue_head(&agent->peers);
         q != ngx_queue_sentinel(&agent->peers);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_trp_peer_t, all);

        if (peer->idle && ngx_trp_tunnel_ask(peer->tunnel)) {
            ngx_trp_pair_unpark(peer);
            peer->suspect = 1;
        }
    }

    ngx_trp_choice_silent(agent, 1);

    return NGX_OK;
}


ngx_uint_t
ngx_trp_pair_answered(ngx_trp_peer_t *peer)
{
    ngx_uint_t  suspect;

    suspect = peer->suspect;
    peer->suspect = 0;

    if (peer->agent) {
        ngx_trp_choice_silent(peer->agent, 0);
    }

    return suspect && !peer->tunnel->busy && !peer->tunnel->failed;
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
ngx_trp_pair_wait(ngx_trp_seeker_t *seeker)
{
    ngx_queue_insert_tail(&seeker->group->waiting, &seeker->queue);
    seeker->group->nwaiting++;
    seeker->group->nservices += (seeker->service != NULL);
    seeker->waiting = 1;

    ngx_trp_presence_group(seeker->group);
}


void
ngx_trp_pair_unwait(ngx_trp_seeker_t *seeker)
{
    if (seeker->waiting) {
        ngx_queue_remove(&seeker->queue);
        seeker->group->nwaiting--;
        seeker->group->nservices -= (seeker->service != NULL);
        seeker->waiting = 0;
        seeker->impatient = 0;

        ngx_trp_presence_group(seeker->group);
    }
}
