
/*
 * Copyright (C) the trp authors
 */


/*
 * Unix sockets as destinations, "unix:/PATH", and patterns for their paths.
 */


#ifndef TRP_PATH_H_INCLUDED
#define TRP_PATH_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* sun_path of Linux, without its null byte */

#define TRP_PATH_MAX_LEN  107


/* 1 if the text begins with "unix:/"; then "path" is what follows "unix:" */

int trp_path_get(trp_str_t text, trp_str_t *path);


/*
 * 1 if the path is absolute, of printable ASCII without blanks, colons and
 * commas, and has no component ".."; a pattern is a path, too.
 */

int trp_path_valid(trp_str_t path);


/* "*" stands for any text without a slash, "?" for one character but a slash */

int trp_path_match(trp_str_t pattern, trp_str_t path);


#pragma GCC visibility pop


#endif /* TRP_PATH_H_INCLUDED */
