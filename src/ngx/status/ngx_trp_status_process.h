
/*
 * Copyright (C) the trp authors
 */


/*
 * Whether a process is alive.  Numbers of processes are used again, so that one
 * is told from another by the time of its start, too.
 */


#ifndef _NGX_TRP_STATUS_PROCESS_H_INCLUDED_
#define _NGX_TRP_STATUS_PROCESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#pragma GCC visibility push(hidden)


/* when it has started, in the kernel's ticks; 0: unknown */

uint64_t ngx_trp_status_started(ngx_pid_t pid);

/* 1 if it is there, and has started then; 0 for "started": at any time */

ngx_uint_t ngx_trp_status_alive(ngx_pid_t pid, uint64_t started);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_PROCESS_H_INCLUDED_ */
