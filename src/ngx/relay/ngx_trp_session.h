
/*
 * Copyright (C) the trp authors
 */


/*
 * One line in the relay's access_log for each user connection.
 */


#ifndef _NGX_TRP_SESSION_H_INCLUDED_
#define _NGX_TRP_SESSION_H_INCLUDED_


#include "relay/ngx_trp_joint_types.h"


#pragma GCC visibility push(hidden)


/* to be called when the joint ends, with its entry still there */

void ngx_trp_session_log(ngx_trp_joint_t *joint);

/* the joint of such a session, or NULL */

ngx_trp_joint_t *ngx_trp_session_joint(ngx_stream_session_t *s);


#pragma GCC visibility pop


#endif /* _NGX_TRP_SESSION_H_INCLUDED_ */
