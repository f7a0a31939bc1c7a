
/*
 * Copyright (C) the trp authors
 */


/*
 * Which groups there are, for whoever has looked for one that has nobody: it
 * may be a misspelt name.
 */


#ifndef _NGX_TRP_GROUPS_H_INCLUDED_
#define _NGX_TRP_GROUPS_H_INCLUDED_


#include "relay/ngx_trp_pair_types.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_GROUPS_LEN  224

typedef struct {
    u_char                  data[NGX_TRP_GROUPS_LEN];
} ngx_trp_groups_text_t;


/*
 * " (groups with a reverse: "a", "b" and 3 more)", of all workers, for a line
 * about a group without one; zero-terminated.  Empty if there was such a line
 * less than a second ago.
 */

ngx_trp_groups_text_t ngx_trp_groups_text(ngx_trp_pair_t *pair);


#pragma GCC visibility pop


#endif /* _NGX_TRP_GROUPS_H_INCLUDED_ */
