
/*
 * Copyright (C) the trp authors
 */


/*
 * The allocator of the core, on top of ngx_alloc().
 */


#ifndef _NGX_TRP_MEMORY_H_INCLUDED_
#define _NGX_TRP_MEMORY_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/trp_memory.h"


#pragma GCC visibility push(hidden)


/* the log must live as long as the allocator is used */

void ngx_trp_memory_init(trp_memory_t *memory, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_MEMORY_H_INCLUDED_ */
