
/*
 * Copyright (C) the trp authors
 */


/*
 * Forwards a stream's frames.  OPEN is kept until there is a reverse, with what
 * the entry sends meanwhile; from then on both tunnels are read into one buffer
 * of the worker, and runs of frames are written unchanged.
 */


#include "relay/ngx_trp_joint.h"
#include "base/ngx_trp_addr.h"
#include "relay/ngx_trp_bandwidth.h"
#include "relay/ngx_trp_choice.h"
#include "relay/ngx_trp_groups.h"
#include "relay/ngx_trp_pair.h"
#include "relay/ngx_trp_presence.h"
#include "relay/ngx_trp_services.h"
#include "relay/ngx_trp_session.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"
#include "tunnel/trp_publish.h"


/* bytes of frames in the scratch that belong together */

typedef struct {
    u_char  *start;
    u_char  *last;
} ngx_trp_run_t;


static ngx_int_t ngx_trp_joint_copy_open(ngx_trp_joint_t *joint, u_char *p,
    size_t len);
static ngx_int_t ngx_trp_joint_set_service(ngx_trp_joint_t *joint);
static void ngx_trp_joint_found(ngx_trp_seeker_t *seeker,
    ngx_trp_peer_t *reverse);
static void ngx_trp_joint_connect(ngx_trp_joint_t *joint,
    ngx_trp_peer_t *reverse);
static void ngx_trp_joint_wait(ngx_trp_joint_t *joint, ngx_msec_t timeout);
static void ngx_trp_joint_timeout(ngx_event_t *ev);
static void ngx_trp_joint_absent(ngx_trp_seeker_t *seeker);
static ngx_uint_t ngx_trp_joint_other_binary(void);
static ngx_uint_t ngx_trp_joint_alive(ngx_pid_t pid);
static void ngx_trp_joint_unthrottle(ngx_trp_peer_t *peer);
static ngx_uint_t ngx_trp_joint_blocked(ngx_trp_peer_t *peer);
static ngx_int_t ngx_trp_joint_process(ngx_trp_peer_t *peer, u_char *p,
    u_char *last);
static ngx_int_t ngx_trp_joint_header(ngx_trp_peer_t *peer,
    ngx_trp_run_t *run, u_char *p);
static void ngx_trp_joint_add(ngx_trp_peer_t *peer, ngx_trp_run_t *run,
    u_char *p, size_t size);
static void ngx_trp_joint_partial(ngx_trp_peer_t *peer, ngx_trp_run_t *run);
static void ngx_trp_joint_flush(ngx_trp_peer_t *peer, ngx_trp_run_t *run);
static void ngx_trp_joint_early(ngx_trp_joint_t *joint, u_char *p,
    size_t size);
static void ngx_trp_joint_count(ngx_trp_peer_t *peer, size_t size);
static void ngx_trp_joint_refused(ngx_trp_peer_t *peer, trp_frame_t *frame);
static void ngx_trp_joint_count_refusal(ngx_trp_peer_t *peer,
    trp_refuse_t *refuse);
static void ngx_trp_joint_close(ngx_trp_joint_t *joint);
static void ngx_trp_joint_log_abort(ngx_trp_joint_t *joint);


