
/*
 * Copyright (C) the trp authors
 */


/*
 * A second nginx with the same configuration fails to start, since its ports
 * are in use; but not if it has none, or with "reuseport".
 */


#ifndef _NGX_TRP_PID_FILE_H_INCLUDED_
#define _NGX_TRP_PID_FILE_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * In "init_module", for a cycle that has the directive "ours": logs one line at
 * the start if the process in the pid file is running.
 */

void ngx_trp_pid_file_check(ngx_cycle_t *cycle, const char *ours);


#pragma GCC visibility pop


#endif /* _NGX_TRP_PID_FILE_H_INCLUDED_ */
