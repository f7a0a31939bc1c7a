
/*
 * Copyright (C) the trp authors
 */


/*
 * Parsing of text from its beginning.  A blank is a space, a tab or an end of
 * line.
 */


#ifndef TRP_STR_H_INCLUDED
#define TRP_STR_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* case-sensitive; trp_name_equal() is not */

int trp_str_equal(trp_str_t a, trp_str_t b);
int trp_str_starts(trp_str_t text, trp_str_t prefix);


/* removes "n" bytes, or all blanks, from the beginning; blanks at both ends */

void trp_str_skip(trp_str_t *text, size_t n);
void trp_str_skip_blanks(trp_str_t *text);
void trp_str_trim(trp_str_t *text);


/* removes the first word and the blanks after it; returns the word */

trp_str_t trp_str_word(trp_str_t *text);


int trp_is_blank(uint8_t c);


/*
 * Makes text from a peer safe for a log: quotes, backslashes and all bytes
 * that are not printable ASCII become \xHH; text that is too long is cut and
 * ends in "...".  Writes at most "size" bytes, at least 8, and no null byte;
 * returns the length.
 */

size_t trp_str_printable(uint8_t *buf, size_t size, trp_str_t text);


#pragma GCC visibility pop


#endif /* TRP_STR_H_INCLUDED */