ngx_trp_joint_t *
ngx_trp_joint_create(ngx_trp_peer_t *entry, trp_frame_t *frame)
{
    ngx_pool_t       *pool;
    ngx_time_t       *tp;
    ngx_trp_joint_t  *joint;

    pool = ngx_create_pool(1024, entry->tunnel->connection->log);
    if (pool == NULL) {
        return NULL;
    }

    joint = ngx_pcalloc(pool, sizeof(ngx_trp_joint_t));
    if (joint == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    joint->pool = pool;
    joint->group = entry->agent->group->sn.str;

    if (ngx_trp_joint_copy_open(joint, entry->tunnel->reader.buf, frame->len)
        != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    tp = ngx_timeofday();

    joint->start_sec = tp->sec;
    joint->start_msec = tp->msec;
    joint->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    joint->timer.data = joint;
    joint->timer.handler = ngx_trp_joint_timeout;
    joint->timer.log = pool->log;

    joint->seeker.group = entry->agent->group;
    joint->seeker.id = joint->open.id;
    joint->seeker.found = ngx_trp_joint_found;
    joint->seeker.absent = (entry->near == 2) ? ngx_trp_joint_absent : NULL;

    joint->entry = entry;
    entry->joint = joint;

    return joint;
}


static ngx_int_t
ngx_trp_joint_copy_open(ngx_trp_joint_t *joint, u_char *p, size_t len)
{
    u_char      *text;
    trp_open_t  *open;

    joint->frame_len = TRP_HEADER_LEN + len;
    joint->frame = ngx_pnalloc(joint->pool, joint->frame_len);
    text = ngx_pnalloc(joint->pool, TRP_ADDR_TEXT_LEN);

    if (joint->frame == NULL || text == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(trp_header_put(joint->frame, TRP_OPEN, len), p, len);

    open = &joint->open;

    if (trp_open_get(open, joint->frame + TRP_HEADER_LEN, len) != TRP_OK) {
        return NGX_ERROR;
    }

    joint->name.len = open->name.len;
    joint->name.data = (u_char *) open->name.data;

    if (open->proto == TRP_PROTO_PUBLISHED) {
        return ngx_trp_joint_set_service(joint);
    }

    if (open->addr.family) {
        joint->host.len = trp_addr_text(text, &open->addr);
        joint->host.data = text;

    } else {
        joint->host.len = open->host.len;
        joint->host.data = (u_char *) open->host.data;
    }

    joint->destination = ngx_trp_host_port(joint->pool, &joint->host,
                                           open->port);

    return joint->destination.data ? NGX_OK : NGX_ERROR;
}


/* the destination is the name of a service, in lower case */

static ngx_int_t
ngx_trp_joint_set_service(ngx_trp_joint_t *joint)
{
    u_char      *p;
    trp_open_t  *open;

    open = &joint->open;

    p = ngx_pnalloc(joint->pool, ngx_max(open->host.len, NGX_INT_T_LEN));
    if (p == NULL) {
        return NGX_ERROR;
    }

    joint->host.data = p;
    joint->host.len = open->addr.family
                      ? (size_t) (ngx_sprintf(p, "%d", (int) open->port) - p)
                      : trp_service_copy(p, open->host);

    joint->destination = joint->host;

    return NGX_OK;
}


void
ngx_trp_joint_pair(ngx_trp_joint_t *joint, ngx_msec_t timeout)
{
    ngx_trp_peer_t  *reverse;

    reverse = ngx_trp_choice_take(&joint->seeker);

    if (reverse) {
        ngx_trp_joint_connect(joint, reverse);
        return;
    }

    if (joint->entry->agent->group->nreverses == 0
        && ngx_trp_joint_elsewhere(joint))
    {
        ngx_log_error(NGX_LOG_INFO, joint->pool->log, 0,
                      "no reverse in group \"%V\" for \"%V\", the entry may "
                      "ask another relay, %s, stream: %s",
                      &joint->group, &joint->destination,
                      ngx_trp_peer_text(joint->entry).data,
                      ngx_trp_id_text(joint->open.id).data);

        ngx_trp_joint_refuse(joint, TRP_CODE_NO_AGENT, "no reverse was there",
                             1);
        return;
    }

    if (joint->seeker.absent && joint->seeker.group->absent) {
        ngx_trp_joint_absent(&joint->seeker);
        return;
    }

    ngx_trp_pair_wait(&joint->seeker);

    ngx_trp_joint_wait(joint, timeout);
}


static void
ngx_trp_joint_absent(ngx_trp_seeker_t *seeker)
{
    ngx_trp_joint_refuse(trp_of(ngx_trp_joint_t, seeker, seeker),
                         TRP_CODE_NO_AGENT, "no reverse was there", 0);
}


ngx_uint_t
ngx_trp_joint_elsewhere(ngx_trp_joint_t *joint)
{
    return (joint->open.flags & TRP_OPEN_ELSEWHERE) && joint->open.retries;
}


/* in two parts: after the first one any reverse will do */

static void
ngx_trp_joint_wait(ngx_trp_joint_t *joint, ngx_msec_t timeout)
{
    ngx_msec_t  patience;

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, joint->pool->log, 0,
                   "trp stream %s waits for a reverse of group \"%V\", "
                   "reverses: %ui", ngx_trp_id_text(joint->open.id).data,
                   &joint->group, joint->entry->agent->group->nreverses);

    patience = ngx_min(timeout / 2, NGX_TRP_PAIR_PATIENCE);

    joint->left = timeout - patience;

    ngx_add_timer(&joint->timer, patience);
}


static void
ngx_trp_joint_timeout(ngx_event_t *ev)
{
    ngx_uint_t        there;
    ngx_trp_pair_t   *pair;
    ngx_trp_peer_t   *entry, *reverse;
    ngx_trp_joint_t  *joint;

    joint = ev->data;
    entry = joint->entry;

    if (joint->left) {
        joint->seeker.impatient = 1;
        reverse = ngx_trp_choice_take(&joint->seeker);

        if (reverse) {
            ngx_trp_pair_unwait(&joint->seeker);
            ngx_trp_joint_connect(joint, reverse);
            return;
        }

        if (entry->agent->group->nreverses == 0
            && ngx_trp_joint_other_binary())
        {
            ngx_trp_joint_refuse_draining(joint, "may have the reverse");
            return;
        }

        ngx_add_timer(ev, joint->left);
        joint->left = 0;

        return;
    }

    pair = entry->agent->group->pair;
    there = entry->agent->group->nreverses;

    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT,
                  "no reverse in group \"%V\" was %s for \"%V\"%s, %s, "
                  "stream: %s", &joint->group, there ? "free" : "there",
                  &joint->destination,
                  there ? (u_char *) "" : ngx_trp_groups_text(pair).data,
                  ngx_trp_peer_text(entry).data,
                  ngx_trp_id_text(joint->open.id).data);

    ngx_trp_joint_refuse(joint, TRP_CODE_NO_AGENT,
                         there ? "no reverse was free" : "no reverse was there",
                         ngx_trp_joint_elsewhere(joint));
}


/*
 * During a binary upgrade, workers of two masters accept from the same sockets:
 * an entry that dials again may reach one of the other master's.
 */

static ngx_uint_t
ngx_trp_joint_other_binary(void)
{
    return (ngx_inherited && ngx_trp_joint_alive(ngx_parent))
           || (ngx_new_binary && ngx_trp_joint_alive(ngx_new_binary));
}


static ngx_uint_t
ngx_trp_joint_alive(ngx_pid_t pid)
{
    return kill(pid, 0) == 0 || ngx_errno == EPERM;
}


void
ngx_trp_joint_refuse_draining(ngx_trp_joint_t *joint, const char *why)
{
    ngx_log_error(NGX_LOG_INFO, joint->pool->log, 0,
                  "another worker %s, \"%V\" may be opened there, "
                  "group: \"%V\", %s, stream: %s",
                  why, &joint->destination, &joint->group,
                  ngx_trp_peer_text(joint->entry).data,
                  ngx_trp_id_text(joint->open.id).data);

    ngx_trp_joint_refuse(joint, TRP_CODE_DRAINING, NULL, 1);
}


static void
ngx_trp_joint_found(ngx_trp_seeker_t *seeker, ngx_trp_peer_t *reverse)
{
    ngx_trp_joint_connect(trp_of(ngx_trp_joint_t, seeker, seeker), reverse);
}


ngx_uint_t
ngx_trp_joint_waits(ngx_trp_peer_t *peer)
{
    return peer->joint && peer->joint->seeker.waiting;
}


/* OPEN goes to the reverse */

static void
ngx_trp_joint_connect(ngx_trp_joint_t *joint, ngx_trp_peer_t *reverse)
{
    ngx_trp_peer_t    *entry;
    ngx_trp_tunnel_t  *t;

    if (joint->timer.timer_set) {
        ngx_del_timer(&joint->timer);
    }

    entry = joint->entry;

    joint->reverse = reverse;
    reverse->joint = joint;
    reverse->other = entry;
    entry->other = reverse;

    ngx_trp_pair_busy(reverse);

    t = reverse->tunnel;

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, joint->pool->log, 0,
                   "trp stream %s is paired: %s, tunnel *%uA of %s",
                   ngx_trp_id_text(joint->open.id).data,
                   ngx_trp_peer_text(entry).data, t->connection->number,
                   ngx_trp_peer_text(reverse).data);

    trp_open_set_spare(&joint->open, joint->frame + TRP_HEADER_LEN,
                       ngx_trp_pair_spare(reverse->agent));

    ngx_trp_tunnel_send_frame(t, joint->frame,
                              joint->frame + joint->frame_len);

    if (joint->early_len) {
        ngx_trp_tunnel_forward(t, joint->early, joint->early_len);

        (void) ngx_trp_tunnel_sent(t, TRP_DATA, joint->early_data);

        if (joint->up) {
            (void) ngx_trp_tunnel_sent(t, TRP_END, 0);
        }
    }

    ngx_trp_tunnel_expect(t);

    t->doubt.partial = (entry->tunnel->reader.left != 0);

    if (joint->early) {
        ngx_free(joint->early);
        joint->early = NULL;
    }

    ngx_trp_joint_unthrottle(entry);
}


