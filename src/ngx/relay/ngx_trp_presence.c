
/*
 * Copyright (C) the trp authors
 */


/*
 * Tells the operator who is there.  An agent comes with its first tunnel in any
 * worker and is gone with its last one; a reload, or a worker that is killed,
 * is not worth a line if the agent is back soon.
 */


#include "relay/ngx_trp_presence.h"
#include "status/ngx_trp_status_kinds.h"


/* the public key as in the file of keys: a length, its type, a length, 32 */
#define NGX_TRP_PRESENCE_BLOB  (4 + 11 + 4 + TRP_KEY_PUBLIC_LEN)

#define ngx_trp_presence_role(role)                                          \
    (((role) == TRP_ROLE_REVERSE) ? "reverse" : "entry")


/* the name of an agent's row */

typedef struct {
    ngx_str_t                texts[NGX_TRP_AGENT_KEYS];
    u_char                   key[ngx_base64_encoded_length(
                                                     NGX_TRP_PRESENCE_BLOB)];
} ngx_trp_presence_name_t;


static void ngx_trp_presence_came(ngx_trp_peer_t *peer);
static void ngx_trp_presence_name(ngx_trp_presence_name_t *name,
    const ngx_trp_agent_t *agent);
static void ngx_trp_presence_key(ngx_str_t *text, const u_char *public_key);
static void ngx_trp_presence_list(ngx_trp_group_t *group);
static void ngx_trp_presence_gone(ngx_trp_peer_t *peer,
    ngx_trp_agent_t *agent);
static ngx_uint_t ngx_trp_presence_quiet(ngx_trp_peer_t *peer);
static ngx_str_t ngx_trp_presence_comment(ngx_trp_peer_t *peer);


void
ngx_trp_presence_init_group(ngx_trp_group_t *group)
{
    ngx_trp_status_none(group->pair->status, &group->status);
}


void
ngx_trp_presence_init_agent(ngx_trp_agent_t *agent)
{
    ngx_trp_status_none(agent->group->pair->status, &agent->status);
}


void
ngx_trp_presence_end_group(ngx_trp_group_t *group)
{
    (void) ngx_trp_status_close(&group->status, 0);
}


void
ngx_trp_presence_joined(ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t  *agent;

    agent = peer->agent;

    if (!agent->near) {

        if (agent->tunnels == 1) {
            ngx_trp_presence_came(peer);

        } else {
            ngx_trp_status_set(&agent->status, NGX_TRP_AGENT_ADDRESS,
                               &peer->tunnel->connection->addr_text);
        }

        ngx_trp_status_count(&agent->status, NGX_TRP_AGENT_JOINED, 1);

        peer->tunnel->traffic = &agent->status.counters[NGX_TRP_AGENT_RECEIVED];
    }

    ngx_trp_presence_agent(agent);
    ngx_trp_presence_group(agent->group);
}


static void
ngx_trp_presence_came(ngx_trp_peer_t *peer)
{
    ngx_str_t                comment;
    ngx_trp_agent_t         *agent;
    ngx_trp_group_t         *group;
    ngx_connection_t        *c;
    ngx_trp_status_past_t    past;
    ngx_trp_presence_name_t  name;

    c = peer->tunnel->connection;
    agent = peer->agent;
    group = agent->group;

    ngx_trp_presence_name(&name, agent);

    ngx_trp_status_open(group->pair->status, NGX_TRP_STATUS_AGENT,
                        name.texts, NGX_TRP_AGENT_KEYS, &agent->status, &past);

    comment = ngx_trp_presence_comment(peer);

    ngx_trp_status_set(&agent->status, NGX_TRP_AGENT_COMMENT, &comment);
    ngx_trp_status_set(&agent->status, NGX_TRP_AGENT_ADDRESS, &c->addr_text);

    ngx_trp_presence_list(group);

    if (past.is_new) {
        ngx_log_error(NGX_LOG_NOTICE, group->pair->log, 0,
                      "%s \"%V\" (%V) at %V has come, group: \"%V\"",
                      ngx_trp_presence_role(agent->role), &agent->name,
                      &comment, &c->addr_text, &group->sn.str);

    } else if (past.is_gone && !past.is_quiet) {
        ngx_log_error(NGX_LOG_NOTICE, group->pair->log, 0,
                      "%s \"%V\" (%V) at %V is back after %T s, group: \"%V\"",
                      ngx_trp_presence_role(agent->role), &agent->name,
                      &comment, &c->addr_text, ngx_time() - past.gone,
                      &group->sn.str);
    }
}


