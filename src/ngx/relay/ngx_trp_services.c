
/*
 * Copyright (C) the trp authors
 */


/*
 * What each agent publishes is a list of offers, told once for all its tunnels.
 * An offer that is granted is one of a service's publishers; the others are
 * tried again from time to time.
 */


#include "relay/ngx_trp_services.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_service_zone.h"
#include "tunnel/ngx_trp_tunnel_output.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/trp_publish.h"


/* milliseconds between attempts to grant what was refused */
#define NGX_TRP_SERVICES_TIME  1000

/* the names of an agent: how many, and their bytes with lengths in front */
#define NGX_TRP_SERVICES_MAX   1024
#define NGX_TRP_SERVICES_SIZE  65536


static ngx_int_t ngx_trp_services_add_names(ngx_trp_told_t *told,
    trp_publish_frame_t *frame, ngx_log_t *log);
static ngx_int_t ngx_trp_services_offer(ngx_trp_agent_t *agent,
    ngx_trp_told_t *told);
static void ngx_trp_services_free_told(ngx_trp_peer_t *peer);
static ngx_uint_t ngx_trp_services_try(ngx_trp_services_t *services,
    ngx_trp_agent_t *agent, ngx_uint_t *granted);
static ngx_uint_t ngx_trp_services_grant(ngx_trp_services_t *services,
    ngx_trp_offer_t *offer, ngx_uint_t *same);
static void ngx_trp_services_list(ngx_trp_service_t *service,
    trp_authorized_key_t *key);
static void ngx_trp_services_unlist(ngx_trp_service_t *service);
static void ngx_trp_services_show(ngx_trp_service_t *service);
static ngx_trp_service_owner_t ngx_trp_services_owner(
    ngx_trp_agent_t *agent);
static ngx_trp_peer_t *ngx_trp_services_peer(ngx_trp_agent_t *agent);
static void ngx_trp_services_tell(ngx_trp_agent_t *agent);
static void ngx_trp_services_log(ngx_trp_offer_t *offer);
static void ngx_trp_services_pend(ngx_trp_services_t *services,
    ngx_trp_agent_t *agent);
static void ngx_trp_services_handler(ngx_event_t *ev);
static ngx_trp_service_t *ngx_trp_services_lookup(ngx_trp_group_t *group,
    const ngx_str_t *name);
static ngx_trp_service_t *ngx_trp_services_create(ngx_trp_group_t *group,
    const ngx_str_t *name);
static void ngx_trp_services_release(ngx_trp_service_t *service);


void
ngx_trp_services_init(ngx_trp_services_t *services, ngx_shm_zone_t *zone,
    ngx_log_t *log)
{
    services->zone = zone;

    ngx_queue_init(&services->pending);

    services->event.data = services;
    services->event.log = log;
    services->event.handler = ngx_trp_services_handler;
    services->event.cancelable = 1;
}


ngx_uint_t
ngx_trp_services_ready(ngx_trp_services_t *services, ngx_trp_peer_t *peer)
{
    ngx_trp_agent_t          *agent;
    ngx_trp_service_owner_t   owner;

    agent = peer->agent;

    if (agent->role != TRP_ROLE_REVERSE) {
        return TRP_READY_PUBLISH;
    }

    if (agent->list == 0 && agent->tunnels == 1) {

        /* it may have published something before it was configured anew */

        owner = ngx_trp_services_owner(agent);
        ngx_trp_service_zone_drop_left(services->zone, &owner);
    }

    return TRP_READY_PUBLISH
           | ((agent->list && agent->offers == NULL) ? TRP_READY_TELL : 0);
}