void
ngx_trp_joint_refuse(ngx_trp_joint_t *joint, ngx_uint_t code, const char *why,
    ngx_uint_t retry)
{
    trp_refuse_t     refuse;
    ngx_trp_peer_t  *entry;

    entry = joint->entry;

    ngx_memzero(&refuse, sizeof(trp_refuse_t));

    refuse.code = (uint8_t) code;
    refuse.retry = (uint8_t) retry;

    if (why) {
        refuse.text.len = ngx_strlen(why);
        refuse.text.data = (u_char *) why;
    }

    joint->code = code;
    joint->retried = retry;

    ngx_trp_pair_unwait(&joint->seeker);

    ngx_trp_tunnel_abandon(entry->tunnel, &refuse, 1);
    ngx_trp_joint_leave(entry, 0);
}


void
ngx_trp_joint_readable(ngx_trp_peer_t *peer, u_char *scratch)
{
    u_char   *p;
    ssize_t   n;

    p = scratch + TRP_HEADER_LEN;

    for ( ;; ) {

        if (ngx_trp_joint_blocked(peer)) {
            peer->throttled = 1;
            return;
        }

        n = ngx_trp_tunnel_recv(peer->tunnel, p,
                                NGX_TRP_SCRATCH_SIZE - TRP_HEADER_LEN);

        if (n == NGX_AGAIN || n == NGX_ERROR) {
            return;
        }

        if (ngx_trp_joint_process(peer, p, p + n) != NGX_OK) {
            return;
        }
    }
}


