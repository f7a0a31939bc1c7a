
/*
 * Copyright (C) the trp authors
 */


/*
 * The ways to a relay, as they are configured.
 */


#include "agent/ngx_trp_way.h"
#include "base/ngx_trp_build.h"
#include "tunnel/trp_ways.h"


#define ngx_trp_way_same(a, b)                                               \
    ((a)->quic == (b)->quic && (a)->turn == (b)->turn                        \
     && (a)->proxy == (b)->proxy && (a)->websocket == (b)->websocket)


static ngx_int_t ngx_trp_way_time(ngx_conf_t *cf, ngx_str_t *value,
    size_t len, ngx_msec_t *time);
static ngx_int_t ngx_trp_way_add(ngx_conf_t *cf, ngx_array_t *ways,
    ngx_str_t *name);
static const char *ngx_trp_way_parts(ngx_trp_way_t *way, ngx_str_t *name);
static ngx_int_t ngx_trp_way_twice(ngx_conf_t *cf, ngx_array_t *ways,
    const char *prefix);
static ngx_int_t ngx_trp_way_only(ngx_conf_t *cf, ngx_array_t **ways,
    const ngx_trp_way_offer_t *offer);
static u_char *ngx_trp_way_part(u_char *p, ngx_uint_t used, const char *part);
static ngx_int_t ngx_trp_way_check(ngx_conf_t *cf, ngx_trp_way_t *way,
    const ngx_trp_way_offer_t *offer);
static void ngx_trp_way_unused(ngx_conf_t *cf, ngx_array_t *ways,
    const ngx_trp_way_offer_t *offer);


ngx_array_t *
ngx_trp_way_parse(ngx_conf_t *cf, ngx_msec_t *probe, ngx_msec_t *hold)
{
    ngx_int_t     rc;
    ngx_str_t    *value;
    ngx_uint_t    i;
    ngx_array_t  *ways;

    ways = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_trp_way_t));
    if (ways == NULL) {
        return NULL;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "probe=", 6) == 0) {
            rc = ngx_trp_way_time(cf, &value[i], 6, probe);

        } else if (ngx_strncmp(value[i].data, "hold=", 5) == 0) {
            rc = ngx_trp_way_time(cf, &value[i], 5, hold);

        } else {
            rc = ngx_trp_way_add(cf, ways, &value[i]);
        }

        if (rc != NGX_OK) {
            return NULL;
        }
    }

    if (ways->nelts == 0 || ways->nelts > TRP_WAYS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has %ui ways, write 1 to %d of them",
                           &value[0], ways->nelts, TRP_WAYS_MAX);
        return NULL;
    }

    return ways;
}


