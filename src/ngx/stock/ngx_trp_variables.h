
/*
 * Copyright (C) the trp authors
 */


/*
 * $trp_destination, $trp_destination_host, $trp_destination_port,
 * $trp_entry_key, $trp_entry_name, $trp_group, $trp_name, $trp_reverse_key,
 * $trp_reverse_name, $trp_status, $trp_stream_id.
 *
 * Each module adds them all.  If nginx has several of the modules loaded, a
 * variable asks one after the other; the first that knows the session answers.
 */


#ifndef _NGX_TRP_VARIABLES_H_INCLUDED_
#define _NGX_TRP_VARIABLES_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* fills "info", initially zero; NGX_DECLINED if the session is not ours */

typedef ngx_int_t (*ngx_trp_info_pt)(ngx_stream_session_t *s,
    ngx_trp_info_t *info);


/* called in the modules' preconfiguration */

ngx_int_t ngx_trp_variables_add(ngx_conf_t *cf, ngx_trp_info_pt info);


#pragma GCC visibility pop


#endif /* _NGX_TRP_VARIABLES_H_INCLUDED_ */