static void
ngx_trp_presence_name(ngx_trp_presence_name_t *name,
    const ngx_trp_agent_t *agent)
{
    ngx_str_t  *texts;

    texts = name->texts;

    texts[NGX_TRP_AGENT_ROLE].data =
                                (u_char *) ngx_trp_presence_role(agent->role);
    texts[NGX_TRP_AGENT_ROLE].len = ngx_strlen(texts[NGX_TRP_AGENT_ROLE].data);
    texts[NGX_TRP_AGENT_NAME] = agent->name;
    texts[NGX_TRP_AGENT_GROUP] = agent->group->sn.str;

    texts[NGX_TRP_AGENT_KEY].data = name->key;
    ngx_trp_presence_key(&texts[NGX_TRP_AGENT_KEY], agent->member->public_key);
}


static void
ngx_trp_presence_key(ngx_str_t *text, const u_char *public_key)
{
    u_char     buf[NGX_TRP_PRESENCE_BLOB];
    ngx_str_t  blob;

    static const u_char  type[] = "\0\0\0\x0bssh-ed25519\0\0\0\x20";

    blob.data = buf;
    blob.len = NGX_TRP_PRESENCE_BLOB;

    ngx_memcpy(ngx_cpymem(buf, type, sizeof(type) - 1), public_key,
               TRP_KEY_PUBLIC_LEN);

    ngx_encode_base64(text, &blob);
}


/*
 * A group is listed from its first agent on: the name of one without agents may
 * be a stranger's word.
 */

static void
ngx_trp_presence_list(ngx_trp_group_t *group)
{
    if (!group->listed) {
        group->listed = 1;

        ngx_trp_status_open(group->pair->status, NGX_TRP_STATUS_GROUP,
                            &group->sn.str, NGX_TRP_GROUP_TEXTS,
                            &group->status, NULL);

        /* those that have waited for this agent */

        ngx_trp_status_count(&group->status, NGX_TRP_GROUP_OPENED,
                             group->usage.streams);
    }
}


void
ngx_trp_presence_left(ngx_trp_peer_t *peer, ngx_trp_agent_t *agent)
{
    peer->tunnel->traffic = NULL;

    ngx_trp_presence_agent(agent);
    ngx_trp_presence_group(agent->group);

    if (agent->tunnels == 0 && !agent->near) {
        ngx_trp_presence_gone(peer, agent);
    }
}


static void
ngx_trp_presence_gone(ngx_trp_peer_t *peer, ngx_trp_agent_t *agent)
{
    u_char                   there[sizeof(", it was there for  s")
                                   + NGX_TIME_T_LEN];
    time_t                   since;
    ngx_str_t                comment;
    ngx_uint_t               quiet;
    ngx_trp_group_t         *group;
    ngx_connection_t        *c;
    ngx_trp_status_loss_t    loss;
    ngx_trp_presence_name_t  name;

    c = peer->tunnel->connection;
    group = agent->group;

    quiet = ngx_trp_presence_quiet(peer);
    since = agent->status.row ? agent->status.row->since : 0;

    if (!ngx_trp_status_close(&agent->status, quiet) || quiet) {
        return;
    }

    loss.counter = NGX_TRP_AGENT_LOSSES;
    loss.time = NGX_TRP_AGENT_LOST;
    loss.when = ngx_time();
    loss.text = NGX_TRP_AGENT_WHY;
    loss.why.data = (u_char *) (peer->tunnel->why ? peer->tunnel->why
                                                  : "closed by this relay");
    loss.why.len = ngx_strlen(loss.why.data);

    ngx_trp_presence_name(&name, agent);

    ngx_trp_status_lost(group->pair->status, NGX_TRP_STATUS_AGENT,
                        name.texts, NGX_TRP_AGENT_KEYS, &loss);

    comment = ngx_trp_presence_comment(peer);

    there[0] = '\0';

    if (since) {
        *ngx_sprintf(there, ", it was there for %T s", loss.when - since)
            = '\0';
    }

    ngx_log_error(NGX_LOG_NOTICE, group->pair->log, 0,
                  "%s \"%V\" (%V) at %V is gone: %V%s, group: \"%V\"",
                  ngx_trp_presence_role(agent->role), &agent->name, &comment,
                  &c->addr_text, &loss.why, there, &group->sn.str);
}


/* its last tunnel was not lost, but closed since somebody exits */

static ngx_uint_t
ngx_trp_presence_quiet(ngx_trp_peer_t *peer)
{
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    if (peer->leaving) {
        return NGX_TRP_PRESENCE_LEFT;
    }

    return (t->draining && !t->why) ? NGX_TRP_PRESENCE_DRAINED : 0;
}


