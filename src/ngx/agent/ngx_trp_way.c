
/*
 * Copyright (C) the trp authors
 */


/*
 * The ways to a relay, as they are configured.
 */


#include "agent/ngx_trp_way.h"


static u_char *ngx_trp_way_part(u_char *p, ngx_uint_t used, const char *part);


ngx_array_t *
ngx_trp_way_only(ngx_conf_t *cf, const ngx_trp_way_t *set)
{
    u_char         *p;
    ngx_array_t    *ways;
    ngx_trp_way_t  *way;

    ways = ngx_array_create(cf->pool, 1, sizeof(ngx_trp_way_t));
    p = ngx_pnalloc(cf->pool, sizeof("+quic+proxy+turn+websocket"));

    if (ways == NULL || p == NULL) {
        return NULL;
    }

    way = ngx_array_push(ways);

    *way = *set;

    way->index = 0;
    way->name.data = p;

    p = ngx_trp_way_part(p, set->quic, "+quic");
    p = ngx_trp_way_part(p, set->proxy, "+proxy");
    p = ngx_trp_way_part(p, set->turn, "+turn");
    p = ngx_trp_way_part(p, set->websocket, "+websocket");

    way->name.len = p - way->name.data;

    if (way->name.len) {

        /* the first "+" */
        way->name.data++;
        way->name.len--;

    } else {
        ngx_str_set(&way->name, "direct");
    }

    return ways;
}


static u_char *
ngx_trp_way_part(u_char *p, ngx_uint_t used, const char *part)
{
    return used ? ngx_cpymem(p, part, ngx_strlen(part)) : p;
}