static ngx_int_t
ngx_trp_way_time(ngx_conf_t *cf, ngx_str_t *value, size_t len,
    ngx_msec_t *time)
{
    ngx_int_t   ms;
    ngx_str_t  *name, text;

    name = cf->args->elts;

    text.data = value->data + len;
    text.len = value->len - len;

    ms = ngx_parse_time(&text, 0);

    if (ms < 1 || ms > 86400000 || *time != NGX_CONF_UNSET_MSEC) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\", write "
                           "\"%*sTIME\", up to a day, once", value, name,
                           len, value->data);
        return NGX_ERROR;
    }

    *time = ms;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_way_add(ngx_conf_t *cf, ngx_array_t *ways, ngx_str_t *name)
{
    ngx_str_t      *directive;
    const char     *why;
    ngx_trp_way_t  *way;

    directive = cf->args->elts;

    way = ngx_array_push(ways);
    if (way == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(way, sizeof(ngx_trp_way_t));

    way->name = *name;
    way->index = ways->nelts - 1;

    why = ngx_trp_way_parts(way, name);

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid way \"%V\" in \"%V\", %s", name,
                           directive, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* what is wrong, or NULL */

static const char *
ngx_trp_way_parts(ngx_trp_way_t *way, ngx_str_t *name)
{
    u_char      *p, *last, *end;
    ngx_str_t    part;
    ngx_uint_t   i, bit, seen;

    static const ngx_str_t  parts[] = {
        ngx_string("direct"),
        ngx_string("quic"),
        ngx_string("proxy"),
        ngx_string("turn"),
        ngx_string("websocket"),
        ngx_null_string
    };

    seen = 0;
    last = name->data + name->len;

    for (p = name->data; p <= last; p = end + 1) {
        end = ngx_strlchr(p, last, '+');
        end = end ? end : last;

        part.data = p;
        part.len = end - p;

        for (i = 0; parts[i].len; i++) {
            if (part.len == parts[i].len
                && ngx_strncmp(part.data, parts[i].data, part.len) == 0)
            {
                break;
            }
        }

        if (parts[i].len == 0) {
            return "write \"direct\", \"quic\", \"proxy\", \"turn\" or "
                   "\"websocket\", or several with \"+\" between them";
        }

        bit = (ngx_uint_t) 1 << i;

        if (seen & bit) {
            return "write each part once";
        }

        seen |= bit;
    }

    if ((seen & 1) && seen != 1) {
        return "\"direct\" means without anything else";
    }

    way->quic = (seen & 2) != 0;
    way->proxy = (seen & 4) != 0;
    way->turn = (seen & 8) != 0;
    way->websocket = (seen & 16) != 0;

    return NULL;
}


ngx_int_t
ngx_trp_way_init(ngx_conf_t *cf, ngx_array_t **ways,
    const ngx_trp_way_offer_t *offer)
{
    ngx_uint_t      i;
    ngx_array_t    *list;
    ngx_trp_way_t  *way;

    if (*ways == NULL) {
        return ngx_trp_way_only(cf, ways, offer);
    }

    /* the list may be inherited, but each agent has its own flags */

    list = ngx_array_create(cf->pool, (*ways)->nelts, sizeof(ngx_trp_way_t));
    if (list == NULL) {
        return NGX_ERROR;
    }

    way = ngx_array_push_n(list, (*ways)->nelts);
    ngx_memcpy(way, (*ways)->elts, list->nelts * sizeof(ngx_trp_way_t));

    *ways = list;

    for (i = 0; i < list->nelts; i++) {
        if (ngx_trp_way_check(cf, &way[i], offer) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_trp_way_twice(cf, list, offer->prefix) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trp_way_unused(cf, list, offer);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_way_twice(ngx_conf_t *cf, ngx_array_t *ways, const char *prefix)
{
    ngx_uint_t      i, j;
    ngx_trp_way_t  *way;

    way = ways->elts;

    for (i = 1; i < ways->nelts; i++) {
        for (j = 0; j < i; j++) {

            if (ngx_trp_way_same(&way[i], &way[j])) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" in \"%s_ways\" is the same way as "
                                   "\"%V\", write it once",
                                   &way[i].name, prefix, &way[j].name);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_way_only(ngx_conf_t *cf, ngx_array_t **ways,
    const ngx_trp_way_offer_t *offer)
{
    u_char         *p;
    ngx_trp_way_t  *way;

    *ways = ngx_array_create(cf->pool, 1, sizeof(ngx_trp_way_t));
    p = ngx_pnalloc(cf->pool, sizeof("+quic+proxy+turn+websocket"));

    if (*ways == NULL || p == NULL) {
        return NGX_ERROR;
    }

    way = ngx_array_push(*ways);

    ngx_memzero(way, sizeof(ngx_trp_way_t));

    way->quic = offer->quic || (offer->turn && offer->turn_udp);
    way->proxy = offer->proxy;
    way->turn = offer->turn;
    way->websocket = offer->websocket;

    way->name.data = p;

    p = ngx_trp_way_part(p, way->quic, "+quic");
    p = ngx_trp_way_part(p, way->proxy, "+proxy");
    p = ngx_trp_way_part(p, way->turn, "+turn");
    p = ngx_trp_way_part(p, way->websocket, "+websocket");

    way->name.len = p - way->name.data;

    if (way->name.len) {

        /* the first "+" */
        way->name.data++;
        way->name.len--;

    } else {
        ngx_str_set(&way->name, "direct");
    }

    return ngx_trp_way_check(cf, way, offer);
}


static u_char *
ngx_trp_way_part(u_char *p, ngx_uint_t used, const char *part)
{
    return used ? ngx_cpymem(p, part, ngx_strlen(part)) : p;
}


/* are there directives for each part, and do they go together? */

static ngx_int_t
ngx_trp_way_check(ngx_conf_t *cf, ngx_trp_way_t *way,
    const ngx_trp_way_offer_t *offer)
{
    const char  *need, *why;

    if (way->quic && ngx_trp_build_need_quic(cf, "way quic") != NGX_OK) {
        return NGX_ERROR;
    }

    need = NULL;
    why = NULL;

    if (way->turn && !offer->turn) {
        need = "turn";

    } else if (way->proxy && !offer->proxy) {
        need = "proxy";

    } else if (way->websocket && !offer->websocket) {
        need = "websocket";

    } else if (way->quic && !offer->quic && !way->turn) {
        need = "quic";
    }

    if (need) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "way \"%V\" in \"%s_ways\" needs \"%s_%s\"",
                           &way->name, offer->prefix, offer->prefix, need);
        return NGX_ERROR;
    }

    if (way->quic && way->turn && !offer->turn_udp) {
        why = "QUIC needs a TURN server that is spoken to by \"udp\"";
    }

    way->quic |= (way->turn && offer->turn_udp);

    if (way->quic && way->proxy) {
        why = "a proxy does not carry QUIC, which is UDP";

    } else if (way->quic && way->websocket) {
        why = "a WebSocket does not carry QUIC, which is UDP";
    }

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no way to a relay for \"%s\": %s; write "
                           "\"%s_ways\" with ways that are tried one after "
                           "the other", &way->name, offer->prefix, why,
                           offer->prefix);
        return NGX_ERROR;
    }

    /* a TURN server connects to an address */

    way->blind = !way->turn
                 && (way->proxy || (way->websocket && offer->apart));

    if (way->turn) {
        way->via = offer->turn_via;

    } else if (way->proxy) {
        way->via = offer->proxy_via;

    } else if (way->quic || way->websocket) {
        way->via = way->name;
    }

    return NGX_OK;
}


static void
ngx_trp_way_unused(ngx_conf_t *cf, ngx_array_t *ways,
    const ngx_trp_way_offer_t *offer)
{
    ngx_uint_t      i;
    const char     *what;
    ngx_trp_way_t  *way, sum;

    way = ways->elts;

    ngx_memzero(&sum, sizeof(ngx_trp_way_t));

    for (i = 0; i < ways->nelts; i++) {
        sum.quic |= way[i].quic;
        sum.turn |= way[i].turn;
        sum.proxy |= way[i].proxy;
        sum.websocket |= way[i].websocket;
    }

    what = (offer->quic && !sum.quic) ? "quic"
           : (offer->turn && !sum.turn) ? "turn"
           : (offer->proxy && !sum.proxy) ? "proxy"
           : (offer->websocket && !sum.websocket) ? "websocket"
           : NULL;

    if (what) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%s_%s\" has no effect: there is no way with "
                           "\"%s\" in \"%s_ways\"", offer->prefix, what, what,
                           offer->prefix);
    }
}
