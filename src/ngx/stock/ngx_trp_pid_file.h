
/*
 * Copyright (C) the trp authors
 */


/*
 * An nginx that is started twice fails at the second start, since its ports
 * are taken; but not if it has none, or with "reuseport".
 */


#ifndef _NGX_TRP_PID_FILE_H_INCLUDED_
#define _NGX_TRP_PID_FILE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * In "init_module", for a cycle that has "ours": one line at the start if the
 * process that the pid file names is there.
 */

void ngx_trp_pid_file_check(ngx_cycle_t *cycle, const char *ours);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PID_FILE_H_INCLUDED_ */
