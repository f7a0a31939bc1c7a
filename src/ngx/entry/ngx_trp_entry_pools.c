
/*
 * Copyright (C) the trp authors
 */


/*
 * A group on first use: its pools are in memory of their own, which is freed
 * when no session uses them, and the last tunnel is closed.  Strangers may
 * choose the group, so their number is bounded, and one that has no reverse is
 * given up soon.
 */


#include "entry/ngx_trp_entry_pools.h"


/* of one in which nobody can be served, milliseconds */

#define NGX_TRP_ENTRY_POOLS_VAIN   10000

/* until it is looked at again whether the last tunnel is closed */

#define NGX_TRP_ENTRY_POOLS_CLOSE  500


static ngx_int_t ngx_trp_entry_pools_init(ngx_trp_entry_t *entry,
    ngx_trp_entry_pools_t *pools, ngx_pool_t *mem, const ngx_str_t *group);
static void ngx_trp_entry_pools_cleanup(void *data);
static ngx_trp_entry_pools_t *ngx_trp_entry_pools_create(
    ngx_trp_entry_t *entry, const ngx_str_t *group);
static ngx_int_t ngx_trp_entry_pools_full(ngx_trp_entry_ctx_t *ctx);
static void ngx_trp_entry_pools_left(void *data);
static void ngx_trp_entry_pools_wait(ngx_trp_entry_pools_t *pools);
static void ngx_trp_entry_pools_unused(ngx_event_t *ev);
static void ngx_trp_entry_pools_give_up(ngx_trp_entry_pools_t *pools);
static void ngx_trp_entry_pools_close(ngx_event_t *ev);


/* trp_entry_groups max=N inactive=TIME */