/* TCP's backpressure: nothing is read that could not be written */

static ngx_uint_t
ngx_trp_joint_blocked(ngx_trp_peer_t *peer)
{
    if (peer->other) {
        return peer->other->tunnel->blocked;
    }

    return ngx_trp_joint_waits(peer)
           && peer->joint->early_len > NGX_TRP_EARLY_MAX;
}


void
ngx_trp_joint_writable(ngx_trp_peer_t *peer)
{
    if (peer->other) {
        ngx_trp_joint_unthrottle(peer->other);
    }
}


/* data left unread causes no event of its own */

static void
ngx_trp_joint_unthrottle(ngx_trp_peer_t *peer)
{
    if (peer->throttled) {
        peer->throttled = 0;
        ngx_post_event(peer->tunnel->connection->read, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_trp_joint_process(ngx_trp_peer_t *peer, u_char *p, u_char *last)
{
    int                rc;
    u_char            *dst;
    size_t             n, size;
    ngx_trp_run_t      run;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    run.start = NULL;
    run.last = NULL;

    while (p < last) {

        if (t->reader.left) {
            n = ngx_min(t->reader.left, (size_t) (last - p));

            trp_reader_take(&t->reader, n);
            ngx_trp_joint_count(peer, n);
            ngx_trp_joint_add(peer, &run, p, n);

            p += n;

            if (peer->other) {
                ngx_trp_joint_partial(peer, &run);
            }

            continue;
        }

        dst = ngx_trp_tunnel_space(t, &size);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        n = ngx_min(size, (size_t) (last - p));

        ngx_memcpy(dst, p, n);
        p += n;

        rc = trp_reader_commit(&t->reader, n);

        if (rc == TRP_AGAIN) {
            continue;
        }

        if (rc == TRP_ERROR) {
            ngx_trp_joint_flush(peer, &run);
            ngx_trp_tunnel_invalid(t);
            return NGX_ERROR;
        }

        if (ngx_trp_joint_header(peer, &run, p) != NGX_OK) {
            ngx_trp_joint_flush(peer, &run);
            return NGX_ERROR;
        }

        if (peer->other && t->reader.left) {
            peer->other->tunnel->doubt.partial = 1;
        }
    }

    ngx_trp_joint_flush(peer, &run);

    return NGX_OK;
}


/* DATA begins after p, or a control frame is complete before it */

static ngx_int_t
ngx_trp_joint_header(ngx_trp_peer_t *peer, ngx_trp_run_t *run, u_char *p)
{
    ngx_int_t          rc;
    trp_frame_t       *frame;
    ngx_trp_peer_t    *other;
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;
    frame = &t->reader.frame;
    other = peer->other;

    switch (frame->type) {

    case TRP_DATA:
    case TRP_ACCEPT:
    case TRP_END:
    case TRP_RESET:
    case TRP_DONE:
        break;

    default:
        ngx_trp_joint_flush(peer, run);
        return (ngx_trp_tunnel_frame(t, frame) == NGX_ERROR) ? NGX_ERROR
                                                             : NGX_OK;
    }

    rc = ngx_trp_tunnel_frame(t, frame);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || t->abandoned || peer->joint == NULL
        || (other == NULL && frame->type != TRP_DATA
            && frame->type != TRP_END))
    {
        return NGX_OK;
    }

    if (other == NULL) {
        peer->joint->early_data += frame->len;

    } else if (ngx_trp_tunnel_sent(other->tunnel, frame->type, frame->len)
               != NGX_OK)
    {
        return NGX_OK;
    }

    /*
     * a header that came in two pieces is put together in front of what came
     * with the second one
     */

    trp_header_put(p - TRP_HEADER_LEN, frame->type, frame->len);
    ngx_trp_joint_add(peer, run, p - TRP_HEADER_LEN, TRP_HEADER_LEN);

    return NGX_OK;
}


static void
ngx_trp_joint_add(ngx_trp_peer_t *peer, ngx_trp_run_t *run, u_char *p,
    size_t size)
{
    if (peer->tunnel->abandoned || peer->joint == NULL) {
        return;
    }

    if (run->last != p) {
        ngx_trp_joint_flush(peer, run);
        run->start = p;
    }

    run->last = p + size;
}


/* a frame goes on, or is complete: the relay's own frames may follow it */

static void
ngx_trp_joint_partial(ngx_trp_peer_t *peer, ngx_trp_run_t *run)
{
    ngx_trp_tunnel_doubt_t  *doubt;

    doubt = &peer->other->tunnel->doubt;

    doubt->partial = (peer->tunnel->reader.left != 0);

    if (doubt->confirm && !doubt->partial) {
        ngx_trp_joint_flush(peer, run);
        ngx_trp_tunnel_confirm(peer->other->tunnel);
    }
}


static void
ngx_trp_joint_flush(ngx_trp_peer_t *peer, ngx_trp_run_t *run)
{
    size_t  size;

    size = run->last - run->start;

    if (size && peer->joint && !peer->tunnel->abandoned) {

        if (peer->other) {
            ngx_trp_tunnel_forward(peer->other->tunnel, run->start, size);

        } else {
            ngx_trp_joint_early(peer->joint, run->start, size);
        }
    }

    run->start = NULL;
    run->last = NULL;
}


static void
ngx_trp_joint_early(ngx_trp_joint_t *joint, u_char *p, size_t size)
{
    u_char  *early;

    early = ngx_alloc(joint->early_len + size, joint->pool->log);

    if (early == NULL) {
        ngx_trp_tunnel_lose(joint->entry->tunnel, "no memory");
        return;
    }

    if (joint->early) {
        ngx_memcpy(early, joint->early, joint->early_len);
        ngx_free(joint->early);
    }

    ngx_memcpy(early + joint->early_len, p, size);

    joint->early = early;
    joint->early_len += size;
}


static void
ngx_trp_joint_count(ngx_trp_peer_t *peer, size_t size)
{
    ngx_trp_tunnel_t  *t;

    t = peer->tunnel;

    if (t->abandoned || peer->joint == NULL) {
        t->dropped += size;

        if (t->dropped > NGX_TRP_LINGER_SIZE) {
            ngx_log_error(NGX_LOG_INFO, t->connection->log, 0,
                          "tunnel carries too much of an abandoned stream");
            ngx_trp_tunnel_lose(t, "too much of an abandoned stream");
        }

        return;
    }

    if (peer == peer->joint->entry) {
        peer->joint->received += size;

    } else {
        peer->joint->sent += size;
    }
}


void
ngx_trp_joint_frame(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    ngx_trp_joint_t  *joint;

    joint = peer->joint;

    if (joint == NULL) {
        return;
    }

    switch (frame->type) {

    case TRP_ACCEPT:
        joint->accepted = 1;
        ngx_trp_choice_accepted(peer->agent);
        ngx_trp_tunnel_confirm(peer->tunnel);
        ngx_trp_bandwidth_start(peer->other, peer);
        break;

    case TRP_REFUSE:
        ngx_trp_joint_refused(peer, frame);
        break;

    case TRP_END:
        if (peer == joint->entry) {
            joint->up = 1;

        } else {
            joint->down = 1;
        }

        break;

    case TRP_RESET:
        if (joint->why == NULL && joint->code == TRP_CODE_NONE) {
            joint->why = (peer == joint->entry) ? "reset by the entry"
                                                : "reset by the reverse";
        }

        if (joint->seeker.waiting) {

            /* the user is gone, and the reverse no longer needed */
            ngx_trp_joint_refuse(joint, TRP_CODE_FAILED, NULL, 0);
        }
    }
}


static void
ngx_trp_joint_refused(ngx_trp_peer_t *peer, trp_frame_t *frame)
{
    u_char            buf[NGX_TRP_OPEN_MAX];
    trp_refuse_t      refuse;
    ngx_trp_joint_t  *joint;

    joint = peer->joint;

    if (trp_refuse_get(&refuse, peer->tunnel->reader.buf, frame->len) != TRP_OK)
    {
        refuse.code = TRP_CODE_FAILED;
        refuse.retry = 1;
        refuse.text.len = 0;
    }

    if (joint->why == NULL) {
        ngx_trp_joint_count_refusal(peer, &refuse);
    }

    /* else the entry has given it up, and this is the answer to that */

    if (peer->other) {
        ngx_trp_tunnel_send_frame(peer->other->tunnel, buf,
                                  trp_refuse_put(buf, TRP_REFUSE, &refuse));
    }
}


static void
ngx_trp_joint_count_refusal(ngx_trp_peer_t *peer, trp_refuse_t *refuse)
{
    ngx_trp_joint_t  *joint;

    joint = peer->joint;

    refuse->retry &= ngx_trp_choice_refused(peer->agent, &joint->seeker,
                                            refuse->code);
    refuse->retry &= (joint->open.retries != 0);

    joint->code = refuse->code;
    joint->retried = refuse->retry;

    ngx_trp_presence_refusal(peer->agent, refuse->code);

    ngx_log_error(NGX_LOG_INFO, peer->tunnel->connection->log, 0,
                  "%s refused \"%V\": %s%s, group: \"%V\", %s, stream: %s",
                  ngx_trp_peer_text(peer).data, &joint->destination,
                  trp_code_text(refuse->code),
                  refuse->retry ? ", another one may not" : "",
                  &joint->group, ngx_trp_peer_text(joint->entry).data,
                  ngx_trp_id_text(joint->open.id).data);
}


void
ngx_trp_joint_silent(ngx_trp_peer_t *peer, ngx_uint_t safe)
{
    ngx_log_t        *log;
    ngx_trp_joint_t  *joint;

    joint = peer->joint;

    if (joint == NULL || peer != joint->reverse
        || ngx_trp_pair_silent(peer, &joint->seeker) != NGX_OK)
    {
        return;
    }

    log = peer->tunnel->connection->log;

    if (!safe || joint->open.retries == 0) {

        if (!joint->silent) {
            ngx_log_error(NGX_LOG_INFO, log, NGX_ETIMEDOUT,
                          "%s does not answer, \"%V\" %s, group: \"%V\", "
                          "stream: %s", ngx_trp_peer_text(peer).data,
                          &joint->destination,
                          safe ? "was opened often enough"
                               : "may have been opened",
                          &joint->group, ngx_trp_id_text(joint->open.id).data);
        }

        joint->silent = 1;

        return;
    }

    ngx_log_error(NGX_LOG_INFO, log, NGX_ETIMEDOUT,
                  "%s does not answer, \"%V\" may be opened by another one, "
                  "group: \"%V\", stream: %s", ngx_trp_peer_text(peer).data,
                  &joint->destination, &joint->group,
                  ngx_trp_id_text(joint->open.id).data);

    if (joint->why == NULL) {
        joint->why = "the reverse did not answer";
    }

    ngx_trp_tunnel_forsake(peer->tunnel);
}


void
ngx_trp_joint_leave(ngx_trp_peer_t *peer, ngx_uint_t gone)
{
    trp_refuse_t      refuse;
    ngx_trp_peer_t   *other;
    ngx_trp_joint_t  *joint;

    joint = peer->joint;
    other = peer->other;

    if (joint == NULL) {
        return;
    }

    peer->joint = NULL;
    peer->other = NULL;

    ngx_trp_joint_unthrottle(peer);
    ngx_trp_bandwidth_stop(peer);

    if (gone && joint->why == NULL && joint->code == TRP_CODE_NONE) {
        joint->why = (peer == joint->entry) ? "tunnel of the entry was lost"
                                            : "tunnel of the reverse was lost";
    }

    if (gone && peer == joint->entry && joint->accepted) {
        trp_recent_add(&peer->agent->group->lost, joint->open.id);
    }

    if (other) {
        ngx_trp_pair_free(joint->reverse);

        ngx_trp_joint_unthrottle(other);
        ngx_trp_bandwidth_stop(other);

        other->joint = NULL;
        other->other = NULL;
    }

    if (other && gone) {

        if (peer->tunnel->reader.left) {

            /* a frame that was half passed on cannot be taken back */
            ngx_trp_tunnel_lose(other->tunnel,
                                "the other tunnel of its stream was lost");

        } else if (other == joint->entry && !joint->accepted) {
            ngx_memzero(&refuse, sizeof(trp_refuse_t));

            refuse.code = TRP_CODE_FAILED;
            refuse.retry = !peer->tunnel->doubt.unsafe;

            joint->retried = refuse.retry;
            joint->code = TRP_CODE_FAILED;

            (void) ngx_trp_choice_refused(peer->agent, &joint->seeker,
                                          TRP_CODE_NONE);

            ngx_trp_tunnel_abandon(other->tunnel, &refuse, 1);

        } else {
            ngx_trp_tunnel_abandon(other->tunnel, NULL,
                                   !joint->up || !joint->down);
        }
    }

    ngx_trp_joint_close(joint);

    if (other && !gone) {

        /* both are over at once: the next OPEN may follow this end */
        ngx_trp_tunnel_settle(other->tunnel);
    }
}


static void
ngx_trp_joint_close(ngx_trp_joint_t *joint)
{
    if (joint->timer.timer_set) {
        ngx_del_timer(&joint->timer);
    }

    ngx_trp_pair_unwait(&joint->seeker);

    if (joint->seeker.service) {
        ngx_trp_services_put(joint->seeker.service);
    }

    if (joint->early) {
        ngx_free(joint->early);
    }

    ngx_log_debug7(NGX_LOG_DEBUG_STREAM, joint->pool->log, 0,
                   "trp stream %s is over: %s%s, ends: %ui of the entry, "
                   "%ui of the reverse, bytes: %O from the entry, %O to it",
                   ngx_trp_id_text(joint->open.id).data,
                   trp_code_text(joint->code),
                   joint->retried ? ", may be opened again" : "",
                   (ngx_uint_t) joint->up, (ngx_uint_t) joint->down,
                   joint->received, joint->sent);

    if (joint->why && (!joint->up || !joint->down)) {
        ngx_trp_joint_log_abort(joint);
    }

    if (!joint->retried && !joint->entry->near) {

        /* a user of this nginx has a session that is logged */

        ngx_trp_session_log(joint);
    }

    if (joint->code != TRP_CODE_NONE && !joint->retried
        && (joint->why == NULL || joint->reverse))
    {
        ngx_trp_presence_refused(joint->seeker.group, joint->entry->agent,
                                 joint->code);
    }

    if (joint->opened) {
        joint->entry->agent->busy--;

        ngx_trp_presence_agent(joint->entry->agent);
        ngx_trp_pair_closed(joint->entry->agent->group,
                            joint->entry->agent->member);
    }

    ngx_destroy_pool(joint->pool);
}


static void
ngx_trp_joint_log_abort(ngx_trp_joint_t *joint)
{
    ngx_log_t  *log;

    log = joint->entry->tunnel->connection->log;

    ngx_log_error(NGX_LOG_INFO, log, 0,
                  "stream to \"%V\" was aborted: %s%s, group: \"%V\", %s, %s, "
                  "stream: %s", &joint->destination, joint->why,
                  joint->retried ? ", the entry may open it once more" : "",
                  &joint->group, ngx_trp_peer_text(joint->entry).data,
                  joint->reverse ? ngx_trp_peer_text(joint->reverse).data
                                 : (u_char *) "no reverse yet",
                  ngx_trp_id_text(joint->open.id).data);
}
