
/*
 * Copyright (C) the trp authors
 */


/*
 * Memory that the caller of the core gives and takes back.
 */


#ifndef TRP_MEMORY_H_INCLUDED
#define TRP_MEMORY_H_INCLUDED


#include "base/trp_core.h"


/* "get" returns NULL without memory; "put" is never called with NULL */

typedef struct {
    void          *(*get)(void *data, size_t size);
    void           (*put)(void *data, void *p);
    void            *data;
} trp_memory_t;


#endif /* TRP_MEMORY_H_INCLUDED */