ngx_int_t
ngx_trp_services_publish(ngx_trp_services_t *services, ngx_trp_peer_t *peer,
    trp_frame_t *frame)
{
    ngx_int_t             rc;
    ngx_uint_t            granted;
    ngx_log_t            *log;
    ngx_trp_agent_t      *agent;
    trp_publish_frame_t   publish;

    agent = peer->agent;
    log = peer->tunnel->connection->log;

    if (agent->role != TRP_ROLE_REVERSE || agent->list == 0
        || trp_publish_get(&publish, peer->tunnel->reader.buf, frame->len)
           != TRP_OK)
    {
        ngx_log_error(NGX_LOG_INFO, log, 0, "%s sent invalid PUBLISH",
                      ngx_trp_peer_text(peer).data);
        return NGX_ERROR;
    }

    if (agent->offers || ngx_exiting) {

        /* another tunnel has told the same meanwhile */
        return NGX_OK;
    }

    if (peer->told == NULL) {
        peer->told = ngx_calloc(sizeof(ngx_trp_told_t), log);
        if (peer->told == NULL) {
            return NGX_ERROR;
        }
    }

    rc = ngx_trp_services_add_names(peer->told, &publish, log);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "%s publishes too many names, group: \"%V\"",
                      ngx_trp_peer_text(peer).data, &agent->group->sn.str);
        ngx_trp_tunnel_why(peer->tunnel, "it publishes too many names");
        return NGX_ERROR;
    }

    if (!(publish.flags & TRP_PUBLISH_LAST)) {
        return NGX_OK;
    }

    rc = ngx_trp_services_offer(agent, peer->told);

    ngx_trp_services_free_told(peer);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trp_services_try(services, agent, &granted)) {
        ngx_trp_services_pend(services, agent);
    }

    return granted ? NGX_DONE : NGX_OK;
}


static ngx_int_t
ngx_trp_services_add_names(ngx_trp_told_t *told, trp_publish_frame_t *frame,
    ngx_log_t *log)
{
    u_char     *names, *p;
    size_t      size;
    trp_str_t   name;

    /* no more than came in this frame */

    size = told->len + (frame->end - frame->pos);

    if (size > NGX_TRP_SERVICES_SIZE) {
        return NGX_DECLINED;
    }

    names = ngx_alloc(size, log);
    if (names == NULL) {
        return NGX_ERROR;
    }

    if (told->names) {
        ngx_memcpy(names, told->names, told->len);
        ngx_free(told->names);
    }

    told->names = names;

    while (trp_publish_next(frame, &name) == TRP_OK) {

        if (told->n++ == NGX_TRP_SERVICES_MAX) {
            return NGX_DECLINED;
        }

        p = names + told->len;
        *p = (u_char) trp_service_copy(p + 1, name);

        told->len += 1 + *p;
    }

    return NGX_OK;
}


/* one block of memory for all offers and their names */

static ngx_int_t
ngx_trp_services_offer(ngx_trp_agent_t *agent, ngx_trp_told_t *told)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_trp_offer_t  *offer;

    offer = ngx_calloc(told->n * sizeof(ngx_trp_offer_t) + told->len,
                       ngx_cycle->log);
    if (offer == NULL) {
        return NGX_ERROR;
    }

    agent->offers = offer;
    agent->noffers = told->n;

    p = (u_char *) (offer + told->n);
    ngx_memcpy(p, told->names, told->len);

    for (i = 0; i < told->n; i++) {
        offer[i].agent = agent;
        offer[i].name.len = *p++;
        offer[i].name.data = p;

        p += offer[i].name.len;
    }

    return NGX_OK;
}


static void
ngx_trp_services_free_told(ngx_trp_peer_t *peer)
{
    if (peer->told) {

        if (peer->told->names) {
            ngx_free(peer->told->names);
        }

        ngx_free(peer->told);
        peer->told = NULL;
    }
}


/* 1 if something is left to be done later */

static ngx_uint_t
ngx_trp_services_try(ngx_trp_services_t *services, ngx_trp_agent_t *agent,
    ngx_uint_t *granted)
{
    ngx_uint_t                i, code, same, known, later;
    ngx_trp_offer_t          *offer;
    ngx_trp_service_owner_t   owner;

    *granted = 0;
    known = 0;

    for (i = 0; i < agent->noffers; i++) {
        offer = &agent->offers[i];

        if (offer->service || offer->code == TRP_CODE_NOT_ALLOWED) {
            known = 1;
            continue;
        }

        code = ngx_trp_services_grant(services, offer, &same);

        *granted |= (code == TRP_CODE_NONE);
        known |= same;

        if (!offer->tried || code != offer->code) {
            offer->tried = 1;
            offer->told = 0;
            offer->code = code;

            ngx_trp_services_log(offer);
        }
    }

    if (!known) {

        /* the list is new: what the agent published before is free */

        owner = ngx_trp_services_owner(agent);
        ngx_trp_service_zone_drop_left(services->zone, &owner);
    }

    ngx_trp_services_tell(agent);

    for (i = 0, later = 0; i < agent->noffers; i++) {
        offer = &agent->offers[i];

        later |= (!offer->told || offer->code == TRP_CODE_TAKEN
                  || offer->code == TRP_CODE_LIMIT);
    }

    return later;
}


