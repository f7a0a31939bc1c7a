
/*
 * Copyright (C) the trp authors
 */


/*
 * Tables of the stock directives that would have no effect in a server or an
 * upstream of ours, with what to use instead.  A directive is set if its member
 * of the module's configuration, found by its command, is not 0.
 */


#include "stock/ngx_trp_stock.h"


#define ngx_trp_stock_proxy_row(directive, advice)                           \
    { directive, directive, 0, 1, advice }

/* "proxy_bind" has no offset; its member precedes that of this directive */

#define ngx_trp_stock_proxy_bind(advice)                                     \
    { "proxy_bind", "proxy_socket_keepalive", -1, 1, advice }

#define ngx_trp_stock_role(directive)                                        \
    { directive, directive, 0, 1, "write a server of its own for each" }

/* since 1.25.5; an address, with or without variables */

#define ngx_trp_stock_pass(advice)                                           \
    { "pass", "pass", 0, 2, advice }

#define ngx_trp_stock_end                                                    \
    { NULL, NULL, 0, 0, NULL }


const ngx_trp_stock_t  ngx_trp_stock_entry[] = {

    ngx_trp_stock_role("trp_relay"),
    ngx_trp_stock_role("trp_turn"),

    ngx_trp_stock_pass(
        "its users have no destination, write \"listen PORT\" in place of the "
        "route"),

    ngx_trp_stock_proxy_row("proxy_ssl",
        "the tunnel has TLS of its own; for TLS to the destination write it "
        "at the reverse"),

    ngx_trp_stock_proxy_bind(
        "tunnels are there before the users; for the destination write it at "
        "the reverse"),

    ngx_trp_stock_proxy_row("proxy_socket_rcvbuf",
        "a tunnel serves many users; for the destination write it at the "
        "reverse"),

    ngx_trp_stock_proxy_row("proxy_socket_sndbuf",
        "a tunnel serves many users; for the destination write it at the "
        "reverse"),

    ngx_trp_stock_end
};


const ngx_trp_stock_t  ngx_trp_stock_socks5[] = {

    ngx_trp_stock_role("trp_relay"),
    ngx_trp_stock_role("trp_turn"),

    ngx_trp_stock_pass(
        "write \"proxy_pass\" with the name of an upstream that has "
        "\"trp_entry\" or \"trp_turn_client\""),

    ngx_trp_stock_proxy_row("proxy_ssl",
        "what the client wants to speak with the destination is its own "
        "affair"),

    ngx_trp_stock_proxy_bind(
        "the address that a destination sees is that of the reverse or of the "
        "TURN server, leave it out"),

    ngx_trp_stock_proxy_row("proxy_socket_rcvbuf",
        "tunnels and allocations serve many clients, leave it out"),

    ngx_trp_stock_proxy_row("proxy_socket_sndbuf",
        "tunnels and allocations serve many clients, leave it out"),

    ngx_trp_stock_end
};


const ngx_trp_stock_t  ngx_trp_stock_socks5_udp[] = {

    ngx_trp_stock_proxy_row("proxy_upload_rate",
        "it does not hold for datagrams, write \"trp_socks5_udp off\", too"),

    ngx_trp_stock_proxy_row("proxy_download_rate",
        "it does not hold for datagrams, write \"trp_socks5_udp off\", too"),

    ngx_trp_stock_proxy_row("proxy_protocol",
        "it does not hold for datagrams, write \"trp_socks5_udp off\", too"),

    ngx_trp_stock_end
};


const ngx_trp_stock_t  ngx_trp_stock_reverse[] = {

    ngx_trp_stock_role("trp_relay"),
    ngx_trp_stock_role("trp_turn"),
    ngx_trp_stock_role("trp_route"),

    ngx_trp_stock_end
};


const ngx_trp_stock_t  ngx_trp_stock_turn_udp[] = {

    { "allow", "allow", 0, 2,
      "and neither can \"deny\": they do not hold for clients over UDP, write "
      "them into a server without \"listen ... udp\"" },

    { "limit_conn", "limit_conn", 0, 1,
      "it does not hold for clients over UDP, write \"trp_turn_quota "
      "address=NUMBER\"" },

    ngx_trp_stock_end
};