static ngx_str_t
ngx_trp_presence_comment(ngx_trp_peer_t *peer)
{
    ngx_str_t  comment;

    comment.data = (u_char *) peer->key->comment.data;
    comment.len = ngx_min(peer->key->comment.len, TRP_LABEL_MAX);

    return comment;
}


void
ngx_trp_presence_overdue(ngx_trp_status_t *status,
    ngx_trp_status_gone_t *gone, ngx_log_t *log)
{
    ngx_str_t              *texts;
    ngx_trp_status_loss_t   loss;

    if (gone->kind != NGX_TRP_STATUS_AGENT) {
        return;
    }

    switch (gone->quiet) {

    case NGX_TRP_STATUS_KILLED:
        ngx_str_set(&loss.why, "the relay's worker was killed");
        break;

    case NGX_TRP_STATUS_ADOPTED:
    case NGX_TRP_PRESENCE_DRAINED:
        ngx_str_set(&loss.why, "the relay's worker has exited");
        break;

    default:
        ngx_str_set(&loss.why, "the agent has stopped");
    }

    loss.counter = NGX_TRP_AGENT_LOSSES;
    loss.time = NGX_TRP_AGENT_LOST;
    loss.when = gone->gone;
    loss.text = NGX_TRP_AGENT_WHY;

    texts = gone->texts;

    ngx_trp_status_lost(status, NGX_TRP_STATUS_AGENT, texts,
                        NGX_TRP_AGENT_KEYS, &loss);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "%V \"%V\" (%V) at %V is gone: %V, it has not come back "
                  "for %T s, group: \"%V\"", &texts[NGX_TRP_AGENT_ROLE],
                  &texts[NGX_TRP_AGENT_NAME], &texts[NGX_TRP_AGENT_COMMENT],
                  &texts[NGX_TRP_AGENT_ADDRESS], &loss.why,
                  ngx_time() - gone->gone, &texts[NGX_TRP_AGENT_GROUP]);
}


void
ngx_trp_presence_agent(ngx_trp_agent_t *agent)
{
    ngx_trp_status_gauge(&agent->status, NGX_TRP_AGENT_TUNNELS,
                         agent->tunnels);
    ngx_trp_status_gauge(&agent->status, NGX_TRP_AGENT_STREAMS, agent->busy);
    ngx_trp_status_gauge(&agent->status, NGX_TRP_AGENT_IDLE,
                         agent->tunnels - ngx_min(agent->busy,
                                                  agent->tunnels));
}


/* a worker that exits has the same agents as the one that comes after it */

void
ngx_trp_presence_group(ngx_trp_group_t *group)
{
    ngx_trp_status_gauge(&group->status, NGX_TRP_GROUP_ENTRIES,
                         ngx_exiting ? 0 : group->nentries);
    ngx_trp_status_gauge(&group->status, NGX_TRP_GROUP_REVERSES,
                         ngx_exiting ? 0 : group->nreverses);
    ngx_trp_status_gauge(&group->status, NGX_TRP_GROUP_WAITING,
                         group->nwaiting);
    ngx_trp_status_gauge(&group->status, NGX_TRP_GROUP_STREAMS,
                         group->usage.streams);
}


void
ngx_trp_presence_opened(ngx_trp_group_t *group)
{
    ngx_trp_status_count(&group->status, NGX_TRP_GROUP_OPENED, 1);
    ngx_trp_status_count(group->pair->server, NGX_TRP_SERVER_OPENED, 1);

    ngx_trp_presence_group(group);
}


void
ngx_trp_presence_stream(ngx_trp_agent_t *agent)
{
    ngx_trp_status_count(&agent->status, NGX_TRP_AGENT_OPENED, 1);
}


void
ngx_trp_presence_refused(ngx_trp_group_t *group, ngx_trp_agent_t *entry,
    ngx_uint_t code)
{
    if (code >= NGX_TRP_STATUS_CODES) {
        return;
    }

    ngx_trp_status_count(&group->status, NGX_TRP_GROUP_REFUSED + code, 1);
    ngx_trp_status_count(group->pair->server,
                         NGX_TRP_SERVER_REFUSED_STREAMS + code, 1);

    if (entry) {
        ngx_trp_status_count(&entry->status, NGX_TRP_AGENT_REFUSED + code, 1);
    }
}


void
ngx_trp_presence_refusal(ngx_trp_agent_t *reverse, ngx_uint_t code)
{
    if (code < NGX_TRP_STATUS_CODES) {
        ngx_trp_status_count(&reverse->status, NGX_TRP_AGENT_REFUSED + code,
                             1);
    }
}
