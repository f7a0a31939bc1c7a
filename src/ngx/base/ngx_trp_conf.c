
/*
 * Copyright (C) the trp authors
 */


/*
 * Iterates over all "listen" directives of a configuration; setters shared by
 * several modules; errors that name the line of the directive concerned.
 */


#include "base/ngx_trp_conf.h"


/* our sockets have "on" anyway */

#if (NGX_HAVE_KEEPALIVE_TUNABLE)
#define ngx_trp_conf_keepalive(l)                                            \
    ((l).so_keepalive == 2                                                   \
     || (l).tcp_keepidle || (l).tcp_keepintvl || (l).tcp_keepcnt)
#else
#define ngx_trp_conf_keepalive(l)  ((l).so_keepalive == 2)
#endif


static char *ngx_trp_conf_check_positive(ngx_conf_t *cf, void *post,
    void *data);


const ngx_conf_post_t  ngx_trp_conf_positive = {
    ngx_trp_conf_check_positive
};


static char *
ngx_trp_conf_check_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *msp = data;

    if (*msp == 0 || *msp > 24 * 60 * 60 * 1000) {
        return "must be between 1ms and 24h";
    }

    return NGX_CONF_OK;
}



#if (nginx_version >= 1025005)

ngx_int_t
ngx_trp_conf_each_listen(ngx_conf_t *cf, ngx_stream_core_main_conf_t *cmcf,
    ngx_trp_conf_listen_pt handler, void *data)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, j, k;
    ngx_stream_conf_port_t       *port;
    ngx_stream_conf_addr_t       *addr;
    ngx_trp_conf_listen_t         listen;
    ngx_stream_core_srv_conf_t  **cscf;

    if (cmcf->ports == NULL) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (j = 0; j < port[i].addrs.nelts; j++) {
            cscf = addr[j].servers.elts;

            for (k = 0; k < addr[j].servers.nelts; k++) {
                listen.ctx = cscf[k]->ctx;
                listen.sockaddr = addr[j].opt.sockaddr;
                listen.type = addr[j].opt.type;
                listen.ssl = addr[j].opt.ssl;
                listen.bind = addr[j].opt.bind;
                listen.wildcard = addr[j].opt.wildcard;
                listen.ipv6only = addr[j].opt.ipv6only;
                listen.proxy_protocol = addr[j].opt.proxy_protocol;
                listen.keepalive = ngx_trp_conf_keepalive(addr[j].opt);
                listen.shared = (addr[j].servers.nelts > 1);

                rc = handler(cf, &listen, data);

                if (rc != NGX_OK) {
                    return rc;
                }
            }
        }
    }

    return NGX_OK;
}

#else

ngx_int_t
ngx_trp_conf_each_listen(ngx_conf_t *cf, ngx_stream_core_main_conf_t *cmcf,
    ngx_trp_conf_listen_pt handler, void *data)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_stream_listen_t    *ls;
    ngx_trp_conf_listen_t   listen;

    ls = cmcf->listen.elts;

    for (i = 0; i < cmcf->listen.nelts; i++) {
        listen.ctx = ls[i].ctx;
        listen.sockaddr = ls[i].sockaddr;
        listen.type = ls[i].type;
        listen.ssl = ls[i].ssl;
        listen.bind = ls[i].bind;
        listen.wildcard = ls[i].wildcard;
        listen.ipv6only = ls[i].ipv6only;
        listen.proxy_protocol = ls[i].proxy_protocol;
        listen.keepalive = ngx_trp_conf_keepalive(ls[i]);
        listen.shared = 0;

        rc = handler(cf, &listen, data);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}

#endif


char *
ngx_trp_conf_set_ports(ngx_conf_t *cf, ngx_command_t *cmd, in_port_t *first,
    in_port_t *last)
{
    ngx_str_t  *value;

    if (*first) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (trp_port_range_parse(ngx_trp_str(&value[1]), first, last) != TRP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid range of ports \"%V\" in \"%V\", "
                           "write \"FIRST-LAST\", for example \"49152-65535\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_trp_conf_check_shared(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    const char *ours, ngx_trp_conf_place_t *place)
{
    if (!listen->shared) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" in %s:%ui listens where another server does, write "
                  "another address or port: it cannot be chosen by "
                  "\"server_name\"", ours, place->file_name, place->line);

    return NGX_ERROR;
}


ngx_stream_complex_value_t *
ngx_trp_conf_complex(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_stream_complex_value_t          *complex;
    ngx_stream_compile_complex_value_t   ccv;

    complex = ngx_palloc(cf->pool, sizeof(ngx_stream_complex_value_t));
    if (complex == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_stream_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = complex;

    return (ngx_stream_compile_complex_value(&ccv) == NGX_OK) ? complex : NULL;
}


void
ngx_trp_conf_low_bits(ngx_conf_t *cf, ngx_str_t *text, const char *name)
{
    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "low address bits of \"%V\" in \"%s\" are meaningless, "
                       "a port is written after a colon", text, name);
}



/* the addresses of a port share a socket if one of them is the wildcard */

ngx_int_t
ngx_trp_conf_check_port(ngx_conf_t *cf, ngx_trp_conf_listen_t *listen,
    void *data)
{
    ngx_trp_conf_listen_t *own = data;

    if (listen->ctx == own->ctx
        || listen->type != SOCK_DGRAM
        || listen->sockaddr->sa_family != own->sockaddr->sa_family
        || ngx_inet_get_port(listen->sockaddr)
           != ngx_inet_get_port(own->sockaddr))
    {
        return NGX_OK;
    }

    if (listen->wildcard == own->wildcard) {

        /* two addresses, or the same one by different names */
        return ngx_cmp_sockaddr(listen->sockaddr, sizeof(ngx_sockaddr_t),
                                own->sockaddr, sizeof(ngx_sockaddr_t), 0)
               == NGX_OK ? NGX_DECLINED : NGX_OK;
    }

    return (listen->wildcard ? own->bind : listen->bind) ? NGX_OK
                                                         : NGX_DECLINED;
}
