
/*
 * Copyright (C) the trp authors
 */


/*
 * Fronts and carriers find each other by a cleanup in the pool of a session's
 * connection, since no module knows the context of another.  In the same way,
 * fronts detect another front in their server {}.
 */


#include "base/ngx_trp_target.h"


typedef struct {
    void        **srv_conf;
    const char   *front;
} ngx_trp_target_claim_t;


static void ngx_trp_target_cleanup(void *data);
static ngx_trp_target_claim_t *ngx_trp_target_find_claim(ngx_pool_t *pool,
    void **srv_conf);
static void ngx_trp_target_claim_cleanup(void *data);


ngx_int_t
ngx_trp_target_set(ngx_stream_session_t *s, ngx_trp_target_t *target)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(s->connection->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_trp_target_cleanup;
    cln->data = target;

    return NGX_OK;
}


ngx_trp_target_t *
ngx_trp_target_get(ngx_stream_session_t *s)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = s->connection->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_trp_target_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_trp_target_cleanup(void *data)
{
    ngx_trp_target_t  *target = data;

    if (target->front) {
        target->front->closed(target);
    }
}


ngx_int_t
ngx_trp_target_claim(ngx_conf_t *cf, void **srv_conf, const char *front,
    const char **other)
{
    ngx_pool_cleanup_t      *cln;
    ngx_trp_target_claim_t  *claim;

    claim = ngx_trp_target_find_claim(cf->pool, srv_conf);

    if (claim) {
        *other = claim->front;
        return NGX_OK;
    }

    *other = NULL;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_trp_target_claim_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    claim = cln->data;
    claim->srv_conf = srv_conf;
    claim->front = front;

    cln->handler = ngx_trp_target_claim_cleanup;

    return NGX_OK;
}


ngx_uint_t
ngx_trp_target_claims(ngx_conf_t *cf, void **srv_conf)
{
    return ngx_trp_target_find_claim(cf->pool, srv_conf) != NULL;
}


ngx_uint_t
ngx_trp_target_claimed(void **srv_conf)
{
    return ngx_trp_target_find_claim(ngx_cycle->pool, srv_conf) != NULL;
}


static ngx_trp_target_claim_t *
ngx_trp_target_find_claim(ngx_pool_t *pool, void **srv_conf)
{
    ngx_pool_cleanup_t      *cln;
    ngx_trp_target_claim_t  *claim;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        claim = cln->data;

        if (cln->handler == ngx_trp_target_claim_cleanup
            && claim->srv_conf == srv_conf)
        {
            return claim;
        }
    }

    return NULL;
}


/* only marks a claim: all memory is in the pool */

static void
ngx_trp_target_claim_cleanup(void *data)
{
}
