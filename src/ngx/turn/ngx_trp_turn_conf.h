
/*
 * Copyright (C) the trp authors
 */


/*
 * The configuration of a TURN server.
 */


#ifndef _NGX_TRP_TURN_CONF_H_INCLUDED_
#define _NGX_TRP_TURN_CONF_H_INCLUDED_


#include "base/ngx_trp_conf.h"
#include "portal/ngx_trp_portal.h"
#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* the address told to clients, and the local one; family 0: the same */

typedef struct {
    trp_addr_t                   addr;
    trp_addr_t                   local;
} ngx_trp_turn_external_t;


/* a rule of trp_turn_allow or trp_turn_deny, and its place */

typedef struct {
    trp_turn_rule_t              rule;
    ngx_str_t                    text;
    ngx_str_t                   *directive;
    ngx_trp_conf_place_t         place;
} ngx_trp_turn_rule_t;


typedef struct {
    ngx_flag_t                   enabled;
    ngx_str_t                    realm;
    ngx_array_t                 *users;        /* ngx_str_t */
    ngx_array_t                 *secrets;      /* ngx_str_t */
    ngx_array_t                 *externals;    /* ngx_trp_turn_external_t */
    ngx_array_t                 *allow;        /* ngx_trp_turn_rule_t */
    ngx_array_t                 *deny;         /* ngx_trp_turn_rule_t */
    in_port_t                    first_port;
    in_port_t                    last_port;
    time_t                       lifetime;
    time_t                       max_lifetime;
    ngx_uint_t                   quota[NGX_TRP_TURN_NQUOTAS];
    size_t                       rate;
    ngx_uint_t                   stranger_rate;
    ngx_uint_t                   stranger_burst;
    ngx_str_t                    software;
    ngx_flag_t                   tcp;
    ngx_uint_t                   check_expiry;
    ngx_msec_t                   allocate_timeout;
    ngx_uint_t                   max_unauthenticated;  /* TCP, TLS */
    ngx_uint_t                   max_per_address;

    /* not inherited */
    ngx_stream_core_srv_conf_t  *core;
    ngx_trp_portal_conf_t        portal_conf;
    ngx_trp_portal_t            *portal;

    ngx_trp_turn_conf_t          turn;
    ngx_uint_t                   number;       /* of the server */
    ngx_trp_conf_place_t         place;
} ngx_trp_turn_srv_conf_t;


/* setters; the offset, unless 0, is that of a field above */

char *ngx_trp_turn_conf_set_list(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turn_conf_set_external(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turn_conf_set_ports(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turn_conf_set_quota(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turn_conf_set_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_trp_turn_conf_set_rules(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* after merging: checks that it is complete, and prepares it for the core */

char *ngx_trp_turn_conf_check(ngx_conf_t *cf, ngx_trp_turn_srv_conf_t *conf);
char *ngx_trp_turn_conf_init_credentials(ngx_conf_t *cf,
    ngx_trp_turn_srv_conf_t *conf);
char *ngx_trp_turn_conf_init_rules(ngx_conf_t *cf,
    ngx_trp_turn_srv_conf_t *conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_CONF_H_INCLUDED_ */