char *
ngx_trp_entry_groups(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t              n;
    ngx_str_t             *value, s;
    ngx_uint_t             i;
    ngx_trp_entry_conf_t  *ecf;

    ecf = (ngx_trp_entry_conf_t *) ((char *) conf + cmd->offset);

    if (ecf->groups_max != NGX_CONF_UNSET_UINT
        || ecf->groups_inactive != NGX_CONF_UNSET_MSEC)
    {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "max=", 4) == 0
            && ecf->groups_max == NGX_CONF_UNSET_UINT)
        {
            n = ngx_atoi(value[i].data + 4, value[i].len - 4);

            if (n > 0 && n <= 65535) {
                ecf->groups_max = n;
                continue;
            }
        }

        if (ngx_strncmp(value[i].data, "inactive=", 9) == 0
            && ecf->groups_inactive == NGX_CONF_UNSET_MSEC)
        {
            s.data = value[i].data + 9;
            s.len = value[i].len - 9;
            n = ngx_parse_time(&s, 0);

            if (n > 0 && n <= 24 * 60 * 60 * 1000) {
                ecf->groups_inactive = n;
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\", write "
                           "\"max=NUMBER\" or \"inactive=TIME\", up to 24h",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_trp_entry_pools_start(ngx_trp_entry_t *entry)
{
    ngx_pool_cleanup_t  *cln;

    if (ngx_trp_relays_init(entry->agent, entry->upstream) != NGX_OK) {
        return NGX_ERROR;
    }

    if (entry->conf->group == NULL) {
        return ngx_trp_entry_pools_init(entry, &entry->fixed, ngx_cycle->pool,
                                        &entry->conf->agent.group);
    }

    ngx_queue_init(&entry->closing);

    ngx_rbtree_init(&entry->groups, &entry->sentinel,
                    ngx_str_rbtree_insert_value);

    cln = ngx_pool_cleanup_add(ngx_cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_trp_entry_pools_cleanup;
    cln->data = entry;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_pools_init(ngx_trp_entry_t *entry, ngx_trp_entry_pools_t *pools,
    ngx_pool_t *mem, const ngx_str_t *group)
{
    pools->entry = entry;

    pools->relays.mem = mem;
    pools->relays.group = group;
    pools->relays.upstream = entry->upstream;
    pools->relays.agent = entry->agent;

    ngx_trp_share_init(&pools->share, entry->agent->limit, ngx_cycle->log);

    return ngx_trp_relays_start(&pools->relays);
}


/* the worker exits: what is left of the groups has memory of its own */

static void
ngx_trp_entry_pools_cleanup(void *data)
{
    ngx_trp_entry_t *entry = data;

    ngx_queue_t            *q;
    ngx_str_node_t         *node;
    ngx_trp_entry_pools_t  *pools;

    while (entry->groups.root != &entry->sentinel) {
        node = (ngx_str_node_t *) entry->groups.root;
        pools = ngx_queue_data(node, ngx_trp_entry_pools_t, node);

        ngx_rbtree_delete(&entry->groups, &node->node);
        ngx_destroy_pool(pools->relays.mem);
    }

    while (!ngx_queue_empty(&entry->closing)) {
        q = ngx_queue_head(&entry->closing);
        pools = ngx_queue_data(q, ngx_trp_entry_pools_t, queue);

        ngx_queue_remove(q);
        ngx_destroy_pool(pools->relays.mem);
    }
}


ngx_int_t
ngx_trp_entry_pools_find(ngx_trp_entry_ctx_t *ctx)
{
    uint32_t                hash;
    ngx_str_t               group;
    ngx_str_node_t         *node;
    ngx_trp_entry_t        *entry;
    ngx_pool_cleanup_t     *cln;
    ngx_trp_entry_pools_t  *pools;

    entry = ctx->entry;

    if (entry->conf->group == NULL || entry->conf->local) {
        ctx->pools = &entry->fixed;
        return NGX_OK;
    }

    group = ctx->group;
    hash = ngx_crc32_short(group.data, group.len);
    node = ngx_str_rbtree_lookup(&entry->groups, &group, hash);

    if (node == NULL && entry->ngroups >= entry->conf->groups_max) {
        return ngx_trp_entry_pools_full(ctx);
    }

    cln = ngx_pool_cleanup_add(ctx->session->connection->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    pools = node ? ngx_queue_data(node, ngx_trp_entry_pools_t, node)
                 : ngx_trp_entry_pools_create(entry, &group);

    if (pools == NULL) {
        return NGX_ERROR;
    }

    if (pools->event.timer_set) {
        ngx_del_timer(&pools->event);
    }

    pools->users++;

    cln->handler = ngx_trp_entry_pools_left;
    cln->data = pools;

    ctx->pools = pools;

    return NGX_OK;
}


static ngx_trp_entry_pools_t *
ngx_trp_entry_pools_create(ngx_trp_entry_t *entry, const ngx_str_t *group)
{
    ngx_pool_t             *mem;
    ngx_trp_entry_pools_t  *pools;

    mem = ngx_create_pool(1024, ngx_cycle->log);
    if (mem == NULL) {
        return NULL;
    }

    pools = ngx_pcalloc(mem, sizeof(ngx_trp_entry_pools_t));

    if (pools == NULL) {
        ngx_destroy_pool(mem);
        return NULL;
    }

    pools->node.str.len = group->len;
    pools->node.str.data = ngx_pstrdup(mem, (ngx_str_t *) group);

    if (pools->node.str.data == NULL) {
        ngx_destroy_pool(mem);
        return NULL;
    }

    pools->event.data = pools;
    pools->event.log = ngx_cycle->log;
    pools->event.handler = ngx_trp_entry_pools_unused;
    pools->event.cancelable = 1;

    pools->node.node.key = ngx_crc32_short(group->data, group->len);
    ngx_rbtree_insert(&entry->groups, &pools->node.node);
    entry->ngroups++;

    if (ngx_trp_entry_pools_init(entry, pools, mem, &pools->node.str)
        != NGX_OK)
    {
        ngx_trp_entry_pools_give_up(pools);
        return NULL;
    }

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "group \"%V\" has a user, %ui of %ui groups of upstream "
                  "\"%V\" are used", group, entry->ngroups,
                  entry->conf->groups_max, &entry->upstream->host);

    return pools;
}


/* strangers could fill the log: the warning is repeated when it makes sense */

static ngx_int_t
ngx_trp_entry_pools_full(ngx_trp_entry_ctx_t *ctx)
{
    ngx_trp_entry_t  *entry;

    entry = ctx->entry;

    if (!entry->full) {
        entry->full = 1;

        ngx_log_error(NGX_LOG_WARN, ctx->session->connection->log, 0,
                      "upstream \"%V\" has %ui groups, users of others are "
                      "refused, \"trp_entry_groups\" sets how many there may "
                      "be", &entry->upstream->host, entry->ngroups);
    }

    ctx->why = "too many groups";
    ctx->code = TRP_CODE_LIMIT;

    return NGX_DECLINED;
}


/* a session has ended */

static void
ngx_trp_entry_pools_left(void *data)
{
    ngx_trp_entry_pools_t *pools = data;

    trp_assert(pools->users);

    if (--pools->users == 0) {
        pools->used = ngx_current_msec;
        ngx_trp_entry_pools_wait(pools);
    }
}


static void
ngx_trp_entry_pools_wait(ngx_trp_entry_pools_t *pools)
{
    ngx_msec_t  unused, inactive;

    unused = ngx_current_msec - pools->used;
    inactive = pools->entry->conf->groups_inactive;

    ngx_add_timer(&pools->event,
                  ngx_min(inactive - ngx_min(unused, inactive),
                          NGX_TRP_ENTRY_POOLS_VAIN));
}


static void
ngx_trp_entry_pools_unused(ngx_event_t *ev)
{
    ngx_msec_t              unused;
    ngx_trp_entry_pools_t  *pools;

    pools = ev->data;

    if (ngx_exiting) {
        return;
    }

    unused = ngx_current_msec - pools->used;

    if (unused < pools->entry->conf->groups_inactive
        && (unused < NGX_TRP_ENTRY_POOLS_VAIN
            || !ngx_trp_relays_vain(&pools->relays)))
    {
        ngx_trp_entry_pools_wait(pools);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, ev->log, 0,
                  "group \"%V\" of upstream \"%V\" is not used, its tunnels "
                  "are given up", &pools->node.str,
                  &pools->entry->upstream->host);

    ngx_trp_entry_pools_give_up(pools);
}


static void
ngx_trp_entry_pools_give_up(ngx_trp_entry_pools_t *pools)
{
    ngx_trp_entry_t  *entry;

    entry = pools->entry;

    ngx_rbtree_delete(&entry->groups, &pools->node.node);
    ngx_queue_insert_tail(&entry->closing, &pools->queue);

    entry->ngroups--;
    entry->full = 0;

    ngx_trp_relays_stop(&pools->relays);

    pools->event.handler = ngx_trp_entry_pools_close;

    ngx_add_timer(&pools->event, NGX_TRP_ENTRY_POOLS_CLOSE);
}


static void
ngx_trp_entry_pools_close(ngx_event_t *ev)
{
    ngx_trp_entry_pools_t  *pools;

    pools = ev->data;

    if (!ngx_trp_relays_gone(&pools->relays)) {
        ngx_add_timer(ev, NGX_TRP_ENTRY_POOLS_CLOSE);
        return;
    }

    ngx_trp_share_done(&pools->share);
    ngx_queue_remove(&pools->queue);

    ngx_destroy_pool(pools->relays.mem);
}
