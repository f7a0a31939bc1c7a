
/*
 * Copyright (C) the trp authors
 */


/* The allocator of the core, on top of ngx_alloc() and ngx_free(). */


#include "base/ngx_trp_memory.h"


static void *ngx_trp_memory_get(void *data, size_t size);
static void ngx_trp_memory_put(void *data, void *p);


void
ngx_trp_memory_init(trp_memory_t *memory, ngx_log_t *log)
{
    memory->get = ngx_trp_memory_get;
    memory->put = ngx_trp_memory_put;
    memory->data = log;
}


static void *
ngx_trp_memory_get(void *data, size_t size)
{
    return ngx_alloc(size, data);
}


static void
ngx_trp_memory_put(void *data, void *p)
{
    ngx_free(p);
}
