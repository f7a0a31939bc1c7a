
/*
 * Copyright (C) the trp authors
 */


/*
 * What a peer that speaks another protocol than the one that is expected seems
 * to speak, for a line in the log that ends the search for the reason.
 */


#ifndef TRP_LOOKS_H_INCLUDED
#define TRP_LOOKS_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/*
 * The name of a protocol, by the first bytes of a client or a server, of which
 * 3 to 5 are enough for most; NULL: none that is known.
 */

const char *trp_looks_like(trp_str_t data);


#pragma GCC visibility pop


#endif /* TRP_LOOKS_H_INCLUDED */
