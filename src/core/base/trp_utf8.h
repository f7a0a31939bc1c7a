
/*
 * Copyright (C) the trp authors
 */


/*
 * Text from peers as UTF-8 (RFC 3629), which JSON and others require.
 */


#ifndef TRP_UTF8_H_INCLUDED
#define TRP_UTF8_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* the length of the character that text begins with; 0: it is none */

size_t trp_utf8_length(trp_str_t text);


/*
 * Copies text; each byte that belongs to no character becomes U+FFFD.  Writes
 * at most "size" bytes, and no part of a character; what does not fit is cut.
 * Three times the length of the text is always enough.  Returns the length.
 */

size_t trp_utf8_clean(uint8_t *buf, size_t size, trp_str_t text);


#pragma GCC visibility pop


#endif /* TRP_UTF8_H_INCLUDED */
