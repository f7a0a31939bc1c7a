
/*
 * Copyright (C) the trp authors
 */


/*
 * The users of one allocation, found by their peers; and the peers that it
 * should not be asked to connect to for a while.
 */


#include "turnc/ngx_trp_turnc_user.h"
#include "base/trp_addr.h"


/* TCP's TIME_WAIT, during which two ports cannot be connected again */
#define NGX_TRP_TURNC_TIME_WAIT   60000


static uint64_t ngx_trp_turnc_user_hash(ngx_trp_turnc_alloc_t *a,
    const trp_taddr_t *peer);
static void ngx_trp_turnc_user_debug(ngx_trp_turnc_alloc_t *a,
    ngx_trp_turnc_user_t *user, const char *what);
static ngx_trp_turnc_past_t *ngx_trp_turnc_past_find(
    ngx_trp_turnc_history_t *history, const trp_taddr_t *peer);


void
ngx_trp_turnc_user_join(ngx_trp_turnc_alloc_t *a, ngx_trp_turnc_user_t *user)
{
    trp_assert(user->allocation == NULL && !user->waiting);

    trp_hash_insert(&a->peers, &user->node,
                    ngx_trp_turnc_user_hash(a, &user->peer));
    ngx_queue_insert_tail(&a->users, &user->queue);
    a->nusers++;

    user->allocation = a;
    user->connecting = 0;
    user->connected = 0;

    ngx_trp_turnc_user_debug(a, user, "attached");
}


void
ngx_trp_turnc_user_leave(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_alloc_t  *a;

    a = user->allocation;

    trp_assert(a && a->nusers);

    user->allocation = NULL;

    ngx_queue_remove(&user->queue);
    trp_hash_remove(&a->peers, &user->node);
    a->nusers--;

    if (user->connecting) {
        user->connecting = 0;
        a->nconnecting--;
    }

    ngx_trp_turnc_user_debug(a, user, "detached");
}


static void
ngx_trp_turnc_user_debug(ngx_trp_turnc_alloc_t *a, ngx_trp_turnc_user_t *user,
    const char *what)
{
#if (NGX_DEBUG)
    size_t  len;
    u_char  text[TRP_ADDR_TEXT_LEN];

    len = 0;

    if (a->log.log_level & NGX_LOG_DEBUG_STREAM) {
        len = trp_addr_text(text, &user->peer.addr);
    }

    ngx_log_debug5(NGX_LOG_DEBUG_STREAM, &a->log, 0,
                   "trp turnc: user %s, peer %*s, port %d, %ui now",
                   what, len, text, (int) user->peer.port, a->nusers);
#endif
}


ngx_trp_turnc_user_t *
ngx_trp_turnc_user_find(ngx_trp_turnc_alloc_t *a, const trp_taddr_t *peer)
{
    trp_hash_node_t       *node;
    ngx_trp_turnc_user_t  *user;

    for (node = trp_hash_find(&a->peers, ngx_trp_turnc_user_hash(a, peer));
         node;
         node = trp_hash_next(node))
    {
        user = trp_of(ngx_trp_turnc_user_t, node, node);

        if (trp_taddr_equal(&user->peer, peer)) {
            return user;
        }
    }

    return NULL;
}


static uint64_t
ngx_trp_turnc_user_hash(ngx_trp_turnc_alloc_t *a, const trp_taddr_t *peer)
{
    u_char  key[TRP_TADDR_PACKED_MAX];

    return trp_hash(&a->peers, key, trp_taddr_pack(key, peer) - key);
}


void
ngx_trp_turnc_user_blocked(ngx_trp_turnc_user_t *user)
{
    user->allocation->history.blocked = user->peer;
    user->allocation->history.blocked_time = ngx_current_msec;
}


ngx_uint_t
ngx_trp_turnc_user_is_blocked(ngx_trp_turnc_alloc_t *a,
    const trp_taddr_t *peer)
{
    const ngx_trp_turnc_history_t  *history;

    history = &a->history;

    return history->blocked.addr.family
           && ngx_current_msec - history->blocked_time < NGX_TRP_TURNC_BLOCKED
           && trp_taddr_equal(&history->blocked, peer);
}


void
ngx_trp_turnc_user_past(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_past_t     *past;
    ngx_trp_turnc_history_t  *history;

    history = &user->allocation->history;
    past = ngx_trp_turnc_past_find(history, &user->peer);

    if (past == NULL) {
        past = &history->past[history->npast++ % NGX_TRP_TURNC_PAST];
        past->peer = user->peer;
    }

    past->time = ngx_current_msec;
}


ngx_uint_t
ngx_trp_turnc_user_repeats(ngx_trp_turnc_user_t *user)
{
    ngx_trp_turnc_past_t  *past;

    past = ngx_trp_turnc_past_find(&user->allocation->history, &user->peer);

    return past && ngx_current_msec - past->time < NGX_TRP_TURNC_TIME_WAIT;
}


static ngx_trp_turnc_past_t *
ngx_trp_turnc_past_find(ngx_trp_turnc_history_t *history,
    const trp_taddr_t *peer)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_min(history->npast, NGX_TRP_TURNC_PAST); i++) {
        if (trp_taddr_equal(&history->past[i].peer, peer)) {
            return &history->past[i];
        }
    }

    return NULL;
}


const char *
ngx_trp_turnc_text(ngx_uint_t code)
{
    switch (code) {

    case 0:
        return "connection was lost";

    case TRP_TURNC_TIMEOUT:
        return "no answer";

    case TRP_TURNC_PROTOCOL:
        return "invalid answer";

    case TRP_TURNC_INTEGRITY:
        return "answer is not signed with the password";

    case 300:
        return "try alternate";

    case 400:
        return "bad request";

    case 401:
        return "unauthorized, wrong user name or password";

    case 403:
        return "forbidden";

    case 437:
        return "allocation mismatch";

    case 438:
        return "stale nonce";

    case 440:
        return "address family not supported";

    case 441:
        return "wrong credentials";

    case 442:
        return "unsupported transport protocol";

    case 446:
        return "connection already exists";

    case 447:
        return "connection timeout or failure";

    case 486:
        return "allocation quota reached";

    case 508:
        return "insufficient capacity";
    }

    return "error";
}