static void **ngx_trp_stock_proxy_pass(void **srv_conf);


ngx_int_t
ngx_trp_stock_check(ngx_conf_t *cf, const ngx_trp_stock_t *stock,
    void **srv_conf, const char *ours, u_char *file_name, ngx_uint_t line)
{
    uintptr_t   *word;
    ngx_uint_t   i;

    for ( /* void */ ; stock->directive; stock++) {

        word = ngx_trp_stock_member(cf, srv_conf, stock->member);

        for (i = 0; word && i < stock->words; i++) {

            if (word[stock->first + (ngx_int_t) i] == 0) {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%s\" cannot be used with \"%s\" in %s:%ui, %s",
                          stock->directive, ours, file_name, line,
                          stock->advice);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* nginx may be built without the module, or be older than the directive */

void *
ngx_trp_stock_member(ngx_conf_t *cf, void **srv_conf, const char *directive)
{
    void           *member;
    ngx_uint_t      i;
    ngx_module_t  **modules;

    modules = cf->cycle->modules;

    for (i = 0; modules[i]; i++) {

        if (modules[i]->type != NGX_STREAM_MODULE || !modules[i]->commands) {
            continue;
        }

        member = ngx_trp_conf_member(modules[i], srv_conf, directive);

        if (member) {
            return member;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_trp_stock_is_entry(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    return ngx_trp_stock_has(cf, us->srv_conf, "trp_entry");
}


ngx_uint_t
ngx_trp_stock_has(ngx_conf_t *cf, void **srv_conf, const char *directive)
{
    uintptr_t  *word;

    word = ngx_trp_stock_member(cf, srv_conf, directive);

    return word && *word;
}


ngx_int_t
ngx_trp_stock_check_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us, const char *ours)
{
    ngx_uint_t                     i;
    const char                    *name;
    ngx_stream_upstream_server_t  *server;

    if (us->peer.init_upstream
        && us->peer.init_upstream != ngx_stream_upstream_init_round_robin)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" in %s:%ui has a load balancing method, "
                      "but \"%s\" keeps tunnels to all of its servers, write "
                      "it at the entry", &us->host, us->file_name, us->line,
                      ours);
        return NGX_ERROR;
    }

    server = us->servers->elts;

    for (i = 0; i < us->servers->nelts; i++) {

        name = server[i].weight != 1 ? "weight"
               : server[i].max_conns != 0 ? "max_conns"
               : server[i].max_fails != 1 ? "max_fails"
               : server[i].fail_timeout != 10 ? "fail_timeout"
               : server[i].backup ? "backup" : NULL;

        if (name) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "server \"%V\" of upstream \"%V\" in %s:%ui has "
                          "\"%s\", but \"%s\" keeps tunnels to all servers, "
                          "write it at the entry", &server[i].name, &us->host,
                          us->file_name, us->line, name, ours);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* "proxy_pass" has no offset; these end the proxy's configuration */

static void **
ngx_trp_stock_proxy_pass(void **srv_conf)
{
    void  **member;

    member = ngx_trp_conf_member(&ngx_stream_proxy_module, srv_conf,
                                 "proxy_ssl_conf_command");

    /* after it comes "ssl", made of all "proxy_ssl_*" */

    return member ? member + 2 : NULL;
}


ngx_stream_upstream_srv_conf_t *
ngx_trp_stock_proxy_upstream(void **srv_conf)
{
    void  **pass;

    pass = ngx_trp_stock_proxy_pass(srv_conf);

    return pass ? pass[0] : NULL;
}


ngx_str_t *
ngx_trp_stock_proxy_text(void **srv_conf)
{
    void  **pass;

    pass = ngx_trp_stock_proxy_pass(srv_conf);

    return (pass && pass[1])
           ? &((ngx_stream_complex_value_t *) pass[1])->value : NULL;
}


ngx_uint_t
ngx_trp_stock_proxy(void **srv_conf, const char *directive, ngx_uint_t value)
{
    ngx_uint_t  *member;

    member = ngx_trp_conf_member(&ngx_stream_proxy_module, srv_conf, directive);

    return member ? *member : value;
}
