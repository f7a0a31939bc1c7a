
/*
 * Copyright (C) the trp authors
 */


/*
 * Checks AUTH against the authorized keys.  A refusal is one line: a warning,
 * unless the same agent has caused it before, or too many agents are refused.
 */


#include "relay/ngx_trp_refusal.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_key_file.h"
#include "status/ngx_trp_status_kinds.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/trp_auth.h"


/* texts of authorized_keys in a line */
#define NGX_TRP_REFUSAL_TEXT  128


static ngx_int_t ngx_trp_refusal_set(ngx_trp_refusal_t *refusal,
    ngx_uint_t counter, const char *why);
static void ngx_trp_refusal_role(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key);
static void ngx_trp_refusal_expiry(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key);
static uint64_t ngx_trp_refusal_id(const ngx_trp_refusal_t *refusal,
    ngx_trp_peer_t *peer, trp_auth_t *auth);


ngx_int_t
ngx_trp_refusal_check(ngx_trp_refusal_t *refusal, ngx_trp_peer_t *peer,
    trp_auth_t *auth, const ngx_array_t *keys)
{
    u_char                 exporter[TRP_EXPORTER_LEN];
    in_port_t              port;
    trp_addr_t             addr;
    trp_authorized_key_t  *key;

    if (ngx_trp_tunnel_exporter(peer->tunnel, exporter) != NGX_OK) {
        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_PROTOCOL,
                               "TLS connection has no unique exporter value");
    }

    key = ngx_trp_key_find(keys, auth->public_key);

    if (key == NULL) {
        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_KEY,
                                   "key is not in the authorized keys");
    }

    peer->key = key;

    if (trp_auth_verify(auth, peer->nonce, exporter) != TRP_OK) {
        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_SIGNATURE,
                                   "signature is wrong");
    }

    refusal->owner = 1;

    if (auth->version < TRP_VERSION) {
        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_PROTOCOL,
                                   "version is too old");
    }

    if (auth->role != TRP_ROLE_ENTRY && auth->role != TRP_ROLE_REVERSE) {
        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_ROLE,
                                   "role is unknown");
    }

    if (!(key->roles & auth->role)) {
        ngx_trp_refusal_role(refusal, key);

        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_ROLE,
                                   "key is not for this role");
    }

    if (!trp_authorized_key_allows_group(key, auth->group)) {
        refusal->option = "group";
        refusal->value = key->groups;

        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_GROUP,
                                   "key is not for this group");
    }

    if (ngx_trp_refusal_expired(refusal, key) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_trp_addr_from_sockaddr(&addr, &port,
                               peer->tunnel->connection->sockaddr);

    if (!trp_authorized_key_allows_from(key, &addr)) {
        refusal->option = "from";
        refusal->value = key->from;

        return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_ADDRESS,
                                   "key may not be used from this address");
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_refusal_expired(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key)
{
    if (!trp_authorized_key_expired(key, ngx_time())) {
        return NGX_OK;
    }

    refusal->owner = 1;

    ngx_trp_refusal_expiry(refusal, key);

    return ngx_trp_refusal_set(refusal, NGX_TRP_SERVER_REFUSED_EXPIRED,
                               "key has expired");
}


static ngx_int_t
ngx_trp_refusal_set(ngx_trp_refusal_t *refusal, ngx_uint_t counter,
    const char *why)
{
    refusal->counter = counter;
    refusal->why = why;

    return NGX_DECLINED;
}


/* one of the two: it is not for the other */

static void
ngx_trp_refusal_role(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key)
{
    static const trp_str_t  entry = trp_string("entry");
    static const trp_str_t  reverse = trp_string("reverse");

    refusal->option = "role";
    refusal->value = (key->roles & TRP_ROLE_ENTRY) ? entry : reverse;
}


static void
ngx_trp_refusal_expiry(ngx_trp_refusal_t *refusal,
    const trp_authorized_key_t *key)
{
    ngx_tm_t  tm;

    ngx_gmtime((time_t) key->expiry, &tm);

    refusal->option = "expiry-time";
    refusal->value.data = refusal->text;
    refusal->value.len = ngx_snprintf(refusal->text, sizeof(refusal->text),
                                      "%4d%02d%02d%02d%02dZ", tm.ngx_tm_year,
                                      tm.ngx_tm_mon, tm.ngx_tm_mday,
                                      tm.ngx_tm_hour, tm.ngx_tm_min)
                         - refusal->text;
}


void
ngx_trp_refusal_log(const ngx_trp_refusal_t *refusal, ngx_trp_peer_t *peer,
    trp_auth_t *auth, ngx_trp_refusal_logs_t *logs)
{
    char         fingerprint[TRP_FINGERPRINT_LEN];
    uint64_t     id;
    trp_str_t    comment;
    ngx_log_t   *log;
    ngx_uint_t   level;

    id = ngx_trp_refusal_id(refusal, peer, auth);
    log = peer->tunnel->connection->log;

    level = ngx_trp_warnings_level(refusal->owner ? &logs->owners
                                                  : &logs->strangers, id);

    if (auth == NULL) {
        ngx_log_error(level, log, 0, "agent is not authorized: %s",
                      refusal->why);
        return;
    }

    trp_key_fingerprint(fingerprint, auth->public_key);

    ngx_str_null(&comment);

    if (peer->key) {
        comment = peer->key->comment;
    }

    ngx_log_error(level, log, 0,
                  "%s \"%*s\" for group \"%*s\" is not authorized: "
                  "%s%s%s%s%*s%s, key: %s%s%*s%s",
                  (auth->role == TRP_ROLE_REVERSE) ? "reverse" : "entry",
                  auth->name.len, auth->name.data,
                  auth->group.len, auth->group.data, refusal->why,
                  refusal->option ? " (" : "",
                  refusal->option ? refusal->option : "",
                  refusal->option ? "=\"" : "",
                  ngx_min(refusal->value.len, NGX_TRP_REFUSAL_TEXT),
                  refusal->value.data,
                  refusal->option ? "\")" : "", fingerprint,
                  comment.len ? " (" : "",
                  ngx_min(comment.len, TRP_LABEL_MAX), comment.data,
                  comment.len ? ")" : "");
}


/* the same agent from the same address, for the same reason */

static uint64_t
ngx_trp_refusal_id(const ngx_trp_refusal_t *refusal, ngx_trp_peer_t *peer,
    trp_auth_t *auth)
{
    u_char            *p, buf[512];
    ngx_connection_t  *c;

    c = peer->tunnel->connection;

    p = ngx_snprintf(buf, 256, "%s %V ", refusal->why, &c->addr_text);

    if (auth) {
        *p++ = auth->role;
        p = ngx_cpymem(p, auth->public_key, TRP_KEY_PUBLIC_LEN);
        p = ngx_cpymem(p, auth->group.data, auth->group.len);
        *p++ = ' ';
        p = ngx_cpymem(p, auth->name.data, auth->name.len);
    }

    return ngx_trp_warnings_id(buf, p - buf);
}
