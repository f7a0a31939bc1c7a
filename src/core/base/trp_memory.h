
/*
 * Copyright (C) the trp authors
 */


/*
 * The allocator that the caller of the core provides.
 */


#ifndef TRP_MEMORY_H_INCLUDED
#define TRP_MEMORY_H_INCLUDED


#include <string.h>

#include "base/trp_core.h"


/* "get" returns NULL if out of memory; "put" is never called with NULL */

typedef struct {
    void          *(*get)(void *data, size_t size);
    void           (*put)(void *data, void *p);
    void            *data;
} trp_memory_t;


/* zeros, or NULL */

static inline void *
trp_memory_get(const trp_memory_t *memory, size_t size)
{
    void  *p;

    p = memory->get(memory->data, size);

    if (p) {
        memset(p, 0, size);
    }

    return p;
}


/* NULL is nothing */

static inline void
trp_memory_put(const trp_memory_t *memory, void *p)
{
    if (p) {
        memory->put(memory->data, p);
    }
}


#endif /* TRP_MEMORY_H_INCLUDED */
