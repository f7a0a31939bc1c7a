
/*
 * Copyright (C) the trp authors
 */


/*
 * Configuration: what has been parsed, and in which file and line, so that a
 * message names that line and not the parser's current one.
 */


#ifndef _NGX_TRP_CONF_H_INCLUDED_
#define _NGX_TRP_CONF_H_INCLUDED_


#include "base/ngx_trp.h"


typedef struct {
    u_char      *file_name;
    ngx_uint_t   line;
} ngx_trp_conf_place_t;


static ngx_inline void
ngx_trp_conf_set_place(ngx_conf_t *cf, ngx_trp_conf_place_t *place)
{
    place->file_name = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
}


/* one "listen" of a "server" */

typedef struct {
    ngx_stream_conf_ctx_t   *ctx;          /* of the server */
    struct sockaddr         *sockaddr;
    int                      type;         /* SOCK_STREAM, SOCK_DGRAM */
    unsigned                 ssl:1;
    unsigned                 bind:1;       /* has a socket of its own */
    unsigned                 wildcard:1;
    unsigned                 ipv6only:1;
    unsigned                 proxy_protocol:1;
    unsigned                 keepalive:1;  /* so_keepalive= other than "on" */
    unsigned                 shared:1;     /* with other servers, by name */
} ngx_trp_conf_listen_t;


typedef ngx_int_t (*ngx_trp_conf_listen_pt)(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);


/* after configuration; stops at the first result that is not NGX_OK */

#pragma GCC visibility push(hidden)

ngx_int_t ngx_trp_conf_each_listen(ngx_conf_t *cf,
    ngx_stream_core_main_conf_t *cmcf, ngx_trp_conf_listen_pt handler,
    void *data);

/* a setter: a range of ports, "FIRST-LAST" */

char *ngx_trp_conf_set_ports(ngx_conf_t *cf, ngx_command_t *cmd,
    in_port_t *first, in_port_t *last);

/*
 * NGX_ERROR, logged at this place, if the server with the directive "ours"
 * shares an address with servers of other names
 */

ngx_int_t ngx_trp_conf_check_shared(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, const char *ours,
    ngx_trp_conf_place_t *place);

/*
 * NGX_DECLINED if a listen of another server would share its socket with
 * "data", a UDP listen (ngx_trp_conf_each_listen()).
 */

ngx_int_t ngx_trp_conf_check_port(ngx_conf_t *cf,
    ngx_trp_conf_listen_t *listen, void *data);

/* a value with variables, compiled; NULL: an error, logged, or no memory */

ngx_stream_complex_value_t *ngx_trp_conf_complex(ngx_conf_t *cf,
    ngx_str_t *value);

/* warns of host bits in a block, as nginx does: a port may have been meant */

void ngx_trp_conf_low_bits(ngx_conf_t *cf, ngx_str_t *text, const char *name);

/* for ngx_conf_set_msec_slot(): neither 0 nor longer than a day */

extern const ngx_conf_post_t  ngx_trp_conf_positive;

#pragma GCC visibility pop


/* called in pairs, around code that may call ngx_conf_log_error() */

static ngx_inline void
ngx_trp_conf_swap_place(ngx_conf_t *cf, ngx_trp_conf_place_t *place)
{
    ngx_trp_conf_place_t  current;

    ngx_trp_conf_set_place(cf, &current);

    cf->conf_file->file.name.data = place->file_name;
    cf->conf_file->line = place->line;

    *place = current;
}


extern ngx_module_t  ngx_stream_proxy_module;


/*
 * A setting of a stock module, whose structures no header declares: found by
 * the directive's name.  NULL if this nginx does not have the directive.
 */

static ngx_inline void *
ngx_trp_conf_member(ngx_module_t *module, void **srv_conf, const char *name)
{
    ngx_command_t  *cmd;

    for (cmd = module->commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, name) == 0) {
            return (char *) srv_conf[module->ctx_index] + cmd->offset;
        }
    }

    return NULL;
}


#endif /* _NGX_TRP_CONF_H_INCLUDED_ */
