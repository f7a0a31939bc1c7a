
/*
 * Copyright (C) the trp authors
 */


/*
 * Text that is taken apart from its beginning.  A blank is a space, a tab or
 * an end of line.
 */


#ifndef TRP_STR_H_INCLUDED
#define TRP_STR_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* letter case counts; see trp_name_equal() for the other way */

int trp_str_equal(trp_str_t a, trp_str_t b);
int trp_str_starts(trp_str_t text, trp_str_t prefix);


/* takes "n" bytes, or all blanks, off the beginning; off both ends */

void trp_str_skip(trp_str_t *text, size_t n);
void trp_str_skip_blanks(trp_str_t *text);
void trp_str_trim(trp_str_t *text);


/* takes the first word and the blanks behind it off, returns the word */

trp_str_t trp_str_word(trp_str_t *text);


int trp_is_blank(uint8_t c);


/*
 * Text of a peer as a log can take it: what is not printable ASCII, and quotes
 * and backslashes, as \xHH; what is too long ends in "...".  Writes at most
 * "size" bytes, which are at least 8, no null byte; returns the length.
 */

size_t trp_str_printable(uint8_t *buf, size_t size, trp_str_t text);


#pragma GCC visibility pop


#endif /* TRP_STR_H_INCLUDED */