static ngx_uint_t
ngx_trp_services_grant(ngx_trp_services_t *services, ngx_trp_offer_t *offer,
    ngx_uint_t *same)
{
    ngx_uint_t                code;
    ngx_queue_t              *q;
    ngx_trp_agent_t          *agent, *other;
    ngx_trp_group_t          *group;
    ngx_trp_member_t         *member;
    ngx_trp_service_t        *service;
    ngx_trp_service_owner_t   owner;

    *same = 0;

    agent = offer->agent;
    member = agent->member;
    group = agent->group;
    owner = ngx_trp_services_owner(agent);

    if (!trp_authorized_key_allows_listen(ngx_trp_services_peer(agent)->key,
                                          ngx_trp_str(&offer->name)))
    {
        ngx_trp_service_zone_drop(services->zone, &offer->name, &owner);
        return TRP_CODE_NOT_ALLOWED;
    }

    service = ngx_trp_services_lookup(group, &offer->name);

    if (service && !ngx_queue_empty(&service->offers)) {
        q = ngx_queue_head(&service->offers);
        other = trp_of(ngx_trp_offer_t, queue, q)->agent;

        if (other->member != member) {
            return TRP_CODE_TAKEN;
        }

    } else if (ngx_trp_pair_full(member->usage.services,
                                 member->usage.limits.publish)
               || ngx_trp_pair_full(group->usage.services,
                                    group->usage.limits.publish))
    {
        return TRP_CODE_LIMIT;
    }

    if (service == NULL) {
        service = ngx_trp_services_create(group, &offer->name);
        if (service == NULL) {
            return TRP_CODE_LIMIT;
        }
    }

    code = ngx_trp_service_zone_claim(services->zone, &offer->name, &owner,
                                      same);

    if (code == TRP_CODE_LIMIT && !(offer->tried && offer->code == code)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "no room for \"%V\" in the table of published names, "
                      "write a larger \"trp_relay_zone\"", &offer->name);
    }

    if (code != TRP_CODE_NONE) {
        ngx_trp_services_release(service);
        return code;
    }

    if (ngx_queue_empty(&service->offers)) {
        member->usage.services++;
        group->usage.services++;
    }

    ngx_queue_insert_tail(&service->offers, &offer->queue);
    offer->service = service;

    ngx_trp_services_list(service, ngx_trp_services_peer(agent)->key);

    return TRP_CODE_NONE;
}


/* a service is in the status while somebody publishes it */

static void
ngx_trp_services_list(ngx_trp_service_t *service, trp_authorized_key_t *key)
{
    ngx_str_t        texts[NGX_TRP_SERVICE_KEYS], comment;
    ngx_trp_pair_t  *pair;

    pair = service->group->pair;

    if (service->noffers++ == 0) {
        texts[NGX_TRP_SERVICE_NAME] = service->sn.str;
        texts[NGX_TRP_SERVICE_GROUP] = service->group->sn.str;

        comment.data = (u_char *) key->comment.data;
        comment.len = ngx_min(key->comment.len, TRP_LABEL_MAX);

        ngx_trp_status_open(pair->status, NGX_TRP_STATUS_SERVICE, texts,
                            NGX_TRP_SERVICE_KEYS, &service->status, NULL);
        ngx_trp_status_set(&service->status, NGX_TRP_SERVICE_COMMENT,
                           &comment);
    }

    ngx_trp_services_show(service);
}


static void
ngx_trp_services_unlist(ngx_trp_service_t *service)
{
    service->noffers--;

    ngx_trp_services_show(service);

    if (service->noffers == 0) {
        (void) ngx_trp_status_close(&service->status, 0);
    }
}


