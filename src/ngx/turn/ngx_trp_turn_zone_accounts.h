
/*
 * Copyright (C) the trp authors
 */


/*
 * Accounts that the portal knows, in the zone.
 */


#ifndef _NGX_TRP_TURN_ZONE_ACCOUNTS_H_INCLUDED_
#define _NGX_TRP_TURN_ZONE_ACCOUNTS_H_INCLUDED_


#include "turn/ngx_trp_turn_zone.h"


#pragma GCC visibility push(hidden)


/* of the portal: texts of TRP_TURN_ACCOUNT_LEN bytes */

int ngx_trp_turn_zone_has_account(void *data, const uint8_t *account);
ngx_int_t ngx_trp_turn_zone_add_account(ngx_trp_turn_zone_t *zone,
    u_char *account);
void ngx_trp_turn_zone_remove_account(ngx_trp_turn_zone_t *zone,
    u_char *account);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_ZONE_ACCOUNTS_H_INCLUDED_ */