static void
ngx_trp_services_show(ngx_trp_service_t *service)
{
    ngx_trp_status_gauge(&service->status, NGX_TRP_SERVICE_AGENTS,
                         service->noffers);
    ngx_trp_status_gauge(&service->status, NGX_TRP_SERVICE_STREAMS,
                         service->streams);
}


static ngx_trp_service_owner_t
ngx_trp_services_owner(ngx_trp_agent_t *agent)
{
    ngx_trp_service_owner_t  owner;

    owner.key = agent->member->public_key;
    owner.group = agent->group->sn.str;
    owner.agent = ngx_crc32_short(agent->name.data, agent->name.len);
    owner.list = agent->list;

    return owner;
}


/* any: they have the same key */

static ngx_trp_peer_t *
ngx_trp_services_peer(ngx_trp_agent_t *agent)
{
    return ngx_queue_data(ngx_queue_head(&agent->peers), ngx_trp_peer_t, all);
}


/* on an idle tunnel, where the frame is not in the middle of another */

static void
ngx_trp_services_tell(ngx_trp_agent_t *agent)
{
    u_char            buf[NGX_TRP_OPEN_MAX];
    ngx_uint_t        i;
    ngx_queue_t      *q;
    ngx_trp_peer_t   *peer;
    ngx_trp_offer_t  *offer;

    peer = NULL;

    for (q = ngx_queue_head(&agent->idle);
         q != ngx_queue_sentinel(&agent->idle);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_trp_peer_t, queue);

        if (!peer->tunnel->busy && !peer->tunnel->failed) {
            break;
        }
    }

    if (q == ngx_queue_sentinel(&agent->idle)) {
        return;
    }

    for (i = 0; i < agent->noffers; i++) {
        offer = &agent->offers[i];

        if (!offer->told) {
            offer->told = 1;

            ngx_trp_tunnel_send_frame(peer->tunnel, buf,
                                      trp_published_put(buf,
                                                  (uint8_t) offer->code,
                                                  ngx_trp_str(&offer->name)));
        }
    }
}


static void
ngx_trp_services_log(ngx_trp_offer_t *offer)
{
    const char       *why;
    ngx_log_t        *log;
    ngx_trp_peer_t   *peer;
    ngx_trp_agent_t  *agent;

    agent = offer->agent;
    peer = ngx_trp_services_peer(agent);
    log = peer->tunnel->connection->log;

    if (offer->code == TRP_CODE_NONE) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "%s publishes \"%V\", group: \"%V\"",
                      ngx_trp_peer_text(peer).data, &offer->name,
                      &agent->group->sn.str);
        return;
    }

    why = (offer->code == TRP_CODE_NOT_ALLOWED)
          ? "\"permitlisten\" of its key does not have it"
          : (offer->code == TRP_CODE_TAKEN)
            ? "another key or another group has it" : "over the limit";

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "%s may not publish \"%V\": %s, group: \"%V\"",
                  ngx_trp_peer_text(peer).data, &offer->name, why,
                  &agent->group->sn.str);
}


static void
ngx_trp_services_pend(ngx_trp_services_t *services, ngx_trp_agent_t *agent)
{
    if (!agent->pending) {
        agent->pending = 1;
        ngx_queue_insert_tail(&services->pending, &agent->pend);
    }

    if (!services->event.timer_set) {
        ngx_add_timer(&services->event, NGX_TRP_SERVICES_TIME);
    }
}


static void
ngx_trp_services_handler(ngx_event_t *ev)
{
    ngx_uint_t           granted;
    ngx_queue_t         *q, *next;
    ngx_trp_agent_t     *agent;
    ngx_trp_services_t  *services;

    services = ev->data;

    if (ngx_exiting) {
        return;
    }

    for (q = ngx_queue_head(&services->pending);
         q != ngx_queue_sentinel(&services->pending);
         q = next)
    {
        next = ngx_queue_next(q);
        agent = ngx_queue_data(q, ngx_trp_agent_t, pend);

        if (!ngx_trp_services_try(services, agent, &granted)) {
            ngx_queue_remove(&agent->pend);
            agent->pending = 0;
        }

        /* a service that nobody had published has no streams that wait */
    }

    if (!ngx_queue_empty(&services->pending)) {
        ngx_add_timer(ev, NGX_TRP_SERVICES_TIME);
    }
}


void
ngx_trp_services_leave(ngx_trp_services_t *services, ngx_trp_peer_t *peer)
{
    ngx_trp_services_free_told(peer);

    if (peer->agent && peer->agent->tunnels == 1) {
        ngx_trp_services_withdraw(services, peer->agent);
    }
}


void
ngx_trp_services_withdraw(ngx_trp_services_t *services,
    ngx_trp_agent_t *agent)
{
    ngx_uint_t                i;
    ngx_trp_offer_t          *offer;
    ngx_trp_service_t        *service;
    ngx_trp_service_owner_t   owner;

    if (agent->offers == NULL) {
        return;
    }

    owner = ngx_trp_services_owner(agent);

    for (i = 0; i < agent->noffers; i++) {
        offer = &agent->offers[i];
        service = offer->service;

        if (service == NULL) {
            continue;
        }

        ngx_queue_remove(&offer->queue);
        ngx_trp_services_unlist(service);

        if (ngx_queue_empty(&service->offers)) {
            agent->member->usage.services--;
            agent->group->usage.services--;

            ngx_trp_service_zone_leave(services->zone, &offer->name, &owner);

            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "\"%V\" has no publisher any more, the last one was "
                          "reverse \"%V\", group: \"%V\"", &offer->name,
                          &agent->name, &agent->group->sn.str);
        }

        ngx_trp_services_release(service);
    }

    if (agent->pending) {
        ngx_queue_remove(&agent->pend);
        agent->pending = 0;
    }

    ngx_free(agent->offers);
    agent->offers = NULL;
    agent->noffers = 0;
}


ngx_trp_service_t *
ngx_trp_services_get(ngx_trp_services_t *services, ngx_trp_group_t *group,
    const ngx_str_t *name)
{
    ngx_trp_service_t        *service;
    ngx_trp_service_group_t   owner;

    service = ngx_trp_services_lookup(group, name);

    if (service == NULL || ngx_queue_empty(&service->offers)) {

        /* after a reload, publishers may be on their way to this worker */

        if (ngx_trp_service_zone_find(services->zone, name, &owner) != NGX_OK
            || owner.len != group->sn.str.len
            || ngx_memcmp(owner.data, group->sn.str.data, owner.len) != 0)
        {
            return NULL;
        }
    }

    if (service == NULL) {
        service = ngx_trp_services_create(group, name);
        if (service == NULL) {
            return NULL;
        }
    }

    service->streams++;

    ngx_trp_status_count(&service->status, NGX_TRP_SERVICE_OPENED, 1);
    ngx_trp_services_show(service);

    return service;
}


void
ngx_trp_services_put(ngx_trp_service_t *service)
{
    service->streams--;
    ngx_trp_services_show(service);

    ngx_trp_services_release(service);
}


static ngx_trp_service_t *
ngx_trp_services_lookup(ngx_trp_group_t *group, const ngx_str_t *name)
{
    return (ngx_trp_service_t *)
           ngx_str_rbtree_lookup(&group->services, (ngx_str_t *) name,
                                 ngx_crc32_short(name->data, name->len));
}


static ngx_trp_service_t *
ngx_trp_services_create(ngx_trp_group_t *group, const ngx_str_t *name)
{
    ngx_trp_service_t  *service;

    service = ngx_calloc(sizeof(ngx_trp_service_t) + name->len,
                         ngx_cycle->log);
    if (service == NULL) {
        return NULL;
    }

    service->group = group;
    ngx_queue_init(&service->offers);
    ngx_trp_status_none(group->pair->status, &service->status);

    service->sn.node.key = ngx_crc32_short(name->data, name->len);
    service->sn.str.len = name->len;
    service->sn.str.data = (u_char *) (service + 1);
    ngx_memcpy(service->sn.str.data, name->data, name->len);

    ngx_rbtree_insert(&group->services, &service->sn.node);

    return service;
}


/* unless somebody needs it */

static void
ngx_trp_services_release(ngx_trp_service_t *service)
{
    if (service->streams == 0 && ngx_queue_empty(&service->offers)) {
        ngx_rbtree_delete(&service->group->services, &service->sn.node);
        ngx_free(service);
    }
}
